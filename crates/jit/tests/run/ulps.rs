//! When two numbers count as equal: in units in the last place, with zeros of both signs apart and all
//! NaNs the same.

use rheobase_ir::ops::Op;
use rheobase_jit::Lane;

/// How far the compiled result of an op may be from the interpreter's, in units in the last place: the
/// bound of `accuracy.rs` and the interpreter's own error. Its `f32` functions are rounded from `f64`, so
/// that is half a unit; in `f64` they are the system's, for which one unit is allowed, and the series
/// and recurrences of phi_k.
pub(crate) fn tolerance<R: Lane>(op: Op) -> f64 {
    let own = if R::NAME == "f32" { 0.5 } else { 1.0 };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an op without a vector function is exact, new ones included"
    )]
    match op {
        Op::Exp | Op::Expm1 | Op::Phi(0) | Op::Log | Op::Log1p | Op::Tanh | Op::Sigmoid => {
            1.5 + own
        }
        Op::Softplus => 2.0 + own,
        Op::Phi(_) if R::NAME == "f64" => 8.0,
        Op::Phi(1) => 2.0,
        Op::Phi(_) | Op::Pow | Op::Sin | Op::Cos | Op::Erf => 3.0 + own,
        Op::Normal(_) => 3.5 + own,
        _ => 0.0,
    }
}

/// Whether `found` is at most so many units away from `expected`.
pub(crate) fn close<R: Lane>(expected: f64, found: f64, ulps: f64) -> bool {
    if expected.is_nan() || found.is_nan() {
        return expected.is_nan() && found.is_nan();
    }
    if expected == found {
        return expected != 0.0 || expected.is_sign_negative() == found.is_sign_negative();
    }
    if expected.is_infinite() || found.is_infinite() {
        // One of them rounded to the largest number instead.
        let largest = if R::NAME == "f32" {
            f64::from(f32::MAX)
        } else {
            f64::MAX
        };
        return ulps > 0.0 && expected.abs().min(found.abs()) == largest;
    }
    (expected - found).abs() <= ulps * unit::<R>(expected)
}

/// The unit in the last place at a number.
pub(crate) fn unit<R: Lane>(x: f64) -> f64 {
    let (digits, least) = if R::NAME == "f32" {
        (23, -149)
    } else {
        (52, -1074)
    };
    let exponent = if x == 0.0 {
        least
    } else {
        x.abs().log2().floor() as i32 - digits
    };
    let exponent = exponent.max(least);
    if exponent < -1022 {
        f64::from_bits(1 << (exponent + 1074))
    } else {
        2f64.powi(exponent)
    }
}
