//! Forward mode and reverse mode are transposes of each other: ⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩ for every kernel, with real
//! spikes in place, whatever the surrogate.

use rheobase_ir::autodiff::{differentiate, tangent};
use rheobase_ir::builder::Builder;
use rheobase_ir::cases::neuron;
use rheobase_ir::generate::{Domain, Shape, kernel, rows};
use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Kernel, Role, Slot};
use rheobase_ir::pipeline::{Wanted, build};
use rheobase_ir::random::SplitMix64;
use rheobase_ir::types::{Rate, Type};
use rheobase_ir::verify::verify;

/// Forward mode of all outputs: tangents of the inputs come in, tangents of the outputs go out.
fn forward_mode(kernel: &Kernel) -> Kernel {
    let mut b = Builder::new(format!("{}.tangent", kernel.name));
    for node in &kernel.nodes {
        b.push(node.clone());
    }
    let mut seeds = Vec::new();
    for (value, input) in kernel.inputs().filter(|(_, input)| input.ty == Type::Real) {
        let moved = b.input(tangent_slot(&input.slot), Type::Real, Rate::Lane);
        seeds.push((value, moved));
    }
    for output in kernel.outputs.iter().filter(|o| o.slot.role != Role::Saved) {
        let moved = tangent(&mut b, output.value, &seeds).unwrap_or_else(|| b.real(0.0));
        let slot = Slot::new(Role::Derived, format!("out {}", output.slot));
        b.output(slot, moved, Rate::Lane);
    }
    b.finish()
}

fn tangent_slot(slot: &Slot) -> Slot {
    Slot::new(Role::Port, format!("tangent {slot}"))
}

/// Runs one lane with inputs by slot.
fn run(kernel: &Kernel, input: &mut dyn FnMut(&Slot) -> f64) -> Vec<f64> {
    let slots: Vec<Slot> = kernel.inputs().map(|(_, i)| i.slot.clone()).collect();
    let values = evaluate(kernel, &mut |i| input(&slots[i]), &mut Spiking::Hard);
    let values = values.expect("no integrate");
    kernel
        .outputs
        .iter()
        .map(|o| values[o.value.index()])
        .collect()
}

fn assert_transposed(kernel: &Kernel, seed: u64) {
    let forward = forward_mode(kernel);
    let reverse = differentiate(kernel, &|_| true);
    verify(&forward).expect("a valid tangent kernel");
    verify(&reverse).expect("a valid gradient kernel");
    let primal = rows(kernel, seed, 1, Domain::Tame);
    let slots: Vec<Slot> = kernel.inputs().map(|(_, i)| i.slot.clone()).collect();
    let value = |slot: &Slot| {
        let at = slots.iter().position(|s| s == slot);
        at.map(|i| primal[i][0])
    };
    // v for each input, u for each output, the same at every use.
    let direction = |slot: &Slot, salt: u64| {
        let hash = slot
            .to_string()
            .bytes()
            .fold(salt, |h, b| h.wrapping_mul(31) + u64::from(b));
        SplitMix64::new(hash ^ seed).between(-1.0, 1.0)
    };
    let tangents = run(&forward, &mut |slot| match value(slot) {
        Some(value) => value,
        None => {
            let of = slots.iter().find(|s| tangent_slot(s) == *slot);
            direction(of.expect("a tangent of an input"), 1)
        }
    });
    let outputs = kernel.outputs.iter().filter(|o| o.slot.role != Role::Saved);
    let left: f64 = outputs
        .zip(&tangents)
        .map(|(output, tangent)| direction(&output.slot, 2) * tangent)
        .sum();

    // Sums of what is constant in time start from zero.
    let adjoints = run(&reverse, &mut |slot| match value(slot) {
        Some(value) => value,
        None if slot.role.constant_in_time() && slots.iter().any(|s| s.adjoint() == *slot) => 0.0,
        None => direction(
            &Slot {
                adjoint: false,
                ..slot.clone()
            },
            2,
        ),
    });
    let right: f64 = reverse
        .outputs
        .iter()
        .zip(&adjoints)
        .filter(|(output, _)| output.slot.adjoint)
        .map(|(output, adjoint)| {
            adjoint
                * direction(
                    &Slot {
                        adjoint: false,
                        ..output.slot.clone()
                    },
                    1,
                )
        })
        .sum();
    let scale = left.abs().max(right.abs()).max(1.0);
    assert!(
        (left - right).abs() <= 1e-11 * scale,
        "seed {seed}: {left} and {right}\n{}",
        rheobase_ir::text::print(kernel)
    );
}

#[test]
fn random_kernels_are_transposed() {
    let mut nonzero = 0;
    for seed in 0..400 {
        let kernel = kernel(seed, &Shape::TAME);
        verify(&kernel).expect("random kernels are valid");
        assert_transposed(&kernel, seed);
        let reverse = differentiate(&kernel, &|_| true);
        nonzero += usize::from(reverse.inputs().any(|(_, i)| i.slot.adjoint));
    }
    assert!(
        nonzero > 300,
        "only {nonzero} kernels have a gradient at all"
    );
}

#[test]
fn neurons_are_transposed() {
    insta::glob!("..", "neurons/*.kir", |path| {
        let text = std::fs::read_to_string(path).expect("readable file");
        let stages = build(&neuron(&text).expect("a neuron"), Wanted::ALL).expect("pipeline");
        for seed in 0..20 {
            assert_transposed(&stages.hoisted, seed);
        }
    });
}
