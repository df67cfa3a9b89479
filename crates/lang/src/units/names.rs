//! The names of units: a prefix and a symbol, and which of them a user may write.
//!
//! Everything that is not in the table is not a unit. Both spellings of micro and ohm are read.

use super::{Dimension, Exponent, Unit};

/// Symbols and what one of each is in base units (ms, mV, pA and what follows from them).
const SYMBOLS: &[(&str, Dimension, f64)] = &[
    ("s", Dimension::TIME, 1e3),
    ("V", Dimension::VOLTAGE, 1e3),
    ("A", Dimension::CURRENT, 1e12),
    ("S", Dimension::CONDUCTANCE, 1e9),
    ("F", Dimension::CAPACITANCE, 1e12),
    ("Ohm", Dimension::RESISTANCE, 1e-9),
    ("ohm", Dimension::RESISTANCE, 1e-9),
    ("Ω", Dimension::RESISTANCE, 1e-9),
    ("Hz", Dimension::RATE, 1e-3),
    ("C", Dimension::CHARGE, 1e15),
];

/// Prefixes as powers of ten.
const PREFIXES: &[(&str, i32)] = &[
    ("", 0),
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("µ", -6),
    ("μ", -6),
    ("m", -3),
    ("k", 3),
    ("M", 6),
    ("G", 9),
];

/// The unit of a name: `ms`, `pA`, `MOhm`, `step`.
pub fn find(name: &str) -> Option<Unit> {
    if name == "step" {
        return Some(Unit {
            dimension: Dimension::TIME,
            factor: 1.0,
            steps: Exponent::ONE,
        });
    }
    for &(symbol, dimension, factor) in SYMBOLS {
        let Some(prefix) = name.strip_suffix(symbol) else {
            continue;
        };
        if let Some(&(_, power)) = PREFIXES.iter().find(|(text, _)| *text == prefix) {
            return Some(Unit {
                dimension,
                factor: scaled(factor, power),
                steps: Exponent::ZERO,
            });
        }
    }
    None
}

/// `factor · 10^power`, rounded once: 1e3 times 1e-3 must be 1.
fn scaled(factor: f64, power: i32) -> f64 {
    // Both are powers of ten, so their sum of exponents is exact.
    let exponent = factor.log10().round() as i32 + power;
    if exponent >= 0 {
        10f64.powi(exponent)
    } else {
        1.0 / 10f64.powi(-exponent)
    }
}

/// The names that are worth suggesting for a misspelt unit.
pub const COMMON: &[&str] = &[
    "ms", "s", "us", "step", "mV", "V", "uV", "pA", "nA", "uA", "nS", "uS", "mS", "pF", "nF", "uF",
    "MOhm", "GOhm", "kOhm", "Hz", "kHz", "fC", "pC",
];

/// What people write and what they mean by it.
pub fn meant(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    Some(match lower.as_str() {
        "msec" | "msecs" | "millisecond" | "milliseconds" | "millis" => "ms",
        "sec" | "secs" | "second" | "seconds" => "s",
        "usec" | "microsecond" | "microseconds" => "us",
        "volt" | "volts" => "V",
        "millivolt" | "millivolts" | "mvolt" => "mV",
        "amp" | "amps" | "ampere" => "A",
        "siemens" => "S",
        "farad" => "F",
        "hertz" => "Hz",
        "megaohm" | "mohms" => "MOhm",
        "steps" | "dt" => "step",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_exact_factors() {
        for (name, factor) in [
            ("ms", 1.0),
            ("s", 1e3),
            ("us", 1e-3),
            ("mV", 1.0),
            ("pA", 1.0),
            ("nA", 1e3),
            ("nS", 1.0),
            ("uS", 1e3),
            ("pF", 1.0),
            ("nF", 1e3),
            ("MOhm", 1e-3),
            ("GOhm", 1.0),
            ("Hz", 1e-3),
            ("kHz", 1.0),
            ("fC", 1.0),
        ] {
            assert_eq!(find(name).expect(name).factor, factor, "{name}");
        }
        assert_eq!(find("msec"), None);
        assert_eq!(find("m"), None);
        assert_eq!(find(""), None);
        assert!(COMMON.iter().all(|name| find(name).is_some()));
    }
}
