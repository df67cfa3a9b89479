//! Numbers with a derivative, for step equations that are written by hand: the value that a library
//! computes, and the derivative that its backward pass means.
//!
//! A spike is a step whose derivative is the surrogate's; [`Dual::detach`] drops the derivative.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value and its derivative by the one quantity that is being moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

/// A constant.
pub(crate) fn c(value: f64) -> Dual {
    Dual { value, slope: 0.0 }
}

impl Dual {
    pub(crate) fn detach(self) -> Dual {
        c(self.value)
    }

    pub(crate) fn exp(self) -> Dual {
        let value = self.value.exp();
        Dual {
            value,
            slope: value * self.slope,
        }
    }

    pub(crate) fn ln(self) -> Dual {
        Dual {
            value: self.value.ln(),
            slope: self.slope / self.value,
        }
    }

    pub(crate) fn sin(self) -> Dual {
        Dual {
            value: self.value.sin(),
            slope: self.value.cos() * self.slope,
        }
    }

    pub(crate) fn cos(self) -> Dual {
        Dual {
            value: self.value.cos(),
            slope: -self.value.sin() * self.slope,
        }
    }

    pub(crate) fn sigmoid(self) -> Dual {
        c(1.0) / (c(1.0) + (-self).exp())
    }

    /// |a|, with derivative 0 at 0.
    pub(crate) fn abs(self) -> Dual {
        let sign = if self.value == 0.0 {
            0.0
        } else {
            self.value.signum()
        };
        c(sign) * self
    }

    /// With derivative 0 at 0.
    pub(crate) fn relu(self) -> Dual {
        if self.value > 0.0 { self } else { c(0.0) }
    }

    /// 1 where u > 0, with this surrogate derivative.
    pub(crate) fn above(self, derivative: impl Fn(f64) -> f64) -> Dual {
        Dual {
            value: f64::from(self.value > 0.0),
            slope: derivative(self.value) * self.slope,
        }
    }

    /// 1 where u ≥ 0, with this surrogate derivative.
    pub(crate) fn at_or_above(self, derivative: impl Fn(f64) -> f64) -> Dual {
        Dual {
            value: f64::from(self.value >= 0.0),
            slope: derivative(self.value) * self.slope,
        }
    }

    /// ⌊u⌋ + 1 where u ≥ 0, with this surrogate derivative.
    pub(crate) fn count(self, derivative: impl Fn(f64) -> f64) -> Dual {
        Dual {
            value: (self.value.floor() + 1.0).max(0.0),
            slope: derivative(self.value) * self.slope,
        }
    }

    /// Another value with this derivative: what an `autograd.Function` makes of its argument.
    pub(crate) fn through(self, value: f64, derivative: f64) -> Dual {
        Dual {
            value,
            slope: derivative * self.slope,
        }
    }

    /// Whether u > 0, as a constant.
    pub(crate) fn is_above(self) -> Dual {
        c(f64::from(self.value > 0.0))
    }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        Dual {
            value: self.value + other.value,
            slope: self.slope + other.slope,
        }
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        self + -other
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        Dual {
            value: self.value * other.value,
            slope: self.slope * other.value + self.value * other.slope,
        }
    }
}

impl Div for Dual {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        let value = self.value / other.value;
        Dual {
            value,
            slope: (self.slope - value * other.slope) / other.value,
        }
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        Dual {
            value: -self.value,
            slope: -self.slope,
        }
    }
}
