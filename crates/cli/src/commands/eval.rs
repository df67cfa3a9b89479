//! `rheo eval RUN_DIR|FILE`: how good trained weights are on samples that they were not trained on.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rheobase_ir::program::{Dataset, Split, Training};
use rheobase_runtime::Backend;
use rheobase_train::{Evaluation, Subset, Trainer, weights};

use super::train::{effort_line, result_line, tell_left_out};
use crate::console::Console;
use crate::failure::Failure;
use crate::settings::{Setting, parse_setting};
use crate::trained::RunFolder;
use crate::training::{Plan, plan, threads};

/// Options of `rheo eval`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// A run folder, or a program together with --weights
    #[arg(value_name = "RUN_DIR|FILE")]
    pub target: PathBuf,
    /// The weights [default: best.safetensors of the run folder]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Another test set: a data file in the format of the training data, or an expression such as
    /// `shd("test.h5")`
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Which `train` block of a program [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// Another value for a setting or a parameter, as for `rheo train`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub set: Vec<Setting>,
    /// Threads; the result does not depend on it [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Leave out samples that cannot be read, naming them [default: as the run did]
    #[arg(long)]
    pub skip_corrupted: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Evaluates weights on the test samples of a plan.
///
/// # Errors
///
/// There are no such weights or they do not fit, the plan has no test samples, or data cannot be read.
pub fn eval(args: &EvalArgs, console: &Console) -> Result<(), Failure> {
    let (mut plan, weights_path) = if args.target.is_dir() {
        of_folder(args, console)?
    } else if !args.target.exists() {
        let message = format!("there is no `{}`", args.target.display());
        return Err(Failure::Run(message));
    } else {
        let Some(weights) = &args.weights else {
            let message = "give the weights of a program with --weights, or a run folder";
            return Err(Failure::Usage(message.to_string()));
        };
        let plan = plan(
            &args.target,
            args.train.as_deref(),
            &settings(args),
            console,
        )?;
        (plan, weights.clone())
    };
    if let (Some(data), Some(training)) = (&args.data, &mut plan.program.training)
        && Path::new(data).exists()
    {
        training.test = Some(Split::Dataset(same_format(training, data)?));
    }
    let mut trainer = Trainer::new(
        &plan.program,
        Backend::Jit,
        threads(args.threads),
        &plan.base,
    )?;
    let folder = RunFolder {
        path: args.target.clone(),
    };
    if args.skip_corrupted || folder.skips_corrupted() {
        trainer.skip_corrupted();
    }
    let mut parameters = trainer.parameters();
    let arrays = weights::load(&weights_path)?;
    weights::apply(&weights_path, &arrays, &mut parameters, true)?;
    trainer.set_parameters(&parameters)?;
    let subsets = [(Subset::Test, "test"), (Subset::Valid, "valid")];
    let found = subsets
        .into_iter()
        .find(|(s, _)| !trainer.samples().is_empty(*s));
    let Some((subset, name)) = found else {
        return Err(Failure::Program(format!(
            "`{}` has neither `test` nor `valid` samples; give a data set with --data",
            plan.origin.train
        )));
    };
    let evaluation = trainer.evaluate(subset)?;
    tell_left_out(trainer.samples(), console);
    console.print(&if args.json {
        format!("{:#}\n", evaluation.to_json(name))
    } else {
        page(name, &evaluation)
    })
}

/// The plan of a run folder, with the settings that it was trained with.
fn of_folder(args: &EvalArgs, console: &Console) -> Result<(Plan, PathBuf), Failure> {
    let config = args.target.join("config.snn");
    if !config.is_file() {
        let folder = args.target.display();
        return Err(Failure::Run(format!(
            "`{folder}` is no run folder: it has no config.snn"
        )));
    }
    let plan = plan(&config, args.train.as_deref(), &settings(args), console)?;
    let weights = args.weights.clone();
    let weights = weights.unwrap_or_else(|| args.target.join("best.safetensors"));
    Ok((plan, weights))
}

/// The settings that were given; `--data` with an expression is the setting `test`.
fn settings(args: &EvalArgs) -> Vec<Setting> {
    let mut settings = args.set.clone();
    let data = args.data.iter().filter(|data| !Path::new(data).exists());
    settings.extend(data.map(|data| Setting {
        name: "test".to_string(),
        value: data.clone(),
    }));
    settings
}

/// A file of the format of the training data. Its path starts here, not at the program.
fn same_format(training: &Training, path: &str) -> Result<Dataset, Failure> {
    match &training.data {
        Dataset::File {
            format, options, ..
        } => {
            let full = std::fs::canonicalize(path);
            let full = full.map_err(|error| Failure::file("read", Path::new(path), &error))?;
            Ok(Dataset::File {
                format: format.clone(),
                path: full.to_string_lossy().into_owned(),
                options: options.clone(),
            })
        }
        Dataset::Digits | Dataset::RandomSpikes { .. } | Dataset::Task(_) => {
            Err(Failure::Usage(format!(
                "the training data is built in, so the format of `{path}` is not known; write --data 'shd(\"{path}\")'"
            )))
        }
    }
}

fn page(subset: &str, found: &Evaluation) -> String {
    let mut text = result_line(subset, found);
    let mut line = |line: String| {
        writeln!(text, "{line}").expect("writing to a string does not fail");
    };
    for (k, share) in found.top() {
        line(format!("among the best {k}: {:.2} %", 100.0 * share));
    }
    if found.accuracy().is_some() {
        line(format!("{subset} loss {:.6}", found.loss));
    }
    line("\nspikes per neuron and second".to_string());
    for (layer, rate) in &found.rates {
        line(format!("  {layer:<12} {rate:>8.2}"));
    }
    line(effort_line(found).trim_end().to_string());
    let classes = found.confusion.len();
    if classes == 0 {
        return text;
    }
    line("\nconfusion matrix: a row for each label, a column for each prediction".to_string());
    let widest = found.confusion.iter().flatten().max().unwrap_or(&0);
    let width = widest.to_string().len().max(classes.to_string().len()) + 2;
    let label = |class: usize| match found.class_names.get(class) {
        Some(name) => format!("{class} {name}"),
        None => class.to_string(),
    };
    let labels: Vec<String> = (0..classes).map(label).collect();
    let first = labels.iter().map(|label| label.chars().count()).max();
    let first = first.unwrap_or(0).max(5);
    let head: String = (0..classes).map(|c| format!("{c:>width$}")).collect();
    line(format!("{:>first$}{head}", ""));
    for (label, row) in labels.iter().zip(&found.confusion) {
        let row: String = row.iter().map(|n| format!("{n:>width$}")).collect();
        line(format!("{label:>first$}{row}"));
    }
    text
}
