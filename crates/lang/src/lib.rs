//! The `.snn` language: text to checked model to kernels, and every diagnostic about it.
//!
//! The way of a program, in the order of the modules below:
//!
//! 1. [`load`] takes the first file and finds its imports; all texts become places in one
//!    [`span::SourceMap`].
//! 2. [`parse`] reads a file by `grammar/snn.pest` into the raw tree of [`ast`]. Nothing has a
//!    meaning yet.
//! 3. [`check`](mod@check) resolves names, infers [`units`], and gives the [`model`].
//! 4. [`lower`] turns the model into `rheobase_ir`.
//!
//! Mistakes of the user are [`diag::Diagnostic`] values, never panics and never plain strings. A
//! stage reports all that it finds and goes on; the next stage knows what was left out and does
//! not report what follows from it. The crate does no input or output and runs nothing.
//!
//! Beside the way stands [`mod@fmt`], which prints a text in its standard form from the tokens of
//! [`lex`].
//!
//! ```
//! use rheobase_lang::{check::check, diag::render::render_all, load};
//!
//! let source = "neuron N { input x  state v = 0  v' = -v / 20 msec  on receive x { v += x } }";
//! let loaded = load::load("n.snn", source, &load::NoFiles);
//! let checked = check(&loaded.files);
//! let text = render_all(&checked.diagnostics, &loaded.sources, false);
//! assert!(text.starts_with("error[E0102]: `msec` is not a unit"), "{text}");
//! ```

pub mod diag;
pub mod span;

pub mod load;

pub mod ast;
pub mod lex;
pub mod parse;

pub mod check;
pub mod model;
pub mod units;

pub mod lower;

pub mod fmt;
