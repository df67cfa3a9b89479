//! `rheo sweep FILE --grid NAME=VALUES…`: one run for each combination of values, several at a time, and a
//! table over seeds.
//!
//! Every run is a process `rheo train` of its own with a folder of its own, so that a run that fails takes
//! no other with it and each can be continued, looked at and reported like any run. A run whose folder holds
//! `result.json` is done; the same command continues whatever is not.

mod grid;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rheobase_train::{check_writable, replace};
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::pipeline::compile;
use crate::settings::{Setting, parse_setting};
use crate::training::{plan, threads};

use grid::{Axis, combinations, parse_axis};

/// Options of `rheo sweep`.
#[derive(Clone, Debug, clap::Args)]
pub struct SweepArgs {
    /// The program
    pub file: PathBuf,
    /// Values of settings: `lr=1e-3,3e-3`, `seed=0..4` (both ends included), `hid.tau_mem=10ms,20ms`;
    /// every combination is a run
    #[arg(long, value_name = "NAME=VALUES", num_args = 1.., required = true, value_parser = parse_axis)]
    pub grid: Vec<Axis>,
    /// The folder; each run has one of its own inside
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Which `train` block [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// Another value for a setting in all runs, as for `rheo train`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// Runs at the same time [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// A run of a sweep.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    name: String,
    settings: Vec<Setting>,
}

/// How a run ended.
enum Ended {
    Done(Value),
    Interrupted,
    Failed(String),
}

/// Runs a grid.
///
/// # Errors
///
/// The program or a value is wrong, the folder belongs to another sweep, a run failed, or somebody pressed
/// Ctrl-C.
pub fn sweep(args: &SweepArgs, console: &Console) -> Result<(), Failure> {
    let runs: Vec<Run> = combinations(&args.grid)
        .into_iter()
        .map(|settings| Run {
            name: grid::folder_name(&settings),
            settings,
        })
        .collect();
    // Every combination is checked before the first one runs for hours.
    for run in &runs {
        let all = [&args.set[..], &run.settings[..]].concat();
        plan(&args.file, args.train.as_deref(), &all, console)?;
    }
    check_writable(&args.out)?;
    claim(args, console)?;
    interrupt::stop_between_steps();
    let results = run_all(args, &runs, console)?;
    let mut done = Vec::new();
    let (mut failures, mut interrupted) = (Vec::new(), false);
    for (run, ended) in runs.iter().zip(results) {
        match ended {
            Ended::Done(result) => done.push((run.clone(), result)),
            Ended::Interrupted => interrupted = true,
            Ended::Failed(message) => failures.push(format!("{}: {message}", run.name)),
        }
    }
    let table = table::Table::of(&args.grid, &done);
    let text = format!("{:#}\n", table.to_json());
    replace(&args.out.join("sweep.json"), text.as_bytes())?;
    if let Some(picture) = table.picture() {
        replace(&args.out.join("sweep.svg"), picture.as_bytes())?;
    }
    console.print(&if args.json { text } else { table.to_text() })?;
    if interrupted {
        console.note("continue with the same command\n");
        return Err(Failure::Interrupted);
    }
    match &failures[..] {
        [] => Ok(()),
        _ => Err(Failure::Run(format!(
            "{} of {} runs failed:\n  {}",
            failures.len(),
            runs.len(),
            failures.join("\n  ")
        ))),
    }
}

/// Writes down what the sweep is of, or sees that the folder is of the same: results of two programs must
/// not end in one table.
fn claim(args: &SweepArgs, console: &Console) -> Result<(), Failure> {
    let front = compile(&args.file, console)?;
    let files = front.sources.files().iter();
    let text: String = files.map(|f| f.text()).collect();
    let set = args.set.iter().map(|s| format!("{}={}", s.name, s.value));
    let of = json!({
        "program": text,
        "train": args.train,
        "set": set.collect::<Vec<_>>(),
    });
    let path = args.out.join("sweep-of.json");
    if path.exists() {
        let there = fs::read_to_string(&path);
        let there = there.map_err(|error| Failure::file("read", &path, &error))?;
        let there: Option<Value> = serde_json::from_str(&there).ok();
        if there.as_ref() != Some(&of) {
            return Err(Failure::Run(format!(
                "`{}` holds a sweep of another program or with another --set or --train; choose another folder",
                args.out.display()
            )));
        }
    }
    Ok(replace(&path, format!("{of:#}\n").as_bytes())?)
}

/// All runs, `jobs` at a time; the results in the order of the runs.
fn run_all(args: &SweepArgs, runs: &[Run], console: &Console) -> Result<Vec<Ended>, Failure> {
    let cores = threads(None);
    let jobs = threads(args.jobs).min(runs.len()).max(1);
    let threads = (cores / jobs).max(1);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Ended>>> = Mutex::new(runs.iter().map(|_| None).collect());
    let finished = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let ended = match interrupt::asked() {
                        true => Ended::Interrupted,
                        false => one(args, run, threads),
                    };
                    let count = finished.fetch_add(1, Ordering::SeqCst) + 1;
                    console.note(&format!(
                        "{count}/{}  {}  {}\n",
                        runs.len(),
                        run.name,
                        said(&ended)
                    ));
                    let place = runs.iter().position(|r| r == run);
                    let mut results = results.lock().expect("no thread panics with the lock");
                    results[place.expect("the run is one of the runs")] = Some(ended);
                }
            });
        }
    });
    let results = results
        .into_inner()
        .expect("no thread panics with the lock");
    Ok(results
        .into_iter()
        .map(|r| r.unwrap_or(Ended::Interrupted))
        .collect())
}

fn said(ended: &Ended) -> String {
    match ended {
        Ended::Done(result) => match table::score(result) {
            Some(score) => score.to_string(),
            None => "done".to_string(),
        },
        Ended::Interrupted => "interrupted".to_string(),
        Ended::Failed(message) => format!("failed: {message}"),
    }
}

/// One run: its result if it is there already, else the process that makes it.
fn one(args: &SweepArgs, run: &Run, threads: usize) -> Ended {
    let folder = args.out.join(&run.name);
    let kept = folder.join("result.json");
    if let Some(result) = read(&kept) {
        return Ended::Done(result);
    }
    let output = match command(args, run, &folder, threads) {
        Ok(mut command) => command.output(),
        Err(error) => Err(error),
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    if output.status.code() == Some(i32::from(Failure::Interrupted.status())) {
        return Ended::Interrupted;
    }
    let result: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    match result.filter(|_| output.status.success()) {
        Some(result) => match replace(&kept, format!("{result:#}\n").as_bytes()) {
            Ok(()) => Ended::Done(result),
            Err(error) => Ended::Failed(error.to_string()),
        },
        None => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            Ended::Failed(last.unwrap_or("it said nothing").to_string())
        }
    }
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// `rheo train`, from the start or from where the run stands.
fn command(args: &SweepArgs, run: &Run, folder: &Path, threads: usize) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("train")
        .args(["--quiet", "--json", "--threads"]);
    command.arg(threads.to_string());
    if folder.join("last.ckpt").is_file() {
        command.arg("--resume").arg(folder);
    } else {
        command.arg(&args.file).arg("--out").arg(folder);
        if let Some(train) = &args.train {
            command.args(["--train", train]);
        }
        for setting in args.set.iter().chain(&run.settings) {
            command.arg("--set");
            command.arg(format!("{}={}", setting.name, setting.value));
        }
    }
    command.stdin(Stdio::null());
    Ok(command)
}
