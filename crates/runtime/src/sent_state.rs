//! States that connections start from: what they were after every step, and the adjoints that come back.
//!
//! Spikes are events and kept for all steps of a run. A state is a number for every neuron at every step, so only
//! what is read is kept: the steps of the tape or, where there is none, those of the block, and before them the
//! steps of the longest delay. What was there before the first step is the initial value.
//!
//! Connections count the steps of a state from the longest delay before the first step on, so that no step is
//! negative; [`Run::sent_step`] says which one arrives.

use std::ops::Range;

use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::program::{Network, Source};

use crate::aligned::Aligned;
use crate::backend::Float;
use crate::group::{LayerState, Run};
use crate::layer::{LayerCode, Room, Row, SlotId};
use crate::simulator::{ConnectionCode, Simulator};

/// A state that connections start from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentState {
    slot: SlotId,
    /// Its adjoint, if a gradient depends on it.
    adjoint: Option<SlotId>,
    /// The steps of the longest delay of a connection that starts there.
    pub(crate) before: usize,
}

impl SentState {
    /// For each layer and each state of its neuron what is sent of it, if anything is.
    pub(crate) fn all<R: Float>(
        network: &Network,
        layers: &[LayerCode<R>],
    ) -> Vec<Vec<Option<SentState>>> {
        let of_state = |l: usize, s: usize| {
            let source = Source::State(l, s);
            let connections = network.connections.iter().filter(|c| c.from == source);
            let longest = connections.map(|c| c.longest_delay() as usize).max()?;
            let slot = Slot::new(
                Role::State,
                network.layers[l].neuron.states[s].name.as_str(),
            );
            Some(SentState {
                slot: layers[l].row(&slot).expect("every state has a row"),
                adjoint: layers[l].row(&slot.adjoint()),
                before: longest,
            })
        };
        let layers = network.layers.iter().enumerate();
        layers
            .map(|(l, layer)| {
                let states = 0..layer.neuron.states.len();
                states.map(|s| of_state(l, s)).collect()
            })
            .collect()
    }

    /// The numbers that a lane keeps: of the state, and of its adjoint.
    pub(crate) fn kept(&self, room: Room, block: usize) -> [usize; 2] {
        let adjoint = self.adjoint.is_some() && room.block > 0;
        [
            self.before + room.tape.max(block),
            if adjoint { self.before + block } else { 0 },
        ]
    }
}

/// A state of a group that connections start from; empty for others.
#[derive(Debug, Default)]
pub(crate) struct StateLog<R> {
    /// The steps before the first one that is kept, and those from it on: `[before + steps, samples, n]`.
    rows: Aligned<R>,
    /// The first step that is kept, but for those before it.
    first: usize,
    /// The adjoints of the steps before the block and of those of the block.
    adjoints: Aligned<R>,
}

impl<R: Float> LayerState<R> {
    /// Makes room in a group with so many lanes and steps of a block.
    pub(crate) fn resize_logs(
        &mut self,
        sent: &[Option<SentState>],
        lanes: usize,
        room: Room,
        block: usize,
    ) {
        self.states.resize_with(sent.len(), StateLog::default);
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            let [rows, adjoints] = sent.kept(room, block);
            log.rows.resize(rows * lanes);
            log.adjoints.resize(adjoints * lanes);
        }
    }

    /// Before the first step: what was sent earlier are the initial values.
    pub(crate) fn begin_logs(&mut self, sent: &[Option<SentState>], lanes: usize) {
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            log.first = 0;
            if let Row::Real(values) = &self.rows[sent.slot.0] {
                let before = log.rows[..sent.before * lanes].chunks_exact_mut(lanes);
                before.for_each(|row| row.copy_from_slice(values));
            }
        }
    }

    /// Forgets all steps before `step` but those that can still arrive.
    pub(crate) fn move_logs(&mut self, sent: &[Option<SentState>], lanes: usize, step: usize) {
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            let done = step - log.first;
            let last = done * lanes..(done + sent.before) * lanes;
            log.rows.copy_within(last, 0);
            log.first = step;
        }
    }

    /// What was sent before the first step that is kept, for a run from there on: all of it one after the other.
    pub(crate) fn save_logs(&self, sent: &[Option<SentState>], lanes: usize, mut saved: &mut [R]) {
        for (log, sent) in self.states.iter().zip(sent) {
            let Some(sent) = sent else { continue };
            let (own, rest) = saved.split_at_mut(sent.before * lanes);
            own.copy_from_slice(&log.rows[..sent.before * lanes]);
            saved = rest;
        }
    }

    /// Goes back to what [`Self::save_logs`] wrote before `step`.
    pub(crate) fn restore_logs(
        &mut self,
        sent: &[Option<SentState>],
        lanes: usize,
        step: usize,
        mut saved: &[R],
    ) {
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            let (own, rest) = saved.split_at(sent.before * lanes);
            log.rows[..sent.before * lanes].copy_from_slice(own);
            log.first = step;
            saved = rest;
        }
    }

    /// Keeps the states after step `t`.
    pub(crate) fn log_states(&mut self, sent: &[Option<SentState>], lanes: usize, t: usize) {
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            if let Row::Real(values) = &self.rows[sent.slot.0] {
                let row = t - log.first + sent.before;
                log.rows[row * lanes..][..lanes].copy_from_slice(values);
            }
        }
    }

    /// No adjoint has come yet.
    pub(crate) fn clear_log_adjoints(&mut self) {
        self.states
            .iter_mut()
            .for_each(|log| log.adjoints.fill(R::ZERO));
    }

    /// Adds what came back to the states after some steps to their adjoints; steps are counted from the longest delay
    /// before the block on.
    fn receive(&mut self, s: usize, sent: &SentState, lanes: usize, steps: Range<usize>) {
        let Some(SlotId(slot)) = sent.adjoint else {
            return;
        };
        let log = &self.states[s];
        if let Row::Real(adjoint) = &mut self.rows[slot] {
            let rows = log.adjoints[steps.start * lanes..steps.end * lanes].chunks_exact(lanes);
            for row in rows {
                adjoint
                    .iter_mut()
                    .zip(row)
                    .for_each(|(a, &came)| *a = a.add(came));
            }
        }
    }

    /// Before the backward of a step of the block: what came back to the states after it.
    pub(crate) fn receive_step(&mut self, sent: &[Option<SentState>], lanes: usize, step: usize) {
        for (s, sent) in sent.iter().enumerate() {
            if let Some(sent) = sent {
                let row = sent.before + step;
                self.receive(s, sent, lanes, row..row + 1);
            }
        }
    }

    /// After the backward of the first step of all: what came back to the initial values.
    pub(crate) fn receive_initial(&mut self, sent: &[Option<SentState>], lanes: usize) {
        for (s, sent) in sent.iter().enumerate() {
            if let Some(sent) = sent {
                self.receive(s, sent, lanes, 0..sent.before);
            }
        }
    }

    /// Moves the adjoints from the block that is done to the `steps` steps before it; with `cut` nothing goes on.
    pub(crate) fn step_logs_back(
        &mut self,
        sent: &[Option<SentState>],
        lanes: usize,
        steps: usize,
        cut: bool,
    ) {
        for (log, sent) in self.states.iter_mut().zip(sent) {
            let Some(sent) = sent else { continue };
            if log.adjoints.is_empty() {
                continue;
            }
            let (on_the_way, gone) = (sent.before * lanes, steps * lanes);
            log.adjoints.copy_within(0..on_the_way, gone);
            let end = if cut { log.adjoints.len() } else { gone };
            log.adjoints[..end].fill(R::ZERO);
        }
    }
}

impl<R: Float> Simulator<R> {
    /// The numbers that a checkpoint of a layer takes for each lane: its states, and what they sent that can still
    /// arrive.
    pub(crate) fn checkpoint(&self, layer: usize) -> usize {
        let sent = self.sent_states[layer].iter().flatten();
        self.layers[layer].states() + sent.map(|s| s.before).sum::<usize>()
    }

    /// How many steps before the first one a source is counted from: those of its initial value that can arrive.
    pub(crate) fn origin(&self, from: Source) -> usize {
        match from {
            Source::Input(_) | Source::Layer(_) => 0,
            Source::State(l, s) => self.sent_states[l][s].map_or(0, |sent| sent.before),
        }
    }
}

impl<R: Float> StateLog<R> {
    /// What was sent in some rows of `n`, each a step of a sample.
    pub(crate) fn rows(&self, samples: usize, n: usize, rows: Range<usize>) -> &[R] {
        let first = self.first * samples;
        &self.rows[(rows.start - first) * n..(rows.end - first) * n]
    }

    /// Takes the adjoints out of the group, if there are any. Their steps are counted as those of what was sent.
    pub(crate) fn take_adjoints(&mut self) -> Option<Aligned<R>> {
        (!self.adjoints.is_empty()).then(|| std::mem::take(&mut self.adjoints))
    }

    /// Puts back what [`Self::take_adjoints`] took.
    pub(crate) fn put_adjoints(&mut self, adjoints: Aligned<R>) {
        self.adjoints = adjoints;
    }
}

impl<R: Float> Run<'_, '_, R> {
    /// The step of the source that arrives at step `t`, if there is one; for states see the page of the module.
    pub(crate) fn sent_step(&self, connection: &ConnectionCode, t: usize) -> Option<usize> {
        (t + self.simulator.origin(connection.from)).checked_sub(connection.delay)
    }
}
