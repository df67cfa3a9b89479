//! Diagnostics as text and as JSON: places in two files, notes, and a help with edits.

use insta::assert_snapshot;
use rheobase_lang::diag::json::to_json;
use rheobase_lang::diag::render::render;
use rheobase_lang::diag::{Code, Diagnostic, sort};
use rheobase_lang::span::SourceMap;

fn finding() -> (Diagnostic, SourceMap) {
    let mut sources = SourceMap::new();
    let network = sources.add("net.snn", "layer a : N[3] {\n  τau = 20\n}\n");
    let neuron = sources.add("n.snn", "neuron N {\n  param tau = 20 ms\n}\n");
    let finding = Diagnostic::new(Code::E0306, network.span(26..28), "`tau` is a time")
        .label("this has no unit")
        .secondary(neuron.span(25..30), "`tau` is a time because of this value")
        .secondary(network.span(10..11), "in this layer")
        .note("units are never guessed")
        .help_edit("write the unit", network.span(28..28), " ms");
    (finding, sources)
}

#[test]
fn text() {
    let (finding, sources) = finding();
    let plain = render(&finding, &sources, false);
    assert_snapshot!(plain);
    let colored = render(&finding, &sources, true);
    assert!(colored.contains('\u{1b}') && !plain.contains('\u{1b}'));
}

#[test]
fn json() {
    let (finding, sources) = finding();
    let value = to_json(&finding, &sources);
    assert_eq!(value["code"]["code"], "E0306");
    assert_eq!(value["level"], "error");
    let edit = &value["children"][1]["spans"][0];
    assert_eq!(edit["suggested_replacement"], " ms");
    // Bytes from 0, columns in characters from 1: the first name begins with a two-byte letter.
    assert_eq!(value["spans"][0]["byte_start"], 26);
    assert_eq!(value["spans"][0]["line_start"], 2);
    assert_eq!(value["spans"][0]["column_start"], 9);
    assert_eq!(value["spans"][1]["file_name"], "n.snn");
    let mut shown = value.clone();
    for long in ["rendered", "code"] {
        shown[long] = "...".into();
    }
    let text = serde_json::to_string_pretty(&shown).expect("a JSON value can be written");
    assert_snapshot!(text);
}

#[test]
fn order_and_repetition() {
    let (finding, _) = finding();
    let first = Diagnostic::new(Code::W0206, finding.secondary[1].span, "earlier");
    let mut list = vec![finding.clone(), first.clone(), finding.clone()];
    sort(&mut list);
    assert_eq!(list, [first, finding]);
}
