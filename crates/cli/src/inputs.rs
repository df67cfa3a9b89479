//! The arrays of an archive matched with a network: which is an input, which an initial state, which a
//! parameter, and whether their shapes fit.
//!
//! Inputs are `[T, B, N]`; `[T, N]` is one sample. Initial states are `[B, N]`, `[N]` or one number.
//! Parameters have their own shape, or are one number for all. Anything else in an archive is a mistake and
//! said so: an array that nobody reads would be worse.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayD, Axis, Dimension, Ix2, Ix3, IxDyn};
use rheobase_ir::kernel::Role;
use rheobase_ir::program::Network;
use rheobase_runtime::ParameterSpec;
use rheobase_runtime::record::TraceName;

use crate::failure::Failure;
use crate::names::unknown;
use crate::simulation::{Naming, is_visible};

/// Arrays by name, as they come from a file.
pub(crate) type Arrays = BTreeMap<String, ArrayD<f64>>;

/// What a simulation is given, in base units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    /// The number of steps.
    pub(crate) steps: usize,
    /// The number of samples.
    pub(crate) samples: usize,
    /// Layer, port, `[steps, samples, n]`.
    pub(crate) ports: Vec<(usize, usize, Array3<f64>)>,
    /// For each input population `[steps, samples, n]`.
    pub(crate) populations: Vec<Array3<f64>>,
    /// Layer, state, `[samples, n]`.
    pub(crate) initial: Vec<(usize, String, Array2<f64>)>,
    /// Parameters by the runtime's name, in the order in which they are set.
    pub(crate) parameters: Vec<(String, ArrayD<f64>)>,
    /// Every trace that is recorded.
    pub(crate) traces: Vec<TraceName>,
    /// The weights of the outputs in the loss, `[steps, samples, n]`.
    pub(crate) cotangents: BTreeMap<TraceName, Array3<f64>>,
}

/// A network and how its arrays are named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) network: &'a Network,
    pub(crate) naming: Naming,
    pub(crate) specs: &'a [ParameterSpec],
}

/// An input of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Port(usize, usize),
    Population(usize),
}

impl Names<'_> {
    /// Sorts the arrays of an archive. `file` is for messages.
    ///
    /// # Errors
    ///
    /// An array has no meaning here, or its shape does not fit.
    pub(crate) fn inputs(&self, arrays: &Arrays, file: &str) -> Result<Inputs, Failure> {
        let fail = |message: String| Failure::Run(format!("{file}: {message}"));
        let mut inputs = Inputs {
            traces: self.traces(),
            ..Inputs::default()
        };
        let mut given: Vec<(Entry, &str, Array3<f64>)> = Vec::new();
        let entries = self.entries();
        for (name, array) in arrays {
            if let Some((entry, ..)) = entries.iter().find(|(_, n, _)| n == name) {
                given.push((
                    *entry,
                    name,
                    steps_samples_neurons(name, array).map_err(fail)?,
                ));
            } else if !name.starts_with("init.") && !name.starts_with("param.") {
                return Err(fail(self.unknown_array(name)));
            }
        }
        let Some((_, first, array)) = given.first() else {
            let names = entries.iter().map(|(_, n, _)| format!("`{n}`"));
            let names: Vec<String> = names.collect();
            return Err(fail(match names.len() {
                0 => "there is nothing to feed: the network has no inputs".to_string(),
                _ => format!("it has no input array; there is {}", names.join(", ")),
            }));
        };
        (inputs.steps, inputs.samples) = (array.len_of(Axis(0)), array.len_of(Axis(1)));
        let (first, shape) = (*first, array.dim());
        for (entry, name, n) in &entries {
            let found = given.iter().position(|(e, ..)| e == entry);
            let values = match found.map(|i| given.swap_remove(i).2) {
                Some(values) => values,
                None => Array3::zeros((inputs.steps, inputs.samples, *n)),
            };
            let expected = (inputs.steps, inputs.samples, *n);
            if values.dim() != expected {
                let beside = if *name == first {
                    String::new()
                } else {
                    format!(" beside `{first}` {shape:?}")
                };
                return Err(fail(format!(
                    "`{name}` has shape {:?}, expected {expected:?}{beside} (steps, samples, neurons)",
                    values.dim()
                )));
            }
            match entry {
                Entry::Port(layer, port) => inputs.ports.push((*layer, *port, values)),
                Entry::Population(_) => inputs.populations.push(values),
            }
        }
        for (name, array) in arrays {
            if let Some(state) = name.strip_prefix("init.") {
                let found = self.initial(state, array, inputs.samples).map_err(fail)?;
                inputs.initial.push(found);
            } else if let Some(parameter) = name.strip_prefix("param.") {
                inputs
                    .parameters
                    .push(self.parameter(parameter, array).map_err(fail)?);
            }
        }
        Ok(inputs)
    }

    /// Matches the arrays of an archive with the traces.
    ///
    /// # Errors
    ///
    /// An array is no trace or has not the trace's shape.
    pub(crate) fn cotangents(
        &self,
        arrays: &Arrays,
        inputs: &mut Inputs,
        file: &str,
    ) -> Result<(), Failure> {
        let fail = |message: String| Failure::Run(format!("{file}: {message}"));
        if arrays.is_empty() {
            return Err(fail("it has no arrays, so there is no loss".to_string()));
        }
        let traces: Vec<(String, TraceName)> = inputs
            .traces
            .iter()
            .map(|t| (self.naming.trace(self.network, t), t.clone()))
            .collect();
        for (name, array) in arrays {
            let Some((_, trace)) = traces.iter().find(|(n, _)| n == name) else {
                let names: Vec<&str> = traces.iter().map(|(n, _)| n.as_str()).collect();
                return Err(fail(unknown("output", name, names)));
            };
            let values = steps_samples_neurons(name, array).map_err(fail)?;
            let n = self.network.layers[trace.layer].size();
            let expected = (inputs.steps, inputs.samples, n);
            if values.dim() != expected {
                return Err(fail(format!(
                    "`{name}` has shape {:?}, the output has {expected:?} (steps, samples, neurons)",
                    values.dim()
                )));
            }
            inputs.cotangents.insert(trace.clone(), values);
        }
        Ok(())
    }

    /// A parameter by its name here, and its values if they fit.
    pub(crate) fn parameter(
        &self,
        name: &str,
        array: &ArrayD<f64>,
    ) -> Result<(String, ArrayD<f64>), String> {
        let named = |spec: &ParameterSpec| self.naming.parameter(self.network, &spec.name);
        let Some(spec) = self.specs.iter().find(|s| named(s) == name) else {
            let names: Vec<String> = self.specs.iter().map(named).collect();
            return Err(unknown("parameter", name, names.iter().map(String::as_str)));
        };
        finite(name, array)?;
        if array.len() != 1 && array.shape() != spec.shape {
            return Err(format!(
                "`{name}` has shape {:?}, the parameter has {:?}",
                array.shape(),
                spec.shape
            ));
        }
        Ok((spec.name.clone(), array.clone()))
    }

    /// Every visible state and spike output.
    pub(crate) fn traces(&self) -> Vec<TraceName> {
        let mut traces = Vec::new();
        for (layer, data) in self.network.layers.iter().enumerate() {
            let trace = |role, name: &String| TraceName {
                layer,
                role,
                name: name.clone(),
            };
            let states = data.neuron.states.iter().filter(|s| is_visible(&s.name));
            traces.extend(states.map(|s| trace(Role::State, &s.name)));
            traces.extend(data.neuron.spikes.iter().map(|s| trace(Role::Spike, s)));
        }
        traces
    }

    /// Every input with its name and its number of neurons or channels: populations of a network, ports of
    /// a single neuron.
    fn entries(&self) -> Vec<(Entry, &str, usize)> {
        match self.naming {
            Naming::Neuron => {
                let layer = &self.network.layers[0];
                let ports = layer.neuron.ports.iter().enumerate();
                ports
                    .map(|(p, port)| (Entry::Port(0, p), port.name.as_str(), layer.size()))
                    .collect()
            }
            Naming::Network => {
                let inputs = self.network.inputs.iter().enumerate();
                inputs
                    .map(|(i, input)| {
                        let size = input.shape.iter().product();
                        (Entry::Population(i), input.name.as_str(), size)
                    })
                    .collect()
            }
        }
    }

    fn initial(
        &self,
        name: &str,
        array: &ArrayD<f64>,
        samples: usize,
    ) -> Result<(usize, String, Array2<f64>), String> {
        let states: Vec<(String, usize, &str)> = self
            .network
            .layers
            .iter()
            .enumerate()
            .flat_map(|(l, layer)| {
                let states = layer.neuron.states.iter().filter(|s| is_visible(&s.name));
                states.map(move |s| {
                    (
                        self.naming.of_layer(self.network, l, &s.name),
                        l,
                        s.name.as_str(),
                    )
                })
            })
            .collect();
        let Some((_, layer, state)) = states.iter().find(|(n, ..)| n == name) else {
            return Err(unknown(
                "state",
                name,
                states.iter().map(|(n, ..)| n.as_str()),
            ));
        };
        finite(name, array)?;
        let n = self.network.layers[*layer].size();
        // NumPy's rule: a missing axis in front, and axes of length 1, are repeated.
        let wide = array.broadcast(IxDyn(&[samples, n]));
        let wide = wide.and_then(|w| w.to_owned().into_dimensionality::<Ix2>().ok());
        let values = wide.ok_or_else(|| {
            format!(
                "`init.{name}` has shape {:?}, expected [{samples}, {n}] (samples, neurons)",
                array.shape()
            )
        })?;
        Ok((*layer, (*state).to_string(), values))
    }

    fn unknown_array(&self, name: &str) -> String {
        let entries = self.entries();
        let what = match self.naming {
            Naming::Neuron => "input port",
            Naming::Network => "input population",
        };
        unknown(what, name, entries.iter().map(|(_, n, _)| *n))
    }
}

/// The array with axes for steps, samples and neurons.
pub(crate) fn steps_samples_neurons(
    name: &str,
    array: &ArrayD<f64>,
) -> Result<Array3<f64>, String> {
    finite(name, array)?;
    let shape = array.shape().to_vec();
    let three = match shape.len() {
        2 => array.clone().insert_axis(Axis(1)),
        _ => array.clone(),
    };
    let three = three.into_dimensionality::<Ix3>().map_err(|_| {
        format!(
            "`{name}` has shape {shape:?}, expected [T, B, N] (steps, samples, neurons) or [T, N]"
        )
    })?;
    if three.is_empty() {
        return Err(format!("`{name}` is empty: its shape is {shape:?}"));
    }
    Ok(three)
}

fn finite(name: &str, array: &ArrayD<f64>) -> Result<(), String> {
    match array.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((at, value)) => Err(format!("`{name}` holds {value} at {:?}", at.slice())),
    }
}
