//! The neurons of Spyx, SpyTorch and stork, Sinabs, and Rockpool against their steps.

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};

/// 1/(k|u| + 1)².
fn super_spike(k: f64) -> impl Fn(f64) -> f64 {
    move |u| 1.0 / (k * u.abs() + 1.0).powi(2)
}

const SPYX: Reference = Reference {
    library: "spyx",
    neuron: "SpyxLIF",
    port: "x",
    other: None,
    params: &[("beta", 0.5), ("threshold", 1.0)],
    set: &[("beta", 0.8)],
    states: &["V"],
    start: |_| vec![c(0.0)],
    step: |p, s, x| {
        let z = (s[0] - p["threshold"]).above(super_spike(25.0));
        s[0] = p["beta"] * s[0] + x - z * p["threshold"];
        Some(z)
    },
    input: (-0.3, 0.9),
};

#[test]
fn spyx() {
    SPYX.check();
    Reference { set: &[], ..SPYX }.check();
    Reference {
        neuron: "SpyxIF",
        params: &[("threshold", 1.0)],
        set: &[],
        step: |p, s, x| {
            let z = (s[0] - p["threshold"]).above(super_spike(25.0));
            s[0] = s[0] + x - z * p["threshold"];
            Some(z)
        },
        ..SPYX
    }
    .check();
    Reference {
        neuron: "SpyxLI",
        params: &[("beta", 0.8)],
        set: &[],
        step: |p, s, x| {
            s[0] = p["beta"] * s[0] + x;
            None
        },
        ..SPYX
    }
    .check();
    Reference {
        neuron: "SpyxALIF",
        params: &[("beta", 0.5), ("gamma", 0.5), ("threshold", 1.0)],
        set: &[("beta", 0.8), ("gamma", 0.9)],
        states: &["V", "T"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let theta = p["threshold"] + s[1];
            let z = (s[0] - theta).above(super_spike(25.0));
            s[0] = p["beta"] * s[0] + x - z * theta;
            s[1] = p["gamma"] * s[1] + (c(1.0) - p["gamma"]) * z;
            Some(z)
        },
        ..SPYX
    }
    .check();
    Reference {
        neuron: "SpyxCuBaLIF",
        params: &[("alpha", 0.5), ("beta", 0.5), ("threshold", 1.0)],
        set: &[("alpha", 0.7), ("beta", 0.6)],
        states: &["V", "I"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let z = (s[0] - p["threshold"]).above(super_spike(25.0));
            let v = s[0] - z * p["threshold"];
            s[1] = p["alpha"] * s[1] + x;
            s[0] = p["beta"] * v + s[1];
            Some(z)
        },
        ..SPYX
    }
    .check();
}

/// Spikes that are of the new membrane, so that what they do to it comes a step later.
#[test]
fn spyx_recurrent() {
    let lif = Reference {
        neuron: "SpyxRLIF",
        set: &[("beta", 0.8)],
        step: |p, s, x| {
            let z = (s[0] - p["threshold"]).above(super_spike(25.0));
            s[0] = p["beta"] * s[0] + x - z * p["threshold"];
            Some((s[0] - p["threshold"]).above(super_spike(25.0)))
        },
        ..SPYX
    };
    lif.check();
    Reference {
        neuron: "SpyxRIF",
        params: &[("threshold", 1.0)],
        set: &[],
        step: |p, s, x| {
            let z = (s[0] - p["threshold"]).above(super_spike(25.0));
            s[0] = s[0] + x - z * p["threshold"];
            Some((s[0] - p["threshold"]).above(super_spike(25.0)))
        },
        ..lif
    }
    .check();
    Reference {
        neuron: "SpyxRCuBaLIF",
        params: &[("alpha", 0.5), ("beta", 0.5), ("threshold", 1.0)],
        set: &[("alpha", 0.7), ("beta", 0.6)],
        states: &["V", "I"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let z = (s[0] - p["threshold"]).above(super_spike(25.0));
            let v = s[0] - z * p["threshold"];
            s[1] = p["alpha"] * s[1] + x;
            s[0] = p["beta"] * v + s[1];
            Some((s[0] - p["threshold"]).above(super_spike(25.0)))
        },
        ..lif
    }
    .check();
}

#[test]
fn spyx_without_reset() {
    Reference {
        neuron: "SpyxPSULIF",
        set: &[("beta", 0.7)],
        step: |p, s, x| {
            s[0] = p["beta"] * s[0] + x;
            Some((s[0] - p["threshold"]).above(super_spike(25.0)))
        },
        input: (-0.5, 0.9),
        ..SPYX
    }
    .check();
    Reference {
        neuron: "SpyxResonateFire",
        params: &[
            ("raw_lambda", 0.5),
            ("omega", 1.0),
            ("threshold", 1.0),
            ("dt", 1.0),
        ],
        set: &[("raw_lambda", -1.5), ("omega", 0.7)],
        states: &["re", "im"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let softplus = (c(1.0) + p["raw_lambda"].exp()).ln();
            let shrink = (-(p["dt"] * softplus)).exp();
            let (cos, sin) = ((p["dt"] * p["omega"]).cos(), (p["dt"] * p["omega"]).sin());
            let (re, im) = (s[0], s[1]);
            s[0] = shrink * (cos * re - sin * im) + x;
            s[1] = shrink * (sin * re + cos * im);
            Some((s[0] - p["threshold"]).above(super_spike(25.0)))
        },
        input: (-1.0, 1.5),
        ..SPYX
    }
    .check();
}

/// A step of SpyTorch: everything from the old values; `gain` is what scales the current.
fn spytorch_step(p: &Params, s: &mut [Dual], x: Dual, k: f64, gain: Dual, cut: bool) -> Dual {
    let (syn, mem) = (s[0], s[1]);
    let z = (mem - c(1.0)).above(super_spike(k));
    let gate = if cut { z.detach() } else { z };
    s[0] = p["alpha"] * syn + x;
    s[1] = (p["beta"] * mem + gain * syn) * (c(1.0) - gate);
    z
}

#[test]
fn spytorch_and_stork() {
    // exp(-1/5) and exp(-1/10).
    let params: &[(&str, f64)] = &[
        ("alpha", 0.818_730_753_077_981_8),
        ("beta", 0.904_837_418_035_959_6),
    ];
    let lif = Reference {
        library: "spytorch",
        neuron: "SpyTorchLIF",
        params,
        set: &[],
        states: &["syn", "mem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| Some(spytorch_step(p, s, x, 100.0, c(1.0), true)),
        input: (-0.3, 0.5),
        ..SPYX
    };
    lif.check();
    Reference {
        neuron: "StorkLIF",
        step: |p, s, x| Some(spytorch_step(p, s, x, 20.0, c(1.0) - p["beta"], true)),
        input: (-2.0, 5.0),
        ..lif
    }
    .check();
    Reference {
        neuron: "StorkLIFDiffReset",
        step: |p, s, x| Some(spytorch_step(p, s, x, 20.0, c(1.0) - p["beta"], false)),
        input: (-2.0, 5.0),
        ..lif
    }
    .check();
    let readout = Reference {
        neuron: "SpyTorchReadout",
        states: &["flt", "out"],
        step: |p, s, x| {
            let flt = s[0];
            s[0] = p["alpha"] * flt + x;
            s[1] = p["beta"] * s[1] + flt;
            None
        },
        ..lif
    };
    readout.check();
    Reference {
        neuron: "StorkReadout",
        start: |_| vec![c(0.0), c(-0.001)],
        step: |p, s, x| {
            let flt = s[0];
            s[0] = p["alpha"] * flt + x;
            s[1] = p["beta"] * s[1] + (c(1.0) - p["beta"]) * flt;
            None
        },
        ..readout
    }
    .check();
}

fn decay(tau: Dual) -> Dual {
    (-(c(1.0) / tau)).exp()
}

/// SingleExponential(0.5) for a threshold of 1.
fn exponential(u: f64) -> f64 {
    2.0 * (-2.0 * u.abs()).exp()
}

/// The spike of SingleSpike, which sends no gradient to the threshold, and the membrane after MembraneSubtract.
fn subtract(p: &Params, v: Dual) -> (Dual, Dual) {
    let z = (v - p["spike_threshold"].detach()).at_or_above(exponential);
    (z, v - z * p["spike_threshold"])
}

#[test]
fn sinabs() {
    let lif = Reference {
        library: "sinabs",
        neuron: "SinabsLIF",
        params: &[("tau_mem", 20.0), ("spike_threshold", 1.0)],
        set: &[],
        states: &["v_mem"],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let (z, v) = subtract(p, alpha * s[0] + (c(1.0) - alpha) * x);
            s[0] = v;
            Some(z)
        },
        input: (-5.0, 12.0),
        ..SPYX
    };
    lif.check();
    Reference {
        neuron: "SinabsLIFNoNorm",
        step: |p, s, x| {
            let (z, v) = subtract(p, decay(p["tau_mem"]) * s[0] + x);
            s[0] = v;
            Some(z)
        },
        input: (-0.3, 0.8),
        ..lif
    }
    .check();
    Reference {
        neuron: "SinabsLIFMultiSpike",
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let v = alpha * s[0] + (c(1.0) - alpha) * x;
            let n = (v / p["spike_threshold"].detach() - c(1.0)).count(exponential);
            s[0] = v - n * p["spike_threshold"];
            Some(n)
        },
        input: (-20.0, 36.0),
        ..lif
    }
    .check();
    Reference {
        neuron: "SinabsLIFMembraneReset",
        params: &[
            ("tau_mem", 20.0),
            ("spike_threshold", 1.0),
            ("reset_value", 0.0),
        ],
        set: &[("reset_value", 0.05)],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let v = alpha * s[0] + (c(1.0) - alpha) * x;
            let z = (v - p["spike_threshold"].detach()).at_or_above(exponential);
            s[0] = v * c(f64::from(z.value == 0.0)) + p["reset_value"];
            Some(z)
        },
        ..lif
    }
    .check();
    Reference {
        neuron: "SinabsIAF",
        params: &[("spike_threshold", 1.0)],
        step: |p, s, x| {
            let (z, v) = subtract(p, s[0] + x);
            s[0] = v;
            Some(z)
        },
        input: (-0.3, 0.8),
        ..lif
    }
    .check();
    let leak = Reference {
        neuron: "SinabsExpLeak",
        params: &[("tau_mem", 20.0)],
        step: |p, s, x| {
            s[0] = decay(p["tau_mem"]) * s[0] + x;
            None
        },
        ..lif
    };
    leak.check();
    Reference {
        neuron: "SinabsExpLeakNorm",
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            s[0] = alpha * s[0] + (c(1.0) - alpha) * x;
            None
        },
        ..leak
    }
    .check();
    Reference {
        neuron: "SinabsLIFSubtractValue",
        params: &[
            ("tau_mem", 20.0),
            ("spike_threshold", 1.0),
            ("subtract_value", 1.0),
        ],
        set: &[("subtract_value", 0.7)],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let (z, _) = subtract(p, alpha * s[0] + (c(1.0) - alpha) * x);
            s[0] = alpha * s[0] + (c(1.0) - alpha) * x - z * p["subtract_value"];
            Some(z)
        },
        ..lif
    }
    .check();
    let syn = Reference {
        neuron: "SinabsLIFSyn",
        params: &[
            ("tau_mem", 20.0),
            ("tau_syn", 10.0),
            ("spike_threshold", 1.0),
        ],
        states: &["i_syn", "v_mem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            s[0] = decay(p["tau_syn"]) * (s[0] + x);
            let (z, v) = subtract(p, alpha * s[1] + (c(1.0) - alpha) * s[0]);
            s[1] = v;
            Some(z)
        },
        input: (-1.5, 3.0),
        ..lif
    };
    syn.check();
    Reference {
        neuron: "SinabsLIFSynNoNorm",
        step: |p, s, x| {
            s[0] = decay(p["tau_syn"]) * (s[0] + x);
            let (z, v) = subtract(p, decay(p["tau_mem"]) * s[1] + s[0]);
            s[1] = v;
            Some(z)
        },
        input: (-0.2, 0.25),
        ..syn
    }
    .check();
}

/// MaxSpike: no more than two spikes, and the surrogate of the membrane as it is.
fn at_most_two(p: &Params, v: Dual) -> Dual {
    let x = v / p["spike_threshold"].detach();
    x.through(x.value.floor().clamp(0.0, 2.0), exponential(x.value - 1.0))
}

#[test]
fn sinabs_several_spikes() {
    let lif = Reference {
        library: "sinabs",
        neuron: "SinabsLIFMaxSpike",
        params: &[("tau_mem", 20.0), ("spike_threshold", 1.0)],
        set: &[("spike_threshold", 0.9)],
        states: &["v_mem"],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let v = alpha * s[0] + (c(1.0) - alpha) * x;
            let n = at_most_two(p, v);
            s[0] = v - n * p["spike_threshold"];
            Some(n)
        },
        input: (-40.0, 54.0),
        ..SPYX
    };
    lif.check();
    Reference {
        neuron: "SinabsIAFMaxSpike",
        params: &[("spike_threshold", 1.0)],
        step: |p, s, x| {
            let v = s[0] + x;
            let n = at_most_two(p, v);
            s[0] = v - n * p["spike_threshold"];
            Some(n)
        },
        input: (-2.0, 2.8),
        ..lif
    }
    .check();
    Reference {
        neuron: "SinabsIAFSyn",
        params: &[("tau_syn", 10.0), ("spike_threshold", 1.0)],
        set: &[],
        states: &["i_syn", "v_mem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = decay(p["tau_syn"]) * (s[0] + x);
            let (z, v) = subtract(p, s[1] + s[0]);
            s[1] = v;
            Some(z)
        },
        input: (-0.2, 0.25),
        ..lif
    }
    .check();
}

/// A spike of ALIF: the margin relative to the threshold, which is a constant there, and what it takes off.
fn adaptive(p: &Params, v: Dual, b: Dual) -> (Dual, Dual, Dual) {
    let threshold = p["spike_threshold"] + p["adapt_scale"] * b;
    let theta = threshold.value;
    let width = 0.5 * theta;
    let z = (v - threshold.detach()).at_or_above(|u| (-u.abs() / width).exp() / width);
    let rho = decay(p["tau_adapt"]);
    (z, v - z * threshold, rho * b + (c(1.0) - rho) * z)
}

#[test]
fn sinabs_adaptive() {
    let plain = Reference {
        library: "sinabs",
        neuron: "SinabsALIF",
        params: &[
            ("tau_mem", 20.0),
            ("tau_adapt", 100.0),
            ("adapt_scale", 1.8),
            ("spike_threshold", 1.0),
        ],
        set: &[("tau_adapt", 10.0)],
        states: &["v_mem", "b"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let v = alpha * s[0] + (c(1.0) - alpha) * x;
            let (z, v, b) = adaptive(p, v, s[1]);
            (s[0], s[1]) = (v, b);
            Some(z)
        },
        input: (-5.0, 14.0),
        ..SPYX
    };
    plain.check();
    Reference {
        neuron: "SinabsALIFSyn",
        params: &[
            ("tau_mem", 20.0),
            ("tau_syn", 10.0),
            ("tau_adapt", 100.0),
            ("adapt_scale", 1.8),
            ("spike_threshold", 1.0),
        ],
        set: &[("tau_adapt", 10.0), ("tau_mem", 1.5)],
        states: &["i_syn", "v_mem", "b"],
        start: |_| vec![c(0.0); 3],
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            s[0] = (c(1.0) - alpha) * decay(p["tau_syn"]) * (s[0] + x);
            let (z, v, b) = adaptive(p, alpha * s[1] + s[0], s[2]);
            (s[1], s[2]) = (v, b);
            Some(z)
        },
        input: (-1.0, 2.5),
        ..plain
    }
    .check();
}

/// StepPWL: 1[v ≥ θ − ½]/θ to v, and −v/θ² of it to the threshold.
fn step_pwl(v: Dual, threshold: Dual) -> Dual {
    let theta = threshold.value;
    let open = f64::from(v.value >= theta - 0.5);
    Dual {
        value: f64::from(v.value >= theta),
        slope: open * (v.slope / theta - v.value / (theta * theta) * threshold.slope),
    }
}

#[test]
fn rockpool() {
    let lif = Reference {
        library: "rockpool",
        neuron: "RockpoolLIFTorch",
        params: &[
            ("tau_mem", 20.0),
            ("tau_syn", 20.0),
            ("bias", 0.0),
            ("threshold", 1.0),
        ],
        set: &[("threshold", 0.8), ("bias", 0.02)],
        states: &["isyn", "vmem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = s[0] + x;
            s[1] = s[1] * decay(p["tau_mem"]);
            s[0] = s[0] * decay(p["tau_syn"]);
            s[1] = s[1] + s[0] + p["bias"];
            let z = step_pwl(s[1], p["threshold"]);
            s[1] = s[1] - z * p["threshold"];
            Some(z)
        },
        input: (-0.2, 0.25),
        ..SPYX
    };
    lif.check();
    Reference { set: &[], ..lif }.check();
    Reference {
        neuron: "RockpoolExpSynTorch",
        params: &[("tau", 10.0)],
        set: &[],
        states: &["isyn"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            s[0] = (s[0] + x) * decay(p["tau"]);
            None
        },
        ..lif
    }
    .check();
}
