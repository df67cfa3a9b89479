//! Every example through every stage of the compiler, as snapshots that can be reviewed on their own: a ledger
//! from the source to the optimised kernels, and the Cranelift IR of a machine without optional instructions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rheobase::commands::{EmitArgs, Stage, TapeArg, Wrt, render};
use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_ir::pipeline::{Wanted, build};
use rheobase_jit::{Precision, Target};

const CONSOLE: Console = Console {
    color: false,
    bars: false,
};

const EXAMPLES: [&str; 5] = [
    "digits",
    "recurrent",
    "adaptive",
    "bench/shd_ff",
    "bench/shd_rec",
];

const STAGES: [(&str, Stage); 6] = [
    ("AST", Stage::Ast),
    ("MODEL", Stage::Model),
    ("KERNEL", Stage::Kernel),
    ("GRADIENT", Stage::Gradient),
    ("TAPE", Stage::Tape),
    ("OPTIMISED", Stage::Optimised),
];

fn path(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(format!("{example}.snn"))
}

/// A name for the snapshot's file.
fn snapshot(example: &str, what: &str) -> String {
    format!("{}@{what}", example.replace('/', "_"))
}

#[test]
fn every_stage_of_every_example() {
    for example in EXAMPLES {
        let source = std::fs::read_to_string(path(example)).expect("the example is there");
        let mut ledger = format!("----- SOURCE\n{source}");
        for (title, stage) in STAGES {
            let args = EmitArgs {
                file: path(example),
                stage,
                neuron: None,
                step: None,
                wrt: Wrt::Learned,
                tape: TapeArg::Whole,
            };
            let text =
                render(&args, &CONSOLE).unwrap_or_else(|e| panic!("{example} {title}: {e:?}"));
            let _ = write!(ledger, "\n----- {title}\n{}\n", text.trim_end());
        }
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(snapshot(example, "ledger"), ledger);
        });
    }
}

#[test]
fn cranelift_ir_of_every_example() {
    for example in EXAMPLES {
        let program = front(&path(example)).expect("readable");
        let mut text = String::new();
        for program in program.programs(&CONSOLE).expect("lowers") {
            for layer in &program.network.layers {
                let learned = |name: &str| {
                    layer
                        .neuron
                        .params
                        .iter()
                        .any(|p| p.name == name && p.learn.is_some())
                };
                let stages = build(
                    &layer.neuron,
                    Wanted {
                        params: &learned,
                        ..Wanted::ALL
                    },
                )
                .expect("compiles");
                for kernel in [&stages.forward, &stages.backward] {
                    let clif = rheobase_jit::clif(kernel, &Target::baseline(), Precision::F32)
                        .expect("lowers");
                    let _ = write!(text, "; layer {}\n{clif}\n", layer.name);
                }
            }
        }
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(snapshot(example, "clif"), text);
        });
    }
}
