//! Delays that differ between the synapses of a connection, drawn once or learned.
//!
//! A delay is a number of steps. When a network runs it is rounded to whole ones. A delay that is learned is
//! spread over the whole steps of its range while gradients are computed (dilated convolution with learnable
//! spacings, Khalfaoui-Hassani et al. 2023; in spiking networks Hammouamri et al. 2023): what a synapse with
//! weight `w` and delay `p` sends with `d` steps of delay is `w · k(d)` with
//! `k(d) = exp(−(d − p)²/2σ²) / Σ_d' exp(−(d' − p)²/2σ²)`. The width σ shrinks from half of the range to half a
//! step over the first quarter of the epochs, by the same factor in each, and stays there. Evaluation rounds, as
//! in the paper.

use crate::program::Initial;

/// The width at which a spread delay arrives, in steps.
const NARROWEST: f64 = 0.5;

/// The part of a training in which the width shrinks.
const SHRINKING: f64 = 0.25;

/// The most different delays of a connection.
pub const MOST_TAPS: u32 = 4096;

/// The delays of the synapses of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Delays {
    /// What they start from, in steps.
    pub initial: Initial,
    /// The shortest possible delay in whole steps.
    pub shortest: u32,
    /// The longest possible delay in whole steps.
    pub longest: u32,
    /// Whether they are learned.
    pub learned: bool,
}

impl Delays {
    /// How many different whole delays there are.
    pub fn taps(&self) -> usize {
        (self.longest - self.shortest) as usize + 1
    }

    /// The tap of a delay: the nearest whole number of steps within the range, counted from the shortest.
    pub fn tap(&self, delay: f64) -> usize {
        let whole = delay.round();
        let (low, high) = (f64::from(self.shortest), f64::from(self.longest));
        (whole.clamp(low, high) - low) as usize
    }

    /// The width σ in steps after a part `progress` of a training, from 0 to 1.
    pub fn width(&self, progress: f64) -> f64 {
        let widest = (f64::from(self.longest - self.shortest) / 2.0).max(NARROWEST);
        let shrunk = (progress / SHRINKING).clamp(0.0, 1.0);
        widest * libm::pow(NARROWEST / widest, shrunk)
    }

    /// The share of each tap of a delay that is spread with this width; they add up to 1.
    pub fn shares(&self, delay: f64, width: f64, shares: &mut [f64]) {
        let exponent = |tap: usize| {
            let distance = (f64::from(self.shortest) + tap as f64 - delay) / width;
            -distance * distance / 2.0
        };
        // The largest exponent becomes 0: no width is too narrow.
        let nearest = exponent(self.tap(delay));
        let mut sum = 0.0;
        for (tap, share) in shares.iter_mut().enumerate() {
            *share = libm::exp(exponent(tap) - nearest);
            sum += *share;
        }
        shares.iter_mut().for_each(|share| *share /= sum);
    }

    /// The derivative of `Σ_tap share · adjoint` with respect to the delay.
    pub fn slope(
        &self,
        delay: f64,
        width: f64,
        shares: &[f64],
        adjoint: impl Fn(usize) -> f64,
    ) -> f64 {
        // dk(d)/dp = k(d) · (e(d) − Σ_d' k(d') e(d')), with e(d) = (d − p)/σ².
        let pull = |tap: usize| (f64::from(self.shortest) + tap as f64 - delay) / (width * width);
        let mean: f64 = shares
            .iter()
            .enumerate()
            .map(|(tap, k)| k * pull(tap))
            .sum();
        let terms = shares.iter().enumerate();
        terms
            .map(|(tap, k)| adjoint(tap) * k * (pull(tap) - mean))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays() -> Delays {
        Delays {
            initial: Initial::Constant(0.0),
            shortest: 2,
            longest: 12,
            learned: true,
        }
    }

    #[test]
    fn shares_add_up_and_narrow_to_the_nearest_step() {
        let delays = delays();
        let mut shares = vec![0.0; delays.taps()];
        for width in [5.0, 0.5, 1e-3] {
            for delay in [2.0, 6.3, 12.0] {
                delays.shares(delay, width, &mut shares);
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(shares[delays.tap(delay)] >= 1.0 / 11.0);
            }
        }
        assert!((shares[10] - 1.0).abs() < 1e-12);
        assert_eq!(
            (delays.width(0.0), delays.width(0.25), delays.width(1.0)),
            (5.0, 0.5, 0.5)
        );
        assert!((delays.width(0.125) - 2.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_slope_is_that_of_differences() {
        let delays = delays();
        let value = |delay: f64, width: f64| {
            let mut shares = vec![0.0; delays.taps()];
            delays.shares(delay, width, &mut shares);
            let terms = shares.iter().enumerate();
            let sum: f64 = terms.map(|(tap, k)| k * ((tap * 7) % 5) as f64).sum();
            (
                sum,
                delays.slope(delay, width, &shares, |tap| ((tap * 7) % 5) as f64),
            )
        };
        for width in [4.0, 1.0, 0.5] {
            for delay in [2.2, 5.0, 11.7] {
                let difference =
                    (value(delay + 1e-6, width).0 - value(delay - 1e-6, width).0) / 2e-6;
                assert!((difference - value(delay, width).1).abs() < 1e-6);
            }
        }
    }
}
