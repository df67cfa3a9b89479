//! What is known about the neurons of `std/neurons.snn` from theory: decays, rates, adaptation, resonance,
//! refractoriness, fluctuations.

use std::ops::Sub;

use ndarray::Array2;

use crate::simulate::{Arrays, Simulation};

/// One lane, `x(t)` at each step.
fn traces(neuron: &str, step_ms: f64, steps: usize, x: impl Fn(usize) -> f64) -> Arrays {
    with(neuron, &[], step_ms, steps, x)
}

/// The same with values of parameters.
fn with(
    neuron: &str,
    params: &[(&str, f64)],
    step_ms: f64,
    steps: usize,
    x: impl Fn(usize) -> f64,
) -> Arrays {
    Simulation {
        library: "neurons",
        neuron,
        input: vec![("x", Array2::from_shape_fn((steps, 1), |(t, _)| x(t)))],
        params,
        step_ms,
    }
    .traces()
}

/// The steps with a spike.
fn spikes(traces: &Arrays) -> Vec<usize> {
    let spikes = traces["spikes"].iter().enumerate();
    spikes.filter(|(_, z)| **z > 0.0).map(|(t, _)| t).collect()
}

/// From each spike to the next one.
pub(crate) fn intervals<T: Copy + Sub<Output = T>>(spikes: &[T]) -> Vec<T> {
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
        let found = traces("LI", step, 30, |t| f64::from(t == 0));
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
    let found = traces("LIFAlpha", 0.5, 40, |t| f64::from(t == 0));
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
        let found = traces("LIFDelta", step, 20_000, |_| x);
        let expected = tau * (current / (current - 1.0f64)).ln() / step;
        let intervals = intervals(&spikes(&found));
        assert!(intervals.len() > 5, "only {} intervals", intervals.len());
        for interval in intervals {
            let error = (interval as f64 - expected).abs() / expected;
            assert!(error < 0.01, "I = {current}: {interval} is not {expected}");
        }
    }
    let found = traces("LIFDelta", step, 20_000, |_| 0.99 * step / tau);
    assert!(spikes(&found).is_empty(), "below rheobase");
}

#[test]
fn soft_reset_loses_nothing() {
    let found = traces("IF", 1.0, 1000, |_| 0.3125);
    assert_eq!(spikes(&found).len(), 312);
}

#[test]
fn refractory_time() {
    let found = traces("LIFRefractory", 0.5, 200, |_| 50.0);
    let intervals = intervals(&spikes(&found));
    assert!(intervals.len() > 20);
    assert!(intervals.iter().all(|&i| i >= 4), "{intervals:?}");
}

/// Interspike intervals under a constant input grow, at least by this factor.
fn assert_adapts(neuron: &str, factor: f64, steps: usize, x: f64) {
    let intervals = intervals(&spikes(&traces(neuron, 1.0, steps, |_| x)));
    assert!(intervals.len() >= 4, "{neuron}: {intervals:?}");
    let (first, last) = (intervals[0], intervals[intervals.len() - 1]);
    assert!(
        last as f64 >= factor * first as f64,
        "{neuron}: {intervals:?}"
    );
}

#[test]
fn adaptation() {
    assert_adapts("ALIF", 1.5, 500, 0.3);
    assert_adapts("LSNN", 1.15, 3000, 0.8);
    assert_adapts("AdLIF", 1.5, 300, 0.6);
    assert_adapts("GLIF", 1.5, 500, 0.5);
}

/// A second input a period (50 ms) after the first one adds to the oscillation, half a period after it does
/// not.
#[test]
fn resonance() {
    let pair = |gap: usize| {
        traces("ResonateFire", 1.0, 150, |t| {
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
    let found = traces("TsodyksMakram", 1.0, 200, |t| f64::from(t % 40 == 0));
    let left: Vec<f64> = (0..5).map(|k| found["r"][[40 * k, 0, 0]]).collect();
    assert!(left.windows(2).all(|w| w[1] < w[0]), "{left:?}");
}

/// 10 µA/cm² are 2 nA on 20 000 µm²: about 70 spikes a second; at rest none.
#[test]
fn hodgkin_and_huxley() {
    let step = 0.025;
    let found = traces("HodgkinHuxley", step, 8000, |_| 2000.0);
    let count = spikes(&found).len();
    assert!((12..=16).contains(&count), "{count} spikes in 200 ms");
    let rest = traces("HodgkinHuxley", step, 8000, |_| 0.0);
    assert!(spikes(&rest).is_empty());
    let v = rest["V"][[7999, 0, 0]];
    assert!((v + 65.0).abs() < 0.5, "rests at {v} mV");
}

/// The Hopf regime of Ermentrout & Terman: quiet at 60 pA, firing at 100 pA.
#[test]
fn morris_and_lecar() {
    let firing = traces("MorrisLecar", 0.05, 20_000, |_| 100.0);
    let count = spikes(&firing).len();
    assert!(count >= 5, "{count} spikes in 1 s");
    let quiet = traces("MorrisLecar", 0.05, 20_000, |_| 60.0);
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

/// An arrival without a synapse is on the membrane at once and decays with its time constant, for any step.
#[test]
fn delta_arrivals() {
    for step in [0.3, 1.0, 4.0] {
        let found = traces("LIDelta", step, 30, |t| f64::from(t == 0));
        for k in 0..30 {
            let t = step * (k + 1) as f64;
            close(found["v"][[k, 0, 0]], (-t / 20.0).exp(), "membrane");
        }
    }
}

/// The mean interval of the second half of a run under a current I, in ms: each step of length h brings I·h/τ.
fn interval(neuron: &str, current: f64, tau: f64, step: f64, duration: f64) -> Option<f64> {
    let steps = (duration / step) as usize;
    let found = traces(neuron, step, steps, |_| current * step / tau);
    let spikes = spikes(&found);
    let late = &spikes[spikes.len() / 2..];
    let count = late.len().checked_sub(1).filter(|n| *n > 0)?;
    Some((late[count] - late[0]) as f64 * step / count as f64)
}

/// ∫ τ/f over the way from reset to threshold.
fn passage(tau: f64, threshold: f64, f: impl Fn(f64) -> f64) -> f64 {
    const PARTS: usize = 200_000;
    let width = threshold / PARTS as f64;
    let times = (0..PARTS).map(|i| tau * width / f((i as f64 + 0.5) * width));
    times.sum()
}

fn near(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what}: no spikes"));
    let error = (found - expected).abs() / expected;
    assert!(error < 0.01, "{what}: {found} is not {expected}");
}

/// LIF behind a synapse that is at rest: the rate of the neuron without one.
#[test]
fn rate_behind_a_synapse() {
    for current in [1.2, 2.0] {
        let expected = 20.0 * (current / (current - 1.0f64)).ln();
        near(
            interval("LIF", current, 10.0, 0.05, 1000.0),
            expected,
            "LIF",
        );
        near(
            interval("PLIF", current, 10.0, 0.05, 1000.0),
            expected,
            "PLIF",
        );
    }
    assert_eq!(interval("LIF", 0.99, 10.0, 0.05, 1000.0), None);
}

/// Quadratic: rheobase at v_c²/4, above it an interval that is a difference of arc tangents.
#[test]
fn rate_of_the_quadratic_neuron() {
    assert_eq!(interval("QIF", 0.0615, 20.0, 0.02, 2000.0), None);
    for current in [0.08f64, 0.2, 0.5] {
        let a = (current - 0.0625).sqrt();
        let expected = 20.0 / a * ((0.75 / a).atan() + (0.25 / a).atan());
        let found = interval("QIF", current, 20.0, 0.02, 4.0 * expected);
        near(found, expected, "QIF");
    }
}

/// Exponential: rheobase at v_rh − delta_T, above it the integral over the way to the threshold.
#[test]
fn rate_of_the_exponential_neuron() {
    let f = |current: f64| move |v: f64| 0.2 * ((v - 0.8) / 0.2).exp() - v + current;
    assert_eq!(interval("EIF", 0.595, 20.0, 0.02, 2000.0), None);
    for current in [0.7, 1.0, 1.5] {
        let expected = passage(20.0, 1.5, f(current));
        let found = interval("EIF", current, 20.0, 0.02, 4.0 * expected);
        near(found, expected, "EIF");
    }
}

/// Rheobase of AdEx (Touboul & Brette 2008, saddle-node), with g_L = 10 nS, a = 2 nS: 220.4 pA; and adaptation above it.
#[test]
fn adaptive_exponential() {
    let (g_l, a, delta): (f64, f64, f64) = (10.0, 2.0, 2.0);
    let rheobase = (g_l + a) * (20.0 - delta + delta * (1.0 + a / g_l).ln());
    let run = |current: f64| {
        let found = traces("AdEx", 0.05, 30_000, |_| current * 0.05 / 5.0);
        spikes(&found)
    };
    // A step of current below it may fire once before w has followed.
    assert!(run(0.99 * rheobase).len() <= 1);
    assert!(run(1.02 * rheobase).len() >= 3);
    let intervals = intervals(&run(500.0));
    assert!(intervals.windows(2).take(5).all(|w| w[1] > w[0]));
    let last = intervals[intervals.len() - 1];
    assert!(last as f64 > 2.0 * intervals[0] as f64, "{intervals:?}");
}

/// With a soft reset the membrane is the free one less what each spike took, which decays as an arrival does.
#[test]
fn soft_reset_is_linear() {
    let x = |t: usize| 0.15 + 0.1 * ((t * 7 % 13) as f64 - 6.0) / 6.0;
    let free = traces("LI", 0.5, 300, x);
    let found = traces("LIFSoft", 0.5, 300, x);
    let fired = spikes(&found);
    assert!(fired.len() > 5, "{fired:?}");
    for k in 0..300 {
        let taken = fired.iter().filter(|s| **s <= k);
        let taken: f64 = taken.map(|s| (-0.5 * (k - s) as f64 / 20.0).exp()).sum();
        close(
            found["v"][[k, 0, 0]],
            free["v"][[k, 0, 0]] - taken,
            "membrane",
        );
    }
}

/// KLIF: k times the gain on 1/k of the membrane is the same neuron.
#[test]
fn gain_of_the_membrane() {
    let of = |k: f64| {
        let x = move |t: usize| ((t * 5 % 11) as f64 - 3.0) / (10.0 * k);
        with("KLIF", &[("k", k)], 1.0, 300, x)
    };
    let (one, two) = (of(1.0), of(2.0));
    assert!(spikes(&one).len() > 5);
    assert_eq!(spikes(&one), spikes(&two));
    for (a, b) in one["v"].iter().zip(&two["v"]) {
        close(*b, a / 2.0, "membrane");
    }
}

/// The steady state of the circuit, d = back·v + I and v = coupling·d; a spike leaves the dendrite as it is.
#[test]
fn two_compartments() {
    let run = |current: f64| traces("TwoCompartmentLIF", 0.05, 8000, |_| current * 0.05 / 20.0);
    let found = run(1.0);
    assert!(spikes(&found).is_empty());
    near(
        Some(found["d"][[7999, 0, 0]]),
        1.0 / (1.0 - 0.8 * 0.2),
        "dendrite",
    );
    near(
        Some(found["v"][[7999, 0, 0]]),
        0.8 / (1.0 - 0.8 * 0.2),
        "soma",
    );
    let firing = run(2.0);
    let spike = spikes(&firing)[0];
    let at = |name: &str, k: usize| firing[name][[k, 0, 0]];
    assert_eq!(at("v", spike), 0.0);
    assert!((at("d", spike) - at("d", spike - 1)).abs() < 0.01);
}

/// The membrane of open conductances: the mean of the reversal potentials, weighted by conductance.
#[test]
fn reversal_potentials() {
    let steady = |x: f64| Array2::from_elem((1000, 1), x);
    // An arrival of x in each step of h is a conductance of x τ/h in the mean.
    let (step, g_e, g_i) = (0.1, 1.0, 4.0);
    let found = Simulation {
        library: "neurons",
        neuron: "CobaLIF",
        input: vec![
            ("exc", steady(g_e * step / 5.0)),
            ("inh", steady(g_i * step / 10.0)),
        ],
        params: &[],
        step_ms: step,
    }
    .traces();
    let expected = (10.0 * -60.0 + g_e * 0.0 + g_i * -80.0) / (10.0 + g_e + g_i);
    let v = found["V"][[999, 0, 0]];
    assert!((v - expected).abs() < 0.3, "{v} is not {expected}");
}

/// With little used at first and slow recovery of it, each spike of a train finds more: facilitation.
#[test]
fn short_term_facilitation() {
    let params = [("U", 0.1), ("tau_fac", 500.0), ("tau_rec", 50.0)];
    let found = with("TsodyksMakram", &params, 1.0, 200, |t| {
        f64::from(t % 40 == 0)
    });
    let used: Vec<f64> = (0..5).map(|k| found["u"][[40 * k, 0, 0]]).collect();
    assert!(used.windows(2).all(|w| w[1] > w[0]), "{used:?}");
}

/// Mean and standard deviation over lanes, at the last step.
fn over_lanes(neuron: &str, params: &[(&str, f64)], names: &[&str]) -> Vec<(f64, f64)> {
    const LANES: usize = 4000;
    const STEPS: usize = 60;
    let found = Simulation {
        library: "neurons",
        neuron,
        input: vec![("x", Array2::zeros((STEPS, LANES)))],
        params,
        step_ms: 1.0,
    }
    .traces();
    let moments = |name: &&str| {
        let last = |lane: usize| found[*name][[STEPS - 1, 0, lane]];
        let mean = (0..LANES).map(last).sum::<f64>() / LANES as f64;
        let square = (0..LANES).map(|i| (last(i) - mean).powi(2)).sum::<f64>();
        (mean, (square / LANES as f64).sqrt())
    };
    names.iter().map(moments).collect()
}

/// Ornstein-Uhlenbeck processes stay as wide as they begin, whatever their time constant.
#[test]
fn fluctuations() {
    for tau in [5.0, 20.0, 80.0] {
        let params = [("tau_mem", tau), ("v_th", 1e3)];
        let (mean, deviation) = over_lanes("NoisyLIF", &params, &["v"])[0];
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((deviation / 0.3 - 1.0).abs() < 0.05, "{deviation}");
    }
    let params = [("V_th", 1e3)];
    let found = over_lanes("PointConductance", &params, &["g_e", "g_i", "V"]);
    let expected = [(12.0, 3.0), (57.0, 6.6)];
    for ((mean, deviation), (m, d)) in found.iter().zip(expected) {
        assert!((mean / m - 1.0).abs() < 0.02, "{mean} is not {m}");
        assert!((deviation / d - 1.0).abs() < 0.05, "{deviation} is not {d}");
    }
    // The membrane is near the mean of the reversal potentials, weighted by the mean conductances.
    let balance = (15.6 * -80.0 + 57.0 * -75.0) / (15.6 + 12.0 + 57.0);
    assert!((found[2].0 - balance).abs() < 1.0, "{} mV", found[2].0);
}

/// One spike of its own, `gap` steps after a spike of the other, or before it: e^(−gap/τ) on that side only.
#[test]
fn correlation() {
    for gap in [-30i32, -7, -1, 0, 1, 5, 25] {
        let own = 60usize;
        let other = (own as i32 - gap) as usize;
        let pulse = |at: usize, size: f64| {
            Array2::from_shape_fn((120, 1), |(t, _)| if t == at { size } else { 0.0 })
        };
        let found = Simulation {
            library: "neurons",
            neuron: "LIFCorrelation",
            input: vec![("x", pulse(own, 80.0)), ("pre", pulse(other, 1.0))],
            params: &[("tau_syn", 0.5), ("tau_plus", 20.0), ("tau_minus", 30.0)],
            step_ms: 1.0,
        }
        .traces();
        assert_eq!(spikes(&found), [own], "one spike");
        // It is sent at the end of its step; the other one arrives at the beginning.
        let lag = f64::from(gap) + 1.0;
        let (causal, anticausal) = if lag > 0.0 {
            ((-lag / 20.0).exp(), 0.0)
        } else {
            (0.0, (lag / 30.0).exp())
        };
        close(found["causal"][[119, 0, 0]], causal, "causal");
        close(found["anticausal"][[119, 0, 0]], anticausal, "anticausal");
    }
}
