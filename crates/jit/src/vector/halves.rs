//! Numbers in bfloat16: the upper half of a real in single precision.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};

use super::Code;
use crate::abi::Precision;

/// A cast of a whole register.
fn lanes() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl Code<'_> {
    /// A real rounded to single precision and then to its upper half, ties to even. NaN stays NaN.
    pub(crate) fn narrowed(&mut self, x: ir::Value) -> ir::Value {
        let single = self.single(x);
        let bits = self.pos.ins().bitcast(types::I32X4, lanes(), single);
        // To the last bit that stays, plus a half, or a bit less where that bit is even.
        let upper = self.shift_right(bits, 16);
        let one = self.words(1);
        let odd = self.pos.ins().band(upper, one);
        let half = self.words(0x7fff);
        let rounded = self.pos.ins().iadd(bits, half);
        let rounded = self.pos.ins().iadd(rounded, odd);
        // A NaN whose upper half is that of infinity would become one.
        let quiet = self.words(0x0040_0000);
        let quiet = self.pos.ins().bor(bits, quiet);
        let nan = self.pos.ins().fcmp(FloatCC::NotEqual, single, single);
        let chosen = self.pos.ins().bitselect(nan, quiet, rounded);
        let upper = self.words(0xffff_0000);
        let kept = self.pos.ins().band(chosen, upper);
        self.of_single(kept)
    }

    /// Reals from upper halves, one in each word.
    pub(crate) fn lengthened(&mut self, words: ir::Value) -> ir::Value {
        let bits = self.shift_left(words, 16);
        self.of_single(bits)
    }

    /// The upper halves of reals, one in each word, with the sign in front.
    pub(crate) fn shortened(&mut self, x: ir::Value) -> ir::Value {
        let single = self.single(x);
        let bits = self.pos.ins().bitcast(types::I32X4, lanes(), single);
        let places = self.pos.ins().iconst(types::I32, 16);
        self.pos.ins().sshr(bits, places)
    }

    /// Reals in single precision.
    fn single(&mut self, x: ir::Value) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => x,
            Precision::F64 => self.pos.ins().fvdemote(x),
        }
    }

    /// Reals of the bits of others in single precision.
    fn of_single(&mut self, bits: ir::Value) -> ir::Value {
        let single = self.pos.ins().bitcast(types::F32X4, lanes(), bits);
        match self.shape.precision {
            Precision::F32 => single,
            Precision::F64 => self.pos.ins().fvpromote_low(single),
        }
    }
}
