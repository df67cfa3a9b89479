//! Random numbers in vectors: what [`rheobase_ir::draws`] defines.
//!
//! Threefry needs additions, shifts and exclusive-ors of words of 32 bits only. In single precision there is a word in
//! each lane; in double precision the words are in the lower two of four.

use std::f64::consts::FRAC_PI_4;

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};
use rheobase_ir::draws::{PARITY, ROTATIONS, ROUNDS};

use super::Code;
use crate::abi::Precision;

/// A cast between words and wider integers in memory order.
fn lanes() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl Code<'_> {
    /// Threefry-2x32 of the words of three operands and a number, for some registers. Round by round for all: each
    /// round waits for the one before, and the registers do not wait for each other.
    pub(crate) fn blocks(&mut self, args: &[[ir::Value; 3]], number: u32) -> Vec<[ir::Value; 2]> {
        let parity = self.words(PARITY);
        let number = self.words(number);
        let mut keys = Vec::new();
        let mut blocks = Vec::new();
        for args in args {
            let [a, b, step] = args.map(|x| self.word(x));
            let third = self.pos.ins().bxor(a, b);
            let third = self.pos.ins().bxor(third, parity);
            keys.push([a, b, third]);
            let x = self.pos.ins().iadd(step, a);
            blocks.push([x, self.pos.ins().iadd(number, b)]);
        }
        for round in 0..ROUNDS {
            for (keys, block) in keys.iter().zip(&mut blocks) {
                *block = self.round(round, *block, keys);
            }
        }
        blocks
    }

    fn round(
        &mut self,
        round: usize,
        block: [ir::Value; 2],
        keys: &[ir::Value; 3],
    ) -> [ir::Value; 2] {
        let [x, y] = block;
        let x = self.pos.ins().iadd(x, y);
        let y = self.rotated(y, ROTATIONS[round % ROTATIONS.len()]);
        let y = self.pos.ins().bxor(y, x);
        if round % 4 != 3 {
            return [x, y];
        }
        let injection = round / 4 + 1;
        let x = self.pos.ins().iadd(x, keys[injection % 3]);
        let count = self.words(injection as u32);
        let y = self.pos.ins().iadd(y, keys[(injection + 1) % 3]);
        [x, self.pos.ins().iadd(y, count)]
    }

    /// A word in every lane.
    pub(super) fn words(&mut self, word: u32) -> ir::Value {
        let word = u64::from(word);
        let bits = self.either(word, word << 32 | word);
        let bits = self.bits(bits);
        self.pos.ins().bitcast(types::I32X4, lanes(), bits)
    }

    /// The bits of reals in single precision, with one NaN.
    fn word(&mut self, x: ir::Value) -> ir::Value {
        let x = match self.shape.precision {
            Precision::F32 => x,
            Precision::F64 => self.pos.ins().fvdemote(x),
        };
        let nan = self.words(0x7fc0_0000);
        let unordered = self.pos.ins().fcmp(FloatCC::NotEqual, x, x);
        let word = self.pos.ins().bitcast(types::I32X4, MemFlagsData::new(), x);
        self.pos.ins().bitselect(unordered, nan, word)
    }

    fn rotated(&mut self, x: ir::Value, places: u32) -> ir::Value {
        let left = self.shift_left(x, i64::from(places));
        let right = self.shift_right(x, i64::from(32 - places));
        self.pos.ins().bor(left, right)
    }

    /// Words of at most 24 bits over 2^24, as reals.
    fn fraction(&mut self, words: ir::Value) -> ir::Value {
        let reals = self.shape.reals;
        let words = self.widened(words);
        let number = self.pos.ins().fcvt_from_sint(reals, words);
        let scale = self.real(2f64.powi(-24));
        self.pos.ins().fmul(number, scale)
    }

    /// Words as wide as reals; the sign is spread.
    fn widened(&mut self, words: ir::Value) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => words,
            Precision::F64 => self.pos.ins().swiden_low(words),
        }
    }

    /// The two uniform numbers of a block.
    pub(crate) fn uniform_pair(&mut self, block: [ir::Value; 2]) -> [ir::Value; 2] {
        block.map(|word| {
            let upper = self.shift_right(word, 8);
            self.fraction(upper)
        })
    }

    /// The two normal numbers of a block (Box and Muller).
    pub(crate) fn normal_pair(&mut self, [first, second]: [ir::Value; 2]) -> [ir::Value; 2] {
        let one = self.words(1);
        let u = self.shift_right(first, 8);
        let u = self.pos.ins().bor(u, one);
        let u = self.fraction(u);
        let log = self.log_positive(u, None, None);
        let minus_two = self.real(-2.0);
        let square = self.pos.ins().fmul(log, minus_two);
        let radius = self.pos.ins().sqrt(square);

        // 23 bits of the angle, above them one for the swap, above that one for each sign.
        let angle = self.shift_right(second, 2);
        let mask = self.words(0x00ff_ffff);
        let angle = self.pos.ins().band(angle, mask);
        let angle = self.pos.ins().bor(angle, one);
        let angle = self.fraction(angle);
        let quarter = self.real(FRAC_PI_4);
        let main = self.pos.ins().fmul(angle, quarter);
        let mut pair = self.sines_of_octant(main);
        if self.machine.fused && self.shape.precision == Precision::F32 {
            // What the product and the constant have lost: sin(a + b) is sin a + b cos a for a small b.
            let minus = self.pos.ins().fneg(main);
            let lost = self.pos.ins().fma(angle, quarter, minus);
            let rest = self.real(FRAC_PI_4 - f64::from(FRAC_PI_4 as f32));
            let lost = self.pos.ins().fma(angle, rest, lost);
            let [sine, cosine] = pair;
            pair = [
                self.mul_add(lost, cosine, sine),
                self.mul_sub(lost, sine, cosine),
            ];
        }
        let [sine, cosine] = pair;
        let swap = self.shift_left(second, 2);
        let places = self.pos.ins().iconst(types::I32, 31);
        let swap = self.pos.ins().sshr(swap, places);
        let swap = self.widened(swap);
        let pair = [
            self.choose(swap, cosine, sine),
            self.choose(swap, sine, cosine),
        ];
        let signs = [second, self.shift_left(second, 1)];
        [0, 1].map(|i| {
            let magnitude = self.pos.ins().fmul(radius, pair[i]);
            let sign = self.widened(signs[i]);
            let sign = self.as_reals(sign);
            self.with_sign(magnitude, sign)
        })
    }
}
