//! Dense connections driven by events. Weights are stored `[n_pre, n_post]`.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::by_source::Arrivals;
use crate::connection::choice;

/// Columns whose sums are kept in registers while the events go by.
const BLOCK: usize = 64;

/// `out[j] += Σ_e value_e · w[e, j]` over the events `e`; values are 1 without a list.
pub(crate) fn gather<R: Real, V: Real>(
    arch: Arch,
    weights: &[R],
    events: &[u32],
    values: Option<&[V]>,
    out: &mut [R],
) {
    gather_runs(arch, (weights, out.len()), events, values, out);
}

/// The same where row `e` begins at number `e · stride`; it is as long as `out`, and the next one may begin inside of it.
pub(crate) fn gather_runs<R: Real, V: Real>(
    arch: Arch,
    (weights, stride): (&[R], usize),
    events: &[u32],
    values: Option<&[V]>,
    out: &mut [R],
) {
    if !events.is_empty() {
        arch.dispatch(Gather {
            weights,
            stride,
            events,
            values,
            out,
        });
    }
}

/// What sums begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With what is there.
    Given,
    /// With zero, whatever is there.
    New,
}

impl Begin {
    /// Makes what is there what sums begin with.
    pub(crate) fn clear<R: Real>(self, out: &mut [R]) {
        match self {
            Begin::Given => {}
            Begin::New => out.fill(R::ZERO),
        }
    }
}

/// `out[i, j] += Σ_e value_e · table[e, j]` over what `arrivals(i)` lists, for all rows of `out` of length
/// `n`. A table that is larger than the cache is copied and gone through by panels of columns.
pub(crate) fn gather_rows<'e, R: Real>(
    arch: Arch,
    table: &[R],
    n: usize,
    panel: &mut Aligned<R>,
    arrivals: impl Fn(usize) -> Arrivals<'e>,
    (begin, out): (Begin, &mut [R]),
) {
    for columns in panels(table.len() / n, n, size_of::<R>()) {
        let table = if columns.len() == n {
            table
        } else {
            copy_columns(table, n, columns.clone(), panel);
            &panel[..]
        };
        gather_columns(arch, table, n, columns, &arrivals, (begin, &mut *out));
    }
}

/// The same for a table that [`copy_panels`] has copied.
pub(crate) fn gather_from_panels<'e, R: Real>(
    arch: Arch,
    copied: &[R],
    n: usize,
    arrivals: impl Fn(usize) -> Arrivals<'e>,
    (begin, out): (Begin, &mut [R]),
) {
    let rows = copied.len() / n;
    for columns in panels(rows, n, size_of::<R>()) {
        let panel = &copied[columns.start * rows..columns.end * rows];
        gather_columns(arch, panel, n, columns, &arrivals, (begin, &mut *out));
    }
}

/// The panels of columns of a table, one after the other.
pub(crate) fn copy_panels<R: Real>(table: &[R], n: usize, copied: &mut Aligned<R>) {
    let rows = table.len() / n;
    copied.resize(table.len());
    for columns in panels(rows, n, size_of::<R>()) {
        let panel = &mut copied[columns.start * rows..columns.end * rows];
        write_columns(table, n, columns, panel);
    }
}

/// The columns of each panel of a table of `rows` rows of length `n`.
fn panels(rows: usize, n: usize, element: usize) -> impl Iterator<Item = Range<usize>> {
    let width = choice::panel(rows, n, element);
    let starts = (0..n).step_by(width);
    starts.map(move |start| start..(start + width).min(n))
}

/// [`gather_rows`] for some columns, which are all that `table` has.
fn gather_columns<'e, R: Real>(
    arch: Arch,
    table: &[R],
    n: usize,
    columns: Range<usize>,
    arrivals: impl Fn(usize) -> Arrivals<'e>,
    (begin, out): (Begin, &mut [R]),
) {
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        let (events, values) = arrivals(i);
        let row = &mut row[columns.clone()];
        begin.clear(row);
        gather(arch, table, events, values, row);
    }
}

/// Some columns of a table of rows of length `n`, one row after the other.
pub(crate) fn copy_columns<R: Real>(
    table: &[R],
    n: usize,
    columns: Range<usize>,
    panel: &mut Aligned<R>,
) {
    panel.resize(table.len() / n * columns.len());
    write_columns(table, n, columns, panel);
}

fn write_columns<R: Real>(table: &[R], n: usize, columns: Range<usize>, panel: &mut [R]) {
    let rows = table.chunks_exact(n);
    for (copy, row) in panel.chunks_exact_mut(columns.len()).zip(rows) {
        copy.copy_from_slice(&row[columns.clone()]);
    }
}

/// The arguments of [`gather_runs`]. A closure would not be inlined into the function that has the wide
/// registers, and would run with the narrowest.
struct Gather<'a, R, V> {
    weights: &'a [R],
    stride: usize,
    events: &'a [u32],
    values: Option<&'a [V]>,
    out: &'a mut [R],
}

impl<R: Real, V: Real> WithSimd for Gather<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let out = std::mem::take(&mut self.out);
        // Where registers hold 16 numbers and there are 32 of them, twice as many columns fit.
        let wide = match S::F32_LANES {
            16.. => out.len() - out.len() % (2 * BLOCK),
            _ => 0,
        };
        let (wide, rest) = out.split_at_mut(wide);
        let mut column = 0;
        self.blocks::<{ 2 * BLOCK }>(wide, &mut column);
        let rest = self.blocks::<BLOCK>(rest, &mut column);
        let rest = self.blocks::<{ BLOCK / 2 }>(rest, &mut column);
        let rest = self.blocks::<{ BLOCK / 4 }>(rest, &mut column);
        let rest = self.blocks::<{ BLOCK / 16 }>(rest, &mut column);
        self.blocks::<1>(rest, &mut column);
    }
}

impl<R: Real, V: Real> Gather<'_, R, V> {
    /// All whole blocks of `N` columns, from `column` on; returns what is left.
    #[inline(always)]
    fn blocks<'o, const N: usize>(&self, out: &'o mut [R], column: &mut usize) -> &'o mut [R] {
        let (blocks, rest) = out.as_chunks_mut::<N>();
        for block in blocks {
            self.block(*column, block);
            *column += N;
        }
        rest
    }

    /// The `N` columns from `column` on, summed in registers.
    #[inline(always)]
    fn block<const N: usize>(&self, column: usize, block: &mut [R; N]) {
        let (weights, stride) = (self.weights, self.stride);
        let mut sums = *block;
        match self.values {
            None => {
                for &e in self.events {
                    let row = &weights[e as usize * stride + column..][..N];
                    for (sum, &w) in sums.iter_mut().zip(row) {
                        *sum = sum.add(w);
                    }
                }
            }
            Some(values) => {
                for (&e, &value) in self.events.iter().zip(values) {
                    let value = R::from_f64(value.to_f64());
                    let row = &weights[e as usize * stride + column..][..N];
                    for (sum, &w) in sums.iter_mut().zip(row) {
                        *sum = sum.add(w.mul(value));
                    }
                }
            }
        }
        *block = sums;
    }
}

/// `dw[e, j] += value_e · delta[j]` for every event `e`.
pub(crate) fn scatter<R: Real, V: Real>(
    arch: Arch,
    dw: &mut [R],
    events: &[u32],
    values: Option<&[V]>,
    delta: &[R],
) {
    if !events.is_empty() {
        arch.dispatch(Scatter {
            dw,
            events,
            values,
            delta,
        });
    }
}

/// The arguments of [`scatter`].
struct Scatter<'a, R, V> {
    dw: &'a mut [R],
    events: &'a [u32],
    values: Option<&'a [V]>,
    delta: &'a [R],
}

impl<R: Real, V: Real> WithSimd for Scatter<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let n = self.delta.len();
        let mut column = 0;
        let (blocks, rest) = self.delta.as_chunks::<BLOCK>();
        for block in blocks {
            scatter_block(self.dw, n, column, self.events, self.values, block);
            column += BLOCK;
        }
        let (quarters, rest) = rest.as_chunks::<{ BLOCK / 4 }>();
        for block in quarters {
            scatter_block(self.dw, n, column, self.events, self.values, block);
            column += BLOCK / 4;
        }
        let (small, rest) = rest.as_chunks::<{ BLOCK / 16 }>();
        for block in small {
            scatter_block(self.dw, n, column, self.events, self.values, block);
            column += BLOCK / 16;
        }
        for one in rest.as_chunks::<1>().0 {
            scatter_block(self.dw, n, column, self.events, self.values, one);
            column += 1;
        }
    }
}

/// [`scatter`] for the `N` columns from `column` on; `delta` stays in registers.
#[inline(always)]
fn scatter_block<R: Real, V: Real, const N: usize>(
    dw: &mut [R],
    n: usize,
    column: usize,
    events: &[u32],
    values: Option<&[V]>,
    delta: &[R; N],
) {
    let delta = *delta;
    match values {
        None => {
            for &e in events {
                let row = &mut dw[e as usize * n + column..][..N];
                for (sum, d) in row.iter_mut().zip(delta) {
                    *sum = sum.add(d);
                }
            }
        }
        Some(values) => {
            for (&e, &value) in events.iter().zip(values) {
                let value = R::from_f64(value.to_f64());
                let row = &mut dw[e as usize * n + column..][..N];
                for (sum, d) in row.iter_mut().zip(delta) {
                    *sum = sum.add(d.mul(value));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is different at every position and exact in `f32`.
    fn weight(i: usize) -> f32 {
        ((i * 37) % 101) as f32 / 64.0 - 0.75
    }

    /// Every instruction set that the loops are compiled for and this machine has.
    fn archs() -> Vec<Arch> {
        let mut archs = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
        archs
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let n = 3 * 128 + 64 + 32 + 16 + 4 + 3;
        let weights: Vec<f32> = (0..50 * n).map(|i| weight(i) / 3.0).collect();
        let events: Vec<u32> = (0..40).map(|i| i * 7 % 50).collect();
        let values: Vec<f32> = (0..40).map(|i| 1.0 / (i + 1) as f32).collect();
        for graded in [None, Some(&values[..])] {
            let run = |arch| {
                let mut out = vec![0.1f32; n];
                gather(arch, &weights, &events, graded, &mut out);
                let mut dw = vec![0.1f32; 50 * n];
                scatter(arch, &mut dw, &events, graded, &out);
                (out, dw)
            };
            let portable = run(Arch::Scalar);
            assert!(archs().into_iter().all(|arch| run(arch) == portable));
        }
    }

    #[test]
    fn events_agree_with_the_dense_product() {
        for n in [1, 3, 16, 20, 64, 67, 144, 6000] {
            let weights: Vec<f32> = (0..50 * n).map(weight).collect();
            let events = [0u32, 3, 17, 49];
            let values = [1.0f32, 0.5, -2.0, 3.0];
            for graded in [None, Some(&values[..])] {
                let mut out = vec![0.25f32; n];
                gather(Arch::new(), &weights, &events, graded, &mut out);
                let (mut rows, mut panel) = (vec![0.25f32; 2 * n], Aligned::new());
                let arrivals = |i: usize| match i {
                    0 => (&[][..], None),
                    _ => (&events[..], graded),
                };
                let given = (Begin::Given, &mut rows[..]);
                gather_rows(Arch::new(), &weights, n, &mut panel, arrivals, given);
                assert!(rows[..n].iter().all(|x| *x == 0.25));
                assert_eq!(rows[n..], out);
                let mut again = vec![0.25f32; 2 * n];
                copy_panels(&weights, n, &mut panel);
                gather_from_panels(Arch::new(), &panel, n, arrivals, (Begin::Given, &mut again));
                assert_eq!(again, rows);
                gather_from_panels(Arch::new(), &panel, n, arrivals, (Begin::New, &mut again));
                assert!(
                    again
                        .iter()
                        .zip(&rows)
                        .all(|(a, b)| (a + 0.25 - b).abs() < 1e-5)
                );
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
