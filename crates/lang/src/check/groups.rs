//! Networks as layers of other networks: their arguments, inputs and outputs.
//!
//! A group is looked at from outside here: what its layers are is its own network's business, and
//! `expand` puts both together. Networks are built groups first, so a group can be asked.

use super::Check;
use super::expand;
use super::items::ItemRef;
use super::network::{network_type, no_part};
use super::scope::Scope;
use super::units::words;
use crate::ast::{self, NetworkStmt};
use crate::diag::{Code, did_you_mean};
use crate::model::{Expr, LayerKind, Network, Source, walk};
use crate::units::Dimension;

/// How deep groups may contain each other.
const MAX_DEPTH: usize = 64;

impl Check<'_> {
    /// An order in which networks come after their groups; those in a circle and those that are nested too
    /// deep are reported and left out.
    pub(super) fn groups_first(&mut self, trees: &[&ast::Network]) -> Vec<usize> {
        let mut groups: Vec<Vec<(usize, crate::span::Span)>> = Vec::new();
        for tree in trees {
            let layers = tree.body.iter().filter_map(|stmt| match stmt {
                NetworkStmt::Layer(layer) => Some(&layer.kind),
                NetworkStmt::Step { .. }
                | NetworkStmt::Input(_)
                | NetworkStmt::Connect(_)
                | NetworkStmt::Output { .. }
                | NetworkStmt::Let(_) => None,
            });
            let kinds = layers.filter_map(|kind| match self.items.find(&kind.text, kind.span) {
                Some(ItemRef::Network(i)) => Some((i, kind.span)),
                Some(
                    ItemRef::Const(_) | ItemRef::Surrogate(_) | ItemRef::Fn(_) | ItemRef::Neuron(_),
                )
                | None => None,
            });
            groups.push(kinds.collect());
        }
        for rows in &groups {
            for (i, _) in rows {
                self.model.networks[*i].is_group = true;
            }
        }
        let only = |rows: &Vec<(usize, _)>| rows.iter().map(|(i, _)| *i).collect();
        let mut dependencies: Vec<Vec<usize>> = groups.iter().map(only).collect();
        let mut circular = vec![false; trees.len()];
        let order = loop {
            let cycle = match walk::topological(&dependencies) {
                Ok(order) => break order,
                Err(cycle) => cycle,
            };
            for (k, &i) in cycle.iter().enumerate() {
                let next = cycle[(k + 1) % cycle.len()];
                let place = groups[i].iter().find(|(group, _)| *group == next);
                let span = place.map_or(trees[i].name.span, |(_, span)| *span);
                let message = format!("network `{}` contains itself", trees[i].name.text);
                self.report(Check::finding(Code::E0607, span, message));
                dependencies[i].clear();
                circular[i] = true;
            }
        };
        let mut depth = vec![0; trees.len()];
        let mut sound = Vec::new();
        for i in order {
            let below = groups[i].iter().map(|(group, _)| depth[*group] + 1);
            depth[i] = below.max().unwrap_or(0);
            if depth[i] == MAX_DEPTH + 1 {
                let message = format!("groups of layers are nested more than {MAX_DEPTH} deep");
                self.report(Check::finding(Code::E0607, trees[i].name.span, message));
            }
            if !circular[i] && depth[i] <= MAX_DEPTH {
                sound.push(i);
            }
        }
        sound
    }

    /// The network at an index with its groups written out.
    pub(super) fn written_out(&mut self, index: usize, built: bool) -> Network {
        let raw = &self.model.networks[index];
        let groups = || raw.layers.iter().filter(|l| l.kind.is_group());
        let inner = |l: &crate::model::Layer| match l.kind {
            LayerKind::Group(i) => self.model.networks[i].broken,
            LayerKind::Neuron(_) | LayerKind::Unknown => false,
        };
        // What cannot be written out for a reason that was reported is not looked at any further.
        let broken = Network {
            broken: true,
            ..raw.clone()
        };
        let unsound = raw.connections.iter().any(|c| {
            let into = c.target.is_some_and(|t| raw.layers[t].kind.is_group());
            c.source == Source::Unknown || (c.target.is_none() || c.port.is_none()) && !into
        });
        if !built || raw.broken {
            return broken;
        }
        let needed = groups().next().is_some() || raw.connections.iter().any(|c| c.ops.is_empty());
        // A group of others is written out where it is used, with its arguments.
        if !needed || raw.is_group && raw.step.is_none() {
            return raw.clone();
        }
        if unsound || groups().any(inner) {
            return broken;
        }
        match expand::expand(&self.model, index) {
            Ok(network) => network,
            Err(findings) => {
                self.diagnostics.extend(findings);
                broken
            }
        }
    }

    /// The arguments of a group of layers; what a layer of neurons has and a group has not is refused.
    pub(super) fn group(
        &mut self,
        network: &Network,
        scope: &Scope,
        tree: &ast::Layer,
        group: usize,
    ) -> Vec<Option<Expr>> {
        if let (Some(first), Some(last)) = (tree.shape.first(), tree.shape.last()) {
            let message = format!("`{}` is a network and has no shape", tree.kind.text);
            self.report(
                Check::finding(Code::E0602, first.span.to(last.span), message)
                    .help("arguments for its parameters stand in parentheses"),
            );
        }
        if let Some(change) = tree.overrides.first() {
            let message = format!(
                "`{}` is a network: its layers are set where it is defined",
                tree.kind.text
            );
            self.report(
                Check::finding(Code::E0210, change.span, message)
                    .help("give the network a parameter, and the layer an argument for it"),
            );
        }
        let formals = self.items.networks[group].formals.iter();
        let formals: Vec<(&str, bool)> = formals
            .map(|f| (f.name.text.as_str(), f.default.is_none()))
            .collect();
        let arranged = self.arrange(&tree.kind, &tree.args, &formals);
        let mut args = Vec::new();
        for given in arranged {
            args.push(given.map(|expr| {
                let expr = self.resolve(scope, expr);
                let ty = self.infer(scope, &expr, &|name| network_type(network, name));
                if let Some(found) = self.expect_number(ty, &expr)
                    && !found.is_none()
                {
                    let message = format!(
                        "a network's parameter is a plain number, found {}",
                        words(found)
                    );
                    self.report(Check::finding(Code::E0306, expr.span, message));
                }
                expr
            }));
        }
        if let Some(repeat) = &tree.repeat {
            let inner = &self.model.networks[group];
            let (inputs, outputs) = (inner.inputs.len(), inner.outputs.len());
            if !inner.broken && (inputs, outputs) != (1, 1) {
                let message = format!(
                    "`repeat` feeds each copy from the one before: `{}` needs one input and one output, \
                     it has {inputs} and {outputs}",
                    tree.kind.text
                );
                self.report(Check::finding(Code::E0602, repeat.span, message));
            }
        }
        args
    }

    /// `output h`: a layer, a state of one, or what a group shows. Whether it is one.
    pub(super) fn output(&mut self, network: &Network, path: &ast::Path) -> bool {
        let first = &path.segments[0];
        if network.input(&first.text).is_some() {
            let message = format!("`{}` is an input; an output is a layer", first.text);
            self.report(Check::finding(Code::E0603, path.span, message));
            return false;
        }
        // A readout may be shown: its states are what is read.
        let layer = network.layer(&first.text).map(|i| network.layers[i].kind);
        if let (Some(LayerKind::Neuron(_)), [_]) = (layer, path.segments.as_slice()) {
            return true;
        }
        self.source(network, path) != Source::Unknown
    }

    /// Whether a path names something that a group shows; reported if not. Behind the name of a group that is
    /// `repeated` may stand the number of a copy.
    pub(super) fn group_source(&mut self, group: usize, path: &ast::Path, repeated: bool) -> bool {
        let inner = self.model.networks[group].clone();
        if inner.broken {
            return false;
        }
        let text = |names: &[ast::Name]| {
            let names: Vec<&str> = names.iter().map(|n| n.text.as_str()).collect();
            names.join(".")
        };
        let (first, mut rest) = (&path.segments[0], &path.segments[1..]);
        if let Some(copy) = rest.first().filter(|name| name.is_number()) {
            if !repeated {
                let message = format!("`{}` is not repeated: it has no copies", first.text);
                self.report(Check::finding(Code::E0603, copy.span, message));
                return false;
            }
            rest = &rest[1..];
        }
        let outputs: Vec<String> = inner.outputs.iter().map(|o| text(&o.segments)).collect();
        if rest.is_empty() {
            if let [only] = inner.outputs.as_slice() {
                return self.source(&inner, only) != Source::Unknown;
            }
            let message = format!("`{}` is a group of layers; name an output", first.text);
            let finding = Check::finding(Code::E0603, path.span, message);
            self.report(match outputs.as_slice() {
                [] => finding.help(format!(
                    "`{}` shows nothing yet: add `output layer` to it",
                    inner.name.text
                )),
                [..] => finding.help(format!("its outputs are {}", outputs.join(", "))),
            });
            return false;
        }
        let named: Vec<&str> = rest.iter().map(|n| n.text.as_str()).collect();
        let shown = inner.outputs.iter().any(|output| {
            let parts = output.segments.iter().map(|n| n.text.as_str());
            output.segments.len() <= named.len() && parts.zip(&named).all(|(a, b)| a == *b)
        });
        if shown {
            let inside = ast::Path {
                segments: rest.to_vec(),
                span: rest[0].span.to(path.span),
            };
            return self.source(&inner, &inside) != Source::Unknown;
        }
        let message = format!("`{}` does not show `{}`", inner.name.text, text(rest));
        let finding = Check::finding(Code::E0603, rest[0].span, message);
        let near = did_you_mean(named[0], outputs.iter().map(String::as_str));
        self.report(match near {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), rest[0].span, near),
            None if inner.layer(named[0]).is_some() => finding.help(format!(
                "add `output {}` to network `{}`",
                named[0], inner.name.text
            )),
            None => finding.help(format!("its outputs are {}", outputs.join(", "))),
        });
        false
    }

    /// A connection ends at an input of a group.
    pub(super) fn group_target(&mut self, group: usize, path: &ast::Path) {
        let inner = &self.model.networks[group];
        let names: Vec<&str> = inner.inputs.iter().map(|i| i.name.text.as_str()).collect();
        let first = &path.segments[0];
        let finding = match &path.segments[1..] {
            [] => {
                let message = format!("`{}` is a group of layers; name the input", first.text);
                let finding = Check::finding(Code::E0603, path.span, message);
                match names.as_slice() {
                    [] => finding.help(format!("`{}` has no inputs", inner.name.text)),
                    [name, ..] => {
                        finding.help_edit("its input is", path.span.after(), format!(".{name}"))
                    }
                }
            }
            [name] if inner.input(&name.text).is_some() => return,
            [name] => no_part(&inner.name.text, "input", name, &names),
            [_, inside, ..] => {
                let message = "a connection from outside ends at an input of the group";
                Check::finding(Code::E0603, inside.span, message)
            }
        };
        if !inner.broken {
            self.report(finding);
        }
    }

    /// The unit of the weights on the way to an input of a group: that of the port behind it, if nothing
    /// but the input is between.
    pub(super) fn entry_dimension(&self, group: usize, path: &ast::Path) -> Option<Dimension> {
        let inner = &self.model.networks[group];
        let input = inner.input(&path.segments.get(1)?.text)?;
        let passing = |c: &&crate::model::Connection| {
            c.source == Source::Input(input) && c.ops.is_empty() && c.tied.is_none()
        };
        let next = inner.connections.iter().find(passing)?;
        match inner.layers[next.target?].kind {
            LayerKind::Neuron(n) => self.model.neurons[n].ports[next.port?].dimension,
            LayerKind::Group(deeper) => self.entry_dimension(deeper, &next.target_path),
            LayerKind::Unknown => None,
        }
    }
}
