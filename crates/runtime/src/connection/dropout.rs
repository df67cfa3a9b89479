//! Masks of dropout: which elements of what an operation gives are dropped from a sample.
//!
//! One mask holds for all steps of a sample, because one that changes from step to step averages out in a
//! membrane (Lee et al. 2020, who drop for a whole sample, too). Whether an element is dropped is a function of
//! seed, epoch, sample, connection and element alone, so it depends neither on the order in which samples run
//! nor on their number, and a block that runs forward a second time has the same mask.

use rheobase_ir::draws;
use rheobase_ir::program::{Network, Synapses};

use crate::aligned::Aligned;
use crate::backend::Float;

/// A dropout of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    pub(crate) connection: usize,
    /// The position among the operations of the connection.
    pub(crate) operation: usize,
    /// The elements of a row.
    pub(crate) elements: usize,
    /// The probability to be dropped, below 1.
    probability: f64,
}

impl Dropout {
    /// All of a network, in order.
    pub(crate) fn all(network: &Network) -> Vec<Dropout> {
        let mut all = Vec::new();
        for (connection, c) in network.connections.iter().enumerate() {
            for (operation, o) in c.operations.iter().enumerate() {
                if let Synapses::Dropout { probability } = o.synapses {
                    all.push(Dropout {
                        connection,
                        operation,
                        elements: o.outputs,
                        probability,
                    });
                }
            }
        }
        all
    }

    /// The factors for samples with these keys: 0 for what is dropped, 1 / (1 − p) for the rest, so that the
    /// mean stays.
    pub(crate) fn draw<R: Float>(
        &self,
        keys: impl ExactSizeIterator<Item = u64>,
        mask: &mut Aligned<R>,
    ) {
        mask.resize(keys.len() * self.elements);
        let kept = R::from_f64(1.0 / (1.0 - self.probability));
        for (key, row) in keys.zip(mask.chunks_exact_mut(self.elements)) {
            for (element, factor) in row.iter_mut().enumerate() {
                let drawn = draws::dropout(key, self.connection, self.operation, element);
                *factor = if drawn < self.probability {
                    R::ZERO
                } else {
                    kept
                };
            }
        }
    }
}
