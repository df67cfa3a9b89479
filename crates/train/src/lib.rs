//! From a program and its data to trained weights.
//!
//! [`Trainer`] holds a compiled network, its data and the optimiser; [`train`] is the loop over epochs
//! with checkpoints and the run folder. Everything random is a function of the plan's seed, and sums are
//! taken in a fixed order, so a run gives the same bits for any number of threads and after any resume.
//!
//! | file | what it holds |
//! |---|---|
//! | `samples.rs` | a data set cut into training, validation and test samples, encoded |
//! | `ahead.rs` | batches that are prepared while the step before them runs |
//! | `damage.rs` | samples that cannot be read, in a run that leaves them out |
//! | `init.rs` | the values that parameters start from |
//! | `objective.rs`, `objective/` | what is minimised, evaluated with its derivative, and where that enters the backward |
//! | `optimizer.rs`, `constraint.rs`, `schedule.rs` | from gradients to new parameters |
//! | `trainer.rs`, `learner.rs` | a network with its data in either precision; a step, an evaluation in one |
//! | `run.rs`, `epoch.rs`, `watch.rs` | the loop over epochs, resuming; what is added up in an epoch; whether epochs get better |
//! | `effort.rs` | spikes and synaptic operations of an inference |
//! | `folder.rs`, `metrics.rs` | the run folder: one process at a time; its rows of metrics |
//! | `tensorboard.rs` | event files |
//! | `notice.rs` | what a run should tell although it goes on |
//! | `weights.rs`, `checkpoint.rs`, `atomic.rs` | files, replaced whole or not at all |

mod ahead;
mod atomic;
mod checkpoint;
mod constraint;
mod damage;
mod effort;
mod epoch;
mod error;
mod folder;
mod init;
mod learner;
mod metrics;
mod notice;
mod objective;
mod optimizer;
mod preparation;
mod run;
mod samples;
mod schedule;
mod source;
pub mod tensorboard;
mod trainer;
mod watch;
pub mod weights;

pub use atomic::{check_writable, replace};
pub use checkpoint::skips_corrupted;
pub use error::TrainError;
pub use init::initial_parameters;
pub use notice::Notice;
pub use run::{Config, EpochReport, Observer, SaveEvery, Summary, train};
pub use samples::{Samples, Subset, load};
pub use source::open_file;
pub use trainer::{Evaluation, StepReport, Timing, Trainer};
