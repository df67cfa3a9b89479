//! The response of a neuron at rest to one arrival: the postsynaptic potential, its integral and that of
//! its square. Initial weights that aim at given fluctuations of the membrane follow from the three numbers.
//!
//! The potential is not taken from a formula of a model but from the step kernel itself, in double
//! precision: a small arrival, the difference to the undisturbed neuron, divided by its size. So it is the
//! linear response of any neuron that comes to rest, in the time steps that it will run in. It is measured
//! without noise at the spike condition, on the margin `u = (above − below) / scale`, after the phases that come before
//! `spike` in a step.
//!
//! Rossbroich, Gygax & Zenke 2022 (doi 10.1088/2634-4386/ac97bb), section 2: with n inputs of rate ν and
//! weights of mean μ_w and variance σ_w², the membrane has the mean n ν μ_w ε̄ and the variance
//! n ν (σ_w² + μ_w²) ε̂, where ε̄ = ∫ ε dt and ε̂ = ∫ ε² dt.

use std::fmt;

use crate::integrate::integrate;
use crate::interp::{Spiking, evaluate};
use crate::kernel::{Def, Kernel, Role};
use crate::ops::Op;
use crate::passes::clean;
use crate::program::Neuron;
use crate::rewrite::{keep, rebuild};

/// What one arrival of size 1 does to the margin of the first spike condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Response {
    /// How far the margin at rest is below the threshold; above 0.
    pub distance: f64,
    /// ε̄ in ms per unit of the port.
    pub integral: f64,
    /// ε̂ in ms per squared unit of the port; above 0.
    pub square: f64,
}

/// Why there is no such response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// The neuron has no spike condition.
    Silent,
    /// Without input it does not come to rest below its threshold.
    Restless,
    /// What arrives does not reach the spike condition.
    Unmoved,
    /// What arrives stays for ever, or grows.
    Lasting,
}

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoResponse::Silent => {
                "never spikes, so nothing says how large its fluctuations should be"
            }
            NoResponse::Restless => "does not come to rest below its threshold without input",
            NoResponse::Unmoved => "does not move towards its threshold when something arrives",
            NoResponse::Lasting => {
                "does not forget an arrival: the integral of its response is infinite"
            }
        })
    }
}

/// Steps in which a neuron must have come to rest, and forgotten an arrival.
const LONGEST: usize = 1 << 18;
/// How large a first arrival is, and the part of the way to the threshold that the second one moves.
const SMALL: f64 = 1e-6;
/// What is left of a response when it has ended.
const NEGLIGIBLE: f64 = 1e-9;

/// The response of a neuron to an arrival at a port, with parameters where they typically start.
///
/// # Errors
///
/// The neuron has no response of this kind.
pub fn response(neuron: &Neuron, port: usize, step_ms: f64) -> Result<Response, NoResponse> {
    let mut kernel = neuron.step.clone();
    integrate(&mut kernel);
    silence(&mut kernel);
    let margin = margin(&kernel).ok_or(NoResponse::Silent)?;
    // Nothing else is removed: the margin is found by its place.
    let run = Run {
        neuron,
        kernel: &kernel,
        port: &neuron.ports[port].name,
        margin,
    };
    let rest = run.rest()?;
    let distance = -run.step(&rest, 0.0).1;
    if distance.is_nan() || distance <= 0.0 {
        return Err(NoResponse::Restless);
    }
    // A first arrival of any size tells how large one is that moves the margin by a millionth: small
    // enough to be linear, large enough to stand out from rounding.
    let first = run.respond(&rest, SMALL, step_ms)?;
    let size = SMALL * (SMALL * distance / first.peak);
    let response = run.respond(&rest, size, step_ms)?;
    Ok(Response {
        distance,
        integral: response.integral,
        square: response.square,
    })
}

/// Random numbers become their means.
fn silence(kernel: &mut Kernel) {
    rebuild(kernel, |b, _, node| match &node.def {
        Def::Inst(Op::Normal(_), _) => b.real(0.0),
        Def::Inst(Op::Uniform(_), _) => b.real(0.5),
        Def::Inst(..) | Def::Input(_) => keep(b, node),
    });
}

/// The first operand of the first spike.
fn margin(kernel: &Kernel) -> Option<usize> {
    kernel.nodes.iter().find_map(|node| match &node.def {
        Def::Inst(Op::Spike(_) | Op::Count, args) => Some(args[0].index()),
        Def::Inst(..) | Def::Input(_) => None,
    })
}

struct Run<'a> {
    neuron: &'a Neuron,
    kernel: &'a Kernel,
    port: &'a str,
    margin: usize,
}

/// A response with its largest value.
struct Measured {
    peak: f64,
    integral: f64,
    square: f64,
}

impl Run<'_> {
    fn parameter(&self, name: &str) -> f64 {
        let found = self.neuron.params.iter().find(|p| p.name == name);
        found.map_or(0.0, |p| p.typical())
    }

    fn state(&self, name: &str) -> Option<usize> {
        self.neuron.states.iter().position(|s| s.name == name)
    }

    fn call(&self, kernel: &Kernel, states: &[f64], arrival: f64) -> Vec<f64> {
        let inputs = kernel.nodes.iter().filter_map(|node| match &node.def {
            Def::Input(input) => Some(&input.slot),
            Def::Inst(..) => None,
        });
        let inputs: Vec<f64> = inputs
            .map(|slot| match slot.role {
                Role::Param => self.parameter(&slot.name),
                Role::State => self.state(&slot.name).map_or(0.0, |i| states[i]),
                Role::Port if *slot.name == *self.port => arrival,
                Role::Port | Role::Derived | Role::Init | Role::Spike | Role::Saved | Role::Key => {
                    0.0
                }
            })
            .collect();
        evaluate(kernel, &mut |i| inputs[i], &mut Spiking::Hard).unwrap_or_default()
    }

    /// The states after a step, and the margin in it.
    fn step(&self, states: &[f64], arrival: f64) -> (Vec<f64>, f64) {
        let values = self.call(self.kernel, states, arrival);
        let mut next = states.to_vec();
        for output in &self.kernel.outputs {
            if let (Role::State, Some(i)) = (output.slot.role, self.state(&output.slot.name)) {
                next[i] = values
                    .get(output.value.index())
                    .copied()
                    .unwrap_or(f64::NAN);
            }
        }
        let margin = values.get(self.margin).copied().unwrap_or(f64::NAN);
        (next, margin)
    }

    /// The states that do not change any more without input.
    fn rest(&self) -> Result<Vec<f64>, NoResponse> {
        let mut init = self.neuron.init.clone();
        silence(&mut init);
        clean(&mut init);
        let values = self.call(&init, &[], 0.0);
        let mut states = vec![0.0; self.neuron.states.len()];
        for output in &init.outputs {
            if let Some(i) = self.state(&output.slot.name) {
                states[i] = values
                    .get(output.value.index())
                    .copied()
                    .unwrap_or(f64::NAN);
            }
        }
        let mut largest = vec![0.0_f64; states.len()];
        for _ in 0..LONGEST {
            let (next, margin) = self.step(&states, 0.0);
            if margin.is_nan() || margin >= 0.0 {
                return Err(NoResponse::Restless);
            }
            let mut still = true;
            for ((before, now), largest) in states.iter().zip(&next).zip(&mut largest) {
                *largest = before.abs().max(*largest);
                still &= (now - before).abs() <= 1e-16 * *largest;
            }
            states = next;
            if still {
                return Ok(states);
            }
        }
        Err(NoResponse::Restless)
    }

    fn respond(&self, rest: &[f64], size: f64, step_ms: f64) -> Result<Measured, NoResponse> {
        let quiet = self.step(rest, 0.0).1;
        let mut states = rest.to_vec();
        let mut largest = vec![0.0; rest.len()];
        let mut measured = Measured {
            peak: 0.0,
            integral: 0.0,
            square: 0.0,
        };
        for k in 0..LONGEST {
            let (next, margin) = self.step(&states, if k == 0 { size } else { 0.0 });
            states = next;
            let moved = margin - quiet;
            measured.peak = moved.abs().max(measured.peak);
            measured.integral += moved / size * step_ms;
            measured.square += (moved / size).powi(2) * step_ms;
            let mut ended = true;
            for ((state, rest), largest) in states.iter().zip(rest).zip(&mut largest) {
                let away = (state - rest).abs();
                *largest = away.max(*largest);
                let rounding = 1e-14 * rest.abs();
                ended &= away <= NEGLIGIBLE * *largest + rounding;
            }
            if ended {
                return match measured.peak > 0.0 && measured.square.is_finite() {
                    true => Ok(measured),
                    false => Err(NoResponse::Unmoved),
                };
            }
        }
        Err(NoResponse::Lasting)
    }
}
