//! From gradients to new parameters.

use rheobase_ir::program::{Constraint, Network, Optimizer as Method, Synapses};
use rheobase_runtime::{Owner, ParameterSpec, Parameters};

use crate::constraint::Range;

/// The optimiser's memory of one parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// What is trained: the parameter, or the unbounded number behind it.
    pub(crate) raw: Vec<f32>,
    /// The running mean of gradients, or the velocity.
    pub(crate) first: Vec<f32>,
    /// The running mean of squared gradients; empty for SGD.
    pub(crate) second: Vec<f32>,
}

/// An optimiser with its state.
#[derive(Clone, Debug)]
pub(crate) struct Optimizer {
    method: Method,
    ranges: Vec<Range>,
    /// For each parameter its memory; empty for those that are not trained.
    pub(crate) memory: Vec<Memory>,
    /// Updates so far.
    pub(crate) updates: u64,
}

/// The numbers of one update.
struct Rates {
    lr: f32,
    decay: f32,
    beta1: f32,
    beta2: f32,
    /// `1 − beta`, rounded once: from a rounded beta2 of 0.999 it would be off by 5e-5 of itself.
    rest1: f32,
    rest2: f32,
    eps: f32,
    correction1: f32,
    correction2: f32,
}

impl Optimizer {
    pub(crate) fn new(
        method: &Method,
        network: &Network,
        parameters: &Parameters<f32>,
    ) -> Optimizer {
        let ranges: Vec<Range> = parameters
            .specs
            .iter()
            .map(|spec| range(network, spec))
            .collect();
        let second = !matches!(method, Method::Sgd { .. });
        let mut memory = Vec::new();
        for ((spec, values), range) in parameters.specs.iter().zip(&parameters.values).zip(&ranges)
        {
            if !spec.trained {
                memory.push(Memory::default());
                continue;
            }
            let raw = values
                .iter()
                .map(|&v| range.raw(f64::from(v)) as f32)
                .collect();
            let zeros = vec![0.0; values.len()];
            memory.push(Memory {
                raw,
                first: zeros.clone(),
                second: if second { zeros } else { Vec::new() },
            });
        }
        Optimizer {
            method: method.clone(),
            ranges,
            memory,
            updates: 0,
        }
    }

    /// The learning rate before the schedule.
    pub(crate) fn learning_rate(&self) -> f64 {
        match self.method {
            Method::Sgd { lr, .. } | Method::Adam { lr, .. } | Method::AdamW { lr, .. } => lr,
        }
    }

    /// One update of every trained parameter. `scale` multiplies the gradients (clipping), `factor` the learning rate.
    pub(crate) fn update(
        &mut self,
        parameters: &mut Parameters<f32>,
        gradients: &[Vec<f32>],
        scale: f32,
        factor: f64,
    ) {
        self.updates += 1;
        let rates = self.rates(factor);
        let trained = self
            .memory
            .iter_mut()
            .zip(&self.ranges)
            .zip(&mut parameters.values)
            .zip(gradients);
        for (((memory, range), values), gradient) in trained {
            if memory.raw.is_empty() || gradient.is_empty() {
                continue;
            }
            if range.is_free() {
                step(&self.method, &rates, memory, |i, _| gradient[i] * scale);
                values.copy_from_slice(&memory.raw);
                continue;
            }
            step(&self.method, &rates, memory, |i, raw| {
                (f64::from(gradient[i]) * range.slope(f64::from(raw))) as f32 * scale
            });
            for (raw, value) in memory.raw.iter_mut().zip(values) {
                *raw = range.settled(f64::from(*raw)) as f32;
                *value = range.value(f64::from(*raw)) as f32;
            }
        }
    }

    fn rates(&self, factor: f64) -> Rates {
        let n = self.updates.min(i32::MAX as u64) as i32;
        let (beta1, beta2, eps, weight_decay) = match self.method {
            Method::Sgd { momentum, .. } => (momentum, 0.0, 0.0, 0.0),
            Method::Adam {
                beta1, beta2, eps, ..
            } => (beta1, beta2, eps, 0.0),
            Method::AdamW {
                beta1,
                beta2,
                eps,
                weight_decay,
                ..
            } => (beta1, beta2, eps, weight_decay),
        };
        let lr = self.learning_rate() * factor;
        Rates {
            lr: lr as f32,
            decay: (lr * weight_decay) as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            rest1: (1.0 - beta1) as f32,
            rest2: (1.0 - beta2) as f32,
            eps: eps as f32,
            correction1: (1.0 / (1.0 - beta1.powi(n))) as f32,
            correction2: (1.0 / (1.0 - beta2.powi(n))) as f32,
        }
    }
}

fn step(method: &Method, rates: &Rates, memory: &mut Memory, gradient: impl Fn(usize, f32) -> f32) {
    let Rates {
        lr,
        decay,
        beta1,
        beta2,
        rest1,
        rest2,
        eps,
        correction1,
        correction2,
    } = *rates;
    match method {
        Method::Sgd { .. } => {
            for (i, (raw, velocity)) in memory.raw.iter_mut().zip(&mut memory.first).enumerate() {
                *velocity = beta1 * *velocity + gradient(i, *raw);
                *raw -= lr * *velocity;
            }
        }
        Method::Adam { .. } | Method::AdamW { .. } => {
            let moments = memory.first.iter_mut().zip(&mut memory.second);
            for (i, (raw, (first, second))) in memory.raw.iter_mut().zip(moments).enumerate() {
                let g = gradient(i, *raw);
                *first = beta1 * *first + rest1 * g;
                *second = beta2 * *second + rest2 * g * g;
                let direction = *first * correction1 / ((*second * correction2).sqrt() + eps);
                *raw -= lr * direction + decay * *raw;
            }
        }
    }
}

fn range(network: &Network, spec: &ParameterSpec) -> Range {
    match spec.owner {
        Owner::Weight(c) => {
            let Synapses::Dense { bounds, .. } = &network.connections[c].synapses;
            Range {
                constraint: Constraint::Clamp,
                bounds: *bounds,
            }
        }
        Owner::Bias(_) => Range {
            constraint: Constraint::None,
            bounds: None,
        },
        Owner::Neuron(l, p) => {
            let parameter = &network.layers[l].neuron.params[p];
            Range {
                constraint: parameter.learn.unwrap_or(Constraint::None),
                bounds: parameter.bounds,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few updates of one number against the published formulas in double precision.
    #[test]
    fn adam_and_sgd_follow_their_formulas() {
        let gradients = [0.5f32, -0.25, 1.5, 0.1];
        let free = Range {
            constraint: Constraint::None,
            bounds: None,
        };
        let run = |method: Method, second: bool| {
            let memory = Memory {
                raw: vec![1.0],
                first: vec![0.0],
                second: if second { vec![0.0] } else { vec![] },
            };
            let mut optimizer = Optimizer {
                method,
                ranges: vec![free],
                memory: vec![memory],
                updates: 0,
            };
            let spec = ParameterSpec {
                name: "w".into(),
                shape: vec![],
                owner: Owner::Bias(0),
                trained: true,
            };
            let mut parameters = Parameters {
                specs: vec![spec],
                values: vec![vec![1.0f32]],
            };
            for g in gradients {
                optimizer.update(&mut parameters, &[vec![g]], 1.0, 1.0);
            }
            f64::from(parameters.values[0][0])
        };
        let (mut w, mut velocity) = (1.0, 0.0);
        for g in gradients {
            velocity = 0.9 * velocity + f64::from(g);
            w -= 0.1 * velocity;
        }
        assert!(
            (run(
                Method::Sgd {
                    lr: 0.1,
                    momentum: 0.9
                },
                false
            ) - w)
                .abs()
                < 1e-6
        );
        for decay in [0.0, 0.05] {
            let (mut w, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
            for (t, g) in (1..).zip(gradients.map(f64::from)) {
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                let (m_hat, v_hat) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
                w -= 0.1 * (m_hat / (v_hat.sqrt() + 1e-8) + decay * w);
            }
            let method = Method::AdamW {
                lr: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: decay,
            };
            assert!((run(method, true) - w).abs() < 1e-6, "decay {decay}");
        }
    }
}
