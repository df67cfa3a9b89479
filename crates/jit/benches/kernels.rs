//! What compiled kernels cost: nanoseconds per lane and step with the rows in the first cache, beside the
//! time that copying the same bytes takes (the floor), and microseconds to compile. For each the best of
//! many repetitions on one thread.
//!
//! `cargo bench -p rheobase-jit`. It reports; nothing depends on a figure.

#![expect(
    clippy::print_stdout,
    reason = "the report of a benchmark goes to the terminal"
)]

use std::path::Path;
use std::time::Instant;

use rheobase_ir::cases;
use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Kernel, Param};
use rheobase_ir::pipeline::{self, Wanted};
use rheobase_ir::text::parse;
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::{Lane, Target, compile};

/// Lanes of a row: 4 KiB of `f32`.
const LANES: usize = 1024;

/// The functions that have a row of their own.
const FUNCTIONS: [&str; 14] = [
    "sqrt", "exp", "expm1", "phi.1", "phi.2", "phi.3", "log", "log1p", "sigmoid", "tanh",
    "softplus", "sin", "cos", "erf",
];

fn main() {
    let floor = floor();
    println!(
        "{:28} {:>4} {:>12} {:>12} {:>12}",
        "kernel", "real", "ns per lane", "ns floor", "us compile"
    );
    for function in FUNCTIONS {
        let text = format!(
            "kernel {function} {{\n  v0 = in real port x\n  v1 = {function} v0\n  out state y = v1\n}}\n"
        );
        let kernel = parse(&text).expect("well formed");
        report::<f32>(&kernel, floor);
        report::<f64>(&kernel, floor);
    }
    let kernel = parse(POW).expect("well formed");
    report::<f32>(&kernel, floor);
    report::<f64>(&kernel, floor);
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
            report::<f32>(kernel, floor);
        }
        report::<f64>(&stages.forward, floor);
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

/// Nanoseconds for each byte that is read or written when a row is copied.
fn floor() -> f64 {
    let (from, mut to) = (vec![1.0f32; LANES], vec![0.0f32; LANES]);
    let copy = best(300, 100, || {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
    });
    copy * 1e9 / (2 * LANES * size_of::<f32>()) as f64
}

/// The bytes of a lane that a kernel reads and writes.
fn bytes<R: Lane>(kernel: &Kernel) -> usize {
    let lanes = kernel
        .signature()
        .into_iter()
        .filter(|p| p.rate == Rate::Lane);
    let one = |param: Param| {
        let times = if param.access == Access::Update { 2 } else { 1 };
        times
            * match param.ty {
                Type::Real => size_of::<R>(),
                Type::Bool => 1,
            }
    };
    lanes.map(one).sum()
}

fn report<R: Lane>(kernel: &Kernel, floor: f64) {
    let target = Target::host();
    let compiling = best(50, 1, || {
        compile::<R>(kernel, &target).expect("verified");
    });
    let compiled = compile::<R>(kernel, &target).expect("verified");
    let signature = compiled.signature().to_vec();
    let mut reals: Vec<Vec<R>> = Vec::new();
    let mut bools: Vec<Vec<u8>> = Vec::new();
    for (i, param) in signature.iter().enumerate() {
        let n = match param.rate {
            Rate::Uniform => 1,
            Rate::Lane => LANES,
        };
        let value = |lane| R::from_f64(((lane * 7919 + i * 31) % 1000) as f64 / 1000.0 + 0.01);
        reals.push((0..n).map(value).collect());
        bools.push(vec![0; n]);
    }
    let mut args: Vec<Arg<'_, R>> = reals
        .iter_mut()
        .zip(&mut bools)
        .zip(&signature)
        .map(|((real, bool), param)| match param.ty {
            Type::Real => Arg::RealMut(real),
            Type::Bool => Arg::BoolMut(bool),
        })
        .collect();
    let call = best(300, 20, || {
        compiled
            .call(LANES, &mut args)
            .expect("the signature is met");
    });
    println!(
        "{:28} {:>4} {:>12.3} {:>12.3} {:>12.0}",
        kernel.name,
        R::NAME,
        call * 1e9 / LANES as f64,
        bytes::<R>(kernel) as f64 * floor,
        compiling * 1e6
    );
}

/// The shortest time of one run in seconds, over repetitions of so many runs.
fn best(repetitions: usize, runs: usize, mut run: impl FnMut()) -> f64 {
    (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            (0..runs).for_each(|_| run());
            start.elapsed().as_secs_f64() / runs as f64
        })
        .fold(f64::INFINITY, f64::min)
}
