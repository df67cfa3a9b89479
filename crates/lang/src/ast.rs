//! The raw tree of a `.snn` file: what was written, in the order in which it was written.
//!
//! Every node knows its [`Span`]. Nothing has a meaning yet: names are not looked up, units are
//! text, parameters of a call are not matched, parents are not merged. `check` turns this tree
//! into the model. The tree covers the whole language, also the parts that a backend may refuse.
//!
//! Invariants of a tree that the parser returns: spans lie in the file and children inside their
//! parents; no expression is nested deeper than `parse::MAX_DEPTH`, so recursive walks
//! are safe; every number is finite. A statement or item that could not be read is absent from
//! the tree, has a diagnostic, and sets `broken` on what contains it.

pub mod print;
mod words;

use crate::span::{FileId, Span};

/// A name as written, where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The identifier.
    pub text: String,
    /// Its place.
    pub span: Span,
}

impl Name {
    /// Whether it is the number of a copy, as in `tower.0.h`.
    pub fn is_number(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Which file of the source map.
    pub id: FileId,
    /// The items in the order of the text.
    pub items: Vec<Item>,
    /// An item is missing because it could not be read; names may be undefined for that reason.
    pub broken: bool,
    /// An import of `std/`, which a test checks in full: what its neurons and surrogates compute is not
    /// looked at once more in every program.
    pub trusted: bool,
}

/// Something at the top level of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `import "std/surrogates.snn"`
    Import(Import),
    /// `const n = 3`
    Const(Const),
    /// `surrogate f(u, beta = 10) { … }`
    Surrogate(Surrogate),
    /// `fn f(x, k = 4) derivative [ … ] = …`
    Fn(Fn),
    /// `neuron A : B { … }`
    Neuron(Neuron),
    /// `network N(n = 128) { … }`
    Network(Network),
    /// `train t of N { … }`
    Train(Train),
}

impl Item {
    /// The whole item, from its keyword to its end.
    pub fn span(&self) -> Span {
        match self {
            Item::Import(item) => item.span,
            Item::Const(item) => item.span,
            Item::Surrogate(item) => item.span,
            Item::Fn(item) => item.span,
            Item::Neuron(item) => item.span,
            Item::Network(item) => item.span,
            Item::Train(item) => item.span,
        }
    }

    /// The name that the item defines; an import defines none itself.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Item::Import(_) => None,
            Item::Const(item) => Some(&item.name),
            Item::Surrogate(item) => Some(&item.name),
            Item::Fn(item) => Some(&item.name),
            Item::Neuron(item) => Some(&item.name),
            Item::Network(item) => Some(&item.name),
            Item::Train(item) => Some(&item.name),
        }
    }
}

/// `import "path"`: the items of another file are visible in this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The path between the quotes, escapes resolved.
    pub path: String,
    /// The string literal with its quotes.
    pub path_span: Span,
    /// The whole statement.
    pub span: Span,
}

/// `const name = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Const {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expr,
    /// The whole item.
    pub span: Span,
}

/// A formal parameter of a surrogate, a function or a network: `beta = 10` or `u`.
#[derive(Clone, Debug, PartialEq)]
pub struct Formal {
    /// Its name.
    pub name: Name,
    /// The value used when a call gives none.
    pub default: Option<Expr>,
}

/// `surrogate name(u, p = …) { derivative = …  primitive = …  support = lo .. hi  let x = … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Surrogate {
    /// Its name.
    pub name: Name,
    /// The margin variable first, then the shape parameters.
    pub formals: Vec<Formal>,
    /// The statements in order; repeated or missing ones are for `check` to report.
    pub body: Vec<SurrogateStmt>,
    /// A statement is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

/// A line of a surrogate.
#[derive(Clone, Debug, PartialEq)]
pub enum SurrogateStmt {
    /// `derivative = expr`: what the backward uses for ds/du.
    Derivative(Setting),
    /// `primitive = expr`: a function whose derivative this is; gradient checks run it.
    Primitive(Setting),
    /// `support = lo .. hi`: the derivative is 0 outside.
    Support {
        /// The interval in u.
        range: Range,
        /// The whole statement.
        span: Span,
    },
    /// `let x = expr`: a name for a part of the formulas.
    Let(Let),
}

/// `keyword = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What is set.
    pub name: Name,
    /// To what.
    pub value: Expr,
    /// The whole statement.
    pub span: Span,
}

/// `fn name(a, k = 4) derivative [da, dk] = body`
#[derive(Clone, Debug, PartialEq)]
pub struct Fn {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub formals: Vec<Formal>,
    /// Own derivatives, one per leading parameter; `None` when the body is to be differentiated.
    pub derivative: Option<Vec<Expr>>,
    /// The value.
    pub body: Expr,
    /// The whole item.
    pub span: Span,
}

/// `neuron name : parent { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// Its name.
    pub name: Name,
    /// The neuron whose statements come first, if any.
    pub parent: Option<Name>,
    /// The statements in order.
    pub body: Vec<NeuronStmt>,
    /// A statement is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

/// A line of a neuron.
#[derive(Clone, Debug, PartialEq)]
pub enum NeuronStmt {
    /// `param tau per neuron = 20 ms in 5 ms .. 100 ms learn via sigmoid`
    Param(Param),
    /// `tau = 10 ms`: a parameter of the parent gets another value.
    Override(Param),
    /// `input x : nS`
    Input(Port),
    /// `state v = 0`
    State(State),
    /// `let theta = v_th + beta * a`
    Let(Let),
    /// `v' = (i - v) / tau`
    Ode(Equation),
    /// `next v = alpha * v + x`
    Next(Equation),
    /// `noise xi = white()`
    Noise(Noise),
    /// `on receive x { i += x }`
    OnReceive(OnReceive),
    /// `spike s when v >= th scale 10 mV surrogate superspike(beta = 10)`
    Spike(Spike),
    /// `on spike s detached { v = 0 }`
    OnSpike(OnSpike),
    /// `refractory 2 ms holds v drops x`
    Refractory(Refractory),
    /// `integrate { v : rk4(substeps = 4)  w, i : exact }`
    Integrate(Integrate),
    /// `order spike, receive, integrate`
    Order(Order),
}

impl NeuronStmt {
    /// The whole statement.
    pub fn span(&self) -> Span {
        match self {
            NeuronStmt::Param(stmt) | NeuronStmt::Override(stmt) => stmt.span,
            NeuronStmt::Input(stmt) => stmt.span,
            NeuronStmt::State(stmt) => stmt.span,
            NeuronStmt::Let(stmt) => stmt.span,
            NeuronStmt::Ode(stmt) | NeuronStmt::Next(stmt) => stmt.span,
            NeuronStmt::Noise(stmt) => stmt.span,
            NeuronStmt::OnReceive(stmt) => stmt.span,
            NeuronStmt::Spike(stmt) => stmt.span,
            NeuronStmt::OnSpike(stmt) => stmt.span,
            NeuronStmt::Refractory(stmt) => stmt.span,
            NeuronStmt::Integrate(stmt) => stmt.span,
            NeuronStmt::Order(stmt) => stmt.span,
        }
    }
}

/// A parameter: its declaration, or a new value for one in a child neuron or a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// `: mV`, if written.
    pub unit: Option<Unit>,
    /// How many values there are, if written.
    pub scope: Option<Scope>,
    /// Value, bounds and how it is learned.
    pub value: Value,
    /// The whole statement.
    pub span: Span,
}

/// How many values a parameter has.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Which.
    pub kind: ScopeKind,
    /// `per neuron` or `shared`.
    pub span: Span,
}

/// The words after `per`, and `shared`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// `shared`: one value for the layer.
    Shared,
    /// `per neuron`
    Neuron,
    /// `per channel`: one value for each index of the first axis.
    Channel,
    /// `per synapse`
    Synapse,
}

/// `init [in lo .. hi] [learn [via method]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The value, or the distribution it is drawn from.
    pub init: Expr,
    /// The interval in which it must stay.
    pub bounds: Option<Range>,
    /// Whether and how it is learned.
    pub learn: Option<Learn>,
}

/// `lo .. hi`
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Lower end.
    pub lo: Expr,
    /// Upper end.
    pub hi: Expr,
    /// Both, with the dots.
    pub span: Span,
}

/// `learn` or `learn via method`
#[derive(Clone, Debug, PartialEq)]
pub struct Learn {
    /// `sigmoid`, `clamp`, `exp`, `softplus`, `none`, `dcls`: checked later.
    pub via: Option<Name>,
    /// From `learn` to the end.
    pub span: Span,
}

/// An input port of a neuron: `input x : nS`
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: Name,
    /// The unit of the weights that end here.
    pub unit: Option<Unit>,
    /// The whole statement.
    pub span: Span,
}

/// `state v : mV = -65 mV`
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name.
    pub name: Name,
    /// Its unit, if written.
    pub unit: Option<Unit>,
    /// Its value at the beginning of a sample.
    pub init: Expr,
    /// The whole statement.
    pub span: Span,
}

/// `let name = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// Its name.
    pub name: Name,
    /// What it stands for.
    pub value: Expr,
    /// The whole statement.
    pub span: Span,
}

/// `v' = rhs` or `next v = rhs`
#[derive(Clone, Debug, PartialEq)]
pub struct Equation {
    /// The state.
    pub state: Name,
    /// The right-hand side.
    pub rhs: Expr,
    /// The whole statement.
    pub span: Span,
}

/// `noise xi = white()`
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Its name.
    pub name: Name,
    /// The process.
    pub process: Call,
    /// The whole statement.
    pub span: Span,
}

/// `on receive x { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct OnReceive {
    /// The port.
    pub port: Name,
    /// What happens.
    pub body: Vec<Assign>,
    /// The whole statement.
    pub span: Span,
}

/// `target op value`
#[derive(Clone, Debug, PartialEq)]
pub struct Assign {
    /// What is assigned.
    pub target: Name,
    /// How.
    pub op: AssignOp,
    /// The right-hand side.
    pub value: Expr,
    /// The whole assignment.
    pub span: Span,
}

/// The assignment signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOp {
    /// `=`
    Set,
    /// `+=`
    Add,
    /// `-=`
    Sub,
    /// `*=`
    Mul,
    /// `/=`
    Div,
}

/// `spike [name] when condition …` or `spike [name] count number …`
#[derive(Clone, Debug, PartialEq)]
pub struct Spike {
    /// The spike variable; needed when it is read or when there are several conditions.
    pub name: Option<Name>,
    /// When, or how many.
    pub trigger: Trigger,
    /// `payload e`: the number that a spike carries instead of 1.
    pub payload: Option<Expr>,
    /// `scale e`: what the margin is divided by.
    pub scale: Option<Expr>,
    /// `surrogate f(…)`: the derivative used in the backward.
    pub surrogate: Option<Call>,
    /// The whole statement.
    pub span: Span,
}

/// What makes a neuron spike.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// `when lhs >= rhs`
    When(Expr),
    /// `count floor(v / v_th)`: several spikes in one step.
    Count(Expr),
}

/// `on spike [name] detached|attached { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct OnSpike {
    /// Which spike, if the neuron names them.
    pub spike: Option<Name>,
    /// Whether the gate is differentiated; `None` when neither word was written.
    pub gradient: Option<GateGradient>,
    /// `on spike s detached`: where a missing word would be inserted is after this.
    pub head_span: Span,
    /// What happens.
    pub body: Vec<Assign>,
    /// The whole statement.
    pub span: Span,
}

/// How the backward treats the spike that gates an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateGradient {
    /// A constant.
    Detached,
    /// Differentiated through the surrogate.
    Attached,
}

/// `refractory time [holds a, b] [drops x, y]`
#[derive(Clone, Debug, PartialEq)]
pub struct Refractory {
    /// How long.
    pub duration: Expr,
    /// States frozen meanwhile.
    pub holds: Vec<Name>,
    /// Ports whose input is discarded meanwhile.
    pub drops: Vec<Name>,
    /// The whole statement.
    pub span: Span,
}

/// `integrate { v : rk4(substeps = 4)  w, i : exact }`
#[derive(Clone, Debug, PartialEq)]
pub struct Integrate {
    /// The choices.
    pub rules: Vec<IntegrateRule>,
    /// The whole statement.
    pub span: Span,
}

/// `w, i : exact`
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrateRule {
    /// The states.
    pub states: Vec<Name>,
    /// The method; without parentheses the call has no arguments.
    pub method: Call,
    /// The whole rule.
    pub span: Span,
}

/// `order spike, receive, integrate`
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The phases in the order in which they run.
    pub phases: Vec<(Phase, Span)>,
    /// The whole statement.
    pub span: Span,
}

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Synaptic arrivals are applied.
    Receive,
    /// The equations advance.
    Integrate,
    /// The conditions are evaluated.
    Spike,
    /// The `on spike` blocks run.
    Reset,
}

/// `network name(n = 128) { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub formals: Vec<Formal>,
    /// The statements in order.
    pub body: Vec<NetworkStmt>,
    /// A statement is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

/// A line of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkStmt {
    /// `step 1 ms`
    Step {
        /// The length of a step.
        value: Expr,
        /// The whole statement.
        span: Span,
    },
    /// `input inp[2, 64, 64]`
    Input(InputPopulation),
    /// `layer hid : LIF[128] { tau = 10 ms }`
    Layer(Layer),
    /// `connect a -> b.x : dense(…) delay 1 step frozen`
    Connect(Connect),
    /// `output hid`: what the network shows when it is used as a layer of another one.
    Output {
        /// The layer.
        source: Path,
        /// The whole statement.
        span: Span,
    },
    /// `let k = n / 2`
    Let(Let),
}

impl NetworkStmt {
    /// The whole statement.
    pub fn span(&self) -> Span {
        match self {
            NetworkStmt::Step { span, .. } | NetworkStmt::Output { span, .. } => *span,
            NetworkStmt::Input(stmt) => stmt.span,
            NetworkStmt::Layer(stmt) => stmt.span,
            NetworkStmt::Connect(stmt) => stmt.span,
            NetworkStmt::Let(stmt) => stmt.span,
        }
    }
}

/// `input inp[2, 64, 64]`
#[derive(Clone, Debug, PartialEq)]
pub struct InputPopulation {
    /// Its name.
    pub name: Name,
    /// Its shape; empty when no brackets were written.
    pub shape: Vec<Expr>,
    /// The whole statement.
    pub span: Span,
}

/// `layer name : Kind(args)[shape] repeat n { overrides }`
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: Name,
    /// The neuron, or the network that is used as a group of layers.
    pub kind: Name,
    /// Arguments for a network's parameters; empty for a neuron.
    pub args: Vec<Arg>,
    /// Its shape; empty when no brackets were written.
    pub shape: Vec<Expr>,
    /// `repeat n`: n copies in a chain, each fed by the one before.
    pub repeat: Option<Expr>,
    /// Parameters with other values in this layer.
    pub overrides: Vec<Param>,
    /// The whole statement.
    pub span: Span,
}

/// `connect source -> target : op(…) then op(…) delay … frozen`
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// Where events come from: a layer, an input, or `layer.state`.
    pub source: Path,
    /// Where they go: `layer.port`.
    pub target: Path,
    /// What is applied, in order: `dense(…)`, then `batch_norm()`, … None where a group of layers is
    /// given its input or passes it on.
    pub ops: Vec<Call>,
    /// How late they arrive, if written.
    pub delay: Option<Delay>,
    /// `frozen`: not trained; its place.
    pub frozen: Option<Span>,
    /// The whole statement.
    pub span: Span,
}

/// `delay value [in lo .. hi] [learn via dcls]`
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// The time, its bounds and how it is learned.
    pub value: Value,
    /// From `delay` to the end.
    pub span: Span,
}

/// Names joined by dots: `hid`, `hid.x`, `block.out.v`. At least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The names.
    pub segments: Vec<Name>,
    /// All of them.
    pub span: Span,
}

/// `train name of Network(args) { setting = value … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// Its name.
    pub name: Name,
    /// The network.
    pub network: Name,
    /// Arguments for the network's parameters.
    pub args: Vec<Arg>,
    /// The settings in order; unknown or repeated ones are for `check` to report.
    pub settings: Vec<Setting>,
    /// A setting is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

/// A call as a clause: `superspike(beta = 10)`, or just `exact`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is called.
    pub callee: Name,
    /// The arguments.
    pub args: Vec<Arg>,
    /// The whole call.
    pub span: Span,
}

/// An argument: `3` or `beta = 3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The name in front of `=`, if any.
    pub name: Option<Name>,
    /// The value.
    pub value: Expr,
}

/// A unit as written, split at its signs but not looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// The text, without brackets: `ms`, `mV/ms^(1/2)`.
    pub text: String,
    /// The text as factors; `1/ms` has one, `[1]` has none.
    pub factors: Vec<UnitFactor>,
    /// Whether it stood in brackets.
    pub bracketed: bool,
    /// Its place, with the brackets.
    pub span: Span,
}

/// `name^(num/den)`; a division turns the sign of `num`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitFactor {
    /// The unit's name, prefix included.
    pub name: Name,
    /// Numerator of the exponent.
    pub num: i32,
    /// Denominator of the exponent; at least 1. Not reduced.
    pub den: i32,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place, parentheses around it not included.
    pub span: Span,
}

impl Expr {
    /// The names of `a`, `a.b`, `a.b.c`; `None` for any other expression.
    pub fn path(&self) -> Option<Vec<Name>> {
        match &self.kind {
            ExprKind::Name(text) => Some(vec![Name {
                text: text.clone(),
                span: self.span,
            }]),
            ExprKind::Field { base, field } => {
                let mut names = base.path()?;
                names.push(field.clone());
                Some(names)
            }
            ExprKind::Number(_)
            | ExprKind::Quantity { .. }
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Call { .. }
            | ExprKind::List(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Range { .. } => None,
        }
    }
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `0.5`: finite and not negative (the sign is an operator).
    Number(f64),
    /// `10 ms`, `2 [mV/ms]`
    Quantity {
        /// The number.
        value: f64,
        /// Its unit.
        unit: Unit,
    },
    /// `true`, `false`
    Bool(bool),
    /// `"data/train.h5"`, escapes resolved.
    Str(String),
    /// `tau`
    Name(String),
    /// `out.v`
    Field {
        /// What is in front of the dot.
        base: Box<Expr>,
        /// What is behind it.
        field: Name,
    },
    /// `normal(0, sd = 1)`
    Call {
        /// What is called.
        callee: Name,
        /// The arguments.
        args: Vec<Arg>,
    },
    /// `[0.9, 0.999]`
    List(Vec<Expr>),
    /// `-x`, `not c`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// `a + b`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The place of its sign.
        op_span: Span,
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
    /// `lo .. hi`, only as an argument, a list element or a setting.
    Range {
        /// Lower end.
        lo: Box<Expr>,
        /// Upper end.
        hi: Box<Expr>,
    },
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-x`
    Neg,
    /// `not c`
    Not,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `^`, right associative and tighter than a sign in front: `-a^2` is `-(a^2)`.
    Pow,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `and`
    And,
    /// `or`
    Or,
}
