//! The values of settings: numbers, words, and choices such as `adam(lr = 1e-3)` with their arguments
//! in range.

use super::kind;
use crate::ast;
use crate::check::Check;
use crate::check::scope::Scope;
use crate::check::units::words;
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::model::builtin::{Choice, Slot, Takes};
use crate::model::{ChoiceArg, Expr, Ref, SettingValue, Ty, eval};
use crate::units::Dimension;

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
        "group_holdout",
        "fraction",
        |x| x > 0.0 && x < 1.0,
        "between 0 and 1",
    ),
    (
        "fold",
        "index",
        |x| x >= 0.0 && x.fract() == 0.0,
        "a whole number from 0",
    ),
    ("fold", "of", |x| x >= 2.0, "2 or more"),
    ("manifolds", "dim", |x| x <= 16.0, "at most 16"),
    ("manifolds", "smoothness", |x| x >= 0.0, "0 or above"),
    ("", "background", |x| x >= 0.0, "0 or above"),
    ("", "rate", |x| x > 0.0, "above 0"),
    ("", "period", |x| x > 0.0, "above 0"),
    ("", "cue", |x| x > 0.0, "above 0"),
    ("", "delay", |x| x >= 0.0, "0 or above"),
    (
        "random_spikes",
        "density",
        |x| (0.0..=1.0).contains(&x),
        "from 0 to 1",
    ),
    (
        "latency",
        "threshold",
        |x| (0.0..1.0).contains(&x),
        "from 0 to below 1",
    ),
    ("", "max_rate", |x| x > 0.0, "above 0"),
    ("", "tau", |x| x > 0.0, "above 0"),
    ("", "hold", |x| x > 0.0, "above 0"),
    ("", "std", |x| x >= 0.0, "0 or above"),
    ("population", "neurons", |x| x >= 2.0, "2 or more"),
    ("population", "width", |x| x > 0.0, "above 0"),
    ("delta", "threshold", |x| x > 0.0, "above 0"),
    (
        "drop",
        "probability",
        |x| (0.0..=1.0).contains(&x),
        "from 0 to 1",
    ),
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
    (
        "cosine",
        "floor",
        |x| (0.0..=1.0).contains(&x),
        "from 0 to 1",
    ),
    (
        "one_cycle",
        "rise",
        |x| x > 0.0 && x < 1.0,
        "between 0 and 1",
    ),
    ("step", "factor", |x| x > 0.0, "above 0"),
    (
        "plateau",
        "factor",
        |x| x > 0.0 && x < 1.0,
        "between 0 and 1",
    ),
    (
        "plateau",
        "floor",
        |x| (0.0..=1.0).contains(&x),
        "from 0 to 1",
    ),
    ("ema", "decay", |x| x > 0.0 && x < 1.0, "between 0 and 1"),
    ("exponential", "factor", |x| x > 0.0, "above 0"),
    (
        "rmsprop",
        "alpha",
        |x| (0.0..1.0).contains(&x),
        "from 0 to below 1",
    ),
    (
        "rmaxprop",
        "gamma",
        |x| (0.0..1.0).contains(&x),
        "from 0 to below 1",
    ),
    ("grad_norm", "max", |x| x > 0.0, "above 0"),
    ("grad_value", "max", |x| x > 0.0, "above 0"),
];

impl Check<'_> {
    pub(super) fn word(&mut self, name: &str, value: &ast::Expr, words: &[&str]) -> SettingValue {
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

    pub(super) fn number_setting(
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

    pub(super) fn constant_value(&self, expr: &Expr) -> Option<f64> {
        let nothing = |_: Ref| None;
        eval::Env::new(&self.model, None, &nothing)
            .number(expr)
            .ok()
    }

    pub(super) fn whole(&mut self, expr: &Expr, name: &str, least: f64) {
        if let Some(value) = self.constant_value(expr)
            && (value.fract() != 0.0 || value < least || value > 9.007_199_254_740_992e15)
        {
            let message = format!("`{name}` must be a whole number from {least}, not {value}");
            self.report(Check::finding(Code::E0704, expr.span, message));
        }
    }

    /// One choice, or a list of them: `[shift(2), drop(0.1)]`.
    pub(super) fn choices(
        &mut self,
        scope: &Scope,
        setting: &str,
        value: &ast::Expr,
    ) -> SettingValue {
        let ast::ExprKind::List(items) = &value.kind else {
            return self.choice(scope, setting, value);
        };
        let each = |item| self.choice(scope, setting, item);
        SettingValue::Choices(items.iter().map(each).collect(), value.span)
    }

    /// `adam(lr = 1e-3)`
    pub(super) fn choice(
        &mut self,
        scope: &Scope,
        setting: &str,
        value: &ast::Expr,
    ) -> SettingValue {
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
                let finding = no_choice(setting, value);
                self.report(finding);
                return SettingValue::Invalid;
            }
        };
        let Some(choice) = Choice::find(setting, &callee.text) else {
            let names = Choice::names(setting);
            let message = format!("`{}` is no value for `{setting}`", callee.text);
            let finding = Check::finding(Code::E0704, callee.span, message);
            let meant = meant_choice(&callee.text).filter(|meant| names.contains(meant));
            self.report(
                match meant.or_else(|| did_you_mean(&callee.text, names.iter().copied())) {
                    Some(near) => {
                        finding.help_edit(format!("did you mean `{near}`?"), callee.span, near)
                    }
                    None => finding.help(format!("there are: {}", names.join(", "))),
                },
            );
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

    pub(super) fn in_range(&mut self, choice: &str, slot: &str, expr: &Expr) {
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

    pub(super) fn choice_arg(&mut self, scope: &Scope, slot: &Slot, expr: &ast::Expr) -> ChoiceArg {
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
            Takes::Word(words) => {
                if let ast::ExprKind::Name(word) = &expr.kind
                    && words.contains(&word.as_str())
                {
                    ChoiceArg::Word(word.clone())
                } else {
                    wrong(self, &format!("one of {}", words.join(", ")))
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
            Takes::WholeOr(words) => {
                if let ast::ExprKind::Name(word) = &expr.kind
                    && words.contains(&word.as_str())
                {
                    return ChoiceArg::Word(word.clone());
                }
                let number = self.number_of(scope, slot, expr, Dimension::NONE);
                self.whole(&number, slot.name, 1.0);
                ChoiceArg::Number(number)
            }
            // Settings of a plan take none of the others.
            Takes::Plain | Takes::Value | Takes::Weights | Takes::Bounds | Takes::Function => {
                ChoiceArg::Number(self.number_of(scope, slot, expr, Dimension::NONE))
            }
        }
    }

    pub(super) fn number_of(
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
}

/// The value of a setting is no call: a text with the name of one, a bare number, or something else.
fn no_choice(setting: &str, value: &ast::Expr) -> Diagnostic {
    let names = Choice::names(setting);
    let message = format!("`{setting}` is one of: {}", names.join(", "));
    let finding = Check::finding(Code::E0704, value.span, message);
    match &value.kind {
        ast::ExprKind::Str(text) => {
            let folded = text.to_lowercase();
            let meant = names.iter().find(|name| **name == folded).copied();
            match meant.or_else(|| did_you_mean(&folded, names.iter().copied())) {
                Some(near) => {
                    let slots = Choice::find(setting, near).map_or(&[][..], |c| c.slots);
                    let first = slots.iter().find(|slot| slot.required);
                    let shown = match first {
                        Some(slot) => format!("{near}({} = …)", slot.name),
                        None => format!("{near}()"),
                    };
                    finding.help(format!("write it without quotes: `{shown}`"))
                }
                None => finding,
            }
        }
        ast::ExprKind::Number(part) if matches!(setting, "valid" | "test") => {
            let text = format!("holdout({part})");
            finding.help_edit("a part of the data is held out by", value.span, text)
        }
        ast::ExprKind::Number(_)
        | ast::ExprKind::Quantity { .. }
        | ast::ExprKind::Bool(_)
        | ast::ExprKind::Name(_)
        | ast::ExprKind::Call { .. }
        | ast::ExprKind::Field { .. }
        | ast::ExprKind::List(_)
        | ast::ExprKind::Unary { .. }
        | ast::ExprKind::Binary { .. }
        | ast::ExprKind::If { .. }
        | ast::ExprKind::Range { .. } => finding,
    }
}

/// What the values of settings are called elsewhere.
fn meant_choice(name: &str) -> Option<&'static str> {
    Some(match name {
        "poisson" | "Poisson" | "bernoulli" | "rate_coding" | "spike_rate" => "rate",
        "ttfs" | "latency_coding" | "time_to_first_spike" => "latency",
        "direct" | "repeat" | "constant_current" => "constant",
        "ReduceLROnPlateau" => "plateau",
        "CosineAnnealingLR" | "cosine_annealing" => "cosine",
        "StepLR" => "step",
        "ExponentialLR" => "exponential",
        "OneCycleLR" => "one_cycle",
        "clip_grad_norm" | "clip_grad_norm_" | "max_norm" => "grad_norm",
        "clip_grad_value" | "clip_grad_value_" => "grad_value",
        "random_split" | "split" | "train_test_split" => "holdout",
        "kfold" | "KFold" => "fold",
        _ => return None,
    })
}
