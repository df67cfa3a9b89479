//! What is minimised.

use super::{One, Plan};
use crate::lower::start;
use crate::model::{LayerKind, Loss, Reduction, Setting, SettingValue};
use rheobase_ir::program::{self, Readout, Trace};

impl Plan<'_> {
    pub(super) fn loss(&self) -> One<program::Loss> {
        let Some(Setting {
            value: SettingValue::Loss(loss),
            ..
        }) = self.train.setting("loss")
        else {
            return Err(self.wrong());
        };
        Ok(program::Loss::CrossEntropy(self.readout(loss)?))
    }

    pub(super) fn readout(&self, loss: &Loss) -> One<Readout> {
        let layer = &self.model.networks[self.network].layers[loss.layer];
        let LayerKind::Neuron(n) = layer.kind else {
            return Err(self.wrong());
        };
        let trace = match loss.state {
            Some(state) => Trace::State(self.model.neurons[n].states[state].name.text.clone()),
            None => Trace::Spikes,
        };
        let reduction = match loss.reduction {
            Reduction::Max => program::Reduction::Max,
            Reduction::Sum => program::Reduction::Sum,
            Reduction::Mean => program::Reduction::Mean,
            Reduction::Last => program::Reduction::Last,
        };
        let scale = match &loss.scale {
            Some(expr) => start::number(&self.env, expr)?,
            None => 1.0,
        };
        Ok(Readout {
            layer: loss.layer,
            trace,
            reduction,
            scale,
        })
    }
}
