//! Values that cannot work, found by evaluating a neuron at its initial parameters and states:
//! unstable forward Euler steps, resets above threshold, surrogates that are zero at rest,
//! refractory periods that are no whole number of steps.

use super::Check;
use super::dynamics::is_linear;
use super::flow::ode_states;
use super::network::is_zero;
use super::params::{Around, param_numbers};
use super::shapes::{Elaborated, rounded};
use super::surrogate::surrogate_value;
use crate::ast::{AssignOp, GateGradient};
use crate::diag::Code;
use crate::model::{
    DynamicsKind, Expr, ExprKind, Layer, LayerKind, Method, Model, Network, Neuron, Param, Ref,
    Spike, Start, Trigger, eval, walk,
};

/// A jump, in units of the margin, above which a differentiated reset is worth a word.
const LARGE_JUMP: f64 = 10.0;

/// The largest number of equations whose coupling is looked at.
const MAX_PAIRS: usize = 64;

/// A neuron at rest: its parameters and states at their initial values, no input, no spike.
struct Rest<'a> {
    model: &'a Model,
    neuron: &'a Neuron,
    params: Vec<Option<f64>>,
    states: Vec<Option<f64>>,
    step_ms: Option<f64>,
}

impl<'a> Rest<'a> {
    fn new(model: &'a Model, neuron: &'a Neuron, params: &[Param], around: Around<'_>) -> Rest<'a> {
        let step_ms = around.step_ms;
        let params = param_numbers(model, params, around);
        let lookup = |name: Ref| params.get(name.as_param()?).copied().flatten();
        let env = eval::Env::new(model, step_ms, &lookup);
        let states = neuron.states.iter().map(|s| match &s.start {
            Start::Value(expr) => env.number(expr).ok(),
            Start::Random(_) => None,
        });
        let states = states.collect();
        Rest {
            model,
            neuron,
            params,
            states,
            step_ms,
        }
    }

    /// A formula, with some states at other values.
    fn value(&self, expr: &Expr, states: &[Option<f64>]) -> Option<f64> {
        let lookup = |name: Ref| match name {
            Ref::Param(i) => self.params.get(i).copied().flatten(),
            Ref::State(i) => states.get(i).copied().flatten(),
            Ref::Port(_) | Ref::Spike(_) | Ref::Noise(_) => Some(0.0),
            Ref::Const(_) | Ref::Formal(_) | Ref::Let(_) | Ref::Pi | Ref::FanIn | Ref::FanOut => {
                None
            }
        };
        let env = eval::Env::new(self.model, self.step_ms, &lookup).with_lets(&self.neuron.lets);
        env.number(expr).ok()
    }

    /// The margin of a condition.
    fn margin(&self, spike: &Spike, states: &[Option<f64>]) -> Option<f64> {
        let Trigger::Crossing { above, below, .. } = &spike.trigger else {
            return None;
        };
        let scale = match &spike.scale {
            Some(scale) => self.value(scale, states)?,
            None => 1.0,
        };
        Some((self.value(above, states)? - self.value(below, states)?) / scale)
    }

    /// The derivative of a state's equation by a state.
    fn rate(&self, state: usize, by: usize) -> Option<f64> {
        let rhs = &self.neuron.states[state].dynamics.as_ref()?.rhs;
        let at = self.states[by]?;
        let width = 1e-4 * at.abs().max(1.0);
        let moved = |distance: f64| {
            let mut states = self.states.clone();
            states[by] = Some(at + distance);
            self.value(rhs, &states)
        };
        Some((moved(width)? - moved(-width)?) / (2.0 * width))
    }
}

impl Check<'_> {
    /// What can be said of a neuron without a step length.
    pub(super) fn neuron_values(&mut self, neuron: &Neuron) {
        let rest = Rest::new(&self.model, neuron, &neuron.params, Around::NOTHING);
        let mut findings = Vec::new();
        for spike in &neuron.spikes {
            findings.extend(reset_above_threshold(&rest, spike));
            findings.extend(narrow_surrogate(&rest, spike));
            findings.extend(large_jumps(&rest, spike));
        }
        findings.extend(unstable(&rest));
        self.diagnostics.extend(findings);
    }

    /// What can be said of a layer once the length of a step is known.
    pub(super) fn layer_values(
        &mut self,
        network: &Network,
        layer: &Layer,
        elaborated: &Elaborated,
    ) {
        let LayerKind::Neuron(n) = layer.kind else {
            return;
        };
        let neuron = self.model.neurons[n].clone();
        if neuron.broken || network.broken {
            return;
        }
        let step = elaborated.step_ms;
        let all: Vec<usize> = (0..layer.params.len()).collect();
        let outer = |name: Ref| elaborated.lookup(name);
        let around = Around {
            step_ms: Some(step),
            outer: &outer,
        };
        self.param_values(&layer.params, &all, around);
        let rest = Rest::new(&self.model, &neuron, &layer.params, around);
        let mut findings = Vec::new();
        if let Some(refractory) = &neuron.refractory
            && let Some(value) = rest.value(&refractory.duration, &rest.states)
        {
            let span = refractory.duration.span;
            findings.extend(rounded(value, step, "refractory period", span));
        }
        for state in 0..neuron.states.len() {
            findings.extend(euler_step(&rest, state, step));
        }
        self.diagnostics.extend(findings);
    }
}

/// W0503, W0504, W0505: forward Euler with a step that is long for the equation.
fn euler_step(rest: &Rest<'_>, state: usize, step_ms: f64) -> Option<crate::diag::Diagnostic> {
    let state_model = &rest.neuron.states[state];
    let dynamics = state_model.dynamics.as_ref()?;
    let DynamicsKind::Ode(choice) = dynamics.kind else {
        return None;
    };
    let Method::Euler(substeps) = choice.method else {
        return None;
    };
    let rate = -rest.rate(state, state)?;
    let ratio = rate * step_ms / f64::from(substeps);
    let name = &state_model.name.text;
    let shown = format!("step/tau of `{name}` is {ratio:.3}");
    let (code, message) = if ratio > 2.0 {
        (
            Code::W0503,
            format!("{shown}, above 2: forward Euler diverges"),
        )
    } else if ratio > 1.0 {
        let message = format!("{shown}, above 1: forward Euler changes the sign in every step");
        (Code::W0504, message)
    } else if ratio >= 0.5 {
        let exact = (-ratio).exp();
        let message = format!(
            "{shown}: forward Euler keeps {:.3} of it in a step, exactly it is {exact:.3}",
            1.0 - ratio
        );
        (Code::W0505, message)
    } else {
        return None;
    };
    let place = choice.span.unwrap_or(dynamics.span);
    Some(
        Check::finding(code, place, message)
            .secondary(dynamics.rhs.span, format!("at a step of {step_ms} ms"))
            .help(format!("use `{name} : exact`, `exp_euler`, or substeps")),
    )
}

/// W0512: a hard reset to a value that spikes again at once.
fn reset_above_threshold(rest: &Rest<'_>, spike: &Spike) -> Option<crate::diag::Diagnostic> {
    let Trigger::Crossing { span, strict, .. } = &spike.trigger else {
        return None;
    };
    let mut states = rest.states.clone();
    let mut place = None;
    for assign in rest.neuron.resets.iter().flat_map(|r| &r.body) {
        let reads_states = walk::deep_refs(&assign.value, &rest.neuron.lets)
            .iter()
            .any(|r| r.as_state().is_some());
        if assign.op == AssignOp::Set && !reads_states {
            states[assign.state] = rest.value(&assign.value, &rest.states);
            place = Some(assign);
        }
    }
    let assign = place?;
    let fires = |margin: f64| if *strict { margin > 0.0 } else { margin >= 0.0 };
    let after = rest.margin(spike, &states)?;
    if fires(rest.margin(spike, &rest.states)?) || !fires(after) {
        return None;
    }
    let message = format!(
        "after this reset the spike condition still holds: `{}` spikes in every step",
        rest.neuron.name.text
    );
    Some(
        Check::finding(Code::W0512, assign.span, message)
            .secondary(*span, "still true after the reset"),
    )
}

/// W0414: an attached hard reset whose jump, in units of the margin, is large.
fn large_jumps(rest: &Rest<'_>, spike: &Spike) -> Vec<crate::diag::Diagnostic> {
    let Trigger::Crossing { above, below, .. } = &spike.trigger else {
        return Vec::new();
    };
    let scale = match &spike.scale {
        Some(scale) => rest.value(scale, &rest.states),
        None => Some(1.0),
    };
    let (Some(threshold), Some(scale)) = (rest.value(below, &rest.states), scale) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let attached = |r: &&crate::model::Reset| r.gradient == Some(GateGradient::Attached);
    for assign in rest
        .neuron
        .resets
        .iter()
        .filter(attached)
        .flat_map(|r| &r.body)
    {
        // Only where the state itself is compared is its value at a spike known.
        let compared = above.kind == ExprKind::Ref(Ref::State(assign.state));
        let (true, AssignOp::Set) = (compared, assign.op) else {
            continue;
        };
        let Some(value) = rest.value(&assign.value, &rest.states) else {
            continue;
        };
        let factor = (value - threshold) / scale;
        if factor.abs() > LARGE_JUMP {
            let name = &rest.neuron.states[assign.state].name.text;
            let message = format!(
                "each spike multiplies the gradient of `{name}` by up to {factor:.0} times the surrogate: the reset is attached and jumps far"
            );
            findings.push(
                Check::finding(Code::W0414, assign.span, message)
                    .secondary(spike.span, format!("it spikes at {threshold}"))
                    .help("write `detached`, or make the jump small with a larger `scale`"),
            );
        }
    }
    findings
}

/// W0510: linear equations that grow without a spike.
fn unstable(rest: &Rest<'_>) -> Vec<crate::diag::Diagnostic> {
    let odes = ode_states(rest.neuron);
    // Every pair is looked at: a neuron of more variables than this is no point neuron.
    if odes.len() > MAX_PAIRS {
        return Vec::new();
    }
    let linear = |&i: &usize| is_linear(rest.model, rest.neuron, i);
    let mut findings = Vec::new();
    for &i in odes.iter().filter(|i| linear(i)) {
        let Some(rate) = own_growth(rest, i, &odes) else {
            continue;
        };
        // Rounding in the difference quotient must not make an integrator unstable.
        if rate <= 1e-9 {
            continue;
        }
        let (Some(dynamics), name) = (
            &rest.neuron.states[i].dynamics,
            &rest.neuron.states[i].name.text,
        ) else {
            continue;
        };
        let message = format!(
            "`{name}` grows without a spike: eigenvalue +{rate:.3}/ms, a factor e every {:.3} ms",
            1.0 / rate
        );
        findings.push(Check::finding(Code::W0510, dynamics.rhs.span, message));
    }
    findings
}

/// The largest real part of the eigenvalues that a state takes part in, in 1/ms: alone, or with one
/// other state that it is coupled to in both directions. `None` for larger circles.
fn own_growth(rest: &Rest<'_>, state: usize, odes: &[usize]) -> Option<f64> {
    let own = rest.rate(state, state)?;
    let mut partners = Vec::new();
    for &other in odes.iter().filter(|&&o| o != state) {
        if rest.rate(state, other)? != 0.0 && reads_back(rest.neuron, other, state, odes) {
            partners.push(other);
        }
    }
    match partners.as_slice() {
        [] => Some(own),
        [other] => {
            let (b, c) = (rest.rate(state, *other)?, rest.rate(*other, state)?);
            let d = rest.rate(*other, *other)?;
            let half_trace = (own + d) / 2.0;
            let root = (half_trace * half_trace - (own * d - b * c))
                .max(0.0)
                .sqrt();
            Some(half_trace + root)
        }
        [..] => None,
    }
}

/// Whether a state's equation depends on another one, directly or through others.
fn reads_back(neuron: &Neuron, from: usize, on: usize, odes: &[usize]) -> bool {
    let mut seen = vec![false; neuron.states.len()];
    let mut todo = vec![from];
    while let Some(state) = todo.pop() {
        if state == on {
            return true;
        }
        if std::mem::replace(&mut seen[state], true) || !odes.contains(&state) {
            continue;
        }
        if let Some(dynamics) = &neuron.states[state].dynamics {
            let reads = walk::deep_refs(&dynamics.rhs, &neuron.lets);
            todo.extend(reads.iter().filter_map(|r| r.as_state()));
        }
    }
    false
}

/// W0415: at rest the surrogate is so small that nothing starts to train.
fn narrow_surrogate(rest: &Rest<'_>, spike: &Spike) -> Option<crate::diag::Diagnostic> {
    let call = spike.surrogate.as_ref()?;
    let surrogate = &rest.model.surrogates[call.surrogate?];
    if surrogate.support.is_some() {
        return None;
    }
    let mut shape = vec![0.0];
    for arg in &call.args {
        shape.push(rest.value(arg, &rest.states)?);
    }
    let margin = rest.margin(spike, &rest.states)?;
    let at = |u: f64| surrogate_value(rest.model, surrogate, &shape, &surrogate.derivative, u);
    let (resting, top) = (at(margin)?, at(0.0)?);
    if !(resting > 0.0 && top > 0.0 && resting < 1e-5 * top) {
        return None;
    }
    let message = format!(
        "the surrogate is {resting:.1e} at rest (u = {margin:.3}), {top:.2} at threshold: almost nothing trains"
    );
    let help = if spike.scale.as_ref().is_some_and(|s| !is_zero(s)) {
        "use a wider surrogate or a larger `scale`"
    } else {
        "use a wider surrogate, or a `scale`"
    };
    Some(Check::finding(Code::W0415, call.span, message).help(help))
}
