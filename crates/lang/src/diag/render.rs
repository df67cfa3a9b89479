//! Diagnostics as people read them in a terminal, in the manner of rustc: code and sentence, the
//! lines with every cause underlined, notes, and the help as an edited line.
//!
//! The drawing is done by `annotate-snippets`; this file only says what goes where.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Padding, Patch, Renderer, Snippet};

use super::{Diagnostic, Help, Severity};
use crate::span::{SourceFile, SourceMap, Span};

/// A diagnostic as text, with a line break at its end.
///
/// `color` puts terminal escapes in; without it the text is the same on every machine.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str());
    let mut main = Group::with_title(title).elements(snippets(diagnostic, sources));
    for note in &diagnostic.notes {
        main = main.element(Level::NOTE.message(note.as_str()));
    }
    let mut report = vec![main];
    match &diagnostic.help {
        Some(help) if help.edits.is_empty() => {
            let main = report.remove(0);
            report.push(main.element(Level::HELP.message(help.text.as_str())));
        }
        Some(help) => report.push(edits(help, sources)),
        None => {}
    }
    let mut text = renderer.render(&report);
    text.push('\n');
    text
}

/// Several diagnostics, an empty line between two.
pub fn render_all(diagnostics: &[Diagnostic], sources: &SourceMap, color: bool) -> String {
    let texts: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| render(diagnostic, sources, color))
        .collect();
    texts.join("\n")
}

/// Things in one file, each with its bytes there.
type InFile<'a, T> = (&'a SourceFile, Vec<(Range<usize>, T)>);

/// Sorts things by the file of their spans, files in the order in which they are met.
fn by_file<'a, T>(
    sources: &'a SourceMap,
    things: impl Iterator<Item = (Span, T)>,
) -> Vec<InFile<'a, T>> {
    let mut files: Vec<InFile<'a, T>> = Vec::new();
    for (span, thing) in things {
        let Some((file, range)) = sources.resolve(span) else {
            continue;
        };
        let range = shortened(file.text(), range);
        match files.iter_mut().find(|(known, _)| known.id() == file.id()) {
            Some((_, list)) => list.push((range, thing)),
            None => files.push((file, vec![(range, thing)])),
        }
    }
    files
}

/// How much of a place within one line is underlined, and how much of a line is shown behind it.
const MOST_OF_A_LINE: usize = 200;

/// A long place within a line, cut to its beginning; places of several lines are folded anyway.
fn shortened(text: &str, range: Range<usize>) -> Range<usize> {
    if range.len() <= MOST_OF_A_LINE || text[range.clone()].contains('\n') {
        return range;
    }
    range.start..text.floor_char_boundary(range.start + MOST_OF_A_LINE)
}

/// The lines around some places. Only these go to the drawing library: its work grows with the text
/// it is given, and a file may be large.
fn window<T>(file: &SourceFile, places: &[(Range<usize>, T)]) -> Range<usize> {
    let text = file.text();
    let first = places.iter().map(|(r, _)| r.start).min().unwrap_or(0);
    let last = places.iter().map(|(r, _)| r.end).max().unwrap_or(0);
    let start = text[..first].rfind('\n').map_or(0, |i| i + 1);
    let most = text.floor_char_boundary(last + MOST_OF_A_LINE);
    let end = text[last..most].find('\n').map_or(most, |i| last + i);
    start..end
}

/// A place counted from the beginning of its window.
fn inside(window: &Range<usize>, range: &Range<usize>) -> Range<usize> {
    range.start - window.start..range.end - window.start
}

/// One snippet per file, the one with the primary place first.
fn snippets<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Element<'a>> {
    let primary = std::iter::once((AnnotationKind::Primary, &diagnostic.primary));
    let others = diagnostic
        .secondary
        .iter()
        .map(|label| (AnnotationKind::Context, label));
    let labels = primary
        .chain(others)
        .map(|(kind, label)| (label.span, (kind, label.text.as_str())));
    let files = by_file(sources, labels);
    if files.is_empty() {
        return vec![Padding.into()];
    }
    let snippet = |(file, labels): InFile<'a, (AnnotationKind, &'a str)>| {
        let window = window(file, &labels);
        let annotations = labels.iter().map(|(range, (kind, text))| {
            let text = Some(*text).filter(|text| !text.is_empty());
            kind.span(inside(&window, range)).label(text)
        });
        Snippet::source(&file.text()[window.clone()])
            .path(file.name())
            .line_start(file.line_column(window.start).0)
            .annotations(annotations)
            .into()
    };
    files.into_iter().map(snippet).collect()
}

/// The help with its edits drawn into the lines they change.
fn edits<'a>(help: &'a Help, sources: &'a SourceMap) -> Group<'a> {
    let mut group = Group::with_title(Level::HELP.secondary_title(help.text.as_str()));
    let edits = help.edits.iter().map(|(span, text)| (*span, text.as_str()));
    for (file, edits) in by_file(sources, edits) {
        let window = window(file, &edits);
        let patches = edits
            .iter()
            .map(|(range, text)| Patch::new(inside(&window, range), *text));
        let snippet = Snippet::source(&file.text()[window.clone()])
            .line_start(file.line_column(window.start).0)
            .patches(patches);
        group = group.element(snippet);
    }
    group
}
