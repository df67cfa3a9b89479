//! What the compiler says about a file: a code, one sentence, the places that caused it, why, and
//! what to write instead.
//!
//! A [`Diagnostic`] is plain data. It is drawn by [`render`] for people and by [`json`] for
//! editors; both need the [`SourceMap`](crate::span::SourceMap) that the spans point into. The
//! codes and their long texts are one table in [`codes`].
//!
//! How to write one: the message must survive alone, names things in backticks, starts in lower
//! case and has no full stop at its end; labels are phrases; notes say why; the help is an
//! imperative, with an edit whenever one can be computed.

pub mod codes;
pub mod json;
pub mod render;
mod suggest;

pub use codes::{Code, explain};
pub use suggest::{did_you_mean, keyword_meant, with_prefix};

use crate::span::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program means something, but perhaps not what was intended.
    Warning,
    /// The program has no meaning; nothing is run.
    Error,
}

impl Severity {
    /// `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A phrase; may be empty, then the place is only underlined.
    pub text: String,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// An imperative: "add a capacitance".
    pub text: String,
    /// Replacements that do it, not overlapping; an empty span inserts. May be empty.
    pub edits: Vec<(Span, String)>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// Error or warning; fixed by the code.
    pub severity: Severity,
    /// The one sentence.
    pub message: String,
    /// Where it is.
    pub primary: Label,
    /// What else it has to do with.
    pub secondary: Vec<Label>,
    /// Why.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<Help>,
}

impl Diagnostic {
    /// A finding at a place, without any text beside it.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: Label {
                span,
                text: String::new(),
            },
            secondary: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Says something about the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn secondary(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Says what to do, in words.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Diagnostic {
        self.help_edits(text, Vec::new())
    }

    /// Says what to do, with one replacement that does it.
    #[must_use]
    pub fn help_edit(
        self,
        text: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> Diagnostic {
        self.help_edits(text, vec![(span, replacement.into())])
    }

    /// Says what to do, with several replacements that do it together.
    #[must_use]
    pub fn help_edits(mut self, text: impl Into<String>, edits: Vec<(Span, String)>) -> Diagnostic {
        self.help = Some(Help {
            text: text.into(),
            edits,
        });
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether a list of findings contains an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// Puts findings in the order of the text, errors before warnings at the same place, and drops
/// exact repetitions.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.primary.span, std::cmp::Reverse(d.severity), d.code);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    diagnostics.dedup();
}

/// No more errors than this are shown of a stage, and no more warnings: nobody reads them, and a
/// hostile program would have one for each of its words.
pub const MAX_FINDINGS: usize = 100;

/// [`sort`], and then only the first [`MAX_FINDINGS`] errors and as many warnings; the last of each
/// says how many were left out.
pub fn sort_and_limit(diagnostics: &mut Vec<Diagnostic>) {
    sort(diagnostics);
    for severity in [Severity::Error, Severity::Warning] {
        let count = |list: &[Diagnostic]| list.iter().filter(|d| d.severity == severity).count();
        let more = count(diagnostics).saturating_sub(MAX_FINDINGS);
        if more == 0 {
            continue;
        }
        let mut seen = 0;
        diagnostics.retain(|diagnostic| {
            seen += usize::from(diagnostic.severity == severity);
            diagnostic.severity != severity || seen <= MAX_FINDINGS
        });
        let last = diagnostics
            .iter_mut()
            .rev()
            .find(|d| d.severity == severity);
        if let Some(last) = last {
            let word = severity.word();
            last.notes
                .push(format!("{more} more {word}s are not shown"));
        }
    }
}
