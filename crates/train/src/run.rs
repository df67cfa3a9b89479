//! The loop over epochs, and the run folder.
//!
//! After every epoch, and more often if wanted, the folder holds a checkpoint that a resume continues from
//! to the same bits, the metrics so far, and the best weights: those of the best accuracy (without
//! classes the least loss) on validation samples or, without validation samples, the last. Test samples are looked at once, at the end, and choose
//! nothing.
//!
//! Order of writing at the end of an epoch: best weights, metrics, checkpoint. A process that is killed in
//! between has done an epoch that its checkpoint does not know of; the resume runs it again, to the same
//! bits, and replaces the files with the same content.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rheobase_data::Batches;
use rheobase_runtime::{Float, Parameters};
use serde_json::Value;

use crate::ahead;
use crate::atomic::{check_writable, replace};
use crate::checkpoint::{self, Kept, Position};
use crate::epoch::Sums;
use crate::error::TrainError;
use crate::folder;
use crate::learner::Learner;
use crate::metrics;
use crate::notice::Notice;
use crate::samples::Subset;
use crate::trainer::{Evaluation, StepReport, Trainer, either};
use crate::weights;

/// How a run is kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder; `None` keeps nothing.
    pub out: Option<PathBuf>,
    /// The exact program text, imports included.
    pub program: String,
    /// Continue from the checkpoint in the folder.
    pub resume: bool,
    /// Checkpoints within an epoch; there is one after every epoch anyway.
    pub save_every: Option<SaveEvery>,
}

/// How often a checkpoint is written within an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SaveEvery {
    /// After this many steps.
    Steps(u64),
    /// After the first step that ends this long after the last checkpoint.
    Time(Duration),
}

/// What an epoch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// From 1.
    pub epoch: usize,
    /// All epochs of the plan.
    pub epochs: usize,
    /// The mean loss of the training samples, each before its update.
    pub train_loss: f64,
    /// The accuracy of the training samples, each before its update; `None` for a task without classes.
    pub train_accuracy: Option<f64>,
    /// On the validation samples, after the epoch.
    pub valid: Option<Evaluation>,
    /// On the test samples, after the last epoch, with the best weights.
    pub test: Option<Evaluation>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean norm of the gradient.
    pub gradient_norm: f64,
    /// The mean norm of the gradient of each trained parameter.
    pub gradient_norms: Vec<(String, f64)>,
    /// Mean spikes per neuron and second of each layer, over the training samples.
    pub rates: Vec<(String, f64)>,
    /// Spikes of all layers for a training sample.
    pub train_spikes: f64,
    /// Synaptic operations for a training sample; `None` for networks in which counting them would slow training
    /// down (convolutions, sparse connections between layers). Evaluations always count.
    pub train_synaptic_operations: Option<f64>,
    /// How long the epoch took.
    pub seconds: f64,
}

impl EpochReport {
    /// The line of `metrics.jsonl`.
    pub fn to_json(&self) -> Value {
        metrics::row(self)
    }
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The last epoch.
    pub last: EpochReport,
    /// The epoch of the best weights.
    pub best_epoch: usize,
    /// On the test samples, with the best weights.
    pub test: Option<Evaluation>,
}

/// Watches a run.
pub trait Observer {
    /// After a step: `done` of `total` samples of the epoch. `Break` ends the run after this step.
    fn stepped(
        &mut self,
        epoch: usize,
        done: usize,
        total: usize,
        report: &StepReport,
    ) -> ControlFlow<()>;

    /// After an epoch.
    fn finished(&mut self, report: &EpochReport);

    /// Something is probably not meant; the run goes on.
    fn noticed(&mut self, notice: &Notice) {
        let _ = notice;
    }
}

/// Trains to the end of the plan. A run that is at its end already only looks at its samples again.
///
/// # Errors
///
/// The folder cannot be written, a sample is damaged, numbers are no longer finite, or the observer broke off. What was
/// saved before stays whole.
pub fn train(
    trainer: &mut Trainer,
    config: &Config,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    either!(&mut trainer.0, learner => train_in_precision(learner, config, observer))
}

fn train_in_precision<R: Float>(
    learner: &mut Learner<R>,
    config: &Config,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let mut run = Run::start(learner, config, observer)?;
    let epochs = learner.plan.epochs;
    let mut last = None;
    let patience = learner.plan.patience;
    for epoch in run.position.epochs..epochs {
        if learner.watch.is_over(patience) {
            break;
        }
        let mut report = run.epoch(learner, epoch, observer)?;
        let better = match (&report.valid, run.position.best) {
            (Some(valid), Some((best, _))) => valid.score() > best,
            (Some(_), None) | (None, _) => true,
        };
        if better {
            let score = report.valid.as_ref().map_or(0.0, Evaluation::score);
            run.position.best = Some((score, epoch + 1));
            run.save_best(learner)?;
        }
        let score = report.valid.as_ref().map(Evaluation::score);
        let score = score.unwrap_or(-report.train_loss);
        learner.watch.see(score, &learner.plan.schedule);
        run.position.epochs = epoch + 1;
        run.position.sums = Sums::default();
        if epoch + 1 == epochs || learner.watch.is_over(patience) {
            report.test = run.test(learner)?;
        }
        run.save_epoch(learner, &report)?;
        observer.finished(&report);
        last = Some(report);
    }
    let best_epoch = run.position.best.map_or(0, |(_, epoch)| epoch);
    let last = match last {
        Some(last) => last,
        None => run.looked_at_again(learner)?,
    };
    Ok(Summary {
        test: last.test.clone(),
        last,
        best_epoch,
    })
}

/// What is kept of a run while it goes on.
struct Run<'a, R> {
    config: &'a Config,
    position: Position,
    metrics: String,
    best: Option<Parameters<R>>,
    /// When the last checkpoint was written, and how many steps ago.
    saved: (Instant, u64),
    _lock: Option<folder::Lock>,
}

impl<'a, R: Float> Run<'a, R> {
    fn start(
        learner: &mut Learner<R>,
        config: &'a Config,
        observer: &mut dyn Observer,
    ) -> Result<Run<'a, R>, TrainError> {
        let mut run = Run {
            config,
            position: Position::default(),
            metrics: String::new(),
            best: None,
            saved: (Instant::now(), 0),
            _lock: None,
        };
        let Some(out) = &config.out else {
            return Ok(run);
        };
        check_writable(out)?;
        run._lock = Some(folder::take(out)?);
        if config.resume {
            run.resume(learner, out)?;
        } else if let Some(aside) = folder::set_aside(out)? {
            observer.noticed(&Notice::SetAside { folder: aside });
        }
        if !config.resume {
            // A disk that is full is found now, and a run that is killed in its first epoch can be resumed. The
            // program comes after it: a folder with a program has all that decided the run.
            run.save_checkpoint(learner)?;
        }
        let kept = out.join("config.snn");
        // A resume has just seen that its program is this one.
        if !config.resume || !kept.exists() {
            replace(&kept, config.program.as_bytes())?;
        }
        Ok(run)
    }

    fn resume(&mut self, learner: &mut Learner<R>, out: &Path) -> Result<(), TrainError> {
        let mut parameters = learner.parameters().clone();
        self.position = checkpoint::load(
            &out.join("last.ckpt"),
            Kept {
                parameters: &mut parameters,
                optimizer: &mut learner.optimizer,
                counted: &mut learner.counted,
                watch: &mut learner.watch,
                damage: &learner.samples.damage,
            },
            &self.config.program,
        )?;
        learner.simulator.set_parameters(parameters)?;
        if self.position.best.is_some() {
            let mut best = learner.parameters().clone();
            let path = out.join("best.safetensors");
            weights::apply(&path, &weights::load(&path)?, &mut best, true)?;
            self.best = Some(best);
        }
        let path = out.join("metrics.jsonl");
        let metrics = match self.position.epochs {
            0 => String::new(),
            _ => String::from_utf8_lossy(&weights::read(&path)?).into_owned(),
        };
        // A row may have been written after the checkpoint; its epoch is run again.
        let rows: Vec<&str> = metrics.lines().take(self.position.epochs).collect();
        if rows.len() < self.position.epochs {
            return Err(TrainError::File {
                path,
                action: "continue",
                reason: format!(
                    "it has {} rows, the checkpoint stands after epoch {}",
                    rows.len(),
                    self.position.epochs
                ),
            });
        }
        self.metrics = rows.iter().map(|line| format!("{line}\n")).collect();
        Ok(())
    }

    /// One epoch, from the place in it where the run stands.
    fn epoch(
        &mut self,
        learner: &mut Learner<R>,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<EpochReport, TrainError> {
        let start = Instant::now();
        let before = self.position.sums.seconds;
        let order = learner.order(epoch);
        let total = order.len();
        let already = self.position.sums.steps;
        let samples = learner.samples.clone();
        let batches = Batches::new(&order, learner.plan.batch)?.skip(already);
        let reads_target = learner.plan.objective.reads_target();
        std::thread::scope(|scope| -> Result<(), TrainError> {
            for prepared in ahead::prepared(scope, &samples, batches, epoch, reads_target) {
                let prepared = prepared?;
                self.tell_left_out(learner, observer);
                if prepared.indices.is_empty() {
                    self.position.sums.steps += 1;
                    continue;
                }
                let done = self.position.sums.samples;
                let position = epoch as f64 + done as f64 / total as f64;
                let report = learner.step_with(prepared, position)?;
                let sums = &mut self.position.sums;
                sums.add(&report);
                sums.seconds = before + start.elapsed().as_secs_f64();
                if epoch == 0 && sums.steps == 1 {
                    learner.notices().iter().for_each(|n| observer.noticed(n));
                }
                let goes_on = observer.stepped(epoch + 1, sums.samples, total, &report);
                self.save_step(learner, goes_on)?;
            }
            Ok(())
        })?;
        drop(samples);
        if self.position.sums.samples == 0 {
            return Err(TrainError::Plan("every training sample is damaged".into()));
        }
        let last = total.saturating_sub(1) / learner.plan.batch * learner.plan.batch;
        learner.update_with_waiting(epoch as f64 + last as f64 / total as f64)?;
        if epoch == 0
            && let Some(notice) = learner.samples.notice()
        {
            observer.noticed(&notice);
        }
        let valid = match learner.samples.is_empty(Subset::Valid) {
            true => None,
            false => Some(learner.evaluate_with(learner.judged_parameters(), Subset::Valid)?),
        };
        self.tell_left_out(learner, observer);
        let taken = learner.take_counted();
        let sums = &self.position.sums;
        let read = sums.samples as f64;
        Ok(EpochReport {
            epoch: epoch + 1,
            epochs: learner.plan.epochs,
            train_loss: sums.loss / read,
            train_accuracy: (learner.plan.objective.classes() > 0)
                .then(|| sums.correct as f64 / read),
            valid,
            test: None,
            learning_rate: sums.learning_rate,
            gradient_norm: sums.norm / sums.steps.max(1) as f64,
            gradient_norms: taken.gradient_norms,
            rates: taken.rates,
            train_spikes: taken.spikes,
            train_synaptic_operations: taken.synaptic_operations,
            seconds: before + start.elapsed().as_secs_f64(),
        })
    }

    /// Names samples that were left out since the last look.
    fn tell_left_out(&self, learner: &Learner<R>, observer: &mut dyn Observer) {
        for message in learner.samples.newly_left_out() {
            observer.noticed(&Notice::LeftOut { message });
        }
    }

    /// A checkpoint if one is due; if the observer broke off, it is the last thing that happens.
    fn save_step(
        &mut self,
        learner: &Learner<R>,
        goes_on: ControlFlow<()>,
    ) -> Result<(), TrainError> {
        self.saved.1 += 1;
        let due = match self.config.save_every {
            Some(SaveEvery::Steps(steps)) => self.saved.1 >= steps,
            Some(SaveEvery::Time(time)) => self.saved.0.elapsed() >= time,
            None => false,
        };
        if due || goes_on.is_break() {
            self.save_checkpoint(learner)?;
        }
        match goes_on {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainError::Interrupted),
        }
    }

    fn save_checkpoint(&mut self, learner: &Learner<R>) -> Result<(), TrainError> {
        self.saved = (Instant::now(), 0);
        let Some(out) = &self.config.out else {
            return Ok(());
        };
        checkpoint::save(
            &out.join("last.ckpt"),
            learner,
            &self.position,
            &self.config.program,
        )
    }

    fn save_best(&mut self, learner: &Learner<R>) -> Result<(), TrainError> {
        let parameters = learner.judged_parameters();
        if let Some(out) = &self.config.out {
            let path = out.join("best.safetensors");
            weights::save(&path, &parameters, &self.config.program)?;
        }
        self.best = Some(parameters);
        Ok(())
    }

    /// The evaluation of the best weights on the test samples; the weights of the last epoch are put back.
    fn test(&self, learner: &mut Learner<R>) -> Result<Option<Evaluation>, TrainError> {
        let subsets = [(Subset::Test, "test"), (Subset::Valid, "valid")];
        let found = subsets
            .into_iter()
            .find(|(subset, _)| !learner.samples.is_empty(*subset));
        let Some((subset, name)) = found else {
            return Ok(None);
        };
        let best = self.best.clone();
        let best = best.unwrap_or_else(|| learner.judged_parameters());
        let evaluation = learner.evaluate_with(best, subset)?;
        if let Some(out) = &self.config.out {
            let text = format!("{:#}\n", evaluation.to_json(name));
            replace(&out.join("evaluation.json"), text.as_bytes())?;
        }
        Ok((subset == Subset::Test).then_some(evaluation))
    }

    fn save_epoch(&mut self, learner: &Learner<R>, report: &EpochReport) -> Result<(), TrainError> {
        self.metrics.push_str(&metrics::row(report).to_string());
        self.metrics.push('\n');
        if let Some(out) = &self.config.out {
            replace(&out.join("metrics.jsonl"), self.metrics.as_bytes())?;
        }
        self.save_checkpoint(learner)
    }

    /// The last epoch of a run that has nothing left to do: its row, and its samples evaluated again.
    fn looked_at_again(&self, learner: &mut Learner<R>) -> Result<EpochReport, TrainError> {
        let row = self.metrics.lines().last().unwrap_or_default();
        let row: Value = serde_json::from_str(row)
            .map_err(|error| TrainError::Plan(format!("the last row of metrics.jsonl: {error}")))?;
        let valid = match learner.samples.is_empty(Subset::Valid) {
            true => None,
            false => Some(learner.evaluate_with(learner.judged_parameters(), Subset::Valid)?),
        };
        let test = self.test(learner)?;
        Ok(metrics::report(&row, learner.plan.epochs, valid, test))
    }
}
