//! `fma`: a product that is only added to something becomes a fused multiply-add.
//!
//! ```text
//! v2 = mul v0, v1
//! v4 = add v2, v3     →   v4 = fma v0, v1, v3
//! v4 = sub v3, v2     →   v4 = fma (neg v0), v1, v3
//! ```
//!
//! One rounding instead of two: results change in the last bit, towards the exact value.

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};
use crate::ops::Op;
use crate::rewrite::{keep, rebuild};

/// See the module page.
pub fn fma(kernel: &mut Kernel) -> bool {
    let uses = uses(kernel);
    let mut changed = false;
    // For every new value whether the old value it stands for was used once.
    let mut once: Vec<Value> = Vec::new();
    rebuild(kernel, |b, old, node| {
        let new = match &node.def {
            Def::Inst(op @ (Op::Add | Op::Sub), args) => match fuse(b, *op, args, &once) {
                Some(value) => {
                    changed = true;
                    value
                }
                None => keep(b, node),
            },
            Def::Inst(..) | Def::Input(_) => keep(b, node),
        };
        if uses[old.index()] == 1 {
            once.push(new);
        }
        new
    });
    changed
}

/// How often each value is an operand or an output.
fn uses(kernel: &Kernel) -> Vec<usize> {
    let mut uses = vec![0; kernel.nodes.len()];
    for node in &kernel.nodes {
        if let Def::Inst(_, args) = &node.def {
            args.iter().for_each(|a| uses[a.index()] += 1);
        }
    }
    kernel
        .outputs
        .iter()
        .for_each(|o| uses[o.value.index()] += 1);
    uses
}

fn fuse(b: &mut Builder, op: Op, args: &[Value], once: &[Value]) -> Option<Value> {
    let product = |b: &Builder, v: Value| match &b.kernel().node(v).def {
        Def::Inst(Op::Mul, factors) if once.contains(&v) => Some((factors[0], factors[1])),
        Def::Inst(..) | Def::Input(_) => None,
    };
    let (left, right) = (product(b, args[0]), product(b, args[1]));
    match (op, left, right) {
        (Op::Add, _, Some((x, y))) => Some(b.inst(Op::Fma, &[x, y, args[0]])),
        (Op::Add, Some((x, y)), None) => Some(b.inst(Op::Fma, &[x, y, args[1]])),
        (Op::Sub, _, Some((x, y))) => {
            let minus = b.neg(x);
            Some(b.inst(Op::Fma, &[minus, y, args[0]]))
        }
        (Op::Sub, Some((x, y)), None) => {
            let minus = b.neg(args[1]);
            Some(b.inst(Op::Fma, &[x, y, minus]))
        }
        _ => None,
    }
}
