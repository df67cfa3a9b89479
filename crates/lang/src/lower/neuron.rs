//! A neuron as two kernels: one that gives the initial states, and one that makes a step.
//!
//! A step runs the phases in the neuron's order, by default receive, integrate, spike, reset. In a
//! phase every right-hand side reads the values from before the phase; `let`s are evaluated with
//! these values. What a phase does:
//!
//! - **receive**: the `on receive` blocks, with the sum of the arrivals of this step as the port's
//!   value. Several assignments to one state compose in the order of the text.
//! - **integrate**: `v' = f` becomes `integrate v, f, h` with the step h in ms, `next v = e` becomes e.
//! - **spike**: the margin is `(above − below)/scale`; the spike is true where it reaches 0, and not
//!   while the neuron is refractory. `count` gives a number of spikes instead, and a payload is sent in place of 1.
//! - **reset**: `state := select(gate, assigned, state)`, the gate being the spike, detached in a
//!   `detached` block, and so is the spike wherever the block reads it. Blocks compose in the order of the text.
//!
//! A refractory period of n steps is a hidden state `_refractory`, the number of steps that are
//! left: a spike in step k sets it to n − 1 at the end of the step, every other step counts it down,
//! and the neuron is ready where it is 0; so the next spike is possible in step k + n. A held state
//! keeps its value in receive and integrate unless ready; a dropped port reads as 0. Neither is
//! differentiated through: when a neuron is ready is a constant for the backward.
//!
//! White noise is a `white` op, and what it becomes is up to the integrator. An initial state that is drawn reads the key
//! of a lane like noise does.
//!
//! Parameters are inputs, one value for all lanes if shared; their own formulas were evaluated
//! before, so a parameter that is computed from another does not follow it in training.

use std::collections::BTreeMap;

use super::expr::{Frame, Lowered, Writer};
use super::{Findings, start, unchecked, unsupported};
use crate::ast::{AssignOp, GateGradient, Phase, ScopeKind};
use crate::check::{Around, param_numbers};
use crate::diag::Diagnostic;
use crate::model::builtin::{Builtin, Law};
use crate::model::{
    Assign, Draw, DynamicsKind, Expr, ExprKind, Let, Method, Model, Neuron, Param, Ref, Spike,
    Start, Trigger, eval, walk,
};
use rheobase_ir::kernel::{Kernel, Role, Slot, Value};
use rheobase_ir::ops::{self, Edge, Op};
use rheobase_ir::program::{self, Variable};
use rheobase_ir::types::{Rate, Type};

/// The hidden state that counts refractory steps.
const COUNTER: &str = "_refractory";

/// Lowers a neuron with the given parameters: its own, or those of a layer, whose values may use the
/// names of the network `around` it.
pub(super) fn lower(
    model: &Model,
    neuron: &Neuron,
    params: &[Param],
    step_ms: f64,
    around: Around<'_>,
) -> Result<program::Neuron, Findings> {
    let lowered_params = start::parameters(model, params, step_ms, around)?;
    let one = |finding: Box<Diagnostic>| vec![*finding];
    let period = refractory_steps(model, neuron, params, step_ms, around).map_err(one)?;
    let init = init(model, neuron, params, step_ms, period).map_err(one)?;
    let step = Step::new(model, neuron, params, step_ms, period);
    let step = step.run().map_err(one)?;
    let variable = |name: &str, shown| Variable {
        name: name.to_string(),
        unit: start::unit(shown, step_ms),
    };
    let mut states: Vec<Variable> = neuron
        .states
        .iter()
        .map(|s| variable(&s.name.text, &s.shown))
        .collect();
    if period > 1 {
        states.push(Variable {
            name: COUNTER.to_string(),
            unit: program::Unit::one(),
        });
    }
    Ok(program::Neuron {
        name: neuron.name.text.clone(),
        params: lowered_params,
        states,
        ports: neuron
            .ports
            .iter()
            .map(|p| variable(&p.name.text, &p.shown))
            .collect(),
        spikes: neuron.spikes.iter().map(spike_name).collect(),
        init,
        step,
    })
}

/// The name of a spike output; `spike` for one without a name.
fn spike_name(spike: &Spike) -> String {
    let name = spike.name.as_ref();
    name.map_or_else(|| "spike".to_string(), |n| n.text.clone())
}

/// Steps from a spike to the next possible one; 0 and 1 mean that there is no refractoriness.
fn refractory_steps(
    model: &Model,
    neuron: &Neuron,
    params: &[Param],
    step_ms: f64,
    around: Around<'_>,
) -> Result<u32, Box<Diagnostic>> {
    let Some(refractory) = &neuron.refractory else {
        return Ok(0);
    };
    if neuron.spikes.is_empty() {
        return Ok(0);
    }
    let numbers = param_numbers(model, params, around);
    let lookup = |name: Ref| numbers.get(name.as_param()?).copied().flatten();
    let env = eval::Env::new(model, Some(step_ms), &lookup);
    start::steps(&env, &refractory.duration, step_ms)
}

/// Writes the parameters as inputs.
fn param_inputs(writer: &mut Writer<'_>, params: &[Param]) -> Vec<Value> {
    let input = |param: &Param| {
        writer.origin(param.span);
        let rate = match param.sharing {
            ScopeKind::Shared => Rate::Uniform,
            ScopeKind::Neuron | ScopeKind::Channel | ScopeKind::Synapse => Rate::Lane,
        };
        let slot = Slot::new(Role::Param, &param.name.text);
        writer.builder.input(slot, Type::Real, rate)
    };
    params.iter().map(input).collect()
}

/// Parameters to the initial value of each state.
fn init(
    model: &Model,
    neuron: &Neuron,
    params: &[Param],
    step_ms: f64,
    period: u32,
) -> Result<Kernel, Box<Diagnostic>> {
    let mut writer = Writer::new(model, step_ms, format!("{}.init", neuron.name.text));
    let values = param_inputs(&mut writer, params);
    let mut frame = Frame::new(values, &[]);
    let mut outputs: Vec<(&str, Value)> = Vec::new();
    for (i, state) in neuron.states.iter().enumerate() {
        let value = match &state.start {
            Start::Value(expr) => writer.expr(&mut frame, expr)?,
            Start::Random(draw) => drawn(&mut writer, &mut frame, draw, i as u32)?,
        };
        outputs.push((&state.name.text, value));
    }
    if period > 1 {
        outputs.push((COUNTER, writer.builder.real(0.0)));
    }
    let rates = writer.builder.kernel().rates();
    for (name, value) in outputs {
        let slot = Slot::new(Role::Init, name);
        writer.builder.output(slot, value, rates[value.index()]);
    }
    Ok(writer.builder.finish())
}

/// A number drawn from a distribution, for every neuron of every sample.
fn drawn(writer: &mut Writer<'_>, frame: &mut Frame<'_>, draw: &Draw, stream: u32) -> Lowered {
    let mut args = Vec::new();
    for arg in draw.args.iter().flatten() {
        args.push(writer.expr(frame, arg)?);
    }
    writer.origin(draw.span);
    let ([first, second], key) = match args[..] {
        [first, second] if !draw.law.needs_fan() => ([first, second], writer.key()),
        _ => {
            let what = "this distribution for an initial state";
            return Err(Box::new(unsupported(draw.span, what)));
        }
    };
    let builder = &mut writer.builder;
    Ok(match draw.law {
        Law::Uniform => {
            let u = builder.inst(Op::Uniform(stream), &key);
            let width = builder.sub(second, first);
            let part = builder.mul(width, u);
            builder.add(first, part)
        }
        Law::LogNormal => {
            let z = builder.inst(Op::Normal(stream), &key);
            let exponent = builder.mul(second, z);
            let factor = builder.inst(Op::Exp, &[exponent]);
            builder.mul(first, factor)
        }
        Law::Normal
        | Law::KaimingNormal
        | Law::KaimingUniform
        | Law::XavierNormal
        | Law::XavierUniform
        | Law::Orthogonal
        | Law::FluctuationDriven => {
            let z = builder.inst(Op::Normal(stream), &key);
            let part = builder.mul(second, z);
            builder.add(first, part)
        }
    })
}

/// A step under construction.
struct Step<'m> {
    neuron: &'m Neuron,
    writer: Writer<'m>,
    /// Names and current values; its states are those of the end of the last phase.
    frame: Frame<'m>,
    period: u32,
    counter: Option<Value>,
    ready: Option<Value>,
    /// Spikes as constants for the backward, one node each.
    detached: BTreeMap<Value, Value>,
    /// What each condition sends.
    sent: Vec<Option<Value>>,
    /// Whether any condition spiked.
    any: Option<Value>,
}

impl<'m> Step<'m> {
    fn new(
        model: &'m Model,
        neuron: &'m Neuron,
        params: &[Param],
        step_ms: f64,
        period: u32,
    ) -> Step<'m> {
        let mut writer = Writer::new(model, step_ms, format!("{}.step", neuron.name.text));
        let values = param_inputs(&mut writer, params);
        let mut frame = Frame::new(values, &neuron.lets);
        for port in &neuron.ports {
            writer.origin(port.name.span);
            let value = writer.builder.lane(Role::Port, &port.name.text, Type::Real);
            frame.ports.push(value);
        }
        for state in &neuron.states {
            writer.origin(state.span);
            let value = writer
                .builder
                .lane(Role::State, &state.name.text, Type::Real);
            frame.states.push(value);
        }
        frame.spikes = vec![None; neuron.spikes.len()];
        Step {
            neuron,
            writer,
            frame,
            period,
            counter: None,
            ready: None,
            detached: BTreeMap::new(),
            sent: vec![None; neuron.spikes.len()],
            any: None,
        }
    }

    fn run(mut self) -> Result<Kernel, Box<Diagnostic>> {
        self.refractoriness();
        for phase in &self.neuron.order {
            match phase {
                Phase::Receive => self.receive()?,
                Phase::Integrate => self.integrate()?,
                Phase::Spike => self.spike()?,
                Phase::Reset => self.reset()?,
            }
        }
        let outputs: Vec<(Slot, Value)> = self
            .neuron
            .states
            .iter()
            .zip(&self.frame.states)
            .map(|(state, &value)| (Slot::new(Role::State, &state.name.text), value))
            .collect();
        let counter = self.count_down();
        for (slot, value) in outputs.into_iter().chain(counter) {
            self.writer.builder.output(slot, value, Rate::Lane);
        }
        for (spike, value) in self.neuron.spikes.iter().zip(&self.sent) {
            let value = value.ok_or_else(|| Box::new(unchecked(spike.span)))?;
            let slot = Slot::new(Role::Spike, spike_name(spike));
            self.writer.builder.output(slot, value, Rate::Lane);
        }
        Ok(self.writer.builder.finish())
    }

    /// The counter, whether the neuron is ready, and the ports that are silent while it is not.
    fn refractoriness(&mut self) {
        let Some(refractory) = &self.neuron.refractory else {
            return;
        };
        if self.period <= 1 {
            return;
        }
        self.writer.origin(refractory.span);
        let builder = &mut self.writer.builder;
        let counter = builder.lane(Role::State, COUNTER, Type::Real);
        let zero = builder.real(0.0);
        let ready = builder.inst(Op::Le, &[counter, zero]);
        builder.note(ready, "ready");
        for &port in &refractory.drops {
            self.frame.ports[port] = builder.select(ready, self.frame.ports[port], zero);
        }
        self.counter = Some(counter);
        self.ready = Some(ready);
    }

    /// The counter at the end of the step.
    fn count_down(&mut self) -> Option<(Slot, Value)> {
        let counter = self.counter?;
        let span = self.neuron.refractory.as_ref()?.span;
        let spiked = self.any_spike()?;
        self.writer.origin(span);
        // How long a period lasts is not differentiated.
        let spiked = self.detached(spiked);
        let builder = &mut self.writer.builder;
        let one = builder.real(1.0);
        let zero = builder.real(0.0);
        let less = builder.sub(counter, one);
        let less = builder.inst(Op::Max, &[less, zero]);
        let full = builder.real(f64::from(self.period - 1));
        let next = builder.select(spiked, full, less);
        Some((Slot::new(Role::State, COUNTER), next))
    }

    /// Keeps the values of held states from before the phase where the neuron is not ready.
    fn advance(&mut self, mut states: Vec<Value>) {
        if let (Some(ready), Some(refractory)) = (self.ready, &self.neuron.refractory) {
            self.writer.origin(refractory.span);
            for &state in &refractory.holds {
                let (old, new) = (self.frame.states[state], states[state]);
                if old != new {
                    states[state] = self.writer.builder.select(ready, new, old);
                }
            }
        }
        self.frame = self.frame.at(&states);
    }

    fn receive(&mut self) -> Result<(), Box<Diagnostic>> {
        let mut states = self.frame.states.clone();
        let neuron = self.neuron;
        for assign in neuron.receives.iter().flat_map(|r| &r.body) {
            states[assign.state] = self.assigned(assign, states[assign.state])?;
        }
        self.advance(states);
        Ok(())
    }

    /// The value after an assignment to a state that has the value `current`.
    fn assigned(&mut self, assign: &Assign, current: Value) -> Lowered {
        let value = self.writer.expr(&mut self.frame, &assign.value)?;
        self.writer.origin(assign.span);
        let builder = &mut self.writer.builder;
        Ok(match assign.op {
            AssignOp::Set => value,
            AssignOp::Add => builder.add(current, value),
            AssignOp::Sub => builder.sub(current, value),
            AssignOp::Mul => builder.mul(current, value),
            AssignOp::Div => builder.div(current, value),
        })
    }

    fn integrate(&mut self) -> Result<(), Box<Diagnostic>> {
        let mut states = self.frame.states.clone();
        let neuron = self.neuron;
        for (i, state) in neuron.states.iter().enumerate() {
            let Some(dynamics) = &state.dynamics else {
                continue;
            };
            let rhs = self.writer.expr(&mut self.frame, &dynamics.rhs)?;
            states[i] = match dynamics.kind {
                DynamicsKind::Next => rhs,
                DynamicsKind::Ode(integrator) => {
                    self.writer.origin(dynamics.span);
                    let h = self.writer.builder.real(self.writer.step_ms);
                    let method = method(integrator.method);
                    let old = self.frame.states[i];
                    self.writer.builder.integrate(method, old, rhs, h)
                }
            };
            self.writer.builder.note(states[i], &state.name.text);
        }
        self.advance(states);
        Ok(())
    }

    fn spike(&mut self) -> Result<(), Box<Diagnostic>> {
        let neuron = self.neuron;
        for (i, spike) in neuron.spikes.iter().enumerate() {
            let mut value = match &spike.trigger {
                Trigger::Crossing { .. } => self.crossing(spike)?,
                Trigger::Count(number) => self.count(spike, number)?,
                Trigger::Invalid(span) => return Err(Box::new(unchecked(*span))),
            };
            self.writer.origin(spike.span);
            let builder = &mut self.writer.builder;
            if let Some(ready) = self.ready {
                value = match builder.ty(value) {
                    Type::Bool => builder.inst(Op::And, &[value, ready]),
                    Type::Real | Type::Bf16 => {
                        let zero = builder.real(0.0);
                        builder.select(ready, value, zero)
                    }
                };
            }
            builder.note(value, &spike_name(spike));
            self.frame.spikes[i] = Some(value);
            self.sent[i] = Some(match &spike.payload {
                Some(payload) => self.carried(value, payload)?,
                None => value,
            });
        }
        Ok(())
    }

    /// What a spike or a number of spikes carries.
    fn carried(&mut self, spike: Value, payload: &Expr) -> Lowered {
        let payload = self.writer.expr(&mut self.frame, payload)?;
        let builder = &mut self.writer.builder;
        Ok(match builder.ty(spike) {
            Type::Real | Type::Bf16 => builder.mul(spike, payload),
            Type::Bool => {
                let zero = builder.real(0.0);
                builder.select(spike, payload, zero)
            }
        })
    }

    /// A spike where one side reaches the other.
    fn crossing(&mut self, spike: &Spike) -> Lowered {
        let Trigger::Crossing {
            above,
            below,
            strict,
            span,
        } = &spike.trigger
        else {
            return Err(Box::new(unchecked(spike.span)));
        };
        let above = self.writer.expr(&mut self.frame, above)?;
        let below = self.writer.expr(&mut self.frame, below)?;
        self.writer.origin(*span);
        let mut margin = self.writer.builder.sub(above, below);
        if let Some(scale) = &spike.scale {
            let scale = self.writer.expr(&mut self.frame, scale)?;
            self.writer.origin(*span);
            margin = self.writer.builder.div(margin, scale);
        }
        self.writer.builder.note(margin, "u");
        let (derivative, primitive) = self.surrogate(spike, margin)?;
        self.writer.origin(spike.span);
        let edge = if *strict {
            Edge::Above
        } else {
            Edge::AtOrAbove
        };
        Ok(self
            .writer
            .builder
            .spike(edge, margin, derivative, primitive))
    }

    /// Several spikes in a step: the whole part of a number x, none if it is negative. The margin is x − 1, which reaches 0
    /// with the first spike; the derivative by it is the surrogate there.
    fn count(&mut self, spike: &Spike, number: &Expr) -> Lowered {
        if let Some(scale) = &spike.scale {
            let what = "`scale` for a number of spikes";
            return Err(Box::new(unsupported(scale.span, what)));
        }
        // `floor` has no derivative: what it rounds is the number that has one.
        let number = match &number.kind {
            ExprKind::Builtin {
                function: Builtin::Floor,
                args,
            } => &args[0],
            ExprKind::Error
            | ExprKind::Number { .. }
            | ExprKind::Bool(_)
            | ExprKind::Ref(_)
            | ExprKind::Neg(_)
            | ExprKind::Not(_)
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Builtin { .. }
            | ExprKind::Call { .. } => number,
        };
        let x = self.writer.expr(&mut self.frame, number)?;
        let builder = &mut self.writer.builder;
        let one = builder.real(1.0);
        let margin = builder.sub(x, one);
        builder.note(margin, "u");
        let (derivative, _) = self.surrogate(spike, margin)?;
        self.writer.origin(spike.span);
        let builder = &mut self.writer.builder;
        Ok(builder.inst(Op::Count, &[margin, derivative]))
    }

    /// The surrogate's derivative and primitive at a margin; without a surrogate nothing passes.
    fn surrogate(
        &mut self,
        spike: &Spike,
        margin: Value,
    ) -> Result<(Value, Option<Value>), Box<Diagnostic>> {
        let Some(call) = &spike.surrogate else {
            return Ok((self.writer.builder.real(0.0), None));
        };
        let index = call
            .surrogate
            .ok_or_else(|| Box::new(unchecked(call.span)))?;
        let surrogate = &self.writer.model.surrogates[index];
        let mut formals = vec![margin];
        for arg in &call.args {
            formals.push(self.writer.expr(&mut self.frame, arg)?);
        }
        let mut frame = Frame::new(Vec::new(), &surrogate.lets);
        frame.formals = formals.clone();
        let derivative = self.writer.expr(&mut frame, &surrogate.derivative)?;
        self.writer.builder.note(derivative, &surrogate.name.text);
        let Some(primitive) = &surrogate.primitive else {
            return Ok((derivative, None));
        };
        // The derivative by the margin is the one above; what else the primitive reads has its own.
        formals[0] = self.writer.builder.inst(Op::Hold, &[margin]);
        let mut frame = Frame::new(Vec::new(), &surrogate.lets);
        frame.formals = formals;
        let primitive = self.writer.expr(&mut frame, primitive)?;
        Ok((derivative, Some(primitive)))
    }

    fn reset(&mut self) -> Result<(), Box<Diagnostic>> {
        let mut states = self.frame.states.clone();
        let neuron = self.neuron;
        for block in &neuron.resets {
            let spike = match block.spike {
                Some(i) => self.gate(i),
                None => self.any_spike(),
            };
            let spike = spike.ok_or_else(|| Box::new(unchecked(block.span)))?;
            let attached = self.frame.clone();
            let gate = match block.gradient {
                Some(GateGradient::Detached) => {
                    self.detach_spikes(block.spike);
                    self.detached(spike)
                }
                Some(GateGradient::Attached) | None => spike,
            };
            for assign in &block.body {
                let current = states[assign.state];
                let assigned = self.assigned(assign, current)?;
                states[assign.state] = self.writer.builder.select(gate, assigned, current);
            }
            self.frame = attached;
        }
        self.frame = self.frame.at(&states);
        Ok(())
    }

    /// Makes a spike, or all of them, a constant for the backward where formulas read it.
    fn detach_spikes(&mut self, which: Option<usize>) {
        for i in 0..self.frame.spikes.len() {
            if which.is_none_or(|which| which == i)
                && let Some(spike) = self.frame.spikes[i]
            {
                self.frame.spikes[i] = Some(self.detached(spike));
            }
        }
        // Lets that were written out with the spike itself are written out again.
        let reads = |l: &Let| {
            walk::refs(&l.value)
                .iter()
                .any(|r| matches!(r, Ref::Spike(_)))
        };
        if self.neuron.lets.iter().any(reads) {
            self.frame = self.frame.at(&self.frame.states);
        }
    }

    /// True where a condition spiked, once or more often.
    fn gate(&mut self, spike: usize) -> Option<Value> {
        let value = self.frame.spikes.get(spike).copied().flatten()?;
        Some(match self.writer.builder.ty(value) {
            Type::Bool => value,
            Type::Real | Type::Bf16 => {
                // A comparison passes no gradient; the number does, where the block reads it.
                let number = self.detached(value);
                let builder = &mut self.writer.builder;
                let one = builder.real(1.0);
                builder.inst(Op::Le, &[one, number])
            }
        })
    }

    /// True where any condition spiked.
    fn any_spike(&mut self) -> Option<Value> {
        if self.any.is_none() {
            let all = 0..self.frame.spikes.len();
            let spikes: Option<Vec<Value>> = all.map(|i| self.gate(i)).collect();
            let spikes = spikes?;
            let (&first, rest) = spikes.split_first()?;
            let builder = &mut self.writer.builder;
            let or = |any, &s| builder.inst(Op::Or, &[any, s]);
            self.any = Some(rest.iter().fold(first, or));
        }
        self.any
    }

    /// A spike as a constant for the backward.
    fn detached(&mut self, spike: Value) -> Value {
        let builder = &mut self.writer.builder;
        *self
            .detached
            .entry(spike)
            .or_insert_with(|| builder.inst(Op::Detach, &[spike]))
    }
}

fn method(method: Method) -> ops::Method {
    match method {
        Method::Auto => ops::Method::Auto,
        Method::Exact => ops::Method::Exact,
        Method::ExpEuler => ops::Method::ExpEuler,
        Method::Euler(n) => ops::Method::Euler(n),
        Method::Heun => ops::Method::Heun,
        Method::Rk4(n) => ops::Method::Rk4(n),
    }
}
