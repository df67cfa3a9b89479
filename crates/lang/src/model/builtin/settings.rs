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

const HOLDOUT: &[Slot] = &[need("fraction", Takes::Plain), may("seed", Takes::Plain)];
const BINNING: &[Slot] = &[
    may("clip", Takes::Whole),
    may("downsample", Takes::Whole),
    may("merge_polarity", Takes::Flag),
];
const FILE: &[Slot] = &[need("path", Takes::Text)];
const DATA: &[&str] = &["data", "valid", "test"];

const fn file(name: &'static str) -> Choice {
    Choice {
        settings: DATA,
        name,
        slots: FILE,
    }
}

/// Every choice of every setting.
pub const CHOICES: &[Choice] = &[
    Choice {
        settings: DATA,
        name: "digits",
        slots: &[],
    },
    Choice {
        settings: DATA,
        name: "random_spikes",
        slots: &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("classes", Takes::Whole),
            need("density", Takes::Plain),
            may("seed", Takes::Plain),
            may("graded", Takes::Flag),
        ],
    },
    Choice {
        settings: DATA,
        name: "yin_yang",
        slots: &[need("samples", Takes::Whole), may("seed", Takes::Plain)],
    },
    Choice {
        settings: DATA,
        name: "manifolds",
        slots: &[
            need("samples", Takes::Whole),
            need("classes", Takes::Whole),
            need("channels", Takes::Whole),
            may("dim", Takes::Whole),
            may("smoothness", Takes::Plain),
            may("seed", Takes::Plain),
        ],
    },
    Choice {
        settings: DATA,
        name: "spike_patterns",
        slots: &[
            need("channels", Takes::Whole),
            need("units", Takes::Whole),
            need("spikes", Takes::Whole),
            may("rate", Takes::Rate),
            may("regular", Takes::Flag),
            may("samples", Takes::Whole),
            may("seed", Takes::Plain),
        ],
    },
    Choice {
        settings: DATA,
        name: "delayed_xor",
        slots: &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("cue", Takes::Time),
            need("delay", Takes::Time),
            may("rate", Takes::Rate),
            may("background", Takes::Rate),
            may("seed", Takes::Plain),
        ],
    },
    Choice {
        settings: DATA,
        name: "store_recall",
        slots: &[
            need("samples", Takes::Whole),
            need("channels", Takes::Whole),
            need("period", Takes::Time),
            may("rate", Takes::Rate),
            may("seed", Takes::Plain),
        ],
    },
    file("shd"),
    file("ssc"),
    file("nmnist"),
    file("dvs_gesture"),
    file("prophesee"),
    file("mnist"),
    file("idx"),
    file("frames"),
    Choice {
        settings: DATA,
        name: "csv",
        slots: &[need("path", Takes::Text), may("scale", Takes::Plain)],
    },
    Choice {
        settings: DATA,
        name: "npy",
        slots: &[
            need("path", Takes::Text),
            need("labels", Takes::Text),
            may("scale", Takes::Plain),
            may("time", Takes::Flag),
        ],
    },
    Choice {
        settings: DATA,
        name: "npz",
        slots: &[
            need("path", Takes::Text),
            may("scale", Takes::Plain),
            may("time", Takes::Flag),
        ],
    },
    Choice {
        settings: DATA,
        name: "npz_events",
        slots: &[
            need("path", Takes::Text),
            need("height", Takes::Whole),
            need("width", Takes::Whole),
            may("time_unit", Takes::Time),
        ],
    },
    Choice {
        settings: &["valid", "test"],
        name: "holdout",
        slots: HOLDOUT,
    },
    Choice {
        settings: &["valid", "test"],
        name: "group_holdout",
        slots: HOLDOUT,
    },
    Choice {
        settings: &["valid", "test"],
        name: "fold",
        slots: &[
            need("index", Takes::Plain),
            need("of", Takes::Whole),
            may("seed", Takes::Plain),
        ],
    },
    Choice {
        settings: &["encode"],
        name: "latency",
        slots: &[
            may("tau", Takes::Time),
            may("threshold", Takes::Plain),
            may("linear", Takes::Flag),
        ],
    },
    Choice {
        settings: &["encode"],
        name: "rate",
        slots: &[may("max_rate", Takes::Rate)],
    },
    Choice {
        settings: &["encode"],
        name: "constant",
        slots: &[may("gain", Takes::Plain)],
    },
    Choice {
        settings: &["encode"],
        name: "one_by_one",
        slots: &[need("levels", Takes::Whole), may("hold", Takes::Time)],
    },
    Choice {
        settings: &["encode"],
        name: "population",
        slots: &[
            need("neurons", Takes::Whole),
            may("width", Takes::Plain),
            may("max_rate", Takes::Rate),
        ],
    },
    Choice {
        settings: &["encode"],
        name: "current_lif",
        slots: &[may("tau", Takes::Time), may("gain", Takes::Plain)],
    },
    Choice {
        settings: &["encode"],
        name: "delta",
        slots: &[need("threshold", Takes::Plain)],
    },
    Choice {
        settings: &["encode"],
        name: "bin_spikes",
        slots: BINNING,
    },
    Choice {
        settings: &["encode"],
        name: "bin_equal_counts",
        slots: BINNING,
    },
    Choice {
        settings: &["augment"],
        name: "shift",
        slots: &[need("pixels", Takes::Whole)],
    },
    Choice {
        settings: &["augment"],
        name: "flip",
        slots: &[],
    },
    Choice {
        settings: &["augment"],
        name: "jitter",
        slots: &[need("std", Takes::Time)],
    },
    Choice {
        settings: &["augment"],
        name: "channel_shift",
        slots: &[need("channels", Takes::Whole)],
    },
    Choice {
        settings: &["augment"],
        name: "drop",
        slots: &[need("probability", Takes::Plain)],
    },
    Choice {
        settings: OPTIMIZERS,
        name: "sgd",
        slots: &[
            LR,
            may("momentum", Takes::Plain),
            may("nesterov", Takes::Flag),
            DECAY,
        ],
    },
    Choice {
        settings: OPTIMIZERS,
        name: "adam",
        slots: ADAM,
    },
    Choice {
        settings: OPTIMIZERS,
        name: "adamw",
        slots: ADAM,
    },
    Choice {
        settings: OPTIMIZERS,
        name: "adamax",
        slots: ADAM,
    },
    Choice {
        settings: OPTIMIZERS,
        name: "rmsprop",
        slots: &[
            LR,
            may("alpha", Takes::Plain),
            may("eps", Takes::Plain),
            may("momentum", Takes::Plain),
            DECAY,
        ],
    },
    Choice {
        settings: OPTIMIZERS,
        name: "rmaxprop",
        slots: &[
            LR,
            may("gamma", Takes::Plain),
            may("eps", Takes::Plain),
            DECAY,
        ],
    },
    Choice {
        settings: OPTIMIZERS,
        name: "lion",
        slots: &[LR, may("betas", Takes::Numbers), DECAY],
    },
    Choice {
        settings: &["schedule"],
        name: "constant",
        slots: &[],
    },
    Choice {
        settings: &["schedule"],
        name: "step",
        slots: &[need("every", Takes::Whole), need("factor", Takes::Plain)],
    },
    Choice {
        settings: &["schedule"],
        name: "exponential",
        slots: &[need("factor", Takes::Plain)],
    },
    Choice {
        settings: &["schedule"],
        name: "cosine",
        slots: &[may("warmup", Takes::Plain), may("floor", Takes::Plain)],
    },
    Choice {
        settings: &["schedule"],
        name: "one_cycle",
        slots: &[may("rise", Takes::Plain)],
    },
    Choice {
        settings: &["schedule"],
        name: "plateau",
        slots: &[
            may("factor", Takes::Plain),
            may("patience", Takes::Whole),
            may("floor", Takes::Plain),
        ],
    },
    Choice {
        settings: &["average"],
        name: "ema",
        slots: &[may("decay", Takes::Plain)],
    },
    Choice {
        settings: &["stop"],
        name: "early",
        slots: &[need("patience", Takes::Whole)],
    },
    Choice {
        settings: &["clip"],
        name: "grad_norm",
        slots: &[need("max", Takes::Plain)],
    },
    Choice {
        settings: &["clip"],
        name: "grad_value",
        slots: &[need("max", Takes::Plain)],
    },
    Choice {
        settings: &["gradient"],
        name: "bptt",
        slots: &[
            may("truncate", Takes::Whole),
            may("checkpoint", Takes::WholeOr(&["auto", "none"])),
        ],
    },
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
