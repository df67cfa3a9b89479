//! One group of samples, forward and backward in time.
//!
//! Step by step: what arrives at a layer is gathered from the events of its sources, the layer's kernel
//! runs once over all lanes, its spikes are listed, and the next layer follows. Backward the same in
//! reverse: the kernel gives the adjoint of the input, which is added to the rows of the weights whose
//! neurons spiked and multiplied by the weights for the neurons that sent.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3};
use pulp::Arch;
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::program::Source;

use crate::backend::Float;
use crate::connection::dense::{add_rows, gather, scatter};
use crate::connection::matmul::add_product_transposed;
use crate::error::RuntimeError;
use crate::events::{Events, SpikeLog};
use crate::layer::{LayerCode, Pass, Row, SlotId};
use crate::probe::{Adjoints, Probe, StepView};
use crate::simulator::{ConnectionCode, Simulator};

/// A batch of samples.
pub struct Batch<'a, R> {
    /// The number of steps.
    pub steps: usize,
    /// The number of samples.
    pub samples: usize,
    /// For each input population the events of each sample.
    pub inputs: Vec<Vec<Events<'a>>>,
    /// Numbers added directly to ports.
    pub injections: Vec<Injection<'a, R>>,
    /// Initial states that replace those of the model.
    pub initial: Vec<InitialState<'a, R>>,
}

/// Numbers added to a port of a layer at every step.
pub struct Injection<'a, R> {
    /// The layer.
    pub layer: usize,
    /// The port of its neuron.
    pub port: usize,
    /// `[steps, samples, n]`.
    pub values: ArrayView3<'a, R>,
}

/// Initial values of a state of a layer.
pub struct InitialState<'a, R> {
    /// The layer.
    pub layer: usize,
    /// The name of the state.
    pub state: String,
    /// `[samples, n]`.
    pub values: ArrayView2<'a, R>,
}

/// What one layer of a group works on.
pub(crate) struct LayerState<R> {
    pub(crate) rows: Vec<Row<R>>,
    log: SpikeLog,
    /// Adjoints of the layer's spikes at the coming steps of the backward, by step modulo its length.
    ring: Vec<Vec<R>>,
}

/// The memory of a group. Kept and reused from batch to batch.
pub(crate) struct GroupState<R> {
    pub(crate) samples: usize,
    pub(crate) layers: Vec<LayerState<R>>,
    /// For each input population the adjoint of every step, `[steps, samples, channels]`, if asked for.
    pub(crate) input_adjoints: Vec<Vec<R>>,
}

/// Sums of gradients over samples.
#[derive(Clone, Debug)]
pub(crate) struct GradientSum<R> {
    /// For each parameter that belongs to a connection its gradient; empty for others.
    pub(crate) connections: Vec<Vec<R>>,
    /// For each layer and each of its collected adjoints a row of `n`.
    pub(crate) collected: Vec<Vec<Vec<f64>>>,
    /// For each layer the adjoint of each initial state, a row of `n`.
    pub(crate) initial: Vec<Vec<(Slot, Vec<f64>)>>,
    /// Spikes per layer.
    pub(crate) spikes: Vec<u64>,
}

impl<R: Float> GroupState<R> {
    pub(crate) fn new(simulator: &Simulator<R>) -> GroupState<R> {
        let layers = simulator.layers.iter().map(|_| LayerState {
            rows: Vec::new(),
            log: SpikeLog::default(),
            ring: Vec::new(),
        });
        GroupState {
            samples: 0,
            layers: layers.collect(),
            input_adjoints: vec![Vec::new(); simulator.network.inputs.len()],
        }
    }

    /// Runs the samples `range` of a batch and adds their gradients to `sum`.
    pub(crate) fn run<P: Probe<R>>(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        range: Range<usize>,
        probe: &mut P,
        sum: &mut GradientSum<R>,
        pass: Pass,
    ) -> Result<(), RuntimeError> {
        let (first, samples) = (range.start, range.len());
        let tape_steps = if pass == Pass::Forward {
            batch.steps
        } else {
            0
        };
        self.prepare(simulator, samples, tape_steps);
        self.start(simulator, batch, first);
        let run = Run {
            simulator,
            batch,
            first,
            arch: simulator.arch,
        };
        for t in 0..batch.steps {
            for &l in &simulator.network.order {
                run.layer_forward(self, t, l, pass)?;
            }
            probe.observe(t, &StepView { group: self, t });
        }
        for (count, layer) in sum.spikes.iter_mut().zip(&self.layers) {
            *count += layer.log.len() as u64;
        }
        if pass == Pass::Forward && probe.turn() {
            run.backward(self, probe, sum)?;
        }
        Ok(())
    }

    fn prepare(&mut self, simulator: &Simulator<R>, samples: usize, tape_steps: usize) {
        self.samples = samples;
        for ((layer, code), &depth) in self
            .layers
            .iter_mut()
            .zip(&simulator.layers)
            .zip(&simulator.ring_depth)
        {
            code.resize(&mut layer.rows, samples, tape_steps);
            layer.log.restart(samples);
            let depth = if tape_steps > 0 { depth } else { 0 };
            layer.ring.resize_with(depth, Vec::new);
            for row in &mut layer.ring {
                row.clear();
                row.resize(samples * code.n, R::ZERO);
            }
        }
    }

    fn start(&mut self, simulator: &Simulator<R>, batch: &Batch<'_, R>, first: usize) {
        for (layer, code) in self.layers.iter_mut().zip(&simulator.layers) {
            code.start(&mut layer.rows);
        }
        for given in &batch.initial {
            let code = &simulator.layers[given.layer];
            let slot = code.row(&Slot::new(Role::State, given.state.as_str()));
            if let Some(SlotId(row)) = slot
                && let Row::Real(values) = &mut self.layers[given.layer].rows[row]
            {
                for (b, sample) in values.chunks_exact_mut(code.n).enumerate() {
                    sample
                        .iter_mut()
                        .zip(given.values.row(first + b))
                        .for_each(|(v, &g)| *v = g);
                }
            }
        }
    }
}

/// What stays the same during a run.
struct Run<'a, 'b, R> {
    simulator: &'a Simulator<R>,
    batch: &'a Batch<'b, R>,
    first: usize,
    arch: Arch,
}

impl<R: Float> Run<'_, '_, R> {
    fn layer_forward(
        &self,
        state: &mut GroupState<R>,
        t: usize,
        l: usize,
        pass: Pass,
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        for (p, &port) in self.simulator.ports[l].iter().enumerate() {
            let Some(SlotId(row)) = port else { continue };
            let Row::Real(mut x) =
                std::mem::replace(&mut state.layers[l].rows[row], Row::Real(Vec::new()))
            else {
                unreachable!("ports are reals")
            };
            x.fill(R::ZERO);
            for connection in self.simulator.incoming[l].iter().filter(|c| c.port == p) {
                self.arrive(state, connection, t, code.n, &mut x);
            }
            self.inject(l, p, t, code.n, &mut x);
            state.layers[l].rows[row] = Row::Real(x);
        }
        code.call(pass, &mut state.layers[l].rows, t, state.samples * code.n)?;
        if let Some(SlotId(row)) = self.simulator.spikes[l] {
            let LayerState { rows, log, .. } = &mut state.layers[l];
            if let Row::Bool(spikes) = &rows[row] {
                log.append(spikes, code.n);
            }
        }
        Ok(())
    }

    /// Adds what a connection delivers at step `t`.
    fn arrive(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        n: usize,
        x: &mut [R],
    ) {
        let parameters = &self.simulator.parameters.values;
        let weights = &parameters[connection.weight];
        for (b, out) in x.chunks_exact_mut(n).enumerate() {
            if let Some(bias) = connection.bias {
                out.iter_mut()
                    .zip(&parameters[bias])
                    .for_each(|(x, &bias)| *x = x.add(bias));
            }
            let (events, values) = self.events(state, connection, t, b);
            gather(self.arch, weights, events, values, out);
        }
    }

    /// The events of a source that a connection delivers at step `t` to sample `b` of the group.
    fn events<'s>(
        &'s self,
        state: &'s GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        b: usize,
    ) -> (&'s [u32], Option<&'s [f32]>) {
        let Some(sent) = t.checked_sub(connection.delay) else {
            return (&[], None);
        };
        match connection.from {
            Source::Input(i) => self.batch.inputs[i][self.first + b].at(sent),
            Source::Layer(l) => (state.layers[l].log.at(sent, b), None),
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

    fn backward<P: Probe<R>>(
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
        for t in (0..self.batch.steps).rev() {
            self.take_spike_adjoints_of_ring(state, t);
            probe.seed(t, &mut Adjoints { group: state });
            for &l in self.simulator.network.order.iter().rev() {
                self.layer_backward(state, t, l, sum, inputs)?;
            }
            probe.collect(t, &StepView { group: state, t });
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

    /// Moves what later steps sent back to the spikes of step `t` into the adjoint rows of the spikes. What
    /// layers of the same step send back is added to those rows directly.
    fn take_spike_adjoints_of_ring(&self, state: &mut GroupState<R>, t: usize) {
        for (layer, adjoint) in state.layers.iter_mut().zip(&self.simulator.spike_adjoints) {
            let Some(SlotId(row)) = *adjoint else {
                continue;
            };
            let Row::Real(values) = &mut layer.rows[row] else {
                continue;
            };
            if layer.ring.is_empty() {
                values.fill(R::ZERO);
                continue;
            }
            let slot = t % layer.ring.len();
            std::mem::swap(values, &mut layer.ring[slot]);
            layer.ring[slot].fill(R::ZERO);
        }
    }

    fn layer_backward(
        &self,
        state: &mut GroupState<R>,
        t: usize,
        l: usize,
        sum: &mut GradientSum<R>,
        inputs: bool,
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        code.call(
            Pass::Backward,
            &mut state.layers[l].rows,
            t,
            state.samples * code.n,
        )?;
        for (p, &adjoint) in self.simulator.port_adjoints[l].iter().enumerate() {
            let Some(SlotId(row)) = adjoint else { continue };
            let Row::Real(delta) =
                std::mem::replace(&mut state.layers[l].rows[row], Row::Real(Vec::new()))
            else {
                unreachable!("adjoints are reals")
            };
            for connection in self.simulator.incoming[l].iter().filter(|c| c.port == p) {
                self.weight_gradient(state, connection, t, code.n, &delta, sum);
                self.send_back(state, connection, t, code.n, &delta, inputs);
            }
            state.layers[l].rows[row] = Row::Real(delta);
        }
        Ok(())
    }

    fn weight_gradient(
        &self,
        state: &GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        n: usize,
        delta: &[R],
        sum: &mut GradientSum<R>,
    ) {
        if !connection.trained {
            return;
        }
        for (b, delta) in delta.chunks_exact(n).enumerate() {
            let (events, values) = self.events(state, connection, t, b);
            scatter(
                self.arch,
                &mut sum.connections[connection.weight],
                events,
                values,
                delta,
            );
        }
        if let Some(bias) = connection.bias {
            add_rows(&mut sum.connections[bias], delta);
        }
    }

    /// The adjoint of the spikes that were sent: `delta · wᵀ`.
    fn send_back(
        &self,
        state: &mut GroupState<R>,
        connection: &ConnectionCode,
        t: usize,
        n: usize,
        delta: &[R],
        inputs: bool,
    ) {
        let Some(sent) = t.checked_sub(connection.delay) else {
            return;
        };
        let weights = &self.simulator.parameters.values[connection.weight];
        let samples = state.samples;
        let target = match connection.from {
            Source::Input(i) if inputs => {
                let size = samples * (weights.len() / n);
                &mut state.input_adjoints[i][sent * size..][..size]
            }
            Source::Input(_) => return,
            Source::Layer(from) => {
                let Some(SlotId(row)) = self.simulator.spike_adjoints[from] else {
                    return;
                };
                let layer = &mut state.layers[from];
                if connection.delay == 0 {
                    let Row::Real(values) = &mut layer.rows[row] else {
                        return;
                    };
                    values
                } else {
                    let slot = sent % layer.ring.len();
                    &mut layer.ring[slot]
                }
            }
        };
        add_product_transposed(samples, weights.len() / n, n, delta, weights, target);
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
            // A state that the batch gave does not come from the parameters.
            let given = |i: &InitialState<'_, R>| i.layer == l && i.state == slot.name;
            if self.batch.initial.iter().any(given) {
                continue;
            }
            let state_adjoint = Slot::new(Role::State, slot.name.as_str()).adjoint();
            if let Some(SlotId(row)) = code.row(&state_adjoint) {
                add(target, &state.layers[l].rows[row]);
            }
        }
    }
}
