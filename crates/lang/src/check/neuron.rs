//! Neurons: parents merged, names declared, statements resolved.
//!
//! A child has all statements of its parent first and then its own. It may give the parent's
//! parameters new values, and its own `refractory` or `order` replaces the parent's.

use super::Check;
use super::items::ItemRef;
use super::params::{Around, ty};
use super::scope::Scope;
use crate::ast::{self, AssignOp, NeuronStmt, Phase};
use crate::diag::{Code, did_you_mean, with_prefix};
use crate::model::builtin::Operation;
use crate::model::{
    Assign, Dynamics, DynamicsKind, Expr, ExprKind, Integrator, Method, Neuron, Noise, Param, Port,
    Receive, Ref, Refractory, Reset, Shown, Spike, Start, State, Ty, walk,
};
use crate::span::Span;
use crate::units::Dimension;

/// A longer line of parents is a mistake.
const MAX_ANCESTORS: usize = 32;

/// A neuron's statements, the oldest ancestor's first, each with whether it is the neuron's own.
struct Statements<'a> {
    all: Vec<(&'a NeuronStmt, bool)>,
    broken: bool,
}

impl<'a> Statements<'a> {
    /// The statements for which `pick` gives something, with whether they are the neuron's own.
    fn of<T>(&self, pick: impl Fn(&'a NeuronStmt) -> Option<T>) -> Vec<(T, bool)> {
        let picked = |&(stmt, own): &(&'a NeuronStmt, bool)| pick(stmt).map(|t| (t, own));
        self.all.iter().filter_map(picked).collect()
    }
}

/// Picks the statements of one kind.
macro_rules! pick {
    ($statements:expr, $kind:ident) => {
        $statements.of(|stmt| {
            if let NeuronStmt::$kind(inner) = stmt {
                Some(inner)
            } else {
                None
            }
        })
    };
}

impl<'a> Check<'a> {
    /// Builds all neurons.
    pub(super) fn neurons(&mut self) {
        for (index, tree) in self.items.neurons.clone().into_iter().enumerate() {
            let before = self.diagnostics.len();
            let statements = self.statements(index);
            let neuron = self.neuron(tree, &statements);
            // What is only suspicious is not worth a word beside what is wrong.
            let sound = !crate::diag::has_errors(&self.diagnostics[before..]);
            if !sound || !self.items.trusts(tree.span) {
                self.check_neuron(&neuron, sound);
            }
            self.model.neurons.push(neuron);
        }
    }

    /// Collects the statements of a neuron and its ancestors; cycles and missing parents are
    /// reported for the neuron that names them.
    fn statements(&mut self, index: usize) -> Statements<'a> {
        let mut chain = vec![index];
        let mut broken = false;
        loop {
            let last = *chain.last().expect("starts with the neuron itself");
            let tree = self.items.neurons[last];
            broken |= tree.broken;
            let Some(parent) = &tree.parent else {
                break;
            };
            match self.items.find(&parent.text, parent.span) {
                Some(ItemRef::Neuron(_)) if chain.len() >= MAX_ANCESTORS => {
                    broken = true;
                    let message =
                        format!("a neuron inherits from more than {MAX_ANCESTORS} others");
                    if self.diagnostics.iter().all(|d| d.message != message) {
                        self.report(Check::finding(Code::E0607, tree.name.span, message));
                    }
                    break;
                }
                Some(ItemRef::Neuron(next)) if !chain.contains(&next) => chain.push(next),
                Some(ItemRef::Neuron(next)) => {
                    broken = true;
                    if next == index {
                        let message = format!("neuron `{}` inherits from itself", tree.name.text);
                        let finding = Check::finding(Code::E0607, parent.span, message);
                        self.report(finding.label("closes the circle"));
                    }
                    break;
                }
                other => {
                    broken = true;
                    if last == index && !self.items.excused(&parent.text) {
                        self.missing_neuron(parent, other);
                    }
                    break;
                }
            }
        }
        let mut all = Vec::new();
        for &i in chain.iter().rev() {
            let body = &self.items.neurons[i].body;
            all.extend(body.iter().map(|stmt| (stmt, i == index)));
        }
        Statements { all, broken }
    }

    /// There is no neuron of this name.
    pub(super) fn missing_neuron(&mut self, name: &ast::Name, other: Option<ItemRef>) {
        let message = match other {
            Some(item) => format!("`{}` is {}, not a neuron", name.text, item.words()),
            None => format!("there is no neuron `{}`", name.text),
        };
        let finding = Check::finding(Code::E0201, name.span, message);
        let names = self.items.names_of(|i| matches!(i, ItemRef::Neuron(_)));
        let similar = with_prefix(&name.text, names.iter().copied());
        let operation = Operation::find(&name.text.to_lowercase()).is_some();
        let finding = match did_you_mean(&name.text, names.iter().copied()) {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), name.span, near),
            None if !similar.is_empty() => {
                finding.help(format!("did you mean `{}`?", similar.join("` or `")))
            }
            None if operation || matches!(name.text.as_str(), "Linear" | "Conv2d") => finding.help(
                "layers are neurons; what is applied between them is written at a connection: \
                 `connect a -> b.x : dense(…) then dropout(0.5)`",
            ),
            None if names.is_empty() => {
                finding.help("define it, or import the standard ones: `import \"std/neurons.snn\"`")
            }
            None => finding,
        };
        self.report(finding);
    }

    fn neuron(&mut self, tree: &ast::Neuron, statements: &Statements<'_>) -> Neuron {
        let place = format!("neuron `{}`", tree.name.text);
        let mut scope = Scope::new(place, statements.broken);
        let parent = tree
            .parent
            .as_ref()
            .and_then(|p| self.items.find(&p.text, p.span));
        let mut neuron = Neuron {
            name: tree.name.clone(),
            parent: match parent {
                Some(ItemRef::Neuron(i)) => Some(i),
                Some(
                    ItemRef::Const(_)
                    | ItemRef::Surrogate(_)
                    | ItemRef::Fn(_)
                    | ItemRef::Network(_),
                )
                | None => None,
            },
            params: Vec::new(),
            ports: Vec::new(),
            states: Vec::new(),
            lets: Vec::new(),
            noises: Vec::new(),
            receives: Vec::new(),
            spikes: Vec::new(),
            resets: Vec::new(),
            refractory: None,
            order: vec![Phase::Receive, Phase::Integrate, Phase::Spike, Phase::Reset],
            order_span: None,
            broken: statements.broken,
            span: tree.span,
        };
        // Parameters first: initial values may read nothing else, and those before only.
        self.neuron_params(&mut neuron, &mut scope, statements);
        let ports = pick!(statements, Input);
        for (i, (port, _)) in ports.iter().enumerate() {
            self.declare(&mut scope, &port.name, Ref::Port(i), "an input");
        }
        let states = pick!(statements, State);
        for (i, (state, _)) in states.iter().enumerate() {
            self.declare(&mut scope, &state.name, Ref::State(i), "a state");
        }
        let noises = pick!(statements, Noise);
        for (i, (noise, _)) in noises.iter().enumerate() {
            self.declare(&mut scope, &noise.name, Ref::Noise(i), "a noise");
        }
        let spikes = pick!(statements, Spike);
        for (i, (spike, _)) in spikes.iter().enumerate() {
            if let Some(name) = &spike.name {
                self.declare(&mut scope, name, Ref::Spike(i), "a spike");
            }
        }
        let lets: Vec<&ast::Let> = pick!(statements, Let).into_iter().map(|(l, _)| l).collect();
        let lets = self.lets(&mut scope, &lets);
        for (port, _) in &ports {
            let port = self.port(&scope, port);
            neuron.ports.push(port);
        }
        for (state, _) in &states {
            let state = self.state(&scope, &neuron, state);
            neuron.states.push(state);
        }
        for (noise, _) in &noises {
            let noise = self.noise(&scope, noise);
            neuron.noises.push(noise);
        }
        for mut item in lets {
            item.ty = self.infer(&scope, &item.value, &|name| neuron_type(&neuron, name));
            neuron.lets.push(item);
        }
        self.equations(&mut neuron, &scope, statements);
        self.integrators(&mut neuron, statements);
        self.events(&mut neuron, &scope, statements);
        self.once(&mut neuron, &scope, statements);
        let carried = self.neuron_units(&neuron, &scope);
        for (spike, dimension) in neuron.spikes.iter_mut().zip(carried) {
            spike.carries = dimension;
        }
        neuron
    }

    fn declare(&mut self, scope: &mut Scope, name: &ast::Name, target: Ref, words: &'static str) {
        if let Some(finding) = scope.declare(name, target, words) {
            self.report(finding);
        }
    }

    fn neuron_params(
        &mut self,
        neuron: &mut Neuron,
        scope: &mut Scope,
        statements: &Statements<'_>,
    ) {
        let trees = statements.of(|stmt| {
            if let NeuronStmt::Param(param) = stmt {
                Some((param, false))
            } else if let NeuronStmt::Override(param) = stmt {
                Some((param, true))
            } else {
                None
            }
        });
        let mut own = Vec::new();
        for ((tree, is_override), is_own) in trees {
            if is_override {
                let Some(index) = neuron.param(&tree.name.text) else {
                    if !scope.broken {
                        let finding = unknown_override(neuron, tree, statements);
                        // What it would have read and changed is not known.
                        neuron.broken |= finding.code == Code::E0101;
                        self.report(finding);
                    }
                    continue;
                };
                let before = neuron.params[index].clone();
                let owner = neuron.name.text.clone();
                let types = |name: Ref| neuron_type(neuron, name);
                let param = self.param(scope, tree, Some((&before, &owner)), &types);
                neuron.params[index] = merged(before, param, tree);
                own.push(index);
                continue;
            }
            let types = |name: Ref| neuron_type(neuron, name);
            let param = self.param(scope, tree, None, &types);
            let target = Ref::Param(neuron.params.len());
            let first = neuron.param(&tree.name.text);
            if let Some(finding) = scope.declare(&tree.name, target, "a parameter") {
                let again = is_own && first.is_some_and(|index| !own.contains(&index));
                self.report(match again {
                    false => finding,
                    true => finding.help_edit(
                        "write the line without `param` to give the parent's parameter another value",
                        Span {
                            start: tree.span.start,
                            end: tree.name.span.start,
                        },
                        "",
                    ),
                });
            }
            if is_own {
                own.push(neuron.params.len());
            }
            neuron.params.push(param);
        }
        self.param_values(&neuron.params, &own, Around::NOTHING);
    }

    fn port(&mut self, scope: &Scope, tree: &ast::Port) -> Port {
        let declared = tree.unit.as_ref();
        let failed = declared.is_some();
        let shown = declared.and_then(|unit| self.declared_unit(scope, unit));
        let dimension = match &shown {
            Some(shown) => Some(shown.unit.dimension),
            None if failed => None,
            None => Some(Dimension::NONE),
        };
        Port {
            name: tree.name.clone(),
            shown: shown.unwrap_or_else(Shown::plain),
            dimension,
        }
    }

    fn state(&mut self, scope: &Scope, neuron: &Neuron, tree: &ast::State) -> State {
        let start = self.start(scope, &tree.init);
        self.initial_reads(scope, &start);
        let own = self.start_dimension(scope, &start, &|name| neuron_type(neuron, name));
        let annotated = tree.unit.as_ref();
        let annotated = annotated.and_then(|unit| self.declared_unit(scope, unit));
        let dimension = annotated.as_ref().map_or(own, |s| Some(s.unit.dimension));
        if let (Some(own), Some(needed)) = (own, dimension)
            && own != needed
        {
            let message = format!(
                "`{}` is declared {}, but its initial value is {}",
                tree.name.text,
                super::units::in_words(needed),
                super::units::in_words(own)
            );
            self.report(Check::finding(Code::E0304, tree.init.span, message));
        }
        let shown = annotated.unwrap_or_else(|| match &start {
            Start::Value(Expr {
                kind: ExprKind::Ref(Ref::Param(i)),
                ..
            }) => neuron.params[*i].shown.clone(),
            Start::Value(_) | Start::Random(_) => self.shown(&tree.init, dimension),
        });
        State {
            name: tree.name.clone(),
            shown,
            dimension,
            start,
            dynamics: None,
            annotation: tree.unit.as_ref().map(|u| u.span),
            span: tree.span,
        }
    }

    /// Initial values may read parameters only.
    fn initial_reads(&mut self, scope: &Scope, start: &Start) {
        let exprs: Vec<&Expr> = match start {
            Start::Value(expr) => vec![expr],
            Start::Random(draw) => draw.args.iter().flatten().collect(),
        };
        for expr in exprs {
            let mut wrong: Option<(Ref, Span)> = None;
            walk::visit(expr, &mut |e| {
                if let ExprKind::Ref(name) = e.kind {
                    let dynamic = match name {
                        Ref::Let(_)
                        | Ref::Port(_)
                        | Ref::State(_)
                        | Ref::Spike(_)
                        | Ref::Noise(_) => true,
                        Ref::Const(_)
                        | Ref::Formal(_)
                        | Ref::Param(_)
                        | Ref::Pi
                        | Ref::FanIn
                        | Ref::FanOut => false,
                    };
                    if dynamic && wrong.is_none() {
                        wrong = Some((name, e.span));
                    }
                }
            });
            if let Some((name, span)) = wrong {
                let text = scope.name_of(name).unwrap_or("this");
                let what = scope.find(text).map_or("not a parameter", |e| e.words);
                let message =
                    format!("an initial value may read parameters only; `{text}` is {what}");
                self.report(Check::finding(Code::E0208, span, message));
            }
        }
    }

    fn noise(&mut self, scope: &Scope, tree: &ast::Noise) -> Noise {
        if tree.process.callee.text != "white" {
            let message = format!("there is no noise `{}`", tree.process.callee.text);
            self.report(
                Check::finding(Code::E0201, tree.process.callee.span, message).help_edit(
                    "there is white noise",
                    tree.process.callee.span,
                    "white",
                ),
            );
        }
        if let Some(arg) = tree.process.args.first() {
            self.resolve(scope, &arg.value);
            let message = "`white` has no parameters; multiply the noise by its amplitude";
            self.report(Check::finding(Code::E0210, arg.value.span, message));
        }
        Noise {
            name: tree.name.clone(),
            span: tree.span,
        }
    }

    fn equations(&mut self, neuron: &mut Neuron, scope: &Scope, statements: &Statements<'_>) {
        let odes = pick!(statements, Ode).into_iter().map(|(e, _)| (e, true));
        let nexts = pick!(statements, Next).into_iter().map(|(e, _)| (e, false));
        let mut equations: Vec<(&ast::Equation, bool)> = odes.chain(nexts).collect();
        equations.sort_by_key(|(e, _)| e.span);
        for (tree, is_ode) in equations {
            let rhs = self.resolve(scope, &tree.rhs);
            let name = &tree.state.text;
            let Some(index) = state_of(scope, name) else {
                self.undeclared_state(scope, tree, is_ode);
                continue;
            };
            let integrator = Integrator {
                method: Method::Auto,
                span: None,
            };
            let kind = if is_ode {
                DynamicsKind::Ode(integrator)
            } else {
                DynamicsKind::Next
            };
            if let Some(first) = &neuron.states[index].dynamics {
                let message = format!("`{name}` has two equations");
                let finding = Check::finding(Code::E0204, tree.span, message)
                    .label("the second one")
                    .secondary(first.span, "the first one");
                self.report(finding);
                continue;
            }
            neuron.states[index].dynamics = Some(Dynamics {
                kind,
                rhs,
                span: tree.span,
            });
        }
    }

    fn undeclared_state(&mut self, scope: &Scope, tree: &ast::Equation, is_ode: bool) {
        let name = &tree.state.text;
        let written = if is_ode {
            format!("`{name}'`")
        } else {
            format!("`next {name}`")
        };
        let finding = match scope.find(name) {
            Some(entry) => {
                let message = format!("`{name}` is {}; only states have equations", entry.words);
                Check::finding(Code::E0202, tree.state.span, message)
                    .secondary(entry.span, "declared here")
            }
            None if scope.broken => return,
            None => {
                let message = format!("{written} has an equation, but there is no `state {name}`");
                let finding = Check::finding(Code::E0203, tree.state.span, message);
                let states = scope
                    .entries()
                    .filter(|(_, t)| t.as_state().is_some())
                    .map(|(n, _)| n);
                match did_you_mean(name, states) {
                    Some(near) => {
                        finding.help_edit(format!("did you mean `{near}`?"), tree.state.span, near)
                    }
                    None => finding.help_edit(
                        "declare it",
                        tree.span.before(),
                        format!("state {name} = 0\n  "),
                    ),
                }
            }
        };
        self.report(finding);
    }

    fn integrators(&mut self, neuron: &mut Neuron, statements: &Statements<'_>) {
        for (tree, _) in pick!(statements, Integrate) {
            for rule in &tree.rules {
                let method = self.method(&rule.method);
                for name in &rule.states {
                    let Some(index) = neuron.state(&name.text) else {
                        if !neuron.broken {
                            let message = format!("there is no state `{}`", name.text);
                            let states = neuron.states.iter().map(|s| s.name.text.as_str());
                            let finding = Check::finding(Code::E0201, name.span, message);
                            let finding = match did_you_mean(&name.text, states) {
                                Some(near) => finding.help_edit(
                                    format!("did you mean `{near}`?"),
                                    name.span,
                                    near,
                                ),
                                None => finding,
                            };
                            self.report(finding);
                        }
                        continue;
                    };
                    let state = &mut neuron.states[index];
                    match &mut state.dynamics {
                        Some(Dynamics {
                            kind: DynamicsKind::Ode(integrator),
                            ..
                        }) => {
                            if let Some(method) = method {
                                *integrator = Integrator {
                                    method,
                                    span: Some(rule.span),
                                };
                            }
                        }
                        Some(_) | None => {
                            if !neuron.broken {
                                let message =
                                    format!("`{}` has no differential equation", name.text);
                                self.report(
                                    Check::finding(Code::E0203, name.span, message)
                                        .secondary(state.span, "the state"),
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    fn events(&mut self, neuron: &mut Neuron, scope: &Scope, statements: &Statements<'_>) {
        for (tree, _) in pick!(statements, OnReceive) {
            let body = self.assigns(neuron, scope, &tree.body);
            match neuron.port(&tree.port.text) {
                Some(port) => neuron.receives.push(Receive {
                    port,
                    body,
                    span: tree.span,
                }),
                None if scope.broken => {}
                None => {
                    let message = format!("there is no input `{}`", tree.port.text);
                    let ports = neuron.ports.iter().map(|p| p.name.text.as_str());
                    let finding = Check::finding(Code::E0201, tree.port.span, message);
                    let near = did_you_mean(&tree.port.text, ports);
                    let finding = match near {
                        Some(near) => finding.help_edit(
                            format!("did you mean `{near}`?"),
                            tree.port.span,
                            near,
                        ),
                        None => finding.help(format!("declare it: `input {}`", tree.port.text)),
                    };
                    self.report(finding);
                }
            }
        }
        for (tree, _) in pick!(statements, Spike) {
            let spike = self.spike(scope, tree);
            neuron.spikes.push(spike);
        }
        if neuron.spikes.len() > 1 {
            for spike in &neuron.spikes {
                if spike.name.is_none() {
                    let message = "with several spike conditions each needs a name";
                    self.report(
                        Check::finding(Code::E0201, spike.span, message)
                            .help("write `spike name when …`"),
                    );
                }
            }
        }
        for (tree, _) in pick!(statements, OnSpike) {
            let body = self.assigns(neuron, scope, &tree.body);
            let spike = self.reset_spike(neuron, tree);
            neuron.resets.push(Reset {
                spike,
                gradient: tree.gradient,
                body,
                head: tree.head_span,
                span: tree.span,
            });
        }
    }

    fn reset_spike(&mut self, neuron: &Neuron, tree: &ast::OnSpike) -> Option<usize> {
        if let Some(name) = &tree.spike {
            let named = |s: &Spike| s.name.as_ref().is_some_and(|n| n.text == name.text);
            let found = neuron.spikes.iter().position(named);
            if found.is_none() && !neuron.broken {
                let message = format!("there is no spike `{}`", name.text);
                let names = neuron.spikes.iter().filter_map(|s| s.name.as_ref());
                let near = did_you_mean(&name.text, names.map(|n| n.text.as_str()));
                let finding = Check::finding(Code::E0201, name.span, message);
                self.report(match near {
                    Some(near) => {
                        finding.help_edit(format!("did you mean `{near}`?"), name.span, near)
                    }
                    None => finding,
                });
            }
            return found;
        }
        if neuron.spikes.is_empty() && !neuron.broken {
            let message = "this neuron never spikes: there is no `spike when …`";
            self.report(Check::finding(Code::E0201, tree.head_span, message));
        }
        None
    }

    fn assigns(&mut self, neuron: &Neuron, scope: &Scope, body: &[ast::Assign]) -> Vec<Assign> {
        let mut built = Vec::new();
        for tree in body {
            let value = self.resolve(scope, &tree.value);
            let name = &tree.target.text;
            if let Some(state) = state_of(scope, name) {
                built.push(Assign {
                    state,
                    op: tree.op,
                    value,
                    target: tree.target.span,
                    span: tree.span,
                });
                continue;
            }
            let finding = match scope.find(name) {
                Some(entry) => {
                    let message =
                        format!("`{name}` is {}; only states can be assigned", entry.words);
                    Check::finding(Code::E0202, tree.target.span, message)
                        .secondary(entry.span, "declared here")
                }
                None if scope.broken => continue,
                None => {
                    let message = format!("there is no state `{name}` to assign to");
                    let finding = Check::finding(Code::E0201, tree.target.span, message);
                    let states = neuron.states.iter().map(|s| s.name.text.as_str());
                    match did_you_mean(name, states) {
                        Some(near) => finding.help_edit(
                            format!("did you mean `{near}`?"),
                            tree.target.span,
                            near,
                        ),
                        None => finding,
                    }
                }
            };
            self.report(finding);
        }
        built
    }

    /// `refractory` and `order`: the neuron's own replaces the parent's, but may be given once.
    fn once(&mut self, neuron: &mut Neuron, scope: &Scope, statements: &Statements<'_>) {
        let refractory = pick!(statements, Refractory);
        self.repeated(
            "refractory",
            refractory.iter().map(|(r, own)| (r.span, *own)),
        );
        if let Some((tree, _)) = refractory.last() {
            let duration = self.resolve(scope, &tree.duration);
            let mut holds = Vec::new();
            for name in &tree.holds {
                let found = neuron.state(&name.text);
                self.held(scope, name, found.is_some(), "state");
                holds.extend(found);
            }
            let mut drops = Vec::new();
            for name in &tree.drops {
                let found = neuron.port(&name.text);
                self.held(scope, name, found.is_some(), "input");
                drops.extend(found);
            }
            neuron.refractory = Some(Refractory {
                duration,
                holds,
                drops,
                span: tree.span,
            });
        }
        let order = pick!(statements, Order);
        self.repeated("order", order.iter().map(|(o, own)| (o.span, *own)));
        if let Some((tree, _)) = order.last() {
            neuron.order = Vec::new();
            neuron.order_span = Some(tree.span);
            for &(phase, span) in &tree.phases {
                if neuron.order.contains(&phase) {
                    let message = format!("`{}` is in the order twice", phase.word());
                    self.report(Check::finding(Code::E0105, span, message));
                } else {
                    neuron.order.push(phase);
                }
            }
        }
    }

    fn held(&mut self, scope: &Scope, name: &ast::Name, found: bool, kind: &str) {
        if found || scope.broken {
            return;
        }
        let message = match scope.find(&name.text) {
            Some(entry) => format!(
                "`{}` is {}, not a{} {kind}",
                name.text,
                entry.words,
                if kind == "input" { "n" } else { "" }
            ),
            None => format!("there is no {kind} `{}`", name.text),
        };
        self.report(Check::finding(Code::E0201, name.span, message));
    }

    fn repeated(&mut self, word: &str, places: impl Iterator<Item = (Span, bool)>) {
        let own: Vec<Span> = places
            .filter(|(_, own)| *own)
            .map(|(span, _)| span)
            .collect();
        if let [first, rest @ ..] = own.as_slice() {
            for span in rest {
                let message = format!("`{word}` is already given");
                self.report(
                    Check::finding(Code::E0105, *span, message)
                        .secondary(*first, "first given here"),
                );
            }
        }
    }
}

/// The state of a name.
fn state_of(scope: &Scope, name: &str) -> Option<usize> {
    scope.find(name)?.target.as_state()
}

/// A parameter with the parts that an override does not mention taken from the declaration.
pub(super) fn merged(before: Param, mut after: Param, tree: &ast::Param) -> Param {
    after.name = before.name;
    // New bounds make the old way of learning impossible to judge only if they are given.
    if tree.value.bounds.is_none() {
        after.bounds = before.bounds;
    }
    if tree.value.learn.is_none() {
        after.learn = before.learn;
    }
    after
}

/// `LIF` has no parameter `tau_m`; it has …
pub(super) fn unknown_parameter(
    owner: &str,
    name: &ast::Name,
    names: &[&str],
) -> crate::diag::Diagnostic {
    let has = if names.is_empty() {
        "it has none".to_string()
    } else {
        format!("it has {}", names.join(", "))
    };
    let message = format!("{owner} has no parameter `{}`; {has}", name.text);
    let finding = Check::finding(Code::E0210, name.span, message);
    match did_you_mean(&name.text, names.iter().copied()) {
        Some(near) => finding.help_edit(format!("did you mean `{near}`?"), name.span, near),
        None => finding,
    }
}

/// `name = value` in a neuron that is no parameter of a parent. Of a state it was meant as its next value.
fn unknown_override(
    neuron: &Neuron,
    tree: &ast::Param,
    statements: &Statements<'_>,
) -> crate::diag::Diagnostic {
    let name = &tree.name;
    let mut states = pick!(statements, State).into_iter();
    let state = states.find(|(state, _)| state.name.text == name.text);
    if let Some((state, _)) = state {
        let message = format!(
            "`{0} = …` says nothing about time; `{0}` is a state",
            name.text
        );
        return Check::finding(Code::E0101, name.span, message)
            .secondary(state.name.span, "declared here")
            .note(format!(
                "`next {0} = …` is the value after a step, `{0}' = …` an equation; arrivals and spikes assign in blocks",
                name.text
            ))
            .help_edit("write", name.span.before(), "next ");
    }
    let names: Vec<&str> = neuron.params.iter().map(|p| p.name.text.as_str()).collect();
    unknown_parameter("the parent of this neuron", name, &names)
}

/// The type of a name of a neuron; unknown while it is not built yet.
pub(super) fn neuron_type(neuron: &Neuron, name: Ref) -> Ty {
    match name {
        Ref::Param(i) => neuron
            .params
            .get(i)
            .map_or(Ty::Unknown, |p| ty(p.dimension)),
        Ref::Port(i) => neuron.ports.get(i).map_or(Ty::Unknown, |p| ty(p.dimension)),
        Ref::State(i) => neuron
            .states
            .get(i)
            .map_or(Ty::Unknown, |s| ty(s.dimension)),
        Ref::Let(i) => neuron.lets.get(i).map_or(Ty::Unknown, |l| l.ty),
        Ref::Spike(_) | Ref::Pi | Ref::FanIn | Ref::FanOut => Ty::Real(Dimension::NONE),
        Ref::Noise(_) => Ty::Real(Dimension::white_noise()),
        Ref::Const(_) | Ref::Formal(_) => Ty::Unknown,
    }
}

/// What an assignment does to a unit: `*=` and `/=` take plain numbers.
pub(super) fn takes_plain(op: AssignOp) -> bool {
    match op {
        AssignOp::Mul | AssignOp::Div => true,
        AssignOp::Set | AssignOp::Add | AssignOp::Sub => false,
    }
}
