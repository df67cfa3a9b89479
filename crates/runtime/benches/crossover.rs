//! From which density on a matrix product is faster than what is driven by events, for every way that a connection can
//! be computed: `cargo bench --bench crossover`. It is for who changes a kernel: its result is compiled into the runtime. What
//! each way costs by itself is in `events.rs`.
//!
//! Both ways run in turn, and the fastest of many runs of each counts: what else the machine does can only make a run
//! slower. Events are uniform and random. Writing events into a matrix and sorting them are part of the time of the
//! way that needs it. Between the densities that are measured the ratio of both times is interpolated. The output ends
//! with the tables of `src/connection/crossover.rs`.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measures")]

use std::time::{Duration, Instant};

use rheobase_runtime::kernels::{BLOCK, Convolution, Dense, STEP};

/// The densities that are measured.
const DENSITIES: [f64; 9] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.9];

/// The time for one density, at least.
const TIME: Duration = Duration::from_millis(150);

/// Senders and receivers.
const SIZES: [[usize; 2]; 6] = [
    [128, 128],
    [700, 128],
    [512, 512],
    [1024, 256],
    [1024, 1024],
    [4096, 512],
];

/// Channels, side of the input, side of the kernel.
const CONVOLUTIONS: [([usize; 2], usize, usize); 4] = [
    ([2, 12], 34, 5),
    ([12, 32], 15, 5),
    ([16, 32], 16, 3),
    ([64, 64], 16, 3),
];

/// Microseconds of the fastest run of each.
fn fastest<T>(case: &mut T, ways: [fn(&mut T); 2]) -> [f64; 2] {
    let (mut best, start) = ([f64::INFINITY; 2], Instant::now());
    let mut runs = 0;
    while runs < 5 || start.elapsed() < TIME {
        for (way, best) in ways.iter().zip(&mut best) {
            let begin = Instant::now();
            way(case);
            *best = best.min(1e6 * begin.elapsed().as_secs_f64());
        }
        runs += 1;
    }
    best
}

/// Prints the times over density; returns the density at which they are equal.
fn crossover<T>(name: &str, make: impl Fn(f64) -> T, ways: [fn(&mut T); 2]) -> f64 {
    let mut found = None;
    let mut before: Option<(f64, f64)> = None;
    for density in DENSITIES {
        let [events, product] = fastest(&mut make(density), ways);
        let ratio = events / product;
        println!("{name:34} {density:5.2} {events:10.1} {product:10.1} {ratio:6.2}");
        if ratio >= 1.0 && found.is_none() {
            found = Some(match before {
                None => 0.0,
                Some((d, r)) => d + (density - d) * (1.0 - r) / (ratio - r),
            });
        }
        before = Some((density, ratio));
    }
    found.unwrap_or(1.0)
}

fn dense(name: &str, rows: usize, ways: [fn(&mut Dense); 2]) -> Vec<String> {
    let line = |sizes: [usize; 2]| {
        let [inputs, outputs] = sizes;
        let title = format!("{name} {inputs}x{outputs}");
        let density = crossover(&title, |d| Dense::new(sizes, rows, d), ways);
        format!("    at({inputs}, {outputs}, {density:.2}),")
    };
    SIZES.into_iter().map(line).collect()
}

fn convolution(name: &str, ways: [fn(&mut Convolution); 2]) -> Vec<String> {
    let line = |([from, to], side, kernel): ([usize; 2], usize, usize)| {
        let title = format!("{name} {from}x{side}x{side} {to}@{kernel}x{kernel}");
        let make = |d| Convolution::new([from, to], side, kernel, d);
        let density = crossover(&title, make, ways);
        format!("    at({}, {to}, {density:.2}),", from * kernel * kernel)
    };
    CONVOLUTIONS.into_iter().map(line).collect()
}

fn main() {
    println!(
        "{:34} {:>5} {:>10} {:>10} {:>6}",
        "", "share", "events us", "product us", "ratio"
    );
    let forward = [Dense::forward_by_events, Dense::forward_by_product];
    let weights = [Dense::gradient_by_events, Dense::gradient_by_product];
    let block = [Dense::back_masked, Dense::back_by_product];
    let step = [Dense::back_masked, Dense::back_by_step];
    let outputs = [
        Convolution::forward_by_events,
        Convolution::forward_by_product,
    ];
    let kernels = [
        Convolution::gradient_by_events,
        Convolution::gradient_by_product,
    ];
    let tables = [
        ("FORWARD", dense("forward", BLOCK, forward)),
        ("WEIGHTS", dense("weights", BLOCK, weights)),
        ("MASKED", dense("masked", BLOCK, block)),
        ("MASKED_STEP", dense("masked step", STEP, step)),
        ("CONVOLUTION", convolution("convolution", outputs)),
        (
            "CONVOLUTION_WEIGHTS",
            convolution("convolution weights", kernels),
        ),
    ];
    for (name, lines) in tables {
        println!(
            "\npub(crate) const {name}: &[Crossover] = &[\n{}\n];",
            lines.join("\n")
        );
    }
}
