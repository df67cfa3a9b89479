//! What goes into an operation: the events of a step of a sample, or the numbers that the operation before
//! gave. Both can be read as a list of entries, so that time goes with what is not zero.

use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::by_source::Arrivals;

/// Numbers that are looked at together.
const CHUNK: usize = 8;

/// One row that goes into an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a, R> {
    /// Neurons and, if they are graded, values. A neuron may be listed more than once.
    Events(Arrivals<'a>),
    /// A number for each neuron.
    Numbers(&'a [R]),
}

/// The rows that go into an operation.
#[derive(Clone, Copy)]
pub(crate) enum Block<'a, 'e, R> {
    /// The events of each row.
    Events(&'a dyn Fn(usize) -> Arrivals<'e>),
    /// Numbers, row by row, of this length.
    Numbers(&'a [R], usize),
}

impl<'a, 'e: 'a, R> Block<'a, 'e, R> {
    /// A row.
    pub(crate) fn row(&self, row: usize) -> Sent<'a, R> {
        match *self {
            Block::Events(events) => Sent::Events(events(row)),
            Block::Numbers(numbers, n) => Sent::Numbers(&numbers[row * n..][..n]),
        }
    }
}

impl<R: Real> Block<'_, '_, R> {
    /// The number of entries of the first rows.
    pub(crate) fn entries(&self, rows: usize) -> usize {
        match *self {
            Block::Events(events) => (0..rows).map(|row| events(row).0.len()).sum(),
            Block::Numbers(numbers, n) => {
                let numbers = numbers[..rows * n].iter();
                numbers.map(|x| usize::from(*x != R::ZERO)).sum()
            }
        }
    }
}

/// The entries of a row: indices and, if they are not all 1, values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a, R> {
    pub(crate) indices: &'a [u32],
    pub(crate) values: Option<&'a [R]>,
}

impl<R: Real> Entries<'_, R> {
    /// Index and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, R)> {
        let values = self.values;
        let indices = self.indices.iter().enumerate();
        indices.map(move |(k, &i)| (i as usize, values.map_or(R::ONE, |v| v[k])))
    }
}

/// Memory for the entries of a row.
#[derive(Debug, Default)]
pub(crate) struct List<R> {
    indices: Vec<u32>,
    values: Vec<R>,
}

impl<R: Real> List<R> {
    /// The entries of a row, without zeros if it consists of numbers.
    pub(crate) fn entries<'s>(&'s mut self, row: Sent<'s, R>) -> Entries<'s, R> {
        match row {
            Sent::Events((indices, None)) => Entries {
                indices,
                values: None,
            },
            Sent::Events((indices, Some(values))) => {
                self.values.clear();
                let values = values.iter().map(|&v| R::from_f64(f64::from(v)));
                self.values.extend(values);
                Entries {
                    indices,
                    values: Some(&self.values),
                }
            }
            Sent::Numbers(numbers) => {
                // Room for all, so that no step needs more memory than another.
                self.indices.resize(numbers.len(), 0);
                self.values.resize(numbers.len(), R::ZERO);
                let mut count = 0;
                for (c, chunk) in numbers.chunks(CHUNK).enumerate() {
                    // Most of them are silent, and that is seen for all at once.
                    if chunk.iter().fold(true, |zero, &x| zero & (x == R::ZERO)) {
                        continue;
                    }
                    for (i, &value) in (c * CHUNK..).zip(chunk) {
                        self.indices[count] = i as u32;
                        self.values[count] = value;
                        count += usize::from(value != R::ZERO);
                    }
                }
                Entries {
                    indices: &self.indices[..count],
                    values: Some(&self.values[..count]),
                }
            }
        }
    }
}

/// A row as numbers.
pub(crate) fn numbers<'s, R: Real>(
    row: Sent<'s, R>,
    n: usize,
    memory: &'s mut Aligned<R>,
) -> &'s [R] {
    match row {
        Sent::Numbers(numbers) => numbers,
        Sent::Events((indices, values)) => {
            memory.resize(n);
            memory.fill(R::ZERO);
            for (k, &i) in indices.iter().enumerate() {
                let value = values.map_or(R::ONE, |v| R::from_f64(f64::from(v[k])));
                let sum = &mut memory[i as usize];
                *sum = sum.add(value);
            }
            memory
        }
    }
}
