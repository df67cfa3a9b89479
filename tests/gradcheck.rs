//! The derived gradient of every neuron of every example against finite differences of the smoothed program,
//! in double precision on the interpreter; and compiled code against the interpreter.

use std::path::Path;

use rheobase::console::Console;
use rheobase::pipeline::{Front, front};
use rheobase_ir::gradcheck::{Config, gradcheck};
use rheobase_ir::program::Neuron;
use rheobase_lang::diag::has_errors;

const TOLERANCE: f64 = 1e-6;

/// The neurons of the layers of a program's networks and those of the file alone, each by a name for messages.
fn neurons(path: &Path) -> Vec<(String, Neuron)> {
    let console = Console {
        color: false,
        bars: false,
    };
    let program: Front = front(path).expect("readable");
    assert!(
        !has_errors(&program.diagnostics),
        "{}: {:?}",
        path.display(),
        program.diagnostics
    );
    let name = |neuron: &str| format!("{}: {neuron}", path.display());
    let mut found = Vec::new();
    for program in program.programs(&console).expect("lowers") {
        found.extend(
            program
                .network
                .layers
                .into_iter()
                .map(|l| (name(&l.name), l.neuron)),
        );
    }
    for neuron in program.own_neurons() {
        found.push((
            name(&neuron),
            program
                .neuron(&neuron, program.step_ms(), &[], &console)
                .expect("lowers"),
        ));
    }
    found
}

fn programs(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder)
        .expect("the folder is there")
        .flatten()
        .map(|e| e.path());
    let mut programs: Vec<_> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "snn"))
        .collect();
    programs.sort();
    programs
}

#[test]
fn every_neuron_of_every_example() {
    let mut checked = 0;
    for path in ["examples", "examples/bench", "tests/vectors"]
        .into_iter()
        .flat_map(programs)
    {
        for (name, neuron) in neurons(&path) {
            let report =
                gradcheck(&neuron, &Config::STANDARD).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(report.passed(TOLERANCE), "{name}:\n{report}");
            assert!(
                neuron.spikes.is_empty() || report.spiking > 0.0,
                "{name} never spiked, so little was checked"
            );
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} neurons were found");
}
