//! The two sigmoids in single-precision vectors.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder};

use super::Emitter;

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

impl Emitter<'_> {
    /// `1/(1 + e^−x)`: with `e = e^−|x|`, 1 or `e` over `1 + e`, so that nothing overflows and small results
    /// keep their precision.
    pub(super) fn sigmoid(&mut self, x: ir::Value) -> ir::Value {
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

    /// `tanh x`: the polynomial near 0, else `1 − 2/(e^2|x| + 1)` with the sign of `x`.
    pub(super) fn tanh(&mut self, x: ir::Value) -> ir::Value {
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
