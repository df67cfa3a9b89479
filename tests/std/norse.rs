//! The neurons of `std/norse.snn` against the steps of Norse 1.1, with "super", which ignores its alpha.

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};

fn super_spike(u: f64) -> f64 {
    1.0 / (1.0 + u.abs()).powi(2)
}

fn fire(u: Dual) -> Dual {
    u.above(super_spike)
}

fn reset(p: &Params, v: Dual, z: Dual) -> Dual {
    (c(1.0) - z) * v + z * p["v_reset"]
}

/// v + dt τm⁻¹ (v_leak − v + drive).
fn moved(p: &Params, v: Dual, drive: Dual) -> Dual {
    v + p["dt"] * p["tau_mem_inv"] * (p["v_leak"] - v + drive)
}

fn decayed(p: &Params, i: Dual) -> Dual {
    i - p["dt"] * p["tau_syn_inv"] * i
}

const LIF: Reference = Reference {
    library: "norse",
    neuron: "NorseLIF",
    port: "x",
    other: None,
    params: &[
        ("tau_syn_inv", 200.0),
        ("tau_mem_inv", 100.0),
        ("v_leak", 0.0),
        ("v_th", 1.0),
        ("v_reset", 0.0),
        ("dt", 0.001),
    ],
    set: &[],
    states: &["v", "i"],
    start: |p| vec![p["v_leak"].detach(), c(0.0)],
    step: |p, s, x| {
        let i = s[1] + x;
        let v = moved(p, s[0], i);
        let z = fire(v - p["v_th"]);
        s[0] = reset(p, v, z);
        s[1] = decayed(p, i);
        Some(z)
    },
    input: (-1.0, 3.0),
};

#[test]
fn lif() {
    LIF.check();
    Reference {
        set: &[("v_leak", 0.2), ("v_th", 0.8), ("v_reset", -0.1)],
        ..LIF
    }
    .check();
    Reference {
        neuron: "NorseLIFRecurrent",
        step: |p, s, x| {
            let i = s[1] + x;
            let v = moved(p, s[0], i);
            let z = fire(v - p["v_th"]);
            s[0] = reset(p, v, z.detach());
            s[1] = decayed(p, i);
            Some(z)
        },
        ..LIF
    }
    .check();
    Reference {
        neuron: "NorseLIFBox",
        params: &[
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("dt", 0.001),
        ],
        states: &["v"],
        start: |p| vec![p["v_leak"].detach()],
        step: |p, s, x| {
            let v = moved(p, s[0], x);
            let z = fire(v - p["v_th"]);
            s[0] = reset(p, v, z);
            Some(z)
        },
        input: (-1.0, 6.0),
        ..LIF
    }
    .check();
    Reference {
        neuron: "NorseLIFBoxSubtract",
        params: &[
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("dt", 0.001),
        ],
        states: &["v"],
        start: |p| vec![p["v_leak"].detach()],
        step: |p, s, x| {
            let v = moved(p, s[0], x);
            let z = fire(v - p["v_th"]);
            s[0] = (c(1.0) - z) * v + z * (v - p["v_th"]);
            Some(z)
        },
        input: (-1.0, 9.0),
        ..LIF
    }
    .check();
    Reference {
        neuron: "NorseIAF",
        params: &[("v_th", 1.0), ("v_reset", 0.0)],
        states: &["v"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            let v = s[0] + x;
            let z = fire(v - p["v_th"]);
            s[0] = reset(p, v, z);
            Some(z)
        },
        input: (-0.3, 0.9),
        ..LIF
    }
    .check();
}

#[test]
fn integrators() {
    let li = Reference {
        neuron: "NorseLI",
        params: &[
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("dt", 0.001),
        ],
        step: |p, s, x| {
            let i = s[1] + x;
            s[0] = moved(p, s[0], i);
            s[1] = decayed(p, i);
            None
        },
        ..LIF
    };
    li.check();
    Reference {
        neuron: "NorseLIBox",
        params: &[("tau_mem_inv", 100.0), ("v_leak", 0.0), ("dt", 0.001)],
        states: &["v"],
        start: |p| vec![p["v_leak"].detach()],
        step: |p, s, x| {
            s[0] = moved(p, s[0], x);
            None
        },
        ..li
    }
    .check();
}

fn upstroke(p: &Params, v: Dual) -> Dual {
    p["delta_T"] * ((v - p["v_th"]) / p["delta_T"]).exp()
}

fn adapted(p: &Params, v: Dual, a: Dual) -> Dual {
    a + p["dt"] * p["tau_ada_inv"] * (p["adaptation_current"] * (v - p["v_leak"]) - a)
}

const ADEX: Reference = Reference {
    neuron: "NorseLIFAdEx",
    params: &[
        ("adaptation_current", 4.0),
        ("adaptation_spike", 0.02),
        ("delta_T", 0.5),
        ("tau_ada_inv", 2.0),
        ("tau_syn_inv", 200.0),
        ("tau_mem_inv", 100.0),
        ("v_leak", 0.0),
        ("v_th", 1.0),
        ("v_reset", 0.0),
        ("dt", 0.001),
    ],
    states: &["v", "i", "a"],
    start: |p| vec![p["v_leak"].detach(), c(0.0), c(0.0)],
    step: |p, s, x| {
        let i = s[1] + x;
        let v = moved(p, s[0], upstroke(p, s[0]) + i - s[2]);
        let a = adapted(p, s[0], s[2]);
        let z = fire(v - p["v_th"]);
        s[0] = reset(p, v, z);
        s[1] = decayed(p, i);
        s[2] = a + z * p["adaptation_spike"];
        Some(z)
    },
    ..LIF
};

#[test]
fn exponential() {
    ADEX.check();
    Reference {
        neuron: "NorseLIFEx",
        params: &[
            ("delta_T", 0.5),
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("dt", 0.001),
        ],
        step: |p, s, x| {
            let i = s[1] + x;
            let v = moved(p, s[0], upstroke(p, s[0]) + i);
            let z = fire(v - p["v_th"]);
            s[0] = reset(p, v, z);
            s[1] = decayed(p, i);
            Some(z)
        },
        ..LIF
    }
    .check();
}

/// `compute_refractory_update`: v, z and rho after the step, from the unmasked ones.
fn refractory(p: &Params, old_v: Dual, rho: Dual, v: Dual, z: Dual) -> (Dual, Dual, Dual) {
    let one = c(1.0);
    let mask = fire(rho);
    let v = (one - mask) * v + mask * old_v;
    let z = (one - mask) * z;
    let rho = (one - z) * (rho - mask).relu() + z * p["rho_reset"];
    (v, z, rho)
}

#[test]
fn refractory_counters() {
    let attached = Reference {
        neuron: "NorseLIFRefrac",
        params: &[
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("rho_reset", 5.0),
            ("dt", 0.001),
        ],
        states: &["v", "i", "rho"],
        start: |p| vec![p["v_leak"].detach(), c(0.0), c(0.0)],
        step: |p, s, x| {
            let i = s[1] + x;
            let v = moved(p, s[0], i);
            let z = fire(v - p["v_th"]);
            let (v, z, rho) = refractory(p, s[0], s[2], reset(p, v, z), z);
            (s[0], s[1], s[2]) = (v, decayed(p, i), rho);
            Some(z)
        },
        ..LIF
    };
    attached.check();
    Reference {
        set: &[("rho_reset", 2.0), ("v_reset", 0.3)],
        ..attached
    }
    .check();
    Reference {
        neuron: "NorseLIFRefracRecurrent",
        step: |p, s, x| {
            let i = s[1] + x;
            let v = moved(p, s[0], i);
            let z = fire(v - p["v_th"]);
            let (v, z, rho) = refractory(p, s[0], s[2], reset(p, v, z.detach()), z);
            (s[0], s[1], s[2]) = (v, decayed(p, i), rho);
            Some(z)
        },
        ..attached
    }
    .check();
    Reference {
        neuron: "NorseLIFAdExRefrac",
        params: &[
            ("adaptation_current", 4.0),
            ("adaptation_spike", 0.02),
            ("delta_T", 0.5),
            ("tau_ada_inv", 2.0),
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("rho_reset", 5.0),
            ("dt", 0.001),
        ],
        states: &["v", "i", "a", "rho"],
        start: |p| vec![p["v_leak"].detach(), c(0.0), c(0.0), c(0.0)],
        step: |p, s, x| {
            let i = s[1] + x;
            let v = moved(p, s[0], upstroke(p, s[0]) + i - s[2]);
            let z = fire(v - p["v_th"]);
            let a = adapted(p, s[0], s[2]) + z * p["adaptation_spike"];
            let (v, z, rho) = refractory(p, s[0], s[3], reset(p, v, z), z);
            (s[0], s[1], s[2], s[3]) = (v, decayed(p, i), a, rho);
            Some(z)
        },
        ..LIF
    }
    .check();
}

/// The step of lsnn.py up to the spike: v, i and b.
fn lsnn(p: &Params, s: &[Dual], x: Dual) -> (Dual, Dual, Dual) {
    let v = moved(p, s[0], s[1]);
    let i = decayed(p, s[1]) + x;
    let b = s[2] + p["dt"] * p["tau_adapt_inv"] * (p["v_th"] - s[2]);
    (v, i, b)
}

#[test]
fn lsnn_forms() {
    let attached = Reference {
        neuron: "NorseLSNN",
        params: &[
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("tau_adapt_inv", 1.0 / 800.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("beta", 1.8),
            ("dt", 0.001),
        ],
        set: &[("tau_adapt_inv", 80.0), ("beta", 0.4)],
        states: &["v", "i", "b"],
        start: |p| vec![p["v_leak"].detach(), c(0.0), p["v_th"].detach()],
        step: |p, s, x| {
            let (v, i, b) = lsnn(p, s, x);
            let z = fire(v - b);
            (s[0], s[1], s[2]) = (reset(p, v, z), i, b + z * p["beta"]);
            Some(z)
        },
        ..LIF
    };
    attached.check();
    Reference {
        neuron: "NorseLSNNRecurrent",
        step: |p, s, x| {
            let (v, i, b) = lsnn(p, s, x);
            let z = fire(v - b);
            (s[0], s[1], s[2]) = (reset(p, v, z.detach()), i, b + z.detach() * p["beta"]);
            Some(z)
        },
        ..attached
    }
    .check();
    Reference {
        neuron: "NorseAdaLIF",
        start: |p| vec![p["v_leak"].detach(), c(0.0), c(0.0)],
        step: |p, s, x| {
            let v = moved(p, s[0], s[1] - s[2]);
            let i = decayed(p, s[1]) + x;
            let b = s[2] - p["dt"] * p["tau_adapt_inv"] * s[2];
            let z = fire(v - p["v_th"]);
            s[0] = v - z * (p["v_th"] - p["v_reset"]);
            s[1] = i;
            s[2] = b + z * p["beta"];
            Some(z)
        },
        ..attached
    }
    .check();
    // With the defaults a single spike lifts the threshold out of reach.
    Reference {
        set: &[],
        input: (-1.0, 12.0),
        ..attached
    }
    .check();
}

/// The rest of a step of coba_lif.py from conductances that have jumped.
fn coba(p: &Params, s: &mut [Dual], g_e: Dual, g_i: Dual) -> Dual {
    let g_e = g_e - p["dt"] * p["tau_syn_exc_inv"] * g_e;
    let g_i = g_i - p["dt"] * p["tau_syn_inh_inv"] * g_i;
    let current =
        p["g_l"] * (p["v_rest"] - s[0]) + g_e * (p["e_rev_E"] - s[0]) + g_i * (p["e_rev_I"] - s[0]);
    let v = s[0] + p["dt"] * p["c_m_inv"] * current;
    let z = fire(v - p["v_thresh"]);
    (s[0], s[1], s[2]) = (reset(p, v, z), g_e, g_i);
    z
}

#[test]
fn conductances() {
    let forward = Reference {
        neuron: "NorseCobaLIF",
        params: &[
            ("tau_syn_exc_inv", 0.2),
            ("tau_syn_inh_inv", 0.2),
            ("c_m_inv", 5.0),
            ("g_l", 0.25),
            ("e_rev_I", -100.0),
            ("e_rev_E", 60.0),
            ("v_rest", -20.0),
            ("v_reset", -70.0),
            ("v_thresh", -10.0),
            ("dt", 0.001),
        ],
        states: &["v", "g_e", "g_i"],
        start: |p| vec![p["v_rest"].detach(), c(0.0), c(0.0)],
        step: |p, s, x| Some(coba(p, s, s[1] + x.relu(), s[2] + (-x).relu())),
        input: (-0.5, 1.5),
        ..LIF
    };
    forward.check();
    // The weights are at or above 0, so what arrives is.
    Reference {
        neuron: "NorseCobaLIFRecurrent",
        port: "exc",
        other: Some(("inh", 0.0, 0.5)),
        step: |p, s, x| Some(coba(p, s, s[1] + x, s[2] + p["inh"])),
        input: (0.0, 1.5),
        ..forward
    }
    .check();
}

#[test]
fn filter() {
    Reference {
        neuron: "NorseExpFilter",
        params: &[("parameter", 0.9)],
        states: &["value"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            s[0] = p["parameter"] * s[0] + x;
            None
        },
        ..LIF
    }
    .check();
}

/// correlation_sensor.py on one synapse, after post_pre at s[0].
fn sensor(p: &Params, s: &mut [Dual], pre: Dual, post: Dual) {
    let behind = s[0];
    s[1] = s[1] - (c(1.0) - behind) * p["dt"] * p["tau_c_inv"] * s[1] + p["eta_p"] * pre;
    s[2] = s[2] - behind * p["dt"] * p["tau_ac_inv"] * s[2] + p["eta_m"] * post;
    s[0] = (behind + post - pre).is_above();
}

#[test]
fn sensors() {
    let rates: &[(&str, f64)] = &[
        ("eta_p", 1.0),
        ("eta_m", 1.0),
        ("tau_ac_inv", 10.0),
        ("tau_c_inv", 10.0),
        ("dt", 0.001),
    ];
    let correlation = Reference {
        neuron: "NorseCorrelationSensor",
        port: "z_pre",
        other: Some(("z_post", -0.5, 1.0)),
        params: rates,
        set: &[("tau_c_inv", 90.0), ("tau_ac_inv", 130.0), ("eta_m", 0.7)],
        states: &["post_pre", "correlation_trace", "anti_correlation_trace"],
        start: |_| vec![c(0.0); 3],
        step: |p, s, x| {
            sensor(p, s, x, p["z_post"]);
            None
        },
        input: (-0.5, 1.0),
        ..LIF
    };
    correlation.check();
    Reference {
        neuron: "NorseSTDPSensor",
        params: &[
            ("eta_p", 1.0),
            ("eta_m", 1.0),
            ("tau_c_inv", 10.0),
            ("dt", 0.001),
        ],
        set: &[("tau_c_inv", 90.0), ("eta_m", 0.7)],
        states: &["a_pre", "a_post"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = s[0] - p["dt"] * p["tau_c_inv"] * s[0] + p["eta_p"] * x;
            s[1] = s[1] - p["dt"] * p["tau_c_inv"] * s[1] + p["eta_m"] * p["z_post"];
            None
        },
        ..correlation
    }
    .check();
    Reference {
        neuron: "NorseLIFCorrelation",
        port: "x",
        other: Some(("pre", -0.5, 0.6)),
        params: &[
            ("tau_syn_inv", 200.0),
            ("tau_mem_inv", 100.0),
            ("v_leak", 0.0),
            ("v_th", 1.0),
            ("v_reset", 0.0),
            ("eta_p", 1.0),
            ("eta_m", 1.0),
            ("tau_ac_inv", 10.0),
            ("tau_c_inv", 10.0),
            ("dt", 0.001),
        ],
        states: &[
            "post_pre",
            "correlation_trace",
            "anti_correlation_trace",
            "v",
            "i",
        ],
        start: |p| vec![c(0.0), c(0.0), c(0.0), p["v_leak"].detach(), c(0.0)],
        step: |p, s, x| {
            let i = s[4] + x;
            let v = moved(p, s[3], i);
            let z = fire(v - p["v_th"]);
            s[3] = reset(p, v, z.detach());
            s[4] = decayed(p, i);
            sensor(p, s, p["pre"], z);
            Some(z)
        },
        input: (-1.0, 3.0),
        ..correlation
    }
    .check();
}

#[test]
fn short_term_plasticity() {
    Reference {
        neuron: "NorseTsodyksMakram",
        port: "z",
        params: &[
            ("tau_f_inv", 20.0),
            ("tau_d_inv", 1.0 / 0.75),
            ("U", 0.45),
            ("dt", 0.001),
        ],
        states: &["u", "x", "out"],
        start: |_| vec![c(0.0), c(1.0), c(0.0)],
        step: |p, s, z| {
            let u = s[0] - p["dt"] * p["tau_f_inv"] * s[0] + p["U"] * (c(1.0) - s[0]) * z;
            let out = u * s[1] * z;
            s[1] = s[1] + p["dt"] * p["tau_d_inv"] * (c(1.0) - s[1]) - out;
            s[0] = u;
            s[2] = out;
            None
        },
        input: (0.0, 1.0),
        ..LIF
    }
    .check();
}

const IZHIKEVICH: Reference = Reference {
    neuron: "NorseIzhikevich",
    params: &[
        ("a", 0.02),
        ("b", 0.2),
        ("c", -65.0),
        ("d", 6.0),
        ("sq", 0.04),
        ("mn", 5.0),
        ("bias", 140.0),
        ("v_th", 30.0),
        ("tau_inv", 250.0),
        ("dt", 0.001),
        ("v_rest", -70.0),
        ("u_rest", -14.0),
    ],
    states: &["v", "u"],
    start: |p| vec![p["v_rest"], p["u_rest"]],
    step: |p, s, x| {
        let (v, u) = (s[0], s[1]);
        let rate = p["tau_inv"] * p["dt"];
        let moved = v + rate * (p["sq"] * v * v + p["mn"] * v + p["bias"] - u + x);
        let recovered = u + rate * p["a"] * (p["b"] * v - u);
        let z = fire(moved - p["v_th"]);
        s[0] = (c(1.0) - z) * moved + z * p["c"];
        s[1] = (c(1.0) - z) * recovered + z * (recovered + p["d"]);
        Some(z)
    },
    input: (10.0, 60.0),
    ..LIF
};

#[test]
fn izhikevich() {
    IZHIKEVICH.check();
    Reference {
        neuron: "NorseMixedMode",
        params: &[
            ("a", 0.02),
            ("b", 0.2),
            ("c", -55.0),
            ("d", 4.0),
            ("sq", 0.04),
            ("mn", 5.0),
            ("bias", 140.0),
            ("v_th", 30.0),
            ("tau_inv", 250.0),
            ("dt", 0.001),
            ("v_rest", -70.0),
            ("u_rest", -14.0),
        ],
        ..IZHIKEVICH
    }
    .check();
    Reference {
        neuron: "NorseClass1Exc",
        params: &[
            ("a", 0.02),
            ("b", -0.1),
            ("c", -55.0),
            ("d", 6.0),
            ("sq", 0.04),
            ("mn", 4.1),
            ("bias", 108.0),
            ("v_th", 30.0),
            ("tau_inv", 250.0),
            ("dt", 0.001),
            ("v_rest", -60.0),
            ("u_rest", 6.0),
        ],
        ..IZHIKEVICH
    }
    .check();
}
