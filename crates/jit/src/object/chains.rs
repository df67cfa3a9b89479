//! What a connection of several operations, or of one that is not dense, delivers to a port.
//!
//! The source's row of numbers goes through the operations one after the other; rows between two of them are
//! memory of the state that all connections share. The bias of the last operation is not added here: it is
//! there at every step, also before the delay is over.

use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_module::FuncId;
use rheobase_ir::program::{Network, Operation, Pooling, Synapses};

use super::Object;
use super::layout::{BiasLayout, Layout, OperationLayout, TapLayout};
use super::routines::Routines;
use super::windows;
use super::writer::Writer;
use crate::JitError;

/// For each operation of each connection the function that only it needs.
pub(super) type Functions = Vec<Vec<Option<FuncId>>>;

/// Defines the functions of all convolutions and pools.
pub(super) fn define(
    object: &mut Object,
    network: &Network,
    routines: &Routines,
) -> Result<Functions, JitError> {
    let mut functions = Vec::new();
    for (c, connection) in network.connections.iter().enumerate() {
        let mut own = Vec::new();
        for (o, operation) in connection.operations.iter().enumerate() {
            let symbol = format!("rheo_{}_connection_{c}_{o}", object.name);
            own.push(match &operation.synapses {
                Synapses::Convolution(window) => {
                    Some(windows::convolution(object, &symbol, *window, routines)?)
                }
                Synapses::Pool { window, pooling } => {
                    Some(windows::pool(object, &symbol, *window, *pooling)?)
                }
                Synapses::Dense { .. }
                | Synapses::Sparse { .. }
                | Synapses::OneToOne
                | Synapses::Scale
                | Synapses::Dropout { .. }
                | Synapses::Normalisation { .. } => None,
            });
        }
        functions.push(own);
    }
    Ok(functions)
}

/// The row that a source sent in some step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Its address.
    pub(super) row: Value,
    /// Of how many neurons or channels.
    pub(super) size: usize,
    /// Numbers; else bytes.
    pub(super) numbers: bool,
}

/// A connection in a step that is being written.
pub(super) struct Chain<'c> {
    pub(super) operations: &'c [Operation],
    pub(super) places: &'c [OperationLayout],
    pub(super) functions: &'c [Option<FuncId>],
    pub(super) routines: &'c Routines,
    pub(super) layout: &'c Layout,
    /// The addresses of the state and of the weights.
    pub(super) state: Value,
    pub(super) weights: Value,
}

impl Chain<'_> {
    /// Adds what the synapses of one delay make of a row to the row at `to`.
    pub(super) fn deliver_tap(&self, w: &mut Writer<'_>, tap: TapLayout, sent: Sent, to: Value) {
        let numbers = w.at(self.state, self.layout.scratch[0]);
        let numbers = self.as_numbers(w, sent, numbers);
        let [offsets, targets] = tap.pairs.map(|place| w.at(self.weights, place));
        let weights = w.at(self.weights, tap.weight);
        let m = w.count(sent.size);
        let args = [to, offsets, targets, weights, numbers, m];
        w.call(self.routines.gather_pairs, &args);
    }

    /// The address of a row as numbers: its own, or that of memory for them.
    fn as_numbers(&self, w: &mut Writer<'_>, sent: Sent, memory: Value) -> Value {
        if sent.numbers {
            return sent.row;
        }
        let n = w.count(sent.size);
        w.call(self.routines.spread, &[memory, sent.row, n]);
        memory
    }

    /// Adds what a row becomes to the row at `to`.
    pub(super) fn deliver(&self, w: &mut Writer<'_>, sent: Sent, to: Value) {
        let mut turn = 0;
        let mut scratch = |w: &mut Writer<'_>| {
            turn = 1 - turn;
            w.at(self.state, self.layout.scratch[turn])
        };
        let mut row = match sent.numbers {
            true => sent.row,
            false => {
                let memory = scratch(w);
                self.as_numbers(w, sent, memory)
            }
        };
        let last = self.operations.len() - 1;
        for (o, operation) in self.operations.iter().enumerate() {
            let out = if o == last {
                to
            } else {
                let out = scratch(w);
                let bytes = (operation.outputs * size_of::<f32>()).next_multiple_of(16);
                let bytes = w.count(bytes);
                w.call(self.routines.clear, &[out, bytes]);
                if let Some(bias) = self.places[o].bias {
                    add_bias(
                        w,
                        self.routines,
                        bias,
                        self.weights,
                        (out, operation.outputs),
                    );
                }
                out
            };
            self.operation(w, o, row, out);
            row = out;
        }
    }

    /// Adds what an operation makes of a row to another.
    fn operation(&self, w: &mut Writer<'_>, o: usize, from: Value, to: Value) {
        let (operation, place, routines) = (&self.operations[o], &self.places[o], self.routines);
        let n = w.count(operation.outputs);
        let m = w.count(operation.inputs);
        let weights = place.weight.map(|weight| w.at(self.weights, weight));
        match (&operation.synapses, weights) {
            (Synapses::Dense { .. }, Some(weights)) => {
                w.call(routines.gather_numbers, &[to, n, weights, from, m]);
            }
            (Synapses::Sparse { .. }, Some(weights)) => {
                let pairs = place
                    .pairs
                    .expect("the layout of a sparse operation has pairs");
                let [offsets, targets] = pairs.map(|place| w.at(self.weights, place));
                let args = [to, offsets, targets, weights, from, m];
                w.call(routines.gather_pairs, &args);
            }
            (Synapses::OneToOne, Some(weights)) => {
                w.call(routines.multiply, &[to, weights, from, n]);
            }
            (Synapses::Convolution(_), Some(weights)) => {
                let turned = w.at(self.state, self.layout.turned);
                let own = self.functions[o].expect("a convolution has a function");
                w.call(own, &[to, from, weights, turned]);
            }
            (Synapses::Pool { window, pooling }, weight) => {
                let share = match pooling {
                    Pooling::Average => 1.0 / window.area() as f64,
                    Pooling::Sum | Pooling::Max => 1.0,
                };
                let factor = factor(w, weight, share as f32);
                let own = self.functions[o].expect("a pool has a function");
                w.call(own, &[to, from, factor]);
            }
            (Synapses::Normalisation { channels, .. }, Some(gains)) => {
                let centre = place.centre.expect("a normalisation has means and factors");
                let [means, factors] = centre.map(|place| w.at(self.weights, place));
                let count = w.count(*channels);
                let run = w.count(operation.outputs / (*channels).max(1));
                let args = [to, from, gains, means, factors, count, run];
                w.call(routines.normalise, &args);
            }
            // Without weights each element goes on as it is, as in a dropout that drops nothing.
            (Synapses::Scale | Synapses::OneToOne | Synapses::Dropout { .. }, weight) => {
                let factor = factor(w, weight, 1.0);
                w.call(routines.add, &[to, from, factor, n]);
            }
            (
                Synapses::Dense { .. }
                | Synapses::Sparse { .. }
                | Synapses::Convolution(_)
                | Synapses::Normalisation { .. },
                None,
            ) => {
                unreachable!("these operations have weights")
            }
        }
    }
}

/// The only weight, or 1, times what the operation multiplies by itself.
fn factor(w: &mut Writer<'_>, weight: Option<Value>, share: f32) -> Value {
    let share = w.float(share);
    match weight {
        Some(weight) => {
            let weight = w.load(types::F32, weight, 0);
            w.pos.ins().fmul(weight, share)
        }
        None => share,
    }
}

/// Adds a bias to a row of so many numbers.
pub(super) fn add_bias(
    w: &mut Writer<'_>,
    routines: &Routines,
    bias: BiasLayout,
    weights: Value,
    (to, outputs): (Value, usize),
) {
    let values = w.at(weights, bias.place);
    if bias.count == outputs {
        let (one, n) = (w.float(1.0), w.count(outputs));
        w.call(routines.add, &[to, values, one, n]);
        return;
    }
    let count = w.count(bias.count);
    let run = w.count(outputs / bias.count);
    w.call(routines.add_each, &[to, values, count, run]);
}
