//! The two sigmoids in vectors.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder};

use super::Code;
use crate::abi::Precision;

/// Up to here `tanh` is an odd polynomial.
const TANH_SMALL: f64 = 0.625;
/// Its coefficients after `x`, highest power first: `x + x³·P(x²)` (Cephes' `tanhf`, Moshier).
const TANH: [f64; 5] = [
    -5.704_988_727_45e-3,
    2.063_908_879_54e-2,
    -5.373_971_555_31e-2,
    1.333_144_220_36e-1,
    -3.333_328_194_22e-1,
];

/// Below this `tanh x` rounds to `x` in `f64`: about 2^−28.
const TANH_TINY: f64 = 3.7e-9;

impl Code<'_> {
    /// `1/(1 + e^−x)`: with `e = e^−|x|`, 1 or `e` over `1 + e`, so that nothing overflows and small results
    /// keep their precision.
    pub(crate) fn sigmoid(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let minus = self.pos.ins().fneg(magnitude);
        let (e, e_low) = self.exp_pair(minus);
        let (zero, one) = (self.real(0.0), self.real(1.0));
        let negative = self.pos.ins().fcmp(FloatCC::LessThan, x, zero);
        let numerator = self.choose(negative, e, one);
        let divisor = self.pos.ins().fadd(e, one);
        let quotient = self.pos.ins().fdiv(numerator, divisor);
        // What is missing from the quotient: (n_low − quotient·d_low)/d. It is less than two units
        // in the last place, so a straight line is a good enough 1/d between 1 and 2.
        let n_low = self.as_bits(e_low);
        let n_low = self.pos.ins().band(n_low, negative);
        let n_low = self.as_reals(n_low);
        let d_low = self.pos.ins().fsub(one, divisor);
        let d_low = self.pos.ins().fadd(d_low, e);
        let d_low = self.pos.ins().fadd(d_low, e_low);
        let missing = self.mul_sub(quotient, d_low, n_low);
        let (slope, intercept) = (self.real(0.5), self.real(1.457));
        let reciprocal = self.mul_sub(slope, divisor, intercept);
        self.mul_add(missing, reciprocal, quotient)
    }

    /// `tanh x`.
    pub(crate) fn tanh(&mut self, x: ir::Value) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => self.tanh_single(x),
            Precision::F64 => self.tanh_double(x),
        }
    }

    /// `e/(e + 2)` with `e = e^2|x| − 1` and the sign of `x`; `x` itself where it is small. What the
    /// roundings of the numerator and the denominator lost is put back.
    fn tanh_double(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let twice = self.pos.ins().fadd(magnitude, magnitude);
        let bound = self.real(44.0);
        let twice = self.min(bound, twice);
        let (e, e_low) = self.expm1_scaled(twice);
        let two = self.expm1_scale(2.0);
        let divisor = self.pos.ins().fadd(two, e);
        let quotient = self.pos.ins().fdiv(e, divisor);
        let lost = self.two_sum_low(two, e, divisor);
        let lost = self.pos.ins().fadd(lost, e_low);
        let missing = self.mul_sub(quotient, lost, e_low);
        let missing = self.pos.ins().fdiv(missing, divisor);
        let result = self.pos.ins().fadd(quotient, missing);

        let bound = self.real(TANH_TINY);
        let small = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, bound);
        let result = self.choose(small, magnitude, result);
        self.with_sign(result, x)
    }

    /// `tanh x` in `f32`: the polynomial near 0, else `1 − 2/(e^2|x| + 1)` with the sign of `x`.
    fn tanh_single(&mut self, x: ir::Value) -> ir::Value {
        let magnitude = self.abs(x);
        let square = self.pos.ins().fmul(magnitude, magnitude);
        let p = self.polynomial(square, &TANH);
        let p = self.pos.ins().fmul(p, square);
        let near = self.mul_add(p, magnitude, magnitude);

        // From 10 on the result rounds to 1. The comparison keeps NaN.
        let (bound, one, two) = (self.real(20.0), self.real(1.0), self.real(2.0));
        let twice = self.pos.ins().fadd(magnitude, magnitude);
        let twice = self.min(bound, twice);
        let e = self.exp_normal(twice);
        let denominator = self.pos.ins().fadd(e, one);
        let quotient = self.pos.ins().fdiv(two, denominator);
        let far = self.pos.ins().fsub(one, quotient);

        let bound = self.real(TANH_SMALL);
        let small = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, bound);
        let result = self.choose(small, near, far);
        self.with_sign(result, x)
    }
}
