//! Several steps of a neuron in one pass over the rows: its states stay in registers from step to step, where a call for
//! each step reads and writes them. Possible where the input of the steps is known before, in a layer without
//! feedback. The table says what that would gain.

use std::collections::BTreeMap;

use rheobase_ir::kernel::{Def, Input, Kernel, Node, Output, Role, Slot, Value};

use crate::rows::{LANES, Rows, scattered};
use crate::std_neurons::{Made, backward, neurons};

/// How many steps a pass makes.
const STEPS: [usize; 3] = [1, 2, 4];

/// Prints the table, of the neurons of `std/neurons.snn` that are named.
pub(crate) fn report(_: f64, names: &[&str]) {
    println!(
        "{:20} {:>9}{}   ns per neuron and step",
        "steps in a pass",
        "neurons",
        STEPS.map(|steps| format!(" {steps:>9}")).concat()
    );
    let names = if names.is_empty() { &["LIF"] } else { names };
    for made in neurons("std/neurons.snn") {
        if names.contains(&made.neuron.name.as_str()) {
            for lanes in [LANES, 8 * LANES, 256 * LANES] {
                lines(&made, lanes);
            }
        }
    }
}

fn lines(made: &Made, lanes: usize) {
    let forward = STEPS.map(|steps| {
        let mut rows = made.rows(&repeated(&made.stages.forward, steps), lanes, 0.5);
        (0..50).for_each(|_| rows.call());
        rows.time() / steps as f64
    });
    line(&made.stages.forward.name, lanes, forward);
    let mut once = made.rows(&made.stages.forward, lanes, 0.5);
    (0..50).for_each(|_| once.call());
    let once = backward(made, &once).rows;
    let known: BTreeMap<String, Vec<f64>> = once
        .all()
        .map(|(slot, row)| (slot.to_string(), row))
        .collect();
    let back = STEPS.map(|steps| {
        let kernel = repeated(&made.stages.backward, steps);
        let mut rows = Rows::<f32>::of(&kernel, lanes, |slot, number, lane| {
            let name = slot.name.split('@').next().unwrap_or_default();
            let first = Slot {
                name: name.to_owned(),
                ..slot.clone()
            };
            match known.get(&first.to_string()) {
                Some(row) => row[lane.min(row.len() - 1)],
                None => scattered(number, lane),
            }
        });
        rows.time() / steps as f64
    });
    line(&made.stages.backward.name, lanes, back);
}

fn line(kernel: &str, lanes: usize, times: [f64; 3]) {
    let times = times.map(|time| format!(" {time:>9.3}")).concat();
    println!("{kernel:20} {lanes:>9}{times}");
}

/// A kernel of so many steps. What has a row for each step is named by its step, as in `u@1`; a state is what the step
/// before left.
fn repeated(kernel: &Kernel, steps: usize) -> Kernel {
    let mut nodes: Vec<Node> = Vec::new();
    let mut inputs: BTreeMap<Slot, Value> = BTreeMap::new();
    let mut outputs: BTreeMap<Slot, Output> = BTreeMap::new();
    for step in 0..steps {
        let at_step = |slot: &Slot| match slot.role {
            Role::Port | Role::Spike | Role::Saved if step > 0 => Slot {
                name: format!("{}@{step}", slot.name),
                ..slot.clone()
            },
            Role::Port | Role::Spike | Role::Saved => slot.clone(),
            Role::Param | Role::Derived | Role::Init | Role::State | Role::Key => slot.clone(),
        };
        let mut values: Vec<Value> = Vec::new();
        for node in &kernel.nodes {
            let def = match &node.def {
                Def::Inst(op, args) => {
                    Def::Inst(*op, args.iter().map(|a| values[a.index()]).collect())
                }
                Def::Input(input) => {
                    let slot = at_step(&input.slot);
                    let known = outputs.get(&slot).map(|output| output.value);
                    if let Some(value) = known.or_else(|| inputs.get(&slot).copied()) {
                        values.push(value);
                        continue;
                    }
                    inputs.insert(slot.clone(), Value(nodes.len() as u32));
                    let (ty, rate) = (input.ty, input.rate);
                    Def::Input(Input { slot, ty, rate })
                }
            };
            values.push(Value(nodes.len() as u32));
            nodes.push(Node {
                def,
                ..node.clone()
            });
        }
        for output in &kernel.outputs {
            let slot = at_step(&output.slot);
            let (value, rate) = (values[output.value.index()], output.rate);
            outputs.insert(slot.clone(), Output { slot, value, rate });
        }
    }
    Kernel {
        name: format!("{}.{steps}", kernel.name),
        nodes,
        outputs: outputs.into_values().collect(),
    }
}
