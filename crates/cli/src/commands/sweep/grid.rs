//! The values of a grid and their combinations.

use crate::settings::{Setting, parse_setting};

/// The most values of one setting.
const MOST: i64 = 10_000;

/// A setting with the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The name of the setting.
    pub name: String,
    /// Its values as text.
    pub values: Vec<String>,
}

/// For clap: `lr=1e-3,3e-3`, `seed=0..4` with both ends. `lr` means `optimizer.lr`.
///
/// # Errors
///
/// There is no `=`, no value, or a range that is none.
pub(super) fn parse_axis(text: &str) -> Result<Axis, String> {
    let Setting { name, value } = parse_setting(text)?;
    let name = if name == "lr" {
        "optimizer.lr".to_string()
    } else {
        name
    };
    let mut values = Vec::new();
    for part in split(&value) {
        match range(&part)? {
            Some(all) => values.extend(all),
            None if part.is_empty() => return Err(format!("`{text}` has an empty value")),
            None => values.push(part),
        }
    }
    if let Some(twice) = values
        .iter()
        .enumerate()
        .find(|(i, v)| values[..*i].contains(v))
    {
        return Err(format!("`{text}` has `{}` twice", twice.1));
    }
    Ok(Axis { name, values })
}

/// Parts between commas that are in no brackets.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0i32;
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|p| p.trim().to_string()).collect()
}

/// `0..4` as its whole numbers; `None` if the text is no range.
fn range(text: &str) -> Result<Option<Vec<String>>, String> {
    let Some((first, last)) = text.split_once("..") else {
        return Ok(None);
    };
    let whole = |t: &str| t.trim().parse::<i64>().ok();
    let (Some(first), Some(last)) = (whole(first), whole(last)) else {
        return Err(format!(
            "`{text}` is no range of whole numbers; write `0..4`"
        ));
    };
    if first > last || last.saturating_sub(first) >= MOST {
        return Err(format!("`{text}` is empty or has more than {MOST} values"));
    }
    Ok(Some((first..=last).map(|v| v.to_string()).collect()))
}

/// Every combination; the last setting changes fastest.
pub(super) fn combinations(axes: &[Axis]) -> Vec<Vec<Setting>> {
    let mut all: Vec<Vec<Setting>> = vec![Vec::new()];
    for axis in axes {
        let longer = all.iter().flat_map(|settings| {
            axis.values.iter().map(|value| {
                let setting = Setting {
                    name: axis.name.clone(),
                    value: value.clone(),
                };
                settings.iter().cloned().chain([setting]).collect()
            })
        });
        all = longer.collect();
    }
    all
}

/// The folder of a run: its settings, with characters that every file system has. Two combinations never
/// have the same name, because what is replaced is replaced by its number.
pub(super) fn folder_name(settings: &[Setting]) -> String {
    let texts = settings.iter().map(|s| format!("{}={}", s.name, s.value));
    let text = texts.collect::<Vec<_>>().join(",");
    let mut name = String::new();
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '=' | ',' | '.' | '-' | '_' => name.push(c),
            other => name.push_str(&format!("%{:x}", u32::from(other))),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_ranges() {
        let axis = |text| parse_axis(text).expect("an axis");
        assert_eq!(axis("lr=1e-3,3e-3").name, "optimizer.lr");
        assert_eq!(axis("lr=1e-3,3e-3").values, ["1e-3", "3e-3"]);
        assert_eq!(axis("seed=0..2,7").values, ["0", "1", "2", "7"]);
        assert_eq!(
            axis("optimizer=sgd(lr = 1, momentum = 0),adam()").values,
            ["sgd(lr = 1, momentum = 0)", "adam()"]
        );
        for wrong in [
            "seed",
            "seed=",
            "seed=4..0",
            "a=1ms..2ms",
            "a=1,,2",
            "a=1,1",
        ] {
            assert!(parse_axis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_combinations_have_a_folder() {
        let axes = ["a=1,2", "tau=1 ms,2 ms"].map(|t| parse_axis(t).expect("an axis"));
        let names: Vec<String> = combinations(&axes).iter().map(|c| folder_name(c)).collect();
        assert_eq!(
            names,
            [
                "a=1,tau=1%20ms",
                "a=1,tau=2%20ms",
                "a=2,tau=1%20ms",
                "a=2,tau=2%20ms"
            ]
        );
    }
}
