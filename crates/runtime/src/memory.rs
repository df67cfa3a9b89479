//! How much memory a training step takes, and how to make do with less: planned before it is allocated.
//!
//! First the tape gets shorter, down to one block: steps run forward twice, every bit stays. Then fewer
//! groups of samples are in memory at once: slower on several threads, every bit stays. Then groups get
//! smaller, which changes the order in which gradients are added, so it comes last.
//!
//! A network with normalisations has no choice: all groups are in memory, with a whole tape (`phases.rs`).
//!
//! What is counted: all rows of the groups, the states at the beginning of blocks, lists of spikes if one
//! neuron in [`SPIKING`] spikes in a step, memory for products, parameters with their gradients and moments, and what
//! the caller says that it keeps beside (samples, traces). What is not: files that a reader of data keeps open or whole,
//! the program and its code. `tests/allocations.rs` compares the plan with what is allocated.

use rheobase_ir::program::{Bptt, Checkpoint};

use crate::backend::Float;
use crate::blocks::{Footprint, TimePlan};
use crate::simulator::{GROUP, MOST_SUMS, Simulator};

/// One neuron in so many is taken to spike in a step.
pub(crate) const SPIKING: usize = 8;

/// Copies of the parameters beside the sums of gradients: values, two moments of an optimiser, the
/// orders in which the time loop reads them, and the gradient.
const COPIES: usize = 6;

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The steps of a sample.
    pub steps: usize,
    /// The samples of a batch.
    pub batch: usize,
    /// The threads there are.
    pub threads: usize,
    /// What the program says about the gradient.
    pub gradient: Bptt,
    /// The bytes that are in memory beside the simulator whatever the plan: samples, and what a loss keeps of traces.
    pub fixed: usize,
    /// The bytes that may be used; `None` for any number.
    pub limit: Option<u64>,
}

/// How a training step uses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Tape and groups, for [`Simulator::set_time`].
    pub time: TimePlan,
    /// The threads, each with a group of samples in memory.
    pub threads: usize,
    /// The samples of a group.
    pub samples: usize,
    /// The groups that are in memory at once.
    pub groups: usize,
    /// What a group takes.
    pub group: Footprint,
    /// Parameters, their gradients and moments, in bytes.
    pub parameters: usize,
    /// See [`Load::fixed`].
    pub fixed: usize,
}

impl MemoryPlan {
    /// All of it, in bytes.
    pub fn total(&self) -> usize {
        self.group
            .total()
            .saturating_mul(self.groups)
            .saturating_add(self.parameters)
            .saturating_add(self.fixed)
    }
}

impl<R: Float> Simulator<R> {
    /// The plan that is fastest within the limit.
    ///
    /// # Errors
    ///
    /// No plan is within the limit: the one that takes least.
    pub fn plan_memory(&self, load: &Load) -> Result<MemoryPlan, MemoryPlan> {
        let mut least = None;
        for group in [GROUP, GROUP / 2, GROUP / 4, GROUP / 8, 1] {
            for threads in (1..=load.threads.clamp(1, MOST_SUMS)).rev() {
                let plan = self.plan_tape(load, group, threads);
                if load.limit.is_none_or(|limit| plan.total() as u64 <= limit) {
                    // More threads than groups do no harm and need no memory.
                    let all = threads == load.threads.clamp(1, MOST_SUMS);
                    let threads = if all { load.threads } else { threads };
                    return Ok(MemoryPlan { threads, ..plan });
                }
                least = Some(plan);
            }
        }
        Err(least.expect("the loops run at least once"))
    }

    /// The longest tape within the limit for these groups, or one block.
    fn plan_tape(&self, load: &Load, group: usize, threads: usize) -> MemoryPlan {
        let plan = |tape: Option<usize>| {
            let time = TimePlan {
                truncate: load.gradient.truncate,
                tape,
                group,
            };
            let samples = time.samples(load.batch).min(load.batch);
            let groups = load.batch.div_ceil(samples.max(1));
            let numbers: usize = self.parameters().values.iter().map(Vec::len).sum();
            // One thread adds each sum to the total before it begins the next (`parallel::map_and_fold`).
            let sums = match (self.norms.is_empty(), threads) {
                (true, 1) => 2,
                (true, _) | (false, _) => MOST_SUMS,
            };
            let copies = groups.min(sums) + COPIES;
            MemoryPlan {
                time,
                threads,
                samples,
                groups: match self.norms.is_empty() {
                    true => groups.min(threads),
                    // They wait for each other.
                    false => groups,
                },
                group: self.footprint(load.steps, samples, time),
                parameters: numbers.saturating_mul(size_of::<R>() * copies),
                fixed: load.fixed,
            }
        };
        match (load.gradient.checkpoint, load.limit) {
            (Checkpoint::None, _) | (Checkpoint::Auto, None) => plan(None),
            (Checkpoint::Steps(steps), _) => plan(Some(steps)),
            (Checkpoint::Auto, Some(limit)) => {
                let whole = plan(None);
                if whole.total() as u64 <= limit {
                    return whole;
                }
                // The longest tape that fits is between `fits` and `over`.
                let (mut fits, mut over) = (1, load.steps.max(1));
                while over - fits > 1 {
                    let middle = fits.midpoint(over);
                    if plan(Some(middle)).total() as u64 <= limit {
                        fits = middle;
                    } else {
                        over = middle;
                    }
                }
                plan(Some(fits))
            }
        }
    }
}
