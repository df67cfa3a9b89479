//! Losses from text to gradient: differences of the loss of a whole network by its parameters, and that spiking
//! losses and penalties do what they are for.

use std::path::Path;

use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_runtime::Backend;
use rheobase_train::Trainer;

const NETWORK: &str = r#"
import "std/surrogates.snn"
neuron LI {
  param tau = 20 ms in 5 ms .. 100 ms learn via clamp
  input x
  state v = 0
  v' = -v / tau
  on receive x { v += x }
}
neuron LIF {
  input x
  state v = 0
  v' = -v / 20 ms
  on receive x { v += x }
  spike when v >= 1 surrogate superspike(beta = 5)
  on spike detached { v = 0 }
}
fn hinge(x, m = 1) = max(0, m - x)
fn in_units(x, unit) = x / unit
fn both(x, k) = hinge(x, m = 2 * k)^(1 + k / 0.3) + tanh(x) * hinge(-x)
neuron Steep {
  param slope = 5 in 1 .. 20 learn via clamp
  param fixed = 5 in 1 .. 20 learn via clamp
  input x
  state v = 0
  v' = -v / 20 ms
  on receive x { v += x }
  spike when v >= 1 surrogate sigmoid(slope = slope + detach(fixed))
  on spike detached { v = 0 }
}
network Shaped {
  step 1 ms
  input inp[64]
  layer hid : Steep[40]
  layer out : LI[10]
  connect inp -> hid.x : dense(w = normal(0.05, 2 / sqrt(fan_in)))
  connect hid -> out.x : dense(w = normal(0.05, 2 / sqrt(fan_in)))
}
network Smooth {
  step 1 ms
  input inp[64]
  layer out : LI[10]
  connect inp -> out.x : dense(w = normal(0, 1 / sqrt(fan_in)))
}
network Spiking {
  step 1 ms
  input inp[64]
  layer hid : LIF[40]
  layer out : LIF[10]
  connect inp -> hid.x : dense(w = normal(0.05, 2 / sqrt(fan_in)))
  connect hid -> out.x : dense(w = normal(0.05, 2 / sqrt(fan_in)))
}
network Grouped {
  step 1 ms
  input inp[64]
  layer out : LI[10]
  connect inp -> out.x : dense(w = normal(0, 1 / sqrt(fan_in)), bias = 0.1) delay uniform(1 ms, 5 ms) in 0 ms .. 8 ms learn via dcls
}
"#;

/// The digits, encoded.
const DIGITS: &str = "data = digits()\n  encode = latency()";

/// Random input with target spikes for ten units.
const PATTERNS: &str =
    "data = spike_patterns(channels = 64, units = 10, spikes = 3, rate = 40 Hz, samples = 32)";

/// A trainer with this data and these settings.
fn trainer(network: &str, data: &str, settings: &str) -> Trainer {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("loss.snn");
    let text = format!(
        "{NETWORK}\ntrain t of {network} {{\n  {data}\n  duration = 25 ms\n  \
         epochs = 1\n  batch = 32\n  {settings}\n}}\n"
    );
    std::fs::write(&path, text).expect("written");
    let front = front(&path).expect("readable");
    let console = Console {
        color: false,
        bars: false,
    };
    let (plan, network) = front.plan(None).expect("one plan");
    let program = front
        .program(&network, Some(&plan), &console)
        .unwrap_or_else(|error| panic!("{settings}: {error:?}"));
    Trainer::new(&program, Backend::Jit, 2, Path::new(".")).expect("builds")
}

/// Every kind of loss on a readout without spikes, whose derivatives are exact. The gradient is what one step of
/// gradient descent with a rate of 1 takes away; the loss of changed parameters is what the next step reports.
#[test]
fn gradients_agree_with_differences() {
    let losses = [
        "loss = cross_entropy(max_over_time(out.v), label)",
        "loss = cross_entropy(sum_over_time(out.v) / 5, label, smoothing = 0.1)",
        "loss = cross_entropy(mean_over_time(out.v), label, weights = [1, 2, 1, 2, 1, 2, 1, 2, 1, 0.5])",
        "loss = cross_entropy(last_step(out.v), label)",
        "loss = cross_entropy(2 * every_step(out.v), label)",
        "loss = cross_entropy(last_step(filtered(out.v, decay = 10 ms, rise = 3 ms)), label)",
        "loss = mse(mean_over_time(out.v), one_hot(label, on = 1, off = -0.5))",
        "loss = mean(relu(abs(out.v) - 0.2)^2)",
        "loss = cross_entropy(last_step(out.v), label) + 0.3 * mean(tanh(out.v)) - mean(out.v) / 2",
        "loss = cross_entropy(last_step(out.v), label)\n  penalty = 0.1 * sum(weights(out)^2) + 0.1 * mean((out.tau / 20 ms)^2)",
        "loss = mean(both(max_over_time(out.v), k = 0.3)) + mean(hinge(in_units(out.tau, 30 ms)))",
        "loss = cross_entropy(last_step(out.v), label)\n  penalty = 0.1 * sum(abs(weights(out)))",
        "loss = cross_entropy(last_step(out.v), label)\n  penalty = mean(mean_over_batch(sum_over_time(out.v))^2) / 10",
    ];
    // Targets that change over time, for a trace and for its filtered course.
    let against_targets = [
        "loss = mse(out.v, target)",
        "loss = mse(filtered(out.v, decay = 10 ms, rise = 3 ms), target)",
        "loss = mse(out.v, target) + 0.1 * mean(abs(mean_over_time(out.v)))",
    ];
    let digits = losses.iter().map(|loss| (DIGITS, *loss));
    let all = digits.chain(against_targets.iter().map(|loss| (PATTERNS, *loss)));
    // The precision, how far parameters are moved, and the error that is allowed, of the derivative and beside it.
    let single = ("f32", 1e-3, 3e-2, 2e-4);
    let double = ("f64", 1e-5, 1e-6, 1e-8);
    for (data, loss, (precision, distance, relative, absolute)) in
        all.flat_map(|(data, loss)| [single, double].map(|p| (data, loss, p)))
    {
        let settings = format!("{loss}\n  optimizer = sgd(lr = 1)\n  precision = {precision}");
        let mut trainer = trainer("Smooth", data, &settings);
        let batch: Vec<usize> = (0..32).collect();
        let before = trainer.parameters();
        trainer.step(&batch, 0.0).expect("a step");
        let after = trainer.parameters();
        let mut loss_at = |owner: usize, at: usize, by: f64| {
            let mut moved = before.clone();
            moved.values[owner][at] += by;
            trainer.set_parameters(&moved).expect("set");
            let report = trainer.step(&batch, 0.0).expect("a step");
            report.loss + report.penalty
        };
        let mut seen = 0.0f64;
        for owner in 0..before.values.len() {
            let n = before.values[owner].len();
            for at in (0..n).step_by(97) {
                let h = distance * before.values[owner][at].abs().max(0.5);
                let numeric = (loss_at(owner, at, h) - loss_at(owner, at, -h)) / (2.0 * h);
                let exact = before.values[owner][at] - after.values[owner][at];
                seen = seen.max(exact.abs());
                let allowed = relative * exact.abs() + absolute;
                assert!(
                    (numeric - exact).abs() < allowed,
                    "{precision}, {loss}: parameter {owner} at {at}: {numeric} and {exact}"
                );
            }
        }
        assert!(seen > 1e-3, "{loss}: every derivative is about 0");
    }
}

/// What a plan reports over passes through the samples: loss plus penalty in its first and last steps.
fn course(data: &str, epochs: usize, settings: &str) -> (f64, f64, Vec<f64>) {
    let settings = format!("{settings}\n  optimizer = adam(lr = 2e-3)");
    let mut trainer = trainer("Spiking", data, &settings);
    let order: Vec<usize> = (0..epochs).flat_map(|epoch| trainer.order(epoch)).collect();
    let mut totals = Vec::new();
    let mut hits = Vec::new();
    for (i, batch) in order.chunks_exact(32).enumerate() {
        let report = trainer.step(batch, i as f64 / 56.0).expect("a step");
        totals.push(report.loss + report.penalty);
        hits.push(report.correct as f64 / 32.0);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (mean(&totals[..8]), mean(&totals[totals.len() - 8..]), hits)
}

/// Losses that read spikes go down.
#[test]
fn spiking_losses_are_learned() {
    for loss in [
        "loss = cross_entropy(spike_count(out), label)",
        "loss = cross_entropy(rate(out) / 20 Hz, label)",
        "loss = mse(spike_count(out), one_hot(label, on = 4, off = 0))",
        "loss = cross_entropy(-first_spike(out) / 3 ms, label)",
        "loss = cross_entropy(max_over_time(filtered(out, decay = 10 ms)), label)",
    ] {
        let (first, last, hits) = course(DIGITS, 3, loss);
        assert!(last < 0.85 * first, "{loss}: {first} to {last}");
        let late = hits[hits.len() - 8..].iter().sum::<f64>() / 8.0;
        assert!(late > 0.2, "{loss}: {late} of the last samples");
    }
}

/// Distances between spike trains go down: the targets are spikes, the units are told nothing else.
#[test]
fn spikes_come_to_their_times() {
    for loss in [
        "loss = van_rossum(out, target, decay = 10 ms)",
        "loss = van_rossum(out, target, decay = 10 ms, rise = 5 ms)",
    ] {
        let (first, last, _) = course(PATTERNS, 120, loss);
        assert!(last < 0.6 * first, "{loss}: {first} to {last}");
    }
}

/// Each kind of parameter has the optimiser that its setting names, and no other kind has it.
#[test]
fn parameter_groups_have_optimisers_of_their_own() {
    let loss = "loss = cross_entropy(last_step(out.v), label)\n  optimizer = sgd(lr = 0.5)";
    let moved = |settings: &str| -> Vec<(String, f64)> {
        let mut trainer = trainer("Grouped", DIGITS, &format!("{loss}\n  {settings}"));
        let before = trainer.parameters();
        let batch: Vec<usize> = (0..32).collect();
        trainer.step(&batch, 0.0).expect("a step");
        let after = trainer.parameters();
        let pairs = before.values.iter().zip(&after.values);
        let most = pairs.map(|(before, after)| {
            let distances = before.iter().zip(after).map(|(a, b)| (a - b).abs());
            distances.fold(0.0, f64::max)
        });
        let names = before.specs.iter().map(|spec| spec.name.clone());
        names.zip(most).collect()
    };
    let plain = moved("");
    assert_eq!(plain.len(), 4, "{plain:?}");
    assert!(plain.iter().all(|(_, most)| *most > 0.0), "{plain:?}");
    for (setting, of) in [
        ("optimizer_weights", ".weight"),
        ("optimizer_biases", ".bias"),
        ("optimizer_neurons", ".tau"),
        ("optimizer_delays", ".delay"),
    ] {
        let own = moved(&format!("{setting} = sgd(lr = 0.25)"));
        let mut halved = 0;
        for ((name, own), (_, plain)) in own.iter().zip(&plain) {
            let expected = if name.ends_with(of) { 0.5 } else { 1.0 };
            halved += usize::from(expected == 0.5);
            let share = own / plain;
            assert!(
                (share - expected).abs() < 0.02,
                "{setting}, {name}: {share}"
            );
        }
        assert_eq!(halved, 1, "{setting}");
    }
}

/// Penalties alone move rates to where they ask for them.
#[test]
fn penalties_move_rates() {
    for (penalty, settings) in [
        (
            "upper bound",
            "loss = mean((relu(rate(hid) - 5 Hz) / 10 Hz)^2) + 0 * mean(out)",
        ),
        (
            "lower bound",
            "loss = mean((relu(120 Hz - rate(hid)) / 10 Hz)^2) + 0 * mean(out)",
        ),
        (
            "over the batch",
            "loss = mean(mean_over_batch(spike_count(hid))^2) + 0 * mean(out)",
        ),
    ] {
        let (first, last, hits) = course(DIGITS, 3, settings);
        assert!(last < 0.8 * first, "{penalty}: {first} to {last}");
        assert!(
            hits.iter().all(|&h| h == 0.0),
            "{penalty}: there are no classes"
        );
    }
}

/// The slope of a surrogate is learned like any parameter, through the smoothed spike; one in `detach` stays.
#[test]
fn slopes_of_surrogates_are_learned() {
    let mut trainer = trainer(
        "Shaped",
        DIGITS,
        "loss = cross_entropy(max_over_time(out.v), label)\n  optimizer = adam(lr = 1e-2)",
    );
    let value = |trainer: &Trainer, name: &str| {
        let parameters = trainer.parameters();
        let at = parameters.position(name).expect("it is learned");
        parameters.values[at][0]
    };
    for (i, batch) in trainer.order(0).chunks_exact(32).take(10).enumerate() {
        trainer.step(batch, i as f64 / 56.0).expect("a step");
    }
    let moved = (value(&trainer, "hid.slope") - 5.0).abs();
    assert!(moved > 1e-2, "by {moved}");
    assert_eq!(value(&trainer, "hid.fixed"), 5.0);
}
