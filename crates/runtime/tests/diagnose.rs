//! The place of the first number that is not finite: in a forward with the masks of training, in the seeds of the loss,
//! and in the backward of a step.

#[path = "shared/small.rs"]
mod shared;

use ndarray::Array3;
use rheobase_ir::cases::neuron;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Initial, Network, Operation, Source, Synapses};
use rheobase_runtime::{
    Adjoints, Backend, Gradients, NonFiniteKind, Probe, RuntimeError, Silent, Simulator, SlotId,
    StepView,
};
use shared::{Trains, connection, layer};

const STEPS: usize = 5;
const SAMPLES: usize = 20;

/// The slope of the root is infinite where nothing arrives.
const NEURON: &str = "
kernel Root.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel Root.step {
  v0 = in real state v
  v1 = in real port x
  v2 = const 0.5
  v3 = mul v2, v0
  v4 = sqrt v1
  v5 = add v3, v4
  out state v = v5
}";

fn network(operations: Vec<Operation>) -> Network {
    let neuron = neuron(NEURON).expect("a neuron");
    let connection = connection("c", Source::Input(0), 0, 0, operations);
    shared::network(2, vec![layer("root", 2, &neuron)], vec![connection])
}

fn one_to_one(synapses: Synapses, weight: Option<Initial>) -> Operation {
    Operation {
        synapses,
        weight,
        ..Operation::dense(2, 2, Initial::Constant(0.0))
    }
}

/// Events of 1 on both channels at every step; that of channel 1 at step 3 of sample 18 has another value, or is not there (0).
fn trains_with(other: f64) -> Trains {
    let mut numbers = Array3::ones((STEPS, SAMPLES, 2));
    numbers[[3, 18, 1]] = other;
    Trains::of(&numbers, true)
}

/// Seeds every state with 1, and one of them with something else.
struct Seeds {
    first: usize,
    slot: SlotId,
    /// Step, sample, neuron, seed.
    other: Option<(usize, usize, usize, f32)>,
}

impl Probe<f32> for Seeds {
    fn observe(&mut self, _: usize, _: &StepView<'_, f32>) {}

    fn seed(&mut self, t: usize, adjoints: &mut Adjoints<'_, f32>) {
        let row = adjoints.row(0, self.slot);
        row.iter_mut().for_each(|a| *a += 1.0);
        if let Some((step, sample, neuron, seed)) = self.other
            && let Some(own) = sample.checked_sub(self.first)
            && let Some(a) = row.get_mut(2 * own + neuron)
            && step == t
        {
            *a = seed;
        }
    }
}

fn simulator(operations: Vec<Operation>, backend: Backend) -> Simulator<f32> {
    let network = network(operations);
    let mut simulator = Simulator::new(&network, backend, Gradients::All).expect("compiles");
    let ones = simulator.update_parameters(|p| p.values.iter_mut().for_each(|v| v.fill(1.0)));
    ones.expect("prologues run");
    simulator
}

fn weights() -> Vec<Operation> {
    vec![one_to_one(Synapses::OneToOne, Some(Initial::Constant(1.0)))]
}

#[test]
fn a_slope_that_is_infinite_is_located_with_its_op() {
    for backend in [Backend::Interpreter, Backend::Jit] {
        let simulator = simulator(weights(), backend);
        let slot = simulator
            .adjoint_slot(0, Role::State, "v")
            .expect("there is one");
        let trains = trains_with(0.0);
        let batch = trains.batch();
        let forward = simulator
            .locate_non_finite_in_training(&batch)
            .expect("runs");
        assert_eq!(forward, None);
        let seeds = |range: std::ops::Range<usize>| Seeds {
            first: range.start,
            slot,
            other: None,
        };
        let found = simulator
            .locate_non_finite_gradient(&batch, seeds)
            .expect("runs");
        let place = found.expect("there is one");
        assert_eq!(place.kind, NonFiniteKind::Gradient);
        assert_eq!((place.layer.as_str(), place.state.as_str()), ("root", "x"));
        assert_eq!(
            (place.neuron, place.step, place.sample),
            (1, 3, 18),
            "{place}"
        );
        assert!(place.op.is_some(), "{place}");
        let words = place.to_string();
        assert!(
            words.starts_with("the gradient by `x` of root[1] became inf at step 3"),
            "{words}"
        );
    }
}

#[test]
fn a_loss_that_gives_an_infinite_gradient_is_told_apart() {
    let simulator = simulator(weights(), Backend::Interpreter);
    let slot = simulator
        .adjoint_slot(0, Role::State, "v")
        .expect("there is one");
    let trains = trains_with(1.0);
    let batch = trains.batch();
    let located = |other| {
        let seeds = |range: std::ops::Range<usize>| Seeds {
            first: range.start,
            slot,
            other,
        };
        simulator
            .locate_non_finite_gradient(&batch, seeds)
            .expect("runs")
    };
    assert_eq!(located(None), None);
    let place = located(Some((2, 17, 0, f32::NAN))).expect("there is one");
    assert_eq!(place.kind, NonFiniteKind::Seed);
    assert_eq!(
        (place.neuron, place.step, place.sample),
        (0, 2, 17),
        "{place}"
    );
    let words = place.to_string();
    assert!(
        words.contains("gradient of the loss by `v` of root[0] is NaN"),
        "{words}"
    );
}

/// What only a mask of training makes infinite is found with the mask.
#[test]
fn a_state_is_located_with_the_masks_of_training() {
    // Twice the largest number.
    let dropout = Synapses::Dropout { probability: 0.5 };
    let mut operations = vec![one_to_one(dropout, None)];
    operations.extend(weights());
    let simulator = simulator(operations, Backend::Interpreter);
    let trains = trains_with(f64::from(f32::MAX));
    let batch = trains.batch();
    assert_eq!(simulator.locate_non_finite(&batch).expect("runs"), None);
    let found = simulator
        .locate_non_finite_in_training(&batch)
        .expect("runs");
    let kept =
        rheobase_ir::draws::dropout(rheobase_ir::draws::sample_key(0, 0, 18), 0, 0, 1) >= 0.5;
    assert!(kept, "choose another sample");
    let place = found.expect("there is one");
    assert_eq!(place.kind, NonFiniteKind::State);
    assert_eq!(
        (place.neuron, place.step, place.sample),
        (1, 3, 18),
        "{place}"
    );
}

/// A state that is looked at ends the run where it stops being finite, with the gradient and without one; nothing that
/// is read of it may reach a loss.
#[test]
fn states_are_looked_at_if_asked_for() {
    for backend in [Backend::Interpreter, Backend::Jit] {
        let mut simulator = simulator(weights(), backend);
        let trains = trains_with(-1.0);
        let batch = trains.batch();
        simulator
            .infer(&batch, 2, |_| Silent)
            .expect("nobody looks");
        simulator.check_finite(true);
        let found = [
            simulator.infer(&batch, 2, |_| Silent).map(|_| ()),
            simulator.differentiate(&batch, 2, |_| Silent).map(|_| ()),
        ];
        for found in found {
            let Err(RuntimeError::NonFinite(place)) = found else {
                panic!("it is seen: {found:?}");
            };
            assert_eq!(place.kind, NonFiniteKind::State);
            assert_eq!((place.layer.as_str(), place.state.as_str()), ("root", "v"));
            assert_eq!((place.neuron, place.step, place.sample), (1, 3, 18));
        }
        // The op is found by another run, which is not ended by the look.
        let place = simulator.locate_non_finite(&batch).expect("runs");
        assert!(place.expect("there is one").op.is_some());
        let whole = trains_with(1.0);
        simulator
            .infer(&whole.batch(), 2, |_| Silent)
            .expect("all is finite");
    }
}
