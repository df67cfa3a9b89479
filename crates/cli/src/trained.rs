//! What `report` and `plot` begin with: a run folder with its plan, its data, and its weights before and after.

use std::path::{Path, PathBuf};

use rheobase_runtime::{Backend, Parameters};
use rheobase_train::{Trainer, skips_corrupted, weights};
use serde_json::Value;

use crate::console::Console;
use crate::failure::Failure;
use crate::training::{Plan, plan, threads};

/// A run folder.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    pub(crate) path: PathBuf,
}

impl RunFolder {
    /// The folder, if it is one.
    pub(crate) fn at(path: &Path) -> Result<RunFolder, Failure> {
        let folder = RunFolder {
            path: path.to_path_buf(),
        };
        if folder.config().is_file() {
            return Ok(folder);
        }
        let what = if path.exists() {
            format!(
                "`{}` is no run folder: it has no config.snn",
                path.display()
            )
        } else {
            format!("there is no `{}`", path.display())
        };
        Err(Failure::Run(what))
    }

    /// The program.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.snn")
    }

    /// Whether its run leaves out damaged samples.
    pub(crate) fn skips_corrupted(&self) -> bool {
        skips_corrupted(&self.path.join("last.ckpt"))
    }

    /// The rows of `metrics.jsonl`; none before the end of the first epoch.
    pub(crate) fn metrics(&self) -> Result<Vec<Value>, Failure> {
        let path = self.path.join("metrics.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| Failure::file("read", &path, &error))?;
        let rows = text.lines().map(serde_json::from_str);
        rows.collect::<Result<_, _>>()
            .map_err(|error| Failure::Run(format!("`{}`: {error}", path.display())))
    }

    /// `evaluation.json`, if the run came to its end.
    pub(crate) fn evaluation(&self) -> Result<Option<Value>, Failure> {
        let path = self.path.join("evaluation.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| Failure::file("read", &path, &error))?;
        let value = serde_json::from_str(&text);
        value
            .map(Some)
            .map_err(|error| Failure::Run(format!("`{}`: {error}", path.display())))
    }
}

/// A plan with the weights of a run.
pub(crate) struct Trained {
    pub(crate) folder: RunFolder,
    pub(crate) plan: Plan,
    pub(crate) trainer: Trainer,
    /// The parameters that the run started from.
    pub(crate) before: Parameters<f64>,
}

impl Trained {
    /// Compiles the program of a run folder and reads its best weights.
    pub(crate) fn load(path: &Path, console: &Console) -> Result<Trained, Failure> {
        let folder = RunFolder::at(path)?;
        let plan = plan(&folder.config(), None, &[], console)?;
        let mut trainer = Trainer::new(&plan.program, Backend::Jit, threads(None), &plan.base)?;
        if folder.skips_corrupted() {
            trainer.skip_corrupted();
        }
        Trained::of(folder, plan, trainer)
    }

    /// Of a run that is loaded already: the best weights of its folder, or those that it has if there are
    /// none yet.
    pub(crate) fn of(
        folder: RunFolder,
        plan: Plan,
        mut trainer: Trainer,
    ) -> Result<Trained, Failure> {
        let before = trainer.initial_parameters();
        let best = folder.path.join("best.safetensors");
        if best.exists() {
            let mut parameters = trainer.parameters();
            weights::apply(&best, &weights::load(&best)?, &mut parameters, true)?;
            trainer.set_parameters(&parameters)?;
        }
        Ok(Trained {
            folder,
            plan,
            trainer,
            before,
        })
    }
}
