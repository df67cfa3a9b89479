//! Parameters of layers in groups from the command line: of all copies, and of one.

use ndarray::ArrayD;

use crate::place::{Place, constant, ramp};

fn network(tau: &str) -> String {
    format!(
        "import \"std/neurons.snn\"
network Block(n) {{
  input x[n]
  layer h : LI[n] {{ tau_mem = {tau} in 1 ms .. 100 ms }}
  connect x -> h.x : one_to_one()
  output h
}}
network Cell(n) {{
  input x[n]
  layer h : LIF[n]
  connect x -> h.x : one_to_one()
  output h
}}
network Deep {{
  step 1 ms
  input inp[4]
  layer tower : Cell(n = 4) repeat 3
  layer out : Block(n = 4)
  connect inp -> tower.x
  connect tower.0.h -> out.x
}}
"
    )
}

/// The trace of a state.
fn trace(place: &Place, text: &str, name: &str, more: &[&str]) -> ArrayD<f64> {
    place.file("deep.snn", text);
    place.npz("in.npz", &[("inp", ramp(30, 1, 4).mapv(|x| 9.0 * x))]);
    let run = ["run", "deep.snn", "--network", "Deep", "--input", "in.npz"];
    place.ok(&[&run[..], &["--out", "out.npz"], more].concat());
    place.read("out.npz")[name].clone()
}

#[test]
fn a_parameter_of_one_copy_or_of_all() {
    let place = Place::new();
    let text = network("20 ms");
    let v = |more: &[&str]| trace(&place, &text, "tower.1.h.v", more);
    let plain = v(&[]);
    let all = v(&["--set", "tower.h.tau_mem=5ms"]);
    let first = v(&["--set", "tower.0.h.tau_mem=5ms"]);
    let second = v(&["--set", "tower.1.h.tau_mem=5ms"]);
    let last = v(&["--set", "tower.2.h.tau_mem=5ms"]);
    assert_ne!(all, plain);
    assert_ne!(first, plain);
    assert_ne!(second, plain);
    assert_ne!(first, second);
    assert_eq!(last, plain);
    let both = [
        "--set",
        "tower.1.h.tau_mem=5ms",
        "--set",
        "tower.0.h.tau_mem=5ms",
    ];
    assert_eq!(v(&both), all);
    // What stands in the text of the group does the same.
    let set = trace(&place, &text, "out.h.v", &["--set", "out.h.tau_mem=7ms"]);
    assert_eq!(set, trace(&place, &network("7 ms"), "out.h.v", &[]));
    assert_ne!(set, trace(&place, &text, "out.h.v", &[]));
}

#[test]
fn wrong_copies_and_values_are_refused() {
    let place = Place::new();
    place.file("deep.snn", &network("20 ms"));
    place.npz("in.npz", &[("inp", constant(&[3, 1, 4], 1.0))]);
    let run = ["run", "deep.snn", "--network", "Deep", "--input", "in.npz"];
    for (status, setting, words) in [
        (
            2,
            "tower.3.h.tau_mem=5ms",
            "no parameter `tower.3.h.tau_mem`",
        ),
        (2, "tower.0.h.tau=5ms", "did you mean `tower.0.h.tau_mem`?"),
        (2, "tower.0.h.tau_mem=5", "the parameter is a time (ms)"),
        (1, "out.h.tau_mem=1s", "`tau_mem` starts outside its bounds"),
    ] {
        let more = ["--out", "out.npz", "--set", setting];
        place.fails(status, &[words], &[&run[..], &more].concat());
    }
}
