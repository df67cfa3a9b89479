//! IDX files, the format of MNIST and Fashion-MNIST: pictures in one file, labels in another, each plain or gzip.
//!
//! An IDX file is two zero bytes, a type byte (8: unsigned bytes, the only type these sets use), the number of
//! dimensions, each dimension as a big-endian u32, then the elements (Y. LeCun, C. Cortes, C. Burges, MNIST page).

use crate::dataset::{Dataset, Raw};
use crate::error::DataError;
use crate::plain_or_gzip;
use std::path::Path;

/// Pictures and labels of a pair of IDX files; see [`idx_images`].
#[derive(Debug, Clone)]
pub struct IdxImages {
    name: String,
    height: u32,
    width: u32,
    pixels: Vec<u8>,
    labels: Vec<u8>,
    n_classes: u32,
}

/// Reads the pictures of `images` (dimensions: samples, rows, columns) and the labels of `labels`.
///
/// Intensities are byte / 255. The number of classes is the largest label + 1.
///
/// Errors: `DataError::Io`; `DataError::Format` if a file is no IDX file of bytes, has the wrong number of dimensions,
/// is cut off or too long, or if the two differ in their number of samples.
pub fn idx_images(images: &Path, labels: &Path) -> Result<IdxImages, DataError> {
    let (shape, pixels) = read_bytes::<3>(images)?;
    let (label_shape, label_bytes) = read_bytes::<1>(labels)?;
    if shape[0] != label_shape[0] {
        let reason = format!(
            "it has {} labels for the {} pictures of `{}`",
            label_shape[0],
            shape[0],
            images.display()
        );
        return Err(format_error(
            labels,
            reason,
            "give the two files of one set",
        ));
    }
    Ok(IdxImages {
        name: images.display().to_string(),
        height: shape[1],
        width: shape[2],
        pixels,
        n_classes: label_bytes
            .iter()
            .max()
            .map_or(0, |&max| u32::from(max) + 1),
        labels: label_bytes,
    })
}

impl Dataset for IdxImages {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn n_classes(&self) -> u32 {
        self.n_classes
    }

    fn n_channels(&self) -> u32 {
        // `read_bytes` saw that samples × rows × columns bytes are there, so this fits unless there are no samples.
        self.height.saturating_mul(self.width)
    }

    fn label(&self, i: usize) -> u32 {
        u32::from(self.labels[i])
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(&self.name, i, self.len())?;
        let size = self.height as usize * self.width as usize;
        let bytes = &self.pixels[i * size..(i + 1) * size];
        let pixels = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Ok(Raw::Image {
            pixels,
            height: self.height,
            width: self.width,
            channels: 1,
        })
    }
}

/// The dimensions and bytes of an IDX file of `D` dimensions.
fn read_bytes<const D: usize>(path: &Path) -> Result<([u32; D], Vec<u8>), DataError> {
    let bytes = plain_or_gzip::read(path, "IDX")?;
    let fail = |reason: String, help| Err(format_error(path, reason, help));
    let Some((&[zero_0, zero_1, kind, dimensions], rest)) = bytes.split_first_chunk::<4>() else {
        return fail("it is shorter than its header".to_owned(), "fetch it again");
    };
    if zero_0 != 0 || zero_1 != 0 {
        return fail(
            "it does not begin with two zero bytes".to_owned(),
            "check that it is an IDX file",
        );
    }
    if kind != 8 {
        return fail(
            format!("its elements have type {kind:#04x}"),
            "only unsigned bytes (0x08) are read",
        );
    }
    if usize::from(dimensions) != D {
        let reason = format!("it has {dimensions} dimensions, not {D}");
        return fail(
            reason,
            "pictures have 3 dimensions and labels 1; check the order of the two files",
        );
    }
    let Some((header, elements)) = rest.split_at_checked(4 * D) else {
        return fail("it is shorter than its header".to_owned(), "fetch it again");
    };
    let mut shape = [0; D];
    for (side, bytes) in shape.iter_mut().zip(header.chunks_exact(4)) {
        *side = bytes
            .iter()
            .fold(0, |side, &byte| side << 8 | u32::from(byte));
    }
    let expected = shape
        .iter()
        .try_fold(1usize, |product, &side| product.checked_mul(side as usize));
    if expected != Some(elements.len()) {
        let reason = format!(
            "it has {} elements for the dimensions {shape:?}",
            elements.len()
        );
        return fail(reason, "the file is cut off or damaged; fetch it again");
    }
    Ok((shape, elements.to_vec()))
}

fn format_error(file: &Path, reason: String, help: &str) -> DataError {
    DataError::Format {
        file: file.to_path_buf(),
        format: "IDX",
        place: String::new(),
        reason,
        help: help.to_owned(),
    }
}
