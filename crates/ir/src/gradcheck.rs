//! Gradient check: the derived backward of a neuron against finite differences of its smoothed program.
//!
//! A spike is a step, so differences of the real program disagree with a surrogate gradient by design.
//! They are taken of the smoothed program, in which a spike is replaced by a function whose derivative
//! the surrogate is (see [`crate::interp::Spiking`]): its tangent around a recorded run always, and its
//! primitive where the surrogate has one. What is checked is everything between a `.snn` equation and
//! its gradient: integrators, hoisting, reverse mode through time, the prologue, and, in the third
//! comparison, the optimised kernels with their tape.
//!
//! All in double precision on the interpreter. Lanes are independent, so a shared parameter is one number
//! whose gradient is the sum over lanes.

mod analytic;
mod lane;
mod numeric;
mod transposition;
mod trial;

use std::fmt;

use crate::executor::CallError;
use crate::kernel::{Def, Kernel, Role, Slot};
use crate::ops::Op;
use crate::pipeline::{Stages, Wanted, build};
use crate::program::Neuron;
use crate::types::Rate;
use crate::verify::VerifyError;

pub use transposition::{Transposition, transposition};

use analytic::Gradients;
use numeric::{Smoothed, Tweak};
use trial::{Mode, Trial, is_internal};

/// How long and how wide a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time steps.
    pub steps: usize,
    /// Independent copies of the neuron, each with its own inputs.
    pub lanes: usize,
    /// Chooses inputs and loss.
    pub seed: u64,
}

impl Config {
    /// Long enough for several spikes with the time between them.
    pub const STANDARD: Config = Config {
        steps: 30,
        lanes: 6,
        seed: 0,
    };
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq)]
pub enum GradcheckError {
    /// A stage of the pipeline made a bad kernel.
    Compile(VerifyError),
    /// A kernel could not be run.
    Call(CallError),
    /// Infinite or NaN with inputs of any strength.
    NotFinite,
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GradcheckError::Compile(error) => write!(f, "{error}"),
            GradcheckError::Call(error) => write!(f, "{error}"),
            GradcheckError::NotFinite => {
                f.write_str("the neuron becomes infinite or NaN with inputs of any strength")
            }
        }
    }
}

impl std::error::Error for GradcheckError {}

impl From<VerifyError> for GradcheckError {
    fn from(error: VerifyError) -> GradcheckError {
        GradcheckError::Compile(error)
    }
}

impl From<CallError> for GradcheckError {
    fn from(error: CallError) -> GradcheckError {
        GradcheckError::Call(error)
    }
}

/// What the derived gradient is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Against {
    /// Differences of the program whose spikes are tangents with the surrogate derivative as slope.
    Tangent,
    /// Differences of the program whose spikes are the surrogate's primitive.
    Primitive,
    /// The optimised forward and backward with their tape, which also must compute the same states and
    /// spikes.
    Optimised,
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Against::Tangent => "tangent",
            Against::Primitive => "primitive",
            Against::Optimised => "optimised",
        })
    }
}

/// One quantity at the place where the two gradients differ most.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was compared.
    pub against: Against,
    /// The quantity: a `param`, an `init` (the initial value of a state), a `port`; of the optimised
    /// kernels also the value of a `state` or a `spike`.
    pub slot: Slot,
    /// The derived gradient.
    pub analytic: f64,
    /// The other.
    pub numeric: f64,
    /// `|a − n| / (max(|a|, |n|) + floor)`, the floor being a thousandth of the largest gradient of the same
    /// kind, both measured per typical size of the quantity.
    pub error: f64,
    /// The lane, unless the quantity is one for all.
    pub lane: Option<usize>,
    /// The step, for quantities that have one.
    pub step: Option<usize>,
    /// How many places were compared.
    pub places: usize,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// One per comparison and quantity.
    pub entries: Vec<Entry>,
    /// The part of neuron-steps with a spike: with none, the surrogate was hardly tested.
    pub spiking: f64,
    /// The strength of the inputs, in base units.
    pub input_size: f64,
    /// Whether the primitive comparison was made: not where a spike has no primitive, or where the program
    /// with primitives becomes infinite.
    pub has_primitive: bool,
}

impl Report {
    /// Whether every error is at most `tolerance`; 1e-6 is what is asked of every neuron.
    pub fn passed(&self, tolerance: f64) -> bool {
        // A NaN error must not pass.
        self.entries.iter().all(|e| e.error <= tolerance)
    }

    /// The entry with the largest error.
    pub fn worst(&self) -> Option<&Entry> {
        self.entries
            .iter()
            .max_by(|a, b| a.error.total_cmp(&b.error))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:<20} {:>14} {:>14} {:>9}  worst at",
            "against", "quantity", "derived", "other", "error"
        )?;
        for e in &self.entries {
            let slot = e.slot.to_string();
            write!(
                f,
                "{:<10} {slot:<20} {:>14.6e} {:>14.6e} {:>9.1e}  ",
                e.against.to_string(),
                e.analytic,
                e.numeric,
                e.error
            )?;
            match (e.lane, e.step) {
                (Some(lane), Some(step)) => writeln!(f, "lane {lane}, step {step}")?,
                (Some(lane), None) => writeln!(f, "lane {lane}")?,
                (None, _) => writeln!(f, "-")?,
            }
        }
        writeln!(f, "{:.1} % of neuron-steps spike", 100.0 * self.spiking)
    }
}

/// Checks the gradient of a neuron with respect to every parameter, every initial state and every port at
/// every step.
///
/// # Errors
///
/// The neuron does not compile, or has no finite run.
pub fn gradcheck(neuron: &Neuron, config: &Config) -> Result<Report, GradcheckError> {
    let stages = build(neuron, Wanted::ALL)?;
    let trial = Trial::new(neuron, &stages, config)?;
    let check = Check {
        neuron,
        stages: &stages,
        trial: &trial,
    };
    let mut entries = Vec::new();
    let derived = analytic::derived(neuron, &stages, &trial, Mode::Hard)?;
    entries.extend(check.smoothed(Against::Tangent, &derived)?);
    let mut has_primitive = has_primitives(&stages.step);
    if has_primitive {
        let derived = analytic::derived(neuron, &stages, &trial, Mode::Primitive)?;
        if derived.is_finite() {
            entries.extend(check.smoothed(Against::Primitive, &derived)?);
        } else {
            // Half a reset does not stop a membrane that runs away, such as Izhikevich's: there is no
            // run to compare with.
            has_primitive = false;
        }
    }
    let optimised = analytic::optimised(neuron, &stages, &trial)?;
    entries.extend(check.optimised(&derived, &optimised));
    Ok(Report {
        entries,
        spiking: trial.spiking,
        input_size: trial.port_size,
        has_primitive,
    })
}

/// Whether there is a program in which every spike is its surrogate's primitive.
fn has_primitives(step: &Kernel) -> bool {
    let mut spikes = 0;
    for node in &step.nodes {
        let Def::Inst(op, args) = &node.def else {
            continue;
        };
        if *op == Op::Count || matches!(op, Op::Spike(_)) {
            spikes += 1;
            if args.len() < 3 {
                return false;
            }
        }
    }
    spikes > 0
}

/// One place of a quantity, before its numeric derivative is known.
struct Place {
    analytic: f64,
    lane: Option<usize>,
    step: Option<usize>,
    /// How it is moved; `None` for values that are only observed.
    tweak: Option<Tweak>,
}

/// A quantity with all its places.
struct Quantity {
    slot: Slot,
    /// Its typical size.
    size: f64,
    places: Vec<Place>,
}

struct Check<'a> {
    neuron: &'a Neuron,
    stages: &'a Stages,
    trial: &'a Trial,
}

/// Relative steps of the differences. The smaller ones are only for places where the first disagrees: a
/// kink of a `max` or of a primitive within a step's reach, or a gradient that grows from step to step,
/// spoils the difference, not the gradient.
const STEPS: [f64; 7] = [1e-4, 1e-5, 1e-6, 1e-3, 1e-7, 1e-8, 1e-9];

/// Agreement that needs no second step length.
const GOOD: f64 = 1e-8;

impl Check<'_> {
    /// Compares with differences of a smoothed program.
    fn smoothed(
        &self,
        against: Against,
        derived: &Gradients,
    ) -> Result<Vec<Entry>, GradcheckError> {
        let mode = match against {
            Against::Primitive => Mode::Primitive,
            Against::Tangent | Against::Optimised => Mode::Hard,
        };
        let program = Smoothed::new(self.neuron, self.stages, self.trial, mode)?;
        let mut entries = Vec::new();
        for kind in self.kinds(derived) {
            let floor = self.floor(&kind);
            for quantity in &kind {
                let mut worst = None;
                for place in &quantity.places {
                    let floor = floor / quantity.size;
                    let (numeric, error) = self.best(&program, quantity, place, floor)?;
                    keep_worst(&mut worst, place, numeric, error);
                }
                entries.extend(worst.map(|w| w.entry(against, quantity)));
            }
        }
        Ok(entries)
    }

    /// The numeric derivative at a place, by the step length that agrees best.
    fn best(
        &self,
        program: &Smoothed<'_>,
        quantity: &Quantity,
        place: &Place,
        floor: f64,
    ) -> Result<(f64, f64), GradcheckError> {
        let mut best = (f64::NAN, f64::INFINITY);
        let Some(tweak) = place.tweak else {
            return Ok(best);
        };
        let lanes = match place.lane {
            Some(lane) => lane..lane + 1,
            None => 0..self.trial.lanes,
        };
        for step in STEPS {
            let mut numeric = 0.0;
            for lane in lanes.clone() {
                numeric += program.derivative(lane, tweak, step * quantity.size)?;
            }
            let error = relative_error(place.analytic, numeric, floor);
            if error < best.1 || best.0.is_nan() {
                best = (numeric, error);
            }
            if best.1 <= GOOD {
                break;
            }
        }
        Ok(best)
    }

    /// Compares with the optimised kernels.
    fn optimised(&self, derived: &Gradients, optimised: &Gradients) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut left = self.kinds(derived);
        let mut right = self.kinds(optimised);
        left.push(self.observed(derived));
        right.push(self.observed(optimised));
        for (left, right) in left.iter().zip(right) {
            let floor = self.floor(left);
            for (quantity, other) in left.iter().zip(&right) {
                let mut worst = None;
                for (place, other) in quantity.places.iter().zip(&other.places) {
                    let error =
                        relative_error(place.analytic, other.analytic, floor / quantity.size);
                    keep_worst(&mut worst, place, other.analytic, error);
                }
                entries.extend(worst.map(|w| w.entry(Against::Optimised, quantity)));
            }
        }
        entries
    }

    /// The quantities of a gradient: parameters, initial states and ports.
    fn kinds(&self, gradients: &Gradients) -> Vec<Vec<Quantity>> {
        vec![
            self.params(gradients),
            self.init(gradients),
            self.ports(gradients),
        ]
    }

    fn params(&self, gradients: &Gradients) -> Vec<Quantity> {
        let params = self.neuron.params.iter().enumerate();
        params
            .map(|(i, param)| {
                let slot = Slot::new(Role::Param, param.name.as_str());
                let lanes = gradients.params.iter().map(|lane| lane[i]);
                let places = if self.is_lane(&slot) {
                    places(lanes, None, Some(Tweak::Param(i)))
                } else {
                    vec![Place {
                        analytic: lanes.sum(),
                        lane: None,
                        step: None,
                        tweak: Some(Tweak::Param(i)),
                    }]
                };
                let value = self.trial.params[i].abs();
                Quantity {
                    slot,
                    size: if value > 0.0 { value } else { 1.0 },
                    places,
                }
            })
            .collect()
    }

    /// Whether a parameter has a value for each lane.
    fn is_lane(&self, param: &Slot) -> bool {
        let kernels = [&self.neuron.step, &self.neuron.init];
        let mut inputs = kernels.into_iter().flat_map(Kernel::inputs);
        inputs.any(|(_, input)| input.slot == *param && input.rate == Rate::Lane)
    }

    fn init(&self, gradients: &Gradients) -> Vec<Quantity> {
        let visible = self.neuron.states.iter().filter(|s| !is_internal(&s.name));
        visible
            .enumerate()
            .map(|(i, state)| Quantity {
                slot: Slot::new(Role::Init, state.name.as_str()),
                size: self.trial.state_size[i],
                places: places(
                    gradients.init.iter().map(|lane| lane[i]),
                    None,
                    Some(Tweak::Init(i)),
                ),
            })
            .collect()
    }

    fn ports(&self, gradients: &Gradients) -> Vec<Quantity> {
        let ports = self.neuron.ports.iter().enumerate();
        ports
            .map(|(i, port)| {
                let at = |t: usize| {
                    let tweak = Tweak::Port { step: t, port: i };
                    places(
                        gradients.ports.iter().map(|l| l[t][i]),
                        Some(t),
                        Some(tweak),
                    )
                };
                Quantity {
                    slot: Slot::new(Role::Port, port.name.as_str()),
                    size: self.trial.port_size,
                    places: (0..self.trial.steps).flat_map(at).collect(),
                }
            })
            .collect()
    }

    /// States and spikes themselves.
    fn observed(&self, gradients: &Gradients) -> Vec<Quantity> {
        let states = self.neuron.states.iter().filter(|s| !is_internal(&s.name));
        let states = states.map(|s| Slot::new(Role::State, s.name.as_str()));
        let spikes = self.neuron.spikes.iter();
        let spikes = spikes.map(|s| Slot::new(Role::Spike, s.as_str()));
        states
            .chain(spikes)
            .enumerate()
            .map(|(i, slot)| {
                let at =
                    |t: usize| places(gradients.observed.iter().map(|l| l[t][i]), Some(t), None);
                Quantity {
                    slot,
                    // Here the number is the value, not a derivative by it.
                    size: 1.0 / self.trial.state_size.get(i).unwrap_or(&1.0),
                    places: (0..self.trial.steps).flat_map(at).collect(),
                }
            })
            .collect()
    }

    /// A thousandth of the largest gradient of a kind per size, and not less than what differences resolve.
    fn floor(&self, kind: &[Quantity]) -> f64 {
        let largest = kind
            .iter()
            .flat_map(|q| q.places.iter().map(|p| (p.analytic * q.size).abs()))
            .fold(0.0, f64::max);
        let resolved = 1e-2 * self.trial.loss_size / self.trial.lanes.max(1) as f64;
        1e-3 * largest.max(resolved)
    }
}

/// One place for each lane.
fn places(
    lanes: impl Iterator<Item = f64>,
    step: Option<usize>,
    tweak: Option<Tweak>,
) -> Vec<Place> {
    let place = |(lane, analytic)| Place {
        analytic,
        lane: Some(lane),
        step,
        tweak,
    };
    lanes.enumerate().map(place).collect()
}

fn relative_error(a: f64, n: f64, floor: f64) -> f64 {
    if a == n {
        return 0.0;
    }
    let error = (a - n).abs() / (a.abs().max(n.abs()) + floor);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// The worst place so far.
struct Worst {
    analytic: f64,
    numeric: f64,
    error: f64,
    lane: Option<usize>,
    step: Option<usize>,
    places: usize,
}

fn keep_worst(worst: &mut Option<Worst>, place: &Place, numeric: f64, error: f64) {
    let places = worst.as_ref().map_or(0, |w| w.places) + 1;
    match worst {
        Some(w) if w.error >= error => w.places = places,
        Some(_) | None => {
            *worst = Some(Worst {
                analytic: place.analytic,
                numeric,
                error,
                lane: place.lane,
                step: place.step,
                places,
            });
        }
    }
}

impl Worst {
    fn entry(self, against: Against, quantity: &Quantity) -> Entry {
        Entry {
            against,
            slot: quantity.slot.clone(),
            analytic: self.analytic,
            numeric: self.numeric,
            error: self.error,
            lane: self.lane,
            step: self.step,
            places: self.places,
        }
    }
}
