//! What is minimised, and how.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

use super::data::{Augment, Dataset, Encoding, Split};
use super::objective::Objective;

/// How parameters are updated from gradients.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd { lr: f64, momentum: f64 },
    /// Adam (Kingma & Ba 2015).
    Adam {
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    AdamW {
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
    },
}

/// How the learning rate changes over epochs, as a factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// 1.
    Constant,
    /// Linear from 0 over `warmup` epochs, then half a cosine down to 0 at the last epoch.
    Cosine { warmup: f64 },
}

/// A training plan for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Its name.
    pub name: String,
    /// The training data.
    pub data: Dataset,
    /// Samples for choosing the best weights.
    pub valid: Option<Split>,
    /// Samples for the final accuracy.
    pub test: Option<Split>,
    /// The number of steps of a sample.
    pub steps: usize,
    /// How samples become input.
    pub encoding: Encoding,
    /// Random changes of training samples before they are encoded, in this order.
    pub augment: Vec<Augment>,
    /// What is minimised.
    pub objective: Objective,
    /// How.
    pub optimizer: Optimizer,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Gradients are scaled down to this norm; `None` leaves them.
    pub clip_norm: Option<f64>,
    /// Samples per update.
    pub batch: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Seeds initial weights, shuffling and encoding.
    pub seed: u64,
}
