//! The interpreter: the meaning of a kernel, one lane and one node at a time. Slow and obvious.
//!
//! Booleans are held as reals 0 and 1 and every op on them is its polynomial extension (see
//! [`crate::ops`]), so the same evaluator runs the real program and the smoothed one. How spikes and
//! `detach` are treated is the [`Spiking`] that the caller passes.

use crate::draws;
use crate::executor::{Arg, CallError, Executor, check_args};
use crate::expm::expm;
use crate::kernel::{Def, Kernel, Param, Slot, Value};
use crate::ops::{Edge, Element, Op};
use crate::real::{self, Real};
use crate::types::Rate;

/// How spikes and detached values are evaluated.
#[derive(Debug)]
pub enum Spiking<'a> {
    /// As in a simulation: a spike is 0 or 1.
    Hard,
    /// As in a simulation, noting what the smoothed program must hold fixed.
    Record(&'a mut Vec<f64>),
    /// The smoothed program around a recorded evaluation: `spike` is its tangent with the surrogate
    /// derivative as slope, `s + d·(u − u₀)`, and moves with its primitive, in which the margin is held,
    /// `+ (p − p₀)`; `detach` and `hold` keep their recorded values. The gradient of this program at the
    /// recorded point is the surrogate gradient.
    Tangent(&'a [f64]),
    /// The smoothed program of the surrogate's primitive: `spike` is `p`, where `hold` holds nothing; with
    /// notes as in `Record`.
    PrimitiveRecord(&'a mut Vec<f64>),
    /// The same, with `detach` at its recorded value.
    Primitive(&'a [f64]),
}

/// The values of every node of one lane. `inputs` gives the value of each input in node order.
///
/// # Errors
///
/// The kernel holds an `integrate`.
pub fn evaluate<R: Real>(
    kernel: &Kernel,
    inputs: &mut dyn FnMut(usize) -> R,
    spiking: &mut Spiking<'_>,
) -> Result<Vec<R>, CallError> {
    let mut values: Vec<R> = Vec::with_capacity(kernel.nodes.len());
    let mut next_input = 0;
    let mut tape = Tape { spiking, read: 0 };
    for node in &kernel.nodes {
        let value = match &node.def {
            Def::Input(_) => {
                next_input += 1;
                inputs(next_input - 1)
            }
            Def::Inst(op, args) => apply(*op, args, &values, &mut tape)?,
        };
        values.push(value);
    }
    Ok(values)
}

/// One instruction on given operands.
///
/// # Errors
///
/// The op is `integrate`.
pub fn evaluate_op<R: Real>(
    op: Op,
    operands: &[R],
    spiking: &mut Spiking<'_>,
) -> Result<R, CallError> {
    let args: Vec<Value> = (0..operands.len()).map(|i| Value(i as u32)).collect();
    apply(op, &args, operands, &mut Tape { spiking, read: 0 })
}

/// The recorded numbers of an evaluation and how far they have been read.
struct Tape<'a, 'b> {
    spiking: &'a mut Spiking<'b>,
    read: usize,
}

impl Tape<'_, '_> {
    fn next(&mut self, recorded: &[f64]) -> f64 {
        self.read += 1;
        recorded.get(self.read - 1).copied().unwrap_or(f64::NAN)
    }

    /// A spike of margin `u` with surrogate derivative `d` and primitive `p`.
    fn spike<R: Real>(&mut self, edge: Edge, u: R, d: R, p: Option<R>) -> R {
        let hard = match edge {
            Edge::AtOrAbove => truth::<R>(u >= R::ZERO),
            Edge::Above => truth::<R>(u > R::ZERO),
        };
        self.gate(hard, u, d, p)
    }

    /// The number of spikes at a margin `u` with derivative `d`.
    fn count<R: Real>(&mut self, u: R, d: R) -> R {
        let number = u.floor().add(R::ONE);
        let hard = if number > R::ZERO { number } else { R::ZERO };
        self.gate(hard, u, d, None)
    }

    /// A value whose derivative by `u` is `d`.
    fn gate<R: Real>(&mut self, hard: R, u: R, d: R, p: Option<R>) -> R {
        match self.spiking {
            Spiking::Hard => hard,
            Spiking::Record(record) => {
                let p = p.map_or(0.0, Real::to_f64);
                record.extend([hard.to_f64(), d.to_f64(), u.to_f64(), p]);
                hard
            }
            Spiking::Tangent(recorded) => {
                let recorded = *recorded;
                let [s0, d0, u0, p0] = [(); 4].map(|()| self.next(recorded));
                let shape = p.map_or(0.0, |p| p.to_f64() - p0);
                R::from_f64(s0 + d0 * (u.to_f64() - u0) + shape)
            }
            Spiking::PrimitiveRecord(_) | Spiking::Primitive(_) => p.unwrap_or(hard),
        }
    }

    fn detach<R: Real>(&mut self, value: R) -> R {
        match self.spiking {
            Spiking::Hard => value,
            Spiking::Record(record) | Spiking::PrimitiveRecord(record) => {
                record.push(value.to_f64());
                value
            }
            Spiking::Tangent(recorded) | Spiking::Primitive(recorded) => {
                let recorded = *recorded;
                R::from_f64(self.next(recorded))
            }
        }
    }

    /// A margin as the primitive reads it.
    fn hold<R: Real>(&mut self, margin: R) -> R {
        match self.spiking {
            Spiking::Hard | Spiking::PrimitiveRecord(_) | Spiking::Primitive(_) => margin,
            Spiking::Record(_) | Spiking::Tangent(_) => self.detach(margin),
        }
    }
}

fn truth<R: Real>(value: bool) -> R {
    if value { R::ONE } else { R::ZERO }
}

/// A function computed in double precision and rounded.
fn rounded<R: Real>(f: impl Fn(f64) -> f64, a: R) -> R {
    R::from_f64(f(a.to_f64()))
}

fn apply<R: Real>(
    op: Op,
    args: &[Value],
    values: &[R],
    tape: &mut Tape<'_, '_>,
) -> Result<R, CallError> {
    let arg = |i: usize| values[args[i].index()];
    Ok(match op {
        Op::Const(literal) => R::from_f64(literal.value()),
        Op::Truth(value) => truth(value),
        Op::Spike(edge) => tape.spike(edge, arg(0), arg(1), args.get(2).map(|p| values[p.index()])),
        Op::Count => tape.count(arg(0), arg(1)),
        Op::Detach => tape.detach(arg(0)),
        Op::Hold => tape.hold(arg(0)),
        Op::Integrate(_) | Op::White(_) => return Err(CallError::Op { name: op.name() }),
        Op::Uniform(stream) => {
            let [a, b, t] = [0, 1, 2].map(|i| arg(i).to_f64());
            R::from_f64(draws::uniform(stream, [a, b], t))
        }
        Op::Normal(stream) => {
            let [a, b, t] = [0, 1, 2].map(|i| arg(i).to_f64());
            R::from_f64(draws::normal(stream, [a, b], t))
        }
        Op::Expm(Element { n, row, col }) => {
            let matrix: Vec<f64> = (0..args.len()).map(|i| arg(i).to_f64()).collect();
            R::from_f64(
                expm(&matrix, n.into())[usize::from(row) * usize::from(n) + usize::from(col)],
            )
        }
        Op::Phi(k) => rounded(|z| real::phi(k, z), arg(0)),
        Op::Neg => arg(0).neg(),
        Op::Add => arg(0).add(arg(1)),
        Op::Sub => arg(0).sub(arg(1)),
        Op::Mul => arg(0).mul(arg(1)),
        Op::Div => arg(0).div(arg(1)),
        Op::Fma => arg(0).fma(arg(1), arg(2)),
        Op::Min => {
            if arg(0) < arg(1) {
                arg(0)
            } else {
                arg(1)
            }
        }
        Op::Max => {
            if arg(0) > arg(1) {
                arg(0)
            } else {
                arg(1)
            }
        }
        Op::Abs => arg(0).abs(),
        Op::Sign => rounded(real::sign, arg(0)),
        Op::Floor => arg(0).floor(),
        Op::Round => arg(0).round(),
        Op::Sqrt => arg(0).sqrt(),
        Op::Exp => rounded(f64::exp, arg(0)),
        Op::Expm1 => rounded(f64::exp_m1, arg(0)),
        Op::Log => rounded(f64::ln, arg(0)),
        Op::Log1p => rounded(f64::ln_1p, arg(0)),
        Op::Pow => R::from_f64(real::pow(arg(0).to_f64(), arg(1).to_f64())),
        Op::Sin => rounded(f64::sin, arg(0)),
        Op::Cos => rounded(f64::cos, arg(0)),
        Op::Tanh => rounded(f64::tanh, arg(0)),
        Op::Sigmoid => rounded(real::sigmoid, arg(0)),
        Op::Softplus => rounded(real::softplus, arg(0)),
        Op::Erf => rounded(real::erf, arg(0)),
        Op::Lt => truth(arg(0) < arg(1)),
        Op::Le => truth(arg(0) <= arg(1)),
        Op::Eq => truth(arg(0) == arg(1)),
        Op::Ne => truth(arg(0) != arg(1)),
        Op::And => arg(0).mul(arg(1)),
        Op::Or => arg(0).add(arg(1)).sub(arg(0).mul(arg(1))),
        Op::Not => R::ONE.sub(arg(0)),
        Op::Select => select(arg(0), arg(1), arg(2)),
        Op::ToReal | Op::Widen => arg(0),
        Op::Narrow => rounded(|a| real::from_bf16(real::to_bf16(a)), arg(0)),
    })
}

/// `b + c·(a − b)`, exact where `c` is 0 or 1.
fn select<R: Real>(c: R, a: R, b: R) -> R {
    if c == R::ONE {
        a
    } else if c == R::ZERO {
        b
    } else {
        c.fma(a.sub(b), b)
    }
}

/// The interpreter as an executor.
#[derive(Clone, Debug)]
pub struct Interpreter {
    kernel: Kernel,
    signature: Vec<Param>,
    /// For each output the index of its argument.
    outputs: Vec<usize>,
}

impl Interpreter {
    /// An interpreter of a verified kernel.
    ///
    /// # Errors
    ///
    /// The kernel holds an `integrate` or a `white`.
    pub fn new(kernel: Kernel) -> Result<Interpreter, CallError> {
        for node in &kernel.nodes {
            if let Def::Inst(op @ (Op::Integrate(_) | Op::White(_)), _) = &node.def {
                return Err(CallError::Op { name: op.name() });
            }
        }
        let signature = kernel.signature();
        let position = |slot: &Slot| {
            signature
                .iter()
                .position(|p| p.slot == *slot)
                .expect("outputs are in the signature")
        };
        let outputs = kernel.outputs.iter().map(|o| position(&o.slot)).collect();
        Ok(Interpreter {
            kernel,
            signature,
            outputs,
        })
    }
}

impl<R: Real> Executor<R> for Interpreter {
    fn signature(&self) -> &[Param] {
        &self.signature
    }

    fn call(&self, lanes: usize, args: &mut [Arg<'_, R>]) -> Result<(), CallError> {
        check_args(&self.signature, lanes, args)?;
        // A kernel without any lane argument still runs once.
        let all_uniform = self.signature.iter().all(|p| p.rate == Rate::Uniform);
        for lane in 0..if all_uniform { 1 } else { lanes } {
            let at = |i: usize| {
                if self.signature[i].rate == Rate::Uniform {
                    0
                } else {
                    lane
                }
            };
            let values = evaluate(
                &self.kernel,
                &mut |i| load(&args[i], at(i)),
                &mut Spiking::Hard,
            )?;
            for (output, &i) in self.kernel.outputs.iter().zip(&self.outputs) {
                store(&mut args[i], at(i), values[output.value.index()]);
            }
        }
        Ok(())
    }
}

fn load<R: Real>(arg: &Arg<'_, R>, index: usize) -> R {
    match arg {
        Arg::Real(row) => row[index],
        Arg::RealMut(row) => row[index],
        Arg::Bool(row) => truth(row[index] != 0),
        Arg::BoolMut(row) => truth(row[index] != 0),
        Arg::Bf16(row) => R::from_f64(real::from_bf16(row[index])),
        Arg::Bf16Mut(row) => R::from_f64(real::from_bf16(row[index])),
    }
}

fn store<R: Real>(arg: &mut Arg<'_, R>, index: usize, value: R) {
    match arg {
        Arg::RealMut(row) => row[index] = value,
        Arg::BoolMut(row) => row[index] = u8::from(value != R::ZERO),
        Arg::Bf16Mut(row) => row[index] = real::to_bf16(value.to_f64()),
        Arg::Real(_) | Arg::Bool(_) | Arg::Bf16(_) => {
            unreachable!("checked arguments: outputs are writable")
        }
    }
}
