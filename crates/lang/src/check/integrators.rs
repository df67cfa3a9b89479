//! The methods that `integrate { … }` can name, and their arguments.

use super::Check;
use super::scope::Scope;
use crate::ast;
use crate::diag::{Code, did_you_mean};
use crate::model::{self, Method, Ref};

impl Check<'_> {
    /// The integrator that a call names; `None` when something was reported.
    pub(super) fn method(&mut self, call: &ast::Call) -> Option<Method> {
        const NAMES: [&str; 5] = ["exact", "exp_euler", "euler", "heun", "rk4"];
        let name = call.callee.text.as_str();
        let formals: &[(&str, bool)] = match name {
            "euler" | "rk4" => &[("substeps", false)],
            _ => &[],
        };
        if !NAMES.contains(&name) {
            let message = format!("there is no integrator `{name}`");
            let finding = Check::finding(Code::E0201, call.callee.span, message);
            let near = match name {
                "linear" | "expm" | "propagator" => Some("exact"),
                "exponential_euler" => Some("exp_euler"),
                "runge_kutta" | "rk" => Some("rk4"),
                _ => did_you_mean(name, NAMES),
            };
            self.report(match near {
                Some(near) => {
                    finding.help_edit(format!("did you mean `{near}`?"), call.callee.span, near)
                }
                None => finding.help(format!("there are: {}", NAMES.join(", "))),
            });
            return None;
        }
        let args = self.arrange(&call.callee, &call.args, formals);
        let mut substeps = 1;
        if let Some(expr) = args.first().copied().flatten() {
            let scope = Scope::new("the arguments of an integrator", false);
            let value = self.resolve(&scope, expr);
            let nothing = |_: Ref| None;
            let number = model::eval::Env::new(&self.model, None, &nothing).number(&value);
            match number {
                Ok(n) if (1.0..=1000.0).contains(&n) && n.fract() == 0.0 => substeps = n as u32,
                Ok(n) => {
                    let message =
                        format!("`substeps` must be a whole number from 1 to 1000, not {n}");
                    self.report(Check::finding(Code::E0306, expr.span, message));
                }
                Err(_) => {}
            }
        }
        Some(match name {
            "exact" => Method::Exact,
            "exp_euler" => Method::ExpEuler,
            "euler" => Method::Euler(substeps),
            "heun" => Method::Heun,
            _ => Method::Rk4(substeps),
        })
    }
}
