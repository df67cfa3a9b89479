//! The two precisions of an executor, and the scalar functions that define what the ops compute.
//!
//! These are the reference: the interpreter calls them, and compiled code is compared with them or, where
//! it has no vector form of a function, calls them too. In `f32` the special functions are
//! computed in `f64` and rounded, so that the oracle's own error is half a unit in the last place.

use std::fmt::{Debug, Display};

/// `f32` or `f64`.
pub trait Real:
    Copy + PartialOrd + PartialEq + Debug + Display + Default + Send + Sync + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The name of the precision.
    const NAME: &'static str;

    /// Rounds to this precision.
    fn from_f64(value: f64) -> Self;
    /// The same number in double precision.
    fn to_f64(self) -> f64;
    /// `−a`.
    fn neg(self) -> Self;
    /// `a + b`.
    fn add(self, other: Self) -> Self;
    /// `a − b`.
    fn sub(self, other: Self) -> Self;
    /// `a · b`.
    fn mul(self, other: Self) -> Self;
    /// `a / b`.
    fn div(self, other: Self) -> Self;
    /// `a · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `|a|`.
    fn abs(self) -> Self;
    /// The largest integer that is not above.
    fn floor(self) -> Self;
    /// The nearest integer, ties to even.
    fn round(self) -> Self;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
    /// `other` if it is chosen, without a branch.
    fn or(self, other: Self, chosen: bool) -> Self;
    /// Its bits, at the lower end.
    fn bits(self) -> u64;
}

macro_rules! real {
    ($float:ident, $bits:ident) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = stringify!($float);

            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn neg(self) -> Self {
                -self
            }
            #[inline]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline]
            fn div(self, other: Self) -> Self {
                self / other
            }
            #[inline]
            fn fma(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            #[inline]
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }
            #[inline]
            fn abs(self) -> Self {
                $float::abs(self)
            }
            #[inline]
            fn floor(self) -> Self {
                $float::floor(self)
            }
            #[inline]
            fn round(self) -> Self {
                $float::round_ties_even(self)
            }
            #[inline]
            fn is_finite(self) -> bool {
                $float::is_finite(self)
            }
            #[inline]
            fn is_nan(self) -> bool {
                $float::is_nan(self)
            }
            #[inline]
            fn or(self, other: Self, chosen: bool) -> Self {
                let mask = $bits::from(chosen).wrapping_neg();
                $float::from_bits((other.to_bits() & mask) | (self.to_bits() & !mask))
            }
            #[inline]
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
        }
    };
}
real!(f32, u32);
real!(f64, u64);

/// The upper half of a number in single precision, rounded to the nearest, ties to even (bfloat16). NaN stays NaN.
pub fn to_bf16(a: f64) -> u16 {
    let a = a as f32;
    let bits = a.to_bits();
    let half = match a.is_nan() {
        // A NaN whose upper half is that of infinity would become one.
        true => bits | 0x0040_0000,
        false => bits + 0x7fff + (bits >> 16 & 1),
    };
    (half >> 16) as u16
}

/// The number with this upper half.
pub fn from_bf16(half: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(half) << 16))
}

/// −1, 0 or 1; NaN for NaN.
pub fn sign(a: f64) -> f64 {
    if a > 0.0 {
        1.0
    } else if a < 0.0 {
        -1.0
    } else {
        a * 0.0
    }
}

/// `1/(1 + e^−a)` without overflow: the exponential is always of a negative number.
pub fn sigmoid(a: f64) -> f64 {
    let e = (-a.abs()).exp();
    if a >= 0.0 {
        1.0 / (1.0 + e)
    } else {
        e / (1.0 + e)
    }
}

/// `log(1 + e^a)` without overflow: `max(a, 0) + log1p(e^−|a|)`.
pub fn softplus(a: f64) -> f64 {
    if a.is_nan() {
        return a;
    }
    a.max(0.0) + (-a.abs()).exp().ln_1p()
}

/// The error function.
pub fn erf(a: f64) -> f64 {
    libm::erf(a)
}

/// `a^b`.
pub fn pow(a: f64, b: f64) -> f64 {
    a.powf(b)
}

/// phi_k(z), see [`crate::ops::Op::Phi`].
///
/// Near 0 the Taylor series `Σ z^j / (j + k)!`; elsewhere the recurrence from `expm1`, which loses no
/// digits there because its differences are not small.
pub fn phi(k: u8, z: f64) -> f64 {
    if k == 0 {
        return z.exp();
    }
    let order = f64::from(k);
    if z.abs() < 1.0 + order {
        // Σ z^j/(j+k)!: 40 terms reach 1e-17 for |z| below 8.
        let mut term = 1.0;
        for i in 1..=u32::from(k) {
            term /= f64::from(i);
        }
        let mut sum = 0.0;
        for j in 0..40 {
            sum += term;
            term *= z / (order + f64::from(j) + 1.0);
        }
        // The alternating series cancels for z below about −1; the closed form is better there for k = 1.
        if k > 1 || z > -1.0 {
            return sum;
        }
    }
    if z == f64::INFINITY {
        return f64::INFINITY;
    }
    if z == f64::NEG_INFINITY {
        return 0.0;
    }
    if z > 700.0 {
        // e^z alone may be too large, and the other terms do not count.
        let root = (z / 2.0).exp();
        return (0..k).fold(root, |value, _| value / z) * root;
    }
    let mut value = z.exp_m1() / z;
    let mut inverse_factorial = 1.0;
    for i in 1..k {
        inverse_factorial /= f64::from(i);
        value = (value - inverse_factorial) / z;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_agrees_with_its_closed_form_away_from_zero() {
        for z in [-40.0f64, -7.0, -3.0, -1.5, 1.5, 3.0, 9.0] {
            let one = z.exp_m1() / z;
            let two = (z.exp() - 1.0 - z) / (z * z);
            assert!((phi(1, z) - one).abs() <= 4e-16 * one.abs(), "phi1({z})");
            assert!((phi(2, z) - two).abs() <= 1e-14 * two.abs(), "phi2({z})");
        }
    }

    #[test]
    fn phi_at_zero_is_one_over_k_factorial() {
        assert_eq!(phi(1, 0.0), 1.0);
        assert_eq!(phi(2, 0.0), 0.5);
        assert_eq!(phi(3, 0.0), 0.5 / 3.0);
        assert!((phi(1, -1e-9) - (1.0 - 0.5e-9)).abs() < 1e-16);
    }

    #[test]
    fn sigmoid_and_softplus_do_not_overflow() {
        assert_eq!(sigmoid(-1e4), 0.0);
        assert_eq!(sigmoid(1e4), 1.0);
        assert_eq!(softplus(1e4), 1e4);
        assert_eq!(softplus(-1e4), 0.0);
        assert!(softplus(f64::NAN).is_nan());
    }
}
