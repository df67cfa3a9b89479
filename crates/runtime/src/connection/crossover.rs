//! The densities at which a matrix product becomes as fast as what is driven by events: measurements, not constants.
//!
//! `cargo bench --bench crossover` times both ways over density and prints the tables of this file; `benches/crossover.rs`
//! says how. They are of one machine, an AMD EPYC of the fifth generation (Zen 5, AVX-512, 1 MiB of second-level
//! cache), where three runs differed by no more than 0.02 for most sizes and by 0.05 for one, and stay the same on every other one, so that a choice depends on the data
//! alone. A size that is not in a table has the density of the nearest one.

/// What was measured for one size of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crossover {
    /// The neurons that send, or for a convolution the weights of one output channel.
    pub(crate) inputs: usize,
    /// The neurons that receive, or the output channels.
    pub(crate) outputs: usize,
    /// The share of entries that are not zero at which both ways take the same time.
    pub(crate) density: f64,
}

/// A row of a table.
const fn at(inputs: usize, outputs: usize, density: f64) -> Crossover {
    Crossover {
        inputs,
        outputs,
        density,
    }
}

/// Dense connections forward: gathered rows of weights against a product over all steps.
pub(crate) const FORWARD: &[Crossover] =
    &[at(128, 128, 0.40), at(700, 128, 0.40), at(1024, 1024, 0.40)];

/// The gradient of dense weights: sorted events against a product over all steps.
pub(crate) const WEIGHTS: &[Crossover] =
    &[at(128, 128, 0.25), at(700, 128, 0.25), at(1024, 1024, 0.25)];

/// Adjoints of spikes over all steps: inner products where they are read against a product. Without AVX-512 matrix
/// products are half as fast, and inner products hardly slower: an AMD EPYC of the third generation (Zen 3) has 0.24, 0.37 and
/// 0.43 where the other one has 0.25. These are between them.
pub(crate) const MASKED: &[Crossover] =
    &[at(700, 128, 0.25), at(512, 512, 0.31), at(1024, 1024, 0.34)];

/// The same inside of a cycle, step by step; 0.39 and 0.25 there.
pub(crate) const MASKED_STEP: &[Crossover] = &[at(128, 128, 0.32), at(1024, 1024, 0.32)];

/// Convolutions of a row forward: kernels added where events are against a product of windows.
pub(crate) const CONVOLUTION: &[Crossover] = &[at(50, 12, 0.30), at(300, 32, 0.30)];

/// The gradient of the weights of a convolution.
pub(crate) const CONVOLUTION_WEIGHTS: &[Crossover] = &[at(50, 12, 0.30), at(300, 32, 0.30)];

/// The density of the size in the table that is nearest in ratio; of two that are equally near that of the first.
pub(crate) fn density(table: &[Crossover], inputs: usize, outputs: usize) -> f64 {
    // Quotients and products are rounded in the same way everywhere, logarithms are not.
    let ratio = |a: usize, b: usize| a.max(b) as f64 / a.min(b).max(1) as f64;
    let far = |row: &Crossover| ratio(row.inputs, inputs) * ratio(row.outputs, outputs);
    let nearest = table.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
    nearest.map_or(0.0, |row| row.density)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_size_counts() {
        let table = [at(128, 128, 0.5), at(700, 128, 0.4), at(1024, 1024, 0.3)];
        assert_eq!(density(&table, 1, 1), 0.5);
        assert_eq!(density(&table, 800, 100), 0.4);
        assert_eq!(density(&table, 4096, 4096), 0.3);
    }

    #[test]
    fn densities_are_shares() {
        let tables = [
            FORWARD,
            WEIGHTS,
            MASKED,
            MASKED_STEP,
            CONVOLUTION,
            CONVOLUTION_WEIGHTS,
        ];
        for row in tables.into_iter().flatten() {
            assert!((0.0..=1.0).contains(&row.density), "{row:?}");
        }
    }
}
