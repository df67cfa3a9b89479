//! `rheo check FILE`: everything that is wrong or doubtful in a program.

mod explained;
mod semantics;

use std::path::PathBuf;

use rheobase_lang::diag::{has_errors, json};
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;
use crate::memory::parse_memory;
use crate::pipeline::front;

use explained::explained;

/// Options of `rheo check`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The program
    pub file: PathBuf,
    /// Say what a step does: order, integrators, where gradients are cut, what is saved, parameters, memory
    #[arg(long)]
    pub explain: bool,
    /// With `--explain`: memory that training may take (`2G`), on one thread
    #[arg(long, value_name = "SIZE", requires = "explain", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// One JSON document on standard output
    #[arg(long, conflicts_with = "explain")]
    pub json: bool,
}

/// Checks a program.
///
/// # Errors
///
/// The program cannot be read or has errors.
pub fn check(args: &CheckArgs, console: &Console) -> Result<(), Failure> {
    let front = match front(&args.file) {
        Ok(front) => front,
        Err(failure) if args.json => {
            let file = args.file.to_string_lossy();
            let document = json!({
                "file": file,
                "ok": false,
                "error": failure.to_string(),
                "diagnostics": [],
            });
            console.print(&format!("{document:#}\n"))?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    let failed = has_errors(&front.diagnostics);
    if args.json {
        let diagnostics = json::to_json_all(&front.diagnostics, &front.sources);
        let document = json!({
            "file": args.file.to_string_lossy(),
            "ok": !failed,
            "diagnostics": diagnostics,
        });
        console.print(&format!("{document:#}\n"))?;
    } else {
        front.report(&front.diagnostics, console);
    }
    if failed {
        return Err(Failure::Reported);
    }
    if args.explain {
        console.print(&explained(&front, args.memory, console)?)?;
    }
    Ok(())
}
