//! `a^b` in double-precision vectors, as `e^(b·log a)`; `f32` uses it too, with a plain logarithm.
//!
//! An error of the exponent becomes a relative error of the result, and the exponent is up to 745: the
//! logarithm is needed to 64 bits. It is a pair of numbers: `log a = k·ln 2 + 2·(s + s³/3 + …)` with
//! `s = (m − 1)/(m + 1)`, where s and s³/3 are pairs and the rest is small enough to be one number (the scheme
//! of fdlibm's `pow`, in natural logarithms and without tables).

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::Code;
use crate::abi::Precision;

/// ln 2 in two numbers, the first with 21 zeros at its end.
const LN2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
/// 2/3 in two numbers.
const TWO_THIRDS: [f64; 2] = [
    f64::from_bits(0x3fe5_5555_5555_5555),
    f64::from_bits(0x3c85_5555_5555_5555),
];
/// The coefficients of log m = 2·s + 2/3·s³ + s⁵·P(s²), highest power first: the series of 2·artanh s.
const P: [f64; 11] = [
    2.0 / 25.0,
    2.0 / 23.0,
    2.0 / 21.0,
    2.0 / 19.0,
    2.0 / 17.0,
    2.0 / 15.0,
    2.0 / 13.0,
    2.0 / 11.0,
    2.0 / 9.0,
    2.0 / 7.0,
    2.0 / 5.0,
];

impl Code<'_> {
    /// `a^b` in `f64`, good enough for a result in `precision`.
    pub(crate) fn power(&mut self, a: Value, b: Value, precision: Precision) -> Value {
        let magnitude = self.abs(a);
        let (log, log_low) = match precision {
            Precision::F32 => (self.log(magnitude), None),
            Precision::F64 => {
                let (log, low) = self.log_pair(magnitude);
                (log, Some(low))
            }
        };
        let exponent = self.pos.ins().fmul(b, log);
        let power = match log_low {
            None => self.exp(exponent),
            Some(log_low) => {
                let lost = self.two_product_low(b, log, exponent);
                let low = self.mul_add(b, log_low, lost);
                let size = self.abs(exponent);
                let bound = self.real(1000.0);
                let inside = self.pos.ins().fcmp(FloatCC::LessThan, size, bound);
                let low = self.masked(inside, low);
                self.exp_of_pair(exponent, low)
            }
        };
        self.power_cases(a, b, power)
    }

    /// The signs and special values of `|a|^b`, as IEEE 754 and C have them.
    fn power_cases(&mut self, a: Value, b: Value, power: Value) -> Value {
        let (zero, one) = (self.real(0.0), self.real(1.0));
        let infinity = self.real(f64::INFINITY);
        let magnitude = self.abs(a);
        // 1 at b = 0, at a = 1, and at |a| = 1 with infinite b.
        let b_size = self.abs(b);
        let b_infinite = self.pos.ins().fcmp(FloatCC::Equal, b_size, infinity);
        let a_is_one = self.pos.ins().fcmp(FloatCC::Equal, magnitude, one);
        let unit = self.pos.ins().band(b_infinite, a_is_one);
        let b_is_zero = self.pos.ins().fcmp(FloatCC::Equal, b, zero);
        let a_is_one = self.pos.ins().fcmp(FloatCC::Equal, a, one);
        let unit = self.pos.ins().bor(unit, b_is_zero);
        let unit = self.pos.ins().bor(unit, a_is_one);

        // Negative a: NaN unless b is an integer (or a infinite), and the sign of a if that is odd.
        let whole = self.rounded(b);
        let is_whole = self.pos.ins().fcmp(FloatCC::Equal, whole, b);
        let half = self.real(0.5);
        let halved = self.pos.ins().fmul(b, half);
        let even = self.rounded(halved);
        let is_odd = self.pos.ins().fcmp(FloatCC::NotEqual, even, halved);
        let is_odd = self.pos.ins().band(is_odd, is_whole);
        let sign = self.sign_bits();
        let bits = self.as_bits(a);
        let sign = self.pos.ins().band(bits, sign);
        let sign = self.pos.ins().band(sign, is_odd);
        let bits = self.as_bits(power);
        let bits = self.pos.ins().bxor(bits, sign);
        let signed = self.as_reals(bits);
        let below = self.pos.ins().fcmp(FloatCC::LessThan, a, zero);
        let finite = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, infinity);
        let undefined = self.pos.ins().band(below, finite);
        let undefined = self.pos.ins().band_not(undefined, is_whole);
        let nan = self.real(f64::NAN);
        let result = self.choose(undefined, nan, signed);
        self.choose(unit, one, result)
    }

    /// `log u` for `u` ≥ 0 as a pair; the second is 0 where the first is not finite.
    fn log_pair(&mut self, x: Value) -> (Value, Value) {
        let (u, shift) = self.lifted(x);
        let (m, k) = self.split(u);
        let k = self.pos.ins().fadd(k, shift);
        let (one, two) = (self.real(1.0), self.real(2.0));
        // s = f/(2 + f) as a pair; 2 + f may be rounded.
        let f = self.pos.ins().fsub(m, one);
        let d = self.pos.ins().fadd(f, two);
        let d_low = self.two_sum_low(two, f, d);
        let s = self.pos.ins().fdiv(f, d);
        let product = self.pos.ins().fmul(s, d);
        let lost = self.two_product_low(s, d, product);
        let rest = self.pos.ins().fsub(f, product);
        let rest = self.pos.ins().fsub(rest, lost);
        let rest = self.mul_sub(s, d_low, rest);
        let s_low = self.pos.ins().fdiv(rest, d);

        // z = s² and c = s³, as pairs.
        let z = self.pos.ins().fmul(s, s);
        let z_low = self.two_product_low(s, s, z);
        let twice = self.pos.ins().fadd(s, s);
        let z_low = self.mul_add(twice, s_low, z_low);
        let c = self.pos.ins().fmul(s, z);
        let c_low = self.two_product_low(s, z, c);
        let c_low = self.mul_add(s, z_low, c_low);
        let c_low = self.mul_add(z, s_low, c_low);
        let [third, third_low] = TWO_THIRDS.map(|part| self.real(part));
        let t = self.pos.ins().fmul(c, third);
        let t_low = self.two_product_low(c, third, t);
        let t_low = self.mul_add(c, third_low, t_low);
        let t_low = self.mul_add(c_low, third, t_low);
        let tail = self.polynomial(z, &P);
        let fifth = self.pos.ins().fmul(c, z);
        let t_low = self.mul_add(fifth, tail, t_low);

        // k·ln 2 + 2·s + t.
        let [high, low] = LN2.map(|part| self.real(part));
        let base = self.pos.ins().fmul(k, high);
        let first = self.pos.ins().fadd(base, twice);
        let first_low = self.two_sum_low(base, twice, first);
        let sum = self.pos.ins().fadd(first, t);
        let sum_low = self.two_sum_low(first, t, sum);
        let rest = self.pos.ins().fadd(s_low, s_low);
        let rest = self.pos.ins().fadd(rest, t_low);
        let rest = self.mul_add(k, low, rest);
        let rest = self.pos.ins().fadd(rest, first_low);
        let rest = self.pos.ins().fadd(rest, sum_low);
        let log = self.pos.ins().fadd(sum, rest);
        let lost = self.pos.ins().fsub(sum, log);
        let lost = self.pos.ins().fadd(lost, rest);

        let result = self.log_domain(x, log);
        let same = self.pos.ins().fcmp(FloatCC::Equal, result, log);
        (result, self.masked(same, lost))
    }
}
