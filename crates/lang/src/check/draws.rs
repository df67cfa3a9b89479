//! Numbers that cannot be: distributions that do not exist, probabilities outside 0 .. 1, weights outside
//! their bounds. Found once the arguments have values; lowering asks again with the same rules.

use super::Check;
use super::params::{Around, param_or_outer};
use super::shapes::Elaborated;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::{Law, Operation as Kind};
use crate::model::{Argument, Connection, Draw, Network, Operation, Param, Ref, Start, eval};

/// Why no distribution has these arguments (in the order of the law's; `None` is a default or unknown).
pub(crate) fn impossible(law: Law, args: &[Option<f64>]) -> Option<&'static str> {
    let arg = |i: usize| args.get(i).copied().flatten();
    let below = |value: Option<f64>, least: f64| value.is_some_and(|v| v < least);
    match law {
        Law::Normal => below(arg(1), 0.0).then_some("a standard deviation cannot be negative"),
        Law::LogNormal => (arg(0).is_some_and(|median| median <= 0.0) || below(arg(1), 0.0))
            .then_some("`lognormal` has a positive median and a `sigma` that is not negative"),
        Law::Uniform => match (arg(0), arg(1)) {
            (Some(low), Some(high)) if low > high => {
                Some("the lower end of `uniform` is above the upper one")
            }
            (Some(_) | None, Some(_) | None) => None,
        },
        Law::FluctuationDriven => {
            let wrong = |i: usize, fits: fn(f64) -> bool| arg(i).is_some_and(|v| !fits(v));
            if wrong(0, |rate| rate > 0.0 && rate.is_finite()) {
                Some("the rate of the inputs must be above 0")
            } else if wrong(1, |mu| mu < 1.0) {
                Some("`mu` is a part of the way to the threshold and must be below 1")
            } else if wrong(2, |xi| xi > 0.0) {
                Some("`xi` counts standard deviations and must be above 0")
            } else if wrong(3, |share| share > 0.0 && share <= 1.0) {
                Some("`share` is a part of the whole input: above 0, at most 1")
            } else {
                None
            }
        }
        Law::KaimingNormal
        | Law::KaimingUniform
        | Law::XavierNormal
        | Law::XavierUniform
        | Law::Orthogonal => None,
    }
}

/// A finding for a distribution that does not exist.
fn drawn(draw: &Draw, env: &eval::Env<'_>) -> Option<Diagnostic> {
    let value = |arg: &Option<_>| arg.as_ref().and_then(|e| env.number(e).ok());
    let args: Vec<Option<f64>> = draw.args.iter().map(value).collect();
    let rule = impossible(draw.law, &args)?;
    Some(Diagnostic::new(Code::E0409, draw.span, rule))
}

/// Arguments of operations with a range: what is allowed, in words.
type Allowed = fn(f64) -> bool;
const RANGES: &[(Kind, &str, Allowed, &str)] = &[
    (
        Kind::Sparse,
        "p",
        |p| p > 0.0 && p <= 1.0,
        "a probability above 0, at most 1",
    ),
    (
        Kind::Dropout,
        "p",
        |p| (0.0..1.0).contains(&p),
        "a probability from 0 to below 1",
    ),
    (
        Kind::BatchNorm,
        "momentum",
        |m| m > 0.0 && m <= 1.0,
        "above 0, at most 1",
    ),
    (Kind::BatchNorm, "eps", |e| e > 0.0, "above 0"),
    (
        Kind::TdBatchNorm,
        "momentum",
        |m| m > 0.0 && m <= 1.0,
        "above 0, at most 1",
    ),
    (Kind::TdBatchNorm, "eps", |e| e > 0.0, "above 0"),
    (Kind::TdBatchNorm, "alpha", |a| a > 0.0, "above 0"),
    (Kind::TdBatchNorm, "threshold", |t| t > 0.0, "above 0"),
];

impl Check<'_> {
    /// Distributions of parameters, as far as their arguments have values.
    pub(super) fn param_draws(
        &mut self,
        params: &[Param],
        checked: &[usize],
        values: &[Option<f64>],
        around: Around<'_>,
    ) {
        let lookup = |name: Ref| param_or_outer(values, around, name);
        for &i in checked {
            if let Start::Random(draw) = &params[i].start {
                let env = eval::Env::new(&self.model, around.step_ms, &lookup);
                if let Some(finding) = drawn(draw, &env) {
                    self.report(finding);
                }
            }
        }
    }

    /// Weights, probabilities and delays of a network with its arguments.
    pub(super) fn connection_values(&mut self, network: &Network, elaborated: &Elaborated) {
        let mut findings = Vec::new();
        for connection in network.connections.iter().filter(|c| c.tied.is_none()) {
            let size = |layer: usize| elaborated.layers[layer].iter().product::<usize>() as f64;
            let lookup = |name: Ref| match name {
                Ref::FanIn => elaborated.source_size(connection.source).map(|n| n as f64),
                Ref::FanOut => connection.target.map(size),
                Ref::Const(_)
                | Ref::Formal(_)
                | Ref::Let(_)
                | Ref::Param(_)
                | Ref::Port(_)
                | Ref::State(_)
                | Ref::Spike(_)
                | Ref::Noise(_)
                | Ref::Pi => elaborated.lookup(name),
            };
            let env = eval::Env::new(&self.model, Some(elaborated.step_ms), &lookup);
            let env = env.with_lets(&network.lets);
            for op in &connection.ops {
                findings.extend(operation(op, &env));
            }
            findings.extend(delay(connection, &env));
        }
        self.diagnostics.extend(findings);
    }
}

fn operation(op: &Operation, env: &eval::Env<'_>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let slots = op.kind.slots();
    let argument = |name: &str| {
        let index = slots.iter().position(|s| s.name == name)?;
        op.args.get(index)?.as_ref()
    };
    for (slot, arg) in slots.iter().zip(&op.args) {
        match arg {
            Some(Argument::Start(Start::Random(draw))) => findings.extend(drawn(draw, env)),
            Some(Argument::Number(expr)) => {
                let range = RANGES
                    .iter()
                    .find(|(kind, name, ..)| *kind == op.kind && *name == slot.name);
                if let (Some((.., allowed, words)), Ok(value)) = (range, env.number(expr))
                    && !allowed(value)
                {
                    let message = format!("`{}` must be {words}, not {value}", slot.name);
                    findings.push(Diagnostic::new(Code::E0409, expr.span, message));
                }
            }
            Some(
                Argument::Start(Start::Value(_))
                | Argument::Bounds(_)
                | Argument::Flag(_)
                | Argument::Map(_)
                | Argument::Invalid,
            )
            | None => {}
        }
    }
    let Some(Argument::Bounds(bounds)) = argument("bounds") else {
        return findings;
    };
    let (Ok(lo), Ok(hi)) = (env.number(&bounds.lo), env.number(&bounds.hi)) else {
        return findings;
    };
    if lo >= hi {
        let message = "the bounds of these weights are empty";
        findings.push(Diagnostic::new(Code::E0409, bounds.span, message));
    } else if let Some(Argument::Start(Start::Value(expr))) = argument("w")
        && let Ok(value) = env.number(expr)
        && !(lo..=hi).contains(&value)
    {
        let message = "these weights begin outside of their bounds";
        findings.push(
            Diagnostic::new(Code::E0409, expr.span, message)
                .secondary(bounds.span, "the bounds are here"),
        );
    }
    findings
}

fn delay(connection: &Connection, env: &eval::Env<'_>) -> Option<Diagnostic> {
    match &connection.delay.as_ref()?.start {
        Start::Random(draw) => drawn(draw, env),
        Start::Value(_) => None,
    }
}
