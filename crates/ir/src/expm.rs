//! The matrix exponential, in double precision, for exact integration.
//!
//! Scaling and squaring with a Taylor polynomial (Higham 2005 discusses the method; the Taylor form is
//! enough for the small matrices of a neuron): the matrix is halved until its norm is at most 1/2,
//! where 18 terms reach rounding, and the result is squared as often. Run once per parameter change,
//! never in a time loop.

/// `exp(a)` for an `n` by `n` matrix, row by row. Non-finite input gives NaN.
pub fn expm(a: &[f64], n: usize) -> Vec<f64> {
    debug_assert_eq!(a.len(), n * n);
    let norm = (0..n)
        .map(|i| a[i * n..(i + 1) * n].iter().map(|x| x.abs()).sum::<f64>())
        .fold(0.0, f64::max);
    if !norm.is_finite() {
        return vec![f64::NAN; n * n];
    }
    let squarings = if norm > 0.5 {
        (norm.log2().ceil() as i32 + 1).max(0)
    } else {
        0
    };
    let scale = 0.5f64.powi(squarings);
    let scaled: Vec<f64> = a.iter().map(|x| x * scale).collect();
    let mut result = identity(n);
    let mut power = identity(n);
    for k in 1..=18 {
        power = product(&power, &scaled, n);
        let k = f64::from(k);
        power.iter_mut().for_each(|x| *x /= k);
        result.iter_mut().zip(&power).for_each(|(r, p)| *r += p);
    }
    for _ in 0..squarings {
        result = product(&result, &result, n);
    }
    result
}

fn identity(n: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; n * n];
    (0..n).for_each(|i| matrix[i * n + i] = 1.0);
    matrix
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            let x = a[i * n + k];
            for j in 0..n {
                c[i * n + j] += x * b[k * n + j];
            }
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_and_decay() {
        let (w, d) = (30.0, 0.2);
        let e = expm(&[-d, w, -w, -d], 2);
        let f = (-d).exp();
        let expected = [f * w.cos(), f * w.sin(), -f * w.sin(), f * w.cos()];
        for (x, y) in e.iter().zip(expected) {
            assert!((x - y).abs() < 1e-12, "{x} {y}");
        }
    }

    #[test]
    fn nilpotent_and_equal_eigenvalues() {
        let e = expm(&[-2.0, 1.0, 0.0, -2.0], 2);
        let f = (-2.0f64).exp();
        for (x, y) in e.iter().zip([f, f, 0.0, f]) {
            assert!((x - y).abs() < 1e-15);
        }
        assert!(expm(&[f64::INFINITY], 1)[0].is_nan());
    }
}
