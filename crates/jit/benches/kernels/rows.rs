//! The rows that a kernel is called on, and how long a call takes.

use std::time::Instant;

use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Kernel, Param};
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::{Compiled, Lane, Target, compile};

/// Lanes of a row: 4 KiB of `f32`.
pub(crate) const LANES: usize = 1024;

/// A compiled kernel and rows for it.
pub(crate) struct Rows<R> {
    compiled: Compiled<R>,
    signature: Vec<Param>,
    reals: Vec<Vec<R>>,
    bools: Vec<Vec<u8>>,
}

impl<R: Lane> Rows<R> {
    /// Compiles a kernel; its rows hold numbers between 0 and 1.
    pub(crate) fn new(kernel: &Kernel) -> Rows<R> {
        let compiled = compile::<R>(kernel, &Target::host()).expect("verified");
        let signature = compiled.signature().to_vec();
        let value = |lane, i| R::from_f64(((lane * 7919 + i * 31) % 1000) as f64 / 1000.0 + 0.01);
        let length = |param: &Param| match param.rate {
            Rate::Uniform => 1,
            Rate::Lane => LANES,
        };
        let row = |(i, p)| (0..length(p)).map(|lane| value(lane, i)).collect();
        Rows {
            reals: signature.iter().enumerate().map(row).collect(),
            bools: signature.iter().map(|p| vec![0; length(p)]).collect(),
            compiled,
            signature,
        }
    }

    /// The numbers of a slot, by its text.
    pub(crate) fn real(&self, slot: &str) -> &[R] {
        let place = self
            .signature
            .iter()
            .position(|p| p.slot.to_string() == slot);
        &self.reals[place.expect("the kernel has the slot")]
    }

    /// Calls the kernel.
    pub(crate) fn call(&mut self) {
        let rows = self.reals.iter_mut().zip(&mut self.bools);
        let mut args: Vec<Arg<'_, R>> = rows
            .zip(&self.signature)
            .map(|((real, bool), param)| match param.ty {
                Type::Real => Arg::RealMut(real),
                Type::Bool => Arg::BoolMut(bool),
            })
            .collect();
        let call = self.compiled.call(LANES, &mut args);
        call.expect("the signature is met");
    }

    /// Nanoseconds per lane of a call.
    pub(crate) fn time(&mut self) -> f64 {
        best(300, 20, || self.call()) * 1e9 / LANES as f64
    }
}

/// Nanoseconds for each byte that is read or written when a row is copied.
pub(crate) fn floor() -> f64 {
    let (from, mut to) = (vec![1.0f32; LANES], vec![0.0f32; LANES]);
    let copy = best(300, 100, || {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
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
