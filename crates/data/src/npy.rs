//! One NumPy array in NPY form (versions 1.0 to 3.0): header, then the elements.
//!
//! The format is `\x93NUMPY`, two version bytes, the header's length, the header (a Python dictionary with `descr`,
//! `fortran_order` and `shape`), the elements; see `numpy.lib.format`. The shape in the header is not trusted: memory
//! grows with the bytes that are really there, so a damaged header is an error and not an allocation of any size.
//!
//! Errors are plain reasons; `npz` and the readers add the file.

use crate::element::Element;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use std::io::{self, Read, Write};

/// Longest header that is believed. NumPy itself refuses above 10,000 characters unless told otherwise.
const MAX_HEADER: usize = 1 << 20;

/// What an NPY header says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// NumPy's type string, as `<f8`.
    pub(crate) descr: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
    /// Bytes before the first element.
    pub(crate) bytes: u64,
}

/// Width of the numbers to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats (values are rounded).
    F32,
    /// 64-bit floats (values are kept to the last bit).
    F64,
}

impl Header {
    /// The element type, if it is a number or a bool (no string, object, complex, time or structure).
    pub(crate) fn element(&self) -> Option<Element> {
        Element::from_descr(&self.descr)
    }

    /// Bytes of all elements of a type; `None` if a number cannot say it.
    pub(crate) fn size(&self, element: Element) -> Option<u64> {
        let sides = self.shape.iter().map(|&side| side as u64);
        let mut sides = sides.chain([element.size() as u64]);
        sides.try_fold(1u64, |product, side| product.checked_mul(side))
    }
}

/// Reads the header; the reader is then at the first element.
pub(crate) fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let mut start = [0; 8];
    read_exact(reader, &mut start)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err("it does not begin with the NPY mark".to_owned());
    }
    let (before, length) = match start[6] {
        1 => {
            let mut length = [0; 2];
            read_exact(reader, &mut length)?;
            (10, usize::from(u16::from_le_bytes(length)))
        }
        2 | 3 => {
            let mut length = [0; 4];
            read_exact(reader, &mut length)?;
            (12, u32::from_le_bytes(length) as usize)
        }
        other => return Err(format!("NPY version {other} is unknown")),
    };
    if length > MAX_HEADER {
        return Err(format!("a header of {length} bytes is not believable"));
    }
    let mut header = vec![0; length];
    read_exact(reader, &mut header)?;
    let text = String::from_utf8_lossy(&header);
    let mut cursor = Cursor { rest: &text };
    cursor
        .header(before + length as u64)
        .ok_or_else(|| format!("the header is not understood: {}", text.trim()))
}

/// Reads the elements after `header` as f64, in standard (C) layout.
pub(crate) fn read_elements(
    header: &Header,
    element: Element,
    reader: impl Read,
) -> Result<ArrayD<f64>, String> {
    let too_large = || format!("the shape {:?} is too large", header.shape);
    let expected = header.size(element);
    let expected = expected.and_then(|size| usize::try_from(size).ok());
    let expected = expected.ok_or_else(too_large)?;
    let mut bytes = Vec::new();
    // One byte more than expected shows that there is more.
    let limit = expected as u64 + 1;
    reader
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() < expected {
        return Err(format!("it ends after {} of {expected} bytes", bytes.len()));
    }
    if bytes.len() > expected {
        return Err(format!(
            "it goes on after the {expected} bytes of its shape"
        ));
    }
    let values: Vec<f64> = element.values(&bytes).collect();
    let shape = IxDyn(&header.shape).set_f(header.fortran_order);
    let array = ArrayD::from_shape_vec(shape, values).map_err(|_| too_large())?;
    Ok(array.as_standard_layout().into_owned())
}

/// Writes `array` in C order, little endian, version 1.0.
pub(crate) fn write(
    array: &ArrayD<f64>,
    precision: Precision,
    mut writer: impl Write,
) -> io::Result<()> {
    let descr = match precision {
        Precision::F32 => "<f4",
        Precision::F64 => "<f8",
    };
    let sides: Vec<String> = array
        .shape()
        .iter()
        .map(|side| format!("{side},"))
        .collect();
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        sides.join(" ")
    );
    // The elements start at a multiple of 64, and the header ends with a new line.
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let too_long = |_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "an array of that many dimensions cannot be written",
        )
    };
    let length = u16::try_from(header.len()).map_err(too_long)?;
    writer.write_all(b"\x93NUMPY\x01\x00")?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(header.as_bytes())?;
    for &value in array {
        match precision {
            Precision::F32 => writer.write_all(&(value as f32).to_le_bytes())?,
            Precision::F64 => writer.write_all(&value.to_le_bytes())?,
        }
    }
    writer.flush()
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), String> {
    reader
        .read_exact(buffer)
        .map_err(|error| match error.kind() == io::ErrorKind::UnexpectedEof {
            true => "it ends inside its header".to_owned(),
            false => error.to_string(),
        })
}

/// Reads the Python dictionary of a header; each method takes what it reads off the front, or gives `None`.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn header(&mut self, bytes: u64) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.token("{")?;
        while self.token("}").is_none() {
            let key = self.quoted()?;
            self.token(":")?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return None,
            }
            if self.token(",").is_none() {
                self.token("}")?;
                break;
            }
        }
        Some(Header {
            descr: descr?,
            fortran_order: fortran_order?,
            shape: shape?,
            bytes,
        })
    }

    fn token(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let quote = rest
            .chars()
            .next()
            .filter(|&first| first == '\'' || first == '"')?;
        let (text, rest) = rest[1..].split_once(quote)?;
        self.rest = rest;
        Some(text)
    }

    /// A type string, or the whole text of a structured type (a list), which no element type matches.
    fn descr(&mut self) -> Option<String> {
        if let Some(text) = self.quoted() {
            return Some(text.to_owned());
        }
        let rest = self.rest.trim_start();
        let mut depth = 0;
        for (at, character) in rest.char_indices() {
            match character {
                '[' | '(' => depth += 1,
                ']' | ')' => depth -= 1,
                _ => {}
            }
            if depth <= 0 {
                let end = at + character.len_utf8();
                self.rest = &rest[end..];
                return (end > 1).then(|| rest[..end].to_owned());
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<bool> {
        self.token("True")
            .map(|()| true)
            .or_else(|| self.token("False").map(|()| false))
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (inside, rest) = self.rest.split_once(')')?;
        self.rest = rest;
        let sides = inside
            .split(',')
            .map(str::trim)
            .filter(|side| !side.is_empty());
        // Python 2 wrote long integers with an L.
        sides
            .map(|side| side.trim_end_matches('L').parse().ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<ArrayD<f64>, String> {
        let mut reader = bytes;
        let header = read_header(&mut reader)?;
        let element = header
            .element()
            .ok_or_else(|| format!("type {}", header.descr))?;
        read_elements(&header, element, reader)
    }

    fn one(descr: &str, payload: &[u8]) -> Result<f64, String> {
        let array = read(&npy(
            &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (), }}"),
            payload,
        ))?;
        Ok(array[IxDyn(&[])])
    }

    #[test]
    fn every_element_type() {
        assert_eq!(one("|b1", &[1]), Ok(1.0));
        assert_eq!(one("|i1", &[0xfe]), Ok(-2.0));
        assert_eq!(one("|u1", &[0xfe]), Ok(254.0));
        assert_eq!(one("<i2", &(-300i16).to_le_bytes()), Ok(-300.0));
        assert_eq!(one(">i2", &(-300i16).to_be_bytes()), Ok(-300.0));
        assert_eq!(one("<u4", &u32::MAX.to_le_bytes()), Ok(4_294_967_295.0));
        assert_eq!(
            one("<i8", &i64::MIN.to_le_bytes()),
            Ok(-9_223_372_036_854_775_808.0)
        );
        assert_eq!(
            one("<u8", &(1u64 << 53).to_le_bytes()),
            Ok(9_007_199_254_740_992.0)
        );
        assert_eq!(one("<f2", &0x3c00u16.to_le_bytes()), Ok(1.0));
        assert_eq!(one("<f4", &0.1f32.to_le_bytes()), Ok(f64::from(0.1f32)));
        assert_eq!(one(">f8", &0.1f64.to_be_bytes()), Ok(0.1));
    }

    #[test]
    fn other_types_are_named_and_not_read() {
        for descr in [
            "<U417", "|S3", "|O", "<c16", "<M8[ns]", "<f16", "", "<", "é8",
        ] {
            assert_eq!(one(descr, &[]), Err(format!("type {descr}")));
        }
        let structured =
            "{'descr': [('t', '<i8'), ('p', '|b1')], 'fortran_order': False, 'shape': (3,), }";
        assert_eq!(
            read(&npy(structured, &[])),
            Err("type [('t', '<i8'), ('p', '|b1')]".to_owned())
        );
    }

    #[test]
    fn fortran_order_is_turned() {
        let header = "{'shape': (2L, 3), \"fortran_order\": True, 'descr': '|u1'}";
        let array = read(&npy(header, &[1, 4, 2, 5, 3, 6])).expect("good");
        assert_eq!(array.shape(), [2, 3]);
        assert_eq!(array.as_slice(), Some(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]));
    }

    #[test]
    fn damage_is_an_error() {
        let header =
            |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let reason = |bytes: &[u8]| read(bytes).expect_err("damaged on purpose");
        assert!(reason(&npy(&header("(2,)"), &[0; 15])).contains("15 of 16 bytes"));
        assert!(reason(&npy(&header("(2,)"), &[0; 17])).contains("goes on"));
        // Claims of 8 TB and of more than memory can address must cost nothing.
        assert!(reason(&npy(&header("(1099511627776,)"), &[0; 16])).contains("16 of"));
        assert!(reason(&npy(&header("(4611686018427387904, 4)"), &[])).contains("too large"));
        assert!(reason(&npy(&header("(-1,)"), &[])).contains("not understood"));
        assert!(reason(&npy("{'descr': '<f8'}", &[])).contains("not understood"));
        assert!(reason(b"\x93NUMPY\x01\x00\xff\xff{").contains("inside its header"));
        assert!(reason(b"\x93NUMPY\x09\x00").contains("version 9"));
        assert!(reason(b"PK").contains("inside its header"));
        assert!(reason(b"not an array").contains("NPY mark"));
        assert!(reason(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("not believable"));
    }

    #[test]
    fn what_is_written_is_aligned_and_read_back() {
        let scalar = ArrayD::from_elem(IxDyn(&[]), 0.1);
        let cube = ArrayD::from_shape_fn(IxDyn(&[2, 1, 3]), |at| {
            100.0 * at[0] as f64 + at[2] as f64 + 0.1
        });
        for array in [
            scalar,
            cube,
            ArrayD::zeros(IxDyn(&[0])),
            ArrayD::zeros(IxDyn(&[70; 0])),
        ] {
            let mut bytes = Vec::new();
            write(&array, Precision::F64, &mut bytes).expect("memory");
            assert_eq!((bytes.len() - 8 * array.len()) % 64, 0);
            assert_eq!(read(&bytes), Ok(array.clone()));
            bytes.clear();
            write(&array, Precision::F32, &mut bytes).expect("memory");
            assert_eq!(
                read(&bytes),
                Ok(array.mapv(|value| f64::from(value as f32)))
            );
        }
    }
}
