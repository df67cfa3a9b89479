//! How many registers of lanes a pass of the loop works on, and in which order they are computed.
//!
//! *One after the other.* A short body is repeated for several registers. What the loop itself costs is shared, and
//! four registers of spikes are stored as one. The machine computes them at the same time, as far as it looks ahead.
//!
//! *Abreast.* In a long chain of instructions each waits for the one before (a Runge–Kutta step of an exponential
//! neuron: eight exponentials), and the next iteration is further away than the machine looks ahead. There each node is
//! computed for all registers before the next node, and many functions are called for all of them at once. Two registers
//! keep the machine busy if a body has several chains (a Hodgkin–Huxley neuron: one for each gate), four if it is one;
//! code for four takes more than twice as long to make as code for two.

use std::collections::BTreeSet;

use rheobase_ir::kernel::{Def, Kernel};
use rheobase_ir::ops::Op;
use rheobase_ir::types::{Rate, Type};

use super::live;
use crate::abi::Precision;
use crate::functions::{Function, Wide};
use crate::target::Machine;

/// The registers of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// How many: 1, 2 or 4.
    pub(super) registers: usize,
    /// Whether a node is computed for all of them before the next node.
    pub(super) abreast: bool,
    /// Whether functions are called, because the kernel uses many.
    pub(super) calls: bool,
}

/// The most registers of a group.
pub(crate) const MOST_REGISTERS: usize = 4;

/// The functions that a loop has written in it are together at most about so many instructions.
const WRITTEN: usize = 120;

/// A group that is computed register by register has at most about so many instructions.
const REPEATED: usize = 160;

/// A body of fewer instructions is done with before the machine's look-ahead ends (224 to 512 instructions).
const LOOKED_AHEAD: usize = 100;

/// While the machine waits for a chain of fewer cycles, what it looks ahead to keeps it busy.
const WAITED: usize = 100;

/// The vector functions that the code of a kernel calls.
pub(crate) fn functions(kernel: &Kernel, precision: Precision, machine: Machine) -> Vec<Wide> {
    let (live, rates) = (live::live(kernel), kernel.rates());
    let group = Group::of(kernel, &live, &rates, precision, machine);
    let mut found = BTreeSet::new();
    for (value, node) in kernel.values().filter(|(v, _)| live[v.index()]) {
        let Def::Inst(op, _) = &node.def else {
            continue;
        };
        if let Some(function) = Function::of(*op, precision, machine) {
            let in_loop = rates[value.index()] == Rate::Lane;
            if group.writes(function, in_loop) {
                continue;
            }
            let abreast = in_loop && group.abreast;
            found.insert(Wide {
                function,
                registers: if abreast {
                    function.registers(group.registers)
                } else {
                    1
                },
            });
        }
    }
    found.into_iter().collect()
}

impl Group {
    /// Whether a function is written where it is used, else it is called.
    pub(super) fn writes(self, function: Function, in_loop: bool) -> bool {
        in_loop && !self.calls && !function.branches()
    }

    /// The group for a kernel of which some nodes are live.
    pub(super) fn of(
        kernel: &Kernel,
        live: &[bool],
        rates: &[Rate],
        precision: Precision,
        machine: Machine,
    ) -> Group {
        let mut functions = 0;
        let mut size = 0;
        // When each value is there, in cycles.
        let mut ready = vec![0; kernel.nodes.len()];
        for (value, node) in kernel.values() {
            if !live[value.index()] || rates[value.index()] == Rate::Uniform {
                continue;
            }
            let (instructions, cycles) = match &node.def {
                Def::Input(_) => (moved(node.ty), 0),
                Def::Inst(op, args) => {
                    let function = Function::of(*op, precision, machine);
                    functions += function.map_or(0, Function::size);
                    let size = function.map_or_else(|| instructions(*op), Function::size);
                    let operands = live::operands(*op, args).iter();
                    let last = operands.map(|a| ready[a.index()]).max().unwrap_or(0);
                    (size, last + cycles(*op, size))
                }
            };
            size += instructions;
            ready[value.index()] = cycles;
        }
        let outputs = kernel.outputs.iter().filter(|o| o.rate == Rate::Lane);
        size += outputs.map(|o| moved(kernel.ty(o.value))).sum::<usize>();
        let longest = ready.into_iter().max().unwrap_or(0);
        if size > LOOKED_AHEAD && longest > WAITED {
            return Group {
                registers: if longest > size { 4 } else { 2 },
                abreast: true,
                calls: 4 * functions > WRITTEN,
            };
        }
        Group {
            registers: match REPEATED / size.max(1) {
                0 | 1 => 1,
                2 | 3 => 2,
                _ => 4,
            },
            abreast: false,
            calls: functions > WRITTEN,
        }
    }
}

/// About how many cycles after its operands the result of an op of so many instructions is there.
fn cycles(op: Op, size: usize) -> usize {
    if matches!(op, Op::Div) {
        11
    } else if matches!(op, Op::Sqrt) {
        15
    } else if matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Fma) {
        4
    } else if size > 10 && !matches!(op, Op::Uniform(_) | Op::Normal(_)) {
        2 * size
    } else {
        size
    }
}

/// About how many instructions load or store a register of values.
fn moved(ty: Type) -> usize {
    match ty {
        Type::Real => 1,
        Type::Bf16 => 4,
        Type::Bool => 5,
    }
}

/// About how many instructions an op is that is not a function.
fn instructions(op: Op) -> usize {
    match op {
        Op::Const(_) | Op::Truth(_) | Op::Detach | Op::Hold => 0,
        Op::Spike(_)
        | Op::Neg
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Fma
        | Op::Min
        | Op::Max
        | Op::Abs
        | Op::Floor
        | Op::Round
        | Op::Sqrt
        | Op::Lt
        | Op::Le
        | Op::Eq
        | Op::Ne
        | Op::And
        | Op::Or
        | Op::Not
        | Op::Select
        | Op::ToReal => 1,
        Op::Count | Op::Sign | Op::Narrow => 4,
        Op::Widen => 1,
        // Calls, one for each lane.
        Op::Expm(_) => 1000,
        // Functions, which have sizes of their own, and ops that are refused.
        Op::Exp
        | Op::Expm1
        | Op::Log
        | Op::Log1p
        | Op::Pow
        | Op::Sin
        | Op::Cos
        | Op::Tanh
        | Op::Sigmoid
        | Op::Softplus
        | Op::Erf
        | Op::Phi(_)
        | Op::Uniform(_)
        | Op::Normal(_)
        | Op::Integrate(_)
        | Op::White(_) => 0,
    }
}
