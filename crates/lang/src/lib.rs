//! The `.snn` language: text to raw tree, and every diagnostic about it.

pub mod diag;
pub mod lex;
pub mod load;
pub mod parse;
pub mod span;

pub mod ast;

pub mod check;
pub mod lower;
pub mod model;
pub mod units;
