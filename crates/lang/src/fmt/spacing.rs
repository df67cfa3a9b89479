//! How many spaces stand between two tokens of a line.

use crate::lex::{Token, TokenKind};
use crate::parse::{is_reserved, is_unfinished};

/// A bracket that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// `(` of an expression.
    Paren,
    /// `[` of a list or a shape.
    Bracket,
    /// Inside the brackets of a unit: nothing is spaced there.
    Unit,
    /// `{`
    Brace,
}

/// The tokens of a text and the question how far apart they are.
pub(super) struct Spacing<'a> {
    pub(super) source: &'a str,
    /// Without spaces and comments.
    pub(super) tokens: &'a [Token],
}

impl<'a> Spacing<'a> {
    pub(super) fn text(&self, i: usize) -> &'a str {
        self.tokens
            .get(i)
            .map_or("", |token| token.text(self.source))
    }

    fn kind(&self, i: usize) -> Option<TokenKind> {
        self.tokens.get(i).map(|token| token.kind)
    }

    /// What the bracket at token `i` opens.
    pub(super) fn opens(&self, i: usize, inside: Option<Open>) -> Option<Open> {
        let before = i.checked_sub(1);
        match self.text(i) {
            "{" => Some(Open::Brace),
            "(" | "[" if inside == Some(Open::Unit) => Some(Open::Unit),
            "(" => Some(Open::Paren),
            "[" => {
                let unit = before.is_some_and(|before| {
                    self.kind(before) == Some(TokenKind::Number) || self.text(before) == ":"
                });
                Some(if unit { Open::Unit } else { Open::Bracket })
            }
            _ => None,
        }
    }

    /// The spaces between token `i` and the one before it, if they stand on one line.
    pub(super) fn gap(&self, i: usize, inside: Option<Open>) -> usize {
        let (before, token) = (self.text(i - 1), self.text(i));
        if inside == Some(Open::Unit) {
            return 0;
        }
        if inside == Some(Open::Brace) && self.begins_assignment(i) {
            return 2;
        }
        let tight = matches!(before, "(" | "[" | "." | "^")
            || matches!(token, ")" | "]" | "," | "'" | "." | "^")
            || self.is_sign(i - 1)
            || self.is_call_or_shape(i);
        usize::from(!tight)
    }

    /// Whether an assignment or a rule begins at `i`, behind another one on its line.
    fn begins_assignment(&self, i: usize) -> bool {
        let goes_on = matches!(
            self.text(i + 1),
            "=" | "+=" | "-=" | "*=" | "/=" | ":" | "per" | "shared" | ","
        );
        let word = self.kind(i) == Some(TokenKind::Word) && self.text(i) != "shared";
        word && goes_on && self.ends_value(i - 1) && !is_unfinished(self.text(i - 1))
    }

    /// Whether token `i` can be the end of an expression.
    fn ends_value(&self, i: usize) -> bool {
        match self.kind(i) {
            Some(TokenKind::Sign) => matches!(self.text(i), ")" | "]" | "}"),
            Some(TokenKind::Word | TokenKind::Number | TokenKind::Str) => true,
            Some(
                TokenKind::Space | TokenKind::Comment | TokenKind::OpenStr | TokenKind::Unknown,
            )
            | None => false,
        }
    }

    /// Whether token `i` is a minus in front of an operand rather than between two.
    fn is_sign(&self, i: usize) -> bool {
        if self.text(i) != "-" {
            return false;
        }
        let Some(before) = i.checked_sub(1) else {
            return true;
        };
        if is_clause(self.text(before)) {
            // `scale -x`, or a variable that is called `scale`: as it was written.
            let spaced = self.tokens[before].end < self.tokens[i].start;
            let close = self
                .tokens
                .get(i + 1)
                .is_some_and(|next| next.start == self.tokens[i].end);
            return spaced && close;
        }
        !self.ends_value(before) || is_operator_word(self.text(before))
    }

    /// Whether token `i` opens the arguments of a call or the shape of what stands before it.
    fn is_call_or_shape(&self, i: usize) -> bool {
        let before = self.text(i - 1);
        let word = self.kind(i - 1) == Some(TokenKind::Word) && !is_reserved(before);
        match self.text(i) {
            "(" if is_clause(before) => self.tokens[i - 1].end == self.tokens[i].start,
            "(" => word && before != "derivative",
            "[" => word && before != "derivative" || before == ")",
            _ => false,
        }
    }
}

/// Words that begin a clause and may be names too.
fn is_clause(word: &str) -> bool {
    matches!(word, "scale" | "payload" | "count" | "then" | "repeat")
}

/// Keywords behind which an expression begins.
fn is_operator_word(word: &str) -> bool {
    matches!(
        word,
        "and" | "or" | "not" | "if" | "in" | "when" | "delay" | "step" | "refractory"
    )
}
