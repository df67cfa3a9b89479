//! Networks: names of layers and ports, overrides, weights and delays. Sizes are not known yet,
//! they depend on arguments: see `shapes`.

use super::Check;
use super::items::ItemRef;
use super::neuron::{merged, unknown_parameter};
use super::scope::Scope;
use super::units::{in_words, words};
use crate::ast::{self, NetworkStmt};
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::model::builtin::{self, Slot, Takes};
use crate::model::{
    Argument, Bounds, Connection, Delay, Expr, ExprKind, Layer, LayerKind, Network, Operation,
    Population, Ref, Source, Ty, Via,
};
use crate::span::Span;
use crate::units::Dimension;

impl Check<'_> {
    /// Builds all networks and looks at each with its default arguments.
    pub(super) fn networks(&mut self) {
        let trees = self.items.networks.clone();
        self.model.networks = trees.iter().map(|tree| unread(tree)).collect();
        // A connection to a group asks the group what its inputs and outputs are.
        let order = self.groups_first(&trees);
        for &index in &order {
            let is_group = self.model.networks[index].is_group;
            self.model.networks[index] = Network {
                is_group,
                ..self.network(trees[index])
            };
        }
        self.steps_given();
        let mut expanded = Vec::new();
        for index in 0..trees.len() {
            expanded.push(self.written_out(index, order.contains(&index)));
        }
        self.model.networks = expanded;
        for index in 0..self.model.networks.len() {
            self.check_network(index);
        }
        self.unused_ports();
    }

    fn network(&mut self, tree: &ast::Network) -> Network {
        let mut scope = Scope::new(format!("network `{}`", tree.name.text), tree.broken);
        let formals = self.formals(&mut scope, &tree.formals);
        let lets: Vec<&ast::Let> = tree.body.iter().filter_map(as_let).collect();
        let lets = self.lets(&mut scope, &lets);
        let mut network = Network {
            formals,
            broken: tree.broken,
            ..unread(tree)
        };
        for mut item in lets {
            item.ty = self.infer(&scope, &item.value, &|name| network_type(&network, name));
            network.lets.push(item);
        }
        let mut names = Scope::new("", false);
        for stmt in &tree.body {
            match stmt {
                NetworkStmt::Step { value, span } => {
                    self.step(&mut network, &scope, value, *span);
                }
                NetworkStmt::Input(input) => {
                    let taken = names.declare(&input.name, Ref::Pi, "an input");
                    self.diagnostics.extend(taken);
                    let population = self.population(&network, &scope, input);
                    network.inputs.push(population);
                }
                NetworkStmt::Layer(layer) => {
                    let taken = names.declare(&layer.name, Ref::Pi, "a layer");
                    self.diagnostics.extend(taken);
                    let layer = self.layer(&network, &scope, layer);
                    network.layers.push(layer);
                }
                NetworkStmt::Connect(_) | NetworkStmt::Output { .. } | NetworkStmt::Let(_) => {}
            }
        }
        let mut unread = false;
        // Connections may stand before the layers that they connect.
        for stmt in &tree.body {
            match stmt {
                NetworkStmt::Connect(connect) => {
                    let connection = self.connection(&network, &scope, connect);
                    unread |= connection.ops.len() < connect.ops.len()
                        && connect
                            .ops
                            .iter()
                            .all(|op| op.callee.text != super::ties::TIED);
                    network.connections.push(connection);
                }
                NetworkStmt::Output { source, .. } => {
                    if self.output(&network, source) {
                        network.outputs.push(source.clone());
                    }
                }
                NetworkStmt::Step { .. }
                | NetworkStmt::Input(_)
                | NetworkStmt::Layer(_)
                | NetworkStmt::Let(_) => {}
            }
        }
        self.ties(&mut network, tree);
        // An operation that does not exist was reported; nothing is said about what is left without it.
        network.broken |= unread;
        network
    }

    /// A network without a step can only be a group of layers of another one.
    fn steps_given(&mut self) {
        let mut findings = Vec::new();
        for network in &self.model.networks {
            if network.step.is_none() && !network.broken && !network.is_group {
                let name = &network.name;
                let message = format!("network `{}` does not say how long a step is", name.text);
                let finding = Check::finding(Code::E0201, name.span, message);
                findings.push(finding.help("add `step 1 ms`"));
            }
        }
        self.diagnostics.extend(findings);
    }

    fn step(&mut self, network: &mut Network, scope: &Scope, value: &ast::Expr, span: Span) {
        let expr = self.resolve(scope, value);
        let ty = self.infer(scope, &expr, &|name| network_type(network, name));
        if let Some(found) = self.expect_number(ty, &expr)
            && found != Dimension::TIME
        {
            let message = format!("the length of a step is a time, found {}", words(found));
            let finding = Check::finding(Code::E0306, expr.span, message);
            self.report(if found.is_none() {
                finding.help_edit("write its unit", expr.span.after(), " ms")
            } else {
                finding
            });
        }
        if let Some(first) = &network.step {
            let message = "`step` is already given";
            self.report(Check::finding(Code::E0105, span, message).secondary(first.span, "here"));
            return;
        }
        network.step = Some(expr);
    }

    fn shape(&mut self, network: &Network, scope: &Scope, shape: &[ast::Expr]) -> Vec<Expr> {
        let mut built = Vec::new();
        for size in shape {
            let expr = self.resolve(scope, size);
            let ty = self.infer(scope, &expr, &|name| network_type(network, name));
            if let Some(found) = self.expect_number(ty, &expr)
                && !found.is_none()
            {
                let message = format!("a size is a plain number, found {}", words(found));
                self.report(Check::finding(Code::E0602, expr.span, message));
            }
            built.push(expr);
        }
        built
    }

    fn population(
        &mut self,
        network: &Network,
        scope: &Scope,
        tree: &ast::InputPopulation,
    ) -> Population {
        self.has_shape(&tree.shape, &tree.name);
        Population {
            name: tree.name.clone(),
            shape: self.shape(network, scope, &tree.shape),
            span: tree.span,
        }
    }

    fn has_shape(&mut self, shape: &[ast::Expr], name: &ast::Name) {
        if shape.is_empty() {
            let message = format!("`{}` has no size", name.text);
            self.report(Check::finding(Code::E0602, name.span, message).help_edit(
                "write it in brackets",
                name.span.after(),
                "[1]",
            ));
        }
    }

    fn layer(&mut self, network: &Network, scope: &Scope, tree: &ast::Layer) -> Layer {
        let found = self.items.find(&tree.kind.text, tree.kind.span);
        let kind = match found {
            Some(ItemRef::Neuron(i)) => LayerKind::Neuron(i),
            Some(ItemRef::Network(i)) => LayerKind::Group(i),
            Some(ItemRef::Const(_) | ItemRef::Surrogate(_) | ItemRef::Fn(_)) | None => {
                if !self.items.excused(&tree.kind.text) {
                    self.missing_neuron(&tree.kind, found);
                }
                LayerKind::Unknown
            }
        };
        let mut layer = Layer {
            name: tree.name.clone(),
            kind,
            kind_name: tree.kind.clone(),
            shape: self.shape(network, scope, &tree.shape),
            repeat: None,
            args: Vec::new(),
            params: Vec::new(),
            overridden: Vec::new(),
            span: tree.span,
        };
        if let Some(repeat) = &tree.repeat {
            layer.repeat = Some(self.resolve(scope, repeat));
        }
        match kind {
            LayerKind::Neuron(index) => {
                self.has_shape(&tree.shape, &tree.kind);
                if let Some(arg) = tree.args.first() {
                    let message = "a neuron takes no arguments; its parameters are set in braces";
                    self.report(
                        Check::finding(Code::E0210, arg.value.span, message)
                            .help("write `layer name : Neuron[size] { parameter = value }`"),
                    );
                }
                self.overrides(network, scope, tree, index, &mut layer);
                if let Some(repeat) = &tree.repeat {
                    let message = "a layer of neurons cannot be repeated: nothing says how copies are connected";
                    self.report(Check::finding(Code::E0602, repeat.span, message).help(
                        "put the layer and its connection into a network of its own, with an `output`, and repeat that",
                    ));
                    layer.kind = LayerKind::Unknown;
                }
            }
            LayerKind::Group(group) => {
                layer.args = self.group(network, scope, tree, group);
            }
            LayerKind::Unknown => {}
        }
        layer
    }

    fn overrides(
        &mut self,
        network: &Network,
        scope: &Scope,
        tree: &ast::Layer,
        index: usize,
        layer: &mut Layer,
    ) {
        let neuron = self.model.neurons[index].clone();
        layer.params = neuron.params.clone();
        for change in &tree.overrides {
            let Some(i) = neuron.param(&change.name.text) else {
                if !neuron.broken {
                    let owner = format!("`{}`", neuron.name.text);
                    let names: Vec<&str> =
                        neuron.params.iter().map(|p| p.name.text.as_str()).collect();
                    let finding = unknown_parameter(&owner, &change.name, &names);
                    self.report(finding);
                }
                continue;
            };
            if layer.overridden.contains(&i) {
                let message = format!("`{}` is set twice in this layer", change.name.text);
                self.report(Check::finding(Code::E0105, change.name.span, message));
            }
            let before = layer.params[i].clone();
            let declared = Some((&neuron.params[i], neuron.name.text.as_str()));
            let types = |name: Ref| network_type(network, name);
            let param = self.param(scope, change, declared, &types);
            layer.params[i] = merged(before, param, change);
            layer.overridden.push(i);
        }
    }

    fn connection(&mut self, network: &Network, scope: &Scope, tree: &ast::Connect) -> Connection {
        let source = self.source(network, &tree.source);
        let (target, port) = self.target(network, &tree.target);
        let port_dimension = match target.map(|t| network.layers[t].kind) {
            Some(LayerKind::Group(group)) => self.entry_dimension(group, &tree.target),
            Some(LayerKind::Neuron(_) | LayerKind::Unknown) | None => {
                self.port_dimension(network, target, port)
            }
        };
        let weight = match source {
            Source::Group(_) => port_dimension,
            Source::Unknown => None,
            // What is sent may have a unit: the weight turns it into the port's.
            Source::Input(_) | Source::Layer(_) | Source::State(..) => {
                let sent = self.sent_dimension(network, source);
                port_dimension.zip(sent).and_then(|(p, d)| p.over(d))
            }
        };
        let mut inner = scope.clone();
        inner.provide("fan_in", Ref::FanIn);
        inner.provide("fan_out", Ref::FanOut);
        let calls = tree.ops.iter();
        let calls = calls.filter(|call| call.callee.text != super::ties::TIED);
        let mut ops: Vec<Operation> = Vec::new();
        for call in calls {
            // The first weights have the unit of the port; what multiplies them is a plain number.
            let weighted = ops.iter().any(Operation::has_weights);
            let units = Units {
                weight: weight.map(|port| if weighted { Dimension::NONE } else { port }),
                port: weight,
            };
            ops.extend(self.operation(network, &inner, call, units, &tree.target));
        }
        let delay = tree.delay.as_ref();
        let delay = delay.map(|delay| self.delay(network, scope, delay));
        self.not_received(network, target, port, &tree.target);
        let connection = Connection {
            source,
            target,
            port,
            source_path: tree.source.clone(),
            target_path: tree.target.clone(),
            ops,
            delay,
            frozen: tree.frozen.is_some(),
            tied: None,
            passes: Vec::new(),
            span: tree.span,
        };
        let into_group = target.is_some_and(|t| network.layers[t].kind.is_group());
        let known = target.is_some() && source != Source::Unknown;
        if tree.ops.is_empty() && known && !into_group && !matches!(source, Source::Input(_)) {
            self.report(super::expand::no_operation(&connection));
        }
        connection
    }

    fn port_dimension(
        &self,
        network: &Network,
        layer: Option<usize>,
        port: Option<usize>,
    ) -> Option<Dimension> {
        match network.layers[layer?].kind {
            LayerKind::Neuron(n) => self.model.neurons[n].ports[port?].dimension,
            LayerKind::Group(_) | LayerKind::Unknown => None,
        }
    }

    pub(super) fn source(&mut self, network: &Network, path: &ast::Path) -> Source {
        let first = &path.segments[0];
        let state = path.segments.get(1);
        if let Some(input) = network.input(&first.text) {
            if let Some(extra) = state {
                let message = format!("`{}` is an input and has no parts", first.text);
                self.report(Check::finding(Code::E0603, extra.span, message));
                return Source::Unknown;
            }
            return Source::Input(input);
        }
        let Some(layer) = network.layer(&first.text) else {
            self.missing_layer(network, first, true);
            return Source::Unknown;
        };
        let n = match network.layers[layer].kind {
            LayerKind::Neuron(n) => n,
            LayerKind::Group(group) => {
                let repeated = network.layers[layer].repeat.is_some();
                return match self.group_source(group, path, repeated) {
                    true => Source::Group(layer),
                    false => Source::Unknown,
                };
            }
            LayerKind::Unknown => return Source::Unknown,
        };
        let neuron = &self.model.neurons[n];
        let (name, broken, silent) = (
            neuron.name.text.clone(),
            neuron.broken,
            neuron.spikes.is_empty(),
        );
        match state {
            None if silent && !broken => {
                let message = format!("`{}` never spikes: `{name}` has no `spike`", first.text);
                let states = neuron.states.iter().map(|s| s.name.text.as_str());
                let finding = Check::finding(Code::E0605, first.span, message);
                let finding = match states.clone().next() {
                    Some(state) => {
                        finding.help(format!("connect a state, as in `{}.{state}`", first.text))
                    }
                    None => finding,
                };
                self.report(finding);
                Source::Unknown
            }
            None => Source::Layer(layer),
            Some(state) => match neuron.state(&state.text) {
                Some(index) => Source::State(layer, index),
                None if broken => Source::Unknown,
                None => {
                    let states: Vec<&str> =
                        neuron.states.iter().map(|s| s.name.text.as_str()).collect();
                    let finding = no_part(&name, "state", state, &states);
                    self.report(finding);
                    Source::Unknown
                }
            },
        }
    }

    fn target(&mut self, network: &Network, path: &ast::Path) -> (Option<usize>, Option<usize>) {
        let first = &path.segments[0];
        let Some(layer) = network.layer(&first.text) else {
            if network.input(&first.text).is_some() {
                let message = format!("`{}` is an input; a connection ends at a layer", first.text);
                self.report(Check::finding(Code::E0603, first.span, message));
            } else {
                self.missing_layer(network, first, false);
            }
            return (None, None);
        };
        let n = match network.layers[layer].kind {
            LayerKind::Neuron(n) => n,
            LayerKind::Group(group) => {
                self.group_target(group, path);
                return (Some(layer), None);
            }
            LayerKind::Unknown => return (Some(layer), None),
        };
        let neuron = &self.model.neurons[n];
        let ports: Vec<&str> = neuron.ports.iter().map(|p| p.name.text.as_str()).collect();
        let Some(name) = path.segments.get(1) else {
            let message = format!("`{}` is a layer; name the port", first.text);
            let finding = Check::finding(Code::E0603, path.span, message);
            let finding = match ports.as_slice() {
                [] => finding.help(format!("`{}` has no inputs", neuron.name.text)),
                [port, ..] => {
                    finding.help_edit("its port is", path.span.after(), format!(".{port}"))
                }
            };
            self.report(finding);
            return (Some(layer), None);
        };
        let port = neuron.port(&name.text);
        if port.is_none() && !neuron.broken {
            let finding = no_part(&neuron.name.text, "port", name, &ports);
            self.report(finding);
        }
        (Some(layer), port)
    }

    fn missing_layer(&mut self, network: &Network, name: &ast::Name, inputs_too: bool) {
        if network.broken {
            return;
        }
        let layers = network.layers.iter().map(|l| l.name.text.as_str());
        let inputs = network.inputs.iter().map(|p| p.name.text.as_str());
        let names: Vec<&str> = if inputs_too {
            layers.chain(inputs).collect()
        } else {
            layers.collect()
        };
        let message = format!(
            "network `{}` has no layer `{}`",
            network.name.text, name.text
        );
        let finding = Check::finding(Code::E0603, name.span, message);
        self.report(match did_you_mean(&name.text, names.iter().copied()) {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), name.span, near),
            None => finding.help(format!("there are: {}", names.join(", "))),
        });
    }

    /// A connection to a port that nothing reads.
    fn not_received(
        &mut self,
        network: &Network,
        layer: Option<usize>,
        port: Option<usize>,
        path: &ast::Path,
    ) {
        let (Some(layer), Some(port)) = (layer, port) else {
            return;
        };
        let LayerKind::Neuron(n) = network.layers[layer].kind else {
            return;
        };
        let neuron = &self.model.neurons[n];
        if neuron.broken || super::flow::port_is_read(neuron, port) {
            return;
        }
        let name = &neuron.ports[port].name;
        let message = format!(
            "port `{}` of `{}` has a connection, but its arrivals are never used",
            name.text, neuron.name.text
        );
        let finding = Check::finding(Code::E0209, path.span, message)
            .secondary(name.span, "declared here")
            .help(format!(
                "add `on receive {} {{ … }}` to the neuron",
                name.text
            ));
        self.report(finding);
    }

    fn operation(
        &mut self,
        network: &Network,
        scope: &Scope,
        call: &ast::Call,
        units: Units,
        target: &ast::Path,
    ) -> Option<Operation> {
        let Some(kind) = builtin::Operation::find(&call.callee.text) else {
            let names = builtin::Operation::ALL.iter().map(|(n, _)| *n);
            let message = format!("there is no connection `{}`", call.callee.text);
            let finding = Check::finding(Code::E0201, call.callee.span, message);
            let near = match call.callee.text.as_str() {
                "linear" | "Linear" | "fc" | "all_to_all" => Some("dense"),
                "conv" => Some("conv2d"),
                "identity" => Some("one_to_one"),
                name => did_you_mean(name, names.clone()),
            };
            self.report(match near {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), call.callee.span, near)
                }
                None => finding.help(format!(
                    "there are: {}",
                    names.collect::<Vec<_>>().join(", ")
                )),
            });
            return None;
        };
        let slots = kind.slots();
        let names: Vec<(&str, bool)> = slots.iter().map(|s| (s.name, s.required)).collect();
        let arranged = self.arrange(&call.callee, &call.args, &names);
        let args = arranged
            .into_iter()
            .zip(slots)
            .map(|(given, slot)| {
                given.map(|expr| self.argument(network, scope, slot, expr, units, target))
            })
            .collect();
        let args: Vec<Option<Argument>> = args;
        let plain_gain = kind == builtin::Operation::BatchNorm && args[0].is_none();
        if let (true, Some(port)) = (plain_gain, units.port)
            && !port.is_none()
        {
            let message = format!(
                "`batch_norm` gives plain numbers, but the port takes {}",
                words(port)
            );
            self.report(
                Check::finding(Code::E0308, call.span, message)
                    .secondary(target.span, format!("this port is {}", in_words(port)))
                    .help("say how large one standard deviation is: `gain = 1 mV`, in the port's unit"),
            );
        }
        Some(Operation {
            kind,
            args,
            callee: call.callee.clone(),
            span: call.span,
        })
    }

    fn argument(
        &mut self,
        network: &Network,
        scope: &Scope,
        slot: &Slot,
        expr: &ast::Expr,
        units: Units,
        target: &ast::Path,
    ) -> Argument {
        let types = |name: Ref| network_type(network, name);
        match slot.takes {
            Takes::Weights => {
                let start = self.start(scope, expr);
                let found = self.start_dimension(scope, &start, &types);
                self.weight_unit(slot, found, units, expr, target);
                Argument::Start(start)
            }
            Takes::Bounds => match self.interval(scope, expr) {
                Some(bounds) => {
                    for end in [&bounds.lo, &bounds.hi] {
                        let ty = self.infer(scope, end, &types);
                        let found = self.expect_number(ty, end);
                        self.weight_unit(slot, found, units, expr, target);
                    }
                    Argument::Bounds(bounds)
                }
                None => {
                    let message = format!("`{}` is an interval: `[lo, hi]`", slot.name);
                    self.report(Check::finding(Code::E0306, expr.span, message));
                    Argument::Invalid
                }
            },
            Takes::Function => self.weight_map(scope, expr, &types, (units, target)),
            Takes::Flag => {
                if let ast::ExprKind::Bool(value) = expr.kind {
                    return Argument::Flag(value);
                }
                let message = format!("`{}` is `true` or `false`", slot.name);
                self.report(Check::finding(Code::E0306, expr.span, message));
                Argument::Invalid
            }
            Takes::Value => {
                let expr_tree = expr;
                let expr = self.resolve(scope, expr_tree);
                let ty = self.infer(scope, &expr, &types);
                let found = self.expect_number(ty, &expr);
                self.weight_unit(slot, found, units, expr_tree, target);
                Argument::Number(expr)
            }
            Takes::Plain
            | Takes::Whole
            | Takes::WholeOr(_)
            | Takes::Word(_)
            | Takes::Time
            | Takes::Rate
            | Takes::Numbers
            | Takes::Text => {
                let expr = self.resolve(scope, expr);
                let ty = self.infer(scope, &expr, &types);
                if let Some(found) = self.expect_number(ty, &expr)
                    && !found.is_none()
                {
                    let message =
                        format!("`{}` is a plain number, found {}", slot.name, words(found));
                    self.report(Check::finding(Code::E0306, expr.span, message));
                }
                Argument::Number(expr)
            }
        }
    }

    /// `[lo, hi]` or `lo .. hi`
    fn interval(&mut self, scope: &Scope, expr: &ast::Expr) -> Option<Bounds> {
        let (lo, hi) = match &expr.kind {
            ast::ExprKind::List(items) => match items.as_slice() {
                [lo, hi] => (lo, hi),
                _ => return None,
            },
            ast::ExprKind::Range { lo, hi } => (lo.as_ref(), hi.as_ref()),
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Name(_)
            | ast::ExprKind::Field { .. }
            | ast::ExprKind::Call { .. }
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::Binary { .. }
            | ast::ExprKind::If { .. } => return None,
        };
        Some(Bounds {
            lo: self.resolve(scope, lo),
            hi: self.resolve(scope, hi),
            span: expr.span,
        })
    }

    fn weight_unit(
        &mut self,
        slot: &Slot,
        found: Option<Dimension>,
        units: Units,
        expr: &ast::Expr,
        target: &ast::Path,
    ) {
        let needed = match slot.name {
            "w" | "bounds" | "feedback" => units.weight,
            _ => units.port,
        };
        let (Some(found), Some(needed)) = (found, needed) else {
            return;
        };
        if found == needed {
            return;
        }
        if units.port != Some(needed) {
            let message = format!(
                "`{}` multiplies the weights before it, so it must be a plain number; found {}",
                slot.name,
                words(found)
            );
            let finding = Check::finding(Code::E0308, expr.span, message);
            self.report(finding.label(format!("this is {}", words(found))));
            return;
        }
        let port = target.segments.last().map_or("", |n| n.text.as_str());
        let message = format!(
            "`{}` must be {}, like port `{port}`; found {}",
            slot.name,
            in_words(needed),
            words(found)
        );
        let finding = Check::finding(Code::E0308, expr.span, message)
            .label(format!("this is {}", words(found)))
            .secondary(target.span, format!("this port is {}", in_words(needed)));
        self.report(finding);
    }

    fn delay(&mut self, network: &Network, scope: &Scope, tree: &ast::Delay) -> Delay {
        let types = |name: Ref| network_type(network, name);
        let start = self.start(scope, &tree.value.init);
        let found = self.start_dimension(scope, &start, &types);
        self.delay_unit(found, tree.value.init.span);
        let bounds = tree.value.bounds.as_ref().map(|range| {
            let bounds = self.bounds(scope, range);
            for end in [&bounds.lo, &bounds.hi] {
                let ty = self.infer(scope, end, &types);
                let found = self.expect_number(ty, end);
                self.delay_unit(found, end.span);
            }
            bounds
        });
        let learn = tree.value.learn.as_ref();
        let learn = learn.map(|l| {
            let learn = self.learn(l, bounds.is_some());
            if learn.via != Via::Dcls {
                let message = "a delay is rounded to whole steps, which has no derivative";
                let finding = Check::finding(Code::E0412, learn.span, message);
                let edit = (learn.span, "learn via dcls".to_string());
                self.report(finding.help_edits("learn it with a kernel", vec![edit]));
            }
            if bounds.is_none() {
                let message = "a learnable delay needs bounds: how far back must be remembered?";
                self.report(
                    Check::finding(Code::E0606, tree.span, message)
                        .help("add `in 0 ms .. 125 ms`, or what the longest delay may be"),
                );
            }
            learn
        });
        Delay {
            start,
            bounds,
            learn,
            span: tree.span,
        }
    }

    fn delay_unit(&mut self, found: Option<Dimension>, span: Span) {
        let Some(found) = found.filter(|d| *d != Dimension::TIME) else {
            return;
        };
        let message = format!("a delay is a time, found {}", words(found));
        let finding = Check::finding(Code::E0306, span, message);
        self.report(if found.is_none() {
            finding.help_edit(
                "a number of steps is written with `step`",
                span.after(),
                " step",
            )
        } else {
            finding
        });
    }

    /// Ports that nothing reads, of neurons to which nothing is connected.
    fn unused_ports(&mut self) {
        let mut connected = vec![false; self.model.neurons.len()];
        for layer in self.model.networks.iter().flat_map(|n| &n.layers) {
            if let LayerKind::Neuron(n) = layer.kind {
                connected[n] = true;
            }
        }
        let mut findings = Vec::new();
        for (neuron, connected) in self.model.neurons.iter().zip(connected) {
            for (i, port) in neuron.ports.iter().enumerate() {
                let read = super::flow::port_is_read(neuron, i);
                if !connected && !read && !neuron.broken {
                    let message = format!("input `{}` is never used", port.name.text);
                    findings.push(
                        Check::finding(Code::W0206, port.name.span, message)
                            .help(format!("add `on receive {} {{ … }}`", port.name.text)),
                    );
                }
            }
        }
        self.diagnostics.extend(findings);
    }
}

/// What the numbers of an operation are measured in.
#[derive(Clone, Copy)]
pub(super) struct Units {
    /// Weights and their bounds.
    pub(super) weight: Option<Dimension>,
    /// What arrives, and so everything else.
    pub(super) port: Option<Dimension>,
}

fn as_let(stmt: &NetworkStmt) -> Option<&ast::Let> {
    match stmt {
        NetworkStmt::Let(item) => Some(item),
        NetworkStmt::Step { .. }
        | NetworkStmt::Input(_)
        | NetworkStmt::Layer(_)
        | NetworkStmt::Connect(_)
        | NetworkStmt::Output { .. } => None,
    }
}

/// A network before its statements are looked at.
fn unread(tree: &ast::Network) -> Network {
    Network {
        name: tree.name.clone(),
        formals: Vec::new(),
        lets: Vec::new(),
        step: None,
        inputs: Vec::new(),
        layers: Vec::new(),
        connections: Vec::new(),
        outputs: Vec::new(),
        is_group: false,
        settled: Vec::new(),
        names: Vec::new(),
        broken: true,
        span: tree.span,
    }
}

/// `LIF` has no port `exc`; ports: x
pub(super) fn no_part(neuron: &str, kind: &str, name: &ast::Name, names: &[&str]) -> Diagnostic {
    let has = if names.is_empty() {
        "it has none".to_string()
    } else {
        format!("it has {}", names.join(", "))
    };
    let message = format!("`{neuron}` has no {kind} `{}`; {has}", name.text);
    let finding = Check::finding(Code::E0603, name.span, message);
    match did_you_mean(&name.text, names.iter().copied()) {
        Some(near) => finding.help_edit(format!("did you mean `{near}`?"), name.span, near),
        None => match names {
            [only] => finding.help_edit(format!("use `{only}`"), name.span, *only),
            _ => finding,
        },
    }
}

/// The type of a name of a network: its parameters are plain numbers.
pub(super) fn network_type(network: &Network, name: Ref) -> Ty {
    match name.as_let() {
        Some(i) => network.lets.get(i).map_or(Ty::Unknown, |l| l.ty),
        None => Ty::Real(Dimension::NONE),
    }
}

/// Whether an expression is a literal 0, whatever its unit.
pub(super) fn is_zero(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Number { value, .. } if value == 0.0)
}
