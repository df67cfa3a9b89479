//! The Rust functions that compiled code calls, and the symbols it knows them by.
//!
//! They are the interpreter's own functions: what they compute agrees with it bit for bit. In `f32`
//! only the functions without a vector form are here. Cranelift adds calls of its own where the
//! machine lacks an instruction (fused multiply-add, rounding); [`cranelift_name`] sends those to
//! functions of this file too, so that nothing depends on which C library is linked.

use cranelift_codegen::ir::LibCall;
use rheobase_ir::real;

use crate::abi::Precision;
use crate::call::{expm_f32, expm_f64};

/// A function that is called for one lane at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Libcall {
    /// `e^a`.
    Exp,
    /// `e^a − 1`.
    Expm1,
    /// Natural logarithm.
    Log,
    /// `log(1 + a)`.
    Log1p,
    /// `a^b`, of two arguments.
    Pow,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e^−a)`.
    Sigmoid,
    /// `log(1 + e^a)`.
    Softplus,
    /// Error function.
    Erf,
    /// `phi_k(a)`, of a real and the integer `k`.
    Phi,
    /// Matrix exponential of several lanes, through memory; see `call.rs`.
    Expm,
}

macro_rules! unary {
    ($($f32:ident $f64:ident $function:expr;)*) => {$(
        extern "C" fn $f32(a: f32) -> f32 {
            let function: fn(f64) -> f64 = $function;
            function(f64::from(a)) as f32
        }
        extern "C" fn $f64(a: f64) -> f64 {
            let function: fn(f64) -> f64 = $function;
            function(a)
        }
    )*};
}

unary! {
    exp_f32 exp_f64 f64::exp;
    expm1_f32 expm1_f64 f64::exp_m1;
    log_f32 log_f64 f64::ln;
    log1p_f32 log1p_f64 f64::ln_1p;
    sin_f32 sin_f64 f64::sin;
    cos_f32 cos_f64 f64::cos;
    tanh_f32 tanh_f64 f64::tanh;
    sigmoid_f32 sigmoid_f64 real::sigmoid;
    softplus_f32 softplus_f64 real::softplus;
    erf_f32 erf_f64 real::erf;
}

extern "C" fn pow_f32(a: f32, b: f32) -> f32 {
    real::pow(f64::from(a), f64::from(b)) as f32
}

extern "C" fn pow_f64(a: f64, b: f64) -> f64 {
    real::pow(a, b)
}

extern "C" fn phi_f32(a: f32, k: u64) -> f32 {
    real::phi(k as u8, f64::from(a)) as f32
}

extern "C" fn phi_f64(a: f64, k: u64) -> f64 {
    real::phi(k as u8, a)
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

/// One row: the symbol and the address.
type Symbol = (&'static str, fn() -> *const u8);

/// Every symbol that compiled code can refer to.
const SYMBOLS: &[Symbol] = &[
    ("rheobase_exp_f32", || exp_f32 as *const u8),
    ("rheobase_exp_f64", || exp_f64 as *const u8),
    ("rheobase_expm1_f32", || expm1_f32 as *const u8),
    ("rheobase_expm1_f64", || expm1_f64 as *const u8),
    ("rheobase_log_f32", || log_f32 as *const u8),
    ("rheobase_log_f64", || log_f64 as *const u8),
    ("rheobase_log1p_f32", || log1p_f32 as *const u8),
    ("rheobase_log1p_f64", || log1p_f64 as *const u8),
    ("rheobase_pow_f32", || pow_f32 as *const u8),
    ("rheobase_pow_f64", || pow_f64 as *const u8),
    ("rheobase_sin_f32", || sin_f32 as *const u8),
    ("rheobase_sin_f64", || sin_f64 as *const u8),
    ("rheobase_cos_f32", || cos_f32 as *const u8),
    ("rheobase_cos_f64", || cos_f64 as *const u8),
    ("rheobase_tanh_f32", || tanh_f32 as *const u8),
    ("rheobase_tanh_f64", || tanh_f64 as *const u8),
    ("rheobase_sigmoid_f32", || sigmoid_f32 as *const u8),
    ("rheobase_sigmoid_f64", || sigmoid_f64 as *const u8),
    ("rheobase_softplus_f32", || softplus_f32 as *const u8),
    ("rheobase_softplus_f64", || softplus_f64 as *const u8),
    ("rheobase_erf_f32", || erf_f32 as *const u8),
    ("rheobase_erf_f64", || erf_f64 as *const u8),
    ("rheobase_phi_f32", || phi_f32 as *const u8),
    ("rheobase_phi_f64", || phi_f64 as *const u8),
    ("rheobase_expm_f32", || expm_f32 as *const u8),
    ("rheobase_expm_f64", || expm_f64 as *const u8),
    ("rheobase_fma_f32", || fma_f32 as *const u8),
    ("rheobase_fma_f64", || fma_f64 as *const u8),
    ("rheobase_floor_f32", || floor_f32 as *const u8),
    ("rheobase_floor_f64", || floor_f64 as *const u8),
    ("rheobase_round_f32", || round_f32 as *const u8),
    ("rheobase_round_f64", || round_f64 as *const u8),
];

impl Libcall {
    /// The symbol of the function.
    pub(crate) fn symbol(self, precision: Precision) -> &'static str {
        let (single, double) = match self {
            Libcall::Exp => ("rheobase_exp_f32", "rheobase_exp_f64"),
            Libcall::Expm1 => ("rheobase_expm1_f32", "rheobase_expm1_f64"),
            Libcall::Log => ("rheobase_log_f32", "rheobase_log_f64"),
            Libcall::Log1p => ("rheobase_log1p_f32", "rheobase_log1p_f64"),
            Libcall::Pow => ("rheobase_pow_f32", "rheobase_pow_f64"),
            Libcall::Sin => ("rheobase_sin_f32", "rheobase_sin_f64"),
            Libcall::Cos => ("rheobase_cos_f32", "rheobase_cos_f64"),
            Libcall::Tanh => ("rheobase_tanh_f32", "rheobase_tanh_f64"),
            Libcall::Sigmoid => ("rheobase_sigmoid_f32", "rheobase_sigmoid_f64"),
            Libcall::Softplus => ("rheobase_softplus_f32", "rheobase_softplus_f64"),
            Libcall::Erf => ("rheobase_erf_f32", "rheobase_erf_f64"),
            Libcall::Phi => ("rheobase_phi_f32", "rheobase_phi_f64"),
            Libcall::Expm => ("rheobase_expm_f32", "rheobase_expm_f64"),
        };
        match precision {
            Precision::F32 => single,
            Precision::F64 => double,
        }
    }
}

/// The address of a symbol; `None` if it is not one of ours.
pub(crate) fn address(symbol: &str) -> Option<*const u8> {
    SYMBOLS
        .iter()
        .find(|(name, _)| *name == symbol)
        .map(|(_, address)| address())
}

/// The symbol of a call that Cranelift inserts by itself. Kernels have no memory operations or
/// thread-local data, so the names of those are never asked for.
pub(crate) fn cranelift_name(call: LibCall) -> String {
    let name = match call {
        LibCall::FloorF32 => "rheobase_floor_f32",
        LibCall::FloorF64 => "rheobase_floor_f64",
        LibCall::NearestF32 => "rheobase_round_f32",
        LibCall::NearestF64 => "rheobase_round_f64",
        LibCall::FmaF32 => "rheobase_fma_f32",
        LibCall::FmaF64 => "rheobase_fma_f64",
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
        | LibCall::X86Pshufb => "rheobase_never_called",
    };
    name.to_owned()
}
