//! Dense connections driven by events. Weights are stored `[n_pre, n_post]`.

use pulp::Arch;
use rheobase_ir::real::Real;

/// Columns whose sums are kept in registers while the events go by.
const BLOCK: usize = 64;

/// `out[j] += Σ_e value_e · w[e, j]` over the events `e`; values are 1 without a list.
pub(crate) fn gather<R: Real>(
    arch: Arch,
    weights: &[R],
    events: &[u32],
    values: Option<&[f32]>,
    out: &mut [R],
) {
    if events.is_empty() {
        return;
    }
    match values {
        None => arch.dispatch(|| gather_spikes(weights, events, out)),
        Some(values) => arch.dispatch(|| gather_graded(weights, events, values, out)),
    }
}

#[inline(always)]
fn gather_spikes<R: Real>(weights: &[R], events: &[u32], out: &mut [R]) {
    let n = out.len();
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let mut column = 0;
    for block in blocks {
        gather_block(weights, n, column, events, block);
        column += BLOCK;
    }
    let (quarters, rest) = rest.as_chunks_mut::<{ BLOCK / 4 }>();
    for block in quarters {
        gather_block(weights, n, column, events, block);
        column += BLOCK / 4;
    }
    for &e in events {
        let row = &weights[e as usize * n + column..][..rest.len()];
        rest.iter_mut()
            .zip(row)
            .for_each(|(sum, &w)| *sum = sum.add(w));
    }
}

#[inline(always)]
fn gather_block<R: Real, const N: usize>(
    weights: &[R],
    n: usize,
    column: usize,
    events: &[u32],
    block: &mut [R; N],
) {
    let mut sums = *block;
    for &e in events {
        let row = &weights[e as usize * n + column..][..N];
        for (sum, &w) in sums.iter_mut().zip(row) {
            *sum = sum.add(w);
        }
    }
    *block = sums;
}

#[inline(always)]
fn gather_graded<R: Real>(weights: &[R], events: &[u32], values: &[f32], out: &mut [R]) {
    let n = out.len();
    for (&e, &value) in events.iter().zip(values) {
        let value = R::from_f64(f64::from(value));
        let row = &weights[e as usize * n..][..n];
        for (sum, &w) in out.iter_mut().zip(row) {
            *sum = sum.add(w.mul(value));
        }
    }
}

/// `dw[e, j] += value_e · delta[j]` for every event `e`.
pub(crate) fn scatter<R: Real>(
    arch: Arch,
    dw: &mut [R],
    events: &[u32],
    values: Option<&[f32]>,
    delta: &[R],
) {
    if events.is_empty() {
        return;
    }
    match values {
        None => arch.dispatch(|| scatter_spikes(dw, events, delta)),
        Some(values) => arch.dispatch(|| scatter_graded(dw, events, values, delta)),
    }
}

#[inline(always)]
fn scatter_spikes<R: Real>(dw: &mut [R], events: &[u32], delta: &[R]) {
    let n = delta.len();
    for &e in events {
        let row = &mut dw[e as usize * n..][..n];
        row.iter_mut()
            .zip(delta)
            .for_each(|(sum, &d)| *sum = sum.add(d));
    }
}

#[inline(always)]
fn scatter_graded<R: Real>(dw: &mut [R], events: &[u32], values: &[f32], delta: &[R]) {
    let n = delta.len();
    for (&e, &value) in events.iter().zip(values) {
        let value = R::from_f64(f64::from(value));
        let row = &mut dw[e as usize * n..][..n];
        row.iter_mut()
            .zip(delta)
            .for_each(|(sum, &d)| *sum = sum.add(d.mul(value)));
    }
}

/// `sum[j] += delta[b, j]` over the samples `b`: the gradient of a bias.
pub(crate) fn add_rows<R: Real>(sum: &mut [R], delta: &[R]) {
    for row in delta.chunks_exact(sum.len()) {
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, &d)| *sum = sum.add(d));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is different at every position and exact in `f32`.
    fn weight(i: usize) -> f32 {
        ((i * 37) % 101) as f32 / 64.0 - 0.75
    }

    #[test]
    fn events_agree_with_the_dense_product() {
        for n in [1, 3, 16, 20, 64, 67, 144] {
            let weights: Vec<f32> = (0..50 * n).map(weight).collect();
            let events = [0u32, 3, 17, 49];
            let values = [1.0f32, 0.5, -2.0, 3.0];
            for graded in [None, Some(&values[..])] {
                let mut out = vec![0.25f32; n];
                gather(Arch::new(), &weights, &events, graded, &mut out);
                let delta: Vec<f32> = (0..n).map(|j| weight(j + 5)).collect();
                let mut dw = vec![0.0f32; 50 * n];
                scatter(Arch::new(), &mut dw, &events, graded, &delta);
                for j in 0..n {
                    let mut expected = 0.25;
                    for (k, &e) in events.iter().enumerate() {
                        let value = graded.map_or(1.0, |v| v[k]);
                        expected += weights[e as usize * n + j] * value;
                        assert_eq!(dw[e as usize * n + j], delta[j] * value);
                    }
                    assert!((out[j] - expected).abs() < 1e-5, "n {n} j {j}");
                }
            }
        }
    }
}
