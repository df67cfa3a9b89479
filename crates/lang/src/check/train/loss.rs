//! The loss: a trace of a layer, reduced over time, against the label.

use crate::ast;
use crate::check::Check;
use crate::check::scope::Scope;
use crate::check::units::words;
use crate::diag::{Code, did_you_mean};
use crate::model::{Expr, ExprKind, LayerKind, Loss, Reduction, SettingValue, Ty};
use crate::span::Span;

/// What reduces a trace over time.
const REDUCTIONS: &[(&str, Reduction)] = &[
    ("max_over_time", Reduction::Max),
    ("sum_over_time", Reduction::Sum),
    ("mean_over_time", Reduction::Mean),
    ("last_step", Reduction::Last),
];

impl Check<'_> {
    /// `cross_entropy(max_over_time(out.v), label)`
    pub(super) fn loss_setting(
        &mut self,
        scope: &Scope,
        value: &ast::Expr,
        network: Option<usize>,
    ) -> SettingValue {
        let ast::ExprKind::Call { callee, args } = &value.kind else {
            let message = "`loss` is a call, as in `cross_entropy(max_over_time(out.v), label)`";
            self.report(Check::finding(Code::E0704, value.span, message));
            return SettingValue::Invalid;
        };
        if callee.text != "cross_entropy" {
            let message = format!("there is no loss `{}`", callee.text);
            let finding = Check::finding(Code::E0704, callee.span, message);
            self.report(match did_you_mean(&callee.text, ["cross_entropy"]) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), callee.span, near)
                }
                None => finding.help("there is: cross_entropy"),
            });
            return SettingValue::Invalid;
        }
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &[("logits", true), ("target", true)]);
        if self.diagnostics.len() > before {
            return SettingValue::Invalid;
        }
        if let Some(target) = arranged[1]
            && !matches!(&target.kind, ast::ExprKind::Name(name) if name == "label")
        {
            let message = "the target of `cross_entropy` is `label`";
            self.report(Check::finding(Code::E0704, target.span, message).help_edit(
                "the class of a sample is",
                target.span,
                "label",
            ));
        }
        let (Some(logits), Some(network)) = (arranged[0], network) else {
            return SettingValue::Invalid;
        };
        match self.readout(scope, logits, network) {
            Some(loss) => SettingValue::Loss(loss),
            None => SettingValue::Invalid,
        }
    }

    /// `max_over_time(out.v)`, optionally times a number.
    pub(super) fn readout(
        &mut self,
        scope: &Scope,
        expr: &ast::Expr,
        network: usize,
    ) -> Option<Loss> {
        if let ast::ExprKind::Binary { op, lhs, rhs, .. } = &expr.kind
            && matches!(op, ast::BinaryOp::Mul | ast::BinaryOp::Div)
        {
            let is_call = |e: &ast::Expr| matches!(&e.kind, ast::ExprKind::Call { callee, .. } if is_reduction(&callee.text));
            let factor_first = *op == ast::BinaryOp::Mul && !is_call(lhs);
            let (inner, factor) = if factor_first { (rhs, lhs) } else { (lhs, rhs) };
            let mut loss = self.readout(scope, inner, network)?;
            let factor = self.resolve(scope, factor);
            let ty = self.infer(scope, &factor, &|_| Ty::Unknown);
            if let Some(found) = self.expect_number(ty, &factor)
                && !found.is_none()
            {
                let message = format!(
                    "a factor on logits is a plain number, found {}",
                    words(found)
                );
                self.report(Check::finding(Code::E0306, factor.span, message));
            }
            loss.scale = Some(scaled(loss.scale, factor, *op));
            return Some(loss);
        }
        let ast::ExprKind::Call { callee, args } = &expr.kind else {
            return self.no_reduction(expr.span);
        };
        let reduction = REDUCTIONS.iter().find(|(n, _)| *n == callee.text);
        let reduction = match reduction {
            Some(&(_, reduction)) => reduction,
            None if callee.text == "spike_count" => Reduction::Sum,
            None => return self.no_reduction(callee.span),
        };
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &[("trace", true)]);
        if self.diagnostics.len() > before {
            return None;
        }
        let trace = arranged[0]?;
        let (layer, state) = self.trace(trace, network, callee.text == "spike_count")?;
        Some(Loss {
            layer,
            state,
            reduction,
            scale: None,
            span: expr.span,
        })
    }

    pub(super) fn no_reduction(&mut self, span: Span) -> Option<Loss> {
        let names: Vec<&str> = REDUCTIONS.iter().map(|(n, _)| *n).collect();
        let message = "logits are a trace of the readout, reduced over time";
        self.report(
            Check::finding(Code::E0704, span, message)
                .help(format!("use one of: {}, spike_count", names.join(", "))),
        );
        None
    }

    /// `out.v` or `out`
    pub(super) fn trace(
        &mut self,
        expr: &ast::Expr,
        network: usize,
        spikes: bool,
    ) -> Option<(usize, Option<usize>)> {
        let Some(path) = expr.path() else {
            return self.no_trace(expr.span);
        };
        let network = &self.model.networks[network];
        let texts: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
        // Without such a layer the first name is the one that is looked at.
        let found = network.layer_of_path(&texts);
        let taken = found.map_or(1, |(_, taken)| taken);
        let layer_name = texts[..taken].join(".");
        let layer_name = layer_name.as_str();
        let place = path[0].span.to(path[taken - 1].span);
        let state = path.get(taken);
        let Some((layer, _)) = found else {
            if network.broken {
                return None;
            }
            let names: Vec<&str> = network
                .layers
                .iter()
                .map(|l| l.name.text.as_str())
                .collect();
            let message = format!(
                "network `{}` has no layer `{layer_name}`",
                network.name.text
            );
            let finding = Check::finding(Code::E0603, place, message);
            let finding = match did_you_mean(layer_name, names.iter().copied()) {
                Some(near) => finding.help_edit(format!("did you mean `{near}`?"), place, near),
                None => finding.help(format!("there are: {}", names.join(", "))),
            };
            self.report(finding);
            return None;
        };
        let LayerKind::Neuron(n) = network.layers[layer].kind else {
            return None;
        };
        if path.len() > taken + 1 {
            return self.no_trace(expr.span);
        }
        let neuron = &self.model.neurons[n];
        let Some(state) = state else {
            if neuron.spikes.is_empty() && !neuron.broken {
                let message = format!("`{layer_name}` never spikes");
                let first = neuron.states.first().map(|s| s.name.text.clone());
                let finding = Check::finding(Code::E0605, place, message)
                    .note(format!("`{}` has no `spike when …`", neuron.name.text));
                let finding = match first {
                    Some(state) => {
                        finding.help_edit("read a state", place.after(), format!(".{state}"))
                    }
                    None => finding,
                };
                self.report(finding);
                return None;
            }
            return Some((layer, None));
        };
        if spikes {
            let message = format!(
                "`spike_count` counts the spikes of a layer; `{layer_name}.{}` is a state",
                state.text
            );
            self.report(Check::finding(Code::E0605, expr.span, message));
            return None;
        }
        let Some(index) = neuron.state(&state.text) else {
            if neuron.broken {
                return None;
            }
            let names: Vec<&str> = neuron.states.iter().map(|s| s.name.text.as_str()).collect();
            let message = format!(
                "`{}` has no state `{}`; it has {}",
                neuron.name.text,
                state.text,
                names.join(", ")
            );
            let finding = Check::finding(Code::E0603, state.span, message);
            let finding = match did_you_mean(&state.text, names.iter().copied()) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), state.span, near)
                }
                None => finding,
            };
            self.report(finding);
            return None;
        };
        Some((layer, Some(index)))
    }

    pub(super) fn no_trace(&mut self, span: Span) -> Option<(usize, Option<usize>)> {
        let message = "a trace is `layer.state`, or `layer` for its spikes";
        self.report(Check::finding(Code::E0704, span, message));
        None
    }
}

fn is_reduction(name: &str) -> bool {
    name == "spike_count" || REDUCTIONS.iter().any(|(n, _)| *n == name)
}

/// A factor times, or divided into, an earlier one.
fn scaled(before: Option<Expr>, factor: Expr, op: ast::BinaryOp) -> Expr {
    let span = factor.span;
    let one = Expr {
        kind: ExprKind::Number {
            value: 1.0,
            unit: crate::units::Unit::ONE,
        },
        span,
    };
    Expr {
        kind: ExprKind::Binary {
            op,
            lhs: Box::new(before.unwrap_or(one)),
            rhs: Box::new(factor),
        },
        span,
    }
}
