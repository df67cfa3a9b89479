//! What an inference costs on hardware that computes when a spike arrives: spikes, and synaptic operations.
//!
//! A synaptic operation is a weight that a spike meets on its way to a neuron. With operations one after the
//! other (`conv2d then pool2d then dense`) a spike meets weights of each; every path counts. Edges of
//! convolutions, pairs of sparse connections and connections to oneself are counted as they are, not on
//! average, so layers whose neurons do not all reach equally far are counted neuron by neuron. A spike that
//! carries a number is one spike, an event of the input as well. A state that is sent meets its weights at every step,
//! as if every neuron spiked.

use rheobase_ir::program::{Connection, Network, Operation, Source, Synapses, Window};
use rheobase_runtime::{Batch, Events, Float, Simulator, SlotId, StepView};

/// How far spikes of a source reach.
#[derive(Clone, Debug, PartialEq)]
enum Reach {
    /// All of its neurons meet so many weights.
    Same(f64),
    /// For each neuron the weights that a spike of it meets.
    Each(Vec<f64>),
}

/// The reach of all inputs and layers of a network.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    inputs: Vec<Reach>,
    layers: Vec<Reach>,
    /// What the states that are sent meet in a step of a sample.
    states: f64,
    /// The layers that are counted neuron by neuron, with their row of spikes.
    counted: Vec<(usize, SlotId)>,
}

impl Effort {
    pub(crate) fn new<R: Float>(network: &Network, simulator: &Simulator<R>) -> Effort {
        let reach = |source: Source| {
            let mut each = vec![0.0; network.source_size(source)];
            for connection in network.connections.iter().filter(|c| c.from == source) {
                let met = met(connection).into_iter();
                each.iter_mut().zip(met).for_each(|(sum, n)| *sum += n);
            }
            match each.split_first() {
                Some((first, rest)) if rest.iter().any(|n| n != first) => Reach::Each(each),
                Some((&first, _)) => Reach::Same(first),
                None => Reach::Same(0.0),
            }
        };
        let layers: Vec<Reach> = (0..network.layers.len())
            .map(|l| reach(Source::Layer(l)))
            .collect();
        let row = |(l, reach): (usize, &Reach)| {
            let spike = network.layers[l].neuron.spikes.first()?;
            let slot = simulator.spike_slot(l, spike)?;
            matches!(reach, Reach::Each(_)).then_some((l, slot))
        };
        let from_state = |c: &&Connection| match c.from {
            Source::Input(_) | Source::Layer(_) => false,
            Source::State(..) => true,
        };
        let of_states = network.connections.iter().filter(from_state);
        let of_states = of_states.map(|c| met(c).iter().sum::<f64>());
        Effort {
            counted: layers.iter().enumerate().filter_map(row).collect(),
            inputs: (0..network.inputs.len())
                .map(|i| reach(Source::Input(i)))
                .collect(),
            layers,
            states: of_states.sum(),
        }
    }

    /// The operations of the samples of a batch, if the spikes of its layers need not be looked at one by one.
    pub(crate) fn of_batch<R>(&self, batch: &Batch<'_, R>, spikes: &[u64]) -> Option<f64> {
        let counted = self.of_counts(spikes);
        self.counted
            .is_empty()
            .then(|| counted + self.of_inputs(batch))
    }

    /// The operations of all events of a batch, and of the states that are sent.
    pub(crate) fn of_inputs<R>(&self, batch: &Batch<'_, R>) -> f64 {
        let inputs = batch.inputs.iter().enumerate();
        let of = |(input, samples): (usize, &Vec<Events<'_>>)| -> f64 {
            samples
                .iter()
                .map(|events| self.of_input(input, events))
                .sum()
        };
        let of_states = self.states * (batch.steps * batch.samples) as f64;
        inputs.map(of).sum::<f64>() + of_states
    }

    /// The operations of the events of a sample at an input.
    fn of_input(&self, input: usize, events: &Events<'_>) -> f64 {
        match self.inputs.get(input) {
            Some(Reach::Same(n)) => n * events.indices.len() as f64,
            Some(Reach::Each(each)) => events.indices.iter().map(|&c| each[c as usize]).sum(),
            None => 0.0,
        }
    }

    /// The operations of layers of which the number of spikes is enough to know.
    pub(crate) fn of_counts(&self, spikes: &[u64]) -> f64 {
        let counts = self.layers.iter().zip(spikes);
        let of = |(reach, &count): (&Reach, &u64)| match reach {
            Reach::Same(n) => n * count as f64,
            Reach::Each(_) => 0.0,
        };
        counts.map(of).sum()
    }

    /// The operations of a step of the other layers.
    pub(crate) fn of_step<R: Float>(&self, view: &StepView<'_, R>) -> f64 {
        let mut sum = 0.0;
        for &(layer, slot) in &self.counted {
            if let Reach::Each(each) = &self.layers[layer] {
                let spikes = view.spikes(layer, slot).zip(each.iter().cycle());
                sum += spikes
                    .filter(|(s, _)| *s != R::ZERO)
                    .map(|(_, n)| n)
                    .sum::<f64>();
            }
        }
        sum
    }
}

/// For each neuron at the start of a connection the weights that its spike meets.
fn met(connection: &Connection) -> Vec<f64> {
    let last = connection.operations.last().map_or(0, |o| o.outputs);
    let operations = connection.operations.iter().rev();
    operations.fold(vec![0.0; last], |after, operation| {
        through(operation, &after)
    })
}

/// The same for one operation, `after` being what its outputs meet after it.
fn through(operation: &Operation, after: &[f64]) -> Vec<f64> {
    let one = |output: usize| 1.0 + after[output];
    match &operation.synapses {
        Synapses::Dense { self_connections } => {
            let all: f64 = (0..operation.outputs).map(one).sum();
            let itself = |j: usize| match !self_connections && j < operation.outputs {
                true => one(j),
                false => 0.0,
            };
            (0..operation.inputs).map(|j| all - itself(j)).collect()
        }
        Synapses::Sparse { .. } => {
            let mut met = vec![0.0; operation.inputs];
            if let Some(pattern) = operation.pattern() {
                for (output, ends) in pattern.offsets.windows(2).enumerate() {
                    for &j in &pattern.columns[ends[0] as usize..ends[1] as usize] {
                        met[j as usize] += one(output);
                    }
                }
            }
            met
        }
        Synapses::OneToOne | Synapses::Scale => (0..operation.inputs).map(one).collect(),
        // An evaluation keeps everything, and there is no weight; a normalisation can be folded into the weights
        // before it.
        Synapses::Dropout { .. } | Synapses::Normalisation { .. } => after.to_vec(),
        Synapses::Convolution(window) => windows(window, window.groups, after),
        Synapses::Pool { window, .. } => windows(window, window.channels[0], after),
    }
}

/// Windows of which each sees the channels of its group.
fn windows(window: &Window, groups: usize, after: &[f64]) -> Vec<f64> {
    let [height, width] = window.input;
    let [rows, columns] = window.output;
    let [seen, made] = window.channels.map(|channels| channels / groups);
    let mut met = vec![0.0; window.channels[0] * height * width];
    for group in 0..groups {
        let mut map = vec![0.0; height * width];
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            let channels = group * made..(group + 1) * made;
            let here = |channel| 1.0 + after[(channel * rows + row) * columns + column];
            let amount: f64 = channels.map(here).sum();
            for (dy, dx) in
                (0..window.kernel[0]).flat_map(|dy| (0..window.kernel[1]).map(move |dx| (dy, dx)))
            {
                let y = row * window.stride[0] + dy * window.dilation[0];
                let x = column * window.stride[1] + dx * window.dilation[1];
                let inside = y
                    .checked_sub(window.pad[0])
                    .zip(x.checked_sub(window.pad[1]));
                if let Some((y, x)) = inside.filter(|&(y, x)| y < height && x < width) {
                    map[y * width + x] += amount;
                }
            }
        }
        let first = group * seen * height * width;
        for channel in met[first..].chunks_mut((height * width).max(1)).take(seen) {
            channel.copy_from_slice(&map);
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::{through, windows};
    use rheobase_ir::program::{Density, Initial, Operation, Pooling, Synapses, Window};

    fn operation(synapses: Synapses, inputs: usize, outputs: usize) -> Operation {
        Operation {
            synapses,
            ..Operation::dense(inputs, outputs, Initial::Constant(1.0))
        }
    }

    #[test]
    fn a_spike_meets_the_weights_of_its_neuron() {
        let itself = Synapses::Dense {
            self_connections: false,
        };
        assert_eq!(through(&operation(itself, 3, 3), &[0.0; 3]), [2.0; 3]);
        let dense = Operation::dense(2, 3, Initial::Constant(1.0));
        assert_eq!(through(&dense, &[0.0, 5.0, 0.0]), [8.0, 8.0]);
        let sparse = Synapses::Sparse {
            density: Density::FanIn(2),
            self_connections: true,
            seed: 3,
        };
        let met = through(&operation(sparse, 5, 4), &[0.0; 4]);
        assert_eq!(met.iter().sum::<f64>(), 8.0);
        let one = operation(Synapses::OneToOne, 2, 2);
        assert_eq!(through(&one, &[1.0, 0.0]), [2.0, 1.0]);
    }

    #[test]
    fn edges_of_windows_meet_less() {
        let window = Window {
            axes: 1,
            channels: [1, 2],
            input: [1, 4],
            output: [1, 4],
            kernel: [1, 3],
            stride: [1, 1],
            pad: [0, 1],
            dilation: [1, 1],
            groups: 1,
        };
        assert_eq!(windows(&window, 1, &[0.0; 8]), [4.0, 6.0, 6.0, 4.0]);
        let pool = Window {
            channels: [2, 2],
            output: [1, 2],
            kernel: [1, 2],
            stride: [1, 2],
            pad: [0, 0],
            ..window
        };
        let pooling = Synapses::Pool {
            window: pool,
            pooling: Pooling::Sum,
        };
        let met = through(&operation(pooling, 8, 4), &[0.0, 10.0, 20.0, 30.0]);
        assert_eq!(met, [1.0, 1.0, 11.0, 11.0, 21.0, 21.0, 31.0, 31.0]);
    }
}
