//! A network with its arguments: sizes, the length of a step, delays in steps, and an order of the
//! layers in which everything without a delay goes forward.

use super::Check;
use super::operations::{self, Shaped};
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Operation as Kind;
use crate::model::{
    Connection, Expr, LayerKind, Model, Network, Operation, Ref, Source, Start, eval, walk,
};
use crate::span::Span;

/// What is known of a network once its parameters have values.
#[derive(Clone, Debug)]
pub struct Elaborated {
    /// The values of the network's parameters.
    pub formals: Vec<f64>,
    /// The values of its `let`s; NaN where one has no value (it is then not used).
    pub lets: Vec<f64>,
    /// The length of a step in ms.
    pub step_ms: f64,
    /// The shapes of the inputs.
    pub inputs: Vec<Vec<usize>>,
    /// The shapes of the layers.
    pub layers: Vec<Vec<usize>>,
    /// The delay of each connection in whole steps; of a distribution its centre.
    pub delays: Vec<u32>,
    /// The layers in an order of evaluation within a step.
    pub order: Vec<usize>,
}

impl Elaborated {
    /// The value of a name in the network's expressions.
    pub fn lookup(&self, name: Ref) -> Option<f64> {
        match name {
            Ref::Formal(i) => self.formals.get(i).copied(),
            Ref::Let(i) => self.lets.get(i).copied().filter(|v| !v.is_nan()),
            Ref::Const(_)
            | Ref::Param(_)
            | Ref::Port(_)
            | Ref::State(_)
            | Ref::Spike(_)
            | Ref::Noise(_)
            | Ref::Pi
            | Ref::FanIn
            | Ref::FanOut => None,
        }
    }

    /// The number of neurons or channels at a source.
    pub fn source_size(&self, source: Source) -> Option<usize> {
        match source {
            Source::Input(i) => Some(self.inputs[i].iter().product()),
            Source::Layer(i) | Source::State(i, _) => Some(self.layers[i].iter().product()),
            Source::Group(_) | Source::Unknown => None,
        }
    }

    /// The shapes of the source and the target of a connection.
    fn ends(&self, connection: &Connection) -> Option<(&[usize], &[usize])> {
        let from = match connection.source {
            Source::Input(i) => &self.inputs[i],
            Source::Layer(i) | Source::State(i, _) => &self.layers[i],
            Source::Group(_) | Source::Unknown => return None,
        };
        Some((from, &self.layers[connection.target?]))
    }

    /// The shapes along the operations of a connection; none if its ends are not known.
    ///
    /// # Errors
    ///
    /// The shapes do not fit, or a number is impossible.
    pub fn operations(
        &self,
        model: &Model,
        network: &Network,
        connection: &Connection,
    ) -> Result<Vec<Shaped>, Box<Diagnostic>> {
        let (Some((from, to)), Some(target)) = (self.ends(connection), connection.target) else {
            return Ok(Vec::new());
        };
        let lookup = |name: Ref| self.lookup(name);
        let env = eval::Env::new(model, Some(self.step_ms), &lookup).with_lets(&network.lets);
        let layer = &network.layers[target].name.text;
        operations::shapes(&env, &connection.ops, from, (layer, to))
    }
}

/// The largest number of neurons in a layer: beyond it the size is a mistake.
pub(super) const MAX_SIZE: f64 = 1e8;

/// Gives a network its numbers. `args` are values for its parameters in their order; `None` or a
/// missing one takes the default. Warnings are added to `warnings`.
///
/// # Errors
///
/// A value that is missing or impossible, or a cycle without delay.
pub fn elaborate(
    model: &Model,
    network: &Network,
    args: &[Option<Expr>],
    warnings: &mut Vec<Diagnostic>,
) -> Result<Elaborated, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let formals = formal_values(model, network, args, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let by_formal = |name: Ref| formals.get(name.as_formal()?).copied();
    let env = eval::Env::new(model, None, &by_formal).with_lets(&network.lets);
    let step_ms = step_length(network, &env, &mut findings);
    let inputs = network.inputs.iter();
    let inputs = inputs
        .map(|p| shape(&env, &p.shape, &mut findings))
        .collect();
    let layers = network.layers.iter();
    let layers = layers
        .map(|l| shape(&env, &l.shape, &mut findings))
        .collect();
    if !findings.is_empty() {
        return Err(findings);
    }
    let env = eval::Env::new(model, Some(step_ms), &by_formal).with_lets(&network.lets);
    let lets = network.lets.iter();
    let lets = lets
        .map(|l| env.number(&l.value).unwrap_or(f64::NAN))
        .collect();
    let delays: Vec<u32> = network
        .connections
        .iter()
        .map(|c| delay_steps(c, &env, step_ms, &mut findings, warnings))
        .collect();
    let order = match layer_order(network, &delays) {
        Ok(order) => order,
        Err(finding) => {
            findings.push(*finding);
            Vec::new()
        }
    };
    findings.extend(normalised_cycles(network));
    if findings.is_empty() {
        Ok(Elaborated {
            formals,
            lets,
            step_ms,
            inputs,
            layers,
            delays,
            order,
        })
    } else {
        Err(findings)
    }
}

fn formal_values(
    model: &Model,
    network: &Network,
    args: &[Option<Expr>],
    findings: &mut Vec<Diagnostic>,
) -> Vec<f64> {
    let nothing = |_: Ref| None;
    let env = eval::Env::new(model, None, &nothing);
    let mut values = Vec::new();
    for (i, formal) in network.formals.iter().enumerate() {
        let given = args.get(i).and_then(Option::as_ref);
        if let Some(given) = given
            && network.settled.contains(&i)
        {
            let message = format!(
                "`{}` decides how many copies of a group there are; a plan cannot change it",
                formal.name.text
            );
            let help = "change its default, or make it a `const`";
            findings.push(Diagnostic::new(Code::E0602, given.span, message).help(help));
        }
        let Some(expr) = given.or(formal.default.as_ref()) else {
            let message = format!(
                "network `{}` needs a value for `{}`",
                network.name.text, formal.name.text
            );
            findings.push(Diagnostic::new(Code::E0210, formal.name.span, message));
            values.push(f64::NAN);
            continue;
        };
        match env.number(expr) {
            Ok(value) => values.push(value),
            Err(error) => {
                let message = format!("`{}` must be a constant", formal.name.text);
                findings.push(Diagnostic::new(Code::E0602, error.span(), message));
                values.push(f64::NAN);
            }
        }
    }
    values
}

fn step_length(network: &Network, env: &eval::Env<'_>, findings: &mut Vec<Diagnostic>) -> f64 {
    let Some(step) = &network.step else {
        let message = format!("network `{}` has no `step`", network.name.text);
        findings.push(Diagnostic::new(Code::E0201, network.name.span, message));
        return f64::NAN;
    };
    match env.number(step) {
        Ok(value) if value.is_finite() && value > 0.0 => value,
        Ok(value) => {
            let message = format!("a step must be longer than 0, not {value} ms");
            findings.push(Diagnostic::new(Code::E0703, step.span, message));
            f64::NAN
        }
        Err(_) => {
            let message = "the length of a step must be a constant time";
            findings.push(Diagnostic::new(Code::E0703, step.span, message));
            f64::NAN
        }
    }
}

fn shape(env: &eval::Env<'_>, sizes: &[Expr], findings: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut shape = Vec::new();
    let mut product = 1.0;
    for size in sizes {
        let value = match env.number(size) {
            Ok(value) => value,
            Err(_) => {
                let message = "a size must be a constant";
                findings.push(Diagnostic::new(Code::E0602, size.span, message));
                continue;
            }
        };
        product *= value;
        if value.fract() != 0.0 || !(1.0..=MAX_SIZE).contains(&value) {
            let message = format!("a size must be a positive whole number, not {value}");
            findings.push(Diagnostic::new(Code::E0602, size.span, message));
        } else if product > MAX_SIZE {
            let message = format!("this makes {product:e} neurons; {MAX_SIZE:e} is the limit");
            findings.push(Diagnostic::new(Code::E0602, size.span, message));
        } else {
            shape.push(value as usize);
        }
    }
    shape
}

/// A delay in whole steps, with a warning when it had to be rounded.
fn delay_steps(
    connection: &Connection,
    env: &eval::Env<'_>,
    step_ms: f64,
    findings: &mut Vec<Diagnostic>,
    warnings: &mut Vec<Diagnostic>,
) -> u32 {
    let Some(delay) = &connection.delay else {
        return 0;
    };
    let expr = match (&delay.start, &delay.bounds) {
        // Where delays differ, the smallest one decides whether a cycle is delayed.
        (Start::Random(_), Some(bounds)) => &bounds.lo,
        (Start::Value(_), Some(bounds)) if delay.learn.is_some() => &bounds.lo,
        (Start::Value(expr), _) => expr,
        (Start::Random(draw), None) => match draw.args.first() {
            Some(Some(expr)) => expr,
            Some(None) | None => return 0,
        },
    };
    let Ok(value) = env.number(expr) else {
        let message = "a delay must be a constant time";
        findings.push(Diagnostic::new(Code::E0606, expr.span, message));
        return 0;
    };
    let steps = value / step_ms;
    if !(0.0..1e6).contains(&steps) {
        let message = format!("a delay of {steps} steps is impossible");
        findings.push(Diagnostic::new(Code::E0606, expr.span, message));
        return 0;
    }
    if matches!(delay.start, Start::Value(_)) {
        warnings.extend(rounded(value, step_ms, "delay", expr.span));
    }
    steps.round() as u32
}

/// A time that is not a whole number of steps.
pub(super) fn rounded(value_ms: f64, step_ms: f64, what: &str, span: Span) -> Option<Diagnostic> {
    let steps = value_ms / step_ms;
    let whole = steps.round();
    if (steps - whole).abs() <= 1e-9 * whole.max(1.0) {
        return None;
    }
    let message = format!(
        "a {what} of {value_ms} ms at a step of {step_ms} ms becomes {whole} step{} = {} ms",
        if whole == 1.0 { "" } else { "s" },
        whole * step_ms
    );
    Some(Diagnostic::new(Code::W0511, span, message).label("not a multiple of the step"))
}

/// An order of the layers in which connections without delay go forward.
fn layer_order(network: &Network, delays: &[u32]) -> Result<Vec<usize>, Box<Diagnostic>> {
    let mut dependencies: Vec<Vec<usize>> = vec![Vec::new(); network.layers.len()];
    for (connection, delay) in network.connections.iter().zip(delays) {
        if let (Source::Layer(from) | Source::State(from, _), Some(to), 0) =
            (connection.source, connection.target, *delay)
        {
            dependencies[to].push(from);
        }
    }
    walk::topological(&dependencies).map_err(|mut cycle| {
        // Dependencies run against the connections.
        cycle.reverse();
        cycle.rotate_right(1);
        Box::new(zero_delay_cycle(network, delays, &cycle))
    })
}

fn zero_delay_cycle(network: &Network, delays: &[u32], cycle: &[usize]) -> Diagnostic {
    let name = |i: usize| network.layers[i].name.text.as_str();
    let mut path: Vec<&str> = cycle.iter().map(|&i| name(i)).collect();
    path.push(name(cycle[0]));
    let message = format!("{} has no delay", path.join(" -> "));
    let edge = |from: usize, to: usize| {
        let mut rows = network.connections.iter().zip(delays);
        let found = rows.find(|(c, d)| {
            let source = match c.source {
                Source::Layer(i) | Source::State(i, _) => Some(i),
                Source::Input(_) | Source::Group(_) | Source::Unknown => None,
            };
            **d == 0 && source == Some(from) && c.target == Some(to)
        });
        found.map(|(c, _)| c)
    };
    let edges: Vec<&Connection> = (0..cycle.len())
        .filter_map(|i| edge(cycle[i], cycle[(i + 1) % cycle.len()]))
        .collect();
    let Some((last, others)) = edges.split_last() else {
        return Diagnostic::new(Code::E0601, network.name.span, message);
    };
    let mut finding = Diagnostic::new(Code::E0601, last.span, message)
        .label("closes the circle")
        .note("in one step spikes go forward only; what comes back arrives a step later");
    for other in others {
        finding = finding.secondary(other.span, "part of the circle");
    }
    let place = last.ops.last().map_or(last.span, |op| op.span);
    match &last.delay {
        None => finding.help_edit("add a delay", place.after(), " delay 1 step"),
        Some(delay) => finding.help_edit("make it a step", delay.span, "delay 1 step"),
    }
}

/// Normalisations inside of a cycle of layers, of any delay: their means are over all steps, of which each follows from
/// the one before.
fn normalised_cycles(network: &Network) -> Vec<Diagnostic> {
    let starts_at = |c: &Connection| match c.source {
        Source::Layer(i) | Source::State(i, _) => Some(i),
        Source::Input(_) | Source::Group(_) | Source::Unknown => None,
    };
    let mut targets = vec![Vec::new(); network.layers.len()];
    for connection in &network.connections {
        if let (Some(from), Some(to)) = (starts_at(connection), connection.target) {
            targets[from].push(to);
        }
    }
    let leads_back = |from: usize, to: usize| {
        let (mut reached, mut next) = (vec![false; targets.len()], vec![to]);
        while let Some(layer) = next.pop() {
            if !std::mem::replace(&mut reached[layer], true) {
                next.extend(&targets[layer]);
            }
        }
        reached[from]
    };
    let normalises = |op: &&Operation| matches!(op.kind, Kind::BatchNorm | Kind::TdBatchNorm);
    let mut findings = Vec::new();
    for connection in &network.connections {
        let Some(op) = connection.ops.iter().find(normalises) else {
            continue;
        };
        let (Some(from), Some(to)) = (starts_at(connection), connection.target) else {
            continue;
        };
        if leads_back(from, to) {
            let message = "a normalisation over all steps cannot be inside of a cycle of layers";
            findings.push(
                Diagnostic::new(Code::E0601, op.span, message)
                    .label("its mean would be needed at the first step and known after the last")
                    .help("normalise what comes into the cycle from outside of it"),
            );
        }
    }
    findings
}

impl Check<'_> {
    /// Looks at a network with its default arguments, if it has all of them.
    pub(super) fn check_network(&mut self, index: usize) {
        let network = self.model.networks[index].clone();
        let complete = network.formals.iter().all(|f| f.default.is_some());
        let unknown = |l: &crate::model::Layer| l.kind == LayerKind::Unknown;
        if network.broken || network.step.is_none() || network.layers.iter().any(unknown) {
            return;
        }
        self.dead_layers(&network);
        self.readouts_reached(&network);
        self.unweighted_units(&network);
        self.detached_recurrence(&network);
        if complete {
            self.check_instance(&network, &[]);
        }
    }

    /// Looks at a network with the arguments of a training plan.
    pub(super) fn check_instance(
        &mut self,
        network: &Network,
        args: &[Option<Expr>],
    ) -> Option<Elaborated> {
        let mut warnings = Vec::new();
        let result = elaborate(&self.model, network, args, &mut warnings);
        let elaborated = match result {
            Ok(elaborated) => elaborated,
            Err(findings) => {
                self.diagnostics.extend(findings);
                return None;
            }
        };
        self.diagnostics.extend(warnings);
        self.connection_shapes(network, &elaborated);
        self.connection_values(network, &elaborated);
        self.passed_shapes(network, &elaborated);
        self.tied_shapes(network, &elaborated);
        for layer in &network.layers {
            self.layer_values(network, layer, &elaborated);
        }
        Some(elaborated)
    }

    /// Layers and ports that nothing reaches.
    fn dead_layers(&mut self, network: &Network) {
        for (i, layer) in network.layers.iter().enumerate() {
            let LayerKind::Neuron(n) = layer.kind else {
                continue;
            };
            let fed = || network.connections.iter().filter(|c| c.target == Some(i));
            let ports = &self.model.neurons[n].ports;
            if ports.is_empty() || fed().any(|c| c.port.is_none()) {
                continue;
            }
            if fed().next().is_none() {
                let message = format!("nothing reaches layer `{}`", layer.name.text);
                self.report(Check::finding(Code::W0604, layer.name.span, message));
                continue;
            }
            let open: Vec<&str> = (0..ports.len())
                .filter(|&p| fed().all(|c| c.port != Some(p)))
                .map(|p| ports[p].name.text.as_str())
                .collect();
            if !open.is_empty() {
                let message = format!(
                    "nothing reaches `{}` of layer `{}`",
                    open.join("`, `"),
                    layer.name.text
                );
                self.report(Check::finding(Code::W0604, layer.name.span, message));
            }
        }
    }

    /// What goes through the inputs of groups has their shapes.
    fn passed_shapes(&mut self, network: &Network, elaborated: &Elaborated) {
        let lookup = |name: Ref| elaborated.lookup(name);
        let mut findings = Vec::new();
        for connection in &network.connections {
            for pass in &connection.passes {
                let env = eval::Env::new(&self.model, Some(elaborated.step_ms), &lookup);
                let env = env.with_lets(&network.lets);
                let declared = shape(&env, &pass.shape, &mut findings);
                // Before the operations it is the source that passes, behind them the target.
                let (actual, what) = match (connection.source, connection.target) {
                    (Source::Input(i), _) if pass.after == 0 => (&elaborated.inputs[i], "arrives"),
                    (Source::Layer(i) | Source::State(i, _), _) if pass.after == 0 => {
                        (&elaborated.layers[i], "arrives")
                    }
                    (_, Some(to)) if pass.after == connection.ops.len() => {
                        (&elaborated.layers[to], "is fed")
                    }
                    (
                        Source::Input(_)
                        | Source::Layer(_)
                        | Source::State(..)
                        | Source::Group(_)
                        | Source::Unknown,
                        _,
                    ) => continue,
                };
                if *actual != declared && declared.len() == pass.shape.len() {
                    let message = format!(
                        "`{}` has shape {declared:?}, but what {what} there has {actual:?}",
                        pass.name
                    );
                    findings.push(
                        Check::finding(Code::E0602, pass.span, message)
                            .secondary(connection.span, "on the way of this connection"),
                    );
                }
            }
        }
        self.diagnostics.extend(findings);
    }

    /// Connections that share weights have equal sizes, convolutions equal channels.
    fn tied_shapes(&mut self, network: &Network, elaborated: &Elaborated) {
        for connection in &network.connections {
            let Some(tied) = connection.tied else {
                continue;
            };
            let other = &network.connections[tied.to];
            let channels = matches!(
                connection.ops.first().map(|op| op.kind),
                Some(Kind::Conv1d | Kind::Conv2d)
            );
            let sizes = |c: &Connection| -> Option<(usize, usize)> {
                let from = match c.source {
                    Source::Input(i) => &elaborated.inputs[i],
                    Source::Layer(i) | Source::State(i, _) => &elaborated.layers[i],
                    Source::Group(_) | Source::Unknown => return None,
                };
                let to = &elaborated.layers[c.target?];
                Some(match channels {
                    true => (*from.first()?, *to.first()?),
                    false => (from.iter().product(), to.iter().product()),
                })
            };
            let (Some(own), Some(theirs)) = (sizes(connection), sizes(other)) else {
                continue;
            };
            if own != theirs {
                let what = if channels { "channels" } else { "neurons" };
                let message = format!(
                    "weights of {} -> {} {what} cannot be shared with {} -> {}",
                    theirs.0, theirs.1, own.0, own.1
                );
                self.report(
                    Check::finding(Code::E0602, tied.span, message)
                        .secondary(other.span, "has the weights"),
                );
            }
        }
    }

    /// The operations of a connection lead from the shape of its source to that of its target.
    fn connection_shapes(&mut self, network: &Network, elaborated: &Elaborated) {
        let mut findings = Vec::new();
        for connection in &network.connections {
            let Err(finding) = elaborated.operations(&self.model, network, connection) else {
                continue;
            };
            let (source, target) = (&connection.source_path, &connection.target_path);
            let sizes = elaborated.ends(connection);
            findings.push(match sizes {
                Some((from, to)) => finding
                    .secondary(source.span, format!("{from:?} sources"))
                    .secondary(target.span, format!("{to:?} targets")),
                None => *finding,
            });
        }
        self.diagnostics.extend(findings);
    }
}
