//! The one form in which input reaches a network: events grouped by time step (compressed rows over time).
//!
//! Invariants, checked by [`SpikeTrain::new`] and kept by every constructor: `offsets` has one entry more than there
//! are steps, starts at 0, never falls and ends at the number of events; in each step the channels are strictly
//! ascending and below `channels`; values, if present, are finite and as many as the events.

use crate::error::DataError;
use ndarray::{Array2, ArrayView2};

/// Events on `channels` lines over a number of time steps; an event may carry a graded value.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeTrain {
    channels: u32,
    /// Length steps + 1; the events of step t are `offsets[t]..offsets[t + 1]`.
    offsets: Vec<u32>,
    /// Channel of each event.
    indices: Vec<u32>,
    /// Value of each event; `None` means that all are 1.
    values: Option<Vec<f32>>,
}

/// One encoded sample of a classification task.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What the network receives.
    pub input: SpikeTrain,
    /// Class, from 0.
    pub label: u32,
}

impl SpikeTrain {
    /// A spike train from its parts: `offsets` (steps + 1 of them), `indices` (one per event), `values` (one per event, or
    /// `None` for all 1).
    ///
    /// Errors: `DataError::SpikeTrain` naming the first broken rule.
    pub fn new(
        channels: u32,
        offsets: Vec<u32>,
        indices: Vec<u32>,
        values: Option<Vec<f32>>,
    ) -> Result<Self, DataError> {
        let fail = |reason: String| Err(DataError::SpikeTrain { reason });
        if offsets.first() != Some(&0) {
            return fail("the first offset is not 0".to_owned());
        }
        if let Some(step) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
            return fail(format!("the offsets fall after step {step}"));
        }
        let last = offsets.last().map_or(0, |&last| last as usize);
        if last != indices.len() {
            return fail(format!(
                "the last offset is {last}, but there are {} events",
                indices.len()
            ));
        }
        for (step, pair) in offsets.windows(2).enumerate() {
            let events = &indices[pair[0] as usize..pair[1] as usize];
            if let Some(&channel) = events.iter().find(|&&channel| channel >= channels) {
                return fail(format!("step {step} has channel {channel} of {channels}"));
            }
            if let Some(at) = events.windows(2).position(|pair| pair[1] <= pair[0]) {
                let (left, right) = (events[at], events[at + 1]);
                return fail(format!(
                    "step {step} has channel {right} after channel {left}"
                ));
            }
        }
        if let Some(values) = &values {
            if values.len() != indices.len() {
                return fail(format!(
                    "{} values for {} events",
                    values.len(),
                    indices.len()
                ));
            }
            if let Some(event) = values.iter().position(|value| !value.is_finite()) {
                return fail(format!("the value of event {event} is {}", values[event]));
            }
        }
        Ok(SpikeTrain {
            channels,
            offsets,
            indices,
            values,
        })
    }

    /// A train without events.
    pub fn silent(channels: u32, steps: usize) -> Self {
        SpikeTrain {
            channels,
            offsets: vec![0; steps + 1],
            indices: Vec::new(),
            values: None,
        }
    }

    /// The events of a dense array [steps, channels]: every entry that is not 0. Values are kept unless all are 1.
    ///
    /// Errors: `DataError::SpikeTrain` if an entry is not finite or there are more than `u32::MAX` of them.
    pub fn from_dense(dense: ArrayView2<'_, f32>) -> Result<Self, DataError> {
        let (steps, channels) = dense.dim();
        if u32::try_from(dense.len()).is_err() || u32::try_from(channels).is_err() {
            let reason = format!("an array of {steps} × {channels} entries is too large");
            return Err(DataError::SpikeTrain { reason });
        }
        let mut builder = Builder::with_capacity(steps, dense.len() / 16, true);
        for row in dense.rows() {
            for (channel, &value) in row.iter().enumerate() {
                if value != 0.0 {
                    builder.push(channel as u32, value);
                }
            }
            builder.end_step();
        }
        let Builder {
            offsets,
            indices,
            values,
        } = builder;
        let values = values.filter(|values| values.iter().any(|&value| value != 1.0));
        SpikeTrain::new(channels as u32, offsets, indices, values)
    }

    /// The dense array [steps, channels], 0 where there is no event.
    pub fn to_dense(&self) -> Array2<f32> {
        let mut dense = Array2::zeros((self.steps(), self.channels as usize));
        for (step, mut row) in dense.rows_mut().into_iter().enumerate() {
            let (indices, values) = self.events_at(step);
            for (event, &channel) in indices.iter().enumerate() {
                row[channel as usize] = values.map_or(1.0, |values| values[event]);
            }
        }
        dense
    }

    /// Number of channels.
    pub fn channels(&self) -> u32 {
        self.channels
    }

    /// Number of time steps.
    pub fn steps(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of events in all steps.
    pub fn n_events(&self) -> usize {
        self.indices.len()
    }

    /// Channels and values (`None`: all 1) of the events of step `t`; empty if `t` is not below `steps()`.
    pub fn events_at(&self, t: usize) -> (&[u32], Option<&[f32]>) {
        let range = match self.offsets.get(t..).unwrap_or(&[]) {
            [start, end, ..] => *start as usize..*end as usize,
            [_] | [] => 0..0,
        };
        let values = self.values.as_ref().map(|values| &values[range.clone()]);
        (&self.indices[range], values)
    }

    /// Position of the first event of each step, and the number of events at the end: [steps + 1].
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Channel of each event, step after step.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Value of each event, or `None` if all are 1.
    pub fn values(&self) -> Option<&[f32]> {
        self.values.as_deref()
    }
}

/// Grows a train event by event, for callers in this crate that produce channels in ascending order.
///
/// It checks nothing itself; what it built goes through `SpikeTrain::new`.
pub(crate) struct Builder {
    pub(crate) offsets: Vec<u32>,
    pub(crate) indices: Vec<u32>,
    pub(crate) values: Option<Vec<f32>>,
}

impl Builder {
    pub(crate) fn with_capacity(steps: usize, events: usize, graded: bool) -> Self {
        let mut offsets = Vec::with_capacity(steps + 1);
        offsets.push(0);
        let values = graded.then(|| Vec::with_capacity(events));
        Builder {
            offsets,
            indices: Vec::with_capacity(events),
            values,
        }
    }

    pub(crate) fn push(&mut self, channel: u32, value: f32) {
        self.indices.push(channel);
        if let Some(values) = &mut self.values {
            values.push(value);
        }
    }

    /// Closes the current step. The number of events saturates at `u32::MAX`, which `SpikeTrain::new` then refuses.
    pub(crate) fn end_step(&mut self) {
        self.offsets
            .push(u32::try_from(self.indices.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn finish(self, channels: u32) -> Result<SpikeTrain, DataError> {
        SpikeTrain::new(channels, self.offsets, self.indices, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn parts_that_are_no_train_are_refused() {
        let reason = |channels, offsets: &[u32], indices: &[u32], values: Option<&[f32]>| {
            let made = SpikeTrain::new(
                channels,
                offsets.to_vec(),
                indices.to_vec(),
                values.map(<[f32]>::to_vec),
            );
            made.expect_err("broken on purpose").to_string()
        };
        assert!(reason(2, &[], &[], None).contains("first offset"));
        assert!(reason(2, &[1, 1], &[0], None).contains("first offset"));
        assert!(reason(2, &[0, 2, 1], &[0], None).contains("fall after step 1"));
        assert!(reason(2, &[0, 2], &[0], None).contains("last offset is 2"));
        assert!(reason(2, &[0, 1], &[2], None).contains("channel 2 of 2"));
        assert!(
            reason(3, &[0, 0, 2], &[1, 1], None).contains("step 1 has channel 1 after channel 1")
        );
        assert!(reason(3, &[0, 2], &[2, 1], None).contains("channel 1 after channel 2"));
        assert!(reason(3, &[0, 1], &[2], Some(&[])).contains("0 values for 1 events"));
        assert!(reason(3, &[0, 1], &[2], Some(&[f32::NAN])).contains("event 0 is NaN"));
    }

    #[test]
    fn dense_round_trip_keeps_values_only_if_needed() {
        let graded = array![[0.0, 0.5, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]];
        let train = SpikeTrain::from_dense(graded.view()).expect("finite");
        assert_eq!(
            (train.steps(), train.channels(), train.n_events()),
            (3, 3, 3)
        );
        assert_eq!(train.events_at(2), (&[0, 2][..], Some(&[-1.0, 2.0][..])));
        assert_eq!(train.events_at(1), (&[][..], Some(&[][..])));
        assert_eq!(train.events_at(usize::MAX).0.len(), 0);
        assert_eq!(train.to_dense(), graded);
        let binary = array![[0.0, 1.0], [1.0, 1.0]];
        let train = SpikeTrain::from_dense(binary.view()).expect("finite");
        assert_eq!(train.values(), None);
        assert_eq!(train.to_dense(), binary);
        assert!(SpikeTrain::from_dense(array![[f32::INFINITY]].view()).is_err());
    }

    #[test]
    fn silent_has_its_steps() {
        let train = SpikeTrain::silent(4, 3);
        assert_eq!((train.steps(), train.n_events()), (3, 0));
        assert_eq!(train.to_dense(), Array2::<f32>::zeros((3, 4)));
    }
}
