//! Data sets, file formats, encoders, batches and splits.
//!
//! This crate knows no model: it reads samples ([`Dataset`] gives [`Raw`] ones), turns them into events in time steps
//! ([`Encoder`] makes a [`SpikeTrain`]), and says which samples belong together (splits, the order of an epoch,
//! mini-batches). It depends on no other crate of the workspace.
//!
//! What holds everywhere:
//! - Every random decision is a function of a seed and of what it decides about ([`rng`]), so that any number of
//!   threads and any order give the same bits. Nothing reads a clock or iterates in hash order.
//! - Bad input never panics. It is a [`DataError`] that names the file, the index, the reason and what to do.
//! - The crate reads and writes the paths that it is given, and prints nothing.
//!
//! ```
//! use rheobase_data::{Dataset, EncodeKey, Encoder, LatencyMode, digits, stratified_holdout};
//!
//! let set = digits();
//! let (train, held_out) = stratified_holdout(&set.labels(), 0.2, 0);
//! assert_eq!((train.len(), held_out.len()), (1437, 360));
//!
//! let encoder = Encoder::Latency { tau_ms: 25.0, threshold: 0.1, mode: LatencyMode::Linear };
//! let key = EncodeKey { seed: 0, epoch: 0, sample: train[0] as u64 };
//! let input = encoder.encode(&set.get(train[0])?, 25, 1e-3, key)?;
//! assert_eq!((input.steps(), input.channels()), (25, 64));
//! # Ok::<(), rheobase_data::DataError>(())
//! ```

mod augment;
mod batches;
mod class_folders;
mod csv;
mod dataset;
mod dense;
mod digits;
mod dvs_gesture;
mod element;
mod encoder;
mod error;
mod frames;
mod half_float;
mod idx;
mod layout;
mod nmnist;
mod npy;
pub mod npz;
mod npz_events;
mod prophesee;
mod random_spikes;
pub mod rng;
mod shd;
mod spike_train;
mod split;
mod store;
mod summary;
mod tasks;

pub use augment::Augment;
pub use batches::{Batches, epoch_order};
pub use csv::{Csv, csv};
pub use dataset::{Card, Dataset, Raw, Targets};
pub use dense::{Dense, DenseConfig, dense_npy, dense_npz};
pub use digits::{Digits, digits};
pub use dvs_gesture::{DvsGesture, dvs_gesture};
pub use encoder::{EncodeKey, Encoded, Encoder, LatencyMode};
pub use error::DataError;
pub use frames::{Frames, frames};
pub use idx::{IdxImages, idx_images};
pub use layout::{Layout, Shape};
pub use nmnist::{Nmnist, nmnist};
pub use npz_events::{NpzEvents, NpzEventsConfig, npz_events};
pub use prophesee::{Prophesee, prophesee};
pub use random_spikes::{RandomSpikes, RandomSpikesConfig, random_spikes};
pub use shd::{Shd, shd};
pub use spike_train::{Sample, SpikeTrain};
pub use split::{group_holdout, k_fold, stratified_holdout};
pub use summary::{Kind, Spread, Summary, summarise};
pub use tasks::{
    DelayedXor, DelayedXorConfig, Manifolds, ManifoldsConfig, SpikePatterns, SpikePatternsConfig,
    StoreRecall, StoreRecallConfig, YinYang, YinYangConfig, delayed_xor, manifolds, spike_patterns,
    store_recall, yin_yang,
};
