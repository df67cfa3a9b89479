//! Every neuron of `std/`: a step without saving, one that saves the tape, and its backward for the training of
//! weights.

use rheobase_ir::kernel::Kernel;
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_lang::check::check;
use rheobase_lang::load::{NoFiles, STD, load};
use rheobase_lang::lower::lower_neuron;

use crate::rows::{Rows, bytes};

/// The stages of every neuron of a file of `std/`, by name.
pub(crate) fn stages(file: &str) -> Vec<(String, Stages)> {
    let loaded = load("main.snn", &format!("import \"{file}\""), &NoFiles);
    let program = check(&loaded.files);
    let neurons = program.model.neurons.iter();
    neurons
        .map(|neuron| {
            let name = &neuron.name.text;
            let lowered = lower_neuron(&program.model, name, 1.0, &[]).expect("std is right");
            let stages = build(&lowered, Wanted::NONE).expect("the pipeline is right");
            (name.clone(), stages)
        })
        .collect()
}

/// Prints the table.
pub(crate) fn report(floor: f64) {
    println!(
        "{:36} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}   ns per neuron and step",
        "neuron", "infer", "floor", "forward", "floor", "backward", "floor"
    );
    let mut seen = std::collections::BTreeSet::new();
    for (file, _) in STD {
        for (name, stages) in stages(file) {
            // A file brings the neurons that it imports.
            if !seen.insert(name.clone()) {
                continue;
            }
            let kernels = [&stages.infer, &stages.forward, &stages.backward];
            let times: String = kernels.map(|kernel| row(kernel, floor)).concat();
            println!("{name:36}{times}");
        }
    }
}

fn row(kernel: &Kernel, floor: f64) -> String {
    let time = Rows::<f32>::new(kernel).time();
    let floor = bytes::<f32>(kernel) as f64 * floor;
    format!(" {time:>9.3} {floor:>7.3}")
}
