//! `rheo build`: a trained network as an object file and a C header, for programs without Rust.
//!
//! Written are `<network>.o`, `lib<network>.a` and `<network>.h`; with `--separate-weights` also
//! `<network>.weights`, whose content the C program hands to `init`. See `rheobase_jit::object` for what the
//! functions do. Results are those of `rheo run --network` to rounding.

use std::path::PathBuf;

use rheobase_ir::program::{Network, Operation, Synapses};
use rheobase_jit::object::{
    Built, ConnectionNumbers, Inference, LayerNumbers, OperationNumbers, build as build_object,
    c_name,
};
use rheobase_jit::{OBJECT_TARGETS, Target};
use rheobase_runtime::{Backend, Gradients, Moment, Owner, Simulator};
use rheobase_train::{check_writable, replace};

use super::simulate::{given_parameters, job::Job};
use crate::console::Console;
use crate::failure::Failure;
use crate::inputs::{Arrays, Names};
use crate::pipeline::compile;
use crate::settings::{Setting, parse_setting};
use crate::simulation::parameters;

/// Options of `rheo build`.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {
    /// The program
    pub file: PathBuf,
    /// The network
    #[arg(long, value_name = "NAME")]
    pub network: String,
    /// Trained parameters from a .safetensors or .npz file [default: initial ones]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Another value of a parameter, with its unit: `hid.v_th=0.8`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// The machine that the code is for [default: this one with all its features]
    #[arg(long, value_name = "TRIPLE", value_parser = OBJECT_TARGETS)]
    pub target: Option<String>,
    /// Write the weights into a file of their own
    #[arg(long)]
    pub separate_weights: bool,
    /// Seed of initial parameters that are drawn at random; if not given, 0, and patterns of sparse connections
    /// follow from the seed of the training plan
    #[arg(long)]
    pub seed: Option<u64>,
    /// The folder for the files
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// Writes the object file, the library and the header.
///
/// # Errors
///
/// The program has errors, the parameters do not fit, the target is unknown, or the folder cannot be written.
pub fn build(args: &BuildArgs, console: &Console) -> Result<(), Failure> {
    let front = compile(&args.file, console)?;
    let mut job = Job::network(front, &args.network, Arrays::new(), &args.set, console)?;
    if let Some(seed) = args.seed {
        job.network.seed_patterns(seed);
    }
    let inference = inference(&job, args)?;
    let target = match &args.target {
        None => Target::host_object(),
        Some(triple) => Target::object(triple).map_err(|e| Failure::Run(e.to_string()))?,
    };
    let embed = !args.separate_weights;
    let built = build_object(&job.network, &inference, &target, embed);
    let built = built.map_err(|error| Failure::Internal(error.to_string()))?;
    write(args, &job.network, &built)
}

/// The kernels of a network and all its numbers.
fn inference(job: &Job, args: &BuildArgs) -> Result<Inference, Failure> {
    // The interpreter runs the prologues in double precision, as machine code does for `rheo run`.
    let mut simulator =
        Simulator::<f32>::new(&job.network, Backend::Interpreter, Gradients::Trained)?;
    let specs = simulator.parameters().specs.clone();
    let names = Names {
        network: &job.network,
        naming: job.naming,
        specs: &specs,
    };
    let given = given_parameters(&names, args.weights.as_deref(), Vec::new(), &job.last)?;
    simulator.set_parameters(parameters(&simulator, &given, args.seed.unwrap_or(0))?)?;
    let numbers = |owner: Owner| {
        let position = specs.iter().position(|spec| spec.owner == owner)?;
        Some(simulator.parameters().values[position].clone())
    };
    let connections = job.network.connections.iter().enumerate();
    let connections = connections.map(|(c, connection)| {
        let own = connection.tied.unwrap_or(c);
        let operations = connection.operations.iter().enumerate();
        let operations =
            operations.map(|(o, operation)| operation_numbers(operation, (own, o), &numbers));
        ConnectionNumbers {
            operations: operations.collect(),
        }
    });
    let layers = (0..job.network.layers.len()).map(|l| LayerNumbers {
        kernel: simulator.stages(l).infer.clone(),
        start: simulator.stages(l).start.clone(),
        constants: simulator.constants(l),
        initial: simulator.initial_states(l),
    });
    Ok(Inference {
        connections: connections.collect(),
        layers: layers.collect(),
    })
}

/// The numbers of an operation; `own` says which of which connection has them.
fn operation_numbers(
    operation: &Operation,
    own: (usize, usize),
    numbers: &dyn Fn(Owner) -> Option<Vec<f32>>,
) -> OperationNumbers {
    let (c, o) = own;
    let mapped = numbers(Owner::Mapped(c, o));
    let mut found = OperationNumbers {
        weight: mapped.or_else(|| numbers(Owner::Weight(c, o))),
        bias: numbers(Owner::Bias(c, o)),
        delay: numbers(Owner::Delay(c)),
        centre: None,
    };
    if let Synapses::Normalisation { channels, eps, .. } = operation.synapses {
        let running = |moment| numbers(Owner::Running(c, o, moment)).unwrap_or_default();
        let factor = |v: &f32| (1.0 / (f64::from(*v) + eps).sqrt()) as f32;
        let factors = running(Moment::Variance).iter().map(factor).collect();
        found.centre = Some([running(Moment::Mean), factors]);
        found.weight = found.weight.or_else(|| Some(vec![1.0; channels]));
    }
    found
}

fn write(args: &BuildArgs, network: &Network, built: &Built) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("write", &args.out, &error);
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    check_writable(&args.out)?;
    let name = c_name(&network.name);
    let mut files = vec![
        (format!("{name}.o"), &built.object[..]),
        (format!("lib{name}.a"), &built.library),
        (format!("{name}.h"), built.header.as_bytes()),
    ];
    if args.separate_weights {
        files.push((format!("{name}.weights"), &built.weights));
    }
    for (file, content) in files {
        replace(&args.out.join(file), content)?;
    }
    Ok(())
}
