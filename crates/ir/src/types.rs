//! The types of a value and the two rates of a kernel argument.
//!
//! A kernel says nothing about precision: `real` is `f32` or `f64`, whichever the executor was
//! made for. That is why one kernel can be run by the `f64` interpreter, which is the oracle, and
//! by compiled `f32` code, and be compared.

use std::fmt;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// A floating-point number in the executor's precision.
    Real,
    /// A truth value. One that comes from a `spike` carries a gradient (see [`crate::ops`]).
    Bool,
    /// A real with eight significant bits and the range of single precision, for the tape: it is kept in two bytes
    /// (bfloat16). It carries no gradient.
    Bf16,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Real => "real",
            Type::Bool => "bool",
            Type::Bf16 => "bf16",
        })
    }
}

/// Whether an argument holds one value for every lane or one value for all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rate {
    /// One scalar, the same for all lanes (a shared parameter).
    Uniform,
    /// A contiguous row with one value per lane.
    Lane,
}
