//! Slips that can be seen in the tokens alone: habits from other languages, typographic characters,
//! letters that a name may not have.
//!
//! Each slip is reported with the edit that mends it, and is mended here in a copy of the text, in
//! the same number of bytes, so that the rest is parsed as if it had been written right and every
//! place stays where it is. What cannot be mended in place is remembered, so that the grammar's
//! own complaint about the same statement is not shown as well.

use std::collections::BTreeSet;
use std::ops::Range;

use super::slip;
use crate::diag::Diagnostic;
use crate::lex::{Token, TokenKind, lex};
use crate::span::FileId;

/// After so many slips the text is not a program, and reading on helps nobody.
const MAX_SLIPS: usize = 40;

/// The mended text and what was wrong with it.
pub(super) struct Repaired {
    /// As long as the source, character boundaries included.
    pub(super) text: String,
    /// One report per slip.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Places that were reported and could not be mended.
    pub(super) unmended: Vec<Range<usize>>,
    /// There are so many slips that the rest was not looked at.
    pub(super) hopeless: bool,
}

/// Characters that stand for a sign of the language, with that sign.
const TYPOGRAPHIC: [(char, &str); 16] = [
    ('−', "-"),
    ('–', "-"),
    ('×', "*"),
    ('·', "*"),
    ('÷', "/"),
    ('≥', ">="),
    ('≤', "<="),
    ('≠', "!="),
    ('→', "->"),
    ('′', "'"),
    ('’', "'"),
    ('…', ".."),
    ('“', "\""),
    ('”', "\""),
    ('\u{a0}', " "),
    ('\u{feff}', " "),
];

const GREEK: [(char, &str); 24] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('π', "pi"),
    ('ρ', "rho"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "phi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Δ', "Delta"),
    ('Γ', "Gamma"),
];

/// Finds and mends the slips of a text.
pub(super) fn repair(source: &str, file: FileId) -> Repaired {
    let tokens = lex(source);
    let mut repairer = Repairer {
        source,
        file,
        text: source.as_bytes().to_vec(),
        diagnostics: Vec::new(),
        unmended: Vec::new(),
        words: BTreeSet::new(),
    };
    let significant: Vec<Token> = tokens.iter().copied().filter(|t| !t.is_trivia()).collect();
    let mut i = 0;
    while i < significant.len() && repairer.diagnostics.len() < MAX_SLIPS {
        let skip_to = repairer.token(&significant, i);
        i += 1;
        while significant.get(i).is_some_and(|t| t.start < skip_to) {
            i += 1;
        }
    }
    Repaired {
        text: String::from_utf8(repairer.text).expect("whole characters were replaced by ASCII"),
        hopeless: repairer.diagnostics.len() >= MAX_SLIPS,
        diagnostics: repairer.diagnostics,
        unmended: repairer.unmended,
    }
}

struct Repairer<'a> {
    source: &'a str,
    file: FileId,
    text: Vec<u8>,
    diagnostics: Vec<Diagnostic>,
    unmended: Vec<Range<usize>>,
    /// Words with foreign letters that were reported.
    words: BTreeSet<&'a str>,
}

impl<'a> Repairer<'a> {
    /// Looks at one token; gives the offset up to which the following ones are dealt with.
    fn token(&mut self, tokens: &[Token], i: usize) -> usize {
        let token = tokens[i];
        match token.kind {
            TokenKind::Unknown => self.unknown(token),
            TokenKind::OpenStr => {
                let report = slip(self.file.span(token.range()), "this string is never closed")
                    .label("a string ends on its own line")
                    .help_edit("close it", self.file.span(token.end..token.end), "\"");
                self.unmended.push(token.range());
                self.diagnostics.push(report);
            }
            TokenKind::Word => self.word(tokens, i),
            TokenKind::Sign => return self.sign(tokens, i),
            TokenKind::Number | TokenKind::Str | TokenKind::Space | TokenKind::Comment => {}
        }
        token.end
    }

    /// Overwrites a range with a sign and blanks.
    fn mend(&mut self, range: Range<usize>, by: &str) {
        debug_assert!(by.len() <= range.len(), "a mended place keeps its length");
        let (written, blank) = self.text[range].split_at_mut(by.len());
        written.copy_from_slice(by.as_bytes());
        blank.fill(b' ');
    }

    fn replace(&mut self, range: Range<usize>, message: String, write: &str) {
        let span = self.file.span(range.clone());
        let help = format!("write `{write}`");
        self.diagnostics
            .push(slip(span, message).help_edit(help, span, write));
        self.mend(range, write);
    }

    fn unknown(&mut self, token: Token) {
        let text = token.text(self.source);
        let span = self.file.span(token.range());
        let known = TYPOGRAPHIC.iter().find(|(c, _)| text.starts_with(*c));
        if let Some(&(character, sign)) = known {
            if character == '\u{feff}' && token.start == 0 {
                self.mend(token.range(), " ");
                return;
            }
            let message = match sign {
                " " => "an invisible character instead of a blank".to_owned(),
                _ => format!("`{text}` is not a sign of the language"),
            };
            let help = match sign {
                " " => "write a blank".to_owned(),
                _ => format!("write `{sign}`"),
            };
            self.diagnostics
                .push(slip(span, message).help_edit(help, span, sign));
            self.mend(token.range(), sign);
            return;
        }
        let report = match text {
            ";" => slip(span, "statements are not ended by `;`").help_edit(
                "remove it: a statement ends where the next one begins",
                span,
                "",
            ),
            "!" => slip(span, "`!` is not an operator").help_edit("write `not`", span, "not "),
            "&" => slip(span, "`&` is not an operator").help("write `and`"),
            "|" => slip(span, "`|` is not an operator").help("write `or`"),
            "?" => slip(span, "`?` is not an operator").help("write `if c { a } else { b }`"),
            _ => slip(
                span,
                format!("unexpected character `{}`", text.escape_debug()),
            ),
        };
        let blank = matches!(text, ";") || !text.is_ascii();
        self.diagnostics.push(report);
        if blank {
            self.mend(token.range(), "");
        } else {
            self.unmended.push(token.range());
        }
    }

    fn word(&mut self, tokens: &[Token], i: usize) {
        let token = tokens[i];
        let text = token.text(self.source);
        let foreign = |c: char| !c.is_ascii() && !matches!(c, 'µ' | 'μ' | 'Ω' | '\u{2126}');
        if text.contains(foreign) {
            self.foreign_word(token, text);
            return;
        }
        self.leibniz(tokens, i);
    }

    /// A name with letters that are not ASCII.
    fn foreign_word(&mut self, token: Token, text: &'a str) {
        for (at, c) in text.char_indices() {
            if !c.is_ascii() {
                let range = token.start + at..token.start + at + c.len_utf8();
                let dashes = "_".repeat(range.len());
                self.mend(range, &dashes);
            }
        }
        if !self.words.insert(text) {
            return;
        }
        let span = self.file.span(token.range());
        let report = slip(span, format!("`{text}` cannot be a name"))
            .label("names are made of the letters a to z, digits and `_`");
        let spelt: String = text
            .chars()
            .map(|c| match GREEK.iter().find(|(letter, _)| *letter == c) {
                Some((_, name)) => (*name).to_owned(),
                None => c.to_string(),
            })
            .collect();
        self.diagnostics.push(if spelt.is_ascii() {
            report.help_edit(format!("write `{spelt}`"), span, spelt)
        } else {
            report
        });
    }

    /// `dv/dt = …`
    fn leibniz(&mut self, tokens: &[Token], i: usize) {
        let Some([d, slash, dt, equals]) = tokens.get(i..i + 4) else {
            return;
        };
        let text = |token: &Token| token.text(self.source);
        let name = text(d).strip_prefix('d').unwrap_or_default();
        let starts_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let equals = matches!(text(equals), "=" | ":=");
        if !starts_name || text(slash) != "/" || text(dt) != "dt" || !equals {
            return;
        }
        let begins = i == 0 || !matches!(text(&tokens[i - 1]), "=" | "*" | "/" | "+" | "-" | "(");
        if !begins {
            return;
        }
        let range = d.start..dt.end;
        let written = &self.source[range.clone()];
        let span = self.file.span(range.clone());
        let report = slip(
            span,
            format!("an equation for `{name}` is not written `{written}`"),
        )
        .help_edit(format!("write `{name}'`"), span, format!("{name}'"));
        self.diagnostics.push(report);
        // The name stays where it is: ` v'  `.
        let mended = format!(" {name}'");
        self.mend(range, &mended);
    }

    fn sign(&mut self, tokens: &[Token], i: usize) -> usize {
        let token = tokens[i];
        let next = tokens.get(i + 1).filter(|next| next.start == token.end);
        let follower = next.map_or("", |next| next.text(self.source));
        match (token.text(self.source), follower) {
            ("//", _) => return self.line_comment(token),
            ("/", "*") => return self.block_comment(token),
            (":=", _) => self.replace(token.range(), "`:=` is not a sign here".into(), "="),
            ("**", _) => self.replace(token.range(), "a power is not written `**`".into(), "^"),
            ("=>", _) => {
                let sign = if self.in_connect(tokens, i) {
                    "->"
                } else {
                    ">="
                };
                self.replace(token.range(), "`=>` is not a sign".into(), sign);
            }
            ("=", "<") => {
                let range = token.start..token.end + 1;
                self.replace(range, "`=<` is not a sign".into(), "<=");
                return token.end + 1;
            }
            ("&&" | "||", _) => {
                let sign = token.text(self.source);
                let word = if sign == "&&" { "and" } else { "or" };
                let span = self.file.span(token.range());
                let report = slip(span, format!("`{sign}` is not an operator")).help_edit(
                    format!("write `{word}`"),
                    span,
                    format!(" {word} "),
                );
                self.diagnostics.push(report);
                self.unmended.push(token.range());
            }
            (".", _) => self.bare_dot(tokens, i),
            _ => {}
        }
        token.end
    }

    /// `// comment`
    fn line_comment(&mut self, token: Token) -> usize {
        let span = self.file.span(token.range());
        let report = slip(span, "a comment begins with `#`").help_edit("write `#`", span, "#");
        self.diagnostics.push(report);
        self.mend(token.range(), "#");
        let rest = &self.source[token.end..];
        token.end + rest.find('\n').unwrap_or(rest.len())
    }

    /// `/* comment */`
    fn block_comment(&mut self, token: Token) -> usize {
        let rest = &self.source[token.start..];
        let end = token.start + rest.find("*/").map_or(rest.len(), |i| i + 2);
        let span = self.file.span(token.start..token.end + 1);
        let report = slip(span, "a comment begins with `#` and ends with its line")
            .help("put `#` in front of each line");
        self.diagnostics.push(report);
        for byte in &mut self.text[token.start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        end
    }

    /// `.5` and `5.`
    fn bare_dot(&mut self, tokens: &[Token], i: usize) {
        let dot = tokens[i];
        let before = i.checked_sub(1).map(|i| tokens[i]);
        let before = before.filter(|t| t.end == dot.start);
        let after = tokens.get(i + 1).filter(|t| t.start == dot.end);
        let number = |t: &Token| t.kind == TokenKind::Number;
        // `tower.0.h`: the number of a copy between two dots, or in front of the name behind it.
        let in_path = |at: usize| {
            let dots = at.checked_sub(1).map(|at| tokens[at]);
            dots.is_some_and(|t| t.text(self.source) == "." && t.end == tokens[at].start)
        };
        let copy_before = before.is_some_and(|t| number(&t)) && in_path(i - 1);
        let copy_after =
            before.is_some_and(|t| t.kind == TokenKind::Word) && after.is_some_and(number);
        if copy_before || copy_after {
            return;
        }
        if let Some(number) = before.filter(number) {
            let range = number.start..dot.end;
            let span = self.file.span(range);
            let write = format!("{}.0", number.text(self.source));
            let report = slip(span, "a number does not end in a dot").help_edit(
                format!("write `{write}`"),
                span,
                write,
            );
            self.diagnostics.push(report);
            self.mend(dot.range(), "");
        } else if let Some(number) = after.filter(|t| number(t) && before.is_none()) {
            let range = dot.start..number.end;
            let span = self.file.span(range.clone());
            let write = format!("0.{}", number.text(self.source));
            let report = slip(span, "a number does not begin with a dot").help_edit(
                format!("write `{write}`"),
                span,
                write,
            );
            self.diagnostics.push(report);
            self.unmended.push(range);
        }
    }

    /// Whether the statement around token `i` began with `connect`, as far as its line shows.
    fn in_connect(&self, tokens: &[Token], i: usize) -> bool {
        let line = self.source[..tokens[i].start]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let on_line = tokens[..i].iter().rev().take_while(|t| t.start >= line);
        on_line
            .last()
            .is_some_and(|t| t.text(self.source) == "connect")
    }
}
