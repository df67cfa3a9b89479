//! What the front end hands to the runtime: neurons as kernels, the network graph, the training plan.
//!
//! All quantities are in the internal base units, erased after checking: ms, mV, pA and what follows
//! from them (nS, pF, 1/ms). Nothing here refers to source text.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

mod data;
mod delays;
mod mapping;
mod objective;
mod synapses;
mod training;

pub use data::{Augment, Binning, Dataset, Encoding, FileOptions, Split, Task};
pub use delays::{Delays, MOST_TAPS};
pub use mapping::WeightMap;
pub use objective::{Function, Node, Objective, Pair, Reduction, Roots, Shape, Term, Trace};
pub use synapses::{Density, Operation, Pattern, Pooling, Synapses, Window};
pub use training::{
    Bptt, Checkpoint, Clip, Groups, Optimizer, Precision, Rule, Schedule, Training,
};

use crate::kernel::Kernel;
use crate::random::SplitMix64;

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

impl Parameter {
    /// The value where it starts, or the mean of what it starts from; within its bounds. What stands for
    /// the parameter where one value is needed before anything is drawn.
    pub fn typical(&self) -> f64 {
        let value = match self.initial {
            Initial::Constant(value) => value,
            Initial::Normal { mean, .. } => mean,
            Initial::LogNormal { median, sigma } => median * (sigma * sigma / 2.0).exp(),
            Initial::Uniform { low, high } => (low + high) / 2.0,
            Initial::KaimingNormal { .. }
            | Initial::KaimingUniform { .. }
            | Initial::XavierNormal { .. }
            | Initial::XavierUniform { .. }
            | Initial::Orthogonal { .. } => 0.0,
        };
        match self.bounds {
            Some((low, high)) if low <= high => value.clamp(low, high),
            Some(_) | None => value,
        }
    }
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
    /// The events of an input population, by index.
    Input(usize),
    /// The first spikes of a layer, by index.
    Layer(usize),
    /// A state of a layer, by the index of the layer and of the state of its neuron: its value after every step and,
    /// before the first one, its initial value.
    State(usize, usize),
}

impl Source {
    /// The layer where it starts, if it does not start at an input.
    pub fn layer(self) -> Option<usize> {
        match self {
            Source::Input(_) => None,
            Source::Layer(layer) | Source::State(layer, _) => Some(layer),
        }
    }
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
    /// What is applied to the spikes or the state of a step, one after the other; at least one.
    pub operations: Vec<Operation>,
    /// Whole steps between a spike and its arrival; 0 delivers in the same step. A state arrives as it was so many
    /// steps ago. The shortest one if it differs between synapses.
    pub delay: u32,
    /// The delays of the synapses, if they have their own. There is one operation then, `dense`, `sparse` or
    /// `one_to_one` with weights, and the connection is not tied.
    pub delays: Option<Delays>,
    /// True if its weights are not trained.
    pub frozen: bool,
    /// The connection whose parameters it uses instead of its own; that one is not tied itself.
    pub tied: Option<usize>,
}

impl Connection {
    /// The prefix of the parameters of one of its operations: that of the connection for the first that has
    /// any, then `….then1`, `….then2`.
    pub fn prefix(&self, operation: usize) -> String {
        let owns = |o: &&Operation| o.weight.is_some() || o.bias.is_some();
        match self.operations[..operation].iter().filter(owns).count() {
            0 => self.name.clone(),
            n => format!("{}.then{n}", self.name),
        }
    }

    /// Whether one of its operations normalises over samples and steps.
    pub fn normalises(&self) -> bool {
        self.operations.iter().any(Operation::normalises)
    }

    /// The steps of the longest delay.
    pub fn longest_delay(&self) -> u32 {
        self.delays.as_ref().map_or(self.delay, |d| d.longest)
    }
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

impl Network {
    /// The number of neurons or channels of a source.
    pub fn source_size(&self, source: Source) -> usize {
        match source {
            Source::Input(i) => self.inputs[i].shape.iter().product(),
            Source::Layer(l) | Source::State(l, _) => self.layers[l].size(),
        }
    }

    /// Lets the random patterns of sparse connections follow from a seed, each from its own stream.
    pub fn seed_patterns(&mut self, seed: u64) {
        for (c, connection) in self.connections.iter_mut().enumerate() {
            for (o, operation) in connection.operations.iter_mut().enumerate() {
                if let Synapses::Sparse { seed: own, .. } = &mut operation.synapses {
                    let place = (c as u64) << 8 | o as u64;
                    *own = SplitMix64::new(seed ^ place << 32).bits();
                }
            }
        }
    }
}

/// A network and, if the file has one, the plan to train it.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The network.
    pub network: Network,
    /// The plan.
    pub training: Option<Training>,
}

impl Program {
    /// The precision of the plan.
    pub fn precision(&self) -> Precision {
        let plan = self.training.as_ref();
        plan.map_or(Precision::default(), |plan| plan.precision)
    }
}
