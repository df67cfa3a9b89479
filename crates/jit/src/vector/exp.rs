//! The exponential in vectors, and what follows directly from it: `expm1` and phi_k.
//!
//! `e^x = 2^n · e^r` with `n = round(x·log2 e)` and `r = x − n·ln 2`, |r| ≤ ln 2 / 2 (Cody & Waite 1980). ln 2
//! is split in two so that `n` times the larger part is exact. `n` is found by adding 1.5·2^23 (in
//! `f64` 1.5·2^52), which leaves it in the low bits of the sum; the constant added is chosen so that they
//! hold a biased exponent, which a shift turns into the power of two. `e^r = 1 + r + r²·q(r)` with the
//! polynomial of Cephes' `expf` (Moshier); in `f64` its Taylor series, whose first term left out is
//! 4·10^−18.
//!
//! The whole range is covered without a branch: arguments are clamped where the result is 0 or
//! infinite, and 2^n is applied as two factors, so that a denormal result is rounded once. NaN passes
//! through the clamps because they return their second operand when unordered.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder};

use super::Code;
use crate::abi::Precision;

/// What differs between the precisions.
struct Numbers {
    /// 1.5 times two to the bits of the mantissa: a number whose unit in the last place is 1.
    rounder: f64,
    /// The exponent bias.
    bias: i32,
    /// The upper part of ln 2, with enough zeros at its end.
    ln2_high: f64,
    /// ln 2 less the upper part.
    ln2_low: f64,
    /// Below this `e^x` rounds to 0.
    exp_low: f64,
    /// Above this `e^x` is infinite.
    exp_high: f64,
    /// The coefficients of q, highest power first.
    q: &'static [f64],
    /// Below this `e^x − 1` rounds to −1.
    expm1_low: f64,
    /// `expm1_scaled` gives its result times 2 to this power.
    scale_exponent: i32,
    /// Above this the phi_k are infinite; n is so small that `2^(n + scale_exponent)` is finite.
    expm1_high: f64,
    /// Below this magnitude `e^x − 1` rounds to `x`.
    tiny: f64,
}

const SINGLE: Numbers = Numbers {
    rounder: 12_582_912.0,
    bias: 127,
    ln2_high: 0.693_359_375,
    ln2_low: -2.121_944_4e-4,
    exp_low: -104.0,
    exp_high: 89.0,
    q: &[
        1.987_569_15e-4,
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
    ],
    expm1_low: -18.0,
    scale_exponent: -16,
    expm1_high: 98.5,
    tiny: 2.980_232_238_769_531_3e-8,
};

const DOUBLE: Numbers = Numbers {
    rounder: 6_755_399_441_055_744.0,
    bias: 1023,
    ln2_high: 6.931_471_803_691_238e-1,
    ln2_low: 1.908_214_929_270_587_7e-10,
    exp_low: -746.0,
    exp_high: 710.0,
    q: &[
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
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
    ],
    expm1_low: -38.0,
    scale_exponent: -128,
    expm1_high: 760.0,
    tiny: 5.551_115_123_125_783e-17,
};

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

impl Code<'_> {
    fn numbers(&self) -> &'static Numbers {
        match self.shape.precision {
            Precision::F32 => &SINGLE,
            Precision::F64 => &DOUBLE,
        }
    }

    fn reduce(&mut self, x: ir::Value, bias: i32) -> Reduced {
        let numbers = self.numbers();
        let log2_e = self.real(std::f64::consts::LOG2_E);
        let rounder = self.real(numbers.rounder + f64::from(bias));
        let (high, low) = (self.real(numbers.ln2_high), self.real(numbers.ln2_low));
        let n = self.mul_add(x, log2_e, rounder);
        let count = self.pos.ins().fsub(n, rounder);
        let upper = self.mul_sub(count, high, x);
        let r = self.mul_sub(count, low, upper);
        let lost = self.pos.ins().fsub(upper, r);
        let r_low = self.mul_sub(count, low, lost);
        let q = self.polynomial(r, numbers.q);
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
        let bits = self.shift_left(n, self.mantissa_bits());
        self.as_reals(bits)
    }

    /// `e^x`.
    pub(crate) fn exp(&mut self, x: ir::Value) -> ir::Value {
        let (high, _, factors) = self.exp_parts(x);
        let scaled = self.pos.ins().fmul(high, factors[0]);
        self.pos.ins().fmul(scaled, factors[1])
    }

    /// `e^(x + low)` for a pair of numbers.
    pub(crate) fn exp_of_pair(&mut self, x: ir::Value, low: ir::Value) -> ir::Value {
        let (high, rest, factors) = self.exp_parts(x);
        let rest = self.mul_add(high, low, rest);
        let sum = self.pos.ins().fadd(high, rest);
        let scaled = self.pos.ins().fmul(sum, factors[0]);
        self.pos.ins().fmul(scaled, factors[1])
    }

    /// `e^x` and what its rounding lost. Unless it is asked for, the second costs nothing.
    pub(crate) fn exp_pair(&mut self, x: ir::Value) -> (ir::Value, ir::Value) {
        let (high, low, factors) = self.exp_parts(x);
        let [high, low] = [high, low].map(|part| {
            let scaled = self.pos.ins().fmul(part, factors[0]);
            self.pos.ins().fmul(scaled, factors[1])
        });
        (high, low)
    }

    /// e^r, what its rounding lost, and two factors whose product is 2^n.
    fn exp_parts(&mut self, x: ir::Value) -> (ir::Value, ir::Value, [ir::Value; 2]) {
        let numbers = self.numbers();
        let x = self.clamp(x, numbers.exp_low, numbers.exp_high);
        // Twice the exponent bias: halved, it biases both factors.
        let reduced = self.reduce(x, 2 * numbers.bias);
        let one = self.real(1.0);
        let sum = self.pos.ins().fadd(reduced.r, reduced.rest);
        let high = self.pos.ins().fadd(sum, one);
        let low = self.pos.ins().fsub(one, high);
        let low = self.pos.ins().fadd(low, sum);
        let bits = self.as_bits(reduced.n);
        let first = self.shift_right(bits, 1);
        let second = self.pos.ins().isub(bits, first);
        let factors = [first, second].map(|n| self.power_of_two_bits(n));
        (high, low, factors)
    }

    /// `e^x` for `x` in [−87, 88], where neither result nor power of two is denormal or infinite.
    pub(crate) fn exp_normal(&mut self, x: ir::Value) -> ir::Value {
        let reduced = self.reduce(x, self.numbers().bias);
        let sum = self.pos.ins().fadd(reduced.r, reduced.rest);
        let one = self.real(1.0);
        let sum = self.pos.ins().fadd(sum, one);
        let power = self.power_of_two(reduced.n);
        self.pos.ins().fmul(sum, power)
    }

    /// `(e^x − 1)·2^scale` for `x` clamped to at most 98.5 (760) and not tiny, and what its rounding lost.
    ///
    /// `e^x − 1 = s·(r²·q + r_low) + (s·r + (s − 1))` with `s = 2^n`: where the terms cancel, `s − 1` and the
    /// inner sum are exact, and what rounding took from r is put back. The factor 2^scale keeps `s` finite
    /// up to the largest argument whose phi_k is. In each sum the first operand is the larger, so
    /// that the difference from the rounded sum is exact (Dekker 1971).
    pub(crate) fn expm1_scaled(&mut self, x: ir::Value) -> (ir::Value, ir::Value) {
        let numbers = self.numbers();
        let x = self.clamp(x, numbers.expm1_low, numbers.expm1_high);
        let reduced = self.reduce(x, numbers.bias + numbers.scale_exponent);
        let s = self.power_of_two(reduced.n);
        let one = self.real(2f64.powi(numbers.scale_exponent));
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

    /// A number on the scale of `expm1_scaled`.
    pub(crate) fn expm1_scale(&mut self, x: f64) -> ir::Value {
        self.real(x * 2f64.powi(self.numbers().scale_exponent))
    }

    /// Whether |x| is so small that `e^x − 1` rounds to `x`.
    pub(crate) fn is_tiny(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let bound = self.real(self.numbers().tiny);
        self.pos.ins().fcmp(FloatCC::LessThan, magnitude, bound)
    }

    /// `e^x − 1`.
    pub(crate) fn expm1(&mut self, x: ir::Value) -> ir::Value {
        let (scaled, _) = self.expm1_scaled(x);
        let unscale = self.real(2f64.powi(-self.numbers().scale_exponent));
        let result = self.pos.ins().fmul(scaled, unscale);
        let tiny = self.is_tiny(x);
        self.choose(tiny, x, result)
    }

    /// phi_1(x) = (e^x − 1)/x in `f32`.
    pub(crate) fn phi1(&mut self, x: ir::Value) -> ir::Value {
        let (numerator, low) = self.expm1_scaled(x);
        let [high, scale] = self.phi_bounds();
        let divisor = self.min(high, x);
        let divisor = self.pos.ins().fmul(divisor, scale);
        let quotient = self.pos.ins().fdiv(numerator, divisor);
        let low = self.pos.ins().fdiv(low, divisor);
        let quotient = self.pos.ins().fadd(quotient, low);
        let (tiny, one) = (self.is_tiny(x), self.real(1.0));
        self.choose(tiny, one, quotient)
    }

    /// The argument from which on the phi_k are infinite, and the factor of `expm1_scaled`.
    fn phi_bounds(&mut self) -> [ir::Value; 2] {
        let numbers = self.numbers();
        [numbers.expm1_high, 2f64.powi(numbers.scale_exponent)].map(|x| self.real(x))
    }

    /// phi_2(x) = (e^x − 1 − x)/x² in `f32`: the series where |x| < 1.
    pub(crate) fn phi2(&mut self, x: ir::Value) -> ir::Value {
        let near = self.polynomial(x, &PHI2);

        // The order of the divisions keeps every step in range. −10^30 stands for all below: there the
        // first quotient is −1.
        let (numerator, low) = self.expm1_scaled(x);
        let [high, scale] = self.phi_bounds();
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

    /// phi_k(x) in `f64`: the series `Σ x^j/(j + k)!` where |x| is small, elsewhere
    /// phi_{i+1}(x) = (phi_i(x) − 1/i!)/x from phi_1 on, which loses little there.
    pub(crate) fn phi(&mut self, k: u8, x: ir::Value) -> ir::Value {
        let [centre, reach] = PHI_SERIES.map(|part| part * f64::from(k));
        let near = self.polynomial(x, &phi_series(k, centre + reach));

        // −10^300 stands for all below. There and at the other end the results are 0 and infinite.
        let (numerator, low) = self.expm1_scaled(x);
        let (bottom, high) = (self.real(-1e300), self.real(self.numbers().expm1_high));
        let divisor = self.max(bottom, x);
        let divisor = self.min(high, divisor);
        let quotient = self.pos.ins().fdiv(numerator, divisor);
        let low = self.pos.ins().fdiv(low, divisor);
        let mut far = self.pos.ins().fadd(quotient, low);
        let mut factorial = 1.0;
        for i in 1..k {
            factorial *= f64::from(i);
            let term = self.expm1_scale(1.0 / factorial);
            let difference = self.pos.ins().fsub(far, term);
            far = self.pos.ins().fdiv(difference, divisor);
        }
        let unscale = self.real(2f64.powi(-self.numbers().scale_exponent));
        let far = self.pos.ins().fmul(far, unscale);

        let (centre, reach) = (self.real(centre), self.real(reach));
        let distance = self.pos.ins().fsub(x, centre);
        let distance = self.abs(distance);
        let small = self.pos.ins().fcmp(FloatCC::LessThan, distance, reach);
        self.choose(small, near, far)
    }
}

/// The series of phi_k is used around k times the first of these, up to a distance of k times the second:
/// further above zero, where its terms have one sign, than below.
const PHI_SERIES: [f64; 2] = [0.625, 1.375];

/// The coefficients 1/(j + k)! of the Taylor series of phi_k, highest power first, as many as matter for
/// magnitudes below `bound`.
fn phi_series(k: u8, bound: f64) -> Vec<f64> {
    let mut coefficient: f64 = (1..=u32::from(k)).map(|i| 1.0 / f64::from(i)).product();
    let least = coefficient * 2f64.powi(-56);
    let mut coefficients = Vec::new();
    let mut size = 1.0;
    while coefficient * size > least {
        coefficients.push(coefficient);
        coefficient /= f64::from(k) + coefficients.len() as f64;
        size *= bound;
    }
    coefficients.reverse();
    coefficients
}
