//! Data, splits, encoding, and the number of steps of a sample.

use super::{Call, One, Plan};
use crate::diag::{Code, Diagnostic};
use crate::lower::start;
use crate::model::builtin::FILE_FORMATS;
use rheobase_ir::program::{Augment, Binning, Dataset, Encoding, FileOptions, Split, Task};

impl Plan<'_> {
    pub(super) fn steps(&self, step_ms: f64) -> One<usize> {
        let expr = self
            .number_setting("duration")?
            .ok_or_else(|| self.wrong())?;
        let steps = start::steps(&self.env, expr, step_ms)?;
        if steps == 0 {
            let message = "a sample must be at least one step long";
            return Err(Box::new(Diagnostic::new(Code::E0703, expr.span, message)));
        }
        Ok(steps as usize)
    }

    pub(super) fn dataset(&self, call: &Call<'_>) -> One<Dataset> {
        match call.name {
            "digits" => Ok(Dataset::Digits),
            "random_spikes" => Ok(Dataset::RandomSpikes {
                samples: call.needed("samples")? as usize,
                channels: call.needed("channels")? as usize,
                classes: call.needed("classes")? as usize,
                density: call.needed("density")?,
                graded: call.flag("graded")?.unwrap_or(false),
                seed: call.number("seed")?.unwrap_or(0.0) as u64,
            }),
            format if FILE_FORMATS.contains(&format) => Ok(Dataset::File {
                format: format.to_string(),
                path: call.text("path")?,
                options: file_options(call)?,
            }),
            _ => self.task(call).map(Dataset::Task),
        }
    }

    fn task(&self, call: &Call<'_>) -> One<Task> {
        let count = |name: &str| Ok::<_, Box<Diagnostic>>(call.needed(name)? as usize);
        let or = |name: &str, default: f64| {
            Ok::<_, Box<Diagnostic>>(call.number(name)?.unwrap_or(default))
        };
        let seed = or("seed", 0.0)? as u64;
        Ok(match call.name {
            "yin_yang" => Task::YinYang {
                samples: count("samples")?,
                seed,
            },
            "manifolds" => Task::Manifolds {
                samples: count("samples")?,
                classes: count("classes")?,
                channels: count("channels")?,
                dim: or("dim", 1.0)? as usize,
                smoothness: or("smoothness", 1.0)?,
                seed,
            },
            "spike_patterns" => Task::SpikePatterns {
                samples: or("samples", 1.0)? as usize,
                channels: count("channels")?,
                units: count("units")?,
                rate: or("rate", 0.01)?,
                spikes: count("spikes")?,
                regular: call.flag("regular")?.unwrap_or(false),
                seed,
            },
            "delayed_xor" => Task::DelayedXor {
                samples: count("samples")?,
                channels: count("channels")?,
                cue_ms: call.needed("cue")?,
                delay_ms: call.needed("delay")?,
                rate: or("rate", 0.1)?,
                background: or("background", 0.0)?,
                seed,
            },
            "store_recall" => Task::StoreRecall {
                samples: count("samples")?,
                channels: count("channels")?,
                period_ms: call.needed("period")?,
                rate: or("rate", 0.05)?,
                seed,
            },
            _ => return Err(self.wrong()),
        })
    }

    pub(super) fn split(&self, name: &str) -> One<Option<Split>> {
        let Some(call) = self.call(name)? else {
            return Ok(None);
        };
        let seed = call.number("seed")?.unwrap_or(0.0) as u64;
        Ok(Some(match call.name {
            "holdout" => Split::Holdout {
                fraction: call.needed("fraction")?,
                seed,
            },
            "group_holdout" => Split::GroupHoldout {
                fraction: call.needed("fraction")?,
                seed,
            },
            "fold" => self.fold(&call, seed)?,
            _ => Split::Dataset(self.dataset(&call)?),
        }))
    }

    fn fold(&self, call: &Call<'_>, seed: u64) -> One<Split> {
        let (index, of) = (call.needed("index")? as usize, call.needed("of")? as usize);
        if index >= of {
            let message = format!(
                "there is no fold {index}: the {of} folds are 0 to {}",
                of - 1
            );
            return Err(Box::new(Diagnostic::new(Code::E0704, call.span, message)));
        }
        Ok(Split::Fold { index, of, seed })
    }

    pub(super) fn encoding(&self, data: &Dataset, step_ms: f64) -> One<Encoding> {
        let Some(call) = self.call("encode")? else {
            return match data {
                Dataset::Digits => Err(self.wrong()),
                Dataset::Task(Task::YinYang { .. }) => Err(self.wrong()),
                Dataset::RandomSpikes { .. } | Dataset::Task(_) | Dataset::File { .. } => {
                    Ok(Encoding::BinSpikes(Binning {
                        clip: None,
                        downsample: 1,
                        merge_polarity: false,
                    }))
                }
            };
        };
        match call.name {
            "latency" => Ok(Encoding::Latency {
                tau_ms: call.number("tau")?.unwrap_or(20.0),
                threshold: call.number("threshold")?.unwrap_or(0.2),
                linear: call.flag("linear")?.unwrap_or(false),
            }),
            "rate" => Ok(Encoding::Rate {
                max_rate_per_ms: call.number("max_rate")?.unwrap_or(0.1),
            }),
            "constant" => Ok(Encoding::Constant {
                gain: call.number("gain")?.unwrap_or(1.0),
            }),
            "one_by_one" => Ok(Encoding::OneByOne {
                levels: call.needed("levels")? as u32,
                hold: match call.number("hold")? {
                    Some(ms) => (ms / step_ms).round().max(1.0) as u32,
                    None => 1,
                },
            }),
            "population" => Ok(Encoding::Population {
                neurons: call.needed("neurons")? as u32,
                width: call.number("width")?.unwrap_or(0.2),
                max_rate_per_ms: call.number("max_rate")?.unwrap_or(0.1),
            }),
            "current_lif" => Ok(Encoding::CurrentLif {
                tau_ms: call.number("tau")?.unwrap_or(10.0),
                gain: call.number("gain")?.unwrap_or(2.0),
            }),
            "delta" => Ok(Encoding::Delta {
                threshold: call.needed("threshold")?,
            }),
            "bin_spikes" => Ok(Encoding::BinSpikes(binning(&call)?)),
            "bin_equal_counts" => Ok(Encoding::BinEqualCounts(binning(&call)?)),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn augment(&self) -> One<Vec<Augment>> {
        let one = |call: Call<'_>| {
            Ok(match call.name {
                "shift" => Augment::Shift {
                    pixels: call.needed("pixels")? as u32,
                },
                "flip" => Augment::Flip {
                    vertical: call.flag("vertical")?.unwrap_or(false),
                },
                "crop" => Augment::Crop {
                    size: call.needed("size")? as u32,
                },
                "jitter" => Augment::Jitter {
                    std_ms: call.needed("std")?,
                },
                "channel_shift" => Augment::ChannelShift {
                    channels: call.needed("channels")? as u32,
                },
                "drop" => Augment::Drop {
                    probability: call.needed("probability")?,
                },
                _ => return Err(self.wrong()),
            })
        };
        self.calls("augment")?.into_iter().map(one).collect()
    }
}

fn binning(call: &Call<'_>) -> One<Binning> {
    Ok(Binning {
        clip: call.number("clip")?.map(|n| n as u32),
        downsample: call.number("downsample")?.unwrap_or(1.0) as u32,
        merge_polarity: call.flag("merge_polarity")?.unwrap_or(false),
    })
}

/// What the format of a file takes beside its path.
fn file_options(call: &Call<'_>) -> One<FileOptions> {
    let takes = |name: &str| call.slots.iter().any(|slot| slot.name == name);
    let mut options = FileOptions::default();
    if takes("labels") {
        options.labels = Some(call.text("labels")?);
    }
    if takes("scale") {
        options.scale = call.number("scale")?;
    }
    if takes("time") {
        options.time = call.flag("time")?.unwrap_or(false);
    }
    if takes("height") {
        let side = |name: &str| Ok::<_, Box<Diagnostic>>(call.needed(name)? as usize);
        options.sensor = (side("height")?, side("width")?);
        options.time_unit_ms = call.number("time_unit")?;
    }
    Ok(options)
}
