//! The optimisers, the schedule of the learning rate, averages of weights, early stopping, and what is done to large gradients.

use super::{Call, One, Plan};
use rheobase_ir::program::{Clip, Groups, Optimizer, Rule, Schedule};

impl Plan<'_> {
    pub(super) fn optimizer(&self) -> One<Optimizer> {
        self.one_optimizer(&self.required("optimizer")?)
    }

    /// The optimisers of parameters of one kind.
    pub(super) fn groups(&self) -> One<Groups> {
        let group = |name: &str| -> One<Option<Optimizer>> {
            let call = self.call(name)?;
            call.map(|call| self.one_optimizer(&call)).transpose()
        };
        Ok(Groups {
            weights: group("optimizer_weights")?,
            biases: group("optimizer_biases")?,
            neurons: group("optimizer_neurons")?,
            delays: group("optimizer_delays")?,
        })
    }

    fn one_optimizer(&self, call: &Call<'_>) -> One<Optimizer> {
        let number = |name: &str, otherwise: f64| -> One<f64> {
            Ok(call.number(name)?.unwrap_or(otherwise))
        };
        let flag = |name: &str| -> One<bool> { Ok(call.flag(name)?.unwrap_or(false)) };
        let adam = |call: &Call<'_>| -> One<(f64, f64, f64)> {
            let (beta1, beta2) = call.pair("betas")?.unwrap_or((0.9, 0.999));
            Ok((beta1, beta2, number("eps", 1e-8)?))
        };
        let rule = match call.name {
            "sgd" => Rule::Sgd {
                momentum: number("momentum", 0.0)?,
                nesterov: flag("nesterov")?,
            },
            "adam" | "adamw" => {
                let (beta1, beta2, eps) = adam(call)?;
                Rule::Adam { beta1, beta2, eps }
            }
            "adamax" => {
                let (beta1, beta2, eps) = adam(call)?;
                Rule::Adamax { beta1, beta2, eps }
            }
            "rmsprop" => Rule::RmsProp {
                alpha: number("alpha", 0.99)?,
                eps: number("eps", 1e-8)?,
                momentum: number("momentum", 0.0)?,
            },
            "rmaxprop" => Rule::RmaxProp {
                gamma: number("gamma", 0.9)?,
                eps: number("eps", 1e-8)?,
            },
            "lion" => {
                let (beta1, beta2) = call.pair("betas")?.unwrap_or((0.9, 0.99));
                Rule::Lion { beta1, beta2 }
            }
            _ => return Err(self.wrong()),
        };
        let decay = if call.name == "adamw" { 0.01 } else { 0.0 };
        Ok(Optimizer {
            rule,
            lr: call.needed("lr")?,
            weight_decay: number("weight_decay", decay)?,
            decoupled: matches!(call.name, "adamw" | "lion"),
        })
    }

    pub(super) fn schedule(&self) -> One<Schedule> {
        let Some(call) = self.call("schedule")? else {
            return Ok(Schedule::Constant);
        };
        match call.name {
            "constant" => Ok(Schedule::Constant),
            "step" => Ok(Schedule::Step {
                every: call.needed("every")?,
                factor: call.needed("factor")?,
            }),
            "exponential" => Ok(Schedule::Exponential {
                factor: call.needed("factor")?,
            }),
            "cosine" => Ok(Schedule::Cosine {
                warmup: call.number("warmup")?.unwrap_or(0.0),
                floor: call.number("floor")?.unwrap_or(0.0),
            }),
            "one_cycle" => Ok(Schedule::OneCycle {
                rise: call.number("rise")?.unwrap_or(0.3),
            }),
            "plateau" => Ok(Schedule::Plateau {
                factor: call.number("factor")?.unwrap_or(0.1),
                patience: call.number("patience")?.unwrap_or(10.0) as usize,
                floor: call.number("floor")?.unwrap_or(0.0),
            }),
            _ => Err(self.wrong()),
        }
    }

    /// `ema(decay = 0.999)`
    pub(super) fn average(&self) -> One<Option<f64>> {
        let call = self.call("average")?;
        let decay = |call: Call<'_>| Ok(call.number("decay")?.unwrap_or(0.999));
        call.map(decay).transpose()
    }

    /// `early(patience = 10)`
    pub(super) fn patience(&self) -> One<Option<usize>> {
        let call = self.call("stop")?;
        let patience = |call: Call<'_>| Ok(call.needed("patience")? as usize);
        call.map(patience).transpose()
    }

    pub(super) fn clip(&self) -> One<Option<Clip>> {
        let Some(call) = self.call("clip")? else {
            return Ok(None);
        };
        let most = call.needed("max")?;
        Ok(Some(match call.name {
            "grad_value" => Clip::Value(most),
            _ => Clip::Norm(most),
        }))
    }
}
