//! The confusion matrix of an evaluation.

use rheobase_plot::{Heat, Names, Scale};
use serde_json::Value;

/// The names of the classes; their numbers if the data set has no names.
fn class_names(evaluation: &Value) -> Names {
    let names = evaluation.get("class_names").and_then(Value::as_array);
    let names: Option<Vec<String>> = names.map(|names| {
        let words = names.iter().filter_map(Value::as_str);
        words.map(str::to_string).collect()
    });
    names.map_or(Names::Numbers, Names::Words)
}

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
        names: class_names(evaluation),
    })
}
