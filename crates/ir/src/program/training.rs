//! What is minimised, and how.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

use super::data::{Augment, Dataset, Encoding, Split};
use super::objective::Objective;
use crate::tape::Numbers;

/// How parameters are updated from gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// The update rule.
    pub rule: Rule,
    /// The learning rate before the schedule.
    pub lr: f64,
    /// How much of a parameter is taken away; 0 for none.
    pub weight_decay: f64,
    /// True takes `lr · weight_decay · p` away beside the update (Loshchilov & Hutter 2019); false adds
    /// `weight_decay · p` to the gradient.
    pub decoupled: bool,
}

/// From the gradients of a parameter so far to a direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Gradient descent with momentum, or with that of Nesterov.
    Sgd { momentum: f64, nesterov: bool },
    /// Adam (Kingma & Ba 2015).
    Adam { beta1: f64, beta2: f64, eps: f64 },
    /// Adam with the largest decayed gradient in the denominator (Kingma & Ba 2015).
    Adamax { beta1: f64, beta2: f64, eps: f64 },
    /// The gradient over the root of its mean square, with momentum (Hinton 2012, as in PyTorch).
    RmsProp { alpha: f64, eps: f64, momentum: f64 },
    /// The gradient over the root of its largest decayed square (Zenke & Ganguli 2018).
    RmaxProp { gamma: f64, eps: f64 },
    /// The sign of an interpolation of gradient and momentum (Chen et al. 2023).
    Lion { beta1: f64, beta2: f64 },
}

/// Optimisers of parameters that have their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// Of the weights of connections.
    pub weights: Option<Optimizer>,
    /// Of their biases.
    pub biases: Option<Optimizer>,
    /// Of the parameters of neurons, such as time constants.
    pub neurons: Option<Optimizer>,
    /// Of delays that are learned.
    pub delays: Option<Optimizer>,
}

/// How the learning rate changes over epochs, as a factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// 1.
    Constant,
    /// Times `factor` after every `every` epochs.
    Step { every: f64, factor: f64 },
    /// `factor` to the power of the epochs so far.
    Exponential { factor: f64 },
    /// Linear from 0 over `warmup` epochs, then half a cosine down to `floor` at the last epoch.
    Cosine { warmup: f64, floor: f64 },
    /// From 1/25 up to 1 in the first part `rise` of the run and down to 1/250000 in the rest, each half a
    /// cosine (Smith & Topin 2019, with the numbers of PyTorch).
    OneCycle { rise: f64 },
    /// Times `factor` after every `patience` epochs in a row that are no better than the best, down to `floor`.
    Plateau {
        factor: f64,
        patience: usize,
        floor: f64,
    },
}

/// What is done to gradients that are too large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// All together are scaled down to this norm.
    Norm(f64),
    /// Each number is moved to the nearer of −x and x.
    Value(f64),
}

/// Which steps keep what their backward reads; the others run forward a second time. It changes no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// As many steps as there is memory for.
    Auto,
    /// All of them.
    None,
    /// So many steps, rounded up to whole blocks.
    Steps(usize),
}

/// How the gradient goes back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bptt {
    /// Every so many steps the gradient is cut: states and spikes on their way go on, their gradients do
    /// not. `None` cuts nowhere.
    pub truncate: Option<usize>,
    /// What is kept for it.
    pub checkpoint: Checkpoint,
    /// How numbers are kept for it.
    pub tape: Numbers,
}

/// The numbers that a network is trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Double precision.
    F64,
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
    /// How, for parameters of certain kinds.
    pub groups: Groups,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// How the gradient goes back in time.
    pub gradient: Bptt,
    /// What is done to large gradients; `None` leaves them.
    pub clip: Option<Clip>,
    /// Weights are averaged over updates, and the averages are evaluated and kept as the best: `average` is
    /// `decay · average + (1 − decay) · value` after each update, in the beginning with the smaller decay
    /// `(1 + updates) / (10 + updates)`.
    pub average: Option<f64>,
    /// The run ends after so many epochs in a row that are no better than the best on validation samples.
    pub patience: Option<usize>,
    /// The gradients of so many batches make one update.
    pub accumulate: usize,
    /// Samples per update.
    pub batch: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Seeds initial weights, shuffling and encoding.
    pub seed: u64,
    /// The precision of states, parameters, gradients and the optimiser.
    pub precision: Precision,
}
