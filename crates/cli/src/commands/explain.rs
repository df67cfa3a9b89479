//! `rheo explain CODE`: the long text of a diagnostic.

use rheobase_lang::diag::{Code, did_you_mean, explain as page};

use crate::console::Console;
use crate::failure::Failure;

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
            let near = did_you_mean(&args.code, known).map(|k| format!("; did you mean `{k}`?"));
            let codes = format!(
                "; they run from {} to {}",
                Code::ALL[0],
                Code::ALL[Code::ALL.len() - 1]
            );
            let message = format!("there is no code `{}`{}", args.code, near.unwrap_or(codes));
            Err(Failure::Usage(message))
        }
    }
}
