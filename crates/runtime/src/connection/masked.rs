//! The gradient of spikes where it is needed: entries of `delta · wᵀ` that a mask lists.
//!
//! A surrogate that is exactly 0 outside of its support makes the adjoint of most spikes meaningless: nothing
//! reads it. Each entry that is read is the inner product of a row of `delta` and a row of the weights.
//! Four of them share a row of `delta`.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::choice;
use crate::connection::dense::copy_columns;
use crate::connection::step_product::multiply_add;

/// Inner products that are computed at the same time.
const DOTS: usize = 4;

/// Partial sums of an inner product.
const LANES: usize = 16;

/// `out[r, i] += Σ_j delta[r, j] · w[i, j]` for every row `r` of `delta` of length `n` and every `i` that
/// `active(r)` lists. Every sum is taken in an order that depends on the shape of the weights alone. Weights
/// that are larger than the cache are copied and gone through by panels of columns.
pub(crate) fn add_masked_product<'m, R: Real>(
    arch: Arch,
    delta: &[R],
    n: usize,
    w: &[R],
    panel: &mut Aligned<R>,
    active: impl Fn(usize) -> &'m [u32],
    out: &mut [R],
) {
    let n_pre = w.len() / n;
    let width = choice::panel(n_pre, n, size_of::<R>());
    for start in (0..n).step_by(width) {
        let columns = start..(start + width).min(n);
        let w = if width == n {
            w
        } else {
            copy_columns(w, n, columns.clone(), panel);
            &panel[..]
        };
        let rows = delta.chunks_exact(n).zip(out.chunks_exact_mut(n_pre));
        for (r, (delta, out)) in rows.enumerate() {
            arch.dispatch(Masked {
                delta: &delta[columns.clone()],
                w,
                active: active(r),
                out,
            });
        }
    }
}

/// The arguments of one row.
struct Masked<'a, R> {
    delta: &'a [R],
    w: &'a [R],
    active: &'a [u32],
    out: &'a mut [R],
}

impl<R: Real> WithSimd for Masked<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let fused = S::F32_LANES > 1;
        let n = self.delta.len();
        let row = |i: u32| &self.w[i as usize * n..][..n];
        let (fours, rest) = self.active.as_chunks::<DOTS>();
        for &four in fours {
            let sums = dots(self.delta, four.map(row), fused);
            for (&i, sum) in four.iter().zip(sums) {
                self.out[i as usize] = self.out[i as usize].add(sum);
            }
        }
        for &i in rest {
            let [sum] = dots(self.delta, [row(i)], fused);
            self.out[i as usize] = self.out[i as usize].add(sum);
        }
    }
}

/// `N` inner products with the same vector.
#[inline(always)]
fn dots<R: Real, const N: usize>(delta: &[R], rows: [&[R]; N], fused: bool) -> [R; N] {
    let mut sums = [[R::ZERO; LANES]; N];
    let (blocks, rest) = delta.as_chunks::<LANES>();
    for (k, d) in blocks.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let w = &row[k * LANES..][..LANES];
            for j in 0..LANES {
                sums[j] = multiply_add(w[j], d[j], sums[j], fused);
            }
        }
    }
    let done = blocks.len() * LANES;
    for (sums, row) in sums.iter_mut().zip(rows) {
        for ((sum, &w), &d) in sums.iter_mut().zip(&row[done..]).zip(rest) {
            *sum = multiply_add(w, d, *sum, fused);
        }
    }
    sums.map(|mut sums| {
        let mut width = LANES / 2;
        while width > 0 {
            for j in 0..width {
                sums[j] = sums[j].add(sums[j + width]);
            }
            width /= 2;
        }
        sums[0]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_entries_agree_with_the_definition_and_others_stay() {
        let number = |i: usize| ((i * 37) % 101) as f64 / 64.0 - 0.75;
        for arch in [Arch::Scalar, Arch::new()] {
            for (rows, n, n_pre) in [(3, 1, 9), (2, 16, 5), (4, 67, 30), (2, 300, 900)] {
                let delta: Vec<f64> = (0..rows * n).map(number).collect();
                let w: Vec<f64> = (0..n_pre * n).map(|i| number(i + 11)).collect();
                let lists: Vec<Vec<u32>> = (0..rows)
                    .map(|r| {
                        (0..n_pre as u32)
                            .filter(|i| !(i + r as u32).is_multiple_of(3))
                            .collect()
                    })
                    .collect();
                let mut out = vec![1.0; rows * n_pre];
                let mut panel = Aligned::new();
                add_masked_product(arch, &delta, n, &w, &mut panel, |r| &lists[r], &mut out);
                for r in 0..rows {
                    for i in 0..n_pre {
                        let products = (0..n).map(|j| delta[r * n + j] * w[i * n + j]);
                        let expected = match lists[r].contains(&(i as u32)) {
                            true => 1.0 + products.sum::<f64>(),
                            false => 1.0,
                        };
                        assert!((out[r * n_pre + i] - expected).abs() < 1e-9, "{r} {i}");
                    }
                }
            }
        }
    }
}
