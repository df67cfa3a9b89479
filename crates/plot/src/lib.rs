//! Charts as SVG and PNG, without fonts or programs of the system.
//!
//! A chart ([`Chart`], [`Heat`]) says what is shown; a [`Figure`] puts charts below and beside each other and
//! lays them out as a [`scene::Scene`] of lines, areas, texts and pictures; [`svg`] and [`png`] write a scene.
//! Nothing here reads or writes files or knows what a neuron is.
//!
//! Colours have names ([`Ink`]), not values: an SVG follows the light or dark setting of whoever looks at it,
//! a PNG is drawn for one of them. The first seven series colours are those of Okabe & Ito (2008), told apart with
//! any kind of colour vision; the scales of heat maps grow in lightness, so that they survive a print in grey.
//!
//! | file | what it holds |
//! |---|---|
//! | `chart.rs`, `heat.rs` | what is shown |
//! | `axis.rs` | from values to places; where ticks stand and what they say |
//! | `figure.rs` | where everything goes |
//! | `scene.rs`, `color.rs`, `text.rs` | what is drawn, in which ink, how wide a text is |
//! | `svg.rs`, `png.rs` | the two formats |

pub mod axis;
mod chart;
mod color;
mod figure;
mod heat;
pub mod png;
pub mod scene;
pub mod svg;
mod text;

pub use chart::{Chart, Mark, Series};
pub use color::{Ink, SERIES, Scale, Theme};
pub use figure::{Figure, Panel};
pub use heat::{Heat, Names};
