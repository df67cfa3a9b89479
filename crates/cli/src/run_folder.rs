//! `config.snn` of a run folder: the exact program text that ran, imports included, as one file.
//!
//! Lines that begin with `#!` say what else decided the run: the plan, where the file was (relative paths of
//! data files start there), and values from the command line. They are comments to the compiler, and `rheo
//! eval` reads them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rheobase_lang::ast::{File, Item};

use crate::failure::Failure;
use crate::pipeline::Front;
use crate::settings::{Setting, parse_setting};

/// What decided a run beside the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    /// The name of the `train` block.
    pub(crate) train: String,
    /// The program's file.
    pub(crate) file: PathBuf,
    /// Values from the command line.
    pub(crate) settings: Vec<Setting>,
}

/// The text of `config.snn`. Of a program that is one already the text stays as it is, so that a run can be
/// repeated and resumed from its own folder.
pub(crate) fn config_text(front: &Front, origin: &Origin) -> String {
    let mut text = format!(
        "{HEAD}train {}\n{HEAD}file {}\n",
        origin.train,
        origin.file.display()
    );
    for setting in &origin.settings {
        let line = format!("{HEAD}set {}={}", setting.name, setting.value);
        writeln!(text, "{line}").expect("writing to a string does not fail");
    }
    for file in &front.files {
        let source = front.sources.file(file.id);
        if front.files.len() > 1 {
            let line = format!("\n# ---- {} ----", source.name());
            writeln!(text, "{line}").expect("writing to a string does not fail");
        }
        let body = without_imports(front, file);
        let is_head = |line: &&str| line.starts_with(HEAD);
        let body: String = body.split_inclusive('\n').skip_while(is_head).collect();
        text.push_str(&body);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// The text of a file with its imports turned into comments.
fn without_imports(front: &Front, file: &File) -> String {
    let source = front.sources.file(file.id);
    let imports = file.items.iter().filter_map(|item| match item {
        Item::Import(import) => Some(import.span),
        Item::Const(_)
        | Item::Surrogate(_)
        | Item::Fn(_)
        | Item::Neuron(_)
        | Item::Network(_)
        | Item::Train(_) => None,
    });
    let mut text = String::new();
    let mut end = 0;
    for span in imports {
        let Some((_, range)) = front.sources.resolve(span) else {
            continue;
        };
        text.push_str(&source.text()[end..range.start]);
        let written = source.text()[range.clone()].replace('\n', " ");
        writeln!(text, "# {written}").expect("writing to a string does not fail");
        end = range.end;
    }
    text.push_str(&source.text()[end..]);
    text
}

/// How the lines begin that are not from the program.
const HEAD: &str = "#! ";

/// Reads the `#!` lines at the beginning of a program; without them the program is its own origin.
///
/// # Errors
///
/// A setting in them is none.
pub(crate) fn read_origin(file: &Path, text: &str) -> Result<Origin, Failure> {
    let mut origin = Origin {
        train: String::new(),
        file: std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf()),
        settings: Vec::new(),
    };
    for line in text.lines().take_while(|line| line.starts_with(HEAD)) {
        let Some((key, value)) = line[HEAD.len()..].split_once(' ') else {
            continue;
        };
        match key {
            "train" => origin.train = value.to_string(),
            "file" => origin.file = PathBuf::from(value),
            "set" => origin.settings.push(parse_setting(value).map_err(|error| {
                Failure::Program(format!("`{}`: `{line}`: {error}", file.display()))
            })?),
            _ => {}
        }
    }
    Ok(origin)
}
