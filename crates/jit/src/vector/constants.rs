//! Constants: in registers for the whole loop while there are registers, else loaded where used.
//!
//! A register-wide constant is a load. The first few that the loop asks for are made before it and
//! stay in registers. More of them would be spilled to the stack and loaded from there, which is no
//! faster than loading the constant itself and costs the register allocator much time; so the rest are
//! loaded by the op that uses them.

use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::{self, ConstantData, InstBuilder};

use super::Code;
use crate::abi::Precision;

/// How many constants are kept in registers: about what one exponential needs, of 16 registers.
const KEPT: usize = 14;

/// A constant by its bits, and whether it is used as reals or as a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Constant {
    bits: u64,
    real: bool,
    precision: Precision,
}

impl Code<'_> {
    /// A real in every lane, rounded to the kernel's precision.
    pub(crate) fn real(&mut self, value: f64) -> ir::Value {
        let bits = match self.shape.precision {
            Precision::F32 => u64::from((value as f32).to_bits()),
            Precision::F64 => value.to_bits(),
        };
        self.constant(bits, true)
    }

    /// A bit pattern in every lane.
    pub(crate) fn bits(&mut self, bits: u64) -> ir::Value {
        self.constant(bits, false)
    }

    fn constant(&mut self, bits: u64, real: bool) -> ir::Value {
        let precision = self.shape.precision;
        let constant = Constant {
            bits,
            real,
            precision,
        };
        let kept = self.kept.get(&constant).filter(|_| self.hoist);
        if let Some(&known) = kept.or(self.local.get(&constant)) {
            return known;
        }
        if self.hoist && self.kept.len() < KEPT {
            let here = self.pos.current_block();
            self.pos.goto_bottom(self.setup);
            let value = self.make(constant);
            if let Some(block) = here {
                self.pos.goto_bottom(block);
            }
            self.kept.insert(constant, value);
            value
        } else {
            let value = self.make(constant);
            self.local.insert(constant, value);
            value
        }
    }

    fn make(&mut self, constant: Constant) -> ir::Value {
        let bytes: Vec<u8> = match self.shape.precision {
            Precision::F32 => (constant.bits as u32).to_le_bytes().repeat(4),
            Precision::F64 => constant.bits.to_le_bytes().repeat(2),
        };
        let ty = if constant.real {
            self.shape.reals
        } else {
            self.shape.masks
        };
        let data = ConstantData::from(bytes.as_slice());
        let data = self.pos.func.dfg.constants.insert(data);
        self.pos.ins().vconst(ty, data)
    }

    /// The sign bit of every lane.
    pub(crate) fn sign_bits(&mut self) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => self.bits(1 << 31),
            Precision::F64 => self.bits(1 << 63),
        }
    }

    /// Every bit but the sign.
    pub(crate) fn magnitude_bits(&mut self) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => self.bits((1 << 31) - 1),
            Precision::F64 => self.bits((1 << 63) - 1),
        }
    }

    /// The bits of reals.
    pub(crate) fn as_bits(&mut self, reals: ir::Value) -> ir::Value {
        let ty = self.shape.masks;
        self.pos.ins().bitcast(ty, ir::MemFlagsData::new(), reals)
    }

    /// Reals of these bits.
    pub(crate) fn as_reals(&mut self, bits: ir::Value) -> ir::Value {
        let ty = self.shape.reals;
        self.pos.ins().bitcast(ty, ir::MemFlagsData::new(), bits)
    }
}
