//! The network of these tests and its numbers.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayD, IxDyn};
use rheobase_ir::cases::neuron;
use rheobase_ir::program::{Initial, Network, Operation, Source, Synapses};

use crate::shared::{self, connection, layer, values};

pub(crate) const INPUTS: usize = 5;
pub(crate) const HIDDEN: usize = 7;
pub(crate) const OUTPUTS: usize = 3;

/// Leaky neuron with a delta synapse and soft reset that is differentiated; its threshold is per neuron.
const HIDDEN_NEURON: &str = "
; param decay = 0.875
; param threshold = 1.0
kernel LIF.init {
  v0 = const 0.0
  out uniform init v = v0
}
kernel LIF.step {
  v0 = in real uniform param decay
  v1 = in real param threshold
  v2 = in real state v
  v3 = in real port x
  v4 = mul v0, v2
  v5 = add v4, v3
  v6 = sub v5, v1                   ; u
  v7 = abs v6
  v8 = const 1.0
  v9 = add v8, v7
  v10 = mul v9, v9
  v11 = div v8, v10
  v12 = spike.ge v6, v11
  v13 = sub v5, v1
  v14 = select v12, v13, v5
  out state v = v14
  out spike s = v12
}";

/// Leaky readout whose state starts at a parameter.
const OUT_NEURON: &str = "
; param decay = 0.75
; param start = 0.125
kernel LI.init {
  v0 = in real uniform param start
  out uniform init v = v0
}
kernel LI.step {
  v0 = in real uniform param decay
  v1 = in real state v
  v2 = in real port x
  v3 = mul v0, v1
  v4 = add v3, v2
  out state v = v4
}";

/// in → hid, hid → hid after 2 steps without self-connections, hid → out at once and after 1 step.
pub(crate) fn network() -> Network {
    let dense = |name: &str, from: Source, to: usize, delay: u32, self_connections: bool| {
        let inputs = match from {
            Source::Input(_) => INPUTS,
            Source::Layer(_) | Source::State(..) => HIDDEN,
        };
        let operation = Operation {
            synapses: Synapses::Dense { self_connections },
            bias: (name == "in.hid.x").then_some(Initial::Constant(0.0)),
            ..Operation::dense(inputs, [HIDDEN, OUTPUTS][to], Initial::Constant(0.0))
        };
        connection(name, from, to, delay, vec![operation])
    };
    let connections = vec![
        dense("in.hid.x", Source::Input(0), 0, 0, true),
        dense("hid.hid.x", Source::Layer(0), 0, 2, false),
        dense("hid.out.x", Source::Layer(0), 1, 0, true),
        dense("hid.out.x.1", Source::Layer(0), 1, 1, true),
    ];
    let layers = [("hid", HIDDEN, HIDDEN_NEURON), ("out", OUTPUTS, OUT_NEURON)];
    let layers = layers.map(|(name, n, text)| layer(name, n, &neuron(text).expect("a neuron")));
    shared::network(INPUTS, layers.into(), connections)
}

/// Numbers for the network.
pub(crate) struct Case {
    pub(crate) samples: usize,
    pub(crate) steps: usize,
    /// `[steps, samples, INPUTS]`, mostly zero.
    pub(crate) input: Array3<f64>,
    pub(crate) spike_cotangent: Array3<f64>,
    pub(crate) out_cotangent: Array3<f64>,
    seed: usize,
}

impl Case {
    pub(crate) fn new(samples: usize, steps: usize, seed: usize) -> Case {
        let array = |seed: usize, n: usize| {
            Array3::from_shape_vec((steps, samples, n), values(seed, steps * samples * n))
                .expect("as many as it holds")
        };
        // Values that f32 holds exactly, so that all precisions see the same input.
        let input = array(seed, INPUTS).mapv(|x| {
            if x.abs() < 0.6 {
                0.0
            } else {
                (x * 64.0).round() / 64.0 + 0.5
            }
        });
        Case {
            samples,
            steps,
            input,
            spike_cotangent: array(seed + 1, HIDDEN),
            out_cotangent: array(seed + 2, OUTPUTS),
            seed,
        }
    }

    /// Parameters by name in their outside shapes; rounded so that f32 holds them.
    pub(crate) fn parameters(&self) -> BTreeMap<String, ArrayD<f64>> {
        let array = |seed: usize, shape: &[usize], scale: f64, offset: f64| {
            let n = shape.iter().product();
            let rounded = values(self.seed + seed, n)
                .iter()
                .map(|x| (x * scale * 256.0).round() / 256.0 + offset)
                .collect();
            ArrayD::from_shape_vec(IxDyn(shape), rounded).expect("as many as it holds")
        };
        let mut recurrent = array(11, &[HIDDEN, HIDDEN], 0.5, 0.0);
        (0..HIDDEN).for_each(|i| recurrent[[i, i]] = 0.0);
        BTreeMap::from([
            (
                "in.hid.x.weight".into(),
                array(10, &[HIDDEN, INPUTS], 1.0, 0.25),
            ),
            ("in.hid.x.bias".into(), array(14, &[HIDDEN], 0.25, 0.0)),
            ("hid.hid.x.weight".into(), recurrent),
            (
                "hid.out.x.weight".into(),
                array(12, &[OUTPUTS, HIDDEN], 1.0, 0.0),
            ),
            (
                "hid.out.x.1.weight".into(),
                array(13, &[OUTPUTS, HIDDEN], 1.0, 0.0),
            ),
            ("hid.decay".into(), array(0, &[], 0.0, 0.875)),
            ("hid.threshold".into(), array(15, &[HIDDEN], 0.25, 1.0)),
            ("out.decay".into(), array(0, &[], 0.0, 0.75)),
            ("out.start".into(), array(0, &[], 0.0, 0.125)),
        ])
    }
}

/// Compares two rows of numbers relative to the largest.
pub(crate) fn close(
    name: &str,
    a: impl Iterator<Item = f64>,
    b: impl Iterator<Item = f64>,
    tolerance: f64,
) {
    let (a, b): (Vec<f64>, Vec<f64>) = (a.collect(), b.collect());
    assert_eq!(a.len(), b.len(), "{name}");
    let scale = a.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    for (i, (x, y)) in a.iter().zip(&b).enumerate() {
        assert!(
            (x - y).abs() <= tolerance * scale,
            "{name}[{i}]: {x} and {y}, scale {scale}"
        );
    }
}
