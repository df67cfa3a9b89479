//! Vector registers of either precision, for loops that the compiler does not vectorise by itself: inner products,
//! whose sums end in one number.

use pulp::Simd;
use rheobase_ir::real::Real;

/// A precision and its registers.
pub trait Registers: Real {
    /// As many numbers as an instruction takes.
    type Register<S: Simd>: Copy;

    /// The number of them.
    fn lanes<S: Simd>(simd: S) -> usize;
    /// Numbers as registers, and those that are left.
    fn registers<S: Simd>(simd: S, numbers: &[Self]) -> (&[Self::Register<S>], &[Self]);
    /// At most as many numbers as a register holds, with zeros after them.
    fn part<S: Simd>(simd: S, numbers: &[Self]) -> Self::Register<S>;
    /// Zeros.
    fn zeros<S: Simd>(simd: S) -> Self::Register<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a · b + c`, rounded once where there is an instruction for it.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        c: Self::Register<S>,
    ) -> Self::Register<S>;
    /// The sum of all numbers of a register: halves are added until one is left.
    fn fold<S: Simd>(simd: S, a: Self::Register<S>) -> Self;

    /// The sum of all numbers of `P` registers, a power of two. It is taken in the order in which a register that
    /// is wide enough for all of them takes it.
    #[inline(always)]
    fn sum<S: Simd, const P: usize>(simd: S, mut registers: [Self::Register<S>; P]) -> Self {
        let mut half = P / 2;
        while half > 0 {
            for p in 0..half {
                registers[p] = Self::plus(simd, registers[p], registers[p + half]);
            }
            half /= 2;
        }
        Self::fold(simd, registers[0])
    }
}

macro_rules! registers {
    ($float:ident, $register:ident, $lanes:ident, $cut:ident, $part:ident, $splat:ident, $add:ident, $fused:ident, $fold:ident) => {
        impl Registers for $float {
            type Register<S: Simd> = S::$register;

            #[inline(always)]
            fn lanes<S: Simd>(_: S) -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn registers<S: Simd>(_: S, numbers: &[$float]) -> (&[S::$register], &[$float]) {
                S::$cut(numbers)
            }
            #[inline(always)]
            fn part<S: Simd>(simd: S, numbers: &[$float]) -> S::$register {
                simd.$part(numbers)
            }
            #[inline(always)]
            fn zeros<S: Simd>(simd: S) -> S::$register {
                simd.$splat(0.0)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$register, b: S::$register) -> S::$register {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$register,
                b: S::$register,
                c: S::$register,
            ) -> S::$register {
                simd.$fused(a, b, c)
            }
            #[inline(always)]
            fn fold<S: Simd>(simd: S, a: S::$register) -> $float {
                simd.$fold(a)
            }
        }
    };
}
registers!(
    f32,
    f32s,
    F32_LANES,
    as_simd_f32s,
    partial_load_f32s,
    splat_f32s,
    add_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s
);
registers!(
    f64,
    f64s,
    F64_LANES,
    as_simd_f64s,
    partial_load_f64s,
    splat_f64s,
    add_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s
);
