//! Sparse connections: the pairs that exist, by source, and their three products.
//!
//! Outside, the weights stand target by target (compressed sparse rows, as in SciPy). Inside, they stand
//! source by source, because an event brings its source; a gradient exists for these pairs only.

use rheobase_ir::program::Pattern;
use rheobase_ir::real::Real;

use crate::connection::rows::Entries;

/// The pairs of a sparse connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Pairs {
    /// The same pairs, target by target.
    pub pattern: Pattern,
    /// The pairs of source `j` are those from `offsets[j]` to `offsets[j + 1]`.
    pub(crate) offsets: Vec<u32>,
    /// The target of each pair; ascending for each source.
    pub(crate) targets: Vec<u32>,
    /// For each pair of the pattern its place here.
    pub(crate) inside: Vec<u32>,
}

impl Pairs {
    /// Sorts a pattern by its `inputs` sources.
    pub(crate) fn new(pattern: Pattern, inputs: usize) -> Pairs {
        let mut offsets = vec![0u32; inputs + 1];
        for &source in &pattern.columns {
            offsets[source as usize + 1] += 1;
        }
        for j in 0..inputs {
            offsets[j + 1] += offsets[j];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; pattern.columns.len()];
        let mut inside = vec![0; pattern.columns.len()];
        for (target, ends) in pattern.offsets.windows(2).enumerate() {
            for pair in ends[0] as usize..ends[1] as usize {
                let place = &mut next[pattern.columns[pair] as usize];
                targets[*place as usize] = target as u32;
                inside[pair] = *place;
                *place += 1;
            }
        }
        Pairs {
            pattern,
            offsets,
            targets,
            inside,
        }
    }

    fn of(&self, source: usize) -> std::ops::Range<usize> {
        self.offsets[source] as usize..self.offsets[source + 1] as usize
    }

    /// `out[i] += Σ_j x_j · w_ij` over the pairs.
    pub(crate) fn forward<R: Real>(&self, weights: &[R], x: Entries<'_, R>, out: &mut [R]) {
        for (source, value) in x.iter() {
            let pairs = self.of(source);
            for (&target, &w) in self.targets[pairs.clone()].iter().zip(&weights[pairs]) {
                let out = &mut out[target as usize];
                *out = out.add(w.mul(value));
            }
        }
    }

    /// `dw_ij += x_j · delta[i]` over the pairs.
    pub(crate) fn weight_gradient<R: Real>(&self, x: Entries<'_, R>, delta: &[R], dw: &mut [R]) {
        for (source, value) in x.iter() {
            let pairs = self.of(source);
            for (&target, dw) in self.targets[pairs.clone()].iter().zip(&mut dw[pairs]) {
                *dw = dw.add(delta[target as usize].mul(value));
            }
        }
    }

    /// `dx[j] += Σ_i w_ij · delta[i]` over the pairs.
    pub(crate) fn input_gradient<R: Real>(&self, weights: &[R], delta: &[R], dx: &mut [R]) {
        for (source, dx) in dx.iter_mut().enumerate() {
            let pairs = self.of(source);
            let mut sum = R::ZERO;
            for (&target, &w) in self.targets[pairs.clone()].iter().zip(&weights[pairs]) {
                sum = sum.add(w.mul(delta[target as usize]));
            }
            *dx = dx.add(sum);
        }
    }
}
