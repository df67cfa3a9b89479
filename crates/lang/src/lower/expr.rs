//! Expressions to instructions of a kernel.
//!
//! `let`s are written out where they are first used in a phase and shared within it; functions are
//! written out at each call, once per combination of arguments.
//!
//! A function with its own derivatives `f(a) derivative [d₁, …]` becomes
//! `detach(f) + Σ detach(dᵢ)·(aᵢ − detach(aᵢ))`: every bracket is exactly 0 in the forward, so the
//! value is that of f, and the backward sees exactly the given derivatives.

use std::collections::BTreeMap;

use super::{unchecked, unsupported};
use crate::ast::BinaryOp;
use crate::diag::Diagnostic;
use crate::model::builtin::Builtin;
use crate::model::{Expr, ExprKind, Let, Model, Ref, eval, walk};
use crate::span::Span;
use rheobase_ir::builder::Builder;
use rheobase_ir::kernel::{Origin, Role, Slot, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::types::{Rate, Type};

/// A kernel with more nodes than this is refused; the limit only meets functions that call each
/// other many times over.
const MAX_NODES: usize = 1 << 16;

/// What the names of an expression stand for at one point of a step.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub(super) params: Vec<Value>,
    pub(super) ports: Vec<Value>,
    pub(super) states: Vec<Value>,
    /// Spikes as truth values; `None` before they are known.
    pub(super) spikes: Vec<Option<Value>>,
    pub(super) formals: Vec<Value>,
    lets: &'a [Let],
    written: Vec<Option<Value>>,
}

impl<'a> Frame<'a> {
    /// Nothing but these parameters and lets.
    pub(super) fn new(params: Vec<Value>, lets: &'a [Let]) -> Frame<'a> {
        Frame {
            params,
            ports: Vec::new(),
            states: Vec::new(),
            spikes: Vec::new(),
            formals: Vec::new(),
            lets,
            written: vec![None; lets.len()],
        }
    }

    /// The same names with other states: lets are written out again when they are used.
    pub(super) fn at(&self, states: &[Value]) -> Frame<'a> {
        Frame {
            states: states.to_vec(),
            written: vec![None; self.lets.len()],
            ..self.clone()
        }
    }
}

/// Why an expression could not be lowered.
pub(super) type Lowered = Result<Value, Box<Diagnostic>>;

/// Writes expressions into a kernel.
pub(super) struct Writer<'m> {
    pub(super) model: &'m Model,
    pub(super) step_ms: f64,
    pub(super) builder: Builder,
    calls: BTreeMap<(usize, Vec<Value>), Value>,
}

impl<'m> Writer<'m> {
    pub(super) fn new(model: &'m Model, step_ms: f64, name: String) -> Writer<'m> {
        Writer {
            model,
            step_ms,
            builder: Builder::new(name),
            calls: BTreeMap::new(),
        }
    }

    /// The nodes that follow come from this place. The file is 0: positions are offsets in the
    /// address space of the source map, which knows the file.
    pub(super) fn origin(&mut self, span: Span) {
        self.builder.set_origin(Some(Origin {
            file: 0,
            start: span.start,
            end: span.end,
        }));
    }

    /// The words that random numbers are drawn from: the two of a lane's key, and the step.
    pub(super) fn key(&mut self) -> [Value; 3] {
        let words = [
            ("a", Rate::Lane),
            ("b", Rate::Lane),
            ("step", Rate::Uniform),
        ];
        words.map(|(name, rate)| {
            let slot = Slot::new(Role::Key, name);
            let known = self.builder.kernel().input(&slot);
            known.unwrap_or_else(|| self.builder.input(slot, Type::Real, rate))
        })
    }

    /// White noise in a step.
    fn noise(&mut self, index: usize, span: Span) -> Value {
        self.origin(span);
        let [a, b, step] = self.key();
        let h = self.builder.real(self.step_ms);
        self.builder.inst(Op::White(index as u32), &[a, b, step, h])
    }

    /// Writes an expression and the lets that it needs.
    pub(super) fn expr(&mut self, frame: &mut Frame<'_>, expr: &Expr) -> Lowered {
        let lets = frame.lets;
        for i in walk::needed_lets(expr, lets) {
            if frame.written[i].is_none() {
                let value = self.part(frame, &lets[i].value)?;
                self.builder.note(value, &lets[i].name.text);
                frame.written[i] = Some(value);
            }
        }
        let value = self.part(frame, expr)?;
        self.origin(expr.span);
        Ok(value)
    }

    /// Writes an expression whose lets are written.
    fn part(&mut self, frame: &mut Frame<'_>, expr: &Expr) -> Lowered {
        if self.builder.kernel().nodes.len() > MAX_NODES {
            return Err(Box::new(unsupported(
                expr.span,
                format!("a step of more than {MAX_NODES} operations"),
            )));
        }
        let value = match &expr.kind {
            ExprKind::Error => return Err(Box::new(unchecked(expr.span))),
            ExprKind::Number { value, unit } => {
                self.origin(expr.span);
                self.builder.real(value * unit.in_base(self.step_ms))
            }
            ExprKind::Bool(value) => self.builder.truth(*value),
            ExprKind::Ref(name) => return self.name(frame, *name, expr.span),
            ExprKind::Neg(a) => {
                if let ExprKind::Number { value, unit } = &a.kind {
                    self.origin(expr.span);
                    return Ok(self.builder.real(-value * unit.in_base(self.step_ms)));
                }
                let a = self.part(frame, a)?;
                self.origin(expr.span);
                self.builder.neg(a)
            }
            ExprKind::Not(a) => {
                let a = self.part(frame, a)?;
                self.origin(expr.span);
                self.builder.inst(Op::Not, &[a])
            }
            ExprKind::Binary { op, lhs, rhs } => {
                return self.binary(frame, *op, lhs, rhs, expr.span);
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                let cond = self.part(frame, cond)?;
                let then = self.part(frame, then)?;
                let otherwise = self.part(frame, otherwise)?;
                self.origin(expr.span);
                self.choose(cond, then, otherwise)
            }
            ExprKind::Builtin { function, args } => {
                let values = self.parts(frame, args)?;
                self.origin(expr.span);
                self.builtin(*function, &values)
            }
            ExprKind::Call { function, args } => {
                let values = self.parts(frame, args)?;
                self.origin(expr.span);
                return self.call(frame, *function, values);
            }
        };
        Ok(value)
    }

    fn parts(
        &mut self,
        frame: &mut Frame<'_>,
        args: &[Expr],
    ) -> Result<Vec<Value>, Box<Diagnostic>> {
        args.iter().map(|a| self.part(frame, a)).collect()
    }

    fn name(&mut self, frame: &Frame<'_>, name: Ref, span: Span) -> Lowered {
        let found = match name {
            Ref::Const(_) => {
                let nothing = |_: Ref| None;
                let env = eval::Env::new(self.model, Some(self.step_ms), &nothing);
                let expr = Expr {
                    kind: ExprKind::Ref(name),
                    span,
                };
                let value = env.number(&expr).map_err(|_| Box::new(unchecked(span)))?;
                self.origin(span);
                Some(self.builder.real(value))
            }
            Ref::Pi => Some(self.builder.real(std::f64::consts::PI)),
            Ref::Formal(i) => frame.formals.get(i).copied(),
            Ref::Let(i) => frame.written.get(i).copied().flatten(),
            Ref::Param(i) => frame.params.get(i).copied(),
            Ref::Port(i) => frame.ports.get(i).copied(),
            Ref::State(i) => frame.states.get(i).copied(),
            Ref::Spike(i) => {
                let spike = frame.spikes.get(i).copied().flatten();
                self.origin(span);
                spike.map(|s| match self.builder.ty(s) {
                    Type::Bool => self.builder.inst(Op::ToReal, &[s]),
                    Type::Real | Type::Bf16 => s,
                })
            }
            Ref::Noise(i) => Some(self.noise(i, span)),
            Ref::FanIn | Ref::FanOut => None,
        };
        found.ok_or_else(|| Box::new(unchecked(span)))
    }

    fn binary(
        &mut self,
        frame: &mut Frame<'_>,
        op: BinaryOp,
        lhs: &Expr,
        rhs: &Expr,
        span: Span,
    ) -> Lowered {
        if op == BinaryOp::Pow {
            return self.power(frame, lhs, rhs, span);
        }
        let a = self.part(frame, lhs)?;
        let b = self.part(frame, rhs)?;
        self.origin(span);
        let builder = &mut self.builder;
        Ok(match op {
            BinaryOp::Add => builder.add(a, b),
            BinaryOp::Sub => builder.sub(a, b),
            BinaryOp::Mul => builder.mul(a, b),
            BinaryOp::Div => builder.div(a, b),
            BinaryOp::Pow => builder.inst(Op::Pow, &[a, b]),
            BinaryOp::Lt => builder.inst(Op::Lt, &[a, b]),
            BinaryOp::Le => builder.inst(Op::Le, &[a, b]),
            BinaryOp::Gt => builder.inst(Op::Lt, &[b, a]),
            BinaryOp::Ge => builder.inst(Op::Le, &[b, a]),
            BinaryOp::Eq => builder.inst(Op::Eq, &[a, b]),
            BinaryOp::Ne => builder.inst(Op::Ne, &[a, b]),
            BinaryOp::And => builder.inst(Op::And, &[a, b]),
            BinaryOp::Or => builder.inst(Op::Or, &[a, b]),
        })
    }

    /// Small whole exponents become products, 0.5 a square root, others the general power.
    fn power(
        &mut self,
        frame: &mut Frame<'_>,
        base: &Expr,
        exponent: &Expr,
        span: Span,
    ) -> Lowered {
        let nothing = |_: Ref| None;
        let env = eval::Env::new(self.model, Some(self.step_ms), &nothing);
        let constant = env.number(exponent).ok();
        let a = self.part(frame, base)?;
        self.origin(span);
        match constant {
            Some(0.5) => Ok(self.builder.inst(Op::Sqrt, &[a])),
            Some(n) if n.fract() == 0.0 && n.abs() <= 16.0 => {
                let product = self.whole_power(a, n.abs() as u32);
                Ok(if n < 0.0 {
                    let one = self.builder.real(1.0);
                    self.builder.div(one, product)
                } else {
                    product
                })
            }
            Some(_) | None => {
                let b = self.part(frame, exponent)?;
                self.origin(span);
                Ok(self.builder.inst(Op::Pow, &[a, b]))
            }
        }
    }

    /// `a^n` by repeated squaring.
    fn whole_power(&mut self, a: Value, n: u32) -> Value {
        let (mut result, mut square, mut rest) = (None, a, n);
        while rest > 0 {
            if rest & 1 == 1 {
                result = Some(match result {
                    Some(r) => self.builder.mul(r, square),
                    None => square,
                });
            }
            rest >>= 1;
            if rest > 0 {
                square = self.builder.mul(square, square);
            }
        }
        result.unwrap_or_else(|| self.builder.real(1.0))
    }

    /// `cond ? then : otherwise` for numbers and for truth values.
    fn choose(&mut self, cond: Value, then: Value, otherwise: Value) -> Value {
        let builder = &mut self.builder;
        match builder.ty(then) {
            Type::Real | Type::Bf16 => builder.select(cond, then, otherwise),
            Type::Bool => {
                let yes = builder.inst(Op::And, &[cond, then]);
                let not = builder.inst(Op::Not, &[cond]);
                let no = builder.inst(Op::And, &[not, otherwise]);
                builder.inst(Op::Or, &[yes, no])
            }
        }
    }

    fn builtin(&mut self, function: Builtin, args: &[Value]) -> Value {
        let builder = &mut self.builder;
        let a = args[0];
        let op = match function {
            Builtin::Min | Builtin::Max => {
                let op = if function == Builtin::Min {
                    Op::Min
                } else {
                    Op::Max
                };
                return args[1..].iter().fold(a, |x, &y| builder.inst(op, &[x, y]));
            }
            Builtin::Clamp => {
                let low = builder.inst(Op::Max, &[a, args[1]]);
                return builder.inst(Op::Min, &[low, args[2]]);
            }
            Builtin::Relu => {
                let zero = builder.real(0.0);
                return builder.inst(Op::Max, &[a, zero]);
            }
            Builtin::Ceil => {
                let negated = builder.neg(a);
                let floor = builder.inst(Op::Floor, &[negated]);
                return builder.neg(floor);
            }
            Builtin::Abs => Op::Abs,
            Builtin::Exp => Op::Exp,
            Builtin::Expm1 => Op::Expm1,
            Builtin::Log => Op::Log,
            Builtin::Log1p => Op::Log1p,
            Builtin::Sqrt => Op::Sqrt,
            Builtin::Sin => Op::Sin,
            Builtin::Cos => Op::Cos,
            Builtin::Tanh => Op::Tanh,
            Builtin::Sigmoid => Op::Sigmoid,
            Builtin::Softplus => Op::Softplus,
            Builtin::Erf => Op::Erf,
            Builtin::Floor => Op::Floor,
            Builtin::Round => Op::Round,
            Builtin::Sign => Op::Sign,
            Builtin::Detach => Op::Detach,
        };
        builder.inst(op, &[a])
    }

    /// Writes the body of a function at these arguments.
    pub(super) fn call(&mut self, frame: &Frame<'_>, function: usize, args: Vec<Value>) -> Lowered {
        let key = (function, args.clone());
        if let Some(&value) = self.calls.get(&key) {
            return Ok(value);
        }
        let model = self.model;
        let callee = &model.functions[function];
        let mut inner = Frame {
            formals: args.clone(),
            ..Frame::new(frame.params.clone(), &[])
        };
        let mut value = self.part(&mut inner, &callee.body)?;
        if let Some(derivatives) = &callee.derivative {
            value = self.builder.inst(Op::Detach, &[value]);
            for (derivative, &arg) in derivatives.iter().zip(&args) {
                let slope = self.part(&mut inner, derivative)?;
                let slope = self.builder.inst(Op::Detach, &[slope]);
                let fixed = self.builder.inst(Op::Detach, &[arg]);
                let change = self.builder.sub(arg, fixed);
                let term = self.builder.mul(slope, change);
                value = self.builder.add(value, term);
            }
        }
        self.calls.insert(key, value);
        Ok(value)
    }
}
