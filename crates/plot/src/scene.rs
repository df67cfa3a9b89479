//! What is drawn: a flat list of shapes in pixels, from the upper left corner, in the order in which they
//! cover each other.

use crate::color::Ink;

/// A picture of shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// The shapes.
    pub shapes: Vec<Shape>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// The right side.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// The lower side.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// What a text is placed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// One shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Lines, each from point to point; all of them are one stroke.
    Lines {
        /// The points of each line.
        lines: Vec<Vec<(f64, f64)>>,
        /// The colour.
        ink: Ink,
        /// The width in pixels.
        width: f64,
        /// Whether they are dashed.
        dashed: bool,
    },
    /// A filled area.
    Area {
        /// Its corners.
        points: Vec<(f64, f64)>,
        /// The colour.
        ink: Ink,
        /// 0 is invisible, 1 covers.
        opacity: f64,
    },
    /// Filled circles.
    Dots {
        /// Their centres.
        centres: Vec<(f64, f64)>,
        /// Their radius.
        radius: f64,
        /// The colour.
        ink: Ink,
    },
    /// A line of text.
    Text {
        /// The anchor on the baseline.
        at: (f64, f64),
        /// The text.
        text: String,
        /// Height of the font in pixels.
        size: f64,
        /// Which part of it is at `at`.
        anchor: Anchor,
        /// Whether it is turned to read upwards.
        upwards: bool,
        /// The colour.
        ink: Ink,
    },
    /// A picture of pixels, stretched without smoothing.
    Pixels {
        /// Where.
        to: Rect,
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
        /// Red, green, blue of each pixel, row by row.
        rgb: Vec<[u8; 3]>,
    },
}
