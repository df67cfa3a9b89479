//! What a gradient check runs: parameter values, inputs strong enough to make the neuron spike, and a
//! random linear loss.
//!
//! The loss is `Σ c·y` over steps, lanes, visible states and spikes, with `c` uniform in −1 … 1 divided by
//! the typical size of `y`, so that quantities in pA and in mV count alike. Internal states (`_…`, such
//! as refractory counters) have no gradient; every smoothed program is given their values in the real one.

use super::lane::{Bound, Slots};
use super::{Config, GradcheckError};
use crate::draws;
use crate::interp::Spiking;
use crate::kernel::{Role, Slot};
use crate::pipeline::Stages;
use crate::program::{Neuron, Parameter, Variable};
use crate::random::SplitMix64;

/// Numbers by lane, step and quantity: `trace[lane][step][i]`.
pub(super) type Trace = Vec<Vec<Vec<f64>>>;

/// How the forward is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The real program.
    Hard,
    /// Spikes are their surrogate's primitive.
    Primitive,
}

/// The arguments of a neuron by kind, as places in a lane's memory.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) params: Vec<usize>,
    pub(super) ports: Vec<usize>,
    /// The visible states.
    pub(super) states: Vec<usize>,
    /// Their initial values, as the prologue writes them.
    pub(super) init: Vec<usize>,
    /// The internal states.
    pub(super) internal: Vec<usize>,
    pub(super) internal_init: Vec<usize>,
    /// What the loss reads: visible states, then spikes.
    pub(super) observed: Vec<usize>,
    /// The two words of the lane's key, and the step.
    pub(super) key: Vec<usize>,
    pub(super) step: Vec<usize>,
}

impl Places {
    pub(super) fn new(neuron: &Neuron, slots: &mut Slots) -> Places {
        let (internal, visible): (Vec<&Variable>, Vec<&Variable>) =
            neuron.states.iter().partition(|s| is_internal(&s.name));
        let mut all = |role: Role, names: Vec<&str>| -> Vec<usize> {
            let slots = &mut *slots;
            names
                .into_iter()
                .map(|n| slots.place(&Slot::new(role, n)))
                .collect()
        };
        let names =
            |list: &[&Variable]| -> Vec<String> { list.iter().map(|v| v.name.clone()).collect() };
        let (internal, visible) = (names(&internal), names(&visible));
        let visible: Vec<&str> = visible.iter().map(String::as_str).collect();
        let internal: Vec<&str> = internal.iter().map(String::as_str).collect();
        let states = all(Role::State, visible.clone());
        let spikes = all(
            Role::Spike,
            neuron.spikes.iter().map(String::as_str).collect(),
        );
        Places {
            params: all(
                Role::Param,
                neuron.params.iter().map(|p| p.name.as_str()).collect(),
            ),
            ports: all(
                Role::Port,
                neuron.ports.iter().map(|p| p.name.as_str()).collect(),
            ),
            init: all(Role::Init, visible),
            internal_init: all(Role::Init, internal.clone()),
            internal: all(Role::State, internal),
            key: all(Role::Key, vec!["a", "b"]),
            step: all(Role::Key, vec!["step"]),
            observed: states.iter().chain(&spikes).copied().collect(),
            states,
        }
    }
}

/// Whether a state is one of the compiler's own, which carry no gradient.
pub(super) fn is_internal(state: &str) -> bool {
    state.starts_with('_')
}

/// A neuron with everything that a run of it reads.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) steps: usize,
    pub(super) lanes: usize,
    /// The same in every lane.
    pub(super) params: Vec<f64>,
    /// What arrives.
    pub(super) ports: Trace,
    /// The internal states at the beginning of each step of the real program.
    pub(super) internal: Trace,
    /// The factor of each observed value.
    pub(super) loss: Trace,
    /// The typical size of each input port.
    pub(super) port_size: f64,
    /// The largest size of each visible state.
    pub(super) state_size: Vec<f64>,
    /// `Σ |c·y|`.
    pub(super) loss_size: f64,
    /// The part of neuron-steps with a spike.
    pub(super) spiking: f64,
}

/// What a run of the real program shows.
struct Observation {
    internal: Trace,
    observed: Trace,
    spiking: f64,
    finite: bool,
}

/// Spiking neuron-steps that inputs are scaled to reach.
const ENOUGH: f64 = 0.03;
/// More than this says little about the time between spikes.
const TOO_MANY: f64 = 0.35;

impl Trial {
    /// Chooses parameters, inputs and loss.
    pub(super) fn new(
        neuron: &Neuron,
        stages: &Stages,
        config: &Config,
    ) -> Result<Trial, GradcheckError> {
        let mut trial = Trial {
            steps: config.steps,
            lanes: config.lanes,
            params: neuron.params.iter().map(Parameter::typical).collect(),
            ports: Vec::new(),
            internal: Vec::new(),
            loss: Vec::new(),
            port_size: 1.0,
            state_size: Vec::new(),
            loss_size: 0.0,
            spiking: 0.0,
        };
        let observation = trial.choose_inputs(neuron, stages, config.seed)?;
        let n_states = neuron
            .states
            .iter()
            .filter(|s| !is_internal(&s.name))
            .count();
        trial.internal = observation.internal;
        trial.spiking = observation.spiking;
        trial.state_size = (0..n_states)
            .map(|i| size(observation.observed.iter().flatten().map(|y| y[i])))
            .collect();
        trial.choose_loss(&observation.observed, config.seed);
        Ok(trial)
    }

    /// Tries inputs of growing strength until enough neuron-steps spike; all ports alike, then each
    /// one strong, positive and negative. What comes nearest is taken.
    fn choose_inputs(
        &mut self,
        neuron: &Neuron,
        stages: &Stages,
        seed: u64,
    ) -> Result<Observation, GradcheckError> {
        let n = neuron.ports.len();
        let mut patterns = vec![vec![1.0; n]];
        for strong in (0..n).filter(|_| n > 1) {
            patterns.push(
                (0..n)
                    .map(|i| if i == strong { 1.0 } else { 0.1 })
                    .collect(),
            );
        }
        patterns.push(vec![-1.0; n]);
        let mut best: Option<(f64, f64, Trace, Observation)> = None;
        'search: for pattern in &patterns {
            for exponent in -4..=20 {
                let size = if neuron.spikes.is_empty() {
                    1.0
                } else {
                    2f64.powi(exponent)
                };
                self.ports = inputs(self, seed, size, pattern);
                let seen = self.observe(neuron, stages)?;
                // How far from the wanted range; a silent neuron is farthest.
                let distance = match seen.spiking {
                    f if !seen.finite || f.is_nan() => f64::INFINITY,
                    f if f < ENOUGH => 10.0 + (ENOUGH - f),
                    f if f > TOO_MANY => f - TOO_MANY,
                    _ => 0.0,
                };
                if distance.is_finite() && best.as_ref().is_none_or(|b| distance < b.0) {
                    best = Some((distance, size, self.ports.clone(), seen));
                }
                if distance == 0.0 || neuron.spikes.is_empty() {
                    break 'search;
                }
            }
        }
        let (_, size, ports, seen) = best.ok_or(GradcheckError::NotFinite)?;
        self.port_size = size;
        self.ports = ports;
        Ok(seen)
    }

    /// A run of the real program.
    fn observe(&self, neuron: &Neuron, stages: &Stages) -> Result<Observation, GradcheckError> {
        let mut slots = Slots::default();
        let (init, step) = (slots.bind(&neuron.init), slots.bind(&stages.step));
        let places = Places::new(neuron, &mut slots);
        let spikes = places.states.len()..places.observed.len();
        let mut seen = Observation {
            internal: Vec::new(),
            observed: Vec::new(),
            spiking: 0.0,
            finite: true,
        };
        let mut count = 0usize;
        for lane in 0..self.lanes {
            let mut memory = self.begin(&slots, &places, &init, lane)?;
            let (mut internal, mut observed) = (Vec::new(), Vec::new());
            for t in 0..self.steps {
                internal.push(read(&memory, &places.internal));
                self.arrive(&mut memory, &places, lane, t);
                step.call(&mut memory, Spiking::Hard)?;
                let values = read(&memory, &places.observed);
                seen.finite &= values.iter().all(|y| y.is_finite());
                count += usize::from(values[spikes.clone()].iter().any(|s| *s != 0.0));
                observed.push(values);
            }
            seen.internal.push(internal);
            seen.observed.push(observed);
        }
        seen.spiking = count as f64 / (self.lanes * self.steps).max(1) as f64;
        Ok(seen)
    }

    /// A lane's memory before the first step.
    fn begin(
        &self,
        slots: &Slots,
        places: &Places,
        init: &Bound<'_>,
        lane: usize,
    ) -> Result<Vec<f64>, GradcheckError> {
        let mut memory = vec![0.0; slots.len()];
        write(&mut memory, &places.params, &self.params);
        self.start(&mut memory, places, lane);
        init.call(&mut memory, Spiking::Hard)?;
        start_states(&mut memory, places);
        Ok(memory)
    }

    /// Writes the key of a lane, and the step at which initial values are drawn. The random numbers of a trial are
    /// the same however often it is run: gradients are those for given noise.
    pub(super) fn start(&self, memory: &mut [f64], places: &Places, lane: usize) {
        let key = draws::lane_key(draws::sample_key(0, 0, lane as u64), 0, 0);
        write(memory, &places.key, &key);
        write(memory, &places.step, &[draws::real(draws::START)]);
    }

    /// Writes what arrives at the ports in a step, and its number.
    pub(super) fn arrive(&self, memory: &mut [f64], places: &Places, lane: usize, step: usize) {
        write(memory, &places.step, &[draws::real(step as u32)]);
        write(memory, &places.ports, &self.ports[lane][step]);
    }

    fn choose_loss(&mut self, observed: &[Vec<Vec<f64>>], seed: u64) {
        let mut random = SplitMix64::new(seed ^ 0x6c6f_7373);
        let n = observed.iter().flatten().map(Vec::len).max().unwrap_or(0);
        let sizes: Vec<f64> = (0..n)
            .map(|i| self.state_size.get(i).copied().unwrap_or(1.0))
            .collect();
        let mut total = 0.0;
        for lane in observed {
            let mut of_lane = Vec::new();
            for values in lane {
                let factors: Vec<f64> = sizes
                    .iter()
                    .map(|size| random.between(-1.0, 1.0) / size)
                    .collect();
                total += factors
                    .iter()
                    .zip(values)
                    .map(|(c, y)| (c * y).abs())
                    .sum::<f64>();
                of_lane.push(factors);
            }
            self.loss.push(of_lane);
        }
        self.loss_size = total;
    }
}

/// Copies the initial values that the prologue wrote to the states.
pub(super) fn start_states(memory: &mut [f64], places: &Places) {
    for (from, to) in [
        (&places.init, &places.states),
        (&places.internal_init, &places.internal),
    ] {
        for (from, to) in from.iter().zip(to) {
            memory[*to] = memory[*from];
        }
    }
}

pub(super) fn read(memory: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|&p| memory[p]).collect()
}

pub(super) fn write(memory: &mut [f64], places: &[usize], values: &[f64]) {
    for (&place, &value) in places.iter().zip(values) {
        memory[place] = value;
    }
}

/// The largest absolute value, 1 if there is none.
fn size(values: impl Iterator<Item = f64>) -> f64 {
    let size = values.map(f64::abs).fold(0.0, f64::max);
    if size > 0.0 && size.is_finite() {
        size
    } else {
        1.0
    }
}

/// Inputs between −1/2 and 3/2 of the strength of their port.
fn inputs(trial: &Trial, seed: u64, size: f64, pattern: &[f64]) -> Trace {
    let mut random = SplitMix64::new(seed);
    let mut at = |strength: &f64| strength * size * random.between(-0.5, 1.5);
    (0..trial.lanes)
        .map(|_| {
            (0..trial.steps)
                .map(|_| pattern.iter().map(&mut at).collect())
                .collect()
        })
        .collect()
}
