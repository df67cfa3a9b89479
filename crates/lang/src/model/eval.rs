//! The value of an expression in base units, in double precision, where its names have values.
//!
//! Used for what must be a number before anything runs: initial values of parameters, bounds,
//! delays, shapes, settings; and for looking at a surrogate or a threshold at chosen points.
//!
//! Functions of the program may call each other so often that writing the value out would take for
//! ever; evaluation stops after [`Env::FUEL`] nodes.

use std::cell::Cell;

use super::builtin::Builtin;
use super::{Expr, ExprKind, Let, Model, Ref, walk};
use crate::ast::BinaryOp;
use crate::span::Span;
use rheobase_ir::real;

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// This name has no value here.
    Name(Ref, Span),
    /// The length of a step is not known here.
    Step(Span),
    /// A number where a truth value is needed, the other way round, or a part that was reported.
    Kind(Span),
    /// It takes too long.
    Fuel(Span),
}

impl EvalError {
    /// Where it is.
    pub fn span(self) -> Span {
        match self {
            EvalError::Name(_, span)
            | EvalError::Step(span)
            | EvalError::Kind(span)
            | EvalError::Fuel(span) => span,
        }
    }
}

/// What the names of an expression stand for.
pub struct Env<'a> {
    model: &'a Model,
    step_ms: Option<f64>,
    lookup: &'a dyn Fn(Ref) -> Option<f64>,
    lets: &'a [Let],
    fuel: Cell<u32>,
    depth: Cell<u32>,
}

#[derive(Clone, Copy)]
enum Value {
    Number(f64),
    Bool(bool),
}

impl<'a> Env<'a> {
    /// Nodes that one evaluation may visit.
    pub const FUEL: u32 = 1 << 16;
    /// Constants that contain `step` may refer to each other this deep.
    const DEPTH: u32 = 32;

    /// Names are looked up with `lookup`; constants of the program are known already.
    pub fn new(
        model: &'a Model,
        step_ms: Option<f64>,
        lookup: &'a dyn Fn(Ref) -> Option<f64>,
    ) -> Env<'a> {
        Env {
            model,
            step_ms,
            lookup,
            lets: &[],
            fuel: Cell::new(Env::FUEL),
            depth: Cell::new(0),
        }
    }

    /// With the `let`s of the item that the expression is in.
    #[must_use]
    pub fn with_lets(self, lets: &'a [Let]) -> Env<'a> {
        Env { lets, ..self }
    }

    /// The value as a number, in base units.
    ///
    /// # Errors
    ///
    /// A name without a value, an unknown step length, an expression that is no number.
    pub fn number(&self, expr: &Expr) -> Result<f64, EvalError> {
        match self.value(expr)? {
            Value::Number(value) => Ok(value),
            Value::Bool(_) => Err(EvalError::Kind(expr.span)),
        }
    }

    /// The value as a truth value.
    ///
    /// # Errors
    ///
    /// As [`Env::number`].
    pub fn truth(&self, expr: &Expr) -> Result<bool, EvalError> {
        match self.value(expr)? {
            Value::Bool(value) => Ok(value),
            Value::Number(_) => Err(EvalError::Kind(expr.span)),
        }
    }

    fn value(&self, expr: &Expr) -> Result<Value, EvalError> {
        self.fuel.set(Env::FUEL);
        if self.lets.is_empty() {
            return self.eval(expr, &[], None);
        }
        let mut values: Vec<Option<Value>> = vec![None; self.lets.len()];
        for i in walk::needed_lets(expr, self.lets) {
            values[i] = Some(self.eval(&self.lets[i].value, &values, None)?);
        }
        self.eval(expr, &values, None)
    }

    fn eval(
        &self,
        expr: &Expr,
        lets: &[Option<Value>],
        formals: Option<&[Value]>,
    ) -> Result<Value, EvalError> {
        let fuel = self.fuel.get().checked_sub(1);
        self.fuel.set(fuel.ok_or(EvalError::Fuel(expr.span))?);
        let eval = |e: &Expr| self.eval(e, lets, formals);
        let number = |e: &Expr| match eval(e)? {
            Value::Number(value) => Ok(value),
            Value::Bool(_) => Err(EvalError::Kind(e.span)),
        };
        let truth = |e: &Expr| match eval(e)? {
            Value::Bool(value) => Ok(value),
            Value::Number(_) => Err(EvalError::Kind(e.span)),
        };
        Ok(match &expr.kind {
            ExprKind::Error => return Err(EvalError::Kind(expr.span)),
            ExprKind::Number { value, unit } => {
                if unit.steps.is_zero() {
                    Value::Number(value * unit.factor)
                } else {
                    let step = self.step_ms.ok_or(EvalError::Step(expr.span))?;
                    Value::Number(value * unit.in_base(step))
                }
            }
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Ref(name) => self.name(*name, expr.span, lets, formals)?,
            ExprKind::Neg(a) => Value::Number(-number(a)?),
            ExprKind::Not(a) => Value::Bool(!truth(a)?),
            ExprKind::Binary { op, lhs, rhs } => match op {
                BinaryOp::And => Value::Bool(truth(lhs)? && truth(rhs)?),
                BinaryOp::Or => Value::Bool(truth(lhs)? || truth(rhs)?),
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::Div
                | BinaryOp::Pow
                | BinaryOp::Lt
                | BinaryOp::Le
                | BinaryOp::Gt
                | BinaryOp::Ge
                | BinaryOp::Eq
                | BinaryOp::Ne => binary(*op, number(lhs)?, number(rhs)?, expr.span)?,
            },
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                if truth(cond)? {
                    eval(then)?
                } else {
                    eval(otherwise)?
                }
            }
            ExprKind::Builtin { function, args } => {
                let args: Vec<f64> = args.iter().map(number).collect::<Result<_, _>>()?;
                Value::Number(builtin(*function, &args))
            }
            ExprKind::Call { function, args } => {
                let args: Vec<Value> = args.iter().map(eval).collect::<Result<_, _>>()?;
                self.eval(&self.model.functions[*function].body, &[], Some(&args))?
            }
        })
    }

    fn name(
        &self,
        name: Ref,
        span: Span,
        lets: &[Option<Value>],
        formals: Option<&[Value]>,
    ) -> Result<Value, EvalError> {
        let missing = EvalError::Name(name, span);
        match (name, formals) {
            (Ref::Pi, _) => Ok(Value::Number(std::f64::consts::PI)),
            (Ref::Formal(i), Some(values)) => values.get(i).copied().ok_or(missing),
            (Ref::Let(i), None) if i < lets.len() => lets[i].ok_or(missing),
            (Ref::Const(i), _) => self.constant(i, span),
            (
                Ref::Formal(_)
                | Ref::Let(_)
                | Ref::Param(_)
                | Ref::Port(_)
                | Ref::State(_)
                | Ref::Spike(_)
                | Ref::Noise(_)
                | Ref::FanIn
                | Ref::FanOut,
                _,
            ) => (self.lookup)(name).map(Value::Number).ok_or(missing),
        }
    }

    /// Constants without `step` were evaluated by the check; the others are few and shallow.
    fn constant(&self, index: usize, span: Span) -> Result<Value, EvalError> {
        let item = &self.model.consts[index];
        if let Some(value) = item.known {
            return Ok(Value::Number(value));
        }
        let depth = self.depth.get() + 1;
        if depth > Env::DEPTH {
            return Err(EvalError::Fuel(span));
        }
        self.depth.set(depth);
        let value = self.eval(&item.value, &[], None);
        self.depth.set(depth - 1);
        value
    }
}

fn binary(op: BinaryOp, a: f64, b: f64, span: Span) -> Result<Value, EvalError> {
    Ok(match op {
        BinaryOp::Add => Value::Number(a + b),
        BinaryOp::Sub => Value::Number(a - b),
        BinaryOp::Mul => Value::Number(a * b),
        BinaryOp::Div => Value::Number(a / b),
        BinaryOp::Pow => Value::Number(real::pow(a, b)),
        BinaryOp::Lt => Value::Bool(a < b),
        BinaryOp::Le => Value::Bool(a <= b),
        BinaryOp::Gt => Value::Bool(a > b),
        BinaryOp::Ge => Value::Bool(a >= b),
        BinaryOp::Eq => Value::Bool(a == b),
        BinaryOp::Ne => Value::Bool(a != b),
        BinaryOp::And | BinaryOp::Or => return Err(EvalError::Kind(span)),
    })
}

/// A function of the language; the number of arguments was checked when the call was resolved.
fn builtin(function: Builtin, args: &[f64]) -> f64 {
    let a = args.first().copied().unwrap_or(f64::NAN);
    let least = |x: f64, y: f64| if x < y { x } else { y };
    let most = |x: f64, y: f64| if x > y { x } else { y };
    match function {
        Builtin::Abs => a.abs(),
        Builtin::Min => args[1..].iter().fold(a, |x, &y| least(x, y)),
        Builtin::Max => args[1..].iter().fold(a, |x, &y| most(x, y)),
        Builtin::Clamp => least(most(a, args[1]), args[2]),
        Builtin::Exp => a.exp(),
        Builtin::Expm1 => a.exp_m1(),
        Builtin::Log => a.ln(),
        Builtin::Log1p => a.ln_1p(),
        Builtin::Sqrt => a.sqrt(),
        Builtin::Sin => a.sin(),
        Builtin::Cos => a.cos(),
        Builtin::Tanh => a.tanh(),
        Builtin::Sigmoid => real::sigmoid(a),
        Builtin::Softplus => real::softplus(a),
        Builtin::Erf => real::erf(a),
        Builtin::Relu => most(a, 0.0),
        Builtin::Floor => a.floor(),
        Builtin::Ceil => a.ceil(),
        Builtin::Round => a.round_ties_even(),
        Builtin::Sign => real::sign(a),
        Builtin::Detach => a,
    }
}
