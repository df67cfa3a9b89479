//! Points of the Yin-Yang figure: a small task that a linear classifier cannot solve and a deep one can.
//!
//! L. Kriener, J. Göltz, M. A. Petrovici, "The Yin-Yang dataset", NICE 2022. A point (x, y) in the big circle of
//! radius ½ around (½, ½) belongs to yin, yang, or one of the two dots. The four inputs are x, y, 1 − x and 1 − y, so
//! that every point has the same total input.

use super::refuse;
use crate::dataset::{Card, Dataset, Raw};
use crate::error::DataError;
use crate::layout::Shape;
use crate::rng::{Philox, derive_key, domain};

const R_BIG: f64 = 0.5;
const R_SMALL: f64 = 0.1;
const CLASSES: u32 = 3;

/// What [`yin_yang`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YinYangConfig {
    /// Number of points.
    pub samples: usize,
    /// Seed of the points; training and test sets of the paper differ in it alone.
    pub seed: u64,
}

/// The Yin-Yang figure; see [`yin_yang`].
#[derive(Debug, Clone)]
pub struct YinYang {
    card: Card,
    config: YinYangConfig,
}

/// Points as pictures [1, 4] of x, y, 1 − x, 1 − y; class 0 is yin, 1 yang, 2 the dots, drawn equally often.
///
/// Errors: `DataError::Setting` for no samples.
pub fn yin_yang(config: YinYangConfig) -> Result<YinYang, DataError> {
    if config.samples == 0 {
        let help = "give at least 1";
        return refuse("yin_yang.samples", "there are none".to_owned(), help);
    }
    Ok(YinYang {
        card: Card::new("yin_yang", config.samples, CLASSES, Shape::line(4)),
        config,
    })
}

/// The class of a point; `None` outside the big circle.
fn class_of(x: f64, y: f64) -> Option<u32> {
    let distance = |cx: f64| ((x - cx).powi(2) + (y - R_BIG).powi(2)).sqrt();
    if distance(R_BIG) > R_BIG {
        return None;
    }
    let right = distance(1.5 * R_BIG);
    let left = distance(0.5 * R_BIG);
    if right < R_SMALL || left < R_SMALL {
        return Some(2);
    }
    let lobe = left <= 0.5 * R_BIG;
    let upper = y > R_BIG && right > 0.5 * R_BIG;
    Some(u32::from(!(lobe || upper)))
}

impl YinYang {
    fn stream(&self, i: usize, part: u32) -> Philox {
        let key = derive_key(self.config.seed, domain::YIN_YANG, i as u64);
        Philox::at(key, [0, 0, 0, part])
    }
}

impl Dataset for YinYang {
    fn card(&self) -> &Card {
        &self.card
    }

    fn label(&self, i: usize) -> u32 {
        assert!(i < self.len(), "sample {i} of {}", self.len());
        self.stream(i, 1).below(u64::from(CLASSES)) as u32
    }

    fn get(&self, i: usize) -> Result<Raw, DataError> {
        DataError::check_index(self.name(), i, self.len())?;
        let class = self.label(i);
        let mut stream = self.stream(i, 0);
        // The rarest class fills 6 % of the square, so this ends soon.
        let (x, y) = loop {
            let (x, y) = (stream.uniform_f64(), stream.uniform_f64());
            if class_of(x, y) == Some(class) {
                break (x, y);
            }
        };
        Ok(Raw::Image {
            pixels: [x, y, 1.0 - x, 1.0 - y].map(|v| v as f32).to_vec(),
            height: 1,
            width: 4,
            channels: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_point_symmetric_with_yin_and_yang_exchanged() {
        let mut areas = [0; 3];
        for step in 0..10_000 {
            let (x, y) = (f64::from(step % 100) / 99.0, f64::from(step / 100) / 99.0);
            let here = class_of(x, y);
            let there = class_of(1.0 - x, 1.0 - y);
            match (here, there) {
                (Some(0), other) => assert_eq!(other, Some(1), "{x} {y}"),
                (Some(2), other) => assert_eq!(other, Some(2), "{x} {y}"),
                (None, other) => assert_eq!(other, None, "{x} {y}"),
                (Some(_), _) => {}
            }
            if let Some(class) = here {
                areas[class as usize] += 1;
            }
        }
        // Two dots of radius 0.1: π·0.02 of the square.
        assert!((590..670).contains(&areas[2]), "{areas:?}");
        assert_eq!(class_of(0.75, 0.5), Some(2));
        assert_eq!(class_of(0.25, 0.8), Some(0));
        assert_eq!(class_of(0.75, 0.2), Some(1));
    }

    #[test]
    fn classes_are_equally_frequent_and_points_are_inside() {
        let set = yin_yang(YinYangConfig {
            samples: 3_000,
            seed: 1,
        })
        .expect("valid");
        let mut counts = [0; 3];
        for i in 0..set.len() {
            counts[set.label(i) as usize] += 1;
            let Ok(Raw::Image { pixels, .. }) = set.get(i) else {
                panic!("not a point");
            };
            assert!((pixels[0] + pixels[2] - 1.0).abs() < 1e-6);
            let class = class_of(f64::from(pixels[0]), f64::from(pixels[1]));
            assert_eq!(class, Some(set.label(i)), "{i}");
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }
}
