//! A group of samples backward through a block of time.
//!
//! Part by part, the last first: step by step the kernels turn the adjoints of states and spikes into
//! those of ports, `delta`, and what stays inside of the part is sent back one step at a time. Then the
//! rows of `delta` of all steps of the block give the gradients of weights and, in one matrix product (of
//! what is read alone, if that is little), the adjoints of the spikes that came from outside of the part. Spikes that were sent before the block have
//! rows, too: they are the first ones of an adjoint, and move on with [`Run::step_back`].

use std::ops::Range;

use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::program::Source;

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::chain::{Given, Stretch, add_bias_gradient};
use crate::connection::choice::{self, Back, Gradient};
use crate::connection::dense::{Begin, gather_rows, scatter};
use crate::connection::masked::add_masked_product;
use crate::connection::matmul::{Matrix, add_product};
use crate::connection::rows::Block;
use crate::connection::step_product::add_step_product;
use crate::error::RuntimeError;
use crate::events::SpikeLog;
use crate::forward::product_rows;
use crate::group::{GradientSum, GroupState, LayerState, Run, Scratch};
use crate::layer::{Frame, LayerCode, Pass, Row, SlotId};
use crate::probe::{Adjoints, Probe, StepView};
use crate::simulator::ConnectionCode;

impl<R: Float> Run<'_, '_, R> {
    /// Before the last block: no adjoint has come yet. `longest` is the number of steps of the longest block.
    pub(crate) fn begin_backward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        longest: usize,
        probe: &P,
    ) {
        for (layer, code) in state.layers.iter_mut().zip(&self.simulator.layers) {
            code.clear_adjoints(&mut layer.rows);
            layer.clear_log_adjoints();
        }
        let wanted = probe.wants_input_gradients();
        let delays = &self.simulator.longest_delays.inputs;
        let populations = self.simulator.network.inputs.iter().zip(delays);
        for (adjoints, (population, &delay)) in state.input_adjoints.iter_mut().zip(populations) {
            adjoints.rows.resize(0);
            adjoints.before = delay.min(self.batch.steps);
            if wanted {
                let channels: usize = population.shape.iter().product();
                let rows = (adjoints.before + longest) * state.samples;
                adjoints.rows.resize(rows * channels);
                adjoints.rows.fill(R::ZERO);
            }
        }
    }

    /// All parts and steps of the block, and the gradients into `sum`.
    pub(crate) fn backward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        probe: &mut P,
        sum: &mut GradientSum<R>,
    ) -> Result<(), RuntimeError> {
        for part in self.simulator.parts.iter().rev() {
            self.part_backward(state, part, probe, sum)?;
        }
        self.collect(state, probe);
        Ok(())
    }

    /// All steps of a part, and the gradients of the connections that lead to it.
    pub(crate) fn part_backward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        part: &[usize],
        probe: &mut P,
        sum: &mut GradientSum<R>,
    ) -> Result<(), RuntimeError> {
        let inputs = probe.wants_input_gradients();
        for t in (state.frame.start..state.frame.end).rev() {
            probe.seed(t, &mut Adjoints::new(self.simulator, state, t, part));
            for &l in part.iter().rev() {
                self.layer_backward(state, t, l, part)?;
            }
        }
        for &l in part {
            self.gradients(state, l, part, sum, inputs);
        }
        if state.frame.start == 0 {
            for &l in part {
                let lanes = state.samples * self.simulator.layers[l].n;
                state.layers[l].receive_initial(&self.simulator.sent_states[l], lanes);
            }
        }
        Ok(())
    }

    /// Shows the probe the adjoints of all steps of the block.
    pub(crate) fn collect<P: Probe<R>>(&self, state: &GroupState<R>, probe: &mut P) {
        let all = &self.simulator.network.order;
        for t in (state.frame.start..state.frame.end).rev() {
            probe.collect(t, &StepView::new(self.simulator, state, t, all));
        }
    }

    /// From a block to the one before it, of so many steps.
    pub(crate) fn step_back(&self, state: &mut GroupState<R>, steps: usize) {
        let cut = self.simulator.time.cuts(state.frame.start);
        let samples = state.samples;
        let sent = &self.simulator.sent_states;
        let layers = state.layers.iter_mut().zip(&self.simulator.layers);
        for ((layer, code), sent) in layers.zip(sent) {
            let lanes = samples * code.n;
            code.step_back(&mut layer.rows, steps, layer.before, lanes, cut);
            layer.step_logs_back(sent, lanes, steps, cut);
        }
        // Events are data: a truncated gradient cuts states, and the events' own adjoints stay exact.
        let populations = &self.simulator.network.inputs;
        for (adjoints, population) in state.input_adjoints.iter_mut().zip(populations) {
            let size = samples * population.shape.iter().product::<usize>();
            if !adjoints.rows.is_empty() {
                adjoints
                    .rows
                    .copy_within(0..adjoints.before * size, steps * size);
                adjoints.rows[..steps * size].fill(R::ZERO);
            }
        }
    }

    /// After the first block: adjoints of what is constant in time, and of initial states, into the sum.
    pub(crate) fn finish(
        &self,
        state: &mut GroupState<R>,
        sum: &mut GradientSum<R>,
    ) -> Result<(), RuntimeError> {
        let samples = state.samples;
        for (l, code) in self.simulator.layers.iter().enumerate() {
            code.draw_states_backward(&mut state.layers[l].rows, samples * code.n)?;
            self.finish_layer(state, l, code, sum);
        }
        Ok(())
    }

    /// One step of a layer, and of the connections to it from its own part.
    fn layer_backward(
        &self,
        state: &mut GroupState<R>,
        t: usize,
        l: usize,
        part: &[usize],
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        let lanes = state.samples * code.n;
        let frame = state.frame;
        state.layers[l].receive_step(&self.simulator.sent_states[l], lanes, t - frame.start);
        let LayerState { rows, before, .. } = &mut state.layers[l];
        code.call(Pass::Backward, rows, t, frame, *before, lanes)?;
        for connection in &self.incoming[l] {
            let sent = self.sent_step(connection, t);
            if let Some(sent) = sent.filter(|_| connection.inside(part)) {
                self.with_delta(state, l, connection, |state, delta| {
                    let delta = &delta[(t - frame.start) * lanes..][..lanes];
                    match connection.dense {
                        Some(weight) => {
                            let way = (Back::Step, false);
                            self.send_back(state, connection, weight, sent, code.n, delta, way);
                        }
                        None => {
                            let all = (connection, connection.chain.all());
                            self.chain_back(state, all, sent, delta, None, Some(false));
                        }
                    }
                });
            }
        }
        Ok(())
    }

    /// Gradients of the weights that lead to a layer, and of the spikes from outside of its part, for the
    /// block.
    fn gradients(
        &self,
        state: &mut GroupState<R>,
        l: usize,
        part: &[usize],
        sum: &mut GradientSum<R>,
        inputs: bool,
    ) {
        let n = self.simulator.layers[l].n;
        for connection in &self.incoming[l] {
            self.with_delta(state, l, connection, |state, delta| {
                let lanes = state.samples * n;
                let delta = &delta[..state.frame.len() * lanes];
                if let Some(bias) = connection.bias
                    && connection.trained
                {
                    let gradient = &mut sum.connections[bias];
                    delta
                        .chunks_exact(n)
                        .for_each(|row| add_bias_gradient(gradient, row));
                }
                let sent = self.sent_steps(state, connection);
                if sent.is_empty() {
                    return;
                }
                // The rows of the steps at which something arrived.
                let first = self.first_arrival(state, connection, &sent);
                let delta = &delta[first * lanes..];
                let outside = !connection.inside(part);
                if let Some(norm) = connection.chain.norms().next_back() {
                    let gradients = connection.trained.then_some(sum.numbers(connection));
                    self.back_from_end(state, connection, norm, delta, gradients);
                    return;
                }
                let Some(weight) = connection.dense else {
                    let gradients = connection.trained.then_some(sum.numbers(connection));
                    let all = (connection, connection.chain.all());
                    let target = outside.then_some(inputs);
                    self.chain_back_all(state, all, sent, delta, gradients, target);
                    return;
                };
                if connection.trained {
                    let dw = &mut sum.numbers(connection)[weight];
                    self.weight_gradient(state, connection, sent.clone(), n, delta, dw);
                }
                if outside {
                    let way = (Back::Block, inputs);
                    self.send_back(state, connection, weight, sent.start, n, delta, way);
                }
            });
        }
    }

    /// Hands out the adjoints of the port of a connection at all steps of the block, if they exist.
    fn with_delta(
        &self,
        state: &mut GroupState<R>,
        l: usize,
        connection: &ConnectionCode,
        work: impl FnOnce(&mut GroupState<R>, &[R]),
    ) {
        let Some(SlotId(row)) = self.simulator.port_adjoints[l][connection.port] else {
            return;
        };
        let taken = std::mem::replace(&mut state.layers[l].rows[row], Row::empty());
        if let Row::Real(delta) = &taken {
            work(state, delta);
        }
        state.layers[l].rows[row] = taken;
    }

    /// `dw[e, :] += delta[row, :]` for every event `e` that was sent in a row; the rows of `delta` are those of
    /// the steps `sent`.
    pub(crate) fn weight_gradient(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        steps: Range<usize>,
        n: usize,
        delta: &[R],
        dw: &mut [R],
    ) {
        let (rows, n_pre) = (delta.len() / n, dw.len() / n);
        let mut scratch = std::mem::take(&mut state.scratch);
        let Scratch {
            dense,
            panel,
            by_source,
            masked: _,
            between: _,
            normalised: _,
        } = &mut scratch;
        let first_row = steps.start * state.samples;
        let way = match self.event_count(state, connection, steps) {
            None => Gradient::Product,
            Some(count) => choice::gradient(count, rows, [n_pre, n]),
        };
        let block = match way {
            Gradient::Product => choice::block(n, size_of::<R>()).min(product_rows::<R>(n_pre)),
            Gradient::Gather | Gradient::Scatter => choice::block(n, size_of::<R>()),
        };
        for (k, delta) in delta.chunks(block * n).enumerate() {
            let (first, rows) = (first_row + k * block, delta.len() / n);
            let sent = |row: usize| self.sent(state, connection, first + row);
            match way {
                Gradient::Product => {
                    let rows = first..first + rows;
                    let sent = self.dense(state, connection, rows, n_pre, dense);
                    let sent = Matrix::of_rows(sent, n_pre).transposed();
                    add_product(dw, sent, Matrix::of_rows(delta, n));
                }
                Gradient::Gather => {
                    by_source.fill(n_pre, rows, sent);
                    let dw = (Begin::Given, &mut *dw);
                    gather_rows(self.arch, delta, n, panel, |i| by_source.of(i), dw);
                }
                Gradient::Scatter => {
                    for (row, delta) in delta.chunks_exact(n).enumerate() {
                        let (events, values) = sent(row);
                        scatter(self.arch, dw, events, values, delta);
                    }
                }
            }
        }
        state.scratch = scratch;
    }

    /// The rows of `delta` of all steps `sent` through operations of a connection, some steps at once.
    pub(crate) fn chain_back_all(
        &self,
        state: &mut GroupState<R>,
        (connection, stretch): (&ConnectionCode, Stretch<'_>),
        sent: Range<usize>,
        delta: &[R],
        mut gradients: Option<&mut [Vec<R>]>,
        target: Option<bool>,
    ) {
        let widest = stretch.widest();
        let most = choice::steps_at_once(state.samples, widest, size_of::<R>());
        let lanes = delta.len() / sent.len();
        for first in sent.clone().step_by(most) {
            let rows = (first - sent.start) * lanes..(first + most).min(sent.end) * lanes;
            let rows = rows.start..rows.end - sent.start * lanes;
            let gradients = gradients.as_deref_mut();
            let all = (connection, stretch);
            self.chain_back(state, all, first, &delta[rows], gradients, target);
        }
    }

    /// Some steps of the rows of `delta` through operations of a connection from the first one on: gradients of parameters, if
    /// asked for, and the adjoints of the spikes that were sent from step `sent` on; those of inputs only if
    /// asked for, too.
    pub(crate) fn chain_back(
        &self,
        state: &mut GroupState<R>,
        (connection, stretch): (&ConnectionCode, Stretch<'_>),
        sent: usize,
        delta: &[R],
        gradients: Option<&mut [Vec<R>]>,
        target: Option<bool>,
    ) {
        let first = sent * state.samples;
        let mut scratch = std::mem::take(&mut state.scratch);
        // Taken out, because the events of the same state are read meanwhile.
        let mut taken =
            target.and_then(|inputs| self.take_adjoints(state, connection.from, inputs));
        let n = self.simulator.network.source_size(connection.from);
        let size = state.samples * n;
        let rows = delta.len() / stretch.outputs().unwrap_or(n);
        let start = state.frame.start;
        let target = taken.as_mut().map(|(adjoints, before)| {
            let row = sent + *before - start;
            &mut adjoints[row * size..][..rows * n]
        });
        if gradients.is_some() || target.is_some() {
            let events = |row: usize| self.sent(state, connection, first + row);
            let numbers = self.sent_numbers(state, connection, first..first + rows);
            let sent = match numbers {
                Some(numbers) => Block::Numbers(numbers, n),
                None => Block::Events(&events),
            };
            stretch.backward(
                self.arch,
                Given {
                    parameters: self.simulator.numbers(connection),
                    masks: &state.masks,
                    centres: &state.centres,
                },
                (sent, delta),
                &mut scratch.between,
                gradients,
                target,
            );
        }
        if let Some((adjoints, _)) = taken {
            self.put_adjoints(state, connection.from, adjoints);
        }
        state.scratch = scratch;
    }

    /// Takes the adjoints of what a source sent out of the state, if there are any, and tells how many steps before the
    /// block they begin, as the steps of the source are counted.
    fn take_adjoints(
        &self,
        state: &mut GroupState<R>,
        from: Source,
        inputs: bool,
    ) -> Option<(Aligned<R>, usize)> {
        match from {
            Source::Input(i) if inputs => {
                let adjoints = &mut state.input_adjoints[i];
                Some((std::mem::take(&mut adjoints.rows), adjoints.before))
            }
            Source::Input(_) => None,
            Source::Layer(from) => {
                let SlotId(row) = self.simulator.spike_adjoints[from]?;
                let LayerState { rows, before, .. } = &mut state.layers[from];
                match std::mem::replace(&mut rows[row], Row::empty()) {
                    Row::Real(values) => Some((values, *before)),
                    Row::Bool(_) | Row::Bf16(_) => unreachable!("adjoints are reals"),
                }
            }
            Source::State(l, s) => Some((state.layers[l].states[s].take_adjoints()?, 0)),
        }
    }

    fn put_adjoints(&self, state: &mut GroupState<R>, from: Source, adjoints: Aligned<R>) {
        match from {
            Source::Input(i) => state.input_adjoints[i].rows = adjoints,
            Source::Layer(from) => {
                if let Some(SlotId(row)) = self.simulator.spike_adjoints[from] {
                    state.layers[from].rows[row] = Row::Real(adjoints);
                }
            }
            Source::State(l, s) => state.layers[l].states[s].put_adjoints(adjoints),
        }
    }

    /// The adjoint of the spikes that were sent from step `sent` on: `delta · wᵀ`, for the rows of `delta`; of inputs
    /// only if asked for.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of one product; a struct of them would have no other use"
    )]
    pub(crate) fn send_back(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        weight: usize,
        sent: usize,
        n: usize,
        delta: &[R],
        (back, inputs): (Back, bool),
    ) {
        let weights = &self.simulator.numbers(connection)[weight];
        let n_pre = weights.len() / n;
        let Some((mut adjoints, before)) = self.take_adjoints(state, connection.from, inputs)
        else {
            return;
        };
        let first = sent + before - state.frame.start;
        let target = &mut adjoints[first * state.samples * n_pre..][..delta.len() / n * n_pre];
        let product = |delta: &[R], target: &mut [R]| {
            let turned = match connection.tap {
                None => &self.simulator.transposed[weight],
                Some(_) => &self.simulator.transposed_tables[weight],
            };
            if turned.is_empty() {
                let weights = Matrix::of_rows(weights, n).transposed();
                add_product(target, Matrix::of_rows(delta, n), weights);
            } else {
                add_step_product(self.arch, delta, turned, n_pre, target);
            }
        };
        let mut memory = std::mem::take(&mut state.scratch.masked);
        match self.mask(state, connection.from, back, n) {
            None => product(delta, target),
            Some(support) => {
                // Where the gradient of spikes before the block goes on may not be known any more.
                let early = state.frame.start.saturating_sub(sent) * state.samples;
                let early = early.min(delta.len() / n);
                let (delta_before, delta) = delta.split_at(early * n);
                let (target_before, target) = target.split_at_mut(early * n_pre);
                product(delta_before, target_before);
                let first = sent.max(state.frame.start) - state.frame.taped;
                let active = |row: usize| support.row(first * state.samples + row);
                add_masked_product(self.arch, delta, n, weights, &mut memory, active, target);
            }
        }
        state.scratch.masked = memory;
        self.put_adjoints(state, connection.from, adjoints);
    }

    /// Where the gradients of the spikes of a source go on, if it is cheaper to compute them only there.
    fn mask<'s>(
        &self,
        state: &'s GroupState<R>,
        from: Source,
        back: Back,
        outputs: usize,
    ) -> Option<&'s SpikeLog> {
        let Source::Layer(from) = from else {
            return None;
        };
        let code = &self.simulator.layers[from];
        code.support?;
        if !self.simulator.masked[from] || !choice::can_mask(outputs) {
            return None;
        }
        let Frame { start, end, taped } = state.frame;
        let support = &state.layers[from].support;
        let active = support.count(start - taped..end - taped);
        let entries = (end - start) * state.samples * code.n;
        choice::masked(back, active, entries, [code.n, outputs]).then_some(support)
    }

    /// Adds the adjoints of what is constant in time, and of the initial states, to the sum.
    fn finish_layer(
        &self,
        state: &GroupState<R>,
        l: usize,
        code: &LayerCode<R>,
        sum: &mut GradientSum<R>,
    ) {
        let add = |target: &mut [f64], row: &Row<R>| {
            if let Row::Real(values) = row {
                for sample in values.chunks_exact(code.n) {
                    target
                        .iter_mut()
                        .zip(sample)
                        .for_each(|(t, v)| *t += v.to_f64());
                }
            }
        };
        for ((SlotId(row), _), target) in code.collected().iter().zip(&mut sum.collected[l]) {
            add(target, &state.layers[l].rows[*row]);
        }
        for (slot, target) in &mut sum.initial[l] {
            let state_adjoint = Slot::new(Role::State, slot.name.as_str()).adjoint();
            if let Some(SlotId(row)) = code.row(&state_adjoint) {
                add(target, &state.layers[l].rows[row]);
            }
        }
    }
}
