//! Units of what arrives where no weight stands on the way: what is sent must have the unit of the port.
//!
//! A spike is a plain number unless it carries a payload, an input is one, and a state has its own unit. With
//! weights the check of the weights sees to it; a pool, `one_to_one` or `dropout` without them passes on what it
//! gets. It is looked at in networks that are written out, because the weights of a connection to a group may
//! stand on either side of the group's input.

use super::Check;
use super::units::words;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Operation as Kind;
use crate::model::{Connection, LayerKind, Network, Operation, Source};
use crate::units::{Dimension, print};

impl Check<'_> {
    /// The dimension of what a source sends; `None` where it is unknown.
    pub(super) fn sent_dimension(&self, network: &Network, source: Source) -> Option<Dimension> {
        let neuron = |layer: usize| match network.layers[layer].kind {
            LayerKind::Neuron(n) => Some(&self.model.neurons[n]),
            LayerKind::Group(_) | LayerKind::Unknown => None,
        };
        match source {
            Source::Input(_) => Some(Dimension::NONE),
            // Of several spikes connections carry the first.
            Source::Layer(layer) => neuron(layer)?.spikes.first()?.carries,
            Source::State(layer, state) => neuron(layer)?.states[state].dimension,
            Source::Group(_) | Source::Unknown => None,
        }
    }

    /// E0308 for connections without weights to a port of another unit.
    pub(super) fn unweighted_units(&mut self, network: &Network) {
        for connection in &network.connections {
            let on_the_way = network.is_group && matches!(connection.source, Source::Input(_));
            if on_the_way || connection.tied.is_some() || !passes_on(&connection.ops) {
                continue;
            }
            // Its weights may be what is wrong; the copies of a group have one text.
            let place = connection.span;
            let mut errors = self.diagnostics.iter().filter(|d| d.is_error());
            let inside = |d: &Diagnostic| {
                let span = d.primary.span;
                place.start <= span.start && span.end <= place.end
            };
            if !errors.any(inside) {
                self.unweighted(network, connection);
            }
        }
    }

    fn unweighted(&mut self, network: &Network, connection: &Connection) {
        let sent = self.sent_dimension(network, connection.source);
        let Some(LayerKind::Neuron(n)) = connection.target.map(|to| network.layers[to].kind) else {
            return;
        };
        let Some(port) = connection.port.map(|p| &self.model.neurons[n].ports[p]) else {
            return;
        };
        let (Some(sent), Some(needed)) = (sent, port.dimension) else {
            return;
        };
        if sent == needed {
            return;
        }
        let what = match connection.source {
            Source::State(..) => "the state that is sent",
            Source::Input(_) | Source::Layer(_) | Source::Group(_) | Source::Unknown => {
                "what is sent"
            }
        };
        let name = &port.name.text;
        let message = format!(
            "port `{name}` takes {}, but {what} is {} and nothing on the way has weights",
            words(needed),
            words(sent)
        );
        let finding = Check::finding(Code::E0308, connection.span, message)
            .label("no operation here has weights")
            .secondary(port.name.span, format!("this port takes {}", words(needed)));
        let factor = needed.over(sent).map(|d| print::shown(d).0);
        let factor = factor.map(|unit| match unit.contains(['/', '*', '^']) {
            true => format!("1 [{unit}]"),
            false => format!("1 {unit}"),
        });
        let weighted = connection.ops.iter();
        let weighted = weighted.rev().find(|op| op.kind.weight_slot().is_some());
        self.report(match (factor, weighted) {
            (Some(factor), Some(op)) => finding.help(format!(
                "say how much arrives for each: `w = {factor}` in `{}(…)`",
                op.callee.text
            )),
            (Some(factor), None) => finding.help(format!(
                "add a factor behind it: `then scale(w = {factor})`, with `frozen` if it shall stay"
            )),
            (None, _) => finding,
        });
    }
}

/// Whether operations give what they get, in its unit.
fn passes_on(ops: &[Operation]) -> bool {
    let own_unit = |op: &Operation| matches!(op.kind, Kind::BatchNorm | Kind::TdBatchNorm);
    !ops.is_empty() && !ops.iter().any(|op| op.has_weights() || own_unit(op))
}
