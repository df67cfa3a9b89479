//! `--set name=value` and `--step 1ms`: numbers with units from the command line.
//!
//! A value carries its unit as in a program (`10ms`, `-65mV`, `2[mV/ms]`); the dimension must be that of the
//! parameter, so `--set tau_mem=10` is refused instead of meaning something by accident.

use std::time::Duration;

use rheobase_ir::program::Unit;
use rheobase_lang::units::Dimension;
use rheobase_lang::units::print::{describe, kind};
use rheobase_lang::units::read::{Quantity, milliseconds, quantity};
use rheobase_train::SaveEvery;

use crate::failure::Failure;

/// One `--set name=value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The name before `=`.
    pub name: String,
    /// The text after it.
    pub value: String,
}

/// For clap: splits `name=value`.
///
/// # Errors
///
/// There is no `=` or nothing on one of its sides.
pub fn parse_setting(text: &str) -> Result<Setting, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected `name=value`, like `tau_mem=10ms`".to_string())?;
    let (name, value) = (name.trim().to_string(), value.trim().to_string());
    if name.is_empty() || value.is_empty() {
        return Err("expected `name=value`, like `tau_mem=10ms`".to_string());
    }
    Ok(Setting { name, value })
}

/// For clap: a length of the time step in ms.
///
/// # Errors
///
/// It is no time, or not greater than zero.
pub fn parse_step(text: &str) -> Result<f64, String> {
    let value = quantity(text).map_err(|error| error.to_string())?;
    match milliseconds(value, 1.0) {
        Some(ms) if ms > 0.0 && ms.is_finite() => Ok(ms),
        Some(_) => Err("a step is longer than 0".to_string()),
        None => Err(format!("a step is a time; write `{}ms`", value.value)),
    }
}

/// `500` steps, `30s`, `10min`, `2h`.
///
/// # Errors
///
/// It is none of these, or 0.
pub fn parse_save_every(text: &str) -> Result<SaveEvery, String> {
    let wrong =
        || format!("`{text}` is neither a number of steps (`500`) nor a time (`30s`, `10min`)");
    if let Ok(steps) = text.parse::<u64>() {
        return if steps > 0 {
            Ok(SaveEvery::Steps(steps))
        } else {
            Err(wrong())
        };
    }
    let units = [("ms", 1e-3), ("min", 60.0), ("s", 1.0), ("h", 3600.0)];
    let found = units.into_iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    found
        .filter(|time| !time.is_zero())
        .map(SaveEvery::Time)
        .ok_or_else(wrong)
}

impl Setting {
    /// The number and its unit, for a parameter of this dimension; any dimension if it is unknown.
    ///
    /// # Errors
    ///
    /// The text is no number with a unit, or the unit is of another dimension.
    pub(crate) fn of_dimension(
        &self,
        wanted: Option<Dimension>,
    ) -> Result<(f64, rheobase_lang::units::Unit), Failure> {
        let fail = |message: String| Failure::Usage(format!("--set {}: {message}", self.name));
        let Quantity { value, unit } =
            quantity(&self.value).map_err(|error| fail(error.to_string()))?;
        match wanted {
            Some(wanted) if wanted != unit.dimension => Err(fail(format!(
                "`{}` is {}, but the parameter is {}",
                self.value,
                described(unit.dimension),
                described(wanted)
            ))),
            Some(_) | None => Ok((value, unit)),
        }
    }

    /// The value in base units of a quantity that is shown in `unit`.
    ///
    /// # Errors
    ///
    /// The text is no number with a unit, or the unit is of another dimension.
    pub fn in_base(&self, unit: &Unit, step_ms: f64) -> Result<f64, Failure> {
        let fail = |message: String| Failure::Usage(format!("--set {}: {message}", self.name));
        let Quantity { value, unit: given } =
            quantity(&self.value).map_err(|error| fail(error.to_string()))?;
        let wanted = dimension(unit);
        if given.dimension != wanted {
            let help = if given.dimension.is_none() {
                format!("; write `{}={}{}`", self.name, self.value, bracketed(unit))
            } else {
                String::new()
            };
            return Err(fail(format!(
                "`{}` is {}, but the parameter is {}{help}",
                self.value,
                described(given.dimension),
                described(wanted)
            )));
        }
        Ok(Quantity { value, unit: given }.in_base(step_ms))
    }
}

/// `a time (ms)`, `mV/ms`, `a plain number`.
fn described(dimension: Dimension) -> String {
    match kind(dimension) {
        Some(words) => format!("{words} ({})", describe(dimension)),
        None => describe(dimension),
    }
}

/// The dimension of a unit that the compiler printed.
fn dimension(unit: &Unit) -> Dimension {
    quantity(&format!("1 [{}]", unit.text))
        .or_else(|_| quantity("1"))
        .map_or(Dimension::NONE, |q| q.unit.dimension)
}

/// The unit as it is written behind a number.
fn bracketed(unit: &Unit) -> String {
    if unit.text.contains(['/', '*', '^']) {
        format!("[{}]", unit.text)
    } else {
        unit.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        Unit {
            text: text.to_string(),
            factor: 1.0,
        }
    }

    #[test]
    fn settings_carry_units() {
        let set = |text: &str, of: &str| {
            parse_setting(text)
                .expect("has an equals sign")
                .in_base(&unit(of), 0.5)
        };
        assert_eq!(set("tau=10ms", "ms"), Ok(10.0));
        assert_eq!(set("tau = 0.1 s", "ms"), Ok(100.0));
        assert_eq!(set("tau=4step", "ms"), Ok(2.0));
        assert_eq!(set("a=2[mV/ms]", "mV/ms"), Ok(2.0));
        assert_eq!(set("beta=0.5", ""), Ok(0.5));
        let message = |text: &str, of: &str| set(text, of).expect_err("wrong").to_string();
        assert!(message("tau=10", "ms").contains("write `tau=10ms`"));
        assert!(message("tau=10", "mV/ms").contains("write `tau=10[mV/ms]`"));
        assert!(
            message("tau=10mV", "ms")
                .contains("`10mV` is a voltage (mV), but the parameter is a time (ms)")
        );
        assert!(message("tau=banana", "ms").contains("expected a number"));
        assert!(message("tau=10 msec", "ms").contains("`msec` is not a unit"));
        assert!(parse_setting("tau").is_err() && parse_setting("=3").is_err());
    }

    #[test]
    fn a_step_is_a_time() {
        assert_eq!(parse_step("0.5ms"), Ok(0.5));
        assert_eq!(parse_step("1 s"), Ok(1000.0));
        assert_eq!(parse_save_every("500"), Ok(SaveEvery::Steps(500)));
        let times = ["30s", "2 min", "0.5h"].map(parse_save_every);
        let times = times.map(|t| t.expect("a time"));
        let seconds = [30, 120, 1800]
            .map(Duration::from_secs)
            .map(SaveEvery::Time);
        assert_eq!(times, seconds);
        for wrong in ["0", "-3", "0s", "s", "3 mV", "", "1e400s"] {
            assert!(parse_save_every(wrong).is_err(), "{wrong}");
        }
        for wrong in ["1", "0ms", "-1ms", "1mV", "", "1e400ms"] {
            assert!(parse_step(wrong).is_err(), "{wrong}");
        }
    }
}
