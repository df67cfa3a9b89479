//! The functions that C calls: `init`, `reset`, `seed`, `step`, `step_events`, and one for each row to read.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Type, Value, types};
use cranelift_module::{FuncId, Linkage};
use rheobase_ir::draws::START;
use rheobase_ir::program::{Network, Source};

use super::Object;
use super::chains::{Chain, Functions, Sent, add_bias};
use super::draws;
use super::header::{accessor, is_visible, spike_name};
use super::layout::{
    LayerLayout, Layout, Place, ROWS, Random, Ring, STEP, WEIGHTS, is_dense, padded,
};
use super::routines::Routines;
use super::writer::{Writer, define as function};
use crate::JitError;

/// Defines them.
pub(super) fn define(object: &mut Object, program: &Program<'_>) -> Result<(), JitError> {
    let (layout, routines) = (program.layout, program.routines);
    let threefry = match layout.random {
        Some(random) => Some((random, draws::threefry(object)?)),
        None => None,
    };
    let reset = reset(object, program, threefry)?;
    let seed = match threefry {
        Some(threefry) => Some(seed(object, reset, threefry)?),
        None => None,
    };
    init(object, reset, seed)?;
    let step = step(object, program)?;
    step_events(object, layout, routines, step)?;
    accessors(object, program.network, layout)
}

/// What a step runs.
pub(super) struct Program<'p> {
    pub(super) network: &'p Network,
    pub(super) layout: &'p Layout,
    /// The functions of each layer.
    pub(super) kernels: &'p [LayerFunctions],
    pub(super) routines: &'p Routines,
    /// The functions of single operations.
    pub(super) chains: &'p Functions,
}

/// The functions of a layer's kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerFunctions {
    /// One step.
    pub(super) step: FuncId,
    /// Draws initial states, if any are drawn.
    pub(super) start: Option<FuncId>,
}

fn exported(object: &Object, name: &str) -> String {
    format!("rheo_{}_{name}", object.name)
}

fn reset(
    object: &mut Object,
    program: &Program<'_>,
    threefry: Option<(Random, FuncId)>,
) -> Result<FuncId, JitError> {
    let (layout, routines) = (program.layout, program.routines);
    let signature = object.signature(&[object.pointer()], None);
    let symbol = exported(object, "reset");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        let state = params[0];
        let zero = w.pos.ins().iconst(types::I64, 0);
        w.store(zero, state, STEP);
        let key = threefry.map(|(random, _)| w.load(types::I64, state, random.key as i32));
        let rows = w.at(state, ROWS);
        let bytes = w.count(layout.state_bytes - ROWS);
        w.call(routines.clear, &[rows, bytes]);
        let weights = w.load(w.pointer, state, WEIGHTS);
        for layer in &layout.layers {
            for place in &layer.states {
                let Some(initial) = place.initial else {
                    continue;
                };
                let to = w.at(state, place.row);
                let from = w.at(weights, initial);
                let n = w.count(layer.size);
                w.call(routines.copy, &[to, from, n]);
            }
        }
        if let (Some(key), Some((random, threefry))) = (key, threefry) {
            w.store(key, state, random.key as i32);
            let start = w.pos.ins().iconst(types::I32, i64::from(START));
            w.store(start, state, random.step as i32);
            for l in 0..layout.layers.len() {
                begin_drawing(w, program, (state, weights, key), threefry, l);
            }
        }
        for layer in &layout.layers {
            begin_sending(w, routines, layer, state);
        }
        None
    })
}

/// What connections from states deliver before the first step: the initial values.
fn begin_sending(w: &mut Writer<'_>, routines: &Routines, layer: &LayerLayout, state: Value) {
    for place in &layer.states {
        let Some(ring) = place.ring else { continue };
        let [to, from] = [ring.offset, place.row].map(|place| w.at(state, place));
        let (first, end) = (w.count(0), w.count(ring.rows * ring.stride));
        w.repeat(first, end, ring.stride as i64, |w, offset| {
            let to = w.pos.ins().iadd(to, offset);
            let n = w.count(layer.size);
            w.call(routines.copy, &[to, from, n]);
        });
    }
}

/// Writes the keys of the neurons of a layer, and draws its initial states.
fn begin_drawing(
    w: &mut Writer<'_>,
    program: &Program<'_>,
    (state, weights, key): (Value, Value, Value),
    threefry: FuncId,
    l: usize,
) {
    let layer = &program.layout.layers[l];
    let Some(rows) = layer.keys else { return };
    let rows = rows.map(|row| w.at(state, row));
    let number = w.pos.ins().iconst(types::I32, l as i64);
    let (first, end) = (w.count(0), w.count(layer.size));
    w.repeat(first, end, 1, |w, i| {
        let neuron = w.as_word(i);
        let hash = w.result(threefry, &[key, number, neuron]);
        for (row, word) in rows.into_iter().zip(draws::words(w, hash)) {
            let bits = draws::real_bits(w, word);
            let place = w.element(row, i, 2);
            w.store(bits, place, 0);
        }
    });
    if let Some(start) = program.kernels[l].start {
        // Nothing in the ring of spikes is an argument: it draws states.
        let rows = arguments(w, &layer.start, |w, place| match place {
            Place::Constant(place) => w.at(weights, place),
            Place::State(place) => w.at(state, place),
            Place::Spikes => unreachable!("initial states are no spikes"),
        });
        let n = w.count(padded(layer.size));
        w.call(start, &[rows, n]);
    }
}

/// `seed(state, seed, sample)`
fn seed(
    object: &mut Object,
    reset: FuncId,
    (random, threefry): (Random, FuncId),
) -> Result<FuncId, JitError> {
    let params = [object.pointer(), types::I64, types::I64];
    let signature = object.signature(&params, None);
    let symbol = exported(object, "seed");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        let epoch = w.pos.ins().iconst(types::I32, 0);
        let key = w.result(threefry, &[params[1], epoch, epoch]);
        let [low, high] = draws::words(w, params[2]);
        let key = w.result(threefry, &[key, low, high]);
        w.store(key, params[0], random.key as i32);
        w.call(reset, &params[..1]);
        None
    })
}

fn init(object: &mut Object, reset: FuncId, seed: Option<FuncId>) -> Result<FuncId, JitError> {
    let signature = object.signature(&[object.pointer(); 2], None);
    let symbol = exported(object, "init");
    function(object, &symbol, Linkage::Export, signature, |w, params| {
        w.store(params[1], params[0], WEIGHTS);
        match seed {
            Some(seed) => {
                let zero = w.pos.ins().iconst(types::I64, 0);
                w.call(seed, &[params[0], zero, zero]);
            }
            None => w.call(reset, &params[..1]),
        }
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
        if let Some(random) = layout.random {
            let word = w.pos.ins().ireduce(types::I32, run.step);
            let word = draws::real_bits(w, word);
            w.store(word, state, random.step as i32);
        }
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
    let rows = arguments(w, &layer.arguments, |w, place| match place {
        Place::Constant(place) => w.at(run.weights, place),
        Place::State(place) => w.at(run.state, place),
        Place::Spikes => {
            let ring = layer.spikes.expect("a spike output has a ring");
            ring_row(w, run, ring, 0)
        }
    });
    let n = w.count(padded(layer.size));
    w.call(program.kernels[l].step, &[rows, n]);
    for place in &layer.states {
        let Some(ring) = place.ring else { continue };
        let to = ring_row(w, run, ring, 0);
        let from = w.at(run.state, place.row);
        // Rows of a ring have no room for more.
        let n = w.count(layer.size);
        w.call(program.routines.copy, &[to, from, n]);
    }
}

/// The array of the addresses of a kernel's arguments.
fn arguments(
    w: &mut Writer<'_>,
    places: &[Place],
    address: impl Fn(&mut Writer<'_>, Place) -> Value,
) -> Value {
    let size = places.len() as u32 * w.pointer.bytes();
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3);
    let slot = w.pos.func.create_sized_stack_slot(slot);
    let rows = w.pos.ins().stack_addr(w.pointer, slot, 0);
    for (i, &place) in places.iter().enumerate() {
        let address = address(w, place);
        w.store(address, rows, (i as u32 * w.pointer.bytes()) as i32);
    }
    rows
}

/// What a connection delivers to a row.
fn arrive(w: &mut Writer<'_>, program: &Program<'_>, run: &Step<'_>, c: usize, to: Value) {
    let connection = &program.network.connections[c];
    let operations = &program.layout.connections[c];
    let outputs = program.layout.layers[connection.to].size;
    if let Some(bias) = operations.last().and_then(|o| o.bias) {
        add_bias(w, program.routines, bias, run.weights, (to, outputs));
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
    if connection.delays.is_some() {
        for tap in operations.iter().flat_map(|o| &o.taps) {
            if let Some(sent) = sent(w, program, run, connection.from, tap.delay) {
                chain.deliver_tap(w, *tap, sent, to);
            }
        }
        return;
    }
    let delay = connection.delay as usize;
    let Some(sent) = sent(w, program, run, connection.from, delay) else {
        return;
    };
    if is_dense(connection) {
        let gather = match sent.numbers {
            true => program.routines.gather_numbers,
            false => program.routines.gather_spikes,
        };
        let (source, m) = (sent.row, sent.size);
        let weights = operations[0].weight.expect("dense operations have weights");
        let weights = w.at(run.weights, weights);
        let (n, m) = (w.count(outputs), w.count(m));
        w.call(gather, &[to, n, weights, source, m]);
        return;
    }
    if let Source::State(..) = connection.from {
        chain.deliver(w, sent, to);
        return;
    }
    // Before the delay is over nothing goes in, not even the zeros that a bias would make something of.
    let first = w.pos.ins().iconst(types::I64, delay as i64);
    let arrived = IntCC::UnsignedGreaterThanOrEqual;
    let arrived = w.pos.ins().icmp(arrived, run.step, first);
    w.when(arrived, |w| chain.deliver(w, sent, to));
}

/// What a source sent some steps ago; `None` for a layer without spikes.
fn sent(
    w: &mut Writer<'_>,
    program: &Program<'_>,
    run: &Step<'_>,
    from: Source,
    delay: usize,
) -> Option<Sent> {
    match from {
        Source::Input(i) => {
            let input = program.layout.inputs[i];
            let row = match input.ring {
                Some(ring) if delay > 0 => ring_row(w, run, ring, delay),
                Some(_) | None => run.inputs[i],
            };
            Some(Sent {
                row,
                size: input.size,
                numbers: true,
            })
        }
        Source::Layer(l) => {
            let layer = &program.layout.layers[l];
            Some(Sent {
                row: ring_row(w, run, layer.spikes?, delay),
                size: layer.size,
                numbers: layer.graded,
            })
        }
        // After this step: connections without a delay start at layers that had their turn.
        Source::State(l, s) => {
            let layer = &program.layout.layers[l];
            let place = &layer.states[s];
            let row = match place.ring {
                Some(ring) if delay > 0 => ring_row(w, run, ring, delay),
                Some(_) | None => w.at(run.state, place.row),
            };
            Some(Sent {
                row,
                size: layer.size,
                numbers: true,
            })
        }
    }
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
        for state in places.states.iter().filter(|s| is_visible(&s.name)) {
            let symbol = accessor(&network.name, &layer.name, &state.name);
            row_accessor(object, &symbol, state.row)?;
        }
        for (spike, row, _) in &places.more_spikes {
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
