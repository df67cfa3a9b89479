//! Data sets that are folders: one sub-folder per class, one file per sample.
//!
//! The order is that of the names, never that of the file system, so that sample i is the same on every machine.

use crate::dataset::Card;
use crate::error::DataError;
use crate::layout::Shape;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder of class folders.
#[derive(Debug, Clone)]
pub(crate) struct ClassFolders {
    /// File and label of each sample, by class and then by name.
    pub(crate) samples: Vec<(PathBuf, u32)>,
    /// The largest label + 1.
    n_classes: u32,
    /// The names of the sub-folders, if they are no numbers.
    class_names: Vec<String>,
}

impl ClassFolders {
    /// The card of the folder as a data set.
    pub(crate) fn card(&self, folder: &Path, shape: Shape) -> Card {
        Card {
            class_names: self.class_names.clone(),
            ..Card::new(
                folder.display().to_string(),
                self.samples.len(),
                self.n_classes,
                shape,
            )
        }
    }
}

/// Lists the files with the extension `extension` in the sub-folders of `folder`.
///
/// If every sub-folder's name is a number, it is the label; otherwise the sub-folders are numbered in the order of
/// their names. Errors: `DataError::Io`; `DataError::Format` if there are no such files.
pub(crate) fn list(
    folder: &Path,
    extension: &str,
    format: &'static str,
) -> Result<ClassFolders, DataError> {
    let mut classes: Vec<PathBuf> = entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    let number = |path: &PathBuf| {
        path.file_name()?
            .to_str()?
            .parse::<u32>()
            .ok()
            .filter(|&n| n < u32::MAX)
    };
    let numbers: Option<Vec<u32>> = classes.iter().map(number).collect();
    let class_names = match numbers {
        Some(_) => Vec::new(),
        None => classes.iter().map(|class| name(class)).collect(),
    };
    let labels = numbers.unwrap_or_else(|| (0..classes.len() as u32).collect());
    let mut samples = Vec::new();
    for (class, label) in classes.drain(..).zip(labels) {
        let files = entries(&class)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|found| found == extension));
        samples.extend(files.map(|file| (file, label)));
    }
    if samples.is_empty() {
        return Err(no_samples(folder, extension, format));
    }
    samples.sort_by(|(left_file, left), (right_file, right)| {
        (left, left_file).cmp(&(right, right_file))
    });
    let n_classes = samples.last().map_or(0, |(_, label)| label + 1);
    Ok(ClassFolders {
        samples,
        n_classes,
        // The last folders may be without samples.
        class_names: class_names.into_iter().take(n_classes as usize).collect(),
    })
}

fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::io(folder, "read", &error);
    let list = fs::read_dir(folder).map_err(failed)?;
    let mut paths = list
        .map(|entry| Ok(entry.map_err(failed)?.path()))
        .collect::<Result<Vec<_>, DataError>>()?;
    paths.sort();
    Ok(paths)
}

fn no_samples(folder: &Path, extension: &str, format: &'static str) -> DataError {
    let parts = ["Train", "Test", "train", "test"]
        .into_iter()
        .filter(|part| folder.join(part).is_dir());
    let parts: Vec<String> = parts
        .map(|part| format!("`{}`", folder.join(part).display()))
        .collect();
    let help = if parts.is_empty() {
        format!("give a folder with one sub-folder of `.{extension}` files per class")
    } else {
        format!("give one of {}", parts.join(", "))
    };
    let reason = format!("no sub-folder has a `.{extension}` file");
    DataError::Format {
        file: folder.to_path_buf(),
        format,
        place: String::new(),
        reason,
        help,
    }
}
