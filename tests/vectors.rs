//! Neurons of Norse, snnTorch and SpikingJelly, written in the language, against numbers that those libraries
//! made: spikes, states, and gradients of inputs and parameters. See `vectors/README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use rheobase::commands::{Executor, GradArgs, PrecisionArg, RunArgs, WhatArgs, grad};
use rheobase::console::Console;
use rheobase_data::npz;

type Arrays = BTreeMap<String, ArrayD<f64>>;

const CONSOLE: Console = Console {
    color: false,
    bars: false,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// A reference case: the file of the program and of the numbers, the neuron, and the state that `v` means.
struct Case {
    program: &'static str,
    numbers: &'static str,
    neuron: &'static str,
    state: &'static str,
    /// One unit of a parameter of the reference in base units: its gradient is divided by it.
    parameter_unit: fn(&str) -> f64,
}

const CASES: [Case; 4] = [
    Case {
        program: "norse_lif_ff_default.snn",
        numbers: "norse_lif_ff_default.npz",
        neuron: "NorseLif",
        state: "v",
        parameter_unit: |_| 1.0,
    },
    // The same as differential equations: rates in 1/s, of which one is 0.001 per ms.
    Case {
        program: "norse_lif_ff_default_ode.snn",
        numbers: "norse_lif_ff_default.npz",
        neuron: "NorseLif",
        state: "v",
        parameter_unit: |name| if name.ends_with("_inv") { 1e-3 } else { 1.0 },
    },
    Case {
        program: "snntorch_leaky_subtract.snn",
        numbers: "snntorch_leaky_subtract.npz",
        neuron: "Leaky",
        state: "mem",
        parameter_unit: |_| 1.0,
    },
    Case {
        program: "sj_lif_di_hard.snn",
        numbers: "sj_lif_di_hard.npz",
        neuron: "SjLif",
        state: "v",
        parameter_unit: |_| 1.0,
    },
];

/// Simulates and differentiates a case, through the files that a user would use.
fn simulate(
    case: &Case,
    reference: &Arrays,
    executor: Executor,
    precision: PrecisionArg,
) -> Arrays {
    let scratch = tempfile::tempdir().expect("a folder for the files");
    let path = |name: &str| scratch.path().join(name);
    let batch = |name: &str| reference[name].clone().insert_axis(Axis(1));
    let input = BTreeMap::from([("x".to_string(), batch("x"))]);
    let cotangents = BTreeMap::from([
        ("spikes".to_string(), batch("c")),
        (case.state.to_string(), batch("d")),
    ]);
    npz::write(&path("in.npz"), &input, npz::Precision::F64).expect("written");
    npz::write(&path("ct.npz"), &cotangents, npz::Precision::F64).expect("written");
    let run = RunArgs {
        file: folder().join(case.program),
        what: WhatArgs {
            neuron: Some(case.neuron.to_string()),
            network: None,
        },
        input: path("in.npz"),
        step: None,
        set: Vec::new(),
        weights: None,
        executor,
        precision,
        seed: Some(0),
        out: path("out.npz"),
        json: false,
    };
    grad(
        &GradArgs {
            run,
            cotangents: path("ct.npz"),
        },
        &CONSOLE,
    )
    .unwrap_or_else(|e| panic!("{}: {e:?}", case.program));
    npz::read(&path("out.npz")).expect("the result is readable")
}

fn close(what: &str, found: &ArrayD<f64>, expected: &ArrayD<f64>, unit: f64, tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected
        .iter()
        .fold(0.0f64, |m, x| m.max(x.abs()))
        .max(1e-6);
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f * unit - e).abs() <= tolerance * scale,
            "{what}, element {i}: {} is not {e}",
            f * unit
        );
    }
}

fn check(executor: Executor, precision: PrecisionArg, tolerance: f64) {
    for case in &CASES {
        let reference = npz::read(&folder().join(case.numbers)).expect("the reference is readable");
        let found = simulate(case, &reference, executor, precision);
        let what = |name: &str| format!("{} {name}", case.program);
        close(&what("spikes"), &found["spikes"], &reference["z"], 1.0, 0.0);
        close(
            &what(case.state),
            &found[case.state],
            &reference["v"],
            1.0,
            tolerance,
        );
        if let (Some(current), Some(found)) = (reference.get("i"), found.get("i")) {
            close(&what("i"), found, current, 1.0, tolerance);
        }
        close(
            &what("grad.x"),
            &found["grad.x"],
            &reference["g_x"],
            1.0,
            tolerance,
        );
        for (name, expected) in reference
            .iter()
            .filter_map(|(n, a)| Some((n.strip_prefix("g_p_")?, a)))
        {
            let found = &found[&format!("grad.{name}")];
            close(
                &what(name),
                found,
                expected,
                (case.parameter_unit)(name),
                tolerance,
            );
        }
    }
}

#[test]
fn the_interpreter_in_f64_equals_the_libraries() {
    check(Executor::Interp, PrecisionArg::F64, 1e-9);
}

#[test]
fn machine_code_in_f32_equals_the_libraries() {
    check(Executor::Jit, PrecisionArg::F32, 1e-4);
}

#[test]
fn machine_code_in_f64_equals_the_libraries() {
    check(Executor::Jit, PrecisionArg::F64, 1e-9);
}
