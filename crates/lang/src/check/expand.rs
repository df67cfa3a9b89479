//! Groups of layers written out: a network that has other networks as layers becomes one without.
//!
//! ```text
//! network Block(n) {                     network Deep {
//!   input x[n]                             layer tower : Block(n = 64) repeat 2
//!   layer h : LIF[n]                       connect inp -> tower.x
//!   connect x -> h.x : dense(w)            connect tower.h -> out.x : dense(w)
//!   output h                             }
//! }
//! becomes
//!   layer tower.0.h : LIF[tower.0.n]       connect inp -> tower.0.h.x : dense(w)
//!   layer tower.1.h : LIF[tower.1.n]       connect tower.0.h -> tower.1.h.x : dense(w)
//!                                          connect tower.1.h -> out.x : dense(w)
//! ```
//!
//! Parameters of a connection are named by the place of its text: `tower.0.x.h.x`, `tower.h.out.x`.
//!
//! A parameter of a group becomes a `let` of the outer network, so sizes stay expressions and only the
//! number of copies needs a value. An input of a group is no population but a place on the way: what
//! arrives there goes on over each connection that leaves it, with the operations of both parts in order.
//! Where one part with weights serves several ways, the first has them and the others are tied to it.
//!
//! In: networks whose groups contain no cycle and are not nested deeply, paths that were checked against the groups. Out: no
//! [`LayerKind::Group`], [`Source::Group`] or `repeat` is left.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::ast::{self, Name};
use crate::diag::{Code, Diagnostic};
use crate::model::{
    Argument, Bounds, Connection, Delay, Expr, ExprKind, Layer, LayerKind, Let, Model, Network,
    Operation, Pass, Ref, Source, Start, Tied, Ty, eval, walk,
};
use crate::span::Span;
use crate::units::Dimension;

/// Layers and groups that a network may have when written out, and ways of its connections.
const MAX_PARTS: usize = 10_000;

/// One occurrence of a network: the outermost one, or one copy of a group.
struct Instance {
    network: usize,
    /// `tower`, `0`: what its names begin with.
    prefix: Vec<String>,
    /// The same without numbers, if each copy on the way is the last.
    short: Option<Vec<String>>,
    /// Where its parameters and lets begin among the lets of the result; `None` for the outermost.
    lets: Option<usize>,
    /// The instance and the layer that it is a copy of, and which copy.
    parent: Option<(usize, usize, usize)>,
    /// What its layers became.
    parts: Vec<Part>,
}

enum Part {
    /// A layer of the result.
    Layer(usize),
    /// Instances of a group.
    Copies(Vec<usize>),
}

/// A way from a source towards a port, as far as it is known.
#[derive(Clone)]
struct Way {
    source: Source,
    ops: Vec<Operation>,
    delay: Option<Delay>,
    frozen: bool,
    passes: Vec<Pass>,
    /// The part that has operations.
    owner: Option<Owner>,
}

/// The connection whose operations a way has: they are its parameters.
#[derive(Clone)]
struct Owner {
    /// Instance and connection that have the parameters.
    key: (usize, usize),
    /// Where it is said that they are another connection's.
    tied: Option<Span>,
    source: ast::Path,
    target: ast::Path,
    span: Span,
}

struct Expander<'m> {
    model: &'m Model,
    /// Values of the outermost network's parameters: their defaults.
    formals: Vec<f64>,
    flat: Network,
    instances: Vec<Instance>,
    findings: Vec<Diagnostic>,
    work: Cell<usize>,
}

/// Writes out the groups of the network at an index.
///
/// # Errors
///
/// Numbers of copies without a value, too many parts, operations that are missing. An empty list if
/// what is wrong was reported where it stands.
pub(super) fn expand(model: &Model, index: usize) -> Result<Network, Vec<Diagnostic>> {
    let raw = &model.networks[index];
    let nothing = |_: Ref| None;
    let env = eval::Env::new(model, None, &nothing);
    let default = |f: &crate::model::Formal| f.default.as_ref().and_then(|d| env.number(d).ok());
    let mut expander = Expander {
        model,
        formals: raw
            .formals
            .iter()
            .map(|f| default(f).unwrap_or(f64::NAN))
            .collect(),
        flat: Network {
            layers: Vec::new(),
            connections: Vec::new(),
            ..raw.clone()
        },
        instances: Vec::new(),
        findings: Vec::new(),
        work: Cell::new(0),
    };
    let outermost = Instance {
        network: index,
        prefix: Vec::new(),
        short: Some(Vec::new()),
        lets: None,
        parent: None,
        parts: Vec::new(),
    };
    expander.enter(outermost)?;
    expander.connect()?;
    match expander.findings.is_empty() {
        true => Ok(expander.flat),
        false => Err(expander.findings),
    }
}

impl Expander<'_> {
    /// Adds the layers of an instance; gives its index.
    fn enter(&mut self, instance: Instance) -> Result<usize, Vec<Diagnostic>> {
        let raw = &self.model.networks[instance.network];
        let own = self.instances.len();
        self.instances.push(instance);
        for (i, layer) in raw.layers.iter().enumerate() {
            let part = match layer.kind {
                LayerKind::Neuron(_) | LayerKind::Unknown => self.layer(own, layer)?,
                LayerKind::Group(group) => {
                    let mut copies = Vec::new();
                    let count = self.copies(own, layer)?;
                    for copy in 0..count {
                        let of = (own, i, copy);
                        copies.push(self.copy(of, layer, group, copy + 1 == count)?);
                    }
                    Part::Copies(copies)
                }
            };
            self.instances[own].parts.push(part);
        }
        Ok(own)
    }

    fn layer(&mut self, instance: usize, layer: &Layer) -> Result<Part, Vec<Diagnostic>> {
        self.within_limits(layer.span)?;
        let mut flat = layer.clone();
        flat.name = self.named(instance, &layer.name);
        for size in &mut flat.shape {
            self.rename(instance, size);
        }
        for param in &mut flat.params {
            self.rename_start(instance, &mut param.start);
            if let Some(bounds) = &mut param.bounds {
                self.rename_bounds(instance, bounds);
            }
        }
        let index = self.flat.layers.len();
        if let Some(short) = &self.instances[instance].short {
            let mut short = short.clone();
            short.push(layer.name.text.clone());
            let short = short.join(".");
            if short != flat.name.text {
                self.flat.names.push((short, index));
            }
        }
        self.flat.layers.push(flat);
        Ok(Part::Layer(index))
    }

    /// One copy of a group: its parameters and lets become lets.
    fn copy(
        &mut self,
        of: (usize, usize, usize),
        layer: &Layer,
        group: usize,
        last: bool,
    ) -> Result<usize, Vec<Diagnostic>> {
        self.within_limits(layer.span)?;
        let (outer, _, number) = of;
        let raw = &self.model.networks[group];
        let mut prefix = self.instances[outer].prefix.clone();
        prefix.push(layer.name.text.clone());
        let mut short = self.instances[outer].short.clone().filter(|_| last);
        if let Some(short) = &mut short {
            short.push(layer.name.text.clone());
        }
        if layer.repeat.is_some() {
            prefix.push(number.to_string());
        }
        let base = self.flat.lets.len();
        let instance = Instance {
            network: group,
            prefix,
            short,
            lets: Some(base),
            parent: Some(of),
            parts: Vec::new(),
        };
        let name = |name: &Name| Name {
            text: [instance.prefix.join("."), name.text.clone()].join("."),
            span: name.span,
        };
        for (i, formal) in raw.formals.iter().enumerate() {
            let given = layer.args.get(i).and_then(Option::as_ref);
            // What is missing was reported at the layer.
            let mut value = given
                .or(formal.default.as_ref())
                .cloned()
                .ok_or(Vec::new())?;
            if given.is_some() {
                self.rename(outer, &mut value);
            }
            self.flat.lets.push(Let {
                name: name(&formal.name),
                value,
                ty: Ty::Real(Dimension::NONE),
            });
        }
        for item in &raw.lets {
            let mut value = item.value.clone();
            walk::rename(&mut value, &|r| renamed(base, raw.formals.len(), r));
            self.flat.lets.push(Let {
                name: name(&item.name),
                value,
                ty: item.ty,
            });
        }
        self.enter(instance)
    }

    /// How many copies `repeat` makes.
    fn copies(&mut self, instance: usize, layer: &Layer) -> Result<usize, Vec<Diagnostic>> {
        let Some(repeat) = &layer.repeat else {
            return Ok(1);
        };
        let mut count = repeat.clone();
        self.rename(instance, &mut count);
        for name in walk::deep_refs(&count, &self.flat.lets) {
            if let Some(i) = name.as_formal()
                && !self.flat.settled.contains(&i)
            {
                self.flat.settled.push(i);
            }
        }
        let lookup = |name: Ref| self.formals.get(name.as_formal()?).copied();
        let env = eval::Env::new(self.model, None, &lookup).with_lets(&self.flat.lets);
        let wrong = |message: String| Err(vec![Diagnostic::new(Code::E0602, repeat.span, message)]);
        match env.number(&count) {
            Ok(value) if value >= 1.0 && value.fract() == 0.0 && value <= MAX_PARTS as f64 => {
                Ok(value as usize)
            }
            Ok(value) if value.is_nan() => wrong(
                "the number of copies must be known here: give its parameter a default".to_string(),
            ),
            Ok(value) => wrong(format!(
                "the number of copies is a whole number from 1 to {MAX_PARTS}, not {value}"
            )),
            Err(_) => wrong("the number of copies must be a constant".to_string()),
        }
    }

    fn within_limits(&self, span: Span) -> Result<(), Vec<Diagnostic>> {
        self.work.set(self.work.get() + 1);
        if self.work.get() <= MAX_PARTS {
            return Ok(());
        }
        let message =
            format!("written out, this network has more than {MAX_PARTS} layers and connections");
        Err(vec![Diagnostic::new(Code::E0602, span, message)])
    }

    // ------------------------------------------------------------ connections

    fn connect(&mut self) -> Result<(), Vec<Diagnostic>> {
        let mut first: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut tied: Vec<(usize, (usize, usize), Span)> = Vec::new();
        for instance in 0..self.instances.len() {
            let raw = &self.model.networks[self.instances[instance].network];
            for (i, connection) in raw.connections.iter().enumerate() {
                let target = connection
                    .target
                    .map(|t| &self.instances[instance].parts[t]);
                let target = match target {
                    Some(Part::Copies(_)) => continue,
                    Some(Part::Layer(index)) => Some(*index),
                    None => None,
                };
                for way in self.sources(instance, connection)? {
                    let chained = way.owner.is_some() && !connection.ops.is_empty();
                    let way = self.along(instance, i, connection, way)?;
                    let Some(owner) = way.owner.clone() else {
                        self.findings.push(no_operation(connection));
                        continue;
                    };
                    let index = self.flat.connections.len();
                    match owner.tied {
                        Some(span) => tied.push((index, owner.key, span)),
                        None if !first.contains_key(&owner.key) => {
                            first.insert(owner.key, index);
                        }
                        None => tied.push((index, owner.key, owner.span)),
                    }
                    if chained && first.get(&owner.key) != Some(&index) {
                        let message = "several connections meet at an input whose way goes on with \
                                       operations, and have operations themselves; this cannot be run";
                        let finding = Diagnostic::new(Code::E0211, connection.span, message);
                        self.findings.push(
                            finding
                                .help("put the operations on one side of the group's input only"),
                        );
                    }
                    self.flat.connections.push(Connection {
                        source: way.source,
                        target,
                        port: connection.port,
                        source_path: owner.source,
                        target_path: owner.target,
                        ops: way.ops,
                        delay: way.delay,
                        frozen: way.frozen,
                        tied: None,
                        passes: way.passes,
                        span: owner.span,
                    });
                }
            }
        }
        for (index, key, span) in tied {
            // Without the connection itself nothing can be shared with it; that was reported.
            let to = *first.get(&key).ok_or(Vec::new())?;
            self.flat.connections[index].tied = Some(Tied { to, span });
        }
        Ok(())
    }

    /// The ways that a connection of an instance begins with.
    fn sources(&self, instance: usize, c: &Connection) -> Result<Vec<Way>, Vec<Diagnostic>> {
        self.within_limits(c.span)?;
        let raw = &self.model.networks[self.instances[instance].network];
        let names = &c.source_path.segments;
        let way = |source: Source| Way {
            source,
            ops: Vec::new(),
            delay: None,
            frozen: false,
            passes: Vec::new(),
            owner: None,
        };
        match raw.input(&names[0].text) {
            Some(input) if instance == 0 => Ok(vec![way(Source::Input(input))]),
            Some(input) => self.arrivals(instance, input),
            None => Ok(vec![way(self.named_source(instance, names)?)]),
        }
    }

    /// What arrives at an input of a group.
    fn arrivals(&self, instance: usize, input: usize) -> Result<Vec<Way>, Vec<Diagnostic>> {
        let inner = &self.instances[instance];
        let population = &self.model.networks[inner.network].inputs[input];
        let (outer, layer, copy) = inner.parent.ok_or(Vec::new())?;
        let raw = &self.model.networks[self.instances[outer].network];
        let mut ways = Vec::new();
        if copy > 0 {
            let Part::Copies(copies) = &self.instances[outer].parts[layer] else {
                return Err(Vec::new());
            };
            ways.push(Way {
                source: self.output(copies[copy - 1], &[])?,
                ops: Vec::new(),
                delay: None,
                frozen: false,
                passes: Vec::new(),
                owner: None,
            });
        } else {
            for (i, connection) in raw.connections.iter().enumerate() {
                let port = connection.target_path.segments.get(1);
                let here = port.is_some_and(|p| p.text == population.name.text);
                if connection.target == Some(layer) && here {
                    for way in self.sources(outer, connection)? {
                        ways.push(self.along(outer, i, connection, way)?);
                    }
                }
            }
        }
        for way in &mut ways {
            let mut shape = population.shape.clone();
            for size in &mut shape {
                self.rename(instance, size);
            }
            way.passes.push(Pass {
                name: self.named(instance, &population.name).text,
                shape,
                after: way.ops.len(),
                span: population.span,
            });
        }
        Ok(ways)
    }

    /// A way after a connection.
    fn along(
        &self,
        instance: usize,
        index: usize,
        c: &Connection,
        mut way: Way,
    ) -> Result<Way, Vec<Diagnostic>> {
        for op in &c.ops {
            let mut op = op.clone();
            for argument in op.args.iter_mut().flatten() {
                self.rename_argument(instance, argument);
            }
            way.ops.push(op);
        }
        if let Some(delay) = &c.delay {
            let mut delay = delay.clone();
            self.rename_start(instance, &mut delay.start);
            if let Some(bounds) = &mut delay.bounds {
                self.rename_bounds(instance, bounds);
            }
            way.delay = Some(match &way.delay {
                Some(before) => later(before, delay)?,
                None => delay,
            });
        }
        way.frozen |= c.frozen;
        if !c.ops.is_empty() {
            // Both paths together name the parameters: `tower.0` stands once, at the beginning.
            let prefix = self.instances[instance].prefix.iter().map(|text| Name {
                text: text.clone(),
                span: c.source_path.span,
            });
            let source = ast::Path {
                segments: prefix
                    .chain(c.source_path.segments.iter().cloned())
                    .collect(),
                span: c.source_path.span,
            };
            way.owner = Some(Owner {
                key: (instance, c.tied.map_or(index, |t| t.to)),
                tied: c.tied.map(|t| t.span),
                source,
                target: c.target_path.clone(),
                span: c.span,
            });
        }
        Ok(way)
    }

    /// A layer, one of its states, or an output of a group, by its names.
    fn named_source(&self, instance: usize, names: &[Name]) -> Result<Source, Vec<Diagnostic>> {
        let raw = &self.model.networks[self.instances[instance].network];
        let layer = names.first().and_then(|n| raw.layer(&n.text));
        let layer = layer.ok_or(Vec::new())?;
        match (
            &self.instances[instance].parts[layer],
            raw.layers[layer].kind,
        ) {
            (Part::Copies(copies), _) => match names.get(1).filter(|name| name.is_number()) {
                None => self.output(*copies.last().ok_or(Vec::new())?, &names[1..]),
                Some(number) => {
                    let copy = number.text.parse().ok().and_then(|n: usize| copies.get(n));
                    let copy = copy.ok_or_else(|| no_copy(&names[0], number, copies.len()))?;
                    self.output(*copy, &names[2..])
                }
            },
            (Part::Layer(index), LayerKind::Neuron(n)) => match names.get(1) {
                None => Ok(Source::Layer(*index)),
                Some(state) => {
                    let state = self.model.neurons[n].state(&state.text);
                    Ok(Source::State(*index, state.ok_or(Vec::new())?))
                }
            },
            (Part::Layer(_), LayerKind::Group(_) | LayerKind::Unknown) => Ok(Source::Unknown),
        }
    }

    /// What a group shows under a name; without a name its only output.
    fn output(&self, instance: usize, names: &[Name]) -> Result<Source, Vec<Diagnostic>> {
        if !names.is_empty() {
            return self.named_source(instance, names);
        }
        let raw = &self.model.networks[self.instances[instance].network];
        match raw.outputs.as_slice() {
            [only] => self.named_source(instance, &only.segments),
            [] | [_, ..] => Err(Vec::new()),
        }
    }

    // ------------------------------------------------------------ names

    fn named(&self, instance: usize, name: &Name) -> Name {
        let mut parts = self.instances[instance].prefix.clone();
        parts.push(name.text.clone());
        Name {
            text: parts.join("."),
            span: name.span,
        }
    }

    fn rename(&self, instance: usize, expr: &mut Expr) {
        let instance = &self.instances[instance];
        if let Some(base) = instance.lets {
            let formals = self.model.networks[instance.network].formals.len();
            walk::rename(expr, &|name| renamed(base, formals, name));
        }
    }

    fn rename_start(&self, instance: usize, start: &mut Start) {
        match start {
            Start::Value(expr) => self.rename(instance, expr),
            Start::Random(draw) => {
                for arg in draw.args.iter_mut().flatten() {
                    self.rename(instance, arg);
                }
            }
        }
    }

    fn rename_bounds(&self, instance: usize, bounds: &mut Bounds) {
        self.rename(instance, &mut bounds.lo);
        self.rename(instance, &mut bounds.hi);
    }

    fn rename_argument(&self, instance: usize, argument: &mut Argument) {
        match argument {
            Argument::Number(expr) | Argument::Map(expr) => self.rename(instance, expr),
            Argument::Start(start) => self.rename_start(instance, start),
            Argument::Bounds(bounds) => self.rename_bounds(instance, bounds),
            Argument::Flag(_) | Argument::Invalid => {}
        }
    }
}

/// A number behind the name of a repeated group that is none of its copies.
fn no_copy(group: &Name, number: &Name, count: usize) -> Vec<Diagnostic> {
    let message = format!(
        "`{}` has {count} copies, 0 to {}; there is no copy {}",
        group.text,
        count.saturating_sub(1),
        number.text
    );
    vec![Diagnostic::new(Code::E0603, number.span, message)]
}

/// What a name of a group is among the lets of the network that it is written out in.
fn renamed(base: usize, formals: usize, name: Ref) -> Ref {
    match name {
        Ref::Formal(i) => Ref::Let(base + i),
        Ref::Let(i) => Ref::Let(base + formals + i),
        Ref::Const(_)
        | Ref::Param(_)
        | Ref::Port(_)
        | Ref::State(_)
        | Ref::Spike(_)
        | Ref::Noise(_)
        | Ref::Pi
        | Ref::FanIn
        | Ref::FanOut => name,
    }
}

/// Two delays on one way add up, if they are two fixed times.
fn later(before: &Delay, after: Delay) -> Result<Delay, Vec<Diagnostic>> {
    let fixed = |delay: &Delay| match &delay.start {
        Start::Value(value) if delay.learn.is_none() => Some(Box::new(value.clone())),
        Start::Value(_) | Start::Random(_) => None,
    };
    let (Some(lhs), Some(rhs)) = (fixed(before), fixed(&after)) else {
        let message = "only fixed delays add up on the way through a group's input";
        let finding = Diagnostic::new(Code::E0211, after.span, message);
        return Err(vec![finding.secondary(before.span, "the other delay")]);
    };
    let sum = ExprKind::Binary {
        op: ast::BinaryOp::Add,
        lhs,
        rhs,
    };
    Ok(Delay {
        start: Start::Value(Expr {
            kind: sum,
            span: after.span,
        }),
        bounds: None,
        ..after
    })
}

/// A connection that says nothing about what it applies.
pub(super) fn no_operation(connection: &Connection) -> Diagnostic {
    let text = |path: &ast::Path| {
        let names: Vec<&str> = path.segments.iter().map(|n| n.text.as_str()).collect();
        names.join(".")
    };
    let message = format!(
        "nothing says what `{} -> {}` applies on the way",
        text(&connection.source_path),
        text(&connection.target_path)
    );
    Diagnostic::new(Code::E0101, connection.span, message)
        .help_edit(
            "name an operation",
            connection.target_path.span.after(),
            " : dense(w = xavier())",
        )
        .note("only a connection to an input of a group of layers, or from one, may leave it out")
}
