//! The neurons of `std/rockpool.snn` beyond LIFTorch with one spike in a step.

use ndarray::Array2;

use crate::dual::{Dual, c};
use crate::reference::{Params, Reference};
use crate::simulate::Simulation;

fn decay(tau: Dual) -> Dual {
    (-(c(1.0) / tau)).exp()
}

/// StepPWL: ⌊v/θ⌋ spikes, at most so many; gradient 1[v ≥ θ − ½]/θ to v, −v/θ² of it to θ, however many there are.
fn step_pwl(v: Dual, threshold: Dual, most: f64) -> Dual {
    let theta = threshold.value;
    let open = f64::from(v.value >= theta - 0.5);
    let count = if v.value >= theta {
        (v.value / theta).floor().min(most)
    } else {
        0.0
    };
    Dual {
        value: count,
        slope: open * (v.slope / theta - v.value / (theta * theta) * threshold.slope),
    }
}

/// The spikes of a charged membrane, which goes down by them.
fn fire(p: &Params, vmem: &mut Dual, most: f64) -> Dual {
    let spikes = step_pwl(*vmem, p["threshold"], most);
    *vmem = *vmem - spikes * p["threshold"];
    spikes
}

const LIF: Reference = Reference {
    library: "rockpool",
    neuron: "RockpoolLIFTorchMultiSpike",
    port: "x",
    other: None,
    params: &[
        ("tau_mem", 20.0),
        ("tau_syn", 20.0),
        ("bias", 0.0),
        ("threshold", 1.0),
    ],
    set: &[("threshold", 0.6), ("bias", 0.02)],
    states: &["isyn", "vmem"],
    start: |_| vec![c(0.0); 2],
    step: |p, s, x| {
        s[0] = (s[0] + x) * decay(p["tau_syn"]);
        s[1] = s[1] * decay(p["tau_mem"]) + s[0] + p["bias"];
        Some(fire(p, &mut s[1], f64::INFINITY))
    },
    input: (-0.3, 0.4),
};

#[test]
fn several_spikes() {
    LIF.check();
    Reference { set: &[], ..LIF }.check();
    Reference {
        set: &[("threshold", 0.2), ("max_spikes_per_dt", 2.0)],
        step: |p, s, x| {
            s[0] = (s[0] + x) * decay(p["tau_syn"]);
            s[1] = s[1] * decay(p["tau_mem"]) + s[0] + p["bias"];
            Some(fire(p, &mut s[1], 2.0))
        },
        input: (-0.2, 0.22),
        ..LIF
    }
    .check();
    Reference {
        neuron: "RockpoolLIFNeuronTorch",
        params: &[("tau_mem", 20.0), ("bias", 0.0), ("threshold", 1.0)],
        states: &["vmem"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            s[0] = s[0] * decay(p["tau_mem"]) + x + p["bias"];
            Some(fire(p, &mut s[0], f64::INFINITY))
        },
        input: (-0.6, 1.0),
        ..LIF
    }
    .check();
    Reference {
        neuron: "RockpoolLIFODEJax",
        step: |p, s, x| {
            s[0] = s[0] + (x - s[0]) / p["tau_syn"];
            s[1] = s[1] + (s[0] + p["bias"] - s[1]) / p["tau_mem"];
            Some(fire(p, &mut s[1], f64::INFINITY))
        },
        input: (-30.0, 60.0),
        ..LIF
    }
    .check();
}

/// log2(20) = 4.3, so 1 − 2⁻⁴; log2(3) = 1.6, so 1 − 2⁻²; log2(6) = 2.6, so 1 − 2⁻³.
#[test]
fn decays_by_shifts() {
    let default = Reference {
        neuron: "RockpoolLIFBitshiftTorch",
        step: |p, s, x| {
            s[0] = (s[0] + x) * c(15.0 / 16.0);
            s[1] = s[1] * c(15.0 / 16.0) + s[0] + p["bias"];
            Some(fire(p, &mut s[1], 31.0))
        },
        ..LIF
    };
    default.check();
    Reference {
        set: &[("tau_mem", 3.0), ("tau_syn", 6.0)],
        step: |p, s, x| {
            s[0] = (s[0] + x) * c(7.0 / 8.0);
            s[1] = s[1] * c(0.75) + s[0] + p["bias"];
            Some(fire(p, &mut s[1], 31.0))
        },
        ..default
    }
    .check();
}

/// A current that the spikes of the step before feed.
#[test]
fn after_hyperpolarisation() {
    Reference {
        neuron: "RockpoolaLIFTorch",
        params: &[
            ("tau_mem", 20.0),
            ("tau_syn", 20.0),
            ("tau_ahp", 20.0),
            ("w_ahp", -0.9),
            ("bias", 0.0),
            ("threshold", 1.0),
        ],
        set: &[("w_ahp", -0.2), ("tau_ahp", 5.0)],
        states: &["isyn", "iahp", "vmem", "last"],
        start: |_| vec![c(0.0); 4],
        step: |p, s, x| {
            s[0] = (s[0] + x) * decay(p["tau_syn"]);
            s[1] = (s[1] + s[3] * p["w_ahp"]) * decay(p["tau_ahp"]);
            s[2] = s[2] * decay(p["tau_mem"]) + s[0] + s[1] + p["bias"];
            s[3] = fire(p, &mut s[2], f64::INFINITY);
            Some(s[3])
        },
        input: (-0.4, 0.7),
        ..LIF
    }
    .check();
}

#[test]
fn without_spikes() {
    let low_pass = Reference {
        neuron: "RockpoolLowPass",
        params: &[("tau_mem", 20.0)],
        set: &[],
        states: &["vmem"],
        start: |_| vec![c(0.0)],
        step: |p, s, x| {
            s[0] = s[0] * decay(p["tau_mem"]) + x;
            None
        },
        ..LIF
    };
    low_pass.check();
    Reference {
        neuron: "RockpoolRateTorch",
        port: "input_data",
        params: &[("tau", 20.0), ("bias", 0.0), ("threshold", 0.0)],
        set: &[("tau", 3.0), ("threshold", 0.1), ("bias", 0.2)],
        states: &["x"],
        step: |p, s, x| {
            s[0] = s[0] + (x + p["bias"] - s[0]) / p["tau"];
            let z = s[0] - p["threshold"];
            // torch.clip passes the gradient at its bound too.
            let open = f64::from(z.value >= 0.0);
            Some(z.through(z.value.max(0.0), open))
        },
        input: (-2.0, 2.5),
        ..low_pass
    }
    .check();
}

/// Whole thresholds by which the input rose or fell since the last event.
fn up_down(p: &Params, s: &mut [Dual], x: Dual) -> (Dual, Dual) {
    let origin = if s[1].value == 0.0 { x.detach() } else { s[0] };
    s[1] = c(1.0);
    let count = |z: Dual| {
        let open = f64::from(z.value >= 0.5);
        z.through(z.value.floor().max(0.0), open)
    };
    let up = count((x - origin) / p["thr_up"]);
    let down = count((origin - x) / p["thr_down"]);
    s[0] = origin + up * p["thr_up"] - down * p["thr_down"];
    (up, down)
}

#[test]
fn changes_of_the_input() {
    let up = Reference {
        neuron: "RockpoolUpDownTorchUp",
        params: &[("thr_up", 0.001), ("thr_down", 0.001)],
        set: &[("thr_up", 0.31), ("thr_down", 0.23)],
        states: &["analog_value", "begun"],
        start: |_| vec![c(0.0); 2],
        step: |p, s, x| Some(up_down(p, s, x).0),
        input: (-0.5, 0.6),
        ..LIF
    };
    up.check();
    Reference {
        neuron: "RockpoolUpDownTorchDown",
        step: |p, s, x| Some(up_down(p, s, x).1),
        ..up
    }
    .check();
}

/// Variance noise_std² dt in seconds for every step of an integrator, whatever the length of the step.
#[test]
fn noise() {
    const LANES: usize = 4000;
    for step_ms in [1.0, 4.0] {
        let found = Simulation {
            library: "rockpool",
            neuron: "RockpoolLIFTorchNoisy",
            input: vec![("x", Array2::zeros((10, LANES)))],
            params: &[("noise_std", 2.0), ("tau_mem", 1e9), ("threshold", 1e3)],
            step_ms,
        }
        .traces();
        let squares: f64 = (0..LANES).map(|i| found["vmem"][[9, 0, i]].powi(2)).sum();
        let expected = 4.0 * 10.0 * step_ms / 1000.0;
        let ratio = squares / LANES as f64 / expected;
        assert!(
            (ratio - 1.0).abs() < 0.1,
            "{ratio} with steps of {step_ms} ms"
        );
    }
}
