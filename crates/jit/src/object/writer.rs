//! Writing functions by hand: a place, loops, memory, calls.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, Function, InstBuilder, MemFlagsData, Signature, Type, UserFuncName, Value,
    types,
};
use cranelift_module::{FuncId, Linkage, Module};

use super::Object;
use crate::JitError;

/// Writes one function.
pub(super) struct Writer<'f> {
    /// The place of the next instruction.
    pub(super) pos: FuncCursor<'f>,
    /// The object, for calls.
    pub(super) object: &'f mut Object,
    /// The type of addresses and counts.
    pub(super) pointer: Type,
}

/// Defines a function of some parameters, and a result if there is one, whose instructions `body` writes.
/// `body` gets the parameters and gives the result.
pub(super) fn define(
    object: &mut Object,
    symbol: &str,
    linkage: Linkage,
    signature: Signature,
    body: impl FnOnce(&mut Writer<'_>, &[Value]) -> Option<Value>,
) -> Result<FuncId, JitError> {
    let mut function = Function::with_name_signature(UserFuncName::user(0, 0), signature);
    let entry = function.dfg.make_block();
    function.layout.append_block(entry);
    let types: Vec<Type> = function
        .signature
        .params
        .iter()
        .map(|p| p.value_type)
        .collect();
    let params: Vec<Value> = types
        .into_iter()
        .map(|ty| function.dfg.append_block_param(entry, ty))
        .collect();
    let pointer = object.module.target_config().pointer_type();
    let mut writer = Writer {
        pos: FuncCursor::new(&mut function).at_bottom(entry),
        object: &mut *object,
        pointer,
    };
    let result = body(&mut writer, &params);
    writer.pos.ins().return_(result.as_slice());
    object.define(symbol, linkage, function)
}

impl Object {
    /// A signature in the C convention.
    pub(super) fn signature(&self, params: &[Type], result: Option<Type>) -> Signature {
        let mut signature = self.module.make_signature();
        signature.params = params.iter().map(|&ty| AbiParam::new(ty)).collect();
        signature.returns = result.into_iter().map(AbiParam::new).collect();
        signature
    }

    /// The type of addresses and counts.
    pub(super) fn pointer(&self) -> Type {
        self.module.target_config().pointer_type()
    }
}

impl Writer<'_> {
    /// A count or a distance.
    pub(super) fn count(&mut self, n: usize) -> Value {
        self.pos.ins().iconst(self.pointer, n as i64)
    }

    /// An address so many bytes further.
    pub(super) fn at(&mut self, base: Value, bytes: usize) -> Value {
        match bytes {
            0 => base,
            bytes => self.pos.ins().iadd_imm_s(base, bytes as i64),
        }
    }

    /// `base + index·2^shift`.
    pub(super) fn element(&mut self, base: Value, index: Value, shift: i64) -> Value {
        let offset = self.pos.ins().ishl_imm_u(index, shift);
        self.pos.ins().iadd(base, offset)
    }

    /// Reads a value that need not be aligned.
    pub(super) fn load(&mut self, ty: Type, address: Value, offset: i32) -> Value {
        let access = MemFlagsData::new().with_notrap();
        self.pos.ins().load(ty, access, address, offset)
    }

    /// Writes a value that need not be aligned.
    pub(super) fn store(&mut self, value: Value, address: Value, offset: i32) {
        let access = MemFlagsData::new().with_notrap();
        self.pos.ins().store(access, value, address, offset);
    }

    /// A new block at the end.
    pub(super) fn block(&mut self) -> Block {
        let block = self.pos.func.dfg.make_block();
        self.pos.func.layout.append_block(block);
        block
    }

    /// `body` for every index from `start` below `end`, in steps; goes on after the loop. Gives the first
    /// index that was not taken.
    pub(super) fn repeat(
        &mut self,
        start: Value,
        end: Value,
        step: i64,
        body: impl FnOnce(&mut Self, Value),
    ) -> Value {
        let [head, inside, after] = [(); 3].map(|()| self.block());
        let index = self.pos.func.dfg.append_block_param(head, self.pointer);
        self.pos.ins().jump(head, &[start.into()]);
        self.pos.goto_bottom(head);
        let less = IntCC::UnsignedLessThan;
        let more = self.pos.ins().icmp(less, index, end);
        self.pos.ins().brif(more, inside, &[], after, &[]);
        self.pos.goto_bottom(inside);
        body(self, index);
        let next = self.pos.ins().iadd_imm_s(index, step);
        self.pos.ins().jump(head, &[next.into()]);
        self.pos.goto_bottom(after);
        index
    }

    /// `body` if a value is not zero; goes on after it.
    pub(super) fn when(&mut self, condition: Value, body: impl FnOnce(&mut Self)) {
        let [inside, after] = [(); 2].map(|()| self.block());
        self.pos.ins().brif(condition, inside, &[], after, &[]);
        self.pos.goto_bottom(inside);
        body(self);
        self.pos.ins().jump(after, &[]);
        self.pos.goto_bottom(after);
    }

    /// Calls a function of the object.
    pub(super) fn call(&mut self, function: FuncId, args: &[Value]) {
        let callee = self
            .object
            .module
            .declare_func_in_func(function, self.pos.func);
        self.pos.ins().call(callee, args);
    }

    /// Calls a function of the object for its result.
    pub(super) fn result(&mut self, function: FuncId, args: &[Value]) -> Value {
        let callee = self
            .object
            .module
            .declare_func_in_func(function, self.pos.func);
        let call = self.pos.ins().call(callee, args);
        self.pos.func.dfg.first_result(call)
    }

    /// The lower 32 bits of an index.
    pub(super) fn as_word(&mut self, index: Value) -> Value {
        if self.pointer == types::I32 {
            return index;
        }
        self.pos.ins().ireduce(types::I32, index)
    }

    /// One lane type of floats.
    pub(super) fn float(&mut self, x: f32) -> Value {
        self.pos.ins().f32const(x)
    }

    /// The number of the step, as an index.
    pub(super) fn as_index(&mut self, value: Value) -> Value {
        if self.pos.func.dfg.value_type(value) == self.pointer {
            value
        } else {
            self.pos.ins().uextend(self.pointer, value)
        }
    }
}

/// The register that loops over numbers use.
pub(super) const REGISTER: Type = types::F32X4;
