//! Bytes that stay where they are until they are asked for, so that a set larger than the memory can be used: a file
//! on the disk, or what a compressed one holds, unpacked once.
//!
//! Positions inside compressed bytes cannot be found without unpacking all before them. What is unpacked is kept in
//! memory up to [`IN_MEMORY`] and in a nameless temporary file beyond, in the folder for temporary files (`TMPDIR`);
//! the system removes it however the process ends.

use crate::error::DataError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::SpooledTempFile;

/// Unpacked bytes that are kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// Bytes by position. Any thread may read.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    bytes: Mutex<Bytes>,
    length: u64,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Unpacked(SpooledTempFile),
}

impl Store {
    /// The bytes of a file as they are.
    pub(crate) fn open(path: &Path) -> Result<Store, DataError> {
        let failed = |error| DataError::io(path, "read", &error);
        let file = File::open(path).map_err(failed)?;
        // A folder can be opened, and has a length, on some systems.
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let length = file.metadata().map_err(failed)?.len();
        Ok(Store {
            path: path.to_path_buf(),
            bytes: Mutex::new(Bytes::File(file)),
            length,
        })
    }

    /// The bytes of a file of the format `format`, unpacked if it begins with gzip's mark.
    ///
    /// Errors: `DataError::Io`; `DataError::Format` if the compression is damaged.
    pub(crate) fn open_plain_or_gzip(
        path: &Path,
        format: &'static str,
    ) -> Result<Store, DataError> {
        let store = Store::open(path)?;
        if store.read(0, 2).ok().as_deref() != Some(&[0x1f, 0x8b]) {
            return Ok(store);
        }
        let compressed = BufReader::new(store.stream(0));
        let damaged = |error: io::Error| DataError::Format {
            file: path.to_path_buf(),
            format,
            place: String::new(),
            reason: format!("its gzip compression is damaged ({error})"),
            help: "fetch it again".to_owned(),
        };
        Store::unpack(path, MultiGzDecoder::new(compressed), damaged)
    }

    /// What `packed` gives, to its end; `damaged` says what an error of it means.
    pub(crate) fn unpack(
        path: &Path,
        mut packed: impl Read,
        damaged: impl Fn(io::Error) -> DataError,
    ) -> Result<Store, DataError> {
        let no_room = |error: io::Error| DataError::Io {
            path: std::env::temp_dir(),
            action: "unpack a data file into",
            kind: error.kind(),
            reason: error.to_string(),
        };
        let mut unpacked = SpooledTempFile::new(IN_MEMORY);
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let n = packed.read(&mut buffer).map_err(&damaged)?;
            if n == 0 {
                break;
            }
            unpacked.write_all(&buffer[..n]).map_err(no_room)?;
            length += n as u64;
        }
        Ok(Store {
            path: path.to_path_buf(),
            bytes: Mutex::new(Bytes::Unpacked(unpacked)),
            length,
        })
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// `size` bytes from `start` on. Nothing is allocated for bytes that are not there.
    ///
    /// Errors: `UnexpectedEof` if the bytes end before; otherwise the system's.
    pub(crate) fn read(&self, start: u64, size: u64) -> io::Result<Vec<u8>> {
        if start.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; size as usize];
        self.lock()
            .read_at(start, |source| source.read_exact(&mut bytes))?;
        Ok(bytes)
    }

    /// [`Store::read`] for a sample: the error names the file.
    pub(crate) fn read_sample(&self, start: u64, size: u64) -> Result<Vec<u8>, DataError> {
        self.read(start, size)
            .map_err(|error| DataError::io(&self.path, "read", &error))
    }

    /// All bytes from `start` on, one after the other.
    pub(crate) fn stream(&self, start: u64) -> Stream<'_> {
        Stream {
            store: self,
            at: start,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        // A thread that panicked while it read left nothing half-done here: the position is set before each read.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bytes {
    fn read_at<T>(
        &mut self,
        start: u64,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Bytes::File(file) => {
                file.seek(SeekFrom::Start(start))?;
                read(file)
            }
            Bytes::Unpacked(file) => {
                file.seek(SeekFrom::Start(start))?;
                read(file)
            }
        }
    }
}

/// A place in a store; see [`Store::stream`].
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    store: &'a Store,
    at: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self
            .store
            .lock()
            .read_at(self.at, |source| source.read(buffer))?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    #[test]
    fn bytes_are_where_they_are_on_the_disk_in_memory_and_in_a_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let byte = |at: usize| (at % 251) as u8;
        for size in [1000, IN_MEMORY + 1000] {
            let all: Vec<u8> = (0..size).map(byte).collect();
            let plain = folder.path().join("plain");
            let packed = folder.path().join("packed");
            std::fs::write(&plain, &all).expect("written");
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&all).expect("memory");
            std::fs::write(&packed, encoder.finish().expect("memory")).expect("written");
            for path in [&plain, &packed] {
                let store = Store::open_plain_or_gzip(path, "X").expect("opens");
                assert_eq!(store.len(), size as u64);
                for start in [0, 900, size - 100] {
                    let read = store.read(start as u64, 100).expect("inside");
                    let expected: Vec<u8> = (start..start + 100).map(byte).collect();
                    assert_eq!(read, expected);
                }
                assert!(store.read(size as u64 - 99, 100).is_err());
                assert!(store.read(u64::MAX, 100).is_err());
                let mut rest = Vec::new();
                let mut stream = store.stream(size as u64 - 3);
                stream.read_to_end(&mut rest).expect("reads");
                assert_eq!(rest, all[size - 3..]);
            }
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Store::open(folder.path()).expect_err("a folder");
        assert!(error.to_string().contains("cannot read"), "{error}");
    }
}
