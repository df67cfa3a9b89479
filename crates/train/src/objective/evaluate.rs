//! The value of nodes and the way back: for one sample, or for the batch, in `f64`.
//!
//! The caller puts the values of leaves into the [`Tape`] (traces, targets, weights); everything else follows from
//! the nodes in their order. The way back goes through the nodes in the opposite order and leaves dL/d(leaf) in
//! the tape. Shorter operands are repeated: one number for all, one row for all steps.

use rheobase_ir::program::{Objective, Reduction, Term};

use super::function::{
    pair_slopes, pair_value, power_slope, power_value, slope as function_slope,
    value as function_value,
};

/// Values and adjoints of all nodes.
pub(super) struct Tape {
    /// Empty for nodes that are not computed.
    pub(super) values: Vec<Vec<f64>>,
    /// Empty for nodes that nothing has reached.
    pub(super) adjoints: Vec<Vec<f64>>,
}

/// What the nodes of one sample read beside each other.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// The number of steps.
    pub(super) steps: usize,
    /// The class of the sample.
    pub(super) label: usize,
}

impl Tape {
    pub(super) fn new(objective: &Objective) -> Tape {
        let empty = vec![Vec::new(); objective.nodes.len()];
        Tape {
            values: empty.clone(),
            adjoints: empty,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.values.iter_mut().for_each(Vec::clear);
        self.adjoints.iter_mut().for_each(Vec::clear);
    }

    /// Adds to the adjoint of a node.
    pub(super) fn add(&mut self, node: usize, amount: &[f64]) {
        let adjoint = &mut self.adjoints[node];
        adjoint.resize(amount.len(), 0.0);
        adjoint.iter_mut().zip(amount).for_each(|(a, x)| *a += x);
    }

    /// Computes a node from its operands; leaves must be there already.
    pub(super) fn compute(&mut self, objective: &Objective, node: usize, context: Context) {
        let term = &objective.nodes[node].term;
        let of = |operand: usize| &self.values[operand];
        let result = match term {
            Term::Constant(value) => vec![*value],
            Term::OneHot { on, off } => {
                let units = objective.nodes[node].shape.len(context.steps);
                let value = |unit| if unit == context.label { *on } else { *off };
                (0..units).map(value).collect()
            }
            Term::Reduced { of: trace, by } => reduce(of(*trace), context.steps, *by),
            Term::Filtered {
                of: trace,
                decay,
                rise,
                gain,
            } => filter(of(*trace), context.steps, *decay, *rise, *gain),
            Term::Sum { of: all } => vec![of(*all).iter().sum()],
            Term::Mean { of: all } => vec![of(*all).iter().sum::<f64>() / of(*all).len() as f64],
            Term::CrossEntropy {
                logits,
                smoothing,
                weights,
            } => {
                let rows = rows(objective, *logits, of(*logits), context.steps);
                let units = of(*logits).len() / rows;
                let weight = weights.get(context.label).copied().unwrap_or(1.0) / rows as f64;
                let row = |row: &[f64]| surprise(row, context.label, *smoothing);
                vec![of(*logits).chunks_exact(units).map(row).sum::<f64>() * weight]
            }
            Term::Map { of: a, function } => {
                let value = |&a: &f64| function_value(*function, a);
                of(*a).iter().map(value).collect()
            }
            Term::Power { of: a, exponent } => {
                let value = |&a: &f64| power_value(a, *exponent);
                of(*a).iter().map(value).collect()
            }
            Term::Pair { left, right, pair } => {
                let (a, b) = (of(*left), of(*right));
                let n = a.len().max(b.len());
                let both = a.iter().cycle().zip(b.iter().cycle()).take(n);
                both.map(|(&a, &b)| pair_value(*pair, a, b)).collect()
            }
            Term::Trace { .. }
            | Term::Target
            | Term::Weights { .. }
            | Term::Parameter { .. }
            | Term::BatchMean { .. } => return,
        };
        self.values[node] = result;
    }

    /// Takes the adjoint of a node to those of its operands that `wants` a gradient.
    pub(super) fn pull(
        &mut self,
        objective: &Objective,
        node: usize,
        context: Context,
        wants: &[bool],
    ) {
        if self.adjoints[node].is_empty() {
            return;
        }
        let adjoint = std::mem::take(&mut self.adjoints[node]);
        let own = &self.values[node];
        let of = |operand: usize| &self.values[operand];
        let mut pulled: Vec<(usize, Vec<f64>)> = Vec::new();
        match &objective.nodes[node].term {
            Term::Reduced { of: trace, by } => {
                pulled.push((
                    *trace,
                    unreduce(of(*trace), &adjoint, context.steps, *by, own),
                ));
            }
            Term::Filtered {
                of: trace,
                decay,
                rise,
                gain,
            } => pulled.push((
                *trace,
                unfilter(&adjoint, context.steps, *decay, *rise, *gain),
            )),
            Term::Sum { of: all } => pulled.push((*all, vec![adjoint[0]; of(*all).len()])),
            Term::Mean { of: all } => {
                let n = of(*all).len();
                pulled.push((*all, vec![adjoint[0] / n as f64; n]));
            }
            Term::CrossEntropy {
                logits,
                smoothing,
                weights,
            } => {
                let rows = rows(objective, *logits, of(*logits), context.steps);
                let units = of(*logits).len() / rows;
                let weight = weights.get(context.label).copied().unwrap_or(1.0) / rows as f64;
                let scale = weight * adjoint[0];
                let row = |row: &[f64]| surprise_slopes(row, context.label, *smoothing, scale);
                let slopes = of(*logits).chunks_exact(units).flat_map(row).collect();
                pulled.push((*logits, slopes));
            }
            Term::Map { of: a, function } => {
                let both = of(*a).iter().zip(own).zip(&adjoint);
                let slopes = both.map(|((&a, &f), g)| g * function_slope(*function, a, f));
                pulled.push((*a, slopes.collect()));
            }
            Term::Power { of: a, exponent } => {
                let both = of(*a).iter().zip(&adjoint);
                let slopes = both.map(|(&a, g)| g * power_slope(a, *exponent));
                pulled.push((*a, slopes.collect()));
            }
            Term::Pair { left, right, pair } => {
                let (a, b) = (of(*left), of(*right));
                let (mut by_a, mut by_b) = (vec![0.0; a.len()], vec![0.0; b.len()]);
                for (i, g) in adjoint.iter().enumerate() {
                    let (ia, ib) = (i % a.len(), i % b.len());
                    let (sa, sb) = pair_slopes(*pair, a[ia], b[ib]);
                    by_a[ia] += g * sa;
                    by_b[ib] += g * sb;
                }
                pulled.extend([(*left, by_a), (*right, by_b)]);
            }
            Term::Constant(_)
            | Term::Trace { .. }
            | Term::Target
            | Term::OneHot { .. }
            | Term::Weights { .. }
            | Term::Parameter { .. }
            | Term::BatchMean { .. } => {}
        }
        for (operand, amount) in pulled {
            if wants[operand] {
                self.add(operand, &amount);
            }
        }
        self.adjoints[node] = adjoint;
    }
}

/// The number of rows of logits: one, or one for each step.
fn rows(objective: &Objective, node: usize, values: &[f64], steps: usize) -> usize {
    let has_steps = matches!(
        objective.nodes[node].shape,
        rheobase_ir::program::Shape::Steps(_)
    );
    if has_steps && !values.is_empty() {
        steps
    } else {
        1
    }
}

/// The logarithm of the sum of exponentials, without overflow.
fn log_sum(logits: &[f64]) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - top).exp()).sum();
    top + sum.ln()
}

/// `−Σ_k q_k log p_k` with p the softmax and q = `(1 − smoothing)` at the label and `smoothing/K` everywhere.
fn surprise(logits: &[f64], label: usize, smoothing: f64) -> f64 {
    let log_sum = log_sum(logits);
    let hit = log_sum - logits[label];
    if smoothing == 0.0 {
        return hit;
    }
    let all = logits.iter().map(|x| log_sum - x).sum::<f64>() / logits.len() as f64;
    (1.0 - smoothing) * hit + smoothing * all
}

/// `p_k − q_k`, times `scale`.
fn surprise_slopes(logits: &[f64], label: usize, smoothing: f64, scale: f64) -> Vec<f64> {
    let log_sum = log_sum(logits);
    let share = smoothing / logits.len() as f64;
    let slope = |(unit, x): (usize, &f64)| {
        let hit = if unit == label { 1.0 - smoothing } else { 0.0 };
        scale * ((x - log_sum).exp() - hit - share)
    };
    logits.iter().enumerate().map(slope).collect()
}

/// A trace, step by step, to one number per unit.
fn reduce(trace: &[f64], steps: usize, by: Reduction) -> Vec<f64> {
    let units = trace.len() / steps;
    let column = |unit: usize| trace.iter().skip(unit).step_by(units).copied();
    let one = |unit: usize| match by {
        Reduction::Max => column(unit).fold(f64::NEG_INFINITY, |top, x| {
            if x > top || x.is_nan() { x } else { top }
        }),
        Reduction::Sum => column(unit).sum(),
        Reduction::Mean => column(unit).sum::<f64>() / steps as f64,
        Reduction::Last => trace[(steps - 1) * units + unit],
        Reduction::FirstSpike => {
            let mut silent = 1.0;
            column(unit)
                .map(|s| {
                    silent *= 1.0 - s;
                    silent
                })
                .sum()
        }
    };
    (0..units).map(one).collect()
}

/// The way back of [`reduce`].
fn unreduce(
    trace: &[f64],
    adjoint: &[f64],
    steps: usize,
    by: Reduction,
    reduced: &[f64],
) -> Vec<f64> {
    let units = adjoint.len();
    let mut result = vec![0.0; trace.len()];
    for unit in 0..units {
        let at = |t: usize| t * units + unit;
        match by {
            Reduction::Max => {
                if let Some(t) = (0..steps).find(|&t| trace[at(t)] == reduced[unit]) {
                    result[at(t)] = adjoint[unit];
                }
            }
            Reduction::Sum => (0..steps).for_each(|t| result[at(t)] = adjoint[unit]),
            Reduction::Mean => {
                (0..steps).for_each(|t| result[at(t)] = adjoint[unit] / steps as f64);
            }
            Reduction::Last => result[at(steps - 1)] = adjoint[unit],
            Reduction::FirstSpike => {
                // before = Π_{v<u} (1 − s_v); after = Σ_{t≥u} Π_{u<v≤t} (1 − s_v), from the end.
                let mut before = Vec::with_capacity(steps);
                let mut silent = 1.0;
                for t in 0..steps {
                    before.push(silent);
                    silent *= 1.0 - trace[at(t)];
                }
                let mut after = 0.0;
                for t in (0..steps).rev() {
                    let next = if t + 1 < steps {
                        (1.0 - trace[at(t + 1)]) * after
                    } else {
                        0.0
                    };
                    after = 1.0 + next;
                    result[at(t)] = -adjoint[unit] * before[t] * after;
                }
            }
        }
    }
    result
}

/// A trace convolved with a difference of exponentials, or with one.
fn filter(trace: &[f64], steps: usize, decay: f64, rise: Option<f64>, gain: f64) -> Vec<f64> {
    let units = trace.len() / steps;
    let (mut slow, mut fast) = (vec![0.0; units], vec![0.0; units]);
    let mut result = Vec::with_capacity(trace.len());
    for row in trace.chunks_exact(units) {
        for ((slow, fast), x) in slow.iter_mut().zip(&mut fast).zip(row) {
            *slow = decay * *slow + x;
            *fast = rise.map_or(0.0, |rise| rise * *fast + x);
            result.push(gain * (*slow - *fast));
        }
    }
    result
}

/// The way back of [`filter`]: the same filter, backwards in time.
fn unfilter(adjoint: &[f64], steps: usize, decay: f64, rise: Option<f64>, gain: f64) -> Vec<f64> {
    let units = adjoint.len() / steps;
    let mut backwards = Vec::with_capacity(adjoint.len());
    for row in adjoint.chunks_exact(units).rev() {
        backwards.extend_from_slice(row);
    }
    let filtered = filter(&backwards, steps, decay, rise, gain);
    filtered
        .chunks_exact(units)
        .rev()
        .flatten()
        .copied()
        .collect()
}
