//! The place of every row: in the weights, which never change, or in the state.
//!
//! Rows of numbers are `f32` in the byte order of every target (little-endian) and start at multiples of
//! 16 bytes. Rows of a layer's kernel are as long as it needs them: numbers that nobody reads come last. The state begins with the address of the weights and the number of the step; then come, for
//! each input and layer, its rows. What starts a connection with a delay is kept for as many steps as
//! the longest delay: a *ring* of rows of which a step writes the one of its number.

use rheobase_ir::kernel::{Access, Kernel, Param, Role, Slot};
use rheobase_ir::program::{
    Connection, Delays, Layer, Network, Operation, Pattern, Source, Synapses,
};
use rheobase_ir::types::{Rate, Type};

use super::{Inference, LayerNumbers, OperationNumbers};
use crate::abi::GROUP;

/// What rows are aligned to.
pub(super) const ALIGN: usize = 16;
/// Where the state holds the address of the weights.
pub(super) const WEIGHTS: i32 = 0;
/// Where the state holds the number of the step.
pub(super) const STEP: i32 = 8;
/// Where the rows of the state begin.
pub(super) const ROWS: usize = 16;

/// The last few rows of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    /// Where the first row is in the state.
    pub(super) offset: usize,
    /// From a row to the next.
    pub(super) stride: usize,
    /// The number of rows: the longest delay and one.
    pub(super) rows: usize,
}

/// Where an argument of a kernel is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the weights.
    Constant(usize),
    /// In the state.
    State(usize),
    /// The row of the step in the ring of the layer's spikes.
    Spikes,
}

/// An input population.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputLayout {
    /// The number of channels.
    pub(super) size: usize,
    /// A row for events as numbers.
    pub(super) events: usize,
    /// The numbers of the last steps, if a connection from here has a delay.
    pub(super) ring: Option<Ring>,
}

/// A layer.
#[derive(Clone, Debug)]
pub(super) struct LayerLayout {
    /// The number of neurons.
    pub(super) size: usize,
    /// The row of each port.
    pub(super) ports: Vec<usize>,
    /// Its states, in the order of the neuron.
    pub(super) states: Vec<StateLayout>,
    /// The first spike output: bytes, or numbers.
    pub(super) spikes: Option<Ring>,
    /// Whether the first spike output has numbers.
    pub(super) graded: bool,
    /// The name and the row of further spike outputs, and whether they have numbers.
    pub(super) more_spikes: Vec<(String, usize, bool)>,
    /// The rows of the two words of each neuron's key, if it draws random numbers.
    pub(super) keys: Option<[usize; 2]>,
    /// The arguments of the kernel.
    pub(super) arguments: Vec<Place>,
    /// Those of the kernel that draws initial states.
    pub(super) start: Vec<Place>,
}

/// A state of a layer.
#[derive(Clone, Debug)]
pub(super) struct StateLayout {
    pub(super) name: String,
    pub(super) row: usize,
    /// Its initial values in the weights, if they are not drawn.
    pub(super) initial: Option<usize>,
    /// Its values after the last steps, if a connection from here has a delay.
    pub(super) ring: Option<Ring>,
}

/// An operation of a connection: what it has in the weights.
#[derive(Clone, Debug)]
pub(super) struct OperationLayout {
    /// Its weights.
    pub(super) weight: Option<usize>,
    /// Its bias.
    pub(super) bias: Option<BiasLayout>,
    /// Where the pairs of each source begin, and the target of each pair.
    pub(super) pairs: Option<[usize; 2]>,
    /// The means and factors of a normalisation.
    pub(super) centre: Option<[usize; 2]>,
    /// The synapses by their delays, if they have their own. Then there are no other weights.
    pub(super) taps: Vec<TapLayout>,
}

/// The synapses of one delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct TapLayout {
    /// Steps.
    pub(super) delay: usize,
    /// Where the pairs of each source begin, and the target of each pair.
    pub(super) pairs: [usize; 2],
    /// The weights of the pairs.
    pub(super) weight: usize,
}

/// A bias: each of its numbers is for as many neighbours as there are for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct BiasLayout {
    /// Where it is in the weights.
    pub(super) place: usize,
    /// How many numbers it has.
    pub(super) count: usize,
}

/// The places of everything.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) inputs: Vec<InputLayout>,
    pub(super) layers: Vec<LayerLayout>,
    pub(super) connections: Vec<Vec<OperationLayout>>,
    /// Two rows of the state for what is between the operations of a connection.
    pub(super) scratch: [usize; 2],
    /// A row of the state for the outputs of a convolution.
    pub(super) turned: usize,
    /// The place of what random numbers depend on, if anything is drawn.
    pub(super) random: Option<Random>,
    /// The weights themselves.
    pub(super) weights: Vec<u8>,
    /// The bytes of the state.
    pub(super) state_bytes: usize,
}

/// What random numbers depend on beside the neuron.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random {
    /// The key of the sample, 64 bits.
    pub(super) key: usize,
    /// The word of the step.
    pub(super) step: usize,
}

/// A block that is being filled.
struct Block {
    used: usize,
}

impl Block {
    /// Room for so many bytes.
    fn room(&mut self, bytes: usize) -> usize {
        let place = self.used;
        self.used += bytes.next_multiple_of(ALIGN);
        place
    }

    fn numbers(&mut self, n: usize) -> usize {
        self.room(n * size_of::<f32>())
    }

    /// Room for a number of each neuron.
    fn lanes(&mut self, n: usize) -> usize {
        self.numbers(padded(n))
    }

    fn ring(&mut self, row_bytes: usize, longest_delay: usize) -> Ring {
        let stride = row_bytes.next_multiple_of(ALIGN);
        let rows = longest_delay + 1;
        Ring {
            offset: self.room(stride * rows),
            stride,
            rows,
        }
    }
}

impl Layout {
    /// Lays out a network.
    pub(super) fn new(network: &Network, inference: &Inference) -> Layout {
        let mut weights = Vec::new();
        let mut state = Block { used: ROWS };
        let connections = network.connections.iter().zip(&inference.connections);
        let connections = connections
            .map(|(connection, numbers)| {
                let operations = connection.operations.iter().zip(&numbers.operations);
                let delays = connection.delays.as_ref();
                operations
                    .map(|(operation, numbers)| {
                        operation_layout(operation, numbers, delays, &mut weights)
                    })
                    .collect()
            })
            .collect();
        let [between, turned] = scratch(network);
        let scratch = [(); 2].map(|()| state.numbers(between));
        let turned = state.numbers(turned);
        let longest = |from: Source| {
            let delays = network.connections.iter().filter(|c| c.from == from);
            let longest = |c: &Connection| c.delays.as_ref().map_or(c.delay, |d| d.longest);
            delays.map(|c| longest(c) as usize).max().unwrap_or(0)
        };
        let draws = inference.layers.iter().any(LayerNumbers::draws);
        let random = draws.then(|| Random {
            key: state.room(size_of::<u64>()),
            step: state.room(size_of::<u32>()),
        });
        let inputs = network
            .inputs
            .iter()
            .enumerate()
            .map(|(i, input)| {
                let size = input.shape.iter().product();
                let longest = longest(Source::Input(i));
                InputLayout {
                    size,
                    events: state.numbers(size),
                    ring: (longest > 0).then(|| state.ring(size * size_of::<f32>(), longest)),
                }
            })
            .collect();
        let mut layers = Vec::new();
        for (l, (layer, numbers)) in network.layers.iter().zip(&inference.layers).enumerate() {
            let own = (layer, numbers);
            let longest = |state: Option<usize>| match state {
                None => longest(Source::Layer(l)),
                Some(s) => longest(Source::State(l, s)),
            };
            layers.push(layer_layout(
                own,
                &longest,
                random,
                &mut weights,
                &mut state,
            ));
        }
        Layout {
            inputs,
            layers,
            connections,
            scratch,
            turned,
            random,
            weights,
            state_bytes: state.used,
        }
    }
}

impl LayerNumbers {
    /// Whether anything is drawn.
    fn draws(&self) -> bool {
        let kernels = [&self.kernel, &self.start];
        let mut inputs = kernels.into_iter().flat_map(Kernel::inputs);
        inputs.any(|(_, input)| input.slot.role == Role::Key)
    }
}

/// Whether a connection is one dense operation, which reads spikes as they are.
pub(super) fn is_dense(connection: &Connection) -> bool {
    let [only] = &connection.operations[..] else {
        return false;
    };
    matches!(only.synapses, Synapses::Dense { .. }) && connection.delays.is_none()
}

/// The longest row before or between the operations of the other connections, and the longest output of a
/// convolution.
fn scratch(network: &Network) -> [usize; 2] {
    let (mut between, mut turned) = (0, 0);
    for connection in network.connections.iter().filter(|c| !is_dense(c)) {
        for operation in &connection.operations {
            between = between.max(operation.inputs);
            if matches!(operation.synapses, Synapses::Convolution(_)) {
                turned = turned.max(operation.outputs);
            }
        }
    }
    [between, turned]
}

fn operation_layout(
    operation: &Operation,
    numbers: &OperationNumbers,
    delays: Option<&Delays>,
    weights: &mut Vec<u8>,
) -> OperationLayout {
    if let (Some(delays), Some(steps)) = (delays, &numbers.delay) {
        return tapped(operation, numbers, (delays, steps), weights);
    }
    let mut row = |values: &Vec<f32>| append(weights, values);
    let weight = numbers.weight.as_ref().map(&mut row);
    let bias = numbers.bias.as_ref().map(|bias| BiasLayout {
        place: row(bias),
        count: bias.len(),
    });
    let centre = numbers.centre.as_ref();
    let centre = centre.map(|rows| rows.each_ref().map(&mut row));
    let pattern = operation.pattern();
    let pairs = pattern.map(|pattern| by_source(&pattern, operation.inputs));
    let pairs = pairs.map(|pairs| pairs.map(|numbers| append_words(weights, &numbers)));
    OperationLayout {
        weight,
        bias,
        pairs,
        centre,
        taps: Vec::new(),
    }
}

/// An operation whose synapses have their own delays: the pairs of each delay that any of them has.
fn tapped(
    operation: &Operation,
    numbers: &OperationNumbers,
    (delays, steps): (&Delays, &[f32]),
    weights: &mut Vec<u8>,
) -> OperationLayout {
    let own = numbers.weight.as_deref().unwrap_or_default();
    let mut taps = Vec::new();
    for tap in 0..delays.taps() {
        let (mut offsets, mut targets, mut kept) = (vec![0], Vec::new(), Vec::new());
        for of_source in synapses(operation) {
            for (place, target) in of_source {
                if delays.tap(f64::from(steps[place])) == tap {
                    targets.push(target);
                    kept.push(own[place]);
                }
            }
            offsets.push(targets.len() as u32);
        }
        if !targets.is_empty() {
            taps.push(TapLayout {
                delay: delays.shortest as usize + tap,
                pairs: [offsets, targets].map(|words| append_words(weights, &words)),
                weight: append(weights, &kept),
            });
        }
    }
    let bias = numbers.bias.as_ref().map(|bias| BiasLayout {
        place: append(weights, bias),
        count: bias.len(),
    });
    OperationLayout {
        weight: None,
        bias,
        pairs: None,
        centre: None,
        taps,
    }
}

/// The synapses of each source of an operation: where their weight is, and their target.
fn synapses(operation: &Operation) -> Vec<Vec<(usize, u32)>> {
    let (inputs, outputs) = (operation.inputs, operation.outputs);
    if let Some(pattern) = operation.pattern() {
        let [offsets, targets] = by_source(&pattern, inputs);
        let of_source = |ends: &[u32]| {
            let places = ends[0] as usize..ends[1] as usize;
            places.map(|place| (place, targets[place])).collect()
        };
        return offsets.windows(2).map(of_source).collect();
    }
    let own = matches!(operation.synapses, Synapses::OneToOne);
    let source = |i: usize| match own {
        true => vec![(i, i as u32)],
        false => (0..outputs).map(|j| (i * outputs + j, j as u32)).collect(),
    };
    (0..inputs).map(source).collect()
}

/// The pairs of a sparse operation source by source, as their weights stand: where each source begins, and
/// one more for the end; the targets.
fn by_source(pattern: &Pattern, inputs: usize) -> [Vec<u32>; 2] {
    let mut of_source = vec![Vec::new(); inputs];
    for (target, ends) in pattern.offsets.windows(2).enumerate() {
        for source in &pattern.columns[ends[0] as usize..ends[1] as usize] {
            of_source[*source as usize].push(target as u32);
        }
    }
    let mut offsets = vec![0];
    offsets.extend(of_source.iter().scan(0, |end, targets| {
        *end += targets.len() as u32;
        Some(*end)
    }));
    [offsets, of_source.concat()]
}

/// `longest` is the longest delay of a connection that starts at a state of the layer or at its spikes.
fn layer_layout(
    (layer, numbers): (&Layer, &LayerNumbers),
    longest: &dyn Fn(Option<usize>) -> usize,
    random: Option<Random>,
    weights: &mut Vec<u8>,
    state: &mut Block,
) -> LayerLayout {
    let (neuron, size) = (&layer.neuron, layer.size());
    let ports = neuron.ports.iter().map(|_| state.lanes(size)).collect();
    let mut states = Vec::new();
    for (s, variable) in neuron.states.iter().enumerate() {
        let initial = numbers.initial.iter().find(|(n, _)| *n == variable.name);
        let longest = longest(Some(s));
        states.push(StateLayout {
            name: variable.name.clone(),
            row: state.lanes(size),
            initial: initial.map(|(_, initial)| append(weights, &spread(initial, size))),
            ring: (longest > 0).then(|| state.ring(size * size_of::<f32>(), longest)),
        });
    }
    let graded = |name: &str| {
        let output = numbers.kernel.output(&Slot::new(Role::Spike, name));
        output.is_some_and(|o| numbers.kernel.ty(o.value) == Type::Real)
    };
    let bytes = |name: &str| padded(size) * if graded(name) { size_of::<f32>() } else { 1 };
    let first = neuron.spikes.first();
    let more = neuron.spikes.iter().skip(1);
    let mut layout = LayerLayout {
        size,
        ports,
        states,
        spikes: first.map(|name| state.ring(bytes(name), longest(None))),
        graded: first.is_some_and(|name| graded(name)),
        more_spikes: more
            .map(|name| (name.clone(), state.room(bytes(name)), graded(name)))
            .collect(),
        keys: numbers.draws().then(|| [(); 2].map(|()| state.lanes(size))),
        arguments: Vec::new(),
        start: Vec::new(),
    };
    let places = |kernel: &Kernel, weights: &mut Vec<u8>| {
        arguments(layer, kernel, numbers, (&layout, random), weights)
    };
    let (own, start) = (
        places(&numbers.kernel, weights),
        places(&numbers.start, weights),
    );
    layout.arguments = own;
    layout.start = start;
    layout
}

/// The place of each argument of a kernel of a layer.
fn arguments(
    layer: &Layer,
    kernel: &Kernel,
    numbers: &LayerNumbers,
    (layout, random): (&LayerLayout, Option<Random>),
    weights: &mut Vec<u8>,
) -> Vec<Place> {
    let neuron = &layer.neuron;
    let state = |name: &str| {
        let state = layout.states.iter().find(|state| state.name == name);
        Place::State(state.expect("a kernel has states of its neuron").row)
    };
    let mut place = |param: &Param| {
        let name = &param.slot.name;
        match param.slot.role {
            // What the kernel of initial states draws goes where the states are.
            Role::Init if param.access != Access::Read => state(name),
            Role::Param | Role::Derived | Role::Init | Role::Saved => {
                let values = constant(numbers, &param.slot);
                let values = match param.rate {
                    Rate::Uniform => values.to_vec(),
                    Rate::Lane => spread(values, layout.size),
                };
                Place::Constant(append(weights, &values))
            }
            Role::Key => {
                let keys = layout.keys.expect("a layer that draws has keys");
                let random = random.expect("a network that draws has a key");
                Place::State(match name.as_str() {
                    "a" => keys[0],
                    "b" => keys[1],
                    _ => random.step,
                })
            }
            Role::Port => {
                let port = neuron.ports.iter().position(|port| port.name == *name);
                Place::State(layout.ports[port.expect("a kernel reads ports of its neuron")])
            }
            Role::State => state(name),
            Role::Spike => {
                let more = layout.more_spikes.iter().find(|(spike, ..)| spike == name);
                more.map_or(Place::Spikes, |(_, row, _)| Place::State(*row))
            }
        }
    };
    kernel.signature().iter().map(&mut place).collect()
}

fn constant<'n>(numbers: &'n LayerNumbers, slot: &Slot) -> &'n [f32] {
    let constant = numbers.constants.iter().find(|(known, _)| known == slot);
    &constant
        .expect("the prologue has a value for each constant")
        .1
}

/// One number for each neuron, and the last of them again until the row is as long as kernels need it.
fn spread(values: &[f32], n: usize) -> Vec<f32> {
    let last = values.last().copied().unwrap_or_default();
    let mut row = values.to_vec();
    row.resize(padded(n), last);
    row
}

/// The lanes that a kernel computes for so many neurons.
pub(super) const fn padded(n: usize) -> usize {
    n.next_multiple_of(GROUP)
}

/// Adds a row to the weights; gives its place.
fn append(weights: &mut Vec<u8>, values: &[f32]) -> usize {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    append_bytes(weights, &bytes)
}

/// Adds a row of whole numbers to the weights; gives its place.
fn append_words(weights: &mut Vec<u8>, words: &[u32]) -> usize {
    let bytes: Vec<u8> = words.iter().flat_map(|x| x.to_le_bytes()).collect();
    append_bytes(weights, &bytes)
}

fn append_bytes(weights: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let place = weights.len();
    weights.extend(bytes);
    weights.resize(weights.len().next_multiple_of(ALIGN), 0);
    place
}
