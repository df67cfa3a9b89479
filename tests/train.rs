//! Training end to end: the digits to a stated accuracy, and the same bits for any number of threads and after a
//! resume.

use std::ops::ControlFlow;
use std::path::Path;

use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_ir::program::{
    Binning, Dataset, Encoding, Optimizer, Precision, Program, Rule, Schedule, Split,
};
use rheobase_ir::tape::Numbers;
use rheobase_runtime::{Backend, Parameters};
use rheobase_train::{
    Config, EpochReport, Observer, StepReport, Subset, Summary, Trainer, train, weights,
};

/// Breaks off after a number of steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn stepped(&mut self, _: usize, _: usize, _: usize, _: &StepReport) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn finished(&mut self, _: &EpochReport) {}
}

/// An example with its plan, shortened.
fn program(example: &str, epochs: usize) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(example);
    let front = front(&path).expect("readable");
    let console = Console {
        color: false,
        bars: false,
    };
    let (plan, network) = front.plan(None).expect("one plan");
    let mut program = front
        .program(&network, Some(&plan), &console)
        .expect("lowers");
    program.training.as_mut().expect("has a plan").epochs = epochs;
    program
}

/// The same plan in double precision.
fn in_double(mut program: Program) -> Program {
    program.training.as_mut().expect("has a plan").precision = Precision::F64;
    program
}

fn trainer(program: &Program, threads: usize) -> Trainer {
    Trainer::new(program, Backend::Jit, threads, Path::new(".")).expect("builds")
}

fn config(out: Option<&Path>, resume: bool) -> Config {
    Config {
        out: out.map(Path::to_path_buf),
        program: "the program".to_string(),
        resume,
        save_every: None,
    }
}

fn run(program: &Program, threads: usize) -> (Summary, Parameters<f64>) {
    let mut trainer = trainer(program, threads);
    let summary = train(
        &mut trainer,
        &config(None, false),
        &mut StopAfter(usize::MAX),
    )
    .expect("trains");
    (summary, trainer.parameters())
}

/// The bits, so that equal means equal.
fn bits(parameters: &Parameters<f64>) -> Vec<u64> {
    parameters
        .values
        .iter()
        .flatten()
        .map(|v| v.to_bits())
        .collect()
}

#[test]
fn the_digits_are_learned() {
    let (summary, _) = run(&program("digits.snn", 10), 2);
    let test = summary.test.expect("the plan holds out test samples");
    assert_eq!(test.samples, 360);
    assert!(
        test.accuracy().expect("classes") >= 0.97,
        "{} of 360",
        test.correct
    );
    assert!(summary.last.train_accuracy.expect("classes") > 0.99);
}

#[test]
fn every_example_learns_something() {
    for (example, least) in [("recurrent.snn", 0.5), ("adaptive.snn", 0.8)] {
        let (summary, _) = run(&program(example, 4), 2);
        let test = summary.test.expect("the plan holds out test samples");
        assert!(
            test.accuracy().expect("classes") >= least,
            "{example}: {} of {}",
            test.correct,
            test.samples
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let examples = ["digits.snn", "recurrent.snn", "adaptive.snn"].map(|e| program(e, 1));
    let double = in_double(program("recurrent.snn", 1));
    for program in examples.into_iter().chain([double]) {
        let example = program.network.name.clone();
        let (summary, one) = run(&program, 1);
        for threads in [2, 3, 8] {
            let (other, parameters) = run(&program, threads);
            assert_eq!(
                bits(&one),
                bits(&parameters),
                "{example} on {threads} threads"
            );
            assert_eq!(
                summary.last.train_loss.to_bits(),
                other.last.train_loss.to_bits(),
                "{example}"
            );
        }
    }
}

/// Before a spike at a threshold falls to the other side, both precisions do the same but for rounding.
#[test]
fn double_precision_follows_single() {
    let single = program("digits.snn", 1);
    let (mut one, mut two) = (trainer(&single, 1), trainer(&in_double(single), 2));
    assert_eq!(
        (one.precision(), two.precision()),
        (Precision::F32, Precision::F64)
    );
    let order = one.order(0);
    for batch in order.chunks(32).take(3) {
        let [a, b] = [&mut one, &mut two].map(|t| t.step(batch, 0.0).expect("a step"));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-3 * a.abs();
        assert!(close(a.loss, b.loss), "{} and {}", a.loss, b.loss);
        assert!(close(a.gradient_norm, b.gradient_norm), "{a:?} and {b:?}");
        assert!(a.loss != b.loss, "rounding shows");
    }
    let (one, two) = (one.parameters(), two.parameters());
    let both = one.values.iter().flatten().zip(two.values.iter().flatten());
    let mut rounded = 0;
    for (a, b) in both {
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
        rounded += usize::from(f64::from(*b as f32) != *b);
    }
    assert!(rounded > 0, "more digits than single precision has");
}

/// The gradient of the first step, as gradient descent with a rate of 1 takes it away.
fn gradient(program: &Program) -> (f64, Vec<f64>) {
    let mut program = program.clone();
    let plan = program.training.as_mut().expect("has a plan");
    plan.optimizer = Optimizer {
        rule: Rule::Sgd {
            momentum: 0.0,
            nesterov: false,
        },
        lr: 1.0,
        weight_decay: 0.0,
        decoupled: false,
    };
    plan.schedule = Schedule::Constant;
    plan.clip = None;
    let mut trainer = trainer(&program, 2);
    let batch: Vec<usize> = (0..32).collect();
    let before = trainer.parameters();
    let report = trainer.step(&batch, 0.0).expect("a step");
    let after = trainer.parameters();
    let both = before
        .values
        .iter()
        .flatten()
        .zip(after.values.iter().flatten());
    (report.loss, both.map(|(a, b)| a - b).collect())
}

/// The forward is the same to the bit, the gradient but for what eight significant bits cannot hold.
#[test]
fn a_short_tape_changes_the_gradient_little() {
    for example in ["digits.snn", "recurrent.snn", "adaptive.snn"] {
        let whole = program(example, 1);
        for whole in [in_double(whole.clone()), whole] {
            let mut short = whole.clone();
            short.training.as_mut().expect("a plan").gradient.tape = Numbers::Bf16;
            let (loss, exact) = gradient(&whole);
            let (same, rounded) = gradient(&short);
            assert_eq!(loss.to_bits(), same.to_bits(), "{example}");
            let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
            let size = norm(&mut exact.iter().copied());
            let error = norm(&mut exact.iter().zip(&rounded).map(|(a, b)| a - b)) / size;
            assert!(error > 1e-6 && error < 1e-2, "{example}: {error}");
        }
    }
}

/// The weights of a run in double precision are written with all of their digits, and come back with them.
#[test]
fn weights_in_double_precision_come_back_with_the_same_bits() {
    let program = in_double(program("digits.snn", 1));
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = trainer(&program, 2);
    let forever = &mut StopAfter(usize::MAX);
    let wanted = config(Some(folder.path()), false);
    let summary = train(&mut first, &wanted, forever).expect("trains");
    let path = folder.path().join("best.safetensors");
    let bytes = std::fs::read(&path).expect("written");
    let header = String::from_utf8_lossy(&bytes[..2000]);
    assert!(
        header.contains("\"F64\"") && !header.contains("\"F32\""),
        "{header}"
    );
    let mut second = trainer(&program, 1);
    let mut parameters = second.parameters();
    let arrays = weights::load(&path).expect("readable");
    weights::apply(&path, &arrays, &mut parameters, true).expect("fits");
    second.set_parameters(&parameters).expect("set");
    assert_eq!(bits(&first.parameters()), bits(&second.parameters()));
    let test = second.evaluate(Subset::Test).expect("evaluated");
    assert_eq!(Some(test), summary.test);
}

#[test]
fn equal_runs_write_equal_files() {
    let program = program("digits.snn", 1);
    let files: Vec<(Vec<u8>, Vec<u8>)> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().expect("a folder");
            train(
                &mut trainer(&program, 1),
                &config(Some(folder.path()), false),
                &mut StopAfter(usize::MAX),
            )
            .expect("trains");
            let read = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
            (read("best.safetensors"), read("last.ckpt"))
        })
        .collect();
    assert!(files[0] == files[1], "the bytes differ");
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let single = program("adaptive.snn", 3);
    for program in [in_double(single.clone()), single] {
        resumed(&program);
    }
}

fn resumed(program: &Program) {
    let (_, whole) = run(program, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = trainer(program, 1);
    // In the second epoch.
    let broken = train(
        &mut first,
        &config(Some(folder.path()), false),
        &mut StopAfter(60),
    );
    assert!(broken.is_err());
    let mut second = trainer(program, 2);
    train(
        &mut second,
        &config(Some(folder.path()), true),
        &mut StopAfter(usize::MAX),
    )
    .expect("goes on");
    assert_eq!(bits(&whole), bits(&second.parameters()));
    let metrics = std::fs::read_to_string(folder.path().join("metrics.jsonl")).expect("written");
    assert_eq!(metrics.lines().count(), 3);
    let refused = Config {
        program: "another program".to_string(),
        ..config(Some(folder.path()), true)
    };
    let error =
        train(&mut trainer(program, 1), &refused, &mut StopAfter(1)).expect_err("another program");
    assert!(error.to_string().contains("changed"), "{error}");
}

/// Every rule with the numbers of its defaults.
fn rules() -> Vec<Rule> {
    let (beta1, beta2, eps) = (0.9, 0.999, 1e-8);
    vec![
        Rule::Sgd {
            momentum: 0.9,
            nesterov: true,
        },
        Rule::Adam { beta1, beta2, eps },
        Rule::Adamax { beta1, beta2, eps },
        Rule::RmsProp {
            alpha: 0.99,
            eps,
            momentum: 0.5,
        },
        Rule::RmaxProp { gamma: 0.9, eps },
        Rule::Lion { beta1, beta2: 0.99 },
    ]
}

/// Every schedule.
fn schedules() -> Vec<Schedule> {
    vec![
        Schedule::Plateau {
            factor: 0.5,
            patience: 1,
            floor: 0.0,
        },
        Schedule::Cosine {
            warmup: 1.0,
            floor: 0.1,
        },
        Schedule::OneCycle { rise: 0.3 },
        Schedule::Step {
            every: 1.0,
            factor: 0.5,
        },
        Schedule::Exponential { factor: 0.9 },
        Schedule::Constant,
    ]
}

/// What a run decided: its weights, its checkpoint, its metrics without the times.
fn decided(folder: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("written");
    let metrics = String::from_utf8(read("metrics.jsonl")).expect("text");
    let row = |line: &str| {
        let mut row: serde_json::Value = serde_json::from_str(line).expect("a row");
        row.as_object_mut().map(|row| row.remove("seconds"));
        row
    };
    let rows = metrics.lines().map(row).collect();
    (read("best.safetensors"), read("last.ckpt"), rows)
}

#[test]
fn every_optimiser_schedule_and_group_resumes_to_the_same_bits() {
    let base = program("adaptive.snn", 2);
    for (index, (rule, schedule)) in rules().into_iter().zip(schedules()).enumerate() {
        let mut program = base.clone();
        let plan = program.training.as_mut().expect("a plan");
        plan.data = Dataset::RandomSpikes {
            samples: 150,
            channels: 64,
            classes: 10,
            density: 0.05,
            graded: false,
            seed: 3,
        };
        plan.encoding = Encoding::BinSpikes(Binning {
            clip: None,
            downsample: 1,
            merge_polarity: false,
        });
        plan.valid = Some(Split::Holdout {
            fraction: 0.2,
            seed: 1,
        });
        plan.batch = 8;
        let other = rules()[(index + 1) % 6].clone();
        let optimizer = |rule: Rule| Optimizer {
            rule,
            lr: 1e-3,
            weight_decay: 1e-3,
            decoupled: index % 2 == 0,
        };
        plan.optimizer = optimizer(rule.clone());
        plan.groups.neurons = Some(optimizer(other));
        plan.schedule = schedule;
        // Both alone and together.
        plan.average = (index % 3 != 1).then_some(0.9);
        plan.accumulate = [1, 3, 4][index % 3];
        plan.patience = (index == 2).then_some(5);
        let whole = tempfile::tempdir().expect("a folder");
        let forever = &mut StopAfter(usize::MAX);
        let wanted = config(Some(whole.path()), false);
        train(&mut trainer(&program, 2), &wanted, forever).expect("trains");
        let parts = tempfile::tempdir().expect("a folder");
        for (resume, stop) in [(false, 2), (true, 12), (true, usize::MAX)] {
            let wanted = config(Some(parts.path()), resume);
            let ended = train(&mut trainer(&program, 1), &wanted, &mut StopAfter(stop));
            assert_eq!(ended.is_ok(), stop == usize::MAX, "{rule:?}");
        }
        let (one, two) = (decided(whole.path()), decided(parts.path()));
        assert!(one.0 == two.0 && one.1 == two.1, "{rule:?}: other weights");
        assert_eq!(one.2, two.2, "{rule:?}");
    }
}

#[test]
fn gradients_of_several_batches_are_those_of_one() {
    let mut program = program("digits.snn", 1);
    let plan = program.training.as_mut().expect("a plan");
    plan.optimizer.rule = Rule::Sgd {
        momentum: 0.0,
        nesterov: false,
    };
    plan.optimizer.lr = 0.5;
    plan.schedule = Schedule::Constant;
    plan.clip = None;
    let mut one = trainer(&program, 1);
    program.training.as_mut().expect("a plan").accumulate = 3;
    let mut three = trainer(&program, 1);
    let before = bits(&three.parameters());
    let order = one.order(0);
    one.step(&order[..30], 0.0).expect("a step");
    three.step(&order[..8], 0.0).expect("a step");
    three.step(&order[8..20], 0.0).expect("a step");
    assert!(before == bits(&three.parameters()), "no update yet");
    three.step(&order[20..30], 0.0).expect("a step");
    assert!(before != bits(&three.parameters()), "an update");
    let (one, three) = (one.parameters(), three.parameters());
    let pairs = one.values.iter().flatten();
    for (a, b) in pairs.zip(three.values.iter().flatten()) {
        assert!((a - b).abs() < 2e-6, "{a} and {b}");
    }
}

#[test]
fn averages_follow_their_formula() {
    let mut program = program("adaptive.snn", 1);
    let plan = program.training.as_mut().expect("a plan");
    plan.average = Some(0.5);
    // No warm-up: the first steps move.
    plan.schedule = Schedule::Constant;
    let mut trainer = trainer(&program, 1);
    let order = trainer.order(0);
    let values = |p: &Parameters<f64>| p.values.concat();
    let mut expected = values(&trainer.parameters());
    let start = expected.clone();
    for (step, batch) in order.chunks(20).take(5).enumerate() {
        trainer.step(batch, 0.0).expect("a step");
        let n = (step + 1) as f64;
        let decay = 0.5f64.min((1.0 + n) / (10.0 + n));
        for (sum, value) in expected.iter_mut().zip(values(&trainer.parameters())) {
            *sum = decay * *sum + (1.0 - decay) * value;
        }
    }
    let found = values(&trainer.judged_parameters());
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{a} and {b}");
    }
    assert!(found != start, "averages move");
    assert!(found != values(&trainer.parameters()), "and are behind");
}

#[test]
fn a_run_that_gets_no_better_is_slowed_down_and_ends() {
    let mut program = program("digits.snn", 20);
    let plan = program.training.as_mut().expect("a plan");
    // Nothing moves, so the first epoch stays the best.
    plan.optimizer.lr = 1e-20;
    plan.schedule = Schedule::Plateau {
        factor: 0.5,
        patience: 2,
        floor: 0.0,
    };
    plan.valid = Some(Split::Holdout {
        fraction: 0.2,
        seed: 1,
    });
    plan.patience = Some(3);
    plan.batch = 256;
    let folder = tempfile::tempdir().expect("a folder");
    let forever = &mut StopAfter(usize::MAX);
    let wanted = config(Some(folder.path()), false);
    let summary = train(&mut trainer(&program, 2), &wanted, forever).expect("trains");
    assert_eq!((summary.best_epoch, summary.last.epoch), (1, 4));
    assert!(summary.test.is_some());
    let rows = decided(folder.path()).2;
    let rates: Vec<f64> = rows
        .iter()
        .map(|row| row["learning_rate"].as_f64().expect("a number") / 1e-20)
        .collect();
    assert_eq!(rates, [1.0, 1.0, 1.0, 0.5]);
    // A resume has nothing to do.
    let wanted = config(Some(folder.path()), true);
    let again = train(&mut trainer(&program, 2), &wanted, forever).expect("looks again");
    assert_eq!(again.last.epoch, 4);
    assert_eq!(again.test, summary.test);
}
