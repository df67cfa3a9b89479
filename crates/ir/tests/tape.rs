//! Tape plans: what is saved and why, and the two kernels.

use std::fs;

use rheobase_ir::autodiff::differentiate;
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::passes::optimise;
use rheobase_ir::tape::plan_tape;
use rheobase_ir::text::{parse, print};
use rheobase_ir::verify::verify;

/// A line `; params` in the file asks for gradients of parameters and derived values, too.
#[test]
fn plans() {
    insta::glob!("tape/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let step = parse(&text).expect("kernel text");
        verify(&step).expect("a valid kernel");
        let params = text.lines().any(|line| line == "; params");
        let wrt = |slot: &Slot| match slot.role {
            Role::State | Role::Port => true,
            Role::Param | Role::Derived => params,
            Role::Init | Role::Spike | Role::Saved => false,
        };
        let mut joint = differentiate(&step, &wrt);
        optimise(&mut joint);
        let plan = plan_tape(&joint, &step.name);
        verify(&plan.forward).expect("a valid forward");
        verify(&plan.backward).expect("a valid backward");
        let saved: String = plan
            .saved
            .iter()
            .map(|s| {
                let readers: Vec<String> = s.readers.iter().map(Slot::to_string).collect();
                format!("; {} {} for {}\n", s.ty, s.slot, readers.join(", "))
            })
            .collect();
        insta::assert_snapshot!(format!(
            "{text}\n; ----------\n\n; {} bytes\n{saved}{}\n{}",
            plan.bytes(),
            print(&plan.forward),
            print(&plan.backward)
        ));
    });
}
