//! Expressions, numbers, units and strings: pest pairs to [`ast::Expr`].
//!
//! The grammar gives one pair per level of precedence; here they become a tree. A chain such as
//! `a + b + c` is a loop in the grammar and a nesting in the tree, so the depth of the tree is
//! counted while it grows and limited to [`MAX_DEPTH`].

use pest::iterators::Pair;

use super::build::{Builder, Built, Kids};
use super::grammar::Rule;
use super::units::mend_compound_units;
use super::{MAX_DEPTH, slip};
use crate::ast::{self, BinaryOp, Expr, ExprKind, UnaryOp};
use crate::span::Span;

/// An expression while it is being built.
pub(super) struct Part {
    pub(super) expr: Expr,
    /// The place with the parentheses around it.
    outer: Span,
    depth: usize,
}

impl Part {
    fn leaf(kind: ExprKind, span: Span) -> Part {
        Part {
            expr: Expr { kind, span },
            outer: span,
            depth: 1,
        }
    }
}

/// Refuses an expression that became too deep.
fn grown(kind: ExprKind, span: Span, depth: usize) -> Built<Part> {
    if depth > MAX_DEPTH {
        let report = slip(span, "this expression is nested too deeply")
            .label(format!(
                "more than {MAX_DEPTH} operations inside each other"
            ))
            .help("give parts of it a name with `let`");
        return Err(Box::new(report));
    }
    Ok(Part {
        expr: Expr { kind, span },
        outer: span,
        depth,
    })
}

fn binary(op: BinaryOp, op_span: Span, lhs: Part, rhs: Part) -> Built<Part> {
    let span = lhs.outer.to(rhs.outer);
    let depth = lhs.depth.max(rhs.depth) + 1;
    let kind = ExprKind::Binary {
        op,
        op_span,
        lhs: Box::new(lhs.expr),
        rhs: Box::new(rhs.expr),
    };
    grown(kind, span, depth)
}

impl Builder<'_> {
    /// An `expr` pair.
    pub(super) fn expr(&self, pair: Pair<Rule>) -> Built<Expr> {
        Ok(self.mended(self.disjunction(pair)?))
    }

    /// A `range_or_expr` pair.
    pub(super) fn range_or_expr(&self, pair: Pair<Rule>) -> Built<Expr> {
        Ok(self.mended(self.maybe_range(pair)?))
    }

    /// The arguments of a call that is a clause, or none.
    pub(super) fn maybe_args(&self, kids: &mut Kids) -> Built<Vec<ast::Arg>> {
        let Some(args) = kids.maybe(Rule::args) else {
            return Ok(Vec::new());
        };
        let mut args = self.args_with_depth(args)?.0;
        for arg in &mut args {
            mend_compound_units(&mut arg.value, self.defined, &mut self.found.borrow_mut());
        }
        Ok(args)
    }

    fn mended(&self, part: Part) -> Expr {
        let mut expr = part.expr;
        mend_compound_units(&mut expr, self.defined, &mut self.found.borrow_mut());
        expr
    }

    fn maybe_range(&self, pair: Pair<Rule>) -> Built<Part> {
        let mut kids = Kids::of(pair);
        let lo = self.disjunction(kids.one(Rule::expr))?;
        let Some(hi) = kids.maybe(Rule::expr) else {
            return Ok(lo);
        };
        let hi = self.disjunction(hi)?;
        let span = lo.outer.to(hi.outer);
        let depth = lo.depth.max(hi.depth) + 1;
        let kind = ExprKind::Range {
            lo: Box::new(lo.expr),
            hi: Box::new(hi.expr),
        };
        grown(kind, span, depth)
    }

    fn disjunction(&self, pair: Pair<Rule>) -> Built<Part> {
        self.word_chain(pair, BinaryOp::Or, |pair| {
            self.word_chain(pair, BinaryOp::And, |pair| self.inversion(pair))
        })
    }

    /// `x or x or x`: pairs of operands and operator words in turn.
    fn word_chain(
        &self,
        pair: Pair<Rule>,
        op: BinaryOp,
        operand: impl Fn(Pair<Rule>) -> Built<Part>,
    ) -> Built<Part> {
        let mut inner = pair.into_inner();
        let mut chain = operand(inner.next().expect("a chain has an operand"))?;
        while let (Some(word), Some(rhs)) = (inner.next(), inner.next()) {
            chain = binary(op, self.span(&word), chain, operand(rhs)?)?;
        }
        Ok(chain)
    }

    fn inversion(&self, pair: Pair<Rule>) -> Built<Part> {
        let mut inner: Vec<_> = pair.into_inner().collect();
        let comparison = inner.pop().expect("`not` stands before a comparison");
        let mut part = self.comparison(comparison)?;
        for word in inner.iter().rev() {
            part = self.unary(UnaryOp::Not, self.span(word), part)?;
        }
        Ok(part)
    }

    fn unary(&self, op: UnaryOp, op_span: Span, operand: Part) -> Built<Part> {
        let span = op_span.to(operand.outer);
        let kind = ExprKind::Unary {
            op,
            operand: Box::new(operand.expr),
        };
        grown(kind, span, operand.depth + 1)
    }

    fn comparison(&self, pair: Pair<Rule>) -> Built<Part> {
        self.sign_chain(pair, |pair| {
            self.sign_chain(pair, |pair| self.sign_chain(pair, |pair| self.signed(pair)))
        })
    }

    /// Operands with operator pairs between them, grouped from the left.
    fn sign_chain(
        &self,
        pair: Pair<Rule>,
        operand: impl Fn(Pair<Rule>) -> Built<Part>,
    ) -> Built<Part> {
        let mut inner = pair.into_inner();
        let mut chain = operand(inner.next().expect("a chain has an operand"))?;
        while let (Some(sign), Some(rhs)) = (inner.next(), inner.next()) {
            let op = binary_op(sign.as_str().trim());
            chain = binary(op, self.span(&sign), chain, operand(rhs)?)?;
        }
        Ok(chain)
    }

    fn signed(&self, pair: Pair<Rule>) -> Built<Part> {
        let mut inner: Vec<_> = pair.into_inner().collect();
        let power = inner.pop().expect("a sign stands before a power");
        let part = self.power(power)?;
        self.signs(&inner, part)
    }

    fn signs(&self, signs: &[Pair<Rule>], mut part: Part) -> Built<Part> {
        for sign in signs.iter().rev() {
            part = self.unary(UnaryOp::Neg, self.span(sign), part)?;
        }
        Ok(part)
    }

    /// `a ^ b ^ c`, grouped from the right; a sign in an exponent applies to all that follows it:
    /// `2^-3^2` is `2^(-(3^2))`.
    fn power(&self, pair: Pair<Rule>) -> Built<Part> {
        let mut inner = pair.into_inner();
        let base = self.atom(inner.next().expect("a power has a base"))?;
        let mut operands = vec![(Span::default(), Vec::new(), base)];
        while let (Some(caret), Some(exponent)) = (inner.next(), inner.next()) {
            let mut signs: Vec<_> = exponent.into_inner().collect();
            let atom = signs.pop().expect("an exponent has a number");
            operands.push((self.span(&caret), signs, self.atom(atom)?));
        }
        let (mut caret, signs, last) = operands.pop().expect("the base is there");
        let mut power = self.signs(&signs, last)?;
        while let Some((next_caret, signs, base)) = operands.pop() {
            power = self.signs(&signs, binary(BinaryOp::Pow, caret, base, power)?)?;
            caret = next_caret;
        }
        Ok(power)
    }

    fn atom(&self, pair: Pair<Rule>) -> Built<Part> {
        let inner = pair.into_inner().next().expect("an atom has one form");
        let span = self.span(&inner);
        let rule = inner.as_rule();
        if rule == Rule::quantity {
            self.quantity(inner)
        } else if rule == Rule::string {
            Ok(Part::leaf(ExprKind::Str(string_text(inner)), span))
        } else if rule == Rule::boolean {
            Ok(Part::leaf(ExprKind::Bool(inner.as_str() == "true"), span))
        } else if rule == Rule::choice {
            self.choice(inner)
        } else if rule == Rule::call {
            self.call_expr(inner)
        } else if rule == Rule::list {
            self.list(inner)
        } else if rule == Rule::group {
            let mut part = self.disjunction(Kids::of(inner).one(Rule::expr))?;
            part.outer = span;
            Ok(part)
        } else {
            self.dotted(inner)
        }
    }

    /// `out.v`: a name with fields.
    fn dotted(&self, pair: Pair<Rule>) -> Built<Part> {
        let mut names = self.path(pair).segments.into_iter();
        let first = names.next().expect("a path has a name");
        let mut part = Part::leaf(ExprKind::Name(first.text), first.span);
        for field in names {
            let span = part.outer.to(field.span);
            let base = Box::new(part.expr);
            part = grown(ExprKind::Field { base, field }, span, part.depth + 1)?;
        }
        Ok(part)
    }

    fn call_expr(&self, pair: Pair<Rule>) -> Built<Part> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let callee = self.name(kids.one(Rule::name));
        let (args, depth) = self.args_with_depth(kids.one(Rule::args))?;
        grown(ExprKind::Call { callee, args }, span, depth + 1)
    }

    /// The arguments of a call and the greatest depth among them.
    fn args_with_depth(&self, pair: Pair<Rule>) -> Built<(Vec<ast::Arg>, usize)> {
        let mut args = Vec::new();
        let mut depth = 0;
        for arg in Kids::of(pair) {
            let mut kids = Kids::of(arg);
            let name = kids.maybe(Rule::arg_name).map(|name| self.name(name));
            let value = self.maybe_range(kids.one(Rule::range_or_expr))?;
            depth = depth.max(value.depth);
            args.push(ast::Arg {
                name,
                value: value.expr,
            });
        }
        Ok((args, depth))
    }

    fn list(&self, pair: Pair<Rule>) -> Built<Part> {
        let span = self.span(&pair);
        let mut items = Vec::new();
        let mut depth = 0;
        for item in Kids::of(pair) {
            let item = self.maybe_range(item)?;
            depth = depth.max(item.depth);
            items.push(item.expr);
        }
        grown(ExprKind::List(items), span, depth + 1)
    }

    /// `if a { x } else if b { y } else { z }`: the conditions and branches in a row.
    fn choice(&self, pair: Pair<Rule>) -> Built<Part> {
        let span = self.span(&pair);
        let mut kids: Vec<_> = Kids::of(pair).collect();
        let branch = |pair: Pair<Rule>| self.disjunction(Kids::of(pair).one(Rule::expr));
        let last = kids.pop().expect("`if` has an `else`");
        let mut otherwise = branch(last)?;
        while let (Some(then), Some(cond)) = (kids.pop(), kids.pop()) {
            let start = self.span(&cond).start;
            let (then, cond) = (branch(then)?, self.disjunction(cond)?);
            let depth = then.depth.max(cond.depth).max(otherwise.depth) + 1;
            // An inner `if` begins at its condition; the outermost one at its keyword.
            let place = if kids.is_empty() {
                span
            } else {
                Span::new(start, span.end)
            };
            let kind = ExprKind::If {
                cond: Box::new(cond.expr),
                then: Box::new(then.expr),
                otherwise: Box::new(otherwise.expr),
            };
            otherwise = grown(kind, place, depth)?;
        }
        Ok(otherwise)
    }

    fn quantity(&self, pair: Pair<Rule>) -> Built<Part> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let number = kids.one(Rule::number);
        let value: f64 = number.as_str().parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            let report = slip(self.span(&number), "this number is too large")
                .label("the largest is about 1.8e308");
            return Err(Box::new(report));
        }
        let kind = match kids.maybe(Rule::unit) {
            Some(unit) => ExprKind::Quantity {
                value,
                unit: self.unit(unit),
            },
            None => ExprKind::Number(value),
        };
        Ok(Part::leaf(kind, span))
    }

    /// A `unit` pair, bare or in brackets.
    pub(super) fn unit(&self, pair: Pair<Rule>) -> ast::Unit {
        let span = self.span(&pair);
        let form = pair.into_inner().next().expect("a unit has one form");
        let bracketed = form.as_rule() == Rule::unit_bracketed;
        let inner = Kids::of(form).next().expect("a unit has a name");
        let text = self.without_spaces(&inner);
        let mut factors = Vec::new();
        if bracketed {
            self.unit_product(inner, (1, 1), &mut factors);
        } else {
            let name = self.name(inner);
            let (num, den) = (1, 1);
            factors.push(ast::UnitFactor { name, num, den });
        }
        ast::Unit {
            text,
            factors,
            bracketed,
            span,
        }
    }

    /// The tokens of a pair, one behind the other.
    fn without_spaces(&self, pair: &Pair<Rule>) -> String {
        let span = pair.as_span();
        let (start, end) = (self.base + span.start(), self.base + span.end());
        let first = self
            .tokens
            .list
            .partition_point(|token| token.start < start);
        let inside = self.tokens.list[first..]
            .iter()
            .take_while(|token| token.end <= end);
        inside.map(|token| token.text(self.tokens.source)).collect()
    }

    /// Adds the factors of a product, each with its exponent times `outer`.
    fn unit_product(&self, pair: Pair<Rule>, outer: (i32, i32), out: &mut Vec<ast::UnitFactor>) {
        let mut sign = 1;
        for kid in pair.into_inner() {
            if kid.as_rule() == Rule::product_op {
                sign = if kid.as_str().trim() == "/" { -1 } else { 1 };
                continue;
            }
            let mut kids = Kids::of(kid);
            let base = kids.next().expect("a factor has a base");
            let (num, den) = kids.next().map_or((1, 1), unit_exponent);
            let exponent = (
                outer.0.saturating_mul(num).saturating_mul(sign),
                outer.1.saturating_mul(den),
            );
            if base.as_rule() == Rule::unit_group {
                let product = Kids::of(base).one(Rule::unit_product);
                self.unit_product(product, exponent, out);
            } else if base.as_rule() == Rule::unit_name {
                let name = self.name(base);
                let (num, den) = exponent;
                out.push(ast::UnitFactor { name, num, den });
            }
        }
    }
}

/// `2`, `-1` or `(1/2)`; four digits at most, so it fits.
fn unit_exponent(pair: Pair<Rule>) -> (i32, i32) {
    let mut kids = Kids::of(pair);
    let mut part = || kids.next().and_then(|pair| pair.as_str().parse().ok());
    let num = part().unwrap_or(1);
    (num, part().unwrap_or(1).max(1))
}

/// The text of a string, escapes resolved.
pub(super) fn string_text(pair: Pair<Rule>) -> String {
    let inner = Kids::of(pair).next().expect("a string has a text");
    let mut text = String::new();
    let mut characters = inner.as_str().chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

fn binary_op(sign: &str) -> BinaryOp {
    const OPS: [BinaryOp; 10] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::Eq,
        BinaryOp::Ne,
    ];
    let found = OPS.iter().find(|op| op.symbol() == sign);
    *found.expect("the grammar has only these signs")
}
