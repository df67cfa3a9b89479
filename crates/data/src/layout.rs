//! Fewer channels for events: neighbours joined, polarities joined.
//!
//! A recording has more channels than a small network needs. Joining them before binning keeps every event (counts add
//! up in the bin), as the down-sampling and polarity merging of Tonic and SpikingJelly do; joining 5 of SHD's 700
//! channels is the input of Hammouamri et al. 2023.

use crate::dataset::Raw;
use crate::error::DataError;
use crate::spike_train::{Builder, SpikeTrain};
use std::collections::BTreeMap;

/// How the channels of a sample are arranged: channel = (plane · height + y) · width + x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Polarities or colours.
    pub planes: u32,
    /// Rows; 1 for channels in a line.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Shape {
    /// Channels in a line.
    pub fn line(channels: u32) -> Shape {
        Shape {
            planes: 1,
            height: 1,
            width: channels,
        }
    }

    /// The number of channels.
    pub fn channels(self) -> u32 {
        self.planes * self.height * self.width
    }
}

/// Which channels become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Blocks of this many neighbours become one channel: squares of a picture, runs of a line. At least 1.
    pub downsample: u32,
    /// All planes become one.
    pub merge_polarity: bool,
}

impl Layout {
    /// Channels as they are.
    pub const IDENTITY: Layout = Layout {
        downsample: 1,
        merge_polarity: false,
    };

    /// The arrangement of what [`Layout::apply`] returns. A last block may be smaller.
    pub fn shape(self, shape: Shape) -> Shape {
        let by = self.downsample.max(1);
        Shape {
            planes: if self.merge_polarity { 1 } else { shape.planes },
            height: shape.height.div_ceil(by),
            width: shape.width.div_ceil(by),
        }
    }

    /// The new channel of a channel below `shape.channels()`.
    fn channel(self, channel: u32, shape: Shape) -> u32 {
        let by = self.downsample.max(1);
        let to = self.shape(shape);
        let (rest, x) = (channel / shape.width, channel % shape.width);
        let (plane, y) = (rest / shape.height, rest % shape.height);
        let plane = if self.merge_polarity { 0 } else { plane };
        (plane * to.height + y / by) * to.width + x / by
    }

    /// A sample on the joined channels. Values of events that meet in a step are added.
    ///
    /// Errors: `DataError::Setting` for pictures, whose intensities do not add up; `DataError::SpikeTrain` for
    /// channels outside the shape.
    pub fn apply(self, raw: Raw, shape: Shape) -> Result<Raw, DataError> {
        if self == Layout::IDENTITY {
            return Ok(raw);
        }
        match raw {
            Raw::Image { .. } => Err(DataError::Setting {
                setting: "bin_spikes.downsample",
                reason: "the samples are pictures, not events".to_owned(),
                help: "leave it out".to_owned(),
            }),
            Raw::Events {
                time_s,
                mut channel,
                n_channels,
            } => {
                check_fits(n_channels, shape)?;
                for channel in &mut channel {
                    // A channel out of range stays out of range, for the encoder to name it.
                    *channel = if *channel < n_channels {
                        self.channel(*channel, shape)
                    } else {
                        u32::MAX
                    };
                }
                Ok(Raw::Events {
                    time_s,
                    channel,
                    n_channels: self.shape(shape).channels(),
                })
            }
            Raw::Spikes(train) => {
                check_fits(train.channels(), shape)?;
                Ok(Raw::Spikes(self.join(&train, shape)?))
            }
        }
    }

    fn join(self, train: &SpikeTrain, shape: Shape) -> Result<SpikeTrain, DataError> {
        let mut builder = Builder::with_capacity(train.steps(), train.n_events(), true);
        let mut sums: BTreeMap<u32, f32> = BTreeMap::new();
        for step in 0..train.steps() {
            let (indices, values) = train.events_at(step);
            for (event, &channel) in indices.iter().enumerate() {
                let value = values.map_or(1.0, |values| values[event]);
                *sums.entry(self.channel(channel, shape)).or_default() += value;
            }
            while let Some((channel, value)) = sums.pop_first() {
                builder.push(channel, value);
            }
            builder.end_step();
        }
        builder.finish(self.shape(shape).channels())
    }
}

fn check_fits(channels: u32, shape: Shape) -> Result<(), DataError> {
    if channels == shape.channels() {
        return Ok(());
    }
    let reason = format!("{channels} channels are not {shape:?}");
    Err(DataError::SpikeTrain { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    const SENSOR: Shape = Shape {
        planes: 2,
        height: 3,
        width: 5,
    };

    #[test]
    fn blocks_of_a_sensor_become_one_channel() {
        let layout = Layout {
            downsample: 2,
            merge_polarity: false,
        };
        let shape = layout.shape(SENSOR);
        assert_eq!((shape.planes, shape.height, shape.width), (2, 2, 3));
        // (plane 1, y 2, x 4) → (1, 1, 2)
        assert_eq!(layout.channel(15 + 2 * 5 + 4, SENSOR), 6 + 3 + 2);
        let merged = Layout {
            merge_polarity: true,
            ..layout
        };
        assert_eq!(merged.channel(15 + 2 * 5 + 4, SENSOR), 3 + 2);
        for layout in [layout, merged] {
            let highest = (0..30).map(|c| layout.channel(c, SENSOR)).max();
            assert_eq!(highest, Some(layout.shape(SENSOR).channels() - 1));
        }
    }

    #[test]
    fn events_are_kept_and_counts_add_up() {
        let train =
            SpikeTrain::from_dense(array![[1.0, 1.0, 0.0, 2.0], [0.0, 0.0, 3.0, 0.0]].view());
        let layout = Layout {
            downsample: 2,
            merge_polarity: false,
        };
        let joined = layout.apply(Raw::Spikes(train.expect("finite")), Shape::line(4));
        let Ok(Raw::Spikes(joined)) = joined else {
            panic!("{joined:?}");
        };
        assert_eq!(joined.to_dense(), array![[2.0, 2.0], [0.0, 3.0]]);
    }

    #[test]
    fn a_shape_of_another_size_is_refused() {
        let layout = Layout {
            downsample: 2,
            merge_polarity: false,
        };
        let raw = Raw::Spikes(SpikeTrain::silent(4, 2));
        assert!(layout.apply(raw, Shape::line(5)).is_err());
    }
}
