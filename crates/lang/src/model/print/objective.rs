//! A loss as text, with the names of the program.

use crate::model::objective::{Arithmetic, Term, TermKind};
use crate::model::{Expr, LayerKind, Model, Network};

/// Prints the terms of a plan.
pub(super) struct Printer<'a> {
    pub(super) network: Option<&'a Network>,
    pub(super) model: &'a Model,
    pub(super) expr: &'a dyn Fn(&Expr) -> String,
}

impl Printer<'_> {
    pub(super) fn term(&self, term: &Term) -> String {
        let one = |name: &str, of: &Term| format!("{name}({})", self.term(of));
        match &term.kind {
            TermKind::Number(expr) => (self.expr)(expr),
            TermKind::Trace { layer, state } => match state {
                Some(state) => format!("{}.{}", self.layer(*layer), self.state(*layer, *state)),
                None => self.layer(*layer).to_string(),
            },
            TermKind::Parameter { layer, parameter } => {
                let params = self.network.map(|n| &n.layers[*layer].params);
                let name = params.and_then(|p| p.get(*parameter));
                format!(
                    "{}.{}",
                    self.layer(*layer),
                    name.map_or("?", |p| &p.name.text)
                )
            }
            TermKind::Weights { into, from } => {
                let into = into.map(|layer| self.layer(layer).to_string());
                let from = from.as_ref().map(|from| format!("from = {from}"));
                let args: Vec<String> = into.into_iter().chain(from).collect();
                format!("weights({})", args.join(", "))
            }
            TermKind::Target => "target".to_string(),
            TermKind::OneHot { on, off } => self.call(
                "one_hot",
                "label",
                &[("on", on.as_ref()), ("off", off.as_ref())],
            ),
            TermKind::Reduced(of, by) => one(by.name(), of),
            TermKind::EveryStep(of) => one("every_step", of),
            TermKind::Filtered { of, decay, rise } => {
                let times = [("decay", Some(decay)), ("rise", rise.as_ref())];
                self.call("filtered", &self.term(of), &times)
            }
            TermKind::BatchMean(of) => one("mean_over_batch", of),
            TermKind::Sum(of) => one("sum", of),
            TermKind::Mean(of) => one("mean", of),
            TermKind::CrossEntropy {
                logits,
                smoothing,
                weights,
            } => {
                let mut text = format!("{}, label", self.term(logits));
                if let Some(smoothing) = smoothing {
                    text += &format!(", smoothing = {}", (self.expr)(smoothing));
                }
                if !weights.is_empty() {
                    let weights: Vec<String> = weights.iter().map(self.expr).collect();
                    text += &format!(", weights = [{}]", weights.join(", "));
                }
                format!("cross_entropy({text})")
            }
            TermKind::Mse(a, b) => format!("mse({}, {})", self.term(a), self.term(b)),
            TermKind::VanRossum {
                difference,
                decay,
                rise,
            } => {
                let times = [("decay", Some(decay)), ("rise", rise.as_ref())];
                self.call("van_rossum", &self.term(difference), &times)
            }
            TermKind::Function(function, args) => {
                let args: Vec<String> = args.iter().map(|a| self.term(a)).collect();
                format!("{}({})", function.name(), args.join(", "))
            }
            TermKind::Neg(of) => format!("(-{})", self.term(of)),
            TermKind::Arithmetic(op, a, b) => {
                let sign = match op {
                    Arithmetic::Add => "+",
                    Arithmetic::Sub => "-",
                    Arithmetic::Mul => "*",
                    Arithmetic::Div => "/",
                };
                format!("({} {sign} {})", self.term(a), self.term(b))
            }
            TermKind::Power(of, exponent) => {
                format!("({} ^ {})", self.term(of), (self.expr)(exponent))
            }
        }
    }

    fn call(&self, name: &str, first: &str, options: &[(&str, Option<&Expr>)]) -> String {
        let mut text = format!("{name}({first}");
        for (name, value) in options {
            if let Some(value) = value {
                text += &format!(", {name} = {}", (self.expr)(value));
            }
        }
        text + ")"
    }

    fn layer(&self, layer: usize) -> &str {
        let layer = self.network.and_then(|n| n.layers.get(layer));
        layer.map_or("?", |l| l.name.text.as_str())
    }

    fn state(&self, layer: usize, state: usize) -> &str {
        let layer = self.network.and_then(|n| n.layers.get(layer));
        match layer.map(|l| l.kind) {
            Some(LayerKind::Neuron(n)) => {
                let state = self.model.neurons[n].states.get(state);
                state.map_or("?", |s| s.name.text.as_str())
            }
            Some(LayerKind::Group(_) | LayerKind::Unknown) | None => "?",
        }
    }
}
