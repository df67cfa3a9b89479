//! What compiled kernels cost: nanoseconds per lane and step with the rows in the first cache, beside the
//! time that copying the same bytes takes (the floor), and microseconds to compile. For each the best of
//! many repetitions on one thread.
//!
//! `cargo bench -p rheobase-jit` has five tables; `-- functions`, `-- std`, `-- rustc`, `-- steps` and `-- compile` choose
//! one: the functions with their errors and the test neurons; every neuron of `std/` (`-- std EIF AdEx`: these only); the
//! same kernel written in Rust and compiled for AVX2; several steps in one pass; the times of compilation. It reports; nothing depends on a figure.

#![expect(
    clippy::print_stdout,
    reason = "the report of a benchmark goes to the terminal"
)]

mod compile_times;
mod functions;
mod hand;
mod rows;
mod several_steps;
mod std_neurons;

use rows::floor;

/// A table by the word that chooses it, and what prints it.
type Table = (&'static str, fn(f64, &[&str]));

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let tables: [Table; 5] = [
        ("functions", functions::report),
        ("std", std_neurons::report),
        ("rustc", hand::report),
        ("steps", several_steps::report),
        ("compile", compile_times::report),
    ];
    let chosen = |name: &str| words.iter().any(|word| word == name);
    let all = !tables.iter().any(|(name, _)| chosen(name));
    // `cargo bench` adds options of its own.
    let others = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-') && !tables.iter().any(|(name, _)| name == word));
    let others: Vec<&str> = others.collect();
    let floor = floor();
    for (name, report) in tables {
        if all || chosen(name) {
            report(floor, &others);
            println!();
        }
    }
}
