//! Rebuilding a kernel node by node: what every pass does with a different rule.

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Node, Value};

/// Rebuilds `kernel`. For every node in order, `rule` gets the builder, the old value and the node with
/// its operands already renamed, and returns the new value. Names and places are carried over to
/// nodes that `rule` appends for it. Returns for every old value its new one.
pub(crate) fn rebuild(
    kernel: &mut Kernel,
    mut rule: impl FnMut(&mut Builder, Value, &Node) -> Value,
) -> Vec<Value> {
    let mut builder = Builder::new(std::mem::take(&mut kernel.name));
    let mut renamed: Vec<Value> = Vec::with_capacity(kernel.nodes.len());
    for (value, node) in kernel.values() {
        let mut node = node.clone();
        if let Def::Inst(_, args) = &mut node.def {
            args.iter_mut().for_each(|a| *a = renamed[a.index()]);
        }
        builder.set_origin(node.origin);
        let new = rule(&mut builder, value, &node);
        if let Some(note) = &node.note {
            builder.note(new, note);
        }
        renamed.push(new);
    }
    let outputs = std::mem::take(&mut kernel.outputs);
    *kernel = builder.finish();
    for mut output in outputs {
        output.value = renamed[output.value.index()];
        kernel.outputs.push(output);
    }
    renamed
}

/// Appends the node unchanged; constants are shared with those already there.
pub(crate) fn keep(builder: &mut Builder, node: &Node) -> Value {
    match &node.def {
        Def::Inst(op, args) => builder.inst(*op, args),
        Def::Input(_) => builder.push(node.clone()),
    }
}

/// Appends copies of the nodes of `kernel` that `root` depends on, with some values replaced, and returns
/// the copy of `root`. Nodes that depend on no replaced value are not copied but used as they are, so
/// `kernel` must be a prefix of what is being built. `map` holds the replacements and grows by the copies.
pub(crate) fn instantiate(
    builder: &mut Builder,
    root: Value,
    map: &mut Vec<(Value, Value)>,
) -> Value {
    if let Some((_, copy)) = map.iter().find(|(from, _)| *from == root) {
        return *copy;
    }
    let node = builder.kernel().node(root).clone();
    let copy = match &node.def {
        Def::Input(_) => root,
        Def::Inst(op, args) => {
            let copies: Vec<Value> = args.iter().map(|&a| instantiate(builder, a, map)).collect();
            if copies == *args {
                root
            } else {
                builder.inst(*op, &copies)
            }
        }
    };
    map.push((root, copy));
    copy
}
