//! How a command ends when it does not end well, and the exit status that this means.
//!
//! The numbers are a contract with scripts: 1 the input has errors, 2 wrong usage, 3 a run failed, 130
//! interrupted. A reader that closes its end of standard output (`rheo emit … | head`) wanted no more; that
//! is not a failure.

use std::fmt;
use std::path::Path;

use rheobase_data::DataError;
use rheobase_ir::verify::VerifyError;
use rheobase_runtime::RuntimeError;
use rheobase_train::TrainError;

/// Why a command stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The program has errors; they were printed already.
    Reported,
    /// A value given with `--set` is wrong; it was printed already.
    ReportedUsage,
    /// The program cannot be read.
    Program(String),
    /// The command was called with something that does not exist or does not fit.
    Usage(String),
    /// The command was right, but the run failed: a data file, NaN, a full disk.
    Run(String),
    /// The run failed in a way that has a page (`rheo explain CODE`).
    Coded {
        /// The code.
        code: &'static str,
        /// What happened, where, and what to do.
        message: String,
    },
    /// A mistake of ours.
    Internal(String),
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Nobody reads standard output any more.
    OutputClosed,
}

impl Failure {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Failure::OutputClosed => 0,
            Failure::Reported | Failure::Program(_) => 1,
            Failure::Usage(_) | Failure::ReportedUsage => 2,
            Failure::Run(_) | Failure::Coded { .. } | Failure::Internal(_) => 3,
            Failure::Interrupted => 130,
        }
    }

    /// The code of the page that says more.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Failure::Coded { code, .. } => Some(code),
            Failure::Reported
            | Failure::ReportedUsage
            | Failure::Program(_)
            | Failure::Usage(_)
            | Failure::Run(_)
            | Failure::Internal(_)
            | Failure::Interrupted
            | Failure::OutputClosed => None,
        }
    }

    /// A failed attempt to read or write a file.
    pub fn file(action: &str, path: &Path, error: &std::io::Error) -> Failure {
        Failure::Run(format!("cannot {action} `{}`: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Reported | Failure::ReportedUsage | Failure::OutputClosed => Ok(()),
            Failure::Program(message) | Failure::Usage(message) | Failure::Run(message) => {
                f.write_str(message)
            }
            Failure::Coded { message, .. } => f.write_str(message),
            Failure::Internal(message) => write!(f, "{INTERNAL}: {message}\n{REPORT}"),
            Failure::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// How a message about our own mistake begins.
pub const INTERNAL: &str = "internal compiler error";

/// What we ask for after one.
pub const REPORT: &str =
    "this is a mistake of rheo, not of your program; please report it with the file that caused it";

impl std::error::Error for Failure {}

/// A data file that is missing, cannot be read or does not hold what its format should.
const DATA_LAYOUT: &str = "E0705";

/// A number that is not finite.
const NOT_FINITE: &str = "E0708";

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        let message = error.to_string();
        match error {
            DataError::Format { .. }
            | DataError::Sample { .. }
            | DataError::Io { action: "read", .. } => Failure::Coded {
                code: DATA_LAYOUT,
                message,
            },
            DataError::Io { .. }
            | DataError::OutOfRange { .. }
            | DataError::SpikeTrain { .. }
            | DataError::Setting { .. } => Failure::Run(message),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Failure {
        Failure::Internal(error.to_string())
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Failure {
        match error {
            TrainError::Runtime(error) => Failure::from(error),
            TrainError::Plan(message) => Failure::Program(message),
            TrainError::Interrupted => Failure::Interrupted,
            TrainError::Data(error) => Failure::from(error),
            TrainError::NonFinite { .. } => Failure::Coded {
                code: NOT_FINITE,
                message: error.to_string(),
            },
            TrainError::File { .. } | TrainError::Mismatch { .. } => {
                Failure::Run(error.to_string())
            }
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Failure {
        match error {
            RuntimeError::Input(message) => Failure::Run(message),
            RuntimeError::NonFinite(place) => Failure::Coded {
                code: NOT_FINITE,
                message: format!("a number left the range of f32: {place}"),
            },
            RuntimeError::Verify(error) => Failure::Internal(error.to_string()),
            RuntimeError::Jit(error) => Failure::Internal(error.to_string()),
            RuntimeError::Call(error) => Failure::Internal(error.to_string()),
        }
    }
}
