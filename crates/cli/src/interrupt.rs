//! Ctrl-C: at once where nothing would be lost, after the current step while training.
//!
//! Training keeps a folder that is whole at any time, so it only needs to stop between two steps; a second
//! Ctrl-C ends the process without waiting.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

static ASKED: AtomicBool = AtomicBool::new(false);
static GRACEFUL: AtomicBool = AtomicBool::new(false);

/// What happens on Ctrl-C.
pub fn interrupt() {
    let again = ASKED.swap(true, Ordering::SeqCst);
    if again || !GRACEFUL.load(Ordering::SeqCst) {
        std::process::exit(i32::from(Failure::Interrupted.status()));
    }
}

/// From now on Ctrl-C only sets a mark, which [`asked`] reads.
pub fn stop_between_steps() {
    GRACEFUL.store(true, Ordering::SeqCst);
}

/// Whether somebody pressed Ctrl-C.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
