//! What code is made for: the instruction set of this machine, and the switches of a compilation.
//!
//! Features are tested when the program runs, never when it is built. [`Target::baseline`] leaves
//! out everything beyond the architecture's minimum (on x86-64: SSE2), so that tests on a modern
//! machine show that the code is correct on an old one.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa, lookup_by_name};
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

/// The other machines that object files can be made for.
pub const OBJECT_TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

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

    /// This machine with all its features, for an object file.
    pub fn host_object() -> Target {
        Target::of(isa(builder(true), cfg!(debug_assertions), true), true)
    }

    /// Another machine, for an object file: one of [`OBJECT_TARGETS`], with the features that all machines of
    /// its architecture have.
    ///
    /// # Errors
    ///
    /// Cranelift was built without its instruction set.
    pub fn object(triple: &str) -> Result<Target, JitError> {
        let known = OBJECT_TARGETS.contains(&triple);
        let refused = |message: String| JitError::Host { message };
        if !known {
            return Err(refused(format!("unknown target `{triple}`")));
        }
        let builder = lookup_by_name(triple).map_err(|_| {
            format!("there is no code generator for `{triple}`; build rheo with `--features arm64`")
        });
        let isa = isa(builder, cfg!(debug_assertions), true).map_err(refused)?;
        Ok(Target::of(Ok(isa), false))
    }

    fn new(native: bool, verifier: bool) -> Target {
        Target::of(isa(builder(native), verifier, false), native)
    }

    fn of(isa: Result<Arc<dyn TargetIsa>, String>, native: bool) -> Target {
        Target {
            native,
            isa,
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

fn builder(native: bool) -> Result<isa::Builder, String> {
    Ok(cranelift_native::builder_with_options(native)?)
}

/// `relocatable` code works at any address.
fn isa(
    builder: Result<isa::Builder, String>,
    verifier: bool,
    relocatable: bool,
) -> Result<Arc<dyn TargetIsa>, String> {
    let mut flags = settings::builder();
    let word = |on: bool| if on { "true" } else { "false" };
    let switches = [
        ("opt_level", OPT_LEVEL),
        ("enable_verifier", word(verifier)),
        ("is_pic", word(relocatable)),
        ("use_colocated_libcalls", "false"),
        // Frames are a few hundred bytes; they never skip a guard page.
        ("enable_probestack", "false"),
        ("unwind_info", "false"),
    ];
    for (name, value) in switches {
        flags.set(name, value).map_err(|error| error.to_string())?;
    }
    builder?
        .finish(settings::Flags::new(flags))
        .map_err(|error| error.to_string())
}

/// Constants and uniform values are hoisted and dead nodes dropped before Cranelift sees the kernel,
/// and its e-graph would reorder what is left, so its optimiser stays off.
const OPT_LEVEL: &str = "none";
