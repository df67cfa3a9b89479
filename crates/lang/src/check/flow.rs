//! What reaches what in a neuron: unused names, states that never change, gates whose gradient must
//! be said, parameters that cannot learn, phases that are missing.

use super::Check;
use crate::ast::Phase;
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Builtin;
use crate::model::{
    DynamicsKind, Expr, ExprKind, LayerKind, Network, Neuron, Ref, SettingValue, Source, Spike,
    Start, Surrogate, Train, Trigger, walk,
};
use crate::span::Span;

impl Check<'_> {
    /// Looks at a finished neuron. Where it is not `sound` only errors are looked for.
    pub(super) fn check_neuron(&mut self, neuron: &Neuron, sound: bool) {
        if neuron.broken {
            return;
        }
        self.phases(neuron);
        self.spike_reads(neuron);
        self.reset_gradients(neuron);
        self.spike_conditions(neuron);
        self.dynamics(neuron);
        if sound {
            for spike in &neuron.spikes {
                self.has_reset(neuron, spike);
            }
            self.unused(neuron);
            self.neuron_values(neuron);
            self.hazards(neuron);
        }
    }

    /// E0514: every phase that has something to do must be in the order.
    fn phases(&mut self, neuron: &Neuron) {
        let Some(span) = neuron.order_span else {
            return;
        };
        let has_equations = neuron.states.iter().any(|s| s.dynamics.is_some());
        let needed = [
            (
                Phase::Receive,
                !neuron.receives.is_empty(),
                "`on receive` blocks",
            ),
            (Phase::Integrate, has_equations, "equations"),
            (Phase::Spike, !neuron.spikes.is_empty(), "a spike condition"),
            (Phase::Reset, !neuron.resets.is_empty(), "`on spike` blocks"),
        ];
        for (phase, is_needed, what) in needed {
            if is_needed && neuron.phase(phase).is_none() {
                let word = phase.word();
                let message = format!("the neuron has {what}, but `order` has no `{word}`");
                self.report(Check::finding(Code::E0514, span, message).help_edit(
                    format!("add `{word}`"),
                    span.after(),
                    format!(", {word}"),
                ));
            }
        }
        if let (Some(spike), Some(reset)) = (neuron.phase(Phase::Spike), neuron.phase(Phase::Reset))
            && reset < spike
        {
            let message = "`reset` comes before `spike`, but it needs the spikes of the step";
            self.report(Check::finding(Code::E0514, span, message));
        }
    }

    /// E0514: a spike is read in a phase before it is known.
    fn spike_reads(&mut self, neuron: &Neuron) {
        let Some(spike_at) = neuron.phase(Phase::Spike) else {
            return;
        };
        let early = |phase: Phase| neuron.phase(phase).is_some_and(|p| p < spike_at);
        let mut places: Vec<(Phase, &Expr)> = Vec::new();
        for assign in neuron.receives.iter().flat_map(|r| &r.body) {
            places.push((Phase::Receive, &assign.value));
        }
        for dynamics in neuron.states.iter().filter_map(|s| s.dynamics.as_ref()) {
            places.push((Phase::Integrate, &dynamics.rhs));
        }
        for (phase, expr) in places {
            let reads = walk::deep_refs(expr, &neuron.lets);
            let Some(spike) = reads.iter().find_map(|r| r.as_spike()) else {
                continue;
            };
            if !early(phase) {
                continue;
            }
            let name = neuron.spikes[spike].name.as_ref();
            let name = name.map_or("the spike", |n| n.text.as_str());
            let word = phase.word();
            let message = format!("`{name}` is read in `{word}`, which runs before `spike`");
            let finding = Check::finding(Code::E0514, expr.span, message)
                .secondary(neuron.spikes[spike].span, "it becomes known here");
            self.report(finding.help("put `spike` first: `order spike, receive, integrate`"));
        }
    }

    /// E0402: a reset that reaches the spike condition must say how it is differentiated.
    fn reset_gradients(&mut self, neuron: &Neuron) {
        let reaching = states_before_spikes(neuron);
        for reset in &neuron.resets {
            if reset.gradient.is_some() {
                continue;
            }
            let assign = reset.body.iter().find(|a| reaching[a.state]);
            let Some(assign) = assign else {
                continue;
            };
            let name = &neuron.states[assign.state].name.text;
            let message = format!(
                "the reset changes `{name}`, which the spike condition reads: write `detached` or `attached`"
            );
            let mut finding = Check::finding(Code::E0402, reset.head, message)
                .secondary(assign.target, format!("`{name}` is assigned here"))
                .note(
                    "`detached` treats the spike as a constant in the backward, `attached` differentiates it",
                );
            if let Some(spike) = neuron.spikes.first() {
                finding = finding.secondary(spike.span, "and decides about spikes here");
            }
            let edit = (reset.head.after(), " detached".to_string());
            self.report(finding.help_edits("most published models detach it", vec![edit]));
        }
    }

    /// E0404: a condition must depend on a state or an input.
    fn spike_conditions(&mut self, neuron: &Neuron) {
        for spike in &neuron.spikes {
            let Trigger::Crossing {
                above, below, span, ..
            } = &spike.trigger
            else {
                continue;
            };
            let mut reads = walk::deep_refs(above, &neuron.lets);
            reads.extend(walk::deep_refs(below, &neuron.lets));
            let errors = has_error(above) || has_error(below);
            let dynamic = |r: &Ref| r.as_state().is_some() || r.as_port().is_some();
            if !errors && !reads.iter().any(dynamic) {
                let message = "the spike condition reads no state: it holds always or never";
                self.report(Check::finding(Code::E0404, *span, message));
            }
        }
    }

    /// W0513: nothing happens on a spike.
    fn has_reset(&mut self, neuron: &Neuron, spike: &Spike) {
        let is_read = reads_of(neuron).iter().any(|r| r.as_spike().is_some());
        // A discrete model may reset by looking at its own threshold.
        let margin_in_equations = neuron.states.iter().any(|s| {
            s.dynamics
                .as_ref()
                .is_some_and(|d| has_condition(&d.rhs) || lets_have_condition(neuron, &d.rhs))
        });
        if neuron.resets.is_empty()
            && neuron.refractory.is_none()
            && !is_read
            && !margin_in_equations
        {
            let message = format!(
                "`{}` spikes, but nothing resets it: it fires in every step above threshold",
                neuron.name.text
            );
            self.report(
                Check::finding(Code::W0513, spike.span, message)
                    .help("add `on spike detached { … }` or `refractory …`"),
            );
        }
    }

    /// W0205, W0206.
    fn unused(&mut self, neuron: &Neuron) {
        let reads = reads_of(neuron);
        for (i, param) in neuron.params.iter().enumerate() {
            if reads.binary_search(&Ref::Param(i)).is_err() && neuron.parent.is_none() {
                let message = format!("parameter `{}` is never read", param.name.text);
                self.report(Check::finding(Code::W0206, param.name.span, message));
            }
        }
        for (i, item) in neuron.lets.iter().enumerate() {
            if reads.binary_search(&Ref::Let(i)).is_err() && neuron.parent.is_none() {
                let message = format!("`{}` is never read", item.name.text);
                self.report(Check::finding(Code::W0206, item.name.span, message));
            }
        }
        let assigned = |i: usize| {
            let receives = neuron.receives.iter().flat_map(|r| &r.body);
            let resets = neuron.resets.iter().flat_map(|r| &r.body);
            receives.chain(resets).any(|a| a.state == i)
        };
        for (i, state) in neuron.states.iter().enumerate() {
            if state.dynamics.is_none() && !assigned(i) {
                let message = format!("`{}` never changes", state.name.text);
                self.report(
                    Check::finding(Code::W0205, state.name.span, message)
                        .help("make it a `param`, or give it an equation"),
                );
            }
        }
    }

    /// What training needs of the neurons of a network: E0401, E0403, W0411, E0413, W0417.
    pub(super) fn trainable(&mut self, network: &Network) {
        let mut seen = Vec::new();
        for layer in &network.layers {
            let LayerKind::Neuron(n) = layer.kind else {
                continue;
            };
            let neuron = self.model.neurons[n].clone();
            if neuron.broken {
                continue;
            }
            if !seen.contains(&n) {
                seen.push(n);
                self.surrogates_given(&neuron, network);
                self.flat_functions(&neuron);
            }
            self.learnable(&neuron, layer);
        }
        self.maps_differentiable(network);
    }

    fn surrogates_given(&mut self, neuron: &Neuron, network: &Network) {
        for spike in &neuron.spikes {
            if spike.surrogate.is_none() {
                let message = format!(
                    "`{}` is trained in `{}`: its spike needs a surrogate",
                    neuron.name.text, network.name.text
                );
                self.report(
                    Check::finding(Code::E0401, spike.span, message)
                        .label("a spike has no derivative of its own")
                        .help_edit(
                            "give one, for example",
                            spike.span.after(),
                            " surrogate superspike(beta = 10)",
                        ),
                );
            }
        }
    }

    /// E0403: an op without a derivative between a state and what is trained.
    fn flat_functions(&mut self, neuron: &Neuron) {
        let mut exprs = moving_expressions(neuron);
        for spike in &neuron.spikes {
            if let Trigger::Crossing { above, below, .. } = &spike.trigger {
                exprs.extend([above, below]);
            }
        }
        let mut findings = Vec::new();
        for expr in exprs {
            flat_calls(expr, &mut |call, function| {
                let varies = |r: &Ref| {
                    r.as_state().is_some()
                        || r.as_port().is_some()
                        || r.as_param()
                            .is_some_and(|p| neuron.params[p].learn.is_some())
                };
                let reads = walk::deep_refs(call, &neuron.lets);
                if reads.iter().any(varies) {
                    let name = function.name();
                    let message = format!(
                        "`{name}` has derivative 0: no gradient passes, and nothing says that it should"
                    );
                    findings.push(Check::finding(Code::E0403, call.span, message).help(format!(
                        "write `detach({name}(…))`, or a `fn … derivative [..]` with the derivative to use"
                    )));
                }
            });
        }
        self.diagnostics.extend(findings);
    }

    /// W0411, E0413 and W0417 for the parameters that a layer learns.
    fn learnable(&mut self, neuron: &Neuron, layer: &crate::model::Layer) {
        let reads = differentiable_reads(neuron, &self.model.surrogates);
        for (i, param) in layer.params.iter().enumerate() {
            let Some(learn) = param.learn else {
                continue;
            };
            if let Some(refractory) = &neuron.refractory
                && walk::deep_refs(&refractory.duration, &neuron.lets).contains(&Ref::Param(i))
            {
                let message = format!(
                    "`{}` is a refractory period: a number of steps cannot be learned",
                    param.name.text
                );
                self.report(
                    Check::finding(Code::E0413, learn.span, message)
                        .secondary(refractory.span, "used here"),
                );
                continue;
            }
            if let Some(finding) = self.shape_without_primitive(neuron, i, learn.span) {
                self.report(finding);
            } else if !reads.contains(&Ref::Param(i)) {
                let message = format!("`{}` is `learn`, but receives no gradient", param.name.text);
                self.report(
                    Check::finding(Code::W0411, learn.span, message)
                        .note("it is read only inside `detach`, in conditions, or not at all"),
                );
            }
        }
    }

    /// W0417: a learned parameter in the shape of a surrogate that has no smoothed spike.
    fn shape_without_primitive(
        &self,
        neuron: &Neuron,
        param: usize,
        learn: Span,
    ) -> Option<Diagnostic> {
        let name = &neuron.params[param].name.text;
        neuron.spikes.iter().find_map(|spike| {
            let call = spike.surrogate.as_ref()?;
            let shapes = |arg| {
                let refs = walk::deep_differentiable_refs(arg, &neuron.lets);
                refs.contains(&Ref::Param(param))
            };
            if !call.args.iter().any(shapes) || smoothed(spike, &self.model.surrogates).is_some() {
                return None;
            }
            let surrogate = &self.model.surrogates[call.surrogate?].name.text;
            let (reason, help) = match spike.trigger {
                Trigger::Count(_) => (
                    "a number of spikes has no smoothed form",
                    "leave out `learn`".to_string(),
                ),
                Trigger::Crossing { .. } | Trigger::Invalid(_) => (
                    "the gradient of a shape is the derivative of the surrogate's primitive by it",
                    format!("give `{surrogate}` a `primitive`, a formula whose derivative by the margin is its `derivative`"),
                ),
            };
            let message = format!("`{name}` receives no gradient from the shape of `{surrogate}`");
            Some(
                Check::finding(Code::W0417, learn, message)
                    .secondary(call.span, "it shapes this surrogate")
                    .note(reason)
                    .help(format!("{help}, or write `detach({name})` there")),
            )
        })
    }

    /// W0416: spikes and states that come back to their own layer only as constants.
    pub(super) fn detached_recurrence(&mut self, network: &Network) {
        for connection in &network.connections {
            let (Source::Layer(from) | Source::State(from, _), Some(to), Some(port)) =
                (connection.source, connection.target, connection.port)
            else {
                continue;
            };
            let LayerKind::Neuron(n) = network.layers[to].kind else {
                continue;
            };
            let neuron = &self.model.neurons[n];
            if from != to || neuron.broken || !port_is_read(neuron, port) {
                continue;
            }
            if !differentiable_reads(neuron, &self.model.surrogates).contains(&Ref::Port(port)) {
                let layer = &network.layers[to].name.text;
                let message = format!(
                    "every path {layer} -> {layer} is detached: these weights receive no gradient"
                );
                let name = &neuron.ports[port].name;
                self.report(
                    Check::finding(Code::W0416, connection.span, message)
                        .secondary(name.span, "read only inside `detach` or in conditions"),
                );
            }
        }
    }

    /// W0604: layers from which the loss is not reached.
    pub(super) fn readout_reached(&mut self, train: &Train, network: &Network) {
        let Some(setting) = train.setting("loss") else {
            return;
        };
        let SettingValue::Loss(loss) = &setting.value else {
            return;
        };
        let reached = reaching(network, loss.layers());
        for (layer, reached) in network.layers.iter().zip(reached) {
            if !reached {
                let message = format!("layer `{}` does not reach the loss", layer.name.text);
                self.report(Check::finding(Code::W0604, layer.name.span, message));
            }
        }
        self.learnable_path(train, network, loss);
    }

    /// W0604: layers from which no readout is reached, in a network that has readouts and no plan, which
    /// would say what is read.
    pub(super) fn readouts_reached(&mut self, network: &Network) {
        let plans = self.items.trains.iter();
        let mut plans = plans.map(|plan| &plan.network.text);
        if network.is_group || plans.any(|name| *name == network.name.text) {
            return;
        }
        let is_readout = |layer: &crate::model::Layer| match layer.kind {
            LayerKind::Neuron(n) => {
                let neuron = &self.model.neurons[n];
                neuron.spikes.is_empty() && !neuron.broken && !neuron.ports.is_empty()
            }
            LayerKind::Group(_) | LayerKind::Unknown => false,
        };
        let layers = network.layers.iter();
        let readouts: Vec<usize> = layers
            .enumerate()
            .filter_map(|(i, layer)| is_readout(layer).then_some(i))
            .collect();
        let Some(first) = readouts.first().map(|&i| network.layers[i].name.clone()) else {
            return;
        };
        let reached = reaching(network, readouts);
        for (layer, reached) in network.layers.iter().zip(reached) {
            if !reached {
                let message = format!("layer `{}` reaches no readout", layer.name.text);
                self.report(
                    Check::finding(Code::W0604, layer.name.span, message)
                        .secondary(first.span, "a readout: it does not spike")
                        .help(format!(
                            "connect it, as in `connect {} -> …`, or remove it",
                            layer.name.text
                        )),
                );
            }
        }
    }

    /// E0410: nothing that can be trained reaches the loss.
    fn learnable_path(
        &mut self,
        train: &Train,
        network: &Network,
        loss: &crate::model::objective::Term,
    ) {
        let weights = network
            .connections
            .iter()
            .any(|c| !c.frozen && c.target.is_some());
        let params = network.layers.iter().flat_map(|l| &l.params);
        let learned = params.into_iter().any(|p| p.learn.is_some());
        if !weights && !learned {
            let message = format!("nothing in `{}` can be trained", network.name.text);
            self.report(
                Check::finding(Code::E0410, loss.span, message)
                    .secondary(train.name.span, "for this plan")
                    .help("remove `frozen` from a connection, or let a parameter `learn`"),
            );
        }
    }
}

/// The layers that have a way to one of these.
fn reaching(network: &Network, ends: Vec<usize>) -> Vec<bool> {
    let mut reached = vec![false; network.layers.len()];
    for layer in ends {
        reached[layer] = true;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for connection in &network.connections {
            if let (Source::Layer(from) | Source::State(from, _), Some(to)) =
                (connection.source, connection.target)
                && reached[to]
                && !reached[from]
            {
                reached[from] = true;
                changed = true;
            }
        }
    }
    reached
}

/// Whether a port is read by a block or a formula.
pub(super) fn port_is_read(neuron: &Neuron, port: usize) -> bool {
    neuron.receives.iter().any(|r| r.port == port) || reads_of(neuron).contains(&Ref::Port(port))
}

/// The expressions of a neuron with what is read in each.
fn expressions(neuron: &Neuron) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = Vec::new();
    for param in &neuron.params {
        exprs.extend(start_exprs(&param.start));
        if let Some(bounds) = &param.bounds {
            exprs.extend([&bounds.lo, &bounds.hi]);
        }
    }
    exprs.extend(neuron.states.iter().flat_map(|s| start_exprs(&s.start)));
    exprs.extend(running_expressions(neuron));
    exprs
}

/// The expressions that change states: lets, equations, and the assignments of arrivals and resets.
fn moving_expressions(neuron: &Neuron) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = Vec::new();
    exprs.extend(neuron.lets.iter().map(|l| &l.value));
    exprs.extend(
        neuron
            .states
            .iter()
            .filter_map(|s| Some(&s.dynamics.as_ref()?.rhs)),
    );
    exprs.extend(
        neuron
            .receives
            .iter()
            .flat_map(|r| &r.body)
            .map(|a| &a.value),
    );
    exprs.extend(neuron.resets.iter().flat_map(|r| &r.body).map(|a| &a.value));
    exprs
}

/// The expressions that are evaluated in a step.
pub(super) fn running_expressions(neuron: &Neuron) -> Vec<&Expr> {
    let mut exprs = moving_expressions(neuron);
    for spike in &neuron.spikes {
        match &spike.trigger {
            Trigger::Crossing { above, below, .. } => exprs.extend([above, below]),
            Trigger::Count(count) => exprs.push(count),
            Trigger::Invalid(_) => {}
        }
        exprs.extend(&spike.scale);
        exprs.extend(&spike.payload);
        exprs.extend(spike.surrogate.iter().flat_map(|c| &c.args));
    }
    exprs.extend(neuron.refractory.iter().map(|r| &r.duration));
    exprs
}

fn start_exprs(start: &Start) -> Vec<&Expr> {
    match start {
        Start::Value(expr) => vec![expr],
        Start::Random(draw) => draw.args.iter().flatten().collect(),
    }
}

/// Every name that a neuron reads somewhere, sorted.
fn reads_of(neuron: &Neuron) -> Vec<Ref> {
    let mut reads: Vec<Ref> = expressions(neuron)
        .into_iter()
        .flat_map(walk::refs)
        .collect();
    reads.sort_unstable();
    reads.dedup();
    reads
}

/// The smoothed spike by which the shape of a surrogate gets its gradient.
fn smoothed<'a>(
    spike: &'a Spike,
    surrogates: &'a [Surrogate],
) -> Option<(&'a [Expr], &'a Surrogate)> {
    let call = spike.surrogate.as_ref()?;
    let surrogate = &surrogates[call.surrogate?];
    let crosses = matches!(spike.trigger, Trigger::Crossing { .. });
    (crosses && surrogate.primitive.is_some()).then_some((&call.args, surrogate))
}

/// Every name from which a gradient can come back in a step.
fn differentiable_reads(neuron: &Neuron, surrogates: &[Surrogate]) -> Vec<Ref> {
    let mut exprs: Vec<&Expr> = Vec::new();
    exprs.extend(
        neuron
            .states
            .iter()
            .filter_map(|s| Some(&s.dynamics.as_ref()?.rhs)),
    );
    exprs.extend(neuron.states.iter().flat_map(|s| start_exprs(&s.start)));
    exprs.extend(
        neuron
            .receives
            .iter()
            .flat_map(|r| &r.body)
            .map(|a| &a.value),
    );
    exprs.extend(neuron.resets.iter().flat_map(|r| &r.body).map(|a| &a.value));
    for spike in &neuron.spikes {
        if let Trigger::Crossing { above, below, .. } = &spike.trigger {
            exprs.extend([above, below]);
        }
        exprs.extend(&spike.scale);
        exprs.extend(&spike.payload);
        if let Some((shape, surrogate)) = smoothed(spike, surrogates) {
            let primitive = surrogate.primitive.iter();
            let read: Vec<Ref> = primitive
                .flat_map(|p| walk::deep_differentiable_refs(p, &surrogate.lets))
                .collect();
            let shape = shape.iter().enumerate();
            // The margin is the first formal.
            let shape = shape.filter(|(i, _)| read.contains(&Ref::Formal(i + 1)));
            exprs.extend(shape.map(|(_, arg)| arg));
        }
    }
    let deep = |e: &Expr| walk::deep_differentiable_refs(e, &neuron.lets);
    exprs.into_iter().flat_map(deep).collect()
}

/// Which states influence a spike condition, now or in a later step.
fn states_before_spikes(neuron: &Neuron) -> Vec<bool> {
    let mut reaching = vec![false; neuron.states.len()];
    let mut todo: Vec<&Expr> = Vec::new();
    for spike in &neuron.spikes {
        match &spike.trigger {
            Trigger::Crossing { above, below, .. } => todo.extend([above, below]),
            Trigger::Count(count) => todo.push(count),
            Trigger::Invalid(_) => {}
        }
    }
    while let Some(expr) = todo.pop() {
        for state in walk::deep_refs(expr, &neuron.lets)
            .iter()
            .filter_map(|r| r.as_state())
        {
            if std::mem::replace(&mut reaching[state], true) {
                continue;
            }
            let dynamics = neuron.states[state].dynamics.as_ref();
            todo.extend(dynamics.map(|d| &d.rhs));
            let receives = neuron.receives.iter().flat_map(|r| &r.body);
            let resets = neuron.resets.iter().flat_map(|r| &r.body);
            let assigns = receives.chain(resets).filter(|a| a.state == state);
            todo.extend(assigns.map(|a| &a.value));
        }
    }
    reaching
}

fn has_error(expr: &Expr) -> bool {
    let mut found = false;
    walk::visit(expr, &mut |e| found |= e.kind == ExprKind::Error);
    found
}

fn has_condition(expr: &Expr) -> bool {
    let mut found = false;
    walk::visit(expr, &mut |e| {
        found |= matches!(e.kind, ExprKind::If { .. })
    });
    found
}

fn lets_have_condition(neuron: &Neuron, expr: &Expr) -> bool {
    walk::needed_lets(expr, &neuron.lets)
        .iter()
        .any(|&i| has_condition(&neuron.lets[i].value))
}

/// Calls of functions without a derivative that are not inside `detach` or a condition.
pub(super) fn flat_calls<'e>(expr: &'e Expr, found: &mut dyn FnMut(&'e Expr, Builtin)) {
    match &expr.kind {
        ExprKind::Builtin { function, .. } if *function == Builtin::Detach => return,
        ExprKind::Builtin { function, .. } if function.is_flat() => {
            found(expr, *function);
            return;
        }
        ExprKind::If {
            then, otherwise, ..
        } => {
            flat_calls(then, found);
            flat_calls(otherwise, found);
            return;
        }
        ExprKind::Error
        | ExprKind::Number { .. }
        | ExprKind::Bool(_)
        | ExprKind::Ref(_)
        | ExprKind::Neg(_)
        | ExprKind::Not(_)
        | ExprKind::Binary { .. }
        | ExprKind::Builtin { .. }
        | ExprKind::Call { .. } => {}
    }
    for part in walk::parts(expr) {
        flat_calls(part, found);
    }
}

/// The states with a differential equation.
pub(super) fn ode_states(neuron: &Neuron) -> Vec<usize> {
    let is_ode = |i: &usize| {
        let dynamics = neuron.states[*i].dynamics.as_ref();
        dynamics.is_some_and(|d| matches!(d.kind, DynamicsKind::Ode(_)))
    };
    (0..neuron.states.len()).filter(is_ode).collect()
}
