//! Text → kernel. Line by line; the result is not verified.

use std::fmt;

use crate::kernel::{Def, Input, Kernel, Node, Output, Role, Slot, Value};
use crate::ops::{Edge, Element, Method, Op, PLAIN};
use crate::types::{Rate, Type};

/// Text that is not a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected there.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads exactly one kernel.
///
/// # Errors
///
/// The first line that is not part of the text form.
pub fn parse(text: &str) -> Result<Kernel, ParseError> {
    let mut kernels = parse_all(text)?;
    match (kernels.pop(), kernels.is_empty()) {
        (Some(kernel), true) => Ok(kernel),
        (Some(_), false) => Err(ParseError {
            line: 1,
            message: "expected one kernel, found several".into(),
        }),
        (None, _) => Err(ParseError {
            line: 1,
            message: "expected `kernel NAME {`".into(),
        }),
    }
}

/// Reads all kernels of a text. Blank lines and lines that start with `;` are passed over between lines.
///
/// # Errors
///
/// The first line that is not part of the text form.
pub fn parse_all(text: &str) -> Result<Vec<Kernel>, ParseError> {
    let mut kernels = Vec::new();
    let mut open: Option<Kernel> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let result = match &mut open {
            None => header(line).map(|kernel| open = Some(kernel)),
            Some(_) if line == "}" => {
                kernels.extend(open.take());
                Ok(())
            }
            Some(kernel) => statement(kernel, line),
        };
        result.map_err(|message| ParseError {
            line: index + 1,
            message,
        })?;
    }
    if open.is_some() {
        return Err(ParseError {
            line: text.lines().count(),
            message: "expected `}`".into(),
        });
    }
    Ok(kernels)
}

fn header(line: &str) -> Result<Kernel, String> {
    let name = line
        .strip_prefix("kernel ")
        .and_then(|rest| rest.strip_suffix('{'));
    let name = name.ok_or("expected `kernel NAME {`")?.trim();
    Ok(Kernel {
        name: name.to_string(),
        nodes: Vec::new(),
        outputs: Vec::new(),
    })
}

fn statement(kernel: &mut Kernel, line: &str) -> Result<(), String> {
    let (code, note) = match line.split_once(';') {
        Some((code, note)) => (code.trim(), Some(note.trim().into())),
        None => (line, None),
    };
    let (left, right) = code.split_once('=').ok_or("expected `=`")?;
    let (left, right) = (left.trim(), right.trim());
    if let Some(target) = left.strip_prefix("out ") {
        let (rate, target) = rate(target);
        let output = Output {
            slot: slot(target)?,
            value: value(right)?,
            rate,
        };
        kernel.outputs.push(output);
        return Ok(());
    }
    let expected = Value(kernel.nodes.len() as u32);
    if value(left)? != expected {
        return Err(format!(
            "expected `{expected}`: values are numbered in order"
        ));
    }
    let (def, ty) = match right.strip_prefix("in ") {
        Some(input) => parse_input(input)?,
        None => instruction(kernel, right)?,
    };
    kernel.nodes.push(Node {
        def,
        ty,
        note,
        origin: None,
    });
    Ok(())
}

fn rate(text: &str) -> (Rate, &str) {
    match text.strip_prefix("uniform ") {
        Some(rest) => (Rate::Uniform, rest),
        None => (Rate::Lane, text),
    }
}

fn slot(text: &str) -> Result<Slot, String> {
    let (adjoint, text) = match text.strip_prefix("adjoint ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (word, name) = text.split_once(' ').ok_or("expected a role and a name")?;
    let role = Role::ALL
        .into_iter()
        .find(|r| r.word() == word)
        .ok_or_else(|| format!("`{word}` is not a role"))?;
    Ok(Slot {
        role,
        name: name.trim().to_string(),
        adjoint,
    })
}

fn value(text: &str) -> Result<Value, String> {
    let digits = text.strip_prefix('v').and_then(|d| d.parse().ok());
    digits
        .map(Value)
        .ok_or_else(|| format!("expected a value such as `v3`, found `{text}`"))
}

fn parse_input(text: &str) -> Result<(Def, Type), String> {
    let (ty, rest) = text.split_once(' ').ok_or("expected a type")?;
    let ty = match ty {
        "real" => Type::Real,
        "bool" => Type::Bool,
        "bf16" => Type::Bf16,
        other => return Err(format!("`{other}` is not a type")),
    };
    let (rate, rest) = rate(rest.trim());
    Ok((
        Def::Input(Input {
            slot: slot(rest)?,
            ty,
            rate,
        }),
        ty,
    ))
}

fn instruction(kernel: &Kernel, text: &str) -> Result<(Def, Type), String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let (op, args) = match word {
        "const" => {
            let number: f64 = rest
                .parse()
                .map_err(|_| format!("`{rest}` is not a number"))?;
            (Op::Const(number.into()), Vec::new())
        }
        "truth" => {
            let truth: bool = rest
                .parse()
                .map_err(|_| format!("`{rest}` is not true or false"))?;
            (Op::Truth(truth), Vec::new())
        }
        _ => {
            let names = rest.split(',').map(str::trim).filter(|a| !a.is_empty());
            (op(word)?, names.map(value).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let of_operand = || {
        args.first()
            .and_then(|a| kernel.nodes.get(a.index()))
            .map(|node| node.ty)
    };
    let ty = op.result().or_else(of_operand).unwrap_or(Type::Real);
    Ok((Def::Inst(op, args), ty))
}

fn op(word: &str) -> Result<Op, String> {
    if let Some(&op) = PLAIN.iter().find(|op| op.name() == word) {
        return Ok(op);
    }
    let unknown = || format!("`{word}` is not an op");
    match word {
        "spike.ge" => return Ok(Op::Spike(Edge::AtOrAbove)),
        "spike.gt" => return Ok(Op::Spike(Edge::Above)),
        "count" => return Ok(Op::Count),
        "detach" => return Ok(Op::Detach),
        "hold" => return Ok(Op::Hold),
        _ => {}
    }
    let (name, data) = word.split_once('.').ok_or_else(unknown)?;
    match name {
        "phi" => data.parse().map(Op::Phi).map_err(|_| unknown()),
        "uniform" => data.parse().map(Op::Uniform).map_err(|_| unknown()),
        "normal" => data.parse().map(Op::Normal).map_err(|_| unknown()),
        "white" => data.parse().map(Op::White).map_err(|_| unknown()),
        "expm" => {
            let numbers: Vec<u8> = data
                .split('.')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| unknown())?;
            let [n, row, col] = numbers[..] else {
                return Err(unknown());
            };
            Ok(Op::Expm(Element { n, row, col }))
        }
        "integrate" => method(data).map(Op::Integrate).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

fn method(text: &str) -> Option<Method> {
    let (name, count) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')?.parse().ok()?),
        None => (text, 1),
    };
    match name {
        "auto" => Some(Method::Auto),
        "exact" => Some(Method::Exact),
        "exp_euler" => Some(Method::ExpEuler),
        "euler" => Some(Method::Euler(count)),
        "heun" => Some(Method::Heun),
        "rk4" => Some(Method::Rk4(count)),
        _ => None,
    }
}
