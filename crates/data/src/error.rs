//! What can go wrong with data, said so that a person can act on it.
//!
//! One plain enum; each message names the file or the value, the index where there is one, the reason, and what to
//! do. Nothing in this crate panics on a bad file, a bad setting or a bad index: it returns one of these.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate. `Display` is the whole message, without a final stop.
#[derive(Debug, Clone, PartialEq)]
pub enum DataError {
    /// The operating system refused to read or write a file.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The kind that the operating system gave; chooses the advice in the message.
        kind: io::ErrorKind,
        /// The operating system's words.
        reason: String,
    },
    /// A file was read, but its content is not what its format asks for.
    Format {
        /// The file.
        file: PathBuf,
        /// Name of the expected format, as `IDX`.
        format: &'static str,
        /// Where in the file: an array, a data set, an offset; empty if the whole file is meant.
        place: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        help: String,
    },
    /// One sample of a data set is damaged.
    Sample {
        /// The file, or the name of a data set without a file; empty if it is not known.
        file: PathBuf,
        /// Index of the sample, from 0.
        index: u64,
        /// What is wrong.
        reason: String,
        /// What to do.
        help: String,
    },
    /// A sample was asked for that does not exist.
    OutOfRange {
        /// Name of the data set.
        dataset: String,
        /// The index that was asked for.
        index: usize,
        /// Number of samples.
        len: usize,
    },
    /// The parts given for a spike train do not make one.
    SpikeTrain {
        /// Which rule is broken, and where.
        reason: String,
    },
    /// A setting has no meaning (a negative time constant, a batch of 0).
    Setting {
        /// Name of the setting, as `rate.max_rate_hz`.
        setting: &'static str,
        /// What is wrong with its value.
        reason: String,
        /// What to do.
        help: String,
    },
}

impl DataError {
    /// The operating system's error about `path`.
    pub(crate) fn io(path: &Path, action: &'static str, error: &io::Error) -> Self {
        DataError::Io {
            path: path.to_path_buf(),
            action,
            kind: error.kind(),
            reason: error.to_string(),
        }
    }

    /// The same error, with the name of the data set if it is about a sample of an unknown one.
    ///
    /// Encoders see a sample without its data set; whoever knows both adds the name with this.
    #[must_use]
    pub fn in_dataset(mut self, name: &str) -> Self {
        if let DataError::Sample { file, .. } = &mut self
            && file.as_os_str().is_empty()
        {
            *file = PathBuf::from(name);
        }
        self
    }

    /// Whether it is about the bytes of a data file: another one may be whole.
    pub fn is_damage(&self) -> bool {
        match self {
            DataError::Sample { .. } | DataError::Format { .. } => true,
            DataError::Io { action, .. } => *action == "read",
            DataError::OutOfRange { .. }
            | DataError::SpikeTrain { .. }
            | DataError::Setting { .. } => false,
        }
    }

    /// `OutOfRange` unless `index < len`.
    pub(crate) fn check_index(dataset: &str, index: usize, len: usize) -> Result<(), DataError> {
        if index < len {
            return Ok(());
        }
        Err(DataError::OutOfRange {
            dataset: dataset.to_owned(),
            index,
            len,
        })
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::Io {
                path,
                action,
                kind,
                reason,
            } => {
                write!(
                    f,
                    "cannot {action} `{}`: {reason}; {}",
                    path.display(),
                    io_help(*kind)
                )
            }
            DataError::Format {
                file,
                format,
                place,
                reason,
                help,
            } => {
                write!(f, "`{}` is not a usable {format} file: ", file.display())?;
                if !place.is_empty() {
                    write!(f, "{place}: ")?;
                }
                write!(f, "{reason}; {help}")
            }
            DataError::Sample {
                file,
                index,
                reason,
                help,
            } => {
                write!(f, "sample {index}")?;
                if !file.as_os_str().is_empty() {
                    write!(f, " of `{}`", file.display())?;
                }
                write!(f, ": {reason}; {help}")
            }
            DataError::OutOfRange {
                dataset,
                index,
                len,
            } => write!(
                f,
                "sample {index} of `{dataset}` does not exist; it has {len} samples, numbered from 0"
            ),
            DataError::SpikeTrain { reason } => write!(
                f,
                "not a spike train: {reason}; give one offset more than steps, and for each step its channels in \
                 ascending order, each at most once"
            ),
            DataError::Setting {
                setting,
                reason,
                help,
            } => {
                write!(f, "setting `{setting}`: {reason}; {help}")
            }
        }
    }
}

impl std::error::Error for DataError {}

/// Advice for the usual kinds. `ErrorKind` is open-ended, so this match cannot list all of it.
fn io_help(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::NotFound {
        "check the path (relative paths start at the current folder)"
    } else if kind == io::ErrorKind::PermissionDenied {
        "check the permissions of the file and its folder"
    } else if kind == io::ErrorKind::UnexpectedEof {
        "the file is shorter than its format says; fetch it again"
    } else if kind == io::ErrorKind::StorageFull {
        "free some space on that disk"
    } else {
        "check that the path is a readable file on a healthy disk"
    }
}
