//! The ways to compute a connection, each by itself, for the benchmarks that measure what each costs and from which density
//! on which one is faster. Not part of the interface.

use pulp::Arch;
use rheobase_ir::program::Window;

use crate::aligned::Aligned;
use crate::connection::by_source::BySource;
use crate::connection::dense::{Begin, gather_rows, scatter};
use crate::connection::masked::{Memory, add_masked_product};
use crate::connection::matmul::{Matrix, add_product, transpose};
use crate::connection::rows::Entries;
use crate::connection::step_product::add_step_product;
use crate::connection::{columns, convolution};

/// The rows of a block: 50 steps of 16 samples.
pub const BLOCK: usize = 50 * STEP;

/// The rows of a step of a group of samples.
pub const STEP: usize = 16;

/// Numbers below 1 that are the same in every run (a linear congruential generator).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    fn numbers(&mut self, count: usize) -> Aligned<f32> {
        let mut numbers = Aligned::new();
        numbers.resize(count);
        numbers
            .iter_mut()
            .for_each(|x| *x = self.next() as f32 - 0.5);
        numbers
    }

    /// Entries of a row of `n` of which each is there with this probability.
    fn entries(&mut self, n: usize, density: f64) -> Vec<u32> {
        (0..n as u32).filter(|_| self.next() < density).collect()
    }
}

/// A dense connection and the events of some rows.
pub struct Dense {
    arch: Arch,
    sizes: [usize; 2],
    events: Vec<Vec<u32>>,
    weights: Aligned<f32>,
    turned: Aligned<f32>,
    written: Aligned<f32>,
    panel: Aligned<f32>,
    masked: Memory<f32>,
    by_source: BySource,
    /// Rows of the sending neurons, and of the receiving ones.
    sent: Aligned<f32>,
    received: Aligned<f32>,
}

impl Dense {
    /// With `[inputs, outputs]` neurons.
    pub fn new(sizes: [usize; 2], rows: usize, density: f64) -> Dense {
        let mut draws = Draws(1);
        let [inputs, outputs] = sizes;
        let weights = draws.numbers(inputs * outputs);
        let mut turned = Aligned::new();
        transpose(&weights, outputs, &mut turned);
        Dense {
            arch: Arch::new(),
            sizes,
            events: (0..rows).map(|_| draws.entries(inputs, density)).collect(),
            weights,
            turned,
            written: Aligned::new(),
            panel: Aligned::new(),
            masked: Memory::default(),
            by_source: BySource::default(),
            sent: draws.numbers(rows * inputs),
            received: draws.numbers(rows * outputs),
        }
    }

    /// The multiplications by weights that events need: every event times every output.
    pub fn operations(&self) -> usize {
        self.events.iter().map(Vec::len).sum::<usize>() * self.sizes[1]
    }

    fn write_events(&mut self) {
        let inputs = self.sizes[0];
        self.written.resize(self.events.len() * inputs);
        self.written.fill(0.0);
        for (events, row) in self
            .events
            .iter()
            .zip(self.written.chunks_exact_mut(inputs))
        {
            events.iter().for_each(|&e| row[e as usize] = 1.0);
        }
    }

    /// The forward by gathered rows of weights.
    pub fn forward_by_events(&mut self) {
        let (n, panel) = (self.sizes[1], &mut self.panel);
        let arrivals = |row: usize| (&self.events[row][..], None);
        gather_rows(
            self.arch,
            &self.weights,
            n,
            panel,
            arrivals,
            (Begin::Given, &mut self.received),
        );
    }

    /// The forward by a matrix product.
    pub fn forward_by_product(&mut self) {
        self.write_events();
        let sent = Matrix::of_rows(&self.written, self.sizes[0]);
        let weights = Matrix::of_rows(&self.weights, self.sizes[1]);
        add_product(&mut self.received, sent, weights);
    }

    /// The gradient of weights by sorted events.
    pub fn gradient_by_events(&mut self) {
        let ([inputs, n], panel) = (self.sizes, &mut self.panel);
        let arrivals = |row: usize| (&self.events[row][..], None);
        self.by_source.fill(inputs, self.events.len(), arrivals);
        let arrivals = |source: usize| self.by_source.of(source);
        gather_rows(
            self.arch,
            &self.received,
            n,
            panel,
            arrivals,
            (Begin::Given, &mut self.weights),
        );
    }

    /// The gradient of weights by events in the order of rows.
    pub fn gradient_by_scatter(&mut self) {
        let rows = self.received.chunks_exact(self.sizes[1]);
        for (events, delta) in self.events.iter().zip(rows) {
            scatter::<f32, f32>(self.arch, &mut self.weights, events, None, delta);
        }
    }

    /// The gradient of weights by a matrix product.
    pub fn gradient_by_product(&mut self) {
        self.write_events();
        let sent = Matrix::of_rows(&self.written, self.sizes[0]).transposed();
        let delta = Matrix::of_rows(&self.received, self.sizes[1]);
        add_product(&mut self.weights, sent, delta);
    }

    /// The adjoints of the entries that have events, by inner products.
    pub fn back_masked(&mut self) {
        let (n, memory) = (self.sizes[1], &mut self.masked);
        let active = |row: usize| &self.events[row][..];
        let (delta, weights) = (&self.received, &self.weights);
        add_masked_product(self.arch, delta, n, weights, memory, active, &mut self.sent);
    }

    /// All adjoints by a matrix product.
    pub fn back_by_product(&mut self) {
        let weights = Matrix::of_rows(&self.weights, self.sizes[1]).transposed();
        let delta = Matrix::of_rows(&self.received, self.sizes[1]);
        add_product(&mut self.sent, delta, weights);
    }

    /// All adjoints by the product of a step inside of a cycle.
    pub fn back_by_step(&mut self) {
        let delta = &self.received;
        add_step_product(
            self.arch,
            delta,
            &self.turned,
            self.sizes[0],
            &mut self.sent,
        );
    }
}

/// A convolution and the events of a row.
pub struct Convolution {
    arch: Arch,
    window: Window,
    events: Vec<u32>,
    row: Aligned<f32>,
    weights: Aligned<f32>,
    turned: Aligned<f32>,
    kernel: convolution::Memory<f32>,
    columns: Aligned<f32>,
    out: Aligned<f32>,
}

impl Convolution {
    /// Of a square input and a square kernel, without padding; `channels` are those of input and output.
    pub fn new(channels: [usize; 2], side: usize, kernel: usize, density: f64) -> Convolution {
        let mut draws = Draws(1);
        let inputs = channels[0] * side * side;
        let places = (side + 1 - kernel).pow(2);
        let events = draws.entries(inputs, density);
        let mut row = Aligned::new();
        row.resize(inputs);
        row.fill(0.0);
        events.iter().for_each(|&e| row[e as usize] = 1.0);
        Convolution {
            arch: Arch::new(),
            window: Window {
                axes: 2,
                channels,
                input: [side; 2],
                output: [side + 1 - kernel; 2],
                kernel: [kernel; 2],
                stride: [1; 2],
                pad: [0; 2],
                dilation: [1; 2],
                groups: 1,
            },
            events,
            row,
            weights: draws.numbers(channels[0] * kernel * kernel * channels[1]),
            turned: Aligned::new(),
            kernel: convolution::Memory::default(),
            columns: Aligned::new(),
            out: draws.numbers(places * channels[1]),
        }
    }

    /// The multiplications by weights that events need: every event times the outputs whose windows it is in.
    pub fn operations(&self) -> usize {
        let window = &self.window;
        let [side, places] = [window.input[0], window.output[0]];
        let windows =
            |at: usize| at.min(places - 1) + 1 - (at + 1).saturating_sub(window.kernel[0]);
        let of_event = |&event: &u32| {
            let place = event as usize % (side * side);
            windows(place / side) * windows(place % side)
        };
        self.events.iter().map(of_event).sum::<usize>() * window.channels[1]
    }

    fn entries(&self) -> Entries<'_, f32> {
        Entries {
            indices: &self.events,
            values: None,
        }
    }

    /// The forward by the kernels of events.
    pub fn forward_by_events(&mut self) {
        let mut turned = std::mem::take(&mut self.turned);
        turned.resize(self.out.len());
        turned.fill(0.0);
        let (window, weights) = (&self.window, &self.weights);
        convolution::forward(self.arch, window, weights, self.entries(), &mut turned);
        convolution::add_turned(&turned, window.channels[1], &mut self.out);
        self.turned = turned;
    }

    /// The forward by a matrix product of windows.
    pub fn forward_by_product(&mut self) {
        let (window, weights) = (&self.window, &self.weights);
        columns::forward(window, weights, &self.row, &mut self.columns, &mut self.out);
    }

    /// The gradient of weights by events.
    pub fn gradient_by_events(&mut self) {
        let mut weights = std::mem::take(&mut self.weights);
        let mut memory = std::mem::take(&mut self.kernel);
        let (window, delta) = (&self.window, &self.out);
        let entries = self.entries();
        convolution::weight_gradient(self.arch, window, entries, delta, &mut memory, &mut weights);
        (self.weights, self.kernel) = (weights, memory);
    }

    /// The gradient of weights by a matrix product of windows.
    pub fn gradient_by_product(&mut self) {
        let (window, row, out) = (&self.window, &self.row, &self.out);
        columns::weight_gradient(window, row, out, &mut self.columns, &mut self.weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
    }

    #[test]
    fn all_ways_of_a_dense_connection_agree() {
        let make = || Dense::new([70, 24], 40, 0.2);
        let run = |way: fn(&mut Dense)| {
            let mut dense = make();
            way(&mut dense);
            dense
        };
        let product = run(Dense::forward_by_product).received;
        assert!(!near(&product, &make().received));
        assert!(near(&run(Dense::forward_by_events).received, &product));

        let product = run(Dense::gradient_by_product).weights;
        assert!(!near(&product, &make().weights));
        assert!(near(&run(Dense::gradient_by_events).weights, &product));
        assert!(near(&run(Dense::gradient_by_scatter).weights, &product));

        let (given, product) = (make(), run(Dense::back_by_product).sent);
        assert!(near(&run(Dense::back_by_step).sent, &product));
        let mut expected = given.sent.to_vec();
        for (row, events) in given.events.iter().enumerate() {
            for &e in events {
                expected[row * 70 + e as usize] = product[row * 70 + e as usize];
            }
        }
        assert!(!near(&expected, &given.sent));
        assert!(near(&run(Dense::back_masked).sent, &expected));
    }

    #[test]
    fn both_ways_of_a_convolution_agree() {
        let make = || Convolution::new([2, 3], 9, 4, 0.3);
        let run = |way: fn(&mut Convolution)| {
            let mut convolution = make();
            way(&mut convolution);
            convolution
        };
        let product = run(Convolution::forward_by_product).out;
        assert!(!near(&product, &make().out));
        assert!(near(&run(Convolution::forward_by_events).out, &product));

        let product = run(Convolution::gradient_by_product).weights;
        assert!(!near(&product, &make().weights));
        let events = run(Convolution::gradient_by_events).weights;
        assert!(near(&events, &product));
    }

    #[test]
    fn operations_are_those_of_all_windows() {
        let all = Convolution::new([2, 3], 9, 4, 1.0);
        assert_eq!(all.operations(), 2 * 3 * (4 * 4) * (6 * 6));
        assert_eq!(Dense::new([7, 5], 3, 1.0).operations(), 3 * 7 * 5);
    }
}
