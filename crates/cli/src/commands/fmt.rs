//! `rheo fmt FILE…`: the standard form of programs, comments kept.

use std::path::{Path, PathBuf};

use rheobase_lang::diag::Diagnostic;
use rheobase_lang::diag::render::render_all;
use rheobase_lang::fmt::format;
use rheobase_lang::span::SourceMap;
use rheobase_train::replace;

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::read_text;

/// Options of `rheo fmt`.
#[derive(Clone, Debug, clap::Args)]
pub struct FmtArgs {
    /// The programs
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; list the files that are not in standard form and end with status 1
    #[arg(long)]
    pub check: bool,
}

/// Formats programs in place. A file with errors is left as it is and the others are still formatted.
///
/// # Errors
///
/// A file has errors or cannot be read or written; with `--check`, a file is not in standard form.
pub fn fmt(args: &FmtArgs, console: &Console) -> Result<(), Failure> {
    let mut ended = Ok(());
    for path in &args.files {
        let result = one(path, args.check, console);
        match result {
            Ok(()) => {}
            Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
            Err(failure) => {
                if ended.is_err() {
                    console.error(failure.code(), &failure.to_string());
                } else {
                    ended = Err(failure);
                }
            }
        }
    }
    ended
}

fn one(path: &Path, check: bool, console: &Console) -> Result<(), Failure> {
    let text = read_text(path)?;
    let mut sources = SourceMap::new();
    let id = sources.add(path.to_string_lossy(), text.as_str());
    let formatted = format(&text, id).map_err(|findings: Vec<Diagnostic>| {
        console.note(&render_all(&findings, &sources, console.color));
        Failure::Program(format!(
            "`{}` has errors and is left as it is",
            path.display()
        ))
    })?;
    if formatted == text {
        return Ok(());
    }
    if check {
        console.print(&format!("{}\n", path.display()))?;
        let message = format!("`{}` is not in standard form", path.display());
        return Err(Failure::Program(message));
    }
    write(path, &formatted)
}

/// Replaces the text of a file whole, keeping who may read and write it, and links to it.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("write", path, &error);
    let real = std::fs::canonicalize(path).map_err(failed)?;
    let permissions = std::fs::metadata(&real).map_err(failed)?.permissions();
    if permissions.readonly() {
        return Err(Failure::Run(format!("`{}` is read-only", path.display())));
    }
    replace(&real, text.as_bytes())?;
    std::fs::set_permissions(&real, permissions).map_err(failed)
}
