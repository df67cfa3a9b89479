//! `fold`: an instruction whose operands are all constants becomes a constant.
//!
//! ```text
//! v2 = mul 2.0, 3.0   →   v2 = const 6.0
//! ```
//!
//! Folding is done in double precision. An `f32` executor rounds the folded number once where the
//! instructions would have rounded at each step, so results may differ from the unfolded kernel in the
//! last bit, and are the closer ones. A result that is not finite is not folded, so that run-time
//! checks still find its place. `spike`, `detach` and their like are never folded: the backward must see them.

use crate::interp::{Spiking, evaluate_op};
use crate::kernel::{Def, Kernel, Value};
use crate::ops::{Class, Op};
use crate::rewrite::{keep, rebuild};
use crate::types::Type;

/// See the module page.
pub fn fold(kernel: &mut Kernel) -> bool {
    let mut changed = false;
    rebuild(kernel, |b, _, node| {
        let Def::Inst(op, args) = &node.def else {
            return keep(b, node);
        };
        let gate = op.class() == Class::Gate;
        if args.is_empty() || gate || matches!(op, Op::Integrate(_)) {
            return keep(b, node);
        }
        let operands: Option<Vec<f64>> = args.iter().map(|&a| constant(b.kernel(), a)).collect();
        let folded = operands
            .and_then(|x| evaluate_op(*op, &x, &mut Spiking::Hard).ok())
            .filter(|x| x.is_finite());
        match folded {
            Some(value) if node.ty == Type::Real => {
                changed = true;
                b.real(value)
            }
            Some(value) if node.ty == Type::Bool => {
                changed = true;
                b.truth(value != 0.0)
            }
            // There are no constants of the type of the tape.
            Some(_) | None => keep(b, node),
        }
    });
    changed
}

/// The number of a constant; booleans are 0 and 1.
pub(super) fn constant(kernel: &Kernel, value: Value) -> Option<f64> {
    match &kernel.node(value).def {
        Def::Inst(Op::Const(literal), _) => Some(literal.value()),
        Def::Inst(Op::Truth(truth), _) => Some(f64::from(u8::from(*truth))),
        Def::Inst(..) | Def::Input(_) => None,
    }
}
