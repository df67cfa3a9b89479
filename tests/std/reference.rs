//! A neuron against its step equations, written by hand on [`Dual`]: spikes and states of a random run, and the
//! gradient of L = Σ c·z + Σ d·state, with random c and d, by the input at every step and by every parameter.

use std::collections::BTreeMap;
use std::ops::Index;

use ndarray::Array2;
use rheobase::commands::Executor;
use rheobase_ir::random::SplitMix64;

use crate::dual::{Dual, c};
use crate::simulate::{Arrays, Simulation};

const STEPS: usize = 40;
const LANES: usize = 5;
const TOLERANCE: f64 = 1e-9;

/// Parameters by name.
pub(crate) struct Params(Vec<(&'static str, Dual)>);

impl Index<&str> for Params {
    type Output = Dual;
    fn index(&self, name: &str) -> &Dual {
        let found = self.0.iter().find(|(n, _)| *n == name);
        &found.unwrap_or_else(|| panic!("no parameter {name}")).1
    }
}

/// A neuron's step, written by hand.
pub(crate) struct Reference {
    pub(crate) library: &'static str,
    pub(crate) neuron: &'static str,
    /// The input port.
    pub(crate) port: &'static str,
    /// A second port, with the bounds between which its inputs are drawn; steps read it among the parameters.
    pub(crate) other: Option<(&'static str, f64, f64)>,
    /// Every parameter that is compared, with the value that the `std/` file must have.
    pub(crate) params: &'static [(&'static str, f64)],
    /// Parameters that are given other values.
    pub(crate) set: &'static [(&'static str, f64)],
    /// The names of the states, and their values before the first step.
    pub(crate) states: &'static [&'static str],
    pub(crate) start: fn(&Params) -> Vec<Dual>,
    /// States and input to the spike (`None` for a readout); the states become those after the step.
    pub(crate) step: fn(&Params, &mut [Dual], Dual) -> Option<Dual>,
    /// Bounds between which inputs are drawn.
    pub(crate) input: (f64, f64),
}

/// What is moved.
#[derive(Clone, Copy)]
enum Moved {
    Nothing,
    Param(usize),
    Input(usize),
    Other(usize),
}

/// What arrives in a lane: at the port, and at the other one if there is one.
type Lane = (Vec<f64>, Option<Vec<f64>>);

impl Reference {
    fn values(&self) -> Vec<(&'static str, f64)> {
        let set = |name: &str| self.set.iter().find(|(n, _)| *n == name).map(|s| s.1);
        let values = self.params.iter();
        values.map(|&(n, v)| (n, set(n).unwrap_or(v))).collect()
    }

    /// Runs a lane and shows each step's spike and states.
    fn lane(&self, lane: &Lane, moved: Moved, mut show: impl FnMut(usize, Option<Dual>, &[Dual])) {
        let (first, second) = lane;
        let mut params: Vec<(&'static str, Dual)> =
            self.values().into_iter().map(|(n, v)| (n, c(v))).collect();
        if let Moved::Param(i) = moved {
            params[i].1.slope = 1.0;
        }
        let own = params.len();
        let mut params = Params(params);
        let mut states = (self.start)(&params);
        for (t, &x) in first.iter().enumerate() {
            let mut x = c(x);
            if let Moved::Input(at) = moved
                && at == t
            {
                x.slope = 1.0;
            }
            if let (Some((port, ..)), Some(second)) = (self.other, second) {
                let mut y = c(second[t]);
                if let Moved::Other(at) = moved
                    && at == t
                {
                    y.slope = 1.0;
                }
                params.0.truncate(own);
                params.0.push((port, y));
            }
            let spike = (self.step)(&params, &mut states, x);
            show(t, spike, &states);
        }
    }

    /// What arrives in each lane.
    fn lanes(x: &Array2<f64>, y: Option<&Array2<f64>>) -> Vec<Lane> {
        let column = |lane: usize| {
            let second = y.map(|y| y.column(lane).to_vec());
            (x.column(lane).to_vec(), second)
        };
        (0..x.ncols()).map(column).collect()
    }

    /// Compares everything.
    pub(crate) fn check(&self) {
        let mut rng = SplitMix64::new(7);
        let mut array =
            |low: f64, high: f64| Array2::from_shape_fn((STEPS, LANES), |_| rng.between(low, high));
        let x = array(self.input.0, self.input.1);
        let mut cotangents = BTreeMap::new();
        for name in self.states {
            cotangents.insert((*name).to_string(), array(-1.0, 1.0));
        }
        let spikes = array(-1.0, 1.0);
        let y = self.other.map(|(_, low, high)| array(low, high));
        let lanes = Reference::lanes(&x, y.as_ref());
        let spiking = self.spiking(&lanes);
        if let Some(share) = spiking {
            assert!(
                (0.02..0.9).contains(&share),
                "{}: {share} of the neuron-steps spike, so little is compared",
                self.neuron
            );
            cotangents.insert("spikes".to_string(), spikes);
        }
        let mut input = vec![(self.port, x)];
        if let (Some((port, ..)), Some(y)) = (self.other, y) {
            input.push((port, y));
        }
        let simulation = Simulation {
            library: self.library,
            neuron: self.neuron,
            input,
            params: self.set,
            step_ms: 1.0,
        };
        for executor in [Executor::Interp, Executor::Jit] {
            let found = simulation.run(Some(&cotangents), executor);
            self.compare_traces(&lanes, &found);
            self.compare_gradients(&lanes, &cotangents, &found);
        }
    }

    /// The part of neuron-steps with a spike; what is sent and smaller than 1 counts as that part of one.
    fn spiking(&self, lanes: &[Lane]) -> Option<f64> {
        let mut sent = None;
        for lane in lanes {
            self.lane(lane, Moved::Nothing, |_, spike, _| {
                if let Some(spike) = spike {
                    *sent.get_or_insert(0.0) += spike.value.abs().min(1.0);
                }
            });
        }
        sent.map(|n: f64| n / (STEPS * LANES) as f64)
    }

    fn compare_traces(&self, lanes: &[Lane], found: &Arrays) {
        for (i, lane) in lanes.iter().enumerate() {
            self.lane(lane, Moved::Nothing, |t, spike, states| {
                if let Some(spike) = spike {
                    let found = found["spikes"][[t, 0, i]];
                    // What a spike carries is in single precision.
                    let close = (found - spike.value).abs() <= 1e-6 * spike.value.abs();
                    let whole = spike.value.fract() == 0.0;
                    assert!(
                        if whole { found == spike.value } else { close },
                        "{} spike, step {t}: {found} is not {}",
                        self.neuron,
                        spike.value
                    );
                }
                for (name, state) in self.states.iter().zip(states) {
                    let found = found[*name][[t, 0, i]];
                    let bound = TOLERANCE * state.value.abs().max(1.0);
                    assert!(
                        (found - state.value).abs() <= bound,
                        "{} {name}, step {t}: {found} is not {}",
                        self.neuron,
                        state.value
                    );
                }
            });
        }
    }

    /// dL by what is moved, in one lane.
    fn gradient(
        &self,
        lanes: &[Lane],
        lane: usize,
        moved: Moved,
        cotangents: &BTreeMap<String, Array2<f64>>,
    ) -> f64 {
        let mut sum = 0.0;
        self.lane(&lanes[lane], moved, |t, spike, states| {
            if let Some(spike) = spike {
                sum += cotangents["spikes"][[t, lane]] * spike.slope;
            }
            for (name, state) in self.states.iter().zip(states) {
                sum += cotangents[*name][[t, lane]] * state.slope;
            }
        });
        sum
    }

    fn compare_gradients(
        &self,
        lanes: &[Lane],
        cotangents: &BTreeMap<String, Array2<f64>>,
        found: &Arrays,
    ) {
        type MovedAt = fn(usize) -> Moved;
        let mut ports: Vec<(&str, MovedAt)> = vec![(self.port, Moved::Input)];
        ports.extend(self.other.map(|(port, ..)| (port, Moved::Other as MovedAt)));
        for (port, moved) in ports {
            let mut pairs = Vec::new();
            for lane in 0..lanes.len() {
                for t in 0..STEPS {
                    let expected = self.gradient(lanes, lane, moved(t), cotangents);
                    pairs.push((found[&format!("grad.{port}")][[t, 0, lane]], expected));
                }
            }
            self.close(port, &pairs);
        }
        for (i, (name, _)) in self.params.iter().enumerate() {
            let parts: Vec<f64> = (0..lanes.len())
                .map(|lane| self.gradient(lanes, lane, Moved::Param(i), cotangents))
                .collect();
            let found: f64 = found[&format!("grad.{name}")].iter().sum();
            // Lanes may cancel: rounding is relative to the largest of them.
            let size = parts.iter().fold(0.0f64, |m, p| m.max(p.abs()));
            self.close(name, &[(found, parts.iter().sum()), (size, size)]);
        }
    }

    fn close(&self, what: &str, pairs: &[(f64, f64)]) {
        let size = pairs.iter().fold(1e-6f64, |m, p| m.max(p.1.abs()));
        for (found, expected) in pairs {
            assert!(
                (found - expected).abs() <= TOLERANCE * size,
                "{}, gradient by {what}: {found} is not {expected}",
                self.neuron
            );
        }
    }
}
