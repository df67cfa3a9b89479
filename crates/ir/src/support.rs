//! Where a gradient that comes to a spike can go on: outside of the support of its surrogate it cannot.
//!
//! A spike has a gradient only by the surrogate derivatives `d` of its conditions, each a factor of it. Where
//! all of them are exactly 0, nothing depends on the adjoint of the spike, and whoever computes that adjoint
//! may leave it out. For surrogates that can be exactly 0 the forward tells where they are not:
//!
//! ```text
//! v9 = spike.ge v6, v8          →   v9  = spike.ge v6, v8
//! out spike s = v9                  v11 = ne v8, 0.0
//!                                   out spike s = v9
//!                                   out saved active.s = v11
//! ```
//!
//! A primitive through which a gradient goes to the surrogate's shape has none of these zeros: there the
//! gradient goes on everywhere.
//!
//! Exponentials and quotients are 0 only where they underflow, which is not worth asking for.

use crate::kernel::{Def, Kernel, Node, Output, Role, Slot, Value};
use crate::ops::Op;
use crate::types::{Rate, Type};

/// Adds to a joint kernel (see [`crate::tape`]) the output that tells where the gradient of a spike output
/// goes on, and returns its slot. `None` if there is no such spike, or it may go on everywhere. `active` are
/// the values of the step, which come first in the joint kernel, that carry a gradient.
pub fn tell_support(joint: &mut Kernel, spike: &str, active: &[bool]) -> Option<Slot> {
    let output = |o: &&Output| o.slot == Slot::new(Role::Spike, spike);
    let spike_value = joint.outputs.iter().find(output)?.value;
    let derivatives = derivatives(joint, spike_value, active)?;
    if derivatives.is_empty() || !derivatives.iter().all(|d| may_vanish(joint, *d)) {
        return None;
    }
    let mut active: Option<Value> = None;
    let zero = push(joint, Op::Const(0.0.into()), vec![]);
    for d in derivatives {
        let here = push(joint, Op::Ne, vec![d, zero]);
        active = Some(match active {
            Some(before) => push(joint, Op::Or, vec![before, here]),
            None => here,
        });
    }
    // Saved values have words as names, so this is none of them.
    let slot = Slot::new(Role::Saved, format!("active.{spike}"));
    joint.outputs.push(Output {
        slot: slot.clone(),
        value: active?,
        rate: Rate::Lane,
    });
    Some(slot)
}

fn push(kernel: &mut Kernel, op: Op, args: Vec<Value>) -> Value {
    let value = Value(kernel.nodes.len() as u32);
    let ty = op.result().unwrap_or(Type::Bool);
    kernel.nodes.push(Node {
        def: Def::Inst(op, args),
        ty,
        origin: None,
        note: None,
    });
    value
}

/// The surrogate derivatives of all spikes that a boolean is made of; `None` if one has another way for its
/// gradient.
fn derivatives(kernel: &Kernel, spike: Value, active: &[bool]) -> Option<Vec<Value>> {
    let mut waiting = vec![spike];
    let mut seen = vec![false; kernel.nodes.len()];
    let mut found = Vec::new();
    while let Some(value) = waiting.pop() {
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        let Def::Inst(op, args) = &kernel.node(value).def else {
            continue;
        };
        // What else is boolean has no gradient: a comparison, a detached spike.
        if matches!(op, Op::Spike(_)) {
            if args.get(2).is_some_and(|p| active[p.index()]) {
                return None;
            }
            found.extend(args.get(1));
        } else if matches!(op, Op::And | Op::Or | Op::Not) {
            waiting.extend(args);
        }
    }
    Some(found)
}

/// Whether a value is exactly 0 for more than single points.
fn may_vanish(kernel: &Kernel, value: Value) -> bool {
    let zero =
        |v: Value| matches!(kernel.node(v).def, Def::Inst(Op::Const(c), _) if c.value() == 0.0);
    let Def::Inst(op, args) = &kernel.node(value).def else {
        return false;
    };
    if *op == Op::Select {
        args[1..].iter().any(|a| may_vanish(kernel, *a))
    } else if matches!(op, Op::Max | Op::Min) {
        args.iter().any(|a| zero(*a))
    } else if *op == Op::Mul {
        args.iter().any(|a| may_vanish(kernel, *a))
    } else if matches!(op, Op::Div | Op::Neg | Op::Abs) {
        may_vanish(kernel, args[0])
    } else {
        *op == Op::ToReal || zero(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::{active, differentiate};
    use crate::tape::{Numbers, plan_tape, primal};
    use crate::text::parse;
    use crate::verify::verify;

    /// A step whose surrogate derivative is this op of the margin `v3` and 1 minus its absolute value `v6`.
    fn step(derivative: &str) -> Kernel {
        let text = format!(
            "kernel N.step {{
  v0 = in real state v
  v1 = in real port x
  v2 = add v0, v1
  v3 = sub v2, v4
  v4 = const 1.0
  v5 = abs v3
  v6 = sub v4, v5
  v7 = const 0.0
  v8 = {derivative}
  v9 = spike.ge v3, v8
  v10 = select v9, v7, v2
  out state v = v10
  out spike s = v9
}}"
        );
        // The constant has to come before its use.
        let text = text.replace(
            "v3 = sub v2, v4\n  v4 = const 1.0",
            "v3 = const 1.0\n  v4 = sub v2, v3",
        );
        let text = text
            .replace("abs v3", "abs v4")
            .replace("sub v4, v5", "sub v3, v5");
        parse(&text.replace("spike.ge v3", "spike.ge v4")).expect("a kernel")
    }

    #[test]
    fn only_surrogates_that_can_be_zero_tell() {
        for (derivative, tells) in [
            ("max v6, v7", true),
            ("mul v6, v6", false),
            ("exp v6", false),
            ("max v6, v3", false),
        ] {
            let step = step(derivative);
            let active = active(&step, &|_| true);
            let mut joint = differentiate(&step, &|_| true);
            let slot = tell_support(&mut joint, "s", &active);
            assert_eq!(slot.is_some(), tells, "{derivative}");
            assert_eq!(tell_support(&mut joint, "other", &active), None);
            let plan = plan_tape(&joint, "N", Numbers::Whole);
            for kernel in [&plan.forward, &plan.backward] {
                verify(kernel).expect("it keeps the rules");
            }
            let has = |kernel: &Kernel| {
                kernel
                    .outputs
                    .iter()
                    .any(|o| Some(&o.slot) == slot.as_ref())
            };
            assert_eq!(has(&plan.forward), tells);
            assert!(!has(&primal(&joint, "N.infer")));
        }
    }

    /// The gradient of a shape goes on where the surrogate derivative is zero, unless nobody asks for it.
    #[test]
    fn a_shape_has_no_support() {
        let text = "kernel N.step {
  v0 = in real state v
  v1 = in real uniform param width
  v2 = abs v0
  v3 = sub v1, v2
  v4 = const 0.0
  v5 = max v3, v4
  v6 = hold v0
  v7 = mul v6, v1
  v8 = spike.ge v0, v5, v7
  out state v = v0
  out spike s = v8
}";
        let step = parse(text).expect("a kernel");
        for learns in [false, true] {
            let wrt = |slot: &Slot| learns || slot.role != Role::Param;
            let active = active(&step, &wrt);
            let mut joint = differentiate(&step, &wrt);
            let slot = tell_support(&mut joint, "s", &active);
            assert_eq!(slot.is_none(), learns);
        }
    }
}
