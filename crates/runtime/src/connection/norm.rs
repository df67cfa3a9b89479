//! Normalisation over the samples of a batch and all steps (Ioffe & Szegedy 2015; over time Zheng et al. 2021).
//!
//! A channel is a stretch of neighbours of a row. With N the numbers of a channel, that is samples times the
//! steps that arrive times the places of the channel, a training step computes
//!
//! ```text
//! μ = Σ x / N,   v = Σ (x − μ)² / N,   x̂ = (x − μ) / √(v + eps),   y = γ x̂ + β
//! ```
//!
//! and, with λ the adjoint of y, the one of x is `γ / √(v + eps) · (λ − Σ λ / N − x̂ · Σ λ x̂ / N)`, because all samples
//! move μ and v. The gradient of γ is Σ λ x̂, that of β is Σ λ. Sums are in double precision: each group of samples
//! gives its own, and they are merged in the order of the groups (Chan, Golub & LeVeque 1979), so the bits do not
//! depend on the number of threads. `phases.rs` says when.
//!
//! At evaluation μ and v are running averages. They are parameters that no gradient trains.

use rheobase_ir::program::{Network, Synapses};
use rheobase_ir::real::Real;

use crate::parameters::{Moment, Owner, ParameterSpec};

/// A normalisation of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub(crate) connection: usize,
    /// The position among the operations of the connection.
    pub(crate) operation: usize,
    /// The numbers of a row.
    pub(crate) elements: usize,
    pub(crate) channels: usize,
    momentum: f64,
    eps: f64,
    /// Running mean and variance among the parameters.
    pub(crate) running: [usize; 2],
}

/// What of each channel is taken away, and what the rest is multiplied by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Centre<R> {
    mean: Vec<R>,
    scale: Vec<R>,
    /// The numbers of a channel that both are from; 0 at evaluation.
    count: f64,
}

/// The numbers of each channel, their mean, and the sum of squares around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

/// For each channel Σ λ and Σ λ x̂.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slopes {
    pub(crate) plain: Vec<f64>,
    pub(crate) scaled: Vec<f64>,
}

impl Norm {
    /// All of a network, in order.
    pub(crate) fn all(network: &Network, specs: &[ParameterSpec]) -> Vec<Norm> {
        let mut all = Vec::new();
        for (connection, c) in network.connections.iter().enumerate() {
            let own = c.tied.unwrap_or(connection);
            for (operation, o) in c.operations.iter().enumerate() {
                let Synapses::Normalisation {
                    channels,
                    momentum,
                    eps,
                } = o.synapses
                else {
                    continue;
                };
                let position = |moment: Moment| {
                    let owner = Owner::Running(own, operation, moment);
                    let found = specs.iter().position(|s| s.owner == owner);
                    found.expect("a normalisation has running averages")
                };
                all.push(Norm {
                    connection,
                    operation,
                    elements: o.outputs,
                    channels,
                    momentum,
                    eps,
                    running: [position(Moment::Mean), position(Moment::Variance)],
                });
            }
        }
        all
    }

    /// The numbers of a channel in a row.
    fn places(&self) -> usize {
        (self.elements / self.channels.max(1)).max(1)
    }

    /// What a training step normalises by.
    pub(crate) fn centre<R: Real>(&self, moments: &Moments) -> Centre<R> {
        let variance = moments.squares.iter().map(|s| s / moments.count.max(1.0));
        let scale = variance.map(|v| R::from_f64(1.0 / (v + self.eps).sqrt()));
        Centre {
            mean: moments.mean.iter().map(|&m| R::from_f64(m)).collect(),
            scale: scale.collect(),
            count: moments.count,
        }
    }

    /// What an evaluation normalises by.
    pub(crate) fn running_centre<R: Real>(&self, parameters: &[Vec<R>]) -> Centre<R> {
        let [mean, variance] = self.running.map(|index| &parameters[index]);
        let scale = |v: &R| R::from_f64(1.0 / (v.to_f64() + self.eps).sqrt());
        Centre {
            mean: mean.clone(),
            scale: variance.iter().map(scale).collect(),
            count: 0.0,
        }
    }

    /// Running mean and variance after a batch, from those before: `(1 − momentum) · old + momentum · new`, with the
    /// variance of a sample of N numbers, whose divisor is N − 1. Unchanged by a batch that has none.
    pub(crate) fn moved<R: Real>(
        &self,
        [mean, variance]: [&Vec<R>; 2],
        moments: &Moments,
    ) -> [Vec<R>; 2] {
        if moments.count < 2.0 {
            return [mean.clone(), variance.clone()];
        }
        let towards = |old: &[R], new: &dyn Fn(usize) -> f64| {
            let old = old.iter().enumerate();
            let one =
                |(c, v): (usize, &R)| (1.0 - self.momentum) * v.to_f64() + self.momentum * new(c);
            old.map(|x| R::from_f64(one(x))).collect()
        };
        [
            towards(mean, &|c| moments.mean[c]),
            towards(variance, &|c| moments.squares[c] / (moments.count - 1.0)),
        ]
    }

    /// The moments of rows.
    pub(crate) fn moments<R: Real>(&self, rows: &[R]) -> Moments {
        let places = self.places();
        let count = (rows.len() / self.elements.max(1) * places) as f64;
        let mut mean = vec![0.0; self.channels];
        for row in rows.chunks_exact(self.elements) {
            for (sum, channel) in mean.iter_mut().zip(row.chunks_exact(places)) {
                *sum += channel.iter().map(|x| x.to_f64()).sum::<f64>();
            }
        }
        mean.iter_mut().for_each(|m| *m /= count.max(1.0));
        let mut squares = vec![0.0; self.channels];
        for row in rows.chunks_exact(self.elements) {
            let channels = row.chunks_exact(places).zip(&mean);
            for (sum, (channel, mean)) in squares.iter_mut().zip(channels) {
                let square = |x: &R| (x.to_f64() - mean).powi(2);
                *sum += channel.iter().map(square).sum::<f64>();
            }
        }
        Moments {
            count,
            mean,
            squares,
        }
    }

    /// Σ λ and Σ λ x̂ over rows of what came in and of the adjoints of what went out.
    pub(crate) fn slopes<R: Real>(&self, centre: &Centre<R>, rows: &[R], adjoints: &[R]) -> Slopes {
        let places = self.places();
        let mut slopes = Slopes {
            plain: vec![0.0; self.channels],
            scaled: vec![0.0; self.channels],
        };
        let both = rows.chunks_exact(places).zip(adjoints.chunks_exact(places));
        for (k, (x, adjoint)) in both.enumerate() {
            let c = k % self.channels;
            let (mean, scale) = (centre.mean[c].to_f64(), centre.scale[c].to_f64());
            for (x, a) in x.iter().zip(adjoint) {
                slopes.plain[c] += a.to_f64();
                slopes.scaled[c] += a.to_f64() * ((x.to_f64() - mean) * scale);
            }
        }
        slopes
    }

    /// From the adjoints of what went out to those of what came in; `slopes` are those of the whole batch.
    pub(crate) fn back<R: Real>(
        &self,
        centre: &Centre<R>,
        gain: &[R],
        slopes: &Slopes,
        rows: &[R],
        adjoints: &mut [R],
    ) {
        let places = self.places();
        let share = 1.0 / centre.count.max(1.0);
        let both = rows
            .chunks_exact(places)
            .zip(adjoints.chunks_exact_mut(places));
        for (k, (x, adjoint)) in both.enumerate() {
            let c = k % self.channels;
            let (mean, scale) = (centre.mean[c], centre.scale[c]);
            let factor = of_channel(gain, c).mul(scale);
            let plain = R::from_f64(slopes.plain[c] * share);
            let scaled = R::from_f64(slopes.scaled[c] * share);
            for (x, a) in x.iter().zip(adjoint) {
                let centred = x.sub(mean).mul(scale);
                *a = factor.mul(a.sub(plain).sub(centred.mul(scaled)));
            }
        }
    }
}

/// The gain of a channel; 1 without any.
fn of_channel<R: Real>(gain: &[R], c: usize) -> R {
    gain.get(c).copied().unwrap_or(R::ONE)
}

impl<R: Real> Centre<R> {
    /// Adds γ x̂ of a row to another.
    pub(crate) fn forward(&self, gain: &[R], x: &[R], out: &mut [R]) {
        let places = (x.len() / self.mean.len().max(1)).max(1);
        let both = x.chunks_exact(places).zip(out.chunks_exact_mut(places));
        for (c, (x, out)) in both.enumerate() {
            let (mean, factor) = (self.mean[c], of_channel(gain, c).mul(self.scale[c]));
            for (out, x) in out.iter_mut().zip(x) {
                *out = out.add(x.sub(mean).mul(factor));
            }
        }
    }
}

impl Moments {
    /// Those of both sets of numbers together.
    pub(crate) fn merge(&mut self, other: &Moments) {
        if self.count == 0.0 {
            self.clone_from(other);
            return;
        }
        if other.count == 0.0 {
            return;
        }
        let all = self.count + other.count;
        let share = other.count / all;
        let mine = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), (m, s)) in mine.zip(other.mean.iter().zip(&other.squares)) {
            let apart = m - *mean;
            *squares += s + apart * apart * self.count * share;
            *mean += apart * share;
        }
        self.count = all;
    }
}

impl Slopes {
    /// The sums of both.
    pub(crate) fn merge(&mut self, other: &Slopes) {
        if self.plain.is_empty() {
            self.clone_from(other);
            return;
        }
        let mine = self.plain.iter_mut().chain(&mut self.scaled);
        mine.zip(other.plain.iter().chain(&other.scaled))
            .for_each(|(sum, x)| *sum += x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(elements: usize, channels: usize) -> Norm {
        Norm {
            connection: 0,
            operation: 0,
            elements,
            channels,
            momentum: 0.25,
            eps: 1e-3,
            running: [0, 1],
        }
    }

    #[test]
    fn moments_of_parts_merge_to_those_of_the_whole() {
        // Far from zero, where the difference of sums of squares would have no digit right.
        let numbers: Vec<f64> = (0..60)
            .map(|i| 1e8 + f64::from(i * i % 17) / 16.0)
            .collect();
        let norm = norm(6, 3);
        let whole = norm.moments(&numbers);
        let mut merged = Moments::default();
        for part in [
            &numbers[..6],
            &numbers[6..6],
            &numbers[6..48],
            &numbers[48..],
        ] {
            merged.merge(&norm.moments(part));
        }
        assert_eq!(whole.count, 20.0);
        assert_eq!(merged.count, 20.0);
        for c in 0..3 {
            let channel = |i: &usize| i / 2 % 3 == c;
            let own: Vec<f64> = (0..60).filter(channel).map(|i| numbers[i]).collect();
            let mean = own.iter().sum::<f64>() / 20.0;
            let squares: f64 = own.iter().map(|x| (x - mean).powi(2)).sum();
            for moments in [&whole, &merged] {
                assert!((moments.mean[c] - mean).abs() < 1e-6);
                assert!(
                    (moments.squares[c] - squares).abs() < 1e-5,
                    "{moments:?} {squares}"
                );
            }
        }
    }

    #[test]
    fn running_averages_take_the_variance_of_a_sample() {
        let norm = norm(1, 1);
        let parameters = [vec![1.0], vec![2.0]];
        let [mean, variance] = norm.moved(
            [&parameters[0], &parameters[1]],
            &norm.moments(&[3.0, 5.0, 7.0]),
        );
        assert_eq!((mean[0], variance[0]), (0.75 + 1.25, 1.5 + 1.0));
        // One number has no variance.
        let [mean, variance] = norm.moved([&parameters[0], &parameters[1]], &norm.moments(&[3.0]));
        assert_eq!((mean[0], variance[0]), (1.0, 2.0));
        let centre = norm.running_centre(&parameters);
        assert_eq!(centre.scale[0], 1.0 / (2.0f64 + 1e-3).sqrt());
    }
}
