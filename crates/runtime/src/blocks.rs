//! Time in blocks, and which of them have a tape.
//!
//! A run goes block by block: in each, part by part, all its steps. What is summed for many steps at once
//! is summed for those of a block, so the memory that it takes does not grow with the number of steps.
//! Where blocks begin follows from the network and the truncation alone, never from what there is memory
//! for, and so a plan that keeps less changes no bit of a result.
//!
//! With a full tape every step saves what its backward reads. With a shorter one only the last blocks do;
//! before each of the others the states are written down (4 bytes per state, for a whole block), and its
//! forward is run again when its backward comes. Every step runs forward at most twice: this is the
//! two-level scheme of Chen et al. 2016, whose upper level is the list of blocks. More levels would save
//! no more than the states of the beginnings of blocks, a hundredth of the tape.

use std::ops::Range;

use rheobase_ir::program::Source;

use crate::backend::Float;
use crate::connection::choice;
use crate::forward::product_rows;
use crate::layer::{Frame, Pass, Room};
use crate::memory::SPIKING;
use crate::simulator::{ConnectionCode, GROUP, Simulator};

/// The most steps of a block.
const LONGEST: usize = 128;

/// The memory that the rows of a block may take for a full group. Blocks are shorter in networks so large
/// that [`LONGEST`] steps would need more.
const BLOCK_BYTES: usize = 1 << 26;

/// How gradients go back in time, and what is kept for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimePlan {
    /// The adjoint is cut between every so many steps from the first one on: states and spikes on their way
    /// are handed on, their gradients are not. `None` cuts nowhere. This changes the gradient.
    pub truncate: Option<usize>,
    /// The steps whose tape is kept, rounded up to whole blocks, at least one; the others run forward a
    /// second time. `None` keeps all. No bit of a result depends on it.
    pub tape: Option<usize>,
    /// The samples of a group, from 1 to [`GROUP`]. It decides the order in which gradients are added.
    pub group: usize,
}

impl Default for TimePlan {
    fn default() -> TimePlan {
        TimePlan {
            truncate: None,
            tape: None,
            group: GROUP,
        }
    }
}

impl TimePlan {
    /// The samples of a group of a batch. A batch that is one group would keep only one thread busy.
    pub(crate) fn samples(&self, batch: usize) -> usize {
        match self.group {
            GROUP if batch <= GROUP => GROUP / 2,
            group => group,
        }
    }

    /// Whether the adjoint is cut before this step.
    pub(crate) fn cuts(&self, step: usize) -> bool {
        self.truncate
            .is_some_and(|every| step.is_multiple_of(every.max(1)))
    }
}

/// The memory that a group takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What the forward saves for the backward.
    pub tape: usize,
    /// The states at the beginning of blocks that run twice.
    pub checkpoints: usize,
    /// Rows of the current step and block: states, ports, adjoints, sums, and memory for products.
    pub block: usize,
    /// What layers send: lists of spikes, for all steps, and states, for those of the tape.
    pub sent: usize,
    /// Steps that run forward a second time.
    pub again: usize,
}

impl Footprint {
    /// All of it.
    pub fn total(&self) -> usize {
        self.tape
            .saturating_add(self.checkpoints)
            .saturating_add(self.block)
            .saturating_add(self.sent)
    }
}

impl<R: Float> Simulator<R> {
    /// The steps of a block of a long run.
    pub fn block_steps(&self) -> usize {
        let one = Room {
            tape: 1,
            block: 1,
            before: 0,
        };
        let lanes = self.layers.iter().map(|l| l.bytes(one).saturating_mul(l.n));
        let bytes = lanes.fold(0, usize::saturating_add).saturating_mul(GROUP);
        (BLOCK_BYTES / bytes.max(1)).clamp(1, LONGEST)
    }

    /// The blocks of a run in order; a tape that is complete begins at step 0.
    pub(crate) fn fill_blocks(
        &self,
        steps: usize,
        truncate: Option<usize>,
        blocks: &mut Vec<Frame>,
    ) {
        let longest = self.block_steps();
        let window = truncate.unwrap_or(steps).clamp(1, steps.max(1));
        blocks.clear();
        // Room for any number of them, so that more steps are not more allocations.
        blocks.reserve(steps.div_ceil(window) * (window.div_ceil(longest)));
        for first in (0..steps).step_by(window) {
            let last = (first + window).min(steps);
            for start in (first..last).step_by(longest) {
                let end = (start + longest).min(last);
                blocks.push(Frame {
                    start,
                    end,
                    taped: 0,
                });
            }
        }
    }

    /// The blocks that keep their tape: the last ones.
    pub(crate) fn taped(&self, blocks: &[Frame], tape: Option<usize>) -> Range<usize> {
        let steps = blocks.last().map_or(0, |b| b.end);
        let wanted = tape.unwrap_or(steps).clamp(1, steps.max(1));
        let enough = |b: &Frame| steps - b.start >= wanted;
        let first = blocks.iter().rposition(enough).unwrap_or(0);
        first..blocks.len()
    }

    /// What a group of `samples` needs for `steps` steps.
    pub fn footprint(&self, steps: usize, samples: usize, time: TimePlan) -> Footprint {
        let mut blocks = Vec::new();
        if self.norms.is_empty() {
            self.fill_blocks(steps, time.truncate, &mut blocks);
        } else {
            // See `phases.rs`.
            blocks.push(Frame {
                start: 0,
                end: steps,
                taped: 0,
            });
        }
        let taped = self.taped(&blocks, time.tape);
        let again = blocks.get(taped.start).map_or(0, |b| b.start);
        let block = blocks.iter().map(Frame::len).max().unwrap_or(0);
        let room = Room {
            tape: (steps - again).max(block),
            block,
            before: 0,
        };
        let mut footprint = Footprint {
            again,
            ..Footprint::default()
        };
        for (l, layer) in self.layers.iter().enumerate() {
            let lanes = layer.n.saturating_mul(samples);
            let before = self.look_back(l, steps);
            let all = layer.bytes(Room { before, ..room });
            let step = layer.bytes(Room {
                tape: 0,
                before,
                ..room
            });
            let number = size_of::<R>();
            let ports = self.network.layers[l].neuron.ports.len();
            let sums = number.saturating_mul(ports * block);
            let add = |sum: &mut usize, bytes: usize| {
                *sum = sum.saturating_add(bytes.saturating_mul(lanes));
            };
            add(&mut footprint.tape, all - step);
            add(&mut footprint.block, step.saturating_add(sums));
            let states = self.checkpoint(l) * number;
            add(
                &mut footprint.checkpoints,
                states.saturating_mul(taped.start),
            );
            for sent in self.sent_states[l].iter().flatten() {
                let [rows, adjoints] = sent.kept(room, block);
                add(&mut footprint.sent, rows.saturating_mul(number));
                add(&mut footprint.block, adjoints.saturating_mul(number));
            }
            let list = |steps: usize| {
                let indices = steps.saturating_mul(lanes) / SPIKING;
                let rows = steps.saturating_mul(samples);
                let numbers = indices.saturating_add(rows);
                numbers.saturating_mul(size_of::<u32>())
            };
            let (spikes, support) = (
                !self.network.layers[l].neuron.spikes.is_empty(),
                self.masked[l] && layer.support.is_some(),
            );
            let spikes = if spikes { list(steps) } else { 0 };
            let support = if support { list(room.tape) } else { 0 };
            footprint.sent = footprint
                .sent
                .saturating_add(spikes.saturating_add(support));
        }
        footprint.block = footprint
            .block
            .saturating_add(self.product_bytes(samples, block));
        for norm in &self.norms {
            // What goes in, and the adjoints.
            let numbers = 2 * steps.saturating_mul(norm.elements);
            let bytes = numbers.saturating_mul(samples * size_of::<R>());
            footprint.tape = footprint.tape.saturating_add(bytes);
        }
        footprint
    }

    /// Memory for the products of a block of so many steps: events as a matrix or sorted by source, and the rows between the
    /// operations of a chain.
    fn product_bytes(&self, samples: usize, steps: usize) -> usize {
        let rows = samples * steps;
        let of = |(n, connection): (usize, &ConnectionCode)| {
            let n_pre = self.network.source_size(connection.from);
            let written = rows.min(product_rows::<R>(n_pre)) * n_pre * size_of::<R>();
            let sorted = rows.min(choice::block(n, size_of::<R>())) * n_pre / SPIKING;
            let sorted = sorted * size_of::<u32>();
            match (connection.from, connection.dense) {
                (_, None) => {
                    let chain = &connection.chain;
                    let widest = chain.all().widest();
                    let steps = choice::steps_at_once(samples, widest, size_of::<R>()).min(steps);
                    // Rows between operations, and two of adjoints.
                    let between = chain.stages.len().saturating_sub(1);
                    let kept = if between > 0 { between + 2 } else { 0 };
                    kept * steps * samples * widest * size_of::<R>()
                }
                (Source::State(..), Some(_)) => 0,
                (Source::Input(_) | Source::Layer(_), Some(_)) => written.max(sorted),
            }
        };
        let layers = self.connections(Pass::Forward).iter().zip(&self.layers);
        let all = layers.flat_map(|(all, layer)| all.iter().map(|c| (layer.n, c)));
        all.map(of).max().unwrap_or(0)
    }

    /// The steps before a block whose spikes a layer may still send into it.
    pub(crate) fn look_back(&self, layer: usize, steps: usize) -> usize {
        self.longest_delays.layers[layer].min(steps)
    }
}
