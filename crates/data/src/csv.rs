//! Tables in CSV form: a line for each sample, its numbers and its class; plain or gzip.
//!
//! The cells of a line are separated by commas (or semicolons, or tabs: what the first line has) and never quoted. A
//! first line with a cell that is no number names the columns. The class is the column `label`, `class`, `target` or
//! `y`, or else the last one; all other columns are the input channels, in their order.

use crate::dataset::{Dataset, Raw};
use crate::error::DataError;
use crate::plain_or_gzip;
use std::path::Path;

/// A table; see [`csv`].
#[derive(Debug, Clone)]
pub struct Csv {
    name: String,
    channels: u32,
    n_classes: u32,
    values: Vec<f32>,
    labels: Vec<u32>,
}

/// Reads the table at `path`. Samples are pictures of one row: values divided by `scale` must be in 0..=1.
///
/// The number of classes is the largest label + 1.
///
/// Errors: `DataError::Io`; `DataError::Format` with the line and column of a cell that is missing, too much, no number
/// or outside the range; `DataError::Setting` if the scale is not a positive number.
pub fn csv(path: &Path, scale: f64) -> Result<Csv, DataError> {
    check_scale(scale)?;
    let bytes = plain_or_gzip::read(path, "CSV")?;
    let table = parse(&String::from_utf8_lossy(&bytes), scale);
    let (channels, values, labels) = table.map_err(|(place, reason, help)| DataError::Format {
        file: path.to_path_buf(),
        format: "CSV",
        place,
        reason,
        help: help.to_owned(),
    })?;
    Ok(Csv {
        name: path.display().to_string(),
        channels,
        n_classes: labels.iter().max().map_or(0, |&max| max + 1),
        values,
        labels,
    })
}

/// An error unless `scale` can be divided by.
pub(crate) fn check_scale(scale: f64) -> Result<(), DataError> {
    if scale.is_finite() && scale > 0.0 {
        return Ok(());
    }
    Err(DataError::Setting {
        setting: "data.scale",
        reason: format!("values cannot be divided by {scale}"),
        help: "give the largest value, such as 255".to_owned(),
    })
}

impl Dataset for Csv {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn n_classes(&self) -> u32 {
        self.n_classes
    }

    fn n_channels(&self) -> u32 {
        self.channels
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(&self.name, i, self.len())?;
        let size = self.channels as usize;
        Ok(Raw::Image {
            pixels: self.values[i * size..(i + 1) * size].to_vec(),
            height: 1,
            width: self.channels,
            channels: 1,
        })
    }
}

/// Place, reason and help.
type Wrong = (String, String, &'static str);

/// Number of channels, values of all samples, labels.
fn parse(text: &str, scale: f64) -> Result<(u32, Vec<f32>, Vec<u32>), Wrong> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    let wrong = |place: String, reason: String| Err((place, reason, "correct the table"));
    let Some(&(_, first)) = lines.peek() else {
        return wrong(String::new(), "it is empty".to_owned());
    };
    let separator = [',', ';', '\t']
        .into_iter()
        .find(|&c| first.contains(c))
        .unwrap_or(',');
    let names: Vec<&str> = first.split(separator).map(str::trim).collect();
    let columns = names.len();
    if columns < 2 || u32::try_from(columns).is_err() {
        return wrong(
            "line 1".to_owned(),
            format!("{columns} columns are no sample with a class"),
        );
    }
    let mut label_column = columns - 1;
    if names.iter().any(|name| name.parse::<f64>().is_err()) {
        let is_label = |name: &&str| ["label", "class", "target", "y"].contains(name);
        label_column = names.iter().position(is_label).unwrap_or(label_column);
        lines.next();
    }
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (at, line) in lines {
        let mut found = 0;
        for (column, cell) in line.split(separator).map(str::trim).enumerate() {
            found += 1;
            let place = || format!("line {}, column {}", at + 1, column + 1);
            let Ok(value) = cell.parse::<f64>() else {
                return wrong(place(), format!("`{}` is no number", shortened(cell)));
            };
            if column == label_column {
                if !(0.0..1e9).contains(&value) || value.fract() != 0.0 {
                    return wrong(place(), format!("{value} is no class"));
                }
                labels.push(value as u32);
                continue;
            }
            let value = value / scale;
            if !(0.0..=1.0).contains(&value) {
                let reason = format!("{cell} is not in 0 to {scale}");
                return Err((
                    place(),
                    reason,
                    "give `scale`, the largest value, or correct the table",
                ));
            }
            values.push(value as f32);
        }
        if found != columns {
            return wrong(
                format!("line {}", at + 1),
                format!("{found} columns, not {columns}"),
            );
        }
    }
    if labels.is_empty() {
        return wrong(String::new(), "it has no samples".to_owned());
    }
    Ok((columns as u32 - 1, values, labels))
}

fn shortened(cell: &str) -> String {
    cell.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn with_and_without_names() {
        let named = parse("\u{feff}label;a;b\r\n2;0;16\r\n\r\n0;8;4\r\n", 16.0).expect("good");
        assert_eq!(named, (2, vec![0.0, 1.0, 0.5, 0.25], vec![2, 0]));
        let plain = parse("0.5,1,1\n0,0.25,3", 1.0).expect("good");
        assert_eq!(plain, (2, vec![0.5, 1.0, 0.0, 0.25], vec![1, 3]));
    }

    #[test]
    fn damage_has_a_place() {
        let of = |text: &str| {
            let (place, reason, _) = parse(text, 1.0).expect_err("wrong on purpose");
            format!("{place}: {reason}")
        };
        assert_eq!(of(""), ": it is empty");
        assert_eq!(of("a,label\n"), ": it has no samples");
        assert_eq!(of("3\n"), "line 1: 1 columns are no sample with a class");
        assert_eq!(of("a,y\n1,0\n1\n"), "line 3: 1 columns, not 2");
        assert_eq!(of("1,0\n1,x\n"), "line 2, column 2: `x` is no number");
        assert_eq!(of("1,0\n2,1\n"), "line 2, column 1: 2 is not in 0 to 1");
        assert_eq!(of("1,0\nNaN,1\n"), "line 2, column 1: NaN is not in 0 to 1");
        assert_eq!(of("1,0\n1,-1\n"), "line 2, column 2: -1 is no class");
        assert_eq!(
            of("1,0\n1,1e12\n"),
            "line 2, column 2: 1000000000000 is no class"
        );
    }

    proptest! {
        #[test]
        fn any_text_returns(text in "[-0-9.,;\teynN\n\r\"é]{0,80}") {
            if let Ok((channels, values, labels)) = parse(&text, 1.0) {
                prop_assert_eq!(values.len(), channels as usize * labels.len());
            }
        }
    }
}
