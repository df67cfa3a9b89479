//! Why a network cannot be run.

use std::fmt;

use rheobase_ir::executor::CallError;
use rheobase_ir::verify::VerifyError;
use rheobase_jit::JitError;

use crate::diagnose::NonFinite;

/// Why a network cannot be built or run.
#[derive(Clone, Debug, PartialEq)]
pub enum RuntimeError {
    /// A compiler stage broke a rule: a mistake of ours.
    Verify(VerifyError),
    /// Machine code could not be made.
    Jit(JitError),
    /// A kernel was called wrongly: a mistake of ours.
    Call(CallError),
    /// What the caller gave does not fit the network.
    Input(String),
    /// A state is not finite, and states are looked at ([`crate::Simulator::check_finite`]).
    NonFinite(Box<NonFinite>),
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuntimeError::Verify(error) => write!(f, "internal compiler error: {error}"),
            RuntimeError::Jit(error) => write!(f, "internal compiler error: {error}"),
            RuntimeError::Call(error) => write!(f, "internal compiler error: {error}"),
            RuntimeError::Input(message) => f.write_str(message),
            RuntimeError::NonFinite(place) => write!(f, "{place}"),
        }
    }
}

impl std::error::Error for RuntimeError {}

impl From<VerifyError> for RuntimeError {
    fn from(error: VerifyError) -> Self {
        RuntimeError::Verify(error)
    }
}

impl From<JitError> for RuntimeError {
    fn from(error: JitError) -> Self {
        RuntimeError::Jit(error)
    }
}

impl From<CallError> for RuntimeError {
    fn from(error: CallError) -> Self {
        RuntimeError::Call(error)
    }
}
