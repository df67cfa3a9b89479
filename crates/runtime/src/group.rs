//! One group of samples: what it holds, and its run through all blocks of time and parts forward and then
//! backward. `forward.rs` and `backward.rs` have the two directions of a block, `blocks.rs` says what is kept.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3};
use pulp::Arch;
use rheobase_ir::draws::sample_key;
use rheobase_ir::kernel::{Role, Slot};

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::connection::by_source::BySource;
use crate::connection::chain::Between;
use crate::connection::masked;
use crate::connection::norm::Centre;
use crate::error::RuntimeError;
use crate::events::{Events, SpikeLog};
use crate::layer::{Frame, Mode, Pass, Room, Row, SlotId};
use crate::phases::Kept;
use crate::probe::{Probe, Silent};
use crate::sent_state::StateLog;
use crate::simulator::{ConnectionCode, Simulator};

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
    /// For each sample what its random numbers depend on (see [`rheobase_ir::draws::sample_key`]). Samples without a key
    /// have that of their place in the batch, with seed 0.
    pub keys: Vec<u64>,
}

impl<R> Batch<'_, R> {
    /// The key of a sample.
    pub(crate) fn key(&self, sample: usize) -> u64 {
        let given = self.keys.get(sample).copied();
        given.unwrap_or_else(|| sample_key(0, 0, sample as u64))
    }
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
    /// For the steps of the tape where a gradient of the spike goes on, if it does not everywhere.
    pub(crate) support: SpikeLog,
    /// For each state of the neuron what connections carry of it.
    pub(crate) states: Vec<StateLog<R>>,
    pub(crate) ahead: Ahead<R>,
    /// The rows of spikes' adjoints that come before those of the block.
    pub(crate) before: usize,
    /// The states at the beginning of the blocks that have no tape, and what can still arrive of those before, block
    /// by block.
    pub(crate) checkpoints: Aligned<R>,
}

/// What arrived at a layer before its part ran a block.
#[derive(Debug, Default)]
pub(crate) struct Ahead<R> {
    /// For each incoming connection whether it is among it.
    pub(crate) arrived: Vec<bool>,
    /// For each port the sums of all steps of the block, `[steps, samples, n]`; empty if nothing arrived.
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
    pub(crate) masked: masked::Memory<R>,
    /// The rows between the operations of a connection.
    pub(crate) between: Between<R>,
    /// What a normalisation gave of a step.
    pub(crate) normalised: Aligned<R>,
}

/// The memory of a group. Kept and reused from batch to batch.
pub(crate) struct GroupState<R> {
    pub(crate) samples: usize,
    pub(crate) layers: Vec<LayerState<R>>,
    /// The block and the tape that are in memory.
    pub(crate) frame: Frame,
    /// All blocks.
    pub(crate) blocks: Vec<Frame>,
    /// For each input population, if asked for, the adjoints of the steps of the block, after those of the
    /// steps before it whose events arrive in it or later: `[before + steps, samples, channels]`.
    pub(crate) input_adjoints: Vec<InputAdjoints<R>>,
    pub(crate) scratch: Scratch<R>,
    /// For each dropout of the network its mask; none at evaluation.
    pub(crate) masks: Vec<Aligned<R>>,
    /// For each normalisation of the network what it normalises by, and what is kept for it; nothing is kept at
    /// evaluation.
    pub(crate) centres: Vec<Centre<R>>,
    pub(crate) norms: Vec<Kept<R>>,
}

/// The adjoints of an input population, see [`GroupState::input_adjoints`].
#[derive(Debug, Default)]
pub(crate) struct InputAdjoints<R> {
    pub(crate) rows: Aligned<R>,
    pub(crate) before: usize,
}

/// Sums of gradients over samples.
#[derive(Clone, Debug)]
pub(crate) struct GradientSum<R> {
    /// For each parameter that belongs to a connection its gradient; empty for others.
    pub(crate) connections: Vec<Vec<R>>,
    /// For each table of a tap of delays its gradient.
    pub(crate) tables: Vec<Vec<R>>,
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
            support: SpikeLog::default(),
            states: Vec::new(),
            ahead: Ahead::default(),
            before: 0,
            checkpoints: Aligned::new(),
        });
        let adjoints = simulator.network.inputs.iter().map(|_| InputAdjoints {
            rows: Aligned::new(),
            before: 0,
        });
        GroupState {
            samples: 0,
            layers: layers.collect(),
            frame: Frame::default(),
            blocks: Vec::new(),
            input_adjoints: adjoints.collect(),
            scratch: Scratch::default(),
            masks: Vec::new(),
            centres: Vec::new(),
            norms: Vec::new(),
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
        Mode { pass, check }: Mode,
    ) -> Result<(), RuntimeError> {
        let first = range.start;
        let mut blocks = std::mem::take(&mut self.blocks);
        simulator.fill_blocks(batch.steps, simulator.time.truncate, &mut blocks);
        let taped = match pass {
            Pass::Forward => simulator.taped(&blocks, simulator.time.tape),
            Pass::Infer | Pass::Backward => blocks.len()..blocks.len(),
        };
        let from = blocks.get(taped.start).map_or(batch.steps, |b| b.start);
        self.begin(simulator, batch, range, &blocks, from, pass)?;
        let run = Run {
            simulator,
            batch,
            first,
            arch: simulator.arch,
            incoming: simulator.connections(pass),
            check,
        };
        for (k, block) in blocks.iter().enumerate() {
            if k > 0 && (k <= taped.start || taped.is_empty()) {
                self.move_logs(simulator, block.start);
            }
            let taped = taped.contains(&k);
            if pass == Pass::Forward && !taped {
                self.save_states(simulator, k);
            }
            self.frame = Frame {
                taped: from,
                ..*block
            };
            let pass = if taped { pass } else { Pass::Infer };
            for part in &simulator.parts {
                run.forward(self, part, pass, Some(&mut *probe))?;
            }
        }
        self.count_spikes(sum);
        if pass == Pass::Forward && probe.turn() {
            let longest = blocks.iter().map(Frame::len).max().unwrap_or(0);
            run.begin_backward(self, longest, probe);
            for (k, block) in blocks.iter().enumerate().rev() {
                let before = k.checked_sub(1).map(|k| blocks[k].len());
                if taped.contains(&k) {
                    self.frame = Frame {
                        taped: from,
                        ..*block
                    };
                } else {
                    self.again(&run, k, *block)?;
                }
                run.backward(self, probe, sum)?;
                if let Some(steps) = before {
                    run.step_back(self, steps);
                }
            }
            run.finish(self, sum)?;
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Everything before the first step; `from` is the first step of the tape.
    fn begin(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        range: Range<usize>,
        blocks: &[Frame],
        from: usize,
        pass: Pass,
    ) -> Result<(), RuntimeError> {
        self.prepare(simulator, range.len(), blocks, from, pass);
        self.start(simulator, batch, range.start)?;
        self.draw_masks(simulator, batch, range.start, pass);
        self.centres.clone_from(&simulator.centres);
        match pass {
            Pass::Infer => self.norms.clear(),
            Pass::Forward | Pass::Backward => {
                self.norms.resize_with(simulator.norms.len(), Kept::default);
            }
        }
        Ok(())
    }

    /// The same for a training step in one block.
    pub(crate) fn begin_whole(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        range: Range<usize>,
    ) -> Result<(), RuntimeError> {
        self.frame = Frame {
            start: 0,
            end: batch.steps,
            taped: 0,
        };
        let blocks = [self.frame];
        self.begin(simulator, batch, range, &blocks, 0, Pass::Forward)
    }

    /// Adds the spikes of the run to those of others.
    pub(crate) fn count_spikes(&self, sum: &mut GradientSum<R>) {
        for (count, layer) in sum.spikes.iter_mut().zip(&self.layers) {
            *count += layer.log.len() as u64;
        }
    }

    /// Runs a block forward a second time, for its tape.
    fn again(&mut self, run: &Run<'_, '_, R>, k: usize, block: Frame) -> Result<(), RuntimeError> {
        let simulator = run.simulator;
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            let lanes = self.samples * code.n;
            let size = simulator.checkpoint(l) * lanes;
            let checkpoints = std::mem::take(&mut layer.checkpoints);
            let saved = &checkpoints[k * size..(k + 1) * size];
            let (states, sent) = saved.split_at(code.states() * lanes);
            code.restore_states(&mut layer.rows, states);
            layer.restore_logs(&simulator.sent_states[l], lanes, block.start, sent);
            layer.checkpoints = checkpoints;
            layer.support.restart(self.samples, block.len());
        }
        self.frame = Frame {
            taped: block.start,
            ..block
        };
        for part in &run.simulator.parts {
            run.forward::<Silent>(self, part, Pass::Forward, None)?;
        }
        Ok(())
    }

    /// Writes the states down before block `k`.
    fn save_states(&mut self, simulator: &Simulator<R>, k: usize) {
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            let lanes = self.samples * code.n;
            let size = simulator.checkpoint(l) * lanes;
            let mut checkpoints = std::mem::take(&mut layer.checkpoints);
            let saved = &mut checkpoints[k * size..(k + 1) * size];
            let (states, sent) = saved.split_at_mut(code.states() * lanes);
            code.save_states(&layer.rows, states);
            layer.save_logs(&simulator.sent_states[l], lanes, sent);
            layer.checkpoints = checkpoints;
        }
    }

    /// Makes room for what states send from `step` on.
    fn move_logs(&mut self, simulator: &Simulator<R>, step: usize) {
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            layer.move_logs(&simulator.sent_states[l], self.samples * code.n, step);
        }
    }

    /// Makes room for all that a run needs; `from` is the first step of the tape.
    fn prepare(
        &mut self,
        simulator: &Simulator<R>,
        samples: usize,
        blocks: &[Frame],
        from: usize,
        pass: Pass,
    ) {
        self.samples = samples;
        let steps = blocks.last().map_or(0, |b| b.end);
        let longest = blocks.iter().map(Frame::len).max().unwrap_or(0);
        let again = blocks.iter().filter(|b| b.start < from).count();
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            layer.before = simulator.look_back(l, steps);
            let (room, checkpoints) = match pass {
                Pass::Infer => (Room::default(), 0),
                Pass::Forward | Pass::Backward => {
                    let room = Room {
                        tape: (steps - from).max(longest),
                        block: longest,
                        before: layer.before,
                    };
                    (room, again * simulator.checkpoint(l) * samples * code.n)
                }
            };
            code.resize(&mut layer.rows, samples, room);
            layer.resize_logs(&simulator.sent_states[l], samples * code.n, room, longest);
            layer.checkpoints.resize(checkpoints);
            layer.log.restart(samples, steps);
            layer.support.restart(samples, (steps - from).max(longest));
        }
    }

    /// Dropout is for training alone, which is what has a backward.
    fn draw_masks(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        first: usize,
        pass: Pass,
    ) {
        match pass {
            Pass::Infer => self.masks.clear(),
            Pass::Forward | Pass::Backward => {
                let dropouts = &simulator.dropouts;
                self.masks.resize_with(dropouts.len(), Aligned::new);
                for (dropout, mask) in dropouts.iter().zip(&mut self.masks) {
                    let samples = first..first + self.samples;
                    dropout.draw(samples.map(|b| batch.key(b)), mask);
                }
            }
        }
    }

    fn start(
        &mut self,
        simulator: &Simulator<R>,
        batch: &Batch<'_, R>,
        first: usize,
    ) -> Result<(), RuntimeError> {
        let samples = first..first + self.samples;
        simulator.check_events(batch, samples.clone())?;
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            let keys = samples.clone().map(|b| batch.key(b));
            code.write_keys(&mut layer.rows, l, keys);
            code.start(&mut layer.rows);
            code.draw_states(&mut layer.rows, self.samples * code.n)?;
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
        for (l, (layer, code)) in self.layers.iter_mut().zip(&simulator.layers).enumerate() {
            layer.begin_logs(&simulator.sent_states[l], self.samples * code.n);
        }
        Ok(())
    }
}

/// What stays the same during a run.
pub(crate) struct Run<'a, 'b, R> {
    pub(crate) simulator: &'a Simulator<R>,
    pub(crate) batch: &'a Batch<'b, R>,
    /// The first sample of the group.
    pub(crate) first: usize,
    pub(crate) arch: Arch,
    /// For each layer the connections that end there.
    pub(crate) incoming: &'a [Vec<ConnectionCode>],
    /// Whether every state is looked at after every step.
    pub(crate) check: bool,
}
