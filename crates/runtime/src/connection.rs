//! What connects layers: the products with weights, forward and backward.
//!
//! Inputs are events, so the forward adds up the weight rows of the neurons that spiked and the weight
//! gradient adds to those rows only. Where so many neurons spike that a matrix product is cheaper, it is
//! taken instead; `choice.rs` decides by the measurements in `crossover.rs`. The gradient of the spikes themselves is dense (the
//! surrogate of a neuron that did not spike has a derivative, too) and is a matrix product, unless the
//! surrogate is exactly 0 so often that it is cheaper to compute what is read alone.
//!
//! The loops are plain Rust that the compiler vectorises, but for inner products, which `registers.rs` spells out;
//! `pulp` picks AVX-512, AVX2 or NEON at run time.

pub(crate) mod by_source;
pub(crate) mod chain;
pub(crate) mod choice;
pub(crate) mod columns;
pub(crate) mod convolution;
mod crossover;
pub(crate) mod delayed;
pub(crate) mod dense;
pub(crate) mod dropout;
pub(crate) mod masked;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod pairs;
mod planes;
mod pool;
pub(crate) mod registers;
pub(crate) mod rows;
pub(crate) mod step_product;
pub(crate) mod transposed;
