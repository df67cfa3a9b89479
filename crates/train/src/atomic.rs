//! Files that are replaced whole or not at all.

use std::io::Write as _;
use std::path::Path;

use crate::error::TrainError;

/// How the names of temporary files begin.
pub(crate) const TEMPORARY: &str = ".rheo-";

pub(crate) fn failed(path: &Path, action: &'static str, error: &std::io::Error) -> TrainError {
    TrainError::File {
        path: path.to_path_buf(),
        action,
        reason: error.to_string(),
    }
}

/// Replaces a file: a temporary file beside it is written, flushed to the disk and renamed. Whatever
/// happens in between, the path holds the old content or the new one.
///
/// # Errors
///
/// The folder is missing, not writable or full; the old file is untouched.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = temporary(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        let file = file.persist(path).map_err(|error| error.error)?;
        drop(file);
        // The new name must survive a power cut as well as the content.
        sync_folder(folder)
    };
    write().map_err(|error| failed(path, "write", &error))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file; the system writes names through on its own.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// A temporary file with the permissions of an ordinary one: those that the umask leaves.
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes a folder if there is none and checks that files can be written in it, before hours of work depend on it.
///
/// # Errors
///
/// It cannot be made or written to.
pub fn check_writable(folder: &Path) -> Result<(), TrainError> {
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, "make the folder", &error))?;
    tempfile::tempfile_in(folder).map_err(|error| failed(folder, "write to", &error))?;
    Ok(())
}
