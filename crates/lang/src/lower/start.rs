//! Numbers that are known before anything runs: starting values of parameters and weights, bounds,
//! durations in steps, overrides from outside.

use super::{Findings, Override, missing, unchecked, unsupported};
use crate::ast::ScopeKind;
use crate::check::{Around, impossible, param_numbers, param_or_outer};
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Law;
use crate::model::{
    Bounds, Draw, Expr, ExprKind, Model, Neuron, Param, Ref, Shown, Start, Via, eval,
};
use crate::span::Span;
use crate::units::Unit;
use rheobase_ir::program::{self, Constraint, Initial, Parameter, Sharing};

/// Replaces the starting values of parameters by numbers from outside.
pub(super) fn apply(
    params: &mut [Param],
    neuron: &Neuron,
    overrides: &[Override],
) -> Result<(), Findings> {
    for change in overrides {
        let Some(param) = params.iter_mut().find(|p| p.name.text == change.name) else {
            let names = neuron.params.iter().map(|p| p.name.text.as_str());
            return Err(vec![missing("parameter", &change.name, names)]);
        };
        let unit = Unit {
            dimension: param.dimension.unwrap_or(Unit::ONE.dimension),
            ..Unit::ONE
        };
        param.start = Start::Value(Expr {
            kind: ExprKind::Number {
                value: change.value,
                unit,
            },
            span: param.span,
        });
    }
    Ok(())
}

/// The parameters of a neuron for the runtime.
pub(super) fn parameters(
    model: &Model,
    params: &[Param],
    step_ms: f64,
    around: Around<'_>,
) -> Result<Vec<Parameter>, Findings> {
    let numbers = param_numbers(model, params, around);
    let lookup = |name: Ref| param_or_outer(&numbers, around, name);
    let env = eval::Env::new(model, Some(step_ms), &lookup);
    let mut built = Vec::new();
    let mut findings = Vec::new();
    for param in params {
        match parameter(&env, param, step_ms) {
            Ok(parameter) => built.push(parameter),
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() {
        Ok(built)
    } else {
        Err(findings)
    }
}

fn parameter(
    env: &eval::Env<'_>,
    param: &Param,
    step_ms: f64,
) -> Result<Parameter, Box<Diagnostic>> {
    let sharing = match param.sharing {
        ScopeKind::Shared => Sharing::Shared,
        ScopeKind::Neuron => Sharing::PerNeuron,
        ScopeKind::Channel => Sharing::PerChannel,
        ScopeKind::Synapse => {
            return Err(Box::new(unsupported(
                param.span,
                "a neuron parameter per synapse",
            )));
        }
    };
    if let Start::Random(draw) = &param.start
        && draw.law.needs_fan()
    {
        return Err(Box::new(unsupported(
            draw.span,
            "this distribution for a neuron parameter",
        )));
    }
    let initial = initial(env, &param.start)?;
    let bounds = match &param.bounds {
        Some(bounds) => Some(self::bounds(env, bounds)?),
        None => None,
    };
    if let (Some((lo, hi)), Initial::Constant(value)) = (bounds, &initial)
        && (*value < lo || *value > hi)
    {
        let message = format!("`{}` starts outside its bounds", param.name.text);
        let finding = Diagnostic::new(Code::E0409, param.span, message);
        return Err(Box::new(finding));
    }
    let learn = match &param.learn {
        None => None,
        Some(learn) => Some(match learn.via {
            Via::None => Constraint::None,
            Via::Clamp => Constraint::Clamp,
            Via::Sigmoid => Constraint::Sigmoid,
            Via::Exp => Constraint::Exp,
            Via::Softplus => Constraint::Softplus,
            Via::Dcls => return Err(Box::new(unsupported(learn.span, "`dcls`"))),
        }),
    };
    Ok(Parameter {
        name: param.name.text.clone(),
        initial,
        sharing,
        bounds,
        learn,
        unit: unit(&param.shown, step_ms),
    })
}

/// A unit for showing values.
pub(super) fn unit(shown: &Shown, step_ms: f64) -> program::Unit {
    program::Unit {
        text: shown.text.clone(),
        factor: shown.unit.in_base(step_ms),
    }
}

/// A starting value or distribution in base units.
pub(super) fn initial(env: &eval::Env<'_>, start: &Start) -> Result<Initial, Box<Diagnostic>> {
    match start {
        Start::Value(expr) => Ok(Initial::Constant(number(env, expr)?)),
        Start::Random(draw) => distribution(env, draw),
    }
}

fn distribution(env: &eval::Env<'_>, draw: &Draw) -> Result<Initial, Box<Diagnostic>> {
    let required = |i: usize| -> Result<f64, Box<Diagnostic>> {
        match draw.args.get(i) {
            Some(Some(expr)) => number(env, expr),
            Some(None) | None => Err(Box::new(unchecked(draw.span))),
        }
    };
    let gain = |default: f64| match draw.args.first() {
        Some(Some(expr)) => number(env, expr),
        Some(None) | None => Ok(default),
    };
    let mut values = Vec::new();
    for arg in &draw.args {
        values.push(arg.as_ref().map(|e| number(env, e)).transpose()?);
    }
    if let Some(rule) = impossible(draw.law, &values) {
        return Err(Box::new(Diagnostic::new(Code::E0409, draw.span, rule)));
    }
    // He et al. scale for ReLU, Glorot & Bengio and Saxe et al. without.
    let root2 = std::f64::consts::SQRT_2;
    Ok(match draw.law {
        Law::Normal => {
            let (mean, std) = (required(0)?, required(1)?);
            Initial::Normal { mean, std }
        }
        Law::LogNormal => {
            let (median, sigma) = (required(0)?, required(1)?);
            Initial::LogNormal { median, sigma }
        }
        Law::Uniform => {
            let (low, high) = (required(0)?, required(1)?);
            Initial::Uniform { low, high }
        }
        Law::KaimingNormal => Initial::KaimingNormal { gain: gain(root2)? },
        Law::KaimingUniform => Initial::KaimingUniform { gain: gain(root2)? },
        Law::XavierNormal => Initial::XavierNormal { gain: gain(1.0)? },
        Law::XavierUniform => Initial::XavierUniform { gain: gain(1.0)? },
        Law::FluctuationDriven => {
            let what = "`fluctuation_driven` for anything but the weights of a connection";
            return Err(Box::new(unsupported(draw.span, what)));
        }
        Law::Orthogonal => Initial::Orthogonal { gain: gain(1.0)? },
    })
}

/// Both ends of an interval.
pub(super) fn bounds(env: &eval::Env<'_>, bounds: &Bounds) -> Result<(f64, f64), Box<Diagnostic>> {
    Ok((number(env, &bounds.lo)?, number(env, &bounds.hi)?))
}

/// A finite number in base units.
pub(super) fn number(env: &eval::Env<'_>, expr: &Expr) -> Result<f64, Box<Diagnostic>> {
    match env.number(expr) {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(value) => {
            let message = format!("this value is {value}");
            Err(Box::new(Diagnostic::new(Code::E0409, expr.span, message)))
        }
        Err(error) => Err(Box::new(unchecked(error.span()))),
    }
}

/// A time as whole steps, rounded.
pub(super) fn steps(
    env: &eval::Env<'_>,
    expr: &Expr,
    step_ms: f64,
) -> Result<u32, Box<Diagnostic>> {
    whole_steps(number(env, expr)? / step_ms, expr.span)
}

fn whole_steps(steps: f64, span: Span) -> Result<u32, Box<Diagnostic>> {
    let rounded = steps.round();
    if rounded >= 0.0 && rounded <= f64::from(u32::MAX >> 1) {
        Ok(rounded as u32)
    } else {
        let message = format!("{steps} steps is not a possible duration");
        Err(Box::new(Diagnostic::new(Code::E0409, span, message)))
    }
}
