//! Whether the duration is whole steps, and data and network have the same channels and classes.

use crate::check::Check;
use crate::check::shapes::Elaborated;
use crate::diag::Code;
use crate::model::{ChoiceArg, Network, Ref, Setting, SettingValue, Train, eval};

/// Rows and columns of the sensor of N-MNIST.
const NMNIST: f64 = 34.0;

/// Rows and columns of the sensor of DVS128 Gesture.
const DVS_GESTURE: f64 = 128.0;

impl Check<'_> {
    pub(super) fn duration(&mut self, train: &Train, elaborated: &Elaborated) {
        let Some(Setting {
            value: SettingValue::Number(expr),
            ..
        }) = train.setting("duration")
        else {
            return;
        };
        let nothing = |_: Ref| None;
        let env = eval::Env::new(&self.model, Some(elaborated.step_ms), &nothing);
        let Ok(value) = env.number(expr) else {
            return;
        };
        let steps = value / elaborated.step_ms;
        if (steps - steps.round()).abs() > 1e-6 || !(1.0..1e9).contains(&steps.round()) {
            let message = format!(
                "a duration of {value} ms is not a whole number of steps of {} ms",
                elaborated.step_ms
            );
            let near = steps.round().max(1.0) * elaborated.step_ms;
            self.report(
                Check::finding(Code::E0703, expr.span, message)
                    .help(format!("the nearest one is {near} ms")),
            );
        }
    }

    pub(super) fn sizes(&mut self, train: &Train, network: &Network, elaborated: &Elaborated) {
        let Some(Setting {
            value: SettingValue::Choice { choice, args, span },
            ..
        }) = train.setting("data")
        else {
            return;
        };
        let argument = |name: &str| -> Option<f64> {
            let index = choice.slots.iter().position(|s| s.name == name)?;
            match args.get(index)?.as_ref()? {
                ChoiceArg::Number(expr) => self.constant_value(expr),
                ChoiceArg::List(_)
                | ChoiceArg::Text(_)
                | ChoiceArg::Flag(_)
                | ChoiceArg::Word(_)
                | ChoiceArg::Invalid => None,
            }
        };
        let (channels, classes) = match choice.name {
            "digits" => (Some(64.0), Some(10.0)),
            "random_spikes" | "manifolds" => (argument("channels"), argument("classes")),
            "yin_yang" => (Some(4.0), Some(3.0)),
            "spike_patterns" => (argument("channels"), None),
            "delayed_xor" | "store_recall" => (argument("channels"), Some(2.0)),
            "shd" => (Some(700.0), Some(20.0)),
            "ssc" => (Some(700.0), Some(35.0)),
            "mnist" => (Some(784.0), Some(10.0)),
            "nmnist" => (Some(2.0 * NMNIST * NMNIST), Some(10.0)),
            "dvs_gesture" => (Some(2.0 * DVS_GESTURE * DVS_GESTURE), Some(11.0)),
            _ => (None, None),
        };
        // Rows and columns of a sensor with two polarities.
        let side = match choice.name {
            "nmnist" => Some(NMNIST),
            "dvs_gesture" => Some(DVS_GESTURE),
            _ => None,
        };
        let channels = channels.and_then(|channels| self.encoded_channels(train, channels, side));
        let mut findings = Vec::new();
        if let (Some(channels), [input]) = (channels, network.inputs.as_slice()) {
            let size: usize = elaborated.inputs[0].iter().product();
            if size as f64 != channels {
                let message = format!(
                    "`{}` gives {channels} channels, but input `{}` has {size}",
                    choice.name, input.name.text
                );
                findings.push(
                    Check::finding(Code::E0702, *span, message)
                        .label(format!("{channels} channels"))
                        .secondary(input.span, format!("{size} channels")),
                );
            }
        }
        if let (
            Some(classes),
            Some(Setting {
                value: SettingValue::Loss(loss),
                ..
            }),
        ) = (classes, train.setting("loss"))
        {
            for (layer, place) in loss.label_layers() {
                let size: usize = elaborated.layers[layer].iter().product();
                if (size as f64) >= classes {
                    continue;
                }
                let layer = &network.layers[layer];
                let message = format!(
                    "the labels of `{}` are 0..{}, but the readout `{}` has {size} units",
                    choice.name,
                    classes - 1.0,
                    layer.name.text
                );
                findings.push(
                    Check::finding(Code::E0701, place, message)
                        .label(format!("{size} logits"))
                        .secondary(layer.span, "the readout")
                        .secondary(*span, format!("{classes} classes")),
                );
            }
        }
        for finding in findings {
            self.report(finding);
        }
    }

    /// The number of channels after encoding, of a sensor with so many rows and columns or of a line; `None` if it
    /// is not known before the data are read.
    fn encoded_channels(&self, train: &Train, channels: f64, side: Option<f64>) -> Option<f64> {
        let Some(Setting {
            value: SettingValue::Choice { choice, args, .. },
            ..
        }) = train.setting("encode")
        else {
            return Some(channels);
        };
        let argument = |name: &str| -> Option<Option<f64>> {
            let index = choice.slots.iter().position(|s| s.name == name)?;
            match args.get(index)?.as_ref() {
                None => Some(None),
                Some(ChoiceArg::Number(expr)) => self.constant_value(expr).map(Some),
                Some(ChoiceArg::Flag(flag)) => (!flag).then_some(None),
                Some(
                    ChoiceArg::List(_)
                    | ChoiceArg::Text(_)
                    | ChoiceArg::Word(_)
                    | ChoiceArg::Invalid,
                ) => None,
            }
        };
        match choice.name {
            "one_by_one" => Some(argument("levels")?? + 1.0),
            "population" => Some(channels * argument("neurons")??),
            "delta" => Some(channels * 2.0),
            "bin_spikes" | "bin_equal_counts" => {
                argument("merge_polarity")?;
                let by = argument("downsample")?.unwrap_or(1.0).max(1.0);
                Some(match side {
                    // Squares are joined.
                    Some(side) => 2.0 * (side / by).ceil().powi(2),
                    None => (channels / by).ceil(),
                })
            }
            _ => Some(channels),
        }
    }
}
