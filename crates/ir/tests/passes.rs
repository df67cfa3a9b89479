//! Each pass on the kernels of its folder: input and output in one snapshot, and the same results.

use std::fs;
use std::path::Path;

use rheobase_ir::cases::run_rows;
use rheobase_ir::generate::{Domain, rows};
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::Kernel;
use rheobase_ir::passes::{self, Pass};
use rheobase_ir::text::{parse, parse_all, print};
use rheobase_ir::verify::verify;

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("readable file")
}

/// Input and output of a pass; both must be valid and compute the same.
fn apply(text: &str, pass: Pass) -> String {
    let before = parse(text).expect("kernel text");
    verify(&before).expect("a valid kernel before the pass");
    let mut after = before.clone();
    let changed = pass(&mut after);
    verify(&after).expect("a valid kernel after the pass");
    if !changed {
        assert_eq!(
            before, after,
            "a pass that changed something said it did not"
        );
    }
    assert_same_results(&before, &after);
    let note = if changed { "" } else { "; nothing changed\n" };
    format!("{text}\n; ----------\n\n{note}{}", print(&after))
}

/// Inputs that a pass removed are given to the kernel before it only.
fn assert_same_results(before: &Kernel, after: &Kernel) {
    let inputs = rows(before, 1, 64, Domain::Tame);
    let kept: Vec<Vec<f64>> = before
        .inputs()
        .zip(&inputs)
        .filter(|((_, input), _)| after.input(&input.slot).is_some())
        .map(|(_, row)| row.clone())
        .collect();
    let run = |kernel: &Kernel, inputs: &[Vec<f64>]| {
        let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
        run_rows::<f64>(&interpreter, kernel, 64, inputs).expect("a call that fits")
    };
    let (left, right) = (run(before, &inputs), run(after, &kept));
    for (left, right) in left.iter().flatten().zip(right.iter().flatten()) {
        let close = (left - right).abs() <= 1e-15 * left.abs().max(1.0);
        let same = left == right || (left.is_nan() && right.is_nan());
        assert!(same || close, "{left} became {right}\n{}", print(after));
    }
}

macro_rules! pass {
    ($name:ident) => {
        #[test]
        fn $name() {
            insta::glob!(concat!("passes/", stringify!($name), "/*.kir"), |path| {
                insta::assert_snapshot!(apply(&read(path), passes::$name));
            });
        }
    };
}

pass!(fold);
pass!(simplify);
pass!(cse);
pass!(fma);
pass!(dce);
pass!(harden);
pass!(reciprocal);
pass!(distribute);

/// The other passes work on one kernel; `hoist` takes the initial values and the step.
#[test]
fn hoist() {
    insta::glob!("passes/hoist/*.kir", |path| {
        let text = read(path);
        let mut kernels = parse_all(&text).expect("kernel text");
        let (mut step, init) = (kernels.remove(1), kernels.remove(0));
        let prologue = passes::hoist(&mut step, &init);
        verify(&prologue).expect("a valid prologue");
        verify(&step).expect("a valid step");
        insta::assert_snapshot!(format!(
            "{text}\n; ----------\n\n{}\n{}",
            print(&prologue),
            print(&step)
        ));
    });
}

#[test]
fn every_pass_has_a_folder_of_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes");
    for (name, _) in passes::PASSES {
        let cases = fs::read_dir(folder.join(name)).map_or(0, Iterator::count);
        assert!(cases > 0, "tests/passes/{name} has no case");
    }
}
