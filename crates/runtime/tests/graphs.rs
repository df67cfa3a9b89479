//! Graphs of layers against the same graphs written out as loops over steps, samples and neurons: chains,
//! skips, cycles through two layers, delays longer than the run, one step, no input, dense input, and
//! layers wide enough for every way of summing. Runs of several blocks of time, with and without a whole
//! tape, and truncated gradients. Traces, and gradients of weights, biases and inputs.

#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView3};
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Initial, Network, Operation, Source};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Float, Gradients, Parameters, Simulator, TimePlan};
use shared::{DECAY, Trains, connection, layer, lif, network, values};

/// A leaky neuron as [`lif`] with a triangle as derivative that is 0 for most margins: max(0, 1 − 8·|u|).
const NARROW: &str = "
; param decay = 0.875
kernel LIF.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel LIF.step {
  v0 = in real uniform param decay
  v1 = in real state v
  v2 = in real port x
  v3 = mul v0, v1
  v4 = add v3, v2
  v5 = const 1.0
  v6 = sub v4, v5
  v7 = abs v6
  v8 = const 8.0
  v9 = mul v7, v8
  v10 = sub v5, v9
  v11 = const 0.0
  v12 = max v10, v11
  v13 = spike.ge v6, v12
  v14 = select v13, v6, v4
  out state v = v14
  out spike s = v13
}";

/// A connection: source (`None` for the input), target, delay.
type Edge = (Option<usize>, usize, usize);

/// A graph and its data.
struct Case {
    inputs: usize,
    sizes: Vec<usize>,
    edges: Vec<Edge>,
    steps: usize,
    samples: usize,
    /// Share of the input entries that are not zero.
    density: f64,
    graded: bool,
    time: TimePlan,
    /// With the narrow derivative.
    narrow: bool,
}

/// Traces and gradients by name.
type Results = BTreeMap<String, Vec<f64>>;

impl Case {
    fn chain(inputs: usize, sizes: &[usize], steps: usize, samples: usize) -> Case {
        let mut edges = vec![(None, 0, 0)];
        edges.extend((1..sizes.len()).map(|l| (Some(l - 1), l, 0)));
        Case {
            inputs,
            sizes: sizes.to_vec(),
            edges,
            steps,
            samples,
            density: 0.2,
            graded: true,
            time: TimePlan::default(),
            narrow: false,
        }
    }

    fn source_size(&self, source: Option<usize>) -> usize {
        source.map_or(self.inputs, |l| self.sizes[l])
    }

    /// The weights of each connection, `[n_post, n_pre]`, so large that neurons spike.
    fn weights(&self) -> Vec<Array2<f64>> {
        let weights = self.edges.iter().enumerate().map(|(c, &(from, to, _))| {
            let shape = (self.sizes[to], self.source_size(from));
            let scale = (4.0 / shape.1 as f64).sqrt();
            let scale = (scale * 64.0).round() / 64.0;
            let numbers = values(100 + c, shape.0 * shape.1);
            let numbers = numbers.iter().map(|x| (x + 0.25) * scale).collect();
            Array2::from_shape_vec(shape, numbers).expect("as many as it holds")
        });
        weights.collect()
    }

    fn bias(&self) -> Vec<f64> {
        let numbers = values(50, self.sizes[0]);
        numbers.iter().map(|x| x * 0.25).collect()
    }

    fn input(&self) -> Array3<f64> {
        let shape = (self.steps, self.samples, self.inputs);
        let n = self.steps * self.samples * self.inputs;
        let numbers = values(7, n).into_iter().zip(values(8, n));
        let numbers = numbers.map(|(x, chance)| {
            if (chance + 1.0) / 2.0 >= self.density {
                0.0
            } else if self.graded {
                x + 1.25
            } else {
                1.0
            }
        });
        Array3::from_shape_vec(shape, numbers.collect()).expect("as many as it holds")
    }

    /// dL/d(spike) and dL/d(v) of a layer at each step.
    fn cotangents(&self, layer: usize) -> [Array3<f64>; 2] {
        let shape = (self.steps, self.samples, self.sizes[layer]);
        [200, 300].map(|seed| {
            let numbers = values(seed + layer, shape.0 * shape.1 * shape.2);
            Array3::from_shape_vec(shape, numbers).expect("as many as it holds")
        })
    }

    fn network(&self) -> Network {
        let neuron = match self.narrow {
            true => neuron(NARROW).expect("a neuron"),
            false => lif(),
        };
        let layers = self.sizes.iter().enumerate();
        let layers = layers.map(|(l, &n)| layer(&format!("l{l}"), n, &neuron));
        let connections = self.edges.iter().enumerate();
        let connections = connections.map(|(c, &(from, to, delay))| {
            let operation = Operation {
                bias: (c == 0).then_some(Initial::Constant(0.0)),
                ..Operation::dense(
                    self.source_size(from),
                    self.sizes[to],
                    Initial::Constant(0.0),
                )
            };
            let from = from.map_or(Source::Input(0), Source::Layer);
            connection(&format!("c{c}"), from, to, delay as u32, vec![operation])
        });
        network(self.inputs, layers.collect(), connections.collect())
    }

    /// The graph written out.
    fn by_hand(&self) -> Results {
        let (weights, bias, input) = (self.weights(), self.bias(), self.input());
        let zeros = || -> Vec<Array3<f64>> {
            let layers = self.sizes.iter();
            layers
                .map(|&n| Array3::zeros((self.steps, self.samples, n)))
                .collect()
        };
        let (mut s, mut v, mut u) = (zeros(), zeros(), zeros());
        let (mut ds, mut dv, mut dh) = (zeros(), zeros(), zeros());
        for l in 0..self.sizes.len() {
            [ds[l], dv[l]] = self.cotangents(l);
        }
        let mut d_input = Array3::<f64>::zeros(input.raw_dim());
        let mut d_weights: Vec<Array2<f64>> =
            weights.iter().map(|w| Array2::zeros(w.raw_dim())).collect();
        let mut d_bias = vec![0.0; bias.len()];
        for b in 0..self.samples {
            for t in 0..self.steps {
                for (l, &n) in self.sizes.iter().enumerate() {
                    for i in 0..n {
                        let mut x = if l == 0 { bias[i] } else { 0.0 };
                        for (c, &(from, to, delay)) in self.edges.iter().enumerate() {
                            if to == l && t >= delay {
                                for j in 0..self.source_size(from) {
                                    let source = from.map_or(&input, |f| &s[f]);
                                    x += weights[c][[i, j]] * source[[t - delay, b, j]];
                                }
                            }
                        }
                        let before = if t > 0 { v[l][[t - 1, b, i]] } else { 0.0 };
                        let h = DECAY * before + x;
                        u[l][[t, b, i]] = h - 1.0;
                        let spike = h >= 1.0;
                        s[l][[t, b, i]] = f64::from(u8::from(spike));
                        v[l][[t, b, i]] = if spike { h - 1.0 } else { h };
                    }
                }
            }
            for t in (0..self.steps).rev() {
                for (l, &n) in self.sizes.iter().enumerate().rev() {
                    for i in 0..n {
                        let window = |t: usize| t / self.time.truncate.unwrap_or(self.steps);
                        let later = match t + 1 < self.steps && window(t) == window(t + 1) {
                            true => DECAY * dh[l][[t + 1, b, i]],
                            false => 0.0,
                        };
                        let dv = dv[l][[t, b, i]] + later;
                        // The reset takes 1 off where it spiked, and is differentiated.
                        let distance = u[l][[t, b, i]].abs();
                        let surrogate = match self.narrow {
                            true => (1.0 - 8.0 * distance).max(0.0),
                            false => 1.0 / (1.0 + distance).powi(2),
                        };
                        let d = dv + (ds[l][[t, b, i]] - dv) * surrogate;
                        dh[l][[t, b, i]] = d;
                        if l == 0 {
                            d_bias[i] += d;
                        }
                        for (c, &(from, to, delay)) in self.edges.iter().enumerate() {
                            if to != l || t < delay {
                                continue;
                            }
                            for j in 0..self.source_size(from) {
                                let at = [t - delay, b, j];
                                let source = from.map_or(&input, |f| &s[f]);
                                d_weights[c][[i, j]] += d * source[at];
                                let back = from.map_or(&mut d_input, |f| &mut ds[f]);
                                if from.is_none() || window(t) == window(t - delay) {
                                    back[at] += d * weights[c][[i, j]];
                                }
                            }
                        }
                    }
                }
            }
        }
        let mut results = Results::new();
        let mut keep = |name: String, numbers: Vec<f64>| drop(results.insert(name, numbers));
        for l in 0..self.sizes.len() {
            keep(format!("{l}.s"), s[l].iter().copied().collect());
            keep(format!("{l}.v"), v[l].iter().copied().collect());
        }
        for (c, d) in d_weights.iter().enumerate() {
            keep(format!("c{c}.weight"), d.iter().copied().collect());
        }
        keep("c0.bias".into(), d_bias);
        keep("input".into(), d_input.iter().copied().collect());
        results
    }

    /// The same by the runtime.
    fn run<R: Float>(&self, backend: Backend, threads: usize) -> Results {
        let mut simulator =
            Simulator::<R>::new(&self.network(), backend, Gradients::All).expect("compiles");
        simulator.set_time(self.time);
        let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
        let mut set = |name: String, array: ndarray::ArrayD<f64>| {
            let index = parameters.position(&name).expect("a parameter");
            parameters.import(index, &array).expect("shape fits");
        };
        for (c, w) in self.weights().into_iter().enumerate() {
            set(format!("c{c}.weight"), w.into_dyn());
        }
        set(
            "c0.bias".into(),
            ndarray::Array1::from(self.bias()).into_dyn(),
        );
        for l in 0..self.sizes.len() {
            set(format!("l{l}.decay"), ndarray::arr0(DECAY).into_dyn());
        }
        simulator.set_parameters(parameters).expect("prologues run");
        let trains = Trains::of(&self.input(), self.graded);
        let batch = trains.batch();
        let mut cotangents = BTreeMap::new();
        for layer in 0..self.sizes.len() {
            let roles = [(Role::Spike, "s"), (Role::State, "v")];
            for ((role, name), array) in roles.into_iter().zip(self.cotangents(layer)) {
                let name = name.into();
                cotangents.insert(TraceName { layer, role, name }, array.mapv(R::from_f64));
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
        let mut results = Results::new();
        let mut join = |name: String, part: &dyn Fn(usize) -> Option<Array3<f64>>| {
            let parts: Vec<_> = (0..outcome.probes.len()).filter_map(part).collect();
            let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
            let whole = ndarray::concatenate(ndarray::Axis(1), &views).expect("same shape");
            results.insert(name, whole.iter().copied().collect());
        };
        for trace in cotangents.keys() {
            join(format!("{}.{}", trace.layer, trace.name), &|g| {
                let recorded = outcome.probes[g].recorded.get(trace);
                recorded.map(|a| a.mapv(|x| x.to_f64()))
            });
        }
        join("input".into(), &|g| {
            let gradients = outcome.probes[g].input_gradients.first();
            gradients.map(|a| a.mapv(|x| x.to_f64()))
        });
        let exported = Parameters {
            specs: simulator.parameters().specs.clone(),
            values: outcome.gradients.clone(),
        };
        for (i, spec) in exported.specs.iter().enumerate() {
            if spec.name.starts_with('c') {
                let numbers = exported.export(i).iter().copied().collect();
                results.insert(spec.name.clone(), numbers);
            }
        }
        results
    }

    /// Everything agrees, in double precision closely and in single precision roughly.
    fn check(&self) {
        let expected = self.by_hand();
        let runs = [
            (self.run::<f64>(Backend::Interpreter, 1), 1e-10),
            (self.run::<f64>(Backend::Jit, 1), 1e-10),
            (self.run::<f32>(Backend::Jit, 2), 1e-3),
        ];
        for (found, tolerance) in runs {
            for (name, a) in &expected {
                let b = &found[name];
                assert_eq!(a.len(), b.len(), "{name}");
                let scale = a.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
                for (i, (x, y)) in a.iter().zip(b).enumerate() {
                    let near = (x - y).abs() <= tolerance * scale;
                    assert!(near, "{name}[{i}]: {x} and {y}, scale {scale}");
                }
            }
        }
    }

    fn spikes(&self, layer: usize) -> f64 {
        self.by_hand()[&format!("{layer}.s")].iter().sum()
    }
}

#[test]
fn a_chain_with_skips_and_delays() {
    let mut case = Case::chain(9, &[8, 6, 5], 14, 19);
    case.edges
        .extend([(None, 2, 1), (Some(0), 2, 3), (Some(0), 1, 1)]);
    assert!((0..3).all(|l| case.spikes(l) > 20.0), "it has to spike");
    case.check();
}

#[test]
fn cycles_through_two_layers_between_others() {
    let mut case = Case::chain(6, &[5, 7, 4, 3], 13, 18);
    // Layers 1 and 2 form a cycle, layer 3 also drives itself.
    case.edges.extend([(Some(2), 1, 2), (Some(3), 3, 1)]);
    assert!(case.spikes(3) > 10.0, "it has to spike");
    case.check();
}

#[test]
fn one_step() {
    Case::chain(9, &[8, 6], 1, 3).check();
}

#[test]
fn no_events() {
    let mut case = Case::chain(4, &[6, 3], 9, 5);
    case.density = 0.0;
    case.edges.push((Some(1), 1, 1));
    case.check();
}

#[test]
fn delays_longer_than_the_run() {
    let mut case = Case::chain(4, &[6, 3], 5, 4);
    case.edges.extend([
        (None, 1, 5),
        (Some(0), 1, 9),
        (Some(0), 0, 7),
        (Some(1), 1, 5),
    ]);
    case.check();
}

#[test]
fn dense_and_sparse_input_of_every_size() {
    for (density, graded) in [(0.3, true), (0.9, true), (0.9, false), (0.1, false)] {
        for size in [3, 70] {
            let mut case = Case::chain(10, &[size, 5], 8, 17);
            (case.density, case.graded) = (density, graded);
            case.edges.push((None, 1, 2));
            case.check();
        }
    }
}

#[test]
fn weights_larger_than_the_cache() {
    for graded in [false, true] {
        let mut case = Case::chain(420, &[420], 3, 2);
        (case.density, case.graded) = (0.05, graded);
        case.edges.push((Some(0), 0, 1));
        assert!(case.spikes(0) > 20.0, "it has to spike");
        case.check();
    }
}

#[test]
fn more_groups_than_sums_give_the_same_bits_on_any_number_of_threads() {
    let mut case = Case::chain(9, &[8, 6], 6, 163);
    case.edges.push((Some(0), 0, 1));
    case.check();
    let one = case.run::<f32>(Backend::Jit, 1);
    for threads in [2, 3, 8] {
        assert_eq!(
            case.run::<f32>(Backend::Jit, threads),
            one,
            "{threads} threads"
        );
    }
}

#[test]
fn more_steps_than_weight_gradients_take_at_once() {
    for density in [0.1, 0.5] {
        let mut case = Case::chain(6, &[130], 70, 16);
        case.density = density;
        case.edges.push((Some(0), 0, 1));
        case.check();
    }
}

/// Two layers in a cycle, connections that skip, and delays shorter and longer than a block of 128 steps.
fn long(steps: usize) -> Case {
    let mut case = Case::chain(5, &[6, 4, 3], steps, 18);
    case.edges.extend([
        (None, 2, 3),
        (Some(1), 0, 2),
        (Some(0), 2, 130),
        (Some(2), 2, 1),
        (Some(1), 1, 260),
    ]);
    case
}

#[test]
fn several_blocks_of_time() {
    for steps in [128, 129, 300] {
        let case = long(steps);
        assert!((0..3).all(|l| case.spikes(l) > 100.0), "it has to spike");
        case.check();
    }
}

#[test]
fn a_truncated_gradient_is_cut_between_windows() {
    for truncate in [1, 7, 50, 130, 299, 300, 1000] {
        let mut case = long(300);
        case.time.truncate = Some(truncate);
        case.check();
    }
}

#[test]
fn a_shorter_tape_gives_the_same_bits_on_any_number_of_threads() {
    for truncate in [None, Some(50)] {
        let mut case = long(400);
        case.time.truncate = truncate;
        let whole = case.run::<f32>(Backend::Jit, 1);
        for (tape, threads) in [(1, 1), (128, 2), (200, 3), (300, 8), (10_000, 1)] {
            case.time.tape = Some(tape);
            let short = case.run::<f32>(Backend::Jit, threads);
            assert_eq!(short, whole, "tape of {tape} steps, {threads} threads");
        }
    }
}

#[test]
fn smaller_groups() {
    let mut case = long(150);
    for group in [1, 5] {
        case.time.group = group;
        case.check();
    }
}

#[test]
fn surrogates_that_are_zero_for_most_margins() {
    // Inside of a cycle and between parts, with and without delay, with tables in and beyond the cache,
    // and over several blocks.
    for (sizes, steps) in [(&[70, 66, 65][..], 140), (&[520, 530], 4)] {
        let mut case = Case::chain(9, sizes, steps, 3);
        case.narrow = true;
        let simulator = Simulator::<f32>::new(&case.network(), Backend::Jit, Gradients::All);
        let stages = simulator.expect("compiles");
        let told = (0..sizes.len()).all(|l| stages.stages(l).support.is_some());
        assert!(told, "every layer tells where its surrogate is not zero");
        case.edges.extend([
            (Some(0), 0, 2),
            (Some(0), 1, 3),
            (Some(1), 1, 1),
            (Some(0), 1, 131),
        ]);
        assert!(case.spikes(0) > 20.0, "it has to spike");
        case.check();
        let whole = case.run::<f32>(Backend::Jit, 1);
        case.time.tape = Some(1);
        assert_eq!(case.run::<f32>(Backend::Jit, 2), whole);
    }
}
