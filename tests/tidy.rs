//! The rules of `crates/README.md` that can be checked on the files themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file without its tests, programs too, and the files that are tables and may be longer.
const MOST_LINES: usize = 900;
const TABLES: [&str; 2] = ["crates/ir/src/ops.rs", "crates/lang/src/diag/codes.rs"];
const MOST_LINES_OF_TABLES: usize = 1200;

/// The only files with `unsafe` code.
const UNSAFE: [&str; 2] = [
    "crates/jit/src/call.rs",
    "crates/runtime/src/connection/matmul.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with an ending, as paths from the root, in order.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let relative = path.strip_prefix(root()).expect("below the root");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources() -> Vec<(String, String)> {
    let all = files("crates", ".rs")
        .into_iter()
        .chain(files("tests", ".rs"));
    all.map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources() {
        let first = text
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("#!"))
            .unwrap_or_default();
        assert!(first.starts_with("//!"), "{path} does not begin with `//!`");
    }
}

#[test]
fn files_are_short() {
    let programs = ["crates/lang/std", "examples"].map(|folder| files(folder, ".snn"));
    let programs = programs.concat().into_iter();
    let programs = programs.map(|path| (path.clone(), read(&path)));
    for (path, text) in sources().into_iter().chain(programs) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let most = if TABLES.contains(&path.as_str()) {
            MOST_LINES_OF_TABLES
        } else {
            MOST_LINES
        };
        let lines = code.lines().count();
        assert!(
            lines <= most,
            "{path} has {lines} lines; cut it where its subject divides"
        );
    }
}

#[test]
fn unsafe_code_is_where_it_may_be_and_says_why() {
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| path != "tests/tidy.rs")
    {
        let has_block = text
            .lines()
            .any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(
            !has_block || UNSAFE.contains(&path.as_str()),
            "{path} has unsafe code"
        );
        if has_block {
            let blocks = text.matches("unsafe {").count();
            assert!(
                text.matches("SAFETY").count() >= blocks,
                "{path} has an unsafe block without SAFETY"
            );
        }
    }
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| path != "tests/tidy.rs")
    {
        for forbidden in ["todo!(", "unimplemented!(", "#[ignore", "dbg!(", "#[allow("] {
            assert!(!text.contains(forbidden), "{path} contains `{forbidden}`");
        }
    }
    let modules = files("crates", "/mod.rs");
    assert!(
        modules.is_empty(),
        "{modules:?}: modules are `name.rs` beside `name/`"
    );
}

/// The dependencies that a manifest lists for the library itself.
fn dependencies(name: &str) -> Vec<String> {
    let text = read(&format!("crates/{name}/Cargo.toml"));
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter(|line| !line.starts_with('#'));
    names
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty())
        .map(str::to_string)
        .collect()
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("ir", &[] as &[&str]),
        ("lang", &["rheobase-ir"]),
        ("jit", &["rheobase-ir"]),
        ("runtime", &["rheobase-ir", "rheobase-jit"]),
        ("data", &[]),
        ("plot", &[]),
        (
            "train",
            &["rheobase-ir", "rheobase-runtime", "rheobase-data"],
        ),
    ]);
    for (name, allowed) in may {
        for dependency in dependencies(name)
            .iter()
            .filter(|d| d.starts_with("rheobase"))
        {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} may not depend on {dependency}"
            );
        }
    }
    let walls = [
        ("pest", "lang"),
        ("cranelift-codegen", "jit"),
        ("rayon", "runtime"),
        ("hdf5-pure", "data"),
        ("clap", "cli"),
        ("tiny-skia", "plot"),
    ];
    for (package, home) in walls {
        for name in [
            "ir", "lang", "jit", "runtime", "data", "train", "plot", "cli",
        ]
        .into_iter()
        .filter(|n| *n != home)
        {
            assert!(
                !dependencies(name).contains(&package.to_string()),
                "{package} belongs to {home}, {name} depends on it"
            );
        }
    }
}

#[test]
fn packages_stay_in_their_file() {
    let homes = [
        ("pest::", "crates/lang/src/parse"),
        ("rayon::", "crates/runtime/src/parallel.rs"),
        ("cranelift", "crates/jit/"),
    ];
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| path.contains("/src/"))
    {
        for (package, home) in homes {
            let used = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(package));
            assert!(!used || path.starts_with(home), "{path} uses {package}");
        }
    }
}

#[test]
fn libraries_print_nothing() {
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| path.contains("/src/"))
    {
        for forbidden in ["println!(", "print!("] {
            let printed = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(forbidden));
            assert!(
                !printed,
                "{path} prints; results go through the console of the command"
            );
        }
    }
}

#[test]
fn nothing_names_a_place_on_one_machine() {
    let text_files = [".rs", ".snn", ".md", ".toml", ".kir", ".snap"];
    let all = text_files
        .iter()
        .flat_map(|e| ["crates", "tests", "examples", "grammar"].map(|folder| files(folder, e)));
    for path in all.flatten().filter(|path| path != "tests/tidy.rs") {
        let text = read(&path);
        for place in ["/home/", "/Users/"] {
            assert!(!text.contains(place), "{path} names {place}");
        }
    }
    assert!(Path::new(&root()).join("README.md").exists());
}
