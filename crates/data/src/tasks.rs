//! Tasks that are made rather than recorded: points, spike patterns and sequences with a label or a target over time.
//!
//! Each file is one task of the literature. A sample is a function of the task's settings and its index alone and is
//! made when it is asked for, so a set of any size takes no memory and a larger set begins with the same samples.
//! Settings are checked by the constructors; what they return cannot fail but for an index out of range.

mod delayed_xor;
mod manifolds;
mod spike_patterns;
mod store_recall;
mod yin_yang;

pub use delayed_xor::{DelayedXor, DelayedXorConfig, delayed_xor};
pub use manifolds::{Manifolds, ManifoldsConfig, manifolds};
pub use spike_patterns::{SpikePatterns, SpikePatternsConfig, spike_patterns};
pub use store_recall::{StoreRecall, StoreRecallConfig, store_recall};
pub use yin_yang::{YinYang, YinYangConfig, yin_yang};

use crate::error::DataError;
use crate::random_spikes::probability_to_u32_range;
use crate::rng::philox4x32;
use crate::spike_train::{Builder, SpikeTrain};

/// A refused setting, `TASK.SETTING`.
fn refuse<T>(setting: &'static str, reason: String, help: &str) -> Result<T, DataError> {
    Err(DataError::Setting {
        setting,
        reason,
        help: help.to_owned(),
    })
}

/// The probability of a spike in a step at a rate.
///
/// Errors: `DataError::Setting` for a rate that is negative, not finite, or more than one spike per step.
fn probability(setting: &'static str, rate_hz: f64, step_s: f64) -> Result<f64, DataError> {
    let p = rate_hz * step_s;
    if (0.0..=1.0 + 1e-9).contains(&p) {
        return Ok(p.min(1.0));
    }
    let reason = format!("{rate_hz} Hz asks for {p} spikes in a step of {step_s} s");
    let help = format!("give a rate from 0 to {} Hz", 1.0 / step_s);
    refuse(setting, reason, &help)
}

/// Refuses a sample of more possible events than positions in a spike train.
fn check_cells(setting: &'static str, steps: usize, channels: u64) -> Result<(), DataError> {
    let cells = (steps as u64).checked_mul(channels);
    if cells.is_some_and(|cells| cells < u64::from(u32::MAX)) {
        return Ok(());
    }
    let reason = format!("{steps} steps of {channels} channels are too many");
    refuse(setting, reason, "keep steps × channels below 2^32")
}

/// Independent spikes: channel c fires in step t with the probability that `of` gives for it.
///
/// The word for step t and channel c is word c mod 4 of the Philox block at counter [c / 4, t, 0, 0] under the key.
fn bernoulli(
    key: u64,
    steps: usize,
    channels: u32,
    of: impl Fn(usize, u32) -> f64,
) -> Result<SpikeTrain, DataError> {
    let mut builder = Builder::with_capacity(steps, 0, false);
    for step in 0..steps {
        for first in (0..channels).step_by(4) {
            let words = philox4x32(key, [first / 4, step as u32, (step as u64 >> 32) as u32, 0]);
            for (channel, word) in (first..channels).zip(words) {
                if u64::from(word) < probability_to_u32_range(of(step, channel)) {
                    builder.push(channel, 1.0);
                }
            }
        }
        builder.end_step();
    }
    builder.finish(channels)
}
