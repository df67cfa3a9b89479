//! The arguments of a setting's value, as numbers in base units, flags and texts.

use super::{Call, One};
use crate::diag::{Code, Diagnostic};
use crate::lower::{start, unchecked};
use crate::model::ChoiceArg;

impl Call<'_> {
    pub(super) fn argument(&self, name: &str) -> Option<&ChoiceArg> {
        let index = self.slots.iter().position(|s| s.name == name)?;
        self.args.get(index)?.as_ref()
    }

    pub(super) fn wrong<T>(&self) -> One<T> {
        Err(Box::new(unchecked(self.span)))
    }

    /// A number in base units, if it was given.
    pub(super) fn number(&self, name: &str) -> One<Option<f64>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Number(expr)) => start::number(&self.plan.env, expr).map(Some),
            Some(
                ChoiceArg::List(_)
                | ChoiceArg::Text(_)
                | ChoiceArg::Flag(_)
                | ChoiceArg::Word(_)
                | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    /// A number that the check made sure of.
    pub(super) fn needed(&self, name: &str) -> One<f64> {
        match self.number(name)? {
            Some(value) => Ok(value),
            None => self.wrong(),
        }
    }

    pub(super) fn flag(&self, name: &str) -> One<Option<bool>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Flag(value)) => Ok(Some(*value)),
            Some(
                ChoiceArg::Number(_)
                | ChoiceArg::List(_)
                | ChoiceArg::Text(_)
                | ChoiceArg::Word(_)
                | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    /// A whole number or a word, if one was given.
    pub(super) fn whole_or_word(&self, name: &str) -> One<Option<Result<usize, &str>>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Word(word)) => Ok(Some(Err(word))),
            Some(ChoiceArg::Number(expr)) => {
                let number = start::number(&self.plan.env, expr)?;
                Ok(Some(Ok(number as usize)))
            }
            Some(
                ChoiceArg::List(_) | ChoiceArg::Text(_) | ChoiceArg::Flag(_) | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    /// One of the words that the argument takes.
    pub(super) fn word(&self, name: &str) -> One<Option<&str>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Word(word)) => Ok(Some(word)),
            Some(
                ChoiceArg::Number(_)
                | ChoiceArg::List(_)
                | ChoiceArg::Text(_)
                | ChoiceArg::Flag(_)
                | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    pub(super) fn text(&self, name: &str) -> One<String> {
        match self.argument(name) {
            Some(ChoiceArg::Text(text)) => Ok(text.clone()),
            Some(
                ChoiceArg::Number(_)
                | ChoiceArg::List(_)
                | ChoiceArg::Flag(_)
                | ChoiceArg::Word(_)
                | ChoiceArg::Invalid,
            )
            | None => self.wrong(),
        }
    }

    pub(super) fn pair(&self, name: &str) -> One<Option<(f64, f64)>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::List(items)) => match items.as_slice() {
                [a, b] => Ok(Some((
                    start::number(&self.plan.env, a)?,
                    start::number(&self.plan.env, b)?,
                ))),
                _ => {
                    let message = format!("`{name}` are two numbers, as in `[0.9, 0.999]`");
                    Err(Box::new(Diagnostic::new(Code::E0704, self.span, message)))
                }
            },
            Some(
                ChoiceArg::Number(_)
                | ChoiceArg::Text(_)
                | ChoiceArg::Flag(_)
                | ChoiceArg::Word(_)
                | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }
}
