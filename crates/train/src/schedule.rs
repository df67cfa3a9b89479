//! The learning rate over time, as a factor on the optimiser's rate.

use rheobase_ir::program::Schedule;

/// The factor at a position in epochs (2.5 is the middle of the third) of a run of `epochs`. `cuts` is how often a
/// plateau was found (`watch.rs`).
pub(crate) fn factor(schedule: &Schedule, position: f64, epochs: usize, cuts: u32) -> f64 {
    match *schedule {
        Schedule::Constant => 1.0,
        Schedule::Step { every, factor } => factor.powf((position / every).floor()),
        Schedule::Exponential { factor } => factor.powf(position.floor()),
        Schedule::Cosine { warmup, .. } if position < warmup => position / warmup,
        Schedule::Cosine { warmup, floor } => {
            let rest = (epochs as f64 - warmup).max(f64::MIN_POSITIVE);
            between(1.0, floor, (position - warmup) / rest)
        }
        Schedule::Plateau { factor, floor, .. } => factor.powf(f64::from(cuts)).max(floor),
        Schedule::OneCycle { rise } => {
            let done = position / epochs as f64;
            if done < rise {
                between(1.0 / 25.0, 1.0, done / rise)
            } else {
                between(1.0, 1.0 / 250_000.0, (done - rise) / (1.0 - rise))
            }
        }
    }
}

/// Half a cosine from `start` to `end`, `done` of the way.
fn between(start: f64, end: f64, done: f64) -> f64 {
    let share = 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos());
    end + (start - end) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_rises_in_the_warm_up_and_falls_to_zero() {
        let cosine = Schedule::Cosine {
            warmup: 2.0,
            floor: 0.0,
        };
        assert_eq!(factor(&cosine, 0.0, 10, 0), 0.0);
        assert_eq!(factor(&cosine, 1.0, 10, 0), 0.5);
        assert_eq!(factor(&cosine, 2.0, 10, 0), 1.0);
        assert!((factor(&cosine, 6.0, 10, 0) - 0.5).abs() < 1e-12);
        assert!(factor(&cosine, 10.0, 10, 0).abs() < 1e-12);
    }

    #[test]
    fn the_other_schedules_have_their_values() {
        let step = Schedule::Step {
            every: 3.0,
            factor: 0.1,
        };
        assert_eq!(factor(&step, 2.9, 10, 0), 1.0);
        assert!((factor(&step, 6.5, 10, 0) - 0.01).abs() < 1e-15);
        let exponential = Schedule::Exponential { factor: 0.5 };
        assert_eq!(factor(&exponential, 2.7, 10, 0), 0.25);
        let plateau = Schedule::Plateau {
            factor: 0.1,
            patience: 3,
            floor: 0.005,
        };
        let factors = [0, 1, 2, 3].map(|cuts| factor(&plateau, 7.0, 10, cuts));
        assert!((factors[2] - 0.01).abs() < 1e-15);
        assert_eq!([factors[0], factors[3]], [1.0, 0.005]);
        let floored = Schedule::Cosine {
            warmup: 0.0,
            floor: 0.2,
        };
        assert!((factor(&floored, 10.0, 10, 0) - 0.2).abs() < 1e-15);
        assert!((factor(&floored, 5.0, 10, 0) - 0.6).abs() < 1e-15);
        let cycle = Schedule::OneCycle { rise: 0.3 };
        assert!((factor(&cycle, 0.0, 10, 0) - 0.04).abs() < 1e-15);
        assert!((factor(&cycle, 1.5, 10, 0) - 0.52).abs() < 1e-12);
        assert!((factor(&cycle, 3.0, 10, 0) - 1.0).abs() < 1e-15);
        assert!((factor(&cycle, 10.0, 10, 0) - 4e-6).abs() < 1e-15);
    }
}
