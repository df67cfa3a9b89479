//! `rheo report RUN_DIR`: one page about a run, which needs nothing but itself.
//!
//! `rheo train` writes the same page when it ends, also after Ctrl-C. Everything on it is computed again
//! from the folder and the data; what the run has not come to yet is left out.

mod page;

use std::path::{Path, PathBuf};

use rheobase_train::replace;

use crate::console::Console;
use crate::failure::Failure;
use crate::trained::Trained;

/// Options of `rheo report`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// The run folder
    #[arg(value_name = "RUN_DIR")]
    pub folder: PathBuf,
    /// Where the page is written [default: report.html in the run folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Writes the page of a run.
///
/// # Errors
///
/// It is no run folder, its data cannot be read, or the page cannot be written.
pub fn report(args: &ReportArgs, console: &Console) -> Result<(), Failure> {
    let trained = Trained::load(&args.folder, console)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => args.folder.join(PAGE),
    };
    write(&trained, &out)?;
    console.print(&format!("{}\n", out.display()))
}

/// The name of the page in a run folder.
pub(super) const PAGE: &str = "report.html";

/// Makes the page and writes it.
pub(super) fn write(trained: &Trained, out: &Path) -> Result<(), Failure> {
    let page = page::page(trained)?;
    Ok(replace(out, page.as_bytes())?)
}
