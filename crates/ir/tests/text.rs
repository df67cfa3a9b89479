//! Printing and parsing are inverse to each other, on every `.kir` file and on random kernels; text that is not a
//! kernel is an error on its line and never a panic.

use std::fs;

use proptest::prelude::*;
use rheobase_ir::generate::{Shape, kernel};
use rheobase_ir::kernel::{Kernel, Node};
use rheobase_ir::text::{parse, parse_all, print};

/// Places in the source are not part of the text.
fn without_origins(kernel: &Kernel) -> Kernel {
    let node = |node: &Node| Node {
        origin: None,
        ..node.clone()
    };
    Kernel {
        nodes: kernel.nodes.iter().map(node).collect(),
        ..kernel.clone()
    }
}

fn assert_round_trip(kernel: &Kernel) {
    let text = print(kernel);
    let parsed = parse(&text).expect("printed text parses");
    assert_eq!(parsed, without_origins(kernel), "{text}");
    assert_eq!(print(&parsed), text);
}

#[test]
fn every_file() {
    let mut files = 0;
    insta::glob!("**/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        for kernel in parse_all(&text).expect("kernel text") {
            assert_round_trip(&kernel);
        }
        files += 1;
    });
    assert!(files > 80, "only {files} files");
}

#[test]
fn random_kernels() {
    for seed in 0..500 {
        assert_round_trip(&kernel(seed, &Shape::TAME));
        assert_round_trip(&kernel(seed, &Shape::WILD));
    }
}

#[test]
fn special_numbers() {
    let text = "kernel k {
  v0 = const inf
  v1 = const -inf
  v2 = const NaN
  v3 = const -0.0
  v4 = const 5e-324
  v5 = const 1.7976931348623157e308
}
";
    assert_eq!(print(&parse(text).expect("kernel text")), text);
}

#[test]
fn mistakes_have_a_line_and_a_sentence() {
    let body = |line: &str| format!("kernel k {{\n  v0 = in real state v\n{line}\n}}\n");
    let cases = [
        (String::new(), 1, "expected `kernel NAME {`"),
        ("kernel k".into(), 1, "expected `kernel NAME {`"),
        ("kernel k {\n".into(), 1, "expected `}`"),
        (
            format!("{}{}", body(""), body("")),
            1,
            "expected one kernel, found several",
        ),
        (body("v1 exp v0"), 3, "expected `=`"),
        (
            body("v2 = exp v0"),
            3,
            "expected `v1`: values are numbered in order",
        ),
        (
            body("x = exp v0"),
            3,
            "expected a value such as `v3`, found `x`",
        ),
        (body("v1 = sinh v0"), 3, "`sinh` is not an op"),
        (body("v1 = phi v0"), 3, "`phi` is not an op"),
        (body("v1 = phi.x v0"), 3, "`phi.x` is not an op"),
        (body("v1 = phi.256 v0"), 3, "`phi.256` is not an op"),
        (body("v1 = expm.2.0 v0"), 3, "`expm.2.0` is not an op"),
        (
            body("v1 = integrate.rk5 v0, v0, v0"),
            3,
            "`integrate.rk5` is not an op",
        ),
        (
            body("v1 = integrate.rk4(2 v0, v0, v0"),
            3,
            "`integrate.rk4(2` is not an op",
        ),
        (body("v1 = const one"), 3, "`one` is not a number"),
        (body("v1 = truth 1"), 3, "`1` is not true or false"),
        (body("v1 = in int state w"), 3, "`int` is not a type"),
        (body("v1 = in real"), 3, "expected a type"),
        (body("v1 = in real thing w"), 3, "`thing` is not a role"),
        (body("v1 = in real state"), 3, "expected a role and a name"),
        (
            body("out state v = w"),
            3,
            "expected a value such as `v3`, found `w`",
        ),
    ];
    for (text, line, message) in cases {
        let error = parse(&text).expect_err(&text);
        assert_eq!(
            (error.line, error.message.as_str()),
            (line, message),
            "{text}"
        );
    }
}

proptest! {
    /// Damaged text is read or refused, and what is read prints as something that can be read.
    #[test]
    fn damaged_text_does_not_panic(seed in 0u64..50, at in 0usize..4000, insert in "\\PC{0,3}", drop in 0usize..6) {
        let text = print(&kernel(seed, &Shape::WILD));
        let chars: Vec<char> = text.chars().collect();
        let at = at % chars.len();
        let end = (at + drop).min(chars.len());
        let mut damaged: String = chars[..at].iter().collect();
        damaged.push_str(&insert);
        damaged.extend(&chars[end..]);
        if let Ok(kernels) = parse_all(&damaged) {
            for kernel in kernels {
                // Whether it is valid or not, the verifier has an answer.
                let _ = rheobase_ir::verify::verify(&kernel);
                let printed = print(&kernel);
                prop_assert!(parse_all(&printed).is_ok(), "{}", printed);
            }
        }
    }
}
