//! A network as a graph: populations, layers with their neurons, connections, order.

use super::start;
use super::{Findings, fluctuation, mapping, neuron, unchecked, unsupported};
use crate::check::{Around, Elaborated, Shaped, elaborate};
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::{Law, Operation as Kind};
use crate::model::{
    Argument, Connection, Expr, Layer, LayerKind, Model, Network, Operation, Ref, Source, Start,
    eval,
};
use rheobase_ir::program::{self, Delays, Initial, MOST_TAPS, Pooling, Synapses};

/// Lowers a network with arguments for its parameters.
pub(super) fn lower(
    model: &Model,
    index: usize,
    args: &[Option<Expr>],
) -> Result<program::Network, Findings> {
    let network = &model.networks[index];
    let elaborated = elaborate(model, network, args, &mut Vec::new())?;
    let mut findings = Findings::new();
    let mut layers = Vec::new();
    for (layer, shape) in network.layers.iter().zip(&elaborated.layers) {
        match lower_layer(model, layer, shape, &elaborated) {
            Ok(layer) => layers.push(Some(layer)),
            Err(found) => {
                layers.push(None);
                findings.extend(found);
            }
        }
    }
    let mut connections: Vec<program::Connection> = Vec::new();
    for (i, connection) in network.connections.iter().enumerate() {
        let target = connection.target.and_then(|t| layers.get(t)?.as_ref());
        match lower_connection(model, network, &elaborated, i, connection, target) {
            Ok(connection) => connections.push(connection),
            Err(finding) => findings.push(*finding),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    number(&mut connections);
    let inputs = network.inputs.iter().zip(&elaborated.inputs);
    Ok(program::Network {
        name: network.name.text.clone(),
        step_ms: elaborated.step_ms,
        inputs: inputs
            .map(|(input, shape)| program::Population {
                name: input.name.text.clone(),
                shape: shape.clone(),
            })
            .collect(),
        layers: layers.into_iter().flatten().collect(),
        connections,
        order: elaborated.order,
    })
}

fn lower_layer(
    model: &Model,
    layer: &Layer,
    shape: &[usize],
    elaborated: &Elaborated,
) -> Result<program::Layer, Findings> {
    let step_ms = elaborated.step_ms;
    let neuron = match layer.kind {
        LayerKind::Neuron(n) => {
            let outer = |name: Ref| elaborated.lookup(name);
            let around = Around {
                step_ms: Some(step_ms),
                outer: &outer,
            };
            neuron::lower(model, &model.neurons[n], &layer.params, step_ms, around)?
        }
        LayerKind::Group(_) | LayerKind::Unknown => return Err(vec![unchecked(layer.span)]),
    };
    Ok(program::Layer {
        name: layer.name.text.clone(),
        shape: shape.to_vec(),
        neuron,
    })
}

fn lower_connection(
    model: &Model,
    network: &Network,
    elaborated: &Elaborated,
    index: usize,
    connection: &Connection,
    target: Option<&program::Layer>,
) -> Result<program::Connection, Box<Diagnostic>> {
    let wrong = || Box::new(unchecked(connection.span));
    let from = match connection.source {
        Source::Input(i) => program::Source::Input(i),
        Source::Layer(i) => program::Source::Layer(i),
        Source::State(layer, state) => {
            // States that the compiler adds come after those of the model.
            program::Source::State(layer, state)
        }
        Source::Group(_) | Source::Unknown => return Err(wrong()),
    };
    let (Some(to), Some(port)) = (connection.target, connection.port) else {
        return Err(wrong());
    };
    // All connections that share weights leave the same ones out.
    let owner = connection.tied.map_or(index, |tied| tied.to);
    let shares = |(i, c): (usize, &Connection)| i == owner || c.tied.is_some_and(|t| t.to == owner);
    let is_self = |c: &Connection| match c.source {
        Source::Layer(from) | Source::State(from, _) => c.target == Some(from),
        Source::Input(_) | Source::Group(_) | Source::Unknown => false,
    };
    let mut sharing = network.connections.iter().enumerate();
    let is_self = sharing.any(|(i, c)| shares((i, c)) && is_self(c));
    let shapes = elaborated.operations(model, network, connection)?;
    let site = Site {
        model,
        network,
        elaborated,
        target,
        port,
        is_self,
    };
    let mut operations = Vec::new();
    for (operation, shape) in connection.ops.iter().zip(&shapes) {
        operations.extend(lower_operation(site, operation, shape)?);
    }
    if operations.is_empty() {
        // Only another shape: every number stays where it is.
        let size = elaborated.layers[to].iter().product();
        operations.push(program::Operation {
            synapses: Synapses::OneToOne,
            weight: None,
            map: None,
            bias: None,
            bounds: None,
            feedback: None,
            inputs: size,
            outputs: size,
        });
    }
    let diagonal = |operation: &program::Operation| match operation.synapses {
        Synapses::Dense { self_connections }
        | Synapses::Sparse {
            self_connections, ..
        } => !self_connections,
        Synapses::OneToOne
        | Synapses::Scale
        | Synapses::Convolution(_)
        | Synapses::Pool { .. }
        | Synapses::Dropout { .. }
        | Synapses::Normalisation { .. } => false,
    };
    // Beside operations that keep every number in its place the diagonal is still the way of a neuron to itself.
    let moves = |operation: &program::Operation| match operation.synapses {
        Synapses::OneToOne
        | Synapses::Scale
        | Synapses::Dropout { .. }
        | Synapses::Normalisation { .. } => false,
        Synapses::Dense { .. }
        | Synapses::Sparse { .. }
        | Synapses::Convolution(_)
        | Synapses::Pool { .. } => true,
    };
    let moving = operations.iter().filter(|o| moves(o)).count();
    if moving > 1 && operations.iter().any(diagonal) {
        let what = "`self = false` beside an operation that mixes neurons";
        let why = "a neuron would reach itself through others: leave out `self = false`, or write two connections with a layer between them";
        return Err(Box::new(unsupported(connection.span, what).help(why)));
    }
    let delays = delays(model, network, elaborated, connection, &operations)?;
    let path = |p: &crate::ast::Path| {
        let names: Vec<&str> = p.segments.iter().map(|n| n.text.as_str()).collect();
        names.join(".")
    };
    Ok(program::Connection {
        name: format!(
            "{}.{}",
            path(&connection.source_path),
            path(&connection.target_path)
        ),
        from,
        to,
        port,
        operations,
        delay: delays
            .as_ref()
            .map_or(elaborated.delays[index], |d| d.shortest),
        delays,
        frozen: connection.frozen,
        tied: connection.tied.map(|t| t.to),
    })
}

/// The delays of the synapses, if they have their own.
fn delays(
    model: &Model,
    network: &Network,
    elaborated: &Elaborated,
    connection: &Connection,
    operations: &[program::Operation],
) -> Result<Option<Delays>, Box<Diagnostic>> {
    let Some(delay) = &connection.delay else {
        return Ok(None);
    };
    if delay.learn.is_none() && matches!(delay.start, Start::Value(_)) {
        return Ok(None);
    }
    let refuse = |what: &str| Err(Box::new(unsupported(delay.span, what)));
    match operations {
        [operation] if operation.weight.is_some() => match operation.synapses {
            Synapses::Dense { .. } | Synapses::Sparse { .. } | Synapses::OneToOne => {}
            Synapses::Scale
            | Synapses::Convolution(_)
            | Synapses::Pool { .. }
            | Synapses::Dropout { .. }
            | Synapses::Normalisation { .. } => {
                return refuse("a delay for each synapse of this operation");
            }
        },
        _ => return refuse("a delay for each synapse of several operations"),
    }
    if operations.iter().any(|o| o.feedback.is_some()) {
        return refuse("a delay for each synapse with feedback");
    }
    if connection.tied.is_some() {
        return refuse("a delay for each synapse of a tied connection");
    }
    let lookup = |name: Ref| elaborated.lookup(name);
    let env = eval::Env::new(model, Some(elaborated.step_ms), &lookup).with_lets(&network.lets);
    let initial = start::initial(&env, &delay.start)?;
    let range = match (&delay.bounds, &initial) {
        (Some(bounds), _) => start::bounds(&env, bounds)?,
        (None, Initial::Uniform { low, high }) => (*low, *high),
        (None, _) => {
            let message = "delays that are drawn need bounds: how far back must be remembered?";
            let finding = Diagnostic::new(Code::E0606, delay.span, message);
            return Err(Box::new(finding.help("add `in 0 ms .. 50 ms`")));
        }
    };
    let step = elaborated.step_ms;
    let steps = |ms: f64| (ms / step).round();
    let (low, high) = (steps(range.0), steps(range.1));
    if !(low >= 0.0 && low <= high && high - low < f64::from(MOST_TAPS) && high < 1e6) {
        let message = format!("delays from {low} to {high} steps are impossible");
        let finding = Diagnostic::new(Code::E0606, delay.span, message);
        let help = format!("at most {MOST_TAPS} different delays, none of them negative");
        return Err(Box::new(finding.help(help)));
    }
    let Some(initial) = in_steps(&initial, step) else {
        return refuse("this distribution for delays");
    };
    Ok(Some(Delays {
        initial,
        shortest: low as u32,
        longest: high as u32,
        learned: delay.learn.is_some() && !connection.frozen,
    }))
}

/// A time or its distribution in steps; `None` for distributions that are made for weights.
fn in_steps(initial: &Initial, step: f64) -> Option<Initial> {
    Some(match *initial {
        Initial::Constant(value) => Initial::Constant(value / step),
        Initial::Normal { mean, std } => Initial::Normal {
            mean: mean / step,
            std: std / step,
        },
        Initial::LogNormal { median, sigma } => Initial::LogNormal {
            median: median / step,
            sigma,
        },
        Initial::Uniform { low, high } => Initial::Uniform {
            low: low / step,
            high: high / step,
        },
        Initial::KaimingNormal { .. }
        | Initial::KaimingUniform { .. }
        | Initial::XavierNormal { .. }
        | Initial::XavierUniform { .. }
        | Initial::Orthogonal { .. } => return None,
    })
}

/// Where a connection is.
#[derive(Clone, Copy)]
struct Site<'a> {
    model: &'a Model,
    network: &'a Network,
    elaborated: &'a Elaborated,
    target: Option<&'a program::Layer>,
    port: usize,
    /// Whether it, or one that shares its weights, ends at the layer where it starts.
    is_self: bool,
}

/// One operation; none for another shape of the same numbers.
fn lower_operation(
    site: Site<'_>,
    operation: &Operation,
    shape: &Shaped,
) -> Result<Option<program::Operation>, Box<Diagnostic>> {
    let Site {
        model,
        network,
        elaborated,
        ..
    } = site;
    let argument = |name: &str| {
        let slots = operation.kind.slots();
        let index = slots.iter().position(|s| s.name == name)?;
        operation.args.get(index)?.as_ref()
    };
    let wrong = || Box::new(unchecked(operation.span));
    let self_connections = match argument("self") {
        Some(Argument::Flag(value)) => *value,
        Some(_) => return Err(wrong()),
        None => true,
    };
    // Between different layers there is no neuron that could reach itself.
    let self_connections = self_connections || !site.is_self;
    let outer = |name: Ref| elaborated.lookup(name);
    let plain = |name: &str| -> Result<Option<f64>, Box<Diagnostic>> {
        let env = eval::Env::new(model, Some(elaborated.step_ms), &outer).with_lets(&network.lets);
        match argument(name) {
            None => Ok(None),
            Some(Argument::Number(expr)) => start::number(&env, expr).map(Some),
            Some(
                Argument::Start(_)
                | Argument::Bounds(_)
                | Argument::Flag(_)
                | Argument::Map(_)
                | Argument::Invalid,
            ) => Err(wrong()),
        }
    };
    let window = || shape.window.ok_or_else(wrong);
    let pool = |pooling: Pooling| window().map(|window| Synapses::Pool { window, pooling });
    let synapses = match operation.kind {
        Kind::Dense => Synapses::Dense { self_connections },
        Kind::Sparse => Synapses::Sparse {
            density: shape.density.ok_or_else(wrong)?,
            self_connections,
            seed: 0,
        },
        Kind::Conv1d | Kind::Conv2d => Synapses::Convolution(window()?),
        Kind::SumPool => pool(Pooling::Sum)?,
        Kind::AvgPool => pool(Pooling::Average)?,
        Kind::MaxPool => pool(Pooling::Max)?,
        Kind::OneToOne => Synapses::OneToOne,
        Kind::Scale => Synapses::Scale,
        Kind::Flatten => return Ok(None),
        Kind::Dropout => Synapses::Dropout {
            probability: plain("p")?.ok_or_else(wrong)?,
        },
        Kind::BatchNorm | Kind::TdBatchNorm => Synapses::Normalisation {
            channels: shape.output.first().copied().unwrap_or(1),
            momentum: plain("momentum")?.unwrap_or(0.1),
            eps: plain("eps")?.unwrap_or(1e-5),
        },
    };
    let mut lowered = program::Operation {
        synapses,
        weight: None,
        map: None,
        bias: None,
        bounds: None,
        feedback: None,
        inputs: shape.input.iter().product(),
        outputs: shape.output.iter().product(),
    };
    let (fan_in, fan_out) = lowered.fan();
    let lookup = |name: Ref| match name {
        Ref::FanIn => Some(fan_in),
        Ref::FanOut => Some(fan_out),
        Ref::Formal(_)
        | Ref::Let(_)
        | Ref::Const(_)
        | Ref::Param(_)
        | Ref::Port(_)
        | Ref::State(_)
        | Ref::Spike(_)
        | Ref::Noise(_)
        | Ref::Pi => elaborated.lookup(name),
    };
    let env = eval::Env::new(model, Some(elaborated.step_ms), &lookup).with_lets(&network.lets);
    let start = |name: &str| -> Result<Option<Initial>, Box<Diagnostic>> {
        match argument(name) {
            None => Ok(None),
            Some(Argument::Start(Start::Random(draw)))
                if draw.law == Law::FluctuationDriven && name == "w" =>
            {
                let neuron = &site.target.ok_or_else(wrong)?.neuron;
                fluctuation::weights(&env, draw, neuron, site.port, elaborated.step_ms).map(Some)
            }
            Some(Argument::Start(start)) => start::initial(&env, start).map(Some),
            Some(
                Argument::Number(_)
                | Argument::Bounds(_)
                | Argument::Flag(_)
                | Argument::Map(_)
                | Argument::Invalid,
            ) => Err(wrong()),
        }
    };
    let gain = match operation.kind {
        Kind::BatchNorm => Some(plain("gain")?.unwrap_or(1.0)),
        Kind::TdBatchNorm => {
            let threshold = plain("threshold")?.ok_or_else(wrong)?;
            Some(plain("alpha")?.unwrap_or(1.0) * threshold)
        }
        Kind::Dense
        | Kind::Sparse
        | Kind::Conv1d
        | Kind::Conv2d
        | Kind::SumPool
        | Kind::AvgPool
        | Kind::MaxPool
        | Kind::OneToOne
        | Kind::Scale
        | Kind::Flatten
        | Kind::Dropout => None,
    };
    lowered.weight = match gain {
        Some(gain) => Some(Initial::Constant(gain)),
        None => start("w")?,
    };
    lowered.bias = match gain {
        Some(_) => Some(Initial::Constant(0.0)),
        None => start("bias")?,
    };
    lowered.feedback = start("feedback")?;
    lowered.map = match argument("map") {
        Some(Argument::Map(call)) => Some(mapping::lower(model, &env, call, elaborated.step_ms)?),
        Some(_) => return Err(wrong()),
        None => None,
    };
    lowered.bounds = match argument("bounds") {
        Some(Argument::Bounds(bounds)) => Some(start::bounds(&env, bounds)?),
        Some(_) => return Err(wrong()),
        None => None,
    };
    Ok(Some(lowered))
}

/// Numbers connections between the same ports: `a.b.x`, `a.b.x.1`, `a.b.x.2`.
fn number(connections: &mut [program::Connection]) {
    let names: Vec<String> = connections.iter().map(|c| c.name.clone()).collect();
    for (i, connection) in connections.iter_mut().enumerate() {
        let earlier = names[..i].iter().filter(|n| **n == names[i]).count();
        if earlier > 0 {
            connection.name = format!("{}.{earlier}", connection.name);
        }
    }
}
