//! `map = f`: functions that weights go through before they are used.
//!
//! The first parameter of the function is the weight; a second one with the name [`BEFORE`] is what the function gave
//! before. The others get their values in the call, as those of a surrogate do.

use super::Check;
use super::flow::flat_calls;
use super::items::ItemRef;
use super::network::Units;
use super::scope::Scope;
use super::units::{Types, as_words, in_words, words};
use crate::ast::{self, Name};
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::model::builtin::Builtin;
use crate::model::{Argument, Connection, Expr, ExprKind, Network, Ref, Ty, walk};

/// The name of the parameter that is the mapped weight before.
const BEFORE: &str = "previous";

impl Check<'_> {
    /// The function of a `map`.
    pub(super) fn weight_map(
        &mut self,
        scope: &Scope,
        expr: &ast::Expr,
        types: Types<'_>,
        (units, target): (Units, &ast::Path),
    ) -> Argument {
        let Some((callee, given)) = callee(expr) else {
            let message = "`map` is a function of the weight: `map = f`, or `map = f(k = 2)`";
            self.report(Check::finding(Code::E0306, expr.span, message));
            return Argument::Invalid;
        };
        let Some(ItemRef::Fn(function)) = self.items.find(&callee.text, callee.span) else {
            self.no_map(&callee);
            return Argument::Invalid;
        };
        let formals = self.model.functions[function].formals.clone();
        let own = 1 + usize::from(formals.get(1).is_some_and(|f| f.name.text == BEFORE));
        if formals.is_empty() {
            let message = format!(
                "`{}` has no parameter that could be the weight",
                callee.text
            );
            let finding = Check::finding(Code::E0210, callee.span, message);
            self.report(
                finding.help("its first parameter is the weight, as in `fn f(w) = tanh(w)`"),
            );
            return Argument::Invalid;
        }
        let Some(settings) = self.resolve_args(scope, &callee, given, &formals[own..]) else {
            return Argument::Invalid;
        };
        let port = |i: usize| Expr {
            kind: ExprKind::Ref(Ref::Port(i)),
            span: callee.span,
        };
        let args = (0..own).map(port).chain(settings).collect();
        let call = Expr {
            kind: ExprKind::Call { function, args },
            span: expr.span,
        };
        self.map_unit((scope, types), &call, &callee, (units, target));
        Argument::Map(call)
    }

    /// What comes out must be a weight again.
    fn map_unit(
        &mut self,
        (scope, types): (&Scope, Types<'_>),
        call: &Expr,
        callee: &Name,
        (units, target): (Units, &ast::Path),
    ) {
        let types = |name: Ref| match name.as_port() {
            Some(_) => units.weight.map_or(Ty::Unknown, Ty::Real),
            None => types(name),
        };
        let before = self.diagnostics.len();
        let ty = self.infer(scope, call, &types);
        if self.diagnostics.len() > before {
            return;
        }
        let found = self.expect_number(ty, call);
        let (Some(found), Some(needed)) = (found, units.weight) else {
            return;
        };
        if found != needed {
            let message = format!(
                "`{}` must give weights {}, but it gives {}",
                callee.text,
                as_words(needed),
                words(found)
            );
            let finding = Check::finding(Code::E0308, call.span, message)
                .label(format!("this is {}", words(found)));
            self.report(match units.port == Some(needed) {
                true => {
                    finding.secondary(target.span, format!("this port is {}", in_words(needed)))
                }
                false => finding,
            });
        }
    }

    fn no_map(&mut self, callee: &Name) {
        let name = &callee.text;
        if self.items.excused(name) {
            return;
        }
        let names = self.items.names_of(|item| matches!(item, ItemRef::Fn(_)));
        if Builtin::find(name).is_some() {
            let message = format!("`{name}` is built in; a map is a function of the program");
            let finding = Check::finding(Code::E0201, callee.span, message);
            self.report(finding.help(format!(
                "define one: `fn {name}_of(w) = {name}(w)`, and write `map = {name}_of`"
            )));
            return;
        }
        let message = match self.items.find(name, callee.span) {
            Some(item) => format!("`{name}` is {}, not a function", item.words()),
            None => format!("there is no function `{name}`"),
        };
        let finding = Check::finding(Code::E0201, callee.span, message);
        self.report(match did_you_mean(name, names.iter().copied()) {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), callee.span, near),
            None => {
                finding.help("define it: `fn f(w) derivative [1] = …`, or import `std/weights.snn`")
            }
        });
    }

    /// E0403: a map through which no gradient passes, of weights that are trained.
    pub(super) fn maps_differentiable(&mut self, network: &Network) {
        let trained = network
            .connections
            .iter()
            .filter(|c| !c.frozen && c.tied.is_none());
        let findings: Vec<Diagnostic> = trained
            .flat_map(maps)
            .filter_map(|m| self.flat_map(m))
            .collect();
        self.diagnostics.extend(findings);
    }

    fn flat_map(&self, call: &Expr) -> Option<Diagnostic> {
        let ExprKind::Call { function, .. } = call.kind else {
            return None;
        };
        let function = &self.model.functions[function];
        if function.derivative.is_some() {
            return None;
        }
        let is_weight = |name: &Ref| *name == Ref::Formal(0);
        let mut flat = None;
        flat_calls(&function.body, &mut |part, builtin| {
            if walk::refs(part).iter().any(is_weight) {
                flat = flat.or(Some((part.span, builtin.name())));
            }
        });
        let passes = walk::differentiable_refs(&function.body)
            .iter()
            .any(is_weight);
        let name = &function.name.text;
        let (span, message) = match flat {
            Some((span, builtin)) => (
                span,
                format!(
                    "`{builtin}` has derivative 0: no gradient of these weights passes, and nothing says that it should"
                ),
            ),
            None if !passes => (
                function.body.span,
                format!(
                    "`{name}` has derivative 0 wherever it has one: these weights cannot be trained"
                ),
            ),
            None => return None,
        };
        let finding = Check::finding(Code::E0403, call.span, message)
            .secondary(span, "here")
            .help(format!(
                "say which derivative to use: `fn {name}(…) derivative [1] = …` passes the gradient on as it is"
            ));
        Some(finding)
    }
}

/// The maps of a connection.
fn maps(connection: &Connection) -> impl Iterator<Item = &Expr> {
    let args = connection
        .ops
        .iter()
        .flat_map(|op| op.args.iter().flatten());
    args.filter_map(|arg| match arg {
        Argument::Map(call) => Some(call),
        Argument::Number(_)
        | Argument::Start(_)
        | Argument::Bounds(_)
        | Argument::Flag(_)
        | Argument::Invalid => None,
    })
}

/// `f` or `f(k = 2)`
fn callee(expr: &ast::Expr) -> Option<(Name, &[ast::Arg])> {
    match &expr.kind {
        ast::ExprKind::Name(name) => Some((
            Name {
                text: name.clone(),
                span: expr.span,
            },
            &[],
        )),
        ast::ExprKind::Call { callee, args } => Some((callee.clone(), args)),
        ast::ExprKind::Number(_)
        | ast::ExprKind::Quantity { .. }
        | ast::ExprKind::Bool(_)
        | ast::ExprKind::Str(_)
        | ast::ExprKind::Field { .. }
        | ast::ExprKind::List(_)
        | ast::ExprKind::Range { .. }
        | ast::ExprKind::Unary { .. }
        | ast::ExprKind::Binary { .. }
        | ast::ExprKind::If { .. } => None,
    }
}
