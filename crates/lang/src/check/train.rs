//! Training plans: settings and their values, the loss, and whether data, network and loss fit.

use super::Check;
use super::items::ItemRef;
use super::scope::Scope;
use super::shapes::Elaborated;
use super::units::words;
use crate::ast;
use crate::diag::{Code, did_you_mean};
use crate::model::builtin::{Choice, REQUIRED_SETTINGS, SETTINGS, Slot, Takes};
use crate::model::{
    ChoiceArg, Expr, ExprKind, LayerKind, Loss, Network, Reduction, Ref, Setting, SettingValue,
    Train, Ty, eval,
};
use crate::span::Span;
use crate::units::Dimension;

/// What reduces a trace over time.
const REDUCTIONS: &[(&str, Reduction)] = &[
    ("max_over_time", Reduction::Max),
    ("sum_over_time", Reduction::Sum),
    ("mean_over_time", Reduction::Mean),
    ("last_step", Reduction::Last),
];

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
];

/// Arguments with a range: choice (empty for any), parameter, what is allowed, in words.
type Allowed = fn(f64) -> bool;
const RANGES: &[(&str, &str, Allowed, &str)] = &[
    (
        "holdout",
        "fraction",
        |x| x > 0.0 && x < 1.0,
        "between 0 and 1",
    ),
    (
        "random_spikes",
        "density",
        |x| (0.0..=1.0).contains(&x),
        "from 0 to 1",
    ),
    ("latency", "tau", |x| x > 0.0, "above 0"),
    (
        "latency",
        "threshold",
        |x| (0.0..1.0).contains(&x),
        "from 0 to below 1",
    ),
    ("rate", "max_rate", |x| x > 0.0, "above 0"),
    ("", "lr", |x| x > 0.0, "above 0"),
    (
        "",
        "momentum",
        |x| (0.0..1.0).contains(&x),
        "from 0 to below 1",
    ),
    ("", "eps", |x| x > 0.0, "above 0"),
    ("", "weight_decay", |x| x >= 0.0, "0 or above"),
    ("cosine", "warmup", |x| x >= 0.0, "0 or above"),
    ("grad_norm", "max", |x| x > 0.0, "above 0"),
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
            "data" | "valid" | "test" | "encode" | "optimizer" | "schedule" | "clip" => {
                self.choice(scope, name, value)
            }
            "duration" => self.number_setting(scope, name, value, Dimension::TIME),
            "batch" | "epochs" | "seed" => self.number_setting(scope, name, value, Dimension::NONE),
            "loss" => self.loss_setting(scope, value, network),
            "precision" => self.word(name, value, &["f32", "f64"]),
            "gradient" => self.gradient(value),
            _ => SettingValue::Opaque(value.span),
        }
    }

    /// `bptt(…)`: how the gradient is computed. `checkpoint` chooses between memory and time only and
    /// changes no result; `truncate` changes the gradient.
    fn gradient(&mut self, value: &ast::Expr) -> SettingValue {
        let message = "`gradient` is `bptt`, backpropagation through time";
        let args: &[ast::Arg] = match &value.kind {
            ast::ExprKind::Call { callee, args } if callee.text == "bptt" => args,
            ast::ExprKind::Name(name) if name == "bptt" => &[],
            ast::ExprKind::Call { .. }
            | ast::ExprKind::Name(_)
            | ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Field { .. }
            | ast::ExprKind::List(_)
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::Binary { .. }
            | ast::ExprKind::If { .. }
            | ast::ExprKind::Range { .. } => {
                self.report(Check::finding(Code::E0704, value.span, message));
                return SettingValue::Invalid;
            }
        };
        let mut truncated = false;
        for arg in args {
            match arg.name.as_ref().map(|name| name.text.as_str()) {
                Some("checkpoint") => {}
                Some("truncate") => truncated = true,
                Some(_) | None => {
                    let message = "`bptt` takes `checkpoint` and `truncate`";
                    self.report(Check::finding(Code::E0704, arg.value.span, message));
                    return SettingValue::Invalid;
                }
            }
        }
        if truncated {
            return SettingValue::Opaque(value.span);
        }
        SettingValue::Word(ast::Name {
            text: "bptt".to_string(),
            span: value.span,
        })
    }

    fn word(&mut self, name: &str, value: &ast::Expr, words: &[&str]) -> SettingValue {
        if let ast::ExprKind::Name(text) = &value.kind
            && words.contains(&text.as_str())
        {
            return SettingValue::Word(ast::Name {
                text: text.clone(),
                span: value.span,
            });
        }
        let message = format!("`{name}` is one of {}", words.join(", "));
        self.report(Check::finding(Code::E0704, value.span, message));
        SettingValue::Invalid
    }

    fn number_setting(
        &mut self,
        scope: &Scope,
        name: &str,
        value: &ast::Expr,
        needed: Dimension,
    ) -> SettingValue {
        let expr = self.resolve(scope, value);
        let ty = self.infer(scope, &expr, &|_| Ty::Unknown);
        let Some(found) = self.expect_number(ty, &expr) else {
            return SettingValue::Invalid;
        };
        if found != needed {
            let message = format!("`{name}` must be {}, found {}", kind(needed), words(found));
            let finding = Check::finding(Code::E0306, expr.span, message);
            self.report(if needed == Dimension::TIME && found.is_none() {
                let end = expr.span.after();
                finding.help_edit("a number of steps is written with `step`", end, " step")
            } else {
                finding
            });
            return SettingValue::Invalid;
        }
        if needed.is_none() {
            let least = if name == "seed" { 0.0 } else { 1.0 };
            self.whole(&expr, name, least);
        }
        SettingValue::Number(expr)
    }

    fn constant_value(&self, expr: &Expr) -> Option<f64> {
        let nothing = |_: Ref| None;
        eval::Env::new(&self.model, None, &nothing)
            .number(expr)
            .ok()
    }

    fn whole(&mut self, expr: &Expr, name: &str, least: f64) {
        if let Some(value) = self.constant_value(expr)
            && (value.fract() != 0.0 || value < least || value > 9.007_199_254_740_992e15)
        {
            let message = format!("`{name}` must be a whole number from {least}, not {value}");
            self.report(Check::finding(Code::E0704, expr.span, message));
        }
    }

    /// `adam(lr = 1e-3)`
    fn choice(&mut self, scope: &Scope, setting: &str, value: &ast::Expr) -> SettingValue {
        let (callee, args) = match &value.kind {
            ast::ExprKind::Call { callee, args } => (callee.clone(), args.as_slice()),
            ast::ExprKind::Name(name) => {
                let name = ast::Name {
                    text: name.clone(),
                    span: value.span,
                };
                (name, [].as_slice())
            }
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Field { .. }
            | ast::ExprKind::List(_)
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::Binary { .. }
            | ast::ExprKind::If { .. }
            | ast::ExprKind::Range { .. } => {
                let names = Choice::names(setting).join(", ");
                let message = format!("`{setting}` is one of: {names}");
                self.report(Check::finding(Code::E0704, value.span, message));
                return SettingValue::Invalid;
            }
        };
        let Some(choice) = Choice::find(setting, &callee.text) else {
            let names = Choice::names(setting);
            let message = format!("`{}` is no value for `{setting}`", callee.text);
            let finding = Check::finding(Code::E0704, callee.span, message);
            self.report(match did_you_mean(&callee.text, names.iter().copied()) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), callee.span, near)
                }
                None => finding.help(format!("there are: {}", names.join(", "))),
            });
            return SettingValue::Invalid;
        };
        let names: Vec<(&str, bool)> = choice.slots.iter().map(|s| (s.name, s.required)).collect();
        let before = self.diagnostics.len();
        let arranged = self.arrange(&callee, args, &names);
        let failed = self.diagnostics.len() > before;
        let args: Vec<Option<ChoiceArg>> = arranged
            .into_iter()
            .zip(choice.slots)
            .map(|(given, slot)| given.map(|expr| self.choice_arg(scope, slot, expr)))
            .collect();
        for (arg, slot) in args.iter().zip(choice.slots) {
            if let Some(ChoiceArg::Number(expr)) = arg {
                self.in_range(choice.name, slot.name, expr);
            }
        }
        if failed {
            return SettingValue::Invalid;
        }
        SettingValue::Choice {
            choice,
            args,
            span: value.span,
        }
    }

    fn in_range(&mut self, choice: &str, slot: &str, expr: &Expr) {
        let Some(value) = self.constant_value(expr) else {
            return;
        };
        for (of, name, allowed, words) in RANGES {
            let applies = *name == slot && (of.is_empty() || *of == choice);
            if applies && !allowed(value) {
                let message = format!("`{slot}` must be {words}, not {value}");
                self.report(Check::finding(Code::E0704, expr.span, message));
            }
        }
    }

    fn choice_arg(&mut self, scope: &Scope, slot: &Slot, expr: &ast::Expr) -> ChoiceArg {
        let wrong = |check: &mut Self, what: &str| {
            let message = format!("`{}` is {what}", slot.name);
            check.report(Check::finding(Code::E0704, expr.span, message));
            ChoiceArg::Invalid
        };
        match slot.takes {
            Takes::Text => {
                if let ast::ExprKind::Str(text) = &expr.kind {
                    ChoiceArg::Text(text.clone())
                } else {
                    wrong(self, "a text in quotes")
                }
            }
            Takes::Flag => {
                if let ast::ExprKind::Bool(value) = expr.kind {
                    ChoiceArg::Flag(value)
                } else {
                    wrong(self, "`true` or `false`")
                }
            }
            Takes::Numbers => {
                let ast::ExprKind::List(items) = &expr.kind else {
                    return wrong(self, "a list of numbers");
                };
                let number = |e| self.number_of(scope, slot, e, Dimension::NONE);
                ChoiceArg::List(items.iter().map(number).collect())
            }
            Takes::Time => ChoiceArg::Number(self.number_of(scope, slot, expr, Dimension::TIME)),
            Takes::Rate => ChoiceArg::Number(self.number_of(scope, slot, expr, Dimension::RATE)),
            Takes::Whole => {
                let number = self.number_of(scope, slot, expr, Dimension::NONE);
                self.whole(&number, slot.name, 1.0);
                ChoiceArg::Number(number)
            }
            Takes::Plain | Takes::Value | Takes::Weights | Takes::Bounds => {
                ChoiceArg::Number(self.number_of(scope, slot, expr, Dimension::NONE))
            }
        }
    }

    fn number_of(
        &mut self,
        scope: &Scope,
        slot: &Slot,
        expr: &ast::Expr,
        needed: Dimension,
    ) -> Expr {
        let expr = self.resolve(scope, expr);
        let ty = self.infer(scope, &expr, &|_| Ty::Unknown);
        if let Some(found) = self.expect_number(ty, &expr)
            && found != needed
        {
            let message = format!(
                "`{}` must be {}, found {}",
                slot.name,
                kind(needed),
                words(found)
            );
            self.report(Check::finding(Code::E0306, expr.span, message));
        }
        expr
    }

    /// `cross_entropy(max_over_time(out.v), label)`
    fn loss_setting(
        &mut self,
        scope: &Scope,
        value: &ast::Expr,
        network: Option<usize>,
    ) -> SettingValue {
        let ast::ExprKind::Call { callee, args } = &value.kind else {
            let message = "`loss` is a call, as in `cross_entropy(max_over_time(out.v), label)`";
            self.report(Check::finding(Code::E0704, value.span, message));
            return SettingValue::Invalid;
        };
        if callee.text != "cross_entropy" {
            let message = format!("there is no loss `{}`", callee.text);
            let finding = Check::finding(Code::E0704, callee.span, message);
            self.report(match did_you_mean(&callee.text, ["cross_entropy"]) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), callee.span, near)
                }
                None => finding.help("there is: cross_entropy"),
            });
            return SettingValue::Invalid;
        }
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &[("logits", true), ("target", true)]);
        if self.diagnostics.len() > before {
            return SettingValue::Invalid;
        }
        if let Some(target) = arranged[1]
            && !matches!(&target.kind, ast::ExprKind::Name(name) if name == "label")
        {
            let message = "the target of `cross_entropy` is `label`";
            self.report(Check::finding(Code::E0704, target.span, message).help_edit(
                "the class of a sample is",
                target.span,
                "label",
            ));
        }
        let (Some(logits), Some(network)) = (arranged[0], network) else {
            return SettingValue::Invalid;
        };
        match self.readout(scope, logits, network) {
            Some(loss) => SettingValue::Loss(loss),
            None => SettingValue::Invalid,
        }
    }

    /// `max_over_time(out.v)`, optionally times a number.
    fn readout(&mut self, scope: &Scope, expr: &ast::Expr, network: usize) -> Option<Loss> {
        if let ast::ExprKind::Binary { op, lhs, rhs, .. } = &expr.kind
            && matches!(op, ast::BinaryOp::Mul | ast::BinaryOp::Div)
        {
            let is_call = |e: &ast::Expr| matches!(&e.kind, ast::ExprKind::Call { callee, .. } if is_reduction(&callee.text));
            let factor_first = *op == ast::BinaryOp::Mul && !is_call(lhs);
            let (inner, factor) = if factor_first { (rhs, lhs) } else { (lhs, rhs) };
            let mut loss = self.readout(scope, inner, network)?;
            let factor = self.resolve(scope, factor);
            let ty = self.infer(scope, &factor, &|_| Ty::Unknown);
            if let Some(found) = self.expect_number(ty, &factor)
                && !found.is_none()
            {
                let message = format!(
                    "a factor on logits is a plain number, found {}",
                    words(found)
                );
                self.report(Check::finding(Code::E0306, factor.span, message));
            }
            loss.scale = Some(scaled(loss.scale, factor, *op));
            return Some(loss);
        }
        let ast::ExprKind::Call { callee, args } = &expr.kind else {
            return self.no_reduction(expr.span);
        };
        let reduction = REDUCTIONS.iter().find(|(n, _)| *n == callee.text);
        let reduction = match reduction {
            Some(&(_, reduction)) => reduction,
            None if callee.text == "spike_count" => Reduction::Sum,
            None => return self.no_reduction(callee.span),
        };
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &[("trace", true)]);
        if self.diagnostics.len() > before {
            return None;
        }
        let trace = arranged[0]?;
        let (layer, state) = self.trace(trace, network, callee.text == "spike_count")?;
        Some(Loss {
            layer,
            state,
            reduction,
            scale: None,
            span: expr.span,
        })
    }

    fn no_reduction(&mut self, span: Span) -> Option<Loss> {
        let names: Vec<&str> = REDUCTIONS.iter().map(|(n, _)| *n).collect();
        let message = "logits are a trace of the readout, reduced over time";
        self.report(
            Check::finding(Code::E0704, span, message)
                .help(format!("use one of: {}, spike_count", names.join(", "))),
        );
        None
    }

    /// `out.v` or `out`
    fn trace(
        &mut self,
        expr: &ast::Expr,
        network: usize,
        spikes: bool,
    ) -> Option<(usize, Option<usize>)> {
        let (layer_name, state, place) = match &expr.kind {
            ast::ExprKind::Name(name) => (name.as_str(), None, expr.span),
            ast::ExprKind::Field { base, field } => {
                let ast::ExprKind::Name(name) = &base.kind else {
                    return self.no_trace(expr.span);
                };
                (name.as_str(), Some(field), base.span)
            }
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Call { .. }
            | ast::ExprKind::List(_)
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::Binary { .. }
            | ast::ExprKind::If { .. }
            | ast::ExprKind::Range { .. } => return self.no_trace(expr.span),
        };
        let network = &self.model.networks[network];
        let Some(layer) = network.layer(layer_name) else {
            if network.broken {
                return None;
            }
            let names: Vec<&str> = network
                .layers
                .iter()
                .map(|l| l.name.text.as_str())
                .collect();
            let message = format!(
                "network `{}` has no layer `{layer_name}`",
                network.name.text
            );
            let finding = Check::finding(Code::E0603, place, message);
            let finding = match did_you_mean(layer_name, names.iter().copied()) {
                Some(near) => finding.help_edit(format!("did you mean `{near}`?"), place, near),
                None => finding.help(format!("there are: {}", names.join(", "))),
            };
            self.report(finding);
            return None;
        };
        let LayerKind::Neuron(n) = network.layers[layer].kind else {
            return None;
        };
        let neuron = &self.model.neurons[n];
        let Some(state) = state else {
            if neuron.spikes.is_empty() && !neuron.broken {
                let message = format!("`{layer_name}` never spikes");
                let first = neuron.states.first().map(|s| s.name.text.clone());
                let finding = Check::finding(Code::E0605, place, message)
                    .note(format!("`{}` has no `spike when …`", neuron.name.text));
                let finding = match first {
                    Some(state) => {
                        finding.help_edit("read a state", place.after(), format!(".{state}"))
                    }
                    None => finding,
                };
                self.report(finding);
                return None;
            }
            return Some((layer, None));
        };
        if spikes {
            let message = format!(
                "`spike_count` counts the spikes of a layer; `{layer_name}.{}` is a state",
                state.text
            );
            self.report(Check::finding(Code::E0605, expr.span, message));
            return None;
        }
        let Some(index) = neuron.state(&state.text) else {
            if neuron.broken {
                return None;
            }
            let names: Vec<&str> = neuron.states.iter().map(|s| s.name.text.as_str()).collect();
            let message = format!(
                "`{}` has no state `{}`; it has {}",
                neuron.name.text,
                state.text,
                names.join(", ")
            );
            let finding = Check::finding(Code::E0603, state.span, message);
            let finding = match did_you_mean(&state.text, names.iter().copied()) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), state.span, near)
                }
                None => finding,
            };
            self.report(finding);
            return None;
        };
        Some((layer, Some(index)))
    }

    fn no_trace(&mut self, span: Span) -> Option<(usize, Option<usize>)> {
        let message = "a trace is `layer.state`, or `layer` for its spikes";
        self.report(Check::finding(Code::E0704, span, message));
        None
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
            && choice.name == "digits"
        {
            let message = "`digits` are images: say how they become spikes";
            let names = Choice::names("encode").join(", ");
            self.report(
                Check::finding(Code::E0704, *span, message)
                    .help(format!("set `encode` to one of: {names}")),
            );
        }
    }

    fn duration(&mut self, train: &Train, elaborated: &Elaborated) {
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

    fn sizes(&mut self, train: &Train, network: &Network, elaborated: &Elaborated) {
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
                | ChoiceArg::Invalid => None,
            }
        };
        let (channels, classes) = match choice.name {
            "digits" => (Some(64.0), Some(10.0)),
            "random_spikes" => (argument("channels"), argument("classes")),
            "shd" => (Some(700.0), Some(20.0)),
            "ssc" => (Some(700.0), Some(35.0)),
            _ => (None, None),
        };
        let mut findings = Vec::new();
        if let (Some(channels), [input]) = (channels, network.inputs.as_slice()) {
            let size: usize = elaborated.inputs[0].iter().product();
            if size as f64 != channels {
                let message = format!(
                    "`{}` has {channels} channels, but input `{}` has {size}",
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
            let size: usize = elaborated.layers[loss.layer].iter().product();
            if (size as f64) < classes {
                let layer = &network.layers[loss.layer];
                let message = format!(
                    "the labels of `{}` are 0..{}, but the readout `{}` has {size} units",
                    choice.name,
                    classes - 1.0,
                    layer.name.text
                );
                findings.push(
                    Check::finding(Code::E0701, loss.span, message)
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
}

fn is_reduction(name: &str) -> bool {
    name == "spike_count" || REDUCTIONS.iter().any(|(n, _)| *n == name)
}

/// A factor times, or divided into, an earlier one.
fn scaled(before: Option<Expr>, factor: Expr, op: ast::BinaryOp) -> Expr {
    let span = factor.span;
    let one = Expr {
        kind: ExprKind::Number {
            value: 1.0,
            unit: crate::units::Unit::ONE,
        },
        span,
    };
    Expr {
        kind: ExprKind::Binary {
            op,
            lhs: Box::new(before.unwrap_or(one)),
            rhs: Box::new(factor),
        },
        span,
    }
}

fn kind(dimension: Dimension) -> &'static str {
    crate::units::print::kind(dimension).unwrap_or("a plain number")
}
