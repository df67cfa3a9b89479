//! A network with its data and its optimiser, in the precision that its plan asks for; and what steps and
//! evaluations report.
//!
//! [`Trainer`] is either a [`Learner`] of `f32` or one of `f64`. Everything that is generic over the precision is
//! compiled here, in this crate; who uses it sees `f64`, which holds numbers of both exactly.

use std::path::Path;
use std::time::Duration;

use rheobase_ir::program::{Network, Precision, Program};
use rheobase_runtime::{Backend, MemoryPlan, Parameters};

use crate::error::TrainError;
use crate::learner::Learner;
use crate::samples::{Samples, Subset};

/// A network with its data and its optimiser.
pub struct Trainer(pub(crate) Either);

/// In one of the precisions.
pub(crate) enum Either {
    F32(Box<Learner<f32>>),
    F64(Box<Learner<f64>>),
}

/// The same for the learner of either precision.
macro_rules! either {
    ($either:expr, $learner:ident => $result:expr) => {
        match $either {
            crate::trainer::Either::F32($learner) => $result,
            crate::trainer::Either::F64($learner) => $result,
        }
    };
}
pub(crate) use either;

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
        Ok(Trainer(match program.precision() {
            Precision::F32 => Either::F32(Box::new(Learner::new(program, backend, threads, base)?)),
            Precision::F64 => Either::F64(Box::new(Learner::new(program, backend, threads, base)?)),
        }))
    }

    /// The precision of everything that is computed.
    pub fn precision(&self) -> Precision {
        match self.0 {
            Either::F32(_) => Precision::F32,
            Either::F64(_) => Precision::F64,
        }
    }

    /// The samples.
    pub fn samples(&self) -> &Samples {
        either!(&self.0, learner => &learner.samples)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        either!(&self.0, learner => learner.simulator.network())
    }

    /// The parameters.
    pub fn parameters(&self) -> Parameters<f64> {
        either!(&self.0, learner => learner.parameters().converted())
    }

    /// The parameters that training started from.
    pub fn initial_parameters(&self) -> Parameters<f64> {
        either!(&self.0, learner => learner.initial_parameters().converted())
    }

    /// Changes the parameters from outside, for instance to weights from a file; they are rounded to the precision.
    ///
    /// # Errors
    ///
    /// A mistake of the compiler.
    pub fn set_parameters(&mut self, parameters: &Parameters<f64>) -> Result<(), TrainError> {
        either!(&mut self.0, learner => learner.set_parameters(parameters.converted()))
    }

    /// The parameters that are judged and kept: their averages, if the plan has them.
    pub fn judged_parameters(&self) -> Parameters<f64> {
        either!(&self.0, learner => learner.judged_parameters().converted())
    }

    /// Plans memory within a limit in bytes and keeps to it from now on.
    ///
    /// # Errors
    ///
    /// No plan is within the limit: the one that takes least, which is not used.
    pub fn plan_memory(&mut self, limit: Option<u64>) -> Result<MemoryPlan, MemoryPlan> {
        either!(&mut self.0, learner => learner.plan_memory(limit))
    }

    /// From now on every state is looked at after every step, in training and in evaluations: the first one that is not
    /// finite ends them, also where it does not reach the loss.
    pub fn check_finite(&mut self) {
        either!(&mut self.0, learner => learner.simulator.check_finite(true));
    }

    /// From now on samples that cannot be read are left out instead of ending what is going on; they are named by
    /// [`Samples::newly_left_out`], and a checkpoint remembers it.
    pub fn skip_corrupted(&mut self) {
        self.samples().damage.skip();
    }

    /// The order of the training samples in an epoch.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        either!(&self.0, learner => learner.order(epoch))
    }

    /// The samples of an update.
    pub fn batch_size(&self) -> usize {
        either!(&self.0, learner => learner.plan.batch)
    }

    /// One step with these training samples, which is an update or, if the plan accumulates, a part of one.
    /// `position` is where in the run it stands, in epochs.
    ///
    /// # Errors
    ///
    /// A damaged sample, or numbers that are no longer finite.
    pub fn step(&mut self, indices: &[usize], position: f64) -> Result<StepReport, TrainError> {
        either!(&mut self.0, learner => learner.step(indices, position))
    }

    /// Loss, accuracy, firing rates and effort over a subset.
    ///
    /// # Errors
    ///
    /// A damaged sample.
    pub fn evaluate(&self, subset: Subset) -> Result<Evaluation, TrainError> {
        either!(&self.0, learner => learner.evaluate(subset))
    }

    /// The class that is predicted for a sample; `None` for a task without classes or a sample that is left out.
    ///
    /// # Errors
    ///
    /// A damaged sample.
    pub fn predict(&self, subset: Subset, sample: usize) -> Result<Option<u32>, TrainError> {
        either!(&self.0, learner => learner.predict(subset, sample))
    }

    /// Spikes of each layer, over these samples.
    ///
    /// # Errors
    ///
    /// A damaged sample.
    pub fn spikes(&self, subset: Subset, samples: &[usize]) -> Result<Vec<u64>, TrainError> {
        either!(&self.0, learner => learner.spikes(subset, samples))
    }
}
