//! A small recurrent network with delays, against the same network written out by hand: traces, and the
//! gradients of weights, biases, inputs, initial states and neuron parameters.

#[path = "network/by_hand.rs"]
mod by_hand;
#[path = "network/fixture.rs"]
mod fixture;
#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView3, Axis};
use rheobase_ir::kernel::Role;
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Batch, Events, Float, Gradients, Parameters, Simulator};

use fixture::{Case, close};
use shared::Trains;

/// Runs the case on the runtime and returns the outputs of the recorder, batch by batch, and the gradients.
fn run<R: Float>(
    case: &Case,
    backend: Backend,
    threads: usize,
) -> (BTreeMap<String, Array3<f64>>, BTreeMap<String, Vec<f64>>) {
    let network = fixture::network();
    let mut simulator = Simulator::<R>::new(&network, backend, Gradients::All).expect("compiles");
    let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
    for (name, array) in case.parameters() {
        let index = parameters
            .position(&name)
            .unwrap_or_else(|| panic!("no parameter {name}"));
        parameters.import(index, &array).expect("shape fits");
    }
    simulator.set_parameters(parameters).expect("prologues run");
    let trains = Trains::of(&case.input, true);
    let batch = trains.batch();
    let narrow = |a: &Array3<f64>| a.mapv(R::from_f64);
    let cotangents: Vec<(TraceName, Array3<R>)> = [
        (
            TraceName {
                layer: 0,
                role: Role::Spike,
                name: "s".into(),
            },
            narrow(&case.spike_cotangent),
        ),
        (
            TraceName {
                layer: 1,
                role: Role::State,
                name: "v".into(),
            },
            narrow(&case.out_cotangent),
        ),
    ]
    .into();
    let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
        .iter()
        .map(|(n, a)| (n.clone(), a.view()))
        .collect();
    let make = |range| Recorder::new(&simulator, range, case.steps, &views);
    let outcome = simulator
        .differentiate(&batch, threads, make)
        .expect("runs");
    let mut traces: BTreeMap<String, Array3<f64>> = BTreeMap::new();
    let mut join = |name: String, part: &Array3<R>| {
        let wide = part.mapv(|x| x.to_f64());
        match traces.entry(name) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(wide)),
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry
                    .get_mut()
                    .append(Axis(1), wide.view())
                    .expect("same shape");
            }
        }
    };
    for probe in &outcome.probes {
        probe
            .recorded
            .iter()
            .for_each(|(n, a)| join(format!("{}.{}", n.layer, n.name), a));
        join("input gradient".into(), &probe.input_gradients[0]);
        probe
            .initial_gradients
            .iter()
            .for_each(|((l, n), a)| join(format!("initial {l}.{n}"), a));
    }
    let specs = &simulator.parameters().specs;
    let mut exported = Parameters {
        specs: specs.clone(),
        values: outcome.gradients,
    };
    exported
        .values
        .iter_mut()
        .zip(specs)
        .filter(|(v, _)| v.is_empty())
        .for_each(|(v, s)| *v = vec![R::ZERO; s.len()]);
    let gradients = (0..specs.len()).map(|i| {
        (
            specs[i].name.clone(),
            exported.export(i).iter().copied().collect(),
        )
    });
    (traces, gradients.collect())
}

#[test]
fn interpreter_in_f64_equals_the_network_by_hand() {
    let case = Case::new(21, 30, 7);
    let expected = by_hand::run(&case);
    let (traces, gradients) = run::<f64>(&case, Backend::Interpreter, 1);
    assert!(expected.traces["0.s"].sum() > 50.0, "the case has to spike");
    for (name, array) in &expected.traces {
        close(
            name,
            array.iter().copied(),
            traces[name].iter().copied(),
            1e-11,
        );
    }
    for (name, array) in &expected.gradients {
        close(
            name,
            array.iter().copied(),
            gradients[name].iter().copied(),
            1e-10,
        );
    }
}

#[test]
fn machine_code_agrees_with_the_interpreter() {
    let case = Case::new(5, 25, 3);
    let (traces, gradients) = run::<f64>(&case, Backend::Interpreter, 1);
    let (jit, jit_gradients) = run::<f64>(&case, Backend::Jit, 1);
    for (name, array) in &traces {
        close(
            name,
            array.iter().copied(),
            jit[name].iter().copied(),
            1e-11,
        );
    }
    let (single, single_gradients) = run::<f32>(&case, Backend::Jit, 1);
    assert_eq!(traces["0.s"], single["0.s"], "spikes are exactly equal");
    for (name, array) in &gradients {
        close(
            name,
            array.iter().copied(),
            jit_gradients[name].iter().copied(),
            1e-11,
        );
        close(
            name,
            array.iter().copied(),
            single_gradients[name].iter().copied(),
            1e-4,
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let case = Case::new(150, 20, 9);
    let one = run::<f32>(&case, Backend::Jit, 1);
    for threads in [2, 3, 8] {
        let other = run::<f32>(&case, Backend::Jit, threads);
        assert_eq!(one.0, other.0, "{threads} threads");
        assert_eq!(one.1, other.1, "{threads} threads");
    }
}

#[test]
fn a_number_that_is_not_finite_is_located() {
    let case = Case::new(20, 12, 1);
    let network = fixture::network();
    let mut simulator =
        Simulator::<f32>::new(&network, Backend::Jit, Gradients::Trained).expect("compiles");
    let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
    for (name, array) in case.parameters() {
        let index = parameters.position(&name).expect("parameter");
        parameters.import(index, &array).expect("shape fits");
    }
    simulator.set_parameters(parameters).expect("prologues run");
    // A value that no f32 holds, in sample 17 at step 4, reaches every neuron of the hidden layer.
    let mut input = case.input.clone();
    input.index_axis_mut(Axis(1), 17).fill(0.0);
    input[[4, 17, 2]] = f64::INFINITY;
    let trains = Trains::of(&input, true);
    let batch = trains.batch();
    let place = simulator
        .locate_non_finite(&batch)
        .expect("runs")
        .expect("found");
    assert_eq!(
        (place.layer.as_str(), place.step, place.sample),
        ("hid", 4, 17),
        "{place}"
    );
    assert!(place.op.is_some(), "{place}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = fixture::network();
    let simulator = Simulator::<f32>::new(&network, Backend::Interpreter, Gradients::Trained)
        .expect("compiles");
    let events = Events {
        offsets: &[0, 1],
        indices: &[99],
        values: None,
    };
    let batch = Batch {
        steps: 1,
        samples: 1,
        inputs: vec![vec![events]],
        injections: vec![],
        initial: vec![],
        keys: vec![],
    };
    let error = simulator
        .infer(&batch, 1, |_| rheobase_runtime::Silent)
        .err()
        .expect("refused");
    assert!(error.to_string().contains("channel 99"), "{error}");
}
