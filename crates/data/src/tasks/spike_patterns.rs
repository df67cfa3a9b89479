//! Frozen random input and, for each output unit, the times at which it should fire.
//!
//! F. Zenke, S. Ganguli, "SuperSpike: supervised learning in multilayer spiking neural networks", Neural Computation 30
//! (2018): neurons learn to answer a fixed Poisson input with precisely timed spikes.

use super::{bernoulli, check_cells, probability, refuse};
use crate::dataset::{Card, Dataset, Raw, Targets};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain};
use crate::spike_train::Builder;

/// What [`spike_patterns`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpikePatternsConfig {
    /// Number of patterns, each with its own input and targets.
    pub samples: usize,
    /// Input channels.
    pub channels: u32,
    /// Output units with a target.
    pub units: u32,
    /// Rate of each input channel in Hz.
    pub rate_hz: f64,
    /// Target spikes of each unit, at most one per step.
    pub spikes: u32,
    /// Targets evenly spaced instead of at random times.
    pub regular: bool,
    /// Time steps of each sample.
    pub steps: usize,
    /// Length of a step in seconds.
    pub step_s: f64,
    /// Seed of inputs and targets.
    pub seed: u64,
}

/// Frozen input with target spikes; see [`spike_patterns`].
#[derive(Debug, Clone)]
pub struct SpikePatterns {
    card: Card,
    config: SpikePatternsConfig,
    p: f64,
}

/// Poisson input that is the same in every epoch, and target spike trains. There is one class, 0.
///
/// Errors: `DataError::Setting` for no samples or units, a rate above one spike per step, or more target spikes than
/// steps.
pub fn spike_patterns(config: SpikePatternsConfig) -> Result<SpikePatterns, DataError> {
    if config.samples == 0 || config.units == 0 {
        let reason = "samples and units are at least 1".to_owned();
        return refuse("spike_patterns", reason, "give a number above 0 for each");
    }
    let p = probability("spike_patterns.rate", config.rate_hz, config.step_s)?;
    let widest = config.channels.max(config.units);
    check_cells("spike_patterns.channels", config.steps, u64::from(widest))?;
    if config.spikes as usize > config.steps {
        let reason = format!("{} spikes in {} steps", config.spikes, config.steps);
        return refuse(
            "spike_patterns.spikes",
            reason,
            "give fewer, or a longer duration",
        );
    }
    let shape = Shape::line(config.channels);
    Ok(SpikePatterns {
        card: Card::new("spike_patterns", config.samples, 1, shape),
        config,
        p,
    })
}

impl SpikePatterns {
    fn key(&self, i: usize) -> u64 {
        derive_key(self.config.seed, domain::SPIKE_PATTERNS, i as u64)
    }

    /// The steps of the target spikes of a unit, ascending.
    fn target_steps(&self, i: usize, unit: u32) -> Vec<usize> {
        let SpikePatternsConfig {
            spikes,
            regular,
            steps,
            ..
        } = self.config;
        if regular {
            let at = |k: u32| (f64::from(k) + 0.5) / f64::from(spikes) * steps as f64;
            return (0..spikes).map(|k| at(k) as usize).collect();
        }
        // The last counter word keeps targets apart from the input.
        let mut stream = Philox::at(self.key(i), [0, 0, unit, 1]);
        let mut all: Vec<usize> = (0..steps).collect();
        stream.shuffle(&mut all);
        all.truncate(spikes as usize);
        all.sort_unstable();
        all
    }
}

impl Dataset for SpikePatterns {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(i < self.len(), "sample {i} of {}", self.len());
        0
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let SpikePatternsConfig {
            steps, channels, ..
        } = self.config;
        let train = bernoulli(self.key(i), steps, channels, |_, _| self.p)?;
        Ok(Raw::Spikes(train))
    }

    fn n_targets(&self) -> u32 {
        self.config.units
    }

    fn targets(&self, i: usize) -> Result<Option<Targets>, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let SpikePatternsConfig { units, steps, .. } = self.config;
        let of_units: Vec<Vec<usize>> = (0..units).map(|unit| self.target_steps(i, unit)).collect();
        let mut builder = Builder::with_capacity(steps, 0, false);
        for step in 0..steps {
            for (unit, times) in (0..units).zip(&of_units) {
                if times.binary_search(&step).is_ok() {
                    builder.push(unit, 1.0);
                }
            }
            builder.end_step();
        }
        Ok(Some(Targets::Spikes(builder.finish(units)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SpikePatternsConfig {
        SpikePatternsConfig {
            samples: 3,
            channels: 100,
            units: 2,
            rate_hz: 10.0,
            spikes: 5,
            regular: false,
            steps: 500,
            step_s: 1e-3,
            seed: 0,
        }
    }

    #[test]
    fn input_has_the_rate_and_targets_have_their_spikes() {
        let set = spike_patterns(config()).expect("valid");
        let Ok(Raw::Spikes(input)) = set.get(1) else {
            panic!("not spikes");
        };
        // 100 channels · 0.5 s · 10 Hz = 500 ± 22.
        assert!(
            (400..600).contains(&input.n_events()),
            "{}",
            input.n_events()
        );
        let Ok(Some(Targets::Spikes(target))) = set.targets(1) else {
            panic!("no targets");
        };
        assert_eq!(
            (target.steps(), target.channels(), target.n_events()),
            (500, 2, 10)
        );
        assert_ne!(
            set.targets(0).expect("in range"),
            set.targets(1).expect("in range")
        );
        assert_eq!(set.get(1).expect("in range"), Raw::Spikes(input));
    }

    #[test]
    fn regular_targets_are_evenly_spaced() {
        let set = spike_patterns(SpikePatternsConfig {
            regular: true,
            ..config()
        })
        .expect("valid");
        assert_eq!(set.target_steps(0, 1), [50, 150, 250, 350, 450]);
    }

    #[test]
    fn meaningless_settings_are_refused() {
        let base = config();
        for bad in [
            SpikePatternsConfig { units: 0, ..base },
            SpikePatternsConfig {
                spikes: 501,
                ..base
            },
            SpikePatternsConfig {
                rate_hz: 1001.0,
                ..base
            },
            SpikePatternsConfig {
                rate_hz: f64::NAN,
                ..base
            },
        ] {
            assert!(spike_patterns(bad).is_err(), "{bad:?}");
        }
    }
}
