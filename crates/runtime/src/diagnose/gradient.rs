//! Where the first gradient that is not finite appears, if every state is: the batch is run again with the probe that
//! seeds its backward, and the adjoints of states, spikes and ports are looked at in the order in which they are made.

use std::ops::Range;

use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::real::from_bf16;

use super::{Kind, NonFinite, first_bad};
use crate::backend::Float;
use crate::error::RuntimeError;
use crate::group::{Batch, GroupState};
use crate::layer::{Mode, Pass, Row, SlotId};
use crate::probe::{Adjoints, Probe, StepView};
use crate::simulator::Simulator;

/// An adjoint that is looked at.
#[derive(Clone)]
struct Watched {
    layer: usize,
    slot: SlotId,
    name: Slot,
}

/// The probe of the caller, and what was seen through it.
struct Watch<'a, R, P> {
    inner: P,
    simulator: &'a Simulator<R>,
    first_sample: usize,
    watched: &'a [Watched],
    /// For each of them its row when the backward of a step began; empty for ports, which that writes.
    begun: Vec<Vec<R>>,
    found: Option<NonFinite>,
}

impl<R: Float, P: Probe<R>> Watch<'_, R, P> {
    /// Looks at the rows of a step for which `wanted` holds; a bad one was made by step `made`.
    fn look(
        &mut self,
        group: &GroupState<R>,
        (step, made): (usize, usize),
        kind: Kind,
        wanted: impl Fn(&Watched) -> bool,
    ) {
        if self.found.is_some() {
            return;
        }
        for watched in self.watched.iter().filter(|w| wanted(w)) {
            let Watched { layer, name, .. } = watched;
            let row = row(self.simulator, group, watched, step);
            let Some(lane) = row.iter().position(|v| !v.is_finite()) else {
                continue;
            };
            let described = &self.simulator.network().layers[*layer];
            let n = described.size();
            let op = match (kind, name.role) {
                // Adjoints of spikes come by connections.
                (Kind::Gradient, Role::State | Role::Port) => {
                    self.bad_op(group, *layer, lane, made)
                }
                _ => None,
            };
            self.found = Some(NonFinite {
                kind,
                layer: described.name.clone(),
                state: name.name.clone(),
                neuron: lane % n,
                step: made,
                sample: self.first_sample + lane / n,
                value: row[lane].to_f64(),
                op,
            });
            return;
        }
    }

    /// Runs the backward of a step of one lane on the interpreter, if its tape is still there.
    fn bad_op(
        &self,
        group: &GroupState<R>,
        layer: usize,
        lane: usize,
        step: usize,
    ) -> Option<String> {
        if !(group.frame.start..group.frame.end).contains(&step) {
            return None;
        }
        let code = &self.simulator.layers[layer];
        let begun = |slot: &Slot| {
            let mut all = self.watched.iter().zip(&self.begun);
            let (_, row) = all.find(|(w, _)| w.layer == layer && w.name == *slot)?;
            row.get(lane).copied()
        };
        let saved = |slot: &Slot| {
            let id = code.row(slot)?;
            let range = self.simulator.at_step(group, layer, id, step);
            match &group.layers[layer].rows[id.0] {
                Row::Bool(values) => values
                    .get(range)?
                    .get(lane)
                    .map(|&b| R::from_f64(f64::from(b))),
                Row::Bf16(values) => values
                    .get(range)?
                    .get(lane)
                    .map(|&h| R::from_f64(from_bf16(h))),
                Row::Real(values) => {
                    let values = values.get(range)?;
                    // The number of the step is one for all lanes.
                    let one = slot.role == Role::Key && slot.name == "step";
                    values.get(if one { 0 } else { lane }).copied()
                }
            }
        };
        first_bad(&code.stages.backward, |slot| match slot.role {
            Role::Param | Role::Derived | Role::Init if !slot.adjoint => code.constant(slot, lane),
            // Sums over the steps so far, which one step only adds to.
            Role::Param | Role::Derived | Role::Init => None,
            Role::State | Role::Spike if slot.adjoint => begun(slot),
            Role::State | Role::Spike | Role::Port | Role::Saved | Role::Key => saved(slot),
        })
    }
}

/// An adjoint of a step; empty if it is not in memory.
fn row<'g, R: Float>(
    simulator: &Simulator<R>,
    group: &'g GroupState<R>,
    watched: &Watched,
    step: usize,
) -> &'g [R] {
    let by_step = watched.name.role != Role::State;
    if by_step && !(group.frame.start..group.frame.end).contains(&step) {
        return &[];
    }
    let range = simulator.at_step(group, watched.layer, watched.slot, step);
    match &group.layers[watched.layer].rows[watched.slot.0] {
        Row::Real(values) => values.get(range).unwrap_or(&[]),
        Row::Bool(_) | Row::Bf16(_) => &[],
    }
}

impl<R: Float, P: Probe<R>> Probe<R> for Watch<'_, R, P> {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        self.inner.observe(t, view);
    }

    fn turn(&mut self) -> bool {
        self.inner.turn()
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, R>) {
        let layers = adjoints.layers();
        // What the step after this one left behind.
        self.look(adjoints.group(), (t + 1, t + 1), Kind::Gradient, |w| {
            layers.contains(&w.layer) && w.name.role == Role::Port
        });
        self.look(adjoints.group(), (t, t + 1), Kind::Gradient, |w| {
            layers.contains(&w.layer) && w.name.role == Role::State
        });
        self.look(adjoints.group(), (t, t), Kind::Gradient, |w| {
            layers.contains(&w.layer) && w.name.role == Role::Spike
        });
        self.inner.seed(t, adjoints);
        self.look(adjoints.group(), (t, t), Kind::Seed, |w| {
            layers.contains(&w.layer) && w.name.role != Role::Port
        });
        if self.found.is_none() {
            for (watched, begun) in self.watched.iter().zip(&mut self.begun) {
                if layers.contains(&watched.layer) && watched.name.role != Role::Port {
                    begun.clear();
                    begun.extend_from_slice(row(self.simulator, adjoints.group(), watched, t));
                }
            }
        }
    }

    fn collect(&mut self, t: usize, view: &StepView<'_, R>) {
        self.look(view.group(), (t, t), Kind::Gradient, |w| {
            w.name.role == Role::Port
        });
        if t == 0 {
            self.look(view.group(), (t, t), Kind::Gradient, |w| {
                w.name.role == Role::State
            });
        }
        self.inner.collect(t, view);
    }

    fn wants_input_gradients(&self) -> bool {
        self.inner.wants_input_gradients()
    }
}

impl<R: Float> Simulator<R> {
    /// Runs a training step and looks for the first adjoint that is not finite, in the order of samples' groups and,
    /// in each, of the backward; the probes are those that gave such a gradient.
    ///
    /// # Errors
    ///
    /// The batch does not fit the network.
    pub fn locate_non_finite_gradient<P: Probe<R>>(
        &self,
        batch: &Batch<'_, R>,
        probe: impl Fn(Range<usize>) -> P + Sync,
    ) -> Result<Option<NonFinite>, RuntimeError> {
        let mut watched = Vec::new();
        for (layer, described) in self.network().layers.iter().enumerate().rev() {
            let neuron = &described.neuron;
            let named = |role: Role, name: &str| {
                let name = Slot::new(role, name).adjoint();
                let slot = self.layers[layer].row(&name)?;
                Some(Watched { layer, slot, name })
            };
            watched.extend(
                neuron
                    .ports
                    .iter()
                    .filter_map(|p| named(Role::Port, &p.name)),
            );
            watched.extend(
                neuron
                    .states
                    .iter()
                    .filter_map(|s| named(Role::State, &s.name)),
            );
            watched.extend(neuron.spikes.iter().filter_map(|s| named(Role::Spike, s)));
        }
        let watch = |samples: Range<usize>| Watch {
            first_sample: samples.start,
            inner: probe(samples),
            simulator: self,
            watched: &watched,
            begun: vec![Vec::new(); watched.len()],
            found: None,
        };
        let mode = Mode::new(Pass::Forward, false);
        let outcome = self.run(batch, 1, watch, mode)?;
        Ok(outcome.probes.into_iter().find_map(|p| p.found))
    }
}
