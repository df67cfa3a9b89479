//! Everything a resume needs: parameters, the optimiser's memory, the position in the plan, the best so far,
//! and the program text, so that a changed program is refused. One safetensors file: data, never code.

use std::collections::BTreeMap;
use std::path::Path;

use rheobase_runtime::Parameters;
use safetensors::SafeTensors;

use crate::atomic::replace;
use crate::error::TrainError;
use crate::optimizer::{Memory, Optimizer};
use crate::weights::{METADATA, array, damaged, read, serialise};

/// Counters of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    /// Whole epochs done.
    pub(crate) epochs: usize,
    /// The best accuracy on validation samples and the epoch that reached it.
    pub(crate) best: Option<(f64, usize)>,
}

/// The version of the layout.
const VERSION: &str = "1";

/// Writes a checkpoint.
pub(crate) fn save(
    path: &Path,
    parameters: &Parameters<f32>,
    optimizer: &Optimizer,
    position: &Position,
    program: &str,
) -> Result<(), TrainError> {
    let mut arrays = Vec::new();
    for ((spec, values), memory) in parameters
        .specs
        .iter()
        .zip(&parameters.values)
        .zip(&optimizer.memory)
    {
        // The inside layout: a checkpoint is for resuming only.
        let parts = [
            ("value", values),
            ("raw", &memory.raw),
            ("first", &memory.first),
            ("second", &memory.second),
        ];
        for (part, values) in parts.into_iter().filter(|(_, v)| !v.is_empty()) {
            arrays.push((
                format!("{}:{part}", spec.name),
                vec![values.len()],
                values.clone(),
            ));
        }
    }
    let mut metadata = BTreeMap::from([
        ("format".to_string(), "rheobase checkpoint".to_string()),
        ("version".to_string(), VERSION.to_string()),
        ("program".to_string(), program.to_string()),
        ("epochs".to_string(), position.epochs.to_string()),
        ("updates".to_string(), optimizer.updates.to_string()),
    ]);
    if let Some((accuracy, epoch)) = position.best {
        metadata.insert(
            "best_accuracy".to_string(),
            format!("{:016x}", accuracy.to_bits()),
        );
        metadata.insert("best_epoch".to_string(), epoch.to_string());
    }
    replace(path, &serialise(path, &arrays, &metadata)?)
}

/// Reads a checkpoint into parameters and optimiser.
pub(crate) fn load(
    path: &Path,
    parameters: &mut Parameters<f32>,
    optimizer: &mut Optimizer,
    program: &str,
) -> Result<Position, TrainError> {
    let mismatch = |reason: &str| TrainError::Mismatch {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    };
    let bytes = read(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(path, &error))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(path, &error))?;
    let entries = header.metadata().as_ref().and_then(|m| m.get(METADATA));
    let metadata: BTreeMap<String, String> = entries
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let text = |key: &str| metadata.get(key).map(String::as_str);
    if text("format") != Some("rheobase checkpoint") || text("version") != Some(VERSION) {
        return Err(mismatch("it is not a checkpoint of this version of rheo"));
    }
    if text("program") != Some(program) {
        return Err(mismatch(
            "the program has changed since; resume with the text of its `config.snn`, or start anew",
        ));
    }
    let number = |key: &str| text(key).and_then(|t| t.parse::<u64>().ok());
    let (Some(epochs), Some(updates)) = (number("epochs"), number("updates")) else {
        return Err(mismatch("it holds no position"));
    };
    let read_part = |name: String, target: &mut Vec<f32>| -> Result<(), TrainError> {
        let tensor = tensors
            .tensor(&name)
            .map_err(|_| mismatch(&format!("it holds no `{name}`")))?;
        let values = array(path, &name, &tensor)?;
        if values.len() != target.len() {
            return Err(mismatch(&format!(
                "`{name}` has {} values, expected {}",
                values.len(),
                target.len()
            )));
        }
        target
            .iter_mut()
            .zip(&values)
            .for_each(|(t, &v)| *t = v as f32);
        Ok(())
    };
    let all = parameters
        .specs
        .iter()
        .zip(&mut parameters.values)
        .zip(&mut optimizer.memory);
    for ((spec, values), Memory { raw, first, second }) in all {
        for (part, target) in [
            ("value", values),
            ("raw", raw),
            ("first", first),
            ("second", second),
        ] {
            if !target.is_empty() {
                read_part(format!("{}:{part}", spec.name), target)?;
            }
        }
    }
    optimizer.updates = updates;
    let accuracy = text("best_accuracy")
        .and_then(|t| u64::from_str_radix(t, 16).ok())
        .map(f64::from_bits);
    let best = accuracy.zip(number("best_epoch").map(|e| e as usize));
    Ok(Position {
        epochs: epochs as usize,
        best,
    })
}
