//! The embedded `std/` files: every neuron checks, lowers and passes the gradient check; neurons of other
//! libraries equal their step equations, written again here by hand with derivatives; and known behaviour.

#[path = "std/behaviour.rs"]
mod behaviour;
#[path = "std/dual.rs"]
mod dual;
#[path = "std/every.rs"]
mod every;
#[path = "std/library_numbers.rs"]
mod library_numbers;
#[path = "std/norse.rs"]
mod norse;
#[path = "std/reference.rs"]
mod reference;
#[path = "std/simulate.rs"]
mod simulate;
#[path = "std/small_libraries.rs"]
mod small_libraries;
#[path = "std/snntorch.rs"]
mod snntorch;
#[path = "std/spikingjelly.rs"]
mod spikingjelly;
#[path = "std/surrogates.rs"]
mod surrogates;
