//! The checked model of training plans.

use super::objective::Term;
use super::{Expr, builtin};
use crate::ast::Name;
use crate::span::Span;

/// A training plan: the call of each setting, checked, unevaluated.
#[derive(Clone, Debug)]
pub struct Train {
    /// Its name.
    pub name: Name,
    /// Index into [`Model::networks`].
    pub network: Option<usize>,
    /// Arguments for the network's formals, in their order; `None` takes the default.
    pub args: Vec<Option<Expr>>,
    /// The settings by kind, in the order of the text.
    pub settings: Vec<Setting>,
    /// A part is missing because it could not be read.
    pub broken: bool,
    /// The whole item.
    pub span: Span,
}

impl Train {
    /// The value of a setting.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.name.text == name)
    }
}

/// `name = value` of a training plan.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: SettingValue,
    /// The whole setting.
    pub span: Span,
}

/// The value of a setting.
#[derive(Clone, Debug)]
pub enum SettingValue {
    /// `100`, `1 s`
    Number(Expr),
    /// `adam(lr = 1e-3)`: arguments in the order of the formals of [`builtin::Choice`].
    Choice {
        /// Which.
        choice: &'static builtin::Choice,
        /// Its arguments.
        args: Vec<Option<ChoiceArg>>,
        /// The whole call.
        span: Span,
    },
    /// `[shift(2), drop(0.1)]`: each a choice or invalid.
    Choices(Vec<SettingValue>, Span),
    /// An expression over traces: `cross_entropy(max_over_time(out.v), label)`
    Loss(Box<Term>),
    /// A word: `f32`.
    Word(Name),
    /// A setting that is understood but whose value is not used yet.
    Opaque(Span),
    /// Something wrong; reported.
    Invalid,
}

/// An argument of a choice.
#[derive(Clone, Debug)]
pub enum ChoiceArg {
    /// A number, possibly with a unit.
    Number(Expr),
    /// A list of numbers.
    List(Vec<Expr>),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A word: `auto`.
    Word(String),
    /// Something wrong; reported.
    Invalid,
}
