//! Differentiation of kernels. Reverse mode derives the backward of a step from the step itself; forward
//! mode gives tangents along a direction. Both read the one table of [`partials`].
//!
//! Nothing about neurons is known here: a spike's derivative is the surrogate that the `spike` op
//! carries, `detach` passes nothing, and all else is calculus.

mod rules;

pub use rules::{Partial, partials};

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Role, Slot, Value};
use crate::ops::Op;
use crate::types::{Rate, Type};

/// The kernel that computes the outputs of `kernel` and then the adjoints of the inputs chosen by `wrt`.
///
/// The nodes of `kernel` come first, with the same values. For each output an input `adjoint …` is the
/// derivative of the loss with respect to it; there is none for an output that depends on no chosen input,
/// nor for a state that is not chosen, since nothing flows back through it. For each chosen input there is an output `adjoint …`: for states and ports the derivative
/// itself (a state's replaces the one at the end of the step by the one at its beginning); for what is
/// constant in time (parameters, derived values) the sum so far plus this step's part, in place. All
/// adjoints are lane rows, also those of uniform values; whoever calls sums over the lanes.
pub fn differentiate(kernel: &Kernel, wrt: &dyn Fn(&Slot) -> bool) -> Kernel {
    let mut b = Builder::new(format!("{}.gradient", kernel.name));
    for node in &kernel.nodes {
        b.set_origin(node.origin);
        b.push(node.clone());
    }
    b.set_origin(None);
    let active = active(kernel, wrt);
    let mut adjoints: Vec<Option<Value>> = vec![None; kernel.nodes.len()];
    for output in &kernel.outputs {
        let cut = kernel.input(&output.slot).is_some() && !wrt(&output.slot);
        if output.slot.role == Role::Saved || cut || !active[output.value.index()] {
            continue;
        }
        let seed = b.input(output.slot.adjoint(), Type::Real, Rate::Lane);
        accumulate(&mut b, &mut adjoints[output.value.index()], seed);
    }
    for (value, node) in kernel.values().rev() {
        let (Some(adjoint), Def::Inst(op, args)) = (adjoints[value.index()], &node.def) else {
            continue;
        };
        if !args.iter().any(|a| active[a.index()]) {
            continue;
        }
        b.set_origin(node.origin);
        for (arg, partial) in args.iter().zip(partials(&mut b, *op, args, value)) {
            if active[arg.index()]
                && let Some(part) = partial.times(&mut b, adjoint)
            {
                accumulate(&mut b, &mut adjoints[arg.index()], part);
            }
        }
    }
    b.set_origin(None);
    for output in &kernel.outputs {
        b.output(output.slot.clone(), output.value, output.rate);
    }
    for (value, input) in kernel.inputs() {
        if wrt(&input.slot) {
            finish_adjoint(&mut b, &input.slot, adjoints[value.index()]);
        }
    }
    b.finish()
}

fn accumulate(b: &mut Builder, sum: &mut Option<Value>, part: Value) {
    *sum = Some(match *sum {
        Some(sum) => b.add(sum, part),
        None => part,
    });
}

fn finish_adjoint(b: &mut Builder, slot: &Slot, adjoint: Option<Value>) {
    let target = slot.adjoint();
    if !slot.role.constant_in_time() {
        let value = adjoint.unwrap_or_else(|| b.real(0.0));
        b.output(target, value, Rate::Lane);
    } else if let Some(part) = adjoint {
        let so_far = b.input(target.clone(), Type::Real, Rate::Lane);
        let sum = b.add(so_far, part);
        b.output(target, sum, Rate::Lane);
    }
}

/// Which values depend on a chosen input through ops that pass a derivative.
pub fn active(kernel: &Kernel, wrt: &dyn Fn(&Slot) -> bool) -> Vec<bool> {
    let mut active: Vec<bool> = Vec::with_capacity(kernel.nodes.len());
    for node in &kernel.nodes {
        active.push(match &node.def {
            Def::Input(input) => input.ty == Type::Real && wrt(&input.slot),
            Def::Inst(op, args) => match op {
                // The margin of a spike carries a gradient, and the primitive one to its shape.
                Op::Spike(_) | Op::Count => active[args[0].index()] || shape_active(&active, args),
                Op::Detach
                | Op::Hold
                | Op::Sign
                | Op::Floor
                | Op::Round
                | Op::Lt
                | Op::Le
                | Op::Eq
                | Op::Ne
                | Op::Narrow
                | Op::Widen => false,
                Op::Const(_) | Op::Truth(_) => false,
                Op::Uniform(_) | Op::Normal(_) | Op::White(_) => false,
                Op::Integrate(_)
                | Op::Expm(_)
                | Op::Phi(_)
                | Op::Neg
                | Op::Add
                | Op::Sub
                | Op::Mul => any(&active, args),
                Op::Div
                | Op::Fma
                | Op::Min
                | Op::Max
                | Op::Abs
                | Op::Sqrt
                | Op::Exp
                | Op::Expm1 => any(&active, args),
                Op::Log | Op::Log1p | Op::Pow | Op::Sin | Op::Cos | Op::Tanh | Op::Sigmoid => {
                    any(&active, args)
                }
                Op::Softplus | Op::Erf | Op::And | Op::Or | Op::Not | Op::Select | Op::ToReal => {
                    any(&active, args)
                }
            },
        });
    }
    active
}

/// Whether the primitive of a spike moves with something that it does not hold.
fn shape_active(active: &[bool], spike: &[Value]) -> bool {
    spike.get(2).is_some_and(|p| active[p.index()])
}

fn any(active: &[bool], args: &[Value]) -> bool {
    args.iter().any(|a| active[a.index()])
}

/// Forward mode inside a kernel under construction: the derivative of `root` when the values of `seeds`
/// move with the given tangents. `None` is zero. Appends to the builder.
pub fn tangent(b: &mut Builder, root: Value, seeds: &[(Value, Value)]) -> Option<Value> {
    let first = seeds.iter().map(|(value, _)| value.index()).min()?;
    let mut tangents: Vec<Option<Value>> = vec![None; root.index() + 1];
    for &(value, tangent) in seeds {
        if let Some(slot) = tangents.get_mut(value.index()) {
            *slot = Some(tangent);
        }
    }
    let nodes: Vec<Def> = b.kernel().nodes[..=root.index()]
        .iter()
        .map(|n| n.def.clone())
        .collect();
    for (index, def) in nodes.iter().enumerate().skip(first) {
        let Def::Inst(op, args) = def else { continue };
        if tangents[index].is_some() || args.iter().all(|a| tangents[a.index()].is_none()) {
            continue;
        }
        let rule = partials(b, *op, args, Value(index as u32));
        let mut sum = None;
        for (arg, partial) in args.iter().zip(rule) {
            if let Some(moved) = tangents[arg.index()]
                && let Some(part) = partial.times(b, moved)
            {
                accumulate(b, &mut sum, part);
            }
        }
        tangents[index] = sum;
    }
    tangents[root.index()]
}
