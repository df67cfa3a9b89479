//! The run folder before a run writes into it: one process at a time, no remains of a killed one, and no
//! older run overwritten.
//!
//! Before: the folder can be written to. After: this process has the folder for itself as long as the lock
//! lives; the system gives the lock back however the process ends, so a killed run leaves none behind.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::atomic::{TEMPORARY, failed};
use crate::checkpoint;
use crate::error::TrainError;

/// What a run writes.
const FILES: [&str; 6] = [
    "config.snn",
    "metrics.jsonl",
    "evaluation.json",
    "best.safetensors",
    "last.ckpt",
    "report.html",
];

/// The file whose lock says that a process trains here.
const LOCK: &str = ".rheo.lock";

/// A folder that only this process trains into.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the folder and removes the temporary files of a process that was killed.
///
/// # Errors
///
/// Another process trains in it.
pub(crate) fn take(folder: &Path) -> Result<Lock, TrainError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(|error| failed(&path, "write", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(TrainError::File {
                path: folder.to_path_buf(),
                action: "train in",
                reason: "another process is training there".to_string(),
            });
        }
        // A file system without locks is no reason not to train.
        Err(TryLockError::Error(_)) => {}
    }
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, "read", &error))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // What cannot be removed is only litter.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(Lock { _file: file })
}

/// Moves the files of an older run into a folder of their own inside; `None` if there is none or it never
/// took a step.
///
/// # Errors
///
/// They cannot be moved; the checkpoint moves last, so that it stays as long as anything does.
pub(crate) fn set_aside(folder: &Path) -> Result<Option<PathBuf>, TrainError> {
    let checkpoint = folder.join("last.ckpt");
    if !checkpoint.exists() || checkpoint::is_untouched(&checkpoint) {
        return Ok(None);
    }
    let free = (1..).map(|n| folder.join(format!("before-{n}")));
    let aside = free.into_iter().find(|path| !path.exists());
    let aside = aside.expect("there is always another number");
    std::fs::create_dir(&aside).map_err(|error| failed(&aside, "make the folder", &error))?;
    let last = FILES.into_iter().filter(|name| *name == "last.ckpt");
    for name in FILES.into_iter().filter(|n| *n != "last.ckpt").chain(last) {
        let from = folder.join(name);
        if from.exists() {
            std::fs::rename(&from, aside.join(name))
                .map_err(|error| failed(&from, "move", &error))?;
        }
    }
    Ok(Some(aside))
}
