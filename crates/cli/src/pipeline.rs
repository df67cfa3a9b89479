//! Text → tree → checked model, in one function that every command starts with, and the lowering of what a
//! command works on.
//!
//! ```text
//! FILE ─load─▶ files ─parse─▶ ast ─check─▶ model ─lower─▶ ir::Neuron or ir::Program
//! ```
//!
//! [`front`] never prints; [`compile`] prints what was found and gives a model only if there is no error.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rheobase_ir::program::{Neuron, Program};
use rheobase_lang::ast;
use rheobase_lang::check::check;
use rheobase_lang::diag::{self, Diagnostic};
use rheobase_lang::load::{Extent, Loaded, Loader, load, load_bytes, normalize};
use rheobase_lang::lower::{Override, lower_network, lower_neuron};
use rheobase_lang::model::Model;
use rheobase_lang::model::eval::Env;
use rheobase_lang::parse::MAX_FILE_BYTES;
use rheobase_lang::span::{SourceMap, Span};

use crate::console::Console;
use crate::edits::{Target, edit, edit_groups};
use crate::failure::Failure;
use crate::names::unknown;
use crate::settings::Setting;

/// A program as far as the front end brings it.
#[derive(Clone, Debug)]
pub struct Front {
    /// The texts: the file itself first, then what it imports.
    pub sources: SourceMap,
    /// Their trees, in the same order.
    pub files: Vec<ast::File>,
    /// What they mean; complete only if no diagnostic is an error.
    pub model: Model,
    /// Everything that was found, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether items of `std/` that the text does not name were left out.
    partial: bool,
}

/// Reads, parses and checks a program and everything that it imports.
///
/// # Errors
///
/// The file cannot be read. What is wrong in it is in [`Front::diagnostics`].
pub fn front(path: &Path) -> Result<Front, Failure> {
    let bytes = read_program(path)?;
    let name = path.to_string_lossy();
    let front = checked(load_bytes(&name, &bytes, &Files, Extent::Needed));
    // Messages suggest names, also those that were left out.
    if front.partial && diag::has_errors(&front.diagnostics) {
        return Ok(checked(load_bytes(&name, &bytes, &Files, Extent::Whole)));
    }
    Ok(front)
}

fn checked(loaded: Loaded) -> Front {
    let checked = check(&loaded.files);
    let mut diagnostics = loaded.diagnostics;
    diagnostics.extend(checked.diagnostics);
    diag::sort(&mut diagnostics);
    Front {
        sources: loaded.sources,
        files: loaded.files,
        model: checked.model,
        diagnostics,
        partial: loaded.partial,
    }
}

/// Imports as files, relative to the importing file.
struct Files;

impl Loader for Files {
    fn load(&self, from: &str, path: &str) -> Result<String, String> {
        let name = normalize(from, path);
        let bytes = read_limited(Path::new(&name)).map_err(|error| reason(&error))?;
        String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8 text"))
    }
}

/// The texts of a program that was read.
struct Known<'a>(&'a SourceMap);

impl Loader for Known<'_> {
    fn load(&self, from: &str, path: &str) -> Result<String, String> {
        let name = normalize(from, path);
        let mut files = self.0.files().iter();
        let found = files.find(|file| file.name() == name);
        let text = found.map(|file| file.text().to_owned());
        text.ok_or_else(|| format!("`{name}` was not read"))
    }
}

fn read_program(path: &Path) -> Result<Vec<u8>, Failure> {
    read_limited(path).map_err(|error| {
        let reason = reason(&error);
        Failure::Program(format!("cannot read `{}`: {reason}", path.display()))
    })
}

/// The text of a program's file.
///
/// # Errors
///
/// The file cannot be read or is no text.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_program(path)?)
        .map_err(|_| Failure::Program(format!("`{}` is not UTF-8 text", path.display())))
}

/// Reads a file, but not much more of it than a program can have: the parser refuses the rest anyway, and a
/// device or a data file given by mistake must not fill the memory.
fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a file cannot be read, without the number that the system adds.
fn reason(error: &std::io::Error) -> String {
    let known = [
        (ErrorKind::NotFound, "there is no such file"),
        (ErrorKind::IsADirectory, "it is a folder"),
        (ErrorKind::PermissionDenied, "permission denied"),
    ];
    let found = known.iter().find(|(kind, _)| *kind == error.kind());
    found.map_or_else(|| error.to_string(), |(_, words)| (*words).to_string())
}

/// As [`front`]; prints the diagnostics to standard error.
///
/// # Errors
///
/// The file cannot be read, or one of the diagnostics is an error.
pub fn compile(path: &Path, console: &Console) -> Result<Front, Failure> {
    let front = front(path)?;
    front.report(&front.diagnostics, console);
    if diag::has_errors(&front.diagnostics) {
        return Err(Failure::Reported);
    }
    Ok(front)
}

/// The step of a neuron that is in no network.
const DEFAULT_STEP_MS: f64 = 1.0;

impl Front {
    /// Prints diagnostics, and after errors how many there were.
    pub fn report(&self, diagnostics: &[Diagnostic], console: &Console) {
        for diagnostic in diagnostics {
            let text = diag::render::render(diagnostic, &self.sources, console.color);
            console.note(&format!("{text}\n"));
        }
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        match errors {
            0 => {}
            1 => console.error(None, "stopped because of the error above"),
            n => console.error(None, &format!("stopped because of the {n} errors above")),
        }
    }

    /// The same program with all of `std/` that it imports, for names from elsewhere than its text.
    fn complete(&self) -> Front {
        match self.sources.files().first() {
            Some(file) => checked(load(file.name(), file.text(), &Known(&self.sources))),
            None => self.clone(),
        }
    }

    /// The length of a step for a neuron alone: that of the only network, else 1 ms.
    pub fn step_ms(&self) -> f64 {
        let whole: Vec<_> = self
            .model
            .networks
            .iter()
            .filter(|n| !n.is_part())
            .collect();
        let [network] = whole[..] else {
            return DEFAULT_STEP_MS;
        };
        let nothing = |_| None;
        let env = Env::new(&self.model, None, &nothing).with_lets(&network.lets);
        let step = network.step.as_ref().and_then(|step| env.number(step).ok());
        step.filter(|s| s.is_finite() && *s > 0.0)
            .unwrap_or(DEFAULT_STEP_MS)
    }

    /// A neuron as kernels for a length of the step, with other values for some of its parameters.
    ///
    /// # Errors
    ///
    /// There is no neuron of this name, or it cannot be run; then diagnostics were printed.
    pub fn neuron(
        &self,
        name: &str,
        step_ms: f64,
        overrides: &[Override],
        console: &Console,
    ) -> Result<Neuron, Failure> {
        if self.model.neuron(name).is_none() {
            if self.partial {
                return self.complete().neuron(name, step_ms, overrides, console);
            }
            let names = self.model.neurons.iter().map(|n| n.name.text.as_str());
            return Err(Failure::Usage(unknown("neuron", name, names)));
        }
        lower_neuron(&self.model, name, step_ms, overrides)
            .map_err(|findings| self.refused(&findings, console))
    }

    /// Whether a place is in the program's own file, not in what it imports.
    pub fn is_own(&self, span: Span) -> bool {
        let own = self.sources.files().first().map(|file| file.id());
        let found = self.sources.resolve(span);
        found.map(|(file, _)| file.id()) == own
    }

    /// The names of the neurons that are defined in the file itself, not in what it imports.
    pub fn own_neurons(&self) -> Vec<String> {
        let neurons = self.model.neurons.iter().filter(|n| self.is_own(n.span));
        neurons.map(|n| n.name.text.clone()).collect()
    }

    /// The same program with values from the command line, and the settings that are names of neither a
    /// setting of the plan nor a parameter of the network or of a layer.
    ///
    /// # Errors
    ///
    /// A value does not fit; that was printed.
    pub(crate) fn with_settings<'s>(
        self,
        target: Target<'_>,
        settings: &'s [Setting],
        console: &Console,
    ) -> Result<(Front, Vec<&'s Setting>), Failure> {
        if settings.is_empty() {
            return Ok((self, Vec::new()));
        }
        let (mut sources, mut files) = (self.sources.clone(), self.files.clone());
        let unknown = match edit(&mut files, &mut sources, target, settings) {
            Ok(unknown) => unknown,
            Err(_) if self.partial => {
                return self.complete().with_settings(target, settings, console);
            }
            Err(findings) => {
                // The map of the edits knows the places.
                let edited = Front {
                    sources,
                    files,
                    ..self
                };
                edited.report(&findings, console);
                return Err(Failure::ReportedUsage);
            }
        };
        let mut edited = checked(Loaded {
            sources,
            files,
            diagnostics: Vec::new(),
            partial: self.partial,
        });
        if diag::has_errors(&edited.diagnostics) {
            if self.partial {
                return self.complete().with_settings(target, settings, console);
            }
            edited.report(&edited.diagnostics, console);
            return Err(Failure::ReportedUsage);
        }
        let unknown = edit_groups(&mut edited.model, target, unknown)?;
        Ok((edited, unknown))
    }

    /// A network, with the plan that trains it if one is named.
    ///
    /// # Errors
    ///
    /// There is no such network or plan, or it cannot be run; then diagnostics were printed.
    pub fn program(
        &self,
        network: &str,
        train: Option<&str>,
        console: &Console,
    ) -> Result<Program, Failure> {
        if self.model.network(network).is_none() {
            let names = self.model.networks.iter().map(|n| n.name.text.as_str());
            return Err(Failure::Usage(unknown("network", network, names)));
        }
        lower_network(&self.model, Some(network), train)
            .map_err(|findings| self.refused(&findings, console))
    }

    /// Every network of the program that can be run by itself, as the first plan for it trains it if there is
    /// one.
    ///
    /// # Errors
    ///
    /// One of them cannot be run; then diagnostics were printed.
    pub fn programs(&self, console: &Console) -> Result<Vec<Program>, Failure> {
        let networks = self.model.networks.iter().filter(|n| !n.is_part());
        networks
            .map(|network| network.name.text.as_str())
            .map(|network| self.program(network, self.first_plan(network), console))
            .collect()
    }

    /// The first plan that trains a network: its arguments are those of the network.
    pub(crate) fn first_plan(&self, network: &str) -> Option<&str> {
        let index = self
            .model
            .networks
            .iter()
            .position(|n| n.name.text == network)?;
        let plan = self.model.trains.iter().find(|t| t.network == Some(index));
        plan.map(|t| t.name.text.as_str())
    }

    /// The training plan of this name, or the only one: its name and that of its network.
    ///
    /// # Errors
    ///
    /// There is none, no such one, or several and no name.
    pub fn plan(&self, name: Option<&str>) -> Result<(String, String), Failure> {
        let names = self.model.trains.iter().map(|t| t.name.text.as_str());
        let train = match (name, &self.model.trains[..]) {
            (Some(name), _) => match self.model.train(name) {
                Some(train) => train,
                None => return Err(Failure::Usage(unknown("train block", name, names))),
            },
            (None, [only]) => only,
            (None, []) => {
                let file = self
                    .sources
                    .files()
                    .first()
                    .map_or("the program", |f| f.name());
                return Err(Failure::Program(format!("`{file}` has no `train` block")));
            }
            (None, _) => {
                let names: Vec<String> = names.map(|n| format!("`{n}`")).collect();
                return Err(Failure::Usage(format!(
                    "there are several `train` blocks; choose one with --train: {}",
                    names.join(", ")
                )));
            }
        };
        let network = train.network.and_then(|i| self.model.networks.get(i));
        let network = network.expect("a checked plan has a network");
        Ok((train.name.text.clone(), network.name.text.clone()))
    }

    fn refused(&self, findings: &[Diagnostic], console: &Console) -> Failure {
        self.report(findings, console);
        Failure::Reported
    }
}
