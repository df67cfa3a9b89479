//! Order of convergence against solutions that are known or computed with far smaller steps.

use rheobase_ir::integrate::{Chosen, integrate};
use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Kernel, Role};
use rheobase_ir::ops::Method;
use rheobase_ir::text::parse;

/// A step as text, with `{h}` for its length and `{method}` for its integrator.
struct System {
    text: &'static str,
    start: &'static [f64],
}

/// One linear equation with a decay.
const DECAY: System = System {
    text: "kernel decay {
        v0 = in real state x
        v1 = const -0.7
        v2 = mul v1, v0
        v3 = const {h}
        v4 = integrate.{method} v0, v2, v3
        out state x = v4
    }",
    start: &[1.5],
};

/// The logistic equation x' = x(1 − x).
const LOGISTIC: System = System {
    text: "kernel logistic {
        v0 = in real state x
        v1 = const 1.0
        v2 = sub v1, v0
        v3 = mul v0, v2
        v4 = const {h}
        v5 = integrate.{method} v0, v3, v4
        out state x = v5
    }",
    start: &[0.1],
};

/// Lotka and Volterra's two populations: every equation reads both states.
const PREY: System = System {
    text: "kernel prey {
        v0 = in real state x
        v1 = in real state y
        v2 = const 1.0
        v3 = sub v2, v1
        v4 = mul v0, v3
        v5 = sub v0, v2
        v6 = mul v1, v5
        v7 = const {h}
        v8 = integrate.{method} v0, v4, v7
        v9 = integrate.{method} v1, v6, v7
        out state x = v8
        out state y = v9
    }",
    start: &[1.4, 0.6],
};

/// A chain of three leaky states, the last with a constant drive, two of them with equal time constants.
const CHAIN: System = System {
    text: "kernel chain {
        v0 = in real state r
        v1 = in real state i
        v2 = in real state v
        v3 = const 5.0
        v4 = neg v0
        v5 = div v4, v3
        v6 = sub v0, v1
        v7 = div v6, v3
        v8 = const 0.3
        v9 = add v1, v8
        v10 = sub v9, v2
        v11 = const 12.0
        v12 = div v10, v11
        v13 = const {h}
        v14 = integrate.{method} v0, v5, v13
        v15 = integrate.{method} v1, v7, v13
        v16 = integrate.{method} v2, v12, v13
        out state r = v14
        out state i = v15
        out state v = v16
    }",
    start: &[2.0, -0.5, 0.25],
};

impl System {
    fn kernel(&self, method: &str, h: f64) -> (Kernel, Vec<Chosen>) {
        let text = self
            .text
            .replace("{h}", &format!("{h:?}"))
            .replace("{method}", method);
        let mut kernel = parse(&text).expect("kernel text");
        let chosen = integrate(&mut kernel);
        (kernel, chosen)
    }

    /// The states after time 2 in `steps` steps.
    fn solve(&self, method: &str, steps: u32) -> Vec<f64> {
        let (kernel, _) = self.kernel(method, 2.0 / f64::from(steps));
        let mut x = self.start.to_vec();
        for _ in 0..steps {
            x = step(&kernel, &x);
        }
        x
    }

    /// The solution, by many steps of the method of highest order.
    fn reference(&self) -> Vec<f64> {
        self.solve("rk4(4)", 2000)
    }

    /// The order seen between 16 and 32 steps.
    fn order(&self, method: &str) -> f64 {
        let reference = self.reference();
        let error = |steps| distance(&self.solve(method, steps), &reference);
        (error(16) / error(32)).log2()
    }

    fn error(&self, method: &str, steps: u32) -> f64 {
        distance(&self.solve(method, steps), &self.reference())
    }
}

/// One step, with the inputs in the order of the kernel.
fn step(kernel: &Kernel, inputs: &[f64]) -> Vec<f64> {
    let values =
        evaluate(kernel, &mut |i| inputs[i], &mut Spiking::Hard).expect("integrators have run");
    let states = kernel.outputs.iter().filter(|o| o.slot.role == Role::State);
    states.map(|o| values[o.value.index()]).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

fn assert_order(system: &System, method: &str, expected: f64) {
    let order = system.order(method);
    assert!(
        (order - expected).abs() < 0.15,
        "{method} on {}: order {order}, expected {expected}",
        system.text
    );
}

#[test]
fn order_of_euler() {
    for system in [&DECAY, &LOGISTIC, &PREY, &CHAIN] {
        assert_order(system, "euler", 1.0);
        assert_order(system, "euler(5)", 1.0);
    }
}

#[test]
fn order_of_heun() {
    for system in [&DECAY, &LOGISTIC, &PREY, &CHAIN] {
        assert_order(system, "heun", 2.0);
    }
}

#[test]
fn order_of_rk4() {
    for system in [&DECAY, &LOGISTIC, &PREY, &CHAIN] {
        assert_order(system, "rk4", 4.0);
    }
    assert_order(&PREY, "rk4(2)", 4.0);
}

/// Rosenbrock–Euler is of order two for one autonomous equation; where a state is held for the others, of
/// order one.
#[test]
fn order_of_exponential_euler() {
    assert_order(&LOGISTIC, "exp_euler", 2.0);
    assert_order(&PREY, "exp_euler", 1.0);
    assert_order(&CHAIN, "exp_euler", 1.0);
}

/// Substeps are the same as shorter steps.
#[test]
fn substeps_are_shorter_steps() {
    for (long, short) in [("euler(4)", "euler"), ("rk4(4)", "rk4")] {
        let difference = distance(&PREY.solve(long, 10), &PREY.solve(short, 40));
        assert!(difference < 1e-13, "{long}: {difference}");
    }
}

#[test]
fn exact_is_exact_for_any_step() {
    for system in [&DECAY, &CHAIN] {
        for steps in [1, 3, 16] {
            let error = system.error("exact", steps);
            assert!(error < 1e-12, "{steps} steps: {error:e}");
        }
    }
    // exp_euler is exact for one linear equation.
    assert!(DECAY.error("exp_euler", 1) < 1e-12);
}

#[test]
fn auto_takes_exact_where_it_applies() {
    let (_, chosen) = CHAIN.kernel("auto", 0.5);
    assert!(chosen.iter().all(|c| c.taken == Method::Exact));
    let (_, chosen) = PREY.kernel("auto", 0.5);
    assert!(chosen.iter().all(|c| c.taken == Method::ExpEuler));
}

/// A LIF with an exponential synapse, against the closed solution
/// `v(t) = v₀e^{−t/τm} + i₀·τs/(τs − τm)·(e^{−t/τs} − e^{−t/τm})`, and its limit `i₀·(t/τ)·e^{−t/τ}`.
#[test]
fn lif_for_any_time_constants() {
    let text = "kernel lif {
        v0 = in real state i
        v1 = in real state v
        v2 = in real uniform param tau_mem
        v3 = in real uniform param tau_syn
        v4 = neg v0
        v5 = div v4, v3
        v6 = sub v0, v1
        v7 = div v6, v2
        v8 = const 0.75
        v9 = integrate.auto v0, v5, v8
        v10 = integrate.auto v1, v7, v8
        out state i = v9
        out state v = v10
    }";
    let mut kernel = parse(text).expect("kernel text");
    integrate(&mut kernel);
    for (tau_mem, tau_syn) in [
        (20.0f64, 5.0f64),
        (5.0, 20.0),
        (10.0, 10.0),
        (10.0, 10.0 + 1e-9),
        (10.0 + 1e-6, 10.0),
        (0.01, 30.0),
        (30.0, 0.01),
    ] {
        let (i0, v0, h) = (1.25, -0.4, 0.75f64);
        let got = step(&kernel, &[i0, v0, tau_mem, tau_syn]);
        let (em, es) = ((-h / tau_mem).exp(), (-h / tau_syn).exp());
        // (e^{−h/τs} − e^{−h/τm})/(1/τm − 1/τs), by expm1 so that nearly equal time constants do not cancel.
        let gap = 1.0 / tau_mem - 1.0 / tau_syn;
        let gain = match gap {
            0.0 => h * em / tau_mem,
            gap => em * (gap * h).exp_m1() / gap / tau_mem,
        };
        let expected = [i0 * es, v0 * em + i0 * gain];
        assert!(
            distance(&got, &expected) < 1e-14,
            "{tau_mem}, {tau_syn}: {got:?}, expected {expected:?}"
        );
    }
}

/// Each block of a mixed system holds the others at the beginning of the step, so it does what it would do
/// alone with them as parameters.
#[test]
fn mixed_methods_hold_each_other() {
    let mixed = "kernel mixed {
        v0 = in real state x
        v1 = in real state y
        v2 = mul v0, v1
        v3 = neg v2
        v4 = sub v0, v1
        v5 = const 0.25
        v6 = integrate.rk4 v0, v3, v5
        v7 = integrate.euler v1, v4, v5
        out state x = v6
        out state y = v7
    }";
    let mut kernel = parse(mixed).expect("kernel text");
    let chosen = integrate(&mut kernel);
    assert_eq!(
        [chosen[0].taken, chosen[1].taken],
        [Method::Rk4(1), Method::Euler(1)]
    );
    let (x, y, h) = (1.5f64, 0.5f64, 0.25f64);
    // With y held, x' = −y·x, whose Runge–Kutta step is the Taylor polynomial of the exponential.
    let z: f64 = -y * h;
    let growth = 1.0 + z + z * z / 2.0 + z.powi(3) / 6.0 + z.powi(4) / 24.0;
    let expected = [x * growth, y + h * (x - y)];
    assert!(distance(&step(&kernel, &[x, y]), &expected) < 1e-15);
}

/// A linear state that reads one which is not exact is itself not advanced exactly by `auto`, through any
/// number of links; one that reads none stays exact.
#[test]
fn auto_is_demoted_by_what_it_reads() {
    let text = "kernel k {
        v0 = in real state a
        v1 = in real state b
        v2 = in real state c
        v3 = in real state d
        v4 = mul v0, v0
        v5 = neg v4
        v6 = sub v0, v1
        v7 = sub v1, v2
        v8 = neg v3
        v9 = const 0.5
        v10 = integrate.auto v0, v5, v9
        v11 = integrate.auto v1, v6, v9
        v12 = integrate.auto v2, v7, v9
        v13 = integrate.auto v3, v8, v9
        out state a = v10
        out state b = v11
        out state c = v12
        out state d = v13
    }";
    let chosen = integrate(&mut parse(text).expect("kernel text"));
    let taken: Vec<Method> = chosen.iter().map(|c| c.taken).collect();
    use Method::{Exact, ExpEuler};
    assert_eq!(taken, [ExpEuler, ExpEuler, ExpEuler, Exact]);
}

/// A decay of zero, and a drive into a state without decay, are ordinary.
#[test]
fn no_decay() {
    let text = "kernel k {
        v0 = in real state x
        v1 = in real port f
        v2 = in real uniform param rate
        v3 = mul v2, v0
        v4 = add v3, v1
        v5 = const 0.5
        v6 = integrate.{method} v0, v4, v5
        out state x = v6
    }";
    for method in ["exact", "exp_euler"] {
        let mut kernel = parse(&text.replace("{method}", method)).expect("kernel text");
        integrate(&mut kernel);
        assert_eq!(step(&kernel, &[2.0, 3.0, 0.0]), [3.5], "{method}");
    }
}

/// States in a row, each of which reads the one before; the first reads the last if it is a ring.
fn row(n: usize, ring: bool) -> Kernel {
    let mut text = String::from("kernel row {\n");
    let line = |text: &mut String, code: String| {
        let next = text.lines().count() - 1;
        text.push_str(&format!("v{next} = {code}\n"));
        next
    };
    let states: Vec<usize> = (0..n)
        .map(|i| line(&mut text, format!("in real state x{i}")))
        .collect();
    let h = line(&mut text, "const 0.5".into());
    for (i, x) in states.iter().enumerate() {
        let before = match i {
            0 if ring => states[n - 1],
            _ => states[i.saturating_sub(1)],
        };
        let f = line(&mut text, format!("sub v{before}, v{x}"));
        line(&mut text, format!("integrate.auto v{x}, v{f}, v{h}"));
    }
    parse(&(text + "}\n")).expect("kernel text")
}

/// A matrix exponential of dozens of states would not fit its op, and nobody wants it: no panic. States that read few
/// others are exact, however many there are.
#[test]
fn large_blocks_are_not_exact() {
    let exact = |chosen: &[Chosen]| chosen.iter().filter(|c| c.taken == Method::Exact).count();
    assert_eq!(exact(&integrate(&mut row(31, true))), 31);
    let chosen = integrate(&mut row(32, true));
    assert_eq!(exact(&chosen), 0);
    assert!(chosen.iter().all(|c| c.taken == Method::ExpEuler));
    assert!(chosen[0].reason.contains("too many"));
    let chosen = integrate(&mut row(80, false));
    assert_eq!(exact(&chosen), 31);
    assert!(chosen[..31].iter().all(|c| c.taken == Method::Exact));
}
