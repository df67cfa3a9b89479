//! The neurons of `std/snntorch.snn` against the steps of snnTorch 1.0.0, with `atan(alpha = 2)`.

use std::f64::consts::PI;

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};

fn atan(u: f64) -> f64 {
    1.0 / (1.0 + (PI * u).powi(2))
}

/// R: whether the old membrane was above the threshold, a constant.
fn reset(p: &Params, mem: Dual) -> Dual {
    (mem - p["threshold"]).is_above()
}

fn fire(p: &Params, mem: Dual) -> Option<Dual> {
    Some((mem - p["threshold"]).above(atan))
}

const LEAKY: Reference = Reference {
    library: "snntorch",
    neuron: "SnnTorchLeaky",
    port: "x",
    other: None,
    params: &[("beta", 0.9), ("threshold", 1.0)],
    set: &[],
    states: &["mem"],
    start: |_| vec![c(0.0)],
    step: |p, s, x| {
        let r = reset(p, s[0]);
        s[0] = p["beta"] * s[0] + x - r * p["threshold"];
        fire(p, s[0])
    },
    input: (-0.3, 0.9),
};

#[test]
fn leaky() {
    LEAKY.check();
    // An old membrane of more than twice the threshold is still above it after the reset.
    Reference {
        set: &[("beta", 0.7), ("threshold", 0.6)],
        input: (-1.0, 2.5),
        ..LEAKY
    }
    .check();
    Reference {
        neuron: "SnnTorchLeakyZero",
        step: |p, s, x| {
            s[0] = (c(1.0) - reset(p, s[0])) * s[0];
            s[0] = p["beta"] * s[0] + x;
            fire(p, s[0])
        },
        ..LEAKY
    }
    .check();
    Reference {
        neuron: "SnnTorchLeakyNone",
        step: |p, s, x| {
            s[0] = p["beta"] * s[0] + x;
            fire(p, s[0])
        },
        input: (-0.5, 0.5),
        ..LEAKY
    }
    .check();
}

#[test]
fn beta_is_clamped() {
    Reference {
        params: &[("beta", 1.2), ("threshold", 1.0)],
        set: &[("beta", 1.2)],
        // Outside of [0, 1] no gradient reaches beta.
        step: |p, s, x| {
            let r = reset(p, s[0]);
            s[0] = c(1.0) * s[0] + x - r * p["threshold"];
            fire(p, s[0])
        },
        ..LEAKY
    }
    .check();
}

#[test]
fn delta() {
    Reference {
        neuron: "SnnTorchDeltaLeaky",
        params: &[("beta", 0.9), ("delta_threshold", 1.0)],
        set: &[("delta_threshold", 0.6)],
        step: |p, s, x| {
            let next = p["beta"] * s[0] + x;
            let change = (next - s[0]).abs();
            s[0] = next;
            Some((change - p["delta_threshold"]).above(atan))
        },
        input: (-1.0, 1.0),
        ..LEAKY
    }
    .check();
}

#[test]
fn leaky_without_reset_delay() {
    let steps = [
        Reference {
            neuron: "SnnTorchLeakyNoDelay",
            step: |p, s, x| {
                let r = reset(p, s[0]);
                let u = p["beta"] * s[0] + x - r * p["threshold"];
                let spike = (u - p["threshold"]).above(atan);
                s[0] = u - (spike - r) * p["threshold"];
                Some(spike)
            },
            ..LEAKY
        },
        Reference {
            neuron: "SnnTorchLeakyZeroNoDelay",
            step: |p, s, x| {
                let r = reset(p, s[0]);
                let u = p["beta"] * ((c(1.0) - r) * s[0]) + x;
                let spike = (u - p["threshold"]).above(atan);
                s[0] = u - (spike - r) * u;
                Some(spike)
            },
            ..LEAKY
        },
    ];
    for reference in steps {
        reference.check();
        // Strong enough for R and a spike in one step.
        Reference {
            input: (-2.0, 4.0),
            ..reference
        }
        .check();
    }
}

const SYNAPTIC: Reference = Reference {
    neuron: "SnnTorchSynaptic",
    params: &[("alpha", 0.9), ("beta", 0.9), ("threshold", 1.0)],
    states: &["syn", "mem"],
    start: |_| vec![c(0.0), c(0.0)],
    step: |p, s, x| {
        let r = reset(p, s[1]);
        s[0] = p["alpha"] * s[0] + x;
        s[1] = p["beta"] * s[1] + s[0] - r * p["threshold"];
        fire(p, s[1])
    },
    input: (-0.3, 0.4),
    ..LEAKY
};

#[test]
fn synaptic() {
    SYNAPTIC.check();
    Reference {
        neuron: "SnnTorchSynapticZero",
        step: |p, s, x| {
            let r = reset(p, s[1]);
            s[0] = p["alpha"] * s[0] + x;
            s[1] = p["beta"] * s[1] + s[0];
            s[1] = s[1] - r * s[1];
            fire(p, s[1])
        },
        ..SYNAPTIC
    }
    .check();
    Reference {
        neuron: "SnnTorchSynapticNone",
        step: |p, s, x| {
            s[0] = p["alpha"] * s[0] + x;
            s[1] = p["beta"] * s[1] + s[0];
            fire(p, s[1])
        },
        input: (-0.3, 0.3),
        ..SYNAPTIC
    }
    .check();
}

const RLEAKY: Reference = Reference {
    neuron: "SnnTorchRLeaky",
    params: &[("beta", 0.9), ("threshold", 1.0), ("V", 1.0)],
    set: &[("V", 0.4)],
    states: &["mem", "spk"],
    start: |_| vec![c(0.0), c(0.0)],
    step: |p, s, x| {
        let r = reset(p, s[0]);
        s[0] = p["beta"] * s[0] + x + p["V"] * s[1] - r * p["threshold"];
        s[1] = (s[0] - p["threshold"]).above(atan);
        Some(s[1])
    },
    ..LEAKY
};

const RSYNAPTIC: Reference = Reference {
    neuron: "SnnTorchRSynaptic",
    params: &[
        ("alpha", 0.9),
        ("beta", 0.9),
        ("threshold", 1.0),
        ("V", 1.0),
    ],
    set: &[("V", -0.2)],
    states: &["syn", "mem", "spk"],
    start: |_| vec![c(0.0); 3],
    step: |p, s, x| {
        let r = reset(p, s[1]);
        s[0] = p["alpha"] * s[0] + x + p["V"] * s[2];
        s[1] = p["beta"] * s[1] + s[0] - r * p["threshold"];
        s[2] = (s[1] - p["threshold"]).above(atan);
        Some(s[2])
    },
    input: (-0.3, 0.4),
    ..LEAKY
};

#[test]
fn one_to_one_recurrence() {
    RLEAKY.check();
    Reference {
        neuron: "SnnTorchRLeakyZero",
        step: |p, s, x| {
            let r = reset(p, s[0]);
            let u = p["beta"] * s[0] + x + p["V"] * s[1];
            s[0] = u - r * u;
            s[1] = (s[0] - p["threshold"]).above(atan);
            Some(s[1])
        },
        ..RLEAKY
    }
    .check();
    Reference {
        neuron: "SnnTorchRLeakyNoDelay",
        step: |p, s, x| {
            let r = reset(p, s[0]);
            let u = p["beta"] * s[0] + x + p["V"] * s[1] - r * p["threshold"];
            s[1] = (u - p["threshold"]).above(atan);
            s[0] = u - (s[1] - r) * p["threshold"];
            Some(s[1])
        },
        ..RLEAKY
    }
    .check();
    RSYNAPTIC.check();
    Reference {
        neuron: "SnnTorchRSynapticZero",
        step: |p, s, x| {
            let r = reset(p, s[1]);
            s[0] = p["alpha"] * s[0] + x + p["V"] * s[2];
            let u = p["beta"] * s[1] + s[0];
            s[1] = u - r * u;
            s[2] = (s[1] - p["threshold"]).above(atan);
            Some(s[2])
        },
        ..RSYNAPTIC
    }
    .check();
}

/// x·R·1/(RC)·T + (1 − T/(RC))·U.
fn lapicque(p: &Params, mem: Dual, x: Dual) -> Dual {
    let rc = p["R"] * p["C"];
    x * p["R"] * (c(1.0) / rc) * p["time_step"] + (c(1.0) - p["time_step"] / rc) * mem
}

#[test]
fn lapicque_circuits() {
    // C = 1 / ln(1/0.9).
    let subtract = Reference {
        neuron: "SnnTorchLapicque",
        params: &[
            ("time_step", 1.0),
            ("R", 1.0),
            ("C", 9.491_221_581_029_903),
            ("threshold", 1.0),
        ],
        step: |p, s, x| {
            let r = reset(p, s[0]);
            s[0] = lapicque(p, s[0], x) - r * p["threshold"];
            fire(p, s[0])
        },
        input: (-3.0, 9.0),
        ..LEAKY
    };
    subtract.check();
    Reference {
        set: &[("R", 5.0), ("C", 1.44)],
        input: (-1.0, 2.0),
        ..subtract
    }
    .check();
    Reference {
        neuron: "SnnTorchLapicqueZero",
        step: |p, s, x| {
            let r = reset(p, s[0]);
            s[0] = lapicque(p, s[0], x) - r * lapicque(p, s[0], x);
            fire(p, s[0])
        },
        ..subtract
    }
    .check();
    Reference {
        neuron: "SnnTorchLapicqueNone",
        step: |p, s, x| {
            s[0] = lapicque(p, s[0], x);
            fire(p, s[0])
        },
        input: (-6.0, 8.0),
        ..subtract
    }
    .check();
}

/// τ_α = ln α / (ln β − ln α) + 1.
fn tau_alpha(p: &Params) -> Dual {
    let (alpha, beta) = (p["alpha"].ln(), p["beta"].ln());
    alpha / (beta - alpha) + c(1.0)
}

#[test]
fn alpha_functions() {
    let zero = Reference {
        neuron: "SnnTorchAlpha",
        params: &[("alpha", 0.9), ("beta", 0.8), ("threshold", 1.0)],
        states: &["syn_exc", "syn_inh", "mem"],
        start: |_| vec![c(0.0); 3],
        step: |p, s, x| {
            let keep = c(1.0) - reset(p, s[2]);
            let (exc, inh) = (p["alpha"] * s[0] + x, p["beta"] * s[1] - x);
            s[0] = keep * exc;
            s[1] = keep * inh;
            s[2] = keep * tau_alpha(p) * (exc + inh);
            fire(p, s[2])
        },
        input: (-1.0, 3.0),
        ..LEAKY
    };
    zero.check();
    Reference {
        neuron: "SnnTorchAlphaSubtract",
        step: |p, s, x| {
            let r = reset(p, s[2]);
            let (exc, inh) = (p["alpha"] * s[0] + x, p["beta"] * s[1] - x);
            s[2] = tau_alpha(p) * (exc + inh) + r * s[1];
            s[0] = exc - r * p["threshold"];
            s[1] = inh - r * inh;
            fire(p, s[2])
        },
        ..zero
    }
    .check();
    Reference {
        neuron: "SnnTorchAlphaNone",
        step: |p, s, x| {
            s[0] = p["alpha"] * s[0] + x;
            s[1] = p["beta"] * s[1] - x;
            s[2] = tau_alpha(p) * (s[0] + s[1]);
            fire(p, s[2])
        },
        input: (-2.0, 2.0),
        ..zero
    }
    .check();
}

/// The nearest of 2^bits levels from −1 to 1.2; the gradient passes as it is.
fn quantised(mem: Dual, bits: i32) -> Dual {
    let count = 2.0f64.powi(bits);
    let levels = (0..count as u32).map(|k| -1.0 + 2.2 * f64::from(k) / (count - 1.0));
    let distance = |level: &f64| (level - mem.value).abs();
    let nearest = levels.min_by(|a, b| distance(a).total_cmp(&distance(b)));
    mem.through(nearest.expect("there are levels"), 1.0)
}

#[test]
fn levels_of_the_membrane() {
    let eight = Reference {
        neuron: "SnnTorchLeakyStateQuant",
        step: |p, s, x| {
            let r = reset(p, s[0]);
            s[0] = quantised(p["beta"] * s[0] + x - r * p["threshold"], 8);
            fire(p, s[0])
        },
        ..LEAKY
    };
    eight.check();
    Reference {
        set: &[("num_bits", 3.0)],
        step: |p, s, x| {
            let r = reset(p, s[0]);
            s[0] = quantised(p["beta"] * s[0] + x - r * p["threshold"], 3);
            fire(p, s[0])
        },
        ..eight
    }
    .check();
}

#[test]
fn without_a_loop_over_time() {
    Reference {
        neuron: "SnnTorchLeakyParallel",
        step: |p, s, x| {
            s[0] = (p["beta"] * s[0] + x).relu();
            fire(p, s[0])
        },
        input: (-0.6, 0.8),
        ..LEAKY
    }
    .check();
    Reference {
        neuron: "SnnTorchStateLeaky",
        params: &[("tau", 10.0), ("threshold", 1.0)],
        step: |p, s, x| {
            s[0] = (-(c(1.0) / p["tau"])).exp() * s[0] + x;
            fire(p, s[0])
        },
        set: &[("tau", 4.0)],
        input: (-0.5, 0.8),
        ..LEAKY
    }
    .check();
}

/// What `reset_delay = False` takes off at once, less what was taken off for the last spike.
fn at_once(p: &Params, old: Dual, u: Dual) -> (Dual, Dual) {
    let spike = (u - p["threshold"]).above(atan);
    (spike, spike - reset(p, old))
}

#[test]
fn resets_in_the_same_step() {
    let synaptic = Reference {
        neuron: "SnnTorchSynapticNoDelay",
        params: &[("alpha", 0.9), ("beta", 0.9), ("threshold", 1.0)],
        set: &[("alpha", 0.6), ("beta", 0.8)],
        states: &["syn", "mem"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = p["alpha"] * s[0] + x;
            let u = p["beta"] * s[1] + s[0] - reset(p, s[1]) * p["threshold"];
            let (spike, take) = at_once(p, s[1], u);
            s[1] = u - take * p["threshold"];
            Some(spike)
        },
        ..LEAKY
    };
    synaptic.check();
    Reference {
        neuron: "SnnTorchSynapticZeroNoDelay",
        step: |p, s, x| {
            s[0] = p["alpha"] * s[0] + x;
            let u = (c(1.0) - reset(p, s[1])) * (p["beta"] * s[1] + s[0]);
            let (spike, take) = at_once(p, s[1], u);
            s[1] = u - take * u;
            Some(spike)
        },
        ..synaptic
    }
    .check();
    Reference {
        neuron: "SnnTorchRLeakyZeroNoDelay",
        params: &[("beta", 0.9), ("threshold", 1.0), ("V", 1.0)],
        set: &[("V", 0.3)],
        states: &["mem", "spk"],
        step: |p, s, x| {
            let drive = p["beta"] * s[0] + x + p["V"] * s[1];
            let u = (c(1.0) - reset(p, s[0])) * drive;
            let (spike, take) = at_once(p, s[0], u);
            s[0] = u - take * u;
            s[1] = spike;
            Some(spike)
        },
        ..synaptic
    }
    .check();
}

#[test]
fn recurrent_without_reset() {
    let leaky = Reference {
        neuron: "SnnTorchRLeakyNone",
        params: &[("beta", 0.9), ("threshold", 1.0), ("V", 1.0)],
        set: &[("V", -0.4)],
        states: &["mem", "spk"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = p["beta"] * s[0] + x + p["V"] * s[1];
            s[1] = (s[0] - p["threshold"]).above(atan);
            Some(s[1])
        },
        input: (-0.4, 0.6),
        ..LEAKY
    };
    leaky.check();
    Reference {
        neuron: "SnnTorchRSynapticNone",
        params: &[
            ("alpha", 0.9),
            ("beta", 0.9),
            ("threshold", 1.0),
            ("V", 1.0),
        ],
        set: &[("alpha", 0.5), ("beta", 0.7), ("V", -0.4)],
        states: &["syn", "mem", "spk"],
        start: |_| vec![c(0.0); 3],
        step: |p, s, x| {
            s[0] = p["alpha"] * s[0] + x + p["V"] * s[2];
            s[1] = p["beta"] * s[1] + s[0];
            s[2] = (s[1] - p["threshold"]).above(atan);
            Some(s[2])
        },
        ..leaky
    }
    .check();
}
