//! Encoders that give a picture other channels than its pixels: one pixel after the other, and populations of tuned
//! neurons; and the change of graded input over time.

use super::{EncodeKey, Grid, bad_sample};
use crate::error::DataError;
use crate::random_spikes::probability_to_u32_range;
use crate::rng::{derive_key, domain, philox4x32};
use crate::spike_train::{Builder, SpikeTrain};

/// Pixel k is shown from step k · `hold` on. Channel j < `levels` fires in the first step of a pixel if the grey value
/// crossed (j + ½)/levels since the pixel before (before the first one it was 0); channel `levels` fires in every step
/// after the last pixel, which asks for the answer (Bellec et al. 2018, sequential MNIST).
pub(super) fn one_by_one(
    pixels: &[f32],
    steps: usize,
    levels: u32,
    hold: u32,
) -> Result<SpikeTrain, DataError> {
    let mut builder = Builder::with_capacity(steps, pixels.len(), false);
    let above = |value: f32| {
        (value * levels as f32 + 0.5)
            .floor()
            .clamp(0.0, levels as f32) as u32
    };
    for step in 0..steps {
        let k = step / hold as usize;
        match pixels.get(k) {
            Some(&value) if step.is_multiple_of(hold as usize) => {
                let before = k.checked_sub(1).map_or(0, |before| above(pixels[before]));
                let now = above(value);
                for channel in before.min(now)..before.max(now) {
                    builder.push(channel, 1.0);
                }
            }
            Some(_) => {}
            None => builder.push(levels, 1.0),
        }
        builder.end_step();
    }
    builder.finish(levels + 1)
}

/// `neurons` channels for each intensity x, with centres spread evenly over 0..=1: channel (p · neurons + j) fires in a
/// step with probability `p_full` · exp(−(x − j/(neurons − 1))² / (2 `width`²)) (Gaussian receptive fields, Bohte, Kok &
/// La Poutré 2002).
pub(super) fn population(
    pixels: &[f32],
    steps: usize,
    neurons: u32,
    width: f64,
    p_full: f64,
    key: EncodeKey,
) -> Result<SpikeTrain, DataError> {
    let spacing = 1.0 / f64::from(neurons.max(2) - 1);
    let tuned = |x: f64, j: u32| (-((x - f64::from(j) * spacing) / width).powi(2) / 2.0).exp();
    let fields = pixels
        .iter()
        .flat_map(|&x| (0..neurons).map(move |j| (f64::from(x), j)));
    let ranges: Vec<u64> = fields
        .map(|(x, j)| probability_to_u32_range((p_full * tuned(x, j)).min(1.0)))
        .collect();
    let stream_key = derive_key(key.seed, domain::ENCODE, key.epoch);
    let mut builder = Builder::with_capacity(steps, 0, false);
    for step in 0..steps as u32 {
        for (block, ranges) in ranges.chunks(4).enumerate() {
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
    builder.finish(ranges.len() as u32)
}

/// Each pixel drives a leaky integrate-and-fire neuron with the constant `gain` · x: v ← x̂ + (v − x̂)·e^(−step/τ), a
/// spike and v = 0 where v ≥ 1 (Norse's constant-current encoder, integrated exactly).
pub(super) fn current_lif(
    pixels: &[f32],
    grid: Grid,
    tau_ms: f64,
    gain: f64,
) -> Result<SpikeTrain, DataError> {
    let decay = (-grid.step_s * 1e3 / tau_ms).exp();
    let mut v = vec![0.0f64; pixels.len()];
    let mut builder = Builder::with_capacity(grid.steps, 0, false);
    for _ in 0..grid.steps {
        for (channel, (v, &x)) in v.iter_mut().zip(pixels).enumerate() {
            let drive = gain * f64::from(x);
            *v = drive + (*v - drive) * decay;
            if *v >= 1.0 {
                *v = 0.0;
                builder.push(channel as u32, 1.0);
            }
        }
        builder.end_step();
    }
    builder.finish(pixels.len() as u32)
}

/// The change of graded input from step to step: channel c fires where the value rose by at least `threshold`, channel
/// c + channels where it fell by as much (delta modulation). Before the first step every value is 0.
pub(super) fn delta(
    train: &SpikeTrain,
    steps: usize,
    threshold: f64,
    key: EncodeKey,
) -> Result<SpikeTrain, DataError> {
    let channels = train.channels();
    let Some(doubled) = channels.checked_mul(2) else {
        let reason = format!("{channels} channels are too many to double");
        return Err(bad_sample(key, reason, "use fewer channels"));
    };
    let mut before = vec![0.0f32; channels as usize];
    let mut builder = Builder::with_capacity(steps, train.n_events(), false);
    for step in 0..steps {
        let mut now = vec![0.0f32; channels as usize];
        let (indices, values) = train.events_at(step);
        for (event, &channel) in indices.iter().enumerate() {
            now[channel as usize] = values.map_or(1.0, |values| values[event]);
        }
        let rose = |c: u32| f64::from(now[c as usize]) - f64::from(before[c as usize]);
        for channel in (0..channels).filter(|&c| rose(c) >= threshold) {
            builder.push(channel, 1.0);
        }
        for channel in (0..channels).filter(|&c| rose(c) <= -threshold) {
            builder.push(channels + channel, 1.0);
        }
        builder.end_step();
        before = now;
    }
    builder.finish(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    const KEY: EncodeKey = EncodeKey {
        seed: 0,
        epoch: 0,
        sample: 0,
    };

    #[test]
    fn pixels_come_one_after_the_other_by_their_crossings() {
        let train = one_by_one(&[0.6, 0.6, 0.1], 8, 4, 2).expect("made");
        // 0.6 is above 1/8, 3/8, not 5/8; 0.1 is below all.
        let events: Vec<Vec<u32>> = (0..8).map(|t| train.events_at(t).0.to_vec()).collect();
        let none: Vec<u32> = vec![];
        assert_eq!(events[0], [0, 1]);
        assert!(events[1] == none && events[2] == none && events[3] == none);
        assert_eq!(events[4], [0, 1]);
        assert_eq!(events[5], none);
        assert_eq!((&events[6], &events[7]), (&vec![4], &vec![4]));
    }

    #[test]
    fn a_population_answers_most_where_it_is_tuned() {
        let train = population(&[0.5], 4000, 5, 0.15, 0.2, KEY).expect("made");
        let counts = train.to_dense().sum_axis(ndarray::Axis(0));
        let expected =
            [0.5, 0.25, 0.0, 0.25, 0.5].map(|d: f64| 800.0 * (-(d / 0.15).powi(2) / 2.0).exp());
        for (count, expected) in counts.iter().zip(expected) {
            assert!(
                (f64::from(*count) - expected).abs() < 4.0 * expected.sqrt() + 8.0,
                "{counts}"
            );
        }
    }

    #[test]
    fn a_constant_current_fires_at_the_rate_of_the_neuron() {
        let grid = Grid {
            steps: 10_000,
            step_s: 1e-5,
        };
        let train = current_lif(&[0.0, 0.45, 1.0], grid, 10.0, 2.0).expect("made");
        let counts = train.to_dense().sum_axis(ndarray::Axis(0));
        // T = τ ln(I/(I − 1)) = 10 ms · ln 2 for I = 2; no spike for I ≤ 1.
        assert_eq!((counts[0], counts[1]), (0.0, 0.0));
        assert!(
            (counts[2] - 100.0 / (10.0 * 2f32.ln())).abs() <= 1.0,
            "{counts}"
        );
    }

    #[test]
    fn delta_marks_rises_and_falls() {
        let graded = array![[1.0, 0.0], [1.4, 0.0], [0.2, 2.0], [0.2, 0.0]];
        let train = SpikeTrain::from_dense(graded.view()).expect("finite");
        let found = delta(&train, 4, 0.5, KEY).expect("made").to_dense();
        let expected = array![
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0]
        ];
        assert_eq!(found, expected);
    }
}
