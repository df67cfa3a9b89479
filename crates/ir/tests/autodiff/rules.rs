//! One file per op in `autodiff/`: its partial derivatives as text, and as numbers.
//!
//! Lines `; at: …` give operands. There the rule of a smooth op (and of a kinked one, away from its kinks)
//! must agree with differences of its value; a flat op must have no derivative and flat differences; `spike`
//! and `detach` have the derivative of their definition. The folder must hold every op of the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rheobase_ir::autodiff::{Partial, partials};
use rheobase_ir::builder::Builder;
use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Def, Kernel, Role, Slot, Value};
use rheobase_ir::ops::{Class, Edge, Op, Operands, PLAIN};
use rheobase_ir::text::{parse, print};
use rheobase_ir::types::Rate;
use rheobase_ir::verify::verify;

/// The kernel with one more output for each operand: the partial derivative of the last instruction.
struct Rule {
    op: Op,
    kernel: Kernel,
    partials: Vec<Partial>,
}

fn rule(kernel: &Kernel) -> Rule {
    let (value, node) = kernel.values().last().expect("an instruction");
    let Def::Inst(op, args) = &node.def else {
        panic!("the last node of {} is an input", kernel.name)
    };
    let mut b = Builder::new(kernel.name.clone());
    for node in &kernel.nodes {
        b.push(node.clone());
    }
    let partials = partials(&mut b, *op, args, value);
    let one = b.real(1.0);
    for (i, partial) in partials.iter().enumerate() {
        let derivative = partial.times(&mut b, one).unwrap_or_else(|| b.real(0.0));
        b.output(
            Slot::new(Role::Derived, format!("d{i}")),
            derivative,
            Rate::Lane,
        );
    }
    Rule {
        op: *op,
        kernel: b.finish(),
        partials,
    }
}

/// The operands of the lines `; at: …`.
fn points(text: &str) -> Vec<Vec<f64>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("; at: "));
    lines
        .map(|line| {
            line.split(',')
                .map(|x| x.trim().parse().expect("a number"))
                .collect()
        })
        .collect()
}

fn values(kernel: &Kernel, at: &[f64]) -> Vec<f64> {
    evaluate(kernel, &mut |i| at[i], &mut Spiking::Hard).expect("an op that can be evaluated")
}

/// Five-point central difference of the op by operand `i`.
fn difference(kernel: &Kernel, op: Value, at: &[f64], i: usize) -> f64 {
    let h = 1e-3 * at[i].abs().max(0.1);
    let moved = |by: f64| {
        let mut at = at.to_vec();
        at[i] += by;
        values(kernel, &at)[op.index()]
    };
    (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h)
}

fn check(kernel: &Kernel, text: &str) -> String {
    let rule = rule(kernel);
    verify(&rule.kernel).expect("rules append valid instructions");
    let op = Value(kernel.nodes.len() as u32 - 1);
    let points = points(text);
    assert!(!points.is_empty(), "{}: no line `; at:`", kernel.name);
    for at in &points {
        let derived = values(&rule.kernel, at);
        for (i, output) in rule.kernel.outputs.iter().enumerate() {
            let analytic = derived[output.value.index()];
            let numeric = match rule.op.class() {
                Class::Smooth | Class::Kinked | Class::Flat => difference(kernel, op, at, i),
                Class::Gate => gate(rule.op, at, i),
                Class::Random => 0.0,
            };
            let error = (analytic - numeric).abs();
            assert!(
                error <= 1e-9 * analytic.abs().max(1.0),
                "{} at {at:?}, operand {i}: rule {analytic}, difference {numeric}",
                kernel.name
            );
        }
    }
    if matches!(rule.op.class(), Class::Flat | Class::Random) {
        let all_zero = rule.partials.iter().all(|p| *p == Partial::Zero);
        assert!(all_zero, "{}: passes no gradient", kernel.name);
    }
    print(&rule.kernel)
}

/// The derivative that a gate has by definition.
fn gate(op: Op, at: &[f64], i: usize) -> f64 {
    match (op, i) {
        (Op::Detach | Op::Hold, _) => 0.0,
        // The margin's derivative is the second operand, and the primitive moves with its shape.
        (_, 0) => at[1],
        (_, 2) => 1.0,
        (_, _) => 0.0,
    }
}

#[test]
fn derivative_of_every_op() {
    insta::glob!("*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let mut kernel = parse(&text).expect("kernel text");
        verify(&kernel).expect("a valid kernel");
        // The result itself is not of interest in the snapshot of the derivatives.
        kernel.outputs.clear();
        let derivatives = check(&kernel, &text);
        insta::assert_snapshot!(format!("{text}\n; ----------\n\n{derivatives}"));
    });
}

#[test]
fn no_op_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/autodiff");
    let tested: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder of cases")
        .filter_map(|entry| fs::read_to_string(entry.expect("an entry").path()).ok())
        .filter_map(|text| parse(&text).ok())
        .filter_map(|kernel| match &kernel.nodes.last()?.def {
            Def::Inst(op, _) => Some(op.name().to_string()),
            Def::Input(_) => None,
        })
        .collect();
    let with_data = [
        Op::Spike(Edge::AtOrAbove),
        Op::Spike(Edge::Above),
        Op::Count,
        Op::Detach,
        Op::Hold,
        Op::Phi(1),
        Op::Uniform(0),
        Op::Normal(0),
        Op::Expm(rheobase_ir::ops::Element {
            n: 1,
            row: 0,
            col: 0,
        }),
    ];
    for op in PLAIN.iter().chain(&with_data) {
        // Ops without operands have no derivative, and the numbers of a short tape come after all derivatives.
        let of_tape = matches!(op, Op::Narrow | Op::Widen);
        if op.operands() != Operands::Fixed(&[]) && !of_tape {
            assert!(
                tested.contains(op.name()),
                "tests/autodiff/{}.kir is missing",
                op.name()
            );
        }
    }
}

/// At a kink the documented side is taken, and where a rule would multiply 0 by infinity it does not.
#[test]
fn at_the_kinks() {
    let at = |op: &str, x: &[f64]| {
        let inputs: String = (0..x.len())
            .map(|i| format!("v{i} = in real saved x{i}\n"))
            .collect();
        let args = (0..x.len())
            .map(|i| format!("v{i}"))
            .collect::<Vec<_>>()
            .join(", ");
        let text = format!("kernel k {{\n{inputs}v{} = {op} {args}\n}}", x.len());
        let rule = rule(&parse(&text).expect("kernel text"));
        let values = values(&rule.kernel, x);
        let outputs = rule.kernel.outputs.iter();
        outputs
            .map(|o| values[o.value.index()])
            .collect::<Vec<f64>>()
    };
    assert_eq!(at("min", &[1.0, 1.0]), [0.0, 1.0]);
    assert_eq!(at("max", &[1.0, 1.0]), [0.0, 1.0]);
    assert_eq!(at("abs", &[0.0]), [0.0]);
    assert_eq!(at("pow", &[0.0, 2.0]), [0.0, 0.0]);
    assert_eq!(at("pow", &[0.0, 1.0]), [1.0, 0.0]);
    assert_eq!(at("pow", &[-2.0, 3.0]), [12.0, 0.0]);
}
