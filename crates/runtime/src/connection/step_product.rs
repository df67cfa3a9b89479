//! The matrix product of one step: few rows, a matrix that stays in the cache, no memory of its own.
//!
//! Inside of a cycle the gradient of spikes has to go back step by step. A general matrix product spends a
//! good part of such a small one on copying its operands into the order it likes; here the matrix is
//! already in that order, and four rows share every load of it.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::real::Real;

/// Rows whose sums are in registers at the same time.
const ROWS: usize = 4;

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
    assert!(w.len() == n_pre * n_post && delta.len() * n_pre == out.len() * n_post);
    arch.dispatch(StepProduct {
        delta,
        w,
        n_pre,
        n_post,
        out,
    });
}

struct StepProduct<'a, R> {
    delta: &'a [R],
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
        // Sixteen registers of sums where there are 32 registers of 16 numbers, else eight of 8.
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
            let deltas = self.delta.chunks(ROWS * self.n_post);
            let outs = self.out.chunks_mut(ROWS * self.n_pre);
            for (delta, out) in deltas.zip(outs) {
                let w = &self.w[column..];
                if delta.len() == ROWS * self.n_post {
                    four_rows::<R, N>(delta, w, self.n_pre, &mut out[column..], fused);
                } else {
                    let rows = delta.chunks_exact(self.n_post);
                    for (delta, out) in rows.zip(out.chunks_exact_mut(self.n_pre)) {
                        one_row::<R, N>(delta, w, self.n_pre, &mut out[column..], fused);
                    }
                }
            }
            column += N;
        }
        column
    }
}

/// `N` columns of four rows.
#[inline(always)]
fn four_rows<R: Real, const N: usize>(
    delta: &[R],
    w: &[R],
    n_pre: usize,
    out: &mut [R],
    fused: bool,
) {
    let n_post = delta.len() / ROWS;
    let [mut a, mut b, mut c, mut d] = [[R::ZERO; N]; ROWS];
    let (delta_a, rest) = delta.split_at(n_post);
    let (delta_b, rest) = rest.split_at(n_post);
    let (delta_c, delta_d) = rest.split_at(n_post);
    for (j, (((&da, &db), &dc), &dd)) in delta_a
        .iter()
        .zip(delta_b)
        .zip(delta_c)
        .zip(delta_d)
        .enumerate()
    {
        let row = &w[j * n_pre..][..N];
        for i in 0..N {
            a[i] = multiply_add(row[i], da, a[i], fused);
            b[i] = multiply_add(row[i], db, b[i], fused);
            c[i] = multiply_add(row[i], dc, c[i], fused);
            d[i] = multiply_add(row[i], dd, d[i], fused);
        }
    }
    for (r, sums) in [a, b, c, d].iter().enumerate() {
        add(&mut out[r * n_pre..][..N], sums);
    }
}

/// `N` columns of one row.
#[inline(always)]
fn one_row<R: Real, const N: usize>(
    delta: &[R],
    w: &[R],
    n_pre: usize,
    out: &mut [R],
    fused: bool,
) {
    let mut sums = [R::ZERO; N];
    for (j, &d) in delta.iter().enumerate() {
        let row = &w[j * n_pre..][..N];
        for (sum, &w) in sums.iter_mut().zip(row) {
            *sum = multiply_add(w, d, *sum, fused);
        }
    }
    add(&mut out[..N], &sums);
}

#[inline(always)]
pub(crate) fn multiply_add<R: Real>(a: R, b: R, sum: R, fused: bool) -> R {
    if fused {
        a.fma(b, sum)
    } else {
        sum.add(a.mul(b))
    }
}

#[inline(always)]
fn add<R: Real, const N: usize>(out: &mut [R], sums: &[R; N]) {
    for (out, &sum) in out.iter_mut().zip(sums) {
        *out = out.add(sum);
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
