//! The functions that C calls: `init`, `reset`, `step`, `step_events`, and one for each row to read.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Type, Value, types};
use cranelift_module::{FuncId, Linkage};
use rheobase_ir::program::{Network, Source};

use super::Object;
use super::chains::{Chain, Functions, add_bias};
use super::header::{accessor, is_visible, spike_name};
use super::layout::{Layout, Place, ROWS, Ring, STEP, WEIGHTS, is_dense};
use super::routines::Routines;
use super::writer::{Writer, define as function};
use crate::JitError;

/// Defines them.
pub(super) fn define(object: &mut Object, program: &Program<'_>) -> Result<(), JitError> {
    let (layout, routines) = (program.layout, program.routines);
    let reset = reset(object, layout, routines)?;
    init(object, reset)?;
    let step = step(object, program)?;
    step_events(object, layout, routines, step)?;
    accessors(object, program.network, layout)
}

/// What a step runs.
pub(super) struct Program<'p> {
    pub(super) network: &'p Network,
    pub(super) layout: &'p Layout,
    /// The function of each layer's kernel.
    pub(super) kernels: &'p [FuncId],
    pub(super) routines: &'p Routines,
    /// The functions of single operations.
    pub(super) chains: &'p Functions,
}

fn exported(object: &Object, name: &str) -> String {
    format!("rheo_{}_{name}", object.name)
}

fn reset(object: &mut Object, layout: &Layout, routines: &Routines) -> Result<FuncId, JitError> {
    let signature = object.signature(&[object.pointer()], None);
    let symbol = exported(object, "reset");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        let state = params[0];
        let zero = w.pos.ins().iconst(types::I64, 0);
        w.store(zero, state, STEP);
        let rows = w.at(state, ROWS);
        let bytes = w.count(layout.state_bytes - ROWS);
        w.call(routines.clear, &[rows, bytes]);
        let weights = w.load(w.pointer, state, WEIGHTS);
        for layer in &layout.layers {
            for (_, row, initial) in &layer.states {
                let to = w.at(state, *row);
                let from = w.at(weights, *initial);
                let n = w.count(layer.size);
                w.call(routines.copy, &[to, from, n]);
            }
        }
        None
    })
}

fn init(object: &mut Object, reset: FuncId) -> Result<FuncId, JitError> {
    let signature = object.signature(&[object.pointer(); 2], None);
    let symbol = exported(object, "init");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        w.store(params[1], params[0], WEIGHTS);
        w.call(reset, &params[..1]);
        None
    })
}

fn step(object: &mut Object, program: &Program<'_>) -> Result<FuncId, JitError> {
    let layout = program.layout;
    let pointer = object.pointer();
    let signature = object.signature(&vec![pointer; 1 + layout.inputs.len()], None);
    let symbol = exported(object, "step");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        let state = params[0];
        let run = Step {
            state,
            inputs: &params[1..],
            weights: w.load(pointer, state, WEIGHTS),
            step: w.load(types::I64, state, STEP),
        };
        for (input, &numbers) in layout.inputs.iter().zip(run.inputs) {
            if let Some(ring) = input.ring {
                let row = ring_row(w, &run, ring, 0);
                let n = w.count(input.size);
                w.call(program.routines.copy, &[row, numbers, n]);
            }
        }
        for &l in &program.network.order {
            layer_step(w, program, &run, l);
        }
        let next = w.pos.ins().iadd_imm_s(run.step, 1);
        w.store(next, state, STEP);
        None
    })
}

/// A step while its function is written.
struct Step<'v> {
    state: Value,
    inputs: &'v [Value],
    weights: Value,
    /// The number of the step.
    step: Value,
}

fn layer_step(w: &mut Writer<'_>, program: &Program<'_>, run: &Step<'_>, l: usize) {
    let (network, layout) = (program.network, program.layout);
    let layer = &layout.layers[l];
    for (port, &row) in layer.ports.iter().enumerate() {
        let to = w.at(run.state, row);
        let bytes = w.count((layer.size * size_of::<f32>()).next_multiple_of(16));
        w.call(program.routines.clear, &[to, bytes]);
        for (c, connection) in network.connections.iter().enumerate() {
            if (connection.to, connection.port) == (l, port) {
                arrive(w, program, run, c, to);
            }
        }
    }
    let size = layer.arguments.len() as u32 * w.pointer.bytes();
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3);
    let slot = w.pos.func.create_sized_stack_slot(slot);
    let rows = w.pos.ins().stack_addr(w.pointer, slot, 0);
    for (i, argument) in layer.arguments.iter().enumerate() {
        let address = match (argument, layer.spikes) {
            (Place::Constant(place), _) => w.at(run.weights, *place),
            (Place::State(place), _) => w.at(run.state, *place),
            (Place::Spikes, Some(ring)) => ring_row(w, run, ring, 0),
            (Place::Spikes, None) => unreachable!("a spike output has a ring"),
        };
        w.store(address, rows, (i as u32 * w.pointer.bytes()) as i32);
    }
    let n = w.count(layer.size);
    w.call(program.kernels[l], &[rows, n]);
}

/// What a connection delivers to a row.
fn arrive(w: &mut Writer<'_>, program: &Program<'_>, run: &Step<'_>, c: usize, to: Value) {
    let connection = &program.network.connections[c];
    let operations = &program.layout.connections[c];
    let outputs = program.layout.layers[connection.to].size;
    if let Some(bias) = operations.last().and_then(|o| o.bias) {
        add_bias(w, program.routines, bias, run.weights, (to, outputs));
    }
    let delay = connection.delay as usize;
    let (gather, source, m) = match connection.from {
        Source::Input(i) => {
            let input = program.layout.inputs[i];
            let source = match input.ring {
                Some(ring) if delay > 0 => ring_row(w, run, ring, delay),
                Some(_) | None => run.inputs[i],
            };
            (program.routines.gather_numbers, source, input.size)
        }
        Source::Layer(l) => {
            let layer = &program.layout.layers[l];
            let Some(ring) = layer.spikes else { return };
            let source = ring_row(w, run, ring, delay);
            (program.routines.gather_spikes, source, layer.size)
        }
        Source::State(..) => unreachable!("the layout refuses it"),
    };
    if is_dense(connection) {
        let weights = operations[0].weight.expect("dense operations have weights");
        let weights = w.at(run.weights, weights);
        let (n, m) = (w.count(outputs), w.count(m));
        w.call(gather, &[to, n, weights, source, m]);
        return;
    }
    let chain = Chain {
        operations: &connection.operations,
        places: operations,
        functions: &program.chains[c],
        routines: program.routines,
        layout: program.layout,
        state: run.state,
        weights: run.weights,
    };
    // Before the delay is over nothing goes in, not even the zeros that a bias would make something of.
    let first = w.pos.ins().iconst(types::I64, delay as i64);
    let arrived = IntCC::UnsignedGreaterThanOrEqual;
    let arrived = w.pos.ins().icmp(arrived, run.step, first);
    w.when(arrived, |w| chain.deliver(w, connection.from, source, to));
}

/// The row of a ring that was written some steps ago.
fn ring_row(w: &mut Writer<'_>, run: &Step<'_>, ring: Ring, ago: usize) -> Value {
    let base = w.at(run.state, ring.offset);
    if ring.rows == 1 {
        return base;
    }
    // rows − ago steps ahead is the same row of the ring and never below zero.
    let ahead = (ring.rows - ago) as i64;
    let step = w.pos.ins().iadd_imm_s(run.step, ahead);
    let rows = w.pos.ins().iconst(types::I64, ring.rows as i64);
    let row = w.pos.ins().urem(step, rows);
    let offset = w.pos.ins().imul_imm_s(row, ring.stride as i64);
    let offset = index(w, offset);
    w.pos.ins().iadd(base, offset)
}

/// A 64-bit number as an address distance.
fn index(w: &mut Writer<'_>, value: Value) -> Value {
    let wide: Type = types::I64;
    if w.pointer == wide {
        value
    } else {
        w.pos.ins().ireduce(w.pointer, value)
    }
}

fn step_events(
    object: &mut Object,
    layout: &Layout,
    routines: &Routines,
    step: FuncId,
) -> Result<(), JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&vec![pointer; 1 + 2 * layout.inputs.len()], None);
    let symbol = exported(object, "step_events");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        let mut args = vec![params[0]];
        for (input, given) in layout.inputs.iter().zip(params[1..].chunks_exact(2)) {
            let row = w.at(params[0], input.events);
            let bytes = w.count((input.size * size_of::<f32>()).next_multiple_of(16));
            w.call(routines.clear, &[row, bytes]);
            let n = w.count(input.size);
            w.call(routines.count_events, &[row, n, given[0], given[1]]);
            args.push(row);
        }
        w.call(step, &args);
        None
    })?;
    Ok(())
}

fn accessors(object: &mut Object, network: &Network, layout: &Layout) -> Result<(), JitError> {
    for (layer, places) in network.layers.iter().zip(&layout.layers) {
        for (state, row, _) in places.states.iter().filter(|(s, ..)| is_visible(s)) {
            let symbol = accessor(&network.name, &layer.name, state);
            row_accessor(object, &symbol, *row)?;
        }
        for (spike, row) in &places.more_spikes {
            let symbol = accessor(&network.name, &layer.name, spike);
            row_accessor(object, &symbol, *row)?;
        }
        if let Some(ring) = places.spikes {
            let symbol = accessor(&network.name, &layer.name, &spike_name(layer));
            let pointer = object.pointer();
            let signature = object.signature(&[pointer], Some(pointer));
            function(object, &symbol, Linkage::Export, signature, |w, params| {
                let run = Step {
                    state: params[0],
                    inputs: &[],
                    weights: params[0],
                    step: w.load(types::I64, params[0], STEP),
                };
                // The step has been counted already. Before the first one the row is all zeros.
                Some(ring_row(w, &run, ring, 1))
            })?;
        }
    }
    Ok(())
}

fn row_accessor(object: &mut Object, symbol: &str, row: usize) -> Result<(), JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer], Some(pointer));
    function(object, symbol, Linkage::Export, signature, |w, params| {
        Some(w.at(params[0], row))
    })?;
    Ok(())
}
