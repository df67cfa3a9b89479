//! What it costs to keep a value and to compute it again: the capacities of the cut.
//!
//! In picoseconds for each neuron and step, of single precision in registers of four lanes on the machine of the tables
//! of `crates/README.md`. Only their ratios matter, and those differ little from machine to machine: an exponential is
//! worth some tens of additions everywhere.

use crate::kernel::Def;
use crate::ops::Op;
use crate::types::Type;

/// A byte that is written and read again, beyond the caches: 48 ps in each direction.
const BYTE: usize = 100;

/// An instruction for four lanes.
const INSTRUCTION: usize = 40;

/// Bytes that a value of a type takes on the tape of single precision.
pub fn bytes(ty: Type) -> usize {
    match ty {
        Type::Real => 4,
        Type::Bf16 => 2,
        Type::Bool => 1,
    }
}

/// What it costs to keep a value of a type: its bytes, and the instructions that make and read them.
pub fn saved(ty: Type) -> usize {
    let instructions = match ty {
        Type::Real => 0,
        // Shifts and roundings; masks of four lanes and bytes.
        Type::Bf16 => 5,
        Type::Bool => 8,
    };
    bytes(ty) * BYTE + instructions * INSTRUCTION / 2
}

/// What it costs to compute a value from its operands.
pub fn of(def: &Def) -> usize {
    match def {
        Def::Input(_) => 0,
        Def::Inst(op, _) => computed(*op),
    }
}

/// What it costs to compute an op.
pub fn computed(op: Op) -> usize {
    match op {
        Op::Const(_) | Op::Truth(_) | Op::Detach | Op::Hold => 0,
        Op::Neg
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Fma
        | Op::Min
        | Op::Max
        | Op::Abs
        | Op::Floor
        | Op::Round
        | Op::Lt
        | Op::Le
        | Op::Eq
        | Op::Ne
        | Op::And
        | Op::Or
        | Op::Not
        | Op::Select
        | Op::ToReal
        | Op::Spike(_)
        | Op::Widen => INSTRUCTION,
        Op::Count | Op::Sign | Op::Narrow => 4 * INSTRUCTION,
        Op::Div => 270,
        Op::Sqrt => 390,
        Op::Exp | Op::Expm1 | Op::Phi(0) => 1150,
        Op::Phi(1) => 2150,
        Op::Phi(2) => 3100,
        Op::Phi(_) => 17_000,
        Op::Log | Op::Log1p => 2300,
        Op::Sigmoid => 2550,
        Op::Tanh => 1900,
        Op::Softplus => 4100,
        Op::Erf => 3000,
        Op::Sin | Op::Cos => 5900,
        Op::Pow => 14_500,
        // Four rounds of a hash for two numbers, of which a kernel seldom reads both.
        Op::Uniform(_) => 4000,
        Op::Normal(_) | Op::White(_) => 8500,
        // A call for each lane.
        Op::Expm(_) | Op::Integrate(_) => 100_000,
    }
}
