//! The twenty behaviours of Izhikevich 2004, with the stimuli of its figure 1: of the presets in `std/neurons.snn` in
//! steps of 0.25 ms, and of Norse's, whose steps are as long as their `tau_inv` says.
//!
//! Three of Norse's presets do not behave as they are called: see [`norse_presets_without_their_behaviour`].

use ndarray::Array2;

use crate::behaviour::intervals;
use crate::simulate::Simulation;

/// A neuron and the length of its steps.
#[derive(Clone, Copy)]
struct Preset {
    library: &'static str,
    neuron: &'static str,
    step_ms: f64,
}

const fn own(neuron: &'static str) -> Preset {
    Preset {
        library: "neurons",
        neuron,
        step_ms: 0.25,
    }
}

const fn norse(neuron: &'static str, step_ms: f64) -> Preset {
    Preset {
        library: "norse",
        neuron,
        step_ms,
    }
}

/// Spike times and the membrane of each lane.
struct Lanes {
    spikes: Vec<Vec<f64>>,
    v: Array2<f64>,
}

impl Preset {
    /// `current(t, lane)`, t in ms.
    fn lanes(self, duration: f64, count: usize, current: impl Fn(f64, usize) -> f64) -> Lanes {
        let steps = (duration / self.step_ms).round() as usize;
        let x = Array2::from_shape_fn((steps, count), |(k, lane)| {
            current(self.step_ms * k as f64, lane)
        });
        let found = Simulation {
            library: self.library,
            neuron: self.neuron,
            input: vec![("x", x)],
            params: &[],
            step_ms: self.step_ms,
        }
        .traces();
        let of = |name: &str| {
            Array2::from_shape_fn((steps, count), |(k, lane)| found[name][[k, 0, lane]])
        };
        let spikes = of("spikes");
        let times = |lane: usize| -> Vec<f64> {
            let column = spikes.column(lane);
            let fired = column.iter().enumerate().filter(|(_, z)| **z > 0.0);
            fired.map(|(k, _)| self.step_ms * k as f64).collect()
        };
        Lanes {
            spikes: (0..count).map(times).collect(),
            v: of("v"),
        }
    }

    /// Spike times under one current.
    fn spikes(self, duration: f64, current: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut lanes = self.lanes(duration, 1, |t, _| current(t));
        lanes.spikes.remove(0)
    }
}

/// `high` during `width` ms after each of these times, else `low`.
fn pulses(times: &[f64], width: f64, high: f64, low: f64) -> impl Fn(f64) -> f64 {
    let times = times.to_vec();
    move |t| {
        let on = times.iter().any(|&begin| t > begin && t < begin + width);
        if on { high } else { low }
    }
}

fn after(begin: f64, current: f64) -> impl Fn(f64) -> f64 {
    move |t| if t > begin { current } else { 0.0 }
}

/// The least and the largest interval.
fn spread(spikes: &[f64]) -> (f64, f64) {
    let all = intervals(spikes);
    let least = all.iter().fold(f64::INFINITY, |m, x| m.min(*x));
    (least, all.iter().fold(0.0, |m, x| m.max(*x)))
}

/// A, C, E, F: what a steady current makes.
#[test]
fn under_a_steady_current() {
    for preset in [
        own("IzhikevichTonicSpiking"),
        norse("NorseTonicSpiking", 0.25),
    ] {
        let spikes = preset.spikes(200.0, after(10.0, 14.0));
        let (least, largest) = spread(&spikes[spikes.len() / 2..]);
        assert!(spikes.len() >= 8 && largest - least <= 0.5, "{spikes:?}");
    }
    for preset in [
        own("IzhikevichTonicBursting"),
        norse("NorseTonicBursting", 0.25),
    ] {
        let spikes = preset.spikes(220.0, after(22.0, 15.0));
        let bursts = intervals(&spikes).iter().filter(|i| **i > 25.0).count() + 1;
        assert!(bursts >= 3 && spikes.len() >= 4 * bursts, "{spikes:?}");
    }
    for preset in [own("IzhikevichMixedMode"), norse("NorseMixedMode", 0.25)] {
        let all = intervals(&preset.spikes(160.0, after(16.0, 10.0)));
        let (burst, tonic) = all.split_at(2);
        assert!(burst.iter().all(|i| *i < 6.0), "{all:?}");
        assert!(
            tonic.len() >= 3 && tonic.iter().all(|i| *i > 25.0),
            "{all:?}"
        );
    }
    for preset in [
        own("IzhikevichSpikeFrequencyAdaptation"),
        norse("NorseSpikeFrequencyAdaptation", 0.25),
    ] {
        let all = intervals(&preset.spikes(85.0, after(8.5, 30.0)));
        assert!(all.windows(2).all(|w| w[1] > w[0]), "{all:?}");
        assert!(all[all.len() - 1] > 10.0 * all[0], "{all:?}");
    }
}

/// B, D: only the onset of a current counts.
#[test]
fn at_the_onset_only() {
    for preset in [
        own("IzhikevichPhasicSpiking"),
        norse("NorsePhasicSpiking", 0.25),
    ] {
        let spikes = preset.spikes(400.0, after(20.0, 0.5));
        assert_eq!(spikes.len(), 1, "{spikes:?}");
    }
    for preset in [
        own("IzhikevichPhasicBursting"),
        norse("NorsePhasicBursting", 0.2),
    ] {
        let spikes = preset.spikes(400.0, after(20.0, 0.6));
        assert!(spikes.len() >= 4, "{spikes:?}");
        assert!(spikes.iter().all(|t| *t < 100.0), "{spikes:?}");
    }
}

/// The longest regular interval of the neurons that go on firing, over currents from none to many spikes.
fn slowest(preset: Preset, from: f64, to: f64) -> f64 {
    const LANES: usize = 61;
    let current = |lane: usize| from + (to - from) * lane as f64 / (LANES - 1) as f64;
    let lanes = preset.lanes(1500.0, LANES, |_, lane| current(lane));
    assert!(
        lanes.spikes[0].len() <= 1,
        "{} fires at {from}",
        preset.neuron
    );
    let firing = lanes.spikes.iter().filter(|spikes| {
        // The first 300 ms belong to the onset.
        spikes.iter().filter(|t| **t > 300.0).count() >= 3
    });
    firing.map(|spikes| spread(spikes).1).fold(0.0, f64::max)
}

/// G, H: firing begins at any rate, or at a rate of its own.
#[test]
fn excitability() {
    for preset in [own("IzhikevichClass1"), norse("NorseClass1Exc", 0.25)] {
        let interval = slowest(preset, 1.0, 4.0);
        assert!(interval > 250.0, "{}: {interval} ms", preset.neuron);
    }
    for preset in [own("IzhikevichClass2"), norse("NorseClass2Exc", 0.25)] {
        let interval = slowest(preset, -0.5, 1.0);
        assert!(
            (20.0..60.0).contains(&interval),
            "{}: {interval} ms",
            preset.neuron
        );
    }
}

/// I: the spike comes after the pulse is over, the later the weaker the pulse.
#[test]
fn latency() {
    for preset in [
        own("IzhikevichSpikeLatency"),
        norse("NorseSpikeLatency", 0.25),
    ] {
        let first = |current: f64| {
            let spikes = preset.spikes(100.0, pulses(&[10.0], 3.1, current, 0.0));
            assert_eq!(
                spikes.len(),
                1,
                "{} at {current}: {spikes:?}",
                preset.neuron
            );
            spikes[0]
        };
        let (weak, strong) = (first(7.04), first(9.0));
        assert!(weak > 14.0 && weak > strong + 1.0, "{weak} and {strong}");
    }
}

/// J: after a pulse that is too weak for a spike the membrane swings around its rest.
#[test]
fn oscillation() {
    for preset in [
        own("IzhikevichSubthresholdOscillation"),
        norse("NorseSubthresholdOscillation", 0.25),
    ] {
        let lanes = preset.lanes(300.0, 2, |t, lane| {
            pulses(&[20.0], 5.0, if lane == 0 { 2.0 } else { 0.3 }, 0.0)(t)
        });
        assert_eq!(lanes.spikes[0].len(), 1, "{:?}", lanes.spikes);
        assert!(lanes.spikes[1].is_empty(), "{:?}", lanes.spikes);
        for v in lanes.v.columns() {
            let rest = v[v.len() - 1];
            let late = v.iter().skip((45.0 / preset.step_ms) as usize);
            let above: Vec<bool> = late.map(|v| *v > rest).collect();
            let crossings = above.windows(2).filter(|w| w[0] != w[1]).count();
            assert!(crossings >= 4, "{}: {crossings}", preset.neuron);
        }
    }
}

/// K, L: two pulses far apart excite a resonator, two close ones an integrator.
#[test]
fn pairs_of_pulses() {
    for preset in [own("IzhikevichResonator"), norse("NorseResonator", 0.25)] {
        let pair = |gap: f64| preset.spikes(150.0, pulses(&[40.0, 40.0 + gap], 4.0, 0.65, 0.0));
        assert!(pair(20.0).is_empty());
        assert!(pair(500.0).is_empty(), "one alone");
        assert_eq!(pair(40.0).len(), 1);
    }
    for preset in [own("IzhikevichIntegrator"), norse("NorseIntegrator", 0.25)] {
        let pair = |gap: f64| preset.spikes(60.0, pulses(&[9.1, 9.1 + gap], 2.0, 9.0, 0.0));
        assert_eq!(pair(5.0).len(), 1);
        assert!(pair(10.0).is_empty());
    }
}

/// M, N, O: what inhibition leaves behind.
#[test]
fn rebound() {
    let inhibited = |preset: Preset| {
        assert!(
            preset.spikes(200.0, |_| 0.0).is_empty(),
            "{} at rest",
            preset.neuron
        );
        preset.spikes(200.0, pulses(&[20.0], 5.0, -15.0, 0.0))
    };
    for preset in [
        own("IzhikevichReboundSpike"),
        norse("NorseReboundSpike", 0.2),
    ] {
        let spikes = inhibited(preset);
        assert!(spikes.len() == 1 && spikes[0] > 25.0, "{spikes:?}");
    }
    for preset in [
        own("IzhikevichReboundBurst"),
        norse("NorseReboundBurst", 0.2),
    ] {
        let spikes = inhibited(preset);
        assert!(spikes.len() >= 5 && spikes[0] > 25.0, "{spikes:?}");
        assert!(spread(&spikes[..4]).1 < 5.0, "{spikes:?}");
    }
    for preset in [
        own("IzhikevichThresholdVariability"),
        norse("NorseThresholdVariability", 0.25),
    ] {
        let weak = pulses(&[10.0, 80.0], 5.0, 1.0, 0.0);
        let inhibition = pulses(&[70.0], 5.0, -6.0, 0.0);
        assert!(preset.spikes(120.0, &weak).is_empty());
        let spikes = preset.spikes(120.0, |t| weak(t) + inhibition(t));
        assert!(spikes.len() == 1 && spikes[0] > 80.0, "{spikes:?}");
    }
}

/// P: rest and firing exist side by side; a pulse leads from one to the other, and a second one back at some phases.
#[test]
fn bistability() {
    for preset in [
        own("IzhikevichBistability"),
        norse("NorseBistability", 0.25),
    ] {
        const LANES: usize = 52;
        let second = |lane: usize| 200.0 + lane as f64;
        let lanes = preset.lanes(400.0, LANES, |t, lane| match lane {
            0 => 0.24,
            1 => pulses(&[37.5], 5.0, 1.24, 0.24)(t),
            lane => pulses(&[37.5, second(lane)], 5.0, 1.24, 0.24)(t),
        });
        assert!(lanes.spikes[0].is_empty(), "{}: rest", preset.neuron);
        let late = |spikes: &[f64]| spikes.iter().filter(|t| **t > 270.0).count();
        assert!(late(&lanes.spikes[1]) >= 3, "{}: firing", preset.neuron);
        let stopped = lanes.spikes[2..].iter().filter(|s| late(s) == 0).count();
        assert!(
            (1..LANES / 2).contains(&stopped),
            "{}: {stopped}",
            preset.neuron
        );
    }
}

/// Q: after the spike the membrane stays above rest for some ms.
#[test]
fn afterpotential() {
    let preset = own("IzhikevichDepolarizingAfterpotential");
    let lanes = preset.lanes(
        50.0,
        1,
        |t, _| {
            if (t - 10.0).abs() < 1.0 { 20.0 } else { 0.0 }
        },
    );
    assert_eq!(lanes.spikes[0].len(), 1, "{:?}", lanes.spikes);
    let at = |t: f64| lanes.v[[(t / preset.step_ms) as usize, 0]];
    let spike = lanes.spikes[0][0];
    assert!(at(spike + 2.0) > -62.0, "{}", at(spike + 2.0));
    assert!((at(45.0) + 70.0).abs() < 0.1, "{}", at(45.0));
}

/// R: a slow rise to twice the current of a fast one is made up for.
#[test]
fn accommodation() {
    let ramp = |t: f64| match t {
        t if t < 200.0 => t / 25.0,
        t if t < 300.0 => 0.0,
        t if t < 312.5 => (t - 300.0) / 12.5 * 4.0,
        _ => 0.0,
    };
    let spikes = own("IzhikevichAccommodation").spikes(400.0, ramp);
    assert!(spikes.len() == 1 && spikes[0] > 305.0, "{spikes:?}");
}

/// S, T: less current, more spikes.
#[test]
fn induced_by_inhibition() {
    let current = |t: f64| {
        if (50.0..=250.0).contains(&t) {
            75.0
        } else {
            80.0
        }
    };
    for preset in [
        own("IzhikevichInhibitionInducedSpiking"),
        norse("NorseInhibitionInducedSpiking", 0.25),
    ] {
        let spikes = preset.spikes(350.0, current);
        let inside = spikes.iter().filter(|t| (60.0..250.0).contains(*t)).count();
        assert!(inside >= 3 && spread(&spikes[..3]).0 > 30.0, "{spikes:?}");
        assert!(
            preset.spikes(350.0, |_| 80.0).is_empty(),
            "{}",
            preset.neuron
        );
    }
    let preset = own("IzhikevichInhibitionInducedBursting");
    let spikes = preset.spikes(350.0, current);
    let (least, largest) = spread(&spikes[..12]);
    assert!(
        spikes[0] > 60.0 && least < 3.0 && largest > 50.0,
        "{spikes:?}"
    );
    assert!(preset.spikes(350.0, |_| 80.0).is_empty());
}

/// The script of the paper updates u with the new v, Norse with the old one, and accommodation has another equation
/// for u there. With its own numbers Norse's neuron fires again and again after the pulse, bursts for ever, and is not at
/// rest without input.
#[test]
fn norse_presets_without_their_behaviour() {
    let pulse = |t: f64| if (t - 10.0).abs() < 1.0 { 20.0 } else { 0.0 };
    let spikes = norse("NorseDap", 0.1).spikes(50.0, pulse);
    assert!(spikes.len() >= 3, "{spikes:?}");
    let spikes = norse("NorseInhibitionInducedBursting", 0.25).spikes(350.0, |t| {
        if (50.0..=250.0).contains(&t) {
            75.0
        } else {
            80.0
        }
    });
    assert!(
        spikes[spikes.len() - 1] > 345.0 && spread(&spikes).1 < 10.0,
        "{spikes:?}"
    );
    let spikes = norse("NorseAccomodation", 0.5).spikes(100.0, |_| 0.0);
    assert!(spikes.len() > 5, "{spikes:?}");
}
