//! Arrays of all samples: an NPZ archive with values and labels, or two NPY files.
//!
//! The first axis of the values is the sample. What follows is a picture, [pixels], [rows, columns] or [rows, columns,
//! colours]; or, if the caller says so, time and then channels. Only the sample that is asked for is read, so a set
//! larger than the memory can be used; a compressed array is unpacked once, into a temporary file (`store.rs`). Arrays
//! in Fortran's order, where the values of a sample are not beside each other, are read whole from an archive and
//! refused as files.

use crate::csv::check_scale;
use crate::dataset::{Card, Dataset, Raw};
use crate::element::Element;
use crate::error::DataError;
use crate::layout::Shape;
use crate::npy::{self, Header};
use crate::npz::{Archive, Entry};
use crate::spike_train::SpikeTrain;
use crate::store::Store;
use ndarray::{ArrayD, ArrayView2};
use std::io::BufReader;
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
#[derive(Debug)]
pub struct Dense {
    card: Card,
    path: PathBuf,
    values: Values,
    /// Sides of one sample.
    sides: Vec<usize>,
    labels: Vec<u32>,
    config: DenseConfig,
}

/// Where the values are.
#[derive(Debug)]
enum Values {
    Memory(Vec<f32>),
    /// The elements begin at this byte.
    Stored {
        store: Store,
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
    let Archive {
        mut file, arrays, ..
    } = Archive::open(path)?;
    let fail = |reason| format_error(path, "NPZ", reason);
    let is_label = |name: &str| ["y", "label", "labels", "target", "targets"].contains(&name);
    let (labels, others): (Vec<Entry>, Vec<Entry>) =
        arrays.into_iter().partition(|array| is_label(&array.name));
    let Some(label) = labels.first() else {
        let names: Vec<&str> = others.iter().map(|array| array.name.as_str()).collect();
        let found = names.join(", ");
        return Err(fail(format!("no array `labels`; found: {found}")));
    };
    let label = file.read(label)?;
    let n = label.len();
    let holds_samples =
        |array: &&Entry| array.header.shape.len() >= 2 && array.header.shape[0] == n;
    let candidates: Vec<&Entry> = others.iter().filter(holds_samples).collect();
    let [values] = candidates[..] else {
        let names: Vec<&str> = candidates.iter().map(|array| array.name.as_str()).collect();
        let found = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Err(fail(format!(
            "one array of {n} samples is needed; found: {found}"
        )));
    };
    let Header {
        shape,
        fortran_order,
        ..
    } = &values.header;
    let sides = shape[1..].to_vec();
    let values = if *fortran_order {
        let whole = file.read(values)?;
        Values::Memory(whole.iter().map(|&value| value as f32).collect())
    } else {
        let (store, start) = file.place(values)?;
        Values::Stored {
            store,
            start,
            element: values.element,
        }
    };
    Dense::new(path, "NPZ", values, sides, &label, config)
}

/// The values in the NPY file `values`, the labels in the NPY file `labels`.
///
/// Errors: `DataError::Io`; `DataError::Format` if a file is no NPY file of numbers in C order, is cut off or too long,
/// or the two differ in their number of samples; `DataError::Setting` for a scale that is not positive.
pub fn dense_npy(values: &Path, labels: &Path, config: DenseConfig) -> Result<Dense, DataError> {
    let (store, header, element) = open(labels)?;
    let elements = BufReader::new(store.stream(header.bytes));
    let label = npy::read_elements(&header, element, elements);
    let label = label.map_err(|reason| format_error(labels, "NPY", reason))?;
    let (store, header, element) = open(values)?;
    let fail = |reason| Err(format_error(values, "NPY", reason));
    let [n, sides @ ..] = header.shape.as_slice() else {
        return fail("it is one number".to_owned());
    };
    if header.fortran_order && !sides.is_empty() {
        return fail("its order is Fortran's; store it in C order".to_owned());
    }
    if *n != label.len() {
        return fail(format!("it has {n} samples for {} labels", label.len()));
    }
    let start = header.bytes;
    let end = header
        .size(element)
        .and_then(|size| size.checked_add(start));
    if end != Some(store.len()) {
        return fail(format!(
            "its {} bytes are not the header and {:?} elements",
            store.len(),
            header.shape
        ));
    }
    let sides = sides.to_vec();
    let values_of = Values::Stored {
        store,
        start,
        element,
    };
    Dense::new(values, "NPY", values_of, sides, &label, config)
}

/// An NPY file with its header.
fn open(path: &Path) -> Result<(Store, Header, Element), DataError> {
    let store = Store::open(path)?;
    let fail = |reason| format_error(path, "NPY", reason);
    let header = npy::read_header(&mut BufReader::new(store.stream(0))).map_err(fail)?;
    let element = header.element();
    let element = element.ok_or_else(|| {
        fail(format!(
            "its elements have type {}, no number",
            header.descr
        ))
    })?;
    Ok((store, header, element))
}

impl Dense {
    fn new(
        path: &Path,
        format: &'static str,
        values: Values,
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
        let name = path.display().to_string();
        Ok(Dense {
            card: Card::of_labels(name, &numbers, Shape::line(channels)),
            path: path.to_path_buf(),
            values,
            sides,
            labels: numbers,
            config,
        })
    }

    /// The values of sample `i`, divided by the scale.
    fn values(&self, i: usize) -> Result<Vec<f32>, DataError> {
        let size: usize = self.sides.iter().product();
        let scale = self.config.scale as f32;
        match &self.values {
            Values::Memory(all) => {
                let values = all[i * size..(i + 1) * size].iter();
                Ok(values.map(|value| value / scale).collect())
            }
            Values::Stored {
                store,
                start,
                element,
            } => {
                let size = size as u64 * element.size() as u64;
                let bytes = store.read_sample(start + i as u64 * size, size)?;
                Ok(element
                    .values(&bytes)
                    .map(|value| value as f32 / scale)
                    .collect())
            }
        }
    }
}

impl Dataset for Dense {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let values = self.values(i)?;
        let damaged = |reason: String, help: &str| DataError::Sample {
            file: self.path.clone(),
            index: i as u64,
            reason,
            help: help.to_owned(),
        };
        if self.config.time {
            let shape = (self.sides[0], self.n_channels() as usize);
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
