//! Rows and uniform arguments: loads and stores.
//!
//! Booleans are bytes in memory and all-ones or all-zeros lanes in registers. A byte other than 0
//! counts as true when read; only 0 and 1 are written. Numbers in bfloat16 are reals in registers.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};
use rheobase_ir::kernel::{Output, Value};
use rheobase_ir::types::{Rate, Type};

use super::{Emitter, Lanes};
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
    /// Loads the pointer of each argument from an array of pointers.
    pub(super) fn load_pointers(&mut self, array: ir::Value) {
        let pointer = self.code.pos.func.dfg.value_type(array);
        for (i, row) in self.rows.iter_mut().enumerate() {
            let offset = i as i32 * pointer.bytes() as i32;
            let access = MemFlagsData::trusted();
            *row = self.code.pos.ins().load(pointer, access, array, offset);
        }
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

    /// The value of an input for the current register. Inputs come first in the signature, in order.
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
            (Type::Bf16, Rate::Uniform) => {
                let half = self.code.pos.ins().load(types::I16, row_access(), row, 0);
                let half = self.code.pos.ins().uextend(types::I32, half);
                let halves = self.code.pos.ins().splat(types::I32X4, half);
                self.code.lengthened(halves)
            }
            (Type::Real, Rate::Lane) => self.load_reals(row),
            (Type::Bool, Rate::Lane) => self.load_bools(row),
            (Type::Bf16, Rate::Lane) => self.load_halves(row),
        }
    }

    /// Writes the value of a node to an argument, for the current register.
    pub(super) fn store(&mut self, argument: usize, node: Value, value: ir::Value) {
        let row = self.rows[argument];
        match self.kernel.ty(node) {
            Type::Real => self.store_reals(row, value),
            Type::Bool => self.store_bools(row, value),
            Type::Bf16 => self.store_halves(row, value),
        }
    }

    /// The address of the current group in a row of bytes.
    fn byte_address(&mut self, row: ir::Value) -> ir::Value {
        match self.lanes {
            Lanes::Uniform => row,
            Lanes::Register(lane) => self.code.pos.ins().iadd(row, lane),
        }
    }

    /// The address of the current group in a row of reals.
    fn real_address(&mut self, row: ir::Value) -> ir::Value {
        let lane = match self.lanes {
            Lanes::Uniform => return row,
            Lanes::Register(lane) => lane,
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

    /// The distance of the current register from the start of its group in a row of elements of this many bytes.
    fn register_offset(&self, bytes: u32) -> i32 {
        self.current as i32 * i32::from(self.code.shape.lanes) * bytes as i32
    }

    fn load_reals(&mut self, row: ir::Value) -> ir::Value {
        let (shape, access) = (self.code.shape, row_access());
        let address = self.real_address(row);
        let offset = self.register_offset(shape.element.bytes());
        match self.lanes {
            Lanes::Register(_) => {
                let reals = shape.reals;
                self.code.pos.ins().load(reals, access, address, offset)
            }
            Lanes::Uniform => {
                let scalar = self.code.pos.ins().load(shape.element, access, address, 0);
                self.code.pos.ins().scalar_to_vector(shape.reals, scalar)
            }
        }
    }

    fn store_reals(&mut self, row: ir::Value, value: ir::Value) {
        let address = self.real_address(row);
        let offset = self.register_offset(self.code.shape.element.bytes());
        let stored = match self.lanes {
            Lanes::Register(_) => value,
            Lanes::Uniform => self.code.pos.ins().extractlane(value, 0),
        };
        let access = row_access();
        self.code.pos.ins().store(access, stored, address, offset);
    }

    /// The address of the current group in a row of two bytes each, the distance of the current register from it, and
    /// the type of as many as a register has.
    fn half_place(&mut self, row: ir::Value) -> (ir::Value, i32, ir::Type) {
        match self.lanes {
            Lanes::Uniform => (row, 0, types::I16),
            Lanes::Register(lane) => {
                let start = self.code.pos.ins().ishl_imm_u(lane, 1);
                let address = self.code.pos.ins().iadd(row, start);
                let ty = self.code.either(types::I64, types::I32);
                (address, self.register_offset(2), ty)
            }
        }
    }

    /// Upper halves to reals.
    fn load_halves(&mut self, row: ir::Value) -> ir::Value {
        let (address, offset, ty) = self.half_place(row);
        let access = row_access();
        let loaded = self.code.pos.ins().load(ty, access, address, offset);
        let wide = match ty == types::I64 {
            true => loaded,
            false => self.code.pos.ins().uextend(types::I64, loaded),
        };
        let halves = self.code.pos.ins().scalar_to_vector(types::I64X2, wide);
        let halves = self
            .code
            .pos
            .ins()
            .bitcast(types::I16X8, reinterpret(), halves);
        let words = self.code.pos.ins().uwiden_low(halves);
        self.code.lengthened(words)
    }

    /// Reals to upper halves; what is below them is zero.
    fn store_halves(&mut self, row: ir::Value, value: ir::Value) {
        let words = self.code.shortened(value);
        let halves = self.code.pos.ins().snarrow(words, words);
        let (address, offset, ty) = self.half_place(row);
        let stored = match ty == types::I16 {
            true => self.code.pos.ins().extractlane(halves, 0),
            false => {
                let all = if ty == types::I64 {
                    types::I64X2
                } else {
                    types::I32X4
                };
                let all = self.code.pos.ins().bitcast(all, reinterpret(), halves);
                self.code.pos.ins().extractlane(all, 0)
            }
        };
        let access = row_access();
        self.code.pos.ins().store(access, stored, address, offset);
    }

    /// Bytes to masks: widened to the width of a lane, then compared with zero.
    fn load_bools(&mut self, row: ir::Value) -> ir::Value {
        let access = row_access();
        let address = self.byte_address(row);
        let offset = self.register_offset(1);
        let ty = match (self.lanes, self.code.shape.precision) {
            (Lanes::Register(_), Precision::F32) => types::I32,
            (Lanes::Register(_), Precision::F64) => types::I16,
            (Lanes::Uniform, _) => types::I8,
        };
        let mut bytes = self.code.pos.ins().load(ty, access, address, offset);
        if ty != types::I32 {
            bytes = self.code.pos.ins().uextend(types::I32, bytes);
        }
        let bytes = self.code.pos.ins().scalar_to_vector(types::I32X4, bytes);
        let bytes = self.cast(types::I8X16, bytes);
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

    /// The bytes of a register as another type, in memory order.
    fn cast(&mut self, ty: ir::Type, register: ir::Value) -> ir::Value {
        self.code.pos.ins().bitcast(ty, reinterpret(), register)
    }

    /// Whether the truth values of a node are stored for a whole group at once: four registers of masks are one of
    /// bytes.
    pub(super) fn stored_together(&self, node: Value) -> bool {
        let four = self.group.registers == 4 && self.code.shape.precision == Precision::F32;
        four && self.kernel.ty(node) == Type::Bool
    }

    /// Four registers of masks to a register of bytes 0 and 1.
    pub(super) fn store_masks(&mut self, row: ir::Value, masks: &[ir::Value]) {
        let halves: Vec<ir::Value> = masks
            .chunks_exact(2)
            .map(|pair| self.code.pos.ins().snarrow(pair[0], pair[1]))
            .collect();
        let bytes = self.code.pos.ins().snarrow(halves[0], halves[1]);
        let bytes = self.cast(types::I32X4, bytes);
        let ones = self.code.bits(0x0101_0101);
        let bytes = self.code.pos.ins().band(bytes, ones);
        let address = self.byte_address(row);
        self.code.pos.ins().store(row_access(), bytes, address, 0);
    }

    /// Masks to bytes: narrowed to a byte for each lane, of which one bit is kept.
    fn store_bools(&mut self, row: ir::Value, mask: ir::Value) {
        let access = row_access();
        let address = self.byte_address(row);
        let offset = self.register_offset(1);
        match (self.lanes, self.code.shape.precision) {
            (Lanes::Register(_), Precision::F32) => {
                let halves = self.code.pos.ins().snarrow(mask, mask);
                let bytes = self.code.pos.ins().snarrow(halves, halves);
                let words = self.cast(types::I32X4, bytes);
                let word = self.code.pos.ins().extractlane(words, 0);
                let word = self.code.pos.ins().band_imm_s(word, 0x0101_0101);
                self.code.pos.ins().store(access, word, address, offset);
            }
            (Lanes::Register(_), Precision::F64) => {
                for lane in 0..2u8 {
                    let byte = self.lane_byte(mask, lane);
                    let place = offset + i32::from(lane);
                    self.code.pos.ins().store(access, byte, address, place);
                }
            }
            (Lanes::Uniform, _) => {
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
