//! `rheo bench FILE`: the time of a training step, on the plan's own data.
//!
//! Steps are real updates, one batch each in the order of the epochs. A first step is not counted: it
//! touches memory for the first time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rheobase_data::Batches;
use rheobase_ir::program::{Network, Precision};
use rheobase_runtime::{Backend, Gradients, Simulator};
use rheobase_train::{StepReport, Subset, Trainer};
use serde_json::{Map, Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::memory::{counted, keep_to, parse_memory};
use crate::settings::{Setting, parse_setting};
use crate::training::{plan, threads};

/// Options of `rheo bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// The program
    pub file: PathBuf,
    /// Which `train` block [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// Another value for a setting or a parameter, as for `rheo train`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    /// Memory that a step may take (`2G`) [default: that of the machine]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Look at every state after every step, and end with the place of the first that is not finite; the loss and
    /// gradients are always looked at
    #[arg(long)]
    pub check_finite: bool,
    /// Steps that are timed
    #[arg(long, value_name = "K", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Times training steps.
///
/// # Errors
///
/// As `rheo train`.
pub fn bench(args: &BenchArgs, console: &Console) -> Result<(), Failure> {
    let start = Instant::now();
    let plan = plan(&args.file, args.train.as_deref(), &args.set, console)?;
    let front = start.elapsed();
    let start = Instant::now();
    // The same that the trainer does, alone: the trainer also opens the data.
    let network = &plan.program.network;
    match plan.program.precision() {
        Precision::F32 => drop(Simulator::<f32>::new(
            network,
            Backend::Jit,
            Gradients::Trained,
        )?),
        Precision::F64 => drop(Simulator::<f64>::new(
            network,
            Backend::Jit,
            Gradients::Trained,
        )?),
    }
    let compile = front + start.elapsed();
    let threads = threads(Some(args.threads));
    let mut trainer = Trainer::new(&plan.program, Backend::Jit, threads, &plan.base)?;
    if args.check_finite {
        trainer.check_finite();
    }
    keep_to(&mut trainer, args.memory, console)?;
    let reports = steps(&mut trainer, args.steps as usize)?;
    // What counts events below holds a batch of its own.
    let peak = peak_rss_mb();
    let density = density(&trainer, network)?;
    let timed = &reports[1..];
    let of = |part: fn(&StepReport) -> Duration| times(timed.iter().map(part));
    let (total, forward) = (of(|r| r.timing.total), of(|r| r.timing.forward));
    let (backward, update) = (of(|r| r.timing.backward), of(|r| r.timing.update));
    let (first, last) = (reports[0].loss, reports[reports.len() - 1].loss);
    let compile = 1e3 * compile.as_secs_f64();
    if args.json {
        let density: Map<String, Value> = density
            .into_iter()
            .map(|(layer, density)| (layer, json!(density)))
            .collect();
        let document = json!({
            "file": args.file.to_string_lossy(),
            "threads": threads,
            "steps": timed.len(),
            "step_ms": { "median": total.median, "min": total.min },
            "forward_ms": forward.median,
            "backward_ms": backward.median,
            "update_ms": update.median,
            "compile_ms": compile,
            "peak_rss_mb": peak,
            "density": density,
            "loss_first": first,
            "loss_last": last,
        });
        return console.print(&format!("{document:#}\n"));
    }
    let mut text = format!(
        "{} of {} on {}\n\
         step      median {:.3} ms, least {:.3} ms\n\
         forward   {:.3} ms\nbackward  {:.3} ms\nupdate    {:.3} ms\ncompile   {compile:.3} ms\n",
        counted(timed.len(), "step"),
        counted(trainer.batch_size(), "sample"),
        counted(threads, "thread"),
        total.median,
        total.min,
        forward.median,
        backward.median,
        update.median,
    );
    if let Some(peak) = peak {
        text.push_str(&format!("memory    {peak:.1} MB at most\n"));
    }
    for (layer, density) in density {
        text.push_str(&format!("density   {layer} {density:.4}\n"));
    }
    text.push_str(&format!(
        "loss      {first:.4} at first, {last:.4} at last\n"
    ));
    console.print(&text)
}

/// One step that is not counted and `count` that are.
fn steps(trainer: &mut Trainer, count: usize) -> Result<Vec<StepReport>, Failure> {
    let mut reports = Vec::with_capacity(count + 1);
    for epoch in 0.. {
        let order = trainer.order(epoch);
        let mut done = 0;
        for indices in Batches::new(&order, trainer.batch_size())? {
            // A short last batch would be a faster step; it is only taken if there is no other.
            if indices.len() < trainer.batch_size() && done > 0 {
                continue;
            }
            let position = epoch as f64 + done as f64 / order.len() as f64;
            reports.push(trainer.step(indices, position)?);
            done += indices.len();
            if reports.len() > count {
                return Ok(reports);
            }
        }
    }
    Ok(reports)
}

/// Milliseconds.
struct Times {
    median: f64,
    min: f64,
}

fn times(parts: impl Iterator<Item = Duration>) -> Times {
    let mut ms: Vec<f64> = parts.map(|t| 1e3 * t.as_secs_f64()).collect();
    ms.sort_by(f64::total_cmp);
    Times {
        median: ms.get(ms.len() / 2).copied().unwrap_or(0.0),
        min: ms.first().copied().unwrap_or(0.0),
    }
}

/// Events per channel and step of the inputs, spikes per neuron and step of the layers, over one batch.
fn density(trainer: &Trainer, network: &Network) -> Result<Vec<(String, f64)>, Failure> {
    let samples = trainer.samples();
    let count = trainer.batch_size().min(samples.len(Subset::Train));
    let inputs = (0..count).map(|i| samples.input(Subset::Train, i, 0));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let events = |train: &'_ rheobase_data::SpikeTrain| train.n_events();
    let steps = samples.steps();
    let places = |size: usize| (count * steps * size).max(1) as f64;
    let mut density = Vec::new();
    if let Some(population) = network.inputs.first() {
        let total: usize = inputs.iter().map(|i| events(i)).sum();
        let size = population.shape.iter().product();
        density.push((population.name.clone(), total as f64 / places(size)));
    }
    let counted: Vec<usize> = (0..count).collect();
    let spikes = trainer.spikes(Subset::Train, &counted)?;
    for (layer, spikes) in network.layers.iter().zip(spikes) {
        if !layer.neuron.spikes.is_empty() {
            density.push((layer.name.clone(), spikes as f64 / places(layer.size())));
        }
    }
    Ok(density)
}

/// The most memory that the process had, in MB; known on Linux only.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
