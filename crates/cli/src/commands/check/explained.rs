//! `rheo check --explain`: what the compiler made of a program, in words.
//!
//! Per neuron as layers use it: what each phase of a step does, the integrator of each equation and why,
//! where the backward is cut, what the forward saves. Per network: when spikes arrive, parameters with
//! their sizes, and memory. In the end what holds for every program ([`semantics`]).

use std::fmt::Write;

use rheobase_ir::pipeline::Stages;
use rheobase_ir::program::{
    Initial, Network, Neuron, Operation, Precision, Program, Sharing, Synapses, Training,
};
use rheobase_ir::tape::{Numbers, Saved};
use rheobase_lang::ast::{GateGradient, Phase};
use rheobase_lang::model::builtin::Builtin;
use rheobase_lang::model::{self, Expr, ExprKind, Ref, Start, Trigger, walk};
use rheobase_runtime::{
    Backend, Float, Gradients, Load, MemoryPlan, Moment, Owner, Simulator, specs,
};

use super::semantics;
use crate::commands::emit::{Wrt, stages};
use crate::console::Console;
use crate::failure::Failure;
use crate::memory::{in_words, refused};
use crate::pipeline::Front;

/// The whole explanation.
pub(super) fn explained(
    front: &Front,
    memory: Option<u64>,
    console: &Console,
) -> Result<String, Failure> {
    let mut text = String::new();
    let programs = front.programs(console)?;
    for program in &programs {
        let step_ms = program.network.step_ms;
        let plan = program.training.as_ref();
        let tape = plan.map_or(Numbers::Whole, |plan| plan.gradient.tape);
        // Layers of one kind, as in a chain of copies, are explained once.
        let mut tables: Vec<(Vec<&str>, &str, String)> = Vec::new();
        for layer in &program.network.layers {
            let table = neuron(front, &layer.neuron, step_ms, tape)?;
            match tables.iter_mut().find(|(.., other)| *other == table) {
                Some((names, ..)) => names.push(&layer.name),
                None => tables.push((vec![&layer.name], &layer.neuron.name, table)),
            }
        }
        for (names, kind, table) in tables {
            let layers = if names.len() == 1 { "layer" } else { "layers" };
            let (names, network) = (names.join(", "), &program.network.name);
            let head = format!("{layers} {names} of {network}: {kind}, step {step_ms} ms");
            text += &format!("{head}\n{table}\n");
        }
        text.push_str(&network(front, program, memory)?);
    }
    if programs.is_empty() {
        let step_ms = front.step_ms();
        for name in front.own_neurons() {
            let lowered = front.neuron(&name, step_ms, &[], console)?;
            let table = neuron(front, &lowered, step_ms, Numbers::Whole)?;
            text += &format!("neuron {name}, step {step_ms} ms\n{table}\n");
        }
    }
    text.push_str(semantics::EVERYWHERE);
    Ok(text)
}

fn neuron(front: &Front, neuron: &Neuron, step_ms: f64, tape: Numbers) -> Result<String, Failure> {
    let stages = stages(neuron, Wrt::Learned, tape)?;
    let model = front.model.neuron(&neuron.name);
    let model =
        model.ok_or_else(|| Failure::Internal(format!("`{}` lost its model", neuron.name)))?;
    let mut rows: Vec<(&str, String)> = vec![("order", order(model))];
    let chosen = &stages.integrators;
    rows.extend(semantics::step(front, model, neuron, chosen, step_ms));
    let cuts = cuts(front, model, neuron);
    if cuts.is_empty() {
        rows.push(("gradient", "cut nowhere".to_string()));
    }
    rows.extend(cuts.into_iter().map(|cut| ("gradient", cut)));
    rows.extend(saved(&stages).into_iter().map(|line| ("saved", line)));
    rows.extend(
        parameters(neuron)
            .into_iter()
            .map(|line| ("parameter", line)),
    );
    let mut text = String::new();
    let mut last = "";
    for (key, line) in rows {
        let shown = if key == last { "" } else { key };
        writeln!(text, "  {shown:<10} {line}").expect("writing to a string does not fail");
        last = key;
    }
    Ok(text)
}

fn order(neuron: &model::Neuron) -> String {
    let word = |phase: &Phase| match phase {
        Phase::Receive => "receive",
        Phase::Integrate => "integrate",
        Phase::Spike => "spike",
        Phase::Reset => "reset",
    };
    let words: Vec<&str> = neuron.order.iter().map(word).collect();
    words.join(", ")
}

/// Where the backward stops.
fn cuts(front: &Front, neuron: &model::Neuron, lowered: &Neuron) -> Vec<String> {
    let line = |span| match front.sources.location(span) {
        Some(place) => format!("{}:{}", place.file, place.line),
        None => "?".to_string(),
    };
    let mut cuts = Vec::new();
    for reset in &neuron.resets {
        let gate = match reset.gradient {
            Some(GateGradient::Detached) => "cut at the spike that triggers `on spike detached`",
            Some(GateGradient::Attached) => "passes through the spike of `on spike attached`",
            None => continue,
        };
        cuts.push(format!("{gate}, {}", line(reset.head)));
    }
    for spike in &neuron.spikes {
        match &spike.surrogate {
            Some(call) => {
                let name = call
                    .surrogate
                    .map(|i| front.model.surrogates[i].name.text.as_str());
                let name = name.unwrap_or("?");
                let shape = shape_of(call, neuron, lowered);
                cuts.push(format!(
                    "spike: derivative of `{name}`{shape}, {}",
                    line(call.span)
                ));
            }
            None => cuts.push(format!(
                "cut at a spike without surrogate, {}",
                line(spike.span)
            )),
        }
    }
    for expr in expressions(neuron) {
        walk::visit(expr, &mut |part| {
            if let ExprKind::Builtin { function, .. } = &part.kind
                && (*function == Builtin::Detach || function.is_flat())
            {
                cuts.push(format!("cut at `{}`, {}", function.name(), line(part.span)));
            }
        });
    }
    if let Some(refractory) = &neuron.refractory {
        let place = line(refractory.span);
        cuts.push(format!(
            "when a neuron is refractory is a constant, {place}"
        ));
    }
    cuts
}

/// What is said of a surrogate whose shape is learned.
fn shape_of(call: &model::SurrogateCall, neuron: &model::Neuron, lowered: &Neuron) -> String {
    let learned = |name: Ref| {
        let param = name.as_param().and_then(|i| lowered.params.get(i));
        let param = param.filter(|param| param.learn.is_some())?;
        Some(format!("`{}`", param.name))
    };
    let refs = call
        .args
        .iter()
        .flat_map(|arg| walk::deep_refs(arg, &neuron.lets));
    let mut names: Vec<String> = refs.filter_map(learned).collect();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; of its primitive by {}", names.join(", ")),
    }
}

/// Every expression of a step.
fn expressions(neuron: &model::Neuron) -> Vec<&Expr> {
    let lets = neuron.lets.iter().map(|l| &l.value);
    let dynamics = neuron.states.iter().filter_map(|s| s.dynamics.as_ref());
    let receives = neuron.receives.iter().flat_map(|r| &r.body);
    let resets = neuron.resets.iter().flat_map(|r| &r.body);
    let mut all: Vec<&Expr> = lets.chain(dynamics.map(|d| &d.rhs)).collect();
    all.extend(receives.chain(resets).map(|a| &a.value));
    all.extend(neuron.states.iter().filter_map(|s| match &s.start {
        Start::Value(expr) => Some(expr),
        Start::Random(_) => None,
    }));
    for spike in &neuron.spikes {
        match &spike.trigger {
            Trigger::Crossing { above, below, .. } => all.extend([above, below]),
            Trigger::Count(expr) => all.push(expr),
            Trigger::Invalid(_) => {}
        }
        all.extend(&spike.scale);
    }
    all
}

fn saved(stages: &Stages) -> Vec<String> {
    let total: usize = stages.saved.iter().map(Saved::bytes).sum();
    let mut lines = vec![format!(
        "{total} bytes per neuron and step for the backward"
    )];
    lines.extend(stages.saved.iter().map(|saved| {
        let readers: Vec<String> = saved.readers.iter().map(ToString::to_string).collect();
        format!(
            "{}, {} bytes: {}",
            saved.slot.name,
            saved.bytes(),
            readers.join(", ")
        )
    }));
    lines
}

fn parameters(neuron: &Neuron) -> Vec<String> {
    let lines = neuron.params.iter().map(|param| {
        let shown = |value: f64| {
            let text = format!("{} {}", round(value / param.unit.factor), param.unit.text);
            text.trim_end().to_string()
        };
        let initial = if let Initial::Constant(value) = param.initial {
            shown(value)
        } else {
            initial_text(&param.initial)
        };
        let sharing = match param.sharing {
            Sharing::Shared => "",
            Sharing::PerChannel => " per channel",
            Sharing::PerNeuron => " per neuron",
        };
        let bounds = match param.bounds {
            Some((low, high)) => format!(" in {} .. {}", shown(low), shown(high)),
            None => String::new(),
        };
        let learned = if param.learn.is_some() {
            ", learned"
        } else {
            ""
        };
        format!("{}{sharing} = {initial}{bounds}{learned}", param.name)
    });
    lines.collect()
}

/// Without the last digits that a conversion of units leaves behind.
fn round(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

fn initial_text(initial: &Initial) -> String {
    match initial {
        Initial::Constant(value) => format!("{}", round(*value)),
        Initial::Normal { mean, std } => format!("normal({}, {})", round(*mean), round(*std)),
        Initial::LogNormal { median, sigma } => {
            format!("lognormal({}, {})", round(*median), round(*sigma))
        }
        Initial::Uniform { low, high } => format!("uniform({}, {})", round(*low), round(*high)),
        Initial::KaimingNormal { gain } => format!("kaiming_normal(gain = {})", round(*gain)),
        Initial::KaimingUniform { gain } => format!("kaiming_uniform(gain = {})", round(*gain)),
        Initial::XavierNormal { gain } => format!("xavier_normal(gain = {})", round(*gain)),
        Initial::XavierUniform { gain } => format!("xavier_uniform(gain = {})", round(*gain)),
        Initial::Orthogonal { gain } => format!("orthogonal(gain = {})", round(*gain)),
    }
}

fn network(front: &Front, program: &Program, memory: Option<u64>) -> Result<String, Failure> {
    let network = &program.network;
    let mut text = format!("network {}, step {} ms\n", network.name, network.step_ms);
    let mut line = |key: &str, line: String| {
        writeln!(text, "  {key:<10} {line}").expect("writing to a string does not fail");
    };
    for input in &network.inputs {
        line("input", format!("{} {:?}", input.name, input.shape));
    }
    let order: Vec<&str> = network
        .order
        .iter()
        .map(|&l| network.layers[l].name.as_str())
        .collect();
    line("order", order.join(", "));
    for arrival in semantics::delivery(front, network) {
        line("arrives", arrival);
    }
    let mut trained = 0;
    for (name, shape, initial, learned) in connections(network) {
        let size: usize = shape.iter().product();
        trained += if learned { size } else { 0 };
        let frozen = if learned { "" } else { ", frozen" };
        line("weights", format!("{name} {shape:?} = {initial}{frozen}"));
    }
    for layer in &network.layers {
        for param in layer.neuron.params.iter().filter(|p| p.learn.is_some()) {
            let size = match param.sharing {
                Sharing::Shared => 1,
                Sharing::PerChannel => layer.shape.first().copied().unwrap_or(1),
                Sharing::PerNeuron => layer.size(),
            };
            trained += size;
            line("learned", format!("{}.{} [{size}]", layer.name, param.name));
        }
    }
    line("in total", format!("{trained} numbers are trained"));
    if let Some(training) = &program.training {
        for (i, words) in memory_plan(network, training, memory)?
            .into_iter()
            .enumerate()
        {
            line(if i == 0 { "memory" } else { "" }, words);
        }
    }
    text.push('\n');
    Ok(text)
}

/// Name, shape, starting values, and whether they are trained, of each connection's parameters.
fn connections(network: &Network) -> Vec<(String, Vec<usize>, String, bool)> {
    let mut rows = Vec::new();
    for spec in specs(network) {
        let (initial, delay) = match spec.owner {
            Owner::Weight(c, o) => {
                let connection = &network.connections[c];
                let delay = match connection.delay {
                    _ if connection.delays.is_some() => String::new(),
                    0 => String::new(),
                    1 => ", delay 1 step".to_string(),
                    n => format!(", delay {n} steps"),
                };
                let operation = &connection.operations[o];
                (operation.weight.as_ref(), through(operation) + &delay)
            }
            Owner::Bias(c, o) => {
                let operation = &network.connections[c].operations[o];
                (operation.bias.as_ref(), String::new())
            }
            Owner::Feedback(c, o) => {
                let operation = &network.connections[c].operations[o];
                let words = ", takes the place of the weights in the backward".to_string();
                (operation.feedback.as_ref(), words)
            }
            Owner::Running(c, o, moment) => {
                let initial = match moment {
                    Moment::Mean => Initial::Constant(0.0),
                    Moment::Variance => Initial::Constant(1.0),
                };
                let words = match network.connections[c].operations[o].synapses {
                    Synapses::Normalisation { momentum, .. } => {
                        format!(", running average of momentum {momentum}")
                    }
                    Synapses::Dense { .. }
                    | Synapses::Sparse { .. }
                    | Synapses::OneToOne
                    | Synapses::Scale
                    | Synapses::Convolution(_)
                    | Synapses::Pool { .. }
                    | Synapses::Dropout { .. } => String::new(),
                };
                rows.push((
                    spec.name,
                    spec.shape,
                    initial_text(&initial) + &words,
                    false,
                ));
                continue;
            }
            Owner::Delay(c) => {
                let delays = network.connections[c].delays.as_ref();
                let range = delays.map_or(String::new(), |d| {
                    format!(", {} to {} steps", d.shortest, d.longest)
                });
                (delays.map(|d| &d.initial), range)
            }
            Owner::Mapped(..) | Owner::Neuron(..) => continue,
        };
        let initial = initial.map_or(String::new(), initial_text) + &delay;
        rows.push((spec.name, spec.shape, initial, spec.trained));
    }
    rows
}

/// The function that weights go through before they are used.
fn through(operation: &Operation) -> String {
    let Some(map) = &operation.map else {
        return String::new();
    };
    let memory = match map.has_memory() {
        true => ", which remembers what it gave",
        false => "",
    };
    format!(", used through `{}`{memory}", map.function.name)
}

/// What a training step takes on one thread. Nothing is allocated for it.
fn memory_plan(
    network: &Network,
    training: &Training,
    limit: Option<u64>,
) -> Result<Vec<String>, Failure> {
    let load = Load {
        steps: training.steps,
        batch: training.batch,
        threads: 1,
        gradient: training.gradient,
        // The data is not opened.
        fixed: 0,
        limit,
    };
    let plan = match training.precision {
        Precision::F32 => planned::<f32>(network, &load)?,
        Precision::F64 => planned::<f64>(network, &load)?,
    };
    match (plan, limit) {
        (Ok(plan), _) | (Err(plan), None) => Ok(in_words(&plan)),
        (Err(least), Some(limit)) => Err(refused(&least, limit)),
    }
}

fn planned<R: Float>(
    network: &Network,
    load: &Load,
) -> Result<Result<MemoryPlan, MemoryPlan>, Failure> {
    let (backend, tape) = (Backend::Interpreter, load.gradient.tape);
    let simulator = Simulator::<R>::with_tape(network, backend, Gradients::Trained, tape)?;
    Ok(simulator.plan_memory(load))
}
