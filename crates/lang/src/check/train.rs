//! Training plans: settings and their values. Rooms: `values` (numbers, words, choices with their
//! arguments), `data` (whether data, duration and network fit), `loss` (what is minimised).

mod data;
mod loss;
mod values;

use super::Check;
use super::items::ItemRef;
use super::scope::Scope;
use super::units::words;
use crate::ast;
use crate::diag::{Code, did_you_mean};
use crate::model::builtin::{Choice, REQUIRED_SETTINGS, SETTINGS};
use crate::model::{Expr, Setting, SettingValue, Train, Ty};
use crate::units::Dimension;

/// Settings that people from other tools write, and what they are called here.
const MEANT: &[(&str, &str)] = &[
    ("lr", "optimizer = adam(lr = 1e-3)"),
    ("lernrate", "optimizer = adam(lr = 1e-3)"),
    ("learning_rate", "optimizer = adam(lr = 1e-3)"),
    ("momentum", "optimizer = sgd(lr = 0.1, momentum = 0.9)"),
    (
        "weight_decay",
        "optimizer = adamw(lr = 1e-3, weight_decay = 0.01)",
    ),
    ("batch_size", "batch = 32"),
    ("num_epochs", "epochs = 10"),
    ("num_steps", "duration = 100 step"),
    ("timesteps", "duration = 100 step"),
    ("dataset", "data = digits()"),
    ("scheduler", "schedule = cosine()"),
    ("random_seed", "seed = 0"),
    ("early_stopping", "stop = early(patience = 10)"),
    ("patience", "stop = early(patience = 10)"),
    ("ema", "average = ema(decay = 0.999)"),
    ("accumulate_grad_batches", "accumulate = 4"),
    ("gradient_accumulation", "accumulate = 4"),
];

impl Check<'_> {
    /// Builds all training plans.
    pub(super) fn trains(&mut self) {
        for tree in self.items.trains.clone() {
            let train = self.train(tree);
            self.check_train(&train);
            self.model.trains.push(train);
        }
    }

    fn train(&mut self, tree: &ast::Train) -> Train {
        let scope = Scope::new(format!("training plan `{}`", tree.name.text), tree.broken);
        let found = self.items.find(&tree.network.text, tree.network.span);
        let network = match found {
            Some(ItemRef::Network(i)) => Some(i),
            Some(
                ItemRef::Const(_) | ItemRef::Surrogate(_) | ItemRef::Fn(_) | ItemRef::Neuron(_),
            )
            | None => {
                if !self.items.excused(&tree.network.text) {
                    let message = format!("there is no network `{}`", tree.network.text);
                    let finding = Check::finding(Code::E0201, tree.network.span, message);
                    let names = self.items.names_of(|i| matches!(i, ItemRef::Network(_)));
                    self.report(match did_you_mean(&tree.network.text, names) {
                        Some(near) => finding.help_edit(
                            format!("did you mean `{near}`?"),
                            tree.network.span,
                            near,
                        ),
                        None => finding,
                    });
                }
                None
            }
        };
        let args = self.network_args(&scope, tree, network);
        let mut settings: Vec<Setting> = Vec::new();
        for setting in &tree.settings {
            let name = setting.name.text.as_str();
            if !SETTINGS.contains(&name) {
                self.unknown_setting(&setting.name);
                continue;
            }
            if let Some(first) = settings.iter().find(|s| s.name.text == name) {
                let message = format!("`{name}` is set twice");
                let first = first.span;
                self.report(
                    Check::finding(Code::E0105, setting.span, message)
                        .secondary(first, "first set here"),
                );
                continue;
            }
            let value = self.setting(&scope, name, &setting.value, network);
            settings.push(Setting {
                name: setting.name.clone(),
                value,
                span: setting.span,
            });
        }
        let given = |name: &&&str| settings.iter().any(|s| s.name.text == **name);
        let missing: Vec<&str> = SETTINGS[..REQUIRED_SETTINGS]
            .iter()
            .filter(|n| !given(n))
            .copied()
            .collect();
        if !missing.is_empty() && !tree.broken {
            let message = format!(
                "training plan `{}` does not set `{}`",
                tree.name.text,
                missing.join("`, `")
            );
            self.report(Check::finding(Code::E0704, tree.name.span, message));
        }
        Train {
            name: tree.name.clone(),
            network,
            args,
            settings,
            broken: tree.broken,
            span: tree.span,
        }
    }

    fn network_args(
        &mut self,
        scope: &Scope,
        tree: &ast::Train,
        network: Option<usize>,
    ) -> Vec<Option<Expr>> {
        let Some(index) = network else {
            return Vec::new();
        };
        let formals = self.model.networks[index].formals.clone();
        let names: Vec<(&str, bool)> = formals
            .iter()
            .map(|f| (f.name.text.as_str(), f.default.is_none()))
            .collect();
        let arranged = self.arrange(&tree.network, &tree.args, &names);
        let resolve = |check: &mut Self, e: &ast::Expr| {
            let expr = check.resolve(scope, e);
            let ty = check.infer(scope, &expr, &|_| Ty::Unknown);
            if let Some(found) = check.expect_number(ty, &expr)
                && !found.is_none()
            {
                let message = format!(
                    "a network's parameter is a plain number, found {}",
                    words(found)
                );
                check.report(Check::finding(Code::E0306, expr.span, message));
            }
            expr
        };
        arranged
            .into_iter()
            .map(|given| given.map(|e| resolve(self, e)))
            .collect()
    }

    fn unknown_setting(&mut self, name: &ast::Name) {
        let message = format!("there is no setting `{}`", name.text);
        let finding = Check::finding(Code::E0704, name.span, message);
        let meant = MEANT.iter().find(|(n, _)| *n == name.text);
        let finding = match (meant, did_you_mean(&name.text, SETTINGS.iter().copied())) {
            (Some((_, text)), _) => finding.help(format!("did you mean `{text}`?")),
            (None, Some(near)) => {
                finding.help_edit(format!("did you mean `{near}`?"), name.span, near)
            }
            (None, None) => finding.help(format!("there are: {}", SETTINGS.join(", "))),
        };
        self.report(finding);
    }

    fn setting(
        &mut self,
        scope: &Scope,
        name: &str,
        value: &ast::Expr,
        network: Option<usize>,
    ) -> SettingValue {
        match name {
            "data" | "valid" | "test" | "encode" | "optimizer" | "optimizer_weights"
            | "optimizer_biases" | "optimizer_neurons" | "optimizer_delays" | "schedule"
            | "clip" | "gradient" | "average" | "stop" => self.choice(scope, name, value),
            "augment" => self.choices(scope, name, value),
            "duration" => self.number_setting(scope, name, value, Dimension::TIME),
            "batch" | "accumulate" | "epochs" | "seed" => {
                self.number_setting(scope, name, value, Dimension::NONE)
            }
            "loss" | "penalty" => self.objective_setting(scope, name, value, network),
            "predict" => self.predict_setting(scope, value, network),
            "precision" => self.word(name, value, &["f32", "f64"]),
            _ => SettingValue::Opaque(value.span),
        }
    }

    /// Whether the plan, its network and its data fit.
    fn check_train(&mut self, train: &Train) {
        let Some(index) = train.network else {
            return;
        };
        let network = self.model.networks[index].clone();
        if network.broken || network.step.is_none() {
            return;
        }
        self.trainable(&network);
        if let (Some(stop), None) = (train.setting("stop"), train.setting("valid")) {
            let message = "`stop` looks at validation samples, and there are none";
            self.report(
                Check::finding(Code::E0704, stop.span, message.to_string())
                    .help("set `valid`, for instance to `holdout(0.1)`"),
            );
        }
        // An instance with the default arguments was looked at already.
        let elaborated = if train.args.iter().any(Option::is_some) {
            self.check_instance(&network, &train.args)
        } else {
            super::shapes::elaborate(&self.model, &network, &train.args, &mut Vec::new()).ok()
        };
        let Some(elaborated) = elaborated else {
            return;
        };
        self.duration(train, &elaborated);
        self.sizes(train, &network, &elaborated);
        self.readout_reached(train, &network);
        let silent = train.setting("encode").is_none();
        if let (true, Some(data)) = (silent, train.setting("data"))
            && let SettingValue::Choice { choice, span, .. } = &data.value
            && matches!(choice.name, "digits" | "yin_yang" | "mnist" | "idx")
        {
            let message = format!(
                "`{}` are intensities: say how they become spikes",
                choice.name
            );
            let names = Choice::names("encode").join(", ");
            self.report(
                Check::finding(Code::E0704, *span, message)
                    .help(format!("set `encode` to one of: {names}")),
            );
        }
    }
}

fn kind(dimension: Dimension) -> &'static str {
    crate::units::print::kind(dimension).unwrap_or("a plain number")
}
