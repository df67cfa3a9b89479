//! The neurons of `std/spikingjelly.snn` against SpikingJelly's charge, fire and reset, with `Sigmoid(4)`.

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};

fn sigmoid4(u: f64) -> f64 {
    let s = 1.0 / (1.0 + (-4.0 * u).exp());
    4.0 * s * (1.0 - s)
}

/// Θ(h − v_threshold).
fn fire(p: &Params, h: Dual) -> Dual {
    (h - p["v_threshold"]).at_or_above(sigmoid4)
}

/// `jit_hard_reset`: (1 − s) h + s v_reset.
fn hard(p: &Params, h: Dual, s: Dual) -> Dual {
    (c(1.0) - s) * h + s * p["v_reset"]
}

/// `jit_soft_reset`.
fn soft(p: &Params, h: Dual, s: Dual) -> Dual {
    h - s * p["v_threshold"]
}

const HARD: Reference = Reference {
    library: "spikingjelly",
    neuron: "SpikingJellyIF",
    port: "x",
    other: None,
    params: &[("v_threshold", 1.0), ("v_reset", 0.0)],
    set: &[],
    states: &["v"],
    start: |p| vec![p["v_reset"].detach()],
    step: |p, s, x| {
        let h = s[0] + x;
        let spike = fire(p, h);
        s[0] = hard(p, h, spike);
        Some(spike)
    },
    input: (-0.3, 0.9),
};

const SOFT: Reference = Reference {
    neuron: "SpikingJellyIFSoft",
    params: &[("v_threshold", 1.0)],
    start: |_| vec![c(0.0)],
    step: |p, s, x| {
        let h = s[0] + x;
        let spike = fire(p, h);
        s[0] = soft(p, h, spike);
        Some(spike)
    },
    ..HARD
};

#[test]
fn integrate_and_fire() {
    HARD.check();
    SOFT.check();
    Reference {
        neuron: "SpikingJellyIFDetached",
        step: |p, s, x| {
            let h = s[0] + x;
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        ..HARD
    }
    .check();
    Reference {
        neuron: "SpikingJellyIFSoftDetached",
        step: |p, s, x| {
            let h = s[0] + x;
            let spike = fire(p, h);
            s[0] = soft(p, h, spike.detach());
            Some(spike)
        },
        ..SOFT
    }
    .check();
    Reference {
        neuron: "SpikingJellyNonSpikingIF",
        params: &[],
        start: |_| vec![c(0.0)],
        step: |_, s, x| {
            s[0] = s[0] + x;
            None
        },
        ..HARD
    }
    .check();
}

fn decayed_input(p: &Params, v: Dual, rest: Dual, x: Dual) -> Dual {
    v + (x - (v - rest)) / p["tau"]
}

fn plain_input(p: &Params, v: Dual, rest: Dual, x: Dual) -> Dual {
    v - (v - rest) / p["tau"] + x
}

const LIF: Reference = Reference {
    neuron: "SpikingJellyLIF",
    params: &[("tau", 2.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
    step: |p, s, x| {
        let h = decayed_input(p, s[0], p["v_reset"], x);
        let spike = fire(p, h);
        s[0] = hard(p, h, spike);
        Some(spike)
    },
    input: (-0.5, 2.5),
    ..HARD
};

const LIF_SOFT: Reference = Reference {
    neuron: "SpikingJellyLIFSoft",
    params: &[("tau", 2.0), ("v_threshold", 1.0)],
    step: |p, s, x| {
        let h = decayed_input(p, s[0], c(0.0), x);
        let spike = fire(p, h);
        s[0] = soft(p, h, spike);
        Some(spike)
    },
    input: (-0.5, 2.5),
    ..SOFT
};

#[test]
fn leaky() {
    LIF.check();
    Reference {
        set: &[("tau", 5.0), ("v_threshold", 0.7), ("v_reset", -0.3)],
        ..LIF
    }
    .check();
    Reference {
        neuron: "SpikingJellyLIFDetached",
        step: |p, s, x| {
            let h = decayed_input(p, s[0], p["v_reset"], x);
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        set: &[("v_reset", 0.2)],
        ..LIF
    }
    .check();
    LIF_SOFT.check();
    Reference {
        neuron: "SpikingJellyLIFSoftDetached",
        step: |p, s, x| {
            let h = decayed_input(p, s[0], c(0.0), x);
            let spike = fire(p, h);
            s[0] = soft(p, h, spike.detach());
            Some(spike)
        },
        ..LIF_SOFT
    }
    .check();
    Reference {
        neuron: "SpikingJellyNonSpikingLIF",
        params: &[("tau", 2.0)],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            s[0] = s[0] + (x - s[0]) / p["tau"];
            None
        },
        ..HARD
    }
    .check();
}

#[test]
fn leaky_without_decay_of_the_input() {
    let hard_reset = Reference {
        neuron: "SpikingJellyLIFNoDecayInput",
        set: &[("v_reset", 0.1)],
        step: |p, s, x| {
            let h = plain_input(p, s[0], p["v_reset"], x);
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        input: (-0.3, 1.3),
        ..LIF
    };
    hard_reset.check();
    Reference {
        neuron: "SpikingJellyLIFNoDecayInputDetached",
        step: |p, s, x| {
            let h = plain_input(p, s[0], p["v_reset"], x);
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        ..hard_reset
    }
    .check();
    let soft_reset = Reference {
        neuron: "SpikingJellyLIFNoDecayInputSoft",
        step: |p, s, x| {
            let h = plain_input(p, s[0], c(0.0), x);
            let spike = fire(p, h);
            s[0] = soft(p, h, spike);
            Some(spike)
        },
        input: (-0.3, 1.3),
        ..LIF_SOFT
    };
    soft_reset.check();
    Reference {
        neuron: "SpikingJellyLIFNoDecayInputSoftDetached",
        step: |p, s, x| {
            let h = plain_input(p, s[0], c(0.0), x);
            let spike = fire(p, h);
            s[0] = soft(p, h, spike.detach());
            Some(spike)
        },
        ..soft_reset
    }
    .check();
}

#[test]
fn parametric() {
    // −ln(init_tau − 1) = 0 for init_tau = 2.
    let decay = Reference {
        neuron: "SpikingJellyParametricLIF",
        params: &[("w", 0.0), ("v_threshold", 1.0), ("v_reset", 0.0)],
        step: |p, s, x| {
            let h = s[0] + (x - (s[0] - p["v_reset"])) * p["w"].sigmoid();
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        ..LIF
    };
    decay.check();
    Reference {
        neuron: "SpikingJellyParametricLIFDetached",
        step: |p, s, x| {
            let h = s[0] + (x - (s[0] - p["v_reset"])) * p["w"].sigmoid();
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        ..decay
    }
    .check();
    Reference {
        neuron: "SpikingJellyParametricLIFNoDecayInput",
        set: &[("w", -0.7)],
        step: |p, s, x| {
            let h = s[0] - (s[0] - p["v_reset"]) * p["w"].sigmoid() + x;
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        input: (-0.3, 1.0),
        ..decay
    }
    .check();
    let soft_reset = Reference {
        neuron: "SpikingJellyParametricLIFSoft",
        params: &[("w", 0.0), ("v_threshold", 1.0)],
        step: |p, s, x| {
            let h = s[0] + (x - s[0]) * p["w"].sigmoid();
            let spike = fire(p, h);
            s[0] = soft(p, h, spike);
            Some(spike)
        },
        ..LIF_SOFT
    };
    soft_reset.check();
    Reference {
        neuron: "SpikingJellyParametricLIFNoDecayInputSoft",
        step: |p, s, x| {
            let h = s[0] - s[0] * p["w"].sigmoid() + x;
            let spike = fire(p, h);
            s[0] = soft(p, h, spike);
            Some(spike)
        },
        input: (-0.3, 1.0),
        ..soft_reset
    }
    .check();
}

fn quadratic(p: &Params, v: Dual) -> Dual {
    p["a0"] * (v - p["v_rest"]) * (v - p["v_c"])
}

#[test]
fn quadratic_and_exponential() {
    let qif = Reference {
        neuron: "SpikingJellyQIF",
        params: &[
            ("tau", 2.0),
            ("v_c", 0.8),
            ("a0", 1.0),
            ("v_threshold", 1.0),
            ("v_rest", 0.0),
            ("v_reset", -0.1),
        ],
        step: |p, s, x| {
            let h = s[0] + (x + quadratic(p, s[0])) / p["tau"];
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        input: (-0.5, 1.5),
        ..HARD
    };
    qif.check();
    Reference {
        neuron: "SpikingJellyQIFDetached",
        step: |p, s, x| {
            let h = s[0] + (x + quadratic(p, s[0])) / p["tau"];
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        ..qif
    }
    .check();
    let eif = Reference {
        neuron: "SpikingJellyEIF",
        params: &[
            ("tau", 2.0),
            ("delta_T", 1.0),
            ("theta_rh", 0.8),
            ("v_threshold", 1.0),
            ("v_rest", 0.0),
            ("v_reset", -0.1),
        ],
        step: |p, s, x| {
            let upstroke = p["delta_T"] * ((s[0] - p["theta_rh"]) / p["delta_T"]).exp();
            let h = s[0] + (x - (s[0] - p["v_rest"]) + upstroke) / p["tau"];
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            Some(spike)
        },
        input: (-1.0, 1.5),
        ..HARD
    };
    eif.check();
    Reference {
        neuron: "SpikingJellyEIFDetached",
        step: |p, s, x| {
            let upstroke = p["delta_T"] * ((s[0] - p["theta_rh"]) / p["delta_T"]).exp();
            let h = s[0] + (x - (s[0] - p["v_rest"]) + upstroke) / p["tau"];
            let spike = fire(p, h);
            s[0] = hard(p, h, spike.detach());
            Some(spike)
        },
        ..eif
    }
    .check();
}

/// Charge, then adaptation from the charged membrane.
fn izhikevich(p: &Params, s: &[Dual], x: Dual) -> (Dual, Dual) {
    let h = s[0] + (x + quadratic(p, s[0]) - s[1]) / p["tau"];
    let w = s[1] + (p["a"] * (h - p["v_rest"]) - s[1]) / p["tau_w"];
    (h, w)
}

#[test]
fn izhikevich_nodes() {
    let attached = Reference {
        neuron: "SpikingJellyIzhikevich",
        params: &[
            ("tau", 2.0),
            ("v_c", 0.8),
            ("a0", 1.0),
            ("v_threshold", 1.0),
            ("v_reset", 0.0),
            ("v_rest", -0.1),
            ("w_rest", 0.0),
            ("tau_w", 2.0),
            ("a", 0.0),
            ("b", 0.0),
        ],
        states: &["v", "w"],
        start: |p| vec![p["v_reset"].detach(), p["w_rest"].detach()],
        step: |p, s, x| {
            let (h, w) = izhikevich(p, s, x);
            let spike = fire(p, h);
            s[0] = hard(p, h, spike);
            s[1] = w + p["b"] * spike;
            Some(spike)
        },
        input: (-0.5, 2.0),
        ..HARD
    };
    attached.check();
    let set: &[(&str, f64)] = &[("a", 0.3), ("b", 0.2), ("v_reset", -0.05)];
    Reference { set, ..attached }.check();
    Reference {
        neuron: "SpikingJellyIzhikevichDetached",
        set,
        // detach_reset cuts (1 − s) only: s v_reset and b s are differentiated.
        step: |p, s, x| {
            let (h, w) = izhikevich(p, s, x);
            let spike = fire(p, h);
            s[0] = (c(1.0) - spike.detach()) * h + spike * p["v_reset"];
            s[1] = w + p["b"] * spike;
            Some(spike)
        },
        ..attached
    }
    .check();
    Reference {
        neuron: "SpikingJellyIzhikevichSoft",
        params: &[
            ("tau", 2.0),
            ("v_threshold", 1.0),
            ("a", 0.0),
            ("b", 0.0),
            ("v_c", 0.8),
            ("a0", 1.0),
            ("v_rest", -0.1),
            ("w_rest", 0.0),
            ("tau_w", 2.0),
        ],
        set: &[("a", 0.3), ("b", 0.2)],
        start: |p| vec![c(0.0), p["w_rest"].detach()],
        step: |p, s, x| {
            let (h, w) = izhikevich(p, s, x);
            let spike = fire(p, h);
            s[0] = soft(p, h, spike);
            s[1] = w + p["b"] * spike;
            Some(spike)
        },
        ..attached
    }
    .check();
}

/// Rect(1).
fn rect(u: f64) -> f64 {
    f64::from(u.abs() < 0.5)
}

#[test]
fn current_based() {
    let hard_reset = Reference {
        neuron: "SpikingJellyCUBALIF",
        params: &[
            ("c_decay", 0.5),
            ("v_decay", 0.75),
            ("v_threshold", 0.5),
            ("v_reset", 0.0),
        ],
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
        ..HARD
    };
    hard_reset.check();
    Reference {
        neuron: "SpikingJellyCUBALIFSoft",
        params: &[("c_decay", 0.5), ("v_decay", 0.75), ("v_threshold", 0.5)],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            s[0] = s[0] * p["c_decay"] + x;
            let h = s[1] * p["v_decay"] + s[0];
            let spike = (h - p["v_threshold"]).at_or_above(rect);
            s[1] = soft(p, h, spike);
            Some(spike)
        },
        ..hard_reset
    }
    .check();
}

#[test]
fn klif() {
    let hard_reset = Reference {
        neuron: "SpikingJellyKLIF",
        params: &[
            ("tau", 2.0),
            ("k", 1.0),
            ("v_threshold", 1.0),
            ("v_reset", 0.0),
        ],
        set: &[("k", 1.3)],
        step: |p, s, x| {
            let f = (p["k"] * decayed_input(p, s[0], p["v_reset"], x)).relu();
            let spike = fire(p, f);
            s[0] = hard(p, f, spike);
            Some(spike)
        },
        ..LIF
    };
    hard_reset.check();
    Reference {
        neuron: "SpikingJellyKLIFScaled",
        step: |p, s, x| {
            let f = (p["k"] * decayed_input(p, s[0], p["v_reset"], x)).relu();
            let spike = fire(p, f);
            s[0] = hard(p, f / p["k"], spike);
            Some(spike)
        },
        ..hard_reset
    }
    .check();
    Reference {
        neuron: "SpikingJellyKLIFNoDecayInput",
        step: |p, s, x| {
            let f = (p["k"] * plain_input(p, s[0], p["v_reset"], x)).relu();
            let spike = fire(p, f);
            s[0] = hard(p, f, spike);
            Some(spike)
        },
        input: (-0.4, 1.0),
        ..hard_reset
    }
    .check();
    let soft_reset = Reference {
        neuron: "SpikingJellyKLIFSoft",
        params: &[("tau", 2.0), ("k", 1.0), ("v_threshold", 1.0)],
        set: &[("k", 1.3)],
        step: |p, s, x| {
            let f = (p["k"] * decayed_input(p, s[0], c(0.0), x)).relu();
            let spike = fire(p, f);
            s[0] = soft(p, f, spike);
            Some(spike)
        },
        ..LIF_SOFT
    };
    soft_reset.check();
    Reference {
        neuron: "SpikingJellyKLIFScaledSoft",
        step: |p, s, x| {
            let f = (p["k"] * decayed_input(p, s[0], c(0.0), x)).relu();
            let spike = fire(p, f);
            s[0] = soft(p, f, spike) / p["k"];
            Some(spike)
        },
        ..soft_reset
    }
    .check();
}

#[test]
fn gated() {
    Reference {
        neuron: "SpikingJellyGatedLIF",
        params: &[
            ("alpha", 0.0),
            ("beta", 0.0),
            ("gamma", 0.0),
            // −ln(1/0.25 − 1), −ln(1/0.5 − 1), −ln(1/(0.5/32) − 1).
            ("tau", -1.098_612_288_668_109_8),
            ("v_threshold", 0.0),
            ("linear_decay", -4.143_134_726_391_533),
            ("v_subreset", 0.0),
            ("conduct", 0.0),
        ],
        states: &["u", "last"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let gate = |name: &str| p[name].sigmoid();
            let one = c(1.0);
            let decay = one - gate("alpha") * (one - gate("tau"));
            let (v, last) = (s[0], s[1]);
            let charged = decay * v - (one - gate("alpha")) * gate("linear_decay")
                + x * (one - gate("beta") * (one - gate("conduct")));
            s[0] = charged
                - decay * v * gate("gamma") * last
                - (one - gate("gamma")) * gate("v_subreset") * last;
            s[1] = (s[0] - gate("v_threshold")).at_or_above(sigmoid4);
            Some(s[1])
        },
        input: (-0.3, 0.8),
        ..HARD
    }
    .check();
}
