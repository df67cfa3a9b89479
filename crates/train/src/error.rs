//! Why training stopped.

use std::fmt;
use std::path::PathBuf;

use rheobase_data::DataError;
use rheobase_runtime::RuntimeError;

/// Why training could not start or go on.
#[derive(Debug)]
#[expect(missing_docs, reason = "the line of a variant explains its fields")]
pub enum TrainError {
    /// A data set or an encoder.
    Data(DataError),
    /// The network.
    Runtime(RuntimeError),
    /// A file could not be read or written.
    File {
        path: PathBuf,
        action: &'static str,
        reason: String,
    },
    /// A weights file or checkpoint does not fit the program.
    Mismatch { path: PathBuf, reason: String },
    /// The plan and the data do not fit together.
    Plan(String),
    /// The loss or a gradient is not a finite number.
    NonFinite {
        precision: &'static str,
        epoch: usize,
        batch: usize,
        place: String,
    },
    /// The caller asked to stop.
    Interrupted,
}

impl TrainError {
    /// Whether the caller broke off; then everything up to the last step is saved.
    pub fn is_interruption(&self) -> bool {
        matches!(self, TrainError::Interrupted)
    }
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrainError::Data(error) => write!(f, "{error}"),
            TrainError::Runtime(error) => write!(f, "{error}"),
            TrainError::File {
                path,
                action,
                reason,
            } => write!(f, "cannot {action} `{}`: {reason}", path.display()),
            TrainError::Mismatch { path, reason } => write!(
                f,
                "`{}` does not fit this program: {reason}",
                path.display()
            ),
            TrainError::Plan(message) => f.write_str(message),
            TrainError::NonFinite {
                precision,
                epoch,
                batch,
                place,
            } => {
                write!(
                    f,
                    "the numbers left the range of {precision} in epoch {epoch}, batch {batch}: {place}; try a smaller learning rate or `clip = grad_norm(1)`"
                )
            }
            TrainError::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for TrainError {}

impl From<DataError> for TrainError {
    fn from(error: DataError) -> Self {
        TrainError::Data(error)
    }
}

impl From<RuntimeError> for TrainError {
    fn from(error: RuntimeError) -> Self {
        TrainError::Runtime(error)
    }
}
