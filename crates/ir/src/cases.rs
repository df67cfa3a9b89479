//! Reading of test cases: `.kir` files with calls, and neurons as text. For the tests of this crate and of
//! the compiler to machine code, which run the same files.
//!
//! **Calls.** Lines after a kernel, one call of one lane each:
//!
//! ```text
//! ; run: 1.0, 2.0 == 3.0
//! ; run: 1.0, true ~= 2.718281828459045, false
//! ```
//!
//! Left the inputs in the order of the kernel, right its outputs in their order. `==` asks for these very
//! numbers (any NaN for `NaN`, the sign of zero counts), `~=` for the accuracy that the executor
//! promises. A single-precision executor rounds the numbers of the line first.
//!
//! **Neurons.** `; param NAME = VALUE` for each parameter, then the kernel of initial values, then the step.
//! States, ports and spikes are those of the step.

use crate::executor::{Arg, CallError, Executor};
use crate::kernel::{Kernel, Role};
use crate::program::{Initial, Neuron, Parameter, Sharing, Unit, Variable};
use crate::real::{self, Real};
use crate::text::parse_all;
use crate::types::{Rate, Type};

/// A kernel with calls and their results.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The kernel.
    pub kernel: Kernel,
    /// Its calls.
    pub calls: Vec<Call>,
}

/// One call of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The line in the file, from 1.
    pub line: usize,
    /// The inputs; booleans are 0 and 1.
    pub inputs: Vec<f64>,
    /// The outputs; booleans are 0 and 1.
    pub outputs: Vec<f64>,
    /// Whether the outputs must be these very numbers.
    pub exact: bool,
}

/// Reads a file of kernels with calls.
///
/// # Errors
///
/// A sentence with the line that is wrong.
pub fn cases(text: &str) -> Result<Vec<Case>, String> {
    let kernels = parse_all(text).map_err(|e| e.to_string())?;
    let mut cases: Vec<Case> = Vec::new();
    let mut remaining = kernels.into_iter();
    for (index, line) in text.lines().enumerate() {
        if line.trim() == "}" {
            cases.extend(remaining.next().map(|kernel| Case {
                kernel,
                calls: Vec::new(),
            }));
        } else if let Some(call) = line.trim().strip_prefix("; run:") {
            let case = cases
                .last_mut()
                .ok_or(format!("line {}: a call before its kernel", index + 1))?;
            let call = read_call(call, &case.kernel, index + 1)
                .map_err(|e| format!("line {}: {e}", index + 1))?;
            case.calls.push(call);
        }
    }
    Ok(cases)
}

fn read_call(text: &str, kernel: &Kernel, line: usize) -> Result<Call, String> {
    let (left, right, exact) = match (text.split_once("=="), text.split_once("~=")) {
        (Some((l, r)), _) => (l, r, true),
        (None, Some((l, r))) => (l, r, false),
        (None, None) => return Err("expected `==` or `~=`".into()),
    };
    let call = Call {
        line,
        inputs: numbers(left)?,
        outputs: numbers(right)?,
        exact,
    };
    let expected = (kernel.inputs().count(), kernel.outputs.len());
    if (call.inputs.len(), call.outputs.len()) != expected {
        return Err(format!(
            "the kernel has {} inputs and {} outputs",
            expected.0, expected.1
        ));
    }
    Ok(call)
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
    words
        .map(|word| match word {
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            number => number
                .parse()
                .map_err(|_| format!("`{number}` is not a number")),
        })
        .collect()
}

/// Runs an executor on rows of numbers: one for each input of `kernel`, booleans as 0 and 1, with `lanes`
/// elements or one. Returns a row for each output, in order.
///
/// # Errors
///
/// The rows do not fit the kernel.
pub fn run_rows<R: Real>(
    executor: &dyn Executor<R>,
    kernel: &Kernel,
    lanes: usize,
    inputs: &[Vec<f64>],
) -> Result<Vec<Vec<f64>>, CallError> {
    enum Row<R> {
        Real(Vec<R>),
        Bool(Vec<u8>),
        Bf16(Vec<u16>),
    }
    let signature = executor.signature().to_vec();
    let mut rows: Vec<Row<R>> = signature
        .iter()
        .enumerate()
        .map(|(i, param)| {
            let length = match param.rate {
                Rate::Uniform => 1,
                Rate::Lane => lanes,
            };
            // Write-only rows start as NaN and true, which an executor must replace.
            let numbers = inputs.get(i).cloned();
            match param.ty {
                Type::Real => {
                    let numbers = numbers.unwrap_or_else(|| vec![f64::NAN; length]);
                    Row::Real(numbers.into_iter().map(R::from_f64).collect())
                }
                Type::Bool => {
                    let numbers = numbers.unwrap_or_else(|| vec![1.0; length]);
                    Row::Bool(numbers.into_iter().map(|x| u8::from(x != 0.0)).collect())
                }
                Type::Bf16 => {
                    let numbers = numbers.unwrap_or_else(|| vec![f64::NAN; length]);
                    Row::Bf16(numbers.into_iter().map(real::to_bf16).collect())
                }
            }
        })
        .collect();
    let mut args: Vec<Arg<'_, R>> = rows
        .iter_mut()
        .map(|row| match row {
            Row::Real(row) => Arg::RealMut(row),
            Row::Bool(row) => Arg::BoolMut(row),
            Row::Bf16(row) => Arg::Bf16Mut(row),
        })
        .collect();
    executor.call(lanes, &mut args)?;
    let position = |output: &crate::kernel::Output| {
        let at = signature.iter().position(|p| p.slot == output.slot);
        at.expect("outputs are in the signature")
    };
    let row = |i: usize| match &rows[i] {
        Row::Real(row) => row.iter().map(|x| x.to_f64()).collect(),
        Row::Bool(row) => row.iter().map(|x| f64::from(*x)).collect(),
        Row::Bf16(row) => row.iter().map(|x| real::from_bf16(*x)).collect(),
    };
    Ok(kernel.outputs.iter().map(|o| row(position(o))).collect())
}

/// Reads a neuron.
///
/// # Errors
///
/// A sentence about what is wrong.
pub fn neuron(text: &str) -> Result<Neuron, String> {
    let mut kernels = parse_all(text).map_err(|e| e.to_string())?;
    let (Some(step), Some(init), None) = (kernels.pop(), kernels.pop(), kernels.pop()) else {
        return Err("expected the kernel of initial values and the step".into());
    };
    let params = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("; param "))
        .map(|line| parameter(line, &step))
        .collect::<Result<_, _>>()?;
    let variable = |name: &str| Variable {
        name: name.to_string(),
        unit: Unit::one(),
    };
    let outputs = |role: Role| step.outputs.iter().filter(move |o| o.slot.role == role);
    let ports = step.inputs().filter(|(_, i)| i.slot.role == Role::Port);
    Ok(Neuron {
        name: step.name.trim_end_matches(".step").to_string(),
        params,
        states: outputs(Role::State)
            .map(|o| variable(&o.slot.name))
            .collect(),
        ports: ports.map(|(_, i)| variable(&i.slot.name)).collect(),
        spikes: outputs(Role::Spike).map(|o| o.slot.name.clone()).collect(),
        init,
        step,
    })
}

fn parameter(line: &str, step: &Kernel) -> Result<Parameter, String> {
    let (name, value) = line.split_once('=').ok_or("expected `NAME = VALUE`")?;
    let (name, value) = (name.trim(), value.trim());
    let value = value
        .parse()
        .map_err(|_| format!("`{value}` is not a number"))?;
    let lane = step
        .inputs()
        .any(|(_, i)| i.slot.role == Role::Param && i.slot.name == name && i.rate == Rate::Lane);
    Ok(Parameter {
        name: name.to_string(),
        initial: Initial::Constant(value),
        sharing: if lane {
            Sharing::PerNeuron
        } else {
            Sharing::Shared
        },
        bounds: None,
        learn: None,
        unit: Unit::one(),
    })
}
