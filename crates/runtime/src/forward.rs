//! A group of samples forward in time.
//!
//! Part by part: what arrives from outside of the part is summed for all steps at once where that is
//! cheaper; then, step by step, the rest is gathered from the events of the sources, the kernel of each
//! layer runs once over all lanes, and its spikes are listed.

use std::ops::Range;

use rheobase_ir::program::Source;

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::by_source::Arrivals;
use crate::connection::choice::{self, Forward};
use crate::connection::dense::{gather, gather_rows};
use crate::connection::matmul::{Matrix, add_product};
use crate::error::RuntimeError;
use crate::group::{GroupState, LayerState, Run};
use crate::layer::{Pass, Row, SlotId};
use crate::probe::{Probe, StepView};
use crate::simulator::ConnectionCode;

impl<R: Float> Run<'_, '_, R> {
    /// All steps of the layers of a part.
    pub(crate) fn forward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        part: &[usize],
        probe: &mut P,
        pass: Pass,
    ) -> Result<(), RuntimeError> {
        for &l in part {
            self.arrive_ahead(state, l, part);
        }
        for t in 0..self.batch.steps {
            for &l in part {
                self.layer_forward(state, t, l, pass)?;
            }
            probe.observe(t, &StepView::new(self.simulator, state, t, part));
        }
        Ok(())
    }

    /// Sums what arrives at a layer from outside of its part, for those connections for which this is
    /// cheaper than step by step.
    fn arrive_ahead(&self, state: &mut GroupState<R>, l: usize, part: &[usize]) {
        let mut ahead = std::mem::take(&mut state.layers[l].ahead);
        ahead.begin(
            self.simulator.incoming[l].len(),
            self.simulator.ports[l].len(),
        );
        for (c, connection) in self.simulator.incoming[l].iter().enumerate() {
            let rows = self.sending_rows(state, connection);
            if connection.inside(part) || rows == 0 {
                continue;
            }
            let weights = &self.simulator.parameters.values[connection.weight];
            let n = self.simulator.layers[l].n;
            let shape = [weights.len() / n, n];
            let count = self.event_count(state, connection);
            let choice = choice::forward(count, rows, shape, size_of::<R>());
            if choice == Forward::Gather {
                continue;
            }
            ahead.arrived[c] = true;
            let sums = &mut ahead.sums[connection.port];
            if sums.is_empty() {
                sums.resize(self.batch.steps * state.samples * n);
                sums.fill(R::ZERO);
            }
            let sums = &mut sums[connection.delay * state.samples * n..];
            let mut scratch = std::mem::take(&mut state.scratch);
            if choice == Forward::Product {
                self.dense(state, connection, 0..rows, shape[0], &mut scratch.dense);
                let (sent, weights) = (&scratch.dense, Matrix::of_rows(weights, n));
                add_product(sums, Matrix::of_rows(sent, shape[0]), weights);
            } else {
                let sent = |row: usize| self.sent(state, connection, row);
                gather_rows(self.arch, weights, n, &mut scratch.panel, sent, sums);
            }
            state.scratch = scratch;
        }
        state.layers[l].ahead = ahead;
    }

    /// How many rows (steps of samples) of a source arrive before the end.
    pub(crate) fn sending_rows(&self, state: &GroupState<R>, connection: &ConnectionCode) -> usize {
        self.batch.steps.saturating_sub(connection.delay) * state.samples
    }

    /// The events of a source in all rows.
    pub(crate) fn event_count(&self, state: &GroupState<R>, connection: &ConnectionCode) -> usize {
        match connection.from {
            Source::Input(i) => {
                let samples = &self.batch.inputs[i][self.first..][..state.samples];
                let count = samples.iter().map(|s| s.count(self.batch.steps));
                count.sum()
            }
            Source::Layer(l) => state.layers[l].log.len(),
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
            Source::Layer(l) => (state.layers[l].log.at(t, b), None),
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
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        let lanes = state.samples * code.n;
        for (p, &port) in self.simulator.ports[l].iter().enumerate() {
            let Some(SlotId(row)) = port else { continue };
            let Row::Real(mut x) = std::mem::replace(&mut state.layers[l].rows[row], Row::empty())
            else {
                unreachable!("ports are reals")
            };
            let ahead = &state.layers[l].ahead;
            match ahead.sums[p].get(t * lanes..(t + 1) * lanes) {
                Some(sums) => x.copy_from_slice(sums),
                None => x.fill(R::ZERO),
            }
            for (c, connection) in self.simulator.incoming[l].iter().enumerate() {
                if connection.port == p {
                    let arrived = ahead.arrived[c];
                    self.arrive(state, connection, t, code.n, arrived, &mut x);
                }
            }
            self.inject(l, p, t, code.n, &mut x);
            state.layers[l].rows[row] = Row::Real(x);
        }
        code.call(pass, &mut state.layers[l].rows, t, lanes)?;
        if let Some(SlotId(row)) = self.simulator.spikes[l] {
            let LayerState { rows, log, .. } = &mut state.layers[l];
            if let Row::Bool(spikes) = &rows[row] {
                log.append(spikes, code.n);
            }
        }
        Ok(())
    }

    /// Adds what a connection delivers at step `t`: the bias, and the events if they have not `arrived`.
    fn arrive(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        n: usize,
        arrived: bool,
        x: &mut [R],
    ) {
        let parameters = &self.simulator.parameters.values;
        if let Some(bias) = connection.bias {
            for out in x.chunks_exact_mut(n) {
                out.iter_mut()
                    .zip(&parameters[bias])
                    .for_each(|(x, &bias)| *x = x.add(bias));
            }
        }
        if arrived || t < connection.delay {
            return;
        }
        let aligned = &self.simulator.aligned[connection.weight];
        let weights = if aligned.is_empty() {
            &parameters[connection.weight]
        } else {
            &aligned[..]
        };
        let first = (t - connection.delay) * state.samples;
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
