//! Gradients by the derived kernels: forward in time, then backward in time, then through the prologue.
//!
//! Two ways that must agree: the gradient as derived, which finds states and inputs in memory, and the
//! optimised forward and backward, where the backward is given the tape and nothing else (states and
//! inputs are NaN to it).

use super::GradcheckError;
use super::lane::{Bound, Slots};
use super::trial::{Mode, Places, Trace, Trial, read, start_states, write};
use crate::draws;
use crate::interp::Spiking;
use crate::kernel::{Kernel, Role, Slot};
use crate::pipeline::Stages;
use crate::program::Neuron;

/// The gradient of a trial's loss, and the values that the loss reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Gradients {
    /// `params[lane][i]`.
    pub(super) params: Vec<Vec<f64>>,
    /// `init[lane][i]`.
    pub(super) init: Vec<Vec<f64>>,
    /// `ports[lane][step][i]`.
    pub(super) ports: Trace,
    /// `observed[lane][step][i]`.
    pub(super) observed: Trace,
}

impl Gradients {
    /// Whether every number is finite.
    pub(super) fn is_finite(&self) -> bool {
        let by_lane = self.params.iter().chain(&self.init);
        let by_step = self.ports.iter().chain(&self.observed).flatten();
        by_lane.chain(by_step).flatten().all(|x| x.is_finite())
    }
}

/// By the kernels as derived.
pub(super) fn derived(
    neuron: &Neuron,
    stages: &Stages,
    trial: &Trial,
    mode: Mode,
) -> Result<Gradients, GradcheckError> {
    let kernels = (&stages.hoisted, &stages.gradient);
    Machine::new(neuron, stages, kernels, false).run(trial, mode)
}

/// By the kernels that are compiled.
pub(super) fn optimised(
    neuron: &Neuron,
    stages: &Stages,
    trial: &Trial,
) -> Result<Gradients, GradcheckError> {
    let kernels = (&stages.forward, &stages.backward);
    Machine::new(neuron, stages, kernels, true).run(trial, Mode::Hard)
}

/// The kernels of a gradient over one memory.
struct Machine<'k> {
    slots: Slots,
    places: Places,
    prologue: Bound<'k>,
    start: Bound<'k>,
    start_gradient: Bound<'k>,
    forward: Bound<'k>,
    backward: Bound<'k>,
    prologue_gradient: Bound<'k>,
    /// Whether the backward is given the tape only.
    taped: bool,
    /// The tape.
    saved: Vec<usize>,
    adjoints: Adjoints,
}

/// Places of adjoints.
struct Adjoints {
    params: Vec<usize>,
    init: Vec<usize>,
    ports: Vec<usize>,
    states: Vec<usize>,
    spikes: Vec<usize>,
    internal: Vec<usize>,
    /// States whose adjoint the backward does not write, because the step does not read them.
    unread: Vec<usize>,
}

impl<'k> Machine<'k> {
    fn new(
        neuron: &Neuron,
        stages: &'k Stages,
        (forward, backward): (&'k Kernel, &'k Kernel),
        taped: bool,
    ) -> Machine<'k> {
        let mut slots = Slots::default();
        let prologue = slots.bind(&stages.prologue);
        let start = slots.bind(&stages.start);
        let start_gradient = slots.bind(&stages.start_gradient);
        let forward = slots.bind(forward);
        let reads = backward;
        let backward = slots.bind(backward);
        let prologue_gradient = slots.bind(&stages.prologue_gradient);
        let places = Places::new(neuron, &mut slots);
        let adjoints = Adjoints::new(neuron, reads, &mut slots);
        let saved = match taped {
            true => stages.saved.iter().map(|s| slots.place(&s.slot)).collect(),
            false => Vec::new(),
        };
        Machine {
            slots,
            places,
            prologue,
            start,
            start_gradient,
            forward,
            backward,
            prologue_gradient,
            taped,
            saved,
            adjoints,
        }
    }

    fn run(&self, trial: &Trial, mode: Mode) -> Result<Gradients, GradcheckError> {
        let mut gradients = Gradients::default();
        for lane in 0..trial.lanes {
            self.run_lane(trial, mode, lane, &mut gradients)?;
        }
        Ok(gradients)
    }

    fn run_lane(
        &self,
        trial: &Trial,
        mode: Mode,
        lane: usize,
        gradients: &mut Gradients,
    ) -> Result<(), GradcheckError> {
        let mut memory = vec![0.0; self.slots.len()];
        write(&mut memory, &self.places.params, &trial.params);
        self.prologue.call(&mut memory, Spiking::Hard)?;
        trial.start(&mut memory, &self.places, lane);
        self.start.call(&mut memory, Spiking::Hard)?;
        start_states(&mut memory, &self.places);

        let mut before = Vec::new();
        let mut tape = Vec::new();
        let mut observed = Vec::new();
        for t in 0..trial.steps {
            trial.arrive(&mut memory, &self.places, lane, t);
            write(&mut memory, &self.places.internal, &trial.internal[lane][t]);
            before.push(read(&memory, &self.places.states));
            call(&self.forward, &mut memory, mode)?;
            tape.push(read(&memory, &self.saved));
            observed.push(read(&memory, &self.places.observed));
        }

        let mut ports = vec![Vec::new(); trial.steps];
        for t in (0..trial.steps).rev() {
            if self.taped {
                self.hide(&mut memory);
                write(&mut memory, &self.places.step, &[draws::real(t as u32)]);
                write(&mut memory, &self.saved, &tape[t]);
            } else {
                trial.arrive(&mut memory, &self.places, lane, t);
                write(&mut memory, &self.places.states, &before[t]);
                write(&mut memory, &self.places.internal, &trial.internal[lane][t]);
            }
            self.adjoints.add_loss(&mut memory, &trial.loss[lane][t]);
            call(&self.backward, &mut memory, mode)?;
            write(
                &mut memory,
                &self.adjoints.unread,
                &vec![0.0; self.adjoints.unread.len()],
            );
            ports[t] = read(&memory, &self.adjoints.ports);
        }
        let init = read(&memory, &self.adjoints.states);
        write(&mut memory, &self.adjoints.init, &init);
        trial.start(&mut memory, &self.places, lane);
        self.start_gradient.call(&mut memory, Spiking::Hard)?;
        self.prologue_gradient.call(&mut memory, Spiking::Hard)?;
        gradients.params.push(read(&memory, &self.adjoints.params));
        gradients.init.push(init);
        gradients.ports.push(ports);
        gradients.observed.push(observed);
        Ok(())
    }

    /// Makes everything that changes in time unreadable.
    fn hide(&self, memory: &mut [f64]) {
        let places = &self.places;
        for list in [&places.ports, &places.internal, &places.observed] {
            list.iter().for_each(|&p| memory[p] = f64::NAN);
        }
    }
}

impl Adjoints {
    fn new(neuron: &Neuron, backward: &Kernel, slots: &mut Slots) -> Adjoints {
        let mut places = |role: Role, names: &mut dyn Iterator<Item = &String>| -> Vec<usize> {
            names
                .map(|name| slots.place(&Slot::new(role, name.as_str()).adjoint()))
                .collect()
        };
        let visible = || {
            neuron
                .states
                .iter()
                .map(|s| &s.name)
                .filter(|n| !super::trial::is_internal(n))
        };
        let internal = || {
            neuron
                .states
                .iter()
                .map(|s| &s.name)
                .filter(|n| super::trial::is_internal(n))
        };
        let states = places(Role::State, &mut visible());
        let written = |name: &&String| {
            backward
                .output(&Slot::new(Role::State, name.as_str()).adjoint())
                .is_some()
        };
        Adjoints {
            params: places(Role::Param, &mut neuron.params.iter().map(|p| &p.name)),
            init: places(Role::Init, &mut visible()),
            ports: places(Role::Port, &mut neuron.ports.iter().map(|p| &p.name)),
            spikes: places(Role::Spike, &mut neuron.spikes.iter()),
            internal: places(Role::State, &mut internal()),
            unread: places(Role::State, &mut visible().filter(|n| !written(n))),
            states,
        }
    }

    /// Adds a step's part of the loss to the adjoints of what it reads.
    fn add_loss(&self, memory: &mut [f64], factors: &[f64]) {
        let (states, spikes) = factors.split_at(self.states.len());
        for (&place, factor) in self.states.iter().zip(states) {
            memory[place] += factor;
        }
        write(memory, &self.spikes, spikes);
        self.internal.iter().for_each(|&p| memory[p] = 0.0);
    }
}

/// Runs a kernel of the step. Its place in time has no `detach` to hold: the point is the recorded one.
fn call(kernel: &Bound<'_>, memory: &mut [f64], mode: Mode) -> Result<(), GradcheckError> {
    let mut ignored = Vec::new();
    let spiking = match mode {
        Mode::Hard => Spiking::Hard,
        Mode::Primitive => Spiking::PrimitiveRecord(&mut ignored),
    };
    Ok(kernel.call(memory, spiking)?)
}
