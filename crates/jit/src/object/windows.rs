//! Operations that move a window over a picture: convolutions and pools.
//!
//! Each is a function of its own, with the shape of its window as constants. Sums are made in the order in
//! which the runtime makes them: by places of the input in ascending order.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use cranelift_module::{FuncId, Linkage};
use rheobase_ir::program::{Pooling, Window};

use super::Object;
use super::routines::Routines;
use super::writer::{Writer, define as function};
use crate::JitError;

/// `turn(to, from)`: adds rows `[place, channel]` to rows `[channel, place]`.
fn add_turned(w: &mut Writer<'_>, window: &Window, to: Value, from: Value) {
    let places = window.output[0] * window.output[1];
    let channels = window.channels[1];
    each(w, channels, |w, channel| {
        each(w, places, |w, place| {
            let out = flat(w, channel, places, place);
            let turned = flat(w, place, channels, channel);
            let [out, turned] = [(to, out), (from, turned)].map(|(base, i)| w.element(base, i, 2));
            let [sum, value] = [out, turned].map(|address| w.load(types::F32, address, 0));
            let sum = w.pos.ins().fadd(sum, value);
            w.store(sum, out, 0);
        });
    });
}

/// `convolution(to, from, weights, turned)`: adds the convolution of the numbers `from` to `to`; `turned` is
/// memory for as many numbers. Weights are `[in / groups, height, width backwards, out]`.
pub(super) fn convolution(
    object: &mut Object,
    symbol: &str,
    window: Window,
    routines: &Routines,
) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer; 4], None);
    let routines = *routines;
    function(object, symbol, Linkage::Local, signature, |w, params| {
        let [to, from, weights, turned] = [0, 1, 2, 3].map(|p| params[p]);
        let outputs = window.channels[1] * window.output[0] * window.output[1];
        let bytes = w.count((outputs * size_of::<f32>()).next_multiple_of(16));
        w.call(routines.clear, &[turned, bytes]);
        let of_group = window.channels[0] / window.groups;
        each(w, window.groups, |w, group| {
            each(w, of_group, |w, channel| {
                let absolute = flat(w, group, of_group, channel);
                each_event(w, &window, from, absolute, |w, place, value| {
                    let event = Event {
                        group,
                        channel,
                        place,
                        value,
                    };
                    event.spread(w, &window, &routines, (weights, turned));
                });
            });
        });
        add_turned(w, &window, to, turned);
        None
    })
}

/// A number that is not zero, and where it is.
struct Event {
    group: Value,
    /// The channel in its group.
    channel: Value,
    place: [Value; 2],
    value: Value,
}

impl Event {
    /// Adds the kernel, times the number, to all windows that see the place.
    fn spread(
        self,
        w: &mut Writer<'_>,
        window: &Window,
        routines: &Routines,
        (weights, turned): (Value, Value),
    ) {
        let [height, width] = window.kernel;
        let [_, columns] = window.output;
        let out = window.channels[1];
        let of_group = out / window.groups;
        each(w, height, |w, ky| {
            seen_by(w, window, 0, self.place[0], ky, |w, y| {
                each(w, width, |w, kx| {
                    seen_by(w, window, 1, self.place[1], kx, |w, x| {
                        let row = flat(w, self.channel, height, ky);
                        let last = w.count(width - 1);
                        let backwards = w.pos.ins().isub(last, kx);
                        let weight = flat(w, row, width, backwards);
                        let output = flat(w, y, columns, x);
                        let [weight, output] =
                            [(weights, weight), (turned, output)].map(|(b, i)| {
                                let first = w.pos.ins().imul_imm_s(self.group, of_group as i64);
                                let channels = w.pos.ins().imul_imm_s(i, out as i64);
                                let index = w.pos.ins().iadd(channels, first);
                                w.element(b, index, 2)
                            });
                        let n = w.count(of_group);
                        w.call(routines.add, &[output, weight, self.value, n]);
                    });
                });
            });
        });
    }
}

/// `body` with the row and column of each number of a channel that is not zero, and the number.
fn each_event(
    w: &mut Writer<'_>,
    window: &Window,
    from: Value,
    channel: Value,
    body: impl FnOnce(&mut Writer<'_>, [Value; 2], Value),
) {
    let [height, width] = window.input;
    each(w, height, |w, y| {
        each(w, width, |w, x| {
            let row = flat(w, channel, height, y);
            let index = flat(w, row, width, x);
            let address = w.element(from, index, 2);
            let value = w.load(types::F32, address, 0);
            let zero = w.float(0.0);
            let event = w.pos.ins().fcmp(FloatCC::NotEqual, value, zero);
            w.when(event, |w| body(w, [y, x], value));
        });
    });
}

/// `body` with the window whose place `k` on an axis is the place `at` of the input, if there is one.
fn seen_by(
    w: &mut Writer<'_>,
    window: &Window,
    axis: usize,
    at: Value,
    k: Value,
    body: impl FnOnce(&mut Writer<'_>, Value),
) {
    let stride = window.stride[axis];
    let padded = w.pos.ins().iadd_imm_s(at, window.pad[axis] as i64);
    let back = w.pos.ins().imul_imm_s(k, window.dilation[axis] as i64);
    let start = w.pos.ins().isub(padded, back);
    // What is below zero is a large number without a sign.
    let end = w.count(window.output[axis] * stride);
    let inside = w.pos.ins().icmp(IntCC::UnsignedLessThan, start, end);
    w.when(inside, |w| {
        if stride == 1 {
            body(w, start);
            return;
        }
        let stride = w.count(stride);
        let first = w.pos.ins().udiv(start, stride);
        let begins = w.pos.ins().imul(first, stride);
        let whole = w.pos.ins().icmp(IntCC::Equal, begins, start);
        w.when(whole, |w| body(w, first));
    });
}

/// `pool(to, from, factor)`: adds the sum or the maximum of each window, times a factor. The padding of a
/// maximum does not count.
pub(super) fn pool(
    object: &mut Object,
    symbol: &str,
    window: Window,
    pooling: Pooling,
) -> Result<FuncId, JitError> {
    let pointer = object.pointer();
    let signature = object.signature(&[pointer, pointer, types::F32], None);
    function(object, symbol, Linkage::Local, signature, |w, params| {
        let [to, from, factor] = [0, 1, 2].map(|p| params[p]);
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 4, 2);
        let slot = w.pos.func.create_sized_stack_slot(slot);
        let best = w.pos.ins().stack_addr(pointer, slot, 0);
        let [rows, columns] = window.output;
        each(w, window.channels[0], |w, channel| {
            each(w, rows, |w, y| {
                each(w, columns, |w, x| {
                    let row = flat(w, channel, rows, y);
                    let output = flat(w, row, columns, x);
                    let out = w.element(to, output, 2);
                    match pooling {
                        Pooling::Sum | Pooling::Average => {
                            each_place(w, &window, from, channel, [y, x], |w, value| {
                                let value = w.pos.ins().fmul(value, factor);
                                add_to(w, out, value);
                            });
                        }
                        Pooling::Max => {
                            let least = w.float(f32::NEG_INFINITY);
                            w.store(least, best, 0);
                            each_place(w, &window, from, channel, [y, x], |w, value| {
                                let so_far = w.load(types::F32, best, 0);
                                let more = w.pos.ins().fcmp(FloatCC::GreaterThan, value, so_far);
                                w.when(more, |w| w.store(value, best, 0));
                            });
                            let value = w.load(types::F32, best, 0);
                            let value = w.pos.ins().fmul(value, factor);
                            add_to(w, out, value);
                        }
                    }
                });
            });
        });
        None
    })
}

fn add_to(w: &mut Writer<'_>, address: Value, value: Value) {
    let sum = w.load(types::F32, address, 0);
    let sum = w.pos.ins().fadd(sum, value);
    w.store(sum, address, 0);
}

/// `body` with each number of a window of one channel, without the padding.
fn each_place(
    w: &mut Writer<'_>,
    window: &Window,
    from: Value,
    channel: Value,
    output: [Value; 2],
    body: impl FnOnce(&mut Writer<'_>, Value),
) {
    let [height, width] = window.input;
    each(w, window.kernel[0], |w, ky| {
        sees(w, window, 0, output[0], ky, |w, y| {
            each(w, window.kernel[1], |w, kx| {
                sees(w, window, 1, output[1], kx, |w, x| {
                    let row = flat(w, channel, height, y);
                    let index = flat(w, row, width, x);
                    let address = w.element(from, index, 2);
                    let value = w.load(types::F32, address, 0);
                    body(w, value);
                });
            });
        });
    });
}

/// `body` with the place of the input that is place `k` of a window on an axis, if it is not padding.
fn sees(
    w: &mut Writer<'_>,
    window: &Window,
    axis: usize,
    output: Value,
    k: Value,
    body: impl FnOnce(&mut Writer<'_>, Value),
) {
    let start = w.pos.ins().imul_imm_s(output, window.stride[axis] as i64);
    let further = w.pos.ins().imul_imm_s(k, window.dilation[axis] as i64);
    let padded = w.pos.ins().iadd(start, further);
    let place = w.pos.ins().iadd_imm_s(padded, -(window.pad[axis] as i64));
    // What is below zero is a large number without a sign.
    let end = w.count(window.input[axis]);
    let inside = w.pos.ins().icmp(IntCC::UnsignedLessThan, place, end);
    w.when(inside, |w| body(w, place));
}

/// `body` for every index below `n`.
fn each(w: &mut Writer<'_>, n: usize, body: impl FnOnce(&mut Writer<'_>, Value)) {
    let (start, end) = (w.count(0), w.count(n));
    w.repeat(start, end, 1, body);
}

/// `row·length + place`.
fn flat(w: &mut Writer<'_>, row: Value, length: usize, place: Value) -> Value {
    let begin = w.pos.ins().imul_imm_s(row, length as i64);
    w.pos.ins().iadd(begin, place)
}
