//! Functions that weights go through, as kernels.

use super::expr::{Frame, Writer};
use super::{start, unchecked};
use crate::diag::Diagnostic;
use crate::model::{Expr, ExprKind, Model, Ref, eval};
use rheobase_ir::builder::Builder;
use rheobase_ir::kernel::{Slot, Value};
use rheobase_ir::program::WeightMap;
use rheobase_ir::types::{Rate, Type};

/// A call in which port 0 is the weight and port 1 the one that was in use before; everything else has a value
/// in `env`.
pub(super) fn lower(
    model: &Model,
    env: &eval::Env<'_>,
    call: &Expr,
    step_ms: f64,
) -> Result<WeightMap, Box<Diagnostic>> {
    let ExprKind::Call { function, args } = &call.kind else {
        return Err(Box::new(unchecked(call.span)));
    };
    let name = model.functions[*function].name.text.clone();
    let mut writer = Writer::new(model, step_ms, name);
    let mut values = Vec::new();
    for arg in args {
        let builder = &mut writer.builder;
        let value = if arg.kind == ExprKind::Ref(Ref::Port(0)) {
            input(builder, WeightMap::raw())
        } else if arg.kind == ExprKind::Ref(Ref::Port(1)) {
            input(builder, WeightMap::before())
        } else {
            builder.real(start::number(env, arg)?)
        };
        values.push(value);
    }
    let frame = Frame::new(Vec::new(), &[]);
    let mapped = writer.call(&frame, *function, values)?;
    let mut builder = writer.builder;
    builder.output(WeightMap::mapped(), mapped, Rate::Lane);
    Ok(WeightMap {
        function: builder.finish(),
    })
}

fn input(builder: &mut Builder, slot: Slot) -> Value {
    builder.input(slot, Type::Real, Rate::Lane)
}
