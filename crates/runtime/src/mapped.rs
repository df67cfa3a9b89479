//! Weights that are a function of what is trained.
//!
//! Raw weights keep their place among the parameters: they are drawn, updated and saved. Beside them stand the
//! mapped ones, which everything that runs reads in their place. They are computed whenever parameters
//! change, together with the derivative, by which the gradient of the mapped weights becomes that of the raw
//! ones once per batch.

use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Param, Slot};
use rheobase_ir::program::{Network, Operation, Synapses, WeightMap};
use rheobase_ir::real::Real;

use crate::backend::{Backend, Float};
use crate::error::RuntimeError;
use crate::parameters::{Owner, ParameterSpec};

/// Weights that are computed at once.
const CHUNK: usize = 1024;

/// The mapped weights of an operation.
pub(crate) struct Mapped {
    /// Positions among the parameters.
    raw: usize,
    mapped: usize,
    /// The function and its derivative, in double precision whatever the network runs in.
    executor: Box<dyn Executor<f64>>,
    /// The derivative at each raw weight.
    slopes: Vec<f64>,
    /// How far the weights of neurons to themselves are apart, where these are left out.
    diagonal: Option<usize>,
}

/// Numbers of one call.
#[derive(Default)]
struct Rows {
    raw: Vec<f64>,
    before: Vec<f64>,
    mapped: Vec<f64>,
}

impl Mapped {
    /// The operations of a network whose weights have a map.
    pub(crate) fn all(
        network: &Network,
        specs: &[ParameterSpec],
        backend: Backend,
    ) -> Result<Vec<Mapped>, RuntimeError> {
        let mut all = Vec::new();
        for (mapped, spec) in specs.iter().enumerate() {
            let Owner::Mapped(c, o) = spec.owner else {
                continue;
            };
            let operation = &network.connections[c].operations[o];
            let raw = specs.iter().position(|s| s.owner == Owner::Weight(c, o));
            let (Some(map), Some(raw)) = (&operation.map, raw) else {
                unreachable!("mapped weights are those of an operation with weights and a map")
            };
            all.push(Mapped {
                raw,
                mapped,
                executor: backend.executor(&map.with_slope()?)?,
                slopes: vec![0.0; spec.len()],
                diagonal: diagonal(operation),
            });
        }
        Ok(all)
    }

    /// Computes mapped weights and slopes from the raw weights and the mapped ones that were in use.
    pub(crate) fn apply<R: Float>(&mut self, values: &mut [Vec<R>]) -> Result<(), RuntimeError> {
        let [raw, mapped] = values
            .get_disjoint_mut([self.raw, self.mapped])
            .expect("two different parameters");
        let mut rows = Rows::default();
        let chunks = raw.chunks(CHUNK).zip(mapped.chunks_mut(CHUNK));
        for ((raw, mapped), slopes) in chunks.zip(self.slopes.chunks_mut(CHUNK)) {
            copy(raw, &mut rows.raw);
            copy(mapped, &mut rows.before);
            rows.mapped.resize(raw.len(), 0.0);
            call(self.executor.as_ref(), &mut rows, slopes)?;
            for (target, &value) in mapped.iter_mut().zip(&rows.mapped) {
                *target = R::from_f64(value);
            }
        }
        if let Some(apart) = self.diagonal {
            mapped.iter_mut().step_by(apart).for_each(|w| *w = R::ZERO);
        }
        Ok(())
    }

    /// Turns the gradient of the mapped weights into that of the raw ones.
    pub(crate) fn pull_back<R: Real>(&self, gradients: &mut [Vec<R>]) {
        let mut gradient = std::mem::take(&mut gradients[self.mapped]);
        for (g, slope) in gradient.iter_mut().zip(&self.slopes) {
            *g = R::from_f64(g.to_f64() * slope);
        }
        gradients[self.raw] = gradient;
    }
}

fn diagonal(operation: &Operation) -> Option<usize> {
    let Synapses::Dense {
        self_connections: false,
    } = operation.synapses
    else {
        return None;
    };
    Some(operation.outputs + 1)
}

fn copy<R: Real>(from: &[R], to: &mut Vec<f64>) {
    to.clear();
    to.extend(from.iter().map(|v| v.to_f64()));
}

fn call(
    executor: &dyn Executor<f64>,
    rows: &mut Rows,
    slopes: &mut [f64],
) -> Result<(), RuntimeError> {
    let lanes = slopes.len();
    let Rows {
        raw,
        before,
        mapped,
    } = rows;
    let (mut mapped, mut slopes) = (Some(&mut mapped[..]), Some(slopes));
    let mut arg = |param: &Param| -> Option<Arg<'_, f64>> {
        let is = |slot: Slot| param.slot == slot;
        match param.access {
            Access::Read if is(WeightMap::raw()) => Some(Arg::Real(raw)),
            Access::Read if is(WeightMap::before()) => Some(Arg::Real(before)),
            Access::Write if is(WeightMap::mapped()) => mapped.take().map(Arg::RealMut),
            Access::Write if is(WeightMap::slope()) => slopes.take().map(Arg::RealMut),
            Access::Read | Access::Write | Access::Update => None,
        }
    };
    let signature = executor.signature();
    let mut args: Vec<_> = signature.iter().filter_map(&mut arg).collect();
    executor.call(lanes, &mut args)?;
    Ok(())
}
