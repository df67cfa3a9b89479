//! `--memory` and `gradient = bptt(…)`: less memory gives the same weights, bit for bit; a truncated
//! gradient gives others; what cannot fit is refused before it begins.

use crate::place::{Place, fixture};

/// The best weights of a run, as bytes, without the header of the file: it has the name of the plan.
fn weights(place: &Place, plan: &str, more: &[&str]) -> Vec<u8> {
    let file = fixture("long.snn");
    let train = ["train", &file, "--train", plan, "--out", "run"];
    place.ok(&[&train[..], more].concat());
    let weights = std::fs::read(place.path("run/best.safetensors")).expect("weights");
    std::fs::remove_dir_all(place.path("run")).expect("removed");
    let (length, rest) = weights.split_first_chunk::<8>().expect("a length");
    rest[u64::from_le_bytes(*length) as usize..].to_vec()
}

#[test]
fn less_memory_gives_the_same_weights() {
    let place = Place::new();
    let whole = weights(&place, "whole", &["--threads", "1"]);
    for memory in ["1.35M", "1.5M", "2 MiB", "2G"] {
        for threads in ["1", "2"] {
            let more = ["--threads", threads, "--memory", memory];
            assert!(weights(&place, "whole", &more) == whole, "{memory}");
        }
    }
    assert!(weights(&place, "part", &["--threads", "3"]) == whole);
}

#[test]
fn a_truncated_gradient_gives_other_weights_and_the_same_on_any_number_of_threads() {
    let place = Place::new();
    let truncated = weights(&place, "truncated", &["--threads", "1"]);
    assert!(truncated != weights(&place, "whole", &[]));
    for threads in ["2", "3", "8"] {
        assert!(weights(&place, "truncated", &["--threads", threads]) == truncated);
    }
}

#[test]
fn the_plan_is_told_before_anything_runs() {
    let place = Place::new();
    let file = fixture("long.snn");
    let explain = |memory: &[&str]| {
        let check = ["check", &file, "--explain"];
        place.ok(&[&check[..], memory].concat()).out
    };
    assert!(!explain(&[]).contains("run forward twice"));
    // Near miss of W0608: tight, but enough.
    let tight = place.ok(&["check", &file, "--explain", "--memory", "1.2M"]);
    assert!(!tight.err.contains("W0608"), "{}", tight.err);
    let short = explain(&["--memory", "1.2M"]);
    assert!(
        short.contains("the first 384 steps run forward twice"),
        "{short}"
    );
    assert!(short.contains(" for a group of 16 samples\n"), "{short}");
    assert!(short.contains(" with 1 group at once\n"), "{short}");
    let told = place.ok(&[
        "bench", &file, "--train", "whole", "--steps", "1", "--memory", "1.35M",
    ]);
    assert!(told.err.contains("run forward twice"), "{}", told.err);
    assert!(
        told.out.starts_with("1 step of 20 samples on "),
        "{}",
        told.out
    );
}

#[test]
fn what_cannot_fit_is_refused() {
    let place = Place::new();
    let file = fixture("long.snn");
    let words = [
        "W0608",
        "at least",
        "`--memory` allows (20.0 kB)",
        " for a group of 1 sample, ",
    ];
    for command in [
        &["train", &file, "--train", "whole", "--out", "run"][..],
        &["bench", &file, "--train", "whole"][..],
        &["check", &file, "--explain"][..],
    ] {
        place.fails(3, &words, &[command, &["--memory", "20k"]].concat());
    }
    let train = ["train", &file, "--train", "whole", "--memory", "much"];
    place.fails(2, &["`much` is no size; write it like `2G`"], &train);
}
