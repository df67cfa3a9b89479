//! Parameters: declarations in neurons, new values in children and layers, bounds, learning.

use super::Check;
use super::scope::Scope;
use super::units::{Types, as_words, in_words, literal_unit, words};
use crate::ast::{self, ScopeKind};
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::model::builtin::Takes;
use crate::model::{self, Bounds, Draw, Expr, Learn, Param, Ref, Shown, Start, Ty, Via, eval};
use crate::span::Span;
use crate::units::{Dimension, Unit, print};

/// The names that `learn via` takes.
const METHODS: &[(&str, Via)] = &[
    ("none", Via::None),
    ("clamp", Via::Clamp),
    ("sigmoid", Via::Sigmoid),
    ("exp", Via::Exp),
    ("softplus", Via::Softplus),
    ("dcls", Via::Dcls),
];

impl Check<'_> {
    /// The unit of the first literal of an expression, which is how the value is shown.
    fn literal_unit_of(&mut self, expr: &ast::Expr) -> Option<Shown> {
        use ast::ExprKind as Kind;
        match &expr.kind {
            Kind::Quantity { unit, .. } => {
                let known = crate::units::read::unit(unit).ok()?;
                Some(Shown {
                    text: unit.text.clone(),
                    unit: known,
                })
            }
            Kind::Unary { operand, .. } => self.literal_unit_of(operand),
            Kind::Call { args, .. } => args.first().and_then(|a| self.literal_unit_of(&a.value)),
            Kind::Number(_)
            | Kind::Bool(_)
            | Kind::Str(_)
            | Kind::Name(_)
            | Kind::Field { .. }
            | Kind::List(_)
            | Kind::Binary { .. }
            | Kind::If { .. }
            | Kind::Range { .. } => None,
        }
    }

    /// How values of a dimension are shown: as written if that has the dimension.
    pub(super) fn shown(&mut self, expr: &ast::Expr, dimension: Option<Dimension>) -> Shown {
        let written = self.literal_unit_of(expr);
        match (written, dimension) {
            (Some(written), Some(dimension)) if written.unit.dimension == dimension => written,
            (_, Some(dimension)) => plain_shown(dimension),
            (_, None) => Shown::plain(),
        }
    }

    /// A declared unit.
    pub(super) fn declared_unit(&mut self, scope: &Scope, unit: &ast::Unit) -> Option<Shown> {
        let known = self.unit(scope, unit)?;
        Some(Shown {
            text: unit.text.clone(),
            unit: known,
        })
    }

    /// The dimension of a starting value; mismatches inside it are reported.
    pub(super) fn start_dimension(
        &mut self,
        scope: &Scope,
        start: &Start,
        types: Types<'_>,
    ) -> Option<Dimension> {
        match start {
            Start::Value(expr) => {
                let ty = self.infer(scope, expr, types);
                self.expect_number(ty, expr)
            }
            Start::Random(draw) => self.draw_dimension(scope, draw, types),
        }
    }

    fn draw_dimension(
        &mut self,
        scope: &Scope,
        draw: &Draw,
        types: Types<'_>,
    ) -> Option<Dimension> {
        let mut dimension: Option<(Dimension, Span)> = None;
        let mut unknown = false;
        for (arg, slot) in draw.args.iter().zip(draw.law.slots()) {
            let Some(expr) = arg else {
                continue;
            };
            let ty = self.infer(scope, expr, types);
            let Some(own) = self.expect_number(ty, expr) else {
                unknown = true;
                continue;
            };
            if slot.takes == Takes::Rate {
                if own != Dimension::RATE {
                    let message = format!("`{}` is a rate, found {}", slot.name, words(own));
                    self.report(
                        Check::finding(Code::E0306, expr.span, message)
                            .help("write it in hertz: `20 Hz`"),
                    );
                }
                // What is drawn has the unit that is needed.
                unknown = true;
                continue;
            }
            if slot.takes == Takes::Plain {
                if !own.is_none() {
                    let message = format!(
                        "`{}` must be a plain number, found {}",
                        slot.name,
                        words(own)
                    );
                    self.report(Check::finding(Code::E0306, expr.span, message));
                }
                continue;
            }
            match dimension {
                None => dimension = Some((own, expr.span)),
                Some((first, _)) if first == own => {}
                Some((first, span)) => {
                    let message = format!(
                        "`{}` is {}, but the other value of the distribution is {}",
                        slot.name,
                        words(own),
                        words(first)
                    );
                    self.report(
                        Check::finding(Code::E0306, expr.span, message)
                            .label(format!("this is {}", words(own)))
                            .secondary(span, format!("this is {}", words(first))),
                    );
                    unknown = true;
                }
            }
        }
        match dimension {
            Some((dimension, _)) if !unknown => Some(dimension),
            Some(_) => None,
            None if unknown => None,
            // A law without a gain gives plain numbers.
            None => Some(Dimension::NONE),
        }
    }

    /// `in lo .. hi`
    pub(super) fn bounds(&mut self, scope: &Scope, range: &ast::Range) -> Bounds {
        Bounds {
            lo: self.resolve(scope, &range.lo),
            hi: self.resolve(scope, &range.hi),
            span: range.span,
        }
    }

    /// `learn via …`
    pub(super) fn learn(&mut self, learn: &ast::Learn, bounded: bool) -> Learn {
        let default = if bounded { Via::Clamp } else { Via::None };
        let via = match &learn.via {
            None => default,
            Some(name) => match METHODS.iter().find(|(text, _)| *text == name.text) {
                Some(&(_, via)) => via,
                None => {
                    let names = METHODS.iter().map(|(text, _)| *text);
                    let message = format!("there is no way to learn called `{}`", name.text);
                    let finding = Check::finding(Code::E0201, name.span, message);
                    let finding = match did_you_mean(&name.text, names.clone()) {
                        Some(near) => {
                            finding.help_edit(format!("did you mean `{near}`?"), name.span, near)
                        }
                        None => {
                            let all: Vec<&str> = names.collect();
                            finding.help(format!("there are: {}", all.join(", ")))
                        }
                    };
                    self.report(finding);
                    default
                }
            },
        };
        Learn {
            via,
            span: learn.span,
        }
    }

    /// Builds the value part of a parameter. `declared` is the dimension that it must have.
    pub(super) fn param(
        &mut self,
        scope: &Scope,
        tree: &ast::Param,
        declared: Option<(&Param, &str)>,
        types: Types<'_>,
    ) -> Param {
        let start = self.start(scope, &tree.value.init);
        let own = self.start_dimension(scope, &start, types);
        let unit = tree.unit.as_ref();
        let annotated = unit.and_then(|u| self.declared_unit(scope, u));
        let dimension = match (&annotated, declared) {
            (Some(shown), _) => Some(shown.unit.dimension),
            (None, Some((param, _))) => param.dimension,
            (None, None) => own,
        };
        self.same_dimension(tree, own, dimension, declared);
        let bounds = tree.value.bounds.as_ref();
        let bounds = bounds.map(|range| self.param_bounds(scope, tree, range, dimension, types));
        let learn = tree.value.learn.as_ref();
        let learn = learn.map(|learn| self.param_learn(learn, bounds.as_ref()));
        let shown = match annotated {
            Some(shown) => shown,
            None => match declared {
                Some((param, _)) => {
                    let written = self.shown(&tree.value.init, dimension);
                    if written.text.is_empty() {
                        param.shown.clone()
                    } else {
                        written
                    }
                }
                None => self.shown(&tree.value.init, dimension),
            },
        };
        let sharing = match (&tree.scope, declared) {
            (Some(scope), _) => scope.kind,
            (None, Some((param, _))) => param.sharing,
            (None, None) => ScopeKind::Shared,
        };
        Param {
            name: tree.name.clone(),
            span: tree.span,
            shown,
            dimension,
            sharing,
            start,
            bounds,
            learn,
        }
    }

    fn same_dimension(
        &mut self,
        tree: &ast::Param,
        own: Option<Dimension>,
        needed: Option<Dimension>,
        declared: Option<(&Param, &str)>,
    ) {
        let (Some(own), Some(needed)) = (own, needed) else {
            return;
        };
        if own == needed {
            return;
        }
        let name = &tree.name.text;
        let kind = print::kind(needed).map_or_else(|| words(needed), str::to_string);
        let message = format!("`{name}` is {kind}; this value is {}", words(own));
        let span = tree.value.init.span;
        let mut finding =
            Check::finding(Code::E0306, span, message).label(format!("this is {}", words(own)));
        if let Some((param, owner)) = declared {
            let text = format!("`{owner}` declares it {}", as_words(needed));
            finding = finding.secondary(param.name.span, text);
        }
        self.report(with_unit(finding, own, needed, &tree.value.init));
    }

    fn param_bounds(
        &mut self,
        scope: &Scope,
        tree: &ast::Param,
        range: &ast::Range,
        dimension: Option<Dimension>,
        types: Types<'_>,
    ) -> Bounds {
        let bounds = self.bounds(scope, range);
        for (end, tree_end) in [(&bounds.lo, &range.lo), (&bounds.hi, &range.hi)] {
            let ty = self.infer(scope, end, types);
            let own = self.expect_number(ty, end);
            if let (Some(own), Some(needed)) = (own, dimension)
                && own != needed
            {
                let message = format!(
                    "a bound of `{}` must be {}, found {}",
                    tree.name.text,
                    in_words(needed),
                    words(own)
                );
                let finding = Check::finding(Code::E0306, end.span, message)
                    .secondary(tree.value.init.span, in_words(needed));
                self.report(with_unit(finding, own, needed, tree_end));
            }
        }
        bounds
    }

    fn param_learn(&mut self, tree: &ast::Learn, bounds: Option<&Bounds>) -> Learn {
        let learn = self.learn(tree, bounds.is_some());
        let needs_bounds = matches!(learn.via, Via::Sigmoid | Via::Clamp);
        if needs_bounds && bounds.is_none() {
            let message = "this way of learning needs bounds";
            self.report(
                Check::finding(Code::E0409, learn.span, message)
                    .label("without `in lo .. hi` there is nothing to stay inside of")
                    .help_edit("add bounds", learn.span.before(), "in 0 .. 1 "),
            );
        }
        if learn.via == Via::Dcls {
            let message = "`dcls` is for delays; it cannot learn a parameter";
            self.report(Check::finding(Code::E0412, learn.span, message));
        }
        learn
    }

    /// Values against bounds, once all parameters are known. `step` may be needed and unknown.
    pub(super) fn param_values(&mut self, params: &[Param], checked: &[usize], around: Around<'_>) {
        let values = param_numbers(&self.model, params, around);
        self.param_draws(params, checked, &values, around);
        for &i in checked {
            let param = &params[i];
            if let Some(finding) = not_positive(param, values[i]) {
                self.report(finding);
            }
            let Some(bounds) = &param.bounds else {
                continue;
            };
            let lookup = |name: Ref| param_or_outer(&values, around, name);
            let env = eval::Env::new(&self.model, around.step_ms, &lookup);
            let (Ok(lo), Ok(hi)) = (env.number(&bounds.lo), env.number(&bounds.hi)) else {
                continue;
            };
            let mut findings = Vec::new();
            if lo >= hi || lo.is_nan() || hi.is_nan() {
                let message = format!(
                    "the bounds of `{}` are empty: {} .. {}",
                    param.name.text,
                    in_unit(lo, param),
                    in_unit(hi, param)
                );
                findings.push(Check::finding(Code::E0409, bounds.span, message));
            } else if let Start::Value(expr) = &param.start
                && let Ok(value) = env.number(expr)
            {
                let strict = param.learn.is_some_and(|l| l.via == Via::Sigmoid);
                let outside = value < lo || value > hi;
                if outside || strict && (value == lo || value == hi) {
                    findings.push(outside_bounds(param, value, (lo, hi), strict && !outside));
                }
            }
            for finding in findings {
                self.report(finding);
            }
            self.time_constant_bound(param, lo, hi);
        }
    }

    fn time_constant_bound(&mut self, param: &Param, lo: f64, hi: f64) {
        if param.dimension == Some(Dimension::TIME)
            && lo <= 0.0
            && hi > 0.0
            && let Some(bounds) = &param.bounds
        {
            let message = format!(
                "the time constant `{}` may become {}: its bounds include 0",
                param.name.text,
                if lo < 0.0 { "negative" } else { "0" }
            );
            self.report(
                Check::finding(Code::W0509, bounds.lo.span, message)
                    .help("use a small positive bound"),
            );
        }
    }
}

/// `exp` and `softplus` reach positive values only.
fn not_positive(param: &Param, value: Option<f64>) -> Option<Diagnostic> {
    let learn = param.learn?;
    let positive = matches!(learn.via, Via::Exp | Via::Softplus);
    let value = value.filter(|v| positive && *v <= 0.0)?;
    let message = format!(
        "`{}` starts at {}, but this way of learning gives positive values only",
        param.name.text,
        in_unit(value, param)
    );
    Some(Diagnostic::new(Code::E0409, learn.span, message))
}

fn outside_bounds(param: &Param, value: f64, (lo, hi): (f64, f64), edge: bool) -> Diagnostic {
    let name = &param.name.text;
    let bounds = format!("{} .. {}", in_unit(lo, param), in_unit(hi, param));
    let message = if edge {
        format!(
            "`{name}` starts at its bound {}; with `sigmoid` it could never leave it",
            in_unit(value, param)
        )
    } else {
        format!(
            "`{name}` starts at {}, outside {bounds}",
            in_unit(value, param)
        )
    };
    let place = match &param.start {
        Start::Value(expr) => expr.span,
        Start::Random(draw) => draw.span,
    };
    let finding = Diagnostic::new(Code::E0409, place, message);
    match &param.bounds {
        Some(bounds) => finding.secondary(bounds.span, "the bounds"),
        None => finding,
    }
}

/// A value in the unit of a parameter.
pub(super) fn in_unit(value: f64, param: &Param) -> String {
    let shown = value / param.shown.unit.factor;
    // Twelve digits: what the division did to the last bits is not of interest.
    let rounded: f64 = format!("{shown:.11e}").parse().unwrap_or(shown);
    if param.shown.text.is_empty() {
        format!("{rounded}")
    } else {
        format!("{rounded} {}", param.shown.text)
    }
}

/// Suggests the unit for a bare number.
fn with_unit(
    finding: Diagnostic,
    own: Dimension,
    needed: Dimension,
    value: &ast::Expr,
) -> Diagnostic {
    let bare = matches!(value.kind, ast::ExprKind::Number(_));
    if own.is_none() && bare {
        let (unit, _) = print::shown(needed);
        let unit = literal_unit(&unit);
        finding.help_edit("write its unit", value.span.after(), format!(" {unit}"))
    } else {
        finding
    }
}

/// The canonical way to show a dimension.
pub(super) fn plain_shown(dimension: Dimension) -> Shown {
    let (text, factor) = print::shown(dimension);
    Shown {
        text,
        unit: Unit {
            dimension,
            factor,
            ..Unit::ONE
        },
    }
}

/// What values of parameters may depend on besides other parameters: the length of a step, and the
/// names of the network in which a layer sets them.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// The length of a step in ms, if it is known.
    pub(crate) step_ms: Option<f64>,
    /// The values of a network's parameters and `let`s.
    pub(crate) outer: &'a dyn Fn(Ref) -> Option<f64>,
}

impl Around<'static> {
    /// No network and no step.
    pub(crate) const NOTHING: Around<'static> = Around {
        step_ms: None,
        outer: &|_| None,
    };

    /// No network.
    pub(crate) fn step(step_ms: f64) -> Around<'static> {
        Around {
            step_ms: Some(step_ms),
            ..Around::NOTHING
        }
    }
}

/// The initial values of parameters in base units; of a distribution its centre. `None` where a
/// value cannot be computed.
pub(crate) fn param_numbers(
    model: &model::Model,
    params: &[Param],
    around: Around<'_>,
) -> Vec<Option<f64>> {
    let mut values: Vec<Option<f64>> = Vec::with_capacity(params.len());
    for param in params {
        let value = {
            let lookup = |name: Ref| param_or_outer(&values, around, name);
            let env = eval::Env::new(model, around.step_ms, &lookup);
            match &param.start {
                Start::Value(expr) => env.number(expr).ok(),
                Start::Random(draw) => centre(draw, &env),
            }
        };
        values.push(value);
    }
    values
}

/// The value of a name in the formulas of parameters.
pub(crate) fn param_or_outer(values: &[Option<f64>], around: Around<'_>, name: Ref) -> Option<f64> {
    match name.as_param() {
        Some(i) => values.get(i).copied().flatten(),
        None => (around.outer)(name),
    }
}

/// The middle of a distribution.
fn centre(draw: &Draw, env: &eval::Env<'_>) -> Option<f64> {
    use crate::model::builtin::Law;
    let arg = |i: usize| -> Option<f64> {
        let expr: &Expr = draw.args.get(i)?.as_ref()?;
        env.number(expr).ok()
    };
    match draw.law {
        Law::Normal | Law::LogNormal => arg(0),
        Law::Uniform => Some((arg(0)? + arg(1)?) / 2.0),
        Law::KaimingNormal
        | Law::KaimingUniform
        | Law::XavierNormal
        | Law::XavierUniform
        | Law::Orthogonal
        | Law::FluctuationDriven => Some(0.0),
    }
}

/// The type that a dimension stands for.
pub(super) fn ty(dimension: Option<Dimension>) -> Ty {
    dimension.map_or(Ty::Unknown, Ty::Real)
}
