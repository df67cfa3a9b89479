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
    (Code::W0608, "../cli/src/commands/train.rs"),
    (Code::E0705, "../cli/tests/cli/wrong.rs"),
    (Code::W0706, "../cli/tests/cli/wrong.rs"),
    (Code::W0707, "../cli/tests/cli/wrong.rs"),
    (Code::E0708, "../cli/tests/cli/wrong.rs"),
];

#[test]
fn every_code_has_a_program_that_provokes_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_dir(root.join("tests/check")).expect("the folder is there");
    let mut found: BTreeSet<String> = listed
        .map(|entry| entry.expect("the folder can be read").file_name())
        .filter_map(|name| Some(name.to_str()?.split_once('_')?.0.to_owned()))
        .filter(|code| code != "ok")
        .collect();
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
