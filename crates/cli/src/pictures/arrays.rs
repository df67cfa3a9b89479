//! Rasters and traces of arrays by name, as `rheo run` writes them: `[T, B, N]`.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, Ix2, Ix3};
use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Mark};

/// Traces in one chart.
const LINES: usize = 6;

/// `[steps, neurons]` of one sample of an array with three axes.
fn sample(array: &ArrayD<f64>, sample: usize) -> Option<ndarray::Array2<f64>> {
    let three = array.view().into_dimensionality::<Ix3>().ok()?;
    if sample >= three.len_of(Axis(1)) {
        return None;
    }
    let two = three.index_axis(Axis(1), sample).to_owned();
    two.into_dimensionality::<Ix2>().ok()
}

fn is_spikes(name: &str) -> bool {
    name == "spikes" || name.ends_with(".spikes")
}

/// Whether there is something to make a raster of.
pub(crate) fn has_spikes(arrays: &BTreeMap<String, ArrayD<f64>>) -> bool {
    arrays.keys().any(|name| is_spikes(name))
}

/// A raster for each array of spikes.
pub(crate) fn rasters(arrays: &BTreeMap<String, ArrayD<f64>>, index: usize) -> Vec<Chart> {
    let spikes = arrays.iter().filter(|(name, _)| is_spikes(name));
    spikes
        .filter_map(|(name, array)| {
            let table = sample(array, index)?;
            let (steps, neurons) = table.dim();
            let points = table.indexed_iter().filter(|(_, v)| **v != 0.0);
            let points = points.map(|((t, n), _)| (t as f64, n as f64)).collect();
            let mut chart = Chart::new(name, "time (steps)", "neuron");
            chart.x_range = Some((0.0, steps as f64));
            chart.y_range = Some((-0.5, neurons as f64 - 0.5));
            chart.spacing.1 = Spacing::Whole;
            Some(chart.with("", Mark::Spikes, points))
        })
        .collect()
}

/// Lines of the first neurons for each array over time that holds no spikes.
pub(crate) fn traces(arrays: &BTreeMap<String, ArrayD<f64>>, index: usize) -> Vec<Chart> {
    let others = arrays.iter().filter(|(name, _)| !is_spikes(name));
    others
        .filter_map(|(name, array)| {
            let table = sample(array, index)?;
            let mut chart = Chart::new(name, "time (steps)", name);
            for (n, column) in table.axis_iter(Axis(1)).take(LINES).enumerate() {
                let points = column.iter().enumerate().map(|(t, v)| (t as f64, *v));
                chart = chart.with(&n.to_string(), Mark::Line, points.collect());
            }
            Some(chart)
        })
        .collect()
}
