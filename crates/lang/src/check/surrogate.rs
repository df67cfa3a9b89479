//! Surrogates: their statements, and their values at sampled margins.
//!
//! A surrogate is a function of a plain number, so it can be looked at before anything runs: it
//! must be finite, not negative unless its primitive is declared, not zero everywhere, zero outside its declared support, and
//! the derivative of its declared primitive. Each is sampled with the parameters' defaults.

use super::Check;
use super::items::{circular, duplicate, names_in};
use super::scope::Scope;
use crate::ast::{self, SurrogateStmt};
use crate::diag::Code;
use crate::model::{self, Expr, ExprKind, Let, Ref, Ty, eval, walk};
use crate::units::Dimension;

impl Check<'_> {
    /// Builds all surrogates.
    pub(super) fn surrogates(&mut self) {
        for tree in self.items.surrogates.clone() {
            let surrogate = self.surrogate(tree);
            let sound = surrogate.derivative.kind != ExprKind::Error;
            if sound && !tree.broken && !self.items.trusts(tree.span) {
                self.sample_surrogate(&surrogate);
            }
            self.model.surrogates.push(surrogate);
        }
    }

    fn surrogate(&mut self, tree: &ast::Surrogate) -> model::Surrogate {
        let place = format!("surrogate `{}`", tree.name.text);
        let mut scope = Scope::new(place, tree.broken);
        let formals = self.formals(&mut scope, &tree.formals);
        self.margin_formal(tree);
        let mut lets: Vec<&ast::Let> = Vec::new();
        let (mut derivative, mut primitive, mut support) = (None, None, None);
        for stmt in &tree.body {
            let (first, name) = match stmt {
                SurrogateStmt::Let(stmt) => {
                    lets.push(stmt);
                    continue;
                }
                SurrogateStmt::Derivative(s) => (derivative.replace(s).map(|s| s.span), &s.name),
                SurrogateStmt::Primitive(s) => (primitive.replace(s).map(|s| s.span), &s.name),
                SurrogateStmt::Support { range, span } => {
                    if let Some((_, first)) = support.replace((range, *span)) {
                        let message = "`support` is already given";
                        self.report(
                            Check::finding(Code::E0105, *span, message)
                                .secondary(first, "first given here"),
                        );
                    }
                    continue;
                }
            };
            if let Some(first) = first {
                self.report(duplicate(name, "given", Some(first)));
            }
        }
        let lets = self.lets(&mut scope, &lets);
        let mut lets_typed = Vec::new();
        for item in lets {
            self.plain(&scope, &item.value, &lets_typed);
            lets_typed.push(item);
        }
        let part = |check: &mut Self, expr: &ast::Expr| {
            let expr = check.resolve(&scope, expr);
            check.plain(&scope, &expr, &lets_typed);
            expr
        };
        let missing = Expr {
            kind: ExprKind::Error,
            span: tree.name.span,
        };
        let derivative = match derivative {
            Some(setting) => part(self, &setting.value),
            None => missing,
        };
        let primitive = primitive.map(|setting| part(self, &setting.value));
        let support = support.map(|(r, _)| (part(self, &r.lo), part(self, &r.hi)));
        let given = |s: &SurrogateStmt| matches!(s, SurrogateStmt::Derivative(_));
        if !tree.body.iter().any(given) && !tree.broken {
            let message = format!("surrogate `{}` has no derivative", tree.name.text);
            self.report(
                Check::finding(Code::E0405, tree.name.span, message)
                    .help("write `derivative = …`, a formula in the margin `u`"),
            );
        }
        model::Surrogate {
            name: tree.name.clone(),
            formals,
            lets: lets_typed,
            derivative,
            primitive,
            support,
            span: tree.span,
        }
    }

    fn margin_formal(&mut self, tree: &ast::Surrogate) {
        match tree.formals.first() {
            None => {
                let message = format!("surrogate `{}` has no margin", tree.name.text);
                self.report(
                    Check::finding(Code::E0405, tree.name.span, message)
                        .help("its first parameter is the margin, as in `f(u, beta = 10)`"),
                );
            }
            Some(first) => {
                if let Some(default) = &first.default {
                    let message = "the margin of a surrogate cannot have a default";
                    self.report(Check::finding(Code::E0405, default.span, message));
                }
            }
        }
    }

    /// All quantities of a surrogate are plain numbers.
    fn plain(&mut self, scope: &Scope, expr: &Expr, lets: &[Let]) {
        let types = |name: Ref| match name.as_let() {
            Some(i) => lets.get(i).map_or(Ty::Unknown, |l| l.ty),
            None => Ty::Real(Dimension::NONE),
        };
        let ty = self.infer(scope, expr, &types);
        if let Some(dimension) = self.expect_number(ty, expr)
            && !dimension.is_none()
        {
            let message = format!(
                "a surrogate is a plain number, found {}",
                super::units::words(dimension)
            );
            self.report(Check::finding(Code::E0303, expr.span, message));
        }
    }

    /// Declares and resolves `let`s in an order in which each reads earlier ones only.
    ///
    /// Types are left unknown, except that lets of surrogates are plain numbers.
    pub(super) fn lets(&mut self, scope: &mut Scope, trees: &[&ast::Let]) -> Vec<Let> {
        let positions: std::collections::BTreeMap<&str, usize> = trees
            .iter()
            .enumerate()
            .rev()
            .map(|(i, t)| (t.name.text.as_str(), i))
            .collect();
        let mut dependencies: Vec<Vec<usize>> = trees
            .iter()
            .map(|t| {
                let names = names_in(&t.value);
                names
                    .iter()
                    .filter_map(|n| positions.get(n).copied())
                    .collect()
            })
            .collect();
        let mut in_circle = vec![false; trees.len()];
        let order = loop {
            match walk::topological(&dependencies) {
                Ok(order) => break order,
                Err(cycle) => {
                    let names: Vec<&ast::Name> = cycle.iter().map(|&i| &trees[i].name).collect();
                    self.report(circular(&names));
                    for &i in &cycle {
                        dependencies[i].clear();
                        in_circle[i] = true;
                    }
                }
            }
        };
        for (place, &i) in order.iter().enumerate() {
            let name = &trees[i].name;
            if let Some(finding) = scope.declare(name, Ref::Let(place), "a `let`") {
                self.report(finding);
            }
        }
        let mut built = Vec::new();
        for &i in &order {
            let tree = trees[i];
            let value = if in_circle[i] {
                Expr {
                    kind: ExprKind::Error,
                    span: tree.value.span,
                }
            } else {
                self.resolve(scope, &tree.value)
            };
            built.push(Let {
                name: tree.name.clone(),
                value,
                ty: Ty::Real(Dimension::NONE),
            });
        }
        built
    }

    /// Evaluates derivative, support and primitive at sampled margins.
    fn sample_surrogate(&mut self, surrogate: &model::Surrogate) {
        let Some(shape) = default_shape(&self.model, surrogate) else {
            return;
        };
        let at = |expr: &Expr, u: f64| surrogate_value(&self.model, surrogate, &shape, expr, u);
        let derivative = &surrogate.derivative;
        let name = &surrogate.name.text;
        let mut findings = Vec::new();
        let mut largest = 0.0f64;
        for u in samples() {
            let Some(d) = at(derivative, u) else {
                return;
            };
            // A declared primitive confirms that a negative derivative is meant.
            if !d.is_finite() || (d < 0.0 && surrogate.primitive.is_none()) {
                let problem = if d.is_nan() {
                    "not a number".to_string()
                } else if d.is_infinite() {
                    "infinite".to_string()
                } else {
                    format!("negative, {d:.3}")
                };
                let message = format!("the derivative of `{name}` is {problem} at u = {u}");
                findings.push(Check::finding(Code::E0406, derivative.span, message));
                break;
            }
            largest = largest.max(d);
        }
        if findings.is_empty() && largest == 0.0 {
            let message =
                format!("the derivative of `{name}` is 0 everywhere: nothing would train");
            findings.push(Check::finding(Code::E0405, derivative.span, message));
        }
        let reads_margin = reads_formal(derivative, &surrogate.lets, 0);
        if findings.is_empty() && !reads_margin {
            // A straight-through estimator is constant on purpose, but then it has no shape either.
            if shape.len() > 1 {
                let message = format!("the derivative of `{name}` does not depend on the margin");
                findings.push(Check::finding(Code::E0405, derivative.span, message));
            }
        }
        if findings.is_empty() {
            if let Some((lo, hi)) = &surrogate.support {
                let finding = self.outside_support(surrogate, (lo, hi), &at);
                findings.extend(finding);
            }
            if let Some(primitive) = &surrogate.primitive {
                findings.extend(primitive_mismatch(surrogate, primitive, &at));
            }
        }
        for finding in findings {
            self.report(finding);
        }
    }

    fn outside_support(
        &self,
        surrogate: &model::Surrogate,
        (lo, hi): (&Expr, &Expr),
        at: &dyn Fn(&Expr, f64) -> Option<f64>,
    ) -> Option<crate::diag::Diagnostic> {
        let (low, high) = (at(lo, 0.0)?, at(hi, 0.0)?);
        let span = lo.span.to(hi.span);
        if low >= high || low.is_nan() || high.is_nan() {
            let message = format!("the support {low} .. {high} is empty");
            return Some(Check::finding(Code::E0407, span, message));
        }
        // At the ends themselves either value will do.
        let slack = 1e-9 * (high - low);
        let outside = |u: &f64| *u < low - slack || *u > high + slack;
        let width = high - low;
        let near = [0.001, 0.01, 0.1, 0.5].map(|part| part * width);
        let points = near
            .iter()
            .flat_map(|d| [low - d, high + d])
            .chain(samples().into_iter().filter(outside));
        for u in points {
            let d = at(&surrogate.derivative, u)?;
            if d.abs() > 1e-12 {
                let message = format!(
                    "the derivative of `{}` is {d:.3} at u = {u:.4}, outside its support {low} .. {high}",
                    surrogate.name.text
                );
                return Some(
                    Check::finding(Code::E0407, surrogate.derivative.span, message)
                        .secondary(span, "the support"),
                );
            }
        }
        None
    }
}

/// The central difference of the primitive against the derivative.
fn primitive_mismatch(
    surrogate: &model::Surrogate,
    primitive: &Expr,
    at: &dyn Fn(&Expr, f64) -> Option<f64>,
) -> Option<crate::diag::Diagnostic> {
    let h = 1e-5;
    for u in samples().into_iter().filter(|u| u.abs() <= 10.0) {
        // Where the derivative jumps or bends, both sides are right.
        let u = u + 0.0137;
        let d = at(&surrogate.derivative, u)?;
        let slope = (at(primitive, u + h)? - at(primitive, u - h)?) / (2.0 * h);
        let error = (slope - d).abs();
        if error > 1e-3 * (1.0 + d.abs()) || error.is_nan() {
            let message = format!(
                "d(primitive)/du is {slope:.4} at u = {u:.2}, but the derivative of `{}` is {d:.4}",
                surrogate.name.text
            );
            return Some(
                Check::finding(Code::E0408, primitive.span, message)
                    .secondary(surrogate.derivative.span, "the derivative"),
            );
        }
    }
    None
}

/// Margins at which surrogates are looked at: fine around 0, coarse far away.
fn samples() -> Vec<f64> {
    let mut points: Vec<f64> = (-100..=100).map(|i| f64::from(i) / 50.0).collect();
    for far in [3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0] {
        points.extend([-far, far]);
    }
    points
}

/// The defaults of the formals, margin first (as 0); `None` if one has no value.
fn default_shape(model: &model::Model, surrogate: &model::Surrogate) -> Option<Vec<f64>> {
    let nothing = |_: Ref| None;
    let env = eval::Env::new(model, None, &nothing);
    let mut shape = vec![0.0];
    for formal in surrogate.formals.get(1..)? {
        shape.push(env.number(formal.default.as_ref()?).ok()?);
    }
    Some(shape)
}

/// A formula of a surrogate at margin `u` with the given shape parameters (index 0 is ignored).
pub(crate) fn surrogate_value(
    model: &model::Model,
    surrogate: &model::Surrogate,
    shape: &[f64],
    expr: &Expr,
    u: f64,
) -> Option<f64> {
    let lookup = |name: Ref| match name.as_formal()? {
        0 => Some(u),
        i => shape.get(i).copied(),
    };
    let env = eval::Env::new(model, None, &lookup).with_lets(&surrogate.lets);
    env.number(expr).ok()
}

/// Whether a formula reads a formal, through lets too.
fn reads_formal(expr: &Expr, lets: &[Let], index: usize) -> bool {
    walk::deep_refs(expr, lets).contains(&Ref::Formal(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cover_both_sides_and_zero() {
        let points = samples();
        assert!(points.contains(&0.0) && points.contains(&-1000.0) && points.contains(&1000.0));
    }
}
