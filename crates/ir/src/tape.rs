//! Tape planning: which values the forward saves for the backward, and which the backward computes again.
//!
//! The kernel that computes outputs and adjoints of a step together is cut in two. What the adjoint part
//! reads from the primal part must come from somewhere: it is saved, or recomputed from saved values and
//! from what costs no memory: what is constant in time, and the keys of random numbers. The cheapest choice is a minimum
//! cut (`tape/cut.rs`; the idea is that of Enzyme and of PyTorch's min-cut rematerialisation) between
//! what changes from step to step (states and inputs at the beginning of the step) and what the adjoint
//! part reads. Saving a value costs its bytes, written and read, computing it again the time of its op (`tape/cost.rs`):
//! an exponential is saved where that spares it, a sum is not. Of several cheapest choices the one nearest to the
//! readers is taken: it recomputes least.
//!
//! For a LIF neuron with an exponential synapse this finds one number per neuron and step, the margin.
//!
//! With [`Numbers::Bf16`] reals take two bytes, with eight significant bits. Rounding keeps the sign, so a spike that is
//! found from a saved margin is that of the forward. One that is found from a margin that is computed again from rounded
//! numbers need not be: margins and numbers of spikes are never recomputed then.

pub mod cost;
mod cut;

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
    /// The value in the joint kernel.
    pub value: Value,
    /// A real takes 4 bytes per lane and step in `f32`, a shortened one 2, a boolean one.
    pub ty: Type,
    /// The adjoints that need it.
    pub readers: Vec<Slot>,
    /// What would have to be kept to compute it again: the states and inputs of the step that it comes from. None
    /// if it is one of them itself.
    pub sources: Vec<(Slot, Type)>,
    /// What it would cost to compute it from them, beyond what the backward computes in any case; see [`cost`].
    pub again: usize,
}

impl Saved {
    /// Bytes per lane and step in `f32`.
    pub fn bytes(&self) -> usize {
        cost::bytes(self.ty)
    }

    /// What it costs and why it is in the tape, as a phrase.
    pub fn reason(&self) -> String {
        // The sources would be shortened, too.
        let kept = |ty: Type| match (self.ty, ty) {
            (Type::Bf16, Type::Real) => Type::Bf16,
            (_, ty) => ty,
        };
        let kept = || self.sources.iter().map(|(_, ty)| kept(*ty));
        let bytes: usize = kept().map(cost::bytes).sum();
        let price = nanoseconds(kept().map(cost::saved).sum());
        let names: Vec<String> = self.sources.iter().map(|(s, _)| s.to_string()).collect();
        let names = names.join(", ");
        let again = format!("{} ns of computing", nanoseconds(self.again));
        let why = match (names.is_empty(), self.again) {
            (true, 0) => "gone after the step".to_owned(),
            (true, _) => format!("in place of {again}"),
            (false, 0) => format!("in place of {names} ({bytes} bytes, {price} ns)"),
            (false, _) => format!("in place of {names} ({bytes} bytes, {price} ns) and {again}"),
        };
        format!("{} ns, {why}", nanoseconds(cost::saved(self.ty)))
    }
}

/// A cost as text.
fn nanoseconds(cost: usize) -> String {
    format!("{:.2}", cost as f64 / 1000.0)
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
        self.saved.iter().map(Saved::bytes).sum()
    }
}

/// Cuts a joint kernel, as made by [`crate::autodiff::differentiate`], into forward and backward.
pub fn plan_tape(joint: &Kernel, name: &str, numbers: Numbers) -> Plan {
    let adjoint = depends_on_adjoint(joint);
    let (varying, free) = (varying(joint), free(joint, &adjoint));
    let read = read_by_adjoint(joint, &adjoint);
    let primal = computed_anyway(joint);
    let prices = joint.nodes.iter().map(|n| cost::saved(kept(n.ty, numbers)));
    let values = cut::cheapest(&cut::Question {
        joint,
        free: &free,
        fixed: &fixed(joint, numbers),
        primal: &primal,
        read: &read,
        saved: &prices.collect::<Vec<_>>(),
    });
    let mut saved: Vec<Saved> = Vec::new();
    for &value in &values {
        let needed = ancestors(joint, [value]);
        let again = joint.values().filter(|(v, _)| {
            let v = v.index();
            needed[v] && primal[v] && free[v]
        });
        saved.push(Saved {
            slot: Slot::new(Role::Saved, saved_name(joint, value, &saved)),
            value,
            ty: kept(joint.ty(value), numbers),
            readers: readers(joint, value, &adjoint),
            sources: sources(joint, value, &needed, &varying),
            again: again.map(|(_, node)| cost::of(&node.def)).sum(),
        });
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

/// The primal values that the backward is not given: all but constants and the keys of random numbers.
fn free(joint: &Kernel, adjoint: &[bool]) -> Vec<bool> {
    let changing = forward_flags(joint, |input| !input.slot.role.constant_in_time());
    let free = |(v, node): (Value, &Node)| {
        let key = matches!(&node.def, Def::Input(input) if input.slot.role == Role::Key);
        changing[v.index()] && !adjoint[v.index()] && !key
    };
    joint.values().map(free).collect()
}

/// What the forward computes for its outputs.
fn computed_anyway(joint: &Kernel) -> Vec<bool> {
    let outputs = joint.outputs.iter().filter(|o| !o.slot.adjoint);
    ancestors(joint, outputs.map(|o| o.value))
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

/// The values that must not be computed again: what a step begins with, and what must not be computed from rounded
/// numbers because it decides the spikes. A margin that is compared with 0 is one of the latter, since rounding keeps its
/// sign; of other comparisons and of numbers of spikes it is the result.
fn fixed(joint: &Kernel, numbers: Numbers) -> Vec<bool> {
    let inputs = joint.nodes.iter().map(|n| matches!(n.def, Def::Input(_)));
    let mut fixed: Vec<bool> = inputs.collect();
    if numbers == Numbers::Whole {
        return fixed;
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
            fixed[margin.unwrap_or(&value).index()] = true;
        }
    }
    fixed
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
fn sources(joint: &Kernel, value: Value, needed: &[bool], varying: &[bool]) -> Vec<(Slot, Type)> {
    if let Def::Input(_) = joint.node(value).def {
        return Vec::new();
    }
    let inputs = joint.inputs();
    inputs
        .filter(|(v, _)| needed[v.index()] && varying[v.index()])
        .map(|(v, input)| (input.slot.clone(), joint.ty(v)))
        .collect()
}

/// Some values and all of which they are computed.
fn ancestors(joint: &Kernel, values: impl IntoIterator<Item = Value>) -> Vec<bool> {
    let mut needed = vec![false; joint.nodes.len()];
    values.into_iter().for_each(|v| needed[v.index()] = true);
    for (v, node) in joint.values().rev() {
        if let Def::Inst(_, args) = &node.def
            && needed[v.index()]
        {
            args.iter().for_each(|a| needed[a.index()] = true);
        }
    }
    needed
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
