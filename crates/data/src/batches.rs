//! The order of an epoch and its mini-batches.
//!
//! The order is a function of seed and epoch, so that a resumed run sees what an uninterrupted one would have seen.

use crate::error::DataError;
use crate::rng::{Philox, derive_key, domain};

/// The numbers 0..n in the order of one epoch: a Fisher–Yates shuffle seeded by `seed` and `epoch`.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Philox::at(derive_key(seed, domain::EPOCH_ORDER, epoch), [0; 4]).shuffle(&mut order);
    order
}

/// Consecutive mini-batches of an order; the last one may be shorter and is kept.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    chunks: std::slice::Chunks<'a, usize>,
}

impl<'a> Batches<'a> {
    /// Batches of `size` samples from `order`.
    ///
    /// Errors: `DataError::Setting` if `size` is 0.
    pub fn new(order: &'a [usize], size: usize) -> Result<Self, DataError> {
        if size == 0 {
            return Err(DataError::Setting {
                setting: "batch",
                reason: "a batch of 0 samples".to_owned(),
                help: "give at least 1".to_owned(),
            });
        }
        Ok(Batches {
            chunks: order.chunks(size),
        })
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = &'a [usize];

    fn next(&mut self) -> Option<&'a [usize]> {
        self.chunks.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl ExactSizeIterator for Batches<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_changes_with_epoch_and_seed() {
        let order = epoch_order(1000, 1, 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert_eq!(order, epoch_order(1000, 1, 0));
        assert_ne!(order, epoch_order(1000, 1, 1));
        assert_ne!(order, epoch_order(1000, 2, 0));
        assert_eq!(epoch_order(0, 1, 0), Vec::<usize>::new());
        assert_eq!(epoch_order(1, 1, 0), [0]);
    }

    #[test]
    fn the_last_short_batch_is_kept() {
        let order = epoch_order(10, 0, 0);
        let batches = Batches::new(&order, 4).expect("not 0");
        assert_eq!(batches.len(), 3);
        let sizes: Vec<usize> = batches.clone().map(<[usize]>::len).collect();
        assert_eq!(sizes, [4, 4, 2]);
        assert_eq!(batches.flatten().copied().collect::<Vec<_>>(), order);
        assert_eq!(Batches::new(&[], 4).expect("not 0").len(), 0);
        assert!(Batches::new(&order, 0).is_err());
    }
}
