//! A network, ready to run: compiled layers, parameters, and the routes between them.

use std::ops::Range;

use pulp::Arch;
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::pipeline::{Stages, Wanted};
use rheobase_ir::program::{Network, Source, Synapses};
use rheobase_ir::tape::Numbers;

use crate::aligned::Aligned;
use crate::backend::{Backend, Float};
use crate::blocks::TimePlan;
use crate::connection::chain::Chain;
use crate::connection::choice;
use crate::connection::delayed::{Delayed, Taps};
use crate::connection::dense::copy_panels;
use crate::connection::dropout::Dropout;
use crate::connection::matmul::transpose;
use crate::connection::norm::{Centre, Norm};
use crate::error::RuntimeError;
use crate::group::{Batch, GradientSum, GroupState};
use crate::layer::{LayerCode, Mode, Pass, SlotId};
use crate::mapped::Mapped;
use crate::parallel;
use crate::parameters::{Owner, ParameterSpec, Parameters, specs};
use crate::parts::parts;
use crate::probe::Probe;
use crate::sent_state::SentState;

/// Which parameters of neurons get gradients. Weights and biases of trained connections always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradients {
    /// Those that are trained.
    Trained,
    /// All of them; also frozen weights.
    All,
}

/// Samples that run together. Small enough for the tape to stay in cache, large enough for the matrix
/// products of the backward; it decides the order of sums, so it is the same for any number of threads. A
/// batch of no more than these is cut into halves of it.
pub const GROUP: usize = 16;

/// The most sums of gradients that are kept apart until they are added. Groups are dealt to them in turn,
/// so this bounds the memory, and the number of threads that can work at once.
pub(crate) const MOST_SUMS: usize = 8;

/// A connection as the time loop needs it.
pub(crate) struct ConnectionCode {
    pub(crate) from: Source,
    pub(crate) port: usize,
    pub(crate) delay: usize,
    /// Which of the connections with delays of their synapses it is a tap of, and which tap.
    pub(crate) tap: Option<(usize, usize)>,
    /// What it computes.
    pub(crate) chain: Chain,
    /// The weights among the parameters if it is one dense operation, which has faster ways than a chain.
    pub(crate) dense: Option<usize>,
    /// The bias of the last operation among the parameters.
    pub(crate) bias: Option<usize>,
    pub(crate) trained: bool,
}

impl ConnectionCode {
    /// Whether it starts in this part.
    pub(crate) fn inside(&self, part: &[usize]) -> bool {
        self.from.layer().is_some_and(|l| part.contains(&l))
    }
}

/// For each layer and each input population the steps of the longest delay of the events that start there.
pub(crate) struct LongestDelays {
    pub(crate) layers: Vec<usize>,
    pub(crate) inputs: Vec<usize>,
}

impl LongestDelays {
    fn new(network: &Network) -> LongestDelays {
        let longest = |from: Source| {
            let of_source = network.connections.iter().filter(|c| c.from == from);
            of_source
                .map(|c| c.longest_delay() as usize)
                .max()
                .unwrap_or(0)
        };
        let layers = (0..network.layers.len()).map(|l| longest(Source::Layer(l)));
        let inputs = (0..network.inputs.len()).map(|i| longest(Source::Input(i)));
        LongestDelays {
            layers: layers.collect(),
            inputs: inputs.collect(),
        }
    }
}

/// A network, ready to run.
pub struct Simulator<R> {
    pub(crate) network: Network,
    pub(crate) layers: Vec<LayerCode<R>>,
    pub(crate) parameters: Parameters<R>,
    /// For each layer the connections that end there, in order of declaration, each tap for itself.
    incoming: Vec<Vec<ConnectionCode>>,
    /// The same where no gradient is asked for: learned delays are rounded. `None` if there are none.
    evaluated: Option<Vec<Vec<ConnectionCode>>>,
    /// The weights that are a function of others.
    mapped: Vec<Mapped>,
    /// The connections with delays of their synapses, with their indices.
    delayed: Vec<(usize, Delayed)>,
    /// The weights of their taps.
    pub(crate) tables: Vec<Vec<R>>,
    /// The part of the training that is done.
    progress: f64,
    /// For each layer the rows of its ports, their adjoints, its first spike output and its adjoint.
    pub(crate) ports: Vec<Vec<Option<SlotId>>>,
    pub(crate) port_adjoints: Vec<Vec<Option<SlotId>>>,
    pub(crate) spikes: Vec<Option<SlotId>>,
    pub(crate) spike_adjoints: Vec<Option<SlotId>>,
    /// For each layer whether where the gradients of its spikes go on decides what is computed.
    pub(crate) masked: Vec<bool>,
    /// The layers that run together, in order.
    pub(crate) parts: Vec<Vec<usize>>,
    /// For each parameter that is the weights of a connection inside of a part its transpose; else empty.
    pub(crate) transposed: Vec<Aligned<R>>,
    /// The same for the tables of taps.
    pub(crate) transposed_tables: Vec<Aligned<R>>,
    /// For each parameter that is weights which are gathered from step by step a copy that starts at a
    /// cache line; else empty.
    pub(crate) aligned: Vec<Aligned<R>>,
    /// For each parameter that is weights which are gathered from for all steps at once a copy in panels of columns; else
    /// empty. All groups read the same.
    pub(crate) panels: Vec<Aligned<R>>,
    /// The longest delay of the connections that start at each layer and input.
    pub(crate) longest_delays: LongestDelays,
    /// For each layer and each state of its neuron what connections carry of it.
    pub(crate) sent_states: Vec<Vec<Option<SentState>>>,
    /// The dropouts of its connections.
    pub(crate) dropouts: Vec<Dropout>,
    /// Its normalisations, and what they normalise by at evaluation.
    pub(crate) norms: Vec<Norm>,
    pub(crate) centres: Vec<Centre<R>>,
    pub(crate) time: TimePlan,
    /// Whether every state is looked at after every step.
    check_finite: bool,
    pub(crate) arch: Arch,
    pub(crate) pool: parallel::Pool<GroupState<R>>,
    /// Sums of gradients that are kept from batch to batch.
    sums: parallel::Pool<GradientSum<R>>,
    /// Gradients that were given back.
    used: parallel::Pool<Vec<Vec<R>>>,
}

/// What a batch gave: one probe for each group in order, and the gradient if a backward ran.
pub struct Outcome<R, P> {
    /// The probes.
    pub probes: Vec<P>,
    /// The gradient of every parameter in the inside layout; empty for parameters without gradient.
    pub gradients: Vec<Vec<R>>,
    /// Spikes per layer, summed over the batch.
    pub spikes: Vec<u64>,
    /// Running averages after this batch: positions among the parameters, and their new values. Only a training
    /// step has any; it is for the caller to set them.
    pub running: Vec<(usize, Vec<R>)>,
}

impl<R: Float> Simulator<R> {
    /// Compiles a network. Parameters are zero until [`Simulator::set_parameters`].
    ///
    /// # Errors
    ///
    /// A mistake of the compiler, or a machine that code cannot be made for.
    pub fn new(
        network: &Network,
        backend: Backend,
        gradients: Gradients,
    ) -> Result<Simulator<R>, RuntimeError> {
        Simulator::with_tape(network, backend, gradients, Numbers::Whole)
    }

    /// The same, with numbers kept for the backward as `tape` says.
    ///
    /// # Errors
    ///
    /// As [`Simulator::new`].
    pub fn with_tape(
        network: &Network,
        backend: Backend,
        gradients: Gradients,
        tape: Numbers,
    ) -> Result<Simulator<R>, RuntimeError> {
        let mut layers = Vec::new();
        for layer in &network.layers {
            let trained = |name: &str| {
                let parameter = layer.neuron.params.iter().find(|p| p.name == name);
                gradients == Gradients::All || parameter.is_some_and(|p| p.learn.is_some())
            };
            let wanted = Wanted {
                params: &trained,
                tape,
            };
            layers.push(LayerCode::new(layer, backend, wanted)?);
        }
        let specs = specs(network);
        let dropouts = Dropout::all(network);
        let norms = Norm::all(network, &specs);
        let parts = parts(network);
        check_norms(network, &parts)?;
        let delayed = Delayed::all(network, &specs);
        let connections = |taps: Taps| -> Vec<Vec<ConnectionCode>> {
            (0..layers.len())
                .map(|l| {
                    let drawn = (&dropouts[..], &norms[..]);
                    incoming(network, l, &specs, drawn, (&delayed, taps), gradients)
                })
                .collect()
        };
        let learned = delayed.iter().any(|(_, d)| d.delays.learned);
        let evaluated = learned.then(|| connections(Taps::Rounded));
        let incoming = connections(Taps::Spread);
        let masks = |l: usize, c: &ConnectionCode| {
            // Up to the first normalisation, if there is one, adjoints go back as through a connection of its own.
            let (dense, outputs) = match c.chain.norms().next() {
                None => (c.dense, network.layers[l].size()),
                Some((stage, _)) => (
                    c.chain.stretch(0..stage).only_dense(),
                    c.chain.stages[stage].inputs(),
                ),
            };
            dense.is_some() && choice::can_mask(outputs)
        };
        let masked = |from: usize| {
            let mut to = incoming.iter().enumerate();
            to.any(|(l, all)| {
                all.iter()
                    .any(|c| c.from == Source::Layer(from) && masks(l, c))
            })
        };
        let masked = (0..layers.len()).map(masked).collect();
        let slots = |l: usize, adjoint: bool| {
            let ports = network.layers[l].neuron.ports.iter();
            ports
                .map(|p| layer_slot(&layers[l], Role::Port, &p.name, adjoint))
                .collect::<Vec<_>>()
        };
        let spike = |l: usize, adjoint: bool| {
            let name = network.layers[l].neuron.spikes.first()?;
            layer_slot(&layers[l], Role::Spike, name, adjoint)
        };
        let all = 0..layers.len();
        Ok(Simulator {
            incoming,
            dropouts,
            centres: Vec::new(),
            norms,
            evaluated,
            tables: vec![Vec::new(); Delayed::count(&delayed)],
            mapped: Mapped::all(network, &specs, backend)?,
            transposed_tables: (0..Delayed::count(&delayed))
                .map(|_| Aligned::new())
                .collect(),
            delayed,
            progress: 0.0,
            ports: all.clone().map(|l| slots(l, false)).collect(),
            port_adjoints: all.clone().map(|l| slots(l, true)).collect(),
            spikes: all.clone().map(|l| spike(l, false)).collect(),
            spike_adjoints: all.map(|l| spike(l, true)).collect(),
            masked,
            parts,
            transposed: specs.iter().map(|_| Aligned::new()).collect(),
            aligned: specs.iter().map(|_| Aligned::new()).collect(),
            panels: specs.iter().map(|_| Aligned::new()).collect(),
            longest_delays: LongestDelays::new(network),
            sent_states: SentState::all(network, &layers),
            time: TimePlan::default(),
            check_finite: false,
            network: network.clone(),
            layers,
            parameters: Parameters::zeros(specs),
            arch: Arch::new(),
            pool: parallel::Pool::default(),
            sums: parallel::Pool::default(),
            used: parallel::Pool::default(),
        })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The kernels of a layer.
    pub fn stages(&self, layer: usize) -> &Stages {
        &self.layers[layer].stages
    }

    /// What a layer's kernels read that is constant in time, after the prologue: one number for each slot, or
    /// one for each neuron.
    pub fn constants(&self, layer: usize) -> Vec<(Slot, Vec<R>)> {
        self.layers[layer].constants()
    }

    /// The initial value of each state of a layer by name: one number, or one for each neuron.
    pub fn initial_states(&self, layer: usize) -> Vec<(String, Vec<R>)> {
        self.layers[layer].initial()
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    /// How gradients go back in time.
    pub fn time(&self) -> TimePlan {
        self.time
    }

    /// Sets how gradients go back in time and what is kept for them.
    pub fn set_time(&mut self, time: TimePlan) {
        self.time = TimePlan {
            group: time.group.clamp(1, GROUP),
            ..time
        };
    }

    /// Sets whether every state is looked at after every step: the first one that is not finite ends a run with
    /// [`RuntimeError::NonFinite`].
    pub fn check_finite(&mut self, check: bool) {
        self.check_finite = check;
    }

    /// Sets all parameters and runs the prologues.
    ///
    /// # Errors
    ///
    /// A mistake of the compiler.
    pub fn set_parameters(&mut self, parameters: Parameters<R>) -> Result<(), RuntimeError> {
        self.parameters = parameters;
        self.run_prologues()
    }

    /// Changes parameters in place and runs the prologues.
    ///
    /// # Errors
    ///
    /// A mistake of the compiler.
    pub fn update_parameters(
        &mut self,
        change: impl FnOnce(&mut Parameters<R>),
    ) -> Result<(), RuntimeError> {
        change(&mut self.parameters);
        self.run_prologues()
    }

    fn run_prologues(&mut self) -> Result<(), RuntimeError> {
        for mapped in &mut self.mapped {
            mapped.apply(&mut self.parameters.values)?;
        }
        for (l, code) in self.layers.iter_mut().enumerate() {
            let mut values: Vec<(&str, &[R])> = Vec::new();
            for (spec, value) in self.parameters.specs.iter().zip(&self.parameters.values) {
                if let Owner::Neuron(layer, p) = spec.owner
                    && layer == l
                {
                    values.push((&self.network.layers[l].neuron.params[p].name, value));
                }
            }
            code.set_parameters(&values, GROUP)?;
        }
        self.fill_tables();
        self.copy_weights();
        let values = &self.parameters.values;
        let centres = self.norms.iter().map(|n| n.running_centre(values));
        self.centres = centres.collect();
        Ok(())
    }

    /// Says which part of a training is done, from 0 to 1: it decides how far delays that are learned are spread
    /// when gradients are computed.
    pub fn set_progress(&mut self, progress: f64) {
        if self.progress != progress {
            self.progress = progress;
            self.fill_tables();
        }
    }

    /// The weights of the taps of delays, from those of their connections.
    fn fill_tables(&mut self) {
        let parameters = &self.parameters.values;
        for (_, delayed) in &mut self.delayed {
            delayed.fill(parameters, self.progress, &mut self.tables);
        }
        let evaluated = self.evaluated.iter_mut().flatten().flatten();
        let rounded = evaluated.map(|code| (code, Taps::Rounded));
        let incoming = self.incoming.iter_mut().flatten();
        for (code, taps) in incoming.map(|code| (code, Taps::Spread)).chain(rounded) {
            if let Some((index, tap)) = code.tap {
                code.chain = self.delayed[index].1.chain(taps, tap);
            }
        }
        for part in &self.parts {
            for (l, code) in part
                .iter()
                .flat_map(|&l| self.incoming[l].iter().map(move |c| (l, c)))
            {
                if let (Some(table), Some(_)) = (code.dense, code.tap)
                    && code.inside(part)
                {
                    let n = self.layers[l].n;
                    transpose(&self.tables[table], n, &mut self.transposed_tables[table]);
                }
            }
        }
    }

    /// For each layer the connections that end there.
    pub(crate) fn connections(&self, pass: Pass) -> &[Vec<ConnectionCode>] {
        match (pass, &self.evaluated) {
            (Pass::Infer, Some(evaluated)) => evaluated,
            (Pass::Infer, None) | (Pass::Forward | Pass::Backward, _) => &self.incoming,
        }
    }

    /// The numbers that the weights of a connection are among.
    pub(crate) fn numbers(&self, connection: &ConnectionCode) -> &[Vec<R>] {
        match connection.tap {
            None => &self.parameters.values,
            Some(_) => &self.tables,
        }
    }

    /// Copies the weights that are read at every step: for the forward to a cache line or in panels, for the backward
    /// transposed.
    fn copy_weights(&mut self) {
        for part in &self.parts {
            for &l in part {
                for connection in &self.incoming[l] {
                    let (Some(index), None) = (connection.dense, connection.tap) else {
                        continue;
                    };
                    let weights = &self.parameters.values[index];
                    let n = self.layers[l].n;
                    if connection.inside(part) {
                        transpose(weights, n, &mut self.transposed[index]);
                    }
                    if connection.inside(part) || choice::cached(weights.len() * size_of::<R>()) {
                        self.aligned[index].copy_from(weights);
                    } else if !matches!(connection.from, Source::State(..)) {
                        copy_panels(weights, n, &mut self.panels[index]);
                    }
                }
            }
        }
    }

    /// Where step `t` of a group is in a row of a layer.
    pub(crate) fn at_step(
        &self,
        group: &GroupState<R>,
        layer: usize,
        slot: SlotId,
        t: usize,
    ) -> Range<usize> {
        let code = &self.layers[layer];
        let before = group.layers[layer].before;
        code.at_step(slot, t, group.frame, before, group.samples * code.n)
    }

    /// The row of a state of a layer.
    pub fn state_slot(&self, layer: usize, state: &str) -> Option<SlotId> {
        layer_slot(&self.layers[layer], Role::State, state, false)
    }

    /// The row of a spike output of a layer.
    pub fn spike_slot(&self, layer: usize, spike: &str) -> Option<SlotId> {
        layer_slot(&self.layers[layer], Role::Spike, spike, false)
    }

    /// The row of a port of a layer.
    pub fn port_slot(&self, layer: usize, port: &str) -> Option<SlotId> {
        layer_slot(&self.layers[layer], Role::Port, port, false)
    }

    /// The row of the adjoint of a state, spike or port; `None` if no gradient depends on it.
    pub fn adjoint_slot(&self, layer: usize, role: Role, name: &str) -> Option<SlotId> {
        layer_slot(&self.layers[layer], role, name, true)
    }

    /// Runs a batch forward without gradients; a probe is made for each group of samples from the range of
    /// its samples.
    ///
    /// # Errors
    ///
    /// The batch does not fit the network.
    pub fn infer<P: Probe<R>>(
        &self,
        batch: &Batch<'_, R>,
        threads: usize,
        probe: impl Fn(Range<usize>) -> P + Sync,
    ) -> Result<Outcome<R, P>, RuntimeError> {
        self.run(
            batch,
            threads,
            probe,
            Mode::new(Pass::Infer, self.check_finite),
        )
    }

    /// Runs a batch forward and backward.
    ///
    /// # Errors
    ///
    /// The batch does not fit the network.
    pub fn differentiate<P: Probe<R>>(
        &self,
        batch: &Batch<'_, R>,
        threads: usize,
        probe: impl Fn(Range<usize>) -> P + Sync,
    ) -> Result<Outcome<R, P>, RuntimeError> {
        self.run(
            batch,
            threads,
            probe,
            Mode::new(Pass::Forward, self.check_finite),
        )
    }

    pub(crate) fn run<P: Probe<R>>(
        &self,
        batch: &Batch<'_, R>,
        threads: usize,
        probe: impl Fn(Range<usize>) -> P + Sync,
        mode: Mode,
    ) -> Result<Outcome<R, P>, RuntimeError> {
        self.check(batch)?;
        let pass = mode.pass;
        let size = self.time.samples(batch.samples);
        let groups: Vec<_> = (0..batch.samples)
            .step_by(size)
            .map(|g| g..(g + size).min(batch.samples))
            .collect();
        let sums = groups.len().clamp(1, MOST_SUMS);
        let work = |thread: usize, s: usize| {
            let mut state = self
                .pool
                .take(thread)
                .unwrap_or_else(|| GroupState::new(self));
            let mut sum = self.cleared_sum(thread, pass);
            let mut probes = Vec::new();
            for range in groups.iter().skip(s).step_by(sums) {
                let mut probe = probe(range.clone());
                state.run(self, batch, range.clone(), &mut probe, &mut sum, mode)?;
                probes.push(probe);
            }
            self.pool.give(thread, state);
            Ok((probes, sum))
        };
        let (dealt, total, running) = match pass {
            Pass::Forward if !self.norms.is_empty() => {
                if self.time.truncate.is_some() {
                    return Err(RuntimeError::Input(
                        "a gradient that is cut in time cannot go through a normalisation, whose means are over all steps".into(),
                    ));
                }
                let (results, running) =
                    self.run_in_phases(batch, &groups, (sums, threads), probe, mode)?;
                let (dealt, mut parts): (Vec<_>, Vec<_>) = results.into_iter().unzip();
                let (first, others) = parts.split_at_mut(1);
                first[0].add(others, threads);
                let mut parts = parts.into_iter();
                let total = parts.next();
                parts
                    .enumerate()
                    .for_each(|(s, sum)| self.keep_sum(1 + s, sum, pass));
                (dealt, total, running)
            }
            Pass::Infer | Pass::Forward | Pass::Backward => {
                let fold = |thread: usize, total: &mut GradientSum<R>, sum: GradientSum<R>| {
                    total.add(std::slice::from_ref(&sum), 1);
                    self.keep_sum(thread, sum, pass);
                };
                let (dealt, total) = parallel::map_and_fold(sums, threads, work, fold)?;
                (dealt, total, Vec::new())
            }
        };
        let mut dealt: Vec<_> = dealt.into_iter().map(Vec::into_iter).collect();
        let mut probes = Vec::with_capacity(groups.len());
        for g in 0..groups.len() {
            probes.extend(dealt[g % sums].next());
        }
        let total = total.unwrap_or_else(|| self.empty_sum(pass));
        let spikes = total.spikes.clone();
        let gradients = if pass == Pass::Forward {
            self.gradients(&total)?
        } else {
            Vec::new()
        };
        self.keep_sum(0, total, pass);
        Ok(Outcome {
            probes,
            gradients,
            spikes,
            running,
        })
    }

    /// Takes gradients that are not needed any more: the next ones are written into their memory.
    pub fn reuse(&self, gradients: Vec<Vec<R>>) {
        if self.used.is_empty() {
            self.used.give(0, gradients);
        }
    }

    /// Keeps the memory of a sum of a backward for the next one.
    fn keep_sum(&self, place: usize, sum: GradientSum<R>, pass: Pass) {
        if pass == Pass::Forward {
            self.sums.give(place, sum);
        }
    }

    /// A sum that begins at zero; for a backward one that was kept, if there is any, best one of the same place. Memory
    /// that is asked for anew is touched page by page, which takes longer than adding to it.
    pub(crate) fn cleared_sum(&self, place: usize, pass: Pass) -> GradientSum<R> {
        let kept = (pass == Pass::Forward)
            .then(|| self.sums.take(place))
            .flatten();
        match kept {
            Some(mut sum) => {
                sum.clear();
                sum
            }
            None => self.empty_sum(pass),
        }
    }

    /// Whether the events of some samples are on channels that there are. Every group looks at its own: they are many, and
    /// in the cache afterwards.
    pub(crate) fn check_events(
        &self,
        batch: &Batch<'_, R>,
        samples: Range<usize>,
    ) -> Result<(), RuntimeError> {
        for (population, inputs) in self.network.inputs.iter().zip(&batch.inputs) {
            let channels: usize = population.shape.iter().product();
            for b in samples.clone() {
                if let Some(channel) = inputs.get(b).and_then(|events| events.beyond(channels)) {
                    let name = &population.name;
                    return Err(RuntimeError::Input(format!(
                        "sample {b} has an event on channel {channel}, but `{name}` has {channels} channels"
                    )));
                }
            }
        }
        Ok(())
    }

    fn check(&self, batch: &Batch<'_, R>) -> Result<(), RuntimeError> {
        for injection in &batch.injections {
            let expected = [batch.steps, batch.samples, self.layers[injection.layer].n];
            if injection.values.shape() != expected {
                let found = injection.values.shape();
                return Err(RuntimeError::Input(format!(
                    "an input has shape {found:?}, expected {expected:?}"
                )));
            }
        }
        for initial in &batch.initial {
            let expected = [batch.samples, self.layers[initial.layer].n];
            if initial.values.shape() != expected {
                let (name, found) = (&initial.state, initial.values.shape());
                return Err(RuntimeError::Input(format!(
                    "`init.{name}` has shape {found:?}, expected {expected:?}"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn empty_sum(&self, pass: Pass) -> GradientSum<R> {
        let mut connections = vec![Vec::new(); self.parameters.specs.len()];
        let mut tables = vec![Vec::new(); self.tables.len()];
        if pass == Pass::Forward {
            for connection in self.incoming.iter().flatten().filter(|c| c.trained) {
                let numbers = self.numbers(connection);
                let sums = match connection.tap {
                    None => &mut connections,
                    Some(_) => &mut tables,
                };
                for index in connection.chain.parameters() {
                    sums[index] = vec![R::ZERO; numbers[index].len()];
                }
                if let Some(bias) = connection.bias {
                    connections[bias] = vec![R::ZERO; self.parameters.values[bias].len()];
                }
            }
        }
        let collected = self
            .layers
            .iter()
            .map(|l| vec![vec![0.0; l.n]; l.collected().len()])
            .collect();
        let initial = self
            .layers
            .iter()
            .zip(&self.network.layers)
            .map(|(code, layer)| {
                let slots = layer
                    .neuron
                    .states
                    .iter()
                    .map(|s| Slot::new(Role::Init, s.name.as_str()).adjoint());
                slots.map(|slot| (slot, vec![0.0; code.n])).collect()
            });
        GradientSum {
            connections,
            tables,
            collected,
            initial: initial.collect(),
            spikes: vec![0; self.layers.len()],
        }
    }

    /// Sums to gradients: what was collected goes through the prologues.
    fn gradients(&self, total: &GradientSum<R>) -> Result<Vec<Vec<R>>, RuntimeError> {
        let mut gradients = self.used.take(0).unwrap_or_default();
        gradients.clone_from(&total.connections);
        for (index, (_, delayed)) in self.delayed.iter().enumerate() {
            let mut taps = self.incoming.iter().flatten();
            let of_connection = |c: &&ConnectionCode| c.tap == Some((index, 0)) && c.trained;
            if taps.any(|c| of_connection(&c)) {
                let values = &self.parameters.values;
                let [weight, delay] = delayed.gradients(values, self.progress, &total.tables);
                gradients[delayed.weight] = weight;
                gradients[delayed.delay] = delay;
            }
        }
        for mapped in &self.mapped {
            mapped.pull_back(&mut gradients);
        }
        self.remove_self_connections(&mut gradients);
        for (l, code) in self.layers.iter().enumerate() {
            let of_layer = code.parameter_gradients(&total.collected[l], &total.initial[l])?;
            for (p, gradient) in of_layer.into_iter().enumerate() {
                let owner = Owner::Neuron(l, p);
                if let Some(index) = self.parameters.specs.iter().position(|s| s.owner == owner) {
                    gradients[index] = gradient.into_iter().map(R::from_f64).collect();
                }
            }
        }
        Ok(gradients)
    }

    /// Weights of neurons to themselves that are left out stay zero.
    fn remove_self_connections(&self, gradients: &mut [Vec<R>]) {
        for (spec, gradient) in self.parameters.specs.iter().zip(gradients) {
            let Owner::Weight(c, o) = spec.owner else {
                continue;
            };
            let operation = &self.network.connections[c].operations[o];
            if let Synapses::Dense {
                self_connections: false,
            } = operation.synapses
            {
                let diagonal = gradient.iter_mut().step_by(operation.outputs + 1);
                diagonal.for_each(|g| *g = R::ZERO);
            }
        }
    }
}

impl<R: Float> GradientSum<R> {
    /// The gradients that those of the weights of a connection are among.
    pub(crate) fn numbers(&mut self, connection: &ConnectionCode) -> &mut [Vec<R>] {
        match connection.tap {
            None => &mut self.connections,
            Some(_) => &mut self.tables,
        }
    }

    /// Sets all sums to zero.
    fn clear(&mut self) {
        let numbers = self.connections.iter_mut().chain(&mut self.tables);
        numbers.for_each(|sum| sum.fill(R::ZERO));
        let initial = self.initial.iter_mut().flatten().map(|(_, sum)| sum);
        let collected = self.collected.iter_mut().flatten();
        collected.chain(initial).for_each(|sum| sum.fill(0.0));
        self.spikes.fill(0);
    }

    /// Adds others one after the other, each number by itself, so the order is the same on any number of threads.
    fn add(&mut self, others: &[GradientSum<R>], threads: usize) {
        for (k, sum) in self.connections.iter_mut().enumerate() {
            let parts = others.iter().map(|o| &o.connections[k][..]).collect();
            add_numbers(sum, parts, threads);
        }
        for (k, sum) in self.tables.iter_mut().enumerate() {
            let parts = others.iter().map(|o| &o.tables[k][..]).collect();
            add_numbers(sum, parts, threads);
        }
        for other in others {
            self.add_rows(other);
        }
    }

    fn add_rows(&mut self, other: &GradientSum<R>) {
        let initial = self.initial.iter_mut().flatten().map(|(_, sum)| sum);
        let rows = self.collected.iter_mut().flatten().chain(initial);
        let initial = other.initial.iter().flatten().map(|(_, part)| part);
        let parts = other.collected.iter().flatten().chain(initial);
        for (sum, part) in rows.zip(parts) {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        self.spikes
            .iter_mut()
            .zip(&other.spikes)
            .for_each(|(s, p)| *s += p);
    }
}

/// `sum[i] += Σ part[i]`, the parts in order.
fn add_numbers<R: Float>(sum: &mut [R], parts: Vec<&[R]>, threads: usize) {
    parallel::chunks(sum, threads, |start, sum| {
        for part in &parts {
            let part = &part[start..][..sum.len()];
            sum.iter_mut().zip(part).for_each(|(s, &p)| *s = s.add(p));
        }
    });
}

fn layer_slot<R: Float>(
    layer: &LayerCode<R>,
    role: Role,
    name: &str,
    adjoint: bool,
) -> Option<SlotId> {
    let slot = Slot::new(role, name);
    layer.row(&if adjoint { slot.adjoint() } else { slot })
}

/// Normalisations wait for all steps, so none can be inside of a cycle, where one step follows another.
fn check_norms(network: &Network, parts: &[Vec<usize>]) -> Result<(), RuntimeError> {
    for connection in &network.connections {
        let Some(from) = connection.from.layer() else {
            continue;
        };
        let inside = |part: &Vec<usize>| part.contains(&from) && part.contains(&connection.to);
        if connection.normalises() && parts.iter().any(inside) {
            return Err(RuntimeError::Input(format!(
                "`{}` normalises inside of a cycle: its means are over all steps, but each step follows from the one before",
                connection.name
            )));
        }
    }
    Ok(())
}

fn incoming(
    network: &Network,
    l: usize,
    specs: &[ParameterSpec],
    (dropouts, norms): (&[Dropout], &[Norm]),
    (delayed, taps): (&[(usize, Delayed)], Taps),
    gradients: Gradients,
) -> Vec<ConnectionCode> {
    let mut incoming = Vec::new();
    for (c, connection) in network
        .connections
        .iter()
        .enumerate()
        .filter(|(_, c)| c.to == l)
    {
        debug_assert!(network.source_size(connection.from) > 0);
        let code = |chain: Chain, delay: u32, bias: Option<usize>, tap| ConnectionCode {
            from: connection.from,
            port: connection.port,
            delay: delay as usize,
            tap,
            dense: chain.only_dense(),
            bias,
            chain,
            trained: gradients == Gradients::All || !connection.frozen,
        };
        let chain = Chain::new(c, connection, specs, dropouts, norms);
        let bias = chain.last_bias();
        match delayed.iter().position(|(owner, _)| *owner == c) {
            None => incoming.push(code(chain, connection.delay, bias, None)),
            Some(index) => {
                let delayed = &delayed[index].1;
                // The bias is there once, whatever the delays are.
                incoming.extend((0..delayed.delays.taps()).map(|tap| {
                    let delay = delayed.delays.shortest + tap as u32;
                    let bias = bias.filter(|_| tap == 0);
                    code(delayed.chain(taps, tap), delay, bias, Some((index, tap)))
                }));
            }
        }
    }
    incoming
}
