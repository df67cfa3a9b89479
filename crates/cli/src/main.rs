//! The process: arguments in, exit status out. See the library for everything else.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use rheobase::commands;
use rheobase::console::Console;
use rheobase::failure::{Failure, INTERNAL, REPORT};

/// Rheobase: a language, a compiler and a trainer for spiking neural networks
#[derive(Parser)]
#[command(name = "rheo", version, arg_required_else_help = true, after_help = EXIT)]
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
    /// Make a starter project
    #[command(after_help = "\
Example:
  rheo new my-digits
  rheo train my-digits/digits.snn")]
    New(commands::NewArgs),

    /// Report everything that is wrong or doubtful in a program
    #[command(after_help = "\
Example:
  rheo check examples/digits.snn --explain")]
    Check(commands::CheckArgs),

    /// Bring programs into standard form
    #[command(after_help = "\
Example:
  rheo fmt model.snn
  rheo fmt --check *.snn")]
    Fmt(commands::FmtArgs),

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

    /// Train a network
    #[command(after_help = "\
Example:
  rheo train examples/digits.snn
  rheo train examples/digits.snn --set epochs=5 --set optimizer.lr=0.01 --out runs/quick

  rheo train big.snn --save-every 10min
  rheo train --resume runs/quick

Writes config.snn, metrics.jsonl, best.safetensors, last.ckpt, evaluation.json and report.html (one
page with everything) into the run folder and prints the accuracy on the
test samples (without classes, the loss). Ctrl-C finishes the step and saves; a run that
ended in any way is continued with --resume, to the same bits.")]
    Train(commands::TrainArgs),

    /// Train once for each combination of values
    #[command(after_help = "\
Example:
  rheo sweep examples/digits.snn --grid lr=1e-3,3e-3 seed=0..4 --out runs/sweep

Prints mean and spread over seeds; writes sweep.json, sweep.svg and a run folder for each run. The
same command continues what was interrupted.")]
    Sweep(commands::SweepArgs),

    /// Evaluate trained weights
    #[command(after_help = "\
Example:
  rheo eval runs/digits
  rheo eval examples/digits.snn --weights runs/digits/best.safetensors --json")]
    Eval(commands::EvalArgs),

    /// Write a trained network as an object file and a C header
    #[command(after_help = "\
Example:
  rheo build examples/digits.snn --network Digits --weights runs/digits/best.safetensors --out c
  rheo build examples/digits.snn --network Digits --target aarch64-unknown-linux-gnu --out arm

Writes NETWORK.o, libNETWORK.a and NETWORK.h. The header describes the functions; a C program is
linked with the object file or the library and needs nothing else.")]
    Build(commands::BuildArgs),

    /// Draw a run, arrays or a program
    #[command(after_help = "\
Example:
  rheo plot runs/digits --out curves.svg
  rheo plot runs/digits --what raster --sample 3 --out raster.png
  rheo plot out.npz --what traces --out traces.svg
  rheo plot lif.snn --what fi --neuron LIF --out fi.svg")]
    Plot(commands::PlotArgs),

    /// Write one page about a run
    #[command(after_help = "\
Example:
  rheo report runs/digits

`rheo train` writes the same page, report.html in the run folder, when it ends.")]
    Report(commands::ReportArgs),

    /// Look at data files
    #[command(after_help = "\
Example:
  rheo data info shd_train.h5
  rheo data info NMNIST/Train --json")]
    Data(commands::DataArgs),

    /// Time training steps
    #[command(after_help = "\
Example:
  rheo bench examples/bench/shd_ff.snn --threads 1 --steps 50 --json")]
    Bench(commands::BenchArgs),

    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  rheo completions bash > ~/.local/share/bash-completion/completions/rheo")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },

    /// Print the manual page
    #[command(after_help = "\
Example:
  rheo man > ~/.local/share/man/man1/rheo.1")]
    Man,
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
                console.error(failure.code(), &message);
            }
            ExitCode::from(failure.status())
        }
    }
}

fn dispatch(command: &Command, console: &Console) -> Result<(), Failure> {
    match command {
        Command::New(args) => commands::new(args, console),
        Command::Check(args) => commands::check(args, console),
        Command::Fmt(args) => commands::fmt(args, console),
        Command::Explain(args) => commands::explain(args, console),
        Command::Emit(args) => commands::emit(args, console),
        Command::Run(args) => commands::run(args, console),
        Command::Grad(args) => commands::grad(args, console),
        Command::Gradcheck(args) => commands::gradcheck(args, console),
        Command::Train(args) => commands::train(args, console),
        Command::Sweep(args) => commands::sweep(args, console),
        Command::Eval(args) => commands::eval(args, console),
        Command::Build(args) => commands::build(args, console),
        Command::Plot(args) => commands::plot(args, console),
        Command::Report(args) => commands::report(args, console),
        Command::Data(args) => commands::data(args, console),
        Command::Bench(args) => commands::bench(args, console),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Rheo::command(), "rheo", &mut script);
            console.print(&String::from_utf8_lossy(&script))
        }
        Command::Man => console.print(&manual()?),
    }
}

/// The manual page: the command, then each of its commands.
fn manual() -> Result<String, Failure> {
    let mut page = Vec::new();
    let mut command = Rheo::command();
    command.build();
    let failed = |error: std::io::Error| Failure::Internal(error.to_string());
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(failed)?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let man = clap_mangen::Man::new(sub.clone());
        man.render_name_section(&mut page).map_err(failed)?;
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
        man.render_extra_section(&mut page).map_err(failed)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}
