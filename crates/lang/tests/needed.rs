//! A program with the part of `std/` that it needs is the program with all of it: the same findings, and the same
//! networks to run.

use std::path::{Path, PathBuf};

use rheobase_lang::check::check;
use rheobase_lang::diag::{has_errors, render::render_all};
use rheobase_lang::load::{Extent, Loaded, Loader, load_bytes, normalize};
use rheobase_lang::lower::lower_network;

struct Files;

impl Loader for Files {
    fn load(&self, from: &str, path: &str) -> Result<String, String> {
        std::fs::read_to_string(normalize(from, path)).map_err(|error| error.to_string())
    }
}

/// The programs of a folder of the repository.
fn programs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "snn"))
        .collect();
    found.sort();
    found
}

/// Whether there are errors; the findings as text; the networks that can be run.
fn meaning(loaded: &Loaded) -> (bool, String, String) {
    let checked = check(&loaded.files);
    let findings = [loaded.diagnostics.clone(), checked.diagnostics].concat();
    let model = checked.model;
    let wrong = has_errors(&findings);
    let names = model.networks.iter().map(|n| n.name.text.as_str());
    let networks: Vec<_> = names
        .filter(|_| !wrong)
        .map(|name| lower_network(&model, Some(name), None))
        .collect();
    let text = render_all(&findings, &loaded.sources, false);
    (wrong, text, format!("{networks:?}"))
}

#[test]
fn what_is_needed_is_all() {
    let mut partial = 0;
    for folder in [
        "tests/check",
        "tests/lower",
        "../../examples",
        "../../examples/bench",
        "../../tests/vectors",
    ] {
        for path in programs(folder) {
            let bytes = std::fs::read(&path).expect("readable");
            let name = path.to_string_lossy();
            let whole = load_bytes(&name, &bytes, &Files, Extent::Whole);
            let needed = load_bytes(&name, &bytes, &Files, Extent::Needed);
            assert!(!whole.partial);
            let (wrong, findings, networks) = meaning(&whole);
            let found = meaning(&needed);
            // Of a program with an error the messages may suggest other names.
            assert_eq!(wrong, found.0, "{name}: {}", found.1);
            if !wrong {
                assert_eq!((findings, networks), (found.1, found.2), "{name}");
                partial += usize::from(needed.partial);
            }
        }
    }
    assert!(partial >= 10, "only {partial} programs left something out");
}
