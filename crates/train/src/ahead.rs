//! Batches that are prepared while the step before them runs.
//!
//! One thread reads, changes and encodes samples in the order of the epoch and stays at most
//! [`AHEAD`] batches in front, so memory does not grow with the data. What it makes depends on seed, epoch and
//! sample alone: the bits are those of preparing each batch when its step begins.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use crate::error::TrainError;
use crate::samples::{Input, Samples, Subset};

/// How many batches are ready at most, beside the one that is being made.
const AHEAD: usize = 2;

/// How many batches are in memory at most: the one that is trained on, those that are ready, and one in the making.
pub(crate) const AT_ONCE: usize = AHEAD + 2;

/// The samples of a batch, encoded, with what they are judged by.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    /// Those that are whole: others are left out, if that was asked for.
    pub(crate) indices: Vec<usize>,
    pub(crate) inputs: Vec<Input<'a>>,
    pub(crate) labels: Vec<u32>,
    /// Targets over time; empty if the objective reads none.
    pub(crate) targets: Vec<Vec<f32>>,
    /// What the noise of each sample depends on.
    pub(crate) keys: Vec<u64>,
}

impl<'a> Prepared<'a> {
    /// Prepares some samples of a subset; with targets over time if they are read.
    ///
    /// # Errors
    ///
    /// A damaged sample, or one without the target that is read.
    pub(crate) fn new(
        samples: &'a Samples,
        subset: Subset,
        indices: &[usize],
        epoch: usize,
        reads_target: bool,
    ) -> Result<Prepared<'a>, TrainError> {
        let mut prepared = Prepared {
            indices: Vec::with_capacity(indices.len()),
            inputs: Vec::with_capacity(indices.len()),
            labels: Vec::with_capacity(indices.len()),
            targets: Vec::new(),
            keys: Vec::with_capacity(indices.len()),
        };
        for &i in indices {
            let Some(input) = samples.readable(subset, i, epoch)? else {
                continue;
            };
            if reads_target {
                match samples.readable_target(subset, i)? {
                    Some(target) => prepared.targets.push(target),
                    None => continue,
                }
            }
            prepared.indices.push(i);
            prepared.inputs.push(input);
            prepared.labels.push(samples.label(subset, i));
            prepared.keys.push(samples.key(subset, i, epoch));
        }
        Ok(prepared)
    }
}

/// Training batches of an epoch as they become ready. The thread ends with the batches, after the first error,
/// or when nobody waits any more.
pub(crate) fn prepared<'scope, 'a: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    samples: &'a Samples,
    batches: impl Iterator<Item = &'a [usize]> + Send + 'scope,
    epoch: usize,
    reads_target: bool,
) -> Receiver<Result<Prepared<'a>, TrainError>> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        for indices in batches {
            let made = Prepared::new(samples, Subset::Train, indices, epoch, reads_target);
            let failed = made.is_err();
            if sender.send(made).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
