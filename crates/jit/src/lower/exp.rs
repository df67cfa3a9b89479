//! The exponential in single-precision vectors, and what follows directly from it: `expm1`, phi_1
//! and phi_2.
//!
//! `e^x = 2^n · e^r` with `n = round(x·log2 e)` and `r = x − n·ln 2`, |r| ≤ ln 2 / 2 (Cody & Waite 1980). ln 2
//! is split in two so that `n` times the larger part is exact. `n` is found by adding 1.5·2^23, which
//! leaves it in the low bits of the sum; the constant added is chosen so that they hold a biased
//! exponent, which a shift turns into the power of two. `e^r = 1 + r + r²·q(r)` with the polynomial of
//! Cephes' `expf` (Moshier).
//!
//! The whole range is covered without a branch: arguments are clamped where the result is 0 or
//! infinite, and 2^n is applied as two factors, so that a denormal result is rounded once. NaN passes
//! through the clamps because they return their second operand when unordered.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder, types};

use super::Emitter;

/// 1.5·2^23: a number whose unit in the last place is 1.
const ROUNDER: f64 = 12_582_912.0;
/// The upper part of ln 2, with 9 significant bits.
const LN2_HIGH: f64 = 0.693_359_375;
/// ln 2 less the upper part.
const LN2_LOW: f64 = -2.121_944_4e-4;
/// The coefficients of q, highest power first.
const Q: [f64; 6] = [
    1.987_569_15e-4,
    1.398_199_950_7e-3,
    8.333_451_907_3e-3,
    4.166_579_589_4e-2,
    1.666_666_545_9e-1,
    5.000_000_120_1e-1,
];
/// `expm1_scaled` gives its result times 2 to this power.
const SCALE_EXPONENT: i32 = -16;
/// Above this phi_1 and phi_2 are infinite; n is at most 142, so that 2^(n − 16) is finite.
const EXPM1_HIGH: f64 = 98.5;
/// The coefficients 1/(j + 2)! of the Taylor series of phi_2, highest power first.
const PHI2: [f64; 10] = [
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// An argument reduced for the exponential.
struct Reduced {
    /// r.
    r: ir::Value,
    /// What rounding r lost.
    r_low: ir::Value,
    /// `r²·q(r)`.
    rest: ir::Value,
    /// n + bias in the low bits.
    n: ir::Value,
}

impl Emitter<'_> {
    /// `a·b + c`, rounded once where the machine can.
    pub(super) fn mul_add(&mut self, a: ir::Value, b: ir::Value, c: ir::Value) -> ir::Value {
        if self.fused {
            self.pos.ins().fma(a, b, c)
        } else {
            let product = self.pos.ins().fmul(a, b);
            self.pos.ins().fadd(product, c)
        }
    }

    /// `c − a·b`, rounded once where the machine can.
    pub(super) fn mul_sub(&mut self, a: ir::Value, b: ir::Value, c: ir::Value) -> ir::Value {
        if self.fused {
            let minus = self.pos.ins().fneg(a);
            self.pos.ins().fma(minus, b, c)
        } else {
            let product = self.pos.ins().fmul(a, b);
            self.pos.ins().fsub(c, product)
        }
    }

    /// A polynomial by Horner's rule, highest power first.
    pub(super) fn polynomial(&mut self, x: ir::Value, coefficients: &[f64]) -> ir::Value {
        let mut sum = self.real(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            let coefficient = self.real(coefficient);
            sum = self.mul_add(sum, x, coefficient);
        }
        sum
    }

    /// `x` moved into a range; NaN stays.
    fn clamp(&mut self, x: ir::Value, low: f64, high: f64) -> ir::Value {
        let (low, high) = (self.real(low), self.real(high));
        let x = self.max(low, x);
        self.min(high, x)
    }

    fn reduce(&mut self, x: ir::Value, bias: i32) -> Reduced {
        let log2_e = self.real(std::f64::consts::LOG2_E);
        let rounder = self.real(ROUNDER + f64::from(bias));
        let (high, low) = (self.real(LN2_HIGH), self.real(LN2_LOW));
        let n = self.mul_add(x, log2_e, rounder);
        let count = self.pos.ins().fsub(n, rounder);
        let upper = self.mul_sub(count, high, x);
        let r = self.mul_sub(count, low, upper);
        let lost = self.pos.ins().fsub(upper, r);
        let r_low = self.mul_sub(count, low, lost);
        let q = self.polynomial(r, &Q);
        let square = self.pos.ins().fmul(r, r);
        let rest = self.pos.ins().fmul(square, q);
        Reduced { r, r_low, rest, n }
    }

    /// 2 to the power whose biased exponent is in the low bits of `n`.
    fn power_of_two(&mut self, n: ir::Value) -> ir::Value {
        let bits = self.as_bits(n);
        self.power_of_two_bits(bits)
    }

    fn power_of_two_bits(&mut self, n: ir::Value) -> ir::Value {
        let places = self.pos.ins().iconst(types::I32, 23);
        let bits = self.pos.ins().ishl(n, places);
        self.as_reals(bits)
    }

    /// `e^x`.
    pub(super) fn exp(&mut self, x: ir::Value) -> ir::Value {
        let (high, _, factors) = self.exp_parts(x);
        let scaled = self.pos.ins().fmul(high, factors[0]);
        self.pos.ins().fmul(scaled, factors[1])
    }

    /// `e^x` and what its rounding lost. Unless it is asked for, the second costs nothing.
    pub(super) fn exp_pair(&mut self, x: ir::Value) -> (ir::Value, ir::Value) {
        let (high, low, factors) = self.exp_parts(x);
        let [high, low] = [high, low].map(|part| {
            let scaled = self.pos.ins().fmul(part, factors[0]);
            self.pos.ins().fmul(scaled, factors[1])
        });
        (high, low)
    }

    /// e^r, what its rounding lost, and two factors whose product is 2^n.
    fn exp_parts(&mut self, x: ir::Value) -> (ir::Value, ir::Value, [ir::Value; 2]) {
        // Below −104 the result rounds to 0; above 89 it is infinite.
        let x = self.clamp(x, -104.0, 89.0);
        // Twice the exponent bias: halved, it biases both factors.
        let reduced = self.reduce(x, 254);
        let one = self.real(1.0);
        let sum = self.pos.ins().fadd(reduced.r, reduced.rest);
        let high = self.pos.ins().fadd(sum, one);
        let low = self.pos.ins().fsub(one, high);
        let low = self.pos.ins().fadd(low, sum);
        let bits = self.as_bits(reduced.n);
        let places = self.pos.ins().iconst(types::I32, 1);
        let first = self.pos.ins().ushr(bits, places);
        let second = self.pos.ins().isub(bits, first);
        let factors = [first, second].map(|n| self.power_of_two_bits(n));
        (high, low, factors)
    }

    /// `e^x` for `x` in [−87, 88], where neither result nor power of two is denormal or infinite.
    pub(super) fn exp_normal(&mut self, x: ir::Value) -> ir::Value {
        let reduced = self.reduce(x, 127);
        let sum = self.pos.ins().fadd(reduced.r, reduced.rest);
        let one = self.real(1.0);
        let sum = self.pos.ins().fadd(sum, one);
        let power = self.power_of_two(reduced.n);
        self.pos.ins().fmul(sum, power)
    }

    /// `(e^x − 1)·2^−16` for `x` clamped to at most 98.5 and not tiny, and what its rounding lost.
    ///
    /// `e^x − 1 = s·(r²·q + r_low) + (s·r + (s − 1))` with `s = 2^n`: where the terms cancel, `s − 1` and the
    /// inner sum are exact, and what rounding took from r is put back. The factor 2^−16 keeps `s` finite
    /// up to the largest argument whose phi_2 is. In each sum the first operand is the larger, so
    /// that the difference from the rounded sum is exact (Dekker 1971).
    fn expm1_scaled(&mut self, x: ir::Value) -> (ir::Value, ir::Value) {
        let x = self.clamp(x, -18.0, EXPM1_HIGH);
        let reduced = self.reduce(x, 127 + SCALE_EXPONENT);
        let s = self.power_of_two(reduced.n);
        let one = self.real(2f64.powi(SCALE_EXPONENT));
        let outer = self.pos.ins().fsub(s, one);
        let inner = self.mul_add(s, reduced.r, outer);
        let rest = self.pos.ins().fadd(reduced.rest, reduced.r_low);
        let high = self.mul_add(s, rest, inner);
        let lost = self.pos.ins().fsub(outer, inner);
        let lost = self.mul_add(s, reduced.r, lost);
        let low = self.pos.ins().fsub(inner, high);
        let low = self.mul_add(s, rest, low);
        let low = self.pos.ins().fadd(low, lost);
        (high, low)
    }

    /// Whether |x| is so small that `e^x − 1` rounds to `x`.
    pub(super) fn is_tiny(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let bound = self.real(2f64.powi(-25));
        self.pos.ins().fcmp(FloatCC::LessThan, magnitude, bound)
    }

    /// `e^x − 1`.
    pub(super) fn expm1(&mut self, x: ir::Value) -> ir::Value {
        let (scaled, _) = self.expm1_scaled(x);
        let unscale = self.real(2f64.powi(-SCALE_EXPONENT));
        let result = self.pos.ins().fmul(scaled, unscale);
        let tiny = self.is_tiny(x);
        self.choose(tiny, x, result)
    }

    /// phi_1(x) = (e^x − 1)/x.
    pub(super) fn phi1(&mut self, x: ir::Value) -> ir::Value {
        let (numerator, low) = self.expm1_scaled(x);
        let (high, scale) = (self.real(EXPM1_HIGH), self.real(2f64.powi(SCALE_EXPONENT)));
        let divisor = self.min(high, x);
        let divisor = self.pos.ins().fmul(divisor, scale);
        let quotient = self.pos.ins().fdiv(numerator, divisor);
        let low = self.pos.ins().fdiv(low, divisor);
        let quotient = self.pos.ins().fadd(quotient, low);
        let (tiny, one) = (self.is_tiny(x), self.real(1.0));
        self.choose(tiny, one, quotient)
    }

    /// phi_2(x) = (e^x − 1 − x)/x²: the series where |x| < 1.
    pub(super) fn phi2(&mut self, x: ir::Value) -> ir::Value {
        let near = self.polynomial(x, &PHI2);

        // The order of the divisions keeps every step in range. −10^30 stands for all below: there the
        // first quotient is −1.
        let (numerator, low) = self.expm1_scaled(x);
        let (high, scale) = (self.real(EXPM1_HIGH), self.real(2f64.powi(SCALE_EXPONENT)));
        let bottom = self.real(-1e30);
        let below = self.min(high, x);
        let inside = self.max(bottom, below);
        let scaled = self.pos.ins().fmul(inside, scale);
        let numerator = self.pos.ins().fsub(numerator, scaled);
        let numerator = self.pos.ins().fadd(numerator, low);
        let quotient = self.pos.ins().fdiv(numerator, inside);
        let divisor = self.pos.ins().fmul(below, scale);
        let far = self.pos.ins().fdiv(quotient, divisor);

        let (magnitude, one) = (self.abs(x), self.real(1.0));
        let small = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, one);
        self.choose(small, near, far)
    }
}
