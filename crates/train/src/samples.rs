//! The data of a training plan: loaded, split, checked against the network, and encoded.
//!
//! Encodings without randomness are kept from epoch to epoch as long as they fit into a budget; random ones are
//! made anew for every epoch from seed, epoch and sample.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rheobase_data::{
    Dataset, EncodeKey, Encoded, SpikeTrain, Targets, group_holdout, k_fold, stratified_holdout,
};
use rheobase_ir::program::{Network, Split, Training};

use crate::damage::Damage;
use crate::error::TrainError;
use crate::notice::Notice;
use crate::preparation::Preparation;
use crate::source::{Steps, open};

/// Encoded samples are kept while all of them together take less than this.
const KEPT_BYTES: usize = 512 << 20;

/// Which samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subset {
    /// Those that are trained on.
    Train,
    /// Those that choose the best weights.
    Valid,
    /// Those of the final accuracy.
    Test,
}

impl Subset {
    /// The name in files: `train`, `valid`, `test`.
    pub fn name(self) -> &'static str {
        match self {
            Subset::Train => "train",
            Subset::Valid => "valid",
            Subset::Test => "test",
        }
    }

    /// The subset of a name.
    pub(crate) fn named(name: &str) -> Option<Subset> {
        let all = [Subset::Train, Subset::Valid, Subset::Test];
        all.into_iter().find(|subset| subset.name() == name)
    }
}

/// Samples of one data set, by their indices in it.
struct Part {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
    kept: Vec<OnceLock<SpikeTrain>>,
    keep: bool,
}

/// Indices into a data set.
type Chosen = (Arc<dyn Dataset>, Vec<usize>);

/// The samples of a plan.
pub struct Samples {
    train: Part,
    valid: Option<Part>,
    test: Option<Part>,
    preparation: Preparation,
    steps: usize,
    step_s: f64,
    seed: u64,
    /// Training samples that lost events outside the duration in the first epoch, and how many events.
    cut: (AtomicUsize, AtomicUsize),
    /// Samples that could not be read.
    pub(crate) damage: Damage,
    /// Whether encoded samples are not kept from epoch to epoch.
    forget: AtomicBool,
}

/// How many samples are encoded to see how large they are.
const MEASURED: usize = 8;

/// Opens the data of a plan. Relative paths start at `base`.
///
/// # Errors
///
/// A file is missing or damaged, or the data does not fit the network.
pub fn load(network: &Network, plan: &Training, base: &Path) -> Result<Samples, TrainError> {
    let steps = Steps {
        count: plan.steps,
        step_ms: network.step_ms,
    };
    let preparation = Preparation::new(plan);
    let dataset = open(&plan.data, steps, base)?;
    fits(network, plan, &preparation, dataset.as_ref())?;
    let mut train: Vec<usize> = (0..dataset.len()).collect();
    let labels =
        |indices: &[usize]| -> Vec<u32> { indices.iter().map(|&i| dataset.label(i)).collect() };
    let mut held_out = |split: &Option<Split>| -> Result<Option<Chosen>, TrainError> {
        Ok(match split {
            None => None,
            Some(Split::Dataset(source)) => {
                let other = open(source, steps, base)?;
                fits(network, plan, &preparation, other.as_ref())?;
                let all = (0..other.len()).collect();
                Some((other, all))
            }
            Some(Split::Holdout { fraction, seed }) => {
                let parts = stratified_holdout(&labels(&train), *fraction, *seed);
                Some((dataset.clone(), take(&mut train, parts)))
            }
            Some(Split::GroupHoldout { fraction, seed }) => {
                let parts = group_holdout(&groups(dataset.as_ref(), &train)?, *fraction, *seed);
                Some((dataset.clone(), take(&mut train, parts)))
            }
            Some(Split::Fold { index, of, seed }) => {
                let parts = k_fold(&labels(&train), *of, *index, *seed);
                Some((dataset.clone(), take(&mut train, parts)))
            }
        })
    };
    // Test samples are taken out first, so that choosing another validation split leaves them alone.
    let test = held_out(&plan.test)?;
    let valid = held_out(&plan.valid)?;
    let part = |(dataset, indices)| Part::new(dataset, indices, preparation.is_fixed(false));
    let samples = Samples {
        train: Part::new(dataset.clone(), train, preparation.is_fixed(true)),
        valid: valid.map(part),
        test: test.map(part),
        preparation,
        steps: plan.steps,
        step_s: network.step_ms * 1e-3,
        seed: plan.seed,
        cut: (AtomicUsize::new(0), AtomicUsize::new(0)),
        damage: Damage::default(),
        forget: AtomicBool::new(false),
    };
    if samples.train.indices.is_empty() {
        return Err(TrainError::Plan(
            "no samples are left to train on; hold out a smaller fraction".into(),
        ));
    }
    Ok(samples)
}

/// Takes the second of two parts out of `train`; both are positions in it. Returns what it took.
fn take(train: &mut Vec<usize>, (rest, held): (Vec<usize>, Vec<usize>)) -> Vec<usize> {
    let held = held.into_iter().map(|i| train[i]).collect();
    *train = rest.into_iter().map(|i| train[i]).collect();
    held
}

/// The group (speaker) of each of some samples.
fn groups(dataset: &dyn Dataset, indices: &[usize]) -> Result<Vec<u32>, TrainError> {
    let groups: Option<Vec<u32>> = indices.iter().map(|&i| dataset.group(i)).collect();
    groups.ok_or_else(|| {
        let name = dataset.name();
        TrainError::Plan(format!(
            "{name} does not say which group (speaker) a sample belongs to; use `holdout`"
        ))
    })
}

fn fits(
    network: &Network,
    plan: &Training,
    preparation: &Preparation,
    dataset: &dyn Dataset,
) -> Result<(), TrainError> {
    let [input] = &network.inputs[..] else {
        return Err(TrainError::Plan(format!(
            "training needs a network with one input, `{}` has {}",
            network.name,
            network.inputs.len()
        )));
    };
    let channels: usize = input.shape.iter().product();
    let found = preparation.channels(dataset.shape());
    if found as usize != channels {
        let name = dataset.name();
        return Err(TrainError::Plan(format!(
            "{name}, encoded, has {found} channels, `{}` has {channels}",
            input.name
        )));
    }
    let (name, classes) = (dataset.name(), dataset.n_classes() as usize);
    let units = plan.objective.label_units();
    if let Some(units) = units.filter(|&units| classes > units) {
        return Err(TrainError::Plan(format!(
            "{name} has {classes} classes, the loss reads them from {units} units"
        )));
    }
    if units.is_some() && classes == 0 {
        return Err(TrainError::Plan(format!(
            "{name} has no classes, but the loss reads `label`"
        )));
    }
    match (plan.objective.target_units(), dataset.n_targets() as usize) {
        (None, _) => {}
        (Some(_), 0) => {
            return Err(TrainError::Plan(format!(
                "{name} has no targets over time, but the loss reads `target`"
            )));
        }
        (Some(units), found) if units != found => {
            return Err(TrainError::Plan(format!(
                "the targets of {name} have {found} units, the layer that the loss compares them with has {units}"
            )));
        }
        (Some(_), _) => {}
    }
    Ok(())
}

impl Part {
    fn new(dataset: Arc<dyn Dataset>, indices: Vec<usize>, keep: bool) -> Part {
        let kept = indices.iter().map(|_| OnceLock::new()).collect();
        Part {
            dataset,
            indices,
            kept,
            keep,
        }
    }

    /// Whether its samples are kept, if they are of this size.
    fn keeps(&self, bytes: usize) -> bool {
        self.keep && bytes * self.indices.len() < KEPT_BYTES
    }
}

/// The bytes of an encoded sample.
fn bytes(train: &SpikeTrain) -> usize {
    let numbers = if train.values().is_some() { 2 } else { 1 };
    size_of_val(train.offsets()) + numbers * size_of_val(train.indices())
}

impl Samples {
    /// The names of the classes, if the data set has any.
    pub fn class_names(&self) -> &[String] {
        &self.train.dataset.card().class_names
    }

    /// The number of units of targets over time; 0 for a data set without any.
    pub fn target_units(&self) -> usize {
        self.train.dataset.n_targets() as usize
    }

    /// How many damaged samples were left out so far.
    pub fn left_out(&self) -> usize {
        self.damage.count()
    }

    /// What was left out since the last call: file, index and reason of each sample.
    pub fn newly_left_out(&self) -> Vec<String> {
        self.damage.news()
    }

    /// [`Samples::input`]; `None` for a damaged sample that is left out.
    ///
    /// # Errors
    ///
    /// As there, if nothing is to be left out.
    pub fn readable(
        &self,
        subset: Subset,
        i: usize,
        epoch: usize,
    ) -> Result<Option<Input<'_>>, TrainError> {
        let place = (subset, self.original(subset, i));
        self.damage
            .unless_left_out(place, || self.input(subset, i, epoch))
    }

    /// [`Samples::target`]; `None` for a damaged sample that is left out.
    pub(crate) fn readable_target(
        &self,
        subset: Subset,
        i: usize,
    ) -> Result<Option<Vec<f32>>, TrainError> {
        let place = (subset, self.original(subset, i));
        self.damage
            .unless_left_out(place, || self.target(subset, i))
    }

    /// The number of samples of a subset; 0 if the plan has none.
    pub fn len(&self, subset: Subset) -> usize {
        self.part(subset).map_or(0, |p| p.indices.len())
    }

    /// Whether a subset has no samples.
    pub fn is_empty(&self, subset: Subset) -> bool {
        self.len(subset) == 0
    }

    /// The index in the data set of a sample of a subset.
    pub fn original(&self, subset: Subset, i: usize) -> usize {
        self.part(subset).map_or(0, |p| p.indices[i])
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The label of a sample of a subset.
    pub fn label(&self, subset: Subset, i: usize) -> u32 {
        self.part(subset)
            .map_or(0, |p| p.dataset.label(p.indices[i]))
    }

    /// The target over time of a sample of a subset, `steps · units`.
    ///
    /// # Errors
    ///
    /// The data set has none, or it is not as long as the sample.
    pub fn target(&self, subset: Subset, i: usize) -> Result<Vec<f32>, TrainError> {
        let part = self
            .part(subset)
            .ok_or_else(|| TrainError::Plan("the plan has no such samples".into()))?;
        let index = part.indices[i];
        let name = part.dataset.name();
        let (values, steps) = match part.dataset.targets(index)? {
            Some(Targets::Values { values, units }) => {
                let steps = values.len() / (units as usize).max(1);
                (values, steps)
            }
            Some(Targets::Spikes(train)) => (train.to_dense().into_iter().collect(), train.steps()),
            None => {
                return Err(TrainError::Plan(format!(
                    "sample {index} of {name} has no target over time"
                )));
            }
        };
        if steps != self.steps {
            return Err(TrainError::Plan(format!(
                "the target of sample {index} of {name} has {steps} steps, the duration is {}",
                self.steps
            )));
        }
        Ok(values)
    }

    /// What the first epoch had to leave out.
    pub(crate) fn notice(&self) -> Option<Notice> {
        let samples = self.cut.0.load(Ordering::Relaxed);
        let events = self.cut.1.load(Ordering::Relaxed);
        let of = self.len(Subset::Train);
        (samples > 0).then_some(Notice::EventsCut {
            samples,
            of,
            events,
        })
    }

    fn part(&self, subset: Subset) -> Option<&Part> {
        match subset {
            Subset::Train => Some(&self.train),
            Subset::Valid => self.valid.as_ref(),
            Subset::Test => self.test.as_ref(),
        }
    }

    /// What the noise of a sample of a subset depends on in an epoch.
    pub fn key(&self, subset: Subset, i: usize, epoch: usize) -> u64 {
        let index = self.part(subset).map_or(i, |part| part.indices[i]);
        rheobase_ir::draws::sample_key(self.seed, epoch as u64, index as u64)
    }

    /// The bytes that encoded samples take when batches of so many are trained on: all of them, if those that are kept
    /// are, and otherwise, with `forget`, those that are prepared at once or evaluated at once. From the size of some
    /// samples.
    pub(crate) fn planned_bytes(&self, at_once: usize, forget: bool) -> usize {
        let parts = [Subset::Train, Subset::Valid, Subset::Test];
        let parts = parts
            .into_iter()
            .filter_map(|subset| Some((subset, self.part(subset)?)));
        let (mut kept, mut passing) = (0, 0);
        for (subset, part) in parts {
            let every = part.indices.len().div_ceil(MEASURED).max(1);
            let some = (0..part.indices.len()).step_by(every);
            let sizes: Vec<usize> = some
                .filter_map(|i| self.encode(part, i, 0, subset == Subset::Train).ok())
                .map(|encoded| bytes(&encoded.train))
                .collect();
            let size = sizes.iter().sum::<usize>() / sizes.len().max(1);
            if part.keeps(size) && !forget {
                kept += size * part.indices.len();
            } else {
                passing = passing.max(size * at_once.min(part.indices.len()));
            }
        }
        kept + passing
    }

    /// Encoded samples are made anew for every batch from now on, or kept.
    pub(crate) fn forget(&self, forget: bool) {
        self.forget.store(forget, Ordering::Relaxed);
    }

    fn encode(
        &self,
        part: &Part,
        i: usize,
        epoch: usize,
        training: bool,
    ) -> Result<Encoded, TrainError> {
        let index = part.indices[i];
        let raw = part.dataset.get(index)?;
        let key = EncodeKey {
            seed: self.seed,
            epoch: epoch as u64,
            sample: index as u64,
        };
        let (shape, steps) = (part.dataset.shape(), (self.steps, self.step_s));
        let encoded = self.preparation.apply(raw, shape, steps, key, training);
        encoded.map_err(|error| error.in_dataset(part.dataset.name()).into())
    }

    /// The encoded input of a sample of a subset in an epoch.
    ///
    /// # Errors
    ///
    /// The sample is damaged or does not fit the encoder.
    pub fn input(&self, subset: Subset, i: usize, epoch: usize) -> Result<Input<'_>, TrainError> {
        let part = self
            .part(subset)
            .ok_or_else(|| TrainError::Plan("the plan has no such samples".into()))?;
        if let Some(kept) = part.kept[i].get() {
            return Ok(Input::Kept(kept));
        }
        let encoded = self.encode(part, i, epoch, subset == Subset::Train)?;
        if subset == Subset::Train && epoch == 0 && encoded.dropped > 0 {
            self.cut.0.fetch_add(1, Ordering::Relaxed);
            self.cut.1.fetch_add(encoded.dropped, Ordering::Relaxed);
        }
        let train = encoded.train;
        if !self.forget.load(Ordering::Relaxed) && part.keeps(bytes(&train)) {
            return Ok(Input::Kept(part.kept[i].get_or_init(|| train)));
        }
        Ok(Input::Made(train))
    }
}

/// An encoded sample, kept or made for this batch.
#[derive(Debug)]
pub enum Input<'a> {
    /// Kept for all epochs.
    Kept(&'a SpikeTrain),
    /// Made now.
    Made(SpikeTrain),
}

impl std::ops::Deref for Input<'_> {
    type Target = SpikeTrain;

    fn deref(&self) -> &SpikeTrain {
        match self {
            Input::Kept(train) => train,
            Input::Made(train) => train,
        }
    }
}
