//! From a verified kernel to a native function, with Cranelift.
//!
//! One kernel becomes one function that advances any number of lanes by one step. Lanes fill 128-bit
//! registers (four `f32` or two `f64`), which are the widest that Cranelift has, and one, two or four registers
//! are a group; the lanes that are left over are copied to a group of their own, so that a lane's
//! result does not depend on where it stands. What does not differ between lanes (uniform
//! arguments and everything computed from them) is computed once, before the loop.
//!
//! | file | what it holds |
//! |---|---|
//! | [`Target`] in `target.rs` | the instruction set and the switches of a compilation |
//! | `abi.rs` | how a call hands its rows to the code, the two element types |
//! | `lower.rs`, `lower/` | the loop over lanes, op by op to Cranelift IR |
//! | `vector.rs`, `vector/` | instructions for a register of lanes, vector mathematics |
//! | `functions.rs`, `library.rs` | that mathematics as functions that kernels call, compiled once |
//! | `libcalls.rs` | functions that compiled code calls |
//! | [`object`] | a network as an object file and a C header |
//! | `call.rs` | the only `unsafe` of the repository: taking the address of the code and calling it |
//! | `dump.rs` | Cranelift IR with our op above its instructions |
//!
//! What must hold before: [`rheobase_ir::verify::verify`] accepts the kernel. What holds after: the
//! result is the interpreter's, [`rheobase_ir::interp::Interpreter`], bit for bit, except for the
//! functions of the table. Those are computed in vectors over the whole range, infinities, NaN and
//! denormals included. Their largest errors in units in the last place were found by
//! `tests/run/accuracy.rs`: in `f32` against double precision at 1.7 million arguments, in `f64` at 4,000
//! arguments computed with more than a thousand bits (`normal`: a million keys in `tests/run/draws.rs`), both with and without a fused multiply-add.
//!
//! | function | `f32` | `f64` |
//! |---|---|---|
//! | `exp` | 0.96 | 0.86 |
//! | `expm1` | 1.26 | 1.06 |
//! | `phi.1` | 1.35 | 1.15 |
//! | `phi.2` | 2.77 | 1.65 |
//! | `phi.3` | 0.51 | 2.39 |
//! | `log` | 0.81 | 0.77 |
//! | `log1p` | 0.82 | 0.71 |
//! | `sigmoid` | 1.26 | 1.12 |
//! | `tanh` | 1.29 | 1.15 |
//! | `softplus` | 1.57 | 1.32 |
//! | `sin`, `cos` | 0.52 | 0.70 |
//! | `erf` | 1.15 | 0.84 |
//! | `pow` | below 1 | 0.82 |
//! | `normal` | 2.84 (3.17 without a fused multiply-add) | 3.00 |
//!
//! `uniform` is exact. Matrix exponentials call the interpreter's function for each lane.

mod abi;
mod call;
mod dump;
mod functions;
mod libcalls;
mod library;
mod lower;
pub mod object;
mod target;
mod vector;

use std::fmt;

use cranelift_codegen::control::ControlPlane;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, ModuleError};
use rheobase_ir::kernel::Kernel;

pub use abi::{Lane, Precision};
pub use call::Compiled;
pub use target::{OBJECT_TARGETS, Target};

/// Why a kernel was not compiled. None of these is a mistake of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line of a variant explains its fields")]
pub enum JitError {
    /// The machine is not one that code can be made for.
    Host { message: String },
    /// The kernel holds an op whose pass has not run (`integrate`, `white`).
    Op {
        kernel: String,
        value: String,
        name: &'static str,
    },
    /// Cranelift refused the code.
    Code { kernel: String, message: String },
}

impl fmt::Display for JitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JitError::Host { message } => {
                write!(f, "no machine code can be made on this machine: {message}")
            }
            JitError::Op {
                kernel,
                value,
                name,
            } => write!(
                f,
                "kernel {kernel}: {value}: op `{name}` cannot be compiled; its pass has not run"
            ),
            JitError::Code { kernel, message } => write!(f, "kernel {kernel}: {message}"),
        }
    }
}

impl std::error::Error for JitError {}

/// Compiles a verified kernel for elements of type `R`.
///
/// The same kernel and target give the same code, byte for byte, up to addresses.
///
/// # Errors
///
/// The machine is unknown to Cranelift, the kernel holds an `integrate` or a `white`, or (a mistake of ours)
/// Cranelift refuses the code.
pub fn compile<R: Lane>(kernel: &Kernel, target: &Target) -> Result<Compiled<R>, JitError> {
    let mut module = open(target)?;
    let machine = target.machine();
    let lowered = lower::lower(kernel, &mut module, machine, R::PRECISION)?;
    let library = target.library();
    let functions = lower::functions(kernel, R::PRECISION, machine);
    library.provide(&functions, R::PRECISION, &target.isa()?, machine)?;
    let refused = |error: ModuleError| refusal(&kernel.name, &error);
    let signature = lowered.function.signature.clone();
    let group = lowered.group_lanes;
    let id = module
        .declare_function("kernel", Linkage::Export, &signature)
        .map_err(refused)?;
    let mut context = module.make_context();
    context.func = lowered.function;
    module.define_function(id, &mut context).map_err(refused)?;
    module.finalize_definitions().map_err(refused)?;
    Ok(Compiled::new(kernel.signature(), module, id, group))
}

/// The Cranelift IR of a kernel, with the kernel's own line above the instructions it became.
///
/// # Errors
///
/// As [`compile`], except that Cranelift is not asked for machine code.
pub fn clif(kernel: &Kernel, target: &Target, precision: Precision) -> Result<String, JitError> {
    let mut module = open(target)?;
    let lowered = lower::lower(kernel, &mut module, target.machine(), precision)?;
    Ok(dump::dump(kernel, &lowered))
}

/// The machine instructions of a kernel, as Cranelift writes them after register allocation.
///
/// # Errors
///
/// As [`compile`].
pub fn asm(kernel: &Kernel, target: &Target, precision: Precision) -> Result<String, JitError> {
    let mut module = open(target)?;
    let lowered = lower::lower(kernel, &mut module, target.machine(), precision)?;
    let mut context = module.make_context();
    context.func = lowered.function;
    context.set_disasm(true);
    let compiled = context
        .compile(module.isa(), &mut ControlPlane::default())
        .map_err(|error| JitError::Code {
            kernel: kernel.name.clone(),
            message: format!("{:?}", error.inner),
        })?;
    let instructions = compiled.vcode.clone().unwrap_or_default();
    Ok(format!("; kernel {}\n{instructions}", kernel.name))
}

/// An empty module for one kernel.
fn open(target: &Target) -> Result<JITModule, JitError> {
    let mut builder = JITBuilder::with_isa(target.isa()?, Box::new(libcalls::cranelift_name));
    let functions = target.clone();
    builder.symbol_lookup_fn(Box::new(move |symbol| {
        libcalls::address(symbol).or_else(|| functions.library().address(symbol))
    }));
    Ok(JITModule::new(builder))
}

/// Cranelift's complaint about a kernel or function.
fn refusal(name: &str, error: &ModuleError) -> JitError {
    let message = match error {
        ModuleError::Compilation(error) => format!("{error:?}"),
        other @ (ModuleError::Undeclared(_)
        | ModuleError::IncompatibleDeclaration(_)
        | ModuleError::IncompatibleSignature(..)
        | ModuleError::DuplicateDefinition(_)
        | ModuleError::InvalidImportDefinition(_)
        | ModuleError::Allocation { .. }
        | ModuleError::Backend(_)
        | ModuleError::Flag(_)) => other.to_string(),
    };
    JitError::Code {
        kernel: name.to_owned(),
        message,
    }
}
