//! Exact integration of x' = A·x + d with A and d constant during the step:
//! `x⁺ = exp(A·h)·x + h·phi1(A·h)·d` (Rotter & Diesmann 1999).
//!
//! The elements of both matrices depend on parameters only; the hoisting pass moves them into the
//! prologue, which runs in double precision once per parameter change.
//!
//! A state alone, and a state that reads one other (the current-based LIF), have closed forms in phi1
//! that stay accurate when the two time constants are equal, where the textbook form divides zero by zero.
//! Everything else is read off the exponential of the augmented matrix `[[A, E], [0, 0]]·h`, whose right
//! columns are `h·phi1(A·h)·E` (Van Loan 1978). It needs no inverse and has no special cases.

use super::affine::Affine;
use crate::builder::Builder;
use crate::kernel::Value;
use crate::ops::{Element, Op};

/// The values of the states after a step.
pub(super) fn advance(b: &mut Builder, x: &[Value], forms: &[Affine], h: Value) -> Vec<Value> {
    (0..x.len())
        .map(|i| advance_one(b, x, forms, h, i))
        .collect()
}

fn advance_one(b: &mut Builder, x: &[Value], forms: &[Affine], h: Value, i: usize) -> Value {
    let read = reachable(forms, i);
    let coefficient = |row: usize, col: usize| forms[row].coefficients[col];
    match read[..] {
        [_] => {
            let decay = scaled(b, coefficient(i, i), h);
            let terms = vec![(exp(b, decay), x[i])];
            with_drive(b, terms, forms[i].constant, decay, h)
        }
        [_, j] if forms[j].constant.is_none() && coefficient(j, i).is_none() => {
            let own = scaled(b, coefficient(i, i), h);
            let other = scaled(b, coefficient(j, j), h);
            let coupling = coefficient(i, j).expect("a state that is read has a coefficient");
            let gain = cross(b, coupling, own, other, h);
            let terms = vec![(exp(b, own), x[i]), (gain, x[j])];
            with_drive(b, terms, forms[i].constant, own, h)
        }
        _ => by_matrix(b, x, forms, h, &read),
    }
}

/// The states that the equation of `i` reads directly or through others, `i` first.
pub(super) fn reachable(forms: &[Affine], i: usize) -> Vec<usize> {
    let mut read = vec![i];
    let mut next = 0;
    while next < read.len() {
        for (j, c) in forms[read[next]].coefficients.iter().enumerate() {
            if c.is_some() && !read.contains(&j) {
                read.push(j);
            }
        }
        next += 1;
    }
    read
}

/// `a·h`, or `None` for zero.
fn scaled(b: &mut Builder, a: Option<Value>, h: Value) -> Option<Value> {
    a.map(|a| b.mul(a, h))
}

fn exp(b: &mut Builder, z: Option<Value>) -> Value {
    match z {
        Some(z) => b.inst(Op::Exp, &[z]),
        None => b.real(1.0),
    }
}

fn phi1(b: &mut Builder, z: Option<Value>) -> Value {
    match z {
        Some(z) => b.inst(Op::Phi(1), &[z]),
        None => b.real(1.0),
    }
}

/// `Σ gain·x + h·phi1(z)·d`.
fn with_drive(
    b: &mut Builder,
    terms: Vec<(Value, Value)>,
    d: Option<Value>,
    z: Option<Value>,
    h: Value,
) -> Value {
    let mut terms = terms;
    if let Some(d) = d {
        let phi = phi1(b, z);
        let gain = b.mul(h, phi);
        terms.push((gain, d));
    }
    sum(b, &terms)
}

fn sum(b: &mut Builder, terms: &[(Value, Value)]) -> Value {
    let mut total = None;
    for &(gain, x) in terms {
        let term = b.mul(gain, x);
        total = Some(match total {
            Some(total) => b.add(total, term),
            None => term,
        });
    }
    total.unwrap_or_else(|| b.real(0.0))
}

/// `c·(e^p − e^q)/(p − q)·h`, the gain from a state of decay q to one of decay p (both times h).
///
/// Written as `c·h·e^m·phi1(−|p − q|)` with m the larger of the two, which neither overflows nor cancels;
/// choosing by `select` keeps the derivative right where they are equal.
fn cross(b: &mut Builder, c: Value, p: Option<Value>, q: Option<Value>, h: Value) -> Value {
    let zero = b.real(0.0);
    let (p, q) = (p.unwrap_or(zero), q.unwrap_or(zero));
    let gap = b.sub(p, q);
    let above = b.inst(Op::Lt, &[zero, gap]);
    let minus = b.neg(gap);
    let gap = b.select(above, minus, gap);
    let larger = b.select(above, p, q);
    let decay = b.inst(Op::Exp, &[larger]);
    let phi = b.inst(Op::Phi(1), &[gap]);
    let step = b.mul(c, h);
    let gain = b.mul(decay, phi);
    b.mul(step, gain)
}

/// The first state of `read`, by the augmented matrix over the states of `read`.
fn by_matrix(b: &mut Builder, x: &[Value], forms: &[Affine], h: Value, read: &[usize]) -> Value {
    let driven: Vec<usize> = (0..read.len())
        .filter(|&r| forms[read[r]].constant.is_some())
        .collect();
    let n = read.len() + driven.len();
    let zero = b.real(0.0);
    let mut matrix = vec![zero; n * n];
    for (row, &i) in read.iter().enumerate() {
        for (col, &j) in read.iter().enumerate() {
            if let Some(a) = forms[i].coefficients[j] {
                matrix[row * n + col] = b.mul(a, h);
            }
        }
        if let Some(col) = driven.iter().position(|&r| r == row) {
            matrix[row * n + read.len() + col] = h;
        }
    }
    let size = u8::try_from(n).expect("exact is chosen for systems of few equations only");
    let mut terms = Vec::new();
    for (col, &j) in read.iter().enumerate() {
        terms.push((
            b.inst(
                Op::Expm(Element {
                    n: size,
                    row: 0,
                    col: col as u8,
                }),
                &matrix,
            ),
            x[j],
        ));
    }
    for (k, &r) in driven.iter().enumerate() {
        let col = (read.len() + k) as u8;
        let d = forms[read[r]]
            .constant
            .expect("driven states have a constant part");
        terms.push((
            b.inst(
                Op::Expm(Element {
                    n: size,
                    row: 0,
                    col,
                }),
                &matrix,
            ),
            d,
        ));
    }
    sum(b, &terms)
}
