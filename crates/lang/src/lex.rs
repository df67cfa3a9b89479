//! The text as tokens, spaces and comments included: nothing is lost.
//!
//! The grammar reads characters and needs no tokens. They serve what the grammar cannot do: cutting
//! a file into pieces that are parsed one by one, seeing a slip of the pen for what it is, and
//! formatting without losing a comment.
//!
//! Out: tokens whose ranges follow each other without a gap and cover the text. Every text has
//! tokens; what is not a token of the language is [`TokenKind::Unknown`].

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line breaks.
    Space,
    /// From `#` to the end of the line.
    Comment,
    /// A name, a keyword or a unit.
    Word,
    /// `20`, `0.5`, `1e-3`
    Number,
    /// A string with both quotes.
    Str,
    /// A string whose line ends before its second quote.
    OpenStr,
    /// A sign of one or two characters, also some that other languages have.
    Sign,
    /// A character that has no place in the language.
    Unknown,
}

/// A token: its kind and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Token {
    /// Its bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its text in the text that it was made from.
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.start..self.end]
    }

    /// Whether it is a space or a comment.
    pub fn is_trivia(&self) -> bool {
        matches!(self.kind, TokenKind::Space | TokenKind::Comment)
    }
}

/// Signs of two characters; the longer ones win over their first character.
const PAIRS: [&str; 16] = [
    "->", "..", "+=", "-=", "*=", "/=", "<=", ">=", "==", "!=", "=>", ":=", "//", "**", "&&", "||",
];

/// Signs of one character.
const SINGLES: &str = "{}()[],:'.=+-*/^<>";

/// All tokens of a text.
pub fn lex(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = source[start..].chars().next() {
        let (kind, len) = next_token(&source[start..], first);
        let end = start + len;
        tokens.push(Token { kind, start, end });
        start = end;
    }
    tokens
}

/// The kind and length of the token at the beginning of `rest`, whose first character is `first`.
fn next_token(rest: &str, first: char) -> (TokenKind, usize) {
    if is_space(first) {
        return (TokenKind::Space, run(rest, is_space));
    }
    if first == '#' {
        return (TokenKind::Comment, run(rest, |c| c != '\n'));
    }
    if is_word_start(first) {
        return (TokenKind::Word, run(rest, is_word));
    }
    if first.is_ascii_digit() {
        return (TokenKind::Number, number(rest));
    }
    if first == '"' {
        return string(rest);
    }
    if PAIRS.iter().any(|pair| rest.starts_with(pair)) {
        return (TokenKind::Sign, 2);
    }
    if SINGLES.contains(first) {
        return (TokenKind::Sign, 1);
    }
    (TokenKind::Unknown, first.len_utf8())
}

/// Length of the characters in front that satisfy `accept`.
fn run(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c| !accept(c)).unwrap_or(text.len())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Letters of other scripts make words too, so that they can be named as a whole in a message; `%`
/// is a unit.
fn is_word_start(c: char) -> bool {
    c == '_' || c == '%' || c.is_alphabetic()
}

fn is_word(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit()
}

fn number(text: &str) -> usize {
    let digits = |from: usize| from + run(&text[from..], |c| c.is_ascii_digit());
    let mut end = digits(0);
    if text[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

fn string(text: &str) -> (TokenKind, usize) {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        if c == '\n' {
            return (TokenKind::OpenStr, i);
        }
        if c == '"' && !escaped {
            return (TokenKind::Str, i + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    (TokenKind::OpenStr, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<&str> {
        let tokens = lex(source);
        let kept = tokens.iter().filter(|token| !token.is_trivia());
        kept.map(|token| token.text(source)).collect()
    }

    #[test]
    fn tokens_cover_the_text_and_split_where_a_reader_would() {
        let source = "v' = 1e-3*x # c\n a..b 0 .. 1 0..1 5ms \"a\\\"b\" µs @ 2.x";
        let tokens = lex(source);
        let joined: String = tokens.iter().map(|token| token.text(source)).collect();
        assert_eq!(joined, source);
        assert_eq!(
            shown(source),
            [
                "v",
                "'",
                "=",
                "1e-3",
                "*",
                "x",
                "a",
                "..",
                "b",
                "0",
                "..",
                "1",
                "0",
                "..",
                "1",
                "5",
                "ms",
                "\"a\\\"b\"",
                "µs",
                "@",
                "2",
                ".",
                "x"
            ]
        );
    }
}
