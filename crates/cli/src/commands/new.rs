//! `rheo new DIR`: a commented starter project that trains at once.

use std::path::{Path, PathBuf};

use crate::console::Console;
use crate::failure::Failure;

/// Options of `rheo new`.
#[derive(Clone, Debug, clap::Args)]
pub struct NewArgs {
    /// The folder to make
    pub dir: PathBuf,
    /// What the project is about
    #[arg(long, value_enum, default_value_t = Template::Digits)]
    pub template: Template,
}

/// A starter project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Handwritten digits, a hidden layer of LIF neurons; the data is built in
    Digits,
}

impl Template {
    /// The name of the program and its text.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            // The first example is what a newcomer reads anyway.
            Template::Digits => (
                "digits.snn",
                include_str!("../../../../examples/digits.snn"),
            ),
        }
    }
}

/// Makes a starter project in a new or empty folder.
///
/// # Errors
///
/// The folder holds something already, or cannot be written.
pub fn new(args: &NewArgs, console: &Console) -> Result<(), Failure> {
    let dir = &args.dir;
    if dir.exists() && !is_empty_folder(dir)? {
        let message = format!(
            "`{}` exists already and is not an empty folder",
            dir.display()
        );
        return Err(Failure::Usage(message));
    }
    std::fs::create_dir_all(dir).map_err(|error| Failure::file("make the folder", dir, &error))?;
    let (name, text) = args.template.program();
    let program = dir.join(name);
    write(&program, text)?;
    write(&dir.join(".gitignore"), "/runs\n")?;
    console.print(&format!(
        "made `{0}`; now: rheo train {0}\n",
        program.display()
    ))
}

fn is_empty_folder(dir: &Path) -> Result<bool, Failure> {
    if !dir.is_dir() {
        return Ok(false);
    }
    let entries = std::fs::read_dir(dir);
    let mut entries = entries.map_err(|error| Failure::file("read", dir, &error))?;
    Ok(entries.next().is_none())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}
