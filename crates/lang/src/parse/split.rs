//! Cuts a file into items and the body of an item into statements, by keywords and braces only.
//!
//! The cuts must be right for every correct text, and sensible for a wrong one, so that a mistake
//! in one statement leaves its neighbours readable. Two facts make that possible: a keyword that
//! begins a statement never stands inside an expression, and an expression never ends in an
//! operator. What is between two cuts is judged by the grammar, not here.

use std::ops::Range;

use super::is_reserved;
use crate::lex::{Token, TokenKind, lex};

/// The tokens of a text without spaces and comments.
pub(super) struct Tokens<'a> {
    pub(super) source: &'a str,
    pub(super) list: Vec<Token>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a str) -> Tokens<'a> {
        let mut list = lex(source);
        list.retain(|token| !token.is_trivia());
        Tokens { source, list }
    }

    /// The text of token `i`; empty past the end.
    pub(super) fn text(&self, i: usize) -> &'a str {
        self.list.get(i).map_or("", |token| token.text(self.source))
    }

    pub(super) fn kind(&self, i: usize) -> Option<TokenKind> {
        self.list.get(i).map(|token| token.kind)
    }

    /// Whether no other token stands before `i` on its line.
    pub(super) fn first_on_line(&self, i: usize) -> bool {
        let before = i.checked_sub(1).map(|before| self.list[before].end);
        match (before, self.list.get(i)) {
            (Some(end), Some(token)) => self.source[end..token.start].contains('\n'),
            (None, _) | (_, None) => true,
        }
    }

    /// The bytes from the first to the last token of a range; the empty place behind the token
    /// before it if the range is empty.
    pub(super) fn bytes(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            let end = range.start.checked_sub(1).map_or(0, |i| self.list[i].end);
            return end..end;
        }
        self.list[range.start].start..self.list[range.end - 1].end
    }

    /// The last token that begins before a byte offset.
    pub(super) fn before(&self, offset: usize) -> Option<usize> {
        self.list
            .partition_point(|token| token.start < offset)
            .checked_sub(1)
    }
}

/// The item keywords with a body in braces, and those without.
const BODY_ITEMS: [&str; 4] = ["surrogate", "neuron", "network", "train"];
const LINE_ITEMS: [&str; 3] = ["import", "const", "fn"];

/// A part of a file. Ranges count tokens.
#[derive(Debug)]
pub(super) enum Piece {
    /// `import`, `const` or `fn`.
    Line(Range<usize>),
    /// An item with a body.
    Body {
        /// From the keyword to before `{`.
        head: Range<usize>,
        /// Between the braces.
        body: Range<usize>,
        /// Whether `}` was there.
        closed: bool,
    },
    /// An item that should have a body and has no `{`.
    Headless(Range<usize>),
    /// What belongs to no item.
    Stray(Range<usize>),
}

/// The parts of a file, in order.
pub(super) fn items(tokens: &Tokens) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut i = 0;
    while i < tokens.list.len() {
        let word = tokens.text(i);
        let (piece, end) = if BODY_ITEMS.contains(&word) {
            body_item(tokens, i)
        } else if LINE_ITEMS.contains(&word) {
            let end = line_item_end(tokens, i);
            (Piece::Line(i..end), end)
        } else {
            let end = (i + 1..tokens.list.len())
                .find(|&j| is_item_word(tokens.text(j)))
                .unwrap_or(tokens.list.len());
            (Piece::Stray(i..end), end)
        };
        pieces.push(piece);
        i = end;
    }
    pieces
}

fn is_item_word(word: &str) -> bool {
    BODY_ITEMS.contains(&word) || LINE_ITEMS.contains(&word)
}

/// The item with a body whose keyword is token `start`, and where it ends.
fn body_item(tokens: &Tokens, start: usize) -> (Piece, usize) {
    let mut depth = 0_usize;
    let mut open = None;
    let mut end = tokens.list.len();
    for i in start + 1..tokens.list.len() {
        match tokens.text(i) {
            "{" if depth == 0 => {
                open = Some(i);
                break;
            }
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ if begins_item(tokens, i) => {
                end = i;
                break;
            }
            _ => {}
        }
    }
    let Some(open) = open else {
        return (Piece::Headless(start..end), end);
    };
    let mut depth = 0_usize;
    for i in open..tokens.list.len() {
        match tokens.text(i) {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if i > open && begins_item(tokens, i) => return unclosed(tokens, start, open, i),
            _ => {}
        }
        if depth == 0 {
            return body(start, open, i, true);
        }
    }
    unclosed(tokens, start, open, tokens.list.len())
}

/// A body whose braces do not match. If its last token is `}` at the left margin, then that closes
/// the item, and the brace that is missing belongs to a statement.
fn unclosed(tokens: &Tokens, start: usize, open: usize, end: usize) -> (Piece, usize) {
    let last = tokens.list[end - 1].start;
    let margin = last == 0 || tokens.source[..last].ends_with('\n');
    if tokens.text(end - 1) == "}" && margin {
        return body(start, open, end - 1, true);
    }
    body(start, open, end, false)
}

fn body(start: usize, open: usize, close: usize, closed: bool) -> (Piece, usize) {
    let piece = Piece::Body {
        head: start..open,
        body: open + 1..close,
        closed,
    };
    (piece, close + usize::from(closed))
}

fn line_item_end(tokens: &Tokens, start: usize) -> usize {
    let mut depth = 0_usize;
    for i in start + 1..tokens.list.len() {
        match tokens.text(i) {
            "{" => depth += 1,
            "}" if depth == 0 => return i,
            "}" => depth -= 1,
            // Directly behind the keyword it is a name that may not be one.
            word if depth == 0 && i > start + 1 && is_item_word(word) => return i,
            _ if begins_item(tokens, i) => return i,
            _ => {}
        }
    }
    tokens.list.len()
}

/// Whether token `i` begins an item although a brace may be open: then its `}` is missing.
fn begins_item(tokens: &Tokens, i: usize) -> bool {
    let word = tokens.text(i);
    if !is_item_word(word) || !tokens.first_on_line(i) {
        return false;
    }
    let named = matches!(
        tokens.kind(i + 1),
        Some(TokenKind::Word | TokenKind::Str | TokenKind::OpenStr)
    );
    match word {
        "neuron" => named && tokens.text(i.wrapping_sub(1)) != "per",
        // Inside a neuron `surrogate f(..)` is a clause of `spike`; an item goes on with `{`.
        "surrogate" => {
            let close = (i + 2..tokens.list.len())
                .take_while(|&j| !matches!(tokens.text(j), "{" | "}"))
                .find(|&j| tokens.text(j) == ")" && tokens.text(j + 1) == "{");
            named && tokens.text(i + 2) == "(" && close.is_some()
        }
        _ => named,
    }
}

/// Whose statements are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Surrogate,
    Neuron,
    Network,
    Train,
}

impl Body {
    /// The words that begin a statement here and nothing else.
    pub(super) fn keywords(self) -> &'static [&'static str] {
        match self {
            Body::Surrogate => &["let"],
            Body::Neuron => &[
                "param",
                "input",
                "state",
                "let",
                "next",
                "noise",
                "on",
                "spike",
                "refractory",
                "integrate",
                "order",
            ],
            Body::Network => &["step", "input", "layer", "connect", "let"],
            Body::Train => &[],
        }
    }

    /// All words that can begin a statement here, for suggestions.
    pub(super) fn starters(self) -> Vec<&'static str> {
        let more: &[&str] = match self {
            Body::Surrogate => &["derivative", "primitive", "support"],
            Body::Neuron | Body::Train => &[],
            Body::Network => &["output"],
        };
        [self.keywords(), more].concat()
    }
}

/// Words after which a statement is not finished.
const UNFINISHED: [&str; 24] = [
    "param",
    "input",
    "state",
    "let",
    "next",
    "noise",
    "on",
    "receive",
    "when",
    "holds",
    "drops",
    "refractory",
    "order",
    "layer",
    "connect",
    "delay",
    "per",
    "in",
    "via",
    "if",
    "else",
    "and",
    "or",
    "not",
];

/// The statements of a body, as ranges of tokens that follow each other without a gap.
pub(super) fn statements(tokens: &Tokens, range: Range<usize>, kind: Body) -> Vec<Range<usize>> {
    let mut cutter = Cutter {
        tokens,
        range: range.clone(),
        kind,
        forced: false,
    };
    let mut found = Vec::new();
    let mut start = range.start;
    while start < range.end {
        cutter.forced = false;
        let mut end = cutter.end(start);
        if end.open {
            // A bracket is never closed, so its depth says nothing: cut by lines instead.
            cutter.forced = true;
            end = cutter.end(start);
        }
        found.push(start..end.at);
        start = end.at;
    }
    found
}

/// Where a text has its items and statements, for the formatter. Indices count tokens that are not
/// spaces or comments.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// The first token of each item and of each statement of a body, ascending.
    pub(crate) starts: Vec<usize>,
    /// The braces around the bodies of items, if the body is not empty: the first token inside and
    /// the closing brace.
    pub(crate) bodies: Vec<(usize, usize)>,
}

/// The items and statements of a text.
pub(crate) fn outline(source: &str) -> Outline {
    let tokens = Tokens::new(source);
    let mut outline = Outline::default();
    for piece in items(&tokens) {
        match piece {
            Piece::Line(range) | Piece::Headless(range) | Piece::Stray(range) => {
                outline.starts.push(range.start);
            }
            Piece::Body { head, body, .. } => {
                outline.starts.push(head.start);
                let kind = match tokens.text(head.start) {
                    "surrogate" => Body::Surrogate,
                    "neuron" => Body::Neuron,
                    "network" => Body::Network,
                    _ => Body::Train,
                };
                if !body.is_empty() {
                    outline.bodies.push((body.start, body.end));
                }
                let statements = statements(&tokens, body, kind);
                outline
                    .starts
                    .extend(statements.iter().map(|range| range.start));
            }
        }
    }
    outline
}

/// Whether a statement cannot end with this word.
pub(crate) fn is_unfinished(word: &str) -> bool {
    UNFINISHED.contains(&word)
}

struct Cutter<'a, 'b> {
    tokens: &'a Tokens<'b>,
    range: Range<usize>,
    kind: Body,
    /// Statements begin at the beginning of a line, whatever brackets are open.
    forced: bool,
}

struct End {
    at: usize,
    /// Brackets were still open there.
    open: bool,
}

impl Cutter<'_, '_> {
    /// Where the statement that begins at `start` ends.
    fn end(&self, start: usize) -> End {
        let mut depth = 0_usize;
        for i in start..self.range.end {
            if i > start && self.begins(start, i, depth) {
                return End {
                    at: i,
                    open: depth > 0,
                };
            }
            match self.tokens.text(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        End {
            at: self.range.end,
            open: depth > 0,
        }
    }

    /// Whether a statement begins at `i`, inside the one that began at `start`.
    fn begins(&self, start: usize, i: usize, depth: usize) -> bool {
        let tokens = self.tokens;
        if tokens.kind(i) != Some(TokenKind::Word) {
            return false;
        }
        let (word, next) = (tokens.text(i), tokens.text(i + 1));
        let first = tokens.first_on_line(i);
        if self.kind.keywords().contains(&word) {
            return (first || depth == 0) && next != "=" && !self.belongs(start, i);
        }
        if depth > 0 && !(self.forced && first) {
            // `v' =` at the beginning of a line is an equation, whatever is open.
            let equation = self.kind == Body::Neuron && first && next == "'";
            return equation;
        }
        if first && self.finished(i) && self.foreign(i) {
            return true;
        }
        if self.kind == Body::Network {
            return word == "output"
                && self.finished(i)
                && tokens.kind(i + 1) == Some(TokenKind::Word);
        }
        let headless_block =
            tokens.text(start) == "on" && (start..i).all(|j| tokens.text(j) != "{");
        let assigns = matches!(next, "=" | "+=" | "-=" | "*=" | "/=") && !headless_block;
        let binds = match self.kind {
            Body::Neuron => matches!(next, "'" | "per" | ":" | "shared"),
            Body::Train => first && next == ":",
            Body::Surrogate | Body::Network => false,
        };
        let lone = i == start + 1 && tokens.kind(start) == Some(TokenKind::Word);
        (assigns || binds) && word != "shared" && !lone && self.finished(i)
    }

    /// Whether the word at `i` is followed by another word or a number as in a misspelt statement:
    /// in an expression an operator stands between them, and a clause begins with its keyword.
    fn foreign(&self, i: usize) -> bool {
        const CLAUSES: [&str; 7] = [
            "scale",
            "payload",
            "count",
            "then",
            "repeat",
            "shared",
            "derivative",
        ];
        let operand = |i: usize| {
            let kind = self.tokens.kind(i);
            let word = self.tokens.text(i);
            matches!(kind, Some(TokenKind::Word | TokenKind::Number)) && !is_reserved(word)
        };
        operand(i) && operand(i + 1) && !CLAUSES.contains(&self.tokens.text(i))
    }

    /// Whether the keyword at `i` is a part of the statement that began at `start`.
    fn belongs(&self, start: usize, i: usize) -> bool {
        let before = self.tokens.text(i - 1);
        match self.tokens.text(i) {
            "spike" if before == "on" => true,
            "spike" | "integrate" => {
                self.tokens.text(start) == "order" && matches!(before, "," | "order")
            }
            // `1 step` is a time.
            "step" => {
                self.tokens.kind(i - 1) == Some(TokenKind::Number) && !self.tokens.first_on_line(i)
                    || !self.finished(i)
            }
            // A keyword where a name should be: one mistake, not two statements.
            _ => !self.tokens.first_on_line(i) && !self.finished(i),
        }
    }

    /// Whether the token before `i` can end a statement.
    fn finished(&self, i: usize) -> bool {
        let before = self.tokens.text(i - 1);
        match self.tokens.list[i - 1].kind {
            TokenKind::Word => !UNFINISHED.contains(&before),
            TokenKind::Sign => matches!(before, ")" | "]" | "}"),
            TokenKind::Number
            | TokenKind::Str
            | TokenKind::OpenStr
            | TokenKind::Unknown
            | TokenKind::Space
            | TokenKind::Comment => true,
        }
    }
}
