//! Every neuron of every embedded file: checked without a finding, lowered, and its derived gradient against
//! finite differences.

use rheobase_ir::gradcheck::{Config, gradcheck, transposition};
use rheobase_ir::kernel::{Def, Kernel, Value};
use rheobase_ir::pipeline::{Wanted, build};
use rheobase_lang::check::check;
use rheobase_lang::diag::render::render_all;
use rheobase_lang::load::{NoFiles, STD, load};
use rheobase_lang::lower::lower_neuron;

const TOLERANCE: f64 = 1e-6;

/// A membrane of this neuron runs away within a few steps: over many spikes a gradient becomes so large that
/// differences of any length are lost in its curvature or in rounding.
const SHORT: [&str; 1] = ["NorseAccomodation"];

#[test]
fn gradients_of_every_neuron() {
    let mut checked = 0;
    for (file, _) in STD {
        let loaded = load("main.snn", &format!("import \"{file}\""), &NoFiles);
        let program = check(&loaded.files);
        let all = [loaded.diagnostics, program.diagnostics].concat();
        assert_eq!(render_all(&all, &loaded.sources, false), "", "{file}");
        for neuron in &program.model.neurons {
            let name = &neuron.name.text;
            let lowered = lower_neuron(&program.model, name, 1.0, &[])
                .unwrap_or_else(|f| panic!("{}", render_all(&f, &loaded.sources, false)));
            let config = Config {
                steps: if SHORT.contains(&name.as_str()) {
                    8
                } else {
                    Config::STANDARD.steps
                },
                ..Config::STANDARD
            };
            let report = gradcheck(&lowered, &config).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(report.passed(TOLERANCE), "{name}:\n{report}");
            assert!(
                lowered.spikes.is_empty() || report.spiking > 0.0,
                "{name} never spiked"
            );
            // Forward mode of the same step is the transpose of its reverse mode.
            let stages = build(&lowered, Wanted::ALL).expect("the pipeline is right");
            let products = transposition(&stages.hoisted, 7).expect("the step runs");
            assert!(
                products.error <= 1e-12 && products.points >= 8,
                "{name}: {products:?}"
            );
            checked += 1;
        }
    }
    assert!(checked > 130, "only {checked} neurons were found");
}

/// The instructions of a kernel that give the same in every step, literals aside.
fn constant_in_time(kernel: &Kernel) -> Vec<String> {
    let mut constant: Vec<bool> = Vec::new();
    for node in &kernel.nodes {
        constant.push(match &node.def {
            Def::Input(input) => input.slot.role.constant_in_time(),
            Def::Inst(_, args) => args.iter().all(|a| constant[a.index()]),
        });
    }
    let literal = |args: &[Value]| args.is_empty();
    let left = kernel.values().filter_map(|(value, node)| match &node.def {
        Def::Inst(op, args) if constant[value.index()] && !literal(args) => {
            Some(format!("{} {}: {}", kernel.name, node.ty, op.name()))
        }
        Def::Inst(..) | Def::Input(_) => None,
    });
    left.collect()
}

/// Whatever does not change in time is computed by the prologue, also what only the backward of a step reads, with the
/// gradient of every parameter or of none.
#[test]
fn steps_compute_nothing_that_is_constant() {
    let mut left = Vec::new();
    for (file, _) in STD {
        let loaded = load("main.snn", &format!("import \"{file}\""), &NoFiles);
        let program = check(&loaded.files);
        for neuron in &program.model.neurons {
            let name = &neuron.name.text;
            let neuron = lower_neuron(&program.model, name, 1.0, &[]).expect("std is right");
            for wanted in [Wanted::ALL, Wanted::NONE] {
                let stages = build(&neuron, wanted).expect("the pipeline is right");
                for kernel in [&stages.infer, &stages.forward, &stages.backward] {
                    left.extend(constant_in_time(kernel));
                }
            }
        }
    }
    left.sort();
    left.dedup();
    assert_eq!(left, Vec::<String>::new());
}

/// All files can be imported together: no name stands twice.
#[test]
fn the_files_together() {
    let imports: Vec<String> = STD
        .iter()
        .map(|(f, _)| format!("import \"{f}\"\n"))
        .collect();
    let loaded = load("main.snn", &imports.concat(), &NoFiles);
    let program = check(&loaded.files);
    let all = [loaded.diagnostics, program.diagnostics].concat();
    assert_eq!(render_all(&all, &loaded.sources, false), "");
    let mut names: Vec<&str> = Vec::new();
    names.extend(program.model.neurons.iter().map(|n| n.name.text.as_str()));
    names.extend(
        program
            .model
            .surrogates
            .iter()
            .map(|s| s.name.text.as_str()),
    );
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}
