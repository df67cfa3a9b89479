//! Operations for the tests: sizes, without numbers.

use rheobase_ir::program::{Density, Initial, Operation, Pooling, Synapses, Window};

pub(crate) fn operation(
    synapses: Synapses,
    inputs: usize,
    outputs: usize,
    bias: bool,
) -> Operation {
    Operation {
        synapses,
        weight: Some(Initial::Constant(0.0)),
        bias: bias.then_some(Initial::Constant(0.0)),
        bounds: None,
        map: None,
        feedback: None,
        inputs,
        outputs,
    }
}

pub(crate) fn dense(inputs: usize, outputs: usize, bias: bool) -> Operation {
    let synapses = Synapses::Dense {
        self_connections: true,
    };
    operation(synapses, inputs, outputs, bias)
}

/// Windows that move over `input`; one axis if its height is 1.
pub(crate) fn window(
    channels: [usize; 2],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    pad: usize,
    dilation: usize,
    groups: usize,
) -> Window {
    let axes = if input[0] == 1 { 1 } else { 2 };
    let both = |value: usize, none: usize| [if axes == 1 { none } else { value }, value];
    let (stride, pad, dilation) = (both(stride, 1), both(pad, 0), both(dilation, 1));
    let count = |axis: usize| {
        Window::count(
            input[axis],
            kernel[axis],
            stride[axis],
            pad[axis],
            dilation[axis],
        )
        .expect("a window fits")
    };
    Window {
        axes,
        channels,
        input,
        output: [count(0), count(1)],
        kernel,
        stride,
        pad,
        dilation,
        groups,
    }
}

pub(crate) fn convolution(window: Window, bias: bool) -> Operation {
    let [inputs, outputs] = sizes(&window);
    operation(Synapses::Convolution(window), inputs, outputs, bias)
}

pub(crate) fn sizes(window: &Window) -> [usize; 2] {
    let area = |lengths: [usize; 2]| lengths[0] * lengths[1];
    [
        window.channels[0] * area(window.input),
        window.channels[1] * area(window.output),
    ]
}

pub(crate) fn pool(
    pooling: Pooling,
    channels: usize,
    input: [usize; 2],
    kernel: usize,
    stride: usize,
    pad: usize,
) -> Operation {
    let kernel = [if input[0] == 1 { 1 } else { kernel }, kernel];
    let window = window([channels; 2], input, kernel, stride, pad, 1, channels);
    let [inputs, outputs] = sizes(&window);
    Operation {
        weight: None,
        ..operation(Synapses::Pool { window, pooling }, inputs, outputs, false)
    }
}

pub(crate) fn sparse(density: Density, inputs: usize, outputs: usize, itself: bool) -> Operation {
    let synapses = Synapses::Sparse {
        density,
        self_connections: itself,
        seed: 3,
    };
    operation(synapses, inputs, outputs, true)
}

pub(crate) fn dropout(probability: f64, n: usize) -> Operation {
    Operation {
        weight: None,
        ..operation(Synapses::Dropout { probability }, n, n, false)
    }
}

/// Momentum 1, so that running averages are those of the batch.
pub(crate) fn norm(channels: usize, n: usize) -> Operation {
    let synapses = Synapses::Normalisation {
        channels,
        momentum: 1.0,
        eps: 1e-3,
    };
    operation(synapses, n, n, true)
}

pub(crate) fn scale_of(n: usize) -> Operation {
    operation(Synapses::Scale, n, n, true)
}
