//! The pages of `rheo explain`: each has its parts, and its examples do what the page says.

use rheobase_lang::check::check;
use rheobase_lang::diag::{Code, Diagnostic, explain, render::render_all};
use rheobase_lang::load::{Loaded, NoFiles, load};

/// Codes that other stages find, which need data, a run, or a choice of backend.
const FOUND_ELSEWHERE: &[Code] = &[
    Code::E0211,
    Code::W0608,
    Code::E0701,
    Code::E0702,
    Code::E0705,
    Code::W0706,
    Code::W0707,
    Code::E0708,
];

/// Codes that `check` does not find yet. The list may only become shorter.
const PENDING: &[Code] = &[];

/// The text between a heading and the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let begin = format!("## {heading}\n");
    let (_, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {heading}: {page}"));
    rest.split("\n## ").next().unwrap_or(rest).trim()
}

fn example<'a>(page: &'a str, heading: &str) -> &'a str {
    let text = section(page, heading);
    let inner = text
        .strip_prefix("```snn\n")
        .and_then(|text| text.strip_suffix("```"));
    inner.unwrap_or_else(|| panic!("{heading} is not one fenced block: {text}"))
}

fn findings(source: &str) -> (Vec<Diagnostic>, Loaded) {
    let loaded = load("example.snn", source, &NoFiles);
    let checked = check(&loaded.files);
    let all = [loaded.diagnostics.clone(), checked.diagnostics].concat();
    (all, loaded)
}

#[test]
fn every_code_has_a_page() {
    for &code in Code::ALL {
        let page = explain(code.as_str()).expect("the code is in the table");
        assert!(page.starts_with(&format!("{} {code} ", code.severity().word())));
        for heading in ["What", "Why"] {
            let text = section(&page, heading);
            assert!(
                text.len() > 20 && text.ends_with('.'),
                "{code}: {heading}: {text}"
            );
        }
        assert_ne!(example(&page, "Wrong"), example(&page, "Right"), "{code}");
    }
    assert_eq!(Code::ALL.len(), 75);
    assert_eq!(explain("e0201"), explain("undefined-name"));
    assert_eq!(explain("E9999"), None);
}

#[test]
fn right_examples_are_free_of_their_code() {
    for &code in Code::ALL {
        let (found, loaded) = findings(example(code.page(), "Right"));
        let same: Vec<Diagnostic> = found
            .into_iter()
            .filter(|finding| finding.code == code || finding.code == Code::E0101)
            .collect();
        assert_eq!(render_all(&same, &loaded.sources, false), "", "{code}");
    }
}

#[test]
fn wrong_examples_have_their_code() {
    let mut missing = Vec::new();
    for &code in Code::ALL {
        let (found, loaded) = findings(example(code.page(), "Wrong"));
        let syntax = found.iter().any(|finding| finding.code == Code::E0101);
        assert!(
            code == Code::E0101 || !syntax,
            "{code}: {}",
            render_all(&found, &loaded.sources, false)
        );
        if PENDING.contains(&code) {
            continue;
        }
        if !FOUND_ELSEWHERE.contains(&code) && !found.iter().any(|finding| finding.code == code) {
            missing.push(code.as_str());
        }
    }
    assert_eq!(
        missing,
        [] as [&str; 0],
        "these are not found by their page's example"
    );
}
