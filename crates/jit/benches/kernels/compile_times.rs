//! How long it takes to make machine code of a kernel: Cranelift IR, its compilation and making it callable.

use std::time::Instant;

use rheobase_ir::kernel::Kernel;
use rheobase_jit::{Lane, Target, compile};

use crate::std_neurons::neurons;

/// How often a kernel is compiled.
const REPETITIONS: usize = 41;

/// Prints the table, of the neurons of `std/neurons.snn` or those that are named. The functions that kernels call are
/// compiled once in a process, before anything is timed.
pub(crate) fn report(_: f64, names: &[&str]) {
    println!(
        "{:36} {:>7} {:>9} {:>9} {:>9}   us, best of 41",
        "neuron", "nodes", "infer", "forward", "backward"
    );
    for made in neurons("std/neurons.snn") {
        let name = made.neuron.name.as_str();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let stages = &made.stages;
        let kernels = [&stages.infer, &stages.forward, &stages.backward];
        let nodes: usize = kernels.iter().map(|kernel| kernel.nodes.len()).sum();
        let times = kernels.map(|kernel| {
            let time = compile_time::<f32>(kernel) * 1e6;
            format!(" {time:>9.0}")
        });
        println!("{name:36} {nodes:>7}{}", times.concat());
    }
}

/// The shortest of some times to compile a kernel, in seconds: other work on the machine makes a time longer, never shorter.
pub(crate) fn compile_time<R: Lane>(kernel: &Kernel) -> f64 {
    let target = Target::host();
    let compiled = || drop(compile::<R>(kernel, &target).expect("verified"));
    compiled();
    let time = |_| {
        let start = Instant::now();
        compiled();
        start.elapsed().as_secs_f64()
    };
    (0..REPETITIONS).map(time).fold(f64::INFINITY, f64::min)
}
