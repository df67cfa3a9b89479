//! Which nodes an output needs.
//!
//! The passes remove dead nodes, but they see a spike's surrogate as one of its operands. Machine
//! code does not: the value of a spike is a comparison of the margin, so in a forward kernel the
//! surrogate's derivative and primitive are dead here. Cranelift would drop unused arithmetic by
//! itself, but not a call.

use rheobase_ir::kernel::{Def, Kernel, Value};
use rheobase_ir::ops::Op;

/// For each node, whether its value is needed.
pub(super) fn live(kernel: &Kernel) -> Vec<bool> {
    let mut live = vec![false; kernel.nodes.len()];
    for output in &kernel.outputs {
        live[output.value.index()] = true;
    }
    for (value, node) in kernel.values().rev() {
        if live[value.index()]
            && let Def::Inst(op, args) = &node.def
        {
            for operand in operands(*op, args) {
                live[operand.index()] = true;
            }
        }
    }
    live
}

/// For each node, the live instruction that reads it last.
pub(super) fn last_uses(kernel: &Kernel, live: &[bool]) -> Vec<Option<Value>> {
    let mut last = vec![None; kernel.nodes.len()];
    for (value, node) in kernel.values() {
        if live[value.index()]
            && let Def::Inst(op, args) = &node.def
        {
            for operand in operands(*op, args) {
                last[operand.index()] = Some(value);
            }
        }
    }
    // An output is read when everything is computed.
    for output in &kernel.outputs {
        last[output.value.index()] = None;
    }
    last
}

/// The operands that an op's machine code reads.
pub(super) fn operands(op: Op, args: &[Value]) -> &[Value] {
    if matches!(op, Op::Spike(_) | Op::Count) {
        &args[..1]
    } else {
        args
    }
}
