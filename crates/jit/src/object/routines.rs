//! The loops that every step calls: over the numbers of a row, over the events of a source.
//!
//! Sums are made event by event in ascending order, as the runtime makes them.

use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_module::{FuncId, Linkage};

use super::Object;
use super::writer::{REGISTER, Writer, define as function};
use crate::JitError;

/// The functions, by what they do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routines {
    /// `clear(to, bytes)`: zeros; the number of bytes is a multiple of 16.
    pub(super) clear: FuncId,
    /// `copy(to, from, n)`: numbers.
    pub(super) copy: FuncId,
    /// `add(to, row, factor, n)`: `to[j] += row[j]·factor`.
    pub(super) add: FuncId,
    /// `gather_numbers(to, n, weights, numbers, m)`: `to += numbers[i]·weights[i]` for all i that are not 0.
    pub(super) gather_numbers: FuncId,
    /// `gather_spikes(to, n, weights, bytes, m)`: `to += weights[i]` for all i whose byte is not 0. Rows of
    /// bytes have zeros up to a multiple of 16.
    pub(super) gather_spikes: FuncId,
    /// `gather_pairs(to, offsets, targets, weights, numbers, m)`: `to[targets[k]] += weights[k]·numbers[i]` for the pairs k from
    /// `offsets[i]` to `offsets[i + 1]` of all i whose number is not 0.
    pub(super) gather_pairs: FuncId,
    /// `multiply(to, weights, numbers, n)`: `to[i] += weights[i]·numbers[i]`.
    pub(super) multiply: FuncId,
    /// `add_each(to, values, count, run)`: adds each value to as many neighbours as `run` says.
    pub(super) add_each: FuncId,
    /// `normalise(to, from, gains, means, factors, count, run)`: `to += gain·(from − mean)·factor`, with numbers for each of
    /// `count` stretches of `run` neighbours.
    pub(super) normalise: FuncId,
    /// `spread(to, bytes, m)`: 1 for each byte that is not 0, 0 for the others.
    pub(super) spread: FuncId,
    /// `count_events(to, n, events, m)`: adds 1 to `to[e]` for each event `e`; those not below n are left out.
    pub(super) count_events: FuncId,
}

/// Defines them.
pub(super) fn define(object: &mut Object) -> Result<Routines, JitError> {
    let clear = clear(object)?;
    let copy = copy(object)?;
    let add = add(object)?;
    Ok(Routines {
        clear,
        copy,
        add,
        gather_numbers: gather_numbers(object, add)?,
        gather_spikes: gather_spikes(object, add)?,
        gather_pairs: gather_pairs(object)?,
        multiply: multiply(object)?,
        add_each: add_each(object)?,
        normalise: normalise(object)?,
        spread: spread(object)?,
        count_events: count_events(object)?,
    })
}

fn symbol(object: &Object, name: &str) -> String {
    format!("rheo_{}_{name}", object.name)
}

fn clear(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 2], None);
    let symbol = symbol(object, "clear_row");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let zero = w.float(0.0);
        let zeros = w.pos.ins().splat(REGISTER, zero);
        let start = w.count(0);
        w.repeat(start, params[1], 16, |w, i| {
            let place = w.pos.ins().iadd(params[0], i);
            w.store(zeros, place, 0);
        });
        None
    })
}

fn copy(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 3], None);
    let symbol = symbol(object, "copy_row");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let start = w.count(0);
        w.repeat(start, params[2], 1, |w, i| {
            let [to, from] = [0, 1].map(|p| w.element(params[p], i, 2));
            let value = w.load(types::I32, from, 0);
            w.store(value, to, 0);
        });
        None
    })
}

fn add(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let params = [pointer, pointer, types::F32, pointer];
    let signature = object.signature(&params, None);
    let symbol = symbol(object, "add_row");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, row, factor, n] = [0, 1, 2, 3].map(|p| params[p]);
        let factors = w.pos.ins().splat(REGISTER, factor);
        let start = w.count(0);
        let full = w.pos.ins().band_imm_s(n, -4);
        let part = |w: &mut Writer<'_>, i, ty, factor| {
            let [to, row] = [to, row].map(|base| w.element(base, i, 2));
            let [sum, value] = [to, row].map(|place| w.load(ty, place, 0));
            // Rounded twice, as the runtime does.
            let product = w.pos.ins().fmul(value, factor);
            let sum = w.pos.ins().fadd(sum, product);
            w.store(sum, to, 0);
        };
        let rest = w.repeat(start, full, 4, |w, i| part(w, i, REGISTER, factors));
        w.repeat(rest, n, 1, |w, i| part(w, i, types::F32, factor));
        None
    })
}

fn gather_numbers(object: &mut Object, add: FuncId) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 5], None);
    let symbol = symbol(object, "gather_numbers");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, n, weights, numbers, m] = [0, 1, 2, 3, 4].map(|p| params[p]);
        let stride = w.pos.ins().ishl_imm_u(n, 2);
        each_event(w, numbers, m, |w, i, number| {
            let offset = w.pos.ins().imul(i, stride);
            let row = w.pos.ins().iadd(weights, offset);
            w.call(add, &[to, row, number, n]);
        });
        None
    })
}

fn gather_spikes(object: &mut Object, add: FuncId) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 5], None);
    let symbol = symbol(object, "gather_spikes");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, n, weights, bytes, m] = [0, 1, 2, 3, 4].map(|p| params[p]);
        let stride = w.pos.ins().ishl_imm_u(n, 2);
        let one = w.float(1.0);
        let start = w.count(0);
        w.repeat(start, m, 8, |w, i| {
            let place = w.pos.ins().iadd(bytes, i);
            let word = w.load(types::I64, place, 0);
            // Bit by bit, the lowest first: a spike sets one bit of its byte.
            let [head, inside, after] = [(); 3].map(|()| w.block());
            let left = w.pos.func.dfg.append_block_param(head, types::I64);
            w.pos.ins().jump(head, &[word.into()]);
            w.pos.goto_bottom(head);
            w.pos.ins().brif(left, inside, &[], after, &[]);
            w.pos.goto_bottom(inside);
            let bit = w.pos.ins().ctz(left);
            let byte = w.pos.ins().ushr_imm_u(bit, 3);
            let byte = w.as_index(byte);
            let index = w.pos.ins().iadd(i, byte);
            let offset = w.pos.ins().imul(index, stride);
            let row = w.pos.ins().iadd(weights, offset);
            w.call(add, &[to, row, one, n]);
            let below = w.pos.ins().iadd_imm_s(left, -1);
            let rest = w.pos.ins().band(left, below);
            w.pos.ins().jump(head, &[rest.into()]);
            w.pos.goto_bottom(after);
        });
        None
    })
}

/// `body` with each index of a row of numbers and its number, if that is not 0.
fn each_event(
    w: &mut Writer<'_>,
    numbers: Value,
    m: Value,
    body: impl FnOnce(&mut Writer<'_>, Value, Value),
) {
    let start = w.count(0);
    w.repeat(start, m, 1, |w, i| {
        let place = w.element(numbers, i, 2);
        let number = w.load(types::F32, place, 0);
        let zero = w.float(0.0);
        let event = w.pos.ins().fcmp(FloatCC::NotEqual, number, zero);
        w.when(event, |w| body(w, i, number));
    });
}

/// `to[i] += row·factor` for one number each.
fn add_product(w: &mut Writer<'_>, to: Value, row: Value, factor: Value) {
    let [sum, value] = [to, row].map(|place| w.load(types::F32, place, 0));
    let product = w.pos.ins().fmul(value, factor);
    let sum = w.pos.ins().fadd(sum, product);
    w.store(sum, to, 0);
}

fn gather_pairs(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 6], None);
    let symbol = symbol(object, "gather_pairs");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, offsets, targets, weights, numbers, m] = [0, 1, 2, 3, 4, 5].map(|p| params[p]);
        each_event(w, numbers, m, |w, i, number| {
            let place = w.element(offsets, i, 2);
            let ends = [0, 4].map(|at| w.load(types::I32, place, at));
            let [first, end] = ends.map(|end| w.as_index(end));
            w.repeat(first, end, 1, |w, k| {
                let [target, weight] = [targets, weights].map(|base| w.element(base, k, 2));
                let target = w.load(types::I32, target, 0);
                let target = w.as_index(target);
                let to = w.element(to, target, 2);
                add_product(w, to, weight, number);
            });
        });
        None
    })
}

fn multiply(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 4], None);
    let symbol = symbol(object, "multiply_rows");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, weights, numbers, n] = [0, 1, 2, 3].map(|p| params[p]);
        each_event(w, numbers, n, |w, i, number| {
            let [to, weight] = [to, weights].map(|base| w.element(base, i, 2));
            add_product(w, to, weight, number);
        });
        None
    })
}

fn add_each(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 4], None);
    let symbol = symbol(object, "add_each");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, values, count, run] = [0, 1, 2, 3].map(|p| params[p]);
        let start = w.count(0);
        w.repeat(start, count, 1, |w, i| {
            let value = w.element(values, i, 2);
            let first = w.pos.ins().imul(i, run);
            let (row, one, start) = (w.element(to, first, 2), w.float(1.0), w.count(0));
            w.repeat(start, run, 1, |w, j| {
                let to = w.element(row, j, 2);
                add_product(w, to, value, one);
            });
        });
        None
    })
}

fn normalise(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 7], None);
    let symbol = symbol(object, "normalise");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, from, count, run] = [0, 1, 5, 6].map(|p| params[p]);
        let start = w.count(0);
        w.repeat(start, count, 1, |w, i| {
            let [gain, mean, factor] = [2, 3, 4].map(|p| {
                let place = w.element(params[p], i, 2);
                w.load(types::F32, place, 0)
            });
            let factor = w.pos.ins().fmul(gain, factor);
            let first = w.pos.ins().imul(i, run);
            let [to, from] = [to, from].map(|base| w.element(base, first, 2));
            let start = w.count(0);
            w.repeat(start, run, 1, |w, j| {
                let [to, from] = [to, from].map(|base| w.element(base, j, 2));
                let [sum, x] = [to, from].map(|place| w.load(types::F32, place, 0));
                let x = w.pos.ins().fsub(x, mean);
                let x = w.pos.ins().fmul(x, factor);
                let sum = w.pos.ins().fadd(sum, x);
                w.store(sum, to, 0);
            });
        });
        None
    })
}

fn spread(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 3], None);
    let symbol = symbol(object, "spread_spikes");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, bytes, m] = [0, 1, 2].map(|p| params[p]);
        let start = w.count(0);
        w.repeat(start, m, 1, |w, i| {
            let place = w.pos.ins().iadd(bytes, i);
            let byte = w.load(types::I8, place, 0);
            let (one, zero) = (w.float(1.0), w.float(0.0));
            let number = w.pos.ins().select(byte, one, zero);
            let place = w.element(to, i, 2);
            w.store(number, place, 0);
        });
        None
    })
}

fn count_events(object: &mut Object) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 4], None);
    let symbol = symbol(object, "count_events");
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [to, n, events, m] = [0, 1, 2, 3].map(|p| params[p]);
        let start = w.count(0);
        w.repeat(start, m, 1, |w, i| {
            let place = w.element(events, i, 2);
            let event = w.load(types::I32, place, 0);
            let event = w.as_index(event);
            let known = w.pos.ins().icmp(IntCC::UnsignedLessThan, event, n);
            w.when(known, |w| {
                let place = w.element(to, event, 2);
                let number = w.load(types::F32, place, 0);
                let one = w.float(1.0);
                let number = w.pos.ins().fadd(number, one);
                w.store(number, place, 0);
            });
        });
        None
    })
}
