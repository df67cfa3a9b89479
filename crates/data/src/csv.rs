//! Tables in CSV form: a line for each sample, its numbers and its class; plain or gzip.
//!
//! The cells of a line are separated by commas (or semicolons, or tabs: what the first line has) and never quoted. A
//! first line with a cell that is no number names the columns. The class is the column `label`, `class`, `target` or
//! `y`, or else the last one; all other columns are the input channels, in their order.
//!
//! All lines are read and checked once. What is kept of them is where they are and their classes; a sample's line is
//! read again when it is asked for, so a table larger than the memory can be used.

use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::store::Store;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line that is believed.
const MAX_LINE: u64 = 1 << 24;

/// A table; see [`csv`].
#[derive(Debug)]
pub struct Csv {
    card: Card,
    path: PathBuf,
    store: Store,
    table: Table,
}

/// Reads the table at `path`. Samples are pictures of one row: values divided by `scale` must be in 0..=1.
///
/// The number of classes is the largest label + 1.
///
/// Errors: `DataError::Io`; `DataError::Format` with the line and column of a cell that is missing, too much, no number
/// or outside the range; `DataError::Setting` if the scale is not a positive number.
pub fn csv(path: &Path, scale: f64) -> Result<Csv, DataError> {
    check_scale(scale)?;
    let store = Store::open_plain_or_gzip(path, "CSV")?;
    let table = Table::of(BufReader::with_capacity(1 << 16, store.stream(0)), scale);
    let table = table.map_err(|(place, reason, help)| DataError::Format {
        file: path.to_path_buf(),
        format: "CSV",
        place,
        reason,
        help: help.to_owned(),
    })?;
    let name = path.display().to_string();
    Ok(Csv {
        card: Card::of_labels(name, &table.labels, Shape::line(table.form.channels())),
        path: path.to_path_buf(),
        store,
        table,
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
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.table.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let (start, length) = self.table.places[i];
        let bytes = self.store.read_sample(start, u64::from(length))?;
        let mut pixels = Vec::with_capacity(self.n_channels() as usize);
        let read = self
            .table
            .form
            .row(&String::from_utf8_lossy(&bytes), &mut pixels);
        // The line was checked before: the file has changed since.
        read.map_err(|(place, reason, _)| DataError::Sample {
            file: self.path.clone(),
            index: i as u64,
            reason: format!("{place} {reason}"),
            help: "leave the table alone while it is used".to_owned(),
        })?;
        Ok(Raw::Image {
            pixels,
            height: 1,
            width: self.n_channels(),
            channels: 1,
        })
    }
}

/// Place, reason and help.
type Wrong = (String, String, &'static str);

fn wrong<T>(place: String, reason: String) -> Result<T, Wrong> {
    Err((place, reason, "correct the table"))
}

/// How the lines of a table are read.
#[derive(Debug)]
struct Form {
    separator: char,
    columns: usize,
    label_column: usize,
    scale: f64,
}

impl Form {
    /// By the first line, and whether that is a line of names.
    fn of(first: &str, scale: f64) -> Result<(Form, bool), Wrong> {
        let separator = [',', ';', '\t']
            .into_iter()
            .find(|&c| first.contains(c))
            .unwrap_or(',');
        let names: Vec<&str> = first.split(separator).map(str::trim).collect();
        let columns = names.len();
        if columns < 2 || u32::try_from(columns).is_err() {
            let reason = format!("{columns} columns are no sample with a class");
            return wrong("line 1".to_owned(), reason);
        }
        let named = names.iter().any(|name| name.parse::<f64>().is_err());
        let is_label = |name: &&str| ["label", "class", "target", "y"].contains(name);
        let label_column = names.iter().position(is_label).unwrap_or(columns - 1);
        let form = Form {
            separator,
            columns,
            label_column,
            scale,
        };
        Ok((form, named))
    }

    fn channels(&self) -> u32 {
        // `of` saw that the number of columns is a u32 and at least 2.
        self.columns as u32 - 1
    }

    /// The class of a line; its values are appended. Places are columns.
    fn row(&self, line: &str, values: &mut Vec<f32>) -> Result<u32, Wrong> {
        let (mut label, mut found) = (0, 0);
        for (column, cell) in line.split(self.separator).map(str::trim).enumerate() {
            found += 1;
            let place = || format!("column {}", column + 1);
            let Ok(value) = cell.parse::<f64>() else {
                return wrong(place(), format!("`{}` is no number", shortened(cell)));
            };
            if column == self.label_column {
                if !(0.0..1e9).contains(&value) || value.fract() != 0.0 {
                    return wrong(place(), format!("{value} is no class"));
                }
                label = value as u32;
                continue;
            }
            let value = value / self.scale;
            if !(0.0..=1.0).contains(&value) {
                let reason = format!("{cell} is not in 0 to {}", self.scale);
                let help = "give `scale`, the largest value, or correct the table";
                return Err((place(), reason, help));
            }
            values.push(value as f32);
        }
        if found != self.columns {
            let reason = format!("{found} columns, not {}", self.columns);
            return wrong(String::new(), reason);
        }
        Ok(label)
    }
}

/// What is kept of a table.
#[derive(Debug)]
struct Table {
    form: Form,
    /// The first byte and the length of the line of each sample.
    places: Vec<(u64, u32)>,
    labels: Vec<u32>,
}

impl Table {
    /// Reads and checks all lines.
    fn of(mut reader: impl BufRead, scale: f64) -> Result<Table, Wrong> {
        let mut table: Option<Table> = None;
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let mut start = 0;
        for number in 1.. {
            bytes.clear();
            let mut limited = reader.by_ref().take(MAX_LINE);
            let length = match limited.read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Ok(length) => length as u64,
                Err(error) => return wrong(format!("line {number}"), error.to_string()),
            };
            if length == MAX_LINE {
                let reason = format!("it is longer than {MAX_LINE} bytes");
                return wrong(format!("line {number}"), reason);
            }
            let text = String::from_utf8_lossy(&bytes);
            let (mut line, mut begin) = (&*text, start);
            start += length;
            if number == 1
                && let Some(rest) = line.strip_prefix('\u{feff}')
            {
                (line, begin) = (rest, begin + 3);
            }
            if line.trim().is_empty() {
                continue;
            }
            let table = match &mut table {
                Some(table) => table,
                None => {
                    let (form, named) = Form::of(line, scale)?;
                    let fresh = table.insert(Table {
                        form,
                        places: Vec::new(),
                        labels: Vec::new(),
                    });
                    if named {
                        continue;
                    }
                    fresh
                }
            };
            values.clear();
            let label = table.form.row(line, &mut values);
            let label = label.map_err(|(place, reason, help)| {
                let comma = if place.is_empty() { "" } else { ", " };
                (format!("line {number}{comma}{place}"), reason, help)
            })?;
            table.places.push((begin, (start - begin) as u32));
            table.labels.push(label);
        }
        match table {
            None => wrong(String::new(), "it is empty".to_owned()),
            Some(table) if table.labels.is_empty() => {
                wrong(String::new(), "it has no samples".to_owned())
            }
            Some(table) => Ok(table),
        }
    }
}

fn shortened(cell: &str) -> String {
    cell.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Number of channels, values of all samples, labels: by their places.
    fn parse(text: &str, scale: f64) -> Result<(u32, Vec<f32>, Vec<u32>), Wrong> {
        let table = Table::of(text.as_bytes(), scale)?;
        let mut values = Vec::new();
        for (&(start, length), &label) in table.places.iter().zip(&table.labels) {
            let line = &text.as_bytes()[start as usize..][..length as usize];
            let found = table
                .form
                .row(&String::from_utf8_lossy(line), &mut values)?;
            assert_eq!(found, label);
        }
        Ok((table.form.channels(), values, table.labels))
    }

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
