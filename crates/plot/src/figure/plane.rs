//! A chart within its frame.

use super::clip::{inside, thinned};
use super::{LABEL, TICK, label_below, text, titled, upward_label, widest};
use crate::axis::{Axis, Spacing, Tick};
use crate::chart::{Chart, Mark, Series};
use crate::color::Ink;
use crate::scene::{Anchor, Rect, Shape};
use crate::text::{fitted, width};

/// A chart with the places of its values.
struct Plane {
    x: Axis,
    y: Axis,
    inner: Rect,
}

pub(super) fn draw(chart: &Chart, frame: Rect, shapes: &mut Vec<Shape>) {
    let below_title = titled(&chart.title, frame, shapes);
    let below_legend = legend(&chart.series, below_title, shapes);
    let (x, y) = axes(chart);
    let y_ticks = y.ticks((below_legend.height / 45.0) as usize);
    let side = widest(y_ticks.iter().map(|t| t.text.as_str()), TICK) + LABEL + 14.0;
    let foot = TICK + LABEL + 14.0;
    let inner = Rect {
        x: frame.x + side,
        y: below_legend.y + 4.0,
        width: (frame.width - side - 12.0).max(1.0),
        height: (below_legend.height - foot - 4.0).max(1.0),
    };
    let x_ticks = x.ticks((inner.width / 70.0) as usize);
    let plane = Plane { x, y, inner };
    plane.grid(&x_ticks, &y_ticks, shapes);
    for series in &chart.series {
        plane.series(series, shapes);
    }
    upward_label(&chart.y, frame.x + LABEL, inner, shapes);
    label_below(&chart.x, frame.bottom() - 2.0, inner, shapes);
}

/// Both axes, over the data or as wanted.
fn axes(chart: &Chart) -> (Axis, Axis) {
    let all = || chart.series.iter().flat_map(|s| s.points.iter());
    let x = match chart.x_range {
        Some((low, high)) => Axis::between(low, high, chart.spacing.0),
        None => Axis::over(all().map(|p| p.0), chart.spacing.0),
    };
    let y = match chart.y_range {
        Some((low, high)) => Axis::between(low, high, chart.spacing.1),
        None => {
            // Bars stand on 0; a raster needs half a neuron above and below.
            let grounded = chart.series.iter().any(|s| s.mark == Mark::Bars);
            let raster = chart.series.iter().any(|s| s.mark == Mark::Spikes);
            let values = all().map(|p| p.1);
            let zero = (grounded && chart.spacing.1 != Spacing::Log).then_some(0.0);
            let axis = Axis::over(values.chain(zero), chart.spacing.1);
            if grounded {
                axis
            } else {
                axis.with_room(if raster { 0.02 } else { 0.05 })
            }
        }
    };
    (x, y)
}

/// Names of the series in rows; what is left below.
fn legend(series: &[Series], frame: Rect, shapes: &mut Vec<Shape>) -> Rect {
    let named: Vec<&Series> = series.iter().filter(|s| !s.name.is_empty()).collect();
    if named.is_empty() {
        return frame;
    }
    let (mut x, mut y) = (frame.x, frame.y);
    for series in named {
        let name = fitted(&series.name, LABEL, frame.width - 24.0);
        let needed = 24.0 + width(&name, LABEL) + 14.0;
        if x > frame.x && x + needed > frame.right() {
            (x, y) = (frame.x, y + LABEL + 6.0);
        }
        let middle = y + LABEL / 2.0 + 1.0;
        shapes.push(Shape::Lines {
            lines: vec![vec![(x, middle), (x + 18.0, middle)]],
            ink: Ink::Series(series.ink),
            width: 3.0,
            dashed: series.mark == Mark::Dashed,
        });
        shapes.push(text(name, (x + 24.0, y + LABEL), LABEL, Anchor::Start));
        x += needed;
    }
    let used = y - frame.y + LABEL + 8.0;
    Rect {
        y: frame.y + used,
        height: frame.height - used,
        ..frame
    }
}

impl Plane {
    /// The place of a point, not finite if it has none.
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let place = |axis: &Axis, v: f64| axis.place(v).unwrap_or(f64::NAN);
        (
            self.inner.x + place(&self.x, x) * self.inner.width,
            self.inner.bottom() - place(&self.y, y) * self.inner.height,
        )
    }

    fn grid(&self, x_ticks: &[Tick], y_ticks: &[Tick], shapes: &mut Vec<Shape>) {
        let inner = self.inner;
        let ups = x_ticks.iter().map(|tick| {
            let x = inner.x + self.x.place(tick.value).unwrap_or(0.0) * inner.width;
            vec![(x, inner.y), (x, inner.bottom())]
        });
        let alongs = y_ticks.iter().map(|tick| {
            let y = inner.bottom() - self.y.place(tick.value).unwrap_or(0.0) * inner.height;
            vec![(inner.x, y), (inner.right(), y)]
        });
        let lines: Vec<Vec<(f64, f64)>> = ups.chain(alongs).collect();
        let (ends, corners) = (lines.clone(), (inner.x, inner.bottom()));
        shapes.push(Shape::Lines {
            lines,
            ink: Ink::Grid,
            width: 1.0,
            dashed: false,
        });
        shapes.push(Shape::Lines {
            lines: vec![vec![
                (inner.x, inner.y),
                corners,
                (inner.right(), inner.bottom()),
            ]],
            ink: Ink::Axis,
            width: 1.0,
            dashed: false,
        });
        for (tick, line) in x_ticks.iter().zip(&ends) {
            let at = (line[0].0, inner.bottom() + TICK + 5.0);
            shapes.push(text(tick.text.clone(), at, TICK, Anchor::Middle));
        }
        for (tick, line) in y_ticks.iter().zip(&ends[x_ticks.len()..]) {
            let at = (inner.x - 6.0, line[0].1 + 0.36 * TICK);
            shapes.push(text(tick.text.clone(), at, TICK, Anchor::End));
        }
    }

    fn series(&self, series: &Series, shapes: &mut Vec<Shape>) {
        let ink = Ink::Series(series.ink);
        let places = || -> Vec<(f64, f64)> { series.points.iter().map(|p| self.at(*p)).collect() };
        let is_inside = |p: &(f64, f64)| {
            let inner = self.inner;
            p.0 >= inner.x && p.0 <= inner.right() && p.1 >= inner.y && p.1 <= inner.bottom()
        };
        match series.mark {
            Mark::Line | Mark::Dashed => {
                let points = thinned(places(), self.inner.width);
                if let [alone] = points[..] {
                    shapes.push(dots(vec![alone], ink));
                }
                shapes.push(Shape::Lines {
                    lines: inside(&points, self.inner),
                    ink,
                    width: 1.6,
                    dashed: series.mark == Mark::Dashed,
                });
            }
            Mark::Dots => {
                let centres = places().into_iter().filter(is_inside).collect();
                shapes.push(dots(centres, ink));
            }
            Mark::Spikes => shapes.push(self.spikes(series, ink)),
            Mark::Bars => self.bars(series, ink, shapes),
            Mark::Band => {
                let points: Vec<(f64, f64)> =
                    places().into_iter().map(|p| self.moved_inside(p)).collect();
                shapes.push(Shape::Area {
                    points,
                    ink,
                    opacity: 0.2,
                });
            }
        }
    }

    fn moved_inside(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let inner = self.inner;
        let within = |v: f64, low: f64, high: f64| {
            if v.is_finite() {
                v.clamp(low, high)
            } else {
                high
            }
        };
        (
            within(x, inner.x, inner.right()),
            within(y, inner.y, inner.bottom()),
        )
    }

    fn spikes(&self, series: &Series, ink: Ink) -> Shape {
        let neuron = (self.at((0.0, 1.0)).1 - self.at((0.0, 0.0)).1).abs();
        // Large enough to be seen among hundreds of neurons, small enough to leave rows apart.
        let half = (0.45 * neuron).clamp(1.2, 8.0);
        let times = series.points.iter().map(|p| p.0).collect();
        let width = (0.4 * self.closest(times)).clamp(1.2, 3.0);
        let places = series.points.iter().map(|p| self.at(*p));
        let lines = places
            .map(|(x, y)| vec![(x, y - half), (x, y + half)])
            .flat_map(|line| inside(&line, self.inner));
        Shape::Lines {
            lines: lines.collect(),
            ink,
            width,
            dashed: false,
        }
    }

    /// The distance of the closest two different values along, in pixels.
    fn closest(&self, mut values: Vec<f64>) -> f64 {
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        values.dedup();
        let pairs = values.windows(2).map(|pair| pair[1] - pair[0]);
        let least = pairs.fold(f64::INFINITY, f64::min);
        match (self.at((least, 0.0)).0 - self.at((0.0, 0.0)).0).abs() {
            pixels if pixels.is_finite() => pixels,
            _ => f64::MAX,
        }
    }

    fn bars(&self, series: &Series, ink: Ink, shapes: &mut Vec<Shape>) {
        let mut stairs: Vec<(f64, f64)> = Vec::new();
        let ground = self.inner.bottom();
        for pair in series.points.windows(2) {
            let (left, height) = pair[0];
            for x in [left, pair[1].0] {
                stairs.push(self.moved_inside(self.at((x, height))));
            }
        }
        let (Some(first), Some(last)) = (stairs.first().copied(), stairs.last().copied()) else {
            return;
        };
        stairs.insert(0, (first.0, ground));
        stairs.push((last.0, ground));
        shapes.push(Shape::Area {
            points: stairs.clone(),
            ink,
            opacity: 0.25,
        });
        shapes.push(Shape::Lines {
            lines: vec![stairs],
            ink,
            width: 1.2,
            dashed: false,
        });
    }
}

fn dots(centres: Vec<(f64, f64)>, ink: Ink) -> Shape {
    Shape::Dots {
        centres,
        radius: 2.6,
        ink,
    }
}
