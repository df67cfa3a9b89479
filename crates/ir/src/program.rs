//! What the front end hands to the runtime: neurons as kernels, the network graph, the training plan.
//!
//! All quantities are in the internal base units, erased after checking: ms, mV, pA and what follows
//! from them (nS, pF, 1/ms). Nothing here refers to source text.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

use crate::kernel::Kernel;

/// A distribution or a fixed value from which a parameter or a weight starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// Every element has this value.
    Constant(f64),
    /// Normal with this mean and standard deviation.
    Normal { mean: f64, std: f64 },
    /// Log-normal with this median and this standard deviation of the logarithm.
    LogNormal { median: f64, sigma: f64 },
    /// Uniform between two values.
    Uniform { low: f64, high: f64 },
    /// Normal with standard deviation `gain/sqrt(fan_in)` (He et al. 2015).
    KaimingNormal { gain: f64 },
    /// Uniform with bound `gain·sqrt(3/fan_in)` (He et al. 2015).
    KaimingUniform { gain: f64 },
    /// Normal with standard deviation `gain·sqrt(2/(fan_in + fan_out))` (Glorot & Bengio 2010).
    XavierNormal { gain: f64 },
    /// Uniform with bound `gain·sqrt(6/(fan_in + fan_out))` (Glorot & Bengio 2010).
    XavierUniform { gain: f64 },
    /// Rows or columns orthonormal, times the gain (Saxe et al. 2014).
    Orthogonal { gain: f64 },
}

/// How a learnable parameter is kept inside its bounds while it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Updated as it is.
    None,
    /// Updated as it is, then moved to the nearer bound when outside.
    Clamp,
    /// `p = low + (high − low)·sigmoid(raw)`.
    Sigmoid,
    /// `p = exp(raw)`.
    Exp,
    /// `p = softplus(raw)`.
    Softplus,
}

/// How many values a parameter of a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One for the layer.
    Shared,
    /// One for each entry of the first axis of the layer's shape.
    PerChannel,
    /// One for each neuron.
    PerNeuron,
}

/// A parameter of a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the model.
    pub name: String,
    /// The value or distribution it starts from, in base units.
    pub initial: Initial,
    /// How many values it has.
    pub sharing: Sharing,
    /// Bounds that every value satisfies, in base units.
    pub bounds: Option<(f64, f64)>,
    /// How it is trained; `None` if it is not.
    pub learn: Option<Constraint>,
    /// The unit that it was written in and the factor to base units: shown value = base value / factor.
    pub unit: Unit,
}

/// A unit for showing values.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// As a neuroscientist writes it (`ms`, `mV/ms`); empty for a plain number.
    pub text: String,
    /// One of it in base units.
    pub factor: f64,
}

impl Unit {
    /// A plain number.
    pub fn one() -> Unit {
        Unit {
            text: String::new(),
            factor: 1.0,
        }
    }
}

/// A state or an input port.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name in the model; internal states such as refractory counters start with `_`.
    pub name: String,
    /// The unit for showing it.
    pub unit: Unit,
}

/// A neuron model for a given step length, as kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// The model's name.
    pub name: String,
    /// Its parameters in the order of declaration.
    pub params: Vec<Parameter>,
    /// Its states, visible ones first, in the order of declaration.
    pub states: Vec<Variable>,
    /// Its input ports in the order of declaration.
    pub ports: Vec<Variable>,
    /// The names of its spike outputs, empty for a readout. The first is what connections carry.
    pub spikes: Vec<String>,
    /// Parameters → the initial value of each state (outputs `init NAME`).
    pub init: Kernel,
    /// One step: `param`, `port` and `state` in; `state` and `spike` out. Equations are still
    /// `integrate` ops.
    pub step: Kernel,
}

/// A source of spikes from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// Its name.
    pub name: String,
    /// Its shape; for events the flat row-major index is the channel.
    pub shape: Vec<usize>,
}

/// A layer of neurons of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The model, with the layer's overrides in its parameters.
    pub neuron: Neuron,
}

impl Layer {
    /// The number of neurons.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where a connection starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input population, by index.
    Input(usize),
    /// A layer, by index.
    Layer(usize),
}

/// What a connection computes from the spikes of one step.
#[derive(Clone, Debug, PartialEq)]
pub enum Synapses {
    /// Every neuron to every neuron.
    Dense {
        /// The initial weights, in the unit of the port.
        weight: Initial,
        /// The initial bias, added at every step; `None` for no bias.
        bias: Option<Initial>,
        /// Weights are moved into this range after every update.
        bounds: Option<(f64, f64)>,
        /// False removes the weight of a neuron to itself (recurrent connections).
        self_connections: bool,
    },
}

/// A connection from a population or layer to a port of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The prefix of its parameters: `a.b.x`, or `a.b.x.1` for a second one between the same ports.
    pub name: String,
    /// Where it starts.
    pub from: Source,
    /// The index of the layer it ends at.
    pub to: usize,
    /// The index of the port of that layer's neuron.
    pub port: usize,
    /// What it computes.
    pub synapses: Synapses,
    /// Whole steps between a spike and its arrival; 0 delivers in the same step.
    pub delay: u32,
    /// True if its weights are not trained.
    pub frozen: bool,
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The length of a step in ms.
    pub step_ms: f64,
    /// Its inputs.
    pub inputs: Vec<Population>,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Its connections in the order of declaration.
    pub connections: Vec<Connection>,
    /// The indices of the layers in an order in which every connection without delay goes forward.
    pub order: Vec<usize>,
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// The 1,797 built-in 8×8 digits.
    Digits,
    /// Uniformly random spikes with random labels, for benchmarks.
    RandomSpikes {
        samples: usize,
        channels: usize,
        classes: usize,
        density: f64,
        seed: u64,
    },
    /// A file or folder in one of the formats of the data crate.
    File { format: String, path: String },
}

/// Where the samples of a split come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// This fraction of the training data, stratified by class, chosen by the seed.
    Holdout { fraction: f64, seed: u64 },
    /// Another data set.
    Dataset(Dataset),
}

/// How a raw sample becomes input events.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// One spike per pixel, earlier for brighter ones.
    Latency {
        tau_ms: f64,
        threshold: f64,
        linear: bool,
    },
    /// Bernoulli spikes with a rate proportional to the intensity.
    Rate { max_rate_per_ms: f64 },
    /// The intensity times a gain at every step.
    Constant { gain: f64 },
    /// Events counted per step, at most `clip`.
    BinSpikes { clip: Option<u32> },
}

/// How the trace of a readout over time becomes one number per unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The largest value over time.
    Max,
    /// The sum over time.
    Sum,
    /// The mean over time.
    Mean,
    /// The value at the last step.
    Last,
}

/// What is read out of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Trace {
    /// A state at the end of each step.
    State(String),
    /// The spikes (0 or 1).
    Spikes,
}

/// Logits: a trace of a layer, reduced over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Readout {
    /// The index of the layer.
    pub layer: usize,
    /// What is read.
    pub trace: Trace,
    /// How it is reduced.
    pub reduction: Reduction,
    /// A factor on the result.
    pub scale: f64,
}

/// The loss of one sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// The negative logarithm of the softmax probability of the label.
    CrossEntropy(Readout),
}

impl Loss {
    /// What the predicted class is read from: the largest logit.
    pub fn readout(&self) -> &Readout {
        match self {
            Loss::CrossEntropy(readout) => readout,
        }
    }
}

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
    /// What is minimised.
    pub loss: Loss,
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

/// A network and, if the file has one, the plan to train it.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The network.
    pub network: Network,
    /// The plan.
    pub training: Option<Training>,
}
