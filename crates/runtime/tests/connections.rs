//! Every operation of a connection, alone and in chains, in a network of spiking layers against loops over
//! steps, samples and definitions: traces, and gradients of weights, biases and inputs. Input that is
//! graded, negative, doubled or plain, of few and of many entries; on 1, 2, 3 and 8 threads the same bits.

#[path = "connections/naive.rs"]
mod naive;
#[path = "connections/operations.rs"]
mod operations;
#[path = "shared/small.rs"]
mod shared;

use std::collections::BTreeMap;

use naive::Naive;
use ndarray::{ArrayD, ArrayView3, IxDyn};
use operations::{
    convolution, dense, dropout, norm, operation, pool, scale_of, sizes, sparse, window,
};
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{
    Connection, Density, Initial, Network, Operation, Pooling, Source, Synapses,
};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Batch, Events, Float, Gradients, Owner, Parameters, Simulator};
use shared::{DECAY, connection, layer, lif, network};

/// Numbers in −1..1 that look random and are the same everywhere; multiples of 1/64, so that sums in any order
/// are exact and windows have ties.
fn values(seed: usize, n: usize) -> Vec<f64> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 57) as f64 - 64.0) / 64.0
        })
        .collect()
}

/// What the events of the input are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Graded,
    /// Some of them twice.
    Doubled,
}

/// in → a → b, and a → a a step later; some chains may be left out.
struct Case {
    inputs: usize,
    first: Vec<Operation>,
    again: Vec<Operation>,
    second: Vec<Operation>,
    /// Whether `again` uses the parameters of `first`.
    tied: bool,
    steps: usize,
    samples: usize,
    density: f64,
    kind: Kind,
    /// Whether `again` and `second` start at the state of the layer instead of its spikes.
    states: bool,
}

type Results = BTreeMap<String, Vec<f64>>;
type Rows = Vec<Vec<f64>>;

impl Case {
    fn new(first: Vec<Operation>, second: Vec<Operation>) -> Case {
        Case {
            inputs: first[0].inputs,
            first,
            again: Vec::new(),
            second,
            tied: false,
            steps: 5,
            samples: 3,
            density: 0.2,
            kind: Kind::Graded,
            states: false,
        }
    }

    fn sizes(&self) -> [usize; 2] {
        [&self.first, &self.second].map(|ops| ops.last().expect("operations").outputs)
    }

    /// The connections: operations, source (`None` for the input), target, delay.
    fn edges(&self) -> Vec<(&[Operation], Option<usize>, usize, usize)> {
        let mut edges = vec![(&self.first[..], None, 0, 0)];
        if !self.again.is_empty() {
            edges.push((&self.again[..], Some(0), 0, 1));
        }
        edges.push((&self.second[..], Some(0), 1, 0));
        edges
    }

    fn network(&self) -> Network {
        let neuron = lif();
        let layers = self.sizes().into_iter().enumerate();
        let layers = layers.map(|(l, n)| layer(&format!("l{l}"), n, &neuron));
        let edges = self.edges().into_iter().enumerate();
        let connections = edges.map(|(c, (operations, from, to, delay))| {
            let from = match from {
                None => Source::Input(0),
                Some(l) if self.states => Source::State(l, 0),
                Some(l) => Source::Layer(l),
            };
            let operations = operations.to_vec();
            Connection {
                tied: (self.tied && c == 1).then_some(0),
                ..connection(&format!("c{c}"), from, to, delay as u32, operations)
            }
        });
        network(self.inputs, layers.collect(), connections.collect())
    }

    /// The events of an input row: channels and values.
    fn events(&self, t: usize, b: usize) -> Vec<(u32, f64)> {
        let seed = 1000 + t * self.samples + b;
        let numbers = values(seed, 2 * self.inputs);
        let mut events = Vec::new();
        for channel in 0..self.inputs {
            if (numbers[2 * channel] + 1.0) / 2.0 >= self.density {
                continue;
            }
            let value = match self.kind {
                Kind::Plain | Kind::Doubled => 1.0,
                Kind::Graded => numbers[2 * channel + 1],
            };
            events.push((channel as u32, value));
            if self.kind == Kind::Doubled && numbers[2 * channel + 1] > 0.0 {
                events.push((channel as u32, value));
            }
        }
        events
    }

    fn row(&self, t: usize, b: usize) -> Vec<f64> {
        let mut row = vec![0.0; self.inputs];
        for (channel, value) in self.events(t, b) {
            row[channel as usize] += value;
        }
        row
    }

    /// dL/ds and dL/dv of a layer in a row.
    fn cotangents(&self, layer: usize, t: usize, b: usize) -> [Vec<f64>; 2] {
        let seed = 5000 + (layer * self.steps + t) * self.samples + b;
        [0, 3000].map(|more| values(seed + more, self.sizes()[layer]))
    }

    /// The operations of every connection with numbers for their parameters.
    fn naive(&self, sample: usize) -> Vec<Vec<Naive>> {
        let maximum = |operation: &Operation| {
            let Synapses::Pool { pooling, .. } = operation.synapses else {
                return false;
            };
            pooling == Pooling::Max
        };
        let mut all = self.edges().into_iter().flat_map(|(ops, ..)| ops);
        // With a factor that is no fraction no neuron is at its threshold but for rounding; with one, numbers
        // that go into a maximum are exact and equal in any order of sums.
        let factor = if all.any(maximum) { 2.0 } else { 1.9137 };
        let edges = self.edges().into_iter().enumerate();
        let chain = |(c, (operations, ..)): (usize, (&[Operation], _, _, _))| {
            let place = |o| [sample, c, o];
            let c = if self.tied && c == 1 { 0 } else { c };
            let naive = |(o, operation): (usize, &Operation)| {
                let scaled = |x: f64| f64::from((x * factor) as f32);
                let numbers = |shape: Option<Vec<usize>>, seed| {
                    let numbers = shape.map(|s| values(seed, s.iter().product()));
                    let numbers = numbers.unwrap_or_default();
                    numbers.into_iter().map(scaled).collect()
                };
                Naive {
                    weight: numbers(operation.weight_shape(), 10 * c + o + 1),
                    bias: numbers(operation.bias_shape(), 10 * c + o + 501),
                    feedback: match operation.feedback {
                        None => Vec::new(),
                        Some(_) => numbers(operation.weight_shape(), 10 * c + o + 701),
                    },
                    operation: operation.clone(),
                    place: place(o),
                }
            };
            operations.iter().enumerate().map(naive).collect()
        };
        edges.map(chain).collect()
    }

    fn by_hand(&self) -> Results {
        let (edges, sizes) = (self.edges(), self.sizes());
        let chains = |c: usize| -> Vec<Vec<Naive>> {
            (0..self.samples)
                .map(|b| self.naive(b).swap_remove(c))
                .collect()
        };
        let chains: Vec<_> = (0..edges.len()).map(chains).collect();
        let mut results = Results::new();
        let mut d_weights: Vec<Rows> = Vec::new();
        let mut d_biases: Vec<Rows> = Vec::new();
        for chain in &chains {
            let zeros =
                |size: fn(&Naive) -> usize| chain[0].iter().map(|n| vec![0.0; size(n)]).collect();
            d_weights.push(zeros(|n| n.weight.len()));
            d_biases.push(zeros(|n| n.bias.len()));
        }
        let at = |t: usize, b: usize| t * self.samples + b;
        let rows = self.steps * self.samples;
        let zeros = || sizes.map(|n| vec![vec![0.0; n]; rows]);
        let (mut s, mut v, mut u) = (zeros(), zeros(), zeros());
        let (mut ds, mut dv, mut dh) = (zeros(), zeros(), zeros());
        let mut d_input = vec![vec![0.0; self.inputs]; rows];
        let input: Rows = (0..rows)
            .map(|r| self.row(r / self.samples, r % self.samples))
            .collect();
        // What goes into each operation of a connection, for the rows that arrive.
        let mut made: Vec<Vec<Rows>> = vec![Vec::new(); edges.len()];
        let arriving = |delay: usize| self.samples * (self.steps - delay.min(self.steps));
        let sample_of: Vec<usize> = (0..rows).map(|r| r % self.samples).collect();
        for l in 0..2 {
            let mut x = vec![vec![0.0; sizes[l]]; rows];
            for (c, &(_, from, to, delay)) in edges.iter().enumerate() {
                if to != l {
                    continue;
                }
                x.iter_mut()
                    .for_each(|x| chains[c][0].last().expect("operations").add_bias(x));
                if from == Some(l) {
                    continue;
                }
                let sent = from.map_or(&input, |f| if self.states { &v[f] } else { &s[f] });
                let n = arriving(delay);
                made[c] = naive::through(&chains[c], &sample_of[..n], &sent[..n]);
                let out = made[c].last().expect("rows");
                for (x, y) in x[delay * self.samples..].iter_mut().zip(out) {
                    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
                }
            }
            for (t, b) in (0..rows).map(|r| (r / self.samples, r % self.samples)) {
                let inside = edges
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| e.1 == Some(l) && e.2 == l);
                for (c, &(.., delay)) in inside {
                    let sent = match t.checked_sub(delay) {
                        Some(t) if self.states => Some(v[l][at(t, b)].clone()),
                        Some(t) => Some(s[l][at(t, b)].clone()),
                        None => self.states.then(|| vec![0.0; sizes[l]]),
                    };
                    if let Some(sent) = sent {
                        let out = naive::through(&chains[c], &[b], &[sent])
                            .pop()
                            .expect("rows");
                        x[at(t, b)]
                            .iter_mut()
                            .zip(&out[0])
                            .for_each(|(x, y)| *x += y);
                    }
                }
                for i in 0..sizes[l] {
                    let before = if t > 0 { v[l][at(t - 1, b)][i] } else { 0.0 };
                    let h = DECAY * before + x[at(t, b)][i];
                    u[l][at(t, b)][i] = h - 1.0;
                    let spike = h >= 1.0;
                    s[l][at(t, b)][i] = f64::from(u8::from(spike));
                    v[l][at(t, b)][i] = if spike { h - 1.0 } else { h };
                }
            }
        }
        for l in 0..2 {
            for (t, b) in (0..rows).map(|r| (r / self.samples, r % self.samples)) {
                [ds[l][at(t, b)], dv[l][at(t, b)]] = self.cotangents(l, t, b);
            }
        }
        for l in (0..2).rev() {
            for (t, b) in (0..rows)
                .rev()
                .map(|r| (r / self.samples, r % self.samples))
            {
                let mut d = vec![0.0; sizes[l]];
                for i in 0..sizes[l] {
                    let later = match t + 1 < self.steps {
                        true => DECAY * dh[l][at(t + 1, b)][i],
                        false => 0.0,
                    };
                    let dv = dv[l][at(t, b)][i] + later;
                    let surrogate = 1.0 / (1.0 + u[l][at(t, b)][i].abs()).powi(2);
                    d[i] = dv + (ds[l][at(t, b)][i] - dv) * surrogate;
                }
                dh[l][at(t, b)].clone_from(&d);
                let inside = edges
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| e.1 == Some(l) && e.2 == l);
                for (c, &(.., delay)) in inside {
                    let sent = match t.checked_sub(delay) {
                        Some(t) if self.states => v[l][at(t, b)].clone(),
                        Some(t) => s[l][at(t, b)].clone(),
                        // The initial value of a state is sent before the first step.
                        None if self.states => vec![0.0; sizes[l]],
                        None => continue,
                    };
                    let owner = if self.tied { 0 } else { c };
                    let made = naive::through(&chains[c], &[b], &[sent]);
                    let (dw, db) = (&mut d_weights[owner], &mut d_biases[owner]);
                    let back = naive::back(&chains[c], &[b], &made, vec![d.clone()], dw, db);
                    let target = if self.states { &mut dv[l] } else { &mut ds[l] };
                    if let Some(t) = t.checked_sub(delay) {
                        let target = target[at(t, b)].iter_mut();
                        target.zip(&back[0]).for_each(|(a, b)| *a += b);
                    }
                }
            }
            for (c, &(_, from, to, delay)) in edges.iter().enumerate() {
                if to != l {
                    continue;
                }
                // Of a tied connection it is the gradient of the other one.
                let owner = if self.tied && c == 1 { 0 } else { c };
                let last = chains[c][0].len() - 1;
                for d in &dh[l] {
                    chains[c][0][last].bias_gradient(d, &mut d_biases[owner][last]);
                }
                if from == Some(l) {
                    continue;
                }
                let arrived = dh[l][delay * self.samples..].to_vec();
                let (dw, db) = (&mut d_weights[owner], &mut d_biases[owner]);
                let samples = &sample_of[..arrived.len()];
                let back = naive::back(&chains[c], samples, &made[c], arrived, dw, db);
                let target = match from {
                    None => &mut d_input,
                    Some(f) if self.states => &mut dv[f],
                    Some(f) => &mut ds[f],
                };
                for (target, back) in target.iter_mut().zip(&back) {
                    target.iter_mut().zip(back).for_each(|(a, b)| *a += b);
                }
            }
        }
        for l in 0..2 {
            results.insert(format!("{l}.s"), s[l].concat());
            results.insert(format!("{l}.v"), v[l].concat());
        }
        results.insert("input".into(), d_input.concat());
        let network = self.network();
        for (c, connection) in network.connections.iter().enumerate() {
            for o in 0..connection.operations.len() {
                for (part, d) in [("weight", &d_weights[c][o]), ("bias", &d_biases[c][o])] {
                    if !d.is_empty() && connection.tied.is_none() {
                        results.insert(format!("{}.{part}", connection.prefix(o)), d.clone());
                    }
                }
                if let Some((channels, _)) = chains[c][0][o].normalisation() {
                    let name = |part: &str| format!("{}.{part}", connection.prefix(o));
                    let all = (0..channels).map(|i| Naive::moments(&made[c][o], channels, i));
                    let (mean, variance) = all.map(|[n, m, q]| (m, q / (n - 1.0))).unzip();
                    results.insert(name("mean"), mean);
                    results.insert(name("variance"), variance);
                }
            }
        }
        results
    }

    fn run<R: Float>(&self, backend: Backend, threads: usize) -> Results {
        let network = self.network();
        let mut simulator =
            Simulator::<R>::new(&network, backend, Gradients::All).expect("compiles");
        let mut parameters = Parameters::zeros(simulator.parameters().specs.clone());
        let mut set = |name: &str, values: &[f64]| {
            let index = parameters.position(name).expect("a parameter");
            let shape = IxDyn(&parameters.specs[index].shape);
            let array = ArrayD::from_shape_vec(shape, values.to_vec()).expect("as many");
            parameters.import(index, &array).expect("shape fits");
            let back: Vec<f64> = parameters.export(index).iter().copied().collect();
            assert_eq!(back, values, "{name} comes back");
        };
        for (connection, chain) in network.connections.iter().zip(self.naive(0)) {
            for (o, naive) in chain.iter().enumerate() {
                let parts = [
                    ("weight", &naive.weight),
                    ("bias", &naive.bias),
                    ("feedback", &naive.feedback),
                ];
                for (part, values) in parts {
                    if !values.is_empty() && connection.tied.is_none() {
                        set(&format!("{}.{part}", connection.prefix(o)), values);
                    }
                }
            }
        }
        (0..2).for_each(|l| set(&format!("l{l}.decay"), &[DECAY]));
        simulator.set_parameters(parameters).expect("prologues run");
        let trains: Vec<(Vec<u32>, Vec<u32>, Vec<f32>)> = (0..self.samples)
            .map(|b| {
                let (mut offsets, mut indices, mut numbers) = (vec![0], Vec::new(), Vec::new());
                for t in 0..self.steps {
                    for (channel, value) in self.events(t, b) {
                        indices.push(channel);
                        numbers.push(value as f32);
                    }
                    offsets.push(indices.len() as u32);
                }
                (offsets, indices, numbers)
            })
            .collect();
        let events = trains.iter().map(|(offsets, indices, values)| Events {
            offsets,
            indices,
            values: (self.kind == Kind::Graded).then_some(&values[..]),
        });
        let batch = Batch {
            steps: self.steps,
            samples: self.samples,
            inputs: vec![events.collect()],
            injections: Vec::new(),
            initial: Vec::new(),
            keys: Vec::new(),
        };
        let mut cotangents = BTreeMap::new();
        for layer in 0..2 {
            for (k, (role, name)) in [(Role::Spike, "s"), (Role::State, "v")]
                .into_iter()
                .enumerate()
            {
                let rows = (0..self.steps).flat_map(|t| (0..self.samples).map(move |b| (t, b)));
                let rows: Vec<f64> = rows
                    .flat_map(|(t, b)| self.cotangents(layer, t, b)[k].clone())
                    .collect();
                let shape = (self.steps, self.samples, self.sizes()[layer]);
                let array = ndarray::Array3::from_shape_vec(shape, rows).expect("as many");
                let name = name.into();
                cotangents.insert(TraceName { layer, role, name }, array.mapv(R::from_f64));
            }
        }
        let views: BTreeMap<TraceName, ArrayView3<'_, R>> = cotangents
            .iter()
            .map(|(n, a)| (n.clone(), a.view()))
            .collect();
        let make = |range| Recorder::new(&simulator, range, self.steps, &views);
        let outcome = simulator
            .differentiate(&batch, threads, make)
            .expect("runs");
        let mut results = Results::new();
        let mut join = |name: String, parts: Vec<ndarray::Array3<f64>>| {
            let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
            let whole = ndarray::concatenate(ndarray::Axis(1), &views).expect("same shape");
            results.insert(name, whole.iter().copied().collect());
        };
        for trace in cotangents.keys() {
            let parts = outcome
                .probes
                .iter()
                .map(|p| p.recorded[trace].mapv(|x| x.to_f64()));
            join(format!("{}.{}", trace.layer, trace.name), parts.collect());
        }
        let parts = outcome
            .probes
            .iter()
            .map(|p| p.input_gradients[0].mapv(|x| x.to_f64()));
        join("input".into(), parts.collect());
        let exported = Parameters {
            specs: simulator.parameters().specs.clone(),
            values: outcome.gradients.clone(),
        };
        for (i, spec) in exported.specs.iter().enumerate() {
            if let Owner::Feedback(..) = spec.owner {
                assert!(exported.values[i].is_empty() && !spec.trained);
            } else if let Owner::Running(..) = spec.owner {
                // With a momentum of 1 they are those of the batch.
                assert!(exported.values[i].is_empty() && !spec.trained);
                let found = outcome.running.iter().find(|(index, _)| *index == i);
                let (_, values) = found.expect("a training step moves them");
                let values = values.iter().map(|x| x.to_f64()).collect();
                results.insert(spec.name.clone(), values);
            } else if spec.name.starts_with('c') {
                let numbers = exported.export(i).iter().copied().collect();
                results.insert(spec.name.clone(), numbers);
            }
        }
        results
    }

    /// Everything agrees, in double precision closely and in single precision roughly. Returns the number of
    /// spikes of the first layer.
    fn check(&self) -> f64 {
        let expected = self.by_hand();
        let runs = [
            (self.run::<f64>(Backend::Interpreter, 1), 1e-10),
            (self.run::<f32>(Backend::Jit, 2), 1e-3),
        ];
        for (found, tolerance) in runs {
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>()
            );
            for (name, a) in &expected {
                let b = &found[name];
                assert_eq!(a.len(), b.len(), "{name}");
                // A bias that a normalisation takes away again has no gradient but rounding.
                let floor: f64 = if self.is_taken_away(name) { 1.0 } else { 1e-3 };
                let scale = a.iter().fold(floor, |m, x| m.max(x.abs()));
                for (i, (x, y)) in a.iter().zip(b).enumerate() {
                    let near = (x - y).abs() <= tolerance * scale;
                    assert!(near, "{name}[{i}]: {x} and {y}, scale {scale}");
                }
            }
        }
        expected["0.s"].iter().sum()
    }

    /// Whether this is a bias right before a normalisation.
    fn is_taken_away(&self, name: &str) -> bool {
        self.network().connections.iter().any(|connection| {
            let pairs = connection.operations.windows(2).enumerate();
            let normalised = |o: &Operation| matches!(o.synapses, Synapses::Normalisation { .. });
            let mut before = pairs.filter(|(_, pair)| normalised(&pair[1]));
            before.any(|(o, _)| name == format!("{}.bias", connection.prefix(o)))
        })
    }

    /// [`Case::check`] with plain, graded and doubled events, few and many, and with what states send.
    fn check_all(mut self) {
        let mut fired = 0.0;
        for (kind, density) in [
            (Kind::Plain, 0.15),
            (Kind::Graded, 0.15),
            (Kind::Doubled, 0.3),
            (Kind::Graded, 0.9),
            (Kind::Plain, 0.9),
        ] {
            (self.kind, self.density) = (kind, density);
            fired += self.check();
        }
        assert!(fired > 0.0, "it has to spike");
        self.states = true;
        self.check();
    }
}

#[test]
fn sparse_patterns() {
    for density in [Density::Probability(0.3), Density::FanIn(4)] {
        let mut case = Case::new(
            vec![sparse(density, 12, 17, true)],
            vec![sparse(density, 17, 9, true)],
        );
        case.again = vec![sparse(density, 17, 17, false)];
        case.check_all();
    }
}

/// The adjoints of spikes go through other numbers than the spikes: from layer to layer, recurrently, in a chain
/// and with shared weights; the gradients of the weights themselves are the usual ones.
#[test]
fn feedback_in_place_of_weights() {
    let fed = |operation: Operation| Operation {
        feedback: Some(Initial::Constant(0.0)),
        ..operation
    };
    let mut case = Case::new(
        vec![dense(12, 17, true)],
        vec![fed(dense(17, 9, true)), fed(dense(9, 6, true))],
    );
    case.again = vec![fed(dense(17, 17, false))];
    case.check_all();
    let mut tied = Case::new(vec![fed(dense(17, 17, true))], vec![dense(17, 9, true)]);
    tied.again = tied.first.clone();
    tied.tied = true;
    tied.check_all();
}

#[test]
fn element_by_element() {
    let one_to_one = |bias| operation(Synapses::OneToOne, 20, 20, bias);
    let scale = |bias| operation(Synapses::Scale, 20, 20, bias);
    let plain = Operation {
        weight: None,
        ..operation(Synapses::OneToOne, 20, 20, false)
    };
    let mut case = Case::new(
        vec![one_to_one(true), dense(20, 20, true)],
        vec![scale(true)],
    );
    case.again = vec![plain];
    case.check_all();
    let mut case = Case::new(
        vec![dense(20, 20, true), scale(true)],
        vec![one_to_one(false)],
    );
    case.again = vec![scale(false)];
    case.check_all();
    // With a delay only the last bias is there before anything arrives.
    let mut case = Case::new(
        vec![dense(20, 20, true), scale(false)],
        vec![one_to_one(false)],
    );
    case.again = vec![dense(20, 20, true), scale(true)];
    case.check_all();
}

#[test]
fn convolutions_of_every_stride_pad_dilation_and_groups() {
    let cases = [
        window([2, 3], [6, 7], [3, 3], 1, 0, 1, 1),
        window([2, 3], [6, 7], [3, 3], 1, 1, 1, 1),
        window([1, 2], [5, 5], [5, 5], 1, 2, 1, 1),
        window([3, 2], [7, 6], [2, 3], 2, 1, 1, 1),
        window([2, 4], [8, 7], [3, 2], 1, 2, 2, 1),
        window([2, 2], [9, 9], [3, 3], 3, 0, 1, 1),
        window([2, 2], [9, 8], [2, 2], 3, 1, 2, 1),
        window([4, 6], [6, 5], [3, 3], 1, 1, 1, 2),
        window([4, 4], [6, 6], [3, 3], 2, 1, 1, 4),
        window([3, 6], [5, 6], [3, 3], 1, 1, 1, 3),
        window([2, 3], [1, 12], [1, 3], 1, 1, 1, 1),
        window([4, 4], [1, 13], [1, 3], 2, 2, 2, 4),
        // Wide padding: windows that see nothing.
        window([1, 2], [2, 2], [2, 2], 1, 3, 1, 1),
        window([2, 20], [6, 6], [3, 3], 1, 1, 1, 1),
    ];
    for (i, window) in cases.into_iter().enumerate() {
        let [_, outputs] = sizes(&window);
        let case = Case::new(
            vec![convolution(window, i % 2 == 0)],
            vec![dense(outputs, 4, false)],
        );
        case.check_all();
    }
}

#[test]
fn convolutions_of_spikes_and_back_to_the_layer_itself() {
    let first = window([2, 3], [6, 6], [3, 3], 1, 0, 1, 1);
    let again = window([3, 3], [4, 4], [3, 3], 1, 1, 1, 1);
    let second = window([3, 2], [4, 4], [2, 2], 1, 0, 1, 1);
    let mut case = Case::new(
        vec![convolution(first, true)],
        vec![convolution(second, true)],
    );
    case.again = vec![convolution(again, true)];
    case.check_all();
}

#[test]
fn pools_of_every_kind() {
    for pooling in [Pooling::Sum, Pooling::Average, Pooling::Max] {
        for (input, kernel, stride, pad) in [
            ([6, 8], 2, 2, 0),
            ([7, 7], 3, 2, 1),
            ([7, 6], 3, 1, 1),
            ([7, 7], 2, 3, 0),
            ([1, 11], 3, 2, 1),
        ] {
            let one = pool(pooling, 2, input, kernel, stride, pad);
            let weighted = Operation {
                weight: Some(Initial::Constant(0.0)),
                bias: Some(Initial::Constant(0.0)),
                ..one.clone()
            };
            let (inputs, outputs) = (one.inputs, one.outputs);
            Case::new(
                vec![one.clone(), dense(outputs, inputs, true)],
                vec![weighted.clone()],
            )
            .check_all();
            Case::new(
                vec![
                    dense(8, inputs, false),
                    weighted,
                    dense(outputs, inputs, true),
                ],
                vec![one, dense(outputs, 3, false)],
            )
            .check_all();
        }
    }
}

#[test]
fn chains_as_of_an_image_classifier() {
    let first = window([2, 4], [10, 10], [3, 3], 1, 0, 1, 1);
    let pooled = pool(Pooling::Max, 4, [8, 8], 2, 2, 0);
    let second = window([4, 6], [4, 4], [3, 3], 1, 1, 1, 1);
    let mut case = Case::new(
        vec![convolution(first, true), pooled.clone()],
        vec![
            convolution(second, true),
            pool(Pooling::Average, 6, [4, 4], 2, 2, 0),
            dense(24, 5, true),
        ],
    );
    case.samples = 2;
    case.check_all();
}

#[test]
fn dropout_of_spikes_and_of_what_arrives() {
    let mut case = Case::new(
        vec![dense(14, 20, true), dropout(0.5, 20)],
        vec![
            dropout(0.25, 20),
            dense(20, 9, true),
            dropout(0.0, 9),
            scale_of(9),
        ],
    );
    case.again = vec![dropout(0.9, 20), dense(20, 20, true)];
    case.check_all();
}

/// After weights, before them, several in a chain, around pooling and dropout, with and without a recurrent layer.
#[test]
fn normalisations_over_samples_and_steps() {
    let mut case = Case::new(
        vec![dense(12, 17, true), norm(17, 17)],
        vec![norm(17, 17), dense(17, 9, true)],
    );
    case.again = vec![dense(17, 17, true)];
    (case.samples, case.steps) = (19, 4);
    case.check_all();
    let mut case = Case::new(
        vec![
            dense(12, 10, true),
            norm(5, 10),
            scale_of(10),
            dropout(0.25, 10),
            norm(10, 10),
            dense(10, 14, false),
        ],
        vec![norm(7, 14), norm(14, 14)],
    );
    case.samples = 9;
    case.check_all();
    let first = window([2, 4], [8, 8], [3, 3], 1, 0, 1, 1);
    let mut case = Case::new(
        vec![
            convolution(first, false),
            norm(4, 144),
            pool(Pooling::Average, 4, [6, 6], 2, 2, 0),
        ],
        vec![
            sparse(Density::FanIn(5), 36, 10, true),
            norm(10, 10),
            dropout(0.5, 10),
        ],
    );
    case.samples = 17;
    case.check_all();
}

#[test]
fn normalisations_give_the_same_bits_on_any_number_of_threads() {
    let first = window([2, 4], [8, 8], [3, 3], 1, 0, 1, 1);
    let mut case = Case::new(
        vec![
            convolution(first, false),
            norm(4, 144),
            dense(144, 36, true),
        ],
        vec![norm(36, 36), dense(36, 10, true), norm(10, 10)],
    );
    case.again = vec![sparse(Density::FanIn(3), 36, 36, true)];
    (case.samples, case.steps) = (150, 4);
    let one = case.run::<f32>(Backend::Jit, 1);
    for threads in [2, 3, 8] {
        assert_eq!(case.run::<f32>(Backend::Jit, threads), one, "{threads}");
    }
}

#[test]
fn tied_connections_add_their_gradients() {
    let tied = |first: Vec<Operation>, outputs: usize| {
        let mut case = Case::new(first.clone(), vec![dense(outputs, 3, true)]);
        case.again = first;
        case.tied = true;
        case.check_all();
    };
    tied(vec![dense(14, 14, true)], 14);
    tied(vec![sparse(Density::FanIn(5), 14, 14, true)], 14);
    let same = window([2, 2], [5, 5], [3, 3], 1, 1, 1, 1);
    tied(vec![convolution(same, true)], 50);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let first = window([2, 4], [8, 8], [3, 3], 1, 0, 1, 1);
    let mut case = Case::new(
        vec![
            convolution(first, true),
            pool(Pooling::Max, 4, [6, 6], 2, 2, 0),
        ],
        vec![sparse(Density::Probability(0.5), 36, 10, true)],
    );
    case.again = vec![sparse(Density::FanIn(3), 36, 36, true), dropout(0.3, 36)];
    (case.samples, case.steps) = (150, 4);
    let one = case.run::<f32>(Backend::Jit, 1);
    for threads in [2, 3, 8] {
        assert_eq!(case.run::<f32>(Backend::Jit, threads), one, "{threads}");
    }
}
