//! A group of samples backward in time.
//!
//! Part by part, the last first: step by step the kernels turn the adjoints of states and spikes into
//! those of ports, `delta`, and what stays inside of the part is sent back one step at a time. Then the
//! rows of `delta` of all steps give the gradients of weights and, in one matrix product, the adjoints of
//! the spikes that came from outside of the part.

use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::program::Source;

use crate::backend::Float;
use crate::connection::choice::{self, Gradient};
use crate::connection::dense::{add_rows, gather_rows, scatter};
use crate::connection::matmul::{Matrix, add_product};
use crate::connection::step_product::add_step_product;
use crate::error::RuntimeError;
use crate::group::{GradientSum, GroupState, Run, Scratch};
use crate::layer::{LayerCode, Pass, Row, SlotId};
use crate::probe::{Adjoints, Probe, StepView};
use crate::simulator::ConnectionCode;

impl<R: Float> Run<'_, '_, R> {
    /// All parts and steps, and the gradients into `sum`.
    pub(crate) fn backward<P: Probe<R>>(
        &self,
        state: &mut GroupState<R>,
        probe: &mut P,
        sum: &mut GradientSum<R>,
    ) -> Result<(), RuntimeError> {
        for (layer, code) in state.layers.iter_mut().zip(&self.simulator.layers) {
            code.clear_adjoints(&mut layer.rows);
        }
        let inputs = probe.wants_input_gradients();
        self.clear_input_adjoints(state, inputs);
        for part in self.simulator.parts.iter().rev() {
            for t in (0..self.batch.steps).rev() {
                probe.seed(t, &mut Adjoints::new(self.simulator, state, t, part));
                for &l in part.iter().rev() {
                    self.layer_backward(state, t, l, part)?;
                }
            }
            for &l in part {
                self.gradients(state, l, part, sum, inputs);
            }
        }
        let all = &self.simulator.network.order;
        for t in (0..self.batch.steps).rev() {
            probe.collect(t, &StepView::new(self.simulator, state, t, all));
        }
        for (l, code) in self.simulator.layers.iter().enumerate() {
            self.finish(state, l, code, sum);
        }
        Ok(())
    }

    fn clear_input_adjoints(&self, state: &mut GroupState<R>, wanted: bool) {
        for (row, population) in state
            .input_adjoints
            .iter_mut()
            .zip(&self.simulator.network.inputs)
        {
            row.clear();
            if wanted {
                let channels: usize = population.shape.iter().product();
                row.resize(self.batch.steps * state.samples * channels, R::ZERO);
            }
        }
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
        code.call(Pass::Backward, &mut state.layers[l].rows, t, lanes)?;
        for connection in &self.simulator.incoming[l] {
            if connection.inside(part) && t >= connection.delay {
                self.with_delta(state, l, connection, |state, delta| {
                    let delta = &delta[t * lanes..][..lanes];
                    self.send_back(
                        state,
                        connection,
                        t - connection.delay,
                        code.n,
                        delta,
                        false,
                    );
                });
            }
        }
        Ok(())
    }

    /// Gradients of the weights that lead to a layer, and of the spikes from outside of its part.
    fn gradients(
        &self,
        state: &mut GroupState<R>,
        l: usize,
        part: &[usize],
        sum: &mut GradientSum<R>,
        inputs: bool,
    ) {
        let n = self.simulator.layers[l].n;
        for connection in &self.simulator.incoming[l] {
            self.with_delta(state, l, connection, |state, delta| {
                if let Some(bias) = connection.bias
                    && connection.trained
                {
                    add_rows(&mut sum.connections[bias], delta);
                }
                // The rows of the steps at which something arrived.
                let delta = delta
                    .get(connection.delay * state.samples * n..)
                    .unwrap_or(&[]);
                if delta.is_empty() {
                    return;
                }
                if connection.trained {
                    let dw = &mut sum.connections[connection.weight];
                    self.weight_gradient(state, connection, n, delta, dw);
                }
                if !connection.inside(part) {
                    self.send_back(state, connection, 0, n, delta, inputs);
                }
            });
        }
    }

    /// Hands out the adjoints of the port of a connection at all steps, if they exist.
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

    /// `dw[e, :] += delta[row, :]` for every event `e` that was sent in a row.
    fn weight_gradient(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
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
        } = &mut scratch;
        let way = choice::gradient(self.event_count(state, connection), rows, [n_pre, n]);
        let block = choice::block(n, size_of::<R>());
        for (k, delta) in delta.chunks(block * n).enumerate() {
            let (first, rows) = (k * block, delta.len() / n);
            let sent = |row: usize| self.sent(state, connection, first + row);
            match way {
                Gradient::Product => {
                    self.dense(state, connection, first..first + rows, n_pre, dense);
                    let sent = Matrix::of_rows(dense, n_pre).transposed();
                    add_product(dw, sent, Matrix::of_rows(delta, n));
                }
                Gradient::Gather => {
                    by_source.fill(n_pre, rows, sent);
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

    /// The adjoint of the spikes that were sent from step `sent` on: `delta · wᵀ`, for the rows of `delta`.
    fn send_back(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        sent: usize,
        n: usize,
        delta: &[R],
        inputs: bool,
    ) {
        let weights = &self.simulator.parameters.values[connection.weight];
        let n_pre = weights.len() / n;
        let target: &mut [R] = match connection.from {
            Source::Input(i) if inputs => &mut state.input_adjoints[i],
            Source::Input(_) => return,
            Source::Layer(from) => {
                let Some(SlotId(row)) = self.simulator.spike_adjoints[from] else {
                    return;
                };
                let Row::Real(values) = &mut state.layers[from].rows[row] else {
                    return;
                };
                values
            }
        };
        let target = &mut target[sent * state.samples * n_pre..][..delta.len() / n * n_pre];
        let turned = &self.simulator.transposed[connection.weight];
        if turned.is_empty() {
            let weights = Matrix::of_rows(weights, n).transposed();
            add_product(target, Matrix::of_rows(delta, n), weights);
        } else {
            add_step_product(self.arch, delta, turned, n_pre, target);
        }
    }

    /// Adds the adjoints of what is constant in time, and of the initial states, to the sum.
    fn finish(
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
