//! The standard form of a `.snn` text.
//!
//! The formatter moves tokens and never changes one: the tree stays the same, and every comment
//! stays at its line. What it decides: indentation, the spaces between tokens, one statement per
//! line, no more than one empty line in a row. What it leaves to the author: other line breaks,
//! groups of lines, and columns. Neighbouring lines whose `:`, `per` or `=` stand in one column are
//! taken as a table and stay one; a comment behind code stays in its column if there is room.
//!
//! Formatting a formatted text changes nothing; a property test holds both promises.

mod lines;
mod spacing;

use crate::diag::{Diagnostic, has_errors};
use crate::parse::parse;
use crate::span::FileId;

/// The standard form of a text.
///
/// # Errors
/// The findings of the parser if the text has mistakes: then it is not known what it means, and
/// moving its parts could change that.
pub fn format(source: &str, file: FileId) -> Result<String, Vec<Diagnostic>> {
    let (_, diagnostics) = parse(source, file);
    if has_errors(&diagnostics) {
        return Err(diagnostics);
    }
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut lines = lines::lines(source);
    lines::align(&mut lines);
    let mut text = String::with_capacity(source.len());
    for line in &lines {
        line.write(&mut text);
    }
    Ok(text)
}
