//! Neurons of `std/` against numbers that the libraries themselves made (`tests/vectors`).

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array2, ArrayD, Ix2};
use rheobase::commands::Executor;
use rheobase_data::npz;

use crate::simulate::{Arrays, Simulation};

fn close(what: &str, found: &ArrayD<f64>, expected: &ArrayD<f64>) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1e-6f64, |m, x| m.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-9 * size,
            "{what}: {found} is not {expected}"
        );
    }
}

fn check(library: &str, neuron: &str, numbers: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let reference: Arrays = npz::read(&folder.join(numbers)).expect("the reference is readable");
    let matrix = |name: &str| -> Array2<f64> {
        let array = reference[name].clone().into_dimensionality::<Ix2>();
        array.expect("steps times lanes")
    };
    let simulation = Simulation {
        library,
        neuron,
        input: vec![("x", matrix("x"))],
        params: &[],
        step_ms: 1.0,
    };
    let cotangents = BTreeMap::from([
        ("spikes".to_string(), matrix("c")),
        ("v".to_string(), matrix("d")),
    ]);
    let found = simulation.run(Some(&cotangents), Executor::Interp);
    close("spikes", &found["spikes"], &reference["z"]);
    close("v", &found["v"], &reference["v"]);
    close("gradient by x", &found["grad.x"], &reference["g_x"]);
    let gradients = reference
        .iter()
        .filter_map(|(n, a)| Some((n.strip_prefix("g_p_")?, a)));
    for (name, expected) in gradients {
        close(name, &found[&format!("grad.{name}")], expected);
    }
}

#[test]
fn norse() {
    check("norse", "NorseLIF", "norse_lif_ff_default.npz");
}

#[test]
fn spikingjelly() {
    check("spikingjelly", "SpikingJellyLIF", "sj_lif_di_hard.npz");
}
