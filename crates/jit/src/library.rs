//! The vector functions of a target, compiled when a kernel first calls them and kept.
//!
//! Kernels share them: a function is compiled once for a target and all its clones. Its code is never
//! freed, so kernels may call it as long as they like; there are few functions and few targets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module};

use crate::abi::Precision;
use crate::functions::{Wide, lower_function};
use crate::target::Machine;
use crate::{JitError, libcalls, refusal};

/// Compiled functions.
pub(crate) struct Library {
    state: Mutex<State>,
}

struct State {
    module: Option<JITModule>,
    addresses: BTreeMap<String, usize>,
}

impl Library {
    /// A library without functions.
    pub(crate) fn new() -> Library {
        Library {
            state: Mutex::new(State {
                module: None,
                addresses: BTreeMap::new(),
            }),
        }
    }

    /// Compiles the functions that are not here yet.
    ///
    /// # Errors
    ///
    /// Cranelift refuses one.
    pub(crate) fn provide(
        &self,
        functions: &[Wide],
        precision: Precision,
        isa: &OwnedTargetIsa,
        machine: Machine,
    ) -> Result<(), JitError> {
        let mut state = self.lock();
        let State { module, addresses } = &mut *state;
        for &function in functions {
            let symbol = function.symbol(precision);
            if addresses.contains_key(&symbol) {
                continue;
            }
            let module = module.get_or_insert_with(|| open(isa.clone()));
            let refused = |error| refusal(&symbol, &error);
            let lowered = lower_function(function, precision, machine);
            let id = module
                .declare_function(&symbol, Linkage::Export, &lowered.signature)
                .map_err(refused)?;
            let mut context = module.make_context();
            context.func = lowered;
            module.define_function(id, &mut context).map_err(refused)?;
            module.finalize_definitions().map_err(refused)?;
            let address = module.get_finalized_function(id);
            addresses.insert(symbol, address as usize);
        }
        Ok(())
    }

    /// The address of a function by its symbol; `None` if it is not here.
    pub(crate) fn address(&self, symbol: &str) -> Option<*const u8> {
        let address = self.lock().addresses.get(symbol).copied()?;
        Some(address as *const u8)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<String> = self.lock().addresses.keys().cloned().collect();
        f.debug_tuple("Library").field(&functions).finish()
    }
}

fn open(isa: OwnedTargetIsa) -> JITModule {
    let mut builder = JITBuilder::with_isa(isa, Box::new(libcalls::cranelift_name));
    builder.symbol_lookup_fn(Box::new(libcalls::address));
    JITModule::new(builder)
}
