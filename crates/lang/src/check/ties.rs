//! Weight sharing: `connect b -> c.x : tied(inp.hid.x)` uses the operation and the parameters of the
//! connection `inp -> hid.x`.
//!
//! A connection is named as its parameters are in a file of weights: source, target and port, joined by
//! dots. The tied connection has its own source, target and delay and no parameters; the gradient of the
//! shared ones is the sum over all connections that use them, as for a module that is called twice in
//! PyTorch. Whether the sizes agree is known with the network's arguments: see `shapes`.

use super::Check;
use super::units::in_words;
use crate::ast::{self, NetworkStmt};
use crate::diag::{Code, did_you_mean};
use crate::model::{LayerKind, Network, Tied, walk};
use crate::span::Span;
use crate::units::Dimension;

/// The operation's name.
pub(super) const TIED: &str = "tied";

/// A connection that says `tied(…)`: its index, the index of what it names, and where.
struct Tie {
    own: usize,
    other: usize,
    span: Span,
}

impl Check<'_> {
    /// Resolves `tied(…)` of a network's connections, which may stand in any order.
    pub(super) fn ties(&mut self, network: &mut Network, tree: &ast::Network) {
        let connects = tree.body.iter().filter_map(|stmt| match stmt {
            NetworkStmt::Connect(connect) => Some(connect),
            NetworkStmt::Step { .. }
            | NetworkStmt::Input(_)
            | NetworkStmt::Layer(_)
            | NetworkStmt::Output { .. }
            | NetworkStmt::Let(_) => None,
        });
        let mut ties: Vec<Tie> = Vec::new();
        for (own, connect) in connects.enumerate() {
            let tied = |call: &&ast::Call| call.callee.text == TIED;
            let Some(call) = connect.ops.iter().find(tied) else {
                continue;
            };
            match self.tie(network, connect, call) {
                Some(other) => ties.push(Tie {
                    own,
                    other,
                    span: call.span,
                }),
                // What it would do is unknown: the rest of the network is not looked at with it.
                None => network.broken = true,
            }
        }
        let mut next: Vec<Vec<usize>> = vec![Vec::new(); network.connections.len()];
        for tie in &ties {
            next[tie.own].push(tie.other);
        }
        if let Err(circle) = walk::topological(&next) {
            let place = ties.iter().find(|tie| circle.contains(&tie.own));
            let message = "these connections share weights in a circle: none of them has any";
            let span = place.map_or(network.name.span, |tie| tie.span);
            self.report(Check::finding(Code::E0207, span, message));
            network.broken = true;
            return;
        }
        for tie in &ties {
            let mut to = tie.other;
            while let Some(&further) = next[to].first() {
                to = further;
            }
            self.same_port_unit(network, tie, to);
            network.connections[tie.own].ops = network.connections[to].ops.clone();
            network.connections[tie.own].frozen = network.connections[to].frozen;
            network.connections[tie.own].tied = Some(Tied { to, span: tie.span });
        }
    }

    /// The index of the connection that a tie names.
    fn tie(
        &mut self,
        network: &Network,
        connect: &ast::Connect,
        call: &ast::Call,
    ) -> Option<usize> {
        if let Some(span) = connect.frozen {
            let message = "`frozen` belongs to the connection that has the weights";
            self.report(Check::finding(Code::E0210, span, message));
        }
        if let Some(other) = connect.ops.iter().find(|op| op.span != call.span) {
            let message = "`tied` stands alone: it has all operations of the other connection";
            self.report(Check::finding(Code::E0210, other.span, message));
            return None;
        }
        let named = match call.args.as_slice() {
            [arg] if arg.name.is_none() => arg.value.path().map(|path| {
                let names: Vec<&str> = path.iter().map(|n| n.text.as_str()).collect();
                (names.join("."), arg.value.span)
            }),
            [..] => None,
        };
        let Some((name, span)) = named else {
            let message = "`tied` names a connection: source, target and port, joined by dots";
            self.report(
                Check::finding(Code::E0201, call.span, message)
                    .help("for `connect inp -> hid.x : …` write `tied(inp.hid.x)`"),
            );
            return None;
        };
        let names: Vec<String> = network.connections.iter().map(connection_name).collect();
        let Some(other) = names.iter().position(|n| *n == name) else {
            let message = format!("there is no connection `{name}` to share weights with");
            let finding = Check::finding(Code::E0603, span, message);
            let own = connection_name(&network.connections[self.position(network, connect)]);
            let others = names.iter().map(String::as_str).filter(|n| *n != own);
            self.report(match did_you_mean(&name, others.clone()) {
                Some(near) => finding.help_edit(format!("did you mean `{near}`?"), span, near),
                None => finding.help(format!(
                    "there are: {}",
                    others.collect::<Vec<_>>().join(", ")
                )),
            });
            return None;
        };
        Some(other)
    }

    fn position(&self, network: &Network, connect: &ast::Connect) -> usize {
        let own = |c: &crate::model::Connection| c.span == connect.span;
        network.connections.iter().position(own).unwrap_or(0)
    }

    /// Weights have the unit of the port that they end at.
    fn same_port_unit(&mut self, network: &Network, tie: &Tie, to: usize) {
        let unit = |i: usize| -> Option<(Dimension, Span)> {
            let connection = &network.connections[i];
            let LayerKind::Neuron(n) = network.layers[connection.target?].kind else {
                return None;
            };
            let port = &self.model.neurons[n].ports[connection.port?];
            Some((port.dimension?, connection.target_path.span))
        };
        let (Some((own, span)), Some((other, place))) = (unit(tie.own), unit(to)) else {
            return;
        };
        if own != other {
            let message = format!(
                "weights in {} cannot be shared with a port that takes {}",
                in_words(other),
                in_words(own)
            );
            self.report(
                Check::finding(Code::E0308, tie.span, message)
                    .secondary(span, format!("this port is {}", in_words(own)))
                    .secondary(place, format!("and this one {}", in_words(other))),
            );
        }
    }
}

/// `inp.hid.x`
fn connection_name(connection: &crate::model::Connection) -> String {
    let paths = [&connection.source_path, &connection.target_path];
    let names = paths.iter().flat_map(|path| &path.segments);
    names.map(|n| n.text.as_str()).collect::<Vec<_>>().join(".")
}
