//! Kernel → text.

use std::fmt::Write as _;

use crate::kernel::{Def, Kernel, Node, Value};
use crate::ops::Op;
use crate::types::Rate;

/// The text of a kernel, ending with a line break.
pub fn print(kernel: &Kernel) -> String {
    let mut text = format!("kernel {} {{\n", kernel.name);
    for (value, node) in kernel.values() {
        let mut line = format!("  {value} = {}", definition(node));
        if let Some(note) = &node.note {
            let _ = write!(
                line,
                "{}; {note}",
                " ".repeat(36usize.saturating_sub(line.chars().count()).max(1))
            );
        }
        text.push_str(&line);
        text.push('\n');
    }
    for output in &kernel.outputs {
        let _ = writeln!(
            text,
            "  out {}{} = {}",
            rate(output.rate),
            output.slot,
            output.value
        );
    }
    text.push_str("}\n");
    text
}

fn rate(rate: Rate) -> &'static str {
    match rate {
        Rate::Uniform => "uniform ",
        Rate::Lane => "",
    }
}

fn definition(node: &Node) -> String {
    match &node.def {
        Def::Input(input) => format!("in {} {}{}", input.ty, rate(input.rate), input.slot),
        Def::Inst(op, args) => {
            let operands = args
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let space = if operands.is_empty() { "" } else { " " };
            format!("{}{space}{operands}", word(*op))
        }
    }
}

/// The op's word with its data.
fn word(op: Op) -> String {
    match op.data() {
        Some(data) => format!("{}{data}", op.name()),
        None => op.name().to_string(),
    }
}
