//! `reciprocal`: a division by what does not change in time becomes a product with its reciprocal, which the prologue
//! computes.
//!
//! ```text
//! v2 = div v0, tau   →   v2 = div 1.0, tau
//!                        v3 = mul v0, v2
//! ```
//!
//! Two roundings instead of one: in `f32`, where the reciprocal is rounded from double precision, results change
//! by at most one unit in the last place, as long as the reciprocal is a normal number. A product takes
//! a fraction of the time of a division, in the step and, where the rule of the division would divide again, in the backward.

use crate::kernel::{Def, Kernel};
use crate::ops::Op;
use crate::rewrite::{keep, rebuild};

use super::fold::constant;
use super::hoist::constant_in_time;

/// See the module page.
pub fn reciprocal(kernel: &mut Kernel) -> bool {
    let fixed = constant_in_time(kernel);
    let mut changed = false;
    let divisors: Vec<bool> = kernel
        .nodes
        .iter()
        .map(|node| match &node.def {
            Def::Inst(Op::Div, args) => !fixed[args[0].index()] && fixed[args[1].index()],
            Def::Inst(..) | Def::Input(_) => false,
        })
        .collect();
    rebuild(kernel, |b, old, node| {
        let args = match &node.def {
            Def::Inst(Op::Div, args) if divisors[old.index()] => args,
            Def::Inst(..) | Def::Input(_) => return keep(b, node),
        };
        let one = b.real(1.0);
        let reciprocal = match constant(b.kernel(), args[1]) {
            Some(number) if in_range(1.0 / number) => b.real(1.0 / number),
            Some(_) => return keep(b, node),
            None => b.inst(Op::Div, &[one, args[1]]),
        };
        changed = true;
        b.mul(args[0], reciprocal)
    });
    changed
}

/// Whether a number is a normal one in `f32`.
fn in_range(number: f64) -> bool {
    (number as f32).is_normal()
}
