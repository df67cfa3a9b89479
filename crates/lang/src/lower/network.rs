//! A network as a graph: populations, layers with their neurons, connections, order.

use super::start;
use super::{Findings, fluctuation, neuron, unchecked, unsupported};
use crate::check::{Around, Elaborated, elaborate};
use crate::diag::Diagnostic;
use crate::model::builtin::{Law, Operation as Kind};
use crate::model::{
    Argument, Connection, Draw, Expr, Layer, LayerKind, Model, Network, Operation, Ref, Source,
    Start, eval,
};
use rheobase_ir::program::{self, Initial, Synapses};

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
        Source::State(..) => {
            let span = connection.source_path.span;
            return Err(Box::new(unsupported(span, "a connection from a state")));
        }
        Source::Group(_) | Source::Unknown => return Err(wrong()),
    };
    let (Some(to), Some(port)) = (connection.target, connection.port) else {
        return Err(wrong());
    };
    if let Some(delay) = &connection.delay {
        if let Some(learn) = delay.learn {
            return Err(Box::new(unsupported(learn.span, "a learnable delay")));
        }
        if let Start::Random(draw) = &delay.start {
            return Err(Box::new(unsupported(draw.span, "a delay for each synapse")));
        }
    }
    if let Some(tied) = connection.tied {
        return Err(Box::new(unsupported(tied.span, "weight sharing")));
    }
    let [operation, rest @ ..] = connection.ops.as_slice() else {
        return Err(wrong());
    };
    if let Some(second) = rest.first() {
        let what = format!("`{}` after another operation", second.callee.text);
        return Err(Box::new(unsupported(second.span, what)));
    }
    let source_size = elaborated
        .source_size(connection.source)
        .ok_or_else(wrong)?;
    let target_size: usize = elaborated.layers[to].iter().product();
    let lookup = |name: Ref| match name {
        Ref::FanIn => Some(source_size as f64),
        Ref::FanOut => Some(target_size as f64),
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
    let is_self = connection.source == Source::Layer(to);
    let weights = |draw: &Draw| match target {
        Some(layer) => fluctuation::weights(&env, draw, &layer.neuron, port, elaborated.step_ms),
        None => Err(wrong()),
    };
    let synapses = synapses(&env, operation, is_self, &weights)?;
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
        synapses,
        delay: elaborated.delays[index],
        frozen: connection.frozen,
        tied: connection.tied.map(|t| t.to),
    })
}

fn synapses(
    env: &eval::Env<'_>,
    operation: &Operation,
    is_self: bool,
    fluctuation_driven: &dyn Fn(&Draw) -> Result<Initial, Box<Diagnostic>>,
) -> Result<Synapses, Box<Diagnostic>> {
    match operation.kind {
        Kind::Dense => {}
        Kind::Sparse
        | Kind::Conv1d
        | Kind::Conv2d
        | Kind::SumPool
        | Kind::AvgPool
        | Kind::MaxPool
        | Kind::OneToOne
        | Kind::Scale
        | Kind::Flatten
        | Kind::Dropout
        | Kind::BatchNorm
        | Kind::TdBatchNorm => {
            let what = format!("a `{}` connection", operation.callee.text);
            return Err(Box::new(unsupported(operation.span, what)));
        }
    }
    let argument = |name: &str| {
        let slots = operation.kind.slots();
        let index = slots.iter().position(|s| s.name == name)?;
        operation.args.get(index)?.as_ref()
    };
    let start = |name: &str| -> Result<Option<Initial>, Box<Diagnostic>> {
        match argument(name) {
            None => Ok(None),
            Some(Argument::Start(Start::Random(draw)))
                if draw.law == Law::FluctuationDriven && name == "w" =>
            {
                fluctuation_driven(draw).map(Some)
            }
            Some(Argument::Start(start)) => start::initial(env, start).map(Some),
            Some(
                Argument::Number(_) | Argument::Bounds(_) | Argument::Flag(_) | Argument::Invalid,
            ) => Err(Box::new(unchecked(operation.span))),
        }
    };
    let weight = start("w")?.ok_or_else(|| Box::new(unchecked(operation.span)))?;
    let bias = start("bias")?;
    let bounds = match argument("bounds") {
        Some(Argument::Bounds(bounds)) => Some(start::bounds(env, bounds)?),
        Some(_) => return Err(Box::new(unchecked(operation.span))),
        None => None,
    };
    let self_connections = match argument("self") {
        Some(Argument::Flag(value)) => *value,
        Some(_) => return Err(Box::new(unchecked(operation.span))),
        None => true,
    };
    Ok(Synapses::Dense {
        weight,
        bias,
        bounds,
        // Between different layers there is no neuron that could reach itself.
        self_connections: self_connections || !is_self,
    })
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
