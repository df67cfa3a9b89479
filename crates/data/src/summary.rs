//! What is in a data set, in numbers: read once from the first to the last sample, one in memory at a time.
//!
//! A damaged sample does not end the reading: it is counted and named, for a summary is what one asks for when a
//! training run has met one.

use crate::dataset::{Dataset, Raw};
use crate::error::DataError;
use std::collections::BTreeSet;

/// Damaged samples that are named; the others are only counted.
const NAMED: usize = 20;

/// Least, median and largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The one in the middle (of an even number, the upper one of two).
    pub median: f64,
    /// The largest.
    pub max: f64,
}

/// What the samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Intensities.
    Pictures,
    /// Events in continuous time.
    Events,
    /// Events in time steps.
    Steps,
}

/// A data set in numbers; see [`summarise`].
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Number of samples, damaged ones included.
    pub samples: usize,
    /// Input channels.
    pub channels: u32,
    /// Samples of each class.
    pub classes: Vec<usize>,
    /// Their names, if the data set has any.
    pub class_names: Vec<String>,
    /// Number of groups (speakers), if the data set knows them.
    pub groups: Option<usize>,
    /// What the samples are; `None` if not one could be read.
    pub kind: Option<Kind>,
    /// Height, width and colours of the first picture.
    pub picture: Option<[u32; 3]>,
    /// Time of the last event of a sample in seconds; steps of a sample of [`Kind::Steps`].
    pub duration: Option<Spread>,
    /// Events of a sample.
    pub events: Option<Spread>,
    /// Events of a channel in a second (in a step for [`Kind::Steps`]): all events over the sum of all durations.
    pub rate: Option<f64>,
    /// Mean intensity of a pixel.
    pub intensity: Option<f64>,
    /// Channels that have no event or only intensity 0 in all samples.
    pub silent_channels: usize,
    /// Number of damaged samples.
    pub damaged: usize,
    /// What is wrong with the first of them.
    pub damage: Vec<DataError>,
}

/// Reads all samples.
///
/// Errors: `DataError::Setting` if the data set has more than 16 million classes; damaged samples are in the summary.
pub fn summarise(set: &dyn Dataset) -> Result<Summary, DataError> {
    if set.n_classes() > 1 << 24 {
        return Err(DataError::Setting {
            setting: "data",
            reason: format!("its largest label is {}", set.n_classes() - 1),
            help: "number the classes from 0".to_owned(),
        });
    }
    let mut classes = vec![0; set.n_classes() as usize];
    set.labels()
        .iter()
        .for_each(|&label| classes[label as usize] += 1);
    let groups: Option<BTreeSet<u32>> = (0..set.len()).map(|i| set.group(i)).collect();
    let mut found = Found {
        used: vec![false; set.n_channels() as usize],
        ..Found::default()
    };
    let (mut damaged, mut damage) = (0, Vec::new());
    for i in 0..set.len() {
        match set.get(i) {
            Ok(raw) => found.add(&raw),
            Err(error) => {
                damaged += 1;
                if damage.len() < NAMED {
                    damage.push(error.in_dataset(set.name()));
                }
            }
        }
    }
    let time: f64 = found.durations.iter().sum();
    let events: f64 = found.events.iter().sum();
    let rate = events / time / f64::from(set.n_channels().max(1));
    let is_picture = found.kind == Some(Kind::Pictures);
    Ok(Summary {
        samples: set.len(),
        channels: set.n_channels(),
        classes,
        class_names: set.card().class_names.clone(),
        groups: groups
            .filter(|groups| !groups.is_empty())
            .map(|groups| groups.len()),
        kind: found.kind,
        picture: found.picture,
        duration: spread(found.durations),
        events: spread(found.events),
        rate: (time > 0.0).then_some(rate),
        intensity: is_picture.then_some(found.intensity / found.pixels.max(1) as f64),
        silent_channels: found.used.iter().filter(|&&used| !used).count(),
        damaged,
        damage,
    })
}

/// What was found so far.
#[derive(Default)]
struct Found {
    kind: Option<Kind>,
    picture: Option<[u32; 3]>,
    durations: Vec<f64>,
    events: Vec<f64>,
    intensity: f64,
    pixels: u64,
    used: Vec<bool>,
}

impl Found {
    fn add(&mut self, raw: &Raw) {
        match raw {
            Raw::Image {
                pixels,
                height,
                width,
                channels,
            } => {
                self.kind = Some(Kind::Pictures);
                self.picture.get_or_insert([*height, *width, *channels]);
                self.pixels += pixels.len() as u64;
                for (channel, &value) in pixels.iter().enumerate() {
                    self.intensity += f64::from(value);
                    self.touch(channel, value != 0.0);
                }
            }
            Raw::Events {
                time_s, channel, ..
            } => {
                self.kind = Some(Kind::Events);
                self.durations
                    .push(time_s.iter().copied().fold(0.0, f64::max));
                self.events.push(time_s.len() as f64);
                channel
                    .iter()
                    .for_each(|&channel| self.touch(channel as usize, true));
            }
            Raw::Spikes(train) => {
                self.kind = Some(Kind::Steps);
                self.durations.push(train.steps() as f64);
                self.events.push(train.n_events() as f64);
                train
                    .indices()
                    .iter()
                    .for_each(|&channel| self.touch(channel as usize, true));
            }
        }
    }

    fn touch(&mut self, channel: usize, used: bool) {
        if let Some(place) = self.used.get_mut(channel) {
            *place |= used;
        }
    }
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (&min, &max) = (values.first()?, values.last()?);
    let median = values[values.len() / 2];
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Card;
    use crate::digits::digits;
    use crate::layout::Shape;

    #[test]
    fn the_digits_in_numbers() {
        let found = summarise(&digits()).expect("few classes");
        assert_eq!(
            (found.samples, found.channels, found.groups),
            (1797, 64, None)
        );
        assert_eq!(
            found.classes,
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
        assert_eq!(
            (found.kind, found.picture),
            (Some(Kind::Pictures), Some([8, 8, 1]))
        );
        // Scikit-learn: the mean of the digits is 4.8842 of 16; three pixels are never used.
        assert!((found.intensity.expect("pictures") - 4.884_165 / 16.0).abs() < 1e-6);
        assert_eq!((found.silent_channels, found.damaged), (3, 0));
        assert_eq!(
            (found.duration, found.events, found.rate),
            (None, None, None)
        );
    }

    /// Two recordings, and a damaged sample between them.
    struct Recordings(Card);

    impl Dataset for Recordings {
        fn card(&self) -> &Card {
            &self.0
        }
        fn label(&self, _: usize) -> u32 {
            1
        }
        fn group(&self, i: usize) -> Option<u32> {
            Some(i as u32 / 2)
        }
        fn get(&self, i: usize) -> Result<Raw, DataError> {
            let events = |time_s: &[f64], channel: &[u32]| Raw::Events {
                time_s: time_s.to_vec(),
                channel: channel.to_vec(),
                n_channels: 4,
            };
            match i {
                0 => Ok(events(&[0.5, 0.25], &[0, 2])),
                2 => Ok(events(&[1.5, 0.1, 0.2, 0.3], &[2, 2, 2, 2])),
                _ => Err(DataError::Sample {
                    file: std::path::PathBuf::new(),
                    index: 1,
                    reason: "cut off".to_owned(),
                    help: "fetch it again".to_owned(),
                }),
            }
        }
    }

    #[test]
    fn recordings_and_damage() {
        let found = summarise(&Recordings(Card::new("recordings", 3, 2, Shape::line(4))))
            .expect("few classes");
        assert_eq!((found.classes, found.groups), (vec![0, 3], Some(2)));
        let spread = |min, median, max| Some(Spread { min, median, max });
        assert_eq!(found.duration, spread(0.5, 1.5, 1.5));
        assert_eq!(found.events, spread(2.0, 4.0, 4.0));
        assert_eq!(found.rate, Some(6.0 / 2.0 / 4.0));
        assert_eq!((found.silent_channels, found.damaged), (2, 1));
        assert!(
            found.damage[0]
                .to_string()
                .contains("sample 1 of `recordings`: cut off")
        );
    }
}
