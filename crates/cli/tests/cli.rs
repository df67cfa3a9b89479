//! The command as a process: what it prints where, its exit status, and what it leaves behind.
//!
//! Every command runs on small programs in `fixtures/`.

#[path = "cli/browser.rs"]
mod browser;
#[path = "cli/build.rs"]
mod build;
#[path = "cli/classless.rs"]
mod classless;
#[path = "cli/copies.rs"]
mod copies;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/delays.rs"]
mod delays;
#[path = "cli/feedback.rs"]
mod feedback;
#[path = "cli/good.rs"]
mod good;
#[path = "cli/graded.rs"]
mod graded;
#[cfg(unix)]
#[path = "cli/lasting.rs"]
mod lasting;
#[path = "cli/maps.rs"]
mod maps;
#[path = "cli/memory.rs"]
mod memory;
#[path = "cli/operations.rs"]
mod operations;
#[path = "cli/parts.rs"]
mod parts;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/seeing.rs"]
mod seeing;
#[path = "cli/wrong.rs"]
mod wrong;
