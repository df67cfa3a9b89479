//! Dimensions of expressions.
//!
//! Every expression is looked at, everywhere. A mismatch is reported once, where two things meet;
//! the result is then unknown and fits everything. A function of the program has no units of its
//! own: its body is inferred again for each combination of units that it is called with.

use std::collections::BTreeMap;

use super::Check;
use super::scope::Scope;
use crate::ast::BinaryOp;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::{Builtin, UnitRule};
use crate::model::{Expr, ExprKind, Function, Model, Ref, Ty, eval, walk};
use crate::span::Span;
use crate::units::{Dimension, Exponent, print};

/// Names of an item to their types.
pub(super) type Types<'a> = &'a dyn Fn(Ref) -> Ty;

impl Check<'_> {
    /// The type of an expression; mismatches inside it are reported.
    pub(super) fn infer(&mut self, scope: &Scope, expr: &Expr, types: Types<'_>) -> Ty {
        let mut inference = Inference {
            model: &self.model,
            name_of: &|name| scope.name_of(name).map(str::to_string),
            findings: Vec::new(),
            calls: BTreeMap::new(),
        };
        let ty = inference.infer(expr, types);
        let mut findings = inference.findings;
        self.diagnostics.append(&mut findings);
        ty
    }

    /// Reports a number where a truth value was found and the other way round.
    pub(super) fn expect_number(&mut self, ty: Ty, expr: &Expr) -> Option<Dimension> {
        if ty == Ty::Bool {
            let message = "expected a number, found a truth value";
            self.report(Check::finding(Code::E0301, expr.span, message));
        }
        ty.dimension()
    }
}

/// A unit for a sentence.
pub(super) fn words(dimension: Dimension) -> String {
    print::describe(dimension)
}

/// `in mV`, or `a plain number`.
pub(super) fn in_words(dimension: Dimension) -> String {
    if dimension.is_none() {
        words(dimension)
    } else {
        format!("in {}", words(dimension))
    }
}

/// `in mV`, or `as a plain number`.
pub(super) fn as_words(dimension: Dimension) -> String {
    if dimension.is_none() {
        format!("as {}", words(dimension))
    } else {
        in_words(dimension)
    }
}

struct Inference<'a> {
    model: &'a Model,
    name_of: &'a dyn Fn(Ref) -> Option<String>,
    findings: Vec<Diagnostic>,
    /// Results of calls by function and types of the arguments.
    calls: BTreeMap<(usize, Vec<Ty>), Ty>,
}

impl Inference<'_> {
    fn infer(&mut self, expr: &Expr, types: Types<'_>) -> Ty {
        match &expr.kind {
            ExprKind::Error => Ty::Unknown,
            ExprKind::Number { unit, .. } => Ty::Real(unit.dimension),
            ExprKind::Bool(_) => Ty::Bool,
            ExprKind::Ref(name) => self.name(*name, types),
            ExprKind::Neg(a) => match self.number(a, types) {
                Some(dimension) => Ty::Real(dimension),
                None => Ty::Unknown,
            },
            ExprKind::Not(a) => {
                self.truth(a, types);
                Ty::Bool
            }
            ExprKind::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs, expr.span, types),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.truth(cond, types);
                self.branches(then, otherwise, expr.span, types)
            }
            ExprKind::Builtin { function, args } => self.builtin(*function, args, expr.span, types),
            ExprKind::Call { function, args } => self.call(*function, args, expr.span, types),
        }
    }

    fn name(&self, name: Ref, types: Types<'_>) -> Ty {
        match name {
            Ref::Const(i) => self.model.consts[i].ty,
            Ref::Pi | Ref::FanIn | Ref::FanOut | Ref::Spike(_) => Ty::Real(Dimension::NONE),
            Ref::Noise(_) => Ty::Real(Dimension::white_noise()),
            Ref::Formal(_) | Ref::Let(_) | Ref::Param(_) | Ref::Port(_) | Ref::State(_) => {
                types(name)
            }
        }
    }

    /// The dimension, `None` when unknown.
    fn number(&mut self, expr: &Expr, types: Types<'_>) -> Option<Dimension> {
        match self.infer(expr, types) {
            Ty::Real(dimension) => Some(dimension),
            Ty::Unknown => None,
            Ty::Bool => {
                let message = "expected a number, found a truth value";
                let finding = Diagnostic::new(Code::E0301, expr.span, message)
                    .help("write `if … { 1 } else { 0 }`");
                self.findings.push(finding);
                None
            }
        }
    }

    fn truth(&mut self, expr: &Expr, types: Types<'_>) {
        match self.infer(expr, types) {
            Ty::Bool | Ty::Unknown => {}
            Ty::Real(_) => {
                let message = "expected a truth value, found a number";
                let finding = Diagnostic::new(Code::E0301, expr.span, message)
                    .help("compare it, as in `… > 0`");
                self.findings.push(finding);
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, lhs: &Expr, rhs: &Expr, span: Span, types: Types<'_>) -> Ty {
        match op {
            BinaryOp::Add | BinaryOp::Sub => self.alike(op, lhs, rhs, span, types),
            BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::Eq
            | BinaryOp::Ne => {
                self.alike(op, lhs, rhs, span, types);
                Ty::Bool
            }
            BinaryOp::Mul | BinaryOp::Div => {
                let (a, b) = (self.number(lhs, types), self.number(rhs, types));
                let (Some(a), Some(b)) = (a, b) else {
                    return Ty::Unknown;
                };
                let result = if op == BinaryOp::Mul {
                    a.times(b)
                } else {
                    a.over(b)
                };
                self.in_range(result, span)
            }
            BinaryOp::Pow => self.power(lhs, rhs, span, types),
            BinaryOp::And | BinaryOp::Or => {
                self.truth(lhs, types);
                self.truth(rhs, types);
                Ty::Bool
            }
        }
    }

    fn in_range(&mut self, dimension: Option<Dimension>, span: Span) -> Ty {
        match dimension {
            Some(dimension) => Ty::Real(dimension),
            None => {
                let message = "the exponents of this unit are out of range";
                self.findings
                    .push(Diagnostic::new(Code::E0307, span, message));
                Ty::Unknown
            }
        }
    }

    /// Both sides must have the same unit.
    fn alike(&mut self, op: BinaryOp, lhs: &Expr, rhs: &Expr, span: Span, types: Types<'_>) -> Ty {
        let (a, b) = (self.number(lhs, types), self.number(rhs, types));
        match (a, b) {
            (Some(a), Some(b)) if a == b => Ty::Real(a),
            (Some(a), Some(b)) => {
                let verb = match op {
                    BinaryOp::Add => "add",
                    BinaryOp::Sub => "subtract",
                    BinaryOp::Mul
                    | BinaryOp::Div
                    | BinaryOp::Pow
                    | BinaryOp::Lt
                    | BinaryOp::Le
                    | BinaryOp::Gt
                    | BinaryOp::Ge
                    | BinaryOp::Eq
                    | BinaryOp::Ne
                    | BinaryOp::And
                    | BinaryOp::Or => "compare",
                };
                let noise = [lhs, rhs].into_iter().find(|e| has_noise(e));
                let finding = match noise {
                    Some(noise) => noise_mismatch(noise, a, b, std::ptr::eq(noise, lhs)),
                    None => self.mismatch(verb, (lhs, a), (rhs, b), span),
                };
                self.findings.push(finding);
                Ty::Unknown
            }
            (Some(_), None) | (None, Some(_)) | (None, None) => Ty::Unknown,
        }
    }

    fn mismatch(
        &self,
        verb: &str,
        (lhs, a): (&Expr, Dimension),
        (rhs, b): (&Expr, Dimension),
        span: Span,
    ) -> Diagnostic {
        let message = format!(
            "cannot {verb} {} and {}",
            self.shown(lhs, a),
            self.shown(rhs, b)
        );
        let finding = Diagnostic::new(Code::E0301, rhs.span, message)
            .label(format!("this is {}", words(b)))
            .secondary(lhs.span, format!("this is {}", words(a)));
        let _ = span;
        // A bare number beside a quantity most often lacks its unit.
        let bare = [(lhs, a, b), (rhs, b, a)]
            .into_iter()
            .find(|(e, own, _)| is_bare_number(e) && own.is_none());
        match bare {
            Some((e, _, other)) => {
                let (unit, _) = print::shown(other);
                let unit = literal_unit(&unit);
                finding.help_edit(
                    "give the number its unit",
                    e.span.after(),
                    format!(" {unit}"),
                )
            }
            None => finding,
        }
    }

    fn shown(&self, expr: &Expr, dimension: Dimension) -> String {
        let name = match expr.kind {
            ExprKind::Ref(name) => (self.name_of)(name),
            ExprKind::Error
            | ExprKind::Number { .. }
            | ExprKind::Bool(_)
            | ExprKind::Neg(_)
            | ExprKind::Not(_)
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Builtin { .. }
            | ExprKind::Call { .. } => None,
        };
        match name {
            Some(name) => format!("{} (`{name}`)", words(dimension)),
            None => words(dimension),
        }
    }

    fn branches(&mut self, then: &Expr, otherwise: &Expr, span: Span, types: Types<'_>) -> Ty {
        let (a, b) = (self.infer(then, types), self.infer(otherwise, types));
        match (a, b) {
            (Ty::Unknown, _) | (_, Ty::Unknown) => Ty::Unknown,
            (a, b) if a == b => a,
            (a, b) => {
                let kind = |ty: Ty| match ty {
                    Ty::Real(dimension) => words(dimension),
                    Ty::Bool | Ty::Unknown => "a truth value".to_string(),
                };
                let message = format!(
                    "the `if` gives {} in one branch and {} in the other",
                    kind(a),
                    kind(b)
                );
                let _ = span;
                self.findings.push(
                    Diagnostic::new(Code::E0309, otherwise.span, message)
                        .label(format!("this is {}", kind(b)))
                        .secondary(then.span, format!("this is {}", kind(a))),
                );
                Ty::Unknown
            }
        }
    }

    fn power(&mut self, base: &Expr, exponent: &Expr, span: Span, types: Types<'_>) -> Ty {
        let (a, b) = (self.number(base, types), self.number(exponent, types));
        if let Some(b) = b
            && !b.is_none()
        {
            let message = format!("an exponent must be a plain number, found {}", words(b));
            self.findings
                .push(Diagnostic::new(Code::E0303, exponent.span, message));
            return Ty::Unknown;
        }
        let Some(a) = a else {
            return Ty::Unknown;
        };
        if a.is_none() {
            return Ty::Real(a);
        }
        let nothing = |_: Ref| None;
        let value = eval::Env::new(self.model, None, &nothing).number(exponent);
        let Some(power) = value.ok().and_then(Exponent::from_f64) else {
            let message = format!(
                "a value in {} needs a constant, rational exponent: its unit would not be fixed",
                words(a)
            );
            self.findings.push(
                Diagnostic::new(Code::E0307, exponent.span, message)
                    .label("not a constant fraction")
                    .secondary(base.span, format!("this is {}", words(a))),
            );
            return Ty::Unknown;
        };
        self.in_range(a.power(power), span)
    }

    fn builtin(&mut self, function: Builtin, args: &[Expr], span: Span, types: Types<'_>) -> Ty {
        if function == Builtin::Detach {
            return self.infer(&args[0], types);
        }
        match function.unit_rule() {
            UnitRule::Plain => {
                let mut known = true;
                for arg in args {
                    match self.number(arg, types) {
                        Some(dimension) if dimension.is_none() => {}
                        Some(dimension) => {
                            let finding = self.dimensional(function, arg, dimension);
                            self.findings.push(finding);
                            known = false;
                        }
                        None => known = false,
                    }
                }
                let _ = known;
                // The result is a plain number whatever the argument should have been.
                Ty::Real(Dimension::NONE)
            }
            UnitRule::Forget => {
                for arg in args {
                    self.number(arg, types);
                }
                Ty::Real(Dimension::NONE)
            }
            UnitRule::Root => {
                let half = Exponent::new(1, 2).expect("a small fraction");
                match self.number(&args[0], types) {
                    Some(dimension) => self.in_range(dimension.power(half), span),
                    None => Ty::Unknown,
                }
            }
            UnitRule::Same => {
                let mut result = self.number(&args[0], types);
                for arg in &args[1..] {
                    match (result, self.number(arg, types)) {
                        (Some(a), Some(b)) if a != b => {
                            let finding = self.mismatch("compare", (&args[0], a), (arg, b), span);
                            self.findings.push(finding);
                            result = None;
                        }
                        (a, b) => result = a.or(b),
                    }
                }
                result.map_or(Ty::Unknown, Ty::Real)
            }
        }
    }

    fn dimensional(&self, function: Builtin, arg: &Expr, dimension: Dimension) -> Diagnostic {
        let name = function.name();
        let message = format!("`{name}` needs a plain number, got {}", words(dimension));
        Diagnostic::new(Code::E0303, arg.span, message)
            .label(format!("this is {}", words(dimension)))
            .help(format!("divide by a scale in {}", words(dimension)))
    }

    fn call(&mut self, function: usize, args: &[Expr], span: Span, types: Types<'_>) -> Ty {
        let tys: Vec<Ty> = args.iter().map(|a| self.infer(a, types)).collect();
        if tys.contains(&Ty::Unknown) {
            return Ty::Unknown;
        }
        let key = (function, tys.clone());
        if let Some(&ty) = self.calls.get(&key) {
            return ty;
        }
        let callee = &self.model.functions[function];
        let formals = |name: Ref| {
            let ty = name.as_formal().and_then(|i| tys.get(i).copied());
            ty.unwrap_or(Ty::Unknown)
        };
        let formal_name = |name: Ref| {
            let formal = callee.formals.get(name.as_formal()?);
            formal.map(|f| f.name.text.clone())
        };
        let mut inner = Inference {
            model: self.model,
            name_of: &formal_name,
            findings: Vec::new(),
            calls: std::mem::take(&mut self.calls),
        };
        let ty = inner.infer(&callee.body, &formals);
        inner.derivatives(callee, ty, &tys, &formals);
        self.calls = inner.calls;
        self.calls.insert(key, ty);
        if let Some(first) = inner.findings.into_iter().next() {
            let name = &callee.name.text;
            let message = format!("in `{name}` with these units: {}", first.message);
            self.findings.push(
                Diagnostic::new(first.code, span, message)
                    .label("called here")
                    .secondary(first.primary.span, first.primary.text),
            );
        }
        ty
    }
}

impl Inference<'_> {
    /// The derivatives that a function declares have the unit of its value per unit of the argument.
    fn derivatives(&mut self, callee: &Function, value: Ty, args: &[Ty], formals: Types<'_>) {
        let parts = callee.derivative.iter().flatten();
        for ((part, formal), arg) in parts.zip(&callee.formals).zip(args) {
            let own = self.number(part, formals);
            let (Some(own), Some(value), Some(arg)) = (own, value.dimension(), arg.dimension())
            else {
                continue;
            };
            if let Some(needed) = value.over(arg)
                && own != needed
            {
                let message = format!(
                    "the derivative by `{}` must be {}, found {}",
                    formal.name.text,
                    in_words(needed),
                    words(own)
                );
                let finding = Diagnostic::new(Code::E0301, part.span, message);
                self.findings
                    .push(finding.label(format!("this is {}", words(own))));
            }
        }
    }
}

/// Whether an expression reads a noise process itself.
fn has_noise(expr: &Expr) -> bool {
    let is_noise = |name: &Ref| matches!(name, Ref::Noise(_));
    walk::refs(expr).iter().any(is_noise)
}

fn noise_mismatch(noise: &Expr, a: Dimension, b: Dimension, left: bool) -> Diagnostic {
    let (own, needed) = if left { (a, b) } else { (b, a) };
    let message = format!(
        "the noise term is {}, but what it is added to is {}",
        words(own),
        words(needed)
    );
    let finding = Diagnostic::new(Code::E0310, noise.span, message)
        .label(format!("this is {}", words(own)))
        .note("white noise has the unit 1/ms^(1/2)");
    match needed.over(Dimension::white_noise()) {
        Some(amplitude) => finding.help(format!(
            "the factor of the noise must be in {}",
            words(amplitude)
        )),
        None => finding,
    }
}

/// `20`, `-65`: without a unit.
pub(super) fn is_bare_number(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { unit, .. } => unit.dimension.is_none(),
        ExprKind::Neg(a) => is_bare_number(a),
        ExprKind::Error
        | ExprKind::Bool(_)
        | ExprKind::Ref(_)
        | ExprKind::Not(_)
        | ExprKind::Binary { .. }
        | ExprKind::If { .. }
        | ExprKind::Builtin { .. }
        | ExprKind::Call { .. } => false,
    }
}

/// A unit as it is written after a number.
pub(super) fn literal_unit(unit: &str) -> String {
    let simple = unit.chars().all(char::is_alphabetic);
    if simple {
        unit.to_string()
    } else {
        format!("[{unit}]")
    }
}
