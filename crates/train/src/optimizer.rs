//! From gradients to new parameters.

use rheobase_ir::program::{Constraint, Network, Optimizer as Method, Rule, Training};
use rheobase_ir::real::Real;
use rheobase_runtime::parallel::{CHUNK, for_each};
use rheobase_runtime::{Owner, ParameterSpec, Parameters};

use crate::constraint::Range;

/// The optimiser's memory of one parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory<R> {
    /// What is trained: the parameter, or the unbounded number behind it.
    pub(crate) raw: Vec<R>,
    /// The running mean of gradients, or the velocity; empty where there is none.
    pub(crate) first: Vec<R>,
    /// The running mean or maximum of gradients, squared or not; empty where there is none.
    pub(crate) second: Vec<R>,
    /// The running mean of the parameter itself; empty where there is none.
    pub(crate) average: Vec<R>,
    /// Gradients of batches that wait for others, each times its samples; empty if every batch is an update.
    pub(crate) waiting: Vec<R>,
}

impl<R> Memory<R> {
    /// The names of the parts in a checkpoint, in the order of their declaration.
    pub(crate) const PARTS: [&'static str; 5] = ["raw", "first", "second", "average", "waiting"];

    /// All parts, in that order.
    pub(crate) fn parts(&self) -> [&Vec<R>; 5] {
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
    pub(crate) fn parts_mut(&mut self) -> [&mut Vec<R>; 5] {
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
pub(crate) enum Clipping<R> {
    /// All are multiplied.
    Scale(R),
    /// Each is moved to the nearer of −x and x.
    Value(R),
}

impl<R: Real> Clipping<R> {
    /// The gradient that is used. Both ways take the same operations, so that many are computed at once.
    fn of(self, g: R) -> R {
        let (scale, limit) = match self {
            Clipping::Scale(scale) => (scale, R::from_f64(f64::INFINITY)),
            Clipping::Value(limit) => (R::ONE, limit),
        };
        let g = g.mul(scale);
        let g = if g > limit { limit } else { g };
        if g < limit.neg() { limit.neg() } else { g }
    }
}

/// The optimisers of all parameters with their state.
#[derive(Clone, Debug)]
pub(crate) struct Optimizer<R> {
    /// The learning rate that is reported: that of the plan's `optimizer`.
    lr: f64,
    /// For each parameter its method.
    methods: Vec<Method>,
    ranges: Vec<Range>,
    /// For each parameter its memory; empty for those that are not trained.
    pub(crate) memory: Vec<Memory<R>>,
    /// Updates so far.
    pub(crate) updates: u64,
    /// What waits in `memory`.
    pub(crate) waiting: Waiting,
    /// The decay of averages, if there are any.
    average: Option<f64>,
}

impl<R: Real> Optimizer<R> {
    pub(crate) fn new(
        plan: &Training,
        network: &Network,
        parameters: &Parameters<R>,
    ) -> Optimizer<R> {
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
                    waiting: vec![R::ZERO; if plan.accumulate > 1 { values.len() } else { 0 }],
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
    pub(crate) fn wait(&mut self, gradients: &[Vec<R>], samples: usize) {
        for (memory, gradient) in self.memory.iter_mut().zip(gradients) {
            let pairs = memory.waiting.iter_mut().zip(gradient);
            let samples = R::from_f64(samples as f64);
            pairs.for_each(|(sum, g)| *sum = sum.add(g.mul(samples)));
        }
        self.waiting.batches += 1;
        self.waiting.samples += samples;
    }

    /// The mean gradients of all that waits; nothing waits any more.
    pub(crate) fn take_waiting(&mut self) -> Vec<Vec<R>> {
        let each = R::ONE.div(R::from_f64(self.waiting.samples.max(1) as f64));
        self.waiting = Waiting::default();
        let take = |memory: &mut Memory<R>| {
            let mean = memory.waiting.iter().map(|sum| sum.mul(each)).collect();
            memory.waiting.fill(R::ZERO);
            mean
        };
        self.memory.iter_mut().map(take).collect()
    }

    /// The averages of parameters, with the others as they are; `None` if there are no averages.
    pub(crate) fn averaged(&self, parameters: &Parameters<R>) -> Option<Parameters<R>> {
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

    /// One update of every trained parameter, on at most `threads` threads. `factor` multiplies the learning rates. Each
    /// number is updated by itself, so how they are dealt to threads changes no bit.
    pub(crate) fn update(
        &mut self,
        parameters: &mut Parameters<R>,
        gradients: &[Vec<R>],
        (clip, factor): (Clipping<R>, f64),
        threads: usize,
    ) {
        self.updates += 1;
        let updates = self.updates;
        let early = (1.0 + updates as f64) / (10.0 + updates as f64);
        let renewed = self
            .average
            .map(|decay| R::from_f64(1.0 - decay.min(early)));
        let trained = self
            .memory
            .iter_mut()
            .zip(&self.ranges)
            .zip(&self.methods)
            .zip(&mut parameters.values)
            .zip(gradients);
        let mut pieces = Vec::new();
        for ((((memory, range), method), values), gradient) in trained {
            if memory.raw.is_empty() || gradient.is_empty() {
                continue;
            }
            let mut first = memory.first.chunks_mut(CHUNK);
            let mut second = memory.second.chunks_mut(CHUNK);
            let mut average = memory.average.chunks_mut(CHUNK);
            let numbers = memory.raw.chunks_mut(CHUNK);
            let numbers = numbers.zip(values.chunks_mut(CHUNK));
            for ((raw, values), gradient) in numbers.zip(gradient.chunks(CHUNK)) {
                pieces.push(Piece {
                    method,
                    range: *range,
                    raw,
                    first: first.next().unwrap_or_default(),
                    second: second.next().unwrap_or_default(),
                    average: average.next().unwrap_or_default(),
                    values,
                    gradient,
                });
            }
        }
        let numbers: usize = pieces.iter().map(|p| p.raw.len()).sum();
        let threads = if numbers > 2 * CHUNK { threads } else { 1 };
        for_each(pieces, threads, |mut piece| {
            piece.update(clip, factor, updates, renewed);
        });
    }
}

/// Some numbers of a parameter that are updated together, with their memory.
struct Piece<'a, R> {
    method: &'a Method,
    range: Range,
    raw: &'a mut [R],
    first: &'a mut [R],
    second: &'a mut [R],
    average: &'a mut [R],
    values: &'a mut [R],
    gradient: &'a [R],
}

impl<R: Real> Piece<'_, R> {
    /// Update number `updates`; averages are `renewed` to this part.
    fn update(&mut self, clip: Clipping<R>, factor: f64, updates: u64, renewed: Option<R>) {
        let range = self.range;
        if range.is_free() {
            step(factor, updates, self, |g, _| clip.of(g));
            self.values.copy_from_slice(self.raw);
        } else {
            step(factor, updates, self, |g, raw| {
                R::from_f64(clip.of(g).to_f64() * range.slope(raw.to_f64()))
            });
            for (raw, value) in self.raw.iter_mut().zip(self.values.iter_mut()) {
                *raw = R::from_f64(range.settled(raw.to_f64()));
                *value = R::from_f64(range.value(raw.to_f64()));
            }
        }
        if let Some(renewed) = renewed {
            let pairs = self.average.iter_mut().zip(self.values.iter());
            pairs.for_each(|(average, value)| {
                *average = average.add(renewed.mul(value.sub(*average)));
            });
        }
    }
}

/// The memory of a trained parameter at the beginning.
fn remember<R: Real>(method: &Method, values: &[R], range: Range) -> Memory<R> {
    let (first, second) = match method.rule {
        Rule::Sgd { .. } | Rule::Lion { .. } => (true, false),
        Rule::RmaxProp { .. } => (false, true),
        Rule::Adam { .. } | Rule::Adamax { .. } | Rule::RmsProp { .. } => (true, true),
    };
    let zeros = |needed: bool| vec![R::ZERO; if needed { values.len() } else { 0 }];
    let raw = |v: &R| R::from_f64(range.raw(v.to_f64()));
    Memory {
        raw: values.iter().map(raw).collect(),
        first: zeros(first),
        second: zeros(second),
        ..Memory::default()
    }
}

/// One update; `of` makes the gradient that is used from that of a number and the number.
fn step<R: Real>(factor: f64, updates: u64, piece: &mut Piece<'_, R>, of: impl Fn(R, R) -> R) {
    let Piece {
        method,
        raw,
        first,
        second,
        gradient,
        ..
    } = piece;
    let lr = method.lr * factor;
    let beside = if method.decoupled {
        R::from_f64(lr * method.weight_decay)
    } else {
        R::ZERO
    };
    let within = if method.decoupled {
        R::ZERO
    } else {
        R::from_f64(method.weight_decay)
    };
    let lr = R::from_f64(lr);
    let of = |g: R, raw: R| of(g, raw).add(within.mul(raw));
    // What is taken away: `rate` times the direction, and the decay beside it.
    let moved = |raw: R, rate: R, direction: R| raw.sub(rate.mul(direction).add(beside.mul(raw)));
    // `decay · old + rest · new`
    let mix = |decay: R, old: R, rest: R, new: R| decay.mul(old).add(rest.mul(new));
    // `1 − beta` is rounded once: from a rounded beta of 0.999 it would be off by 5e-5 of itself.
    let rest = |beta: f64| R::from_f64(1.0 - beta);
    let n = updates.min(i32::MAX as u64) as i32;
    let correction = |beta: f64| R::from_f64(1.0 / (1.0 - beta.powi(n)));
    match method.rule {
        Rule::Sgd { momentum, nesterov } => {
            let momentum = R::from_f64(momentum);
            for ((raw, g), velocity) in raw.iter_mut().zip(gradient.iter()).zip(first.iter_mut()) {
                let g = of(*g, *raw);
                *velocity = momentum.mul(*velocity).add(g);
                let direction = if nesterov {
                    g.add(momentum.mul(*velocity))
                } else {
                    *velocity
                };
                *raw = moved(*raw, lr, direction);
            }
        }
        Rule::Adam { beta1, beta2, eps } => {
            let (correction1, correction2) = (correction(beta1), correction(beta2));
            let (rest1, rest2) = (rest(beta1), rest(beta2));
            let [beta1, beta2, eps] = [beta1, beta2, eps].map(R::from_f64);
            let moments = first.iter_mut().zip(second.iter_mut());
            for ((raw, g), (first, second)) in raw.iter_mut().zip(gradient.iter()).zip(moments) {
                let g = of(*g, *raw);
                *first = mix(beta1, *first, rest1, g);
                *second = beta2.mul(*second).add(rest2.mul(g).mul(g));
                let root = second.mul(correction2).sqrt();
                let direction = first.mul(correction1).div(root.add(eps));
                *raw = moved(*raw, lr, direction);
            }
        }
        Rule::Adamax { beta1, beta2, eps } => {
            let (rest1, correction1) = (rest(beta1), correction(beta1));
            let [beta1, beta2, eps] = [beta1, beta2, eps].map(R::from_f64);
            let rate = lr.mul(correction1);
            let moments = first.iter_mut().zip(second.iter_mut());
            for ((raw, g), (first, largest)) in raw.iter_mut().zip(gradient.iter()).zip(moments) {
                let g = of(*g, *raw);
                *first = mix(beta1, *first, rest1, g);
                *largest = larger(beta2.mul(*largest), g.abs().add(eps));
                *raw = raw.sub(rate.mul(*first).div(*largest).add(beside.mul(*raw)));
            }
        }
        Rule::RmsProp {
            alpha,
            eps,
            momentum,
        } => {
            let others = rest(alpha);
            let [alpha, eps, momentum] = [alpha, eps, momentum].map(R::from_f64);
            let moments = first.iter_mut().zip(second.iter_mut());
            for ((raw, g), (velocity, square)) in raw.iter_mut().zip(gradient.iter()).zip(moments) {
                let g = of(*g, *raw);
                *square = alpha.mul(*square).add(others.mul(g).mul(g));
                let scaled = g.div(square.sqrt().add(eps));
                *velocity = momentum.mul(*velocity).add(scaled);
                *raw = moved(*raw, lr, *velocity);
            }
        }
        Rule::RmaxProp { gamma, eps } => {
            let [gamma, eps] = [gamma, eps].map(R::from_f64);
            for ((raw, g), largest) in raw.iter_mut().zip(gradient.iter()).zip(second.iter_mut()) {
                let g = of(*g, *raw);
                *largest = larger(gamma.mul(*largest), g.mul(g));
                let root = largest.sqrt().add(eps);
                *raw = raw.sub(lr.mul(g).div(root).add(beside.mul(*raw)));
            }
        }
        Rule::Lion { beta1, beta2 } => {
            let (rest1, rest2) = (rest(beta1), rest(beta2));
            let [beta1, beta2] = [beta1, beta2].map(R::from_f64);
            for ((raw, g), momentum) in raw.iter_mut().zip(gradient.iter()).zip(first.iter_mut()) {
                let g = of(*g, *raw);
                let mixed = mix(beta1, *momentum, rest1, g);
                // The sign of 0 is 0, unlike that of `signum`.
                let sign = i8::from(mixed > R::ZERO) - i8::from(mixed < R::ZERO);
                *raw = moved(*raw, lr, R::from_f64(f64::from(sign)));
                *momentum = mix(beta2, *momentum, rest2, g);
            }
        }
    }
}

/// The larger number; the other one if one is NaN.
fn larger<R: Real>(a: R, b: R) -> R {
    if a > b || b.is_nan() { a } else { b }
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

    const GRADIENTS: [f64; 5] = [0.5, -0.25, 1.5, 0.0, 0.125];

    /// A rule, the decay of weights and whether it is decoupled, what is done to gradients.
    type Case = (Rule, f64, bool, Clipping<f64>);

    /// Where 1 is after the updates of these gradients.
    fn run<R: Real>((rule, weight_decay, decoupled, clip): &Case) -> f64 {
        let method = Method {
            rule: rule.clone(),
            lr: 0.1,
            weight_decay: *weight_decay,
            decoupled: *decoupled,
        };
        let clip = match *clip {
            Clipping::Scale(scale) => Clipping::Scale(R::from_f64(scale)),
            Clipping::Value(limit) => Clipping::Value(R::from_f64(limit)),
        };
        let free = Range {
            constraint: Constraint::None,
            bounds: None,
        };
        let mut optimizer = Optimizer {
            lr: 0.1,
            memory: vec![remember(&method, &[R::ONE], free)],
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
            values: vec![vec![R::ONE]],
        };
        for g in GRADIENTS {
            let gradients = [vec![R::from_f64(g)]];
            optimizer.update(&mut parameters, &gradients, (clip, 1.0), 1);
        }
        parameters.values[0][0].to_f64()
    }

    /// The same by a published formula: `w`, the two numbers of memory, the gradient and the number of the update.
    fn by_hand(mut formula: impl FnMut(&mut f64, &mut [f64; 2], f64, i32)) -> f64 {
        let (mut w, mut memory) = (1.0f64, [0.0f64; 2]);
        for (g, t) in GRADIENTS.into_iter().zip(1..) {
            formula(&mut w, &mut memory, g, t);
        }
        w
    }

    /// In both precisions.
    fn agree(name: &str, case: Case, expected: f64) {
        for (found, most) in [(run::<f32>(&case), 2e-6), (run::<f64>(&case), 1e-14)] {
            let error = (found - expected).abs();
            assert!(error < most, "{name}: {found} and {expected}");
        }
        assert!((expected - 1.0).abs() > 1e-3, "{name} does not move");
    }

    const ALL: Clipping<f64> = Clipping::Scale(1.0);

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
                agree("sgd", (rule, decay, false, ALL), expected);
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
            agree("adam", (adam(), decay, decoupled, ALL), expected);
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
        agree("adamax", (adamax, 0.0, false, ALL), expected);
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
        agree("rmsprop", (rmsprop, 0.0, false, ALL), expected);
        let rmaxprop = Rule::RmaxProp {
            gamma: 0.8,
            eps: 1e-8,
        };
        let expected = by_hand(|w, [_, largest], g, _| {
            *largest = (0.8 * *largest).max(g * g);
            *w -= 0.1 * g / (largest.sqrt() + 1e-8);
        });
        agree("rmaxprop", (rmaxprop, 0.0, false, ALL), expected);
        let lion = Rule::Lion {
            beta1: 0.9,
            beta2: 0.99,
        };
        let expected = by_hand(|w, [m, _], g, _| {
            let mixed: f64 = 0.9 * *m + 0.1 * g;
            *w -= 0.1 * (mixed.signum() + 0.05 * *w);
            *m = 0.99 * *m + 0.01 * g;
        });
        agree("lion", (lion, 0.05, true, ALL), expected);
    }

    #[test]
    fn an_update_has_the_same_bits_on_any_number_of_threads() {
        let [beta1, beta2, eps] = [0.9, 0.999, 1e-8];
        let rules = [
            Rule::Adam { beta1, beta2, eps },
            Rule::Lion { beta1, beta2 },
            Rule::RmaxProp { gamma: 0.8, eps },
        ];
        let bounds = Range {
            constraint: Constraint::Clamp,
            bounds: Some((-0.5, 0.5)),
        };
        let sizes = [5 * CHUNK + 3, 7, 2 * CHUNK];
        let numbers = |n: usize| (0..n).map(|i| ((i * 37) % 101) as f32 / 100.0 - 0.5);
        for rule in rules {
            let method = Method {
                rule,
                lr: 0.1,
                weight_decay: 0.05,
                decoupled: true,
            };
            let run = |threads| {
                let values = Vec::from(sizes.map(|n| numbers(n).collect::<Vec<f32>>()));
                let remembered = |values: &Vec<f32>| Memory {
                    average: values.clone(),
                    ..remember(&method, values, bounds)
                };
                let mut optimizer = Optimizer {
                    lr: 0.1,
                    memory: values.iter().map(remembered).collect(),
                    methods: vec![method.clone(); sizes.len()],
                    ranges: vec![bounds; sizes.len()],
                    updates: 0,
                    waiting: Waiting::default(),
                    average: Some(0.9),
                };
                let mut parameters = Parameters {
                    specs: Vec::new(),
                    values,
                };
                let kept = (Clipping::Scale(1.0), 1.0);
                for g in 0..3 {
                    let gradients = sizes.map(|n| numbers(n + g).skip(g).collect());
                    optimizer.update(&mut parameters, &gradients, kept, threads);
                }
                (parameters.values, optimizer.memory)
            };
            let one = run(1);
            let moved = one.0[0].iter().zip(numbers(CHUNK)).any(|(v, n)| *v != n);
            assert!(moved && one.1[2].average != one.0[2]);
            for threads in [2, 3, 8] {
                assert!(run(threads) == one, "{threads} threads");
            }
        }
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
            (plain(), 0.0, false, Clipping::Value(0.3)),
            expected,
        );
        let expected = by_hand(|w, _, g, _| *w -= 0.1 * g * 0.5);
        agree(
            "scale",
            (plain(), 0.0, false, Clipping::Scale(0.5)),
            expected,
        );
    }
}
