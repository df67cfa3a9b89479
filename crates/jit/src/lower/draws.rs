//! Random numbers. The two numbers of a block, uniform or normal, are made together and kept for the rest of the register,
//! since the other one is often asked for next.

use std::collections::BTreeMap;

use cranelift_codegen::ir;
use rheobase_ir::kernel::Value;

use super::{Emitter, Lanes};
use crate::functions::Function;

/// Blocks of a register: what they are and their operands, and the two numbers that they give.
pub(super) type Blocks = BTreeMap<(Function, Vec<Value>), [ir::Value; 2]>;

impl Emitter<'_> {
    /// The number of a stream for the current register: one of the two that its block gives.
    pub(super) fn draw(&mut self, function: Function, stream: u32, args: &[Value]) -> ir::Value {
        let key = (function, args.to_vec());
        let pair = match self.registers[self.current].blocks.get(&key) {
            Some(&known) => known,
            None => {
                let operands: Vec<ir::Value> = args.iter().map(|&arg| self.value(arg)).collect();
                let made = if self.group.writes(function, self.lanes != Lanes::Uniform) {
                    function.write(&mut self.code, &operands)
                } else {
                    self.call(function, 1, &operands)
                };
                self.keep_block(function, args, &made)
            }
        };
        pair[(stream % 2) as usize]
    }

    /// Keeps the numbers of a block for the current register.
    pub(super) fn keep_block(
        &mut self,
        function: Function,
        args: &[Value],
        made: &[ir::Value],
    ) -> [ir::Value; 2] {
        let pair = [made[0], made[1]];
        let register = &mut self.registers[self.current];
        register.blocks.insert((function, args.to_vec()), pair);
        pair
    }

    /// Whether the numbers of a block are there for the current register.
    pub(super) fn knows_block(&self, function: Function, args: &[Value]) -> bool {
        let key = (function, args.to_vec());
        self.registers[self.current].blocks.contains_key(&key)
    }
}
