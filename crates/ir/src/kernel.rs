//! A kernel: straight-line code in single-assignment form that every lane runs once per call.
//!
//! Nodes stand in the order of evaluation; a node is an input or an instruction and its value is
//! named by its index (`v0`, `v1`, …). There are no branches and no loops: `select` chooses, and
//! time loops belong to the runtime. Kernels are made by [`crate::builder::Builder`] or by
//! [`crate::text::parse`]; passes rebuild them.

use std::fmt;

use crate::ops::Op;
use crate::types::{Rate, Type};

/// The value of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

impl Value {
    /// The index of the node.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What an argument of a kernel is to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A parameter of the neuron. Constant in time.
    Param,
    /// A value computed from parameters by the prologue. Constant in time.
    Derived,
    /// The initial value of a state, computed by the prologue.
    Init,
    /// What arrived at an input port in this step.
    Port,
    /// A state, carried from step to step.
    State,
    /// A spike: a boolean, or a real where it is a number of spikes or carries one; 0 is none.
    Spike,
    /// A value that the forward saves for the backward (the tape).
    Saved,
    /// A word of what random numbers are made of: `a` and `b` are the key of a lane, `step` is the same for all lanes
    /// (see [`crate::draws`]). Known to the backward without being saved.
    Key,
}

impl Role {
    /// Every role, for parsing.
    pub const ALL: [Role; 8] = [
        Role::Param,
        Role::Derived,
        Role::Init,
        Role::Port,
        Role::State,
        Role::Spike,
        Role::Saved,
        Role::Key,
    ];

    /// The role's word in the text form.
    pub fn word(self) -> &'static str {
        match self {
            Role::Param => "param",
            Role::Derived => "derived",
            Role::Init => "init",
            Role::Port => "port",
            Role::State => "state",
            Role::Spike => "spike",
            Role::Saved => "saved",
            Role::Key => "key",
        }
    }

    /// Whether the value stays the same over all steps of a simulation.
    pub fn constant_in_time(self) -> bool {
        match self {
            Role::Param | Role::Derived | Role::Init => true,
            Role::Port | Role::State | Role::Spike | Role::Saved | Role::Key => false,
        }
    }
}

/// The name of an argument: its role, its name in the model, and whether it is the quantity itself
/// or its adjoint (the derivative of the loss with respect to it).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// What it is to the runtime.
    pub role: Role,
    /// The name in the model (`tau_mem`, `v`) or, for derived and saved values, a made-up one.
    pub name: String,
    /// True for the adjoint.
    pub adjoint: bool,
}

impl Slot {
    /// The quantity itself.
    pub fn new(role: Role, name: impl Into<String>) -> Slot {
        Slot {
            role,
            name: name.into(),
            adjoint: false,
        }
    }

    /// The adjoint of this slot.
    pub fn adjoint(&self) -> Slot {
        Slot {
            adjoint: true,
            ..self.clone()
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.adjoint {
            f.write_str("adjoint ")?;
        }
        write!(f, "{} {}", self.role.word(), self.name)
    }
}

/// An input of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input {
    /// What it is.
    pub slot: Slot,
    /// Its type.
    pub ty: Type,
    /// One value per lane, or one for all.
    pub rate: Rate,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Def {
    /// An argument.
    Input(Input),
    /// An instruction and its operands.
    Inst(Op, Vec<Value>),
}

/// A byte range of the source text, carried and never interpreted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The number of the source file.
    pub file: u32,
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One node: its definition, its type, and what helps a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub def: Def,
    /// The type of its value.
    pub ty: Type,
    /// A name for readers (`theta`); printed after `;`, without meaning.
    pub note: Option<Box<str>>,
    /// Where in the source it comes from; not part of the text form.
    pub origin: Option<Origin>,
}

/// An output of a kernel.
///
/// An output with the slot of an input is written in place of it: both are one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output {
    /// What it is.
    pub slot: Slot,
    /// The value written.
    pub value: Value,
    /// Uniform outputs are written once; they depend on uniform inputs only.
    pub rate: Rate,
}

/// A kernel. See the module page.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// A name for readers (`LIF.forward`).
    pub name: String,
    /// Inputs and instructions in the order of evaluation.
    pub nodes: Vec<Node>,
    /// The outputs in the order in which they are written.
    pub outputs: Vec<Output>,
}

/// How a call uses an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Only written; every lane is written.
    Write,
    /// Read, then written in place.
    Update,
}

/// One argument of a call, as both executors expect it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// What it is.
    pub slot: Slot,
    /// The element type: reals in the executor's precision, booleans as bytes 0 and 1.
    pub ty: Type,
    /// A row of at least as many elements as lanes, or one element.
    pub rate: Rate,
    /// How it is used.
    pub access: Access,
}

impl Kernel {
    /// The node of a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.node(value).ty
    }

    /// Every value with its node, in the order of evaluation.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (Value, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (Value(i as u32), node))
    }

    /// The inputs with their values, in order.
    pub fn inputs(&self) -> impl Iterator<Item = (Value, &Input)> {
        self.values().filter_map(|(value, node)| match &node.def {
            Def::Input(input) => Some((value, input)),
            Def::Inst(..) => None,
        })
    }

    /// The value of the input with this slot.
    pub fn input(&self, slot: &Slot) -> Option<Value> {
        self.inputs()
            .find(|(_, input)| input.slot == *slot)
            .map(|(value, _)| value)
    }

    /// The output with this slot.
    pub fn output(&self, slot: &Slot) -> Option<&Output> {
        self.outputs.iter().find(|output| output.slot == *slot)
    }

    /// The arguments of a call, in order: the inputs, then the outputs that are not in place of one.
    pub fn signature(&self) -> Vec<Param> {
        let mut params: Vec<Param> = self
            .inputs()
            .map(|(_, input)| Param {
                slot: input.slot.clone(),
                ty: input.ty,
                rate: input.rate,
                access: if self.output(&input.slot).is_some() {
                    Access::Update
                } else {
                    Access::Read
                },
            })
            .collect();
        for output in &self.outputs {
            if self.input(&output.slot).is_none() {
                params.push(Param {
                    slot: output.slot.clone(),
                    ty: self.ty(output.value),
                    rate: output.rate,
                    access: Access::Write,
                });
            }
        }
        params
    }

    /// The rate of every value: uniform where it depends on uniform inputs and constants only.
    pub fn rates(&self) -> Vec<Rate> {
        let mut rates: Vec<Rate> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            rates.push(match &node.def {
                Def::Input(input) => input.rate,
                Def::Inst(_, args) => args
                    .iter()
                    .map(|a| rates[a.index()])
                    .max()
                    .unwrap_or(Rate::Uniform),
            });
        }
        rates
    }
}
