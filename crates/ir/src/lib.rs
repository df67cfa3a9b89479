//! The kernel IR of Rheobase.
pub mod autodiff;
pub mod builder;
#[doc(hidden)]
pub mod cases;
pub mod executor;
pub mod expm;
#[doc(hidden)]
pub mod generate;
pub mod gradcheck;
pub mod integrate;
pub mod interp;
pub mod kernel;
pub mod ops;
pub mod passes;
pub mod pipeline;
pub mod program;
pub mod random;
pub mod real;
mod rewrite;
pub mod tape;
pub mod text;
pub mod types;
pub mod verify;
