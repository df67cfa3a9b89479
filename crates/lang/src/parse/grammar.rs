//! The parser that pest makes from `grammar/snn.pest`.
//!
//! In a module of its own, so that the generated `Rule` stays inside `parse`.

use pest_derive::Parser;

/// Runs one rule of the grammar on a piece of text.
#[derive(Parser)]
#[grammar = "../../grammar/snn.pest"]
pub(super) struct SnnParser;
