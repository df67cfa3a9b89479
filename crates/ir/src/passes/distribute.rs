//! `distribute`: a function of a choice between things that do not change in time becomes a choice between its
//! results, which the prologue computes.
//!
//! ```text
//! v3 = lt v0, v1             →   v3 = lt v0, v1
//! v4 = select v3, tau, 1.0       v4 = exp tau
//! v5 = exp v4                    v5 = select v3, v4, 2.718281828459045
//! ```
//!
//! Exact. The derivative of an equation that holds a `clamp` or a `relu` is such a choice, and a step of the exponential
//! Euler method takes phi_1 of it. Only for functions that are defined everywhere, since the results of all arms are computed, and
//! only where the condition is a comparison: through a spike goes a gradient, and that of the choice is another one.

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};
use crate::ops::Op;
use crate::rewrite::{keep, rebuild};

/// A choice has at most so many arms, those of choices in it counted.
const ARMS: usize = 4;

/// A choice between results: of arms that do not change in time.
#[derive(Clone)]
enum Choice {
    /// A value that is the same in all steps.
    Fixed(Value),
    /// An operation on such values, not written yet.
    Result(Op, Vec<Choice>),
    /// `condition ? yes : no`.
    Of(Value, Box<[Choice; 2]>),
}

impl Choice {
    fn arms(&self) -> usize {
        match self {
            Choice::Fixed(_) | Choice::Result(..) => 1,
            Choice::Of(_, arms) => arms.iter().map(Choice::arms).sum(),
        }
    }

    fn is_open(&self) -> bool {
        self.arms() > 1
    }

    /// The operation on each arm; `args` are all operands, of which this choice replaces one.
    fn result(&self, op: Op, args: &[Choice], place: usize) -> Choice {
        match self {
            Choice::Fixed(_) | Choice::Result(..) => {
                let mut args = args.to_vec();
                args[place] = self.clone();
                Choice::Result(op, args)
            }
            Choice::Of(condition, arms) => {
                let [yes, no] = &**arms;
                let arms = [yes, no].map(|arm| arm.result(op, args, place));
                Choice::Of(*condition, Box::new(arms))
            }
        }
    }

    fn write(&self, b: &mut Builder) -> Value {
        match self {
            Choice::Fixed(value) => *value,
            Choice::Result(op, args) => {
                let args: Vec<Value> = args.iter().map(|arg| arg.write(b)).collect();
                b.inst(*op, &args)
            }
            Choice::Of(condition, arms) => {
                let [yes, no] = &**arms;
                let yes = yes.write(b);
                let no = no.write(b);
                b.select(*condition, yes, no)
            }
        }
    }
}

/// What is known of the values of the kernel that is being built.
#[derive(Default)]
struct Known {
    choices: Vec<Option<Choice>>,
    /// Whether it is a comparison, or made of comparisons.
    compared: Vec<bool>,
}

/// See the module page.
pub fn distribute(kernel: &mut Kernel) -> bool {
    let mut changed = false;
    let mut known = Known::default();
    rebuild(kernel, |b, _, node| {
        known.look(b);
        if let Def::Inst(op, args) = &node.def
            && function(*op)
            && let Some(choice) = known.result(*op, args)
            && choice.is_open()
        {
            changed = true;
            return choice.write(b);
        }
        keep(b, node)
    });
    changed
}

impl Known {
    /// Looks at the nodes that were added.
    fn look(&mut self, b: &Builder) {
        for i in self.choices.len()..b.kernel().nodes.len() {
            let value = Value(i as u32);
            let (choice, compared) = match &b.kernel().node(value).def {
                Def::Input(input) => {
                    let fixed = input.slot.role.constant_in_time();
                    (fixed.then_some(Choice::Fixed(value)), false)
                }
                Def::Inst(op, args) => (self.choice(value, *op, args), self.comparison(*op, args)),
            };
            self.choices.push(choice);
            self.compared.push(compared);
        }
    }

    fn choice(&self, value: Value, op: Op, args: &[Value]) -> Option<Choice> {
        let fixed = |a: &Value| matches!(self.choices[a.index()], Some(Choice::Fixed(_)));
        if args.iter().all(fixed) {
            return Some(Choice::Fixed(value));
        }
        if op != Op::Select {
            return arithmetic(op).then(|| self.result(op, args)).flatten();
        }
        let arms = [args[1], args[2]].map(|arm| self.choices[arm.index()].clone());
        match arms {
            [Some(yes), Some(no)] if self.compared[args[0].index()] => {
                let few = yes.arms() + no.arms() <= ARMS;
                few.then(|| Choice::Of(args[0], Box::new([yes, no])))
            }
            _ => None,
        }
    }

    fn comparison(&self, op: Op, args: &[Value]) -> bool {
        matches!(op, Op::Lt | Op::Le | Op::Eq | Op::Ne | Op::Truth(_))
            || matches!(op, Op::And | Op::Or | Op::Not)
                && args.iter().all(|a| self.compared[a.index()])
    }

    /// An operation of whose operands one is a choice and the others are fixed.
    fn result(&self, op: Op, args: &[Value]) -> Option<Choice> {
        let args = args.iter().map(|a| self.choices[a.index()].clone());
        let args: Vec<Choice> = args.collect::<Option<_>>()?;
        let mut open = (0..args.len()).filter(|&i| args[i].is_open());
        let place = open.next()?;
        match open.next() {
            Some(_) => None,
            None => Some(args[place].result(op, &args, place)),
        }
    }
}

/// Operations that a choice is followed through, and those that are worth it. All are defined for all numbers, and so are
/// their derivatives.
fn arithmetic(op: Op) -> bool {
    matches!(op, Op::Neg | Op::Add | Op::Sub | Op::Mul | Op::Fma)
}

fn function(op: Op) -> bool {
    matches!(
        op,
        Op::Exp
            | Op::Expm1
            | Op::Phi(_)
            | Op::Sin
            | Op::Cos
            | Op::Tanh
            | Op::Sigmoid
            | Op::Softplus
            | Op::Erf
    )
}
