//! The learning rate over time, as a factor on the optimiser's rate.

use rheobase_ir::program::Schedule;

/// The factor at a position in epochs (2.5 is the middle of the third) of a run of `epochs`.
pub(crate) fn factor(schedule: &Schedule, position: f64, epochs: usize) -> f64 {
    match *schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine { warmup } if position < warmup => position / warmup,
        Schedule::Cosine { warmup } => {
            let rest = (epochs as f64 - warmup).max(f64::MIN_POSITIVE);
            let done = ((position - warmup) / rest).clamp(0.0, 1.0);
            0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_rises_in_the_warm_up_and_falls_to_zero() {
        let cosine = Schedule::Cosine { warmup: 2.0 };
        assert_eq!(factor(&cosine, 0.0, 10), 0.0);
        assert_eq!(factor(&cosine, 1.0, 10), 0.5);
        assert_eq!(factor(&cosine, 2.0, 10), 1.0);
        assert!((factor(&cosine, 6.0, 10) - 0.5).abs() < 1e-12);
        assert!(factor(&cosine, 10.0, 10).abs() < 1e-12);
    }
}
