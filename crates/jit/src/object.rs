//! A trained network as an object file and a C header: inference without Rust, without memory allocation
//! and without any other library.
//!
//! ```text
//! network + constants ─layout─▶ where everything lives ─routines, steps─▶ functions ─▶ object file
//!                                                      └──header──▶ text
//! ```
//!
//! All numbers that do not change are one block of bytes, the *weights*; all that changes is one block,
//! the *state*, that the caller owns. The functions of the object only read the one and write the
//! other, so that any number of states can run side by side. What the functions do in a step is the
//! runtime's own order: layers in the order of the network; for each port the biases and events of its
//! connections in the order of declaration; then the neurons' kernel, which is the one that `rheo run`
//! compiles; then what later steps read of the states.
//!
//! | file | what it holds |
//! |---|---|
//! | `layout.rs` | the place of every row in the two blocks |
//! | `writer.rs` | loops and calls in Cranelift IR |
//! | `routines.rs` | the loops over numbers and events that all steps share |
//! | `windows.rs` | convolutions and pools |
//! | `chains.rs` | connections of several operations |
//! | `steps.rs` | the functions that C calls |
//! | `draws.rs` | the keys of random numbers |
//! | `header.rs` | the text of the header, names in C |
//! | `archive.rs` | a static library of the object file |

mod archive;
mod chains;
mod draws;
mod header;
mod layout;
mod routines;
mod steps;
mod windows;
mod writer;

use std::collections::BTreeSet;

use cranelift_codegen::Context;
use cranelift_codegen::ir;
use cranelift_module::{DataDescription, FuncId, Linkage, Module, ModuleError};
use cranelift_object::{ObjectBuilder, ObjectModule};
use rheobase_ir::kernel::{Kernel, Slot};
use rheobase_ir::program::Network;

use crate::abi::Precision;
use crate::functions::{Wide, lower_function};
use crate::target::Machine;
use crate::{JitError, Target, libcalls, lower, refusal};

pub use header::c_name;
use layout::Layout;
use steps::{LayerFunctions, Program};

/// The numbers of a trained network and its kernels.
#[derive(Clone, Debug)]
pub struct Inference {
    /// For each connection its numbers.
    pub connections: Vec<ConnectionNumbers>,
    /// For each layer its kernel and its numbers.
    pub layers: Vec<LayerNumbers>,
}

/// The numbers of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionNumbers {
    /// For each of its operations.
    pub operations: Vec<OperationNumbers>,
}

/// The numbers of an operation of a connection.
#[derive(Clone, Debug)]
pub struct OperationNumbers {
    /// Dense: `[n_pre, n_post]`; sparse: the pairs source by source, targets ascending; a convolution: `[in / groups,
    /// height, width backwards, out]`; others: as they are.
    pub weight: Option<Vec<f32>>,
    /// One number for each output or for each channel, if there is a bias.
    pub bias: Option<Vec<f32>>,
    /// For each weight its delay in steps, if synapses have their own.
    pub delay: Option<Vec<f32>>,
    /// Of a normalisation the running mean of each channel and the number that it multiplies the rest by.
    pub centre: Option<[Vec<f32>; 2]>,
}

/// The kernel and the numbers of a layer.
#[derive(Clone, Debug)]
pub struct LayerNumbers {
    /// One step, without saving anything.
    pub kernel: Kernel,
    /// From keys to the initial states that are drawn; without outputs if none are.
    pub start: Kernel,
    /// What is constant in time: one number, or one for each neuron.
    pub constants: Vec<(Slot, Vec<f32>)>,
    /// The initial value of each state that is not drawn: one number, or one for each neuron.
    pub initial: Vec<(String, Vec<f32>)>,
}

/// What [`build`] makes.
#[derive(Clone, Debug)]
pub struct Built {
    /// The object file.
    pub object: Vec<u8>,
    /// A static library of it.
    pub library: Vec<u8>,
    /// The text of the header.
    pub header: String,
    /// The weights, as `rheo_<net>_init` takes them.
    pub weights: Vec<u8>,
}

/// Makes the object file and the header of a network for a target. With `embed` the weights are in the
/// object file too.
///
/// The same network, numbers and target give the same bytes.
///
/// # Errors
///
/// The machine is unknown, or (mistakes of ours) a kernel holds an op whose pass has not run or Cranelift refuses the code.
pub fn build(
    network: &Network,
    inference: &Inference,
    target: &Target,
    embed: bool,
) -> Result<Built, JitError> {
    let layout = Layout::new(network, inference);
    let isa = target.isa()?;
    let names = Box::new(libcalls::cranelift_name);
    let builder = ObjectBuilder::new(isa, network.name.as_str(), names);
    let builder = builder.map_err(|error| refusal(&network.name, &error))?;
    let mut object = Object {
        module: ObjectModule::new(builder),
        machine: target.machine(),
        name: c_name(&network.name),
        functions: BTreeSet::new(),
        exports: Vec::new(),
    };
    let mut kernels = Vec::new();
    for (layer, numbers) in network.layers.iter().zip(&inference.layers) {
        let symbol = |what: &str| format!("rheo_{}_{}_{what}", object.name, c_name(&layer.name));
        let [kernel, start] = ["kernel", "start"].map(symbol);
        kernels.push(LayerFunctions {
            step: object.kernel(&kernel, &numbers.kernel)?,
            start: match numbers.start.outputs.is_empty() {
                true => None,
                false => Some(object.kernel(&start, &numbers.start)?),
            },
        });
    }
    let routines = routines::define(&mut object)?;
    let chains = chains::define(&mut object, network, &routines)?;
    let program = Program {
        network,
        layout: &layout,
        kernels: &kernels,
        routines: &routines,
        chains: &chains,
    };
    steps::define(&mut object, &program)?;
    if embed {
        object.embed(&layout.weights)?;
    }
    let header = header::text(network, &layout, embed);
    let Object {
        module,
        name,
        exports,
        ..
    } = object;
    let product = module.finish();
    let bytes = product.emit().map_err(|error| JitError::Code {
        kernel: network.name.clone(),
        message: error.to_string(),
    })?;
    Ok(Built {
        library: archive::archive(&name, &bytes, &exports),
        object: bytes,
        header,
        weights: layout.weights,
    })
}

/// An object file that is being written.
pub(crate) struct Object {
    pub(crate) module: ObjectModule,
    machine: Machine,
    /// The vector functions that are defined.
    functions: BTreeSet<Wide>,
    /// The network's name in C.
    pub(crate) name: String,
    /// The symbols that other files can use.
    exports: Vec<String>,
}

impl Object {
    /// Defines the vector functions that a kernel will call and that are not defined yet.
    fn provide(&mut self, functions: &[Wide]) -> Result<(), JitError> {
        for &function in functions {
            if self.functions.insert(function) {
                let symbol = function.symbol(Precision::F32);
                let lowered = lower_function(function, Precision::F32, self.machine);
                self.define(&symbol, Linkage::Local, lowered)?;
            }
        }
        Ok(())
    }

    /// Defines the function of a kernel.
    fn kernel(&mut self, symbol: &str, kernel: &Kernel) -> Result<FuncId, JitError> {
        self.provide(&lower::functions(kernel, Precision::F32, self.machine))?;
        let lowered = lower::lower(kernel, &mut self.module, self.machine, Precision::F32)?;
        if lowered.matrices {
            // Hoisting leaves none: their matrices are constant in time.
            return Err(JitError::Op {
                kernel: kernel.name.clone(),
                value: "a matrix".to_owned(),
                name: "expm",
            });
        }
        self.define(symbol, Linkage::Local, lowered.function)
    }

    /// Defines a function.
    pub(crate) fn define(
        &mut self,
        symbol: &str,
        linkage: Linkage,
        function: ir::Function,
    ) -> Result<FuncId, JitError> {
        let declared = self
            .module
            .declare_function(symbol, linkage, &function.signature);
        let id = declared.map_err(|error| refusal(symbol, &error))?;
        if linkage == Linkage::Export {
            self.exports.push(symbol.to_owned());
        }
        let mut context = Context::for_function(function);
        let defined = self.module.define_function(id, &mut context);
        defined.map_err(|error| refusal(symbol, &error))?;
        Ok(id)
    }

    /// Puts the weights into the file, as `rheo_<net>_weights`.
    fn embed(&mut self, weights: &[u8]) -> Result<(), JitError> {
        let symbol = format!("rheo_{}_weights", self.name);
        let refused = |error: ModuleError| refusal(&symbol, &error);
        let id = self
            .module
            .declare_data(&symbol, Linkage::Export, false, false)
            .map_err(refused)?;
        let mut data = DataDescription::new();
        data.define(weights.to_vec().into_boxed_slice());
        data.set_align(layout::ALIGN as u64);
        self.exports.push(symbol.clone());
        self.module.define_data(id, &data).map_err(refused)
    }
}
