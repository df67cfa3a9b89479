//! The gradient of spikes where it is needed: entries of `delta · wᵀ` that a mask lists.
//!
//! A surrogate that is exactly 0 outside of its support makes the adjoint of most spikes meaningless: nothing
//! reads it. Each entry that is read is the inner product of a row of `delta` and a row of the weights.
//! Several of them share a row of `delta`; the order of each sum does not depend on how many, nor on the width of registers.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::aligned::Aligned;
use crate::connection::dense::copy_columns;
use crate::connection::registers::Registers;

/// Numbers of a tile, some columns of some rows: they fill a first-level cache.
const TILE: usize = 1 << 13;

/// Weights up to this size stay in the cache beside the rows that they are multiplied with.
const SMALL_BYTES: usize = 1 << 18;

/// Columns that are gone through at once, if there are as many; the fewer, the more rows has a tile. With 1024 of them and half as wide
/// panels products took a twelfth more at a share of 20 %, because their parts are added up once for each panel.
const PANEL: usize = 256;

/// Memory for the time of a product.
#[derive(Debug, Default)]
pub(crate) struct Memory<R> {
    /// Some columns of the weights.
    panel: Aligned<R>,
    /// The same of the rows of a tile.
    tile: Aligned<R>,
    lists: Lists,
    /// The inner products, in the order of the lists.
    sums: Aligned<R>,
}

/// For each tile and each source the rows of the tile in which the source is active.
#[derive(Debug, Default)]
struct Lists {
    /// The rows of a tile.
    tile: usize,
    /// The rows of source `i` of tile `t` are those from `offsets[t · sources + i]` on; one more for filling.
    offsets: Vec<u32>,
    rows: Vec<u32>,
}

impl Lists {
    /// Sorts what is active in `rows` rows, by tiles of so many.
    fn fill<'m>(
        &mut self,
        tile: usize,
        sources: usize,
        rows: usize,
        active: impl Fn(usize) -> &'m [u32],
    ) {
        self.tile = tile;
        self.offsets.clear();
        self.offsets.resize(rows.div_ceil(tile) * sources + 2, 0);
        let list = |row: usize| row / tile * sources;
        for row in 0..rows {
            for &i in active(row) {
                self.offsets[list(row) + i as usize + 2] += 1;
            }
        }
        let mut sum = 0;
        for offset in &mut self.offsets {
            sum += *offset;
            *offset = sum;
        }
        self.rows.resize(sum as usize, 0);
        for row in 0..rows {
            for &i in active(row) {
                let next = &mut self.offsets[list(row) + i as usize + 1];
                self.rows[*next as usize] = (row % tile) as u32;
                *next += 1;
            }
        }
    }

    /// Where the rows of a list are.
    fn of(&self, list: usize) -> Range<usize> {
        self.offsets[list] as usize..self.offsets[list + 1] as usize
    }

    /// Calls `visit` with every active source of each row, and its place in the lists.
    fn each<'m>(
        &mut self,
        sources: usize,
        rows: usize,
        active: impl Fn(usize) -> &'m [u32],
        mut visit: impl FnMut(usize, usize, usize),
    ) {
        for row in 0..rows {
            for &i in active(row) {
                let next = &mut self.offsets[row / self.tile * sources + i as usize];
                visit(row, i as usize, *next as usize);
                *next += 1;
            }
        }
    }
}

/// `out[r, i] += Σ_j delta[r, j] · w[i, j]` for every row `r` of `delta` of length `n` and every `i` that
/// `active(r)` lists. Every sum is taken in an order that depends on the shape of the weights alone.
///
/// Small weights are in the cache, and are gone through for each row, as are those of few rows. Larger ones are gone
/// through by panels of columns, once for each tile of rows: a row of weights is read for all active rows of the tile.
pub(crate) fn add_masked_product<'m, R: Registers>(
    arch: Arch,
    delta: &[R],
    n: usize,
    w: &[R],
    memory: &mut Memory<R>,
    active: impl Fn(usize) -> &'m [u32],
    out: &mut [R],
) {
    let (n_pre, rows) = (w.len() / n, delta.len() / n);
    let Memory {
        panel,
        tile,
        lists,
        sums,
    } = memory;
    let width = n.min(PANEL);
    let tall = TILE / width;
    if rows < tall || size_of_val(w) <= SMALL_BYTES {
        let table = w;
        for (r, (delta, out)) in delta
            .chunks_exact(n)
            .zip(out.chunks_exact_mut(n_pre))
            .enumerate()
        {
            let listed = active(r);
            sums.resize(listed.len());
            sums.fill(R::ZERO);
            arch.dispatch(OfRow {
                delta,
                table,
                listed,
                sums,
            });
            for (&i, &sum) in listed.iter().zip(&sums[..]) {
                out[i as usize] = out[i as usize].add(sum);
            }
        }
        return;
    }
    lists.fill(tall, n_pre, rows, &active);
    sums.resize(lists.rows.len());
    sums.fill(R::ZERO);
    for start in (0..n).step_by(width) {
        let columns = start..(start + width).min(n);
        copy_columns(w, n, columns.clone(), panel);
        for (t, delta) in delta.chunks(tall * n).enumerate() {
            copy_columns(delta, n, columns.clone(), tile);
            arch.dispatch(OfTile {
                panel,
                tile,
                width: columns.len(),
                lists,
                first: t * n_pre,
                sums,
            });
        }
    }
    lists.each(n_pre, rows, active, |row, i, place| {
        let out = &mut out[row * n_pre + i];
        *out = out.add(sums[place]);
    });
}

/// A row of `delta` with those rows of the weights that are listed.
struct OfRow<'a, R> {
    delta: &'a [R],
    table: &'a [R],
    listed: &'a [u32],
    sums: &'a mut [R],
}

impl<R: Registers> WithSimd for OfRow<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        add_listed(simd, self.delta, self.table, self.listed, self.sums);
    }
}

/// Some columns of a tile: each row of weights with the rows of `delta` in which its source is active.
struct OfTile<'a, R> {
    panel: &'a [R],
    tile: &'a [R],
    width: usize,
    lists: &'a Lists,
    /// The first list of the tile.
    first: usize,
    sums: &'a mut [R],
}

impl<R: Registers> WithSimd for OfTile<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (i, w) in self.panel.chunks_exact(self.width).enumerate() {
            let range = self.lists.of(self.first + i);
            let (listed, sums) = (&self.lists.rows[range.clone()], &mut self.sums[range]);
            add_listed(simd, w, self.tile, listed, sums);
        }
    }
}

/// Adds to each sum the inner product of `fixed` and a row of the table.
#[inline(always)]
fn add_listed<S: Simd, R: Registers>(
    simd: S,
    fixed: &[R],
    table: &[R],
    listed: &[u32],
    sums: &mut [R],
) {
    // Sixteen partial sums of each product in single precision, eight in double, whatever a register holds.
    match S::F32_LANES {
        16.. => add_by::<S, R, 1, 8>(simd, fixed, table, listed, sums),
        8.. => add_by::<S, R, 2, 6>(simd, fixed, table, listed, sums),
        4.. => add_by::<S, R, 4, 4>(simd, fixed, table, listed, sums),
        _ => add_by::<S, R, 16, 1>(simd, fixed, table, listed, sums),
    }
}

/// With `P` registers of partial sums for each of `N` products at the same time.
#[inline(always)]
fn add_by<S: Simd, R: Registers, const P: usize, const N: usize>(
    simd: S,
    fixed: &[R],
    table: &[R],
    listed: &[u32],
    sums: &mut [R],
) {
    let (chunks, listed) = listed.as_chunks::<N>();
    let (sums_of_chunks, sums) = sums.as_chunks_mut::<N>();
    for (&listed, sums) in chunks.iter().zip(sums_of_chunks) {
        let products = inner_products::<S, R, P, N>(simd, fixed, table, listed);
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum = sum.add(product);
        }
    }
    match listed.len() {
        0 => {}
        1 | 2 => add_rest::<S, R, P, 2>(simd, fixed, table, listed, sums),
        3 | 4 => add_rest::<S, R, P, 4>(simd, fixed, table, listed, sums),
        _ => add_rest::<S, R, P, N>(simd, fixed, table, listed, sums),
    }
}

/// At most `N` products, in the time of `N`: one of them is computed several times.
#[inline(always)]
fn add_rest<S: Simd, R: Registers, const P: usize, const N: usize>(
    simd: S,
    fixed: &[R],
    table: &[R],
    rest: &[u32],
    sums: &mut [R],
) {
    let mut listed = [rest[0]; N];
    listed[..rest.len()].copy_from_slice(rest);
    let products = inner_products::<S, R, P, N>(simd, fixed, table, listed);
    for (sum, product) in sums.iter_mut().zip(products) {
        *sum = sum.add(product);
    }
}

/// The inner products of `fixed` with `N` rows of a table.
#[inline(always)]
fn inner_products<S: Simd, R: Registers, const P: usize, const N: usize>(
    simd: S,
    fixed: &[R],
    table: &[R],
    rows: [u32; N],
) -> [R; N] {
    let n = fixed.len();
    let (registers, rest) = R::registers(simd, fixed);
    let (blocks, last) = registers.as_chunks::<P>();
    // Loops, because a closure for each element would not be inlined into the function with the wide registers.
    let mut numbers: [&[R]; N] = [&[]; N];
    let mut rows_of: [&[[R::Register<S>; P]]; N] = [&[]; N];
    for r in 0..N {
        numbers[r] = &table[rows[r] as usize * n..][..n];
        rows_of[r] = &R::registers(simd, numbers[r]).0.as_chunks::<P>().0[..blocks.len()];
    }
    let mut sums = [[R::zeros(simd); P]; N];
    for (k, d) in blocks.iter().enumerate() {
        for r in 0..N {
            for p in 0..P {
                sums[r][p] = R::multiply_add(simd, rows_of[r][k][p], d[p], sums[r][p]);
            }
        }
    }
    // Fewer numbers than partial sums are left.
    let done = n - rest.len() - last.len() * R::lanes(simd);
    #[expect(
        clippy::needless_range_loop,
        reason = "a loop of fixed length keeps the sums in registers"
    )]
    for p in 0..P {
        let first = (done + p * R::lanes(simd)).min(n);
        let end = (first + R::lanes(simd)).min(n);
        if first < end {
            let d = R::part(simd, &fixed[first..end]);
            for r in 0..N {
                let w = R::part(simd, &numbers[r][first..end]);
                sums[r][p] = R::multiply_add(simd, w, d, sums[r][p]);
            }
        }
    }
    let mut products = [R::ZERO; N];
    for r in 0..N {
        products[r] = R::sum(simd, sums[r]);
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_entries_agree_with_the_definition_and_others_stay() {
        let number = |i: usize| ((i * 37) % 101) as f64 / 64.0 - 0.75;
        for arch in [Arch::Scalar, Arch::new()] {
            for (rows, n, n_pre) in [
                (3, 1, 9),
                (2, 16, 5),
                (4, 67, 30),
                (2, 300, 900),
                (150, 200, 400),
            ] {
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
                let mut memory = Memory::default();
                add_masked_product(arch, &delta, n, &w, &mut memory, |r| &lists[r], &mut out);
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

    /// Every instruction set that the loops are compiled for and this machine has, beside the portable one.
    fn vector_archs() -> Vec<Arch> {
        let mut archs = vec![Arch::new()];
        #[cfg(target_arch = "x86_64")]
        archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
        archs
    }

    #[test]
    fn instruction_sets_with_fused_products_give_the_same_bits_and_the_portable_one_nearly() {
        for n in [5, 16, 47, 128, 300, 700] {
            let number = |i: usize| ((i * 37) % 101) as f32 / 3.0 - 16.0;
            let delta: Vec<f32> = (0..3 * n).map(number).collect();
            let w: Vec<f32> = (0..29 * n).map(|i| number(i + 11)).collect();
            let active: Vec<u32> = (0..29).filter(|i| i % 9 != 4).collect();
            let run = |arch| {
                let (mut out, mut memory) = (vec![0.5f32; 3 * 29], Memory::default());
                add_masked_product(arch, &delta, n, &w, &mut memory, |_| &active, &mut out);
                out
            };
            let (best, portable) = (run(Arch::new()), run(Arch::Scalar));
            assert!(vector_archs().into_iter().all(|arch| run(arch) == best));
            // The portable one rounds products, too: each sum is off by half a unit of its size for each.
            let most = f32::EPSILON * n as f32 * (n as f32 * 17.0 * 17.0);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= most;
            assert!(best.iter().zip(&portable).all(near), "{n}");
        }
    }
}
