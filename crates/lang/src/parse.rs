//! Text to raw tree: pest pairs become [`ast`](crate::ast) nodes. Here and below is the only place
//! that names pest.
//!
//! pest stops at the first mistake, so a file is read in two steps. `split` cuts it into items,
//! and the bodies of items into statements, looking only at keywords and braces; each piece is
//! then parsed alone by its rule of `grammar/snn.pest`, reports its own mistake, and is left out
//! of the tree if it has one. Before both, `repair` mends what is recognisable as a slip.
//!
//! Whatever the input, [`parse`] returns: sizes and nesting are limited before anything recurses.
//! The time is linear in the text.

mod build;
mod expected;
mod expr;
mod grammar;
mod habits;
mod items;
mod repair;
mod slips;
mod split;
mod units;

pub use items::{parse, parse_expr};
pub(crate) use split::{is_unfinished, outline};

use crate::diag::{Code, Diagnostic};
use crate::span::Span;

/// The largest file that is read, in bytes. Data does not belong into a program.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// How deep brackets of all kinds may be nested.
pub const MAX_BRACKETS: usize = 64;

/// How deep an expression may be nested; a sum of n terms is n deep.
pub const MAX_DEPTH: usize = 256;

/// How many items a file may have, and how many statements an item: a check may compare each with
/// every other.
pub const MAX_PARTS: usize = 8192;

/// How many words and signs a statement may have, or an item without a body.
pub const MAX_TOKENS: usize = 16_384;

/// No more findings than this are reported for one file.
pub const MAX_DIAGNOSTICS: usize = 100;

/// The reserved words, in the order of the grammar; a test holds the two equal.
pub const RESERVED: [&str; 41] = [
    "import",
    "const",
    "surrogate",
    "fn",
    "neuron",
    "network",
    "train",
    "param",
    "input",
    "state",
    "let",
    "next",
    "noise",
    "on",
    "receive",
    "spike",
    "when",
    "refractory",
    "holds",
    "drops",
    "integrate",
    "order",
    "detached",
    "attached",
    "step",
    "layer",
    "connect",
    "delay",
    "frozen",
    "per",
    "in",
    "learn",
    "via",
    "of",
    "if",
    "else",
    "or",
    "and",
    "not",
    "true",
    "false",
];

/// Whether a word is reserved and can never be a name.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// A syntax error.
fn slip(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::E0101, span, message)
}
