//! Any bytes as a program: they are loaded, checked, formatted and lowered without a panic, and
//! what the library promises about its answers holds. The oracle of the property tests, without
//! their idea of what a program looks like.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rheobase_lang::ast::print::print;
use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, has_errors, render::render_all};
use rheobase_lang::fmt::format;
use rheobase_lang::load::{Extent, Loaded, NoFiles, load, load_bytes};
use rheobase_lang::lower::{lower_network, lower_neuron};

fuzz_target!(|bytes: &[u8]| {
    let loaded = load_bytes("fuzz.snn", bytes, &NoFiles, Extent::Needed);
    points_into_the_text(&loaded.diagnostics, &loaded);
    if !has_errors(&loaded.diagnostics)
        && let Ok(source) = std::str::from_utf8(bytes)
    {
        formats(source, &loaded);
    }
    let checked = check(&loaded.files);
    points_into_the_text(&checked.diagnostics, &loaded);
    let _ = render_all(&checked.diagnostics, &loaded.sources, true);
    let model = &checked.model;
    for neuron in &model.neurons {
        let _ = lower_neuron(model, &neuron.name.text, 1.0, &[]);
    }
    for network in &model.networks {
        let _ = lower_network(model, Some(&network.name.text), None);
    }
    for train in &model.trains {
        let _ = lower_network(model, None, Some(&train.name.text));
    }
});

/// Every place in a finding is a place in its file, at the borders of characters.
fn points_into_the_text(findings: &[Diagnostic], loaded: &Loaded) {
    for finding in findings {
        let labels = std::iter::once(&finding.primary).chain(&finding.secondary);
        for span in labels.map(|label| label.span) {
            let inside = loaded.sources.files().iter().any(|file| {
                let whole = file.id().span(0..file.text().len());
                let local = |place: u32| place.checked_sub(whole.start).map(|at| at as usize);
                match (local(span.start), local(span.end)) {
                    (Some(start), Some(end)) => file.text().get(start..end).is_some(),
                    (None, _) | (_, None) => false,
                }
            });
            assert!(inside, "{} points outside the text", finding.message);
        }
    }
}

/// Formatting keeps the tree, and a formatted text as it is.
fn formats(source: &str, loaded: &Loaded) {
    let id = loaded.files[0].id;
    let Ok(once) = format(source, id) else {
        panic!("a text without errors is not formatted");
    };
    let again = load("fuzz.snn", &once, &NoFiles);
    assert_eq!(print(&again.files[0]), print(&loaded.files[0]));
    assert_eq!(format(&once, again.files[0].id), Ok(once));
}
