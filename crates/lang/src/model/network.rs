//! The checked model of networks: populations, layers, connections.

use super::{Bounds, Expr, Formal, Learn, Let, Param, Start, builtin};
use crate::ast::{self, Name};
use crate::span::Span;

/// An input population of a network.
#[derive(Clone, Debug)]
pub struct Population {
    /// Its name.
    pub name: Name,
    /// Its shape; constants and the network's formals.
    pub shape: Vec<Expr>,
    /// The whole statement.
    pub span: Span,
}

/// A layer of a network.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: Name,
    /// What it is made of.
    pub kind: LayerKind,
    /// The name of the neuron or network as written.
    pub kind_name: Name,
    /// Its shape; constants and the network's formals.
    pub shape: Vec<Expr>,
    /// `repeat n`
    pub repeat: Option<Expr>,
    /// The neuron's parameters with the overrides of this layer; empty for a network.
    pub params: Vec<Param>,
    /// Which parameters the layer gives another value.
    pub overridden: Vec<usize>,
    /// The whole statement.
    pub span: Span,
}

/// What a layer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Neurons: an index into [`Model::neurons`].
    Neuron(usize),
    /// A network as a group of layers: an index into [`Model::networks`].
    Group(usize),
    /// There is no such item; reported.
    Unknown,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input population.
    Input(usize),
    /// The spikes of a layer.
    Layer(usize),
    /// A state of a layer, sent as a number.
    State(usize, usize),
    /// Could not be resolved; reported.
    Unknown,
}

/// What a connection computes.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Which.
    pub kind: builtin::Operation,
    /// The arguments in the order of its formals.
    pub args: Vec<Option<Argument>>,
    /// The name as written.
    pub callee: Name,
    /// The whole call.
    pub span: Span,
}

/// An argument of a connection's operation.
#[derive(Clone, Debug)]
pub enum Argument {
    /// A number, possibly with a unit.
    Number(Expr),
    /// Weights or biases.
    Start(Start),
    /// `[lo, hi]` or `lo .. hi`.
    Bounds(Bounds),
    /// `true` or `false`.
    Flag(bool),
    /// Something wrong; reported.
    Invalid,
}

/// A connection of a network.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where events come from.
    pub source: Source,
    /// The layer where they go.
    pub target: Option<usize>,
    /// The port of the target's neuron.
    pub port: Option<usize>,
    /// The path as written.
    pub source_path: ast::Path,
    /// The path as written.
    pub target_path: ast::Path,
    /// What is applied, in order.
    pub ops: Vec<Operation>,
    /// How late events arrive.
    pub delay: Option<Delay>,
    /// `frozen`
    pub frozen: bool,
    /// The whole statement.
    pub span: Span,
}

/// `delay …`
#[derive(Clone, Debug)]
pub struct Delay {
    /// The time or its distribution.
    pub start: Start,
    /// Bounds.
    pub bounds: Option<Bounds>,
    /// Whether it is learned.
    pub learn: Option<Learn>,
    /// The clause.
    pub span: Span,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// Its parameters: plain numbers.
    pub formals: Vec<Formal>,
    /// Named constants.
    pub lets: Vec<Let>,
    /// The length of a step; `None` if it was not given (reported).
    pub step: Option<Expr>,
    /// Its inputs.
    pub inputs: Vec<Population>,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Its connections.
    pub connections: Vec<Connection>,
    /// A part is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

impl Network {
    /// The index of a layer.
    pub fn layer(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|l| l.name.text == name)
    }

    /// The index of an input population.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|p| p.name.text == name)
    }
}
