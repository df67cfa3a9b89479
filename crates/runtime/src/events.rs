//! Spikes as lists of indices: what arrives from outside, and what layers fire.

use std::ops::Range;

use rheobase_ir::real::Real;

use crate::connection::by_source::Arrivals;

/// The events of one sample at one input population, grouped by step. Borrowed from whoever holds the data.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    /// The events of step `t` are those from `offsets[t]` to `offsets[t + 1]`.
    pub offsets: &'a [u32],
    /// The channel of each event.
    pub indices: &'a [u32],
    /// The value of each event; 1 where there are none.
    pub values: Option<&'a [f32]>,
}

impl<'a> Events<'a> {
    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The largest channel, if it is not one of so many.
    pub(crate) fn beyond(&self, channels: usize) -> Option<u32> {
        // The highest bit tells, of all of them at once: a search that ends early takes one at a time.
        let last = (channels as u32).wrapping_sub(1);
        let beyond = |all, &c: &u32| all | c | last.wrapping_sub(c);
        if channels > 0 && self.indices.iter().fold(0, beyond) >> 31 == 0 {
            return None;
        }
        let largest = self.indices.iter().copied().max();
        largest.filter(|c| *c as usize >= channels)
    }

    /// The number of events of some steps; none after the last one.
    pub(crate) fn count(&self, steps: Range<usize>) -> usize {
        let until = |step: usize| {
            let end = self.offsets.get(step.min(self.steps()));
            end.map_or(0, |&end| end as usize)
        };
        until(steps.end) - until(steps.start)
    }

    /// Channels and values of the events of a step; nothing after the last step.
    pub fn at(&self, t: usize) -> (&'a [u32], Option<&'a [f32]>) {
        if t >= self.steps() {
            return (&[], None);
        }
        let range = self.offsets[t] as usize..self.offsets[t + 1] as usize;
        (&self.indices[range.clone()], self.values.map(|v| &v[range]))
    }
}

/// Indices of spikes that are written together.
const TOGETHER: usize = 8;

/// The spikes of a layer for a group of samples, in the order of step, sample, neuron.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpikeLog {
    offsets: Vec<u32>,
    /// The first `len` are those of this run. What follows is room for more.
    indices: Vec<u32>,
    /// The number that each spike carries, for layers whose spikes carry one. In single precision, as those of inputs.
    values: Vec<f32>,
    len: usize,
    samples: usize,
    /// The rows that will be appended, if all are.
    rows: usize,
}

impl SpikeLog {
    /// Forgets everything, for a group of this many samples and so many steps.
    pub(crate) fn restart(&mut self, samples: usize, steps: usize) {
        self.rows = steps * samples;
        self.offsets.clear();
        self.offsets.reserve_exact(self.rows + 1);
        self.offsets.push(0);
        self.values.clear();
        self.len = 0;
        self.samples = samples;
    }

    /// Appends the spikes of the next step: a byte 0 or 1 per lane, sample by sample, `n` neurons each.
    pub(crate) fn append(&mut self, spikes: &[u8], n: usize) {
        // Indices are written several at a time, the last of them beyond those that count.
        self.make_room(spikes.len() + TOGETHER);
        for sample in spikes.chunks_exact(n) {
            let (words, rest) = sample.as_chunks::<64>();
            for (w, bytes) in words.iter().enumerate() {
                self.append_set_bits(bits(bytes), w as u32 * 64);
            }
            if !rest.is_empty() {
                let mut bytes = [0; 64];
                bytes[..rest.len()].copy_from_slice(rest);
                self.append_set_bits(bits(&bytes), words.len() as u32 * 64);
            }
            self.offsets.push(self.len as u32);
        }
    }

    /// Appends spikes that carry numbers, a number per lane; 0 is no spike.
    pub(crate) fn append_numbers<R: Real>(&mut self, numbers: &[R], n: usize) {
        for sample in numbers.chunks_exact(n) {
            self.make_room(n);
            for (i, &number) in sample.iter().enumerate() {
                if number != R::ZERO {
                    self.indices[self.len] = i as u32;
                    self.values.push(number.to_f64() as f32);
                    self.len += 1;
                }
            }
            self.offsets.push(self.len as u32);
        }
    }

    /// Room for so many more, and if it has to grow for as many as the whole run will have at the rate so far.
    fn make_room(&mut self, more: usize) {
        let most = self.len + more;
        if self.indices.len() >= most {
            return;
        }
        let done = self.offsets.len() as f64;
        let expected = self.len as f64 * (self.rows as f64 / done).max(1.0) * 1.05;
        let grown = self.indices.len() / 8 * 9;
        let size = most.max(grown).max(expected as usize + more);
        self.indices.reserve_exact(size - self.indices.len());
        self.indices.resize(size, 0);
    }

    fn append_set_bits(&mut self, mut bits: u64, first: u32) {
        let count = bits.count_ones() as usize;
        let (room, _) = self.indices[self.len..].as_chunks_mut::<TOGETHER>();
        // How many there are is hard to predict, whether there are more than a few is not.
        for indices in &mut room[..count.div_ceil(TOGETHER)] {
            for index in indices {
                *index = first + bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
            }
        }
        self.len += count;
    }

    /// The neurons that fired at a step in a sample of the group, and the numbers that their spikes carry.
    pub(crate) fn at(&self, t: usize, sample: usize) -> Arrivals<'_> {
        let i = t * self.samples + sample;
        let range = self.offsets[i] as usize..self.offsets[i + 1] as usize;
        // Either all spikes of a layer carry numbers or none.
        let values = (!self.values.is_empty()).then(|| &self.values[range.clone()]);
        (&self.indices[range], values)
    }

    /// The entries of a row, that is a step of a sample.
    pub(crate) fn row(&self, row: usize) -> &[u32] {
        &self.indices[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The number of spikes of some steps.
    pub(crate) fn count(&self, steps: Range<usize>) -> usize {
        let until = |step: usize| self.offsets[step * self.samples] as usize;
        until(steps.end) - until(steps.start)
    }

    /// The number of spikes so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// One bit for each of 64 bytes that are 0 or 1. The product moves the lowest bit of each of eight bytes to
/// a bit of the highest byte, and no two of its terms meet.
fn bits(bytes: &[u8; 64]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let mut bits = 0;
    for (w, word) in words.iter().enumerate() {
        let byte = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= byte << (8 * w);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_there_is_not_is_found() {
        let of = |indices: &[u32], channels| {
            let events = Events {
                offsets: &[0, indices.len() as u32],
                indices,
                values: None,
            };
            events.beyond(channels)
        };
        assert_eq!(of(&[0, 699, 3], 700), None);
        assert_eq!(of(&[0, 700, 3], 700), Some(700));
        assert_eq!(of(&[u32::MAX, 1], 700), Some(u32::MAX));
        assert_eq!(of(&[1 << 31], 700), Some(1 << 31));
        assert_eq!(of(&[], 0), None);
        assert_eq!(of(&[0], 0), Some(0));
    }

    #[test]
    fn a_log_gives_back_what_was_appended() {
        let mut log = SpikeLog::default();
        log.restart(2, 2);
        let mut spikes = vec![0u8; 2 * 11];
        for lane in [0, 7, 8, 10, 11, 21] {
            spikes[lane] = 1;
        }
        log.append(&spikes, 11);
        log.append(&[0; 22], 11);
        assert_eq!(log.at(0, 0).0, [0, 7, 8, 10]);
        assert_eq!(log.at(0, 1).0, [0, 10]);
        assert_eq!(log.at(1, 0).0, [0u32; 0]);
        assert_eq!(log.len(), 6);
    }

    #[test]
    fn spikes_may_carry_numbers() {
        let mut log = SpikeLog::default();
        for _ in 0..2 {
            log.restart(2, 2);
            log.append_numbers(&[0.0, -1.0, 2.5, 3.0, 0.0, 0.0], 3);
            log.append_numbers(&[0.0; 6], 3);
            assert_eq!(log.at(0, 0), (&[1, 2][..], Some(&[-1.0, 2.5][..])));
            assert_eq!(log.at(0, 1), (&[0][..], Some(&[3.0][..])));
            assert_eq!(log.at(1, 1), (&[][..], Some(&[][..])));
            assert_eq!(log.len(), 3);
        }
    }

    #[test]
    fn spikes_of_every_neuron_are_found() {
        for n in [1, 63, 64, 65, 200] {
            let mut log = SpikeLog::default();
            log.restart(1, 1);
            for t in 0..n {
                let spikes: Vec<u8> = (0..n).map(|i| u8::from(i == t || i % 7 == 3)).collect();
                log.append(&spikes, n);
                let expected: Vec<u32> = (0..n as u32)
                    .filter(|&i| i == t as u32 || i % 7 == 3)
                    .collect();
                assert_eq!(log.at(t, 0).0, expected, "n {n} t {t}");
            }
        }
    }
}
