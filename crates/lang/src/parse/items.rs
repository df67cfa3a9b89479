//! The parse of a whole file: limits, then items, then statements, each on its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::Pair;

use super::build::{Builder, Built, Kids};
use super::expected::Expected;
use super::grammar::{Rule, SnnParser};
use super::repair::repair;
use super::slips::{Mistake, PieceKind, report};
use super::split::{Body, Piece, Tokens, items, statements};
use super::{MAX_BRACKETS, MAX_DIAGNOSTICS, MAX_FILE_BYTES, MAX_PARTS, MAX_TOKENS, slip};
use crate::ast;
use crate::diag::{Diagnostic, keyword_meant};
use crate::lex::TokenKind;
use crate::span::{FileId, Span};

/// Reads a file: the tree of everything that could be read, and what was wrong with the rest.
///
/// The file is to be taken as it is named in the source map, so that spans point into it. If a
/// finding is an error, something is missing from the tree; where, its `broken` marks say.
pub fn parse(source: &str, file: FileId) -> (ast::File, Vec<Diagnostic>) {
    let mut tree = ast::File {
        id: file,
        items: Vec::new(),
        broken: false,
        trusted: false,
    };
    if let Some(refusal) = refuse(source, file) {
        tree.broken = true;
        return (tree, vec![refusal]);
    }
    let repaired = repair(source, file);
    let mut diagnostics = repaired.diagnostics;
    let tokens = Tokens::new(&repaired.text);
    if let Some(refusal) = too_deep(&tokens, file) {
        diagnostics.push(refusal);
        tree.broken = true;
    } else if repaired.hopeless {
        let last = diagnostics.last().map(|d| d.primary.span);
        let place = last.unwrap_or_else(|| file.span(0..0)).after();
        diagnostics.push(
            slip(
                place,
                "too many mistakes: the rest of the file was not read",
            )
            .note("this does not look like a .snn file"),
        );
        tree.broken = true;
    } else {
        let mut parser = FileParser {
            tokens: &tokens,
            file,
            defined: defined_names(&tokens),
            unmended: repaired.unmended,
            diagnostics,
            broken: false,
        };
        for (i, piece) in items(&tokens).into_iter().enumerate() {
            if i == MAX_PARTS {
                let (Piece::Line(first)
                | Piece::Headless(first)
                | Piece::Stray(first)
                | Piece::Body { head: first, .. }) = piece;
                parser.too_many(first, "items in this file");
                tree.broken = true;
                break;
            }
            parser.piece(piece, &mut tree);
            if parser.diagnostics.len() >= MAX_DIAGNOSTICS {
                tree.broken = true;
                break;
            }
        }
        diagnostics = parser.diagnostics;
    }
    whole_characters(&mut diagnostics, source, file);
    crate::diag::sort(&mut diagnostics);
    (tree, diagnostics)
}

/// Makes places end where characters of the text do: in the repaired text some signs are shorter.
fn whole_characters(diagnostics: &mut [Diagnostic], source: &str, file: FileId) {
    let base = file.span(0..0).start;
    let whole = |span: &mut Span| {
        let local = |place: u32| place.saturating_sub(base) as usize;
        let start = source.floor_char_boundary(local(span.start));
        let end = source.ceil_char_boundary(local(span.end));
        *span = file.span(start..end);
    };
    for diagnostic in diagnostics {
        whole(&mut diagnostic.primary.span);
        for label in &mut diagnostic.secondary {
            whole(&mut label.span);
        }
        for (span, _) in diagnostic.help.iter_mut().flat_map(|help| &mut help.edits) {
            whole(span);
        }
    }
}

/// Reads one expression, such as a value given on the command line.
///
/// # Errors
/// All mistakes in the text.
pub fn parse_expr(source: &str, file: FileId) -> Result<ast::Expr, Vec<Diagnostic>> {
    if let Some(refusal) = refuse(source, file) {
        return Err(vec![refusal]);
    }
    let repaired = repair(source, file);
    if !repaired.diagnostics.is_empty() {
        return Err(repaired.diagnostics);
    }
    let tokens = Tokens::new(&repaired.text);
    if let Some(refusal) = too_deep(&tokens, file) {
        return Err(vec![refusal]);
    }
    let mut parser = FileParser {
        tokens: &tokens,
        file,
        defined: BTreeSet::new(),
        unmended: Vec::new(),
        diagnostics: Vec::new(),
        broken: false,
    };
    let range = 0..tokens.list.len();
    let expr = parser.read(Rule::expr_alone, PieceKind::Expr, range, |builder, pair| {
        builder.expr(pair)
    });
    match expr {
        Some(expr) if parser.diagnostics.is_empty() => Ok(expr),
        Some(_) | None => Err(parser.diagnostics),
    }
}

/// Refuses what is not a program at all.
fn refuse(source: &str, file: FileId) -> Option<Diagnostic> {
    if source.len() > MAX_FILE_BYTES {
        let message = format!(
            "the file has {} bytes, more than the {MAX_FILE_BYTES} that are read",
            source.len()
        );
        return Some(slip(file.span(0..0), message).note("data belongs into a data file"));
    }
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if let Some((at, found)) = source.char_indices().find(|&(_, c)| control(c)) {
        let message = format!(
            "the file contains the control character `{}`",
            found.escape_debug()
        );
        return Some(
            slip(file.span(at..at + found.len_utf8()), message).note("a .snn file is plain text"),
        );
    }
    None
}

/// Refuses brackets that are nested too deeply to be read by recursion.
fn too_deep(tokens: &Tokens, file: FileId) -> Option<Diagnostic> {
    let mut depth = 0_usize;
    for i in 0..tokens.list.len() {
        match tokens.text(i) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKETS {
            let span = file.span(tokens.list[i].range());
            let message = format!("brackets are nested more than {MAX_BRACKETS} deep");
            return Some(
                slip(span, message).help("give parts of the expression a name with `let`"),
            );
        }
    }
    None
}

/// The names that a file seems to define, from the tokens: also those in statements that cannot be
/// read.
fn defined_names(tokens: &Tokens) -> BTreeSet<String> {
    const DECLARING: [&str; 10] = [
        "param", "state", "let", "input", "noise", "const", "next", "layer", "spike", "fn",
    ];
    let mut names = BTreeSet::new();
    for i in 1..tokens.list.len() {
        let before = tokens.text(i - 1);
        let declared = DECLARING.contains(&before);
        let formal = matches!(before, "(" | ",") && matches!(tokens.text(i + 1), "," | ")" | "=");
        if tokens.kind(i) == Some(TokenKind::Word) && (declared || formal) {
            names.insert(tokens.text(i).to_owned());
        }
    }
    names
}

struct FileParser<'a> {
    tokens: &'a Tokens<'a>,
    file: FileId,
    defined: BTreeSet<String>,
    /// Places whose mistake is reported already.
    unmended: Vec<Range<usize>>,
    diagnostics: Vec<Diagnostic>,
    /// The last piece that was read had a mistake.
    broken: bool,
}

impl FileParser<'_> {
    fn piece(&mut self, piece: Piece, tree: &mut ast::File) {
        let item = match piece {
            Piece::Line(range) => self.line_item(range),
            Piece::Body { head, body, closed } => self.body_item(head, body, closed),
            Piece::Headless(range) => self.headless(range),
            Piece::Stray(range) => self.stray(range),
        };
        self.broken = item.is_none();
        tree.broken |= item.is_none();
        tree.items.extend(item);
    }

    /// What begins at these tokens is one more than is read.
    fn too_many(&mut self, first: Range<usize>, what: &str) {
        let place = self.file.span(self.tokens.bytes(&first));
        let message = format!("more than {MAX_PARTS} {what}: the rest was not read");
        self.diagnostics.push(slip(place, message));
    }

    /// Reads a range of tokens by a rule; `None`, and a report, if there is a mistake.
    fn read<T>(
        &mut self,
        rule: Rule,
        kind: PieceKind,
        range: Range<usize>,
        build: impl FnOnce(&Builder, Pair<Rule>) -> Built<T>,
    ) -> Option<T> {
        if range.len() > MAX_TOKENS {
            let place = self
                .file
                .span(self.tokens.bytes(&(range.start..range.start + 1)));
            let message = format!("this is more than {MAX_TOKENS} words and signs long");
            let finding = slip(place, message).note("data does not belong into a program");
            self.diagnostics.push(finding);
            return None;
        }
        let bytes = self.tokens.bytes(&range);
        let base = bytes.start;
        let pairs = match SnnParser::parse(rule, &self.tokens.source[bytes.clone()]) {
            Ok(pairs) => pairs,
            Err(error) => {
                let reported =
                    |place: &Range<usize>| place.start < bytes.end && bytes.start < place.end;
                if !self.unmended.iter().any(reported) {
                    let report = self.mistake(error, kind, range, base);
                    self.diagnostics.push(report);
                }
                return None;
            }
        };
        let alone = pairs
            .into_iter()
            .next()
            .expect("a parse gives its own rule");
        let pair = Kids::of(alone).next().expect("the piece is inside");
        let builder = Builder {
            tokens: self.tokens,
            file: self.file,
            base,
            defined: &self.defined,
            found: RefCell::new(Vec::new()),
        };
        let built = build(&builder, pair);
        self.diagnostics.extend(builder.found.into_inner());
        match built {
            Ok(node) => Some(node),
            Err(report) => {
                self.diagnostics.push(*report);
                None
            }
        }
    }

    fn mistake(
        &self,
        error: Error<Rule>,
        kind: PieceKind,
        piece: Range<usize>,
        base: usize,
    ) -> Diagnostic {
        let offset = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => base + at,
        };
        let rules = match error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives,
            ErrorVariant::CustomError { .. } => Vec::new(),
        };
        let list = &self.tokens.list;
        let at = list.partition_point(|token| token.end <= offset);
        report(&Mistake {
            tokens: self.tokens,
            file: self.file,
            kind,
            at: at.clamp(piece.start, piece.end),
            piece,
            expected: Expected::new(rules),
        })
    }

    fn line_item(&mut self, range: Range<usize>) -> Option<ast::Item> {
        let kind = PieceKind::Line;
        match self.tokens.text(range.start) {
            "import" => self.read(Rule::import_alone, kind, range, |builder, pair| {
                Ok(ast::Item::Import(builder.import(pair)))
            }),
            "const" => self.read(Rule::constant_alone, kind, range, |builder, pair| {
                builder.constant(pair).map(ast::Item::Const)
            }),
            _ => self.read(Rule::function_alone, kind, range, |builder, pair| {
                builder.function(pair).map(ast::Item::Fn)
            }),
        }
    }

    fn body_item(
        &mut self,
        head: Range<usize>,
        body: Range<usize>,
        closed: bool,
    ) -> Option<ast::Item> {
        let before = self.diagnostics.len();
        let keyword = self.tokens.text(head.start);
        let whole = head.start..body.end + usize::from(closed);
        let span = self.file.span(self.tokens.bytes(&whole));
        let item = match keyword {
            "surrogate" => self.surrogate(head.clone(), body.clone(), span),
            "neuron" => self.neuron(head.clone(), body.clone(), span),
            "network" => self.network(head.clone(), body.clone(), span),
            _ => self.train(head.clone(), body.clone(), span),
        };
        // A brace that is missing inside moves the closing one: one mistake, one report.
        if !closed && self.diagnostics.len() == before {
            self.missing_brace(&head, &body);
        }
        item
    }

    fn missing_brace(&mut self, head: &Range<usize>, body: &Range<usize>) {
        let title = &self.tokens.source[self.tokens.bytes(head)];
        let title = title.lines().next().unwrap_or_default().trim_end();
        let open = self.file.span(self.tokens.list[head.end].range());
        let place = self.file.span(self.tokens.bytes(&(head.start..body.end)));
        let report = slip(place.after(), format!("`{title}` is never closed"))
            .label("expected `}` before this place")
            .secondary(open, "opened here")
            .help_edit("add `}`", place.after(), "\n}");
        self.diagnostics.push(report);
    }

    fn surrogate(
        &mut self,
        head: Range<usize>,
        body: Range<usize>,
        span: crate::span::Span,
    ) -> Option<ast::Item> {
        let rule = Rule::surrogate_head_alone;
        let read = self.read(rule, PieceKind::Head, head, |builder, pair| {
            let mut kids = Kids::of(pair);
            let name = builder.name(kids.one(Rule::name));
            Ok((name, builder.formals(kids.one(Rule::formals))?))
        });
        let rule = Rule::surrogate_stmt_alone;
        let (body, broken) = self.body(rule, Body::Surrogate, body, |builder, pair| {
            builder.surrogate_stmt(pair)
        });
        let (name, formals) = read?;
        Some(ast::Item::Surrogate(ast::Surrogate {
            name,
            formals,
            body,
            broken,
            span,
        }))
    }

    fn neuron(
        &mut self,
        head: Range<usize>,
        body: Range<usize>,
        span: crate::span::Span,
    ) -> Option<ast::Item> {
        let rule = Rule::neuron_head_alone;
        let read = self.read(rule, PieceKind::Head, head, |builder, pair| {
            let mut kids = Kids::of(pair);
            let name = builder.name(kids.one(Rule::name));
            Ok((name, kids.next().map(|parent| builder.name(parent))))
        });
        let rule = Rule::neuron_stmt_alone;
        let (body, broken) = self.body(rule, Body::Neuron, body, |builder, pair| {
            builder.neuron_stmt(pair)
        });
        let (name, parent) = read?;
        Some(ast::Item::Neuron(ast::Neuron {
            name,
            parent,
            body,
            broken,
            span,
        }))
    }

    fn network(
        &mut self,
        head: Range<usize>,
        body: Range<usize>,
        span: crate::span::Span,
    ) -> Option<ast::Item> {
        let rule = Rule::network_head_alone;
        let read = self.read(rule, PieceKind::Head, head, |builder, pair| {
            let mut kids = Kids::of(pair);
            let name = builder.name(kids.one(Rule::name));
            let formals = kids.maybe(Rule::formals);
            let formals = formals.map(|formals| builder.formals(formals));
            Ok((name, formals.transpose()?.unwrap_or_default()))
        });
        let rule = Rule::network_stmt_alone;
        let (body, broken) = self.body(rule, Body::Network, body, |builder, pair| {
            builder.network_stmt(pair)
        });
        let (name, formals) = read?;
        Some(ast::Item::Network(ast::Network {
            name,
            formals,
            body,
            broken,
            span,
        }))
    }

    fn train(
        &mut self,
        head: Range<usize>,
        body: Range<usize>,
        span: crate::span::Span,
    ) -> Option<ast::Item> {
        let rule = Rule::train_head_alone;
        let read = self.read(rule, PieceKind::Head, head, |builder, pair| {
            let mut kids = Kids::of(pair);
            let name = builder.name(kids.one(Rule::name));
            let network = builder.name(kids.one(Rule::name));
            Ok((name, network, builder.maybe_args(&mut kids)?))
        });
        let rule = Rule::setting_alone;
        let (settings, broken) = self.body(rule, Body::Train, body, |builder, pair| {
            builder.setting(pair)
        });
        let (name, network, args) = read?;
        Some(ast::Item::Train(ast::Train {
            name,
            network,
            args,
            settings,
            broken,
            span,
        }))
    }

    /// The statements of a body, and whether one could not be read.
    fn body<T>(
        &mut self,
        rule: Rule,
        kind: Body,
        range: Range<usize>,
        build: impl Fn(&Builder, Pair<Rule>) -> Built<T>,
    ) -> (Vec<T>, bool) {
        let mut nodes = Vec::new();
        let mut broken = false;
        for (i, statement) in statements(self.tokens, range, kind).into_iter().enumerate() {
            if i == MAX_PARTS {
                self.too_many(statement, "statements in one item");
                return (nodes, true);
            }
            if self.diagnostics.len() >= MAX_DIAGNOSTICS {
                return (nodes, true);
            }
            match self.read(rule, PieceKind::Statement(kind), statement, &build) {
                Some(node) => nodes.push(node),
                None => broken = true,
            }
        }
        (nodes, broken)
    }

    /// An item whose body does not begin.
    fn headless(&mut self, range: Range<usize>) -> Option<ast::Item> {
        let rule = match self.tokens.text(range.start) {
            "surrogate" => Rule::surrogate_head_alone,
            "neuron" => Rule::neuron_head_alone,
            "network" => Rule::network_head_alone,
            _ => Rule::train_head_alone,
        };
        let before = self.diagnostics.len();
        self.read(rule, PieceKind::Head, range.clone(), |_, _| Ok(()))?;
        if self.diagnostics.len() == before {
            let place = self.file.span(self.tokens.bytes(&range)).after();
            let report = slip(place, "expected `{` and the statements of this item");
            self.diagnostics.push(report);
        }
        None
    }

    /// Text that belongs to no item.
    fn stray(&mut self, range: Range<usize>) -> Option<ast::Item> {
        let first = self.tokens.text(range.start);
        let span = self.file.span(self.tokens.list[range.start].range());
        let bytes = self.tokens.bytes(&range);
        let reported = |place: &Range<usize>| place.start < bytes.end && bytes.start < place.end;
        let braces_only = range.clone().all(|i| self.tokens.text(i) == "}");
        if self.unmended.iter().any(reported) || braces_only && self.broken {
            return None;
        }
        const ITEMS: [&str; 7] = [
            "import",
            "const",
            "surrogate",
            "fn",
            "neuron",
            "network",
            "train",
        ];
        let cut_off = range.start + 1 == self.tokens.list.len();
        let report = if first == "}" {
            slip(span, "this `}` closes nothing").help_edit("remove it", span, "")
        } else if let Some(near) = keyword_meant(first, &ITEMS, cut_off) {
            slip(span, format!("`{first}` does not begin an item")).help_edit(
                format!("did you mean `{near}`?"),
                span,
                near,
            )
        } else {
            let shown: String = first.chars().take(40).collect();
            let report = slip(span, format!("`{shown}` does not begin an item"));
            match first {
                "synapse" | "plasticity" | "stdp" => report
                    .note("synapses have no equations of their own: weights are trained by a plan, and traces are states of the neuron they arrive at")
                    .help("write a port with its state in the neuron, and `connect a -> b.x : dense(w = …)` in the network"),
                _ => report.note(
                    "a file consists of `import`, `const`, `surrogate`, `fn`, `neuron`, `network` and `train`",
                ),
            }
        };
        self.diagnostics.push(report);
        None
    }
}
