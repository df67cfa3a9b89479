//! The only way to make a kernel from Rust: appends nodes, types them from the op table, and keeps
//! definitions before uses by construction.
//!
//! Constants are shared as they are made. Nothing else is simplified here: that is what the passes
//! are for, and a kernel that prints as it was written is easier to review.

use std::collections::BTreeMap;

use crate::kernel::{Def, Input, Kernel, Node, Origin, Output, Role, Slot, Value};
use crate::ops::{Edge, Method, Op};
use crate::types::{Rate, Type};

/// A kernel under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    kernel: Kernel,
    constants: BTreeMap<Op, Value>,
    origin: Option<Origin>,
}

impl Builder {
    /// An empty kernel.
    pub fn new(name: impl Into<String>) -> Builder {
        let kernel = Kernel {
            name: name.into(),
            nodes: Vec::new(),
            outputs: Vec::new(),
        };
        Builder {
            kernel,
            constants: BTreeMap::new(),
            origin: None,
        }
    }

    /// The place in the source that the following nodes come from.
    pub fn set_origin(&mut self, origin: Option<Origin>) {
        self.origin = origin;
    }

    /// The kernel as built so far.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The finished kernel.
    pub fn finish(self) -> Kernel {
        self.kernel
    }

    /// Appends a node as it is.
    pub fn push(&mut self, node: Node) -> Value {
        let value = Value(self.kernel.nodes.len() as u32);
        if let Def::Inst(op, args) = &node.def
            && args.is_empty()
        {
            self.constants.entry(*op).or_insert(value);
        }
        self.kernel.nodes.push(node);
        value
    }

    /// Appends an input.
    pub fn input(&mut self, slot: Slot, ty: Type, rate: Rate) -> Value {
        let note = None;
        let origin = self.origin;
        self.push(Node {
            def: Def::Input(Input { slot, ty, rate }),
            ty,
            note,
            origin,
        })
    }

    /// Appends an instruction. `detach` takes the type of its operand.
    pub fn inst(&mut self, op: Op, args: &[Value]) -> Value {
        if args.is_empty()
            && let Some(&value) = self.constants.get(&op)
        {
            return value;
        }
        let ty = op
            .result()
            .unwrap_or_else(|| args.first().map_or(Type::Real, |&a| self.kernel.ty(a)));
        let origin = self.origin;
        let value = self.push(Node {
            def: Def::Inst(op, args.to_vec()),
            ty,
            note: None,
            origin,
        });
        if args.is_empty() {
            self.constants.insert(op, value);
        }
        value
    }

    /// Adds an output.
    pub fn output(&mut self, slot: Slot, value: Value, rate: Rate) {
        self.kernel.outputs.push(Output { slot, value, rate });
    }

    /// Gives a value a name for readers, unless it has one.
    pub fn note(&mut self, value: Value, note: &str) {
        let node = &mut self.kernel.nodes[value.index()];
        if node.note.is_none() && !matches!(node.def, Def::Input(_)) {
            node.note = Some(note.into());
        }
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.kernel.ty(value)
    }

    /// A lane input.
    pub fn lane(&mut self, role: Role, name: &str, ty: Type) -> Value {
        self.input(Slot::new(role, name), ty, Rate::Lane)
    }

    /// A real constant.
    pub fn real(&mut self, value: f64) -> Value {
        self.inst(Op::Const(value.into()), &[])
    }

    /// A boolean constant.
    pub fn truth(&mut self, value: bool) -> Value {
        self.inst(Op::Truth(value), &[])
    }

    /// `−a`.
    pub fn neg(&mut self, a: Value) -> Value {
        self.inst(Op::Neg, &[a])
    }

    /// `a + b`.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.inst(Op::Add, &[a, b])
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.inst(Op::Sub, &[a, b])
    }

    /// `a · b`.
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.inst(Op::Mul, &[a, b])
    }

    /// `a / b`.
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.inst(Op::Div, &[a, b])
    }

    /// `c ? a : b`.
    pub fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.inst(Op::Select, &[c, a, b])
    }

    /// A spike of margin `u` with surrogate derivative `d` and, where known, primitive `p`, which reads the
    /// margin as `hold u`.
    pub fn spike(&mut self, edge: Edge, u: Value, d: Value, p: Option<Value>) -> Value {
        match p {
            Some(p) => self.inst(Op::Spike(edge), &[u, d, p]),
            None => self.inst(Op::Spike(edge), &[u, d]),
        }
    }

    /// The state `x` after a step `h` of `x' = f`.
    pub fn integrate(&mut self, method: Method, x: Value, f: Value, h: Value) -> Value {
        self.inst(Op::Integrate(method), &[x, f, h])
    }
}
