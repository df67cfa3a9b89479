//! Rows and uniform arguments: loads and stores.
//!
//! Booleans are bytes in memory and all-ones or all-zeros lanes in registers. A byte other than 0
//! counts as true when read; only 0 and 1 are written.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};
use rheobase_ir::kernel::{Output, Value};
use rheobase_ir::types::{Rate, Type};

use super::{Emitter, Group};
use crate::abi::Precision;

/// Accesses that cannot fault; rows are aligned to their element, not to a register.
fn row_access() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// A cast that reinterprets the bytes of a register in memory order.
fn reinterpret() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl Emitter<'_> {
    /// Loads the pointer of each argument from the array that the call passes, and finds the
    /// argument of each output.
    pub(super) fn load_pointers(&mut self, array: ir::Value) {
        let pointer = self.pos.func.dfg.value_type(array);
        let access = MemFlagsData::trusted().with_readonly();
        let signature = self.kernel.signature();
        self.rows = (0..signature.len())
            .map(|i| {
                let offset = i as i32 * pointer.bytes() as i32;
                self.pos.ins().load(pointer, access, array, offset)
            })
            .collect();
        let argument = |output: &Output| {
            signature
                .iter()
                .position(|param| param.slot == output.slot)
                .expect("every output is in the signature")
        };
        self.outputs = self.kernel.outputs.iter().map(argument).collect();
    }

    /// The value of an input for the current group. Inputs come first in the signature, in order.
    pub(super) fn load(&mut self, value: Value) -> ir::Value {
        let (i, ty, rate) = self
            .kernel
            .inputs()
            .enumerate()
            .find(|(_, (input, _))| *input == value)
            .map(|(i, (_, input))| (i, input.ty, input.rate))
            .expect("a verified kernel defines instructions before their use");
        let row = self.rows[i];
        match (ty, rate) {
            (Type::Real, Rate::Uniform) => {
                let shape = self.shape;
                let scalar = self.pos.ins().load(shape.element, row_access(), row, 0);
                self.pos.ins().splat(shape.reals, scalar)
            }
            (Type::Bool, Rate::Uniform) => {
                let element = self.shape.masks.lane_type();
                let byte = self.pos.ins().load(types::I8, row_access(), row, 0);
                let mask = self.pos.ins().bmask(element, byte);
                self.pos.ins().splat(self.shape.masks, mask)
            }
            (Type::Real, Rate::Lane) => self.load_reals(row),
            (Type::Bool, Rate::Lane) => self.load_bools(row),
        }
    }

    /// Writes the value of a node to an argument, for the current group.
    pub(super) fn store(&mut self, argument: usize, node: Value, value: ir::Value) {
        let row = self.rows[argument];
        match self.kernel.ty(node) {
            Type::Real => self.store_reals(row, value),
            Type::Bool => self.store_bools(row, value),
        }
    }

    /// The address of the current group in a row of bytes.
    fn byte_address(&mut self, row: ir::Value) -> ir::Value {
        match self.group {
            Group::Uniform => row,
            Group::Full(lane) | Group::Single(lane) => self.pos.ins().iadd(row, lane),
        }
    }

    /// The address of the current group in a row of reals.
    fn real_address(&mut self, row: ir::Value) -> ir::Value {
        let lane = match self.group {
            Group::Uniform => return row,
            Group::Full(lane) | Group::Single(lane) => lane,
        };
        let offset = match self.offset {
            Some(offset) => offset,
            None => {
                let shift = match self.shape.precision {
                    Precision::F32 => 2,
                    Precision::F64 => 3,
                };
                self.pos.ins().ishl_imm_u(lane, shift)
            }
        };
        self.offset = Some(offset);
        self.pos.ins().iadd(row, offset)
    }

    fn load_reals(&mut self, row: ir::Value) -> ir::Value {
        let (shape, access) = (self.shape, row_access());
        let address = self.real_address(row);
        match self.group {
            Group::Full(_) => self.pos.ins().load(shape.reals, access, address, 0),
            Group::Single(_) | Group::Uniform => {
                let scalar = self.pos.ins().load(shape.element, access, address, 0);
                self.pos.ins().scalar_to_vector(shape.reals, scalar)
            }
        }
    }

    fn store_reals(&mut self, row: ir::Value, value: ir::Value) {
        let address = self.real_address(row);
        let stored = match self.group {
            Group::Full(_) => value,
            Group::Single(_) | Group::Uniform => self.pos.ins().extractlane(value, 0),
        };
        self.pos.ins().store(row_access(), stored, address, 0);
    }

    /// Bytes to masks: widened to the width of a lane, then compared with zero.
    fn load_bools(&mut self, row: ir::Value) -> ir::Value {
        let access = row_access();
        let address = self.byte_address(row);
        let bytes = match (self.group, self.shape.precision) {
            (Group::Full(_), Precision::F32) => self.pos.ins().load(types::I32, access, address, 0),
            (Group::Full(_), Precision::F64) => {
                let pair = self.pos.ins().load(types::I16, access, address, 0);
                self.pos.ins().uextend(types::I32, pair)
            }
            (Group::Single(_) | Group::Uniform, _) => {
                let byte = self.pos.ins().load(types::I8, access, address, 0);
                self.pos.ins().uextend(types::I32, byte)
            }
        };
        let bytes = self.pos.ins().scalar_to_vector(types::I32X4, bytes);
        let bytes = self.pos.ins().bitcast(types::I8X16, reinterpret(), bytes);
        let halves = self.pos.ins().uwiden_low(bytes);
        let words = self.pos.ins().uwiden_low(halves);
        let zero = self.bits(0);
        match self.shape.precision {
            Precision::F32 => self.pos.ins().icmp(IntCC::SignedGreaterThan, words, zero),
            Precision::F64 => {
                let longs = self.pos.ins().uwiden_low(words);
                let none = self.pos.ins().icmp(IntCC::Equal, longs, zero);
                self.pos.ins().bnot(none)
            }
        }
    }

    /// Masks to bytes: narrowed to a byte for each lane, of which one bit is kept.
    fn store_bools(&mut self, row: ir::Value, mask: ir::Value) {
        let access = row_access();
        let address = self.byte_address(row);
        match (self.group, self.shape.precision) {
            (Group::Full(_), Precision::F32) => {
                let halves = self.pos.ins().snarrow(mask, mask);
                let bytes = self.pos.ins().snarrow(halves, halves);
                let words = self.pos.ins().bitcast(types::I32X4, reinterpret(), bytes);
                let word = self.pos.ins().extractlane(words, 0);
                let word = self.pos.ins().band_imm_s(word, 0x0101_0101);
                self.pos.ins().store(access, word, address, 0);
            }
            (Group::Full(_), Precision::F64) => {
                for lane in 0..2u8 {
                    let byte = self.lane_byte(mask, lane);
                    self.pos.ins().store(access, byte, address, i32::from(lane));
                }
            }
            (Group::Single(_) | Group::Uniform, _) => {
                let byte = self.lane_byte(mask, 0);
                self.pos.ins().store(access, byte, address, 0);
            }
        }
    }

    /// The byte 0 or 1 of one lane of a mask.
    fn lane_byte(&mut self, mask: ir::Value, lane: u8) -> ir::Value {
        let element = self.pos.ins().extractlane(mask, lane);
        let byte = self.pos.ins().ireduce(types::I8, element);
        self.pos.ins().band_imm_s(byte, 1)
    }
}
