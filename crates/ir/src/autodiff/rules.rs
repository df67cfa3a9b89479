//! The derivative rules: for each op, its partial derivative with respect to each operand.
//!
//! One table for both modes. Reverse mode multiplies the adjoint of the result by each partial, forward
//! mode multiplies the tangents of the operands by them. What a boolean means here is explained in
//! [`crate::ops`].

use crate::builder::Builder;
use crate::kernel::Value;
use crate::ops::{Element, Op};

/// A partial derivative, as what it does to a number that is multiplied by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// No derivative passes.
    Zero,
    /// Times 1.
    One,
    /// Times −1.
    MinusOne,
    /// Times a value.
    Times(Value),
    /// Times a boolean: kept where it is true.
    Where(Value),
    /// Times the opposite of a boolean: kept where it is false.
    Unless(Value),
}

impl Partial {
    /// The product with `x`; `None` is zero.
    pub fn times(self, b: &mut Builder, x: Value) -> Option<Value> {
        match self {
            Partial::Zero => None,
            Partial::One => Some(x),
            Partial::MinusOne => Some(b.neg(x)),
            Partial::Times(factor) => Some(b.mul(x, factor)),
            Partial::Where(condition) => {
                let zero = b.real(0.0);
                Some(b.select(condition, x, zero))
            }
            Partial::Unless(condition) => {
                let zero = b.real(0.0);
                Some(b.select(condition, zero, x))
            }
        }
    }
}

/// The partial derivatives of `result = op(args)`; appends what they need.
pub fn partials(b: &mut Builder, op: Op, args: &[Value], result: Value) -> Vec<Partial> {
    use Partial::{MinusOne, One, Times, Unless, Where, Zero};
    match op {
        Op::Const(_) | Op::Truth(_) => vec![],
        Op::Detach | Op::Hold => vec![Zero],
        Op::Uniform(_) | Op::Normal(_) | Op::White(_) => vec![Zero; args.len()],
        Op::Spike(_) | Op::Count => {
            let mut partials = vec![Zero; args.len()];
            partials[0] = Times(args[1]);
            // The primitive holds the margin: what is left is the derivative by the surrogate's shape.
            if let Some(shape) = partials.get_mut(2) {
                *shape = One;
            }
            partials
        }
        // x⁺ ≈ x + h·f is only its first order: the integrators run before differentiation.
        Op::Integrate(_) => vec![One, Times(args[2]), Times(args[1])],
        Op::Expm(element) => expm_partials(b, element, args),
        Op::Phi(k) => {
            let next = b.inst(Op::Phi(k + 1), &[args[0]]);
            let order = b.real(f64::from(k));
            let product = b.mul(order, next);
            vec![Times(b.sub(result, product))]
        }
        Op::Neg => vec![MinusOne],
        Op::Add => vec![One, One],
        Op::Sub => vec![One, MinusOne],
        Op::Mul => vec![Times(args[1]), Times(args[0])],
        Op::Div => {
            let one = b.real(1.0);
            let reciprocal = b.div(one, args[1]);
            let quotient = b.mul(result, reciprocal);
            vec![Times(reciprocal), Times(b.neg(quotient))]
        }
        Op::Fma => vec![Times(args[1]), Times(args[0]), One],
        Op::Min => {
            let first = b.inst(Op::Lt, &[args[0], args[1]]);
            vec![Where(first), Unless(first)]
        }
        Op::Max => {
            let first = b.inst(Op::Lt, &[args[1], args[0]]);
            vec![Where(first), Unless(first)]
        }
        Op::Abs => vec![Times(b.inst(Op::Sign, &[args[0]]))],
        Op::Sign | Op::Floor | Op::Round => vec![Zero],
        Op::Sqrt => {
            let half = b.real(0.5);
            vec![Times(b.div(half, result))]
        }
        Op::Exp => vec![Times(result)],
        Op::Expm1 => {
            let one = b.real(1.0);
            vec![Times(b.add(result, one))]
        }
        Op::Log => vec![Times(reciprocal(b, args[0]))],
        Op::Log1p => {
            let one = b.real(1.0);
            let shifted = b.add(args[0], one);
            vec![Times(reciprocal(b, shifted))]
        }
        Op::Pow => pow_partials(b, args, result),
        Op::Sin => vec![Times(b.inst(Op::Cos, args))],
        Op::Cos => {
            let sine = b.inst(Op::Sin, args);
            vec![Times(b.neg(sine))]
        }
        Op::Tanh => {
            let (one, square) = (b.real(1.0), b.mul(result, result));
            vec![Times(b.sub(one, square))]
        }
        Op::Sigmoid => {
            let square = b.mul(result, result);
            vec![Times(b.sub(result, square))]
        }
        Op::Softplus => vec![Times(b.inst(Op::Sigmoid, args))],
        Op::Erf => {
            let square = b.mul(args[0], args[0]);
            let minus = b.neg(square);
            let bell = b.inst(Op::Exp, &[minus]);
            let factor = b.real(std::f64::consts::FRAC_2_SQRT_PI);
            vec![Times(b.mul(factor, bell))]
        }
        Op::Lt | Op::Le | Op::Eq | Op::Ne => vec![Zero, Zero],
        Op::And => vec![Where(args[1]), Where(args[0])],
        Op::Or => vec![Unless(args[1]), Unless(args[0])],
        Op::Not => vec![MinusOne],
        Op::Select => {
            let difference = b.sub(args[1], args[2]);
            vec![Times(difference), Where(args[0]), Unless(args[0])]
        }
        Op::ToReal => vec![One],
        Op::Narrow | Op::Widen => vec![Zero],
    }
}

fn reciprocal(b: &mut Builder, a: Value) -> Value {
    let one = b.real(1.0);
    b.div(one, a)
}

/// `d(a^b) = b·a^(b−1)·da + a^b·log(a)·db`. The second is 0 for `a` = 0, which is its limit for positive `b`,
/// and for negative `a`, where the power is defined for integers only and has no derivative.
fn pow_partials(b: &mut Builder, args: &[Value], result: Value) -> Vec<Partial> {
    let one = b.real(1.0);
    let lower = b.sub(args[1], one);
    let power = b.inst(Op::Pow, &[args[0], lower]);
    let base = b.mul(args[1], power);
    let log = b.inst(Op::Log, &[args[0]]);
    let zero = b.real(0.0);
    let positive = b.inst(Op::Lt, &[zero, args[0]]);
    let log = b.select(positive, log, zero);
    let exponent = b.mul(result, log);
    vec![Partial::Times(base), Partial::Times(exponent)]
}

/// The derivative of element (r, c) of exp(A) with respect to element (i, j) of A is element (i, n + j) of
/// the exponential of the 2n by 2n block matrix `[[Aᵀ, e_r e_cᵀ], [0, Aᵀ]]` (the Fréchet derivative; Van
/// Loan 1978, Higham 2008, theorem 3.6 and 3.8).
fn expm_partials(b: &mut Builder, element: Element, args: &[Value]) -> Vec<Partial> {
    let n = usize::from(element.n);
    let zero = b.real(0.0);
    let one = b.real(1.0);
    let mut block = vec![zero; 4 * n * n];
    for i in 0..n {
        for j in 0..n {
            block[i * 2 * n + j] = args[j * n + i];
            block[(n + i) * 2 * n + n + j] = args[j * n + i];
        }
    }
    block[usize::from(element.row) * 2 * n + n + usize::from(element.col)] = one;
    let size = element.n * 2;
    let mut partials = Vec::with_capacity(n * n);
    for i in 0..element.n {
        for j in 0..element.n {
            // A matrix entry that is a constant has no gradient; its element is never used and vanishes.
            let op = Op::Expm(Element {
                n: size,
                row: i,
                col: element.n + j,
            });
            partials.push(Partial::Times(b.inst(op, &block)));
        }
    }
    partials
}
