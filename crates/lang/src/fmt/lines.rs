//! The lines of the standard form: which tokens stand on each, how far it is indented, and which
//! lines are a table.

use super::spacing::{Open, Spacing};
use crate::lex::{Token, TokenKind, lex};
use crate::parse::outline;

/// Spaces per level.
const INDENT: usize = 2;

/// A line in the making.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// An empty line stands before it.
    blank_before: bool,
    /// Levels of indentation.
    level: usize,
    /// The code, spaced, without indentation.
    code: String,
    /// The first of each of [`MARKS`] outside brackets.
    marks: [Option<Mark>; MARKS.len()],
    /// The comment at its end, or its only content.
    comment: Option<String>,
    /// The column of the comment in the source.
    source_comment: usize,
    /// Spaces between code and comment.
    comment_gap: usize,
}

/// Tokens that may stand in one column on neighbouring lines, in the order in which a line has
/// them.
const MARKS: [&str; 3] = [":", "per", "="];

/// Where such a token stands, counted from the beginning of the code.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// In the line as it is being made.
    at: usize,
    /// In the source.
    source: usize,
}

impl Line {
    /// Puts spaces in front of the character at a column of the code.
    fn pad(&mut self, column: usize, spaces: usize) {
        let place = self.code.char_indices().nth(column);
        let byte = place.map_or(self.code.len(), |(byte, _)| byte);
        self.code.insert_str(byte, &" ".repeat(spaces));
        for mark in self.marks.iter_mut().flatten() {
            if mark.at >= column {
                mark.at += spaces;
            }
        }
    }

    /// Adds the line to a text.
    pub(super) fn write(&self, out: &mut String) {
        if self.blank_before {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', INDENT * self.level));
        out.push_str(&self.code);
        if let Some(comment) = &self.comment {
            out.extend(std::iter::repeat_n(' ', self.comment_gap));
            out.push_str(comment);
        }
        out.push('\n');
    }
}

/// The lines of a text that has no mistakes.
pub(super) fn lines(source: &str) -> Vec<Line> {
    let all = lex(source);
    let tokens: Vec<Token> = all.iter().copied().filter(|t| !t.is_trivia()).collect();
    let outline = outline(source);
    let mut layout = Layout {
        spacing: Spacing {
            source,
            tokens: &tokens,
        },
        starts: outline.starts,
        bodies: outline.bodies,
        lines: Vec::new(),
        open: Vec::new(),
        line_start: 0,
    };
    let mut next = 0;
    let mut breaks = 0;
    for token in &all {
        match token.kind {
            TokenKind::Space => breaks += token.text(source).matches('\n').count(),
            TokenKind::Comment => {
                layout.comment(*token, next, breaks);
                breaks = 0;
            }
            TokenKind::Word
            | TokenKind::Number
            | TokenKind::Str
            | TokenKind::OpenStr
            | TokenKind::Sign
            | TokenKind::Unknown => {
                layout.token(next, breaks);
                next += 1;
                breaks = 0;
            }
        }
    }
    layout.lines
}

struct Layout<'a> {
    spacing: Spacing<'a>,
    /// Tokens that begin an item or a statement.
    starts: Vec<usize>,
    /// First token inside and closing brace of each body.
    bodies: Vec<(usize, usize)>,
    lines: Vec<Line>,
    /// The open brackets, each with the level of the line that it stands on.
    open: Vec<(Open, usize)>,
    /// Where the current line's code begins in the source.
    line_start: usize,
}

impl Layout<'_> {
    /// Places a token behind the current line or on a new one.
    fn token(&mut self, i: usize, breaks: usize) {
        let text = self.spacing.text(i);
        let closes_body = self
            .bodies
            .binary_search_by_key(&i, |&(_, close)| close)
            .is_ok();
        let starts = self.starts.binary_search(&i).is_ok();
        let after_comment = self.lines.last().is_some_and(|line| line.comment.is_some());
        if self.lines.is_empty() || breaks > 0 || starts || closes_body || after_comment {
            self.begin_line(i, breaks, starts);
        } else {
            let inside = self.open.last().map(|&(open, _)| open);
            let gap = self.spacing.gap(i, inside);
            let line = self.lines.last_mut().expect("a line was begun");
            line.code.extend(std::iter::repeat_n(' ', gap));
        }
        if matches!(text, ")" | "]" | "}") {
            self.open.pop();
        }
        let nested = self.nested_on_line();
        let before = &self.spacing.source[self.line_start..self.spacing.tokens[i].start];
        let line = self.lines.last_mut().expect("a line was begun");
        let kind = MARKS.iter().position(|mark| *mark == text && !nested);
        if let Some(mark) = kind.map(|kind| &mut line.marks[kind]) {
            mark.get_or_insert(Mark {
                at: line.code.chars().count(),
                source: before.chars().count(),
            });
        }
        line.code.push_str(text);
        let level = line.level;
        let inside = self.open.last().map(|&(open, _)| open);
        if let Some(open) = self.spacing.opens(i, inside) {
            self.open.push((open, level));
        }
    }

    /// Whether a bracket that was opened on the current line is open.
    fn nested_on_line(&self) -> bool {
        let line = self.lines.last();
        self.open.last().is_some_and(|&(open, level)| {
            open != Open::Brace || line.is_some_and(|line| line.level <= level)
        })
    }

    fn begin_line(&mut self, i: usize, breaks: usize, starts: bool) {
        let closes = matches!(self.spacing.text(i), ")" | "]" | "}");
        let level = match self.open.last() {
            Some(&(_, level)) if closes => level,
            _ => self.level(starts || self.in_block()),
        };
        self.line_start = self.spacing.tokens[i].start;
        self.push_line(Line {
            blank_before: breaks > 1 && !closes,
            level,
            ..Line::default()
        });
    }

    /// Whether the innermost bracket is the brace of a block inside a statement, where every line
    /// is an assignment of its own.
    fn in_block(&self) -> bool {
        self.open.len() > 1
            && self
                .open
                .last()
                .is_some_and(|&(open, _)| open == Open::Brace)
    }

    /// The level of a line inside the open brackets; one more if it continues a statement.
    fn level(&self, begins: bool) -> usize {
        let Some(&(open, level)) = self.open.last() else {
            return usize::from(!begins);
        };
        let body = self.open.len() == 1 && open == Open::Brace;
        level + 1 + usize::from(body && !begins)
    }

    fn push_line(&mut self, mut line: Line) {
        let opened = self.lines.last().is_none_or(|before| {
            before.code.ends_with('{') && self.open.last().is_some_and(|&(o, _)| o == Open::Brace)
        });
        line.blank_before &= !opened;
        self.lines.push(line);
    }

    /// Places a comment behind the current line or on a line of its own.
    fn comment(&mut self, token: Token, next: usize, breaks: usize) {
        let text = token.text(self.spacing.source).trim_end().to_owned();
        let behind = self.lines.last().is_some_and(|line| line.comment.is_none()) && breaks == 0;
        if behind {
            let before = &self.spacing.source[..token.start];
            let before = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
            let line = self.lines.last_mut().expect("it was just looked at");
            line.source_comment = before.chars().count();
            line.comment = Some(text);
            line.comment_gap = 2;
            return;
        }
        let closes = matches!(self.spacing.text(next), ")" | "]" | "}" | "");
        let starts = self.starts.binary_search(&next).is_ok();
        let line = Line {
            blank_before: breaks > 1,
            level: self.level(starts || closes || self.in_block()),
            comment: Some(text),
            ..Line::default()
        };
        self.push_line(line);
    }
}

/// Keeps the tables of the source: marks that stand in one column on neighbouring lines stay in
/// one column, and a comment stays in its column if the code leaves room.
pub(super) fn align(lines: &mut [Line]) {
    for kind in 0..MARKS.len() {
        let column = |line: &Line| line.marks[kind].map(|mark| mark.source);
        for_runs(lines, column, |run| {
            let at = |line: &Line| line.marks[kind].map(|mark| mark.at);
            let column = run.iter().filter_map(at).max().unwrap_or(0);
            for line in run {
                if let Some(at) = at(line) {
                    line.pad(at, column - at);
                }
            }
        });
    }
    let comment = |line: &Line| {
        let behind = line.comment.is_some() && !line.code.is_empty();
        behind.then_some(line.source_comment)
    };
    for_runs(lines, comment, |run| {
        let width = |line: &Line| INDENT * line.level + line.code.chars().count();
        let widest = run.iter().map(width).max().unwrap_or(0);
        for line in run {
            line.comment_gap = line.source_comment.max(widest + 2) - width(line);
        }
    });
}

/// Calls `each` for every longest run of lines of one level, without an empty line between, that
/// have the same key.
fn for_runs(
    lines: &mut [Line],
    key: impl Fn(&Line) -> Option<usize>,
    mut each: impl FnMut(&mut [Line]),
) {
    let mut start = 0;
    while start < lines.len() {
        let mut end = start + 1;
        let first = key(&lines[start]);
        while end < lines.len()
            && first.is_some()
            && key(&lines[end]) == first
            && lines[end].level == lines[start].level
            && !lines[end].blank_before
        {
            end += 1;
        }
        if first.is_some() {
            each(&mut lines[start..end]);
        }
        start = end;
    }
}
