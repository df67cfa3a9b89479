//! The functions of the language, and the neurons of the tests.

use std::path::Path;

use rheobase_ir::cases;
use rheobase_ir::kernel::{Kernel, Role};
use rheobase_ir::pipeline::{self, Wanted};
use rheobase_ir::real;
use rheobase_ir::text::parse;
use rheobase_jit::Lane;

use crate::compile_times::compile_time;
use crate::rows::{LANES, Rows, bytes};

/// A function by its word in the text form, and what it means.
type Function = (&'static str, fn(f64) -> f64);

/// The functions that have a row of their own.
const FUNCTIONS: [Function; 14] = [
    ("sqrt", f64::sqrt),
    ("exp", f64::exp),
    ("expm1", f64::exp_m1),
    ("phi.1", |x| real::phi(1, x)),
    ("phi.2", |x| real::phi(2, x)),
    ("phi.3", |x| real::phi(3, x)),
    ("log", f64::ln),
    ("log1p", f64::ln_1p),
    ("sigmoid", real::sigmoid),
    ("tanh", f64::tanh),
    ("softplus", real::softplus),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("erf", real::erf),
];

/// Prints the tables.
pub(crate) fn report(floor: f64, _: &[&str]) {
    println!(
        "{:28} {:>4} {:>12} {:>12} {:>12}   ulp: the largest error against f64 at every 2^12th f32",
        "function", "real", "ns per lane", "ns floor", "ulp"
    );
    for (name, exact) in FUNCTIONS {
        let text = format!(
            "kernel {name} {{\n  v0 = in real port x\n  v1 = {name} v0\n  out state y = v1\n}}\n"
        );
        let kernel = parse(&text).expect("well formed");
        function::<f32>(
            &kernel,
            floor,
            &format!("{:.2}", largest_error(&kernel, exact)),
        );
        function::<f64>(&kernel, floor, "");
    }
    let kernel = parse(POW).expect("well formed");
    function::<f32>(&kernel, floor, "");
    function::<f64>(&kernel, floor, "");

    println!(
        "\n{:28} {:>4} {:>12} {:>12} {:>12}",
        "kernel", "real", "ns per lane", "ns floor", "us compile"
    );
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

fn function<R: Lane>(kernel: &Kernel, floor: f64, error: &str) {
    println!(
        "{:28} {:>4} {:>12.3} {:>12.3} {error:>12}",
        kernel.name,
        R::NAME,
        Rows::<R>::new(kernel, LANES).time(),
        bytes::<R>(kernel) as f64 * floor,
    );
}

/// The largest error of a function of one argument in `f32`, in units in the last place of the exact result.
fn largest_error(kernel: &Kernel, exact: fn(f64) -> f64) -> f64 {
    const COUNT: u32 = 1 << 20;
    let argument = |lane: usize| f32::from_bits((lane as u32).wrapping_mul(4099));
    let mut rows = Rows::<f32>::of(kernel, COUNT as usize, |slot, _, lane| match slot.role {
        Role::Port => f64::from(argument(lane)),
        Role::Param
        | Role::Derived
        | Role::Init
        | Role::State
        | Role::Spike
        | Role::Saved
        | Role::Key => 0.0,
    });
    rows.call();
    let found = rows.real("state y").iter().enumerate();
    let errors = found.filter_map(|(lane, &found)| {
        let expected = exact(f64::from(argument(lane)));
        // Infinities and NaN must be the same; the tests say that they are.
        let finite = found.is_finite() && (expected as f32).is_finite();
        finite.then(|| (f64::from(found) - expected).abs() / unit(expected))
    });
    errors.fold(0.0, f64::max)
}

/// The unit in the last place of an `f32` of this size.
fn unit(x: f64) -> f64 {
    let exponent = if x == 0.0 {
        -126
    } else {
        x.abs().log2().floor() as i32
    };
    2f64.powi(exponent.max(-126) - 23)
}

fn row<R: Lane>(kernel: &Kernel, floor: f64) {
    let compiling = compile_time::<R>(kernel);
    println!(
        "{:28} {:>4} {:>12.3} {:>12.3} {:>12.0}",
        kernel.name,
        R::NAME,
        Rows::<R>::new(kernel, LANES).time(),
        bytes::<R>(kernel) as f64 * floor,
        compiling * 1e6
    );
}
