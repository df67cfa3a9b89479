//! Tree to checked model: resolves names, infers units, and reports everything that has no meaning
//! or probably not the intended one.
//!
//! All findings of a program are reported in one run. A part that was reported becomes
//! [`model::ExprKind::Error`] or [`model::Ty::Unknown`], and nothing that depends on it is reported
//! again. Where a piece of text could not be read at all (`broken`), names that are missing for
//! that reason are not reported either.
//!
//! Each file below is one concern:
//!
//! - `items` collects the items of all files and orders constants and functions;
//! - `scope` and `resolve` turn names into indices;
//! - `units` infers dimensions;
//! - `neuron` (with `params`, `spikes`, `integrators`), `surrogate`, `network`, `train` build the
//!   model of an item, and `neuron_units` checks the units of a neuron's statements;
//! - `groups` checks networks that are layers of others, `ties` connections that share weights, and
//!   `expand` writes groups out, so that nothing after it sees one;
//! - `draws` looks for distributions and probabilities that cannot be;
//! - `arrivals` compares units where no weight stands between what is sent and the port;
//! - `shapes` gives a network its sizes and delays;
//! - `flow`, `dynamics`, `stability`, `hazards` look at finished neurons: what reaches what,
//!   integrators, values that cannot work, with `interval` for what values are possible.

mod arrivals;
mod draws;
mod dynamics;
mod expand;
mod flow;
mod groups;
mod hazards;
mod integrators;
mod interval;
mod items;
mod maps;
mod network;
mod neuron;
mod neuron_units;
mod operations;
mod params;
mod resolve;
mod scope;
mod shapes;
mod spikes;
mod stability;
mod surrogate;
mod ties;
mod train;
mod units;

pub use operations::Shaped;
pub use shapes::{Elaborated, elaborate};

pub(crate) use draws::impossible;
pub(crate) use params::{Around, param_numbers, param_or_outer};

use crate::ast;
use crate::diag::{self, Code, Diagnostic};
use crate::model::Model;
use crate::span::Span;
use items::Items;

/// What a check gives.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The model; complete only when there are no errors.
    pub model: Model,
    /// The findings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether the model can be lowered.
    pub fn is_ok(&self) -> bool {
        !diag::has_errors(&self.diagnostics)
    }
}

/// Checks a program: the file that was asked for and everything that it imports, in any order.
///
/// The items of all files are visible in each of them; those of a file itself come first there.
pub fn check(files: &[ast::File]) -> Checked {
    let mut check = Check {
        items: items::collect(files),
        model: Model::default(),
        diagnostics: Vec::new(),
    };
    check.diagnostics.append(&mut check.items.diagnostics);
    check.constants_and_functions();
    check.surrogates();
    check.neurons();
    check.networks();
    check.trains();
    diag::sort_and_limit(&mut check.diagnostics);
    Checked {
        model: check.model,
        diagnostics: check.diagnostics,
    }
}

/// The state of a check.
struct Check<'a> {
    items: Items<'a>,
    model: Model,
    diagnostics: Vec<Diagnostic>,
}

impl Check<'_> {
    /// Adds a finding.
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A new finding with a place and a sentence, to be completed and reported.
    fn finding(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, span, message)
    }
}
