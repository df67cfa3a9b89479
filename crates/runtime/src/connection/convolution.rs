//! Convolutions driven by events: the kernel of one event is added where its windows are.
//!
//! While this is done, rows of outputs are turned to `[place, channel]`. Kernels are stored backwards in x
//! (see [`Layout::Kernel`](crate::parameters::Layout)), so what an event adds to one line of outputs is one
//! run of weights: 5 places by 32 channels are 160 numbers in a row, on both sides.
//!
//! Where much of a row is not zero, `columns.rs` has the matrix products.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::dense;
use crate::connection::rows::Entries;

/// `out[place, o] += Σ x · w` over the entries of a row; `out` is turned.
pub(crate) fn forward<R: Real>(
    arch: Arch,
    window: &Window,
    weights: &[R],
    x: Entries<'_, R>,
    out: &mut [R],
) {
    arch.dispatch(Visit::<R, true> {
        window,
        x,
        to: out,
        from: weights,
    });
}

/// Memory for the gradient of weights.
#[derive(Debug, Default)]
pub(crate) struct Memory<R> {
    /// A row of adjoints as `[place, channel]`.
    turned: Aligned<R>,
    /// Where each place of a row of outputs is in `turned`.
    order: Vec<u32>,
    /// Where what an event sees through line 0 of the kernel begins in `turned`.
    begins: Vec<u32>,
}

/// `dw += Σ x · delta` over the entries of a row.
pub(crate) fn weight_gradient<R: Real>(
    arch: Arch,
    window: &Window,
    x: Entries<'_, R>,
    delta: &[R],
    memory: &mut Memory<R>,
    dw: &mut [R],
) {
    if steady(window) && x.indices.is_sorted() {
        return gather_weights(arch, window, x, delta, memory, dw);
    }
    let from = &mut memory.turned;
    from.resize(delta.len());
    turn(delta, window.channels[1], from);
    arch.dispatch(Visit::<R, false> {
        window,
        x,
        to: dw,
        from,
    });
}

/// Whether neighbouring places are seen by neighbouring windows, all channels by all.
pub(crate) fn steady(window: &Window) -> bool {
    window.groups == 1 && window.stride == [1, 1] && window.dilation == [1, 1]
}

/// [`weight_gradient`] of entries in ascending order: for each channel and each line of the kernel the sum of what its
/// events see, in registers.
///
/// Lines of adjoints stand in memory with so many zeros between them that a window beyond the border finds zeros.
fn gather_weights<R: Real>(
    arch: Arch,
    window: &Window,
    x: Entries<'_, R>,
    delta: &[R],
    memory: &mut Memory<R>,
    dw: &mut [R],
) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let out = window.channels[1];
    let (line, above) = (columns + kernel_width - 1, kernel_height - 1);
    let first = above * line + kernel_width - 1;
    memory.order.clear();
    let place = |p: usize| (first + p / columns * line + p % columns) as u32;
    memory.order.extend((0..rows * columns).map(place));
    memory.turned.resize((first + rows * line) * out);
    memory.turned.fill(R::ZERO);
    turn_in_order(delta, out, &memory.order, &mut memory.turned);

    let size = height * width;
    let mut done = 0;
    while let Some(&entry) = x.indices.get(done) {
        let channel = entry as usize / size;
        let rest = &x.indices[done..];
        let count = rest.partition_point(|&i| (i as usize) < (channel + 1) * size);
        let begin = |&i: &u32| {
            let place = i - (channel * size) as u32;
            let (y, x) = (place / width as u32, place % width as u32);
            (y + window.pad[0] as u32) * line as u32 + x + window.pad[1] as u32
        };
        memory.begins.clear();
        memory.begins.extend(rest[..count].iter().map(begin));
        let values = x.values.map(|v| &v[done..done + count]);
        for k in 0..kernel_height {
            // Only the events that line `k` of the kernel sees from a window.
            let before = |y: usize| memory.begins.partition_point(|&b| (b as usize) < y * line);
            let seen = before(k)..before(k + rows);
            let values = values.map(|v| &v[seen.clone()]);
            let dw = &mut dw[(channel * kernel_height + k) * kernel_width * out..];
            let dw = &mut dw[..kernel_width * out];
            let from = (&memory.turned[(above - k) * line * out..], out);
            dense::gather_runs(arch, from, &memory.begins[seen], values, dw);
        }
        done += count;
    }
}

/// Both products: an event pairs runs of weights with runs of outputs, and one of them is added to the
/// other, times the value of the event.
struct Visit<'a, R, const FORWARD: bool> {
    window: &'a Window,
    x: Entries<'a, R>,
    to: &'a mut [R],
    from: &'a [R],
}

impl<R: Real, const FORWARD: bool> WithSimd for Visit<'_, R, FORWARD> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Visit {
            window,
            x,
            to,
            from,
        } = self;
        for (k, &index) in x.indices.iter().enumerate() {
            let value = x.values.map_or(R::ONE, |v| v[k]);
            let index = index as usize;
            if steady(window) {
                lines(window, index, |weight, output, len| {
                    add::<R, FORWARD>(to, from, weight, output, len, value)
                });
            } else {
                places(window, index, |weight, output, len| {
                    add::<R, FORWARD>(to, from, weight, output, len, value)
                });
            }
        }
    }
}

/// `to += value · from` for a run of weights and a run of outputs.
#[inline(always)]
fn add<R: Real, const FORWARD: bool>(
    to: &mut [R],
    from: &[R],
    weight: usize,
    output: usize,
    len: usize,
    value: R,
) {
    let (a, b) = if FORWARD {
        (output, weight)
    } else {
        (weight, output)
    };
    add_run(&mut to[a..][..len], &from[b..][..len], value);
}

/// `to += value · from`.
#[inline(always)]
pub(crate) fn add_run<R: Real>(to: &mut [R], from: &[R], value: R) {
    let (to, from) = chunks::<R, 32>(to, from, value);
    let (to, from) = chunks::<R, 16>(to, from, value);
    let (to, from) = chunks::<R, 8>(to, from, value);
    let (to, from) = chunks::<R, 4>(to, from, value);
    chunks::<R, 1>(to, from, value);
}

/// All whole chunks of `N`; returns what is left. Each is copied out and back: where both sides stay in memory, the
/// compiler does not see that they are apart, and takes one number at a time.
#[inline(always)]
fn chunks<'t, 'f, R: Real, const N: usize>(
    to: &'t mut [R],
    from: &'f [R],
    value: R,
) -> (&'t mut [R], &'f [R]) {
    let (to, to_rest) = to.as_chunks_mut::<N>();
    let (from, from_rest) = from.as_chunks::<N>();
    for (to, from) in to.iter_mut().zip(from) {
        let (mut sums, from) = (*to, *from);
        for (sum, from) in sums.iter_mut().zip(from) {
            *sum = sum.add(from.mul(value));
        }
        *to = sums;
    }
    (to_rest, from_rest)
}

/// For stride and dilation 1 and one group: calls `visit` with the first weight, the first output and the
/// length of each run, line by line.
#[inline(always)]
fn lines(window: &Window, index: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let out = window.channels[1];
    let (channel, place) = (index / (height * width), index % (height * width));
    let (y, x) = (place / width + window.pad[0], place % width + window.pad[1]);
    // The window that begins at `x − k` sees this place as its column `k`.
    let (from, to) = ((x + 1).saturating_sub(columns), (x + 1).min(kernel_width));
    if from >= to {
        return;
    }
    for k in (y + 1).saturating_sub(rows)..(y + 1).min(kernel_height) {
        let weight = (channel * kernel_height + k) * kernel_width + kernel_width - to;
        let output = (y - k) * columns + x + 1 - to;
        visit(weight * out, output * out, (to - from) * out);
    }
}

/// Any window: the same, place by place.
#[inline(always)]
fn places(window: &Window, index: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let [channels, out] = window.channels;
    let (channels, of_group) = (channels / window.groups, out / window.groups);
    let (channel, place) = (index / (height * width), index % (height * width));
    let first = channel / channels * of_group;
    for ky in 0..kernel_height {
        let Some(y) = seen_by(window, 0, place / width, ky).filter(|y| *y < rows) else {
            continue;
        };
        for kx in 0..kernel_width {
            let Some(x) = seen_by(window, 1, place % width, kx).filter(|x| *x < columns) else {
                continue;
            };
            let weight = (channel % channels * kernel_height + ky) * kernel_width;
            let weight = weight + kernel_width - 1 - kx;
            visit(
                weight * out + first,
                (y * columns + x) * out + first,
                of_group,
            );
        }
    }
}

/// The window whose place `k` on an axis is the place `at` of the input.
#[inline(always)]
fn seen_by(window: &Window, axis: usize, at: usize, k: usize) -> Option<usize> {
    let start = (at + window.pad[axis]).checked_sub(k * window.dilation[axis])?;
    let stride = window.stride[axis];
    start.is_multiple_of(stride).then(|| start / stride)
}

/// Lines and columns of a tile that is turned in registers.
const TILE: usize = 4;

/// A row `[channel, place]` as `[place, channel]`.
pub(crate) fn turn<R: Real>(row: &[R], channels: usize, turned: &mut [R]) {
    let sizes = [channels, row.len() / channels];
    exchange(row, sizes, turned, |place| place, |to, from| *to = from);
}

/// The same with the places in another order: place `p` becomes place `order[p]`.
pub(crate) fn turn_in_order<R: Real>(row: &[R], channels: usize, order: &[u32], turned: &mut [R]) {
    let sizes = [channels, order.len()];
    let at = |place: usize| order[place] as usize;
    exchange(row, sizes, turned, at, |to, from| *to = from);
}

/// Adds a row `[place, channel]` to one of `[channel, place]`.
pub(crate) fn add_turned<R: Real>(turned: &[R], channels: usize, row: &mut [R]) {
    let sizes = [row.len() / channels, channels];
    let add = |to: &mut R, from: R| *to = to.add(from);
    exchange(turned, sizes, row, |channel| channel, add);
}

/// `put(to[at(column), line], from[line, column])` for a matrix `from` of so many lines and columns. Tiles of it are
/// exchanged in registers.
#[inline(always)]
fn exchange<R: Real>(
    from: &[R],
    [lines, columns]: [usize; 2],
    to: &mut [R],
    at: impl Fn(usize) -> usize,
    put: impl Fn(&mut R, R),
) {
    assert!(from.len() == lines * columns && to.len() >= from.len());
    let (whole, wide) = (lines - lines % TILE, columns - columns % TILE);
    // The short side is gone through first, so that what is read or written in between stays in the cache.
    if lines < columns {
        for column in (0..wide).step_by(TILE) {
            for line in (0..whole).step_by(TILE) {
                exchange_tile(from, [line, column], [lines, columns], to, &at, &put);
            }
        }
    } else {
        for line in (0..whole).step_by(TILE) {
            for column in (0..wide).step_by(TILE) {
                exchange_tile(from, [line, column], [lines, columns], to, &at, &put);
            }
        }
    }
    for line in 0..lines {
        // Lines of whole tiles have their last columns left, others all.
        let first = if line < whole { wide } else { 0 };
        for column in first..columns {
            let to = &mut to[at(column) * lines + line];
            put(to, from[line * columns + column]);
        }
    }
}

/// [`exchange`] for a tile that begins at this line and column.
#[inline(always)]
fn exchange_tile<R: Real>(
    from: &[R],
    [line, column]: [usize; 2],
    [lines, columns]: [usize; 2],
    to: &mut [R],
    at: &impl Fn(usize) -> usize,
    put: &impl Fn(&mut R, R),
) {
    let mut tile = [[R::ZERO; TILE]; TILE];
    for (l, tile) in tile.iter_mut().enumerate() {
        tile.copy_from_slice(&from[(line + l) * columns + column..][..TILE]);
    }
    for c in 0..TILE {
        let to = &mut to[at(column + c) * lines + line..][..TILE];
        for l in 0..TILE {
            put(&mut to[l], tile[l][c]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_size_are_turned_and_back() {
        for (channels, places) in [(1, 1), (3, 7), (4, 4), (5, 8), (12, 9), (8, 30)] {
            let row: Vec<f32> = (0..channels * places).map(|i| i as f32).collect();
            let mut turned = vec![-1.0; row.len()];
            turn(&row, channels, &mut turned);
            for c in 0..channels {
                for p in 0..places {
                    assert_eq!(turned[p * channels + c], row[c * places + p]);
                }
            }
            let mut back = vec![1.0; row.len()];
            add_turned(&turned, channels, &mut back);
            assert!(back.iter().zip(&row).all(|(back, row)| *back == row + 1.0));
        }
    }

    /// 3 channels of 9×8 to 20 through kernels of 5×3.
    fn windows() -> [Window; 2] {
        let plain = Window {
            axes: 2,
            channels: [3, 20],
            input: [9, 8],
            output: [5, 6],
            kernel: [5, 3],
            stride: [1, 1],
            pad: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        let strided = Window {
            output: [3, 4],
            stride: [2, 2],
            pad: [0, 1],
            ..plain
        };
        [plain, strided]
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let number = |i: usize| ((i * 37) % 101) as f32 / 3.0 - 16.0;
        let weights: Vec<f32> = (0..3 * 5 * 3 * 20).map(number).collect();
        let indices: Vec<u32> = (0..3 * 9 * 8).filter(|i| i % 7 < 2).collect();
        let values: Vec<f32> = indices.iter().map(|&i| 1.0 / (i + 1) as f32).collect();
        for (window, values) in windows().into_iter().zip([None, Some(&values[..])]) {
            let x = Entries {
                indices: &indices,
                values,
            };
            let run = |arch| {
                let mut out = vec![0.1; window.output[0] * window.output[1] * 20];
                forward(arch, &window, &weights, x, &mut out);
                let mut dw = vec![0.1; weights.len()];
                weight_gradient(arch, &window, x, &out, &mut Memory::default(), &mut dw);
                (out, dw)
            };
            let portable = run(Arch::Scalar);
            assert!(portable.0.iter().any(|x| *x != 0.1));
            assert_eq!(run(Arch::new()), portable);
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                assert_eq!(run(Arch::V3(v3)), portable);
            }
        }
    }
}
