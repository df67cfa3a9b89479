//! One group of samples: what it holds, and its run through all parts forward and then backward.
//! `forward.rs` and `backward.rs` have the two directions.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3};
use pulp::Arch;
use rheobase_ir::kernel::{Role, Slot};

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::by_source::BySource;
use crate::error::RuntimeError;
use crate::events::{Events, SpikeLog};
use crate::layer::{Pass, Row, SlotId};
use crate::probe::Probe;
use crate::simulator::Simulator;

/// A batch of samples.
pub struct Batch<'a, R> {
    /// The number of steps.
    pub steps: usize,
    /// The number of samples.
    pub samples: usize,
    /// For each input population the events of each sample.
    pub inputs: Vec<Vec<Events<'a>>>,
    /// Numbers added directly to ports.
    pub injections: Vec<Injection<'a, R>>,
    /// Initial states that replace those of the model.
    pub initial: Vec<InitialState<'a, R>>,
}

/// Numbers added to a port of a layer at every step.
pub struct Injection<'a, R> {
    /// The layer.
    pub layer: usize,
    /// The port of its neuron.
    pub port: usize,
    /// `[steps, samples, n]`.
    pub values: ArrayView3<'a, R>,
}

/// Initial values of a state of a layer.
pub struct InitialState<'a, R> {
    /// The layer.
    pub layer: usize,
    /// The name of the state.
    pub state: String,
    /// `[samples, n]`.
    pub values: ArrayView2<'a, R>,
}

/// What one layer of a group works on.
pub(crate) struct LayerState<R> {
    pub(crate) rows: Vec<Row<R>>,
    pub(crate) log: SpikeLog,
    pub(crate) ahead: Ahead<R>,
}

/// What arrived at a layer before its part ran.
#[derive(Debug, Default)]
pub(crate) struct Ahead<R> {
    /// For each incoming connection whether it is among it.
    pub(crate) arrived: Vec<bool>,
    /// For each port the sums of all steps, `[steps, samples, n]`; empty if nothing arrived.
    pub(crate) sums: Vec<Aligned<R>>,
}

impl<R: Float> Ahead<R> {
    /// Nothing has arrived yet.
    pub(crate) fn begin(&mut self, connections: usize, ports: usize) {
        self.arrived.clear();
        self.arrived.resize(connections, false);
        self.sums.resize_with(ports, Aligned::new);
        self.sums.iter_mut().for_each(|sums| sums.resize(0));
    }
}

/// Memory for the time of one product.
#[derive(Debug, Default)]
pub(crate) struct Scratch<R> {
    /// Events as a matrix.
    pub(crate) dense: Aligned<R>,
    /// Some columns of a table.
    pub(crate) panel: Aligned<R>,
    pub(crate) by_source: BySource,
}

/// The memory of a group. Kept and reused from batch to batch.
pub(crate) struct GroupState<R> {
    pub(crate) samples: usize,
    pub(crate) layers: Vec<LayerState<R>>,
    /// For each input population the adjoint of every step, `[steps, samples, channels]`, if asked for.
    pub(crate) input_adjoints: Vec<Vec<R>>,
    pub(crate) scratch: Scratch<R>,
}

/// Sums of gradients over samples.
#[derive(Clone, Debug)]
pub(crate) struct GradientSum<R> {
    /// For each parameter that belongs to a connection its gradient; empty for others.
    pub(crate) connections: Vec<Vec<R>>,
    /// For each layer and each of its collected adjoints a row of `n`.
    pub(crate) collected: Vec<Vec<Vec<f64>>>,
    /// For each layer the adjoint of each initial state, a row of `n`.
    pub(crate) initial: Vec<Vec<(Slot, Vec<f64>)>>,
    /// Spikes per layer.
    pub(crate) spikes: Vec<u64>,
}

impl<R: Float> GroupState<R> {
    pub(crate) fn new(simulator: &Simulator<R>) -> GroupState<R> {
        let layers = simulator.layers.iter().map(|_| LayerState {
            rows: Vec::new(),
            log: SpikeLog::default(),
            ahead: Ahead::default(),
        });
        GroupState {
            samples: 0,
            layers: layers.collect(),
            input_adjoints: vec![Vec::new(); simulator.network.inputs.len()],
            scratch: Scratch::default(),
        }
    }

    /// Runs the samples `range` of a batch and adds their gradients to `sum`.
    pub(crate) fn run<P: Probe<R>>(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        range: Range<usize>,
        probe: &mut P,
        sum: &mut GradientSum<R>,
        pass: Pass,
    ) -> Result<(), RuntimeError> {
        let (first, samples) = (range.start, range.len());
        let tape_steps = if pass == Pass::Forward {
            batch.steps
        } else {
            0
        };
        self.prepare(simulator, samples, tape_steps);
        self.start(simulator, batch, first);
        let run = Run {
            simulator,
            batch,
            first,
            arch: simulator.arch,
        };
        for part in &simulator.parts {
            run.forward(self, part, probe, pass)?;
        }
        for (count, layer) in sum.spikes.iter_mut().zip(&self.layers) {
            *count += layer.log.len() as u64;
        }
        if pass == Pass::Forward && probe.turn() {
            run.backward(self, probe, sum)?;
        }
        Ok(())
    }

    fn prepare(&mut self, simulator: &Simulator<R>, samples: usize, tape_steps: usize) {
        self.samples = samples;
        for (layer, code) in self.layers.iter_mut().zip(&simulator.layers) {
            code.resize(&mut layer.rows, samples, tape_steps);
            layer.log.restart(samples);
        }
    }

    fn start(&mut self, simulator: &Simulator<R>, batch: &Batch<'_, R>, first: usize) {
        for (layer, code) in self.layers.iter_mut().zip(&simulator.layers) {
            code.start(&mut layer.rows);
        }
        for given in &batch.initial {
            let code = &simulator.layers[given.layer];
            let slot = code.row(&Slot::new(Role::State, given.state.as_str()));
            if let Some(SlotId(row)) = slot
                && let Row::Real(values) = &mut self.layers[given.layer].rows[row]
            {
                for (b, sample) in values.chunks_exact_mut(code.n).enumerate() {
                    sample
                        .iter_mut()
                        .zip(given.values.row(first + b))
                        .for_each(|(v, &g)| *v = g);
                }
            }
        }
    }
}

/// What stays the same during a run.
pub(crate) struct Run<'a, 'b, R> {
    pub(crate) simulator: &'a Simulator<R>,
    pub(crate) batch: &'a Batch<'b, R>,
    /// The first sample of the group.
    pub(crate) first: usize,
    pub(crate) arch: Arch,
}
