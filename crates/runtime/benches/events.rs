//! What each way to compute a connection costs over the share of entries that are events: `cargo bench --bench events`.
//!
//! It is for who wants to see the kernels beside each other: rows of weights that are gathered, rows of gradients that are
//! scattered, adjoints where they are read, kernels of a convolution, and the matrix product that does the same. Below every time are
//! the multiplications of events by weights in a second; those of the product count in the same way, whatever it
//! multiplies besides. Words behind `--` choose, as in `-- 'forward.*1024x1024'`. The densities at which a product becomes
//! faster, which the runtime chooses by, are printed by `crossover.rs`.

use std::fmt;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, Divan, black_box};
use rheobase_runtime::kernels::{BLOCK, Convolution, Dense, STEP};

/// The percentages of entries that are events.
const PERCENT: [u32; 6] = [1, 2, 5, 10, 20, 40];

/// Senders and receivers.
const SIZES: [[usize; 2]; 3] = [[128, 128], [700, 128], [1024, 1024]];

/// Channels, side of the input, side of the kernel.
const CONVOLUTIONS: [([usize; 2], usize, usize); 2] = [([2, 12], 34, 5), ([12, 32], 15, 5)];

/// A way to compute something, with its name.
type Way<T> = (&'static str, fn(&mut T));

/// A row of the output: one size, one density, one way.
struct Case<T> {
    name: String,
    make: Box<dyn Fn() -> T + Send + Sync>,
    operations: fn(&T) -> usize,
    way: fn(&mut T),
}

impl<T> fmt::Display for Case<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<T> Case<T> {
    fn measure(&self, bencher: Bencher<'_, '_>) {
        let mut kernel = (self.make)();
        bencher
            .counter(ItemsCount::new((self.operations)(&kernel)))
            .bench_local(|| (self.way)(black_box(&mut kernel)));
    }
}

/// All sizes and densities of dense connections with this many rows, each in all of these ways.
fn dense<const N: usize>(rows: usize, ways: [Way<Dense>; N]) -> Vec<Case<Dense>> {
    let mut cases = Vec::new();
    for [inputs, outputs] in SIZES {
        for percent in PERCENT {
            let density = f64::from(percent) / 100.0;
            cases.extend(ways.map(|(way_name, way)| Case {
                name: format!("{inputs}x{outputs} {percent} % {way_name}"),
                make: Box::new(move || Dense::new([inputs, outputs], rows, density)),
                operations: Dense::operations,
                way,
            }));
        }
    }
    cases
}

/// The same for convolutions of one row.
fn convolution<const N: usize>(ways: [Way<Convolution>; N]) -> Vec<Case<Convolution>> {
    let mut cases = Vec::new();
    for ([from, to], side, kernel) in CONVOLUTIONS {
        for percent in PERCENT {
            let density = f64::from(percent) / 100.0;
            cases.extend(ways.map(|(way_name, way)| Case {
                name: format!("{from}x{side}x{side} {to}@{kernel}x{kernel} {percent} % {way_name}"),
                make: Box::new(move || Convolution::new([from, to], side, kernel, density)),
                operations: Convolution::operations,
                way,
            }));
        }
    }
    cases
}

#[divan::bench(args = dense(BLOCK, [
    ("gather", Dense::forward_by_events),
    ("product", Dense::forward_by_product),
]))]
fn forward(bencher: Bencher, case: &Case<Dense>) {
    case.measure(bencher);
}

#[divan::bench(args = dense(BLOCK, [
    ("sort, gather", Dense::gradient_by_events),
    ("scatter", Dense::gradient_by_scatter),
    ("product", Dense::gradient_by_product),
]))]
fn gradient_of_weights(bencher: Bencher, case: &Case<Dense>) {
    case.measure(bencher);
}

#[divan::bench(args = dense(BLOCK, [
    ("masked", Dense::back_masked),
    ("product", Dense::back_by_product),
]))]
fn adjoints_of_inputs(bencher: Bencher, case: &Case<Dense>) {
    case.measure(bencher);
}

#[divan::bench(args = dense(STEP, [
    ("masked", Dense::back_masked),
    ("product", Dense::back_by_step),
]))]
fn adjoints_of_inputs_in_a_cycle(bencher: Bencher, case: &Case<Dense>) {
    case.measure(bencher);
}

#[divan::bench(args = convolution([
    ("events", Convolution::forward_by_events),
    ("product", Convolution::forward_by_product),
]))]
fn convolution_forward(bencher: Bencher, case: &Case<Convolution>) {
    case.measure(bencher);
}

#[divan::bench(args = convolution([
    ("events", Convolution::gradient_by_events),
    ("product", Convolution::gradient_by_product),
]))]
fn convolution_gradient_of_weights(bencher: Bencher, case: &Case<Convolution>) {
    case.measure(bencher);
}

fn main() {
    Divan::default()
        .max_time(Duration::from_millis(250))
        .config_with_args()
        .main();
}
