//! The neurons of stork in `std/spytorch.snn` beyond LIFGroup.

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};

/// exp(−1/τ) for 5, 10 and 100 ms, in steps of 1 ms.
const DECAY_5: f64 = 0.818_730_753_077_981_8;
const DECAY_10: f64 = 0.904_837_418_035_959_6;
const DECAY_100: f64 = 0.990_049_833_749_168;

/// The spike of the old membrane, and the gate that multiplies the new one.
fn spike_and_gate(mem: Dual) -> (Dual, Dual) {
    let spike = (mem - c(1.0)).above(|u| 1.0 / (20.0 * u.abs() + 1.0).powi(2));
    (spike, c(1.0) - spike.detach())
}

/// (β mem + (1 − β) current)·gate.
fn membrane(beta: Dual, mem: Dual, current: Dual, gate: Dual) -> Dual {
    (beta * mem + (c(1.0) - beta) * current) * gate
}

fn decay(tau: Dual) -> Dual {
    (-(c(1.0) / tau)).exp()
}

const DELTA: Reference = Reference {
    library: "spytorch",
    neuron: "StorkDeltaLIF",
    port: "x",
    other: None,
    params: &[("beta", DECAY_10)],
    set: &[],
    states: &["mem"],
    start: |_| vec![c(0.0)],
    step: |p, s, x| {
        let (spike, gate) = spike_and_gate(s[0]);
        s[0] = membrane(p["beta"], s[0], x, gate);
        Some(spike)
    },
    input: (-5.0, 12.0),
};

#[test]
fn one_current() {
    DELTA.check();
    Reference {
        neuron: "StorkLIFLearnTimescales",
        params: &[
            ("tau_mem", 10.0),
            ("tau_syn", 5.0),
            ("mem_param", 0.0),
            ("syn_param", 0.0),
        ],
        set: &[("mem_param", 0.4), ("syn_param", -0.3)],
        states: &["syn", "mem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let scaled = |tau: &str, w: &str| decay(c(2.0) * p[tau] * p[w].sigmoid());
            let (spike, gate) = spike_and_gate(s[1]);
            s[1] = membrane(scaled("tau_mem", "mem_param"), s[1], s[0], gate);
            s[0] = scaled("tau_syn", "syn_param") * s[0] + x;
            Some(spike)
        },
        input: (-2.0, 5.0),
        ..DELTA
    }
    .check();
    Reference {
        neuron: "StorkFilterLIF",
        params: &[
            ("dcy_mem", DECAY_10),
            ("dcy_filter", DECAY_5),
            ("w_0", 1.0),
            ("w_1", 0.0),
            ("w_2", 0.0),
            ("w_3", 0.0),
            ("w_4", 0.0),
        ],
        set: &[
            ("w_0", 0.3),
            ("w_1", -0.2),
            ("w_2", 1.2),
            ("w_3", 0.6),
            ("w_4", 0.9),
        ],
        states: &["f_0", "f_1", "f_2", "f_3", "f_4", "mem"],
        start: |_| vec![c(0.0); 6],
        step: |p, s, x| {
            let (spike, gate) = spike_and_gate(s[5]);
            let (stay, go) = (p["dcy_filter"], c(1.0) - p["dcy_filter"]);
            let mut filters = vec![stay * s[0] + x];
            for k in 1..5 {
                filters.push(stay * s[k] + go * s[k - 1]);
            }
            let weights = ["w_0", "w_1", "w_2", "w_3", "w_4"];
            let mut current = c(0.0);
            for (k, filter) in filters.into_iter().enumerate() {
                current = current + p[weights[k]] * filter;
                s[k] = filter;
            }
            s[5] = membrane(p["dcy_mem"], s[5], current, gate);
            Some(spike)
        },
        input: (-1.0, 2.5),
        ..DELTA
    }
    .check();
}

#[test]
fn adaptation() {
    let fixed = Reference {
        neuron: "StorkAdaptiveLIF",
        params: &[
            ("alpha", DECAY_5),
            ("beta", DECAY_10),
            ("rho", DECAY_100),
            ("adapt_a", 0.1),
        ],
        set: &[("adapt_a", 0.4)],
        states: &["syn", "mem", "ada", "out"],
        start: |_| vec![c(0.0); 4],
        step: |p, s, x| {
            let (spike, gate) = spike_and_gate(s[1]);
            s[1] = membrane(p["beta"], s[1], s[0] - p["adapt_a"] * s[2], gate);
            s[0] = p["alpha"] * s[0] + x;
            s[2] = p["rho"] * s[2] + s[3];
            s[3] = spike;
            Some(spike)
        },
        input: (-2.0, 5.0),
        ..DELTA
    };
    fixed.check();
    Reference {
        neuron: "StorkAdaptLearnLIF",
        params: &[
            ("alpha", DECAY_5),
            ("beta", DECAY_10),
            ("tau_ada", 1000.0),
            ("adapt_b", 0.5),
            ("ada_dcy_param", 0.0),
        ],
        set: &[("tau_ada", 20.0), ("ada_dcy_param", 0.7)],
        step: |p, s, x| {
            let rho = decay(p["ada_dcy_param"].sigmoid() * p["tau_ada"]);
            let (spike, gate) = spike_and_gate(s[1]);
            s[1] = membrane(p["beta"], s[1], s[0] - p["adapt_b"] * s[2], gate);
            s[0] = p["alpha"] * s[0] + x;
            s[2] = rho * s[2] + (c(1.0) - rho) * s[3];
            s[3] = spike;
            Some(spike)
        },
        ..fixed
    }
    .check();
}

/// Both currents of a step, and what they add to the membrane from before.
fn two_currents(p: &Params, s: &mut [Dual], exc: Dual) -> Dual {
    let net = s[0] - s[1];
    s[0] = p["dcy_exc"] * s[0] + exc;
    s[1] = p["dcy_inh"] * s[1] + p["inh"];
    net
}

#[test]
fn excitation_and_inhibition() {
    let plain = Reference {
        neuron: "StorkExcInhLIF",
        port: "exc",
        other: Some(("inh", -0.5, 2.0)),
        params: &[
            ("dcy_mem", DECAY_10),
            ("dcy_exc", DECAY_5),
            ("dcy_inh", DECAY_5),
        ],
        set: &[("dcy_inh", 0.7)],
        states: &["syne", "syni", "mem"],
        start: |_| vec![c(0.0); 3],
        step: |p, s, x| {
            let (spike, gate) = spike_and_gate(s[2]);
            let net = two_currents(p, s, x);
            s[2] = membrane(p["dcy_mem"], s[2], net, gate);
            Some(spike)
        },
        input: (-1.0, 5.0),
        ..DELTA
    };
    plain.check();
    Reference {
        neuron: "StorkExcInhAdaptiveLIF",
        params: &[
            ("dcy_mem", DECAY_10),
            ("dcy_exc", DECAY_5),
            ("dcy_inh", DECAY_5),
            ("dcy_ada", DECAY_100),
            ("adapt_a", 0.5),
        ],
        states: &["syne", "syni", "mem", "ada", "out"],
        start: |_| vec![c(0.0); 5],
        step: |p, s, x| {
            let (spike, gate) = spike_and_gate(s[2]);
            let net = two_currents(p, s, x) - p["adapt_a"] * s[3];
            s[2] = membrane(p["dcy_mem"], s[2], net, gate);
            s[3] = p["dcy_ada"] * s[3] + s[4];
            s[4] = spike;
            Some(spike)
        },
        ..plain
    }
    .check();
    Reference {
        neuron: "StorkExc2InhLIF",
        params: &[
            ("dcy_mem", DECAY_10),
            ("dcy_ampa", DECAY_5),
            ("dcy_nmda", DECAY_100),
            ("dcy_gaba", DECAY_10),
        ],
        set: &[("dcy_nmda", 0.95)],
        states: &["ampa", "nmda", "gaba", "mem"],
        start: |_| vec![c(0.0); 4],
        step: |p, s, x| {
            let (spike, gate) = spike_and_gate(s[3]);
            let net = (s[0] + s[1]) / c(2.0) - s[2];
            s[3] = membrane(p["dcy_mem"], s[3], net, gate);
            s[1] = p["dcy_nmda"] * s[1] + (c(1.0) - p["dcy_nmda"]) * s[0];
            s[0] = p["dcy_ampa"] * s[0] + x;
            s[2] = p["dcy_gaba"] * s[2] + p["inh"];
            Some(spike)
        },
        other: Some(("inh", -0.5, 1.0)),
        input: (-1.0, 6.0),
        ..plain
    }
    .check();
}
