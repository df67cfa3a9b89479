//! One lane's memory: a number for every slot, and kernels bound to it.
//!
//! A kernel reads and writes its arguments by slot, so in-place updates of states and the sums of
//! adjoints are just two kernels that know the same slot. Booleans are 0 and 1, or between in a smoothed
//! program.

use std::collections::BTreeMap;

use crate::executor::CallError;
use crate::interp::{Spiking, evaluate};
use crate::kernel::{Kernel, Slot, Value};

/// Where each slot lives in a lane's memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    index: BTreeMap<Slot, usize>,
}

impl Slots {
    /// The place of a slot; a new one where it has none.
    pub(super) fn place(&mut self, slot: &Slot) -> usize {
        let next = self.index.len();
        *self.index.entry(slot.clone()).or_insert(next)
    }

    /// The number of places.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// A kernel with its arguments placed.
    pub(super) fn bind<'k>(&mut self, kernel: &'k Kernel) -> Bound<'k> {
        let inputs = kernel.inputs().map(|(_, i)| self.place(&i.slot)).collect();
        let outputs = kernel
            .outputs
            .iter()
            .map(|o| (self.place(&o.slot), o.value))
            .collect();
        Bound {
            kernel,
            inputs,
            outputs,
        }
    }
}

/// A kernel whose arguments are places in a lane's memory.
#[derive(Clone, Debug)]
pub(super) struct Bound<'k> {
    kernel: &'k Kernel,
    inputs: Vec<usize>,
    outputs: Vec<(usize, Value)>,
}

impl Bound<'_> {
    /// Runs the kernel for one lane.
    pub(super) fn call(&self, lane: &mut [f64], mut spiking: Spiking<'_>) -> Result<(), CallError> {
        let values = evaluate(self.kernel, &mut |i| lane[self.inputs[i]], &mut spiking)?;
        for &(place, value) in &self.outputs {
            lane[place] = values[value.index()];
        }
        Ok(())
    }
}
