//! The table of a sweep: a row for each combination without its seed, with mean and spread over seeds, and a
//! picture of it.

use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Figure, Mark, svg};
use serde_json::{Map, Value, json};

use super::Run;
use super::grid::Axis;

/// The setting that rows are means over.
const SEED: &str = "seed";

/// All finished runs, by row.
pub(super) struct Table {
    axes: Vec<Axis>,
    measure: Measure,
    rows: Vec<Row>,
}

struct Row {
    /// The values of all settings but the seed.
    values: Vec<String>,
    subset: &'static str,
    scores: Vec<f64>,
}

/// What a run is judged by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Score {
    /// On test samples, else on validation samples, else on training samples.
    pub(super) subset: &'static str,
    /// The share that was classified rightly or, for a task without classes, the loss.
    pub(super) value: f64,
    pub(super) measure: Measure,
}

/// Of what kind a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Accuracy,
    Loss,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Measure::Accuracy => "accuracy",
            Measure::Loss => "loss",
        }
    }

    /// The title of a picture.
    fn title(self) -> &'static str {
        match self {
            Measure::Accuracy => "Accuracy over the sweep",
            Measure::Loss => "Loss over the sweep",
        }
    }

    /// The name with the unit of what is shown.
    fn shown_name(self) -> &'static str {
        match self {
            Measure::Accuracy => "accuracy (%)",
            Measure::Loss => "loss",
        }
    }

    /// A value as it is shown, without its unit.
    fn scaled(self, value: f64) -> f64 {
        match self {
            Measure::Accuracy => 100.0 * value,
            Measure::Loss => value,
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Measure::Accuracy => format!("{:.2}", self.scaled(value)),
            Measure::Loss => format!("{value:.5}"),
        }
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (subset, value) = (self.subset, self.measure.text(self.value));
        match self.measure {
            Measure::Accuracy => write!(f, "{subset} {value} %"),
            Measure::Loss => write!(f, "{subset} loss {value}"),
        }
    }
}

/// The score of a run's result; accuracy before loss, samples that nothing was trained on before others.
pub(super) fn score(result: &Value) -> Option<Score> {
    let last = result.get("last_epoch");
    let subsets = ["test", "valid", "train"];
    subsets.into_iter().find_map(|subset| {
        [Measure::Accuracy, Measure::Loss]
            .into_iter()
            .find_map(|measure| {
                let name = measure.name();
                let value = match subset {
                    "train" => last?.get(format!("train_{name}"))?,
                    _ => result.get(subset)?.get(name)?,
                };
                Some(Score {
                    subset,
                    value: value.as_f64()?,
                    measure,
                })
            })
    })
}

impl Table {
    pub(super) fn of(axes: &[Axis], done: &[(Run, Value)]) -> Table {
        let axes: Vec<Axis> = axes.iter().filter(|a| a.name != SEED).cloned().collect();
        let mut rows: Vec<Row> = Vec::new();
        let mut measure = Measure::Accuracy;
        for (run, result) in done {
            let Some(score) = score(result) else {
                continue;
            };
            // All runs are of one program, so they have the same.
            measure = score.measure;
            let others = run.settings.iter().filter(|s| s.name != SEED);
            let values: Vec<String> = others.map(|s| s.value.clone()).collect();
            match rows.iter_mut().find(|row| row.values == values) {
                Some(row) => row.scores.push(score.value),
                None => rows.push(Row {
                    values,
                    subset: score.subset,
                    scores: vec![score.value],
                }),
            }
        }
        Table {
            axes,
            measure,
            rows,
        }
    }

    /// Columns that are aligned.
    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![self.axes.iter().map(|a| a.name.clone()).collect::<Vec<_>>()];
        lines[0].extend(["runs", self.measure.shown_name(), "spread", "on"].map(String::from));
        for row in &self.rows {
            let (mean, spread) = mean_and_spread(&row.scores);
            let mut line = row.values.clone();
            line.extend([
                row.scores.len().to_string(),
                self.measure.text(mean),
                spread.map_or("–".to_string(), |s| format!("± {}", self.measure.text(s))),
                row.subset.to_string(),
            ]);
            lines.push(line);
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|c| {
                lines
                    .iter()
                    .map(|l| l[c].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line
                .iter()
                .zip(&widths)
                .map(|(cell, w)| format!("{cell:>w$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let names = self.axes.iter().map(|a| a.name.clone());
            let values = row.values.iter().map(|v| json!(v));
            let settings: Map<String, Value> = names.zip(values).collect();
            let (mean, spread) = mean_and_spread(&row.scores);
            json!({
                "settings": settings,
                "runs": row.scores.len(),
                "subset": row.subset,
                "measure": self.measure.name(),
                "scores": row.scores,
                "mean": mean,
                "spread": spread,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>() })
    }

    /// Mean and every seed over the first setting, a line for each combination of the others; `None` if
    /// nothing is done.
    pub(super) fn picture(&self) -> Option<String> {
        let axis = self.axes.first();
        let values = axis.map_or(Vec::new(), |a| a.values.clone());
        let numbers: Option<Vec<f64>> = values.iter().map(|v| leading_number(v)).collect();
        let place = |row: &Row| -> Option<f64> {
            let value = row.values.first()?;
            let index = values.iter().position(|v| v == value)?;
            Some(numbers.as_ref().map_or(index as f64, |n| n[index]))
        };
        let name = axis.map_or("", |a| a.name.as_str());
        let x = if numbers.is_some() || values.is_empty() {
            name.to_string()
        } else {
            let listed = values.iter().enumerate().map(|(i, v)| format!("{i}: {v}"));
            format!("{name} ({})", listed.collect::<Vec<_>>().join(", "))
        };
        let mut chart = Chart::new(self.measure.title(), &x, self.measure.shown_name());
        if let Some(numbers) = &numbers
            && let (Some(low), Some(high)) = (
                numbers.iter().copied().reduce(f64::min),
                numbers.iter().copied().reduce(f64::max),
            )
            && low > 0.0
            && high / low >= 8.0
        {
            chart.spacing.0 = Spacing::Log;
        }
        let mut lines: Vec<&[String]> = Vec::new();
        for row in &self.rows {
            let others = row.values.get(1..).unwrap_or(&[]);
            if !lines.contains(&others) {
                lines.push(others);
            }
        }
        for (ink, others) in lines.iter().enumerate() {
            let rows = self.rows.iter();
            let rows = rows.filter(|r| r.values.get(1..).unwrap_or(&[]) == *others);
            let scaled = |value| self.measure.scaled(value);
            let at = |row: &Row| place(row).unwrap_or(0.0);
            let (mut means, mut dots) = (Vec::new(), Vec::new());
            for row in rows {
                means.push((at(row), scaled(mean_and_spread(&row.scores).0)));
                dots.extend(row.scores.iter().map(|&a| (at(row), scaled(a))));
            }
            means.sort_by(|a, b| a.0.total_cmp(&b.0));
            chart = chart
                .with_ink(&others.join(", "), Mark::Line, means, ink)
                .with_ink("", Mark::Dots, dots, ink);
        }
        (!self.rows.is_empty()).then(|| svg::document(&Figure::of(chart).scene()))
    }
}

/// The number that a value begins with: `10 ms` is at 10.
fn leading_number(text: &str) -> Option<f64> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)))
        .unwrap_or(text.len());
    let found = (1..=end).rev().find_map(|e| text.get(..e)?.parse().ok());
    found.filter(|v: &f64| v.is_finite())
}

/// Mean, and the standard deviation of the sample if there are at least two.
fn mean_and_spread(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (
        mean,
        (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Setting;

    fn run(lr: &str, seed: &str, accuracy: f64) -> (Run, Value) {
        let setting = |name: &str, value: &str| Setting {
            name: name.to_string(),
            value: value.to_string(),
        };
        let run = Run {
            name: String::new(),
            settings: vec![setting("optimizer.lr", lr), setting("seed", seed)],
        };
        (run, json!({ "test": { "accuracy": accuracy } }))
    }

    #[test]
    fn a_row_is_a_mean_over_seeds() {
        let axes = ["lr=1e-3,1e-2", "seed=0..1"]
            .map(|t| super::super::grid::parse_axis(t).expect("an axis"));
        let done = [
            run("1e-3", "0", 0.9),
            run("1e-3", "1", 0.8),
            run("1e-2", "0", 0.5),
        ];
        let table = Table::of(&axes, &done);
        let json = table.to_json();
        assert_eq!(json["rows"][0]["runs"], 2);
        let spread = json["rows"][0]["spread"].as_f64().expect("two runs");
        assert!((spread - 0.005f64.sqrt()).abs() < 1e-12);
        assert!(json["rows"][1]["spread"].is_null());
        let text = table.to_text();
        assert!(text.contains("85.00  ± 7.07"), "{text}");
        assert!(table.picture().expect("rows").contains("optimizer.lr"));
    }

    #[test]
    fn without_classes_the_loss_counts() {
        let (run, _) = run("1e-3", "0", 0.0);
        let result = json!({ "valid": { "loss": 0.125 }, "last_epoch": { "train_loss": 2.0 } });
        let found = score(&result).expect("a loss");
        assert_eq!(found.to_string(), "valid loss 0.12500");
        let axes = ["lr=1e-3"].map(|t| super::super::grid::parse_axis(t).expect("an axis"));
        let table = Table::of(&axes, &[(run, result)]);
        assert_eq!(table.to_json()["rows"][0]["measure"], "loss");
        assert!(table.to_text().contains("loss") && !table.to_text().contains('%'));
    }

    #[test]
    fn values_have_a_place() {
        let places = ["10 ms", "1e-3", "-2.5", "adam()"].map(leading_number);
        assert_eq!(places, [Some(10.0), Some(1e-3), Some(-2.5), None]);
    }
}
