//! The parser that pest makes from `grammar/snn.pest`.
//!
//! In a module of its own, so that the generated `Rule` stays inside `parse`.

use pest_derive::Parser;

/// Runs one rule of the grammar on a piece of text.
#[derive(Parser)]
#[grammar = "../../grammar/snn.pest"]
pub(super) struct SnnParser;

#[cfg(test)]
mod tests {
    use pest::Parser;

    use super::*;
    use crate::diag::has_errors;
    use crate::parse::{RESERVED, parse};
    use crate::span::SourceMap;

    const GRAMMAR: &str = include_str!("../../../../grammar/snn.pest");

    /// The reserved words in the text of the grammar.
    #[test]
    fn reserved_words_are_those_of_the_grammar() {
        let (_, rest) = GRAMMAR
            .split_once("\nreserved = @{")
            .expect("the grammar lists them");
        let (list, _) = rest.split_once('}').expect("the list ends");
        let words: Vec<&str> = list
            .split('|')
            .map(|word| word.trim().trim_start_matches("k_"))
            .collect();
        assert_eq!(words, RESERVED);
    }

    /// `Kids` skips keywords and signs by their place in the grammar.
    #[test]
    fn keywords_and_signs_are_one_block() {
        for &rule in Rule::all_rules() {
            let name = format!("{rule:?}");
            let word = name.starts_with("k_") || name.starts_with("p_") && name != "p_quote";
            let inside = (Rule::k_import..=Rule::p_caret).contains(&rule);
            assert_eq!(word, inside, "{name}");
        }
    }

    /// What the parser reads piece by piece is what `file` says, and the other way round.
    #[test]
    fn the_pieces_are_the_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        for (kind, right) in [("parse", true), ("slips", false)] {
            let listed = std::fs::read_dir(folder.join(kind)).expect("the folder is there");
            for entry in listed {
                let path = entry.expect("the folder can be read").path();
                let text = std::fs::read_to_string(&path).expect("the file was just listed");
                let file = SourceMap::new().add("test.snn", text.as_str());
                let whole = SnnParser::parse(Rule::file, &text).is_ok();
                let pieces = !has_errors(&parse(&text, file).1);
                assert_eq!(whole, right, "`file` on {path:?}");
                assert_eq!(pieces, right, "the parser on {path:?}");
            }
        }
    }
}
