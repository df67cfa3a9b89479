//! `rheo emit FILE --stage …`: any stage of the compiler as text.
//!
//! Stages up to the model are about the file; later ones about neurons, as the layers of the networks use
//! them, or about one neuron alone with `--neuron`. Gradients are those that training needs: with respect to
//! inputs, states and learned parameters; `--wrt all` asks for every parameter.

use std::fmt::Write;
use std::path::PathBuf;

use rheobase_ir::kernel::Kernel;
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_ir::program::Neuron;
use rheobase_ir::tape::{Numbers, Saved};
use rheobase_ir::text;
use rheobase_jit::{JitError, Precision, Target};
use rheobase_lang::{ast, model};

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{Front, compile};
use crate::settings::parse_step;

/// Options of `rheo emit`.
#[derive(Clone, Debug, clap::Args)]
pub struct EmitArgs {
    /// The program
    pub file: PathBuf,
    /// Which stage
    #[arg(long, value_enum)]
    pub stage: Stage,
    /// Only this neuron, alone [default: the neurons of all layers, else those of the file itself]
    #[arg(long, value_name = "NAME")]
    pub neuron: Option<String>,
    /// Length of a time step for --neuron [default: that of the only network in the file, else 1ms]
    #[arg(long, value_name = "TIME", value_parser = parse_step, allow_hyphen_values = true)]
    pub step: Option<f64>,
    /// Gradients of which parameters
    #[arg(long, value_enum, default_value_t = Wrt::Learned)]
    pub wrt: Wrt,
    /// How numbers are kept for the backward
    #[arg(long, value_enum, default_value_t = TapeArg::Whole)]
    pub tape: TapeArg,
}

/// How numbers are kept for the backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TapeArg {
    /// As they are
    Whole,
    /// In two bytes, with eight significant bits
    Bf16,
}

/// A stage of the compiler, in the order of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// The tree of the file, fully parenthesised
    Ast,
    /// The checked model
    Model,
    /// A step and the initial states, as written
    Kernel,
    /// The step with its adjoints, as derived
    Gradient,
    /// What the forward saves for the backward
    Tape,
    /// The kernels that run
    Optimised,
    /// Cranelift IR of forward and backward
    Clif,
    /// Machine code of forward and backward
    Asm,
}

/// Which parameters gradients are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wrt {
    /// Those that are learned
    Learned,
    /// All of them
    All,
}

/// Prints a stage.
///
/// # Errors
///
/// The program has errors, or there is no such neuron.
pub fn emit(args: &EmitArgs, console: &Console) -> Result<(), Failure> {
    console.print(&render(args, console)?)
}

/// The text of a stage.
///
/// # Errors
///
/// As [`emit`].
pub fn render(args: &EmitArgs, console: &Console) -> Result<String, Failure> {
    let front = compile(&args.file, console)?;
    Ok(match args.stage {
        Stage::Ast => ast::print::print(&front.files[0]),
        Stage::Model => model::print::print(&front.model, &|span| front.is_own(span)),
        Stage::Kernel
        | Stage::Gradient
        | Stage::Tape
        | Stage::Optimised
        | Stage::Clif
        | Stage::Asm => {
            let mut text = String::new();
            for neuron in neurons(&front, args, console)? {
                text.push_str(&of_neuron(&neuron, args)?);
            }
            text
        }
    })
}

fn neurons(front: &Front, args: &EmitArgs, console: &Console) -> Result<Vec<Neuron>, Failure> {
    let step_ms = args.step.unwrap_or_else(|| front.step_ms());
    if let Some(name) = &args.neuron {
        return Ok(vec![front.neuron(name, step_ms, &[], console)?]);
    }
    let mut neurons: Vec<Neuron> = Vec::new();
    for program in front.programs(console)? {
        for layer in program.network.layers {
            // Layers often share a model; what differs only in starting values has the same kernels.
            let same = |n: &&Neuron| n.step == layer.neuron.step && n.init == layer.neuron.init;
            if neurons.iter().find(same).is_none() {
                neurons.push(layer.neuron);
            }
        }
    }
    if neurons.is_empty() {
        for name in front.own_neurons() {
            neurons.push(front.neuron(&name, step_ms, &[], console)?);
        }
    }
    Ok(neurons)
}

/// The stages of a neuron, with the gradients that were asked for.
pub(crate) fn stages(neuron: &Neuron, wrt: Wrt, tape: Numbers) -> Result<Stages, Failure> {
    let learned = |name: &str| {
        let param = neuron.params.iter().find(|p| p.name == name);
        param.is_some_and(|p| p.learn.is_some())
    };
    let wanted = match wrt {
        Wrt::Learned => Wanted {
            params: &learned,
            tape,
        },
        Wrt::All => Wanted {
            tape,
            ..Wanted::ALL
        },
    };
    Ok(build(neuron, wanted)?)
}

fn of_neuron(neuron: &Neuron, args: &EmitArgs) -> Result<String, Failure> {
    let tape_numbers = match args.tape {
        TapeArg::Whole => Numbers::Whole,
        TapeArg::Bf16 => Numbers::Bf16,
    };
    let stages = stages(neuron, args.wrt, tape_numbers)?;
    let kernels = match args.stage {
        Stage::Kernel => vec![&neuron.init, &neuron.step],
        Stage::Gradient => vec![&stages.prologue, &stages.hoisted, &stages.gradient],
        Stage::Optimised => vec![
            &stages.prologue,
            &stages.infer,
            &stages.forward,
            &stages.backward,
            &stages.prologue_gradient,
        ],
        Stage::Tape => return Ok(tape(neuron, &stages)),
        Stage::Clif => return code(&stages, rheobase_jit::clif),
        Stage::Asm => return code(&stages, rheobase_jit::asm),
        Stage::Ast | Stage::Model => Vec::new(),
    };
    Ok(kernels.into_iter().map(|k| text::print(k) + "\n").collect())
}

/// Forward and backward in the form that `print` gives them, for this machine and single precision.
fn code(
    stages: &Stages,
    print: fn(&Kernel, &Target, Precision) -> Result<String, JitError>,
) -> Result<String, Failure> {
    let mut text = String::new();
    for kernel in [&stages.forward, &stages.backward] {
        let printed = print(kernel, &Target::host(), Precision::F32);
        text.push_str(&printed.map_err(|error| Failure::Internal(error.to_string()))?);
        text.push('\n');
    }
    Ok(text)
}

/// Each saved value with its bytes, why it is saved and what reads it.
fn tape(neuron: &Neuron, stages: &Stages) -> String {
    let total: usize = stages.saved.iter().map(Saved::bytes).sum();
    let mut text = format!(
        "tape {}: {} bytes per neuron and step\n",
        neuron.name, total
    );
    for saved in &stages.saved {
        let readers: Vec<String> = saved.readers.iter().map(ToString::to_string).collect();
        let line = format!(
            "  {} : {}, {} bytes, {}; read by {}",
            saved.slot,
            saved.ty,
            saved.bytes(),
            saved.reason(),
            readers.join(", ")
        );
        writeln!(text, "{line}").expect("writing to a string does not fail");
    }
    text.push('\n');
    text
}
