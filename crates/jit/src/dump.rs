//! Cranelift IR as text, with our own line above the instructions that a node became.
//!
//! The kernel's lines are those of its text form, as comments, so one look shows which op costs what.
//! An op of the loop appears once for each register of a group of lanes.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, Function, Inst, Value};
use cranelift_codegen::write::{FuncWriter, PlainWriter, decorate_function};
use rheobase_ir::kernel::Kernel;
use rheobase_ir::text;

use crate::lower::{Line, Lowered};

/// The text of a lowered kernel.
pub(crate) fn dump(kernel: &Kernel, lowered: &Lowered) -> String {
    let printed = text::print(kernel);
    // The first line is the kernel's name, then one line for each node, then one for each output.
    let lines: Vec<&str> = printed.lines().skip(1).map(str::trim).collect();
    let mut comments: BTreeMap<Inst, &str> = BTreeMap::new();
    for (inst, line) in &lowered.marks {
        let number = match line {
            Line::Node(value) => value.index(),
            Line::Output(i) => kernel.nodes.len() + i,
        };
        comments.entry(*inst).or_insert(lines[number]);
    }
    let mut text = format!("; kernel {}\n", kernel.name);
    let mut writer = Annotated { comments };
    decorate_function(&mut writer, &mut text, &lowered.function)
        .expect("writing to a string does not fail");
    // The C calling convention has another name on each system; the text should not differ by it.
    let convention = format!(" {} {{", lowered.function.signature.call_conv);
    text.replacen(&convention, " {", 1)
}

/// Prints as Cranelift does, with a comment above the instructions that have one.
struct Annotated<'a> {
    comments: BTreeMap<Inst, &'a str>,
}

impl FuncWriter for Annotated<'_> {
    fn write_block_header(
        &mut self,
        w: &mut dyn Write,
        func: &Function,
        block: Block,
        indent: usize,
    ) -> fmt::Result {
        PlainWriter.write_block_header(w, func, block, indent)
    }

    fn write_instruction(
        &mut self,
        w: &mut dyn Write,
        func: &Function,
        aliases: &SecondaryMap<Value, Vec<Value>>,
        inst: Inst,
        indent: usize,
    ) -> fmt::Result {
        if let Some(comment) = self.comments.get(&inst) {
            writeln!(w, "{:indent$}; {comment}", "")?;
        }
        PlainWriter.write_instruction(w, func, aliases, inst, indent)
    }
}
