//! Items and statements: pest pairs to [`ast`] nodes.
//!
//! The pairs of a rule stand in the order of the grammar. Keywords and signs are pairs too, so
//! that pest can name them in a message; [`Kids`] skips them. Reading a pair that the grammar does
//! not promise is a mistake in this file and panics; a test runs every alternative of the grammar.

use std::cell::RefCell;
use std::collections::BTreeSet;

use pest::iterators::{Pair, Pairs};

use super::expr::string_text;
use super::grammar::Rule;
use super::split::Tokens;
use crate::ast;
use crate::diag::Diagnostic;
use crate::span::{FileId, Span};

/// What a node is, or why it is none.
pub(super) type Built<T> = Result<T, Box<Diagnostic>>;

/// The pairs inside a pair without keywords and signs.
pub(super) struct Kids<'i> {
    pairs: Pairs<'i, Rule>,
}

impl<'i> Kids<'i> {
    pub(super) fn of(pair: Pair<'i, Rule>) -> Kids<'i> {
        Kids {
            pairs: pair.into_inner(),
        }
    }

    fn skip(&mut self) {
        // The grammar ends with the keywords and the signs, in one block.
        let words = Rule::k_import..=Rule::p_caret;
        while self
            .pairs
            .peek()
            .is_some_and(|pair| words.contains(&pair.as_rule()) || pair.as_rule() == Rule::p_quote)
        {
            self.pairs.next();
        }
    }

    /// The next pair, which the grammar says is of this rule.
    pub(super) fn one(&mut self, rule: Rule) -> Pair<'i, Rule> {
        let found = self.maybe(rule);
        found.unwrap_or_else(|| panic!("the grammar promises {rule:?}"))
    }

    /// The next pair if it is of this rule.
    pub(super) fn maybe(&mut self, rule: Rule) -> Option<Pair<'i, Rule>> {
        self.skip();
        match self.pairs.peek() {
            Some(pair) if pair.as_rule() == rule => self.pairs.next(),
            Some(_) | None => None,
        }
    }

    /// The pairs of this rule that come next.
    pub(super) fn many(&mut self, rule: Rule) -> Vec<Pair<'i, Rule>> {
        std::iter::from_fn(|| self.maybe(rule)).collect()
    }
}

impl<'i> Iterator for Kids<'i> {
    type Item = Pair<'i, Rule>;

    fn next(&mut self) -> Option<Pair<'i, Rule>> {
        self.skip();
        self.pairs.next()
    }
}

/// Builds the nodes of one piece of a file.
pub(super) struct Builder<'a> {
    pub(super) tokens: &'a Tokens<'a>,
    pub(super) file: FileId,
    /// Where the piece begins in the file.
    pub(super) base: usize,
    /// The names that are defined somewhere in the file.
    pub(super) defined: &'a BTreeSet<String>,
    /// Mistakes that did not stop the building.
    pub(super) found: RefCell<Vec<Diagnostic>>,
}

impl Builder<'_> {
    /// The place of a pair, without the spaces that pest counts in.
    pub(super) fn span(&self, pair: &Pair<Rule>) -> Span {
        let span = pair.as_span();
        let (start, end) = (self.base + span.start(), self.base + span.end());
        let last = self
            .tokens
            .before(end)
            .map_or(end, |i| self.tokens.list[i].end);
        self.file.span(start..last.clamp(start, end))
    }

    /// The text of a place in this file.
    pub(super) fn text(&self, span: Span) -> &str {
        let base = self.file.span(0..0).start;
        &self.tokens.source[(span.start - base) as usize..(span.end - base) as usize]
    }

    pub(super) fn name(&self, pair: Pair<Rule>) -> ast::Name {
        let span = self.span(&pair);
        ast::Name {
            text: self.text(span).to_owned(),
            span,
        }
    }

    fn names(&self, pair: Pair<Rule>) -> Vec<ast::Name> {
        Kids::of(pair).map(|name| self.name(name)).collect()
    }

    pub(super) fn path(&self, pair: Pair<Rule>) -> ast::Path {
        ast::Path {
            span: self.span(&pair),
            segments: self.names(pair),
        }
    }

    pub(super) fn import(&self, pair: Pair<Rule>) -> ast::Import {
        let span = self.span(&pair);
        let string = Kids::of(pair).one(Rule::string);
        ast::Import {
            path_span: self.span(&string),
            path: string_text(string),
            span,
        }
    }

    pub(super) fn constant(&self, pair: Pair<Rule>) -> Built<ast::Const> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Const {
            name: self.name(kids.one(Rule::name)),
            value: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    pub(super) fn function(&self, pair: Pair<Rule>) -> Built<ast::Fn> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = self.name(kids.one(Rule::name));
        let formals = self.formals(kids.one(Rule::formals))?;
        let derivative = match kids.maybe(Rule::own_derivative) {
            Some(list) => Some(self.exprs(list)?),
            None => None,
        };
        Ok(ast::Fn {
            name,
            formals,
            derivative,
            body: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn exprs(&self, pair: Pair<Rule>) -> Built<Vec<ast::Expr>> {
        Kids::of(pair).map(|expr| self.expr(expr)).collect()
    }

    pub(super) fn formals(&self, pair: Pair<Rule>) -> Built<Vec<ast::Formal>> {
        let formal = |pair| {
            let mut kids = Kids::of(pair);
            let name = self.name(kids.one(Rule::name));
            let default = kids.maybe(Rule::expr).map(|expr| self.expr(expr));
            Ok(ast::Formal {
                name,
                default: default.transpose()?,
            })
        };
        Kids::of(pair).map(formal).collect()
    }

    // ------------------------------------------------------------ surrogate

    pub(super) fn surrogate_stmt(&self, pair: Pair<Rule>) -> Built<ast::SurrogateStmt> {
        let stmt = Kids::of(pair).next().expect("a statement has one form");
        let span = self.span(&stmt);
        let rule = stmt.as_rule();
        if rule == Rule::let_stmt {
            return Ok(ast::SurrogateStmt::Let(self.let_stmt(stmt)?));
        }
        let mut kids = Kids::of(stmt);
        if rule == Rule::support_stmt {
            let range = self.range(kids.one(Rule::range))?;
            return Ok(ast::SurrogateStmt::Support { range, span });
        }
        let setting = ast::Setting {
            name: self.name(kids.one(Rule::shape_word)),
            value: self.expr(kids.one(Rule::expr))?,
            span,
        };
        Ok(match setting.name.text.as_str() {
            "derivative" => ast::SurrogateStmt::Derivative(setting),
            _ => ast::SurrogateStmt::Primitive(setting),
        })
    }

    // ------------------------------------------------------------ neuron

    pub(super) fn neuron_stmt(&self, pair: Pair<Rule>) -> Built<ast::NeuronStmt> {
        let stmt = Kids::of(pair).next().expect("a statement has one form");
        let rule = stmt.as_rule();
        Ok(if rule == Rule::param_stmt {
            ast::NeuronStmt::Param(self.param(stmt)?)
        } else if rule == Rule::override_stmt {
            ast::NeuronStmt::Override(self.param(stmt)?)
        } else if rule == Rule::port_stmt {
            ast::NeuronStmt::Input(self.port(stmt))
        } else if rule == Rule::state_stmt {
            ast::NeuronStmt::State(self.state(stmt)?)
        } else if rule == Rule::let_stmt {
            ast::NeuronStmt::Let(self.let_stmt(stmt)?)
        } else if rule == Rule::ode_stmt {
            ast::NeuronStmt::Ode(self.equation(stmt)?)
        } else if rule == Rule::next_stmt {
            ast::NeuronStmt::Next(self.equation(stmt)?)
        } else if rule == Rule::noise_stmt {
            ast::NeuronStmt::Noise(self.noise(stmt)?)
        } else if rule == Rule::receive_stmt {
            ast::NeuronStmt::OnReceive(self.on_receive(stmt)?)
        } else if rule == Rule::on_spike_stmt {
            ast::NeuronStmt::OnSpike(self.on_spike(stmt)?)
        } else if rule == Rule::spike_stmt {
            ast::NeuronStmt::Spike(self.spike(stmt)?)
        } else if rule == Rule::refractory_stmt {
            ast::NeuronStmt::Refractory(self.refractory(stmt)?)
        } else if rule == Rule::integrate_stmt {
            ast::NeuronStmt::Integrate(self.integrate(stmt)?)
        } else {
            ast::NeuronStmt::Order(self.order(stmt))
        })
    }

    /// `param binding` or a binding alone.
    fn param(&self, pair: Pair<Rule>) -> Built<ast::Param> {
        let span = self.span(&pair);
        let binding = Kids::of(pair).one(Rule::binding);
        Ok(ast::Param {
            span,
            ..self.binding(binding)?
        })
    }

    fn binding(&self, pair: Pair<Rule>) -> Built<ast::Param> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = self.name(kids.one(Rule::name));
        let unit = self.annotation(&mut kids);
        let scope = kids.maybe(Rule::scope).map(|pair| {
            let span = self.span(&pair);
            let kind = match Kids::of(pair).maybe(Rule::scope_word) {
                None => ast::ScopeKind::Shared,
                Some(word) => match word.as_str().trim() {
                    "neuron" => ast::ScopeKind::Neuron,
                    "channel" => ast::ScopeKind::Channel,
                    _ => ast::ScopeKind::Synapse,
                },
            };
            ast::Scope { kind, span }
        });
        Ok(ast::Param {
            name,
            unit,
            scope,
            value: self.value(kids.one(Rule::value))?,
            span,
        })
    }

    fn annotation(&self, kids: &mut Kids) -> Option<ast::Unit> {
        let annotation = kids.maybe(Rule::annotation)?;
        Some(self.unit(Kids::of(annotation).one(Rule::annotation_unit)))
    }

    fn value(&self, pair: Pair<Rule>) -> Built<ast::Value> {
        let mut kids = Kids::of(pair);
        let init = self.expr(kids.one(Rule::expr))?;
        let bounds = kids.maybe(Rule::bounds);
        let bounds = bounds.map(|bounds| self.range(Kids::of(bounds).one(Rule::range)));
        let learn = kids.maybe(Rule::learn_clause).map(|pair| ast::Learn {
            span: self.span(&pair),
            via: Kids::of(pair).next().map(|name| self.name(name)),
        });
        Ok(ast::Value {
            init,
            bounds: bounds.transpose()?,
            learn,
        })
    }

    fn range(&self, pair: Pair<Rule>) -> Built<ast::Range> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Range {
            lo: self.expr(kids.one(Rule::expr))?,
            hi: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn port(&self, pair: Pair<Rule>) -> ast::Port {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        ast::Port {
            name: self.name(kids.one(Rule::name)),
            unit: self.annotation(&mut kids),
            span,
        }
    }

    fn state(&self, pair: Pair<Rule>) -> Built<ast::State> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::State {
            name: self.name(kids.one(Rule::name)),
            unit: self.annotation(&mut kids),
            init: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn let_stmt(&self, pair: Pair<Rule>) -> Built<ast::Let> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Let {
            name: self.name(kids.one(Rule::name)),
            value: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn equation(&self, pair: Pair<Rule>) -> Built<ast::Equation> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Equation {
            state: self.name(kids.one(Rule::name)),
            rhs: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn noise(&self, pair: Pair<Rule>) -> Built<ast::Noise> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Noise {
            name: self.name(kids.one(Rule::name)),
            process: self.call(kids.one(Rule::call))?,
            span,
        })
    }

    fn on_receive(&self, pair: Pair<Rule>) -> Built<ast::OnReceive> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::OnReceive {
            port: self.name(kids.one(Rule::name)),
            body: self.block(kids.one(Rule::block))?,
            span,
        })
    }

    fn on_spike(&self, pair: Pair<Rule>) -> Built<ast::OnSpike> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let head = kids.one(Rule::on_spike_head);
        let head_span = self.span(&head);
        let mut words = Kids::of(head);
        let spike = words.maybe(Rule::name).map(|name| self.name(name));
        let gradient = words.maybe(Rule::gradient_word);
        Ok(ast::OnSpike {
            spike,
            gradient: gradient.map(|word| match word.as_str().trim() {
                "detached" => ast::GateGradient::Detached,
                _ => ast::GateGradient::Attached,
            }),
            head_span,
            body: self.block(kids.one(Rule::block))?,
            span,
        })
    }

    fn block(&self, pair: Pair<Rule>) -> Built<Vec<ast::Assign>> {
        Kids::of(pair).map(|assign| self.assign(assign)).collect()
    }

    fn assign(&self, pair: Pair<Rule>) -> Built<ast::Assign> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let target = self.name(kids.one(Rule::name));
        let op = match kids.one(Rule::assign_op).as_str().trim() {
            "+=" => ast::AssignOp::Add,
            "-=" => ast::AssignOp::Sub,
            "*=" => ast::AssignOp::Mul,
            "/=" => ast::AssignOp::Div,
            _ => ast::AssignOp::Set,
        };
        Ok(ast::Assign {
            target,
            op,
            value: self.expr(kids.one(Rule::expr))?,
            span,
        })
    }

    fn spike(&self, pair: Pair<Rule>) -> Built<ast::Spike> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = kids.maybe(Rule::spike_name);
        let trigger = kids.next().expect("a spike has a trigger");
        let when = trigger.as_rule() == Rule::when_trigger;
        let condition = self.expr(Kids::of(trigger).one(Rule::expr))?;
        let mut spike = ast::Spike {
            name: name.map(|name| self.name(name)),
            trigger: if when {
                ast::Trigger::When(condition)
            } else {
                ast::Trigger::Count(condition)
            },
            payload: None,
            scale: None,
            surrogate: None,
            span,
        };
        for clause in kids.many(Rule::spike_clause) {
            let clause = Kids::of(clause).next().expect("a clause has one form");
            let (place, rule) = (self.span(&clause), clause.as_rule());
            let mut kids = Kids::of(clause);
            let repeated = if rule == Rule::surrogate_clause {
                let call = self.call(kids.one(Rule::call))?;
                spike.surrogate.replace(call).is_some()
            } else {
                let slot = match rule == Rule::scale_clause {
                    true => &mut spike.scale,
                    false => &mut spike.payload,
                };
                slot.replace(self.expr(kids.one(Rule::expr))?).is_some()
            };
            refuse_repeated(repeated, place)?;
        }
        Ok(spike)
    }

    fn refractory(&self, pair: Pair<Rule>) -> Built<ast::Refractory> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let mut stmt = ast::Refractory {
            duration: self.expr(kids.one(Rule::expr))?,
            holds: Vec::new(),
            drops: Vec::new(),
            span,
        };
        for clause in kids {
            let holds = clause.as_rule() == Rule::holds_clause;
            let names = self.names(Kids::of(clause).one(Rule::names));
            match holds {
                true => stmt.holds.extend(names),
                false => stmt.drops.extend(names),
            }
        }
        Ok(stmt)
    }

    fn integrate(&self, pair: Pair<Rule>) -> Built<ast::Integrate> {
        let span = self.span(&pair);
        let rule = |pair| {
            let span = self.span(&pair);
            let mut kids = Kids::of(pair);
            Ok(ast::IntegrateRule {
                states: self.names(kids.one(Rule::names)),
                method: self.call(kids.one(Rule::method))?,
                span,
            })
        };
        let rules: Built<Vec<_>> = Kids::of(pair).map(rule).collect();
        Ok(ast::Integrate {
            rules: rules?,
            span,
        })
    }

    fn order(&self, pair: Pair<Rule>) -> ast::Order {
        let span = self.span(&pair);
        let phase = |pair: Pair<Rule>| {
            let phase = match pair.as_str().trim() {
                "receive" => ast::Phase::Receive,
                "integrate" => ast::Phase::Integrate,
                "spike" => ast::Phase::Spike,
                _ => ast::Phase::Reset,
            };
            (phase, self.span(&pair))
        };
        ast::Order {
            phases: Kids::of(pair).map(phase).collect(),
            span,
        }
    }

    // ------------------------------------------------------------ network and train

    pub(super) fn network_stmt(&self, pair: Pair<Rule>) -> Built<ast::NetworkStmt> {
        let stmt = Kids::of(pair).next().expect("a statement has one form");
        let (span, rule) = (self.span(&stmt), stmt.as_rule());
        if rule == Rule::let_stmt {
            return Ok(ast::NetworkStmt::Let(self.let_stmt(stmt)?));
        }
        let mut kids = Kids::of(stmt);
        Ok(if rule == Rule::step_stmt {
            let value = self.expr(kids.one(Rule::expr))?;
            ast::NetworkStmt::Step { value, span }
        } else if rule == Rule::population_stmt {
            ast::NetworkStmt::Input(ast::InputPopulation {
                name: self.name(kids.one(Rule::name)),
                shape: self.shape(&mut kids)?,
                span,
            })
        } else if rule == Rule::output_stmt {
            let source = self.path(kids.one(Rule::path));
            ast::NetworkStmt::Output { source, span }
        } else if rule == Rule::layer_stmt {
            ast::NetworkStmt::Layer(self.layer(kids, span)?)
        } else {
            ast::NetworkStmt::Connect(self.connect(kids, span)?)
        })
    }

    fn shape(&self, kids: &mut Kids) -> Built<Vec<ast::Expr>> {
        match kids.maybe(Rule::shape) {
            Some(shape) => self.exprs(shape),
            None => Ok(Vec::new()),
        }
    }

    fn layer(&self, mut kids: Kids, span: Span) -> Built<ast::Layer> {
        let name = self.name(kids.one(Rule::name));
        let kind = self.name(kids.one(Rule::name));
        let args = self.maybe_args(&mut kids)?;
        let shape = self.shape(&mut kids)?;
        let repeat = kids.maybe(Rule::repeat_clause);
        let repeat = repeat.map(|clause| self.expr(Kids::of(clause).one(Rule::expr)));
        let overrides: Built<Vec<_>> = match kids.maybe(Rule::overrides) {
            Some(list) => Kids::of(list).map(|pair| self.binding(pair)).collect(),
            None => Ok(Vec::new()),
        };
        Ok(ast::Layer {
            name,
            kind,
            args,
            shape,
            repeat: repeat.transpose()?,
            overrides: overrides?,
            span,
        })
    }

    fn connect(&self, mut kids: Kids, span: Span) -> Built<ast::Connect> {
        let source = self.path(kids.one(Rule::path));
        let target = self.path(kids.one(Rule::path));
        let mut ops = Vec::new();
        if let Some(applied) = kids.maybe(Rule::applied) {
            let mut applied = Kids::of(applied);
            ops.push(self.call(applied.one(Rule::method))?);
            for then in applied.many(Rule::then_clause) {
                ops.push(self.call(Kids::of(then).one(Rule::method))?);
            }
        }
        let (mut delay, mut frozen) = (None, None);
        for clause in kids.many(Rule::connect_clause) {
            // The clauses are their own only child; `frozen` has no other.
            let clause = Kids::of(clause).next().expect("a clause has one form");
            let place = self.span(&clause);
            let repeated = if clause.as_rule() == Rule::delay_clause {
                let value = self.value(Kids::of(clause).one(Rule::value))?;
                delay.replace(ast::Delay { value, span: place }).is_some()
            } else {
                frozen.replace(place).is_some()
            };
            refuse_repeated(repeated, place)?;
        }
        Ok(ast::Connect {
            source,
            target,
            ops,
            delay,
            frozen,
            span,
        })
    }

    pub(super) fn setting(&self, pair: Pair<Rule>) -> Built<ast::Setting> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = self.name(kids.one(Rule::setting_name));
        let value = Kids::of(kids.one(Rule::setting_value)).one(Rule::range_or_expr);
        Ok(ast::Setting {
            name,
            value: self.range_or_expr(value)?,
            span,
        })
    }

    // ------------------------------------------------------------ calls as clauses

    /// A `call` or a `method`: a name with arguments, or alone.
    fn call(&self, pair: Pair<Rule>) -> Built<ast::Call> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        Ok(ast::Call {
            callee: self.name(kids.one(Rule::name)),
            args: self.maybe_args(&mut kids)?,
            span,
        })
    }
}

fn refuse_repeated(repeated: bool, place: Span) -> Built<()> {
    if repeated {
        let report = super::slip(place, "this clause is there twice").label("remove one of them");
        return Err(Box::new(report));
    }
    Ok(())
}
