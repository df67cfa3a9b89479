//! Convolutions as matrix products: the windows of a row as columns of a matrix, and back.
//!
//! `columns[k, place]` is the number that weight `k = (channel, y, x backwards)` sees in the window at
//! `place`, the arrangement of Caffe's `im2col` (Jia et al. 2014). One group only.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::convolution::{add_run, add_turned, turn};
use crate::connection::matmul::{Matrix, add_product, set_product};

/// Calls `visit` with each run of neighbouring windows of a line that weight `k` sees: the first element of
/// the columns, the number of windows, and the first place of the row if it is inside; the windows before
/// and after see padding.
#[inline(always)]
fn runs(window: &Window, mut visit: impl FnMut(usize, usize, Option<usize>)) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let mut at = 0;
    for channel in 0..window.channels[0] {
        for ky in 0..kernel_height {
            for kx in (0..kernel_width).rev() {
                let shift = kx * window.dilation[1];
                // Windows from `left` to `right` see a place inside of the line.
                let stride = window.stride[1];
                let left = window.pad[1].saturating_sub(shift).div_ceil(stride);
                let left = left.min(columns);
                let right = (width + window.pad[1])
                    .saturating_sub(shift)
                    .div_ceil(stride);
                let right = right.clamp(left, columns);
                for row in 0..rows {
                    let y = row * window.stride[0] + ky * window.dilation[0];
                    let y = y.checked_sub(window.pad[0]).filter(|y| *y < height);
                    match y {
                        Some(y) if left < right => {
                            let x = left * stride + shift - window.pad[1];
                            visit(at, left, None);
                            visit(
                                at + left,
                                right - left,
                                Some((channel * height + y) * width + x),
                            );
                            visit(at + right, columns - right, None);
                        }
                        Some(_) | None => visit(at, columns, None),
                    }
                    at += columns;
                }
            }
        }
    }
}

fn fill<R: Real>(window: &Window, x: &[R], columns: &mut Aligned<R>) {
    let places = window.output[0] * window.output[1];
    columns.resize(window.channels[0] * window.area() * places);
    let stride = window.stride[1];
    runs(window, |at, len, first| {
        let to = &mut columns[at..][..len];
        match first {
            None => to.fill(R::ZERO),
            Some(first) if stride == 1 => to.copy_from_slice(&x[first..][..len]),
            Some(first) => {
                let from = x[first..].iter().step_by(stride);
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = x);
            }
        }
    });
}

/// `out[o, place] += Σ w · x` for a row of numbers.
pub(crate) fn forward<R: Real>(
    window: &Window,
    weights: &[R],
    x: &[R],
    columns: &mut Aligned<R>,
    out: &mut [R],
) {
    fill(window, x, columns);
    let places = window.output[0] * window.output[1];
    let weights = Matrix::of_rows(weights, window.channels[1]).transposed();
    add_product(out, weights, Matrix::of_rows(columns, places));
}

/// `dw += Σ x · delta` for a row of numbers.
pub(crate) fn weight_gradient<R: Real>(
    window: &Window,
    x: &[R],
    delta: &[R],
    columns: &mut Aligned<R>,
    dw: &mut [R],
) {
    fill(window, x, columns);
    let places = window.output[0] * window.output[1];
    let delta = Matrix::of_rows(delta, places).transposed();
    add_product(dw, Matrix::of_rows(columns, places), delta);
}

/// Memory for the input gradient.
#[derive(Debug, Default)]
pub(crate) struct Back<R> {
    /// The weights as `[output channel, kernel line, kernel column, input channel]`.
    weights: Aligned<R>,
    /// A row of `delta`, and one of `dx`, as `[place, channel]`.
    delta: Aligned<R>,
    dx: Aligned<R>,
}

/// `dx[i] += Σ w · delta` for all places `i`, for rows of `delta` and of `dx`.
///
/// The product has a line for each window, and in it, for each line of the kernel, what goes to the places that it
/// sees, all their channels side by side: one run of numbers in a row `[place, channel]`.
pub(crate) fn input_gradient<R: Real>(
    arch: Arch,
    window: &Window,
    weights: &[R],
    delta: &[R],
    (back, columns): (&mut Back<R>, &mut Aligned<R>),
    dx: &mut [R],
) {
    let [channels, out] = window.channels;
    let places = window.output[0] * window.output[1];
    let inputs = channels * window.input[0] * window.input[1];
    let seen = channels * window.area();
    reorder(window, weights, &mut back.weights);
    back.delta.resize(places * out);
    back.dx.resize(inputs);
    columns.resize(places * seen);
    let rows = delta.chunks_exact(places * out);
    for (delta, dx) in rows.zip(dx.chunks_exact_mut(inputs)) {
        turn(delta, out, &mut back.delta);
        let delta = Matrix::of_rows(&back.delta, out);
        set_product(columns, delta, Matrix::of_rows(&back.weights, seen));
        back.dx.fill(R::ZERO);
        arch.dispatch(Fold {
            window,
            columns,
            dx: &mut back.dx,
        });
        add_turned(&back.dx, channels, dx);
    }
}

/// Weights `[input channel, line, column backwards, output channel]` as `[output channel, line, column, input
/// channel]`.
fn reorder<R: Real>(window: &Window, weights: &[R], reordered: &mut Aligned<R>) {
    let [channels, out] = window.channels;
    let [height, width] = window.kernel;
    reordered.resize(weights.len());
    let mut lines = weights.chunks_exact(out);
    for channel in 0..channels {
        for ky in 0..height {
            for kx in (0..width).rev() {
                let line = lines.next().expect("as many weights as the window has");
                let first = (ky * width + kx) * channels + channel;
                for (o, &w) in line.iter().enumerate() {
                    reordered[o * height * width * channels + first] = w;
                }
            }
        }
    }
}

/// Adds the columns of each window to the places that it sees.
struct Fold<'a, R> {
    window: &'a Window,
    columns: &'a [R],
    dx: &'a mut [R],
}

impl<R: Real> WithSimd for Fold<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let window = self.window;
        let [height, width] = window.input;
        let [kernel_height, kernel_width] = window.kernel;
        let channels = window.channels[0];
        let mut lines = self.columns.chunks_exact(kernel_width * channels);
        for place in 0..window.output[0] * window.output[1] {
            let (y, x) = (place / window.output[1], place % window.output[1]);
            let (y, x) = (y * window.stride[0], x * window.stride[1]);
            for (ky, line) in (0..kernel_height).zip(&mut lines) {
                let y = (y + ky * window.dilation[0]).checked_sub(window.pad[0]);
                let Some(y) = y.filter(|y| *y < height) else {
                    continue;
                };
                let dx = &mut self.dx[y * width * channels..][..width * channels];
                if window.dilation[1] == 1 {
                    // The columns of the kernel that are inside.
                    let from = window.pad[1].saturating_sub(x).min(kernel_width);
                    let to = (width + window.pad[1]).saturating_sub(x);
                    let to = to.clamp(from, kernel_width);
                    if from < to {
                        let first = (x + from - window.pad[1]) * channels;
                        let len = (to - from) * channels;
                        add_run(
                            &mut dx[first..][..len],
                            &line[from * channels..][..len],
                            R::ONE,
                        );
                    }
                    continue;
                }
                for (kx, of_place) in line.chunks_exact(channels).enumerate() {
                    let x = (x + kx * window.dilation[1]).checked_sub(window.pad[1]);
                    if let Some(x) = x.filter(|x| *x < width) {
                        add_run(&mut dx[x * channels..][..channels], of_place, R::ONE);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_folds_to_the_same_bits() {
        let number = |i: usize| ((i * 37) % 101) as f32 / 3.0 - 16.0;
        for dilation in [[1, 1], [1, 2]] {
            let window = Window {
                axes: 2,
                channels: [3, 20],
                input: [9, 8],
                output: [5, 10 - 2 * dilation[1]],
                kernel: [5, 3],
                stride: [1, 1],
                pad: [0, 1],
                dilation,
                groups: 1,
            };
            let places = window.output[0] * window.output[1];
            let columns: Vec<f32> = (0..places * 3 * 15).map(number).collect();
            let run = |arch: Arch| {
                let mut dx = vec![0.1; 3 * 9 * 8];
                arch.dispatch(Fold {
                    window: &window,
                    columns: &columns,
                    dx: &mut dx,
                });
                dx
            };
            let portable = run(Arch::Scalar);
            assert!(portable.iter().any(|x| *x != 0.1));
            assert_eq!(run(Arch::new()), portable);
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                assert_eq!(run(Arch::V3(v3)), portable);
            }
        }
    }
}
