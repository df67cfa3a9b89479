//! The op table: every operation a kernel can contain, with its operand types, its result and
//! the way it behaves under differentiation.
//!
//! Verifier, interpreter, derivative rules and machine-code lowering match on [`Op`] without a
//! catch-all arm, so a new op does not compile until each of them knows it. Most ops carry no data
//! and are one row of the table below; [`PLAIN`] lists them for tests that must not forget one.
//!
//! **Booleans and gradients.** A spike is a `bool`, and the backward needs its gradient. Every op on
//! booleans is therefore given its polynomial extension to the interval [0, 1]: `and` is `a·b`, `or`
//! is `a + b − a·b`, `not` is `1 − a`, `select c, a, b` is `b + c·(a − b)`. On 0 and 1 these are the
//! ordinary operations; their derivatives are the rules of [`crate::autodiff`]; and the smoothed
//! program that gradients are checked against is the same kernel with spikes between 0 and 1.

use std::fmt;

use crate::types::Type;
use Type::{Bf16, Bool, Real};

/// How an op behaves under differentiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Differentiable wherever it is defined.
    Smooth,
    /// Differentiable except on a set of measure zero, where a one-sided derivative is used.
    Kinked,
    /// Derivative zero wherever it exists: no gradient passes.
    Flat,
    /// The derivative is not that of the value: `spike`, `count`, `detach` and `hold`.
    Gate,
    /// A random number: a hash of its operands, without a derivative.
    Random,
}

/// A 64-bit literal compared and hashed by its bits, so that `-0.0`, `0.0` and NaN stay apart. There is one NaN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal(u64);

impl Literal {
    /// The number.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for Literal {
    fn from(value: f64) -> Self {
        // Which NaN it was cannot be written down, so it must not make two kernels differ.
        let value = if value.is_nan() { f64::NAN } else { value };
        Literal(value.to_bits())
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value(), f)
    }
}

/// Whether a margin of exactly zero spikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edge {
    /// `u >= 0` spikes (`spike when v >= v_th`).
    AtOrAbove,
    /// `u > 0` spikes (`spike when v > v_th`).
    Above,
}

/// How one state of an ODE system is advanced by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Exact for linear systems with coefficients that are constant in the step; else
    /// exponential Euler. What was taken is reported by [`crate::integrate::integrate`].
    Auto,
    /// The propagator of the linear system (Rotter & Diesmann 1999).
    Exact,
    /// Exponential Euler; Rosenbrock–Euler where the equation is non-linear in its own state.
    ExpEuler,
    /// Forward Euler with this many equal substeps.
    Euler(u32),
    /// Heun's second-order method.
    Heun,
    /// The classical fourth-order Runge–Kutta method with this many equal substeps.
    Rk4(u32),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Auto => f.write_str("auto"),
            Method::Exact => f.write_str("exact"),
            Method::ExpEuler => f.write_str("exp_euler"),
            Method::Euler(1) => f.write_str("euler"),
            Method::Euler(n) => write!(f, "euler({n})"),
            Method::Heun => f.write_str("heun"),
            Method::Rk4(1) => f.write_str("rk4"),
            Method::Rk4(n) => write!(f, "rk4({n})"),
        }
    }
}

/// Which element of a matrix exponential an `expm` yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// The matrix is `n` by `n`; its operands are listed row by row.
    pub n: u8,
    /// Row of the element, from 0.
    pub row: u8,
    /// Column of the element, from 0.
    pub col: u8,
}

/// The operands an op takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// Exactly these types.
    Fixed(&'static [Type]),
    /// Any number of reals, at least this many.
    Reals(usize),
    /// One operand of either type; the result has the same type.
    Any,
}

macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident $text:literal ($($arg:ident),*) -> $out:ident, $class:ident;)*) => {
        /// One operation. See the module page for what booleans mean under differentiation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op {
            /// A real constant, rounded to the executor's precision.
            Const(Literal),
            /// A boolean constant.
            Truth(bool),
            /// `spike u, d` or `spike u, d, p`: true where the margin `u` reaches zero. In the backward
            /// its derivative with respect to `u` is `d`, the surrogate derivative at `u`, and that with
            /// respect to `p`, the surrogate's primitive at `hold u`, is 1: what shapes the surrogate
            /// gets the derivative of the smoothed spike. Where gradients are checked `p` is the value.
            /// The operand `d` gets no gradient through the spike.
            Spike(Edge),
            /// The margin as the primitive of its spike reads it: a constant for the backward, since the
            /// spike has its surrogate derivative for the margin, but not where `p` is the spike.
            Hold,
            /// `count u, d`: the number of spikes ⌊u⌋ + 1 at a margin `u` in units of the threshold, 0 below it. As of a
            /// `spike`, its derivative by `u` is `d`, whatever `d` is.
            Count,
            /// The value of its operand, of either type; a constant for the backward.
            Detach,
            /// `integrate x, f, h`: the state `x` after a step of length `h` of `x' = f`. All
            /// `integrate` of a kernel are one system and advance together. Only before
            /// [`crate::integrate::integrate`], which replaces them.
            Integrate(Method),
            /// One element of the exponential of the n by n matrix of its operands.
            Expm(Element),
            /// `phi_k`: phi_0 = exp, phi_k(z) = (phi_{k-1}(z) − 1/(k−1)!)/z, at 0: 1/k!. The derivative is
            /// phi_k' = phi_k − k·phi_{k+1} (Hochbruck & Ostermann 2010, eq. 2.10).
            Phi(u8),
            /// `uniform.k a, b, t`: a random number of 0 ≤ x < 1, a hash of stream k and the words of its operands: the
            /// key (a, b) of a lane and a step t (see [`crate::draws`]).
            Uniform(u32),
            /// `normal.k a, b, t`: the same with a standard normal distribution.
            Normal(u32),
            /// `white.k a, b, t, h`: white noise in a step of length `h`. In an equation it becomes what the equation's
            /// method makes of it, elsewhere `normal.k/√h`. Only before [`crate::integrate::integrate`].
            White(u32),
            $($(#[doc = $doc])+ $name,)*
        }

        /// Every op that carries no data, in table order.
        pub const PLAIN: &[Op] = &[$(Op::$name),*];

        impl Op {
            /// The op's word in the text form.
            pub fn name(self) -> &'static str {
                match self {
                    Op::Const(_) => "const",
                    Op::Truth(_) => "truth",
                    Op::Spike(Edge::AtOrAbove) => "spike.ge",
                    Op::Spike(Edge::Above) => "spike.gt",
                    Op::Count => "count",
                    Op::Detach => "detach",
                    Op::Hold => "hold",
                    Op::Integrate(_) => "integrate",
                    Op::Expm(_) => "expm",
                    Op::Phi(_) => "phi",
                    Op::Uniform(_) => "uniform",
                    Op::Normal(_) => "normal",
                    Op::White(_) => "white",
                    $(Op::$name => $text,)*
                }
            }

            /// What follows the word in the text form, for ops that carry data.
            pub fn data(self) -> Option<String> {
                match self {
                    Op::Const(literal) => Some(format!(" {:?}", literal.value())),
                    Op::Truth(value) => Some(format!(" {value}")),
                    Op::Phi(k) => Some(format!(".{k}")),
                    Op::Uniform(k) | Op::Normal(k) | Op::White(k) => Some(format!(".{k}")),
                    Op::Expm(Element { n, row, col }) => Some(format!(".{n}.{row}.{col}")),
                    Op::Integrate(method) => Some(format!(".{method}")),
                    Op::Spike(_) | Op::Count | Op::Detach | Op::Hold => None,
                    $(Op::$name => None,)*
                }
            }

            /// The types of its operands.
            pub fn operands(self) -> Operands {
                match self {
                    Op::Const(_) | Op::Truth(_) => Operands::Fixed(&[]),
                    Op::Spike(_) => Operands::Reals(2),
                    Op::Count => Operands::Fixed(&[Real, Real]),
                    Op::Detach => Operands::Any,
                    Op::Hold => Operands::Fixed(&[Real]),
                    Op::Integrate(_) => Operands::Fixed(&[Real, Real, Real]),
                    Op::Expm(_) => Operands::Reals(1),
                    Op::Phi(_) => Operands::Fixed(&[Real]),
                    Op::Uniform(_) | Op::Normal(_) => Operands::Fixed(&[Real, Real, Real]),
                    Op::White(_) => Operands::Fixed(&[Real, Real, Real, Real]),
                    $(Op::$name => Operands::Fixed(&[$($arg),*]),)*
                }
            }

            /// The type of its result; `None` for `detach`, whose result has its operand's type.
            pub fn result(self) -> Option<Type> {
                match self {
                    Op::Const(_) | Op::Hold | Op::Integrate(_) => Some(Real),
                    Op::Expm(_) | Op::Phi(_) => Some(Real),
                    Op::Uniform(_) | Op::Normal(_) | Op::White(_) | Op::Count => Some(Real),
                    Op::Truth(_) | Op::Spike(_) => Some(Bool),
                    Op::Detach => None,
                    $(Op::$name => Some($out),)*
                }
            }

            /// How it behaves under differentiation.
            pub fn class(self) -> Class {
                match self {
                    Op::Const(_) | Op::Truth(_) => Class::Flat,
                    Op::Spike(_) | Op::Count | Op::Detach | Op::Hold => Class::Gate,
                    Op::Integrate(_) | Op::Expm(_) | Op::Phi(_) => Class::Smooth,
                    Op::Uniform(_) | Op::Normal(_) | Op::White(_) => Class::Random,
                    $(Op::$name => Class::$class,)*
                }
            }
        }
    };
}

table! {
    /// `−a`.
    Neg "neg" (Real) -> Real, Smooth;
    /// `a + b`.
    Add "add" (Real, Real) -> Real, Smooth;
    /// `a − b`.
    Sub "sub" (Real, Real) -> Real, Smooth;
    /// `a · b`.
    Mul "mul" (Real, Real) -> Real, Smooth;
    /// `a / b`.
    Div "div" (Real, Real) -> Real, Smooth;
    /// `a · b + c`, rounded once.
    Fma "fma" (Real, Real, Real) -> Real, Smooth;
    /// `a < b ? a : b`; the gradient goes to the operand that is the value, to `b` where they are equal.
    Min "min" (Real, Real) -> Real, Kinked;
    /// `a > b ? a : b`; the gradient goes to the operand that is the value, to `b` where they are equal.
    Max "max" (Real, Real) -> Real, Kinked;
    /// `|a|`; derivative 0 at 0.
    Abs "abs" (Real) -> Real, Kinked;
    /// −1, 0 or 1.
    Sign "sign" (Real) -> Real, Flat;
    /// The largest integer that is not above `a`.
    Floor "floor" (Real) -> Real, Flat;
    /// The nearest integer, ties to even.
    Round "round" (Real) -> Real, Flat;
    /// The square root.
    Sqrt "sqrt" (Real) -> Real, Smooth;
    /// `e^a`.
    Exp "exp" (Real) -> Real, Smooth;
    /// `e^a − 1`, accurate near 0.
    Expm1 "expm1" (Real) -> Real, Smooth;
    /// The natural logarithm.
    Log "log" (Real) -> Real, Smooth;
    /// `log(1 + a)`, accurate near 0.
    Log1p "log1p" (Real) -> Real, Smooth;
    /// `a^b` for `a` ≥ 0; for negative `a` only where `b` is an integer.
    Pow "pow" (Real, Real) -> Real, Smooth;
    /// The sine.
    Sin "sin" (Real) -> Real, Smooth;
    /// The cosine.
    Cos "cos" (Real) -> Real, Smooth;
    /// The hyperbolic tangent.
    Tanh "tanh" (Real) -> Real, Smooth;
    /// `1/(1 + e^−a)`, without overflow.
    Sigmoid "sigmoid" (Real) -> Real, Smooth;
    /// `log(1 + e^a)`, without overflow.
    Softplus "softplus" (Real) -> Real, Smooth;
    /// The error function.
    Erf "erf" (Real) -> Real, Smooth;
    /// `a < b`.
    Lt "lt" (Real, Real) -> Bool, Flat;
    /// `a <= b`.
    Le "le" (Real, Real) -> Bool, Flat;
    /// `a = b`.
    Eq "eq" (Real, Real) -> Bool, Flat;
    /// `a ≠ b`.
    Ne "ne" (Real, Real) -> Bool, Flat;
    /// Both; as a polynomial `a·b`.
    And "and" (Bool, Bool) -> Bool, Smooth;
    /// At least one; as a polynomial `a + b − a·b`.
    Or "or" (Bool, Bool) -> Bool, Smooth;
    /// Not; as a polynomial `1 − a`.
    Not "not" (Bool) -> Bool, Smooth;
    /// `c ? a : b`; as a polynomial `b + c·(a − b)`.
    Select "select" (Bool, Real, Real) -> Real, Smooth;
    /// 1 where true, 0 where false.
    ToReal "real" (Bool) -> Real, Smooth;
    /// Rounded to single precision and then to eight significant bits, each time to the nearest, ties to even.
    Narrow "narrow" (Real) -> Bf16, Flat;
    /// The same number.
    Widen "widen" (Bf16) -> Real, Flat;
}
