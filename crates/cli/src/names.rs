//! Messages about names that do not exist: what there is, and what was probably meant.

use rheobase_lang::diag::did_you_mean;

/// `there is no WHAT `name`; did you mean …?`, or the list of what there is.
pub(crate) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let start = format!("there is no {what} `{name}`");
    if let Some(near) = did_you_mean(name, known.clone()) {
        return format!("{start}; did you mean `{near}`?");
    }
    let list: Vec<String> = known.into_iter().map(|k| format!("`{k}`")).collect();
    match list.len() {
        0 => format!("{start}; there are none"),
        1..=MOST => format!("{start}; there is {}", list.join(", ")),
        _ => format!("{start}; there are {} and others", list[..MOST].join(", ")),
    }
}

/// More names than this are not listed.
const MOST: usize = 12;

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn a_near_name_or_the_list() {
        assert_eq!(
            unknown("neuron", "LIG", ["ALIF", "LIF"]),
            "there is no neuron `LIG`; did you mean `LIF`?"
        );
        assert_eq!(
            unknown("port", "quux", ["x", "exc"]),
            "there is no port `quux`; there is `x`, `exc`"
        );
        assert_eq!(
            unknown("network", "a", []),
            "there is no network `a`; there are none"
        );
    }
}
