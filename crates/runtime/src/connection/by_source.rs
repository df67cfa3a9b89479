//! Events sorted by the neuron that sent them, for weight gradients that gather.
//!
//! The gradient of the weights of a presynaptic neuron is the sum of the rows of `delta` at which it
//! spiked. With the list of those rows the sum stays in registers; adding row by row as events come
//! reads and writes the gradient each time.

/// What arrives in one row (a step of a sample): neurons and, if they are graded, values.
pub(crate) type Arrivals<'a> = (&'a [u32], Option<&'a [f32]>);

/// For each presynaptic neuron the rows at which it spiked, in ascending order. Memory is kept when it is
/// filled anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct BySource {
    /// The rows of neuron `i` are those from `offsets[i]` to `offsets[i + 1]`; one more for filling.
    offsets: Vec<u32>,
    rows: Vec<u32>,
    values: Vec<f32>,
    graded: bool,
}

impl BySource {
    /// Sorts the events of the rows `0..rows` of `neurons` presynaptic neurons.
    pub(crate) fn fill<'e>(
        &mut self,
        neurons: usize,
        rows: usize,
        arrivals: impl Fn(usize) -> Arrivals<'e>,
    ) {
        self.offsets.clear();
        self.offsets.resize(neurons + 2, 0);
        self.graded = false;
        for row in 0..rows {
            let (events, values) = arrivals(row);
            self.graded |= values.is_some();
            for &e in events {
                self.offsets[e as usize + 2] += 1;
            }
        }
        let mut sum = 0;
        for offset in &mut self.offsets {
            sum += *offset;
            *offset = sum;
        }
        let total = sum as usize;
        self.rows.resize(total, 0);
        self.values.resize(if self.graded { total } else { 0 }, 0.0);
        for row in 0..rows {
            let (events, values) = arrivals(row);
            for (k, &e) in events.iter().enumerate() {
                let at = &mut self.offsets[e as usize + 1];
                self.rows[*at as usize] = row as u32;
                if self.graded {
                    self.values[*at as usize] = values.map_or(1.0, |v| v[k]);
                }
                *at += 1;
            }
        }
    }

    /// The rows at which a neuron spiked, and the values.
    pub(crate) fn of(&self, neuron: usize) -> Arrivals<'_> {
        let range = self.offsets[neuron] as usize..self.offsets[neuron + 1] as usize;
        let values = self.graded.then(|| &self.values[range.clone()]);
        (&self.rows[range], values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_each_neuron_ascend() {
        let events: [&[u32]; 4] = [&[0, 2], &[], &[2], &[0, 1, 2]];
        let values: [&[f32]; 4] = [&[1.0, 2.0], &[], &[3.0], &[4.0, 5.0, 6.0]];
        let mut sorted = BySource::default();
        sorted.fill(4, 4, |row| (events[row], Some(values[row])));
        assert_eq!(sorted.of(0), (&[0u32, 3][..], Some(&[1.0f32, 4.0][..])));
        assert_eq!(
            sorted.of(2),
            (&[0u32, 2, 3][..], Some(&[2.0f32, 3.0, 6.0][..]))
        );
        assert_eq!(sorted.of(3), (&[][..], Some(&[][..])));
        sorted.fill(3, 4, |row| (events[row], None));
        assert_eq!(sorted.of(1), (&[3u32][..], None));
    }
}
