//! What the neurons save for the backward: nothing that is dear is computed twice.

use rheobase_ir::autodiff::differentiate;
use rheobase_ir::kernel::{Def, Kernel, Role, Slot};
use rheobase_ir::passes::optimise;
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_ir::tape::{Numbers, Saved, cost, plan_tape};
use rheobase_ir::types::Type;
use rheobase_lang::check::check;
use rheobase_lang::load::{NoFiles, STD, load};
use rheobase_lang::lower::lower_neuron;

/// The stages of each neuron of a file, with the gradient of no parameter, by name.
fn neurons(file: &str) -> Vec<(String, Stages)> {
    let loaded = load("main.snn", &format!("import \"{file}\""), &NoFiles);
    let model = check(&loaded.files).model;
    let lowered = |name: &str| {
        let step = if name == "HodgkinHuxley" { 0.05 } else { 1.0 };
        let neuron = lower_neuron(&model, name, step, &[]).expect("std is right");
        let stages = build(&neuron, Wanted::NONE).expect("the pipeline is right");
        (name.to_owned(), stages)
    };
    let names = model.neurons.iter().map(|n| n.name.text.as_str());
    names.map(lowered).collect()
}

/// The ops of a kernel that cost more than to save a number, by name.
fn dear(kernel: &Kernel) -> Vec<&'static str> {
    let ops = kernel.nodes.iter().filter_map(|node| match &node.def {
        Def::Inst(op, _) => (cost::computed(*op) > cost::saved(Type::Real)).then(|| op.name()),
        Def::Input(_) => None,
    });
    ops.collect()
}

#[test]
fn functions_are_computed_once() {
    let mut functions = 0;
    for (file, _) in STD {
        for (name, stages) in neurons(file) {
            let wrt = |slot: &Slot| match slot.role {
                Role::State => !slot.name.starts_with('_'),
                Role::Port | Role::Param | Role::Derived => true,
                Role::Init | Role::Spike | Role::Saved | Role::Key => false,
            };
            let mut joint = differentiate(&stages.hoisted, &wrt);
            optimise(&mut joint);
            let plan = plan_tape(&joint, &name, Numbers::Whole);
            let mut once = dear(&joint);
            let mut both = [dear(&plan.forward), dear(&plan.backward)].concat();
            once.sort_unstable();
            both.sort_unstable();
            assert_eq!(both, once, "{name}");
            functions += once.len();
        }
    }
    assert!(functions > 100, "only {functions} functions in all steps");
}

/// The tapes of neurons that stand for their kind.
#[test]
fn tapes_of_some_neurons() {
    let neurons = neurons("std/neurons.snn");
    let saved = |name: &str| {
        let (_, stages) = neurons.iter().find(|(n, _)| n == name).expect("of std");
        let bytes: usize = stages.saved.iter().map(Saved::bytes).sum();
        (stages.saved.len(), bytes)
    };
    // A margin; nothing of what is drawn, since no gradient reads it.
    assert_eq!(saved("LIF"), (1, 4));
    assert_eq!(saved("NoisyLIF"), (1, 4));
    // Eight exponentials, for each whether its exponent is bounded, and the margin; sixteen.
    assert_eq!(saved("EIF"), (17, 44));
    assert_eq!(saved("AdEx"), (35, 89));
}
