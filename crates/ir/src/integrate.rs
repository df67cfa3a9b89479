//! Replaces the `integrate` ops of a kernel by the update that each state's method asks for.
//!
//! All `integrate x, f, h` of a kernel are one system x' = f(x), read at the beginning of the integrate
//! phase; everything else (inputs, parameters, other states) is constant during the step. Afterwards no
//! `integrate` is left, and each state's new value depends on values of the beginning only.
//!
//! - `exact`: the states whose equations are linear in the system with coefficients constant in time
//!   are advanced by their propagator. States outside that set are held.
//! - `exp_euler`: `x + h·phi1(J·h)·f` with J = ∂f/∂x of the state's own equation (Hochbruck & Ostermann
//!   2010). It is exponential Euler where the equation is linear in its own state, else Rosenbrock–Euler.
//! - `euler(n)`, `heun`, `rk4(n)`: the states that name the same method advance together; the others
//!   are held at their values of the beginning.
//! - `auto`: `exact` where it applies, else `exp_euler`.
//!
//! What each method makes of white noise is on the page of `noise.rs`.

mod affine;
mod noise;
mod propagator;

use crate::autodiff::tangent;
use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};
use crate::ops::{Method, Op};
use crate::rewrite;

use affine::{Affine, affine_forms};
use noise::{Gain, Noises};

/// A state is advanced exactly if its equation reads up to this many, itself and through others included: with a drive
/// each, the matrix exponential has twice as many rows and its derivative four times.
const MOST_EXACT: usize = 31;

/// What was done for one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The name of the state (the note of its `integrate`).
    pub state: String,
    /// The method that was asked for.
    pub asked: Method,
    /// The method that was taken.
    pub taken: Method,
    /// Why, in words.
    pub reason: &'static str,
}

/// One equation of the system.
struct Equation {
    node: Value,
    name: String,
    method: Method,
    x: Value,
    /// The right-hand side with its noise.
    f: Value,
    /// The right-hand side without noise, and the gain of each noise.
    drift: Value,
    gains: Vec<Gain>,
    h: Value,
}

/// Replaces every `integrate`. Returns what was chosen, in the order of the equations.
pub fn integrate(kernel: &mut Kernel) -> Vec<Chosen> {
    let equations = equations(kernel);
    if equations.is_empty() {
        noise::replace_rest(kernel);
        return Vec::new();
    }
    let old = std::mem::replace(
        kernel,
        Kernel {
            name: kernel.name.clone(),
            nodes: Vec::new(),
            outputs: Vec::new(),
        },
    );
    let mut b = Builder::new(old.name.clone());
    let after = depends_on_update(&old);
    let mut renamed: Vec<Value> = vec![Value(0); old.nodes.len()];
    // What the equations read, then all updates together, then what reads the new states.
    copy(&mut b, &old, &mut renamed, |v| !after[v.index()]);
    let mut here: Vec<Equation> = equations.iter().map(|e| e.renamed(&renamed)).collect();
    let mut noises = Noises::find(&b);
    for equation in &mut here {
        (equation.drift, equation.gains) = noises.split(&mut b, equation.f);
    }
    let chosen = choose(&mut b, &here);
    for (equation, value) in equations
        .iter()
        .zip(advance(&mut b, &here, &chosen, &mut noises))
    {
        b.note(value, &equation.name);
        renamed[equation.node.index()] = value;
    }
    copy(&mut b, &old, &mut renamed, |v| after[v.index()]);
    for mut output in old.outputs {
        output.value = renamed[output.value.index()];
        b.output(output.slot, output.value, output.rate);
    }
    *kernel = b.finish();
    noise::replace_rest(kernel);
    chosen
}

/// For every value whether it is an `integrate` or depends on one.
fn depends_on_update(kernel: &Kernel) -> Vec<bool> {
    let mut after: Vec<bool> = Vec::with_capacity(kernel.nodes.len());
    for node in &kernel.nodes {
        after.push(match &node.def {
            Def::Input(_) => false,
            Def::Inst(Op::Integrate(_), _) => true,
            Def::Inst(_, args) => args.iter().any(|a| after[a.index()]),
        });
    }
    after
}

/// Copies the chosen nodes that are not `integrate`.
fn copy(b: &mut Builder, old: &Kernel, renamed: &mut [Value], chosen: impl Fn(Value) -> bool) {
    for (value, node) in old.values() {
        let is_update = matches!(node.def, Def::Inst(Op::Integrate(_), _));
        if is_update || !chosen(value) {
            continue;
        }
        b.set_origin(node.origin);
        let new = match &node.def {
            Def::Inst(op, args) => {
                let args: Vec<Value> = args.iter().map(|a| renamed[a.index()]).collect();
                b.inst(*op, &args)
            }
            Def::Input(_) => b.push(node.clone()),
        };
        if let Some(note) = &node.note {
            b.note(new, note);
        }
        renamed[value.index()] = new;
    }
}

impl Equation {
    fn renamed(&self, renamed: &[Value]) -> Equation {
        let at = |v: Value| renamed[v.index()];
        Equation {
            node: self.node,
            name: self.name.clone(),
            method: self.method,
            x: at(self.x),
            f: at(self.f),
            drift: at(self.drift),
            gains: Vec::new(),
            h: at(self.h),
        }
    }
}

fn equations(kernel: &Kernel) -> Vec<Equation> {
    let mut equations = Vec::new();
    for (node, data) in kernel.values() {
        if let Def::Inst(Op::Integrate(method), args) = &data.def {
            let name = data.note.as_deref().unwrap_or("state").to_string();
            equations.push(Equation {
                node,
                name,
                method: *method,
                x: args[0],
                f: args[1],
                drift: args[1],
                gains: Vec::new(),
                h: args[2],
            });
        }
    }
    equations
}

/// Decides the method of every state.
fn choose(b: &mut Builder, equations: &[Equation]) -> Vec<Chosen> {
    let states: Vec<Value> = equations.iter().map(|e| e.x).collect();
    let forms = affine_forms(b, &states, equations.iter().map(|e| e.drift));
    // The coefficients of the equations that can be advanced exactly.
    let linear = equations.iter().zip(forms).map(|(e, form)| {
        let form = form.filter(|f| f.constant_coefficients(b))?;
        matches!(e.method, Method::Auto | Method::Exact).then_some(form)
    });
    let linear: Vec<Option<Affine>> = linear.collect();
    let too_many = |i: usize| block(&linear, i) > MOST_EXACT;
    let too_many: Vec<bool> = (0..equations.len()).map(too_many).collect();
    let mut exact: Vec<bool> = linear
        .iter()
        .zip(&too_many)
        .map(|(form, too_many)| form.is_some() && !too_many)
        .collect();
    // A state that reads one which is not exact is itself only exact if that one is held, which `auto`
    // does not silently do.
    loop {
        let forms = affine_forms(b, &states, equations.iter().map(|e| e.drift));
        let reads_inexact = |i: usize, exact: &[bool]| {
            forms[i].as_ref().is_some_and(|f| {
                f.coefficients
                    .iter()
                    .zip(exact)
                    .any(|(c, e)| c.is_some() && !e)
            })
        };
        let demoted = (0..equations.len())
            .find(|&i| exact[i] && equations[i].method == Method::Auto && reads_inexact(i, &exact));
        match demoted {
            Some(i) => exact[i] = false,
            None => break,
        }
    }
    equations
        .iter()
        .zip(exact)
        .zip(too_many)
        .map(|((e, exact), too_many)| chosen(e, exact, too_many))
        .collect()
}

/// How many states the equation of `i` reads, itself and through other linear ones included.
fn block(linear: &[Option<Affine>], i: usize) -> usize {
    let mut read = vec![false; linear.len()];
    let mut waiting = vec![i];
    while let Some(i) = waiting.pop() {
        if std::mem::replace(&mut read[i], true) {
            continue;
        }
        if let Some(form) = &linear[i] {
            let reads = |j: &usize| form.coefficients[*j].is_some() && linear[*j].is_some();
            waiting.extend((0..linear.len()).filter(reads));
        }
    }
    read.into_iter().filter(|r| *r).count()
}

fn chosen(e: &Equation, exact: bool, too_many: bool) -> Chosen {
    let (taken, reason) = match (e.method, exact) {
        (Method::Auto | Method::Exact, false) if too_many => (
            Method::ExpEuler,
            "it reads too many states for a matrix exponential",
        ),
        (Method::Auto | Method::Exact, true) => {
            (Method::Exact, "linear with coefficients constant in time")
        }
        (Method::Auto, false) => (
            Method::ExpEuler,
            "not linear with coefficients constant in time",
        ),
        (Method::Exact, false) => (
            Method::ExpEuler,
            "`exact` does not apply: not linear with constant coefficients",
        ),
        (Method::ExpEuler | Method::Euler(_) | Method::Heun | Method::Rk4(_), _) => {
            (e.method, "as written")
        }
    };
    Chosen {
        state: e.name.clone(),
        asked: e.method,
        taken,
        reason,
    }
}

/// Appends the updates; returns the new value of every state.
fn advance(
    b: &mut Builder,
    equations: &[Equation],
    chosen: &[Chosen],
    noises: &mut Noises,
) -> Vec<Value> {
    let mut new: Vec<Option<Value>> = vec![None; equations.len()];
    let exact: Vec<usize> = (0..equations.len())
        .filter(|&i| chosen[i].taken == Method::Exact)
        .collect();
    if !exact.is_empty() {
        let members: Vec<&Equation> = exact.iter().map(|&i| &equations[i]).collect();
        for (&i, value) in exact.iter().zip(propagate(b, &members, noises)) {
            new[i] = Some(value);
        }
    }
    for i in 0..equations.len() {
        if new[i].is_some() {
            continue;
        }
        match chosen[i].taken {
            Method::Exact | Method::Auto => {
                unreachable!("exact states are advanced above; auto was resolved")
            }
            Method::ExpEuler => new[i] = Some(exp_euler(b, &equations[i], noises)),
            method @ (Method::Euler(_) | Method::Heun | Method::Rk4(_)) => {
                let block: Vec<usize> = (0..equations.len())
                    .filter(|&j| chosen[j].taken == method)
                    .collect();
                let members: Vec<&Equation> = block.iter().map(|&j| &equations[j]).collect();
                for (&j, value) in block.iter().zip(stages(b, &members, method, noises)) {
                    new[j] = Some(value);
                }
            }
        }
    }
    new.into_iter()
        .map(|v| v.expect("every state was advanced"))
        .collect()
}

/// Linear equations with coefficients that are constant in time, together.
fn propagate(b: &mut Builder, equations: &[&Equation], noises: &mut Noises) -> Vec<Value> {
    let states: Vec<Value> = equations.iter().map(|e| e.x).collect();
    let forms: Vec<Affine> = affine_forms(b, &states, equations.iter().map(|e| e.drift))
        .into_iter()
        .map(|form| form.expect("exact was chosen for affine equations only"))
        .collect();
    let mut new = propagator::advance(b, &states, &forms, equations[0].h);
    noise::add_exact(b, noises, equations, &forms, &mut new);
    new
}

/// `x + h·phi1(J·h)·f`, J = ∂f/∂x, and the noise of a process with decay J.
fn exp_euler(b: &mut Builder, e: &Equation, noises: &Noises) -> Value {
    let one = b.real(1.0);
    let slope = tangent(b, e.drift, &[(e.x, one)]);
    let decay = slope.map(|slope| b.mul(slope, e.h));
    let rate = match decay {
        Some(z) => {
            let phi = b.inst(Op::Phi(1), &[z]);
            b.mul(e.h, phi)
        }
        None => e.h,
    };
    let change = b.mul(rate, e.drift);
    let x = b.add(e.x, change);
    noise::add_increments(b, noises, &e.gains, decay, e.h, x)
}

/// One step of length `h` of a block of equations from the states `x`.
type Tableau = fn(&mut Builder, &[&Equation], &[Value], Value) -> Vec<Value>;

/// The explicit one-step methods, for states that advance together.
fn stages(b: &mut Builder, block: &[&Equation], method: Method, noises: &mut Noises) -> Vec<Value> {
    let (substeps, tableau): (u32, Tableau) = match method {
        Method::Euler(n) => return euler(b, block, n, noises),
        Method::Heun => (1, heun),
        Method::Rk4(n) => (n, rk4),
        Method::Auto | Method::Exact | Method::ExpEuler => unreachable!("not a method of stages"),
    };
    let mut x: Vec<Value> = block.iter().map(|e| e.x).collect();
    let h = substep(b, block[0].h, substeps);
    for _ in 0..substeps {
        x = tableau(b, block, &x, h);
    }
    x
}

/// The length of one of `n` substeps.
fn substep(b: &mut Builder, h: Value, n: u32) -> Value {
    if n == 1 {
        return h;
    }
    let n = b.real(f64::from(n));
    b.div(h, n)
}

/// The states of a block and their values.
fn moved_to(block: &[&Equation], x: &[Value]) -> Vec<(Value, Value)> {
    block.iter().zip(x).map(|(e, &x)| (e.x, x)).collect()
}

/// The right-hand sides at the states `x`.
fn slopes(b: &mut Builder, block: &[&Equation], x: &[Value]) -> Vec<Value> {
    let mut map = moved_to(block, x);
    block
        .iter()
        .map(|e| rewrite::instantiate(b, e.f, &mut map))
        .collect()
}

/// `x + c·k` for each state.
fn moved(b: &mut Builder, x: &[Value], c: Value, k: &[Value]) -> Vec<Value> {
    x.iter()
        .zip(k)
        .map(|(&x, &k)| {
            let change = b.mul(c, k);
            b.add(x, change)
        })
        .collect()
}

/// `x + h·f + Σ g·√h·z` in each of `n` substeps, with a normal number z for each noise and substep.
fn euler(b: &mut Builder, block: &[&Equation], n: u32, noises: &mut Noises) -> Vec<Value> {
    let mut x: Vec<Value> = block.iter().map(|e| e.x).collect();
    let h = substep(b, block[0].h, n);
    for step in 0..n {
        let mut map = moved_to(block, &x);
        let mut draws: Vec<(usize, Value)> = Vec::new();
        let mut next = Vec::with_capacity(x.len());
        for (equation, &x) in block.iter().zip(&x) {
            let slope = rewrite::instantiate(b, equation.drift, &mut map);
            let change = b.mul(h, slope);
            let mut new = b.add(x, change);
            for &(noise, gain) in &equation.gains {
                let gain = rewrite::instantiate(b, gain, &mut map);
                let root = b.inst(Op::Sqrt, &[h]);
                let scale = b.mul(gain, root);
                let drawn = draws.iter().find(|(k, _)| *k == noise);
                let z = match (drawn, step) {
                    (Some((_, z)), _) => *z,
                    (None, 0) => noises.draw(b, noise),
                    (None, _) => noises.draw_more(b, noise),
                };
                draws.push((noise, z));
                let increment = b.mul(scale, z);
                new = b.add(new, increment);
            }
            next.push(new);
        }
        x = next;
    }
    x
}

/// `x + h/2·(k₁ + k₂)`, k₂ at the Euler step.
fn heun(b: &mut Builder, block: &[&Equation], x: &[Value], h: Value) -> Vec<Value> {
    let k1 = slopes(b, block, x);
    let ahead = moved(b, x, h, &k1);
    let k2 = slopes(b, block, &ahead);
    let sum: Vec<Value> = k1.iter().zip(&k2).map(|(&a, &c)| b.add(a, c)).collect();
    let two = b.real(2.0);
    let half = b.div(h, two);
    moved(b, x, half, &sum)
}

/// `x + h/6·(k₁ + 2k₂ + 2k₃ + k₄)`.
fn rk4(b: &mut Builder, block: &[&Equation], x: &[Value], h: Value) -> Vec<Value> {
    let two = b.real(2.0);
    let six = b.real(6.0);
    let half = b.div(h, two);
    let k1 = slopes(b, block, x);
    let x2 = moved(b, x, half, &k1);
    let k2 = slopes(b, block, &x2);
    let x3 = moved(b, x, half, &k2);
    let k3 = slopes(b, block, &x3);
    let x4 = moved(b, x, h, &k3);
    let k4 = slopes(b, block, &x4);
    let sixth = b.div(h, six);
    let sum: Vec<Value> = (0..x.len())
        .map(|i| {
            let inner = b.add(k2[i], k3[i]);
            let inner = b.mul(two, inner);
            let outer = b.add(k1[i], k4[i]);
            b.add(outer, inner)
        })
        .collect();
    moved(b, x, sixth, &sum)
}
