//! What is added up during an epoch, so that a run can be continued from the middle of one: sums over the
//! steps so far, as exact bits.

use serde_json::{Value, json};

use crate::trainer::StepReport;

/// Sums over the steps of the epoch that is going on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Steps.
    pub(crate) steps: usize,
    /// Samples of these steps.
    pub(crate) samples: usize,
    /// Loss times samples.
    pub(crate) loss: f64,
    /// Rightly classified samples.
    pub(crate) correct: usize,
    /// Norms of gradients.
    pub(crate) norm: f64,
    /// The learning rate of the last step.
    pub(crate) learning_rate: f64,
    /// Time spent before the run was continued; the only thing here that no result depends on.
    pub(crate) seconds: f64,
}

impl Sums {
    pub(crate) fn add(&mut self, report: &StepReport) {
        self.steps += 1;
        self.samples += report.samples;
        self.loss += report.loss * report.samples as f64;
        self.correct += report.correct;
        self.norm += report.gradient_norm;
        self.learning_rate = report.learning_rate;
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "steps": self.steps,
            "samples": self.samples,
            "loss": self.loss.to_bits(),
            "correct": self.correct,
            "norm": self.norm.to_bits(),
            "learning_rate": self.learning_rate.to_bits(),
            "seconds": self.seconds.to_bits(),
        })
    }

    /// `None` if something is missing.
    pub(crate) fn from_json(value: &Value) -> Option<Sums> {
        let count = |key: &str| value.get(key)?.as_u64();
        let number = |key: &str| count(key).map(f64::from_bits);
        Some(Sums {
            steps: count("steps")? as usize,
            samples: count("samples")? as usize,
            loss: number("loss")?,
            correct: count("correct")? as usize,
            norm: number("norm")?,
            learning_rate: number("learning_rate")?,
            seconds: number("seconds")?,
        })
    }
}

/// What the trainer counts for each layer and parameter since the epoch began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted {
    /// Samples.
    pub(crate) samples: usize,
    /// Steps.
    pub(crate) steps: usize,
    /// Spikes of each layer.
    pub(crate) spikes: Vec<u64>,
    /// For each parameter the sum of the norms of its gradients.
    pub(crate) norms: Vec<f64>,
    /// Synaptic operations; `None` where counting them would cost time (`effort.rs`).
    pub(crate) operations: Option<f64>,
}

impl Counted {
    pub(crate) fn new(layers: usize, parameters: usize) -> Counted {
        Counted {
            samples: 0,
            steps: 0,
            spikes: vec![0; layers],
            norms: vec![0.0; parameters],
            operations: Some(0.0),
        }
    }

    /// One more step. `norms` are those of the gradients of all parameters.
    pub(crate) fn add(
        &mut self,
        samples: usize,
        spikes: &[u64],
        norms: &[f64],
        operations: Option<f64>,
    ) {
        self.samples += samples;
        self.operations = self.operations.zip(operations).map(|(sum, n)| sum + n);
        self.steps += 1;
        self.spikes
            .iter_mut()
            .zip(spikes)
            .for_each(|(sum, s)| *sum += s);
        self.norms
            .iter_mut()
            .zip(norms)
            .for_each(|(sum, n)| *sum += n);
    }

    pub(crate) fn to_json(&self) -> Value {
        let norms: Vec<u64> = self.norms.iter().map(|n| n.to_bits()).collect();
        json!({
            "samples": self.samples,
            "steps": self.steps,
            "spikes": self.spikes,
            "norms": norms,
            "operations": self.operations.map(f64::to_bits),
        })
    }

    /// `None` if something is missing or belongs to another network.
    pub(crate) fn from_json(value: &Value, layers: usize, parameters: usize) -> Option<Counted> {
        let count = |key: &str| Some(value.get(key)?.as_u64()? as usize);
        let list = |key: &str| -> Option<Vec<u64>> {
            let values = value.get(key)?.as_array()?;
            values.iter().map(Value::as_u64).collect()
        };
        let counted = Counted {
            samples: count("samples")?,
            steps: count("steps")?,
            spikes: list("spikes")?,
            norms: list("norms")?.into_iter().map(f64::from_bits).collect(),
            operations: value.get("operations")?.as_u64().map(f64::from_bits),
        };
        let fits = counted.spikes.len() == layers && counted.norms.len() == parameters;
        fits.then_some(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Sums};

    #[test]
    fn sums_come_back_with_the_same_bits() {
        let sums = Sums {
            steps: 3,
            samples: 96,
            loss: 0.1 + 0.2,
            correct: 7,
            norm: f64::MIN_POSITIVE,
            learning_rate: 1e-3,
            seconds: 1.5,
        };
        let text = sums.to_json().to_string();
        let back = serde_json::from_str(&text).expect("JSON");
        assert_eq!(Sums::from_json(&back), Some(sums));
        let mut counted = Counted::new(2, 1);
        counted.add(32, &[u64::MAX, 1], &[1.0 / 3.0], Some(0.1));
        let back = counted.to_json();
        assert_eq!(Counted::from_json(&back, 2, 1), Some(counted));
        assert_eq!(Counted::from_json(&back, 2, 2), None);
    }
}
