//! Variable-length lists of an HDF5 file, read one at a time from its global heap.
//!
//! The element of a variable-length data set is a reference: the list's length, the address of a heap collection and
//! the number of an object in it. A collection is `GCOL`, a version, its size, and objects that each have a number, a
//! size and their bytes padded to 8 (HDF5 File Format Specification 3.0, III.E "Global Heap"). The HDF5 library of
//! this crate reads such references but, for lists of numbers, does not follow them.
//!
//! Nothing in the file is trusted: a collection must lie inside the file and an object inside its collection. Addresses
//! and sizes are 8 bytes, as in every file that h5py writes.

use crate::error::DataError;
use crate::store::Store;
use std::path::Path;

/// Where a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListRef {
    length: u32,
    collection: u64,
    object: u32,
}

impl ListRef {
    /// Bytes of a reference.
    pub(super) const SIZE: usize = 16;

    pub(super) fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        ListRef {
            length: little(&bytes[..4]) as u32,
            collection: little(&bytes[4..12]),
            object: little(&bytes[12..]) as u32,
        }
    }
}

/// The heap of one file. Any thread may read.
#[derive(Debug)]
pub(super) struct GlobalHeap {
    file: Store,
    /// Addresses in the file count from here.
    base: u64,
}

impl GlobalHeap {
    pub(super) fn open(path: &Path, base: u64) -> Result<Self, DataError> {
        let file = Store::open(path)?;
        Ok(GlobalHeap { file, base })
    }

    /// The bytes of a list whose elements have `element_size` bytes. Errors are reasons.
    pub(super) fn read(&self, list: ListRef, element_size: usize) -> Result<Vec<u8>, String> {
        if list.length == 0 {
            return Ok(Vec::new());
        }
        let collection = self.collection(list.collection)?;
        let object = object(&collection, list.object)?;
        let expected = list.length as usize * element_size;
        match object.get(..expected) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(format!(
                "the list needs {expected} bytes, but its object has {}",
                object.len()
            )),
        }
    }

    /// All bytes of the collection at `address`, its header included.
    fn collection(&self, address: u64) -> Result<Vec<u8>, String> {
        let outside = || format!("the heap collection at {address} is not inside the file");
        let start = self.base.checked_add(address).ok_or_else(outside)?;
        let header = self
            .file
            .read(start, HEADER as u64)
            .map_err(|_| outside())?;
        if &header[..5] != b"GCOL\x01" {
            return Err(format!("there is no heap collection at {address}"));
        }
        let size = little(&header[8..16]);
        self.file
            .read(start, size.max(HEADER as u64))
            .map_err(|_| outside())
    }
}

/// Bytes of a collection's header, and of an object's.
const HEADER: usize = 16;

/// The bytes of object `number` of a collection.
fn object(collection: &[u8], number: u32) -> Result<&[u8], String> {
    let mut rest = &collection[HEADER..];
    while let Some((header, after)) = rest.split_at_checked(HEADER) {
        let found = little(&header[..2]) as u32;
        let size = usize::try_from(little(&header[8..])).unwrap_or(usize::MAX);
        // Object 0 is the free space at the end.
        if found == 0 {
            break;
        }
        let Some((bytes, _)) = after.split_at_checked(size) else {
            return Err(format!(
                "object {found} of a heap collection is longer than the collection"
            ));
        };
        if found == number {
            return Ok(bytes);
        }
        rest = after.get(size.next_multiple_of(8)..).unwrap_or(&[]);
    }
    Err(format!("a heap collection has no object {number}"))
}

/// A little-endian number of at most 8 bytes.
fn little(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}
