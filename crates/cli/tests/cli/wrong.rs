//! Wrong input of every kind ends with its exit status and a message that names what is wrong, and leaves
//! nothing behind.

use ndarray::ArrayD;

use crate::place::{Place, constant, fixture, ramp};

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
    let ran = place.fails(3, &["error[E0705]", "missing.h5"], &["train", "spoken.snn"]);
    assert!(!ran.err.contains("epoch"), "{}", ran.err);
    let nan = [
        "train",
        &tiny,
        "--set",
        "optimizer.lr=1e30",
        "--set",
        "epochs=3",
    ];
    place.fails(3, &["error[E0708]", "epoch"], &nan);
    let overflow = ["train", &tiny, "--set", "hid.out.x.weight=3e38"];
    let words = ["error[E0708]", "`v` of out[", "step", "sample", "bad op"];
    place.fails(3, &words, &overflow);
    std::fs::write(place.path("cut.h5"), b"\x89HDF\r\n\x1a\nand no more").expect("written");
    place.file("cut.snn", &spoken.replace("missing.h5", "cut.h5"));
    place.fails(3, &["error[E0705]", "cut.h5"], &["train", "cut.snn"]);
}

/// A state that the loss does not depend on: only looking at it finds that it overflows.
#[test]
fn states_are_looked_at_if_asked_for() {
    let place = Place::new();
    let text = std::fs::read_to_string(fixture("tiny.snn")).expect("readable");
    let aside = "state v = 0\n  state aside = 1\n  next aside = 1e30 * aside + x";
    place.file("aside.snn", &text.replacen("state v = 0", aside, 1));
    let train = ["train", "aside.snn", "--set", "epochs=1", "--out", "run"];
    place.ok(&train);
    let words = [
        "error[E0708]",
        "`aside` of hid[0] became inf at step 1 of sample 0",
        "bad op",
    ];
    place.fails(3, &words, &[&train[..], &["--check-finite"]].concat());
    let bench = ["bench", "aside.snn", "--steps", "1", "--check-finite"];
    place.fails(3, &words[..2], &bench);
    let whole = fixture("tiny.snn");
    place.ok(&["bench", &whole, "--steps", "1", "--check-finite"]);
}

#[test]
fn doubtful_runs_say_so_and_go_on() {
    let place = Place::new();
    let tiny = fixture("tiny.snn");
    let encode = "encode=constant(gain=1)";
    let train = |set: &str| {
        let args = [
            "train", &tiny, "--set", "epochs=1", "--set", encode, "--set", set,
        ];
        place.ok(&args).err
    };
    assert!(train("inp.hid.x.weight=0").contains("warning[W0707]: `hid` does not spike"));
    assert!(train("inp.hid.x.weight=50").contains("warning[W0707]: `hid` spikes in"));
    assert!(!train("seed=1").contains("warning"));
}

#[test]
fn events_after_the_end_are_counted() {
    let place = Place::new();
    // Two N-MNIST recordings (x, y, then polarity and microseconds): an event at 1 ms, and one at 50 ms.
    for digit in ["0", "1"] {
        let folder = place.path(&format!("events/{digit}"));
        std::fs::create_dir_all(&folder).expect("made");
        let bytes = [3, 4, 0, 0x03, 0xe8, 5, 6, 0, 0xc3, 0x50];
        std::fs::write(folder.join("00001.bin"), bytes).expect("written");
    }
    let text = std::fs::read_to_string(fixture("tiny.snn")).expect("readable");
    let text = text
        .replace("inp[64]", "inp[2, 34, 34]")
        .replace("digits()", "nmnist(\"events\")")
        .replace("latency(tau = 10 ms)", "bin_spikes()")
        .replace("  test      = holdout(0.2, seed = 0)\n", "")
        .replace("  valid     = holdout(0.1)\n", "");
    place.file("cut.snn", &text);
    let ran = place.ok(&["train", "cut.snn", "--set", "epochs=1"]);
    let message = "warning[W0706]: 2 of 2 samples have events outside the duration; 2 events";
    assert!(ran.err.contains(message), "{}", ran.err);
    // A duration that ends just behind the last event.
    let longer = [
        "train",
        "cut.snn",
        "--set",
        "epochs=1",
        "--set",
        "duration=51ms",
    ];
    let ran = place.ok(&longer);
    assert!(!ran.err.contains("W0706"), "{}", ran.err);
}
