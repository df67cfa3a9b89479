//! The parser against files: correct ones give their tree, wrong ones their messages, hostile ones
//! an answer and no panic.

use insta::{assert_snapshot, glob};
use proptest::prelude::*;
use rheobase_lang::ast::print::print;
use rheobase_lang::diag::{Diagnostic, has_errors, render::render_all};
use rheobase_lang::parse::{MAX_DEPTH, MAX_FILE_BYTES, parse};
use rheobase_lang::span::SourceMap;

fn parsed(source: &str) -> (String, Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::new();
    let file = sources.add("test.snn", source);
    let (tree, diagnostics) = parse(source, file);
    (print(&tree), diagnostics, sources)
}

/// Every file in `parse/` has a tree; the snapshot shows it under the text.
#[test]
fn trees() {
    glob!("parse/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        let (tree, diagnostics, sources) = parsed(&source);
        assert_eq!(render_all(&diagnostics, &sources, false), "");
        assert_snapshot!(format!("{source}\n---- tree\n{tree}"));
        let (again, diagnostics, sources) = parsed(&tree);
        assert_eq!(render_all(&diagnostics, &sources, false), "");
        assert_eq!(again, tree, "the printed tree reads back as itself");
    });
}

/// Every file in `slips/` is wrong; the snapshot shows what is said about it, and what could still
/// be read.
#[test]
fn slips() {
    glob!("slips/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        let (tree, diagnostics, sources) = parsed(&source);
        assert!(has_errors(&diagnostics), "no mistake was found");
        let messages = render_all(&diagnostics, &sources, false);
        assert_snapshot!(format!(
            "{source}\n---- messages\n{messages}\n---- tree\n{tree}"
        ));
    });
}

/// Parses a text that nobody would write, and asks only that the answer comes, is an error, and
/// points into the text.
fn survives(source: &str) -> Vec<Diagnostic> {
    let (_, diagnostics, sources) = parsed(source);
    assert!(has_errors(&diagnostics));
    assert!(diagnostics.len() <= 110, "{} messages", diagnostics.len());
    in_range(source, &diagnostics);
    let _ = render_all(&diagnostics, &sources, false);
    diagnostics
}

fn in_range(source: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let labels = std::iter::once(&diagnostic.primary).chain(&diagnostic.secondary);
        let edits = diagnostic.help.iter().flat_map(|help| &help.edits);
        let spans = labels
            .map(|label| label.span)
            .chain(edits.map(|(span, _)| *span));
        for span in spans {
            let (start, end) = (span.start as usize, span.end as usize);
            assert!(
                start <= end && end <= source.len(),
                "{span:?} of {}",
                source.len()
            );
            assert!(source.is_char_boundary(start) && source.is_char_boundary(end));
        }
    }
}

#[test]
fn hostile_sizes() {
    let garbage: String = (0..10_000_000_u32)
        .map(|i| char::from(33 + (i.wrapping_mul(2_654_435_761) >> 25) as u8 % 90))
        .collect();
    assert_eq!(survives(&garbage).len(), 1);
    survives(&garbage[..MAX_FILE_BYTES]);
    survives(&"neuron A { state v = 0 ".repeat(40_000));
    survives(&"param tau = 20 ms )\n".repeat(50_000));
    survives(&format!("neuron A {{ {} }}", "v = ( ".repeat(60)));
    survives(&"}".repeat(MAX_FILE_BYTES));
    survives(&"\"\n".repeat(100_000));
    survives(&format!("const a = {}", "9".repeat(500_000)));
    survives(&format!("neuron {} {{", "a".repeat(900_000)));
    survives(&format!(
        "neuron A {{ {} }}",
        "on receive x { v += 1\n".repeat(20_000)
    ));
    survives(&format!(
        "train t of N {{ x = f({}",
        "a = 1,\n".repeat(100_000)
    ));
}

#[test]
fn hostile_nesting() {
    let deep = |open: &str, close: &str| {
        survives(&format!(
            "const a = {}1{}",
            open.repeat(100_000),
            close.repeat(100_000)
        ));
    };
    deep("(", ")");
    deep("[", "]");
    deep("f(", ")");
    deep("-", "");
    deep("not ", "");
    deep("1 + ", "");
    deep("2 ^ ", "");
    deep("2 ^ -", "");
    deep("a.", ".b");
    deep("if a { 1 } else ", "");
    deep("if a { ", " } else { 1 }");
    // Brackets at the limit are fine, and so is a tree at the limit.
    let nested = format!("const a = {}1{}", "(".repeat(60), ")".repeat(60));
    assert_eq!(parsed(&nested).1, []);
    let sum = format!("const a = 1{}", " + 1".repeat(MAX_DEPTH - 1));
    assert_eq!(parsed(&sum).1, []);
    survives(&format!("{sum} + 1"));
    survives(&format!(
        "neuron A {{ param t = 1 [{}ms{}] }}",
        "(".repeat(70),
        ")".repeat(70)
    ));
}

#[test]
fn hostile_characters() {
    survives("neuron A { \0 }");
    survives("\u{202e}neuron A { }");
    survives("neuron \u{fffd}\u{fffd} { }");
    survives("état π = 3");
    survives("const a = 1e99999999999999999999");
    survives("const a = 1 [ms^99999]");
    survives("const a = \"\\");
    survives("const a = \"𝄞");
    assert_eq!(parsed("\u{feff}const a = 1\r\n").1, []);
}

/// The texts to mutate: the files of `parse/` and the examples of the repository.
fn examples() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["tests/parse", "../../examples"] {
        let listed = std::fs::read_dir(root.join(folder)).expect("the folder is there");
        let all = listed.map(|entry| entry.expect("the folder can be read").path());
        paths.extend(all.filter(|path| path.extension().is_some_and(|end| end == "snn")));
    }
    paths.sort();
    let read = |path| std::fs::read_to_string(path).expect("the file was just listed");
    paths.into_iter().map(read).collect()
}

/// One change: at a place, remove some characters and put a text in.
#[derive(Clone, Debug)]
struct Mutation {
    place: prop::sample::Index,
    removed: usize,
    inserted: String,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let snippets = prop::sample::select(vec![
        "",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "'",
        "\"",
        "#",
        "=",
        "==",
        "..",
        ".",
        ",",
        ":",
        "->",
        "-",
        "not ",
        "if ",
        "else ",
        "in ",
        "learn ",
        " step ",
        "spike ",
        "neuron ",
        "surrogate ",
        "on ",
        "10 ms",
        " 2 mV/ms ",
        "^",
        "//",
        ";",
        "τ",
        "\n",
        "\\",
        "0",
        "e",
        "per ",
        "param ",
    ]);
    (any::<prop::sample::Index>(), 0..12_usize, snippets).prop_map(|(place, removed, inserted)| {
        Mutation {
            place,
            removed,
            inserted: inserted.to_owned(),
        }
    })
}

fn mutate(source: &str, mutations: &[Mutation]) -> String {
    let mut characters: Vec<char> = source.chars().collect();
    for mutation in mutations {
        let start = mutation.place.index(characters.len() + 1);
        let end = (start + mutation.removed).min(characters.len());
        characters.splice(start..end, mutation.inserted.chars());
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever is done to an example, the parser answers, points into the text, and what it
    /// accepts can be printed and read again.
    #[test]
    fn mutated_examples(
        example in prop::sample::select(examples()),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let source = mutate(&example, &mutations);
        let (tree, diagnostics, sources) = parsed(&source);
        in_range(&source, &diagnostics);
        let _ = render_all(&diagnostics, &sources, true);
        let (again, diagnostics, _) = parsed(&tree);
        prop_assert_eq!(&again, &tree);
        prop_assert!(diagnostics.is_empty(), "{:?}", diagnostics);
    }

    /// Text that is no program at all.
    #[test]
    fn arbitrary_text(source in "\\PC{0,200}") {
        let (_, diagnostics, _) = parsed(&source);
        in_range(&source, &diagnostics);
    }
}
