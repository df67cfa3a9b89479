//! `simplify`: algebra on single instructions.
//!
//! ```text
//! v2 = mul v1, 1.0          →   v1
//! v3 = select v0, v1, v1    →   v1
//! ```
//!
//! Exact for every input, with two exceptions. `x + 0` becomes `x` and `0 − x` becomes `−x`, which differ in
//! the sign of a zero. `x^2` becomes `x·x`, which is rounded correctly where `pow` may miss the last bit.
//! `0·x` stays, since it is NaN where `x` is not finite, and a division becomes a multiplication only where
//! the divisor is a power of two.

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};
use crate::ops::Op;
use crate::rewrite::{keep, rebuild};

use super::fold::constant;

/// See the module page.
pub fn simplify(kernel: &mut Kernel) -> bool {
    let mut changed = false;
    rebuild(kernel, |b, _, node| {
        let Def::Inst(op, args) = &node.def else {
            return keep(b, node);
        };
        match simpler(b, *op, args) {
            Some(value) => {
                changed = true;
                value
            }
            None => keep(b, node),
        }
    });
    changed
}

/// The operand of `value` if it is a unary instruction of this op.
fn operand(b: &Builder, value: Value, op: Op) -> Option<Value> {
    match &b.kernel().node(value).def {
        Def::Inst(found, args) if *found == op => args.first().copied(),
        Def::Inst(..) | Def::Input(_) => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rewrite names the ops it knows and leaves all others alone"
)]
fn simpler(b: &mut Builder, op: Op, args: &[Value]) -> Option<Value> {
    let number = |b: &Builder, i: usize| constant(b.kernel(), args[i]);
    let is = |b: &Builder, i: usize, x: f64| number(b, i) == Some(x);
    if let Op::Neg = op {
        return operand(b, args[0], Op::Neg);
    }
    match op {
        Op::Add if is(b, 0, 0.0) => Some(args[1]),
        Op::Add if is(b, 1, 0.0) => Some(args[0]),
        Op::Add => match (operand(b, args[0], Op::Neg), operand(b, args[1], Op::Neg)) {
            (_, Some(y)) => Some(b.sub(args[0], y)),
            (Some(x), None) => Some(b.sub(args[1], x)),
            (None, None) => None,
        },
        Op::Sub if is(b, 1, 0.0) => Some(args[0]),
        Op::Sub if is(b, 0, 0.0) => Some(b.neg(args[1])),
        Op::Sub => operand(b, args[1], Op::Neg).map(|y| b.add(args[0], y)),
        Op::Mul if is(b, 0, 1.0) => Some(args[1]),
        Op::Mul if is(b, 1, 1.0) => Some(args[0]),
        Op::Mul if is(b, 0, -1.0) => Some(b.neg(args[1])),
        Op::Mul if is(b, 1, -1.0) => Some(b.neg(args[0])),
        Op::Div if is(b, 1, 1.0) => Some(args[0]),
        Op::Div => {
            let divisor = number(b, 1)?;
            // The reciprocal of a power of two is exact, unless it leaves the range of f32.
            let exponent = divisor.abs().log2();
            let exact = exponent.fract() == 0.0 && exponent.abs() < 100.0;
            exact.then(|| {
                let reciprocal = b.real(1.0 / divisor);
                b.mul(args[0], reciprocal)
            })
        }
        Op::Select if args[1] == args[2] => Some(args[1]),
        Op::Select => match number(b, 0) {
            Some(condition) => Some(if condition != 0.0 { args[1] } else { args[2] }),
            None => {
                let condition = operand(b, args[0], Op::Not)?;
                Some(b.select(condition, args[2], args[1]))
            }
        },
        Op::And if is(b, 0, 1.0) => Some(args[1]),
        Op::And if is(b, 1, 1.0) => Some(args[0]),
        Op::Or if is(b, 0, 0.0) => Some(args[1]),
        Op::Or if is(b, 1, 0.0) => Some(args[0]),
        Op::Not => operand(b, args[0], Op::Not),
        Op::Pow if is(b, 1, 1.0) => Some(args[0]),
        Op::Pow if is(b, 1, 2.0) => Some(b.mul(args[0], args[0])),
        _ => None,
    }
}
