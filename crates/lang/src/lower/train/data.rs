//! Data, splits, encoding, and the number of steps of a sample.

use super::{Call, One, Plan};
use crate::diag::{Code, Diagnostic};
use crate::lower::start;
use crate::model::builtin::FILE_FORMATS;
use rheobase_ir::program::{Dataset, Encoding, Split};

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
                seed: call.number("seed")?.unwrap_or(0.0) as u64,
            }),
            format if FILE_FORMATS.contains(&format) => Ok(Dataset::File {
                format: format.to_string(),
                path: call.text("path")?,
            }),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn split(&self, name: &str) -> One<Option<Split>> {
        let Some(call) = self.call(name)? else {
            return Ok(None);
        };
        if call.name != "holdout" {
            return self.dataset(&call).map(|data| Some(Split::Dataset(data)));
        }
        let fraction = call.needed("fraction")?;
        if !(fraction > 0.0 && fraction < 1.0) {
            let message = format!("a part of the data is between 0 and 1, not {fraction}");
            return Err(Box::new(Diagnostic::new(Code::E0704, call.span, message)));
        }
        Ok(Some(Split::Holdout {
            fraction,
            seed: call.number("seed")?.unwrap_or(0.0) as u64,
        }))
    }

    pub(super) fn encoding(&self, data: &Dataset) -> One<Encoding> {
        let Some(call) = self.call("encode")? else {
            return match data {
                Dataset::Digits => Err(self.wrong()),
                Dataset::RandomSpikes { .. } | Dataset::File { .. } => {
                    Ok(Encoding::BinSpikes { clip: None })
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
            "bin_spikes" => Ok(Encoding::BinSpikes {
                clip: call.number("clip")?.map(|n| n as u32),
            }),
            _ => Err(self.wrong()),
        }
    }
}
