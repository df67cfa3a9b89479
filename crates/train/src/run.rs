//! The loop over epochs, and the run folder.
//!
//! After every epoch the folder holds a checkpoint that a resume continues from to the same bits, the
//! metrics so far, and the best weights: those of the best accuracy on validation samples or, without
//! validation samples, the last. Test samples are looked at once, at the end, and choose nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rheobase_data::Batches;
use serde_json::{Map, Value, json};

use crate::atomic::{check_writable, replace};
use crate::checkpoint::{self, Position};
use crate::error::TrainError;
use crate::notice::Notice;
use crate::samples::Subset;
use crate::trainer::{Evaluation, StepReport, Trainer};
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
    /// The accuracy of the training samples, each before its update.
    pub train_accuracy: f64,
    /// On the validation samples, after the epoch.
    pub valid: Option<Evaluation>,
    /// On the test samples, after the last epoch, with the best weights.
    pub test: Option<Evaluation>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean norm of the gradient.
    pub gradient_norm: f64,
    /// Mean spikes per neuron and second of each layer, over the training samples.
    pub rates: Vec<(String, f64)>,
    /// How long the epoch took.
    pub seconds: f64,
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

/// Trains to the end of the plan.
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
    let mut run = Run::start(trainer, config)?;
    let epochs = trainer.plan.epochs;
    let mut last = None;
    for epoch in run.position.epochs..epochs {
        let mut report = run_epoch(trainer, epoch, observer)?;
        let better = match (&report.valid, run.position.best) {
            (Some(valid), Some((best, _))) => valid.score() > best,
            (Some(_), None) | (None, _) => true,
        };
        if better {
            let accuracy = report.valid.as_ref().map_or(0.0, Evaluation::score);
            run.position.best = Some((accuracy, epoch + 1));
            run.save_best(trainer)?;
        }
        run.position.epochs = epoch + 1;
        if epoch + 1 == epochs {
            report.test = run.test(trainer)?;
        }
        run.save_epoch(trainer, &report)?;
        observer.finished(&report);
        last = Some(report);
    }
    let best_epoch = run.position.best.map_or(0, |(_, epoch)| epoch);
    match last {
        Some(last) => Ok(Summary {
            test: last.test.clone(),
            last,
            best_epoch,
        }),
        None => Err(TrainError::Plan(
            "there is nothing to do: all epochs of the plan are done".into(),
        )),
    }
}

fn run_epoch(
    trainer: &mut Trainer,
    epoch: usize,
    observer: &mut dyn Observer,
) -> Result<EpochReport, TrainError> {
    let start = Instant::now();
    let order = trainer.order(epoch);
    let total = order.len();
    let (mut done, mut loss, mut correct, mut norm, mut steps, mut learning_rate) =
        (0, 0.0, 0, 0.0, 0, 0.0);
    for indices in Batches::new(&order, trainer.plan.batch)? {
        let position = epoch as f64 + done as f64 / total as f64;
        let report = trainer.step(indices, position)?;
        done += report.samples;
        loss += report.loss * report.samples as f64;
        correct += report.correct;
        norm += report.gradient_norm;
        steps += 1;
        learning_rate = report.learning_rate;
        if epoch == 0 && steps == 1 {
            trainer.notices().iter().for_each(|n| observer.noticed(n));
        }
        if observer.stepped(epoch + 1, done, total, &report).is_break() {
            return Err(TrainError::Interrupted);
        }
    }
    if epoch == 0
        && let Some(notice) = trainer.samples.notice()
    {
        observer.noticed(&notice);
    }
    let valid = match trainer.samples.is_empty(Subset::Valid) {
        true => None,
        false => Some(trainer.evaluate(Subset::Valid)?),
    };
    let rates = trainer.take_rates();
    Ok(EpochReport {
        epoch: epoch + 1,
        epochs: trainer.plan.epochs,
        train_loss: loss / total as f64,
        train_accuracy: correct as f64 / total as f64,
        valid,
        test: None,
        learning_rate,
        gradient_norm: norm / f64::from(steps),
        rates,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// What is kept of a run while it goes on.
struct Run<'a> {
    config: &'a Config,
    position: Position,
    metrics: String,
    best: Option<rheobase_runtime::Parameters<f32>>,
}

impl<'a> Run<'a> {
    fn start(trainer: &mut Trainer, config: &'a Config) -> Result<Run<'a>, TrainError> {
        let mut run = Run {
            config,
            position: Position {
                epochs: 0,
                best: None,
            },
            metrics: String::new(),
            best: None,
        };
        let Some(out) = &config.out else {
            return Ok(run);
        };
        check_writable(out)?;
        if config.resume {
            run.resume(trainer, out)?;
        }
        replace(&out.join("config.snn"), config.program.as_bytes())?;
        Ok(run)
    }

    fn resume(&mut self, trainer: &mut Trainer, out: &Path) -> Result<(), TrainError> {
        let mut parameters = trainer.parameters().clone();
        self.position = checkpoint::load(
            &out.join("last.ckpt"),
            &mut parameters,
            &mut trainer.optimizer,
            &self.config.program,
        )?;
        trainer.simulator.set_parameters(parameters)?;
        let mut best = trainer.parameters().clone();
        let path = out.join("best.safetensors");
        weights::apply(&path, &weights::load(&path)?, &mut best, true)?;
        self.best = Some(best);
        let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default();
        // A row may have been written after the checkpoint; its epoch is run again.
        self.metrics = metrics
            .lines()
            .take(self.position.epochs)
            .map(|line| format!("{line}\n"))
            .collect();
        Ok(())
    }

    fn save_best(&mut self, trainer: &Trainer) -> Result<(), TrainError> {
        self.best = Some(trainer.parameters().clone());
        match &self.config.out {
            Some(out) => weights::save(
                &out.join("best.safetensors"),
                trainer.parameters(),
                &self.config.program,
            ),
            None => Ok(()),
        }
    }

    /// The evaluation of the best weights on the test samples; the weights of the last epoch are put back.
    fn test(&self, trainer: &mut Trainer) -> Result<Option<Evaluation>, TrainError> {
        if trainer.samples.is_empty(Subset::Test) {
            return Ok(None);
        }
        let last = trainer.parameters().clone();
        if let Some(best) = &self.best {
            trainer.simulator.set_parameters(best.clone())?;
        }
        let evaluation = trainer.evaluate(Subset::Test);
        trainer.simulator.set_parameters(last)?;
        evaluation.map(Some)
    }

    fn save_epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<(), TrainError> {
        self.metrics.push_str(&row(report).to_string());
        self.metrics.push('\n');
        let Some(out) = &self.config.out else {
            return Ok(());
        };
        replace(&out.join("metrics.jsonl"), self.metrics.as_bytes())?;
        let path = out.join("last.ckpt");
        checkpoint::save(
            &path,
            trainer.parameters(),
            &trainer.optimizer,
            &self.position,
            &self.config.program,
        )
    }
}

/// One line of `metrics.jsonl`.
fn row(report: &EpochReport) -> Value {
    let mut row = Map::new();
    row.insert("epoch".into(), json!(report.epoch));
    row.insert("train_loss".into(), json!(report.train_loss));
    row.insert("train_accuracy".into(), json!(report.train_accuracy));
    for (name, evaluation) in [("valid", &report.valid), ("test", &report.test)] {
        if let Some(evaluation) = evaluation {
            row.insert(format!("{name}_loss"), json!(evaluation.loss));
            row.insert(format!("{name}_accuracy"), json!(evaluation.accuracy()));
        }
    }
    let rates: Map<String, Value> = report
        .rates
        .iter()
        .map(|(layer, rate)| (layer.clone(), json!(rate)))
        .collect();
    row.insert("learning_rate".into(), json!(report.learning_rate));
    row.insert("spikes_per_neuron_per_second".into(), Value::Object(rates));
    row.insert("gradient_norm".into(), json!(report.gradient_norm));
    row.insert("seconds".into(), json!(report.seconds));
    Value::Object(row)
}
