//! A set larger than the memory can be used: opening one and reading its samples takes memory for a sample and a few
//! bytes per label, in every format. The files are small for that, the limit smaller.

use flate2::{Compression, write::GzEncoder};
use rheobase_data::{Dataset, DenseConfig, Raw, csv, dense_npy, dense_npz, idx_images};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const SAMPLES: usize = 12_000;
const SIDE: usize = 40;
const PIXELS: usize = SIDE * SIDE;
/// What opening and reading may hold at a time; the values of a file are 19 MB or more.
const LIMIT: u64 = 6 << 20;

/// A pixel of a sample, 0 to 255.
fn pixel(sample: usize, at: usize) -> u8 {
    (sample * 7 + at * 3) as u8
}

fn pixels() -> impl Iterator<Item = u8> {
    (0..SAMPLES).flat_map(|sample| (0..PIXELS).map(move |at| pixel(sample, at)))
}

fn labels() -> impl Iterator<Item = u8> {
    (0..SAMPLES).map(|sample| (sample % 10) as u8)
}

fn write(path: &Path, parts: impl Iterator<Item = u8>, head: &[u8]) {
    let mut file = BufWriter::new(File::create(path).expect("writable"));
    file.write_all(head).expect("room");
    parts.for_each(|byte| file.write_all(&[byte]).expect("room"));
    file.flush().expect("room");
}

fn idx_head(sides: &[usize]) -> Vec<u8> {
    let mut head = vec![0, 0, 8, sides.len() as u8];
    sides
        .iter()
        .for_each(|&side| head.extend((side as u32).to_be_bytes()));
    head
}

fn npy_head(shape: &str) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((header.len() as u16).to_le_bytes());
    head.extend(header.as_bytes());
    head
}

fn zipped(path: &Path, members: [&Path; 2], method: CompressionMethod) {
    let mut archive = ZipWriter::new(File::create(path).expect("writable"));
    let options = SimpleFileOptions::default().compression_method(method);
    for member in members {
        let name = member.file_name().expect("a name").to_string_lossy();
        archive.start_file(name, options).expect("room");
        let mut file = File::open(member).expect("written");
        std::io::copy(&mut file, &mut archive).expect("room");
    }
    archive.finish().expect("room");
}

/// Opens a set and reads samples all over it, within the limit.
fn read<D: Dataset>(format: &str, open: impl FnOnce() -> D) {
    let used = allocation_counter::measure(|| {
        let set = open();
        assert_eq!((set.len(), set.n_classes()), (SAMPLES, 10), "{format}");
        for sample in (0..SAMPLES).step_by(97).chain([SAMPLES - 1]) {
            let Ok(Raw::Image { pixels, .. }) = set.get(sample) else {
                panic!("{format}: sample {sample}");
            };
            for at in (0..PIXELS).step_by(13) {
                let expected = f32::from(pixel(sample, at)) / 255.0;
                assert!((pixels[at] - expected).abs() < 1e-6, "{format}");
            }
            assert_eq!(set.label(sample), (sample % 10) as u32);
        }
    });
    let most = used.bytes_max;
    assert!(most < LIMIT, "{format} held {most} bytes at a time");
}

#[test]
fn memory_is_that_of_a_sample_in_every_format() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name);
    let config = DenseConfig {
        scale: 255.0,
        time: false,
    };
    let (images, classes) = (path("a-images-idx3"), path("a-labels-idx1"));
    write(&images, pixels(), &idx_head(&[SAMPLES, SIDE, SIDE]));
    write(&classes, labels(), &idx_head(&[SAMPLES]));
    read("IDX", || idx_images(&images, &classes).expect("good"));

    let packed = path("b.gz");
    let mut encoder = GzEncoder::new(
        File::create(&packed).expect("writable"),
        Compression::fast(),
    );
    let mut plain = File::open(&images).expect("written");
    std::io::copy(&mut plain, &mut encoder).expect("room");
    encoder.finish().expect("room");
    fs::remove_file(&images).expect("there");
    read("gzip", || idx_images(&packed, &classes).expect("good"));

    let (x, y) = (path("x.npy"), path("y.npy"));
    let shape = format!("({SAMPLES}, {SIDE}, {SIDE})");
    write(&x, pixels(), &npy_head(&shape));
    write(&y, labels(), &npy_head(&format!("({SAMPLES},)")));
    read("NPY", || dense_npy(&x, &y, config).expect("good"));
    let archive = path("set.npz");
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        zipped(&archive, [&x, &y], method);
        let format = format!("NPZ {method}");
        read(&format, || dense_npz(&archive, config).expect("good"));
    }
    [&x, &archive]
        .iter()
        .for_each(|path| fs::remove_file(path).expect("there"));

    let table = path("table.csv");
    let mut file = BufWriter::new(File::create(&table).expect("writable"));
    for (sample, label) in labels().enumerate() {
        for at in 0..PIXELS {
            write!(file, "{},", pixel(sample, at)).expect("room");
        }
        writeln!(file, "{label}").expect("room");
    }
    file.flush().expect("room");
    drop(file);
    read("CSV", || csv(&table, 255.0).expect("good"));
}
