//! DVS128 Gesture: AEDAT 3.1 recordings of whole sessions, and for each a table of the gestures in it.
//!
//! `user01_fluorescent.aedat` is one session; `user01_fluorescent_labels.csv` has a line `class,start,end` for each
//! gesture, classes from 1, times in µs (A. Amir et al., "A low power, fully event-based gesture recognition system",
//! 2017). An AEDAT 3.1 file is lines that begin with `#`, then packets: a header of 28 bytes and `number` events.
//! A polarity event (type 1) is 8 bytes: bit 0 valid, bit 1 polarity, 15 bits of y, 15 bits of x, then 31 bits of µs,
//! to which the packet adds 2³¹ for each overflow (iniVation, AEDAT 3.1 specification); all numbers little-endian.
//!
//! A sample is a gesture. Its session is read packet by packet when it is asked for and left after its end, so memory
//! grows with a packet and a gesture and not with the file.

use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const SIDE: u32 = 128;
/// The gestures in the order of their numbers.
const CLASSES: [&str; 11] = [
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
];
/// Longest packet that is believed; the cameras write some 100 kB.
const MAX_PACKET: u64 = 1 << 28;
const FORMAT: &str = "DVS128 Gesture";

/// A folder of sessions; see [`dvs_gesture`].
#[derive(Debug, Clone)]
pub struct DvsGesture {
    card: Card,
    gestures: Vec<Gesture>,
}

#[derive(Debug, Clone, PartialEq)]
struct Gesture {
    session: PathBuf,
    user: u32,
    label: u32,
    start_us: u64,
    end_us: u64,
}

/// The gestures of the sessions that `path` lists (`trials_to_train.txt` of the set), or of all sessions in a folder.
///
/// Samples are events on 32,768 channels: channel = (polarity · 128 + y) · 128 + x, brighter after darker, times from
/// the start of the gesture. Groups are users. A damaged session is an error of `get`.
///
/// Errors: `DataError::Io`; `DataError::Format` if there are no sessions or a table of gestures is damaged.
pub fn dvs_gesture(path: &Path) -> Result<DvsGesture, DataError> {
    let mut gestures = Vec::new();
    for session in sessions(path)? {
        let stem = session.file_stem().unwrap_or_default().to_string_lossy();
        let table = session.with_file_name(format!("{stem}_labels.csv"));
        let text =
            fs::read_to_string(&table).map_err(|error| DataError::io(&table, "read", &error))?;
        let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
        let user = digits.parse().unwrap_or(0);
        for (at, line) in text.lines().enumerate().skip(1) {
            if line.trim().is_empty() {
                continue;
            }
            let [class, start_us, end_us] = whole_numbers(line)
                .filter(|&[class, start, end]| {
                    (1..=CLASSES.len() as u64).contains(&class) && start <= end
                })
                .ok_or_else(|| {
                    let reason = format!(
                        "`{line}` is no class (1 to {}), start and end",
                        CLASSES.len()
                    );
                    format_error(&table, format!("line {}", at + 1), reason, "fetch it again")
                })?;
            gestures.push(Gesture {
                session: session.clone(),
                user,
                label: class as u32 - 1,
                start_us,
                end_us,
            });
        }
    }
    if gestures.is_empty() {
        let help = "give the folder of the `.aedat` files, or a list of their names";
        return Err(format_error(
            path,
            String::new(),
            "it names no gestures".to_owned(),
            help,
        ));
    }
    let shape = Shape {
        planes: 2,
        height: SIDE,
        width: SIDE,
    };
    let name = path.display().to_string();
    let n_classes = CLASSES.len() as u32;
    Ok(DvsGesture {
        card: Card {
            class_names: CLASSES.map(str::to_owned).to_vec(),
            ..Card::new(name, gestures.len(), n_classes, shape)
        },
        gestures,
    })
}

fn sessions(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::io(path, "read", &error);
    if path.is_dir() {
        let list = fs::read_dir(path).map_err(failed)?;
        let list: Result<Vec<PathBuf>, io::Error> = list.map(|entry| Ok(entry?.path())).collect();
        let mut list = list.map_err(failed)?;
        list.retain(|path| path.extension().is_some_and(|found| found == "aedat"));
        list.sort();
        return Ok(list);
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(|name| path.with_file_name(name)).collect())
}

fn whole_numbers<const N: usize>(line: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = line
        .split(',')
        .map(|cell| cell.trim().parse().ok())
        .collect();
    numbers?.try_into().ok()
}

impl Dataset for DvsGesture {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.gestures[i].label
    }

    fn group(&self, i: usize) -> Option<u32> {
        self.gestures.get(i).map(|gesture| gesture.user)
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let gesture = &self.gestures[i];
        let path = &gesture.session;
        let file = File::open(path).map_err(|error| DataError::io(path, "read", &error))?;
        let read = events_between(BufReader::new(file), gesture.start_us, gesture.end_us);
        let (time_s, channel) = read.map_err(|reason| DataError::Sample {
            file: path.clone(),
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

/// Times in seconds after `start_us` and channels of the events in `start_us..=end_us`.
fn events_between(
    mut reader: impl BufRead,
    start_us: u64,
    end_us: u64,
) -> Result<(Vec<f64>, Vec<u32>), String> {
    skip_header(&mut reader)?;
    let (mut time_s, mut channel) = (Vec::new(), Vec::new());
    let mut body = Vec::new();
    while let Some(packet) = Packet::read(&mut reader, &mut body)? {
        if packet.kind != 1 {
            continue;
        }
        for (at, event) in body.chunks_exact(8).enumerate() {
            let (data, us) = (word(event, 0), word(event, 4));
            if data & 1 == 0 {
                continue;
            }
            let us = (u64::from(packet.overflow) << 31) + u64::from(us);
            // Events are in the order of time.
            if us > end_us {
                return Ok((time_s, channel));
            }
            if us < start_us {
                continue;
            }
            let (polarity, y, x) = (data >> 1 & 1, data >> 2 & 0x7fff, data >> 17);
            if x >= SIDE || y >= SIDE {
                return Err(format!(
                    "event {at} of a packet is at ({x}, {y}), outside {SIDE} × {SIDE}"
                ));
            }
            time_s.push((us - start_us) as f64 / 1e6);
            channel.push((polarity * SIDE + y) * SIDE + x);
        }
    }
    Ok((time_s, channel))
}

fn skip_header(reader: &mut impl BufRead) -> Result<(), String> {
    let mut line = Vec::new();
    let mut first = true;
    loop {
        let buffer = reader.fill_buf().map_err(|error| error.to_string())?;
        if buffer.first() != Some(&b'#') {
            return if first {
                Err("it does not begin with `#!AER-DAT3.1`".to_owned())
            } else {
                Ok(())
            };
        }
        line.clear();
        let mut limited = reader.by_ref().take(1 << 16);
        limited
            .read_until(b'\n', &mut line)
            .map_err(|error| error.to_string())?;
        if first && !line.starts_with(b"#!AER-DAT3.") {
            let found = String::from_utf8_lossy(&line[..line.len().min(20)])
                .trim()
                .to_owned();
            return Err(format!("it begins with `{found}`, not with `#!AER-DAT3.1`"));
        }
        first = false;
        if line.starts_with(b"#!END-HEADER") {
            return Ok(());
        }
    }
}

/// What is read of a packet's header.
struct Packet {
    kind: u16,
    overflow: u32,
}

impl Packet {
    /// The next packet, its events into `body`; `None` at the end of the file.
    fn read(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<Option<Packet>, String> {
        if reader
            .fill_buf()
            .map_err(|error| error.to_string())?
            .is_empty()
        {
            return Ok(None);
        }
        let mut header = [0; 28];
        let cut = |_| "it ends inside the header of a packet".to_owned();
        reader.read_exact(&mut header).map_err(cut)?;
        let kind = u16::from_le_bytes([header[0], header[1]]);
        let (size, overflow, number) = (word(&header, 4), word(&header, 12), word(&header, 20));
        let bytes = u64::from(size) * u64::from(number);
        if bytes > MAX_PACKET || (kind == 1 && size != 8) {
            return Err(format!(
                "a packet of {number} events of {size} bytes is not believable"
            ));
        }
        body.clear();
        let read = reader.by_ref().take(bytes).read_to_end(body);
        read.map_err(|error| error.to_string())?;
        if (body.len() as u64) < bytes {
            return Err(format!(
                "it ends after {} of the {bytes} bytes of a packet",
                body.len()
            ));
        }
        Ok(Some(Packet { kind, overflow }))
    }
}

/// The little-endian word at `at`.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn format_error(file: &Path, place: String, reason: String, help: &str) -> DataError {
    DataError::Format {
        file: file.to_path_buf(),
        format: FORMAT,
        place,
        reason,
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(kind: u16, overflow: u32, events: &[(u32, u32, u32, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        let n = events.len() as u32;
        for field in [8, 4, overflow, n, n, n] {
            bytes.extend(field.to_le_bytes());
        }
        for &(us, x, y, polarity) in events {
            bytes.extend((1 | polarity << 1 | y << 2 | x << 17).to_le_bytes());
            bytes.extend(us.to_le_bytes());
        }
        bytes
    }

    fn recording() -> Vec<u8> {
        let mut bytes = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n".to_vec();
        bytes.extend(packet(1, 0, &[(5, 1, 2, 0), (100, 3, 4, 1)]));
        bytes.extend(packet(2, 0, &[(150, 0, 0, 0)]));
        bytes.extend(packet(1, 1, &[(7, 127, 0, 1), (9, 0, 0, 0)]));
        bytes
    }

    #[test]
    fn events_have_their_place_and_time_and_the_overflow() {
        let (time_s, channel) = events_between(&recording()[..], 100, (1 << 31) + 8).expect("good");
        assert_eq!(channel, [(128 + 4) * 128 + 3, 128 * 128 + 127]);
        assert_eq!(time_s, [0.0, ((1u64 << 31) + 7 - 100) as f64 / 1e6]);
    }

    #[test]
    fn damage_is_an_error() {
        let of = |bytes: &[u8]| events_between(bytes, 0, u64::MAX).expect_err("damaged on purpose");
        assert!(of(b"").contains("does not begin"));
        assert!(of(b"#!AER-DAT2.0\r\n").contains("`#!AER-DAT2.0`"));
        let good = recording();
        assert!(of(&good[..good.len() - 1]).contains("15 of the 16 bytes"));
        assert!(of(&[&good[..], &[1, 0]].concat()).contains("header of a packet"));
        let mut huge = packet(1, 0, &[]);
        huge[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(of(&[&good[..], &huge].concat()).contains("not believable"));
        let outside = packet(1, 2, &[(0, 128, 0, 0)]);
        assert!(of(&[&good[..], &outside].concat()).contains("(128, 0)"));
    }

    proptest! {
        #[test]
        fn any_bytes_return(
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
            cut in any::<prop::sample::Index>(), tail in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = recording();
            for (at, byte) in hits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend(&tail);
            let _ = events_between(&bytes[..], 0, u64::MAX);
            let _ = events_between(&tail[..], 0, u64::MAX);
        }
    }
}
