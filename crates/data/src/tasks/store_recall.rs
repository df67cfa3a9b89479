//! Store and recall: one of a stream of bits is to be remembered until it is asked for.
//!
//! G. Bellec, D. Salaj, A. Subramoney, R. Legenstein, W. Maass, "Long short-term memory and learning-to-learn in networks
//! of spiking neurons", NeurIPS 2018. Time is cut into periods. Four groups of channels stand for the bits 0 and 1 and
//! for the commands store and recall. Every period but the last shows a random bit; in one of them the store group
//! fires too; in the last one the recall group fires alone. The class is the bit that was stored. The paper has several
//! stores and recalls in a sequence; one of each keeps the answer a class.

use super::{bernoulli, check_cells, probability, refuse};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain};

const GROUPS: u32 = 4;
const STORE: u32 = 2;
const RECALL: u32 = 3;

/// What [`store_recall`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreRecallConfig {
    /// Number of samples.
    pub samples: usize,
    /// Input channels, a multiple of 4: the groups 0, 1, store, recall.
    pub channels: u32,
    /// Steps of a period.
    pub period: usize,
    /// Rate of an active group in Hz.
    pub rate_hz: f64,
    /// Time steps of each sample: `period` times at least 2.
    pub steps: usize,
    /// Length of a step in seconds.
    pub step_s: f64,
    /// Seed of bits, commands and spikes.
    pub seed: u64,
}

/// Store and recall; see [`store_recall`].
#[derive(Debug, Clone)]
pub struct StoreRecall {
    card: Card,
    config: StoreRecallConfig,
    periods: usize,
    p: f64,
}

/// A stream of bits of which one is stored and asked for in the last period.
///
/// Errors: `DataError::Setting` for no samples, channels that are no multiple of 4, a rate above one spike per step, or
/// steps that are not two or more whole periods.
pub fn store_recall(config: StoreRecallConfig) -> Result<StoreRecall, DataError> {
    if config.samples == 0 || config.channels == 0 || !config.channels.is_multiple_of(GROUPS) {
        let reason = "samples are at least 1, channels a multiple of 4 above 0".to_owned();
        let help = "a quarter of the channels stands for each of 0, 1, store and recall";
        return refuse("store_recall", reason, help);
    }
    let p = probability("store_recall.rate", config.rate_hz, config.step_s)?;
    check_cells(
        "store_recall.channels",
        config.steps,
        u64::from(config.channels),
    )?;
    let periods = config.steps.checked_div(config.period).unwrap_or(0);
    if periods < 2 || periods * config.period != config.steps {
        let reason = format!(
            "{} steps are not two or more periods of {}",
            config.steps, config.period
        );
        return refuse(
            "store_recall.period",
            reason,
            "make the duration a multiple of the period",
        );
    }
    let shape = Shape::line(config.channels);
    Ok(StoreRecall {
        card: Card::new("store_recall", config.samples, 2, shape),
        config,
        periods,
        p,
    })
}

impl StoreRecall {
    fn key(&self, i: usize) -> u64 {
        derive_key(self.config.seed, domain::STORE_RECALL, i as u64)
    }

    /// The bit of each period but the last, and the period of the store command.
    fn plan(&self, i: usize) -> (Vec<bool>, usize) {
        // The last counter word keeps these numbers apart from those of the spikes.
        let mut stream = Philox::at(self.key(i), [0, 0, 0, 1]);
        let bits: Vec<bool> = (1..self.periods)
            .map(|_| stream.next_u32() & 1 == 1)
            .collect();
        let store = stream.below(bits.len() as u64) as usize;
        (bits, store)
    }
}

impl Dataset for StoreRecall {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(i < self.len(), "sample {i} of {}", self.len());
        let (bits, store) = self.plan(i);
        u32::from(bits[store])
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let StoreRecallConfig {
            channels,
            period,
            steps,
            ..
        } = self.config;
        let (bits, store) = self.plan(i);
        let p = |step: usize, channel: u32| {
            let at = step / period;
            let group = channel / (channels / GROUPS);
            let active = match bits.get(at) {
                Some(&bit) => group == u32::from(bit) || (group == STORE && at == store),
                None => group == RECALL,
            };
            if active { self.p } else { 0.0 }
        };
        Ok(Raw::Spikes(bernoulli(self.key(i), steps, channels, p)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> StoreRecallConfig {
        StoreRecallConfig {
            samples: 100,
            channels: 40,
            period: 100,
            rate_hz: 100.0,
            steps: 600,
            step_s: 1e-3,
            seed: 0,
        }
    }

    #[test]
    fn the_label_is_the_bit_beside_the_store_command() {
        let set = store_recall(config()).expect("valid");
        let (mut ones, mut early) = (0, 0);
        for i in 0..set.len() {
            let Ok(Raw::Spikes(train)) = set.get(i) else {
                panic!("not spikes");
            };
            let dense = train.to_dense();
            let active = |period: usize, group: usize| {
                let window = ndarray::s![
                    period * 100..(period + 1) * 100,
                    group * 10..group * 10 + 10
                ];
                dense.slice(window).sum() > 0.0
            };
            let store = (0..6).find(|&period| active(period, 2)).expect("a store");
            assert!(!active(store, 0) || !active(store, 1));
            assert_eq!(set.label(i), u32::from(active(store, 1)));
            assert!(active(5, 3) && !(0..3).any(|group| active(5, group)));
            ones += set.label(i);
            early += usize::from(store < 2);
        }
        assert!((30..70).contains(&ones) && early > 10, "{ones} {early}");
    }

    #[test]
    fn meaningless_settings_are_refused() {
        let base = config();
        for bad in [
            StoreRecallConfig {
                channels: 6,
                ..base
            },
            StoreRecallConfig { period: 0, ..base },
            StoreRecallConfig {
                period: 599,
                ..base
            },
            StoreRecallConfig {
                period: 600,
                ..base
            },
            StoreRecallConfig {
                rate_hz: 2e3,
                ..base
            },
        ] {
            assert!(store_recall(bad).is_err(), "{bad:?}");
        }
    }
}
