//! Training steps of networks with normalisations: samples wait for each other.
//!
//! A normalisation reads means over all samples and steps (`connection/norm.rs`), so the groups of a batch cannot run
//! one after the other. Instead all of them are in memory, time is one block, and the step goes through phases:
//!
//! 1. Forward, part by part. For each part that normalised connections lead to, every group computes and keeps what
//!    goes into the normalisations; the moments of all groups are merged in their order; then the part runs. Where a connection
//!    normalises more than once, this goes on from one normalisation to the next.
//! 2. The losses of all groups.
//! 3. Backward, the last part first: every group takes the adjoints to what comes out of the normalisations; sums over all
//!    groups are merged in their order; then they go on to what was sent.
//!
//! Groups are dealt to sums of gradients as in every other step, and nothing is merged in an order that depends on
//! threads, so neither do bits.

use std::ops::Range;

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::chain::{Given, Stretch, add_bias, add_bias_gradient};
use crate::connection::choice::Back;
use crate::connection::norm::{Moments, Slopes};
use crate::connection::rows::Block;
use crate::error::RuntimeError;
use crate::group::{Batch, GradientSum, GroupState, Run};
use crate::layer::{Mode, Pass};
use crate::parallel;
use crate::probe::Probe;
use crate::simulator::{ConnectionCode, Simulator};

/// What a group keeps for a normalisation.
#[derive(Debug, Default)]
pub(crate) struct Kept<R> {
    /// What goes in, for all rows that arrive.
    rows: Aligned<R>,
    /// The adjoints of what comes out and, later, of what goes in.
    adjoints: Aligned<R>,
}

/// A position among the operations of a connection, and which normalisation of the network is there.
type Place = (usize, usize);

/// The groups whose gradients go into one sum.
struct Deal<R, P> {
    members: Vec<(GroupState<R>, P, Range<usize>)>,
    sum: GradientSum<R>,
}

/// What each sum has: the probes of its groups, and the gradients.
pub(crate) type Dealt<R, P> = Vec<(Vec<P>, GradientSum<R>)>;

/// Parameters that are running averages, with their values after a batch.
pub(crate) type Running<R> = Vec<(usize, Vec<R>)>;

impl<R: Float> Simulator<R> {
    /// Runs groups of samples forward and backward, for so many sums of gradients.
    pub(crate) fn run_in_phases<P: Probe<R>>(
        &self,
        batch: &Batch<'_, R>,
        groups: &[Range<usize>],
        (sums, threads): (usize, usize),
        probe: impl Fn(Range<usize>) -> P + Sync,
        mode: Mode,
    ) -> Result<(Dealt<R, P>, Running<R>), RuntimeError> {
        let deal = |_: usize, s: usize| {
            let mut members = Vec::new();
            for range in groups.iter().skip(s).step_by(sums) {
                let mut state = self.pool.take(s).unwrap_or_else(|| GroupState::new(self));
                state.begin_whole(self, batch, range.clone())?;
                members.push((state, probe(range.clone()), range.clone()));
            }
            let sum = self.cleared_sum(s, Pass::Forward);
            Ok(Deal { members, sum })
        };
        let mut phases = Phases {
            simulator: self,
            batch,
            threads,
            mode,
            deals: parallel::map(sums, threads, deal)?,
        };
        let running = phases.forward()?;
        if phases.turn()? {
            phases.backward()?;
        }
        let mut dealt = Vec::new();
        for (s, Deal { members, mut sum }) in phases.deals.into_iter().enumerate() {
            let mut probes = Vec::new();
            for (state, probe, _) in members {
                state.count_spikes(&mut sum);
                self.pool.give(s, state);
                probes.push(probe);
            }
            dealt.push((probes, sum));
        }
        Ok((dealt, running))
    }

    /// The most normalisations of a connection that leads to a part.
    fn levels(&self, part: &[usize]) -> usize {
        let incoming = self.connections(Pass::Forward);
        let connections = part.iter().flat_map(|&l| &incoming[l]);
        let norms = connections.map(|c| c.chain.norms().count());
        norms.max().unwrap_or(0)
    }
}

/// A step.
struct Phases<'a, 'b, R, P> {
    simulator: &'a Simulator<R>,
    batch: &'a Batch<'b, R>,
    threads: usize,
    mode: Mode,
    deals: Vec<Deal<R, P>>,
}

impl<R: Float, P: Probe<R>> Phases<'_, '_, R, P> {
    /// Work on every group; the results in the order of the groups.
    fn each<T: Send>(
        &mut self,
        work: impl Fn(
            &Run<'_, '_, R>,
            &mut GroupState<R>,
            &mut P,
            &mut GradientSum<R>,
        ) -> Result<T, RuntimeError>
        + Sync,
    ) -> Result<Vec<T>, RuntimeError> {
        let (simulator, batch, check) = (self.simulator, self.batch, self.mode.check);
        let results = parallel::each(&mut self.deals, self.threads, |deal| {
            let Deal { members, sum } = deal;
            let members = members.iter_mut();
            let done = members.map(|(state, probe, range)| {
                let run = Run {
                    simulator,
                    batch,
                    first: range.start,
                    arch: simulator.arch,
                    incoming: simulator.connections(Pass::Forward),
                    check,
                };
                work(&run, state, probe, sum)
            });
            done.collect::<Result<Vec<T>, RuntimeError>>()
        })?;
        let mut results: Vec<_> = results.into_iter().map(Vec::into_iter).collect();
        let mut ordered = Vec::new();
        // Groups were dealt in turn.
        while let Some(result) = {
            let sum = ordered.len() % results.len().max(1);
            results.get_mut(sum).and_then(Iterator::next)
        } {
            ordered.push(result);
        }
        Ok(ordered)
    }

    fn forward(&mut self) -> Result<Running<R>, RuntimeError> {
        let simulator = self.simulator;
        let mut running = Vec::new();
        for part in &simulator.parts {
            for level in 0..simulator.levels(part) {
                let moments =
                    self.each(|run, state, _, _| Ok(run.keep_rows(state, part, level)))?;
                let merged = merge(moments, Moments::merge);
                for (norm, moments) in &merged {
                    let norm = &simulator.norms[*norm];
                    // Connections that share weights move them in turn.
                    let moved = |index: usize| {
                        let all: &Running<R> = &running;
                        let last = all.iter().rfind(|(other, _)| *other == index);
                        last.map_or(&simulator.parameters.values[index], |(_, values)| values)
                    };
                    let values = norm.moved(norm.running.map(moved), moments);
                    running.extend(norm.running.into_iter().zip(values));
                }
                self.each(|_, state, _, _| {
                    for (norm, moments) in &merged {
                        state.centres[*norm] = simulator.norms[*norm].centre(moments);
                    }
                    Ok(())
                })?;
            }
            self.each(|run, state, probe, _| run.forward(state, part, Pass::Forward, Some(probe)))?;
        }
        Ok(running)
    }

    /// Whether a backward follows.
    fn turn(&mut self) -> Result<bool, RuntimeError> {
        let turned = self.each(|_, _, probe, _| Ok(probe.turn()))?;
        Ok(turned.into_iter().all(|turned| turned))
    }

    fn backward(&mut self) -> Result<(), RuntimeError> {
        let simulator = self.simulator;
        self.each(|run, state, probe, _| {
            let steps = state.frame.len();
            run.begin_backward(state, steps, probe);
            Ok(())
        })?;
        for part in simulator.parts.iter().rev() {
            self.each(|run, state, probe, sum| run.part_backward(state, part, probe, sum))?;
            for level in (0..simulator.levels(part)).rev() {
                let slopes =
                    self.each(|run, state, _, sum| Ok(run.slopes(state, part, level, sum)))?;
                let merged = merge(slopes, Slopes::merge);
                self.each(|run, state, probe, sum| {
                    let inputs = probe.wants_input_gradients();
                    run.through_norms(state, (part, level), &merged, sum, inputs);
                    Ok(())
                })?;
            }
        }
        self.each(|run, state, probe, sum| {
            run.collect(state, probe);
            run.finish(state, sum)
        })?;
        Ok(())
    }
}

/// What groups found of normalisations, in the order of the groups, for each normalisation together.
fn merge<T: Default>(found: Vec<Vec<(usize, T)>>, add: fn(&mut T, &T)) -> Vec<(usize, T)> {
    let mut merged: Vec<(usize, T)> = Vec::new();
    for (norm, part) in found.into_iter().flatten() {
        match merged.iter_mut().find(|(n, _)| *n == norm) {
            Some((_, all)) => add(all, &part),
            None => {
                let mut all = T::default();
                add(&mut all, &part);
                merged.push((norm, all));
            }
        }
    }
    merged
}

impl ConnectionCode {
    /// The normalisation of a level, and the one before it.
    fn level(&self, level: usize) -> Option<(Option<Place>, Place)> {
        let mut norms = self.chain.norms().skip(level.saturating_sub(1));
        let first = norms.next()?;
        match level {
            0 => Some((None, first)),
            _ => Some((Some(first), norms.next()?)),
        }
    }
}

impl<R: Float> Run<'_, '_, R> {
    fn given<'s>(&'s self, state: &'s GroupState<R>, connection: &ConnectionCode) -> Given<'s, R> {
        Given {
            parameters: self.simulator.numbers(connection),
            masks: &state.masks,
            centres: &state.centres,
        }
    }

    /// The numbers of a row that goes into an operation.
    fn width(connection: &ConnectionCode, (stage, _): Place) -> usize {
        connection.chain.stages[stage].inputs()
    }

    /// Computes what goes into the normalisations of a level of the connections to a part, and its moments.
    fn keep_rows(
        &self,
        state: &mut GroupState<R>,
        part: &[usize],
        level: usize,
    ) -> Vec<(usize, Moments)> {
        let mut moments = Vec::new();
        for connection in part.iter().flat_map(|&l| &self.incoming[l]) {
            let Some((before, own)) = connection.level(level) else {
                continue;
            };
            let mut rows = std::mem::take(&mut state.norms[own.1].rows);
            self.fill_rows(state, connection, (before, own), &mut rows);
            moments.push((own.1, self.simulator.norms[own.1].moments(&rows)));
            state.norms[own.1].rows = rows;
        }
        moments
    }

    fn fill_rows(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        (before, own): (Option<Place>, Place),
        rows: &mut Aligned<R>,
    ) {
        let n = Self::width(connection, own);
        let sent = self.sent_steps(state, connection);
        let size = state.samples * n;
        rows.resize(sent.len() * size);
        rows.fill(R::ZERO);
        let stretch = connection
            .chain
            .stretch(before.map_or(0, |(s, _)| s)..own.0);
        match (before, stretch.only_dense()) {
            (None, Some(weight)) => self.sum_events(state, connection, weight, n, sent, rows),
            (Some(_), _) | (None, None) => {
                for (step, out) in sent.zip(rows.chunks_exact_mut(size.max(1))) {
                    self.through(state, connection, (before, stretch), step, out);
                }
            }
        }
        if let Some(bias) = stretch.last_bias() {
            let bias = &self.simulator.numbers(connection)[bias];
            rows.chunks_exact_mut(n).for_each(|row| add_bias(row, bias));
        }
    }

    /// Adds to `out` what some operations make of what a step sent, or of what the normalisation before them kept of it.
    fn through(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        (before, stretch): (Option<Place>, Stretch<'_>),
        step: usize,
        out: &mut [R],
    ) {
        let mut scratch = std::mem::take(&mut state.scratch);
        let given = self.given(state, connection);
        let (rows, between) = (state.samples, &mut scratch.between);
        match before {
            None => {
                let events = |row: usize| self.sent(state, connection, step * rows + row);
                let sent = step * rows..(step + 1) * rows;
                let sent = match self.sent_numbers(state, connection, sent) {
                    Some(numbers) => Block::Numbers(numbers, numbers.len() / rows),
                    None => Block::Events(&events),
                };
                stretch.forward(self.arch, given, sent, rows, between, out);
            }
            Some(before) => {
                let n = Self::width(connection, before);
                let step = step - self.sent_steps(state, connection).start;
                let kept = &state.norms[before.1].rows[step * rows * n..][..rows * n];
                stretch.forward(
                    self.arch,
                    given,
                    Block::Numbers(kept, n),
                    rows,
                    between,
                    out,
                );
            }
        }
        state.scratch = scratch;
    }

    /// Adds what a connection delivers of a step, without the last bias. In a training step what goes into its last
    /// normalisation is there already.
    pub(crate) fn deliver(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        step: usize,
        x: &mut [R],
    ) {
        let last = connection.chain.norms().next_back();
        let last = last.filter(|(_, norm)| *norm < state.norms.len());
        let first = last.map_or(0, |(stage, _)| stage);
        let stretch = connection
            .chain
            .stretch(first..connection.chain.stages.len());
        self.through(state, connection, (last, stretch), step, x);
    }

    /// From the rows of `delta`, one for each row that arrives, to the adjoints of what the last normalisation gave.
    pub(crate) fn back_from_end(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        own: Place,
        delta: &[R],
        mut gradients: Option<&mut [Vec<R>]>,
    ) {
        let end = connection.chain.stages.len();
        let steps = self.sent_steps(state, connection).len();
        let mut adjoints = self.no_adjoints(state, connection, own, steps);
        for step in 0..steps {
            let size = delta.len() / steps;
            let delta = &delta[step * size..][..size];
            let gradients = gradients.as_deref_mut();
            self.back_to_norm(
                state,
                connection,
                (own, end),
                step,
                (delta, &mut adjoints),
                gradients,
            );
        }
        state.norms[own.1].adjoints = adjoints;
    }

    /// The adjoints of a normalisation, taken out and all zero.
    fn no_adjoints(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        own: Place,
        steps: usize,
    ) -> Aligned<R> {
        let mut adjoints = std::mem::take(&mut state.norms[own.1].adjoints);
        adjoints.resize(steps * state.samples * Self::width(connection, own));
        adjoints.fill(R::ZERO);
        adjoints
    }

    /// From the adjoints `delta` of what the operations up to `end` made of a step to those of what the normalisation
    /// before them gave, which are among all of its `adjoints`.
    fn back_to_norm(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        (own, end): (Place, usize),
        step: usize,
        (delta, adjoints): (&[R], &mut [R]),
        gradients: Option<&mut [Vec<R>]>,
    ) {
        let (stage, norm) = own;
        let (n, rows) = (Self::width(connection, own), state.samples);
        let chain = &connection.chain;
        let mut scratch = std::mem::take(&mut state.scratch);
        let given = self.given(state, connection);
        let mut normalised = std::mem::take(&mut scratch.normalised);
        normalised.resize(rows * n);
        normalised.fill(R::ZERO);
        let kept = &state.norms[norm].rows[step * rows * n..][..rows * n];
        let one = chain.stretch(stage..stage + 1);
        let between = &mut scratch.between;
        one.forward(
            self.arch,
            given,
            Block::Numbers(kept, n),
            rows,
            between,
            &mut normalised,
        );
        if let Some(bias) = one.last_bias() {
            let bias = &given.parameters[bias];
            normalised
                .chunks_exact_mut(n)
                .for_each(|row| add_bias(row, bias));
        }
        chain.stretch(stage + 1..end).backward(
            self.arch,
            given,
            (Block::Numbers(&normalised, n), delta),
            between,
            gradients,
            Some(&mut adjoints[step * rows * n..][..rows * n]),
        );
        scratch.normalised = normalised;
        state.scratch = scratch;
    }

    /// What the adjoints of the normalisations of a level add up to, which is also the gradient of gain and bias.
    fn slopes(
        &self,
        state: &GroupState<R>,
        part: &[usize],
        level: usize,
        sum: &mut GradientSum<R>,
    ) -> Vec<(usize, Slopes)> {
        let mut all = Vec::new();
        for connection in part.iter().flat_map(|&l| &self.incoming[l]) {
            let Some((_, (stage, norm))) = connection.level(level) else {
                continue;
            };
            let Kept { rows, adjoints } = &state.norms[norm];
            let slopes = self.simulator.norms[norm].slopes(&state.centres[norm], rows, adjoints);
            if connection.trained {
                let operation = &connection.chain.stages[stage];
                // The bias of the last operation is there at steps at which nothing arrives, too, and has its gradient.
                let last = stage + 1 == connection.chain.stages.len();
                let bias = operation.bias.filter(|_| !last);
                let gradients = sum.numbers(connection);
                for (index, slopes) in [(operation.weight, &slopes.scaled), (bias, &slopes.plain)] {
                    let gradient = index.map(|index| &mut gradients[index]);
                    for (g, s) in gradient.into_iter().flatten().zip(slopes) {
                        *g = g.add(R::from_f64(*s));
                    }
                }
            }
            all.push((norm, slopes));
        }
        all
    }

    /// From the adjoints of what the normalisations of a level gave, and what those of all groups add up to, to those
    /// of what the normalisations before gave or of what was sent.
    fn through_norms(
        &self,
        state: &mut GroupState<R>,
        (part, level): (&[usize], usize),
        slopes: &[(usize, Slopes)],
        sum: &mut GradientSum<R>,
        inputs: bool,
    ) {
        for connection in part.iter().flat_map(|&l| &self.incoming[l]) {
            let Some((before, own)) = connection.level(level) else {
                continue;
            };
            let Some((_, slopes)) = slopes.iter().find(|(norm, _)| *norm == own.1) else {
                continue;
            };
            let operation = &connection.chain.stages[own.0];
            let numbers = self.simulator.numbers(connection);
            let gain = operation.weight.map_or(&[][..], |w| &numbers[w]);
            let norm = &self.simulator.norms[own.1];
            let Kept { rows, adjoints } = &mut state.norms[own.1];
            norm.back(&state.centres[own.1], gain, slopes, rows, adjoints);
            let delta = std::mem::take(adjoints);
            let gradients = connection.trained.then_some(sum.numbers(connection));
            match before {
                None => self.to_source(state, connection, own, &delta, gradients, inputs),
                Some(before) => {
                    let places = (before, own.0);
                    self.to_norm(state, connection, places, &delta, gradients);
                }
            }
            state.norms[own.1].adjoints = delta;
        }
    }

    /// From the adjoints of what goes into the first normalisation to the source.
    fn to_source(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        own: Place,
        delta: &[R],
        mut gradients: Option<&mut [Vec<R>]>,
        inputs: bool,
    ) {
        let n = Self::width(connection, own);
        let stretch = connection.chain.stretch(0..own.0);
        if let (Some(bias), Some(gradients)) = (stretch.last_bias(), gradients.as_deref_mut()) {
            let rows = delta.chunks_exact(n);
            rows.for_each(|row| add_bias_gradient(&mut gradients[bias], row));
        }
        let sent = self.sent_steps(state, connection);
        if sent.is_empty() {
            return;
        }
        if let Some(weight) = stretch.only_dense() {
            if let Some(gradients) = gradients {
                let dw = &mut gradients[weight];
                self.weight_gradient(state, connection, sent.clone(), n, delta, dw);
            }
            self.send_back(
                state,
                connection,
                weight,
                sent.start,
                n,
                delta,
                (Back::Block, inputs),
            );
            return;
        }
        let all = (connection, stretch);
        self.chain_back_all(state, all, sent, delta, gradients, Some(inputs));
    }

    /// From the adjoints of what goes into a normalisation to those of what the one before gave.
    fn to_norm(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        (before, end): (Place, usize),
        delta: &[R],
        mut gradients: Option<&mut [Vec<R>]>,
    ) {
        let chain = &connection.chain;
        let n = chain.stages[end].inputs();
        let bias = chain.stretch(before.0 + 1..end).last_bias();
        if let (Some(bias), Some(gradients)) = (bias, gradients.as_deref_mut()) {
            let rows = delta.chunks_exact(n);
            rows.for_each(|row| add_bias_gradient(&mut gradients[bias], row));
        }
        let size = state.samples * n;
        let mut adjoints = self.no_adjoints(state, connection, before, delta.len() / size.max(1));
        for (step, delta) in delta.chunks_exact(size).enumerate() {
            let gradients = gradients.as_deref_mut();
            self.back_to_norm(
                state,
                connection,
                (before, end),
                step,
                (delta, &mut adjoints),
                gradients,
            );
        }
        state.norms[before.1].adjoints = adjoints;
    }
}
