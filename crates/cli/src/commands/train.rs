//! `rheo train FILE`: trains, shows how it goes, and keeps the run folder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rheobase_runtime::Backend;
use rheobase_train::{
    Config, EpochReport, Evaluation, Notice, Observer, SaveEvery, StepReport, Trainer,
    check_writable, train as train_plan,
};

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::run_folder::config_text;
use crate::settings::{Setting, parse_save_every, parse_setting};
use crate::training::{memory_of_machine, plan, threads};

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
    /// Continue the run in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub resume: Option<PathBuf>,
    /// Checkpoints within an epoch, after so many steps (`500`) or so much time (`30s`, `10min`)
    #[arg(long, value_name = "STEPS|TIME", value_parser = parse_save_every)]
    pub save_every: Option<SaveEvery>,
}

/// Trains a network.
///
/// # Errors
///
/// The program has errors, the data or the run folder cannot be used, numbers leave the range of `f32`, or
/// somebody pressed Ctrl-C.
pub fn train(args: &TrainArgs, console: &Console) -> Result<(), Failure> {
    let file = match (&args.file, &args.resume) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => kept_program(folder)?,
        (None, None) => return Err(Failure::Usage("give a program".to_string())),
    };
    let plan = plan(&file, args.train.as_deref(), &args.set, console)?;
    let out = match (&args.resume, &args.out) {
        (Some(out), _) | (None, Some(out)) => out.clone(),
        (None, None) => Path::new("runs").join(&plan.origin.train),
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
    warn_of_memory(&trainer, console);
    let config = Config {
        out: Some(out.clone()),
        program: config_text(&plan.front, &plan.origin),
        // A process that was killed before its first checkpoint left the program only: then from the start.
        resume: args.resume.is_some() && out.join("last.ckpt").exists(),
        save_every: args.save_every,
    };
    let epochs = plan.program.training.map_or(0, |training| training.epochs);
    interrupt::stop_between_steps();
    let mut progress = Progress::new(*console, epochs);
    let summary = train_plan(&mut trainer, &config, &mut progress);
    progress.end();
    let summary = summary.map_err(|error| {
        let failure = Failure::from(error);
        if failure == Failure::Interrupted {
            let folder = out.display();
            console.note(&format!(
                "the run so far is in `{folder}`; continue with: rheo train --resume {folder}\n"
            ));
        }
        failure
    })?;
    console.note(&format!(
        "best weights after epoch {} in `{}`\n",
        summary.best_epoch,
        out.join("best.safetensors").display()
    ));
    let (subset, found) = match (&summary.test, &summary.last.valid) {
        (Some(test), _) => ("test", test),
        (None, Some(valid)) => ("valid", valid),
        (None, None) => {
            let accuracy = 100.0 * summary.last.train_accuracy;
            return console.print(&format!("train accuracy {accuracy:.2} %\n"));
        }
    };
    console.print(&accuracy_line(subset, found))
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

/// Says so if the tapes do not fit into the machine.
fn warn_of_memory(trainer: &Trainer, console: &Console) {
    let needed = trainer.footprint().total() as u64;
    if let Some(there) = memory_of_machine()
        && needed > there
    {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        let message = format!(
            "the network in time needs about {:.1} GB, this machine has {:.1} GB; train fewer steps, neurons or threads",
            gigabytes(needed),
            gigabytes(there)
        );
        console.coded_warning("W0608", &message);
    }
}

/// `test accuracy 97.78 % (352 of 360)`
pub(super) fn accuracy_line(subset: &str, found: &Evaluation) -> String {
    format!(
        "{subset} accuracy {:.2} % ({} of {})\n",
        100.0 * found.accuracy(),
        found.correct,
        found.samples
    )
}

/// How far a run is: a bar on a terminal, else one line per epoch.
struct Progress {
    console: Console,
    bar: ProgressBar,
    epoch: usize,
    /// Sums over the samples of the epoch so far.
    loss: f64,
    correct: usize,
    done: usize,
    /// When the first step ended and how much of the run was done then: the rest is estimated from there.
    since: Option<(Instant, f64)>,
    /// All epochs of the plan; the time left is that of the whole run.
    epochs: usize,
}

impl Progress {
    fn new(console: Console, epochs: usize) -> Progress {
        let bar = if console.bars {
            let style = "{prefix} [{bar:24}] {pos}/{len}  {msg}";
            let style = ProgressStyle::with_template(style);
            let style = style
                .expect("the template is well formed")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        Progress {
            console,
            bar,
            epoch: 0,
            loss: 0.0,
            correct: 0,
            done: 0,
            since: None,
            epochs,
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// The time that is left, once there is something to judge by.
    fn left(&mut self, total: usize) -> Option<Duration> {
        let position = (self.epoch - 1) as f64 + self.done as f64 / total.max(1) as f64;
        let Some((start, first)) = self.since else {
            self.since = Some((Instant::now(), position));
            return None;
        };
        let ahead = self.epochs as f64 - position;
        let seconds = start.elapsed().as_secs_f64() / (position - first) * ahead;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl Observer for Progress {
    fn stepped(
        &mut self,
        epoch: usize,
        done: usize,
        total: usize,
        report: &StepReport,
    ) -> ControlFlow<()> {
        if epoch != self.epoch {
            (self.epoch, self.loss, self.correct) = (epoch, 0.0, 0);
        }
        self.done = done;
        self.loss += report.loss * report.samples as f64;
        self.correct += report.correct;
        if self.console.bars {
            let (loss, accuracy) = (
                self.loss / done.max(1) as f64,
                100.0 * self.correct as f64 / done.max(1) as f64,
            );
            let left = self
                .left(total)
                .map_or(String::new(), |left| format!("  {} left", shown(left)));
            self.bar
                .set_prefix(format!("epoch {epoch}/{}", self.epochs));
            self.bar.set_length(total as u64);
            self.bar.set_position(done as u64);
            self.bar
                .set_message(format!("loss {loss:.4}  accuracy {accuracy:.1} %{left}"));
        }
        if interrupt::asked() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn noticed(&mut self, notice: &Notice) {
        let console = self.console;
        self.bar.suspend(|| match notice.code() {
            Some(code) => console.coded_warning(code, &notice.to_string()),
            None => console.note(&format!("{notice}\n")),
        });
    }

    fn finished(&mut self, report: &EpochReport) {
        let mut line = format!(
            "epoch {}/{}  loss {:.4}  accuracy {:.2} %",
            report.epoch,
            report.epochs,
            report.train_loss,
            100.0 * report.train_accuracy
        );
        if let Some(valid) = &report.valid {
            line.push_str(&format!("  valid {:.2} %", 100.0 * valid.accuracy()));
        }
        line.push_str(&format!("  {:.2} s\n", report.seconds));
        let console = self.console;
        self.bar.suspend(|| console.note(&line));
    }
}

/// `3 s`, `2 min 5 s`, `1 h 12 min`
fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;
    use std::time::Duration;

    #[test]
    fn times_for_people() {
        let text = |s| shown(Duration::from_secs(s));
        assert_eq!(
            [text(3), text(125), text(4321)],
            ["3 s", "2 min 5 s", "1 h 12 min"]
        );
    }
}
