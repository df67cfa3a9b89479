//! The checked model: what a program means, before it becomes kernels.
//!
//! Compared with the tree, names are resolved to indices, parents are merged into their children,
//! calls have their arguments in the order of the formal parameters, units are looked up and every
//! quantity knows its dimension. Nothing is evaluated yet, because the length of a step and the
//! overrides of a layer are not known here; [`eval`] does that on demand.
//!
//! Invariants after a check without errors: no expression is [`ExprKind::Error`]; constants,
//! functions and `let`s stand in an order in which each refers to earlier ones only; calls have
//! one argument per formal; dimensions are `Some` and agree wherever quantities meet. A model with
//! errors may hold unresolved parts and must not be lowered.

pub mod builtin;
pub mod eval;
mod network;
pub mod objective;
pub mod print;
mod train;
pub mod walk;

use crate::ast::{self, Name, Phase, ScopeKind};
use crate::span::Span;
use crate::units::{Dimension, Unit};
use builtin::{Builtin, Law};

pub use network::{
    Argument, Connection, Delay, Layer, LayerKind, Network, Operation, Pass, Population, Source,
    Tied,
};
pub use train::{ChoiceArg, Setting, SettingValue, Train};

/// A whole program.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Constants; each refers to earlier ones only.
    pub consts: Vec<Const>,
    /// Surrogates in the order of the text.
    pub surrogates: Vec<Surrogate>,
    /// Functions; each calls earlier ones only.
    pub functions: Vec<Function>,
    /// Neurons in the order of the text.
    pub neurons: Vec<Neuron>,
    /// Networks in the order of the text.
    pub networks: Vec<Network>,
    /// Training plans in the order of the text.
    pub trains: Vec<Train>,
}

impl Model {
    /// The neuron of a name.
    pub fn neuron(&self, name: &str) -> Option<&Neuron> {
        self.neurons.iter().find(|n| n.name.text == name)
    }

    /// The network of a name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|n| n.name.text == name)
    }

    /// The training plan of a name.
    pub fn train(&self, name: &str) -> Option<&Train> {
        self.trains.iter().find(|t| t.name.text == name)
    }
}

/// What is known about the value of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ty {
    /// Something is wrong with it that was reported already.
    Unknown,
    /// A truth value.
    Bool,
    /// A number with this dimension.
    Real(Dimension),
}

impl Ty {
    /// The dimension, if it is a number.
    pub fn dimension(self) -> Option<Dimension> {
        match self {
            Ty::Real(dimension) => Some(dimension),
            Ty::Bool | Ty::Unknown => None,
        }
    }
}

/// An expression with resolved names.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// Could not be resolved; reported.
    Error,
    /// A literal.
    Number {
        /// As written.
        value: f64,
        /// Its unit; [`Unit::ONE`] without one.
        unit: Unit,
    },
    /// `true`, `false`
    Bool(bool),
    /// A name.
    Ref(Ref),
    /// `-a`
    Neg(Box<Expr>),
    /// `not a`
    Not(Box<Expr>),
    /// `a + b`
    Binary {
        /// The operator.
        op: ast::BinaryOp,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
    },
    /// `if c { a } else { b }`
    If {
        /// The condition.
        cond: Box<Expr>,
        /// The value where it holds.
        then: Box<Expr>,
        /// The value elsewhere.
        otherwise: Box<Expr>,
    },
    /// A function of the language; the number of arguments fits.
    Builtin {
        /// Which.
        function: Builtin,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// A function of the program, one argument per formal.
    Call {
        /// Index into [`Model::functions`].
        function: usize,
        /// Its arguments in the order of the formals.
        args: Vec<Expr>,
    },
}

/// What a name stands for. Indices are into the vectors of the item that the expression is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ref {
    /// A constant of the program.
    Const(usize),
    /// A formal parameter of the surrogate, function or network.
    Formal(usize),
    /// A `let` of the neuron, surrogate or network.
    Let(usize),
    /// A parameter of the neuron.
    Param(usize),
    /// An input port of the neuron: what arrives in this step.
    Port(usize),
    /// A state of the neuron.
    State(usize),
    /// A spike of the neuron as a number, 0 or 1.
    Spike(usize),
    /// A noise process of the neuron.
    Noise(usize),
    /// The ratio of a circle's circumference to its diameter.
    Pi,
    /// The number of sources of one neuron, in the weights of a connection.
    FanIn,
    /// The number of targets of one neuron, in the weights of a connection.
    FanOut,
}

impl Ref {
    /// The index, if it is a parameter.
    pub fn as_param(self) -> Option<usize> {
        if let Ref::Param(i) = self {
            Some(i)
        } else {
            None
        }
    }

    /// The index, if it is a state.
    pub fn as_state(self) -> Option<usize> {
        if let Ref::State(i) = self {
            Some(i)
        } else {
            None
        }
    }

    /// The index, if it is an input port.
    pub fn as_port(self) -> Option<usize> {
        if let Ref::Port(i) = self {
            Some(i)
        } else {
            None
        }
    }

    /// The index, if it is a spike.
    pub fn as_spike(self) -> Option<usize> {
        if let Ref::Spike(i) = self {
            Some(i)
        } else {
            None
        }
    }

    /// The index, if it is a formal parameter.
    pub fn as_formal(self) -> Option<usize> {
        if let Ref::Formal(i) = self {
            Some(i)
        } else {
            None
        }
    }

    /// The index, if it is a `let`.
    pub fn as_let(self) -> Option<usize> {
        if let Ref::Let(i) = self {
            Some(i)
        } else {
            None
        }
    }
}

/// `const name = value`
#[derive(Clone, Debug)]
pub struct Const {
    /// Its name.
    pub name: Name,
    /// Its value, from earlier constants.
    pub value: Expr,
    /// The value in base units, where it does not depend on the length of a step.
    pub known: Option<f64>,
    /// Its type.
    pub ty: Ty,
}

/// A formal parameter.
#[derive(Clone, Debug)]
pub struct Formal {
    /// Its name.
    pub name: Name,
    /// Its default.
    pub default: Option<Expr>,
}

/// A name for an expression.
#[derive(Clone, Debug)]
pub struct Let {
    /// Its name.
    pub name: Name,
    /// What it stands for; of the lets, it reads earlier ones only.
    pub value: Expr,
    /// Its type.
    pub ty: Ty,
}

/// A surrogate. The first formal is the margin u.
#[derive(Clone, Debug)]
pub struct Surrogate {
    /// Its name.
    pub name: Name,
    /// The margin first.
    pub formals: Vec<Formal>,
    /// Parts of the formulas.
    pub lets: Vec<Let>,
    /// What the backward uses for ds/du.
    pub derivative: Expr,
    /// A function with this derivative.
    pub primitive: Option<Expr>,
    /// The interval outside of which the derivative is 0.
    pub support: Option<(Expr, Expr)>,
    /// The whole item.
    pub span: Span,
}

/// A function of the program.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Its formals.
    pub formals: Vec<Formal>,
    /// Own derivatives by the leading formals.
    pub derivative: Option<Vec<Expr>>,
    /// The value.
    pub body: Expr,
    /// How deep calls are nested in it; 0 without a call.
    pub depth: usize,
}

/// A call of a surrogate.
#[derive(Clone, Debug)]
pub struct SurrogateCall {
    /// Index into [`Model::surrogates`]; `None` if there is no such surrogate (reported).
    pub surrogate: Option<usize>,
    /// The arguments after the margin, in the order of the formals.
    pub args: Vec<Expr>,
    /// The whole call.
    pub span: Span,
}

/// How a unit is shown: its text and one of it in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// `ms`, `mV/ms`; empty for a plain number.
    pub text: String,
    /// One of it in base units (per step length, where it contains `step`).
    pub unit: Unit,
}

impl Shown {
    /// A plain number.
    pub fn plain() -> Shown {
        Shown {
            text: String::new(),
            unit: Unit::ONE,
        }
    }
}

/// Where a parameter, state or weight starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// Everywhere this value.
    Value(Expr),
    /// Drawn from a distribution.
    Random(Draw),
}

/// A distribution with its arguments.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Which.
    pub law: Law,
    /// Its arguments in the order of the law's formals; a default is `None`.
    pub args: Vec<Option<Expr>>,
    /// The whole call.
    pub span: Span,
}

/// `lo .. hi`
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Lower end.
    pub lo: Expr,
    /// Upper end.
    pub hi: Expr,
    /// Both.
    pub span: Span,
}

/// How a parameter is reparametrised while it is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// As it is.
    None,
    /// Moved to the nearer bound after an update.
    Clamp,
    /// `lo + (hi − lo)·sigmoid(raw)`
    Sigmoid,
    /// `exp(raw)`
    Exp,
    /// `softplus(raw)`
    Softplus,
    /// A kernel over neighbouring delays (dilated convolution with learnable spacings).
    Dcls,
}

/// `learn via …`
#[derive(Clone, Copy, Debug)]
pub struct Learn {
    /// How; without the word `clamp` where there are bounds and `none` where there are none.
    pub via: Via,
    /// The clause.
    pub span: Span,
}

/// A parameter of a neuron.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Where its value was last given.
    pub span: Span,
    /// How its unit is shown.
    pub shown: Shown,
    /// Its dimension; `None` where unknown (reported).
    pub dimension: Option<Dimension>,
    /// How many values there are.
    pub sharing: ScopeKind,
    /// Where it starts; may read earlier parameters.
    pub start: Start,
    /// Bounds of every value.
    pub bounds: Option<Bounds>,
    /// Whether and how it is learned.
    pub learn: Option<Learn>,
}

/// An input port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: Name,
    /// How its unit is shown.
    pub shown: Shown,
    /// Its dimension.
    pub dimension: Option<Dimension>,
}

/// A state.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name.
    pub name: Name,
    /// How its unit is shown.
    pub shown: Shown,
    /// Its dimension.
    pub dimension: Option<Dimension>,
    /// Its value at the beginning of a sample; reads parameters only.
    pub start: Start,
    /// Where its unit is written, if it is.
    pub annotation: Option<Span>,
    /// How it advances; `None` if only assignments change it.
    pub dynamics: Option<Dynamics>,
    /// The whole declaration.
    pub span: Span,
}

/// How a state advances in the phase `integrate`.
#[derive(Clone, Debug)]
pub struct Dynamics {
    /// Differential or discrete.
    pub kind: DynamicsKind,
    /// The right-hand side.
    pub rhs: Expr,
    /// The whole equation.
    pub span: Span,
}

/// Differential or discrete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DynamicsKind {
    /// `v' = rhs` with this integrator.
    Ode(Integrator),
    /// `next v = rhs`
    Next,
}

/// An integrator and where it was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integrator {
    /// Which.
    pub method: Method,
    /// The rule of `integrate { … }`; `None` if it was left to the compiler.
    pub span: Option<Span>,
}

/// The integrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The compiler chooses.
    Auto,
    /// The propagator of the linear system.
    Exact,
    /// Exponential Euler.
    ExpEuler,
    /// Forward Euler with this many substeps.
    Euler(u32),
    /// Heun.
    Heun,
    /// Classical Runge–Kutta with this many substeps.
    Rk4(u32),
}

impl Method {
    /// As written in `integrate`.
    pub fn text(self) -> String {
        match self {
            Method::Auto => "chosen by the compiler".to_string(),
            Method::Exact => "exact".to_string(),
            Method::ExpEuler => "exp_euler".to_string(),
            Method::Euler(1) => "euler".to_string(),
            Method::Euler(n) => format!("euler(substeps = {n})"),
            Method::Heun => "heun".to_string(),
            Method::Rk4(1) => "rk4".to_string(),
            Method::Rk4(n) => format!("rk4(substeps = {n})"),
        }
    }
}

/// A white noise.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Its name.
    pub name: Name,
    /// The whole statement.
    pub span: Span,
}

/// An assignment to a state.
#[derive(Clone, Debug)]
pub struct Assign {
    /// The state.
    pub state: usize,
    /// How.
    pub op: ast::AssignOp,
    /// The right-hand side.
    pub value: Expr,
    /// The target's place.
    pub target: Span,
    /// The whole assignment.
    pub span: Span,
}

/// `on receive port { … }`
#[derive(Clone, Debug)]
pub struct Receive {
    /// The port.
    pub port: usize,
    /// What happens.
    pub body: Vec<Assign>,
    /// The whole block.
    pub span: Span,
}

/// A spike condition.
#[derive(Clone, Debug)]
pub struct Spike {
    /// Its name, if it has one.
    pub name: Option<Name>,
    /// When it happens.
    pub trigger: Trigger,
    /// The number that it carries instead of 1.
    pub payload: Option<Expr>,
    /// The dimension of that number; `None` where it is unknown (reported).
    pub carries: Option<Dimension>,
    /// What the margin is divided by.
    pub scale: Option<Expr>,
    /// Its derivative in the backward.
    pub surrogate: Option<SurrogateCall>,
    /// The whole statement.
    pub span: Span,
}

/// When a spike happens.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// The margin `above − below` reaches 0, or passes it when `strict`.
    Crossing {
        /// The side that must be large.
        above: Expr,
        /// The side that it must reach.
        below: Expr,
        /// Whether equality is not enough.
        strict: bool,
        /// The whole condition.
        span: Span,
    },
    /// As many as this number says.
    Count(Expr),
    /// The condition could not be used; reported.
    Invalid(Span),
}

/// `on spike … { … }`
#[derive(Clone, Debug)]
pub struct Reset {
    /// Which spike; `None` for any of them.
    pub spike: Option<usize>,
    /// Whether the gate is differentiated; `None` if not written (then it does not matter).
    pub gradient: Option<ast::GateGradient>,
    /// What happens.
    pub body: Vec<Assign>,
    /// `on spike s detached`
    pub head: Span,
    /// The whole block.
    pub span: Span,
}

/// `refractory … holds … drops …`
#[derive(Clone, Debug)]
pub struct Refractory {
    /// How long.
    pub duration: Expr,
    /// States that are frozen meanwhile.
    pub holds: Vec<usize>,
    /// Ports whose input is discarded meanwhile.
    pub drops: Vec<usize>,
    /// The whole statement.
    pub span: Span,
}

/// A neuron, its parents merged in.
#[derive(Clone, Debug)]
pub struct Neuron {
    /// Its name.
    pub name: Name,
    /// Its parent, as an index into [`Model::neurons`].
    pub parent: Option<usize>,
    /// Parameters, the parent's first.
    pub params: Vec<Param>,
    /// Input ports.
    pub ports: Vec<Port>,
    /// States.
    pub states: Vec<State>,
    /// Named expressions.
    pub lets: Vec<Let>,
    /// Noise processes.
    pub noises: Vec<Noise>,
    /// Arrivals.
    pub receives: Vec<Receive>,
    /// Spike conditions; none for a readout.
    pub spikes: Vec<Spike>,
    /// What happens on a spike.
    pub resets: Vec<Reset>,
    /// The refractory period.
    pub refractory: Option<Refractory>,
    /// The phases in the order in which they run.
    pub order: Vec<Phase>,
    /// Where the order was written, if it was.
    pub order_span: Option<Span>,
    /// A part is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

impl Neuron {
    /// The index of a parameter.
    pub fn param(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|p| p.name.text == name)
    }

    /// The index of a state.
    pub fn state(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|s| s.name.text == name)
    }

    /// The index of a port.
    pub fn port(&self, name: &str) -> Option<usize> {
        self.ports.iter().position(|p| p.name.text == name)
    }

    /// The position of a phase in the step.
    pub fn phase(&self, phase: Phase) -> Option<usize> {
        self.order.iter().position(|p| *p == phase)
    }
}
