//! The encoder of event streams: events in continuous time to counts per step, and trains to another length.
//!
//! With `clip` = 1 the result is binary and carries no values, so that the runtime's cheaper path for plain spikes is
//! taken; with any other clip it carries values even if all happen to be 1, so that the samples of one data set have
//! one form.

use super::{Encoded, Grid};
use crate::error::DataError;
use crate::spike_train::{Builder, SpikeTrain};

/// Counts of events per step and channel. In: channels below `n_channels`, as many as times.
pub(super) fn bin_events(
    time_s: &[f64],
    channel: &[u32],
    n_channels: u32,
    grid: Grid,
    clip: Option<u32>,
) -> Result<Encoded, DataError> {
    let cell = |(&time_s, &channel): (&f64, &u32)| grid.step_of(time_s).map(|step| (step, channel));
    let cells: Vec<(usize, u32)> = time_s.iter().zip(channel).filter_map(cell).collect();
    let dropped = time_s.len() - cells.len();
    count(cells, n_channels, grid, clip, dropped)
}

/// As many events in each step as in any other, up to one, in the order of their times (of equal times, of the
/// file). Events outside the duration count as well: the last step ends with the last event.
pub(super) fn bin_equal_counts(
    time_s: &[f64],
    channel: &[u32],
    n_channels: u32,
    grid: Grid,
    clip: Option<u32>,
) -> Result<Encoded, DataError> {
    let mut order: Vec<usize> = (0..time_s.len())
        .filter(|&i| time_s[i].is_finite())
        .collect();
    order.sort_by(|&a, &b| time_s[a].total_cmp(&time_s[b]));
    let n = order.len().max(1) as u128;
    let step_of = |rank: usize| (rank as u128 * grid.steps as u128 / n) as usize;
    let cells = order.iter().enumerate();
    let cells = cells
        .map(|(rank, &i)| (step_of(rank), channel[i]))
        .collect();
    let dropped = time_s.len() - order.len();
    count(cells, n_channels, grid, clip, dropped)
}

/// The events of each (step, channel) as one, with their number as its value.
fn count(
    mut cells: Vec<(usize, u32)>,
    n_channels: u32,
    grid: Grid,
    clip: Option<u32>,
    dropped: usize,
) -> Result<Encoded, DataError> {
    cells.sort_unstable();
    let mut builder = Builder::with_capacity(grid.steps, cells.len(), clip != Some(1));
    let mut rest = cells.as_slice();
    for step in 0..grid.steps {
        while let Some(&first) = rest.first().filter(|cell| cell.0 == step) {
            let count = rest.iter().take_while(|&&cell| cell == first).count();
            builder.push(first.1, clipped(count as f32, clip));
            rest = &rest[count..];
        }
        builder.end_step();
    }
    Ok(Encoded {
        train: builder.finish(n_channels)?,
        dropped,
    })
}

/// The first `steps` steps of a train, followed by empty ones if it is shorter, with its values clipped.
pub(super) fn fit_steps(
    train: &SpikeTrain,
    steps: usize,
    clip: Option<u32>,
) -> Result<Encoded, DataError> {
    // A train without values stays without: no clip changes a 1. Counts clipped at 1 all become 1, fractions do not.
    let below_one = |values: &[f32]| values.iter().any(|&value| value < 1.0);
    let graded = train
        .values()
        .is_some_and(|values| clip != Some(1) || below_one(values));
    let kept = train.offsets()[steps.min(train.steps())] as usize;
    let mut builder = Builder::with_capacity(steps, kept, graded);
    for step in 0..steps {
        let (indices, values) = train.events_at(step);
        for (event, &channel) in indices.iter().enumerate() {
            let value = values.map_or(1.0, |values| values[event]);
            builder.push(channel, clipped(value, clip));
        }
        builder.end_step();
    }
    Ok(Encoded {
        train: builder.finish(train.channels())?,
        dropped: train.n_events() - kept,
    })
}

fn clipped(value: f32, clip: Option<u32>) -> f32 {
    clip.map_or(value, |clip| value.min(clip as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_follow_the_order_of_the_times() {
        let grid = Grid {
            steps: 3,
            step_s: 1e-3,
        };
        let times = [0.9, 0.1, 0.5, 0.2, 0.3, f64::NAN, 7.0];
        let channels = [0, 1, 2, 1, 1, 0, 0];
        let made = bin_equal_counts(&times, &channels, 3, grid, None).expect("made");
        assert_eq!(made.dropped, 1);
        let expected = ndarray::array![[0.0, 2.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 0.0]];
        assert_eq!(made.train.to_dense(), expected);
    }
}
