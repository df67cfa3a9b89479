//! The language reference: its examples parse and check, and its list of keywords is the parser's.

use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, render::render_all};
use rheobase_lang::load::{NoFiles, load};
use rheobase_lang::parse::RESERVED;

const REFERENCE: &str = include_str!("../../../grammar/README.md");

/// The fenced blocks, each with whether it is also checked: ` ```snn parse` marks what `check` does
/// not know yet.
fn examples() -> impl Iterator<Item = (bool, &'static str)> {
    let blocks = REFERENCE.split("```snn").skip(1);
    blocks.map(|rest| {
        let block = rest.split("```").next().unwrap_or(rest);
        let (mark, text) = block.split_once('\n').unwrap_or(("", block));
        (mark != " parse", text)
    })
}

#[test]
fn examples_parse_and_check() {
    assert!(examples().count() > 10);
    for (checked, example) in examples() {
        let loaded = load("example.snn", example, &NoFiles);
        let mut findings = loaded.diagnostics;
        if checked {
            findings.extend(check(&loaded.files).diagnostics);
        }
        // An example shows one thing, so parts of it are not used.
        findings.retain(Diagnostic::is_error);
        let messages = render_all(&findings, &loaded.sources, false);
        assert_eq!(messages, "", "{example}");
    }
}

#[test]
fn keywords_are_listed() {
    let (_, section) = REFERENCE
        .split_once("\nNever names: ")
        .expect("the reference lists them");
    let (list, _) = section
        .split_once(".\n")
        .expect("the list ends in a full stop");
    let words: Vec<&str> = list
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words, RESERVED);
}
