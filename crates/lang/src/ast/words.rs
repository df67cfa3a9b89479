//! The words and signs of the closed choices in the tree, as they are written.

use super::{AssignOp, BinaryOp, GateGradient, Phase, ScopeKind, UnaryOp};

impl UnaryOp {
    /// The sign as written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "not",
        }
    }
}

impl BinaryOp {
    /// The sign as written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Pow => "^",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }

    /// Whether the result is a truth value made from two numbers.
    pub fn is_comparison(self) -> bool {
        match self {
            BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::Eq
            | BinaryOp::Ne => true,
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Pow
            | BinaryOp::And
            | BinaryOp::Or => false,
        }
    }
}

impl AssignOp {
    /// The sign as written.
    pub fn symbol(self) -> &'static str {
        match self {
            AssignOp::Set => "=",
            AssignOp::Add => "+=",
            AssignOp::Sub => "-=",
            AssignOp::Mul => "*=",
            AssignOp::Div => "/=",
        }
    }
}

impl ScopeKind {
    /// The words as written.
    pub fn words(self) -> &'static str {
        match self {
            ScopeKind::Shared => "shared",
            ScopeKind::Neuron => "per neuron",
            ScopeKind::Channel => "per channel",
            ScopeKind::Synapse => "per synapse",
        }
    }
}

impl GateGradient {
    /// The word as written.
    pub fn word(self) -> &'static str {
        match self {
            GateGradient::Detached => "detached",
            GateGradient::Attached => "attached",
        }
    }
}

impl Phase {
    /// The word as written.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Receive => "receive",
            Phase::Integrate => "integrate",
            Phase::Spike => "spike",
            Phase::Reset => "reset",
        }
    }
}
