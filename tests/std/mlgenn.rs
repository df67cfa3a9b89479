//! The neurons of `std/mlgenn.snn` against the steps of mlGeNN, with the surrogate of its e-prop.

use ndarray::Array2;

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};
use crate::simulate::Simulation;

fn decay(tau: Dual) -> Dual {
    (-(c(1.0) / tau)).exp()
}

/// (0.3/θ)·max(0, 1 − |u|/θ) of the margin V − θ; θ in it is a constant.
fn fire(p: &Params, margin: Dual) -> Dual {
    let theta = p["v_thresh"].value;
    margin.at_or_above(|u| 0.3 / theta * (1.0 - u.abs() / theta).max(0.0))
}

/// V after a spike, which is a constant for the backward.
fn relative(p: &Params, v: Dual, spike: Dual) -> Dual {
    v - spike.detach() * (p["v_thresh"] - p["v_reset"])
}

fn absolute(p: &Params, v: Dual, spike: Dual) -> Dual {
    (c(1.0) - spike.detach()) * v + spike.detach() * p["v_reset"]
}

const LIF: Reference = Reference {
    library: "mlgenn",
    neuron: "MlGeNNLeakyIntegrateFire",
    port: "x",
    other: None,
    params: &[("v_thresh", 1.0), ("v_reset", 0.0), ("tau_mem", 20.0)],
    set: &[("v_thresh", 0.8), ("v_reset", 0.1)],
    states: &["V"],
    start: |_| vec![c(0.0)],
    step: |p, s, x| {
        let v = decay(p["tau_mem"]) * s[0] + x;
        let spike = fire(p, v - p["v_thresh"]);
        s[0] = relative(p, v, spike);
        Some(spike)
    },
    input: (-0.3, 0.8),
};

#[test]
fn integrate_and_fire() {
    LIF.check();
    Reference {
        neuron: "MlGeNNLeakyIntegrateFireAbsolute",
        step: |p, s, x| {
            let v = decay(p["tau_mem"]) * s[0] + x;
            let spike = fire(p, v - p["v_thresh"]);
            s[0] = absolute(p, v, spike);
            Some(spike)
        },
        ..LIF
    }
    .check();
    Reference {
        neuron: "MlGeNNLeakyIntegrateFireScaled",
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            let v = alpha * s[0] + (c(1.0) - alpha) * x;
            let spike = fire(p, v - p["v_thresh"]);
            s[0] = relative(p, v, spike);
            Some(spike)
        },
        input: (-5.0, 13.0),
        ..LIF
    }
    .check();
    Reference {
        neuron: "MlGeNNIntegrateFire",
        params: &[("v_thresh", 1.0), ("v_reset", 0.0)],
        step: |p, s, x| {
            let v = s[0] + x;
            let spike = fire(p, v - p["v_thresh"]);
            s[0] = absolute(p, v, spike);
            Some(spike)
        },
        ..LIF
    }
    .check();
    Reference {
        neuron: "MlGeNNAdaptiveLeakyIntegrateFire",
        params: &[
            ("v_thresh", 1.0),
            ("v_reset", 0.0),
            ("beta", 0.0174),
            ("tau_mem", 20.0),
            ("tau_adapt", 2000.0),
        ],
        set: &[("beta", 0.3), ("tau_adapt", 30.0)],
        states: &["V", "A"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let v = decay(p["tau_mem"]) * s[0] + x;
            let a = decay(p["tau_adapt"]) * s[1];
            let spike = fire(p, v - (p["v_thresh"] + p["beta"] * a));
            s[0] = relative(p, v, spike);
            s[1] = a + spike.detach();
            Some(spike)
        },
        ..LIF
    }
    .check();
}

/// A time that is counted down in every step; a spike needs it to be over.
#[test]
fn refractory() {
    let held = Reference {
        neuron: "MlGeNNLeakyIntegrateFireRefracHold",
        states: &["V", "RefracTime"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let mut v = s[0];
            if s[1].value > 0.0 {
                s[1] = s[1] - c(1.0);
            } else {
                v = decay(p["tau_mem"]) * v + x;
            }
            let ready = s[1].value <= 0.0;
            let margin = if ready {
                v - p["v_thresh"]
            } else {
                -p["v_thresh"]
            };
            let spike = fire(p, margin);
            s[0] = relative(p, v, spike);
            if spike.value > 0.0 {
                s[1] = c(5.0);
            }
            Some(spike)
        },
        input: (-0.3, 1.2),
        ..LIF
    };
    held.check();
    Reference {
        neuron: "MlGeNNLeakyIntegrateFireRefrac",
        states: &["V"],
        // The time is not among the states of the neuron.
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| {
            let v = decay(p["tau_mem"]) * s[0] + x;
            if s[1].value > 0.0 {
                s[1] = s[1] - c(1.0);
            }
            let ready = s[1].value <= 0.0;
            let spike = if ready {
                fire(p, v - p["v_thresh"])
            } else {
                c(0.0)
            };
            s[0] = relative(p, v, spike);
            if spike.value > 0.0 {
                s[1] = c(5.0);
            }
            Some(spike)
        },
        ..held
    }
    .check();
}

#[test]
fn readouts() {
    let plain = Reference {
        neuron: "MlGeNNLeakyIntegrate",
        params: &[("bias", 0.0), ("tau_mem", 20.0)],
        set: &[("bias", 0.1)],
        step: |p, s, x| {
            s[0] = decay(p["tau_mem"]) * s[0] + x + p["bias"];
            None
        },
        ..LIF
    };
    plain.check();
    Reference {
        neuron: "MlGeNNLeakyIntegrateScaled",
        step: |p, s, x| {
            let alpha = decay(p["tau_mem"]);
            s[0] = alpha * s[0] + (c(1.0) - alpha) * x + p["bias"];
            None
        },
        ..plain
    }
    .check();
}

/// What arrived as binary digits in a presentation of ten steps is sent as binary digits in the next one; what is negative
/// is not sent.
#[test]
fn few_spikes() {
    const K: usize = 10;
    let alpha = 25.0;
    for activity in [0.0f64, 3.2, 17.9, 24.99] {
        for weight in [1.0, 0.5, -1.0] {
            // A digit that is sent in step t arrives in step t + 1.
            let mut rest = activity;
            let mut digits = vec![0.0; 2 * K];
            for t in 0..K {
                let size = alpha * 0.5f64.powi(t as i32 + 1);
                if rest >= size {
                    rest -= size;
                    digits[t + 1] = weight;
                }
            }
            let found = Simulation {
                library: "mlgenn",
                neuron: "MlGeNNFewSpikeRelu",
                input: vec![(
                    "x",
                    Array2::from_shape_vec((2 * K, 1), digits).expect("a column"),
                )],
                params: &[],
                step_ms: 1.0,
            }
            .traces();
            let spikes = &found["spikes"];
            assert!((0..K).all(|t| spikes[[t, 0, 0]] == 0.0));
            let sent: f64 = (0..K)
                .map(|t| spikes[[K + t, 0, 0]] * alpha * 0.5f64.powi(t as i32 + 1))
                .sum();
            let expected = (weight * activity).max(0.0);
            let quantum = alpha * 0.5f64.powi(K as i32);
            assert!(
                (0.0..2.0 * quantum).contains(&(expected - sent)),
                "{weight} times {activity}: {sent}"
            );
        }
    }
}
