//! The TextMate grammar for editors says what the parser says: its words are the grammar's words,
//! its functions, distributions and units those of the language, and nothing else.

use std::collections::BTreeSet;

use rheobase_lang::model::builtin::{Builtin, Law};
use rheobase_lang::parse::RESERVED;
use rheobase_lang::units::names;
use serde_json::Value;

const TEXTMATE: &str = include_str!("../../../grammar/snn.tmLanguage.json");
const PEST: &str = include_str!("../../../grammar/snn.pest");

fn textmate() -> Value {
    serde_json::from_str(TEXTMATE).expect("the grammar is JSON")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer}"))
}

fn rules(grammar: &Value, section: &str) -> Vec<Value> {
    let pointer = format!("/repository/{section}/patterns");
    let rules = grammar.pointer(&pointer).and_then(Value::as_array);
    rules.expect("the section has rules").clone()
}

/// The words of a rule `\b(?:a|b|c)\b…`.
fn words(rule: &Value) -> Vec<String> {
    let pattern = text(rule, "/match");
    let inner = pattern
        .strip_prefix(r"\b(?:")
        .and_then(|rest| rest.split_once(r")\b"));
    let (inner, _) = inner.unwrap_or_else(|| panic!("no list of words: {pattern}"));
    inner.split('|').map(str::to_owned).collect()
}

/// The words of the rules `k_…` in the grammar of the parser.
fn keywords() -> BTreeSet<String> {
    let rules = PEST.lines().filter(|line| line.starts_with("k_"));
    rules
        .map(|line| line.split('"').nth(1).expect("a keyword").to_owned())
        .collect()
}

#[test]
fn every_keyword_is_there_once_and_nothing_else() {
    let listed: Vec<String> = rules(&textmate(), "keyword")
        .iter()
        .flat_map(words)
        .collect();
    let set: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), set.len(), "a word is listed twice");
    assert_eq!(set, keywords());
    for word in RESERVED {
        assert!(set.contains(word), "{word}");
    }
}

#[test]
fn every_function_is_there_and_nothing_else() {
    let grammar = textmate();
    let rules = rules(&grammar, "function");
    let find = |scope: &str| {
        let rule = rules.iter().find(|rule| text(rule, "/name") == scope);
        words(rule.unwrap_or_else(|| panic!("no {scope}")))
    };
    let builtin: Vec<&str> = Builtin::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(find("support.function.builtin.snn"), builtin);
    let laws: Vec<&str> = Law::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(find("support.function.distribution.snn"), laws);
}

/// The first group of each declaration is a list of keywords.
#[test]
fn declarations_begin_with_keywords() {
    let keywords = keywords();
    for rule in rules(&textmate(), "declaration") {
        let pattern = text(&rule, "/match");
        let first = pattern
            .strip_prefix(r"\b(")
            .and_then(|rest| rest.split_once(')'))
            .expect("a group of words");
        for word in first.0.split('|') {
            assert!(keywords.contains(word), "{word}");
        }
    }
}

/// Prefixes and symbols in the pattern of a unit make the units that the checker knows.
#[test]
fn units_are_those_of_the_checker() {
    let grammar = textmate();
    let quantity = &rules(&grammar, "quantity")[1];
    let unit = text(quantity, "/patterns/0/match");
    let inner = unit
        .strip_prefix("(?:[")
        .and_then(|rest| rest.split_once("]?(?:"));
    let (prefixes, rest) = inner.expect("prefixes, then symbols");
    let (symbols, _) = rest.split_once(')').expect("the end of the symbols");
    let prefixes = prefixes.chars().map(String::from);
    let prefixes: Vec<String> = prefixes.chain([String::new()]).collect();
    let mut all = BTreeSet::from(["step".to_owned()]);
    for symbol in symbols.split('|') {
        all.extend(prefixes.iter().map(|prefix| format!("{prefix}{symbol}")));
    }
    for name in &all {
        assert!(names::find(name).is_some(), "{name} is no unit");
    }
    for name in names::COMMON {
        assert!(all.contains(*name), "{name} is missing");
    }
}

/// Every scope that is used is a standard one, which themes have colours for.
#[test]
fn scopes_are_the_usual_ones() {
    const ROOTS: [&str; 12] = [
        "comment.",
        "string.",
        "constant.",
        "storage.",
        "keyword.",
        "entity.name.",
        "entity.other.",
        "variable.",
        "support.",
        "punctuation.",
        "meta.",
        "invalid.",
    ];
    fn visit(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if key == "name" || key == "contentName" {
                        found.extend(value.as_str().map(str::to_owned));
                    }
                    visit(value, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| visit(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let grammar = textmate();
    assert_eq!(text(&grammar, "/scopeName"), "source.snn");
    let mut scopes = Vec::new();
    visit(&grammar["repository"], &mut scopes);
    assert!(scopes.len() > 30);
    for scope in scopes {
        assert!(scope.ends_with(".snn"), "{scope}");
        assert!(ROOTS.iter().any(|root| scope.starts_with(root)), "{scope}");
    }
}
