//! Smooth random manifolds: classes of spike patterns that differ in timing alone.
//!
//! F. Zenke, T. P. Vogels, "The remarkable robustness of surrogate gradient learning for instilling complex function in
//! spiking neural networks", Neural Computation 33 (2021). Every channel fires once in every sample. For class c and
//! channel n the time is a smooth random function of a point p of the unit cube of `dim` dimensions,
//! f(p) = Π_d Σ_k k^(−α) a_k sin(2π (k b_k p_d + φ_k)), shifted and scaled to 0..1; a sample is the image of a random p.
//! A larger α makes the functions smoother. The coefficients a, b, φ are uniform in 0..1.

use super::{check_cells, refuse};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain};
use crate::spike_train::Builder;
use std::f64::consts::TAU;

/// Terms of the sum over k. With α ≥ 1 the next ones change a time by less than a hundredth.
const TERMS: usize = 100;
/// Points at which the range of a function is taken.
const PROBES: usize = 256;

/// What [`manifolds`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ManifoldsConfig {
    /// Number of samples; sample i is of class i mod `classes`.
    pub samples: usize,
    /// Number of classes, at least 1.
    pub classes: u32,
    /// Channels of each sample.
    pub channels: u32,
    /// Dimensions of a manifold, 1 to 16.
    pub dim: u32,
    /// The exponent α, at least 0.
    pub smoothness: f64,
    /// Time steps of each sample.
    pub steps: usize,
    /// Seed of the manifolds and of the points on them.
    pub seed: u64,
}

/// A smooth random function of a point: amplitude, frequency and phase of each term of each dimension, and its range.
#[derive(Debug, Clone)]
struct Function {
    /// [dim × TERMS] of (amplitude · k^(−α), k · frequency, phase).
    terms: Vec<(f64, f64, f64)>,
    low: f64,
    range: f64,
}

/// Smooth random manifolds; see [`manifolds`].
#[derive(Debug, Clone)]
pub struct Manifolds {
    card: Card,
    config: ManifoldsConfig,
    /// [classes × channels]
    functions: Vec<Function>,
}

/// One spike per channel, at a time that is a smooth random function of the sample's point.
///
/// Errors: `DataError::Setting` for no samples, classes or channels, a dimension outside 1..=16, a smoothness that is
/// negative or not finite, or sizes beyond memory.
pub fn manifolds(config: ManifoldsConfig) -> Result<Manifolds, DataError> {
    if config.samples == 0 || config.classes == 0 || config.channels == 0 {
        let reason = "samples, classes and channels are at least 1".to_owned();
        return refuse("manifolds", reason, "give a number above 0 for each");
    }
    if !(1..=16).contains(&config.dim) {
        let reason = format!("a manifold of {} dimensions", config.dim);
        return refuse("manifolds.dim", reason, "give 1 to 16");
    }
    if !(config.smoothness.is_finite() && config.smoothness >= 0.0) {
        let reason = format!("{} is no exponent", config.smoothness);
        return refuse("manifolds.smoothness", reason, "give 0 or more");
    }
    let functions = u64::from(config.classes) * u64::from(config.channels);
    check_cells("manifolds.steps", config.steps, functions)?;
    if functions * u64::from(config.dim) > 1 << 20 {
        let reason = "classes × channels × dim is above a million".to_owned();
        return refuse("manifolds", reason, "make the set smaller");
    }
    let functions = (0..functions).map(|f| Function::new(&config, f)).collect();
    let shape = Shape::line(config.channels);
    Ok(Manifolds {
        card: Card::new("manifolds", config.samples, config.classes, shape),
        config,
        functions,
    })
}

impl Function {
    fn new(config: &ManifoldsConfig, index: u64) -> Function {
        let key = derive_key(config.seed, domain::MANIFOLDS, index);
        let mut stream = Philox::at(key, [0, 0, 0, 1]);
        let mut terms = Vec::with_capacity(config.dim as usize * TERMS);
        for _ in 0..config.dim {
            for k in 1..=TERMS {
                let k = k as f64;
                let amplitude = stream.uniform_f64() * k.powf(-config.smoothness);
                terms.push((amplitude, k * stream.uniform_f64(), stream.uniform_f64()));
            }
        }
        let mut function = Function {
            terms,
            low: 0.0,
            range: 1.0,
        };
        let mut probe = vec![0.0; config.dim as usize];
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for _ in 0..PROBES {
            probe.fill_with(|| stream.uniform_f64());
            let value = function.at(&probe);
            (low, high) = (low.min(value), high.max(value));
        }
        function.low = low;
        function.range = if high > low { high - low } else { 1.0 };
        function
    }

    /// In 0..=1 at the points whose range was taken, and moved into it elsewhere.
    fn at(&self, point: &[f64]) -> f64 {
        let along = |(terms, p): (&[(f64, f64, f64)], &f64)| -> f64 {
            let term = |&(a, k, phase): &(f64, f64, f64)| a * (TAU * (k * p + phase)).sin();
            terms.iter().map(term).sum()
        };
        let product: f64 = self.terms.chunks(TERMS).zip(point).map(along).product();
        (product - self.low) / self.range
    }
}

impl Dataset for Manifolds {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(i < self.len(), "sample {i} of {}", self.len());
        (i as u64 % u64::from(self.config.classes)) as u32
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let ManifoldsConfig {
            channels,
            dim,
            steps,
            seed,
            ..
        } = self.config;
        let key = derive_key(seed, domain::MANIFOLDS, i as u64);
        // The last counter word keeps points apart from the coefficients of the functions.
        let mut stream = Philox::at(key, [0, 0, 0, 2]);
        let point: Vec<f64> = (0..dim).map(|_| stream.uniform_f64()).collect();
        let first = self.label(i) as usize * channels as usize;
        let functions = &self.functions[first..first + channels as usize];
        let mut by_step: Vec<(usize, u32)> = functions
            .iter()
            .zip(0..channels)
            .map(|(function, channel)| {
                let at = function.at(&point).clamp(0.0, 1.0) * steps as f64;
                ((at as usize).min(steps.saturating_sub(1)), channel)
            })
            .collect();
        by_step.sort_unstable();
        let mut builder = Builder::with_capacity(steps, by_step.len(), false);
        let mut events = by_step.into_iter().peekable();
        for step in 0..steps {
            while let Some((_, channel)) = events.next_if(|&(at, _)| at == step) {
                builder.push(channel, 1.0);
            }
            builder.end_step();
        }
        Ok(Raw::Spikes(builder.finish(channels)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spike_train::SpikeTrain;

    fn config(smoothness: f64) -> ManifoldsConfig {
        ManifoldsConfig {
            samples: 200,
            classes: 2,
            channels: 20,
            dim: 1,
            smoothness,
            steps: 100,
            seed: 5,
        }
    }

    fn train(set: &Manifolds, i: usize) -> SpikeTrain {
        match set.get(i).expect("in range") {
            Raw::Spikes(train) => train,
            other @ (Raw::Image { .. } | Raw::Events { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_channel_fires_once_and_times_fill_the_sample() {
        let set = manifolds(config(1.0)).expect("valid");
        let mut used = vec![0; 100];
        for i in 0..set.len() {
            let train = train(&set, i);
            assert_eq!(train.n_events(), 20);
            let dense = train.to_dense();
            assert!(
                dense
                    .columns()
                    .into_iter()
                    .all(|column| column.sum() == 1.0)
            );
            for (step, row) in dense.rows().into_iter().enumerate() {
                used[step] += row.sum() as usize;
            }
        }
        assert!(
            used.iter().filter(|&&count| count > 0).count() > 90,
            "{used:?}"
        );
    }

    #[test]
    fn a_larger_exponent_makes_times_vary_more_slowly() {
        // Mean change of the times between points that are close together.
        let roughness = |smoothness: f64| -> f64 {
            let set = manifolds(config(smoothness)).expect("valid");
            let change = |f: &Function| -> f64 {
                let difference = |k: i32| {
                    let p = f64::from(k) / 200.0;
                    (f.at(&[p]) - f.at(&[p + 0.005])).abs()
                };
                (0..200).map(difference).sum::<f64>() / 200.0
            };
            set.functions.iter().map(change).sum::<f64>()
        };
        let (rough, smooth) = (roughness(0.5), roughness(3.0));
        assert!(rough > 3.0 * smooth, "{rough} {smooth}");
    }

    #[test]
    fn meaningless_settings_are_refused() {
        let base = config(1.0);
        for bad in [
            ManifoldsConfig { classes: 0, ..base },
            ManifoldsConfig { dim: 0, ..base },
            ManifoldsConfig {
                smoothness: -1.0,
                ..base
            },
            ManifoldsConfig {
                smoothness: f64::NAN,
                ..base
            },
            ManifoldsConfig {
                channels: u32::MAX,
                ..base
            },
        ] {
            assert!(manifolds(bad).is_err(), "{bad:?}");
        }
    }
}
