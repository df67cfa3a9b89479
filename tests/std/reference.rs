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
}

impl Reference {
    fn values(&self) -> Vec<(&'static str, f64)> {
        let set = |name: &str| self.set.iter().find(|(n, _)| *n == name).map(|s| s.1);
        let values = self.params.iter();
        values.map(|&(n, v)| (n, set(n).unwrap_or(v))).collect()
    }

    /// Runs a lane and shows each step's spike and states.
    fn lane(&self, x: &[f64], moved: Moved, mut show: impl FnMut(usize, Option<Dual>, &[Dual])) {
        let mut params: Vec<(&'static str, Dual)> =
            self.values().into_iter().map(|(n, v)| (n, c(v))).collect();
        if let Moved::Param(i) = moved {
            params[i].1.slope = 1.0;
        }
        let params = Params(params);
        let mut states = (self.start)(&params);
        for (t, &x) in x.iter().enumerate() {
            let mut x = c(x);
            if let Moved::Input(at) = moved
                && at == t
            {
                x.slope = 1.0;
            }
            let spike = (self.step)(&params, &mut states, x);
            show(t, spike, &states);
        }
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
        let spiking = self.spiking(&x);
        if let Some(share) = spiking {
            assert!(
                (0.02..0.9).contains(&share),
                "{}: {share} of the neuron-steps spike, so little is compared",
                self.neuron
            );
            cotangents.insert("spikes".to_string(), spikes);
        }
        let simulation = Simulation {
            library: self.library,
            neuron: self.neuron,
            input: vec![(self.port, x.clone())],
            params: self.set,
            step_ms: 1.0,
        };
        for executor in [Executor::Interp, Executor::Jit] {
            let found = simulation.run(Some(&cotangents), executor);
            self.compare_traces(&x, &found);
            self.compare_gradients(&x, &cotangents, &found);
        }
    }

    /// The part of neuron-steps with a spike.
    fn spiking(&self, x: &Array2<f64>) -> Option<f64> {
        let mut count = None;
        for column in x.columns() {
            self.lane(&column.to_vec(), Moved::Nothing, |_, spike, _| {
                if let Some(spike) = spike {
                    *count.get_or_insert(0.0) += spike.value;
                }
            });
        }
        count.map(|n: f64| n / x.len() as f64)
    }

    fn compare_traces(&self, x: &Array2<f64>, found: &Arrays) {
        for (lane, column) in x.columns().into_iter().enumerate() {
            self.lane(&column.to_vec(), Moved::Nothing, |t, spike, states| {
                if let Some(spike) = spike {
                    let found = found["spikes"][[t, 0, lane]];
                    assert_eq!(found, spike.value, "{} spike, step {t}", self.neuron);
                }
                for (name, state) in self.states.iter().zip(states) {
                    let found = found[*name][[t, 0, lane]];
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
        x: &[f64],
        lane: usize,
        moved: Moved,
        cotangents: &BTreeMap<String, Array2<f64>>,
    ) -> f64 {
        let mut sum = 0.0;
        self.lane(x, moved, |t, spike, states| {
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
        x: &Array2<f64>,
        cotangents: &BTreeMap<String, Array2<f64>>,
        found: &Arrays,
    ) {
        let columns: Vec<Vec<f64>> = x.columns().into_iter().map(|c| c.to_vec()).collect();
        let mut pairs = Vec::new();
        for (lane, column) in columns.iter().enumerate() {
            for t in 0..STEPS {
                let expected = self.gradient(column, lane, Moved::Input(t), cotangents);
                let found = found[&format!("grad.{}", self.port)][[t, 0, lane]];
                pairs.push((found, expected));
            }
        }
        self.close("the input", &pairs);
        for (i, (name, _)) in self.params.iter().enumerate() {
            let by_lane = columns.iter().enumerate();
            let parts: Vec<f64> = by_lane
                .map(|(lane, column)| self.gradient(column, lane, Moved::Param(i), cotangents))
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
