//! The place of the first number that is not finite: in a forward with the masks of training, in the seeds of the loss,
//! and in the backward of a step.

use rheobase_ir::kernel::Role;
use rheobase_ir::program::{
    Connection, Initial, Layer, Network, Neuron, Operation, Population, Source, Synapses, Unit,
    Variable,
};
use rheobase_ir::text::parse;
use rheobase_runtime::{
    Adjoints, Backend, Batch, Events, Gradients, NonFiniteKind, Probe, RuntimeError, Silent,
    Simulator, SlotId, StepView,
};

const STEPS: usize = 5;
const SAMPLES: usize = 20;

/// The slope of the root is infinite where nothing arrives.
const STEP: &str = "kernel Root.step {
  v0 = in real state v
  v1 = in real port x
  v2 = const 0.5
  v3 = mul v2, v0
  v4 = sqrt v1
  v5 = add v3, v4
  out state v = v5
}";

fn network(operations: Vec<Operation>) -> Network {
    let variable = |name: &str| Variable {
        name: name.into(),
        unit: Unit::one(),
    };
    Network {
        name: "Net".into(),
        step_ms: 1.0,
        inputs: vec![Population {
            name: "in".into(),
            shape: vec![2],
        }],
        layers: vec![Layer {
            name: "root".into(),
            shape: vec![2],
            neuron: Neuron {
                name: "Root".into(),
                params: vec![],
                states: vec![variable("v")],
                ports: vec![variable("x")],
                spikes: vec![],
                init: parse("kernel Root.init {\n v0 = const 0.0\n out uniform init v = v0\n}")
                    .expect("a kernel"),
                step: parse(STEP).expect("a kernel"),
            },
        }],
        connections: vec![Connection {
            name: "c".into(),
            from: Source::Input(0),
            to: 0,
            port: 0,
            operations,
            delay: 0,
            delays: None,
            frozen: false,
            tied: None,
        }],
        order: vec![0],
    }
}

fn one_to_one(synapses: Synapses, weight: Option<Initial>) -> Operation {
    Operation {
        synapses,
        weight,
        ..Operation::dense(2, 2, Initial::Constant(0.0))
    }
}

/// Events of 1 on both channels at every step; those of channel 1 at step 3 of sample 18 have another value.
struct Trains(Vec<(Vec<u32>, Vec<u32>, Vec<f32>)>);

impl Trains {
    fn new(other: f32) -> Trains {
        let train = |b: usize| {
            let offsets = (0..=STEPS as u32).map(|t| 2 * t).collect();
            let indices = (0..STEPS).flat_map(|_| [0, 1]).collect();
            let value = |t: usize| match (b, t) {
                (18, 3) => [1.0, other],
                _ => [1.0, 1.0],
            };
            (offsets, indices, (0..STEPS).flat_map(value).collect())
        };
        Trains((0..SAMPLES).map(train).collect())
    }

    fn batch(&self) -> Batch<'_, f32> {
        let events = self.0.iter().map(|(offsets, indices, values)| Events {
            offsets,
            indices,
            values: Some(values),
        });
        Batch {
            steps: STEPS,
            samples: SAMPLES,
            inputs: vec![events.collect()],
            injections: Vec::new(),
            initial: Vec::new(),
            keys: Vec::new(),
        }
    }
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
        let trains = Trains::new(0.0);
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
    let trains = Trains::new(1.0);
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
    let trains = Trains::new(f32::MAX);
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
        let trains = Trains::new(-1.0);
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
        let whole = Trains::new(1.0);
        simulator
            .infer(&whole.batch(), 2, |_| Silent)
            .expect("all is finite");
    }
}
