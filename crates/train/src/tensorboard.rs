//! Event files for TensorBoard: scalars over steps, written as they come.
//!
//! A file is a row of records: length (8 bytes), masked CRC of the length, data, masked CRC of the data, all
//! little-endian (TensorFlow, `tsl/lib/io/record_writer.h`); the CRC is CRC-32C (RFC 3720, B.4). The data is
//! an `Event` in protocol buffers (`event.proto`, `summary.proto`), of which four fields are needed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::atomic::failed;
use crate::error::TrainError;

/// How the names of our files end.
const SUFFIX: &str = ".rheo";

/// An event file that grows.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in a folder, instead of those that were written there before. `time` is in seconds since
    /// 1970; TensorBoard takes it from the name.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written to.
    pub fn create(folder: &Path, time: f64) -> Result<EventFile, TrainError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| failed(folder, "make the folder", &error))?;
        let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, "read", &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("events.out.tfevents.") && name.ends_with(SUFFIX) {
                let path = entry.path();
                std::fs::remove_file(&path).map_err(|error| failed(&path, "replace", &error))?;
            }
        }
        let path = folder.join(format!("events.out.tfevents.{:010}{SUFFIX}", time as u64));
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&path);
        let file = file.map_err(|error| failed(&path, "write", &error))?;
        let mut events = EventFile { path, file };
        let mut event = Vec::new();
        double(&mut event, 1, time);
        bytes(&mut event, 3, b"brain.Event:2");
        events.write(&event)?;
        Ok(events)
    }

    /// Scalars of a step.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn add(
        &mut self,
        step: u64,
        time: f64,
        scalars: &[(String, f64)],
    ) -> Result<(), TrainError> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            key(&mut entry, 2, 5);
            entry.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &entry);
        }
        let mut event = Vec::new();
        double(&mut event, 1, time);
        key(&mut event, 2, 0);
        varint(&mut event, step);
        bytes(&mut event, 5, &summary);
        self.write(&event)
    }

    fn write(&mut self, data: &[u8]) -> Result<(), TrainError> {
        let record = record(data);
        let written = self.file.write_all(&record);
        written.map_err(|error| failed(&self.path, "write", &error))
    }
}

/// Data with its length and checksums.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The checksum as the format stores it: turned and moved, so that a checksum of data with checksums in it
/// stays useful.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = 0u32.wrapping_sub(crc & 1);
            crc = crc >> 1 ^ 0x82f6_3b78 & carry;
        }
    }
    !crc
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the usual check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// Reads a varint.
    fn number(data: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = data[0];
            *data = &data[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        value
    }

    /// The fields of a message: number and content.
    fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        while !data.is_empty() {
            let key = number(&mut data);
            let length = match key & 7 {
                0 => {
                    let value = number(&mut data);
                    found.push((key >> 3, value.to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => number(&mut data) as usize,
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, data[..length].to_vec()));
            data = &data[length..];
        }
        found
    }

    #[test]
    fn a_file_can_be_decoded() {
        let folder = tempfile::tempdir().expect("a folder");
        let tags = [("loss".to_string(), 0.5), ("acc/hid".to_string(), 97.0)];
        for _ in 0..2 {
            // The second time replaces the first.
            let mut file = EventFile::create(folder.path(), 12.0).expect("made");
            file.add(300, 13.5, &tags).expect("written");
        }
        let mut entries = std::fs::read_dir(folder.path()).expect("a folder");
        let path = entries.next().expect("a file").expect("readable").path();
        let whole = std::fs::read(path).expect("readable");
        let mut data = &whole[..];
        let mut events = Vec::new();
        while !data.is_empty() {
            let (length, rest) = data.split_at(8);
            let n = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
            assert_eq!(rest[..4], masked(length).to_le_bytes());
            let body = &rest[4..4 + n];
            assert_eq!(rest[4 + n..8 + n], masked(body).to_le_bytes());
            events.push(fields(body));
            data = &rest[8 + n..];
        }
        assert_eq!(events.len(), 2);
        assert_eq!(events[0][1], (3, b"brain.Event:2".to_vec()));
        assert_eq!(events[1][0], (1, 13.5f64.to_le_bytes().to_vec()));
        assert_eq!(events[1][1], (2, 300u64.to_le_bytes().to_vec()));
        let values = fields(&events[1][2].1);
        let decoded: Vec<(Vec<u8>, f32)> = values
            .iter()
            .map(|(field, value)| {
                assert_eq!(*field, 1);
                let parts = fields(value);
                let bits = parts[1].1[..].try_into().expect("4 bytes");
                (parts[0].1.clone(), f32::from_le_bytes(bits))
            })
            .collect();
        assert_eq!(
            decoded,
            [(b"loss".to_vec(), 0.5), (b"acc/hid".to_vec(), 97.0)]
        );
    }
}
