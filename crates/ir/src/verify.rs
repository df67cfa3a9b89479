//! What every stage may rely on. After [`verify`] says yes, interpreter and machine code do not fail.
//!
//! - Operands are defined before they are used.
//! - Every instruction has the operands that the op table asks for, and its type is that of the table.
//! - `expm` has n² operands and an element inside the matrix; `spike` two or three. `expm` and `phi` are small
//!   enough to be differentiated.
//! - No two inputs and no two outputs share a slot; an output in place of an input has its type and rate.
//! - The value of a uniform output depends on uniform inputs only.
//! - Saved values have any type, spikes are booleans or reals; all other slots are reals. Adjoints are reals.

use std::fmt;

use crate::kernel::{Def, Input, Kernel, Output, Role, Slot, Value};
use crate::ops::{Element, Op, Operands};
use crate::types::{Rate, Type};

/// The largest order of `phi` and the largest matrix of `expm`: the derivative of one has the next order, that
/// of the other a matrix twice as large.
const LARGEST: u8 = 127;

/// A broken rule. It is a mistake of ours, never of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyError {
    /// The kernel.
    pub kernel: String,
    /// The guilty node or output.
    pub place: Place,
    /// What is wrong with it.
    pub message: String,
}

/// Where a rule is broken.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A node.
    Node(Value),
    /// An output, by index.
    Output(usize),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Node(value) => write!(f, "kernel {}: {value}: {}", self.kernel, self.message),
            Place::Output(i) => write!(f, "kernel {}: output {i}: {}", self.kernel, self.message),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks all rules of the module page and reports the first broken one in text order.
///
/// # Errors
///
/// The first broken rule.
pub fn verify(kernel: &Kernel) -> Result<(), VerifyError> {
    let mut slots: Vec<&Slot> = Vec::new();
    for (value, node) in kernel.values() {
        let checked = match &node.def {
            Def::Input(input) => input_rule(input, node.ty, &slots),
            Def::Inst(op, args) => inst_rule(kernel, value, *op, args),
        };
        if let Err(message) = checked {
            return Err(VerifyError {
                kernel: kernel.name.clone(),
                place: Place::Node(value),
                message,
            });
        }
        if let Def::Input(input) = &node.def {
            slots.push(&input.slot);
        }
    }
    let rates = kernel.rates();
    for (i, output) in kernel.outputs.iter().enumerate() {
        if let Err(message) = output_rule(kernel, i, output, &rates) {
            return Err(VerifyError {
                kernel: kernel.name.clone(),
                place: Place::Output(i),
                message,
            });
        }
    }
    Ok(())
}

fn input_rule(input: &Input, ty: Type, earlier: &[&Slot]) -> Result<(), String> {
    if input.ty != ty {
        return Err(format!("declared {}, typed {ty}", input.ty));
    }
    if earlier.contains(&&input.slot) {
        return Err(format!("a second input `{}`", input.slot));
    }
    slot_type(&input.slot, ty)
}

fn slot_type(slot: &Slot, ty: Type) -> Result<(), String> {
    let expected = match (slot.adjoint, slot.role) {
        (false, Role::Saved) => return Ok(()),
        // A spike is a boolean, a number of spikes or a payload a real.
        (false, Role::Spike) if ty == Type::Bool => return Ok(()),
        (false, Role::Spike) => Type::Real,
        (true, _)
        | (
            false,
            Role::Param | Role::Derived | Role::Init | Role::Port | Role::State | Role::Key,
        ) => Type::Real,
    };
    if ty == expected {
        Ok(())
    } else {
        Err(format!("`{slot}` is {expected}, found {ty}"))
    }
}

fn inst_rule(kernel: &Kernel, value: Value, op: Op, args: &[Value]) -> Result<(), String> {
    if let Some(later) = args.iter().find(|a| **a >= value) {
        return Err(format!("uses {later} before its definition"));
    }
    let types: Vec<Type> = args.iter().map(|&a| kernel.ty(a)).collect();
    operand_rule(op, &types)?;
    let expected = op.result().unwrap_or_else(|| types[0]);
    let found = kernel.ty(value);
    if found != expected {
        return Err(format!("`{}` gives {expected}, typed {found}", op.name()));
    }
    Ok(())
}

fn operand_rule(op: Op, types: &[Type]) -> Result<(), String> {
    let count = |expected: String| {
        Err(format!(
            "`{}` takes {expected} operands, found {}",
            op.name(),
            types.len()
        ))
    };
    match op.operands() {
        Operands::Fixed(expected) => {
            if types.len() != expected.len() {
                return count(expected.len().to_string());
            }
            for (i, (found, expected)) in types.iter().zip(expected).enumerate() {
                if found != expected {
                    return Err(format!(
                        "operand {i} of `{}` is {expected}, found {found}",
                        op.name()
                    ));
                }
            }
        }
        Operands::Any => {
            if types.len() != 1 {
                return count("1".into());
            }
        }
        Operands::Reals(_) => {
            if let Some(i) = types.iter().position(|t| *t != Type::Real) {
                return Err(format!(
                    "operand {i} of `{}` is real, found {}",
                    op.name(),
                    types[i]
                ));
            }
        }
    }
    if let Op::Expm(Element { n, row, col }) = op {
        let size = usize::from(n) * usize::from(n);
        if types.len() != size {
            return count(size.to_string());
        }
        if row >= n || col >= n {
            return Err(format!(
                "element {row}, {col} is outside a matrix of {n} by {n}"
            ));
        }
    }
    if let Op::Phi(size) | Op::Expm(Element { n: size, .. }) = op
        && size > LARGEST
    {
        return Err(format!(
            "`{}` of {size} is larger than {LARGEST}",
            op.name()
        ));
    }
    if matches!(op, Op::Spike(_)) && types.len() != 2 && types.len() != 3 {
        return count("2 or 3".into());
    }
    Ok(())
}

fn output_rule(
    kernel: &Kernel,
    index: usize,
    output: &Output,
    rates: &[Rate],
) -> Result<(), String> {
    if output.value.index() >= kernel.nodes.len() {
        return Err(format!("{} is not defined", output.value));
    }
    if kernel.outputs[..index]
        .iter()
        .any(|o| o.slot == output.slot)
    {
        return Err(format!("a second output `{}`", output.slot));
    }
    let ty = kernel.ty(output.value);
    slot_type(&output.slot, ty)?;
    if output.rate == Rate::Uniform && rates[output.value.index()] == Rate::Lane {
        return Err(format!(
            "uniform output `{}` depends on a lane",
            output.slot
        ));
    }
    let replaced = kernel.inputs().find(|(_, input)| input.slot == output.slot);
    if let Some((_, input)) = replaced
        && (input.ty != ty || input.rate != output.rate)
    {
        return Err(format!(
            "output `{}` differs from the input it replaces in type or rate",
            output.slot
        ));
    }
    Ok(())
}
