//! The `.snn` language: text to raw tree, and every diagnostic about it.

pub mod diag;
pub mod span;

pub mod ast;
