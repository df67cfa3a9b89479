//! Learning curves from the rows of `metrics.jsonl`.

use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Mark};
use serde_json::Value;

/// The most layers or parameters that a chart tells apart.
const MOST: usize = 7;

/// Loss, accuracy if there are classes, firing rates, norms of gradients and learning rate over epochs.
pub(crate) fn curves(rows: &[Value]) -> Vec<Chart> {
    let mut charts = vec![of_subsets(rows, "Loss", "loss", 1.0)];
    let accuracy = of_subsets(rows, "Accuracy", "accuracy", 100.0);
    // A task without classes has none.
    charts.extend((!accuracy.series.is_empty()).then_some(accuracy));
    charts.extend(by_name(
        rows,
        "Spikes per neuron and second",
        "rate (Hz)",
        "spikes_per_neuron_per_second",
    ));
    let norms = by_name(rows, "Norm of the gradient", "mean norm", "gradient_norms");
    charts.extend(norms.map(logarithmic));
    let rate = points(rows, "learning_rate", 1.0);
    charts.push(Chart::new("Learning rate", "epoch", "learning rate").with("", Mark::Line, rate));
    charts
}

/// Both axes stay linear if a value is 0 or below: it would have no place.
fn logarithmic(mut chart: Chart) -> Chart {
    let values = || chart.series.iter().flat_map(|s| &s.points).map(|p| p.1);
    if values().all(|v| v > 0.0) {
        chart.spacing.1 = Spacing::Log;
    }
    chart
}

fn of_subsets(rows: &[Value], title: &str, key: &str, factor: f64) -> Chart {
    let unit = if factor == 100.0 { " (%)" } else { "" };
    let mut chart = Chart::new(title, "epoch", &format!("{key}{unit}"));
    for (ink, subset) in ["train", "valid", "test"].into_iter().enumerate() {
        let found = points(rows, &format!("{subset}_{key}"), factor);
        if !found.is_empty() {
            let mark = if found.len() == 1 {
                Mark::Dots
            } else {
                Mark::Line
            };
            chart = chart.with_ink(subset, mark, found, ink);
        }
    }
    chart
}

fn points(rows: &[Value], key: &str, factor: f64) -> Vec<(f64, f64)> {
    let point = |row: &Value| {
        Some((
            row.get("epoch")?.as_f64()?,
            factor * row.get(key)?.as_f64()?,
        ))
    };
    rows.iter().filter_map(point).collect()
}

/// A line for each name in an object of the rows.
fn by_name(rows: &[Value], title: &str, y: &str, key: &str) -> Option<Chart> {
    let names = rows.first()?.get(key)?.as_object()?;
    let mut chart = Chart::new(title, "epoch", y);
    for name in names.keys().take(MOST) {
        let point = |row: &Value| {
            let value = row.get(key)?.get(name)?.as_f64()?;
            Some((row.get("epoch")?.as_f64()?, value))
        };
        chart = chart.with(name, Mark::Line, rows.iter().filter_map(point).collect());
    }
    (!chart.series.is_empty()).then_some(chart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_column_is_a_line() {
        let row = |epoch: usize| {
            json!({
                "epoch": epoch,
                "train_loss": 1.0 / epoch as f64,
                "train_accuracy": 0.5,
                "learning_rate": 0.1,
                "spikes_per_neuron_per_second": {"hid": 3.0},
                "gradient_norms": {"a.b.x.weight": 0.25},
            })
        };
        let charts = curves(&[row(1), row(2)]);
        assert_eq!(charts.len(), 5);
        assert_eq!(charts[0].series[0].points, [(1.0, 1.0), (2.0, 0.5)]);
        assert_eq!(charts[1].series[0].points[1], (2.0, 50.0));
        assert_eq!(charts[3].spacing.1, Spacing::Log);
        assert_eq!(curves(&[]).len(), 2);
    }
}
