//! The kernels of a layer and the rows they work on.
//!
//! Every slot of the kernels gets one row. Where a row lives follows from its role: what is constant in
//! time is shared by all groups; saved values have a row for every step of the tape; the adjoints of ports
//! and spikes have one for every step of a block, because whole layers work on them at once; all else has
//! one row that is overwritten at each step. Lanes are numbered sample by sample, `n` neurons each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use rheobase_ir::draws;
use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Access, Kernel, Param, Role, Slot};
use rheobase_ir::pipeline::{Stages, Wanted, build};
use rheobase_ir::program::{Layer, Sharing};
use rheobase_ir::types::{Rate, Type};
use smallvec::SmallVec;

use crate::aligned::Aligned;
use crate::backend::{Backend, Float};
use crate::error::RuntimeError;

/// The index of a row of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub(crate) usize);

/// How many arguments of a call fit without allocation.
const INLINE_ARGS: usize = 24;

/// Where a row lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Shared by all groups; one number or one for each lane of a full group.
    Constant(Rate),
    /// One row for the current step.
    Step,
    /// A row for each step of the tape.
    Tape,
    /// The adjoint of a port: a row for each step of the current block.
    Block,
    /// The adjoint of spikes: the rows of a block, after those of the steps before it whose spikes arrive
    /// in it or later.
    Sent,
}

impl Place {
    /// The number of steps of which a group has rows.
    fn steps(self, room: Room) -> usize {
        match self {
            Place::Constant(_) => 0,
            Place::Step => 1,
            Place::Tape => room.tape,
            Place::Block => room.block,
            Place::Sent if room.block == 0 => 0,
            Place::Sent => room.before + room.block,
        }
    }
}

#[derive(Clone, Debug)]
struct RowInfo {
    slot: Slot,
    ty: Type,
    place: Place,
}

/// A kernel that can be called, and the row of each of its arguments.
struct Code<R> {
    executor: Box<dyn Executor<R>>,
    rows: Vec<SlotId>,
}

/// A row of one group.
#[derive(Debug)]
pub(crate) enum Row<R> {
    /// Numbers.
    Real(Aligned<R>),
    /// Bytes 0 and 1.
    Bool(Vec<u8>),
    /// Numbers in bfloat16, for the tape.
    Bf16(Vec<u16>),
}

impl<R: Float> Row<R> {
    pub(crate) fn empty() -> Row<R> {
        Row::Real(Aligned::new())
    }
}

/// A layer, ready to run.
pub(crate) struct LayerCode<R> {
    /// The number of neurons.
    pub(crate) n: usize,
    /// The kernels as text-form IR, for messages.
    pub(crate) stages: Stages,
    rows: Vec<RowInfo>,
    index: BTreeMap<Slot, SlotId>,
    backend: Backend,
    /// The step without a tape; made when it is first called, which a training step never does.
    infer: OnceLock<Result<Code<R>, RuntimeError>>,
    forward: Code<R>,
    backward: Code<R>,
    /// Draws initial states, and its backward; `None` if none are drawn.
    start: Option<(Code<R>, Code<R>)>,
    /// The rows of the two words of each lane's key, and the row whose first element is the step; `None` without
    /// random numbers.
    key: [Option<SlotId>; 2],
    step: Option<SlotId>,
    prologue: Box<dyn Executor<f64>>,
    prologue_gradient: Box<dyn Executor<f64>>,
    /// The rows of what is constant in time, by row index; others are empty.
    constants: Vec<Vec<R>>,
    /// The initial value of each state: its row and one number, or one per neuron.
    initial: Vec<(SlotId, Vec<R>)>,
    /// The parameters in double precision, one number or one per neuron each, by name.
    params: Vec<(String, Vec<f64>)>,
    /// The rows that collect the adjoint of something constant in time.
    collected: Vec<(SlotId, Slot)>,
    /// The row that tells where the gradient of the first spike output goes on, if it does not everywhere.
    pub(crate) support: Option<SlotId>,
    /// Adjoints of states that the step only writes: nothing comes back from them to the step before.
    forgotten: Vec<SlotId>,
    /// How the values of each parameter are shared, in order.
    sharing: Vec<(Sharing, usize)>,
}

/// Which steps are in memory: where the rows of a block and of the tape begin. `blocks.rs` cuts time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first step of the block.
    pub(crate) start: usize,
    /// The step after the last one of the block.
    pub(crate) end: usize,
    /// The step of the first row of the tape.
    pub(crate) taped: usize,
}

impl Frame {
    /// The number of steps of the block.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// How many steps the rows of a group have room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Steps of the tape.
    pub(crate) tape: usize,
    /// Steps of a block, for adjoints.
    pub(crate) block: usize,
    /// Steps before a block whose spikes arrive in it or later.
    pub(crate) before: usize,
}

/// Which direction a group runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Without a tape.
    Infer,
    /// Forward, saving the tape.
    Forward,
    /// Backward.
    Backward,
}

/// How a group runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) pass: Pass,
    /// Whether every state is looked at after every step.
    pub(crate) check: bool,
}

impl Mode {
    pub(crate) fn new(pass: Pass, check: bool) -> Mode {
        Mode { pass, check }
    }
}

impl<R: Float> LayerCode<R> {
    /// Builds and compiles the kernels of a layer.
    pub(crate) fn new(
        layer: &Layer,
        backend: Backend,
        wanted: Wanted<'_>,
    ) -> Result<LayerCode<R>, RuntimeError> {
        let stages = build(&layer.neuron, wanted)?;
        let mut rows = Vec::new();
        let mut index = BTreeMap::new();
        let kernels = [&stages.infer, &stages.forward, &stages.backward];
        let drawing = [&stages.start, &stages.start_gradient];
        for kernel in kernels.into_iter().chain(drawing) {
            for param in kernel.signature() {
                let slot = row_slot(&param.slot);
                add_row(&mut rows, &mut index, &slot, param.ty, param.rate);
            }
        }
        // States and spikes exist for probes even if a kernel does not touch them.
        for state in &layer.neuron.states {
            add_row(
                &mut rows,
                &mut index,
                &Slot::new(Role::State, &state.name),
                Type::Real,
                Rate::Lane,
            );
        }
        let support = stages.support.as_ref().map(|slot| index[slot]);
        if let Some(SlotId(row)) = support {
            // It is listed after every step.
            rows[row].place = Place::Step;
        }
        let code = |kernel: &Kernel| code(backend, kernel, &index);
        let (forward, backward) = (code(&stages.forward)?, code(&stages.backward)?);
        let start = match stages.start.outputs.is_empty() {
            true => None,
            false => Some((code(&stages.start)?, code(&stages.start_gradient)?)),
        };
        let key = |name: &str| index.get(&Slot::new(Role::Key, name)).copied();
        let (keys, step) = ([key("a"), key("b")], key("step"));
        let constants = vec![Vec::new(); rows.len()];
        let of_constants = |row: &RowInfo| row.slot.adjoint && row.slot.role.constant_in_time();
        let collected = (0..rows.len()).filter(|&i| of_constants(&rows[i]));
        let collected = collected
            .map(|i| (SlotId(i), rows[i].slot.clone()))
            .collect();
        let only_read =
            |p: &&Param| p.slot.adjoint && p.slot.role == Role::State && p.access == Access::Read;
        let signature = stages.backward.signature();
        let forgotten = signature
            .iter()
            .filter(only_read)
            .map(|p| index[&p.slot])
            .collect();
        let per_channel = layer.size() / layer.shape.first().copied().unwrap_or(1).max(1);
        Ok(LayerCode {
            n: layer.size(),
            prologue: backend.prologue(&stages.prologue)?,
            prologue_gradient: backend.prologue(&stages.prologue_gradient)?,
            stages,
            rows,
            index,
            backend,
            infer: OnceLock::new(),
            forward,
            backward,
            start,
            key: keys,
            step,
            constants,
            initial: Vec::new(),
            params: Vec::new(),
            collected,
            support,
            forgotten,
            sharing: layer
                .neuron
                .params
                .iter()
                .map(|p| (p.sharing, per_channel))
                .collect(),
        })
    }

    /// The row of a slot, if a kernel has it.
    pub(crate) fn row(&self, slot: &Slot) -> Option<SlotId> {
        self.index.get(slot).copied()
    }

    /// A parameter or derived value as a lane sees it.
    pub(crate) fn constant(&self, slot: &Slot, lane: usize) -> Option<R> {
        let SlotId(row) = self.row(slot)?;
        let values = &self.constants[row];
        values.get(lane % values.len().max(1)).copied()
    }

    /// The parameters and derived values that the kernels read: one number, or one for each neuron.
    pub(crate) fn constants(&self) -> Vec<(Slot, Vec<R>)> {
        let known = self.rows.iter().zip(&self.constants);
        known
            .filter(|(_, values)| !values.is_empty())
            .map(|(row, values)| {
                // The rows of neurons are repeated for every sample of a group.
                let own = values.len().min(self.n);
                (row.slot.clone(), values[..own].to_vec())
            })
            .collect()
    }

    /// The name of what a row holds.
    pub(crate) fn name(&self, row: usize) -> &str {
        &self.rows[row].slot.name
    }

    /// The initial value of each state by name: one number, or one for each neuron.
    pub(crate) fn initial(&self) -> Vec<(String, Vec<R>)> {
        let named = self.initial.iter();
        named
            .map(|(SlotId(row), values)| (self.rows[*row].slot.name.to_string(), values.clone()))
            .collect()
    }

    /// The rows that collect adjoints of constants, in order.
    pub(crate) fn collected(&self) -> &[(SlotId, Slot)] {
        &self.collected
    }

    /// The bytes that the rows of a lane take with this room.
    pub(crate) fn bytes(&self, room: Room) -> usize {
        let bytes = |row: &RowInfo| {
            let number = match row.ty {
                Type::Real => size_of::<R>(),
                Type::Bool => 1,
                Type::Bf16 => 2,
            };
            number.saturating_mul(row.place.steps(room))
        };
        self.rows.iter().map(bytes).fold(0, usize::saturating_add)
    }

    /// The number of states of a neuron.
    pub(crate) fn states(&self) -> usize {
        self.state_rows().count()
    }

    /// The rows of the states.
    pub(crate) fn state_rows(&self) -> impl Iterator<Item = usize> + '_ {
        let state = |slot: &Slot| slot.role == Role::State && !slot.adjoint;
        (0..self.rows.len()).filter(move |&i| state(&self.rows[i].slot))
    }

    /// Sets the parameters (in order of declaration, one number, one per channel or one per neuron) and
    /// runs the prologue. `group` is the number of samples of a full group.
    pub(crate) fn set_parameters(
        &mut self,
        values: &[(&str, &[R])],
        group: usize,
    ) -> Result<(), RuntimeError> {
        self.params.clear();
        for ((name, values), &(sharing, per_channel)) in values.iter().zip(&self.sharing) {
            let wide: Vec<f64> = match sharing {
                Sharing::Shared | Sharing::PerNeuron => values.iter().map(|v| v.to_f64()).collect(),
                Sharing::PerChannel => values
                    .iter()
                    .flat_map(|v| std::iter::repeat_n(v.to_f64(), per_channel))
                    .collect(),
            };
            self.params.push((name.to_string(), wide));
        }
        let outputs = self.run_prologue()?;
        for (name, wide) in &self.params {
            if let Some(SlotId(row)) = self.row(&Slot::new(Role::Param, name.as_str())) {
                self.constants[row] = tile(wide, group);
            }
        }
        self.initial.clear();
        for (slot, wide) in &outputs {
            match slot.role {
                Role::Init => {
                    let row = self
                        .row(&Slot::new(Role::State, slot.name.as_str()))
                        .expect("every state has a row");
                    self.initial
                        .push((row, wide.iter().map(|&x| R::from_f64(x)).collect()));
                }
                Role::Param
                | Role::Derived
                | Role::Port
                | Role::State
                | Role::Spike
                | Role::Saved
                | Role::Key => {
                    if let Some(SlotId(row)) = self.row(slot) {
                        self.constants[row] = tile(wide, group);
                    }
                }
            }
        }
        Ok(())
    }

    fn run_prologue(&self) -> Result<Vec<(Slot, Vec<f64>)>, RuntimeError> {
        let mut outputs: Vec<(Slot, Vec<f64>)> = Vec::new();
        for param in self.prologue.signature() {
            if param.access == Access::Write {
                let size = if param.rate == Rate::Uniform {
                    1
                } else {
                    self.n
                };
                outputs.push((param.slot.clone(), vec![0.0; size]));
            }
        }
        let mut written = outputs.iter_mut();
        let mut args: Vec<Arg<'_, f64>> = Vec::new();
        for param in self.prologue.signature() {
            args.push(match param.access {
                Access::Write => Arg::RealMut(&mut written.next().expect("one per output").1),
                Access::Read | Access::Update => Arg::Real(self.param(&param.slot.name)),
            });
        }
        self.prologue.call(self.n, &mut args)?;
        Ok(outputs)
    }

    fn param(&self, name: &str) -> &[f64] {
        self.params
            .iter()
            .find(|(n, _)| n == name)
            .map_or(&[], |(_, values)| values)
    }

    /// From the adjoints of what is constant in time, one row of `n` for each of [`Self::collected`], and
    /// of the initial states, to the gradient of every parameter: one number each, one per channel, or
    /// one per neuron.
    pub(crate) fn parameter_gradients(
        &self,
        collected: &[Vec<f64>],
        initial: &[(Slot, Vec<f64>)],
    ) -> Result<Vec<Vec<f64>>, RuntimeError> {
        let of_step = |slot: &Slot| {
            self.collected
                .iter()
                .position(|(_, s)| s == slot)
                .map(|i| collected[i].clone())
        };
        let of_init = |slot: &Slot| {
            initial
                .iter()
                .find(|(s, _)| s == slot)
                .map(|(_, row)| row.clone())
        };
        let signature = self.prologue_gradient.signature();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for param in signature {
            let given = if param.slot.adjoint {
                of_step(&param.slot).or_else(|| of_init(&param.slot))
            } else {
                None
            };
            rows.push(given.unwrap_or_else(|| vec![0.0; self.n]));
        }
        let mut args: Vec<Arg<'_, f64>> = Vec::new();
        for (param, row) in signature.iter().zip(&mut rows) {
            args.push(match param.access {
                Access::Read if !param.slot.adjoint => Arg::Real(self.param(&param.slot.name)),
                Access::Read => Arg::Real(row),
                Access::Write | Access::Update => Arg::RealMut(row),
            });
        }
        self.prologue_gradient.call(self.n, &mut args)?;
        let mut gradients = Vec::new();
        for ((name, _), &(sharing, per_channel)) in self.params.iter().zip(&self.sharing) {
            let slot = Slot::new(Role::Param, name.as_str()).adjoint();
            let row = signature
                .iter()
                .position(|p| p.slot == slot)
                .map(|i| rows[i].clone());
            let row = row
                .or_else(|| of_step(&slot))
                .unwrap_or_else(|| vec![0.0; self.n]);
            gradients.push(match sharing {
                Sharing::Shared => vec![row.iter().sum()],
                Sharing::PerNeuron => row,
                Sharing::PerChannel => row.chunks(per_channel).map(|c| c.iter().sum()).collect(),
            });
        }
        Ok(gradients)
    }

    /// The rows of a group of `samples` with this much room.
    pub(crate) fn resize(&self, rows: &mut Vec<Row<R>>, samples: usize, room: Room) {
        rows.resize_with(self.rows.len(), Row::empty);
        let lanes = samples * self.n;
        for (row, info) in rows.iter_mut().zip(&self.rows) {
            let size = lanes * info.place.steps(room);
            match (info.ty, &mut *row) {
                (Type::Real, Row::Real(values)) => values.resize(size),
                (Type::Bool, Row::Bool(values)) => values.resize(size, 0),
                (Type::Bf16, Row::Bf16(values)) => values.resize(size, 0),
                (Type::Real, Row::Bool(_) | Row::Bf16(_)) => {
                    *row = Row::empty();
                    if let Row::Real(values) = row {
                        values.resize(size);
                    }
                }
                (Type::Bool, Row::Real(_) | Row::Bf16(_)) => *row = Row::Bool(vec![0; size]),
                (Type::Bf16, Row::Real(_) | Row::Bool(_)) => *row = Row::Bf16(vec![0; size]),
            }
        }
    }

    /// Writes the keys of the lanes of samples with these keys; `layer` is the number of this layer.
    pub(crate) fn write_keys(
        &self,
        rows: &mut [Row<R>],
        layer: usize,
        samples: impl Iterator<Item = u64>,
    ) {
        if self.key == [None, None] {
            return;
        }
        let lanes = samples.flat_map(|key| (0..self.n).map(move |n| (key, n)));
        for (lane, (sample, neuron)) in lanes.enumerate() {
            let words = draws::lane_key(sample, layer, neuron);
            for (row, word) in self.key.iter().zip(words) {
                if let Some(SlotId(row)) = row
                    && let Row::Real(values) = &mut rows[*row]
                {
                    values[lane] = R::from_f64(word);
                }
            }
        }
    }

    /// Puts every state that is not drawn at its initial value.
    pub(crate) fn start(&self, rows: &mut [Row<R>]) {
        for (SlotId(row), initial) in &self.initial {
            if let Row::Real(values) = &mut rows[*row] {
                match initial[..] {
                    [value] => values.fill(value),
                    _ => values
                        .chunks_exact_mut(self.n)
                        .for_each(|sample| sample.copy_from_slice(initial)),
                }
            }
        }
    }

    /// Sets all adjoint rows to zero that are added to. Those of ports are written at every step.
    pub(crate) fn clear_adjoints(&self, rows: &mut [Row<R>]) {
        for (row, info) in rows.iter_mut().zip(&self.rows) {
            let added = info.slot.adjoint && info.slot.role != Role::Port;
            if let (true, Row::Real(values)) = (added, row) {
                values.fill(R::ZERO);
            }
        }
    }

    /// Writes the states of all lanes one after the other.
    pub(crate) fn save_states(&self, rows: &[Row<R>], saved: &mut [R]) {
        let size = saved.len() / self.states().max(1);
        for (row, saved) in self.state_rows().zip(saved.chunks_exact_mut(size.max(1))) {
            if let Row::Real(values) = &rows[row] {
                saved.copy_from_slice(values);
            }
        }
    }

    /// Reads the states that [`Self::save_states`] wrote.
    pub(crate) fn restore_states(&self, rows: &mut [Row<R>], saved: &[R]) {
        let size = saved.len() / self.states().max(1);
        for (row, saved) in self.state_rows().zip(saved.chunks_exact(size.max(1))) {
            if let Row::Real(values) = &mut rows[row] {
                values.copy_from_slice(saved);
            }
        }
    }

    /// Moves the adjoints of spikes from the block that is done to the `steps` steps before it. What was
    /// sent before the block and arrived in it stays; the other rows begin at zero. With `cut` nothing goes
    /// on into the steps before, neither by spikes on their way nor by states.
    pub(crate) fn step_back(
        &self,
        rows: &mut [Row<R>],
        steps: usize,
        before: usize,
        lanes: usize,
        cut: bool,
    ) {
        for (row, info) in rows.iter_mut().zip(&self.rows) {
            let Row::Real(values) = row else { continue };
            if info.place == Place::Sent {
                values.copy_within(0..before * lanes, steps * lanes);
                values[..steps * lanes].fill(R::ZERO);
            }
            if cut && info.slot.adjoint && matches!(info.slot.role, Role::State | Role::Spike) {
                values.fill(R::ZERO);
            }
        }
    }

    /// Where step `t` is in a row: all of it, or a part if it has a row for every step. `before` is the
    /// number of rows of spikes' adjoints that come before those of the block.
    pub(crate) fn at_step(
        &self,
        slot: SlotId,
        t: usize,
        frame: Frame,
        before: usize,
        lanes: usize,
    ) -> Range<usize> {
        let row = match self.rows[slot.0].place {
            Place::Constant(_) => return 0..0,
            Place::Step => 0,
            Place::Tape => t - frame.taped,
            Place::Block => t - frame.start,
            Place::Sent => t + before - frame.start,
        };
        row * lanes..(row + 1) * lanes
    }

    /// Runs a kernel for one step on the rows of a group of `lanes`.
    pub(crate) fn call(
        &self,
        pass: Pass,
        rows: &mut [Row<R>],
        t: usize,
        frame: Frame,
        before: usize,
        lanes: usize,
    ) -> Result<(), RuntimeError> {
        let code = match pass {
            Pass::Infer => self.infer()?,
            Pass::Forward => &self.forward,
            Pass::Backward => &self.backward,
        };
        self.write_step(rows, t as u32);
        self.call_code(code, rows, t, frame, before, lanes)?;
        if pass == Pass::Backward {
            for &SlotId(row) in &self.forgotten {
                if let Row::Real(values) = &mut rows[row] {
                    values.fill(R::ZERO);
                }
            }
        }
        Ok(())
    }

    fn infer(&self) -> Result<&Code<R>, RuntimeError> {
        let make = || code(self.backend, &self.stages.infer, &self.index);
        self.infer
            .get_or_init(make)
            .as_ref()
            .map_err(RuntimeError::clone)
    }

    /// Draws the initial states that are random.
    pub(crate) fn draw_states(
        &self,
        rows: &mut [Row<R>],
        lanes: usize,
    ) -> Result<(), RuntimeError> {
        let Some((code, _)) = &self.start else {
            return Ok(());
        };
        self.write_step(rows, draws::START);
        self.call_code(code, rows, 0, Frame::default(), 0, lanes)
    }

    /// After the backward of the first step: from the adjoints of drawn states to those of constants.
    pub(crate) fn draw_states_backward(
        &self,
        rows: &mut [Row<R>],
        lanes: usize,
    ) -> Result<(), RuntimeError> {
        let Some((_, code)) = &self.start else {
            return Ok(());
        };
        self.write_step(rows, draws::START);
        self.call_code(code, rows, 0, Frame::default(), 0, lanes)
    }

    /// The step that random numbers are drawn at.
    fn write_step(&self, rows: &mut [Row<R>], step: u32) {
        if let Some(SlotId(row)) = self.step
            && let Row::Real(values) = &mut rows[row]
            && let Some(number) = values.first_mut()
        {
            *number = R::from_f64(draws::real(step));
        }
    }

    /// Runs a kernel on the rows of a group of `lanes`.
    fn call_code(
        &self,
        code: &Code<R>,
        rows: &mut [Row<R>],
        t: usize,
        frame: Frame,
        before: usize,
        lanes: usize,
    ) -> Result<(), RuntimeError> {
        // Every row is an argument at most once, so the borrows can be handed out one by one.
        let mut borrows: SmallVec<[Option<&mut Row<R>>; INLINE_ARGS]> =
            rows.iter_mut().map(Some).collect();
        let mut args: SmallVec<[Arg<'_, R>; INLINE_ARGS]> = SmallVec::new();
        for (param, &row) in code.executor.signature().iter().zip(&code.rows) {
            if let Place::Constant(_) = self.rows[row.0].place {
                args.push(Arg::Real(&self.constants[row.0]));
                continue;
            }
            let range = self.at_step(row, t, frame, before, lanes);
            let borrow = borrows[row.0].take().expect("a row is one argument");
            args.push(match (borrow, param.access != Access::Read) {
                (Row::Real(values), true) => Arg::RealMut(&mut values[range]),
                (Row::Real(values), false) => Arg::Real(&values[range]),
                (Row::Bool(values), true) => Arg::BoolMut(&mut values[range]),
                (Row::Bool(values), false) => Arg::Bool(&values[range]),
                (Row::Bf16(values), true) => Arg::Bf16Mut(&mut values[range]),
                (Row::Bf16(values), false) => Arg::Bf16(&values[range]),
            });
        }
        Ok(code.executor.call(lanes, &mut args)?)
    }
}

/// A kernel, ready to be called.
fn code<R: Float>(
    backend: Backend,
    kernel: &Kernel,
    index: &BTreeMap<Slot, SlotId>,
) -> Result<Code<R>, RuntimeError> {
    let signature = kernel.signature();
    let rows = signature.iter().map(|p| index[&row_slot(&p.slot)]);
    Ok(Code {
        rows: rows.collect(),
        executor: backend.executor(kernel)?,
    })
}

/// The slot whose row an argument is in: initial values are drawn where the states are.
fn row_slot(slot: &Slot) -> Slot {
    match slot.role {
        Role::Init => Slot {
            role: Role::State,
            ..slot.clone()
        },
        Role::Param
        | Role::Derived
        | Role::Port
        | Role::State
        | Role::Spike
        | Role::Saved
        | Role::Key => slot.clone(),
    }
}

fn add_row(
    rows: &mut Vec<RowInfo>,
    index: &mut BTreeMap<Slot, SlotId>,
    slot: &Slot,
    ty: Type,
    rate: Rate,
) {
    if index.contains_key(slot) {
        return;
    }
    let place = match slot.role {
        Role::Param | Role::Derived | Role::Init if !slot.adjoint => Place::Constant(rate),
        Role::Saved => Place::Tape,
        Role::Port if slot.adjoint => Place::Block,
        Role::Spike if slot.adjoint => Place::Sent,
        Role::Param
        | Role::Derived
        | Role::Init
        | Role::Port
        | Role::State
        | Role::Spike
        | Role::Key => Place::Step,
    };
    index.insert(slot.clone(), SlotId(rows.len()));
    rows.push(RowInfo {
        slot: slot.clone(),
        ty,
        place,
    });
}

/// One number stays one; a row of neurons is repeated for every sample of a group.
fn tile<R: Float>(wide: &[f64], group: usize) -> Vec<R> {
    let row: Vec<R> = wide.iter().map(|&x| R::from_f64(x)).collect();
    if row.len() == 1 {
        row
    } else {
        row.repeat(group)
    }
}
