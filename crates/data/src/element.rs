//! Numbers in files: the types that NPY and HDF5 store, read as f64 whatever their width and byte order.

use crate::half_float::half_to_f32;

/// What the bytes of an element mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte, 0 or not.
    Bool,
    /// Two's complement, 1, 2, 4 or 8 bytes.
    Signed,
    /// 1, 2, 4 or 8 bytes.
    Unsigned,
    /// IEEE 754 binary16, binary32 or binary64.
    Float,
}

/// A numeric element type: kind, bytes, byte order. Only supported widths can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    kind: Kind,
    size: usize,
    big_endian: bool,
}

impl Element {
    /// The type, or `None` if there is no such width of the kind.
    pub(crate) fn new(kind: Kind, size: usize, big_endian: bool) -> Option<Self> {
        let known = match kind {
            Kind::Bool => size == 1,
            Kind::Signed | Kind::Unsigned => matches!(size, 1 | 2 | 4 | 8),
            Kind::Float => matches!(size, 2 | 4 | 8),
        };
        known.then_some(Element {
            kind,
            size,
            big_endian,
        })
    }

    /// The type of a NumPy type string as `<f8`; `None` for strings, objects, complex numbers, times and structures.
    pub(crate) fn from_descr(descr: &str) -> Option<Self> {
        let (big_endian, rest) = match descr.split_at_checked(1)? {
            (">", rest) => (true, rest),
            ("<" | "|" | "=", rest) => (false, rest),
            _ => (false, descr),
        };
        let (kind, size) = rest.split_at_checked(1)?;
        let kind = match kind {
            "b" => Kind::Bool,
            "i" => Kind::Signed,
            "u" => Kind::Unsigned,
            "f" => Kind::Float,
            _ => return None,
        };
        Element::new(kind, size.parse().ok()?, big_endian)
    }

    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// The values in `bytes`, one after the other; a rest shorter than an element is left out. 64-bit integers beyond
    /// 2⁵³ are rounded.
    pub(crate) fn values(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes
            .chunks_exact(self.size)
            .map(move |bytes| self.value(bytes))
    }

    fn value(self, bytes: &[u8]) -> f64 {
        // The word is built from its most significant byte on, whatever the order in the file.
        let join = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        let word = if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        };
        match self.kind {
            Kind::Bool => f64::from(u8::from(word != 0)),
            Kind::Unsigned => word as f64,
            Kind::Signed => {
                let unused = 64 - 8 * self.size as u32;
                ((word << unused) as i64 >> unused) as f64
            }
            Kind::Float if self.size == 2 => f64::from(half_to_f32(word as u16)),
            Kind::Float if self.size == 4 => f64::from(f32::from_bits(word as u32)),
            Kind::Float => f64::from_bits(word),
        }
    }
}
