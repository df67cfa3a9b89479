//! Which items of the embedded files a program needs, so that the others need not be parsed.
//!
//! An item is needed if its name is a word of the program's own text or of a needed item. That is found without
//! parsing: the embedded files are formatted, so that an item begins where a line begins with its keyword
//! (tests hold them to it). Names of other items can have no meaning in the program; they matter only for
//! what a message suggests, and a program with an error is loaded as a whole.
//!
//! The text of an item that is not needed is replaced by blanks, so that all places stay what they are.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::lex::{TokenKind, lex};

/// The words that begin an item with a name.
const NAMED: [&str; 6] = ["const", "surrogate", "fn", "neuron", "network", "train"];

/// An item of an embedded file.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Its name; none of an import.
    pub(super) name: Option<&'a str>,
    /// From its keyword to the next item.
    pub(super) range: Range<usize>,
}

/// The items of a formatted file, in order.
pub(super) fn items(text: &str) -> Vec<Item<'_>> {
    let mut found: Vec<Item<'_>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let keyword = words.next().unwrap_or_default();
        let name = NAMED.contains(&keyword).then(|| words.next());
        if keyword == "import" || name.is_some() {
            if let Some(last) = found.last_mut() {
                last.range.end = start;
            }
            found.push(Item {
                name: name.flatten(),
                range: start..text.len(),
            });
        }
        start += line.len();
    }
    found
}

/// The text with blanks in place of the items that are not kept, and of what stands before the first one.
pub(super) fn keep(text: &str, items: &[Item<'_>], kept: impl Fn(usize) -> bool) -> String {
    let mut masked = vec![b' '; text.len()];
    for (i, item) in items.iter().enumerate() {
        if kept(i) {
            let range = item.range.clone();
            masked[range.clone()].copy_from_slice(&text.as_bytes()[range]);
        }
    }
    // Items are whole lines, so that no character is cut.
    String::from_utf8(masked).unwrap_or_else(|_| text.to_owned())
}

/// For each of the embedded files which of its items are needed beside its imports, when the program's own texts
/// are these.
pub(super) fn needed<'a>(own: &[&'a str], files: &[(&'a str, Vec<Item<'a>>)]) -> Vec<Vec<bool>> {
    let mut places: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for (f, (_, items)) in files.iter().enumerate() {
        for (i, item) in items.iter().enumerate() {
            if let Some(name) = item.name {
                places.entry(name).or_default().push((f, i));
            }
        }
    }
    let mut found: Vec<Vec<bool>> = files.iter().map(|(_, i)| vec![false; i.len()]).collect();
    let mut waiting: Vec<&str> = own.to_vec();
    while let Some(text) = waiting.pop() {
        for token in lex(text) {
            if token.kind != TokenKind::Word {
                continue;
            }
            // What a name means is found once.
            for (f, i) in places.remove(token.text(text)).unwrap_or_default() {
                found[f][i] = true;
                let (text, items) = &files[f];
                waiting.push(&text[items[i].range.clone()]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast;
    use crate::load::STD;
    use crate::parse::parse;
    use crate::span::SourceMap;

    fn tree(name: &str, text: &str) -> ast::File {
        let mut sources = SourceMap::new();
        let (tree, diagnostics) = parse(text, sources.add(name, text));
        assert!(diagnostics.is_empty(), "{name}: {diagnostics:?}");
        tree
    }

    /// Each item of each embedded file read alone is what it is in the whole file, at the same place.
    #[test]
    fn an_item_alone_is_the_item_of_the_file() {
        for (name, text) in STD {
            let whole = tree(name, text);
            let items = items(text);
            assert_eq!(items.len(), whole.items.len(), "{name}");
            for (i, item) in whole.items.iter().enumerate() {
                let alone = tree(name, &keep(text, &items, |kept| kept == i));
                assert_eq!(alone.items, std::slice::from_ref(item), "{name}");
            }
            assert_eq!(tree(name, &keep(text, &items, |_| false)).items, []);
        }
    }

    /// What needs what, over several files; words of comments and strings need nothing.
    #[test]
    fn names_lead_on() {
        let first = "fn f(x) = g(x)\nfn g(x) = x  # h\nfn h(x) = x\n";
        let second = "import \"first\"\nfn k(x) = h(x)\nfn f(x) = 1\n";
        let files = [(first, items(first)), (second, items(second))];
        let own = "const c = f(1)  # k\nconst d = \"k\"";
        let expected = [vec![true, true, false], vec![false, false, true]];
        assert_eq!(needed(&[own], &files), expected);
    }
}
