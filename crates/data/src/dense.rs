//! Arrays of all samples: an NPZ archive with values and labels, or two NPY files.
//!
//! The first axis of the values is the sample. What follows is a picture, [pixels], [rows, columns] or [rows, columns,
//! colours]; or, if the caller says so, time and then channels. An NPZ archive is read whole (it is compressed); of an
//! NPY file only the sample that is asked for, so that a set larger than the memory can be used.

use crate::csv::check_scale;
use crate::dataset::{Dataset, Raw};
use crate::element::Element;
use crate::error::DataError;
use crate::npy;
use crate::npz;
use crate::spike_train::SpikeTrain;
use ndarray::{ArrayD, ArrayView2};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What the files do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseConfig {
    /// Values are divided by this (255 for bytes).
    pub scale: f64,
    /// Whether the second axis is time; otherwise samples are pictures with intensities in 0..=1.
    pub time: bool,
}

/// Samples in one array; see [`dense_npz`] and [`dense_npy`].
#[derive(Debug, Clone)]
pub struct Dense {
    name: String,
    path: PathBuf,
    store: Store,
    /// Sides of one sample.
    sides: Vec<usize>,
    channels: u32,
    labels: Vec<u32>,
    n_classes: u32,
    config: DenseConfig,
}

#[derive(Debug, Clone)]
enum Store {
    Memory(Vec<f32>),
    /// The elements begin at this byte of the file.
    File {
        start: u64,
        element: Element,
    },
}

/// The archive at `path`: the labels are its array `y`, `label`, `labels`, `target` or `targets`, the values its one
/// other array of two or more dimensions whose first one is as long.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no such arrays, or more than one of values;
/// `DataError::Setting` for a scale that is not positive.
pub fn dense_npz(path: &Path, config: DenseConfig) -> Result<Dense, DataError> {
    let mut arrays = npz::read(path)?;
    let fail = |reason| format_error(path, "NPZ", reason);
    let is_label = |name: &&str| ["y", "label", "labels", "target", "targets"].contains(name);
    let names: Vec<String> = arrays.keys().cloned().collect();
    let label = names.iter().map(String::as_str).find(is_label);
    let label = label.and_then(|name| arrays.remove(name));
    let label =
        label.ok_or_else(|| fail(format!("no array `labels`; found: {}", names.join(", "))))?;
    let n = label.len();
    arrays.retain(|_, array| array.ndim() >= 2 && array.shape()[0] == n);
    let candidates: Vec<String> = arrays.keys().cloned().collect();
    let (Some((_, values)), None) = (arrays.pop_first(), arrays.pop_first()) else {
        let found = if candidates.is_empty() {
            "none".to_owned()
        } else {
            candidates.join(", ")
        };
        return Err(fail(format!(
            "one array of {n} samples is needed; found: {found}"
        )));
    };
    let sides = values.shape()[1..].to_vec();
    let values = values.iter().map(|&value| value as f32).collect();
    Dense::new(path, "NPZ", Store::Memory(values), sides, &label, config)
}

/// The values in the NPY file `values`, the labels in the NPY file `labels`.
///
/// Errors: `DataError::Io`; `DataError::Format` if a file is no NPY file of numbers in C order, is cut off or too long,
/// or the two differ in their number of samples; `DataError::Setting` for a scale that is not positive.
pub fn dense_npy(values: &Path, labels: &Path, config: DenseConfig) -> Result<Dense, DataError> {
    let (mut file, header, element) = open(labels)?;
    let label = npy::read_elements(&header, element, &mut file);
    let label = label.map_err(|reason| format_error(labels, "NPY", reason))?;
    let (mut file, header, element) = open(values)?;
    let fail = |reason| Err(format_error(values, "NPY", reason));
    let io = |error: std::io::Error| DataError::io(values, "read", &error);
    let [n, sides @ ..] = header.shape.as_slice() else {
        return fail("it is one number".to_owned());
    };
    if header.fortran_order && !sides.is_empty() {
        return fail("its order is Fortran's; store it in C order".to_owned());
    }
    if *n != label.len() {
        return fail(format!("it has {n} samples for {} labels", label.len()));
    }
    let start = file.stream_position().map_err(io)?;
    let length = file.get_ref().metadata().map_err(io)?.len();
    let count = header
        .shape
        .iter()
        .try_fold(element.size(), |count, &side| count.checked_mul(side));
    if count.and_then(|bytes| start.checked_add(bytes as u64)) != Some(length) {
        return fail(format!(
            "its {length} bytes are not the header and {:?} elements",
            header.shape
        ));
    }
    let sides = sides.to_vec();
    Dense::new(
        values,
        "NPY",
        Store::File { start, element },
        sides,
        &label,
        config,
    )
}

fn open(path: &Path) -> Result<(BufReader<File>, npy::Header, Element), DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, "read", &error))?;
    let mut reader = BufReader::new(file);
    let header =
        npy::read_header(&mut reader).map_err(|reason| format_error(path, "NPY", reason))?;
    let element = header.element();
    let element = element.ok_or_else(|| {
        format_error(
            path,
            "NPY",
            format!("its elements have type {}, no number", header.descr),
        )
    })?;
    Ok((reader, header, element))
}

impl Dense {
    fn new(
        path: &Path,
        format: &'static str,
        store: Store,
        sides: Vec<usize>,
        labels: &ArrayD<f64>,
        config: DenseConfig,
    ) -> Result<Dense, DataError> {
        check_scale(config.scale)?;
        let allowed = if config.time { 2..=usize::MAX } else { 1..=3 };
        let channel_sides = if config.time {
            sides.get(1..).unwrap_or(&[])
        } else {
            &sides
        };
        let count = channel_sides.iter().try_fold(1u32, |count, &side| {
            count.checked_mul(u32::try_from(side).ok()?)
        });
        let (true, Some(channels @ 1..)) = (allowed.contains(&sides.len()), count) else {
            let what = if config.time {
                "steps and channels"
            } else {
                "a picture"
            };
            return Err(format_error(
                path,
                format,
                format!("a sample of shape {sides:?} is not {what}"),
            ));
        };
        let mut numbers = Vec::with_capacity(labels.len());
        for (at, &label) in labels.iter().enumerate() {
            if !(0.0..1e9).contains(&label) || label.fract() != 0.0 {
                return Err(format_error(
                    path,
                    format,
                    format!("label {label} of sample {at} is no class"),
                ));
            }
            numbers.push(label as u32);
        }
        Ok(Dense {
            name: path.display().to_string(),
            path: path.to_path_buf(),
            store,
            sides,
            channels,
            n_classes: numbers.iter().max().map_or(0, |&max| max + 1),
            labels: numbers,
            config,
        })
    }

    /// The values of sample `i`, divided by the scale.
    fn values(&self, i: usize) -> Result<Vec<f32>, DataError> {
        let size: usize = self.sides.iter().product();
        let scale = self.config.scale as f32;
        match &self.store {
            Store::Memory(all) => {
                let values = all[i * size..(i + 1) * size].iter();
                Ok(values.map(|value| value / scale).collect())
            }
            Store::File { start, element } => {
                let io = |error| DataError::io(&self.path, "read", &error);
                let mut file = File::open(&self.path).map_err(io)?;
                let mut bytes = vec![0; size * element.size()];
                let at = start + i as u64 * bytes.len() as u64;
                file.seek(SeekFrom::Start(at)).map_err(io)?;
                file.read_exact(&mut bytes).map_err(io)?;
                Ok(element
                    .values(&bytes)
                    .map(|value| value as f32 / scale)
                    .collect())
            }
        }
    }
}

impl Dataset for Dense {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn n_classes(&self) -> u32 {
        self.n_classes
    }

    fn n_channels(&self) -> u32 {
        self.channels
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(&self.name, i, self.len())?;
        let values = self.values(i)?;
        let damaged = |reason: String, help: &str| DataError::Sample {
            file: self.path.clone(),
            index: i as u64,
            reason,
            help: help.to_owned(),
        };
        if self.config.time {
            let shape = (self.sides[0], self.channels as usize);
            let dense = ArrayView2::from_shape(shape, &values);
            let train = dense
                .map_err(|error| error.to_string())
                .and_then(|dense| SpikeTrain::from_dense(dense).map_err(|error| error.to_string()));
            return train
                .map(Raw::Spikes)
                .map_err(|reason| damaged(reason, "correct the array"));
        }
        if let Some(value) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            let reason = format!("an intensity of {value} is not in 0 to 1");
            return Err(damaged(
                reason,
                "give `scale`, the largest value, or correct the array",
            ));
        }
        let side = |at: usize| self.sides.get(at).map_or(1, |&side| side as u32);
        let (height, width, channels) = match self.sides.len() {
            1 => (1, side(0), 1),
            _ => (side(0), side(1), side(2)),
        };
        Ok(Raw::Image {
            pixels: values,
            height,
            width,
            channels,
        })
    }
}

fn format_error(file: &Path, format: &'static str, reason: String) -> DataError {
    DataError::Format {
        file: file.to_path_buf(),
        format,
        place: String::new(),
        reason,
        help: "give an array whose first axis is the sample, and one label for each".to_owned(),
    }
}
