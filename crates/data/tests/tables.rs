//! Readers of arrays, tables, frames, gesture sessions and RAW recordings: known content, damage, and any bytes.

use flate2::{Compression, write::GzEncoder};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;
use rheobase_data::{
    DataError, Dataset, DenseConfig, Raw, csv, dense_npy, dense_npz, dvs_gesture, frames, npz,
    prophesee,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

const PICTURES: DenseConfig = DenseConfig {
    scale: 1.0,
    time: false,
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("inside a folder")).expect("writable");
    fs::write(path, bytes).expect("writable");
}

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("wrong on purpose").to_string()
}

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).expect("as many as the shape says")
}

fn write_npz(path: &Path, arrays: &[(&str, ArrayD<f64>)]) {
    fs::create_dir_all(path.parent().expect("inside a folder")).expect("writable");
    let named = arrays.iter();
    let arrays: BTreeMap<_, _> = named
        .map(|(name, array)| ((*name).to_owned(), array.clone()))
        .collect();
    npz::write(path, &arrays, npz::Precision::F64).expect("writable");
}

/// An NPY file of bytes.
fn npy(shape: &str, order: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn an_archive_of_pictures_or_of_steps() {
    let folder = folder();
    let path = folder.path().join("set.npz");
    let values = array(
        &[2, 2, 3],
        &[0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 1.0],
    );
    let note = array(&[3], &[1.0, 2.0, 3.0]);
    write_npz(
        &path,
        &[
            ("x", values),
            ("labels", array(&[2], &[1.0, 0.0])),
            ("note", note),
        ],
    );
    let set = dense_npz(
        &path,
        DenseConfig {
            scale: 4.0,
            ..PICTURES
        },
    )
    .expect("good");
    assert_eq!(
        (set.labels(), set.n_classes(), set.n_channels()),
        (vec![1, 0], 2, 6)
    );
    let expected = Raw::Image {
        pixels: vec![0.0, 0.0, 1.0, 0.0, 0.0, 0.25],
        height: 2,
        width: 3,
        channels: 1,
    };
    assert_eq!(set.get(1), Ok(expected));
    let unscaled = dense_npz(&path, PICTURES).expect("opens");
    let message = text(unscaled.get(0));
    assert!(
        message.starts_with("sample 0 of `") && message.contains("intensity of 2"),
        "{message}"
    );
    let steps = dense_npz(
        &path,
        DenseConfig {
            time: true,
            ..PICTURES
        },
    )
    .expect("good");
    let Ok(Raw::Spikes(train)) = steps.get(0) else {
        panic!("no spikes");
    };
    assert_eq!((steps.n_channels(), train.steps()), (3, 2));
    assert_eq!(
        train.to_dense(),
        ndarray::array![[0.0, 1.0, 2.0], [3.0, 4.0, 0.0]]
    );
    assert!(text(set.get(2)).contains("does not exist"));
}

#[test]
fn archives_that_are_no_set_are_refused() {
    let folder = folder();
    let path = folder.path().join("set.npz");
    let of = |arrays: &[(&str, ArrayD<f64>)]| {
        write_npz(&path, arrays);
        text(dense_npz(&path, PICTURES))
    };
    let (x, y) = (array(&[2, 1], &[0.0, 1.0]), array(&[2], &[0.0, 1.0]));
    assert!(of(&[("x", x.clone())]).contains("no array `labels`; found: x"));
    assert!(of(&[("y", y.clone())]).contains("found: none"));
    assert!(of(&[("a", x.clone()), ("b", x.clone()), ("y", y)]).contains("found: a, b"));
    assert!(
        of(&[("x", x.clone()), ("y", array(&[2], &[0.0, 0.5]))]).contains("label 0.5 of sample 1")
    );
    assert!(of(&[("x", x), ("y", array(&[2], &[0.0, -1.0]))]).contains("label -1"));
    let flat = array(&[2, 0], &[]);
    assert!(of(&[("x", flat), ("y", array(&[2], &[0.0, 1.0]))]).contains("shape [0]"));
    let zero = dense_npz(
        &path,
        DenseConfig {
            scale: 0.0,
            ..PICTURES
        },
    );
    assert!(text(zero).contains("divided by 0"));
    write(&path, b"garbage");
    assert!(text(dense_npz(&path, PICTURES)).contains("set.npz"));
}

#[test]
fn samples_of_an_npy_file_are_read_where_they_are() {
    let folder = folder();
    let (values, labels) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
    write(&values, &npy("(3, 2)", "False", &[0, 51, 255, 0, 102, 204]));
    write(&labels, &npy("(3,)", "False", &[4, 0, 1]));
    let set = dense_npy(
        &values,
        &labels,
        DenseConfig {
            scale: 255.0,
            ..PICTURES
        },
    )
    .expect("good");
    assert_eq!((set.labels(), set.n_channels()), (vec![4, 0, 1], 2));
    let pixels = |i: usize| match set.get(i) {
        Ok(Raw::Image { pixels, .. }) => pixels,
        other @ (Ok(Raw::Events { .. } | Raw::Spikes(_)) | Err(_)) => panic!("{other:?}"),
    };
    assert_eq!((pixels(0), pixels(2)), (vec![0.0, 0.2], vec![0.4, 0.8]));
    // A file that became shorter after it was opened is an error of the sample, and no panic.
    let whole = fs::read(&values).expect("it is there");
    write(&values, &whole[..whole.len() - 1]);
    assert!(set.get(2).is_err());
    let of = |bytes: &[u8]| {
        write(&values, bytes);
        text(dense_npy(&values, &labels, PICTURES))
    };
    assert!(of(&whole[..whole.len() - 1]).contains("bytes are not the header"));
    assert!(of(&npy("(3, 1099511627776)", "False", &[0; 8])).contains("bytes are not the header"));
    assert!(
        of(&npy("(3, 9223372036854775807)", "False", &[])).contains("bytes are not the header")
    );
    assert!(of(&npy("(2, 2)", "False", &[0; 4])).contains("2 samples for 3 labels"));
    assert!(of(&npy("(3, 2)", "True", &[0; 6])).contains("C order"));
    assert!(of(&npy("()", "False", &[0])).contains("one number"));
    assert!(of(b"\x93NUMPY").contains("ends inside its header"));
}

#[test]
fn tables() {
    let folder = folder();
    let path = folder.path().join("table.csv.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(b"a,b,label\n0,16,3\n4,8,0\n")
        .expect("memory");
    let packed = encoder.finish().expect("memory");
    write(&path, &packed);
    let set = csv(&path, 16.0).expect("good");
    assert_eq!(
        (set.labels(), set.n_classes(), set.n_channels()),
        (vec![3, 0], 4, 2)
    );
    let expected = Raw::Image {
        pixels: vec![0.25, 0.5],
        height: 1,
        width: 2,
        channels: 1,
    };
    assert_eq!(set.get(1), Ok(expected));
    let message = text(csv(&path, 1.0));
    assert!(
        message.contains("line 2, column 2: 16 is not in 0 to 1"),
        "{message}"
    );
    assert!(text(csv(&path, f64::NAN)).contains("data.scale"));
    write(&path, &packed[..packed.len() - 6]);
    assert!(text(csv(&path, 16.0)).contains("gzip"));
}

#[test]
fn folders_of_frames() {
    let folder = folder();
    let good = array(&[2, 1, 1, 3], &[0.0, 2.0, 0.0, 1.0, 0.0, 0.0]);
    write_npz(&folder.path().join("0/1.npz"), &[("frames", good)]);
    let other = array(&[2, 1, 1, 2], &[0.0; 4]);
    write_npz(&folder.path().join("1/1.npz"), &[("frames", other)]);
    write(&folder.path().join("1/2.npz"), b"PK\x03\x04");
    let set = frames(folder.path()).expect("good");
    assert_eq!(
        (set.labels(), set.n_classes(), set.n_channels()),
        (vec![0, 1, 1], 2, 3)
    );
    let Ok(Raw::Spikes(train)) = set.get(0) else {
        panic!("no spikes");
    };
    assert_eq!(
        train.to_dense(),
        ndarray::array![[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]
    );
    assert!(text(set.get(1)).contains("[1, 1, 2], not [1, 1, 3]"));
    assert!(text(set.get(2)).contains("2.npz"));
    write_npz(
        &folder.path().join("0/1.npz"),
        &[("t", array(&[1], &[0.0]))],
    );
    assert!(text(frames(folder.path())).contains("no array `frames`"));
}

fn aedat(events: &[(u32, u32, u32)]) -> Vec<u8> {
    let mut bytes = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n".to_vec();
    bytes.extend([1, 0, 1, 0]);
    let n = events.len() as u32;
    for field in [8, 4, 0, n, n, n] {
        bytes.extend(u32::to_le_bytes(field));
    }
    for &(us, x, y) in events {
        bytes.extend((3 | y << 2 | x << 17).to_le_bytes());
        bytes.extend(us.to_le_bytes());
    }
    bytes
}

#[test]
fn gesture_sessions() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let session = aedat(&[(10, 1, 2), (1500, 3, 4), (2600, 5, 6)]);
    write(&at("user03_led.aedat"), &session);
    let table = "class,startTime_usec,endTime_usec\n1,0,1000\n11,1000,2000\n";
    write(&at("user03_led_labels.csv"), table.as_bytes());
    write(&at("user12_lab.aedat"), &session[..session.len() - 3]);
    write(
        &at("user12_lab_labels.csv"),
        b"class,startTime_usec,endTime_usec\n2,0,1000\n",
    );
    write(&at("trials_to_train.txt"), b"user03_led.aedat\n\n");
    let all = dvs_gesture(folder.path()).expect("good");
    assert_eq!(all.labels(), [0, 10, 1]);
    assert_eq!(
        [all.group(0), all.group(2), all.group(3)],
        [Some(3), Some(12), None]
    );
    assert_eq!((all.n_classes(), all.n_channels()), (11, 32768));
    assert_eq!(all.shape().channels(), 32768);
    let expected = Raw::Events {
        time_s: vec![500e-6],
        channel: vec![(128 + 4) * 128 + 3],
        n_channels: 32768,
    };
    assert_eq!(all.get(1), Ok(expected));
    let damaged = text(all.get(2));
    assert!(
        damaged.contains("user12_lab.aedat") && damaged.contains("sample 2"),
        "{damaged}"
    );
    let listed = dvs_gesture(&at("trials_to_train.txt")).expect("good");
    assert_eq!(listed.labels(), [0, 10]);
    write(&at("user03_led_labels.csv"), b"class,start,end\n12,0,1\n");
    let message = text(dvs_gesture(folder.path()));
    assert!(
        message.contains("line 2: `12,0,1` is no class"),
        "{message}"
    );
    fs::remove_file(at("user03_led_labels.csv")).expect("it is there");
    assert!(text(dvs_gesture(folder.path())).contains("user03_led_labels.csv"));
    assert!(text(dvs_gesture(&at("none"))).contains("none"));
}

#[test]
fn folders_of_raw_recordings() {
    let folder = folder();
    let header = b"% evt 2.0\n% geometry 4x3\n".to_vec();
    let event = (1u32 << 28 | 7 << 22 | 3 << 11 | 2).to_le_bytes();
    write(
        &folder.path().join("a/1.raw"),
        &[&header[..], &event].concat(),
    );
    write(
        &folder.path().join("b/1.raw"),
        &[&header[..], &event[..3]].concat(),
    );
    let set = prophesee(folder.path()).expect("good");
    assert_eq!((set.labels(), set.n_channels()), (vec![0, 1], 24));
    let shape = set.shape();
    assert_eq!((shape.planes, shape.height, shape.width), (2, 3, 4));
    let expected = Raw::Events {
        time_s: vec![0.0],
        channel: vec![(3 + 2) * 4 + 3],
        n_channels: 24,
    };
    assert_eq!(set.get(0), Ok(expected));
    let message = text(set.get(1));
    assert!(
        message.contains("sample 1 of") && message.contains("cut off"),
        "{message}"
    );
    write(&folder.path().join("a/1.raw"), b"RIFF");
    assert!(text(prophesee(folder.path())).contains("no line"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn damaged_arrays_never_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(), time in any::<bool>(),
    ) {
        let folder = folder();
        let (values, labels) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
        let (archive, table) = (folder.path().join("a/x.npz"), folder.path().join("t.csv.gz"));
        let x = array(&[3, 2, 2], &[0.5; 12]);
        write_npz(&archive, &[("frames", x), ("y", array(&[3], &[0.0, 1.0, 2.0]))]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"a,label\n0,1\n1,0\n").expect("memory");
        let damage = |mut bytes: Vec<u8>| {
            for (at, byte) in &hits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(cut.index(2 * bytes.len()).max(1));
            bytes
        };
        write(&values, &damage(npy("(3, 2)", "False", &[1, 0, 1, 1, 0, 0])));
        write(&labels, &npy("(3,)", "False", &[0, 1, 2]));
        write(&archive, &damage(fs::read(&archive).expect("just written")));
        write(&table, &damage(encoder.finish().expect("memory")));
        let config = DenseConfig { scale: 1.0, time };
        // What counts is that every call returns.
        let sets: [Option<Box<dyn Dataset>>; 4] = [
            dense_npy(&values, &labels, config).ok().map(|set| Box::new(set) as _),
            dense_npz(&archive, config).ok().map(|set| Box::new(set) as _),
            frames(folder.path()).ok().map(|set| Box::new(set) as _),
            csv(&table, 1.0).ok().map(|set| Box::new(set) as _),
        ];
        for set in sets.into_iter().flatten() {
            for i in 0..set.len().min(10) {
                let _ = set.get(i);
            }
        }
    }
}
