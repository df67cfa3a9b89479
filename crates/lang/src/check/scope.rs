//! The names that are visible inside an item.

use std::collections::BTreeMap;

use super::items::duplicate;
use crate::ast::Name;
use crate::diag::{Code, Diagnostic};
use crate::model::Ref;
use crate::span::Span;

/// What a name is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// What it stands for.
    pub(super) target: Ref,
    /// `a parameter`
    pub(super) words: &'static str,
    /// Where it is declared.
    pub(super) span: Span,
}

/// The names of an item. Constants of the program are looked up behind them.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Where one is, for messages: "neuron `LIF`".
    pub(super) place: String,
    /// A declaration may be missing because it could not be read.
    pub(super) broken: bool,
    names: BTreeMap<String, Entry>,
    /// In the order of declaration, for suggestions and for names of units.
    order: Vec<(String, Ref)>,
}

/// Names that the language has taken besides its keywords.
const TAKEN: &[&str] = &["pi", "fan_in", "fan_out"];

impl Scope {
    /// A scope without names.
    pub(super) fn new(place: impl Into<String>, broken: bool) -> Scope {
        Scope {
            place: place.into(),
            broken,
            names: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Adds a name, or says why it cannot be added.
    pub(super) fn declare(
        &mut self,
        name: &Name,
        target: Ref,
        words: &'static str,
    ) -> Option<Diagnostic> {
        if TAKEN.contains(&name.text.as_str()) {
            let message = format!("`{}` is built in and cannot be redefined", name.text);
            return Some(Diagnostic::new(Code::E0106, name.span, message).label("rename this"));
        }
        if let Some(other) = self.names.get(&name.text) {
            return Some(duplicate(name, other.words, Some(other.span)));
        }
        let span = name.span;
        let entry = Entry {
            target,
            words,
            span,
        };
        self.names.insert(name.text.clone(), entry);
        self.order.push((name.text.clone(), target));
        None
    }

    /// Adds a name of the language without a declaration.
    pub(super) fn provide(&mut self, name: &'static str, target: Ref) {
        self.order.push((name.to_string(), target));
    }

    /// The entry of a name.
    pub(super) fn find(&self, name: &str) -> Option<Entry> {
        if let Some(entry) = self.names.get(name) {
            return Some(*entry);
        }
        if !TAKEN.contains(&name) {
            return None;
        }
        let provided = self.order.iter().find(|(n, _)| n == name)?;
        Some(Entry {
            target: provided.1,
            words: "built in",
            span: Span::default(),
        })
    }

    /// All names in the order of declaration.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|(name, _)| name.as_str())
    }

    /// All names with what they stand for, in the order of declaration.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Ref)> {
        self.order
            .iter()
            .map(|(name, target)| (name.as_str(), *target))
    }

    /// The name of what a reference stands for.
    pub(super) fn name_of(&self, target: Ref) -> Option<&str> {
        self.entries().find(|(_, t)| *t == target).map(|(n, _)| n)
    }
}
