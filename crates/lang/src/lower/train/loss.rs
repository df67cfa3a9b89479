//! What is minimised: the checked terms of loss and penalty as a list of nodes.
//!
//! A sum is divided into what belongs to a sample and what belongs to the batch; everything else is one node after
//! the other, in base units. Equal nodes are made once, so a rate that occurs twice is counted once.

use super::{One, Plan};
use crate::diag::{Code, Diagnostic};
use crate::lower::{start, unchecked, unsupported};
use crate::model::builtin::Builtin;
use crate::model::objective::{Arithmetic, Of, Reduction, Shape, Term, TermKind};
use crate::model::{Expr, LayerKind, Setting, SettingValue};
use crate::span::Span;
use rheobase_ir::program::{self, Function, Node, Objective, Pair, Roots, Trace};

/// The nodes so far.
struct Nodes<'a> {
    plan: &'a Plan<'a>,
    network: &'a program::Network,
    step_ms: f64,
    objective: Objective,
}

impl Plan<'_> {
    pub(super) fn objective(&self, network: &program::Network) -> One<Objective> {
        let mut nodes = Nodes {
            plan: self,
            network,
            step_ms: network.step_ms,
            objective: Objective::default(),
        };
        let loss = self.term("loss").ok_or_else(|| self.wrong())?;
        nodes.objective.loss = nodes.roots(loss)?;
        if let Some(penalty) = self.term("penalty") {
            nodes.objective.penalty = nodes.roots(penalty)?;
        }
        nodes.objective.logits = match self.term("predict") {
            Some(term) => Some(nodes.node(term)?),
            None => nodes.logits(loss)?,
        };
        Ok(nodes.objective)
    }

    fn term(&self, name: &str) -> Option<&Term> {
        match self.train.setting(name) {
            Some(Setting {
                value: SettingValue::Loss(term),
                ..
            }) => Some(term),
            Some(_) | None => None,
        }
    }
}

impl Nodes<'_> {
    /// The parts of a sum, by what they belong to.
    fn roots(&mut self, term: &Term) -> One<Roots> {
        match (&term.kind, term.of) {
            (_, Of::Batch) => Ok(Roots {
                sample: None,
                batch: Some(self.node(term)?),
            }),
            (_, Of::Sample | Of::Constant) => Ok(Roots {
                sample: Some(self.node(term)?),
                batch: None,
            }),
            (TermKind::Arithmetic(op, a, b), Of::Both) => {
                let pair = arithmetic(*op);
                let (a, b) = (self.roots(a)?, self.roots(b)?);
                match op {
                    Arithmetic::Add | Arithmetic::Sub => Ok(Roots {
                        sample: self.sum(pair, a.sample, b.sample),
                        batch: self.sum(pair, a.batch, b.batch),
                    }),
                    // One of the two is a constant.
                    Arithmetic::Mul | Arithmetic::Div => Ok(Roots {
                        sample: self.scaled(pair, a.sample, b.sample),
                        batch: match (a.batch, b.batch) {
                            (Some(batch), _) => self.scaled(pair, Some(batch), b.sample),
                            (None, batch) => self.scaled(pair, a.sample, batch),
                        },
                    }),
                }
            }
            (TermKind::Neg(of), Of::Both) => {
                let of = self.roots(of)?;
                let zero = self.constant(0.0);
                Ok(Roots {
                    sample: self.sum(Pair::Sub, Some(zero), of.sample),
                    batch: self.sum(Pair::Sub, Some(zero), of.batch),
                })
            }
            (_, Of::Both) => Err(Box::new(unchecked(term.span))),
        }
    }

    /// A sum of which sides may be missing.
    fn sum(&mut self, pair: Pair, a: Option<usize>, b: Option<usize>) -> Option<usize> {
        match (a, b) {
            (None, None) => None,
            (Some(a), None) => Some(a),
            (None, Some(b)) if pair == Pair::Add => Some(b),
            (None, Some(right)) => Some(self.map(right, Function::Neg)),
            (Some(left), Some(right)) => Some(self.pair(left, right, pair)),
        }
    }

    fn scaled(&mut self, pair: Pair, a: Option<usize>, b: Option<usize>) -> Option<usize> {
        Some(self.pair(a?, b?, pair))
    }

    /// The index of a node; an equal one is reused.
    fn push(&mut self, term: program::Term, shape: program::Shape) -> usize {
        let node = Node { term, shape };
        let nodes = &mut self.objective.nodes;
        let known = nodes.iter().position(|n| *n == node);
        known.unwrap_or_else(|| {
            nodes.push(node);
            nodes.len() - 1
        })
    }

    fn constant(&mut self, value: f64) -> usize {
        self.push(program::Term::Constant(value), program::Shape::Scalar)
    }

    fn map(&mut self, of: usize, function: Function) -> usize {
        let shape = self.objective.nodes[of].shape;
        self.push(program::Term::Map { of, function }, shape)
    }

    fn pair(&mut self, left: usize, right: usize, pair: Pair) -> usize {
        let shape = |node: usize| self.objective.nodes[node].shape;
        let shape = larger(shape(left), shape(right));
        self.push(program::Term::Pair { left, right, pair }, shape)
    }

    fn number(&self, expr: &Expr) -> One<f64> {
        start::number(&self.plan.env, expr)
    }

    /// The index in the network of a layer of the model.
    fn layer(&self, layer: usize, span: Span) -> One<usize> {
        let layer = &self.plan.model.networks[self.plan.network].layers[layer];
        let found = self.network.layers.iter();
        let found = found.clone().position(|l| l.name == layer.name.text);
        found.ok_or_else(|| Box::new(unsupported(span, "a loss of this layer")))
    }

    /// The units of a shape: those of its layer, or of the `partner` that it is compared with.
    fn shape(&self, term: &Term, partner: Option<&Term>) -> One<program::Shape> {
        let units = |layer: Option<usize>| -> One<usize> {
            let partner = partner.and_then(|p| match p.shape {
                Shape::Units(layer) | Shape::Steps(layer) => layer,
                Shape::Scalar | Shape::Weights => None,
            });
            match layer.or(partner) {
                Some(layer) => Ok(self.network.layers[self.layer(layer, term.span)?].size()),
                None => {
                    let message = "it is open for how many units this is";
                    let finding = Diagnostic::new(Code::E0704, term.span, message);
                    Err(Box::new(
                        finding.help("compare it with a layer: `mse(rate(out), …)`"),
                    ))
                }
            }
        };
        Ok(match term.shape {
            Shape::Scalar => program::Shape::Scalar,
            Shape::Units(layer) => program::Shape::Units(units(layer)?),
            Shape::Steps(layer) => program::Shape::Steps(units(layer)?),
            // As many as there are; only whole sums of it are taken.
            Shape::Weights => program::Shape::Units(0),
        })
    }

    fn node(&mut self, term: &Term) -> One<usize> {
        self.node_beside(term, None)
    }

    /// The node of a term; `partner` has the units of terms that fit every layer.
    fn node_beside(&mut self, term: &Term, partner: Option<&Term>) -> One<usize> {
        let shape = |nodes: &Self| nodes.shape(term, partner);
        Ok(match &term.kind {
            TermKind::Number(expr) => {
                let value = self.number(expr)?;
                self.constant(value)
            }
            TermKind::Trace { layer, state } => {
                let trace = self.trace(*layer, *state, term.span)?;
                let layer = self.layer(*layer, term.span)?;
                let shape = shape(self)?;
                self.push(program::Term::Trace { layer, trace }, shape)
            }
            TermKind::Parameter { layer, parameter } => {
                let layer = self.layer(*layer, term.span)?;
                let parameter = *parameter;
                let shape = shape(self)?;
                self.push(program::Term::Parameter { layer, parameter }, shape)
            }
            TermKind::Weights { into, from } => {
                let connections = self.connections(*into, from.as_deref(), term.span)?;
                let shape = shape(self)?;
                self.push(program::Term::Weights { connections }, shape)
            }
            TermKind::Target => {
                let shape = shape(self)?;
                self.push(program::Term::Target, shape)
            }
            TermKind::OneHot { on, off } => {
                let value = |nodes: &Self, given: &Option<Expr>, otherwise| match given {
                    Some(expr) => nodes.number(expr),
                    None => Ok(otherwise),
                };
                let (on, off) = (value(self, on, 1.0)?, value(self, off, 0.0)?);
                let shape = shape(self)?;
                self.push(program::Term::OneHot { on, off }, shape)
            }
            TermKind::Reduced(of, by) => {
                let of = self.node(of)?;
                let shape = shape(self)?;
                self.reduced(of, *by, shape)
            }
            TermKind::EveryStep(of) => self.node_beside(of, partner)?,
            TermKind::Filtered { of, decay, rise } => {
                let of = self.node_beside(of, partner)?;
                let filter = self.filter(of, decay, rise.as_ref())?;
                let shape = self.objective.nodes[of].shape;
                self.push(filter, shape)
            }
            TermKind::BatchMean(of) => {
                let of = self.node(of)?;
                let shape = self.objective.nodes[of].shape;
                self.push(program::Term::BatchMean { of }, shape)
            }
            TermKind::Sum(of) => {
                let of = self.node(of)?;
                self.push(program::Term::Sum { of }, program::Shape::Scalar)
            }
            TermKind::Mean(of) => {
                let of = self.node(of)?;
                self.push(program::Term::Mean { of }, program::Shape::Scalar)
            }
            TermKind::CrossEntropy {
                logits,
                smoothing,
                weights,
            } => self.cross_entropy(logits, smoothing.as_ref(), weights, term.span)?,
            TermKind::Mse(a, b) => {
                let left = self.node_beside(a, Some(b))?;
                let right = self.node_beside(b, Some(a))?;
                let difference = self.pair(left, right, Pair::Sub);
                let of = self.squared(difference);
                self.push(program::Term::Mean { of }, program::Shape::Scalar)
            }
            TermKind::VanRossum {
                difference,
                decay,
                rise,
            } => self.van_rossum(difference, decay, rise.as_ref())?,
            TermKind::Function(function, args) => self.function(*function, args, partner)?,
            TermKind::Neg(of) => {
                let of = self.node_beside(of, partner)?;
                self.map(of, Function::Neg)
            }
            TermKind::Arithmetic(op, a, b) => {
                let beside = |own: &Term, other| match own.shape {
                    Shape::Units(None) | Shape::Steps(None) => partner.or(Some(other)),
                    Shape::Units(_) | Shape::Steps(_) | Shape::Scalar | Shape::Weights => None,
                };
                let left = self.node_beside(a, beside(a, b))?;
                let right = self.node_beside(b, beside(b, a))?;
                self.pair(left, right, arithmetic(*op))
            }
            TermKind::Power(of, exponent) => {
                let of = self.node_beside(of, partner)?;
                let exponent = self.number(exponent)?;
                let shape = self.objective.nodes[of].shape;
                self.push(program::Term::Power { of, exponent }, shape)
            }
        })
    }

    fn trace(&self, layer: usize, state: Option<usize>, span: Span) -> One<Trace> {
        let layer = &self.plan.model.networks[self.plan.network].layers[layer];
        let LayerKind::Neuron(n) = layer.kind else {
            return Err(Box::new(unchecked(span)));
        };
        Ok(match state {
            Some(state) => Trace::State(self.plan.model.neurons[n].states[state].name.text.clone()),
            None => Trace::Spikes,
        })
    }

    /// The connections that end at a layer and start at a layer or an input.
    fn connections(&self, into: Option<usize>, from: Option<&str>, span: Span) -> One<Vec<usize>> {
        let into = into.map(|layer| self.layer(layer, span)).transpose()?;
        let named = |source: program::Source| match source {
            program::Source::Input(i) => &self.network.inputs[i].name,
            program::Source::Layer(l) | program::Source::State(l, _) => {
                &self.network.layers[l].name
            }
        };
        let all = self.network.connections.iter().enumerate();
        let chosen = all.filter(|(_, c)| {
            into.is_none_or(|layer| layer == c.to) && from.is_none_or(|name| named(c.from) == name)
        });
        let chosen: Vec<usize> = chosen.map(|(i, _)| i).collect();
        if chosen.is_empty() {
            return Err(Box::new(unsupported(span, "a loss of these weights")));
        }
        Ok(chosen)
    }

    fn reduced(&mut self, of: usize, by: Reduction, shape: program::Shape) -> usize {
        let (reduction, scale) = match by {
            Reduction::Max => (program::Reduction::Max, 1.0),
            Reduction::Sum => (program::Reduction::Sum, 1.0),
            Reduction::Mean => (program::Reduction::Mean, 1.0),
            Reduction::Last => (program::Reduction::Last, 1.0),
            Reduction::Rate => (program::Reduction::Mean, 1.0 / self.step_ms),
            Reduction::FirstSpike => (program::Reduction::FirstSpike, self.step_ms),
        };
        let term = program::Term::Reduced { of, by: reduction };
        let reduced = self.push(term, shape);
        if scale == 1.0 {
            return reduced;
        }
        let scale = self.constant(scale);
        self.pair(reduced, scale, Pair::Mul)
    }

    /// An exponential filter whose response has the peak 1.
    fn filter(&self, of: usize, decay: &Expr, rise: Option<&Expr>) -> One<program::Term> {
        let slow = self.number(decay)?;
        let rise = rise.map(|rise| self.number(rise)).transpose()?;
        let gain = rise.map_or(1.0, |fast| {
            // The time of the peak of e^(−t/slow) − e^(−t/fast).
            let peak = (slow / fast).ln() * slow * fast / (slow - fast);
            1.0 / ((-peak / slow).exp() - (-peak / fast).exp())
        });
        let factor = |tau: f64| (-self.step_ms / tau).exp();
        Ok(program::Term::Filtered {
            of,
            decay: factor(slow),
            rise: rise.map(factor),
            gain,
        })
    }

    fn squared(&mut self, of: usize) -> usize {
        let shape = self.objective.nodes[of].shape;
        let exponent = 2.0;
        self.push(program::Term::Power { of, exponent }, shape)
    }

    /// `1/(2 decay) ∫ (k ∗ difference)² dt`, summed over the units.
    fn van_rossum(&mut self, difference: &Term, decay: &Expr, rise: Option<&Expr>) -> One<usize> {
        let of = self.node(difference)?;
        let filter = self.filter(of, decay, rise)?;
        let shape = self.objective.nodes[of].shape;
        let filtered = self.push(filter, shape);
        let of = self.squared(filtered);
        let sum = self.push(program::Term::Sum { of }, program::Shape::Scalar);
        let scale = self.constant(0.5 * self.step_ms / self.number(decay)?);
        Ok(self.pair(sum, scale, Pair::Mul))
    }

    fn cross_entropy(
        &mut self,
        logits: &Term,
        smoothing: Option<&Expr>,
        weights: &[Expr],
        span: Span,
    ) -> One<usize> {
        let logits = self.node(logits)?;
        let smoothing = smoothing.map_or(Ok(0.0), |expr| self.number(expr))?;
        let weights: Vec<f64> = weights
            .iter()
            .map(|expr| self.number(expr))
            .collect::<One<_>>()?;
        let units = match self.objective.nodes[logits].shape {
            program::Shape::Units(n) | program::Shape::Steps(n) => n,
            program::Shape::Scalar => 1,
        };
        if !weights.is_empty() && weights.len() != units {
            let message = format!("there are {} weights for {units} logits", weights.len());
            return Err(Box::new(Diagnostic::new(Code::E0701, span, message)));
        }
        let term = program::Term::CrossEntropy {
            logits,
            smoothing,
            weights,
        };
        Ok(self.push(term, program::Shape::Scalar))
    }

    fn function(&mut self, function: Builtin, args: &[Term], partner: Option<&Term>) -> One<usize> {
        let mut nodes = Vec::new();
        for arg in args {
            nodes.push(self.node_beside(arg, partner)?);
        }
        let folded = |nodes: &[usize], this: &mut Self, pair: Pair| {
            nodes[1..]
                .iter()
                .fold(nodes[0], |so_far, &next| this.pair(so_far, next, pair))
        };
        let map = match function {
            Builtin::Min => return Ok(folded(&nodes, self, Pair::Min)),
            Builtin::Max => return Ok(folded(&nodes, self, Pair::Max)),
            Builtin::Clamp => {
                let raised = self.pair(nodes[0], nodes[1], Pair::Max);
                return Ok(self.pair(raised, nodes[2], Pair::Min));
            }
            Builtin::Abs => Function::Abs,
            Builtin::Exp => Function::Exp,
            Builtin::Expm1 => Function::Expm1,
            Builtin::Log => Function::Log,
            Builtin::Log1p => Function::Log1p,
            Builtin::Sqrt => Function::Sqrt,
            Builtin::Sin => Function::Sin,
            Builtin::Cos => Function::Cos,
            Builtin::Tanh => Function::Tanh,
            Builtin::Sigmoid => Function::Sigmoid,
            Builtin::Softplus => Function::Softplus,
            Builtin::Erf => Function::Erf,
            Builtin::Relu => Function::Relu,
            Builtin::Detach => Function::Detach,
            Builtin::Floor | Builtin::Ceil | Builtin::Round | Builtin::Sign => {
                return Err(Box::new(unchecked(args[0].span)));
            }
        };
        Ok(self.map(nodes[0], map))
    }

    /// What the predicted class is read from: the logits of the first cross-entropy, or what is compared with
    /// the first `one_hot`.
    fn logits(&mut self, loss: &Term) -> One<Option<usize>> {
        for term in loss.all() {
            match &term.kind {
                TermKind::CrossEntropy { logits, .. } => return self.node(logits).map(Some),
                TermKind::Mse(a, b) if matches!(b.kind, TermKind::OneHot { .. }) => {
                    return self.node(a).map(Some);
                }
                TermKind::Mse(..)
                | TermKind::Number(_)
                | TermKind::Trace { .. }
                | TermKind::Parameter { .. }
                | TermKind::Weights { .. }
                | TermKind::Target
                | TermKind::OneHot { .. }
                | TermKind::Reduced(..)
                | TermKind::EveryStep(_)
                | TermKind::Filtered { .. }
                | TermKind::BatchMean(_)
                | TermKind::Sum(_)
                | TermKind::Mean(_)
                | TermKind::VanRossum { .. }
                | TermKind::Function(..)
                | TermKind::Neg(_)
                | TermKind::Arithmetic(..)
                | TermKind::Power(..) => {}
            }
        }
        Ok(None)
    }
}

fn arithmetic(op: Arithmetic) -> Pair {
    match op {
        Arithmetic::Add => Pair::Add,
        Arithmetic::Sub => Pair::Sub,
        Arithmetic::Mul => Pair::Mul,
        Arithmetic::Div => Pair::Div,
    }
}

/// The shape of two nodes together; the check made sure that they fit.
fn larger(a: program::Shape, b: program::Shape) -> program::Shape {
    match (a, b) {
        (program::Shape::Scalar, other) => other,
        (program::Shape::Steps(n), _) | (_, program::Shape::Steps(n)) => program::Shape::Steps(n),
        (program::Shape::Units(n), program::Shape::Scalar | program::Shape::Units(_)) => {
            program::Shape::Units(n)
        }
    }
}
