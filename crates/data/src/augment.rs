//! Random changes of training samples that leave the class as it is.
//!
//! In: a sample and the key of its epoch. Out: a changed sample, the same for the same key. Every change takes its
//! numbers from a stream of its own position in the list, so that adding one leaves the others as they were.
//! The changes are those of the event-camera libraries (Tonic) and of the data sets' papers: shifting the channels of
//! SHD is its change of pitch.

use crate::dataset::Raw;
use crate::encoder::EncodeKey;
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain};
use crate::spike_train::{Builder, SpikeTrain};

/// One random change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Augment {
    /// Moves the picture by up to this many pixels in both directions, uniformly; what leaves it is lost, what enters
    /// is empty (a random crop of the padded picture).
    Shift {
        /// The largest distance.
        pixels: u32,
    },
    /// Keeps what lies in a square window at a uniformly random place; what lies around it is lost.
    Crop {
        /// The side of the window, in pixels.
        size: u32,
    },
    /// Mirrors left and right, or top and bottom, in one of two samples.
    Flip {
        /// Top and bottom.
        vertical: bool,
    },
    /// Moves every event in time by a normal number of this standard deviation.
    Jitter {
        /// In seconds, at least 0.
        std_s: f64,
    },
    /// Moves all events by the same number of channels, up to this one, uniformly; what leaves is lost.
    ChannelShift {
        /// The largest distance.
        channels: u32,
    },
    /// Loses each event, or makes each pixel 0, with this probability.
    Drop {
        /// From 0 to 1.
        probability: f64,
    },
}

impl Augment {
    /// The name in programs and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Augment::Shift { .. } => "shift",
            Augment::Crop { .. } => "crop",
            Augment::Flip { .. } => "flip",
            Augment::Jitter { .. } => "jitter",
            Augment::ChannelShift { .. } => "channel_shift",
            Augment::Drop { .. } => "drop",
        }
    }

    /// The sample after this change, the `position`-th of a list. `shape` arranges the channels of events.
    ///
    /// Errors: `DataError::Setting` if the change has no meaning for such samples.
    pub fn apply(
        &self,
        raw: Raw,
        shape: Shape,
        position: usize,
        key: EncodeKey,
    ) -> Result<Raw, DataError> {
        let epoch_key = derive_key(key.seed, domain::AUGMENT, key.epoch);
        let counter = [
            0,
            position as u32,
            key.sample as u32,
            (key.sample >> 32) as u32,
        ];
        let mut stream = Philox::at(epoch_key, counter);
        match *self {
            Augment::Shift { pixels } => {
                let (dx, dy) = (offset(&mut stream, pixels), offset(&mut stream, pixels));
                self.move_pixels(raw, shape, |[y, x], _| [y + dy, x + dx])
            }
            Augment::Crop { size } => {
                if size == 0 {
                    let help = "give the side of the window in pixels";
                    return self.refuse("keeps nothing with `size = 0`", help);
                }
                let place = [stream.uniform_f64(), stream.uniform_f64()];
                self.move_pixels(raw, shape, |at, sides| window(at, sides, size, place))
            }
            Augment::Flip { vertical } => {
                let mirrored = stream.next_u32() & 1 == 1;
                self.move_pixels(raw, shape, |[y, x], [height, width]| match mirrored {
                    true if vertical => [height - 1 - y, x],
                    true => [y, width - 1 - x],
                    false => [y, x],
                })
            }
            Augment::Jitter { std_s } => self.jitter(raw, std_s, &mut stream),
            Augment::ChannelShift { channels } => {
                let by = offset(&mut stream, channels);
                self.move_channels(raw, |channel| i64::from(channel) + by)
            }
            Augment::Drop { probability } => lose(raw, probability, &mut stream),
        }
    }

    fn refuse<T>(&self, reason: &str, help: &str) -> Result<T, DataError> {
        Err(DataError::Setting {
            setting: "augment",
            reason: format!("`{}` {reason}", self.name()),
            help: help.to_owned(),
        })
    }

    /// Moves pixels or events of a sensor; `to` maps (row, column), given height and width.
    fn move_pixels(
        &self,
        raw: Raw,
        shape: Shape,
        to: impl Fn([i64; 2], [i64; 2]) -> [i64; 2],
    ) -> Result<Raw, DataError> {
        let inside = |[y, x]: [i64; 2], height: u32, width: u32| {
            (0..i64::from(height)).contains(&y) && (0..i64::from(width)).contains(&x)
        };
        if let Raw::Image {
            pixels,
            height,
            width,
            channels,
        } = raw
        {
            let mut moved = vec![0.0; pixels.len()];
            let row = (width * channels).max(1) as usize;
            for (at, &pixel) in pixels.iter().enumerate() {
                let (y, rest) = (at / row, at % row);
                let (x, colour) = (rest / channels as usize, rest % channels as usize);
                let [y, x] = to([y as i64, x as i64], [i64::from(height), i64::from(width)]);
                if inside([y, x], height, width) {
                    moved[y as usize * row + x as usize * channels as usize + colour] = pixel;
                }
            }
            return Ok(Raw::Image {
                pixels: moved,
                height,
                width,
                channels,
            });
        }
        if shape.height < 2 {
            let help = "give the input its rows and columns, as in `input inp[2, 34, 34]`, or use `channel_shift`";
            return self.refuse("needs pictures or a sensor with rows and columns", help);
        }
        let (height, width) = (shape.height, shape.width);
        self.move_channels(raw, |channel| {
            let (rest, x) = (channel / width, channel % width);
            let (plane, y) = (rest / height, rest % height);
            let [y, x] = to(
                [i64::from(y), i64::from(x)],
                [i64::from(height), i64::from(width)],
            );
            if inside([y, x], height, width) {
                (i64::from(plane) * i64::from(height) + y) * i64::from(width) + x
            } else {
                -1
            }
        })
    }

    /// Moves events to other channels; those that get a number outside are lost.
    fn move_channels(&self, raw: Raw, to: impl Fn(u32) -> i64) -> Result<Raw, DataError> {
        match raw {
            Raw::Image { .. } => {
                self.refuse("needs events, but the samples are pictures", "use `shift`")
            }
            Raw::Events {
                time_s,
                channel,
                n_channels,
            } => {
                let kept = |(time_s, channel): (f64, u32)| {
                    let channel = u32::try_from(to(channel)).ok()?;
                    (channel < n_channels).then_some((time_s, channel))
                };
                let (time_s, channel) = time_s.into_iter().zip(channel).filter_map(kept).unzip();
                Ok(Raw::Events {
                    time_s,
                    channel,
                    n_channels,
                })
            }
            Raw::Spikes(train) => {
                let channels = train.channels();
                let moved = |channel, value| {
                    let channel = u32::try_from(to(channel)).ok()?;
                    (channel < channels).then_some((channel, value))
                };
                Ok(Raw::Spikes(map_events(&train, moved)?))
            }
        }
    }

    fn jitter(&self, raw: Raw, std_s: f64, stream: &mut Philox) -> Result<Raw, DataError> {
        match raw {
            Raw::Events {
                mut time_s,
                channel,
                n_channels,
            } => {
                // An event may not leave at the start: it would be lost as one outside the duration.
                for time_s in &mut time_s {
                    *time_s = (*time_s + std_s * stream.normal()).max(0.0);
                }
                Ok(Raw::Events {
                    time_s,
                    channel,
                    n_channels,
                })
            }
            Raw::Image { .. } | Raw::Spikes(_) => self.refuse(
                "needs events in continuous time",
                "leave it out for these data",
            ),
        }
    }
}

/// Uniform in −most..=most.
/// Where a pixel goes if only the window at this place, from 0 to 1 of where it can be, is kept: it stays or leaves.
fn window(at: [i64; 2], sides: [i64; 2], size: u32, place: [f64; 2]) -> [i64; 2] {
    let inside = (0..2).all(|axis| {
        let free = (sides[axis] - i64::from(size)).max(0);
        let first = (place[axis] * (free + 1) as f64) as i64;
        (first..first + i64::from(size)).contains(&at[axis])
    });
    if inside { at } else { [-1, -1] }
}

fn offset(stream: &mut Philox, most: u32) -> i64 {
    stream.below(2 * u64::from(most) + 1) as i64 - i64::from(most)
}

/// Changes or loses each event of a train; events that meet are kept once, with the value of the first.
fn map_events(
    train: &SpikeTrain,
    mut to: impl FnMut(u32, f32) -> Option<(u32, f32)>,
) -> Result<SpikeTrain, DataError> {
    let mut builder =
        Builder::with_capacity(train.steps(), train.n_events(), train.values().is_some());
    for step in 0..train.steps() {
        let (indices, values) = train.events_at(step);
        let valued = indices.iter().enumerate();
        let valued =
            valued.map(|(at, &channel)| (channel, values.map_or(1.0, |values| values[at])));
        let mut moved: Vec<(u32, f32)> = valued.filter_map(|(c, value)| to(c, value)).collect();
        moved.sort_by_key(|&(channel, _)| channel);
        moved.dedup_by_key(|&mut (channel, _)| channel);
        for (channel, value) in moved {
            builder.push(channel, value);
        }
        builder.end_step();
    }
    builder.finish(train.channels())
}

fn lose(raw: Raw, probability: f64, stream: &mut Philox) -> Result<Raw, DataError> {
    let mut kept = || stream.uniform_f64() >= probability;
    Ok(match raw {
        Raw::Image {
            mut pixels,
            height,
            width,
            channels,
        } => {
            for pixel in &mut pixels {
                if !kept() {
                    *pixel = 0.0;
                }
            }
            Raw::Image {
                pixels,
                height,
                width,
                channels,
            }
        }
        Raw::Events {
            time_s,
            channel,
            n_channels,
        } => {
            let events = time_s.into_iter().zip(channel).filter(|_| kept());
            let (time_s, channel) = events.unzip();
            Raw::Events {
                time_s,
                channel,
                n_channels,
            }
        }
        Raw::Spikes(train) => Raw::Spikes(map_events(&train, |channel, value| {
            kept().then_some((channel, value))
        })?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: EncodeKey = EncodeKey {
        seed: 1,
        epoch: 2,
        sample: 3,
    };

    fn picture() -> Raw {
        Raw::Image {
            pixels: (0..64).map(|i| (i + 1) as f32 / 64.0).collect(),
            height: 8,
            width: 8,
            channels: 1,
        }
    }

    fn pixels(raw: Raw) -> Vec<f32> {
        match raw {
            Raw::Image { pixels, .. } => pixels,
            other @ (Raw::Events { .. } | Raw::Spikes(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_shift_moves_the_picture_as_a_whole_and_differs_between_epochs() {
        let mut seen = std::collections::BTreeSet::new();
        for epoch in 0..40 {
            let key = EncodeKey { epoch, ..KEY };
            let shift = Augment::Shift { pixels: 2 };
            let moved = pixels(
                shift
                    .apply(picture(), Shape::line(64), 0, key)
                    .expect("a picture"),
            );
            // Pixel (3, 3) stays inside, whatever the shift.
            let at = moved
                .iter()
                .position(|&v| v == 28.0 / 64.0)
                .expect("inside");
            let (dy, dx) = (at as i64 / 8 - 3, at as i64 % 8 - 3);
            assert!(dy.abs() <= 2 && dx.abs() <= 2);
            for y in 0..8 {
                for x in 0..8 {
                    let (from_y, from_x) = (y - dy, x - dx);
                    let inside = (0..8).contains(&from_y) && (0..8).contains(&from_x);
                    let expected = if inside {
                        (from_y * 8 + from_x + 1) as f32 / 64.0
                    } else {
                        0.0
                    };
                    assert_eq!(moved[(y * 8 + x) as usize], expected);
                }
            }
            seen.insert((dy, dx));
        }
        assert!(seen.len() > 15, "{seen:?}");
    }

    #[test]
    fn a_sensor_is_flipped_within_each_plane() {
        let shape = Shape {
            planes: 2,
            height: 2,
            width: 3,
        };
        let raw = Raw::Events {
            time_s: vec![0.1, 0.2],
            channel: vec![0, 6 + 5],
            n_channels: 12,
        };
        let mut results = std::collections::BTreeSet::new();
        for epoch in 0..20 {
            let key = EncodeKey { epoch, ..KEY };
            let Ok(Raw::Events { channel, .. }) = ({
                let flip = Augment::Flip { vertical: false };
                flip.apply(raw.clone(), shape, 0, key)
            }) else {
                panic!("events stay events");
            };
            results.insert(channel);
        }
        assert_eq!(results, [vec![0, 11], vec![2, 9]].into());
    }

    #[test]
    fn a_picture_is_turned_upside_down_in_half_of_the_epochs() {
        let flip = Augment::Flip { vertical: true };
        let mut turned = 0;
        for epoch in 0..100 {
            let key = EncodeKey { epoch, ..KEY };
            let flipped = flip.apply(picture(), Shape::line(64), 0, key);
            let flipped = pixels(flipped.expect("a picture"));
            let rows: Vec<f32> = (0..8).rev().flat_map(|y| row(y).to_vec()).collect();
            turned += usize::from(flipped == rows);
            assert!(flipped == rows || flipped == pixels(picture()));
        }
        assert!((30..70).contains(&turned), "{turned}");
    }

    fn row(y: usize) -> [f32; 8] {
        std::array::from_fn(|x| (8 * y + x + 1) as f32 / 64.0)
    }

    #[test]
    fn a_crop_keeps_one_window_where_it_was() {
        let mut corners = std::collections::BTreeSet::new();
        for epoch in 0..200 {
            let key = EncodeKey { epoch, ..KEY };
            let crop = Augment::Crop { size: 5 };
            let cropped = crop.apply(picture(), Shape::line(64), 0, key);
            let cropped = pixels(cropped.expect("a picture"));
            let first = cropped.iter().position(|&v| v > 0.0).expect("a window");
            let (top, left) = (first / 8, first % 8);
            for (at, &value) in cropped.iter().enumerate() {
                let inside =
                    (top..top + 5).contains(&(at / 8)) && (left..left + 5).contains(&(at % 8));
                assert_eq!(value, if inside { row(at / 8)[at % 8] } else { 0.0 });
            }
            corners.insert((top, left));
        }
        // All sixteen places where it fits.
        assert_eq!(corners.len(), 16);
        let large = Augment::Crop { size: 9 }.apply(picture(), Shape::line(64), 0, KEY);
        assert_eq!(pixels(large.expect("a picture")), pixels(picture()));
    }

    #[test]
    fn events_are_dropped_in_proportion_and_shifted_together() {
        let raw = Raw::Events {
            time_s: vec![0.5; 10_000],
            channel: (0..10_000).map(|i| i % 100).collect(),
            n_channels: 100,
        };
        let drop = Augment::Drop { probability: 0.3 };
        let Ok(Raw::Events { time_s, .. }) = drop.apply(raw.clone(), Shape::line(100), 0, KEY)
        else {
            panic!("events stay events");
        };
        assert!((6_800..7_200).contains(&time_s.len()), "{}", time_s.len());
        let shift = Augment::ChannelShift { channels: 10 };
        let Ok(Raw::Events { channel, .. }) = shift.apply(raw.clone(), Shape::line(100), 0, KEY)
        else {
            panic!("events stay events");
        };
        let by = 50 - channel.iter().position(|&c| c == 50).expect("inside") as i64;
        assert!(channel.len() >= 9_000 && by.abs() <= 10, "{by}");
        let jitter = Augment::Jitter { std_s: 0.01 };
        let Ok(Raw::Events { time_s, .. }) = jitter.apply(raw, Shape::line(100), 0, KEY) else {
            panic!("events stay events");
        };
        let variance: f64 = time_s.iter().map(|t| (t - 0.5).powi(2)).sum::<f64>() / 1e4;
        assert!((variance.sqrt() - 0.01).abs() < 3e-4, "{variance}");
    }

    #[test]
    fn changes_without_meaning_are_refused() {
        let line = Raw::Spikes(SpikeTrain::silent(12, 3));
        let shift = Augment::Shift { pixels: 1 };
        let message = shift
            .apply(line.clone(), Shape::line(12), 0, KEY)
            .expect_err("a line");
        assert!(message.to_string().contains("`shift`"), "{message}");
        let crop = Augment::Crop { size: 0 };
        assert!(crop.apply(picture(), Shape::line(64), 0, KEY).is_err());
        let jitter = Augment::Jitter { std_s: 0.1 };
        assert!(jitter.apply(line, Shape::line(12), 0, KEY).is_err());
        assert!(jitter.apply(picture(), Shape::line(64), 0, KEY).is_err());
        let shift = Augment::ChannelShift { channels: 1 };
        assert!(shift.apply(picture(), Shape::line(64), 0, KEY).is_err());
    }
}
