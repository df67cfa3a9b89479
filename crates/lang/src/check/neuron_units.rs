//! Units of the statements of a neuron: equations, assignments, spike margins, refractory times.

use super::Check;
use super::neuron::{neuron_type, takes_plain};
use super::scope::Scope;
use super::units::{in_words, is_bare_number, literal_unit, words};
use crate::ast::AssignOp;
use crate::diag::{Code, Diagnostic};
use crate::model::{
    Assign, DynamicsKind, Expr, ExprKind, Neuron, Ref, Spike, Start, State, Trigger, walk,
};
use crate::units::{Dimension, print};

impl Check<'_> {
    /// Checks all statements of a neuron whose declarations are built; gives the dimension of what each of
    /// its spikes carries.
    pub(super) fn neuron_units(
        &mut self,
        neuron: &Neuron,
        scope: &Scope,
    ) -> Vec<Option<Dimension>> {
        let types = |name: Ref| neuron_type(neuron, name);
        for state in &neuron.states {
            let Some(dynamics) = &state.dynamics else {
                continue;
            };
            let ty = self.infer(scope, &dynamics.rhs, &types);
            let found = self.expect_number(ty, &dynamics.rhs);
            let needed = match dynamics.kind {
                DynamicsKind::Ode(_) => state.dimension.and_then(|d| d.over(Dimension::TIME)),
                DynamicsKind::Next => state.dimension,
            };
            if let (Some(found), Some(needed)) = (found, needed)
                && found != needed
            {
                let finding = equation(neuron, state, &dynamics.rhs, dynamics.kind, found, needed);
                self.report(finding);
            }
        }
        let receives = neuron.receives.iter().flat_map(|r| &r.body);
        let resets = neuron.resets.iter().flat_map(|r| &r.body);
        for assign in receives.chain(resets) {
            self.assignment(neuron, scope, assign);
        }
        let mut carried = Vec::new();
        for spike in &neuron.spikes {
            self.spike_units(neuron, scope, spike);
            carried.push(self.payload_unit(neuron, scope, spike));
        }
        if let Some(refractory) = &neuron.refractory {
            let ty = self.infer(scope, &refractory.duration, &types);
            let found = self.expect_number(ty, &refractory.duration);
            if let Some(found) = found
                && found != Dimension::TIME
            {
                let message = format!("a refractory period is a time, found {}", words(found));
                let finding = Check::finding(Code::E0306, refractory.duration.span, message);
                self.report(if found.is_none() {
                    let end = refractory.duration.span.after();
                    finding.help_edit("a number of steps is written with `step`", end, " step")
                } else {
                    finding
                });
            }
        }
        carried
    }

    /// The dimension of what a spike carries.
    fn payload_unit(&mut self, neuron: &Neuron, scope: &Scope, spike: &Spike) -> Option<Dimension> {
        let Some(payload) = &spike.payload else {
            return Some(Dimension::NONE);
        };
        let ty = self.infer(scope, payload, &|name| neuron_type(neuron, name));
        self.expect_number(ty, payload)
    }

    fn assignment(&mut self, neuron: &Neuron, scope: &Scope, assign: &Assign) {
        let ty = self.infer(scope, &assign.value, &|name| neuron_type(neuron, name));
        let found = self.expect_number(ty, &assign.value);
        let state = &neuron.states[assign.state];
        let needed = if takes_plain(assign.op) {
            Some(Dimension::NONE)
        } else {
            state.dimension
        };
        let (Some(found), Some(needed)) = (found, needed) else {
            return;
        };
        if found == needed {
            return;
        }
        let name = &state.name.text;
        let message = match assign.op {
            AssignOp::Mul | AssignOp::Div => format!(
                "`{name} {} …` needs a plain number, found {}",
                assign.op.symbol(),
                words(found)
            ),
            AssignOp::Set | AssignOp::Add | AssignOp::Sub => format!(
                "`{name}` is {}, but what is assigned is {}",
                in_words(needed),
                in_words(found)
            ),
        };
        let mut finding = Check::finding(Code::E0304, assign.value.span, message)
            .label(format!("this is {}", words(found)))
            .secondary(state.name.span, declared(state));
        if let ExprKind::Ref(Ref::Port(i)) = assign.value.kind
            && found.is_none()
        {
            let port = &neuron.ports[i];
            let (unit, _) = print::shown(needed);
            finding = finding.help_edit(
                format!(
                    "give the input the unit of its weights: `input {} : {unit}`",
                    port.name.text
                ),
                port.name.span.after(),
                format!(" : {unit}"),
            );
        } else if is_bare_number(&assign.value) && !takes_plain(assign.op) {
            finding = finding.help_edit(
                "give the number its unit",
                assign.value.span.after(),
                format!(" {}", literal_unit(&print::shown(needed).0)),
            );
        }
        self.report(finding);
    }

    fn spike_units(&mut self, neuron: &Neuron, scope: &Scope, spike: &Spike) {
        let types = |name: Ref| neuron_type(neuron, name);
        let margin = match &spike.trigger {
            Trigger::Crossing {
                above, below, span, ..
            } => {
                // Inferred as a difference, so that a mismatch reads like one.
                let difference = Expr {
                    kind: ExprKind::Binary {
                        op: crate::ast::BinaryOp::Ge,
                        lhs: Box::new(above.clone()),
                        rhs: Box::new(below.clone()),
                    },
                    span: *span,
                };
                let before = self.diagnostics.len();
                self.infer(scope, &difference, &types);
                if self.diagnostics.len() > before {
                    self.bare_side(neuron, scope, [above, below]);
                    None
                } else {
                    self.infer(scope, above, &types).dimension()
                }
            }
            Trigger::Count(count) => {
                let ty = self.infer(scope, count, &types);
                let found = self.expect_number(ty, count);
                if let Some(found) = found
                    && !found.is_none()
                {
                    let message = format!(
                        "a number of spikes is a plain number, found {}",
                        words(found)
                    );
                    self.report(Check::finding(Code::E0303, count.span, message));
                }
                None
            }
            Trigger::Invalid(_) => None,
        };
        let scale = spike.scale.as_ref().map(|scale| {
            let ty = self.infer(scope, scale, &types);
            (scale.span, self.expect_number(ty, scale))
        });
        if let Some(margin) = margin {
            self.margin(neuron, spike, margin, scale);
        }
        if let Some(call) = &spike.surrogate {
            for arg in &call.args {
                let ty = self.infer(scope, arg, &types);
                if let Some(found) = self.expect_number(ty, arg)
                    && !found.is_none()
                {
                    let message =
                        format!("a surrogate takes plain numbers, found {}", words(found));
                    self.report(Check::finding(Code::E0303, arg.span, message));
                }
            }
        }
    }

    /// Adds to what was just said about a condition that a side is a parameter without a unit.
    fn bare_side(&mut self, neuron: &Neuron, scope: &Scope, sides: [&Expr; 2]) {
        let mut dimension = |side: &Expr| {
            let before = self.diagnostics.len();
            let ty = self.infer(scope, side, &|name| neuron_type(neuron, name));
            let known = self.diagnostics.len() == before;
            self.diagnostics.truncate(before);
            known.then(|| ty.dimension()).flatten()
        };
        let [above, below] = sides.map(&mut dimension);
        let (Some(above), Some(below)) = (above, below) else {
            return;
        };
        let (side, other) = match (above.is_none(), below.is_none()) {
            (true, false) => (sides[0], below),
            (false, true) => (sides[1], above),
            (true, true) | (false, false) => return,
        };
        let ExprKind::Ref(Ref::Param(param)) = side.kind else {
            return;
        };
        let Some(value) = bare_value(neuron, param) else {
            return;
        };
        let Some(last) = self.diagnostics.last_mut().filter(|d| d.help.is_none()) else {
            return;
        };
        let text = format!("give `{}` its unit", neuron.params[param].name.text);
        let unit = format!(" {}", literal_unit(&print::shown(other).0));
        *last = last.clone().help_edit(text, value.after(), unit);
    }

    fn margin(
        &mut self,
        neuron: &Neuron,
        spike: &Spike,
        margin: Dimension,
        scale: Option<(crate::span::Span, Option<Dimension>)>,
    ) {
        let (Trigger::Crossing { span, .. }, scale) = (&spike.trigger, scale) else {
            return;
        };
        match scale {
            None if margin.is_none() => {}
            None => {
                let (unit, _) = print::shown(margin);
                let message = format!(
                    "the margin of this condition is in {unit}: the surrogate needs a plain number"
                );
                let finding = Check::finding(Code::E0305, *span, message)
                    .label(format!("a difference in {unit}"))
                    .note("the margin is divided by `scale`, which sets how wide the surrogate is");
                let scale = scale_of(neuron, margin).unwrap_or_else(|| format!("10 {unit}"));
                let text = format!("add a scale: `scale {scale}`");
                self.report(finding.help_edit(text, span.after(), format!(" scale {scale}")));
            }
            Some((place, Some(found))) if found != margin => {
                let message = format!(
                    "the scale must be in {}, like the margin; found {}",
                    words(margin),
                    words(found)
                );
                self.report(
                    Check::finding(Code::E0301, place, message)
                        .secondary(*span, format!("the margin is {}", words(margin))),
                );
            }
            Some(_) => {}
        }
    }
}

/// A parameter that could be the scale of a margin: one that is no threshold or potential.
fn scale_of(neuron: &Neuron, margin: Dimension) -> Option<String> {
    let named = |name: &str| name.starts_with('D') || name.to_lowercase().contains("delta");
    neuron
        .params
        .iter()
        .find(|p| p.dimension == Some(margin) && named(&p.name.text))
        .map(|p| p.name.text.clone())
}

/// Why a state has the unit that it has.
fn declared(state: &State) -> String {
    let dimension = state.dimension.unwrap_or(Dimension::NONE);
    let kind = print::kind(dimension).map_or_else(|| in_words(dimension), str::to_string);
    let name = &state.name.text;
    match state.annotation {
        Some(_) => format!("`{name}` is {kind} because it is declared so"),
        None => format!("`{name}` is {kind} because of its initial value"),
    }
}

/// The right-hand side of an equation has the wrong unit.
fn equation(
    neuron: &Neuron,
    state: &State,
    rhs: &Expr,
    kind: DynamicsKind,
    found: Dimension,
    needed: Dimension,
) -> Diagnostic {
    let name = &state.name.text;
    let written = match kind {
        DynamicsKind::Ode(_) => format!("{name}'"),
        DynamicsKind::Next => format!("next {name}"),
    };
    let message = format!("the equation for `{name}` has the wrong unit");
    let start = match (&state.start, state.annotation) {
        (_, Some(span)) => span,
        (Start::Value(expr), None) => expr.span,
        (Start::Random(draw), None) => draw.span,
    };
    let mut finding = Diagnostic::new(Code::E0302, rhs.span, message)
        .label(format!(
            "this is {}, but {written} must be {}",
            words(found),
            needed_words(needed)
        ))
        .secondary(start, declared(state));
    let noisy = walk::refs(rhs).iter().any(|r| matches!(r, Ref::Noise(_)));
    if noisy {
        finding = finding.note("white noise has the unit 1/ms^(1/2)");
    }
    let Some(missing) = found.over(needed) else {
        return finding;
    };
    let Some(inverse) = needed.over(found) else {
        return finding;
    };
    let quotient = format!("{} / ({})", needed_words(found), needed_words(needed));
    if let Some(what) = print::kind(missing) {
        finding = finding.note(format!(
            "{quotient} = {}, so {what} is missing",
            words(missing)
        ));
    } else if let Some(what) = print::kind(inverse) {
        finding = finding.note(format!(
            "({}) / {} = {}, so a factor that is {what} is missing",
            needed_words(needed),
            needed_words(found),
            words(inverse)
        ));
    }
    suggest_factor(neuron, rhs, missing, inverse, finding)
}

fn needed_words(dimension: Dimension) -> String {
    let (text, _) = print::shown(dimension);
    if text.is_empty() {
        "1".to_string()
    } else {
        text
    }
}

/// A parameter that is a factor or divisor and was written without a unit: with the missing one it is right.
fn bare_factor(
    neuron: &Neuron,
    rhs: &Expr,
    divisor: Dimension,
    factor: Dimension,
    finding: Diagnostic,
) -> Diagnostic {
    let mut factors = Vec::new();
    factors_of(rhs, false, &mut factors);
    let bare = factors.into_iter().find_map(|(param, divides)| {
        let value = bare_value(neuron, param)?;
        Some((param, value, if divides { divisor } else { factor }))
    });
    match bare {
        Some((param, value, dimension)) => {
            let unit = literal_unit(&print::shown(dimension).0);
            let name = &neuron.params[param].name.text;
            finding.help_edit(
                format!("give `{name}` its unit"),
                value.after(),
                format!(" {unit}"),
            )
        }
        None => finding,
    }
}

/// The parameters that a product consists of, and whether they divide.
fn factors_of(expr: &Expr, divides: bool, found: &mut Vec<(usize, bool)>) {
    use crate::ast::BinaryOp;
    match &expr.kind {
        ExprKind::Ref(Ref::Param(i)) => found.push((*i, divides)),
        ExprKind::Neg(a) => factors_of(a, divides, found),
        ExprKind::Binary { op, lhs, rhs } if matches!(op, BinaryOp::Mul | BinaryOp::Div) => {
            factors_of(lhs, divides, found);
            factors_of(rhs, divides ^ (*op == BinaryOp::Div), found);
        }
        ExprKind::Error
        | ExprKind::Number { .. }
        | ExprKind::Bool(_)
        | ExprKind::Ref(_)
        | ExprKind::Not(_)
        | ExprKind::Binary { .. }
        | ExprKind::If { .. }
        | ExprKind::Builtin { .. }
        | ExprKind::Call { .. } => {}
    }
}

/// The place of the value of a parameter that is a number without a unit.
fn bare_value(neuron: &Neuron, param: usize) -> Option<crate::span::Span> {
    match &neuron.params.get(param)?.start {
        Start::Value(value) => is_bare_number(value).then_some(value.span),
        Start::Random(_) => None,
    }
}

/// Looks for a parameter that would make the units right.
fn suggest_factor(
    neuron: &Neuron,
    rhs: &Expr,
    divisor: Dimension,
    factor: Dimension,
    finding: Diagnostic,
) -> Diagnostic {
    let used = walk::deep_refs(rhs, &neuron.lets);
    let with = |dimension: Dimension| {
        let fits = |p: &&crate::model::Param| p.dimension == Some(dimension);
        let params = neuron.params.iter().enumerate();
        let mut fitting: Vec<(bool, &str)> = params
            .filter(|(_, p)| fits(p))
            .map(|(i, p)| (used.contains(&Ref::Param(i)), p.name.text.as_str()))
            .collect();
        // One that the equation does not use yet is the more likely one.
        fitting.sort_by_key(|(used, _)| *used);
        fitting.first().map(|(_, name)| *name)
    };
    let (sign, name, what) = match (with(divisor), with(factor)) {
        (Some(name), _) => ("/", name, divisor),
        (None, Some(name)) => ("*", name, factor),
        (None, None) => return bare_factor(neuron, rhs, divisor, factor, finding),
    };
    let kind = print::kind(what).unwrap_or("a parameter").to_string();
    let verb = if sign == "/" {
        "divide by"
    } else {
        "multiply by"
    };
    let text = format!("{verb} {kind} in scope");
    let loose = matches!(
        rhs.kind,
        ExprKind::Binary {
            op: crate::ast::BinaryOp::Add | crate::ast::BinaryOp::Sub,
            ..
        }
    );
    if loose {
        let edits = vec![
            (rhs.span.before(), "(".to_string()),
            (rhs.span.after(), format!(") {sign} {name}")),
        ];
        finding.help_edits(text, edits)
    } else {
        finding.help_edit(text, rhs.span.after(), format!(" {sign} {name}"))
    }
}
