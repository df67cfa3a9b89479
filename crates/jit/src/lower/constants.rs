//! Constants, each made once, in the setup block.
//!
//! A register-wide constant costs a load; made in the loop it would be loaded again for every group.
//! Constants of the whole kernel are shared by their bits.

use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::{self, ConstantData, InstBuilder};

use super::Emitter;
use crate::abi::Precision;

impl Emitter<'_> {
    /// A real in every lane, rounded to the kernel's precision.
    pub(super) fn real(&mut self, value: f64) -> ir::Value {
        let bits = match self.shape.precision {
            Precision::F32 => u64::from((value as f32).to_bits()),
            Precision::F64 => value.to_bits(),
        };
        if let Some(&known) = self.reals.get(&bits) {
            return known;
        }
        let pattern = self.bits(bits);
        let value = self.in_setup(|emitter| emitter.as_reals(pattern));
        self.reals.insert(bits, value);
        value
    }

    /// A bit pattern in every lane.
    pub(super) fn bits(&mut self, bits: u64) -> ir::Value {
        if let Some(&known) = self.patterns.get(&bits) {
            return known;
        }
        let bytes: Vec<u8> = match self.shape.precision {
            Precision::F32 => (bits as u32).to_le_bytes().repeat(4),
            Precision::F64 => bits.to_le_bytes().repeat(2),
        };
        let data = ConstantData::from(bytes.as_slice());
        let ty = self.shape.masks;
        let value = self.in_setup(|emitter| {
            let constant = emitter.pos.func.dfg.constants.insert(data);
            emitter.pos.ins().vconst(ty, constant)
        });
        self.patterns.insert(bits, value);
        value
    }

    /// The sign bit of every lane.
    pub(super) fn sign_bits(&mut self) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => self.bits(1 << 31),
            Precision::F64 => self.bits(1 << 63),
        }
    }

    /// Every bit but the sign.
    pub(super) fn magnitude_bits(&mut self) -> ir::Value {
        match self.shape.precision {
            Precision::F32 => self.bits((1 << 31) - 1),
            Precision::F64 => self.bits((1 << 63) - 1),
        }
    }

    /// Writes instructions at the end of the setup block and comes back.
    pub(super) fn in_setup(&mut self, write: impl FnOnce(&mut Self) -> ir::Value) -> ir::Value {
        let here = self.pos.current_block();
        self.pos.goto_bottom(self.setup);
        let value = write(self);
        if let Some(block) = here {
            self.pos.goto_bottom(block);
        }
        value
    }

    /// The bits of reals.
    pub(super) fn as_bits(&mut self, reals: ir::Value) -> ir::Value {
        let ty = self.shape.masks;
        self.pos.ins().bitcast(ty, ir::MemFlagsData::new(), reals)
    }

    /// Reals of these bits.
    pub(super) fn as_reals(&mut self, bits: ir::Value) -> ir::Value {
        let ty = self.shape.reals;
        self.pos.ins().bitcast(ty, ir::MemFlagsData::new(), bits)
    }
}
