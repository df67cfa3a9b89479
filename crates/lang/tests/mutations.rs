//! Every example, std file and test program with a few changes made at random: it is loaded,
//! checked, lowered and formatted without a panic, and what the answers promise holds.

use proptest::prelude::*;
use rheobase_lang::ast::print::print;
use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, has_errors, render::render_all};
use rheobase_lang::fmt::format;
use rheobase_lang::load::{Loaded, NoFiles, load};
use rheobase_lang::lower::{lower_network, lower_neuron};

/// The programs of the repository.
fn programs() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in [
        "tests/check",
        "tests/lower",
        "tests/parse",
        "std",
        "../../examples",
        "../../examples/bench",
        "../../examples/papers",
    ] {
        let listed = std::fs::read_dir(root.join(folder)).expect("the folder is there");
        let all = listed.map(|entry| entry.expect("the folder can be read").path());
        paths.extend(all.filter(|path| path.extension().is_some_and(|end| end == "snn")));
    }
    paths.sort();
    assert!(paths.len() > 95);
    let read = |path| std::fs::read_to_string(path).expect("the file was just listed");
    paths.into_iter().map(read).collect()
}

/// The words, numbers, signs and runs of spaces of a text.
fn pieces(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (i, c) in text.char_indices() {
        let now = kind(c);
        if before.is_some_and(|before| before != now || now == 2) {
            pieces.push(&text[start..i]);
            start = i;
        }
        before = Some(now);
    }
    pieces.push(&text[start..]);
    pieces
}

/// One change: a piece becomes another piece of the same text, a number, or nothing.
#[derive(Clone, Debug)]
enum Change {
    Copy(prop::sample::Index, prop::sample::Index),
    Write(prop::sample::Index, &'static str),
    Remove(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let text = prop::sample::select(vec![
        "0",
        "1e30",
        "-1",
        "0.5",
        "1e-300",
        "step",
        "mV",
        "ms",
        "[1/ms]",
        "learn",
        "detached",
        "attached",
        "exact",
        "rk4(substeps = 3)",
        "per neuron",
        "v",
        "x",
        "normal(0, 1)",
        "exp(v)",
        "floor(v)",
        "1 / 0",
        "fan_in",
        "delay 1 step",
        "delay 1e9 step",
        "[1, 2, 3]",
        "true",
    ]);
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), place()).prop_map(|(to, from)| Change::Copy(to, from)),
        (place(), text).prop_map(|(to, text)| Change::Write(to, text)),
        place().prop_map(Change::Remove),
    ]
}

fn changed(source: &str, changes: &[Change]) -> String {
    let original = pieces(source);
    let mut all = original.clone();
    for change in changes {
        match change {
            Change::Copy(to, from) => {
                all[to.index(original.len())] = original[from.index(original.len())]
            }
            Change::Write(to, text) => all[to.index(original.len())] = text,
            Change::Remove(at) => all[at.index(original.len())] = "",
        }
    }
    all.concat()
}

fn points_into_the_text(findings: &[Diagnostic], loaded: &Loaded) {
    for finding in findings {
        let labels = std::iter::once(&finding.primary).chain(&finding.secondary);
        for span in labels.map(|label| label.span) {
            let inside = loaded.sources.files().iter().any(|file| {
                let whole = file.id().span(0..file.text().len());
                whole.start <= span.start && span.end <= whole.end
            });
            assert!(inside, "{} points outside the text", finding.message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_programs_are_answered(
        program in prop::sample::select(programs()),
        changes in prop::collection::vec(change(), 1..5),
    ) {
        let source = changed(&program, &changes);
        let loaded = load("main.snn", &source, &NoFiles);
        points_into_the_text(&loaded.diagnostics, &loaded);
        if !has_errors(&loaded.diagnostics) {
            let once = format(&source, loaded.files[0].id).expect("there are no mistakes");
            let again = load("main.snn", &once, &NoFiles);
            prop_assert_eq!(print(&again.files[0]), print(&loaded.files[0]));
            prop_assert_eq!(format(&once, again.files[0].id), Ok(once));
        }
        let checked = check(&loaded.files);
        points_into_the_text(&checked.diagnostics, &loaded);
        render_all(&checked.diagnostics, &loaded.sources, false);
        let sound = checked.is_ok() && !has_errors(&loaded.diagnostics);
        let model = &checked.model;
        for neuron in &model.neurons {
            let lowered = lower_neuron(model, &neuron.name.text, 1.0, &[]);
            if let (true, Ok(lowered)) = (sound, lowered) {
                prop_assert_eq!(rheobase_ir::verify::verify(&lowered.step), Ok(()));
                prop_assert_eq!(rheobase_ir::verify::verify(&lowered.init), Ok(()));
            }
        }
        for network in &model.networks {
            let _ = lower_network(model, Some(&network.name.text), None);
        }
        for train in &model.trains {
            let _ = lower_network(model, None, Some(&train.name.text));
        }
    }
}
