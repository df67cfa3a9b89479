//! From a kernel to one Cranelift function: the loop over lanes and what is hoisted out of it.
//!
//! ```text
//! setup:  load every pointer and uniform argument; compute and store all that is uniform; constants
//!         if at least one full group  → group(0)  else → rest
//! group(lane):  load rows, compute, store rows for 4 (f64: 2) lanes;  next < full → group(next)
//! rest:   lanes left over → single(full)  else → done
//! single(lane): the same for one lane, in the first element of the same registers
//! done:   return
//! ```
//!
//! There is one lowering of each op and it is for a whole register: a single lane runs it with the
//! other elements of the register unused. So the bits of a lane's result do not depend on how lanes
//! are grouped, and the op files know nothing of loops. A kernel whose outputs are all uniform is
//! its setup only. Every block is open until the end, so that constants can be added to `setup` while
//! the loop bodies are being written.
//!
//! In: a verified kernel. Out: a function as described in `abi.rs`. Nodes that no output needs are
//! left out, among them whatever only feeds the surrogate of a spike.

mod calls;
mod constants;
mod exp;
mod live;
mod log;
mod memory;
mod ops;
mod sigmoid;

use std::collections::BTreeMap;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, Block, FuncRef, Function, InstBuilder, StackSlot, Type, UserFuncName, types,
};
use cranelift_module::Module;
use rheobase_ir::kernel::{Def, Kernel, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::types::Rate;

use constants::Constant;

use crate::JitError;
use crate::abi::Precision;
use crate::libcalls::Libcall;

/// The types of a register full of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The precision of reals.
    pub(crate) precision: Precision,
    /// One real.
    pub(crate) element: Type,
    /// A register of reals.
    pub(crate) reals: Type,
    /// A register of integers as wide as the reals; a boolean is one of them, all ones or all zeros.
    pub(crate) masks: Type,
    /// The lanes in a register.
    pub(crate) lanes: u8,
}

impl Shape {
    fn new(precision: Precision) -> Shape {
        match precision {
            Precision::F32 => Shape {
                precision,
                element: types::F32,
                reals: types::F32X4,
                masks: types::I32X4,
                lanes: 4,
            },
            Precision::F64 => Shape {
                precision,
                element: types::F64,
                reals: types::F64X2,
                masks: types::I64X2,
                lanes: 2,
            },
        }
    }
}

/// What writes one instruction at the current place.
type Insert<'s, 'f> = ir::InsertBuilder<'s, &'s mut FuncCursor<'f>>;

/// Which lanes the instructions being written are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// None in particular: the value is the same for all.
    Uniform,
    /// As many as a register holds, from this one on.
    Full(ir::Value),
    /// One, in the first element of the register.
    Single(ir::Value),
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
    pub(crate) function: Function,
    /// The first instruction written for a line, in the order of writing.
    pub(crate) marks: Vec<(ir::Inst, Line)>,
}

/// The state of the lowering: where the next instruction goes, and what can be used again.
pub(crate) struct Emitter<'a> {
    pub(crate) kernel: &'a Kernel,
    module: &'a mut dyn Module,
    pub(crate) pos: FuncCursor<'a>,
    pub(crate) shape: Shape,
    /// The machine has a fused multiply-add.
    pub(crate) fused: bool,
    pub(crate) group: Group,
    setup: Block,
    /// The pointer of each argument, in the order of the signature.
    rows: Vec<ir::Value>,
    /// For each output the index of its argument.
    outputs: Vec<usize>,
    /// For each node, whether it is uniform.
    rates: Vec<Rate>,
    /// For each node, whether an output needs it, and the instruction that reads it last.
    live: Vec<bool>,
    last_use: Vec<Option<Value>>,
    /// The value of each node for the current group; uniform ones stay.
    values: Vec<Option<ir::Value>>,
    /// Constants made before the loop.
    kept: BTreeMap<Constant, ir::Value>,
    /// Constants made for the current node.
    local: BTreeMap<Constant, ir::Value>,
    functions: BTreeMap<Libcall, FuncRef>,
    /// The distance in bytes of the current group from the start of a row of reals.
    offset: Option<ir::Value>,
    /// Matrix exponentials of the current group by their operands.
    exponentials: BTreeMap<Vec<Value>, StackSlot>,
    marks: Vec<(ir::Inst, Line)>,
}

/// Lowers a verified kernel. `fused` tells whether the machine has a fused multiply-add.
///
/// # Errors
///
/// The kernel holds an `integrate`.
pub(crate) fn lower(
    kernel: &Kernel,
    module: &mut dyn Module,
    fused: bool,
    precision: Precision,
) -> Result<Lowered, JitError> {
    let pointer = module.target_config().pointer_type();
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(pointer); 2];
    let mut function = Function::with_name_signature(UserFuncName::user(0, 0), signature);

    let setup = function.dfg.make_block();
    function.layout.append_block(setup);
    let [rows, lanes] = [(); 2].map(|()| function.dfg.append_block_param(setup, pointer));

    let live = live::live(kernel);
    let mut emitter = Emitter {
        kernel,
        module,
        pos: FuncCursor::new(&mut function).at_bottom(setup),
        shape: Shape::new(precision),
        fused,
        group: Group::Uniform,
        setup,
        rows: Vec::new(),
        outputs: Vec::new(),
        rates: kernel.rates(),
        last_use: live::last_uses(kernel, &live),
        live,
        values: vec![None; kernel.nodes.len()],
        kept: BTreeMap::new(),
        local: BTreeMap::new(),
        offset: None,
        functions: BTreeMap::new(),
        exponentials: BTreeMap::new(),
        marks: Vec::new(),
    };
    emitter.load_pointers(rows);
    emitter.body(Rate::Uniform)?;
    if kernel.outputs.iter().any(|o| o.rate == Rate::Lane) {
        emitter.loops(lanes)?;
    }
    emitter.pos.ins().return_(&[]);
    let marks = emitter.marks;
    Ok(Lowered { function, marks })
}

impl Emitter<'_> {
    /// The loop over full groups and the loop over the lanes left over; leaves off in the block after
    /// both.
    fn loops(&mut self, total: ir::Value) -> Result<(), JitError> {
        let [group, rest, single, done] = [(); 4].map(|()| self.pos.func.dfg.make_block());
        for block in [group, rest, single, done] {
            self.pos.func.layout.append_block(block);
        }
        let pointer = self.pos.func.dfg.value_type(total);
        let [lane, last] =
            [group, single].map(|block| self.pos.func.dfg.append_block_param(block, pointer));
        self.group(group, Group::Full(lane));
        self.body(Rate::Lane)?;
        self.group(single, Group::Single(last));
        self.body(Rate::Lane)?;

        // Setup is complete only now: the loops added constants to it.
        self.pos.goto_bottom(self.setup);
        let step = i64::from(self.shape.lanes);
        let full = self.pos.ins().band_imm_s(total, -step);
        let zero = self.pos.ins().iconst(pointer, 0);
        let first = [zero.into()];
        self.pos.ins().brif(full, group, &first, rest, &[]);
        self.pos.goto_bottom(group);
        self.repeat(group, lane, step, full, rest);
        self.pos.goto_bottom(rest);
        let left = self.pos.ins().icmp(IntCC::UnsignedLessThan, full, total);
        self.pos.ins().brif(left, single, &[full.into()], done, &[]);
        self.pos.goto_bottom(single);
        self.repeat(single, last, 1, total, done);
        self.pos.goto_bottom(done);
        Ok(())
    }

    /// Starts writing the block of a group of lanes.
    fn group(&mut self, block: Block, group: Group) {
        self.pos.goto_bottom(block);
        self.group = group;
        self.exponentials.clear();
        self.offset = None;
        self.local.clear();
    }

    /// Ends a loop's block: back to its start with the next lane while there are more below `end`.
    fn repeat(&mut self, block: Block, lane: ir::Value, step: i64, end: ir::Value, after: Block) {
        let next = self.pos.ins().iadd_imm_s(lane, step);
        let more = self.pos.ins().icmp(IntCC::UnsignedLessThan, next, end);
        self.pos.ins().brif(more, block, &[next.into()], after, &[]);
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
                    self.local.clear();
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
        self.local.clear();
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
            return self.real(literal.value());
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
        let block = self.pos.current_block()?;
        self.pos.func.layout.last_inst(block)
    }

    /// Notes that what was written since `before` is for a line of the kernel.
    fn mark(&mut self, before: Option<ir::Inst>, line: Line) {
        let layout = &self.pos.func.layout;
        let first = match before {
            Some(inst) => layout.next_inst(inst),
            None => self
                .pos
                .current_block()
                .and_then(|block| layout.first_inst(block)),
        };
        if let Some(first) = first {
            self.marks.push((first, line));
        }
    }
}
