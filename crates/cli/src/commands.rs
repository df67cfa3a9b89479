//! The commands, each with its options: one file, one command, one function of the same name.

mod bench;
mod build;
mod check;
mod data;
mod emit;
mod eval;
mod explain;
mod fmt;
mod gradcheck;
mod new;
mod plot;
mod report;
mod simulate;
mod sweep;
mod train;

pub use bench::{BenchArgs, bench};
pub use build::{BuildArgs, build};
pub use check::{CheckArgs, check};
pub use data::{DataArgs, data};
pub use emit::{EmitArgs, Stage, TapeArg, Wrt, emit, render};
pub use eval::{EvalArgs, eval};
pub use explain::{ExplainArgs, explain};
pub use fmt::{FmtArgs, fmt};
pub use gradcheck::{GradcheckArgs, gradcheck};
pub use new::{NewArgs, Template, new};
pub use plot::{Paper, Picture, PlotArgs, plot};
pub use report::{ReportArgs, report};
pub use simulate::{Executor, GradArgs, PrecisionArg, RunArgs, WhatArgs, grad, run};
pub use sweep::{SweepArgs, sweep};
pub use train::{TrainArgs, train};
