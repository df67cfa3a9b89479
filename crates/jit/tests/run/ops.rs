//! Every op of the op table, compiled, against the interpreter: on special and ordinary values, for
//! lane counts around the register width, in both precisions, with all features of this machine and
//! with none. The test walks the table, so an op that is added is tested.

use rheobase_ir::builder::Builder;
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::{Kernel, Role, Slot, Value};
use rheobase_ir::ops::{Edge, Element, Op, Operands, PLAIN};
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::{Lane, Target};

use crate::rows::{Rows, run};
use crate::ulps::tolerance;

/// Values at which functions change their ways, and a few ordinary ones.
const VALUES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    -2.5,
    0.3,
    -0.7,
    1e-3,
    -1e-3,
    3e-9,
    -3e-9,
    1e-30,
    -1e-30,
    1e-42,
    -1e-42,
    17.25,
    -17.25,
    50.0,
    -50.0,
    87.5,
    -87.5,
    89.0,
    -103.0,
    1e4,
    -1e4,
    1e30,
    -1e30,
    3.4e38,
    -3.4e38,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// The ops of the table and those with data.
fn all_ops() -> Vec<Op> {
    let mut ops = PLAIN.to_vec();
    ops.extend((0..5).map(Op::Phi));
    ops.extend((0..3).flat_map(|k| [Op::Uniform(k), Op::Normal(k)]));
    ops.extend([-0.0, 1.5, f64::INFINITY, 1e300].map(|x| Op::Const(x.into())));
    ops.extend([Op::Truth(true), Op::Truth(false)]);
    ops.extend([Op::Count, Op::Detach, Op::Hold]);
    ops.extend([Op::Spike(Edge::AtOrAbove), Op::Spike(Edge::Above)]);
    for row in 0..3 {
        ops.push(Op::Expm(Element {
            n: 3,
            row,
            col: 2 - row,
        }));
    }
    ops
}

fn operand_types(op: Op) -> Vec<Vec<Type>> {
    match op.operands() {
        Operands::Fixed(types) => vec![types.to_vec()],
        Operands::Any => vec![vec![Type::Real], vec![Type::Bool]],
        Operands::Reals(least) => {
            if let Op::Expm(element) = op {
                return vec![vec![Type::Real; usize::from(element.n).pow(2)]];
            }
            vec![vec![Type::Real; least], vec![Type::Real; least + 1]]
        }
    }
}

/// A kernel of one op whose operands are inputs at the given rate.
fn kernel(op: Op, types: &[Type], rates: &[Rate]) -> Kernel {
    let mut b = Builder::new(op.name());
    let args: Vec<Value> = types
        .iter()
        .zip(rates)
        .enumerate()
        .map(|(i, (&ty, &rate))| {
            let role = if ty == Type::Real {
                Role::Port
            } else {
                Role::Saved
            };
            b.input(Slot::new(role, format!("a{i}")), ty, rate)
        })
        .collect();
    let result = b.inst(op, &args);
    let rate = *rates.iter().max().unwrap_or(&Rate::Uniform);
    b.output(Slot::new(Role::Saved, "result"), result, rate);
    let lanes = Rate::Lane;
    if rate == Rate::Uniform {
        b.output(Slot::new(Role::Saved, "spread"), result, lanes);
    }
    let kernel = b.finish();
    rheobase_ir::verify::verify(&kernel).expect("the kernel is well formed");
    kernel
}

fn check<R: Lane>(op: Op, target: &Target) {
    for types in operand_types(op) {
        let shapes: Vec<Vec<Rate>> = if types.is_empty() {
            vec![vec![]]
        } else {
            let lane = vec![Rate::Lane; types.len()];
            let mut first = lane.clone();
            first[0] = Rate::Uniform;
            let mut last = lane.clone();
            last[types.len() - 1] = Rate::Uniform;
            vec![lane, first, last, vec![Rate::Uniform; types.len()]]
        };
        for rates in shapes {
            let kernel = kernel(op, &types, &rates);
            let compiled =
                rheobase_jit::compile::<R>(&kernel, target).expect("the kernel is verified");
            let interpreter = Interpreter::new(kernel.clone()).expect("no integrate");
            // Every value in turn for the first operand, at other paces for the others.
            let pick = |operand: usize, i: usize| {
                let i = match operand {
                    0 => i,
                    _ => i / VALUES.len() + operand * (3 + i % 2),
                };
                VALUES[i % VALUES.len()]
            };
            let total = if types.len() < 2 {
                VALUES.len()
            } else {
                VALUES.len() * VALUES.len()
            };
            let mut start = 0;
            let mut lanes = 1;
            while start < total {
                let make = || {
                    Rows::<R>::new(&kernel, lanes, |argument, lane| {
                        pick(argument, start + lane)
                    })
                };
                let expected = run(&interpreter, lanes, make());
                let found = run(&compiled, lanes, make());
                let context = || {
                    format!(
                        "{} {} {rates:?} lanes {lanes} at {start}\n{:?}",
                        R::NAME,
                        op.name(),
                        make()
                    )
                };
                expected.assert_close(&found, tolerance::<R>(op), &context);
                start += lanes;
                lanes = lanes % 9 + 1;
            }
        }
    }
}

#[test]
fn every_op_agrees_with_the_interpreter() {
    for op in all_ops() {
        check::<f32>(op, &Target::host());
        check::<f64>(op, &Target::host());
    }
}

#[test]
fn every_op_agrees_with_the_interpreter_on_an_old_machine() {
    for op in all_ops() {
        check::<f32>(op, &Target::baseline());
        check::<f64>(op, &Target::baseline());
    }
}
