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

/// Everything that a library made of its neurons: `<neuron>.x` the input, `.p_<name>` parameters other than the defaults, `.z`
/// what is sent and `.v` a state after each step, as far as the library shows them, `.c` and `.d` their weights in L, and
/// `.g_x` = dL/dx where the library has a gradient.
fn check_all(library: &str, neurons: &[(&str, &str)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let path = folder.join(format!("std_{library}.npz"));
    let reference: Arrays = npz::read(&path).expect("the reference is readable");
    let of_file = reference.keys().filter_map(|name| name.strip_suffix(".x"));
    let mut in_file: Vec<&str> = of_file.collect();
    let mut tested: Vec<&str> = neurons.iter().map(|n| n.0).collect();
    in_file.sort_unstable();
    tested.sort_unstable();
    assert_eq!(in_file, tested);
    for (neuron, state) in neurons {
        let array = |name: &str| -> Option<Array2<f64>> {
            let array = reference.get(&format!("{neuron}.{name}"))?.clone();
            Some(array.into_dimensionality().expect("steps times lanes"))
        };
        let prefix = format!("{neuron}.p_");
        let given = reference
            .iter()
            .filter_map(|(n, a)| Some((n.strip_prefix(&prefix)?, *a.first()?)));
        let params: Vec<(&str, f64)> = given.collect();
        let simulation = Simulation {
            library,
            neuron,
            input: vec![("x", array("x").expect("an input"))],
            params: &params,
            step_ms: 1.0,
        };
        let weights = [("spikes", array("c")), (*state, array("d"))];
        let cotangents: BTreeMap<String, Array2<f64>> = weights
            .into_iter()
            .filter_map(|(name, weights)| Some((name.to_string(), weights?)))
            .collect();
        for executor in [Executor::Interp, Executor::Jit] {
            let found = simulation.run(Some(&cotangents), executor);
            for (name, key) in [("spikes", "z"), (*state, "v"), ("grad.x", "g_x")] {
                if let Some(expected) = array(key) {
                    close(
                        &format!("{neuron}, {name}"),
                        &found[name],
                        &expected.into_dyn(),
                    );
                }
            }
        }
    }
}

#[test]
fn all_of_norse() {
    check_all(
        "norse",
        &[
            ("NorseLIFBoxSubtract", "v"),
            ("NorseLIFAdEx", "v"),
            ("NorseLIFEx", "v"),
            ("NorseLIFRefrac", "v"),
            ("NorseLSNN", "v"),
            ("NorseCobaLIF", "v"),
            ("NorseIzhikevich", "v"),
        ],
    );
}

#[test]
fn all_of_snntorch() {
    check_all(
        "snntorch",
        &[
            ("SnnTorchLeakyStateQuant", "mem"),
            ("SnnTorchSynaptic", "mem"),
            ("SnnTorchSynapticNoDelay", "mem"),
            ("SnnTorchSynapticZeroNoDelay", "mem"),
            ("SnnTorchRLeaky", "mem"),
            ("SnnTorchRLeakyZero", "mem"),
            ("SnnTorchRLeakyNone", "mem"),
            ("SnnTorchRLeakyZeroNoDelay", "mem"),
            ("SnnTorchStateLeaky", "mem"),
            ("SnnTorchLeakyParallel", "mem"),
            ("SnnTorchLapicque", "mem"),
            ("SnnTorchAlpha", "mem"),
        ],
    );
}

#[test]
fn all_of_spikingjelly() {
    check_all(
        "spikingjelly",
        &[
            ("SpikingJellyParametricLIF", "v"),
            ("SpikingJellyQIF", "v"),
            ("SpikingJellyEIF", "v"),
            ("SpikingJellyIzhikevich", "v"),
            ("SpikingJellyCUBALIF", "v"),
            ("SpikingJellyKLIF", "v"),
            ("SpikingJellyILIF", "v"),
            ("SpikingJellyLIAF", "v"),
            ("SpikingJellyRAF", "v"),
            ("SpikingJellyComplementaryLIF", "v"),
            ("SpikingJellyTernaryIF", "v"),
            ("SpikingJellyTernaryIFSoft", "v"),
            ("SpikingJellyTernaryLIF", "v"),
            ("SpikingJellyTernaryLIFSoft", "v"),
            ("SpikingJellyHalfThresholdIF", "v"),
            ("SpikingJellyActivationAwareIF", "v"),
            ("SpikingJellySTBIF", "q"),
            ("SpikingJellySLTTLIF", "v"),
            ("SpikingJellyOTTTLIF", "v"),
            ("SpikingJellySlidingPSN", "x_3"),
            ("SpikingJellyFewSpike", "y"),
        ],
    );
}

#[test]
fn all_of_sinabs() {
    check_all(
        "sinabs",
        &[
            ("SinabsLIF", "v_mem"),
            ("SinabsLIFMultiSpike", "v_mem"),
            ("SinabsLIFSyn", "v_mem"),
            ("SinabsLIFMaxSpike", "v_mem"),
            ("SinabsIAF", "v_mem"),
            ("SinabsIAFSyn", "v_mem"),
            ("SinabsALIF", "v_mem"),
            ("SinabsALIFSyn", "v_mem"),
        ],
    );
}

/// Gradients of parameters too.
#[test]
fn norse() {
    check("norse", "NorseLIF", "norse_lif_ff_default.npz");
}

#[test]
fn spikingjelly() {
    check("spikingjelly", "SpikingJellyLIF", "sj_lif_di_hard.npz");
}
