//! What code is made for: the instruction set of this machine, and the switches of a compilation.
//!
//! Features are tested when the program runs, never when it is built. [`Target::baseline`] leaves
//! out everything beyond the architecture's minimum (on x86-64: SSE2), so that tests on a modern
//! machine show that the code is correct on an old one.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};

use crate::JitError;
use crate::library::Library;

/// What an instruction set has single instructions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// `a·b + c`, rounded once.
    pub(crate) fused: bool,
    /// Rounding to an integer.
    pub(crate) rounds: bool,
}

/// An instruction set and the switches of a compilation.
#[derive(Clone)]
pub struct Target {
    /// All features of this machine, or none.
    native: bool,
    isa: Result<Arc<dyn TargetIsa>, String>,
    library: Arc<Library>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.isa {
            Ok(isa) => f.debug_tuple("Target").field(&isa.to_string()).finish(),
            Err(message) => f.debug_tuple("Target").field(message).finish(),
        }
    }
}

impl Target {
    /// This machine with all its features. Cranelift's verifier runs in debug builds.
    pub fn host() -> Target {
        static HOST: OnceLock<Target> = OnceLock::new();
        HOST.get_or_init(|| Target::new(true, cfg!(debug_assertions)))
            .clone()
    }

    /// This machine without any feature beyond the minimum of its architecture.
    pub fn baseline() -> Target {
        static BASELINE: OnceLock<Target> = OnceLock::new();
        BASELINE
            .get_or_init(|| Target::new(false, cfg!(debug_assertions)))
            .clone()
    }

    /// The same features, with Cranelift's own verifier on or off. It adds half to the compile time
    /// and finds mistakes of this crate only.
    #[must_use]
    pub fn with_verifier(&self, verifier: bool) -> Target {
        Target::new(self.native, verifier)
    }

    fn new(native: bool, verifier: bool) -> Target {
        Target {
            native,
            isa: isa(native, verifier),
            library: Arc::new(Library::new()),
        }
    }

    /// The instruction set.
    ///
    /// # Errors
    ///
    /// Cranelift does not know the machine.
    pub(crate) fn isa(&self) -> Result<OwnedTargetIsa, JitError> {
        self.isa
            .clone()
            .map_err(|message| JitError::Host { message })
    }

    /// The compiled vector functions.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// What the machine has instructions for. Every architecture but x86-64 that Cranelift knows has
    /// all of them.
    pub(crate) fn machine(&self) -> Machine {
        let has = |name: &str| {
            let Ok(isa) = &self.isa else { return false };
            let x86 = isa.triple().architecture.to_string() == "x86_64";
            let flag = |flag: &settings::Value| flag.name == name && flag.as_bool() == Some(true);
            !x86 || isa.isa_flags().iter().any(flag)
        };
        Machine {
            fused: has("has_fma"),
            rounds: has("has_sse41"),
        }
    }
}

fn isa(native: bool, verifier: bool) -> Result<Arc<dyn TargetIsa>, String> {
    let mut flags = settings::builder();
    let switches = [
        ("opt_level", OPT_LEVEL),
        ("enable_verifier", if verifier { "true" } else { "false" }),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        // Frames are a few hundred bytes; they never skip a guard page.
        ("enable_probestack", "false"),
        ("unwind_info", "false"),
    ];
    for (name, value) in switches {
        flags.set(name, value).map_err(|error| error.to_string())?;
    }
    cranelift_native::builder_with_options(native)?
        .finish(settings::Flags::new(flags))
        .map_err(|error| error.to_string())
}

/// Constants and uniform values are hoisted and dead nodes dropped before Cranelift sees the kernel,
/// and its e-graph would reorder what is left, so its optimiser stays off.
const OPT_LEVEL: &str = "none";
