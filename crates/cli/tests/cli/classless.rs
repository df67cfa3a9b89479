//! A task without classes: spikes at given times, the van Rossum distance as the loss. Nothing speaks of accuracy.

use serde_json::Value;

use crate::place::Place;

pub(crate) const PROGRAM: &str = r#"import "std/neurons.snn"

network One {
  step 1 ms
  input inp[40]
  layer out : LIF[2] { tau_mem = 10 ms  tau_syn = 5 ms }
  connect inp -> out.x : dense(w = normal(0.6, 0.6))
}

train one of One {
  data      = spike_patterns(channels = 40, units = 2, spikes = 3, rate = 20 Hz, samples = 4)
  valid     = holdout(0.5)
  duration  = 100 ms
  loss      = van_rossum(out, target, decay = 10 ms, rise = 5 ms)
  optimizer = rmaxprop(lr = 2e-2)
  batch     = 1
  epochs    = 40
}
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn without_classes_everything_speaks_of_the_loss() {
    let place = Place::new();
    place.file("one.snn", PROGRAM);
    let ran = place.ok(&["train", "one.snn", "--out", "run", "--plain"]);
    assert!(ran.out.starts_with("valid loss "), "{}", ran.out);
    assert!(ran.err.contains("  valid loss "), "{}", ran.err);
    let metrics = place.text("run/metrics.jsonl");
    let page = place.text("run/report.html").to_lowercase();
    let evaluation = place.text("run/evaluation.json");
    for text in [&ran.out, &ran.err, &metrics, &evaluation] {
        assert!(!text.to_lowercase().contains("accuracy"), "{text}");
    }
    assert!(page.contains("valid loss") && !page.contains("accuracy"));
    let losses = metrics.lines().map(|l| json(l)["train_loss"].as_f64());
    let losses: Vec<f64> = losses.map(|l| l.expect("a number")).collect();
    let late = losses[35..].iter().sum::<f64>() / 5.0;
    assert!(late < 0.8 * losses[0], "{} to {late}", losses[0]);
    // Every spike of an input meets two weights, those of the output none.
    let found = json(&evaluation);
    let operations = found["synaptic_operations_per_inference"].as_f64();
    let operations = operations.expect("a number");
    assert!(operations > 0.0 && operations % 1.0 == 0.0, "{operations}");
    assert!(found["spikes_per_inference"].is_f64());

    let again = place.ok(&["eval", "run", "--json"]);
    assert_eq!(json(&again.out)["loss"], found["loss"]);
    let shown = place.ok(&["eval", "run"]).out;
    assert!(shown.contains("synaptic operations per inference"));
    assert!(!shown.contains("accuracy") && !shown.contains("confusion"));
}

#[test]
fn a_sweep_without_classes_compares_losses() {
    let place = Place::new();
    place.file("one.snn", PROGRAM);
    let grid = [
        "--grid",
        "lr=1e-3,2e-2",
        "--out",
        "all",
        "--set",
        "epochs=3",
    ];
    let args = [&["sweep", "one.snn"][..], &grid].concat();
    let ran = place.ok(&args);
    let head = ran.out.lines().next().expect("a head");
    assert!(
        head.contains("loss") && !head.contains("accuracy"),
        "{head}"
    );
    let table = json(&place.text("all/sweep.json"));
    assert_eq!(table["rows"][0]["measure"], "loss");
    assert!(place.text("all/sweep.svg").contains("loss"));
}
