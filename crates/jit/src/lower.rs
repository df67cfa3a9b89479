//! From a kernel to one Cranelift function: the loop over lanes and what is hoisted out of it.
//!
//! ```text
//! setup:  load every pointer to a uniform argument; compute and store all that is uniform; constants
//!         → rows(the caller's rows, the number of lanes in full groups)
//! rows(pointers, count):  load every pointer to a row;  count > 0 → group(0)  else → rest
//! group(lane):  load, compute, store for 4 (f64: 2) lanes;  next < count → group(next)  else → rest
//! rest:   lanes left over: the first time, copy them to the stack (`tail.rs`) → rows(the copies, 4);
//!         the second time, copy the results back
//! done:   return
//! ```
//!
//! There is one lowering of each op and it is for a whole register. The lanes left over go through the
//! same instructions as all others, so the bits of a lane's result do not depend on how lanes are
//! grouped, the op files know nothing of loops, and the code is half as long as with a second loop. A
//! kernel whose outputs are all uniform is its setup only. Every block is open until the end, so that
//! constants can be added to `setup` while the loop body is being written.
//!
//! In: a verified kernel. Out: a function as described in `abi.rs`. Nodes that no output needs are
//! left out, among them whatever only feeds the surrogate of a spike.

mod calls;
mod draws;
mod live;
mod memory;
mod ops;
mod tail;

use std::collections::BTreeMap;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, AbiParam, Block, FuncRef, InstBuilder, StackSlot, UserFuncName};
use cranelift_module::Module;
use rheobase_ir::kernel::{Def, Kernel, Param, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::types::Rate;

use tail::Tail;

use crate::JitError;
use crate::abi::Precision;
use crate::functions::Function;
use crate::libcalls::Libcall;
use crate::target::Machine;
use crate::vector::Code;

/// What writes one instruction at the current place.
type Insert<'s, 'f> = ir::InsertBuilder<'s, &'s mut FuncCursor<'f>>;

/// Which lanes the instructions being written are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// None in particular: the value is the same for all.
    Uniform,
    /// As many as a register holds, from this one on.
    Full(ir::Value),
}

/// A line of the kernel's text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// The line of a node.
    Node(Value),
    /// The line of an output, by index.
    Output(usize),
}

/// A kernel's function, and which line of the kernel each instruction is for.
pub(crate) struct Lowered {
    /// The function.
    pub(crate) function: ir::Function,
    /// The first instruction written for a line, in the order of writing.
    pub(crate) marks: Vec<(ir::Inst, Line)>,
    /// The vector functions that it calls.
    pub(crate) calls: Vec<Function>,
    /// Whether it calls for matrix exponentials.
    pub(crate) matrices: bool,
}

/// The state of the lowering: where the next instruction goes, and what can be used again.
pub(crate) struct Emitter<'a> {
    pub(crate) kernel: &'a Kernel,
    module: &'a mut dyn Module,
    pub(crate) code: Code<'a>,
    pub(crate) group: Group,
    setup: Block,
    /// The kernel's arguments.
    signature: Vec<Param>,
    /// The pointer of each argument, in the order of the signature.
    rows: Vec<ir::Value>,
    /// For each output the index of its argument.
    outputs: Vec<usize>,
    /// For each node, whether it is uniform.
    rates: Vec<Rate>,
    /// For each node, whether an output needs it, and the instruction that reads it last.
    live: Vec<bool>,
    last_use: Vec<Option<Value>>,
    /// Whether functions are called in the loop too, because the kernel uses many.
    calls: bool,
    /// The value of each node for the current group; uniform ones stay.
    values: Vec<Option<ir::Value>>,
    libcalls: BTreeMap<Libcall, FuncRef>,
    functions: BTreeMap<Function, FuncRef>,
    /// The distance in bytes of the current group from the start of a row of reals.
    offset: Option<ir::Value>,
    /// Matrix exponentials of the current group by their operands.
    exponentials: BTreeMap<Vec<Value>, StackSlot>,
    /// Random numbers of the current group.
    blocks: draws::Blocks,
    marks: Vec<(ir::Inst, Line)>,
}

/// The functions that a loop has written in it are together at most about so many instructions.
const WRITTEN: usize = 120;

/// Lowers a verified kernel.
///
/// # Errors
///
/// The kernel holds an `integrate` or a `white`.
pub(crate) fn lower(
    kernel: &Kernel,
    module: &mut dyn Module,
    machine: Machine,
    precision: Precision,
) -> Result<Lowered, JitError> {
    let pointer = module.target_config().pointer_type();
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(pointer); 2];
    let mut function = ir::Function::with_name_signature(UserFuncName::user(0, 0), signature);

    let setup = function.dfg.make_block();
    function.layout.append_block(setup);
    let [rows, lanes] = [(); 2].map(|()| function.dfg.append_block_param(setup, pointer));

    let live = live::live(kernel);
    let rates = kernel.rates();
    let size: usize = kernel
        .values()
        .filter(|(value, _)| live[value.index()] && rates[value.index()] == Rate::Lane)
        .filter_map(|(_, node)| match &node.def {
            Def::Inst(op, _) => Function::of(*op, precision, machine),
            Def::Input(_) => None,
        })
        .map(Function::size)
        .sum();
    let pos = FuncCursor::new(&mut function).at_bottom(setup);
    let mut emitter = Emitter {
        kernel,
        module,
        code: Code::new(pos, setup, precision, machine),
        group: Group::Uniform,
        setup,
        signature: kernel.signature(),
        rows: vec![rows; kernel.signature().len()],
        outputs: Vec::new(),
        rates,
        last_use: live::last_uses(kernel, &live),
        live,
        calls: size > WRITTEN,
        values: vec![None; kernel.nodes.len()],
        offset: None,
        libcalls: BTreeMap::new(),
        functions: BTreeMap::new(),
        exponentials: BTreeMap::new(),
        blocks: draws::Blocks::new(),
        marks: Vec::new(),
    };
    emitter.find_outputs();
    emitter.load_pointers(rows, Rate::Uniform);
    emitter.body(Rate::Uniform)?;
    if kernel.outputs.iter().any(|o| o.rate == Rate::Lane) {
        emitter.loops(rows, lanes)?;
    }
    emitter.code.pos.ins().return_(&[]);
    let calls = emitter.functions.keys().copied().collect();
    let matrices = !emitter.libcalls.is_empty();
    let marks = emitter.marks;
    Ok(Lowered {
        function,
        marks,
        calls,
        matrices,
    })
}

impl Emitter<'_> {
    /// The loop over groups, run for the full ones and once more for the lanes left over; leaves off in
    /// the block after both.
    fn loops(&mut self, array: ir::Value, total: ir::Value) -> Result<(), JitError> {
        let [rows, group, rest, done] = [(); 4].map(|()| self.code.pos.func.dfg.make_block());
        for block in [rows, group, rest] {
            self.code.pos.func.layout.append_block(block);
        }
        let pointer = self.code.pos.func.dfg.value_type(total);
        let [pointers, count, left] =
            [(); 3].map(|()| self.code.pos.func.dfg.append_block_param(rows, pointer));
        let lane = self.code.pos.func.dfg.append_block_param(group, pointer);
        self.code.pos.goto_bottom(rows);
        self.load_pointers(pointers, Rate::Lane);
        let zero = self.code.pos.ins().iconst(pointer, 0);
        let first = [zero.into()];
        self.code.pos.ins().brif(count, group, &first, rest, &[]);

        self.code.pos.goto_bottom(group);
        self.group = Group::Full(lane);
        self.code.hoist = true;
        self.exponentials.clear();
        self.blocks.clear();
        self.code.forget();
        self.body(Rate::Lane)?;
        let step = i64::from(self.code.shape.lanes);
        let next = self.code.pos.ins().iadd_imm_s(lane, step);
        let less = IntCC::UnsignedLessThan;
        let more = self.code.pos.ins().icmp(less, next, count);
        self.code
            .pos
            .ins()
            .brif(more, group, &[next.into()], rest, &[]);

        // Setup is complete only now: the loop added constants to it.
        self.code.pos.goto_bottom(self.setup);
        let full = self.code.pos.ins().band_imm_s(total, -step);
        let over = self.code.pos.ins().band_imm_s(total, step - 1);
        let args = [array, full, over].map(Into::into);
        self.code.pos.ins().jump(rows, &args);

        self.code.pos.goto_bottom(rest);
        let tail = Tail {
            array,
            full,
            over,
            done,
        };
        self.tail(&tail, rows, pointers, left);
        Ok(())
    }

    /// Computes every live node of a rate and stores the outputs of that rate. Rows are read when a
    /// node first needs them and written after every node is computed, so an argument that is
    /// updated in place is read before it is written.
    fn body(&mut self, rate: Rate) -> Result<(), JitError> {
        let kernel = self.kernel;
        if rate == Rate::Lane {
            for (value, rate) in self.values.iter_mut().zip(&self.rates) {
                if *rate == Rate::Lane {
                    *value = None;
                }
            }
        }
        for (value, node) in kernel.values() {
            if !self.live[value.index()] || self.rates[value.index()] != rate {
                continue;
            }
            match &node.def {
                // Constants are made where they are used.
                Def::Inst(Op::Const(_) | Op::Truth(_), _) => {}
                Def::Inst(op, args) => {
                    self.code.forget();
                    for &operand in live::operands(*op, args) {
                        self.value(operand);
                    }
                    let before = self.last_inst();
                    let result = self.inst(value, *op, args)?;
                    self.mark(before, Line::Node(value));
                    self.values[value.index()] = Some(result);
                }
                // A row is loaded where it is first used, what is uniform before the loop.
                Def::Input(_) if rate == Rate::Uniform => {
                    self.value(value);
                }
                Def::Input(_) => {}
            }
        }
        self.code.forget();
        let outputs: Vec<_> = kernel
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.rate == rate)
            .filter(|(_, output)| kernel.input(&output.slot) != Some(output.value))
            .map(|(i, output)| (i, output, self.value(output.value)))
            .collect();
        for (i, output, value) in outputs {
            let before = self.last_inst();
            self.store(self.outputs[i], output.value, value);
            self.mark(before, Line::Output(i));
        }
        Ok(())
    }

    /// The value of a node for the current group; an input is loaded when it is first asked for.
    pub(crate) fn value(&mut self, value: Value) -> ir::Value {
        if let Def::Inst(Op::Const(literal), _) = self.kernel.node(value).def {
            return self.code.real(literal.value());
        }
        if let Def::Inst(Op::Truth(truth), _) = self.kernel.node(value).def {
            return self.truth(truth);
        }
        if let Some(known) = self.values[value.index()] {
            return known;
        }
        let before = self.last_inst();
        let loaded = self.load(value);
        self.mark(before, Line::Node(value));
        self.values[value.index()] = Some(loaded);
        loaded
    }

    /// The last instruction written in the current block.
    fn last_inst(&self) -> Option<ir::Inst> {
        let block = self.code.pos.current_block()?;
        self.code.pos.func.layout.last_inst(block)
    }

    /// Notes that what was written since `before` is for a line of the kernel.
    fn mark(&mut self, before: Option<ir::Inst>, line: Line) {
        let layout = &self.code.pos.func.layout;
        let first = match before {
            Some(inst) => layout.next_inst(inst),
            None => self
                .code
                .pos
                .current_block()
                .and_then(|block| layout.first_inst(block)),
        };
        if let Some(first) = first {
            self.marks.push((first, line));
        }
    }
}
