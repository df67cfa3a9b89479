//! Every neuron of `std/`: a step without saving, one that saves the tape, and its backward for the training of
//! weights. Neurons start where the model starts, with its parameters, and are driven so that some of them spike; the
//! backward is that of a step in which they do.

use std::collections::BTreeMap;

use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::interp::Interpreter;
use rheobase_ir::kernel::{Access, Kernel, Role, Slot};
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_ir::program::Neuron;
use rheobase_lang::check::check;
use rheobase_lang::load::{NoFiles, STD, load};
use rheobase_lang::lower::lower_neuron;

use crate::rows::{LANES, Rows, best, bytes, scattered};

/// The steps before anything is timed.
const WARM_UP: usize = 300;

/// The share of neurons that spike in a step if their input is strong enough.
const ACTIVE: f64 = 0.002;

/// A neuron and its stages.
pub(crate) struct Made {
    /// The model.
    pub(crate) neuron: Neuron,
    /// Its kernels.
    pub(crate) stages: Stages,
}

/// The neurons of a file of `std/`, with their stages.
pub(crate) fn neurons(file: &str) -> Vec<Made> {
    let loaded = load("main.snn", &format!("import \"{file}\""), &NoFiles);
    let program = check(&loaded.files);
    let neurons = program.model.neurons.iter();
    neurons
        .map(|neuron| {
            let name = &neuron.name.text;
            // The equations of Hodgkin and Huxley ask for a small step.
            let step = if name == "HodgkinHuxley" { 0.05 } else { 1.0 };
            let neuron = lower_neuron(&program.model, name, step, &[]).expect("std is right");
            let stages = build(&neuron, Wanted::NONE).expect("the pipeline is right");
            Made { neuron, stages }
        })
        .collect()
}

/// The numbers of rows by slot: one, or one for each lane.
pub(crate) type Numbers = BTreeMap<Slot, Vec<f64>>;

impl Made {
    /// Parameters, what the prologue makes of them, and the states at the beginning; states that are drawn begin at 0.
    pub(crate) fn constants(&self) -> Numbers {
        let prologue = Interpreter::new(self.stages.prologue.clone()).expect("no integrate");
        let params = self.neuron.params.iter();
        let mut numbers: Numbers = params
            .map(|p| (Slot::new(Role::Param, p.name.as_str()), vec![p.typical()]))
            .collect();
        let signature = Executor::<f64>::signature(&prologue).to_vec();
        let mut rows: Vec<Vec<f64>> = signature
            .iter()
            .map(|p| numbers.get(&p.slot).cloned().unwrap_or_else(|| vec![0.0]))
            .collect();
        let args = rows.iter_mut().zip(&signature);
        let mut args: Vec<Arg<'_, f64>> = args
            .map(|(row, p)| match p.access {
                Access::Read => Arg::Real(row),
                Access::Write | Access::Update => Arg::RealMut(row),
            })
            .collect();
        prologue.call(1, &mut args).expect("the signature is met");
        for (param, row) in signature.iter().zip(rows) {
            let slot = match param.slot.role {
                Role::Init => Slot::new(Role::State, param.slot.name.as_str()),
                Role::Param
                | Role::Derived
                | Role::Port
                | Role::State
                | Role::Spike
                | Role::Saved
                | Role::Key => param.slot.clone(),
            };
            numbers.insert(slot, row);
        }
        numbers
    }

    /// A kernel of the neuron with its constants, and numbers up to `drive` at the ports.
    pub(crate) fn rows(&self, kernel: &Kernel, lanes: usize, drive: f64) -> Rows<f32> {
        let constants = self.constants();
        Rows::of(kernel, lanes, |slot, number, lane| {
            match constants.get(slot) {
                Some(values) => values[0],
                None if slot.role == Role::Port => drive * scattered(number, lane),
                None if slot.role == Role::Key => scattered(number, lane),
                None => 0.0,
            }
        })
    }

    /// The forward after some steps under the weakest drive of powers of ten that makes neurons spike, and the share
    /// of them that do. A neuron that never spikes is driven by 1.
    pub(crate) fn running(&self, kernel: &Kernel, lanes: usize) -> (Rows<f32>, f64, f64) {
        let spiking = |drive: f64| {
            let mut rows = self.rows(kernel, lanes, drive);
            let mut spikes = 0.0;
            for _ in 0..WARM_UP {
                rows.call();
                let written = rows.all().filter(|(slot, _)| slot.role == Role::Spike);
                spikes += written.map(|(_, row)| row.iter().sum::<f64>()).sum::<f64>();
            }
            (rows, drive, spikes / (lanes * WARM_UP) as f64)
        };
        let drives = [0.1, 1.0, 10.0, 100.0, 1e3, 1e4].into_iter();
        let found = drives.map(spiking).find(|(_, _, share)| *share > ACTIVE);
        found.unwrap_or_else(|| spiking(1.0))
    }
}

/// Prints the table, of the neurons that are named if there are any.
pub(crate) fn report(floor: f64, names: &[&str]) {
    println!(
        "{:36} {:>7} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}   ns per neuron and step",
        "neuron", "spikes", "infer", "floor", "forward", "floor", "backward", "floor"
    );
    let mut seen = std::collections::BTreeSet::new();
    for (file, _) in STD {
        for made in neurons(file) {
            let name = made.neuron.name.as_str();
            let wanted = names.is_empty() || names.contains(&name);
            // A file brings the neurons that it imports.
            if wanted && seen.insert(name.to_owned()) {
                line(&made, floor);
            }
        }
    }
}

fn line(made: &Made, floor: f64) {
    let stages = &made.stages;
    let (mut infer, drive, spikes) = made.running(&stages.infer, LANES);
    let mut forward = made.rows(&stages.forward, LANES, drive);
    (0..WARM_UP).for_each(|_| forward.call());
    let mut backward = backward(made, &forward);
    let times = [
        (&stages.infer, infer.time()),
        (&stages.forward, forward.time()),
        (&stages.backward, backward.time_from_start()),
    ];
    let times: String = times
        .map(|(kernel, time)| {
            let floor = bytes::<f32>(kernel) as f64 * floor;
            format!(" {time:>9.3} {floor:>7.3}")
        })
        .concat();
    println!("{:36} {:>6.1}%{times}", made.neuron.name, 100.0 * spikes);
}

/// The backward of a step, and what its adjoints start from.
pub(crate) struct Backward {
    /// The rows.
    pub(crate) rows: Rows<f32>,
    numbers: Numbers,
}

/// The backward of the last step of a forward; adjoints are numbers between 0 and 1.
pub(crate) fn backward(made: &Made, forward: &Rows<f32>) -> Backward {
    let mut numbers = made.constants();
    numbers.extend(forward.all());
    let rows = Rows::of(&made.stages.backward, forward.lanes(), |slot, i, lane| {
        number(&numbers, slot, i, lane)
    });
    Backward { rows, numbers }
}

fn number(numbers: &Numbers, slot: &Slot, number: usize, lane: usize) -> f64 {
    let row = numbers.get(slot);
    row.map_or_else(
        || scattered(number, lane),
        |row| row[lane.min(row.len() - 1)],
    )
}

impl Backward {
    /// Nanoseconds per lane of a call. Adjoints of states may grow from step to step: every repetition starts anew.
    pub(crate) fn time_from_start(&mut self) -> f64 {
        let [repetitions, runs] = crate::rows::repeated(self.rows.lanes());
        let times = (0..repetitions).map(|_| {
            let numbers = &self.numbers;
            self.rows
                .reset(|slot, i, lane| number(numbers, slot, i, lane));
            best(1, runs, || self.rows.call())
        });
        times.fold(f64::INFINITY, f64::min) * 1e9 / self.rows.lanes() as f64
    }
}
