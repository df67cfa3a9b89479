//! What the network does with a sample: the input, spikes and states of every layer, how far from threshold
//! its neurons are, and how often each of them spikes.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView3, Axis};
use rheobase_ir::kernel::Role;
use rheobase_ir::program::{Network, Precision};
use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Mark};
use rheobase_runtime::record::{Recorder, TraceName};
use rheobase_runtime::{Backend, Batch, Events, Float, Gradients, Parameters, Simulator};
use rheobase_train::{Subset, Trainer};

use super::surrogate::{MARGIN, with_margins};
use super::with_unit;
use crate::failure::Failure;

/// Lines in a chart of a state.
const LINES: usize = 5;

/// The network of a trainer, instrumented to show margins.
pub(crate) struct Watched<'a> {
    trainer: &'a Trainer,
    /// Runs one sample in the precision of the trainer.
    run: Run,
}

/// From the steps of a sample, its events and its key to everything that happened.
type Run = Box<dyn Fn(usize, Events<'_>, u64) -> Result<Traces, Failure>>;

/// `[steps, neurons]`
type Traces = BTreeMap<TraceName, Array2<f64>>;

/// One sample and everything that happened.
pub(crate) struct Seen {
    /// The class; `None` for a task without classes.
    pub(crate) label: Option<u32>,
    /// What the network takes it for.
    pub(crate) predicted: Option<u32>,
    /// Where it is in its subset.
    pub(crate) index: usize,
    /// Step and channel of each event of the input.
    pub(crate) events: Vec<(f64, f64)>,
    pub(crate) channels: usize,
    /// What units should do, `[steps, units]`; without units for data without targets over time.
    pub(crate) targets: Array2<f64>,
    pub(crate) traces: Traces,
}

impl<'a> Watched<'a> {
    /// Compiles the network once more, with the weights of the trainer.
    pub(crate) fn new(trainer: &'a Trainer) -> Result<Watched<'a>, Failure> {
        let run = match trainer.precision() {
            Precision::F32 => runner::<f32>(trainer)?,
            Precision::F64 => runner::<f64>(trainer)?,
        };
        Ok(Watched { trainer, run })
    }

    /// The network, without what was added for watching.
    pub(crate) fn network(&self) -> &Network {
        self.trainer.network()
    }

    /// The samples to look at: those that nothing was trained on, if there are any.
    pub(crate) fn subset(&self) -> Subset {
        let samples = self.trainer.samples();
        let held = [Subset::Test, Subset::Valid];
        let found = held.into_iter().find(|s| !samples.is_empty(*s));
        found.unwrap_or(Subset::Train)
    }

    /// The first samples that can be read, at most so many.
    pub(crate) fn see_first(&self, most: usize) -> Result<Vec<Seen>, Failure> {
        let (samples, subset) = (self.trainer.samples(), self.subset());
        let mut seen = Vec::new();
        for index in 0..samples.len(subset) {
            if seen.len() == most {
                break;
            }
            if samples.readable(subset, index, 0)?.is_some() {
                seen.push(self.see(index)?);
            }
        }
        Ok(seen)
    }

    /// A class in words.
    pub(crate) fn class(&self, class: u32) -> String {
        let names = self.trainer.samples().class_names();
        match names.get(class as usize) {
            Some(name) => format!("{class} ({name})"),
            None => class.to_string(),
        }
    }

    /// `sample 3, label 7, predicted 1`
    pub(crate) fn caption(&self, seen: &Seen) -> String {
        let mut text = format!("sample {}", seen.index);
        if let Some(label) = seen.label {
            text.push_str(&format!(", label {}", self.class(label)));
        }
        if let Some(predicted) = seen.predicted {
            text.push_str(&format!(", predicted {}", self.class(predicted)));
        }
        text
    }

    /// Runs one sample.
    pub(crate) fn see(&self, index: usize) -> Result<Seen, Failure> {
        let (samples, subset) = (self.trainer.samples(), self.subset());
        let count = samples.len(subset);
        if index >= count {
            return Err(Failure::Usage(format!(
                "there are {count} samples, counted from 0; there is no sample {index}"
            )));
        }
        let input = samples.readable(subset, index, 0)?;
        let input = input
            .ok_or_else(|| Failure::Run(format!("sample {index} is damaged and was left out")))?;
        let predicted = self.trainer.predict(subset, index)?;
        let steps = samples.steps();
        let of_input = Events {
            offsets: input.offsets(),
            indices: input.indices(),
            values: input.values(),
        };
        let traces = (self.run)(steps, of_input, samples.key(subset, index, 0))?;
        let events = (0..steps).flat_map(|t| {
            let (channels, _) = input.events_at(t);
            channels.iter().map(move |c| (t as f64, f64::from(*c)))
        });
        let units = samples.target_units();
        let targets = match units {
            0 => Vec::new(),
            _ => samples
                .target(subset, index)?
                .into_iter()
                .map(f64::from)
                .collect(),
        };
        let targets = Array2::from_shape_vec((steps, units), targets);
        Ok(Seen {
            targets: targets.expect("a target is as long as its sample"),
            label: predicted.map(|_| samples.label(subset, index)),
            predicted,
            index,
            events: events.collect(),
            channels: input.channels() as usize,
            traces,
        })
    }

    /// The input of a sample and the spikes of every layer.
    pub(crate) fn rasters(&self, seen: &Seen) -> Vec<Chart> {
        let network = self.network();
        let name = network.inputs.first().map_or("input", |i| i.name.as_str());
        let title = format!(
            "{name}: {} ({} events)",
            self.caption(seen),
            seen.events.len()
        );
        let mut charts = vec![self.raster(&title, &seen.events, seen.channels, "channel")];
        charts.extend(self.targets(seen));
        let spikes = seen.traces.iter().filter(|(t, _)| t.role == Role::Spike);
        for (trace, table) in spikes {
            let points = places(table);
            let title = format!("{} spikes of {}", points.len(), self.called(trace));
            charts.push(self.raster(&title, &points, table.len_of(Axis(1)), "neuron"));
        }
        charts
    }

    /// Targets over time: a raster of spikes, or lines of the first units.
    fn targets(&self, seen: &Seen) -> Option<Chart> {
        let units = seen.targets.len_of(Axis(1));
        if units == 0 {
            return None;
        }
        if seen.targets.iter().all(|v| *v == 0.0 || *v == 1.0) {
            let points = places(&seen.targets);
            let title = format!("{} target spikes", points.len());
            return Some(self.raster(&title, &points, units, "unit"));
        }
        let step = self.network().step_ms;
        let columns = seen.targets.axis_iter(Axis(1)).take(LINES).enumerate();
        let chart = Chart::new("Targets", "time (ms)", "target");
        Some(columns.fold(chart, |chart, (unit, column)| {
            let values = column.iter().enumerate();
            let points = values.map(|(t, v)| ((t + 1) as f64 * step, *v));
            chart.with(&unit.to_string(), Mark::Line, points.collect())
        }))
    }

    fn raster(&self, title: &str, points: &[(f64, f64)], n: usize, y: &str) -> Chart {
        let step = self.network().step_ms;
        let steps = self.trainer.samples().steps();
        let mut chart = Chart::new(title, "time (ms)", y);
        chart.x_range = Some((0.0, steps as f64 * step));
        chart.y_range = Some((-0.5, n as f64 - 0.5));
        chart.spacing.1 = Spacing::Whole;
        let places = points.iter().map(|(t, n)| (t * step, *n));
        chart.with("", Mark::Spikes, places.collect())
    }

    /// The states of every layer, of the neurons that spike most.
    pub(crate) fn traces(&self, seen: &Seen) -> Vec<Chart> {
        let network = self.network();
        let states = seen.traces.iter();
        let states = states.filter(|(t, _)| t.role == Role::State && !t.name.starts_with(MARGIN));
        states
            .map(|(trace, table)| {
                let layer = &network.layers[trace.layer];
                let state = layer.neuron.states.iter().find(|s| s.name == trace.name);
                let unit = &state.expect("a recorded state is one of the model").unit;
                let y = with_unit(&trace.name, unit);
                let title = format!("{} of {}", trace.name, layer.name);
                let mut chart = Chart::new(&title, "time (ms)", &y);
                let shown = busiest(seen, trace.layer, table.len_of(Axis(1)));
                for n in shown {
                    let column = table.column(n);
                    let points = column.iter().enumerate().map(|(t, v)| {
                        let time = (t + 1) as f64 * network.step_ms;
                        (time, *v / unit.factor)
                    });
                    chart = chart.with(&n.to_string(), Mark::Line, points.collect());
                }
                chart
            })
            .collect()
    }

    /// The layer of a trace, and the name of the spike if there are several.
    fn called(&self, trace: &TraceName) -> String {
        let layer = &self.network().layers[trace.layer];
        match &layer.neuron.spikes[..] {
            [_] => layer.name.clone(),
            _ => format!("{}.{}", layer.name, trace.name),
        }
    }

    /// For each layer that spikes how often its neurons do, over some samples.
    pub(crate) fn rates(&self, seen: &[Seen]) -> Vec<Chart> {
        let seconds = self.trainer.samples().steps() as f64
            * self.network().step_ms
            * 1e-3
            * seen.len() as f64;
        let spikes = |s: &Seen| -> Vec<TraceName> {
            let spikes = s.traces.keys().filter(|t| t.role == Role::Spike);
            spikes.cloned().collect()
        };
        let names = seen.first().map_or(Vec::new(), spikes);
        names
            .iter()
            .map(|trace| {
                let tables = seen.iter().map(|s| s.traces[trace].sum_axis(Axis(0)));
                let sums = tables.reduce(|a, b| a + b);
                let sums = sums.expect("the name is from a sample");
                let rates: Vec<f64> = sums.iter().map(|s| s / seconds).collect();
                let most = rates.iter().copied().fold(1.0, f64::max);
                let silent = rates.iter().filter(|r| **r == 0.0).count();
                let title = format!(
                    "{}: {silent} of {} neurons never spike",
                    self.called(trace),
                    rates.len()
                );
                Chart::new(&title, "rate (Hz)", "neurons").with_histogram(
                    "",
                    &rates,
                    (0.0, most),
                    30,
                )
            })
            .collect()
    }

    /// All margins that were visited, for each condition of each layer that spikes: layer, the number of
    /// the condition, values in base units.
    pub(crate) fn margins(&self, seen: &[Seen]) -> BTreeMap<(usize, usize), Vec<f64>> {
        let mut margins: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for (trace, table) in seen.iter().flat_map(|s| &s.traces) {
            if let Some(number) = trace.name.strip_prefix(MARGIN)
                && let Ok(number) = number.parse()
            {
                let values = margins.entry((trace.layer, number)).or_default();
                values.extend(table);
            }
        }
        margins
    }
}

/// Compiles the network of a trainer with its margins.
fn runner<R: Float>(trainer: &Trainer) -> Result<Run, Failure> {
    let network = with_margins(trainer.network());
    let mut simulator = Simulator::<R>::new(&network, Backend::Jit, Gradients::Trained)?;
    let parameters = Parameters {
        specs: simulator.parameters().specs.clone(),
        ..trainer.parameters().converted()
    };
    simulator.set_parameters(parameters)?;
    Ok(Box::new(move |steps, events, key| {
        let batch = Batch {
            steps,
            samples: 1,
            inputs: vec![vec![events]],
            injections: Vec::new(),
            initial: Vec::new(),
            keys: vec![key],
        };
        let nothing: BTreeMap<TraceName, ArrayView3<'_, R>> = BTreeMap::new();
        let recorder = |range| Recorder::new(&simulator, range, steps, &nothing);
        let outcome = simulator.infer(&batch, 1, recorder)?;
        let recorded = outcome.probes.into_iter().flat_map(|p| p.recorded);
        let of_sample = recorded.map(|(name, array)| {
            let table = array.index_axis_move(Axis(1), 0);
            (name, table.mapv(|v| v.to_f64()))
        });
        Ok(of_sample.collect())
    }))
}

/// Step and neuron of everything that is not 0.
fn places(table: &Array2<f64>) -> Vec<(f64, f64)> {
    let spikes = table.indexed_iter().filter(|(_, v)| **v != 0.0);
    spikes.map(|((t, n), _)| (t as f64, n as f64)).collect()
}

/// The neurons of a layer with most spikes; the first ones if it has none.
fn busiest(seen: &Seen, layer: usize, n: usize) -> Vec<usize> {
    let found = seen.traces.iter();
    let spikes = found.filter(|(t, _)| t.layer == layer && t.role == Role::Spike);
    let mut counts = vec![0.0; n];
    for (_, table) in spikes {
        let sums = table.sum_axis(Axis(0));
        counts.iter_mut().zip(&sums).for_each(|(c, s)| *c += s);
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| counts[*b].total_cmp(&counts[*a]));
    // A readout without spikes is shown whole if it is small.
    let most = if counts.iter().all(|c| *c == 0.0) && n <= 10 {
        10
    } else {
        LINES
    };
    order.truncate(most);
    order
}
