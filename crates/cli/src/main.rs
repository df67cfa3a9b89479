//! The process: arguments in, exit status out. See the library for everything else.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use rheobase::commands;
use rheobase::console::Console;
use rheobase::failure::{Failure, INTERNAL, REPORT};

/// Rheobase: a language, a compiler and a trainer for spiking neural networks
#[derive(Parser)]
#[command(name = "rheo", version, about, arg_required_else_help = true, after_help = EXIT)]
struct Rheo {
    #[command(subcommand)]
    command: Command,
}

/// The exit statuses, under every help.
const EXIT: &str = "\
Exit status: 0 done; 1 the program has errors; 2 wrong usage; 3 a run failed; 130 interrupted.
`rheo help COMMAND` shows an example of each command.";

#[derive(Subcommand)]
enum Command {
    /// Report everything that is wrong or doubtful in a program
    #[command(after_help = "\
Example:
  rheo check examples/digits.snn --explain")]
    Check(commands::CheckArgs),

    /// Explain a diagnostic code
    #[command(after_help = "\
Example:
  rheo explain E0302")]
    Explain(commands::ExplainArgs),

    /// Print a stage of the compiler as text
    #[command(after_help = "\
Example:
  rheo emit examples/digits.snn --stage tape
  rheo emit neurons.snn --stage gradient --neuron LIF --wrt all")]
    Emit(commands::EmitArgs),

    /// Simulate a neuron or a network on given input
    #[command(after_help = "\
Example:
  rheo run lif.snn --neuron LIF --input in.npz --set tau_mem=10ms --out out.npz

out.npz holds `spikes` and every state, [T, B, N], at the end of each step; with --network
`<layer>.spikes` and `<layer>.<state>`. All arrays are in ms, mV, pA, nS, pF.")]
    Run(commands::RunArgs),

    /// Simulate forward and backward: traces and gradients
    #[command(after_help = "\
Example:
  rheo grad lif.snn --neuron LIF --input in.npz --cotangents ct.npz --precision f64 --out out.npz

out.npz holds what `rheo run` gives and the gradient of the sum of cotangent · output:
`grad.<port>`, `grad.<param>`, `grad.init.<state>`; with --network `grad.<population>`,
`grad.<layer>.<param>`, `grad.<a.b.x.weight>`. All arrays are in ms, mV, pA, nS, pF.")]
    Grad(commands::GradArgs),

    /// Compare derived gradients with finite differences of the smoothed program
    #[command(after_help = "\
Example:
  rheo gradcheck examples/adaptive.snn --neuron ALIF")]
    Gradcheck(commands::GradcheckArgs),
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        Console::of_process().note(&format!("error: {INTERNAL}: {panic}\n{REPORT}\n"));
    }));
    // An error here means that a handler exists already; then the default, ending at once, remains.
    let _ = ctrlc::set_handler(rheobase::interrupt::interrupt);
    let arguments = Rheo::parse();
    let console = Console::of_process();
    let ended = std::panic::catch_unwind(|| dispatch(&arguments.command, &console));
    let Ok(ended) = ended else {
        return ExitCode::from(Failure::Internal(String::new()).status());
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                console.error(&message);
            }
            ExitCode::from(failure.status())
        }
    }
}

fn dispatch(command: &Command, console: &Console) -> Result<(), Failure> {
    match command {
        Command::Check(args) => commands::check(args, console),
        Command::Explain(args) => commands::explain(args, console),
        Command::Emit(args) => commands::emit(args, console),
        Command::Run(args) => commands::run(args, console),
        Command::Grad(args) => commands::grad(args, console),
        Command::Gradcheck(args) => commands::gradcheck(args, console),
    }
}
