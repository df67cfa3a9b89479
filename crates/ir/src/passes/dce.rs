//! `dce`: nodes that no output depends on are removed, unused inputs as well.
//!
//! ```text
//! v1 = exp v0
//! v2 = mul v0, v0
//! out state v = v2      →   v1 is gone
//! ```

use crate::builder::Builder;
use crate::kernel::{Def, Kernel, Value};

/// See the module page.
pub fn dce(kernel: &mut Kernel) -> bool {
    let mut used = vec![false; kernel.nodes.len()];
    for output in &kernel.outputs {
        used[output.value.index()] = true;
    }
    for (value, node) in kernel.values().rev() {
        if used[value.index()]
            && let Def::Inst(_, args) = &node.def
        {
            args.iter().for_each(|a| used[a.index()] = true);
        }
    }
    if used.iter().all(|u| *u) {
        return false;
    }
    let mut b = Builder::new(kernel.name.clone());
    let mut renamed = vec![Value(0); kernel.nodes.len()];
    for (value, node) in kernel.values().filter(|(v, _)| used[v.index()]) {
        let mut node = node.clone();
        if let Def::Inst(_, args) = &mut node.def {
            args.iter_mut().for_each(|a| *a = renamed[a.index()]);
        }
        renamed[value.index()] = b.push(node);
    }
    for output in &kernel.outputs {
        b.output(
            output.slot.clone(),
            renamed[output.value.index()],
            output.rate,
        );
    }
    *kernel = b.finish();
    true
}
