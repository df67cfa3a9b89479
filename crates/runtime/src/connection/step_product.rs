//! A matrix product of few rows with a matrix that stays in the cache; it takes no memory of its own.
//!
//! Inside of a cycle the gradient of spikes has to go back step by step. A general matrix product spends a
//! good part of such a small one on copying its operands into the order it likes; here the matrix is
//! already in that order, and six rows share every load of it.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::real::Real;

/// `out[b, i] += Σ_j delta[b, j] · w[j, i]` for `w` of `[n_post, n_pre]` and all rows `b` of `delta`.
///
/// # Panics
///
/// The sizes do not fit.
pub(crate) fn add_step_product<R: Real>(
    arch: Arch,
    delta: &[R],
    w: &[R],
    n_pre: usize,
    out: &mut [R],
) {
    let n_post = w.len() / n_pre;
    assert!(delta.len() * n_pre == out.len() * n_post);
    add_product_of_parts(arch, delta, n_post, w, n_pre, out);
}

/// The same where a row of `delta` begins `stride` numbers after the one before; only its first `n_post` numbers count.
///
/// # Panics
///
/// The sizes do not fit.
pub(crate) fn add_product_of_parts<R: Real>(
    arch: Arch,
    delta: &[R],
    stride: usize,
    w: &[R],
    n_pre: usize,
    out: &mut [R],
) {
    let (n_post, rows) = (w.len() / n_pre, out.len() / n_pre);
    assert!(w.len() == n_pre * n_post && out.len() == n_pre * rows);
    assert!(rows == 0 || delta.len() >= (rows - 1) * stride + n_post);
    arch.dispatch(StepProduct {
        delta,
        stride,
        w,
        n_pre,
        n_post,
        out,
    });
}

struct StepProduct<'a, R> {
    delta: &'a [R],
    stride: usize,
    w: &'a [R],
    n_pre: usize,
    n_post: usize,
    out: &'a mut [R],
}

impl<R: Real> WithSimd for StepProduct<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        // Where there is no fused multiply-add, it would be a call.
        let fused = S::F32_LANES > 1;
        let mut column = 0;
        // 24 registers of sums where there are 32 registers of 16 numbers, else twelve of 8.
        if S::F32_LANES >= 16 {
            column = self.columns::<64>(column, fused);
        }
        column = self.columns::<16>(column, fused);
        column = self.columns::<4>(column, fused);
        self.columns::<1>(column, fused);
    }
}

impl<R: Real> StepProduct<'_, R> {
    /// All blocks of `N` columns from `column` on; returns the first column that is left.
    #[inline(always)]
    fn columns<const N: usize>(&mut self, mut column: usize, fused: bool) -> usize {
        while column + N <= self.n_pre {
            let row = self.rows::<6, N>(0, column, fused);
            let row = self.rows::<4, N>(row, column, fused);
            let row = self.rows::<2, N>(row, column, fused);
            self.rows::<1, N>(row, column, fused);
            column += N;
        }
        column
    }

    /// `N` columns of all blocks of `M` rows from `row` on; returns the first row that is left.
    #[inline(always)]
    fn rows<const M: usize, const N: usize>(
        &mut self,
        mut row: usize,
        column: usize,
        fused: bool,
    ) -> usize {
        let w = &self.w[column..];
        while (row + M) * self.n_pre <= self.out.len() {
            let mut delta: [&[R]; M] = [&[]; M];
            for (m, delta) in delta.iter_mut().enumerate() {
                *delta = &self.delta[(row + m) * self.stride..][..self.n_post];
            }
            let out = &mut self.out[row * self.n_pre + column..];
            tile::<R, M, N>(delta, w, self.n_pre, out, fused);
            row += M;
        }
        row
    }
}

/// `N` columns of `M` rows.
#[inline(always)]
fn tile<R: Real, const M: usize, const N: usize>(
    delta: [&[R]; M],
    w: &[R],
    n_pre: usize,
    out: &mut [R],
    fused: bool,
) {
    let mut sums = [[R::ZERO; N]; M];
    for j in 0..delta[0].len() {
        let row = &w[j * n_pre..][..N];
        for m in 0..M {
            let d = delta[m][j];
            for i in 0..N {
                sums[m][i] = multiply_add(row[i], d, sums[m][i], fused);
            }
        }
    }
    for m in 0..M {
        let out = &mut out[m * n_pre..][..N];
        for i in 0..N {
            out[i] = out[i].add(sums[m][i]);
        }
    }
}

#[inline(always)]
pub(crate) fn multiply_add<R: Real>(a: R, b: R, sum: R, fused: bool) -> R {
    if fused {
        a.fma(b, sum)
    } else {
        sum.add(a.mul(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        for arch in [Arch::Scalar, Arch::new()] {
            for (rows, n_post, n_pre) in [(1, 3, 2), (4, 5, 16), (7, 6, 85), (16, 64, 128)] {
                let number = |i: usize| ((i * 37) % 101) as f64 / 64.0 - 0.75;
                let delta: Vec<f64> = (0..rows * n_post).map(number).collect();
                let w: Vec<f64> = (0..n_post * n_pre).map(|i| number(i + 11)).collect();
                let mut out = vec![1.0; rows * n_pre];
                add_step_product(arch, &delta, &w, n_pre, &mut out);
                for b in 0..rows {
                    for i in 0..n_pre {
                        let products =
                            (0..n_post).map(|j| delta[b * n_post + j] * w[j * n_pre + i]);
                        let expected = 1.0 + products.sum::<f64>();
                        assert!((out[b * n_pre + i] - expected).abs() < 1e-11);
                    }
                }
            }
        }
    }

    #[test]
    fn instruction_sets_with_fused_products_give_the_same_bits_and_the_portable_one_nearly() {
        let number = |i: usize| ((i * 37) % 101) as f32 / 3.0 - 16.0;
        for (rows, n_post, n_pre) in [(1, 30, 7), (6, 128, 128), (16, 50, 203)] {
            let delta: Vec<f32> = (0..rows * n_post).map(number).collect();
            let w: Vec<f32> = (0..n_post * n_pre).map(|i| number(i + 11)).collect();
            let run = |arch| {
                let mut out = vec![0.5; rows * n_pre];
                add_step_product(arch, &delta, &w, n_pre, &mut out);
                out
            };
            let (best, portable) = (run(Arch::new()), run(Arch::Scalar));
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                assert_eq!(run(Arch::V3(v3)), best);
            }
            // The portable one rounds products, too: each sum is off by half a unit of its size for each.
            let most = f32::EPSILON * n_post as f32 * (n_post as f32 * 17.0 * 17.0);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= most;
            assert!(
                best.iter().zip(&portable).all(near),
                "{rows} {n_post} {n_pre}"
            );
        }
    }
}
