//! What a data set is to the rest of the program: labelled samples by index, not yet encoded.
//!
//! A data set gives samples as they were recorded. Time steps, spikes and randomness come later, from the encoder, so
//! that one data set serves every encoding and every duration.

use crate::error::DataError;
use crate::layout::Shape;
use crate::spike_train::SpikeTrain;

/// One sample before encoding.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A picture. The input channel of a pixel is its position in `pixels`.
    Image {
        /// Intensities in 0..=1, row-major: row, then column, then colour; `height · width · channels` of them.
        pixels: Vec<f32>,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Colours per pixel (1 for grey).
        channels: u32,
    },
    /// Events in continuous time, in any order.
    Events {
        /// Time of each event in seconds from the start of the sample.
        time_s: Vec<f64>,
        /// Channel of each event.
        channel: Vec<u32>,
        /// Number of channels; every channel is below it.
        n_channels: u32,
    },
    /// Events that are in time steps already.
    Spikes(SpikeTrain),
}

/// What units of a network should do over time for one sample, beside or instead of a class.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A number for each step and unit.
    Values {
        /// `steps · units` of them, step by step.
        values: Vec<f32>,
        /// Number of units.
        units: u32,
    },
    /// Spikes in time steps, one channel for each unit.
    Spikes(SpikeTrain),
}

/// What is known of a data set before a sample is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// A name for messages: the built-in's name or the file's path.
    pub name: String,
    /// Number of samples.
    pub len: usize,
    /// Number of classes; every label is below it.
    pub n_classes: u32,
    /// Names of the classes, one for each; none if the data set has numbers only.
    pub class_names: Vec<String>,
    /// How the channels of every sample are arranged; in a line if the data set does not say.
    pub shape: Shape,
}

impl Card {
    /// The card of classes without names.
    pub fn new(name: impl Into<String>, len: usize, n_classes: u32, shape: Shape) -> Card {
        Card {
            name: name.into(),
            len,
            n_classes,
            class_names: Vec::new(),
            shape,
        }
    }

    /// The card of samples with these labels.
    pub(crate) fn of_labels(name: impl Into<String>, labels: &[u32], shape: Shape) -> Card {
        let n_classes = labels.iter().max().map_or(0, |&max| max.saturating_add(1));
        Card::new(name, labels.len(), n_classes, shape)
    }
}

/// Labelled samples, numbered from 0.
///
/// `get` may be called from any thread and gives the same sample for the same index, always.
pub trait Dataset: Send + Sync {
    /// What is known before a sample is read.
    fn card(&self) -> &Card;

    /// Class of sample `i`. Panics if `i` is not below `len()`, as indexing a slice does.
    fn label(&self, i: usize) -> u32;

    /// Sample `i`.
    ///
    /// Errors: `DataError::OutOfRange`, or `DataError::Sample` if this one sample is damaged.
    fn get(&self, i: usize) -> Result<Raw, DataError>;

    /// Number of units of the targets of every sample; 0 for a data set without targets over time.
    fn n_targets(&self) -> u32 {
        0
    }

    /// Target over time of sample `i`, as long as the sample; `None` without targets.
    ///
    /// Errors: as for [`Dataset::get`].
    fn targets(&self, i: usize) -> Result<Option<Targets>, DataError> {
        let _ = i;
        Ok(None)
    }

    /// Group that sample `i` must stay with in a group hold-out (its speaker), if the data set knows groups.
    fn group(&self, i: usize) -> Option<u32> {
        let _ = i;
        None
    }

    /// A name for messages: the built-in's name or the file's path.
    fn name(&self) -> &str {
        &self.card().name
    }

    /// Number of samples.
    fn len(&self) -> usize {
        self.card().len
    }

    /// Number of classes; every label is below it.
    fn n_classes(&self) -> u32 {
        self.card().n_classes
    }

    /// How the channels are arranged.
    fn shape(&self) -> Shape {
        self.card().shape
    }

    /// Number of input channels of every sample (pixels × colours for a picture).
    fn n_channels(&self) -> u32 {
        self.shape().channels()
    }

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class of every sample, in order: what the splits take.
    fn labels(&self) -> Vec<u32> {
        (0..self.len()).map(|i| self.label(i)).collect()
    }
}
