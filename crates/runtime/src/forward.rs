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
use crate::connection::dense::{Begin, gather, gather_from_panels, gather_rows};
use crate::connection::matmul::{Matrix, add_product, write_product};
use crate::connection::step_product::add_step_product;
use crate::error::RuntimeError;
use crate::events::SpikeLog;
use crate::group::{GroupState, LayerState, Run};
use crate::layer::{Pass, Row, SlotId};
use crate::probe::{Probe, StepView};
use crate::simulator::ConnectionCode;

/// The memory that the events of a source may take when they are written out as a matrix.
const WRITTEN_BYTES: usize = 1 << 22;

/// The rows of a source of `n` neurons that are written out at once.
pub(crate) fn product_rows<R>(n: usize) -> usize {
    (WRITTEN_BYTES / (n * size_of::<R>()).max(1)).max(1)
}

/// Writes a row of events out as numbers.
fn write_events<R: Float>(events: &[u32], values: Option<&[f32]>, row: &mut [R]) {
    let number = |value: f32| R::from_f64(f64::from(value));
    // All are compared: a search that ends early takes one at a time.
    let other = |(i, &e): (u32, &u32)| e ^ i;
    let every =
        events.len() == row.len() && (0..).zip(events).map(other).fold(0, |a, b| a | b) == 0;
    if let (true, Some(values)) = (every, values) {
        row.iter_mut()
            .zip(values)
            .for_each(|(x, &v)| *x = number(v));
        return;
    }
    row.fill(R::ZERO);
    for (k, &e) in events.iter().enumerate() {
        let value = values.map_or(R::ONE, |v| number(v[k]));
        // A channel may have several events in a step.
        row[e as usize] = row[e as usize].add(value);
    }
}

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
            let choice = self.forward_way(state, connection, &sent, shape);
            let rows = sent.start * state.samples..sent.end * state.samples;
            if choice == Forward::Gather {
                continue;
            }
            ahead.arrived[c] = true;
            let sums = &mut ahead.sums[connection.port];
            let first = self.first_arrival(state, connection, &sent) * state.samples * n;
            let begin = match sums.is_empty() {
                true => Begin::New,
                false => Begin::Given,
            };
            if begin == Begin::New {
                sums.resize(state.frame.len() * state.samples * n);
                sums[..first].fill(R::ZERO);
            }
            let sums = &mut sums[first..];
            self.sum_rows(state, connection, choice, (weights, n), rows, (begin, sums));
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
        let choice = self.forward_way(state, connection, &sent, [weights.len() / n, n]);
        let rows = sent.start * state.samples..sent.end * state.samples;
        let sums = (Begin::Given, sums);
        self.sum_rows(state, connection, choice, (weights, n), rows, sums);
    }

    /// How what all steps `sent` become by dense weights is summed. Of a state every number counts.
    fn forward_way(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        sent: &Range<usize>,
        shape: [usize; 2],
    ) -> Forward {
        let Some(count) = self.event_count(state, connection, sent.clone()) else {
            return Forward::Product;
        };
        choice::forward(count, sent.len() * state.samples, shape, size_of::<R>())
    }

    /// Adds what some rows of a source become by dense weights to rows of `n`, or to zero.
    fn sum_rows(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        choice: Forward,
        (weights, n): (&[R], usize),
        rows: Range<usize>,
        (begin, sums): (Begin, &mut [R]),
    ) {
        let mut scratch = std::mem::take(&mut state.scratch);
        let sent = |row: usize| self.sent(state, connection, rows.start + row);
        match choice {
            Forward::Product => {
                let n_pre = weights.len() / n;
                let weights = Matrix::of_rows(weights, n);
                let most = product_rows::<R>(n_pre);
                let sums = &mut sums[..rows.len() * n];
                for (first, sums) in rows.step_by(most).zip(sums.chunks_mut(most * n)) {
                    let rows = first..first + sums.len() / n;
                    let sent = self.dense(state, connection, rows, n_pre, &mut scratch.dense);
                    let sent = Matrix::of_rows(sent, n_pre);
                    match begin {
                        Begin::New => write_product(sums, sent, weights),
                        Begin::Given => add_product(sums, sent, weights),
                    }
                }
            }
            Forward::Panels => match self.panels(connection) {
                Some(copied) => gather_from_panels(self.arch, copied, n, sent, (begin, sums)),
                None => {
                    let panel = &mut scratch.panel;
                    gather_rows(self.arch, weights, n, panel, sent, (begin, sums));
                }
            },
            Forward::Gather => {
                for (row, out) in sums.chunks_exact_mut(n).enumerate().take(rows.len()) {
                    let (events, values) = sent(row);
                    begin.clear(out);
                    gather(self.arch, weights, events, values, out);
                }
            }
        }
        state.scratch = scratch;
    }

    /// The weights of a connection in panels of columns, if they were copied.
    fn panels(&self, connection: &ConnectionCode) -> Option<&[R]> {
        let weights = connection.dense.filter(|_| connection.tap.is_none())?;
        let copied = &self.simulator.panels[weights][..];
        (!copied.is_empty()).then_some(copied)
    }

    /// The steps at which a source sent what arrives in the block; those of a state are counted from the longest delay
    /// before the first one on.
    pub(crate) fn sent_steps(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
    ) -> Range<usize> {
        let sent = |arrives: usize| self.sent_step(connection, arrives).unwrap_or(0);
        sent(state.frame.start)..sent(state.frame.end)
    }

    /// The step of the block at which the first of the steps `sent` arrives.
    pub(crate) fn first_arrival(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        sent: &Range<usize>,
    ) -> usize {
        let origin = self.simulator.origin(connection.from);
        sent.start + connection.delay - origin - state.frame.start
    }

    /// The events of a source at some steps; `None` for a state, which is not one of events.
    pub(crate) fn event_count(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        steps: Range<usize>,
    ) -> Option<usize> {
        match connection.from {
            Source::Input(i) => {
                let samples = &self.batch.inputs[i][self.first..][..state.samples];
                Some(samples.iter().map(|s| s.count(steps.clone())).sum())
            }
            Source::Layer(l) => Some(state.layers[l].log.count(steps)),
            Source::State(..) => None,
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
            Source::State(..) => unreachable!("a state is read as numbers"),
        }
    }

    /// The numbers that a state sent in some rows, each a step of a sample; `None` for sources of events.
    pub(crate) fn sent_numbers<'s>(
        &self,
        state: &'s GroupState<R>,
        connection: &ConnectionCode,
        rows: Range<usize>,
    ) -> Option<&'s [R]> {
        let Source::State(l, s) = connection.from else {
            return None;
        };
        let (samples, n) = (state.samples, self.simulator.layers[l].n);
        Some(state.layers[l].states[s].rows(samples, n, rows))
    }

    /// Some rows of a source of `n` neurons as a matrix, which is written to `out` if it is one of events.
    pub(crate) fn dense<'s>(
        &self,
        state: &'s GroupState<R>,
        connection: &ConnectionCode,
        rows: Range<usize>,
        n: usize,
        out: &'s mut Aligned<R>,
    ) -> &'s [R] {
        if let Some(numbers) = self.sent_numbers(state, connection, rows.clone()) {
            return numbers;
        }
        out.resize(rows.len() * n);
        for (r, row) in rows.zip(out.chunks_exact_mut(n)) {
            let (events, values) = self.sent(state, connection, r);
            write_events(events, values, row);
        }
        out
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
        if self.check && first_time {
            self.refuse_non_finite(state, t, l)?;
        }
        state.layers[l].log_states(&self.simulator.sent_states[l], lanes, t);
        let LayerState {
            rows, log, support, ..
        } = &mut state.layers[l];
        let list = |log: &mut SpikeLog, row: Option<SlotId>| {
            let Some(SlotId(row)) = row else { return };
            match &rows[row] {
                Row::Bool(spikes) => log.append(spikes, code.n),
                Row::Real(numbers) => log.append_numbers(numbers, code.n),
                Row::Bf16(_) => unreachable!("spikes are no tape"),
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
        let Some(step) = self.sent_step(connection, t).filter(|_| !arrived) else {
            return;
        };
        let Some(weight) = connection.dense else {
            self.deliver(state, connection, step, x);
            return;
        };
        let first = step * state.samples;
        let weights = match connection.tap {
            None if !self.simulator.aligned[weight].is_empty() => &self.simulator.aligned[weight],
            None | Some(_) => &self.simulator.numbers(connection)[weight][..],
        };
        let rows = first..first + state.samples;
        if let Some(sent) = self.sent_numbers(state, connection, rows) {
            add_step_product(self.arch, sent, weights, n, x);
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_out_whether_all_channels_have_one_or_not() {
        let mut row = [7.0f64; 3];
        write_events(&[0, 1, 2], Some(&[1.5, 0.0, -2.0]), &mut row);
        assert_eq!(row, [1.5, 0.0, -2.0]);
        write_events(&[0, 1, 2], None, &mut row);
        assert_eq!(row, [1.0, 1.0, 1.0]);
        write_events(&[2, 0, 2], Some(&[1.5, 0.5, -2.0]), &mut row);
        assert_eq!(row, [0.5, 0.0, -0.5]);
        write_events(&[], None, &mut row);
        assert_eq!(row, [0.0; 3]);
    }
}
