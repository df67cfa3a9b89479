//! The language reference: its examples parse, and its list of keywords is the parser's.

use rheobase_lang::diag::render::render_all;
use rheobase_lang::load::{NoFiles, load};
use rheobase_lang::parse::RESERVED;

const REFERENCE: &str = include_str!("../../../grammar/README.md");

fn examples() -> impl Iterator<Item = &'static str> {
    let blocks = REFERENCE.split("```snn\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or(rest))
}

#[test]
fn examples_parse() {
    assert!(examples().count() > 10);
    for example in examples() {
        let loaded = load("example.snn", example, &NoFiles);
        let messages = render_all(&loaded.diagnostics, &loaded.sources, false);
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
