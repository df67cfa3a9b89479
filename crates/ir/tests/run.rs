//! Every call of `run/*.kir`, by the interpreter in both precisions, before and after the passes.

use std::fs;

use rheobase_ir::cases::{Call, Case, cases, run_rows};
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::Kernel;
use rheobase_ir::passes::optimise;
use rheobase_ir::real::Real;
use rheobase_ir::types::Rate;
use rheobase_ir::verify::verify;

/// All calls of a case as lanes of one call. `f64` functions may miss a few units in the last place; in `f32`
/// they are computed in `f64`, so that only the rounding is left.
fn check<R: Real>(kernel: &Kernel, calls: &[Call], tolerance: f64) {
    let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
    let rows: Vec<Vec<f64>> = kernel
        .inputs()
        .enumerate()
        .map(|(i, (_, input))| match input.rate {
            Rate::Uniform => vec![calls[0].inputs[i]],
            Rate::Lane => calls.iter().map(|call| call.inputs[i]).collect(),
        })
        .collect();
    let outputs =
        run_rows::<R>(&interpreter, kernel, calls.len(), &rows).expect("a call that fits");
    for (lane, call) in calls.iter().enumerate() {
        for (output, expected) in outputs.iter().zip(&call.outputs) {
            let found = *output.get(lane).unwrap_or(&output[0]);
            let expected = R::from_f64(*expected).to_f64();
            let same =
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            let close = (found - expected).abs() <= tolerance * expected.abs();
            assert!(
                same || (close && !call.exact),
                "{} {}, line {}: found {found:?}, expected {expected:?}",
                kernel.name,
                R::NAME,
                call.line
            );
        }
    }
}

fn check_both(kernel: &Kernel, calls: &[Call]) {
    check::<f64>(kernel, calls, 8.0 * f64::EPSILON);
    check::<f32>(kernel, calls, f64::from(f32::EPSILON));
}

#[test]
fn interpreter() {
    insta::glob!("run/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        for Case { kernel, calls } in cases(&text).expect("a file of cases") {
            verify(&kernel).expect("a valid kernel");
            assert!(!calls.is_empty(), "{} is not called", kernel.name);
            check_both(&kernel, &calls);
            let mut optimised = kernel.clone();
            optimise(&mut optimised);
            // Dead inputs are gone then; the calls only fit kernels that kept theirs.
            if optimised.inputs().count() == kernel.inputs().count() {
                check_both(&optimised, &calls);
            }
        }
    });
}

#[test]
fn what_is_no_case() {
    let kernel = "kernel k {\nv0 = in real state v\nout state v = v0\n}\n";
    let error = |text: &str| cases(text).expect_err("a mistake");
    assert_eq!(error("; run: 1 == 1"), "line 1: a call before its kernel");
    assert_eq!(
        error(&format!("{kernel}; run: 1.0")),
        "line 5: expected `==` or `~=`"
    );
    assert_eq!(
        error(&format!("{kernel}; run: 1.0, 2.0 == 1.0")),
        "line 5: the kernel has 1 inputs and 1 outputs"
    );
    assert_eq!(
        error(&format!("{kernel}; run: one == 1.0")),
        "line 5: `one` is not a number"
    );
}
