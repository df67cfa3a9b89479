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
    /// `repeat n`; `None` once groups are written out.
    pub repeat: Option<Expr>,
    /// Arguments for the parameters of a group, in their order; empty for neurons.
    pub args: Vec<Option<Expr>>,
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

impl LayerKind {
    /// Whether it is a group of layers.
    pub fn is_group(self) -> bool {
        matches!(self, LayerKind::Group(_))
    }
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
    /// Something inside a group of layers, until groups are written out.
    Group(usize),
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

impl Operation {
    /// Whether it was given weights.
    pub fn has_weights(&self) -> bool {
        let slot = self.kind.weight_slot();
        slot.is_some_and(|slot| self.args.get(slot).is_some_and(Option::is_some))
    }
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
    /// A call of a function of the weight, in which port 0 stands for the weight and port 1 for the mapped
    /// weight that was in use before.
    Map(Expr),
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
    /// Whose operation and parameters it uses, if not its own; those of `ops` are a copy.
    pub tied: Option<Tied>,
    /// The inputs of groups that it goes through.
    pub passes: Vec<Pass>,
    /// The whole statement.
    pub span: Span,
}

/// Sharing of weights: `tied(a.b.x)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tied {
    /// The connection that has the parameters; itself not tied.
    pub to: usize,
    /// Where it is said.
    pub span: Span,
}

/// The input of a group of layers on the way of a connection.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Its name, with that of the group.
    pub name: String,
    /// The shape that it declares.
    pub shape: Vec<Expr>,
    /// How many operations come before it.
    pub after: usize,
    /// Where it is declared.
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
    /// What it shows as a layer of another network: `output h`.
    pub outputs: Vec<ast::Path>,
    /// Another network has it as a layer.
    pub is_group: bool,
    /// Parameters whose values are settled, because they decide how many copies of a group there are.
    pub settled: Vec<usize>,
    /// Further names of layers: `tower.h` is the last of the copies `tower.0.h`, `tower.1.h`, ….
    pub names: Vec<(String, usize)>,
    /// A part is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

impl Network {
    /// Whether it can only be a layer of another network: it lacks a step or values for its parameters.
    pub fn is_part(&self) -> bool {
        let complete = self.formals.iter().all(|f| f.default.is_some());
        self.is_group && (self.step.is_none() || !complete)
    }

    /// The layer that a path such as `out`, `out.v` or `tower.h.v` begins with, and how many of its
    /// names it takes.
    pub fn layer_of_path(&self, path: &[&str]) -> Option<(usize, usize)> {
        (1..=path.len()).rev().find_map(|taken| {
            let name = path[..taken].join(".");
            let known = || self.names.iter().find(|(n, _)| *n == name).map(|(_, i)| *i);
            Some((self.layer(&name).or_else(known)?, taken))
        })
    }

    /// The index of a layer.
    pub fn layer(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|l| l.name.text == name)
    }

    /// The index of an input population.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|p| p.name.text == name)
    }
}
