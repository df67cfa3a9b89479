//! A training plan with its numbers. What a plan does not say has these values:
//!
//! | setting | without it |
//! |---|---|
//! | `encode` | `bin_spikes()` for data that are spikes |
//! | `valid`, `test` | none |
//! | `schedule` | `constant()` |
//! | `clip` | none |
//! | `gradient` | `bptt(checkpoint = auto, tape = whole)`, not truncated |
//! | `average`, `stop` | none |
//! | `batch` | 32 |
//! | `accumulate` | 1 |
//! | `seed` | 0 |
//! | `precision` | `f32` |
//! | `latency` | `tau = 20 ms`, `threshold = 0.2`, not linear |
//! | `rate` | `max_rate = 100 Hz` |
//! | `constant` | `gain = 1` |
//! | `bin_spikes`, `bin_equal_counts` | no `clip`, `downsample = 1`, not `merge_polarity` |
//! | `one_by_one` | `hold = 1 step` |
//! | `population` | `width = 0.2`, `max_rate = 100 Hz` |
//! | `current_lif` | `tau = 10 ms`, `gain = 2` |
//! | `holdout` | `seed = 0` |
//! | `random_spikes` | `seed = 0`, not `graded` |
//! | `sgd` | `momentum = 0`, not `nesterov` |
//! | `adam`, `adamw`, `adamax` | `betas = [0.9, 0.999]`, `eps = 1e-8` |
//! | `rmsprop` | `alpha = 0.99`, `eps = 1e-8`, `momentum = 0` |
//! | `rmaxprop` | `gamma = 0.9`, `eps = 1e-8` |
//! | `lion` | `betas = [0.9, 0.99]` |
//! | all of these | `weight_decay = 0`, but 0.01 for `adamw` |
//! | `cosine` | `warmup = 0`, `floor = 0` |
//! | `one_cycle` | `rise = 0.3` |
//! | `plateau` | `factor = 0.1`, `patience = 10`, `floor = 0` |
//! | `ema` | `decay = 0.999` |
//!
//! Rooms: `data` (data, splits, encoding, duration), `loss`, `optimizer` (with its schedule), and `call`,
//! which reads the arguments of a setting's value.

mod call;
mod data;
mod loss;
mod optimizer;

use super::{Findings, start, unchecked, unsupported};
use crate::diag::{Code, Diagnostic};
use crate::model::{ChoiceArg, Expr, Model, Ref, Setting, SettingValue, Train, eval};
use crate::span::Span;
use rheobase_ir::program;
use rheobase_ir::tape::Numbers;

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
    plan.lower(network).map_err(|finding| vec![*finding])
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
                SettingValue::Word(_)
                | SettingValue::Number(_)
                | SettingValue::Choice { .. }
                | SettingValue::Choices(..)
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

    fn lower(&self, network: &program::Network) -> One<program::Training> {
        let data = self.dataset(&self.required("data")?)?;
        Ok(program::Training {
            name: self.train.name.text.clone(),
            valid: self.split("valid")?,
            test: self.split("test")?,
            steps: self.steps(network.step_ms)?,
            encoding: self.encoding(&data, network.step_ms)?,
            augment: self.augment()?,
            data,
            objective: self.objective(network)?,
            optimizer: self.optimizer()?,
            groups: self.groups()?,
            schedule: self.schedule()?,
            clip: self.clip()?,
            average: self.average()?,
            patience: self.patience()?,
            accumulate: self.whole("accumulate", 1.0)? as usize,
            gradient: self.gradient(network)?,
            batch: self.whole("batch", 32.0)? as usize,
            epochs: self.whole("epochs", 1.0)? as usize,
            seed: self.whole("seed", 0.0)? as u64,
            precision: self.precision()?,
        })
    }

    /// `f64`
    fn precision(&self) -> One<program::Precision> {
        match self.train.setting("precision").map(|s| &s.value) {
            None => Ok(program::Precision::default()),
            Some(SettingValue::Word(word)) => match word.text.as_str() {
                "f32" => Ok(program::Precision::F32),
                "f64" => Ok(program::Precision::F64),
                _ => Err(self.wrong()),
            },
            Some(_) => Err(self.wrong()),
        }
    }

    /// `bptt(truncate = 50, checkpoint = auto, tape = bf16)`
    fn gradient(&self, network: &program::Network) -> One<program::Bptt> {
        let auto = program::Bptt {
            truncate: None,
            checkpoint: program::Checkpoint::Auto,
            tape: Numbers::Whole,
        };
        let Some(call) = self.call("gradient")? else {
            return Ok(auto);
        };
        let checkpoint = match call.whole_or_word("checkpoint")? {
            None | Some(Err("auto")) => program::Checkpoint::Auto,
            Some(Err("none")) => program::Checkpoint::None,
            Some(Err(_)) => return Err(self.wrong()),
            Some(Ok(steps)) => program::Checkpoint::Steps(steps),
        };
        let tape = match call.word("tape")? {
            None | Some("whole") => Numbers::Whole,
            Some("bf16") => Numbers::Bf16,
            Some(_) => return Err(self.wrong()),
        };
        let truncate = call.number("truncate")?.map(|n| n as usize);
        let normalised = network.connections.iter().find(|c| c.normalises());
        if let (Some(_), Some(connection)) = (truncate, normalised) {
            let message = format!(
                "`truncate` cannot cut the gradient of the normalisation of `{}`",
                connection.name
            );
            let finding = Diagnostic::new(Code::E0704, call.span, message)
                .label("its mean is over all steps, so every step has a part in the gradient of every other")
                .help("leave out `truncate`, or the normalisation");
            return Err(Box::new(finding));
        }
        Ok(program::Bptt {
            truncate,
            checkpoint,
            tape,
        })
    }

    fn wrong(&self) -> Box<Diagnostic> {
        Box::new(unchecked(self.train.span))
    }

    /// The call that is the value of a setting.
    fn call(&self, name: &str) -> One<Option<Call<'_>>> {
        self.train
            .setting(name)
            .map(|setting| self.call_of(&setting.value))
            .transpose()
    }

    /// The calls that a setting lists; none if it is not given.
    fn calls(&self, name: &str) -> One<Vec<Call<'_>>> {
        match self.train.setting(name).map(|s| &s.value) {
            None => Ok(Vec::new()),
            Some(SettingValue::Choices(values, _)) => {
                values.iter().map(|value| self.call_of(value)).collect()
            }
            Some(value) => Ok(vec![self.call_of(value)?]),
        }
    }

    fn call_of<'a>(&'a self, value: &'a SettingValue) -> One<Call<'a>> {
        match value {
            SettingValue::Choice { choice, args, span } => Ok(Call {
                plan: self,
                name: choice.name,
                slots: choice.slots,
                args,
                span: *span,
            }),
            SettingValue::Choices(..)
            | SettingValue::Number(_)
            | SettingValue::Loss(_)
            | SettingValue::Word(_)
            | SettingValue::Opaque(_)
            | SettingValue::Invalid => Err(self.wrong()),
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
}
