//! Random valid kernels, for tests that two ways to run a kernel agree.
//!
//! The same seed gives the same kernel on every machine. Kernels look like steps: parameters and derived
//! values (uniform or by lane), ports, states that are updated in place, spikes, values from a tape. Every
//! op but `integrate` occurs; a new op does not compile until the generator knows its domain.

use crate::builder::Builder;
use crate::kernel::{Kernel, Role, Slot, Value};
use crate::ops::{Class, Edge, Element, Op, Operands, PLAIN};
use crate::random::SplitMix64;
use crate::types::{Rate, Type};

/// Which numbers occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Operands are kept inside each op's domain and of moderate size: every value is finite, and rounding
    /// errors stay small.
    Tame,
    /// Anything, with infinities, NaN, zeros of both signs and subnormal numbers.
    Wild,
}

/// What kind of kernel is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many random instructions are appended; guards come on top.
    pub instructions: usize,
    /// Which numbers occur.
    pub domain: Domain,
    /// Whether ops occur that are not differentiable everywhere (`min`, `floor`, comparisons, …).
    pub kinks: bool,
    /// Whether `spike` and `detach` occur.
    pub spikes: bool,
}

impl Shape {
    /// Everything, tame.
    pub const TAME: Shape = Shape {
        instructions: 24,
        domain: Domain::Tame,
        kinks: true,
        spikes: true,
    };
    /// Everything, wild.
    pub const WILD: Shape = Shape {
        domain: Domain::Wild,
        ..Shape::TAME
    };
    /// Differentiable everywhere, tame.
    pub const SMOOTH: Shape = Shape {
        kinks: false,
        spikes: false,
        ..Shape::TAME
    };
}

/// The largest size of a tame value.
const LARGE: f64 = 20.0;

/// Inputs of tame kernels are between minus and plus this.
const INPUT: f64 = 2.0;

/// The kernel of a seed.
pub fn kernel(seed: u64, shape: &Shape) -> Kernel {
    let mut generator = Generator {
        b: Builder::new(format!("random{seed}")),
        random: SplitMix64::new(seed),
        shape: *shape,
        size: Vec::new(),
    };
    generator.inputs();
    for _ in 0..shape.instructions {
        generator.instruction();
    }
    generator.outputs();
    generator.b.finish()
}

/// Rows for the inputs of a kernel: `lanes` elements, or one for uniform inputs; booleans are 0 and 1.
pub fn rows(kernel: &Kernel, seed: u64, lanes: usize, domain: Domain) -> Vec<Vec<f64>> {
    let mut random = SplitMix64::new(seed ^ 0x726f_7773);
    kernel
        .inputs()
        .map(|(_, input)| {
            let n = match input.rate {
                Rate::Uniform => 1,
                Rate::Lane => lanes,
            };
            (0..n)
                .map(|_| match (input.ty, domain) {
                    (Type::Bool, _) => random.below(2) as f64,
                    (Type::Real | Type::Bf16, Domain::Tame) => random.between(-INPUT, INPUT),
                    (Type::Real | Type::Bf16, Domain::Wild) => wild(&mut random),
                })
                .collect()
        })
        .collect()
}

/// Any number, often a special one.
fn wild(random: &mut SplitMix64) -> f64 {
    const SPECIAL: [f64; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.5,
        1e-42,
        -3e38,
        1e30,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    match random.below(4) {
        0 => SPECIAL[random.below(SPECIAL.len())],
        1 => random.between(-100.0, 100.0),
        2 => random.between(-1.0, 1.0) * 10f64.powi(random.below(40) as i32 - 20),
        _ => random.between(-INPUT, INPUT),
    }
}

struct Generator {
    b: Builder,
    random: SplitMix64,
    shape: Shape,
    /// For each value a bound on its absolute value; tame kernels only.
    size: Vec<f64>,
}

impl Generator {
    fn inputs(&mut self) {
        let roles = [Role::Param, Role::Derived, Role::Port, Role::State];
        for role in roles {
            for i in 0..1 + self.random.below(3) {
                let may_be_uniform = role.constant_in_time();
                let rate = match may_be_uniform && self.random.below(2) == 0 {
                    true => Rate::Uniform,
                    false => Rate::Lane,
                };
                let name = format!("{}{i}", &role.word()[..1]);
                self.b.input(Slot::new(role, name), Type::Real, rate);
            }
        }
        for (name, ty) in [("r", Type::Real), ("b", Type::Bool)] {
            if self.random.below(3) == 0 {
                self.b.lane(Role::Saved, name, ty);
            }
        }
        self.size = vec![INPUT; self.b.kernel().nodes.len()];
    }

    fn instruction(&mut self) {
        let extra = 9;
        let op = match self.random.below(PLAIN.len() + extra) {
            i if i < PLAIN.len() => PLAIN[i],
            i => self.op_with_data(i - PLAIN.len()),
        };
        let wanted = match op.class() {
            Class::Smooth => true,
            Class::Kinked => self.shape.kinks,
            // Literals are flat, and welcome everywhere.
            // A rounding so coarse makes a difference of the last bit one that is seen: it has tests of its own.
            Class::Flat if matches!(op, Op::Narrow | Op::Widen) => false,
            Class::Flat => self.shape.kinks || matches!(op, Op::Const(_) | Op::Truth(_)),
            Class::Gate => self.shape.spikes,
            Class::Random => self.shape.kinks,
        };
        if !wanted {
            return;
        }
        let args = self.operands(op);
        self.apply(op, &args);
    }

    fn op_with_data(&mut self, which: usize) -> Op {
        match which {
            0 => Op::Const(self.literal().into()),
            1 => Op::Truth(self.random.below(2) == 0),
            2 => Op::Spike(match self.random.below(2) {
                0 => Edge::Above,
                _ => Edge::AtOrAbove,
            }),
            3 => match self.random.below(2) {
                0 => Op::Detach,
                _ => Op::Hold,
            },
            4 => Op::Phi(self.random.below(4) as u8),
            5 => Op::Uniform(self.random.below(4) as u32),
            7 => Op::Count,
            6 => Op::Normal(self.random.below(4) as u32),
            _ => {
                let n = 1 + self.random.below(3) as u8;
                Op::Expm(Element {
                    n,
                    row: self.random.below(n.into()) as u8,
                    col: self.random.below(n.into()) as u8,
                })
            }
        }
    }

    fn literal(&mut self) -> f64 {
        const NICE: [f64; 7] = [0.0, 1.0, -1.0, 2.0, 0.5, -0.0, 3.0];
        match (self.random.below(2), self.shape.domain) {
            (0, _) => NICE[self.random.below(NICE.len())],
            (_, Domain::Tame) => self.random.between(-INPUT, INPUT),
            (_, Domain::Wild) => wild(&mut self.random),
        }
    }

    /// Operands of the right types, inside the domain if tame.
    fn operands(&mut self, op: Op) -> Vec<Value> {
        let types: Vec<Type> = match op.operands() {
            Operands::Fixed(types) => types.to_vec(),
            Operands::Any => vec![match self.random.below(2) {
                0 => Type::Real,
                _ => Type::Bool,
            }],
            Operands::Reals(_) => {
                let n = if let Op::Expm(Element { n, .. }) = op {
                    usize::from(n) * usize::from(n)
                } else {
                    // A spike, with or without its primitive.
                    2 + self.random.below(2)
                };
                vec![Type::Real; n]
            }
        };
        types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                if op.class() == Class::Random {
                    return self.any_input();
                }
                let value = self.any(ty);
                match self.shape.domain {
                    Domain::Tame => self.guard(op, i, value),
                    Domain::Wild => value,
                }
            })
            .collect()
    }

    /// A value of this type; later ones are likelier, so that kernels get deep.
    fn any(&mut self, ty: Type) -> Value {
        let nodes = &self.b.kernel().nodes;
        let of_type: Vec<Value> = (0..nodes.len())
            .filter(|&i| nodes[i].ty == ty)
            .map(|i| Value(i as u32))
            .collect();
        if of_type.is_empty() {
            return self.boolean();
        }
        let recent = of_type.len().saturating_sub(6);
        let from = match self.random.below(2) {
            0 => recent,
            _ => 0,
        };
        of_type[from + self.random.below(of_type.len() - from)]
    }

    /// A real input. Random numbers are drawn from these only: the smallest rounding error of a word changes them
    /// altogether.
    fn any_input(&mut self) -> Value {
        let inputs = self.b.kernel().inputs();
        let reals: Vec<Value> = inputs
            .filter(|(_, input)| input.ty == Type::Real)
            .map(|(value, _)| value)
            .collect();
        reals[self.random.below(reals.len())]
    }

    /// A boolean where there is none yet.
    fn boolean(&mut self) -> Value {
        if self.shape.kinks {
            let (x, y) = (self.any(Type::Real), self.any(Type::Real));
            self.apply(Op::Lt, &[x, y])
        } else {
            self.apply(Op::Truth(true), &[])
        }
    }

    /// Brings operand `i` of `op` into the op's domain.
    fn guard(&mut self, op: Op, i: usize, value: Value) -> Value {
        match op {
            Op::Div if i == 1 => self.positive(value, 0.5),
            Op::Pow if i == 0 => self.positive(value, 0.5),
            Op::Pow | Op::Exp | Op::Expm1 | Op::Phi(_) | Op::Expm(_) => self.bounded(value, 2.0),
            Op::Sqrt | Op::Log => self.positive(value, 0.25),
            Op::Log1p => self.positive(value, 0.0),
            Op::Mul | Op::Fma => self.bounded(value, 4.0),
            Op::Sin | Op::Cos | Op::Tanh | Op::Sigmoid | Op::Softplus | Op::Erf => {
                self.bounded(value, 6.0)
            }
            Op::Spike(_)
            | Op::Count
            | Op::Detach
            | Op::Hold
            | Op::Integrate(_)
            | Op::Const(_)
            | Op::Truth(_) => value,
            Op::Neg | Op::Add | Op::Sub | Op::Div => value,
            Op::Min | Op::Max | Op::Abs | Op::Sign | Op::Floor | Op::Round => value,
            Op::Lt | Op::Le | Op::Eq | Op::Ne | Op::And | Op::Or | Op::Not => value,
            Op::Select | Op::ToReal | Op::Narrow | Op::Widen => value,
            Op::Uniform(_) | Op::Normal(_) | Op::White(_) => value,
        }
    }

    /// `x² + least`, which is smooth where `|x|` is not.
    fn positive(&mut self, value: Value, least: f64) -> Value {
        let value = self.bounded(value, 4.0);
        let square = self.apply(Op::Mul, &[value, value]);
        let least = self.apply(Op::Const(least.into()), &[]);
        self.apply(Op::Add, &[square, least])
    }

    /// The value if it is small enough for sure, else its hyperbolic tangent.
    fn bounded(&mut self, value: Value, limit: f64) -> Value {
        match self.size[value.index()] <= limit {
            true => value,
            false => self.apply(Op::Tanh, &[value]),
        }
    }

    /// Appends an instruction and bounds its result.
    fn apply(&mut self, op: Op, args: &[Value]) -> Value {
        let value = self.b.inst(op, args);
        if value.index() < self.size.len() {
            return value;
        }
        let size = |i: usize| args.get(i).map_or(0.0, |a| self.size[a.index()]);
        let size = match op {
            Op::Const(literal) => literal.value().abs(),
            Op::Truth(_) | Op::Spike(_) | Op::And | Op::Or | Op::Not | Op::ToReal => 1.0,
            Op::Lt | Op::Le | Op::Eq | Op::Ne => 1.0,
            Op::Neg | Op::Abs | Op::Detach | Op::Hold | Op::Widen => size(0),
            Op::Add | Op::Sub => size(0) + size(1),
            Op::Mul => size(0) * size(1),
            Op::Div => 2.0 * size(0),
            Op::Fma => size(0) * size(1) + size(2),
            Op::Min | Op::Max => size(0).max(size(1)),
            Op::Select => size(1).max(size(2)),
            Op::Normal(_) => 6.0,
            Op::Uniform(_) => 1.0,
            Op::Sign | Op::Sin | Op::Cos | Op::Tanh | Op::Sigmoid | Op::Erf => 1.0,
            Op::Count | Op::Floor | Op::Round | Op::Softplus => size(0) + 1.0,
            Op::Narrow => 2.0 * size(0),
            Op::Sqrt | Op::Log | Op::Log1p => size(0).max(2.0),
            Op::Exp | Op::Expm1 | Op::Phi(_) => 8.0,
            // exp of a 3 by 3 matrix of norm 6, base at most 16.5 to the 2nd.
            Op::Expm(_) | Op::Pow => 400.0,
            Op::Integrate(_) | Op::White(_) => f64::INFINITY,
        };
        self.size.push(size);
        match self.shape.domain == Domain::Tame && size > LARGE {
            true => self.apply(Op::Tanh, &[value]),
            false => value,
        }
    }

    fn outputs(&mut self) {
        let states: Vec<Slot> = self
            .b
            .kernel()
            .inputs()
            .filter(|(_, i)| i.slot.role == Role::State)
            .map(|(_, i)| i.slot.clone())
            .collect();
        for slot in states {
            let value = self.any(Type::Real);
            self.b.output(slot, value, Rate::Lane);
        }
        let spike = self.any(Type::Bool);
        self.b
            .output(Slot::new(Role::Spike, "s"), spike, Rate::Lane);
        for ty in [Type::Real, Type::Bool] {
            if self.random.below(3) == 0 {
                let value = self.any(ty);
                let slot = Slot::new(Role::Saved, format!("{ty}_out"));
                self.b.output(slot, value, Rate::Lane);
            }
        }
        let rates = self.b.kernel().rates();
        let uniform = self
            .b
            .kernel()
            .values()
            .rev()
            .find(|(v, node)| rates[v.index()] == Rate::Uniform && node.ty == Type::Real);
        if let Some((value, _)) = uniform
            && self.random.below(3) == 0
        {
            let slot = Slot::new(Role::Derived, "uniform_out");
            self.b.output(slot, value, Rate::Uniform);
        }
    }
}
