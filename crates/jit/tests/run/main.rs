//! Compiled code against the interpreter: op by op, on whole kernels, on random kernels, and the
//! vector functions against double precision.

mod accuracy;
mod draws;
mod neurons;
mod ops;
mod random;
mod rows;
mod ulps;
