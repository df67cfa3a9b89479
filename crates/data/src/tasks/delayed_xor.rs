//! Delayed exclusive or: two cues with a pause between them, and the answer is whether they differ.
//!
//! A working-memory task of the kind used for recurrent spiking networks (for example C. M. Kim, C. C. Chow, "Learning
//! recurrent dynamics in spiking networks", eLife 2018, and later delayed-match work). Channels come in two groups; a
//! cue is a burst of one group. The first cue is in the steps before `cue`, the second one after another `delay`.

use super::{bernoulli, check_cells, probability, refuse};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{derive_key, domain, philox4x32};

/// What [`delayed_xor`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DelayedXorConfig {
    /// Number of samples.
    pub samples: usize,
    /// Input channels: the first half fires for a 0, the second half for a 1. Even.
    pub channels: u32,
    /// Steps of a cue.
    pub cue: usize,
    /// Steps between the cues.
    pub delay: usize,
    /// Rate of a group in its cue, in Hz.
    pub rate_hz: f64,
    /// Rate of every channel at all other times, in Hz.
    pub background_hz: f64,
    /// Time steps of each sample; those after the second cue are for the answer.
    pub steps: usize,
    /// Length of a step in seconds.
    pub step_s: f64,
    /// Seed of cues and spikes.
    pub seed: u64,
}

/// Delayed exclusive or; see [`delayed_xor`].
#[derive(Debug, Clone)]
pub struct DelayedXor {
    card: Card,
    config: DelayedXorConfig,
    p_cue: f64,
    p_background: f64,
}

/// Two cues of one bit each; the class is their exclusive or.
///
/// Errors: `DataError::Setting` for no samples, an odd number of channels, a rate above one spike per step, or cues that
/// do not fit into the sample.
pub fn delayed_xor(config: DelayedXorConfig) -> Result<DelayedXor, DataError> {
    if config.samples == 0 || config.channels == 0 || !config.channels.is_multiple_of(2) {
        let reason = "samples are at least 1, channels an even number above 0".to_owned();
        return refuse(
            "delayed_xor",
            reason,
            "half of the channels stand for each bit",
        );
    }
    let p_cue = probability("delayed_xor.rate", config.rate_hz, config.step_s)?;
    let p_background = probability(
        "delayed_xor.background",
        config.background_hz,
        config.step_s,
    )?;
    check_cells(
        "delayed_xor.channels",
        config.steps,
        u64::from(config.channels),
    )?;
    let cues = config
        .cue
        .checked_mul(2)
        .and_then(|cues| cues.checked_add(config.delay));
    if cues.is_none_or(|cues| cues > config.steps) {
        let reason = format!(
            "two cues of {} steps and a delay of {} do not fit into {} steps",
            config.cue, config.delay, config.steps
        );
        return refuse("delayed_xor.delay", reason, "make the duration longer");
    }
    let shape = Shape::line(config.channels);
    Ok(DelayedXor {
        card: Card::new("delayed_xor", config.samples, 2, shape),
        config,
        p_cue,
        p_background,
    })
}

impl DelayedXor {
    fn key(&self, i: usize) -> u64 {
        derive_key(self.config.seed, domain::DELAYED_XOR, i as u64)
    }

    /// The bits of the first and the second cue.
    fn bits(&self, i: usize) -> [bool; 2] {
        let [word, ..] = philox4x32(self.key(i), [0, 0, 0, 1]);
        [word & 1 != 0, word & 2 != 0]
    }
}

impl Dataset for DelayedXor {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(i < self.len(), "sample {i} of {}", self.len());
        let [first, second] = self.bits(i);
        u32::from(first != second)
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let DelayedXorConfig {
            channels,
            cue,
            delay,
            steps,
            ..
        } = self.config;
        let bits = self.bits(i);
        let shown = |step: usize| -> Option<bool> {
            if step < cue {
                return Some(bits[0]);
            }
            (cue + delay..2 * cue + delay)
                .contains(&step)
                .then_some(bits[1])
        };
        let p = |step: usize, channel: u32| {
            if shown(step) == Some(channel >= channels / 2) {
                self.p_cue
            } else {
                self.p_background
            }
        };
        Ok(Raw::Spikes(bernoulli(self.key(i), steps, channels, p)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DelayedXorConfig {
        DelayedXorConfig {
            samples: 100,
            channels: 20,
            cue: 50,
            delay: 100,
            rate_hz: 200.0,
            background_hz: 0.0,
            steps: 250,
            step_s: 1e-3,
            seed: 0,
        }
    }

    #[test]
    fn the_label_can_be_read_from_which_half_fired_when() {
        let set = delayed_xor(config()).expect("valid");
        let mut ones = 0;
        for i in 0..set.len() {
            let Ok(Raw::Spikes(train)) = set.get(i) else {
                panic!("not spikes");
            };
            let dense = train.to_dense();
            let bit = |from: usize, to: usize| -> bool {
                let window = dense.slice(ndarray::s![from..to, ..]);
                let half = |a: usize| window.slice(ndarray::s![.., a..a + 10]).sum();
                assert!(half(0) == 0.0 || half(10) == 0.0, "both halves fire");
                half(10) > half(0)
            };
            assert_eq!(dense.slice(ndarray::s![50..150, ..]).sum(), 0.0);
            assert_eq!(set.label(i), u32::from(bit(0, 50) != bit(150, 200)));
            ones += set.label(i);
        }
        assert!((30..70).contains(&ones), "{ones}");
    }

    #[test]
    fn meaningless_settings_are_refused() {
        let base = config();
        for bad in [
            DelayedXorConfig {
                channels: 21,
                ..base
            },
            DelayedXorConfig { delay: 151, ..base },
            DelayedXorConfig {
                cue: usize::MAX,
                ..base
            },
            DelayedXorConfig {
                rate_hz: -1.0,
                ..base
            },
        ] {
            assert!(delayed_xor(bad).is_err(), "{bad:?}");
        }
    }
}
