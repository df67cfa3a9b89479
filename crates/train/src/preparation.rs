//! What happens to a sample between the data set and the network: random changes (training only), joining of
//! channels, encoding.

use rheobase_data::{
    Augment, DataError, EncodeKey, Encoded, Encoder, LatencyMode, Layout, Raw, Shape,
};
use rheobase_ir::program::{self, Binning, Encoding, Training};

/// The steps of a sample's preparation, in their order.
pub(crate) struct Preparation {
    augment: Vec<Augment>,
    layout: Layout,
    encoder: Encoder,
}

impl Preparation {
    pub(crate) fn new(plan: &Training) -> Preparation {
        let (encoder, layout) = encoder(&plan.encoding);
        Preparation {
            augment: plan.augment.iter().map(augment).collect(),
            layout,
            encoder,
        }
    }

    /// The number of channels that the network sees of a data set of this shape.
    pub(crate) fn channels(&self, shape: Shape) -> u32 {
        self.encoder.channels(self.layout.shape(shape).channels())
    }

    /// Whether a sample is the same in every epoch.
    pub(crate) fn is_fixed(&self, training: bool) -> bool {
        !(self.encoder.is_random() || training && !self.augment.is_empty())
    }

    /// The input of one sample.
    pub(crate) fn apply(
        &self,
        raw: Raw,
        shape: Shape,
        (steps, step_s): (usize, f64),
        key: EncodeKey,
        training: bool,
    ) -> Result<Encoded, DataError> {
        let changes: &[Augment] = if training { &self.augment } else { &[] };
        let mut raw = raw;
        for (position, change) in changes.iter().enumerate() {
            raw = change.apply(raw, shape, position, key)?;
        }
        let raw = self.layout.apply(raw, shape)?;
        self.encoder.encode_counted(&raw, steps, step_s, key)
    }
}

fn augment(change: &program::Augment) -> Augment {
    match *change {
        program::Augment::Shift { pixels } => Augment::Shift { pixels },
        program::Augment::Flip { vertical } => Augment::Flip { vertical },
        program::Augment::Crop { size } => Augment::Crop { size },
        program::Augment::Jitter { std_ms } => Augment::Jitter {
            std_s: std_ms * 1e-3,
        },
        program::Augment::ChannelShift { channels } => Augment::ChannelShift { channels },
        program::Augment::Drop { probability } => Augment::Drop { probability },
    }
}

fn encoder(encoding: &Encoding) -> (Encoder, Layout) {
    let encoder = match *encoding {
        Encoding::Latency {
            tau_ms,
            threshold,
            linear,
        } => {
            let mode = if linear {
                LatencyMode::Linear
            } else {
                LatencyMode::Log
            };
            Encoder::Latency {
                tau_ms,
                threshold,
                mode,
            }
        }
        Encoding::Rate { max_rate_per_ms } => Encoder::Rate {
            max_rate_hz: max_rate_per_ms * 1e3,
        },
        Encoding::Constant { gain } => Encoder::Constant { gain },
        Encoding::OneByOne { levels, hold } => Encoder::OneByOne { levels, hold },
        Encoding::Population {
            neurons,
            width,
            max_rate_per_ms,
        } => Encoder::Population {
            neurons,
            width,
            max_rate_hz: max_rate_per_ms * 1e3,
        },
        Encoding::CurrentLif { tau_ms, gain } => Encoder::CurrentLif { tau_ms, gain },
        Encoding::Delta { threshold } => Encoder::Delta { threshold },
        Encoding::BinSpikes(binning) => {
            let clip = binning.clip;
            return (Encoder::BinSpikes { clip }, layout(binning));
        }
        Encoding::BinEqualCounts(binning) => {
            let clip = binning.clip;
            return (Encoder::BinEqualCounts { clip }, layout(binning));
        }
    };
    (encoder, Layout::IDENTITY)
}

fn layout(binning: Binning) -> Layout {
    Layout {
        downsample: binning.downsample,
        merge_polarity: binning.merge_polarity,
    }
}
