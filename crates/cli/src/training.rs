//! What `train`, `eval` and `bench` begin with: a program, its plan, and values from the command line.

use std::path::{Path, PathBuf};

use rheobase_ir::program::{Initial, Program};

use crate::console::Console;
use crate::edits::Target;
use crate::failure::Failure;
use crate::names::unknown;
use crate::pipeline::{Front, compile};
use crate::run_folder::{Origin, read_origin};
use crate::settings::Setting;

/// A plan that is ready to be trained.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) front: Front,
    /// The plan's name, and what decided it beside the text.
    pub(crate) origin: Origin,
    pub(crate) program: Program,
    /// Where relative paths of data files start: the folder of the program.
    pub(crate) base: PathBuf,
}

/// Compiles the plan of this name, or the only one. A `config.snn` of a run folder brings the values with it
/// that it was trained with.
pub(crate) fn plan(
    file: &Path,
    train: Option<&str>,
    settings: &[Setting],
    console: &Console,
) -> Result<Plan, Failure> {
    let front = compile(file, console)?;
    let first = front.sources.files().first();
    let mut origin = read_origin(file, first.map_or("", |f| f.text()))?;
    let of_origin = Some(origin.train.as_str()).filter(|name| !name.is_empty());
    let (train, network) = front.plan(train.or(of_origin))?;
    origin.train.clone_from(&train);
    origin.settings.extend_from_slice(settings);
    let target = Target {
        network: &network,
        train: Some(&train),
    };
    let (front, left) = front.with_settings(target, &origin.settings, console)?;
    let mut program = front.program(&network, Some(&train), console)?;
    for setting in left {
        set_weights(&mut program, setting)?;
    }
    let base = origin.file.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(Plan {
        front,
        origin,
        program,
        base,
    })
}

/// `a.b.x.weight=0.5`: all weights or biases of a connection start from this value.
fn set_weights(program: &mut Program, setting: &Setting) -> Result<(), Failure> {
    let network = &mut program.network;
    let mut names = Vec::new();
    for connection in &mut network.connections {
        let port = &network.layers[connection.to].neuron.ports[connection.port];
        let prefixes: Vec<String> = (0..connection.operations.len())
            .map(|o| connection.prefix(o))
            .collect();
        for (prefix, operation) in prefixes.iter().zip(&mut connection.operations) {
            let parts = [
                ("weight", operation.weight.as_mut()),
                ("bias", operation.bias.as_mut()),
                ("feedback", operation.feedback.as_mut()),
            ];
            for (part, initial) in parts {
                let Some(initial) = initial else { continue };
                let name = format!("{prefix}.{part}");
                if name == setting.name {
                    *initial = Initial::Constant(setting.in_base(&port.unit, network.step_ms)?);
                    return Ok(());
                }
                names.push(name);
            }
        }
    }
    names.extend(program.network.layers.iter().flat_map(|layer| {
        let params = layer.neuron.params.iter();
        params.map(|p| format!("{}.{}", layer.name, p.name))
    }));
    names.extend(["epochs", "batch", "seed", "duration", "optimizer.lr"].map(String::from));
    let names = names.iter().map(String::as_str);
    Err(Failure::Usage(unknown("setting", &setting.name, names)))
}

/// The number of threads that was asked for, or all processors.
pub(crate) fn threads(asked: Option<u16>) -> usize {
    match asked {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}
