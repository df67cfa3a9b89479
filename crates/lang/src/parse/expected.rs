//! What the grammar would have accepted at the place of a mistake, in words.
//!
//! pest says which rules it tried. Their names are for people who read the grammar; here each
//! becomes a phrase, several that mean the same become one, and operators are dropped where
//! something more telling is expected.

use super::grammar::Rule;

/// The phrases for what could have stood there.
#[derive(Debug, Default)]
pub(super) struct Expected {
    rules: Vec<Rule>,
}

impl Expected {
    pub(super) fn new(mut rules: Vec<Rule>) -> Expected {
        rules.sort();
        rules.dedup();
        Expected { rules }
    }

    /// Whether the piece could have ended there.
    pub(super) fn end(&self) -> bool {
        self.rules.contains(&Rule::EOI)
    }

    /// Whether a rule with this phrase was tried.
    pub(super) fn wants(&self, phrase: &str) -> bool {
        let mut found = self.rules.iter().filter_map(|&rule| self::phrase(rule));
        found.any(|found| found.split('|').any(|one| one == phrase))
    }

    /// `a name`, `)`, … without operators unless there is nothing else, without the end.
    pub(super) fn phrases(&self) -> Vec<String> {
        let mut phrases: Vec<String> = Vec::new();
        for phrase in self.rules.iter().filter_map(|&rule| phrase(rule)) {
            for one in phrase.split('|') {
                if !phrases.iter().any(|known| known == one) {
                    phrases.push(one.to_owned());
                }
            }
        }
        // What could be said before `=` is less urgent than the value that is missing.
        if phrases.iter().any(|phrase| phrase == EQUALS) {
            phrases.retain(|phrase| !BEFORE_EQUALS.contains(&phrase.as_str()));
        }
        let telling = |phrase: &String| phrase != OPERATOR && phrase != UNIT;
        if phrases.iter().any(telling) {
            phrases.retain(telling);
        }
        // An expression may begin with a name; saying both helps nobody.
        if phrases.iter().any(|phrase| phrase == EXPRESSION) {
            phrases.retain(|phrase| phrase != NAME);
        }
        phrases
    }

    /// The phrases as a list: "`in`, `learn` or a name"; empty if there are none.
    pub(super) fn list(&self) -> String {
        let phrases = self.phrases();
        match phrases.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [init @ .., last] => format!("{} or {last}", init.join(", ")),
        }
    }
}

pub(super) const EXPRESSION: &str = "an expression";
pub(super) const NAME: &str = "a name";
const EQUALS: &str = "`=`";
const BEFORE_EQUALS: [&str; 6] = ["`per`", "`shared`", "`:`", "`'`", "`.`", "`: unit`"];
const OPERATOR: &str = "an operator";
const UNIT: &str = "a unit";

/// A rule in words, several phrases with `|` between; `None` for the end of a piece, which the caller words itself.
fn phrase(rule: Rule) -> Option<String> {
    let rule_name = format!("{rule:?}");
    if matches!(rule, Rule::k_and | Rule::k_or) {
        return Some(OPERATOR.into());
    }
    if let Some(word) = rule_name.strip_prefix("k_") {
        return Some(format!("`{word}`"));
    }
    if let Some(sign) = sign(rule) {
        return Some(match sign {
            "+" | "-" | "*" | "/" | "^" | "<" | "<=" | ">" | ">=" | "==" | "!=" => OPERATOR.into(),
            _ => format!("`{sign}`"),
        });
    }
    match rule_name.as_str() {
        "EOI" => None,
        // The number of a copy stands where a name may, which is said already.
        "name" | "word" | "names" | "path" | "copy" | "arg_name" | "setting_name"
        | "spike_name" => Some(NAME.into()),
        "compare_op" | "sum_op" | "product_op" => Some(OPERATOR.into()),
        "assign_op" => Some("`=`|`+=`|`-=`|`*=`|`/=`".into()),
        "phase" => Some("a phase: `receive`, `integrate`, `spike` or `reset`".into()),
        "scope_word" => Some("`neuron`|`channel`|`synapse`".into()),
        "gradient_word" => Some("`detached`|`attached`".into()),
        "scope" => Some("`per`|`shared`".into()),
        "string" => Some("a string".into()),
        "formals" => Some("parameters in parentheses".into()),
        "args" => Some("arguments in parentheses".into()),
        "shape" => Some("a shape in brackets".into()),
        "block" | "branch" | "overrides" => Some("`{`".into()),
        "call" | "method" => Some("a call such as `f(x)`".into()),
        "assign" => Some("an assignment".into()),
        "annotation" => Some("`: unit`".into()),
        "integrate_rule" => Some("a rule such as `v : exact`".into()),
        "when_trigger" => Some("`when`".into()),
        "count_trigger" => Some("`count`".into()),
        "surrogate_stmt" | "neuron_stmt" | "network_stmt" | "setting" => Some("a statement".into()),
        "binding" => Some("a parameter and its value".into()),
        "value" | "setting_value" | "range" | "bounds" => Some(EXPRESSION.into()),
        name if name.contains("unit") => Some(UNIT.into()),
        name => clause(name).or_else(|| Some(EXPRESSION.into())),
    }
}

/// Clauses and statements are named by the keyword they begin with.
fn clause(name: &str) -> Option<String> {
    let keyword = match name {
        "then_clause" => "then",
        "delay_clause" => "delay",
        "frozen_clause" => "frozen",
        "repeat_clause" => "repeat",
        "learn_clause" => "learn",
        "payload_clause" => "payload",
        "scale_clause" => "scale",
        "surrogate_clause" => "surrogate",
        "holds_clause" => "holds",
        "drops_clause" => "drops",
        "own_derivative" => "derivative",
        "spike_clause" => return Some("`scale`|`payload`|`surrogate`".into()),
        "applied" => return Some("`:`".into()),
        "connect_clause" => return Some("`delay`|`frozen`".into()),
        _ => return None,
    };
    Some(format!("`{keyword}`"))
}

/// The characters of a sign rule.
fn sign(rule: Rule) -> Option<&'static str> {
    const SIGNS: [(Rule, &str); 30] = [
        (Rule::p_quote, "\""),
        (Rule::p_lbrace, "{"),
        (Rule::p_rbrace, "}"),
        (Rule::p_lparen, "("),
        (Rule::p_rparen, ")"),
        (Rule::p_lbracket, "["),
        (Rule::p_rbracket, "]"),
        (Rule::p_comma, ","),
        (Rule::p_colon, ":"),
        (Rule::p_prime, "'"),
        (Rule::p_arrow, "->"),
        (Rule::p_dots, ".."),
        (Rule::p_dot, "."),
        (Rule::p_eq, "="),
        (Rule::p_add_eq, "+="),
        (Rule::p_sub_eq, "-="),
        (Rule::p_mul_eq, "*="),
        (Rule::p_div_eq, "/="),
        (Rule::p_le, "<="),
        (Rule::p_ge, ">="),
        (Rule::p_same, "=="),
        (Rule::p_differs, "!="),
        (Rule::p_lt, "<"),
        (Rule::p_gt, ">"),
        (Rule::p_plus, "+"),
        (Rule::p_minus, "-"),
        (Rule::p_star, "*"),
        (Rule::p_slash, "/"),
        (Rule::p_caret, "^"),
        (Rule::unit_one, "1"),
    ];
    let found = SIGNS.iter().find(|(known, _)| *known == rule);
    found.map(|&(_, sign)| sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule name has an underscore or is an English word with another meaning; a message that
    /// shows one was not put into words.
    #[test]
    fn every_rule_has_words() {
        for &rule in Rule::all_rules() {
            let Some(phrase) = phrase(rule) else {
                assert_eq!(rule, Rule::EOI);
                continue;
            };
            assert!(!phrase.contains('_'), "{rule:?} is shown as {phrase}");
        }
    }
}
