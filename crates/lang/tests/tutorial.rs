//! The tutorial: its blocks, appended to one file as the reader is told, are a program without any
//! finding after each of them, and one that can be trained.

use rheobase_lang::check::check;
use rheobase_lang::diag::render::render_all;
use rheobase_lang::fmt::format;
use rheobase_lang::load::{NoFiles, load};
use rheobase_lang::lower::lower_network;

const TUTORIAL: &str = include_str!("../../../grammar/tutorial.md");

/// The fenced blocks whose first line ends in this mark.
fn blocks(mark: &str) -> Vec<&'static str> {
    let parts = TUTORIAL.split(mark).skip(1);
    parts
        .map(|rest| rest.split("```").next().unwrap_or(rest))
        .collect()
}

/// The program has no finding, is in standard form, and lowers with its training plan if it has one.
fn holds(source: &str) {
    let loaded = load("adex.snn", source, &NoFiles);
    let checked = check(&loaded.files);
    let all = [loaded.diagnostics, checked.diagnostics].concat();
    assert_eq!(render_all(&all, &loaded.sources, false), "", "{source}");
    let formatted = format(source, loaded.files[0].id);
    assert_eq!(formatted.as_deref(), Ok(source));
    if !checked.model.networks.is_empty() {
        let program = lower_network(&checked.model, None, None).expect("it can be run");
        assert_eq!(program.training.is_some(), !checked.model.trains.is_empty());
    }
}

#[test]
fn each_step_gives_a_program() {
    let blocks = blocks("```snn\n");
    assert_eq!(blocks.len(), 3);
    let mut source = String::new();
    for block in blocks {
        if !source.is_empty() {
            source.push('\n');
        }
        source.push_str(block);
        holds(&source);
    }
    let layer = "  layer hidden : AdEx[128]\n";
    assert!(source.contains(layer));
    let change = self::blocks("```snn layer\n");
    assert_eq!(change.len(), 1);
    holds(&source.replace(layer, change[0]));
}
