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
    /// Loads the pointer of each argument of a rate from an array of pointers.
    pub(super) fn load_pointers(&mut self, array: ir::Value, rate: Rate) {
        for i in 0..self.signature.len() {
            if self.signature[i].rate == rate {
                self.rows[i] = self.pointer(array, i);
            }
        }
    }

    /// The pointer of an argument in an array of pointers.
    pub(super) fn pointer(&mut self, array: ir::Value, argument: usize) -> ir::Value {
        let pointer = self.code.pos.func.dfg.value_type(array);
        let offset = argument as i32 * pointer.bytes() as i32;
        let access = MemFlagsData::trusted();
        self.code.pos.ins().load(pointer, access, array, offset)
    }

    /// Finds the argument of each output.
    pub(super) fn find_outputs(&mut self) {
        let argument = |output: &Output| {
            self.signature
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
                let shape = self.code.shape;
                let scalar = self
                    .code
                    .pos
                    .ins()
                    .load(shape.element, row_access(), row, 0);
                self.code.pos.ins().splat(shape.reals, scalar)
            }
            (Type::Bool, Rate::Uniform) => {
                let element = self.code.shape.masks.lane_type();
                let byte = self.code.pos.ins().load(types::I8, row_access(), row, 0);
                let mask = self.code.pos.ins().bmask(element, byte);
                self.code.pos.ins().splat(self.code.shape.masks, mask)
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
            Group::Full(lane) => self.code.pos.ins().iadd(row, lane),
        }
    }

    /// The address of the current group in a row of reals.
    fn real_address(&mut self, row: ir::Value) -> ir::Value {
        let lane = match self.group {
            Group::Uniform => return row,
            Group::Full(lane) => lane,
        };
        let offset = match self.offset {
            Some(offset) => offset,
            None => {
                let shift = match self.code.shape.precision {
                    Precision::F32 => 2,
                    Precision::F64 => 3,
                };
                self.code.pos.ins().ishl_imm_u(lane, shift)
            }
        };
        self.offset = Some(offset);
        self.code.pos.ins().iadd(row, offset)
    }

    fn load_reals(&mut self, row: ir::Value) -> ir::Value {
        let (shape, access) = (self.code.shape, row_access());
        let address = self.real_address(row);
        match self.group {
            Group::Full(_) => self.code.pos.ins().load(shape.reals, access, address, 0),
            Group::Uniform => {
                let scalar = self.code.pos.ins().load(shape.element, access, address, 0);
                self.code.pos.ins().scalar_to_vector(shape.reals, scalar)
            }
        }
    }

    fn store_reals(&mut self, row: ir::Value, value: ir::Value) {
        let address = self.real_address(row);
        let stored = match self.group {
            Group::Full(_) => value,
            Group::Uniform => self.code.pos.ins().extractlane(value, 0),
        };
        self.code.pos.ins().store(row_access(), stored, address, 0);
    }

    /// Bytes to masks: widened to the width of a lane, then compared with zero.
    fn load_bools(&mut self, row: ir::Value) -> ir::Value {
        let access = row_access();
        let address = self.byte_address(row);
        let bytes = match (self.group, self.code.shape.precision) {
            (Group::Full(_), Precision::F32) => {
                self.code.pos.ins().load(types::I32, access, address, 0)
            }
            (Group::Full(_), Precision::F64) => {
                let pair = self.code.pos.ins().load(types::I16, access, address, 0);
                self.code.pos.ins().uextend(types::I32, pair)
            }
            (Group::Uniform, _) => {
                let byte = self.code.pos.ins().load(types::I8, access, address, 0);
                self.code.pos.ins().uextend(types::I32, byte)
            }
        };
        let bytes = self.code.pos.ins().scalar_to_vector(types::I32X4, bytes);
        let bytes = self
            .code
            .pos
            .ins()
            .bitcast(types::I8X16, reinterpret(), bytes);
        let halves = self.code.pos.ins().uwiden_low(bytes);
        let words = self.code.pos.ins().uwiden_low(halves);
        let zero = self.code.bits(0);
        match self.code.shape.precision {
            Precision::F32 => self
                .code
                .pos
                .ins()
                .icmp(IntCC::SignedGreaterThan, words, zero),
            Precision::F64 => {
                let longs = self.code.pos.ins().uwiden_low(words);
                let none = self.code.pos.ins().icmp(IntCC::Equal, longs, zero);
                self.code.pos.ins().bnot(none)
            }
        }
    }

    /// Masks to bytes: narrowed to a byte for each lane, of which one bit is kept.
    fn store_bools(&mut self, row: ir::Value, mask: ir::Value) {
        let access = row_access();
        let address = self.byte_address(row);
        match (self.group, self.code.shape.precision) {
            (Group::Full(_), Precision::F32) => {
                let halves = self.code.pos.ins().snarrow(mask, mask);
                let bytes = self.code.pos.ins().snarrow(halves, halves);
                let words = self
                    .code
                    .pos
                    .ins()
                    .bitcast(types::I32X4, reinterpret(), bytes);
                let word = self.code.pos.ins().extractlane(words, 0);
                let word = self.code.pos.ins().band_imm_s(word, 0x0101_0101);
                self.code.pos.ins().store(access, word, address, 0);
            }
            (Group::Full(_), Precision::F64) => {
                for lane in 0..2u8 {
                    let byte = self.lane_byte(mask, lane);
                    self.code
                        .pos
                        .ins()
                        .store(access, byte, address, i32::from(lane));
                }
            }
            (Group::Uniform, _) => {
                let byte = self.lane_byte(mask, 0);
                self.code.pos.ins().store(access, byte, address, 0);
            }
        }
    }

    /// The byte 0 or 1 of one lane of a mask.
    fn lane_byte(&mut self, mask: ir::Value, lane: u8) -> ir::Value {
        let element = self.code.pos.ins().extractlane(mask, lane);
        let byte = self.code.pos.ins().ireduce(types::I8, element);
        self.code.pos.ins().band_imm_s(byte, 1)
    }
}
