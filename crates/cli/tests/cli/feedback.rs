//! Gradients that go back through fixed numbers in place of the weights: `feedback` of a dense connection, from the
//! text to the gradients of the command.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use crate::place::{Place, constant, ramp};

const STEPS: usize = 14;

/// The readout is linear, so what goes back to it does not depend on what arrives there.
fn network(out: &str) -> String {
    format!(
        "import \"std/neurons.snn\"
network Net {{
  step 1 ms
  input inp[4]
  layer hid : LIF[5]
  layer out : LI[3]
  connect inp -> hid.x : dense(w = normal(0.6, 0.5))
  connect hid -> out.x : dense({out})
}}
"
    )
}

/// The gradients with weights to the readout that are all `weight`.
fn gradients(place: &Place, out: &str, weight: f64) -> BTreeMap<String, ArrayD<f64>> {
    place.file("a.snn", &network(out));
    let events = ramp(STEPS, 2, 4).mapv(|v| if v > 0.7 { 1.0 } else { 0.0 });
    let weights = constant(&[3, 5], weight);
    place.npz(
        "in.npz",
        &[
            ("inp", events),
            ("param.inp.hid.x.weight", constant(&[5, 4], 40.0)),
            ("param.hid.out.x.weight", weights),
        ],
    );
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

/// Feedback of 0.25 gives the hidden layer the gradient of a network whose weights are 0.25, and the weights of the
/// readout their own; feedback of 0 gives the hidden layer none.
#[test]
fn feedback_takes_the_place_of_weights_in_the_backward_only() {
    let place = Place::new();
    let plain = gradients(&place, "w = normal(0, 1)", 0.75);
    let other = gradients(&place, "w = normal(0, 1)", 0.25);
    let fed = gradients(&place, "w = normal(0, 1), feedback = 0.25", 0.75);
    let cut = gradients(&place, "w = normal(0, 1), feedback = 0", 0.75);
    let (hidden, readout) = ("grad.inp.hid.x.weight", "grad.hid.out.x.weight");
    let close = |a: &ArrayD<f64>, b: &ArrayD<f64>| {
        let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        assert!(largest > 0.0, "there is a gradient");
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-9 * largest, "{a} {b}");
        }
    };
    assert_eq!(plain["out.v"], fed["out.v"]);
    assert_ne!(plain["out.v"], other["out.v"]);
    close(&other[hidden], &fed[hidden]);
    close(&plain[readout], &fed[readout]);
    close(&plain[readout], &cut[readout]);
    assert!(plain[hidden].iter().any(|&g| g != 0.0));
    assert!(cut[hidden].iter().all(|&g| g == 0.0));
}

/// Feedback is explained, and set from the command line as weights are.
#[test]
fn feedback_is_explained_and_set() {
    let place = Place::new();
    place.file(
        "a.snn",
        &network("w = normal(0, 1), feedback = normal(0, 0.5)"),
    );
    let told = place.ok(&["check", "a.snn", "--explain"]).out;
    let line = told.lines().find(|l| l.contains("hid.out.x.feedback"));
    let line = line.expect("the feedback is listed");
    for words in [
        "[3, 5]",
        "normal(0, 0.5)",
        "takes the place of the weights in the backward",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    let hidden = "grad.inp.hid.x.weight";
    let drawn = gradients(&place, "w = normal(0, 1), feedback = normal(0, 0.5)", 0.75);
    let written = gradients(&place, "w = normal(0, 1), feedback = 0.25", 0.75);
    assert_ne!(drawn[hidden], written[hidden]);
    place.file(
        "a.snn",
        &network("w = normal(0, 1), feedback = normal(0, 0.5)"),
    );
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
        "--set",
        "hid.out.x.feedback=0.25",
        "--out",
        "set.npz",
    ]);
    assert_eq!(place.read("set.npz")[hidden], written[hidden]);
}
