//! Noise and drawn initial states in a running network: the same bits for any threads, grouping of samples, precision of
//! the executor and way through time, other numbers for every sample, neuron, step and layer, and gradients that agree
//! with finite differences for the same noise.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array3, ArrayView3, Axis, s};
use rheobase_ir::cases::neuron;
use rheobase_ir::draws::sample_key;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Layer, Network};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Batch, Float, Gradients, Parameters, Simulator, TimePlan};

/// A noisy current into a membrane (their increments are drawn together), and a state that is drawn at the beginning.
const NEURON: &str = "
; param tau_syn = 4.0
; param tau_mem = 9.0
; param sigma = 0.5
; param mean = 0.25
; param width = 0.75
kernel Noisy.init {
  v0 = in real uniform param mean
  v1 = in real uniform param width
  v2 = in real key a
  v3 = in real key b
  v4 = in real uniform key step
  v5 = normal.0 v2, v3, v4
  v6 = mul v1, v5
  v7 = add v0, v6
  v8 = const 0.5
  out uniform init i = v8
  out init v = v7
}
kernel Noisy.step {
  v0 = in real key a
  v1 = in real key b
  v2 = in real uniform key step
  v3 = in real state i
  v4 = in real state v
  v5 = in real uniform param tau_syn
  v6 = in real uniform param tau_mem
  v7 = in real uniform param sigma
  v8 = const 0.5
  v9 = white.0 v0, v1, v2, v8
  v10 = mul v7, v9
  v11 = div v3, v5
  v12 = sub v10, v11
  v13 = integrate.auto v3, v12, v8
  v14 = sub v3, v4
  v15 = div v14, v6
  v16 = integrate.auto v4, v15, v8
  out state i = v13
  out state v = v16
}";

const STEPS: usize = 140;
const N: usize = 3;

fn network() -> Network {
    let layer = |name: &str| Layer {
        name: name.into(),
        shape: vec![N],
        neuron: neuron(NEURON).expect("a neuron"),
    };
    Network {
        name: "Net".into(),
        step_ms: 0.5,
        inputs: Vec::new(),
        layers: vec![layer("first"), layer("second")],
        connections: Vec::new(),
        order: vec![0, 1],
    }
}

fn simulator<R: Float>(backend: Backend, change: impl Fn(&str) -> f64) -> Simulator<R> {
    let mut simulator = Simulator::<R>::new(&network(), backend, Gradients::All).expect("compiles");
    let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
    let neuron = neuron(NEURON).expect("a neuron");
    for (spec, values) in parameters.specs.iter().zip(&mut parameters.values) {
        let name = spec.name.split('.').next_back().expect("a name");
        let parameter = neuron
            .params
            .iter()
            .find(|p| p.name == name)
            .expect("a parameter");
        let rheobase_ir::program::Initial::Constant(value) = parameter.initial else {
            panic!("a number")
        };
        values.fill(R::from_f64(value + change(&spec.name)));
    }
    simulator.set_parameters(parameters).expect("prologues run");
    simulator
}

/// The states of both layers, `[steps, samples, n]`, by layer and name, and the gradients of the parameters for
/// cotangents that are 1 everywhere.
fn run<R: Float>(
    simulator: &Simulator<R>,
    keys: &[u64],
    threads: usize,
) -> (BTreeMap<String, Array3<f64>>, BTreeMap<String, f64>) {
    let batch = Batch {
        steps: STEPS,
        samples: keys.len(),
        inputs: Vec::new(),
        injections: Vec::new(),
        initial: Vec::new(),
        keys: keys.to_vec(),
    };
    let ones = Array3::from_elem((STEPS, keys.len(), N), R::ONE);
    let name = |layer: usize, state: &str| TraceName {
        layer,
        role: Role::State,
        name: state.into(),
    };
    let views: BTreeMap<TraceName, ArrayView3<'_, R>> =
        [(name(0, "v"), ones.view()), (name(1, "v"), ones.view())].into();
    let make = |range: Range<usize>| Recorder::new(simulator, range, STEPS, &views);
    let outcome = simulator
        .differentiate(&batch, threads, make)
        .expect("runs");
    let mut traces: BTreeMap<String, Array3<f64>> = BTreeMap::new();
    for probe in &outcome.probes {
        for (trace, part) in &probe.recorded {
            let part = part.mapv(|x| x.to_f64());
            let whole = traces
                .entry(format!("{}.{}", trace.layer, trace.name))
                .or_insert_with(|| Array3::zeros((STEPS, 0, N)));
            whole.append(Axis(1), part.view()).expect("same shape");
        }
    }
    let specs = simulator.parameters().specs.iter();
    let gradients = specs
        .zip(&outcome.gradients)
        .map(|(spec, g)| (spec.name.clone(), g[0].to_f64()));
    (traces, gradients.collect())
}

fn keys(samples: Range<u64>) -> Vec<u64> {
    samples.map(|sample| sample_key(5, 0, sample)).collect()
}

#[test]
fn a_sample_has_its_noise_whatever_runs_beside_it() {
    let simulator = simulator::<f32>(Backend::Jit, |_| 0.0);
    let all = run(&simulator, &keys(0..37), 1);
    for threads in [2, 3, 8] {
        assert_eq!(
            run(&simulator, &keys(0..37), threads),
            all,
            "{threads} threads"
        );
    }
    let some = run(&simulator, &keys(11..20), 1);
    for (name, trace) in &some.0 {
        assert_eq!(*trace, all.0[name].slice(s![.., 11..20, ..]), "{name}");
    }
}

#[test]
fn every_sample_neuron_step_and_layer_has_its_own() {
    let simulator = simulator::<f64>(Backend::Interpreter, |_| 0.0);
    let (traces, _) = run(&simulator, &keys(0..4), 1);
    let mut numbers: Vec<f64> = traces.values().flatten().copied().collect();
    let count = numbers.len();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    assert_eq!(numbers.len(), count);
    let (again, _) = run(&simulator, &keys(0..4), 1);
    assert_eq!(traces, again);
    let other: Vec<u64> = (0..4).map(|sample| sample_key(5, 1, sample)).collect();
    assert_ne!(run(&simulator, &other, 1).0, traces, "another epoch");
}

#[test]
fn the_same_bits_however_time_is_cut() {
    let mut simulator = simulator::<f32>(Backend::Jit, |_| 0.0);
    let whole = run(&simulator, &keys(0..20), 2);
    simulator.set_time(TimePlan {
        tape: Some(1),
        group: 3,
        ..TimePlan::default()
    });
    let cut = run(&simulator, &keys(0..20), 2);
    assert_eq!(whole.0, cut.0);
    for (name, gradient) in &whole.1 {
        let error = (gradient - cut.1[name]).abs();
        assert!(error <= 1e-5 * gradient.abs().max(1.0), "{name}: {error}");
    }
}

#[test]
fn all_executors_draw_the_same() {
    let keys = keys(0..9);
    let exact = run(&simulator::<f64>(Backend::Interpreter, |_| 0.0), &keys, 1);
    let double = run(&simulator::<f64>(Backend::Jit, |_| 0.0), &keys, 1);
    let single = run(&simulator::<f32>(Backend::Jit, |_| 0.0), &keys, 1);
    for (name, trace) in &exact.0 {
        for (other, tolerance) in [(&double.0, 1e-12), (&single.0, 1e-5)] {
            let largest = (trace - &other[name])
                .iter()
                .fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(largest < tolerance, "{name}: {largest}");
        }
    }
    for (name, gradient) in &exact.1 {
        for (other, tolerance) in [(&double.1, 1e-12), (&single.1, 1e-4)] {
            let error = (gradient - other[name]).abs();
            assert!(
                error <= tolerance * gradient.abs().max(1.0),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn gradients_for_given_noise_are_those_of_finite_differences() {
    let keys = keys(0..6);
    let (_, gradients) = run(&simulator::<f64>(Backend::Interpreter, |_| 0.0), &keys, 1);
    assert_eq!(gradients.len(), 10);
    for (name, gradient) in gradients {
        let loss = |by: f64| {
            let change = |changed: &str| if changed == name { by } else { 0.0 };
            let (traces, _) = run(&simulator::<f64>(Backend::Interpreter, change), &keys, 1);
            traces["0.v"].sum() + traces["1.v"].sum()
        };
        let h = 1e-4;
        let difference =
            (8.0 * (loss(h) - loss(-h)) - (loss(2.0 * h) - loss(-2.0 * h))) / (12.0 * h);
        assert!(
            (gradient - difference).abs() <= 1e-8 * difference.abs().max(1.0),
            "{name}: {gradient}, difference {difference}"
        );
        assert!(
            difference.abs() > 1e-3,
            "{name} has an effect: {difference}"
        );
    }
}
