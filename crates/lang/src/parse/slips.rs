//! A mistake that the grammar found, put into words.
//!
//! First what is right in another tool (`habits`), then the common slips, each recognised from the tokens around the place; else a sentence that
//! says what was expected. Exactly one report per piece of text comes from here.

use std::ops::Range;

use super::expected::{EXPRESSION, Expected, NAME};
use super::split::{Body, Tokens};
use super::{is_reserved, slip};
use crate::diag::{Code, Diagnostic, keyword_meant};
use crate::lex::TokenKind;
use crate::span::{FileId, Span};

/// What a piece of text was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A statement of a body.
    Statement(Body),
    /// What stands before `{`.
    Head,
    /// `import`, `const`, `fn`.
    Line,
    /// An expression from outside a file.
    Expr,
}

/// A mistake: where the grammar stopped and what it wanted.
pub(super) struct Mistake<'a> {
    pub(super) tokens: &'a Tokens<'a>,
    pub(super) file: FileId,
    pub(super) kind: PieceKind,
    /// The tokens of the piece.
    pub(super) piece: Range<usize>,
    /// The token that could not stay; the end of the piece if something is missing there.
    pub(super) at: usize,
    pub(super) expected: Expected,
}

/// The report for a mistake.
pub(super) fn report(mistake: &Mistake) -> Diagnostic {
    mistake
        .habit()
        .or_else(|| mistake.reserved_word())
        .or_else(|| mistake.misspelt_statement())
        .or_else(|| mistake.unclosed())
        .or_else(|| mistake.wrong_sign())
        .or_else(|| mistake.number_after_number())
        .or_else(|| mistake.missing_else())
        .or_else(|| mistake.missing_when())
        .or_else(|| mistake.unknown_escape())
        .or_else(|| mistake.missing_operator())
        .unwrap_or_else(|| mistake.plain())
}

/// Words that other languages use for what a statement says here.
const FOREIGN: [(&str, &str); 15] = [
    ("parameter", "param"),
    ("parameters", "param"),
    ("const", "param"),
    ("var", "state"),
    ("initial", "state"),
    ("init", "state"),
    ("def", "let"),
    ("inline", "let"),
    ("threshold", "spike when"),
    ("reset", "on spike"),
    ("onReceive", "on receive"),
    ("synapse", "connect"),
    ("connection", "connect"),
    ("population", "layer"),
    ("dt", "step"),
];

impl Mistake<'_> {
    pub(super) fn text(&self, i: usize) -> &str {
        self.tokens.text(i)
    }

    /// Whether something is missing at the end of the piece.
    pub(super) fn at_end(&self) -> bool {
        self.at >= self.piece.end
    }

    pub(super) fn span(&self, range: Range<usize>) -> Span {
        self.file.span(self.tokens.bytes(&range))
    }

    /// The token that could not stay, or the place behind the last one.
    pub(super) fn place(&self) -> Span {
        if self.at_end() {
            self.span(self.piece.clone()).after()
        } else {
            self.span(self.at..self.at + 1)
        }
    }

    /// The text of the token before the mistake, inside the piece.
    fn before(&self) -> Option<&str> {
        let i = self.at.min(self.piece.end).checked_sub(1)?;
        (i >= self.piece.start).then(|| self.text(i))
    }

    /// A keyword where a name should be.
    fn reserved_word(&self) -> Option<Diagnostic> {
        let word = self.text(self.at);
        if self.at_end() || self.at == self.piece.start || !is_reserved(word) {
            return None;
        }
        let name = self.expected.wants(NAME) && !self.expected.end();
        let value = self.expected.wants(EXPRESSION) && !self.expected.end();
        if !name && !value {
            return None;
        }
        let message = format!("`{word}` is a keyword and cannot be a name");
        let report = Diagnostic::new(Code::E0106, self.place(), message);
        let operand = |i: usize| self.tokens.kind(i) == Some(TokenKind::Sign);
        let in_formula = operand(self.at - 1) || operand(self.at + 1);
        if !name && !in_formula {
            return None;
        }
        Some(if name {
            report.help(format!("choose another name, such as `{word}_`"))
        } else {
            report.label("expected an expression")
        })
    }

    /// A statement whose first word is none of those that can begin one. It is the first of the piece, or one that
    /// begins a line and does not belong to the statement before it.
    fn misspelt_statement(&self) -> Option<Diagnostic> {
        let PieceKind::Statement(body) = self.kind else {
            return None;
        };
        let begin = if self.at <= self.piece.start + 1 {
            self.piece.start
        } else {
            self.at
        };
        let separate = begin == self.piece.start
            || !self.at_end() && self.expected.end() && self.tokens.first_on_line(begin);
        let first = self.text(begin);
        let word = self.tokens.kind(begin) == Some(TokenKind::Word);
        let starters = body.starters();
        if !word || !separate || starters.contains(&first) {
            return None;
        }
        let foreign = FOREIGN.iter().find(|(word, here)| {
            let keyword = here.split(' ').next().unwrap_or_default();
            *word == first && starters.contains(&keyword)
        });
        let near = foreign
            .map(|&(_, here)| here)
            .or_else(|| keyword_meant(first, &starters, self.ends_text(begin)));
        let span = self.span(begin..begin + 1);
        if let Some(near) = near {
            let message = format!("`{first}` does not begin a statement");
            let help = format!("did you mean `{near}`?");
            return Some(slip(span, message).help_edit(help, span, near));
        }
        if is_reserved(first) && self.at == self.piece.start {
            let message = format!("`{first}` does not belong here");
            let list: Vec<String> = starters.iter().map(|word| format!("`{word}`")).collect();
            return Some(
                slip(span, message).note(format!("statements here begin with {}", list.join(", "))),
            );
        }
        None
    }

    /// Whether nothing follows: then the token may be cut off.
    fn ends_text(&self, i: usize) -> bool {
        i + 1 == self.tokens.list.len()
    }

    /// The brackets that are open at the mistake, as token indices.
    pub(super) fn open_brackets(&self) -> Vec<usize> {
        let mut open = Vec::new();
        for i in self.piece.start..self.at.min(self.piece.end) {
            match self.text(i) {
                "(" | "[" | "{" => open.push(i),
                ")" | "]" | "}" => {
                    open.pop();
                }
                _ => {}
            }
        }
        open
    }

    /// A bracket without its partner.
    fn unclosed(&self) -> Option<Diagnostic> {
        let open = self.open_brackets();
        let found = self.text(self.at);
        let closer = matches!(found, ")" | "]" | "}");
        let Some(&last) = open.last() else {
            let stray = !self.at_end() && closer && self.expected.end();
            return stray.then(|| {
                let message = format!("this `{found}` closes nothing");
                slip(self.place(), message).help_edit("remove it", self.place(), "")
            });
        };
        let wanted = match self.text(last) {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        let missing = self.expected.wants(&format!("`{wanted}`"));
        if !missing || !(self.at_end() || closer) {
            return None;
        }
        let opening = self.text(last);
        let place = self.place();
        let report = slip(place, format!("expected `{wanted}` to close `{opening}`"))
            .secondary(self.span(last..last + 1), "opened here");
        let insert = match (self.at_end(), wanted) {
            (true, "}") => " }",
            _ => wanted,
        };
        Some(report.help_edit(format!("add `{wanted}`"), place.before(), insert))
    }

    /// A sign that means something else here.
    fn wrong_sign(&self) -> Option<Diagnostic> {
        if self.at_end() {
            return None;
        }
        let place = self.place();
        let found = self.text(self.at);
        let wants = |sign: &str| self.expected.wants(sign);
        let assigns = wants("`=`");
        match found {
            "==" if assigns => Some(
                slip(place, "`==` compares two values").help_edit("write `=`", place, "="),
            ),
            "=" if wants("an operator") && !assigns => Some(
                slip(place, "`=` does not compare two values")
                    .help_edit("write `==`, or `>=` in a spike condition", place, "=="),
            ),
            ":" if assigns => {
                Some(slip(place, "a value follows `=`").help_edit("write `=`", place, "="))
            }
            "(" if wants("a shape in brackets") || wants("`[`") && !wants(EXPRESSION) => Some(
                slip(place, "a shape stands in brackets")
                    .help("write the sizes as in `[28, 28]`"),
            ),
            "'" if self.before() == Some("'") => Some(
                slip(place, "an equation has one prime")
                    .help("for a second derivative declare a state for the first: `x' = y` and `y' = ...`"),
            ),
            "'" => Some(
                slip(place, "a derivative cannot be read")
                    .note("`v'` stands only on the left of its equation"),
            ),
            "<" | "<=" | ">" | ">=" | "==" | "!=" if self.compared() => Some(
                slip(place, "comparisons do not chain").help("write `a < b and b < c`"),
            ),
            "+=" | "-=" | "*=" | "/=" if assigns && self.at == self.piece.start + 1 => Some(
                slip(place, "an assignment stands in a block")
                    .help("write it in `on receive x { ... }` or `on spike detached { ... }`"),
            ),
            _ if self.before() == Some(":")
                && self.expected.wants("a unit")
                && self.tokens.kind(self.at) == Some(TokenKind::Number) =>
            {
                let colon = self.span(self.at - 1..self.at);
                let report = slip(colon, "behind `:` stands a unit, a value follows `=`");
                Some(report.help_edit("write `=`", colon, " ="))
            }
            "," if self.expected.end() => {
                Some(slip(place, "nothing separates statements but space")
                    .help_edit("remove the comma", place, ""))
            }
            _ => None,
        }
    }

    /// Whether a comparison stands before the mistake.
    fn compared(&self) -> bool {
        (self.piece.start..self.at)
            .any(|i| matches!(self.text(i), "<" | "<=" | ">" | ">=" | "==" | "!="))
    }

    /// `0.02 1/ms`
    fn number_after_number(&self) -> Option<Diagnostic> {
        let before = self.at.checked_sub(1)?;
        let number = |i| self.tokens.kind(i) == Some(TokenKind::Number);
        if self.at_end() || !number(self.at) || !number(before) || self.text(self.at) != "1" {
            return None;
        }
        let slash = self.text(self.at + 1) == "/";
        let end = self.at + 3;
        if !slash || end > self.piece.end || self.tokens.kind(end - 1) != Some(TokenKind::Word) {
            return None;
        }
        let span = self.span(self.at..end);
        let unit = format!("[1/{}]", self.text(end - 1));
        let help = format!("write `{unit}`");
        Some(
            Diagnostic::new(Code::E0104, span, "a compound unit needs brackets")
                .help_edit(help, span, unit),
        )
    }

    fn missing_else(&self) -> Option<Diagnostic> {
        if !self.expected.wants("`else`") {
            return None;
        }
        let opened = (self.piece.start..self.at)
            .rev()
            .find(|&i| self.text(i) == "if")?;
        if matches!(self.text(self.at), "elif" | "elsif" | "elseif") {
            let message = format!("`{}` is written `else if`", self.text(self.at));
            let finding = slip(self.place(), message);
            return Some(finding.help_edit("write", self.place(), "else if"));
        }
        Some(
            slip(self.place(), "an `if` needs its `else`")
                .secondary(
                    self.span(opened..opened + 1),
                    "this is an expression, it always has a value",
                )
                .help_edit("add the other value", self.place().before(), " else { 0 }"),
        )
    }

    /// `spike v >= 1`
    fn missing_when(&self) -> Option<Diagnostic> {
        let first = self.text(self.piece.start);
        if first != "spike" || !self.expected.wants("`when`") || self.at_end() {
            return None;
        }
        let keyword = self.span(self.piece.start..self.piece.start + 1);
        Some(
            slip(self.place(), "expected `when` and a condition").help_edit(
                "add `when`",
                keyword.after(),
                " when",
            ),
        )
    }

    fn unknown_escape(&self) -> Option<Diagnostic> {
        if self.tokens.kind(self.at) != Some(TokenKind::Str) || !self.expected.wants("`\"`") {
            return None;
        }
        Some(
            slip(self.place(), "a string with an unknown escape")
                .note("in a string `\\` stands before `\"`, `\\`, `n` or `t`; write `/` in a path"),
        )
    }

    /// `a b`
    fn missing_operator(&self) -> Option<Diagnostic> {
        if self.at_end() || self.at == self.piece.start || !self.expected.wants("an operator") {
            return None;
        }
        let operand = |i| {
            matches!(
                self.tokens.kind(i),
                Some(TokenKind::Word | TokenKind::Number)
            ) && !is_reserved(self.text(i))
        };
        let ends = operand(self.at - 1) || matches!(self.text(self.at - 1), ")" | "]");
        let begins = operand(self.at) || self.text(self.at) == "(";
        if !ends || !begins || self.tokens.first_on_line(self.at) || self.near().is_some() {
            return None;
        }
        let (before, found) = (self.text(self.at - 1), self.text(self.at));
        let in_choice = (self.piece.start..self.at).any(|i| self.text(i) == "if");
        if found == "then" && in_choice {
            let finding = slip(self.place(), "the values of an `if` stand in braces");
            return Some(finding.help("write `if c { a } else { b }`"));
        }
        Some(
            slip(
                self.place(),
                format!("no operator between `{before}` and `{found}`"),
            )
            .help("a product needs its `*`"),
        )
    }

    /// The expected keyword that the word at the mistake was probably meant to be.
    fn near(&self) -> Option<String> {
        if self.at_end() || self.tokens.kind(self.at) != Some(TokenKind::Word) {
            return None;
        }
        let phrases = self.expected.phrases();
        let words: Vec<&str> = phrases
            .iter()
            .filter_map(|phrase| phrase.strip_prefix('`')?.strip_suffix('`'))
            .collect();
        keyword_meant(self.text(self.at), &words, self.ends_text(self.at)).map(str::to_owned)
    }

    /// What was expected, and what stood there.
    fn plain(&self) -> Diagnostic {
        let report = self.sentence();
        match self.near() {
            Some(near) => {
                let help = format!("did you mean `{near}`?");
                report.help_edit(help, self.place(), near)
            }
            None => report,
        }
    }

    fn sentence(&self) -> Diagnostic {
        let place = self.place();
        let list = self.expected.list();
        let next = match self.kind {
            PieceKind::Head => "`{`",
            PieceKind::Statement(_) | PieceKind::Line | PieceKind::Expr => "",
        };
        let list = match (list.as_str(), self.expected.end(), next) {
            (list, false, _) | (list, true, "") => list.to_owned(),
            ("", true, next) => next.to_owned(),
            (list, true, next) => format!("{list} or {next}"),
        };
        if self.at_end() {
            let after = match self.before() {
                Some(text) => format!(" after `{}`", shown(text)),
                None => String::new(),
            };
            let list = if list.is_empty() { "more" } else { &list };
            return slip(place, format!("expected {list}{after}"));
        }
        let found = shown(self.text(self.at));
        if self.expected.end() && next.is_empty() || list.is_empty() {
            let report = slip(place, format!("unexpected `{found}`"));
            return match list.as_str() {
                "" if matches!(found.as_str(), "def" | "class" | "function" | "from") => {
                    report.help("a file consists of `import`, `const`, `fn f(x) = …`, `surrogate`, `neuron`, `network` and `train`")
                }
                "" => report.label("this does not continue the statement before it"),
                list => report.label(format!("expected {list} or the next statement")),
            };
        }
        slip(place, format!("expected {list}, found `{found}`"))
    }
}

/// A token for a message: not longer than a name should be.
fn shown(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(37).chain("...".chars()).collect()
}
