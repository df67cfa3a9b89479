//! The built-in data set: 1,797 real hand-written digits of 8×8 pixels.
//!
//! E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, CC BY 4.0
//! (`assets/LICENCE.md`). The file is compiled in, gzip-compressed (54 kB), and decoded on the first use, so that a
//! fresh clone trains without a download and a program that does not use it pays nothing.

use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::OnceLock;

const COMPRESSED: &[u8] = include_bytes!("../assets/digits.csv.gz");
const SIDE: u32 = 8;
const PIXELS: usize = (SIDE * SIDE) as usize;
/// Pixels are counts of 0..=16 dark cells of a 4×4 block.
const FULL: f32 = 16.0;

/// The digits 0 to 9 in 1,797 pictures; see [`digits`].
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    table: &'static Table,
}

#[derive(Debug)]
struct Table {
    card: Card,
    /// [samples × 64], 0..=16.
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// The built-in digits: pictures [8, 8] of grey 0..=1 (multiples of 1/16), 10 classes, in the order of the UCI file.
pub fn digits() -> Digits {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let decode =
        || decode(COMPRESSED).expect("the compiled-in file is the one that the tests decode");
    Digits {
        table: TABLE.get_or_init(decode),
    }
}

impl Dataset for Digits {
    fn card(&self) -> &Card {
        &self.table.card
    }

    fn label(&self, i: usize) -> u32 {
        u32::from(self.table.labels[i])
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let counts = &self.table.pixels[i * PIXELS..(i + 1) * PIXELS];
        let pixels = counts
            .iter()
            .map(|&count| f32::from(count) / FULL)
            .collect();
        Ok(Raw::Image {
            pixels,
            height: SIDE,
            width: SIDE,
            channels: 1,
        })
    }
}

/// The table of a gzip-compressed text: a header line, then 64 pixels and a label per line. `None` if it is not that.
fn decode(compressed: &[u8]) -> Option<Table> {
    let mut text = String::new();
    GzDecoder::new(compressed).read_to_string(&mut text).ok()?;
    let mut table = Table {
        card: Card::new("digits", 0, 10, Shape::line(SIDE * SIDE)),
        pixels: Vec::new(),
        labels: Vec::new(),
    };
    for line in text.lines().skip(1) {
        let fields = line.split(',').map(|field| field.parse().ok());
        let row: Vec<u8> = fields.collect::<Option<_>>()?;
        let (&label, pixels) = row.split_last()?;
        if pixels.len() != PIXELS
            || label > 9
            || pixels.iter().any(|&count| f32::from(count) > FULL)
        {
            return None;
        }
        table.pixels.extend_from_slice(pixels);
        table.labels.push(label);
    }
    table.card.len = table.labels.len();
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_file_is_whole() {
        let set = digits();
        assert_eq!(set.len(), 1797);
        let mut per_class = [0; 10];
        set.labels()
            .iter()
            .for_each(|&label| per_class[label as usize] += 1);
        // The class sizes that scikit-learn's copy of the set has.
        assert_eq!(
            per_class,
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
        let total: u64 = set.table.pixels.iter().map(|&count| u64::from(count)).sum();
        assert_eq!(total, 561_718);
    }

    #[test]
    fn the_first_picture_is_the_zero_everyone_prints() {
        let set = digits();
        let Ok(Raw::Image {
            pixels,
            height: 8,
            width: 8,
            channels: 1,
        }) = set.get(0)
        else {
            panic!("not an 8×8 picture");
        };
        assert_eq!(set.label(0), 0);
        assert_eq!(
            pixels[..8],
            [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0].map(|count: f32| count / 16.0)
        );
        let missing = set.get(1797).expect_err("one past the end").to_string();
        assert_eq!(
            missing,
            "sample 1797 of `digits` does not exist; it has 1797 samples, numbered from 0"
        );
    }

    #[test]
    fn damaged_tables_are_refused() {
        assert!(decode(&COMPRESSED[..COMPRESSED.len() / 2]).is_none());
        assert!(decode(b"no gzip").is_none());
    }
}
