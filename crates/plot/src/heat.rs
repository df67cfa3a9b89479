//! Tables of numbers as colours: confusion matrices, weights, receptive fields, binned rasters.

use crate::color::Scale;

/// What stands beside rows and below columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Names {
    /// Their numbers, counted from 0.
    #[default]
    Numbers,
    /// The same words for rows and columns; numbers after the last one.
    Words(Vec<String>),
    /// Nothing: cells have no numbers of their own.
    Nothing,
}

impl Names {
    /// The name of a row or column.
    pub(crate) fn of(&self, number: usize) -> String {
        match self {
            Names::Numbers => number.to_string(),
            Names::Words(words) => words.get(number).cloned().unwrap_or(number.to_string()),
            Names::Nothing => String::new(),
        }
    }
}

/// A heat map.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// What it shows.
    pub title: String,
    /// Along.
    pub x: String,
    /// Down.
    pub y: String,
    /// The number of rows, from the top.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// `rows · columns` values, row by row.
    pub values: Vec<f64>,
    /// From numbers to colours. A diverging scale is symmetric about 0.
    pub scale: Scale,
    /// Whether each cell shows its number, if it has room.
    pub numbers: bool,
    /// Whether cells are squares.
    pub square: bool,
    /// What rows and columns are called.
    pub names: Names,
}

impl Heat {
    /// The values at the ends of the colour scale.
    pub fn range(&self) -> (f64, f64) {
        let finite = self.values.iter().copied().filter(|v| v.is_finite());
        match self.scale {
            Scale::Sequential => {
                let most = finite.fold(0.0, f64::max);
                (0.0, if most > 0.0 { most } else { 1.0 })
            }
            Scale::Diverging => {
                let most = finite.fold(0.0, |m: f64, v| m.max(v.abs()));
                let most = if most > 0.0 { most } else { 1.0 };
                (-most, most)
            }
        }
    }

    /// The colour of each value.
    pub(crate) fn pixels(&self) -> Vec<[u8; 3]> {
        let (low, high) = self.range();
        let place = |v: &f64| (v - low) / (high - low);
        self.values
            .iter()
            .map(|v| self.scale.rgb(place(v)))
            .collect()
    }
}
