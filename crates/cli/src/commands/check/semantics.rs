//! What a step of a neuron means, phase by phase, in the program's own words; and what holds for every
//! program: simultaneous assignment, delivery, the life of a state, random numbers.
//!
//! The reference says the same in general (grammar/README.md, "What a step is"); here a reader sees it
//! for the file at hand, so nothing has to be applied from memory.

use rheobase_ir::integrate::Chosen;
use rheobase_ir::program::{Initial, Network, Neuron, Source};
use rheobase_lang::ast::Phase;
use rheobase_lang::model::{self, DynamicsKind, Ref, Start, Trigger, eval};
use rheobase_lang::span::Span;

use crate::pipeline::Front;

/// What is the same for every program, below the tables of its parts.
pub(super) const EVERYWHERE: &str = "\
in every step
  phases     run in the order above; in each, right-hand sides read the values from before the phase, so the
             order of lines does not matter; several assignments to one state apply one after the other
  lets       are formulas: their states are those of the moment in which they are read
  layers     run in the order of the network; a spike without delay arrives in the step in which it occurs,
             one with a delay of n steps in step k + n, in the phase receive
  delays     and refractory times are whole steps, rounded once (W0511 says where)
in every sample
  states     begin at their start value, and nothing is under way in delays; weights and parameters live on
  randomness is a function of the seed and of what is drawn for (weight; sample, epoch, step, neuron): the same bits
             for any number of threads and after a resume
backward
  gradient   the derivative of exactly this program over all steps, with the exceptions listed as `gradient`
";

/// The steps of a neuron as rows of a key and a line.
pub(super) fn step(
    front: &Front,
    model: &model::Neuron,
    lowered: &Neuron,
    chosen: &[Chosen],
    step_ms: f64,
) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for item in &model.lets {
        let formula = text(front, item.value.span);
        rows.push(("let", format!("{} = {formula}", item.name.text)));
    }
    for phase in &model.order {
        let (key, lines) = match phase {
            Phase::Receive => ("receive", receive(front, model)),
            Phase::Integrate => ("integrate", integrate(front, model, chosen)),
            Phase::Spike => ("spike", spike(front, model)),
            Phase::Reset => ("reset", reset(front, model)),
        };
        rows.extend(lines.into_iter().map(|line| (key, line)));
    }
    if let Some(refractory) = &model.refractory {
        rows.push((
            "refractory",
            waiting(front, model, lowered, refractory, step_ms),
        ));
    }
    for state in &model.states {
        let start = match &state.start {
            Start::Value(expr) => text(front, expr.span),
            Start::Random(draw) => text(front, draw.span) + ", drawn for each neuron and sample",
        };
        rows.push(("start", format!("{} = {start}", state.name.text)));
    }
    rows
}

/// A piece of the program on one line.
fn text(front: &Front, span: Span) -> String {
    let words: Vec<&str> = front.sources.text(span).split_whitespace().collect();
    words.join(" ")
}

fn body(front: &Front, body: &[model::Assign]) -> String {
    let lines: Vec<String> = body.iter().map(|a| text(front, a.span)).collect();
    lines.join(", ")
}

fn receive(front: &Front, model: &model::Neuron) -> Vec<String> {
    let line = |block: &model::Receive| {
        let port = &model.ports[block.port].name.text;
        let assigned = body(front, &block.body);
        format!("{assigned}, where {port} is the sum of weight times spike over what arrives")
    };
    model.receives.iter().map(line).collect()
}

fn integrate(front: &Front, model: &model::Neuron, chosen: &[Chosen]) -> Vec<String> {
    let mut lines = Vec::new();
    for state in &model.states {
        let Some(dynamics) = &state.dynamics else {
            continue;
        };
        let equation = text(front, dynamics.span);
        let name = state.name.text.as_str();
        match dynamics.kind {
            DynamicsKind::Next => lines.push(equation),
            DynamicsKind::Ode(_) => {
                let by = chosen.iter().find(|c| c.state == name);
                let by = by.map_or(String::new(), |c| format!("  by {}: {}", c.taken, c.reason));
                lines.push(format!("{equation}{by}"));
            }
        }
    }
    lines
}

fn spike(front: &Front, model: &model::Neuron) -> Vec<String> {
    let mut lines = Vec::new();
    for spike in &model.spikes {
        let name = spike.name.as_ref();
        let name = name.map_or(String::new(), |n| format!("{}: ", n.text));
        let carried = spike.payload.as_ref().map_or(String::new(), |payload| {
            format!("; it carries {}", text(front, payload.span))
        });
        lines.push(match &spike.trigger {
            Trigger::Crossing { strict, span, .. } => {
                let equal = match strict {
                    true => "not at equality",
                    false => "equality included",
                };
                let condition = text(front, *span);
                format!("{name}one, where {condition} ({equal}), on the states as they are then{carried}")
            }
            Trigger::Count(expr) => {
                format!("{name}as many as {} says{carried}", text(front, expr.span))
            }
            Trigger::Invalid(_) => continue,
        });
    }
    if lines.is_empty() {
        lines.push("never: a readout".to_string());
    }
    lines
}

fn reset(front: &Front, model: &model::Neuron) -> Vec<String> {
    let line = |block: &model::Reset| {
        let spike = block.spike.and_then(|i| model.spikes[i].name.as_ref());
        let which = spike.map_or("it spiked".to_string(), |n| {
            format!("`{}` occurred", n.text)
        });
        format!("{}, where {which}", body(front, &block.body))
    };
    model.resets.iter().map(line).collect()
}

/// The refractory time in steps, and what happens in it.
fn waiting(
    front: &Front,
    model: &model::Neuron,
    lowered: &Neuron,
    refractory: &model::Refractory,
    step_ms: f64,
) -> String {
    let value = |name: Ref| match lowered.params.get(name.as_param()?)?.initial {
        Initial::Constant(value) => Some(value),
        Initial::Normal { .. }
        | Initial::LogNormal { .. }
        | Initial::Uniform { .. }
        | Initial::KaimingNormal { .. }
        | Initial::KaimingUniform { .. }
        | Initial::XavierNormal { .. }
        | Initial::XavierUniform { .. }
        | Initial::Orthogonal { .. } => None,
    };
    let env = eval::Env::new(&front.model, Some(step_ms), &value).with_lets(&model.lets);
    let steps = env.number(&refractory.duration).ok();
    let written = text(front, refractory.duration.span);
    let names = |indices: &[usize], name: &dyn Fn(usize) -> String| {
        let names: Vec<String> = indices.iter().map(|&i| name(i)).collect();
        names.join(", ")
    };
    let mut line = match steps.map(|ms| (ms / step_ms).round()) {
        Some(steps) if steps <= 1.0 => {
            let steps = if steps == 1.0 { "1 step" } else { "0 steps" };
            return format!(
                "{written} is {steps}: the next spike is possible one step later, as without it"
            );
        }
        Some(steps) => format!(
            "{written} is {steps} steps: after a spike in step k the next is possible in step k + {steps}"
        ),
        None => format!("for {written} after a spike there is no other"),
    };
    if !refractory.holds.is_empty() {
        let held = names(&refractory.holds, &|i| model.states[i].name.text.clone());
        line += &format!("; until then {held} keeps its value, whatever arrives");
    }
    if !refractory.drops.is_empty() {
        let dropped = names(&refractory.drops, &|i| model.ports[i].name.text.clone());
        line += &format!("; what arrives at {dropped} is lost");
    }
    if refractory.holds.len() < model.states.len() && refractory.drops.is_empty() {
        line += "; other states go on";
    }
    line
}

/// When the spikes of each connection arrive, and through what.
pub(super) fn delivery(front: &Front, network: &Network) -> Vec<String> {
    // Every connection of the checked network became one.
    let checked = front.model.network(&network.name);
    let checked = checked.map_or(&[][..], |network| network.connections.as_slice());
    let line = |(i, connection): (usize, &rheobase_ir::program::Connection)| {
        let from = match connection.from {
            Source::Input(i) => network.inputs[i].name.clone(),
            Source::Layer(l) => network.layers[l].name.clone(),
            Source::State(l, s) => {
                let layer = &network.layers[l];
                format!("{}.{}", layer.name, layer.neuron.states[s].name)
            }
        };
        let to = &network.layers[connection.to];
        let port = &to.neuron.ports[connection.port].name;
        let when = match connection.delay {
            shortest if let Some(delays) = &connection.delays => {
                format!("{shortest} to {} steps later, by synapse", delays.longest)
            }
            0 => "in the same step".to_string(),
            1 => "one step later".to_string(),
            n => format!("{n} steps later"),
        };
        let through = checked.get(i).map_or(String::new(), through);
        format!("{from} -> {}.{port}{through} {when}", to.name)
    };
    network.connections.iter().enumerate().map(line).collect()
}

/// ` through conv2d then dropout`
fn through(connection: &model::Connection) -> String {
    let names: Vec<&str> = connection
        .ops
        .iter()
        .map(|op| op.callee.text.as_str())
        .collect();
    let shared = if connection.tied.is_some() {
        " with the weights of another connection"
    } else {
        ""
    };
    format!(" through {}{shared}", names.join(" then "))
}
