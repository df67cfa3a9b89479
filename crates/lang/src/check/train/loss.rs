//! Loss and penalty: expressions over traces, targets and weights, with units, shapes, and whether a part belongs
//! to a sample or to the batch. `calls` has the functions, `trace` what is read of a layer, `formulas` the functions
//! of the program.

mod calls;
mod formulas;
mod trace;

use crate::ast::{self, BinaryOp, UnaryOp};
use crate::check::Check;
use crate::check::items::ItemRef;
use crate::check::scope::Scope;
use crate::check::units::words;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::{Builtin, LOSS_FUNCTIONS, UnitRule};
use crate::model::objective::{Arithmetic, Of, Shape, Term, TermKind};
use crate::model::{SettingValue, Ty};
use crate::span::Span;
use crate::units::{Dimension, Exponent};

/// Where a term is written: the names that it may use.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    scope: &'a Scope,
    network: usize,
}

impl Check<'_> {
    /// `loss = …`, `penalty = …`: one plain number.
    pub(super) fn objective_setting(
        &mut self,
        scope: &Scope,
        name: &str,
        value: &ast::Expr,
        network: Option<usize>,
    ) -> SettingValue {
        let Some(network) = network else {
            return SettingValue::Invalid;
        };
        let Some(term) = self.term(Place { scope, network }, value) else {
            return SettingValue::Invalid;
        };
        if term.shape != Shape::Scalar {
            let message = format!(
                "`{name}` is one number, this is one for {}",
                each(term.shape)
            );
            self.report(
                Check::finding(Code::E0704, term.span, message)
                    .help("take `mean(…)` or `sum(…)` of it"),
            );
            return SettingValue::Invalid;
        }
        if term.of == Of::Constant {
            let message = format!("`{name}` reads nothing of the network");
            self.report(
                Check::finding(Code::E0704, term.span, message)
                    .help("for instance `cross_entropy(max_over_time(out.v), label)`"),
            );
            return SettingValue::Invalid;
        }
        self.plain_term(&term, &format!("`{name}`"));
        SettingValue::Loss(Box::new(term))
    }

    /// `predict = spike_count(out)`: the units whose largest is the predicted class.
    pub(super) fn predict_setting(
        &mut self,
        scope: &Scope,
        value: &ast::Expr,
        network: Option<usize>,
    ) -> SettingValue {
        let Some(network) = network else {
            return SettingValue::Invalid;
        };
        let Some(term) = self.term(Place { scope, network }, value) else {
            return SettingValue::Invalid;
        };
        let units = matches!(term.shape, Shape::Units(Some(_)));
        if !units || term.of != Of::Sample {
            let message =
                "`predict` is a number for each unit of a layer, the class is the largest";
            self.report(
                Check::finding(Code::E0704, term.span, message)
                    .help("for instance `spike_count(out)`"),
            );
            return SettingValue::Invalid;
        }
        SettingValue::Loss(Box::new(term))
    }

    /// A term; `None` if it was reported as wrong.
    fn term(&mut self, place: Place<'_>, expr: &ast::Expr) -> Option<Term> {
        if !self.reads_network(place, expr) {
            return self.number_term(place, expr);
        }
        match &expr.kind {
            ast::ExprKind::Name(name) if name == "label" => {
                let message = "`label` is a class, not a number";
                self.report(
                    Check::finding(Code::E0704, expr.span, message)
                        .help("as in `cross_entropy(…, label)` or `one_hot(label)`"),
                );
                None
            }
            ast::ExprKind::Name(name) if name == "target" => Some(Term {
                kind: TermKind::Target,
                shape: Shape::Steps(None),
                of: Of::Sample,
                // Targets are numbers in the unit of what they are compared with.
                dimension: None,
                span: expr.span,
            }),
            ast::ExprKind::Name(_) | ast::ExprKind::Field { .. } => self.trace_term(place, expr),
            ast::ExprKind::Call { callee, args } => {
                let item = self.items.find(&callee.text, callee.span);
                if let Some(ItemRef::Fn(function)) = item {
                    return self.formula(place, function, callee, args, expr.span);
                }
                match Builtin::find(&callee.text) {
                    Some(function) => self.function_term(place, function, callee, args, expr.span),
                    None => self.loss_call(place, callee, args, expr.span),
                }
            }
            ast::ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => {
                let of = self.term(place, operand)?;
                Some(Term {
                    shape: of.shape,
                    of: of.of,
                    dimension: of.dimension,
                    kind: TermKind::Neg(Box::new(of)),
                    span: expr.span,
                })
            }
            ast::ExprKind::Binary { op, lhs, rhs, .. } => {
                self.binary_term(place, *op, lhs, rhs, expr.span)
            }
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::List(_)
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::If { .. }
            | ast::ExprKind::Range { .. } => {
                let message = "a loss is made of functions, `+ - * / ^` and numbers";
                self.report(Check::finding(Code::E0704, expr.span, message));
                None
            }
        }
    }

    /// Whether something of the network, the sample or the batch occurs; what is left is a constant.
    fn reads_network(&self, place: Place<'_>, expr: &ast::Expr) -> bool {
        let reads = |e: &ast::Expr| self.reads_network(place, e);
        match &expr.kind {
            // What is no constant should have been a layer.
            ast::ExprKind::Name(name) => {
                let item = self.items.find(name, expr.span);
                !matches!(item, Some(ItemRef::Const(_)))
                    && (name != "pi" || self.is_layer(place, name))
            }
            ast::ExprKind::Field { .. } => true,
            ast::ExprKind::Call { callee, args } => {
                let constant = Builtin::find(&callee.text).is_some()
                    || self
                        .model
                        .functions
                        .iter()
                        .any(|f| f.name.text == callee.text);
                !constant || args.iter().any(|a| reads(&a.value))
            }
            ast::ExprKind::List(items) => items.iter().any(reads),
            ast::ExprKind::Unary { operand, .. } => reads(operand),
            ast::ExprKind::Binary { lhs, rhs, .. } => reads(lhs) || reads(rhs),
            ast::ExprKind::If {
                cond,
                then,
                otherwise,
            } => reads(cond) || reads(then) || reads(otherwise),
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Range { .. } => false,
        }
    }

    fn is_layer(&self, place: Place<'_>, name: &str) -> bool {
        let network = &self.model.networks[place.network];
        network.layer_of_path(&[name]).is_some()
    }

    fn number_term(&mut self, place: Place<'_>, expr: &ast::Expr) -> Option<Term> {
        let expr = self.resolve(place.scope, expr);
        let ty = self.infer(place.scope, &expr, &|_| Ty::Unknown);
        let dimension = self.expect_number(ty, &expr);
        Some(Term {
            span: expr.span,
            kind: TermKind::Number(expr),
            shape: Shape::Scalar,
            of: Of::Constant,
            dimension,
        })
    }

    /// `relu(x)`, `max(a, b)`
    fn function_term(
        &mut self,
        place: Place<'_>,
        function: Builtin,
        callee: &ast::Name,
        args: &[ast::Arg],
        span: Span,
    ) -> Option<Term> {
        let (least, most) = function.arity();
        if !(least..=most).contains(&args.len()) || args.iter().any(|a| a.name.is_some()) {
            let message = format!("`{}` takes {least} arguments without names", callee.text);
            self.report(Check::finding(Code::E0210, callee.span, message));
            return None;
        }
        let mut terms = Vec::new();
        for arg in args {
            terms.push(self.term(place, &arg.value)?);
        }
        self.builtin_term(function, terms, span)
    }

    fn builtin_term(&mut self, function: Builtin, terms: Vec<Term>, span: Span) -> Option<Term> {
        let name = function.name();
        if function.is_flat() {
            let message = format!("`{name}` has the derivative 0 everywhere");
            self.report(Check::finding(Code::E0403, span, message));
            return None;
        }
        let (mut shape, mut of) = (terms[0].shape, terms[0].of);
        let mut dimension = terms[0].dimension;
        for term in &terms[1..] {
            (shape, of) = self.joined((shape, of), term, false, span)?;
            dimension = self.alike(dimension, term, terms[0].span)?;
        }
        let dimension = match function.unit_rule() {
            UnitRule::Same => dimension,
            UnitRule::Root => dimension.and_then(|d| Exponent::new(1, 2).and_then(|e| d.power(e))),
            UnitRule::Forget => Some(Dimension::NONE),
            UnitRule::Plain => {
                self.plain_term(&terms[0], &format!("the argument of `{name}`"));
                Some(Dimension::NONE)
            }
        };
        Some(Term {
            kind: TermKind::Function(function, terms),
            shape,
            of,
            dimension,
            span,
        })
    }

    fn binary_term(
        &mut self,
        place: Place<'_>,
        op: BinaryOp,
        lhs: &ast::Expr,
        rhs: &ast::Expr,
        span: Span,
    ) -> Option<Term> {
        if op == BinaryOp::Pow {
            return self.power_term(place, lhs, rhs, span);
        }
        let arithmetic = self.arithmetic(op, span)?;
        let (a, b) = (self.term(place, lhs), self.term(place, rhs));
        self.arithmetic_term(arithmetic, a?, b?, span)
    }

    /// The operator between two terms; a power has its own rules.
    fn arithmetic(&mut self, op: BinaryOp, span: Span) -> Option<Arithmetic> {
        match op {
            BinaryOp::Add => Some(Arithmetic::Add),
            BinaryOp::Sub => Some(Arithmetic::Sub),
            BinaryOp::Mul => Some(Arithmetic::Mul),
            BinaryOp::Div => Some(Arithmetic::Div),
            BinaryOp::Pow
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::And
            | BinaryOp::Or => {
                let message = "a comparison has no derivative and cannot be part of a loss";
                self.report(
                    Check::finding(Code::E0704, span, message)
                        .help("`relu(x - bound)` is above 0 where x is above the bound"),
                );
                None
            }
        }
    }

    fn arithmetic_term(
        &mut self,
        arithmetic: Arithmetic,
        a: Term,
        b: Term,
        span: Span,
    ) -> Option<Term> {
        let sum = matches!(arithmetic, Arithmetic::Add | Arithmetic::Sub);
        let (shape, of) = self.joined((a.shape, a.of), &b, sum, span)?;
        let dimension = match arithmetic {
            Arithmetic::Add | Arithmetic::Sub => self.alike(a.dimension, &b, a.span)?,
            Arithmetic::Mul => a.dimension.zip(b.dimension).and_then(|(a, b)| a.times(b)),
            Arithmetic::Div => a.dimension.zip(b.dimension).and_then(|(a, b)| a.over(b)),
        };
        Some(Term {
            kind: TermKind::Arithmetic(arithmetic, Box::new(a), Box::new(b)),
            shape,
            of,
            dimension,
            span,
        })
    }

    fn power_term(
        &mut self,
        place: Place<'_>,
        base: &ast::Expr,
        exponent: &ast::Expr,
        span: Span,
    ) -> Option<Term> {
        if self.reads_network(place, exponent) {
            let message = "the exponent in a loss is a constant";
            self.report(
                Check::finding(Code::E0307, exponent.span, message)
                    .help("`exp(k * x)` is a power with a variable exponent"),
            );
            return None;
        }
        let base = self.term(place, base)?;
        let exponent = self.number_term(place, exponent)?;
        self.power_of(base, exponent, span)
    }

    fn power_of(&mut self, base: Term, exponent: Term, span: Span) -> Option<Term> {
        self.plain_term(&exponent, "an exponent");
        let TermKind::Number(power) = exponent.kind else {
            return None;
        };
        if base.of == Of::Both {
            return self.mixed(base.span);
        }
        let dimension = match base.dimension {
            Some(d) if d.is_none() => Some(d),
            Some(d) => {
                let value = self.constant_value(&power).and_then(Exponent::from_f64);
                value.and_then(|value| d.power(value))
            }
            None => None,
        };
        Some(Term {
            shape: base.shape,
            of: base.of,
            dimension,
            kind: TermKind::Power(Box::new(base), power),
            span,
        })
    }

    /// The shape of two terms together, the smaller repeated, and what both are of.
    fn joined(
        &mut self,
        (shape, of): (Shape, Of),
        other: &Term,
        sum: bool,
        span: Span,
    ) -> Option<(Shape, Of)> {
        let fits = |a: Option<usize>, b: Option<usize>| a.is_none() || b.is_none() || a == b;
        let joined = match (shape, other.shape) {
            (Shape::Scalar, other) => Some(other),
            (shape, Shape::Scalar) => Some(shape),
            (Shape::Units(a), Shape::Units(b)) if fits(a, b) => Some(Shape::Units(a.or(b))),
            (Shape::Units(a) | Shape::Steps(a), Shape::Units(b) | Shape::Steps(b))
                if fits(a, b) =>
            {
                Some(Shape::Steps(a.or(b)))
            }
            (
                Shape::Units(_) | Shape::Steps(_) | Shape::Weights,
                Shape::Units(_) | Shape::Steps(_) | Shape::Weights,
            ) => None,
        };
        let Some(joined) = joined else {
            let message = format!(
                "one number for {} and one for {} do not go together",
                each(shape),
                each(other.shape)
            );
            self.report(
                Check::finding(Code::E0704, span, message)
                    .help("take `mean(…)` or `sum(…)` of one of them"),
            );
            return None;
        };
        let of = match (of, other.of) {
            (Of::Constant, of) | (of, Of::Constant) => of,
            (Of::Sample, Of::Sample) => Of::Sample,
            (Of::Batch, Of::Batch) => Of::Batch,
            _ if sum && joined == Shape::Scalar => Of::Both,
            (Of::Sample | Of::Batch | Of::Both, Of::Sample | Of::Batch | Of::Both) => {
                return self.mixed(span);
            }
        };
        Some((joined, of))
    }

    fn mixed<T>(&mut self, span: Span) -> Option<T> {
        let message = "a number of one sample and one of the whole batch meet in a sum only";
        self.report(Check::finding(Code::E0704, span, message).note(
            "weights, parameters and `mean_over_batch` are of the batch, traces are of a sample",
        ));
        None
    }

    /// Two terms in one unit; what is unknown fits.
    fn alike(
        &mut self,
        dimension: Option<Dimension>,
        other: &Term,
        first: Span,
    ) -> Option<Option<Dimension>> {
        match (dimension, other.dimension) {
            (Some(a), Some(b)) if a != b => {
                let message = format!("{} and {} do not add up", words(a), words(b));
                self.report(
                    Check::finding(Code::E0301, other.span, message)
                        .label(format!("this is {}", words(b)))
                        .secondary(first, format!("this is {}", words(a))),
                );
                None
            }
            (a, b) => Some(a.or(b)),
        }
    }

    /// E0303 if a term has a unit.
    fn plain_term(&mut self, term: &Term, what: &str) {
        if let Some(dimension) = term.dimension
            && !dimension.is_none()
        {
            let (unit, _) = crate::units::print::shown(dimension);
            let unit = match unit.contains(['/', '*', '^']) {
                _ if dimension == Dimension::RATE => "Hz".to_string(),
                true => format!("[{unit}]"),
                false => unit,
            };
            let message = format!("{what} must be a plain number, found {}", words(dimension));
            let finding: Diagnostic = Check::finding(Code::E0303, term.span, message);
            self.report(finding.help(format!("divide by a unit: `… / 1 {unit}`")));
        }
    }
}

/// What there is a number for.
fn each(shape: Shape) -> &'static str {
    match shape {
        Shape::Scalar => "the sample",
        Shape::Units(_) => "each unit of a layer",
        Shape::Steps(_) => "each step and unit",
        Shape::Weights => "each weight",
    }
}

/// Whether a name is a function that only losses have.
fn is_loss_function(name: &str) -> bool {
    LOSS_FUNCTIONS.iter().any(|(n, _)| *n == name)
}
