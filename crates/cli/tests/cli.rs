//! The command as a process: what it prints where, its exit status, and what it leaves behind.
//!
//! Every command is run on small programs in `fixtures/`; the second half is wrong input, of which each kind
//! must end with its status and a message that names what is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array3, ArrayD, IxDyn};
use rheobase_data::npz;
use rheobase_train::weights::load;
use tempfile::TempDir;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name).to_string_lossy().into_owned()
}

/// A folder to run in, and the command in it.
struct Place(TempDir);

/// What a run gave.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Place {
        Place(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn rheo(&self, args: &[&str]) -> Ran {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_rheo"))
            .args(args)
            .current_dir(self.0.path())
            .env_remove("NO_COLOR")
            .output()
            .expect("the command starts");
        Ran {
            status: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs and expects success.
    fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.rheo(args);
        assert_eq!(ran.status, 0, "{args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Runs and expects a status, nothing on standard output, and a message with these words.
    fn fails(&self, status: i32, words: &[&str], args: &[&str]) -> Ran {
        let ran = self.rheo(args);
        assert_eq!(ran.status, status, "{args:?}\n{}\n{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{args:?}");
        for word in words {
            assert!(
                ran.err.contains(word),
                "{args:?}: no `{word}` in\n{}",
                ran.err
            );
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    fn npz(&self, name: &str, arrays: &[(&str, ArrayD<f64>)]) {
        let arrays = arrays.iter().map(|(n, a)| ((*n).to_string(), a.clone()));
        let arrays: BTreeMap<String, ArrayD<f64>> = arrays.collect();
        npz::write(&self.path(name), &arrays, npz::Precision::F64).expect("written");
    }

    fn read(&self, name: &str) -> BTreeMap<String, ArrayD<f64>> {
        npz::read(&self.path(name)).expect("readable arrays")
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("readable text")
    }
}

/// `[steps, samples, n]` with a different number in each place.
fn ramp(steps: usize, samples: usize, n: usize) -> ArrayD<f64> {
    Array3::from_shape_fn((steps, samples, n), |(t, b, j)| {
        0.3 + 0.1 * ((t * 7 + b * 3 + j) % 11) as f64
    })
    .into_dyn()
}

fn constant(shape: &[usize], value: f64) -> ArrayD<f64> {
    ArrayD::from_elem(IxDyn(shape), value)
}

fn shapes(arrays: &BTreeMap<String, ArrayD<f64>>) -> Vec<String> {
    let shape = |(name, array): (&String, &ArrayD<f64>)| format!("{name} {:?}", array.shape());
    arrays.iter().map(shape).collect()
}

#[test]
fn check_is_silent_about_a_good_program() {
    let place = Place::new();
    let ran = place.ok(&["check", &fixture("lif.snn")]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}

#[test]
fn check_explains_and_speaks_json() {
    let place = Place::new();
    let ran = place.ok(&["check", "--explain", &fixture("tiny.snn")]);
    for words in [
        "receive, integrate, spike, reset",
        "v' : exact",
        "on spike detached",
        "4 bytes per neuron and step",
        "tau_mem = 20 ms, learned",
        "inp.hid.x.weight [16, 64]",
        "numbers are trained",
        "tape",
    ] {
        assert!(ran.out.contains(words), "no `{words}` in\n{}", ran.out);
    }
    place.file(
        "bad.snn",
        "neuron A {\n  param tau = 10 msec\n  state v = 0\n  v' = -w / tau\n}\n",
    );
    let ran = place.rheo(&["check", "--json", "bad.snn"]);
    assert_eq!(ran.status, 1);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    let codes: Vec<&str> = document["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["code"]["code"].as_str())
        .collect();
    assert!(
        codes.contains(&"E0102") && codes.contains(&"E0201"),
        "{codes:?}"
    );
    let ran = place.rheo(&["check", "--json", "missing.snn"]);
    assert_eq!(ran.status, 1);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(document["ok"], false);
}

#[test]
fn fmt_formats_and_checks() {
    let place = Place::new();
    place.file("a.snn", "neuron A {\n# kept\nparam tau=10 ms\ninput x\nstate v=0\nv'=-v/tau\non receive x{v+=x}\n}\n");
    let listed = place.rheo(&["fmt", "--check", "a.snn"]);
    assert_eq!((listed.status, listed.out.as_str()), (1, "a.snn\n"));
    place.ok(&["fmt", "a.snn"]);
    let text = place.text("a.snn");
    assert!(
        text.contains("  # kept\n") && text.contains("  param tau = 10 ms\n"),
        "{text}"
    );
    place.ok(&["fmt", "--check", "a.snn"]);
    place.file("b.snn", "neuron {");
    place.fails(1, &["b.snn", "left as it is"], &["fmt", "b.snn", "a.snn"]);
    assert_eq!(place.text("b.snn"), "neuron {");
}

#[test]
fn explain_knows_codes_and_names() {
    let place = Place::new();
    let by_code = place.ok(&["explain", "e0302"]).out;
    assert!(by_code.starts_with("error E0302"), "{by_code}");
    assert_eq!(by_code, place.ok(&["explain", "equation-unit"]).out);
}

#[test]
fn emit_prints_every_stage() {
    let place = Place::new();
    let emit = |stage: &str| {
        place
            .ok(&["emit", &fixture("tiny.snn"), "--stage", stage])
            .out
    };
    assert!(emit("ast").contains("v' = ((-v) / tau_mem)"));
    assert!(emit("model").contains("neuron LIF"));
    assert!(emit("kernel").contains("integrate.auto"));
    assert!(emit("gradient").contains("adjoint state v"));
    assert!(emit("tape").contains("saved u : real, 4 bytes, read by"));
    let optimised = emit("optimised");
    for kernel in ["LIF.prologue", "LIF.infer", "LIF.forward", "LIF.backward"] {
        assert!(
            optimised.contains(&format!("kernel {kernel} {{")),
            "{kernel}"
        );
    }
    assert!(emit("clif").contains("function"));
    let one = [
        "emit",
        &fixture("tiny.snn"),
        "--stage",
        "tape",
        "--neuron",
        "LIF",
    ];
    assert_eq!(place.ok(&one).out.matches("tape ").count(), 1);
    let all = [
        "emit",
        &fixture("tiny.snn"),
        "--stage",
        "tape",
        "--neuron",
        "LIF",
        "--wrt",
        "all",
    ];
    assert!(place.ok(&all).out.len() > place.ok(&one).out.len());
}

#[test]
fn run_gives_spikes_and_states_of_a_neuron() {
    let place = Place::new();
    place.npz("in.npz", &[("x", ramp(20, 3, 5))]);
    let base = [
        "run",
        &fixture("lif.snn"),
        "--neuron",
        "LIF",
        "--input",
        "in.npz",
    ];
    let run = |more: &[&str]| {
        let mut args = base.to_vec();
        args.extend_from_slice(more);
        args.extend_from_slice(&["--out", "out.npz"]);
        let ran = place.ok(&args);
        assert_eq!(ran.out, "");
        place.read("out.npz")
    };
    let jit = run(&[]);
    assert_eq!(
        shapes(&jit),
        ["i [20, 3, 5]", "spikes [20, 3, 5]", "v [20, 3, 5]"]
    );
    assert!(jit["spikes"].sum() > 0.0);
    let interpreter = run(&["--executor", "interp", "--precision", "f64"]);
    assert_eq!(jit["spikes"], interpreter["spikes"]);
    let difference = (&jit["v"] - &interpreter["v"])
        .mapv(f64::abs)
        .iter()
        .copied()
        .fold(0.0, f64::max);
    assert!(difference < 1e-5, "{difference}");
    // Another value of a parameter, from either side, is the same simulation.
    let set = run(&["--set", "tau_mem=0.005s"]);
    assert_ne!(set["v"], jit["v"]);
    place.npz(
        "in.npz",
        &[("x", ramp(20, 3, 5)), ("param.tau_mem", constant(&[], 5.0))],
    );
    assert_eq!(run(&[])["v"], set["v"]);
    place.npz(
        "in.npz",
        &[
            ("x", ramp(20, 3, 5)),
            ("param.tau_mem", constant(&[5], 5.0)),
        ],
    );
    let wide = run(&[]);
    let difference = (&wide["v"] - &set["v"])
        .mapv(f64::abs)
        .iter()
        .copied()
        .fold(0.0, f64::max);
    assert!(difference < 1e-6, "{difference}");
    place.npz("w.npz", &[("tau_mem", constant(&[], 5.0))]);
    place.npz("in.npz", &[("x", ramp(20, 3, 5))]);
    assert_eq!(run(&["--weights", "w.npz"])["v"], set["v"]);
    assert_ne!(run(&["--step", "0.5ms"])["v"], jit["v"]);
}

#[test]
fn two_axes_are_one_sample_and_initial_states_are_broadcast() {
    let place = Place::new();
    let two = ramp(9, 1, 4)
        .into_shape_with_order(IxDyn(&[9, 4]))
        .expect("same size");
    place.npz(
        "in.npz",
        &[
            ("x", two),
            ("init.v", constant(&[], 0.5)),
            ("init.i", constant(&[4], 0.25)),
        ],
    );
    let args = [
        "run",
        &fixture("lif.snn"),
        "--neuron",
        "LIF",
        "--input",
        "in.npz",
        "--out",
        "out.npz",
    ];
    place.ok(&args);
    let out = place.read("out.npz");
    assert_eq!(out["v"].shape(), [9, 1, 4]);
    let rounding = |x: f64| f64::from(x as f32);
    let decay = (-0.1f64).exp();
    let expected = rounding((0.25 + 0.3) * decay);
    assert!((out["i"][[0, 0, 0]] - expected).abs() < 1e-6);
}

/// Central differences of the loss through the process itself. The spike is left out of the loss and the
/// input too weak for one, so that the real program is smooth.
#[test]
fn grad_of_a_neuron_is_the_slope_of_its_outputs() {
    let place = Place::new();
    let loss = |shift: f64, tau: f64, init: f64| {
        let mut x = constant(&[12, 2, 3], 0.05);
        x[[4, 1, 2]] += shift;
        place.npz(
            "in.npz",
            &[
                ("x", x),
                ("param.tau_syn", constant(&[], tau)),
                ("init.v", constant(&[], init)),
            ],
        );
        place.npz("ct.npz", &[("v", ramp(12, 2, 3))]);
        place.ok(&[
            "grad",
            &fixture("lif.snn"),
            "--neuron",
            "LIF",
            "--input",
            "in.npz",
            "--cotangents",
            "ct.npz",
            "--precision",
            "f64",
            "--out",
            "out.npz",
        ]);
        let out = place.read("out.npz");
        ((&out["v"] * &ramp(12, 2, 3)).sum(), out)
    };
    let (_, out) = loss(0.0, 8.0, 0.1);
    assert_eq!(out["spikes"].sum(), 0.0);
    let h = 1e-5;
    let slope = |up: f64, down: f64| (up - down) / (2.0 * h);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-7 * (1.0 + b.abs()), "{a} {b}");
    close(
        out["grad.x"][[4, 1, 2]],
        slope(loss(h, 8.0, 0.1).0, loss(-h, 8.0, 0.1).0),
    );
    close(
        out["grad.tau_syn"][[]],
        slope(loss(0.0, 8.0 + h, 0.1).0, loss(0.0, 8.0 - h, 0.1).0),
    );
    close(
        out["grad.init.v"].sum(),
        slope(loss(0.0, 8.0, 0.1 + h).0, loss(0.0, 8.0, 0.1 - h).0),
    );
    let expected = [
        "grad.init.i [2, 3]",
        "grad.init.v [2, 3]",
        "grad.tau_mem []",
        "grad.tau_syn []",
        "grad.v_th []",
        "grad.x [12, 2, 3]",
        "i [12, 2, 3]",
        "spikes [12, 2, 3]",
        "v [12, 2, 3]",
    ];
    assert_eq!(shapes(&out), expected);
}

#[test]
fn a_parameter_given_per_lane_has_a_gradient_per_lane() {
    let place = Place::new();
    place.npz(
        "in.npz",
        &[
            ("x", ramp(10, 2, 3)),
            ("param.tau_mem", constant(&[3], 20.0)),
        ],
    );
    place.npz("ct.npz", &[("spikes", ramp(10, 2, 3))]);
    let args = [
        "grad",
        &fixture("lif.snn"),
        "--neuron",
        "LIF",
        "--cotangents",
        "ct.npz",
        "--out",
        "out.npz",
        "--input",
    ];
    let grad = |input: &str| {
        place.ok(&[&args[..], &[input]].concat());
        place.read("out.npz")["grad.tau_mem"].clone()
    };
    let wide = grad("in.npz");
    assert_eq!(wide.shape(), [3]);
    place.npz("one.npz", &[("x", ramp(10, 2, 3))]);
    let one = grad("one.npz");
    assert!(
        (wide.sum() - one.sum()).abs() < 1e-4 * one.sum().abs().max(1.0),
        "{wide} {one}"
    );
}

#[test]
fn networks_take_events_and_give_gradients_of_weights() {
    let place = Place::new();
    let events = ramp(15, 2, 64).mapv(|v| if v > 1.1 { 1.0 } else { 0.0 });
    place.npz("in.npz", &[("inp", events)]);
    place.npz(
        "ct.npz",
        &[("out.v", ramp(15, 2, 10)), ("hid.spikes", ramp(15, 2, 16))],
    );
    let grad = |more: &[&str]| {
        let args = [
            "grad",
            &fixture("tiny.snn"),
            "--network",
            "Tiny",
            "--input",
            "in.npz",
            "--cotangents",
            "ct.npz",
            "--out",
            "out.npz",
        ];
        place.ok(&[&args[..], more].concat());
        place.read("out.npz")
    };
    let out = grad(&[]);
    let expected = [
        "grad.hid.out.x.bias [10]",
        "grad.hid.out.x.weight [10, 16]",
        "grad.hid.tau_mem []",
        "grad.hid.v_th []",
        "grad.init.hid.v [2, 16]",
        "grad.init.out.v [2, 10]",
        "grad.inp [15, 2, 64]",
        "grad.inp.hid.x.weight [16, 64]",
        "grad.out.tau_mem []",
    ];
    let found: Vec<String> = shapes(&out)
        .into_iter()
        .filter(|s| s.starts_with("grad."))
        .collect();
    let ports: Vec<&String> = found
        .iter()
        .filter(|s| !expected.contains(&s.as_str()))
        .collect();
    assert!(
        expected.iter().all(|e| found.contains(&(*e).to_string())),
        "{found:?}"
    );
    assert_eq!(ports, ["grad.hid.x [15, 2, 16]", "grad.out.x [15, 2, 10]"]);
    assert!(out["grad.inp.hid.x.weight"].iter().any(|g| *g != 0.0));
    assert_eq!(out["hid.spikes"].shape(), [15, 2, 16]);
    // The bias is added at every step, so its gradient is the sum of the gradients of the port.
    let bias = out["grad.out.x"].sum();
    assert!((out["grad.hid.out.x.bias"].sum() - bias).abs() < 1e-3 * bias.abs());
    // A seed draws other weights; weights from a file replace them.
    assert_ne!(grad(&["--seed", "1"])["out.v"], out["out.v"]);
    let silent = grad(&["--set", "inp.hid.x.weight=0"]);
    assert_eq!(silent["hid.spikes"].sum(), 0.0);
    place.npz("w.npz", &[("inp.hid.x.weight", constant(&[16, 64], 0.0))]);
    assert_eq!(grad(&["--weights", "w.npz"])["hid.spikes"].sum(), 0.0);
    assert_ne!(grad(&["--set", "hid.tau_mem=2ms"])["hid.v"], out["hid.v"]);
}

#[test]
fn gradcheck_passes_and_prints_its_tolerance() {
    let place = Place::new();
    let ran = place.ok(&["gradcheck", &fixture("lif.snn")]);
    for words in ["param tau_syn", "LIF: ok", "tolerance 1e-6"] {
        assert!(ran.out.contains(words), "{}", ran.out);
    }
}

#[test]
fn train_eval_and_bench_a_small_network() {
    let place = Place::new();
    let ran = place.ok(&["train", &fixture("tiny.snn"), "--threads", "2"]);
    let accuracy = ran
        .out
        .strip_prefix("test accuracy ")
        .expect("the accuracy alone");
    assert!(
        accuracy.ends_with(" of 360)\n") && ran.out.lines().count() == 1,
        "{}",
        ran.out
    );
    assert_eq!(
        ran.err.matches("epoch ").count() - ran.err.matches("after epoch").count(),
        2,
        "{}",
        ran.err
    );
    assert!(!ran.err.contains('\x1b') && !ran.err.contains('\r'));
    for file in [
        "config.snn",
        "metrics.jsonl",
        "best.safetensors",
        "last.ckpt",
    ] {
        assert!(place.path("runs/tiny").join(file).is_file(), "{file}");
    }
    let rows = place.text("runs/tiny/metrics.jsonl");
    let last: serde_json::Value =
        serde_json::from_str(rows.lines().last().expect("a row")).expect("an object");
    assert!(last["test_accuracy"].is_f64() && last["epoch"] == 2);
    // The folder alone says what ran: evaluating it gives the same, and running it again the same weights.
    let evaluated = place.ok(&["eval", "runs/tiny"]);
    assert!(evaluated.out.starts_with(&ran.out), "{}", evaluated.out);
    for words in ["confusion matrix", "spikes per neuron and second", "hid"] {
        assert!(evaluated.out.contains(words), "{}", evaluated.out);
    }
    place.ok(&[
        "train",
        "runs/tiny/config.snn",
        "--out",
        "again",
        "--threads",
        "1",
    ]);
    let weights =
        |folder: &str| load(&place.path(folder).join("best.safetensors")).expect("weights");
    assert_eq!(weights("again"), weights("runs/tiny"));
    let weights = [
        "eval",
        &fixture("tiny.snn"),
        "--weights",
        "again/best.safetensors",
        "--json",
    ];
    let document: serde_json::Value =
        serde_json::from_str(&place.ok(&weights).out).expect("one document");
    assert_eq!(document["samples"], 360);

    let ran = place.ok(&["bench", &fixture("tiny.snn"), "--steps", "3", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(
        (&document["steps"], &document["threads"]),
        (&3.into(), &1.into())
    );
    for key in [
        "forward_ms",
        "backward_ms",
        "update_ms",
        "compile_ms",
        "loss_first",
        "loss_last",
    ] {
        assert!(document[key].is_f64(), "{key}");
    }
    assert!(document["step_ms"]["median"].as_f64() >= document["step_ms"]["min"].as_f64());
    assert!(document["density"]["inp"].is_f64() && document["density"]["hid"].is_f64());
}

#[test]
fn settings_of_a_run_are_kept_and_a_run_can_be_resumed() {
    let place = Place::new();
    let sets = [
        "--set",
        "epochs=1",
        "--set",
        "n_hidden=8",
        "--set",
        "optimizer.lr=0.01",
        "--set",
        "hid.tau_mem=12ms",
    ];
    let first = place.ok(&[&["train", &fixture("tiny.snn"), "--out", "run"], &sets[..]].concat());
    let config = place.text("run/config.snn");
    assert!(
        config.contains("#! set n_hidden=8\n") && config.contains("surrogate superspike"),
        "{config}"
    );
    assert!(place.ok(&["eval", "run"]).out.starts_with(&first.out));
    place.fails(
        1,
        &["nothing to do"],
        &["train", "run/config.snn", "--resume", "run"],
    );
    place.fails(
        3,
        &["no run to resume in `none`"],
        &["train", &fixture("tiny.snn"), "--resume", "none"],
    );
}

#[test]
fn new_makes_a_project_that_trains() {
    let place = Place::new();
    let ran = place.ok(&["new", "mine"]);
    assert!(
        ran.out.contains("rheo train mine/digits.snn"),
        "{}",
        ran.out
    );
    place.ok(&["check", "mine/digits.snn"]);
    place.ok(&["fmt", "--check", "mine/digits.snn"]);
    place.ok(&[
        "train",
        "mine/digits.snn",
        "--set",
        "epochs=1",
        "--out",
        "run",
    ]);
    place.fails(2, &["mine", "not an empty folder"], &["new", "mine"]);
}

#[test]
fn help_has_an_example_for_every_command() {
    let place = Place::new();
    let all = place.ok(&["help"]).out;
    let names = [
        "new",
        "check",
        "fmt",
        "explain",
        "emit",
        "run",
        "grad",
        "gradcheck",
        "train",
        "eval",
        "bench",
        "completions",
        "man",
    ];
    for name in names {
        assert!(all.contains(&format!("  {name}")), "{all}");
        let help = place.ok(&["help", name]).out;
        assert!(help.contains("Example:\n  rheo "), "{help}");
    }
    assert!(place.ok(&["completions", "bash"]).out.contains("_rheo()"));
    assert!(place.ok(&["man"]).out.contains(".TH"));
    assert_eq!(place.rheo(&[]).status, 2);
}

#[test]
fn wrong_programs_end_with_1() {
    let place = Place::new();
    place.file("bad.snn", "neuron A {\n  state v = 0\n  v' = -v / tau\n}\n");
    for command in ["check", "gradcheck", "train", "bench"] {
        place.fails(1, &["E0201", "tau", "bad.snn:3"], &[command, "bad.snn"]);
    }
    place.fails(
        1,
        &["missing.snn", "no such file"],
        &["check", "missing.snn"],
    );
    place.fails(1, &["it is a folder"], &["check", "."]);
    std::fs::write(place.path("binary.snn"), [0x50, 0x4b, 0xff, 0x00]).expect("written");
    place.fails(1, &["UTF-8"], &["check", "binary.snn"]);
    place.file("imports.snn", "import \"nowhere.snn\"\n");
    place.fails(
        1,
        &["E0212", "nowhere.snn", "no such file"],
        &["check", "imports.snn"],
    );
    place.fails(1, &["no `train` block"], &["train", &fixture("lif.snn")]);
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    place.npz("in.npz", &[("x", ramp(5, 1, 2))]);
    let (lif, tiny) = (fixture("lif.snn"), fixture("tiny.snn"));
    let run = |what: [&str; 2], more: &[&str], words: &[&str]| {
        let args = [
            "run",
            if what[0] == "--neuron" { &lif } else { &tiny },
            "--input",
            "in.npz",
            "--out",
            "o.npz",
        ];
        place.fails(2, words, &[&args[..], &what[..], more].concat());
    };
    run(
        ["--neuron", "LIG"],
        &[],
        &["no neuron `LIG`; did you mean `LIF`?"],
    );
    run(
        ["--network", "Tina"],
        &[],
        &["no network `Tina`; did you mean `Tiny`?"],
    );
    run(
        ["--neuron", "LIF"],
        &["--set", "tau_men=1ms"],
        &["did you mean `tau_mem`?"],
    );
    run(
        ["--neuron", "LIF"],
        &["--set", "tau_mem=10"],
        &["write `tau_mem=10ms`"],
    );
    run(
        ["--neuron", "LIF"],
        &["--set", "tau_mem=10mV"],
        &["a voltage", "a time"],
    );
    run(
        ["--neuron", "LIF"],
        &["--set", "tau_mem=banana"],
        &["expected a number"],
    );
    run(["--neuron", "LIF"], &["--set", "tau_mem"], &["name=value"]);
    run(
        ["--neuron", "LIF"],
        &["--step", "2mV"],
        &["a step is a time"],
    );
    run(["--neuron", "LIF"], &["--step", "-1ms"], &["longer than 0"]);
    run(["--neuron", "LIF"], &["--precision", "f16"], &["f32, f64"]);
    run(
        ["--network", "Tiny"],
        &["--set", "hid.tau_men=1ms"],
        &["E0210", "did you mean `tau_mem`?"],
    );
    run(
        ["--network", "Tiny"],
        &["--set", "inp.hid.x.wieght=1"],
        &["did you mean `inp.hid.x.weight`?"],
    );
    place.fails(
        2,
        &["--neuron <NAME>|--network <NAME>"],
        &["run", &lif, "--input", "in.npz", "--out", "o.npz"],
    );
    place.fails(2, &["no code `E9999`"], &["explain", "E9999"]);
    place.fails(
        2,
        &["no neuron `LIG`"],
        &["emit", &lif, "--stage", "kernel", "--neuron", "LIG"],
    );
    place.fails(2, &["not available yet"], &["emit", &lif, "--stage", "asm"]);
    place.fails(
        2,
        &["no train block `tini`; did you mean `tiny`?"],
        &["train", &tiny, "--train", "tini"],
    );
    place.fails(
        2,
        &["no setting `epocs`; did you mean `epochs`?"],
        &["train", &tiny, "--set", "epocs=3"],
    );
    place.fails(
        2,
        &["E0704", "--set epochs"],
        &["train", &tiny, "--set", "epochs=0"],
    );
    place.fails(2, &["1..=1024"], &["train", &tiny, "--threads", "0"]);
    place.fails(2, &["--weights"], &["eval", &tiny]);
    assert!(!place.path("o.npz").exists() && !place.path("runs").exists());
}

#[test]
fn failed_runs_end_with_3_and_leave_nothing() {
    let place = Place::new();
    let lif = fixture("lif.snn");
    let run = |arrays: &[(&str, ArrayD<f64>)], words: &[&str]| {
        place.npz("in.npz", arrays);
        let args = [
            "run", &lif, "--neuron", "LIF", "--input", "in.npz", "--out", "o.npz",
        ];
        place.fails(3, words, &args);
        assert!(!place.path("o.npz").exists());
    };
    let x = || ("x", ramp(5, 2, 3));
    run(&[("y", ramp(5, 2, 3))], &["no input port `y`"]);
    run(
        &[x(), ("why", constant(&[], 1.0))],
        &["no input port `why`"],
    );
    run(
        &[("x", constant(&[5, 2, 3, 1], 1.0))],
        &["[5, 2, 3, 1]", "[T, B, N]"],
    );
    run(&[("x", constant(&[5, 0, 3], 1.0))], &["`x` is empty"]);
    run(
        &[("x", constant(&[5, 2, 3], f64::NAN))],
        &["`x` holds NaN at [0, 0, 0]"],
    );
    run(
        &[x(), ("init.v", constant(&[7], 1.0))],
        &["`init.v` has shape [7], expected [2, 3]"],
    );
    run(&[x(), ("init.w", constant(&[], 1.0))], &["no state `w`"]);
    run(
        &[x(), ("param.tau_mem", constant(&[7], 1.0))],
        &["`tau_mem` has shape [7]"],
    );
    run(
        &[x(), ("param.tau", constant(&[], 1.0))],
        &["no parameter `tau`"],
    );
    run(
        &[("x", constant(&[5, 2, 3], 3e38))],
        &["`i` of LIF[0] became inf at step 1"],
    );
    run(
        &[("init.v", constant(&[], 1.0))],
        &["no array for an input port; ports: `x`"],
    );

    place.npz("in.npz", &[x()]);
    let base = ["run", &lif, "--neuron", "LIF", "--input"];
    let fails = |words: &[&str], more: &[&str]| {
        place.fails(3, words, &[&base[..], more].concat());
    };
    fails(&["missing.npz"], &["missing.npz", "--out", "o.npz"]);
    place.file("text.npz", "no archive");
    fails(&["text.npz"], &["text.npz", "--out", "o.npz"]);
    fails(&["no/such/o.npz"], &["in.npz", "--out", "no/such/o.npz"]);
    place.npz("w.npz", &[("tau_men", constant(&[], 1.0))]);
    fails(
        &["w.npz", "did you mean `tau_mem`?"],
        &["in.npz", "--weights", "w.npz", "--out", "o.npz"],
    );
    fails(
        &["text.npz"],
        &["in.npz", "--weights", "text.npz", "--out", "o.npz"],
    );
    place.npz("ct.npz", &[("u", ramp(5, 2, 3))]);
    let grad = [
        "grad",
        &lif,
        "--neuron",
        "LIF",
        "--input",
        "in.npz",
        "--cotangents",
        "ct.npz",
        "--out",
        "o.npz",
    ];
    place.fails(3, &["ct.npz", "no output `u`", "`spikes`"], &grad);
    place.npz("ct.npz", &[("v", ramp(5, 2, 4))]);
    place.fails(
        3,
        &["`v` has shape (5, 2, 4), the output has (5, 2, 3)"],
        &grad,
    );
    assert!(!place.path("o.npz").exists());
}

#[test]
fn folders_and_data_that_cannot_be_used_end_with_3() {
    let place = Place::new();
    let tiny = fixture("tiny.snn");
    place.file("taken", "a file");
    place.fails(3, &["taken"], &["train", &tiny, "--out", "taken"]);
    place.fails(3, &["no run folder"], &["eval", "."]);
    place.fails(3, &["there is no `nowhere`"], &["eval", "nowhere"]);
    place.fails(
        3,
        &["w.safetensors"],
        &["eval", &tiny, "--weights", "w.safetensors"],
    );
    let text = std::fs::read_to_string(&tiny).expect("readable");
    let spoken = text
        .replace("inp[64]", "inp[700]")
        .replace("LI[10]", "LI[20]")
        .replace("digits()", "shd(\"missing.h5\")")
        .replace("latency(tau = 10 ms)", "bin_spikes()");
    place.file("spoken.snn", &spoken);
    let ran = place.fails(3, &["missing.h5"], &["train", "spoken.snn"]);
    assert!(!ran.err.contains("epoch"), "{}", ran.err);
    let nan = [
        "train",
        &tiny,
        "--set",
        "optimizer.lr=1e30",
        "--set",
        "epochs=3",
    ];
    place.fails(3, &["epoch"], &nan);
}
