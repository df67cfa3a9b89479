//! Weights that go through a function: the network runs as one whose weights are the mapped ones, to the bit, and
//! the gradient of a raw weight is that of the mapped one times the derivative of the function. All kinds of
//! connections, chains, shared weights, delays of synapses; a function with a memory; finite differences.

#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayD, ArrayView3, Dimension, IxDyn};
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{
    Connection, Delays, Density, Initial, Network, Neuron, Operation, Source, Synapses, WeightMap,
    Window,
};
use rheobase_ir::text::parse;
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Float, Gradients, Parameters, Simulator};
use shared::{Trains, layer, plain_lif, values};

const STEPS: usize = 7;
const SAMPLES: usize = 5;
/// Two channels of 5 × 5.
const INPUTS: usize = 50;
/// Four channels of 3 × 3.
const SIZE: usize = 36;

/// An integrator without spikes.
const SILENT: &str = "
kernel LI.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel LI.step {
  v0 = const 0.875
  v1 = in real state v
  v2 = in real port x
  v3 = mul v0, v1
  v4 = add v3, v2
  out state v = v4
}";

/// w/(1 + |w|), with the derivative 1/(1 + |w|)².
const SMOOTH: &str = "kernel smooth {
  v0 = in real param raw
  v1 = const 1.0
  v2 = abs v0
  v3 = add v1, v2
  v4 = div v0, v3
  out derived mapped = v4
}";

/// −1, 0 or 1 with steps at ±0.5; within 0.1 of them what it was before. Straight through.
const TERNARY: &str = "kernel ternary {
  v0 = in real param raw
  v1 = in real param before
  v2 = abs v0
  v3 = const 0.4
  v4 = le v2, v3
  v5 = const 0.6
  v6 = le v5, v2
  v7 = sign v0
  v8 = const 0.0
  v9 = select v6, v7, v1
  v10 = select v4, v8, v9
  v11 = detach v10
  v12 = detach v0
  v13 = sub v0, v12
  v14 = add v11, v13
  out derived mapped = v14
}";

fn map(text: &str) -> Option<WeightMap> {
    Some(WeightMap {
        function: parse(text).expect("a kernel"),
    })
}

fn operation(synapses: Synapses, inputs: usize, outputs: usize, text: &str) -> Operation {
    Operation {
        synapses,
        map: map(text),
        ..Operation::dense(inputs, outputs, Initial::Constant(0.0))
    }
}

fn connection(c: usize, from: Source, to: usize, operations: Vec<Operation>) -> Connection {
    let delay = u32::from(from == Source::Layer(to));
    shared::connection(&format!("c{c}"), from, to, delay, operations)
}

/// in → a → a and a → b, with these operations.
fn network(neuron: &Neuron, [first, again, second]: [Vec<Operation>; 3]) -> Network {
    let layers = ["a", "b"].map(|name| layer(name, SIZE, neuron));
    let connections = vec![
        connection(0, Source::Input(0), 0, first),
        connection(1, Source::Layer(0), 0, again),
        connection(2, Source::Layer(0), 1, second),
    ];
    shared::network(INPUTS, layers.into(), connections)
}

/// The same network with weights that are used as they are.
fn without_maps(network: &Network) -> Network {
    let mut plain = network.clone();
    for connection in &mut plain.connections {
        for operation in &mut connection.operations {
            operation.map = None;
        }
    }
    plain
}

type Results = BTreeMap<String, ArrayD<f64>>;

/// Parameters by name: those that are given, and numbers that follow from the name for the others.
fn parameters<R: Float>(simulator: &Simulator<R>, given: &Results) -> Parameters<R> {
    let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
    for index in 0..parameters.specs.len() {
        let spec = parameters.specs[index].clone();
        let seed = spec.name.bytes().map(usize::from).sum();
        let numbers = match given.get(&spec.name) {
            Some(array) => array.clone(),
            None if spec.name.ends_with(".mapped") => continue,
            None if spec.name.ends_with(".delay") => {
                ArrayD::from_shape_fn(IxDyn(&spec.shape), |at| {
                    1.0 + (at.slice().iter().sum::<usize>() % 3) as f64 / 1.5
                })
            }
            None => {
                let mut numbers = values(seed, spec.len());
                if let [factor] = &mut numbers[..] {
                    // One that no map makes zero.
                    *factor = 0.75;
                }
                let shape = spec.shape.clone();
                ArrayD::from_shape_vec(shape, numbers).expect("fits")
            }
        };
        parameters.import(index, &numbers).expect("shape fits");
    }
    parameters
}

fn simulator<R: Float>(network: &Network, backend: Backend, given: &Results) -> Simulator<R> {
    let mut simulator =
        Simulator::<R>::new(network, backend, Gradients::Trained).expect("compiles");
    let parameters = parameters(&simulator, given);
    simulator.set_parameters(parameters).expect("prologues run");
    simulator
}

/// Traces and gradients.
fn run<R: Float>(simulator: &Simulator<R>, threads: usize) -> Results {
    let network = simulator.network();
    let inputs = network.inputs[0].shape[0];
    let trains = Trains::above(0.6, 60, (STEPS, SAMPLES, inputs));
    let batch = trains.batch();
    let cotangents: Vec<(TraceName, Array3<R>)> = (0..network.layers.len())
        .map(|layer| {
            let numbers = values(90 + layer, STEPS * SAMPLES * SIZE);
            let numbers: Vec<R> = numbers.into_iter().map(R::from_f64).collect();
            let name = TraceName {
                layer,
                role: Role::State,
                name: "v".into(),
            };
            let array = Array3::from_shape_vec((STEPS, SAMPLES, SIZE), numbers);
            (name, array.expect("fits"))
        })
        .collect();
    let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
        .iter()
        .map(|(n, a)| (n.clone(), a.view()))
        .collect();
    let recorder = |samples| Recorder::new(simulator, samples, STEPS, &views);
    let outcome = simulator
        .differentiate(&batch, threads, recorder)
        .expect("runs");
    let mut results = Results::new();
    for (g, probe) in outcome.probes.iter().enumerate() {
        for (trace, array) in &probe.recorded {
            let name = format!("{g} {} {}", trace.layer, trace.name);
            results.insert(name, array.mapv(|x| x.to_f64()).into_dyn());
        }
    }
    let mut gradients = Parameters::zeros(simulator.parameters().specs.clone());
    for (i, gradient) in outcome.gradients.iter().enumerate() {
        if !gradient.is_empty() {
            gradients.values[i].clone_from(gradient);
            let name = format!("grad {}", gradients.specs[i].name);
            results.insert(name, gradients.export(i));
        }
    }
    results
}

fn dense(self_connections: bool, inputs: usize, text: &str) -> Operation {
    operation(Synapses::Dense { self_connections }, inputs, SIZE, text)
}

/// The operations of every kind, each with a map.
fn kinds(text: &str) -> Vec<[Vec<Operation>; 3]> {
    let sparse = Synapses::Sparse {
        density: Density::Probability(0.3),
        self_connections: true,
        seed: 3,
    };
    let window = |channels: [usize; 2], input: usize, pad: usize| Window {
        axes: 2,
        channels,
        input: [input; 2],
        output: [3; 2],
        kernel: [3; 2],
        stride: [1; 2],
        pad: [pad; 2],
        dilation: [1; 2],
        groups: 2,
    };
    let convolution = |w: Window, inputs| operation(Synapses::Convolution(w), inputs, SIZE, text);
    vec![
        [
            vec![dense(true, INPUTS, text)],
            vec![dense(false, SIZE, text)],
            vec![dense(true, SIZE, text)],
        ],
        [
            vec![operation(sparse.clone(), INPUTS, SIZE, text)],
            vec![operation(Synapses::OneToOne, SIZE, SIZE, text)],
            vec![operation(sparse, SIZE, SIZE, text)],
        ],
        [
            vec![convolution(window([2, 4], 5, 0), INPUTS)],
            vec![convolution(window([4, 4], 3, 1), SIZE)],
            vec![
                dense(true, SIZE, text),
                operation(Synapses::Scale, SIZE, SIZE, text),
            ],
        ],
    ]
}

/// The weights that a simulator runs with, under the names of those of a network without maps.
fn weights_in_use<R: Float>(simulator: &Simulator<R>) -> Results {
    let parameters = simulator.parameters();
    let specs = parameters.specs.iter().enumerate();
    let mapped = specs.filter_map(|(i, spec)| {
        let prefix = spec.name.strip_suffix(".mapped")?;
        Some((format!("{prefix}.weight"), parameters.export(i)))
    });
    mapped.collect()
}

/// Runs the network and the one that has its mapped weights; `slope` is the derivative of the map.
fn compare<R: Float>(network: &Network, backend: Backend, slope: fn(f64) -> f64) {
    let mapped = simulator::<R>(network, backend, &Results::new());
    let used = weights_in_use(&mapped);
    let plain = simulator::<R>(&without_maps(network), backend, &used);
    let (mut found, expected) = (run(&mapped, 1), run(&plain, 1));
    let mut compared = 0;
    for (name, expected) in &expected {
        let mut expected = expected.clone();
        let weight = name.strip_prefix("grad ").filter(|n| used.contains_key(*n));
        if let Some(weight) = weight {
            let index = mapped.parameters().position(weight).expect("is there");
            let raw = mapped.parameters().export(index);
            let slopes = raw.mapv(slope);
            expected.zip_mut_with(&slopes, |g, s| *g = R::from_f64(*g * s).to_f64());
            assert!(expected.iter().any(|g| *g != 0.0), "{weight}");
            compared += 1;
        }
        let found = found.remove(name).expect("both have it");
        let close = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-6 * y.abs();
        match weight {
            Some(_) => assert!(found.iter().zip(&expected).all(close), "{name}"),
            None => assert_eq!(found, expected, "{name}"),
        }
    }
    assert!(found.is_empty(), "{:?}", found.keys());
    assert_eq!(compared, used.len());
    let again = run(&mapped, 3);
    let whole = run(&mapped, 1);
    assert_eq!(again, whole, "threads");
    let spikes = whole.iter().filter(|(name, _)| name.ends_with(" s"));
    assert!(spikes.map(|(_, s)| s.sum()).sum::<f64>() > 20.0);
}

fn smooth_slope(w: f64) -> f64 {
    1.0 / (1.0 + w.abs()).powi(2)
}

#[test]
fn a_network_runs_as_one_with_the_mapped_weights() {
    for operations in kinds(SMOOTH) {
        let network = network(&plain_lif(), operations);
        compare::<f64>(&network, Backend::Interpreter, smooth_slope);
        compare::<f64>(&network, Backend::Jit, smooth_slope);
        compare::<f32>(&network, Backend::Jit, smooth_slope);
    }
    for operations in kinds(TERNARY) {
        let network = network(&plain_lif(), operations);
        compare::<f64>(&network, Backend::Interpreter, |_| 1.0);
        compare::<f32>(&network, Backend::Jit, |_| 1.0);
    }
}

#[test]
fn shared_weights_have_one_map() {
    let again = || vec![dense(false, SIZE, SMOOTH)];
    let mut shared = network(
        &plain_lif(),
        [vec![dense(true, INPUTS, SMOOTH)], again(), again()],
    );
    shared.connections[2].tied = Some(1);
    let names = |network: &Network| {
        let specs = rheobase_runtime::specs(network).into_iter();
        specs.map(|s| s.name).collect::<Vec<_>>()
    };
    let expected = ["c0.weight", "c1.weight", "c0.mapped", "c1.mapped"];
    assert_eq!(names(&shared), expected);
    compare::<f64>(&shared, Backend::Interpreter, smooth_slope);
}

#[test]
fn delays_of_synapses_carry_mapped_weights() {
    for learned in [false, true] {
        let [first, _, second] = kinds(SMOOTH).swap_remove(0);
        let again = vec![dense(true, SIZE, SMOOTH)];
        let mut network = network(&plain_lif(), [first, again, second]);
        network.connections[1].delays = Some(Delays {
            initial: Initial::Constant(1.0),
            shortest: 1,
            longest: 4,
            learned,
        });
        compare::<f64>(&network, Backend::Interpreter, smooth_slope);
    }
}

#[test]
fn mapped_weights_are_the_function_of_the_raw_ones() {
    let [first, again, second] = kinds(SMOOTH).swap_remove(0);
    let network = network(&plain_lif(), [first, again, second]);
    let simulator = simulator::<f64>(&network, Backend::Jit, &Results::new());
    let parameters = simulator.parameters();
    let array = |name: &str| parameters.export(parameters.position(name).expect("is there"));
    for c in 0..3 {
        let (raw, mapped) = (
            array(&format!("c{c}.weight")),
            array(&format!("c{c}.mapped")),
        );
        for ((at, &w), &m) in raw.indexed_iter().zip(&mapped) {
            let itself = c == 1 && at[0] == at[1];
            let expected = if itself { 0.0 } else { w / (1.0 + w.abs()) };
            assert!((m - expected).abs() < 1e-14, "{c} {at:?}");
        }
    }
}

/// A weight that comes back over the edge of a step stays where it was until it has passed the band.
#[test]
fn a_memory_is_kept_between_updates_and_by_a_copy() {
    let operations = [(); 3].map(|()| vec![dense(true, SIZE, TERNARY)]);
    let mut network = network(&plain_lif(), operations);
    network.inputs[0].shape = vec![SIZE];
    let mut simulator =
        Simulator::<f64>::new(&network, Backend::Jit, Gradients::Trained).expect("compiles");
    let path = [
        (0.45, 0.0),
        (0.55, 0.0),
        (0.6, 1.0),
        (0.45, 1.0),
        (0.4, 0.0),
        (0.5, 0.0),
        (-0.55, 0.0),
        (-0.7, -1.0),
        (-0.5, -1.0),
        (0.0, 0.0),
        (0.9, 1.0),
        (0.5, 1.0),
    ];
    let mapped = simulator
        .parameters()
        .position("c1.mapped")
        .expect("is there");
    let raw = simulator
        .parameters()
        .position("c1.weight")
        .expect("is there");
    for (w, expected) in path {
        let change = |p: &mut Parameters<f64>| p.values[raw].fill(w);
        simulator.update_parameters(change).expect("prologues run");
        let found = &simulator.parameters().values[mapped];
        assert!(found.iter().all(|m| *m == expected), "{w}");
    }
    let kept = simulator.parameters().clone();
    let mut other =
        Simulator::<f64>::new(&network, Backend::Jit, Gradients::Trained).expect("compiles");
    other.set_parameters(kept.clone()).expect("prologues run");
    assert_eq!(*other.parameters(), kept);
}

/// Without spikes the loss is smooth in the raw weights.
#[test]
fn gradients_are_those_of_finite_differences() {
    for operations in kinds(SMOOTH).into_iter().flatten() {
        let silent = neuron(SILENT).expect("a neuron");
        let mut network = network(&silent, [operations, Vec::new(), Vec::new()]);
        network.connections.truncate(1);
        network.layers.truncate(1);
        network.order.truncate(1);
        let simulator_at = |given: &Results| {
            let mut network = network.clone();
            network.inputs[0].shape = vec![network.connections[0].operations[0].inputs];
            simulator::<f64>(&network, Backend::Interpreter, given)
        };
        let simulator = simulator_at(&Results::new());
        let gradients = run(&simulator, 1);
        for (index, spec) in simulator.parameters().specs.iter().enumerate() {
            if !spec.trained {
                continue;
            }
            let raw = simulator.parameters().export(index);
            let gradient = &gradients[&format!("grad {}", spec.name)];
            for place in [0, raw.len() / 3, raw.len() - 1] {
                let moved = |by: f64| {
                    let mut array = raw.clone();
                    *array.iter_mut().nth(place).expect("inside") += by;
                    let given = Results::from([(spec.name.clone(), array)]);
                    loss(&run(&simulator_at(&given), 1))
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let found = *gradient.iter().nth(place).expect("inside");
                let close = (found - slope).abs() < 1e-6 * (1.0 + slope.abs());
                assert!(close, "{}: {found} {slope}", spec.name);
            }
        }
    }
}

/// What the cotangents of [`run`] are the derivative of, for one layer.
fn loss(traces: &Results) -> f64 {
    let weights = values(90, STEPS * SAMPLES * SIZE);
    let weights = Array3::from_shape_vec((STEPS, SAMPLES, SIZE), weights).expect("fits");
    let (mut loss, mut first) = (0.0, 0);
    for g in 0.. {
        let Some(v) = traces.get(&format!("{g} 0 v")) else {
            break;
        };
        for (at, v) in v.indexed_iter() {
            loss += v * weights[[at[0], first + at[1], at[2]]];
        }
        first += v.shape()[1];
    }
    assert_eq!(first, SAMPLES);
    loss
}
