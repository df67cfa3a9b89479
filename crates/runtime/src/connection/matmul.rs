//! The gradient of presynaptic spikes: a small dense product for each step.
#![expect(
    unsafe_code,
    reason = "the matrix product of the gemm crate takes pointers and strides; bounds are checked here"
)]

use rheobase_ir::real::Real;

/// `out[b, i] += Σ_j delta[b, j] · w[i, j]`, that is `out += delta · wᵀ`, for `w` of `[n_pre, n_post]`.
///
/// # Panics
///
/// The slices do not have `samples·n_pre`, `samples·n_post` and `n_pre·n_post` elements.
pub(crate) fn add_product_transposed<R: Real>(
    samples: usize,
    n_pre: usize,
    n_post: usize,
    delta: &[R],
    w: &[R],
    out: &mut [R],
) {
    assert!(
        out.len() == samples * n_pre
            && delta.len() == samples * n_post
            && w.len() == n_pre * n_post
    );
    if out.is_empty() || delta.is_empty() {
        return;
    }
    // SAFETY: the three slices are alive for the call and, by the assertion above, hold the elements that
    // the sizes and strides reach: out and delta are row-major [samples, n_pre] and [samples, n_post], and
    // w is read as the transpose of row-major [n_pre, n_post]. `out` is borrowed mutably, so it overlaps
    // neither of the others.
    unsafe {
        gemm::gemm(
            samples,
            n_pre,
            n_post,
            out.as_mut_ptr(),
            1,
            n_pre as isize,
            true,
            delta.as_ptr(),
            1,
            n_post as isize,
            w.as_ptr(),
            n_post as isize,
            1,
            R::ONE,
            R::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let (samples, n_pre, n_post) = (3, 5, 7);
        let delta: Vec<f64> = (0..samples * n_post)
            .map(|i| i as f64 * 0.5 - 3.0)
            .collect();
        let w: Vec<f64> = (0..n_pre * n_post)
            .map(|i| 1.0 / (i as f64 + 1.0))
            .collect();
        let mut out = vec![1.0; samples * n_pre];
        add_product_transposed(samples, n_pre, n_post, &delta, &w, &mut out);
        for b in 0..samples {
            for i in 0..n_pre {
                let sum: f64 = (0..n_post)
                    .map(|j| delta[b * n_post + j] * w[i * n_post + j])
                    .sum();
                assert!((out[b * n_pre + i] - 1.0 - sum).abs() < 1e-12);
            }
        }
    }
}
