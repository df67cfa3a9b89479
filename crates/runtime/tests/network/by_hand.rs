//! The same network and its derivative, written out as loops over samples, steps and neurons.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayD, IxDyn};

use crate::fixture::{Case, HIDDEN, INPUTS, OUTPUTS};

/// What a run gives, under the names that the test compares.
pub(crate) struct Expected {
    pub(crate) traces: BTreeMap<String, Array3<f64>>,
    pub(crate) gradients: BTreeMap<String, ArrayD<f64>>,
}

pub(crate) fn run(case: &Case) -> Expected {
    let p = case.parameters();
    let mut gradients: BTreeMap<String, ArrayD<f64>> = p
        .iter()
        .map(|(n, a)| (n.clone(), ArrayD::zeros(IxDyn(a.shape()))))
        .collect();
    let zeros = |n: usize| Array3::<f64>::zeros((case.steps, case.samples, n));
    let (mut s, mut v, mut out) = (zeros(HIDDEN), zeros(HIDDEN), zeros(OUTPUTS));
    let mut u = zeros(HIDDEN);
    let at = |name: &str| p[name].iter().copied().next().expect("a number");
    let (decay, out_decay, start) = (at("hid.decay"), at("out.decay"), at("out.start"));
    for b in 0..case.samples {
        for t in 0..case.steps {
            for i in 0..HIDDEN {
                let mut x = p["in.hid.x.bias"][i];
                (0..INPUTS).for_each(|j| x += p["in.hid.x.weight"][[i, j]] * case.input[[t, b, j]]);
                if t >= 2 {
                    (0..HIDDEN).for_each(|j| x += p["hid.hid.x.weight"][[i, j]] * s[[t - 2, b, j]]);
                }
                let before = if t > 0 { v[[t - 1, b, i]] } else { 0.0 };
                let h = decay * before + x;
                u[[t, b, i]] = h - p["hid.threshold"][i];
                s[[t, b, i]] = if u[[t, b, i]] >= 0.0 { 1.0 } else { 0.0 };
                v[[t, b, i]] = h - s[[t, b, i]] * p["hid.threshold"][i];
            }
            for k in 0..OUTPUTS {
                let before = if t > 0 { out[[t - 1, b, k]] } else { start };
                let mut x = 0.0;
                for j in 0..HIDDEN {
                    x += p["hid.out.x.weight"][[k, j]] * s[[t, b, j]];
                    if t >= 1 {
                        x += p["hid.out.x.1.weight"][[k, j]] * s[[t - 1, b, j]];
                    }
                }
                out[[t, b, k]] = out_decay * before + x;
            }
        }
    }
    let mut input_gradient = zeros(INPUTS);
    let mut initial_hidden = Array3::zeros((1, case.samples, HIDDEN));
    let mut initial_out = Array3::zeros((1, case.samples, OUTPUTS));
    for b in 0..case.samples {
        let mut ds = case.spike_cotangent.clone();
        let (mut dv, mut dout) = (vec![0.0; HIDDEN], vec![0.0; OUTPUTS]);
        for t in (0..case.steps).rev() {
            for k in 0..OUTPUTS {
                let d = dout[k] + case.out_cotangent[[t, b, k]];
                for j in 0..HIDDEN {
                    gradients.get_mut("hid.out.x.weight").expect("there")[[k, j]] +=
                        d * s[[t, b, j]];
                    ds[[t, b, j]] += d * p["hid.out.x.weight"][[k, j]];
                    if t >= 1 {
                        gradients.get_mut("hid.out.x.1.weight").expect("there")[[k, j]] +=
                            d * s[[t - 1, b, j]];
                        ds[[t - 1, b, j]] += d * p["hid.out.x.1.weight"][[k, j]];
                    }
                }
                let before = if t > 0 { out[[t - 1, b, k]] } else { start };
                *gradients
                    .get_mut("out.decay")
                    .expect("there")
                    .first_mut()
                    .expect("a number") += d * before;
                dout[k] = d * out_decay;
            }
            for i in 0..HIDDEN {
                let surrogate = 1.0 / (1.0 + u[[t, b, i]].abs()).powi(2);
                // The reset takes the threshold off where it spiked, and is differentiated.
                let ds_all = ds[[t, b, i]] - dv[i] * p["hid.threshold"][i];
                let du = ds_all * surrogate;
                let dh = dv[i] + du;
                gradients.get_mut("hid.threshold").expect("there")[i] += -du - dv[i] * s[[t, b, i]];
                gradients.get_mut("in.hid.x.bias").expect("there")[i] += dh;
                for j in 0..INPUTS {
                    gradients.get_mut("in.hid.x.weight").expect("there")[[i, j]] +=
                        dh * case.input[[t, b, j]];
                    input_gradient[[t, b, j]] += dh * p["in.hid.x.weight"][[i, j]];
                }
                if t >= 2 {
                    for j in (0..HIDDEN).filter(|j| *j != i) {
                        gradients.get_mut("hid.hid.x.weight").expect("there")[[i, j]] +=
                            dh * s[[t - 2, b, j]];
                        ds[[t - 2, b, j]] += dh * p["hid.hid.x.weight"][[i, j]];
                    }
                }
                let before = if t > 0 { v[[t - 1, b, i]] } else { 0.0 };
                *gradients
                    .get_mut("hid.decay")
                    .expect("there")
                    .first_mut()
                    .expect("a number") += dh * before;
                dv[i] = dh * decay;
            }
        }
        (0..HIDDEN).for_each(|i| initial_hidden[[0, b, i]] = dv[i]);
        (0..OUTPUTS).for_each(|k| initial_out[[0, b, k]] = dout[k]);
        *gradients
            .get_mut("out.start")
            .expect("there")
            .first_mut()
            .expect("a number") += dout.iter().sum::<f64>();
    }
    let traces = BTreeMap::from([
        ("0.s".to_string(), s),
        ("0.v".to_string(), v),
        ("1.v".to_string(), out),
        ("input gradient".to_string(), input_gradient),
        ("initial 0.v".to_string(), initial_hidden),
        ("initial 1.v".to_string(), initial_out),
    ]);
    Expected { traces, gradients }
}
