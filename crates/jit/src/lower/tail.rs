//! The lanes left over: fewer than a group has, at the end of the rows.
//!
//! They are copied to the stack, repeated to fill a group, run through the loop like a full group
//! and copied back. So the loop is written once, and no row is read or written past its last lane.

use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, Block, BlockArg, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind,
    Type, types,
};
use rheobase_ir::kernel::Access;
use rheobase_ir::types::{Rate, Type as ValueType};

use super::Emitter;

/// The bytes of a register.
const REGISTER: u32 = 16;

/// What the code after the loop needs to know.
pub(super) struct Tail {
    /// The caller's array of pointers.
    pub(super) array: ir::Value,
    /// The number of lanes in full groups.
    pub(super) full: ir::Value,
    /// The number of lanes left over.
    pub(super) over: ir::Value,
    /// The block that returns.
    pub(super) done: Block,
}

impl Emitter<'_> {
    /// After the loop over the caller's rows: copies what is left over and runs `rows` on the copies.
    /// After the loop over those: copies the results back. Goes on at `done`.
    pub(super) fn tail(&mut self, tail: &Tail, rows: Block, pointers: ir::Value, left: ir::Value) {
        let [check, fill, again, back] = [(); 4].map(|()| self.code.pos.func.dfg.make_block());
        for block in [check, fill, again, back, tail.done] {
            self.code.pos.func.layout.append_block(block);
        }
        let pointer = self.code.pos.func.dfg.value_type(left);
        let lanes: Vec<usize> = (0..self.signature.len())
            .filter(|&i| self.signature[i].rate == Rate::Lane)
            .collect();
        let copies = self.slot(self.room() * lanes.len() as u32, 4);
        let array = self.slot(pointer.bytes() * self.signature.len() as u32, 3);
        let [filled, returned] =
            [fill, back].map(|block| self.code.pos.func.dfg.append_block_param(block, pointer));
        let start: [BlockArg; 1] = [self.code.pos.ins().iconst(pointer, 0).into()];
        self.code.pos.ins().brif(left, fill, &start, check, &[]);

        self.code.pos.goto_bottom(check);
        let same = self.code.pos.ins().icmp(IntCC::Equal, pointers, tail.array);
        let start: [BlockArg; 1] = [self.code.pos.ins().iconst(pointer, 0).into()];
        self.code.pos.ins().brif(same, tail.done, &[], back, &start);

        self.code.pos.goto_bottom(fill);
        let last = self.code.pos.ins().iadd_imm_s(tail.over, -1);
        let repeated = self.code.pos.ins().umin(filled, last);
        let source = self.code.pos.ins().iadd(tail.full, repeated);
        for (copy, &i) in lanes.iter().enumerate() {
            if self.signature[i].access != Access::Write {
                let place = self.copy(copies, copy, pointer);
                self.move_element(i, (self.rows[i], source), (place, filled));
            }
        }
        let width = self.group_lanes();
        self.repeat(fill, filled, width, None, again);

        self.code.pos.goto_bottom(again);
        for (copy, &i) in lanes.iter().enumerate() {
            let place = self.copy(copies, copy, pointer);
            let offset = i as i32 * pointer.bytes() as i32;
            let slot = self.code.pos.ins().stack_addr(pointer, array, offset);
            let access = MemFlagsData::trusted();
            self.code.pos.ins().store(access, place, slot, 0);
        }
        let array = self.code.pos.ins().stack_addr(pointer, array, 0);
        let [count, none] = [width, 0].map(|n| self.code.pos.ins().iconst(pointer, n));
        let args: [BlockArg; 3] = [array, count, none].map(Into::into);
        self.code.pos.ins().jump(rows, &args);

        self.code.pos.goto_bottom(back);
        let target = self.code.pos.ins().iadd(tail.full, returned);
        for (copy, &i) in lanes.iter().enumerate() {
            if self.signature[i].access != Access::Read {
                let place = self.copy(copies, copy, pointer);
                let row = self.pointer(tail.array, i);
                self.move_element(i, (place, returned), (row, target));
            }
        }
        self.repeat(back, returned, 0, Some(tail.over), tail.done);
        self.code.pos.goto_bottom(tail.done);
    }

    fn slot(&mut self, size: u32, align: u8) -> StackSlot {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, size, align);
        self.code.pos.func.create_sized_stack_slot(data)
    }

    /// The bytes of the copy of a row: a group of reals.
    fn room(&self) -> u32 {
        REGISTER * self.group.registers as u32
    }

    /// The address of the copy of a row.
    fn copy(&mut self, copies: StackSlot, copy: usize, pointer: Type) -> ir::Value {
        let offset = copy as i32 * self.room() as i32;
        self.code.pos.ins().stack_addr(pointer, copies, offset)
    }

    /// Copies one element of an argument from a row and lane to another.
    fn move_element(
        &mut self,
        argument: usize,
        from: (ir::Value, ir::Value),
        to: (ir::Value, ir::Value),
    ) {
        let (ty, shift) = match self.signature[argument].ty {
            ValueType::Bool => (types::I8, 0),
            ValueType::Bf16 => (types::I16, 1),
            ValueType::Real => self.code.either((types::I32, 2), (types::I64, 3)),
        };
        let [from, to] = [from, to].map(|(row, lane)| {
            let offset = self.code.pos.ins().ishl_imm_u(lane, shift);
            self.code.pos.ins().iadd(row, offset)
        });
        let access = MemFlagsData::new().with_notrap();
        let element = self.code.pos.ins().load(ty, access, from, 0);
        self.code.pos.ins().store(access, element, to, 0);
    }

    /// Ends a loop's block: back to its start with the next lane while there are more below the end.
    fn repeat(
        &mut self,
        block: Block,
        lane: ir::Value,
        count: i64,
        end: Option<ir::Value>,
        after: Block,
    ) {
        let next = self.code.pos.ins().iadd_imm_s(lane, 1);
        let less = IntCC::UnsignedLessThan;
        let more = match end {
            Some(end) => self.code.pos.ins().icmp(less, next, end),
            None => self.code.pos.ins().icmp_imm_u(less, next, count),
        };
        self.code
            .pos
            .ins()
            .brif(more, block, &[next.into()], after, &[]);
    }
}
