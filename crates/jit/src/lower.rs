//! From a kernel to one Cranelift function: the loop over lanes and what is hoisted out of it.
//!
//! ```text
//! setup:  load the pointers of all arguments; compute and store all that is uniform; constants
//!         lanes > 0 → group(0)  else → done
//! group(lane):  load, compute, store for some registers of lanes;  next < lanes → group(next)  else → done
//! done:   return
//! ```
//!
//! A register holds 4 lanes (f64: 2). `group.rs` says how many of them a group is and in which order they are
//! computed. The number of lanes is a multiple of a group's: who calls pads the rows, or copies the lanes left over to
//! rows that are long enough ([`Compiled`](crate::Compiled)). So all lanes go through the same instructions, the bits
//! of a lane's result do not depend on where it stands, and the code is half as long as with a second loop.
//!
//! A kernel whose outputs are all uniform is its setup only. Every block is open until the end, so that
//! constants can be added to `setup` while the loop body is being written.
//!
//! In: a verified kernel. Out: a function as described in `abi.rs`. Nodes that no output needs are
//! left out, among them whatever only feeds the surrogate of a spike.

mod calls;
mod draws;
mod group;
mod live;
mod memory;
mod ops;

use std::collections::BTreeMap;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, AbiParam, Block, FuncRef, InstBuilder, StackSlot, UserFuncName};
use cranelift_module::Module;
use rheobase_ir::kernel::{Def, Kernel, Param, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::types::Rate;

use group::Group;
pub(crate) use group::{MOST_REGISTERS, functions};

use crate::JitError;
use crate::abi::Precision;
use crate::functions::{Function, Wide};
use crate::libcalls::Libcall;
use crate::target::Machine;
use crate::vector::Code;

/// What writes one instruction at the current place.
type Insert<'s, 'f> = ir::InsertBuilder<'s, &'s mut FuncCursor<'f>>;

/// Which lanes the instructions being written are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// None in particular: the value is the same for all.
    Uniform,
    /// As many as a register holds, in the group that starts with this one.
    Register(ir::Value),
}

/// What is known of the lanes of one register of the current group.
#[derive(Clone, Default)]
struct Register {
    /// The value of each node; uniform ones are the same in all registers.
    values: Vec<Option<ir::Value>>,
    /// Matrix exponentials by their operands.
    exponentials: BTreeMap<Vec<Value>, StackSlot>,
    /// Random numbers.
    blocks: draws::Blocks,
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
    /// Whether it calls for matrix exponentials.
    pub(crate) matrices: bool,
    /// The number of lanes it is called with is a multiple of this.
    pub(crate) group_lanes: usize,
}

/// The state of the lowering: where the next instruction goes, and what can be used again.
pub(crate) struct Emitter<'a> {
    pub(crate) kernel: &'a Kernel,
    module: &'a mut dyn Module,
    pub(crate) code: Code<'a>,
    pub(crate) lanes: Lanes,
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
    /// The registers of a group, and the order in which they are computed.
    group: Group,
    /// The registers of the current group, and the one that instructions are being written for.
    registers: Vec<Register>,
    current: usize,
    libcalls: BTreeMap<Libcall, FuncRef>,
    functions: BTreeMap<Wide, FuncRef>,
    /// The distance in bytes of the current group from the start of a row of reals.
    offset: Option<ir::Value>,
    marks: Vec<(ir::Inst, Line)>,
}

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
    let group = Group::of(kernel, &live, &rates, precision, machine);
    let pos = FuncCursor::new(&mut function).at_bottom(setup);
    let mut emitter = Emitter {
        kernel,
        module,
        code: Code::new(pos, setup, precision, machine),
        lanes: Lanes::Uniform,
        setup,
        signature: kernel.signature(),
        rows: vec![rows; kernel.signature().len()],
        outputs: Vec::new(),
        rates,
        last_use: live::last_uses(kernel, &live),
        live,
        group,
        registers: vec![Register {
            values: vec![None; kernel.nodes.len()],
            ..Register::default()
        }],
        current: 0,
        libcalls: BTreeMap::new(),
        functions: BTreeMap::new(),
        offset: None,
        marks: Vec::new(),
    };
    emitter.find_outputs();
    emitter.load_pointers(rows);
    emitter.compute(Rate::Uniform)?;
    emitter.store_outputs(Rate::Uniform);
    let loops = kernel.outputs.iter().any(|o| o.rate == Rate::Lane);
    if loops {
        emitter.groups(lanes)?;
    }
    emitter.code.pos.ins().return_(&[]);
    let group_lanes = if loops { emitter.group_lanes() } else { 1 };
    let matrices = !emitter.libcalls.is_empty();
    let marks = emitter.marks;
    Ok(Lowered {
        function,
        marks,
        matrices,
        group_lanes: group_lanes as usize,
    })
}

impl Emitter<'_> {
    /// The loop over groups; leaves off in the block after it.
    fn groups(&mut self, lanes: ir::Value) -> Result<(), JitError> {
        let [group, done] = [(); 2].map(|()| self.code.pos.func.dfg.make_block());
        for block in [group, done] {
            self.code.pos.func.layout.append_block(block);
        }
        let pointer = self.code.pos.func.dfg.value_type(lanes);
        let lane = self.code.pos.func.dfg.append_block_param(group, pointer);
        self.code.pos.goto_bottom(group);
        self.lanes = Lanes::Register(lane);
        self.code.hoist = true;
        self.code.forget();
        self.group()?;
        let step = self.group_lanes();
        let next = self.code.pos.ins().iadd_imm_s(lane, step);
        let less = IntCC::UnsignedLessThan;
        let more = self.code.pos.ins().icmp(less, next, lanes);
        self.code
            .pos
            .ins()
            .brif(more, group, &[next.into()], done, &[]);

        // Setup is complete only now: the loop added constants to it.
        self.code.pos.goto_bottom(self.setup);
        let zero = self.code.pos.ins().iconst(pointer, 0);
        let first = [zero.into()];
        self.code.pos.ins().brif(lanes, group, &first, done, &[]);
        self.code.pos.goto_bottom(done);
        Ok(())
    }

    /// The lanes of a group.
    fn group_lanes(&self) -> i64 {
        i64::from(self.code.shape.lanes) * self.group.registers as i64
    }

    /// Computes and stores a group. A row is read when a node first needs it and written after every node of the
    /// register is computed, so an argument that is updated in place is read before it is written.
    fn group(&mut self) -> Result<(), JitError> {
        let mut uniform = Register {
            values: self.registers[0].values.clone(),
            ..Register::default()
        };
        for (value, rate) in uniform.values.iter_mut().zip(&self.rates) {
            if *rate == Rate::Lane {
                *value = None;
            }
        }
        self.registers = vec![uniform; self.group.registers];
        if self.group.abreast {
            self.compute(Rate::Lane)?;
            for register in 0..self.group.registers {
                self.current = register;
                self.store_outputs(Rate::Lane);
            }
        } else {
            for register in 0..self.group.registers {
                self.current = register;
                self.compute(Rate::Lane)?;
                self.store_outputs(Rate::Lane);
            }
        }
        self.store_truths();
        Ok(())
    }

    /// Computes every live node of a rate, of the current register or, abreast, of all.
    fn compute(&mut self, rate: Rate) -> Result<(), JitError> {
        let kernel = self.kernel;
        for (value, node) in kernel.values() {
            if !self.live[value.index()] || self.rates[value.index()] != rate {
                continue;
            }
            match &node.def {
                // Constants are made where they are used.
                Def::Inst(Op::Const(_) | Op::Truth(_), _) => {}
                Def::Inst(op, args) => {
                    self.code.forget();
                    if rate == Rate::Lane && self.group.abreast {
                        self.abreast(value, *op, args)?;
                    } else {
                        self.node(value, *op, args)?;
                    }
                }
                // A row is loaded where it is first used, what is uniform before the loop.
                Def::Input(_) if rate == Rate::Uniform => {
                    self.value(value);
                }
                Def::Input(_) => {}
            }
        }
        self.code.forget();
        Ok(())
    }

    /// Computes an instruction for the current register.
    fn node(&mut self, value: Value, op: Op, args: &[Value]) -> Result<(), JitError> {
        for &operand in live::operands(op, args) {
            self.value(operand);
        }
        let before = self.last_inst();
        let result = self.inst(value, op, args)?;
        self.mark(before, Line::Node(value));
        self.registers[self.current].values[value.index()] = Some(result);
        Ok(())
    }

    /// Computes an instruction for all registers of a group: by one call if it is a function.
    fn abreast(&mut self, value: Value, op: Op, args: &[Value]) -> Result<(), JitError> {
        if let Some(function) = self.vector_function(op)
            && self.group.calls
            && function.registers(self.group.registers) > 1
        {
            self.call_abreast(value, op, function, args);
            return Ok(());
        }
        for register in 0..self.group.registers {
            self.current = register;
            self.node(value, op, args)?;
        }
        Ok(())
    }

    /// Calls a function for all registers of a group, for as many at once as it can be.
    fn call_abreast(&mut self, value: Value, op: Op, function: Function, args: &[Value]) {
        let registers: Vec<usize> = (0..self.group.registers).collect();
        for some in registers.chunks(function.registers(registers.len())) {
            let draw = matches!(op, Op::Uniform(_) | Op::Normal(_));
            self.current = some[0];
            if draw && self.knows_block(function, args) {
                continue;
            }
            let mut operands = Vec::new();
            for &register in some {
                self.current = register;
                operands.extend(args.iter().map(|&arg| self.value(arg)));
            }
            let before = self.last_inst();
            let results = self.call(function, some.len(), &operands);
            self.mark(before, Line::Node(value));
            for (&register, results) in some.iter().zip(results.chunks(results.len() / some.len()))
            {
                self.current = register;
                if draw {
                    self.keep_block(function, args, results);
                }
                self.registers[register].values[value.index()] = Some(results[0]);
            }
        }
        if let Op::Uniform(stream) | Op::Normal(stream) = op {
            for register in registers {
                self.current = register;
                let number = self.draw(function, stream, args);
                self.registers[register].values[value.index()] = Some(number);
            }
        }
    }

    /// The outputs of a rate that are not rows left as they are: their indices and values.
    fn written(&self, rate: Rate) -> Vec<(usize, Value)> {
        let kernel = self.kernel;
        let outputs = kernel.outputs.iter().enumerate();
        let outputs = outputs.filter(|(_, output)| output.rate == rate);
        let changed = outputs.filter(|(_, o)| kernel.input(&o.slot) != Some(o.value));
        changed.map(|(i, output)| (i, output.value)).collect()
    }

    /// Stores the outputs of a rate for the current register; those that [`Self::store_truths`] stores are left out.
    fn store_outputs(&mut self, rate: Rate) {
        let outputs = self.written(rate);
        let values: Vec<ir::Value> = outputs.iter().map(|(_, v)| self.value(*v)).collect();
        for (&(i, node), value) in outputs.iter().zip(values) {
            if rate == Rate::Lane && self.stored_together(node) {
                continue;
            }
            let before = self.last_inst();
            self.store(self.outputs[i], node, value);
            self.mark(before, Line::Output(i));
        }
    }

    /// Stores the truth values of all registers of a group.
    fn store_truths(&mut self) {
        for (i, node) in self.written(Rate::Lane) {
            if self.stored_together(node) {
                let masks: Vec<ir::Value> = (0..self.group.registers)
                    .map(|register| {
                        self.current = register;
                        self.value(node)
                    })
                    .collect();
                let before = self.last_inst();
                self.store_masks(self.rows[self.outputs[i]], &masks);
                self.mark(before, Line::Output(i));
            }
        }
    }

    /// The value of a node for the current register; an input is loaded when it is first asked for.
    pub(crate) fn value(&mut self, value: Value) -> ir::Value {
        if let Def::Inst(Op::Const(literal), _) = self.kernel.node(value).def {
            return self.code.real(literal.value());
        }
        if let Def::Inst(Op::Truth(truth), _) = self.kernel.node(value).def {
            return self.truth(truth);
        }
        if let Some(known) = self.registers[self.current].values[value.index()] {
            return known;
        }
        let before = self.last_inst();
        let loaded = self.load(value);
        self.mark(before, Line::Node(value));
        self.registers[self.current].values[value.index()] = Some(loaded);
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
