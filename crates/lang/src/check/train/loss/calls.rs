//! The functions of a loss: reductions over time, units and samples, distances, and what they are taken of.

use super::{Place, each, is_loss_function};
use crate::ast;
use crate::check::Check;
use crate::check::units::words;
use crate::diag::{Code, did_you_mean};
use crate::model::builtin::LOSS_FUNCTIONS;
use crate::model::objective::{Arithmetic, Of, Reduction, Shape, Term, TermKind};
use crate::model::{Expr, LayerKind, Source, Ty};
use crate::span::Span;
use crate::units::Dimension;

/// The arguments of a call in the order of its formals.
type Args<'e> = Vec<Option<&'e ast::Expr>>;

impl Check<'_> {
    /// `out`, `out.v`, `hid.tau`
    pub(super) fn trace_term(&mut self, place: Place<'_>, expr: &ast::Expr) -> Option<Term> {
        if let Some(term) = self.parameter_term(place, expr) {
            return Some(term);
        }
        let (layer, state) = self.trace(expr, place.network, None)?;
        Some(Term {
            kind: TermKind::Trace { layer, state },
            shape: Shape::Steps(Some(layer)),
            of: Of::Sample,
            dimension: self.state_dimension(place.network, layer, state),
            span: expr.span,
        })
    }

    fn state_dimension(
        &self,
        network: usize,
        layer: usize,
        state: Option<usize>,
    ) -> Option<Dimension> {
        let Some(state) = state else {
            return Some(Dimension::NONE);
        };
        match self.model.networks[network].layers[layer].kind {
            LayerKind::Neuron(n) => self.model.neurons[n].states[state].dimension,
            LayerKind::Group(_) | LayerKind::Unknown => None,
        }
    }

    /// `hid.tau`, if the field is a parameter.
    fn parameter_term(&self, place: Place<'_>, expr: &ast::Expr) -> Option<Term> {
        let path = expr.path()?;
        let network = &self.model.networks[place.network];
        let texts: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
        let (layer, taken) = network.layer_of_path(&texts)?;
        let [field] = &path[taken..] else {
            return None;
        };
        let params = &network.layers[layer].params;
        let parameter = params.iter().position(|p| p.name.text == field.text)?;
        Some(Term {
            kind: TermKind::Parameter { layer, parameter },
            shape: Shape::Weights,
            of: Of::Batch,
            dimension: params[parameter].dimension,
            span: expr.span,
        })
    }

    /// A call of a function that only losses have.
    pub(super) fn loss_call(
        &mut self,
        place: Place<'_>,
        callee: &ast::Name,
        args: &[ast::Arg],
        span: Span,
    ) -> Option<Term> {
        if !is_loss_function(&callee.text) {
            return self.no_function(callee);
        }
        let formals = LOSS_FUNCTIONS.iter().find(|(n, _)| *n == callee.text);
        let formals = formals.map_or(&[][..], |(_, formals)| *formals);
        let before = self.diagnostics.len();
        let args = self.arrange(callee, args, formals);
        if self.diagnostics.len() > before {
            return None;
        }
        let (kind, shape, of, dimension) = match callee.text.as_str() {
            "cross_entropy" => return self.cross_entropy(place, &args, span),
            "mse" => return self.mse(place, &args, span),
            "van_rossum" => return self.van_rossum(place, &args, span),
            "one_hot" => return self.one_hot(place, &args, span),
            "weights" => return self.weights_term(place, &args, span),
            "spike_count" => {
                return self.of_spikes(place, &args, Reduction::Sum, Some("spike_count"), span);
            }
            "rate" => return self.of_spikes(place, &args, Reduction::Rate, Some("rate"), span),
            "first_spike" => {
                return self.of_spikes(
                    place,
                    &args,
                    Reduction::FirstSpike,
                    Some("first_spike"),
                    span,
                );
            }
            "max_over_time" => return self.of_spikes(place, &args, Reduction::Max, None, span),
            "sum_over_time" => return self.of_spikes(place, &args, Reduction::Sum, None, span),
            "mean_over_time" => return self.of_spikes(place, &args, Reduction::Mean, None, span),
            "last_step" => return self.of_spikes(place, &args, Reduction::Last, None, span),
            "every_step" => {
                let of = self.steps_of(place, args[0]?, callee)?;
                let (shape, kind_of, dimension) = (of.shape, of.of, of.dimension);
                (TermKind::EveryStep(Box::new(of)), shape, kind_of, dimension)
            }
            "filtered" => {
                let of = self.steps_of(place, args[0]?, callee)?;
                let decay = self.time_argument(place, args[1]?);
                let rise = args[2].map(|rise| self.time_argument(place, rise));
                self.rise_before_decay(&decay, rise.as_ref());
                let (shape, dimension) = (of.shape, of.dimension);
                let of = Box::new(of);
                let kind = TermKind::Filtered { of, decay, rise };
                (kind, shape, Of::Sample, dimension)
            }
            "mean_over_batch" => {
                let of = self.term(place, args[0]?)?;
                if of.of != Of::Sample || !matches!(of.shape, Shape::Units(_)) {
                    let message = format!(
                        "`mean_over_batch` takes one number for each unit of a layer, found one for {}",
                        each(of.shape)
                    );
                    self.report(
                        Check::finding(Code::E0704, of.span, message)
                            .help("for instance `mean_over_batch(rate(hid))`"),
                    );
                    return None;
                }
                let (shape, dimension) = (of.shape, of.dimension);
                (
                    TermKind::BatchMean(Box::new(of)),
                    shape,
                    Of::Batch,
                    dimension,
                )
            }
            _ => {
                let of = self.term(place, args[0]?)?;
                let (kind_of, dimension) = (of.of, of.dimension);
                let of = Box::new(of);
                let kind = if callee.text == "sum" {
                    TermKind::Sum(of)
                } else {
                    TermKind::Mean(of)
                };
                (kind, Shape::Scalar, kind_of, dimension)
            }
        };
        Some(Term {
            kind,
            shape,
            of,
            dimension,
            span,
        })
    }

    fn no_function(&mut self, callee: &ast::Name) -> Option<Term> {
        let message = format!("there is no loss `{}`", callee.text);
        let finding = Check::finding(Code::E0704, callee.span, message);
        let names = || LOSS_FUNCTIONS.iter().map(|(n, _)| *n);
        self.report(match did_you_mean(&callee.text, names()) {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), callee.span, near),
            None => {
                let names: Vec<&str> = names().collect();
                finding.help(format!(
                    "there are: {}; and the functions of formulas, and what `fn` defines",
                    names.join(", ")
                ))
            }
        });
        None
    }

    /// A trace over time: E0704 for anything that has no steps.
    fn steps_of(&mut self, place: Place<'_>, expr: &ast::Expr, callee: &ast::Name) -> Option<Term> {
        let term = self.term(place, expr)?;
        if !matches!(term.shape, Shape::Steps(_)) {
            let message = format!(
                "`{}` takes a trace over time, found one number for {}",
                callee.text,
                each(term.shape)
            );
            self.report(
                Check::finding(Code::E0704, term.span, message)
                    .help("a trace is `layer.state`, or `layer` for its spikes"),
            );
            return None;
        }
        Some(term)
    }

    /// A reduction over time; of the spikes of a layer only, if a function of these is named.
    fn of_spikes(
        &mut self,
        place: Place<'_>,
        args: &Args<'_>,
        by: Reduction,
        spikes: Option<&str>,
        span: Span,
    ) -> Option<Term> {
        let of = if spikes.is_some() {
            let (layer, state) = self.trace(args[0]?, place.network, spikes)?;
            Term {
                kind: TermKind::Trace { layer, state },
                shape: Shape::Steps(Some(layer)),
                of: Of::Sample,
                dimension: Some(Dimension::NONE),
                span: args[0]?.span,
            }
        } else {
            let callee = ast::Name {
                text: by.name().to_string(),
                span,
            };
            self.steps_of(place, args[0]?, &callee)?
        };
        let Shape::Steps(layer) = of.shape else {
            return None;
        };
        let dimension = match by {
            Reduction::Rate => Some(Dimension::RATE),
            Reduction::FirstSpike => Some(Dimension::TIME),
            Reduction::Max | Reduction::Sum | Reduction::Mean | Reduction::Last => of.dimension,
        };
        Some(Term {
            kind: TermKind::Reduced(Box::new(of), by),
            shape: Shape::Units(layer),
            of: Of::Sample,
            dimension,
            span,
        })
    }

    fn cross_entropy(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<Term> {
        self.label(args[1]?, "cross_entropy");
        let logits = self.term(place, args[0]?)?;
        let every = matches!(logits.kind, TermKind::EveryStep(_)) || scaled_every_step(&logits);
        let fits = match logits.shape {
            Shape::Units(_) => logits.of == Of::Sample,
            Shape::Steps(_) => every,
            Shape::Scalar | Shape::Weights => false,
        };
        if !fits {
            return self.no_reduction(logits.span);
        }
        self.plain_term(&logits, "logits");
        let smoothing = args[2].map(|e| self.plain_argument(place, e, "smoothing"));
        if let Some(value) = smoothing.as_ref().and_then(|e| self.constant_value(e))
            && !(0.0..1.0).contains(&value)
        {
            let message = format!("`smoothing` must be from 0 to below 1, not {value}");
            let span = smoothing.as_ref().map_or(span, |e| e.span);
            self.report(Check::finding(Code::E0704, span, message));
        }
        let weights = match args[3] {
            None => Vec::new(),
            Some(ast::Expr {
                kind: ast::ExprKind::List(items),
                ..
            }) => {
                let one = |e: &ast::Expr| self.plain_argument(place, e, "weights");
                items.iter().map(one).collect()
            }
            Some(other) => {
                let message = "`weights` is a list with a number for each class";
                self.report(Check::finding(Code::E0704, other.span, message));
                return None;
            }
        };
        Some(Term {
            kind: TermKind::CrossEntropy {
                logits: Box::new(logits),
                smoothing,
                weights,
            },
            shape: Shape::Scalar,
            of: Of::Sample,
            dimension: Some(Dimension::NONE),
            span,
        })
    }

    /// E0704 unless it is the word `label`.
    fn label(&mut self, target: &ast::Expr, callee: &str) {
        if !matches!(&target.kind, ast::ExprKind::Name(name) if name == "label") {
            let message = format!("the target of `{callee}` is `label`");
            self.report(Check::finding(Code::E0704, target.span, message).help_edit(
                "the class of a sample is",
                target.span,
                "label",
            ));
        }
    }

    fn no_reduction(&mut self, span: Span) -> Option<Term> {
        let message = "logits are a trace of the readout, reduced over time";
        self.report(Check::finding(Code::E0704, span, message).help(
            "use one of: max_over_time, sum_over_time, mean_over_time, last_step, spike_count, rate, first_spike, every_step",
        ));
        None
    }

    fn one_hot(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<Term> {
        self.label(args[0]?, "one_hot");
        let mut dimension = Some(Dimension::NONE);
        let mut values = [None, None];
        for (value, given) in values.iter_mut().zip([args[1], args[2]]) {
            if let Some(expr) = given {
                let term = self.constant_argument(place, expr)?;
                if let TermKind::Number(number) = term.kind {
                    dimension = term.dimension;
                    *value = Some(number);
                }
            }
        }
        let [on, off] = values;
        Some(Term {
            kind: TermKind::OneHot { on, off },
            shape: Shape::Units(None),
            of: Of::Sample,
            dimension,
            span,
        })
    }

    /// Two terms that are compared, the second of which may be `target` or `one_hot(…)`.
    fn compared(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<(Term, Term)> {
        let (a, b) = (self.term(place, args[0]?), self.term(place, args[1]?));
        let (a, b) = (a?, b?);
        let (_, of) = self.joined((a.shape, a.of), &b, false, span)?;
        self.alike(a.dimension, &b, a.span)?;
        if of != Of::Sample {
            let message = "what is compared here is of a sample";
            self.report(Check::finding(Code::E0704, a.span, message));
            return None;
        }
        Some((a, b))
    }

    fn mse(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<Term> {
        let (a, b) = self.compared(place, args, span)?;
        let square = |d: Dimension| d.times(d);
        Some(Term {
            dimension: a.dimension.or(b.dimension).and_then(square),
            kind: TermKind::Mse(Box::new(a), Box::new(b)),
            shape: Shape::Scalar,
            of: Of::Sample,
            span,
        })
    }

    fn van_rossum(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<Term> {
        let (a, b) = self.compared(place, args, span)?;
        for term in [&a, &b] {
            if !matches!(term.shape, Shape::Steps(_)) {
                let message = format!(
                    "`van_rossum` compares spike trains, found one number for {}",
                    each(term.shape)
                );
                self.report(Check::finding(Code::E0704, term.span, message));
                return None;
            }
        }
        self.plain_term(&a, "a spike train");
        let decay = self.time_argument(place, args[2]?);
        let rise = args[3].map(|rise| self.time_argument(place, rise));
        self.rise_before_decay(&decay, rise.as_ref());
        let shape = self.joined((a.shape, a.of), &b, true, span)?.0;
        let difference = Term {
            kind: TermKind::Arithmetic(Arithmetic::Sub, Box::new(a), Box::new(b)),
            shape,
            of: Of::Sample,
            dimension: Some(Dimension::NONE),
            span,
        };
        Some(Term {
            kind: TermKind::VanRossum {
                difference: Box::new(difference),
                decay,
                rise,
            },
            shape: Shape::Scalar,
            of: Of::Sample,
            dimension: Some(Dimension::NONE),
            span,
        })
    }

    /// `weights()`, `weights(hid)`, `weights(hid, from = inp)`
    fn weights_term(&mut self, place: Place<'_>, args: &Args<'_>, span: Span) -> Option<Term> {
        let mut names: [Option<String>; 2] = [None, None];
        for (name, arg) in names.iter_mut().zip(args) {
            let Some(arg) = arg else { continue };
            let Some(path) = arg.path() else {
                let message = "`weights` takes the names of layers";
                self.report(Check::finding(Code::E0704, arg.span, message));
                return None;
            };
            let texts: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
            *name = Some(texts.join("."));
        }
        let network = &self.model.networks[place.network];
        let unknown = |name: &String, inputs: bool| {
            network.layer(name).is_none() && !(inputs && network.input(name).is_some())
        };
        let wrong = names.iter().zip([false, true]).zip(args);
        let wrong = wrong.into_iter().find_map(|((name, inputs), arg)| {
            let name = name.as_ref().filter(|n| unknown(n, inputs))?;
            Some((name.clone(), arg.as_ref()?.span))
        });
        if let Some((name, span)) = wrong {
            let message = format!("network `{}` has no layer `{name}`", network.name.text);
            self.report(Check::finding(Code::E0603, span, message));
            return None;
        }
        let [into, from] = names;
        let into = into.and_then(|name| network.layer(&name));
        let mut dimensions: Vec<Option<Dimension>> = Vec::new();
        for connection in &network.connections {
            let (Some(to), Some(port)) = (connection.target, connection.port) else {
                continue;
            };
            let ends = into.is_none_or(|layer| layer == to);
            let starts = from.as_ref().is_none_or(|name| {
                let source = match connection.source {
                    Source::Input(i) => &network.inputs[i].name.text,
                    Source::Layer(i) | Source::State(i, _) => &network.layers[i].name.text,
                    Source::Group(_) | Source::Unknown => return false,
                };
                source == name
            });
            if let (true, true, LayerKind::Neuron(n)) = (ends, starts, network.layers[to].kind) {
                dimensions.push(self.model.neurons[n].ports[port].dimension);
            }
        }
        let broken = network.broken;
        let Some(&dimension) = dimensions.first() else {
            if !broken {
                let message = "there is no connection with such weights";
                self.report(Check::finding(Code::E0603, span, message));
            }
            return None;
        };
        let other = dimensions.iter().flatten().find(|d| Some(**d) != dimension);
        if let (Some(other), Some(first)) = (other, dimension) {
            let message = format!(
                "these weights are in {} and in {}",
                words(first),
                words(*other)
            );
            self.report(
                Check::finding(Code::E0301, span, message)
                    .help("name the layer that the connections end at: `weights(hid)`"),
            );
            return None;
        }
        Some(Term {
            kind: TermKind::Weights { into, from },
            shape: Shape::Weights,
            of: Of::Batch,
            dimension,
            span,
        })
    }

    /// A constant with any unit.
    fn constant_argument(&mut self, place: Place<'_>, expr: &ast::Expr) -> Option<Term> {
        if self.reads_network(place, expr) {
            let message = "this must be a constant";
            self.report(Check::finding(Code::E0704, expr.span, message));
            return None;
        }
        self.number_term(place, expr)
    }

    fn plain_argument(&mut self, place: Place<'_>, expr: &ast::Expr, name: &str) -> Expr {
        self.argument_in(place, expr, name, Dimension::NONE)
    }

    fn time_argument(&mut self, place: Place<'_>, expr: &ast::Expr) -> Expr {
        let number = self.argument_in(place, expr, "a time constant", Dimension::TIME);
        if let Some(value) = self.constant_value(&number)
            && value <= 0.0
        {
            let message = format!("a time constant must be above 0, not {value} ms");
            self.report(Check::finding(Code::E0704, number.span, message));
        }
        number
    }

    fn argument_in(
        &mut self,
        place: Place<'_>,
        expr: &ast::Expr,
        name: &str,
        needed: Dimension,
    ) -> Expr {
        let resolved = self.resolve(place.scope, expr);
        let ty = self.infer(place.scope, &resolved, &|_| Ty::Unknown);
        if let Some(found) = self.expect_number(ty, &resolved)
            && found != needed
        {
            let message = format!(
                "{name} must be {}, found {}",
                crate::check::train::kind(needed),
                words(found)
            );
            self.report(Check::finding(Code::E0306, resolved.span, message));
        }
        resolved
    }

    /// E0704 if the rise is not shorter than the decay: the filter would be zero or negative.
    fn rise_before_decay(&mut self, decay: &Expr, rise: Option<&Expr>) {
        let Some(rise) = rise else { return };
        if let (Some(slow), Some(fast)) = (self.constant_value(decay), self.constant_value(rise))
            && fast >= slow
        {
            let message =
                format!("the rise ({fast} ms) must be shorter than the decay ({slow} ms)");
            self.report(Check::finding(Code::E0704, rise.span, message));
        }
    }
}

/// `2 * every_step(out.v)`: still logits of every step.
fn scaled_every_step(term: &Term) -> bool {
    match &term.kind {
        TermKind::EveryStep(_) => true,
        TermKind::Arithmetic(_, a, b) => scaled_every_step(a) || scaled_every_step(b),
        TermKind::Neg(of) => scaled_every_step(of),
        TermKind::Number(_)
        | TermKind::Trace { .. }
        | TermKind::Parameter { .. }
        | TermKind::Weights { .. }
        | TermKind::Target
        | TermKind::OneHot { .. }
        | TermKind::Reduced(..)
        | TermKind::Filtered { .. }
        | TermKind::BatchMean(_)
        | TermKind::Sum(_)
        | TermKind::Mean(_)
        | TermKind::CrossEntropy { .. }
        | TermKind::Mse(..)
        | TermKind::VanRossum { .. }
        | TermKind::Function(..)
        | TermKind::Power(..) => false,
    }
}
