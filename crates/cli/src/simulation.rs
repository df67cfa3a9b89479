//! One simulation from named arrays to named arrays, forward only or with gradients: the part that `run`
//! and `grad` share.
//!
//! What must hold before: the arrays were matched with the network by [`crate::inputs`]. What holds
//! after: every visible trace is there as `[T, B, N]`; with cotangents also the gradient of every input,
//! initial state and parameter, zero where nothing depends on it. Everything is in base units (ms, mV,
//! pA, nS, pF). The result has the same bits for any number of threads.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayD, ArrayView3, Axis, s};
use rheobase_data::SpikeTrain;
use rheobase_ir::draws::sample_key;
use rheobase_ir::kernel::Role;
use rheobase_ir::program::Network;
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{
    Backend, Batch, Events, Float, Gradients, InitialState, Injection, Outcome, Owner, Parameters,
    Simulator,
};
use rheobase_train::initial_parameters;

use crate::failure::Failure;
use crate::inputs::Inputs;

/// How names of arrays are made from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// A single layer without connections: its states, ports and parameters stand alone.
    Neuron,
    /// `layer.state`, `layer.param`, `a.b.x.weight`.
    Network,
}

impl Naming {
    /// The name of a trace: `spikes` for the first spike output, further ones and states by their name.
    pub(crate) fn trace(self, network: &Network, trace: &TraceName) -> String {
        let layer = &network.layers[trace.layer];
        let is_first =
            trace.role == Role::Spike && layer.neuron.spikes.first() == Some(&trace.name);
        self.of_layer(
            network,
            trace.layer,
            if is_first { "spikes" } else { &trace.name },
        )
    }

    /// The name of something that belongs to a layer.
    pub(crate) fn of_layer(self, network: &Network, layer: usize, name: &str) -> String {
        match self {
            Naming::Neuron => name.to_string(),
            Naming::Network => format!("{}.{name}", network.layers[layer].name),
        }
    }

    /// The name of a parameter, given as the runtime names it.
    pub(crate) fn parameter(self, network: &Network, name: &str) -> String {
        match self {
            Naming::Neuron => {
                let prefix = format!("{}.", network.layers[0].name);
                name.strip_prefix(&prefix).unwrap_or(name).to_string()
            }
            Naming::Network => name.to_string(),
        }
    }
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) backend: Backend,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) gradient: bool,
}

/// Runs the network on the inputs; the result by name.
pub(crate) fn simulate<R: Float>(
    network: &Network,
    naming: Naming,
    inputs: &Inputs,
    how: How,
) -> Result<BTreeMap<String, ArrayD<f64>>, Failure> {
    let mut simulator = Simulator::<R>::new(network, how.backend, Gradients::All)?;
    simulator.set_parameters(parameters(&simulator, &inputs.parameters, how.seed)?)?;
    let trains = trains(inputs)?;
    let injections: Vec<(usize, usize, Array3<R>)> = inputs
        .ports
        .iter()
        .map(|(layer, port, values)| (*layer, *port, values.mapv(R::from_f64)))
        .collect();
    let initial: Vec<(usize, String, Array2<R>)> = inputs
        .initial
        .iter()
        .map(|(layer, state, values)| (*layer, state.clone(), values.mapv(R::from_f64)))
        .collect();
    let batch = batch(inputs, &trains, &injections, &initial, how.seed);
    let cotangents: BTreeMap<TraceName, Array3<R>> = inputs
        .cotangents
        .iter()
        .map(|(trace, values)| (trace.clone(), values.mapv(R::from_f64)))
        .collect();
    let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
        .iter()
        .map(|(trace, values)| (trace.clone(), values.view()))
        .collect();
    let recorder = |samples| Recorder::new(&simulator, samples, inputs.steps, &views);
    let outcome = if how.gradient {
        simulator.differentiate(&batch, how.threads, recorder)?
    } else {
        simulator.infer(&batch, how.threads, recorder)?
    };
    let mut arrays = traces(network, naming, inputs, &outcome);
    if how.gradient {
        arrays.extend(gradients(&simulator, naming, inputs, &outcome));
    }
    refuse_non_finite(&simulator, &batch, &arrays)?;
    Ok(arrays)
}

/// The parameters: drawn from the seed, then replaced by what was given.
pub(crate) fn parameters<R: Float>(
    simulator: &Simulator<R>,
    given: &[(String, ArrayD<f64>)],
    seed: u64,
) -> Result<Parameters<R>, Failure> {
    let specs = &simulator.parameters().specs;
    let mut parameters = initial_parameters::<R>(simulator.network(), specs, seed);
    for (name, values) in given {
        let index = parameters.position(name);
        let index = index.expect("inputs were matched with the parameters of the network");
        parameters.import(index, values)?;
    }
    Ok(parameters)
}

/// The events of each input population and sample.
fn trains(inputs: &Inputs) -> Result<Vec<Vec<SpikeTrain>>, Failure> {
    let mut trains = Vec::new();
    for population in &inputs.populations {
        let samples = population.axis_iter(Axis(1)).map(|sample| {
            let sample = sample.mapv(|v| v as f32);
            SpikeTrain::from_dense(sample.view())
        });
        trains.push(samples.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(trains)
}

fn batch<'a, R: Float>(
    inputs: &Inputs,
    trains: &'a [Vec<SpikeTrain>],
    injections: &'a [(usize, usize, Array3<R>)],
    initial: &'a [(usize, String, Array2<R>)],
    seed: u64,
) -> Batch<'a, R> {
    let events = |train: &'a SpikeTrain| Events {
        offsets: train.offsets(),
        indices: train.indices(),
        values: train.values(),
    };
    let injection = |(layer, port, values): &'a (usize, usize, Array3<R>)| Injection {
        layer: *layer,
        port: *port,
        values: values.view(),
    };
    let state = |(layer, state, values): &'a (usize, String, Array2<R>)| InitialState {
        layer: *layer,
        state: state.clone(),
        values: values.view(),
    };
    Batch {
        steps: inputs.steps,
        samples: inputs.samples,
        inputs: trains
            .iter()
            .map(|samples| samples.iter().map(events).collect())
            .collect(),
        injections: injections.iter().map(injection).collect(),
        initial: initial.iter().map(state).collect(),
        keys: (0..inputs.samples)
            .map(|b| sample_key(seed, 0, b as u64))
            .collect(),
    }
}

/// The traces of all groups of samples, one after the other along the axis of samples.
fn traces<R: Float>(
    network: &Network,
    naming: Naming,
    inputs: &Inputs,
    outcome: &Outcome<R, Recorder<'_, R>>,
) -> BTreeMap<String, ArrayD<f64>> {
    let mut traces = BTreeMap::new();
    for trace in inputs.traces.iter() {
        let n = network.layers[trace.layer].size();
        let parts = outcome.probes.iter().map(|p| p.recorded.get(trace));
        let array = joined(inputs.steps, inputs.samples, n, parts);
        traces.insert(naming.trace(network, trace), array.into_dyn());
    }
    traces
}

fn gradients<R: Float>(
    simulator: &Simulator<R>,
    naming: Naming,
    inputs: &Inputs,
    outcome: &Outcome<R, Recorder<'_, R>>,
) -> BTreeMap<String, ArrayD<f64>> {
    let network = simulator.network();
    let (steps, samples) = (inputs.steps, inputs.samples);
    let mut gradients = BTreeMap::new();
    for (l, layer) in network.layers.iter().enumerate() {
        let n = layer.size();
        for port in &layer.neuron.ports {
            let key = (l, port.name.clone());
            let parts = outcome.probes.iter().map(|p| p.port_gradients.get(&key));
            let array = joined(steps, samples, n, parts).into_dyn();
            let name = naming.of_layer(network, l, &port.name);
            gradients.insert(format!("grad.{name}"), array);
        }
        for state in layer.neuron.states.iter().filter(|s| is_visible(&s.name)) {
            let key = (l, state.name.clone());
            let parts = outcome.probes.iter().map(|p| p.initial_gradients.get(&key));
            let array = joined(1, samples, n, parts).remove_axis(Axis(0));
            let name = naming.of_layer(network, l, &state.name);
            gradients.insert(format!("grad.init.{name}"), array.into_dyn());
        }
    }
    for (i, population) in network.inputs.iter().enumerate() {
        let n = population.shape.iter().product();
        let parts = outcome.probes.iter().map(|p| p.input_gradients.get(i));
        let array = joined(steps, samples, n, parts).into_dyn();
        gradients.insert(format!("grad.{}", population.name), array);
    }
    gradients.extend(parameter_gradients(simulator, naming, outcome));
    gradients
}

fn parameter_gradients<R: Float>(
    simulator: &Simulator<R>,
    naming: Naming,
    outcome: &Outcome<R, Recorder<'_, R>>,
) -> BTreeMap<String, ArrayD<f64>> {
    let mut values = Parameters::zeros(simulator.parameters().specs.clone());
    for (target, gradient) in values.values.iter_mut().zip(&outcome.gradients) {
        if gradient.len() == target.len() {
            target.clone_from(gradient);
        }
    }
    // The gradient of mapped weights is that of the raw ones.
    let specs = values.specs.iter().enumerate();
    let specs = specs.filter(|(_, spec)| !matches!(spec.owner, Owner::Mapped(..)));
    let named = specs.map(|(i, spec)| {
        let name = naming.parameter(simulator.network(), &spec.name);
        (format!("grad.{name}"), values.export(i))
    });
    named.collect()
}

/// `[steps, samples, n]` from the parts of groups; zero where a part is missing.
fn joined<'a, R: Float>(
    steps: usize,
    samples: usize,
    n: usize,
    parts: impl Iterator<Item = Option<&'a Array3<R>>>,
) -> Array3<f64> {
    let mut whole = Array3::zeros((steps, samples, n));
    let mut first = 0;
    for part in parts.flatten() {
        let end = first + part.len_of(Axis(1));
        let mut target = whole.slice_mut(s![.., first..end, ..]);
        target.zip_mut_with(part, |t, p| *t = p.to_f64());
        first = end;
    }
    whole
}

/// Whether a state is one of the model, not one that the compiler made.
pub(crate) fn is_visible(state: &str) -> bool {
    !state.starts_with('_')
}

/// Fails if a trace or a gradient is not finite, with the first place where a state is not.
fn refuse_non_finite<R: Float>(
    simulator: &Simulator<R>,
    batch: &Batch<'_, R>,
    arrays: &BTreeMap<String, ArrayD<f64>>,
) -> Result<(), Failure> {
    let bad = arrays
        .iter()
        .find_map(|(name, array)| Some((name, array.iter().find(|v| !v.is_finite())?)));
    let Some((name, value)) = bad else {
        return Ok(());
    };
    let place = match simulator.locate_non_finite(batch)? {
        Some(place) => place.to_string(),
        None => format!("`{name}` holds {value}"),
    };
    Err(Failure::Run(format!(
        "the simulation left the range of numbers: {place}"
    )))
}
