//! `rheo gradcheck FILE`: derived gradients against finite differences of the smoothed program.

use std::path::PathBuf;

use rheobase_ir::gradcheck::{Config, GradcheckError, Report, gradcheck as compare};
use serde_json::{Value, json};

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
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
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
    let (mut wrong, mut documents) = (Vec::new(), Vec::new());
    for name in names {
        let neuron = front.neuron(&name, step_ms, &[], console)?;
        let report = compare(&neuron, &config).map_err(|error| match error {
            GradcheckError::NotFinite => Failure::Run(format!("{name}: {error}")),
            GradcheckError::Compile(_) | GradcheckError::Call(_) => {
                Failure::Internal(format!("{name}: {error}"))
            }
        })?;
        if args.json {
            documents.push(document(&name, &report));
            if !report.passed(TOLERANCE) {
                wrong.push(name);
            }
            continue;
        }
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
    if args.json {
        let document = json!({
            "file": args.file.to_string_lossy(),
            "step_ms": step_ms,
            "tolerance": TOLERANCE,
            "ok": wrong.is_empty(),
            "neurons": documents,
        });
        console.print(&format!("{document:#}\n"))?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let names = wrong.join(", ");
    Err(Failure::Run(format!(
        "the gradient of {names} differs from finite differences by more than {TOLERANCE:.0e}"
    )))
}

/// The comparison of one neuron for scripts.
fn document(name: &str, report: &Report) -> Value {
    let entries = report.entries.iter().map(|entry| {
        json!({
            "against": entry.against.to_string(),
            "quantity": entry.slot.to_string(),
            "derived": entry.analytic,
            "other": entry.numeric,
            "error": entry.error,
            "lane": entry.lane,
            "step": entry.step,
        })
    });
    json!({
        "neuron": name,
        "ok": report.passed(TOLERANCE),
        "worst_error": report.worst().map_or(0.0, |entry| entry.error),
        "spiking": report.spiking,
        "has_primitive": report.has_primitive,
        "comparisons": entries.collect::<Vec<_>>(),
    })
}
