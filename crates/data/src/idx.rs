//! IDX files, the format of MNIST and Fashion-MNIST: pictures in one file, labels in another, each plain or gzip.
//!
//! An IDX file is two zero bytes, a type byte (8: unsigned bytes, the only type these sets use), the number of
//! dimensions, each dimension as a big-endian u32, then the elements (Y. LeCun, C. Cortes, C. Burges, MNIST page).

use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::store::Store;
use std::path::Path;

/// Pictures and labels of a pair of IDX files; see [`idx_images`].
#[derive(Debug)]
pub struct IdxImages {
    card: Card,
    height: u32,
    width: u32,
    pixels: Elements<3>,
    labels: Vec<u32>,
}

/// Reads the pictures of `images` (dimensions: samples, rows, columns) and the labels of `labels`.
///
/// The pictures stay on the disk until they are asked for (those of a compressed file are unpacked once), so a set
/// larger than the memory can be used. Intensities are byte / 255. The number of classes is the largest label + 1.
///
/// Errors: `DataError::Io`; `DataError::Format` if a file is no IDX file of bytes, has the wrong number of dimensions,
/// is cut off or too long, or if the two differ in their number of samples.
pub fn idx_images(images: &Path, labels: &Path) -> Result<IdxImages, DataError> {
    let pixels = Elements::<3>::open(images)?;
    let label_elements = Elements::<1>::open(labels)?;
    let (shape, label_shape) = (pixels.shape, label_elements.shape);
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
    let bytes = label_elements.read(0, u64::from(label_shape[0]))?;
    let labels: Vec<u32> = bytes.into_iter().map(u32::from).collect();
    let name = images.display().to_string();
    // The file has samples × rows × columns bytes, so this fits unless there are no samples.
    let channels = shape[1].saturating_mul(shape[2]);
    Ok(IdxImages {
        card: Card::of_labels(name, &labels, Shape::line(channels)),
        height: shape[1],
        width: shape[2],
        pixels,
        labels,
    })
}

impl Dataset for IdxImages {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let size = u64::from(self.height) * u64::from(self.width);
        let bytes = self.pixels.read(i as u64 * size, size)?;
        let pixels = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Ok(Raw::Image {
            pixels,
            height: self.height,
            width: self.width,
            channels: 1,
        })
    }
}

/// An IDX file of bytes in `D` dimensions.
#[derive(Debug)]
struct Elements<const D: usize> {
    store: Store,
    shape: [u32; D],
}

impl<const D: usize> Elements<D> {
    /// Bytes before the first element.
    const HEADER: u64 = 4 + 4 * D as u64;

    fn open(path: &Path) -> Result<Elements<D>, DataError> {
        let store = Store::open_plain_or_gzip(path, "IDX")?;
        let fail = |reason: String, help| Err(format_error(path, reason, help));
        let cut = || fail("it is shorter than its header".to_owned(), "fetch it again");
        let Ok(start) = store.read(0, 4) else {
            return cut();
        };
        if start[..2] != [0, 0] {
            return fail(
                "it does not begin with two zero bytes".to_owned(),
                "check that it is an IDX file",
            );
        }
        let (kind, dimensions) = (start[2], usize::from(start[3]));
        if kind != 8 {
            return fail(
                format!("its elements have type {kind:#04x}"),
                "only unsigned bytes (0x08) are read",
            );
        }
        if dimensions != D {
            return fail(
                format!("it has {dimensions} dimensions, not {D}"),
                "pictures have 3 dimensions and labels 1; check the order of the two files",
            );
        }
        let Ok(sides) = store.read(4, 4 * D as u64) else {
            return cut();
        };
        let mut shape = [0; D];
        for (side, bytes) in shape.iter_mut().zip(sides.chunks_exact(4)) {
            *side = bytes
                .iter()
                .fold(0, |side, &byte| side << 8 | u32::from(byte));
        }
        let found = store.len() - Self::HEADER;
        let expected = shape
            .iter()
            .try_fold(1u64, |product, &side| product.checked_mul(u64::from(side)));
        if expected != Some(found) {
            let reason = format!("it has {found} elements for the dimensions {shape:?}");
            return fail(reason, "the file is cut off or damaged; fetch it again");
        }
        Ok(Elements { store, shape })
    }

    /// `size` elements from the one with the number `first` on.
    fn read(&self, first: u64, size: u64) -> Result<Vec<u8>, DataError> {
        self.store.read_sample(Self::HEADER + first, size)
    }
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
