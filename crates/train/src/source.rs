//! The data set that a plan names: a built-in, a task that is made, or a file in one of the formats of the data crate.

use std::path::Path;
use std::sync::Arc;

use rheobase_data::{
    Dataset, DelayedXorConfig, DenseConfig, ManifoldsConfig, NpzEventsConfig, RandomSpikesConfig,
    SpikePatternsConfig, StoreRecallConfig, YinYangConfig, csv, delayed_xor, dense_npy, dense_npz,
    digits, dvs_gesture, frames, idx_images, manifolds, nmnist, npz_events, prophesee,
    random_spikes, shd, spike_patterns, store_recall, yin_yang,
};
use rheobase_ir::program::{Dataset as Source, FileOptions, Task};

use crate::error::TrainError;

/// The time steps of a sample: some data sets are made for them.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) count: usize,
    pub(crate) step_ms: f64,
}

/// Opens a data set. Relative paths start at `base`.
pub(crate) fn open(
    source: &Source,
    steps: Steps,
    base: &Path,
) -> Result<Arc<dyn Dataset>, TrainError> {
    Ok(match source {
        Source::Digits => Arc::new(digits()),
        Source::RandomSpikes {
            samples,
            channels,
            classes,
            density,
            graded,
            seed,
        } => Arc::new(random_spikes(RandomSpikesConfig {
            samples: *samples,
            channels: narrow(*channels),
            classes: narrow(*classes),
            steps: steps.count,
            density: *density,
            graded: *graded,
            seed: *seed,
        })?),
        Source::Task(task) => make(task, steps)?,
        Source::File {
            format,
            path,
            options,
        } => open_file(format, Path::new(path), options, base)?,
    })
}

/// A count that a data set takes; the data crate refuses the largest one as too many.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn make(task: &Task, steps: Steps) -> Result<Arc<dyn Dataset>, TrainError> {
    let whole = |ms: f64| (ms / steps.step_ms).round() as usize;
    let step_s = steps.step_ms * 1e-3;
    let steps = steps.count;
    Ok(match *task {
        Task::YinYang { samples, seed } => Arc::new(yin_yang(YinYangConfig { samples, seed })?),
        Task::Manifolds {
            samples,
            classes,
            channels,
            dim,
            smoothness,
            seed,
        } => Arc::new(manifolds(ManifoldsConfig {
            samples,
            classes: narrow(classes),
            channels: narrow(channels),
            dim: narrow(dim),
            smoothness,
            steps,
            seed,
        })?),
        Task::SpikePatterns {
            samples,
            channels,
            units,
            rate,
            spikes,
            regular,
            seed,
        } => Arc::new(spike_patterns(SpikePatternsConfig {
            samples,
            channels: narrow(channels),
            units: narrow(units),
            rate_hz: rate * 1e3,
            spikes: narrow(spikes),
            regular,
            steps,
            step_s,
            seed,
        })?),
        Task::DelayedXor {
            samples,
            channels,
            cue_ms,
            delay_ms,
            rate,
            background,
            seed,
        } => Arc::new(delayed_xor(DelayedXorConfig {
            samples,
            channels: narrow(channels),
            cue: whole(cue_ms),
            delay: whole(delay_ms),
            rate_hz: rate * 1e3,
            background_hz: background * 1e3,
            steps,
            step_s,
            seed,
        })?),
        Task::StoreRecall {
            samples,
            channels,
            period_ms,
            rate,
            seed,
        } => Arc::new(store_recall(StoreRecallConfig {
            samples,
            channels: narrow(channels),
            period: whole(period_ms),
            rate_hz: rate * 1e3,
            steps,
            step_s,
            seed,
        })?),
    })
}

/// Opens a file or folder of a format of the language's table. Relative paths start at `base`.
///
/// # Errors
///
/// It cannot be read, is not of the format, or there is no such format.
pub fn open_file(
    format: &str,
    path: &Path,
    options: &FileOptions,
    base: &Path,
) -> Result<Arc<dyn Dataset>, TrainError> {
    let path = &*base.join(path);
    let dense = DenseConfig {
        scale: options.scale.unwrap_or(1.0),
        time: options.time,
    };
    Ok(match format {
        // Both sets have one layout.
        "shd" | "ssc" => Arc::new(shd(path)?),
        "nmnist" => Arc::new(nmnist(path)?),
        "dvs_gesture" => Arc::new(dvs_gesture(path)?),
        "prophesee" => Arc::new(prophesee(path)?),
        "frames" => Arc::new(frames(path)?),
        "csv" => Arc::new(csv(path, dense.scale)?),
        "npz" => Arc::new(dense_npz(path, dense)?),
        "npy" => match &options.labels {
            Some(labels) => Arc::new(dense_npy(path, &base.join(labels), dense)?),
            None => return Err(TrainError::Plan("`npy` needs `labels`".into())),
        },
        "npz_events" => Arc::new(npz_events(
            path,
            NpzEventsConfig {
                height: narrow(options.sensor.0),
                width: narrow(options.sensor.1),
                time_unit_s: options.time_unit_ms.unwrap_or(1e-3) * 1e-3,
            },
        )?),
        "idx" | "mnist" => {
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            let labels = path.with_file_name(name.replace("images-idx3", "labels-idx1"));
            Arc::new(idx_images(path, &labels)?)
        }
        other => {
            return Err(TrainError::Plan(format!(
                "no reader for data of format `{other}`"
            )));
        }
    })
}
