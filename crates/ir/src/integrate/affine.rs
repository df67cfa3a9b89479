//! The affine form of an expression in some states: `Σ c_j·x_j + d`, if it has one.
//!
//! Found by walking the expression once. Only arithmetic that keeps an expression affine counts; a
//! function, a comparison or a product of two states makes it non-linear. Coefficients may be
//! anything that does not depend on the states, also something that varies from step to step.

use crate::builder::Builder;
use crate::kernel::{Def, Value};
use crate::ops::Op;

/// `Σ coefficients[j]·x_j + constant`; `None` is zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    /// One for each state.
    pub(super) coefficients: Vec<Option<Value>>,
    /// The part without states.
    pub(super) constant: Option<Value>,
}

impl Affine {
    /// Whether every coefficient is the same at all steps.
    pub(super) fn constant_coefficients(&self, b: &Builder) -> bool {
        let constant = constant_in_time(b);
        self.coefficients
            .iter()
            .flatten()
            .all(|c| constant[c.index()])
    }

    fn map(&self, mut f: impl FnMut(Value) -> Value) -> Affine {
        Affine {
            coefficients: self.coefficients.iter().map(|c| c.map(&mut f)).collect(),
            constant: self.constant.map(f),
        }
    }

    fn is_constant(&self) -> bool {
        self.coefficients.iter().all(Option::is_none)
    }
}

/// For every value so far whether it depends on parameters and constants only.
fn constant_in_time(b: &Builder) -> Vec<bool> {
    let mut constant: Vec<bool> = Vec::new();
    for node in &b.kernel().nodes {
        constant.push(match &node.def {
            Def::Input(input) => input.slot.role.constant_in_time(),
            Def::Inst(_, args) => args.iter().all(|a| constant[a.index()]),
        });
    }
    constant
}

/// The affine forms of `roots` in `states`; `None` where there is none. Appends the coefficients.
pub(super) fn affine_forms(
    b: &mut Builder,
    states: &[Value],
    roots: impl IntoIterator<Item = Value>,
) -> Vec<Option<Affine>> {
    let mut forms: Vec<Option<Option<Affine>>> = vec![None; b.kernel().nodes.len()];
    roots
        .into_iter()
        .map(|root| form(b, states, root, &mut forms))
        .collect()
}

/// The form of one value; `known` remembers those already found.
fn form(
    b: &mut Builder,
    states: &[Value],
    value: Value,
    known: &mut Vec<Option<Option<Affine>>>,
) -> Option<Affine> {
    if let Some(Some(found)) = known.get(value.index()) {
        return found.clone();
    }
    let zero = || vec![None; states.len()];
    let found = if let Some(j) = states.iter().position(|s| *s == value) {
        let mut coefficients = zero();
        coefficients[j] = Some(b.real(1.0));
        Some(Affine {
            coefficients,
            constant: None,
        })
    } else {
        match b.kernel().node(value).def.clone() {
            Def::Input(_) => Some(Affine {
                coefficients: zero(),
                constant: Some(value),
            }),
            // A literal zero, as in `closed ? 0 : f`, is no drive.
            Def::Inst(Op::Const(literal), _) if literal.value() == 0.0 => Some(Affine {
                coefficients: zero(),
                constant: None,
            }),
            Def::Inst(op, args) => {
                let parts: Vec<Option<Affine>> =
                    args.iter().map(|&a| form(b, states, a, known)).collect();
                if parts
                    .iter()
                    .all(|p| p.as_ref().is_some_and(Affine::is_constant))
                {
                    Some(Affine {
                        coefficients: zero(),
                        constant: Some(value),
                    })
                } else {
                    parts
                        .into_iter()
                        .collect::<Option<Vec<_>>>()
                        .and_then(|parts| combine(b, op, &args, &parts))
                }
            }
        }
    };
    if known.len() <= value.index() {
        known.resize(value.index() + 1, None);
    }
    known[value.index()] = Some(found.clone());
    found
}

/// The form of `op` applied to affine operands of which at least one depends on a state.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all but this arithmetic is non-linear"
)]
fn combine(b: &mut Builder, op: Op, args: &[Value], parts: &[Affine]) -> Option<Affine> {
    if let Op::Neg = op {
        return Some(parts[0].map(|v| b.neg(v)));
    }
    match op {
        Op::Add => Some(merge(b, &parts[0], &parts[1], Builder::add, |_, y| y)),
        Op::Sub => Some(merge(b, &parts[0], &parts[1], Builder::sub, Builder::neg)),
        Op::Mul if parts[1].is_constant() => Some(parts[0].map(|v| b.mul(v, args[1]))),
        Op::Mul if parts[0].is_constant() => Some(parts[1].map(|v| b.mul(args[0], v))),
        Op::Div if parts[1].is_constant() => Some(parts[0].map(|v| b.div(v, args[1]))),
        Op::Fma => {
            let product = combine(b, Op::Mul, &args[..2], &parts[..2])?;
            Some(merge(b, &product, &parts[2], Builder::add, |_, y| y))
        }
        Op::Select if parts[0].is_constant() => {
            let zero = b.real(0.0);
            let or_zero = |v: Option<Value>| v.unwrap_or(zero);
            let pairs = parts[1].coefficients.iter().zip(&parts[2].coefficients);
            let pairs: Vec<_> = pairs.map(|(x, y)| (*x, *y)).collect();
            let mut choose = |x: Option<Value>, y: Option<Value>| match (x, y) {
                (None, None) => None,
                (x, y) => Some(b.select(args[0], or_zero(x), or_zero(y))),
            };
            let coefficients = pairs.into_iter().map(|(x, y)| choose(x, y)).collect();
            Some(Affine {
                coefficients,
                constant: choose(parts[1].constant, parts[2].constant),
            })
        }
        _ => None,
    }
}

fn merge(
    b: &mut Builder,
    left: &Affine,
    right: &Affine,
    both: impl Fn(&mut Builder, Value, Value) -> Value,
    only_right: impl Fn(&mut Builder, Value) -> Value,
) -> Affine {
    let mut join = |x: Option<Value>, y: Option<Value>| match (x, y) {
        (Some(x), Some(y)) => Some(both(b, x, y)),
        (Some(x), None) => Some(x),
        (None, Some(y)) => Some(only_right(b, y)),
        (None, None) => None,
    };
    let coefficients = left
        .coefficients
        .iter()
        .zip(&right.coefficients)
        .map(|(x, y)| join(*x, *y))
        .collect();
    Affine {
        coefficients,
        constant: join(left.constant, right.constant),
    }
}
