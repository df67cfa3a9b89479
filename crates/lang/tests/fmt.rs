//! The formatter: its result on files, and its two promises on whatever parses.

use insta::{assert_snapshot, glob};
use proptest::prelude::*;
use rheobase_lang::ast::print::print;
use rheobase_lang::diag::has_errors;
use rheobase_lang::fmt::format;
use rheobase_lang::lex::{TokenKind, lex};
use rheobase_lang::load::STD;
use rheobase_lang::parse::parse;
use rheobase_lang::span::SourceMap;

fn formatted(source: &str) -> String {
    let file = SourceMap::new().add("test.snn", source);
    format(source, file).expect("the text has no mistakes")
}

fn tree(source: &str) -> Option<String> {
    let file = SourceMap::new().add("test.snn", source);
    let (tree, diagnostics) = parse(source, file);
    (!has_errors(&diagnostics)).then(|| print(&tree))
}

fn comments(source: &str) -> Vec<&str> {
    let tokens = lex(source);
    let comments = tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Comment);
    comments
        .map(|token| token.text(source).trim_end())
        .collect()
}

/// What must hold for every text without mistakes.
fn promises(source: &str) {
    let once = formatted(source);
    assert_eq!(
        tree(&once),
        tree(source),
        "the tree changed:\n{source}\n----\n{once}"
    );
    assert_eq!(comments(&once), comments(source), "{source}\n----\n{once}");
    assert_eq!(formatted(&once), once, "not stable");
}

#[test]
fn files() {
    glob!("fmt/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        promises(&source);
        assert_snapshot!(format!("{source}\n---- formatted\n{}", formatted(&source)));
    });
}

#[test]
fn parsed_files_keep_their_promises() {
    glob!("parse/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        promises(&source);
    });
}

/// The examples of the repository are in the standard form.
#[test]
fn examples_are_formatted() {
    glob!("../../../examples", "**/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        promises(&source);
        assert_eq!(formatted(&source), source, "{path:?}");
    });
}

/// The embedded files are examples of the standard form.
#[test]
fn std_files_are_formatted() {
    for (name, source) in STD {
        assert_eq!(formatted(source), source, "{name}");
    }
}

#[test]
fn mistakes_are_not_formatted() {
    let source = "neuron A { v' = ( }";
    let file = SourceMap::new().add("test.snn", source);
    assert!(format(source, file).is_err());
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("# only a comment"), "# only a comment\n");
}

/// A correct text whose spaces and line breaks are shuffled, with comments put between.
fn shuffled() -> impl Strategy<Value = (String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parse");
    let listed = std::fs::read_dir(folder).expect("the folder is in the repository");
    let mut paths: Vec<_> = listed
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    let texts: Vec<String> = paths
        .into_iter()
        .map(|path| std::fs::read_to_string(path).expect("the file was just listed"))
        .collect();
    let spaces = prop::sample::select(vec![
        " ",
        " ",
        " ",
        "  ",
        "\n",
        "\n\n\n",
        " # c\n",
        "\n  # d\n",
    ]);
    (
        prop::sample::select(texts),
        prop::collection::vec(spaces, 64),
    )
        .prop_map(|(text, spaces)| {
            let mut out = String::new();
            let mut number_before = false;
            for (i, token) in lex(&text).iter().enumerate() {
                // A unit stays on the line of its number, so spaces behind numbers stay.
                if token.kind == TokenKind::Space && !number_before {
                    out.push_str(spaces[i % spaces.len()]);
                } else {
                    out.push_str(token.text(&text));
                }
                if token.kind == TokenKind::Comment {
                    out.push('\n');
                }
                number_before = token.kind == TokenKind::Number;
            }
            (text, out)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Spaces, line breaks and comments mean nothing to the parser either.
    #[test]
    fn shuffled_texts_keep_their_promises((text, source) in shuffled()) {
        prop_assert_eq!(tree(&source), tree(&text), "{}", source);
        promises(&source);
    }
}
