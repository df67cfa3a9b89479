//! `rheo explain CODE`: the long text of a diagnostic.

use rheobase_lang::diag::{Code, explain as page};

use crate::console::Console;
use crate::failure::Failure;
use crate::names::unknown;

/// Options of `rheo explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// A code such as E0302, or its name such as `equation-unit`
    pub code: String,
}

/// Prints the page of a code.
///
/// # Errors
///
/// There is no such code.
pub fn explain(args: &ExplainArgs, console: &Console) -> Result<(), Failure> {
    match page(&args.code) {
        Some(text) => console.print(&text),
        None => {
            let known = Code::ALL.iter().flat_map(|c| [c.as_str(), c.name()]);
            Err(Failure::Usage(unknown("code", &args.code, known)))
        }
    }
}
