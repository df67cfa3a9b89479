//! Event recordings that were joined to frames before: `<folder>/<class>/*.npz`, each with the array `frames`.
//!
//! This is what SpikingJelly keeps beside the events (`frames_number_8_split_by_number` and the like): [time, polarity,
//! rows, columns] with the number of events as the value. A frame is a time step.

use crate::class_folders::{self, ClassFolders};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::npz;
use crate::spike_train::SpikeTrain;
use ndarray::{ArrayD, ArrayView2};
use std::path::Path;

/// A folder of frames; see [`frames`].
#[derive(Debug, Clone)]
pub struct Frames {
    card: Card,
    files: ClassFolders,
    /// Sides of one frame.
    sides: Vec<usize>,
}

/// The recordings in the sub-folders of `folder`, one sub-folder per class; the first file says the shape of all.
///
/// Samples are graded events in time steps on polarity · rows · columns channels, in this order. A sample's file is
/// read by `get`, which names it if it is damaged.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no `.npz` files in sub-folders or the first one has no
/// array `frames` of two or more dimensions.
pub fn frames(folder: &Path) -> Result<Frames, DataError> {
    let files = class_folders::list(folder, "npz", "NPZ frames")?;
    let first = &files.samples[0].0;
    let fail = |reason| DataError::Format {
        file: first.clone(),
        format: "NPZ frames",
        place: String::new(),
        reason,
        help: "give files with the array `frames` [time, polarity, rows, columns]".to_owned(),
    };
    let array = read(first)?.map_err(fail)?;
    let sides = array.shape()[1..].to_vec();
    let count = sides.iter().try_fold(1u32, |count, &side| {
        count.checked_mul(u32::try_from(side).ok()?)
    });
    let Some(channels @ 1..) = count else {
        return Err(fail(format!(
            "a frame of shape {sides:?} has no channels, or too many"
        )));
    };
    let shape = match *sides.as_slice() {
        // Each side is at most the number of channels, which is a u32.
        [planes, height, width] => Shape {
            planes: planes as u32,
            height: height as u32,
            width: width as u32,
        },
        _ => Shape::line(channels),
    };
    Ok(Frames {
        card: files.card(folder, shape),
        files,
        sides,
    })
}

/// The array `frames` of a file, or what is wrong with it.
fn read(path: &Path) -> Result<Result<ArrayD<f64>, String>, DataError> {
    let mut arrays = npz::read(path)?;
    let array = arrays
        .remove("frames")
        .ok_or("it has no array `frames`".to_owned());
    Ok(array.and_then(|array| match array.ndim() {
        0 | 1 => Err(format!("`frames` has {} dimensions", array.ndim())),
        _ => Ok(array),
    }))
}

impl Dataset for Frames {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.files.samples[i].1
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let path = &self.files.samples[i].0;
        let damaged = |reason| DataError::Sample {
            file: path.clone(),
            index: i as u64,
            reason,
            help: "write this file again, or remove it".to_owned(),
        };
        let array = read(path)?.map_err(damaged)?;
        if array.shape()[1..] != self.sides {
            let reason = format!(
                "frames of shape {:?}, not {:?}",
                &array.shape()[1..],
                self.sides
            );
            return Err(damaged(reason));
        }
        let values: Vec<f32> = array.iter().map(|&value| value as f32).collect();
        let shape = (array.shape()[0], self.n_channels() as usize);
        let dense =
            ArrayView2::from_shape(shape, &values).map_err(|error| damaged(error.to_string()))?;
        let train = SpikeTrain::from_dense(dense).map_err(|error| damaged(error.to_string()))?;
        Ok(Raw::Spikes(train))
    }
}
