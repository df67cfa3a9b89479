//! Which executor runs the kernels, and the precisions that both of them have.

use rheobase_ir::executor::Executor;
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::{Kernel, Param};
use rheobase_ir::real::Real;
use rheobase_ir::types::Rate;
use rheobase_jit::{Lane, Target};

use crate::connection::registers::Registers;
use crate::error::RuntimeError;

/// Interpreter or machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Native code for this machine.
    Jit,
    /// The reference interpreter: slow, and the meaning that native code must have.
    Interpreter,
}

/// A precision in which networks run: `f32` or `f64`.
pub trait Float: Real + Lane + Registers {}

impl Float for f32 {}
impl Float for f64 {}

impl Backend {
    /// An executor for a verified kernel.
    ///
    /// # Errors
    ///
    /// The kernel cannot be compiled.
    pub fn executor<R: Float>(self, kernel: &Kernel) -> Result<Box<dyn Executor<R>>, RuntimeError> {
        Ok(match self {
            Backend::Jit => Box::new(rheobase_jit::compile::<R>(kernel, &Target::host())?),
            Backend::Interpreter => Box::new(Interpreter::new(kernel.clone())?),
        })
    }

    /// An executor for a kernel that runs once for each change of parameters, in double precision.
    ///
    /// If nothing in it is different between neurons it is a few dozen operations on single numbers, and the
    /// interpreter is done with hundreds of updates in the time that it takes to make code.
    ///
    /// # Errors
    ///
    /// The kernel cannot be compiled.
    pub(crate) fn prologue(self, kernel: &Kernel) -> Result<Box<dyn Executor<f64>>, RuntimeError> {
        let uniform = |param: &Param| param.rate == Rate::Uniform;
        if kernel.signature().iter().all(uniform) {
            return Backend::Interpreter.executor(kernel);
        }
        self.executor(kernel)
    }
}
