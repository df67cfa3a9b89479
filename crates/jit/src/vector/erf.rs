//! The error function in vectors.
//!
//! `f32`: an odd polynomial up to 0.93, beyond it `1 − e^q(|x|)` (N. Juffa's approximations). `f64`: the four
//! rational approximations of fdlibm's `erf`, all of them evaluated and one chosen; beyond 1.25 the two
//! of `erfc` share one evaluation with chosen coefficients.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::Code;
use crate::abi::Precision;

/// Up to here the odd polynomial is used in `f32`.
const NEAR: f64 = 0.927_734_375;
/// Its coefficients: erf x = x + x·P(x²), highest power first.
const ODD: [f64; 6] = [
    -5.967_617_03e-4,
    4.991_194_23e-3,
    -2.676_813_49e-2,
    1.128_199_25e-1,
    -3.761_253_36e-1,
    1.283_791_66e-1,
];
/// The coefficients of q(t) = t·Q(t) − t, highest power first.
const Q: [f64; 7] = [
    -1.728_534_70e-5,
    3.831_971_26e-4,
    -3.883_964_38e-3,
    2.425_462_19e-2,
    -1.067_778_77e-1,
    -6.348_466_87e-1,
    -1.287_175_12e-1,
];

/// erf 1, rounded to a few bits.
const ERX: f64 = 0.8450629115104675;
/// Up to 0.84375: erf x = x + x·PP(x²)/QQ(x²), highest power first.
const PP: [f64; 5] = [
    -2.3763016656650163e-05,
    -0.005770270296489442,
    -0.02848174957559851,
    -0.3250421072470015,
    0.12837916709551256,
];
/// Its denominator.
const QQ: [f64; 6] = [
    -3.960228278775368e-06,
    0.00013249473800432164,
    0.005081306281875766,
    0.0650222499887673,
    0.39791722395915535,
    1.0,
];
/// Up to 1.25: erf x = ERX + PA(x − 1)/QA(x − 1).
const PA: [f64; 7] = [
    -0.002166375594868791,
    0.035478304325618236,
    -0.11089469428239668,
    0.31834661990116175,
    -0.3722078760357013,
    0.41485611868374833,
    -0.0023621185607526594,
];
/// Its denominator.
const QA: [f64; 7] = [
    0.011984499846799107,
    0.01363708391202905,
    0.12617121980876164,
    0.07182865441419627,
    0.540397917702171,
    0.10642088040084423,
    1.0,
];
/// Up to 1/0.35: erfc x = e^(−x² − 0.5625 + RA(1/x²)/SA(1/x²))/x.
const RA: [f64; 8] = [
    -9.814329344169145,
    -81.2874355063066,
    -184.60509290671104,
    -162.39666946257347,
    -62.375332450326006,
    -10.558626225323291,
    -0.6938585727071818,
    -0.009864944034847148,
];
/// Its denominator.
const SA: [f64; 9] = [
    -0.0604244152148581,
    6.570249770319282,
    108.63500554177944,
    429.00814002756783,
    645.3872717332679,
    434.56587747522923,
    137.65775414351904,
    19.651271667439257,
    1.0,
];
/// The same beyond 1/0.35.
const RB: [f64; 8] = [
    0.0,
    -483.5191916086514,
    -1025.0951316110772,
    -637.5664433683896,
    -160.63638485582192,
    -17.757954917754752,
    -0.799283237680523,
    -0.0098649429247001,
];
/// Its denominator.
const SB: [f64; 9] = [
    0.0,
    -22.44095244658582,
    474.52854120695537,
    2553.0504064331644,
    3199.8582195085955,
    1536.729586084437,
    325.7925129965739,
    30.33806074348246,
    1.0,
];

impl Code<'_> {
    /// The error function.
    pub(crate) fn erf(&mut self, x: Value) -> Value {
        match self.shape.precision {
            Precision::F32 => self.erf_single(x),
            Precision::F64 => self.erf_double(x),
        }
    }

    fn erf_single(&mut self, x: Value) -> Value {
        let square = self.pos.ins().fmul(x, x);
        let near = self.polynomial(square, &ODD);
        let near = self.mul_add(near, x, x);

        // From 4 on the result rounds to 1.
        let magnitude = self.abs(x);
        let bound = self.real(4.5);
        let t = self.min(bound, magnitude);
        let q = self.polynomial(t, &Q);
        let minus = self.pos.ins().fneg(t);
        let q = self.mul_add(q, t, minus);
        let e = self.exp_normal(q);
        let one = self.real(1.0);
        let far = self.pos.ins().fsub(one, e);
        let far = self.with_sign(far, x);

        let bound = self.real(NEAR);
        let beyond = self.pos.ins().fcmp(FloatCC::LessThan, bound, magnitude);
        self.choose(beyond, far, near)
    }

    fn erf_double(&mut self, x: Value) -> Value {
        let magnitude = self.abs(x);
        let (one, bound) = (self.real(1.0), self.real(6.0));
        // From 6 on the result rounds to 1. The comparison keeps NaN.
        let t = self.min(bound, magnitude);

        let square = self.pos.ins().fmul(t, t);
        let p = self.polynomial(square, &PP);
        let q = self.polynomial(square, &QQ);
        let ratio = self.pos.ins().fdiv(p, q);
        let small = self.mul_add(t, ratio, t);

        let s = self.pos.ins().fsub(t, one);
        let p = self.polynomial(s, &PA);
        let q = self.polynomial(s, &QA);
        let ratio = self.pos.ins().fdiv(p, q);
        let erx = self.real(ERX);
        let middle = self.pos.ins().fadd(erx, ratio);

        let s = self.pos.ins().fdiv(one, square);
        let border = self.real(1.0 / 0.35);
        let inner = self.pos.ins().fcmp(FloatCC::LessThan, t, border);
        let r = self.chosen_polynomial(s, inner, &RA, &RB);
        let q = self.chosen_polynomial(s, inner, &SA, &SB);
        let ratio = self.pos.ins().fdiv(r, q);
        let shift = self.real(0.5625);
        let exponent = self.pos.ins().fsub(ratio, shift);
        let exponent = self.pos.ins().fsub(exponent, square);
        let e = self.exp_normal(exponent);
        let erfc = self.pos.ins().fdiv(e, t);
        let large = self.pos.ins().fsub(one, erfc);

        let (low, high) = (self.real(0.84375), self.real(1.25));
        let below = self.pos.ins().fcmp(FloatCC::LessThan, t, high);
        let result = self.choose(below, middle, large);
        let below = self.pos.ins().fcmp(FloatCC::LessThan, t, low);
        let result = self.choose(below, small, result);
        self.with_sign(result, x)
    }

    /// One polynomial or another, lane by lane.
    fn chosen_polynomial<const N: usize>(
        &mut self,
        x: Value,
        first: Value,
        one: &[f64; N],
        other: &[f64; N],
    ) -> Value {
        let mut sum = None;
        for (&a, &b) in one.iter().zip(other) {
            let (a, b) = (self.real(a), self.real(b));
            let coefficient = self.choose(first, a, b);
            sum = Some(match sum {
                None => coefficient,
                Some(sum) => self.mul_add(sum, x, coefficient),
            });
        }
        sum.expect("a polynomial has coefficients")
    }
}
