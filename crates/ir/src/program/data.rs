//! Where samples come from and how they become input.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

/// Where samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// The 1,797 built-in 8×8 digits.
    Digits,
    /// Uniformly random spikes with random labels, for benchmarks.
    RandomSpikes {
        samples: usize,
        channels: usize,
        classes: usize,
        density: f64,
        seed: u64,
    },
    /// A file or folder in one of the formats of the data crate.
    File { format: String, path: String },
}

/// Where the samples of a split come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// This fraction of the training data, stratified by class, chosen by the seed.
    Holdout { fraction: f64, seed: u64 },
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
    /// Events counted per step, at most `clip`.
    BinSpikes { clip: Option<u32> },
}
