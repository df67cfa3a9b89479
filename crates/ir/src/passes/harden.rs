//! `harden`: removes what only differentiation needs, once it is done.
//!
//! ```text
//! v5 = spike.ge v3, v4   →   v5 = le 0.0, v3
//! v6 = detach v5         →   v5
//! v7 = count v3, v4      →   v7 = max (add (floor v3), 1.0), 0.0
//! ```
//!
//! The surrogate derivative is then dead in the forward. Only for kernels that simulate; gradient
//! checks run kernels that still have their spikes.

use crate::kernel::{Def, Kernel};
use crate::ops::{Edge, Op};
use crate::rewrite::{keep, rebuild};

/// See the module page.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rewrite names the ops it knows and leaves all others alone"
)]
pub fn harden(kernel: &mut Kernel) -> bool {
    let mut changed = false;
    rebuild(kernel, |b, _, node| {
        let Def::Inst(op, args) = &node.def else {
            return keep(b, node);
        };
        let comparison = match op {
            Op::Spike(Edge::AtOrAbove) => Op::Le,
            Op::Spike(Edge::Above) => Op::Lt,
            Op::Count => {
                changed = true;
                let (zero, one) = (b.real(0.0), b.real(1.0));
                let whole = b.inst(Op::Floor, &[args[0]]);
                let number = b.add(whole, one);
                return b.inst(Op::Max, &[number, zero]);
            }
            Op::Detach | Op::Hold => {
                changed = true;
                return args[0];
            }
            _ => return keep(b, node),
        };
        changed = true;
        let zero = b.real(0.0);
        b.inst(comparison, &[zero, args[0]])
    });
    changed
}
