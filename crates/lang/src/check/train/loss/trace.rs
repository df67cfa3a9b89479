//! Traces: a state of a layer over time, or its spikes.

use crate::ast;
use crate::check::Check;
use crate::diag::{Code, did_you_mean};
use crate::model::LayerKind;
use crate::span::Span;

impl Check<'_> {
    /// `out.v` or `out`; only the latter for the function `spikes`.
    pub(super) fn trace(
        &mut self,
        expr: &ast::Expr,
        network: usize,
        spikes: Option<&str>,
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
                let names = || neuron.states.iter().map(|s| s.name.text.clone());
                let membrane = names().find(|n| matches!(n.as_str(), "v" | "V" | "u" | "mem"));
                let first = membrane.or_else(|| names().next());
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
        if let Some(callee) = spikes {
            let message = format!(
                "`{callee}` reads the spikes of a layer; `{layer_name}.{}` is a state",
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

    fn no_trace(&mut self, span: Span) -> Option<(usize, Option<usize>)> {
        let message = "a trace is `layer.state`, or `layer` for its spikes";
        self.report(Check::finding(Code::E0704, span, message));
        None
    }
}
