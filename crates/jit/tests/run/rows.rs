//! Rows for calling a kernel by its signature, and comparing what two executors made of them.

use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Kernel};
use rheobase_ir::real::{from_bf16, to_bf16};
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::Lane;

use crate::ulps::close;

/// The elements of one argument.
#[derive(Clone, Debug)]
pub(crate) enum Row<R> {
    Real(Vec<R>),
    Bool(Vec<u8>),
    Bf16(Vec<u16>),
}

/// One row for each entry of a signature, and whether it is written.
#[derive(Clone, Debug)]
pub(crate) struct Rows<R> {
    pub(crate) rows: Vec<(Row<R>, Access)>,
}

impl<R: Lane> Rows<R> {
    /// Rows filled by argument and lane; rows that are only written start with a value that shows.
    /// Each row is longer than the lanes, and starts off the alignment of a register.
    pub(crate) fn new(
        kernel: &Kernel,
        lanes: usize,
        value: impl Fn(usize, usize) -> f64,
    ) -> Rows<R> {
        let rows = kernel
            .signature()
            .iter()
            .enumerate()
            .map(|(i, param)| {
                let n = match param.rate {
                    Rate::Uniform => 1,
                    Rate::Lane => lanes + 3,
                };
                let at = |lane| match param.access {
                    Access::Write => 77.0,
                    Access::Read | Access::Update => value(i, lane),
                };
                let row = match param.ty {
                    Type::Real => Row::Real((0..n).map(|j| R::from_f64(at(j))).collect()),
                    Type::Bool => Row::Bool((0..n).map(|j| u8::from(at(j) > 0.0)).collect()),
                    Type::Bf16 => Row::Bf16((0..n).map(|j| to_bf16(at(j))).collect()),
                };
                (row, param.access)
            })
            .collect();
        Rows { rows }
    }

    /// Panics where `found` is further than `ulps` units in the last place away.
    pub(crate) fn assert_close(&self, found: &Rows<R>, ulps: f64, context: &dyn Fn() -> String) {
        for (i, ((expected, _), (found, _))) in self.rows.iter().zip(&found.rows).enumerate() {
            match (expected, found) {
                (Row::Real(expected), Row::Real(found)) => {
                    for (lane, (&e, &f)) in expected.iter().zip(found).enumerate() {
                        assert!(
                            close::<R>(e.to_f64(), f.to_f64(), ulps),
                            "argument {i} lane {lane}: expected {e:?}, found {f:?}\n{}",
                            context()
                        );
                    }
                }
                (Row::Bool(expected), Row::Bool(found)) => {
                    assert_eq!(expected, found, "argument {i}\n{}", context());
                }
                (Row::Bf16(expected), Row::Bf16(found)) => {
                    let numbers =
                        |row: &[u16]| -> Vec<f64> { row.iter().map(|h| from_bf16(*h)).collect() };
                    for (e, f) in numbers(expected).into_iter().zip(numbers(found)) {
                        let same = e.to_bits() == f.to_bits() || (e.is_nan() && f.is_nan());
                        assert!(same, "argument {i}: expected {e}, found {f}\n{}", context());
                    }
                }
                (Row::Real(_) | Row::Bool(_) | Row::Bf16(_), _) => unreachable!(),
            }
        }
    }
}

/// Runs an executor on rows and gives back what it left in them.
pub(crate) fn run<R: Lane>(executor: &dyn Executor<R>, lanes: usize, mut rows: Rows<R>) -> Rows<R> {
    let mut args: Vec<Arg<'_, R>> = rows
        .rows
        .iter_mut()
        .map(|(row, access)| match (row, *access) {
            (Row::Real(row), Access::Read) => Arg::Real(row),
            (Row::Real(row), Access::Write | Access::Update) => Arg::RealMut(row),
            (Row::Bool(row), Access::Read) => Arg::Bool(row),
            (Row::Bool(row), Access::Write | Access::Update) => Arg::BoolMut(row),
            (Row::Bf16(row), Access::Read) => Arg::Bf16(row),
            (Row::Bf16(row), Access::Write | Access::Update) => Arg::Bf16Mut(row),
        })
        .collect();
    executor
        .call(lanes, &mut args)
        .expect("the rows are made from the signature");
    rows
}
