//! Delays of synapses through the command: drawn ones stay, learned ones move within their bounds, weights carry
//! both, and an evaluation finds what the training reported.

use ndarray::ArrayD;
use rheobase_train::weights;
use serde_json::Value;

use crate::place::{Place, fixture};

#[test]
fn learned_delays_move_and_drawn_ones_stay() {
    let place = Place::new();
    let file = fixture("delays.snn");
    place.ok(&["train", &file, "--out", "short", "--set", "epochs=1"]);
    place.ok(&["train", &file, "--out", "long"]);
    let delays = |run: &str, name: &str| -> ArrayD<f64> {
        let file = place.path(&format!("{run}/best.safetensors"));
        weights::load(&file).expect("readable")[name].clone()
    };
    let learned = ["short", "long"].map(|run| delays(run, "inp.hid.x.delay"));
    assert_eq!(learned[1].shape(), [12, 20]);
    assert!(learned.iter().flatten().all(|d| (0.0..=16.0).contains(d)));
    let moved = learned[0].iter().zip(&learned[1]);
    let moved = moved.fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(moved > 0.5, "{moved}");
    let drawn = ["short", "long"].map(|run| delays(run, "hid.hid.x.delay"));
    assert_eq!(drawn[0], drawn[1]);
    assert!(drawn[0].iter().all(|d| [1.0, 2.0, 3.0].contains(d)));
    let losses: Vec<f64> = place
        .text("long/metrics.jsonl")
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["train_loss"].as_f64())
        .collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
}
