//! Event recordings in NPZ files: `<folder>/<class>/*.npz`, each with the arrays t, x, y and p.
//!
//! This is the form in which SpikingJelly keeps every event data set (`activation_based` data sets, `events_np`).
//! Neither the size of the sensor nor the unit of t is in the files, so the caller gives them. Files are read when a
//! sample is asked for.

use crate::class_folders::{self, ClassFolders};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::npz;
use std::path::Path;

/// What the files do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NpzEventsConfig {
    /// Rows of the sensor.
    pub height: u32,
    /// Columns of the sensor.
    pub width: u32,
    /// Seconds per unit of t (10⁻⁶ for the usual microseconds).
    pub time_unit_s: f64,
}

/// A folder of NPZ event files; see [`npz_events`].
#[derive(Debug, Clone)]
pub struct NpzEvents {
    card: Card,
    files: ClassFolders,
    config: NpzEventsConfig,
}

/// The recordings in the sub-folders of `folder`, one sub-folder per class.
///
/// Samples are events on 2 · height · width channels: channel = (p · height + y) · width + x. A sample's file is read
/// by `get`, which names it if it is damaged.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no `.npz` files in sub-folders; `DataError::Setting` if
/// the sensor has no pixels or too many, or the unit is not a positive time.
pub fn npz_events(folder: &Path, config: NpzEventsConfig) -> Result<NpzEvents, DataError> {
    let fail = |setting, reason, help: &str| {
        Err(DataError::Setting {
            setting,
            reason,
            help: help.to_owned(),
        })
    };
    let pixels = config
        .height
        .checked_mul(config.width)
        .and_then(|pixels| pixels.checked_mul(2));
    if pixels.is_none_or(|pixels| pixels == 0) {
        let reason = format!("a sensor of {} × {} pixels", config.height, config.width);
        return fail(
            "npz_events.height",
            reason,
            "give the height and width of the sensor",
        );
    }
    if !(config.time_unit_s.is_finite() && config.time_unit_s > 0.0) {
        let reason = format!("{} s is not a unit of time", config.time_unit_s);
        return fail(
            "npz_events.time_unit",
            reason,
            "give 1 us if the times are in microseconds",
        );
    }
    let files = class_folders::list(folder, "npz", "NPZ events")?;
    let shape = Shape {
        planes: 2,
        height: config.height,
        width: config.width,
    };
    Ok(NpzEvents {
        card: files.card(folder, shape),
        files,
        config,
    })
}

impl Dataset for NpzEvents {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.files.samples[i].1
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let path = &self.files.samples[i].0;
        let arrays = npz::read(path)?;
        let damaged = |reason| DataError::Sample {
            file: path.clone(),
            index: i as u64,
            reason,
            help: "give files with the arrays t, x, y, p of equal length".to_owned(),
        };
        let column = |name: &str| {
            let array = arrays
                .get(name)
                .ok_or_else(|| damaged(format!("no array `{name}`")))?;
            let list = array.as_slice().filter(|_| array.ndim() == 1);
            list.ok_or_else(|| {
                damaged(format!(
                    "the array `{name}` has {} dimensions, not 1",
                    array.ndim()
                ))
            })
        };
        let (t, x, y, p) = (column("t")?, column("x")?, column("y")?, column("p")?);
        let lengths = [t.len(), x.len(), y.len(), p.len()];
        if lengths.iter().any(|&length| length != lengths[0]) {
            return Err(damaged(format!("t, x, y, p have {lengths:?} elements")));
        }
        let NpzEventsConfig {
            height,
            width,
            time_unit_s,
        } = self.config;
        let mut channel = Vec::with_capacity(t.len());
        for (at, ((&x, &y), &p)) in x.iter().zip(y).zip(p).enumerate() {
            let cell = (below(p, 2), below(y, height), below(x, width));
            let (Some(p), Some(y), Some(x)) = cell else {
                return Err(damaged(format!(
                    "event {at} has x = {x}, y = {y}, p = {p} on a {height} × {width} sensor"
                )));
            };
            channel.push((p * height + y) * width + x);
        }
        let time_s = t.iter().map(|&time| time * time_unit_s).collect();
        Ok(Raw::Events {
            time_s,
            channel,
            n_channels: self.n_channels(),
        })
    }
}

/// `value` if it is a whole number in 0..n.
fn below(value: f64, n: u32) -> Option<u32> {
    (value >= 0.0 && value < f64::from(n) && value.fract() == 0.0).then_some(value as u32)
}
