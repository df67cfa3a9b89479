//! The rules of the verifier: every file of `verify/` is a rule, and each of its kernels breaks it on the line
//! that says `; error: …`, or nowhere.

use std::fs;

use rheobase_ir::kernel::{Def, Input, Kernel, Node, Role, Slot, Value};
use rheobase_ir::ops::Op;
use rheobase_ir::text::parse_all;
use rheobase_ir::types::{Rate, Type};
use rheobase_ir::verify::{Place, verify};

/// Outputs follow the nodes, one line each.
fn guilty_line(kernel: &Kernel, place: &Place) -> usize {
    match place {
        Place::Node(value) => value.index(),
        Place::Output(i) => kernel.nodes.len() + i,
    }
}

/// What the verifier says, by line of the kernel's body.
fn found(kernel: &Kernel) -> Option<(usize, String)> {
    let error = verify(kernel).err()?;
    assert!(error.to_string().contains(&kernel.name), "{error}");
    Some((guilty_line(kernel, &error.place), error.message))
}

/// What the file says for each kernel.
fn expected(text: &str) -> Vec<Option<(usize, String)>> {
    let mut expected = Vec::new();
    let mut line_in_body = 0;
    for line in text.lines().filter(|line| !line.starts_with(';')) {
        if line.starts_with("kernel") {
            expected.push(None);
            line_in_body = 0;
            continue;
        }
        if let (Some((_, message)), Some(last)) =
            (line.split_once("; error: "), expected.last_mut())
        {
            *last = Some((line_in_body, message.to_string()));
        }
        line_in_body += 1;
    }
    expected
}

#[test]
fn rules() {
    insta::glob!("verify/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let kernels = parse_all(&text).expect("kernel text");
        for (kernel, expected) in kernels.iter().zip(expected(&text)) {
            assert_eq!(
                found(kernel),
                expected,
                "{} in {}",
                kernel.name,
                path.display()
            );
        }
    });
}

/// Text cannot say these: the reader types instructions from the op table.
#[test]
fn types_that_are_not_those_of_the_table() {
    let input = |ty| Input {
        slot: Slot::new(Role::State, "v"),
        ty,
        rate: Rate::Lane,
    };
    let node = |def, ty| Node {
        def,
        ty,
        note: None,
        origin: None,
    };
    let kernel = |nodes| Kernel {
        name: "typed".into(),
        nodes,
        outputs: Vec::new(),
    };
    let declared = kernel(vec![node(Def::Input(input(Type::Real)), Type::Bool)]);
    assert_eq!(
        found(&declared),
        Some((0, "declared real, typed bool".into()))
    );
    let computed = kernel(vec![
        node(Def::Input(input(Type::Real)), Type::Real),
        node(Def::Inst(Op::Exp, vec![Value(0)]), Type::Bool),
    ]);
    assert_eq!(
        found(&computed),
        Some((1, "`exp` gives real, typed bool".into()))
    );
}
