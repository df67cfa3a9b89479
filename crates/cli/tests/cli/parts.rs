//! Training on a part of the data: folds from the command line, and samples that cannot be read.

use crate::place::{Place, fixture};

#[test]
fn a_fold_is_the_split_that_the_language_makes() {
    let place = Place::new();
    let tiny = fixture("tiny.snn");
    let common = [
        "train",
        &tiny,
        "--set",
        "epochs=1",
        "--quiet",
        "--no-report",
    ];
    place.ok(&[&common[..], &["--fold", "1/3"]].concat());
    let set = ["--set", "valid=fold(1, of = 3)", "--out", "written"];
    place.ok(&[&common[..], &set].concat());
    let bytes = |folder: &str| std::fs::read(place.path(&format!("{folder}/best.safetensors")));
    assert!(bytes("runs/tiny-fold1").expect("written") == bytes("written").expect("written"));
    let other = [&common[..], &["--fold", "0/3", "--out", "other"]].concat();
    place.ok(&other);
    assert!(bytes("other").expect("written") != bytes("written").expect("written"));
    for wrong in ["3/3", "1", "0/1", "a/b"] {
        place.fails(2, &["0/5"], &[&common[..], &["--fold", wrong]].concat());
    }
}

#[test]
fn damaged_samples_end_a_run_or_are_left_out_by_name() {
    let place = Place::new();
    for digit in 0..2u8 {
        let folder = place.path(&format!("events/{digit}"));
        std::fs::create_dir_all(&folder).expect("made");
        for i in 1..=6u8 {
            let event = [3 + digit, 4 + i, 0x80, 0x03, 0xe8];
            std::fs::write(folder.join(format!("0000{i}.bin")), event).expect("written");
        }
    }
    let program = r#"import "std/neurons.snn"

network Net {
  step 1 ms
  input inp[2, 34, 34]
  layer out : LI[10]
  connect inp -> out.x : dense(w = normal(0, 0.3))
}

train plan of Net {
  data      = nmnist("events")
  valid     = holdout(0.3)
  duration  = 10 ms
  encode    = bin_spikes()
  loss      = cross_entropy(max_over_time(out.v), label)
  optimizer = adam(lr = 1e-2)
  batch     = 2
  epochs    = 2
}
"#;
    place.file("events.snn", program);
    std::fs::write(place.path("events/1/00002.bin"), [1, 2, 3]).expect("written");
    std::fs::write(place.path("events/1/00005.bin"), [90, 2, 3, 4, 5]).expect("written");
    let args = ["train", "events.snn", "--out", "run", "--plain"];
    place.fails(3, &["error[E0705]: sample ", "events/1/0000"], &args);
    let ran = place.ok(&["train", "--resume", "run", "--skip-corrupted", "--plain"]);
    for words in [
        "left out: sample 7 of ",
        "events/1/00002.bin`: 3 bytes",
        "left out: sample 10 of ",
        "events/1/00005.bin`: event 0 is at (90, 2)",
        "2 samples were left out",
    ] {
        assert!(ran.err.contains(words), "{words}\n{}", ran.err);
        assert_eq!(ran.err.matches(words).count(), 1, "{}", ran.err);
    }
    assert!(
        place
            .text("run/report.html")
            .contains("2 damaged samples were left out")
    );
    // Asked for from the start it is the same run; the folder remembers it.
    let start = [
        "train",
        "events.snn",
        "--out",
        "again",
        "--plain",
        "--skip-corrupted",
    ];
    place.ok(&start);
    let bytes = |name: &str| std::fs::read(place.path(name)).expect("written");
    for name in ["best.safetensors", "last.ckpt"] {
        assert!(
            bytes(&format!("run/{name}")) == bytes(&format!("again/{name}")),
            "{name}"
        );
    }
    for command in [
        ["train", "--resume", "again"],
        ["report", "again", "--out=a.html"],
    ] {
        place.ok(&command);
    }
    let data = ["eval", "run", "--json", "--data", "nmnist(\"events\")"];
    let ran = place.ok(&data);
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(
        (&found["samples"], &found["left_out"]),
        (&10.into(), &2.into())
    );
    assert!(ran.err.contains("left out: sample 7 of "), "{}", ran.err);
    let weights = [
        &["eval", "events.snn", "--weights", "run/best.safetensors"],
        &data[2..],
    ]
    .concat();
    place.fails(3, &["error[E0705]", "events/1/0000"], &weights);
    let ran = place.ok(&[&weights[..], &["--skip-corrupted"]].concat());
    let again: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(again, found);
    // What is whole is trained on without a word.
    std::fs::remove_file(place.path("events/1/00002.bin")).expect("removed");
    std::fs::remove_file(place.path("events/1/00005.bin")).expect("removed");
    let ran = place.ok(&[&args[..], &["--skip-corrupted"]].concat());
    assert!(!ran.err.contains("left out"), "{}", ran.err);
    // Nothing left is no run.
    for digit in 0..2 {
        for i in 1..=6 {
            let path = place.path(&format!("events/{digit}/0000{i}.bin"));
            if path.exists() {
                std::fs::write(path, [1]).expect("written");
            }
        }
    }
    place.fails(1, &["every training sample is damaged"], &start);
}
