//! A group of samples forward through a block of time.
//!
//! What arrives at a part from outside of it is summed for all steps of the block at once where that is
//! cheaper; then, step by step, the rest is gathered from the events of the sources, the kernel of each
//! layer runs once over all lanes, and its spikes are listed.

use std::ops::Range;

use rheobase_ir::program::Source;

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::by_source::Arrivals;
use crate::connection::chain::add_bias;
use crate::connection::choice::{self, Forward};
use crate::connection::dense::{gather, gather_rows};
use crate::connection::matmul::{Matrix, add_product};
use crate::error::RuntimeError;
use crate::events::SpikeLog;
use crate::group::{GroupState, LayerState, Run};
use crate::layer::{Pass, Row, SlotId};
use crate::probe::{Probe, StepView};
use crate::simulator::ConnectionCode;

impl<R: Float> Run<'_, '_, R> {
    /// All steps of the block of the layers of a part. Without a probe the block runs again: its spikes are
    /// known.
    pub(crate) fn forward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        part: &[usize],
        pass: Pass,
        mut probe: Option<&mut P>,
    ) -> Result<(), RuntimeError> {
        for &l in part {
            self.arrive_ahead(state, l, part);
        }
        for t in state.frame.start..state.frame.end {
            for &l in part {
                self.layer_forward(state, t, l, pass, probe.is_some())?;
            }
            if let Some(probe) = &mut probe {
                probe.observe(t, &StepView::new(self.simulator, state, t, part));
            }
        }
        Ok(())
    }

    /// Sums what arrives at a layer from outside of its part, for those connections for which this is
    /// cheaper than step by step.
    fn arrive_ahead(&self, state: &mut GroupState<R>, l: usize, part: &[usize]) {
        let mut ahead = std::mem::take(&mut state.layers[l].ahead);
        ahead.begin(self.incoming[l].len(), self.simulator.ports[l].len());
        for (c, connection) in self.incoming[l].iter().enumerate() {
            let Some(weights) = connection.dense else {
                continue;
            };
            let sent = self.sent_steps(state, connection);
            if connection.inside(part) || sent.is_empty() {
                continue;
            }
            let weights = &self.simulator.numbers(connection)[weights];
            let n = self.simulator.layers[l].n;
            let shape = [weights.len() / n, n];
            let count = self.event_count(state, connection, sent.clone());
            let rows = sent.start * state.samples..sent.end * state.samples;
            let choice = choice::forward(count, rows.len(), shape, size_of::<R>());
            if choice == Forward::Gather {
                continue;
            }
            ahead.arrived[c] = true;
            let sums = &mut ahead.sums[connection.port];
            if sums.is_empty() {
                sums.resize(state.frame.len() * state.samples * n);
                sums.fill(R::ZERO);
            }
            let first = sent.start + connection.delay - state.frame.start;
            let sums = &mut sums[first * state.samples * n..];
            self.sum_rows(state, connection, choice, (weights, n), rows, sums);
        }
        state.layers[l].ahead = ahead;
    }

    /// Adds what all steps `sent` become by dense weights to rows of `n`.
    pub(crate) fn sum_events(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        weight: usize,
        n: usize,
        sent: Range<usize>,
        sums: &mut [R],
    ) {
        let weights = &self.simulator.numbers(connection)[weight];
        let count = self.event_count(state, connection, sent.clone());
        let rows = sent.start * state.samples..sent.end * state.samples;
        let shape = [weights.len() / n, n];
        let choice = choice::forward(count, rows.len(), shape, size_of::<R>());
        self.sum_rows(state, connection, choice, (weights, n), rows, sums);
    }

    /// Adds what some rows of a source become by dense weights to rows of `n`.
    fn sum_rows(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        choice: Forward,
        (weights, n): (&[R], usize),
        rows: Range<usize>,
        sums: &mut [R],
    ) {
        let mut scratch = std::mem::take(&mut state.scratch);
        let sent = |row: usize| self.sent(state, connection, rows.start + row);
        match choice {
            Forward::Product => {
                let n_pre = weights.len() / n;
                self.dense(state, connection, rows, n_pre, &mut scratch.dense);
                let (sent, weights) = (&scratch.dense, Matrix::of_rows(weights, n));
                add_product(sums, Matrix::of_rows(sent, n_pre), weights);
            }
            Forward::Panels => gather_rows(self.arch, weights, n, &mut scratch.panel, sent, sums),
            Forward::Gather => {
                for (row, out) in sums.chunks_exact_mut(n).enumerate().take(rows.len()) {
                    let (events, values) = sent(row);
                    gather(self.arch, weights, events, values, out);
                }
            }
        }
        state.scratch = scratch;
    }

    /// The steps at which a source sent what arrives in the block.
    pub(crate) fn sent_steps(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
    ) -> Range<usize> {
        let sent = |arrives: usize| arrives.saturating_sub(connection.delay);
        sent(state.frame.start)..sent(state.frame.end)
    }

    /// The events of a source at some steps.
    pub(crate) fn event_count(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        steps: Range<usize>,
    ) -> usize {
        match connection.from {
            Source::Input(i) => {
                let samples = &self.batch.inputs[i][self.first..][..state.samples];
                samples.iter().map(|s| s.count(steps.clone())).sum()
            }
            Source::Layer(l) => state.layers[l].log.count(steps),
        }
    }

    /// The events of a source in a row, that is a step of a sample of the group.
    pub(crate) fn sent<'s>(
        &'s self,
        state: &'s GroupState<R>,
        connection: &ConnectionCode,
        row: usize,
    ) -> Arrivals<'s> {
        let (t, b) = (row / state.samples, row % state.samples);
        match connection.from {
            Source::Input(i) => self.batch.inputs[i][self.first + b].at(t),
            Source::Layer(l) => state.layers[l].log.at(t, b),
        }
    }

    /// Some rows of a source of `n` neurons as a matrix.
    pub(crate) fn dense(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        rows: Range<usize>,
        n: usize,
        out: &mut Aligned<R>,
    ) {
        out.resize(rows.len() * n);
        out.fill(R::ZERO);
        for (r, row) in rows.zip(out.chunks_exact_mut(n)) {
            let (events, values) = self.sent(state, connection, r);
            for (k, &e) in events.iter().enumerate() {
                let value = values.map_or(R::ONE, |v| R::from_f64(f64::from(v[k])));
                // A channel may have several events in a step.
                row[e as usize] = row[e as usize].add(value);
            }
        }
    }

    fn layer_forward(
        &self,
        state: &mut GroupState<R>,
        t: usize,
        l: usize,
        pass: Pass,
        first_time: bool,
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        let lanes = state.samples * code.n;
        let in_block = t - state.frame.start;
        for (p, &port) in self.simulator.ports[l].iter().enumerate() {
            let Some(SlotId(row)) = port else { continue };
            let Row::Real(mut x) = std::mem::replace(&mut state.layers[l].rows[row], Row::empty())
            else {
                unreachable!("ports are reals")
            };
            let rows = in_block * lanes..(in_block + 1) * lanes;
            match state.layers[l].ahead.sums[p].get(rows) {
                Some(sums) => x.copy_from_slice(sums),
                None => x.fill(R::ZERO),
            }
            for (c, connection) in self.incoming[l].iter().enumerate() {
                if connection.port == p {
                    let arrived = state.layers[l].ahead.arrived[c];
                    self.arrive(state, connection, t, code.n, arrived, &mut x);
                }
            }
            self.inject(l, p, t, code.n, &mut x);
            state.layers[l].rows[row] = Row::Real(x);
        }
        let LayerState { rows, before, .. } = &mut state.layers[l];
        code.call(pass, rows, t, state.frame, *before, lanes)?;
        let LayerState {
            rows, log, support, ..
        } = &mut state.layers[l];
        let list = |log: &mut SpikeLog, row: Option<SlotId>| {
            let Some(SlotId(row)) = row else { return };
            match &rows[row] {
                Row::Bool(spikes) => log.append(spikes, code.n),
                Row::Real(numbers) => log.append_numbers(numbers, code.n),
            }
        };
        if first_time {
            list(log, self.simulator.spikes[l]);
        }
        if pass == Pass::Forward && self.simulator.masked[l] {
            list(support, code.support);
        }
        Ok(())
    }

    /// Adds what a connection delivers at step `t`: the bias, and the events if they have not `arrived`.
    fn arrive(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        n: usize,
        arrived: bool,
        x: &mut [R],
    ) {
        let parameters = &self.simulator.parameters.values[..];
        if let Some(bias) = connection.bias {
            x.chunks_exact_mut(n)
                .for_each(|row| add_bias(row, &parameters[bias]));
        }
        if arrived || t < connection.delay {
            return;
        }
        let first = (t - connection.delay) * state.samples;
        let Some(weight) = connection.dense else {
            self.deliver(state, connection, t - connection.delay, x);
            return;
        };
        let weights = match connection.tap {
            None if !self.simulator.aligned[weight].is_empty() => &self.simulator.aligned[weight],
            None | Some(_) => &self.simulator.numbers(connection)[weight][..],
        };
        for (b, out) in x.chunks_exact_mut(n).enumerate() {
            let (events, values) = self.sent(state, connection, first + b);
            gather(self.arch, weights, events, values, out);
        }
    }

    fn inject(&self, l: usize, p: usize, t: usize, n: usize, x: &mut [R]) {
        for injection in self
            .batch
            .injections
            .iter()
            .filter(|i| i.layer == l && i.port == p)
        {
            for (b, out) in x.chunks_exact_mut(n).enumerate() {
                for (j, x) in out.iter_mut().enumerate() {
                    *x = x.add(injection.values[[t, self.first + b, j]]);
                }
            }
        }
    }
}
