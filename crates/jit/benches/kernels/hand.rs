//! The same kernels written in Rust, by hand, and vectorised by rustc for AVX2 with FMA: `LIF` of `std/`, forward and
//! backward. Before anything is timed both must give the same numbers.

use rheobase_jit::Lane;

use crate::rows::{LANES, Row, Rows, best, repeated};
use crate::std_neurons::{Made, backward, neurons};

/// Lanes of rows that do not fit into any cache: 24 MB and more each.
const LARGE: usize = 6 << 20;

/// Prints the table.
#[cfg(target_arch = "x86_64")]
pub(crate) fn report(_: f64, _: &[&str]) {
    let Some(simd) = pulp::x86::V3::try_new() else {
        println!("no AVX2 here: nothing to compare with");
        return;
    };
    let found = neurons("std/neurons.snn");
    let lif = found.iter().find(|made| made.neuron.name == "LIF");
    let lif = lif.expect("std has a LIF");
    println!(
        "{:16} {:>9} {:>12} {:>12} {:>8}   ns per neuron and step",
        "kernel", "neurons", "compiled", "rustc, AVX2", "ratio"
    );
    for lanes in [LANES, 8 * LANES, LARGE] {
        compare(lif, lanes, simd);
    }
}

/// Prints the lines of so many neurons.
#[cfg(target_arch = "x86_64")]
fn compare(lif: &Made, lanes: usize, simd: pulp::x86::V3) {
    let mut compiled = lif.rows(&lif.stages.forward, lanes, 0.5);
    // States that differ, spikes in between.
    (0..50).for_each(|_| compiled.call());
    let mut hand = Forward::of(&compiled);
    compiled.call();
    simd.vectorize(|| hand.step());
    for (slot, row) in [
        ("state i", &hand.i),
        ("state v", &hand.v),
        ("saved u", &hand.u),
    ] {
        assert_same(slot, compiled.real(slot), row.values());
    }
    let mut back = backward(lif, &compiled).rows;
    let times = alternate(lanes, || compiled.call(), || simd.vectorize(|| hand.step()));
    line("LIF.forward", lanes, times);
    drop((compiled, hand));

    let mut hand = Backward::of(&back);
    back.call();
    simd.vectorize(|| hand.step());
    let rows = [
        ("adjoint state i", &hand.i),
        ("adjoint state v", &hand.v),
        ("adjoint port x", &hand.x),
    ];
    for (slot, row) in rows {
        assert_same(slot, back.real(slot), row.values());
    }
    let times = alternate(lanes, || back.call(), || simd.vectorize(|| hand.step()));
    line("LIF.backward", lanes, times);
}

/// The shortest times of two calls that take turns, so that both meet the same machine.
fn alternate(lanes: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> [f64; 2] {
    let [repetitions, runs] = repeated(lanes);
    let mut times = [f64::INFINITY; 2];
    for _ in 0..repetitions {
        times[0] = times[0].min(best(1, runs, &mut one));
        times[1] = times[1].min(best(1, runs, &mut other));
    }
    times
}

/// Prints that there is no table.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn report(_: f64, _: &[&str]) {
    println!("no AVX2 here: nothing to compare with");
}

fn line(kernel: &str, lanes: usize, times: [f64; 2]) {
    let [compiled, by_hand] = times.map(|time| time * 1e9 / lanes as f64);
    let ratio = compiled / by_hand;
    println!("{kernel:16} {lanes:>9} {compiled:>12.3} {by_hand:>12.3} {ratio:>8.2}");
}

fn assert_same(slot: &str, compiled: &[f32], by_hand: &[f32]) {
    for (a, b) in compiled.iter().zip(by_hand) {
        assert!(
            (a - b).abs() <= 1e-6 * a.abs().max(1.0),
            "{slot}: {a} and {b}"
        );
    }
}

/// A copy of a row, with a number of its own.
fn row<R: Lane>(rows: &Rows<R>, number: usize, slot: &str) -> Row<R> {
    Row::new(number, rows.real(slot))
}

/// A step of `LIF` that saves the margin.
struct Forward {
    /// The factors of i, of i in v, of v, and the threshold.
    c: [f32; 4],
    x: Row<f32>,
    i: Row<f32>,
    v: Row<f32>,
    u: Row<f32>,
    s: Row<u8>,
}

impl Forward {
    fn of(rows: &Rows<f32>) -> Forward {
        let slots = ["derived c0", "derived c1", "derived c2", "param v_th"];
        Forward {
            c: slots.map(|slot| rows.real(slot)[0]),
            x: row(rows, 0, "port x"),
            i: row(rows, 1, "state i"),
            v: row(rows, 2, "state v"),
            u: row(rows, 3, "saved u"),
            s: Row::new(4, &vec![0; rows.lanes()]),
        }
    }

    #[inline(always)]
    fn step(&mut self) {
        let [c0, c1, c2, v_th] = self.c;
        let v = self.v.values_mut();
        let states = self.i.values_mut().iter_mut().zip(v);
        let outputs = self.u.values_mut().iter_mut().zip(self.s.values_mut());
        for ((x, (i, v)), (u, s)) in self.x.values().iter().zip(states).zip(outputs) {
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
    u: Row<f32>,
    i: Row<f32>,
    v: Row<f32>,
    s: Row<f32>,
    x: Row<f32>,
}

impl Backward {
    fn of(rows: &Rows<f32>) -> Backward {
        Backward {
            c: ["derived c0", "derived c1", "derived c2"].map(|slot| rows.real(slot)[0]),
            u: row(rows, 0, "saved u"),
            i: row(rows, 1, "adjoint state i"),
            v: row(rows, 2, "adjoint state v"),
            s: row(rows, 3, "adjoint spike spike"),
            x: row(rows, 4, "adjoint port x"),
        }
    }

    #[inline(always)]
    fn step(&mut self) {
        let [c0, c1, c2] = self.c;
        let v = self.v.values_mut();
        let states = self.i.values_mut().iter_mut().zip(v);
        let read = self.u.values().iter().zip(self.s.values());
        let written = self.x.values_mut().iter_mut();
        for ((x, (i, v)), (u, s)) in written.zip(states).zip(read) {
            let base = 10f32.mul_add(u.abs(), 1.0);
            let kept = if 0.0 <= *u { 0.0 } else { *v };
            let dv = s.mul_add(1.0 / (base * base), kept);
            let dx = i.mul_add(c0, dv * c1);
            (*x, *i, *v) = (dx, dx, dv * c2);
        }
    }
}
