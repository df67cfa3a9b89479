//! The kernels of every neuron of `ir/tests/neurons`, and kernels written by hand: a leaky integrate-and-fire step and its backward, a kernel without
//! lanes, matrix exponentials, calls with wrong arguments.

use std::path::Path;

use rheobase_ir::cases;
use rheobase_ir::executor::{Arg, CallError, Executor};
use rheobase_ir::generate::{self, Domain};
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::{Kernel, Role, Slot};
use rheobase_ir::pipeline;
use rheobase_ir::tape::Numbers;
use rheobase_ir::text::parse;
use rheobase_ir::verify::verify;
use rheobase_jit::{JitError, Lane, Precision, Target, clif, compile};

use crate::random::check_nodes;
use crate::rows::{Rows, run};

/// The state is updated in place, the spike is a byte, the margin is saved.
const FORWARD: &str = "kernel LIF {
  v0 = in real state v
  v1 = in real uniform derived decay
  v2 = in real port x
  v3 = in real uniform param th
  v4 = fma v0, v1, v2
  v5 = sub v4, v3
  v6 = const 1.0
  v7 = abs v5
  v8 = const 10.0
  v9 = fma v7, v8, v6
  v10 = mul v9, v9
  v11 = div v6, v10
  v12 = spike.ge v5, v11
  v13 = select v12, v5, v4
  out state v = v13
  out spike s = v12
  out saved u = v5
}
";

const BACKWARD: &str = "kernel LIF.backward {
  v0 = in real adjoint state v
  v1 = in real uniform derived decay
  v2 = in real saved u
  v3 = in real adjoint spike s
  v4 = in bool saved fired
  v5 = const 1.0
  v6 = abs v2
  v7 = const 10.0
  v8 = fma v6, v7, v5
  v9 = mul v8, v8
  v10 = div v5, v9
  v11 = fma v3, v10, v0
  v12 = mul v11, v1
  v13 = const 0.0
  v14 = select v4, v13, v12
  out adjoint state v = v14
  out adjoint port x = v11
}
";

/// A prologue: uniform in, uniform out, two elements of one matrix exponential.
const PROLOGUE: &str = "kernel prologue {
  v0 = in real uniform param tau
  v1 = in real uniform param h
  v2 = neg v1
  v3 = div v2, v0
  v4 = const 0.5
  v5 = const 0.0
  v6 = expm.2.0.0 v3, v4, v5, v3
  v7 = expm.2.0.1 v3, v4, v5, v3
  v8 = exp v3
  v9 = lt v6, v7
  out uniform derived a = v6
  out uniform derived b = v7
  out uniform derived c = v8
  out uniform saved flag = v9
}
";

/// Every kernel that the pipeline makes of the neurons that the IR is tested with: what training runs.
#[test]
fn every_kernel_of_every_neuron_means_what_the_interpreter_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ir/tests/neurons");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let neuron = cases::neuron(&text).expect("well formed");
        let stages =
            pipeline::build(&neuron, pipeline::Wanted::ALL).expect("the pipeline is right");
        let short = pipeline::Wanted {
            tape: Numbers::Bf16,
            ..pipeline::Wanted::ALL
        };
        let short = pipeline::build(&neuron, short).expect("the pipeline is right");
        let kernels = [
            &stages.step,
            &stages.prologue,
            &stages.infer,
            &stages.forward,
            &stages.backward,
            &stages.prologue_gradient,
            &short.forward,
            &short.backward,
        ];
        for (seed, kernel) in kernels.into_iter().enumerate() {
            let lanes = 9 + 5 * seed;
            let inputs = generate::rows(kernel, seed as u64, lanes, Domain::Tame);
            for target in [Target::host(), Target::baseline()] {
                check_nodes::<f32>(kernel, &target, lanes, &inputs);
                check_nodes::<f64>(kernel, &target, lanes, &inputs);
            }
        }
    }
}

fn kernel(text: &str) -> Kernel {
    let kernel = parse(text).expect("well formed");
    verify(&kernel).expect("valid");
    kernel
}

fn agrees<R: Lane>(text: &str, target: &Target, ulps: f64) {
    let kernel = kernel(text);
    let compiled = compile::<R>(&kernel, target).expect("verified");
    let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
    for lanes in (0..40).chain([64, 1001]) {
        let make = || {
            Rows::<R>::new(&kernel, lanes, |argument, lane| {
                ((lane * 7919 + argument * 104_729 + 13) % 1000) as f64 / 400.0 - 0.9
            })
        };
        let expected = run(&interpreter, lanes, make());
        let found = run(&compiled, lanes, make());
        expected.assert_close(&found, ulps, &|| format!("{} lanes {lanes}", kernel.name));
    }
}

#[test]
fn lif_forward_and_backward_are_the_interpreters_bit_for_bit() {
    for target in [Target::host(), Target::baseline()] {
        for text in [FORWARD, BACKWARD] {
            agrees::<f32>(text, &target, 0.0);
            agrees::<f64>(text, &target, 0.0);
        }
    }
}

#[test]
fn a_lif_neuron_spikes_and_is_reset() {
    let compiled = compile::<f32>(&kernel(FORWARD), &Target::host()).expect("verified");
    let mut v = [0.0f32; 6];
    let mut counts = [0u32; 6];
    let x: Vec<f32> = (0..6).map(|i| 0.1 * i as f32).collect();
    for _ in 0..100 {
        let (mut s, mut u) = ([9u8; 6], [0.0f32; 6]);
        let mut args = [
            Arg::RealMut(&mut v),
            Arg::Real(&[0.9]),
            Arg::Real(&x),
            Arg::Real(&[1.0]),
            Arg::BoolMut(&mut s),
            Arg::RealMut(&mut u),
        ];
        compiled.call(6, &mut args).expect("the signature is met");
        for lane in 0..6 {
            assert_eq!(s[lane], u8::from(u[lane] >= 0.0));
            counts[lane] += u32::from(s[lane]);
        }
    }
    // An input of 0.1 settles at the threshold from below; stronger input spikes more often.
    assert_eq!(counts[..2], [0, 0]);
    assert!(counts[2..].is_sorted() && counts[2] > 0, "{counts:?}");
}

#[test]
fn a_prologue_runs_once_whatever_the_lanes() {
    for target in [Target::host(), Target::baseline()] {
        agrees::<f32>(PROLOGUE, &target, 2.0);
        agrees::<f64>(PROLOGUE, &target, 2.0);
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let compiled = compile::<f32>(&kernel(PROLOGUE), &Target::host()).expect("verified");
    let mut few = [Arg::Real(&[1.0f32])];
    let count = compiled.call(4, &mut few);
    assert_eq!(
        count,
        Err(CallError::Count {
            expected: 6,
            found: 1
        })
    );

    let compiled = compile::<f32>(&kernel(BACKWARD), &Target::host()).expect("verified");
    let (mut v, mut x) = ([0.0f32; 4], [0.0f32; 4]);
    let mut args = [
        Arg::RealMut(&mut v),
        Arg::Real(&[0.9]),
        Arg::Real(&[0.0; 3]),
        Arg::Real(&[0.0; 4]),
        Arg::Bool(&[0; 4]),
        Arg::RealMut(&mut x),
    ];
    let length = compiled.call(4, &mut args);
    let slot = Slot::new(Role::Saved, "u");
    assert_eq!(
        length,
        Err(CallError::Length {
            slot,
            needed: 4,
            found: 3
        })
    );
}

#[test]
fn an_integrate_is_refused_with_its_place() {
    let kernel = parse(
        "kernel K {
  v0 = in real state x
  v1 = const 0.1
  v2 = integrate.euler v0, v0, v1
  out state x = v2
}
",
    )
    .expect("well formed");
    let error = compile::<f32>(&kernel, &Target::host()).expect_err("no pass has run");
    let expected = JitError::Op {
        kernel: "K".into(),
        value: "v2".into(),
        name: "integrate",
    };
    assert_eq!(error, expected);
}

#[test]
fn the_printed_form_names_our_ops() {
    let text = clif(&kernel(FORWARD), &Target::host(), Precision::F32).expect("verified");
    insta::assert_snapshot!(text);
}
