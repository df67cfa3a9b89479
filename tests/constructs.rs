//! Every construct of the language in a small program of its own, `constructs/*.snn`: it is checked without an
//! error, trained for one step by machine code and by the interpreter, and both agree. Programs `refused_*` are
//! checked without an error and refused with E0211, and with nothing else.
//!
//! A program without a network gets one around its neuron `Cell`, one without a plan gets a plan, and all get
//! the readout `Out`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rheobase_ir::program::{Precision, Program};
use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, render::render_all};
use rheobase_lang::load::{NoFiles, load};
use rheobase_lang::lower::lower_network;
use rheobase_runtime::Backend;
use rheobase_train::Trainer;

const READOUT: &str = "
neuron Out {
  input x
  state v = 0
  v' = -v / 10 ms
  on receive x { v += x }
}
";

const NETWORK: &str = "
network N {
  step 1 ms
  input inp[64]
  layer hid : Cell[12]
  layer out : Out[10]
  connect inp -> hid.x : dense(w = normal(0.3, 0.5))
  connect hid -> out.x : dense(w = normal(0, 0.5))
}
";

const PLAN: &str = "
train t of N {
  data = digits()
  encode = latency()
  duration = 15 ms
  loss = cross_entropy(max_over_time(out.v), label)
  optimizer = sgd(lr = 0.1)
  batch = 8
  epochs = 1
}
";

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/constructs");
    let listed = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = listed
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    paths
}

/// The program of the plan `t`, or why there is none; the text must have no error.
fn lowered(path: &Path) -> Result<Program, Vec<Diagnostic>> {
    let text = std::fs::read_to_string(path).expect("the file was just listed");
    lowered_text(&path.display().to_string(), text)
}

fn lowered_text(name: &str, mut text: String) -> Result<Program, Vec<Diagnostic>> {
    if !text.contains("network ") {
        text += NETWORK;
    }
    text += if text.contains("Out[") { READOUT } else { "" };
    if !text.contains("train ") {
        text += PLAN;
    }
    let loaded = load(name, &text, &NoFiles);
    let checked = check(&loaded.files);
    let mut findings = [loaded.diagnostics, checked.diagnostics].concat();
    findings.retain(Diagnostic::is_error);
    assert_eq!(render_all(&findings, &loaded.sources, false), "", "{name}");
    let program = lower_network(&checked.model, None, Some("t"));
    program.inspect_err(|findings| {
        let only: BTreeSet<&str> = findings.iter().map(|d| d.code.as_str()).collect();
        let text = render_all(findings, &loaded.sources, false);
        assert_eq!(only, BTreeSet::from(["E0211"]), "{name}\n{text}");
    })
}

/// The loss of a step, and the largest change of a trained number by it.
fn step(program: &Program, backend: Backend) -> (f64, f64) {
    let mut trainer = Trainer::new(program, backend, 1, Path::new(".")).expect("it can be run");
    let batch: Vec<usize> = (0..8).collect();
    let before = trainer.parameters();
    let report = trainer.step(&batch, 0.5).expect("a step");
    // Where several batches make an update, this is the last of them.
    trainer.step(&batch, 0.5).expect("a step");
    let after = trainer.parameters();
    let both = before
        .values
        .iter()
        .flatten()
        .zip(after.values.iter().flatten());
    let moved = both.fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    (report.loss + report.penalty, moved)
}

#[test]
fn every_construct_is_trained_for_a_step_or_refused() {
    let paths = programs();
    assert!(paths.len() > 25, "{}", paths.len());
    for path in paths {
        let name = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let refused = name.starts_with("refused_");
        let mut program = match lowered(&path) {
            Ok(program) => program,
            Err(_) if refused => continue,
            Err(findings) => {
                let said: Vec<&str> = findings.iter().map(|d| d.message.as_str()).collect();
                panic!("{name} should run, or be called `refused_{name}`: {said:?}")
            }
        };
        assert!(!refused, "{name} runs: take `refused_` from its name");
        // Rounding may move a spike at the threshold.
        for (precision, error) in [(Precision::F32, 1e-2), (Precision::F64, 1e-7)] {
            program.training.as_mut().expect("a plan").precision = precision;
            let (loss, moved) = step(&program, Backend::Jit);
            let (oracle, moved_there) = step(&program, Backend::Interpreter);
            assert!(loss.is_finite() && loss > 0.0, "{name}: {loss}");
            assert!(
                moved > 0.0 && moved.is_finite(),
                "{name}: nothing is learned"
            );
            let close = |a: f64, b: f64| (a - b).abs() <= error * a.abs().max(b.abs()).max(1e-3);
            assert!(
                close(loss, oracle),
                "{name}, {precision:?}: {loss} by code, {oracle} by the interpreter"
            );
            assert!(
                close(moved, moved_there),
                "{name}, {precision:?}: moved by {moved} and {moved_there}"
            );
        }
    }
}

/// What a surrogate says of its support decides how much is computed, not what.
#[test]
fn a_support_changes_no_gradient() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/constructs/normalisation_compact.snn");
    let text = std::fs::read_to_string(&path).expect("the file is there");
    let without: String = text
        .lines()
        .filter(|l| !l.contains("support ="))
        .map(|l| format!("{l}\n"))
        .collect();
    assert!(without.len() < text.len());
    let trained = |text: &str| {
        let program = lowered_text(&path.display().to_string(), text.to_owned()).expect("it runs");
        let mut trainer =
            Trainer::new(&program, Backend::Jit, 1, Path::new(".")).expect("it can be run");
        trainer
            .step(&(0..8).collect::<Vec<usize>>(), 0.5)
            .expect("a step");
        trainer.parameters().values.clone()
    };
    for (with, without) in trained(&text).iter().zip(&trained(&without)) {
        for (a, b) in with.iter().zip(without) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} is not {b}");
        }
    }
}
