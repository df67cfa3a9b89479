//! Networks with a smooth loss. Gradients against differences of the loss: of normalisations, in which every sample moves
//! the mean of all, and of convolutions and learned delays through two layers. Normalisations in groups of any size;
//! running averages at evaluation; what is refused.

#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView3};
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{
    Connection, Delays, Initial, Network, Operation, Source, Synapses, Window,
};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{
    Backend, Gradients, Load, Moment, Outcome, Owner, RuntimeError, Silent, Simulator, TimePlan,
};
use shared::{Trains, layer};

const STEPS: usize = 6;
const INPUTS: usize = 5;

/// An integrator whose spikes are a smooth number at every step, v/√(1 + v²).
const STEP: &str = "
kernel LI.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel LI.step {
  v0 = in real state v
  v1 = in real port x
  v2 = const 0.75
  v3 = mul v2, v0
  v4 = add v3, v1
  v5 = mul v4, v4
  v6 = const 1.0
  v7 = add v5, v6
  v8 = sqrt v7
  v9 = div v4, v8
  out state v = v4
  out spike s = v9
}";

/// Numbers in −1..1 that look random.
fn number(i: usize) -> f64 {
    let state = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ state >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (state >> 40) as f64 / f64::from(1 << 23) - 1.0
}

fn norm(channels: usize, n: usize) -> Operation {
    Operation {
        synapses: Synapses::Normalisation {
            channels,
            momentum: 0.25,
            eps: 1e-2,
        },
        bias: Some(Initial::Constant(0.0)),
        ..Operation::dense(n, n, Initial::Constant(1.0))
    }
}

fn connection(from: Source, to: usize, operations: Vec<Operation>, delay: u32) -> Connection {
    shared::connection(&format!("c{to}"), from, to, delay, operations)
}

/// Layers of these sizes.
fn network(sizes: &[usize], connections: Vec<Connection>) -> Network {
    let neuron = neuron(STEP).expect("a neuron");
    let layers = sizes.iter().map(|&n| layer("l", n, &neuron));
    shared::network(INPUTS, layers.collect(), connections)
}

/// Two normalisations in a chain with a delay, and a connection without any beside it.
fn chain() -> Network {
    let dense = |n: usize, m: usize| Operation::dense(n, m, Initial::Constant(0.0));
    let through = vec![dense(INPUTS, 8), norm(4, 8), dense(8, 6), norm(6, 6)];
    let beside = vec![dense(INPUTS, 6)];
    network(
        &[6],
        vec![
            connection(Source::Input(0), 0, through, 2),
            connection(Source::Input(0), 0, beside, 0),
        ],
    )
}

fn simulator(network: &Network) -> Simulator<f64> {
    let mut simulator = Simulator::<f64>::new(network, Backend::Interpreter, Gradients::All)
        .expect("it can be run");
    simulator
        .update_parameters(|p| {
            for (i, (spec, values)) in p.specs.iter().zip(&mut p.values).enumerate() {
                for (k, value) in values.iter_mut().enumerate() {
                    *value = match spec.owner {
                        Owner::Running(_, _, Moment::Mean) => 0.0,
                        Owner::Running(_, _, Moment::Variance) => 1.0,
                        Owner::Weight(..)
                        | Owner::Mapped(..)
                        | Owner::Bias(..)
                        | Owner::Feedback(..)
                        | Owner::Delay(_)
                        | Owner::Neuron(..) => number(100 * i + k),
                    };
                }
            }
        })
        .expect("prologues run");
    simulator
}

/// Graded events, so that no two samples are alike; `f32` holds their numbers.
fn input(samples: usize) -> Array3<f64> {
    Array3::from_shape_fn((STEPS, samples, INPUTS), |(t, b, channel)| {
        let value = number(7919 + (b * STEPS + t) * INPUTS + channel);
        if value > -0.5 { value } else { 0.0 }
    })
}

fn trains(samples: usize) -> Trains {
    Trains::of(&input(samples), true)
}

fn trace(simulator: &Simulator<f64>) -> (TraceName, usize) {
    let layer = simulator.network().layers.len() - 1;
    let name = TraceName {
        layer,
        role: Role::State,
        name: "v".into(),
    };
    (name, simulator.network().layers[layer].size())
}

/// dL/dv of the last layer; the loss is their scalar product with v.
fn cotangents(samples: usize, n: usize) -> Array3<f64> {
    let shape = (STEPS, samples, n);
    Array3::from_shape_fn(shape, |(t, b, i)| number(31 + (t * samples + b) * n + i))
}

/// The loss of a training step, and the outcome.
fn step<'a>(
    simulator: &'a Simulator<f64>,
    trains: &Trains,
    views: &'a BTreeMap<TraceName, ArrayView3<'a, f64>>,
) -> (f64, Outcome<f64, Recorder<'a, f64>>) {
    let (name, _) = trace(simulator);
    let make = |range| Recorder::new(simulator, range, STEPS, views);
    let outcome = simulator
        .differentiate(&trains.batch(), 1, make)
        .expect("runs");
    let mut first = 0;
    let mut loss = 0.0;
    for probe in &outcome.probes {
        for ((t, b, i), v) in probe.recorded[&name].indexed_iter() {
            loss += v * views[&name][[t, first + b, i]];
        }
        first += probe.recorded[&name].shape()[1];
    }
    (loss, outcome)
}

/// Every parameter against central differences with this step, up to this tolerance.
fn compare(mut simulator: Simulator<f64>, samples: usize, h: f64, tolerance: f64) {
    let trains = trains(samples);
    let (name, n) = trace(&simulator);
    let seeds = cotangents(samples, n);
    let views = BTreeMap::from([(name, seeds.view())]);
    let gradients = step(&simulator, &trains, &views).1.gradients;
    let mut largest: f64 = 0.0;
    for (p, gradient) in gradients.iter().enumerate() {
        for (k, &found) in gradient.iter().enumerate() {
            let mut at = |change: f64| {
                let moved = simulator.update_parameters(|q| q.values[p][k] += change);
                moved.expect("prologues run");
                let loss = step(&simulator, &trains, &views).0;
                let back = simulator.update_parameters(|q| q.values[p][k] -= change);
                back.expect("prologues run");
                loss
            };
            let slope = (at(h) - at(-h)) / (2.0 * h);
            let name = &simulator.parameters().specs[p].name;
            let near = (slope - found).abs() <= tolerance * (1.0 + slope.abs());
            assert!(near, "{name}[{k}]: {found}, by differences {slope}");
            largest = largest.max(found.abs());
        }
    }
    assert!(largest > 0.1, "there is a gradient: {largest}");
}

#[test]
fn gradients_of_normalisations_are_differences_of_the_loss() {
    compare(simulator(&chain()), 19, 1e-5, 1e-6);
}

/// Two connections that share a normalisation: each has means of its own, and both move the running averages, one after
/// the other.
#[test]
fn shared_normalisations_have_means_of_their_own() {
    let operations = || {
        let dense = Operation::dense(INPUTS, 6, Initial::Constant(0.0));
        vec![dense, norm(3, 6)]
    };
    let first = connection(Source::Input(0), 0, operations(), 0);
    let second = Connection {
        name: "again".into(),
        tied: Some(0),
        ..connection(Source::Input(0), 0, operations(), 2)
    };
    let both = network(&[6], vec![first.clone(), second.clone()]);
    compare(simulator(&both), 19, 1e-5, 1e-6);
    let trains = trains(19);
    let moved = |network: &Network, before: Option<&[(usize, Vec<f64>)]>| {
        let mut simulator = simulator(network);
        for (index, values) in before.into_iter().flatten() {
            let set = simulator.update_parameters(|p| p.values[*index].clone_from(values));
            set.expect("prologues run");
        }
        let (name, n) = trace(&simulator);
        let seeds = cotangents(19, n);
        let views = BTreeMap::from([(name, seeds.view())]);
        step(&simulator, &trains, &views).1.running
    };
    let found = moved(&both, None);
    assert_eq!(found.len(), 4);
    let once = moved(&network(&[6], vec![first]), None);
    assert_eq!(found[..2], once);
    let alone = Connection {
        name: "c0".into(),
        tied: None,
        ..second
    };
    let twice = moved(&network(&[6], vec![alone]), Some(&once));
    assert_eq!(found[2..], twice);
}

/// A convolution, with and without a normalisation, then delays that are learned. What goes from layer to layer is
/// in single precision, so differences are coarse.
#[test]
fn gradients_through_convolutions_and_learned_delays_are_differences_of_the_loss() {
    let window = Window {
        axes: 1,
        channels: [1, 2],
        input: [1, INPUTS],
        output: [1, INPUTS - 2],
        kernel: [1, 3],
        stride: [1, 1],
        pad: [0, 0],
        dilation: [1, 1],
        groups: 1,
    };
    let hidden = 2 * (INPUTS - 2);
    let convolution = Operation {
        synapses: Synapses::Convolution(window),
        bias: Some(Initial::Constant(0.0)),
        ..Operation::dense(INPUTS, hidden, Initial::Constant(0.0))
    };
    for normalised in [false, true] {
        let mut first = vec![convolution.clone()];
        first.extend(normalised.then(|| norm(2, hidden)));
        let dense = Operation::dense(hidden, 4, Initial::Constant(0.0));
        let second = Connection {
            delays: Some(Delays {
                initial: Initial::Constant(1.5),
                shortest: 0,
                longest: 3,
                learned: true,
            }),
            ..connection(Source::Layer(0), 1, vec![dense], 0)
        };
        let connections = vec![connection(Source::Input(0), 0, first, 0), second];
        let mut simulator = simulator(&network(&[hidden, 4], connections));
        let delays = simulator.update_parameters(|p| {
            for (spec, values) in p.specs.iter().zip(&mut p.values) {
                if let Owner::Delay(_) = spec.owner {
                    values.iter_mut().for_each(|v| *v += 1.5);
                }
            }
        });
        delays.expect("prologues run");
        compare(simulator, 9, 1e-3, 2e-3);
    }
}

/// The order of sums changes, and nothing else.
#[test]
fn groups_of_any_size_agree_but_for_rounding() {
    let network = chain();
    let trains = trains(37);
    let run = |group: usize| {
        let mut simulator = simulator(&network);
        simulator.set_time(TimePlan {
            group,
            ..TimePlan::default()
        });
        let (name, n) = trace(&simulator);
        let seeds = cotangents(37, n);
        let views = BTreeMap::from([(name, seeds.view())]);
        let (_, outcome) = step(&simulator, &trains, &views);
        (outcome.gradients, outcome.running)
    };
    let (gradients, running) = run(16);
    assert_eq!(running.len(), 4);
    let near = |a: &[f64], b: &[f64]| {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-11 * (1.0 + a.abs()), "{a} {b}");
        }
    };
    for group in [1, 3, 8] {
        let (other, moved) = run(group);
        gradients.iter().zip(&other).for_each(|(a, b)| near(a, b));
        for ((index, a), (position, b)) in running.iter().zip(&moved) {
            assert_eq!(index, position);
            near(a, b);
        }
    }
}

/// A batch of its own statistics gives at evaluation what it gave in the training step that made them, up to the
/// divisor of the variance; other samples in the batch change nothing then.
#[test]
fn evaluation_uses_running_averages() {
    let dense = Operation::dense(INPUTS, 6, Initial::Constant(0.0));
    let only = connection(Source::Input(0), 0, vec![dense, norm(3, 6)], 0);
    let mut simulator = simulator(&network(&[6], vec![only]));
    let (name, n) = trace(&simulator);
    let evaluate = |simulator: &Simulator<f64>, samples: usize| {
        let nothing = BTreeMap::new();
        let make = |range| Recorder::new(simulator, range, STEPS, &nothing);
        let trains = trains(samples);
        let outcome = simulator.infer(&trains.batch(), 1, make).expect("runs");
        assert!(outcome.running.is_empty());
        outcome.probes[0].recorded[&name].clone()
    };
    let position = |owner: Owner| {
        let specs = &simulator.parameters().specs;
        specs.iter().position(|s| s.owner == owner).expect("known")
    };
    let weight = position(Owner::Weight(0, 0));
    let [gain, bias] = [Owner::Weight(0, 1), Owner::Bias(0, 1)].map(position);
    let [mean, variance] =
        [Moment::Mean, Moment::Variance].map(|m| position(Owner::Running(0, 1, m)));
    simulator
        .update_parameters(|p| {
            p.values[mean] = vec![0.5, -0.25, 0.0];
            p.values[variance] = vec![4.0, 0.25, 1.0];
        })
        .expect("prologues run");
    let found = evaluate(&simulator, 3);
    // By hand.
    let (input, trains) = (input(3), trains(3));
    let p = simulator.parameters().clone();
    let arrives = |t: usize, b: usize, i: usize| {
        let weighted = |c: usize| input[[t, b, c]] * p.values[weight][c * n + i];
        (0..INPUTS).map(weighted).sum::<f64>()
    };
    for b in 0..3 {
        let mut v = vec![0.0; n];
        for t in 0..STEPS {
            for (i, v) in v.iter_mut().enumerate() {
                let x = arrives(t, b, i);
                let c = i / 2;
                let root = (p.values[variance][c] + 1e-2).sqrt();
                let y = p.values[gain][c] * (x - p.values[mean][c]) / root + p.values[bias][c];
                *v = 0.75 * *v + y;
                let found = found[[t, b, i]];
                assert!((*v - found).abs() < 1e-12, "{t} {b} {i}: {v} {found}");
            }
        }
    }
    let alone = evaluate(&simulator, 1);
    assert_eq!(
        alone.index_axis(ndarray::Axis(1), 0),
        found.index_axis(ndarray::Axis(1), 0)
    );
    // One training step moves them a quarter of the way.
    let seeds = cotangents(3, n);
    let views = BTreeMap::from([(name.clone(), seeds.view())]);
    let running = step(&simulator, &trains, &views).1.running;
    let sums = |c: usize| {
        let mut all = Vec::new();
        for b in 0..3 {
            for t in 0..STEPS {
                all.extend((2 * c..2 * c + 2).map(|i| arrives(t, b, i)));
            }
        }
        let count = all.len() as f64;
        let mean = all.iter().sum::<f64>() / count;
        let squares: f64 = all.iter().map(|x| (x - mean).powi(2)).sum();
        [mean, squares / (count - 1.0)]
    };
    for (k, index) in [mean, variance].into_iter().enumerate() {
        let (_, moved) = running
            .iter()
            .find(|(i, _)| *i == index)
            .expect("it is moved");
        for (c, value) in moved.iter().enumerate() {
            let expected = 0.75 * p.values[index][c] + 0.25 * sums(c)[k];
            assert!((value - expected).abs() < 1e-12, "{c} {value} {expected}");
        }
    }
}

/// All groups wait for each other, with a whole tape, and the plan says so.
#[test]
fn the_memory_of_all_groups_is_planned() {
    let plan = |network: &Network| {
        let load = Load {
            steps: 1000,
            batch: 64,
            threads: 1,
            fixed: 0,
            gradient: rheobase_ir::program::Bptt {
                tape: rheobase_ir::tape::Numbers::Whole,
                truncate: None,
                checkpoint: rheobase_ir::program::Checkpoint::Steps(10),
            },
            limit: None,
        };
        simulator(network).plan_memory(&load).expect("no limit")
    };
    let dense = || Operation::dense(INPUTS, 6, Initial::Constant(0.0));
    let with = |operations| network(&[6], vec![connection(Source::Input(0), 0, operations, 0)]);
    let (plain, normalised) = (
        plan(&with(vec![dense()])),
        plan(&with(vec![dense(), norm(6, 6)])),
    );
    assert_eq!((plain.groups, normalised.groups), (1, 4));
    assert!(plain.group.again > 0);
    assert_eq!(normalised.group.again, 0);
    // What goes in and its adjoint: 2 · 6 numbers of 8 bytes for each of 1000 steps and 16 samples.
    assert!(normalised.group.tape >= 2 * 6 * 8 * 1000 * 16);
}

#[test]
fn cycles_and_truncated_gradients_are_refused() {
    let dense = |n: usize| Operation::dense(n, 6, Initial::Constant(0.0));
    let cycle = network(
        &[6],
        vec![
            connection(Source::Input(0), 0, vec![dense(INPUTS)], 0),
            connection(Source::Layer(0), 0, vec![dense(6), norm(6, 6)], 1),
        ],
    );
    let refused = Simulator::<f64>::new(&cycle, Backend::Interpreter, Gradients::All);
    let Err(RuntimeError::Input(message)) = refused.map(|_| ()) else {
        panic!("it is refused");
    };
    assert!(message.contains("inside of a cycle"), "{message}");
    let mut simulator = simulator(&chain());
    simulator.set_time(TimePlan {
        truncate: Some(2),
        ..TimePlan::default()
    });
    let trains = trains(2);
    let found = simulator.differentiate(&trains.batch(), 1, |_| Silent);
    let Err(RuntimeError::Input(message)) = found.map(|_| ()) else {
        panic!("it is refused");
    };
    assert!(message.contains("cut in time"), "{message}");
}
