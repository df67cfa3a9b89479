//! The command as a process: what every command prints where, and what it leaves behind.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use rheobase_train::weights::load;

use crate::place::{Place, constant, fixture, ramp};

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

/// A program whose explanation says everything that the reference says about a step.
const MEANING: &str = "
surrogate s(u) { derivative = 1 / (1 + abs(u))^2 }
neuron N {
  input x
  state v = 0
  state a = 0
  v' = -v / 20 ms
  next a = v
  on receive x { v += x }
  spike when v > 1 surrogate s()
  on spike detached { v = 0 }
  refractory 3 ms holds v drops x
}
network Block {
  input x[4]
  layer h : N[4]
  connect x -> h.x : dense(w = 1) delay 2 step
  output h
}
network Net {
  step 1 ms
  input inp[4]
  layer tower : Block repeat 2
  connect inp -> tower.x
}
";

#[test]
fn check_explains_and_speaks_json() {
    let place = Place::new();
    let ran = place.ok(&["check", "--explain", &fixture("tiny.snn")]);
    for words in [
        "receive, integrate, spike, reset",
        "by exact",
        "on spike detached",
        "4 bytes per neuron and step",
        "tau_mem = 20 ms, learned",
        "inp.hid.x.weight [16, 64]",
        "numbers are trained",
        "tape",
    ] {
        assert!(ran.out.contains(words), "no `{words}` in\n{}", ran.out);
    }
    place.file("meaning.snn", MEANING);
    let ran = place.ok(&["check", "--explain", "meaning.snn"]);
    for words in [
        "layers tower.0.h, tower.1.h of Net: N, step 1 ms",
        "receive    v += x, where x is the sum of weight times spike over what arrives",
        "next a = v",
        "where v > 1 (not at equality)",
        "reset      v = 0, where it spiked",
        "3 ms is 3 steps: after a spike in step k the next is possible in step k + 3; until then v keeps",
        "what arrives at x is lost",
        "start      v = 0",
        "tower.0.h -> tower.1.h.x through dense 2 steps later",
        "right-hand sides read the values from before the phase",
        "begin at their start value",
        "the same bits",
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
    assert!(
        emit("tape")
            .contains("saved u : real, 4 bytes, 0.40 ns, in place of port x, state v (8 bytes, 0.80 ns) and 0.12 ns of computing; read by")
    );
    let optimised = emit("optimised");
    for kernel in ["LIF.prologue", "LIF.infer", "LIF.forward", "LIF.backward"] {
        assert!(
            optimised.contains(&format!("kernel {kernel} {{")),
            "{kernel}"
        );
    }
    assert!(emit("clif").contains("function"));
    let asm = emit("asm");
    assert!(asm.contains("block0:") && asm.contains("ret"), "{asm}");
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
    // A run that is at its end says how it ended, as often as it is asked.
    let again = place.ok(&["train", "run/config.snn", "--resume", "run"]);
    assert_eq!(again.out, first.out);
    assert_eq!(place.ok(&["train", "--resume", "run"]).out, first.out);
    // A new run in the same folder leaves the old one alone.
    let old = place.text("run/metrics.jsonl");
    let ran = place.ok(&[&["train", &fixture("tiny.snn"), "--out", "run"], &sets[..]].concat());
    assert!(ran.err.contains("run/before-1"), "{}", ran.err);
    assert_eq!(place.text("run/before-1/metrics.jsonl"), old);
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
fn noise_is_that_of_the_seed() {
    let place = Place::new();
    place.file("a.snn", "import \"std/neurons.snn\"\n");
    place.npz("in.npz", &[("x", constant(&[20, 3, 5], 0.0))]);
    let run = |more: &[&str]| {
        let base = ["run", "a.snn", "--neuron", "NoisyLIF", "--input", "in.npz"];
        let mut args = base.to_vec();
        args.extend_from_slice(more);
        args.extend_from_slice(&["--out", "out.npz"]);
        place.ok(&args);
        place.read("out.npz")["v"].clone()
    };
    let first = run(&[]);
    assert_eq!(first, run(&["--seed", "0"]));
    assert_ne!(first, run(&["--seed", "1"]));
    // Every sample and neuron has its own noise, and its own beginning.
    let mut values: Vec<f64> = first.iter().copied().collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    assert!(values.len() > 280, "{} of 300 values differ", values.len());
    let exact = run(&["--executor", "interp", "--precision", "f64"]);
    let largest = (&first - &exact).iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert!(largest < 1e-5, "{largest}");
}

#[test]
fn training_with_noise_does_not_depend_on_threads() {
    let place = Place::new();
    let text = "import \"std/neurons.snn\"
network Net {
  step 1 ms
  input inp[64]
  layer hid : NoisyLIF[12] { sigma = 0.3 learn }
  layer out : LI[10]
  connect inp -> hid.x : dense(w = normal(0.1, 0.3))
  connect hid -> out.x : dense(w = kaiming_normal())
}
train fit of Net {
  data      = digits()
  valid     = holdout(0.2, seed = 1)
  duration  = 15 ms
  encode    = latency(tau = 20 ms)
  loss      = cross_entropy(max_over_time(out.v), label)
  optimizer = adam(lr = 5e-3)
  batch     = 60
  epochs    = 1
  seed      = 3
}
";
    place.file("noisy.snn", text);
    let weights = |threads: &str, folder: &str| {
        place.ok(&["train", "noisy.snn", "--threads", threads, "--out", folder]);
        load(&place.path(folder).join("best.safetensors")).expect("weights")
    };
    let one = weights("1", "one");
    assert_eq!(one, weights("3", "three"));
}

/// Groups of layers go the whole way: copies have weights of their own under dotted names, and are trained.
#[test]
fn a_chain_of_groups_is_trained() {
    let place = Place::new();
    let plan = "
train t of Net {
  data = random_spikes(samples = 16, channels = 4, classes = 2, density = 0.3)
  duration = 20 ms
  loss = cross_entropy(sum_over_time(tower.h.v), label)
  optimizer = adam(lr = 1e-2)
  epochs = 2
}
";
    place.file("deep.snn", &format!("{MEANING}{plan}"));
    place.ok(&["train", "deep.snn"]);
    let weights = std::fs::read(place.path("runs/t/best.safetensors")).expect("they were written");
    let header = String::from_utf8_lossy(&weights);
    for name in ["tower.0.x.h.x.weight", "tower.1.x.h.x.weight"] {
        assert!(header.contains(name), "no {name}");
    }
}
