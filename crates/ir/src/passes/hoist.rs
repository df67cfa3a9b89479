//! `hoist`: moves what does not change in time out of the step.
//!
//! ```text
//! step:  v1 = in param tau            prologue:  v0 = in param tau
//!        v2 = div -1.0, v1                       v1 = div -1.0, v0
//!        v3 = exp v2             →               v2 = exp v1
//!        v4 = mul v3, state                      out derived c0 = v2
//!                                     step:      v0 = in derived c0
//!                                                v1 = mul v0, state
//! ```
//!
//! The prologue runs once per parameter change and in double precision; the step reads its results as
//! `derived` inputs. A parameter that the step uses as it is stays a `param` input of the step. The draw of random
//! initial values is split in the same way: what its distributions depend on is computed by the prologue.
//!
//! It runs twice: on the step, so that the derivative with respect to a parameter goes through the prologue once per
//! update and not in every step; and on the step with its adjoints, where the derivative rules have made new products
//! of what is constant. What the second run moves is read by adjoints only and has none itself.

use std::collections::BTreeSet;

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Node, Role, Slot, Value};
use crate::types::{Rate, Type};

/// Splits a step; returns its prologue, which also computes the outputs of `before`: initial values, or the prologue of
/// another kernel or of this one, whose derived values the step reads.
///
/// Both kernels read parameters by name. Afterwards `step` holds only what changes in time.
pub fn hoist(step: &mut Kernel, before: &Kernel) -> Kernel {
    let constant = constant_in_time(step);
    let moved = boundary(step, &constant);
    let rates = step.rates();
    let neuron = step.name.split('.').next().unwrap_or_default();
    let mut prologue = Builder::new(format!("{neuron}.prologue"));
    let in_before = append(&mut prologue, before);
    let copies = copy_constant(&mut prologue, step, &constant, &in_before);
    let taken = in_before
        .iter()
        .filter(|(slot, ..)| slot.role == Role::Derived);
    let mut names: BTreeSet<String> = taken.map(|(slot, ..)| slot.name.clone()).collect();
    let mut derived: Vec<(Value, Slot)> = Vec::new();
    for &value in &moved {
        let slot = Slot::new(Role::Derived, name(step, value, &mut names));
        let copy = copies[value.index()];
        prologue.output(slot.clone(), copy, rates[value.index()]);
        derived.push((value, slot));
    }
    for (slot, value, rate) in in_before {
        prologue.output(slot, value, rate);
    }
    *step = replace(step, &derived, &rates);
    prologue.finish()
}

/// For each value whether it is the same in all steps.
pub(super) fn constant_in_time(step: &Kernel) -> Vec<bool> {
    let mut constant: Vec<bool> = Vec::with_capacity(step.nodes.len());
    for node in &step.nodes {
        constant.push(match &node.def {
            Def::Input(input) => input.slot.role.constant_in_time(),
            Def::Inst(_, args) => args.iter().all(|a| constant[a.index()]),
        });
    }
    constant
}

/// The instructions that are constant in time, are not literals, and are read by what stays in the step.
fn boundary(step: &Kernel, constant: &[bool]) -> Vec<Value> {
    // Literals are part of the code; booleans of parameters are rare and cheap: both stay.
    let movable = |v: Value| {
        let node = step.node(v);
        let instruction = matches!(&node.def, Def::Inst(_, args) if !args.is_empty());
        constant[v.index()] && instruction && node.ty == Type::Real
    };
    let mut read: Vec<bool> = constant.iter().map(|c| !c).collect();
    step.outputs
        .iter()
        .for_each(|o| read[o.value.index()] = true);
    for (value, node) in step.values().rev() {
        if let Def::Inst(_, args) = &node.def
            && read[value.index()]
            && !movable(value)
        {
            args.iter().for_each(|a| read[a.index()] = true);
        }
    }
    step.values()
        .map(|(v, _)| v)
        .filter(|&v| read[v.index()] && movable(v))
        .collect()
}

/// Copies what is constant in time; what the step reads of the kernel before is there already.
fn copy_constant(
    b: &mut Builder,
    step: &Kernel,
    constant: &[bool],
    before: &[(Slot, Value, Rate)],
) -> Vec<Value> {
    let mut copies = vec![Value(0); step.nodes.len()];
    for (value, node) in step.values().filter(|(v, _)| constant[v.index()]) {
        b.set_origin(node.origin);
        copies[value.index()] = match &node.def {
            Def::Inst(op, args) => {
                let args: Vec<Value> = args.iter().map(|a| copies[a.index()]).collect();
                b.inst(*op, &args)
            }
            Def::Input(input) => match before.iter().find(|(slot, ..)| *slot == input.slot) {
                Some((_, value, _)) => *value,
                None => shared_input(b, node),
            },
        };
        if let Some(note) = &node.note {
            b.note(copies[value.index()], note);
        }
    }
    copies
}

/// Appends another kernel; gives its outputs.
fn append(b: &mut Builder, other: &Kernel) -> Vec<(Slot, Value, Rate)> {
    let mut copies: Vec<Value> = Vec::with_capacity(other.nodes.len());
    for node in &other.nodes {
        b.set_origin(node.origin);
        let copy = match &node.def {
            Def::Inst(op, args) => {
                let args: Vec<Value> = args.iter().map(|a| copies[a.index()]).collect();
                b.inst(*op, &args)
            }
            Def::Input(_) => shared_input(b, node),
        };
        if let Some(note) = &node.note {
            b.note(copy, note);
        }
        copies.push(copy);
    }
    let outputs = other.outputs.iter();
    outputs
        .map(|o| (o.slot.clone(), copies[o.value.index()], o.rate))
        .collect()
}

/// The input of the same slot, or a new one.
fn shared_input(b: &mut Builder, node: &Node) -> Value {
    match &node.def {
        Def::Input(input) => b.kernel().input(&input.slot),
        Def::Inst(..) => None,
    }
    .unwrap_or_else(|| b.push(node.clone()))
}

/// A short name that no other derived value has.
fn name(step: &Kernel, value: Value, taken: &mut BTreeSet<String>) -> String {
    let note = step.node(value).note.as_deref().unwrap_or("");
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    let base: String = match note.chars().filter(word).collect::<String>() {
        empty if empty.is_empty() => format!("c{}", taken.len()),
        name => name,
    };
    let mut candidate = base.clone();
    let mut n = 1;
    while !taken.insert(candidate.clone()) {
        n += 1;
        candidate = format!("{base}_{n}");
    }
    candidate
}

/// The step with the moved values as inputs, without what only they needed.
fn replace(step: &Kernel, derived: &[(Value, Slot)], rates: &[Rate]) -> Kernel {
    let mut b = Builder::new(step.name.clone());
    let mut renamed = Vec::with_capacity(step.nodes.len());
    for (value, node) in step.values() {
        b.set_origin(node.origin);
        let new = match (derived.iter().find(|(v, _)| *v == value), &node.def) {
            (Some((_, slot)), _) => b.input(slot.clone(), Type::Real, rates[value.index()]),
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
    for output in &step.outputs {
        b.output(
            output.slot.clone(),
            renamed[output.value.index()],
            output.rate,
        );
    }
    let mut kernel = b.finish();
    super::dce(&mut kernel);
    kernel
}
