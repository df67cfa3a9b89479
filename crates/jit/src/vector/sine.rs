//! Sine and cosine in double-precision vectors; `f32` uses them too, with shorter polynomials.
//!
//! `x = n·π/2 + r` with |r| ≤ π/4. For |x| below 2^20 the product is subtracted in three parts of π/2 with 33
//! bits, whose products with n are exact, and r is kept as a pair of numbers, so that cancellation costs
//! nothing (fdlibm's `rem_pio2`, without its branches). Where a lane is larger, the bits of 2/π that matter for
//! its exponent are multiplied with its mantissa in integers (Payne & Hanek 1983). Polynomials: fdlibm's
//! `__kernel_sin` and `__kernel_cos`; for results in `f32` those of FreeBSD's `sinf` and `cosf`.

use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types,
};

use super::Code;
use crate::abi::Precision;

/// Up to here n has at most 20 bits.
const MEDIUM: f64 = 1.0e6;
/// π/2 in parts of 33 bits, and the rest.
const PI_HALF: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5440_0000),
    f64::from_bits(0x3dd0_b461_1a60_0000),
    f64::from_bits(0x3ba3_198a_2e00_0000),
    f64::from_bits(0x397b_839a_2520_49c1),
];
/// π/2 in two numbers.
const PI_HALF_PAIR: [f64; 2] = [
    std::f64::consts::FRAC_PI_2,
    f64::from_bits(0x3c91_a626_3314_5c07),
];
/// 1.5·2^52.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// The coefficients of sin r = r + r³·S(r²), highest power first.
const SINE: [f64; 6] = [
    f64::from_bits(0x3de5_d93a_5acf_d57c),
    f64::from_bits(0xbe5a_e5e6_8a2b_9ceb),
    f64::from_bits(0x3ec7_1de3_57b1_fe7d),
    f64::from_bits(0xbf2a_01a0_19c1_61d5),
    f64::from_bits(0x3f81_1111_1110_f8a6),
    f64::from_bits(0xbfc5_5555_5555_5549),
];
/// The coefficients of cos r = 1 − r²/2 + r⁴·C(r²).
const COSINE: [f64; 6] = [
    f64::from_bits(0xbda8_fae9_be88_38d4),
    f64::from_bits(0x3e21_ee9e_bdb4_b1c4),
    f64::from_bits(0xbe92_7e4f_809c_52ad),
    f64::from_bits(0x3efa_01a0_19cb_1590),
    f64::from_bits(0xbf56_c16c_16c1_5177),
    f64::from_bits(0x3fa5_5555_5555_554c),
];
/// The same for results in `f32`: sine, then cos r = 1 + r²·C(r²).
const SINE_SINGLE: [f64; 4] = [
    f64::from_bits(0x3ec6_cd87_8c3b_46a7),
    f64::from_bits(0xbf2a_00f9_e2ca_e774),
    f64::from_bits(0x3f81_1111_0896_efb2),
    f64::from_bits(0xbfc5_5555_54cb_ac77),
];
const COSINE_SINGLE: [f64; 4] = [
    f64::from_bits(0x3ef9_9342_e0ee_5069),
    f64::from_bits(0xbf56_c087_e80f_1e27),
    f64::from_bits(0x3fa5_5553_e105_3a42),
    f64::from_bits(0xbfdf_ffff_fd0c_5e81),
];
/// The bits of 2/π after 64 zeros, so that windows may begin before its first bit.
const TWO_OVER_PI: [u64; 20] = [
    0x0000_0000_0000_0000,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
];

/// An argument less a multiple of π/2.
#[derive(Clone, Copy)]
struct Reduced {
    /// The multiple; its two low bits count.
    n: Value,
    /// The rest.
    r: Value,
    /// What rounding the rest lost.
    r_low: Value,
}

impl Code<'_> {
    /// `sin(x + quarters·π/2)` in `f64`, good enough for a result in `precision`. Ends the current block;
    /// goes on in another.
    pub(crate) fn sine(&mut self, x: Value, quarters: u64, precision: Precision) -> Value {
        let reduced = self.reduce_quarters(x);
        let square = self.pos.ins().fmul(reduced.r, reduced.r);
        let [sine, cosine] = match precision {
            Precision::F32 => self.sines_single(&reduced, square),
            Precision::F64 => self.sines_double(&reduced, square),
        };
        let [quarters, one, zero] = [quarters, 1, 0].map(|n| self.bits(n));
        let n = self.pos.ins().iadd(reduced.n, quarters);
        let odd = self.pos.ins().band(n, one);
        let even = self.pos.ins().icmp(IntCC::Equal, odd, zero);
        let result = self.choose(even, sine, cosine);
        let half = self.shift_left(n, 62);
        let sign = self.sign_bits();
        let sign = self.pos.ins().band(half, sign);
        let result = self.as_bits(result);
        let result = self.pos.ins().bxor(result, sign);
        self.as_reals(result)
    }

    /// sin r and cos r for |r| up to π/4, in the precision of the code.
    pub(crate) fn sines_of_octant(&mut self, r: Value) -> [Value; 2] {
        let square = self.pos.ins().fmul(r, r);
        let r_low = self.real(0.0);
        // The multiple is not looked at.
        let reduced = Reduced { n: r, r, r_low };
        match self.shape.precision {
            Precision::F32 => self.sines_single(&reduced, square),
            Precision::F64 => self.sines_double(&reduced, square),
        }
    }

    /// sin r and cos r with the error of r.
    fn sines_double(&mut self, reduced: &Reduced, square: Value) -> [Value; 2] {
        let Reduced { r, r_low, .. } = *reduced;
        let (half, one) = (self.real(0.5), self.real(1.0));
        // r − ((r²·(r_low/2 − r³·S') − r_low) − r³·S1)
        let cube = self.pos.ins().fmul(square, r);
        let rest = self.polynomial(square, &SINE[..5]);
        let rest = self.pos.ins().fmul(cube, rest);
        let low = self.pos.ins().fmul(half, r_low);
        let low = self.pos.ins().fsub(low, rest);
        let low = self.pos.ins().fmul(square, low);
        let low = self.pos.ins().fsub(low, r_low);
        let first = self.real(SINE[5]);
        let low = self.mul_sub(cube, first, low);
        let sine = self.pos.ins().fsub(r, low);

        // w + ((1 − w − r²/2) + (r⁴·C − r·r_low)) with w = 1 − r²/2
        let half_square = self.pos.ins().fmul(half, square);
        let w = self.pos.ins().fsub(one, half_square);
        let lost = self.pos.ins().fsub(one, w);
        let lost = self.pos.ins().fsub(lost, half_square);
        let rest = self.polynomial(square, &COSINE);
        let rest = self.pos.ins().fmul(square, rest);
        let rest = self.pos.ins().fmul(square, rest);
        let rest = self.mul_sub(r, r_low, rest);
        let rest = self.pos.ins().fadd(lost, rest);
        let cosine = self.pos.ins().fadd(w, rest);
        [sine, cosine]
    }

    fn sines_single(&mut self, reduced: &Reduced, square: Value) -> [Value; 2] {
        let r = reduced.r;
        let one = self.real(1.0);
        let sine = self.polynomial(square, &SINE_SINGLE);
        let sine = self.pos.ins().fmul(sine, square);
        let sine = self.mul_add(sine, r, r);
        // A zero keeps its sign.
        let sine = self.with_sign(sine, r);
        let cosine = self.polynomial(square, &COSINE_SINGLE);
        let cosine = self.mul_add(cosine, square, one);
        [sine, cosine]
    }

    fn reduce_quarters(&mut self, x: Value) -> Reduced {
        let medium = self.reduce_medium(x);
        let magnitude = self.abs(x);
        let bound = self.real(MEDIUM);
        // Also true for NaN. Not every machine has the comparison the other way round.
        let small = self.pos.ins().fcmp(FloatCC::LessThan, magnitude, bound);
        let huge = self.pos.ins().bnot(small);
        let any = self.pos.ins().vany_true(huge);
        let [large, after] = [(); 2].map(|()| self.pos.func.dfg.make_block());
        let reals = self.shape.reals;
        let parts = [self.shape.masks, reals, reals];
        let [n, r, r_low] = parts.map(|ty| self.pos.func.dfg.append_block_param(after, ty));
        let Reduced {
            n: medium_n,
            r: medium_r,
            r_low: medium_low,
        } = medium;
        let args = [medium_n, medium_r, medium_low].map(Into::into);
        self.pos.ins().brif(any, large, &[], after, &args);
        self.pos.func.layout.append_block(large);
        self.pos.goto_bottom(large);
        self.forget();
        let exact = self.reduce_large(x);
        let pick = |code: &mut Self, large, medium| code.choose(huge, large, medium);
        let bits = [exact.n, medium_n].map(|n| self.as_reals(n));
        let large_n = pick(self, bits[0], bits[1]);
        let large_n = self.as_bits(large_n);
        let large_r = pick(self, exact.r, medium_r);
        let large_low = pick(self, exact.r_low, medium_low);
        let args = [large_n, large_r, large_low].map(Into::into);
        self.pos.ins().jump(after, &args);
        self.pos.func.layout.append_block(after);
        self.pos.goto_bottom(after);
        self.forget();
        Reduced { n, r, r_low }
    }

    /// For |x| below [`MEDIUM`].
    fn reduce_medium(&mut self, x: Value) -> Reduced {
        let factor = self.real(std::f64::consts::FRAC_2_PI);
        let rounder = self.real(ROUNDER);
        let rounded = self.mul_add(x, factor, rounder);
        let n = self.as_bits(rounded);
        let count = self.pos.ins().fsub(rounded, rounder);
        let mut rest = x;
        let mut lost = None;
        for part in &PI_HALF[..3] {
            let part = self.real(*part);
            let product = self.pos.ins().fmul(count, part);
            let next = self.pos.ins().fsub(rest, product);
            let minus = self.pos.ins().fneg(product);
            let low = self.two_sum_low(rest, minus, next);
            lost = Some(match lost {
                None => low,
                Some(lost) => self.pos.ins().fadd(lost, low),
            });
            rest = next;
        }
        let last = self.real(PI_HALF[3]);
        let lost = lost.expect("there are three parts");
        let lost = self.mul_sub(count, last, lost);
        let r = self.pos.ins().fadd(rest, lost);
        let r_low = self.pos.ins().fsub(rest, r);
        let r_low = self.pos.ins().fadd(r_low, lost);
        // The difference of equal numbers is +0: a zero keeps its sign.
        let zero = self.real(0.0);
        let is_zero = self.pos.ins().fcmp(FloatCC::Equal, x, zero);
        let r = self.choose(is_zero, x, r);
        Reduced { n, r, r_low }
    }

    /// For |x| above 2^19, lane by lane; NaN for infinities and NaN.
    fn reduce_large(&mut self, x: Value) -> Reduced {
        let table = self.store_two_over_pi();
        let bits = self.as_bits(x);
        let lanes = [0, 1].map(|lane| {
            let bits = self.pos.ins().extractlane(bits, lane);
            self.reduce_large_lane(bits, table)
        });
        let join = |code: &mut Self, ty, [a, b]: [Value; 2]| {
            let both = code.pos.ins().splat(ty, a);
            code.pos.ins().insertlane(both, b, 1)
        };
        let (reals, masks) = (self.shape.reals, self.shape.masks);
        let n = join(self, masks, lanes.map(|lane| lane[0]));
        let high = join(self, reals, lanes.map(|lane| lane[1]));
        let low = join(self, reals, lanes.map(|lane| lane[2]));
        let [half_pi, half_pi_low] = PI_HALF_PAIR.map(|part| self.real(part));
        let product = self.pos.ins().fmul(high, half_pi);
        let lost = self.two_product_low(high, half_pi, product);
        let lost = self.mul_add(high, half_pi_low, lost);
        let lost = self.mul_add(low, half_pi, lost);
        let r = self.pos.ins().fadd(product, lost);
        let r_low = self.pos.ins().fsub(product, r);
        let r_low = self.pos.ins().fadd(r_low, lost);
        let zero = self.real(0.0);
        let special = self.pos.ins().fmul(x, zero);
        let r = self.pos.ins().fadd(r, special);
        Reduced { n, r, r_low }
    }

    /// The bits of 2/π in memory that can be indexed.
    fn store_two_over_pi(&mut self) -> Value {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 8 * 20, 3);
        let slot = self.pos.func.create_sized_stack_slot(data);
        let table = self.pos.ins().stack_addr(types::I64, slot, 0);
        for (i, word) in TWO_OVER_PI.into_iter().enumerate() {
            let word = self.pos.ins().iconst(types::I64, word as i64);
            let access = MemFlagsData::trusted();
            self.pos.ins().store(access, word, table, 8 * i as i32);
        }
        table
    }

    /// From the bits of a number to n and the rest over π/2 as a pair.
    ///
    /// With `x = ±m·2^e`, 192 bits of 2/π from bit `e − 2` on, times m, are x·2/π/4 modulo 1.
    fn reduce_large_lane(&mut self, bits: Value, table: Value) -> [Value; 3] {
        let int = types::I64;
        let constant = |code: &mut Self, n: i64| code.pos.ins().iconst(int, n);
        let exponent = self.pos.ins().ushr_imm_u(bits, 52);
        let exponent = self.pos.ins().band_imm_s(exponent, 0x7ff);
        // e − 2 + 64 = exponent − 1075 + 62; lanes that are not large are computed for nothing.
        let start = self.pos.ins().iadd_imm_s(exponent, -1013);
        let [least, most] = [0, 1033].map(|n| constant(self, n));
        let start = self.pos.ins().smax(start, least);
        let start = self.pos.ins().smin(start, most);
        let mantissa = self.pos.ins().band_imm_s(bits, (1 << 52) - 1);
        let mantissa = self.pos.ins().bor_imm_s(mantissa, 1 << 52);
        let words = self.window(table, start);

        let last = self.pos.ins().umulhi(mantissa, words[2]);
        let middle = self.pos.ins().imul(mantissa, words[1]);
        let carried = self.pos.ins().umulhi(mantissa, words[1]);
        let first = self.pos.ins().imul(mantissa, words[0]);
        let low = self.pos.ins().iadd(middle, last);
        let carry = self.pos.ins().icmp(IntCC::UnsignedLessThan, low, last);
        let carry = self.pos.ins().uextend(int, carry);
        let high = self.pos.ins().iadd(first, carried);
        let high = self.pos.ins().iadd(high, carry);

        // Quarters, to the nearest; the rest is a signed fraction of 128 bits.
        let n = self.pos.ins().iadd_imm_s(high, 1 << 61);
        let n = self.pos.ins().ushr_imm_u(n, 62);
        let whole = self.pos.ins().ishl_imm_u(n, 62);
        let high = self.pos.ins().isub(high, whole);
        let minus = self.pos.ins().sshr_imm_u(high, 63);
        // Absolute value: flip all bits; the unit in the last place does not matter.
        let high = self.pos.ins().bxor(high, minus);
        let low = self.pos.ins().bxor(low, minus);
        let [upper, lower] = self.normalized(high, low);

        // The sign of x is that of n and of the rest.
        let negative = self.pos.ins().sshr_imm_u(bits, 63);
        let n = self.pos.ins().bxor(n, negative);
        let n = self.pos.ins().isub(n, negative);
        let sign = self.pos.ins().bxor(negative, minus);
        let sign = self.pos.ins().ishl_imm_u(sign, 63);
        let [upper, lower] = [upper, lower].map(|x| {
            let plain = MemFlagsData::new();
            let bits = self.pos.ins().bitcast(int, plain, x);
            let bits = self.pos.ins().bxor(bits, sign);
            self.pos.ins().bitcast(types::F64, plain, bits)
        });
        [n, upper, lower]
    }

    /// 192 bits of the table from a bit on.
    fn window(&mut self, table: Value, start: Value) -> [Value; 3] {
        let word = self.pos.ins().ushr_imm_u(start, 6);
        let offset = self.pos.ins().ishl_imm_u(word, 3);
        let address = self.pos.ins().iadd(table, offset);
        let shift = self.pos.ins().band_imm_s(start, 63);
        let back = self.pos.ins().bxor_imm_s(shift, 63);
        let access = MemFlagsData::trusted();
        let words =
            [0, 8, 16, 24].map(|offset| self.pos.ins().load(types::I64, access, address, offset));
        [0, 1, 2].map(|i| {
            let upper = self.pos.ins().ishl(words[i], shift);
            let lower = self.pos.ins().ushr_imm_u(words[i + 1], 1);
            let lower = self.pos.ins().ushr(lower, back);
            self.pos.ins().bor(upper, lower)
        })
    }

    /// `(high·2^64 + low)·2^−126` as a pair of numbers, for `high` that is neither 0 nor above 2^62.
    fn normalized(&mut self, high: Value, low: Value) -> [Value; 2] {
        let safe = self.pos.ins().bor_imm_s(high, 1);
        let zeros = self.pos.ins().clz(safe);
        let back = self.pos.ins().bxor_imm_s(zeros, 63);
        let upper = self.pos.ins().ishl(high, zeros);
        let lower = self.pos.ins().ushr_imm_u(low, 1);
        let lower = self.pos.ins().ushr(lower, back);
        let upper = self.pos.ins().bor(upper, lower);
        let low = self.pos.ins().ishl(low, zeros);
        // 53 bits, then 53 more.
        let first = self.pos.ins().ushr_imm_u(upper, 11);
        let second = self.pos.ins().band_imm_s(upper, 0x7ff);
        let second = self.pos.ins().ishl_imm_u(second, 42);
        let third = self.pos.ins().ushr_imm_u(low, 22);
        let second = self.pos.ins().bor(second, third);
        // first has the unit 2^(11 − 62 − zeros), second a unit 2^53 times smaller.
        [(first, 11 - 62), (second, 11 - 62 - 53)].map(|(bits, unit)| {
            let number = self.pos.ins().fcvt_from_sint(types::F64, bits);
            let exponent = self.pos.ins().iconst(types::I64, 1023 + unit);
            let exponent = self.pos.ins().isub(exponent, zeros);
            let scale = self.pos.ins().ishl_imm_u(exponent, 52);
            let scale = self
                .pos
                .ins()
                .bitcast(types::F64, MemFlagsData::new(), scale);
            self.pos.ins().fmul(number, scale)
        })
    }
}
