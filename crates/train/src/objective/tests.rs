//! Every kind of node against differences: dL/d(trace), dL/d(weight) and the path through means over the batch.

use rheobase_ir::program::{Function, Node, Objective, Pair, Reduction, Roots, Shape, Term, Trace};
use rheobase_runtime::{Owner, ParameterSpec, Parameters, SlotId};

use super::{BatchPart, Compiled, Group, Purpose, Scores, Source};

const STEPS: usize = 5;
const UNITS: usize = 3;
const SAMPLES: usize = 2;
const LABELS: [u32; SAMPLES] = [1, 2];

/// Two traces of one layer, `steps · samples · units` each: a state, and spikes that may be any number.
#[derive(Clone)]
struct Traces([Vec<f32>; 2]);

impl Traces {
    fn new() -> Traces {
        let state = |i: usize| ((i * 37 % 19) as f32 - 9.0) / 7.0;
        let spike = |i: usize| f32::from(u8::from((i * 11 + 3) % 7 < 2));
        let all = || 0..STEPS * SAMPLES * UNITS;
        Traces([all().map(state).collect(), all().map(spike).collect()])
    }
}

/// Builds an objective; nodes 0 and 1 are the traces.
struct Build(Vec<Node>);

const STATE: usize = 0;
const SPIKES: usize = 1;

impl Build {
    fn new() -> Build {
        let trace = |trace| Node {
            term: Term::Trace { layer: 0, trace },
            shape: Shape::Steps(UNITS),
        };
        Build(vec![trace(Trace::State("v".into())), trace(Trace::Spikes)])
    }

    fn add(&mut self, term: Term, shape: Shape) -> usize {
        self.0.push(Node { term, shape });
        self.0.len() - 1
    }

    fn reduced(&mut self, of: usize, by: Reduction) -> usize {
        self.add(Term::Reduced { of, by }, Shape::Units(UNITS))
    }

    fn pair(&mut self, left: usize, right: usize, pair: Pair) -> usize {
        let shape = match (self.0[left].shape, self.0[right].shape) {
            (Shape::Scalar, other) => other,
            (shape, _) => shape,
        };
        self.add(Term::Pair { left, right, pair }, shape)
    }

    fn power(&mut self, of: usize, exponent: f64) -> usize {
        let shape = self.0[of].shape;
        self.add(Term::Power { of, exponent }, shape)
    }

    fn map(&mut self, of: usize, function: Function) -> usize {
        let shape = self.0[of].shape;
        self.add(Term::Map { of, function }, shape)
    }

    fn mean(&mut self, of: usize) -> usize {
        self.add(Term::Mean { of }, Shape::Scalar)
    }

    fn cross_entropy(&mut self, logits: usize, smoothing: f64, weights: &[f64]) -> usize {
        let weights = weights.to_vec();
        let term = Term::CrossEntropy {
            logits,
            smoothing,
            weights,
        };
        self.add(term, Shape::Scalar)
    }

    fn sample(self, root: usize) -> Objective {
        let loss = Roots {
            sample: Some(root),
            batch: None,
        };
        self.objective(loss)
    }

    fn batch(self, root: usize) -> Objective {
        let loss = Roots {
            sample: None,
            batch: Some(root),
        };
        self.objective(loss)
    }

    fn objective(self, loss: Roots) -> Objective {
        Objective {
            nodes: self.0,
            loss,
            penalty: Roots::default(),
            logits: None,
        }
    }
}

fn compiled(objective: &Objective) -> Compiled {
    let source = |node| Source {
        layer: 0,
        units: UNITS,
        spikes: node == SPIKES,
        slot: SlotId::default(),
        adjoint: Some(SlotId::default()),
        node,
        kept: false,
    };
    let owned = objective.nodes.iter().map(|node| {
        if matches!(node.term, Term::Weights { .. }) {
            vec![0, 1]
        } else if matches!(node.term, Term::Parameter { .. }) {
            vec![2]
        } else {
            vec![]
        }
    });
    let owned = owned.collect();
    Compiled::of(objective, STEPS, vec![source(STATE), source(SPIKES)], owned)
}

fn parameters() -> Parameters<f32> {
    let spec = |name: &str, owner| ParameterSpec {
        name: name.into(),
        shape: vec![2],
        owner,
        trained: true,
        layout: rheobase_runtime::Layout::Same,
    };
    Parameters {
        specs: vec![
            spec("a", Owner::Weight(0, 0)),
            spec("b", Owner::Weight(1, 0)),
            spec("tau", Owner::Neuron(0, 0)),
        ],
        values: vec![vec![0.5, -0.25], vec![1.5, 0.75], vec![2.0, 3.0]],
    }
}

fn targets() -> Vec<Vec<f32>> {
    let target = |sample: usize| {
        let value = move |i: usize| ((i * 5 + sample) % 3) as f32 / 2.0;
        (0..STEPS * UNITS).map(value).collect()
    };
    (0..SAMPLES).map(target).collect()
}

/// One run as a training step makes it: the mean loss, dL/d(trace), dL/d(parameter).
struct Run {
    loss: f64,
    traces: [Vec<f32>; 2],
    parameters: Vec<Vec<f32>>,
}

fn run(objective: &Objective, traces: &Traces, parameters: &Parameters<f32>) -> Run {
    let compiled = compiled(objective);
    let targets = targets();
    let targets: Vec<&[f32]> = targets.iter().map(Vec::as_slice).collect();
    let group = |purpose| {
        let mut group = Group::new(&compiled, &LABELS, &targets, purpose);
        for t in 0..STEPS {
            for (index, trace) in traces.0.iter().enumerate() {
                let size = SAMPLES * UNITS;
                group.pass(index, t, trace[t * size..(t + 1) * size].iter().copied());
            }
        }
        group
    };
    let sums = match compiled.has_batch_mean() {
        true => group(Purpose::Means).scores().sums,
        false => Vec::new(),
    };
    let part = BatchPart::new(&compiled, parameters, &sums, SAMPLES);
    let mut learning = group(Purpose::Learn {
        weight: 1.0 / SAMPLES as f64,
        seeds: &part.seeds,
    });
    assert!(rheobase_runtime::Probe::turn(&mut learning));
    let mut gradients = traces.clone().0.map(|t| vec![0.0; t.len()]);
    for t in 0..STEPS {
        for (index, gradient) in gradients.iter_mut().enumerate() {
            let size = SAMPLES * UNITS;
            learning.give(index, t, &mut gradient[t * size..(t + 1) * size]);
        }
    }
    let scores: Scores = learning.scores();
    let mut of_parameters: Vec<Vec<f32>> = parameters
        .values
        .iter()
        .map(|v| vec![0.0; v.len()])
        .collect();
    part.add_to(&mut of_parameters);
    Run {
        loss: scores.loss / SAMPLES as f64 + part.loss,
        traces: gradients,
        parameters: of_parameters,
    }
}

/// All derivatives of an objective against central differences.
fn check(name: &str, objective: &Objective) {
    let (traces, parameters) = (Traces::new(), parameters());
    let exact = run(objective, &traces, &parameters);
    let mut largest = 0.0f64;
    let mut compare = |what: String, numeric: f64, exact: f32| {
        largest = largest.max(f64::from(exact.abs()));
        let error = (numeric - f64::from(exact)).abs();
        assert!(error < 2e-3, "{name}: {what}: {numeric} and {exact}");
    };
    let h = 1.0 / 512.0;
    for source in [STATE, SPIKES] {
        for at in 0..traces.0[source].len() {
            let loss = |by: f32| {
                let mut moved = traces.clone();
                moved.0[source][at] += by;
                run(objective, &moved, &parameters).loss
            };
            let numeric = (loss(h) - loss(-h)) / f64::from(2.0 * h);
            let what = format!("trace {source} at {at}");
            compare(what, numeric, exact.traces[source][at]);
        }
    }
    for owner in 0..parameters.values.len() {
        for at in 0..parameters.values[owner].len() {
            let loss = |by: f32| {
                let mut moved = parameters.clone();
                moved.values[owner][at] += by;
                run(objective, &traces, &moved).loss
            };
            let numeric = (loss(h) - loss(-h)) / f64::from(2.0 * h);
            let what = format!("parameter {owner} at {at}");
            compare(what, numeric, exact.parameters[owner][at]);
        }
    }
    assert!(largest > 1e-3, "{name}: every derivative is about 0");
}

#[test]
fn reductions_with_cross_entropy() {
    for by in [
        Reduction::Max,
        Reduction::Sum,
        Reduction::Mean,
        Reduction::Last,
    ] {
        for (smoothing, weights) in [(0.0, &[][..]), (0.2, &[0.5, 2.0, 1.5])] {
            let mut build = Build::new();
            let logits = build.reduced(STATE, by);
            let root = build.cross_entropy(logits, smoothing, weights);
            check(&format!("{by:?} {smoothing}"), &build.sample(root));
        }
    }
}

/// Not streamed, since a formula stands between the trace and the reduction.
#[test]
fn reductions_of_formulas() {
    for by in [
        Reduction::Max,
        Reduction::Sum,
        Reduction::Mean,
        Reduction::Last,
    ] {
        let mut build = Build::new();
        let squared = build.power(STATE, 3.0);
        let logits = build.reduced(squared, by);
        let root = build.cross_entropy(logits, 0.0, &[]);
        check(&format!("{by:?} of a cube"), &build.sample(root));
    }
}

#[test]
fn cross_entropy_of_every_step() {
    let mut build = Build::new();
    let root = build.cross_entropy(STATE, 0.1, &[1.0, 0.5, 2.0]);
    check("every step", &build.sample(root));
}

/// Counts, rates and states against values per class.
#[test]
fn squared_distance_to_classes_and_targets() {
    for source in [STATE, SPIKES] {
        let mut build = Build::new();
        let count = build.reduced(source, Reduction::Sum);
        let wanted = build.add(Term::OneHot { on: 4.0, off: 1.0 }, Shape::Units(UNITS));
        let difference = build.pair(count, wanted, Pair::Sub);
        let squared = build.power(difference, 2.0);
        let root = build.mean(squared);
        check("to classes", &build.sample(root));

        let mut build = Build::new();
        let target = build.add(Term::Target, Shape::Steps(UNITS));
        let difference = build.pair(source, target, Pair::Sub);
        let squared = build.power(difference, 2.0);
        let root = build.mean(squared);
        check("to targets", &build.sample(root));
    }
}

/// Filtered differences of spike trains, with one and with two exponentials.
#[test]
fn van_rossum_distance() {
    for rise in [None, Some(0.4)] {
        let mut build = Build::new();
        let target = build.add(Term::Target, Shape::Steps(UNITS));
        let of = build.pair(SPIKES, target, Pair::Sub);
        let filter = Term::Filtered {
            of,
            decay: 0.8,
            rise,
            gain: 1.7,
        };
        let filtered = build.add(filter, Shape::Steps(UNITS));
        let squared = build.power(filtered, 2.0);
        let root = build.add(Term::Sum { of: squared }, Shape::Scalar);
        check("van Rossum", &build.sample(root));
    }
}

/// The kernel itself: the response to one spike.
#[test]
fn the_filter_has_the_stated_response() {
    let mut response = vec![0.0; 4];
    response[0] = 1.0;
    let mut build = Build(vec![Node {
        term: Term::Constant(0.0),
        shape: Shape::Steps(1),
    }]);
    let filter = |rise| Term::Filtered {
        of: 0,
        decay: 0.5,
        rise,
        gain: 2.0,
    };
    build.add(filter(None), Shape::Steps(1));
    build.add(filter(Some(0.25)), Shape::Steps(1));
    let objective = build.objective(Roots::default());
    let mut tape = super::evaluate::Tape::new(&objective);
    tape.values[0] = response;
    let context = super::evaluate::Context { steps: 4, label: 0 };
    tape.compute(&objective, 1, context);
    tape.compute(&objective, 2, context);
    assert_eq!(tape.values[1], [2.0, 1.0, 0.5, 0.25]);
    assert_eq!(tape.values[2], [0.0, 0.5, 0.375, 0.21875]);
}

/// The time of the first spike: while it passes, and as a formula, of which the differences are taken.
#[test]
fn time_to_first_spike() {
    let objective = |detour: bool| {
        let mut build = Build::new();
        let spikes = match detour {
            false => SPIKES,
            true => {
                let one = build.add(Term::Constant(1.0), Shape::Scalar);
                build.pair(SPIKES, one, Pair::Mul)
            }
        };
        let first = build.reduced(spikes, Reduction::FirstSpike);
        let scale = build.add(Term::Constant(-0.3), Shape::Scalar);
        let logits = build.pair(first, scale, Pair::Mul);
        let root = build.cross_entropy(logits, 0.0, &[]);
        build.sample(root)
    };
    check("first spike", &objective(true));
    let (traces, parameters) = (Traces::new(), parameters());
    let streamed = run(&objective(false), &traces, &parameters);
    let computed = run(&objective(true), &traces, &parameters);
    assert_eq!(streamed.loss, computed.loss);
    for (a, b) in streamed.traces[SPIKES].iter().zip(&computed.traces[SPIKES]) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
}

/// Bounds on rates, and absolute and squared rates.
#[test]
fn penalties_on_activity() {
    for function in [Function::Relu, Function::Abs, Function::Softplus] {
        let mut build = Build::new();
        let rate = build.reduced(SPIKES, Reduction::Mean);
        let bound = build.add(Term::Constant(0.25), Shape::Scalar);
        let above = build.pair(rate, bound, Pair::Sub);
        let above = build.map(above, function);
        let squared = build.power(above, 2.0);
        let root = build.mean(squared);
        check(&format!("{function:?}"), &build.sample(root));
    }
    let mut build = Build::new();
    let low = build.add(Term::Constant(-0.5), Shape::Scalar);
    let below = build.pair(STATE, low, Pair::Min);
    let root = build.mean(below);
    check("membrane", &build.sample(root));
}

/// Squares of sums over the batch, as SpyTorch has them, and of weights and time constants.
#[test]
fn penalties_of_the_batch() {
    let mut build = Build::new();
    let count = build.reduced(SPIKES, Reduction::Sum);
    let mean = build.add(Term::BatchMean { of: count }, Shape::Units(UNITS));
    let squared = build.power(mean, 2.0);
    let root = build.mean(squared);
    check("mean over the batch", &build.batch(root));

    let weights = Term::Weights {
        connections: vec![0, 1],
    };
    for exponent in [2.0, 1.0] {
        let mut build = Build::new();
        let weights = build.add(weights.clone(), Shape::Units(0));
        let size = build.map(weights, Function::Abs);
        let of = build.power(size, exponent);
        let root = build.add(Term::Sum { of }, Shape::Scalar);
        check("weights", &build.batch(root));
    }

    let mut build = Build::new();
    let parameter = Term::Parameter {
        layer: 0,
        parameter: 0,
    };
    let tau = build.add(parameter, Shape::Units(0));
    let log = build.map(tau, Function::Log);
    let root = build.mean(log);
    check("time constants", &build.batch(root));
}

/// A constant for the backward.
#[test]
fn detached_parts_have_no_gradient() {
    let mut build = Build::new();
    let last = build.reduced(STATE, Reduction::Last);
    let constant = build.map(last, Function::Detach);
    let product = build.pair(last, constant, Pair::Mul);
    let root = build.mean(product);
    let objective = build.sample(root);
    let found = run(&objective, &Traces::new(), &parameters());
    let share = 1.0 / (SAMPLES * UNITS) as f32;
    let traces = Traces::new();
    let from = (STEPS - 1) * SAMPLES * UNITS;
    for at in from..STEPS * SAMPLES * UNITS {
        let expected = traces.0[STATE][at] * share;
        assert!((found.traces[STATE][at] - expected).abs() < 1e-6);
    }
}

/// The first of equal logits is predicted, and the rank of the label counts those ahead of it.
#[test]
fn predictions_and_ranks() {
    let mut build = Build::new();
    let last = build.reduced(STATE, Reduction::Last);
    let root = build.cross_entropy(last, 0.0, &[]);
    let mut objective = build.sample(root);
    objective.logits = Some(last);
    let compiled = compiled(&objective);
    let mut group = Group::new(&compiled, &LABELS, &[], Purpose::Judge);
    for t in 0..STEPS {
        let row = [0.5f32, 0.5, 0.1, 0.1, 0.9, 0.7];
        group.pass(STATE, t, row.into_iter());
        group.pass(SPIKES, t, [0.0f32; 6].into_iter());
    }
    let scores = group.scores();
    assert_eq!(scores.predicted, [0, 1]);
    assert_eq!(scores.ahead, [1, 1]);
    assert_eq!(scores.hits(), 0);
}
