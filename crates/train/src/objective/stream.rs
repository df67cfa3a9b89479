//! A trace reduced over time while it passes, for a group of samples at once, and the way back.

use rheobase_ir::program::Reduction;
use rheobase_ir::real::Real;

/// What is known of the steps so far; `samples · units` values each.
pub(super) enum Reduced<R> {
    /// The largest and the step at which it was reached first.
    Max { top: Vec<R>, peak: Vec<u32> },
    /// The sum; the mean divides at the end.
    Sum(Vec<f64>),
    /// The newest.
    Last(Vec<R>),
    /// The steps of the first and the second spike; the number of steps if there is none.
    First { first: Vec<u32>, second: Vec<u32> },
}

impl<R: Real> Reduced<R> {
    /// Nothing has passed yet.
    pub(super) fn new(by: Reduction, size: usize, steps: usize) -> Reduced<R> {
        match by {
            Reduction::Max => Reduced::Max {
                top: vec![R::from_f64(f64::NEG_INFINITY); size],
                peak: vec![0; size],
            },
            Reduction::Sum | Reduction::Mean => Reduced::Sum(vec![0.0; size]),
            Reduction::Last => Reduced::Last(vec![R::ZERO; size]),
            Reduction::FirstSpike => Reduced::First {
                first: vec![steps as u32; size],
                second: vec![steps as u32; size],
            },
        }
    }

    /// Step `t` passes.
    pub(super) fn observe(&mut self, t: usize, row: impl Iterator<Item = R>) {
        match self {
            Reduced::Max { top, peak } => {
                for ((top, peak), x) in top.iter_mut().zip(peak).zip(row) {
                    // A NaN must reach the loss, so it counts as the larger. Chosen by a mask, as a
                    // choice by `if` would become a branch for each unit.
                    let larger = (x > *top) | x.is_nan();
                    *top = top.or(x, larger);
                    let mask = u32::from(larger).wrapping_neg();
                    *peak = (t as u32 & mask) | (*peak & !mask);
                }
            }
            Reduced::Sum(sum) => sum
                .iter_mut()
                .zip(row)
                .for_each(|(sum, x)| *sum += x.to_f64()),
            Reduced::Last(last) => last.iter_mut().zip(row).for_each(|(last, x)| *last = x),
            Reduced::First { first, second } => {
                let t = t as u32;
                for ((first, second), x) in first.iter_mut().zip(second).zip(row) {
                    if x != R::ZERO {
                        // Steps come in order, so a smaller number is an earlier spike.
                        *second = (*second).min(if *first < t { t } else { u32::MAX });
                        *first = (*first).min(t);
                    }
                }
            }
        }
    }

    /// The values of one sample.
    pub(super) fn sample(&self, sample: usize, units: usize, mean_over: Option<usize>) -> Vec<f64> {
        let range = sample * units..(sample + 1) * units;
        let scale = mean_over.map_or(1.0, |steps| 1.0 / steps as f64);
        match self {
            Reduced::Max { top: values, .. } | Reduced::Last(values) => {
                values[range].iter().map(|x| x.to_f64()).collect()
            }
            Reduced::Sum(sum) => sum[range].iter().map(|x| x * scale).collect(),
            Reduced::First { first, .. } => first[range].iter().map(|&t| f64::from(t)).collect(),
        }
    }

    /// Adds dL/d(trace at step t) to a row; `gradient` is dL/d(reduced value), for a mean already divided.
    pub(super) fn seed(&self, t: usize, last: bool, gradient: &[R], row: &mut [R]) {
        match self {
            Reduced::Max { peak, .. } => {
                let here = |(g, peak): (&R, &u32)| if *peak == t as u32 { *g } else { R::ZERO };
                let gradients = gradient.iter().zip(peak).map(here);
                row.iter_mut()
                    .zip(gradients)
                    .for_each(|(a, g)| *a = a.add(g));
            }
            Reduced::Sum(_) => row
                .iter_mut()
                .zip(gradient)
                .for_each(|(a, g)| *a = a.add(*g)),
            Reduced::Last(_) if last => {
                row.iter_mut()
                    .zip(gradient)
                    .for_each(|(a, g)| *a = a.add(*g));
            }
            Reduced::Last(_) => {}
            Reduced::First { first, second } => {
                // The derivative of Σ_t Π_{u ≤ t} (1 − s_u) at spikes that are 0 or 1.
                let t = t as u32;
                let times = first.iter().zip(second);
                for ((a, g), (&first, &second)) in row.iter_mut().zip(gradient).zip(times) {
                    let steps = match t.cmp(&first) {
                        std::cmp::Ordering::Less => first - t,
                        std::cmp::Ordering::Equal => second - t,
                        std::cmp::Ordering::Greater => 0,
                    };
                    *a = a.sub(g.mul(R::from_f64(f64::from(steps))));
                }
            }
        }
    }
}
