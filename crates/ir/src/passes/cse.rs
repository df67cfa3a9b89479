//! `cse`: instructions with the same op and operands are computed once.
//!
//! ```text
//! v3 = mul v0, v1
//! v4 = mul v0, v1   →   v3
//! ```
//!
//! `spike` and `detach` are shared like any other op: equal operands give equal values and gradients.

use std::collections::BTreeMap;

use crate::kernel::{Def, Kernel, Value};
use crate::ops::Op;
use crate::rewrite::{keep, rebuild};

/// See the module page.
pub fn cse(kernel: &mut Kernel) -> bool {
    let mut seen: BTreeMap<(Op, Vec<Value>), Value> = BTreeMap::new();
    let mut changed = false;
    rebuild(kernel, |b, _, node| {
        let Def::Inst(op, args) = &node.def else {
            return keep(b, node);
        };
        if args.is_empty() {
            return keep(b, node);
        }
        let mut key = args.clone();
        if matches!(op, Op::Add | Op::Mul | Op::And | Op::Or | Op::Eq | Op::Ne) {
            key.sort();
        }
        match seen.get(&(*op, key.clone())) {
            Some(&value) => {
                changed = true;
                value
            }
            None => {
                let value = keep(b, node);
                seen.insert((*op, key), value);
                value
            }
        }
    });
    changed
}
