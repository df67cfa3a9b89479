//! The place of every row: in the weights, which never change, or in the state.
//!
//! Rows of numbers are `f32` in the byte order of every target (little-endian) and start at multiples of
//! 16 bytes. The state begins with the address of the weights and the number of the step; then come, for
//! each input and layer, its rows. What starts a connection with a delay is kept for as many steps as
//! the longest delay: a *ring* of rows of which a step writes the one of its number.

use rheobase_ir::kernel::{Kernel, Role, Slot};
use rheobase_ir::program::{Connection, Layer, Network, Operation, Pattern, Source, Synapses};
use rheobase_ir::types::{Rate, Type};

use super::{Inference, LayerNumbers, ObjectError, OperationNumbers};

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
    /// The name and the row of each state, the row of its initial values in the weights.
    pub(super) states: Vec<(String, usize, usize)>,
    /// The bytes of the first spike output.
    pub(super) spikes: Option<Ring>,
    /// The name and the row of bytes of further spike outputs.
    pub(super) more_spikes: Vec<(String, usize)>,
    /// The arguments of the kernel.
    pub(super) arguments: Vec<Place>,
}

/// An operation of a connection: what it has in the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct OperationLayout {
    /// Its weights.
    pub(super) weight: Option<usize>,
    /// Its bias.
    pub(super) bias: Option<BiasLayout>,
    /// Where the pairs of each source begin, and the target of each pair.
    pub(super) pairs: Option<[usize; 2]>,
    /// The means and factors of a normalisation.
    pub(super) centre: Option<[usize; 2]>,
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
    /// The weights themselves.
    pub(super) weights: Vec<u8>,
    /// The bytes of the state.
    pub(super) state_bytes: usize,
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
    ///
    /// # Errors
    ///
    /// It has something that object files do not have.
    pub(super) fn new(network: &Network, inference: &Inference) -> Result<Layout, ObjectError> {
        if let Some(graded) = network.connections.iter().find(|c| match c.from {
            Source::Input(_) | Source::Layer(_) => false,
            Source::State(..) => true,
        }) {
            return Err(ObjectError::Unsupported {
                what: format!(
                    "`{}` starts at a state, which an object file cannot do",
                    graded.name
                ),
            });
        }
        let mut weights = Vec::new();
        let mut state = Block { used: ROWS };
        let connections = network.connections.iter().zip(&inference.connections);
        let connections = connections
            .map(|(connection, numbers)| {
                let operations = connection.operations.iter().zip(&numbers.operations);
                operations
                    .map(|(operation, numbers)| operation_layout(operation, numbers, &mut weights))
                    .collect()
            })
            .collect();
        let [between, turned] = scratch(network);
        let scratch = [(); 2].map(|()| state.numbers(between));
        let turned = state.numbers(turned);
        let longest = |from: Source| {
            let delays = network.connections.iter().filter(|c| c.from == from);
            delays.map(|c| c.delay as usize).max().unwrap_or(0)
        };
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
            let longest = longest(Source::Layer(l));
            layers.push(layer_layout(
                layer,
                numbers,
                longest,
                &mut weights,
                &mut state,
            )?);
        }
        Ok(Layout {
            inputs,
            layers,
            connections,
            scratch,
            turned,
            weights,
            state_bytes: state.used,
        })
    }
}

/// Whether a connection is one dense operation, which reads spikes as they are.
pub(super) fn is_dense(connection: &Connection) -> bool {
    let [only] = &connection.operations[..] else {
        return false;
    };
    matches!(only.synapses, Synapses::Dense { .. })
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
    weights: &mut Vec<u8>,
) -> OperationLayout {
    let mut row = |values: &Vec<f32>| append(weights, values);
    let weight = numbers.weight.as_ref().map(&mut row);
    let bias = numbers.bias.as_ref().map(|bias| BiasLayout {
        place: row(bias),
        count: bias.len(),
    });
    let centre = numbers.centre.as_ref();
    let centre = centre.map(|rows| rows.each_ref().map(&mut row));
    let pairs = operation.pattern().map(|pattern| {
        by_source(&pattern, operation.inputs).map(|numbers| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            append_bytes(weights, &bytes)
        })
    });
    OperationLayout {
        weight,
        bias,
        pairs,
        centre,
    }
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

fn layer_layout(
    layer: &Layer,
    numbers: &LayerNumbers,
    longest_delay: usize,
    weights: &mut Vec<u8>,
    state: &mut Block,
) -> Result<LayerLayout, ObjectError> {
    let (neuron, size) = (&layer.neuron, layer.size());
    let mut outputs = neuron.step.outputs.iter();
    if outputs.any(|o| o.slot.role == Role::Spike && neuron.step.ty(o.value) == Type::Real) {
        return Err(ObjectError::Unsupported {
            what: format!(
                "the spikes of layer `{}` carry numbers, which an object file cannot do",
                layer.name
            ),
        });
    }
    let ports = neuron.ports.iter().map(|_| state.numbers(size)).collect();
    let mut states = Vec::new();
    for variable in &neuron.states {
        let initial = numbers.initial.iter().find(|(n, _)| *n == variable.name);
        let Some((_, initial)) = initial else {
            return Err(random(
                layer,
                &format!("the initial value of `{}`", variable.name),
            ));
        };
        let initial = append(weights, &spread(initial, size));
        states.push((variable.name.clone(), state.numbers(size), initial));
    }
    let mut spikes = neuron.spikes.iter();
    let mut layout = LayerLayout {
        size,
        ports,
        states,
        spikes: spikes.next().map(|_| state.ring(size, longest_delay)),
        more_spikes: spikes
            .map(|name| (name.clone(), state.room(size)))
            .collect(),
        arguments: Vec::new(),
    };
    layout.arguments = arguments(layer, &numbers.kernel, numbers, &layout, weights)?;
    Ok(layout)
}

/// Something that is drawn at random.
fn random(layer: &Layer, what: &str) -> ObjectError {
    ObjectError::Unsupported {
        what: format!(
            "{what} of layer `{}` is drawn at random, which an object file cannot do",
            layer.name
        ),
    }
}

/// The place of each argument of a layer's kernel.
fn arguments(
    layer: &Layer,
    kernel: &Kernel,
    numbers: &LayerNumbers,
    layout: &LayerLayout,
    weights: &mut Vec<u8>,
) -> Result<Vec<Place>, ObjectError> {
    let neuron = &layer.neuron;
    let mut arguments = Vec::new();
    for param in kernel.signature() {
        let name = &param.slot.name;
        let place = match param.slot.role {
            Role::Param | Role::Derived | Role::Init | Role::Saved => {
                let values = constant(numbers, &param.slot);
                let values = match param.rate {
                    Rate::Uniform => values.to_vec(),
                    Rate::Lane => spread(values, layout.size),
                };
                Place::Constant(match param.ty {
                    Type::Real => append(weights, &values),
                    Type::Bool => {
                        let bytes: Vec<u8> = values.iter().map(|&x| u8::from(x != 0.0)).collect();
                        append_bytes(weights, &bytes)
                    }
                })
            }
            Role::Key => return Err(random(layer, "the noise")),
            Role::Port => {
                let port = neuron.ports.iter().position(|port| port.name == *name);
                Place::State(layout.ports[port.expect("a kernel reads ports of its neuron")])
            }
            Role::State => {
                let state = layout.states.iter().find(|(state, ..)| state == name);
                Place::State(state.expect("a kernel has states of its neuron").1)
            }
            Role::Spike => {
                let more = layout.more_spikes.iter().find(|(spike, _)| spike == name);
                more.map_or(Place::Spikes, |(_, row)| Place::State(*row))
            }
        };
        arguments.push(place);
    }
    Ok(arguments)
}

fn constant<'n>(numbers: &'n LayerNumbers, slot: &Slot) -> &'n [f32] {
    let constant = numbers.constants.iter().find(|(known, _)| known == slot);
    &constant
        .expect("the prologue has a value for each constant")
        .1
}

/// One number for each neuron.
fn spread(values: &[f32], n: usize) -> Vec<f32> {
    match values {
        [one] => vec![*one; n],
        all => all.to_vec(),
    }
}

/// Adds a row to the weights; gives its place.
fn append(weights: &mut Vec<u8>, values: &[f32]) -> usize {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    append_bytes(weights, &bytes)
}

fn append_bytes(weights: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let place = weights.len();
    weights.extend(bytes);
    weights.resize(weights.len().next_multiple_of(ALIGN), 0);
    place
}
