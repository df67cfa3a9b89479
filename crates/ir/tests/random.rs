//! What every pass promises, on random kernels: the same results on the interpreter, to the last bit unless
//! the page of the pass says otherwise.

use rheobase_ir::autodiff::differentiate;
use rheobase_ir::builder::Builder;
use rheobase_ir::cases::run_rows;
use rheobase_ir::generate::{Domain, Shape, kernel, rows};
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::{Def, Kernel, Role, Slot, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::passes::{self, Pass};
use rheobase_ir::real::Real;
use rheobase_ir::tape::{Numbers, plan_tape};
use rheobase_ir::text::print;
use rheobase_ir::types::{Rate, Type};
use rheobase_ir::verify::verify;

const KERNELS: u64 = 300;
const LANES: usize = 16;

/// Named rows of numbers.
type Rows = Vec<(Slot, Vec<f64>)>;

/// Runs a kernel with rows by slot.
fn run<R: Real>(kernel: &Kernel, given: &Rows) -> Rows {
    let row = |slot: &Slot| {
        let (_, row) = given
            .iter()
            .find(|(s, _)| s == slot)
            .expect("every input is given");
        row.clone()
    };
    let inputs: Vec<Vec<f64>> = kernel.inputs().map(|(_, i)| row(&i.slot)).collect();
    let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
    let outputs = run_rows::<R>(&interpreter, kernel, LANES, &inputs).expect("a call that fits");
    let slots = kernel.outputs.iter().map(|o| o.slot.clone());
    slots.zip(outputs).collect()
}

fn given(kernel: &Kernel, seed: u64, domain: Domain) -> Rows {
    let slots = kernel.inputs().map(|(_, i)| i.slot.clone());
    slots.zip(rows(kernel, seed, LANES, domain)).collect()
}

fn assert_same(before: &Kernel, after: &Kernel, left: &Rows, right: &Rows, tolerance: f64) {
    for ((slot, left), (_, right)) in left.iter().zip(right) {
        for (a, b) in left.iter().zip(right) {
            // Zeros of both signs are equal here: simplification may change the sign of a zero.
            let same = a == b || (a.is_nan() && b.is_nan());
            let close = (a - b).abs() <= tolerance * a.abs().max(1.0);
            assert!(
                same || close,
                "{slot}: {a:?} became {b:?}\n{}\n{}",
                print(before),
                print(after)
            );
        }
    }
}

fn check<R: Real>(pass: Pass, shape: &Shape, tolerance: f64, skip: impl Fn(&Kernel) -> bool) {
    let mut changed = 0;
    for seed in 0..KERNELS {
        let before = kernel(seed, shape);
        verify(&before).expect("random kernels are valid");
        if skip(&before) {
            continue;
        }
        let mut after = before.clone();
        changed += u32::from(pass(&mut after));
        verify(&after).expect("passes keep kernels valid");
        let given = given(&before, seed, shape.domain);
        assert_same(
            &before,
            &after,
            &run::<R>(&before, &given),
            &run::<R>(&after, &given),
            tolerance,
        );
    }
    assert!(changed > 10, "only {changed} kernels were changed at all");
}

fn exact(pass: Pass, shape: &Shape) {
    check::<f64>(pass, shape, 0.0, |_| false);
    check::<f32>(pass, shape, 0.0, |_| false);
}

/// Repeated instructions are rare in random kernels.
fn doubled(kernel: &mut Kernel) -> bool {
    let before = kernel.nodes.len();
    let mut b = Builder::new(kernel.name.clone());
    let mut first = Vec::new();
    let mut second = Vec::new();
    for node in &kernel.nodes {
        match &node.def {
            Def::Input(_) => {
                let value = b.push(node.clone());
                first.push(value);
                second.push(value);
            }
            Def::Inst(op, args) => {
                let pick = |list: &[_]| args.iter().map(|a| list[a.index()]).collect::<Vec<_>>();
                let (left, right) = (pick(&first), pick(&second));
                first.push(b.inst(*op, &left));
                second.push(b.inst(*op, &right));
            }
        }
    }
    for (i, output) in kernel.outputs.iter().enumerate() {
        let values = if i % 2 == 0 { &first } else { &second };
        b.output(
            output.slot.clone(),
            values[output.value.index()],
            output.rate,
        );
    }
    *kernel = b.finish();
    passes::cse(kernel) && kernel.nodes.len() <= before
}

#[test]
fn cse_is_exact() {
    for shape in [Shape::TAME, Shape::WILD] {
        exact(doubled, &shape);
    }
}

#[test]
fn dce_is_exact() {
    for shape in [Shape::TAME, Shape::WILD] {
        exact(passes::dce, &shape);
    }
}

#[test]
fn harden_is_exact() {
    for shape in [Shape::TAME, Shape::WILD] {
        exact(passes::harden, &shape);
    }
}

/// Random kernels rarely choose between constants: some are made to.
#[test]
fn distribute_is_exact() {
    for shape in [Shape::TAME, Shape::WILD] {
        let mut changed = 0;
        for seed in 0..KERNELS {
            let mut before = kernel(seed, &shape);
            choose_between_constants(&mut before);
            verify(&before).expect("still valid");
            let mut after = before.clone();
            changed += u32::from(passes::distribute(&mut after));
            verify(&after).expect("passes keep kernels valid");
            let given = given(&before, seed, shape.domain);
            let left = run::<f64>(&before, &given);
            assert_same(&before, &after, &left, &run::<f64>(&after, &given), 0.0);
            let left = run::<f32>(&before, &given);
            assert_same(&before, &after, &left, &run::<f32>(&after, &given), 0.0);
        }
        assert!(changed > 10, "only {changed} kernels were changed at all");
    }
}

/// Arguments of functions become choices between 0.5 and the first parameter, by comparisons with the argument.
fn choose_between_constants(kernel: &mut Kernel) {
    let mut b = Builder::new(kernel.name.clone());
    let mut renamed = Vec::new();
    let mut param = None;
    for (i, node) in kernel.nodes.iter().enumerate() {
        let mut node = node.clone();
        if let Def::Inst(op, args) = &mut node.def {
            args.iter_mut()
                .for_each(|a: &mut Value| *a = renamed[a.index()]);
            if let (Op::Exp | Op::Tanh | Op::Phi(_) | Op::Sin | Op::Erf, Some(param)) = (*op, param)
            {
                let half = b.real(0.5);
                let low = b.inst(Op::Lt, &[args[0], half]);
                let mut choice = b.select(low, param, half);
                if i % 2 == 0 {
                    let outer = b.inst(Op::Le, &[half, args[0]]);
                    let minus = b.neg(choice);
                    choice = b.select(outer, minus, param);
                }
                args[0] = b.mul(choice, param);
            }
        }
        let value = b.push(node.clone());
        if let Def::Input(input) = &node.def
            && input.slot.role == Role::Param
            && input.ty == Type::Real
        {
            param = Some(value);
        }
        renamed.push(value);
    }
    let lanes = kernel.outputs.iter().filter(|o| o.rate == Rate::Lane);
    for output in lanes {
        b.output(
            output.slot.clone(),
            renamed[output.value.index()],
            output.rate,
        );
    }
    *kernel = b.finish();
}

/// Folding is in double precision, where it is what the interpreter does.
#[test]
fn fold_is_exact_in_double_precision() {
    for shape in [Shape::TAME, Shape::WILD] {
        check::<f64>(passes::fold, &shape, 0.0, |_| false);
    }
    check::<f32>(passes::fold, &Shape::SMOOTH, 1e-4, |_| false);
}

/// But for the sign of a zero and the last bit of a square.
#[test]
fn simplify_is_exact() {
    check::<f64>(passes::simplify, &Shape::TAME, 0.0, squares);
    check::<f32>(passes::simplify, &Shape::TAME, 0.0, squares);
    // A wild kernel may see the sign of a zero when it divides by it.
    let skip = |kernel: &Kernel| squares(kernel) || uses(kernel, Op::Div) || uses(kernel, Op::Pow);
    check::<f64>(passes::simplify, &Shape::WILD, 0.0, skip);
    check::<f32>(passes::simplify, &Shape::WILD, 0.0, skip);
}

fn uses(kernel: &Kernel, op: Op) -> bool {
    let found = |def: &Def| matches!(def, Def::Inst(o, _) if *o == op);
    kernel.nodes.iter().any(|node| found(&node.def))
}

fn squares(kernel: &Kernel) -> bool {
    uses(kernel, Op::Pow) && uses(kernel, Op::Const(2.0.into()))
}

#[test]
fn fma_is_close() {
    check::<f64>(passes::fma, &Shape::SMOOTH, 1e-12, |_| false);
}

#[test]
fn reciprocal_is_close() {
    check::<f64>(passes::reciprocal, &Shape::SMOOTH, 1e-12, |_| false);
}

#[test]
fn all_passes_are_close() {
    let all: Pass = |kernel| {
        let before = kernel.clone();
        passes::optimise(kernel);
        *kernel != before
    };
    check::<f64>(all, &Shape::SMOOTH, 1e-12, |_| false);
}

/// Passing over a kernel again finds nothing: the rounds of `optimise` are enough.
#[test]
fn optimise_reaches_a_fixed_point() {
    for seed in 0..KERNELS {
        let mut once = kernel(seed, &Shape::TAME);
        passes::optimise(&mut once);
        for (name, pass) in passes::PASSES {
            let mut again = once.clone();
            let changed = pass(&mut again);
            assert!(!changed, "`{name}` still changes\n{}", print(&once));
        }
    }
}

/// Prologue and step together compute what the step did.
#[test]
fn hoist_is_exact() {
    let mut derived = 0;
    for seed in 0..KERNELS {
        // A kernel that itself writes a derived value is no step.
        let mut before = kernel(seed, &Shape::TAME);
        before.outputs.retain(|o| o.slot.role != Role::Derived);
        let init = Builder::new("init").finish();
        let mut step = before.clone();
        // The names of derived inputs and those that hoisting makes up must not meet.
        for node in &mut step.nodes {
            if let Def::Input(input) = &mut node.def
                && input.slot.role == Role::Derived
            {
                input.slot.role = Role::Param;
            }
        }
        let before = step.clone();
        let prologue = passes::hoist(&mut step, &init);
        verify(&prologue).expect("a valid prologue");
        verify(&step).expect("a valid step");
        let mut rows = given(&before, seed, Domain::Tame);
        let expected = run::<f64>(&before, &rows);
        rows.extend(run::<f64>(&prologue, &rows));
        derived += prologue.outputs.len();
        assert_same(&before, &step, &expected, &run::<f64>(&step, &rows), 0.0);
    }
    assert!(derived > 100, "only {derived} values were hoisted");
}

/// Forward and backward with their tape compute what the joint kernel does, to the last bit, and the tape is
/// not larger than all inputs and no smaller than nothing.
#[test]
fn tape_is_exact() {
    let (mut bytes, mut whole) = (0, 0);
    for seed in 0..KERNELS {
        let mut step = kernel(seed, &Shape::TAME);
        step.outputs.retain(|o| o.slot.role != Role::Saved);
        // Nothing is saved before the plan does it.
        for node in &mut step.nodes {
            if let Def::Input(input) = &mut node.def
                && input.slot.role == Role::Saved
            {
                input.slot.role = match input.ty {
                    Type::Real | Type::Bf16 => Role::Port,
                    Type::Bool => Role::Spike,
                };
            }
        }
        let joint = differentiate(&step, &|slot| slot.role != Role::Derived);
        verify(&joint).expect("a valid gradient");
        let plan = plan_tape(&joint, "random", Numbers::Whole);
        verify(&plan.forward).expect("a valid forward");
        verify(&plan.backward).expect("a valid backward");
        let rows = given(&joint, seed, Domain::Tame);
        let expected = run::<f64>(&joint, &rows);
        let forward = run::<f64>(&plan.forward, &rows);
        let (saved, outputs): (Rows, Rows) = forward
            .into_iter()
            .partition(|(slot, _)| slot.role == Role::Saved);
        // The backward gets the tape, what is constant in time, and adjoints; nothing else.
        let constant = |slot: &Slot| slot.adjoint || slot.role.constant_in_time();
        let mut known: Rows = rows
            .into_iter()
            .filter(|(slot, _)| constant(slot))
            .collect();
        known.extend(saved);
        let found: Rows = outputs
            .into_iter()
            .chain(run::<f64>(&plan.backward, &known))
            .collect();
        assert_eq!(expected.len(), found.len());
        assert_same(&joint, &plan.backward, &expected, &found, 0.0);
        let varying = step
            .inputs()
            .filter(|(_, i)| !i.slot.role.constant_in_time());
        whole += varying
            .map(|(_, i)| if i.ty == Type::Real { 4 } else { 1 })
            .sum::<usize>();
        bytes += plan.bytes();
    }
    assert!(bytes > 0 && bytes < whole, "{bytes} of {whole} bytes");
}
