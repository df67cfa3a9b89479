//! Connections that start at a state of a layer, against loops over steps, samples and neurons: forward and in cycles,
//! with and without delays, from initial values that are not zero. Runs of several blocks of time, with and without a
//! whole tape, and truncated gradients; on 1, 2, 3 and 8 threads the same bits. Every operation from a state is in
//! `connections.rs`, delays of synapses are in `delays.rs`.

#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView3, ArrayViewD, Axis};
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Bptt, Checkpoint, Initial, Network, Operation, Source};
use rheobase_ir::tape::Numbers;
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{
    Backend, Batch, Float, Gradients, InitialState, Load, Parameters, Simulator, TimePlan,
};
use shared::{Trains, connection, layer, network, values};

/// v ← 0.75 v + x from a parameter on, and w ← w/2 + v/√(1 + v²) from 1/2 on.
const NEURON: &str = "
; param start = 0.0
kernel Pair.init {
  v0 = in real uniform param start
  v1 = const 0.5
  out uniform init v = v0
  out uniform init w = v1
}
kernel Pair.step {
  v0 = in real state v
  v1 = in real state w
  v2 = in real port x
  v3 = const 0.75
  v4 = mul v3, v0
  v5 = add v4, v2
  v6 = const 0.5
  v7 = mul v6, v1
  v8 = const 1.0
  v9 = mul v5, v5
  v10 = add v8, v9
  v11 = sqrt v10
  v12 = div v5, v11
  v13 = add v7, v12
  out state v = v5
  out state w = v13
}";

const INPUTS: usize = 4;
const STATES: [&str; 2] = ["v", "w"];

/// Source (layer and state; `None` for the input), target, delay.
type Edge = (Option<(usize, usize)>, usize, usize);

/// Traces and gradients by name.
type Results = BTreeMap<String, Vec<f64>>;

struct Case {
    sizes: Vec<usize>,
    edges: Vec<Edge>,
    steps: usize,
    samples: usize,
    time: TimePlan,
}

impl Case {
    fn new(sizes: &[usize], edges: &[Edge], steps: usize, samples: usize) -> Case {
        Case {
            sizes: sizes.to_vec(),
            edges: [&[(None, 0, 0)], edges].concat(),
            steps,
            samples,
            time: TimePlan::default(),
        }
    }

    /// From layer to layer: at once, from both states, later, longer than some runs, past a layer.
    fn forward(steps: usize, samples: usize) -> Case {
        let edges = [
            (Some((0, 0)), 1, 0),
            (Some((0, 1)), 1, 3),
            (Some((0, 0)), 1, 2),
            (Some((1, 1)), 2, 0),
            (Some((0, 0)), 2, 11),
        ];
        Case::new(&[5, 3, 4], &edges, steps, samples)
    }

    /// A layer to itself, and two layers to each other.
    fn cycle(steps: usize, samples: usize) -> Case {
        let edges = [
            (Some((0, 0)), 0, 1),
            (Some((0, 1)), 1, 0),
            (Some((1, 0)), 0, 2),
            (Some((1, 1)), 1, 5),
            (Some((1, 0)), 2, 0),
        ];
        Case::new(&[5, 3, 2], &edges, steps, samples)
    }

    fn source_size(&self, from: Option<(usize, usize)>) -> usize {
        from.map_or(INPUTS, |(l, _)| self.sizes[l])
    }

    fn network(&self) -> Network {
        let neuron = neuron(NEURON).expect("a neuron");
        let layers = self.sizes.iter().enumerate();
        let layers = layers.map(|(l, &n)| layer(&format!("l{l}"), n, &neuron));
        let connections = self.edges.iter().enumerate();
        let connections = connections.map(|(c, &(from, to, delay))| {
            let source = from.map_or(Source::Input(0), |(l, s)| Source::State(l, s));
            let sizes = [self.source_size(from), self.sizes[to]];
            let operation = Operation::dense(sizes[0], sizes[1], Initial::Constant(0.0));
            connection(&format!("c{c}"), source, to, delay as u32, vec![operation])
        });
        network(INPUTS, layers.collect(), connections.collect())
    }

    /// `[n_post, n_pre]`, so small that a cycle stays finite.
    fn weights(&self) -> Vec<Array2<f64>> {
        let weights = self.edges.iter().enumerate().map(|(c, &(from, to, _))| {
            let shape = (self.sizes[to], self.source_size(from));
            let numbers = values(100 + c, shape.0 * shape.1);
            let numbers = numbers.iter().map(|x| x / 16.0).collect();
            Array2::from_shape_vec(shape, numbers).expect("as many as it holds")
        });
        weights.collect()
    }

    fn numbers(&self, seed: usize, n: usize) -> Array3<f64> {
        let shape = (self.steps, self.samples, n);
        let numbers = values(seed, shape.0 * shape.1 * shape.2);
        Array3::from_shape_vec(shape, numbers).expect("as many as it holds")
    }

    fn start(l: usize) -> f64 {
        [0.75, -1.25, 0.5][l]
    }

    /// The initial value of w of layer 1, which is given with the data.
    fn given(&self) -> Array2<f64> {
        let shape = (self.samples, self.sizes[1]);
        let numbers = values(900, shape.0 * shape.1);
        Array2::from_shape_vec(shape, numbers).expect("as many as it holds")
    }

    /// The graph written out.
    fn by_hand(&self) -> Results {
        let (weights, input) = (self.weights(), self.numbers(7, INPUTS));
        let given = self.given();
        // For each layer and state.
        let zeros = || -> Vec<[Array3<f64>; 2]> {
            let layers = self.sizes.iter();
            layers
                .map(|&n| [(); 2].map(|()| Array3::zeros((self.steps, self.samples, n))))
                .collect()
        };
        let (mut states, mut came) = (zeros(), zeros());
        for (l, came) in came.iter_mut().enumerate() {
            for (s, came) in came.iter_mut().enumerate() {
                *came = self.numbers(200 + 10 * l + s, self.sizes[l]);
            }
        }
        let initial = |l: usize, s: usize, b: usize, i: usize| match (l, s) {
            (_, 0) => Self::start(l),
            (1, _) => given[[b, i]],
            _ => 0.5,
        };
        let mut d_initial = vec![0.0; self.sizes.len()];
        let mut d_input = Array3::<f64>::zeros(input.raw_dim());
        let mut d_weights: Vec<Array2<f64>> =
            weights.iter().map(|w| Array2::zeros(w.raw_dim())).collect();
        let window = |t: usize| t / self.time.truncate.unwrap_or(self.steps);
        for b in 0..self.samples {
            // What an edge sends that arrives at step t.
            let sent = |states: &[[Array3<f64>; 2]], edge: &Edge, t: usize, j: usize| match *edge {
                (None, _, delay) if t < delay => 0.0,
                (None, _, delay) => input[[t - delay, b, j]],
                (Some((l, s)), _, delay) if t < delay => initial(l, s, b, j),
                (Some((l, s)), _, delay) => states[l][s][[t - delay, b, j]],
            };
            for t in 0..self.steps {
                for (l, &n) in self.sizes.iter().enumerate() {
                    for i in 0..n {
                        let mut x = 0.0;
                        for (edge, w) in self.edges.iter().zip(&weights).filter(|(e, _)| e.1 == l) {
                            for j in 0..self.source_size(edge.0) {
                                x += w[[i, j]] * sent(&states, edge, t, j);
                            }
                        }
                        let before = |s: usize| match t {
                            0 => initial(l, s, b, i),
                            _ => states[l][s][[t - 1, b, i]],
                        };
                        let (v, w) = (0.75 * before(0) + x, 0.5 * before(1));
                        states[l][0][[t, b, i]] = v;
                        states[l][1][[t, b, i]] = w + v / (1.0 + v * v).sqrt();
                    }
                }
            }
            let mut later: Vec<[Vec<f64>; 2]> = self
                .sizes
                .iter()
                .map(|&n| [(); 2].map(|()| vec![0.0; n]))
                .collect();
            for t in (0..self.steps).rev() {
                let same = t + 1 < self.steps && window(t) == window(t + 1);
                for (l, &n) in self.sizes.iter().enumerate().rev() {
                    for i in 0..n {
                        let own = |s: usize| if same { later[l][s][i] } else { 0.0 };
                        let [v, w] = [0, 1].map(|s| came[l][s][[t, b, i]] + own(s));
                        let slope = (1.0 + states[l][0][[t, b, i]].powi(2)).powf(-1.5);
                        let d = v + w * slope;
                        for (c, edge) in self.edges.iter().enumerate().filter(|(_, e)| e.1 == l) {
                            let &(from, _, delay) = edge;
                            for j in 0..self.source_size(from) {
                                d_weights[c][[i, j]] += d * sent(&states, edge, t, j);
                                let back = d * weights[c][[i, j]];
                                match from {
                                    None => d_input[[t - delay, b, j]] += back,
                                    Some((f, 0)) if t < delay && window(t) == 0 => {
                                        d_initial[f] += back;
                                    }
                                    Some(_) if t < delay => {}
                                    Some((f, s)) if window(t) == window(t - delay) => {
                                        came[f][s][[t - delay, b, j]] += back;
                                    }
                                    Some(_) => {}
                                }
                            }
                        }
                        later[l][0][i] = 0.75 * d;
                        later[l][1][i] = 0.5 * w;
                    }
                }
            }
            for (d, later) in d_initial.iter_mut().zip(&later) {
                *d += later[0].iter().sum::<f64>();
            }
        }
        let mut results = Results::new();
        let mut keep = |name: String, numbers: Vec<f64>| drop(results.insert(name, numbers));
        for (l, states) in states.iter().enumerate() {
            for (name, trace) in STATES.iter().zip(states) {
                keep(format!("{l}.{name}"), trace.iter().copied().collect());
            }
            keep(format!("l{l}.start"), vec![d_initial[l]]);
        }
        for (c, d) in d_weights.iter().enumerate() {
            keep(format!("c{c}.weight"), d.iter().copied().collect());
        }
        keep("input".into(), d_input.iter().copied().collect());
        results
    }

    /// The same by the runtime.
    fn run<R: Float>(&self, backend: Backend, threads: usize) -> Results {
        let mut simulator =
            Simulator::<R>::new(&self.network(), backend, Gradients::All).expect("compiles");
        simulator.set_time(self.time);
        let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
        let mut set = |name: String, array: ArrayViewD<'_, f64>| {
            let index = parameters.position(&name).expect("a parameter");
            parameters
                .import(index, &array.to_owned())
                .expect("shape fits");
        };
        for (c, w) in self.weights().iter().enumerate() {
            set(format!("c{c}.weight"), w.view().into_dyn());
        }
        for l in 0..self.sizes.len() {
            set(
                format!("l{l}.start"),
                ndarray::arr0(Self::start(l)).view().into_dyn(),
            );
        }
        simulator.set_parameters(parameters).expect("prologues run");
        let trains = Trains::of(&self.numbers(7, INPUTS), true);
        let given = self.given().mapv(R::from_f64);
        let batch = Batch {
            initial: vec![InitialState {
                layer: 1,
                state: "w".into(),
                values: given.view(),
            }],
            ..trains.batch()
        };
        let mut cotangents = BTreeMap::new();
        for (l, &n) in self.sizes.iter().enumerate() {
            for (s, name) in STATES.iter().enumerate() {
                let name = TraceName {
                    layer: l,
                    role: Role::State,
                    name: name.to_string(),
                };
                let numbers = self.numbers(200 + 10 * l + s, n).mapv(R::from_f64);
                cotangents.insert(name, numbers);
            }
        }
        let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
            .iter()
            .map(|(n, a)| (n.clone(), a.view()))
            .collect();
        let make = |range| Recorder::new(&simulator, range, self.steps, &views);
        let outcome = simulator
            .differentiate(&batch, threads, make)
            .expect("runs");
        let nothing = BTreeMap::new();
        let make = |range| Recorder::new(&simulator, range, self.steps, &nothing);
        let inferred = simulator.infer(&batch, threads, make).expect("runs");
        let mut results = Results::new();
        let mut join = |name: String, parts: Vec<Array3<R>>| {
            let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
            let whole = ndarray::concatenate(Axis(1), &views).expect("same shape");
            results.insert(name, whole.iter().map(|x| x.to_f64()).collect());
        };
        for trace in cotangents.keys() {
            let recorded = |p: &Recorder<'_, R>| p.recorded[trace].clone();
            let all = outcome.probes.iter().map(recorded).collect();
            let again: Vec<Array3<R>> = inferred.probes.iter().map(recorded).collect();
            assert_eq!(all, again, "without a gradient the same traces");
            join(format!("{}.{}", trace.layer, trace.name), all);
        }
        let parts = outcome.probes.iter().map(|p| p.input_gradients[0].clone());
        join("input".into(), parts.collect());
        let exported = Parameters {
            specs: simulator.parameters().specs.clone(),
            values: outcome.gradients,
        };
        for (i, spec) in exported.specs.iter().enumerate() {
            let numbers = exported.export(i).iter().copied().collect();
            results.insert(spec.name.clone(), numbers);
        }
        results
    }

    fn check(&self) {
        let expected = self.by_hand();
        let runs = [
            (self.run::<f64>(Backend::Interpreter, 1), 1e-12),
            (self.run::<f64>(Backend::Jit, 1), 1e-12),
            (self.run::<f32>(Backend::Jit, 2), 2e-5),
        ];
        for (found, tolerance) in runs {
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>()
            );
            for (name, a) in &expected {
                let b = &found[name];
                assert_eq!(a.len(), b.len(), "{name}");
                let scale = a.iter().fold(1e-2f64, |m, x| m.max(x.abs()));
                assert!(scale < 1e4, "{name} stays finite");
                for (i, (x, y)) in a.iter().zip(b).enumerate() {
                    let near = (x - y).abs() <= tolerance * scale;
                    assert!(near, "{name}[{i}]: {x} and {y}, scale {scale}");
                }
            }
        }
    }
}

#[test]
fn states_from_layer_to_layer() {
    Case::forward(17, 3).check();
    // Shorter than some delays.
    Case::forward(4, 2).check();
    Case::forward(1, 1).check();
}

#[test]
fn states_in_cycles() {
    Case::cycle(17, 3).check();
    Case::cycle(2, 2).check();
}

#[test]
fn several_blocks_of_time() {
    for mut case in [Case::forward(300, 3), Case::cycle(300, 3)] {
        case.check();
        let whole = case.run::<f32>(Backend::Jit, 1);
        for tape in [1, 130, 200] {
            case.time.tape = Some(tape);
            assert_eq!(case.run::<f32>(Backend::Jit, 1), whole, "a tape of {tape}");
        }
    }
}

#[test]
fn truncated_gradients() {
    for mut case in [Case::forward(23, 2), Case::cycle(23, 2)] {
        for window in [1, 4, 9, 23] {
            case.time.truncate = Some(window);
            case.time.tape = None;
            case.check();
            let whole = case.run::<f32>(Backend::Jit, 1);
            case.time.tape = Some(1);
            assert_eq!(case.run::<f32>(Backend::Jit, 1), whole, "a short tape");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for case in [Case::forward(20, 150), Case::cycle(20, 150)] {
        let one = case.run::<f32>(Backend::Jit, 1);
        for threads in [2, 3, 8] {
            assert_eq!(case.run::<f32>(Backend::Jit, threads), one, "{threads}");
        }
    }
}

/// With a short tape what states sent is kept for a block, so memory grows with the states at the beginnings of blocks
/// alone.
#[test]
fn what_states_sent_is_planned() {
    let case = Case::cycle(1, 1);
    let simulator =
        Simulator::<f32>::new(&case.network(), Backend::Jit, Gradients::All).expect("compiles");
    let plan = |steps: usize, checkpoint| {
        let gradient = Bptt {
            truncate: None,
            checkpoint,
            tape: Numbers::Whole,
        };
        let load = Load {
            steps,
            batch: 16,
            threads: 1,
            gradient,
            fixed: 0,
            limit: None,
        };
        simulator.plan_memory(&load).expect("no limit").group
    };
    let [short, long] = [1280, 12800].map(|steps| plan(steps, Checkpoint::Steps(1)));
    assert_eq!(short.sent, long.sent);
    assert!(long.checkpoints > 9 * short.checkpoints);
    let [short, long] = [1280, 12800].map(|steps| plan(steps, Checkpoint::None));
    assert!(long.sent > 9 * short.sent);
}
