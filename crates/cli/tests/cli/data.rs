//! `rheo data info`: what is found out, what is printed, and what damage does.

use ndarray::{ArrayD, IxDyn};

use crate::place::Place;

fn nmnist(place: &Place) {
    // Two recordings (x, y, then polarity and microseconds): events at 1 ms and 50 ms.
    for (digit, bytes) in [
        ("0", [3, 4, 0, 0x03, 0xe8, 5, 6, 0, 0xc3, 0x50]),
        ("3", [3, 4, 0, 0, 1, 0, 0, 0x80, 0, 1]),
    ] {
        let folder = place.path(&format!("events/{digit}"));
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("00001.bin"), bytes).expect("written");
    }
}

#[test]
fn a_folder_of_events_in_numbers() {
    let place = Place::new();
    nmnist(&place);
    let ran = place.ok(&["data", "info", "events"]);
    for line in [
        "format       nmnist\n",
        "samples      2\n",
        "channels     2312\n",
        "classes      4, of 0 to 1 samples\n",
        "duration     0.0000 to 0.0500, median 0.0500 s\n",
        "events       2 to 2, median 2 per sample\n",
    ] {
        assert!(ran.out.contains(line), "{line}{}", ran.out);
    }
    let ran = place.ok(&["data", "info", "events", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(found["classes"], serde_json::json!([1, 0, 0, 1]));
    assert_eq!(
        (&found["kind"], &found["damaged"]),
        (&"events".into(), &0.into())
    );
    assert_eq!(found["duration"]["max"], 0.05);
    assert_eq!(found["silent_channels"], 2309);
}

#[test]
fn damage_is_named_and_the_rest_is_summarised() {
    let place = Place::new();
    nmnist(&place);
    std::fs::write(place.path("events/3/00001.bin"), [1, 2, 3]).expect("written");
    let ran = place.rheo(&["data", "info", "events"]);
    assert_eq!(ran.status, 3, "{}", ran.err);
    assert!(ran.out.contains("damaged      1\n"), "{}", ran.out);
    assert!(
        ran.out
            .contains("sample 1 of `events/3/00001.bin`: 3 bytes"),
        "{}",
        ran.out
    );
    assert!(
        ran.err.contains("1 of 2 samples are damaged"),
        "{}",
        ran.err
    );
}

#[test]
fn formats_are_found_out_or_asked_for() {
    let place = Place::new();
    place.file("table.csv", "a,b,label\n0,1,0\n0.5,0,1\n");
    assert!(
        place
            .ok(&["data", "info", "table.csv"])
            .out
            .contains("format       csv\n")
    );
    let x = ArrayD::from_elem(IxDyn(&[2, 3, 3]), 1.0);
    let y = ArrayD::from_shape_vec(IxDyn(&[2]), vec![0.0, 1.0]).expect("two");
    place.npz("set.npz", &[("x", x), ("labels", y)]);
    let ran = place.ok(&["data", "info", "set.npz"]);
    assert!(
        ran.out.contains("channels     9 (picture of 3 × 3 × 1)\n"),
        "{}",
        ran.out
    );
    let ran = place.ok(&["data", "info", "set.npz", "--time"]);
    assert!(
        ran.out
            .contains("duration     3.0000 to 3.0000, median 3.0000 steps\n"),
        "{}",
        ran.out
    );
    place.file("notes.md", "nothing");
    place.fails(2, &["not recognised"], &["data", "info", "notes.md"]);
    place.fails(3, &["none.h5"], &["data", "info", "none.h5"]);
    place.fails(
        3,
        &["HDF5"],
        &["data", "info", "notes.md", "--format", "shd"],
    );
    place.fails(
        2,
        &["there is no format `tiff`"],
        &["data", "info", "notes.md", "--format", "tiff"],
    );
}

/// Writes a small set in every format; the arguments of `data info` and the name of the format.
fn every_format(place: &Place) -> Vec<(Vec<&'static str>, &'static str)> {
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    };
    let shd = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/tests/fixtures/shd.h5");
    std::fs::copy(shd, place.path("shd.h5")).expect("copied");
    nmnist(place);
    let mut session = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n\x01\x00\x01\x00".to_vec();
    for word in [8u32, 4, 0, 1, 1, 1, 1 | 2 << 2 | 5 << 17, 8500] {
        session.extend(word.to_le_bytes());
    }
    write("dvs/user01_led.aedat", &session);
    write(
        "dvs/user01_led_labels.csv",
        b"class,start,end\n3,5000,9000\n",
    );
    let mut raw = b"% evt 2.0\n% geometry 4x3\n".to_vec();
    for word in [1u32 << 11 | 2, 8 << 28 | 100, 1 << 28 | 3 << 11] {
        raw.extend(word.to_le_bytes());
    }
    write("raw/0/1.raw", &raw);
    write(
        "a-images-idx3",
        &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9],
    );
    write("a-labels-idx1", &[0, 0, 8, 1, 0, 0, 0, 1, 0]);
    let header = |shape: &str| {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
    };
    write("x.npy", &[&header("(1, 2)")[..], &[0, 1]].concat());
    write("y.npy", &[&header("(1,)")[..], &[0]].concat());
    write("table.csv", b"a,b,label\n0,1,0\n");
    let one = |shape: &[usize]| ArrayD::from_elem(IxDyn(shape), 1.0);
    place.npz("set.npz", &[("x", one(&[1, 2])), ("y", one(&[1]))]);
    for folder in ["npz/up", "npz/down", "frames/0"] {
        std::fs::create_dir_all(place.path(folder)).expect("made");
    }
    let columns = ["t", "x", "y", "p"].map(|name| (name, one(&[1])));
    place.npz("npz/up/1.npz", &columns);
    place.npz("npz/down/1.npz", &columns);
    place.npz("frames/0/1.npz", &[("frames", one(&[3, 2, 2]))]);
    vec![
        (vec!["shd.h5"], "shd"),
        (vec!["events"], "nmnist"),
        (vec!["dvs"], "dvs_gesture"),
        (vec!["raw"], "prophesee"),
        (vec!["a-images-idx3"], "idx"),
        (vec!["x.npy", "--labels", "y.npy"], "npy"),
        (vec!["table.csv"], "csv"),
        (vec!["set.npz"], "npz"),
        (vec!["npz", "--height", "2", "--width", "2"], "npz_events"),
        (vec!["frames"], "frames"),
    ]
}

#[test]
fn every_format_is_recognised_and_summarised() {
    let place = Place::new();
    for (args, format) in every_format(&place) {
        let ran = place.ok(&[&["data", "info", "--json"], &args[..]].concat());
        let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(found["format"], format);
        assert!(
            found["samples"].as_u64() > Some(0) && found["kind"].is_string(),
            "{format}"
        );
        assert_eq!(found["damaged"], 0, "{format}");
    }
    let ran = place.ok(&["data", "info", "npz", "--height", "2", "--width", "2"]);
    assert!(ran.out.contains("names        down, up\n"), "{}", ran.out);
}

#[test]
fn files_of_another_format_are_refused_in_words() {
    let place = Place::new();
    let all = every_format(&place);
    place.file("words", "% nothing of the kind\n");
    std::fs::create_dir_all(place.path("empty")).expect("made");
    std::fs::create_dir_all(place.path("words.d/0")).expect("made");
    for end in ["bin", "raw", "npz"] {
        place.file(&format!("words.d/0/1.{end}"), "nothing of the kind");
    }
    let targets = all.iter().map(|(args, _)| args[0]);
    let targets: Vec<&str> = targets
        .chain(["words", "empty", "words.d", "none"])
        .collect();
    let formats = all
        .iter()
        .map(|(_, format)| *format)
        .chain(["ssc", "mnist"]);
    for format in formats {
        for target in &targets {
            let args = ["data", "info", target, "--format", format];
            let sizes = ["--labels", "y.npy", "--height", "2", "--width", "2"];
            let ran = place.rheo(&[&args[..], &sizes].concat());
            assert!(
                [0, 3].contains(&ran.status),
                "{args:?}: {}\n{}",
                ran.status,
                ran.err
            );
            let spoken = !ran.err.contains("panicked") && !ran.err.contains("internal");
            assert!(spoken, "{args:?}: {}", ran.err);
            if ran.status == 3 {
                assert!(ran.err.starts_with("error"), "{args:?}: {}", ran.err);
            }
            let foreign = ["words", "empty", "words.d", "none"].contains(target);
            assert!(!foreign || ran.status == 3, "{args:?} is none: {}", ran.out);
        }
    }
}
