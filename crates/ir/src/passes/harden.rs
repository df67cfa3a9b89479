//! `harden`: removes what only differentiation needs, once it is done.
//!
//! ```text
//! v5 = spike.ge v3, v4   →   v5 = le 0.0, v3
//! v6 = detach v5         →   v5
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
            Op::Detach => {
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
