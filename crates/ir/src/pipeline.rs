//! From a neuron to the kernels that run it, as one function to read.
//!
//! ```text
//! step ─integrate─▶ ─clean─▶ ─reciprocal─▶ ─distribute─▶ ─hoist─▶ step + prologue
//!                              step ─differentiate─▶ joint ─tell_support─▶ ─optimise─▶ ─hoist─▶ ─plan_tape─▶ forward + backward
//!                          prologue ─differentiate─▶ its gradient
//! ```
//!
//! Initial values that are drawn at random have a kernel of their own, `start`, which is hoisted and differentiated in the
//! same way.

use crate::autodiff::{active, differentiate};
use crate::integrate::{Chosen, integrate};
use crate::kernel::{Def, Kernel, Role, Slot};
use crate::passes::{clean, dce, distribute, hoist, optimise, reciprocal};
use crate::program::Neuron;
use crate::support::tell_support;
use crate::tape::{Numbers, Saved, plan_tape, primal};
use crate::verify::{VerifyError, verify};

/// Everything that is made of a neuron, one field per stage.
#[derive(Clone, Debug)]
pub struct Stages {
    /// The step after integration, before hoisting: what gradient checks run.
    pub step: Kernel,
    /// Parameters → derived values and initial states, in double precision.
    pub prologue: Kernel,
    /// Keys → the initial states that are drawn for every sample and neuron; without outputs if there are none.
    pub start: Kernel,
    /// Adjoints of drawn initial states → adjoints of parameters and derived values.
    pub start_gradient: Kernel,
    /// The step that reads derived values, still with its spikes.
    pub hoisted: Kernel,
    /// The hoisted step and its adjoints in one kernel, as derived.
    pub gradient: Kernel,
    /// The step without saving anything.
    pub infer: Kernel,
    /// The step that saves the tape.
    pub forward: Kernel,
    /// The backward of a step.
    pub backward: Kernel,
    /// What is saved.
    pub saved: Vec<Saved>,
    /// The output of the forward that tells where the gradient of the first spike output goes on, if its
    /// surrogate is zero somewhere.
    pub support: Option<Slot>,
    /// Adjoints of derived values and initial states → adjoints of parameters. Without outputs if no
    /// parameter is asked for.
    pub prologue_gradient: Kernel,
    /// The integrator of each state.
    pub integrators: Vec<Chosen>,
}

/// What gradients are for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Which parameters, by name.
    pub params: &'a dyn Fn(&str) -> bool,
    /// How reals are kept for them.
    pub tape: Numbers,
}

impl Wanted<'_> {
    /// Gradients of every parameter.
    pub const ALL: Wanted<'static> = Wanted {
        params: &|_| true,
        tape: Numbers::Whole,
    };
    /// Gradients of inputs and states only: enough to train weights.
    pub const NONE: Wanted<'static> = Wanted {
        params: &|_| false,
        tape: Numbers::Whole,
    };
}

/// Runs the pipeline.
///
/// # Errors
///
/// A stage made a kernel that breaks a rule of the verifier: a mistake of the compiler.
pub fn build(neuron: &Neuron, wanted: Wanted<'_>) -> Result<Stages, VerifyError> {
    verify(&neuron.step)?;
    verify(&neuron.init)?;
    let mut step = neuron.step.clone();
    let integrators = integrate(&mut step);
    clean(&mut step);
    verify(&step)?;

    let (fixed, mut start) = split_init(&neuron.init, &neuron.name);
    let mut hoisted = step.clone();
    reciprocal(&mut hoisted);
    distribute(&mut hoisted);
    clean(&mut hoisted);
    let mut prologue = hoist(&mut hoisted, &fixed);
    if !start.outputs.is_empty() {
        prologue = hoist(&mut start, &prologue);
    }
    clean(&mut prologue);
    clean(&mut hoisted);
    clean(&mut start);

    let wanted_param = |slot: &Slot| slot.role == Role::Param && (wanted.params)(&slot.name);
    let derived = wanted_derived(&prologue, &wanted_param);
    let wrt = |slot: &Slot| match slot.role {
        // Counters and other internal states carry no gradient.
        Role::State => !slot.name.starts_with('_'),
        Role::Port => true,
        Role::Param => wanted_param(slot),
        Role::Derived => derived.contains(slot),
        Role::Init | Role::Spike | Role::Saved | Role::Key => false,
    };
    let gradient = differentiate(&hoisted, &wrt);
    verify(&gradient)?;
    let mut joint = gradient.clone();
    // Optimising forgets the surrogates.
    let first = neuron.spikes.first();
    let support = first.and_then(|spike| tell_support(&mut joint, spike, &active(&hoisted, &wrt)));
    optimise(&mut joint);
    let mut prologue_gradient = differentiate(&prologue, &wanted_param);
    prologue_gradient.outputs.retain(|o| o.slot.adjoint);
    clean(&mut prologue_gradient);
    // What the rules made of constants.
    let mut prologue = hoist(&mut joint, &prologue);
    clean(&mut prologue);
    let plan = plan_tape(&joint, &neuron.name, wanted.tape);
    let infer = primal(&joint, &format!("{}.infer", neuron.name));

    let mut start_gradient = differentiate(&start, &wrt);
    start_gradient.outputs.retain(|o| o.slot.adjoint);
    optimise(&mut start_gradient);

    let made = [&plan.forward, &plan.backward, &infer];
    let around = [&prologue, &start, &start_gradient, &prologue_gradient];
    for kernel in made.into_iter().chain(around) {
        verify(kernel)?;
    }
    Ok(Stages {
        step,
        prologue,
        start,
        start_gradient,
        hoisted,
        gradient,
        infer,
        forward: plan.forward,
        backward: plan.backward,
        saved: plan.saved,
        support,
        prologue_gradient,
        integrators,
    })
}

/// The initial values that are the same for all samples, and those that are drawn.
fn split_init(init: &Kernel, neuron: &str) -> (Kernel, Kernel) {
    let mut drawn: Vec<bool> = Vec::with_capacity(init.nodes.len());
    for node in &init.nodes {
        drawn.push(match &node.def {
            Def::Input(input) => input.slot.role == Role::Key,
            Def::Inst(_, args) => args.iter().any(|a| drawn[a.index()]),
        });
    }
    let part = |which: bool, name: &str| {
        let mut kernel = init.clone();
        kernel.name = format!("{neuron}.{name}");
        kernel.outputs.retain(|o| drawn[o.value.index()] == which);
        dce(&mut kernel);
        kernel
    };
    (part(false, "init"), part(true, "start"))
}

/// The derived values that depend on a wanted parameter.
fn wanted_derived(prologue: &Kernel, wanted: &dyn Fn(&Slot) -> bool) -> Vec<Slot> {
    let active = active(prologue, wanted);
    let of_interest = prologue
        .outputs
        .iter()
        .filter(|o| o.slot.role == Role::Derived && active[o.value.index()]);
    of_interest.map(|o| o.slot.clone()).collect()
}
