//! The natural logarithm in single-precision vectors, `log1p` and `softplus`.
//!
//! `log u = k·ln 2 + log(1 + f)` with `1 + f` between √½ and √2. With `s = f/(2 + f)`,
//! `log(1 + f) = f − f²/2 + s·(f²/2 + R(s²))`: the scheme and the coefficients of R of FreeBSD's `logf` (Sun
//! Microsystems' fdlibm), here without its branches.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, types};

use super::Emitter;

/// The bits of √½.
const SQRT_HALF: u32 = 0x3f35_04f3;
/// The bits of 1.
const ONE: u32 = 0x3f80_0000;
/// ln 2 without its last bits, so that `k` times it is exact.
const LN2_HIGH: f32 = f32::from_bits(0x3f31_7180);
/// The rest of ln 2.
const LN2_LOW: f32 = f32::from_bits(0x3717_f7d1);
/// The coefficients of R, lowest power first.
const R: [f32; 4] = [
    f32::from_bits(0x3f2a_aaaa),
    f32::from_bits(0x3ecc_ce13),
    f32::from_bits(0x3e91_e9ee),
    f32::from_bits(0x3e78_9e26),
];
/// Denormals are multiplied by two to this power.
const LIFT: i32 = 25;

impl Emitter<'_> {
    /// `log u + correction` for `u` positive, finite and not denormal. `shift`, if any, is added to
    /// the exponent of `u`.
    fn log_positive(
        &mut self,
        u: ir::Value,
        shift: Option<ir::Value>,
        correction: Option<ir::Value>,
    ) -> ir::Value {
        let bits = self.as_bits(u);
        let offset = self.bits(u64::from(ONE - SQRT_HALF));
        let shifted = self.pos.ins().iadd(bits, offset);
        let places = self.pos.ins().iconst(types::I32, 23);
        let exponent = self.pos.ins().sshr(shifted, places);
        let (floats, bias) = (self.shape.reals, self.real(127.0));
        let k = self.pos.ins().fcvt_from_sint(floats, exponent);
        let mut k = self.pos.ins().fsub(k, bias);
        if let Some(shift) = shift {
            k = self.pos.ins().fadd(k, shift);
        }
        let (fraction, root) = (self.bits(0x007f_ffff), self.bits(u64::from(SQRT_HALF)));
        let mantissa = self.pos.ins().band(shifted, fraction);
        let mantissa = self.pos.ins().iadd(mantissa, root);
        let mantissa = self.as_reals(mantissa);
        let (one, two, half) = (self.real(1.0), self.real(2.0), self.real(0.5));
        let f = self.pos.ins().fsub(mantissa, one);
        let divisor = self.pos.ins().fadd(f, two);
        let s = self.pos.ins().fdiv(f, divisor);
        let z = self.pos.ins().fmul(s, s);
        let w = self.pos.ins().fmul(z, z);
        let [r0, r1, r2, r3] = R.map(|c| self.real(f64::from(c)));
        let odd = self.mul_add(w, r3, r1);
        let odd = self.pos.ins().fmul(odd, w);
        let even = self.mul_add(w, r2, r0);
        let r = self.mul_add(even, z, odd);
        let half_square = self.pos.ins().fmul(f, f);
        let half_square = self.pos.ins().fmul(half_square, half);
        let (high, low) = (self.real(LN2_HIGH.into()), self.real(LN2_LOW.into()));
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

    /// `result` where `u` is positive and finite; else −∞ at 0, ∞ at ∞, NaN below 0 and at NaN.
    fn log_domain(&mut self, u: ir::Value, result: ir::Value) -> ir::Value {
        let (zero, infinity) = (self.real(0.0), self.real(f64::INFINITY));
        let minus_infinity = self.real(f64::NEG_INFINITY);
        // All ones is a NaN.
        let negative = self.pos.ins().fcmp(FloatCC::LessThan, u, zero);
        let bits = self.as_bits(u);
        let special = self.pos.ins().bor(bits, negative);
        let special = self.as_reals(special);
        let is_zero = self.pos.ins().fcmp(FloatCC::Equal, u, zero);
        let special = self.choose(is_zero, minus_infinity, special);
        // As integers, the bits of positive finite numbers are those between the bits of 0 and ∞.
        let (zero, infinity) = (self.as_bits(zero), self.as_bits(infinity));
        let finite = self.pos.ins().icmp(IntCC::SignedLessThan, bits, infinity);
        let positive = self.pos.ins().icmp(IntCC::SignedGreaterThan, bits, zero);
        let inside = self.pos.ins().band(finite, positive);
        self.choose(inside, result, special)
    }

    /// `log x`.
    pub(super) fn log(&mut self, x: ir::Value) -> ir::Value {
        let normal = self.real(f32::MIN_POSITIVE.into());
        let lift = self.real(2f64.powi(LIFT));
        let denormal = self.pos.ins().fcmp(FloatCC::LessThan, x, normal);
        let lifted = self.pos.ins().fmul(x, lift);
        let u = self.choose(denormal, lifted, x);
        let shift = self.real(f64::from(-LIFT));
        let shift = self.as_bits(shift);
        let shift = self.pos.ins().band(shift, denormal);
        let shift = self.as_reals(shift);
        let result = self.log_positive(u, Some(shift), None);
        self.log_domain(x, result)
    }

    /// `log(1 + x)`. `u = 1 + x` is rounded; what was lost, over `u`, is the correction.
    pub(super) fn log1p(&mut self, x: ir::Value) -> ir::Value {
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
    pub(super) fn softplus(&mut self, x: ir::Value) -> ir::Value {
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
