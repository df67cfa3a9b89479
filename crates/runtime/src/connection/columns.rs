//! Convolutions as matrix products: the windows of a row as columns of a matrix.
//!
//! `columns[k, place]` is the number that weight `k = (channel, y, x backwards)` sees in the window at
//! `place`, the arrangement of Caffe's `im2col` (Jia et al. 2014). One group only.

use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::matmul::{Matrix, add_product};

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
