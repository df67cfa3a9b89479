//! Spiking Heidelberg Digits and Spiking Speech Commands: HDF5 files of the Zenke lab.
//!
//! `/spikes/times` (variable-length lists of seconds, usually 16-bit floats), `/spikes/units` (variable-length lists of
//! 0..699), `/labels`, and if they are there `/extra/speaker` and `/extra/keys` (names of the classes); B. Cramer et
//! al., "The Heidelberg spiking data sets for the systematic evaluation of spiking neural networks", 2020.
//!
//! Times are widened to f64 before anything is done with them, and times that are not finite are dropped with their
//! unit: some files of the set hold infinities where 16 bits overflowed. The lists stay on disk until a sample is asked
//! for; only their places are kept, so a set larger than the memory can be used.

mod global_heap;

use crate::dataset::{Card, Dataset, Raw};
use crate::element::{Element, Kind};
use crate::error::DataError;
use crate::layout::Shape;
use global_heap::{GlobalHeap, ListRef};
use hdf5_pure::{Datatype, DatatypeByteOrder};
use std::path::{Path, PathBuf};

/// Cochlea channels of both sets.
const UNITS: u32 = 700;

/// An SHD or SSC file; see [`shd`].
#[derive(Debug)]
pub struct Shd {
    path: PathBuf,
    card: Card,
    heap: GlobalHeap,
    times: Lists,
    units: Lists,
    labels: Vec<u32>,
    speakers: Option<Vec<u32>>,
}

/// A data set of variable-length lists: the type of the elements and where each list is.
#[derive(Debug)]
struct Lists {
    element: Element,
    refs: Vec<ListRef>,
}

/// Opens an SHD or SSC file: samples are events on 700 channels, groups are speakers.
///
/// The number of classes is the number of `/extra/keys`, or the largest label + 1 without them. A damaged list is an
/// error of `get` for its sample.
///
/// Errors: `DataError::Io`; `DataError::Format` if it is no HDF5 file, lacks one of the data sets (the message lists
/// what is there), or they have other types or lengths than described above.
pub fn shd(path: &Path) -> Result<Shd, DataError> {
    // Asked first for the operating system's own error, which names the reason better than the library does.
    let metadata = std::fs::File::open(path).and_then(|file| file.metadata());
    let file_size = metadata
        .map_err(|error| DataError::io(path, "read", &error))?
        .len();
    let file = hdf5_pure::File::open_streaming(path).map_err(|error| unreadable(path, &error))?;
    let reader = Reader {
        path,
        file,
        file_size,
    };
    let labels = reader.whole_numbers("/labels")?;
    let n = labels.len();
    let times = reader.lists("/spikes/times", n)?;
    let units = reader.lists("/spikes/units", n)?;
    let speakers = match reader.has("extra", "speaker") {
        true => Some(reader.whole_numbers("/extra/speaker")?),
        false => None,
    };
    if let Some(speakers) = speakers.as_ref().filter(|speakers| speakers.len() != n) {
        return Err(reader.bad(
            "/extra/speaker",
            format!("{} speakers for {n} labels", speakers.len()),
        ));
    }
    let largest = labels.iter().max().map_or(0, |&max| max.saturating_add(1));
    let n_classes = reader.n_keys()?.unwrap_or(largest);
    let class_names = reader.keys(n_classes);
    if let Some(at) = labels.iter().position(|&label| label >= n_classes) {
        return Err(reader.bad(
            "/labels",
            format!("label {} of sample {at} has no key", labels[at]),
        ));
    }
    let base = reader.file.superblock().base_address.get();
    let heap = GlobalHeap::open(path, base)?;
    let name = path.display().to_string();
    Ok(Shd {
        path: path.to_path_buf(),
        card: Card {
            class_names,
            ..Card::new(name, n, n_classes, Shape::line(UNITS))
        },
        heap,
        times,
        units,
        labels,
        speakers,
    })
}

impl Dataset for Shd {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let damaged = |reason| DataError::Sample {
            file: self.path.clone(),
            index: i as u64,
            reason,
            help: "the file is damaged or cut off; fetch it again".to_owned(),
        };
        let times = self
            .list(&self.times, i)
            .map_err(|reason| damaged(format!("times: {reason}")))?;
        let units = self
            .list(&self.units, i)
            .map_err(|reason| damaged(format!("units: {reason}")))?;
        if times.len() != units.len() {
            return Err(damaged(format!(
                "{} times for {} units",
                times.len(),
                units.len()
            )));
        }
        if let Some(at) = units
            .iter()
            .position(|unit| !(0.0..f64::from(UNITS)).contains(unit))
        {
            return Err(damaged(format!(
                "spike {at} is on unit {} of {UNITS}",
                units[at]
            )));
        }
        let spikes = times
            .into_iter()
            .zip(units)
            .filter(|(time, _)| time.is_finite());
        let (time_s, channel) = spikes.map(|(time, unit)| (time, unit as u32)).unzip();
        Ok(Raw::Events {
            time_s,
            channel,
            n_channels: UNITS,
        })
    }

    fn group(&self, i: usize) -> Option<u32> {
        self.speakers.as_ref()?.get(i).copied()
    }
}

impl Shd {
    fn list(&self, lists: &Lists, i: usize) -> Result<Vec<f64>, String> {
        let bytes = self.heap.read(lists.refs[i], lists.element.size())?;
        Ok(lists.element.values(&bytes).collect())
    }
}

/// An open file with its path, for the messages.
struct Reader<'a> {
    path: &'a Path,
    file: hdf5_pure::File,
    file_size: u64,
}

impl Reader<'_> {
    fn bad(&self, place: &str, reason: String) -> DataError {
        format_error(
            self.path,
            place,
            reason,
            "give an SHD or SSC file of the Zenke lab, or one with its layout",
        )
    }

    /// A data set whose shape is believable: the HDF5 library allocates what the shape says before it reads, so a
    /// damaged shape must be found first. Deflate cannot shrink data to less than a 1032nd, which bounds what the file
    /// can hold.
    fn dataset(&self, name: &str) -> Result<hdf5_pure::Dataset, DataError> {
        let dataset = self.find(name)?;
        let shape = dataset
            .shape()
            .map_err(|error| self.bad(name, error.to_string()))?;
        let count = shape
            .iter()
            .try_fold(1u64, |count, &side| count.checked_mul(side));
        let bytes = count.and_then(|count| count.checked_mul(ListRef::SIZE as u64));
        if bytes.is_none_or(|bytes| bytes > self.file_size.saturating_mul(1032)) {
            return Err(self.bad(
                name,
                format!("a shape of {shape:?} does not fit into the file"),
            ));
        }
        Ok(dataset)
    }

    fn find(&self, name: &str) -> Result<hdf5_pure::Dataset, DataError> {
        self.file.dataset(name).map_err(|_| {
            let reason = format!(
                "no data set `{name}`; found: {}",
                self.inventory().join(", ")
            );
            self.bad("", reason)
        })
    }

    fn has(&self, group: &str, name: &str) -> bool {
        let names = self.file.group(group).and_then(|group| group.datasets());
        names.is_ok_and(|names| names.iter().any(|found| found == name))
    }

    /// The data sets of the root and of its groups.
    fn inventory(&self) -> Vec<String> {
        let root = self.file.root();
        let named = |prefix: &str, names: Vec<String>| {
            names
                .into_iter()
                .map(move |name| format!("{prefix}/{name}"))
                .collect::<Vec<_>>()
        };
        let mut found = named("", root.datasets().unwrap_or_default());
        for group in root.groups().unwrap_or_default() {
            let names = root
                .group(&group)
                .and_then(|group| group.datasets())
                .unwrap_or_default();
            found.extend(named(&format!("/{group}"), names));
        }
        found.sort();
        found
    }

    /// A data set of numbers in 0..u32::MAX.
    fn whole_numbers(&self, name: &str) -> Result<Vec<u32>, DataError> {
        let numbers = self
            .dataset(name)?
            .read_i64()
            .map_err(|error| self.bad(name, error.to_string()))?;
        let narrow = |(at, number): (usize, i64)| {
            let narrow = u32::try_from(number)
                .ok()
                .filter(|&number| number < u32::MAX);
            narrow.ok_or_else(|| self.bad(name, format!("element {at} is {number}")))
        };
        numbers.into_iter().enumerate().map(narrow).collect()
    }

    fn n_keys(&self) -> Result<Option<u32>, DataError> {
        if !self.has("extra", "keys") {
            return Ok(None);
        }
        let shape = self
            .dataset("/extra/keys")?
            .shape()
            .map_err(|error| self.bad("/extra/keys", error.to_string()))?;
        Ok(shape.first().and_then(|&length| u32::try_from(length).ok()))
    }

    /// The names of the classes; none if they are no strings or not one for each.
    fn keys(&self, n_classes: u32) -> Vec<String> {
        let has = self.has("extra", "keys");
        let read = has.then(|| self.dataset("/extra/keys").ok()?.read_string().ok());
        let names = read.flatten().unwrap_or_default();
        match names.len() == n_classes as usize {
            true => names,
            false => Vec::new(),
        }
    }

    /// A data set of `n` variable-length lists of numbers.
    fn lists(&self, name: &str, n: usize) -> Result<Lists, DataError> {
        let dataset = self.dataset(name)?;
        let datatype = dataset
            .datatype()
            .map_err(|error| self.bad(name, error.to_string()))?;
        let Some(element) = list_element(&datatype) else {
            return Err(self.bad(
                name,
                "its elements are not variable-length lists of numbers".to_owned(),
            ));
        };
        let bytes = dataset
            .read_raw()
            .map_err(|error| self.bad(name, error.to_string()))?;
        let (refs, rest) = bytes.as_chunks::<{ ListRef::SIZE }>();
        if refs.len() != n || !rest.is_empty() {
            return Err(self.bad(name, format!("{} lists for {n} labels", refs.len())));
        }
        Ok(Lists {
            element,
            refs: refs.iter().map(ListRef::parse).collect(),
        })
    }
}

/// The element type of a variable-length list of numbers; `None` for any other type.
fn list_element(datatype: &Datatype) -> Option<Element> {
    let Datatype::VariableLength {
        is_string: false,
        base_type,
        ..
    } = datatype
    else {
        return None;
    };
    let is_big = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Some(false),
        DatatypeByteOrder::BigEndian => Some(true),
        DatatypeByteOrder::Vax => None,
    };
    if let Datatype::FloatingPoint {
        size,
        byte_order,
        layout,
    } = base_type.as_ref()
    {
        // The exponent's width tells IEEE 754 from other formats of the same size (bfloat16 has 8 bits).
        let exponent = match size {
            2 => 5,
            4 => 8,
            8 => 11,
            _ => return None,
        };
        let is_ieee = layout.exponent_size == exponent;
        return Element::new(Kind::Float, *size as usize, is_big(byte_order)?).filter(|_| is_ieee);
    }
    if let Datatype::FixedPoint {
        size,
        byte_order,
        layout,
    } = base_type.as_ref()
    {
        let kind = if layout.signed {
            Kind::Signed
        } else {
            Kind::Unsigned
        };
        return Element::new(kind, *size as usize, is_big(byte_order)?);
    }
    None
}

fn unreadable(path: &Path, error: &hdf5_pure::Error) -> DataError {
    format_error(
        path,
        "",
        error.to_string(),
        "check that it is a whole HDF5 file (unpack it first if it is zipped)",
    )
}

fn format_error(path: &Path, place: &str, reason: String, help: &str) -> DataError {
    DataError::Format {
        file: path.to_path_buf(),
        format: "SHD",
        place: place.to_owned(),
        reason,
        help: help.to_owned(),
    }
}
