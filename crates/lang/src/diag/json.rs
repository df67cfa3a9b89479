//! Diagnostics for editors and scripts, in the shape of rustc's `--error-format json` as far as it
//! applies: `message`, `code`, `level`, `spans`, `children`, `rendered`.
//!
//! Notes and help are children; a help with edits has one span per edit, with
//! `suggested_replacement` and `suggestion_applicability`. Lines and columns count from 1, columns
//! in characters; `byte_start` and `byte_end` count from 0 in the file that the span names.

use serde_json::{Value, json};

use super::render::render;
use super::{Diagnostic, Label};
use crate::span::{SourceMap, Span};

/// One diagnostic as a JSON object.
pub fn to_json(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut spans = vec![label(&diagnostic.primary, true, sources)];
    spans.extend(
        diagnostic
            .secondary
            .iter()
            .map(|l| label(l, false, sources)),
    );
    let mut children: Vec<Value> = diagnostic
        .notes
        .iter()
        .map(|note| child("note", note, Vec::new()))
        .collect();
    if let Some(help) = &diagnostic.help {
        let edits = help.edits.iter().map(|(span, replacement)| {
            let mut place = place(*span, true, sources);
            place["label"] = Value::Null;
            place["suggested_replacement"] = json!(replacement);
            place["suggestion_applicability"] = json!("MaybeIncorrect");
            place
        });
        children.push(child("help", &help.text, edits.collect()));
    }
    json!({
        "$message_type": "diagnostic",
        "message": diagnostic.message,
        "code": {
            "code": diagnostic.code.as_str(),
            "name": diagnostic.code.name(),
            "explanation": diagnostic.code.page(),
        },
        "level": diagnostic.severity.word(),
        "spans": spans,
        "children": children,
        "rendered": render(diagnostic, sources, false),
    })
}

/// All diagnostics as a JSON array.
pub fn to_json_all(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    diagnostics
        .iter()
        .map(|diagnostic| to_json(diagnostic, sources))
        .collect()
}

fn child(level: &str, message: &str, spans: Vec<Value>) -> Value {
    json!({
        "message": message,
        "code": null,
        "level": level,
        "spans": spans,
        "children": [],
        "rendered": null,
    })
}

fn label(label: &Label, is_primary: bool, sources: &SourceMap) -> Value {
    let mut place = place(label.span, is_primary, sources);
    place["label"] = match label.text.as_str() {
        "" => Value::Null,
        text => json!(text),
    };
    place
}

fn place(span: Span, is_primary: bool, sources: &SourceMap) -> Value {
    let Some((file, range)) = sources.resolve(span) else {
        return json!({ "is_primary": is_primary });
    };
    let (line_start, column_start) = file.line_column(range.start);
    let (line_end, column_end) = file.line_column(range.end);
    json!({
        "file_name": file.name(),
        "byte_start": range.start,
        "byte_end": range.end,
        "line_start": line_start,
        "line_end": line_end,
        "column_start": column_start,
        "column_end": column_end,
        "is_primary": is_primary,
    })
}
