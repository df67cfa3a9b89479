//! Networks through time: the forward and the backward of a batch of samples.
//!
//! A [`Simulator`] is made from an [`ir::program::Network`](rheobase_ir::program::Network): the kernels of
//! every layer are built and compiled (or handed to the interpreter), and memory is laid out. A batch is
//! cut into groups of samples that are small enough for their tape to stay in cache. A group runs
//! forward over all steps and then backward, in blocks of steps; the gradients of the groups are added in
//! an order that does not depend on the number of threads, so results are the same bits for any number.
//!
//! What is observed and where gradients start is the caller's: a [`Probe`] sees every step, and seeds
//! adjoints in the backward. Losses live in the train crate, recordings in [`record`].
//!
//! | file | what it holds |
//! |---|---|
//! | `parameters.rs` | names, shapes and values of everything that can be trained |
//! | `mapped.rs` | weights that are a function of what is trained |
//! | `aligned.rs` | rows that start at a cache line |
//! | `backend.rs` | interpreter or machine code |
//! | `layer.rs` | the kernels of a layer and the rows they work on |
//! | `events.rs` | spikes as lists of indices |
//! | `sent_state.rs` | states that connections start from |
//! | `connection/` | what connects layers, driven by events: dense and sparse weights, convolutions, pooling, and chains of them |
//! | `kernels.rs` | the ways to compute a connection one by one, for `benches/` |
//! | `parts.rs` | which layers run through all steps before others start |
//! | `blocks.rs` | time in blocks, and which of them keep a tape |
//! | `memory.rs` | how much memory that takes, and how to make do with less |
//! | `simulator.rs`, `group.rs` | a network; one group of samples |
//! | `forward.rs`, `backward.rs` | the two directions of time |
//! | `phases.rs` | training steps in which samples wait for each other, because a mean over all of them is read |
//! | `parallel.rs` | the only file that knows threads |
//! | `diagnose.rs`, `diagnose/` | where the first number that is not finite appears |

mod aligned;
mod backend;
mod backward;
mod blocks;
mod connection;
mod diagnose;
mod error;
mod events;
mod forward;
mod group;
#[doc(hidden)]
pub mod kernels;
mod layer;
mod mapped;
mod memory;
pub mod parallel;
mod parameters;
mod parts;
mod phases;
mod probe;
pub mod record;
mod sent_state;
mod simulator;

pub use backend::{Backend, Float};
pub use blocks::{Footprint, TimePlan};
pub use connection::pairs::Pairs;
pub use diagnose::{Kind as NonFiniteKind, NonFinite};
pub use error::RuntimeError;
pub use events::Events;
pub use group::{Batch, InitialState, Injection};
pub use layer::SlotId;
pub use memory::{Load, MemoryPlan};
pub use parameters::{Layout, Moment, Owner, ParameterSpec, Parameters, is_pattern, specs};
pub use probe::{Adjoints, Probe, Silent, StepView};
pub use simulator::{GROUP, Gradients, Outcome, Simulator};
