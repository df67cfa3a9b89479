//! Lines cut at a rectangle (Liang & Barsky 1984), and thinned to what a screen can show.

use crate::scene::Rect;

type Point = (f64, f64);

/// The parts of a line inside a rectangle. Points that are not finite interrupt it.
pub(super) fn inside(points: &[Point], within: Rect) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if ![a.0, a.1, b.0, b.1].iter().all(|v| v.is_finite()) {
            continue;
        }
        let Some((a, b)) = segment(a, b, within) else {
            continue;
        };
        match lines.last_mut() {
            Some(line) if line.last() == Some(&a) => line.push(b),
            Some(_) | None => lines.push(vec![a, b]),
        }
    }
    lines
}

fn segment(a: Point, b: Point, within: Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let sides = [
        (-dx, a.0 - within.x),
        (dx, within.right() - a.0),
        (-dy, a.1 - within.y),
        (dy, within.bottom() - a.1),
    ];
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (direction, room) in sides {
        if direction == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if direction < 0.0 {
            from = from.max(room / direction);
        } else {
            to = to.min(room / direction);
        }
    }
    let at = |share: f64| (a.0 + share * dx, a.1 + share * dy);
    // Ends that are not cut keep their bits, so that the pieces of a line join.
    let start = if from == 0.0 { a } else { at(from) };
    let end = if to == 1.0 { b } else { at(to) };
    (from <= to).then_some((start, end))
}

/// At most about four points for each pixel along: of the points in a column the first, the lowest, the
/// highest and the last.
pub(super) fn thinned(points: Vec<Point>, pixels: f64) -> Vec<Point> {
    if (points.len() as f64) < 4.0 * pixels.max(1.0) {
        return points;
    }
    let mut kept: Vec<Point> = Vec::new();
    let same = |a: &Point, b: &Point| a.0.floor() == b.0.floor();
    for column in points.chunk_by(same) {
        let by_height = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        let low = column.iter().min_by(by_height);
        let high = column.iter().max_by(by_height);
        for point in [column.first(), low, high, column.last()]
            .into_iter()
            .flatten()
        {
            if kept.last() != Some(point) {
                kept.push(*point);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Rect = Rect {
        x: 0.0,
        y: 0.0,
        width: 10.0,
        height: 10.0,
    };

    #[test]
    fn lines_end_at_the_border() {
        let cut = inside(&[(-5.0, 5.0), (5.0, 5.0), (5.0, 15.0), (20.0, 20.0)], BOX);
        assert_eq!(cut, [[(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)]]);
        assert!(inside(&[(20.0, 0.0), (30.0, 5.0)], BOX).is_empty());
        let broken = inside(&[(1.0, 1.0), (2.0, 2.0), (f64::NAN, 1.0), (3.0, 3.0)], BOX);
        assert_eq!(broken, [[(1.0, 1.0), (2.0, 2.0)]]);
    }

    #[test]
    fn a_long_line_keeps_its_peaks() {
        let mut points: Vec<Point> = (0..100_000).map(|i| (f64::from(i) * 1e-3, 1.0)).collect();
        points[54_321].1 = 9.0;
        let thin = thinned(points, 100.0);
        assert!(thin.len() < 500);
        assert!(thin.iter().any(|p| p.1 == 9.0));
    }
}
