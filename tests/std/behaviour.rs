//! What is known about the neurons of `std/neurons.snn` from theory: decays, rates, adaptation, bursts,
//! resonance, refractoriness.

use ndarray::Array2;

use crate::simulate::{Arrays, Simulation};

/// One lane, `x(t)` at each step.
fn traces(
    library: &str,
    neuron: &str,
    step_ms: f64,
    steps: usize,
    x: impl Fn(usize) -> f64,
) -> Arrays {
    Simulation {
        library,
        neuron,
        input: vec![("x", Array2::from_shape_fn((steps, 1), |(t, _)| x(t)))],
        params: &[],
        step_ms,
    }
    .traces()
}

/// The steps with a spike.
fn spikes(traces: &Arrays) -> Vec<usize> {
    let spikes = traces["spikes"].iter().enumerate();
    spikes.filter(|(_, z)| **z > 0.0).map(|(t, _)| t).collect()
}

fn intervals(spikes: &[usize]) -> Vec<usize> {
    spikes.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn close(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
        "{what}: {found} is not {expected}"
    );
}

/// After an arrival of 1: i = e^(−t/τs), v = τs/(τs − τm)·(e^(−t/τs) − e^(−t/τm)), for any step.
#[test]
fn leaky_integrator_decays_exactly() {
    for step in [0.3, 1.0, 4.0] {
        let found = traces("neurons", "LI", step, 30, |t| f64::from(t == 0));
        for k in 0..30 {
            let t = step * (k + 1) as f64;
            let (syn, mem) = ((-t / 10.0).exp(), (-t / 20.0).exp());
            close(found["i"][[k, 0, 0]], syn, "current");
            close(found["v"][[k, 0, 0]], mem - syn, "membrane");
        }
    }
}

/// t/τ·e^(1 − t/τ).
#[test]
fn alpha_synapse() {
    let found = traces("neurons", "LIFAlpha", 0.5, 40, |t| f64::from(t == 0));
    for k in 0..40 {
        let z = 0.5 * (k + 1) as f64 / 5.0;
        close(found["i"][[k, 0, 0]], z * (1.0 - z).exp(), "current");
    }
}

/// f = 1/(τ ln(I/(I − 1))) for a current I, from small steps that each bring I·dt/τ.
#[test]
fn rate_of_the_leaky_neuron() {
    let (tau, step) = (20.0, 0.02);
    for current in [1.2, 2.0, 4.0] {
        let x = current * step / tau;
        let found = traces("neurons", "LIFDelta", step, 20_000, |_| x);
        let expected = tau * (current / (current - 1.0f64)).ln() / step;
        let intervals = intervals(&spikes(&found));
        assert!(intervals.len() > 5, "only {} intervals", intervals.len());
        for interval in intervals {
            let error = (interval as f64 - expected).abs() / expected;
            assert!(error < 0.01, "I = {current}: {interval} is not {expected}");
        }
    }
    let found = traces("neurons", "LIFDelta", step, 20_000, |_| 0.99 * step / tau);
    assert!(spikes(&found).is_empty(), "below rheobase");
}

#[test]
fn soft_reset_loses_nothing() {
    let found = traces("neurons", "IF", 1.0, 1000, |_| 0.3125);
    assert_eq!(spikes(&found).len(), 312);
}

#[test]
fn refractory_time() {
    let found = traces("neurons", "LIFRefractory", 0.5, 200, |_| 50.0);
    let intervals = intervals(&spikes(&found));
    assert!(intervals.len() > 20);
    assert!(intervals.iter().all(|&i| i >= 4), "{intervals:?}");
}

/// Interspike intervals under a constant input grow, at least by this factor.
fn assert_adapts(library: &str, neuron: &str, factor: f64, steps: usize, x: f64) {
    let intervals = intervals(&spikes(&traces(library, neuron, 1.0, steps, |_| x)));
    assert!(intervals.len() >= 4, "{neuron}: {intervals:?}");
    let (first, last) = (intervals[0], intervals[intervals.len() - 1]);
    assert!(
        last as f64 >= factor * first as f64,
        "{neuron}: {intervals:?}"
    );
}

#[test]
fn adaptation() {
    assert_adapts("neurons", "ALIF", 1.5, 500, 0.3);
    assert_adapts("neurons", "LSNN", 1.15, 3000, 0.8);
    assert_adapts("neurons", "AdLIF", 1.5, 300, 0.6);
    assert_adapts("neurons", "GLIF", 1.5, 500, 0.5);
    assert_adapts("norse", "NorseSpikeFrequencyAdaptation", 1.5, 1200, 30.0);
    assert_adapts(
        "neurons",
        "IzhikevichSpikeFrequencyAdaptation",
        1.5,
        400,
        30.0,
    );
}

/// The figure of Izhikevich 2004: steps of 0.25 ms or 0.2 ms with its currents.
#[test]
fn izhikevich_classes() {
    let of = |neuron: &str, steps: usize, x: fn(usize) -> f64| {
        spikes(&traces("norse", neuron, 1.0, steps, x))
    };
    let tonic = intervals(&of("NorseTonicSpiking", 1600, |t| {
        if t > 40 { 14.0 } else { 0.0 }
    }));
    let late = &tonic[tonic.len() / 2..];
    let spread = late.iter().max().expect("spikes") - late.iter().min().expect("spikes");
    assert!(tonic.len() >= 6 && spread <= 2, "{tonic:?}");

    let phasic = of(
        "NorsePhasicSpiking",
        800,
        |t| if t > 80 { 0.5 } else { 0.0 },
    );
    assert_eq!(phasic.len(), 1, "{phasic:?}");

    let bursting = intervals(&of("NorseTonicBursting", 1600, |t| {
        if t > 88 { 15.0 } else { 0.0 }
    }));
    let (short, long) = (
        bursting.iter().min().expect("spikes"),
        bursting.iter().max().expect("spikes"),
    );
    assert!(long > &(4 * short), "{bursting:?}");

    let phasic_burst = of(
        "NorsePhasicBursting",
        1500,
        |t| if t > 100 { 0.6 } else { 0.0 },
    );
    let last = phasic_burst.last().expect("spikes");
    assert!(phasic_burst.len() >= 2 && *last < 600, "{phasic_burst:?}");

    let rest = of("NorseReboundSpike", 1000, |_| 0.0);
    assert!(rest.is_empty(), "at rest: {rest:?}");
    let rebound = of("NorseReboundSpike", 1000, |t| {
        if (100..125).contains(&t) { -15.0 } else { 0.0 }
    });
    assert_eq!(rebound.len(), 1, "{rebound:?}");
    assert!(rebound[0] > 125, "{rebound:?}");
    let burst = of("NorseReboundBurst", 1000, |t| {
        if (100..125).contains(&t) { -15.0 } else { 0.0 }
    });
    assert!(burst.len() >= 3, "{burst:?}");

    // The same as differential equations, with four substeps of 0.25 ms.
    let tonic = traces("neurons", "IzhikevichTonicSpiking", 1.0, 400, |_| 14.0);
    assert!(spikes(&tonic).len() >= 6);
    let phasic = traces("neurons", "IzhikevichPhasicSpiking", 1.0, 200, |t| {
        if t > 20 { 0.5 } else { 0.0 }
    });
    assert_eq!(spikes(&phasic).len(), 1);
}

/// A second input a period (50 ms) after the first one adds to the oscillation, half a period after it does
/// not.
#[test]
fn resonance() {
    let pair = |gap: usize| {
        traces("neurons", "ResonateFire", 1.0, 150, |t| {
            if t == 10 || t == 10 + gap { 1.4 } else { 0.0 }
        })
    };
    assert!(spikes(&pair(25)).is_empty());
    assert!(spikes(&pair(500)).is_empty(), "one alone");
    assert_eq!(spikes(&pair(50)).len(), 1);
}

/// Depression: each spike of a regular train finds less.
#[test]
fn short_term_depression() {
    let found = traces("neurons", "TsodyksMakram", 1.0, 200, |t| {
        f64::from(t % 40 == 0)
    });
    let left: Vec<f64> = (0..5).map(|k| found["r"][[40 * k, 0, 0]]).collect();
    assert!(left.windows(2).all(|w| w[1] < w[0]), "{left:?}");
}

/// 10 µA/cm² are 2 nA on 20 000 µm²: about 70 spikes a second; at rest none.
#[test]
fn hodgkin_and_huxley() {
    let step = 0.025;
    let found = traces("neurons", "HodgkinHuxley", step, 8000, |_| 2000.0);
    let count = spikes(&found).len();
    assert!((12..=16).contains(&count), "{count} spikes in 200 ms");
    let rest = traces("neurons", "HodgkinHuxley", step, 8000, |_| 0.0);
    assert!(spikes(&rest).is_empty());
    let v = rest["V"][[7999, 0, 0]];
    assert!((v + 65.0).abs() < 0.5, "rests at {v} mV");
}

/// The Hopf regime of Ermentrout & Terman: quiet at 60 pA, firing at 100 pA.
#[test]
fn morris_and_lecar() {
    let firing = traces("neurons", "MorrisLecar", 0.05, 20_000, |_| 100.0);
    let count = spikes(&firing).len();
    assert!(count >= 5, "{count} spikes in 1 s");
    let quiet = traces("neurons", "MorrisLecar", 0.05, 20_000, |_| 60.0);
    let late: Vec<usize> = spikes(&quiet).into_iter().filter(|&t| t > 4000).collect();
    assert!(late.is_empty(), "{late:?}");
}

/// Weights in nS on both ports: excitation makes it fire, inhibition keeps it below.
#[test]
fn conductances() {
    let run = |inh: f64| {
        let steady = |x: f64| Array2::from_elem((300, 1), x);
        let simulation = Simulation {
            library: "neurons",
            neuron: "CobaLIF",
            input: vec![("exc", steady(1.0)), ("inh", steady(inh))],
            params: &[],
            step_ms: 1.0,
        };
        spikes(&simulation.traces()).len()
    };
    assert!(run(0.0) > 5);
    assert_eq!(run(5.0), 0);
}
