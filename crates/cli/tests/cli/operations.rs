//! Chains of operations through the command: convolutions, pools, dropout, normalisations and dense weights are
//! trained and evaluated.

use crate::place::{Place, fixture};

/// The best weights of a run, as bytes.
fn weights(place: &Place, file: &str, more: &[&str]) -> Vec<u8> {
    let file = fixture(file);
    let train = ["train", &file, "--train", "tiny", "--out", "run"];
    place.ok(&[&train[..], more].concat());
    let weights = std::fs::read(place.path("run/best.safetensors")).expect("weights");
    std::fs::remove_dir_all(place.path("run")).expect("removed");
    weights
}

#[test]
fn a_convolution_a_pool_and_dropout_train_to_the_same_bits_on_any_number_of_threads() {
    same_bits("chain.snn");
}

#[test]
fn normalisations_train_to_the_same_bits_on_any_number_of_threads() {
    same_bits("normalised.snn");
}

fn same_bits(file: &str) {
    let place = Place::new();
    let one = weights(&place, file, &["--threads", "1"]);
    for threads in ["2", "3", "8"] {
        let other = weights(&place, file, &["--threads", threads]);
        assert!(other == one, "{threads}");
    }
}

/// Running averages have left where they begin, are in the file of weights, and decide an evaluation.
#[test]
fn evaluation_reads_the_running_averages_of_the_file() {
    let place = Place::new();
    let file = fixture("normalised.snn");
    place.ok(&["train", &file, "--out", "run"]);
    let weights = rheobase_train::weights::load(&place.path("run/best.safetensors"));
    let weights = weights.expect("weights");
    for (name, begin) in [
        ("picture.first.x.then1.mean", 0.0),
        ("picture.first.x.then1.variance", 1.0),
        ("first.out.x.then1.variance", 1.0),
    ] {
        let values = &weights[name];
        assert!(
            values.iter().all(|v| v.is_finite() && *v != begin),
            "{name}"
        );
    }
    let gain = &weights["picture.first.x.then1.weight"];
    assert!(
        gain.iter().all(|g| *g != 0.8 && (0.5..1.2).contains(g)),
        "{gain}"
    );
    let eval = |weights: &str| {
        let json = place.ok(&["eval", &file, "--weights", weights, "--json"]);
        let found: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        found["loss"].as_f64().expect("a loss")
    };
    let own = eval("run/best.safetensors");
    // The same file with a variance that is a hundred times as large.
    let mut bytes = std::fs::read(place.path("run/best.safetensors")).expect("weights");
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&rest[..length]).expect("JSON");
    let offsets = &header["first.out.x.then1.variance"]["data_offsets"];
    let [begin, end] = [0, 1].map(|i| offsets[i].as_u64().expect("an offset") as usize);
    let data = &mut bytes[8 + length..];
    for number in data[begin..end].as_chunks_mut::<4>().0 {
        *number = (f32::from_le_bytes(*number) * 100.0).to_le_bytes();
    }
    std::fs::write(place.path("other.safetensors"), bytes).expect("written");
    assert!((eval("other.safetensors") - own).abs() > 1e-3, "{own}");
}
