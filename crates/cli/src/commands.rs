//! The commands, each with its options: one file, one command, one function of the same name.

mod check;
mod emit;
mod explain;
mod gradcheck;
mod simulate;

pub use check::{CheckArgs, check};
pub use emit::{EmitArgs, Stage, emit};
pub use explain::{ExplainArgs, explain};
pub use gradcheck::{GradcheckArgs, gradcheck};
pub use simulate::{GradArgs, RunArgs, grad, run};
