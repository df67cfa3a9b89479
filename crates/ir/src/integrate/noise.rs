//! White noise in equations: `x' = f(x) + Σ g_k·ξ_k`, with independent Wiener processes dW_k = ξ_k dt, in Itô's sense.
//!
//! - `euler(n)`: in each substep `x + h·f + Σ g_k·√h·z_k` with fresh normal numbers z (Maruyama 1955).
//! - `exp_euler`, and `exact` for a state that no other exact state reads: to the mean is added
//!   `g·√(h·phi1(2ah))·z`, the increment of the Ornstein–Uhlenbeck process with decay a (Uhlenbeck & Ornstein 1930). It
//!   is √((e^{2ah} − 1)/(2a)) without the division: a = 0 is ordinary.
//! - `exact` where others read the noisy state (a noisy current into a membrane): the increments of all of them are
//!   correlated. Their covariance Q solves Q' = A·Q + Q·Aᵀ + e·eᵀ, which is linear: one element of a matrix exponential
//!   for each element of Q. The increments are `g·L·z` with Q = L·Lᵀ (Cholesky).
//!
//! What scales the increments depends on parameters only where g does, so it is computed by the prologue. The gain g is
//! that of the beginning of the step. Elsewhere (in a `next`, a condition, an equation that is not linear in its noise)
//! ξ is `z/√h` throughout the step.

use super::Equation;
use super::affine::{Affine, affine_forms};
use super::propagator::reachable;
use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};
use crate::ops::{Element, Op};
use crate::rewrite::{keep, rebuild};

/// Increments of up to this many states are drawn together: their covariance has 15 elements.
const MOST_CORRELATED: usize = 5;

/// The square of the smallest element of the diagonal of L, so that its derivative is finite.
const LEAST_VARIANCE: f64 = 1e-280;

/// A `white` of the kernel.
#[derive(Clone, Debug)]
pub(super) struct White {
    value: Value,
    stream: u32,
    /// The key and the step.
    words: [Value; 3],
}

/// The noises of a kernel, and the streams that are still free.
pub(super) struct Noises {
    whites: Vec<White>,
    next: u32,
}

/// A noise in an equation: its index and its gain.
pub(super) type Gain = (usize, Value);

impl Noises {
    /// The noises of the kernel so far.
    pub(super) fn find(b: &Builder) -> Noises {
        let mut whites = Vec::new();
        for (value, node) in b.kernel().values() {
            if let Def::Inst(Op::White(stream), args) = &node.def {
                whites.push(White {
                    value,
                    stream: *stream,
                    words: [args[0], args[1], args[2]],
                });
            }
        }
        let next = whites.iter().map(|w| w.stream + 1).max().unwrap_or(0);
        Noises { whites, next }
    }

    /// Splits a right-hand side into the part without noise and the gain of each noise. An equation that is not
    /// linear in its noises stays whole.
    pub(super) fn split(&self, b: &mut Builder, f: Value) -> (Value, Vec<Gain>) {
        let values: Vec<Value> = self.whites.iter().map(|w| w.value).collect();
        match affine_forms(b, &values, [f]).pop().flatten() {
            Some(form) => {
                let gains = form.coefficients.iter().enumerate();
                let gains = gains.filter_map(|(k, c)| c.map(|c| (k, c))).collect();
                let drift = form.constant.unwrap_or_else(|| b.real(0.0));
                (drift, gains)
            }
            None => (f, Vec::new()),
        }
    }

    /// The normal number of a noise in this step.
    pub(super) fn draw(&self, b: &mut Builder, noise: usize) -> Value {
        let white = &self.whites[noise];
        b.inst(Op::Normal(white.stream), &white.words)
    }

    /// Another normal number, independent of all others.
    pub(super) fn draw_more(&mut self, b: &mut Builder, noise: usize) -> Value {
        let stream = self.next;
        self.next += 1;
        b.inst(Op::Normal(stream), &self.whites[noise].words)
    }
}

/// Adds to a state the increment of an Ornstein–Uhlenbeck process for each of its noises. `decay` is a·h.
pub(super) fn add_increments(
    b: &mut Builder,
    noises: &Noises,
    gains: &[Gain],
    decay: Option<Value>,
    h: Value,
    mut x: Value,
) -> Value {
    for &(noise, gain) in gains {
        let scale = deviation(b, decay, h);
        let scale = b.mul(gain, scale);
        let z = noises.draw(b, noise);
        let increment = b.mul(scale, z);
        x = b.add(x, increment);
    }
    x
}

/// `√(h·phi1(2ah))`.
fn deviation(b: &mut Builder, decay: Option<Value>, h: Value) -> Value {
    let variance = match decay {
        Some(decay) => {
            let twice = b.add(decay, decay);
            let phi = b.inst(Op::Phi(1), &[twice]);
            b.mul(h, phi)
        }
        None => h,
    };
    b.inst(Op::Sqrt, &[variance])
}

/// Adds the noise of one step to states that were advanced exactly. `forms` are their equations without noise in terms of
/// each other, `new` their values after the step.
pub(super) fn add_exact(
    b: &mut Builder,
    noises: &mut Noises,
    equations: &[&Equation],
    forms: &[Affine],
    new: &mut [Value],
) {
    for noise in 0..noises.whites.len() {
        let gains: Vec<Option<Value>> = equations
            .iter()
            .map(|e| e.gains.iter().find(|(k, _)| *k == noise).map(|(_, g)| *g))
            .collect();
        let noisy: Vec<usize> = (0..gains.len()).filter(|&i| gains[i].is_some()).collect();
        let readers = |i: usize| -> Vec<usize> {
            (0..forms.len())
                .filter(|&j| j != i && reachable(forms, j).contains(&i))
                .collect()
        };
        let alone = noisy.iter().all(|&i| readers(i).is_empty());
        if let ([i], false) = (&noisy[..], alone)
            && readers(*i).len() < MOST_CORRELATED
        {
            let mut members = vec![*i];
            members.extend(readers(*i));
            let gain = gains[*i].expect("a noisy equation has a gain");
            correlated(
                b,
                noises,
                noise,
                gain,
                equations[*i].h,
                forms,
                &members,
                new,
            );
            continue;
        }
        // Several equations with one noise, or too many: as if each were alone.
        for i in noisy {
            let (h, own) = (equations[i].h, forms[i].coefficients[i]);
            let decay = own.map(|a| b.mul(a, h));
            let gain = (noise, gains[i].expect("a noisy equation has a gain"));
            new[i] = add_increments(b, noises, &[gain], decay, h, new[i]);
        }
    }
}

/// The increments of states that one noise reaches; it enters the equation of the first of `members`.
#[expect(
    clippy::too_many_arguments,
    reason = "one caller, which has just found all of these"
)]
fn correlated(
    b: &mut Builder,
    noises: &mut Noises,
    noise: usize,
    gain: Value,
    h: Value,
    forms: &[Affine],
    members: &[usize],
    new: &mut [Value],
) {
    let n = members.len();
    let covariance = covariance(b, h, forms, members);
    let factor = cholesky(b, n, &covariance);
    for column in 0..n {
        let z = match column {
            0 => noises.draw(b, noise),
            _ => noises.draw_more(b, noise),
        };
        for (row, &member) in factor.iter().zip(members).skip(column) {
            let scale = b.mul(gain, row[column]);
            let increment = b.mul(scale, z);
            new[member] = b.add(new[member], increment);
        }
    }
}

/// The place of element (r, s) of a symmetric matrix among those of its lower triangle, row by row.
fn place(r: usize, s: usize) -> usize {
    let (r, s) = (r.max(s), r.min(s));
    r * (r + 1) / 2 + s
}

/// The lower triangle of Q after a step, for a noise of gain 1 in the first equation: the last column of the exponential
/// of the matrix of `q' = M·q + e`, augmented by a row of zeros (Van Loan 1978).
fn covariance(b: &mut Builder, h: Value, forms: &[Affine], members: &[usize]) -> Vec<Value> {
    let n = members.len();
    let size = n * (n + 1) / 2 + 1;
    let mut rates: Vec<Option<Value>> = vec![None; size * size];
    rates[size - 1] = Some(b.real(1.0));
    for r in 0..n {
        for s in 0..=r {
            // q_rs' = Σ_k a_rk·q_ks + a_sk·q_rk.
            for k in 0..n {
                for (row, other) in [(r, s), (s, r)] {
                    let Some(a) = forms[members[row]].coefficients[members[k]] else {
                        continue;
                    };
                    let cell = &mut rates[place(r, s) * size + place(k, other)];
                    *cell = Some(match *cell {
                        Some(sum) => b.add(sum, a),
                        None => a,
                    });
                }
            }
        }
    }
    let zero = b.real(0.0);
    let matrix: Vec<Value> = rates
        .into_iter()
        .map(|rate| rate.map_or(zero, |rate| b.mul(rate, h)))
        .collect();
    let element = |row: usize| Element {
        n: size as u8,
        row: row as u8,
        col: size as u8 - 1,
    };
    (0..size - 1)
        .map(|row| b.inst(Op::Expm(element(row)), &matrix))
        .collect()
}

/// The rows of the lower triangular factor of a symmetric matrix.
fn cholesky(b: &mut Builder, n: usize, q: &[Value]) -> Vec<Vec<Value>> {
    let least = b.real(LEAST_VARIANCE);
    let mut factor: Vec<Vec<Value>> = Vec::new();
    for r in 0..n {
        let mut row: Vec<Value> = Vec::new();
        for s in 0..=r {
            let mut rest = q[place(r, s)];
            for k in 0..s {
                let other = if s == r { row[k] } else { factor[s][k] };
                let product = b.mul(row[k], other);
                rest = b.sub(rest, product);
            }
            row.push(if s == r {
                let rest = b.inst(Op::Max, &[rest, least]);
                b.inst(Op::Sqrt, &[rest])
            } else {
                b.div(rest, factor[s][s])
            });
        }
        factor.push(row);
    }
    factor
}

/// Replaces every `white` that is left by `normal/√h`.
pub(super) fn replace_rest(kernel: &mut Kernel) {
    rebuild(kernel, |b, _, node| match &node.def {
        Def::Inst(Op::White(stream), args) => {
            let one = b.real(1.0);
            let root = b.inst(Op::Sqrt, &[args[3]]);
            let scale = b.div(one, root);
            let z = b.inst(Op::Normal(*stream), &args[..3]);
            b.mul(z, scale)
        }
        Def::Inst(..) | Def::Input(_) => keep(b, node),
    });
}
