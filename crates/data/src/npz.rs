//! NPZ archives (NumPy's `savez`): named arrays in, named arrays out.
//!
//! Everything numeric is read as f64, whatever its type, byte order, memory order or compression. Arrays of other
//! types (strings, objects, complex numbers) are skipped and named, because archives made by other tools often carry a
//! note beside the numbers; a damaged array is an error.
//!
//! Writing is atomic: a temporary file in the folder of the target is renamed over it once it is complete and on the
//! disk, so a reader sees the old file or the new one and a failed write leaves nothing behind. The same arrays give
//! the same bytes (no time stamp is stored).

use crate::element::Element;
use crate::error::DataError;
use crate::npy::{self, Header};
use crate::store::Store;
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

pub use crate::npy::Precision;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Numeric arrays by name, in standard (C) layout. 64-bit integers beyond 2⁵³ are rounded.
    pub arrays: BTreeMap<String, ArrayD<f64>>,
    /// Entries that are not numeric arrays.
    pub skipped: Vec<Skipped>,
}

/// An entry that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why: its type, or that it is no array.
    pub reason: String,
}

/// The numeric arrays of the archive at `path`, by name.
///
/// Errors: as [`read_contents`]; also if the archive has entries but none of them is a numeric array.
pub fn read(path: &Path) -> Result<BTreeMap<String, ArrayD<f64>>, DataError> {
    let Contents { arrays, skipped } = read_contents(path)?;
    if arrays.is_empty() && !skipped.is_empty() {
        let list: Vec<String> = skipped
            .iter()
            .map(|entry| format!("`{}` ({})", entry.name, entry.reason))
            .collect();
        let reason = format!("it has no numeric array, only {}", list.join(", "));
        return Err(format_error(
            path,
            "",
            reason,
            "store arrays of numbers or bools",
        ));
    }
    Ok(arrays)
}

/// The numeric arrays of the archive at `path`, and the names of the entries that were skipped.
///
/// Errors: `DataError::Io` if the file cannot be read; `DataError::Format` if it is no ZIP archive or an array in it is
/// damaged, with the array's name.
pub fn read_contents(path: &Path) -> Result<Contents, DataError> {
    let Archive {
        mut file,
        arrays,
        skipped,
    } = Archive::open(path)?;
    let mut contents = Contents {
        arrays: BTreeMap::new(),
        skipped,
    };
    for array in arrays {
        let values = file.read(&array)?;
        contents.arrays.insert(array.name, values);
    }
    Ok(contents)
}

/// Writes the arrays to `path`, compressed, replacing what was there at once or not at all.
///
/// Errors: `DataError::Io` if the folder cannot be written or the disk is full.
pub fn write(
    path: &Path,
    arrays: &BTreeMap<String, ArrayD<f64>>,
    precision: Precision,
) -> Result<(), DataError> {
    let failed = |error: &io::Error| DataError::io(path, "write", error);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    options.prefix(".tmp-").suffix(".npz");
    // A temporary file is private by default; the finished one should have the permissions of any new file.
    #[cfg(unix)]
    options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = options
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    write_archive(temporary.as_file(), arrays, precision)
        .map_err(|error| zip_error(path, "", "write", error))?;
    temporary
        .as_file()
        .sync_all()
        .map_err(|error| failed(&error))?;
    temporary
        .persist(path)
        .map_err(|error| failed(&error.error))?;
    Ok(())
}

fn write_archive(
    file: &File,
    arrays: &BTreeMap<String, ArrayD<f64>>,
    precision: Precision,
) -> Result<(), ZipError> {
    let mut archive = ZipWriter::new(BufWriter::new(file));
    for (name, array) in arrays {
        // An entry of 4 GiB or more needs the long form, which must be known before it is written.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .large_file(array.len() >= 1 << 28);
        archive.start_file(format!("{name}.npy"), options)?;
        npy::write(array, precision, BufWriter::new(&mut archive))?;
    }
    archive.finish()?.flush()?;
    Ok(())
}

/// An archive of which only the headers are read.
pub(crate) struct Archive {
    pub(crate) file: ArchiveFile,
    pub(crate) arrays: Vec<Entry>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A numeric array of an archive.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) element: Element,
    index: usize,
}

/// The file of an [`Archive`].
pub(crate) struct ArchiveFile {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Errors: as [`read_contents`].
    pub(crate) fn open(path: &Path) -> Result<Archive, DataError> {
        let file = File::open(path).map_err(|error| DataError::io(path, "read", &error))?;
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|error| zip_error(path, "", "read", error))?;
        let mut file = ArchiveFile {
            path: path.to_path_buf(),
            zip,
        };
        let (mut arrays, mut skipped) = (Vec::new(), Vec::new());
        for index in 0..file.zip.len() {
            match file.header(index)? {
                Ok(entry) => arrays.push(entry),
                Err(entry) => skipped.push(entry),
            }
        }
        Ok(Archive {
            file,
            arrays,
            skipped,
        })
    }
}

impl ArchiveFile {
    /// The header of an entry, or why it is no numeric array.
    fn header(&mut self, index: usize) -> Result<Result<Entry, Skipped>, DataError> {
        let path = &self.path;
        let mut entry = self
            .zip
            .by_index(index)
            .map_err(|error| zip_error(path, "", "read", error))?;
        let file_name = entry.name().to_owned();
        let skip = |name: &str, reason: String| {
            Ok(Err(Skipped {
                name: name.to_owned(),
                reason,
            }))
        };
        let Some(name) = file_name.strip_suffix(".npy") else {
            return skip(&file_name, "no array".to_owned());
        };
        let header = npy::read_header(&mut entry).map_err(|reason| damaged(path, name, reason))?;
        let Some(element) = header.element() else {
            return skip(name, format!("type {}", header.descr));
        };
        Ok(Ok(Entry {
            name: name.to_owned(),
            header,
            element,
            index,
        }))
    }

    /// The bytes of an entry from its first element on.
    fn elements(&mut self, entry: &Entry) -> Result<ZipFile<'_, BufReader<File>>, DataError> {
        let path = &self.path;
        let found = self.zip.by_index(entry.index);
        let mut file = found.map_err(|error| zip_error(path, "", "read", error))?;
        npy::read_header(&mut file).map_err(|reason| damaged(path, &entry.name, reason))?;
        Ok(file)
    }

    /// The values of an array.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<ArrayD<f64>, DataError> {
        let path = self.path.clone();
        let elements = self.elements(entry)?;
        npy::read_elements(&entry.header, entry.element, elements)
            .map_err(|reason| damaged(&path, &entry.name, reason))
    }

    /// The bytes of an array's elements, to be read in parts, and where they begin: in the archive itself if they are
    /// stored as they are, else unpacked once. All of them are read for it, so their checksum is known to be right.
    pub(crate) fn place(&mut self, entry: &Entry) -> Result<(Store, u64), DataError> {
        let path = self.path.clone();
        let wrong = |reason: String| damaged(&path, &entry.name, reason);
        let mut elements = self.elements(entry)?;
        let start = elements.data_start() + entry.header.bytes;
        let is_stored = elements.compression() == CompressionMethod::Stored;
        let ((store, start), length) = if is_stored {
            let length = io::copy(&mut elements, &mut io::sink());
            let length = length.map_err(|error| wrong(error.to_string()))?;
            ((Store::open(&path)?, start), length)
        } else {
            let store = Store::unpack(&path, elements, |error| wrong(error.to_string()))?;
            let length = store.len();
            ((store, 0), length)
        };
        match entry.header.size(entry.element) {
            Some(size) if size == length => Ok((store, start)),
            Some(size) => Err(wrong(format!(
                "it has {length} bytes for the {size} of its shape"
            ))),
            None => Err(wrong(format!(
                "the shape {:?} is too large",
                entry.header.shape
            ))),
        }
    }
}

fn damaged(path: &Path, name: &str, reason: String) -> DataError {
    format_error(
        path,
        &format!("array `{name}`"),
        reason,
        "write the file again",
    )
}

fn format_error(path: &Path, place: &str, reason: String, help: &str) -> DataError {
    DataError::Format {
        file: path.to_path_buf(),
        format: "NPZ",
        place: place.to_owned(),
        reason,
        help: help.to_owned(),
    }
}

fn zip_error(path: &Path, place: &str, action: &'static str, error: ZipError) -> DataError {
    if let ZipError::Io(error) = &error {
        return DataError::io(path, action, error);
    }
    format_error(
        path,
        place,
        error.to_string(),
        "check that it is an archive made by numpy.savez and is complete",
    )
}
