//! The objective of a group of samples, as a probe of the simulator.

use rheobase_ir::program::{Reduction, Shape};
use rheobase_runtime::{Adjoints, Float, Probe, StepView};

use super::Compiled;
use super::evaluate::{Context, Tape};
use super::stream::Reduced;

/// What a group is run for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// Gradients: each sample counts `weight`, and these are dL/d(node) of a sample by way of means over the batch.
    Learn {
        weight: f64,
        seeds: &'a [(usize, Vec<f64>)],
    },
    /// Loss and predictions only.
    Judge,
    /// The sums of what is averaged over the batch only.
    Means,
}

/// What a group gave, over its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// The sum of the samples' losses, without what is of the batch.
    pub(crate) loss: f64,
    /// The sum of the samples' penalties, without what is of the batch.
    pub(crate) penalty: f64,
    /// The predicted class of each sample; empty if the task has no classes.
    pub(crate) predicted: Vec<u32>,
    /// How many units were ahead of the label's: 0 is a hit. Empty if the task has no classes.
    pub(crate) ahead: Vec<u32>,
    /// For each node that a mean over the batch is taken of, its sum over the samples.
    pub(crate) sums: Vec<(usize, Vec<f64>)>,
}

impl Scores {
    /// How many samples were classified rightly.
    pub(crate) fn hits(&self) -> usize {
        self.ahead.iter().filter(|&&ahead| ahead == 0).count()
    }

    /// Appends the samples of another group.
    pub(crate) fn add(&mut self, other: Scores) {
        self.loss += other.loss;
        self.penalty += other.penalty;
        self.predicted.extend(other.predicted);
        self.ahead.extend(other.ahead);
        for (node, values) in other.sums {
            match self.sums.iter_mut().find(|(n, _)| *n == node) {
                Some((_, sum)) => sum.iter_mut().zip(&values).for_each(|(s, x)| *s += x),
                None => self.sums.push((node, values)),
            }
        }
    }
}

/// The probe of a group; see the page of the parent.
pub(crate) struct Group<'a, R> {
    compiled: &'a Compiled,
    purpose: Purpose<'a>,
    labels: Vec<u32>,
    /// The targets of the samples, `steps · units` each; empty if none are read.
    targets: Vec<&'a [f32]>,
    streams: Vec<Reduced<R>>,
    /// dL/d(reduced), for each stream.
    stream_gradients: Vec<Vec<R>>,
    /// For each source all steps, if they are kept: `steps · samples · units`.
    kept: Vec<Vec<R>>,
    /// dL/d(trace) of the kept ones.
    kept_gradients: Vec<Vec<R>>,
    scores: Option<Scores>,
}

impl<'a, R: Float> Group<'a, R> {
    pub(crate) fn new(
        compiled: &'a Compiled,
        labels: &[u32],
        targets: &[&'a [f32]],
        purpose: Purpose<'a>,
    ) -> Group<'a, R> {
        let (samples, steps) = (labels.len(), compiled.steps);
        let size = |source: usize| samples * compiled.sources[source].units;
        let streams = compiled.streams.iter();
        let kept = compiled.sources.iter();
        Group {
            compiled,
            purpose,
            labels: labels.to_vec(),
            targets: targets.to_vec(),
            streams: streams
                .map(|s| Reduced::new(s.by, size(s.source), steps))
                .collect(),
            stream_gradients: Vec::new(),
            kept: kept
                .map(|s| vec![R::ZERO; if s.kept { steps * samples * s.units } else { 0 }])
                .collect(),
            kept_gradients: Vec::new(),
            scores: None,
        }
    }

    /// What the group gave.
    pub(crate) fn scores(mut self) -> Scores {
        match self.scores.take() {
            Some(scores) => scores,
            None => self.evaluate(),
        }
    }

    /// All samples, one after the other.
    fn evaluate(&mut self) -> Scores {
        let compiled = self.compiled;
        let learns = matches!(self.purpose, Purpose::Learn { .. });
        if learns {
            let size = |source: usize| self.labels.len() * compiled.sources[source].units;
            let streams = compiled.streams.iter();
            self.stream_gradients = streams.map(|s| vec![R::ZERO; size(s.source)]).collect();
            self.kept_gradients = self.kept.iter().map(|k| vec![R::ZERO; k.len()]).collect();
        }
        let mut scores = Scores::default();
        let mut tape = Tape::new(&compiled.objective);
        for sample in 0..self.labels.len() {
            tape.clear();
            let context = Context {
                steps: compiled.steps,
                label: self.labels[sample] as usize,
            };
            self.leaves(sample, &mut tape);
            for node in 0..compiled.objective.nodes.len() {
                if compiled.of_sample[node] && tape.values[node].is_empty() {
                    tape.compute(&compiled.objective, node, context);
                }
            }
            self.score(&tape, context, &mut scores);
            if let Purpose::Learn { weight, seeds } = self.purpose {
                let objective = &compiled.objective;
                let roots = [objective.loss.sample, objective.penalty.sample];
                for root in roots.into_iter().flatten() {
                    tape.add(root, &[weight]);
                }
                seeds
                    .iter()
                    .for_each(|(node, amount)| tape.add(*node, amount));
                self.backwards(sample, &mut tape, context);
            }
        }
        scores
    }

    /// The values of traces and targets of a sample.
    fn leaves(&self, sample: usize, tape: &mut Tape) {
        let compiled = self.compiled;
        for (stream, reduced) in compiled.streams.iter().zip(&self.streams) {
            let units = compiled.sources[stream.source].units;
            let mean_over = (stream.by == Reduction::Mean).then_some(compiled.steps);
            tape.values[stream.node] = reduced.sample(sample, units, mean_over);
        }
        for (source, kept) in compiled.sources.iter().zip(&self.kept) {
            if source.kept {
                let rows = kept.chunks_exact(self.labels.len() * source.units);
                let of_sample =
                    rows.flat_map(|row| &row[sample * source.units..(sample + 1) * source.units]);
                tape.values[source.node] = of_sample.map(|x| x.to_f64()).collect();
            }
        }
        if let Some(target) = self.targets.get(sample) {
            for (node, values) in compiled.objective.nodes.iter().zip(&mut tape.values) {
                if node.term == rheobase_ir::program::Term::Target {
                    *values = target.iter().map(|&x| f64::from(x)).collect();
                }
            }
        }
    }

    fn score(&self, tape: &Tape, context: Context, scores: &mut Scores) {
        let objective = &self.compiled.objective;
        let value = |root: Option<usize>| root.map_or(0.0, |node| tape.values[node][0]);
        scores.loss += value(objective.loss.sample);
        scores.penalty += value(objective.penalty.sample);
        if let Some(node) = objective.logits {
            let logits = over_time(&tape.values[node], objective.nodes[node].shape);
            let own = logits[context.label];
            let mut best = 0;
            let mut ahead = 0;
            for (unit, &x) in logits.iter().enumerate() {
                if x > logits[best] {
                    best = unit;
                }
                // Of equal ones the first is taken, here as there.
                if x > own || (x == own && unit < context.label) {
                    ahead += 1;
                }
            }
            scores.predicted.push(best as u32);
            scores.ahead.push(ahead);
        }
        if matches!(self.purpose, Purpose::Means) {
            for node in self.compiled.averaged() {
                let sums = vec![(node, tape.values[node].clone())];
                scores.add(Scores {
                    sums,
                    ..Scores::default()
                });
            }
        }
    }

    /// From the roots to the traces of a sample.
    fn backwards(&mut self, sample: usize, tape: &mut Tape, context: Context) {
        let compiled = self.compiled;
        for node in (0..compiled.objective.nodes.len()).rev() {
            let streamed = compiled.streams.iter().any(|s| s.node == node);
            if compiled.of_sample[node] && !streamed {
                tape.pull(&compiled.objective, node, context, &compiled.wants);
            }
        }
        for (stream, gradient) in compiled.streams.iter().zip(&mut self.stream_gradients) {
            let adjoint = &tape.adjoints[stream.node];
            let units = compiled.sources[stream.source].units;
            let scale = match stream.by {
                Reduction::Mean => 1.0 / compiled.steps as f64,
                Reduction::Max | Reduction::Sum | Reduction::Last | Reduction::FirstSpike => 1.0,
            };
            let own = &mut gradient[sample * units..(sample + 1) * units];
            own.iter_mut()
                .zip(adjoint)
                .for_each(|(g, a)| *g = R::from_f64(a * scale));
        }
        for (source, gradient) in compiled.sources.iter().zip(&mut self.kept_gradients) {
            let adjoint = &tape.adjoints[source.node];
            if source.kept && !adjoint.is_empty() {
                let rows = gradient.chunks_exact_mut(self.labels.len() * source.units);
                for (row, adjoint) in rows.zip(adjoint.chunks_exact(source.units)) {
                    let own = &mut row[sample * source.units..(sample + 1) * source.units];
                    own.iter_mut()
                        .zip(adjoint)
                        .for_each(|(g, a)| *g = R::from_f64(*a));
                }
            }
        }
    }
}

impl Compiled {
    /// The nodes that means over the batch are taken of, each once, in order.
    pub(super) fn averaged(&self) -> Vec<usize> {
        let mut averaged: Vec<usize> = Vec::new();
        for node in &self.objective.nodes {
            if let rheobase_ir::program::Term::BatchMean { of } = node.term
                && !averaged.contains(&of)
            {
                averaged.push(of);
            }
        }
        averaged
    }
}

/// Logits of every step are added.
fn over_time(logits: &[f64], shape: Shape) -> Vec<f64> {
    match shape {
        Shape::Scalar | Shape::Units(_) => logits.to_vec(),
        Shape::Steps(units) => {
            let mut sum = vec![0.0; units];
            for row in logits.chunks_exact(units) {
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            sum
        }
    }
}

impl<R: Float> Group<'_, R> {
    /// Step `t` of a source passes; the row is empty if its layer is not in the part that runs.
    pub(super) fn pass(
        &mut self,
        index: usize,
        t: usize,
        row: impl ExactSizeIterator<Item = R> + Clone,
    ) {
        let compiled = self.compiled;
        if row.len() == 0 {
            return;
        }
        for (stream, reduced) in compiled.streams.iter().zip(&mut self.streams) {
            if stream.source == index {
                reduced.observe(t, row.clone());
            }
        }
        if compiled.sources[index].kept {
            let size = row.len();
            let kept = &mut self.kept[index][t * size..(t + 1) * size];
            kept.iter_mut().zip(row).for_each(|(k, x)| *k = x);
        }
    }

    /// Adds dL/d(trace at step t) of a source to a row; an empty one as in [`Group::pass`].
    pub(super) fn give(&self, index: usize, t: usize, row: &mut [R]) {
        let compiled = self.compiled;
        if row.is_empty() {
            return;
        }
        let streams = compiled.streams.iter().zip(&self.streams);
        for ((stream, reduced), gradient) in streams.zip(&self.stream_gradients) {
            if stream.source == index {
                reduced.seed(t, t + 1 == compiled.steps, gradient, row);
            }
        }
        if compiled.sources[index].kept {
            let size = row.len();
            let gradient = &self.kept_gradients[index][t * size..(t + 1) * size];
            let pairs = row.iter_mut().zip(gradient);
            pairs.for_each(|(a, g)| *a = a.add(*g));
        }
    }
}

impl<R: Float> Probe<R> for Group<'_, R> {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        let compiled = self.compiled;
        for (index, source) in compiled.sources.iter().enumerate() {
            let spikes = view.bools(source.layer, source.slot);
            if source.spikes && !spikes.is_empty() {
                self.pass(index, t, spikes.iter().map(|&s| R::from_f64(f64::from(s))));
            } else {
                // A state, or spikes that carry numbers.
                let row = view.reals(source.layer, source.slot);
                self.pass(index, t, row.iter().copied());
            }
        }
    }

    fn turn(&mut self) -> bool {
        let learns = matches!(self.purpose, Purpose::Learn { .. });
        if learns {
            self.scores = Some(self.evaluate());
        }
        learns
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>) {
        for (index, source) in self.compiled.sources.iter().enumerate() {
            if let Some(slot) = source.adjoint {
                self.give(index, t, adjoints.row(source.layer, slot));
            }
        }
    }
}
