//! `fluctuation_driven` does what it says: with the weights that are drawn, the membrane has the wanted
//! mean and standard deviation, in a simulation that knows nothing of the formula.

use rheobase_ir::integrate::integrate;
use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Def, Role};
use rheobase_ir::program::{Initial, Network, Neuron};
use rheobase_ir::random::SplitMix64;
use rheobase_ir::response::response;
use rheobase_lang::check::check;
use rheobase_lang::diag::{has_errors, render::render_all};
use rheobase_lang::load::{Loaded, NoFiles, load};
use rheobase_lang::lower::lower_network;

const NEURONS: &str = "
surrogate s(u) { derivative = 1 / (1 + abs(u))^2 }
neuron Delta {
  input x
  state v = 0
  v' = -v / 20 ms
  on receive x { v += x }
  spike when v >= 1 surrogate s()
  on spike detached { v = 0 }
}
neuron Current {
  param C = 200 pF
  param g = 10 nS
  param E = -70 mV
  input x : pA
  state i = 0 pA
  state v = -60 mV
  i' = -i / 5 ms
  v' = (i - g * (v - E)) / C
  on receive x { i += x }
  spike when v > -50 mV scale 5 mV surrogate s()
  on spike detached { v = E }
}
neuron Discrete {
  input x
  state syn = 0
  state mem = 0
  spike sp when mem >= 1 surrogate s()
  next syn = 0.8 * syn + x
  next mem = (0.9 * mem + 0.1 * syn) * (1 - detach(sp))
  order spike, receive, integrate
}
neuron Readout { input x state v = 0 v' = -v / 20 ms on receive x { v += x } }
neuron Perfect { input x state v = 0 on receive x { v += x } spike when v >= 1 surrogate s() on spike detached { v = 0 } }
neuron Deaf { input x state v = 0 v' = -v / 20 ms on receive x { v *= 1 } spike when v >= 1 + 0 * x surrogate s() on spike detached { v = 0 } }
neuron Restless { input x state v = 0 v' = (2 - v) / 20 ms on receive x { v += x } spike when v >= 1 surrogate s() on spike detached { v = 0 } }
";

fn network(connections: &str, neuron: &str) -> (Loaded, Result<Network, String>) {
    let source = format!(
        "{NEURONS} network N {{ step 1 ms input a[100] input b[50] layer l : {neuron}[4] {connections} }}"
    );
    let loaded = load("n.snn", &source, &NoFiles);
    let checked = check(&loaded.files);
    let findings = [loaded.diagnostics.clone(), checked.diagnostics.clone()].concat();
    assert!(
        !has_errors(&findings),
        "{}",
        render_all(&findings, &loaded.sources, false)
    );
    let lowered = lower_network(&checked.model, None, None)
        .map(|program| program.network)
        .map_err(|found| found[0].message.clone());
    (loaded, lowered)
}

fn drawn(network: &Network) -> Vec<(f64, f64)> {
    let weight = |initial: &Option<Initial>| match initial {
        Some(Initial::Normal { mean, std }) => (*mean, *std),
        other => panic!("{other:?}"),
    };
    network
        .connections
        .iter()
        .map(|c| weight(&c.operations[0].weight))
        .collect()
}

/// A standard normal number (Box & Muller 1958).
fn normal(random: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// The mean of a state over neurons with weights of their own and over time, and the standard deviation in
/// time, of which neurons have a different mean each; `inputs` are the numbers of sources and the
/// distributions of their weights.
fn simulate(neuron: &Neuron, state: &str, rate: f64, inputs: &[(usize, (f64, f64))]) -> (f64, f64) {
    let mut kernel = neuron.step.clone();
    integrate(&mut kernel);
    let slots: Vec<_> = kernel
        .nodes
        .iter()
        .filter_map(|node| match &node.def {
            Def::Input(input) => Some(input.slot.clone()),
            Def::Inst(..) => None,
        })
        .collect();
    let mut random = SplitMix64::new(7);
    const NEURONS: usize = 60;
    const STEPS: usize = 4000;
    let (mut means, mut variances) = (0.0, 0.0);
    for _ in 0..NEURONS {
        let (mut sum, mut squares) = (0.0, 0.0);
        let weights: Vec<f64> = inputs
            .iter()
            .flat_map(|&(n, (mean, std))| std::iter::repeat_n((mean, std), n))
            .map(|(mean, std)| mean + std * normal(&mut random))
            .collect();
        let mut states: std::collections::BTreeMap<String, f64> = neuron
            .states
            .iter()
            .map(|s| (s.name.clone(), 0.0))
            .collect();
        // The rest of `Current`; the others rest at 0.
        if neuron.name == "Current" {
            states.insert("v".to_owned(), -70.0);
        }
        for step in 0..200 + STEPS {
            let arrived: f64 = weights.iter().filter(|_| random.unit() < rate).sum();
            let values: Vec<f64> = slots
                .iter()
                .map(|slot| match slot.role {
                    Role::Param => neuron
                        .params
                        .iter()
                        .find(|p| p.name == *slot.name)
                        .expect("it has it")
                        .typical(),
                    Role::State => states[&*slot.name],
                    Role::Port => arrived,
                    Role::Derived | Role::Init | Role::Spike | Role::Saved | Role::Key => 0.0,
                })
                .collect();
            let nodes =
                evaluate(&kernel, &mut |i| values[i], &mut Spiking::Hard).expect("no equations");
            for output in &kernel.outputs {
                if output.slot.role == Role::State {
                    states.insert(output.slot.name.to_string(), nodes[output.value.index()]);
                }
            }
            if step >= 200 {
                let value = states[state];
                sum += value;
                squares += value * value;
            }
        }
        let mean = sum / STEPS as f64;
        means += mean;
        variances += squares / STEPS as f64 - mean * mean;
    }
    let average = |sum: f64| sum / NEURONS as f64;
    (average(means), average(variances).sqrt())
}

#[test]
fn the_membrane_fluctuates_as_wanted() {
    // Threshold five standard deviations away: no spike disturbs the membrane.
    let one = "connect a -> l.x : dense(w = fluctuation_driven(20 Hz, mu = 0.1, xi = 5))";
    for (neuron, state, rest, distance) in [
        ("Delta", "v", 0.0, 1.0),
        ("Current", "v", -70.0, 20.0),
        ("Discrete", "mem", 0.0, 1.0),
    ] {
        let lowered = network(one, neuron).1.expect("it can be run");
        let inputs = [(100, drawn(&lowered)[0])];
        let (mean, std) = simulate(&lowered.layers[0].neuron, state, 0.02, &inputs);
        let wanted = rest + 0.1 * distance;
        assert!((mean - wanted).abs() < 0.02 * distance, "{neuron}: {mean}");
        let wanted = 0.9 * distance / 5.0;
        assert!(
            (std / wanted - 1.0).abs() < 0.06,
            "{neuron}: {std}, not {wanted}"
        );
    }
    // Two connections share the input.
    let two = "connect a -> l.x : dense(w = fluctuation_driven(20 Hz, mu = 0.1, xi = 5, share = 0.8))
               connect b -> l.x : dense(w = fluctuation_driven(20 Hz, mu = 0.1, xi = 5, share = 0.2))";
    let lowered = network(two, "Delta").1.expect("it can be run");
    let [a, b] = drawn(&lowered)[..] else {
        panic!("two connections")
    };
    let (mean, std) = simulate(&lowered.layers[0].neuron, "v", 0.02, &[(100, a), (50, b)]);
    assert!((mean - 0.1).abs() < 0.02, "{mean}");
    assert!((std / 0.18 - 1.0).abs() < 0.06, "{std}");
}

/// The integrals against those of the exponential kernel, and against the paper's formula in closed form.
#[test]
fn responses_of_known_neurons() {
    let lowered = network("connect a -> l.x : dense(w = 1)", "Delta")
        .1
        .expect("it can be run");
    let found = response(&lowered.layers[0].neuron, 0, 1.0).expect("it comes to rest");
    // Arrivals decay once before the condition: ε_k = q^(k+1).
    let q = (-1.0_f64 / 20.0).exp();
    assert!((found.distance - 1.0).abs() < 1e-12);
    assert!((found.integral - q / (1.0 - q)).abs() < 1e-5, "{found:?}");
    assert!(
        (found.square - q * q / (1.0 - q * q)).abs() < 1e-5,
        "{found:?}"
    );
    let (_, lowered) = network(
        "connect a -> l.x : dense(w = fluctuation_driven(10 Hz))",
        "Delta",
    );
    let (mean, std) = drawn(&lowered.expect("it can be run"))[0];
    assert_eq!(mean, 0.0);
    assert!((std - (1.0 / (100.0 * 0.01 * found.square)).sqrt()).abs() < 1e-9);
}

#[test]
fn what_has_no_fluctuations_is_refused() {
    let weights = "connect a -> l.x : dense(w = fluctuation_driven(10 Hz))";
    let message = |connections: &str, neuron: &str| match network(connections, neuron).1 {
        Ok(_) => panic!("{neuron} is accepted"),
        Err(message) => message,
    };
    assert!(message(weights, "Readout").contains("never spikes"));
    assert!(message(weights, "Perfect").contains("does not forget"));
    assert!(message(weights, "Restless").contains("come to rest"));
    assert!(message(weights, "Deaf").contains("does not move"));
    let steep = "connect a -> l.x : dense(w = fluctuation_driven(1 Hz, mu = 0.9, xi = 10))";
    assert!(message(steep, "Delta").contains("no weights have this effect"));
    let bias = "connect a -> l.x : dense(w = 1, bias = fluctuation_driven(1 Hz))";
    assert!(message(bias, "Delta").contains("anything but the weights"));
}
