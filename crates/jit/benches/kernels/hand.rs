//! The same kernels written in Rust, by hand, and vectorised by rustc for AVX2 with FMA: `LIF` of `std/`, forward and
//! backward. Before anything is timed both must give the same numbers. The backward is also written by hand for registers
//! of 128 bits, which are the widest that Cranelift has: what compiled code could reach at best.

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
        "{:22} {:>9} {:>12} {:>12} {:>8}   ns per neuron and step",
        "kernel", "neurons", "first", "rustc, AVX2", "ratio"
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
    simd.vectorize(&mut hand);
    for (slot, row) in [
        ("state i", &hand.i),
        ("state v", &hand.v),
        ("saved u", &hand.u),
    ] {
        assert_same(slot, compiled.real(slot), row.values());
    }
    let mut back = backward(lif, &compiled).rows;
    let times = alternate(lanes, compiled.calls(), || simd.vectorize(&mut hand));
    line("LIF.forward", lanes, times);
    drop((compiled, hand));

    let mut hand = Backward::of(&back);
    back.call();
    simd.vectorize(&mut hand);
    let rows = [
        ("adjoint state i", &hand.i),
        ("adjoint state v", &hand.v),
        ("adjoint port x", &hand.x),
    ];
    for (slot, row) in rows {
        assert_same(slot, back.real(slot), row.values());
    }
    let times = alternate(lanes, back.calls(), || simd.vectorize(&mut hand));
    line("LIF.backward", lanes, times);
    drop(back);
    let mut narrow = Narrow(simd, hand.copy());
    let times = alternate(
        lanes,
        || simd.vectorize(&mut narrow),
        || simd.vectorize(&mut hand),
    );
    line("LIF.backward, 128 bits", lanes, times);
    for (wide, row) in [(&hand.i, &narrow.1.i), (&hand.v, &narrow.1.v)] {
        assert_same("after as many steps", wide.values(), row.values());
    }
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
    println!("{kernel:22} {lanes:>9} {compiled:>12.3} {by_hand:>12.3} {ratio:>8.2}");
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

/// Not a closure: those are inlined where AVX2 is switched on only if the compiler finds them small enough.
impl pulp::NullaryFnOnce for &mut Forward {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.step();
    }
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

/// Not a closure: those are inlined where AVX2 is switched on only if the compiler finds them small enough.
impl pulp::NullaryFnOnce for &mut Backward {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.step();
    }
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

    fn copy(&self) -> Backward {
        let copy = |row: &Row<f32>, number| Row::new(number, row.values());
        Backward {
            c: self.c,
            u: copy(&self.u, 0),
            i: copy(&self.i, 1),
            v: copy(&self.v, 2),
            s: copy(&self.s, 3),
            x: copy(&self.x, 4),
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

/// The backward with four lanes to a register.
#[cfg(target_arch = "x86_64")]
struct Narrow(pulp::x86::V3, Backward);

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for &mut Narrow {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.step();
    }
}

#[cfg(target_arch = "x86_64")]
impl Narrow {
    #[inline(always)]
    fn step(&mut self) {
        use pulp::bytemuck::cast;
        let Narrow(simd, rows) = self;
        let (sse, fma) = (simd.sse, simd.fma);
        let all = |x: f32| sse._mm_set1_ps(x);
        let [c0, c1, c2] = rows.c.map(all);
        let (ten, one, zero) = (all(10.0), all(1.0), all(0.0));
        let size = all(f32::from_bits(0x7fff_ffff));
        let (u, s) = (four(rows.u.values()), four(rows.s.values()));
        let i = four_mut(rows.i.values_mut());
        let v = four_mut(rows.v.values_mut());
        let x = four_mut(rows.x.values_mut());
        for ((((u, s), i), v), x) in u.iter().zip(s).zip(i).zip(v).zip(x) {
            let u = cast(*u);
            let base = fma._mm_fmadd_ps(sse._mm_and_ps(u, size), ten, one);
            let slope = sse._mm_div_ps(one, sse._mm_mul_ps(base, base));
            let kept = sse._mm_andnot_ps(sse._mm_cmple_ps(zero, u), cast(*v));
            let dv = fma._mm_fmadd_ps(cast(*s), slope, kept);
            let dx = fma._mm_fmadd_ps(cast(*i), c0, sse._mm_mul_ps(dv, c1));
            *x = cast(dx);
            *i = cast(dx);
            *v = cast(sse._mm_mul_ps(dv, c2));
        }
    }
}

fn four(row: &[f32]) -> &[[f32; 4]] {
    pulp::as_arrays(row).0
}

fn four_mut(row: &mut [f32]) -> &mut [[f32; 4]] {
    pulp::as_arrays_mut(row).0
}
