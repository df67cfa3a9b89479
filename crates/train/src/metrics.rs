//! `metrics.jsonl`: one line of JSON for each epoch, written and read back.
//!
//! The file is always replaced whole, so a line is never torn and never there twice.

use serde_json::{Map, Value, json};

use crate::run::EpochReport;
use crate::trainer::Evaluation;

const TRAIN_OPERATIONS: &str = "train_synaptic_operations_per_inference";

/// One line of the file.
pub(crate) fn row(report: &EpochReport) -> Value {
    let mut row = Map::new();
    row.insert("epoch".into(), json!(report.epoch));
    row.insert("train_loss".into(), json!(report.train_loss));
    if let Some(accuracy) = report.train_accuracy {
        row.insert("train_accuracy".into(), json!(accuracy));
    }
    row.insert(
        "train_spikes_per_inference".into(),
        json!(report.train_spikes),
    );
    if let Some(operations) = report.train_synaptic_operations {
        row.insert(TRAIN_OPERATIONS.into(), json!(operations));
    }
    for (name, evaluation) in [("valid", &report.valid), ("test", &report.test)] {
        if let Some(evaluation) = evaluation {
            row.insert(format!("{name}_loss"), json!(evaluation.loss));
            if let Some(accuracy) = evaluation.accuracy() {
                row.insert(format!("{name}_accuracy"), json!(accuracy));
            }
            for (k, share) in evaluation.top() {
                row.insert(format!("{name}_top_{k}_accuracy"), json!(share));
            }
            let spikes = format!("{name}_spikes_per_inference");
            row.insert(spikes, json!(evaluation.spikes));
            let operations = format!("{name}_synaptic_operations_per_inference");
            row.insert(operations, json!(evaluation.synaptic_operations));
        }
    }
    row.insert("learning_rate".into(), json!(report.learning_rate));
    row.insert(
        "spikes_per_neuron_per_second".into(),
        by_name(&report.rates),
    );
    row.insert("gradient_norm".into(), json!(report.gradient_norm));
    row.insert("gradient_norms".into(), by_name(&report.gradient_norms));
    row.insert("seconds".into(), json!(report.seconds));
    Value::Object(row)
}

fn by_name(values: &[(String, f64)]) -> Value {
    let values = values.iter().map(|(name, v)| (name.clone(), json!(v)));
    Value::Object(values.collect())
}

impl Evaluation {
    /// What is known of an evaluation, as in `evaluation.json`. Without classes there is no `accuracy`, no
    /// `correct`, no `top` and no `confusion`.
    pub fn to_json(&self, subset: &str) -> Value {
        let mut document = Map::new();
        document.insert("subset".into(), json!(subset));
        document.insert("samples".into(), json!(self.samples));
        document.insert("loss".into(), json!(self.loss));
        if let Some(accuracy) = self.accuracy() {
            document.insert("accuracy".into(), json!(accuracy));
            document.insert("correct".into(), json!(self.correct));
            let top = self.top().into_iter();
            let top = top.map(|(k, share)| (k.to_string(), json!(share)));
            document.insert("top".into(), Value::Object(top.collect()));
            document.insert("confusion".into(), json!(self.confusion));
            if !self.class_names.is_empty() {
                document.insert("class_names".into(), json!(self.class_names));
            }
        }
        if self.left_out > 0 {
            document.insert("left_out".into(), json!(self.left_out));
        }
        document.insert("spikes_per_neuron_per_second".into(), by_name(&self.rates));
        document.insert("spikes_per_inference".into(), json!(self.spikes));
        document.insert(
            "synaptic_operations_per_inference".into(),
            json!(self.synaptic_operations),
        );
        Value::Object(document)
    }
}

/// The report of an epoch from its line; evaluations are given, because a line has only their totals.
pub(crate) fn report(
    row: &Value,
    epochs: usize,
    valid: Option<Evaluation>,
    test: Option<Evaluation>,
) -> EpochReport {
    let number = |key: &str| row.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let named = |key: &str| -> Vec<(String, f64)> {
        let map = row.get(key).and_then(Value::as_object);
        let pairs = map.into_iter().flatten();
        pairs
            .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
            .collect()
    };
    EpochReport {
        epoch: row.get("epoch").and_then(Value::as_u64).unwrap_or(0) as usize,
        epochs,
        train_loss: number("train_loss"),
        train_accuracy: row.get("train_accuracy").and_then(Value::as_f64),
        valid,
        test,
        learning_rate: number("learning_rate"),
        gradient_norm: number("gradient_norm"),
        gradient_norms: named("gradient_norms"),
        rates: named("spikes_per_neuron_per_second"),
        train_spikes: number("train_spikes_per_inference"),
        train_synaptic_operations: row.get(TRAIN_OPERATIONS).and_then(Value::as_f64),
        seconds: number("seconds"),
    }
}
