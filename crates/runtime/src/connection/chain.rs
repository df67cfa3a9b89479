//! What a connection computes: operations one after the other, forward and backward, for a block of rows.
//!
//! A row is a step of a sample. Rows between two operations are not kept for the backward; it computes them
//! again, which is cheaper than a tape of them. Only what a normalisation reads is kept in a training step, because all
//! samples have to be there before it goes on: the chain then runs in the stretches between them (`phases.rs`). A
//! connection of one dense operation has faster ways in `forward.rs` and `backward.rs`, which take all steps at once,
//! and does not come here.

use std::ops::Range;
use std::sync::Arc;

use pulp::Arch;
use rheobase_ir::program::{Connection, Pooling, Synapses, Window};
use rheobase_ir::real::Real;

use crate::aligned::Aligned;
use crate::connection::choice::{self, Convolved};
use crate::connection::dropout::Dropout;
use crate::connection::matmul::{Matrix, add_product};
use crate::connection::norm::{Centre, Norm};
use crate::connection::pairs::Pairs;
use crate::connection::pool::{self, Maxima, Maximum, Windows};
use crate::connection::rows::{Block, List, Sent, numbers};
use crate::connection::{columns, convolution, dense, planes, transposed};
use crate::parameters::{Layout, Owner, ParameterSpec, weights_in_use};

/// The operations of a connection.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) stages: Vec<Stage>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Stage {
    map: Map,
    /// Positions among the parameters.
    pub(crate) weight: Option<usize>,
    pub(crate) bias: Option<usize>,
    /// What takes the place of the weights in [`Stage::input_gradient`].
    feedback: Option<usize>,
    inputs: usize,
    outputs: usize,
}

/// How an operation turns a row into another.
#[derive(Debug)]
enum Map {
    Dense,
    Sparse(Arc<Pairs>),
    OneToOne,
    Scale,
    Convolution(Window),
    /// Sums of windows, divided by this number.
    Sum(Windows, f64),
    Maximum(Maximum),
    /// The factors of this mask. It has a row for each sample, so the rows have to be those of whole steps.
    Dropout(usize),
    /// What this normalisation has as its centre.
    Normalisation(usize),
}

/// The numbers that the operations of a run read beside what is sent.
#[derive(Debug)]
pub(crate) struct Given<'p, R> {
    pub(crate) parameters: &'p [Vec<R>],
    /// For each dropout a factor for each element of each sample, see [`Dropout`]; none at evaluation.
    pub(crate) masks: &'p [Aligned<R>],
    /// For each normalisation what it normalises by.
    pub(crate) centres: &'p [Centre<R>],
}

impl<R> Clone for Given<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Given<'_, R> {}

/// Memory for the time of a product.
#[derive(Debug, Default)]
pub(crate) struct Memory<R> {
    list: List<R>,
    maxima: Maxima<R>,
    /// A row or a block written out.
    numbers: Aligned<R>,
    columns: Aligned<R>,
    turned: Aligned<R>,
    kernel: convolution::Memory<R>,
    planes: planes::Memory<R>,
    back: transposed::Memory<R>,
}

/// Memory for the rows between operations.
#[derive(Debug, Default)]
pub(crate) struct Between<R> {
    /// What each operation but the last gave.
    rows: Vec<Aligned<R>>,
    /// The adjoints of what goes into an operation and of what comes out.
    adjoints: [Aligned<R>; 2],
    memory: Memory<R>,
}

impl Chain {
    /// The operations of a connection of a network with these parameters. A tied connection uses those of
    /// another one.
    pub(crate) fn new(
        index: usize,
        connection: &Connection,
        specs: &[ParameterSpec],
        dropouts: &[Dropout],
        norms: &[Norm],
    ) -> Chain {
        let c = connection.tied.unwrap_or(index);
        let stages = connection.operations.iter().enumerate();
        let stages = stages.map(|(o, operation)| {
            let position = |owner: Owner| specs.iter().position(|s| s.owner == owner);
            let weight = weights_in_use(specs, c, o);
            let map = match &operation.synapses {
                Synapses::Dense { .. } => Map::Dense,
                Synapses::Sparse { .. } => {
                    let layout = weight.map(|w| &specs[w].layout);
                    let Some(Layout::Pairs(pairs)) = layout else {
                        unreachable!("sparse operations have weights")
                    };
                    Map::Sparse(pairs.clone())
                }
                Synapses::OneToOne => Map::OneToOne,
                Synapses::Scale => Map::Scale,
                Synapses::Convolution(window) => Map::Convolution(*window),
                Synapses::Pool { window, pooling } => {
                    let (inputs, outputs) = (operation.inputs, operation.outputs);
                    let sum = |divisor| Map::Sum(Windows::new(*window, inputs), divisor);
                    match pooling {
                        Pooling::Sum => sum(1.0),
                        Pooling::Average => sum(window.area() as f64),
                        Pooling::Max => Map::Maximum(Maximum::new(*window, inputs, outputs)),
                    }
                }
                Synapses::Dropout { .. } => {
                    let own = |d: &Dropout| (d.connection, d.operation) == (index, o);
                    let mask = dropouts.iter().position(own);
                    Map::Dropout(mask.expect("every dropout is in the list"))
                }
                Synapses::Normalisation { .. } => {
                    let own = |n: &Norm| (n.connection, n.operation) == (index, o);
                    let norm = norms.iter().position(own);
                    Map::Normalisation(norm.expect("every normalisation is in the list"))
                }
            };
            Stage {
                map,
                weight,
                bias: position(Owner::Bias(c, o)),
                feedback: position(Owner::Feedback(c, o)),
                inputs: operation.inputs,
                outputs: operation.outputs,
            }
        });
        Chain {
            stages: stages.collect(),
        }
    }

    /// One operation whose weights are a table of their own: some pairs, all, or each neuron to itself.
    pub(crate) fn of_table(
        pairs: Option<Arc<Pairs>>,
        dense: bool,
        table: usize,
        [inputs, outputs]: [usize; 2],
    ) -> Chain {
        let map = match pairs {
            Some(pairs) => Map::Sparse(pairs),
            None if dense => Map::Dense,
            None => Map::OneToOne,
        };
        let stage = Stage {
            map,
            weight: Some(table),
            bias: None,
            feedback: None,
            inputs,
            outputs,
        };
        Chain {
            stages: vec![stage],
        }
    }

    /// The weights if there is one dense operation and nothing else, whose gradient goes back by them.
    pub(crate) fn only_dense(&self) -> Option<usize> {
        self.all().only_dense()
    }

    /// The bias of the last operation. It is there at every step, whatever was sent.
    pub(crate) fn last_bias(&self) -> Option<usize> {
        self.stages.last()?.bias
    }

    /// The positions of all parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = usize> {
        self.stages
            .iter()
            .flat_map(|s| s.weight.into_iter().chain(s.bias))
    }

    /// The normalisations: position among the operations, and which one of the network it is.
    pub(crate) fn norms(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        let stages = self.stages.iter().enumerate();
        stages.filter_map(|(s, stage)| stage.norm().map(|norm| (s, norm)))
    }

    /// All operations.
    pub(crate) fn all(&self) -> Stretch<'_> {
        self.stretch(0..self.stages.len())
    }

    /// Some operations that follow each other.
    pub(crate) fn stretch(&self, range: Range<usize>) -> Stretch<'_> {
        Stretch {
            stages: &self.stages[range],
        }
    }
}

/// Operations of a chain that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'c> {
    stages: &'c [Stage],
}

impl Stretch<'_> {
    /// The numbers of a row that comes out; `None` if there are no operations.
    pub(crate) fn outputs(&self) -> Option<usize> {
        self.stages.last().map(|s| s.outputs)
    }

    /// The numbers of the widest row between its operations.
    pub(crate) fn widest(&self) -> usize {
        let rows = self.stages.iter().map(|s| s.inputs.max(s.outputs));
        rows.max().unwrap_or(1)
    }

    /// The weights if there is one dense operation and nothing else, whose gradient goes back by them.
    pub(crate) fn only_dense(&self) -> Option<usize> {
        match self.stages {
            [
                Stage {
                    map: Map::Dense,
                    weight,
                    feedback: None,
                    ..
                },
            ] => *weight,
            _ => None,
        }
    }

    /// The bias of its last operation.
    pub(crate) fn last_bias(&self) -> Option<usize> {
        self.stages.last()?.bias
    }

    /// Adds what the rows `sent` become to the rows of `out`, but for the bias of the last operation.
    pub(crate) fn forward<R: Real>(
        &self,
        arch: Arch,
        given: Given<'_, R>,
        sent: Block<'_, '_, R>,
        rows: usize,
        between: &mut Between<R>,
        out: &mut [R],
    ) {
        self.prepare(arch, given, sent, rows, between);
        let Some((last, before)) = self.stages.split_last() else {
            let n = out.len().checked_div(rows).unwrap_or(0);
            for (r, out) in out.chunks_exact_mut(n.max(1)).enumerate() {
                let row = numbers(sent.row(r), n, &mut between.memory.numbers);
                out.iter_mut().zip(row).for_each(|(o, &x)| *o = o.add(x));
            }
            return;
        };
        let input = block(before, &between.rows, sent);
        last.forward(arch, given, input, rows, &mut between.memory, out);
    }

    /// The rows that every operation but the last gives.
    fn prepare<R: Real>(
        &self,
        arch: Arch,
        given: Given<'_, R>,
        sent: Block<'_, '_, R>,
        rows: usize,
        between: &mut Between<R>,
    ) {
        let before = self.stages.len().saturating_sub(1);
        if between.rows.len() < before {
            between.rows.resize_with(before, Aligned::new);
        }
        for (s, stage) in self.stages[..before].iter().enumerate() {
            let (done, rest) = between.rows.split_at_mut(s);
            let out = &mut rest[0];
            out.resize(rows * stage.outputs);
            match stage.bias {
                None => out.fill(R::ZERO),
                Some(bias) => {
                    out.fill(R::ZERO);
                    out.chunks_exact_mut(stage.outputs)
                        .for_each(|row| add_bias(row, &given.parameters[bias]));
                }
            }
            let input = block(&self.stages[..s], done, sent);
            stage.forward(arch, given, input, rows, &mut between.memory, out);
        }
    }

    /// From the adjoints `delta` of the rows that came out: adds the gradients of all parameters but the
    /// bias of the last operation to `gradients`, and the adjoints of the rows that were sent to `target`.
    pub(crate) fn backward<R: Real>(
        &self,
        arch: Arch,
        given: Given<'_, R>,
        (sent, delta): (Block<'_, '_, R>, &[R]),
        between: &mut Between<R>,
        mut gradients: Option<&mut [Vec<R>]>,
        mut target: Option<&mut [R]>,
    ) {
        let Some(end) = self.stages.last() else {
            if let Some(target) = target {
                target
                    .iter_mut()
                    .zip(delta)
                    .for_each(|(t, &d)| *t = t.add(d));
            }
            return;
        };
        let last = self.stages.len() - 1;
        let rows = delta.len() / end.outputs;
        self.prepare(arch, given, sent, rows, between);
        let Between {
            rows: made,
            adjoints: [into, from],
            memory,
        } = between;
        for (s, stage) in self.stages.iter().enumerate().rev() {
            let delta = if s == last { delta } else { &from[..] };
            let input = block(&self.stages[..s], made, sent);
            if let Some(gradients) = gradients.as_deref_mut() {
                if let Some(weight) = stage.weight {
                    stage.weight_gradient(arch, input, delta, memory, &mut gradients[weight]);
                }
                if let Some(bias) = stage.bias.filter(|_| s < last) {
                    let rows = delta.chunks_exact(stage.outputs);
                    rows.for_each(|row| add_bias_gradient(&mut gradients[bias], row));
                }
            }
            if s > 0 {
                into.resize(rows * stage.inputs);
                into.fill(R::ZERO);
                stage.input_gradient(arch, given, input, delta, memory, into);
                std::mem::swap(into, from);
            } else if let Some(target) = target.as_deref_mut() {
                stage.input_gradient(arch, given, input, delta, memory, target);
            }
        }
    }
}

/// What goes into the operation after those `before` it.
fn block<'a, 'e, R: Real>(
    before: &[Stage],
    given: &'a [Aligned<R>],
    sent: Block<'a, 'e, R>,
) -> Block<'a, 'e, R> {
    match before.last() {
        None => sent,
        Some(stage) => Block::Numbers(&given[before.len() - 1], stage.outputs),
    }
}

/// Adds a bias to a row; each of its elements is for as many neighbours as there are for each.
pub(crate) fn add_bias<R: Real>(row: &mut [R], bias: &[R]) {
    if row.len() == bias.len() {
        row.iter_mut()
            .zip(bias)
            .for_each(|(x, &bias)| *x = x.add(bias));
        return;
    }
    let places = row.len() / bias.len();
    for (row, &bias) in row.chunks_exact_mut(places).zip(bias) {
        row.iter_mut().for_each(|x| *x = x.add(bias));
    }
}

/// The gradient of [`add_bias`].
pub(crate) fn add_bias_gradient<R: Real>(gradient: &mut [R], delta: &[R]) {
    if gradient.len() == delta.len() {
        gradient
            .iter_mut()
            .zip(delta)
            .for_each(|(sum, &d)| *sum = sum.add(d));
        return;
    }
    let places = delta.len() / gradient.len();
    for (delta, sum) in delta.chunks_exact(places).zip(gradient) {
        *sum = delta.iter().fold(*sum, |sum, &d| sum.add(d));
    }
}

impl Stage {
    /// Which normalisation of the network it is, if it is one.
    fn norm(&self) -> Option<usize> {
        match self.map {
            Map::Normalisation(norm) => Some(norm),
            Map::Dense
            | Map::Sparse(_)
            | Map::OneToOne
            | Map::Scale
            | Map::Convolution(_)
            | Map::Sum(..)
            | Map::Maximum(_)
            | Map::Dropout(_) => None,
        }
    }

    /// The numbers of a row that goes in.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// The only weight, or 1, times what the operation multiplies by itself.
    fn factor<R: Real>(&self, given: Given<'_, R>) -> R {
        let weight = self.weight.map_or(R::ONE, |w| given.parameters[w][0]);
        weight.mul(self.share())
    }

    /// What sums of windows are multiplied by beside the weight.
    fn share<R: Real>(&self) -> R {
        match &self.map {
            Map::Sum(_, divisor) => R::from_f64(1.0 / divisor),
            Map::Dense
            | Map::Sparse(_)
            | Map::OneToOne
            | Map::Scale
            | Map::Convolution(_)
            | Map::Maximum(_)
            | Map::Dropout(_)
            | Map::Normalisation(_) => R::ONE,
        }
    }

    fn weights<'p, R>(&self, given: Given<'p, R>) -> &'p [R] {
        self.weight.map_or(&[], |w| &given.parameters[w])
    }

    /// Adds what the rows of `input` become to the rows of `out`, without the bias.
    fn forward<R: Real>(
        &self,
        arch: Arch,
        given: Given<'_, R>,
        input: Block<'_, '_, R>,
        rows: usize,
        memory: &mut Memory<R>,
        out: &mut [R],
    ) {
        let weights = self.weights(given);
        for (r, out) in out.chunks_exact_mut(self.outputs).take(rows).enumerate() {
            let row = input.row(r);
            match &self.map {
                Map::Maximum(maximum) => {
                    let factor = self.factor(given);
                    maximum.forward(row, factor, &mut memory.maxima, out);
                    continue;
                }
                Map::Normalisation(norm) => {
                    let x = numbers(row, self.inputs, &mut memory.numbers);
                    given.centres[*norm].forward(weights, x, out);
                    continue;
                }
                Map::Dense
                | Map::Sparse(_)
                | Map::OneToOne
                | Map::Scale
                | Map::Convolution(_)
                | Map::Sum(..)
                | Map::Dropout(_) => {}
            }
            let x = memory.list.entries(row);
            match &self.map {
                Map::Dense => dense::gather(arch, weights, x.indices, x.values, out),
                Map::Sparse(pairs) => pairs.forward(weights, x, out),
                Map::OneToOne | Map::Scale => {
                    let factor = self.factor(given);
                    for (i, value) in x.iter() {
                        let weight = self.weight_of(weights, i, factor);
                        out[i] = out[i].add(weight.mul(value));
                    }
                }
                Map::Convolution(window) => {
                    if choice::columns(window, Convolved::Outputs, x.indices.len(), self.inputs) {
                        let x = numbers(row, self.inputs, &mut memory.numbers);
                        columns::forward(window, weights, x, &mut memory.columns, out);
                    } else {
                        let turned = &mut memory.turned;
                        turned.resize(self.outputs);
                        turned.fill(R::ZERO);
                        convolution::forward(arch, window, weights, x, turned);
                        convolution::add_turned(turned, window.channels[1], out);
                    }
                }
                Map::Sum(windows, _) => pool::sum(windows, x, self.factor(given), out),
                Map::Dropout(mask) => {
                    let mask = self.mask(given, *mask, r);
                    for (i, value) in x.iter() {
                        let kept = mask.map_or(value, |m| m[i].mul(value));
                        out[i] = out[i].add(kept);
                    }
                }
                Map::Maximum(_) | Map::Normalisation(_) => unreachable!("done above"),
            }
        }
    }

    /// The factors of a dropout for a row, that is a sample of a step; `None` at evaluation.
    fn mask<'p, R>(&self, given: Given<'p, R>, mask: usize, row: usize) -> Option<&'p [R]> {
        let mask = given.masks.get(mask)?;
        let sample = row % (mask.len() / self.outputs.max(1)).max(1);
        mask.get(sample * self.outputs..(sample + 1) * self.outputs)
    }

    /// The weight of neuron `i` in an operation from each neuron to itself.
    fn weight_of<R: Real>(&self, weights: &[R], i: usize, factor: R) -> R {
        if weights.len() == self.outputs {
            weights[i]
        } else {
            factor
        }
    }

    /// Adds the gradient of the weights to `dw`.
    fn weight_gradient<R: Real>(
        &self,
        arch: Arch,
        input: Block<'_, '_, R>,
        delta: &[R],
        memory: &mut Memory<R>,
        dw: &mut [R],
    ) {
        if let (Map::Dense, Block::Numbers(numbers, n)) = (&self.map, input) {
            let rows = delta.len() / self.outputs;
            let numbers = &numbers[..rows * n];
            let count = numbers.iter().filter(|x| **x != R::ZERO).count();
            if choice::gradient(count, rows, [n, self.outputs]) == choice::Gradient::Product {
                let numbers = Matrix::of_rows(numbers, n).transposed();
                add_product(dw, numbers, Matrix::of_rows(delta, self.outputs));
                return;
            }
        }
        if let Map::Convolution(window) = &self.map
            && self.gradient_by_planes(arch, window, input, delta, memory, dw)
        {
            return;
        }
        for (r, delta) in delta.chunks_exact(self.outputs).enumerate() {
            let row = input.row(r);
            if let Map::Maximum(maximum) = &self.map {
                let of_row = maximum.factor_gradient(row, &mut memory.maxima, delta);
                dw[0] = dw[0].add(of_row);
                continue;
            }
            let x = memory.list.entries(row);
            match &self.map {
                Map::Dense => dense::scatter(arch, dw, x.indices, x.values, delta),
                Map::Sparse(pairs) => pairs.weight_gradient(x, delta, dw),
                Map::OneToOne | Map::Scale => {
                    let last = dw.len() - 1;
                    for (i, value) in x.iter() {
                        let dw = &mut dw[i.min(last)];
                        *dw = dw.add(delta[i].mul(value));
                    }
                }
                Map::Convolution(window) => {
                    if choice::columns(window, Convolved::Weights, x.indices.len(), self.inputs) {
                        let x = numbers(row, self.inputs, &mut memory.numbers);
                        columns::weight_gradient(window, x, delta, &mut memory.columns, dw);
                    } else {
                        let memory = &mut memory.kernel;
                        convolution::weight_gradient(arch, window, x, delta, memory, dw);
                    }
                }
                Map::Sum(windows, _) => {
                    let of_row = pool::sum_factor_gradient(windows, x, delta);
                    dw[0] = dw[0].add(of_row.mul(self.share()));
                }
                Map::Dropout(_) => {}
                Map::Normalisation(_) => unreachable!("a stretch of the backward has none"),
                Map::Maximum(_) => unreachable!("done above"),
            }
        }
    }

    /// [`Stage::weight_gradient`] of a convolution output channel by output channel, if that is cheaper.
    fn gradient_by_planes<R: Real>(
        &self,
        arch: Arch,
        window: &Window,
        input: Block<'_, '_, R>,
        delta: &[R],
        memory: &mut Memory<R>,
        dw: &mut [R],
    ) -> bool {
        let rows = delta.len() / self.outputs;
        let entries = input.entries(rows) / rows.max(1);
        if choice::columns(window, Convolved::Weights, entries, self.inputs)
            || !choice::planes(window, entries)
        {
            return false;
        }
        memory.planes.begin(window);
        for r in 0..rows {
            let x = memory.list.entries(input.row(r));
            if !x.indices.is_sorted() {
                return false;
            }
            memory.planes.append(window, x);
        }
        planes::weight_gradient(arch, window, delta, &mut memory.planes, dw);
        true
    }

    /// Adds the adjoints of the rows that went in to `dx`.
    fn input_gradient<R: Real>(
        &self,
        arch: Arch,
        given: Given<'_, R>,
        input: Block<'_, '_, R>,
        delta: &[R],
        memory: &mut Memory<R>,
        dx: &mut [R],
    ) {
        let weights = match self.feedback {
            None => self.weights(given),
            Some(feedback) => &given.parameters[feedback],
        };
        let factor = match &self.map {
            Map::Scale | Map::OneToOne | Map::Sum(..) | Map::Maximum(_) => self.factor(given),
            Map::Dense => {
                let weights = Matrix::of_rows(weights, self.outputs).transposed();
                add_product(dx, Matrix::of_rows(delta, self.outputs), weights);
                return;
            }
            Map::Convolution(window) => {
                let memory = &mut memory.back;
                transposed::input_gradient(arch, window, weights, delta, memory, dx);
                return;
            }
            Map::Sparse(_) | Map::Dropout(_) | Map::Normalisation(_) => R::ONE,
        };
        let rows = delta.chunks_exact(self.outputs);
        for (r, (delta, dx)) in rows.zip(dx.chunks_exact_mut(self.inputs)).enumerate() {
            match &self.map {
                Map::Dense | Map::Convolution(_) => unreachable!("done above"),
                Map::Normalisation(_) => unreachable!("a stretch of the backward has none"),
                Map::Sparse(pairs) => pairs.input_gradient(weights, delta, dx),
                Map::OneToOne | Map::Scale => {
                    for (i, (dx, &d)) in dx.iter_mut().zip(delta).enumerate() {
                        *dx = dx.add(self.weight_of(weights, i, factor).mul(d));
                    }
                }
                Map::Sum(windows, _) => pool::sum_input_gradient(windows, delta, factor, dx),
                Map::Dropout(mask) => {
                    let mask = self.mask(given, *mask, r);
                    for (i, (dx, &d)) in dx.iter_mut().zip(delta).enumerate() {
                        *dx = dx.add(mask.map_or(d, |m| m[i].mul(d)));
                    }
                }
                Map::Maximum(maximum) => {
                    let row: Sent<'_, R> = input.row(r);
                    maximum.input_gradient(row, factor, &mut memory.maxima, delta, dx);
                }
            }
        }
    }
}
