//! The settings of a training plan and the values that they can have.

use super::{Slot, Takes, may, need};

/// A value that a setting of a training plan can have: `adam(lr = 1e-3)`.
#[derive(Debug, PartialEq)]
pub struct Choice {
    /// The settings it can be the value of.
    pub settings: &'static [&'static str],
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub slots: &'static [Slot],
}

const LR: Slot = need("lr", Takes::Plain);
const DECAY: Slot = may("weight_decay", Takes::Plain);

const ADAM: &[Slot] = &[
    LR,
    may("betas", Takes::Numbers),
    may("eps", Takes::Plain),
    DECAY,
];

/// The optimiser of all parameters, and those of parameters of one kind.
const OPTIMIZERS: &[&str] = &[
    "optimizer",
    "optimizer_weights",
    "optimizer_biases",
    "optimizer_neurons",
    "optimizer_delays",
];

/// Readers of files, with the name that the data crate knows them by.
pub const FILE_FORMATS: &[&str] = &[
    "shd",
    "ssc",
    "nmnist",
    "dvs_gesture",
    "prophesee",
    "mnist",
    "idx",
    "csv",
    "npy",
    "npz",
    "npz_events",
    "frames",
];

const HELD_OUT: &[&str] = &["valid", "test"];
const ENCODE: &[&str] = &["encode"];
const AUGMENT: &[&str] = &["augment"];
const SCHEDULE: &[&str] = &["schedule"];
const CLIP: &[&str] = &["clip"];

const HOLDOUT: &[Slot] = &[need("fraction", Takes::Plain), may("seed", Takes::Plain)];
const BINNING: &[Slot] = &[
    may("clip", Takes::Whole),
    may("downsample", Takes::Whole),
    may("merge_polarity", Takes::Flag),
];
const FILE: &[Slot] = &[need("path", Takes::Text)];
const DATA: &[&str] = &["data", "valid", "test"];

const fn choice(
    settings: &'static [&'static str],
    name: &'static str,
    slots: &'static [Slot],
) -> Choice {
    Choice {
        settings,
        name,
        slots,
    }
}

const fn file(name: &'static str) -> Choice {
    choice(DATA, name, FILE)
}

/// Every choice of every setting.
pub const CHOICES: &[Choice] = &[
    choice(DATA, "digits", &[]),
    choice(
        DATA,
        "random_spikes",
        &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("classes", Takes::Whole),
            need("density", Takes::Plain),
            may("seed", Takes::Plain),
            may("graded", Takes::Flag),
        ],
    ),
    choice(
        DATA,
        "yin_yang",
        &[need("samples", Takes::Whole), may("seed", Takes::Plain)],
    ),
    choice(
        DATA,
        "manifolds",
        &[
            need("samples", Takes::Whole),
            need("classes", Takes::Whole),
            need("channels", Takes::Whole),
            may("dim", Takes::Whole),
            may("smoothness", Takes::Plain),
            may("seed", Takes::Plain),
        ],
    ),
    choice(
        DATA,
        "spike_patterns",
        &[
            need("channels", Takes::Whole),
            need("units", Takes::Whole),
            need("spikes", Takes::Whole),
            may("rate", Takes::Rate),
            may("regular", Takes::Flag),
            may("samples", Takes::Whole),
            may("seed", Takes::Plain),
        ],
    ),
    choice(
        DATA,
        "delayed_xor",
        &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("cue", Takes::Time),
            need("delay", Takes::Time),
            may("rate", Takes::Rate),
            may("background", Takes::Rate),
            may("seed", Takes::Plain),
        ],
    ),
    choice(
        DATA,
        "store_recall",
        &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("period", Takes::Time),
            may("rate", Takes::Rate),
            may("seed", Takes::Plain),
        ],
    ),
    file("shd"),
    file("ssc"),
    file("nmnist"),
    file("dvs_gesture"),
    file("prophesee"),
    file("mnist"),
    file("idx"),
    file("frames"),
    choice(
        DATA,
        "csv",
        &[need("path", Takes::Text), may("scale", Takes::Plain)],
    ),
    choice(
        DATA,
        "npy",
        &[
            need("path", Takes::Text),
            need("labels", Takes::Text),
            may("scale", Takes::Plain),
            may("time", Takes::Flag),
        ],
    ),
    choice(
        DATA,
        "npz",
        &[
            need("path", Takes::Text),
            may("scale", Takes::Plain),
            may("time", Takes::Flag),
        ],
    ),
    choice(
        DATA,
        "npz_events",
        &[
            need("path", Takes::Text),
            need("height", Takes::Whole),
            need("width", Takes::Whole),
            may("time_unit", Takes::Time),
        ],
    ),
    choice(HELD_OUT, "holdout", HOLDOUT),
    choice(HELD_OUT, "group_holdout", HOLDOUT),
    choice(
        HELD_OUT,
        "fold",
        &[
            need("index", Takes::Plain),
            need("of", Takes::Whole),
            may("seed", Takes::Plain),
        ],
    ),
    choice(
        ENCODE,
        "latency",
        &[
            may("tau", Takes::Time),
            may("threshold", Takes::Plain),
            may("linear", Takes::Flag),
        ],
    ),
    choice(ENCODE, "rate", &[may("max_rate", Takes::Rate)]),
    choice(ENCODE, "constant", &[may("gain", Takes::Plain)]),
    choice(
        ENCODE,
        "one_by_one",
        &[need("levels", Takes::Whole), may("hold", Takes::Time)],
    ),
    choice(
        ENCODE,
        "population",
        &[
            need("neurons", Takes::Whole),
            may("width", Takes::Plain),
            may("max_rate", Takes::Rate),
        ],
    ),
    choice(
        ENCODE,
        "current_lif",
        &[may("tau", Takes::Time), may("gain", Takes::Plain)],
    ),
    choice(ENCODE, "delta", &[need("threshold", Takes::Plain)]),
    choice(ENCODE, "bin_spikes", BINNING),
    choice(ENCODE, "bin_equal_counts", BINNING),
    choice(AUGMENT, "shift", &[need("pixels", Takes::Whole)]),
    choice(AUGMENT, "crop", &[need("size", Takes::Whole)]),
    choice(AUGMENT, "flip", &[may("vertical", Takes::Flag)]),
    choice(AUGMENT, "jitter", &[need("std", Takes::Time)]),
    choice(AUGMENT, "channel_shift", &[need("channels", Takes::Whole)]),
    choice(AUGMENT, "drop", &[need("probability", Takes::Plain)]),
    choice(
        OPTIMIZERS,
        "sgd",
        &[
            LR,
            may("momentum", Takes::Plain),
            may("nesterov", Takes::Flag),
            DECAY,
        ],
    ),
    choice(OPTIMIZERS, "adam", ADAM),
    choice(OPTIMIZERS, "adamw", ADAM),
    choice(OPTIMIZERS, "adamax", ADAM),
    choice(
        OPTIMIZERS,
        "rmsprop",
        &[
            LR,
            may("alpha", Takes::Plain),
            may("eps", Takes::Plain),
            may("momentum", Takes::Plain),
            DECAY,
        ],
    ),
    choice(
        OPTIMIZERS,
        "rmaxprop",
        &[
            LR,
            may("gamma", Takes::Plain),
            may("eps", Takes::Plain),
            DECAY,
        ],
    ),
    choice(
        OPTIMIZERS,
        "lion",
        &[LR, may("betas", Takes::Numbers), DECAY],
    ),
    choice(SCHEDULE, "constant", &[]),
    choice(
        SCHEDULE,
        "step",
        &[need("every", Takes::Whole), need("factor", Takes::Plain)],
    ),
    choice(SCHEDULE, "exponential", &[need("factor", Takes::Plain)]),
    choice(
        SCHEDULE,
        "cosine",
        &[may("warmup", Takes::Plain), may("floor", Takes::Plain)],
    ),
    choice(SCHEDULE, "one_cycle", &[may("rise", Takes::Plain)]),
    choice(
        SCHEDULE,
        "plateau",
        &[
            may("factor", Takes::Plain),
            may("patience", Takes::Whole),
            may("floor", Takes::Plain),
        ],
    ),
    choice(&["average"], "ema", &[may("decay", Takes::Plain)]),
    choice(&["stop"], "early", &[need("patience", Takes::Whole)]),
    choice(CLIP, "grad_norm", &[need("max", Takes::Plain)]),
    choice(CLIP, "grad_value", &[need("max", Takes::Plain)]),
    choice(
        &["gradient"],
        "bptt",
        &[
            may("truncate", Takes::Whole),
            may("checkpoint", Takes::WholeOr(&["auto", "none"])),
            may("tape", Takes::Word(&["whole", "bf16"])),
        ],
    ),
];

impl Choice {
    /// The choice of a name for a setting.
    pub fn find(setting: &str, name: &str) -> Option<&'static Choice> {
        CHOICES
            .iter()
            .find(|c| c.name == name && c.settings.contains(&setting))
    }

    /// The names of all choices for a setting.
    pub fn names(setting: &str) -> Vec<&'static str> {
        CHOICES
            .iter()
            .filter(|c| c.settings.contains(&setting))
            .map(|c| c.name)
            .collect()
    }
}

/// The functions of losses with their parameters and whether these are needed.
pub const LOSS_FUNCTIONS: &[(&str, &[(&str, bool)])] = &[
    (
        "cross_entropy",
        &[
            ("logits", true),
            ("target", true),
            ("smoothing", false),
            ("weights", false),
        ],
    ),
    ("mse", &[("value", true), ("target", true)]),
    (
        "van_rossum",
        &[
            ("spikes", true),
            ("target", true),
            ("decay", true),
            ("rise", false),
        ],
    ),
    ("one_hot", &[("label", true), ("on", false), ("off", false)]),
    ("max_over_time", &[("trace", true)]),
    ("sum_over_time", &[("trace", true)]),
    ("mean_over_time", &[("trace", true)]),
    ("last_step", &[("trace", true)]),
    ("every_step", &[("trace", true)]),
    ("spike_count", &[("layer", true)]),
    ("rate", &[("layer", true)]),
    ("first_spike", &[("layer", true)]),
    (
        "filtered",
        &[("trace", true), ("decay", true), ("rise", false)],
    ),
    ("mean", &[("value", true)]),
    ("sum", &[("value", true)]),
    ("mean_over_batch", &[("value", true)]),
    ("weights", &[("into", false), ("from", false)]),
];

/// The settings of a training plan; the first [`REQUIRED_SETTINGS`] must be given.
pub const SETTINGS: &[&str] = &[
    "data",
    "duration",
    "loss",
    "optimizer",
    "epochs",
    "encode",
    "augment",
    "valid",
    "test",
    "penalty",
    "predict",
    "optimizer_weights",
    "optimizer_biases",
    "optimizer_neurons",
    "optimizer_delays",
    "schedule",
    "clip",
    "average",
    "stop",
    "batch",
    "accumulate",
    "seed",
    "gradient",
    "precision",
];

/// How many of [`SETTINGS`] must be given.
pub const REQUIRED_SETTINGS: usize = 5;
