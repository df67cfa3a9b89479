//! What a rounded sum lost, for results that need more than a number's own precision
//! (Knuth, TAOCP 2, 4.2.2).

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
}
