//! From gradients to new parameters.

use rheobase_ir::program::{Constraint, Network, Optimizer as Method, Rule, Training};
use rheobase_runtime::{Owner, ParameterSpec, Parameters};

use crate::constraint::Range;

/// The optimiser's memory of one parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// What is trained: the parameter, or the unbounded number behind it.
    pub(crate) raw: Vec<f32>,
    /// The running mean of gradients, or the velocity; empty where there is none.
    pub(crate) first: Vec<f32>,
    /// The running mean or maximum of gradients, squared or not; empty where there is none.
    pub(crate) second: Vec<f32>,
    /// The running mean of the parameter itself; empty where there is none.
    pub(crate) average: Vec<f32>,
    /// Gradients of batches that wait for others, each times its samples; empty if every batch is an update.
    pub(crate) waiting: Vec<f32>,
}

impl Memory {
    /// The names of the parts in a checkpoint, in the order of their declaration.
    pub(crate) const PARTS: [&'static str; 5] = ["raw", "first", "second", "average", "waiting"];

    /// All parts, in that order.
    pub(crate) fn parts(&self) -> [&Vec<f32>; 5] {
        let Memory {
            raw,
            first,
            second,
            average,
            waiting,
        } = self;
        [raw, first, second, average, waiting]
    }

    /// All parts, in that order, to be filled.
    pub(crate) fn parts_mut(&mut self) -> [&mut Vec<f32>; 5] {
        [
            &mut self.raw,
            &mut self.first,
            &mut self.second,
            &mut self.average,
            &mut self.waiting,
        ]
    }
}

/// Batches whose gradients wait for an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) batches: usize,
    pub(crate) samples: usize,
}

/// What is done to gradients before they are used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clipping {
    /// All are multiplied.
    Scale(f32),
    /// Each is moved to the nearer of −x and x.
    Value(f32),
}

impl Clipping {
    /// The gradient that is used. Both ways take the same operations, so that many are computed at once.
    fn of(self, g: f32) -> f32 {
        let (scale, limit) = match self {
            Clipping::Scale(scale) => (scale, f32::INFINITY),
            Clipping::Value(limit) => (1.0, limit),
        };
        let g = g * scale;
        let g = if g > limit { limit } else { g };
        if g < -limit { -limit } else { g }
    }
}

/// The optimisers of all parameters with their state.
#[derive(Clone, Debug)]
pub(crate) struct Optimizer {
    /// The learning rate that is reported: that of the plan's `optimizer`.
    lr: f64,
    /// For each parameter its method.
    methods: Vec<Method>,
    ranges: Vec<Range>,
    /// For each parameter its memory; empty for those that are not trained.
    pub(crate) memory: Vec<Memory>,
    /// Updates so far.
    pub(crate) updates: u64,
    /// What waits in `memory`.
    pub(crate) waiting: Waiting,
    /// The decay of averages, if there are any.
    average: Option<f64>,
}

impl Optimizer {
    pub(crate) fn new(
        plan: &Training,
        network: &Network,
        parameters: &Parameters<f32>,
    ) -> Optimizer {
        let method = |spec: &ParameterSpec| {
            let own = match spec.owner {
                Owner::Weight(..)
                | Owner::Feedback(..)
                | Owner::Mapped(..)
                | Owner::Running(..) => &plan.groups.weights,
                Owner::Bias(..) => &plan.groups.biases,
                Owner::Delay(..) => &plan.groups.delays,
                Owner::Neuron(..) => &plan.groups.neurons,
            };
            own.as_ref().unwrap_or(&plan.optimizer).clone()
        };
        let specs = &parameters.specs;
        let methods: Vec<Method> = specs.iter().map(method).collect();
        let ranges: Vec<Range> = specs.iter().map(|spec| range(network, spec)).collect();
        let mut memory = Vec::new();
        for (((spec, values), range), method) in specs
            .iter()
            .zip(&parameters.values)
            .zip(&ranges)
            .zip(&methods)
        {
            memory.push(match spec.trained {
                true => Memory {
                    average: match plan.average {
                        Some(_) => values.clone(),
                        None => Vec::new(),
                    },
                    waiting: vec![0.0; if plan.accumulate > 1 { values.len() } else { 0 }],
                    ..remember(method, values, *range)
                },
                false => Memory::default(),
            });
        }
        Optimizer {
            lr: plan.optimizer.lr,
            methods,
            ranges,
            memory,
            updates: 0,
            waiting: Waiting::default(),
            average: plan.average,
        }
    }

    /// Lets the mean gradients of a batch wait.
    pub(crate) fn wait(&mut self, gradients: &[Vec<f32>], samples: usize) {
        for (memory, gradient) in self.memory.iter_mut().zip(gradients) {
            let pairs = memory.waiting.iter_mut().zip(gradient);
            pairs.for_each(|(sum, g)| *sum += g * samples as f32);
        }
        self.waiting.batches += 1;
        self.waiting.samples += samples;
    }

    /// The mean gradients of all that waits; nothing waits any more.
    pub(crate) fn take_waiting(&mut self) -> Vec<Vec<f32>> {
        let each = 1.0 / self.waiting.samples.max(1) as f32;
        self.waiting = Waiting::default();
        let take = |memory: &mut Memory| {
            let mean = memory.waiting.iter().map(|sum| sum * each).collect();
            memory.waiting.fill(0.0);
            mean
        };
        self.memory.iter_mut().map(take).collect()
    }

    /// The averages of parameters, with the others as they are; `None` if there are no averages.
    pub(crate) fn averaged(&self, parameters: &Parameters<f32>) -> Option<Parameters<f32>> {
        self.average?;
        let mut averaged = parameters.clone();
        for (values, memory) in averaged.values.iter_mut().zip(&self.memory) {
            if !memory.average.is_empty() {
                values.copy_from_slice(&memory.average);
            }
        }
        Some(averaged)
    }

    /// The learning rate before the schedule.
    pub(crate) fn learning_rate(&self) -> f64 {
        self.lr
    }

    /// One update of every trained parameter. `factor` multiplies the learning rates.
    pub(crate) fn update(
        &mut self,
        parameters: &mut Parameters<f32>,
        gradients: &[Vec<f32>],
        clip: Clipping,
        factor: f64,
    ) {
        self.updates += 1;
        let updates = self.updates;
        let trained = self
            .memory
            .iter_mut()
            .zip(&self.ranges)
            .zip(&self.methods)
            .zip(&mut parameters.values)
            .zip(gradients);
        for ((((memory, range), method), values), gradient) in trained {
            if memory.raw.is_empty() || gradient.is_empty() {
                continue;
            }
            if range.is_free() {
                step(method, factor, updates, memory, gradient, |g, _| clip.of(g));
                values.copy_from_slice(&memory.raw);
            } else {
                step(method, factor, updates, memory, gradient, |g, raw| {
                    (f64::from(clip.of(g)) * range.slope(f64::from(raw))) as f32
                });
                for (raw, value) in memory.raw.iter_mut().zip(values.iter_mut()) {
                    *raw = range.settled(f64::from(*raw)) as f32;
                    *value = range.value(f64::from(*raw)) as f32;
                }
            }
            if let Some(decay) = self.average {
                let early = (1.0 + updates as f64) / (10.0 + updates as f64);
                let rest = (1.0 - decay.min(early)) as f32;
                let pairs = memory.average.iter_mut().zip(values.iter());
                pairs.for_each(|(average, value)| *average += rest * (value - *average));
            }
        }
    }
}

/// The memory of a trained parameter at the beginning.
fn remember(method: &Method, values: &[f32], range: Range) -> Memory {
    let (first, second) = match method.rule {
        Rule::Sgd { .. } | Rule::Lion { .. } => (true, false),
        Rule::RmaxProp { .. } => (false, true),
        Rule::Adam { .. } | Rule::Adamax { .. } | Rule::RmsProp { .. } => (true, true),
    };
    let zeros = |needed: bool| vec![0.0; if needed { values.len() } else { 0 }];
    let raw = |&v: &f32| range.raw(f64::from(v)) as f32;
    Memory {
        raw: values.iter().map(raw).collect(),
        first: zeros(first),
        second: zeros(second),
        ..Memory::default()
    }
}

/// One update of one parameter; `of` makes the gradient that is used from that of a number and the number.
fn step(
    method: &Method,
    factor: f64,
    updates: u64,
    memory: &mut Memory,
    gradient: &[f32],
    of: impl Fn(f32, f32) -> f32,
) {
    let lr = method.lr * factor;
    let beside = if method.decoupled {
        (lr * method.weight_decay) as f32
    } else {
        0.0
    };
    let within = if method.decoupled {
        0.0
    } else {
        method.weight_decay as f32
    };
    let lr = lr as f32;
    let of = |g: f32, raw: f32| of(g, raw) + within * raw;
    // `1 − beta` is rounded once: from a rounded beta of 0.999 it would be off by 5e-5 of itself.
    let rest = |beta: f64| (1.0 - beta) as f32;
    let n = updates.min(i32::MAX as u64) as i32;
    let correction = |beta: f64| (1.0 / (1.0 - beta.powi(n))) as f32;
    let Memory {
        raw, first, second, ..
    } = memory;
    match method.rule {
        Rule::Sgd { momentum, nesterov } => {
            let momentum = momentum as f32;
            for ((raw, g), velocity) in raw.iter_mut().zip(gradient).zip(first) {
                let g = of(*g, *raw);
                *velocity = momentum * *velocity + g;
                let direction = if nesterov {
                    g + momentum * *velocity
                } else {
                    *velocity
                };
                *raw -= lr * direction + beside * *raw;
            }
        }
        Rule::Adam { beta1, beta2, eps } => {
            let (correction1, correction2) = (correction(beta1), correction(beta2));
            let (rest1, rest2) = (rest(beta1), rest(beta2));
            let (beta1, beta2, eps) = (beta1 as f32, beta2 as f32, eps as f32);
            let moments = first.iter_mut().zip(second);
            for ((raw, g), (first, second)) in raw.iter_mut().zip(gradient).zip(moments) {
                let g = of(*g, *raw);
                *first = beta1 * *first + rest1 * g;
                *second = beta2 * *second + rest2 * g * g;
                let direction = *first * correction1 / ((*second * correction2).sqrt() + eps);
                *raw -= lr * direction + beside * *raw;
            }
        }
        Rule::Adamax { beta1, beta2, eps } => {
            let (rest1, correction1) = (rest(beta1), correction(beta1));
            let (beta1, beta2, eps) = (beta1 as f32, beta2 as f32, eps as f32);
            let moments = first.iter_mut().zip(second);
            for ((raw, g), (first, largest)) in raw.iter_mut().zip(gradient).zip(moments) {
                let g = of(*g, *raw);
                *first = beta1 * *first + rest1 * g;
                *largest = (beta2 * *largest).max(g.abs() + eps);
                *raw -= lr * correction1 * *first / *largest + beside * *raw;
            }
        }
        Rule::RmsProp {
            alpha,
            eps,
            momentum,
        } => {
            let others = rest(alpha);
            let (alpha, eps, momentum) = (alpha as f32, eps as f32, momentum as f32);
            let moments = first.iter_mut().zip(second);
            for ((raw, g), (velocity, square)) in raw.iter_mut().zip(gradient).zip(moments) {
                let g = of(*g, *raw);
                *square = alpha * *square + others * g * g;
                *velocity = momentum * *velocity + g / (square.sqrt() + eps);
                *raw -= lr * *velocity + beside * *raw;
            }
        }
        Rule::RmaxProp { gamma, eps } => {
            let (gamma, eps) = (gamma as f32, eps as f32);
            for ((raw, g), largest) in raw.iter_mut().zip(gradient).zip(second) {
                let g = of(*g, *raw);
                *largest = (gamma * *largest).max(g * g);
                *raw -= lr * g / (largest.sqrt() + eps) + beside * *raw;
            }
        }
        Rule::Lion { beta1, beta2 } => {
            let (rest1, rest2) = (rest(beta1), rest(beta2));
            let (beta1, beta2) = (beta1 as f32, beta2 as f32);
            for ((raw, g), momentum) in raw.iter_mut().zip(gradient).zip(first) {
                let g = of(*g, *raw);
                let mixed = beta1 * *momentum + rest1 * g;
                // The sign of 0 is 0, unlike that of `f32::signum`.
                let direction = f32::from(i8::from(mixed > 0.0) - i8::from(mixed < 0.0));
                *raw -= lr * direction + beside * *raw;
                *momentum = beta2 * *momentum + rest2 * g;
            }
        }
    }
}

fn range(network: &Network, spec: &ParameterSpec) -> Range {
    match spec.owner {
        Owner::Weight(c, o) => Range {
            constraint: Constraint::Clamp,
            bounds: network.connections[c].operations[o].bounds,
        },
        Owner::Bias(..) | Owner::Feedback(..) | Owner::Mapped(..) | Owner::Running(..) => Range {
            constraint: Constraint::None,
            bounds: None,
        },
        Owner::Delay(c) => Range {
            constraint: Constraint::Clamp,
            bounds: network.connections[c]
                .delays
                .as_ref()
                .map(|d| (f64::from(d.shortest), f64::from(d.longest))),
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
    use rheobase_runtime::Layout;

    const GRADIENTS: [f32; 5] = [0.5, -0.25, 1.5, 0.0, 0.1];

    /// Where 1 is after the updates of these gradients.
    fn run(rule: Rule, weight_decay: f64, decoupled: bool, clip: Clipping) -> f64 {
        let method = Method {
            rule,
            lr: 0.1,
            weight_decay,
            decoupled,
        };
        let free = Range {
            constraint: Constraint::None,
            bounds: None,
        };
        let mut optimizer = Optimizer {
            lr: 0.1,
            memory: vec![remember(&method, &[1.0], free)],
            methods: vec![method],
            ranges: vec![free],
            updates: 0,
            waiting: Waiting::default(),
            average: None,
        };
        let spec = ParameterSpec {
            layout: Layout::Same,
            name: "w".into(),
            shape: vec![],
            owner: Owner::Bias(0, 0),
            trained: true,
        };
        let mut parameters = Parameters {
            specs: vec![spec],
            values: vec![vec![1.0f32]],
        };
        for g in GRADIENTS {
            optimizer.update(&mut parameters, &[vec![g]], clip, 1.0);
        }
        f64::from(parameters.values[0][0])
    }

    /// The same by a published formula: `w`, the two numbers of memory, the gradient and the number of the update.
    fn by_hand(mut formula: impl FnMut(&mut f64, &mut [f64; 2], f64, i32)) -> f64 {
        let (mut w, mut memory) = (1.0f64, [0.0f64; 2]);
        for (g, t) in GRADIENTS.into_iter().zip(1..) {
            formula(&mut w, &mut memory, f64::from(g), t);
        }
        w
    }

    fn agree(name: &str, found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 2e-6,
            "{name}: {found} and {expected}"
        );
        assert!((expected - 1.0).abs() > 1e-3, "{name} does not move");
    }

    const ALL: Clipping = Clipping::Scale(1.0);

    #[test]
    fn gradient_descent_follows_its_formula() {
        for nesterov in [false, true] {
            for decay in [0.0, 0.05] {
                let rule = Rule::Sgd {
                    momentum: 0.9,
                    nesterov,
                };
                let expected = by_hand(|w, [velocity, _], g, _| {
                    let g = g + decay * *w;
                    *velocity = 0.9 * *velocity + g;
                    *w -= 0.1
                        * if nesterov {
                            g + 0.9 * *velocity
                        } else {
                            *velocity
                        };
                });
                agree("sgd", run(rule, decay, false, ALL), expected);
            }
        }
    }

    #[test]
    fn adam_and_its_kin_follow_their_formulas() {
        let adam = || Rule::Adam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        };
        for (decay, decoupled) in [(0.0, false), (0.05, false), (0.05, true)] {
            let expected = by_hand(|w, [m, v], g, t| {
                let g = if decoupled { g } else { g + decay * *w };
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (m, v) = (*m / (1.0 - 0.9f64.powi(t)), *v / (1.0 - 0.999f64.powi(t)));
                let beside = if decoupled { decay * *w } else { 0.0 };
                *w -= 0.1 * (m / (v.sqrt() + 1e-8) + beside);
            });
            agree("adam", run(adam(), decay, decoupled, ALL), expected);
        }
        let adamax = Rule::Adamax {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        };
        let expected = by_hand(|w, [m, u], g, t| {
            *m = 0.9 * *m + 0.1 * g;
            *u = (0.999 * *u).max(g.abs() + 1e-8);
            *w -= 0.1 / (1.0 - 0.9f64.powi(t)) * *m / *u;
        });
        agree("adamax", run(adamax, 0.0, false, ALL), expected);
    }

    #[test]
    fn root_mean_squares_and_lion_follow_their_formulas() {
        let rmsprop = Rule::RmsProp {
            alpha: 0.99,
            eps: 1e-8,
            momentum: 0.5,
        };
        let expected = by_hand(|w, [velocity, square], g, _| {
            *square = 0.99 * *square + 0.01 * g * g;
            *velocity = 0.5 * *velocity + g / (square.sqrt() + 1e-8);
            *w -= 0.1 * *velocity;
        });
        agree("rmsprop", run(rmsprop, 0.0, false, ALL), expected);
        let rmaxprop = Rule::RmaxProp {
            gamma: 0.8,
            eps: 1e-8,
        };
        let expected = by_hand(|w, [_, largest], g, _| {
            *largest = (0.8 * *largest).max(g * g);
            *w -= 0.1 * g / (largest.sqrt() + 1e-8);
        });
        agree("rmaxprop", run(rmaxprop, 0.0, false, ALL), expected);
        let lion = Rule::Lion {
            beta1: 0.9,
            beta2: 0.99,
        };
        let expected = by_hand(|w, [m, _], g, _| {
            let mixed: f64 = 0.9 * *m + 0.1 * g;
            *w -= 0.1 * (mixed.signum() + 0.05 * *w);
            *m = 0.99 * *m + 0.01 * g;
        });
        agree("lion", run(lion, 0.05, true, ALL), expected);
    }

    #[test]
    fn gradients_are_clipped_by_value() {
        let plain = || Rule::Sgd {
            momentum: 0.0,
            nesterov: false,
        };
        let expected = by_hand(|w, _, g, _| *w -= 0.1 * g.clamp(-0.3, 0.3));
        agree(
            "clip",
            run(plain(), 0.0, false, Clipping::Value(0.3)),
            expected,
        );
        let expected = by_hand(|w, _, g, _| *w -= 0.1 * g * 0.5);
        agree(
            "scale",
            run(plain(), 0.0, false, Clipping::Scale(0.5)),
            expected,
        );
    }
}
