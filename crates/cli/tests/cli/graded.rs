//! Neurons that send several spikes in a step, and spikes that carry numbers: what arrives at the next layer, and the
//! gradients of weights and of what the number is computed from, against the same by hand.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, Ix2, Ix3};

use crate::place::{Place, constant, ramp};

const STEPS: usize = 14;

/// `sender` is a neuron `Sender` with a parameter `gain`; the second layer adds up what arrives, with a decay.
fn network(sender: &str) -> String {
    format!(
        "import \"std/surrogates.snn\"
{sender}
neuron Sum {{
  input x
  state v = 0
  next v = 0.75 * v + x
}}
network Net {{
  step 1 ms
  input inp[4]
  layer hid : Sender[5]
  layer out : Sum[3]
  connect inp -> hid.x : dense(w = normal(0.6, 0.5))
  connect hid -> out.x : dense(w = normal(0, 1)) delay 1 step
}}
"
    )
}

/// Several spikes; the number is subtracted.
const COUNTING: &str = "neuron Sender {
  param gain = 2
  input x
  state v = 0
  next v = 0.9 * v + x
  spike s count floor(gain * v) surrogate superspike(beta = 2)
  on spike attached { v -= s / gain }
}";

/// A spike that carries a number.
const CARRYING: &str = "neuron Sender {
  param gain = 2
  input x
  state v = 0
  next v = 0.9 * v + x
  spike when v >= 1 surrogate superspike(beta = 2) payload gain * v - 0.5
  on spike detached { v = 0 }
}";

/// Runs `grad` for given changes of inputs.
fn grad(place: &Place, more: &[(&str, ArrayD<f64>)]) -> BTreeMap<String, ArrayD<f64>> {
    let events = ramp(STEPS, 2, 4).mapv(|v| if v > 0.9 { 1.0 } else { 0.0 });
    let mut inputs = vec![("inp", events)];
    inputs.extend(more.iter().cloned());
    place.npz("in.npz", &inputs);
    place.npz("ct.npz", &[("out.v", ramp(STEPS, 2, 3))]);
    place.ok(&[
        "grad",
        "a.snn",
        "--network",
        "Net",
        "--input",
        "in.npz",
        "--cotangents",
        "ct.npz",
        "--precision",
        "f64",
        "--out",
        "out.npz",
    ]);
    place.read("out.npz")
}

/// What arrives, and the gradient of the weights, by hand.
fn check_connection(place: &Place) -> BTreeMap<String, ArrayD<f64>> {
    let weights = ramp(1, 3, 5).index_axis_move(Axis(0), 0);
    let out = grad(place, &[("param.hid.out.x.weight", weights.clone())]);
    let sent = out["hid.spikes"]
        .clone()
        .into_dimensionality::<Ix3>()
        .expect("three axes");
    let weights = weights.into_dimensionality::<Ix2>().expect("two axes");
    let (v, ct) = (&out["out.v"], ramp(STEPS, 2, 3));
    for b in 0..2 {
        let mut state = [0.0; 3];
        for t in 0..STEPS {
            for (j, state) in state.iter_mut().enumerate() {
                let arrived: f64 = (0..5)
                    .map(|i| {
                        if t == 0 {
                            0.0
                        } else {
                            weights[[j, i]] * sent[[t - 1, b, i]]
                        }
                    })
                    .sum();
                *state = 0.75 * *state + arrived;
                assert!((v[[t, b, j]] - *state).abs() < 1e-6, "{t} {b} {j}");
            }
        }
    }
    for j in 0..3 {
        for i in 0..5 {
            let mut sum = 0.0;
            for b in 0..2 {
                let mut delta = 0.0;
                for t in (1..STEPS).rev() {
                    delta = ct[[t, b, j]] + 0.75 * delta;
                    sum += delta * sent[[t - 1, b, i]];
                }
            }
            let found = out["grad.hid.out.x.weight"][[j, i]];
            assert!(
                (found - sum).abs() < 1e-5 * sum.abs().max(1.0),
                "{j} {i}: {found} {sum}"
            );
        }
    }
    out
}

#[test]
fn several_spikes_in_a_step() {
    let place = Place::new();
    place.file("a.snn", &network(COUNTING));
    let out = check_connection(&place);
    let sent = &out["hid.spikes"];
    assert!(sent.iter().all(|n| n.fract() == 0.0 && *n >= 0.0), "{sent}");
    assert!(sent.iter().any(|n| *n >= 2.0), "{sent}");
    // The gradient passes through the number.
    assert!(out["grad.inp"].iter().any(|g| *g != 0.0));
    place.ok(&["gradcheck", "a.snn", "--neuron", "Sender"]);
}

#[test]
fn spikes_that_carry_numbers() {
    let place = Place::new();
    place.file("a.snn", &network(CARRYING));
    let out = check_connection(&place);
    let sent = &out["hid.spikes"];
    assert!(sent.iter().any(|n| *n != 0.0 && n.fract() != 0.0), "{sent}");
    // When neurons spike does not depend on the gain: finite differences of the program itself.
    let weights = ramp(1, 3, 5).index_axis_move(Axis(0), 0);
    let loss = |gain: f64| {
        let gain = ("param.hid.gain", constant(&[], gain));
        let out = grad(&place, &[("param.hid.out.x.weight", weights.clone()), gain]);
        (&out["out.v"] * &ramp(STEPS, 2, 3)).sum()
    };
    let h = 0.25;
    let slope = (loss(2.0 + h) - loss(2.0 - h)) / (2.0 * h);
    let found = out["grad.hid.gain"].sum();
    assert!(
        (found - slope).abs() < 1e-5 * slope.abs().max(1.0),
        "{found} {slope}"
    );
    place.ok(&["gradcheck", "a.snn", "--neuron", "Sender"]);
}
