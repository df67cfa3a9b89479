//! A training plan with its numbers. What a plan does not say has these values:
//!
//! | setting | without it |
//! |---|---|
//! | `encode` | `bin_spikes()` for data that are spikes |
//! | `valid`, `test` | none |
//! | `schedule` | `constant()` |
//! | `clip` | none |
//! | `batch` | 32 |
//! | `seed` | 0 |
//! | `latency` | `tau = 20 ms`, `threshold = 0.2`, not linear |
//! | `rate` | `max_rate = 100 Hz` |
//! | `constant` | `gain = 1` |
//! | `bin_spikes` | no `clip` |
//! | `holdout`, `random_spikes` | `seed = 0` |
//! | `sgd` | `momentum = 0` |
//! | `adam`, `adamw` | `betas = [0.9, 0.999]`, `eps = 1e-8`, `weight_decay = 0.01` |
//! | `cosine` | `warmup = 0` |

use super::{Findings, start, unchecked, unsupported};
use crate::diag::{Code, Diagnostic};
use crate::model::builtin::FILE_FORMATS;
use crate::model::{
    ChoiceArg, Expr, LayerKind, Loss, Model, Reduction, Ref, Setting, SettingValue, Train, eval,
};
use crate::span::Span;
use rheobase_ir::program::{self, Dataset, Encoding, Optimizer, Readout, Schedule, Split, Trace};

type One<T> = Result<T, Box<Diagnostic>>;

/// Lowers a plan for an already lowered network.
pub(super) fn lower(
    model: &Model,
    train: &Train,
    network: &program::Network,
    index: usize,
) -> Result<program::Training, Findings> {
    let nothing = |_: Ref| None;
    let plan = Plan {
        model,
        train,
        env: eval::Env::new(model, Some(network.step_ms), &nothing),
        network: index,
    };
    plan.unsupported_settings()?;
    plan.lower(network.step_ms)
        .map_err(|finding| vec![*finding])
}

struct Plan<'a> {
    model: &'a Model,
    train: &'a Train,
    env: eval::Env<'a>,
    network: usize,
}

/// The call that a setting has as its value.
struct Call<'a> {
    plan: &'a Plan<'a>,
    name: &'static str,
    slots: &'static [crate::model::builtin::Slot],
    args: &'a [Option<ChoiceArg>],
    span: Span,
}

impl Plan<'_> {
    /// E0211 for settings that are understood but have no effect yet.
    fn unsupported_settings(&self) -> Result<(), Findings> {
        let mut findings = Findings::new();
        for setting in &self.train.settings {
            let name = setting.name.text.as_str();
            let refused = match &setting.value {
                SettingValue::Opaque(span) => Some(*span),
                SettingValue::Word(word) if word.text == "f64" => Some(word.span),
                SettingValue::Word(_)
                | SettingValue::Number(_)
                | SettingValue::Choice { .. }
                | SettingValue::Loss(_)
                | SettingValue::Invalid => None,
            };
            findings.extend(refused.map(|span| unsupported(span, format!("this `{name}`"))));
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(findings)
        }
    }

    fn lower(&self, step_ms: f64) -> One<program::Training> {
        let data = self.dataset(&self.required("data")?)?;
        Ok(program::Training {
            name: self.train.name.text.clone(),
            valid: self.split("valid")?,
            test: self.split("test")?,
            steps: self.steps(step_ms)?,
            encoding: self.encoding(&data)?,
            data,
            loss: self.loss()?,
            optimizer: self.optimizer()?,
            schedule: self.schedule()?,
            clip_norm: match self.call("clip")? {
                Some(call) => Some(call.needed("max")?),
                None => None,
            },
            batch: self.whole("batch", 32.0)? as usize,
            epochs: self.whole("epochs", 1.0)? as usize,
            seed: self.whole("seed", 0.0)? as u64,
        })
    }

    fn wrong(&self) -> Box<Diagnostic> {
        Box::new(unchecked(self.train.span))
    }

    /// The call that is the value of a setting.
    fn call(&self, name: &str) -> One<Option<Call<'_>>> {
        match self.train.setting(name).map(|s| &s.value) {
            None => Ok(None),
            Some(SettingValue::Choice { choice, args, span }) => Ok(Some(Call {
                plan: self,
                name: choice.name,
                slots: choice.slots,
                args,
                span: *span,
            })),
            Some(
                SettingValue::Number(_)
                | SettingValue::Loss(_)
                | SettingValue::Word(_)
                | SettingValue::Opaque(_)
                | SettingValue::Invalid,
            ) => Err(self.wrong()),
        }
    }

    fn required(&self, name: &str) -> One<Call<'_>> {
        self.call(name)?.ok_or_else(|| self.wrong())
    }

    fn number_setting(&self, name: &str) -> One<Option<&Expr>> {
        match self.train.setting(name) {
            None => Ok(None),
            Some(Setting {
                value: SettingValue::Number(expr),
                ..
            }) => Ok(Some(expr)),
            Some(_) => Err(self.wrong()),
        }
    }

    fn whole(&self, name: &str, default: f64) -> One<f64> {
        match self.number_setting(name)? {
            Some(expr) => start::number(&self.env, expr),
            None => Ok(default),
        }
    }

    fn steps(&self, step_ms: f64) -> One<usize> {
        let expr = self
            .number_setting("duration")?
            .ok_or_else(|| self.wrong())?;
        let steps = start::steps(&self.env, expr, step_ms)?;
        if steps == 0 {
            let message = "a sample must be at least one step long";
            return Err(Box::new(Diagnostic::new(Code::E0703, expr.span, message)));
        }
        Ok(steps as usize)
    }

    fn dataset(&self, call: &Call<'_>) -> One<Dataset> {
        match call.name {
            "digits" => Ok(Dataset::Digits),
            "random_spikes" => Ok(Dataset::RandomSpikes {
                samples: call.needed("samples")? as usize,
                channels: call.needed("channels")? as usize,
                classes: call.needed("classes")? as usize,
                density: call.needed("density")?,
                seed: call.number("seed")?.unwrap_or(0.0) as u64,
            }),
            format if FILE_FORMATS.contains(&format) => Ok(Dataset::File {
                format: format.to_string(),
                path: call.text("path")?,
            }),
            _ => Err(self.wrong()),
        }
    }

    fn split(&self, name: &str) -> One<Option<Split>> {
        let Some(call) = self.call(name)? else {
            return Ok(None);
        };
        if call.name != "holdout" {
            return self.dataset(&call).map(|data| Some(Split::Dataset(data)));
        }
        let fraction = call.needed("fraction")?;
        if !(fraction > 0.0 && fraction < 1.0) {
            let message = format!("a part of the data is between 0 and 1, not {fraction}");
            return Err(Box::new(Diagnostic::new(Code::E0704, call.span, message)));
        }
        Ok(Some(Split::Holdout {
            fraction,
            seed: call.number("seed")?.unwrap_or(0.0) as u64,
        }))
    }

    fn encoding(&self, data: &Dataset) -> One<Encoding> {
        let Some(call) = self.call("encode")? else {
            return match data {
                Dataset::Digits => Err(self.wrong()),
                Dataset::RandomSpikes { .. } | Dataset::File { .. } => {
                    Ok(Encoding::BinSpikes { clip: None })
                }
            };
        };
        match call.name {
            "latency" => Ok(Encoding::Latency {
                tau_ms: call.number("tau")?.unwrap_or(20.0),
                threshold: call.number("threshold")?.unwrap_or(0.2),
                linear: call.flag("linear")?.unwrap_or(false),
            }),
            "rate" => Ok(Encoding::Rate {
                max_rate_per_ms: call.number("max_rate")?.unwrap_or(0.1),
            }),
            "constant" => Ok(Encoding::Constant {
                gain: call.number("gain")?.unwrap_or(1.0),
            }),
            "bin_spikes" => Ok(Encoding::BinSpikes {
                clip: call.number("clip")?.map(|n| n as u32),
            }),
            _ => Err(self.wrong()),
        }
    }

    fn loss(&self) -> One<program::Loss> {
        let Some(Setting {
            value: SettingValue::Loss(loss),
            ..
        }) = self.train.setting("loss")
        else {
            return Err(self.wrong());
        };
        Ok(program::Loss::CrossEntropy(self.readout(loss)?))
    }

    fn readout(&self, loss: &Loss) -> One<Readout> {
        let layer = &self.model.networks[self.network].layers[loss.layer];
        let LayerKind::Neuron(n) = layer.kind else {
            return Err(self.wrong());
        };
        let trace = match loss.state {
            Some(state) => Trace::State(self.model.neurons[n].states[state].name.text.clone()),
            None => Trace::Spikes,
        };
        let reduction = match loss.reduction {
            Reduction::Max => program::Reduction::Max,
            Reduction::Sum => program::Reduction::Sum,
            Reduction::Mean => program::Reduction::Mean,
            Reduction::Last => program::Reduction::Last,
        };
        let scale = match &loss.scale {
            Some(expr) => start::number(&self.env, expr)?,
            None => 1.0,
        };
        Ok(Readout {
            layer: loss.layer,
            trace,
            reduction,
            scale,
        })
    }

    fn optimizer(&self) -> One<Optimizer> {
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

    fn schedule(&self) -> One<Schedule> {
        match self.call("schedule")? {
            None => Ok(Schedule::Constant),
            Some(call) if call.name == "constant" => Ok(Schedule::Constant),
            Some(call) => Ok(Schedule::Cosine {
                warmup: call.number("warmup")?.unwrap_or(0.0),
            }),
        }
    }
}

impl Call<'_> {
    fn argument(&self, name: &str) -> Option<&ChoiceArg> {
        let index = self.slots.iter().position(|s| s.name == name)?;
        self.args.get(index)?.as_ref()
    }

    fn wrong<T>(&self) -> One<T> {
        Err(Box::new(unchecked(self.span)))
    }

    /// A number in base units, if it was given.
    fn number(&self, name: &str) -> One<Option<f64>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Number(expr)) => start::number(&self.plan.env, expr).map(Some),
            Some(
                ChoiceArg::List(_) | ChoiceArg::Text(_) | ChoiceArg::Flag(_) | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    /// A number that the check made sure of.
    fn needed(&self, name: &str) -> One<f64> {
        match self.number(name)? {
            Some(value) => Ok(value),
            None => self.wrong(),
        }
    }

    fn flag(&self, name: &str) -> One<Option<bool>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::Flag(value)) => Ok(Some(*value)),
            Some(
                ChoiceArg::Number(_) | ChoiceArg::List(_) | ChoiceArg::Text(_) | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }

    fn text(&self, name: &str) -> One<String> {
        match self.argument(name) {
            Some(ChoiceArg::Text(text)) => Ok(text.clone()),
            Some(
                ChoiceArg::Number(_) | ChoiceArg::List(_) | ChoiceArg::Flag(_) | ChoiceArg::Invalid,
            )
            | None => self.wrong(),
        }
    }

    fn pair(&self, name: &str) -> One<Option<(f64, f64)>> {
        match self.argument(name) {
            None => Ok(None),
            Some(ChoiceArg::List(items)) => match items.as_slice() {
                [a, b] => Ok(Some((
                    start::number(&self.plan.env, a)?,
                    start::number(&self.plan.env, b)?,
                ))),
                _ => {
                    let message = format!("`{name}` are two numbers, as in `[0.9, 0.999]`");
                    Err(Box::new(Diagnostic::new(Code::E0704, self.span, message)))
                }
            },
            Some(
                ChoiceArg::Number(_) | ChoiceArg::Text(_) | ChoiceArg::Flag(_) | ChoiceArg::Invalid,
            ) => self.wrong(),
        }
    }
}
