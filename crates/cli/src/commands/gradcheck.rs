//! `rheo gradcheck FILE`: derived gradients against finite differences of the smoothed program.

use std::path::PathBuf;

use rheobase_ir::gradcheck::{Config, GradcheckError, gradcheck as compare};

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::compile;
use crate::settings::parse_step;

/// The largest relative error that passes.
const TOLERANCE: f64 = 1e-6;

/// Options of `rheo gradcheck`.
#[derive(Clone, Debug, clap::Args)]
pub struct GradcheckArgs {
    /// The program
    pub file: PathBuf,
    /// Only this neuron [default: every neuron of the file itself]
    #[arg(long, value_name = "NAME")]
    pub neuron: Option<String>,
    /// Length of a time step [default: that of the only network in the file, else 1ms]
    #[arg(long, value_name = "TIME", value_parser = parse_step, allow_hyphen_values = true)]
    pub step: Option<f64>,
    /// Seed of the inputs
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Checks the gradients of neurons and prints the comparison.
///
/// # Errors
///
/// A gradient is off by more than the tolerance, or the program does not compile.
pub fn gradcheck(args: &GradcheckArgs, console: &Console) -> Result<(), Failure> {
    let front = compile(&args.file, console)?;
    let step_ms = args.step.unwrap_or_else(|| front.step_ms());
    let names = match &args.neuron {
        Some(name) => vec![name.clone()],
        None => front.own_neurons(),
    };
    if names.is_empty() {
        let message = "the file has no neuron to check; name one with --neuron";
        return Err(Failure::Usage(message.to_string()));
    }
    let config = Config {
        seed: args.seed,
        ..Config::STANDARD
    };
    let mut wrong = Vec::new();
    for name in names {
        let neuron = front.neuron(&name, step_ms, &[], console)?;
        let report = compare(&neuron, &config).map_err(|error| match error {
            GradcheckError::NotFinite => Failure::Run(format!("{name}: {error}")),
            GradcheckError::Compile(_) | GradcheckError::Call(_) => {
                Failure::Internal(format!("{name}: {error}"))
            }
        })?;
        let worst = report.worst().map_or(0.0, |entry| entry.error);
        let verdict = if report.passed(TOLERANCE) {
            "ok"
        } else {
            "WRONG"
        };
        console.print(&format!(
            "{name}, step {step_ms} ms, {} steps of {} lanes\n{report}{name}: {verdict}, largest relative error {worst:.1e}, tolerance {TOLERANCE:.0e}\n\n",
            config.steps, config.lanes
        ))?;
        if !report.passed(TOLERANCE) {
            wrong.push(name);
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let names = wrong.join(", ");
    Err(Failure::Run(format!(
        "the gradient of {names} differs from finite differences by more than {TOLERANCE:.0e}"
    )))
}
