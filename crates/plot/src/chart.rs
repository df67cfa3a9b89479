//! Charts over two axes: lines, dots, rasters, histograms, bands.

use crate::axis::Spacing;

/// How the points of a series are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line from point to point; a point that is not finite interrupts it.
    Line,
    /// The same, dashed.
    Dashed,
    /// A dot at each point.
    Dots,
    /// A short upright line at each point: spikes, with time along and neurons up.
    Spikes,
    /// A filled staircase: each point is the left edge and the height of a bar, the last one only an edge.
    Bars,
    /// A filled area whose outline the points are.
    Band,
}

/// A series of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend; an empty one is not in it.
    pub name: String,
    /// How it is shown.
    pub mark: Mark,
    /// Along and up.
    pub points: Vec<(f64, f64)>,
    /// The number of its colour.
    pub ink: usize,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Along: the quantity and its unit.
    pub x: String,
    /// Up: the quantity and its unit.
    pub y: String,
    /// How the axes count.
    pub spacing: (Spacing, Spacing),
    /// Ends of the axis along instead of those of the data.
    pub x_range: Option<(f64, f64)>,
    /// Ends of the axis up instead of those of the data.
    pub y_range: Option<(f64, f64)>,
    /// What is shown, later ones on top.
    pub series: Vec<Series>,
}

impl Chart {
    /// An empty chart with its words.
    pub fn new(title: &str, x: &str, y: &str) -> Chart {
        Chart {
            title: title.to_string(),
            x: x.to_string(),
            y: y.to_string(),
            ..Chart::default()
        }
    }

    /// With one series more; it has the next colour.
    pub fn with(self, name: &str, mark: Mark, points: Vec<(f64, f64)>) -> Chart {
        let ink = self.series.len();
        self.with_ink(name, mark, points, ink)
    }

    /// With one series more, in a colour that it may share with others.
    pub fn with_ink(
        mut self,
        name: &str,
        mark: Mark,
        points: Vec<(f64, f64)>,
        ink: usize,
    ) -> Chart {
        self.series.push(Series {
            name: name.to_string(),
            mark,
            points,
            ink,
        });
        self
    }

    /// With how many values fall into each of `bins` equal parts of `low..=high`, which all histograms of a
    /// chart should share.
    pub fn with_histogram(
        self,
        name: &str,
        values: &[f64],
        (low, high): (f64, f64),
        bins: usize,
    ) -> Chart {
        let width = (high - low) / bins as f64;
        let mut counts = vec![0usize; bins];
        for value in values.iter().filter(|v| **v >= low && **v <= high) {
            let bin = ((value - low) / width) as usize;
            counts[bin.min(bins - 1)] += 1;
        }
        let bars = counts.iter().map(|c| *c as f64).chain([0.0]).enumerate();
        let points = bars.map(|(i, count)| (low + width * i as f64, count));
        let mut chart = self.with(name, Mark::Bars, points.collect());
        chart.spacing.1 = Spacing::Whole;
        chart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_value_once() {
        let values = [0.0, 0.1, 0.5, 0.99, 1.0, 7.0, f64::NAN];
        let chart = Chart::new("", "", "").with_histogram("", &values, (0.0, 1.0), 2);
        assert_eq!(chart.series[0].points, [(0.0, 2.0), (0.5, 3.0), (1.0, 0.0)]);
    }
}
