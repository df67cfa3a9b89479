//! Prophesee recordings in RAW form, EVT 2.0 and EVT 3.0: `<folder>/<class>/*.raw`.
//!
//! A file is lines that begin with `%`, among them `% evt 3.0` or `% format EVT3;height=720;width=1280` and
//! `% geometry 1280x720`, then little-endian words (Prophesee, Metavision SDK documentation, "EVT 2.0" and "EVT 3.0").
//! EVT 2.0: words of 32 bits, bits 31–28 their type: 0 and 1 an event (darker, brighter) with 6 bits of µs, 11 of x
//! and 11 of y; 8 the upper 28 bits of the time. EVT 3.0: words of 16 bits that change a state (row, column, time) and
//! let events happen at it, one (type 2) or up to 12 or 8 neighbours (types 4, 5). Triggers and words that a camera
//! adds for itself have no events and are passed over.
//!
//! Read here rather than by a crate: both forms are a few cases of one word each, with no state beyond a sample.

use crate::class_folders::{self, ClassFolders};
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const FORMAT: &str = "Prophesee RAW";

/// A folder of RAW files; see [`prophesee`].
#[derive(Debug, Clone)]
pub struct Prophesee {
    card: Card,
    files: ClassFolders,
}

/// The recordings in the sub-folders of `folder`, one sub-folder per class; all of one sensor, that of the first file.
///
/// Samples are events on 2 · height · width channels: channel = (polarity · height + y) · width + x, brighter after
/// darker, times from the first event's. A sample's file is read by `get`, which names it if it is damaged.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no `.raw` files in sub-folders or the first one does not
/// say the form of its events and the size of its sensor.
pub fn prophesee(folder: &Path) -> Result<Prophesee, DataError> {
    let files = class_folders::list(folder, "raw", FORMAT)?;
    let first = &files.samples[0].0;
    let file = File::open(first).map_err(|error| DataError::io(first, "read", &error))?;
    let header = read_header(&mut BufReader::new(file)).map_err(|reason| DataError::Format {
        file: first.clone(),
        format: FORMAT,
        place: "header".to_owned(),
        reason,
        help: "record it again, or convert it with the vendor's tools".to_owned(),
    })?;
    let shape = Shape {
        planes: 2,
        height: header.height,
        width: header.width,
    };
    Ok(Prophesee {
        card: files.card(folder, shape),
        files,
    })
}

impl Dataset for Prophesee {
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
        let Shape { height, width, .. } = self.shape();
        let (time_s, channel) =
            decode(&bytes, height, width).map_err(|reason| DataError::Sample {
                file: PathBuf::from(path),
                index: i as u64,
                reason,
                help: "record it again, or remove it".to_owned(),
            })?;
        Ok(Raw::Events {
            time_s,
            channel,
            n_channels: self.n_channels(),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Evt2,
    Evt3,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    form: Form,
    height: u32,
    width: u32,
}

/// Reads the lines that begin with `%`; the reader is then at the first word.
fn read_header(reader: &mut impl BufRead) -> Result<Header, String> {
    let (mut form, mut height, mut width) = (None, None, None);
    let mut line = Vec::new();
    loop {
        let next = reader.fill_buf().map_err(|error| error.to_string())?;
        // A line of the header is `% …`; a word of events may begin with the same byte.
        if !next.starts_with(b"% ") {
            break;
        }
        line.clear();
        let mut limited = reader.by_ref().take(1 << 12);
        limited
            .read_until(b'\n', &mut line)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&line[2..]).trim().to_owned();
        if text == "end" {
            break;
        }
        let (key, value) = text.split_once(' ').unwrap_or((&text, ""));
        match key {
            "evt" => form = Some(value.to_owned()),
            "geometry" => {
                let (w, h) = value.split_once('x').unwrap_or((value, ""));
                (width, height) = (w.parse().ok(), h.parse().ok());
            }
            "format" => {
                let mut parts = value.split(';');
                form = parts.next().map(str::to_owned);
                for (name, size) in parts.filter_map(|part| part.split_once('=')) {
                    match name {
                        "height" => height = size.parse().ok(),
                        "width" => width = size.parse().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let form = match form.as_deref() {
        Some("2.0" | "EVT2") => Form::Evt2,
        Some("3.0" | "EVT3") => Form::Evt3,
        Some(other) => {
            return Err(format!(
                "events in form `{other}` are not read, only EVT 2.0 and 3.0"
            ));
        }
        None => return Err("it has no line `% evt` or `% format`".to_owned()),
    };
    // Columns and rows have 11 bits.
    let believable = |side: Option<u32>| side.filter(|side| (1..=2048).contains(side));
    let (Some(height), Some(width)) = (believable(height), believable(width)) else {
        return Err("it does not say the size of the sensor (`% geometry`)".to_owned());
    };
    Ok(Header {
        form,
        height,
        width,
    })
}

/// Times in seconds from the first event and channels of the events of a file.
fn decode(mut bytes: &[u8], height: u32, width: u32) -> Result<(Vec<f64>, Vec<u32>), String> {
    let header = read_header(&mut bytes)?;
    if (header.height, header.width) != (height, width) {
        let (h, w) = (header.height, header.width);
        return Err(format!(
            "its sensor has {w} × {h} pixels, that of the first file {width} × {height}"
        ));
    }
    let mut events = Events {
        height,
        width,
        start_us: None,
        time_s: Vec::new(),
        channel: Vec::new(),
    };
    match header.form {
        Form::Evt2 => evt2(bytes, &mut events)?,
        Form::Evt3 => evt3(bytes, &mut events)?,
    }
    Ok((events.time_s, events.channel))
}

struct Events {
    height: u32,
    width: u32,
    start_us: Option<u64>,
    time_s: Vec<f64>,
    channel: Vec<u32>,
}

impl Events {
    fn push(&mut self, us: u64, x: u32, y: u32, polarity: u32) -> Result<(), String> {
        if x >= self.width || y >= self.height {
            let at = self.time_s.len();
            return Err(format!(
                "event {at} is at ({x}, {y}), outside {} × {}",
                self.width, self.height
            ));
        }
        let start = *self.start_us.get_or_insert(us);
        self.time_s.push((us as f64 - start as f64) / 1e6);
        self.channel
            .push((polarity * self.height + y) * self.width + x);
        Ok(())
    }
}

fn evt2(bytes: &[u8], events: &mut Events) -> Result<(), String> {
    let (words, rest) = bytes.as_chunks::<4>();
    whole(bytes.len(), rest)?;
    let mut high = 0u64;
    for &word in words {
        let word = u32::from_le_bytes(word);
        match word >> 28 {
            kind @ (0 | 1) => {
                let us = high << 6 | u64::from(word >> 22 & 0x3f);
                events.push(us, word >> 11 & 0x7ff, word & 0x7ff, kind)?;
            }
            8 => high = u64::from(word & 0x0fff_ffff),
            _ => {}
        }
    }
    Ok(())
}

fn evt3(bytes: &[u8], events: &mut Events) -> Result<(), String> {
    let (words, rest) = bytes.as_chunks::<2>();
    whole(bytes.len(), rest)?;
    let (mut y, mut base_x, mut base_polarity) = (0u32, 0u32, 0u32);
    let (mut wraps, mut high, mut low) = (0u64, 0u64, 0u64);
    for &word in words {
        let word = u32::from(u16::from_le_bytes(word));
        let us = (wraps << 24) + (high << 12) + low;
        match word >> 12 {
            0 => y = word & 0x7ff,
            2 => events.push(us, word & 0x7ff, y, word >> 11 & 1)?,
            3 => (base_x, base_polarity) = (word & 0x7ff, word >> 11 & 1),
            kind @ (4 | 5) => {
                let n = if kind == 4 { 12 } else { 8 };
                for k in (0..n).filter(|k| word >> k & 1 == 1) {
                    events.push(us, base_x.saturating_add(k), y, base_polarity)?;
                }
                base_x = base_x.saturating_add(n);
            }
            6 => low = u64::from(word & 0xfff),
            8 => {
                let next = u64::from(word & 0xfff);
                // The upper half begins again; a small step back is the camera's jitter and no wrap.
                if high > next + 0x800 {
                    wraps += 1;
                }
                (high, low) = (next, 0);
            }
            _ => {}
        }
    }
    Ok(())
}

fn whole(bytes: usize, rest: &[u8]) -> Result<(), String> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{bytes} bytes after the header are no whole number of words; the file is cut off"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn evt2_file() -> Vec<u8> {
        let mut bytes = b"% evt 2.0\n% geometry 640x480\n% end\n".to_vec();
        let event = |kind: u32, us: u32, x: u32, y: u32| kind << 28 | us << 22 | x << 11 | y;
        for word in [
            8 << 28 | 2,
            event(1, 5, 639, 479),
            10 << 28,
            8 << 28 | 3,
            event(0, 0, 1, 2),
        ] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes
    }

    fn evt3_file() -> Vec<u8> {
        let mut bytes = b"% date 2024\n% format EVT3;height=720;width=1280\n".to_vec();
        // Time 4095 · 4096 + 7, row 9, one event, then neighbours from column 20 on; the time wraps; one of 8 more.
        for word in [
            0x8fffu16, 0x6007, 0x0009, 0x2805, 0x3014, 0x4801, 0x8000, 0x6003, 0x5080, 0xe123,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn evt2_events() {
        let (time_s, channel) = decode(&evt2_file(), 480, 640).expect("good");
        assert_eq!(channel, [(480 + 479) * 640 + 639, 2 * 640 + 1]);
        assert_eq!(time_s, [0.0, (192.0 - 133.0) / 1e6]);
    }

    #[test]
    fn evt3_events_neighbours_and_wraps() {
        let (time_s, channel) = decode(&evt3_file(), 720, 1280).expect("good");
        let at = |x: u32, polarity: u32| (polarity * 720 + 9) * 1280 + x;
        assert_eq!(channel, [at(5, 1), at(20, 0), at(31, 0), at(39, 0)]);
        let wrapped = f64::from((1 << 24) + 3 - (4095 * 4096 + 7)) / 1e6;
        assert_eq!(time_s, [0.0, 0.0, 0.0, wrapped]);
    }

    #[test]
    fn damage_is_an_error() {
        let of = |bytes: &[u8]| decode(bytes, 480, 640).expect_err("damaged on purpose");
        assert!(of(b"").contains("no line"));
        assert!(of(b"% evt 2.1\n% geometry 640x480\n").contains("`2.1`"));
        assert!(of(b"% evt 2.0\n% geometry 0x480\n").contains("size of the sensor"));
        assert!(
            of(b"% evt 2.0\n% geometry 4000000000x4000000000\n").contains("size of the sensor")
        );
        let good = evt2_file();
        assert!(of(&good[..good.len() - 1]).contains("cut off"));
        assert!(of(&evt3_file()).contains("that of the first file"));
        let outside = [&good[..], &(640u32 << 11).to_le_bytes()].concat();
        assert!(of(&outside).contains("event 2 is at (640, 0)"));
    }

    proptest! {
        #[test]
        fn any_bytes_return(
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
            cut in any::<prop::sample::Index>(), tail in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for mut bytes in [evt2_file(), evt3_file()] {
                for (at, byte) in &hits {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes.truncate(cut.index(bytes.len() + 1));
                bytes.extend(&tail);
                let _ = decode(&bytes, 480, 640);
                let _ = decode(&bytes, 720, 1280);
                let _ = decode(&tail, 1, 1);
            }
        }
    }
}
