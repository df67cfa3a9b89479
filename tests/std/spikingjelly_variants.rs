//! The research neurons of `std/spikingjelly.snn`: several levels, two thresholds, numbers instead of spikes, cut gradients,
//! noise.

use ndarray::Array2;

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};
use crate::simulate::Simulation;

fn sigmoid4(u: f64) -> f64 {
    let s = 1.0 / (1.0 + (-4.0 * u).exp());
    4.0 * s * (1.0 - s)
}

/// Rect(1).
fn rect(u: f64) -> f64 {
    f64::from(u.abs() < 0.5)
}

fn hard(p: &Params, h: Dual, s: Dual) -> Dual {
    (c(1.0) - s) * h + s * p["v_reset"]
}

fn decayed_input(p: &Params, v: Dual, rest: Dual, x: Dual) -> Dual {
    v + (x - (v - rest)) / p["tau"]
}

const SOFT: Reference = Reference {
    library: "spikingjelly",
    neuron: "SpikingJellyHalfThresholdIF",
    port: "x",
    other: None,
    params: &[("v_threshold", 1.0)],
    set: &[],
    states: &["v"],
    start: |p| vec![(p["v_threshold"] / c(2.0)).detach()],
    step: |p, s, x| {
        let h = s[0] + x;
        let spike = (h - p["v_threshold"]).at_or_above(sigmoid4);
        s[0] = h - spike * p["v_threshold"];
        Some(spike)
    },
    input: (-0.3, 0.9),
};

#[test]
fn converted_networks() {
    SOFT.check();
    Reference {
        set: &[("v_threshold", 0.7)],
        ..SOFT
    }
    .check();
    Reference {
        neuron: "SpikingJellyActivationAwareIF",
        params: &[("v_threshold", 1.0), ("v_offset", 0.0)],
        set: &[("v_threshold", 0.8), ("v_offset", 0.1)],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let h = s[0] + x;
            let spike = (h + p["v_offset"] - p["v_threshold"]).at_or_above(sigmoid4);
            s[0] = h - spike * p["v_threshold"];
            Some(spike)
        },
        ..SOFT
    }
    .check();
    // It sends no gradient: comparisons make its steps.
    Reference {
        neuron: "SpikingJellySTBIF",
        params: &[("q_threshold", 1.0)],
        set: &[("pos_max", 3.0), ("neg_min", -2.0)],
        states: &["q", "acc_q"],
        start: |_| vec![c(0.5), c(0.0)],
        step: |p, s, x| {
            let q = s[0] + x / p["q_threshold"];
            let up = q.value >= 1.0 && s[1].value < 3.0;
            let down = q.value < 0.0 && s[1].value > -2.0;
            let current = f64::from(up) - f64::from(down);
            s[0] = q - c(current);
            s[1] = s[1] + c(current);
            Some(c(current) * p["q_threshold"])
        },
        input: (-0.9, 1.0),
        ..SOFT
    }
    .check();
}

/// `MultiLevelSpikeCount`: rounded to the even one of two as near, gradient 1 between the bounds.
fn level(x: Dual, most: f64) -> Dual {
    let inside = x.value >= 0.0 && x.value <= most;
    x.through(
        x.value.clamp(0.0, most).round_ties_even(),
        f64::from(inside),
    )
}

#[test]
fn several_levels() {
    let step = Reference {
        neuron: "SpikingJellyILIF",
        params: &[("tau", 4.0 / 3.0), ("v_threshold", 1.0)],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let h = s[0] - s[0] / p["tau"] + x;
            let count = level(h / p["v_threshold"], 4.0);
            s[0] = h - count * p["v_threshold"];
            Some(count)
        },
        input: (-1.0, 2.2),
        ..SOFT
    };
    step.check();
    Reference {
        set: &[("v_threshold", 0.3), ("tau", 2.0), ("max_spike_count", 2.0)],
        step: |p, s, x| {
            let h = s[0] - s[0] / p["tau"] + x;
            let count = level(h / p["v_threshold"], 2.0);
            s[0] = h - count * p["v_threshold"];
            Some(count)
        },
        input: (-0.5, 0.6),
        ..step
    }
    .check();
}

/// Half a threshold goes to the even number: 0.5 to 0, 1.5 to 2, 2.5 to 2.
#[test]
fn ties_are_even() {
    let x = Array2::from_shape_vec((1, 5), vec![0.5, 1.5, 2.5, 3.5, 4.5]).expect("a row");
    let found = Simulation {
        library: "spikingjelly",
        neuron: "SpikingJellyILIF",
        input: vec![("x", x)],
        params: &[],
        step_ms: 1.0,
    }
    .traces();
    let counts: Vec<f64> = found["spikes"].iter().copied().collect();
    assert_eq!(counts, [0.0, 2.0, 2.0, 4.0, 4.0]);
}

#[test]
fn analog_outputs() {
    Reference {
        neuron: "SpikingJellyLIAF",
        params: &[("tau", 2.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
        set: &[("v_reset", -0.1)],
        start: |p| vec![p["v_reset"].detach()],
        step: |p, s, x| {
            let h = decayed_input(p, s[0], p["v_reset"], x);
            let spike = (h - p["v_threshold"]).at_or_above(sigmoid4);
            s[0] = hard(p, h, spike);
            Some(h.relu())
        },
        input: (-1.5, 2.5),
        ..SOFT
    }
    .check();
    Reference {
        neuron: "SpikingJellyFewSpike",
        params: &[
            ("theta_1", 0.5),
            ("theta_2", 0.25),
            ("theta_3", 0.125),
            ("theta_4", 0.0625),
            ("h_1", 0.5),
            ("h_2", 0.25),
            ("h_3", 0.125),
            ("d_1", 0.5),
            ("d_2", 0.25),
            ("d_3", 0.125),
            ("d_4", 0.0625),
        ],
        states: &["y"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let thetas = ["theta_1", "theta_2", "theta_3", "theta_4"];
            let jumps = ["h_1", "h_2", "h_3"];
            let outputs = ["d_1", "d_2", "d_3", "d_4"];
            let (mut v, mut y) = (x, c(0.0));
            for k in 0..4 {
                let z = (v - p[thetas[k]]).at_or_above(sigmoid4);
                y = y + p[outputs[k]] * z;
                if k < 3 {
                    v = v - p[jumps[k]] * z;
                }
            }
            s[0] = y;
            Some(y)
        },
        input: (-0.2, 1.2),
        ..SOFT
    }
    .check();
}

#[test]
fn rotation() {
    Reference {
        neuron: "SpikingJellyRAF",
        params: &[
            ("b", -0.2),
            ("omega", 1.0),
            ("dt", 1.0),
            ("v_threshold", 1.0),
            ("v_reset", 0.0),
        ],
        set: &[("v_threshold", 0.4), ("v_reset", 0.1)],
        states: &["u", "v"],
        start: |p| vec![c(0.0), p["v_reset"].detach()],
        step: |p, s, x| {
            let (alpha, theta) = ((p["b"] * p["dt"]).exp(), p["omega"] * p["dt"]);
            let u = alpha * (s[0] * theta.cos() - s[1] * theta.sin()) + x;
            let h = alpha * (s[0] * theta.sin() + s[1] * theta.cos());
            let spike = (h - p["v_threshold"]).at_or_above(sigmoid4);
            s[0] = u;
            s[1] = hard(p, h, spike);
            Some(spike)
        },
        input: (-1.0, 1.5),
        ..SOFT
    }
    .check();
}

#[test]
fn complementary() {
    Reference {
        neuron: "SpikingJellyComplementaryLIF",
        params: &[("tau", 2.0), ("v_threshold", 1.0)],
        states: &["v", "m"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let h = s[0] - s[0] / p["tau"] + x;
            let spike = (h - p["v_threshold"]).at_or_above(rect);
            s[1] = s[1] * (h / p["tau"]).sigmoid() + spike;
            s[0] = h - spike * (p["v_threshold"] + s[1].sigmoid());
            Some(spike)
        },
        input: (-0.3, 1.9),
        ..SOFT
    }
    .check();
}

/// P and N.
fn two_thresholds(p: &Params, h: Dual) -> (Dual, Dual) {
    let above = (h - p["v_threshold"]).at_or_above(sigmoid4);
    (above, (-h - p["v_threshold"]).at_or_above(sigmoid4))
}

#[test]
fn ternary() {
    let hard_reset = Reference {
        neuron: "SpikingJellyTernaryIF",
        params: &[("v_threshold", 1.0), ("v_reset", 0.0)],
        set: &[("v_threshold", 0.7), ("v_reset", 0.1)],
        start: |p| vec![p["v_reset"].detach()],
        step: |p, s, x| {
            let h = s[0] + x;
            let (above, below) = two_thresholds(p, h);
            s[0] = hard(p, h, above + below);
            Some(above - below)
        },
        input: (-1.0, 1.0),
        ..SOFT
    };
    hard_reset.check();
    Reference {
        neuron: "SpikingJellyTernaryIFSoft",
        params: &[("v_threshold", 1.0)],
        set: &[],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let h = s[0] + x;
            let (above, below) = two_thresholds(p, h);
            s[0] = h - (above - below) * p["v_threshold"];
            Some(above - below)
        },
        input: (-1.5, 1.5),
        ..hard_reset
    }
    .check();
    Reference {
        neuron: "SpikingJellyTernaryLIF",
        params: &[("tau", 2.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
        step: |p, s, x| {
            let h = decayed_input(p, s[0], p["v_reset"], x);
            let (above, below) = two_thresholds(p, h);
            s[0] = hard(p, h, above + below);
            Some(above - below)
        },
        input: (-3.0, 3.0),
        ..hard_reset
    }
    .check();
    Reference {
        neuron: "SpikingJellyTernaryLIFSoft",
        params: &[("tau", 2.0), ("v_threshold", 1.0)],
        set: &[],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let h = decayed_input(p, s[0], c(0.0), x);
            let (above, below) = two_thresholds(p, h);
            s[0] = h - (above - below) * p["v_threshold"];
            Some(above - below)
        },
        input: (-3.0, 3.0),
        ..hard_reset
    }
    .check();
}

#[test]
fn sliding_window() {
    Reference {
        neuron: "SpikingJellySlidingPSN",
        params: &[
            ("weight_0", 0.125),
            ("weight_1", 0.25),
            ("weight_2", 0.5),
            ("weight_3", 1.0),
            ("bias", -1.0),
        ],
        states: &["x_0", "x_1", "x_2", "x_3"],
        start: |_| vec![c(0.0); 4],
        step: |p, s, x| {
            s.rotate_left(1);
            s[3] = x;
            let h = p["weight_0"] * s[0]
                + p["weight_1"] * s[1]
                + p["weight_2"] * s[2]
                + p["weight_3"] * s[3];
            let atan = |u: f64| 1.0 / (1.0 + (std::f64::consts::PI * u).powi(2));
            Some((h + p["bias"]).at_or_above(atan))
        },
        input: (-0.5, 1.5),
        ..SOFT
    }
    .check();
}

#[test]
fn gradients_that_are_cut_in_time() {
    Reference {
        neuron: "SpikingJellySLTTLIF",
        params: &[("tau", 2.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
        set: &[("v_reset", -0.2)],
        start: |p| vec![p["v_reset"].detach()],
        step: |p, s, x| {
            let h = decayed_input(p, s[0].detach(), p["v_reset"], x);
            let spike = (h - p["v_threshold"]).at_or_above(sigmoid4);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        input: (-0.5, 2.5),
        ..SOFT
    }
    .check();
    Reference {
        neuron: "SpikingJellyOTTTLIF",
        params: &[("tau", 2.0), ("v_threshold", 1.0)],
        states: &["v", "trace"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let v = s[0].detach();
            let h = v - v / p["tau"] + x;
            let spike = (h - p["v_threshold"]).at_or_above(sigmoid4);
            s[0] = h - spike.detach() * p["v_threshold"];
            s[1] = (s[1] * (c(1.0) - c(1.0) / p["tau"]) + spike).detach();
            Some(spike)
        },
        input: (-0.3, 1.3),
        ..SOFT
    }
    .check();
}

#[test]
fn populations() {
    let leaky = Reference {
        neuron: "SpikingJellyILCLIF",
        params: &[("v_decay", 0.75), ("v_threshold", 1.0), ("v_reset", 0.0)],
        start: |p| vec![p["v_reset"].detach()],
        step: |p, s, x| {
            let h = s[0] * p["v_decay"] + x;
            let spike = (h - p["v_threshold"]).at_or_above(rect);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        input: (-0.3, 0.9),
        ..SOFT
    };
    leaky.check();
    Reference {
        neuron: "SpikingJellyILCIF",
        params: &[("v_decay", 1.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
        ..leaky
    }
    .check();
}

/// Without noise the steps of CUBALIF and of an integrator; with it, the spread that sigma says.
#[test]
fn noise() {
    Reference {
        neuron: "SpikingJellyNoisyCUBALIF",
        params: &[
            ("c_decay", 0.5),
            ("v_decay", 0.75),
            ("v_threshold", 0.5),
            ("v_reset", 0.0),
        ],
        set: &[("sigma_init", 0.0)],
        states: &["c", "v"],
        start: |p| vec![c(0.0), p["v_reset"].detach()],
        step: |p, s, x| {
            s[0] = s[0] * p["c_decay"] + x;
            let h = s[1] * p["v_decay"] + s[0];
            let spike = (h - p["v_threshold"]).at_or_above(rect);
            s[1] = hard(p, h, spike);
            Some(spike)
        },
        input: (-0.4, 0.6),
        ..SOFT
    }
    .check();
    const LANES: usize = 4000;
    let run = |neuron: &str| {
        let simulation = Simulation {
            library: "spikingjelly",
            neuron,
            input: vec![("x", Array2::zeros((4, LANES)))],
            params: &[("num_node", 4.0)],
            step_ms: 3.0,
        };
        simulation.traces()
    };
    // What the last of four steps holds: a random walk of four draws of 0.5/√4.
    let walk = run("SpikingJellyNoisyNonSpikingIF");
    let squares: f64 = (0..LANES).map(|i| walk["v"][[3, 0, i]].powi(2)).sum();
    let expected = 4.0 * 0.25f64.powi(2);
    assert!((squares / LANES as f64 / expected - 1.0).abs() < 0.1);
    // The current is one draw in the first step, and what is sent is another.
    let noisy = run("SpikingJellyNoisyCUBALIF");
    let of = |name: &str| -> Vec<f64> { (0..LANES).map(|i| noisy[name][[0, 0, i]]).collect() };
    let (drive, sent) = (of("c"), of("spikes"));
    let silent: Vec<usize> = (0..LANES).filter(|&i| drive[i] < 0.5).collect();
    let mean =
        |f: &dyn Fn(usize) -> f64| silent.iter().map(|&i| f(i)).sum::<f64>() / silent.len() as f64;
    let spread = mean(&|i| sent[i].powi(2)) / 0.25f64.powi(2);
    assert!((spread - 1.0).abs() < 0.1, "{spread}");
    let together = mean(&|i| sent[i] * drive[i]) / 0.25f64.powi(2);
    assert!(together.abs() < 0.1, "{together}");
}
