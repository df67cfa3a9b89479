//! Spike conditions: a comparison becomes a margin with a side that must be large and one that it
//! must reach.

use super::Check;
use super::scope::Scope;
use crate::ast::{self, BinaryOp};
use crate::diag::Code;
use crate::model::{Expr, ExprKind, Spike, Trigger};
use crate::units::Dimension;

impl Check<'_> {
    /// Resolves a spike statement.
    pub(super) fn spike(&mut self, scope: &Scope, tree: &ast::Spike) -> Spike {
        let trigger = match &tree.trigger {
            ast::Trigger::When(expr) => {
                let cond = self.resolve(scope, expr);
                self.crossing(cond)
            }
            ast::Trigger::Count(expr) => Trigger::Count(self.resolve(scope, expr)),
        };
        let payload = tree.payload.as_ref().map(|e| self.resolve(scope, e));
        let scale = tree.scale.as_ref().map(|e| self.resolve(scope, e));
        let surrogate = tree.surrogate.as_ref();
        let surrogate = surrogate.map(|call| self.surrogate_call(scope, call));
        Spike {
            name: tree.name.clone(),
            trigger,
            carries: payload.is_none().then_some(Dimension::NONE),
            payload,
            scale,
            surrogate,
            span: tree.span,
        }
    }

    /// The condition as a margin: one comparison of two numbers.
    fn crossing(&mut self, cond: Expr) -> Trigger {
        let span = cond.span;
        let (above, below, strict) = match cond.kind {
            ExprKind::Binary {
                op: BinaryOp::Ge,
                lhs,
                rhs,
            } => (*lhs, *rhs, false),
            ExprKind::Binary {
                op: BinaryOp::Gt,
                lhs,
                rhs,
            } => (*lhs, *rhs, true),
            ExprKind::Binary {
                op: BinaryOp::Le,
                lhs,
                rhs,
            } => (*rhs, *lhs, false),
            ExprKind::Binary {
                op: BinaryOp::Lt,
                lhs,
                rhs,
            } => (*rhs, *lhs, true),
            ExprKind::Error => return Trigger::Invalid(span),
            ExprKind::Number { .. }
            | ExprKind::Bool(_)
            | ExprKind::Ref(_)
            | ExprKind::Neg(_)
            | ExprKind::Not(_)
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Builtin { .. }
            | ExprKind::Call { .. } => {
                let message =
                    "a spike condition must be one comparison: its two sides give the margin";
                self.report(
                    Check::finding(Code::E0404, span, message)
                        .help("write it as `v >= v_th`; put other conditions into the threshold"),
                );
                return Trigger::Invalid(span);
            }
        };
        Trigger::Crossing {
            above,
            below,
            strict,
            span,
        }
    }
}
