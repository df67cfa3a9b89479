//! The kernel IR of Rheobase.
pub mod builder;
pub mod executor;
pub mod expm;
pub mod interp;
pub mod kernel;
pub mod ops;
pub mod program;
pub mod real;
pub mod text;
pub mod types;
pub mod verify;
