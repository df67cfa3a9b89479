//! Chains of operations through the command: a convolution, a pool, dropout and dense weights are trained.

use crate::place::{Place, fixture};

/// The best weights of a run, as bytes.
fn weights(place: &Place, more: &[&str]) -> Vec<u8> {
    let file = fixture("chain.snn");
    let train = ["train", &file, "--train", "tiny", "--out", "run"];
    place.ok(&[&train[..], more].concat());
    let weights = std::fs::read(place.path("run/best.safetensors")).expect("weights");
    std::fs::remove_dir_all(place.path("run")).expect("removed");
    weights
}

#[test]
fn a_convolution_a_pool_and_dropout_train_to_the_same_bits_on_any_number_of_threads() {
    let place = Place::new();
    let one = weights(&place, &["--threads", "1"]);
    for threads in ["2", "3", "8"] {
        assert!(weights(&place, &["--threads", threads]) == one, "{threads}");
    }
}
