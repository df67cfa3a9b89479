//! The check against files: each diagnostic code has a file that it is reported for, alone, and the
//! `ok_` files come close without a finding.

use std::collections::BTreeSet;

use insta::{assert_snapshot, glob};
use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, render::render_all};
use rheobase_lang::parse::parse;
use rheobase_lang::span::SourceMap;

fn findings(source: &str) -> (Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::new();
    let id = sources.add("test.snn", source);
    let (tree, mut findings) = parse(source, id);
    findings.extend(check(&[tree]).diagnostics);
    (findings, sources)
}

/// A file is named after the one code that is reported for it. That nothing else is reported
/// shows that a mistake has no echo.
#[test]
fn files() {
    let mut wrong = Vec::new();
    glob!("check/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let (findings, sources) = findings(&source);
        let text = render_all(&findings, &sources, false);
        let codes: BTreeSet<&str> = findings.iter().map(|d| d.code.as_str()).collect();
        let expected: BTreeSet<&str> = match stem.split_once('_') {
            Some(("ok", _)) => BTreeSet::new(),
            Some((code, _)) => [code].into(),
            None => panic!("{stem} is not named after a code"),
        };
        let placed = findings.iter().all(|d| !d.primary.span.is_empty());
        if codes != expected || !placed {
            wrong.push(format!("{stem}: {codes:?}\n{text}"));
            return;
        }
        assert_snapshot!(format!("{source}\n----\n{text}"));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Applying the edits of a help must not make things worse: the same code is not reported at the
/// same place again.
#[test]
fn edits_help() {
    glob!("check/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        let (before, _) = findings(&source);
        for finding in &before {
            let Some(help) = &finding.help else { continue };
            if help.edits.is_empty() {
                continue;
            }
            let mut edits = help.edits.clone();
            edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
            let mut text = source.clone();
            for (span, replacement) in edits {
                text.replace_range(span.start as usize..span.end as usize, &replacement);
            }
            let (after, sources) = findings(&text);
            let again = after
                .iter()
                .any(|d| d.code == finding.code && d.message == finding.message);
            assert!(
                !again && after.len() <= before.len(),
                "{}: the help does not help\n{text}\n{}",
                finding.message,
                render_all(&after, &sources, false)
            );
        }
    });
}
