//! The embedded `std/` files: every neuron checks, lowers and passes the gradient check; neurons of other
//! libraries equal their step equations, written again here by hand with derivatives; and known behaviour.

#[path = "std/behaviour.rs"]
mod behaviour;
#[path = "std/dual.rs"]
mod dual;
#[path = "std/every.rs"]
mod every;
#[path = "std/izhikevich.rs"]
mod izhikevich;
#[path = "std/library_numbers.rs"]
mod library_numbers;
#[path = "std/mlgenn.rs"]
mod mlgenn;
#[path = "std/norse.rs"]
mod norse;
#[path = "std/reference.rs"]
mod reference;
#[path = "std/rockpool.rs"]
mod rockpool;
#[path = "std/simulate.rs"]
mod simulate;
#[path = "std/small_libraries.rs"]
mod small_libraries;
#[path = "std/snntorch.rs"]
mod snntorch;
#[path = "std/spikingjelly.rs"]
mod spikingjelly;
#[path = "std/spikingjelly_variants.rs"]
mod spikingjelly_variants;
#[path = "std/stork.rs"]
mod stork;
#[path = "std/surrogates.rs"]
mod surrogates;
#[path = "std/tape.rs"]
mod tape;
