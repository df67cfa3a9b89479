//! `--set name=value` for networks and training plans, written into the tree before it is checked.
//!
//! So a value from the command line is checked and converted exactly as if it stood in the file, and what is
//! computed from it follows. Names are
//!
//! - `epochs`, `batch`, `seed`, …: a setting of the plan;
//! - `optimizer.lr`, `data.density`, …: an argument of a setting;
//! - `n_hidden`: a parameter of the network;
//! - `hid.tau_mem`: a parameter of a layer's neuron;
//! - `tower.0.h.tau_mem`, `tower.h.tau_mem`: that of a layer in a group, of one copy or of all of them. These
//!   have no place in the text, so they are set in the checked model, before anything is computed from them.
//!
//! What is none of these may be the name of a weight; it is left to the caller, who knows the weights only
//! after lowering. Each value becomes a small file of its own, so that a message about it can point at it.

use rheobase_lang::ast::{self, Arg, Expr, ExprKind, Item, Name, NetworkStmt, Param, Value};
use rheobase_lang::diag::Diagnostic;
use rheobase_lang::model::builtin::{Choice, SETTINGS};
use rheobase_lang::model::{self, Model, Start};
use rheobase_lang::parse::parse_expr;
use rheobase_lang::span::SourceMap;

use crate::failure::Failure;
use crate::settings::Setting;

/// What is edited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The network.
    pub(crate) network: &'a str,
    /// The plan, if there is one.
    pub(crate) train: Option<&'a str>,
}

/// Edits the tree. Gives back the settings whose names mean nothing in it.
///
/// # Errors
///
/// Values that are no expressions.
pub(crate) fn edit<'s>(
    files: &mut [ast::File],
    sources: &mut SourceMap,
    target: Target<'_>,
    settings: &'s [Setting],
) -> Result<Vec<&'s Setting>, Vec<Diagnostic>> {
    let mut unknown = Vec::new();
    for setting in settings {
        let id = sources.add(format!("--set {}", setting.name), setting.value.as_str());
        let value = parse_expr(&setting.value, id)?;
        let span = value.span;
        let name = |text: &str| Name {
            text: text.to_string(),
            span,
        };
        let done = match setting.name.split('.').collect::<Vec<_>>()[..] {
            [one] => {
                plan(files, target).is_some_and(|train| set_plan(train, &name(one), &value))
                    || set_formal(files, target, &name(one), &value)
            }
            [first, second] => {
                let train = plan(files, target);
                train.is_some_and(|train| set_argument(train, first, &name(second), &value))
                    || set_override(files, target, first, &name(second), &value)
            }
            _ => false,
        };
        if !done {
            unknown.push(setting);
        }
    }
    Ok(unknown)
}

/// Sets parameters of layers inside groups. Gives back the settings that name none.
///
/// # Errors
///
/// A value is no number in the unit of the parameter.
pub(crate) fn edit_groups<'s>(
    model: &mut Model,
    target: Target<'_>,
    settings: Vec<&'s Setting>,
) -> Result<Vec<&'s Setting>, Failure> {
    let networks = &mut model.networks;
    let network = networks.iter_mut().find(|n| n.name.text == target.network);
    let Some(network) = network else {
        return Ok(settings);
    };
    let mut unknown = Vec::new();
    for setting in settings {
        let Some((layer, name)) = setting.name.rsplit_once('.') else {
            unknown.push(setting);
            continue;
        };
        let layers = network.layers.iter_mut();
        let layers =
            layers.filter(|l| l.name.text.contains('.') && names_parameter(layer, &l.name.text));
        let params = layers.flat_map(|l| l.params.iter_mut());
        let mut found = false;
        for param in params.filter(|p| p.name.text == name) {
            let (value, unit) = setting.of_dimension(param.dimension)?;
            param.start = Start::Value(model::Expr {
                kind: model::ExprKind::Number { value, unit },
                span: param.span,
            });
            found = true;
        }
        if !found {
            unknown.push(setting);
        }
    }
    Ok(unknown)
}

/// Whether the name of a setting is this parameter, or that of all copies of its layer.
pub(crate) fn names_parameter(setting: &str, parameter: &str) -> bool {
    setting == parameter || setting == without_copies(parameter)
}

/// `tower.h` of `tower.0.h`.
fn without_copies(layer: &str) -> String {
    let is_copy = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
    let parts: Vec<&str> = layer.split('.').filter(|part| !is_copy(part)).collect();
    parts.join(".")
}

fn plan<'f>(files: &'f mut [ast::File], target: Target<'_>) -> Option<&'f mut ast::Train> {
    let items = files.iter_mut().flat_map(|file| &mut file.items);
    let mut trains = items.filter_map(|item| match item {
        Item::Train(train) => Some(train),
        Item::Import(_)
        | Item::Const(_)
        | Item::Surrogate(_)
        | Item::Fn(_)
        | Item::Neuron(_)
        | Item::Network(_) => None,
    });
    trains.find(|train| Some(train.name.text.as_str()) == target.train)
}

fn network<'f>(files: &'f mut [ast::File], target: Target<'_>) -> Option<&'f mut ast::Network> {
    let items = files.iter_mut().flat_map(|file| &mut file.items);
    let mut networks = items.filter_map(|item| match item {
        Item::Network(network) => Some(network),
        Item::Import(_)
        | Item::Const(_)
        | Item::Surrogate(_)
        | Item::Fn(_)
        | Item::Neuron(_)
        | Item::Train(_) => None,
    });
    networks.find(|network| network.name.text == target.network)
}

/// A setting of the plan.
fn set_plan(train: &mut ast::Train, name: &Name, value: &Expr) -> bool {
    if !SETTINGS.contains(&name.text.as_str()) {
        return false;
    }
    match train.settings.iter_mut().find(|s| s.name.text == name.text) {
        Some(setting) => setting.value = value.clone(),
        None => train.settings.push(ast::Setting {
            name: name.clone(),
            value: value.clone(),
            span: value.span,
        }),
    }
    true
}

/// An argument of a setting of the plan: `optimizer.lr`.
fn set_argument(train: &mut ast::Train, setting: &str, name: &Name, value: &Expr) -> bool {
    let found = train.settings.iter_mut().find(|s| s.name.text == setting);
    let Some(ExprKind::Call { callee, args }) = found.map(|s| &mut s.value.kind) else {
        return false;
    };
    let slots = Choice::find(setting, &callee.text).map_or(&[][..], |choice| choice.slots);
    let position = slots.iter().position(|slot| slot.name == name.text);
    replace_argument(args, position, name, value);
    true
}

/// A parameter of the network: an argument of the plan, else the default.
fn set_formal(files: &mut [ast::File], target: Target<'_>, name: &Name, value: &Expr) -> bool {
    let Some(network) = network(files, target) else {
        return false;
    };
    let is_it = |formal: &ast::Formal| formal.name.text == name.text;
    let Some(position) = network.formals.iter().position(is_it) else {
        return false;
    };
    network.formals[position].default = Some(value.clone());
    if let Some(train) = plan(files, target) {
        replace_argument(&mut train.args, Some(position), name, value);
    }
    true
}

/// A parameter of a layer's neuron.
fn set_override(
    files: &mut [ast::File],
    target: Target<'_>,
    layer: &str,
    name: &Name,
    value: &Expr,
) -> bool {
    let Some(network) = network(files, target) else {
        return false;
    };
    let found = network
        .body
        .iter_mut()
        .find_map(|statement| match statement {
            NetworkStmt::Layer(found) if found.name.text == layer => Some(found),
            NetworkStmt::Layer(_)
            | NetworkStmt::Step { .. }
            | NetworkStmt::Input(_)
            | NetworkStmt::Connect(_)
            | NetworkStmt::Output { .. }
            | NetworkStmt::Let(_) => None,
        });
    let Some(layer) = found else {
        return false;
    };
    match layer
        .overrides
        .iter_mut()
        .find(|p| p.name.text == name.text)
    {
        Some(param) => param.value.init = value.clone(),
        None => layer.overrides.push(Param {
            name: name.clone(),
            unit: None,
            scope: None,
            value: Value {
                init: value.clone(),
                bounds: None,
                learn: None,
            },
            span: value.span,
        }),
    }
    true
}

/// Replaces the argument that has this name, or stands at this position without a name; else adds it.
fn replace_argument(args: &mut Vec<Arg>, position: Option<usize>, name: &Name, value: &Expr) {
    let named = args
        .iter()
        .position(|arg| arg.name.as_ref().is_some_and(|n| n.text == name.text));
    let unnamed = position.filter(|&i| args.get(i).is_some_and(|arg| arg.name.is_none()));
    match named.or(unnamed) {
        Some(i) => args[i].value = value.clone(),
        None => args.push(Arg {
            name: Some(name.clone()),
            value: value.clone(),
        }),
    }
}
