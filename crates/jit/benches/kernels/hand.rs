//! The same kernels written in Rust, by hand, and vectorised by rustc for AVX2 with FMA: `LIF` of `std/`, forward and
//! backward. Before anything is timed both must give the same numbers.

use rheobase_jit::Lane;

use crate::rows::{LANES, Rows, best};
use crate::std_neurons::stages;

/// Prints the table.
#[cfg(target_arch = "x86_64")]
pub(crate) fn report(_: f64) {
    let Some(simd) = pulp::x86::V3::try_new() else {
        println!("no AVX2 here: nothing to compare with");
        return;
    };
    let found = stages("std/neurons.snn");
    let lif = found.into_iter().find(|(name, _)| name == "LIF");
    let (_, lif) = lif.expect("std has a LIF");
    println!(
        "{:28} {:>12} {:>12} {:>8}   ns per neuron and step",
        "kernel", "compiled", "rustc, AVX2", "ratio"
    );
    let mut compiled = Rows::<f32>::new(&lif.forward);
    let mut hand = Forward::of(&compiled);
    compiled.call();
    simd.vectorize(|| hand.step());
    for (slot, row) in [
        ("state i", &hand.i),
        ("state v", &hand.v),
        ("saved u", &hand.u),
    ] {
        assert_same(slot, compiled.real(slot), row);
    }
    let by_hand = best(300, 20, || simd.vectorize(|| hand.step()));
    line("LIF.forward", compiled.time(), by_hand);

    let mut compiled = Rows::<f32>::new(&lif.backward);
    let mut hand = Backward::of(&compiled);
    compiled.call();
    simd.vectorize(|| hand.step());
    let rows = [
        ("adjoint state i", &hand.i),
        ("adjoint state v", &hand.v),
        ("adjoint port x", &hand.x),
    ];
    for (slot, row) in rows {
        assert_same(slot, compiled.real(slot), row);
    }
    let by_hand = best(300, 20, || simd.vectorize(|| hand.step()));
    line("LIF.backward", compiled.time(), by_hand);
}

/// Prints that there is no table.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn report(_: f64) {
    println!("no AVX2 here: nothing to compare with");
}

fn line(kernel: &str, compiled: f64, by_hand: f64) {
    let by_hand = by_hand * 1e9 / LANES as f64;
    let ratio = compiled / by_hand;
    println!("{kernel:28} {compiled:>12.3} {by_hand:>12.3} {ratio:>8.2}");
}

fn assert_same(slot: &str, compiled: &[f32], by_hand: &[f32]) {
    for (a, b) in compiled.iter().zip(by_hand) {
        assert!(
            (a - b).abs() <= 1e-6 * a.abs().max(1.0),
            "{slot}: {a} and {b}"
        );
    }
}

fn row<R: Lane>(rows: &Rows<R>, slot: &str) -> Vec<R> {
    rows.real(slot).to_vec()
}

/// A step of `LIF` that saves the margin.
struct Forward {
    /// The factors of i, of i in v, of v, and the threshold.
    c: [f32; 4],
    x: Vec<f32>,
    i: Vec<f32>,
    v: Vec<f32>,
    u: Vec<f32>,
    s: Vec<u8>,
}

impl Forward {
    fn of(rows: &Rows<f32>) -> Forward {
        let slots = ["derived c0", "derived c1", "derived c2", "param v_th"];
        Forward {
            c: slots.map(|slot| rows.real(slot)[0]),
            x: row(rows, "port x"),
            i: row(rows, "state i"),
            v: row(rows, "state v"),
            u: vec![0.0; LANES],
            s: vec![0; LANES],
        }
    }

    #[inline(always)]
    fn step(&mut self) {
        let [c0, c1, c2, v_th] = self.c;
        let states = self.i.iter_mut().zip(&mut self.v);
        let outputs = self.u.iter_mut().zip(&mut self.s);
        for ((x, (i, v)), (u, s)) in self.x.iter().zip(states).zip(outputs) {
            let sum = *i + x;
            let next = c1.mul_add(sum, c2 * *v);
            let margin = next - v_th;
            let spike = 0.0 <= margin;
            *i = c0 * sum;
            *v = if spike { 0.0 } else { next };
            *u = margin;
            *s = u8::from(spike);
        }
    }
}

/// The backward of that step with the surrogate `superspike`.
struct Backward {
    c: [f32; 3],
    u: Vec<f32>,
    i: Vec<f32>,
    v: Vec<f32>,
    s: Vec<f32>,
    x: Vec<f32>,
}

impl Backward {
    fn of(rows: &Rows<f32>) -> Backward {
        Backward {
            c: ["derived c0", "derived c1", "derived c2"].map(|slot| rows.real(slot)[0]),
            u: row(rows, "saved u"),
            i: row(rows, "adjoint state i"),
            v: row(rows, "adjoint state v"),
            s: row(rows, "adjoint spike spike"),
            x: vec![0.0; LANES],
        }
    }

    #[inline(always)]
    fn step(&mut self) {
        let [c0, c1, c2] = self.c;
        let states = self.i.iter_mut().zip(&mut self.v);
        let read = self.u.iter().zip(&self.s);
        for ((x, (i, v)), (u, s)) in self.x.iter_mut().zip(states).zip(read) {
            let base = 10f32.mul_add(u.abs(), 1.0);
            let kept = if 0.0 <= *u { 0.0 } else { *v };
            let dv = s.mul_add(1.0 / (base * base), kept);
            let dx = i.mul_add(c0, dv * c1);
            (*x, *i, *v) = (dx, dx, dv * c2);
        }
    }
}
