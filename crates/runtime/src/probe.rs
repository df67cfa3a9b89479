//! How a caller sees a simulation and where gradients start.
//!
//! A probe is made for every group. A run goes through blocks of time, and in each of them parts of the
//! network (single layers, or layers in a cycle) run one after the other, each through all steps of the
//! block. So the probe is shown every step once for each part, in the order of time for each of them; rows
//! of layers that are not in the part are empty then. It is told that the backward begins, and for each
//! block, part and step, last first, it may add to the adjoints of states and spikes before the step's
//! backward runs. When a block is done it may read the adjoints of ports and inputs, step by step.

use crate::backend::Float;
use crate::group::GroupState;
use crate::layer::{Row, SlotId};
use crate::simulator::Simulator;

/// What is watched in a group; see the module page.
pub trait Probe<R>: Send {
    /// After step `t` of a part of the forward; rows of layers of other parts are empty.
    fn observe(&mut self, t: usize, view: &StepView<'_, R>);

    /// Before the backward. False skips it.
    fn turn(&mut self) -> bool {
        true
    }

    /// Before step `t` of a part of the backward: adds dL/d(state at the end of the step) and dL/d(spike).
    /// Rows of layers of other parts are empty.
    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>);

    /// For each step, last first, after the backward of its block: the adjoints of ports and input
    /// populations at this step. At step 0 those of states are with respect to the initial states.
    fn collect(&mut self, t: usize, view: &StepView<'_, R>) {
        let _ = (t, view);
    }

    /// Whether [`Probe::collect`] needs the adjoints of the input populations.
    fn wants_input_gradients(&self) -> bool {
        false
    }
}

/// The rows of layers after a step.
pub struct StepView<'a, R> {
    simulator: &'a Simulator<R>,
    group: &'a GroupState<R>,
    t: usize,
    /// The layers whose rows are shown.
    layers: &'a [usize],
}

impl<'a, R: Float> StepView<'a, R> {
    pub(crate) fn group(&self) -> &'a GroupState<R> {
        self.group
    }

    pub(crate) fn new(
        simulator: &'a Simulator<R>,
        group: &'a GroupState<R>,
        t: usize,
        layers: &'a [usize],
    ) -> StepView<'a, R> {
        StepView {
            simulator,
            group,
            t,
            layers,
        }
    }

    /// The number of samples in the group.
    pub fn samples(&self) -> usize {
        self.group.samples
    }

    /// A row of numbers: `samples · n`, sample by sample.
    pub fn reals(&self, layer: usize, slot: SlotId) -> &[R] {
        match &self.group.layers[layer].rows[slot.0] {
            Row::Real(values) if self.layers.contains(&layer) => {
                &values[self.simulator.at_step(self.group, layer, slot, self.t)]
            }
            Row::Real(_) | Row::Bool(_) | Row::Bf16(_) => &[],
        }
    }

    /// A row of spikes, a byte each; empty where spikes carry numbers, which [`StepView::reals`] has.
    pub fn bools(&self, layer: usize, slot: SlotId) -> &[u8] {
        match &self.group.layers[layer].rows[slot.0] {
            Row::Bool(values) if self.layers.contains(&layer) => values,
            Row::Bool(_) | Row::Real(_) | Row::Bf16(_) => &[],
        }
    }

    /// A row of spikes as numbers: 0 or 1, a number of spikes, or what a spike carries.
    pub fn spikes(&self, layer: usize, slot: SlotId) -> impl Iterator<Item = R> + '_ {
        let bools = self.bools(layer, slot).iter();
        let bools = bools.map(|&s| R::from_f64(f64::from(s)));
        bools.chain(self.reals(layer, slot).iter().copied())
    }

    /// The adjoint of an input population at this step, `samples · channels`, if it was asked for.
    pub fn input_adjoint(&self, population: usize, channels: usize) -> &[R] {
        let size = self.group.samples * channels;
        let adjoints = &self.group.input_adjoints[population];
        let row = self.t + adjoints.before - self.group.frame.start;
        let row = adjoints.rows.get(row * size..(row + 1) * size);
        row.unwrap_or(&[])
    }
}

/// The adjoint rows of layers before the backward of a step.
pub struct Adjoints<'a, R> {
    simulator: &'a Simulator<R>,
    group: &'a mut GroupState<R>,
    t: usize,
    layers: &'a [usize],
}

impl<'a, R: Float> Adjoints<'a, R> {
    pub(crate) fn new(
        simulator: &'a Simulator<R>,
        group: &'a mut GroupState<R>,
        t: usize,
        layers: &'a [usize],
    ) -> Adjoints<'a, R> {
        Adjoints {
            simulator,
            group,
            t,
            layers,
        }
    }

    pub(crate) fn group(&self) -> &GroupState<R> {
        self.group
    }

    pub(crate) fn layers(&self) -> &'a [usize] {
        self.layers
    }

    /// The number of samples in the group.
    pub fn samples(&self) -> usize {
        self.group.samples
    }

    /// The adjoint row of a state or of a spike output (see [`crate::Simulator::adjoint_slot`]).
    pub fn row(&mut self, layer: usize, slot: SlotId) -> &mut [R] {
        let range = self.simulator.at_step(self.group, layer, slot, self.t);
        match &mut self.group.layers[layer].rows[slot.0] {
            Row::Real(values) if self.layers.contains(&layer) => &mut values[range],
            Row::Real(_) | Row::Bool(_) | Row::Bf16(_) => &mut [],
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
