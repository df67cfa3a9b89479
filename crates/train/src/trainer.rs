//! One step, one epoch's order, one evaluation.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rheobase_data::epoch_order;
use rheobase_ir::program::{Clip, Network, Program, Training};
use rheobase_runtime::{
    Adjoints, Backend, Batch, Events, Gradients, Load, MemoryPlan, Parameters, Probe, Simulator,
    StepView,
};

use crate::ahead::Prepared;
use crate::effort::Effort;
use crate::epoch::Counted;
use crate::error::TrainError;
use crate::init::initial_parameters;
use crate::notice::Notice;
use crate::objective::{BatchPart, Compiled, Group, Purpose, Scores};
use crate::optimizer::{Clipping, Optimizer};
use crate::samples::{Input, Samples, Subset, load};
use crate::schedule;
use crate::watch::Watch;

/// A layer that spikes in more than this share of its neuron-steps carries little information.
const SATURATED: f64 = 0.9;

/// Samples that are evaluated at once.
const EVALUATION_BATCH: usize = 256;

/// A network with its data and its optimiser.
pub struct Trainer {
    pub(crate) network: Network,
    pub(crate) plan: Training,
    /// Shared with the thread that prepares batches.
    pub(crate) samples: Arc<Samples>,
    pub(crate) simulator: Simulator<f32>,
    pub(crate) optimizer: Optimizer,
    objective: Compiled,
    effort: Effort,
    threads: usize,
    /// What happened in the epoch so far.
    pub(crate) counted: Counted,
    /// How the epochs so far went.
    pub(crate) watch: Watch,
}

/// What a step gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The number of samples.
    pub samples: usize,
    /// The mean loss before the update, without the penalty.
    pub loss: f64,
    /// The penalty before the update.
    pub penalty: f64,
    /// How many samples were classified rightly before the update.
    pub correct: usize,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Spikes of all layers.
    pub spikes: u64,
    /// Where the time went.
    pub timing: Timing,
}

/// Where the time of a step went. The parts of several threads are scaled to the time that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// From the indices of the samples to the new parameters.
    pub total: Duration,
    /// Forward and loss.
    pub forward: Duration,
    /// Backward.
    pub backward: Duration,
    /// Adding up gradients, optimiser, prologues.
    pub update: Duration,
}

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The number of samples.
    pub samples: usize,
    /// How many were classified rightly.
    pub correct: usize,
    /// How many have their label among the best 1, 2, …, up to 5 or the number of classes; empty without classes.
    pub among: Vec<usize>,
    /// `confusion[label][prediction]`, counted; empty without classes.
    pub confusion: Vec<Vec<usize>>,
    /// Names of the first classes; empty if the data set has numbers only.
    pub class_names: Vec<String>,
    /// Damaged samples that were left out; they are not among `samples`.
    pub left_out: usize,
    /// For each layer that spikes its name and the mean spikes per neuron and second.
    pub rates: Vec<(String, f64)>,
    /// Spikes of all layers for a sample, on average.
    pub spikes: f64,
    /// Weights that the spikes of a sample meet, those of its input included, on average (`effort.rs`).
    pub synaptic_operations: f64,
}

impl Evaluation {
    /// What chooses the best weights, larger is better: the accuracy or, for a task without classes, −loss.
    pub fn score(&self) -> f64 {
        self.accuracy().unwrap_or(-self.loss)
    }

    /// The share that was classified rightly; `None` for a task without classes.
    pub fn accuracy(&self) -> Option<f64> {
        (!self.confusion.is_empty()).then(|| self.correct as f64 / self.samples.max(1) as f64)
    }

    /// For 2, 3, … the share of samples that have their label among so many best predictions; nothing where
    /// that says little, because there are hardly more classes.
    pub fn top(&self) -> Vec<(usize, f64)> {
        let share = |&n: &usize| n as f64 / self.samples.max(1) as f64;
        let ranks = (1..).zip(self.among.iter().map(share)).skip(1);
        let classes = self.confusion.len();
        ranks.filter(|(k, _)| 2 * k <= classes).collect()
    }
}

/// An evaluation's probe: the loss, and the operations of layers that are counted neuron by neuron.
struct Judging<'a> {
    inner: Group<'a>,
    effort: &'a Effort,
    operations: f64,
}

impl Probe<f32> for Judging<'_> {
    fn observe(&mut self, t: usize, view: &StepView<'_, f32>) {
        self.inner.observe(t, view);
        self.operations += self.effort.of_step(view);
    }

    fn turn(&mut self) -> bool {
        self.inner.turn()
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, f32>) {
        self.inner.seed(t, adjoints);
    }
}

/// The loss probe with a stopwatch.
struct Timed<'a> {
    inner: Group<'a>,
    start: Instant,
    turned: Option<Instant>,
    end: Option<Instant>,
}

impl Probe<f32> for Timed<'_> {
    fn observe(&mut self, t: usize, view: &StepView<'_, f32>) {
        self.inner.observe(t, view);
    }

    fn turn(&mut self) -> bool {
        let goes_on = self.inner.turn();
        self.turned = Some(Instant::now());
        goes_on
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, f32>) {
        self.inner.seed(t, adjoints);
    }

    fn collect(&mut self, t: usize, _: &StepView<'_, f32>) {
        if t == 0 {
            self.end = Some(Instant::now());
        }
    }
}

impl Trainer {
    /// Compiles the network, opens the data (relative paths start at `base`) and draws the parameters.
    ///
    /// # Errors
    ///
    /// The program has no plan, or the data does not fit.
    pub fn new(
        program: &Program,
        backend: Backend,
        threads: usize,
        base: &Path,
    ) -> Result<Trainer, TrainError> {
        let network = program.network.clone();
        let plan = program.training.clone();
        let plan = plan
            .ok_or_else(|| TrainError::Plan(format!("`{}` has no `train` block", network.name)))?;
        let samples = load(&network, &plan, base)?;
        let mut simulator = Simulator::<f32>::new(&network, backend, Gradients::Trained)?;
        let parameters = initial_parameters(&network, &simulator.parameters().specs, plan.seed);
        let optimizer = Optimizer::new(&plan, &network, &parameters);
        simulator.set_parameters(parameters)?;
        let objective = Compiled::new(&plan.objective, &simulator, plan.steps)?;
        let counted = Counted::new(network.layers.len(), simulator.parameters().specs.len());
        let effort = Effort::new(&network, &simulator);
        let mut trainer = Trainer {
            network,
            plan,
            samples: Arc::new(samples),
            simulator,
            optimizer,
            objective,
            effort,
            threads,
            counted,
            watch: Watch::default(),
        };
        // Without a limit every plan fits.
        let _ = trainer.plan_memory(None);
        Ok(trainer)
    }

    /// The samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The compiled network.
    pub fn simulator(&self) -> &Simulator<f32> {
        &self.simulator
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters<f32> {
        self.simulator.parameters()
    }

    /// Changes the parameters from outside, for instance to weights from a file.
    ///
    /// # Errors
    ///
    /// A mistake of the compiler.
    pub fn set_parameters(&mut self, parameters: Parameters<f32>) -> Result<(), TrainError> {
        self.optimizer = Optimizer::new(&self.plan, &self.network, &parameters);
        Ok(self.simulator.set_parameters(parameters)?)
    }

    /// Plans memory within a limit in bytes and keeps to it from now on.
    ///
    /// # Errors
    ///
    /// No plan is within the limit: the one that takes least, which is not used.
    pub fn plan_memory(&mut self, limit: Option<u64>) -> Result<MemoryPlan, MemoryPlan> {
        let plan = self.simulator.plan_memory(&Load {
            steps: self.samples.steps(),
            batch: self.plan.batch,
            threads: self.threads,
            gradient: self.plan.gradient,
            limit,
        })?;
        self.simulator.set_time(plan.time);
        self.threads = plan.threads;
        Ok(plan)
    }

    /// From now on samples that cannot be read are left out instead of ending what is going on; they are named by
    /// [`Samples::newly_left_out`], and a checkpoint remembers it.
    pub fn skip_corrupted(&mut self) {
        self.samples.damage.skip();
    }

    /// The order of the training samples in an epoch.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        epoch_order(
            self.samples.len(Subset::Train),
            self.plan.seed,
            epoch as u64,
        )
    }

    /// The samples of an update.
    pub fn batch_size(&self) -> usize {
        self.plan.batch
    }

    /// One step with these training samples, which is an update or, if the plan accumulates, a part of one.
    /// `position` is where in the run it stands, in epochs.
    ///
    /// # Errors
    ///
    /// A damaged sample, or numbers that are no longer finite.
    pub fn step(&mut self, indices: &[usize], position: f64) -> Result<StepReport, TrainError> {
        let samples = self.samples.clone();
        let epoch = position as usize;
        let reads = self.objective.reads_target();
        let prepared = Prepared::new(&samples, Subset::Train, indices, epoch, reads)?;
        if prepared.indices.is_empty() {
            return Err(TrainError::Plan(
                "every sample of the step is damaged".into(),
            ));
        }
        self.step_with(prepared, position)
    }

    /// [`Trainer::step`] with samples that are prepared already.
    pub(crate) fn step_with(
        &mut self,
        prepared: Prepared<'_>,
        position: f64,
    ) -> Result<StepReport, TrainError> {
        let start = Instant::now();
        let epoch = position as usize;
        self.simulator
            .set_progress(epoch as f64 / self.plan.epochs.max(1) as f64);
        let indices = &prepared.indices[..];
        let batch = batch(&prepared.inputs, self.samples.steps(), prepared.keys);
        let judged = Judged {
            labels: prepared.labels,
            targets: prepared.targets,
        };
        let part = self.batch_part(&batch, &judged, true)?;
        let purpose = Purpose::Learn {
            weight: 1.0 / indices.len() as f64,
            seeds: &part.seeds,
        };
        let mut outcome = self
            .simulator
            .differentiate(&batch, self.threads, |range| Timed {
                inner: judged.group(&self.objective, range, purpose),
                start: Instant::now(),
                turned: None,
                end: None,
            })?;
        part.add_to(&mut outcome.gradients);
        let before_update = Instant::now();
        let (mut total, mut forward, mut backward) =
            (Scores::default(), Duration::ZERO, Duration::ZERO);
        for probe in std::mem::take(&mut outcome.probes) {
            if let (Some(turned), Some(end)) = (probe.turned, probe.end) {
                forward += turned - probe.start;
                backward += end - turned;
            }
            total.add(probe.inner.scores());
        }
        let samples = indices.len();
        let loss = total.loss / samples as f64 + part.loss;
        let penalty = total.penalty / samples as f64 + part.penalty;
        let norms: Vec<f64> = outcome.gradients.iter().map(|g| norm(g)).collect();
        let norm = norms.iter().map(|n| n * n).sum::<f64>().sqrt();
        if !loss.is_finite() || !penalty.is_finite() || !norm.is_finite() {
            let probe = |range| judged.group(&self.objective, range, purpose);
            let bad = (&batch, indices, &outcome.gradients[..]);
            return Err(self.not_finite(bad, position, probe));
        }
        // The probes hold on to the objective.
        let (gradients, spikes) = (outcome.gradients, outcome.spikes);
        let operations = self.effort.of_batch(&batch, &spikes);
        self.counted.add(samples, &spikes, &norms, operations);
        if !outcome.running.is_empty() {
            let running = outcome.running;
            self.simulator.update_parameters(|p| {
                running
                    .into_iter()
                    .for_each(|(index, values)| p.values[index] = values);
            })?;
        }
        let factor = self.factor(position);
        if self.plan.accumulate > 1 {
            self.optimizer.wait(&gradients, samples);
            if self.optimizer.waiting.batches == self.plan.accumulate {
                self.update_with_waiting(position)?;
            }
        } else {
            self.update(&gradients, norm, factor)?;
        }
        let timing = timing(start, before_update, forward, backward);
        let learning_rate = self.optimizer.learning_rate() * factor;
        Ok(StepReport {
            samples,
            loss,
            penalty,
            correct: total.hits(),
            gradient_norm: norm,
            learning_rate,
            spikes: spikes.iter().sum(),
            timing,
        })
    }

    /// The factor of the schedule.
    fn factor(&self, position: f64) -> f64 {
        let Training {
            schedule, epochs, ..
        } = &self.plan;
        schedule::factor(schedule, position, *epochs, self.watch.cuts)
    }

    /// An update of the parameters from gradients that together have this norm.
    fn update(&mut self, gradients: &[Vec<f32>], norm: f64, factor: f64) -> Result<(), TrainError> {
        let clip = match self.plan.clip {
            Some(Clip::Norm(limit)) if norm > limit => Clipping::Scale((limit / norm) as f32),
            Some(Clip::Value(limit)) => Clipping::Value(limit as f32),
            Some(Clip::Norm(_)) | None => Clipping::Scale(1.0),
        };
        let optimizer = &mut self.optimizer;
        self.simulator
            .update_parameters(|p| optimizer.update(p, gradients, clip, factor))?;
        Ok(())
    }

    /// An update from the batches that wait for one, if any do. An epoch ends with one, so that no gradient
    /// is carried into the next.
    pub(crate) fn update_with_waiting(&mut self, position: f64) -> Result<(), TrainError> {
        if self.optimizer.waiting.batches == 0 {
            return Ok(());
        }
        let gradients = self.optimizer.take_waiting();
        let squares = gradients.iter().map(|g| norm(g).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        self.update(&gradients, norm, self.factor(position))
    }

    /// The parameters that are judged and kept: their averages, if the plan has them.
    pub fn judged_parameters(&self) -> Parameters<f32> {
        let current = self.parameters();
        let averaged = self.optimizer.averaged(current);
        averaged.unwrap_or_else(|| current.clone())
    }

    /// An evaluation of other parameters; its own are put back.
    pub(crate) fn evaluate_with(
        &mut self,
        parameters: Parameters<f32>,
        subset: Subset,
    ) -> Result<Evaluation, TrainError> {
        let own = self.parameters().clone();
        self.simulator.set_parameters(parameters)?;
        let evaluation = self.evaluate(subset);
        self.simulator.set_parameters(own)?;
        evaluation
    }

    /// Which number stopped being finite first: a state, or in the backward that starts from `probe`.
    fn not_finite<'p>(
        &self,
        (batch, indices, gradients): (&Batch<'_, f32>, &[usize], &[Vec<f32>]),
        position: f64,
        probe: impl Fn(std::ops::Range<usize>) -> Group<'p> + Sync,
    ) -> TrainError {
        let epoch = position as usize;
        let number = ((position - epoch as f64) * self.samples.len(Subset::Train) as f64
            / self.plan.batch as f64)
            .round();
        let in_forward = self.simulator.locate_non_finite_in_training(batch);
        let found = match in_forward {
            Ok(None) => self.simulator.locate_non_finite_gradient(batch, probe),
            Ok(Some(_)) | Err(_) => in_forward,
        };
        let place = match found {
            Ok(Some(place)) => {
                let original = self.samples.original(Subset::Train, indices[place.sample]);
                format!("{place} (sample {original} of the data set)")
            }
            Ok(None) => {
                let specs = &self.parameters().specs;
                let bad = gradients
                    .iter()
                    .position(|g| g.iter().any(|x| !x.is_finite()));
                match bad {
                    Some(index) => format!("the gradient of `{}` is not finite", specs[index].name),
                    None => "the loss is not finite".to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        TrainError::NonFinite {
            epoch: epoch + 1,
            batch: number as usize + 1,
            place,
        }
    }

    /// Loss, accuracy, firing rates and effort over a subset.
    ///
    /// # Errors
    ///
    /// A damaged sample.
    pub fn evaluate(&self, subset: Subset) -> Result<Evaluation, TrainError> {
        let classes = self.plan.objective.classes();
        let planned = self.samples.len(subset);
        let mut n = 0;
        let mut confusion = vec![vec![0; classes]; classes];
        let (mut total, mut loss) = (Scores::default(), 0.0);
        let mut spikes = vec![0u64; self.network.layers.len()];
        let mut operations = 0.0;
        let all: Vec<usize> = (0..planned).collect();
        for indices in all.chunks(EVALUATION_BATCH) {
            let reads = self.objective.reads_target();
            let prepared = Prepared::new(&self.samples, subset, indices, 0, reads)?;
            let samples = prepared.indices.len();
            if samples == 0 {
                continue;
            }
            n += samples;
            let batch = batch(&prepared.inputs, self.samples.steps(), prepared.keys);
            let judged = Judged {
                labels: prepared.labels,
                targets: prepared.targets,
            };
            let part = self.batch_part(&batch, &judged, false)?;
            let outcome = self
                .simulator
                .infer(&batch, self.threads, |range| Judging {
                    inner: judged.group(&self.objective, range, Purpose::Judge),
                    effort: &self.effort,
                    operations: 0.0,
                })?;
            let mut found = Scores::default();
            for probe in outcome.probes {
                operations += probe.operations;
                found.add(probe.inner.scores());
            }
            operations += self.effort.of_inputs(&batch);
            for (&predicted, &label) in found.predicted.iter().zip(&judged.labels) {
                confusion[label as usize][predicted as usize] += 1;
            }
            loss += found.loss + part.loss * samples as f64;
            total.add(found);
            spikes
                .iter_mut()
                .zip(outcome.spikes)
                .for_each(|(sum, s)| *sum += s);
        }
        if n == 0 && planned > 0 {
            let name = subset.name();
            return Err(TrainError::Plan(format!("every {name} sample is damaged")));
        }
        operations += self.effort.of_counts(&spikes);
        let among = |most: usize| total.ahead.iter().filter(|&&a| (a as usize) < most).count();
        let each = 1.0 / n.max(1) as f64;
        Ok(Evaluation {
            loss: loss * each,
            samples: n,
            correct: total.hits(),
            among: (1..=classes.min(5)).map(among).collect(),
            confusion,
            class_names: self.class_names(classes),
            left_out: planned - n,
            rates: self.rates(&spikes, n),
            spikes: spikes.iter().sum::<u64>() as f64 * each,
            synaptic_operations: operations * each,
        })
    }

    /// The names of the classes of the objective, as far as the data set has any.
    fn class_names(&self, classes: usize) -> Vec<String> {
        let names = self.samples.class_names().iter();
        names.take(classes).cloned().collect()
    }

    /// The class that is predicted for a sample; `None` for a task without classes or a sample that is left out.
    ///
    /// # Errors
    ///
    /// A damaged sample.
    pub fn predict(&self, subset: Subset, sample: usize) -> Result<Option<u32>, TrainError> {
        let indices = [sample];
        let reads = self.objective.reads_target();
        let prepared = Prepared::new(&self.samples, subset, &indices, 0, reads)?;
        if prepared.indices.is_empty() {
            return Ok(None);
        }
        let batch = batch(&prepared.inputs, self.samples.steps(), prepared.keys);
        let judged = Judged {
            labels: prepared.labels,
            targets: prepared.targets,
        };
        let outcome = self.simulator.infer(&batch, 1, |range| {
            judged.group(&self.objective, range, Purpose::Judge)
        })?;
        let mut predicted = outcome
            .probes
            .into_iter()
            .flat_map(|p| p.scores().predicted);
        Ok(predicted.next())
    }

    /// What of the objective is of the batch; means over its samples take a forward of their own.
    fn batch_part(
        &self,
        batch: &Batch<'_, f32>,
        judged: &Judged,
        learns: bool,
    ) -> Result<BatchPart, TrainError> {
        let mut total = Scores::default();
        if self.objective.has_batch_mean() {
            let group = |range| judged.group(&self.objective, range, Purpose::Means);
            // The forward of a training step, with its masks and its means of the batch; the probes do not turn.
            let outcome = match learns {
                true => self.simulator.differentiate(batch, self.threads, group)?,
                false => self.simulator.infer(batch, self.threads, group)?,
            };
            for probe in outcome.probes {
                total.add(probe.scores());
            }
        }
        let samples = judged.labels.len();
        Ok(BatchPart::new(
            &self.objective,
            self.parameters(),
            &total.sums,
            samples,
        ))
    }

    /// Layers that are silent or saturated, judged by the training samples since rates were last taken.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let Counted {
            spikes, samples, ..
        } = &self.counted;
        let layers = self.network.layers.iter().zip(spikes);
        let spiking = layers.filter(|(layer, _)| !layer.neuron.spikes.is_empty());
        let judged = spiking.filter_map(|(layer, &count)| {
            let chances = (layer.size() * self.samples.steps() * samples).max(1);
            let density = count as f64 / chances as f64;
            let layer = layer.name.clone();
            match count {
                0 => Some(Notice::Silent { layer }),
                _ if density > SATURATED => Some(Notice::Saturated { layer, density }),
                _ => None,
            }
        });
        judged.collect()
    }

    /// What was counted over the training samples since the last call.
    pub(crate) fn take_counted(&mut self) -> Taken {
        let specs = &self.simulator.parameters().specs;
        let fresh = Counted::new(self.network.layers.len(), specs.len());
        let counted = std::mem::replace(&mut self.counted, fresh);
        let steps = counted.steps.max(1) as f64;
        let norms = specs.iter().zip(&counted.norms).filter(|(s, _)| s.trained);
        let norms = norms.map(|(spec, sum)| (spec.name.clone(), sum / steps));
        let norms = norms.collect();
        let each = 1.0 / counted.samples.max(1) as f64;
        Taken {
            rates: self.rates(&counted.spikes, counted.samples),
            gradient_norms: norms,
            spikes: counted.spikes.iter().sum::<u64>() as f64 * each,
            synaptic_operations: counted.operations.map(|sum| sum * each),
        }
    }

    fn rates(&self, spikes: &[u64], samples: usize) -> Vec<(String, f64)> {
        let seconds =
            self.samples.steps() as f64 * self.network.step_ms * 1e-3 * samples.max(1) as f64;
        let spiking = self
            .network
            .layers
            .iter()
            .zip(spikes)
            .filter(|(layer, _)| !layer.neuron.spikes.is_empty());
        spiking
            .map(|(layer, &count)| {
                (
                    layer.name.clone(),
                    count as f64 / seconds / layer.size() as f64,
                )
            })
            .collect()
    }
}

/// What samples are judged by: their labels and, if the objective reads them, targets over time.
struct Judged {
    labels: Vec<u32>,
    targets: Vec<Vec<f32>>,
}

impl Judged {
    /// The probe of some of the samples.
    fn group<'a>(
        &'a self,
        objective: &'a Compiled,
        range: std::ops::Range<usize>,
        purpose: Purpose<'a>,
    ) -> Group<'a> {
        let targets = self.targets.get(range.clone()).unwrap_or_default();
        let targets: Vec<&[f32]> = targets.iter().map(Vec::as_slice).collect();
        Group::new(objective, &self.labels[range], &targets, purpose)
    }
}

/// What was counted in an epoch.
pub(crate) struct Taken {
    /// Mean spikes per neuron and second of each layer.
    pub(crate) rates: Named,
    /// The mean norm of the gradient of each trained parameter.
    pub(crate) gradient_norms: Named,
    /// Spikes of all layers for a sample.
    pub(crate) spikes: f64,
    /// Synaptic operations for a sample, where they are counted in training.
    pub(crate) synaptic_operations: Option<f64>,
}

/// Numbers by the name of what they belong to.
type Named = Vec<(String, f64)>;

/// The Euclidean norm of a gradient. Eight sums run side by side, so that an addition does not wait for the
/// one before.
fn norm(gradient: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (chunks, rest) = gradient.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &g) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    for (sum, &g) in sums.iter_mut().zip(rest) {
        *sum += f64::from(g) * f64::from(g);
    }
    sums.iter().sum::<f64>().sqrt()
}

fn batch<'a>(inputs: &'a [Input<'_>], steps: usize, keys: Vec<u64>) -> Batch<'a, f32> {
    let events = |input: &'a Input<'_>| Events {
        offsets: input.offsets(),
        indices: input.indices(),
        values: input.values(),
    };
    Batch {
        steps,
        samples: inputs.len(),
        inputs: vec![inputs.iter().map(events).collect()],
        injections: Vec::new(),
        initial: Vec::new(),
        keys,
    }
}

/// Forward and backward are measured for each group; with several threads their sum exceeds the time that passed.
fn timing(start: Instant, before_update: Instant, forward: Duration, backward: Duration) -> Timing {
    let end = Instant::now();
    let passed = (before_update - start).as_secs_f64();
    let share = (passed / (forward + backward).as_secs_f64().max(1e-12)).min(1.0);
    Timing {
        total: end - start,
        forward: forward.mul_f64(share),
        backward: backward.mul_f64(share),
        update: end - before_update,
    }
}
