//! What a rounded sum or product lost, for results that need more than a number's own precision
//! (Dekker 1971; Knuth, TAOCP 2, 4.2.2).

use cranelift_codegen::ir::{self, InstBuilder};

use super::Code;

impl Code<'_> {
    /// `a + b − sum` exactly, where `sum` is the rounded `a + b`, whichever of the two is larger.
    pub(crate) fn two_sum_low(&mut self, a: ir::Value, b: ir::Value, sum: ir::Value) -> ir::Value {
        let b_seen = self.pos.ins().fsub(sum, a);
        let a_seen = self.pos.ins().fsub(sum, b_seen);
        let a_lost = self.pos.ins().fsub(a, a_seen);
        let b_lost = self.pos.ins().fsub(b, b_seen);
        self.pos.ins().fadd(a_lost, b_lost)
    }

    /// `a·b − product` exactly, where `product` is the rounded `a·b`, unless something overflows or is
    /// denormal.
    pub(crate) fn two_product_low(
        &mut self,
        a: ir::Value,
        b: ir::Value,
        product: ir::Value,
    ) -> ir::Value {
        if self.machine.fused {
            let minus = self.pos.ins().fneg(product);
            return self.pos.ins().fma(a, b, minus);
        }
        let [a_high, a_low] = self.halves(a);
        let [b_high, b_low] = self.halves(b);
        let mut rest = self.pos.ins().fmul(a_high, b_high);
        rest = self.pos.ins().fsub(rest, product);
        for (x, y) in [(a_high, b_low), (a_low, b_high), (a_low, b_low)] {
            let part = self.pos.ins().fmul(x, y);
            rest = self.pos.ins().fadd(rest, part);
        }
        rest
    }

    /// Two numbers of half the digits whose sum a number is (Veltkamp).
    fn halves(&mut self, a: ir::Value) -> [ir::Value; 2] {
        let splitter = self.real(self.either(4_097.0, 134_217_729.0));
        let scaled = self.pos.ins().fmul(a, splitter);
        let rest = self.pos.ins().fsub(scaled, a);
        let high = self.pos.ins().fsub(scaled, rest);
        [high, self.pos.ins().fsub(a, high)]
    }
}
