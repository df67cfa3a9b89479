//! Weights as safetensors: one tensor for each parameter, by name, in its outside shape; for sparse
//! connections two more with their pairs.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use rheobase_ir::real::Real;
use rheobase_runtime::{ParameterSpec, Parameters, is_pattern};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::atomic::replace;
use crate::error::TrainError;

/// The name under which all metadata of a file stands, as JSON.
pub(crate) const METADATA: &str = "rheobase";

fn mismatch(path: &Path, reason: String) -> TrainError {
    TrainError::Mismatch {
        path: path.to_path_buf(),
        reason,
    }
}

/// Writes all parameters, in their precision.
///
/// # Errors
///
/// The file cannot be written; an old one stays as it was.
pub fn save<R: Real>(
    path: &Path,
    parameters: &Parameters<R>,
    program: &str,
) -> Result<(), TrainError> {
    let arrays: Vec<(String, Vec<usize>, Vec<R>)> = (0..parameters.specs.len())
        .map(|i| {
            let values = parameters
                .export(i)
                .iter()
                .map(|&v| R::from_f64(v))
                .collect();
            (
                parameters.specs[i].name.clone(),
                parameters.specs[i].shape.clone(),
                values,
            )
        })
        .collect();
    let metadata = [
        ("format".to_string(), "rheobase".to_string()),
        ("program".to_string(), program.to_string()),
    ];
    let specs = parameters.specs.iter();
    let patterns: Vec<(String, &[u32])> = specs.flat_map(ParameterSpec::pattern).collect();
    let bytes = serialise(path, &arrays, &patterns, &BTreeMap::from(metadata))?;
    replace(path, &bytes)
}

/// Tensors, vectors of indices and metadata as the bytes of a safetensors file.
pub(crate) fn serialise<R: Real>(
    path: &Path,
    arrays: &[(String, Vec<usize>, Vec<R>)],
    indices: &[(String, &[u32])],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, TrainError> {
    let (dtype, size) = match size_of::<R>() {
        4 => (Dtype::F32, 4),
        _ => (Dtype::F64, 8),
    };
    // Little-endian, so that the bytes of a shorter number come first.
    let of_number = |x: &R| x.bits().to_le_bytes().into_iter().take(size);
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|(_, _, v)| v.iter().flat_map(of_number).collect())
        .collect();
    let index_bytes: Vec<Vec<u8>> = indices
        .iter()
        .map(|(_, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let mut tensors = Vec::new();
    for ((name, numbers), bytes) in indices.iter().zip(&index_bytes) {
        let view = TensorView::new(Dtype::U32, vec![numbers.len()], bytes);
        tensors.push((
            name.clone(),
            view.map_err(|error| mismatch(path, error.to_string()))?,
        ));
    }
    for ((name, shape, _), bytes) in arrays.iter().zip(&bytes) {
        let view = TensorView::new(dtype, shape.clone(), bytes);
        tensors.push((
            name.clone(),
            view.map_err(|error| mismatch(path, error.to_string()))?,
        ));
    }
    // One entry, because the format's own map has no order and equal runs must give equal bytes.
    let entries: serde_json::Map<String, serde_json::Value> = metadata
        .iter()
        .map(|(k, v)| (k.clone(), v.clone().into()))
        .collect();
    let json = serde_json::Value::Object(entries).to_string();
    let header = [(METADATA.to_string(), json)].into_iter().collect();
    safetensors::serialize(tensors, Some(header)).map_err(|error| mismatch(path, error.to_string()))
}

/// Reads the tensors of a file, by name.
///
/// # Errors
///
/// The file cannot be read or is not safetensors of `f32`, `f64` or, for pairs, `u32`.
pub fn load(path: &Path) -> Result<BTreeMap<String, ArrayD<f64>>, TrainError> {
    let bytes = read(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(path, &error))?;
    let mut arrays = BTreeMap::new();
    for (name, tensor) in tensors.tensors() {
        arrays.insert(name.clone(), array(path, &name, &tensor)?);
    }
    Ok(arrays)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|error| TrainError::File {
        path: path.to_path_buf(),
        action: "read",
        reason: error.to_string(),
    })
}

pub(crate) fn damaged(path: &Path, error: &impl std::fmt::Display) -> TrainError {
    let reason = format!("it is not a whole safetensors file ({error})");
    TrainError::File {
        path: path.to_path_buf(),
        action: "read",
        reason,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not our enum: every other element type is refused"
)]
pub(crate) fn array(
    path: &Path,
    name: &str,
    tensor: &TensorView<'_>,
) -> Result<ArrayD<f64>, TrainError> {
    let (fours, eights) = (
        tensor.data().as_chunks::<4>().0,
        tensor.data().as_chunks::<8>().0,
    );
    let values: Vec<f64> = match tensor.dtype() {
        Dtype::F32 => fours
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        Dtype::U32 => fours
            .iter()
            .map(|b| f64::from(u32::from_le_bytes(*b)))
            .collect(),
        Dtype::F64 => eights.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        other => {
            return Err(mismatch(
                path,
                format!("`{name}` holds {other:?}, expected F32, F64 or U32"),
            ));
        }
    };
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), values)
        .map_err(|error| mismatch(path, format!("`{name}`: {error}")))
}

/// Sets parameters from arrays. Every name must be that of a parameter; with `all`, every parameter must be given.
///
/// # Errors
///
/// A name or a shape does not fit; the parameters may then be partly set.
pub fn apply<R: Real>(
    path: &Path,
    arrays: &BTreeMap<String, ArrayD<f64>>,
    parameters: &mut Parameters<R>,
    all: bool,
) -> Result<(), TrainError> {
    for (name, array) in arrays {
        let fits = is_pattern(&parameters.specs, name, array);
        if fits.map_err(|error| mismatch(path, error.to_string()))? {
            continue;
        }
        let index = parameters.position(name).ok_or_else(|| {
            let known: Vec<&str> = parameters.specs.iter().map(|s| s.name.as_str()).collect();
            mismatch(
                path,
                format!(
                    "there is no parameter `{name}`; there are {}",
                    known.join(", ")
                ),
            )
        })?;
        parameters
            .import(index, array)
            .map_err(|error| mismatch(path, error.to_string()))?;
    }
    let missing = parameters
        .specs
        .iter()
        .find(|s| all && !arrays.contains_key(&s.name));
    match missing {
        Some(spec) => Err(mismatch(path, format!("it holds no `{}`", spec.name))),
        None => Ok(()),
    }
}
