//! From values to places along a line, and where ticks stand.

/// How an axis counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spacing {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal steps for whole numbers, such as epochs: no ticks between them.
    Whole,
    /// Equal factors; values at or below 0 have no place.
    Log,
}

/// An axis over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    spacing: Spacing,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// What it says.
    pub text: String,
}

impl Axis {
    /// An axis over all finite values. Without any it goes from 0 to 1; a single value gets room around it.
    pub fn over(values: impl Iterator<Item = f64>, spacing: Spacing) -> Axis {
        let usable = values.filter(|v| v.is_finite() && (spacing != Spacing::Log || *v > 0.0));
        let (low, high) = usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        if low > high {
            return Axis::between(0.1, 1.0, spacing);
        }
        Axis::between(low, high, spacing)
    }

    /// An axis between two values.
    pub fn between(low: f64, high: f64, spacing: Spacing) -> Axis {
        // Far enough for any data, and near enough for differences and factors to be numbers.
        let near = |v: f64| v.clamp(-1e150, 1e150);
        let (mut low, mut high) = (near(low.min(high)), near(low.max(high)));
        if spacing == Spacing::Log {
            (low, high) = (low.max(1e-150), high.max(1e-150));
        }
        match spacing {
            Spacing::Linear | Spacing::Whole => {
                if high - low <= 1e-12 * high.abs().max(low.abs()).max(1e-300) {
                    let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
                    (low, high) = (low - room, high + room);
                }
            }
            Spacing::Log => {
                if high / low < 1.01 {
                    (low, high) = (low / 2.0, high * 2.0);
                }
            }
        }
        Axis { low, high, spacing }
    }

    /// The same with some room at both ends, as a share of the length.
    pub fn with_room(&self, share: f64) -> Axis {
        let (a, b) = (self.inner(self.low), self.inner(self.high));
        let room = share * (b - a);
        let out = |x: f64| match self.spacing {
            Spacing::Linear | Spacing::Whole => x,
            Spacing::Log => x.exp(),
        };
        Axis {
            low: out(a - room),
            high: out(b + room),
            spacing: self.spacing,
        }
    }

    fn inner(&self, value: f64) -> f64 {
        match self.spacing {
            Spacing::Linear | Spacing::Whole => value,
            Spacing::Log => value.ln(),
        }
    }

    /// The place of a value: 0 at the low end, 1 at the high end; `None` if it has none.
    pub fn place(&self, value: f64) -> Option<f64> {
        let (a, b) = (self.inner(self.low), self.inner(self.high));
        let place = (self.inner(value) - a) / (b - a);
        place.is_finite().then_some(place)
    }

    /// About `wanted` ticks at round values.
    pub fn ticks(&self, wanted: usize) -> Vec<Tick> {
        let wanted = wanted.max(2);
        match self.spacing {
            Spacing::Linear => self.linear_ticks(wanted, 0.0),
            Spacing::Whole => self.linear_ticks(wanted, 1.0),
            Spacing::Log => {
                let decades = self.high.log10() - self.low.log10();
                if decades < 1.0 {
                    return self.linear_ticks(wanted, 0.0);
                }
                let every = (decades / wanted as f64).ceil().max(1.0) as i32;
                let first = self.low.log10().ceil() as i32;
                let last = self.high.log10().floor() as i32;
                let exponents = (first..=last).filter(|e| e.rem_euclid(every) == 0);
                let tick = |e: i32| Tick {
                    value: 10f64.powi(e),
                    text: power(e),
                };
                exponents.map(tick).collect()
            }
        }
    }

    /// Ticks whose distance is round and at least `least`.
    fn linear_ticks(&self, wanted: usize, least: f64) -> Vec<Tick> {
        let step = round_step((self.high - self.low) / wanted as f64).max(least);
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 100.0) as usize + 1;
        let values = (0..count).map(|i| (first + i as f64) * step);
        values
            .map(|value| Tick {
                value,
                text: number(value, step),
            })
            .collect()
    }
}

/// 1, 2 or 5 times a power of ten, at least as large.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A value with as many places as its step has; very large and small ones as a power of ten.
fn number(value: f64, step: f64) -> String {
    if value == 0.0 || value.abs() < 1e-9 * step {
        return "0".to_string();
    }
    let places = (-step.log10().floor()).max(0.0) as usize;
    if places > 4 || value.abs() >= 1e6 {
        let exponent = value.abs().log10().floor() as i32;
        let mantissa = value / 10f64.powi(exponent);
        let text = signed(format!("{mantissa:.1}"));
        let text = text.strip_suffix(".0").unwrap_or(&text).to_string();
        return format!("{text}·{}", power(exponent));
    }
    signed(format!("{value:.places$}"))
}

/// With a real minus.
fn signed(text: String) -> String {
    text.replace('-', "−")
}

/// `10³`
fn power(exponent: i32) -> String {
    match exponent {
        0 => return "1".to_string(),
        1 => return "10".to_string(),
        _ => {}
    }
    let digits = exponent.to_string();
    let raised = digits.chars().map(|c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or(0)).unwrap_or(other),
    });
    format!("10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, spacing: Spacing) -> Vec<String> {
        let ticks = Axis::between(low, high, spacing).ticks(5);
        ticks.into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(0.0, 25.0, Spacing::Linear),
            ["0", "5", "10", "15", "20", "25"]
        );
        assert_eq!(
            texts(-0.21, 0.2, Spacing::Linear),
            ["−0.2", "−0.1", "0", "0.1", "0.2"]
        );
        assert_eq!(texts(1.0, 3.0, Spacing::Whole), ["1", "2", "3"]);
        assert_eq!(
            texts(1e-4, 10.0, Spacing::Log),
            ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "1", "10"]
        );
        assert_eq!(
            texts(0.0, 4e7, Spacing::Linear)[1],
            "10⁷".replace("10⁷", "1·10⁷")
        );
        assert_eq!(texts(0.0, 1e-6, Spacing::Linear)[1], "2·10⁻⁷");
    }

    #[test]
    fn any_values_have_an_axis() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![0.0],
            vec![-3.0, -3.0],
            vec![1e300, -1e300],
            vec![f64::INFINITY, 2.0],
        ] {
            for spacing in [Spacing::Linear, Spacing::Whole, Spacing::Log] {
                let axis = Axis::over(values.iter().copied(), spacing).with_room(0.05);
                assert!(axis.place(axis.low) == Some(0.0), "{values:?}");
                assert!(axis.ticks(5).len() < 102);
            }
        }
    }
}
