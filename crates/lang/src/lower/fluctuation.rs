//! `fluctuation_driven(rate, mu, xi, share)`: weights from which the membrane of the target fluctuates as
//! wanted before any training (Rossbroich, Gygax & Zenke 2022, doi 10.1088/2634-4386/ac97bb).
//!
//! With d the way from rest to threshold, the membrane shall have the mean μ_U = mu·d and the standard
//! deviation σ_U = (d − μ_U)/xi: the threshold is xi standard deviations away. From n inputs of the rate ν,
//! of which this connection makes the part `share` of mean and variance,
//!
//! ```text
//! μ_w  = share·μ_U / (n ν ε̄)        σ_w² = share·σ_U² / (n ν ε̂) − μ_w²
//! ```
//!
//! with the integrals ε̄ and ε̂ of the neuron's own response ([`rheobase_ir::response`]). Where feed-forward
//! and recurrent connections meet at a neuron the paper's α is the share of the first and 1 − α that of the
//! second. Units come out by themselves: the response is per unit of the port.

use super::{start, unchecked};
use crate::diag::{Code, Diagnostic};
use crate::model::{Draw, Expr, ExprKind, Ref, eval};
use rheobase_ir::program::{Initial, Neuron};
use rheobase_ir::response::response;

/// The normal distribution of the weights onto a port of a neuron.
pub(super) fn weights(
    env: &eval::Env<'_>,
    draw: &Draw,
    target: &Neuron,
    port: usize,
    step_ms: f64,
) -> Result<Initial, Box<Diagnostic>> {
    let refused = |message: String| Box::new(Diagnostic::new(Code::E0409, draw.span, message));
    let argument = |i: usize, default: f64| match draw.args.get(i) {
        Some(Some(expr)) => start::number(env, expr),
        Some(None) | None => Ok(default),
    };
    let (rate, mu) = (argument(0, f64::NAN)?, argument(1, 0.0)?);
    let (xi, share) = (argument(2, 1.0)?, argument(3, 1.0)?);
    let fan_in = Expr {
        kind: ExprKind::Ref(Ref::FanIn),
        span: draw.span,
    };
    let inputs = start::number(env, &fan_in)?;
    if rate.is_nan() {
        return Err(Box::new(unchecked(draw.span)));
    }
    let response = response(target, port, step_ms)
        .map_err(|error| refused(format!("`{}` {error}", target.name)))?;
    let wanted_mean = mu * response.distance;
    let wanted_std = (1.0 - mu) * response.distance / xi;
    let mean = match wanted_mean {
        0.0 => 0.0,
        wanted => share * wanted / (inputs * rate * response.integral),
    };
    let square = share * wanted_std * wanted_std / (inputs * rate * response.square);
    let variance = square - mean * mean;
    if !mean.is_finite() || !variance.is_finite() || variance < 0.0 {
        return Err(refused(format!(
            "no weights have this effect: a mean of {mu} of the way to the threshold alone makes the \
             membrane fluctuate more than `xi = {xi}` allows; take a smaller `xi` or `mu`"
        )));
    }
    Ok(Initial::Normal {
        mean,
        std: variance.sqrt(),
    })
}
