//! How a call hands its arguments to compiled code.
//!
//! A kernel's function is `extern "C" fn(rows: *const *mut u8, lanes: usize)`. `rows` holds one
//! pointer for each entry of [`Kernel::signature`], in that order; a pointer leads to the first
//! element. Elements are `f32` or `f64`, the same for the whole kernel, bytes 0 and 1 for
//! booleans, or two bytes for numbers in bfloat16. A lane argument is a contiguous row of at least `lanes`
//! elements, a uniform one is a single element. `lanes` is a multiple of what the lowering says, at most
//! [`GROUP`] elements: rows end in elements that nobody reads, or the last lanes are copied to rows that do. Rows need
//! the alignment of their element only. No two rows overlap. The function reads and writes nothing else, and never
//! unwinds.
//!
//! [`Kernel::signature`]: rheobase_ir::kernel::Kernel::signature

use rheobase_ir::executor::Arg;
use rheobase_ir::real::Real;
use rheobase_ir::types::Type;

use crate::lower::MOST_REGISTERS;

/// The number of lanes is a multiple of this or of one of its divisors.
pub(crate) const GROUP: usize = 4 * MOST_REGISTERS;

/// The precision of the reals of a compiled kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Single precision, four lanes at a time.
    F32,
    /// Double precision, two lanes at a time.
    F64,
}

/// An element type that kernels are compiled for: `f32` or `f64`. Sealed.
pub trait Lane: Real + sealed::Sealed {
    /// The precision it stands for.
    const PRECISION: Precision;
}

impl Lane for f32 {
    const PRECISION: Precision = Precision::F32;
}

impl Lane for f64 {
    const PRECISION: Precision = Precision::F64;
}

mod sealed {
    /// Keeps [`super::Lane`] to the types that the code generator knows.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A compiled kernel's function. See the module page for what it asks of its arguments.
pub(crate) type Entry = unsafe extern "C" fn(rows: *const *mut u8, lanes: usize);

/// The address of the first element of an argument. Rows that are only read lose their `const` here;
/// the code writes to arguments only whose access is `Write` or `Update`.
pub(crate) fn row<R>(arg: &mut Arg<'_, R>) -> *mut u8 {
    match arg {
        Arg::Real(row) => row.as_ptr().cast_mut().cast(),
        Arg::RealMut(row) => row.as_mut_ptr().cast(),
        Arg::Bool(row) => row.as_ptr().cast_mut(),
        Arg::BoolMut(row) => row.as_mut_ptr(),
        Arg::Bf16(row) => row.as_ptr().cast_mut().cast(),
        Arg::Bf16Mut(row) => row.as_mut_ptr().cast(),
    }
}

/// The bytes of an element of a type.
pub(crate) const fn bytes<R>(ty: Type) -> usize {
    match ty {
        Type::Real => size_of::<R>(),
        Type::Bf16 => 2,
        Type::Bool => 1,
    }
}
