//! Data that are made rather than read, from the text of a program to a trained network; and splits that leak nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_ir::program::Program;
use rheobase_runtime::Backend;
use rheobase_train::{Config, EpochReport, Observer, StepReport, Subset, Trainer, load, train};

struct Quiet;

impl Observer for Quiet {
    fn stepped(&mut self, _: usize, _: usize, _: usize, _: &StepReport) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn finished(&mut self, _: &EpochReport) {}
}

/// A network with one hidden layer and a plan with these lines.
fn program(inputs: usize, classes: usize, plan: &str) -> Program {
    let text = format!(
        r#"
import "std/neurons.snn"

network Net {{
  step 1 ms
  input inp[{inputs}]
  layer hid : LIF[40]
  layer out : LIDelta[{classes}]
  connect inp -> hid.x : dense(w = normal(0, 6 / sqrt(fan_in)))
  connect hid -> hid.x : dense(w = normal(0, 0.5 / sqrt(fan_in)), self = false) delay 1 step
  connect hid -> out.x : dense(w = normal(0, 1 / sqrt(fan_in)))
}}

train plan of Net {{
  loss      = cross_entropy(5 * mean_over_time(out.v), label)
  optimizer = adam(lr = 5e-3)
  {plan}
}}
"#
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program.snn");
    std::fs::write(&path, text).expect("writable");
    let front = front(&path).expect("readable");
    let console = Console {
        color: false,
        bars: false,
    };
    let (plan, network) = front.plan(None).expect("one plan");
    let program = front.program(&network, Some(&plan), &console);
    program.expect("lowers")
}

fn accuracy(program: &Program) -> f64 {
    let mut trainer = Trainer::new(program, Backend::Jit, 2, Path::new(".")).expect("builds");
    let config = Config {
        out: None,
        program: "the program".to_string(),
        resume: false,
        save_every: None,
    };
    let summary = train(&mut trainer, &config, &mut Quiet).expect("trains");
    summary
        .test
        .expect("test samples")
        .accuracy()
        .expect("classes")
}

#[test]
fn tasks_are_learned_beyond_chance() {
    let yin_yang = "data = yin_yang(samples = 1200)  test = yin_yang(samples = 300, seed = 1)
        encode = latency(tau = 20 ms, threshold = 0.01, linear = true)  duration = 40 ms  epochs = 10";
    let found = accuracy(&program(4, 3, yin_yang));
    assert!(found > 0.6, "yin_yang {found}");

    let manifolds = "data = manifolds(samples = 400, classes = 4, channels = 20, smoothness = 2)
        test = holdout(0.2)  duration = 50 ms  epochs = 10";
    let found = accuracy(&program(20, 4, manifolds));
    assert!(found > 0.6, "manifolds {found}");

    let xor =
        "data = delayed_xor(samples = 300, channels = 10, cue = 15 ms, delay = 5 ms, rate = 400 Hz)
        test = holdout(0.2)  duration = 50 ms  epochs = 30";
    let found = accuracy(&program(10, 2, xor));
    assert!(found > 0.7, "delayed_xor {found}");

    let store = "data = store_recall(samples = 300, channels = 20, period = 10 ms, rate = 500 Hz)
        test = holdout(0.2)  duration = 40 ms  epochs = 20";
    let found = accuracy(&program(20, 2, store));
    assert!(found > 0.6, "store_recall {found}");
}

/// Encoders and random changes that the examples do not use, each to a network of the right size.
#[test]
fn encoders_and_random_changes_reach_the_network() {
    let plans = [
        (
            64,
            "encode = current_lif()  augment = [shift(1), crop(7), flip(vertical = true), flip(), drop(0.1)]",
        ),
        (128, "encode = population(neurons = 2)"),
        (9, "encode = one_by_one(levels = 8)"),
    ];
    for (inputs, lines) in plans {
        let program = program(
            inputs,
            10,
            &format!("data = digits()  test = holdout(0.5)  {lines}  duration = 70 ms  epochs = 1"),
        );
        let found = accuracy(&program);
        assert!(found > 0.15, "{lines}: {found}");
        // Changes are for training: what is tested is the same at any epoch.
        let plan = program.training.as_ref().expect("a plan");
        let samples = load(&program.network, plan, Path::new(".")).expect("loads");
        let input = |subset, epoch| samples.input(subset, 3, epoch).expect("encodes").clone();
        if lines.contains("augment") {
            assert_ne!(input(Subset::Train, 0), input(Subset::Train, 1), "{lines}");
            assert_eq!(input(Subset::Test, 0), input(Subset::Test, 1), "{lines}");
        }
    }
}

#[test]
fn folds_share_nothing_and_are_all_of_the_data() {
    let mut seen = BTreeSet::new();
    for index in 0..4 {
        let plan = format!(
            "data = digits()  encode = latency()  duration = 20 ms  epochs = 1
            test = fold({index}, of = 4, seed = 3)  valid = holdout(0.1)"
        );
        let program = program(64, 10, &plan);
        let plan = program.training.as_ref().expect("a plan");
        let samples = load(&program.network, plan, Path::new(".")).expect("loads");
        let all = |subset| -> BTreeSet<usize> {
            (0..samples.len(subset))
                .map(|i| samples.original(subset, i))
                .collect()
        };
        let (train, valid, test) = (all(Subset::Train), all(Subset::Valid), all(Subset::Test));
        assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
        assert_eq!(train.len() + valid.len() + test.len(), 1797);
        assert!(seen.is_disjoint(&test));
        seen.extend(test);
    }
    assert_eq!(seen.len(), 1797);
}

#[test]
fn data_without_groups_refuse_a_split_by_group() {
    let plan = "data = digits()  encode = latency()  duration = 20 ms  epochs = 1  test = group_holdout(0.2)";
    let program = program(64, 10, plan);
    let plan = program.training.as_ref().expect("a plan");
    let refused = load(&program.network, plan, Path::new("."))
        .err()
        .expect("refused");
    let message = refused.to_string();
    assert!(message.contains("group (speaker)"), "{message}");
}
