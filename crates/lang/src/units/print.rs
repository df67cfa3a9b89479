//! Units for people: `pA`, `mV/ms`, `nS`, and the words for what a quantity is.

use super::{Dimension, Exponent};

/// Dimensions that have a name of their own: unit, one of it in base units, words.
const NAMED: &[(Dimension, &str, f64, &str)] = &[
    (Dimension::TIME, "ms", 1.0, "a time"),
    (Dimension::VOLTAGE, "mV", 1.0, "a voltage"),
    (Dimension::CURRENT, "pA", 1.0, "a current"),
    (Dimension::CONDUCTANCE, "nS", 1.0, "a conductance"),
    (Dimension::CAPACITANCE, "pF", 1.0, "a capacitance"),
    (Dimension::RESISTANCE, "MOhm", 1e-3, "a resistance"),
    (Dimension::CHARGE, "fC", 1.0, "a charge"),
    (Dimension::RATE, "1/ms", 1.0, "a rate"),
];

/// The unit in which values of a dimension are shown and what one of it is in base units. Empty
/// for a plain number.
pub fn shown(dimension: Dimension) -> (String, f64) {
    if dimension.is_none() {
        return (String::new(), 1.0);
    }
    if let Some((_, text, factor, _)) = NAMED.iter().find(|(d, ..)| *d == dimension) {
        return ((*text).to_string(), *factor);
    }
    (compound(dimension), 1.0)
}

/// The unit for a sentence: `mV/ms`, or `a plain number`.
pub fn describe(dimension: Dimension) -> String {
    let (text, _) = shown(dimension);
    if text.is_empty() {
        "a plain number".to_string()
    } else {
        text
    }
}

/// What a quantity of this dimension is called: `a capacitance`.
pub fn kind(dimension: Dimension) -> Option<&'static str> {
    NAMED
        .iter()
        .find(|(d, ..)| *d == dimension)
        .map(|&(.., words)| words)
}

/// A product of known units, the shortest of the candidates.
fn compound(dimension: Dimension) -> String {
    const PARTS: [(Dimension, &str); 3] = [
        (Dimension::CONDUCTANCE, "nS"),
        (Dimension::CAPACITANCE, "pF"),
        (Dimension::CHARGE, "fC"),
    ];
    let mut best = product(None, dimension);
    let mut cost = weight(dimension);
    for (part, name) in PARTS {
        for exponent in [Exponent::ONE, Exponent::MINUS_ONE] {
            let rest = part.power(exponent).and_then(|p| dimension.over(p));
            if let Some(rest) = rest
                && weight(rest) + 1.0 < cost
            {
                cost = weight(rest) + 1.0;
                best = product(Some((name, exponent)), rest);
            }
        }
    }
    best
}

/// How much there is to read.
fn weight(dimension: Dimension) -> f64 {
    let parts = [dimension.time, dimension.voltage, dimension.current];
    parts.iter().map(|e| e.value().abs()).sum()
}

/// `mV*pA/ms^2`: positive exponents in front of the stroke.
fn product(first: Option<(&str, Exponent)>, rest: Dimension) -> String {
    let mut factors: Vec<(&str, Exponent)> = Vec::new();
    factors.extend(first);
    factors.extend([
        ("mV", rest.voltage),
        ("pA", rest.current),
        ("ms", rest.time),
    ]);
    let power = |(name, exponent): (&str, Exponent)| {
        let text = exponent.to_string();
        match text.as_str() {
            "1" => name.to_string(),
            whole if whole.contains('/') => format!("{name}^({whole})"),
            whole => format!("{name}^{whole}"),
        }
    };
    let above: Vec<String> = factors
        .iter()
        .filter(|(_, e)| !e.is_zero() && !e.is_negative())
        .map(|&f| power(f))
        .collect();
    let below: Vec<String> = factors
        .iter()
        .filter(|(_, e)| e.is_negative())
        .map(|&(name, e)| power((name, e.negated())))
        .collect();
    let mut text = if above.is_empty() {
        "1".to_string()
    } else {
        above.join("*")
    };
    for factor in below {
        text.push('/');
        text.push_str(&factor);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotient(a: Dimension, b: Dimension) -> String {
        describe(a.over(b).expect("small"))
    }

    #[test]
    fn units_read_as_neuroscientists_write_them() {
        assert_eq!(quotient(Dimension::VOLTAGE, Dimension::TIME), "mV/ms");
        assert_eq!(quotient(Dimension::CURRENT, Dimension::VOLTAGE), "nS");
        assert_eq!(
            quotient(Dimension::CONDUCTANCE, Dimension::VOLTAGE),
            "nS/mV"
        );
        assert_eq!(quotient(Dimension::TIME, Dimension::TIME), "a plain number");
        assert_eq!(describe(Dimension::white_noise()), "1/ms^(1/2)");
        let noisy = Dimension::VOLTAGE.times(Dimension::white_noise());
        assert_eq!(describe(noisy.expect("small")), "mV/ms^(1/2)");
        assert_eq!(shown(Dimension::RESISTANCE), ("MOhm".to_string(), 1e-3));
        assert_eq!(kind(Dimension::CAPACITANCE), Some("a capacitance"));
    }
}
