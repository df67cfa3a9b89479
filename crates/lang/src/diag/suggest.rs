//! Near names: what a misspelt name was probably meant to be.

/// The longest list of names that is searched, which bounds the time for a program of mistakes.
const MAX_CANDIDATES: usize = 256;

/// The candidate nearest to `name`, if one is near enough to be worth suggesting.
///
/// Distance is the optimal string alignment distance (insert, delete, replace, swap neighbours),
/// without regard to case; at most a third of the name's length, and at least one. Of equally near
/// candidates the first wins, so the order of the candidates decides and the result is stable. Only
/// the first 256 candidates are looked at: who has more names than that will find the right one.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name_folded = fold(name);
    let length = name.chars().count();
    let limit = (name_folded.len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates.into_iter().take(MAX_CANDIDATES) {
        // The plain lengths tell of most candidates that they are too far away.
        let apart = candidate.chars().count().abs_diff(length);
        if candidate == name || apart > 2 * limit {
            continue;
        }
        let folded = fold(candidate);
        // A one-letter name is one edit from every other: only its other case is a suggestion.
        let limit = if folded.len().max(name_folded.len()) < 2 {
            0
        } else {
            limit
        };
        if folded.len().abs_diff(name_folded.len()) > limit {
            continue;
        }
        let distance = edit_distance(&name_folded, &folded);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The keyword that a word was probably meant to be: the only one that begins with it, or else the nearest one. A word
/// that several begin with says nothing. An `unfinished` one, at the end of a text, will not become shorter.
pub fn keyword_meant<'a>(word: &str, keywords: &[&'a str], unfinished: bool) -> Option<&'a str> {
    let begun = |keyword: &&&str| word.chars().nth(1).is_some() && keyword.starts_with(word);
    let mut longer = keywords.iter().filter(begun);
    match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only),
        (Some(_), Some(_)) => None,
        (None, _) => {
            let shortest = if unfinished { word.len() } else { 0 };
            let fits = |keyword: &&str| keyword.len() >= shortest;
            did_you_mean(word, keywords.iter().copied().filter(fits))
        }
    }
}

/// The candidates that are `name` behind a prefix, without regard to case, at
/// most four: what libraries call `atan` is here `snntorch_atan`, and their `Leaky` is `SnntorchLeaky`.
pub fn with_prefix<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let ending = name.to_lowercase();
    let fits = |candidate: &&str| {
        let folded = candidate.to_lowercase();
        ending.len() > 2 && folded.len() > ending.len() && folded.ends_with(&ending)
    };
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(fits)
        .take(4)
        .collect()
}

fn fold(text: &str) -> Vec<char> {
    // Longer names are not compared beyond this: the table below is quadratic.
    text.chars().take(64).flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment distance.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["tau_mem", "tau_syn", "v_th", "v", "E_L"];
        assert_eq!(did_you_mean("tau_men", names), Some("tau_mem"));
        assert_eq!(did_you_mean("tau_sny", names), Some("tau_syn"));
        assert_eq!(did_you_mean("vth", names), Some("v_th"));
        assert_eq!(did_you_mean("e_l", names), Some("E_L"));
        assert_eq!(did_you_mean("V", names), Some("v"));
        assert_eq!(did_you_mean("w", names), None);
        assert_eq!(did_you_mean("threshold", names), None);
        assert_eq!(did_you_mean("", names), None);
    }

    #[test]
    fn a_keyword_is_completed_where_only_one_can_be() {
        let meant = |word| keyword_meant(word, &["input", "in", "step", "state"], false);
        assert_eq!(meant("inp"), Some("input"));
        assert_eq!(meant("ste"), Some("step"));
        assert_eq!(meant("st"), None);
        assert_eq!(meant("s"), None);
        assert_eq!(meant("sate"), Some("state"));
        assert_eq!(meant("inn"), Some("in"));
        let cut = |word| keyword_meant(word, &["in", "learn"], true);
        assert_eq!(cut("inp"), None);
        assert_eq!(cut("lea"), Some("learn"));
        assert_eq!(cut("laern"), Some("learn"));
    }
}
