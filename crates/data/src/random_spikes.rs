//! Uniform random spikes with random labels: input for benchmarks, where only the amount of work matters.
//!
//! Each sample is a function of the seed and its index alone and is made when it is asked for, so a set of any size
//! takes no memory.

use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain, philox4x32};
use crate::spike_train::Builder;

/// What [`random_spikes`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomSpikesConfig {
    /// Number of samples.
    pub samples: usize,
    /// Channels of each sample.
    pub channels: u32,
    /// Number of classes, at least 1.
    pub classes: u32,
    /// Time steps of each sample.
    pub steps: usize,
    /// Probability in 0..=1 that a channel has a spike in a step.
    pub density: f64,
    /// Whether each spike carries a number from the standard normal distribution.
    pub graded: bool,
    /// Seed of spikes and labels.
    pub seed: u64,
}

/// Random spikes; see [`random_spikes`].
#[derive(Debug, Clone)]
pub struct RandomSpikes {
    card: Card,
    config: RandomSpikesConfig,
}

/// Samples in which each channel has a spike in each step with the same probability, independently, and a label drawn
/// uniformly. With density 1 and graded spikes a sample is a matrix of normal numbers.
///
/// Errors: `DataError::Setting` for a density outside 0..=1, no classes, or more possible events than `u32::MAX` in a
/// sample.
pub fn random_spikes(config: RandomSpikesConfig) -> Result<RandomSpikes, DataError> {
    let fail = |setting, reason, help: &str| {
        Err(DataError::Setting {
            setting,
            reason,
            help: help.to_owned(),
        })
    };
    if !(0.0..=1.0).contains(&config.density) {
        let reason = format!("{} is not a probability", config.density);
        return fail("random_spikes.density", reason, "give a number from 0 to 1");
    }
    if config.classes == 0 {
        return fail(
            "random_spikes.classes",
            "there are no classes".to_owned(),
            "give at least 1",
        );
    }
    let cells = (config.steps as u64).checked_mul(u64::from(config.channels));
    if cells.is_none_or(|cells| cells >= u64::from(u32::MAX)) {
        let reason = format!(
            "{} steps of {} channels are too many",
            config.steps, config.channels
        );
        return fail(
            "random_spikes.steps",
            reason,
            "keep steps × channels below 2^32",
        );
    }
    let RandomSpikesConfig {
        samples,
        channels,
        classes,
        ..
    } = config;
    Ok(RandomSpikes {
        card: Card::new("random_spikes", samples, classes, Shape::line(channels)),
        config,
    })
}

impl Dataset for RandomSpikes {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(
            i < self.config.samples,
            "sample {i} of {}",
            self.config.samples
        );
        // The last counter word keeps the label's numbers apart from those of the spikes.
        let mut stream = Philox::at(self.key(i), [0, 0, 0, 1]);
        stream.below(u64::from(self.config.classes)) as u32
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let RandomSpikesConfig {
            channels,
            steps,
            density,
            graded,
            ..
        } = self.config;
        let threshold = probability_to_u32_range(density);
        let key = self.key(i);
        let expected = density * steps as f64 * f64::from(channels);
        let mut builder = Builder::with_capacity(steps, expected as usize, graded);
        // The last counter word keeps the numbers apart from the spikes.
        let mut numbers = Philox::at(key, [0, 0, 0, 2]);
        for step in 0..steps as u64 {
            for first in (0..channels).step_by(4) {
                let words = philox4x32(key, [first / 4, step as u32, (step >> 32) as u32, 0]);
                for (channel, word) in (first..channels).zip(words) {
                    if u64::from(word) < threshold {
                        let value = if graded { numbers.normal() as f32 } else { 1.0 };
                        builder.push(channel, value);
                    }
                }
            }
            builder.end_step();
        }
        Ok(Raw::Spikes(builder.finish(channels)?))
    }
}

impl RandomSpikes {
    fn key(&self, i: usize) -> u64 {
        derive_key(self.config.seed, domain::RANDOM_SPIKES, i as u64)
    }
}

/// The number of 32-bit words, out of 2³², that mean "yes" for an event of probability `p`; 2³² for p = 1.
pub(crate) fn probability_to_u32_range(p: f64) -> u64 {
    (p * (1u64 << 32) as f64).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spike_train::SpikeTrain;

    fn config() -> RandomSpikesConfig {
        RandomSpikesConfig {
            samples: 400,
            channels: 703,
            classes: 20,
            steps: 50,
            density: 0.02,
            graded: false,
            seed: 3,
        }
    }

    fn sample(config: RandomSpikesConfig, i: usize) -> SpikeTrain {
        match random_spikes(config)
            .expect("valid")
            .get(i)
            .expect("in range")
        {
            Raw::Spikes(train) => train,
            other @ (Raw::Image { .. } | Raw::Events { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn density_and_labels_are_as_asked() {
        let train = sample(config(), 0);
        let density = train.n_events() as f64 / (50.0 * 703.0);
        assert!((density - 0.02).abs() < 0.004, "{density}");
        let labels = random_spikes(config()).expect("valid").labels();
        let mut counts = [0; 20];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert!(counts.iter().all(|&count| count > 4), "{counts:?}");
        assert_eq!(
            sample(
                RandomSpikesConfig {
                    density: 0.0,
                    ..config()
                },
                1
            )
            .n_events(),
            0
        );
        assert_eq!(
            sample(
                RandomSpikesConfig {
                    density: 1.0,
                    ..config()
                },
                1
            )
            .n_events(),
            50 * 703
        );
    }

    #[test]
    fn graded_spikes_are_the_same_spikes_with_normal_numbers() {
        let graded = RandomSpikesConfig {
            graded: true,
            ..config()
        };
        let (plain, graded) = (sample(config(), 5), sample(graded, 5));
        assert_eq!(plain.indices(), graded.indices());
        assert_eq!(plain.values(), None);
        let values = graded.values().expect("graded");
        let n = values.len() as f32;
        let mean = values.iter().sum::<f32>() / n;
        let square = values.iter().map(|v| v * v).sum::<f32>() / n;
        assert!(n > 500.0 && mean.abs() < 0.15 && (square - 1.0).abs() < 0.2);
    }

    #[test]
    fn a_sample_is_a_function_of_seed_and_index() {
        assert_eq!(sample(config(), 7), sample(config(), 7));
        assert_ne!(sample(config(), 7), sample(config(), 8));
        assert_ne!(
            sample(config(), 7),
            sample(
                RandomSpikesConfig {
                    seed: 4,
                    ..config()
                },
                7
            )
        );
        // A larger set begins with the same samples.
        assert_eq!(
            sample(config(), 7),
            sample(
                RandomSpikesConfig {
                    samples: 9_000,
                    ..config()
                },
                7
            )
        );
    }

    #[test]
    fn meaningless_settings_are_refused() {
        for density in [-0.1, 1.1, f64::NAN] {
            assert!(
                random_spikes(RandomSpikesConfig {
                    density,
                    ..config()
                })
                .is_err()
            );
        }
        assert!(
            random_spikes(RandomSpikesConfig {
                classes: 0,
                ..config()
            })
            .is_err()
        );
        assert!(
            random_spikes(RandomSpikesConfig {
                steps: usize::MAX,
                ..config()
            })
            .is_err()
        );
        assert!(random_spikes(config()).expect("valid").get(400).is_err());
    }
}
