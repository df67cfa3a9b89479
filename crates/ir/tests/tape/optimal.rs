//! Plans against all that are possible: no choice of saved values is cheaper.

use rheobase_ir::autodiff::differentiate;
use rheobase_ir::generate::{Shape, kernel};
use rheobase_ir::kernel::{Def, Kernel, Role, Slot, Value};
use rheobase_ir::passes::optimise;
use rheobase_ir::tape::{Numbers, cost, plan_tape};
use rheobase_ir::text::print;

/// Kernels with more values than this that could be saved are left out.
const MOST: usize = 14;

/// For each value whether some input that it depends on is of a kind.
fn depends(joint: &Kernel, on: impl Fn(&Slot) -> bool) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::new();
    for node in &joint.nodes {
        flags.push(match &node.def {
            Def::Input(input) => on(&input.slot),
            Def::Inst(_, args) => args.iter().any(|a| flags[a.index()]),
        });
    }
    flags
}

/// A joint kernel, and what its adjoints ask for.
struct Joint {
    kernel: Kernel,
    adjoint: Vec<bool>,
    /// What is not constant in time.
    changes: Vec<bool>,
    /// What the forward computes for its outputs.
    primal: Vec<bool>,
}

impl Joint {
    fn new(kernel: Kernel) -> Joint {
        let mut primal = vec![false; kernel.nodes.len()];
        let outputs = kernel.outputs.iter().filter(|o| !o.slot.adjoint);
        let mut waiting: Vec<Value> = outputs.map(|o| o.value).collect();
        while let Some(value) = waiting.pop() {
            primal[value.index()] = true;
            if let Def::Inst(_, args) = &kernel.node(value).def {
                waiting.extend(args);
            }
        }
        Joint {
            adjoint: depends(&kernel, |slot| slot.adjoint),
            changes: depends(&kernel, |slot| !slot.role.constant_in_time()),
            primal,
            kernel,
        }
    }

    fn is_key(&self, value: Value) -> bool {
        matches!(&self.kernel.node(value).def, Def::Input(input) if input.slot.role == Role::Key)
    }

    /// The values that could be saved.
    fn candidates(&self) -> Vec<Value> {
        let values = self.kernel.values().map(|(v, _)| v);
        let could =
            |v: &Value| self.changes[v.index()] && !self.adjoint[v.index()] && !self.is_key(*v);
        values.filter(could).collect()
    }

    /// What adjoints read of the primal values.
    fn read(&self) -> Vec<Value> {
        let mut read = Vec::new();
        for (value, node) in self.kernel.values() {
            if let Def::Inst(_, args) = &node.def
                && self.adjoint[value.index()]
            {
                read.extend(args.iter().filter(|a| !self.adjoint[a.index()]));
            }
        }
        let outputs = self.kernel.outputs.iter().filter(|o| o.slot.adjoint);
        read.extend(
            outputs
                .map(|o| o.value)
                .filter(|v| !self.adjoint[v.index()]),
        );
        read
    }

    /// What a choice costs, if the adjoints can be computed with it.
    fn price(&self, saved: &[Value]) -> Option<usize> {
        let mut price: usize = saved.iter().map(|v| cost::saved(self.kernel.ty(*v))).sum();
        let mut computed = vec![false; self.kernel.nodes.len()];
        let mut waiting = self.read();
        while let Some(value) = waiting.pop() {
            let i = value.index();
            if saved.contains(&value) || !self.changes[i] || computed[i] || self.is_key(value) {
                continue;
            }
            let Def::Inst(op, args) = &self.kernel.node(value).def else {
                return None;
            };
            computed[i] = true;
            price += if self.primal[i] {
                cost::computed(*op)
            } else {
                0
            };
            waiting.extend(args);
        }
        Some(price)
    }
}

#[test]
fn no_choice_is_cheaper() {
    let (mut checked, mut more_than_needed) = (0, 0);
    let shape = Shape {
        instructions: 5,
        ..Shape::TAME
    };
    for seed in 0..2000 {
        let step = kernel(seed, &shape);
        let wrt = |slot: &Slot| !matches!(slot.role, Role::Spike | Role::Saved | Role::Key);
        let mut kernel = differentiate(&step, &wrt);
        optimise(&mut kernel);
        let plan = plan_tape(&kernel, "k", Numbers::Whole);
        let joint = Joint::new(kernel);
        let candidates = joint.candidates();
        if candidates.len() > MOST {
            continue;
        }
        let chosen: Vec<Value> = plan.saved.iter().map(|s| s.value).collect();
        let price = joint.price(&chosen).expect("a plan that can be run");
        let choices = (0..1_usize << candidates.len()).filter_map(|bits| {
            let some = candidates.iter().enumerate();
            let some = some.filter(|(i, _)| bits >> i & 1 == 1);
            let some: Vec<Value> = some.map(|(_, v)| *v).collect();
            let bytes: usize = some.iter().map(|v| cost::bytes(joint.kernel.ty(*v))).sum();
            Some((joint.price(&some)?, bytes))
        });
        let choices: Vec<(usize, usize)> = choices.collect();
        let least = choices.iter().map(|(price, _)| *price).min();
        assert_eq!(Some(price), least, "seed {seed}\n{}", print(&joint.kernel));
        checked += usize::from(!chosen.is_empty());
        let fewest = choices.iter().map(|(_, bytes)| *bytes).min();
        more_than_needed += usize::from(fewest < Some(plan.bytes()));
    }
    assert!(checked > 100, "{checked} plans save something");
    assert!(more_than_needed > 10, "{more_than_needed} plans save an op");
}
