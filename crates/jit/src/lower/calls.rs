//! Ops that call Rust: one lane at a time, or through memory for the matrix exponential.
//!
//! Where only one lane of the register is in use (a uniform value, a lane left over) only that one
//! is computed. A uniform result is spread over the register again, because the loop uses it whole.

use cranelift_codegen::ir::{
    self, AbiParam, FuncRef, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind,
    Type, types,
};
use cranelift_module::Linkage;
use rheobase_ir::kernel::Value;
use rheobase_ir::ops::Element;

use super::{Emitter, Lanes};
use crate::functions::{Function, Wide};
use crate::libcalls::Libcall;

impl Emitter<'_> {
    /// The number of lanes of the register that are in use.
    fn active(&self) -> u8 {
        match self.lanes {
            Lanes::Register(_) => self.code.shape.lanes,
            Lanes::Uniform => 1,
        }
    }

    /// A vector function of the current register: written here if the loop has few, else called.
    pub(super) fn function(&mut self, function: Function, args: &[Value]) -> ir::Value {
        let operands: Vec<ir::Value> = args.iter().map(|&arg| self.value(arg)).collect();
        if self.group.writes(function, self.lanes != Lanes::Uniform) {
            return function.write(&mut self.code, &operands)[0];
        }
        self.call(function, 1, &operands)[0]
    }

    /// Calls a vector function for some registers at once: their operands one after the other, and their results.
    pub(super) fn call(
        &mut self,
        function: Function,
        registers: usize,
        operands: &[ir::Value],
    ) -> Vec<ir::Value> {
        let callee = self.callee(Wide {
            function,
            registers,
        });
        let call = self.code.pos.ins().call(callee, operands);
        self.code.pos.func.dfg.inst_results(call).to_vec()
    }

    /// The reference to a vector function in this Cranelift function.
    fn callee(&mut self, wide: Wide) -> FuncRef {
        if let Some(&known) = self.functions.get(&wide) {
            return known;
        }
        let precision = self.code.shape.precision;
        let signature = wide.signature(precision);
        let symbol = wide.symbol(precision);
        let id = self
            .module
            .declare_function(&symbol, Linkage::Import, &signature)
            .expect("each symbol is declared once, with one signature");
        let callee = self.module.declare_func_in_func(id, self.code.pos.func);
        self.functions.insert(wide, callee);
        callee
    }

    /// One element of a matrix exponential. Elements of the same matrix share the computation.
    pub(super) fn matrix_exponential(&mut self, element: Element, args: &[Value]) -> ir::Value {
        let reals = self.code.shape.reals;
        let pointer = self.code.pos.func.dfg.value_type(self.rows[0]);
        let slot = match self.registers[self.current].exponentials.get(args) {
            Some(&slot) => slot,
            None => {
                let slot = self.exponentiate(element.n, args, pointer);
                let register = &mut self.registers[self.current];
                register.exponentials.insert(args.to_vec(), slot);
                slot
            }
        };
        let index = i32::from(element.row) * i32::from(element.n) + i32::from(element.col);
        let offset = index * reals.bytes() as i32;
        let address = self.code.pos.ins().stack_addr(pointer, slot, offset);
        if self.lanes == Lanes::Uniform {
            let access = MemFlagsData::trusted();
            let scalar = self.code.shape.element;
            let element = self.code.pos.ins().load(scalar, access, address, 0);
            return self.code.pos.ins().splat(reals, element);
        }
        self.code
            .pos
            .ins()
            .load(reals, MemFlagsData::trusted(), address, 0)
    }

    /// The stack slot that holds `e^A` of the matrix of the operands: a register for each element.
    fn exponentiate(&mut self, n: u8, args: &[Value], pointer: Type) -> StackSlot {
        let width = self.code.shape.reals.bytes();
        let size = args.len() as u32 * width;
        let slots = [(); 2].map(|()| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4);
            self.code.pos.func.create_sized_stack_slot(data)
        });
        for (i, &arg) in args.iter().enumerate() {
            let value = self.value(arg);
            let offset = i as i32 * width as i32;
            let address = self.code.pos.ins().stack_addr(pointer, slots[0], offset);
            self.code
                .pos
                .ins()
                .store(MemFlagsData::trusted(), value, address, 0);
        }
        let [input, output] = slots.map(|slot| self.code.pos.ins().stack_addr(pointer, slot, 0));
        let counts = [
            i64::from(n),
            i64::from(self.code.shape.lanes),
            i64::from(self.active()),
        ]
        .map(|count| self.code.pos.ins().iconst(types::I64, count));
        let params = [pointer, pointer, types::I64, types::I64, types::I64];
        let function = self.libcall(Libcall::Expm, &params, None);
        let [n, lanes, active] = counts;
        self.code
            .pos
            .ins()
            .call(function, &[input, output, n, lanes, active]);
        slots[1]
    }

    /// The reference to a Rust function in this Cranelift function.
    fn libcall(&mut self, libcall: Libcall, params: &[Type], result: Option<Type>) -> FuncRef {
        if let Some(&known) = self.libcalls.get(&libcall) {
            return known;
        }
        let mut signature = self.module.make_signature();
        signature.params = params.iter().map(|&ty| AbiParam::new(ty)).collect();
        signature.returns = result.into_iter().map(AbiParam::new).collect();
        let id = self
            .module
            .declare_function(
                libcall.symbol(self.code.shape.precision),
                Linkage::Import,
                &signature,
            )
            .expect("each symbol is declared once, with one signature");
        let function = self.module.declare_func_in_func(id, self.code.pos.func);
        self.libcalls.insert(libcall, function);
        function
    }
}
