//! The text of the C header, and how names become names in C.

use std::fmt::Write;

use rheobase_ir::program::{Layer, Network, Unit};

use super::layout::Layout;

/// A name in C: letters, digits and underscores stay, any other character becomes `_u` and its number.
pub fn c_name(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            text.push(c);
        } else {
            let _ = write!(text, "_u{:x}", u32::from(c));
        }
    }
    text
}

/// The function that gives a row of a layer.
pub(super) fn accessor(network: &str, layer: &str, row: &str) -> String {
    let [network, layer, row] = [network, layer, row].map(c_name);
    format!("rheo_{network}_{layer}_{row}")
}

/// The name of the first spike output in C: as in the results of `rheo run`, unless a state has that name.
pub(super) fn spike_name(layer: &Layer) -> String {
    let taken = |name: &str| layer.neuron.states.iter().any(|state| state.name == name);
    let own = layer.neuron.spikes.first().map_or("", String::as_str);
    if taken("spikes") { own } else { "spikes" }.to_string()
}

/// Whether a state is one of the model, not one that the compiler made.
pub(super) fn is_visible(state: &str) -> bool {
    !state.starts_with('_')
}

/// The text of the header.
pub(super) fn text(network: &Network, layout: &Layout, embed: bool) -> String {
    let name = c_name(&network.name);
    let mut header = Header {
        text: String::new(),
        upper: name.to_uppercase(),
        name,
    };
    header.opening(network, layout);
    header.functions(network, layout, embed);
    header.rows(network, layout);
    header.closing();
    header.text
}

/// The text so far.
struct Header {
    text: String,
    name: String,
    upper: String,
}

impl Header {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn define(&mut self, what: &str, value: impl std::fmt::Display) {
        let line = format!("#define RHEO_{}_{what} {value}", self.upper);
        self.line(&line);
    }

    fn opening(&mut self, network: &Network, layout: &Layout) {
        let (name, upper) = (self.name.clone(), self.upper.clone());
        self.line(&format!(
            "/* Inference of the network `{}`, written by `rheo build`.\n\
             \x20*\n\
             \x20* The functions allocate nothing, call nothing outside of the object file and keep all that changes\n\
             \x20* in a state that the caller owns. One state belongs to one thread at a time; any number of them\n\
             \x20* can run side by side. Numbers are in ms, mV, pA, nS and pF.\n\
             \x20*\n\
             \x20*     rheo_{name}_state state;\n\
             \x20*     rheo_{name}_init(&state, weights);\n\
             \x20*     for each step: rheo_{name}_step(&state, input);\n\
             \x20*     for the next sample: rheo_{name}_reset(&state);\n\
             \x20*/",
            network.name.replace("*/", "* /")
        ));
        self.line(&format!("#ifndef RHEO_{upper}_H\n#define RHEO_{upper}_H\n"));
        self.line("#include <stddef.h>\n#include <stdint.h>\n");
        self.line("#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
        self.line("/* The length of a step in ms, and sizes. */");
        self.define("STEP_MS", format_args!("{:?}", network.step_ms));
        self.define("STATE_BYTES", layout.state_bytes);
        self.define("WEIGHTS_BYTES", layout.weights.len());
        for (input, place) in network.inputs.iter().zip(&layout.inputs) {
            let what = format!("{}_SIZE", c_name(&input.name).to_uppercase());
            self.define(&what, place.size);
        }
        for (layer, place) in network.layers.iter().zip(&layout.layers) {
            let what = format!("{}_SIZE", c_name(&layer.name).to_uppercase());
            self.define(&what, place.size);
        }
        self.line(&format!(
            "\n/* All that changes. Its content is private. */\n\
             typedef union rheo_{name}_state {{\n\
             \x20   const void *pointer;\n\
             \x20   uint64_t number;\n\
             \x20   unsigned char bytes[RHEO_{upper}_STATE_BYTES];\n\
             }} rheo_{name}_state;\n"
        ));
    }

    fn functions(&mut self, network: &Network, layout: &Layout, embed: bool) {
        let (name, upper) = (self.name.clone(), self.upper.clone());
        let weights = if embed {
            self.line(&format!(
                "/* The weights, for rheo_{name}_init. */\n\
                 extern const unsigned char rheo_{name}_weights[RHEO_{upper}_WEIGHTS_BYTES];\n"
            ));
            format!("rheo_{name}_weights")
        } else {
            format!("the content of `{name}.weights`, aligned to 4 bytes")
        };
        self.line(&format!(
            "/* Begins. `weights` is {weights};\n\
             \x20* it is read in every step and must stay where it is. */\n\
             void rheo_{name}_init(rheo_{name}_state *state, const void *weights);\n\n\
             /* Back to the initial states, before the first step. */\n\
             void rheo_{name}_reset(rheo_{name}_state *state);\n"
        ));
        if layout.random.is_some() {
            self.line(&format!(
                "/* Begins again with other random numbers: those that `rheo run --seed SEED` draws for this sample. Without\n\
                 \x20* it both are 0. A reset draws the same numbers again. */\n\
                 void rheo_{name}_seed(rheo_{name}_state *state, uint64_t seed, uint64_t sample);\n"
            ));
        }
        let inputs: Vec<(String, String)> = network
            .inputs
            .iter()
            .map(|input| {
                let input = c_name(&input.name);
                let size = format!("RHEO_{upper}_{}_SIZE", input.to_uppercase());
                (input, size)
            })
            .collect();
        let numbers: String = inputs
            .iter()
            .map(|(input, size)| format!(",\n    const float {input}[/* {size} */]"))
            .collect();
        let events: String = inputs
            .iter()
            .map(|(input, _)| {
                format!(",\n    const uint32_t *{input}_events, size_t {input}_count")
            })
            .collect();
        self.line(&format!(
            "/* One step. An input has a number for each channel: 0 without an event, 1 for a spike, or the value of\n\
             \x20* the event. */\n\
             void rheo_{name}_step(rheo_{name}_state *state{numbers});\n\n\
             /* One step. An input is a list of the channels that have a spike, in any order; a channel may have\n\
             \x20* several. Numbers that are no channel are left out. */\n\
             void rheo_{name}_step_events(rheo_{name}_state *state{events});\n"
        ));
    }

    fn rows(&mut self, network: &Network, layout: &Layout) {
        let (name, upper) = (self.name.clone(), self.upper.clone());
        self.line(
            "/* What the last step left, neuron by neuron: states, and 1 for each neuron that spiked or, as a float, what\n\
             \x20* its spike carries. The address of spikes is valid until the next step. */",
        );
        for (layer, places) in network.layers.iter().zip(&layout.layers) {
            let size = format!("RHEO_{upper}_{}_SIZE", c_name(&layer.name).to_uppercase());
            let mut row = |ty: &str, row: &str, unit: &str| {
                let function = accessor(&network.name, &layer.name, row);
                self.line(&format!(
                    "const {ty} *{function}(const rheo_{name}_state *state); /* {size}{unit} */"
                ));
            };
            for state in layer.neuron.states.iter().filter(|s| is_visible(&s.name)) {
                row("float", &state.name, &unit(&state.unit));
            }
            let ty = |graded| if graded { "float" } else { "uint8_t" };
            if places.spikes.is_some() {
                row(ty(places.graded), &spike_name(layer), "");
            }
            for (spike, _, graded) in &places.more_spikes {
                row(ty(*graded), spike, "");
            }
        }
    }

    fn closing(&mut self) {
        self.line("\n#ifdef __cplusplus\n}\n#endif\n\n#endif");
    }
}

/// The base unit of a state for a comment: numbers are not in the unit that was written.
fn unit(unit: &Unit) -> String {
    let text = unit.text.replace("*/", "* /");
    match unit.factor {
        1.0 if text.is_empty() => String::new(),
        1.0 => format!(", in {text}"),
        factor => format!(", in {text} times {factor:?}"),
    }
}
