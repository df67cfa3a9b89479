//! A neuron of a `std/` file on given input, through the files and functions of `rheo grad`.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayD, Axis, IxDyn};
use rheobase::commands::{Executor, GradArgs, PrecisionArg, RunArgs, WhatArgs, grad, run};
use rheobase::console::Console;
use rheobase_data::npz;

pub(crate) type Arrays = BTreeMap<String, ArrayD<f64>>;

pub(crate) const CONSOLE: Console = Console {
    color: false,
    bars: false,
};

/// What is simulated.
pub(crate) struct Simulation<'a> {
    /// The part of the file's name after `std/`, without `.snn`.
    pub(crate) library: &'a str,
    pub(crate) neuron: &'a str,
    /// Arrays `[T, N]` by port.
    pub(crate) input: Vec<(&'a str, Array2<f64>)>,
    /// Values of parameters in base units.
    pub(crate) params: &'a [(&'a str, f64)],
    pub(crate) step_ms: f64,
}

impl Simulation<'_> {
    /// Traces `[T, 1, N]` of spikes and states; with cotangents also gradients.
    pub(crate) fn run(
        &self,
        cotangents: Option<&BTreeMap<String, Array2<f64>>>,
        executor: Executor,
    ) -> Arrays {
        let scratch = tempfile::tempdir().expect("a folder for the files");
        let path = |name: &str| scratch.path().join(name);
        let import = format!("import \"std/{}.snn\"\n", self.library);
        std::fs::write(path("main.snn"), import).expect("written");
        let mut input: Arrays = BTreeMap::new();
        for (port, array) in &self.input {
            input.insert((*port).to_string(), batch(array));
        }
        for (name, value) in self.params {
            let value = ArrayD::from_elem(IxDyn(&[]), *value);
            input.insert(format!("param.{name}"), value);
        }
        npz::write(&path("in.npz"), &input, npz::Precision::F64).expect("written");
        let args = RunArgs {
            file: path("main.snn"),
            what: WhatArgs {
                neuron: Some(self.neuron.to_string()),
                network: None,
            },
            input: path("in.npz"),
            step: Some(self.step_ms),
            set: Vec::new(),
            weights: None,
            executor,
            precision: PrecisionArg::F64,
            seed: Some(0),
            out: path("out.npz"),
            json: false,
        };
        let done = match cotangents {
            None => run(&args, &CONSOLE),
            Some(cotangents) => {
                let arrays: Arrays = cotangents
                    .iter()
                    .map(|(name, array)| (name.clone(), batch(array)))
                    .collect();
                npz::write(&path("ct.npz"), &arrays, npz::Precision::F64).expect("written");
                let cotangents = path("ct.npz");
                grad(
                    &GradArgs {
                        run: args,
                        cotangents,
                    },
                    &CONSOLE,
                )
            }
        };
        done.unwrap_or_else(|e| panic!("{}: {e:?}", self.neuron));
        npz::read(&path("out.npz")).expect("the result is readable")
    }

    /// The traces of a forward run.
    pub(crate) fn traces(&self) -> Arrays {
        self.run(None, Executor::Interp)
    }
}

fn batch(array: &Array2<f64>) -> ArrayD<f64> {
    array.clone().insert_axis(Axis(1)).into_dyn()
}
