//! The rows that a kernel is called on, and how long a call takes.

use std::time::Instant;

use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Kernel, Param, Slot};
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::{Compiled, Lane, Target, compile};

/// Lanes of a row that is in the first cache: 4 KiB of `f32`.
pub(crate) const LANES: usize = 1024;

/// Numbers that start at a cache line, each row at another distance from a page than the others, as rows of a simulation
/// do: rows of whole pages in a row would get in each other's way.
pub(crate) struct Row<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy> Row<T> {
    /// The row of a number.
    pub(crate) fn new(number: usize, values: &[T]) -> Row<T> {
        const LINE: usize = 64;
        let lines = (number * 11) % 64 + 1;
        let slack = LINE * (lines + 1) / size_of::<T>();
        let mut storage = vec![values[0]; values.len() + slack];
        let start = storage.as_ptr().align_offset(LINE) + LINE * lines / size_of::<T>();
        storage[start..start + values.len()].copy_from_slice(values);
        Row {
            storage,
            start,
            len: values.len(),
        }
    }

    /// Its numbers.
    pub(crate) fn values(&self) -> &[T] {
        &self.storage[self.start..self.start + self.len]
    }

    /// Its numbers, to be changed.
    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

/// A compiled kernel and rows for it.
pub(crate) struct Rows<R> {
    compiled: Compiled<R>,
    lanes: usize,
    signature: Vec<Param>,
    reals: Vec<Row<R>>,
    bools: Vec<Row<u8>>,
}

impl<R: Lane> Rows<R> {
    /// Compiles a kernel; its rows hold numbers between 0 and 1.
    pub(crate) fn new(kernel: &Kernel, lanes: usize) -> Rows<R> {
        Rows::of(kernel, lanes, |_, number, lane| scattered(number, lane))
    }

    /// Compiles a kernel; its rows hold the value of a slot, with its number, at a lane.
    pub(crate) fn of(
        kernel: &Kernel,
        lanes: usize,
        value: impl Fn(&Slot, usize, usize) -> f64,
    ) -> Rows<R> {
        let compiled = compile::<R>(kernel, &Target::host()).expect("verified");
        let signature = compiled.signature().to_vec();
        let length = |param: &Param| match param.rate {
            Rate::Uniform => 1,
            Rate::Lane => lanes,
        };
        let numbers = |(i, p): (usize, &Param)| -> Vec<f64> {
            let lanes = 0..length(p);
            lanes.map(|lane| value(&p.slot, i, lane)).collect()
        };
        let numbers: Vec<Vec<f64>> = signature.iter().enumerate().map(numbers).collect();
        let reals = numbers.iter().enumerate().map(|(i, row)| {
            let row: Vec<R> = row.iter().map(|&x| R::from_f64(x)).collect();
            Row::new(i, &row)
        });
        let bools = numbers.iter().enumerate().map(|(i, row)| {
            let row: Vec<u8> = row.iter().map(|&x| u8::from(x > 0.5)).collect();
            Row::new(i, &row)
        });
        Rows {
            lanes,
            reals: reals.collect(),
            bools: bools.collect(),
            compiled,
            signature,
        }
    }

    /// The number of lanes.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    fn place(&self, slot: &str) -> usize {
        let mut slots = self.signature.iter().map(|p| p.slot.to_string());
        let place = slots.position(|found| found == slot);
        place.expect("the kernel has the slot")
    }

    /// The numbers of a slot, by its text.
    pub(crate) fn real(&self, slot: &str) -> &[R] {
        self.reals[self.place(slot)].values()
    }

    /// Every slot with its numbers; booleans are 0 and 1.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Slot, Vec<f64>)> {
        let rows = self.reals.iter().zip(&self.bools);
        rows.zip(&self.signature)
            .map(|((real, bool), param)| match param.ty {
                Type::Real => (param.slot.clone(), to_f64(real.values())),
                Type::Bool => {
                    let values = bool.values().iter().map(|&x| f64::from(x));
                    (param.slot.clone(), values.collect())
                }
                Type::Bf16 => unreachable!("the tape is whole"),
            })
    }

    /// Puts the numbers of updated rows back to what a function of slot, number and lane says.
    pub(crate) fn reset(&mut self, value: impl Fn(&Slot, usize, usize) -> f64) {
        for (i, (row, param)) in self.reals.iter_mut().zip(&self.signature).enumerate() {
            if param.access == Access::Update {
                let values = row.values_mut().iter_mut().enumerate();
                values.for_each(|(lane, x)| *x = R::from_f64(value(&param.slot, i, lane)));
            }
        }
    }

    /// Calls the kernel.
    pub(crate) fn call(&mut self) {
        self.calls()();
    }

    /// What calls the kernel each time it is called: the arguments are put together once.
    pub(crate) fn calls(&mut self) -> impl FnMut() + use<'_, R> {
        let rows = self.reals.iter_mut().zip(&mut self.bools);
        let mut args: Vec<Arg<'_, R>> = rows
            .zip(&self.signature)
            .map(|((real, bool), param)| match param.ty {
                Type::Real => Arg::RealMut(real.values_mut()),
                Type::Bool => Arg::BoolMut(bool.values_mut()),
                Type::Bf16 => unreachable!("the tape is whole"),
            })
            .collect();
        let (compiled, lanes) = (&self.compiled, self.lanes);
        move || {
            let call = compiled.call(lanes, &mut args);
            call.expect("the signature is met");
        }
    }

    /// Nanoseconds per lane of a call.
    pub(crate) fn time(&mut self) -> f64 {
        let lanes = self.lanes;
        let [repetitions, runs] = repeated(lanes);
        best(repetitions, runs, self.calls()) * 1e9 / lanes as f64
    }
}

/// A number between 0 and 1.
pub(crate) fn scattered(number: usize, lane: usize) -> f64 {
    ((lane * 7919 + number * 31) % 1000) as f64 / 1000.0 + 0.01
}

fn to_f64<R: Lane>(row: &[R]) -> Vec<f64> {
    row.iter().map(|x| x.to_f64()).collect()
}

/// How often to repeat so many runs of rows of this length.
pub(crate) fn repeated(lanes: usize) -> [usize; 2] {
    if lanes > 1 << 16 { [30, 1] } else { [300, 20] }
}

/// Nanoseconds for each byte that is read or written when a row is copied.
pub(crate) fn floor() -> f64 {
    let (from, mut to) = (Row::new(0, &[1.0f32; LANES]), Row::new(3, &[0.0f32; LANES]));
    let copy = best(300, 100, || {
        to.values_mut()
            .copy_from_slice(std::hint::black_box(from.values()));
        std::hint::black_box(to.values_mut());
    });
    copy * 1e9 / (2 * LANES * size_of::<f32>()) as f64
}

/// The bytes of a lane that a kernel reads and writes.
pub(crate) fn bytes<R: Lane>(kernel: &Kernel) -> usize {
    let signature = kernel.signature().into_iter();
    let one = |param: Param| {
        let times = if param.access == Access::Update { 2 } else { 1 };
        times
            * match param.ty {
                Type::Real => size_of::<R>(),
                Type::Bool => 1,
                Type::Bf16 => 2,
            }
    };
    signature.filter(|p| p.rate == Rate::Lane).map(one).sum()
}

/// The shortest time of one run in seconds, over repetitions of so many runs.
pub(crate) fn best(repetitions: usize, runs: usize, mut run: impl FnMut()) -> f64 {
    (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            (0..runs).for_each(|_| run());
            start.elapsed().as_secs_f64() / runs as f64
        })
        .fold(f64::INFINITY, f64::min)
}
