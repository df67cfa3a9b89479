//! What people write who come from another tool: statements of Brian2, PyTorch, Nengo and PyNN, each
//! answered with what says the same here.
//!
//! Recognised from the tokens around the place where the grammar stopped, before anything else is said about it.

use super::slip;
use super::slips::{Mistake, PieceKind};
use super::split::Body;
use crate::diag::{Code, Diagnostic};
use crate::lex::TokenKind;

/// Statements that do not exist: where, how they begin, why not, and what to write.
const STATEMENTS: [(Body, &[&str], &str, &str); 8] = [
    (
        Body::Neuron,
        &["on_pre", "on_post", "onspike", "on_spike"],
        "a neuron says what arrivals and its own spikes do",
        "write `on receive x { … }` or `on spike detached { … }`",
    ),
    (
        Body::Neuron,
        &["equations", "dynamics", "model"],
        "equations stand in the neuron itself",
        "write `v' = …`",
    ),
    (
        Body::Surrogate,
        &["forward", "heaviside"],
        "the forward of every spike is a step: a surrogate gives its derivative only",
        "remove it, and write `derivative = …`",
    ),
    (
        Body::Surrogate,
        &["backward", "grad", "return", "gradient"],
        "a surrogate gives ds/du, without the gradient that arrives",
        "write `derivative = …`",
    ),
    (
        Body::Network,
        &["ensemble", "ens", "neurons", "nodes"],
        "neurons of a network stand in layers",
        "write `layer name : Neuron[size]`",
    ),
    (
        Body::Network,
        &["probe", "monitor", "record", "recorder"],
        "nothing is declared for recording: `rheo run` writes the spikes and states of all layers",
        "remove it",
    ),
    (
        Body::Network,
        &["for", "while", "foreach"],
        "there are no loops: copies are made by `repeat`",
        "put the layer into a network with an `output` and write `layer tower : Block(n = 64) repeat 4`",
    ),
    (
        Body::Train,
        &["for", "while", "if"],
        "a plan is a list of settings; the loop over epochs and batches is made from them",
        "write `epochs = 10` and `batch = 32`",
    ),
];

/// Modules that a function is written behind in Python.
const MODULES: [&str; 16] = [
    "torch",
    "np",
    "numpy",
    "nn",
    "init",
    "F",
    "functional",
    "math",
    "tf",
    "jax",
    "jnp",
    "snn",
    "norse",
    "surrogate",
    "sf",
    "std",
];

impl Mistake<'_> {
    /// The report for a mistake that is right in another tool.
    pub(super) fn habit(&self) -> Option<Diagnostic> {
        self.foreign_statement()
            .or_else(|| self.colon_block())
            .or_else(|| self.dotted_import())
            .or_else(|| self.bare_connection())
            .or_else(|| self.size_behind_equals())
            .or_else(|| self.foreign_word())
            .or_else(|| self.method_call())
            .or_else(|| self.comma_between_assignments())
            .or_else(|| self.unit_of_equation())
    }

    fn foreign_statement(&self) -> Option<Diagnostic> {
        let PieceKind::Statement(body) = self.kind else {
            return None;
        };
        let first = self.text(self.piece.start);
        if self.at > self.piece.start + 1 {
            return None;
        }
        let (_, _, why, write) = STATEMENTS
            .iter()
            .find(|(of, words, ..)| *of == body && words.contains(&first))?;
        let span = self.span(self.piece.start..self.piece.start + 1);
        let message = format!("`{first}` does not begin a statement");
        Some(slip(span, message).note(*why).help(*write))
    }

    /// `neuron LIF:`
    fn colon_block(&self) -> Option<Diagnostic> {
        if self.kind != PieceKind::Head || self.at <= self.piece.start + 1 {
            return None;
        }
        let colon = self.at - 1;
        if self.text(colon) != ":" || !(self.at_end() || self.tokens.first_on_line(self.at)) {
            return None;
        }
        let place = self.span(colon..self.at);
        let message = "a block stands in braces, not behind `:`";
        Some(slip(place, message).help("write `{` here and `}` at the end of the block"))
    }

    /// `import std.surrogates`
    fn dotted_import(&self) -> Option<Diagnostic> {
        let first = self.piece.start;
        let is_word = |i: usize| self.tokens.kind(i) == Some(TokenKind::Word);
        if self.text(first) != "import" || self.at != first + 1 || !is_word(self.at) {
            return None;
        }
        let mut end = self.at + 1;
        while end + 1 < self.piece.end && self.text(end) == "." && is_word(end + 1) {
            end += 2;
        }
        let names: Vec<&str> = (self.at..end).step_by(2).map(|i| self.text(i)).collect();
        let place = self.span(self.at..end);
        let report = slip(place, "a file is imported by its path in quotes");
        if MODULES.contains(&names[0]) && names[0] != "std" {
            return Some(report.note("what is imported are .snn files; functions need no import"));
        }
        let path = format!("\"{}.snn\"", names.join("/"));
        Some(report.help_edit("write", place, path))
    }

    /// `inp -> a.x : dense(…)` without `connect`
    fn bare_connection(&self) -> Option<Diagnostic> {
        let is_network = self.kind == PieceKind::Statement(Body::Network);
        if !is_network || self.at_end() || !self.tokens.first_on_line(self.at) {
            return None;
        }
        let on_line = |i: &usize| *i == self.at || !self.tokens.first_on_line(*i);
        let mut line = (self.at..self.piece.end).take_while(on_line);
        let in_path = |i: usize| {
            self.tokens.kind(i) == Some(TokenKind::Word) || matches!(self.text(i), "." | "->")
        };
        let arrow = line.find(|&i| self.text(i) == "->" || !in_path(i))?;
        if self.text(arrow) != "->" {
            return None;
        }
        let report = slip(self.place(), "a connection begins with `connect`");
        Some(report.help_edit("add it", self.place().before(), "connect "))
    }

    /// `input inp = 64`, `layer a = LIF(100)`
    fn size_behind_equals(&self) -> Option<Diagnostic> {
        let is_network = self.kind == PieceKind::Statement(Body::Network);
        let third = self.at == self.piece.start + 2;
        if !is_network || !third || self.at_end() || self.text(self.at) != "=" {
            return None;
        }
        let name = self.text(self.at - 1);
        match self.text(self.piece.start) {
            "input" => {
                let report = slip(self.place(), "the size of an input stands in brackets");
                let size = self.tokens.kind(self.at + 1) == Some(TokenKind::Number);
                let place = self.span(self.at - 1..self.at + 2);
                Some(match size {
                    true => {
                        let text = format!("{name}[{}]", self.text(self.at + 1));
                        report.help_edit("write", place, text)
                    }
                    false => report.help(format!("write `input {name}[64]`")),
                })
            }
            "layer" => Some(
                slip(self.place(), "the neuron of a layer stands behind `:`").help(format!(
                    "write `layer {name} : Neuron[size] {{ parameter = value }}`"
                )),
            ),
            _ => None,
        }
    }

    /// `2 ms learnable`, `(unless refractory)`, `connect a to b`
    fn foreign_word(&self) -> Option<Diagnostic> {
        if self.at_end() || self.at == self.piece.start {
            return None;
        }
        let (place, first) = (self.place(), self.text(self.piece.start));
        match self.text(self.at) {
            "learnable" | "trainable" | "learned" | "requires_grad"
                if self.expected.wants("`learn`") =>
            {
                let report = slip(place, "what is trained is marked by `learn`");
                Some(report.help_edit("write", place, "learn"))
            }
            "refractory" if self.text(self.at - 1) == "unless" => Some(
                slip(
                    self.span(self.at - 1..self.at + 1),
                    "an equation has no conditions",
                )
                .help("`refractory 2 ms holds v` freezes v for that time after a spike"),
            ),
            "to" if first == "connect" && self.expected.wants("`->`") => {
                let report = slip(place, "source and target are joined by `->`");
                Some(report.help_edit("write", place, "->"))
            }
            _ => None,
        }
    }

    /// `torch.randn(…)`, `out.v.max()`
    fn method_call(&self) -> Option<Diagnostic> {
        if self.at_end() || self.at < self.piece.start + 3 || self.text(self.at) != "(" {
            return None;
        }
        if self.text(self.at - 2) != "." {
            return None;
        }
        let is_word = |i: usize| self.tokens.kind(i) == Some(TokenKind::Word);
        let mut begin = self.at - 1;
        while begin >= self.piece.start + 2 && self.text(begin - 1) == "." && is_word(begin - 2) {
            begin -= 2;
        }
        let called = self.text(self.at - 1);
        let names: Vec<&str> = (begin..self.at - 1)
            .step_by(2)
            .map(|i| self.text(i))
            .collect();
        let whole = self.span(begin..self.at);
        if called == "Parameter" {
            let report = slip(
                whole,
                "what is trained is marked by `learn`, behind the value",
            );
            return Some(report.help("write `param decay = 0.5 learn`"));
        }
        if MODULES.contains(names.first()?) {
            let module = self.span(begin..self.at - 1);
            let message = format!("functions belong to no module: `{called}(…)`");
            let here = match called {
                "randn" | "normal" | "normal_" => Some("normal(0, 1)"),
                "rand" | "uniform" | "uniform_" => Some("uniform(0, 1)"),
                "zeros" | "zeros_like" => Some("0"),
                "ones" | "ones_like" => Some("1"),
                "xavier_uniform_" | "xavier_normal_" => Some("xavier()"),
                "kaiming_uniform_" | "kaiming_normal_" => Some("kaiming_uniform()"),
                "orthogonal_" => Some("orthogonal()"),
                _ => None,
            };
            let report = slip(module, message);
            return Some(match here {
                Some(here) => report.help(format!("write `{here}`; sizes follow from the layers")),
                None => report.help_edit("remove it", module, ""),
            });
        }
        let of = names.join(".");
        let message =
            format!("a function stands before its argument, not behind: `{of}.{called}()`");
        let here = match (self.kind, called) {
            (PieceKind::Statement(Body::Train), "max") => format!("`max_over_time({of})`"),
            (PieceKind::Statement(Body::Train), "sum") => {
                format!("`sum({of})`, or `sum_over_time({of})` for each unit")
            }
            (PieceKind::Statement(Body::Train), "mean") => {
                format!("`mean({of})`, or `mean_over_time({of})` for each unit")
            }
            _ => format!("`{called}({of})`"),
        };
        Some(slip(whole, message).help(format!("write {here}")))
    }

    /// `v = c, u = u + d`
    fn comma_between_assignments(&self) -> Option<Diagnostic> {
        if self.at_end() || self.text(self.at) != "," {
            return None;
        }
        let assigns = matches!(self.text(self.at + 2), "=" | "+=" | "-=" | "*=" | "/=");
        let word = self.tokens.kind(self.at + 1) == Some(TokenKind::Word);
        let open = self.open_brackets();
        let in_block = open.last().is_some_and(|&i| self.text(i) == "{");
        if !assigns || !word || !in_block {
            return None;
        }
        let report = slip(self.place(), "nothing separates assignments but space");
        Some(report.help_edit("remove the comma", self.place(), ""))
    }

    /// `v' = … : volt`
    fn unit_of_equation(&self) -> Option<Diagnostic> {
        let equation =
            self.text(self.piece.start + 1) == "'" || self.text(self.piece.start) == "next";
        let end = self.at + 2 == self.piece.end;
        if !equation || self.at_end() || self.text(self.at) != ":" || !end {
            return None;
        }
        let place = self.span(self.at..self.piece.end);
        Some(
            Diagnostic::new(Code::E0101, place, "an equation is not followed by a unit")
                .note("a state has the unit of its initial value, and its equation follows from it")
                .help_edit("remove it", place, ""),
        )
    }
}
