//! The vector functions against more precise ones. In `f32`, against double precision over the whole range:
//! every 2^12th bit pattern or so of both signs (denormals, infinities and NaNs among them), and a dense
//! grid where argument reduction changes its mind. In `f64`, against the values of `reference.txt`, which
//! `reference.py` computed with more than a thousand bits (`RHEOBASE_REFERENCE` names a file with more of them). With
//! `--nocapture` the largest errors are shown. The bounds are what is promised; the
//! crate's documentation lists what was found.

#![expect(
    clippy::print_stdout,
    reason = "the errors that were found are a report of these tests"
)]

use rheobase_ir::builder::Builder;
use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::ops::Op;
use rheobase_ir::real;
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::Target;

use crate::ulps::unit;

/// A vector function: its op, its meaning, the bounds in units in the last place (with and without fused multiply-add).
struct Function {
    op: Op,
    exact: fn(f64) -> f64,
    bounds: [f64; 2],
}

const FUNCTIONS: &[Function] = &[
    Function {
        op: Op::Exp,
        exact: f64::exp,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Expm1,
        exact: f64::exp_m1,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Phi(1),
        exact: phi1,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Phi(2),
        exact: phi2,
        bounds: [3.0, 3.0],
    },
    Function {
        op: Op::Log,
        exact: f64::ln,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Log1p,
        exact: f64::ln_1p,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Softplus,
        exact: real::softplus,
        bounds: [2.0, 2.0],
    },
    Function {
        op: Op::Sigmoid,
        exact: real::sigmoid,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Tanh,
        exact: f64::tanh,
        bounds: [1.5, 1.5],
    },
    Function {
        op: Op::Phi(3),
        exact: phi3,
        bounds: [1.0, 1.0],
    },
    Function {
        op: Op::Sin,
        exact: f64::sin,
        bounds: [1.0, 1.0],
    },
    Function {
        op: Op::Cos,
        exact: f64::cos,
        bounds: [1.0, 1.0],
    },
    Function {
        op: Op::Erf,
        exact: real::erf,
        bounds: [1.5, 1.5],
    },
];

fn phi1(z: f64) -> f64 {
    real::phi(1, z)
}

fn phi2(z: f64) -> f64 {
    real::phi(2, z)
}

fn phi3(z: f64) -> f64 {
    real::phi(3, z)
}

fn arguments() -> Vec<f32> {
    let mut arguments: Vec<f32> = (0..1u32 << 20)
        .map(|i| f32::from_bits(i.wrapping_mul(4099)))
        .collect();
    arguments.extend([
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
    ]);
    let dense = |from: f64, to: f64, n: i32| {
        (0..n).map(move |i| (from + (to - from) * f64::from(i) / f64::from(n)) as f32)
    };
    arguments.extend(dense(-2.5, 2.5, 300_000));
    arguments.extend(dense(-110.0, 100.0, 300_000));
    arguments.extend(dense(0.4, 2.5, 100_000));
    arguments
}

/// The largest error and where it is.
fn worst(function: &Function, target: &Target, arguments: &[f32]) -> (f64, f32, f32) {
    let mut b = Builder::new(function.op.name());
    let x = b.input(Slot::new(Role::Port, "x"), Type::Real, Rate::Lane);
    let y = b.inst(function.op, &[x]);
    b.output(Slot::new(Role::State, "y"), y, Rate::Lane);
    let compiled = rheobase_jit::compile::<f32>(&b.finish(), target).expect("verified");
    let mut results = vec![0.0; arguments.len()];
    let mut args = [Arg::Real(arguments), Arg::RealMut(&mut results)];
    compiled.call(arguments.len(), &mut args).expect("two rows");
    let mut worst = (0.0, 0.0, 0.0);
    for (&x, &y) in arguments.iter().zip(&results) {
        let error = error((function.exact)(f64::from(x)), y);
        if error > worst.0 {
            worst = (error, x, y);
        }
    }
    worst
}

/// The distance of a result from the exact one, in units in the last place of the exact one; infinite
/// for a wrong special value or a zero of the wrong sign.
fn error(exact: f64, found: f32) -> f64 {
    let rounded = exact as f32;
    if rounded.is_nan() || found.is_nan() {
        return if rounded.is_nan() && found.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if rounded.is_infinite() || found.is_infinite() {
        // Infinity follows the largest number.
        let next = |a: f32, b: f32| a.is_infinite() && b == f32::MAX.copysign(a);
        return match () {
            () if rounded == found => 0.0,
            () if next(rounded, found) || next(found, rounded) => 1.0,
            () => f64::INFINITY,
        };
    }
    if rounded == 0.0 && found == 0.0 && rounded.is_sign_negative() != found.is_sign_negative() {
        return f64::INFINITY;
    }
    (f64::from(found) - exact).abs() / unit::<f32>(exact)
}

#[test]
fn vector_functions_keep_their_bounds() {
    let arguments = arguments();
    let mut report = String::new();
    let mut failed = false;
    for function in FUNCTIONS {
        for (target, bound) in [Target::host(), Target::baseline()]
            .iter()
            .zip(function.bounds)
        {
            let (error, x, y) = worst(function, target, &arguments);
            failed |= error > bound;
            report += &format!(
                "{:9} {error:.3} ulp (bound {bound}) at {x:e} ({:#010x}): {y:e}, exact {:e}\n",
                function.op.name(),
                x.to_bits(),
                (function.exact)(f64::from(x))
            );
        }
    }
    println!("{report}");
    assert!(!failed, "{report}");
}

/// The largest error of `pow` in `f32` over pairs of numbers of all sizes whose power is a number, and near 1.
#[test]
fn powers_keep_their_bound() {
    let mut b = Builder::new("pow");
    let x = b.input(Slot::new(Role::Port, "x"), Type::Real, Rate::Lane);
    let y = b.input(Slot::new(Role::Port, "y"), Type::Real, Rate::Lane);
    let z = b.inst(Op::Pow, &[x, y]);
    b.output(Slot::new(Role::State, "z"), z, Rate::Lane);
    let kernel = b.finish();
    let bits = |i: u32| i.wrapping_mul(0x9e37_79b9);
    let (bases, exponents): (Vec<f32>, Vec<f32>) = (0..400_000u32)
        .map(|i| {
            let base = f32::from_bits(bits(i) >> 1).min(f32::MAX);
            let near = 0.5 + (bits(i) >> 8) as f32 / (1 << 24) as f32;
            let base = if i % 2 == 0 { base } else { near };
            let span = 104.0 / base.ln().abs().max(1e-3);
            let unit = (bits(i + 7) >> 8) as f32 / (1 << 23) as f32 - 1.0;
            (base, unit * span)
        })
        .unzip();
    for target in [Target::host(), Target::baseline()] {
        let compiled = rheobase_jit::compile::<f32>(&kernel, &target).expect("verified");
        let mut results = vec![0.0; bases.len()];
        let mut args = [
            Arg::Real(&bases),
            Arg::Real(&exponents),
            Arg::RealMut(&mut results),
        ];
        compiled.call(bases.len(), &mut args).expect("three rows");
        for ((&x, &y), &z) in bases.iter().zip(&exponents).zip(&results) {
            let exact = f64::from(x).powf(f64::from(y));
            let error = error(exact, z);
            assert!(error <= 1.0, "{x:e}^{y:e}: {z:e}, exact {exact:e}: {error}");
        }
    }
}

/// A line of `reference.txt`.
struct Reference<'t> {
    name: &'t str,
    args: Vec<f64>,
    /// The value, rounded.
    value: f64,
    /// What rounding lost, in units in the last place.
    lost: f64,
}

fn references(text: &str) -> Vec<Reference<'_>> {
    let number = |bits: &str| f64::from_bits(u64::from_str_radix(bits, 16).expect("16 digits"));
    let line = |line| {
        let mut fields = str::split_whitespace(line);
        let name = fields.next().expect("a name");
        let mut args: Vec<&str> = fields.collect();
        let lost = args.pop().and_then(|lost| lost.parse().ok());
        let value = number(args.pop().expect("a value"));
        Reference {
            name,
            args: args.into_iter().map(number).collect(),
            value,
            lost: lost.expect("what rounding lost"),
        }
    };
    text.lines().map(line).collect()
}

/// The functions in `f64` and their bounds in units in the last place.
const DOUBLE: &[(&str, Op, f64)] = &[
    ("exp", Op::Exp, 1.5),
    ("expm1", Op::Expm1, 1.5),
    ("phi.1", Op::Phi(1), 1.5),
    ("phi.2", Op::Phi(2), 3.0),
    ("phi.3", Op::Phi(3), 3.0),
    ("log", Op::Log, 1.5),
    ("log1p", Op::Log1p, 1.5),
    ("tanh", Op::Tanh, 1.5),
    ("sigmoid", Op::Sigmoid, 1.5),
    ("softplus", Op::Softplus, 2.0),
    ("sin", Op::Sin, 1.0),
    ("cos", Op::Cos, 1.0),
    ("erf", Op::Erf, 1.5),
    ("pow", Op::Pow, 1.5),
];

#[test]
fn double_precision_functions_keep_their_bounds() {
    let text = match std::env::var("RHEOBASE_REFERENCE") {
        Ok(path) => std::fs::read_to_string(path).expect("the file is readable"),
        Err(_) => include_str!("reference.txt").to_owned(),
    };
    let references = references(&text);
    let mut report = String::new();
    let mut failed = false;
    for &(name, op, bound) in DOUBLE {
        for target in [Target::host(), Target::baseline()] {
            let points: Vec<_> = references.iter().filter(|r| r.name == name).collect();
            assert!(points.len() >= 50, "{name}");
            let mut b = Builder::new(name);
            let args: Vec<_> = (0..points[0].args.len())
                .map(|i| {
                    b.input(
                        Slot::new(Role::Port, format!("a{i}")),
                        Type::Real,
                        Rate::Lane,
                    )
                })
                .collect();
            let result = b.inst(op, &args);
            b.output(Slot::new(Role::State, "y"), result, Rate::Lane);
            let compiled = rheobase_jit::compile::<f64>(&b.finish(), &target).expect("verified");
            let rows: Vec<Vec<f64>> = (0..args.len())
                .map(|i| points.iter().map(|point| point.args[i]).collect())
                .collect();
            let mut results = vec![0.0; points.len()];
            let mut args: Vec<Arg<'_, f64>> = rows.iter().map(|row| Arg::Real(row)).collect();
            args.push(Arg::RealMut(&mut results));
            compiled.call(points.len(), &mut args).expect("all rows");
            let mut worst = (0.0, 0);
            for (i, (point, &found)) in points.iter().zip(&results).enumerate() {
                let error = (found - point.value) / unit::<f64>(point.value) - point.lost;
                if error.abs() > worst.0 || error.is_nan() {
                    worst = (
                        if error.is_nan() {
                            f64::INFINITY
                        } else {
                            error.abs()
                        },
                        i,
                    );
                }
            }
            let (error, i) = worst;
            failed |= error > bound;
            report += &format!(
                "{name:9} {error:.3} ulp (bound {bound}) at {:?}: {:e}, exact {:e}\n",
                points[i].args, results[i], points[i].value
            );
        }
    }
    println!("{report}");
    assert!(!failed, "{report}");
}
