//! From a program and the options of `run` to a network that is ready to run.
//!
//! A neuron alone becomes a network of one layer without connections. Values from `--set` and single numbers
//! from the input archive are put in before lowering, so that what is computed from them follows.

use ndarray::Axis;
use rheobase_ir::kernel::{Def, Kernel, Role, Slot};
use rheobase_ir::program::{Initial, Layer, Network, Neuron, Operation, Sharing, Unit};
use rheobase_ir::types::Rate;
use rheobase_lang::lower::Override;
use rheobase_runtime::{Owner, specs};

use super::{RunArgs, shown};
use crate::console::Console;
use crate::edits::{Target, names_parameter};
use crate::failure::Failure;
use crate::inputs::{Arrays, steps_samples_neurons};
use crate::names::unknown;
use crate::pipeline::Front;
use crate::settings::Setting;
use crate::simulation::Naming;

/// A network that is ready to run, and what is left of the arrays and settings.
pub(in crate::commands) struct Job {
    pub(in crate::commands) network: Network,
    pub(in crate::commands) naming: Naming,
    pub(in crate::commands) arrays: Arrays,
    /// Parameters that are set after everything else.
    pub(in crate::commands) last: Vec<(String, f64)>,
}

impl Job {
    /// One layer of unconnected lanes, as many as the input arrays have.
    pub(super) fn neuron(
        front: &Front,
        name: &str,
        mut arrays: Arrays,
        args: &RunArgs,
        console: &Console,
    ) -> Result<Job, Failure> {
        let step_ms = args.step.unwrap_or_else(|| front.step_ms());
        let plain = front.neuron(name, step_ms, &[], console)?;
        let lanes = lanes(&plain, &arrays, &shown(&args.input))?;
        // Numbers are put into the model before it is lowered, so that parameters that are computed from
        // them follow.
        let mut overrides = Vec::new();
        let scalars: Vec<String> = arrays
            .iter()
            .filter(|(key, a)| {
                a.len() == 1 && key.starts_with("param.") && (a.ndim() == 0 || lanes > 1)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in scalars {
            let name = key.trim_start_matches("param.");
            if plain.params.iter().any(|p| p.name == name) {
                let value = arrays[&key].iter().copied().next().unwrap_or(f64::NAN);
                overrides.push(Override {
                    name: name.to_string(),
                    value,
                });
            }
        }
        for setting in &args.set {
            let Some(param) = plain.params.iter().find(|p| p.name == setting.name) else {
                let names = plain.params.iter().map(|p| p.name.as_str());
                return Err(Failure::Usage(unknown("parameter", &setting.name, names)));
            };
            let value = setting.in_base(&param.unit, step_ms)?;
            arrays.remove(&format!("param.{}", setting.name));
            overrides.retain(|o| o.name != setting.name);
            overrides.push(Override {
                name: setting.name.clone(),
                value,
            });
        }
        let mut neuron = front.neuron(name, step_ms, &overrides, console)?;
        for param in neuron.params.clone() {
            let array = arrays.get(&format!("param.{}", param.name));
            if array.is_some_and(|a| a.ndim() == 1 && a.len() == lanes) {
                make_per_neuron(&mut neuron, &param.name);
            }
        }
        let network = Network {
            name: name.to_string(),
            step_ms,
            inputs: Vec::new(),
            layers: vec![Layer {
                name: name.to_string(),
                shape: vec![lanes],
                neuron,
            }],
            connections: Vec::new(),
            order: vec![0],
        };
        let last = overrides.into_iter().map(|o| (o.name, o.value)).collect();
        Ok(Job {
            network,
            naming: Naming::Neuron,
            arrays,
            last,
        })
    }
}

impl Job {
    /// A network as it is. Weights can only be set once it is lowered.
    pub(in crate::commands) fn network(
        front: Front,
        name: &str,
        arrays: Arrays,
        settings: &[Setting],
        console: &Console,
    ) -> Result<Job, Failure> {
        let plan = front.first_plan(name).map(str::to_string);
        let target = Target {
            network: name,
            train: plan.as_deref(),
        };
        let (front, left) = front.with_settings(target, settings, console)?;
        let network = front.program(name, plan.as_deref(), console)?.network;
        // The parameters of layers are in the network already, but a weights file would replace them again.
        let mut last = layer_values(&network, settings);
        for setting in left {
            last.push((setting.name.clone(), weight_value(&network, setting)?));
        }
        Ok(Job {
            network,
            naming: Naming::Network,
            arrays,
            last,
        })
    }
}

/// The values of `layer.param` settings as they were lowered.
fn layer_values(network: &Network, settings: &[Setting]) -> Vec<(String, f64)> {
    let mut values = Vec::new();
    for layer in &network.layers {
        for param in &layer.neuron.params {
            let name = format!("{}.{}", layer.name, param.name);
            if let Initial::Constant(value) = param.initial
                && settings.iter().any(|s| names_parameter(&s.name, &name))
            {
                values.push((name, value));
            }
        }
    }
    values
}

/// The value of `a.b.x.weight=0.5`, in its unit; of a delay in steps.
fn weight_value(network: &Network, setting: &Setting) -> Result<f64, Failure> {
    let specs = specs(network);
    let Some(spec) = specs.iter().find(|spec| spec.name == setting.name) else {
        let names = specs.iter().map(|spec| spec.name.as_str());
        return Err(Failure::Usage(unknown("parameter", &setting.name, names)));
    };
    let step_ms = network.step_ms;
    let port = |c: usize| {
        let connection = &network.connections[c];
        &network.layers[connection.to].neuron.ports[connection.port].unit
    };
    match spec.owner {
        // The first weights of a chain have the unit of the port, the others multiply them.
        Owner::Weight(c, o) | Owner::Mapped(c, o) | Owner::Feedback(c, o) => {
            let (before, rest) = network.connections[c].operations.split_at(o);
            let multiplies = before.iter().any(|operation| operation.weight.is_some());
            // A gain has it, too: what it multiplies has no unit any more.
            let gain = rest.first().is_some_and(Operation::normalises);
            match multiplies && !gain {
                true => setting.in_base(&Unit::one(), step_ms),
                false => setting.in_base(port(c), step_ms),
            }
        }
        Owner::Bias(c, _) => setting.in_base(port(c), step_ms),
        // Base units: what a normalisation reads need not have the unit of the port.
        Owner::Running(..) => setting.in_base(&Unit::one(), step_ms),
        Owner::Delay(_) => {
            let ms = Unit {
                text: "ms".to_string(),
                factor: 1.0,
            };
            Ok(setting.in_base(&ms, step_ms)? / step_ms)
        }
        Owner::Neuron(layer, param) => {
            let unit = &network.layers[layer].neuron.params[param].unit;
            setting.in_base(unit, step_ms)
        }
    }
}

/// The number of lanes: the last axis of the first input array.
fn lanes(neuron: &Neuron, arrays: &Arrays, file: &str) -> Result<usize, Failure> {
    let port = neuron
        .ports
        .iter()
        .find_map(|p| Some((&p.name, arrays.get(&p.name)?)));
    let Some((name, array)) = port else {
        let ports = neuron.ports.iter().map(|p| p.name.as_str());
        let wrong = arrays
            .keys()
            .find(|k| !k.starts_with("init.") && !k.starts_with("param."));
        return Err(Failure::Run(match wrong {
            Some(name) => format!("{file}: {}", unknown("input port", name, ports)),
            None => {
                let ports: Vec<String> = ports.map(|p| format!("`{p}`")).collect();
                format!(
                    "{file}: it has no array for an input port; ports: {}",
                    ports.join(", ")
                )
            }
        }));
    };
    let array = steps_samples_neurons(name, array);
    let array = array.map_err(|message| Failure::Run(format!("{file}: {message}")))?;
    Ok(array.len_of(Axis(2)))
}

/// Gives a parameter a value for each lane.
fn make_per_neuron(neuron: &mut Neuron, name: &str) {
    if let Some(param) = neuron.params.iter_mut().find(|p| p.name == name) {
        param.sharing = Sharing::PerNeuron;
    }
    let slot = Slot::new(Role::Param, name);
    for kernel in [&mut neuron.step, &mut neuron.init] {
        widen(kernel, &slot);
    }
}

/// Makes an input of a kernel one value per lane, and the outputs that depend on it.
fn widen(kernel: &mut Kernel, slot: &Slot) {
    for node in &mut kernel.nodes {
        if let Def::Input(input) = &mut node.def
            && input.slot == *slot
        {
            input.rate = Rate::Lane;
        }
    }
    let rates = kernel.rates();
    for output in &mut kernel.outputs {
        output.rate = output.rate.max(rates[output.value.index()]);
    }
}
