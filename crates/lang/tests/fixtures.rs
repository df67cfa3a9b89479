//! No code without a program that provokes it: every code has a file in `check/`, or is in the list
//! here of those that another stage finds, whose tests are named.

use std::collections::BTreeSet;

use rheobase_lang::diag::Code;

/// Codes without a file in `check/`: where they are provoked, and where and in which test something comes close
/// and is no finding.
const ELSEWHERE: &[(Code, &str, &str, &str)] = &[
    (
        Code::E0211,
        "tests/snapshots/lower__programs@k_refused.snn.snap",
        "../../tests/constructs.rs",
        "every_construct_is_trained_for_a_step_or_refused",
    ),
    (
        Code::E0212,
        "src/load.rs",
        "src/load.rs",
        "a_file_that_is_imported_twice_is_read_once",
    ),
    // What only data, a run or a machine's memory can show.
    (
        Code::W0608,
        "../cli/tests/cli/memory.rs",
        "../cli/tests/cli/memory.rs",
        "the_plan_is_told_before_anything_runs",
    ),
    (
        Code::E0705,
        "../cli/tests/cli/wrong.rs",
        "../cli/tests/cli/wrong.rs",
        "events_after_the_end_are_counted",
    ),
    (
        Code::W0706,
        "../cli/tests/cli/wrong.rs",
        "../cli/tests/cli/wrong.rs",
        "events_after_the_end_are_counted",
    ),
    (
        Code::W0707,
        "../cli/tests/cli/wrong.rs",
        "../cli/tests/cli/wrong.rs",
        "doubtful_runs_say_so_and_go_on",
    ),
    (
        Code::E0708,
        "../cli/tests/cli/wrong.rs",
        "../cli/tests/cli/wrong.rs",
        "doubtful_runs_say_so_and_go_on",
    ),
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
    for (code, place, ..) in ELSEWHERE {
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
/// found elsewhere a test does, and the right example of the page (`pages.rs`).
#[test]
fn every_code_has_a_near_miss() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (provoked, mut missed) = codes_with_files();
    for (code, _, place, test) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join(place)).expect("the file is there");
        let found = text.contains(&format!("#[test]\n{}fn {test}()", indent(&text, test)));
        assert!(found, "{code}: no test {test} in {place}");
        missed.insert(code.to_string());
    }
    let all: BTreeSet<String> = Code::ALL.iter().map(Code::to_string).collect();
    let without: Vec<&String> = all.difference(&missed).collect();
    assert_eq!(without, [] as [&String; 0]);
    let without: Vec<&String> = provoked.difference(&missed).collect();
    assert_eq!(without, [] as [&String; 0]);
}

/// The blanks in front of a test in its file.
fn indent(text: &str, test: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.contains(&format!("fn {test}()")));
    let line = line.unwrap_or_default();
    line[..line.len() - line.trim_start().len()].to_owned()
}
