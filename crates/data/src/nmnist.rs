//! N-MNIST folders: `<folder>/<digit>/*.bin`, recordings of 34×34 pixels with two polarities.
//!
//! Five bytes per event: x, y, then bit 7 = polarity (1: brighter) and 23 bits of microseconds, big-endian
//! (G. Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using saccades", 2015). An
//! event with y = 240 marks an overflow of the sensor's clock: it is no event, and all later times get 2¹³ µs more.
//! Files are read when a sample is asked for, so the size of the set does not matter.

use crate::class_folders::{self, ClassFolders};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use std::fs;
use std::path::{Path, PathBuf};

const SIDE: u32 = 34;
const POLARITIES: u32 = 2;
const OVERFLOW_Y: u8 = 240;
const OVERFLOW_US: u64 = 1 << 13;

/// An N-MNIST folder; see [`nmnist`].
#[derive(Debug, Clone)]
pub struct Nmnist {
    card: Card,
    files: ClassFolders,
}

/// The recordings under `folder`, which is the `Train` or `Test` folder of the set.
///
/// Samples are events on 2,312 channels: channel = (polarity · 34 + y) · 34 + x, brighter after darker. A sample's
/// file is read by `get`, which names it if it is damaged.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no `.bin` files in sub-folders.
pub fn nmnist(folder: &Path) -> Result<Nmnist, DataError> {
    let files = class_folders::list(folder, "bin", "N-MNIST")?;
    let shape = Shape {
        planes: POLARITIES,
        height: SIDE,
        width: SIDE,
    };
    Ok(Nmnist {
        card: files.card(folder, shape),
        files,
    })
}

impl Dataset for Nmnist {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.files.samples[i].1
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let path = &self.files.samples[i].0;
        let bytes = fs::read(path).map_err(|error| DataError::io(path, "read", &error))?;
        let (time_s, channel) = decode(&bytes).map_err(|reason| DataError::Sample {
            file: PathBuf::from(path),
            index: i as u64,
            reason,
            help: "fetch this file again, or remove it".to_owned(),
        })?;
        Ok(Raw::Events {
            time_s,
            channel,
            n_channels: self.n_channels(),
        })
    }
}

/// Times in seconds and channels of the events in `bytes`.
fn decode(bytes: &[u8]) -> Result<(Vec<f64>, Vec<u32>), String> {
    let (events, rest) = bytes.as_chunks::<5>();
    if !rest.is_empty() {
        return Err(format!(
            "{} bytes are no whole number of 5-byte events",
            bytes.len()
        ));
    }
    let mut time_s = Vec::with_capacity(events.len());
    let mut channel = Vec::with_capacity(events.len());
    let mut overflow_us = 0;
    for (at, &[x, y, high, middle, low]) in events.iter().enumerate() {
        if y == OVERFLOW_Y {
            overflow_us += OVERFLOW_US;
            continue;
        }
        if u32::from(x) >= SIDE || u32::from(y) >= SIDE {
            return Err(format!(
                "event {at} is at ({x}, {y}), outside {SIDE} × {SIDE}"
            ));
        }
        let time_us = u64::from(high & 0x7f) << 16 | u64::from(middle) << 8 | u64::from(low);
        time_s.push((time_us + overflow_us) as f64 / 1e6);
        channel.push((u32::from(high >> 7) * SIDE + u32::from(y)) * SIDE + u32::from(x));
    }
    Ok((time_s, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_overflow() {
        let bytes = [
            [3, 2, 0x80, 0x00, 0x0a],
            [0, OVERFLOW_Y, 0, 0, 0],
            [33, 33, 0x01, 0x02, 0x03],
            [0, OVERFLOW_Y, 0, 0, 0],
            [0, 0, 0x7f, 0xff, 0xff],
        ];
        let (time_s, channel) = decode(bytes.as_flattened()).expect("good");
        assert_eq!(
            time_s,
            [
                10e-6,
                (0x01_0203 + 8192) as f64 / 1e6,
                (0x7f_ffff + 16384) as f64 / 1e6
            ]
        );
        assert_eq!(channel, [(34 + 2) * 34 + 3, 33 * 34 + 33, 0]);
    }

    #[test]
    fn damage_is_an_error() {
        assert_eq!(decode(&[]), Ok((Vec::new(), Vec::new())));
        assert!(decode(&[0; 7]).is_err_and(|reason| reason.contains("7 bytes")));
        assert!(
            decode(&[34, 0, 0, 0, 0]).is_err_and(|reason| reason.contains("event 0 is at (34, 0)"))
        );
        assert!(decode(&[0, 99, 0, 0, 0]).is_err_and(|reason| reason.contains("(0, 99)")));
    }
}
