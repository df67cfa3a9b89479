//! `rheo build`: the object file in a C program gives what `rheo run` gives.
//!
//! A C compiler is needed (`cc`). For ARM the feature `arm64`, a cross compiler and an emulator are needed too;
//! without the last two the object file is only looked at.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use ndarray::{Array3, ArrayD};

use crate::place::{Place, fixture};

const STEPS: usize = 60;
const CHANNELS: usize = 7;

/// Spikes or, with `graded`, events with values.
fn input(graded: bool) -> ArrayD<f64> {
    Array3::from_shape_fn((STEPS, 1, CHANNELS), |(t, _, i)| {
        match (t * 31 + i * 17 + t * i) % 5 {
            0 if graded => 0.25 * (1 + i) as f64,
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
fn link(place: &Place, compiler: &str, folder: &str, with: &[&str]) -> String {
    let program = place.path(&format!("{folder}/program"));
    let program = program.to_string_lossy().into_owned();
    let include = format!("-I{folder}");
    let c = fixture("build.c");
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

/// Compares a C program with `rheo run`: the same spikes, states within `1e-5`.
fn assert_agrees(place: &Place, command: &[&str], graded: bool) {
    let input = input(graded);
    place.npz("in.npz", &[("inp", input.clone())]);
    let build = fixture("build.snn");
    let args = ["run", &build, "--network", "Net", "--input", "in.npz"];
    place.ok(&[&args[..], &["--out", "out.npz"]].concat());
    let expected = place.read("out.npz");
    let found = feed(command, &input);
    let spikes: f64 = expected["hid.spikes"].sum();
    assert!(
        (20.0..400.0).contains(&spikes),
        "{spikes} spikes say little"
    );
    for (name, found) in &found {
        let expected = &expected[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        for (i, (&e, &f)) in expected.iter().zip(found).enumerate() {
            let bound = if name == "hid.spikes" { 0.0 } else { 1e-5 };
            assert!((e - f).abs() <= bound, "{name}[{i}]: {e} and {f}");
        }
    }
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["hid.a", "hid.spikes", "hid.v", "out.v"]);
}

fn build(place: &Place, more: &[&str]) {
    let build = fixture("build.snn");
    place.ok(&[&["build", &build, "--network", "Net"], more].concat());
}

#[test]
fn a_c_program_gives_what_run_gives() {
    let place = Place::new();
    build(&place, &["--out", "c"]);
    let program = link(&place, "cc", "c", &["c/Net.o"]);
    assert_agrees(&place, &[&program], false);
    assert_agrees(&place, &[&program], true);
    assert_agrees(&place, &[&program, "events"], false);
    // The library holds the same, and nothing else is needed.
    let program = link(
        &place,
        "cc",
        "c",
        &["-Lc", "-lNet", "-nodefaultlibs", "-lc"],
    );
    assert_agrees(&place, &[&program], false);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn code_for_every_x86_64_needs_no_library() {
    let place = Place::new();
    build(
        &place,
        &["--out", "old", "--target", "x86_64-unknown-linux-gnu"],
    );
    let with = ["old/Net.o", "-nodefaultlibs", "-lc"];
    let program = link(&place, "cc", "old", &with);
    assert_agrees(&place, &[&program], false);
}

#[test]
fn the_same_build_gives_the_same_bytes_and_weights_can_be_apart() {
    let place = Place::new();
    build(&place, &["--out", "a"]);
    build(&place, &["--out", "b"]);
    let bytes = |name: &str| std::fs::read(place.path(name)).expect("written");
    for name in ["Net.o", "libNet.a", "Net.h"] {
        assert!(
            bytes(&format!("a/{name}")) == bytes(&format!("b/{name}")),
            "{name}"
        );
    }
    build(&place, &["--out", "apart", "--separate-weights"]);
    let weights = bytes("apart/Net.weights");
    let holds = |object: &[u8]| object.windows(weights.len()).any(|w| w == weights);
    assert!(holds(&bytes("a/Net.o")) && !holds(&bytes("apart/Net.o")));
    let size = format!("#define RHEO_NET_WEIGHTS_BYTES {}\n", weights.len());
    assert!(place.text("apart/Net.h").contains(&size));
}

#[test]
fn what_an_object_file_cannot_do_is_refused() {
    let place = Place::new();
    let noisy = "neuron N {
  input x
  state v = 0
  noise xi = white()
  v' = -v / 20 ms + 0.1 * sqrt(2 / 20 ms) * xi
  on receive x { v += x }
}
network Net {
  step 1 ms
  input inp[2]
  layer out : N[3]
  connect inp -> out.x : dense(w = 1)
}
";
    place.file("noisy.snn", noisy);
    let words = ["E0211", "the noise of layer `out`"];
    place.fails(
        3,
        &words,
        &["build", "noisy.snn", "--network", "Net", "--out", "c"],
    );
    let args = [
        "build",
        "noisy.snn",
        "--network",
        "Net",
        "--out",
        "c",
        "--target",
        "vax",
    ];
    place.fails(2, &["vax"], &args);
    assert!(!place.path("c").exists());
}

#[test]
fn arm_code_is_an_arm_object_and_gives_what_run_gives() {
    let place = Place::new();
    let build = fixture("build.snn");
    let args = [
        "build",
        &build,
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
    if exists(compiler) && exists(emulator) {
        let program = link(&place, compiler, "arm", &["-static", "arm/Net.o"]);
        assert_agrees(&place, &[emulator, &program], false);
    }
}
