//! Spikes as lists of indices: what arrives from outside, and what layers fire.

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

    /// The number of events of the first `steps` steps.
    pub(crate) fn count(&self, steps: usize) -> usize {
        self.offsets
            .get(steps.min(self.steps()))
            .map_or(0, |&end| end as usize)
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

/// The spikes of a layer for a group of samples, in the order of step, sample, neuron.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpikeLog {
    offsets: Vec<u32>,
    indices: Vec<u32>,
    samples: usize,
}

impl SpikeLog {
    /// Forgets everything, for a group of this many samples.
    pub(crate) fn restart(&mut self, samples: usize) {
        self.offsets.clear();
        self.offsets.push(0);
        self.indices.clear();
        self.samples = samples;
    }

    /// Appends the spikes of the next step: a byte per lane, sample by sample, `n` neurons each.
    pub(crate) fn append(&mut self, spikes: &[u8], n: usize) {
        for sample in spikes.chunks_exact(n) {
            let (words, rest) = sample.as_chunks::<8>();
            for (w, bytes) in words.iter().enumerate() {
                let mut word = u64::from_le_bytes(*bytes);
                while word != 0 {
                    let byte = word.trailing_zeros() / 8;
                    self.indices.push(w as u32 * 8 + byte);
                    word &= word - 1;
                }
            }
            let first = words.len() * 8;
            self.indices.extend(
                rest.iter()
                    .enumerate()
                    .filter(|(_, s)| **s != 0)
                    .map(|(i, _)| (first + i) as u32),
            );
            self.offsets.push(self.indices.len() as u32);
        }
    }

    /// The neurons that fired at a step in a sample of the group.
    pub(crate) fn at(&self, t: usize, sample: usize) -> &[u32] {
        let i = t * self.samples + sample;
        &self.indices[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// The number of spikes so far.
    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_back_what_was_appended() {
        let mut log = SpikeLog::default();
        log.restart(2);
        let mut spikes = vec![0u8; 2 * 11];
        for lane in [0, 7, 8, 10, 11, 21] {
            spikes[lane] = 1;
        }
        log.append(&spikes, 11);
        log.append(&[0; 22], 11);
        assert_eq!(log.at(0, 0), [0, 7, 8, 10]);
        assert_eq!(log.at(0, 1), [0, 10]);
        assert_eq!(log.at(1, 0), [0u32; 0]);
        assert_eq!(log.len(), 6);
    }
}
