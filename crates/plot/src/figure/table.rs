//! A heat map within its frame, with its scale at the right.

use super::{LABEL, TICK, label_below, text, titled, upward_label, widest};
use crate::axis::{Axis, Spacing, Tick};
use crate::color::Ink;
use crate::heat::{Heat, Names};
use crate::scene::{Anchor, Rect, Shape};
use crate::text::{fitted, width};

/// Width of the colour scale.
const BAR: f64 = 12.0;

pub(super) fn draw(heat: &Heat, frame: Rect, shapes: &mut Vec<Shape>) {
    let frame = titled(&heat.title, frame, shapes);
    let (low, high) = heat.range();
    let ticks = Axis::between(low, high, Spacing::Linear).ticks((frame.height / 60.0) as usize);
    let bar_side = BAR + 10.0 + widest(ticks.iter().map(|t| t.text.as_str()), TICK) + 6.0;
    let room = Room::of(heat, frame);
    let (side, foot) = (room.side + LABEL + 14.0, room.foot + LABEL + 14.0);
    let mut inner = Rect {
        x: frame.x + side,
        y: frame.y + 2.0,
        width: (frame.width - side - bar_side - 8.0).max(1.0),
        height: (frame.height - foot - 2.0).max(1.0),
    };
    if heat.square && heat.rows > 0 && heat.columns > 0 {
        let cell = (inner.width / heat.columns as f64).min(inner.height / heat.rows as f64);
        inner.width = cell * heat.columns as f64;
        inner.height = cell * heat.rows as f64;
    }
    if heat.values.len() == heat.rows * heat.columns && !heat.values.is_empty() {
        shapes.push(Shape::Pixels {
            to: inner,
            columns: heat.columns,
            rows: heat.rows,
            rgb: heat.pixels(),
        });
        if heat.numbers {
            numbers(heat, inner, shapes);
        }
    }
    names(heat, &room, inner, shapes);
    scale(heat, (low, high), &ticks, inner, shapes);
    upward_label(&heat.y, frame.x + LABEL, inner, shapes);
    label_below(&heat.x, inner.bottom() + foot - 2.0, inner, shapes);
}

/// What names of rows and columns take.
struct Room {
    side: f64,
    foot: f64,
    /// Whether names below columns stand upright.
    upright: bool,
}

impl Room {
    fn of(heat: &Heat, frame: Rect) -> Room {
        match &heat.names {
            Names::Numbers => Room {
                side: width(&heat.rows.to_string(), TICK),
                foot: TICK,
                upright: false,
            },
            Names::Words(_) => {
                let names: Vec<String> = (0..heat.rows.max(heat.columns))
                    .map(|i| heat.names.of(i))
                    .collect();
                let longest = widest(names.iter().map(String::as_str), TICK);
                let longest = longest.min(0.25 * frame.width.min(frame.height));
                Room {
                    side: longest,
                    foot: longest,
                    upright: true,
                }
            }
            Names::Nothing => Room {
                side: 0.0,
                foot: 0.0,
                upright: false,
            },
        }
    }
}

/// Every so many rows and columns their name.
fn names(heat: &Heat, room: &Room, inner: Rect, shapes: &mut Vec<Shape>) {
    let cell = (
        inner.width / heat.columns.max(1) as f64,
        inner.height / heat.rows.max(1) as f64,
    );
    let every = |size: f64, room: f64| {
        let least = (room / size).ceil().max(1.0) as usize;
        [1, 2, 5, 10, 20, 50, 100, 200, 500]
            .into_iter()
            .find(|step| *step >= least)
            .unwrap_or(1000)
    };
    let named = |number: usize, room: f64| {
        let name = fitted(&heat.names.of(number), TICK, room + 0.5);
        Some(name).filter(|name| !name.is_empty())
    };
    for row in (0..heat.rows).step_by(every(cell.1, TICK + 4.0)) {
        let y = inner.y + (row as f64 + 0.5) * cell.1 + 0.36 * TICK;
        let at = (inner.x - 6.0, y);
        let name = named(row, room.side);
        shapes.extend(name.map(|name| text(name, at, TICK, Anchor::End)));
    }
    let needed = match room.upright {
        true => TICK + 4.0,
        false => width(&heat.columns.to_string(), TICK) + 8.0,
    };
    for column in (0..heat.columns).step_by(every(cell.0, needed)) {
        let x = inner.x + (column as f64 + 0.5) * cell.0;
        if room.upright {
            let name = named(column, room.foot);
            shapes.extend(name.map(|text| Shape::Text {
                at: (x + 0.36 * TICK, inner.bottom() + 5.0),
                text,
                size: TICK,
                anchor: Anchor::End,
                upwards: true,
                ink: Ink::Text,
            }));
        } else {
            let at = (x, inner.bottom() + TICK + 5.0);
            let name = named(column, f64::INFINITY);
            shapes.extend(name.map(|name| text(name, at, TICK, Anchor::Middle)));
        }
    }
}

/// The number of each cell, black or white, whatever is easier to read on its colour.
fn numbers(heat: &Heat, inner: Rect, shapes: &mut Vec<Shape>) {
    let cell = (
        inner.width / heat.columns as f64,
        inner.height / heat.rows as f64,
    );
    let shown = |value: f64| format!("{value}");
    let widest = widest(
        heat.values
            .iter()
            .map(|v| shown(*v))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
        TICK,
    );
    if cell.0 < widest + 4.0 || cell.1 < TICK + 2.0 {
        return;
    }
    let filled = heat.values.iter().zip(heat.pixels()).enumerate();
    for (i, (value, rgb)) in filled.filter(|(_, (value, _))| value.is_finite() && **value != 0.0) {
        let (row, column) = (i / heat.columns, i % heat.columns);
        let bright = rgb.iter().map(|c| u32::from(*c)).sum::<u32>() > 330;
        shapes.push(Shape::Text {
            at: (
                inner.x + (column as f64 + 0.5) * cell.0,
                inner.y + (row as f64 + 0.5) * cell.1 + 0.36 * TICK,
            ),
            text: shown(*value),
            size: TICK,
            anchor: Anchor::Middle,
            upwards: false,
            ink: if bright { Ink::Black } else { Ink::White },
        });
    }
}

/// The scale at the right, with its ticks.
fn scale(
    heat: &Heat,
    (low, high): (f64, f64),
    ticks: &[Tick],
    inner: Rect,
    shapes: &mut Vec<Shape>,
) {
    let bar = Rect {
        x: inner.right() + 10.0,
        y: inner.y,
        width: BAR,
        height: inner.height,
    };
    let rows = 64;
    let places = (0..rows).map(|row| 1.0 - (f64::from(row) + 0.5) / f64::from(rows));
    shapes.push(Shape::Pixels {
        to: bar,
        columns: 1,
        rows: rows as usize,
        rgb: places.map(|place| heat.scale.rgb(place)).collect(),
    });
    for tick in ticks {
        let place = (tick.value - low) / (high - low);
        let y = bar.bottom() - place * bar.height;
        let at = (bar.right() + 5.0, y + 0.36 * TICK);
        shapes.push(text(tick.text.clone(), at, TICK, Anchor::Start));
    }
}
