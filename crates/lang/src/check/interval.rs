//! Intervals: the values that a formula can have when its names have values in given intervals.
//!
//! The result contains every possible value and may contain more, because two occurrences of one
//! name are taken as independent (except in a square). Rounding is ignored: the answers decide
//! about warnings, not about results.

use crate::ast::BinaryOp;
use crate::model::builtin::Builtin;
use crate::model::{Expr, ExprKind, Let, Model, Ref, walk};

/// `low ..= high`; either end may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// Every number.
    pub(super) const ALL: Interval = Interval {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// One number.
    pub(super) fn point(value: f64) -> Interval {
        Interval::new(value, value)
    }

    /// From the lower to the higher end; everything where one is not a number.
    pub(super) fn new(low: f64, high: f64) -> Interval {
        if low.is_nan() || high.is_nan() || low > high {
            Interval::ALL
        } else {
            Interval { low, high }
        }
    }

    pub(super) fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    fn union(self, other: Interval) -> Interval {
        Interval::new(self.low.min(other.low), self.high.max(other.high))
    }

    fn negated(self) -> Interval {
        Interval::new(-self.high, -self.low)
    }

    fn plus(self, other: Interval) -> Interval {
        Interval::new(self.low + other.low, self.high + other.high)
    }

    fn times(self, other: Interval) -> Interval {
        // 0 times infinity is 0 here: an end that is never reached times an exact 0.
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let ends = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Interval::new(low, high)
    }

    fn over(self, other: Interval) -> Interval {
        if other.contains(0.0) {
            return Interval::ALL;
        }
        self.times(Interval::new(1.0 / other.high, 1.0 / other.low))
    }

    fn abs(self) -> Interval {
        if self.low >= 0.0 {
            self
        } else if self.high <= 0.0 {
            self.negated()
        } else {
            Interval::new(0.0, self.high.max(-self.low))
        }
    }

    fn min(self, other: Interval) -> Interval {
        Interval::new(self.low.min(other.low), self.high.min(other.high))
    }

    fn max(self, other: Interval) -> Interval {
        Interval::new(self.low.max(other.low), self.high.max(other.high))
    }

    /// Under a function that never falls.
    fn rising(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval::new(f(self.low), f(self.high))
    }
}

/// The intervals of names, and of the lets of the item.
pub(super) struct Ranges<'a> {
    pub(super) model: &'a Model,
    pub(super) of: &'a dyn Fn(Ref) -> Interval,
    /// The intervals of the lets, as far as they are known.
    known: Vec<Interval>,
}

impl<'a> Ranges<'a> {
    /// Knows the interval of every let at once.
    pub(super) fn new(
        model: &'a Model,
        lets: &'a [Let],
        of: &'a dyn Fn(Ref) -> Interval,
    ) -> Ranges<'a> {
        let mut ranges = Ranges {
            model,
            of,
            known: Vec::new(),
        };
        for item in lets {
            let range = ranges.of_expr(&item.value);
            ranges.known.push(range);
        }
        ranges
    }

    /// The values that an expression can have; of a truth value, everything.
    pub(super) fn of_expr(&self, expr: &Expr) -> Interval {
        self.part(expr, &[])
    }

    fn part(&self, expr: &Expr, formals: &[Interval]) -> Interval {
        let part = |e: &Expr| self.part(e, formals);
        match &expr.kind {
            ExprKind::Error | ExprKind::Bool(_) | ExprKind::Not(_) => Interval::ALL,
            ExprKind::Number { value, unit } => {
                if unit.steps.is_zero() {
                    Interval::point(value * unit.factor)
                } else {
                    Interval::new(f64::MIN_POSITIVE, f64::INFINITY)
                }
            }
            ExprKind::Ref(name) => match (name.as_formal(), name.as_let()) {
                (Some(i), _) if !formals.is_empty() => {
                    formals.get(i).copied().unwrap_or(Interval::ALL)
                }
                (_, Some(i)) => self.known.get(i).copied().unwrap_or(Interval::ALL),
                (Some(_) | None, None) => (self.of)(*name),
            },
            ExprKind::Neg(a) => part(a).negated(),
            ExprKind::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs, formals),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => match self.decided(cond, formals) {
                Some(true) => part(then),
                Some(false) => part(otherwise),
                None => part(then).union(part(otherwise)),
            },
            ExprKind::Builtin { function, args } => {
                let args: Vec<Interval> = args.iter().map(part).collect();
                builtin(*function, &args)
            }
            ExprKind::Call { function, args } => {
                let callee = &self.model.functions[*function];
                // Calls inside calls multiply; what is deep is not worth the time.
                if callee.depth > 2 {
                    return Interval::ALL;
                }
                let args: Vec<Interval> = args.iter().map(part).collect();
                self.part(&callee.body, &args)
            }
        }
    }

    /// The value of a comparison that has the same result for all possible values.
    fn decided(&self, cond: &Expr, formals: &[Interval]) -> Option<bool> {
        let ExprKind::Binary { op, lhs, rhs } = &cond.kind else {
            return None;
        };
        let (a, b) = (self.part(lhs, formals), self.part(rhs, formals));
        let less = |a: Interval, b: Interval| match (a.high < b.low, a.low >= b.high) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        match op {
            BinaryOp::Lt => less(a, b),
            BinaryOp::Gt => less(b, a),
            BinaryOp::Ge => less(a, b).map(|yes| !yes),
            BinaryOp::Le => less(b, a).map(|yes| !yes),
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Pow
            | BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::And
            | BinaryOp::Or => None,
        }
    }

    fn binary(&self, op: BinaryOp, lhs: &Expr, rhs: &Expr, formals: &[Interval]) -> Interval {
        let (a, b) = (self.part(lhs, formals), self.part(rhs, formals));
        match op {
            BinaryOp::Add => a.plus(b),
            BinaryOp::Sub => a.plus(b.negated()),
            BinaryOp::Mul if lhs.kind == rhs.kind => square(a),
            BinaryOp::Mul => a.times(b),
            BinaryOp::Div => a.over(b),
            BinaryOp::Pow if b == Interval::point(2.0) => square(a),
            BinaryOp::Pow if b.low == b.high && b.low > 0.0 && a.low >= 0.0 => {
                a.rising(|x| x.powf(b.low))
            }
            BinaryOp::Pow => Interval::ALL,
            BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::And
            | BinaryOp::Or => Interval::ALL,
        }
    }

    /// The parts of a formula that are always evaluated and whose value matters: not the branches
    /// of an `if`, whose condition may guard them.
    pub(super) fn unguarded<'e>(expr: &'e Expr, found: &mut Vec<&'e Expr>) {
        found.push(expr);
        if let ExprKind::If { cond, .. } = &expr.kind {
            Ranges::unguarded(cond, found);
            return;
        }
        for part in walk::parts(expr) {
            Ranges::unguarded(part, found);
        }
    }
}

fn square(a: Interval) -> Interval {
    let a = a.abs();
    a.times(a)
}

fn builtin(function: Builtin, args: &[Interval]) -> Interval {
    let a = args.first().copied().unwrap_or(Interval::ALL);
    match function {
        Builtin::Abs => a.abs(),
        Builtin::Min => args.iter().skip(1).fold(a, |x, &y| x.min(y)),
        Builtin::Max => args.iter().skip(1).fold(a, |x, &y| x.max(y)),
        Builtin::Clamp => match args {
            [x, lo, hi] => x.max(*lo).min(*hi),
            [..] => Interval::ALL,
        },
        Builtin::Relu => a.max(Interval::point(0.0)),
        Builtin::Exp => a.rising(f64::exp),
        Builtin::Expm1 => a.rising(f64::exp_m1),
        Builtin::Log if a.low > 0.0 => a.rising(f64::ln),
        Builtin::Log1p if a.low > -1.0 => a.rising(f64::ln_1p),
        Builtin::Sqrt if a.low >= 0.0 => a.rising(f64::sqrt),
        Builtin::Log | Builtin::Log1p | Builtin::Sqrt => Interval::ALL,
        Builtin::Sin | Builtin::Cos | Builtin::Tanh | Builtin::Erf | Builtin::Sign => {
            Interval::new(-1.0, 1.0)
        }
        Builtin::Sigmoid => Interval::new(0.0, 1.0),
        Builtin::Softplus => Interval::new(0.0, f64::INFINITY),
        Builtin::Floor => a.rising(f64::floor),
        Builtin::Ceil => a.rising(f64::ceil),
        Builtin::Round => a.rising(f64::round_ties_even),
        Builtin::Detach => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_keeps_what_is_possible() {
        let unit = Interval::new(-1.0, 1.0);
        assert_eq!(unit.plus(Interval::point(2.0)), Interval::new(1.0, 3.0));
        assert_eq!(square(unit), Interval::new(0.0, 1.0));
        assert_eq!(unit.over(unit), Interval::ALL);
        assert_eq!(
            Interval::ALL.times(Interval::point(0.0)),
            Interval::point(0.0)
        );
        assert_eq!(
            builtin(Builtin::Min, &[Interval::ALL, Interval::point(10.0)]).high,
            10.0
        );
        assert_eq!(Interval::new(2.0, 1.0), Interval::ALL);
    }
}
