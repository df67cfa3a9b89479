//! Training end to end: the digits to a stated accuracy, and the same bits for any number of threads and after a
//! resume.

use std::ops::ControlFlow;
use std::path::Path;

use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_ir::program::Program;
use rheobase_runtime::{Backend, Parameters};
use rheobase_train::{Config, EpochReport, Observer, StepReport, Summary, Trainer, train};

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

fn run(program: &Program, threads: usize) -> (Summary, Parameters<f32>) {
    let mut trainer = trainer(program, threads);
    let summary = train(
        &mut trainer,
        &config(None, false),
        &mut StopAfter(usize::MAX),
    )
    .expect("trains");
    (summary, trainer.parameters().clone())
}

/// The bits, so that equal means equal.
fn bits(parameters: &Parameters<f32>) -> Vec<u32> {
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
    for example in ["digits.snn", "recurrent.snn", "adaptive.snn"] {
        let program = program(example, 1);
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
    let program = program("adaptive.snn", 3);
    let (_, whole) = run(&program, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = trainer(&program, 1);
    // In the second epoch.
    let broken = train(
        &mut first,
        &config(Some(folder.path()), false),
        &mut StopAfter(60),
    );
    assert!(broken.is_err());
    let mut second = trainer(&program, 2);
    train(
        &mut second,
        &config(Some(folder.path()), true),
        &mut StopAfter(usize::MAX),
    )
    .expect("goes on");
    assert_eq!(bits(&whole), bits(second.parameters()));
    let metrics = std::fs::read_to_string(folder.path().join("metrics.jsonl")).expect("written");
    assert_eq!(metrics.lines().count(), 3);
    let refused = Config {
        program: "another program".to_string(),
        ..config(Some(folder.path()), true)
    };
    let error =
        train(&mut trainer(&program, 1), &refused, &mut StopAfter(1)).expect_err("another program");
    assert!(error.to_string().contains("changed"), "{error}");
}
