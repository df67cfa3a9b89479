//! The encoders of pictures: latency, rate and constant current.
//!
//! In: intensities in 0..=1 and settings that `Encoder::check` accepted. Out: a train whose channel c is pixel c.

use super::{EncodeKey, Grid};
use crate::error::DataError;
use crate::random_spikes::probability_to_u32_range;
use crate::rng::{derive_key, domain, philox4x32};
use crate::spike_train::{Builder, SpikeTrain};

/// One spike per pixel at the time (seconds) that `time_of` gives for its intensity; none for `None` or too late.
pub(super) fn latency(
    pixels: &[f32],
    grid: Grid,
    time_of: impl Fn(f64) -> Option<f64>,
) -> Result<SpikeTrain, DataError> {
    let step_of = |&pixel: &f32| time_of(f64::from(pixel)).and_then(|time_s| grid.step_of(time_s));
    let fires_in: Vec<Option<usize>> = pixels.iter().map(step_of).collect();
    // A counting sort by step; within a step the pixels stay in ascending order.
    let mut offsets = vec![0u32; grid.steps + 1];
    for &step in fires_in.iter().flatten() {
        offsets[step + 1] += 1;
    }
    for step in 0..grid.steps {
        offsets[step + 1] += offsets[step];
    }
    let mut next = offsets.clone();
    let mut indices = vec![0u32; offsets[grid.steps] as usize];
    for (pixel, step) in fires_in.iter().enumerate() {
        if let Some(step) = *step {
            indices[next[step] as usize] = pixel as u32;
            next[step] += 1;
        }
    }
    SpikeTrain::new(pixels.len() as u32, offsets, indices, None)
}

/// Bernoulli spikes: pixel c fires in a step with probability x_c · `p_full`.
///
/// The word for step t and pixel c is word c mod 4 of the Philox block at counter [c / 4, t, sample] under a key made
/// of seed and epoch.
pub(super) fn rate(
    pixels: &[f32],
    steps: usize,
    p_full: f64,
    key: EncodeKey,
) -> Result<SpikeTrain, DataError> {
    let range_of = |&pixel: &f32| probability_to_u32_range((f64::from(pixel) * p_full).min(1.0));
    let ranges: Vec<u64> = pixels.iter().map(range_of).collect();
    let expected =
        p_full * steps as f64 * pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
    let stream_key = derive_key(key.seed, domain::ENCODE, key.epoch);
    let mut builder = Builder::with_capacity(steps, expected as usize, false);
    for step in 0..steps as u32 {
        for (block, ranges) in ranges.chunks(4).enumerate() {
            if ranges.iter().all(|&range| range == 0) {
                continue;
            }
            let counter = [
                block as u32,
                step,
                key.sample as u32,
                (key.sample >> 32) as u32,
            ];
            let words = philox4x32(stream_key, counter);
            for (lane, (&range, word)) in ranges.iter().zip(words).enumerate() {
                if u64::from(word) < range {
                    builder.push((4 * block + lane) as u32, 1.0);
                }
            }
        }
        builder.end_step();
    }
    builder.finish(pixels.len() as u32)
}

/// The value `gain` · x in every step; pixels of intensity 0 have no events.
pub(super) fn constant(pixels: &[f32], steps: usize, gain: f64) -> Result<SpikeTrain, DataError> {
    let lit = pixels.iter().filter(|&&pixel| pixel > 0.0).count();
    let mut builder = Builder::with_capacity(steps, steps * lit, true);
    for _ in 0..steps {
        for (channel, &pixel) in pixels.iter().enumerate() {
            if pixel > 0.0 {
                builder.push(channel as u32, (gain * f64::from(pixel)) as f32);
            }
        }
        builder.end_step();
    }
    builder.finish(pixels.len() as u32)
}
