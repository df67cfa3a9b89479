//! What the tests of this crate make networks and data of.
#![allow(dead_code, reason = "each test takes what it needs")]

use ndarray::Array3;
use rheobase_ir::cases::neuron;
use rheobase_ir::program::{Connection, Layer, Network, Neuron, Operation, Population, Source};
use rheobase_runtime::{Batch, Events};

/// Numbers in −1..1 that look random and are the same everywhere; multiples of 1/1024, so that `f32` holds them.
pub(crate) fn values(seed: usize, n: usize) -> Vec<f64> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 53) as f64 - 1024.0) / 1024.0
    };
    (0..n).map(|_| next()).collect()
}

/// Leaky neuron with soft reset; everything is differentiated. The derivative of a spike is 1/(1 + |u|)².
const LIF: &str = "
; param decay = 0.875
kernel LIF.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel LIF.step {
  v0 = in real uniform param decay
  v1 = in real state v
  v2 = in real port x
  v3 = mul v0, v1
  v4 = add v3, v2
  v5 = const 1.0
  v6 = sub v4, v5
  v7 = abs v6
  v8 = add v5, v7
  v9 = mul v8, v8
  v10 = div v5, v9
  v11 = spike.ge v6, v10
  v12 = select v11, v6, v4
  out state v = v12
  out spike s = v11
}";

/// The decay of [`lif`] and [`plain_lif`].
pub(crate) const DECAY: f64 = 0.875;

/// A leaky neuron with a parameter `decay`.
pub(crate) fn lif() -> Neuron {
    neuron(LIF).expect("a neuron")
}

/// The same without parameters.
pub(crate) fn plain_lif() -> Neuron {
    let text = LIF.replace("; param decay = 0.875\n", "");
    let text = text.replace("in real uniform param decay", "const 0.875");
    neuron(&text).expect("a neuron")
}

/// A layer of this neuron.
pub(crate) fn layer(name: &str, n: usize, neuron: &Neuron) -> Layer {
    Layer {
        name: name.into(),
        shape: vec![n],
        neuron: neuron.clone(),
    }
}

/// A connection to the first port of a layer.
pub(crate) fn connection(
    name: &str,
    from: Source,
    to: usize,
    delay: u32,
    operations: Vec<Operation>,
) -> Connection {
    Connection {
        name: name.into(),
        from,
        to,
        port: 0,
        operations,
        delay,
        delays: None,
        frozen: false,
        tied: None,
    }
}

/// Layers in this order, behind an input of so many channels.
pub(crate) fn network(inputs: usize, layers: Vec<Layer>, connections: Vec<Connection>) -> Network {
    Network {
        name: "Net".into(),
        step_ms: 1.0,
        inputs: vec![Population {
            name: "in".into(),
            shape: vec![inputs],
        }],
        order: (0..layers.len()).collect(),
        layers,
        connections,
    }
}

/// The events of samples: offsets, channels and values of each.
pub(crate) struct Trains {
    samples: Vec<(Vec<u32>, Vec<u32>, Vec<f32>)>,
    graded: bool,
}

impl Trains {
    /// Everything that is not zero in `[steps, samples, channels]`.
    pub(crate) fn of(numbers: &Array3<f64>, graded: bool) -> Trains {
        let (steps, samples, channels) = numbers.dim();
        let train = |b: usize| {
            let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
            for t in 0..steps {
                for channel in 0..channels {
                    if numbers[[t, b, channel]] != 0.0 {
                        indices.push(channel as u32);
                        values.push(numbers[[t, b, channel]] as f32);
                    }
                }
                offsets.push(indices.len() as u32);
            }
            (offsets, indices, values)
        };
        Trains {
            samples: (0..samples).map(train).collect(),
            graded,
        }
    }

    /// Events of 1 where a number is above a bound; each sample has numbers of its own, from this seed on.
    pub(crate) fn above(bound: f64, seed: usize, dim: (usize, usize, usize)) -> Trains {
        let (steps, samples, channels) = dim;
        let draws = (seed..seed + samples).map(|seed| values(seed, steps * channels));
        let draws: Vec<Vec<f64>> = draws.collect();
        let event = |(t, b, channel): (usize, usize, usize)| {
            f64::from(draws[b][t * channels + channel] > bound)
        };
        Trains::of(&Array3::from_shape_fn(dim, event), false)
    }

    /// A batch with these events and nothing else.
    pub(crate) fn batch<R>(&self) -> Batch<'_, R> {
        Batch {
            steps: self.samples[0].0.len() - 1,
            samples: self.samples.len(),
            inputs: vec![self.events()],
            injections: Vec::new(),
            initial: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn events(&self) -> Vec<Events<'_>> {
        let samples = self.samples.iter();
        let events = samples.map(|(offsets, indices, values)| Events {
            offsets,
            indices,
            values: self.graded.then_some(&values[..]),
        });
        events.collect()
    }
}
