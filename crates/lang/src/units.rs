//! Units: three base dimensions with rational exponents, and a factor to the internal base units.
//!
//! Values inside the compiler are in ms, mV and pA and in what follows from them: nS = pA/mV,
//! pF = pA·ms/mV, 1/ms. In these units the numbers of a point neuron are of order one, which is
//! what `f32` needs. Exponents are rational because white noise has the unit 1/ms^(1/2).
//!
//! `step`, the length of a time step, is a unit of time whose factor is known only when a network
//! or a command fixes it; [`Unit::steps`] counts how often it occurs.
//!
//! Invariants: exponents are reduced and small (see [`Exponent::LIMIT`]); factors are finite and
//! positive. Operations that would leave the range give `None`.

pub mod names;
pub mod print;
pub mod read;

use std::fmt;

/// A rational exponent, reduced, with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exponent {
    num: i32,
    den: i32,
}

impl Exponent {
    /// 0.
    pub const ZERO: Exponent = Exponent { num: 0, den: 1 };
    /// 1.
    pub const ONE: Exponent = Exponent { num: 1, den: 1 };
    /// −1.
    pub const MINUS_ONE: Exponent = Exponent { num: -1, den: 1 };
    /// Largest numerator and denominator: units beyond it are mistakes, and products stay exact.
    pub const LIMIT: i64 = 1000;

    /// `num/den`, reduced; `None` when `den` is 0 or the exponent is beyond the limit.
    pub fn new(num: i64, den: i64) -> Option<Exponent> {
        if den == 0 {
            return None;
        }
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs());
        let sign = den.signum();
        let (num, den) = (sign * (num / divisor), sign * (den / divisor));
        if num.abs() > Exponent::LIMIT || den > Exponent::LIMIT {
            return None;
        }
        let small = |n: i64| i32::try_from(n).expect("within the limit");
        Some(Exponent {
            num: small(num),
            den: small(den),
        })
    }

    /// The exponent nearest to a number, if the number is one with a denominator up to 16.
    pub fn from_f64(value: f64) -> Option<Exponent> {
        (1..=16).find_map(|den| {
            let num = value * f64::from(den);
            let whole = num.abs() <= Exponent::LIMIT as f64 && num.round() == num;
            if whole {
                Exponent::new(num as i64, i64::from(den))
            } else {
                None
            }
        })
    }

    /// As a number.
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.num == 0
    }

    /// Whether it is below 0.
    pub fn is_negative(self) -> bool {
        self.num < 0
    }

    /// With the other sign.
    pub fn negated(self) -> Exponent {
        Exponent {
            num: -self.num,
            den: self.den,
        }
    }

    /// The sum.
    pub fn plus(self, other: Exponent) -> Option<Exponent> {
        let (a, b) = (i64::from(self.num), i64::from(self.den));
        let (c, d) = (i64::from(other.num), i64::from(other.den));
        Exponent::new(a * d + c * b, b * d)
    }

    /// The product.
    pub fn times(self, other: Exponent) -> Option<Exponent> {
        let (a, b) = (i64::from(self.num), i64::from(self.den));
        let (c, d) = (i64::from(other.num), i64::from(other.den));
        Exponent::new(a * c, b * d)
    }
}

impl fmt::Display for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

/// Greatest common divisor as a positive `i64`; at least 1.
fn gcd(a: u64, b: u64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a.max(1)).unwrap_or(i64::MAX)
}

/// What kind of quantity a value is: the exponents of time, voltage and current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dimension {
    /// Exponent of time.
    pub time: Exponent,
    /// Exponent of voltage.
    pub voltage: Exponent,
    /// Exponent of current.
    pub current: Exponent,
}

impl Dimension {
    /// A plain number.
    pub const NONE: Dimension = Dimension::of(0, 0, 0);
    /// A time.
    pub const TIME: Dimension = Dimension::of(1, 0, 0);
    /// A rate.
    pub const RATE: Dimension = Dimension::of(-1, 0, 0);
    /// A voltage.
    pub const VOLTAGE: Dimension = Dimension::of(0, 1, 0);
    /// A current.
    pub const CURRENT: Dimension = Dimension::of(0, 0, 1);
    /// A conductance: current per voltage.
    pub const CONDUCTANCE: Dimension = Dimension::of(0, -1, 1);
    /// A resistance: voltage per current.
    pub const RESISTANCE: Dimension = Dimension::of(0, 1, -1);
    /// A capacitance: current times time per voltage.
    pub const CAPACITANCE: Dimension = Dimension::of(1, -1, 1);
    /// A charge: current times time.
    pub const CHARGE: Dimension = Dimension::of(1, 0, 1);

    const fn of(time: i32, voltage: i32, current: i32) -> Dimension {
        const fn whole(num: i32) -> Exponent {
            Exponent { num, den: 1 }
        }
        Dimension {
            time: whole(time),
            voltage: whole(voltage),
            current: whole(current),
        }
    }

    /// The unit of white noise: 1/ms^(1/2).
    pub fn white_noise() -> Dimension {
        let half = Exponent { num: -1, den: 2 };
        Dimension {
            time: half,
            ..Dimension::NONE
        }
    }

    /// Whether it is a plain number.
    pub fn is_none(self) -> bool {
        self == Dimension::NONE
    }

    /// The dimension of a product.
    pub fn times(self, other: Dimension) -> Option<Dimension> {
        Some(Dimension {
            time: self.time.plus(other.time)?,
            voltage: self.voltage.plus(other.voltage)?,
            current: self.current.plus(other.current)?,
        })
    }

    /// The dimension of a quotient.
    pub fn over(self, other: Dimension) -> Option<Dimension> {
        self.times(other.power(Exponent::MINUS_ONE)?)
    }

    /// The dimension of a power.
    pub fn power(self, exponent: Exponent) -> Option<Dimension> {
        Some(Dimension {
            time: self.time.times(exponent)?,
            voltage: self.voltage.times(exponent)?,
            current: self.current.times(exponent)?,
        })
    }
}

/// A unit: its dimension and what one of it is in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// The kind of quantity.
    pub dimension: Dimension,
    /// One of it is `factor · step^steps` base units.
    pub factor: f64,
    /// How often the length of a time step is a factor of it.
    pub steps: Exponent,
}

impl Unit {
    /// A plain number.
    pub const ONE: Unit = Unit {
        dimension: Dimension::NONE,
        factor: 1.0,
        steps: Exponent::ZERO,
    };

    /// The unit of a product.
    pub fn times(self, other: Unit) -> Option<Unit> {
        let factor = self.factor * other.factor;
        (factor.is_finite() && factor > 0.0).then_some(())?;
        Some(Unit {
            dimension: self.dimension.times(other.dimension)?,
            factor,
            steps: self.steps.plus(other.steps)?,
        })
    }

    /// The unit to a power.
    pub fn power(self, exponent: Exponent) -> Option<Unit> {
        // 1000^(-1) from `powf` is off by a rounding; whole powers must be as written.
        let factor = match (exponent.den, exponent.num) {
            (1, num) => self.factor.powi(num),
            _ => self.factor.powf(exponent.value()),
        };
        (factor.is_finite() && factor > 0.0).then_some(())?;
        Some(Unit {
            dimension: self.dimension.power(exponent)?,
            factor,
            steps: self.steps.times(exponent)?,
        })
    }

    /// One of it in base units, for a given length of the time step.
    pub fn in_base(self, step_ms: f64) -> f64 {
        if self.steps.is_zero() {
            self.factor
        } else {
            self.factor * step_ms.powf(self.steps.value())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_reduced_and_bounded() {
        assert_eq!(Exponent::new(2, -4), Exponent::new(-1, 2));
        assert_eq!(Exponent::new(1, 0), None);
        assert_eq!(Exponent::new(5000, 3), None);
        assert_eq!(Exponent::from_f64(0.5), Exponent::new(1, 2));
        assert_eq!(Exponent::from_f64(std::f64::consts::PI), None);
        assert_eq!(Exponent::from_f64(f64::NAN), None);
        let half = Exponent::new(1, 2).expect("small");
        assert_eq!(half.plus(half), Some(Exponent::ONE));
    }

    #[test]
    fn the_base_units_are_coherent() {
        let amperes = Dimension::CONDUCTANCE.times(Dimension::VOLTAGE);
        assert_eq!(amperes, Some(Dimension::CURRENT));
        let tau = Dimension::CAPACITANCE.over(Dimension::CONDUCTANCE);
        assert_eq!(tau, Some(Dimension::TIME));
        let noise = Dimension::white_noise().power(Exponent::new(2, 1).expect("small"));
        assert_eq!(noise, Some(Dimension::RATE));
    }
}
