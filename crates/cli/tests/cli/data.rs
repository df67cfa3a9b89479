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
