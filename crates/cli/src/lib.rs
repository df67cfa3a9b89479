//! The `rheo` command: one pipeline, and one file for each command.
//!
//! `main.rs` parses arguments and turns a [`failure::Failure`] into an exit status; everything else is here,
//! so that it can be called without a process. Results go to standard output, diagnostics and progress to
//! standard error. Nothing in this crate knows how a program is compiled or trained; it calls those who do,
//! in order, and shows what came out.
//!
//! | file | what it holds |
//! |---|---|
//! | [`pipeline`] | text → tree → model → kernels and network: what every command starts with |
//! | [`commands`] | the commands, each with its options |
//! | [`settings`], `edits.rs` | numbers with units from the command line, alone and written into a program |
//! | `inputs.rs`, `simulation.rs` | arrays by name in, arrays by name out, for `run` and `grad` |
//! | `training.rs`, `run_folder.rs` | a plan that is ready to be trained, and the text that is kept of it |
//! | `trained.rs`, `pictures.rs` | a run folder with its weights; charts of programs and runs |
//! | [`interrupt`] | Ctrl-C |
//! | [`console`], [`failure`], `names.rs` | what is said where, exit statuses, near names |

pub mod commands;
pub mod console;
mod edits;
pub mod failure;
mod inputs;
pub mod interrupt;
mod memory;
mod names;
mod pictures;
pub mod pipeline;
mod run_folder;
pub mod settings;
mod simulation;
mod trained;
mod training;
