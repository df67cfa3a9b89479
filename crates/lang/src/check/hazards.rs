//! Formulas that can leave the numbers: an exponential that overflows in `f32` (W0507), a root, a
//! logarithm or a quotient outside its domain (W0508).
//!
//! Parameters are in their bounds, or at their value without bounds; a state that is compared with
//! a threshold is below it; other states and inputs can be anything. An exponential of something
//! without any bound is not reported: almost every one is, and stays small in practice.

use super::Check;
use super::flow::running_expressions;
use super::interval::{Interval, Ranges};
use super::params::{Around, param_numbers};
use crate::ast::BinaryOp;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Builtin;
use crate::model::{Expr, ExprKind, Model, Neuron, Ref, Trigger, eval};

/// Above this `exp` is infinite in single precision: ln of the largest finite number.
const EXP_LIMIT: f64 = 88.72;

impl Check<'_> {
    /// Looks at every formula of a neuron.
    pub(super) fn hazards(&mut self, neuron: &Neuron) {
        let params = param_ranges(&self.model, neuron);
        let states = state_ranges(&self.model, neuron);
        let of = |name: Ref| match name {
            Ref::Param(i) => params.get(i).copied().unwrap_or(Interval::ALL),
            Ref::State(i) => states.get(i).copied().unwrap_or(Interval::ALL),
            Ref::Spike(i) => match neuron.spikes.get(i).map(|s| &s.trigger) {
                Some(Trigger::Count(_)) => Interval::new(0.0, f64::INFINITY),
                Some(Trigger::Crossing { .. } | Trigger::Invalid(_)) | None => {
                    Interval::new(0.0, 1.0)
                }
            },
            Ref::Pi => Interval::point(std::f64::consts::PI),
            Ref::Const(i) => match self.model.consts[i].known {
                Some(value) => Interval::point(value),
                None => Interval::ALL,
            },
            Ref::Formal(_)
            | Ref::Let(_)
            | Ref::Port(_)
            | Ref::Noise(_)
            | Ref::FanIn
            | Ref::FanOut => Interval::ALL,
        };
        let ranges = Ranges::new(&self.model, &neuron.lets, &of);
        let mut parts = Vec::new();
        for expr in running_expressions(neuron) {
            Ranges::unguarded(expr, &mut parts);
        }
        let findings: Vec<Diagnostic> = parts
            .into_iter()
            .filter_map(|part| hazard(&ranges, part))
            .collect();
        self.diagnostics.extend(findings);
    }
}

fn hazard(ranges: &Ranges<'_>, part: &Expr) -> Option<Diagnostic> {
    match &part.kind {
        ExprKind::Builtin { function, args } => {
            let range = ranges.of_expr(&args[0]);
            match function {
                Builtin::Exp | Builtin::Expm1 => overflow(*function, &args[0], range),
                Builtin::Sqrt if range.low < 0.0 => {
                    Some(domain(*function, &args[0], "become negative", "max(…, 0)"))
                }
                Builtin::Log if range.low <= 0.0 => Some(domain(
                    *function,
                    &args[0],
                    "become 0 or negative",
                    "max(…, 1e-6)",
                )),
                Builtin::Log1p if range.low <= -1.0 => Some(domain(
                    *function,
                    &args[0],
                    "become -1 or less",
                    "max(…, 0)",
                )),
                Builtin::Abs
                | Builtin::Min
                | Builtin::Max
                | Builtin::Clamp
                | Builtin::Log
                | Builtin::Log1p
                | Builtin::Sqrt
                | Builtin::Sin
                | Builtin::Cos
                | Builtin::Tanh
                | Builtin::Sigmoid
                | Builtin::Softplus
                | Builtin::Erf
                | Builtin::Relu
                | Builtin::Floor
                | Builtin::Ceil
                | Builtin::Round
                | Builtin::Sign
                | Builtin::Detach => None,
            }
        }
        ExprKind::Binary {
            op: BinaryOp::Div,
            rhs,
            ..
        } => {
            // A bare parameter that may be 0 is a matter of its bounds, reported there.
            let bare = matches!(rhs.kind, ExprKind::Ref(Ref::Param(_)));
            let range = ranges.of_expr(rhs);
            (range.contains(0.0) && !bare).then(|| {
                Diagnostic::new(Code::W0508, rhs.span, "this divisor can be 0")
                    .help("keep it away from 0, for example with `max(…, 1e-6)`")
            })
        }
        ExprKind::Error
        | ExprKind::Number { .. }
        | ExprKind::Bool(_)
        | ExprKind::Ref(_)
        | ExprKind::Neg(_)
        | ExprKind::Not(_)
        | ExprKind::Binary { .. }
        | ExprKind::If { .. }
        | ExprKind::Call { .. } => None,
    }
}

fn overflow(function: Builtin, arg: &Expr, range: Interval) -> Option<Diagnostic> {
    if range.high <= EXP_LIMIT || range.high.is_infinite() {
        return None;
    }
    let message = format!(
        "the argument of `{}` can reach {:.0}; above {EXP_LIMIT} it overflows",
        function.name(),
        range.high
    );
    let edits = vec![
        (arg.span.before(), "min(".to_string()),
        (arg.span.after(), ", 10)".to_string()),
    ];
    Some(Diagnostic::new(Code::W0507, arg.span, message).help_edits("bound it", edits))
}

fn domain(function: Builtin, arg: &Expr, what: &str, bound: &str) -> Diagnostic {
    let message = format!("the argument of `{}` can {what}", function.name());
    Diagnostic::new(Code::W0508, arg.span, message).help(format!("bound it: `{bound}`"))
}

/// The bounds of each parameter, or its value.
fn param_ranges(model: &Model, neuron: &Neuron) -> Vec<Interval> {
    let values = param_numbers(model, &neuron.params, Around::NOTHING);
    let lookup = |name: Ref| values.get(name.as_param()?).copied().flatten();
    let env = eval::Env::new(model, None, &lookup);
    let params = neuron.params.iter().zip(&values);
    params
        .map(|(param, value)| match (&param.bounds, value) {
            (Some(bounds), _) => match (env.number(&bounds.lo), env.number(&bounds.hi)) {
                (Ok(low), Ok(high)) => Interval::new(low, high),
                (Ok(_) | Err(_), Ok(_) | Err(_)) => Interval::ALL,
            },
            (None, Some(value)) if param.learn.is_none() => Interval::point(*value),
            (None, Some(_) | None) => Interval::ALL,
        })
        .collect()
}

/// What a threshold says about the state that is compared with it.
fn state_ranges(model: &Model, neuron: &Neuron) -> Vec<Interval> {
    let values = param_numbers(model, &neuron.params, Around::NOTHING);
    let lookup = |name: Ref| values.get(name.as_param()?).copied().flatten();
    let mut ranges = vec![Interval::ALL; neuron.states.len()];
    for spike in &neuron.spikes {
        let Trigger::Crossing { above, below, .. } = &spike.trigger else {
            continue;
        };
        let env = eval::Env::new(model, None, &lookup).with_lets(&neuron.lets);
        if let ExprKind::Ref(Ref::State(i)) = above.kind
            && let Ok(threshold) = env.number(below)
        {
            ranges[i].high = threshold;
        }
    }
    ranges
}
