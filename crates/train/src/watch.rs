//! Whether epochs still get better: what the schedule `plateau` and early stopping go by.
//!
//! The score of an epoch is that of the best weights (accuracy or −loss on validation samples); without
//! validation samples it is −loss of training. An epoch is better if its score is above all before it. After
//! `patience` epochs in a row that are not, `plateau` cuts the learning rate and waits again from there, and
//! early stopping ends the run.

use rheobase_ir::program::Schedule;
use serde_json::{Value, json};

/// What is known of the epochs so far. It is in the checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watch {
    /// The best score.
    best: Option<f64>,
    /// Epochs since the one that reached it.
    since: usize,
    /// Epochs since it or since the learning rate was last cut.
    waited: usize,
    /// How often the learning rate was cut.
    pub(crate) cuts: u32,
}

impl Watch {
    /// Sees the score of one more epoch.
    pub(crate) fn see(&mut self, score: f64, schedule: &Schedule) {
        if self.best.is_none_or(|best| score > best) {
            self.best = Some(score);
            (self.since, self.waited) = (0, 0);
            return;
        }
        self.since += 1;
        self.waited += 1;
        if let Schedule::Plateau { patience, .. } = *schedule
            && self.waited >= patience
        {
            self.cuts += 1;
            self.waited = 0;
        }
    }

    /// Whether a run that has this patience is over.
    pub(crate) fn is_over(&self, patience: Option<usize>) -> bool {
        patience.is_some_and(|patience| self.since >= patience)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "best": self.best.map(f64::to_bits),
            "since": self.since,
            "waited": self.waited,
            "cuts": self.cuts,
        })
    }

    /// `None` if something is missing.
    pub(crate) fn from_json(value: &Value) -> Option<Watch> {
        let count = |key: &str| value.get(key)?.as_u64();
        Some(Watch {
            best: value.get("best")?.as_u64().map(f64::from_bits),
            since: count("since")? as usize,
            waited: count("waited")? as usize,
            cuts: u32::try_from(count("cuts")?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_counted_from_the_best_and_from_the_last_cut() {
        let plateau = Schedule::Plateau {
            factor: 0.1,
            patience: 2,
            floor: 0.0,
        };
        let mut watch = Watch::default();
        let mut seen = Vec::new();
        for score in [0.1, 0.5, 0.4, 0.5, 0.3, 0.3, 0.3, 0.6, 0.2] {
            watch.see(score, &plateau);
            seen.push((watch.cuts, watch.since));
        }
        let expected = [
            (0, 0),
            (0, 0),
            (0, 1),
            (1, 2),
            (1, 3),
            (2, 4),
            (2, 5),
            (2, 0),
            (2, 1),
        ];
        assert_eq!(seen, expected);
        assert!(watch.is_over(Some(1)) && !watch.is_over(Some(2)) && !watch.is_over(None));
        let text = watch.to_json().to_string();
        let back = serde_json::from_str(&text).expect("JSON");
        assert_eq!(Watch::from_json(&back), Some(watch));
        let fresh = Watch::default();
        assert_eq!(Watch::from_json(&fresh.to_json()), Some(fresh));
    }
}
