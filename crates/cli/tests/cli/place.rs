//! The command as a process in a folder of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array3, ArrayD, IxDyn};
use rheobase_data::npz;
use tempfile::TempDir;

pub(crate) fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name).to_string_lossy().into_owned()
}

/// A folder to run in, and the command in it.
pub(crate) struct Place(TempDir);

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn rheo(&self, args: &[&str]) -> Ran {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_rheo"))
            .args(args)
            .current_dir(self.0.path())
            .env_remove("NO_COLOR")
            .output()
            .expect("the command starts");
        Ran {
            status: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.rheo(args);
        assert_eq!(ran.status, 0, "{args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Runs and expects a status, nothing on standard output, and a message with these words.
    pub(crate) fn fails(&self, status: i32, words: &[&str], args: &[&str]) -> Ran {
        let ran = self.rheo(args);
        assert_eq!(ran.status, status, "{args:?}\n{}\n{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{args:?}");
        for word in words {
            assert!(
                ran.err.contains(word),
                "{args:?}: no `{word}` in\n{}",
                ran.err
            );
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    pub(crate) fn npz(&self, name: &str, arrays: &[(&str, ArrayD<f64>)]) {
        let arrays = arrays.iter().map(|(n, a)| ((*n).to_string(), a.clone()));
        let arrays: BTreeMap<String, ArrayD<f64>> = arrays.collect();
        npz::write(&self.path(name), &arrays, npz::Precision::F64).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> BTreeMap<String, ArrayD<f64>> {
        npz::read(&self.path(name)).expect("readable arrays")
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("readable text")
    }
}

/// Says that a test does not run here. Not by `eprintln`, which is shown of failed tests only.
pub(crate) fn skipped(why: &str) {
    let said = writeln!(std::io::stderr(), "SKIPPED: {why}");
    said.expect("standard error is open");
}

/// `[steps, samples, n]` with a different number in each place.
pub(crate) fn ramp(steps: usize, samples: usize, n: usize) -> ArrayD<f64> {
    Array3::from_shape_fn((steps, samples, n), |(t, b, j)| {
        0.3 + 0.1 * ((t * 7 + b * 3 + j) % 11) as f64
    })
    .into_dyn()
}

pub(crate) fn constant(shape: &[usize], value: f64) -> ArrayD<f64> {
    ArrayD::from_elem(IxDyn(shape), value)
}
