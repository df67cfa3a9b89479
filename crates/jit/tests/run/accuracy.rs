//! The vector functions against double precision, over the whole range of `f32`: every 2^12th bit
//! pattern or so of both signs (denormals, infinities and NaNs among them), and a dense grid where
//! argument reduction changes its mind. The bounds are what is promised; the crate's documentation lists
//! what was found.

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
];

fn phi1(z: f64) -> f64 {
    real::phi(1, z)
}

fn phi2(z: f64) -> f64 {
    real::phi(2, z)
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
    assert!(!failed, "{report}");
}
