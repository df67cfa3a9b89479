//! Where the first number that is not finite appears.
//!
//! Only asked after a loss or a gradient came out as NaN or infinite: the batch is run again with a probe
//! that looks at every state of every layer after every step. If all of them are finite, `diagnose/gradient.rs` looks at
//! the backward.

mod gradient;

use std::fmt;

use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Def, Kernel, Role, Slot};

use crate::backend::Float;
use crate::error::RuntimeError;
use crate::group::{Batch, GroupState, Run};
use crate::layer::{Mode, Pass, Row, SlotId};
use crate::probe::{Adjoints, Probe, StepView};
use crate::record::traces;
use crate::simulator::Simulator;

/// What is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A state.
    State,
    /// The gradient by a state, spike or port, which the backward of the step made.
    Gradient,
    /// The same, where it comes from the loss.
    Seed,
}

/// The place of the first number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// What it is.
    pub kind: Kind,
    /// The name of the layer.
    pub layer: String,
    /// The name of the state, or of the spike or port that it is the gradient by.
    pub state: String,
    /// The neuron in the layer.
    pub neuron: usize,
    /// The step, from 0.
    pub step: usize,
    /// The sample in the batch.
    pub sample: usize,
    /// NaN or an infinity.
    pub value: f64,
    /// The first op of the step that gave such a number, with the name of its value if it has one.
    pub op: Option<String>,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NonFinite {
            kind,
            layer,
            state,
            neuron,
            step,
            sample,
            value,
            op,
        } = self;
        let (what, became) = match kind {
            Kind::State => ("", "became"),
            Kind::Gradient => ("the gradient by ", "became"),
            Kind::Seed => ("the gradient of the loss by ", "is"),
        };
        write!(
            f,
            "{what}`{state}` of {layer}[{neuron}] {became} {value} at step {step} of sample {sample} of the batch"
        )?;
        match op {
            Some(op) => write!(f, "; first bad op {op}"),
            None => Ok(()),
        }
    }
}

/// A state that is looked at, or a port or key that its step reads.
#[derive(Clone)]
struct Watched {
    layer: usize,
    slot: SlotId,
    name: Slot,
    n: usize,
}

struct Watch<R> {
    first_sample: usize,
    states: Vec<Watched>,
    ports: Vec<Watched>,
    /// For each state its row after the step before.
    before: Vec<Vec<R>>,
    found: Option<NonFinite>,
    inputs: Option<Inputs<R>>,
}

/// What the step that went wrong read: the layer, the lane, and the values of states and ports.
type Inputs<R> = (usize, usize, Vec<(Slot, R)>);

impl<R: Float> Watch<R> {
    /// What the step read in a lane.
    fn inputs(&self, layer: usize, lane: usize, view: &StepView<'_, R>) -> Vec<(Slot, R)> {
        let of_layer = |w: &&Watched| w.layer == layer;
        let step = Slot::new(Role::Key, "step");
        let ports = self.ports.iter().filter(of_layer).filter_map(|w| {
            // The number of the step is one for all lanes.
            let lane = if w.name == step { 0 } else { lane };
            let value = view.reals(layer, w.slot).get(lane)?;
            Some((w.name.clone(), *value))
        });
        let states = self.states.iter().zip(&self.before);
        let states = states.filter(|(w, _)| w.layer == layer);
        let states = states.filter_map(|(w, row)| Some((w.name.clone(), *row.get(lane)?)));
        ports.chain(states).collect()
    }
}

impl<R: Float> Probe<R> for Watch<R> {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        if self.found.as_ref().is_some_and(|found| found.step <= t) {
            return;
        }
        for i in 0..self.states.len() {
            let Watched { layer, slot, n, .. } = self.states[i];
            let row = view.reals(layer, slot);
            if let Some(lane) = row.iter().position(|v| !v.is_finite()) {
                self.found = Some(NonFinite {
                    kind: Kind::State,
                    layer: layer.to_string(),
                    state: self.states[i].name.name.clone(),
                    neuron: lane % n,
                    step: t,
                    sample: self.first_sample + lane / n,
                    value: row[lane].to_f64(),
                    op: None,
                });
                self.inputs = Some((layer, lane, self.inputs(layer, lane, view)));
                return;
            }
        }
        for (watched, before) in self.states.iter().zip(&mut self.before) {
            let row = view.reals(watched.layer, watched.slot);
            if !row.is_empty() {
                before.clear();
                before.extend_from_slice(row);
            }
        }
    }

    fn turn(&mut self) -> bool {
        false
    }

    fn seed(&mut self, _: usize, _: &mut Adjoints<'_, R>) {}
}

impl<R: Float> Simulator<R> {
    /// Runs a batch forward and looks for the first state that is not finite, in the order of samples' groups,
    /// then steps, then layers.
    ///
    /// # Errors
    ///
    /// The batch does not fit the network.
    pub fn locate_non_finite(
        &self,
        batch: &Batch<'_, R>,
    ) -> Result<Option<NonFinite>, RuntimeError> {
        self.locate(batch, Pass::Infer)
    }

    /// The same in the forward of a training step: with the masks of dropout, delays that are spread, and means over the
    /// batch.
    ///
    /// # Errors
    ///
    /// The batch does not fit the network.
    pub fn locate_non_finite_in_training(
        &self,
        batch: &Batch<'_, R>,
    ) -> Result<Option<NonFinite>, RuntimeError> {
        self.locate(batch, Pass::Forward)
    }

    fn locate(&self, batch: &Batch<'_, R>, pass: Pass) -> Result<Option<NonFinite>, RuntimeError> {
        let watched = |layer: usize, name: Slot| {
            let slot = self.layers[layer].row(&name)?;
            let n = self.network.layers[layer].size();
            Some(Watched {
                layer,
                slot,
                name,
                n,
            })
        };
        let states = traces(self)
            .into_iter()
            .filter(|t| t.role == Role::State)
            .filter_map(|t| watched(t.layer, Slot::new(Role::State, t.name)));
        let states: Vec<Watched> = states.collect();
        let layers = self.network.layers.iter().enumerate();
        let ports = layers.flat_map(|(l, layer)| layer.neuron.ports.iter().map(move |p| (l, p)));
        let ports = ports.filter_map(|(l, p)| watched(l, Slot::new(Role::Port, p.name.as_str())));
        let keys = (0..self.layers.len()).flat_map(|l| ["a", "b", "step"].map(|name| (l, name)));
        let keys = keys.filter_map(|(l, name)| watched(l, Slot::new(Role::Key, name)));
        let ports: Vec<Watched> = ports.chain(keys).collect();
        let watch = |samples: std::ops::Range<usize>| Watch {
            first_sample: samples.start,
            states: states.clone(),
            ports: ports.clone(),
            before: vec![Vec::new(); states.len()],
            found: None,
            inputs: None,
        };
        let outcome = match pass {
            Pass::Infer => self.run(batch, 1, watch, Mode::new(pass, false))?,
            // The probe does not turn, so there is no backward.
            Pass::Forward | Pass::Backward => {
                self.run(batch, 1, watch, Mode::new(Pass::Forward, false))?
            }
        };
        let first = outcome
            .probes
            .into_iter()
            .find_map(|p| Some((p.found?, p.inputs)));
        Ok(first.map(|(mut found, inputs)| {
            let index: usize = found.layer.parse().unwrap_or(0);
            found.layer.clone_from(&self.network.layers[index].name);
            found.op = inputs.and_then(|(layer, lane, inputs)| self.bad_op(layer, lane, &inputs));
            found
        }))
    }

    /// Runs the step of one lane on the interpreter and names the first op whose value is not finite.
    fn bad_op(&self, layer: usize, lane: usize, inputs: &[(Slot, R)]) -> Option<String> {
        let code = &self.layers[layer];
        first_bad(&code.stages.infer, |slot| {
            let given = inputs.iter().find(|(name, _)| name == slot);
            let given = given.map(|(_, value)| *value);
            given.or_else(|| code.constant(slot, lane))
        })
    }
}

impl<R: Float> Run<'_, '_, R> {
    /// Fails if a state of a layer is not finite after step `t`. Which op made it so is seen when the batch runs again.
    pub(crate) fn refuse_non_finite(
        &self,
        state: &GroupState<R>,
        t: usize,
        l: usize,
    ) -> Result<(), RuntimeError> {
        let code = &self.simulator.layers[l];
        for row in code.state_rows() {
            let Row::Real(values) = &state.layers[l].rows[row] else {
                continue;
            };
            // Without a branch, so that many are looked at together.
            if values.iter().fold(true, |all, x| all & x.is_finite()) {
                continue;
            }
            let lane = values.iter().position(|x| !x.is_finite()).unwrap_or(0);
            return Err(RuntimeError::NonFinite(Box::new(NonFinite {
                kind: Kind::State,
                layer: self.simulator.network.layers[l].name.clone(),
                state: code.name(row).to_string(),
                neuron: lane % code.n,
                step: t,
                sample: self.first + lane / code.n,
                value: values[lane].to_f64(),
                op: None,
            })));
        }
        Ok(())
    }
}

/// Runs a kernel on one lane and names the first op whose value is not finite; inputs that are not known are 0.
fn first_bad<R: Float>(kernel: &Kernel, input: impl Fn(&Slot) -> Option<R>) -> Option<String> {
    let slots: Vec<&Slot> = kernel.inputs().map(|(_, input)| &input.slot).collect();
    let mut fetch = |i: usize| input(slots[i]).unwrap_or(R::ZERO);
    let values = evaluate(kernel, &mut fetch, &mut Spiking::Hard).ok()?;
    let bad = kernel
        .values()
        .find(|(v, node)| matches!(node.def, Def::Inst(..)) && !values[v.index()].is_finite());
    bad.map(|(_, node)| {
        let word = match &node.def {
            Def::Inst(op, _) => op.name(),
            Def::Input(_) => "input",
        };
        match &node.note {
            Some(note) => format!("`{word}` ({note})"),
            None => format!("`{word}`"),
        }
    })
}
