//! Derivative rules op by op, and forward mode against reverse mode.

#[path = "autodiff/modes.rs"]
mod modes;
#[path = "autodiff/rules.rs"]
mod rules;
