//! Learning curves from the rows of `metrics.jsonl`.

use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Mark};
use serde_json::Value;

/// The most layers or parameters in a chart; more are spread over several.
const MOST: usize = 7;

/// Loss, accuracy if there are classes, firing rates, norms of gradients, effort and learning rate over epochs.
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
    charts.extend(norms.into_iter().map(logarithmic));
    let effort = [
        ("Spikes per inference", "spikes_per_inference"),
        (
            "Synaptic operations per inference",
            "synaptic_operations_per_inference",
        ),
    ];
    for (title, key) in effort {
        let chart = of_subsets(rows, title, key, 1.0);
        charts.extend((!chart.series.is_empty()).then_some(chart));
    }
    let rate = points(rows, "learning_rate", 1.0);
    charts.push(over_epochs("Learning rate", "learning rate").with("", Mark::Line, rate));
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

fn over_epochs(title: &str, y: &str) -> Chart {
    let mut chart = Chart::new(title, "epoch", y);
    chart.spacing.0 = Spacing::Whole;
    chart
}

fn of_subsets(rows: &[Value], title: &str, key: &str, factor: f64) -> Chart {
    let unit = if factor == 100.0 { " (%)" } else { "" };
    let key_words = key.replace('_', " ");
    let mut chart = over_epochs(title, &format!("{key_words}{unit}"));
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

/// A line for each name in an object of the rows, in as many charts as it takes to tell them apart.
fn by_name(rows: &[Value], title: &str, y: &str, key: &str) -> Vec<Chart> {
    let names = rows.first().and_then(|row| row.get(key)?.as_object());
    let names: Vec<&String> = names.into_iter().flatten().map(|(name, _)| name).collect();
    let count = names.len().div_ceil(MOST);
    // As evenly as possible: nobody wants a chart with the one that was left.
    let each = names.len().div_ceil(count.max(1)).max(1);
    let chart = |(part, names): (usize, &[&String])| {
        let title = match count {
            1 => title.to_string(),
            _ => format!("{title} ({} of {count})", part + 1),
        };
        names.iter().fold(over_epochs(&title, y), |chart, name| {
            let point = |row: &Value| {
                let value = row.get(key)?.get(name.as_str())?.as_f64()?;
                Some((row.get("epoch")?.as_f64()?, value))
            };
            chart.with(name, Mark::Line, rows.iter().filter_map(point).collect())
        })
    };
    names.chunks(each).enumerate().map(chart).collect()
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

    #[test]
    fn every_layer_is_in_a_chart_however_many_there_are() {
        let names: Vec<String> = (0..17).map(|layer| format!("layer{layer:02}")).collect();
        let rates: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), json!(1.0)))
            .collect();
        let rows = [json!({"epoch": 1, "rates": rates})];
        let charts = by_name(&rows, "Rates", "Hz", "rates");
        let sizes: Vec<usize> = charts.iter().map(|chart| chart.series.len()).collect();
        assert_eq!(sizes, [6, 6, 5]);
        assert_eq!(charts[2].title, "Rates (3 of 3)");
        let shown = charts.iter().flat_map(|chart| &chart.series);
        let shown: Vec<&String> = shown.map(|series| &series.name).collect();
        assert_eq!(shown, names.iter().collect::<Vec<_>>());
    }
}
