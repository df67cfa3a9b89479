//! Checked model to what the rest of the compiler and the runtime work on: neurons as kernels, the
//! network graph, the training plan.
//!
//! Here a program gets its numbers: the length of a step is fixed, literals become base units,
//! parameters and weights get their starting values, delays and refractory times become whole
//! steps. Units are erased. What a kernel computes in a step is described in `neuron`.
//!
//! Constructs of the language that the runtime cannot run yet are refused here with E0211, and
//! only here: a check accepts them.
//!
//! The model must come from a check without errors; anything else is refused, not a panic.

mod expr;
mod fluctuation;
mod mapping;
mod network;
mod neuron;
mod start;
mod train;

use crate::check::Around;
use crate::diag::{Code, Diagnostic};
use crate::model::Model;
use crate::span::Span;
use rheobase_ir::program;

/// Findings of a lowering; never empty in an `Err`.
pub type Findings = Vec<Diagnostic>;

/// A parameter of a neuron with another value than in the file, in base units (ms, mV, pA, …).
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The parameter's name.
    pub name: String,
    /// Its value everywhere.
    pub value: f64,
}

/// A neuron for a given length of the time step, unconnected, with its parameters as in the file
/// except for the overrides.
///
/// # Errors
///
/// There is no such neuron or parameter, or it uses something that cannot be run yet (E0211).
pub fn lower_neuron(
    model: &Model,
    name: &str,
    step_ms: f64,
    overrides: &[Override],
) -> Result<program::Neuron, Findings> {
    let Some(found) = model.neuron(name) else {
        let names = model.neurons.iter().map(|n| n.name.text.as_str());
        return Err(vec![missing("neuron", name, names)]);
    };
    let mut params = found.params.clone();
    start::apply(&mut params, found, overrides)?;
    neuron::lower(model, found, &params, step_ms, Around::step(step_ms))
}

/// A network and, if wanted, the plan to train it.
///
/// With the name of a training plan its network is taken, with its arguments. Without any name
/// the only plan of the program is taken, or else its only network.
///
/// # Errors
///
/// No such network or plan, several to choose from, or a construct that cannot be run yet (E0211).
pub fn lower_network(
    model: &Model,
    network: Option<&str>,
    train: Option<&str>,
) -> Result<program::Program, Findings> {
    let plan = match train {
        Some(name) => match model.train(name) {
            Some(plan) => Some(plan),
            None => {
                let names = model.trains.iter().map(|t| t.name.text.as_str());
                return Err(vec![missing("training plan", name, names)]);
            }
        },
        None => only_plan(model, network)?,
    };
    let index = match (network, plan) {
        (Some(name), _) => match model.networks.iter().position(|n| n.name.text == name) {
            Some(index) => index,
            None => {
                let names = model.networks.iter().map(|n| n.name.text.as_str());
                return Err(vec![missing("network", name, names)]);
            }
        },
        (None, Some(plan)) => plan.network.ok_or_else(|| vec![unchecked(plan.span)])?,
        (None, None) => only_network(model)?,
    };
    let args: Vec<_> = match plan {
        Some(plan) if plan.network == Some(index) => plan.args.clone(),
        Some(_) | None => Vec::new(),
    };
    let mut lowered = network::lower(model, index, &args).map_err(limited)?;
    let training = match plan {
        Some(plan) if plan.network == Some(index) => {
            Some(train::lower(model, plan, &lowered, index)?)
        }
        Some(plan) => {
            let message = format!(
                "`{}` trains another network than `{}`",
                plan.name.text, model.networks[index].name.text
            );
            return Err(vec![Diagnostic::new(Code::E0201, plan.name.span, message)]);
        }
        None => None,
    };
    let seed = training.as_ref().map_or(0, |t: &program::Training| t.seed);
    lowered.seed_patterns(seed);
    Ok(program::Program {
        network: lowered,
        training,
    })
}

/// Not more findings than anyone reads.
fn limited(mut findings: Findings) -> Findings {
    crate::diag::sort_and_limit(&mut findings);
    findings
}

/// The plan to take when none was named: the only one there is for the network.
fn only_plan<'m>(
    model: &'m Model,
    network: Option<&str>,
) -> Result<Option<&'m crate::model::Train>, Findings> {
    let fits = |plan: &&crate::model::Train| match (network, plan.network) {
        (None, _) => true,
        (Some(name), Some(index)) => model.networks[index].name.text == name,
        (Some(_), None) => false,
    };
    let plans: Vec<_> = model.trains.iter().filter(fits).collect();
    match plans.as_slice() {
        [] => Ok(None),
        [plan] => Ok(Some(plan)),
        [first, ..] => {
            let names: Vec<&str> = plans.iter().map(|p| p.name.text.as_str()).collect();
            let message = format!("there are several training plans: {}", names.join(", "));
            Err(vec![
                Diagnostic::new(Code::E0201, first.name.span, message).help("name the one to use"),
            ])
        }
    }
}

fn only_network(model: &Model) -> Result<usize, Findings> {
    let whole: Vec<usize> = (0..model.networks.len())
        .filter(|&i| !model.networks[i].is_group)
        .collect();
    if let [only] = whole.as_slice() {
        return Ok(*only);
    }
    match model.networks.as_slice() {
        [_] => Ok(0),
        [] => {
            let message = "the program has no network";
            Err(vec![Diagnostic::new(Code::E0201, Span::default(), message)])
        }
        [first, ..] => {
            let names: Vec<&str> = model
                .networks
                .iter()
                .map(|n| n.name.text.as_str())
                .collect();
            let message = format!("there are several networks: {}", names.join(", "));
            Err(vec![
                Diagnostic::new(Code::E0201, first.name.span, message).help("name the one to use"),
            ])
        }
    }
}

fn missing<'a>(kind: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let message = format!("there is no {kind} `{name}`");
    let finding = Diagnostic::new(Code::E0201, Span::default(), message);
    let all: Vec<&str> = names.clone().collect();
    match crate::diag::did_you_mean(name, names) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None if all.is_empty() => finding,
        None => finding.help(format!("there are: {}", all.join(", "))),
    }
}

/// The construct at this place cannot be run yet.
fn unsupported(span: Span, what: impl AsRef<str>) -> Diagnostic {
    let message = format!("{} cannot be run by this version", what.as_ref());
    Diagnostic::new(Code::E0211, span, message).label("checked, but not supported yet")
}

/// A model with errors was given to a lowering.
fn unchecked(span: Span) -> Diagnostic {
    let message = "this part has errors and cannot be run";
    Diagnostic::new(Code::E0211, span, message)
}
