//! The values that parameters start from.
//!
//! Each parameter has its own stream of random numbers, keyed by the seed and its position, so that adding a
//! layer at the end of a network does not change the others.

use rheobase_data::rng::{Philox, derive_key};
use rheobase_ir::program::{Initial, Network, Operation, Synapses};
use rheobase_ir::real::Real;
use rheobase_runtime::{Moment, Owner, ParameterSpec, Parameters};

/// The domain of the keys of initial values.
const DOMAIN: u32 = 0x1417;

/// Draws all parameters of a network.
pub fn initial_parameters<R: Real>(
    network: &Network,
    specs: &[ParameterSpec],
    seed: u64,
) -> Parameters<R> {
    let mut parameters = Parameters::zeros(specs.to_vec());
    for (index, spec) in specs.iter().enumerate() {
        let mut rng = Philox::at(derive_key(seed, DOMAIN, index as u64), [0; 4]);
        let values = &mut parameters.values[index];
        let (initial, bounds) = match spec.owner {
            Owner::Weight(c, o) => {
                let operation = &network.connections[c].operations[o];
                let initial = operation.weight.as_ref();
                let initial = initial.expect("weights that are parameters");
                weights(values, operation, initial, operation.bounds, &mut rng);
                continue;
            }
            Owner::Feedback(c, o) => {
                let operation = &network.connections[c].operations[o];
                let initial = operation.feedback.as_ref();
                let initial = initial.expect("feedback that is a parameter");
                weights(values, operation, initial, None, &mut rng);
                continue;
            }
            // They follow from others; 0 is what a function with a memory sees at first.
            Owner::Mapped(..) => continue,
            Owner::Bias(c, o) => {
                let bias = network.connections[c].operations[o].bias.as_ref();
                (bias.expect("a bias that is a parameter"), None)
            }
            Owner::Running(_, _, moment) => {
                // Of numbers that nothing is known of yet, as in PyTorch.
                values.fill(match moment {
                    Moment::Mean => R::ZERO,
                    Moment::Variance => R::ONE,
                });
                continue;
            }
            Owner::Delay(c) => {
                let delays = network.connections[c].delays.as_ref();
                let delays = delays.expect("delays that are parameters");
                let bounds = (f64::from(delays.shortest), f64::from(delays.longest));
                fill(values, &delays.initial, (1.0, 1.0), Some(bounds), &mut rng);
                if !delays.learned {
                    // What is saved is what runs.
                    let whole = |v: &R| R::from_f64(v.to_f64().round());
                    values.iter_mut().for_each(|v| *v = whole(v));
                }
                continue;
            }
            Owner::Neuron(l, p) => {
                let parameter = &network.layers[l].neuron.params[p];
                (&parameter.initial, parameter.bounds)
            }
        };
        let fan = match spec.shape[..] {
            [n_post, n_pre] => (n_pre as f64, n_post as f64),
            _ => (1.0, 1.0),
        };
        fill(values, initial, fan, bounds, &mut rng);
    }
    parameters
}

/// The weights of an operation, or what has their shape, in the inside layout.
fn weights<R: Real>(
    values: &mut [R],
    operation: &Operation,
    initial: &Initial,
    bounds: Option<(f64, f64)>,
    rng: &mut Philox,
) {
    // Dense weights and kernels are a matrix of what an output is the sum of, by outputs.
    let columns = match &operation.synapses {
        Synapses::Dense { .. } => Some(operation.outputs),
        Synapses::Convolution(window) => Some(window.channels[1]),
        Synapses::Sparse { .. }
        | Synapses::OneToOne
        | Synapses::Scale
        | Synapses::Pool { .. }
        | Synapses::Dropout { .. }
        | Synapses::Normalisation { .. } => None,
    };
    match (initial, columns) {
        (Initial::Orthogonal { gain }, Some(columns)) => {
            orthogonal(values, values.len() / columns, columns, *gain, rng);
        }
        _ => fill(values, initial, operation.fan(), bounds, rng),
    }
    if let Synapses::Dense {
        self_connections: false,
    } = operation.synapses
    {
        let diagonal = values.iter_mut().step_by(operation.outputs + 1);
        diagonal.for_each(|w| *w = R::ZERO);
    }
}

fn fill<R: Real>(
    values: &mut [R],
    initial: &Initial,
    (fan_in, fan_out): (f64, f64),
    bounds: Option<(f64, f64)>,
    rng: &mut Philox,
) {
    let uniform = |rng: &mut Philox, bound: f64| bound * (2.0 * rng.uniform_f64() - 1.0);
    for value in values {
        let drawn = match *initial {
            Initial::Constant(value) => value,
            Initial::Normal { mean, std } => mean + std * rng.normal(),
            Initial::LogNormal { median, sigma } => median * (sigma * rng.normal()).exp(),
            Initial::Uniform { low, high } => low + (high - low) * rng.uniform_f64(),
            Initial::KaimingNormal { gain } => gain / fan_in.sqrt() * rng.normal(),
            Initial::KaimingUniform { gain } => uniform(rng, gain * (3.0 / fan_in).sqrt()),
            Initial::XavierNormal { gain } => {
                gain * (2.0 / (fan_in + fan_out)).sqrt() * rng.normal()
            }
            Initial::XavierUniform { gain } => {
                uniform(rng, gain * (6.0 / (fan_in + fan_out)).sqrt())
            }
            // Not a matrix: a normal of the same scale.
            Initial::Orthogonal { gain } => gain / fan_in.sqrt() * rng.normal(),
        };
        let (low, high) = bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        *value = R::from_f64(drawn.max(low).min(high));
    }
}

/// A matrix with orthonormal rows or columns, whichever are fewer, by Gram–Schmidt on normal vectors.
fn orthogonal<R: Real>(values: &mut [R], n_pre: usize, n_post: usize, gain: f64, rng: &mut Philox) {
    let (few, length) = (n_pre.min(n_post), n_pre.max(n_post));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(few);
    while vectors.len() < few {
        let mut vector: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        // Twice, because once loses orthogonality in rounding.
        for _ in 0..2 {
            for earlier in &vectors {
                let along: f64 = vector.iter().zip(earlier).map(|(a, b)| a * b).sum();
                vector
                    .iter_mut()
                    .zip(earlier)
                    .for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        if norm > 1e-6 {
            vector.iter_mut().for_each(|a| *a /= norm);
            vectors.push(vector);
        }
    }
    for pre in 0..n_pre {
        for post in 0..n_post {
            let (vector, element) = if n_pre <= n_post {
                (pre, post)
            } else {
                (post, pre)
            };
            values[pre * n_post + post] = R::from_f64(gain * vectors[vector][element]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_are_orthonormal() {
        let mut rng = Philox::at(1, [0; 4]);
        for (n_pre, n_post) in [(4, 9), (9, 4)] {
            let mut values = vec![0.0f64; n_pre * n_post];
            orthogonal(&mut values, n_pre, n_post, 2.0, &mut rng);
            let at = |vector: usize, element: usize| {
                if n_pre < n_post {
                    values[vector * n_post + element]
                } else {
                    values[element * n_post + vector]
                }
            };
            for a in 0..4 {
                for b in 0..4 {
                    let dot: f64 = (0..9).map(|i| at(a, i) * at(b, i)).sum();
                    assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = Philox::at(2, [0; 4]);
        let mut values = vec![0.0f64; 20_000];
        let mut moments = |initial: Initial| {
            fill(&mut values, &initial, (100.0, 50.0), None, &mut rng);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (
                mean,
                (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
                    .sqrt(),
            )
        };
        for (initial, mean, std) in [
            (
                Initial::Normal {
                    mean: 1.0,
                    std: 0.5,
                },
                1.0,
                0.5,
            ),
            (
                Initial::Uniform {
                    low: -1.0,
                    high: 3.0,
                },
                1.0,
                4.0 / 12f64.sqrt(),
            ),
            (Initial::KaimingUniform { gain: 1.0 }, 0.0, 0.1),
            (Initial::KaimingNormal { gain: 2.0 }, 0.0, 0.2),
            (
                Initial::XavierNormal { gain: 1.0 },
                0.0,
                (2.0 / 150f64).sqrt(),
            ),
            (
                Initial::XavierUniform { gain: 1.0 },
                0.0,
                (2.0 / 150f64).sqrt(),
            ),
        ] {
            let (m, s) = moments(initial.clone());
            assert!(
                (m - mean).abs() < 0.02 && (s - std).abs() < 0.03 * std.max(0.1),
                "{initial:?} {m} {s}"
            );
        }
    }
}
