//! One op to its instructions: arithmetic, comparisons, logic, selection; what has its own file is
//! sent there.
//!
//! The forms are those that x86-64 has one instruction for: `a < b ? a : b` is a comparison and a
//! `bitselect` of the same operands (`minps`), a boolean becomes a real by masking 1.0, and the
//! product of a multiply-add starts with the operand whose register dies.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, InstBuilder};
use rheobase_ir::kernel::{Def, Value};
use rheobase_ir::ops::{Edge, Op};
use rheobase_ir::types::Rate;

use super::{Emitter, Insert};
use crate::JitError;
use crate::abi::Precision;
use crate::functions::Function;
use crate::vector;

impl Emitter<'_> {
    /// The value of an instruction for the current register.
    ///
    /// # Errors
    ///
    /// The op is `integrate` or `white`.
    pub(super) fn inst(
        &mut self,
        value: Value,
        op: Op,
        args: &[Value],
    ) -> Result<ir::Value, JitError> {
        Ok(match op {
            Op::Const(literal) => self.code.real(literal.value()),
            Op::Truth(truth) => self.truth(truth),
            Op::Spike(Edge::AtOrAbove) => self.spike(FloatCC::GreaterThanOrEqual, args[0]),
            Op::Spike(Edge::Above) => self.spike(FloatCC::GreaterThan, args[0]),
            Op::Count => self.count(args[0]),
            Op::Detach | Op::Hold => self.value(args[0]),
            Op::Integrate(_) | Op::White(_) => {
                return Err(JitError::Op {
                    kernel: self.kernel.name.clone(),
                    value: value.to_string(),
                    name: op.name(),
                });
            }
            Op::Expm(element) => self.matrix_exponential(element, args),
            Op::Uniform(stream) | Op::Normal(stream) => {
                let function = self.vector_function(op).expect("draws are functions");
                self.draw(function, stream, args)
            }
            Op::Neg => self.neg(args[0]),
            Op::Add => self.binary(args, |ins, a, b| ins.fadd(a, b)),
            Op::Sub => self.binary(args, |ins, a, b| ins.fsub(a, b)),
            Op::Mul => self.binary(args, |ins, a, b| ins.fmul(a, b)),
            Op::Div => self.binary(args, |ins, a, b| ins.fdiv(a, b)),
            Op::Fma => match self.vector_function(op) {
                Some(function) => self.function(function, args),
                None => self.fma(value, args),
            },
            Op::Min => {
                let (a, b) = (self.value(args[0]), self.value(args[1]));
                self.code.min(a, b)
            }
            Op::Max => {
                let (a, b) = (self.value(args[0]), self.value(args[1]));
                self.code.max(a, b)
            }
            Op::Abs => {
                let a = self.value(args[0]);
                self.code.abs(a)
            }
            Op::Sign => self.sign(args[0]),
            Op::Floor => self.apply(args, |code, a| code.floored(a)),
            Op::Round => self.apply(args, |code, a| code.rounded(a)),
            Op::Sqrt => self.unary(args, |ins, a| ins.sqrt(a)),
            Op::Exp
            | Op::Expm1
            | Op::Log
            | Op::Log1p
            | Op::Tanh
            | Op::Sigmoid
            | Op::Softplus
            | Op::Phi(_)
            | Op::Pow
            | Op::Sin
            | Op::Cos
            | Op::Erf => self.special(op, args),
            Op::Lt => self.compare(FloatCC::LessThan, args),
            Op::Le => self.compare(FloatCC::LessThanOrEqual, args),
            Op::Eq => self.compare(FloatCC::Equal, args),
            Op::Ne => self.compare(FloatCC::NotEqual, args),
            Op::And => self.binary(args, |ins, a, b| ins.band(a, b)),
            Op::Or => self.binary(args, |ins, a, b| ins.bor(a, b)),
            Op::Not => self.unary(args, |ins, a| ins.bnot(a)),
            Op::Select => self.select(args),
            Op::ToReal => {
                let one = self.code.real(1.0);
                self.masked(args[0], one)
            }
            Op::Narrow => self.apply(args, |code, a| code.narrowed(a)),
            // It is a real in the register.
            Op::Widen => self.value(args[0]),
        })
    }

    /// All lanes true or all false.
    pub(super) fn truth(&mut self, truth: bool) -> ir::Value {
        let ones = match self.code.shape.precision {
            Precision::F32 => u64::from(u32::MAX),
            Precision::F64 => u64::MAX,
        };
        self.code.bits(if truth { ones } else { 0 })
    }

    fn unary(
        &mut self,
        args: &[Value],
        write: impl FnOnce(Insert<'_, '_>, ir::Value) -> ir::Value,
    ) -> ir::Value {
        let a = self.value(args[0]);
        write(self.code.pos.ins(), a)
    }

    fn binary(
        &mut self,
        args: &[Value],
        write: impl FnOnce(Insert<'_, '_>, ir::Value, ir::Value) -> ir::Value,
    ) -> ir::Value {
        let (a, b) = (self.value(args[0]), self.value(args[1]));
        write(self.code.pos.ins(), a, b)
    }

    /// Something that vector code has for one register.
    fn apply(
        &mut self,
        args: &[Value],
        write: impl FnOnce(&mut vector::Code<'_>, ir::Value) -> ir::Value,
    ) -> ir::Value {
        let a = self.value(args[0]);
        write(&mut self.code, a)
    }

    /// The vector function of an op, if it has one on this machine.
    pub(super) fn vector_function(&self, op: Op) -> Option<Function> {
        Function::of(op, self.code.shape.precision, self.code.machine)
    }

    /// A function with a vector form.
    fn special(&mut self, op: Op, args: &[Value]) -> ir::Value {
        let function = self.vector_function(op).expect("the caller lists the ops");
        self.function(function, args)
    }

    fn spike(&mut self, condition: FloatCC, margin: Value) -> ir::Value {
        let margin = self.value(margin);
        let zero = self.code.real(0.0);
        self.code.pos.ins().fcmp(condition, margin, zero)
    }

    /// The number of spikes at a margin.
    fn count(&mut self, margin: Value) -> ir::Value {
        let margin = self.value(margin);
        let (zero, one) = (self.code.real(0.0), self.code.real(1.0));
        let whole = self.code.pos.ins().floor(margin);
        let number = self.code.pos.ins().fadd(whole, one);
        self.code.max(number, zero)
    }

    fn compare(&mut self, condition: FloatCC, args: &[Value]) -> ir::Value {
        self.binary(args, |ins, a, b| ins.fcmp(condition, a, b))
    }

    /// A negation. Left as such where a multiply-add can absorb it; else the sign bit is flipped with a
    /// constant, which Cranelift would make anew each time.
    fn neg(&mut self, a: Value) -> ir::Value {
        let a = self.value(a);
        let bits = self.code.as_bits(a);
        let sign = self.code.sign_bits();
        let flipped = self.code.pos.ins().bxor(bits, sign);
        self.code.as_reals(flipped)
    }

    /// `a·b + c`, with the operand of the product that is needed no longer in front: its register
    /// receives the result.
    fn fma(&mut self, value: Value, args: &[Value]) -> ir::Value {
        let (mut a, mut b) = (args[0], args[1]);
        if !self.dies(a, value) && self.dies(b, value) {
            (a, b) = (b, a);
        }
        let c = match self.negated(args[2]) {
            Some(c) => {
                let c = self.value(c);
                self.code.pos.ins().fneg(c)
            }
            None => self.value(args[2]),
        };
        let negated = [a, b].map(|x| self.negated(x));
        let operands = match negated {
            [Some(x), None] => [x, b],
            [None, Some(y)] => [a, y],
            [Some(x), Some(y)] => [x, y],
            [None, None] => [a, b],
        }
        .map(|x| self.value(x));
        let [x, y] = operands;
        if negated[0].is_some() != negated[1].is_some() {
            let minus = self.code.pos.ins().fneg(x);
            self.code.pos.ins().fma(minus, y, c)
        } else {
            self.code.pos.ins().fma(x, y, c)
        }
    }

    /// `x` if the value is `neg x`.
    fn negated(&self, value: Value) -> Option<Value> {
        match &self.kernel.node(value).def {
            Def::Inst(Op::Neg, args) => Some(args[0]),
            Def::Inst(..) | Def::Input(_) => None,
        }
    }

    /// Whether `user` is the last to read `value` in a register.
    fn dies(&self, value: Value, user: Value) -> bool {
        self.rates[value.index()] == Rate::Lane && self.last_use[value.index()] == Some(user)
    }

    /// One with the sign of `a`; `a` itself where it is zero or NaN.
    fn sign(&mut self, a: Value) -> ir::Value {
        let a = self.value(a);
        let (zero, one) = (self.code.real(0.0), self.code.real(1.0));
        let magnitude = self.code.abs(a);
        let signed = self.code.with_sign(one, a);
        let nonzero = self.code.pos.ins().fcmp(FloatCC::LessThan, zero, magnitude);
        self.code.choose(nonzero, signed, a)
    }

    /// `x` where the boolean is true, else +0.
    fn masked(&mut self, c: Value, x: ir::Value) -> ir::Value {
        let c = self.value(c);
        self.code.masked(c, x)
    }

    /// `c ? a : b`. A zero arm is a mask. `c ? x − y : x` is `x − (c ? y : 0)`, exactly, because
    /// subtracting +0 changes no number; it needs one instruction less and `y` dies earlier.
    fn select(&mut self, args: &[Value]) -> ir::Value {
        let (c, a, b) = (args[0], args[1], args[2]);
        if self.is_zero(b) {
            let a = self.value(a);
            return self.masked(c, a);
        }
        if self.is_zero(a) {
            let [c, b] = [c, b].map(|x| self.value(x));
            let bits = self.code.as_bits(b);
            let bits = self.code.pos.ins().band_not(bits, c);
            return self.code.as_reals(bits);
        }
        if let Some(y) = self.subtrahend(a, b) {
            let y = self.value(y);
            let y = self.masked(c, y);
            let x = self.value(b);
            return self.code.pos.ins().fsub(x, y);
        }
        let [c, a, b] = [c, a, b].map(|x| self.value(x));
        self.code.choose(c, a, b)
    }

    /// Whether a value is the constant +0.
    fn is_zero(&self, value: Value) -> bool {
        match &self.kernel.node(value).def {
            Def::Inst(Op::Const(literal), _) => {
                let x = literal.value();
                match self.code.shape.precision {
                    Precision::F32 => (x as f32).to_bits() == 0,
                    Precision::F64 => x.to_bits() == 0,
                }
            }
            Def::Inst(..) | Def::Input(_) => false,
        }
    }

    /// `y` if `difference` is `x − y`.
    fn subtrahend(&self, difference: Value, x: Value) -> Option<Value> {
        match &self.kernel.node(difference).def {
            Def::Inst(Op::Sub, args) if args[0] == x => Some(args[1]),
            Def::Inst(..) | Def::Input(_) => None,
        }
    }
}
