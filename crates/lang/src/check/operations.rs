//! The shapes between the operations of a connection.
//!
//! Convolution and pooling decide the shape of what they give; `dense`, `sparse` and the number of channels
//! of a convolution take it from what comes behind them, in the end from the target layer. So it goes
//! backwards once, for what is wanted, and then forwards. Shapes have the channel first, as in PyTorch:
//! `[channels, length]` for one axis, `[channels, height, width]` for two.

use crate::diag::{Code, Diagnostic};
use crate::model::builtin::Operation as Kind;
use crate::model::{Argument, Operation, eval};
use crate::span::Span;
use rheobase_ir::program::{Density, Window};

use super::shapes::MAX_SIZE;

/// What one operation takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    /// The shape that goes in.
    pub input: Vec<usize>,
    /// The shape that comes out.
    pub output: Vec<usize>,
    /// The windows of a convolution or pooling.
    pub window: Option<Window>,
    /// How many pairs of a sparse one are connected.
    pub density: Option<Density>,
}

/// What is known of a shape from what comes behind.
#[derive(Clone, Debug)]
enum Wanted {
    Shape(Vec<usize>),
    Size(usize),
    Channels(usize),
    Nothing,
}

/// The shapes along the operations of a connection from a source to a target of these shapes. `layer` is the
/// target's name.
///
/// # Errors
///
/// The shapes do not fit, or a number is impossible.
pub(super) fn shapes(
    env: &eval::Env<'_>,
    ops: &[Operation],
    source: &[usize],
    (layer, target): (&str, &[usize]),
) -> Result<Vec<Shaped>, Box<Diagnostic>> {
    let mut wanted = vec![Wanted::Shape(target.to_vec())];
    for op in ops.iter().rev() {
        let behind = wanted.last().expect("starts with one");
        wanted.push(before(op.kind, behind));
    }
    wanted.reverse();
    let mut shaped: Vec<Shaped> = Vec::new();
    for (op, wanted) in ops.iter().zip(&wanted[1..]) {
        let input = shaped.last().map_or(source, |s| &s.output).to_vec();
        let next = step(env, op, input, wanted)?;
        let size = next.output.iter().map(|&n| n as f64).product::<f64>();
        if size > MAX_SIZE {
            let name = &op.callee.text;
            let message = format!("`{name}` makes {size:e} numbers; {MAX_SIZE:e} is the limit");
            return Err(wrong(op.span, message));
        }
        shaped.push(next);
    }
    let (Some(op), Some(last)) = (ops.last(), shaped.last()) else {
        return Ok(shaped);
    };
    if last.output != target {
        return Err(misfit(op, last, layer, target));
    }
    Ok(shaped)
}

fn wrong(span: Span, message: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::E0602, span, message))
}

/// What comes out is not what the layer is.
fn misfit(op: &Operation, last: &Shaped, layer: &str, target: &[usize]) -> Box<Diagnostic> {
    let (name, gives) = (&op.callee.text, &last.output);
    let (from, to): (usize, usize) = (last.input.iter().product(), target.iter().product());
    let Some(window) = last.window else {
        let message = format!("`{name}` needs equal sizes: {from} -> {to}");
        return wrong(op.span, message);
    };
    let message = format!("`{name}` gives {gives:?}, `{layer}` is {target:?}");
    let finding = Diagnostic::new(Code::E0602, op.span, message);
    // The first padding that would do.
    let fits = |pad: &usize| {
        let axes = 2 - window.axes..2;
        let wanted = target.iter().rev().take(window.axes).rev();
        axes.zip(wanted).all(|(axis, &wanted)| {
            let (input, kernel) = (window.input[axis], window.kernel[axis]);
            let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
            Window::count(input, kernel, stride, *pad, dilation) == Some(wanted)
        })
    };
    let same_axes = target.len() == gives.len() && target.first() == gives.first();
    let most = match op.kind {
        Kind::SumPool | Kind::AvgPool | Kind::MaxPool => window.kernel[1] / 2,
        Kind::Dense
        | Kind::Sparse
        | Kind::Conv1d
        | Kind::Conv2d
        | Kind::OneToOne
        | Kind::Scale
        | Kind::Flatten
        | Kind::Dropout
        | Kind::BatchNorm
        | Kind::TdBatchNorm => window.kernel[1].saturating_mul(window.dilation[1]),
    };
    Box::new(match (0..=most).find(fits).filter(|_| same_axes) {
        Some(pad) => finding.help(format!("`pad = {pad}` gives {target:?}")),
        None => finding.help(format!("make the layer {gives:?}")),
    })
}

/// What is wanted before an operation.
fn before(kind: Kind, behind: &Wanted) -> Wanted {
    match kind {
        Kind::OneToOne | Kind::Scale | Kind::Dropout | Kind::BatchNorm | Kind::TdBatchNorm => {
            behind.clone()
        }
        Kind::Flatten => match behind {
            Wanted::Shape(shape) => Wanted::Size(shape.iter().product()),
            Wanted::Size(size) => Wanted::Size(*size),
            Wanted::Channels(_) | Wanted::Nothing => Wanted::Nothing,
        },
        Kind::SumPool | Kind::AvgPool | Kind::MaxPool => match behind {
            Wanted::Shape(shape) => shape
                .first()
                .map_or(Wanted::Nothing, |&c| Wanted::Channels(c)),
            Wanted::Channels(channels) => Wanted::Channels(*channels),
            Wanted::Size(_) | Wanted::Nothing => Wanted::Nothing,
        },
        Kind::Dense | Kind::Sparse | Kind::Conv1d | Kind::Conv2d => Wanted::Nothing,
    }
}

/// One operation.
fn step(
    env: &eval::Env<'_>,
    op: &Operation,
    input: Vec<usize>,
    wanted: &Wanted,
) -> Result<Shaped, Box<Diagnostic>> {
    let name = &op.callee.text;
    let plain = |input: Vec<usize>, output: Vec<usize>| Shaped {
        input,
        output,
        window: None,
        density: None,
    };
    let unknown = || {
        let message = format!("the shape that this `{name}` gives is not known");
        let finding = Diagnostic::new(Code::E0602, op.span, message);
        let help = "only the layer at the end can tell it: put a layer of neurons in between";
        Box::new(finding.help(help))
    };
    match op.kind {
        Kind::Dense | Kind::Sparse => {
            let output = match wanted {
                Wanted::Shape(shape) => shape.clone(),
                Wanted::Size(size) => vec![*size],
                Wanted::Channels(_) | Wanted::Nothing => return Err(unknown()),
            };
            let density = if op.kind == Kind::Sparse {
                Some(density(env, op, &input)?)
            } else {
                None
            };
            Ok(Shaped {
                density,
                ..plain(input, output)
            })
        }
        Kind::OneToOne
        | Kind::Scale
        | Kind::Dropout
        | Kind::BatchNorm
        | Kind::TdBatchNorm
        | Kind::Flatten => {
            let size: usize = input.iter().product();
            let output = match wanted {
                Wanted::Shape(shape) if shape.iter().product::<usize>() == size => shape.clone(),
                Wanted::Shape(_) | Wanted::Size(_) | Wanted::Channels(_) | Wanted::Nothing => {
                    if op.kind == Kind::Flatten {
                        vec![size]
                    } else {
                        input.clone()
                    }
                }
            };
            Ok(plain(input, output))
        }
        Kind::Conv1d | Kind::Conv2d => {
            let axes = if op.kind == Kind::Conv1d { 1 } else { 2 };
            let mut window = window(env, op, &input, axes, 1)?;
            let places = window.output[0] * window.output[1];
            window.channels[1] = match wanted {
                Wanted::Shape(shape) => shape[0],
                Wanted::Channels(channels) => *channels,
                Wanted::Size(size) if size % places == 0 => size / places,
                Wanted::Size(_) | Wanted::Nothing => return Err(unknown()),
            };
            window.groups = whole(env, op, "groups", 1, 1)?;
            let groups = window.groups;
            if let Some(channels) = window.channels.iter().find(|c| *c % groups != 0) {
                let message = format!("{groups} groups do not divide {channels} channels");
                return Err(wrong(op.span, message));
            }
            Ok(windowed(input, window))
        }
        Kind::SumPool | Kind::AvgPool | Kind::MaxPool => {
            let axes = input.len().saturating_sub(1).clamp(1, 2);
            let kernel = whole(env, op, "kernel", 1, 1)?;
            let mut window = window(env, op, &input, axes, kernel)?;
            window.groups = window.channels[0];
            if window.pad[1] > kernel / 2 {
                let message = "a pool is padded by half of its window at most";
                return Err(wrong(op.span, message));
            }
            Ok(windowed(input, window))
        }
    }
}

fn windowed(input: Vec<usize>, window: Window) -> Shaped {
    let mut output = vec![window.channels[1]];
    output.extend(&window.output[2 - window.axes..]);
    Shaped {
        input,
        output,
        window: Some(window),
        density: None,
    }
}

/// The windows of an operation that keeps the channels.
fn window(
    env: &eval::Env<'_>,
    op: &Operation,
    input: &[usize],
    axes: usize,
    stride: usize,
) -> Result<Window, Box<Diagnostic>> {
    let name = &op.callee.text;
    let (channels, lengths) = match *input {
        [channels, width] if axes == 1 => (channels, [1, width]),
        [channels, height, width] if axes == 2 => (channels, [height, width]),
        _ => {
            let needs = match axes {
                1 => "[channels, length]",
                _ => "[channels, height, width]",
            };
            let message = format!("`{name}` needs {needs}, what arrives is {input:?}");
            return Err(wrong(op.span, message));
        }
    };
    let kernel = whole(env, op, "kernel", 1, 1)?;
    let stride = whole(env, op, "stride", stride, 1)?;
    let pad = whole(env, op, "pad", 0, 0)?;
    let dilation = whole(env, op, "dilation", 1, 1)?;
    // With one axis the other is of length 1, and windows do not move on it.
    let both = |value: usize, none: usize| [if axes == 1 { none } else { value }, value];
    let mut window = Window {
        axes,
        channels: [channels, channels],
        input: lengths,
        output: [1, 1],
        kernel: both(kernel, 1),
        stride: both(stride, 1),
        pad: both(pad, 0),
        dilation: both(dilation, 1),
        groups: 1,
    };
    for (axis, length) in lengths.into_iter().enumerate().skip(2 - axes) {
        let count = Window::count(length, kernel, stride, pad, dilation);
        let Some(count) = count.filter(|n| (*n as f64) <= MAX_SIZE) else {
            let message = format!(
                "no window of `{name}` fits: it is {} wide, what arrives is {input:?}",
                dilation.saturating_mul(kernel - 1).saturating_add(1)
            );
            return Err(wrong(op.span, message));
        };
        window.output[axis] = count;
    }
    Ok(window)
}

fn argument<'o>(op: &'o Operation, name: &str) -> Option<&'o Argument> {
    let index = op.kind.slots().iter().position(|s| s.name == name)?;
    op.args.get(index)?.as_ref()
}

/// A whole number of an operation, not less than `least`.
fn whole(
    env: &eval::Env<'_>,
    op: &Operation,
    name: &str,
    default: usize,
    least: usize,
) -> Result<usize, Box<Diagnostic>> {
    let Some(Argument::Number(expr)) = argument(op, name) else {
        return Ok(default);
    };
    match env.number(expr) {
        Ok(value) if value.fract() == 0.0 && (least as f64..=MAX_SIZE).contains(&value) => {
            Ok(value as usize)
        }
        Ok(value) => {
            let message = format!("`{name}` is a whole number from {least} on, not {value}");
            Err(wrong(expr.span, message))
        }
        Err(_) => Err(wrong(expr.span, format!("`{name}` must be a constant"))),
    }
}

/// `p` or `fan_in` of a sparse operation.
fn density(
    env: &eval::Env<'_>,
    op: &Operation,
    input: &[usize],
) -> Result<Density, Box<Diagnostic>> {
    let sources: usize = input.iter().product();
    match (argument(op, "p"), argument(op, "fan_in")) {
        (Some(Argument::Number(expr)), None) => match env.number(expr) {
            // Whether it is a probability has been looked at.
            Ok(p) => Ok(Density::Probability(p.clamp(0.0, 1.0))),
            Err(_) => Err(wrong(expr.span, "`p` must be a constant")),
        },
        (None, Some(Argument::Number(expr))) => {
            let count = whole(env, op, "fan_in", 0, 0)?;
            if count > sources {
                let message = format!("`fan_in` is {count}, but there are {sources} sources");
                return Err(wrong(expr.span, message));
            }
            Ok(Density::FanIn(count))
        }
        _ => {
            let message = "`sparse` takes either `p`, the chance of a pair, or `fan_in`";
            Err(Box::new(Diagnostic::new(Code::E0210, op.span, message)))
        }
    }
}
