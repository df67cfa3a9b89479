//! What is minimised, as an expression over the traces of a sample.
//!
//! An [`Objective`] is a list of nodes, operands before what uses them. A node has a [`Shape`]: one number,
//! one for each unit of a layer, or one for each step and unit. Nodes of one sample end in scalars that are
//! averaged over the samples of a batch; nodes of the batch (weights, parameters, means over the batch) end in
//! scalars that are added once. The two kinds meet in sums only, which is why an objective has two lists of
//! roots and no node reads both kinds.
//!
//! Times are in steps or in ms as the field says; all other numbers are in base units.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

/// How the trace of a readout over time becomes one number per unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The largest value over time.
    Max,
    /// The sum over time.
    Sum,
    /// The mean over time.
    Mean,
    /// The value at the last step.
    Last,
    /// The number of steps before the first spike, all steps if there is none:
    /// `Σ_t Π_{u ≤ t} (1 − s_u)`, whose derivative is that of this polynomial.
    FirstSpike,
}

/// What is read out of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Trace {
    /// A state at the end of each step.
    State(String),
    /// The spikes (0 or 1).
    Spikes,
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `−a`
    Neg,
    /// `|a|`, derivative 0 at 0.
    Abs,
    /// `e^a`
    Exp,
    /// `e^a − 1`
    Expm1,
    /// Natural logarithm.
    Log,
    /// `log(1 + a)`
    Log1p,
    /// Square root.
    Sqrt,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e^−a)`
    Sigmoid,
    /// `log(1 + e^a)`
    Softplus,
    /// Error function.
    Erf,
    /// `max(a, 0)`, derivative 0 at 0.
    Relu,
    /// The value, a constant for the backward.
    Detach,
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a · b`
    Mul,
    /// `a / b`
    Div,
    /// The lesser; of two equal ones the second has the derivative.
    Min,
    /// The greater; of two equal ones the second has the derivative.
    Max,
}

/// How many numbers a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    Scalar,
    /// One for each unit (or, of the batch, for each weight).
    Units(usize),
    /// One for each step and unit; this many units.
    Steps(usize),
}

impl Shape {
    /// The number of values for samples of this many steps.
    pub fn len(self, steps: usize) -> usize {
        match self {
            Shape::Scalar => 1,
            Shape::Units(n) => n,
            Shape::Steps(n) => n * steps,
        }
    }

    /// Whether there are no values.
    pub fn is_empty(self, steps: usize) -> bool {
        self.len(steps) == 0
    }
}

/// One node; operands are indices of earlier nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A number.
    Constant(f64),
    /// What a layer does in every step of the sample.
    Trace { layer: usize, trace: Trace },
    /// The sample's target over time.
    Target,
    /// `on` for the unit of the label, `off` for the others.
    OneHot { on: f64, off: f64 },
    /// The weights of connections, one behind the other. Of the batch.
    Weights { connections: Vec<usize> },
    /// A parameter of a layer's neuron, by position. Of the batch.
    Parameter { layer: usize, parameter: usize },
    /// The mean over the samples of the batch of a node of the sample with one number per unit. Of the batch.
    BatchMean { of: usize },
    /// A trace reduced over time.
    Reduced { of: usize, by: Reduction },
    /// A trace convolved with `gain · (decay^k − rise^k)`, k steps back, or with `gain · decay^k` without
    /// `rise`. Starts at rest.
    Filtered {
        of: usize,
        decay: f64,
        rise: Option<f64>,
        gain: f64,
    },
    /// The sum of all numbers.
    Sum { of: usize },
    /// The mean of all numbers.
    Mean { of: usize },
    /// The negative logarithm of the softmax probability of the label, the target smoothed towards all classes
    /// by `smoothing`, times the weight of the label's class (none: 1). Of every step: the mean over the steps.
    CrossEntropy {
        logits: usize,
        smoothing: f64,
        weights: Vec<f64>,
    },
    /// A function of each number.
    Map { of: usize, function: Function },
    /// A constant power of each number.
    Power { of: usize, exponent: f64 },
    /// A function of two nodes, the smaller shape repeated.
    Pair {
        left: usize,
        right: usize,
        pair: Pair,
    },
}

impl Term {
    /// The nodes that it reads.
    pub fn operands(&self) -> Vec<usize> {
        match self {
            Term::Constant(_)
            | Term::Trace { .. }
            | Term::Target
            | Term::OneHot { .. }
            | Term::Weights { .. }
            | Term::Parameter { .. } => Vec::new(),
            Term::BatchMean { of }
            | Term::Reduced { of, .. }
            | Term::Filtered { of, .. }
            | Term::Sum { of }
            | Term::Mean { of }
            | Term::Map { of, .. }
            | Term::Power { of, .. } => vec![*of],
            Term::CrossEntropy { logits, .. } => vec![*logits],
            Term::Pair { left, right, .. } => vec![*left, *right],
        }
    }
}

/// A term with the number of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub term: Term,
    /// How many numbers.
    pub shape: Shape,
}

/// The scalars that make up a loss or a penalty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roots {
    /// The mean over samples of this node.
    pub sample: Option<usize>,
    /// Plus this node of the batch.
    pub batch: Option<usize>,
}

/// What is minimised: loss plus penalty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objective {
    /// All nodes, operands first.
    pub nodes: Vec<Node>,
    /// The loss that is reported.
    pub loss: Roots,
    /// What is added to it in training.
    pub penalty: Roots,
    /// The node whose largest unit is the predicted class (summed over time if it has steps); `None` if the
    /// task has no classes.
    pub logits: Option<usize>,
}

impl Objective {
    /// Which nodes are of the batch; the others are of a sample.
    pub fn of_batch(&self) -> Vec<bool> {
        let mut of_batch: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let own = matches!(
                node.term,
                Term::Weights { .. } | Term::Parameter { .. } | Term::BatchMean { .. }
            );
            let inherited = node.term.operands().iter().any(|&o| of_batch[o]);
            of_batch.push(own || inherited);
        }
        of_batch
    }

    /// Whether a mean over the batch occurs.
    pub fn has_batch_mean(&self) -> bool {
        let is_mean = |node: &Node| matches!(node.term, Term::BatchMean { .. });
        self.nodes.iter().any(is_mean)
    }

    /// Whether samples need a target over time.
    pub fn reads_target(&self) -> bool {
        self.nodes.iter().any(|node| node.term == Term::Target)
    }

    /// The number of units of the target over time, if it is read.
    pub fn target_units(&self) -> Option<usize> {
        let target = self.nodes.iter().find(|node| node.term == Term::Target)?;
        match target.shape {
            Shape::Steps(units) => Some(units),
            Shape::Scalar | Shape::Units(_) => None,
        }
    }

    /// The least number of units among those that the label is compared with, if it is.
    pub fn label_units(&self) -> Option<usize> {
        let width = |shape: Shape| match shape {
            Shape::Scalar => None,
            Shape::Units(n) | Shape::Steps(n) => Some(n),
        };
        let of_node = |node: &Node| match node.term {
            Term::OneHot { .. } => width(node.shape),
            Term::CrossEntropy { logits, .. } => width(self.nodes[logits].shape),
            Term::Constant(_)
            | Term::Trace { .. }
            | Term::Target
            | Term::Weights { .. }
            | Term::Parameter { .. }
            | Term::BatchMean { .. }
            | Term::Reduced { .. }
            | Term::Filtered { .. }
            | Term::Sum { .. }
            | Term::Mean { .. }
            | Term::Map { .. }
            | Term::Power { .. }
            | Term::Pair { .. } => None,
        };
        self.nodes.iter().filter_map(of_node).min()
    }

    /// The number of classes that can be predicted; 0 if the task has none.
    pub fn classes(&self) -> usize {
        match self.logits.map(|node| self.nodes[node].shape) {
            Some(Shape::Units(n) | Shape::Steps(n)) => n,
            Some(Shape::Scalar) | None => 0,
        }
    }
}
