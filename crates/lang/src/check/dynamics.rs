//! Whether the chosen integrator can integrate the equation: E0501, E0502, E0506.
//!
//! `exact` advances a linear system with coefficients that are constant during a step. The test is
//! a walk that carries, for each part of a formula, its degree in the states of the system and
//! whether something that changes from step to step multiplies one of them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Check;
use super::flow::ode_states;
use crate::ast::BinaryOp;
use crate::diag::Code;
use crate::model::builtin::Builtin;
use crate::model::{
    DynamicsKind, Expr, ExprKind, Integrator, Method, Model, Neuron, Ref, eval, walk,
};

/// What a formula is in some variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    /// 0, 1, or 2 for everything that is not linear.
    degree: u8,
    /// Whether its value, apart from the variables, changes from step to step.
    varies: bool,
    /// Whether something that varies multiplies a variable.
    varying_factor: bool,
}

impl Form {
    const CONSTANT: Form = Form {
        degree: 0,
        varies: false,
        varying_factor: false,
    };

    fn sum(self, other: Form) -> Form {
        Form {
            degree: self.degree.max(other.degree),
            varies: self.varies || other.varies,
            varying_factor: self.varying_factor || other.varying_factor,
        }
    }

    fn product(self, other: Form) -> Form {
        let scaled = |a: Form, b: Form| a.degree > 0 && b.degree == 0 && b.varies;
        Form {
            degree: (self.degree + other.degree).min(2),
            varying_factor: self.varying_factor
                || other.varying_factor
                || scaled(self, other)
                || scaled(other, self),
            varies: self.varies || other.varies,
        }
    }

    /// As the argument of something that is not linear.
    fn bent(self) -> Form {
        Form {
            degree: if self.degree > 0 { 2 } else { 0 },
            ..self
        }
    }
}

/// The form of a formula in the states for which `is_variable` holds.
struct Walker<'a> {
    model: &'a Model,
    neuron: &'a Neuron,
    is_variable: &'a dyn Fn(usize) -> bool,
    /// Results of calls: functions that call each other twice must not be walked 2^depth times.
    calls: RefCell<BTreeMap<(usize, Vec<Form>), Form>>,
}

impl Walker<'_> {
    fn form(&self, expr: &Expr) -> Form {
        let mut lets: Vec<Form> = vec![Form::CONSTANT; self.neuron.lets.len()];
        for i in walk::needed_lets(expr, &self.neuron.lets) {
            lets[i] = self.part(&self.neuron.lets[i].value, &lets, &[]);
        }
        self.part(expr, &lets, &[])
    }

    fn part(&self, expr: &Expr, lets: &[Form], formals: &[Form]) -> Form {
        let part = |e: &Expr| self.part(e, lets, formals);
        let all = |args: &[Expr]| args.iter().map(part).fold(Form::CONSTANT, Form::sum);
        match &expr.kind {
            ExprKind::Error | ExprKind::Number { .. } | ExprKind::Bool(_) => Form::CONSTANT,
            ExprKind::Ref(name) => self.name(*name, lets, formals),
            ExprKind::Neg(a) => part(a),
            ExprKind::Not(a) => part(a).bent(),
            ExprKind::Binary { op, lhs, rhs } => match op {
                BinaryOp::Add | BinaryOp::Sub => part(lhs).sum(part(rhs)),
                BinaryOp::Mul => part(lhs).product(part(rhs)),
                BinaryOp::Div => part(lhs).product(part(rhs).bent()),
                BinaryOp::Pow => self.power(part(lhs), part(rhs), rhs),
                BinaryOp::Lt
                | BinaryOp::Le
                | BinaryOp::Gt
                | BinaryOp::Ge
                | BinaryOp::Eq
                | BinaryOp::Ne
                | BinaryOp::And
                | BinaryOp::Or => part(lhs).sum(part(rhs)).bent(),
            },
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                let chosen = part(then).sum(part(otherwise));
                let cond = part(cond);
                if cond.degree > 0 {
                    chosen.sum(cond).bent()
                } else {
                    chosen.product(Form { degree: 0, ..cond })
                }
            }
            ExprKind::Builtin { function, args } => {
                if *function == Builtin::Detach {
                    part(&args[0])
                } else {
                    all(args).bent()
                }
            }
            ExprKind::Call { function, args } => {
                let args: Vec<Form> = args.iter().map(part).collect();
                let key = (*function, args);
                if let Some(&form) = self.calls.borrow().get(&key) {
                    return form;
                }
                let form = self.part(&self.model.functions[*function].body, &[], &key.1);
                self.calls.borrow_mut().insert(key, form);
                form
            }
        }
    }

    fn power(&self, base: Form, exponent: Form, exponent_expr: &Expr) -> Form {
        let nothing = |_: Ref| None;
        let value = eval::Env::new(self.model, Some(1.0), &nothing).number(exponent_expr);
        match value {
            Ok(1.0) => base,
            Ok(_) | Err(_) => base.sum(exponent).bent(),
        }
    }

    fn name(&self, name: Ref, lets: &[Form], formals: &[Form]) -> Form {
        let varying = Form {
            varies: true,
            ..Form::CONSTANT
        };
        match name {
            Ref::State(i) if (self.is_variable)(i) => Form {
                degree: 1,
                ..Form::CONSTANT
            },
            Ref::State(_) | Ref::Port(_) | Ref::Spike(_) | Ref::Noise(_) => varying,
            Ref::Let(i) => lets.get(i).copied().unwrap_or(Form::CONSTANT),
            Ref::Formal(i) => formals.get(i).copied().unwrap_or(Form::CONSTANT),
            Ref::Const(_) | Ref::Param(_) | Ref::Pi | Ref::FanIn | Ref::FanOut => Form::CONSTANT,
        }
    }
}

/// Whether the equation of a state is linear in all states with an equation, with constant factors.
pub(super) fn is_linear(model: &Model, neuron: &Neuron, state: usize) -> bool {
    let walker = Walker {
        model,
        neuron,
        is_variable: &|_| true,
        calls: RefCell::default(),
    };
    let dynamics = neuron.states[state].dynamics.as_ref();
    dynamics.is_some_and(|d| {
        let form = walker.form(&d.rhs);
        form.degree < 2 && !form.varying_factor
    })
}

impl Check<'_> {
    /// Looks at the integrators that a neuron asks for.
    pub(super) fn dynamics(&mut self, neuron: &Neuron) {
        let odes = ode_states(neuron);
        let integrator = |i: usize| match neuron.states[i].dynamics.as_ref()?.kind {
            DynamicsKind::Ode(integrator) => Some(integrator),
            DynamicsKind::Next => None,
        };
        let is_exact = |i: usize| integrator(i).is_some_and(|c| c.method == Method::Exact);
        for &i in &odes {
            let Some(choice) = integrator(i) else {
                continue;
            };
            self.noisy(neuron, i, choice);
            if choice.method == Method::Exact {
                self.exact(neuron, i, choice, &is_exact);
            }
        }
    }

    fn noisy(&mut self, neuron: &Neuron, state: usize, choice: Integrator) {
        let Some(dynamics) = &neuron.states[state].dynamics else {
            return;
        };
        let reads = walk::deep_refs(&dynamics.rhs, &neuron.lets);
        let noise = reads.iter().find_map(|r| match r {
            Ref::Noise(i) => Some(*i),
            Ref::Const(_)
            | Ref::Formal(_)
            | Ref::Let(_)
            | Ref::Param(_)
            | Ref::Port(_)
            | Ref::State(_)
            | Ref::Spike(_)
            | Ref::Pi
            | Ref::FanIn
            | Ref::FanOut => None,
        });
        let (Some(noise), Some(span)) = (noise, choice.span) else {
            return;
        };
        let deterministic = match choice.method {
            Method::Heun | Method::Rk4(_) => true,
            Method::Auto | Method::Exact | Method::ExpEuler | Method::Euler(_) => false,
        };
        if deterministic {
            let message = format!(
                "{} cannot integrate the noise `{}`; use exact, exp_euler or euler",
                choice.method.text(),
                neuron.noises[noise].name.text
            );
            self.report(
                Check::finding(Code::E0506, span, message)
                    .secondary(dynamics.rhs.span, "this equation is noisy"),
            );
        }
    }

    fn exact(
        &mut self,
        neuron: &Neuron,
        state: usize,
        choice: Integrator,
        is_exact: &dyn Fn(usize) -> bool,
    ) {
        let (Some(dynamics), Some(span)) = (&neuron.states[state].dynamics, choice.span) else {
            return;
        };
        let form = |is_variable: &dyn Fn(usize) -> bool| {
            let walker = Walker {
                model: &self.model,
                neuron,
                is_variable,
                calls: RefCell::default(),
            };
            walker.form(&dynamics.rhs)
        };
        let name = &neuron.states[state].name.text;
        let own = form(&|i| i == state);
        let system = form(is_exact);
        let finding = if own.degree > 1 {
            let message = format!(
                "`{name}` is not linear in its own equation, so `exact` cannot integrate it"
            );
            Check::finding(Code::E0501, span, message)
        } else if own.varying_factor {
            let message = format!(
                "`exact` needs constant coefficients, but something that changes multiplies `{name}`"
            );
            let finding = Check::finding(Code::E0502, span, message);
            match changing_factor(neuron, &dynamics.rhs, state) {
                Some(other) => finding.note(format!("`{other}` changes in every step")),
                None => finding,
            }
        } else if system.degree > 1 {
            let message = format!(
                "the equation of `{name}` is not linear in the states that are integrated exactly"
            );
            Check::finding(Code::E0501, span, message)
        } else if system.varying_factor {
            let message = format!(
                "`exact` needs constant coefficients, but the equation of `{name}` has one that changes"
            );
            Check::finding(Code::E0502, span, message)
        } else {
            return;
        };
        self.report(
            finding
                .secondary(dynamics.rhs.span, format!("the equation of `{name}`"))
                .help(format!("use `{name} : exp_euler` or `{name} : rk4`")),
        );
    }
}

/// A state or input other than the state itself that the equation reads.
fn changing_factor<'n>(neuron: &'n Neuron, rhs: &Expr, state: usize) -> Option<&'n str> {
    let reads = walk::deep_refs(rhs, &neuron.lets);
    reads.iter().find_map(|r| match r {
        Ref::State(i) if *i != state => Some(neuron.states[*i].name.text.as_str()),
        Ref::Port(i) => Some(neuron.ports[*i].name.text.as_str()),
        Ref::State(_)
        | Ref::Const(_)
        | Ref::Formal(_)
        | Ref::Let(_)
        | Ref::Param(_)
        | Ref::Spike(_)
        | Ref::Noise(_)
        | Ref::Pi
        | Ref::FanIn
        | Ref::FanOut => None,
    })
}
