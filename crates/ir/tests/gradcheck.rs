//! Every neuron of `neurons/` passes the gradient check, and the check does not pass what it should not.

use std::fs;

use rheobase_ir::cases::neuron;
use rheobase_ir::gradcheck::{Against, Config, GradcheckError, Report, gradcheck, transposition};
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::pipeline::{Wanted, build};
use rheobase_ir::program::Neuron;

fn read(name: &str) -> String {
    let path = format!("{}/tests/neurons/{name}.kir", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).expect("readable file")
}

fn check(neuron: &Neuron) -> Report {
    gradcheck(neuron, &Config::STANDARD).expect("the neuron runs")
}

fn lif_with(from: &str, to: &str) -> Neuron {
    let text = read("lif");
    assert!(text.contains(from), "{from} is not in the file");
    neuron(&text.replace(from, to)).expect("a neuron")
}

#[test]
fn every_neuron_passes() {
    insta::glob!("neurons/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let neuron = neuron(&text).expect("a neuron");
        let report = check(&neuron);
        assert!(report.passed(1e-6), "{}\n{report}", neuron.name);
        let spikes = neuron.spikes.is_empty() || report.spiking > 0.02;
        assert!(spikes, "{} hardly spikes", neuron.name);
        // Every parameter, initial state and port is there.
        let visible = neuron.states.iter().filter(|s| !s.name.starts_with('_'));
        let expected = neuron.params.len() + visible.count() + neuron.ports.len();
        let tangent = report
            .entries
            .iter()
            .filter(|e| e.against == Against::Tangent);
        assert_eq!(tangent.count(), expected, "{report}");
    });
}

#[test]
fn other_seeds_and_sizes_pass() {
    let neuron = neuron(&read("alif")).expect("a neuron");
    for (seed, steps, lanes) in [(1, 50, 3), (2, 10, 1), (3, 1, 2)] {
        let config = Config { steps, lanes, seed };
        let report = gradcheck(&neuron, &config).expect("the neuron runs");
        assert!(report.passed(1e-6), "{report}");
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let neuron = neuron(&read("coba")).expect("a neuron");
    assert_eq!(check(&neuron), check(&neuron));
}

/// A surrogate derivative that is not the derivative of its primitive is caught by the primitive program.
#[test]
fn a_wrong_surrogate_fails() {
    let wrong = lif_with("spike.ge v14, v20, v27", "spike.ge v14, v26, v27");
    let report = check(&wrong);
    assert!(!report.passed(1e-3), "{report}");
    let of = |against| report.entries.iter().filter(move |e| e.against == against);
    assert!(of(Against::Tangent).all(|e| e.error <= 1e-6), "{report}");
    assert!(of(Against::Primitive).any(|e| e.error > 1e-3), "{report}");
    let worst = report.worst().expect("entries");
    assert_eq!(worst.against, Against::Primitive);
}

/// The shape of a surrogate has the derivative of the primitive by it, the margin being held: both smoothed
/// programs say so, and it is not zero.
#[test]
fn shapes_of_surrogates_have_the_gradient_of_the_primitive() {
    let report = check(&neuron(&read("alif")).expect("a neuron"));
    assert!(report.has_primitive);
    let steepness = Slot::new(Role::Param, "steepness");
    for against in [Against::Tangent, Against::Primitive, Against::Optimised] {
        let mut entries = report.entries.iter();
        let entry = entries.find(|e| e.against == against && e.slot == steepness);
        let entry = entry.expect("it is compared");
        assert!(entry.error <= 1e-6 && entry.analytic != 0.0, "{entry:?}");
    }
}

/// A primitive that reads its margin without holding it would count its derivative twice.
#[test]
fn a_margin_that_is_not_held_fails() {
    let report = check(&lif_with("v21 = hold v14", "v21 = mul v14, v11"));
    assert!(!report.passed(1e-3), "{report}");
}

/// Without a primitive the tangent is what there is.
#[test]
fn a_surrogate_without_primitive() {
    let report = check(&neuron(&read("izhikevich")).expect("a neuron"));
    assert!(!report.has_primitive);
    assert!(
        report
            .entries
            .iter()
            .all(|e| e.against != Against::Primitive)
    );
}

#[test]
fn no_finite_run_is_an_error() {
    let report = gradcheck(
        &lif_with("out state v = v31", "out state v = v28"),
        &Config::STANDARD,
    );
    assert!(
        matches!(report, Err(GradcheckError::Compile(_))),
        "{report:?}"
    );
    let infinite = lif_with("; param tau_mem = 20.0", "; param tau_mem = 0.0");
    let report = gradcheck(&infinite, &Config::STANDARD);
    assert_eq!(report, Err(GradcheckError::NotFinite));
}

/// Forward mode and reverse mode of a step are transposes of each other.
#[test]
fn modes_are_transposes() {
    insta::glob!("neurons/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let neuron = neuron(&text).expect("a neuron");
        let stages = build(&neuron, Wanted::ALL).expect("pipeline");
        for step in [&stages.step, &stages.hoisted] {
            let result = transposition(step, 3).expect("the step runs");
            assert!(
                result.points >= 8 && result.inputs > 0,
                "{}: {result:?}",
                step.name
            );
            assert!(result.error <= 1e-12, "{}: {result:?}", step.name);
        }
    });
}
