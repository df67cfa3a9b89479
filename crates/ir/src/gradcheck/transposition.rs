//! Forward mode against reverse mode on one step: ⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩ for directions drawn at random.
//!
//! J is the Jacobian of a step with the surrogate derivative for each spike. Both modes read the same table of
//! derivatives, so this does not say that the table is right; it says that one mode is the transpose of the
//! other, at every point and to rounding, with spikes as they are and without smoothing.

use crate::autodiff::{differentiate, tangent};
use crate::builder::Builder;
use crate::cases::run_rows;
use crate::executor::CallError;
use crate::generate::{Domain, rows};
use crate::interp::Interpreter;
use crate::kernel::{Kernel, Role, Slot, Value};
use crate::random::SplitMix64;
use crate::types::{Rate, Type};

use super::{GradcheckError, is_internal};

/// Points at which the products are compared.
const LANES: usize = 64;

/// What is compared at some points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transposition {
    /// The largest difference of the two products, relative to the sum of the magnitudes of their terms.
    pub error: f64,
    /// The points at which both are finite; a random point may be outside of a function's domain.
    pub points: usize,
    /// The inputs that v has a component for.
    pub inputs: usize,
}

/// Compares the two modes for a step with its spikes, as in [`crate::pipeline::Stages::hoisted`].
///
/// # Errors
///
/// A kernel that was derived breaks a rule of the verifier, or cannot be run: a mistake of the compiler.
pub fn transposition(step: &Kernel, seed: u64) -> Result<Transposition, GradcheckError> {
    let chosen = |slot: &Slot| match slot.role {
        Role::State => !is_internal(&slot.name),
        Role::Port | Role::Param | Role::Derived => true,
        Role::Init | Role::Spike | Role::Saved | Role::Key => false,
    };
    let backward = differentiate(step, &chosen);
    // Outputs of which nothing is differentiable have no adjoint.
    let seeded = |slot: &Slot| backward.input(&slot.adjoint()).is_some();
    let (forward, inputs) = forward(step, &chosen, &seeded);

    let mut random = SplitMix64::new(seed);
    let mut direction =
        |n: usize| -> Vec<f64> { (0..n).map(|_| random.between(-1.0, 1.0)).collect() };
    let v: Vec<Vec<f64>> = inputs.iter().map(|_| direction(LANES)).collect();
    let ends = step.outputs.iter().filter(|o| seeded(&o.slot));
    let u: Vec<(Slot, Vec<f64>)> = ends.map(|o| (o.slot.adjoint(), direction(LANES))).collect();

    let point = rows(step, seed, LANES, Domain::Tame);
    let moved = run(&forward, &[&point[..], &v].concat())?;
    let adjoints = backward.inputs().skip(point.len()).map(|(_, input)| {
        let given = u.iter().find(|(slot, _)| *slot == input.slot);
        // The adjoint of what is constant in time is a sum so far.
        given.map_or_else(|| vec![0.0; LANES], |(_, row)| row.clone())
    });
    let adjoints: Vec<Vec<f64>> = adjoints.collect();
    let back = run(&backward, &[&point[..], &adjoints].concat())?;
    let of = |slot: &Slot| {
        let position = backward.outputs.iter().position(|o| o.slot == *slot);
        position.map(|p| &back[p])
    };
    let mut result = Transposition {
        error: 0.0,
        points: 0,
        inputs: inputs.len(),
    };
    for lane in 0..LANES {
        let left = u.iter().zip(&moved).map(|((_, u), jv)| u[lane] * jv[lane]);
        let right = inputs.iter().zip(&v).filter_map(|(slot, v)| {
            let row = of(&slot.adjoint())?;
            Some(row[lane] * v[lane])
        });
        let (left, right): (Vec<f64>, Vec<f64>) = (left.collect(), right.collect());
        let size: f64 = left.iter().chain(&right).map(|x| x.abs()).sum();
        if size.is_finite() {
            let difference = left.iter().sum::<f64>() - right.iter().sum::<f64>();
            result.error = result.error.max(difference.abs() / size.max(1e-300));
            result.points += 1;
        }
    }
    Ok(result)
}

/// The kernel of J·v: a row of v for each chosen input, a row for each seeded output. Also the chosen inputs.
fn forward(
    step: &Kernel,
    chosen: &dyn Fn(&Slot) -> bool,
    seeded: &dyn Fn(&Slot) -> bool,
) -> (Kernel, Vec<Slot>) {
    let mut b = Builder::new(format!("{}.forward_mode", step.name));
    for node in &step.nodes {
        b.push(node.clone());
    }
    let mut seeds: Vec<(Value, Value)> = Vec::new();
    let mut slots = Vec::new();
    for (value, input) in step.inputs() {
        if chosen(&input.slot) && input.ty == Type::Real {
            let name = format!("direction{}", slots.len());
            let row = b.input(Slot::new(Role::Port, name), Type::Real, Rate::Lane);
            seeds.push((value, row));
            slots.push(input.slot.clone());
        }
    }
    for (i, output) in step.outputs.iter().enumerate() {
        if seeded(&output.slot) {
            let root = output.value;
            let moved = tangent(&mut b, root, &seeds).unwrap_or_else(|| b.real(0.0));
            let slot = Slot::new(Role::State, format!("moved{i}"));
            b.output(slot, moved, Rate::Lane);
        }
    }
    (b.finish(), slots)
}

fn run(kernel: &Kernel, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, GradcheckError> {
    let interpreter = Interpreter::new(kernel.clone()).map_err(GradcheckError::Call)?;
    let result: Result<_, CallError> = run_rows::<f64>(&interpreter, kernel, LANES, inputs);
    result.map_err(GradcheckError::Call)
}
