//! How a kernel is called: the arguments both executors take, and the trait they implement.
//!
//! A call advances `lanes` lanes by one step. The arguments are those of [`Kernel::signature`], in
//! that order. A lane argument is a contiguous row of at least `lanes` elements; a uniform one has at
//! least one element. Booleans are bytes, 0 or 1. Kernels keep nothing between calls.
//!
//! [`Kernel::signature`]: crate::kernel::Kernel::signature

use std::fmt;

use crate::kernel::{Access, Param, Slot};
use crate::types::{Rate, Type};

/// One argument of a call.
#[derive(Debug)]
pub enum Arg<'a, R> {
    /// Reals that are read.
    Real(&'a [R]),
    /// Reals that are written or updated in place.
    RealMut(&'a mut [R]),
    /// Booleans that are read.
    Bool(&'a [u8]),
    /// Booleans that are written.
    BoolMut(&'a mut [u8]),
    /// The upper halves of numbers in single precision, read.
    Bf16(&'a [u16]),
    /// The same, written.
    Bf16Mut(&'a mut [u16]),
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line of a variant explains its fields")]
pub enum CallError {
    /// The number of arguments differs from the signature.
    Count { expected: usize, found: usize },
    /// An argument has the wrong type or is read-only where the kernel writes.
    Kind { slot: Slot },
    /// A row is shorter than the number of lanes.
    Length {
        slot: Slot,
        needed: usize,
        found: usize,
    },
    /// The kernel holds an op that no executor runs (`integrate` before its pass).
    Op { name: &'static str },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Count { expected, found } => write!(
                f,
                "a kernel of {expected} arguments was called with {found}"
            ),
            CallError::Kind { slot } => {
                write!(f, "argument `{slot}` has the wrong type or is not writable")
            }
            CallError::Length {
                slot,
                needed,
                found,
            } => {
                write!(
                    f,
                    "argument `{slot}` has {found} elements, the call needs {needed}"
                )
            }
            CallError::Op { name } => {
                write!(f, "op `{name}` cannot be executed; its pass has not run")
            }
        }
    }
}

impl std::error::Error for CallError {}

/// Something that runs one kernel: the interpreter or compiled code.
pub trait Executor<R>: Send + Sync {
    /// The arguments a call takes, in order.
    fn signature(&self) -> &[Param];

    /// Runs the kernel for lanes `0..lanes`.
    ///
    /// # Errors
    ///
    /// The arguments do not fit the signature; nothing was written.
    fn call(&self, lanes: usize, args: &mut [Arg<'_, R>]) -> Result<(), CallError>;
}

/// Checks the arguments of a call against a signature.
///
/// # Errors
///
/// The first argument that does not fit.
pub fn check_args<R>(
    signature: &[Param],
    lanes: usize,
    args: &[Arg<'_, R>],
) -> Result<(), CallError> {
    if signature.len() != args.len() {
        return Err(CallError::Count {
            expected: signature.len(),
            found: args.len(),
        });
    }
    for (param, arg) in signature.iter().zip(args) {
        let (ty, writable, found) = match arg {
            Arg::Real(row) => (Type::Real, false, row.len()),
            Arg::RealMut(row) => (Type::Real, true, row.len()),
            Arg::Bool(row) => (Type::Bool, false, row.len()),
            Arg::BoolMut(row) => (Type::Bool, true, row.len()),
            Arg::Bf16(row) => (Type::Bf16, false, row.len()),
            Arg::Bf16Mut(row) => (Type::Bf16, true, row.len()),
        };
        if ty != param.ty || (param.access != Access::Read && !writable) {
            return Err(CallError::Kind {
                slot: param.slot.clone(),
            });
        }
        let needed = match param.rate {
            Rate::Uniform => 1,
            Rate::Lane => lanes,
        };
        if found < needed {
            return Err(CallError::Length {
                slot: param.slot.clone(),
                needed,
                found,
            });
        }
    }
    Ok(())
}
