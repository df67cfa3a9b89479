//! The checked model of what a training plan minimises: an expression over traces, weights and targets.
//!
//! Layers are indices into the network of the plan. Every term has a dimension (`None` where something wrong was
//! reported), a shape, and says whether it belongs to one sample or to the batch.

use super::Expr;
use super::builtin::Builtin;
use crate::span::Span;
use crate::units::Dimension;

/// A term with its type.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it computes.
    pub kind: TermKind,
    /// How many numbers it has.
    pub shape: Shape,
    /// What it is evaluated for.
    pub of: Of,
    /// Its dimension; `None` where unknown (reported).
    pub dimension: Option<Dimension>,
    /// Where it stands.
    pub span: Span,
}

/// How many numbers a term has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    Scalar,
    /// One for each unit of a layer; `None` fits every layer.
    Units(Option<usize>),
    /// One for each step and unit of a layer; `None` fits every layer.
    Steps(Option<usize>),
    /// One for each weight or each value of a parameter.
    Weights,
}

/// What a term is evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A number of the program.
    Constant,
    /// Each sample; the mean over the samples is minimised.
    Sample,
    /// Once for a batch: weights, parameters, means over samples.
    Batch,
    /// A sum of terms of both kinds.
    Both,
}

/// How a trace over time becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The largest value.
    Max,
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The last value.
    Last,
    /// Spikes in a unit of time.
    Rate,
    /// The time of the first spike, the duration if there is none.
    FirstSpike,
}

impl Reduction {
    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Max => "max_over_time",
            Reduction::Sum => "sum_over_time",
            Reduction::Mean => "mean_over_time",
            Reduction::Last => "last_step",
            Reduction::Rate => "rate",
            Reduction::FirstSpike => "first_spike",
        }
    }
}

/// An operator between two terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
}

/// What a term computes.
#[derive(Clone, Debug)]
pub enum TermKind {
    /// A constant expression.
    Number(Expr),
    /// `out.v` or, for spikes, `out`.
    Trace {
        /// The layer.
        layer: usize,
        /// The state that is read; `None` for spikes.
        state: Option<usize>,
    },
    /// `hid.tau`: a parameter of a layer's neuron.
    Parameter {
        /// The layer.
        layer: usize,
        /// The parameter.
        parameter: usize,
    },
    /// `weights(into, from)`
    Weights {
        /// Only connections that end at this layer.
        into: Option<usize>,
        /// Only connections that start at the layer or input of this name.
        from: Option<String>,
    },
    /// `target`
    Target,
    /// `one_hot(label, on, off)`
    OneHot {
        /// The value at the label; without it 1.
        on: Option<Expr>,
        /// The value elsewhere; without it 0.
        off: Option<Expr>,
    },
    /// `max_over_time(out.v)`
    Reduced(Box<Term>, Reduction),
    /// `every_step(out.v)`: the trace itself, as logits of every step.
    EveryStep(Box<Term>),
    /// `filtered(out, decay, rise)`
    Filtered {
        /// The trace.
        of: Box<Term>,
        /// The time constant of the decay.
        decay: Expr,
        /// That of the rise; without it a single exponential.
        rise: Option<Expr>,
    },
    /// `mean_over_batch(x)`
    BatchMean(Box<Term>),
    /// `sum(x)`
    Sum(Box<Term>),
    /// `mean(x)`
    Mean(Box<Term>),
    /// `cross_entropy(logits, label, smoothing, weights)`
    CrossEntropy {
        /// The logits.
        logits: Box<Term>,
        /// Label smoothing.
        smoothing: Option<Expr>,
        /// A weight for each class; empty for none.
        weights: Vec<Expr>,
    },
    /// `mse(x, target)`
    Mse(Box<Term>, Box<Term>),
    /// `van_rossum(out, target, decay, rise)`
    VanRossum {
        /// The difference of the two trains.
        difference: Box<Term>,
        /// The time constant of the decay.
        decay: Expr,
        /// That of the rise; without it a single exponential.
        rise: Option<Expr>,
    },
    /// `relu(x)`, `clamp(x, lo, hi)`
    Function(Builtin, Vec<Term>),
    /// `-x`
    Neg(Box<Term>),
    /// `a + b`
    Arithmetic(Arithmetic, Box<Term>, Box<Term>),
    /// `x ^ 2`
    Power(Box<Term>, Expr),
}

impl Term {
    /// The terms that it is made of.
    pub fn parts(&self) -> Vec<&Term> {
        match &self.kind {
            TermKind::Number(_)
            | TermKind::Trace { .. }
            | TermKind::Parameter { .. }
            | TermKind::Weights { .. }
            | TermKind::Target
            | TermKind::OneHot { .. } => Vec::new(),
            TermKind::Reduced(of, _)
            | TermKind::EveryStep(of)
            | TermKind::Filtered { of, .. }
            | TermKind::BatchMean(of)
            | TermKind::Sum(of)
            | TermKind::Mean(of)
            | TermKind::Neg(of)
            | TermKind::Power(of, _) => vec![of],
            TermKind::CrossEntropy { logits, .. } => vec![logits],
            TermKind::VanRossum { difference, .. } => vec![difference],
            TermKind::Mse(a, b) | TermKind::Arithmetic(_, a, b) => vec![a, b],
            TermKind::Function(_, args) => args.iter().collect(),
        }
    }

    /// All terms inside and itself, operands first.
    pub fn all(&self) -> Vec<&Term> {
        let mut all = Vec::new();
        for part in self.parts() {
            all.extend(part.all());
        }
        all.push(self);
        all
    }

    /// The layers whose traces it reads, with repetitions.
    pub fn layers(&self) -> Vec<usize> {
        let layer = |term: &&Term| match term.kind {
            TermKind::Trace { layer, .. } => Some(layer),
            TermKind::Number(_)
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
            | TermKind::CrossEntropy { .. }
            | TermKind::Mse(..)
            | TermKind::VanRossum { .. }
            | TermKind::Function(..)
            | TermKind::Neg(_)
            | TermKind::Arithmetic(..)
            | TermKind::Power(..) => None,
        };
        self.all().iter().filter_map(layer).collect()
    }

    /// The layers whose units are the classes of a label, with the place.
    pub fn label_layers(&self) -> Vec<(usize, Span)> {
        let mut found = Vec::new();
        for term in self.all() {
            let classed = match &term.kind {
                TermKind::CrossEntropy { logits, .. } => Some(logits.as_ref()),
                TermKind::Mse(a, b) if matches!(b.kind, TermKind::OneHot { .. }) => {
                    Some(a.as_ref())
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
                | TermKind::Power(..) => None,
            };
            if let Some(classed) = classed
                && let Shape::Units(Some(layer)) | Shape::Steps(Some(layer)) = classed.shape
            {
                found.push((layer, classed.span));
            }
        }
        found
    }
}
