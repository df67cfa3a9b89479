//! `rheo train FILE`: trains, shows how it goes, and keeps the run folder.

mod progress;

use std::path::{Path, PathBuf};

use rheobase_runtime::Backend;
use rheobase_train::tensorboard::EventFile;
use rheobase_train::{
    Config, Evaluation, Samples, SaveEvery, Summary, Trainer, check_writable, train as train_plan,
};
use serde_json::{Map, Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::memory::{keep_to, parse_memory};
use crate::run_folder::config_text;
use crate::settings::{Setting, parse_save_every, parse_setting};
use crate::trained::{RunFolder, Trained};
use crate::training::{Plan, plan, threads};

use super::report::{PAGE, write as write_report};
use progress::{Progress, Voice, now};

/// Options of `rheo train`.
#[derive(Clone, Debug, clap::Args)]
pub struct TrainArgs {
    /// The program [default with --resume: the one that the run folder keeps]
    #[arg(required_unless_present = "resume")]
    pub file: Option<PathBuf>,
    /// Which `train` block [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// The run folder [default: runs/<name of the train block>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Another value for a setting (`epochs=5`, `optimizer.lr=0.01`), a parameter of the network
    /// (`n_hidden=64`) or of a layer's neuron (`hid.tau_mem=10ms`)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// Threads; the result does not depend on it [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Memory that training may take (`2G`); it keeps less of the past and computes it again, with the same
    /// result [default: that of the machine]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Continue the run in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub resume: Option<PathBuf>,
    /// Validate on one part of the data and train on the others: `0/5` is the first of five. Instead of the
    /// plan's `valid`; the run folder is then runs/<name>-fold0
    #[arg(long, value_name = "I/K", value_parser = parse_fold, conflicts_with = "resume")]
    pub fold: Option<(u32, u32)>,
    /// Leave out samples that cannot be read, naming them, instead of ending with the first; the run folder
    /// remembers it
    #[arg(long)]
    pub skip_corrupted: bool,
    /// Look at every state after every step, and end with the place of the first that is not finite; the loss and
    /// gradients are always looked at
    #[arg(long)]
    pub check_finite: bool,
    /// Checkpoints within an epoch, after so many steps (`500`) or so much time (`30s`, `10min`)
    #[arg(long, value_name = "STEPS|TIME", value_parser = parse_save_every)]
    pub save_every: Option<SaveEvery>,
    /// No bar: one line per epoch, for logs
    #[arg(long)]
    pub plain: bool,
    /// Only warnings, errors and the result
    #[arg(long, conflicts_with = "plain")]
    pub quiet: bool,
    /// Also write event files for TensorBoard, into the folder `tensorboard` of the run folder
    #[arg(long)]
    pub tensorboard: bool,
    /// Do not write report.html at the end
    #[arg(long)]
    pub no_report: bool,
    /// The result as one JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Trains a network.
///
/// # Errors
///
/// The program has errors, the data or the run folder cannot be used, numbers leave the range of their precision, or
/// somebody pressed Ctrl-C.
pub fn train(args: &TrainArgs, console: &Console) -> Result<(), Failure> {
    let file = match (&args.file, &args.resume) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => kept_program(folder)?,
        (None, None) => return Err(Failure::Usage("give a program".to_string())),
    };
    let mut settings = args.set.clone();
    settings.extend(args.fold.map(|(index, of)| Setting {
        name: "valid".to_string(),
        value: format!("fold({index}, of = {of})"),
    }));
    let plan = plan(&file, args.train.as_deref(), &settings, console)?;
    let out = match (&args.resume, &args.out) {
        (Some(out), _) | (None, Some(out)) => out.clone(),
        (None, None) => {
            let fold = args
                .fold
                .map_or(String::new(), |(i, _)| format!("-fold{i}"));
            Path::new("runs").join(format!("{}{fold}", plan.origin.train))
        }
    };
    if let Some(folder) = &args.resume {
        kept_program(folder)?;
    }
    // Before data is read and anything is compiled: a run that cannot be kept must not begin.
    check_writable(&out)?;
    let mut trainer = Trainer::new(
        &plan.program,
        Backend::Jit,
        threads(args.threads),
        &plan.base,
    )?;
    if args.skip_corrupted {
        trainer.skip_corrupted();
    }
    if args.check_finite {
        trainer.check_finite();
    }
    keep_to(&mut trainer, args.memory, console)?;
    let config = Config {
        out: Some(out.clone()),
        program: config_text(&plan.front, &plan.origin),
        // A process that was killed before its first checkpoint left the program only: then from the start.
        resume: args.resume.is_some() && out.join("last.ckpt").exists(),
        save_every: args.save_every,
    };
    let training = plan.program.training.as_ref();
    let epochs = training.map_or(0, |t| t.epochs);
    let classes = training.is_some_and(|t| t.objective.classes() > 0);
    let voice = match (args.quiet, args.plain) {
        (true, _) => Voice::Quiet,
        (false, true) => Voice::Plain,
        (false, false) => Voice::Normal,
    };
    interrupt::stop_between_steps();
    let mut progress = Progress::new(*console, voice, epochs, classes);
    if args.tensorboard {
        let events = EventFile::create(&out.join("tensorboard"), now())?;
        let rows = if config.resume {
            RunFolder::at(&out)?.metrics()?
        } else {
            Vec::new()
        };
        progress = progress.with_events(events, &rows);
    }
    let summary = train_plan(&mut trainer, &config, &mut progress);
    progress.end();
    if let Some(message) = &progress.failed {
        console.warning(&format!("TensorBoard misses something: {message}"));
    }
    tell_left_out(trainer.samples(), console);
    let interrupted = summary.as_ref().is_err_and(|error| error.is_interruption());
    if (summary.is_ok() || interrupted) && !args.no_report {
        report(plan, trainer, &out, console);
    }
    let summary = summary.map_err(|error| {
        if interrupted {
            let folder = out.display();
            console.note(&format!(
                "the run so far is in `{folder}`; continue with: rheo train --resume {folder}\n"
            ));
        }
        Failure::from(error)
    })?;
    if voice != Voice::Quiet {
        console.note(&table(&summary, &out));
    }
    if args.json {
        return console.print(&format!("{:#}\n", document(&summary, &out)));
    }
    let last = &summary.last;
    console.print(&match (&summary.test, &last.valid) {
        (Some(test), _) => result_line("test", test),
        (None, Some(valid)) => result_line("valid", valid),
        (None, None) => match last.train_accuracy {
            Some(accuracy) => format!("train accuracy {:.2} %\n", 100.0 * accuracy),
            None => format!("train loss {:.6}\n", last.train_loss),
        },
    })
}

/// `0/5`
fn parse_fold(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/');
    let numbers = numbers.and_then(|(i, k)| Some((i.parse().ok()?, k.parse().ok()?)));
    match numbers {
        Some((index, of)) if of >= 2 && index < of => Ok((index, of)),
        Some(_) | None => Err("write I/K with I below K, as in 0/5".to_string()),
    }
}

/// Names samples that an evaluation found damaged, and says how many were left out in all.
pub(super) fn tell_left_out(samples: &Samples, console: &Console) {
    for message in samples.newly_left_out() {
        console.warning(&format!("left out: {message}"));
    }
    match samples.left_out() {
        0 => {}
        1 => console.warning("1 sample was left out"),
        n => console.warning(&format!("{n} samples were left out")),
    }
}

/// Writes the page of the run. The run is done and kept: a page that cannot be made is a warning.
fn report(plan: Plan, trainer: Trainer, out: &Path, console: &Console) {
    let made = RunFolder::at(out)
        .and_then(|folder| Trained::of(folder, plan, trainer))
        .and_then(|trained| write_report(&trained, &out.join(PAGE)));
    if let Err(failure) = made {
        console.warning(&format!("there is no {PAGE}: {failure}"));
    }
}

/// What the run gave, a row for each kind of samples.
fn table(summary: &Summary, out: &Path) -> String {
    let last = &summary.last;
    let classes = last.train_accuracy.is_some();
    let accuracy = if classes { "accuracy" } else { "" };
    let mut text = format!("\n{:<8}{:>10}{accuracy:>12}", "", "loss");
    text.truncate(text.trim_end().len());
    text.push('\n');
    let mut row = |name: &str, loss: f64, accuracy: Option<f64>| {
        let accuracy = accuracy.map_or(String::new(), |a| format!("{:>10.2} %", 100.0 * a));
        text.push_str(&format!("{name:<8}{loss:>10.4}{accuracy}\n"));
    };
    row("train", last.train_loss, last.train_accuracy);
    for (name, found) in [("valid", &last.valid), ("test", &summary.test)] {
        if let Some(found) = found {
            row(name, found.loss, found.accuracy());
        }
    }
    for (layer, rate) in &last.rates {
        text.push_str(&format!(
            "{layer:<8}{rate:>10.2} spikes per neuron and second\n"
        ));
    }
    if let Some(found) = summary.test.as_ref().or(last.valid.as_ref()) {
        text.push_str(&effort_line(found));
    }
    text.push_str(&format!(
        "best weights after epoch {} in `{}`\n",
        summary.best_epoch,
        out.join("best.safetensors").display()
    ));
    text
}

/// `412.3 spikes and 20600 synaptic operations per inference`
pub(super) fn effort_line(found: &Evaluation) -> String {
    format!(
        "{:.1} spikes and {:.0} synaptic operations per inference\n",
        found.spikes, found.synaptic_operations
    )
}

/// The result for scripts.
fn document(summary: &Summary, out: &Path) -> Value {
    let mut document = Map::new();
    document.insert("folder".into(), json!(out.to_string_lossy()));
    document.insert("best_epoch".into(), json!(summary.best_epoch));
    document.insert("last_epoch".into(), summary.last.to_json());
    for (name, found) in [("valid", &summary.last.valid), ("test", &summary.test)] {
        if let Some(found) = found {
            let mut found = found.to_json(name);
            if let Some(members) = found.as_object_mut() {
                // The folder has it; a row of a sweep's result needs no matrix.
                members.remove("confusion");
            }
            document.insert(name.into(), found);
        }
    }
    Value::Object(document)
}

/// The program in a run folder.
fn kept_program(folder: &Path) -> Result<PathBuf, Failure> {
    let config = folder.join("config.snn");
    if config.is_file() {
        return Ok(config);
    }
    let folder = folder.display();
    Err(Failure::Run(format!(
        "there is no run to resume in `{folder}`"
    )))
}

/// `test accuracy 97.78 % (352 of 360)`, or `test loss 0.012500 (360 samples)` for a task without classes.
pub(super) fn result_line(subset: &str, found: &Evaluation) -> String {
    match found.accuracy() {
        Some(accuracy) => format!(
            "{subset} accuracy {:.2} % ({} of {})\n",
            100.0 * accuracy,
            found.correct,
            found.samples
        ),
        None => format!(
            "{subset} loss {:.6} ({} samples)\n",
            found.loss, found.samples
        ),
    }
}
