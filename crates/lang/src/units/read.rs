//! Units from text: the factors of a unit in the tree, and quantities on a command line (`10ms`).

use std::fmt;

use super::{Dimension, Exponent, Unit, names};
use crate::ast;

/// Why a unit could not be read.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitError<'a> {
    /// No unit has this name.
    Unknown(&'a ast::Name),
    /// The exponent of this factor, or what it amounts to, is out of range.
    Exponent(&'a ast::Name),
}

/// The unit that the factors amount to.
///
/// # Errors
///
/// The first factor that is not a unit or whose exponent is out of range.
pub fn unit(tree: &ast::Unit) -> Result<Unit, UnitError<'_>> {
    let mut product = Unit::ONE;
    for factor in &tree.factors {
        let one = names::find(&factor.name.text).ok_or(UnitError::Unknown(&factor.name))?;
        product = Exponent::new(factor.num.into(), factor.den.into())
            .and_then(|exponent| one.power(exponent))
            .and_then(|power| product.times(power))
            .ok_or(UnitError::Exponent(&factor.name))?;
    }
    Ok(product)
}

/// A number with a unit, as given on a command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The number as written.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
}

impl Quantity {
    /// The value in base units for a given length of the time step.
    pub fn in_base(self, step_ms: f64) -> f64 {
        self.value * self.unit.in_base(step_ms)
    }
}

/// Why a quantity on a command line could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// There is no number at the beginning.
    Number,
    /// The rest is not a unit.
    Unit(String),
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuantityError::Number => f.write_str("expected a number, like `10` or `10ms`"),
            QuantityError::Unit(text) => write!(f, "`{text}` is not a unit"),
        }
    }
}

impl std::error::Error for QuantityError {}

/// Reads `10ms`, `-65 mV`, `0.02/ms`, `2[mV/ms]`, `3`.
///
/// # Errors
///
/// The text does not begin with a number or does not end with a unit.
pub fn quantity(text: &str) -> Result<Quantity, QuantityError> {
    let text = text.trim();
    // The longest prefix that is a number: `1e3`, but only `1` of `1e`.
    let split = (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end) && end <= 64)
        .find(|&end| {
            text[..end].ends_with(|c: char| c.is_ascii_digit() || c == '.')
                && text[..end].parse::<f64>().is_ok_and(f64::is_finite)
        })
        .ok_or(QuantityError::Number)?;
    let value = text[..split].parse().map_err(|_| QuantityError::Number)?;
    let rest = text[split..].trim();
    let inner = rest
        .strip_prefix('[')
        .and_then(|r| r.strip_suffix(']'))
        .unwrap_or(rest);
    let unit = compound(inner.trim()).ok_or_else(|| QuantityError::Unit(inner.to_string()))?;
    Ok(Quantity { value, unit })
}

/// `mV/ms`, `mV*pA`, `1/ms^(1/2)`, or nothing.
fn compound(text: &str) -> Option<Unit> {
    if text.is_empty() {
        return Some(Unit::ONE);
    }
    let mut product = Unit::ONE;
    // Strokes inside an exponent's parentheses do not divide.
    let mut rest = text;
    let mut divide = rest.starts_with('/');
    if divide {
        rest = &rest[1..];
    }
    loop {
        let mut depth = 0i32;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0 && (c == '*' || c == '/')
            })
            .map_or(rest.len(), |(i, _)| i);
        let factor = factor(rest[..end].trim())?;
        let sign = if divide {
            Exponent::MINUS_ONE
        } else {
            Exponent::ONE
        };
        product = product.times(factor.power(sign)?)?;
        if end == rest.len() {
            return Some(product);
        }
        divide = rest[end..].starts_with('/');
        rest = &rest[end + 1..];
    }
}

/// `ms`, `ms^2`, `ms^(1/2)`, `1`.
fn factor(text: &str) -> Option<Unit> {
    if text == "1" {
        return Some(Unit::ONE);
    }
    let Some((name, power)) = text.split_once('^') else {
        return names::find(text);
    };
    let power = power.trim().trim_start_matches('(').trim_end_matches(')');
    let (num, den) = match power.split_once('/') {
        Some((num, den)) => (num.trim().parse().ok()?, den.trim().parse().ok()?),
        None => (power.trim().parse().ok()?, 1),
    };
    names::find(name.trim())?.power(Exponent::new(num, den)?)
}

/// A length of time in ms from a quantity: its unit must be a time.
pub fn milliseconds(quantity: Quantity, step_ms: f64) -> Option<f64> {
    (quantity.unit.dimension == Dimension::TIME).then(|| quantity.in_base(step_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_a_command_line() {
        let base = |text: &str| quantity(text).map(|q| (q.in_base(0.5), q.unit.dimension));
        assert_eq!(base("10ms"), Ok((10.0, Dimension::TIME)));
        assert_eq!(base("0.1 s"), Ok((100.0, Dimension::TIME)));
        assert_eq!(base("-65 mV"), Ok((-65.0, Dimension::VOLTAGE)));
        assert_eq!(base("3 step"), Ok((1.5, Dimension::TIME)));
        assert_eq!(base("1e3"), Ok((1000.0, Dimension::NONE)));
        assert_eq!(base("0.02/ms"), Ok((0.02, Dimension::RATE)));
        assert_eq!(base("20[1/s]"), Ok((0.02, Dimension::RATE)));
        let noise = Dimension::VOLTAGE.times(Dimension::white_noise());
        assert_eq!(base("2 [mV/ms^(1/2)]"), Ok((2.0, noise.expect("small"))));
        assert_eq!(base("ms"), Err(QuantityError::Number));
        assert_eq!(base("10 msec"), Err(QuantityError::Unit("msec".into())));
        assert_eq!(base("10 m*"), Err(QuantityError::Unit("m*".into())));
        assert!(base("").is_err() && base("ß").is_err() && base("1 [").is_err());
    }
}
