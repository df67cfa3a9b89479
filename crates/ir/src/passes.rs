//! Optimisation: passes over a kernel, each a function of the name of its file.
//!
//! Every pass keeps what the kernel computes, to the last bit unless its page says otherwise, and returns
//! whether it changed anything. [`optimise`] is the order in which they run; the verifier stands
//! between them in debug builds.

mod cse;
mod dce;
mod distribute;
mod fma;
mod fold;
mod harden;
mod hoist;
mod reciprocal;
mod simplify;

pub use cse::cse;
pub use dce::dce;
pub use distribute::distribute;
pub use fma::fma;
pub use fold::fold;
pub use harden::harden;
pub use hoist::hoist;
pub use reciprocal::reciprocal;
pub use simplify::simplify;

use crate::kernel::Kernel;
use crate::verify::verify;

/// A pass.
pub type Pass = fn(&mut Kernel) -> bool;

/// The passes by name, in the order of [`optimise`]; `fold`, `simplify` and `cse` repeat until nothing changes.
pub const PASSES: &[(&str, Pass)] = &[
    ("harden", harden),
    ("fold", fold),
    ("simplify", simplify),
    ("cse", cse),
    ("fma", fma),
    ("dce", dce),
];

/// How often `fold`, `simplify` and `cse` are repeated at most; each round shrinks the kernel.
const ROUNDS: usize = 8;

/// Runs every pass but hoisting.
pub fn optimise(kernel: &mut Kernel) {
    run("harden", harden, kernel);
    clean(kernel);
    run("fma", fma, kernel);
    // Differences that became `fma` have negated a factor, several of them the same one.
    run("cse", cse, kernel);
    run("dce", dce, kernel);
}

/// Folding, simplification, common subexpressions and dead code only: keeps spikes and `detach` as they
/// are, for kernels that are still to be differentiated.
pub fn clean(kernel: &mut Kernel) {
    for _ in 0..ROUNDS {
        let folded = run("fold", fold, kernel);
        let simplified = run("simplify", simplify, kernel);
        let shared = run("cse", cse, kernel);
        if !(folded || simplified || shared) {
            break;
        }
    }
    run("dce", dce, kernel);
}

fn run(name: &str, pass: Pass, kernel: &mut Kernel) -> bool {
    let changed = pass(kernel);
    if cfg!(debug_assertions)
        && let Err(error) = verify(kernel)
    {
        unreachable!(
            "internal compiler error after pass `{name}`: {error}\n{}",
            crate::text::print(kernel)
        );
    }
    changed
}
