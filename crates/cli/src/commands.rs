//! The commands, each with its options: one file, one command, one function of the same name.

mod bench;
mod build;
mod check;
mod emit;
mod eval;
mod explain;
mod fmt;
mod gradcheck;
mod new;
mod simulate;
mod train;

pub use bench::{BenchArgs, bench};
pub use build::{BuildArgs, build};
pub use check::{CheckArgs, check};
pub use emit::{EmitArgs, Stage, Wrt, emit, render};
pub use eval::{EvalArgs, eval};
pub use explain::{ExplainArgs, explain};
pub use fmt::{FmtArgs, fmt};
pub use gradcheck::{GradcheckArgs, gradcheck};
pub use new::{NewArgs, Template, new};
pub use simulate::{Executor, GradArgs, PrecisionArg, RunArgs, WhatArgs, grad, run};
pub use train::{TrainArgs, train};
