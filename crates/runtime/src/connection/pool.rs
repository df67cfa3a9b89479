//! Pooling: sums, averages and maxima over windows of one channel.
//!
//! Sums are driven by events. So are maxima where no entry is negative: a window that no entry touches has
//! the maximum 0, at its first place. The gradient of a maximum goes to the first of the largest numbers of
//! a window in row-major order; the padding of a maximum is not one of them.

use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::rows::{Entries, List, Sent, numbers};

/// Memory for the maxima of a row.
#[derive(Debug, Default)]
pub(crate) struct Maxima<R> {
    /// The largest number of each window so far.
    best: Aligned<R>,
    /// Where it is.
    at: Vec<u32>,
    /// A row written out, and its entries.
    row: Aligned<R>,
    list: List<R>,
}

/// The windows of a pool, and which of them a place belongs to.
#[derive(Debug)]
pub(crate) struct Windows {
    window: Window,
    /// The only window of each place, or [`NONE`]; nothing if windows overlap.
    only: Vec<u32>,
}

/// No window.
const NONE: u32 = u32::MAX;

impl Windows {
    /// For rows of `inputs` numbers.
    pub(crate) fn new(window: Window, inputs: usize) -> Windows {
        let apart = |axis: usize| window.kernel[axis] <= window.stride[axis];
        let only = |index: usize| {
            let mut only = NONE;
            each_window(&window, index, |w| only = w as u32);
            only
        };
        let all = 0..if apart(0) && apart(1) { inputs } else { 0 };
        Windows {
            window,
            only: all.map(only).collect(),
        }
    }

    /// Calls `visit` with each window that the place `index` of a row belongs to, in ascending order.
    #[inline(always)]
    fn each(&self, index: usize, mut visit: impl FnMut(usize)) {
        match self.only.get(index) {
            Some(&NONE) => {}
            Some(&only) => visit(only as usize),
            None => each_window(&self.window, index, visit),
        }
    }
}

/// The windows that a place of one axis belongs to: from the first to the one after the last.
fn covering(place: usize, axis: usize, window: &Window) -> (usize, usize) {
    let (kernel, stride) = (window.kernel[axis], window.stride[axis]);
    let place = place + window.pad[axis];
    let first = (place + 1).saturating_sub(kernel).div_ceil(stride);
    (first, (place / stride + 1).min(window.output[axis]))
}

/// Calls `visit` with each window that the place `index` of a row belongs to, in ascending order.
#[inline(always)]
fn each_window(window: &Window, index: usize, mut visit: impl FnMut(usize)) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let (channel, place) = (index / (height * width), index % (height * width));
    let (top, bottom) = covering(place / width, 0, window);
    let (left, right) = covering(place % width, 1, window);
    for y in top..bottom {
        for x in left..right {
            visit((channel * rows + y) * columns + x);
        }
    }
}

/// The first place and the end of a window on one axis, inside of the input.
fn extent(output: usize, axis: usize, window: &Window) -> (usize, usize) {
    let start = output * window.stride[axis];
    let end = (start + window.kernel[axis]).saturating_sub(window.pad[axis]);
    let first = start.saturating_sub(window.pad[axis]);
    (first.min(window.input[axis]), end.min(window.input[axis]))
}

/// Calls `visit` with each place of a window `[channel, y, x]`, in ascending order.
#[inline(always)]
fn each_place(window: &Window, output: usize, mut visit: impl FnMut(usize)) {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let (channel, rest) = (output / (rows * columns), output % (rows * columns));
    let (top, bottom) = extent(rest / columns, 0, window);
    let (left, right) = extent(rest % columns, 1, window);
    for y in top..bottom {
        for x in left..right {
            visit((channel * height + y) * width + x);
        }
    }
}

/// `out[w] += factor · Σ x` over the windows `w`.
pub(crate) fn sum<R: Real>(windows: &Windows, x: Entries<'_, R>, factor: R, out: &mut [R]) {
    for (index, value) in x.iter() {
        let value = value.mul(factor);
        windows.each(index, |w| out[w] = out[w].add(value));
    }
}

/// `Σ_w delta[w] · Σ x`: the gradient of the factor of [`sum`].
pub(crate) fn sum_factor_gradient<R: Real>(windows: &Windows, x: Entries<'_, R>, delta: &[R]) -> R {
    let mut sum = R::ZERO;
    for (index, value) in x.iter() {
        windows.each(index, |w| sum = sum.add(delta[w].mul(value)));
    }
    sum
}

/// `dx[i] += factor · Σ delta[w]` over the windows `w` that `i` belongs to.
pub(crate) fn sum_input_gradient<R: Real>(windows: &Windows, delta: &[R], factor: R, dx: &mut [R]) {
    for (output, &d) in delta.iter().enumerate() {
        let d = d.mul(factor);
        if d != R::ZERO {
            each_place(&windows.window, output, |i| dx[i] = dx[i].add(d));
        }
    }
}

/// Maxima over windows.
#[derive(Debug)]
pub(crate) struct Maximum {
    windows: Windows,
    inputs: usize,
    /// The first place of each window.
    first: Vec<u32>,
}

impl Maximum {
    /// For rows of `inputs` and `outputs` numbers.
    pub(crate) fn new(window: Window, inputs: usize, outputs: usize) -> Maximum {
        let mut first = vec![0; outputs];
        for (output, first) in first.iter_mut().enumerate() {
            let mut found = None;
            each_place(&window, output, |i| found = found.or(Some(i as u32)));
            *first = found.expect("checked: no window is only padding");
        }
        Maximum {
            windows: Windows::new(window, inputs),
            inputs,
            first,
        }
    }

    /// The maxima of a row and where they are, into the memory.
    fn find<R: Real>(&self, row: Sent<'_, R>, memory: &mut Maxima<R>) {
        let Maxima {
            best,
            at,
            row: written,
            list,
        } = memory;
        best.resize(self.first.len());
        best.fill(R::ZERO);
        at.clear();
        at.extend_from_slice(&self.first);
        let entries = list.entries(row);
        let ascending = |i: &[u32]| i[0] < i[1];
        let positive = |v: &[R]| v.iter().all(|&v| v >= R::ZERO);
        // Events of one neuron add up before a maximum is taken.
        if entries.values.is_none_or(positive) && entries.indices.windows(2).all(ascending) {
            for (index, value) in entries.iter() {
                self.windows.each(index, |w| {
                    if value > best[w] {
                        (best[w], at[w]) = (value, index as u32);
                    }
                });
            }
            return;
        }
        let x = numbers(row, self.inputs, written);
        for (output, (best, at)) in best.iter_mut().zip(at).enumerate() {
            *best = x[*at as usize];
            each_place(&self.windows.window, output, |i| {
                if x[i] > *best {
                    (*best, *at) = (x[i], i as u32);
                }
            });
        }
    }

    /// `out[w] += factor · max x` over the windows `w`.
    pub(crate) fn forward<R: Real>(
        &self,
        row: Sent<'_, R>,
        factor: R,
        memory: &mut Maxima<R>,
        out: &mut [R],
    ) {
        self.find(row, memory);
        for (out, &best) in out.iter_mut().zip(&*memory.best) {
            *out = out.add(best.mul(factor));
        }
    }

    /// `Σ_w delta[w] · max x`: the gradient of the factor.
    pub(crate) fn factor_gradient<R: Real>(
        &self,
        row: Sent<'_, R>,
        memory: &mut Maxima<R>,
        delta: &[R],
    ) -> R {
        self.find(row, memory);
        let products = memory.best.iter().zip(delta);
        products.fold(R::ZERO, |sum, (&best, &d)| sum.add(best.mul(d)))
    }

    /// `dx[i] += factor · delta[w]` for the place `i` of the maximum of each window `w`.
    pub(crate) fn input_gradient<R: Real>(
        &self,
        row: Sent<'_, R>,
        factor: R,
        memory: &mut Maxima<R>,
        delta: &[R],
        dx: &mut [R],
    ) {
        self.find(row, memory);
        for (&at, &d) in memory.at.iter().zip(delta) {
            let dx = &mut dx[at as usize];
            *dx = dx.add(d.mul(factor));
        }
    }
}
