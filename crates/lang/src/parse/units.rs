//! `2 mV/ms` (E0104): a quotient of a quantity and something that was meant to be a unit.
//!
//! The grammar reads it as `(2 mV) / ms`, a division by a variable. If nothing of that name is
//! defined in the file and it looks like a unit, standing close to the sign, then brackets were
//! forgotten: that is reported here, and the tree is mended, so that checking goes on with the
//! quantity that was meant.

use std::collections::BTreeSet;

use crate::ast::{self, BinaryOp, Expr, ExprKind};
use crate::diag::{Code, Diagnostic};
use crate::units;

/// Reports and mends every forgotten pair of brackets in an expression.
pub(super) fn mend_compound_units(
    expr: &mut Expr,
    defined: &BTreeSet<String>,
    out: &mut Vec<Diagnostic>,
) {
    each_child(expr, &mut |child| mend_compound_units(child, defined, out));
    while mend_once(expr, defined, out) {}
}

/// Merges the divisor of this division or product into the quantity on its left, if it is a unit.
fn mend_once(expr: &mut Expr, defined: &BTreeSet<String>, out: &mut Vec<Diagnostic>) -> bool {
    let ExprKind::Binary {
        op: op @ (BinaryOp::Div | BinaryOp::Mul),
        op_span,
        lhs,
        rhs,
    } = &mut expr.kind
    else {
        return false;
    };
    let Some((name, exponent)) = unit_factor(rhs) else {
        return false;
    };
    let close = op_span.end == rhs.span.start;
    if !close || units::names::find(&name.text).is_none() || defined.contains(&name.text) {
        return false;
    }
    let quantity = last_operand(lhs);
    if quantity.span.end != op_span.start {
        return false;
    }
    let whole = quantity.span.to(rhs.span);
    let ExprKind::Quantity { unit, .. } = &mut quantity.kind else {
        return false;
    };
    let sign = if *op == BinaryOp::Div { -1 } else { 1 };
    let power = match exponent {
        1 => String::new(),
        n => format!("^{n}"),
    };
    unit.text = format!("{}{}{}{power}", unit.text, op.symbol(), name.text);
    unit.factors.push(ast::UnitFactor {
        num: exponent * sign,
        den: 1,
        name,
    });
    unit.span = unit.span.to(rhs.span);
    unit.bracketed = true;
    quantity.span = whole;
    let (place, text) = (unit.span, format!("[{}]", unit.text));
    report(out, place, &text);
    let span = expr.span;
    let kind = std::mem::replace(&mut expr.kind, ExprKind::Bool(false));
    if let ExprKind::Binary { lhs, .. } = kind {
        *expr = Expr {
            kind: lhs.kind,
            span,
        };
    }
    true
}

/// A unit with three parts is mended in two steps and reported once.
fn report(out: &mut Vec<Diagnostic>, place: crate::span::Span, text: &str) {
    out.retain(|earlier| earlier.code != Code::E0104 || earlier.primary.span.start != place.start);
    out.push(
        Diagnostic::new(Code::E0104, place, "a compound unit needs brackets")
            .label("this divides by a variable")
            .note(
                "without brackets only one name can follow a number, so that `/` stays a division",
            )
            .help_edit(format!("write `{text}`"), place, text),
    );
}

/// `ms` or `ms^2`.
fn unit_factor(expr: &Expr) -> Option<(ast::Name, i32)> {
    let (base, exponent) = match power(expr) {
        Some((base, exponent)) => (base, exponent),
        None => (expr, 1),
    };
    let ExprKind::Name(text) = &base.kind else {
        return None;
    };
    let (text, span) = (text.clone(), base.span);
    Some((ast::Name { text, span }, exponent))
}

/// `base^n` with a small whole n.
fn power(expr: &Expr) -> Option<(&Expr, i32)> {
    let ExprKind::Binary { op, lhs, rhs, .. } = &expr.kind else {
        return None;
    };
    let ExprKind::Number(n) = rhs.kind else {
        return None;
    };
    let small = n.fract() == 0.0 && n < 100.0;
    (*op == BinaryOp::Pow && small).then_some((lhs, n as i32))
}

/// The operand that stands at the very right of an expression.
fn last_operand(mut expr: &mut Expr) -> &mut Expr {
    while matches!(expr.kind, ExprKind::Binary { .. } | ExprKind::Unary { .. }) {
        expr = match &mut expr.kind {
            ExprKind::Binary { rhs, .. } => rhs,
            ExprKind::Unary { operand, .. } => operand,
            ExprKind::Number(_)
            | ExprKind::Quantity { .. }
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Name(_)
            | ExprKind::Field { .. }
            | ExprKind::Call { .. }
            | ExprKind::List(_)
            | ExprKind::If { .. }
            | ExprKind::Range { .. } => unreachable!("the loop asked for one of the two above"),
        };
    }
    expr
}

fn each_child(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut expr.kind {
        ExprKind::Number(_)
        | ExprKind::Quantity { .. }
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Name(_) => {}
        ExprKind::Field { base, .. } => visit(base),
        ExprKind::Call { args, .. } => args.iter_mut().for_each(|arg| visit(&mut arg.value)),
        ExprKind::List(items) => items.iter_mut().for_each(visit),
        ExprKind::Unary { operand, .. } => visit(operand),
        ExprKind::Binary { lhs, rhs, .. } => {
            visit(lhs);
            visit(rhs);
        }
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            visit(cond);
            visit(then);
            visit(otherwise);
        }
        ExprKind::Range { lo, hi } => {
            visit(lo);
            visit(hi);
        }
    }
}
