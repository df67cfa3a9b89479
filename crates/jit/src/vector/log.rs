//! The natural logarithm in vectors, `log1p` and `softplus`.
//!
//! `log u = k·ln 2 + log(1 + f)` with `1 + f` between √½ and √2. With `s = f/(2 + f)`,
//! `log(1 + f) = f − f²/2 + s·(f²/2 + R(s²))`: the scheme and the coefficients of R of FreeBSD's `logf` and
//! `log` (Sun Microsystems' fdlibm), here without their branches.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder};

use super::Code;
use crate::abi::Precision;

/// What differs between the precisions.
struct Numbers {
    /// The bits of √½.
    sqrt_half: u64,
    /// The bits of 1.
    one: u64,
    /// The bits of the mantissa, set.
    fraction: u64,
    /// Two to the bits of the mantissa: an integer in its low bits is added to it.
    integers: f64,
    /// The exponent bias.
    bias: f64,
    /// ln 2 without its last bits, so that `k` times it is exact.
    ln2_high: f64,
    /// The rest of ln 2.
    ln2_low: f64,
    /// The coefficients of R at odd powers of `s²`, then at even ones, highest power first.
    r: [&'static [f64]; 2],
    /// The least number that is not denormal.
    normal: f64,
    /// Denormals are multiplied by two to this power.
    lift: i32,
}

const SINGLE: Numbers = Numbers {
    sqrt_half: 0x3f35_04f3,
    one: 0x3f80_0000,
    fraction: 0x007f_ffff,
    integers: 8_388_608.0,
    bias: 127.0,
    ln2_high: f32::from_bits(0x3f31_7180) as f64,
    ln2_low: f32::from_bits(0x3717_f7d1) as f64,
    r: [
        &[
            f32::from_bits(0x3e91_e9ee) as f64,
            f32::from_bits(0x3f2a_aaaa) as f64,
        ],
        &[
            f32::from_bits(0x3e78_9e26) as f64,
            f32::from_bits(0x3ecc_ce13) as f64,
        ],
    ],
    normal: f32::MIN_POSITIVE as f64,
    lift: 25,
};

const DOUBLE: Numbers = Numbers {
    sqrt_half: 0x3fe6_a09e_667f_3bcd,
    one: 0x3ff0_0000_0000_0000,
    fraction: 0x000f_ffff_ffff_ffff,
    integers: 4_503_599_627_370_496.0,
    bias: 1023.0,
    ln2_high: 6.931_471_803_691_238e-1,
    ln2_low: 1.908_214_929_270_587_7e-10,
    r: [
        &[
            1.479_819_860_511_658_6e-1,
            1.818_357_216_161_805e-1,
            2.857_142_874_366_239e-1,
            6.666_666_666_666_735e-1,
        ],
        &[
            1.531_383_769_920_937_3e-1,
            2.222_219_843_214_978_4e-1,
            3.999_999_999_940_942e-1,
        ],
    ],
    normal: f64::MIN_POSITIVE,
    lift: 54,
};

impl Code<'_> {
    fn log_numbers(&self) -> &'static Numbers {
        match self.shape.precision {
            Precision::F32 => &SINGLE,
            Precision::F64 => &DOUBLE,
        }
    }

    /// `log u + correction` for `u` positive, finite and not denormal. `shift`, if any, is added to
    /// the exponent of `u`.
    pub(crate) fn log_positive(
        &mut self,
        u: ir::Value,
        shift: Option<ir::Value>,
        correction: Option<ir::Value>,
    ) -> ir::Value {
        let numbers = self.log_numbers();
        let (mantissa, k) = self.split(u);
        let k = match shift {
            Some(shift) => self.pos.ins().fadd(k, shift),
            None => k,
        };
        let (one, two, half) = (self.real(1.0), self.real(2.0), self.real(0.5));
        let f = self.pos.ins().fsub(mantissa, one);
        let divisor = self.pos.ins().fadd(f, two);
        let s = self.pos.ins().fdiv(f, divisor);
        let z = self.pos.ins().fmul(s, s);
        let w = self.pos.ins().fmul(z, z);
        let [odd, even] = numbers.r.map(|r| self.polynomial(w, r));
        let even = self.pos.ins().fmul(even, w);
        let r = self.mul_add(odd, z, even);
        let half_square = self.pos.ins().fmul(f, f);
        let half_square = self.pos.ins().fmul(half_square, half);
        let (high, low) = (self.real(numbers.ln2_high), self.real(numbers.ln2_low));
        let small = match correction {
            Some(correction) => self.mul_add(k, low, correction),
            None => self.pos.ins().fmul(k, low),
        };
        let sum = self.pos.ins().fadd(r, half_square);
        let sum = self.mul_add(sum, s, small);
        let sum = self.pos.ins().fsub(sum, half_square);
        let sum = self.pos.ins().fadd(sum, f);
        self.mul_add(k, high, sum)
    }

    /// A number between √½ and √2 and the power of two whose product a positive number is, if it is finite
    /// and not denormal.
    pub(crate) fn split(&mut self, u: ir::Value) -> (ir::Value, ir::Value) {
        let numbers = self.log_numbers();
        let bits = self.as_bits(u);
        let offset = self.bits(numbers.one - numbers.sqrt_half);
        let shifted = self.pos.ins().iadd(bits, offset);
        let exponent = self.shift_right(shifted, self.mantissa_bits());
        let integers = self.real(numbers.integers);
        let integers = self.as_bits(integers);
        let k = self.pos.ins().bor(exponent, integers);
        let k = self.as_reals(k);
        let zero = self.real(numbers.integers + numbers.bias);
        let k = self.pos.ins().fsub(k, zero);
        let (fraction, root) = (self.bits(numbers.fraction), self.bits(numbers.sqrt_half));
        let mantissa = self.pos.ins().band(shifted, fraction);
        let mantissa = self.pos.ins().iadd(mantissa, root);
        (self.as_reals(mantissa), k)
    }

    /// `result` where `u` is positive and finite; else −∞ at 0, ∞ at ∞, NaN below 0 and at NaN.
    pub(crate) fn log_domain(&mut self, u: ir::Value, result: ir::Value) -> ir::Value {
        let (zero, infinity) = (self.real(0.0), self.real(f64::INFINITY));
        let minus_infinity = self.real(f64::NEG_INFINITY);
        // All ones is a NaN.
        let negative = self.pos.ins().fcmp(FloatCC::LessThan, u, zero);
        let bits = self.as_bits(u);
        let special = self.pos.ins().bor(bits, negative);
        let special = self.as_reals(special);
        let is_zero = self.pos.ins().fcmp(FloatCC::Equal, u, zero);
        let special = self.choose(is_zero, minus_infinity, special);
        let finite = self.pos.ins().fcmp(FloatCC::LessThan, u, infinity);
        let positive = self.pos.ins().fcmp(FloatCC::LessThan, zero, u);
        let inside = self.pos.ins().band(finite, positive);
        self.choose(inside, result, special)
    }

    /// `log x`.
    pub(crate) fn log(&mut self, x: ir::Value) -> ir::Value {
        let (u, shift) = self.lifted(x);
        let result = self.log_positive(u, Some(shift), None);
        self.log_domain(x, result)
    }

    /// A positive number, multiplied by a power of two where it is denormal, and the exponent that takes
    /// that back.
    pub(crate) fn lifted(&mut self, x: ir::Value) -> (ir::Value, ir::Value) {
        let numbers = self.log_numbers();
        let normal = self.real(numbers.normal);
        let lift = self.real(2f64.powi(numbers.lift));
        let denormal = self.pos.ins().fcmp(FloatCC::LessThan, x, normal);
        let lifted = self.pos.ins().fmul(x, lift);
        let u = self.choose(denormal, lifted, x);
        let shift = self.real(f64::from(-numbers.lift));
        (u, self.masked(denormal, shift))
    }

    /// `log(1 + x)`. `u = 1 + x` is rounded; what was lost, over `u`, is the correction.
    pub(crate) fn log1p(&mut self, x: ir::Value) -> ir::Value {
        let one = self.real(1.0);
        let u = self.pos.ins().fadd(x, one);
        let back = self.pos.ins().fsub(u, one);
        let lost = self.pos.ins().fsub(x, back);
        let correction = self.pos.ins().fdiv(lost, u);
        let result = self.log_positive(u, None, Some(correction));
        let result = self.log_domain(u, result);
        let tiny = self.is_tiny(x);
        self.choose(tiny, x, result)
    }

    /// `log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)`.
    pub(crate) fn softplus(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let minus = self.pos.ins().fneg(magnitude);
        let e = self.exp(minus);
        let one = self.real(1.0);
        let u = self.pos.ins().fadd(e, one);
        let back = self.pos.ins().fsub(u, one);
        let lost = self.pos.ins().fsub(e, back);
        let correction = self.pos.ins().fdiv(lost, u);
        let log = self.log_positive(u, None, Some(correction));
        // `0 > x ? 0 : x` is NaN where x is.
        let zero = self.real(0.0);
        let above = self.max(zero, x);
        self.pos.ins().fadd(above, log)
    }
}
