//! Parameters that must stay in a range: what is trained is an unbounded number behind them.

use rheobase_ir::program::Constraint;

/// How a parameter is kept in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// The reparametrisation.
    pub(crate) constraint: Constraint,
    /// Its bounds.
    pub(crate) bounds: Option<(f64, f64)>,
}

impl Range {
    /// The unbounded number behind a value.
    pub(crate) fn raw(self, value: f64) -> f64 {
        match (self.constraint, self.bounds) {
            (Constraint::Sigmoid, Some((low, high))) => {
                // A value on a bound has no finite number behind it; it is moved inside by a millionth.
                let position = ((value - low) / (high - low)).clamp(1e-6, 1.0 - 1e-6);
                (position / (1.0 - position)).ln()
            }
            (Constraint::Exp, _) => value.max(f64::MIN_POSITIVE).ln(),
            (Constraint::Softplus, _) => value.max(f64::MIN_POSITIVE).exp_m1().ln(),
            (Constraint::Sigmoid, None) | (Constraint::None | Constraint::Clamp, _) => value,
        }
    }

    /// The value of an unbounded number.
    pub(crate) fn value(self, raw: f64) -> f64 {
        let value = match (self.constraint, self.bounds) {
            (Constraint::Sigmoid, Some((low, high))) => low + (high - low) / (1.0 + (-raw).exp()),
            (Constraint::Exp, _) => raw.exp(),
            (Constraint::Softplus, _) => raw.max(0.0) + (-raw.abs()).exp().ln_1p(),
            (Constraint::Sigmoid, None) | (Constraint::None | Constraint::Clamp, _) => raw,
        };
        match self.bounds {
            Some((low, high)) => value.max(low).min(high),
            None => value,
        }
    }

    /// The derivative of the value with respect to the number behind it.
    pub(crate) fn slope(self, raw: f64) -> f64 {
        match (self.constraint, self.bounds) {
            (Constraint::Sigmoid, Some((low, high))) => {
                let s = 1.0 / (1.0 + (-raw).exp());
                (high - low) * s * (1.0 - s)
            }
            (Constraint::Exp, _) => raw.exp(),
            (Constraint::Softplus, _) => 1.0 / (1.0 + (-raw).exp()),
            (Constraint::Sigmoid, None) | (Constraint::None | Constraint::Clamp, _) => 1.0,
        }
    }

    /// Whether the trained number is the value itself, without bounds.
    pub(crate) fn is_free(self) -> bool {
        self.bounds.is_none() && self.is_direct()
    }

    /// Whether the trained number is the value itself.
    fn is_direct(self) -> bool {
        match (self.constraint, self.bounds) {
            (Constraint::None | Constraint::Clamp, _) | (Constraint::Sigmoid, None) => true,
            (Constraint::Sigmoid, Some(_)) | (Constraint::Exp | Constraint::Softplus, _) => false,
        }
    }

    /// The number to go on with: for clamped values the clamped one.
    pub(crate) fn settled(self, raw: f64) -> f64 {
        if self.is_direct() {
            self.value(raw)
        } else {
            raw
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_value_are_inverse_and_slopes_are_derivatives() {
        for constraint in [
            Constraint::None,
            Constraint::Clamp,
            Constraint::Sigmoid,
            Constraint::Exp,
            Constraint::Softplus,
        ] {
            let range = Range {
                constraint,
                bounds: Some((5.0, 100.0)),
            };
            for value in [5.5, 20.0, 90.0] {
                let raw = range.raw(value);
                assert!((range.value(raw) - value).abs() < 1e-9, "{constraint:?}");
                let numeric = (range.value(raw + 1e-5) - range.value(raw - 1e-5)) / 2e-5;
                assert!(
                    (numeric - range.slope(raw)).abs() < 1e-6 * range.slope(raw).max(1.0),
                    "{constraint:?}"
                );
            }
        }
    }
}
