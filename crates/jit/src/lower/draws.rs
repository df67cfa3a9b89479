//! Random numbers. The two numbers of a block, uniform or normal, are made together and kept for the rest of the register,
//! since the other one is often asked for next.

use std::collections::BTreeMap;

use cranelift_codegen::ir;
use rheobase_ir::draws::UNIFORM;
use rheobase_ir::kernel::Value;

use super::Emitter;
use crate::vector::Code;

/// Blocks of a register: their operands and number, and the two numbers that they give.
pub(super) type Blocks = BTreeMap<(Vec<Value>, u32), [ir::Value; 2]>;

impl Emitter<'_> {
    /// `uniform.stream`.
    pub(super) fn uniform(&mut self, stream: u32, args: &[Value]) -> ir::Value {
        let number = UNIFORM | (stream / 2);
        self.of_block(stream, args, number, |code, block| code.uniform_pair(block))
    }

    /// `normal.stream`.
    pub(super) fn normal(&mut self, stream: u32, args: &[Value]) -> ir::Value {
        let number = stream / 2;
        self.of_block(stream, args, number, |code, block| code.normal_pair(block))
    }

    /// The number of a stream: one of the two that its block gives.
    fn of_block(
        &mut self,
        stream: u32,
        args: &[Value],
        number: u32,
        pair: fn(&mut Code<'_>, [ir::Value; 2]) -> [ir::Value; 2],
    ) -> ir::Value {
        let key = (args.to_vec(), number);
        let pair = match self.registers[self.current].blocks.get(&key) {
            Some(&known) => known,
            None => {
                let operands = [args[0], args[1], args[2]].map(|arg| self.value(arg));
                let block = self.code.block(operands, number);
                let made = pair(&mut self.code, block);
                self.registers[self.current].blocks.insert(key, made);
                made
            }
        };
        pair[(stream % 2) as usize]
    }
}
