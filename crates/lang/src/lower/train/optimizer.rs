//! The optimiser and its schedule.

use super::{One, Plan};
use rheobase_ir::program::{Optimizer, Schedule};

impl Plan<'_> {
    pub(super) fn optimizer(&self) -> One<Optimizer> {
        let call = self.required("optimizer")?;
        let lr = call.needed("lr")?;
        if call.name == "sgd" {
            let momentum = call.number("momentum")?.unwrap_or(0.0);
            return Ok(Optimizer::Sgd { lr, momentum });
        }
        let (beta1, beta2) = call.pair("betas")?.unwrap_or((0.9, 0.999));
        let eps = call.number("eps")?.unwrap_or(1e-8);
        match call.name {
            "adam" => Ok(Optimizer::Adam {
                lr,
                beta1,
                beta2,
                eps,
            }),
            "adamw" => Ok(Optimizer::AdamW {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay: call.number("weight_decay")?.unwrap_or(0.01),
            }),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn schedule(&self) -> One<Schedule> {
        match self.call("schedule")? {
            None => Ok(Schedule::Constant),
            Some(call) if call.name == "constant" => Ok(Schedule::Constant),
            Some(call) => Ok(Schedule::Cosine {
                warmup: call.number("warmup")?.unwrap_or(0.0),
            }),
        }
    }
}
