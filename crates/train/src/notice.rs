//! What a run should tell although it goes on.

use std::fmt;

/// Something that is probably not meant. Each has a code of the language's table.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the line of a variant explains its fields")]
pub enum Notice {
    /// Some training samples have events outside the duration.
    EventsCut {
        samples: usize,
        of: usize,
        events: usize,
    },
    /// A layer did not spike at all in the first batch.
    Silent { layer: String },
    /// A layer spiked in nearly every step of the first batch; the share of neuron-steps.
    Saturated { layer: String, density: f64 },
}

impl Notice {
    /// The code under which `rheo explain` says more.
    pub fn code(&self) -> &'static str {
        match self {
            Notice::EventsCut { .. } => "W0706",
            Notice::Silent { .. } | Notice::Saturated { .. } => "W0707",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::EventsCut {
                samples,
                of,
                events,
            } => write!(
                f,
                "{samples} of {of} samples have events outside the duration; {events} events were dropped"
            ),
            Notice::Silent { layer } => write!(
                f,
                "`{layer}` does not spike on the first batch; start from larger weights or a stronger encoding"
            ),
            Notice::Saturated { layer, density } => write!(
                f,
                "`{layer}` spikes in {:.0} % of all steps on the first batch; start from smaller weights",
                100.0 * density
            ),
        }
    }
}
