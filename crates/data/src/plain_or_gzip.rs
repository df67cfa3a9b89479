//! Files that may be compressed: a file that begins with gzip's mark is unpacked, any other is as it is.

use crate::error::DataError;
use flate2::read::MultiGzDecoder;
use std::fs;
use std::io::Read;
use std::path::Path;

/// The bytes of a file of the format `format`, unpacked.
///
/// Errors: `DataError::Io`; `DataError::Format` if the compression is damaged.
pub(crate) fn read(path: &Path, format: &'static str) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(|error| DataError::io(path, "read", &error))?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let unpacked = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain);
    unpacked.map_err(|error| DataError::Format {
        file: path.to_path_buf(),
        format,
        place: String::new(),
        reason: format!("its gzip compression is damaged ({error})"),
        help: "fetch it again".to_owned(),
    })?;
    Ok(plain)
}
