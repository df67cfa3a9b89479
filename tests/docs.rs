//! The programs in the documents are programs: every fenced `snn` block of the README and of the pages beside it is
//! read, and checked where it is whole.

use std::path::Path;

use rheobase_lang::parse::parse;
use rheobase_lang::span::SourceMap;

/// The `snn` blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for part in page.split("```snn\n").skip(1) {
        blocks.push(part.split("\n```").next().unwrap_or_default().to_string() + "\n");
    }
    blocks
}

#[test]
fn programs_in_the_documents_are_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = 0;
    for page in [
        "README.md",
        "crates/README.md",
        "examples/README.md",
        "tests/README.md",
    ] {
        let text = std::fs::read_to_string(root.join(page))
            .unwrap_or_else(|error| panic!("{page}: {error}"));
        for (i, block) in blocks(&text).into_iter().enumerate() {
            let mut sources = SourceMap::default();
            let id = sources.add(format!("{page} block {i}"), block.clone());
            let (_, diagnostics) = parse(&block, id);
            assert!(diagnostics.is_empty(), "{page}, block {i}: {diagnostics:?}");
            found += 1;
        }
    }
    assert!(found >= 1);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "crates/README.md",
        "examples/README.md",
        "tests/README.md",
        "grammar/README.md",
    ] {
        let text = std::fs::read_to_string(root.join(page))
            .unwrap_or_else(|error| panic!("{page}: {error}"));
        let folder = root
            .join(page)
            .parent()
            .expect("a page is in a folder")
            .to_path_buf();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || file.is_empty();
            assert!(
                outside || folder.join(file).exists(),
                "{page} links to {target}, which is not there"
            );
        }
    }
}
