//! The gradient of the weights of a convolution that few events go through: output channel by output channel.
//!
//! The adjoints of one channel are a plane. An event sees a few neighbours of it in each of a few lines, and what all
//! events of an input channel see is added up in a register for each line of the kernel. Nothing is turned for that, so it
//! is worth its while where `convolution.rs` would spend more on turning adjoints than on events.
//!
//! Around the plane are zeros, so that every event sees whole lines.

use pulp::{Arch, Simd, WithSimd};
use rheobase_ir::program::Window;
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::rows::Entries;

/// The places of a line that an event sees at most.
pub(crate) const LANES: usize = 8;

/// Memory for the time of a gradient.
#[derive(Debug, Default)]
pub(crate) struct Memory<R> {
    /// Where what a place sees through line 0 of the kernel begins in a plane.
    places: Vec<u32>,
    /// The same of the events of all rows.
    begins: Vec<u32>,
    values: Vec<R>,
    /// The events of input channel `c` in row `r` are those from `offsets[r · channels + c]` on.
    offsets: Vec<u32>,
    plane: Aligned<R>,
    /// The gradient of what leads to one output channel, [`LANES`] numbers for each line of a kernel.
    sums: Aligned<R>,
}

impl<R: Real> Memory<R> {
    /// Forgets the rows of the call before.
    pub(crate) fn begin(&mut self, window: &Window) {
        let [height, width] = window.input;
        let above = window.kernel[0] - 1;
        let place = |p: usize| {
            let (y, x) = (p / width + window.pad[0], p % width + window.pad[1]);
            ((above + y) * line(window) + x) as u32
        };
        self.places.clear();
        self.places.extend((0..height * width).map(place));
        self.begins.clear();
        self.values.clear();
        self.offsets.clear();
        self.offsets.push(0);
    }

    /// Appends a row, whose entries are in ascending order.
    pub(crate) fn append(&mut self, window: &Window, x: Entries<'_, R>) {
        let before = self.begins.len();
        let size = self.places.len();
        let mut rest = x.indices;
        for channel in 0..window.channels[0] {
            let first = channel * size;
            let count = rest.partition_point(|&i| (i as usize) < first + size);
            let (own, others) = rest.split_at(count);
            let begins = own.iter().map(|&i| self.places[i as usize - first]);
            self.begins.extend(begins);
            self.offsets.push(self.begins.len() as u32);
            rest = others;
        }
        // Nothing has a value until something has one.
        if let Some(values) = x.values {
            self.values.resize(before, R::ONE);
            self.values.extend_from_slice(values);
        } else if !self.values.is_empty() {
            self.values.resize(self.begins.len(), R::ONE);
        }
    }
}

/// The distance between two lines of a plane: the zeros after a line are those before the next one.
fn line(window: &Window) -> usize {
    window.output[1] + window.kernel[1] - 1
}

/// `dw += Σ x · delta` for the rows that were appended and their rows of `delta`.
pub(crate) fn weight_gradient<R: Real>(
    arch: Arch,
    window: &Window,
    delta: &[R],
    memory: &mut Memory<R>,
    dw: &mut [R],
) {
    let above = window.kernel[0] - 1;
    let lines = window.output[0] + 2 * above;
    let Memory { plane, sums, .. } = memory;
    plane.resize((lines + 1) * line(window) + LANES);
    plane.fill(R::ZERO);
    sums.resize(window.channels[0] * window.kernel[0] * LANES);
    arch.dispatch(Gradient {
        window,
        delta,
        memory,
        dw,
    });
}

/// The arguments of [`weight_gradient`].
struct Gradient<'a, R> {
    window: &'a Window,
    delta: &'a [R],
    memory: &'a mut Memory<R>,
    dw: &'a mut [R],
}

impl<R: Real> WithSimd for Gradient<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Gradient {
            window,
            delta,
            memory,
            dw,
        } = self;
        let Memory {
            begins,
            values,
            offsets,
            plane,
            sums,
            ..
        } = memory;
        let [channels, out] = window.channels;
        let [height, width] = window.kernel;
        let (rows, columns) = (window.output[0], window.output[1]);
        let line = line(window);
        let first = (height - 1) * line + width - 1;
        for o in 0..out {
            sums.fill(R::ZERO);
            let planes = delta.chunks_exact(rows * columns).skip(o).step_by(out);
            for (offsets, delta) in offsets.windows(channels + 1).step_by(channels).zip(planes) {
                if offsets[0] == offsets[channels] {
                    continue;
                }
                for (to, from) in plane[first..]
                    .chunks_mut(line)
                    .zip(delta.chunks_exact(columns))
                {
                    copy(&mut to[..columns], from);
                }
                for (ends, sums) in offsets
                    .windows(2)
                    .zip(sums.chunks_exact_mut(height * LANES))
                {
                    let events = ends[0] as usize..ends[1] as usize;
                    let values = (!values.is_empty()).then(|| &values[events.clone()]);
                    of_channel(plane, line, &begins[events], values, sums);
                }
            }
            // Kernels are stored with the output channels side by side.
            for (k, sums) in sums.chunks_exact(LANES).enumerate() {
                for (x, &sum) in sums[..width].iter().enumerate() {
                    let dw = &mut dw[(k * width + x) * out + o];
                    *dw = dw.add(sum);
                }
            }
        }
    }
}

/// Copies a line. A call for so little would take longer.
#[inline(always)]
fn copy<R: Real>(to: &mut [R], from: &[R]) {
    let (to, to_rest) = to.as_chunks_mut::<LANES>();
    let (from, from_rest) = from.as_chunks::<LANES>();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    let rest = to_rest.iter_mut().zip(from_rest);
    rest.for_each(|(to, from)| *to = *from);
}

/// Adds what the events of an input channel see to the sums of all lines of the kernel.
#[inline(always)]
fn of_channel<R: Real>(
    plane: &[R],
    line: usize,
    begins: &[u32],
    values: Option<&[R]>,
    sums: &mut [R],
) {
    let (mut sums, _) = sums.as_chunks_mut::<LANES>();
    let mut above = 0;
    while !sums.is_empty() {
        let count = match sums.len() {
            5.. => lines::<R, 5>(plane, line, above, begins, values, sums),
            3.. => lines::<R, 3>(plane, line, above, begins, values, sums),
            _ => lines::<R, 1>(plane, line, above, begins, values, sums),
        };
        above += count * line;
        sums = &mut sums[count..];
    }
}

/// [`of_channel`] for `K` lines of the kernel, of which the first one is seen so many numbers before line 0; returns `K`.
#[inline(always)]
fn lines<R: Real, const K: usize>(
    plane: &[R],
    line: usize,
    above: usize,
    begins: &[u32],
    values: Option<&[R]>,
    sums: &mut [[R; LANES]],
) -> usize {
    let mut lines = [[R::ZERO; LANES]; K];
    lines.copy_from_slice(&sums[..K]);
    // The events see lines one after the other, the last line of the kernel first.
    let (back, reach) = (above + (K - 1) * line, (K - 1) * line + LANES);
    match values {
        None => {
            for &begin in begins {
                let seen = &plane[begin as usize - back..][..reach];
                for k in 0..K {
                    let seen = &seen[(K - 1 - k) * line..][..LANES];
                    for i in 0..LANES {
                        lines[k][i] = lines[k][i].add(seen[i]);
                    }
                }
            }
        }
        Some(values) => {
            for (&begin, &value) in begins.iter().zip(values) {
                let seen = &plane[begin as usize - back..][..reach];
                for k in 0..K {
                    let seen = &seen[(K - 1 - k) * line..][..LANES];
                    for i in 0..LANES {
                        lines[k][i] = lines[k][i].add(seen[i].mul(value));
                    }
                }
            }
        }
    }
    sums[..K].copy_from_slice(&lines);
    K
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::convolution;

    #[test]
    fn planes_give_what_turned_rows_give_on_every_instruction_set() {
        // Multiples of a power of two: sums in any order are exact.
        let number = |i: usize| ((i * 37) % 101) as f32 / 8.0 - 6.0;
        let kernels = [
            ([5, 3], [0, 0]),
            ([1, 1], [0, 0]),
            ([2, 8], [3, 2]),
            ([7, 5], [2, 4]),
        ];
        let cases = [[3, 20], [2, 5]].into_iter();
        for (channels, (kernel, pad)) in cases.flat_map(|c| kernels.map(|k| (c, k))) {
            let input = [9, 10];
            let output = [0, 1].map(|a| input[a] + 2 * pad[a] + 1 - kernel[a]);
            let window = Window {
                axes: 2,
                channels,
                input,
                output,
                kernel,
                stride: [1, 1],
                pad,
                dilation: [1, 1],
                groups: 1,
            };
            let size = output[0] * output[1] * channels[1];
            let delta: Vec<f32> = (0..3 * size).map(number).collect();
            let all = 0..(channels[0] * 90) as u32;
            let indices: [Vec<u32>; 3] =
                [7, 1000, 3].map(|n| all.clone().filter(|i| i % n == n / 2).collect());
            let values: Vec<f32> = indices[2].iter().map(|&i| number(i as usize)).collect();
            let x = |row: usize| Entries {
                indices: &indices[row],
                values: (row == 2).then_some(&values[..]),
            };
            let weights = channels[0] * kernel[0] * kernel[1] * channels[1];
            let mut expected = vec![0.5; weights];
            for (row, delta) in delta.chunks(size).enumerate() {
                let memory = &mut convolution::Memory::default();
                convolution::weight_gradient(
                    Arch::Scalar,
                    &window,
                    x(row),
                    delta,
                    memory,
                    &mut expected,
                );
            }
            assert!(expected.iter().any(|x| *x != 0.5));
            let mut archs = vec![Arch::Scalar, Arch::new()];
            #[cfg(target_arch = "x86_64")]
            archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
            for arch in archs {
                let (mut dw, mut memory) = (vec![0.5; weights], Memory::default());
                memory.begin(&window);
                (0..3).for_each(|row| memory.append(&window, x(row)));
                weight_gradient(arch, &window, &delta, &mut memory, &mut dw);
                assert_eq!(dw, expected, "{window:?}");
            }
        }
    }
}
