//! How a caller sees a simulation and where gradients start.
//!
//! A probe is made for every group. Forward, it is shown each step after all layers have run. Then it is
//! told that the backward begins, and for each step, last first, it may add to the adjoints of states
//! and spikes before the step's backward runs, and may read the adjoints of inputs afterwards.

use crate::backend::Float;
use crate::group::GroupState;
use crate::layer::{Row, SlotId};

/// What is watched in a group; see the module page.
pub trait Probe<R>: Send {
    /// After step `t` of the forward.
    fn observe(&mut self, t: usize, view: &StepView<'_, R>);

    /// Before the backward. False skips it.
    fn turn(&mut self) -> bool {
        true
    }

    /// Before step `t` of the backward: adds dL/d(state at the end of the step) and dL/d(spike).
    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>);

    /// After step `t` of the backward: the adjoints of ports are those of this step, those of states are with
    /// respect to the states before the step.
    fn collect(&mut self, t: usize, view: &StepView<'_, R>) {
        let _ = (t, view);
    }

    /// Whether [`Probe::collect`] needs the adjoints of the input populations.
    fn wants_input_gradients(&self) -> bool {
        false
    }
}

/// The rows of all layers after a step.
pub struct StepView<'a, R> {
    pub(crate) group: &'a GroupState<R>,
    pub(crate) t: usize,
}

impl<R: Float> StepView<'_, R> {
    /// The number of samples in the group.
    pub fn samples(&self) -> usize {
        self.group.samples
    }

    /// A row of numbers: `samples · n`, sample by sample.
    pub fn reals(&self, layer: usize, slot: SlotId) -> &[R] {
        match &self.group.layers[layer].rows[slot.0] {
            Row::Real(values) => values,
            Row::Bool(_) => &[],
        }
    }

    /// A row of spikes, a byte each.
    pub fn bools(&self, layer: usize, slot: SlotId) -> &[u8] {
        match &self.group.layers[layer].rows[slot.0] {
            Row::Bool(values) => values,
            Row::Real(_) => &[],
        }
    }

    /// The adjoint of an input population at this step, `samples · channels`, if it was asked for.
    pub fn input_adjoint(&self, population: usize, channels: usize) -> &[R] {
        let size = self.group.samples * channels;
        self.group.input_adjoints[population]
            .get(self.t * size..(self.t + 1) * size)
            .unwrap_or(&[])
    }
}

/// The adjoint rows of all layers before the backward of a step.
pub struct Adjoints<'a, R> {
    pub(crate) group: &'a mut GroupState<R>,
}

impl<R: Float> Adjoints<'_, R> {
    /// The number of samples in the group.
    pub fn samples(&self) -> usize {
        self.group.samples
    }

    /// The adjoint row of a state or of a spike output (see [`crate::Simulator::adjoint_slot`]).
    pub fn row(&mut self, layer: usize, slot: SlotId) -> &mut [R] {
        match &mut self.group.layers[layer].rows[slot.0] {
            Row::Real(values) => values,
            Row::Bool(_) => &mut [],
        }
    }
}

/// A probe that watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<R> Probe<R> for Silent {
    fn observe(&mut self, _: usize, _: &StepView<'_, R>) {}

    fn turn(&mut self) -> bool {
        false
    }

    fn seed(&mut self, _: usize, _: &mut Adjoints<'_, R>) {}
}
