//! From a raw sample to events in time steps.
//!
//! An encoder is a plain value; encoding is a pure function of the encoder, the sample, the step and an
//! [`EncodeKey`]. Step k covers the time [k·step, (k+1)·step); a time within 10⁻⁹ steps below a boundary counts as the
//! boundary, so that 3 ms is step 3 of 1 ms whatever the division rounds to.
//!
//! The sample is checked here (its sizes, its intensities), so the encoders in `encoder/` see good input only. Samples
//! that are in time steps already ([`Raw::Spikes`]) pass through `BinSpikes` alone.

mod binning;
mod image;
mod sequence;

use crate::dataset::Raw;
use crate::error::DataError;
use crate::spike_train::SpikeTrain;
use std::path::PathBuf;

/// How samples become events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoder {
    /// One spike per pixel, the earlier the brighter. With intensity x, threshold θ and time constant τ:
    /// linear t = τ·(1 − x), log t = τ·ln(x / (x − θ)); the spike is in the step that contains t. There is none if
    /// x ≤ θ or if t is not before the end of the sample.
    ///
    /// Log is the time at which a leaky integrator with time constant τ, driven by the constant x from rest, reaches θ
    /// (Zenke & Ganguli 2018, SpyTorch's tutorials; the log code of snnTorch and SpikingJelly without their
    /// rescaling to the number of steps).
    Latency {
        /// τ in milliseconds, above 0. In linear mode it is the time of the faintest possible spike.
        tau_ms: f64,
        /// θ, an intensity in 0..1; above 0 in log mode.
        threshold: f64,
        /// Linear or log.
        mode: LatencyMode,
    },
    /// In each step, independently, a spike with probability x · `max_rate_hz` · step (Bernoulli; resolution 2⁻³²).
    Rate {
        /// Expected spikes per second of a pixel of intensity 1, at most 1 / step.
        max_rate_hz: f64,
    },
    /// In every step an event of value `gain` · x for each pixel of x > 0: a constant current.
    Constant {
        /// Value of a pixel of intensity 1.
        gain: f64,
    },
    /// One pixel after the other; see `encoder/sequence.rs`. Channels: `levels` + 1.
    OneByOne {
        /// Thresholds on the grey value, at least 1.
        levels: u32,
        /// Steps for which a pixel is shown, at least 1.
        hold: u32,
    },
    /// Tuned neurons with random spikes for each intensity. Channels: pixels · `neurons`.
    Population {
        /// Neurons per intensity, at least 2.
        neurons: u32,
        /// Standard deviation of a receptive field, in units of the intensity.
        width: f64,
        /// Expected spikes per second at the centre of a field, at most 1 / step.
        max_rate_hz: f64,
    },
    /// A leaky integrate-and-fire neuron per pixel, driven by a constant current.
    CurrentLif {
        /// Membrane time constant in ms.
        tau_ms: f64,
        /// Current of a pixel of intensity 1; above 1 it fires.
        gain: f64,
    },
    /// Rises and falls of graded input. Channels: twice those of the data.
    Delta {
        /// The smallest change that is a spike, above 0.
        threshold: f64,
    },
    /// Events in equal numbers per step, in the order of their times: step k has the events from ⌊k·n/steps⌋ on.
    BinEqualCounts {
        /// Largest value kept; `None` keeps every count.
        clip: Option<u32>,
    },
    /// Events to time steps. The events of a channel in a step become one event whose value is their number. Events
    /// before 0, after the end, or at a time that is not a number are dropped; `encode_counted` says how many.
    BinSpikes {
        /// Largest value kept (`Some(1)`: binary spikes without values); `None` keeps every count.
        clip: Option<u32>,
    },
}

/// The relation between intensity and time of `Encoder::Latency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyMode {
    /// t = τ·(1 − x)
    Linear,
    /// t = τ·ln(x / (x − θ))
    Log,
}

/// What the random numbers of one encoding depend on, besides step and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch: another epoch, other spikes.
    pub epoch: u64,
    /// Index of the sample in its data set; also named in errors.
    pub sample: u64,
}

/// A spike train and what did not fit into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The events inside the duration.
    pub train: SpikeTrain,
    /// Number of events outside the duration.
    pub dropped: usize,
}

impl Encoder {
    /// Encodes one sample into `steps` steps of `step_s` seconds.
    ///
    /// Errors: `DataError::Setting` for a setting or step without meaning, or an encoder that does not fit the kind of
    /// sample; `DataError::Sample` for a sample with intensities outside 0..=1, a channel out of range, or lengths that
    /// do not agree.
    pub fn encode(
        &self,
        raw: &Raw,
        steps: usize,
        step_s: f64,
        key: EncodeKey,
    ) -> Result<SpikeTrain, DataError> {
        Ok(self.encode_counted(raw, steps, step_s, key)?.train)
    }

    /// `encode`, and the number of events that were dropped because they lie outside the duration.
    pub fn encode_counted(
        &self,
        raw: &Raw,
        steps: usize,
        step_s: f64,
        key: EncodeKey,
    ) -> Result<Encoded, DataError> {
        self.check(step_s)?;
        if u32::try_from(steps).is_err() {
            return fail(
                "duration",
                format!("{steps} steps are too many"),
                "use fewer than 2^32 steps",
            );
        }
        let grid = Grid { steps, step_s };
        match raw {
            Raw::Image {
                pixels,
                height,
                width,
                channels,
            } => {
                check_image(pixels, [*height, *width, *channels], steps, key)?;
                let train = self.encode_image(pixels, grid, key)?;
                Ok(Encoded { train, dropped: 0 })
            }
            Raw::Events {
                time_s,
                channel,
                n_channels,
            } => {
                let clip = self.clip_for("events in continuous time")?;
                check_events(time_s, channel, *n_channels, key)?;
                if let Encoder::BinEqualCounts { .. } = self {
                    return binning::bin_equal_counts(time_s, channel, *n_channels, grid, clip);
                }
                binning::bin_events(time_s, channel, *n_channels, grid, clip)
            }
            Raw::Spikes(train) => {
                if let Encoder::Delta { threshold } = *self {
                    let train = sequence::delta(train, steps, threshold, key)?;
                    return Ok(Encoded { train, dropped: 0 });
                }
                if let Encoder::BinEqualCounts { .. } = self {
                    let help = "use `bin_spikes`";
                    return fail(
                        "encode",
                        "`bin_equal_counts` needs events in continuous time".to_owned(),
                        help,
                    );
                }
                let clip = self.clip_for("spikes in time steps")?;
                binning::fit_steps(train, steps, clip)
            }
        }
    }

    /// Checks the settings alone, as a program can before it reads any sample.
    ///
    /// Errors: `DataError::Setting`.
    pub fn check(&self, step_s: f64) -> Result<(), DataError> {
        if !is_positive(step_s) {
            return fail(
                "step",
                format!("{step_s} s is not a time step"),
                "give a positive time",
            );
        }
        match *self {
            Encoder::Latency {
                tau_ms,
                threshold,
                mode,
            } => check_latency(tau_ms, threshold, mode),
            Encoder::Rate { max_rate_hz } => check_rate(max_rate_hz, step_s),
            Encoder::Constant { gain } if !(gain as f32).is_finite() => fail(
                "constant.gain",
                format!("{gain} is not a usable number"),
                "give a finite number",
            ),
            Encoder::BinSpikes { clip: Some(0) } | Encoder::BinEqualCounts { clip: Some(0) } => {
                let help = "give 1 or more, or leave it out";
                fail("bin_spikes.clip", "0 leaves no spike".to_owned(), help)
            }
            Encoder::OneByOne { levels, hold }
                if levels == 0 || levels == u32::MAX || hold == 0 =>
            {
                fail(
                    "one_by_one.levels",
                    format!("{levels} levels, each pixel for {hold} steps"),
                    "give at least one of each",
                )
            }
            Encoder::Population {
                neurons,
                width,
                max_rate_hz,
            } => {
                if neurons < 2 || !is_positive(width) {
                    let reason = format!("{neurons} neurons with fields of width {width}");
                    return fail(
                        "population.neurons",
                        reason,
                        "give 2 or more, and a positive width",
                    );
                }
                check_rate(max_rate_hz, step_s)
            }
            Encoder::CurrentLif { tau_ms, gain } if !is_positive(tau_ms) || !gain.is_finite() => {
                fail(
                    "current_lif.tau",
                    format!("a time constant of {tau_ms} ms and a gain of {gain}"),
                    "give a positive time and a finite number",
                )
            }
            Encoder::Delta { threshold } if !is_positive(threshold) => fail(
                "delta.threshold",
                format!("{threshold} is not above 0"),
                "give a positive number",
            ),
            Encoder::Constant { .. }
            | Encoder::BinSpikes { .. }
            | Encoder::BinEqualCounts { .. }
            | Encoder::OneByOne { .. }
            | Encoder::CurrentLif { .. }
            | Encoder::Delta { .. } => Ok(()),
        }
    }

    /// The number of channels of what it makes from samples of `channels` channels.
    pub fn channels(&self, channels: u32) -> u32 {
        match *self {
            Encoder::OneByOne { levels, .. } => levels.saturating_add(1),
            Encoder::Population { neurons, .. } => channels.saturating_mul(neurons),
            Encoder::Delta { .. } => channels.saturating_mul(2),
            Encoder::Latency { .. }
            | Encoder::Rate { .. }
            | Encoder::Constant { .. }
            | Encoder::CurrentLif { .. }
            | Encoder::BinSpikes { .. }
            | Encoder::BinEqualCounts { .. } => channels,
        }
    }

    /// Whether two epochs can differ.
    pub fn is_random(&self) -> bool {
        matches!(self, Encoder::Rate { .. } | Encoder::Population { .. })
    }

    /// The name that programs and messages use.
    pub fn name(&self) -> &'static str {
        match self {
            Encoder::Latency { .. } => "latency",
            Encoder::Rate { .. } => "rate",
            Encoder::Constant { .. } => "constant",
            Encoder::OneByOne { .. } => "one_by_one",
            Encoder::Population { .. } => "population",
            Encoder::CurrentLif { .. } => "current_lif",
            Encoder::Delta { .. } => "delta",
            Encoder::BinEqualCounts { .. } => "bin_equal_counts",
            Encoder::BinSpikes { .. } => "bin_spikes",
        }
    }

    fn encode_image(
        &self,
        pixels: &[f32],
        grid: Grid,
        key: EncodeKey,
    ) -> Result<SpikeTrain, DataError> {
        match *self {
            Encoder::Latency {
                tau_ms,
                threshold,
                mode,
            } => {
                let tau_s = tau_ms * 1e-3;
                image::latency(pixels, grid, |x| {
                    let time_s = match mode {
                        LatencyMode::Linear => tau_s * (1.0 - x),
                        LatencyMode::Log => tau_s * (x / (x - threshold)).ln(),
                    };
                    (x > threshold).then_some(time_s)
                })
            }
            Encoder::Rate { max_rate_hz } => {
                image::rate(pixels, grid.steps, max_rate_hz * grid.step_s, key)
            }
            Encoder::Constant { gain } => image::constant(pixels, grid.steps, gain),
            Encoder::OneByOne { levels, hold } => {
                sequence::one_by_one(pixels, grid.steps, levels, hold)
            }
            Encoder::Population {
                neurons,
                width,
                max_rate_hz,
            } => {
                let p = max_rate_hz * grid.step_s;
                sequence::population(pixels, grid.steps, neurons, width, p, key)
            }
            Encoder::CurrentLif { tau_ms, gain } => {
                sequence::current_lif(pixels, grid, tau_ms, gain)
            }
            Encoder::BinSpikes { .. } | Encoder::BinEqualCounts { .. } | Encoder::Delta { .. } => {
                fail(
                    "encode",
                    format!(
                        "`{}` needs events, but the samples are pictures",
                        self.name()
                    ),
                    "use `latency`, `rate` or `constant`",
                )
            }
        }
    }

    /// The clip of `BinSpikes`; an error for the encoders of pictures.
    fn clip_for(&self, kind: &str) -> Result<Option<u32>, DataError> {
        match *self {
            Encoder::BinSpikes { clip } | Encoder::BinEqualCounts { clip } => Ok(clip),
            Encoder::Delta { .. } => fail(
                "encode",
                format!("`delta` needs graded input in time steps, but the samples are {kind}"),
                "use `bin_spikes`",
            ),
            Encoder::Latency { .. }
            | Encoder::Rate { .. }
            | Encoder::Constant { .. }
            | Encoder::OneByOne { .. }
            | Encoder::Population { .. }
            | Encoder::CurrentLif { .. } => fail(
                "encode",
                format!(
                    "`{}` needs pictures, but the samples are {kind}",
                    self.name()
                ),
                "use `bin_spikes`",
            ),
        }
    }
}

/// The time steps of a sample.
#[derive(Debug, Clone, Copy)]
struct Grid {
    steps: usize,
    step_s: f64,
}

impl Grid {
    /// The step that contains a time in seconds; `None` outside the sample and for NaN.
    fn step_of(self, time_s: f64) -> Option<usize> {
        let position = (time_s / self.step_s + 1e-9).floor();
        // A float is compared with the number of steps before the cast: casts saturate, and NaN fails both tests.
        (position >= 0.0 && position < self.steps as f64).then_some(position as usize)
    }
}

fn fail<T>(setting: &'static str, reason: String, help: &str) -> Result<T, DataError> {
    Err(DataError::Setting {
        setting,
        reason,
        help: help.to_owned(),
    })
}

fn is_positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn check_latency(tau_ms: f64, threshold: f64, mode: LatencyMode) -> Result<(), DataError> {
    if !is_positive(tau_ms) {
        return fail(
            "latency.tau",
            format!("{tau_ms} ms is not a time"),
            "give a positive time",
        );
    }
    let is_above = match mode {
        LatencyMode::Linear => threshold >= 0.0,
        LatencyMode::Log => threshold > 0.0,
    };
    if !is_above || threshold >= 1.0 {
        let reason = format!("{threshold} is not between 0 and 1, the range of the intensities");
        let help = "give a number such as 0.1 (log mode needs more than 0)";
        return fail("latency.threshold", reason, help);
    }
    Ok(())
}

fn check_rate(max_rate_hz: f64, step_s: f64) -> Result<(), DataError> {
    if !max_rate_hz.is_finite() || max_rate_hz < 0.0 {
        let reason = format!("{max_rate_hz} Hz is not a rate");
        return fail("rate.max_rate", reason, "give 0 Hz or more");
    }
    let p = max_rate_hz * step_s;
    // A rate of exactly one spike per step must not fail by rounding.
    if p > 1.0 + 1e-9 {
        let reason = format!("{max_rate_hz} Hz asks for {p} spikes in a step of {step_s} s");
        let help = format!("give at most {} Hz, or make the step shorter", 1.0 / step_s);
        return fail("rate.max_rate", reason, &help);
    }
    Ok(())
}

fn bad_sample(key: EncodeKey, reason: String, help: &str) -> DataError {
    // The encoder does not know the data set; `DataError::in_dataset` adds its name where it is known.
    DataError::Sample {
        file: PathBuf::new(),
        index: key.sample,
        reason,
        help: help.to_owned(),
    }
}

fn check_image(
    pixels: &[f32],
    shape: [u32; 3],
    steps: usize,
    key: EncodeKey,
) -> Result<(), DataError> {
    let expected = shape
        .iter()
        .try_fold(1u64, |product, &side| product.checked_mul(u64::from(side)));
    let [height, width, channels] = shape;
    if expected != Some(pixels.len() as u64) {
        let reason = format!(
            "{} pixels for a picture of {height} × {width} × {channels}",
            pixels.len()
        );
        return Err(bad_sample(
            key,
            reason,
            "make the shape agree with the pixels",
        ));
    }
    if let Some(at) = pixels.iter().position(|pixel| !(0.0..=1.0).contains(pixel)) {
        let reason = format!("pixel {at} has the intensity {}", pixels[at]);
        return Err(bad_sample(key, reason, "scale intensities to 0..1"));
    }
    // Every picture encoder makes at most one event per pixel and step.
    let cells = (steps as u64).checked_mul(pixels.len() as u64);
    if cells.is_none_or(|cells| cells >= u64::from(u32::MAX)) {
        let reason = format!("{steps} steps of {} pixels are too many", pixels.len());
        return Err(bad_sample(key, reason, "keep steps × pixels below 2^32"));
    }
    Ok(())
}

fn check_events(
    time_s: &[f64],
    channel: &[u32],
    n_channels: u32,
    key: EncodeKey,
) -> Result<(), DataError> {
    if time_s.len() != channel.len() {
        let reason = format!(
            "{} times for {} channels of events",
            time_s.len(),
            channel.len()
        );
        return Err(bad_sample(
            key,
            reason,
            "give each event one time and one channel",
        ));
    }
    if let Some(at) = channel.iter().position(|&channel| channel >= n_channels) {
        let reason = format!("event {at} is on channel {} of {n_channels}", channel[at]);
        return Err(bad_sample(
            key,
            reason,
            "check the number of channels of the data set",
        ));
    }
    Ok(())
}
