//! The checked model as text: what the checker made of a program.
//!
//! Compared with the tree: parents are merged in, names are resolved, every parameter, state and port has its
//! unit, numbers are in base units, integrators and the order of phases stand where they hold, and layers
//! carry the parameters that they change. The text is for reading; it is not a program.

mod objective;

use std::fmt::Write;

use crate::ast::ScopeKind;
use crate::model::builtin::Law;
use crate::model::{
    Argument, Assign, ChoiceArg, DynamicsKind, Expr, ExprKind, Formal, LayerKind, Let, Model,
    Network, Neuron, Param, Ref, SettingValue, Source, Spike, Start, Surrogate, Train, Trigger, Ty,
    Via,
};
use crate::span::Span;
use crate::units::print::shown;
use crate::units::{Dimension, Unit};

/// The model as text. `own` tells which places are in the program's own file: what an import brings is
/// shown only where the program uses it.
pub fn print(model: &Model, own: &dyn Fn(Span) -> bool) -> String {
    let used = Used::new(model, own);
    let mut page = Page {
        model,
        out: String::new(),
    };
    for (surrogate, used) in model.surrogates.iter().zip(&used.surrogates) {
        if *used {
            page.surrogate(surrogate);
        }
    }
    for (neuron, used) in model.neurons.iter().zip(&used.neurons) {
        if *used {
            page.neuron(neuron);
        }
    }
    for network in model.networks.iter().filter(|n| own(n.span)) {
        page.network(network);
    }
    for train in model.trains.iter().filter(|t| own(t.span)) {
        page.train(train);
    }
    // Functions and constants have no parts of their own: those that occur in the text so far are used.
    let body = std::mem::take(&mut page.out);
    page.functions(own, &body);
    let body = std::mem::take(&mut page.out) + &body;
    let none = Names::default();
    for constant in &model.consts {
        let name = constant.name.text.as_str();
        if own(constant.name.span) || occurs(name, &body) {
            let value = page.expr(&none, &constant.value);
            page.line(0, format!("const {name} = {value}"));
        }
    }
    page.out + &body
}

/// Whether a name stands in a text as a word.
fn occurs(name: &str, text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == name)
}

/// Which neurons and surrogates the program's own file has or uses.
struct Used {
    neurons: Vec<bool>,
    surrogates: Vec<bool>,
}

impl Used {
    fn new(model: &Model, own: &dyn Fn(Span) -> bool) -> Used {
        let mut neurons: Vec<bool> = model.neurons.iter().map(|n| own(n.span)).collect();
        for network in model.networks.iter().filter(|n| own(n.span)) {
            for layer in &network.layers {
                if let LayerKind::Neuron(i) = layer.kind {
                    neurons[i] = true;
                }
            }
        }
        let mut surrogates: Vec<bool> = model.surrogates.iter().map(|s| own(s.span)).collect();
        let shown = model
            .neurons
            .iter()
            .zip(&neurons)
            .filter(|(_, used)| **used);
        for spike in shown.flat_map(|(neuron, _)| &neuron.spikes) {
            if let Some(i) = spike.surrogate.as_ref().and_then(|call| call.surrogate) {
                surrogates[i] = true;
            }
        }
        Used {
            neurons,
            surrogates,
        }
    }
}

/// What the names of an expression stand for.
#[derive(Clone, Copy, Default)]
struct Names<'a> {
    neuron: Option<&'a Neuron>,
    formals: &'a [Formal],
    lets: &'a [Let],
}

struct Page<'a> {
    model: &'a Model,
    out: String,
}

impl Page<'_> {
    /// The functions of the program's own file and those that `body` or another function uses.
    fn functions(&mut self, own: &dyn Fn(Span) -> bool, body: &str) {
        let mut lines: Vec<Option<String>> = vec![None; self.model.functions.len()];
        let mut text = body.to_string();
        // A function may be used by one that stands after it.
        for i in (0..lines.len()).rev() {
            let function = &self.model.functions[i];
            let name = function.name.text.as_str();
            if !own(function.name.span) && !occurs(name, &text) {
                continue;
            }
            let names = Names {
                formals: &function.formals,
                ..Names::default()
            };
            let value = self.expr(&names, &function.body);
            let formals = self.formals(&function.formals);
            let derivative = match function.derivative {
                Some(_) => ", own derivative",
                None => "",
            };
            let line = format!("fn {name}({formals}) = {value}{derivative}");
            text.push_str(&line);
            lines[i] = Some(line);
        }
        for line in lines.into_iter().flatten() {
            self.line(0, line);
        }
    }

    fn line(&mut self, depth: usize, text: String) {
        writeln!(self.out, "{:1$}{text}", "", 2 * depth)
            .expect("writing to a string does not fail");
    }

    fn surrogate(&mut self, surrogate: &Surrogate) {
        let names = Names {
            formals: &surrogate.formals,
            lets: &surrogate.lets,
            ..Names::default()
        };
        let formals = self.formals(&surrogate.formals);
        self.line(0, format!("surrogate {}({formals})", surrogate.name.text));
        self.lets(&names);
        let derivative = self.expr(&names, &surrogate.derivative);
        self.line(1, format!("derivative = {derivative}"));
        if let Some(primitive) = &surrogate.primitive {
            let primitive = self.expr(&names, primitive);
            self.line(1, format!("primitive = {primitive}"));
        }
        if let Some((low, high)) = &surrogate.support {
            let (low, high) = (self.expr(&names, low), self.expr(&names, high));
            self.line(1, format!("support = {low} .. {high}"));
        }
    }

    fn formals(&self, formals: &[Formal]) -> String {
        let none = Names::default();
        let formal = |f: &Formal| match &f.default {
            Some(default) => format!("{} = {}", f.name.text, self.expr(&none, default)),
            None => f.name.text.clone(),
        };
        list(formals, formal)
    }

    fn lets(&mut self, names: &Names<'_>) {
        for one in names.lets {
            let value = self.expr(names, &one.value);
            let unit = match one.ty {
                Ty::Bool => "bool".to_string(),
                Ty::Unknown | Ty::Real(_) => unit_of(one.ty.dimension()),
            };
            self.line(1, format!("let {} : {unit} = {value}", one.name.text));
        }
    }

    fn neuron(&mut self, neuron: &Neuron) {
        let names = Names {
            neuron: Some(neuron),
            lets: &neuron.lets,
            ..Names::default()
        };
        self.line(0, format!("neuron {}", neuron.name.text));
        let order = list(&neuron.order, |p| p.word().to_string());
        self.line(1, format!("order {order}"));
        for param in &neuron.params {
            let text = self.param(&names, param);
            self.line(1, format!("param {text}"));
        }
        for port in &neuron.ports {
            self.line(
                1,
                format!("input {} : {}", port.name.text, unit_of(port.dimension)),
            );
        }
        for noise in &neuron.noises {
            self.line(1, format!("noise {}", noise.name.text));
        }
        for state in &neuron.states {
            let (name, unit) = (&state.name.text, unit_of(state.dimension));
            let start = self.start(&names, &state.start);
            self.line(1, format!("state {name} : {unit} = {start}"));
        }
        self.lets(&names);
        for state in &neuron.states {
            let (name, Some(dynamics)) = (&state.name.text, &state.dynamics) else {
                continue;
            };
            let rhs = self.expr(&names, &dynamics.rhs);
            self.line(
                1,
                match dynamics.kind {
                    DynamicsKind::Ode(integrator) => {
                        format!("{name}' = {rhs}, integrator {}", integrator.method.text())
                    }
                    DynamicsKind::Next => format!("next {name} = {rhs}"),
                },
            );
        }
        for receive in &neuron.receives {
            let port = &neuron.ports[receive.port].name.text;
            let body = self.body(&names, &receive.body);
            self.line(1, format!("on receive {port}: {body}"));
        }
        for (i, spike) in neuron.spikes.iter().enumerate() {
            let text = self.spike(&names, spike, i);
            self.line(1, text);
        }
        for reset in &neuron.resets {
            let which = reset
                .spike
                .map_or(String::new(), |i| format!(" {}", spike_name(neuron, i)));
            let gradient = reset
                .gradient
                .map_or(String::new(), |g| format!(" {}", g.word()));
            let body = self.body(&names, &reset.body);
            self.line(1, format!("on spike{which}{gradient}: {body}"));
        }
        if let Some(refractory) = &neuron.refractory {
            let duration = self.expr(&names, &refractory.duration);
            let holds = list(&refractory.holds, |&i| neuron.states[i].name.text.clone());
            let drops = list(&refractory.drops, |&i| neuron.ports[i].name.text.clone());
            self.line(
                1,
                format!("refractory {duration}, holds [{holds}], drops [{drops}]"),
            );
        }
    }

    fn param(&self, names: &Names<'_>, param: &Param) -> String {
        let sharing = match param.sharing {
            ScopeKind::Shared => String::new(),
            per @ (ScopeKind::Neuron | ScopeKind::Channel | ScopeKind::Synapse) => {
                format!(" {}", per.words())
            }
        };
        let start = self.start(names, &param.start);
        let bounds = param.bounds.as_ref().map_or(String::new(), |b| {
            format!(
                " in {} .. {}",
                self.expr(names, &b.lo),
                self.expr(names, &b.hi)
            )
        });
        let learn = param
            .learn
            .map_or(String::new(), |l| format!(" learn via {}", via(l.via)));
        let (name, unit) = (&param.name.text, unit_of(param.dimension));
        format!("{name} : {unit}{sharing} = {start}{bounds}{learn}")
    }

    fn start(&self, names: &Names<'_>, start: &Start) -> String {
        match start {
            Start::Value(value) => self.expr(names, value),
            Start::Random(draw) => {
                let slots = draw.law.slots().iter().zip(&draw.args);
                let args: Vec<String> = slots
                    .filter_map(|(slot, arg)| {
                        Some(format!(
                            "{} = {}",
                            slot.name,
                            self.expr(names, arg.as_ref()?)
                        ))
                    })
                    .collect();
                let named = Law::ALL.iter().find(|(_, law)| *law == draw.law);
                format!(
                    "{}({})",
                    named.map_or("?", |(name, _)| name),
                    args.join(", ")
                )
            }
        }
    }

    fn body(&self, names: &Names<'_>, body: &[Assign]) -> String {
        let assign = |a: &Assign| {
            let state = self.name(names, Ref::State(a.state));
            format!("{state} {} {}", a.op.symbol(), self.expr(names, &a.value))
        };
        list(body, assign)
    }

    fn spike(&self, names: &Names<'_>, spike: &Spike, index: usize) -> String {
        let name = names.neuron.map_or(String::new(), |n| spike_name(n, index));
        let mut text = match &spike.trigger {
            Trigger::Crossing {
                above,
                below,
                strict,
                ..
            } => {
                let sign = if *strict { ">" } else { ">=" };
                let (above, below) = (self.expr(names, above), self.expr(names, below));
                format!("spike {name} when {above} {sign} {below}")
            }
            Trigger::Count(count) => format!("spike {name} count {}", self.expr(names, count)),
            Trigger::Invalid(_) => format!("spike {name} when ?"),
        };
        for (word, part) in [("payload", &spike.payload), ("scale", &spike.scale)] {
            if let Some(part) = part {
                let part = self.expr(names, part);
                write!(text, " {word} {part}").expect("writing to a string does not fail");
            }
        }
        if let Some(call) = &spike.surrogate {
            let found = call.surrogate.and_then(|i| self.model.surrogates.get(i));
            let surrogate = found.map_or("?", |s| s.name.text.as_str());
            let args = list(&call.args, |a| self.expr(names, a));
            write!(text, " surrogate {surrogate}({args})")
                .expect("writing to a string does not fail");
        }
        text
    }

    fn network(&mut self, network: &Network) {
        let names = Names {
            formals: &network.formals,
            lets: &network.lets,
            ..Names::default()
        };
        let formals = self.formals(&network.formals);
        self.line(0, format!("network {}({formals})", network.name.text));
        self.lets(&names);
        if let Some(step) = &network.step {
            let step = self.expr(&names, step);
            self.line(1, format!("step {step}"));
        }
        for input in &network.inputs {
            let shape = list(&input.shape, |e| self.expr(&names, e));
            self.line(1, format!("input {}[{shape}]", input.name.text));
        }
        for layer in &network.layers {
            let shape = list(&layer.shape, |e| self.expr(&names, e));
            self.line(
                1,
                format!(
                    "layer {} : {}[{shape}]",
                    layer.name.text, layer.kind_name.text
                ),
            );
            let neuron = self.model.neuron(&layer.kind_name.text);
            let inside = Names { neuron, ..names };
            for &i in &layer.overridden {
                let text = self.param(&inside, &layer.params[i]);
                self.line(2, format!("param {text}"));
            }
        }
        for connection in &network.connections {
            let source = match connection.source {
                Source::Input(i) => network.inputs[i].name.text.clone(),
                Source::Layer(i) => network.layers[i].name.text.clone(),
                Source::State(..) | Source::Group(_) | Source::Unknown => {
                    list(&connection.source_path.segments, |s| s.text.clone()).replace(", ", ".")
                }
            };
            let target = list(&connection.target_path.segments, |s| s.text.clone());
            let operation = |op: &crate::model::Operation| {
                let slots = op.kind.slots().iter().zip(&op.args);
                let args: Vec<String> = slots
                    .filter_map(|(slot, arg)| {
                        Some(format!(
                            "{} = {}",
                            slot.name,
                            self.argument(&names, arg.as_ref()?)
                        ))
                    })
                    .collect();
                format!("{}({})", op.callee.text, args.join(", "))
            };
            let ops: Vec<String> = connection.ops.iter().map(operation).collect();
            let delay = connection.delay.as_ref().map_or(String::new(), |d| {
                format!(" delay {}", self.start(&names, &d.start))
            });
            let frozen = if connection.frozen { " frozen" } else { "" };
            let tied = connection.tied.map_or(String::new(), |t| {
                format!(" (weights of connection {})", t.to + 1)
            });
            let (target, ops) = (target.replace(", ", "."), ops.join(" then ") + &tied);
            self.line(
                1,
                format!("connect {source} -> {target} : {ops}{delay}{frozen}"),
            );
        }
    }

    fn argument(&self, names: &Names<'_>, argument: &Argument) -> String {
        match argument {
            Argument::Number(expr) => self.expr(names, expr),
            Argument::Start(start) => self.start(names, start),
            Argument::Bounds(b) => {
                format!("{} .. {}", self.expr(names, &b.lo), self.expr(names, &b.hi))
            }
            Argument::Flag(flag) => flag.to_string(),
            Argument::Map(call) => self.expr(names, call),
            Argument::Invalid => "?".to_string(),
        }
    }

    fn train(&mut self, train: &Train) {
        let network = train.network.and_then(|i| self.model.networks.get(i));
        let name = network.map_or("?", |n| n.name.text.as_str());
        self.line(0, format!("train {} of {name}", train.name.text));
        let none = Names::default();
        let formals = network.map_or(&[][..], |n| &n.formals);
        for (formal, arg) in formals.iter().zip(&train.args) {
            if let Some(arg) = arg {
                let value = self.expr(&none, arg);
                self.line(1, format!("with {} = {value}", formal.name.text));
            }
        }
        for setting in &train.settings {
            let value = self.setting(network, &setting.value);
            self.line(1, format!("{} = {value}", setting.name.text));
        }
    }

    fn setting(&self, network: Option<&Network>, value: &SettingValue) -> String {
        let none = Names::default();
        match value {
            SettingValue::Number(expr) => self.expr(&none, expr),
            SettingValue::Choice { choice, args, .. } => {
                let slots = choice.slots.iter().zip(args);
                let args: Vec<String> = slots
                    .filter_map(|(slot, arg)| {
                        Some(format!("{} = {}", slot.name, self.choice(arg.as_ref()?)))
                    })
                    .collect();
                format!("{}({})", choice.name, args.join(", "))
            }
            SettingValue::Choices(values, _) => {
                format!("[{}]", list(values, |value| self.setting(network, value)))
            }
            SettingValue::Loss(loss) => objective::Printer {
                network,
                model: self.model,
                expr: &|expr| self.expr(&none, expr),
            }
            .term(loss),
            SettingValue::Word(word) => word.text.clone(),
            SettingValue::Opaque(_) => "(not used yet)".to_string(),
            SettingValue::Invalid => "?".to_string(),
        }
    }

    fn choice(&self, arg: &ChoiceArg) -> String {
        let none = Names::default();
        match arg {
            ChoiceArg::Number(expr) => self.expr(&none, expr),
            ChoiceArg::List(items) => format!("[{}]", list(items, |e| self.expr(&none, e))),
            ChoiceArg::Text(text) => format!("{text:?}"),
            ChoiceArg::Flag(flag) => flag.to_string(),
            ChoiceArg::Word(word) => word.clone(),
            ChoiceArg::Invalid => "?".to_string(),
        }
    }

    fn expr(&self, names: &Names<'_>, expr: &Expr) -> String {
        let part = |e: &Expr| self.expr(names, e);
        match &expr.kind {
            ExprKind::Error => "?".to_string(),
            ExprKind::Number { value, unit } => number(*value, *unit),
            ExprKind::Bool(value) => value.to_string(),
            ExprKind::Ref(name) => self.name(names, *name),
            ExprKind::Neg(a) => format!("(-{})", part(a)),
            ExprKind::Not(a) => format!("(not {})", part(a)),
            ExprKind::Binary { op, lhs, rhs } => {
                format!("({} {} {})", part(lhs), op.symbol(), part(rhs))
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => format!(
                "if {} {{ {} }} else {{ {} }}",
                part(cond),
                part(then),
                part(otherwise)
            ),
            ExprKind::Builtin { function, args } => {
                format!("{}({})", function.name(), list(args, part))
            }
            ExprKind::Call { function, args } => {
                let name = &self.model.functions[*function].name.text;
                format!("{name}({})", list(args, part))
            }
        }
    }

    fn name(&self, names: &Names<'_>, name: Ref) -> String {
        let neuron = names.neuron;
        let found = match name {
            Ref::Const(i) => self.model.consts.get(i).map(|c| c.name.text.clone()),
            Ref::Formal(i) => names.formals.get(i).map(|f| f.name.text.clone()),
            Ref::Let(i) => names.lets.get(i).map(|l| l.name.text.clone()),
            Ref::Param(i) => neuron.and_then(|n| Some(n.params.get(i)?.name.text.clone())),
            Ref::Port(i) => neuron.and_then(|n| Some(n.ports.get(i)?.name.text.clone())),
            Ref::State(i) => neuron.and_then(|n| Some(n.states.get(i)?.name.text.clone())),
            Ref::Noise(i) => neuron.and_then(|n| Some(n.noises.get(i)?.name.text.clone())),
            Ref::Spike(i) => neuron.map(|n| spike_name(n, i)),
            Ref::Pi => Some("pi".to_string()),
            Ref::FanIn => Some("fan_in".to_string()),
            Ref::FanOut => Some("fan_out".to_string()),
        };
        found.unwrap_or_else(|| "?".to_string())
    }
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn spike_name(neuron: &Neuron, index: usize) -> String {
    let spike = neuron.spikes.get(index).and_then(|s| s.name.as_ref());
    spike.map_or("spike".to_string(), |name| name.text.clone())
}

fn unit_of(dimension: Option<Dimension>) -> String {
    match dimension.map(shown) {
        None => "?".to_string(),
        Some((text, _)) if text.is_empty() => "1".to_string(),
        Some((text, _)) => text,
    }
}

/// A number in the unit in which its dimension is shown; lengths of time steps stay as they are.
fn number(value: f64, unit: Unit) -> String {
    if unit.steps.is_zero() {
        let (text, factor) = shown(unit.dimension);
        let value = value * unit.factor / factor;
        return format!("{value} {text}").trim_end().to_string();
    }
    format!("{value} step")
}

fn via(via: Via) -> &'static str {
    match via {
        Via::None => "none",
        Via::Clamp => "clamp",
        Via::Sigmoid => "sigmoid",
        Via::Exp => "exp",
        Via::Softplus => "softplus",
        Via::Dcls => "dcls",
    }
}
