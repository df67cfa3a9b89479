//! What operations compute, written down as their definitions: a linear one is a list of which output sees
//! which input through which weight, a maximum is a loop over its window.

use rheobase_ir::draws::{dropout, sample_key};
use rheobase_ir::program::{Operation, Pooling, Synapses, Window};

/// Output, input, weight (its place in the outside shape) and a factor.
struct Entry {
    output: usize,
    input: usize,
    weight: usize,
    factor: f64,
}

/// Calls `visit(output, channel out, input, channel in, ky, kx)` for every place of every window that is
/// inside of the input.
fn each(window: &Window, mut visit: impl FnMut(usize, usize, usize, usize, usize, usize)) {
    let [channels, channels_out] = window.channels;
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let of_group = [channels / window.groups, channels_out / window.groups];
    for o in 0..channels_out {
        for y in 0..rows {
            for x in 0..columns {
                for c in 0..of_group[0] {
                    let channel = o / of_group[1] * of_group[0] + c;
                    for ky in 0..window.kernel[0] {
                        for kx in 0..window.kernel[1] {
                            let at = |at: usize, k: usize, axis: usize, length: usize| {
                                let at = at * window.stride[axis] + k * window.dilation[axis];
                                at.checked_sub(window.pad[axis]).filter(|a| *a < length)
                            };
                            if let (Some(iy), Some(ix)) =
                                (at(y, ky, 0, height), at(x, kx, 1, width))
                            {
                                let input = (channel * height + iy) * width + ix;
                                visit((o * rows + y) * columns + x, o, input, c, ky, kx);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn entries(operation: &Operation, [sample, connection, place]: [usize; 3]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |output, input, weight, factor| {
        entries.push(Entry {
            output,
            input,
            weight,
            factor,
        });
    };
    let (inputs, outputs) = (operation.inputs, operation.outputs);
    match &operation.synapses {
        Synapses::Dense { .. } => {
            for i in 0..outputs {
                (0..inputs).for_each(|j| add(i, j, i * inputs + j, 1.0));
            }
        }
        Synapses::Sparse { .. } => {
            let pattern = operation.pattern().expect("sparse");
            for i in 0..outputs {
                for pair in pattern.offsets[i]..pattern.offsets[i + 1] {
                    let pair = pair as usize;
                    add(i, pattern.columns[pair] as usize, pair, 1.0);
                }
            }
        }
        Synapses::OneToOne => (0..inputs).for_each(|i| add(i, i, i, 1.0)),
        Synapses::Scale => (0..inputs).for_each(|i| add(i, i, 0, 1.0)),
        Synapses::Convolution(window) => {
            let [kh, kw] = window.kernel;
            let of_group = window.channels[0] / window.groups;
            each(window, |output, o, input, c, ky, kx| {
                add(output, input, ((o * of_group + c) * kh + ky) * kw + kx, 1.0);
            });
        }
        Synapses::Dropout { probability } => {
            let key = sample_key(0, 0, sample as u64);
            for i in 0..inputs {
                let dropped = dropout(key, connection, place, i) < *probability;
                add(i, i, 0, f64::from(u8::from(!dropped)) / (1.0 - probability));
            }
        }
        Synapses::Normalisation { .. } => unreachable!("not of one row"),
        Synapses::Pool { window, pooling } => {
            let factor = match pooling {
                Pooling::Sum => 1.0,
                Pooling::Average => 1.0 / (window.kernel[0] * window.kernel[1]) as f64,
                Pooling::Max => unreachable!("not linear"),
            };
            each(window, |output, _, input, _, _, _| {
                add(output, input, 0, factor);
            });
        }
    }
    entries
}

/// The first of the largest numbers of each window.
fn largest(window: &Window, outputs: usize, x: &[f64]) -> Vec<usize> {
    let mut at: Vec<Option<usize>> = vec![None; outputs];
    each(window, |output, _, input, _, _, _| {
        if at[output].is_none_or(|best| x[input] > x[best]) {
            at[output] = Some(input);
        }
    });
    at.into_iter().map(|at| at.expect("a window")).collect()
}

fn maximum(operation: &Operation) -> Option<&Window> {
    if let Synapses::Pool {
        window,
        pooling: Pooling::Max,
    } = &operation.synapses
    {
        Some(window)
    } else {
        None
    }
}

/// An operation with its weights and bias, in their outside shapes.
pub(crate) struct Naive {
    pub(crate) operation: Operation,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    /// What adjoints go through in place of the weights; empty for the weights.
    pub(crate) feedback: Vec<f64>,
    /// The sample, the connection, and the position among its operations.
    pub(crate) place: [usize; 3],
}

impl Naive {
    fn weight(&self, i: usize) -> f64 {
        if self.weight.is_empty() {
            1.0
        } else {
            self.weight[i]
        }
    }

    /// The element of the bias of an output.
    fn biased(&self, output: usize) -> usize {
        output * self.bias.len() / self.operation.outputs
    }

    /// A row without the bias.
    pub(crate) fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.operation.outputs];
        if let Some(window) = maximum(&self.operation) {
            let at = largest(window, y.len(), x);
            y.iter_mut()
                .zip(at)
                .for_each(|(y, at)| *y = x[at] * self.weight(0));
            return y;
        }
        for e in entries(&self.operation, self.place) {
            y[e.output] += e.factor * self.weight(e.weight) * x[e.input];
        }
        y
    }

    pub(crate) fn add_bias(&self, y: &mut [f64]) {
        if !self.bias.is_empty() {
            for (i, y) in y.iter_mut().enumerate() {
                *y += self.bias[self.biased(i)];
            }
        }
    }

    pub(crate) fn bias_gradient(&self, dy: &[f64], d_bias: &mut [f64]) {
        if !self.bias.is_empty() {
            for (i, dy) in dy.iter().enumerate() {
                d_bias[self.biased(i)] += dy;
            }
        }
    }

    /// Adds to the gradient of the weights and returns that of the row.
    pub(crate) fn pull_back(&self, x: &[f64], dy: &[f64], d_weight: &mut [f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.operation.inputs];
        let learned = !self.weight.is_empty();
        if let Some(window) = maximum(&self.operation) {
            for (at, dy) in largest(window, dy.len(), x).into_iter().zip(dy) {
                dx[at] += self.weight(0) * dy;
                if learned {
                    d_weight[0] += x[at] * dy;
                }
            }
            return dx;
        }
        for e in entries(&self.operation, self.place) {
            let back = match self.feedback[..] {
                [] => self.weight(e.weight),
                _ => self.feedback[e.weight],
            };
            dx[e.input] += e.factor * back * dy[e.output];
            if learned {
                d_weight[e.weight] += e.factor * x[e.input] * dy[e.output];
            }
        }
        dx
    }
}

/// Rows of one connection at once, each with its sample: what goes into each operation and what comes out, without the
/// last bias. `chains` has the operations of each sample.
pub(crate) fn through(
    chains: &[Vec<Naive>],
    samples: &[usize],
    rows: &[Vec<f64>],
) -> Vec<Vec<Vec<f64>>> {
    let mut all = vec![rows.to_vec()];
    let operations = chains[0].len();
    for o in 0..operations {
        let first = &chains[0][o];
        let mut out = match first.normalisation() {
            Some((channels, eps)) => first.normalise(channels, eps, &all[o]),
            None => {
                let each = samples.iter().zip(&all[o]);
                each.map(|(&b, row)| chains[b][o].apply(row)).collect()
            }
        };
        if o + 1 < operations {
            out.iter_mut().for_each(|row| first.add_bias(row));
        }
        all.push(out);
    }
    all
}

/// From the adjoints of what [`through`] gave to those of the rows that went in; adds to the gradients of weights and
/// biases, but for the last bias.
pub(crate) fn back(
    chains: &[Vec<Naive>],
    samples: &[usize],
    made: &[Vec<Vec<f64>>],
    mut adjoints: Vec<Vec<f64>>,
    d_weights: &mut [Vec<f64>],
    d_biases: &mut [Vec<f64>],
) -> Vec<Vec<f64>> {
    let operations = chains[0].len();
    for o in (0..operations).rev() {
        let first = &chains[0][o];
        if o + 1 < operations {
            adjoints
                .iter()
                .for_each(|row| first.bias_gradient(row, &mut d_biases[o]));
        }
        adjoints = match first.normalisation() {
            Some((channels, eps)) => {
                first.normalise_back(channels, eps, &made[o], &adjoints, &mut d_weights[o])
            }
            None => {
                let each = samples.iter().zip(made[o].iter().zip(&adjoints));
                let back =
                    each.map(|(&b, (row, d))| chains[b][o].pull_back(row, d, &mut d_weights[o]));
                back.collect()
            }
        };
    }
    adjoints
}

impl Naive {
    /// Channels and eps, if it normalises.
    pub(crate) fn normalisation(&self) -> Option<(usize, f64)> {
        match self.operation.synapses {
            Synapses::Normalisation { channels, eps, .. } => Some((channels, eps)),
            Synapses::Dense { .. }
            | Synapses::Sparse { .. }
            | Synapses::OneToOne
            | Synapses::Scale
            | Synapses::Convolution(_)
            | Synapses::Pool { .. }
            | Synapses::Dropout { .. } => None,
        }
    }

    /// Number, mean and sum of squares around it of a channel.
    pub(crate) fn moments(rows: &[Vec<f64>], channels: usize, c: usize) -> [f64; 3] {
        let numbers: Vec<f64> = rows
            .iter()
            .flat_map(|row| row.chunks(row.len() / channels).nth(c).expect("a channel"))
            .copied()
            .collect();
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        [n, mean, numbers.iter().map(|x| (x - mean).powi(2)).sum()]
    }

    fn normalise(&self, channels: usize, eps: f64, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut out = rows.to_vec();
        for c in 0..channels {
            let [n, mean, squares] = Self::moments(rows, channels, c);
            for row in &mut out {
                let places = row.len() / channels;
                for x in &mut row[c * places..(c + 1) * places] {
                    *x = self.weight(c) * (*x - mean) / (squares / n + eps).sqrt();
                }
            }
        }
        out
    }

    /// By the chain rule through mean and variance, one after the other.
    fn normalise_back(
        &self,
        channels: usize,
        eps: f64,
        rows: &[Vec<f64>],
        adjoints: &[Vec<f64>],
        d_weight: &mut [f64],
    ) -> Vec<Vec<f64>> {
        let mut out = adjoints.to_vec();
        for (c, d_gain) in d_weight.iter_mut().enumerate() {
            let [n, mean, squares] = Self::moments(rows, channels, c);
            let root = (squares / n + eps).sqrt();
            let places = rows[0].len() / channels;
            let channel = c * places..(c + 1) * places;
            let (mut d_mean, mut d_variance) = (0.0, 0.0);
            for (row, adjoint) in rows.iter().zip(adjoints) {
                for (x, a) in row[channel.clone()].iter().zip(&adjoint[channel.clone()]) {
                    let d_centred = a * self.weight(c);
                    *d_gain += a * (x - mean) / root;
                    d_mean -= d_centred / root;
                    d_variance -= d_centred * (x - mean) / (2.0 * root.powi(3));
                }
            }
            for (row, out) in rows.iter().zip(&mut out) {
                for (x, d) in row[channel.clone()].iter().zip(&mut out[channel.clone()]) {
                    *d =
                        *d * self.weight(c) / root + d_variance * 2.0 * (x - mean) / n + d_mean / n;
                }
            }
        }
        out
    }
}
