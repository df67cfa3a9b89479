//! Where samples come from and how they become input.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

/// Where samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// The 1,797 built-in 8×8 digits.
    Digits,
    /// Uniformly random spikes with random labels, for benchmarks; graded ones carry normal numbers.
    RandomSpikes {
        samples: usize,
        channels: usize,
        classes: usize,
        density: f64,
        graded: bool,
        seed: u64,
    },
    /// A task that is made, not recorded.
    Task(Task),
    /// A file or folder in one of the formats of the data crate.
    File {
        format: String,
        path: String,
        options: FileOptions,
    },
}

/// What a file does not say about itself; which of it a format takes is said in the language's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileOptions {
    /// The file of the labels.
    pub labels: Option<String>,
    /// Values are divided by this; 1 if it is not given.
    pub scale: Option<f64>,
    /// The second axis is time.
    pub time: bool,
    /// Rows and columns of the sensor.
    pub sensor: (usize, usize),
    /// The unit of the times in ms; 1 µs if it is not given.
    pub time_unit_ms: Option<f64>,
}

/// A task of the literature whose samples are made from a seed. Times are in ms, rates per ms.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Points of the Yin-Yang figure (Kriener et al. 2022).
    YinYang { samples: usize, seed: u64 },
    /// Smooth random manifolds of spike times (Zenke & Vogels 2021).
    Manifolds {
        samples: usize,
        classes: usize,
        channels: usize,
        dim: usize,
        smoothness: f64,
        seed: u64,
    },
    /// Frozen Poisson input with target spikes (Zenke & Ganguli 2018).
    SpikePatterns {
        samples: usize,
        channels: usize,
        units: usize,
        rate: f64,
        spikes: usize,
        regular: bool,
        seed: u64,
    },
    /// Two cues with a pause between them, and whether they differ.
    DelayedXor {
        samples: usize,
        channels: usize,
        cue_ms: f64,
        delay_ms: f64,
        rate: f64,
        background: f64,
        seed: u64,
    },
    /// A bit that is to be remembered until it is asked for (Bellec et al. 2018).
    StoreRecall {
        samples: usize,
        channels: usize,
        period_ms: f64,
        rate: f64,
        seed: u64,
    },
}

/// Where the samples of a split come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// This fraction of the training data, stratified by class, chosen by the seed.
    Holdout { fraction: f64, seed: u64 },
    /// This fraction of the groups (speakers) of the training data, whole groups, chosen by the seed.
    GroupHoldout { fraction: f64, seed: u64 },
    /// One of `of` stratified parts of the training data, numbered from 0, dealt by the seed.
    Fold { index: usize, of: usize, seed: u64 },
    /// Another data set.
    Dataset(Dataset),
}

/// How a raw sample becomes input events.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// One spike per pixel, earlier for brighter ones.
    Latency {
        tau_ms: f64,
        threshold: f64,
        linear: bool,
    },
    /// Bernoulli spikes with a rate proportional to the intensity.
    Rate { max_rate_per_ms: f64 },
    /// The intensity times a gain at every step.
    Constant { gain: f64 },
    /// One pixel after the other, as crossings of grey levels.
    OneByOne { levels: u32, hold: u32 },
    /// Tuned neurons with random spikes for each intensity.
    Population {
        neurons: u32,
        width: f64,
        max_rate_per_ms: f64,
    },
    /// A leaky integrate-and-fire neuron per pixel, driven by a constant current.
    CurrentLif { tau_ms: f64, gain: f64 },
    /// Rises and falls of graded input.
    Delta { threshold: f64 },
    /// Events counted per step, at most `clip`.
    BinSpikes(Binning),
    /// As many events in each step as in any other.
    BinEqualCounts(Binning),
}

/// How events are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binning {
    /// The largest count that is kept.
    pub clip: Option<u32>,
    /// Blocks of this many neighbouring channels are one input.
    pub downsample: u32,
    /// Both polarities are one input.
    pub merge_polarity: bool,
}

/// A random change of training samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Augment {
    /// Moves pictures by up to this many pixels.
    Shift { pixels: u32 },
    /// Mirrors left and right, or top and bottom, in one of two samples.
    Flip { vertical: bool },
    /// Keeps a square window of this side at a random place.
    Crop { size: u32 },
    /// Moves every event in time, with this standard deviation.
    Jitter { std_ms: f64 },
    /// Moves all events by the same number of channels, up to this one.
    ChannelShift { channels: u32 },
    /// Loses events or pixels with this probability.
    Drop { probability: f64 },
}
