//! A probe that keeps every trace, and one that seeds the backward with given numbers: `rheo run` and
//! `rheo grad`.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array3, ArrayView3, s};
use rheobase_ir::kernel::Role;

use crate::backend::Float;
use crate::layer::SlotId;
use crate::probe::{Adjoints, Probe, StepView};
use crate::simulator::Simulator;

/// A trace: a state or a spike output of a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceName {
    /// The layer.
    pub layer: usize,
    /// State or spike.
    pub role: Role,
    /// Its name in the model.
    pub name: String,
}

/// Every visible state and spike output of every layer.
pub fn traces<R: Float>(simulator: &Simulator<R>) -> Vec<TraceName> {
    let mut traces = Vec::new();
    for (layer, data) in simulator.network().layers.iter().enumerate() {
        let states = data
            .neuron
            .states
            .iter()
            .filter(|s| !s.name.starts_with('_'));
        traces.extend(states.map(|s| TraceName {
            layer,
            role: Role::State,
            name: s.name.clone(),
        }));
        traces.extend(data.neuron.spikes.iter().map(|s| TraceName {
            layer,
            role: Role::Spike,
            name: s.clone(),
        }));
    }
    traces
}

/// Keeps traces of a group as `[steps, samples, n]`, seeds the backward with cotangents of the same
/// traces, and keeps the adjoints of ports, inputs and initial states.
pub struct Recorder<'a, R> {
    samples: Range<usize>,
    traces: Vec<(SlotId, Option<SlotId>, TraceName)>,
    ports: Vec<(usize, String, Option<SlotId>)>,
    channels: Vec<usize>,
    cotangents: &'a BTreeMap<TraceName, ArrayView3<'a, R>>,
    /// The traces.
    pub recorded: BTreeMap<TraceName, Array3<R>>,
    /// The adjoint of each port, by layer and name.
    pub port_gradients: BTreeMap<(usize, String), Array3<R>>,
    /// The adjoint of each input population.
    pub input_gradients: Vec<Array3<R>>,
    /// The adjoint of each initial state as `[1, samples, n]`.
    pub initial_gradients: BTreeMap<(usize, String), Array3<R>>,
    want_inputs: bool,
    steps: usize,
}

impl<'a, R: Float> Recorder<'a, R> {
    /// A recorder for these samples of a batch of `steps` steps.
    pub fn new(
        simulator: &Simulator<R>,
        samples: Range<usize>,
        steps: usize,
        cotangents: &'a BTreeMap<TraceName, ArrayView3<'a, R>>,
    ) -> Recorder<'a, R> {
        let slot = |t: &TraceName| match t.role {
            Role::Spike => simulator.spike_slot(t.layer, &t.name),
            Role::Param
            | Role::Derived
            | Role::Init
            | Role::Port
            | Role::State
            | Role::Saved
            | Role::Key => simulator.state_slot(t.layer, &t.name),
        };
        let known = traces(simulator).into_iter();
        let traces = known.filter_map(|t| {
            Some((
                slot(&t)?,
                simulator.adjoint_slot(t.layer, t.role, &t.name),
                t,
            ))
        });
        let layers = simulator.network().layers.iter().enumerate();
        let ports = layers
            .flat_map(|(l, layer)| layer.neuron.ports.iter().map(move |p| (l, p.name.clone())));
        let ports = ports.map(|(l, name)| {
            let adjoint = simulator.adjoint_slot(l, Role::Port, &name);
            (l, name, adjoint)
        });
        Recorder {
            samples,
            traces: traces.collect(),
            ports: ports.collect(),
            channels: simulator
                .network()
                .inputs
                .iter()
                .map(|i| i.shape.iter().product())
                .collect(),
            cotangents,
            recorded: BTreeMap::new(),
            port_gradients: BTreeMap::new(),
            input_gradients: Vec::new(),
            initial_gradients: BTreeMap::new(),
            want_inputs: !cotangents.is_empty(),
            steps,
        }
    }

    fn write(target: &mut Array3<R>, t: usize, row: &[R]) {
        target
            .slice_mut(s![t, .., ..])
            .iter_mut()
            .zip(row)
            .for_each(|(x, &v)| *x = v);
    }
}

impl<R: Float> Probe<R> for Recorder<'_, R> {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        for (slot, _, trace) in &self.traces {
            let row: Vec<R> = match trace.role {
                Role::Spike => view.spikes(trace.layer, *slot).collect(),
                Role::Param
                | Role::Derived
                | Role::Init
                | Role::Port
                | Role::State
                | Role::Saved
                | Role::Key => view.reals(trace.layer, *slot).to_vec(),
            };
            // The layer is not in the part that is shown.
            if row.is_empty() {
                continue;
            }
            let shape = (
                self.steps,
                self.samples.len(),
                row.len() / self.samples.len(),
            );
            let target = self
                .recorded
                .entry(trace.clone())
                .or_insert_with(|| Array3::from_elem(shape, R::ZERO));
            Self::write(target, t, &row);
        }
    }

    fn turn(&mut self) -> bool {
        self.want_inputs
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>) {
        for (_, adjoint, trace) in &self.traces {
            let (Some(slot), Some(cotangent)) = (adjoint, self.cotangents.get(trace)) else {
                continue;
            };
            let part = cotangent.slice(s![t, self.samples.clone(), ..]);
            adjoints
                .row(trace.layer, *slot)
                .iter_mut()
                .zip(part)
                .for_each(|(x, &c)| *x = x.add(c));
        }
    }

    fn collect(&mut self, t: usize, view: &StepView<'_, R>) {
        let samples = self.samples.len();
        for (layer, name, slot) in &self.ports {
            let Some(slot) = slot else { continue };
            let row = view.reals(*layer, *slot);
            let shape = (self.steps, samples, row.len() / samples);
            let key = (*layer, name.clone());
            let target = self
                .port_gradients
                .entry(key)
                .or_insert_with(|| Array3::from_elem(shape, R::ZERO));
            Self::write(target, t, row);
        }
        for (population, &channels) in self.channels.iter().enumerate() {
            if self.input_gradients.len() == population {
                self.input_gradients
                    .push(Array3::from_elem((self.steps, samples, channels), R::ZERO));
            }
            Self::write(
                &mut self.input_gradients[population],
                t,
                view.input_adjoint(population, channels),
            );
        }
        if t == 0 {
            for (_, adjoint, trace) in self.traces.iter().filter(|(_, _, t)| t.role == Role::State)
            {
                let Some(slot) = adjoint else { continue };
                let row = view.reals(trace.layer, *slot);
                let mut target = Array3::from_elem((1, samples, row.len() / samples), R::ZERO);
                Self::write(&mut target, 0, row);
                self.initial_gradients
                    .insert((trace.layer, trace.name.clone()), target);
            }
        }
    }

    fn wants_input_gradients(&self) -> bool {
        self.want_inputs
    }
}
