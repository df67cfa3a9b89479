//! The input gradient of a convolution, a transposed convolution, as matrix products.
//!
//! A line of the input is seen through one line of the kernel from each of a few lines of windows. For every column of
//! windows the adjoints of these lines of windows stand side by side, and so do the lines of the kernel: their product is
//! what the windows of that column give to the places below them in the line, `kernel columns × channels` numbers. It is
//! one product for a line of many rows, in which nothing is computed twice or for nothing; what neighbouring columns of
//! windows give to one place is added afterwards.

use std::cmp::Reverse;

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::convolution::{add_run, add_turned, turn_in_order};
use crate::connection::step_product::add_product_of_parts;

/// Lines of the product are as long as a multiple of this, so that whole registers are filled.
const LANES: usize = 16;

/// The memory that the adjoints of the rows that are done together may take: a part of a second-level cache.
const BYTES: usize = 1 << 17;

/// Memory for the time of a gradient.
#[derive(Debug, Default)]
pub(crate) struct Memory<R> {
    /// The lines of the kernel in the order of [`order`].
    order: Vec<usize>,
    /// Where each window is among all of them, column by column.
    places: Vec<u32>,
    /// The weights as `[group, line, output channel, column, input channel]`, lines in that order, with zeros up to
    /// the length of a line of the product.
    kernel: Aligned<R>,
    /// Some rows of adjoints as `[group, row, column, line, output channel]`.
    delta: Aligned<R>,
    /// A line of every row as `[row, column of windows, column of the kernel, input channel]`.
    product: Aligned<R>,
    /// The gradients as `[group, row, place, input channel]`.
    dx: Aligned<R>,
}

/// The sizes of one group of a convolution.
#[derive(Clone, Copy)]
struct Shape<'w> {
    window: &'w Window,
    /// Channels that go in and come out.
    channels: usize,
    out: usize,
    /// Lines and columns of windows.
    lines: usize,
    columns: usize,
    /// Places of the input.
    places: usize,
    /// The numbers that windows of a column give to a line, and the length of a line of the product.
    seen: usize,
    wide: usize,
}

impl Shape<'_> {
    fn new(window: &Window) -> Shape<'_> {
        let [channels, out] = window.channels.map(|c| c / window.groups);
        let seen = window.kernel[1] * channels;
        Shape {
            window,
            channels,
            out,
            lines: window.output[0],
            columns: window.output[1],
            places: window.input[0] * window.input[1],
            seen,
            wide: if seen > LANES / 4 {
                seen.next_multiple_of(LANES)
            } else {
                seen
            },
        }
    }

    /// The numbers of a row of adjoints.
    fn outputs(&self) -> usize {
        self.lines * self.columns * self.out
    }

    /// The line of windows that sees line `y` of the input through line `k` of the kernel.
    fn line(&self, y: usize, k: usize) -> Option<usize> {
        let start = (y + self.window.pad[0]).checked_sub(k * self.window.dilation[0])?;
        let line = start / self.window.stride[0];
        (start.is_multiple_of(self.window.stride[0]) && line < self.lines).then_some(line)
    }

    /// Calls `visit` with runs of lines of windows that see line `y` through kernel lines that follow each other in
    /// `order`: the first one, the place of its kernel line in the order, and how many they are.
    fn runs(&self, y: usize, order: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
        let mut at = 0;
        while at < order.len() {
            let Some(first) = self.line(y, order[at]) else {
                at += 1;
                continue;
            };
            let mut len = 1;
            while at + len < order.len() && self.line(y, order[at + len]) == Some(first + len) {
                len += 1;
            }
            visit(first, at, len);
            at += len;
        }
    }
}

/// The lines of a kernel in such an order that those through which neighbouring lines of windows see a line of the
/// input follow each other.
fn order(window: &Window, order: &mut Vec<usize>) {
    let (stride, dilation) = (window.stride[0], window.dilation[0]);
    order.clear();
    order.extend(0..window.kernel[0]);
    order.sort_unstable_by_key(|k| (k * dilation % stride, Reverse(*k)));
}

/// Weights `[input channel of a group, line, column backwards, output channel]` in the order of [`Memory::kernel`].
fn arrange<R: Real>(shape: &Shape<'_>, order: &[usize], weights: &[R], kernel: &mut Aligned<R>) {
    let Window {
        kernel: [height, width],
        channels: [_, out],
        groups,
        ..
    } = *shape.window;
    kernel.resize(out * height * shape.wide);
    kernel.fill(R::ZERO);
    let lines = kernel.chunks_exact_mut(shape.wide);
    let places = (0..groups).flat_map(|g| {
        let of_order = order.iter();
        of_order.flat_map(move |&k| (0..shape.out).map(move |o| (k, g * shape.out + o)))
    });
    for (line, (k, o)) in lines.zip(places) {
        for (x, line) in line[..shape.seen]
            .chunks_exact_mut(shape.channels)
            .enumerate()
        {
            for (c, to) in line.iter_mut().enumerate() {
                let from = (c * height + k) * width + width - 1 - x;
                *to = weights[from * out + o];
            }
        }
    }
}

/// `dx[i] += Σ w · delta` for all places `i`, for rows of `delta` and of `dx`.
pub(crate) fn input_gradient<R: Real>(
    arch: Arch,
    window: &Window,
    weights: &[R],
    delta: &[R],
    memory: &mut Memory<R>,
    dx: &mut [R],
) {
    let shape = Shape::new(window);
    order(window, &mut memory.order);
    arrange(&shape, &memory.order, weights, &mut memory.kernel);
    let by_column = |w| (w % shape.columns * shape.lines + w / shape.columns) as u32;
    memory.places.clear();
    memory
        .places
        .extend((0..shape.lines * shape.columns).map(by_column));
    let groups = window.groups;
    let (outputs, inputs) = (shape.outputs() * groups, shape.places * window.channels[0]);
    let most = (BYTES / (outputs * size_of::<R>()).max(1)).clamp(1, 64);
    let blocks = delta.chunks(most * outputs);
    for (delta, dx) in blocks.zip(dx.chunks_mut(most * inputs)) {
        let rows = delta.len() / outputs;
        memory.delta.resize(delta.len());
        for (k, delta) in delta.chunks_exact(shape.outputs()).enumerate() {
            let (row, group) = (k / groups, k % groups);
            let to = &mut memory.delta[(group * rows + row) * shape.outputs()..];
            turn_in_order(delta, shape.out, &memory.places, &mut to[..delta.len()]);
        }
        memory.dx.resize(dx.len());
        memory.dx.fill(R::ZERO);
        let of_groups = memory.delta.chunks_exact(rows * shape.outputs());
        let kernels = memory.kernel.chunks_exact(memory.kernel.len() / groups);
        let of_groups = of_groups.zip(kernels);
        let each = rows * shape.places * shape.channels;
        for ((delta, kernel), dx) in of_groups.zip(memory.dx.chunks_exact_mut(each)) {
            for y in 0..window.input[0] {
                let product = &mut memory.product;
                product.resize(rows * shape.columns * shape.wide);
                product.fill(R::ZERO);
                let mut some = false;
                shape.runs(y, &memory.order, |line, first, len| {
                    some = true;
                    let stride = shape.lines * shape.out;
                    let line_size = shape.out * shape.wide;
                    let kernel = &kernel[first * line_size..][..len * line_size];
                    let delta = &delta[line * shape.out..];
                    add_product_of_parts(arch, delta, stride, kernel, shape.wide, product);
                });
                if some {
                    let (product, shape) = (&product[..], &shape);
                    arch.dispatch(Fold {
                        shape,
                        product,
                        y,
                        dx: &mut *dx,
                    });
                }
            }
        }
        for (k, dx) in dx
            .chunks_exact_mut(shape.places * shape.channels)
            .enumerate()
        {
            let (row, group) = (k / groups, k % groups);
            let from = &memory.dx[(group * rows + row) * dx.len()..][..dx.len()];
            add_turned(from, shape.channels, dx);
        }
    }
}

/// Adds what windows give to a line to the places that they see.
struct Fold<'a, 'w, R> {
    shape: &'a Shape<'w>,
    product: &'a [R],
    y: usize,
    /// Of all rows of a group.
    dx: &'a mut [R],
}

impl<R: Real> WithSimd for Fold<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Shape {
            window,
            channels,
            columns,
            seen,
            wide,
            ..
        } = *self.shape;
        let (width, kernel_width) = (window.input[1], window.kernel[1]);
        let (pad, dilation) = (window.pad[1], window.dilation[1]);
        let line = width * channels;
        let rows = self.product.chunks_exact(columns * wide);
        for (product, dx) in rows.zip(self.dx.chunks_exact_mut(window.input[0] * line)) {
            let dx = &mut dx[self.y * line..][..line];
            for (column, product) in product.chunks_exact(wide).enumerate() {
                let (x, product) = (column * window.stride[1], &product[..seen]);
                if dilation == 1 {
                    // The columns of the kernel that are inside.
                    let from = pad.saturating_sub(x).min(kernel_width);
                    let to = (width + pad).saturating_sub(x).clamp(from, kernel_width);
                    if from < to {
                        let first = (x + from - pad) * channels;
                        let len = (to - from) * channels;
                        let product = &product[from * channels..][..len];
                        add_run(&mut dx[first..][..len], product, R::ONE);
                    }
                    continue;
                }
                for (k, product) in product.chunks_exact(channels).enumerate() {
                    let x = (x + k * dilation).checked_sub(pad);
                    if let Some(x) = x.filter(|x| *x < width) {
                        add_run(&mut dx[x * channels..][..channels], product, R::ONE);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum over all windows, kernel places and channels that see a place.
    fn by_definition(window: &Window, weights: &[f32], delta: &[f32]) -> Vec<f32> {
        let [height, width] = window.input;
        let [rows, columns] = window.output;
        let [kernel_height, kernel_width] = window.kernel;
        let [channels, out] = window.channels;
        let of_group = [channels, out].map(|c| c / window.groups);
        let mut dx = vec![0.5; channels * height * width];
        for (o, place) in (0..out).flat_map(|o| (0..rows * columns).map(move |p| (o, p))) {
            let d = delta[o * rows * columns + place];
            for c in 0..of_group[0] {
                for k in 0..kernel_height * kernel_width {
                    let (ky, kx) = (k / kernel_width, k % kernel_width);
                    let at = |window_at: usize, k: usize, axis: usize| {
                        let at = window_at * window.stride[axis] + k * window.dilation[axis];
                        let at = at.checked_sub(window.pad[axis]);
                        at.filter(|at| *at < window.input[axis])
                    };
                    let (Some(y), Some(x)) =
                        (at(place / columns, ky, 0), at(place % columns, kx, 1))
                    else {
                        continue;
                    };
                    let w = (c * kernel_height + ky) * kernel_width + kernel_width - 1 - kx;
                    let channel = o / of_group[1] * of_group[0] + c;
                    dx[(channel * height + y) * width + x] += d * weights[w * out + o];
                }
            }
        }
        dx
    }

    #[test]
    fn every_window_and_instruction_set_agrees_with_the_definition() {
        // Small multiples of a power of two: sums in any order are exact.
        let number = |i: usize| ((i * 37) % 101) as f32 / 8.0 - 6.0;
        let axes = [
            (1, 0, 1),
            (1, 2, 1),
            (2, 1, 1),
            (1, 1, 2),
            (2, 2, 2),
            (3, 0, 2),
        ];
        for (v, h) in axes.iter().flat_map(|v| axes.map(|h| (*v, h))) {
            for (channels, groups) in [([3, 20], 1), ([6, 4], 2), ([5, 5], 5)] {
                let (input, kernel) = ([11, 10], [5, 3]);
                let length = |axis: usize, (stride, pad, dilation)| {
                    Window::count(input[axis], kernel[axis], stride, pad, dilation)
                };
                let window = Window {
                    axes: 2,
                    channels,
                    input,
                    output: [length(0, v), length(1, h)].map(|n| n.expect("it fits")),
                    kernel,
                    stride: [v.0, h.0],
                    pad: [v.1, h.1],
                    dilation: [v.2, h.2],
                    groups,
                };
                let weights = channels[0] / groups * 15 * channels[1];
                let weights: Vec<f32> = (0..weights).map(number).collect();
                let size = window.output[0] * window.output[1] * channels[1];
                let delta: Vec<f32> = (0..3 * size).map(|i| number(i + 7)).collect();
                let expected: Vec<f32> = delta
                    .chunks(size)
                    .flat_map(|delta| by_definition(&window, &weights, delta))
                    .collect();
                let mut archs = vec![Arch::Scalar, Arch::new()];
                #[cfg(target_arch = "x86_64")]
                archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
                for arch in archs {
                    let mut dx = vec![0.5; expected.len()];
                    let memory = &mut Memory::default();
                    input_gradient(arch, &window, &weights, &delta, memory, &mut dx);
                    assert_eq!(dx, expected, "{window:?}");
                }
            }
        }
    }
}
