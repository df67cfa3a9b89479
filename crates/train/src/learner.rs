//! A network with its data and its optimiser in one precision: a step, an epoch's order, an evaluation.
//!
//! What is generic here is compiled in this crate, for both precisions, by `trainer.rs`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rheobase_data::epoch_order;
use rheobase_ir::program::{Checkpoint, Clip, Network, Program, Training};
use rheobase_runtime::{
    Adjoints, Backend, Batch, Events, Float, Gradients, Load, MemoryPlan, Parameters, Probe,
    RuntimeError, Simulator, StepView,
};

use crate::ahead::{AT_ONCE, Prepared};
use crate::effort::Effort;
use crate::epoch::Counted;
use crate::error::TrainError;
use crate::init::initial_parameters;
use crate::notice::Notice;
use crate::objective::{BatchPart, Compiled, Group, Purpose, Scores};
use crate::optimizer::{Clipping, Optimizer};
use crate::samples::{Input, Samples, Subset, load};
use crate::schedule;
use crate::trainer::{Evaluation, StepReport, Timing};
use crate::watch::Watch;

/// A layer that spikes in more than this share of its neuron-steps carries little information.
const SATURATED: f64 = 0.9;

/// Samples that are evaluated at once.
const EVALUATION_BATCH: usize = 256;

/// A network with its data and its optimiser; see [`crate::Trainer`].
pub(crate) struct Learner<R> {
    pub(crate) network: Network,
    pub(crate) plan: Training,
    /// Shared with the thread that prepares batches.
    pub(crate) samples: Arc<Samples>,
    pub(crate) simulator: Simulator<R>,
    pub(crate) optimizer: Optimizer<R>,
    objective: Compiled,
    effort: Effort,
    threads: usize,
    /// What happened in the epoch so far.
    pub(crate) counted: Counted,
    /// How the epochs so far went.
    pub(crate) watch: Watch,
}

/// The probe of training and of evaluation: the loss, with a stopwatch, and the operations of layers that are
/// counted neuron by neuron. One for both, because the time loop is compiled for each kind of probe.
struct Judging<'a, R> {
    inner: Group<'a, R>,
    effort: Option<&'a Effort>,
    operations: f64,
    start: Instant,
    turned: Option<Instant>,
    end: Option<Instant>,
}

impl<R: Float> Probe<R> for Judging<'_, R> {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        self.inner.observe(t, view);
        if let Some(effort) = self.effort {
            self.operations += effort.of_step(view);
        }
    }

    fn turn(&mut self) -> bool {
        let goes_on = self.inner.turn();
        self.turned = Some(Instant::now());
        goes_on
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>) {
        self.inner.seed(t, adjoints);
    }

    fn collect(&mut self, t: usize, _: &StepView<'_, R>) {
        if t == 0 {
            self.end = Some(Instant::now());
        }
    }
}

impl<R: Float> Learner<R> {
    /// Compiles the network, opens the data (relative paths start at `base`) and draws the parameters.
    ///
    /// # Errors
    ///
    /// The program has no plan, or the data does not fit.
    pub(crate) fn new(
        program: &Program,
        backend: Backend,
        threads: usize,
        base: &Path,
    ) -> Result<Learner<R>, TrainError> {
        let network = program.network.clone();
        let plan = program.training.clone();
        let plan = plan
            .ok_or_else(|| TrainError::Plan(format!("`{}` has no `train` block", network.name)))?;
        let samples = load(&network, &plan, base)?;
        let (wanted, tape) = (Gradients::Trained, plan.gradient.tape);
        let mut simulator = Simulator::<R>::with_tape(&network, backend, wanted, tape)?;
        let parameters = initial_parameters(&network, &simulator.parameters().specs, plan.seed);
        let optimizer = Optimizer::new(&plan, &network, &parameters);
        simulator.set_parameters(parameters)?;
        let objective = Compiled::new(&plan.objective, &simulator, plan.steps)?;
        let counted = Counted::new(network.layers.len(), simulator.parameters().specs.len());
        let effort = Effort::new(&network, &simulator);
        let mut learner = Learner {
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
        let _ = learner.plan_memory(None);
        Ok(learner)
    }

    /// The parameters that training starts from.
    pub(crate) fn initial_parameters(&self) -> Parameters<R> {
        initial_parameters(&self.network, &self.parameters().specs, self.plan.seed)
    }

    /// The parameters.
    pub(crate) fn parameters(&self) -> &Parameters<R> {
        self.simulator.parameters()
    }

    /// Changes the parameters from outside, for instance to weights from a file.
    ///
    /// # Errors
    ///
    /// A mistake of the compiler.
    pub(crate) fn set_parameters(&mut self, parameters: Parameters<R>) -> Result<(), TrainError> {
        self.optimizer = Optimizer::new(&self.plan, &self.network, &parameters);
        Ok(self.simulator.set_parameters(parameters)?)
    }

    /// Plans memory within a limit in bytes and keeps to it from now on.
    ///
    /// # Errors
    ///
    /// No plan is within the limit: the one that takes least, which is not used.
    pub(crate) fn plan_memory(&mut self, limit: Option<u64>) -> Result<MemoryPlan, MemoryPlan> {
        let batch = self.plan.batch;
        let at_once = (AT_ONCE * batch).max(EVALUATION_BATCH);
        let targets = match self.objective.reads_target() {
            true => at_once * self.samples.steps() * self.samples.target_units(),
            false => 0,
        };
        let traces = self.objective.kept_bytes(batch, size_of::<R>());
        let traces = traces + targets * size_of::<f32>();
        let plan = |forget: bool| {
            self.simulator.plan_memory(&Load {
                steps: self.samples.steps(),
                batch,
                threads: self.threads,
                gradient: self.plan.gradient,
                // Without a limit nobody asks.
                fixed: limit.map_or(0, |_| traces + self.samples.planned_bytes(at_once, forget)),
                limit,
            })
        };
        // To encode samples again is cheaper than to run steps again.
        let kept = plan(false);
        let forget = match &kept {
            Ok(plan) => plan.group.again > 0 && self.plan.gradient.checkpoint == Checkpoint::Auto,
            Err(_) => true,
        };
        let plan = match forget {
            true => {
                let passing = plan(true)?;
                self.samples.forget(true);
                passing
            }
            false => {
                self.samples.forget(false);
                kept?
            }
        };
        self.simulator.set_time(plan.time);
        self.threads = plan.threads;
        Ok(plan)
    }

    /// The order of the training samples in an epoch.
    pub(crate) fn order(&self, epoch: usize) -> Vec<usize> {
        epoch_order(
            self.samples.len(Subset::Train),
            self.plan.seed,
            epoch as u64,
        )
    }

    /// One step with these training samples, which is an update or, if the plan accumulates, a part of one.
    /// `position` is where in the run it stands, in epochs.
    ///
    /// # Errors
    ///
    /// A damaged sample, or numbers that are no longer finite.
    pub(crate) fn step(
        &mut self,
        indices: &[usize],
        position: f64,
    ) -> Result<StepReport, TrainError> {
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

    /// [`Learner::step`] with samples that are prepared already.
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
        let outcome = self.simulator.differentiate(&batch, self.threads, |range| {
            judged.probe(&self.objective, range, purpose, None)
        });
        if let Err(RuntimeError::NonFinite(_)) = outcome {
            let probe = |range| judged.probe(&self.objective, range, purpose, None);
            return Err(self.not_finite((&batch, indices, &[]), position, probe));
        }
        let mut outcome = outcome?;
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
            let probe = |range| judged.probe(&self.objective, range, purpose, None);
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
        self.simulator.reuse(gradients);
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
    fn update(&mut self, gradients: &[Vec<R>], norm: f64, factor: f64) -> Result<(), TrainError> {
        let clip = match self.plan.clip {
            Some(Clip::Norm(limit)) if norm > limit => Clipping::Scale(R::from_f64(limit / norm)),
            Some(Clip::Value(limit)) => Clipping::Value(R::from_f64(limit)),
            Some(Clip::Norm(_)) | None => Clipping::Scale(R::ONE),
        };
        let (optimizer, threads) = (&mut self.optimizer, self.threads);
        self.simulator
            .update_parameters(|p| optimizer.update(p, gradients, (clip, factor), threads))?;
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
    pub(crate) fn judged_parameters(&self) -> Parameters<R> {
        let current = self.parameters();
        let averaged = self.optimizer.averaged(current);
        averaged.unwrap_or_else(|| current.clone())
    }

    /// An evaluation of other parameters; its own are put back.
    pub(crate) fn evaluate_with(
        &mut self,
        parameters: Parameters<R>,
        subset: Subset,
    ) -> Result<Evaluation, TrainError> {
        let own = self.parameters().clone();
        self.simulator.set_parameters(parameters)?;
        let evaluation = self.evaluate(subset);
        self.simulator.set_parameters(own)?;
        evaluation
    }

    /// What ended an evaluation, with the op that gave the first number that is not finite.
    fn with_op(&self, batch: &Batch<'_, R>, error: RuntimeError) -> RuntimeError {
        let RuntimeError::NonFinite(_) = error else {
            return error;
        };
        match self.simulator.locate_non_finite(batch) {
            Ok(Some(place)) => RuntimeError::NonFinite(Box::new(place)),
            Ok(None) | Err(_) => error,
        }
    }

    /// Which number stopped being finite first: a state, or in the backward that starts from `probe`.
    fn not_finite<'p>(
        &self,
        (batch, indices, gradients): (&Batch<'_, R>, &[usize], &[Vec<R>]),
        position: f64,
        probe: impl Fn(std::ops::Range<usize>) -> Judging<'p, R> + Sync,
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
            precision: R::NAME,
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
    pub(crate) fn evaluate(&self, subset: Subset) -> Result<Evaluation, TrainError> {
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
            let outcome = self.simulator.infer(&batch, self.threads, |range| {
                judged.probe(&self.objective, range, Purpose::Judge, Some(&self.effort))
            });
            let outcome = outcome.map_err(|error| self.with_op(&batch, error))?;
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
    pub(crate) fn predict(&self, subset: Subset, sample: usize) -> Result<Option<u32>, TrainError> {
        let Some(found) = self.infer(subset, &[sample], 1)? else {
            return Ok(None);
        };
        let mut predicted = found.scores.into_iter().flat_map(|s| s.predicted);
        Ok(predicted.next())
    }

    /// Spikes of each layer, over these samples.
    pub(crate) fn spikes(&self, subset: Subset, samples: &[usize]) -> Result<Vec<u64>, TrainError> {
        let found = self.infer(subset, samples, self.threads)?;
        Ok(found.map_or_else(|| vec![0; self.network.layers.len()], |found| found.spikes))
    }

    /// Runs samples forward; `None` if all of them are left out.
    fn infer(
        &self,
        subset: Subset,
        indices: &[usize],
        threads: usize,
    ) -> Result<Option<Inferred>, TrainError> {
        let reads = self.objective.reads_target();
        let prepared = Prepared::new(&self.samples, subset, indices, 0, reads)?;
        if prepared.indices.is_empty() {
            return Ok(None);
        }
        let batch = batch(&prepared.inputs, self.samples.steps(), prepared.keys);
        let judged = Judged {
            labels: prepared.labels,
            targets: prepared.targets,
        };
        let outcome = self.simulator.infer(&batch, threads, |range| {
            judged.probe(&self.objective, range, Purpose::Judge, None)
        })?;
        let scores = outcome.probes.into_iter().map(|p| p.inner.scores());
        Ok(Some(Inferred {
            scores: scores.collect(),
            spikes: outcome.spikes,
        }))
    }

    /// What of the objective is of the batch; means over its samples take a forward of their own.
    fn batch_part(
        &self,
        batch: &Batch<'_, R>,
        judged: &Judged,
        learns: bool,
    ) -> Result<BatchPart, TrainError> {
        let mut total = Scores::default();
        if self.objective.has_batch_mean() {
            let probe = |range| judged.probe(&self.objective, range, Purpose::Means, None);
            // The forward of a training step, with its masks and its means of the batch; the probes do not turn.
            let outcome = match learns {
                true => self.simulator.differentiate(batch, self.threads, probe)?,
                false => self.simulator.infer(batch, self.threads, probe)?,
            };
            for probe in outcome.probes {
                total.add(probe.inner.scores());
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
    fn probe<'a, R: Float>(
        &'a self,
        objective: &'a Compiled,
        range: std::ops::Range<usize>,
        purpose: Purpose<'a>,
        effort: Option<&'a Effort>,
    ) -> Judging<'a, R> {
        let targets = self.targets.get(range.clone()).unwrap_or_default();
        let targets: Vec<&[f32]> = targets.iter().map(Vec::as_slice).collect();
        Judging {
            inner: Group::new(objective, &self.labels[range], &targets, purpose),
            effort,
            operations: 0.0,
            start: Instant::now(),
            turned: None,
            end: None,
        }
    }
}

/// What samples gave that were run forward.
struct Inferred {
    /// Of each group.
    scores: Vec<Scores>,
    /// Of each layer.
    spikes: Vec<u64>,
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
fn norm<R: Float>(gradient: &[R]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (chunks, rest) = gradient.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &g) in sums.iter_mut().zip(chunk) {
            *sum += g.to_f64() * g.to_f64();
        }
    }
    for (sum, &g) in sums.iter_mut().zip(rest) {
        *sum += g.to_f64() * g.to_f64();
    }
    sums.iter().sum::<f64>().sqrt()
}

fn batch<'a, R: Float>(inputs: &'a [Input<'_>], steps: usize, keys: Vec<u64>) -> Batch<'a, R> {
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
