//! What is minimised, evaluated with its derivative.
//!
//! A training step goes through an objective in this order:
//!
//! 1. Only if it has means over the batch: a forward without gradients ([`Group`] with [`Purpose::Means`]) sums
//!    what they are means of.
//! 2. [`batch::BatchPart`]: the nodes of the batch, once, in `f64`: their value, the gradient that goes straight to weights and
//!    parameters, and dL/d(mean) for every sample.
//! 3. [`Group`], the probe of the forward and backward: it reduces traces while they pass (or keeps them, where a
//!    formula needs all of it), evaluates the nodes of each sample when the forward is over, and seeds the backward
//!    with dL/d(state) and dL/d(spike).
//!
//! Traces and their gradients have the precision of the runtime, everything else is `f64`. Samples are added in their order, so the result
//! does not depend on the number of threads.

mod batch;
mod evaluate;
mod function;
mod group;
mod stream;
#[cfg(test)]
mod tests;

use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Objective, Reduction, Term, Trace};
use rheobase_runtime::{Float, Owner, Simulator, SlotId};

use crate::error::TrainError;

pub(crate) use batch::BatchPart;
pub(crate) use group::{Group, Purpose, Scores};

/// A trace that is read.
#[derive(Clone, Debug)]
struct Source {
    layer: usize,
    units: usize,
    spikes: bool,
    slot: SlotId,
    /// Where its gradient goes; `None` if nothing that is trained depends on it.
    adjoint: Option<SlotId>,
    /// Its node.
    node: usize,
    /// Whether all steps are kept.
    kept: bool,
}

/// A reduction that is done while the trace passes.
#[derive(Clone, Debug)]
struct Stream {
    /// Index of its source.
    source: usize,
    by: Reduction,
    /// Its node.
    node: usize,
}

/// An objective with the rows of a simulator that it reads.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    objective: Objective,
    steps: usize,
    sources: Vec<Source>,
    streams: Vec<Stream>,
    /// Which nodes are computed for each sample, in addition to leaves and streams.
    of_sample: Vec<bool>,
    /// Which nodes are computed for the batch.
    of_batch: Vec<bool>,
    /// Which nodes a gradient is wanted of.
    wants: Vec<bool>,
    /// For nodes that are weights or parameters: positions in the list of parameters.
    owned: Vec<Vec<usize>>,
}

impl Compiled {
    /// Finds the rows of an objective for samples of this many steps.
    pub(crate) fn new<R: Float>(
        objective: &Objective,
        simulator: &Simulator<R>,
        steps: usize,
    ) -> Result<Compiled, TrainError> {
        let mut sources = Vec::new();
        for (node, at) in objective.nodes.iter().zip(0..) {
            if let Term::Trace { layer, trace } = &node.term {
                sources.push(source(simulator, *layer, trace, at)?);
            }
        }
        let owned = objective.nodes.iter().map(|n| owned(&n.term, simulator));
        Ok(Compiled::of(objective, steps, sources, owned.collect()))
    }

    fn of(
        objective: &Objective,
        steps: usize,
        sources: Vec<Source>,
        owned: Vec<Vec<usize>>,
    ) -> Compiled {
        let n = objective.nodes.len();
        let mut compiled = Compiled {
            of_batch: objective.of_batch(),
            objective: objective.clone(),
            steps,
            sources,
            streams: Vec::new(),
            of_sample: vec![false; n],
            wants: vec![false; n],
            owned,
        };
        compiled.plan();
        compiled
    }

    /// The bytes of the traces that are kept for so many samples, with their gradients, in numbers of this size.
    pub(crate) fn kept_bytes(&self, samples: usize, number: usize) -> usize {
        let kept = self.sources.iter().filter(|s| s.kept);
        let numbers: usize = kept.map(|s| self.steps * samples * s.units).sum();
        2 * numbers * number
    }

    /// What is streamed, kept, computed and differentiated.
    fn plan(&mut self) {
        let nodes = &self.objective.nodes;
        let roots = [
            self.objective.loss.sample,
            self.objective.penalty.sample,
            self.objective.logits,
        ];
        let mut open: Vec<usize> = roots.into_iter().flatten().collect();
        open.extend(nodes.iter().filter_map(|node| match node.term {
            Term::BatchMean { of } => Some(of),
            Term::Constant(_)
            | Term::Trace { .. }
            | Term::Target
            | Term::OneHot { .. }
            | Term::Weights { .. }
            | Term::Parameter { .. }
            | Term::Reduced { .. }
            | Term::Filtered { .. }
            | Term::Sum { .. }
            | Term::Mean { .. }
            | Term::CrossEntropy { .. }
            | Term::Map { .. }
            | Term::Power { .. }
            | Term::Pair { .. } => None,
        }));
        while let Some(at) = open.pop() {
            if self.of_sample[at] {
                continue;
            }
            self.of_sample[at] = true;
            let traced = |of: usize| self.sources.iter().position(|s| s.node == of);
            if let Term::Reduced { of, by } = nodes[at].term
                && let Some(source) = traced(of)
            {
                self.streams.push(Stream {
                    source,
                    by,
                    node: at,
                });
                continue;
            }
            open.extend(nodes[at].term.operands());
        }
        // The order in which nodes were reached is no order of theirs.
        self.streams.sort_by_key(|s| s.node);
        for source in &mut self.sources {
            source.kept = self.of_sample[source.node];
        }
        for (at, node) in nodes.iter().enumerate() {
            let cut = matches!(
                node.term,
                Term::Map {
                    function: rheobase_ir::program::Function::Detach,
                    ..
                }
            );
            let leaf = match &node.term {
                Term::Trace { .. } => {
                    let mut own = self.sources.iter().filter(|s| s.node == at);
                    own.any(|s| s.adjoint.is_some())
                }
                Term::Weights { .. } | Term::Parameter { .. } | Term::BatchMean { .. } => true,
                Term::Constant(_)
                | Term::Target
                | Term::OneHot { .. }
                | Term::Reduced { .. }
                | Term::Filtered { .. }
                | Term::Sum { .. }
                | Term::Mean { .. }
                | Term::CrossEntropy { .. }
                | Term::Map { .. }
                | Term::Power { .. }
                | Term::Pair { .. } => false,
            };
            let inherited = node.term.operands().iter().any(|&o| self.wants[o]);
            self.wants[at] = leaf || (inherited && !cut);
        }
    }

    /// Whether samples need a target over time.
    pub(crate) fn reads_target(&self) -> bool {
        self.objective.reads_target()
    }

    /// Whether a forward of its own is needed for means over the batch.
    pub(crate) fn has_batch_mean(&self) -> bool {
        self.objective.has_batch_mean()
    }
}

fn source<R: Float>(
    simulator: &Simulator<R>,
    layer: usize,
    trace: &Trace,
    node: usize,
) -> Result<Source, TrainError> {
    let described = &simulator.network().layers[layer];
    let (role, name, slot) = match trace {
        Trace::State(state) => (
            Role::State,
            state.clone(),
            simulator.state_slot(layer, state),
        ),
        Trace::Spikes => {
            let name = described.neuron.spikes.first().cloned().unwrap_or_default();
            let slot = simulator.spike_slot(layer, &name);
            (Role::Spike, name, slot)
        }
    };
    let slot = slot.ok_or_else(|| {
        TrainError::Plan(format!(
            "the trace `{}.{name}` does not exist",
            described.name
        ))
    })?;
    Ok(Source {
        layer,
        units: described.size(),
        spikes: role == Role::Spike,
        slot,
        adjoint: simulator.adjoint_slot(layer, role, &name),
        node,
        kept: false,
    })
}

/// The positions of what a leaf of the batch stands for.
fn owned<R: Float>(term: &Term, simulator: &Simulator<R>) -> Vec<usize> {
    let specs = simulator.parameters().specs.iter().enumerate();
    match term {
        Term::Weights { connections } => specs
            .filter(
                |(_, spec)| matches!(spec.owner, Owner::Weight(c, _) if connections.contains(&c)),
            )
            .map(|(i, _)| i)
            .collect(),
        Term::Parameter { layer, parameter } => specs
            .filter(|(_, spec)| spec.owner == Owner::Neuron(*layer, *parameter))
            .map(|(i, _)| i)
            .collect(),
        Term::Constant(_)
        | Term::Trace { .. }
        | Term::Target
        | Term::OneHot { .. }
        | Term::BatchMean { .. }
        | Term::Reduced { .. }
        | Term::Filtered { .. }
        | Term::Sum { .. }
        | Term::Mean { .. }
        | Term::CrossEntropy { .. }
        | Term::Map { .. }
        | Term::Power { .. }
        | Term::Pair { .. } => Vec::new(),
    }
}
