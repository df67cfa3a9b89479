//! Everything that can be trained: its names, shapes, owners and values.
//!
//! Names are those of checkpoints and of the command line: a connection owns `a.b.x.weight` and
//! `a.b.x.bias`, a layer owns `layer.param`. Shapes are the outside ones, `[n_post, n_pre]` for dense
//! weights. Inside, dense weights are stored as `[n_pre, n_post]`, so that the weights of one
//! presynaptic neuron, which a spike adds to its targets, are contiguous; [`Parameters::export`] and
//! [`Parameters::import`] change between the two.

use ndarray::{ArrayD, Dimension, IxDyn};
use rheobase_ir::program::{Network, Sharing, Source, Synapses};
use rheobase_ir::real::Real;

use crate::error::RuntimeError;

/// What a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The weights of a connection, by index.
    Weight(usize),
    /// The bias of a connection, by index.
    Bias(usize),
    /// A parameter of a layer's neuron: layer and position among its parameters.
    Neuron(usize, usize),
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
}

impl ParameterSpec {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is stored with its two axes exchanged.
    fn transposed(&self) -> bool {
        matches!(self.owner, Owner::Weight(_)) && self.shape.len() == 2
    }
}

/// The parameters of a network in the order of their declaration: connections, then layers.
pub(crate) fn specs(network: &Network) -> Vec<ParameterSpec> {
    let mut specs = Vec::new();
    for (c, connection) in network.connections.iter().enumerate() {
        let Synapses::Dense { bias, .. } = &connection.synapses;
        let n_post = network.layers[connection.to].size();
        let n_pre = source_size(network, connection.from);
        let trained = !connection.frozen;
        let name = |part: &str| format!("{}.{part}", connection.name);
        specs.push(ParameterSpec {
            name: name("weight"),
            shape: vec![n_post, n_pre],
            owner: Owner::Weight(c),
            trained,
        });
        if bias.is_some() {
            specs.push(ParameterSpec {
                name: name("bias"),
                shape: vec![n_post],
                owner: Owner::Bias(c),
                trained,
            });
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
            });
        }
    }
    specs
}

/// The number of neurons or channels of a source.
pub(crate) fn source_size(network: &Network, source: Source) -> usize {
    match source {
        Source::Input(i) => network.inputs[i].shape.iter().product(),
        Source::Layer(l) => network.layers[l].size(),
    }
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

    /// The position of a parameter.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.specs.iter().position(|s| s.name == name)
    }

    /// A parameter in its outside shape.
    pub fn export(&self, index: usize) -> ArrayD<f64> {
        let spec = &self.specs[index];
        let values = &self.values[index];
        ArrayD::from_shape_fn(IxDyn(&spec.shape), |at| {
            let position = if spec.transposed() {
                at[1] * spec.shape[0] + at[0]
            } else {
                flat(&spec.shape, at.slice())
            };
            values[position].to_f64()
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
            let position = if spec.transposed() {
                at[1] * spec.shape[0] + at[0]
            } else {
                flat(&spec.shape, at.slice())
            };
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
            owner: Owner::Weight(0),
            trained: true,
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
