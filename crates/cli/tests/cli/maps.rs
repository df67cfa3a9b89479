//! Weights that go through a function, from the text to training, evaluation and an object file.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use rheobase_train::weights;
use serde_json::Value;

use crate::place::{Place, fixture, ramp};

/// The connections of the fixture with a map.
const MAPPED: [&str; 4] = ["inp.conv.x", "conv.hid.x", "hid.hid.x", "hid.out.x"];

fn trained(place: &Place) -> BTreeMap<String, ArrayD<f64>> {
    place.ok(&["train", &fixture("maps.snn"), "--out", "run"]);
    weights::load(&place.path("run/best.safetensors")).expect("readable")
}

#[test]
fn raw_weights_are_trained_and_mapped_ones_are_used() {
    let place = Place::new();
    let ran = place.ok(&["train", &fixture("maps.snn"), "--out", "run"]);
    let kept = weights::load(&place.path("run/best.safetensors")).expect("readable");
    for name in MAPPED {
        let array = |part: &str| &kept[&format!("{name}.{part}")];
        let (raw, mapped) = (array("weight"), array("mapped"));
        let allowed = |(w, m): (f64, f64)| match name {
            "inp.conv.x" | "conv.hid.x" => {
                let h = if name == "conv.hid.x" { 0.2 } else { 0.1 };
                let near = [-1.0f64, 0.0, 1.0].map(|to| (w - to).abs() <= 0.5 + h + 1e-6);
                w.abs() <= 1.0
                    && [-1.0, 0.0, 1.0]
                        .iter()
                        .zip(near)
                        .any(|(to, near)| m == *to && near)
            }
            "hid.hid.x" => (m - 0.5 * (w / 0.5).tanh()).abs() < 1e-6,
            _ => m == if w >= 0.0 { 1.0 } else { -1.0 },
        };
        let mut pairs = raw.iter().copied().zip(mapped.iter().copied());
        assert_eq!(pairs.find(|pair| !allowed(*pair)), None, "{name}");
        assert!(raw.iter().any(|w| w.fract() != 0.0), "{name}");
    }
    assert!(kept["hid.hid.x.mapped"].diag().iter().all(|w| *w == 0.0));
    let losses: Vec<f64> = place
        .text("run/metrics.jsonl")
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["train_loss"].as_f64())
        .collect();
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.7 * first, "{losses:?}");
    let evaluated = place.ok(&["eval", "run"]);
    assert!(evaluated.out.starts_with(&ran.out), "{}", evaluated.out);
}

/// The same text without maps.
fn plain() -> String {
    let text = std::fs::read_to_string(fixture("maps.snn")).expect("the fixture is there");
    let maps = [
        ", map = ternary(h = 0.2)",
        ", map = ternary",
        ", map = squashed",
        ", map = binary",
    ];
    maps.iter().fold(text, |text, map| text.replace(map, ""))
}

#[test]
fn the_trained_network_is_one_with_the_mapped_weights() {
    let place = Place::new();
    let kept = trained(&place);
    place.file("plain.snn", &plain());
    let used: Vec<(String, ArrayD<f64>)> = kept
        .iter()
        .filter(|(name, _)| {
            let raw = name.strip_suffix(".weight");
            raw.is_none_or(|raw| !MAPPED.contains(&raw))
        })
        .map(|(name, array)| (name.replace(".mapped", ".weight"), array.clone()))
        .collect();
    let used: Vec<(&str, ArrayD<f64>)> = used.iter().map(|(n, a)| (&n[..], a.clone())).collect();
    place.npz("used.npz", &used);
    let events = ramp(20, 2, 64).mapv(|v| if v > 0.7 { 1.0 } else { 0.0 });
    place.npz("in.npz", &[("inp", events)]);
    let run = |file: &str, weights: &str, out: &str| {
        let args = ["run", file, "--network", "Maps", "--input", "in.npz"];
        place.ok(&[&args[..], &["--weights", weights, "--out", out]].concat());
        place.read(out)
    };
    let mapped = run(&fixture("maps.snn"), "run/best.safetensors", "mapped.npz");
    let plain = run("plain.snn", "used.npz", "plain.npz");
    assert_eq!(mapped, plain);
    assert!(mapped["hid.spikes"].sum() > 10.0);
}

#[test]
fn an_object_file_holds_the_mapped_weights() {
    let place = Place::new();
    let text = |map: &str| {
        format!(
            "import \"std/neurons.snn\"
import \"std/weights.snn\"
network Net {{
  step 1 ms
  input inp[4]
  layer out : LI[3]
  connect inp -> out.x : dense(w = 0.7{map})
}}
"
        )
    };
    place.file("mapped.snn", &text(", map = rounded(quantum = 0.25)"));
    place.file("plain.snn", &text("").replace("0.7", "0.75"));
    for name in ["mapped", "plain"] {
        let file = format!("{name}.snn");
        place.ok(&["build", &file, "--network", "Net", "--out", name]);
    }
    let object =
        |folder: &str| std::fs::read(place.path(&format!("{folder}/Net.o"))).expect("written");
    assert!(object("mapped") == object("plain"));
    let explained = place.ok(&["check", "mapped.snn", "--explain"]).out;
    assert!(explained.contains("used through `rounded`"), "{explained}");
}

/// A map of slope 3 gives the raw weights three times the gradient of weights that are three times as large.
#[test]
fn the_gradient_is_that_of_the_raw_weights() {
    let place = Place::new();
    let gradient = |map: &str, weight: f64| {
        let text = format!(
            "import \"std/neurons.snn\"
fn tripled(w) = 3 * w
network Net {{
  step 1 ms
  input inp[4]
  layer out : LI[3]
  connect inp -> out.x : dense(w = {weight}{map})
}}
"
        );
        place.file("a.snn", &text);
        place.npz("in.npz", &[("inp", ramp(14, 2, 4))]);
        place.npz("ct.npz", &[("out.v", ramp(14, 2, 3))]);
        let args = ["grad", "a.snn", "--network", "Net", "--input", "in.npz"];
        let more = [
            "--cotangents",
            "ct.npz",
            "--precision",
            "f64",
            "--out",
            "out.npz",
        ];
        place.ok(&[&args[..], &more].concat());
        place.read("out.npz")
    };
    let (mapped, plain) = (gradient(", map = tripled", 0.5), gradient("", 1.5));
    assert_eq!(mapped["out.v"], plain["out.v"]);
    let name = "grad.inp.out.x.weight";
    let expected = &plain[name] * 3.0;
    assert!(expected.iter().any(|g| *g != 0.0));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs();
    assert!(mapped[name].iter().zip(&expected).all(close));
    assert!(!mapped.contains_key("grad.inp.out.x.mapped"));
}
