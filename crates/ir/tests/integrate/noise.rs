//! White noise in equations: moments of one step against closed forms, stationary processes, independence, and the
//! orders of convergence that theory says.
//!
//! Everything is drawn from fixed keys, so these tests give the same numbers at every run. Bounds on statistics are five
//! standard errors.

use rheobase_ir::draws::{lane_key, normal, real, sample_key};
use rheobase_ir::integrate::integrate;
use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Def, Input, Kernel, Node, Role, Slot};
use rheobase_ir::ops::Op;
use rheobase_ir::passes::clean;
use rheobase_ir::text::parse;
use rheobase_ir::types::{Rate, Type};
use rheobase_ir::verify::verify;

/// A kernel with the state inputs and parameters of a text, ready to run.
struct System {
    kernel: Kernel,
}

impl System {
    /// `body` follows the key (v0, v1, v2); `{h}` and `{method}` are replaced.
    fn new(body: &str, method: &str, h: f64) -> System {
        let key = "v0 = in real key a\nv1 = in real key b\nv2 = in real uniform key step\n";
        let text = format!("kernel k {{\n{key}{body}\n}}");
        let text = text
            .replace("{h}", &format!("{h:?}"))
            .replace("{method}", method);
        let mut kernel = parse(&text).expect("kernel text");
        integrate(&mut kernel);
        verify(&kernel).expect("a valid kernel");
        System { kernel }
    }

    /// The states after a step of a lane.
    fn step(&self, lane: usize, t: usize, states: &[f64]) -> Vec<f64> {
        let [a, b] = lane_key(sample_key(11, 0, lane as u64 / 1000), 0, lane % 1000);
        let mut left = states.iter();
        let inputs = self
            .kernel
            .inputs()
            .map(|(_, input)| match input.slot.role {
                Role::Key => match input.slot.name.as_str() {
                    "a" => a,
                    "b" => b,
                    _ => real(t as u32),
                },
                Role::Param
                | Role::Derived
                | Role::Init
                | Role::Port
                | Role::State
                | Role::Spike
                | Role::Saved => *left.next().expect("a state for each other input"),
            });
        let inputs: Vec<f64> = inputs.collect();
        let values = evaluate(&self.kernel, &mut |i| inputs[i], &mut Spiking::Hard);
        let values = values.expect("integrators have run");
        let outputs = self.kernel.outputs.iter();
        outputs.map(|o| values[o.value.index()]).collect()
    }

    /// The states of lanes after one step from the same states.
    fn ensemble(&self, lanes: usize, states: &[f64]) -> Vec<Vec<f64>> {
        (0..lanes).map(|lane| self.step(lane, 0, states)).collect()
    }
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

/// Covariances of the columns of rows, about zero.
fn covariance(rows: &[Vec<f64>], i: usize, j: usize, centre: &[f64]) -> f64 {
    mean(rows.iter().map(|r| (r[i] - centre[i]) * (r[j] - centre[j])))
}

/// x' = a·x + g·ξ with a and g in the text.
const OU: &str = "v3 = in real state x
v4 = const {a}
v5 = const 0.6
v6 = const {h}
v7 = white.0 v0, v1, v2, v6
v8 = mul v4, v3
v9 = mul v5, v7
v10 = add v8, v9
v11 = integrate.{method} v3, v10, v6
out state x = v11";

#[test]
fn increments_of_one_step_have_the_exact_moments() {
    let (lanes, x0, g) = (40_000, 0.8, 0.6f64);
    for a in [-0.7f64, -1e-9, 0.0, 0.3, -40.0] {
        for h in [0.1f64, 2.0] {
            for method in ["exact", "exp_euler", "auto"] {
                let system = System::new(&OU.replace("{a}", &format!("{a:?}")), method, h);
                let rows = system.ensemble(lanes, &[x0]);
                let centre = x0 * (a * h).exp();
                let variance = match a {
                    0.0 => g * g * h,
                    a => g * g * (2.0 * a * h).exp_m1() / (2.0 * a),
                };
                let found = mean(rows.iter().map(|r| r[0]));
                let error = 5.0 * (variance / lanes as f64).sqrt();
                assert!(
                    (found - centre).abs() < error,
                    "{method} {a} {h}: mean {found}, {centre}"
                );
                let found = covariance(&rows, 0, 0, &[centre]);
                let error = 5.0 * variance * (2.0 / lanes as f64).sqrt();
                assert!(
                    (found - variance).abs() < error,
                    "{method} {a} {h}: {found}, {variance}"
                );
            }
        }
    }
}

/// A process that starts from its stationary distribution stays in it, and forgets at its rate: steps as long as its
/// time constant do not matter.
#[test]
fn a_stationary_process_stays_stationary() {
    let (a, g, h, lanes) = (-0.25f64, 0.6f64, 2.0, 20_000);
    let system = System::new(&OU.replace("{a}", "-0.25"), "auto", h);
    let variance = g * g / (-2.0 * a);
    let start: Vec<f64> = (0..lanes)
        .map(|lane| {
            let key = lane_key(sample_key(99, 0, 0), 1, lane);
            variance.sqrt() * normal(0, key, 0.5)
        })
        .collect();
    let mut x = start;
    let mut history = vec![x.clone()];
    for t in 0..8 {
        x = x
            .iter()
            .enumerate()
            .map(|(lane, &x)| system.step(lane, t, &[x])[0])
            .collect();
        history.push(x.clone());
    }
    let error = 5.0 * variance * (2.0 / lanes as f64).sqrt();
    for (t, x) in history.iter().enumerate() {
        let found = mean(x.iter().map(|x| x * x));
        assert!(
            (found - variance).abs() < error,
            "step {t}: {found}, expected {variance}"
        );
        let expected = variance * (a * h * t as f64).exp();
        let found = mean(x.iter().zip(&history[0]).map(|(a, b)| a * b));
        assert!(
            (found - expected).abs() < error,
            "lag {t}: {found}, expected {expected}"
        );
    }
    // Neighbouring neurons have nothing in common.
    let found = mean(x.iter().zip(x.iter().skip(1)).map(|(a, b)| a * b));
    assert!(found.abs() < error, "neighbours: {found}");
}

/// A noisy current into a membrane, i' = −i/τ + g·ξ, v' = (i − v)/θ: the covariance of both increments,
/// g²∫ p(s)² ds with p = (e^{−s/τ}, (e^{−s/τ} − e^{−s/θ})·τ/(τ − θ)), by Simpson's rule.
#[test]
fn increments_that_share_a_noise_have_their_joint_covariance() {
    let (tau, theta, g) = (4.0f64, 9.0f64, 0.5f64);
    let body = "v3 = in real state i
v4 = in real state v
v5 = const 4.0
v6 = const 9.0
v7 = const 0.5
v8 = const {h}
v9 = white.0 v0, v1, v2, v8
v10 = mul v7, v9
v11 = div v3, v5
v12 = sub v10, v11
v13 = integrate.auto v3, v12, v8
v14 = sub v3, v4
v15 = div v14, v6
v16 = integrate.auto v4, v15, v8
out state i = v13
out state v = v16";
    for h in [0.25f64, 6.0] {
        let response = |s: f64| {
            let (fast, slow) = ((-s / tau).exp(), (-s / theta).exp());
            [fast, (fast - slow) * tau / (tau - theta)]
        };
        let integral = |i: usize, j: usize| {
            let n = 200;
            let weight = |k: usize| match k {
                0 => 1.0,
                k if k == n => 1.0,
                k => 2.0 + 2.0 * (k % 2) as f64,
            };
            let at = |k: usize| {
                let p = response(h * k as f64 / n as f64);
                weight(k) * p[i] * p[j]
            };
            g * g * (0..=n).map(at).sum::<f64>() * h / n as f64 / 3.0
        };
        let lanes = 40_000;
        let rows = System::new(body, "auto", h).ensemble(lanes, &[0.0, 0.0]);
        for (i, j) in [(0, 0), (0, 1), (1, 1)] {
            let expected = integral(i, j);
            let scale = (integral(i, i) * integral(j, j)).sqrt();
            let found = covariance(&rows, i, j, &[0.0, 0.0]);
            let error = 5.0 * scale * (2.0 / lanes as f64).sqrt();
            assert!(
                (found - expected).abs() < error,
                "h {h}: ({i}, {j}) {found}, {expected}"
            );
        }
    }
}

/// Paths by shorter and shorter steps of Euler and Maruyama along the same Wiener process, against the solution. With a
/// gain that is constant the strong order is 1, with a gain that depends on the state 1/2 (Kloeden & Platen 1992).
#[test]
fn strong_order_of_euler_and_maruyama() {
    // Both processes have solutions in terms of the increments of W.
    let orders = [("multiplied", 0.5), ("added", 1.0)];
    for (kind, expected) in orders {
        let error = |parts: usize| strong_error(kind, parts);
        let order = (error(16) / error(256)).log2() / 4.0;
        assert!((order - expected).abs() < 0.12, "{kind}: order {order}");
    }
}

/// The mean distance from the solution at time 1 of dx = −x dt/2 + dW, or of dx = x dW/2.
fn strong_error(kind: &str, parts: usize) -> f64 {
    const FINE: usize = 1024;
    let text = match kind {
        "added" => {
            "v3 = in real state x
v4 = const {h}
v5 = white.0 v0, v1, v2, v4
v6 = const -0.5
v7 = mul v6, v3
v8 = add v7, v5
v9 = integrate.euler v3, v8, v4
out state x = v9"
        }
        _ => {
            "v3 = in real state x
v4 = const {h}
v5 = white.0 v0, v1, v2, v4
v6 = const 0.5
v7 = mul v6, v3
v8 = mul v7, v5
v9 = integrate.euler v3, v8, v4
out state x = v9"
        }
    };
    let h = 1.0 / parts as f64;
    let mut kernel = parse(&format!(
        "kernel k {{\nv0 = in real key a\nv1 = in real key b\nv2 = in real uniform key step\n{}\n}}",
        text.replace("{h}", &format!("{h:?}"))
    ))
    .expect("kernel text");
    integrate(&mut kernel);
    clean(&mut kernel);
    // Longer steps see the sum of the increments of the fine path: the normal number is replaced by it.
    let mut replaced = kernel.clone();
    let is_draw = |node: &Node| matches!(&node.def, Def::Inst(Op::Normal(_), _));
    assert_eq!(kernel.nodes.iter().filter(|n| is_draw(n)).count(), 1);
    for node in &mut replaced.nodes {
        if is_draw(node) {
            node.def = Def::Input(Input {
                slot: Slot::new(Role::Port, "z"),
                ty: Type::Real,
                rate: Rate::Lane,
            });
        }
    }
    let lanes = 400;
    let total: f64 = (0..lanes)
        .map(|lane| {
            let key = lane_key(sample_key(3, 0, 0), 0, lane);
            let dw: Vec<f64> = (0..FINE)
                .map(|t| normal(0, key, real(t as u32)) / (FINE as f64).sqrt())
                .collect();
            let mut x = 1.0;
            for part in dw.chunks(FINE / parts) {
                let z = part.iter().sum::<f64>() / h.sqrt();
                let inputs = replaced.inputs().map(|(_, input)| match input.slot.role {
                    Role::State => x,
                    Role::Port => z,
                    Role::Param
                    | Role::Derived
                    | Role::Init
                    | Role::Spike
                    | Role::Saved
                    | Role::Key => 0.0,
                });
                let inputs: Vec<f64> = inputs.collect();
                let values = evaluate(&replaced, &mut |i| inputs[i], &mut Spiking::Hard);
                x = values.expect("no integrate")[replaced.outputs[0].value.index()];
            }
            let solution = if kind == "added" {
                // e^{−1/2} + ∫ e^{−(1−s)/2} dW, with the middle of each fine increment.
                let at = |t: usize| (-(1.0 - (t as f64 + 0.5) / FINE as f64) / 2.0).exp();
                (-0.5f64).exp() + dw.iter().enumerate().map(|(t, dw)| at(t) * dw).sum::<f64>()
            } else {
                (dw.iter().sum::<f64>() / 2.0 - 1.0 / 8.0).exp()
            };
            (x - solution).abs()
        })
        .sum();
    total / lanes as f64
}

/// The variance after time 1 by Euler and Maruyama comes closer to that of the process with order 1.
#[test]
fn weak_order_of_euler_and_maruyama() {
    // The variance of the scheme follows from the variance of one step: v ← (1 + a·h)²·v + g²·h.
    let (a, lanes) = (-1.5f64, 20_000);
    let body = OU.replace("{a}", "-1.5");
    let variance = |parts: usize| {
        let h = 1.0 / parts as f64;
        let rows = System::new(&body, "euler", h).ensemble(lanes, &[0.0]);
        let one = covariance(&rows, 0, 0, &[0.0]);
        (0..parts).fold(0.0, |v, _| (1.0 + a * h).powi(2) * v + one)
    };
    let exact = 0.36 * (2.0 * a).exp_m1() / (2.0 * a);
    // The same draws at every h, so that their error is a common factor.
    let scale = variance(4096) / exact;
    assert!((scale - 1.0).abs() < 5.0 * (2.0 / lanes as f64).sqrt() + 1e-3);
    let error = |parts: usize| (variance(parts) / scale - exact).abs();
    let order = (error(8) / error(32)).log2() / 2.0;
    assert!((order - 1.0).abs() < 0.15, "order {order}");
}

/// Substeps have fresh noise: one step of four parts has the variance of four steps.
#[test]
fn substeps_draw_anew() {
    let (a, h, lanes) = (-0.7f64, 1.0f64, 40_000);
    let rows = System::new(&OU.replace("{a}", "-0.7"), "euler(4)", h).ensemble(lanes, &[0.0]);
    let expected = (0..4).fold(0.0, |v, _| (1.0 + a * h / 4.0).powi(2) * v + 0.36 * h / 4.0);
    let found = covariance(&rows, 0, 0, &[0.0]);
    let error = 5.0 * expected * (2.0 / lanes as f64).sqrt();
    assert!(
        (found - expected).abs() < error,
        "{found}, expected {expected}"
    );
}
