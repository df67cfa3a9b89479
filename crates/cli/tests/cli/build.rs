//! `rheo build`: the object file in a C program gives what `rheo run` gives.
//!
//! A C compiler is needed (`cc`). For ARM the feature `arm64`, a cross compiler and an emulator are needed too;
//! without the last two the object file is only looked at.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use ndarray::{Array3, ArrayD, Axis};

use crate::place::{Place, fixture};

const STEPS: usize = 60;

/// A network and what its C program prints.
struct Case {
    /// The name of both files.
    name: &'static str,
    channels: usize,
    rows: &'static [&'static str],
}

const BUILD: Case = Case {
    name: "build",
    channels: 7,
    rows: &["hid.a", "hid.spikes", "hid.v", "out.v"],
};

const LAYERS: Case = Case {
    name: "layers",
    channels: 60,
    rows: &["first.spikes", "first.v", "out.v", "second.spikes"],
};

const DRAWN: Case = Case {
    name: "drawn",
    channels: 20,
    rows: &[
        "hid.spikes",
        "hid.v",
        "out.v",
        "rec.spikes",
        "rec.v",
        "rec.w",
    ],
};

const STATES: Case = Case {
    name: "states",
    channels: 7,
    rows: &["hid.a", "hid.spikes", "hid.v", "map.v", "out.v"],
};

/// Spikes or, with `graded`, events with values.
fn input(channels: usize, graded: bool) -> ArrayD<f64> {
    Array3::from_shape_fn((STEPS, 1, channels), |(t, _, i)| {
        match (t * 31 + i * 17 + t * i) % 5 {
            0 if graded => 0.25 * (1 + i % 7) as f64,
            0 => 1.0,
            _ => 0.0,
        }
    })
    .into_dyn()
}

/// What a C program printed: for each name the numbers of all steps.
fn printed(output: &str) -> BTreeMap<String, Vec<f64>> {
    let mut rows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in output.lines() {
        let mut words = line.split(' ');
        let name = words.next().expect("a name");
        let row = rows.entry(name.to_string()).or_default();
        row.extend(words.map(|x| x.parse::<f64>().expect("a number")));
    }
    rows
}

/// Links the C program of the fixture with what is in `folder`; gives the program's path.
fn link(place: &Place, case: &Case, compiler: &str, folder: &str, with: &[&str]) -> String {
    let program = place.path(&format!("{folder}/program"));
    let program = program.to_string_lossy().into_owned();
    let include = format!("-I{folder}");
    let c = fixture(&format!("{}.c", case.name));
    let mut args = vec!["-std=c11", "-Wall", "-Wextra", "-Werror", &include, &c];
    args.extend(with);
    args.extend(["-o", &program]);
    let linked = Command::new(compiler)
        .args(&args)
        .current_dir(place.path("."))
        .output()
        .expect("a C compiler");
    let message = String::from_utf8_lossy(&linked.stderr);
    assert!(linked.status.success(), "{compiler} {args:?}\n{message}");
    program
}

/// Runs a program on an input.
fn feed(command: &[&str], input: &ArrayD<f64>) -> BTreeMap<String, Vec<f64>> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let numbers: Vec<String> = input.iter().map(f64::to_string).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(numbers.join(" ").as_bytes())
        .expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success());
    printed(&String::from_utf8(output.stdout).expect("text"))
}

/// What `rheo run` gives for the network of a case.
fn run(
    place: &Place,
    case: &Case,
    input: ArrayD<f64>,
    more: &[&str],
) -> BTreeMap<String, ArrayD<f64>> {
    place.npz("in.npz", &[("inp", input)]);
    let program = fixture(&format!("{}.snn", case.name));
    let args = ["run", &program, "--network", "Net", "--input", "in.npz"];
    place.ok(&[&args[..], &["--out", "out.npz"], more].concat());
    place.read("out.npz")
}

/// Compares a C program with `rheo run`: the same spikes, states within `1e-5`.
fn assert_agrees(place: &Place, case: &Case, command: &[&str], graded: bool) {
    assert_agrees_with(place, case, command, graded, &[]);
}

/// The same with more options for `rheo run`; gives what the program printed.
fn assert_agrees_with(
    place: &Place,
    case: &Case,
    command: &[&str],
    graded: bool,
    more: &[&str],
) -> BTreeMap<String, Vec<f64>> {
    let input = input(case.channels, graded);
    let expected = run(place, case, input.clone(), more);
    let found = feed(command, &input);
    for (name, found) in &found {
        let expected = &expected[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        let spikes = name.ends_with(".spikes");
        let share = expected.iter().sum::<f64>() / expected.len() as f64;
        assert!(
            !spikes || (0.02..0.6).contains(&share),
            "{name}: {share} of neuron-steps say little"
        );
        for (i, (&e, &f)) in expected.iter().zip(found).enumerate() {
            let bound = if spikes { 0.0 } else { 1e-5 };
            assert!((e - f).abs() <= bound, "{name}[{i}]: {e} and {f}");
        }
    }
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, case.rows);
    found
}

fn build(place: &Place, case: &Case, more: &[&str]) {
    let program = fixture(&format!("{}.snn", case.name));
    place.ok(&[&["build", &program, "--network", "Net"], more].concat());
}

#[test]
fn a_c_program_gives_what_run_gives() {
    let place = Place::new();
    build(&place, &BUILD, &["--out", "c"]);
    let program = link(&place, &BUILD, "cc", "c", &["c/Net.o"]);
    assert_agrees(&place, &BUILD, &[&program], false);
    assert_agrees(&place, &BUILD, &[&program], true);
    assert_agrees(&place, &BUILD, &[&program, "events"], false);
    // The library holds the same, and nothing else is needed.
    let program = link(
        &place,
        &BUILD,
        "cc",
        "c",
        &["-Lc", "-lNet", "-nodefaultlibs", "-lc"],
    );
    assert_agrees(&place, &BUILD, &[&program], false);
}

/// All operations, on this machine with all its features and, where that is one, on any x86-64.
#[test]
fn every_operation_gives_what_run_gives() {
    let place = Place::new();
    build(&place, &LAYERS, &["--out", "c"]);
    let with = ["c/Net.o", "-nodefaultlibs", "-lc"];
    let program = link(&place, &LAYERS, "cc", "c", &with);
    assert_agrees(&place, &LAYERS, &[&program], false);
    assert_agrees(&place, &LAYERS, &[&program], true);
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        let target = ["--target", "x86_64-unknown-linux-gnu", "--out", "old"];
        build(&place, &LAYERS, &target);
        let program = link(&place, &LAYERS, "cc", "old", &["old/Net.o"]);
        assert_agrees(&place, &LAYERS, &[&program], false);
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn code_for_every_x86_64_needs_no_library() {
    let place = Place::new();
    build(
        &place,
        &BUILD,
        &["--out", "old", "--target", "x86_64-unknown-linux-gnu"],
    );
    let with = ["old/Net.o", "-nodefaultlibs", "-lc"];
    let program = link(&place, &BUILD, "cc", "old", &with);
    assert_agrees(&place, &BUILD, &[&program], false);
}

#[test]
fn the_same_build_gives_the_same_bytes_and_weights_can_be_apart() {
    let place = Place::new();
    build(&place, &BUILD, &["--out", "a"]);
    build(&place, &BUILD, &["--out", "b"]);
    let bytes = |name: &str| std::fs::read(place.path(name)).expect("written");
    for name in ["Net.o", "libNet.a", "Net.h"] {
        assert!(
            bytes(&format!("a/{name}")) == bytes(&format!("b/{name}")),
            "{name}"
        );
    }
    build(&place, &BUILD, &["--out", "apart", "--separate-weights"]);
    let weights = bytes("apart/Net.weights");
    let holds = |object: &[u8]| object.windows(weights.len()).any(|w| w == weights);
    assert!(holds(&bytes("a/Net.o")) && !holds(&bytes("apart/Net.o")));
    let size = format!("#define RHEO_NET_WEIGHTS_BYTES {}\n", weights.len());
    assert!(place.text("apart/Net.h").contains(&size));
    let file = place.path("apart/Net.weights");
    let file = format!("-DWEIGHTS=\"{}\"", file.display());
    let program = link(&place, &BUILD, "cc", "apart", &["apart/Net.o", &file]);
    assert_agrees(&place, &BUILD, &[&program], false);
}

/// Noise, drawn initial states, spikes that carry numbers, and delays of synapses: every sample of a run has its own
/// numbers, and a C program draws them by seed and sample.
#[test]
fn what_is_drawn_is_what_run_draws() {
    let place = Place::new();
    build(&place, &DRAWN, &["--out", "c"]);
    let program = link(
        &place,
        &DRAWN,
        "cc",
        "c",
        &["c/Net.o", "-nodefaultlibs", "-lc"],
    );
    let one = input(DRAWN.channels, false);
    // Both samples of a run have the same input.
    let both = ndarray::concatenate(Axis(1), &[one.view(), one.view()]).expect("the shapes fit");
    let expected = run(&place, &DRAWN, both, &[]);
    let found = ["0", "1"].map(|sample| feed(&[&program, "0", sample], &one));
    for (sample, found) in found.iter().enumerate() {
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, DRAWN.rows);
        for (name, found) in found {
            let expected = expected[name].index_axis(Axis(1), sample);
            assert_eq!(found.len(), expected.len(), "{name}");
            let some = expected.iter().filter(|x| **x != 0.0).count();
            assert!(some > expected.len() / 50, "{name} is 0");
            for (i, (&e, &f)) in expected.iter().zip(found).enumerate() {
                assert!(
                    (e - f).abs() <= 1e-5 * e.abs().max(1.0),
                    "{name}[{i}] of {sample}: {e} and {f}"
                );
            }
        }
    }
    assert!(found[0] != found[1], "samples differ");
    // Without a seed both numbers are 0.
    assert_eq!(feed(&[&program], &one), feed(&[&program, "0", "0"], &one));
}

/// Connections from states, at once and later, by all kinds of operations; what is on its way before the first step
/// are the initial values.
#[test]
fn states_arrive_as_in_a_run() {
    let place = Place::new();
    build(&place, &STATES, &["--out", "c"]);
    let with = ["c/Net.o", "-nodefaultlibs", "-lc"];
    let program = link(&place, &STATES, "cc", "c", &with);
    assert_agrees(&place, &STATES, &[&program], false);
    assert_agrees(&place, &STATES, &[&program], true);
}

/// Weights and patterns of sparse connections follow from the seed, as in a run.
#[test]
fn a_seed_draws_what_run_draws() {
    let place = Place::new();
    let found = ["5", "6"].map(|seed| {
        build(&place, &LAYERS, &["--out", seed, "--seed", seed]);
        let object = format!("{seed}/Net.o");
        let program = link(&place, &LAYERS, "cc", seed, &[&object]);
        assert_agrees_with(&place, &LAYERS, &[&program], false, &["--seed", seed])
    });
    assert!(found[0] != found[1], "seeds differ");
}

#[test]
fn an_unknown_machine_is_refused() {
    let place = Place::new();
    let file = fixture("build.snn");
    let args = ["build", &file, "--network", "Net", "--out", "c"];
    place.fails(2, &["vax"], &[&args[..], &["--target", "vax"]].concat());
    assert!(!place.path("c").exists());
}

#[test]
fn arm_code_is_an_arm_object_and_gives_what_run_gives() {
    let place = Place::new();
    let program = fixture("build.snn");
    let args = [
        "build",
        &program,
        "--network",
        "Net",
        "--out",
        "arm",
        "--target",
    ];
    let args = [&args[..], &["aarch64-unknown-linux-gnu"]].concat();
    if !cfg!(any(feature = "arm64", target_arch = "aarch64")) {
        place.fails(3, &["--features arm64"], &args);
        return;
    }
    place.ok(&args);
    let object = std::fs::read(place.path("arm/Net.o")).expect("written");
    // An ELF file of 64 bits, little-endian, for machine 183.
    assert_eq!(object[..6], *b"\x7fELF\x02\x01");
    assert_eq!(object[18..20], [183, 0]);
    let exists = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let (compiler, emulator) = ("aarch64-linux-gnu-gcc", "qemu-aarch64-static");
    if !(exists(compiler) && exists(emulator)) {
        let mut terminal = std::io::stderr();
        let words = format!("skipped: {compiler} or {emulator} is missing");
        writeln!(terminal, "{words}").expect("a terminal");
        return;
    }
    for case in [&BUILD, &LAYERS, &STATES] {
        let target = ["--target", "aarch64-unknown-linux-gnu", "--out", "arm"];
        build(&place, case, &target);
        let program = link(&place, case, compiler, "arm", &["-static", "arm/Net.o"]);
        assert_agrees(&place, case, &[emulator, &program], false);
    }
}
