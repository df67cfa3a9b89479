//! Rounding to integers, and a multiply-add that is rounded once, on machines without instructions for them.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::Code;

impl Code<'_> {
    /// The nearest integer, ties to even.
    pub(crate) fn rounded(&mut self, x: Value) -> Value {
        if self.machine.rounds {
            return self.pos.ins().nearest(x);
        }
        // Adding 2^23 (f64: 2^52) leaves no room for a fraction. What is as large has none.
        let shift = self.real(self.either(8_388_608.0, 4_503_599_627_370_496.0));
        let magnitude = self.abs(x);
        let rounded = self.pos.ins().fadd(magnitude, shift);
        let rounded = self.pos.ins().fsub(rounded, shift);
        let small = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, shift);
        let rounded = self.choose(small, rounded, magnitude);
        self.with_sign(rounded, x)
    }

    /// The largest integer that is not above.
    pub(crate) fn floored(&mut self, x: Value) -> Value {
        if self.machine.rounds {
            return self.pos.ins().floor(x);
        }
        let rounded = self.rounded(x);
        let above = self.pos.ins().fcmp(FloatCC::LessThan, x, rounded);
        let one = self.real(1.0);
        let one = self.masked(above, one);
        let result = self.pos.ins().fsub(rounded, one);
        // 0 − 0 is +0 also where x is −0.
        self.with_sign(result, x)
    }

    /// `a·b + c` in `f64` of operands that are `f32`, rounded to odd: where it is not exact its last bit is
    /// set, so that rounding it to `f32` gives what rounding the exact sum gives (Boldo & Melquiond 2008).
    pub(crate) fn fma_to_odd(&mut self, operands: &[Value]) -> Value {
        let [a, b, c] = [0, 1, 2].map(|i| operands[i]);
        // 48 bits: exact.
        let product = self.pos.ins().fmul(a, b);
        let sum = self.pos.ins().fadd(product, c);
        let lost = self.two_sum_low(product, c, sum);
        // Neither is true for NaN, which follows from infinities.
        let zero = self.real(0.0);
        let above = self.pos.ins().fcmp(FloatCC::LessThan, zero, lost);
        let below = self.pos.ins().fcmp(FloatCC::LessThan, lost, zero);
        let inexact = self.pos.ins().bor(above, below);
        let negative = self.pos.ins().fcmp(FloatCC::LessThan, sum, zero);
        // Where the exact sum is nearer to zero, the number before it; a mask is −1.
        let back = self.pos.ins().bxor(above, negative);
        let back = self.pos.ins().band_not(inexact, back);
        let bits = self.as_bits(sum);
        let bits = self.pos.ins().iadd(bits, back);
        let one = self.bits(1);
        let odd = self.pos.ins().band(inexact, one);
        let bits = self.pos.ins().bor(bits, odd);
        self.as_reals(bits)
    }
}
