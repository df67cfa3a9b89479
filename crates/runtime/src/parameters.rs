//! Everything that can be trained: its names, shapes, owners and values.
//!
//! Names are those of checkpoints and of the command line: a connection owns `a.b.x.weight` and
//! `a.b.x.bias`, a layer owns `layer.param`. Shapes are the outside ones: `[n_post, n_pre]` for dense
//! weights, `[out, in / groups, height, width]` for kernels, the pairs row by row for sparse ones. Inside,
//! weights are stored so that what one presynaptic neuron adds to its targets is contiguous ([`Layout`]);
//! [`Parameters::export`] and [`Parameters::import`] change between the two.

use std::sync::Arc;

use ndarray::{ArrayD, Dimension, IxDyn};
use rheobase_ir::program::{Network, Operation, Pattern, Sharing, Synapses, Window};
use rheobase_ir::real::Real;

use crate::connection::pairs::Pairs;
use crate::error::RuntimeError;

/// What a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The weights of an operation: connection and position among its operations.
    Weight(usize, usize),
    /// The bias of an operation: connection and position among its operations.
    Bias(usize, usize),
    /// What the weights of an operation are while it runs, if they go through a function ([`Operation::map`]):
    /// connection and position among its operations.
    Mapped(usize, usize),
    /// What carries gradients back in place of the weights of an operation, see
    /// [`Operation::feedback`]: connection and position among its operations.
    Feedback(usize, usize),
    /// The running average of a moment of what a normalisation reads, for each channel, which is used at
    /// evaluation: connection, position among its operations, which moment.
    Running(usize, usize, Moment),
    /// The delays of the synapses of a connection, in steps.
    Delay(usize),
    /// A parameter of a layer's neuron: layer and position among its parameters.
    Neuron(usize, usize),
}

/// A moment of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The mean.
    Mean,
    /// The variance.
    Variance,
}

/// Where inside the values of a parameter an element of its outside shape is.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// Row-major, as outside.
    Same,
    /// The two axes are exchanged.
    Transposed,
    /// A kernel: `[in / groups, height, width backwards, out]`. Backwards, because then the targets of one
    /// event lie in the same order as the weights.
    Kernel(Window),
    /// The pairs of a sparse connection, by source.
    Pairs(Arc<Pairs>),
}

impl Layout {
    pub(crate) fn of_weights(operation: &Operation) -> Layout {
        match &operation.synapses {
            Synapses::Dense { .. } => Layout::Transposed,
            Synapses::Sparse { .. } => {
                let pattern = operation.pattern().expect("a sparse operation has one");
                Layout::Pairs(Arc::new(Pairs::new(pattern, operation.inputs)))
            }
            Synapses::Convolution(window) => Layout::Kernel(*window),
            Synapses::OneToOne
            | Synapses::Scale
            | Synapses::Pool { .. }
            | Synapses::Dropout { .. }
            | Synapses::Normalisation { .. } => Layout::Same,
        }
    }

    /// The inside position of an element.
    fn position(&self, shape: &[usize], at: &[usize]) -> usize {
        match self {
            Layout::Same => flat(shape, at),
            Layout::Transposed => at[1] * shape[0] + at[0],
            Layout::Kernel(window) => {
                let [height, width] = window.kernel;
                let (y, x) = match *at {
                    [_, _, x] => (0, x),
                    [_, _, y, x] => (y, x),
                    _ => unreachable!("kernels have one or two axes"),
                };
                flat(
                    &[shape[1], height, width, shape[0]],
                    &[at[1], y, width - 1 - x, at[0]],
                )
            }
            Layout::Pairs(pairs) => pairs.inside[at[0]] as usize,
        }
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name.
    pub name: String,
    /// Its outside shape; empty for a single number.
    pub shape: Vec<usize>,
    /// What it belongs to.
    pub owner: Owner,
    /// Whether training changes it.
    pub trained: bool,
    /// How it is stored.
    pub layout: Layout,
}

impl ParameterSpec {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// What tells which pairs the values of a sparse connection belong to, as in SciPy's CSR: the sources
    /// of target `i` are `columns[offsets[i]..offsets[i + 1]]`. Names and numbers; nothing for others.
    pub fn pattern(&self) -> Vec<(String, &[u32])> {
        match &self.layout {
            // Delays and mapped weights are those of the same pairs.
            Layout::Pairs(_) if matches!(self.owner, Owner::Delay(_) | Owner::Mapped(..)) => {
                Vec::new()
            }
            Layout::Pairs(pairs) => {
                let Pattern { offsets, columns } = &pairs.pattern;
                let name = |part: &str| format!("{}.{part}", self.name);
                vec![(name("offsets"), offsets), (name("columns"), columns)]
            }
            Layout::Same | Layout::Transposed | Layout::Kernel(_) => Vec::new(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The parameters of a network in the order of their declaration: connections, then layers; then the weights
/// that follow from others, so that a map does not change what is drawn.
pub fn specs(network: &Network) -> Vec<ParameterSpec> {
    let mut specs = Vec::new();
    // Tied connections have no parameters of their own.
    let connections = network.connections.iter().enumerate();
    for (c, connection) in connections.filter(|(_, c)| c.tied.is_none()) {
        for (o, operation) in connection.operations.iter().enumerate() {
            let prefix = connection.prefix(o);
            let learned = connection.delays.as_ref().is_some_and(|d| d.learned);
            let mut add = |part: &str, shape: Option<Vec<usize>>, owner, layout| {
                let fixed = matches!(owner, Owner::Feedback(..) | Owner::Running(..));
                specs.extend(shape.map(|shape| ParameterSpec {
                    name: format!("{prefix}.{part}"),
                    shape,
                    owner,
                    trained: !connection.frozen
                        && !fixed
                        && (learned || !matches!(owner, Owner::Delay(_))),
                    layout,
                }));
            };
            if operation.weight.is_some() {
                let layout = Layout::of_weights(operation);
                // The pattern is drawn once.
                let shape = match &layout {
                    Layout::Pairs(pairs) => Some(vec![pairs.inside.len()]),
                    Layout::Same | Layout::Transposed | Layout::Kernel(_) => {
                        operation.weight_shape()
                    }
                };
                add("weight", shape.clone(), Owner::Weight(c, o), layout.clone());
                if connection.delays.is_some() {
                    add("delay", shape, Owner::Delay(c), layout);
                }
            }
            if operation.feedback.is_some() {
                let layout = Layout::of_weights(operation);
                let shape = operation.weight_shape();
                add("feedback", shape, Owner::Feedback(c, o), layout);
            }
            add(
                "bias",
                operation.bias_shape(),
                Owner::Bias(c, o),
                Layout::Same,
            );
            if let Synapses::Normalisation { channels, .. } = operation.synapses {
                for (part, moment) in [("mean", Moment::Mean), ("variance", Moment::Variance)] {
                    let owner = Owner::Running(c, o, moment);
                    add(part, Some(vec![channels]), owner, Layout::Same);
                }
            }
        }
    }
    for (l, layer) in network.layers.iter().enumerate() {
        for (p, parameter) in layer.neuron.params.iter().enumerate() {
            let shape = match parameter.sharing {
                Sharing::Shared => vec![],
                Sharing::PerChannel => vec![layer.shape[0]],
                Sharing::PerNeuron => layer.shape.clone(),
            };
            let name = format!("{}.{}", layer.name, parameter.name);
            specs.push(ParameterSpec {
                name,
                shape,
                owner: Owner::Neuron(l, p),
                trained: parameter.learn.is_some(),
                layout: Layout::Same,
            });
        }
    }
    specs.extend(mapped(network, &specs));
    specs
}

/// The weights that operations with a map run with.
fn mapped(network: &Network, specs: &[ParameterSpec]) -> Vec<ParameterSpec> {
    let of_weights = specs.iter().filter_map(|spec| {
        let Owner::Weight(c, o) = spec.owner else {
            return None;
        };
        let connection = &network.connections[c];
        connection.operations[o].map.as_ref()?;
        Some(ParameterSpec {
            name: format!("{}.mapped", connection.prefix(o)),
            owner: Owner::Mapped(c, o),
            trained: false,
            ..spec.clone()
        })
    });
    of_weights.collect()
}

/// The position of the weights that an operation runs with.
pub(crate) fn weights_in_use(specs: &[ParameterSpec], c: usize, o: usize) -> Option<usize> {
    let position = |owner: Owner| specs.iter().position(|s| s.owner == owner);
    position(Owner::Mapped(c, o)).or_else(|| position(Owner::Weight(c, o)))
}

/// Whether an array of a file of weights is part of the pattern of a sparse connection, see
/// [`ParameterSpec::pattern`].
///
/// # Errors
///
/// It is the pattern of other pairs than those of this network.
pub fn is_pattern(
    specs: &[ParameterSpec],
    name: &str,
    array: &ArrayD<f64>,
) -> Result<bool, RuntimeError> {
    let mut patterns = specs.iter().flat_map(ParameterSpec::pattern);
    let Some((_, numbers)) = patterns.find(|(n, _)| n == name) else {
        return Ok(false);
    };
    let same =
        array.len() == numbers.len() && array.iter().zip(numbers).all(|(a, &b)| *a == f64::from(b));
    if same {
        return Ok(true);
    }
    Err(RuntimeError::Input(format!(
        "`{name}` tells of other pairs than this network has: patterns follow from the seed, so take that of the training"
    )))
}

/// The values of all parameters, in the order of their specs, in the inside layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<R> {
    /// What they are.
    pub specs: Vec<ParameterSpec>,
    /// Their values, one vector for each spec.
    pub values: Vec<Vec<R>>,
}

impl<R: Real> Parameters<R> {
    /// All zero.
    pub fn zeros(specs: Vec<ParameterSpec>) -> Parameters<R> {
        let values = specs.iter().map(|s| vec![R::ZERO; s.len()]).collect();
        Parameters { specs, values }
    }

    /// The same in another precision.
    pub fn converted<S: Real>(&self) -> Parameters<S> {
        let convert = |values: &Vec<R>| values.iter().map(|v| S::from_f64(v.to_f64())).collect();
        Parameters {
            specs: self.specs.clone(),
            values: self.values.iter().map(convert).collect(),
        }
    }

    /// The position of a parameter.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.specs.iter().position(|s| s.name == name)
    }

    /// A parameter in its outside shape.
    pub fn export(&self, index: usize) -> ArrayD<f64> {
        let spec = &self.specs[index];
        let values = &self.values[index];
        ArrayD::from_shape_fn(IxDyn(&spec.shape), |at| {
            values[spec.layout.position(&spec.shape, at.slice())].to_f64()
        })
    }

    /// Sets a parameter from an array of its outside shape; a single number fills it.
    ///
    /// # Errors
    ///
    /// The shape differs.
    pub fn import(&mut self, index: usize, array: &ArrayD<f64>) -> Result<(), RuntimeError> {
        let spec = &self.specs[index];
        if array.len() == 1 {
            let value = R::from_f64(array.iter().copied().next().unwrap_or(0.0));
            self.values[index].fill(value);
            return Ok(());
        }
        if array.shape() != spec.shape {
            let (name, expected, found) = (&spec.name, &spec.shape, array.shape());
            return Err(RuntimeError::Input(format!(
                "`{name}` has shape {expected:?}, the given array {found:?}"
            )));
        }
        for (at, &value) in array.indexed_iter() {
            let position = spec.layout.position(&spec.shape, at.slice());
            self.values[index][position] = R::from_f64(value);
        }
        Ok(())
    }

    /// The number of values that training changes.
    pub fn trained_len(&self) -> usize {
        self.specs
            .iter()
            .filter(|s| s.trained)
            .map(ParameterSpec::len)
            .sum()
    }
}

/// The row-major position of an index.
fn flat(shape: &[usize], at: &[usize]) -> usize {
    shape
        .iter()
        .zip(at)
        .fold(0, |position, (size, index)| position * size + index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn dense_weights_are_exchanged_and_come_back() {
        let spec = ParameterSpec {
            name: "a.b.x.weight".into(),
            shape: vec![2, 3],
            owner: Owner::Weight(0, 0),
            trained: true,
            layout: Layout::Transposed,
        };
        let mut parameters = Parameters::<f64>::zeros(vec![spec]);
        let array = Array2::from_shape_vec((2, 3), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .expect("six numbers")
            .into_dyn();
        parameters.import(0, &array).expect("shape fits");
        assert_eq!(parameters.values[0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(parameters.export(0), array);
    }
}
