//! The loss of a group of samples, as a probe: it reduces the readout's trace over time while the forward
//! runs, turns logits into loss and gradient at the end, and seeds the backward with it.

use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Loss, Reduction, Trace};
use rheobase_runtime::{Adjoints, Probe, Simulator, SlotId, StepView};

use crate::error::TrainError;

/// Where a loss reads and writes in the simulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    layer: usize,
    units: usize,
    spikes: bool,
    trace: SlotId,
    adjoint: Option<SlotId>,
    reduction: Reduction,
    scale: f32,
}

impl Target {
    /// Finds the rows of a loss.
    pub(crate) fn new(simulator: &Simulator<f32>, loss: &Loss) -> Result<Target, TrainError> {
        let readout = loss.readout();
        let layer = &simulator.network().layers[readout.layer];
        let (spikes, role, name) = match &readout.trace {
            Trace::State(state) => (false, Role::State, state.clone()),
            Trace::Spikes => (
                true,
                Role::Spike,
                layer.neuron.spikes.first().cloned().unwrap_or_default(),
            ),
        };
        let trace = if spikes {
            simulator.spike_slot(readout.layer, &name)
        } else {
            simulator.state_slot(readout.layer, &name)
        };
        let trace = trace.ok_or_else(|| {
            TrainError::Plan(format!(
                "the readout `{}.{name}` does not exist",
                layer.name
            ))
        })?;
        Ok(Target {
            layer: readout.layer,
            units: layer.size(),
            spikes,
            trace,
            adjoint: simulator.adjoint_slot(readout.layer, role, &name),
            reduction: readout.reduction,
            scale: readout.scale as f32,
        })
    }
}

/// The cross-entropy of a group: the negative logarithm of the softmax probability of the label.
pub(crate) struct CrossEntropy {
    target: Target,
    steps: usize,
    /// The labels of the group's samples.
    labels: Vec<u32>,
    /// 1 over the number of samples that the loss is a mean of.
    weight: f32,
    learn: bool,
    /// The reduced trace, `samples · units`.
    logits: Vec<f32>,
    /// For the maximum the step at which it was reached.
    peak: Vec<u32>,
    gradient: Vec<f32>,
}

/// What a group gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// The sum of the losses of the samples.
    pub(crate) loss: f64,
    /// The predicted class of each sample.
    pub(crate) predicted: Vec<u32>,
}

impl CrossEntropy {
    pub(crate) fn new(
        target: Target,
        steps: usize,
        labels: Vec<u32>,
        weight: f32,
        learn: bool,
    ) -> CrossEntropy {
        let size = labels.len() * target.units;
        let start = if target.reduction == Reduction::Max {
            f32::NEG_INFINITY
        } else {
            0.0
        };
        CrossEntropy {
            target,
            steps,
            labels,
            weight,
            learn,
            logits: vec![start; size],
            peak: vec![0; size],
            gradient: Vec::new(),
        }
    }

    fn reduce(&mut self, t: usize, row: impl Iterator<Item = f32>) {
        match self.target.reduction {
            Reduction::Max => {
                for ((logit, peak), x) in self.logits.iter_mut().zip(&mut self.peak).zip(row) {
                    // A NaN must reach the loss, so it counts as the larger. Chosen by a mask, as a
                    // choice by `if` would become a branch for each unit.
                    let larger = u32::from((x > *logit) | x.is_nan()).wrapping_neg();
                    let chosen = (x.to_bits() & larger) | (logit.to_bits() & !larger);
                    *logit = f32::from_bits(chosen);
                    *peak = (t as u32 & larger) | (*peak & !larger);
                }
            }
            Reduction::Sum => self
                .logits
                .iter_mut()
                .zip(row)
                .for_each(|(logit, x)| *logit += x),
            Reduction::Mean => {
                let weight = 1.0 / self.steps as f32;
                self.logits
                    .iter_mut()
                    .zip(row)
                    .for_each(|(logit, x)| *logit += x * weight);
            }
            Reduction::Last if t + 1 == self.steps => self
                .logits
                .iter_mut()
                .zip(row)
                .for_each(|(logit, x)| *logit = x),
            Reduction::Last => {}
        }
    }

    /// Loss and prediction of every sample, and the gradient of the weighted loss with respect to the logits.
    pub(crate) fn finish(&mut self) -> Scores {
        let units = self.target.units;
        let mut scores = Scores::default();
        self.gradient = vec![0.0; self.logits.len()];
        let rows = self
            .logits
            .chunks_exact(units)
            .zip(self.gradient.chunks_exact_mut(units));
        for ((logits, gradient), &label) in rows.zip(&self.labels) {
            let scaled: Vec<f64> = logits
                .iter()
                .map(|&x| f64::from(x * self.target.scale))
                .collect();
            let (best, top) =
                scaled
                    .iter()
                    .enumerate()
                    .fold((0, f64::NEG_INFINITY), |best, (i, &x)| {
                        if x > best.1 { (i, x) } else { best }
                    });
            let sum: f64 = scaled.iter().map(|x| (x - top).exp()).sum();
            let log_sum = top + sum.ln();
            scores.loss += log_sum - scaled[label as usize];
            scores.predicted.push(best as u32);
            for (unit, (g, x)) in gradient.iter_mut().zip(&scaled).enumerate() {
                let hit = if unit == label as usize { 1.0 } else { 0.0 };
                *g = ((x - log_sum).exp() - hit) as f32 * self.weight * self.target.scale;
            }
        }
        scores
    }
}

impl Probe<f32> for CrossEntropy {
    fn observe(&mut self, t: usize, view: &StepView<'_, f32>) {
        let Target {
            layer,
            trace,
            spikes,
            ..
        } = self.target;
        if spikes {
            self.reduce(t, view.bools(layer, trace).iter().map(|&s| f32::from(s)));
        } else {
            self.reduce(t, view.reals(layer, trace).iter().copied());
        }
    }

    fn turn(&mut self) -> bool {
        if self.learn {
            self.finish();
        }
        self.learn
    }

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, f32>) {
        let Some(slot) = self.target.adjoint else {
            return;
        };
        let row = adjoints.row(self.target.layer, slot).iter_mut();
        match self.target.reduction {
            Reduction::Max => {
                let here = |(g, peak): (&f32, &u32)| if *peak == t as u32 { *g } else { 0.0 };
                row.zip(self.gradient.iter().zip(&self.peak).map(here))
                    .for_each(|(a, g)| *a += g);
            }
            Reduction::Sum => row.zip(&self.gradient).for_each(|(a, g)| *a += g),
            Reduction::Mean => {
                let weight = 1.0 / self.steps as f32;
                row.zip(&self.gradient).for_each(|(a, g)| *a += g * weight);
            }
            Reduction::Last if t + 1 == self.steps => {
                row.zip(&self.gradient).for_each(|(a, g)| *a += g)
            }
            Reduction::Last => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss of given traces, and its gradient by the traces, by hand.
    fn loss(reduction: Reduction, traces: &[[f32; 3]], label: u32) -> (f64, Vec<f32>, Vec<u32>) {
        let target = Target {
            layer: 0,
            units: 3,
            spikes: false,
            trace: slot(),
            adjoint: None,
            reduction,
            scale: 1.5,
        };
        let mut probe = CrossEntropy::new(target, traces.len(), vec![label], 1.0, true);
        for (t, row) in traces.iter().enumerate() {
            probe.reduce(t, row.iter().copied());
        }
        let scores = probe.finish();
        (scores.loss, probe.gradient.clone(), probe.peak.clone())
    }

    fn slot() -> SlotId {
        SlotId::default()
    }

    #[test]
    fn gradients_agree_with_differences() {
        let traces = [[0.1, 0.7, -0.2], [0.4, 0.2, 0.9], [0.3, -0.5, 0.8]];
        for reduction in [
            Reduction::Max,
            Reduction::Sum,
            Reduction::Mean,
            Reduction::Last,
        ] {
            let (_, gradient, peak) = loss(reduction, &traces, 1);
            for t in 0..3 {
                for unit in 0..3 {
                    let seeded = match reduction {
                        Reduction::Max if peak[unit] as usize != t => 0.0,
                        Reduction::Last if t != 2 => 0.0,
                        Reduction::Mean => gradient[unit] / 3.0,
                        Reduction::Max | Reduction::Last | Reduction::Sum => gradient[unit],
                    };
                    let moved = |by: f32| {
                        let mut traces = traces;
                        traces[t][unit] += by;
                        loss(reduction, &traces, 1).0
                    };
                    let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                    assert!(
                        (numeric - f64::from(seeded)).abs() < 1e-3,
                        "{reduction:?} {t} {unit}: {numeric} {seeded}"
                    );
                }
            }
        }
    }
}
