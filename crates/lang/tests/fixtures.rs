//! No code without a program that provokes it: every code has a file in `check/`, or is in the list
//! here of those that another stage finds, whose tests are named.

use std::collections::BTreeSet;

use rheobase_lang::diag::Code;

/// Codes without a file in `check/`, and where they are provoked.
const ELSEWHERE: &[(Code, &str)] = &[
    (
        Code::E0211,
        "tests/snapshots/lower__programs@k_refused.snn.snap",
    ),
    (Code::E0212, "src/load.rs"),
    // What only data, a run or a machine's memory can show.
    (Code::W0608, "../cli/tests/cli/memory.rs"),
    (Code::E0705, "../cli/tests/cli/wrong.rs"),
    (Code::W0706, "../cli/tests/cli/wrong.rs"),
    (Code::W0707, "../cli/tests/cli/wrong.rs"),
    (Code::E0708, "../cli/tests/cli/wrong.rs"),
];

/// The codes that files of `tests/check` are named after: those that are provoked, and, with `ok_` in front,
/// those that come close.
fn codes_with_files() -> (BTreeSet<String>, BTreeSet<String>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check");
    let listed = std::fs::read_dir(folder).expect("the folder is there");
    let (mut provoked, mut missed) = (BTreeSet::new(), BTreeSet::new());
    for entry in listed {
        let name = entry.expect("the folder can be read").file_name();
        let name = name.to_str().expect("a name in ASCII");
        match name.strip_prefix("ok_") {
            None => provoked.extend(name.split('_').next().map(str::to_owned)),
            Some(rest) => missed.extend(rest.split('_').next().map(str::to_owned)),
        }
    }
    (provoked, missed)
}

#[test]
fn every_code_has_a_program_that_provokes_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, _) = codes_with_files();
    for (code, place) in ELSEWHERE {
        assert!(
            found.insert(code.to_string()),
            "{code} has a file: strike it off"
        );
        let text = std::fs::read_to_string(root.join(place)).expect("the file is there");
        assert!(text.contains(code.as_str()), "{code} is not in {place}");
    }
    let all: BTreeSet<String> = Code::ALL.iter().map(Code::to_string).collect();
    assert_eq!(found, all);
}

/// A code that is reported too readily is as bad as one that is missed: beside each program that provokes
/// it stands one that comes close and has no finding at all (`check.rs` runs both). Of the codes that are
/// found elsewhere the right example of the page is the near miss (`pages.rs`).
#[test]
fn every_code_has_a_near_miss() {
    let (provoked, missed) = codes_with_files();
    let without: Vec<&String> = provoked.difference(&missed).collect();
    assert_eq!(without, [] as [&String; 0]);
}
