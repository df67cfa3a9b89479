//! Where everything goes: a grid of panels, and within a panel title, legend, axes and data.
//!
//! Before: charts and heat maps with any values, finite or not. After: a scene in which nothing of the data
//! leaves its panel.

mod clip;
mod plane;
mod table;

use crate::chart::Chart;
use crate::color::Ink;
use crate::heat::Heat;
use crate::scene::{Anchor, Rect, Scene, Shape};
use crate::text::{fitted, width};

/// One place of a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Panel {
    /// Over two axes.
    Chart(Chart),
    /// A table of colours.
    Heat(Heat),
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Panel {
        Panel::Chart(chart)
    }
}

impl From<Heat> for Panel {
    fn from(heat: Heat) -> Panel {
        Panel::Heat(heat)
    }
}

/// Panels in a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Panels beside each other.
    pub columns: usize,
    /// Width and height of a panel in pixels.
    pub panel: (f64, f64),
    /// The panels, row by row.
    pub panels: Vec<Panel>,
}

const TITLE: f64 = 13.0;
const LABEL: f64 = 11.0;
const TICK: f64 = 10.0;
const EDGE: f64 = 10.0;

impl Figure {
    /// One panel.
    pub fn of(panel: impl Into<Panel>) -> Figure {
        Figure {
            columns: 1,
            panel: (640.0, 360.0),
            panels: vec![panel.into()],
        }
    }

    /// Panels of this size in rows of `columns`.
    pub fn grid(columns: usize, panel: (f64, f64), panels: Vec<Panel>) -> Figure {
        Figure {
            columns: columns.max(1),
            panel,
            panels,
        }
    }

    /// The figure as shapes.
    pub fn scene(&self) -> Scene {
        let columns = self.columns.min(self.panels.len()).max(1);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let (w, h) = self.panel;
        let mut shapes = Vec::new();
        for (i, panel) in self.panels.iter().enumerate() {
            let frame = Rect {
                x: (i % columns) as f64 * w + EDGE,
                y: (i / columns) as f64 * h + EDGE,
                width: w - 2.0 * EDGE,
                height: h - 2.0 * EDGE,
            };
            match panel {
                Panel::Chart(chart) => plane::draw(chart, frame, &mut shapes),
                Panel::Heat(heat) => table::draw(heat, frame, &mut shapes),
            }
        }
        Scene {
            width: columns as f64 * w,
            height: rows as f64 * h,
            shapes,
        }
    }
}

/// The title over a frame; what is left below it.
fn titled(title: &str, frame: Rect, shapes: &mut Vec<Shape>) -> Rect {
    if title.is_empty() {
        return frame;
    }
    let at = (frame.x, frame.y + TITLE);
    shapes.push(text(
        fitted(title, TITLE, frame.width),
        at,
        TITLE,
        Anchor::Start,
    ));
    let used = TITLE + 8.0;
    Rect {
        y: frame.y + used,
        height: frame.height - used,
        ..frame
    }
}

fn text(text: String, at: (f64, f64), size: f64, anchor: Anchor) -> Shape {
    Shape::Text {
        at,
        text,
        size,
        anchor,
        upwards: false,
        ink: Ink::Text,
    }
}

/// A word beside the axis that goes up, in the middle of `inner`.
fn upward_label(label: &str, x: f64, inner: Rect, shapes: &mut Vec<Shape>) {
    if label.is_empty() {
        return;
    }
    shapes.push(Shape::Text {
        at: (x, inner.y + inner.height / 2.0),
        text: fitted(label, LABEL, inner.height),
        size: LABEL,
        anchor: Anchor::Middle,
        upwards: true,
        ink: Ink::Axis,
    });
}

/// A word below the axis along.
fn label_below(label: &str, y: f64, inner: Rect, shapes: &mut Vec<Shape>) {
    if label.is_empty() {
        return;
    }
    shapes.push(Shape::Text {
        at: (inner.x + inner.width / 2.0, y),
        text: fitted(label, LABEL, inner.width),
        size: LABEL,
        anchor: Anchor::Middle,
        upwards: false,
        ink: Ink::Axis,
    });
}

/// The widest of some texts.
fn widest<'a>(texts: impl Iterator<Item = &'a str>, size: f64) -> f64 {
    texts.map(|t| width(t, size)).fold(0.0, f64::max)
}
