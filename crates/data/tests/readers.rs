//! Readers of files: IDX, N-MNIST folders, NPZ events, SHD; known content, damage, and what the messages say.

use flate2::{Compression, write::GzEncoder};
use ndarray::ArrayD;
use proptest::prelude::*;
use rheobase_data::{
    DataError, Dataset, EncodeKey, Encoder, NpzEventsConfig, Raw, idx_images, nmnist, npz,
    npz_events, prophesee, shd,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("inside a folder")).expect("writable");
    fs::write(path, bytes).expect("writable");
}

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("wrong on purpose").to_string()
}

/// An IDX file of bytes.
fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape
        .iter()
        .for_each(|side| bytes.extend(side.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn idx_plain_and_compressed() {
    let folder = folder();
    let (images, labels) = (
        folder.path().join("images.gz"),
        folder.path().join("labels"),
    );
    write(&images, &gzip(&idx(&[2, 1, 3], &[0, 51, 255, 255, 0, 102])));
    write(&labels, &idx(&[2], &[4, 1]));
    let set = idx_images(&images, &labels).expect("good");
    assert_eq!(
        (set.len(), set.n_classes(), set.n_channels(), set.labels()),
        (2, 5, 3, vec![4, 1])
    );
    let expected = Raw::Image {
        pixels: vec![1.0, 0.0, 0.4],
        height: 1,
        width: 3,
        channels: 1,
    };
    assert_eq!(set.get(1), Ok(expected));
    assert!(text(set.get(2)).contains("sample 2 of"));
    assert_eq!(set.group(0), None);
}

#[test]
fn idx_errors_say_what_is_wrong() {
    let folder = folder();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let of = |image_bytes: &[u8], label_bytes: &[u8]| {
        write(&images, image_bytes);
        write(&labels, label_bytes);
        text(idx_images(&images, &labels))
    };
    let (good, good_labels) = (idx(&[2, 1, 1], &[1, 2]), idx(&[2], &[0, 1]));
    assert!(of(&good, &idx(&[3], &[0, 1, 2])).contains("3 labels for the 2 pictures"));
    assert!(of(&good_labels, &good).contains("1 dimensions, not 3"));
    assert!(
        of(&good[..good.len() - 1], &good_labels)
            .contains("1 elements for the dimensions [2, 1, 1]")
    );
    assert!(of(&[good.as_slice(), &[0]].concat(), &good_labels).contains("3 elements"));
    assert!(of(&good[..3], &good_labels).contains("shorter than its header"));
    assert!(of(&good[..9], &good_labels).contains("shorter than its header"));
    assert!(of(b"<html>", &good_labels).contains("two zero bytes"));
    assert!(of(&idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), &good_labels).contains("0 elements"));
    assert!(of(&[0, 0, 13, 3, 0, 0, 0, 0], &good_labels).contains("0x0d"));
    let packed = gzip(&good);
    assert!(of(&packed[..packed.len() - 6], &good_labels).contains("gzip"));
    assert!(text(idx_images(&folder.path().join("none"), &labels)).contains("none"));
}

#[test]
fn nmnist_folders() {
    let folder = folder();
    let train = folder.path().join("Train");
    write(&train.join("7/00002.bin"), &[5, 6, 0x80, 0, 100]);
    write(&train.join("7/00001.bin"), &[]);
    write(&train.join("10/1.bin"), &[0, 0, 0, 0, 1, 0]);
    write(&train.join("2/9.bin"), &[33, 33, 0, 0, 1]);
    write(&train.join("2/notes.txt"), b"not a sample");
    let set = nmnist(&train).expect("good");
    // By digit, not by text: 10 comes last.
    assert_eq!(set.labels(), [2, 7, 7, 10]);
    assert_eq!((set.n_classes(), set.n_channels()), (11, 2312));
    let expected = Raw::Events {
        time_s: vec![1e-4],
        channel: vec![(34 + 6) * 34 + 5],
        n_channels: 2312,
    };
    assert_eq!(set.get(2), Ok(expected));
    let damaged = text(set.get(3));
    assert!(
        damaged.starts_with("sample 3 of `") && damaged.contains("1.bin"),
        "{damaged}"
    );
    assert!(damaged.contains("6 bytes"), "{damaged}");
    let above = text(nmnist(folder.path()));
    assert!(
        above.contains("give one of `") && above.contains("Train"),
        "{above}"
    );
    assert!(text(nmnist(&folder.path().join("none"))).contains("cannot read"));
    // A file that went away after the listing is an error too.
    fs::remove_file(train.join("7/00002.bin")).expect("it is there");
    assert!(text(set.get(2)).contains("cannot read"));
}

fn write_events(path: &Path, columns: &[(&str, &[f64])]) {
    let array = |values: &[f64]| {
        ArrayD::from_shape_vec(vec![values.len()], values.to_vec()).expect("one dimension")
    };
    let arrays: BTreeMap<_, _> = columns
        .iter()
        .map(|(name, values)| ((*name).to_owned(), array(values)))
        .collect();
    fs::create_dir_all(path.parent().expect("inside a folder")).expect("writable");
    npz::write(path, &arrays, npz::Precision::F64).expect("writable");
}

#[test]
fn npz_event_folders() {
    let folder = folder();
    let good: [(&str, &[f64]); 4] = [
        ("t", &[10.0, 20.0]),
        ("x", &[1.0, 2.0]),
        ("y", &[0.0, 1.0]),
        ("p", &[1.0, 0.0]),
    ];
    write_events(&folder.path().join("wave/1.npz"), &good);
    write_events(&folder.path().join("clap/1.npz"), &good[..3]);
    let outside: [(&str, &[f64]); 4] = [good[0], ("x", &[1.0, 3.0]), good[2], good[3]];
    write_events(&folder.path().join("clap/2.npz"), &outside);
    write_events(
        &folder.path().join("clap/3.npz"),
        &[good[0], good[1], ("y", &[0.0]), good[3]],
    );
    write(&folder.path().join("clap/4.npz"), b"garbage");
    let config = NpzEventsConfig {
        height: 2,
        width: 3,
        time_unit_s: 1e-6,
    };
    let set = npz_events(folder.path(), config).expect("good");
    assert_eq!(
        (set.labels(), set.n_classes(), set.n_channels()),
        (vec![0, 0, 0, 0, 1], 2, 12)
    );
    let Ok(Raw::Events {
        time_s,
        channel,
        n_channels: 12,
    }) = set.get(4)
    else {
        panic!("not events on 12 channels");
    };
    assert_eq!(
        (time_s, channel),
        (vec![10.0 * 1e-6, 20.0 * 1e-6], vec![7, 5])
    );
    assert!(text(set.get(0)).contains("no array `p`"));
    assert!(text(set.get(1)).contains("event 1 has x = 3"));
    assert!(text(set.get(2)).contains("[2, 2, 1, 2] elements"));
    assert!(text(set.get(3)).contains("4.npz"));
    assert!(
        npz_events(
            folder.path(),
            NpzEventsConfig {
                height: 0,
                ..config
            }
        )
        .is_err()
    );
    assert!(
        npz_events(
            folder.path(),
            NpzEventsConfig {
                height: 1 << 31,
                ..config
            }
        )
        .is_err()
    );
    assert!(
        npz_events(
            folder.path(),
            NpzEventsConfig {
                time_unit_s: 0.0,
                ..config
            }
        )
        .is_err()
    );
}

#[test]
fn shd_files() {
    let set = shd(&fixture("shd.h5")).expect("h5py wrote it");
    assert_eq!(
        (set.labels(), set.n_classes(), set.n_channels()),
        (vec![1, 0, 2, 1], 5, 700)
    );
    assert_eq!(
        (0..5).map(|i| set.group(i)).collect::<Vec<_>>(),
        [Some(4), Some(4), Some(7), Some(9), None]
    );
    let events = |time_s: &[f64], channel: &[u32]| {
        Ok(Raw::Events {
            time_s: time_s.to_vec(),
            channel: channel.to_vec(),
            n_channels: 700,
        })
    };
    assert_eq!(set.get(0), events(&[0.0625, 0.125, 0.5], &[3, 0, 699]));
    assert_eq!(set.get(1), events(&[], &[]));
    // The infinite and the missing time are dropped with their units.
    assert_eq!(set.get(2), events(&[0.25, 1.399_414_062_5], &[10, 13]));
    let ramp: Vec<f64> = (0..700).map(|k| f64::from(k) / 1024.0).collect();
    assert_eq!(set.get(3), events(&ramp, &(0..700).collect::<Vec<_>>()));
    assert!(text(set.get(4)).contains("does not exist"));
    let key = EncodeKey {
        seed: 0,
        epoch: 0,
        sample: 2,
    };
    let raw = set.get(2).expect("just read");
    let encoded = Encoder::BinSpikes { clip: Some(1) }
        .encode_counted(&raw, 100, 0.01, key)
        .expect("good");
    assert_eq!((encoded.train.n_events(), encoded.dropped), (1, 1));
    assert_eq!(encoded.train.events_at(25).0, [10]);
}

#[test]
fn shd_in_another_byte_order_without_extras() {
    let (set, plain) = (
        shd(&fixture("shd_big_endian.h5")).expect("h5py wrote it"),
        shd(&fixture("shd.h5")),
    );
    let plain = plain.expect("h5py wrote it");
    assert_eq!(
        (set.labels(), set.n_classes(), set.group(0)),
        (plain.labels(), 3, None)
    );
    for i in 0..4 {
        let near = |raw: Result<Raw, DataError>| match raw {
            Ok(Raw::Events {
                time_s, channel, ..
            }) => {
                let scaled = time_s.iter().map(|time| (time * 2048.0).round() as i64);
                (scaled.collect::<Vec<_>>(), channel)
            }
            other @ (Ok(Raw::Image { .. } | Raw::Spikes(_)) | Err(_)) => panic!("{other:?}"),
        };
        assert_eq!(near(set.get(i)), near(plain.get(i)));
    }
}

#[test]
fn shd_errors_say_what_is_there() {
    let other = text(shd(&fixture("other.h5")));
    assert!(
        other.contains("no data set `/spikes/times`; found: /events/p, /events/t, /labels"),
        "{other}"
    );
    assert!(text(shd(&fixture("none.h5"))).contains("check the path"));
    assert!(text(shd(&fixture("README.md"))).contains("HDF5"));
}

#[test]
fn a_truncated_shd_file_is_an_error_when_opened_or_read() {
    let folder = folder();
    let path = folder.path().join("cut.h5");
    let whole = fs::read(fixture("shd.h5")).expect("the fixture");
    for length in (0..whole.len() - 1).step_by(211) {
        write(&path, &whole[..length]);
        let all =
            shd(&path).and_then(|set| (0..set.len()).try_for_each(|i| set.get(i).map(|_| ())));
        assert!(all.is_err(), "{length} of {} bytes", whole.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
    #[test]
    fn damaged_shd_files_never_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let folder = folder();
        let path = folder.path().join("damaged.h5");
        let mut bytes = fs::read(fixture("shd.h5")).expect("the fixture");
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        write(&path, &bytes);
        // Damage may hit a byte that does not matter; what counts is that every call returns.
        if let Ok(set) = shd(&path) {
            for i in 0..set.len() {
                if let Err(error) = set.get(i) {
                    prop_assert!(error.to_string().contains("damaged.h5"));
                }
            }
        }
    }

    #[test]
    fn bytes_of_idx_and_event_files_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let folder = folder();
        // Either any bytes, or good ones with damage.
        let bytes = |good: Vec<u8>| {
            if !whole {
                return noise.clone();
            }
            let mut bytes = good;
            for (at, byte) in &hits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(cut.index(2 * bytes.len()).max(1));
            bytes
        };
        let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
        write(&images, &bytes(idx(&[2, 2, 2], &[7; 8])));
        write(&labels, &bytes(idx(&[2], &[0, 1])));
        let zipped = folder.path().join("images.gz");
        write(&zipped, &bytes(gzip(&idx(&[2, 2, 2], &[7; 8]))));
        let event = folder.path().join("events/3/1.bin");
        write(&event, &bytes(vec![3, 4, 0x80, 0, 9, 0, 240, 0, 0, 0, 5, 6, 0, 1, 2]));
        let raw = folder.path().join("raw/1/a.raw");
        let mut evt3 = b"% evt 3.0\n% geometry 8x8\n% end\n".to_vec();
        evt3.extend([0x00, 0x80, 0x01, 0x60, 0x02, 0x00, 0x03, 0x28]);
        write(&raw, &bytes(evt3));
        // What counts is that every call returns.
        let sets: [Option<Box<dyn Dataset>>; 4] = [
            idx_images(&images, &labels).ok().map(|set| Box::new(set) as _),
            idx_images(&zipped, &labels).ok().map(|set| Box::new(set) as _),
            nmnist(&folder.path().join("events")).ok().map(|set| Box::new(set) as _),
            prophesee(&folder.path().join("raw")).ok().map(|set| Box::new(set) as _),
        ];
        for set in sets.into_iter().flatten() {
            for i in 0..set.len().min(10) {
                if let Ok(raw) = set.get(i) {
                    let channels = set.n_channels();
                    if let Raw::Events { channel, .. } = raw {
                        prop_assert!(channel.iter().all(|&c| c < channels));
                    }
                }
            }
        }
    }
}
