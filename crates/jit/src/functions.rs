//! The functions of vector mathematics as functions that code can call.
//!
//! A kernel that uses a function once or twice has it written in its loop. A kernel that uses many
//! (an adaptive exponential neuron with sixteen exponentials) calls them instead, and so does
//! everything outside the loop: the instructions are the same, so the results are too, and code is
//! made in a fraction of the time. A loop calls a function for some registers at once: they do not depend on each
//! other, so the machine computes them at the same time where one alone would wait for itself. [`lower_function`] makes the function that is called, and the
//! caller's module says where it is: in the [library](crate::library) of the process, or beside the
//! kernels in an object file.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self, AbiParam, Function as Code, InstBuilder, Signature, UserFuncName,
};
use cranelift_codegen::isa::CallConv;
use rheobase_ir::draws::UNIFORM;
use rheobase_ir::ops::Op;

use crate::abi::Precision;
use crate::target::Machine;
use crate::vector::{self, Shape};

/// A function of one register or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    /// `e^a`.
    Exp,
    /// `e^a − 1`.
    Expm1,
    /// Natural logarithm.
    Log,
    /// `log(1 + a)`.
    Log1p,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e^−a)`.
    Sigmoid,
    /// `log(1 + e^a)`.
    Softplus,
    /// phi_k(a), k ≥ 1.
    Phi(u8),
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// `a^b`.
    Pow,
    /// Error function.
    Erf,
    /// `a·b + c`, rounded once, for a machine without an instruction for it.
    Fma,
    /// The two uniform numbers of a block of this number, of the words of a key and a step.
    Uniforms(u32),
    /// The two normal numbers of such a block.
    Normals(u32),
}

impl Function {
    /// The function of an op, if it has one.
    pub(crate) fn of(op: Op, precision: Precision, machine: Machine) -> Option<Function> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "an op that is not a function of reals has its own lowering in `ops.rs`"
        )]
        match op {
            Op::Exp | Op::Phi(0) => Some(Function::Exp),
            Op::Expm1 => Some(Function::Expm1),
            Op::Log => Some(Function::Log),
            Op::Log1p => Some(Function::Log1p),
            Op::Tanh => Some(Function::Tanh),
            Op::Sigmoid => Some(Function::Sigmoid),
            Op::Softplus => Some(Function::Softplus),
            Op::Phi(k) => Some(Function::Phi(k)),
            Op::Sin => Some(Function::Sin),
            Op::Cos => Some(Function::Cos),
            Op::Pow => Some(Function::Pow),
            Op::Erf => Some(Function::Erf),
            Op::Uniform(stream) => Some(Function::Uniforms(stream / 2)),
            Op::Normal(stream) => Some(Function::Normals(stream / 2)),
            Op::Fma if precision == Precision::F32 && !machine.fused => Some(Function::Fma),
            _ => None,
        }
    }

    /// For how many of some registers one call computes it.
    pub(crate) fn registers(self, wanted: usize) -> usize {
        // Branches are taken for one register, and eight registers are passed and returned in registers.
        let most = if self.branches() { 1 } else { 8 / self.arity() };
        let fits = [4, 2].into_iter().find(|&n| n <= wanted && n <= most);
        fits.unwrap_or(1)
    }

    /// How many registers it gives for each that it computes.
    fn results(self) -> usize {
        match self {
            Function::Uniforms(_) | Function::Normals(_) => 2,
            Function::Exp
            | Function::Expm1
            | Function::Log
            | Function::Log1p
            | Function::Tanh
            | Function::Sigmoid
            | Function::Softplus
            | Function::Phi(_)
            | Function::Sin
            | Function::Cos
            | Function::Pow
            | Function::Erf
            | Function::Fma => 1,
        }
    }

    /// The symbol of the function of one register.
    fn symbol(self, precision: Precision) -> String {
        let name = match self {
            Function::Exp => "exp",
            Function::Expm1 => "expm1",
            Function::Log => "log",
            Function::Log1p => "log1p",
            Function::Tanh => "tanh",
            Function::Sigmoid => "sigmoid",
            Function::Softplus => "softplus",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Pow => "pow",
            Function::Erf => "erf",
            Function::Fma => "fma",
            Function::Phi(k) => &format!("phi{k}"),
            Function::Uniforms(block) => &format!("uniforms{block}"),
            Function::Normals(block) => &format!("normals{block}"),
        };
        format!("rheobase_vector_{name}_{}", suffix(precision))
    }

    /// How many registers it takes.
    fn arity(self) -> usize {
        match self {
            Function::Exp
            | Function::Expm1
            | Function::Log
            | Function::Log1p
            | Function::Tanh
            | Function::Sigmoid
            | Function::Softplus
            | Function::Phi(_)
            | Function::Sin
            | Function::Cos
            | Function::Erf => 1,
            Function::Pow => 2,
            Function::Fma | Function::Uniforms(_) | Function::Normals(_) => 3,
        }
    }

    /// About how many instructions it is written with, for the choice between writing and calling.
    pub(crate) fn size(self) -> usize {
        match self {
            Function::Exp | Function::Fma => 25,
            Function::Expm1 | Function::Tanh => 35,
            Function::Log | Function::Log1p | Function::Sigmoid | Function::Phi(1) => 45,
            Function::Softplus | Function::Erf | Function::Phi(_) => 70,
            Function::Uniforms(_) => 140,
            Function::Sin | Function::Cos | Function::Pow => 200,
            Function::Normals(_) => 250,
        }
    }

    /// Whether it is always called: it is written with branches.
    pub(crate) fn branches(self) -> bool {
        match self {
            Function::Sin | Function::Cos => true,
            Function::Exp
            | Function::Expm1
            | Function::Log
            | Function::Log1p
            | Function::Tanh
            | Function::Sigmoid
            | Function::Softplus
            | Function::Phi(_)
            | Function::Pow
            | Function::Erf
            | Function::Fma
            | Function::Uniforms(_)
            | Function::Normals(_) => false,
        }
    }

    /// Writes its instructions at the current place, for as many registers as there are operands for. The results of
    /// each register in turn.
    pub(crate) fn write(self, code: &mut vector::Code<'_>, args: &[ir::Value]) -> Vec<ir::Value> {
        let blocks = |code: &mut vector::Code<'_>, number| {
            let (keys, _) = args.as_chunks::<3>();
            code.blocks(keys, number)
        };
        let registers = args.chunks_exact(self.arity());
        match self {
            Function::Uniforms(block) => {
                let blocks = blocks(code, UNIFORM | block).into_iter();
                blocks.flat_map(|block| code.uniform_pair(block)).collect()
            }
            Function::Normals(block) => {
                let blocks = blocks(code, block).into_iter();
                blocks.flat_map(|block| code.normal_pair(block)).collect()
            }
            Function::Exp
            | Function::Expm1
            | Function::Log
            | Function::Log1p
            | Function::Tanh
            | Function::Sigmoid
            | Function::Softplus
            | Function::Phi(_)
            | Function::Sin
            | Function::Cos
            | Function::Pow
            | Function::Erf
            | Function::Fma => registers
                .map(|args| {
                    // Constants are loaded again: kept for the next register they would only push others out.
                    code.forget();
                    self.write_one(code, args)
                })
                .collect(),
        }
    }

    /// The instructions of a function of reals for one register.
    fn write_one(self, code: &mut vector::Code<'_>, args: &[ir::Value]) -> ir::Value {
        let precision = code.shape.precision;
        let double = |code: &mut vector::Code<'_>, args: &[ir::Value]| match self {
            Function::Phi(k) => code.phi(k, args[0]),
            Function::Sin => code.sine(args[0], 0, precision),
            Function::Cos => code.sine(args[0], 1, precision),
            Function::Pow => code.power(args[0], args[1], precision),
            Function::Exp => code.exp(args[0]),
            Function::Expm1 => code.expm1(args[0]),
            Function::Log => code.log(args[0]),
            Function::Log1p => code.log1p(args[0]),
            Function::Tanh => code.tanh(args[0]),
            Function::Sigmoid => code.sigmoid(args[0]),
            Function::Softplus => code.softplus(args[0]),
            Function::Erf => code.erf(args[0]),
            Function::Fma => code.fma_to_odd(args),
            Function::Uniforms(_) | Function::Normals(_) => unreachable!("see `write`"),
        };
        match (precision, self) {
            (Precision::F32, Function::Phi(1)) => code.phi1(args[0]),
            (Precision::F32, Function::Phi(2)) => code.phi2(args[0]),
            (
                Precision::F32,
                Function::Phi(_) | Function::Sin | Function::Cos | Function::Pow | Function::Fma,
            ) => code.in_double(args, double),
            (Precision::F32 | Precision::F64, _) => double(code, args),
        }
    }
}

fn suffix(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::F64 => "f64",
    }
}

/// A function for some registers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wide {
    pub(crate) function: Function,
    pub(crate) registers: usize,
}

impl Wide {
    /// The symbol that it is called by.
    pub(crate) fn symbol(self, precision: Precision) -> String {
        let symbol = self.function.symbol(precision);
        match self.registers {
            1 => symbol,
            registers => format!("{symbol}_{registers}"),
        }
    }

    /// The operands of each register in turn, and their results.
    pub(crate) fn signature(self, precision: Precision) -> Signature {
        let register = AbiParam::new(Shape::new(precision).reals);
        let mut signature = Signature::new(CONVENTION);
        signature.params = vec![register; self.function.arity() * self.registers];
        signature.returns = vec![register; self.function.results() * self.registers];
        signature
    }
}

/// The convention of calls between pieces of generated code, the same on every machine: up to eight registers are
/// passed and returned in registers.
const CONVENTION: CallConv = CallConv::Tail;

/// The function as Cranelift IR.
pub(crate) fn lower_function(wide: Wide, precision: Precision, machine: Machine) -> Code {
    let signature = wide.signature(precision);
    let mut lowered = Code::with_name_signature(UserFuncName::user(0, 0), signature);
    let block = lowered.dfg.make_block();
    lowered.layout.append_block(block);
    let reals = Shape::new(precision).reals;
    let arity = wide.function.arity();
    let args: Vec<ir::Value> = (0..arity * wide.registers)
        .map(|_| lowered.dfg.append_block_param(block, reals))
        .collect();
    let pos = FuncCursor::new(&mut lowered).at_bottom(block);
    let mut code = vector::Code::new(pos, block, precision, machine);
    let results = wide.function.write(&mut code, &args);
    code.pos.ins().return_(&results);
    lowered
}
