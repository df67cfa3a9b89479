//! Diagnostics as people read them in a terminal, in the manner of rustc: code and sentence, the
//! lines with every cause underlined, notes, and the help as an edited line.
//!
//! The drawing is done by `annotate-snippets`; this file only says what goes where.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Padding, Patch, Renderer, Snippet};

use super::{Diagnostic, Help, Label, Severity};
use crate::span::{SourceFile, SourceMap};

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

/// One snippet per file, the one with the primary place first.
fn snippets<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Element<'a>> {
    let primary = std::iter::once((AnnotationKind::Primary, &diagnostic.primary));
    let others = diagnostic
        .secondary
        .iter()
        .map(|label| (AnnotationKind::Context, label));
    let mut files: Vec<(&SourceFile, Vec<(AnnotationKind, &Label)>)> = Vec::new();
    for (kind, label) in primary.chain(others) {
        let Some((file, _)) = sources.resolve(label.span) else {
            continue;
        };
        match files.iter_mut().find(|(known, _)| known.id() == file.id()) {
            Some((_, labels)) => labels.push((kind, label)),
            None => files.push((file, vec![(kind, label)])),
        }
    }
    if files.is_empty() {
        return vec![Padding.into()];
    }
    files
        .into_iter()
        .map(|(file, labels)| snippet(file, &labels, sources).into())
        .collect()
}

fn snippet<'a>(
    file: &'a SourceFile,
    labels: &[(AnnotationKind, &'a Label)],
    sources: &SourceMap,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let ranges: Vec<_> = labels
        .iter()
        .map(|(_, label)| match sources.resolve(label.span) {
            Some((_, range)) => range,
            None => 0..0,
        })
        .collect();
    // Only the lines between the first and the last label go to the drawing library: its work
    // grows with the text it is given, and a file may be large.
    let first = ranges.iter().map(|r| r.start).min().unwrap_or(0);
    let last = ranges.iter().map(|r| r.end).max().unwrap_or(0);
    let window = window(file.text(), first, last);
    let (line, _) = file.line_column(window.start);
    let annotations = labels.iter().zip(&ranges).map(|((kind, label), range)| {
        let text = Some(label.text.as_str()).filter(|text| !text.is_empty());
        kind.span(range.start - window.start..range.end - window.start)
            .label(text)
    });
    Snippet::source(&file.text()[window.clone()])
        .path(file.name())
        .line_start(line)
        .annotations(annotations)
}

/// The whole lines around `first..last`.
fn window(text: &str, first: usize, last: usize) -> std::ops::Range<usize> {
    let start = text[..first].rfind('\n').map_or(0, |i| i + 1);
    let end = text[last..].find('\n').map_or(text.len(), |i| last + i);
    start..end
}

/// The help with its edits drawn into the lines they change.
fn edits<'a>(help: &'a Help, sources: &'a SourceMap) -> Group<'a> {
    let title = Level::HELP.secondary_title(help.text.as_str());
    let mut files: Vec<(&SourceFile, Vec<(std::ops::Range<usize>, &str)>)> = Vec::new();
    for (span, replacement) in &help.edits {
        let Some((file, range)) = sources.resolve(*span) else {
            continue;
        };
        match files.iter_mut().find(|(known, _)| known.id() == file.id()) {
            Some((_, patches)) => patches.push((range, replacement)),
            None => files.push((file, vec![(range, replacement)])),
        }
    }
    let mut group = Group::with_title(title);
    for (file, patches) in files {
        let first = patches.iter().map(|(r, _)| r.start).min().unwrap_or(0);
        let last = patches.iter().map(|(r, _)| r.end).max().unwrap_or(0);
        let window = window(file.text(), first, last);
        let (line, _) = file.line_column(window.start);
        let patches = patches.into_iter().map(|(range, replacement)| {
            Patch::new(
                range.start - window.start..range.end - window.start,
                replacement,
            )
        });
        group = group.element(
            Snippet::source(&file.text()[window.clone()])
                .line_start(line)
                .patches(patches),
        );
    }
    group
}
