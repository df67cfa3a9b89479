//! The items of all files by name, and constants and functions in an order of evaluation.
//!
//! A name means the item of the file in which it is written, if that file defines it; otherwise the
//! first one among the imports. So a file may define again what it imports, and a file that is
//! imported keeps its own meaning.

use std::collections::BTreeMap;

use super::Check;
use super::scope::Scope;
use crate::ast::{self, Item};
use crate::diag::{Code, Diagnostic};
use crate::model::{self, Expr, ExprKind, Ref, Ty, eval, walk};
use crate::span::Span;

/// What kind of item a name is and its index among the items of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemRef {
    /// A constant.
    Const(usize),
    /// A surrogate.
    Surrogate(usize),
    /// A function.
    Fn(usize),
    /// A neuron.
    Neuron(usize),
    /// A network.
    Network(usize),
}

impl ItemRef {
    /// `a constant`
    pub(super) fn words(self) -> &'static str {
        match self {
            ItemRef::Const(_) => "a constant",
            ItemRef::Surrogate(_) => "a surrogate",
            ItemRef::Fn(_) => "a function",
            ItemRef::Neuron(_) => "a neuron",
            ItemRef::Network(_) => "a network",
        }
    }
}

/// The items of a program. Training plans have names of their own.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    /// Constants, each after what it reads; those in a cycle are left out.
    pub(super) consts: Vec<&'a ast::Const>,
    /// Functions, each after what it calls; those in a cycle are left out.
    pub(super) fns: Vec<&'a ast::Fn>,
    pub(super) surrogates: Vec<&'a ast::Surrogate>,
    pub(super) neurons: Vec<&'a ast::Neuron>,
    pub(super) networks: Vec<&'a ast::Network>,
    pub(super) trains: Vec<&'a ast::Train>,
    /// The items of a name in the order of the files.
    names: BTreeMap<&'a str, Vec<(ItemRef, Span)>>,
    /// Where the text of each file begins in the address space of spans, in ascending order.
    bases: Vec<u32>,
    /// Which of them are trusted.
    trusted: Vec<bool>,
    /// Names that exist but cannot be used, because they depend on themselves.
    circular: Vec<&'a str>,
    /// Constants and functions in an order of evaluation.
    order: Vec<ItemRef>,
    /// An item or an import is missing because it could not be read.
    pub(super) broken: bool,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> Items<'a> {
    /// The item that a name means at a place.
    pub(super) fn find(&self, name: &str, at: Span) -> Option<ItemRef> {
        let rows = self.names.get(name)?;
        let own = rows.iter().find(|(_, span)| self.same_file(*span, at));
        own.or(rows.first()).map(|&(item, _)| item)
    }

    fn same_file(&self, a: Span, b: Span) -> bool {
        self.file(a) == self.file(b)
    }

    /// The number of a place's file, from 1.
    fn file(&self, span: Span) -> usize {
        self.bases.partition_point(|&base| base <= span.start)
    }

    /// Whether a place is in a file whose values need no check.
    pub(super) fn trusts(&self, span: Span) -> bool {
        let file = self.file(span).checked_sub(1);
        file.and_then(|i| self.trusted.get(i).copied()) == Some(true)
    }

    /// Whether a name that was not found needs no report: it is missing for a reported reason.
    pub(super) fn excused(&self, name: &str) -> bool {
        self.broken || self.circular.contains(&name)
    }

    /// The names of the items of a kind, for suggestions.
    pub(super) fn names_of(&self, kind: fn(ItemRef) -> bool) -> Vec<&'a str> {
        let of_kind = |rows: &Vec<(ItemRef, Span)>| rows.iter().any(|(item, _)| kind(*item));
        let rows = self.names.iter().filter(|(_, rows)| of_kind(rows));
        rows.map(|(name, _)| *name).collect()
    }
}

/// Collects the items of all files.
pub(super) fn collect(files: &[ast::File]) -> Items<'_> {
    let mut items = Items::default();
    let begin = |file: &ast::File| (file.id.span(0..0).start, file.trusted);
    let mut begins: Vec<(u32, bool)> = files.iter().map(begin).collect();
    begins.sort_unstable();
    (items.bases, items.trusted) = begins.into_iter().unzip();
    let mut consts: Vec<&ast::Const> = Vec::new();
    let mut fns: Vec<&ast::Fn> = Vec::new();
    for file in files {
        items.broken |= file.broken;
        for item in &file.items {
            let unique = match item {
                Item::Import(_) => false,
                Item::Train(train) => items.declare_train(train),
                Item::Const(c) => items.declare(&c.name, ItemRef::Const(consts.len())),
                Item::Fn(f) => items.declare(&f.name, ItemRef::Fn(fns.len())),
                Item::Surrogate(s) => {
                    items.declare(&s.name, ItemRef::Surrogate(items.surrogates.len()))
                }
                Item::Neuron(n) => items.declare(&n.name, ItemRef::Neuron(items.neurons.len())),
                Item::Network(n) => items.declare(&n.name, ItemRef::Network(items.networks.len())),
            };
            if !unique {
                continue;
            }
            match item {
                Item::Import(_) => {}
                Item::Train(train) => items.trains.push(train),
                Item::Const(c) => consts.push(c),
                Item::Fn(f) => fns.push(f),
                Item::Surrogate(s) => items.surrogates.push(s),
                Item::Neuron(n) => items.neurons.push(n),
                Item::Network(n) => items.networks.push(n),
            }
        }
    }
    items.arrange(&consts, &fns);
    items
}

impl<'a> Items<'a> {
    fn declare(&mut self, name: &'a ast::Name, item: ItemRef) -> bool {
        let rows = self.names.get(name.text.as_str());
        let mut rows = rows.into_iter().flatten();
        if let Some(&(other, span)) = rows.find(|(_, span)| self.same_file(*span, name.span)) {
            let finding = duplicate(name, other.words(), Some(span));
            self.diagnostics.push(finding);
            return false;
        }
        let rows = self.names.entry(&name.text).or_default();
        rows.push((item, name.span));
        true
    }

    fn declare_train(&mut self, train: &ast::Train) -> bool {
        let other = self
            .trains
            .iter()
            .find(|t| t.name.text == train.name.text)
            .map(|t| t.name.span);
        if let Some(span) = other {
            self.diagnostics
                .push(duplicate(&train.name, "a training plan", Some(span)));
        }
        other.is_none()
    }

    /// Orders constants and functions so that each comes after what it needs.
    fn arrange(&mut self, consts: &[&'a ast::Const], fns: &[&'a ast::Fn]) {
        let node = |items: &Items<'_>, name: &str, at: Span| match items.find(name, at) {
            Some(ItemRef::Const(i)) => Some(i),
            Some(ItemRef::Fn(i)) => Some(consts.len() + i),
            Some(ItemRef::Surrogate(_) | ItemRef::Neuron(_) | ItemRef::Network(_)) | None => None,
        };
        let mut dependencies: Vec<Vec<usize>> = Vec::new();
        for item in consts {
            let names = names_in(&item.value);
            let at = item.name.span;
            dependencies.push(names.iter().filter_map(|n| node(self, n, at)).collect());
        }
        for item in fns {
            let mut names = names_in(&item.body);
            for part in item.derivative.iter().flatten() {
                names.extend(names_in(part));
            }
            let own = |n: &&str| !item.formals.iter().any(|f| f.name.text == **n);
            let names = names.into_iter().filter(|n| own(n));
            let at = item.name.span;
            dependencies.push(names.filter_map(|n| node(self, n, at)).collect());
        }
        let name_of = |i: usize| match i.checked_sub(consts.len()) {
            None => &consts[i].name,
            Some(f) => &fns[f].name,
        };
        let mut in_circle = vec![false; dependencies.len()];
        let order = loop {
            match walk::topological(&dependencies) {
                Ok(order) => break order,
                Err(cycle) => {
                    let names: Vec<&ast::Name> = cycle.iter().map(|&i| name_of(i)).collect();
                    self.diagnostics.push(circular(&names));
                    for &i in &cycle {
                        dependencies[i].clear();
                        in_circle[i] = true;
                        self.circular.push(&name_of(i).text);
                    }
                }
            }
        };
        for i in order {
            let name = name_of(i);
            let rows = self.names.entry(&name.text).or_default();
            let own = rows.iter().position(|(_, span)| *span == name.span);
            if in_circle[i] {
                rows.retain(|(_, span)| *span != name.span);
                if rows.is_empty() {
                    self.names.remove(name.text.as_str());
                }
                continue;
            }
            let item = match i.checked_sub(consts.len()) {
                None => {
                    self.consts.push(consts[i]);
                    ItemRef::Const(self.consts.len() - 1)
                }
                Some(f) => {
                    self.fns.push(fns[f]);
                    ItemRef::Fn(self.fns.len() - 1)
                }
            };
            // The index among the ordered ones replaces that among the written ones.
            if let (Some(own), Some(rows)) = (own, self.names.get_mut(name.text.as_str())) {
                rows[own].0 = item;
            }
            self.order.push(item);
        }
    }
}

/// `x` is already a parameter.
pub(super) fn duplicate(name: &ast::Name, other: &str, first: Option<Span>) -> Diagnostic {
    let message = format!("`{}` is already {other}", name.text);
    let finding = Diagnostic::new(Code::E0105, name.span, message).label("defined again here");
    match first {
        Some(span) => finding.secondary(span, "first defined here"),
        None => finding,
    }
}

/// Definitions that go in a circle.
pub(super) fn circular(names: &[&ast::Name]) -> Diagnostic {
    let mut path: Vec<String> = names.iter().map(|n| format!("`{}`", n.text)).collect();
    path.push(path[0].clone());
    let message = format!(
        "{} depends on itself: no order of evaluation exists",
        path[0]
    );
    let mut finding = Diagnostic::new(Code::E0207, names[0].span, message)
        .note(format!("the circle is {}", path.join(" -> ")));
    for name in &names[1..] {
        finding = finding.secondary(name.span, "and this is part of the circle");
    }
    finding
}

/// The names that an expression of the tree contains, of values and of functions.
pub(super) fn names_in(expr: &ast::Expr) -> Vec<&str> {
    fn collect<'e>(expr: &'e ast::Expr, found: &mut Vec<&'e str>) {
        use ast::ExprKind as Kind;
        match &expr.kind {
            Kind::Number(_) | Kind::Quantity { .. } | Kind::Bool(_) | Kind::Str(_) => {}
            Kind::Name(name) => found.push(name),
            Kind::Field { base, .. } => collect(base, found),
            Kind::Call { callee, args } => {
                found.push(&callee.text);
                for arg in args {
                    collect(&arg.value, found);
                }
            }
            Kind::List(items) => {
                for item in items {
                    collect(item, found);
                }
            }
            Kind::Unary { operand, .. } => collect(operand, found),
            Kind::Binary { lhs, rhs, .. } => {
                collect(lhs, found);
                collect(rhs, found);
            }
            Kind::If {
                cond,
                then,
                otherwise,
            } => {
                collect(cond, found);
                collect(then, found);
                collect(otherwise, found);
            }
            Kind::Range { lo, hi } => {
                collect(lo, found);
                collect(hi, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

/// Function calls may be nested this deep: they are written out where they are used.
const MAX_CALL_DEPTH: usize = 32;

impl Check<'_> {
    /// Builds constants and functions.
    pub(super) fn constants_and_functions(&mut self) {
        for item in self.items.order.clone() {
            match item {
                ItemRef::Const(i) => self.constant(self.items.consts[i]),
                ItemRef::Fn(i) => self.function(self.items.fns[i]),
                ItemRef::Surrogate(_) | ItemRef::Neuron(_) | ItemRef::Network(_) => {}
            }
        }
    }

    fn constant(&mut self, item: &ast::Const) {
        let scope = Scope::new("this constant", false);
        let value = self.resolve(&scope, &item.value);
        let ty = self.infer(&scope, &value, &|_| Ty::Unknown);
        let none = |_: Ref| None;
        let known = eval::Env::new(&self.model, None, &none).number(&value).ok();
        self.model.consts.push(model::Const {
            name: item.name.clone(),
            value,
            known,
            ty,
        });
    }

    fn function(&mut self, item: &ast::Fn) {
        let mut scope = Scope::new("this function", false);
        let formals = self.formals(&mut scope, &item.formals);
        let mut body = self.resolve(&scope, &item.body);
        let derivative = item.derivative.as_ref().map(|parts| {
            let parts: Vec<Expr> = parts.iter().map(|e| self.resolve(&scope, e)).collect();
            parts
        });
        if let Some(parts) = &derivative
            && (parts.is_empty() || parts.len() > formals.len())
        {
            let message = format!(
                "`{}` has {} parameters but {} derivatives",
                item.name.text,
                formals.len(),
                parts.len()
            );
            self.report(
                Check::finding(Code::E0210, item.name.span, message)
                    .help("give one derivative for each of the leading parameters"),
            );
        }
        self.infer(&scope, &body, &|_| Ty::Unknown);
        for part in derivative.iter().flatten() {
            let ty = self.infer(&scope, part, &|_| Ty::Unknown);
            self.expect_number(ty, part);
        }
        let mut depth = 0;
        walk::visit(&body, &mut |e| {
            if let ExprKind::Call { function, .. } = e.kind {
                depth = depth.max(self.model.functions[function].depth + 1);
            }
        });
        if depth > MAX_CALL_DEPTH {
            let message = format!("functions call each other more than {MAX_CALL_DEPTH} deep");
            self.report(Check::finding(Code::E0211, item.name.span, message));
            body.kind = ExprKind::Error;
            depth = 0;
        }
        self.model.functions.push(model::Function {
            name: item.name.clone(),
            formals,
            derivative,
            body,
            depth,
        });
    }

    /// Declares and builds formal parameters; defaults may use constants only.
    pub(super) fn formals(
        &mut self,
        scope: &mut Scope,
        formals: &[ast::Formal],
    ) -> Vec<model::Formal> {
        let outer = Scope::new("a default value", false);
        let mut built = Vec::new();
        for (i, formal) in formals.iter().enumerate() {
            if let Some(finding) = scope.declare(&formal.name, Ref::Formal(i), "a parameter") {
                self.report(finding);
            }
            let default = formal.default.as_ref();
            built.push(model::Formal {
                name: formal.name.clone(),
                default: default.map(|e| self.resolve(&outer, e)),
            });
        }
        built
    }
}
