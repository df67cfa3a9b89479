//! Random valid kernels: compiled code against the interpreter.
//!
//! A difference of one unit in the last place early in a kernel may become any difference later
//! (cancellation, a spike that flips), so whole results say little. Two things are checked instead, in
//! both precisions, and together they say that every kernel means what the interpreter says: each node
//! is what the interpreter makes of the compiled values of its operands, within the bound of its op; and
//! the kernel as given computes the same bits as the kernel that shows every node. On smooth tame kernels, where errors
//! stay small, the `f32` results are also compared as a whole.

use rheobase_ir::cases::run_rows;
use rheobase_ir::executor::Executor;
use rheobase_ir::generate::{self, Domain, Shape};
use rheobase_ir::interp::{Interpreter, Spiking, evaluate};
use rheobase_ir::kernel::{Def, Input, Kernel, Node, Output, Role, Slot, Value};
use rheobase_ir::text::print;
use rheobase_ir::types::Rate;
use rheobase_jit::{Compiled, Lane, Target, compile};

use crate::ulps::{close, tolerance};

/// How many kernels of each kind. `RHEOBASE_KERNELS=n` asks for more.
fn count() -> u64 {
    std::env::var("RHEOBASE_KERNELS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1000)
}

fn compiled<R: Lane>(kernel: &Kernel, target: &Target) -> Compiled<R> {
    compile::<R>(kernel, target).unwrap_or_else(|e| panic!("{e}\n{}", print(kernel)))
}

fn run<R: Lane>(
    executor: &dyn Executor<R>,
    kernel: &Kernel,
    lanes: usize,
    inputs: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    run_rows(executor, kernel, lanes, inputs).expect("rows are made for the kernel")
}

/// The same kernel with every node as an output.
fn transparent(kernel: &Kernel) -> Kernel {
    let mut kernel = kernel.clone();
    kernel.outputs = (0..kernel.nodes.len())
        .map(|i| Output {
            slot: Slot::new(Role::Saved, format!("node{i}")),
            value: Value(i as u32),
            rate: Rate::Lane,
        })
        .collect();
    kernel
}

/// What the interpreter makes of a node from the values of its operands.
fn single_op<R: Lane>(kernel: &Kernel, node: &Node, operands: &[f64]) -> f64 {
    let Def::Inst(op, args) = &node.def else {
        unreachable!("only instructions are checked")
    };
    let mut nodes: Vec<Node> = args
        .iter()
        .enumerate()
        .map(|(i, &arg)| Node {
            def: Def::Input(Input {
                slot: Slot::new(Role::Saved, format!("a{i}")),
                ty: kernel.ty(arg),
                rate: Rate::Lane,
            }),
            ..kernel.node(arg).clone()
        })
        .collect();
    nodes.push(Node {
        def: Def::Inst(*op, (0..args.len()).map(|i| Value(i as u32)).collect()),
        ..node.clone()
    });
    let single = Kernel {
        name: "single".into(),
        nodes,
        outputs: Vec::new(),
    };
    let values = evaluate(
        &single,
        &mut |i| R::from_f64(operands[i]),
        &mut Spiking::Hard,
    )
    .expect("no integrate");
    values[args.len()].to_f64()
}

/// Each node from the compiled values of its operands, and the results from the nodes.
pub(crate) fn check_nodes<R: Lane>(
    kernel: &Kernel,
    target: &Target,
    lanes: usize,
    inputs: &[Vec<f64>],
) {
    let shown = transparent(kernel);
    let nodes = run::<R>(&compiled::<R>(&shown, target), &shown, lanes, inputs);
    for (value, node) in kernel.values() {
        let Def::Inst(op, args) = &node.def else {
            continue;
        };
        for (lane, &found) in nodes[value.index()].iter().enumerate() {
            let operands: Vec<f64> = args.iter().map(|a| nodes[a.index()][lane]).collect();
            let expected = single_op::<R>(kernel, node, &operands);
            assert!(
                close::<R>(expected, found, tolerance::<R>(*op)),
                "{value} lane {lane} of {lanes}: {operands:?}: expected {expected:e}, found {found:e}\n{}",
                print(kernel)
            );
        }
    }
    let results = run::<R>(&compiled::<R>(kernel, target), kernel, lanes, inputs);
    for (output, result) in kernel.outputs.iter().zip(&results) {
        for (lane, &found) in result.iter().enumerate() {
            let expected = nodes[output.value.index()][lane];
            assert!(
                close::<R>(expected, found, 0.0),
                "{} lane {lane} of {lanes}: {expected:e} where every node is shown, else {found:e}\n{}",
                output.slot,
                print(kernel)
            );
        }
    }
}

/// The target of a seed: mostly this machine as it is.
fn target(seed: u64) -> Target {
    if seed % 4 == 3 {
        Target::baseline()
    } else {
        Target::host()
    }
}

#[test]
fn random_kernels_mean_what_the_interpreter_says() {
    for seed in 0..count() {
        let (shape, domain) = match seed % 2 {
            0 => (Shape::WILD, Domain::Wild),
            _ => (Shape::TAME, Domain::Tame),
        };
        let kernel = generate::kernel(seed, &shape);
        let lanes = 1 + (seed as usize * 5) % 41;
        let inputs = generate::rows(&kernel, seed, lanes, domain);
        check_nodes::<f32>(&kernel, &target(seed), lanes, &inputs);
        check_nodes::<f64>(&kernel, &target(seed), lanes, &inputs);
    }
}

#[test]
fn smooth_random_kernels_agree_as_a_whole() {
    for seed in 0..count() {
        let kernel = generate::kernel(seed, &Shape::SMOOTH);
        let lanes = 1 + (seed as usize * 3) % 40;
        let inputs = generate::rows(&kernel, seed, lanes, Domain::Tame);
        let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
        let exact = run::<f64>(&interpreter, &kernel, lanes, &inputs);
        let expected = run::<f32>(&interpreter, &kernel, lanes, &inputs);
        let found = run::<f32>(
            &compiled::<f32>(&kernel, &target(seed)),
            &kernel,
            lanes,
            &inputs,
        );
        for (i, output) in kernel.outputs.iter().enumerate() {
            for lane in 0..exact[i].len() {
                let (x, e, f) = (exact[i][lane], expected[i][lane], found[i][lane]);
                // Where the interpreter's own rounding shows, so may the other's.
                let bound = 1e-5 * e.abs().max(1.0) + 4.0 * (e - x).abs();
                assert!(
                    (e - f).abs() <= bound,
                    "{} lane {lane} of {lanes}: expected {e:e} (exact {x:e}), found {f:e}\n{}",
                    output.slot,
                    print(&kernel)
                );
            }
        }
    }
}

#[test]
fn the_same_kernel_gives_the_same_code() {
    for seed in 0..20 {
        let kernel = generate::kernel(seed, &Shape::WILD);
        let text = || {
            rheobase_jit::clif(&kernel, &Target::host(), rheobase_jit::Precision::F32)
                .expect("verified")
        };
        assert_eq!(text(), text());
    }
}
