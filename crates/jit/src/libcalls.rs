//! The Rust functions that compiled code calls, and the symbols it knows them by.
//!
//! They are the interpreter's own functions: what they compute agrees with it bit for bit. Only the
//! functions without a vector form are here. Cranelift adds calls of its own where the
//! machine lacks an instruction (fused multiply-add, rounding); [`cranelift_name`] sends those to
//! functions of this file too, so that nothing depends on which C library is linked.

use cranelift_codegen::ir::LibCall;

use crate::abi::Precision;
use crate::call::{expm_f32, expm_f64};

macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident $single:ident $double:ident;)*) => {
        /// A function that compiled code calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Libcall {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Libcall {
            /// The symbol of the function.
            pub(crate) fn symbol(self, precision: Precision) -> &'static str {
                match (self, precision) {
                    $((Libcall::$name, Precision::F32) => concat!("rheobase_", stringify!($single)),
                    (Libcall::$name, Precision::F64) => concat!("rheobase_", stringify!($double)),)*
                }
            }
        }

        /// The address of a symbol; `None` if it is not one of ours.
        pub(crate) fn address(symbol: &str) -> Option<*const u8> {
            $(if symbol == concat!("rheobase_", stringify!($single)) {
                return Some($single as *const u8);
            }
            if symbol == concat!("rheobase_", stringify!($double)) {
                return Some($double as *const u8);
            })*
            None
        }
    };
}

table! {
    /// Matrix exponentials of several lanes, through memory; see `call.rs`.
    Expm expm_f32 expm_f64;
    /// `a·b + c`, rounded once.
    Fma fma_f32 fma_f64;
    /// The largest integer that is not above.
    Floor floor_f32 floor_f64;
    /// The nearest integer, ties to even.
    Round round_f32 round_f64;
}

extern "C" fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

extern "C" fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}

extern "C" fn floor_f32(a: f32) -> f32 {
    a.floor()
}

extern "C" fn floor_f64(a: f64) -> f64 {
    a.floor()
}

extern "C" fn round_f32(a: f32) -> f32 {
    a.round_ties_even()
}

extern "C" fn round_f64(a: f64) -> f64 {
    a.round_ties_even()
}

/// The symbol of a call that Cranelift inserts by itself. Kernels have no memory operations or
/// thread-local data, so the names of those are never asked for.
pub(crate) fn cranelift_name(call: LibCall) -> String {
    let (libcall, precision) = match call {
        LibCall::FloorF32 => (Libcall::Floor, Precision::F32),
        LibCall::FloorF64 => (Libcall::Floor, Precision::F64),
        LibCall::NearestF32 => (Libcall::Round, Precision::F32),
        LibCall::NearestF64 => (Libcall::Round, Precision::F64),
        LibCall::FmaF32 => (Libcall::Fma, Precision::F32),
        LibCall::FmaF64 => (Libcall::Fma, Precision::F64),
        LibCall::Probestack
        | LibCall::CeilF32
        | LibCall::CeilF64
        | LibCall::TruncF32
        | LibCall::TruncF64
        | LibCall::Memcpy
        | LibCall::Memset
        | LibCall::Memmove
        | LibCall::Memcmp
        | LibCall::ElfTlsGetAddr
        | LibCall::ElfTlsGetOffset
        | LibCall::X86Pshufb => return "rheobase_never_called".to_owned(),
    };
    libcall.symbol(precision).to_owned()
}
