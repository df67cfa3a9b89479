//! The functions of the language, and the neurons of the tests.

use std::path::Path;

use rheobase_ir::cases;
use rheobase_ir::kernel::Kernel;
use rheobase_ir::pipeline::{self, Wanted};
use rheobase_ir::text::parse;
use rheobase_jit::{Lane, Target, compile};

use crate::rows::{LANES, Rows, best, bytes};

/// The functions that have a row of their own.
const FUNCTIONS: [&str; 14] = [
    "sqrt", "exp", "expm1", "phi.1", "phi.2", "phi.3", "log", "log1p", "sigmoid", "tanh",
    "softplus", "sin", "cos", "erf",
];

/// Prints the table.
pub(crate) fn report(floor: f64, _: &[&str]) {
    println!(
        "{:28} {:>4} {:>12} {:>12} {:>12}",
        "kernel", "real", "ns per lane", "ns floor", "us compile"
    );
    for function in FUNCTIONS {
        let text = format!(
            "kernel {function} {{\n  v0 = in real port x\n  v1 = {function} v0\n  out state y = v1\n}}\n"
        );
        let kernel = parse(&text).expect("well formed");
        row::<f32>(&kernel, floor);
        row::<f64>(&kernel, floor);
    }
    let kernel = parse(POW).expect("well formed");
    row::<f32>(&kernel, floor);
    row::<f64>(&kernel, floor);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ir/tests/neurons");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let neuron = cases::neuron(&text).expect("well formed");
        let stages = pipeline::build(&neuron, Wanted::NONE).expect("the pipeline is right");
        for kernel in [&stages.infer, &stages.forward, &stages.backward] {
            row::<f32>(kernel, floor);
        }
        row::<f64>(&stages.forward, floor);
    }
}

/// A function of two arguments.
const POW: &str = "kernel pow {
  v0 = in real port x
  v1 = in real port y
  v2 = pow v0, v1
  out state z = v2
}
";

fn row<R: Lane>(kernel: &Kernel, floor: f64) {
    let target = Target::host();
    let compiling = best(50, 1, || {
        compile::<R>(kernel, &target).expect("verified");
    });
    println!(
        "{:28} {:>4} {:>12.3} {:>12.3} {:>12.0}",
        kernel.name,
        R::NAME,
        Rows::<R>::new(kernel, LANES).time(),
        bytes::<R>(kernel) as f64 * floor,
        compiling * 1e6
    );
}
