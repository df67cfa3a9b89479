//! Everything a resume needs: parameters, the optimiser's memory, the position in the plan and in the epoch
//! with the sums so far, the best so far, what was left out, and the program text, so that a changed program is refused. One
//! safetensors file: data, never code. Random numbers are functions of the plan's seed and the position
//! (`rheobase_data::rng`), so they have no state to keep.
//!
//! The numbers and the metadata are under a checksum: a file that is cut or has flipped bits is refused.

use std::collections::BTreeMap;
use std::path::Path;

use rheobase_ir::real::Real;
use rheobase_runtime::{Float, Parameters};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::atomic::replace;
use crate::damage::Damage;
use crate::epoch::{Counted, Sums};
use crate::error::TrainError;
use crate::learner::Learner;
use crate::optimizer::{Memory, Optimizer, Waiting};
use crate::watch::Watch;
use crate::weights::{METADATA, array, damaged, read, serialise};

/// Counters of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Position {
    /// Whole epochs done.
    pub(crate) epochs: usize,
    /// What was done of the next one.
    pub(crate) sums: Sums,
    /// The best score on validation samples ([`crate::Evaluation::score`]) and the epoch that reached it.
    pub(crate) best: Option<(f64, usize)>,
}

/// The version of the layout.
const VERSION: &str = "4";

/// What of a trainer a checkpoint brings back.
pub(crate) struct Kept<'a, R> {
    pub(crate) parameters: &'a mut Parameters<R>,
    pub(crate) optimizer: &'a mut Optimizer<R>,
    pub(crate) counted: &'a mut Counted,
    pub(crate) watch: &'a mut Watch,
    pub(crate) damage: &'a Damage,
}

/// Writes a checkpoint.
pub(crate) fn save<R: Float>(
    path: &Path,
    learner: &Learner<R>,
    position: &Position,
    program: &str,
) -> Result<(), TrainError> {
    let (parameters, optimizer) = (learner.parameters(), &learner.optimizer);
    let mut arrays = Vec::new();
    for ((spec, values), memory) in parameters
        .specs
        .iter()
        .zip(&parameters.values)
        .zip(&optimizer.memory)
    {
        // The inside layout: a checkpoint is for resuming only.
        let mut parts = vec![("value", values)];
        parts.extend(Memory::<R>::PARTS.into_iter().zip(memory.parts()));
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
        ("rheo".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("sums".to_string(), position.sums.to_json().to_string()),
        ("counted".to_string(), learner.counted.to_json().to_string()),
        ("watch".to_string(), learner.watch.to_json().to_string()),
        (
            "waiting_batches".to_string(),
            optimizer.waiting.batches.to_string(),
        ),
        (
            "waiting_samples".to_string(),
            optimizer.waiting.samples.to_string(),
        ),
    ]);
    if let Some((score, epoch)) = position.best {
        metadata.insert(
            "best_score".to_string(),
            format!("{:016x}", score.to_bits()),
        );
        metadata.insert("best_epoch".to_string(), epoch.to_string());
    }
    if let Some(left_out) = learner.samples.damage.to_json() {
        metadata.insert(LEFT_OUT.to_string(), left_out.to_string());
    }
    let sum = checksum(
        &metadata,
        arrays
            .iter()
            .map(|(name, _, values)| (name.as_str(), &values[..])),
    );
    metadata.insert(CHECKSUM.to_string(), sum);
    replace(path, &serialise(path, &arrays, &[], &metadata)?)
}

/// The samples that were left out; only in runs that leave damaged ones out.
const LEFT_OUT: &str = "left_out";

/// The name of the checksum in the metadata.
const CHECKSUM: &str = "checksum";

/// FNV-1a over names, bits of numbers and metadata; not against an adversary, but against damage. Arrays are
/// taken in the order of their names.
fn checksum<'a, R: Real>(
    metadata: &BTreeMap<String, String>,
    arrays: impl Iterator<Item = (&'a str, &'a [R])>,
) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |word: u64| hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    for (key, value) in metadata.iter().filter(|(key, _)| *key != CHECKSUM) {
        for byte in key.bytes().chain([0]).chain(value.bytes()).chain([0]) {
            take(u64::from(byte));
        }
    }
    let arrays: BTreeMap<&str, &[R]> = arrays.collect();
    for (name, values) in arrays {
        name.bytes().for_each(|byte| take(u64::from(byte)));
        values.iter().for_each(|v| take(v.bits()));
    }
    format!("{hash:016x}")
}

/// The metadata of a file; empty if it is not one of ours.
fn metadata(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, String>, TrainError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, &error))?;
    let entries = header.metadata().as_ref().and_then(|m| m.get(METADATA));
    let entries = entries.and_then(|json| serde_json::from_str(json).ok());
    Ok(entries.unwrap_or_default())
}

/// Whether this is surely the checkpoint of a run that has not taken a step.
pub(crate) fn is_untouched(path: &Path) -> bool {
    let metadata = read(path).and_then(|bytes| metadata(path, &bytes));
    metadata.is_ok_and(|found| found.get("updates").is_some_and(|updates| updates == "0"))
}

/// Whether the run of a checkpoint leaves out damaged samples; not if there is no such file.
pub fn skips_corrupted(path: &Path) -> bool {
    let metadata = read(path).and_then(|bytes| metadata(path, &bytes));
    metadata.is_ok_and(|found| found.contains_key(LEFT_OUT))
}

/// Reads a checkpoint into parameters and optimiser.
pub(crate) fn load<R: Float>(
    path: &Path,
    kept: Kept<'_, R>,
    program: &str,
) -> Result<Position, TrainError> {
    let Kept {
        parameters,
        optimizer,
        counted,
        watch,
        damage,
    } = kept;
    let mismatch = |reason: &str| TrainError::Mismatch {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    };
    let bytes = read(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(path, &error))?;
    let metadata = metadata(path, &bytes)?;
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
    let json = |key: &str| -> Option<Value> { serde_json::from_str(text(key)?).ok() };
    let (layers, all) = (counted.spikes.len(), counted.norms.len());
    let found = json("counted").and_then(|value| Counted::from_json(&value, layers, all));
    let sums = json("sums").and_then(|value| Sums::from_json(&value));
    let seen = json("watch").and_then(|value| Watch::from_json(&value));
    let waiting = number("waiting_batches").zip(number("waiting_samples"));
    let (Some(epochs), Some(updates), Some(sums), Some(found), Some(seen), Some(waiting)) = (
        number("epochs"),
        number("updates"),
        sums,
        found,
        seen,
        waiting,
    ) else {
        return Err(mismatch("it holds no position"));
    };
    let mut stored: BTreeMap<String, Vec<R>> = BTreeMap::new();
    for (name, tensor) in tensors.tensors() {
        let values = array(path, &name, &tensor)?;
        stored.insert(name, values.iter().map(|&v| R::from_f64(v)).collect());
    }
    let sum = checksum(
        &metadata,
        stored
            .iter()
            .map(|(name, values)| (name.as_str(), &values[..])),
    );
    if text(CHECKSUM) != Some(sum.as_str()) {
        return Err(damaged(path, &"its checksum is wrong"));
    }
    let read_part = |name: String, target: &mut Vec<R>| -> Result<(), TrainError> {
        let values = stored
            .get(&name)
            .ok_or_else(|| mismatch(&format!("it holds no `{name}`")))?;
        if values.len() != target.len() {
            return Err(mismatch(&format!(
                "`{name}` has {} values, expected {}",
                values.len(),
                target.len()
            )));
        }
        target.copy_from_slice(values);
        Ok(())
    };
    let all = parameters
        .specs
        .iter()
        .zip(&mut parameters.values)
        .zip(&mut optimizer.memory);
    for ((spec, values), memory) in all {
        let mut parts = vec![("value", values)];
        parts.extend(Memory::<R>::PARTS.into_iter().zip(memory.parts_mut()));
        for (part, target) in parts {
            if !target.is_empty() {
                read_part(format!("{}:{part}", spec.name), target)?;
            }
        }
    }
    if text(LEFT_OUT).is_some() {
        let left_out = json(LEFT_OUT).and_then(|value| damage.restore(&value));
        left_out.ok_or_else(|| mismatch("its list of damaged samples is none"))?;
    }
    optimizer.updates = updates;
    optimizer.waiting = Waiting {
        batches: waiting.0 as usize,
        samples: waiting.1 as usize,
    };
    *counted = found;
    *watch = seen;
    let score = text("best_score")
        .and_then(|t| u64::from_str_radix(t, 16).ok())
        .map(f64::from_bits);
    let best = score.zip(number("best_epoch").map(|e| e as usize));
    Ok(Position {
        epochs: epochs as usize,
        sums,
        best,
    })
}
