//! Surrogates as a neuron uses them: derivative and primitive over the margin `u`, and the margins that a
//! network visits.
//!
//! Nothing is known of surrogates by name. A `spike` of a kernel has three operands: the margin, the
//! derivative and the primitive, both computed from the margin by the nodes between them; these are
//! evaluated with other margins in its place.

use rheobase_ir::interp::{Spiking, evaluate_op};
use rheobase_ir::kernel::{Def, Input, Kernel, Node, Output, Role, Slot, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::program::{Network, Neuron, Unit, Variable};
use rheobase_ir::types::{Rate, Type};
use rheobase_plot::{Chart, Mark};

/// How the names of the states begin that hold margins; no name of a program has a space.
pub(crate) const MARGIN: &str = "margin ";

/// Points of a curve.
const POINTS: usize = 401;

/// The operands of every spike of a step: margin, derivative, primitive if there is one.
fn spikes(step: &Kernel) -> Vec<(Value, Value, Option<Value>)> {
    let nodes = step.nodes.iter();
    nodes
        .filter_map(|node| match &node.def {
            Def::Inst(Op::Spike(_), args) => Some((args[0], args[1], args.get(2).copied())),
            Def::Inst(..) | Def::Input(_) => None,
        })
        .collect()
}

/// The network with a state for each margin, which changes nothing else.
pub(crate) fn with_margins(network: &Network) -> Network {
    let mut network = network.clone();
    for layer in &mut network.layers {
        let neuron = &mut layer.neuron;
        for (number, (margin, ..)) in spikes(&neuron.step).into_iter().enumerate() {
            let name = format!("{MARGIN}{number}");
            let slot = Slot::new(Role::State, &name);
            neuron.states.push(Variable {
                name: name.clone(),
                unit: Unit::one(),
            });
            let zero = Value(neuron.init.nodes.len() as u32);
            neuron
                .init
                .nodes
                .push(node(Def::Inst(Op::Const(0.0.into()), Vec::new())));
            neuron.init.outputs.push(Output {
                slot: Slot::new(Role::Init, &name),
                value: zero,
                rate: Rate::Uniform,
            });
            neuron.step.nodes.push(node(Def::Input(Input {
                slot: slot.clone(),
                ty: Type::Real,
                rate: Rate::Lane,
            })));
            neuron.step.outputs.push(Output {
                slot,
                value: margin,
                rate: Rate::Lane,
            });
        }
    }
    network
}

fn node(def: Def) -> Node {
    Node {
        def,
        ty: Type::Real,
        note: None,
        origin: None,
    }
}

/// For each spike of a neuron its surrogate: derivative and primitive over the margin. `visited` are
/// margins that a run had, for each spike; they choose the range, and their distribution is shown.
pub(crate) fn surrogates(neuron: &Neuron, visited: impl Fn(usize) -> Vec<f64>) -> Vec<Chart> {
    let found = spikes(&neuron.step).into_iter().enumerate();
    found
        .map(|(number, spike)| {
            let seen = visited(number);
            let (low, high) = range(&seen, &|u| at(neuron, spike.0, spike.1, u));
            let us = (0..POINTS).map(|i| low + (high - low) * i as f64 / (POINTS - 1) as f64);
            let us: Vec<f64> = us.collect();
            let curve = |value: Value| -> Vec<(f64, f64)> {
                let points = us.iter().map(|u| (*u, at(neuron, spike.0, value, *u)));
                points.collect()
            };
            let derivative = curve(spike.1);
            let most = derivative.iter().map(|p| p.1).fold(0.0, f64::max);
            let names = &neuron.spikes;
            let of = names.get(number).filter(|_| names.len() > 1);
            let title = match of {
                Some(name) => format!("Surrogate of {}.{name}", neuron.name),
                None => format!("Surrogate of {}", neuron.name),
            };
            let mut chart = Chart::new(&title, "margin u (base units)", "value");
            if !seen.is_empty() {
                let counted = Chart::default().with_histogram("", &seen, (low, high), 60);
                let counts = counted.series.into_iter().flat_map(|s| s.points);
                let counts: Vec<(f64, f64)> = counts.collect();
                let tallest = counts.iter().map(|c| c.1).fold(1.0, f64::max);
                let scaled = counts
                    .iter()
                    .map(|(u, c)| (*u, c / tallest * most.max(1e-9)));
                chart = chart.with_ink("visited (scaled)", Mark::Bars, scaled.collect(), 6);
            }
            chart = chart.with_ink("derivative", Mark::Line, derivative, 0);
            match spike.2 {
                Some(primitive) => chart.with_ink("primitive", Mark::Dashed, curve(primitive), 1),
                None => chart,
            }
        })
        .collect()
}

/// The range of margins: the visited ones without their outermost hundredth and with 0 inside; without
/// any, where the derivative is more than a hundredth of its largest value.
fn range(visited: &[f64], derivative: &dyn Fn(f64) -> f64) -> (f64, f64) {
    let mut sorted: Vec<f64> = visited.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    if let (Some(first), Some(last)) = (
        sorted.get(sorted.len() / 100),
        sorted.get(sorted.len().saturating_sub(1 + sorted.len() / 100)),
    ) {
        let (low, high) = (first.min(0.0), last.max(0.0));
        let room = 0.1 * (high - low).max(1e-9);
        return (low - room, high + room);
    }
    let wide = (0..40).map(|k| 1e-3 * 1.5f64.powi(k));
    let most = wide
        .clone()
        .map(|u| derivative(u).abs())
        .fold(derivative(0.0).abs(), f64::max);
    let reaches = |u: &f64| {
        let found = derivative(*u).abs().max(derivative(-*u).abs());
        found > 0.02 * most
    };
    let end = wide.filter(reaches).fold(1e-3, f64::max);
    let end = end.min(1e3);
    (-1.2 * end, 1.2 * end)
}

/// The value of a node with another margin. Parameters have their initial values, states and ports are 0.
fn at(neuron: &Neuron, margin: Value, wanted: Value, u: f64) -> f64 {
    let kernel = &neuron.step;
    let mut known: Vec<Option<f64>> = vec![None; kernel.nodes.len()];
    known[margin.index()] = Some(u);
    // Nodes stand in the order of evaluation; the margin is known before the nodes that use it are reached.
    for (value, node) in kernel.values().take(wanted.index() + 1) {
        if known[value.index()].is_some() {
            continue;
        }
        known[value.index()] = match &node.def {
            Def::Input(input) => Some(input_value(neuron, &input.slot)),
            Def::Inst(op, args) => {
                let operands: Option<Vec<f64>> = args.iter().map(|a| known[a.index()]).collect();
                operands.and_then(|o| evaluate_op(*op, &o, &mut Spiking::Hard).ok())
            }
        };
    }
    known[wanted.index()].unwrap_or(f64::NAN)
}

fn input_value(neuron: &Neuron, slot: &Slot) -> f64 {
    let param = neuron.params.iter().find(|p| p.name == slot.name);
    match (slot.role, param) {
        (Role::Param, Some(param)) => param.typical(),
        _ => 0.0,
    }
}
