//! The confusion matrix of an evaluation.

use rheobase_plot::{Heat, Scale};
use serde_json::Value;

/// From `evaluation.json`; `None` if it has no matrix.
pub(crate) fn confusion(evaluation: &Value) -> Option<Heat> {
    let rows = evaluation.get("confusion")?.as_array()?;
    let cells = rows
        .iter()
        .flat_map(|row| row.as_array().into_iter().flatten());
    let values: Vec<f64> = cells.filter_map(Value::as_f64).collect();
    let n = rows.len();
    let subset = evaluation.get("subset").and_then(Value::as_str);
    let accuracy = evaluation.get("accuracy").and_then(Value::as_f64)?;
    (values.len() == n * n && n > 0).then(|| Heat {
        title: format!(
            "Confusion on {} samples: {:.2} % are right",
            subset.unwrap_or("the"),
            100.0 * accuracy
        ),
        x: "prediction".to_string(),
        y: "label".to_string(),
        rows: n,
        columns: n,
        values,
        scale: Scale::Sequential,
        numbers: true,
        square: true,
    })
}
