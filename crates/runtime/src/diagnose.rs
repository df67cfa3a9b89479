//! Where the first number that is not finite appears.
//!
//! Only asked after a loss or a gradient came out as NaN or infinite: the batch is run again with a probe
//! that looks at every state of every layer after every step.

use std::fmt;

use rheobase_ir::kernel::Role;

use crate::backend::Float;
use crate::error::RuntimeError;
use crate::group::Batch;
use crate::layer::SlotId;
use crate::probe::{Adjoints, Probe, StepView};
use crate::record::traces;
use crate::simulator::Simulator;

/// The place of the first number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// The name of the layer.
    pub layer: String,
    /// The name of the state.
    pub state: String,
    /// The neuron in the layer.
    pub neuron: usize,
    /// The step, from 0.
    pub step: usize,
    /// The sample in the batch.
    pub sample: usize,
    /// NaN or an infinity.
    pub value: f64,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NonFinite {
            layer,
            state,
            neuron,
            step,
            sample,
            value,
        } = self;
        write!(
            f,
            "`{state}` of {layer}[{neuron}] became {value} at step {step} of sample {sample} of the batch"
        )
    }
}

struct Watch {
    first_sample: usize,
    states: Vec<(usize, SlotId, String, usize)>,
    found: Option<NonFinite>,
}

impl<R: Float> Probe<R> for Watch {
    fn observe(&mut self, t: usize, view: &StepView<'_, R>) {
        if self.found.as_ref().is_some_and(|found| found.step <= t) {
            return;
        }
        for (layer, slot, state, n) in &self.states {
            let row = view.reals(*layer, *slot);
            if let Some(lane) = row.iter().position(|v| !v.is_finite()) {
                self.found = Some(NonFinite {
                    layer: layer.to_string(),
                    state: state.clone(),
                    neuron: lane % n,
                    step: t,
                    sample: self.first_sample + lane / n,
                    value: row[lane].to_f64(),
                });
                return;
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
        let states: Vec<_> = traces(self)
            .into_iter()
            .filter(|t| t.role == Role::State)
            .filter_map(|t| {
                Some((
                    t.layer,
                    self.state_slot(t.layer, &t.name)?,
                    t.name,
                    self.network.layers[t.layer].size(),
                ))
            })
            .collect();
        let watch = |samples: std::ops::Range<usize>| Watch {
            first_sample: samples.start,
            states: states.clone(),
            found: None,
        };
        let outcome = self.infer(batch, 1, watch)?;
        Ok(outcome
            .probes
            .into_iter()
            .find_map(|p| p.found)
            .map(|mut found| {
                let index: usize = found.layer.parse().unwrap_or(0);
                found.layer.clone_from(&self.network.layers[index].name);
                found
            }))
    }
}
