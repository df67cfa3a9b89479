//! The raw tree as text: one statement a line, every operator in its own parentheses.
//!
//! This is what `rheo emit --stage ast` shows and what the parser's snapshots hold. It is made to
//! be read: `v' = ((i - v) / tau)` says how the text was grouped, and nothing else is added. The
//! text is itself a `.snn` file with the same tree, which a property test uses.
//!
//! Spans, comments and the `broken` marks do not appear.

use std::fmt::Write;

use super::*;

/// The tree of a file as text.
pub fn print(file: &File) -> String {
    let mut printer = Printer::default();
    for (i, item) in file.items.iter().enumerate() {
        if i > 0 {
            printer.out.push('\n');
        }
        printer.item(item);
    }
    printer.out
}

/// An expression as text, fully parenthesised.
pub fn print_expr(expr: &Expr) -> String {
    let mut printer = Printer::default();
    printer.expr(expr);
    printer.out
}

#[derive(Default)]
struct Printer {
    out: String,
}

impl Printer {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Writes each element with a separator between.
    fn list<T>(&mut self, items: &[T], separator: &str, mut each: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text(separator);
            }
            each(self, item);
        }
    }

    fn names(&mut self, names: &[Name]) {
        self.list(names, ", ", |p, name| p.text(&name.text));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Import(import) => {
                self.text("import ");
                self.string(&import.path);
                self.text("\n");
            }
            Item::Const(item) => {
                self.binding("const ", &item.name, &item.value);
                self.text("\n");
            }
            Item::Surrogate(item) => self.surrogate(item),
            Item::Fn(item) => self.function(item),
            Item::Neuron(item) => self.neuron(item),
            Item::Network(item) => self.network(item),
            Item::Train(item) => self.train(item),
        }
    }

    /// `keyword name = value`
    fn binding(&mut self, keyword: &str, name: &Name, value: &Expr) {
        self.text(keyword);
        self.text(&name.text);
        self.text(" = ");
        self.expr(value);
    }

    fn body<T>(&mut self, statements: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.text(" {\n");
        for statement in statements {
            self.text("  ");
            each(self, statement);
            self.text("\n");
        }
        self.text("}\n");
    }

    /// ` { a  b }` on the line.
    fn braces<T>(&mut self, items: &[T], each: impl FnMut(&mut Self, &T)) {
        self.text(" { ");
        self.list(items, "  ", each);
        self.text(if items.is_empty() { "}" } else { " }" });
    }

    fn formals(&mut self, formals: &[Formal]) {
        self.text("(");
        self.list(formals, ", ", |p, formal| {
            p.text(&formal.name.text);
            if let Some(default) = &formal.default {
                p.text(" = ");
                p.expr(default);
            }
        });
        self.text(")");
    }

    fn surrogate(&mut self, item: &Surrogate) {
        self.text("surrogate ");
        self.text(&item.name.text);
        self.formals(&item.formals);
        self.body(&item.body, |p, stmt| match stmt {
            SurrogateStmt::Derivative(setting) | SurrogateStmt::Primitive(setting) => {
                p.binding("", &setting.name, &setting.value);
            }
            SurrogateStmt::Support { range, .. } => {
                p.text("support = ");
                p.range(range);
            }
            SurrogateStmt::Let(stmt) => p.binding("let ", &stmt.name, &stmt.value),
        });
    }

    fn function(&mut self, item: &Fn) {
        self.text("fn ");
        self.text(&item.name.text);
        self.formals(&item.formals);
        if let Some(derivative) = &item.derivative {
            self.text(" derivative [");
            self.list(derivative, ", ", |p, expr| p.expr(expr));
            self.text("]");
        }
        self.text(" = ");
        self.expr(&item.body);
        self.text("\n");
    }

    fn neuron(&mut self, item: &Neuron) {
        self.text("neuron ");
        self.text(&item.name.text);
        if let Some(parent) = &item.parent {
            self.text(" : ");
            self.text(&parent.text);
        }
        self.body(&item.body, |p, stmt| p.neuron_stmt(stmt));
    }

    fn neuron_stmt(&mut self, stmt: &NeuronStmt) {
        match stmt {
            NeuronStmt::Param(param) => {
                self.text("param ");
                self.param(param);
            }
            NeuronStmt::Override(param) => self.param(param),
            NeuronStmt::Input(port) => {
                self.text("input ");
                self.text(&port.name.text);
                self.annotation(port.unit.as_ref());
            }
            NeuronStmt::State(state) => {
                self.text("state ");
                self.text(&state.name.text);
                self.annotation(state.unit.as_ref());
                self.text(" = ");
                self.expr(&state.init);
            }
            NeuronStmt::Let(stmt) => self.binding("let ", &stmt.name, &stmt.value),
            NeuronStmt::Ode(equation) => {
                self.text(&equation.state.text);
                self.text("' = ");
                self.expr(&equation.rhs);
            }
            NeuronStmt::Next(equation) => self.binding("next ", &equation.state, &equation.rhs),
            NeuronStmt::Noise(noise) => {
                self.text("noise ");
                self.text(&noise.name.text);
                self.text(" = ");
                self.call(&noise.process.callee, &noise.process.args);
            }
            NeuronStmt::OnReceive(block) => {
                self.text("on receive ");
                self.text(&block.port.text);
                self.assigns(&block.body);
            }
            NeuronStmt::Spike(spike) => self.spike(spike),
            NeuronStmt::OnSpike(block) => self.on_spike(block),
            NeuronStmt::Refractory(stmt) => self.refractory(stmt),
            NeuronStmt::Integrate(stmt) => self.integrate(stmt),
            NeuronStmt::Order(order) => {
                self.text("order ");
                self.list(&order.phases, ", ", |p, (phase, _)| p.text(phase.word()));
            }
        }
    }

    fn annotation(&mut self, unit: Option<&Unit>) {
        if let Some(unit) = unit {
            self.text(" : ");
            self.unit(unit);
        }
    }

    fn param(&mut self, param: &Param) {
        self.text(&param.name.text);
        self.annotation(param.unit.as_ref());
        if let Some(scope) = &param.scope {
            self.text(" ");
            self.text(scope.kind.words());
        }
        self.text(" = ");
        self.value(&param.value);
    }

    fn value(&mut self, value: &Value) {
        self.expr(&value.init);
        if let Some(bounds) = &value.bounds {
            self.text(" in ");
            self.range(bounds);
        }
        if let Some(learn) = &value.learn {
            self.text(" learn");
            if let Some(via) = &learn.via {
                self.text(" via ");
                self.text(&via.text);
            }
        }
    }

    fn range(&mut self, range: &Range) {
        self.expr(&range.lo);
        self.text(" .. ");
        self.expr(&range.hi);
    }

    fn assigns(&mut self, body: &[Assign]) {
        self.braces(body, |p, assign| {
            p.text(&assign.target.text);
            p.text(" ");
            p.text(assign.op.symbol());
            p.text(" ");
            p.expr(&assign.value);
        });
    }

    fn spike(&mut self, spike: &Spike) {
        self.text("spike ");
        if let Some(name) = &spike.name {
            self.text(&name.text);
            self.text(" ");
        }
        let (word, expr) = match &spike.trigger {
            Trigger::When(condition) => ("when ", condition),
            Trigger::Count(number) => ("count ", number),
        };
        self.text(word);
        self.expr(expr);
        for (word, clause) in [(" payload ", &spike.payload), (" scale ", &spike.scale)] {
            if let Some(expr) = clause {
                self.text(word);
                self.expr(expr);
            }
        }
        if let Some(surrogate) = &spike.surrogate {
            self.text(" surrogate ");
            self.call(&surrogate.callee, &surrogate.args);
        }
    }

    fn on_spike(&mut self, block: &OnSpike) {
        self.text("on spike");
        if let Some(name) = &block.spike {
            self.text(" ");
            self.text(&name.text);
        }
        if let Some(gradient) = block.gradient {
            self.text(" ");
            self.text(gradient.word());
        }
        self.assigns(&block.body);
    }

    fn refractory(&mut self, stmt: &Refractory) {
        self.text("refractory ");
        self.expr(&stmt.duration);
        for (word, names) in [(" holds ", &stmt.holds), (" drops ", &stmt.drops)] {
            if !names.is_empty() {
                self.text(word);
                self.names(names);
            }
        }
    }

    fn integrate(&mut self, stmt: &Integrate) {
        self.text("integrate");
        self.braces(&stmt.rules, |p, rule| {
            p.names(&rule.states);
            p.text(" : ");
            p.call(&rule.method.callee, &rule.method.args);
        });
    }

    fn network(&mut self, item: &Network) {
        self.text("network ");
        self.text(&item.name.text);
        if !item.formals.is_empty() {
            self.formals(&item.formals);
        }
        self.body(&item.body, |p, stmt| match stmt {
            NetworkStmt::Step { value, .. } => {
                p.text("step ");
                p.expr(value);
            }
            NetworkStmt::Input(input) => {
                p.text("input ");
                p.text(&input.name.text);
                p.shape(&input.shape);
            }
            NetworkStmt::Layer(layer) => p.layer(layer),
            NetworkStmt::Connect(connect) => p.connect(connect),
            NetworkStmt::Output { source, .. } => {
                p.text("output ");
                p.path(source);
            }
            NetworkStmt::Let(stmt) => p.binding("let ", &stmt.name, &stmt.value),
        });
    }

    fn shape(&mut self, shape: &[Expr]) {
        if !shape.is_empty() {
            self.text("[");
            self.list(shape, ", ", |p, expr| p.expr(expr));
            self.text("]");
        }
    }

    fn layer(&mut self, layer: &Layer) {
        self.text("layer ");
        self.text(&layer.name.text);
        self.text(" : ");
        self.text(&layer.kind.text);
        if !layer.args.is_empty() {
            self.args(&layer.args);
        }
        self.shape(&layer.shape);
        if let Some(repeat) = &layer.repeat {
            self.text(" repeat ");
            self.expr(repeat);
        }
        if !layer.overrides.is_empty() {
            self.braces(&layer.overrides, |p, param| p.param(param));
        }
    }

    fn path(&mut self, path: &Path) {
        self.list(&path.segments, ".", |p, name| p.text(&name.text));
    }

    fn connect(&mut self, connect: &Connect) {
        self.text("connect ");
        self.path(&connect.source);
        self.text(" -> ");
        self.path(&connect.target);
        if !connect.ops.is_empty() {
            self.text(" : ");
        }
        self.list(&connect.ops, " then ", |p, op| p.call(&op.callee, &op.args));
        if let Some(delay) = &connect.delay {
            self.text(" delay ");
            self.value(&delay.value);
        }
        if connect.frozen.is_some() {
            self.text(" frozen");
        }
    }

    fn train(&mut self, item: &Train) {
        self.text("train ");
        self.text(&item.name.text);
        self.text(" of ");
        self.text(&item.network.text);
        if !item.args.is_empty() {
            self.args(&item.args);
        }
        self.body(&item.settings, |p, setting| {
            p.binding("", &setting.name, &setting.value);
        });
    }

    fn call(&mut self, callee: &Name, args: &[Arg]) {
        self.text(&callee.text);
        self.args(args);
    }

    fn args(&mut self, args: &[Arg]) {
        self.text("(");
        self.list(args, ", ", |p, arg| {
            if let Some(name) = &arg.name {
                p.text(&name.text);
                p.text(" = ");
            }
            p.expr(&arg.value);
        });
        self.text(")");
    }

    fn unit(&mut self, unit: &Unit) {
        if unit.bracketed {
            self.text("[");
        }
        self.text(&unit.text);
        if unit.bracketed {
            self.text("]");
        }
    }

    /// The shortest decimal that reads back as the same number.
    fn number(&mut self, value: f64) {
        write!(self.out, "{}", shortest(value)).expect("a String takes every write");
    }

    fn string(&mut self, text: &str) {
        self.text("\"");
        for character in text.chars() {
            match character {
                '"' => self.text("\\\""),
                '\\' => self.text("\\\\"),
                '\n' => self.text("\\n"),
                '\t' => self.text("\\t"),
                other => self.out.push(other),
            }
        }
        self.text("\"");
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number(value) => self.number(*value),
            ExprKind::Quantity { value, unit } => {
                self.number(*value);
                self.text(" ");
                self.unit(unit);
            }
            ExprKind::Bool(value) => self.text(if *value { "true" } else { "false" }),
            ExprKind::Str(text) => self.string(text),
            ExprKind::Name(name) => self.text(name),
            ExprKind::Field { base, field } => {
                self.expr(base);
                self.text(".");
                self.text(&field.text);
            }
            ExprKind::Call { callee, args } => self.call(callee, args),
            ExprKind::List(items) => {
                self.text("[");
                self.list(items, ", ", |p, item| p.expr(item));
                self.text("]");
            }
            ExprKind::Unary { op, operand } => {
                self.text(match op {
                    UnaryOp::Neg => "(-",
                    UnaryOp::Not => "(not ",
                });
                self.expr(operand);
                self.text(")");
            }
            ExprKind::Binary { op, lhs, rhs, .. } => {
                self.text("(");
                self.expr(lhs);
                self.text(" ");
                self.text(op.symbol());
                self.text(" ");
                self.expr(rhs);
                self.text(")");
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.text("if ");
                self.expr(cond);
                self.text(" { ");
                self.expr(then);
                self.text(" } else { ");
                self.expr(otherwise);
                self.text(" }");
            }
            ExprKind::Range { lo, hi } => {
                self.expr(lo);
                self.text(" .. ");
                self.expr(hi);
            }
        }
    }
}

/// A number as its shortest decimal: `0.1`, `20`, `1e-30`.
fn shortest(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-4..1e15).contains(&magnitude) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}
