//! `rheo run` and `rheo grad`: a neuron or a network on given input, arrays in and arrays out.
//!
//! With `--neuron` the lanes of the input arrays run side by side as one layer without connections. With
//! `--network` the arrays are events: what is not 0 is an event, with its value where that is not 1.

pub(super) mod job;

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};
use rheobase_data::npz;
use rheobase_ir::program::Network;
use rheobase_runtime::{Backend, Gradients, ParameterSpec, Simulator, is_pattern};
use rheobase_train::weights;
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::inputs::{Arrays, Inputs, Names};
use crate::pipeline::compile;
use crate::settings::{Setting, parse_setting, parse_step};
use crate::simulation::{How, simulate};

use job::Job;

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
    /// Seed of everything that is drawn at random; if not given, 0, and patterns of sparse connections
    /// follow from the seed of the training plan
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where the result is written
    #[arg(long, value_name = "NPZ")]
    pub out: PathBuf,
    /// What was written, as one JSON document on standard output: shape, least, mean and largest value of
    /// each array
    #[arg(long)]
    pub json: bool,
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
    let mut job = match (&args.what.neuron, &args.what.network) {
        (Some(neuron), _) => Job::neuron(&front, neuron, arrays, args, console)?,
        (None, Some(network)) => Job::network(front, network, arrays, &args.set, console)?,
        (None, None) => {
            return Err(Failure::Usage("give --neuron or --network".to_string()));
        }
    };
    if let Some(seed) = args.seed {
        job.network.seed_patterns(seed);
    }
    let specs = specs(&job.network)?;
    let names = Names {
        network: &job.network,
        naming: job.naming,
        specs: &specs,
    };
    let mut inputs = names.inputs(&job.arrays, &shown(&args.input))?;
    let given = std::mem::take(&mut inputs.parameters);
    inputs.parameters = given_parameters(&names, args.weights.as_deref(), given, &job.last)?;
    if let Some(path) = cotangents {
        names.cotangents(&read(path)?, &mut inputs, &shown(path))?;
    }
    let how = How {
        backend: match args.executor {
            Executor::Jit => Backend::Jit,
            Executor::Interp => Backend::Interpreter,
        },
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        seed: args.seed.unwrap_or(0),
        gradient: cotangents.is_some(),
    };
    write(args, &job, &inputs, how, console)
}

fn write(
    args: &RunArgs,
    job: &Job,
    inputs: &Inputs,
    how: How,
    console: &Console,
) -> Result<(), Failure> {
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
    npz::write(&args.out, &arrays, precision)?;
    if !args.json {
        return Ok(());
    }
    let arrays = arrays.iter().map(|(name, array)| {
        let least = array.iter().copied().reduce(f64::min);
        let most = array.iter().copied().reduce(f64::max);
        let about = json!({
            "shape": array.shape(),
            "min": least,
            "mean": array.mean(),
            "max": most,
        });
        (name.clone(), about)
    });
    let document = json!({
        "out": args.out.to_string_lossy(),
        "steps": inputs.steps,
        "samples": inputs.samples,
        "arrays": Value::Object(arrays.collect()),
    });
    console.print(&format!("{document:#}\n"))
}

/// The parameters of a network.
fn specs(network: &Network) -> Result<Vec<ParameterSpec>, Failure> {
    // The interpreter costs nothing to set up.
    let simulator = Simulator::<f64>::new(network, Backend::Interpreter, Gradients::Trained)?;
    Ok(simulator.parameters().specs.clone())
}

/// The parameters that were given, in the order in which they are set: those of a file, those of the input
/// arrays, those of the command line.
pub(super) fn given_parameters(
    names: &Names<'_>,
    file: Option<&Path>,
    arrays: Vec<(String, ArrayD<f64>)>,
    last: &[(String, f64)],
) -> Result<Vec<(String, ArrayD<f64>)>, Failure> {
    let mut parameters = match file {
        Some(path) => given_weights(names, path)?,
        None => Vec::new(),
    };
    parameters.extend(arrays);
    for (name, value) in last {
        let value = ArrayD::from_elem(IxDyn(&[]), *value);
        parameters.push(names.parameter(name, &value).map_err(Failure::Usage)?);
    }
    Ok(parameters)
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
    let fail = |message: String| Failure::Run(format!("{}: {message}", shown(path)));
    let mut given = Vec::new();
    for (name, array) in &arrays {
        let pattern = is_pattern(names.specs, name, array);
        if !pattern.map_err(|error| fail(error.to_string()))? {
            given.push(names.parameter(name, array).map_err(fail)?);
        }
    }
    Ok(given)
}

fn read(path: &Path) -> Result<Arrays, Failure> {
    Ok(npz::read(path)?)
}

/// A path in a message.
fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
