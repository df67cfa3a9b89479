//! Expressions of the tree to expressions of the model: names, units of literals, arguments.

use super::Check;
use super::items::ItemRef;
use super::scope::Scope;
use crate::ast;
use crate::diag::{Code, Diagnostic, did_you_mean, with_prefix};
use crate::model::builtin::{Builtin, Law};
use crate::model::{Draw, Expr, ExprKind, Formal, Ref, Start, SurrogateCall};
use crate::span::Span;
use crate::units::{Unit, names, read};

impl Check<'_> {
    /// Resolves an expression. Names of the scope come before constants.
    pub(super) fn resolve(&mut self, scope: &Scope, expr: &ast::Expr) -> Expr {
        let kind = self.resolve_kind(scope, expr);
        Expr {
            kind: kind.unwrap_or(ExprKind::Error),
            span: expr.span,
        }
    }

    fn resolve_boxed(&mut self, scope: &Scope, expr: &ast::Expr) -> Box<Expr> {
        Box::new(self.resolve(scope, expr))
    }

    /// `None` when something was reported.
    fn resolve_kind(&mut self, scope: &Scope, expr: &ast::Expr) -> Option<ExprKind> {
        use ast::ExprKind as Kind;
        Some(match &expr.kind {
            Kind::Number(value) => ExprKind::Number {
                value: *value,
                unit: Unit::ONE,
            },
            Kind::Quantity { value, unit } => ExprKind::Number {
                value: *value,
                unit: self.unit(scope, unit)?,
            },
            Kind::Bool(value) => ExprKind::Bool(*value),
            Kind::Name(name) => ExprKind::Ref(self.name(scope, name, expr.span)?),
            Kind::Call { callee, args } => self.call(scope, callee, args, expr.span)?,
            Kind::Unary { op, operand } => {
                let operand = self.resolve_boxed(scope, operand);
                match op {
                    ast::UnaryOp::Neg => ExprKind::Neg(operand),
                    ast::UnaryOp::Not => ExprKind::Not(operand),
                }
            }
            Kind::Binary { op, lhs, rhs, .. } => {
                if self.unbracketed_unit(scope, *op, lhs, rhs) {
                    return None;
                }
                ExprKind::Binary {
                    op: *op,
                    lhs: self.resolve_boxed(scope, lhs),
                    rhs: self.resolve_boxed(scope, rhs),
                }
            }
            Kind::If {
                cond,
                then,
                otherwise,
            } => ExprKind::If {
                cond: self.resolve_boxed(scope, cond),
                then: self.resolve_boxed(scope, then),
                otherwise: self.resolve_boxed(scope, otherwise),
            },
            Kind::Str(_) => return self.misplaced(expr.span, "a text"),
            Kind::List(_) => return self.misplaced(expr.span, "a list"),
            Kind::Range { .. } => return self.misplaced(expr.span, "a range"),
            Kind::Field { .. } => return self.misplaced(expr.span, "a name with a dot"),
        })
    }

    fn misplaced(&mut self, span: Span, what: &str) -> Option<ExprKind> {
        let message = format!("{what} cannot be part of a formula");
        self.report(Check::finding(Code::E0101, span, message).label("expected a number here"));
        None
    }

    /// The unit of a literal or of a declaration.
    pub(super) fn unit(&mut self, scope: &Scope, unit: &ast::Unit) -> Option<Unit> {
        let name = match read::unit(unit) {
            Ok(unit) => return Some(unit),
            Err(read::UnitError::Exponent(name)) => {
                let message = format!("the exponent of `{}` is out of range", name.text);
                self.report(Check::finding(Code::E0102, name.span, message));
                return None;
            }
            Err(read::UnitError::Unknown(name)) => name,
        };
        let mut finding = Check::finding(
            Code::E0102,
            name.span,
            format!("`{}` is not a unit", name.text),
        );
        let is_name =
            scope.find(&name.text).is_some() || self.items.find(&name.text, name.span).is_some();
        if is_name && !unit.bracketed {
            finding = finding
                .label("this is a name; a product needs `*`")
                .help_edit("multiply", unit.span.before(), "* ");
        } else if matches!(
            name.text.as_str(),
            "requires_grad" | "trainable" | "learnable" | "learned"
        ) {
            finding = finding.help_edit("what is trained is marked by", unit.span, "learn");
        } else {
            let near = names::meant(&name.text)
                .or_else(|| did_you_mean(&name.text, names::COMMON.iter().copied()));
            if let Some(near) = near {
                let text = format!("did you mean `{near}`?");
                finding = finding.help_edit(text, name.span, near);
            }
        }
        self.report(finding);
        None
    }

    /// `2 mV/ms`: the unit was meant to be compound.
    fn unbracketed_unit(
        &mut self,
        scope: &Scope,
        op: ast::BinaryOp,
        lhs: &ast::Expr,
        rhs: &ast::Expr,
    ) -> bool {
        if !matches!(op, ast::BinaryOp::Div | ast::BinaryOp::Mul) {
            return false;
        }
        let ast::ExprKind::Quantity { unit, .. } = &lhs.kind else {
            return false;
        };
        let name = match &rhs.kind {
            ast::ExprKind::Name(name) => name,
            ast::ExprKind::Number(_)
            | ast::ExprKind::Quantity { .. }
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Field { .. }
            | ast::ExprKind::Call { .. }
            | ast::ExprKind::List(_)
            | ast::ExprKind::Unary { .. }
            | ast::ExprKind::Binary { .. }
            | ast::ExprKind::If { .. }
            | ast::ExprKind::Range { .. } => return false,
        };
        let visible = scope.find(name).is_some() || self.items.find(name, rhs.span).is_some();
        if unit.bracketed || visible || names::find(name).is_none() {
            return false;
        }
        let sign = op.symbol();
        let compound = format!("[{}{sign}{name}]", unit.text);
        let message = format!("a compound unit needs brackets: `{compound}`");
        self.report(
            Check::finding(Code::E0104, unit.span.to(rhs.span), message)
                .note(format!(
                    "without brackets this would use a variable `{name}`"
                ))
                .help_edit("put it in brackets", unit.span.to(rhs.span), compound),
        );
        true
    }

    fn name(&mut self, scope: &Scope, name: &str, span: Span) -> Option<Ref> {
        if let Some(entry) = scope.find(name) {
            return Some(entry.target);
        }
        let item = self.items.find(name, span);
        if let Some(ItemRef::Const(i)) = item {
            return Some(Ref::Const(i));
        }
        if name == "pi" {
            return Some(Ref::Pi);
        }
        if scope.broken || self.items.excused(name) {
            return None;
        }
        let finding = if let Some(item) = item {
            let message = format!("`{name}` is {}, not a value", item.words());
            Check::finding(Code::E0201, span, message)
        } else if names::find(name).is_some() {
            let message = format!("`{name}` is a unit and needs a number in front");
            Check::finding(Code::E0103, span, message).help_edit(
                format!("write `1 {name}`"),
                span.before(),
                "1 ",
            )
        } else {
            self.undefined(scope, name, span)
        };
        self.report(finding);
        None
    }

    fn undefined(&self, scope: &Scope, name: &str, span: Span) -> Diagnostic {
        let message = format!("there is no `{name}` in {}", scope.place);
        let finding = Check::finding(Code::E0201, span, message).label("not defined");
        let constants = self
            .items
            .names_of(|item| matches!(item, ItemRef::Const(_)));
        let names = scope.names().chain(constants);
        // A name of two letters is near to everything.
        let near = did_you_mean(name, names).filter(|_| name != "xi");
        match near {
            Some(near) => finding.help_edit(format!("did you mean `{near}`?"), span, near),
            None if name == "xi" => finding.help("declare it: `noise xi = white()`"),
            None if matches!(name, "n_in" | "n_inputs" | "num_inputs" | "in_features")
                && scope.find("fan_in").is_some() =>
            {
                finding.help_edit("the number of sources is", span, "fan_in")
            }
            None if matches!(name, "dt" | "time_step" | "timestep" | "delta_t") => {
                finding.help("the length of a step is `1 step`; `v' = …` needs none")
            }
            None if Builtin::find(name).is_some() => {
                finding.help(format!("`{name}` is a function: write `{name}(…)`"))
            }
            None => finding,
        }
    }

    /// Puts the arguments of a call in the order of its formals; reports what does not fit.
    ///
    /// `formals` are the names and whether they are required.
    pub(super) fn arrange<'e>(
        &mut self,
        callee: &ast::Name,
        args: &'e [ast::Arg],
        formals: &[(&str, bool)],
    ) -> Vec<Option<&'e ast::Expr>> {
        let mut arranged: Vec<Option<&ast::Expr>> = vec![None; formals.len()];
        let mut failed = false;
        for (i, arg) in args.iter().enumerate() {
            let index = match &arg.name {
                Some(name) => formals.iter().position(|(f, _)| *f == name.text),
                None => (i < formals.len()).then_some(i),
            };
            match index {
                Some(index) if arranged[index].is_none() => arranged[index] = Some(&arg.value),
                Some(index) => {
                    let message = format!("`{}` is given twice", formals[index].0);
                    let span = arg.name.as_ref().map_or(arg.value.span, |n| n.span);
                    self.report(Check::finding(Code::E0105, span, message));
                    failed = true;
                }
                None => {
                    let finding = unknown_argument(callee, arg, formals);
                    self.report(finding);
                    failed = true;
                }
            }
        }
        let missing: Vec<&str> = formals
            .iter()
            .zip(&arranged)
            .filter(|((_, required), given)| *required && given.is_none())
            .map(|((name, _), _)| *name)
            .collect();
        if !missing.is_empty() && !failed {
            let message = format!("`{}` needs `{}`", callee.text, missing.join("`, `"));
            self.report(Check::finding(Code::E0210, callee.span, message).label("is missing here"));
        }
        arranged
    }

    fn call(
        &mut self,
        scope: &Scope,
        callee: &ast::Name,
        args: &[ast::Arg],
        span: Span,
    ) -> Option<ExprKind> {
        if let Some(ItemRef::Fn(function)) = self.items.find(&callee.text, callee.span) {
            let formals = self.model.functions[function].formals.clone();
            let args = self.resolve_args(scope, callee, args, &formals)?;
            return Some(ExprKind::Call { function, args });
        }
        if let Some(function) = Builtin::find(&callee.text) {
            return self.builtin(scope, function, callee, args);
        }
        // Arguments are still looked at: their mistakes are independent of the callee's.
        for arg in args {
            self.resolve(scope, &arg.value);
        }
        if self.items.excused(&callee.text) {
            return None;
        }
        let name = &callee.text;
        let finding = if Law::find(name).is_some() {
            let message = format!("`{name}` is a distribution: only initial values can be random");
            Check::finding(Code::E0201, span, message)
        } else if let Some(item) = self.items.find(name, callee.span) {
            let message = format!("`{name}` is {}, not a function", item.words());
            Check::finding(Code::E0201, callee.span, message)
        } else if scope.find(name).is_some() {
            let message = format!("`{name}` is not a function");
            Check::finding(Code::E0201, callee.span, message).help_edit(
                "multiply",
                callee.span.after(),
                " * ",
            )
        } else {
            let finding = Check::finding(
                Code::E0201,
                callee.span,
                format!("there is no function `{name}`"),
            );
            let mut names: Vec<&str> = Builtin::ALL.iter().map(|(n, _)| *n).collect();
            names.extend(self.items.names_of(|item| matches!(item, ItemRef::Fn(_))));
            match meant_function(name).or_else(|| did_you_mean(name, names)) {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), callee.span, near)
                }
                None => finding,
            }
        };
        self.report(finding);
        None
    }

    fn builtin(
        &mut self,
        scope: &Scope,
        function: Builtin,
        callee: &ast::Name,
        args: &[ast::Arg],
    ) -> Option<ExprKind> {
        let (least, most) = function.arity();
        let named = args.iter().find_map(|a| a.name.as_ref());
        if let Some(name) = named {
            let message = format!("the arguments of `{}` have no names", callee.text);
            self.report(Check::finding(Code::E0210, name.span, message));
            return None;
        }
        if args.len() < least || args.len() > most {
            let needs = match (least, most) {
                (1, 1) => "1 argument".to_string(),
                (a, b) if a == b => format!("{a} arguments"),
                (a, _) => format!("at least {a} arguments"),
            };
            let message = format!("`{}` takes {needs}, found {}", callee.text, args.len());
            self.report(Check::finding(Code::E0210, callee.span, message));
            return None;
        }
        let args = args.iter().map(|a| self.resolve(scope, &a.value)).collect();
        Some(ExprKind::Builtin { function, args })
    }

    /// The arguments in the order of the formals, defaults filled in.
    pub(super) fn resolve_args(
        &mut self,
        scope: &Scope,
        callee: &ast::Name,
        args: &[ast::Arg],
        formals: &[Formal],
    ) -> Option<Vec<Expr>> {
        let names: Vec<(&str, bool)> = formals
            .iter()
            .map(|f| (f.name.text.as_str(), f.default.is_none()))
            .collect();
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &names);
        let failed = self.diagnostics.len() > before;
        let resolved: Vec<Option<Expr>> = arranged
            .iter()
            .zip(formals)
            .map(|(given, formal)| match given {
                Some(expr) => Some(self.resolve(scope, expr)),
                None => formal.default.clone(),
            })
            .collect();
        if failed {
            return None;
        }
        resolved.into_iter().collect()
    }

    /// A call of a surrogate, as in `surrogate f(…)`.
    pub(super) fn surrogate_call(&mut self, scope: &Scope, call: &ast::Call) -> SurrogateCall {
        let mut built = SurrogateCall {
            surrogate: None,
            args: Vec::new(),
            span: call.span,
        };
        let name = &call.callee.text;
        if let Some(ItemRef::Surrogate(index)) = self.items.find(name, call.callee.span) {
            let formals = self.model.surrogates[index].formals.clone();
            let shape = formals.get(1..).unwrap_or_default();
            if let Some(args) = self.resolve_args(scope, &call.callee, &call.args, shape) {
                built.surrogate = Some(index);
                built.args = args;
            }
            return built;
        }
        if self.items.excused(name) {
            return built;
        }
        let message = format!("there is no surrogate `{name}`");
        let finding = Check::finding(Code::E0201, call.callee.span, message);
        let names = self
            .items
            .names_of(|item| matches!(item, ItemRef::Surrogate(_)));
        let finding = match did_you_mean(name, names.iter().copied()) {
            Some(near) => {
                finding.help_edit(format!("did you mean `{near}`?"), call.callee.span, near)
            }
            None if names.is_empty() => finding
                .help("import the standard ones: `import \"std/surrogates.snn\"`, or define it"),
            None => match with_prefix(name, names.iter().copied()).as_slice() {
                [] => finding.help(format!("there are: {}", names.join(", "))),
                near => finding.help(format!("did you mean `{}`?", near.join("` or `"))),
            },
        };
        self.report(finding);
        built
    }

    /// A value or a distribution.
    pub(super) fn start(&mut self, scope: &Scope, expr: &ast::Expr) -> Start {
        let ast::ExprKind::Call { callee, args } = &expr.kind else {
            return Start::Value(self.resolve(scope, expr));
        };
        let shadowed = self.items.find(&callee.text, callee.span).is_some();
        let Some(law) = Law::find(&callee.text).filter(|_| !shadowed) else {
            return Start::Value(self.resolve(scope, expr));
        };
        let names: Vec<(&str, bool)> = law.slots().iter().map(|s| (s.name, s.required)).collect();
        let before = self.diagnostics.len();
        let arranged = self.arrange(callee, args, &names);
        let failed = self.diagnostics.len() > before;
        let args: Vec<Option<Expr>> = arranged
            .into_iter()
            .map(|given| given.map(|e| self.resolve(scope, e)))
            .collect();
        if failed {
            return Start::Value(Expr {
                kind: ExprKind::Error,
                span: expr.span,
            });
        }
        Start::Random(Draw {
            law,
            args,
            span: expr.span,
        })
    }
}

fn unknown_argument(callee: &ast::Name, arg: &ast::Arg, formals: &[(&str, bool)]) -> Diagnostic {
    let names: Vec<&str> = formals.iter().map(|(f, _)| *f).collect();
    let Some(name) = &arg.name else {
        let message = format!(
            "`{}` takes {} argument{}",
            callee.text,
            names.len(),
            if names.len() == 1 { "" } else { "s" }
        );
        return Diagnostic::new(Code::E0210, arg.value.span, message).label("one too many");
    };
    let message = if names.is_empty() {
        format!("`{}` has no parameters", callee.text)
    } else {
        format!(
            "`{}` has no parameter `{}`; it has {}",
            callee.text,
            name.text,
            names.join(", ")
        )
    };
    let finding = Diagnostic::new(Code::E0210, name.span, message);
    let meant = meant_argument(&name.text).filter(|meant| names.contains(meant));
    if let Some(near) = meant.or_else(|| did_you_mean(&name.text, names.iter().copied())) {
        return finding.help_edit(format!("did you mean `{near}`?"), name.span, near);
    }
    match (name.text.as_str(), names.as_slice()) {
        ("delay" | "frozen", [_, ..]) => finding.help(format!(
            "`{}` stands behind the operations: `connect a -> b.x : {}(…) {}`",
            name.text,
            callee.text,
            if name.text == "delay" {
                "delay 1 ms"
            } else {
                "frozen"
            }
        )),
        (
            "in_channels" | "out_channels" | "in_features" | "out_features" | "input_size"
            | "hidden_size" | "num_features",
            [_, ..],
        ) => finding.help("remove it: sizes are those of the input and of the layer at the end"),
        (_, [only]) => finding.help_edit(format!("it is called `{only}`"), name.span, *only),
        (_, []) | (_, [_, ..]) => finding,
    }
}

/// What an argument is called in other libraries.
fn meant_argument(name: &str) -> Option<&'static str> {
    Some(match name {
        "kernel_size" => "kernel",
        "padding" => "pad",
        "strides" => "stride",
        "weight" | "weights" | "weight_init" | "kernel_init" | "init" => "w",
        "probability" | "prob" | "connection_probability" => "p",
        "learning_rate" => "lr",
        "smooth" | "label_smoothing" => "smoothing",
        "weight_decay_rate" | "wd" => "weight_decay",
        "tau_mem_inv" | "tau_m" => "tau",
        _ => return None,
    })
}

/// What people from other languages call a function.
fn meant_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "ln" => "log",
        "fabs" => "abs",
        "maximum" => "max",
        "minimum" => "min",
        "clip" => "clamp",
        "logistic" => "sigmoid",
        "stop_gradient" => "detach",
        _ => return None,
    })
}
