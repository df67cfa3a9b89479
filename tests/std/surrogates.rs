//! The derivative of every surrogate of `std/surrogates.snn`, with its defaults, against its formula; and far
//! from the threshold, where it must stay a number.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fmt::Write;

use ndarray::{Array2, Axis};
use rheobase::commands::{Executor, GradArgs, PrecisionArg, RunArgs, WhatArgs, grad};
use rheobase_data::npz;
use rheobase_lang::check::check;
use rheobase_lang::load::{NoFiles, load};

use crate::simulate::CONSOLE;

type Formula = fn(f64) -> f64;

fn super_spike(k: f64, u: f64) -> f64 {
    1.0 / (1.0 + k * u.abs()).powi(2)
}

/// k e^(−ku)/(1 + e^(−ku))².
fn logistic(k: f64, u: f64) -> f64 {
    let s = 1.0 / (1.0 + (-k * u).exp());
    k * s * (1.0 - s)
}

fn normal(u: f64, sigma: f64) -> f64 {
    (-0.5 * (u / sigma).powi(2)).exp() / (sigma * (2.0 * PI).sqrt())
}

fn atan2(u: f64) -> f64 {
    1.0 / (1.0 + (PI * u).powi(2))
}

fn triangle(height: f64, u: f64) -> f64 {
    height * (1.0 - u.abs()).max(0.0)
}

fn inside(u: f64, width: f64) -> f64 {
    f64::from(u.abs() < width)
}

const FORMULAS: &[(&str, Formula)] = &[
    ("superspike", |u| super_spike(10.0, u)),
    ("fast_sigmoid", |u| super_spike(25.0, u)),
    ("sigmoid", |u| logistic(4.0, u)),
    ("arctan", atan2),
    ("triangle", |u| triangle(0.3, u)),
    ("esser_triangle", |u| triangle(1.0, u)),
    ("bellec_triangle", |u| triangle(0.3, u)),
    ("boxcar", |u| inside(u, 0.5)),
    ("gaussian", |u| normal(u, 0.5)),
    ("exponential", |u| (-5.0 * u.abs()).exp()),
    ("straight_through", |_| 1.0),
    ("norse_super", |u| super_spike(1.0, u)),
    ("norse_triangle", |u| triangle(0.3, u)),
    ("norse_tanh", |u| 1.0 - (100.0 * u).tanh().powi(2)),
    ("norse_circ", |u| 1e6 / (u * u + 1e4).powf(1.5)),
    ("norse_heavi_erfc", |u| {
        2.0 / PI.sqrt() * (-(100.0 * u).powi(2)).exp()
    }),
    ("snntorch_straight_through_estimator", |_| 1.0),
    ("snntorch_fast_sigmoid", |u| super_spike(25.0, u)),
    ("snntorch_atan", atan2),
    ("snntorch_heaviside", |u| f64::from(u > 0.0)),
    ("snntorch_sigmoid", |u| logistic(25.0, u)),
    ("snntorch_spike_rate_escape", |u| {
        25.0 * (-(u - 1.0).abs()).exp()
    }),
    ("snntorch_lso", |u| if u > 0.0 { 1.0 } else { 0.1 }),
    ("snntorch_sfs", |u| {
        f64::from(u > 1.0) * super_spike(25.0, u)
    }),
    ("spikingjelly_piecewise_quadratic", |u| triangle(1.0, u)),
    ("spikingjelly_piecewise_exp", |u| 0.5 * (-u.abs()).exp()),
    ("spikingjelly_sigmoid", |u| logistic(4.0, u)),
    ("spikingjelly_soft_sign", |u| {
        1.0 / (4.0 * (0.5 + u.abs()).powi(2))
    }),
    ("spikingjelly_super_spike", |u| super_spike(1.0, u)),
    ("spikingjelly_atan", atan2),
    ("spikingjelly_nonzero_sign_log_abs", |u| {
        1.0 / (1.0 + u.abs())
    }),
    ("spikingjelly_erf", |u| {
        2.0 / PI.sqrt() * (-(2.0 * u).powi(2)).exp()
    }),
    ("spikingjelly_piecewise_leaky_relu", |u| {
        if u.abs() < 1.0 { 0.5 } else { 0.01 }
    }),
    ("spikingjelly_s2nn", |u| {
        if u < 0.0 {
            logistic(4.0, u)
        } else {
            1.0 / (u + 1.0)
        }
    }),
    ("spikingjelly_q_pseudo_spike", |u| {
        (1.0 + 2.0 * u.abs()).powi(-2)
    }),
    ("spikingjelly_leaky_k_relu", |u| f64::from(u >= 0.0)),
    ("spikingjelly_fake_numerical_gradient", |u| {
        (u.signum() / u).min(0.3)
    }),
    ("spikingjelly_log_tailed_relu", |u| match u {
        u if u <= 0.0 => 0.0,
        u if u <= 1.0 => 1.0,
        u => 1.0 / u,
    }),
    ("spikingjelly_rect", |u| inside(u, 0.5)),
    ("spikingjelly_deterministic_pass", |_| 1.0),
    ("spyx_superspike", |u| super_spike(25.0, u)),
    ("spyx_tanh", |u| 4.0 / (u.exp() + (-u).exp()).powi(2)),
    ("spyx_boxcar", |u| 0.5 * inside(u, 1.0)),
    ("spyx_triangular", |u| (1.0 - (2.0 * u).abs()).max(0.0)),
    ("spyx_arctan", |u| {
        1.0 / (PI * (1.0 + (2.0 * PI * u).powi(2)))
    }),
    ("sinabs_heaviside", |u| f64::from(u >= -1.0)),
    ("sinabs_gaussian", |u| normal(u, 0.5)),
    ("sinabs_single_exponential", |u| {
        2.0 * (-2.0 * u.abs()).exp()
    }),
    ("rockpool_step_pwl", |u| f64::from(u >= -0.5)),
    ("mlgenn_eprop", |u| triangle(0.3, u)),
    ("stork_superspike", |u| super_spike(20.0, u)),
    ("stork_superspike_mem_clamp", |u| {
        super_spike(20.0, (-u).max(0.0))
    }),
    ("stork_superspike_rescaled", |u| {
        441.0 * super_spike(20.0, u)
    }),
    ("stork_superspike_asymptote", |u| {
        100.0 * super_spike(100.0, u)
    }),
    ("stork_tanh_spike", |u| 2.0 - (100.0 * u).tanh().powi(2)),
    ("stork_sigmoid_spike", |u| logistic(100.0, u) / 100.0),
    ("stork_esser_spike", |u| triangle(1.0, u)),
    ("stork_hard_tanh_spike", |u| {
        1.0 + (100.0 * u).clamp(-1.0, 1.0)
    }),
    ("spytorch_superspike", |u| super_spike(100.0, u)),
    ("snntorch_triangular", |u| if u < 0.0 { 1.0 } else { -1.0 }),
    ("sinabs_multi_gaussian", |u| {
        let sides = normal(u - 0.5, 3.0) + normal(u + 0.5, 3.0);
        1.15 * normal(u, 0.5) - 0.15 * sides
    }),
    ("spikingjelly_squarewave_fourier", |u| {
        0.5 * (PI * u / 4.0).cos()
    }),
    ("sparch_boxcar", |u| f64::from(u > -0.5 && u <= 0.5)),
    // v = u + 1 for a threshold of 1; as the libraries have it.
    ("sinabs_periodic_exponential", |u| {
        let v = u + 1.0;
        let periodic = 2.0 * (v - 0.5 - (v - 0.5).floor()) - 1.0;
        let shifted = if v < 1.0 { v - 1.0 } else { periodic };
        (-shifted.abs() / 0.5).exp()
    }),
    ("rockpool_periodic_exponential", |u| {
        let shifted = u + 0.5;
        let periodic = shifted - shifted.floor();
        let moved = if u < 0.0 { shifted } else { periodic };
        (-(moved - 0.5).abs() / 0.5).exp()
    }),
    ("stork_multi_spike", |u| {
        super_spike(100.0, u - u.round_ties_even().max(0.0))
    }),
];

/// Margins near and far; none where a formula jumps.
fn margins() -> Vec<f64> {
    let near = (-60..=60).map(|i| f64::from(i) * 0.0411 + 0.003);
    near.chain([-1e6, -300.0, 300.0, 1e6]).collect()
}

#[test]
fn every_surrogate_has_a_formula_here() {
    let loaded = load("main.snn", "import \"std/surrogates.snn\"", &NoFiles);
    let program = check(&loaded.files);
    let names: Vec<&str> = program
        .model
        .surrogates
        .iter()
        .map(|s| s.name.text.as_str())
        .collect();
    let tested: Vec<&str> = FORMULAS.iter().map(|f| f.0).collect();
    assert_eq!(names, tested);
    for surrogate in &program.model.surrogates {
        assert!(
            surrogate.primitive.is_some(),
            "{} has no primitive",
            surrogate.name.text
        );
    }
}

/// Derivatives of all surrogates at these margins, by name.
fn derivatives(margins: &[f64], precision: PrecisionArg) -> Vec<(&'static str, Vec<f64>)> {
    let scratch = tempfile::tempdir().expect("a folder for the files");
    let path = |name: &str| scratch.path().join(name);
    let mut text = "import \"std/surrogates.snn\"\n".to_string();
    for (name, _) in FORMULAS {
        writeln!(
            text,
            "neuron N_{name} {{ input x  state v = 0  next v = x  spike when v >= 0 surrogate {name}()  refractory 1 step }}"
        )
        .expect("written to a string");
    }
    std::fs::write(path("main.snn"), text).expect("written");
    let x = Array2::from_shape_vec((1, margins.len()), margins.to_vec()).expect("one row");
    let batch = |a: &Array2<f64>| a.clone().insert_axis(Axis(1)).into_dyn();
    let input = BTreeMap::from([("x".to_string(), batch(&x))]);
    let ones = BTreeMap::from([("spikes".to_string(), batch(&x.mapv(|_| 1.0)))]);
    npz::write(&path("in.npz"), &input, npz::Precision::F64).expect("written");
    npz::write(&path("ct.npz"), &ones, npz::Precision::F64).expect("written");
    let of = |name: &str| {
        let run = RunArgs {
            file: path("main.snn"),
            what: WhatArgs {
                neuron: Some(format!("N_{name}")),
                network: None,
            },
            input: path("in.npz"),
            step: None,
            set: Vec::new(),
            weights: None,
            executor: Executor::Interp,
            precision,
            seed: Some(0),
            out: path("out.npz"),
            json: false,
        };
        let cotangents = path("ct.npz");
        grad(&GradArgs { run, cotangents }, &CONSOLE).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let found = npz::read(&path("out.npz")).expect("readable");
        found["grad.x"].iter().copied().collect()
    };
    FORMULAS.iter().map(|(name, _)| (*name, of(name))).collect()
}

#[test]
fn derivatives_equal_the_formulas() {
    let margins = margins();
    let found = derivatives(&margins, PrecisionArg::F64);
    for ((name, formula), (_, found)) in FORMULAS.iter().zip(found) {
        for (found, &u) in found.iter().zip(&margins) {
            // Far out some formulas are 0/0 or overflow when computed as they stand.
            let expected = formula(u);
            let close = (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3);
            let unusable = u.abs() > 100.0 && !expected.is_finite();
            assert!(
                found.is_finite() && (close || unusable),
                "{name} at {u}: {found} is not {expected}"
            );
        }
    }
}

#[test]
fn derivatives_are_numbers_everywhere() {
    let margins = [-1e30, -1e20, -1e9, -1.0, 0.0, 1.0, 1e9, 1e20, 1e30];
    for precision in [PrecisionArg::F64, PrecisionArg::F32] {
        for (name, found) in derivatives(&margins, precision) {
            for (found, u) in found.iter().zip(margins) {
                assert!(found.is_finite(), "{name} at {u}: {found}");
            }
        }
    }
}
