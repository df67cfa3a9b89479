//! Tape plans: what is saved and why, and the two kernels.

#[path = "tape/optimal.rs"]
mod optimal;

use std::fs;

use rheobase_ir::autodiff::differentiate;
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::passes::optimise;
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_ir::tape::{Numbers, plan_tape};
use rheobase_ir::text::{parse, print};
use rheobase_ir::verify::verify;

/// A line `; params` in the file asks for gradients of parameters and derived values, too; a line `; bf16` for a tape
/// of two bytes for each number.
#[test]
fn plans() {
    insta::glob!("tape/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let step = parse(&text).expect("kernel text");
        verify(&step).expect("a valid kernel");
        let params = text.lines().any(|line| line == "; params");
        let short = text.lines().any(|line| line == "; bf16");
        let numbers = if short { Numbers::Bf16 } else { Numbers::Whole };
        let wrt = |slot: &Slot| match slot.role {
            Role::State | Role::Port => true,
            Role::Param | Role::Derived => params,
            Role::Init | Role::Spike | Role::Saved | Role::Key => false,
        };
        let mut joint = differentiate(&step, &wrt);
        optimise(&mut joint);
        let plan = plan_tape(&joint, &step.name, numbers);
        verify(&plan.forward).expect("a valid forward");
        verify(&plan.backward).expect("a valid backward");
        let saved: String = plan
            .saved
            .iter()
            .map(|s| {
                let readers: Vec<String> = s.readers.iter().map(Slot::to_string).collect();
                let (ty, slot, why) = (s.ty, &s.slot, s.reason());
                format!("; {ty} {slot}, {why}, for {}\n", readers.join(", "))
            })
            .collect();
        insta::assert_snapshot!(format!(
            "{text}\n; ----------\n\n; {} bytes\n{saved}{}\n{}",
            plan.bytes(),
            print(&plan.forward),
            print(&plan.backward)
        ));
    });
}

/// The current-based LIF through the whole pipeline.
fn lif(wanted: Wanted<'_>) -> Stages {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/neurons/lif.kir");
    let text = fs::read_to_string(path).expect("readable file");
    build(&neuron(&text).expect("a neuron"), wanted).expect("pipeline")
}

fn saved(stages: &Stages) -> Vec<String> {
    stages.saved.iter().map(|s| s.slot.to_string()).collect()
}

#[test]
fn training_weights_needs_the_margin_only() {
    let stages = lif(Wanted::NONE);
    assert_eq!(saved(&stages), ["saved u"], "{}", print(&stages.backward));
    assert!(stages.prologue_gradient.outputs.is_empty());
}

#[test]
fn learning_every_parameter_needs_two_numbers() {
    let stages = lif(Wanted::ALL);
    assert_eq!(stages.saved.len(), 2, "{}", print(&stages.backward));
}

#[test]
fn only_the_wanted_parameter_gets_a_gradient() {
    let only = |name: &str| name == "tau_mem";
    let stages = lif(Wanted {
        params: &only,
        ..Wanted::ALL
    });
    let written = |role: Role| -> Vec<&str> {
        let kernels = [&stages.backward, &stages.prologue_gradient];
        let outputs = kernels.into_iter().flat_map(|k| &k.outputs);
        let of_role = outputs.filter(|o| o.slot.role == role);
        of_role.map(|o| o.slot.name.as_str()).collect()
    };
    assert_eq!(written(Role::Param), ["tau_mem"]);
    assert_eq!(written(Role::Port), ["x"]);
}
