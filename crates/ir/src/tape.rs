//! Tape planning: which values the forward saves for the backward, and which the backward computes again.
//!
//! The kernel that computes outputs and adjoints of a step together is cut in two. What the adjoint part
//! reads from the primal part must come from somewhere: it is saved, or recomputed from saved values and
//! from what costs no memory: what is constant in time, and random numbers, which are functions of a key. The cheapest choice is a minimum cut between
//! what changes from step to step (states and inputs at the beginning of the step) and what the adjoint
//! part reads, where cutting a value costs its bytes (the same idea as in Enzyme and in PyTorch's
//! min-cut rematerialisation). Of several cheapest cuts the one nearest to the readers is taken: it
//! recomputes least.
//!
//! For a LIF neuron with an exponential synapse this finds one number per neuron and step, the margin.
//!
//! With [`Numbers::Bf16`] reals take two bytes, with eight significant bits. Rounding keeps the sign, so a spike that is
//! found from a saved margin is that of the forward. One that is found from a margin that is computed again from rounded
//! numbers need not be: margins and numbers of spikes are never recomputed then.

use std::collections::VecDeque;

use crate::builder::Builder;
use crate::kernel::{Def, Input, Kernel, Node, Output, Role, Slot, Value};
use crate::ops::Op;
use crate::passes::dce;
use crate::types::{Rate, Type};

/// How reals are kept on the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// As they are.
    #[default]
    Whole,
    /// In two bytes, see [`Type::Bf16`].
    Bf16,
}

/// One saved value.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Its slot, the same in both kernels.
    pub slot: Slot,
    /// A real takes 4 bytes per lane and step in `f32`, a shortened one 2, a boolean one.
    pub ty: Type,
    /// The adjoints that need it.
    pub readers: Vec<Slot>,
    /// What would have to be kept to compute it again: the states and inputs of the step that it comes from. None
    /// if it is one of them itself.
    pub sources: Vec<(Slot, Type)>,
}

impl Saved {
    /// Bytes per lane and step in `f32`.
    pub fn bytes(&self) -> usize {
        cost(self.ty)
    }

    /// Why this value is in the tape, as a phrase.
    pub fn reason(&self) -> String {
        // The sources would be shortened, too.
        let bytes = |ty: Type| match (self.ty, ty) {
            (Type::Bf16, Type::Real) => cost(Type::Bf16),
            _ => cost(ty),
        };
        let bytes: usize = self.sources.iter().map(|(_, ty)| bytes(*ty)).sum();
        match &self.sources[..] {
            [] => "gone after the step".to_owned(),
            sources => {
                let names: Vec<String> = sources.iter().map(|(s, _)| s.to_string()).collect();
                format!("in place of {} ({bytes} bytes)", names.join(", "))
            }
        }
    }
}

/// A step cut into its two directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Outputs and saved values.
    pub forward: Kernel,
    /// Saved values and adjoints of the outputs in, adjoints of the inputs out.
    pub backward: Kernel,
    /// What is saved, in the order of evaluation.
    pub saved: Vec<Saved>,
}

impl Plan {
    /// Bytes per lane and step in `f32`.
    pub fn bytes(&self) -> usize {
        self.saved.iter().map(|s| cost(s.ty)).sum()
    }
}

fn cost(ty: Type) -> usize {
    match ty {
        Type::Real => 4,
        Type::Bf16 => 2,
        Type::Bool => 1,
    }
}

/// Cuts a joint kernel, as made by [`crate::autodiff::differentiate`], into forward and backward.
pub fn plan_tape(joint: &Kernel, name: &str, numbers: Numbers) -> Plan {
    let adjoint = depends_on_adjoint(joint);
    let varying = varying(joint);
    let read = read_by_adjoint(joint, &adjoint);
    let cut = Cut::new(joint, &adjoint, &varying, &read, numbers).minimum();
    let mut saved = Vec::new();
    let mut values = Vec::new();
    for value in cut {
        let slot = Slot::new(Role::Saved, saved_name(joint, value, &saved));
        let readers = readers(joint, value, &adjoint);
        saved.push(Saved {
            slot,
            ty: kept(joint.ty(value), numbers),
            readers,
            sources: sources(joint, value, &varying),
        });
        values.push(value);
    }
    let forward = forward(joint, name, &saved, &values);
    let backward = backward(joint, name, &saved, &values);
    Plan {
        forward,
        backward,
        saved,
    }
}

/// The type of a value of type `ty` on the tape.
fn kept(ty: Type, numbers: Numbers) -> Type {
    match (ty, numbers) {
        (Type::Real, Numbers::Bf16) => Type::Bf16,
        (Type::Real | Type::Bool | Type::Bf16, _) => ty,
    }
}

/// The forward without saving anything, for inference: the same arithmetic as the saving one.
pub fn primal(joint: &Kernel, name: &str) -> Kernel {
    let mut kernel = joint.clone();
    kernel.name = name.to_string();
    let result = |slot: &Slot| !slot.adjoint && slot.role != Role::Saved;
    kernel.outputs.retain(|o| result(&o.slot));
    dce(&mut kernel);
    kernel
}

fn depends_on_adjoint(joint: &Kernel) -> Vec<bool> {
    forward_flags(joint, |input| input.slot.adjoint)
}

/// What the backward cannot compute from what it is given anyway: constants, and the keys of random numbers.
fn varying(joint: &Kernel) -> Vec<bool> {
    forward_flags(joint, |input| {
        !input.slot.role.constant_in_time() && input.slot.role != Role::Key
    })
}

fn forward_flags(joint: &Kernel, source: impl Fn(&Input) -> bool) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(joint.nodes.len());
    for node in &joint.nodes {
        flags.push(match &node.def {
            Def::Input(input) => source(input),
            Def::Inst(_, args) => args.iter().any(|a| flags[a.index()]),
        });
    }
    flags
}

/// The primal values that an adjoint instruction or an adjoint output reads.
fn read_by_adjoint(joint: &Kernel, adjoint: &[bool]) -> Vec<bool> {
    let mut read = vec![false; joint.nodes.len()];
    for (value, node) in joint.values() {
        if let Def::Inst(_, args) = &node.def
            && adjoint[value.index()]
        {
            args.iter()
                .filter(|a| !adjoint[a.index()])
                .for_each(|a| read[a.index()] = true);
        }
    }
    for output in joint
        .outputs
        .iter()
        .filter(|o| o.slot.adjoint && !adjoint[o.value.index()])
    {
        read[output.value.index()] = true;
    }
    read
}

/// The values that must not be computed from rounded ones: what decides the spikes. A margin that is compared with 0
/// is one of them, since rounding keeps its sign; of other comparisons and of numbers of spikes it is the result.
fn exact(joint: &Kernel, numbers: Numbers) -> Vec<bool> {
    let mut exact = vec![false; joint.nodes.len()];
    if numbers == Numbers::Whole {
        return exact;
    }
    let spikes = joint.outputs.iter();
    let spikes = spikes.filter(|o| o.slot.role == Role::Spike && !o.slot.adjoint);
    let mut waiting: Vec<Value> = spikes.map(|o| o.value).collect();
    let mut seen = vec![false; joint.nodes.len()];
    while let Some(value) = waiting.pop() {
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        let Def::Inst(op, args) = &joint.node(value).def else {
            continue;
        };
        if matches!(op, Op::And | Op::Or | Op::Not | Op::ToReal) {
            waiting.extend(args);
        } else if *op == Op::Select {
            // What a spike carries: the condition decides.
            waiting.push(args[0]);
        } else {
            // `0 <= u` is what optimising makes of a spike.
            let compared = matches!(op, Op::Le | Op::Lt) && is_zero(joint, args[0]);
            let margin = if matches!(op, Op::Spike(_)) {
                args.first()
            } else if compared {
                args.get(1)
            } else {
                None
            };
            exact[margin.unwrap_or(&value).index()] = true;
        }
    }
    exact
}

fn is_zero(joint: &Kernel, value: Value) -> bool {
    matches!(joint.node(value).def, Def::Inst(Op::Const(c), _) if c.value() == 0.0)
}

/// The adjoint outputs that depend on a value.
fn readers(joint: &Kernel, value: Value, adjoint: &[bool]) -> Vec<Slot> {
    let mut reached = vec![false; joint.nodes.len()];
    reached[value.index()] = true;
    for (v, node) in joint.values() {
        if let Def::Inst(_, args) = &node.def
            && args.iter().any(|a| reached[a.index()])
        {
            reached[v.index()] = true;
        }
    }
    let reads = |v: Value| reached[v.index()] && (adjoint[v.index()] || v == value);
    joint
        .outputs
        .iter()
        .filter(|o| o.slot.adjoint && reads(o.value))
        .map(|o| o.slot.clone())
        .collect()
}

/// The inputs that change from step to step of which a value is computed.
fn sources(joint: &Kernel, value: Value, varying: &[bool]) -> Vec<(Slot, Type)> {
    if let Def::Input(_) = joint.node(value).def {
        return Vec::new();
    }
    let mut needed = vec![false; joint.nodes.len()];
    needed[value.index()] = true;
    for (v, node) in joint.values().rev() {
        if let Def::Inst(_, args) = &node.def
            && needed[v.index()]
        {
            args.iter().for_each(|a| needed[a.index()] = true);
        }
    }
    let inputs = joint.inputs();
    inputs
        .filter(|(v, _)| needed[v.index()] && varying[v.index()])
        .map(|(v, input)| (input.slot.clone(), joint.ty(v)))
        .collect()
}

fn saved_name(joint: &Kernel, value: Value, earlier: &[Saved]) -> String {
    let node = joint.node(value);
    let name = match &node.def {
        Def::Input(input) => &input.slot.name,
        Def::Inst(..) => node.note.as_deref().unwrap_or(""),
    };
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    let base: String = match name.chars().filter(word).collect::<String>() {
        empty if empty.is_empty() => format!("t{}", earlier.len()),
        name => name,
    };
    let mut name = base.clone();
    let mut n = 1;
    while earlier.iter().any(|s| s.slot.name == name) {
        n += 1;
        name = format!("{base}_{n}");
    }
    name
}

fn forward(joint: &Kernel, name: &str, saved: &[Saved], values: &[Value]) -> Kernel {
    let mut kernel = joint.clone();
    kernel.name = format!("{name}.forward");
    kernel.outputs.retain(|o| !o.slot.adjoint);
    for (saved, &value) in saved.iter().zip(values) {
        let short = Value(kernel.nodes.len() as u32);
        let narrowed = saved.ty != joint.ty(value);
        if narrowed {
            kernel.nodes.push(Node {
                def: Def::Inst(Op::Narrow, vec![value]),
                ty: saved.ty,
                note: None,
                origin: joint.node(value).origin,
            });
        }
        kernel.outputs.push(Output {
            slot: saved.slot.clone(),
            value: if narrowed { short } else { value },
            rate: Rate::Lane,
        });
    }
    dce(&mut kernel);
    kernel
}

fn backward(joint: &Kernel, name: &str, saved: &[Saved], values: &[Value]) -> Kernel {
    let mut b = Builder::new(format!("{name}.backward"));
    let mut renamed: Vec<Value> = Vec::with_capacity(joint.nodes.len());
    for (value, node) in joint.values() {
        b.set_origin(node.origin);
        let new = match (values.iter().position(|v| *v == value), &node.def) {
            (Some(i), _) => {
                let kept = b.input(saved[i].slot.clone(), saved[i].ty, Rate::Lane);
                match saved[i].ty == node.ty {
                    true => kept,
                    false => b.inst(Op::Widen, &[kept]),
                }
            }
            (None, Def::Input(_)) => b.push(node.clone()),
            (None, Def::Inst(op, args)) => {
                let args: Vec<Value> = args.iter().map(|a: &Value| renamed[a.index()]).collect();
                b.inst(*op, &args)
            }
        };
        if let Some(note) = &node.note {
            b.note(new, note);
        }
        renamed.push(new);
    }
    for output in joint.outputs.iter().filter(|o| o.slot.adjoint) {
        b.output(
            output.slot.clone(),
            renamed[output.value.index()],
            output.rate,
        );
    }
    let mut kernel = b.finish();
    dce(&mut kernel);
    kernel
}

/// The flow network: two vertices per primal value that changes in time, joined by an edge that costs the
/// value's bytes.
struct Cut {
    /// For each vertex its edges, as indices into `edges`.
    out: Vec<Vec<usize>>,
    /// Target and remaining capacity; edge `e ^ 1` is the reverse of `e`.
    edges: Vec<(usize, usize)>,
    values: Vec<Value>,
}

const SOURCE: usize = 0;
const SINK: usize = 1;
const UNBOUNDED: usize = usize::MAX / 4;

impl Cut {
    fn new(
        joint: &Kernel,
        adjoint: &[bool],
        varying: &[bool],
        read: &[bool],
        numbers: Numbers,
    ) -> Cut {
        let exact = exact(joint, numbers);
        let mut vertex = vec![None; joint.nodes.len()];
        let mut cut = Cut {
            out: vec![Vec::new(), Vec::new()],
            edges: Vec::new(),
            values: Vec::new(),
        };
        for (value, node) in joint.values() {
            if adjoint[value.index()] || !varying[value.index()] {
                continue;
            }
            let (enter, leave) = (cut.out.len(), cut.out.len() + 1);
            cut.out.extend([Vec::new(), Vec::new()]);
            cut.values.push(value);
            vertex[value.index()] = Some(leave);
            cut.edge(enter, leave, cost(kept(node.ty, numbers)));
            if exact[value.index()] {
                cut.edge(SOURCE, enter, UNBOUNDED);
            }
            match &node.def {
                Def::Input(_) => cut.edge(SOURCE, enter, UNBOUNDED),
                Def::Inst(_, args) => {
                    let parents: Vec<usize> =
                        args.iter().filter_map(|a| vertex[a.index()]).collect();
                    parents
                        .into_iter()
                        .for_each(|parent| cut.edge(parent, enter, UNBOUNDED));
                }
            }
            if read[value.index()] {
                cut.edge(leave, SINK, UNBOUNDED);
            }
        }
        cut
    }

    fn edge(&mut self, from: usize, to: usize, capacity: usize) {
        self.out[from].push(self.edges.len());
        self.edges.push((to, capacity));
        self.out[to].push(self.edges.len());
        self.edges.push((from, 0));
    }

    /// Augments along shortest paths (Edmonds & Karp 1972), then reads the cut on the sink's side.
    fn minimum(mut self) -> Vec<Value> {
        while let Some(path) = self.path() {
            let amount = path.iter().map(|&e| self.edges[e].1).min().unwrap_or(0);
            for e in path {
                self.edges[e].1 -= amount;
                self.edges[e ^ 1].1 += amount;
            }
        }
        let reaches_sink = self.reaches_sink();
        let crossing = |i: usize| !reaches_sink[2 + 2 * i] && reaches_sink[3 + 2 * i];
        (0..self.values.len())
            .filter(|&i| crossing(i))
            .map(|i| self.values[i])
            .collect()
    }

    fn path(&self) -> Option<Vec<usize>> {
        let mut by: Vec<Option<usize>> = vec![None; self.out.len()];
        let mut queue = VecDeque::from([SOURCE]);
        while let Some(vertex) = queue.pop_front() {
            for &e in &self.out[vertex] {
                let (to, capacity) = self.edges[e];
                if capacity > 0 && to != SOURCE && by[to].is_none() {
                    by[to] = Some(e);
                    queue.push_back(to);
                }
            }
        }
        let mut path = Vec::new();
        let mut vertex = SINK;
        while vertex != SOURCE {
            let e = by[vertex]?;
            path.push(e);
            vertex = self.edges[e ^ 1].0;
        }
        Some(path)
    }

    fn reaches_sink(&self) -> Vec<bool> {
        let mut reaches = vec![false; self.out.len()];
        reaches[SINK] = true;
        let mut queue = VecDeque::from([SINK]);
        while let Some(vertex) = queue.pop_front() {
            for &e in &self.out[vertex] {
                // The reverse of `e` leads here; it is open if it has capacity left.
                let from = self.edges[e].0;
                if self.edges[e ^ 1].1 > 0 && !reaches[from] {
                    reaches[from] = true;
                    queue.push_back(from);
                }
            }
        }
        reaches
    }
}
