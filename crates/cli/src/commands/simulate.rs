//! `rheo run` and `rheo grad`: a neuron or a network on given input, arrays in and arrays out.
//!
//! With `--neuron` the lanes of the input arrays run side by side as one layer without connections. With
//! `--network` the arrays are events: what is not 0 is an event, with its value where that is not 1.

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, IxDyn};
use rheobase_data::npz;
use rheobase_ir::kernel::{Def, Kernel, Role, Slot};
use rheobase_ir::program::{Initial, Layer, Network, Neuron, Sharing};
use rheobase_ir::types::Rate;
use rheobase_lang::lower::Override;
use rheobase_runtime::{Backend, Gradients, ParameterSpec, Simulator};
use rheobase_train::weights;

use crate::console::Console;
use crate::edits::Target;
use crate::failure::Failure;
use crate::inputs::{Arrays, Inputs, Names, steps_samples_neurons};
use crate::names::unknown;
use crate::pipeline::{Front, compile};
use crate::settings::{Setting, parse_setting, parse_step};
use crate::simulation::{How, Naming, simulate};

/// Options of `rheo run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The program
    pub file: PathBuf,
    /// Neuron or network
    #[command(flatten)]
    pub what: WhatArgs,
    /// Input arrays: `[T, B, N]` or `[T, N]` for each port (with --neuron) or input population (with
    /// --network), `init.<state>`, `param.<name>`; in ms, mV, pA, nS, pF
    #[arg(long, value_name = "NPZ")]
    pub input: PathBuf,
    /// Length of a time step of a neuron [default: that of the only network in the file, else 1ms]
    #[arg(long, value_name = "TIME", value_parser = parse_step, conflicts_with = "network", allow_hyphen_values = true)]
    pub step: Option<f64>,
    /// Another value of a parameter, with its unit: `tau_mem=10ms`, `hid.v_th=0.8`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// Parameters from a .safetensors or .npz file
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Machine code or the reference interpreter
    #[arg(long, value_enum, default_value_t = Executor::Jit)]
    pub executor: Executor,
    /// Precision of all numbers
    #[arg(long, value_enum, default_value_t = PrecisionArg::F32)]
    pub precision: PrecisionArg,
    /// Seed of everything that is drawn at random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where the result is written
    #[arg(long, value_name = "NPZ")]
    pub out: PathBuf,
}

/// What is simulated.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct WhatArgs {
    /// Simulate this neuron, lanes side by side
    #[arg(long, value_name = "NAME")]
    pub neuron: Option<String>,
    /// Simulate this network
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
}

/// Options of `rheo grad`.
#[derive(Clone, Debug, clap::Args)]
pub struct GradArgs {
    /// What is run and how
    #[command(flatten)]
    pub run: RunArgs,
    /// The loss is the sum of cotangent · output over these arrays, which have names and shapes of outputs
    #[arg(long, value_name = "NPZ")]
    pub cotangents: PathBuf,
}

/// What runs the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Executor {
    /// Machine code for this processor
    Jit,
    /// The reference interpreter: slow, and right by definition
    Interp,
}

/// The precision of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// 32-bit numbers
    F32,
    /// 64-bit numbers
    F64,
}

/// Simulates and writes the traces.
///
/// # Errors
///
/// The program, the arrays or the options do not fit together, or the result is not finite.
pub fn run(args: &RunArgs, console: &Console) -> Result<(), Failure> {
    simulate_to_file(args, None, console)
}

/// Simulates forward and backward and writes traces and gradients.
///
/// # Errors
///
/// As [`run`].
pub fn grad(args: &GradArgs, console: &Console) -> Result<(), Failure> {
    simulate_to_file(&args.run, Some(&args.cotangents), console)
}

fn simulate_to_file(
    args: &RunArgs,
    cotangents: Option<&Path>,
    console: &Console,
) -> Result<(), Failure> {
    let front = compile(&args.file, console)?;
    let arrays = read(&args.input)?;
    let job = match (&args.what.neuron, &args.what.network) {
        (Some(neuron), _) => Job::neuron(&front, neuron, arrays, args, console)?,
        (None, Some(network)) => Job::network(front, network, arrays, args, console)?,
        (None, None) => {
            return Err(Failure::Usage("give --neuron or --network".to_string()));
        }
    };
    let specs = specs(&job.network)?;
    let names = Names {
        network: &job.network,
        naming: job.naming,
        specs: &specs,
    };
    let mut inputs = names.inputs(&job.arrays, &shown(&args.input))?;
    if let Some(path) = &args.weights {
        let mut first = given_weights(&names, path)?;
        first.append(&mut inputs.parameters);
        inputs.parameters = first;
    }
    for (name, value) in &job.last {
        let value = ArrayD::from_elem(IxDyn(&[]), *value);
        let parameter = names.parameter(name, &value).map_err(Failure::Usage)?;
        inputs.parameters.push(parameter);
    }
    if let Some(path) = cotangents {
        names.cotangents(&read(path)?, &mut inputs, &shown(path))?;
    }
    let how = How {
        backend: match args.executor {
            Executor::Jit => Backend::Jit,
            Executor::Interp => Backend::Interpreter,
        },
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        seed: args.seed,
        gradient: cotangents.is_some(),
    };
    write(args, &job, &inputs, how)
}

fn write(args: &RunArgs, job: &Job, inputs: &Inputs, how: How) -> Result<(), Failure> {
    let (arrays, precision) = match args.precision {
        PrecisionArg::F32 => (
            simulate::<f32>(&job.network, job.naming, inputs, how)?,
            npz::Precision::F32,
        ),
        PrecisionArg::F64 => (
            simulate::<f64>(&job.network, job.naming, inputs, how)?,
            npz::Precision::F64,
        ),
    };
    Ok(npz::write(&args.out, &arrays, precision)?)
}

/// A network that is ready to run, and what is left of the arrays and settings.
struct Job {
    network: Network,
    naming: Naming,
    arrays: Arrays,
    /// Parameters that are set after everything else.
    last: Vec<(String, f64)>,
}

impl Job {
    /// One layer of unconnected lanes, as many as the input arrays have.
    fn neuron(
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
    fn network(
        front: Front,
        name: &str,
        arrays: Arrays,
        args: &RunArgs,
        console: &Console,
    ) -> Result<Job, Failure> {
        let plan = front.first_plan(name).map(str::to_string);
        let target = Target {
            network: name,
            train: plan.as_deref(),
        };
        let (front, left) = front.with_settings(target, &args.set, console)?;
        let network = front.program(name, plan.as_deref(), console)?.network;
        // The parameters of layers are in the network already, but a weights file would replace them again.
        let mut last = layer_values(&network, &args.set);
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
                && settings.iter().any(|s| s.name == name)
            {
                values.push((name, value));
            }
        }
    }
    values
}

/// The value of `a.b.x.weight=0.5`, in the unit of the port.
fn weight_value(network: &Network, setting: &Setting) -> Result<f64, Failure> {
    let mut names = Vec::new();
    for connection in &network.connections {
        let port = &network.layers[connection.to].neuron.ports[connection.port];
        for part in ["weight", "bias"] {
            let name = format!("{}.{part}", connection.name);
            if name == setting.name {
                return setting.in_base(&port.unit, network.step_ms);
            }
            names.push(name);
        }
    }
    names.extend(network.layers.iter().flat_map(|layer| {
        let params = layer.neuron.params.iter();
        params.map(|p| format!("{}.{}", layer.name, p.name))
    }));
    let names = names.iter().map(String::as_str);
    Err(Failure::Usage(unknown("parameter", &setting.name, names)))
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

/// The parameters of a network.
fn specs(network: &Network) -> Result<Vec<ParameterSpec>, Failure> {
    // The interpreter costs nothing to set up.
    let simulator = Simulator::<f64>::new(network, Backend::Interpreter, Gradients::Trained)?;
    Ok(simulator.parameters().specs.clone())
}

fn given_weights(names: &Names<'_>, path: &Path) -> Result<Vec<(String, ArrayD<f64>)>, Failure> {
    let is_npz = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let arrays = if is_npz {
        read(path)?
    } else {
        weights::load(path).map_err(|error| Failure::Run(error.to_string()))?
    };
    let fits = arrays
        .iter()
        .map(|(name, array)| names.parameter(name, array));
    fits.collect::<Result<_, _>>()
        .map_err(|message| Failure::Run(format!("{}: {message}", shown(path))))
}

fn read(path: &Path) -> Result<Arrays, Failure> {
    Ok(npz::read(path)?)
}

/// A path in a message.
fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
