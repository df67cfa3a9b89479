//! The part of an objective that is of the batch: weights, parameters, and means over the samples.

use rheobase_ir::program::Term;
use rheobase_ir::real::Real;
use rheobase_runtime::Parameters;

use super::Compiled;
use super::evaluate::{Context, Tape};

/// Values and gradients of the nodes of the batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchPart {
    /// What is added to the loss.
    pub(crate) loss: f64,
    /// What is added to the penalty.
    pub(crate) penalty: f64,
    /// dL/d(parameter): position in the list of parameters, and a number for each value.
    pub(crate) gradients: Vec<(usize, Vec<f64>)>,
    /// dL/d(node of a sample), the same for each sample of the batch.
    pub(crate) seeds: Vec<(usize, Vec<f64>)>,
}

impl BatchPart {
    /// Evaluates the nodes. `sums` are those of [`super::Scores`] over all `samples`.
    pub(crate) fn new<R: Real>(
        compiled: &Compiled,
        parameters: &Parameters<R>,
        sums: &[(usize, Vec<f64>)],
        samples: usize,
    ) -> BatchPart {
        let objective = &compiled.objective;
        let roots = [objective.loss.batch, objective.penalty.batch];
        if roots == [None, None] {
            return BatchPart::default();
        }
        let context = Context {
            steps: compiled.steps,
            label: 0,
        };
        let mut tape = Tape::new(objective);
        for (at, node) in objective.nodes.iter().enumerate() {
            match &node.term {
                Term::Weights { .. } | Term::Parameter { .. } => {
                    let all = compiled.owned[at]
                        .iter()
                        .flat_map(|&i| &parameters.values[i]);
                    tape.values[at] = all.map(|x| x.to_f64()).collect();
                }
                Term::BatchMean { of } => {
                    let sum = sums.iter().find(|(node, _)| node == of);
                    let mean = |x: &f64| x / samples as f64;
                    tape.values[at] =
                        sum.map_or_else(Vec::new, |(_, sum)| sum.iter().map(mean).collect());
                }
                Term::Constant(_)
                | Term::Trace { .. }
                | Term::Target
                | Term::OneHot { .. }
                | Term::Reduced { .. }
                | Term::Filtered { .. }
                | Term::Sum { .. }
                | Term::Mean { .. }
                | Term::CrossEntropy { .. }
                | Term::Map { .. }
                | Term::Power { .. }
                | Term::Pair { .. } => {
                    let constant = matches!(node.term, Term::Constant(_));
                    if constant || compiled.of_batch[at] {
                        tape.compute(objective, at, context);
                    }
                }
            }
        }
        let value = |root: Option<usize>| root.map_or(0.0, |node| tape.values[node][0]);
        let mut part = BatchPart {
            loss: value(objective.loss.batch),
            penalty: value(objective.penalty.batch),
            ..BatchPart::default()
        };
        for root in roots.into_iter().flatten() {
            tape.add(root, &[1.0]);
        }
        for at in (0..objective.nodes.len()).rev() {
            if compiled.of_batch[at] {
                tape.pull(objective, at, context, &compiled.wants);
            }
        }
        part.collect(compiled, parameters, &tape, samples);
        part
    }

    /// The adjoints of leaves, sorted by where they go.
    fn collect<R: Real>(
        &mut self,
        compiled: &Compiled,
        parameters: &Parameters<R>,
        tape: &Tape,
        samples: usize,
    ) {
        let adjoints = tape.adjoints.iter().enumerate();
        for (at, adjoint) in adjoints.filter(|(_, adjoint)| !adjoint.is_empty()) {
            if let Term::BatchMean { of } = compiled.objective.nodes[at].term {
                let share = adjoint.iter().map(|g| g / samples as f64);
                self.seeds.push((of, share.collect()));
            }
            let mut rest = adjoint.as_slice();
            for &index in &compiled.owned[at] {
                let (own, others) = rest.split_at(parameters.values[index].len());
                self.gradients.push((index, own.to_vec()));
                rest = others;
            }
        }
    }

    /// Adds the gradients of parameters that are trained.
    pub(crate) fn add_to<R: Real>(&self, gradients: &mut [Vec<R>]) {
        for (index, amount) in &self.gradients {
            gradients[*index]
                .iter_mut()
                .zip(amount)
                .for_each(|(g, a)| *g = g.add(R::from_f64(*a)));
        }
    }
}
