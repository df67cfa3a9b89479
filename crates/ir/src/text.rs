//! The text form of kernels: what `rheo emit` prints, what tests are written in, and what an internal
//! error shows. Printing and parsing are inverse to each other.
//!
//! ```text
//! kernel LIF {
//!   v0 = in real state v
//!   v1 = in real uniform derived decay
//!   v2 = in real port x
//!   v3 = fma v0, v1, v2        ; u
//!   v4 = const 0.0
//!   v5 = spike.ge v3, v4
//!   out state v = v3
//!   out spike s = v5
//! }
//! ```
//!
//! A word after the op holds its data: `phi.1`, `expm.3.0.2` (size, row, column), `integrate.rk4(4)`.
//! What follows `;` on a node's line is its name for readers and is kept. Source positions are not
//! part of the text.

mod parse;
mod print;

pub use parse::{ParseError, parse, parse_all};
pub use print::print;
