//! What can be looked at: pictures, the page of a run, sweeps, event files, and how much is said.

use serde_json::{Value, json};

use crate::place::{Place, constant, fixture};

/// A finished run in the folder `run`.
fn trained(extra: &[&str]) -> Place {
    let place = Place::new();
    let args = ["train", &fixture("tiny.snn"), "--out", "run"];
    place.ok(&[&args[..], extra].concat());
    place
}

/// Whether every element that opens closes; comments and the doctype are not in our pages.
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let tag = part.split('>').next().unwrap_or_default();
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match tag {
            _ if tag.starts_with('!') || tag.ends_with('/') || name == "meta" => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(&tag[1..])),
            _ => open.push(name),
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn a_run_has_a_page_and_every_picture() {
    let place = trained(&[]);
    let page = place.text("run/report.html");
    assert_well_formed(&page);
    for words in [
        "Learning",
        "Confusion on test samples",
        "Firing rates",
        "spikes of hid",
        "v of out",
        "inp.hid.x.weight",
        "out.tau_mem",
        "Surrogate of LIF in layer hid",
        "visited",
        "Norm of the gradient",
        "train tiny of Tiny",
        "prefers-color-scheme",
    ] {
        assert!(page.contains(words), "no `{words}` on the page");
    }
    // Nothing is fetched from anywhere.
    let links = ["http:", "https:", "<script", "<link", "url("];
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for link in links {
        assert!(!page.contains(link), "{link}");
    }
    // The command makes the same page as the end of training.
    let before = place.text("run/report.html");
    place.ok(&["report", "run"]);
    assert!(place.text("run/report.html") == before);
    for what in [
        "raster",
        "traces",
        "curves",
        "confusion",
        "weights",
        "fields",
        "surrogate",
        "fi",
    ] {
        let svg = place.ok(&["plot", "run", "--what", what]).out;
        assert!(svg.starts_with("<svg"), "{what}");
        assert!(!svg.contains("NaN"), "{what}");
        assert_well_formed(&svg);
        let file = format!("{what}.png");
        place.ok(&["plot", "run", "--what", what, "--out", &file]);
        let png = std::fs::read(place.path(&file)).expect("written");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{what}");
        let numbers = place.ok(&["plot", "run", "--what", what, "--json"]).out;
        let numbers: Value = serde_json::from_str(&numbers).expect("one document");
        let panels = numbers["panels"].as_array().expect("panels");
        let is_shown = |panel: &Value| {
            let series = panel["series"].as_array();
            let points = series.is_some_and(|all| all.iter().any(|s| s["x"] != json!([])));
            points
                || panel["rows"]
                    .as_array()
                    .is_some_and(|rows| !rows.is_empty())
        };
        assert!(!panels.is_empty() && panels.iter().all(is_shown), "{what}");
    }
    let found: Value = serde_json::from_str(&place.text("run/evaluation.json")).expect("JSON");
    let count = |cell: &Value| cell.as_u64().expect("a count");
    let rows = found["confusion"].as_array().expect("a matrix");
    let sums: Vec<u64> = rows
        .iter()
        .map(|row| row.as_array().expect("a row").iter().map(count).sum())
        .collect();
    let right: u64 = rows.iter().enumerate().map(|(i, row)| count(&row[i])).sum();
    assert_eq!(
        (sums.iter().sum::<u64>(), right),
        (360, count(&found["correct"]))
    );
    assert_eq!(found["accuracy"], right as f64 / 360.0);
    let top: Vec<f64> = (2..=5)
        .filter_map(|k| found["top"][k.to_string()].as_f64())
        .collect();
    assert!(
        top.len() == 4 && top.is_sorted() && top[0] >= right as f64 / 360.0,
        "{top:?}"
    );
    let curves = place.ok(&["plot", "run", "--json"]).out;
    let curves: Value = serde_json::from_str(&curves).expect("one document");
    let last = place.text("run/metrics.jsonl");
    let last: Value = serde_json::from_str(last.lines().last().expect("rows")).expect("a row");
    assert_eq!(curves["panels"][0]["series"][0]["y"][1], last["train_loss"]);
    assert!(last["train_spikes_per_inference"].as_f64() > Some(0.0));
    assert!(last["train_synaptic_operations_per_inference"].as_f64() > Some(0.0));
    assert!(page.contains("Synaptic operations per inference"));
    assert!(page.contains("<h3>Sample 0, label ") && page.contains(", predicted "));
    place.ok(&[
        "plot", "run", "--what", "raster", "--out", "a.png", "--theme", "dark",
    ]);
    let png = std::fs::read(place.path("a.png")).expect("written");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    place.fails(
        2,
        &["no sample 9999"],
        &["plot", "run", "--what", "raster", "--sample", "9999"],
    );
    place.fails(
        2,
        &["neither .svg nor .png"],
        &["plot", "run", "--out", "a.gif"],
    );
    place.fails(3, &["no run folder"], &["plot", "."]);
    place.fails(3, &["there is no `none`"], &["report", "none"]);
}

#[test]
fn arrays_and_programs_have_pictures() {
    let place = Place::new();
    let lif = fixture("lif.snn");
    place.npz("in.npz", &[("x", constant(&[50, 1, 3], 0.4))]);
    place.ok(&[
        "run", &lif, "--neuron", "LIF", "--input", "in.npz", "--out", "out.npz",
    ]);
    let args = [
        "run", &lif, "--neuron", "LIF", "--input", "in.npz", "--out", "out.npz", "--json",
    ];
    let written: Value = serde_json::from_str(&place.ok(&args).out).expect("one document");
    assert_eq!(written["arrays"]["spikes"]["shape"], json!([50, 1, 3]));
    assert_eq!(written["arrays"]["spikes"]["max"], 1.0);
    assert_eq!(
        (&written["steps"], &written["samples"]),
        (&json!(50), &json!(1))
    );
    let raster = place.ok(&["plot", "out.npz"]).out;
    assert!(raster.contains(">spikes<"));
    let traces = place.ok(&["plot", "out.npz", "--what", "traces"]).out;
    assert!(traces.contains(">v<"));
    place.fails(
        2,
        &["rasters and traces"],
        &["plot", "out.npz", "--what", "fi"],
    );
    place.fails(
        3,
        &["nothing to draw"],
        &["plot", "in.npz", "--what", "raster"],
    );
    let surrogate = place.ok(&["plot", &lif]).out;
    assert!(surrogate.contains("Surrogate of LIF") && surrogate.contains(">derivative<"));
    let fi = place.ok(&["plot", &lif, "--what", "fi"]).out;
    assert!(fi.contains("I curve of LIF") && fi.contains("rate (Hz)"));
    place.fails(2, &["run folder"], &["plot", &lif, "--what", "curves"]);
    place.fails(1, &["cannot read"], &["plot", "none.snn"]);
}

#[test]
fn scripts_get_one_document_and_nothing_else() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let set = ["--set", "epochs=1", "--out", "run"];
    let ran = place.ok(&[
        &["train", &file, "--quiet", "--json", "--tensorboard"],
        &set[..],
    ]
    .concat());
    assert_eq!(ran.err, "");
    let document: Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(document["test"]["samples"], 360);
    assert!(document["last_epoch"]["train_loss"].is_f64());
    let mut events = std::fs::read_dir(place.path("run/tensorboard")).expect("a folder");
    let event = events.next().expect("a file").expect("readable");
    let bytes = std::fs::read(event.path()).expect("readable");
    // What is in it is decoded by the test of the writer; here, that every column arrives.
    for tag in [
        "train_loss",
        "spikes_per_neuron_per_second/hid",
        "gradient_norms/inp.hid.x.weight",
    ] {
        assert!(
            bytes.windows(tag.len()).any(|w| w == tag.as_bytes()),
            "{tag}"
        );
    }
    let plain = place.ok(&[&["train", &file, "--plain", "--no-report"], &set[..]].concat());
    assert!(plain.err.contains("samples/s") && plain.err.contains("spikes/s"));
    assert!(plain.err.contains("spikes per neuron and second"));
    assert!(!place.path("run/report.html").exists());
}

#[test]
fn a_sweep_is_a_table_and_goes_on_where_it_was() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let sweep = [
        "sweep",
        &file,
        "--grid",
        "lr=1e-3,1e-2",
        "seed=0..1",
        "--set",
        "epochs=1",
        "--out",
        "all",
    ];
    let ran = place.ok(&sweep);
    assert!(
        ran.out.contains("optimizer.lr") && ran.out.contains('±'),
        "{}",
        ran.out
    );
    let table: Value = serde_json::from_str(&place.text("all/sweep.json")).expect("JSON");
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(2));
    assert_eq!(table["rows"][1]["settings"]["optimizer.lr"], "1e-2");
    assert_eq!(table["rows"][1]["scores"].as_array().map(Vec::len), Some(2));
    assert!(
        place
            .text("all/sweep.svg")
            .contains("Accuracy over the sweep")
    );
    // A run of the sweep is the run of its settings.
    let alone = [
        "train",
        &file,
        "--out",
        "alone",
        "--set",
        "epochs=1",
        "--set",
        "optimizer.lr=1e-2",
        "--set",
        "seed=1",
        "--json",
        "--quiet",
    ];
    let alone: Value = serde_json::from_str(&place.ok(&alone).out).expect("JSON");
    assert_eq!(table["rows"][1]["scores"][1], alone["test"]["accuracy"]);
    // Only what is missing runs again, and the table is the same.
    std::fs::remove_file(place.path("all/optimizer.lr=1e-3,seed=0/result.json")).expect("there");
    let kept = place.text("all/optimizer.lr=1e-2,seed=0/metrics.jsonl");
    let again: Value =
        serde_json::from_str(&place.ok(&[&sweep[..], &["--json"]].concat()).out).expect("JSON");
    assert_eq!(again, table);
    assert_eq!(
        place.text("all/optimizer.lr=1e-2,seed=0/metrics.jsonl"),
        kept
    );
    place.fails(
        3,
        &["another program or with another --set"],
        &[
            "sweep", &file, "--grid", "seed=0", "--set", "epochs=2", "--out", "all",
        ],
    );
    place.fails(
        2,
        &["no range"],
        &["sweep", &file, "--grid", "seed=a..b", "--out", "b"],
    );
    let unknown = place.rheo(&["sweep", &file, "--grid", "nothing=1", "--out", "b"]);
    assert_eq!(unknown.status, 2, "{}", unknown.err);
}
