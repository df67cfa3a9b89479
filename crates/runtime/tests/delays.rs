//! Delays of single synapses against the same network with a dense connection for every delay, whose weights are
//! those of the synapses times the share that the delay gives to it. Traces, gradients of weights, delays, biases
//! and inputs; drawn delays and learned ones, all three kinds of connections, from inputs, between layers and in
//! a cycle, in several blocks of time; on one thread and on three.

#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayD, ArrayView3, Axis};
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{
    Connection, Delays, Density, Initial, Network, Operation, Source, Synapses,
};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Float, Gradients, Layout, Parameters, Simulator, TimePlan};
use shared::{Trains, layer, plain_lif, values};

const INPUTS: usize = 6;
const SIZE: usize = 5;
const STEPS: usize = 23;
const SAMPLES: usize = 5;

type Results = BTreeMap<String, ArrayD<f64>>;

/// With `states` connections start at the states of layers.
fn network(learned: bool, states: bool) -> Network {
    let neuron = plain_lif();
    let connection = |c: usize, from: Source, to: usize, synapses: Synapses, range: [u32; 2]| {
        let inputs = match from {
            Source::Input(_) => INPUTS,
            Source::Layer(_) | Source::State(..) => SIZE,
        };
        let from = match from {
            Source::Layer(l) if states => Source::State(l, 0),
            Source::Input(_) | Source::Layer(_) | Source::State(..) => from,
        };
        let operation = Operation {
            synapses,
            bias: (c == 0).then_some(Initial::Constant(0.0)),
            ..Operation::dense(inputs, SIZE, Initial::Constant(0.0))
        };
        Connection {
            delays: Some(Delays {
                initial: Initial::Constant(0.0),
                shortest: range[0],
                longest: range[1],
                learned,
            }),
            ..shared::connection(&format!("c{c}"), from, to, range[0], vec![operation])
        }
    };
    let dense = |self_connections| Synapses::Dense { self_connections };
    let sparse = Synapses::Sparse {
        density: Density::Probability(0.5),
        self_connections: true,
        seed: 3,
    };
    let connections = vec![
        connection(0, Source::Input(0), 0, dense(true), [0, 4]),
        connection(1, Source::Layer(0), 0, dense(false), [1, 3]),
        connection(2, Source::Layer(0), 1, sparse.clone(), [2, 7]),
        connection(3, Source::Layer(0), 1, Synapses::OneToOne, [0, 30]),
        connection(4, Source::Layer(1), 1, sparse, [1, 4]),
        connection(5, Source::Input(0), 1, dense(true), [3, 3]),
    ];
    let layers = ["a", "b"].map(|name| layer(name, SIZE, &neuron));
    shared::network(INPUTS, layers.into(), connections)
}

/// A dense connection without delays of synapses for every tap.
fn expanded(network: &Network) -> Network {
    let mut expanded = network.clone();
    expanded.connections.clear();
    for connection in &network.connections {
        let delays = connection.delays.as_ref().expect("all have them");
        for tap in 0..delays.taps() {
            let mut of_tap = connection.clone();
            of_tap.name = format!("{}.{tap}", connection.name);
            of_tap.delay = delays.shortest + tap as u32;
            of_tap.delays = None;
            of_tap.operations[0].synapses = Synapses::Dense {
                self_connections: true,
            };
            if tap > 0 {
                of_tap.operations[0].bias = None;
            }
            expanded.connections.push(of_tap);
        }
    }
    expanded
}

/// Target and source of each value of the parameter of a connection.
fn pairs(network: &Network, c: usize, layout: &Layout) -> Vec<[usize; 2]> {
    let operation = &network.connections[c].operations[0];
    match layout {
        Layout::Pairs(pairs) => {
            let pattern = &pairs.pattern;
            let rows = pattern.offsets.windows(2).enumerate();
            let of_row = |(i, ends): (usize, &[u32])| {
                let columns = &pattern.columns[ends[0] as usize..ends[1] as usize];
                let of_row: Vec<_> = columns.iter().map(|&j| [i, j as usize]).collect();
                of_row
            };
            rows.flat_map(of_row).collect()
        }
        Layout::Same => (0..operation.outputs).map(|i| [i, i]).collect(),
        Layout::Transposed | Layout::Kernel(_) => (0..operation.outputs)
            .flat_map(|i| (0..operation.inputs).map(move |j| [i, j]))
            .collect(),
    }
}

/// Weights and delays of each connection by name, in the outside order.
fn numbers(network: &Network, simulator: &Simulator<f64>) -> Results {
    let mut all = Results::new();
    for (c, connection) in network.connections.iter().enumerate() {
        let delays = connection.delays.as_ref().expect("all have them");
        let spec = |part: &str| {
            let name = format!("c{c}.{part}");
            let index = simulator.parameters().position(&name).expect("a parameter");
            &simulator.parameters().specs[index]
        };
        let weight = spec("weight");
        let places = pairs(network, c, &weight.layout);
        let diagonal = |k: usize| match connection.operations[0].synapses {
            Synapses::Dense { self_connections } => {
                !self_connections && places[k][0] == places[k][1]
            }
            Synapses::Sparse { .. }
            | Synapses::OneToOne
            | Synapses::Scale
            | Synapses::Convolution(_)
            | Synapses::Pool { .. }
            | Synapses::Dropout { .. }
            | Synapses::Normalisation { .. } => false,
        };
        let draws = values(20 + c, weight.len()).into_iter().enumerate();
        let weights = draws.map(|(k, x)| if diagonal(k) { 0.0 } else { x + 0.4 });
        let range = f64::from(delays.longest - delays.shortest);
        let draws = values(40 + c, weight.len()).into_iter();
        let draws = draws.map(|x| f64::from(delays.shortest) + range * (x + 1.0) / 2.0);
        let array = |v: Vec<f64>| ArrayD::from_shape_vec(weight.shape.clone(), v).expect("fits");
        all.insert(spec("delay").name.clone(), array(draws.collect()));
        all.insert(weight.name.clone(), array(weights.collect()));
    }
    let bias = ndarray::Array1::from(values(9, SIZE)).into_dyn();
    all.insert("c0.bias".into(), bias);
    all
}

fn simulator<R: Float>(network: &Network, given: &Results, backend: Backend) -> Simulator<R> {
    let mut simulator =
        Simulator::<R>::new(network, backend, Gradients::Trained).expect("compiles");
    let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
    for (name, array) in given {
        if let Some(index) = parameters.position(name) {
            parameters.import(index, array).expect("shape fits");
        }
    }
    simulator.set_parameters(parameters).expect("prologues run");
    // Cuts blocks, and gradients between them.
    simulator.set_time(TimePlan {
        truncate: Some(8),
        tape: Some(8),
        ..TimePlan::default()
    });
    simulator
}

/// Traces and gradients; without gradients what an evaluation gives.
fn run<R: Float>(simulator: &Simulator<R>, learn: bool, threads: usize) -> Results {
    let trains = Trains::above(0.4, 60, (STEPS, SAMPLES, INPUTS));
    let batch = trains.batch();
    let cotangents = [0, 1].map(|layer| {
        let name = TraceName {
            layer,
            role: Role::State,
            name: "v".into(),
        };
        let numbers = values(80 + layer, STEPS * SAMPLES * SIZE);
        let shape = (STEPS, SAMPLES, SIZE);
        let array = Array3::from_shape_vec(shape, numbers).expect("fits");
        (name, array.mapv(R::from_f64))
    });
    let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
        .iter()
        .map(|(n, a)| (n.clone(), a.view()))
        .collect();
    let make = |range| Recorder::new(simulator, range, STEPS, &views);
    let outcome = match learn {
        true => simulator.differentiate(&batch, threads, make),
        false => simulator.infer(&batch, threads, make),
    };
    let outcome = outcome.expect("runs");
    let mut results = Results::new();
    for (name, _) in &cotangents {
        let parts = outcome.probes.iter().map(|p| p.recorded[name].view());
        let parts: Vec<_> = parts.collect();
        let whole = ndarray::concatenate(Axis(1), &parts).expect("same shape");
        let whole = whole.mapv(|x| x.to_f64());
        results.insert(format!("v{}", name.layer), whole.into_dyn());
    }
    if learn {
        let parts = outcome.probes.iter().map(|p| p.input_gradients[0].view());
        let parts: Vec<_> = parts.collect();
        let whole = ndarray::concatenate(Axis(1), &parts).expect("same shape");
        let whole = whole.mapv(|x| x.to_f64());
        results.insert("input".into(), whole.into_dyn());
        let exported = Parameters {
            specs: simulator.parameters().specs.clone(),
            values: outcome.gradients.clone(),
        };
        for (i, spec) in exported.specs.iter().enumerate() {
            if !exported.values[i].is_empty() {
                results.insert(spec.name.clone(), exported.export(i));
            }
        }
    }
    results
}

fn close(name: &str, found: &ArrayD<f64>, expected: &ArrayD<f64>) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= 1e-9 * scale, "{name}: {x} and {y}");
    }
}

/// A network with its delays as they are in training (`learn`) or in evaluation, and the expanded one; connected by
/// spikes and by states.
fn compare(learned: bool, learn: bool, progress: f64) {
    for states in [false, true] {
        compare_network(&network(learned, states), (learned, learn), progress);
    }
}

fn compare_network(network: &Network, (learned, learn): (bool, bool), progress: f64) {
    let compiled = Simulator::<f64>::new(network, Backend::Interpreter, Gradients::Trained);
    let given = numbers(network, &compiled.expect("compiles"));
    let mut delayed = simulator::<f64>(network, &given, Backend::Interpreter);
    delayed.set_progress(progress);
    let spread = learned && learn;
    let shares = |c: usize, delay: f64| {
        let delays = network.connections[c]
            .delays
            .as_ref()
            .expect("all have them");
        let mut shares = vec![0.0; delays.taps()];
        match spread {
            true => delays.shares(delay, delays.width(progress), &mut shares),
            false => shares[delays.tap(delay)] = 1.0,
        }
        shares
    };
    let layout = |c: usize| {
        let index = delayed.parameters().position(&format!("c{c}.weight"));
        &delayed.parameters().specs[index.expect("a parameter")].layout
    };
    let mut tables = Results::from([("c0.0.bias".to_string(), given["c0.bias"].clone())]);
    for c in 0..network.connections.len() {
        let operation = &network.connections[c].operations[0];
        let weights = given[&format!("c{c}.weight")].iter();
        let synapses = weights.zip(&given[&format!("c{c}.delay")]);
        for (place, (w, &delay)) in pairs(network, c, layout(c)).into_iter().zip(synapses) {
            for (tap, share) in shares(c, delay).into_iter().enumerate() {
                let zeros =
                    || Array2::<f64>::zeros((operation.outputs, operation.inputs)).into_dyn();
                let table = tables
                    .entry(format!("c{c}.{tap}.weight"))
                    .or_insert_with(zeros);
                table[&place[..]] = w * share;
            }
        }
    }
    let found = run(&delayed, learn, 1);
    assert_eq!(found, run(&delayed, learn, 3));
    let written = simulator::<f64>(&expanded(network), &tables, Backend::Interpreter);
    let expected = run(&written, learn, 1);
    let spikes = found["v0"].iter().any(|v| *v < -0.1);
    assert!(
        spikes || found["v0"].iter().any(|v| *v > 0.3),
        "nothing happens"
    );
    for name in ["v0", "v1"] {
        close(name, &found[name], &expected[name]);
    }
    if !learn {
        return;
    }
    close("input", &found["input"], &expected["input"]);
    close("bias", &found["c0.bias"], &expected["c0.0.bias"]);
    for (c, connection) in network.connections.iter().enumerate() {
        let (weight, delay) = (format!("c{c}.weight"), format!("c{c}.delay"));
        let (mut dw, mut dp) = (given[&weight].clone(), given[&delay].clone());
        let no_diagonal = matches!(
            connection.operations[0].synapses,
            Synapses::Dense {
                self_connections: false
            }
        );
        let places = pairs(network, c, layout(c));
        for (k, (dw, dp)) in dw.iter_mut().zip(&mut dp).enumerate() {
            let gradient = |tap: usize| expected[&format!("c{c}.{tap}.weight")][&places[k][..]];
            let sum = |delay: f64| -> f64 {
                let shares = shares(c, delay).into_iter().enumerate();
                shares.map(|(tap, share)| share * gradient(tap)).sum()
            };
            let step = 1e-5;
            let w = *given[&weight].iter().nth(k).expect("a weight");
            *dw = match no_diagonal && places[k][0] == places[k][1] {
                true => 0.0,
                false => sum(*dp),
            };
            *dp = w * (sum(*dp + step) - sum(*dp - step)) / (2.0 * step);
        }
        close(&weight, &found[&weight], &dw);
        if learned {
            let scale = dp.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            for (x, y) in found[&delay].iter().zip(&dp) {
                assert!((x - y).abs() <= 1e-6 * scale, "{delay}: {x} and {y}");
            }
        } else {
            assert!(!found.contains_key(&delay));
        }
    }
}

#[test]
fn drawn_delays_are_those_of_the_network_written_out() {
    compare(false, false, 0.0);
    compare(false, true, 0.0);
}

#[test]
fn learned_delays_are_spread_for_gradients() {
    for progress in [0.0, 0.1, 1.0] {
        compare(true, true, progress);
    }
}

#[test]
fn learned_delays_are_rounded_for_evaluation() {
    compare(true, false, 0.1);
}

/// In single precision, with fixed and with learned delays, in training and at evaluation.
#[test]
fn machine_code_agrees_with_the_interpreter() {
    for (learned, learn) in [(false, true), (true, true), (true, false)] {
        let network = network(learned, false);
        let compiled = Simulator::<f64>::new(&network, Backend::Interpreter, Gradients::Trained);
        let given = numbers(&network, &compiled.expect("compiles"));
        let results = [Backend::Interpreter, Backend::Jit].map(|backend| {
            let mut simulator = simulator::<f32>(&network, &given, backend);
            simulator.set_progress(0.3);
            run(&simulator, learn, 1)
        });
        let [interpreted, compiled] = &results;
        assert_eq!(interpreted.len(), compiled.len());
        for (name, expected) in interpreted {
            let scale = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            for (x, y) in compiled[name].iter().zip(expected) {
                assert!((x - y).abs() <= 1e-4 * scale, "{name}: {x} and {y}");
            }
        }
    }
}
