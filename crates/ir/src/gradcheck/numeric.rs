//! Gradients by finite differences of the smoothed program: the integrated step as it is before hoisting
//! and differentiation, run on the interpreter around a recorded evaluation.
//!
//! Five-point central differences, `(8(f₁ − f₋₁) − (f₂ − f₋₂))/12h`, error O(h⁴). Differences are taken term by
//! term of the loss, so that terms that do not change do not add rounding.

use super::GradcheckError;
use super::lane::{Bound, Slots};
use super::trial::{Mode, Places, Trial, read, start_states, write};
use crate::interp::Spiking;
use crate::pipeline::Stages;
use crate::program::Neuron;

/// What is moved.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tweak {
    Param(usize),
    Init(usize),
    Port { step: usize, port: usize },
}

/// The smoothed program of a trial.
pub(super) struct Smoothed<'a> {
    trial: &'a Trial,
    slots: Slots,
    places: Places,
    init: Bound<'a>,
    step: Bound<'a>,
    /// For each lane what its evaluation holds fixed.
    recordings: Vec<Recording>,
}

/// What spikes and detached values were.
#[derive(Default)]
struct Recording {
    init: Vec<f64>,
    steps: Vec<Vec<f64>>,
    primitive: bool,
}

impl<'a> Smoothed<'a> {
    /// Records the evaluation around which gradients are taken.
    pub(super) fn new(
        neuron: &'a Neuron,
        stages: &'a Stages,
        trial: &'a Trial,
        mode: Mode,
    ) -> Result<Smoothed<'a>, GradcheckError> {
        let mut slots = Slots::default();
        let (init, step) = (slots.bind(&neuron.init), slots.bind(&stages.step));
        let places = Places::new(neuron, &mut slots);
        let mut smoothed = Smoothed {
            trial,
            slots,
            places,
            init,
            step,
            recordings: Vec::new(),
        };
        for lane in 0..trial.lanes {
            let recording = smoothed.record(lane, mode)?;
            smoothed.recordings.push(recording);
        }
        Ok(smoothed)
    }

    fn record(&self, lane: usize, mode: Mode) -> Result<Recording, GradcheckError> {
        let mut recording = Recording {
            primitive: mode == Mode::Primitive,
            ..Recording::default()
        };
        fn recorder(record: &mut Vec<f64>, mode: Mode) -> Spiking<'_> {
            match mode {
                Mode::Hard => Spiking::Record(record),
                Mode::Primitive => Spiking::PrimitiveRecord(record),
            }
        }
        let mut memory = vec![0.0; self.slots.len()];
        write(&mut memory, &self.places.params, &self.trial.params);
        self.trial.start(&mut memory, &self.places, lane);
        self.init
            .call(&mut memory, recorder(&mut recording.init, mode))?;
        start_states(&mut memory, &self.places);
        for t in 0..self.trial.steps {
            self.enter(&mut memory, lane, t);
            let mut record = Vec::new();
            self.step.call(&mut memory, recorder(&mut record, mode))?;
            recording.steps.push(record);
        }
        Ok(recording)
    }

    /// What a step is given from outside.
    fn enter(&self, memory: &mut [f64], lane: usize, step: usize) {
        self.trial.arrive(memory, &self.places, lane, step);
        write(
            memory,
            &self.places.internal,
            &self.trial.internal[lane][step],
        );
    }

    /// The terms of a lane's loss with one quantity moved by `by`.
    fn terms(&self, lane: usize, tweak: Tweak, by: f64) -> Result<Vec<f64>, GradcheckError> {
        let recording = &self.recordings[lane];
        let replay = |recorded| match recording.primitive {
            false => Spiking::Tangent(recorded),
            true => Spiking::Primitive(recorded),
        };
        let mut memory = vec![0.0; self.slots.len()];
        write(&mut memory, &self.places.params, &self.trial.params);
        if let Tweak::Param(i) = tweak {
            memory[self.places.params[i]] += by;
        }
        self.trial.start(&mut memory, &self.places, lane);
        self.init.call(&mut memory, replay(&recording.init))?;
        start_states(&mut memory, &self.places);
        if let Tweak::Init(i) = tweak {
            memory[self.places.states[i]] += by;
        }
        let mut terms = Vec::new();
        for t in 0..self.trial.steps {
            self.enter(&mut memory, lane, t);
            if let Tweak::Port { step, port } = tweak
                && step == t
            {
                memory[self.places.ports[port]] += by;
            }
            self.step.call(&mut memory, replay(&recording.steps[t]))?;
            let observed = read(&memory, &self.places.observed);
            terms.extend(
                observed
                    .iter()
                    .zip(&self.trial.loss[lane][t])
                    .map(|(y, c)| y * c),
            );
        }
        Ok(terms)
    }

    /// The derivative of a lane's loss with respect to a quantity, by steps of `h`.
    pub(super) fn derivative(
        &self,
        lane: usize,
        tweak: Tweak,
        h: f64,
    ) -> Result<f64, GradcheckError> {
        let near = (self.terms(lane, tweak, h)?, self.terms(lane, tweak, -h)?);
        let far = (
            self.terms(lane, tweak, 2.0 * h)?,
            self.terms(lane, tweak, -2.0 * h)?,
        );
        let near = near.0.iter().zip(&near.1).map(|(a, b)| a - b);
        let far = far.0.iter().zip(&far.1).map(|(a, b)| a - b);
        let sum: f64 = near.zip(far).map(|(near, far)| 8.0 * near - far).sum();
        Ok(sum / (12.0 * h))
    }
}
