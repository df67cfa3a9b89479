//! The f–I curve of a neuron: how often it spikes when the same input arrives in every step.

use ndarray::{Array3, Axis};
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Layer, Network, Neuron};
use rheobase_plot::{Chart, Mark};
use rheobase_runtime::Backend;
use rheobase_runtime::record::TraceName;

use super::with_unit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::simulation::{How, Naming, simulate};

/// Inputs that are tried at once, one for each lane.
const LANES: usize = 81;

/// The time over which spikes are counted.
const MILLISECONDS: f64 = 1000.0;

/// The curve for one port, from 0 to four times the least input that makes the neuron spike.
///
/// # Errors
///
/// The neuron has no spikes, or none of the inputs that are tried makes it spike.
pub(crate) fn response(neuron: &Neuron, port: usize, step_ms: f64) -> Result<Chart, Failure> {
    let Some(spike) = neuron.spikes.first() else {
        let message = format!("`{}` does not spike, so it has no f–I curve", neuron.name);
        return Err(Failure::Usage(message));
    };
    let variable = &neuron.ports[port];
    let factor = variable.unit.factor;
    let run = |levels: &[f64]| rates(neuron, port, spike, step_ms, levels);
    let exponents = (0..LANES).map(|i| -4.0 + 10.0 * i as f64 / (LANES - 1) as f64);
    let wide: Vec<f64> = exponents.map(|e| factor * 10f64.powf(e)).collect();
    let found = run(&wide)?.iter().position(|rate| *rate > 0.0);
    let Some(first) = found else {
        return Err(Failure::Run(format!(
            "`{}` does not spike with any constant input to `{}` between {:e} and {:e} {}",
            neuron.name,
            variable.name,
            wide[0] / factor,
            wide[LANES - 1] / factor,
            variable.unit.text
        )));
    };
    let end = 4.0 * wide[first];
    let levels: Vec<f64> = (0..LANES)
        .map(|i| end * i as f64 / (LANES - 1) as f64)
        .collect();
    let rates = run(&levels)?;
    let points = levels.iter().zip(rates).map(|(l, r)| (l / factor, r));
    let x = with_unit(
        &format!("{} in every step of {step_ms} ms", variable.name),
        &variable.unit,
    );
    let title = format!("f–I curve of {}", neuron.name);
    Ok(Chart::new(&title, &x, "rate (Hz)").with("", Mark::Line, points.collect()))
}

/// Spikes per second for each of some inputs.
fn rates(
    neuron: &Neuron,
    port: usize,
    spike: &str,
    step_ms: f64,
    levels: &[f64],
) -> Result<Vec<f64>, Failure> {
    let network = Network {
        name: neuron.name.clone(),
        step_ms,
        inputs: Vec::new(),
        layers: vec![Layer {
            name: neuron.name.clone(),
            shape: vec![levels.len()],
            neuron: neuron.clone(),
        }],
        connections: Vec::new(),
        order: vec![0],
    };
    let steps = (MILLISECONDS / step_ms).round().clamp(1.0, 20_000.0) as usize;
    let shape = (steps, 1, levels.len());
    let ports = (0..neuron.ports.len()).map(|p| {
        let of = |lane: usize| if p == port { levels[lane] } else { 0.0 };
        (0, p, Array3::from_shape_fn(shape, |(_, _, lane)| of(lane)))
    });
    let inputs = Inputs {
        steps,
        samples: 1,
        ports: ports.collect(),
        traces: vec![TraceName {
            layer: 0,
            role: Role::Spike,
            name: spike.to_string(),
        }],
        ..Inputs::default()
    };
    let how = How {
        backend: Backend::Jit,
        threads: 1,
        seed: 0,
        gradient: false,
    };
    let arrays = simulate::<f32>(&network, Naming::Neuron, &inputs, how)?;
    let spikes = &arrays["spikes"];
    let sums = spikes.sum_axis(Axis(0)).sum_axis(Axis(0));
    let seconds = steps as f64 * step_ms * 1e-3;
    Ok(sums.iter().map(|s| s / seconds).collect())
}
