//! Which way a connection is computed, from the number of events that it carries.
//!
//! The number is that of the same group of samples in the same run, and what it is compared with is in the tables of
//! `crossover.rs`, so the choice depends on nothing but the data, and is the same on any machine and for any number
//! of threads.

use rheobase_ir::program::Window;

use crate::connection::convolution;
use crate::connection::crossover::{
    self, CONVOLUTION, CONVOLUTION_WEIGHTS, FORWARD, MASKED, MASKED_STEP, WEIGHTS,
};
use crate::connection::planes::LANES;

/// Bytes of a table from which on what arrives is summed for all steps at once: a second-level cache.
const CACHED_BYTES: usize = 1 << 20;

/// Up to this size a gather takes a table as it is: a small second-level cache.
const WHOLE_BYTES: usize = 1 << 19;

/// Of a larger one it takes panels of columns that fill a quarter of that cache: by themselves, wider ones were up to a sixth slower.
const PANEL_BYTES: usize = 1 << 17;

/// The number of columns of a panel, if as many fit.
const PANEL: usize = 64;

/// The number of columns that a block of rows of a weight gradient is sized for.
const BLOCK_COLUMNS: usize = 128;

/// From this number of outputs on, weight gradients are gathered from sorted events.
const SORT_FROM: usize = 64;

/// Whether a table of this size stays in the cache.
pub(crate) fn cached(bytes: usize) -> bool {
    bytes <= CACHED_BYTES
}

/// The steps that the backward of a chain takes at once: as many as have their rows in the cache.
pub(crate) fn steps_at_once(samples: usize, widest: usize, element: usize) -> usize {
    // Rows between operations, and their adjoints.
    let step = 4 * samples * widest * element;
    (CACHED_BYTES / step.max(1)).max(1)
}

/// How what arrives is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Rows of weights, at each step.
    Gather,
    /// Rows of weights, for all steps at once, panel by panel.
    Panels,
    /// A matrix product over all steps.
    Product,
}

/// How the gradient of weights is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient {
    /// Event by event, adding to the rows of the gradient.
    Scatter,
    /// Neuron by neuron, over its events.
    Gather,
    /// A matrix product over all steps.
    Product,
}

/// The forward of a connection whose input is known for all steps, with `events` in `rows` rows.
pub(crate) fn forward(events: usize, rows: usize, weights: [usize; 2], element: usize) -> Forward {
    let [n_pre, n_post] = weights;
    if events > 0
        && events as f64 >= crossover::density(FORWARD, n_pre, n_post) * (rows * n_pre) as f64
    {
        Forward::Product
    } else if !cached(n_pre * n_post * element) {
        Forward::Panels
    } else {
        Forward::Gather
    }
}

/// The weight gradient of a connection with `events` in `rows` rows.
pub(crate) fn gradient(events: usize, rows: usize, weights: [usize; 2]) -> Gradient {
    let [n_pre, n_post] = weights;
    if events > 0
        && events as f64 >= crossover::density(WEIGHTS, n_pre, n_post) * (rows * n_pre) as f64
    {
        Gradient::Product
    } else if n_post >= SORT_FROM {
        Gradient::Gather
    } else {
        Gradient::Scatter
    }
}

/// What a convolution computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convolved {
    /// Its outputs.
    Outputs,
    /// The gradient of its weights.
    Weights,
}

/// Whether a convolution of a row with this many entries is a matrix product of its windows.
pub(crate) fn columns(window: &Window, what: Convolved, entries: usize, inputs: usize) -> bool {
    let table = match what {
        Convolved::Outputs => CONVOLUTION,
        Convolved::Weights => CONVOLUTION_WEIGHTS,
    };
    let [channels, out] = window.channels;
    let density = crossover::density(table, channels * window.area(), out);
    window.groups == 1 && entries as f64 >= density * inputs as f64
}

/// Whether the gradient of the weights of a convolution, with so many entries in a row, is taken output channel by output
/// channel (`planes.rs`) instead of from turned rows (`convolution.rs`).
///
/// Both are compared by what their loops were measured to take, in twentieths of a nanosecond: for an entry and a line of
/// the kernel, for a line of the kernel, and for an output. The first way moves a few neighbours at a time where the
/// other one has full registers, but has nothing to turn.
pub(crate) fn planes(window: &Window, entries: usize) -> bool {
    let ([channels, out], [height, width]) = (window.channels, window.kernel);
    let outputs = window.output[0] * window.output[1] * out;
    let planes = 8 * entries * out * height + 20 * channels * out * height + 5 * outputs;
    let turned = 4 * entries * height * (width * out).div_ceil(8) + 18 * outputs;
    convolution::steady(window) && width <= LANES && planes < turned
}

/// From this number of outputs on, masked products pay: the sums of shorter ones cost more than the products.
const MASK_FROM: usize = 64;

/// Whether a connection to this many outputs may compute the adjoints of spikes only where they are read.
pub(crate) fn can_mask(outputs: usize) -> bool {
    outputs >= MASK_FROM
}

/// Where the adjoints of spikes are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    /// Step by step, inside of a cycle.
    Step,
    /// For all steps of a block.
    Block,
}

/// Whether the adjoint of spikes is computed only where it is read, in `active` of `entries`.
pub(crate) fn masked(back: Back, active: usize, entries: usize, weights: [usize; 2]) -> bool {
    let [n_pre, n_post] = weights;
    let table = match back {
        Back::Step => MASKED_STEP,
        Back::Block => MASKED,
    };
    let density = crossover::density(table, n_pre, n_post);
    can_mask(n_post) && (active as f64) < density * entries as f64
}

/// Rows of `delta` of length `n` that a weight gradient takes at once, so that a panel of them stays in the
/// cache and time is linear in the number of steps.
pub(crate) fn block(n: usize, element: usize) -> usize {
    (WHOLE_BYTES / (BLOCK_COLUMNS.min(n) * element)).max(1)
}

/// The columns that a gather from a table of `rows` rows of `n` elements takes at once, see [`PANEL_BYTES`]. No bit
/// depends on them.
pub(crate) fn panel(rows: usize, n: usize, element: usize) -> usize {
    if rows * n * element <= WHOLE_BYTES {
        n
    } else if rows * PANEL * element <= PANEL_BYTES {
        PANEL.min(n)
    } else {
        (PANEL / 2).min(n)
    }
}
