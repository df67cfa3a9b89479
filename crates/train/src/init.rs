//! The values that parameters start from.
//!
//! Each parameter has its own stream of random numbers, keyed by the seed and its position, so that adding a
//! layer at the end of a network does not change the others.

use rheobase_data::rng::{Philox, derive_key};
use rheobase_ir::program::{Initial, Network, Synapses};
use rheobase_ir::real::Real;
use rheobase_runtime::{Owner, ParameterSpec, Parameters};

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
        let (initial, bounds) = initial(network, spec);
        let [n_post, n_pre] = spec.shape[..] else {
            fill(
                &mut parameters.values[index],
                &initial,
                1,
                1,
                bounds,
                &mut rng,
            );
            continue;
        };
        let values = &mut parameters.values[index];
        match (spec.owner, &initial) {
            (Owner::Weight(_), Initial::Orthogonal { gain }) => {
                orthogonal(values, n_pre, n_post, *gain, &mut rng)
            }
            _ => fill(values, &initial, n_pre, n_post, bounds, &mut rng),
        }
        if let Owner::Weight(c) = spec.owner {
            let Synapses::Dense {
                self_connections, ..
            } = &network.connections[c].synapses;
            if !self_connections {
                values
                    .iter_mut()
                    .step_by(n_post + 1)
                    .for_each(|w| *w = R::ZERO);
            }
        }
    }
    parameters
}

fn initial(network: &Network, spec: &ParameterSpec) -> (Initial, Option<(f64, f64)>) {
    match spec.owner {
        Owner::Weight(c) => {
            let Synapses::Dense { weight, bounds, .. } = &network.connections[c].synapses;
            (weight.clone(), *bounds)
        }
        Owner::Bias(c) => {
            let Synapses::Dense { bias, .. } = &network.connections[c].synapses;
            (bias.clone().unwrap_or(Initial::Constant(0.0)), None)
        }
        Owner::Neuron(l, p) => {
            let parameter = &network.layers[l].neuron.params[p];
            (parameter.initial.clone(), parameter.bounds)
        }
    }
}

fn fill<R: Real>(
    values: &mut [R],
    initial: &Initial,
    fan_in: usize,
    fan_out: usize,
    bounds: Option<(f64, f64)>,
    rng: &mut Philox,
) {
    let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
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
            fill(&mut values, &initial, 100, 50, None, &mut rng);
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
