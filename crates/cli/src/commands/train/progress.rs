//! How far a run is: a bar on a terminal, one line per epoch in a log, nothing if quiet; and TensorBoard's
//! events.

use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rheobase_train::tensorboard::EventFile;
use rheobase_train::{EpochReport, Notice, Observer, StepReport};
use serde_json::Value;

use crate::console::Console;
use crate::interrupt;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// A bar if the terminal can draw one, and a line per epoch.
    Normal,
    /// A line per epoch.
    Plain,
    /// Warnings only.
    Quiet,
}

/// Damaged samples that are named; the others are only counted.
const NAMED: usize = 20;

/// Sums over the part of an epoch that this process has seen.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: Instant,
    samples: usize,
    loss: f64,
    correct: usize,
    spikes: u64,
}

impl Part {
    fn new() -> Part {
        Part {
            start: Instant::now(),
            samples: 0,
            loss: 0.0,
            correct: 0,
            spikes: 0,
        }
    }

    /// `1200 samples/s  3.1 M spikes/s`
    fn speed(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        format!(
            "{} samples/s  {} spikes/s",
            short(self.samples as f64 / seconds),
            short(self.spikes as f64 / seconds)
        )
    }
}

/// Watches a run and tells.
pub(super) struct Progress {
    console: Console,
    voice: Voice,
    bar: ProgressBar,
    epoch: usize,
    part: Part,
    /// When the first step ended and how much of the run was done then: the rest is estimated from there.
    since: Option<(Instant, f64)>,
    /// All epochs of the plan; the time left is that of the whole run.
    epochs: usize,
    /// Whether the task has classes, so that there is an accuracy.
    classes: bool,
    events: Option<EventFile>,
    /// Damaged samples so far.
    named: usize,
    /// The first thing that went wrong with the events.
    pub(super) failed: Option<String>,
}

impl Progress {
    pub(super) fn new(console: Console, voice: Voice, epochs: usize, classes: bool) -> Progress {
        let bar = if console.bars && voice == Voice::Normal {
            let style = ProgressStyle::with_template("{prefix} [{bar:20}] {pos}/{len}  {wide_msg}");
            let style = style
                .expect("the template is well formed")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        Progress {
            console,
            voice,
            bar,
            epoch: 0,
            part: Part::new(),
            since: None,
            epochs,
            classes,
            events: None,
            named: 0,
            failed: None,
        }
    }

    /// Also writes events, beginning with the epochs that are there already.
    pub(super) fn with_events(mut self, events: EventFile, rows: &[Value]) -> Progress {
        self.events = Some(events);
        rows.iter().for_each(|row| self.tell_events(row));
        self
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// The time that is left, once there is something to judge by.
    fn left(&mut self, done: usize, total: usize) -> Option<Duration> {
        let position = (self.epoch - 1) as f64 + done as f64 / total.max(1) as f64;
        let Some((start, first)) = self.since else {
            self.since = Some((Instant::now(), position));
            return None;
        };
        let ahead = self.epochs as f64 - position;
        let seconds = start.elapsed().as_secs_f64() / (position - first) * ahead;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn tell_events(&mut self, row: &Value) {
        let Some(events) = &mut self.events else {
            return;
        };
        let epoch = row.get("epoch").and_then(Value::as_u64).unwrap_or(0);
        if let Err(error) = events.add(epoch, now(), &scalars(row)) {
            self.failed.get_or_insert(error.to_string());
        }
    }

    fn say(&self, line: &str) {
        if self.voice != Voice::Quiet {
            self.bar.suspend(|| self.console.note(line));
        }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |time| time.as_secs_f64())
}

/// The numbers of a row of metrics by name, those in objects as `object/name`.
fn scalars(row: &Value) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (key, value) in row.as_object().into_iter().flatten() {
        if let Some(number) = value.as_f64() {
            found.push((key.clone(), number));
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            found.extend(value.as_f64().map(|v| (format!("{key}/{name}"), v)));
        }
    }
    found.retain(|(key, _)| key != "epoch");
    found
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
            (self.epoch, self.part) = (epoch, Part::new());
            self.part.start -= report.timing.total;
        }
        let part = &mut self.part;
        part.samples += report.samples;
        part.loss += report.loss * report.samples as f64;
        part.correct += report.correct;
        part.spikes += report.spikes;
        if !self.bar.is_hidden() {
            let samples = part.samples.max(1) as f64;
            let loss = part.loss / samples;
            let accuracy = match self.classes {
                true => format!("  accuracy {:.1} %", 100.0 * part.correct as f64 / samples),
                false => String::new(),
            };
            let speed = part.speed();
            let left = self
                .left(done, total)
                .map_or(String::new(), |left| format!("  {} left", shown(left)));
            let prefix = format!("epoch {epoch}/{}", self.epochs);
            self.bar.set_prefix(prefix);
            self.bar.set_length(total as u64);
            self.bar.set_position(done as u64);
            self.bar.set_message(format!(
                "loss {loss:.4}{accuracy}  lr {:.2e}  {speed}{left}",
                report.learning_rate
            ));
        }
        if interrupt::asked() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn noticed(&mut self, notice: &Notice) {
        let console = self.console;
        let bar = self.bar.clone();
        bar.suspend(|| match notice.code() {
            Some(code) => console.coded_warning(code, &notice.to_string()),
            None if matches!(notice, Notice::LeftOut { .. }) => {
                self.named += 1;
                if self.named <= NAMED {
                    console.warning(&notice.to_string());
                }
            }
            None => console.note(&format!("{notice}\n")),
        });
    }

    fn finished(&mut self, report: &EpochReport) {
        let mut line = format!(
            "epoch {}/{}  loss {:.4}",
            report.epoch, report.epochs, report.train_loss,
        );
        if let Some(accuracy) = report.train_accuracy {
            line.push_str(&format!("  accuracy {:.2} %", 100.0 * accuracy));
        }
        if let Some(valid) = &report.valid {
            line.push_str(&match valid.accuracy() {
                Some(accuracy) => format!("  valid {:.2} %", 100.0 * accuracy),
                None => format!("  valid loss {:.4}", valid.loss),
            });
        }
        line.push_str(&format!(
            "  lr {:.2e}  {}  {:.2} s\n",
            report.learning_rate,
            self.part.speed(),
            report.seconds
        ));
        self.say(&line);
        self.tell_events(&report.to_json());
    }
}

/// `950`, `1.2 k`, `31 M`
fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v < 1e3 => (v, ""),
        v if v < 1e6 => (v / 1e3, " k"),
        v if v < 1e9 => (v / 1e6, " M"),
        v => (v / 1e9, " G"),
    };
    let places = usize::from(value < 9.95 && !unit.is_empty());
    format!("{value:.places$}{unit}")
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
    use super::{scalars, short, shown};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn times_and_numbers_for_people() {
        let text = |s| shown(Duration::from_secs(s));
        assert_eq!(
            [text(3), text(125), text(4321)],
            ["3 s", "2 min 5 s", "1 h 12 min"]
        );
        assert_eq!(
            [950.4, 1234.0, 31e6, 2.5e9].map(short),
            ["950", "1.2 k", "31 M", "2.5 G"]
        );
    }

    #[test]
    fn rows_are_flat_for_tensorboard() {
        let row = json!({"epoch": 3, "loss": 0.5, "rates": {"hid": 2.0}});
        let expected = [("loss".to_string(), 0.5), ("rates/hid".to_string(), 2.0)];
        assert_eq!(scalars(&row), expected);
    }
}
