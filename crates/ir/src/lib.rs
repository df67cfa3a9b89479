//! The kernel IR: what a neuron computes in one step, how its backward is derived from that, and how both are
//! made small before they become machine code. The crate knows no source text, no tensors and no processor.
//!
//! # What a kernel means
//!
//! A [`Kernel`](kernel::Kernel) is a list of nodes in the order of evaluation, followed by outputs. A node is an input
//! or an instruction; its value is named by its place in the list. There are no branches, no loops and no memory:
//! `select` chooses between two values that are both there, and time and neurons are loops of the caller.
//!
//! ```
//! let kernel = rheobase_ir::text::parse("
//! kernel LIF.step {
//!   v0 = in real uniform param decay  ; one value for all neurons
//!   v1 = in real state v              ; one value per neuron, carried from step to step
//!   v2 = in real port x               ; what arrives in this step
//!   v3 = fma v0, v1, v2               ; v⁻, before the reset
//!   v4 = const 1.0
//!   v5 = sub v3, v4                   ; u, the margin of the threshold
//!   v6 = spike.ge v5, v4              ; here the surrogate derivative is 1 everywhere
//!   v7 = detach v6                    ; the reset is not differentiated through
//!   v8 = const 0.0
//!   v9 = select v7, v8, v3
//!   out state v = v9
//!   out spike s = v6
//! }").expect("the text form of a kernel");
//! assert_eq!(rheobase_ir::verify::verify(&kernel), Ok(()));
//! ```
//!
//! **Calls.** One call runs the kernel once for each of n lanes, a lane being one neuron of one sample. Lanes do not see
//! each other, so the order in which they run has no meaning. Within a lane every input is read before any output is
//! written; the outputs are written together. Nothing is kept between calls: a state lives in a row of the caller.
//!
//! **Slots.** Arguments are found by name, not by position. A [`Slot`](kernel::Slot) is a role (parameter, derived value,
//! initial value, port, state, spike, saved value), a name in the model, and whether it is the quantity or its
//! adjoint, the derivative of the loss with respect to it. An output with the slot of an input *is* that input after the
//! call: states advance in place, adjoints of states go one step back in time in place, and gradients of parameters
//! are added up in place.
//!
//! **Rates.** A lane argument is a row, a uniform argument one number. Values have no rate of their own: what depends on
//! uniform arguments only is uniform, whoever runs the kernel may compute it once, and only such a value can be a
//! uniform output. Adjoints are lane rows throughout; the caller sums them for what is shared.
//!
//! **Types.** A value is `real` or `bool`; on a tape that is kept short it is `bf16`. A kernel does not say how precise a real is: the executor is made for `f32` or
//! `f64`, and one kernel serves both, which is what makes the `f64` interpreter an oracle for compiled `f32` code.
//!
//! # Differentiation
//!
//! Only ops have derivatives, one row each in [`autodiff`]. What a neuron, a surrogate, a reset or an integrator
//! contributes to a gradient follows from the ops that it is made of. Two ops are special. `spike u, d, p` is true where
//! the margin `u` reaches zero, and its derivative by `u` is `d`, whatever `d` is; `detach x` is `x`, and has no
//! derivative.
//!
//! A spike is a boolean and carries a gradient. So every op on booleans is the polynomial that agrees with it on 0 and 1:
//! `and` is `a·b`, `or` is `a + b − a·b`, `not` is `1 − a`, `select` is `b + c·(a − b)`. Their derivatives are the rules
//! of [`autodiff`], and evaluated between 0 and 1 they make the *smoothed program*: the same kernel with spikes that
//! move a little. The surrogate gradient is the ordinary gradient of that program, and [`gradcheck`] compares the two.
//! States whose names start with `_` belong to the compiler (refractory counters); no gradient passes through them.
//!
//! # Stages
//!
//! [`pipeline::build`] is one function that runs all of them, with the verifier between:
//!
//! 1. A front end makes two kernels per neuron, initial values and step. Equations are `integrate` ops, and all of a
//!    kernel's are one system that advances together from the values they read.
//! 2. [`integrate`] replaces them by propagators, exponential steps or Runge–Kutta stages. Now the step can run.
//! 3. [`passes::hoist`] splits off the prologue: what depends on parameters only, computed in `f64` once per
//!    parameter change. This is where matrix exponentials live.
//! 4. [`autodiff::differentiate`] appends the adjoints to the step, and to the prologue.
//! 5. [`passes::optimise`] removes what differentiation alone needed, folds, shares and fuses; what derivatives made of
//!    constants follows the rest into the prologue.
//! 6. [`tape`] cuts the joint kernel into forward and backward, saving what costs less to keep than to compute again. A
//!    backward reads its tape, what is constant in time and adjoints; never a state.
//!
//! # Promises
//!
//! - After [`verify`] says yes, nothing that is done with a kernel panics. A kernel that breaks a rule is a mistake of
//!   ours and is reported with its text.
//! - Printing and parsing are inverse to each other at every stage.
//! - An [`Executor`](executor::Executor) checks its arguments before it writes anything. The interpreter and compiled
//!   code in the same precision agree up to the stated accuracy of the special functions; what a pass may change in the
//!   last bit is on its page.
//! - Everything is deterministic: the same neuron gives the same kernels, and nothing depends on a hash order or a clock.
//!
//! # Modules, in reading order
//!
//! What a kernel is: [`types`], [`ops`] (the table), [`kernel`], [`builder`], [`text`], [`verify`]. What it does:
//! [`executor`], [`interp`], [`real`], [`expm`] and [`draws`] (the scalar functions). How it is made: [`program`] (what a front
//! end hands over), [`integrate`], [`autodiff`], [`passes`], [`tape`], [`pipeline`]. How it is checked: [`gradcheck`],
//! [`random`], and for tests `generate` and `cases`.

// What a kernel is.
pub mod builder;
pub mod kernel;
pub mod ops;
pub mod text;
pub mod types;
pub mod verify;

// What it does.
pub mod draws;
pub mod executor;
pub mod expm;
pub mod interp;
pub mod real;

// How it is made.
pub mod autodiff;
pub mod integrate;
pub mod passes;
pub mod pipeline;
pub mod program;
mod rewrite;
pub mod support;
pub mod tape;

// How it is checked.
#[doc(hidden)]
pub mod cases;
#[doc(hidden)]
pub mod generate;
pub mod gradcheck;
pub mod random;
pub mod response;
