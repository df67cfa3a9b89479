//! Functions of the program in a loss: `fn hinge(x) = max(0, 1 - x)` in `mean(hinge(out.v))`. The formula is
//! written out with terms in place of the formals, so everything that holds for terms holds inside it. Numbers stay
//! expressions: they can be exponents.

use super::Place;
use crate::ast::{self, BinaryOp};
use crate::check::Check;
use crate::diag::{Code, Diagnostic};
use crate::model::objective::{Of, Shape, Term, TermKind};
use crate::model::{Expr, ExprKind, Ref, Ty, walk};
use crate::span::Span;

/// The most terms that a formula may become.
const MOST_TERMS: usize = 1000;

/// A call that is being written out.
struct Writing<'a> {
    /// The function as it is called in the loss.
    name: &'a str,
    /// The call in the loss.
    span: Span,
    /// How many more terms it may become.
    left: usize,
}

impl Check<'_> {
    /// A call of a function of the program on terms.
    pub(super) fn formula(
        &mut self,
        place: Place<'_>,
        function: usize,
        callee: &ast::Name,
        args: &[ast::Arg],
        span: Span,
    ) -> Option<Term> {
        let formals = self.model.functions[function].formals.clone();
        let names: Vec<(&str, bool)> = formals
            .iter()
            .map(|f| (f.name.text.as_str(), f.default.is_none()))
            .collect();
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &names);
        if self.diagnostics.len() > before {
            return None;
        }
        let mut terms = Vec::new();
        for (given, formal) in arranged.into_iter().zip(&formals) {
            terms.push(match (given, &formal.default) {
                (Some(expr), _) => self.term(place, expr)?,
                (None, Some(default)) => self.closed(place, default.clone())?,
                (None, None) => return None,
            });
        }
        let mut writing = Writing {
            name: &callee.text,
            span,
            left: MOST_TERMS,
        };
        let before = self.diagnostics.len();
        let written = self.body(place, function, &terms, &mut writing);
        // What is wrong in the formula is wrong for these arguments only.
        for finding in &mut self.diagnostics[before..] {
            let note = format!(
                "`{}` is written out here: a loss is made of terms",
                callee.text
            );
            if finding.notes.is_empty() && finding.secondary.is_empty() {
                finding.notes.push(note);
            }
        }
        written
    }

    /// The formula of a function on terms.
    fn body(
        &mut self,
        place: Place<'_>,
        function: usize,
        args: &[Term],
        writing: &mut Writing<'_>,
    ) -> Option<Term> {
        let called = &self.model.functions[function];
        if called.derivative.is_some() {
            let message = format!(
                "`{}` has a derivative of its own, which a loss cannot use",
                called.name.text
            );
            let (name, place) = (called.name.text.clone(), called.name.span);
            self.report(
                Check::finding(Code::E0704, writing.span, message)
                    .secondary(place, "defined here")
                    .help(format!(
                        "apply `{name}` in the neuron, to a state of its own, and read that state here"
                    )),
            );
            return None;
        }
        let formula = called.body.clone();
        self.written(place, &formula, args, writing)
    }

    /// An expression of a formula with terms in place of its formals.
    fn written(
        &mut self,
        place: Place<'_>,
        expr: &Expr,
        args: &[Term],
        writing: &mut Writing<'_>,
    ) -> Option<Term> {
        if let Some(number) = with_numbers(expr, args) {
            self.spend(1, writing)?;
            return self.closed(place, number);
        }
        let span = writing.span;
        match &expr.kind {
            ExprKind::Ref(Ref::Formal(formal)) => {
                let term = args.get(*formal)?;
                self.spend(term.all().len(), writing)?;
                Some(term.clone())
            }
            ExprKind::Neg(operand) => {
                let of = self.written(place, operand, args, writing)?;
                self.spend(1, writing)?;
                Some(Term {
                    shape: of.shape,
                    of: of.of,
                    dimension: of.dimension,
                    kind: TermKind::Neg(Box::new(of)),
                    span,
                })
            }
            ExprKind::Binary {
                op: BinaryOp::Pow,
                lhs,
                rhs,
            } => {
                let base = self.written(place, lhs, args, writing)?;
                let Some(exponent) = with_numbers(rhs, args) else {
                    let message = "the exponent in a loss is a constant";
                    self.report(Check::finding(Code::E0307, span, message));
                    return None;
                };
                let exponent = self.closed(place, exponent)?;
                self.spend(1, writing)?;
                self.power_of(base, exponent, span)
            }
            ExprKind::Binary { op, lhs, rhs } => {
                let arithmetic = self.arithmetic(*op, span)?;
                let a = self.written(place, lhs, args, writing)?;
                let b = self.written(place, rhs, args, writing)?;
                self.spend(1, writing)?;
                self.arithmetic_term(arithmetic, a, b, span)
            }
            ExprKind::Builtin { function, args: of } => {
                let terms = self.all_written(place, of, args, writing)?;
                self.spend(1, writing)?;
                self.builtin_term(*function, terms, span)
            }
            ExprKind::Call { function, args: of } => {
                let terms = self.all_written(place, of, args, writing)?;
                self.body(place, *function, &terms, writing)
            }
            ExprKind::If { .. } | ExprKind::Not(_) => {
                let message = format!("`{}` chooses with `if`, which a loss cannot", writing.name);
                self.report(
                    Check::finding(Code::E0704, span, message)
                        .secondary(expr.span, "this choice")
                        .help("`max(a, b)`, `min(a, b)`, `relu(x)` and `clamp(x, lo, hi)` choose, too"),
                );
                None
            }
            ExprKind::Ref(_) | ExprKind::Number { .. } | ExprKind::Bool(_) | ExprKind::Error => {
                None
            }
        }
    }

    fn all_written(
        &mut self,
        place: Place<'_>,
        exprs: &[Expr],
        args: &[Term],
        writing: &mut Writing<'_>,
    ) -> Option<Vec<Term>> {
        let mut terms = Vec::new();
        for expr in exprs {
            terms.push(self.written(place, expr, args, writing)?);
        }
        Some(terms)
    }

    /// E0211 if a formula becomes too long.
    fn spend(&mut self, terms: usize, writing: &mut Writing<'_>) -> Option<()> {
        if let Some(left) = writing.left.checked_sub(terms) {
            writing.left = left;
            return Some(());
        }
        let message = format!(
            "written out, `{}` has more than {MOST_TERMS} terms here",
            writing.name
        );
        let finding: Diagnostic = Check::finding(Code::E0211, writing.span, message);
        self.report(
            finding.help("give its parts to fewer functions, or read a state that has the value"),
        );
        None
    }

    /// A number that reads no formal.
    fn closed(&mut self, place: Place<'_>, expr: Expr) -> Option<Term> {
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
}

/// The expression with numbers in place of its formals; `None` if one of them is more than a number.
fn with_numbers(expr: &Expr, args: &[Term]) -> Option<Expr> {
    let number = |formal: usize| match &args.get(formal)?.kind {
        TermKind::Number(number) => Some(number),
        TermKind::Trace { .. }
        | TermKind::Parameter { .. }
        | TermKind::Weights { .. }
        | TermKind::Target
        | TermKind::OneHot { .. }
        | TermKind::Reduced(..)
        | TermKind::EveryStep(_)
        | TermKind::Filtered { .. }
        | TermKind::BatchMean(_)
        | TermKind::Sum(_)
        | TermKind::Mean(_)
        | TermKind::CrossEntropy { .. }
        | TermKind::Mse(..)
        | TermKind::VanRossum { .. }
        | TermKind::Function(..)
        | TermKind::Neg(_)
        | TermKind::Arithmetic(..)
        | TermKind::Power(..) => None,
    };
    let formals = walk::refs(expr).into_iter().filter_map(Ref::as_formal);
    for formal in formals {
        number(formal)?;
    }
    let mut expr = expr.clone();
    walk::replace(&mut expr, &|name| {
        Some(number(name.as_formal()?)?.kind.clone())
    });
    Some(expr)
}
