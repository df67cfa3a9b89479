//! What a run should tell although it goes on.

use std::fmt;
use std::path::PathBuf;

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
    /// A damaged sample was left out; file, index and reason.
    LeftOut { message: String },
    /// The folder held another run, whose files were moved.
    SetAside { folder: PathBuf },
}

impl Notice {
    /// The code under which `rheo explain` says more; none if there is nothing to say more about.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Notice::EventsCut { .. } => Some("W0706"),
            Notice::Silent { .. } | Notice::Saturated { .. } => Some("W0707"),
            Notice::LeftOut { .. } | Notice::SetAside { .. } => None,
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
            Notice::LeftOut { message } => write!(f, "left out: {message}"),
            Notice::SetAside { folder } => write!(
                f,
                "the folder held another run; its files are in `{}` now",
                folder.display()
            ),
        }
    }
}
