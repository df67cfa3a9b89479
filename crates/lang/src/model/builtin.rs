//! What the language itself provides: functions, distributions, operations of connections, and the
//! choices of a training plan. Each is a row of a table; nothing about them is written twice.

mod settings;

pub use settings::{CHOICES, Choice, FILE_FORMATS, LOSS_FUNCTIONS, REQUIRED_SETTINGS, SETTINGS};

use crate::ast::Name;

/// The functions of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Builtin {
    /// `|a|`
    Abs,
    /// The smallest of two or more.
    Min,
    /// The largest of two or more.
    Max,
    /// `clamp(x, lo, hi)`
    Clamp,
    /// `e^a`
    Exp,
    /// `e^a − 1`
    Expm1,
    /// Natural logarithm.
    Log,
    /// `log(1 + a)`
    Log1p,
    /// Square root.
    Sqrt,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e^−a)`
    Sigmoid,
    /// `log(1 + e^a)`
    Softplus,
    /// Error function.
    Erf,
    /// `max(a, 0)`
    Relu,
    /// Largest integer not above.
    Floor,
    /// Smallest integer not below.
    Ceil,
    /// Nearest integer, ties to even.
    Round,
    /// −1, 0 or 1.
    Sign,
    /// The value, a constant for the backward.
    Detach,
}

/// How units pass through a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitRule {
    /// Plain numbers to a plain number.
    Plain,
    /// All arguments have one unit, which is the result's.
    Same,
    /// The square root of the unit.
    Root,
    /// Any unit to a plain number.
    Forget,
}

impl Builtin {
    /// Every function with its name, in the order of the reference.
    pub const ALL: &[(&'static str, Builtin)] = &[
        ("abs", Builtin::Abs),
        ("min", Builtin::Min),
        ("max", Builtin::Max),
        ("clamp", Builtin::Clamp),
        ("exp", Builtin::Exp),
        ("expm1", Builtin::Expm1),
        ("log", Builtin::Log),
        ("log1p", Builtin::Log1p),
        ("sqrt", Builtin::Sqrt),
        ("sin", Builtin::Sin),
        ("cos", Builtin::Cos),
        ("tanh", Builtin::Tanh),
        ("sigmoid", Builtin::Sigmoid),
        ("softplus", Builtin::Softplus),
        ("erf", Builtin::Erf),
        ("relu", Builtin::Relu),
        ("floor", Builtin::Floor),
        ("ceil", Builtin::Ceil),
        ("round", Builtin::Round),
        ("sign", Builtin::Sign),
        ("detach", Builtin::Detach),
    ];

    /// The function of a name.
    pub fn find(name: &str) -> Option<Builtin> {
        let row = Builtin::ALL.iter().find(|(text, _)| *text == name)?;
        Some(row.1)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let row = Builtin::ALL.iter().find(|(_, f)| *f == self);
        row.expect("every function is in the table").0
    }

    /// The least and the largest number of arguments.
    pub fn arity(self) -> (usize, usize) {
        match self {
            Builtin::Min | Builtin::Max => (2, 64),
            Builtin::Clamp => (3, 3),
            Builtin::Abs
            | Builtin::Exp
            | Builtin::Expm1
            | Builtin::Log
            | Builtin::Log1p
            | Builtin::Sqrt
            | Builtin::Sin
            | Builtin::Cos
            | Builtin::Tanh
            | Builtin::Sigmoid
            | Builtin::Softplus
            | Builtin::Erf
            | Builtin::Relu
            | Builtin::Floor
            | Builtin::Ceil
            | Builtin::Round
            | Builtin::Sign
            | Builtin::Detach => (1, 1),
        }
    }

    /// How units pass through it.
    pub fn unit_rule(self) -> UnitRule {
        match self {
            Builtin::Abs
            | Builtin::Min
            | Builtin::Max
            | Builtin::Clamp
            | Builtin::Relu
            | Builtin::Detach => UnitRule::Same,
            Builtin::Sqrt => UnitRule::Root,
            Builtin::Sign => UnitRule::Forget,
            Builtin::Exp
            | Builtin::Expm1
            | Builtin::Log
            | Builtin::Log1p
            | Builtin::Sin
            | Builtin::Cos
            | Builtin::Tanh
            | Builtin::Sigmoid
            | Builtin::Softplus
            | Builtin::Erf
            | Builtin::Floor
            | Builtin::Ceil
            | Builtin::Round => UnitRule::Plain,
        }
    }

    /// Whether its derivative is zero wherever it exists.
    pub fn is_flat(self) -> bool {
        match self {
            Builtin::Floor | Builtin::Ceil | Builtin::Round | Builtin::Sign => true,
            Builtin::Abs
            | Builtin::Min
            | Builtin::Max
            | Builtin::Clamp
            | Builtin::Exp
            | Builtin::Expm1
            | Builtin::Log
            | Builtin::Log1p
            | Builtin::Sqrt
            | Builtin::Sin
            | Builtin::Cos
            | Builtin::Tanh
            | Builtin::Sigmoid
            | Builtin::Softplus
            | Builtin::Erf
            | Builtin::Relu
            | Builtin::Detach => false,
        }
    }
}

/// The distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// `normal(mean, std)`
    Normal,
    /// `lognormal(median, sigma)`
    LogNormal,
    /// `uniform(low, high)`
    Uniform,
    /// `kaiming_normal(gain = sqrt(2))`
    KaimingNormal,
    /// `kaiming_uniform(gain = sqrt(2))`
    KaimingUniform,
    /// `xavier_normal(gain = 1)`
    XavierNormal,
    /// `xavier_uniform(gain = 1)`, also `xavier`
    XavierUniform,
    /// `fluctuation_driven(rate, mu = 0, xi = 1, share = 1)`
    FluctuationDriven,
    /// `orthogonal(gain = 1)`
    Orthogonal,
}

/// A formal parameter of something built in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Its name.
    pub name: &'static str,
    /// Whether a call must give it.
    pub required: bool,
    /// What it takes.
    pub takes: Takes,
}

/// What an argument of something built in may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A plain number.
    Plain,
    /// A positive whole number.
    Whole,
    /// A positive whole number, or one of these words.
    WholeOr(&'static [&'static str]),
    /// A number with the unit of the thing it is for (weight, parameter).
    Value,
    /// A time, in time units or steps.
    Time,
    /// A rate.
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A list of plain numbers.
    Numbers,
    /// A text in quotes.
    Text,
    /// A value or a distribution in the unit of the port.
    Weights,
    /// `[lo, hi]` in the unit of the port.
    Bounds,
    /// A function of the weight.
    Function,
}

pub(super) const fn need(name: &'static str, takes: Takes) -> Slot {
    Slot {
        name,
        required: true,
        takes,
    }
}

pub(super) const fn may(name: &'static str, takes: Takes) -> Slot {
    Slot {
        name,
        required: false,
        takes,
    }
}

impl Law {
    /// Every distribution with its names.
    pub const ALL: &[(&'static str, Law)] = &[
        ("normal", Law::Normal),
        ("lognormal", Law::LogNormal),
        ("uniform", Law::Uniform),
        ("kaiming_normal", Law::KaimingNormal),
        ("kaiming_uniform", Law::KaimingUniform),
        ("xavier", Law::XavierUniform),
        ("xavier_normal", Law::XavierNormal),
        ("xavier_uniform", Law::XavierUniform),
        ("orthogonal", Law::Orthogonal),
        ("fluctuation_driven", Law::FluctuationDriven),
    ];

    /// The distribution of a name.
    pub fn find(name: &str) -> Option<Law> {
        let row = Law::ALL.iter().find(|(text, _)| *text == name)?;
        Some(row.1)
    }

    /// Its parameters.
    pub fn slots(self) -> &'static [Slot] {
        match self {
            Law::Normal => &const { [need("mean", Takes::Value), need("std", Takes::Value)] },
            Law::LogNormal => {
                &const { [need("median", Takes::Value), need("sigma", Takes::Plain)] }
            }
            Law::Uniform => &const { [need("low", Takes::Value), need("high", Takes::Value)] },
            Law::KaimingNormal
            | Law::KaimingUniform
            | Law::XavierNormal
            | Law::XavierUniform
            | Law::Orthogonal => &const { [may("gain", Takes::Value)] },
            Law::FluctuationDriven => {
                &const {
                    [
                        need("rate", Takes::Rate),
                        may("mu", Takes::Plain),
                        may("xi", Takes::Plain),
                        may("share", Takes::Plain),
                    ]
                }
            }
        }
    }

    /// Whether it needs the number of sources, which only connections have.
    pub fn needs_fan(self) -> bool {
        match self {
            Law::Normal | Law::LogNormal | Law::Uniform => false,
            Law::KaimingNormal
            | Law::KaimingUniform
            | Law::XavierNormal
            | Law::XavierUniform
            | Law::Orthogonal
            | Law::FluctuationDriven => true,
        }
    }
}

/// What a connection can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// All to all.
    Dense,
    /// A random part of all to all.
    Sparse,
    /// One-dimensional convolution.
    Conv1d,
    /// Two-dimensional convolution.
    Conv2d,
    /// Sums over windows.
    SumPool,
    /// Means over windows.
    AvgPool,
    /// Largest over windows.
    MaxPool,
    /// Neuron i to neuron i.
    OneToOne,
    /// A number times every event.
    Scale,
    /// Another shape, same elements.
    Flatten,
    /// Events dropped at random in training.
    Dropout,
    /// Normalisation over the batch.
    BatchNorm,
    /// The same with the gain alpha·threshold (Zheng et al. 2021).
    TdBatchNorm,
}

impl Operation {
    /// Every operation with its name.
    pub const ALL: &[(&'static str, Operation)] = &[
        ("dense", Operation::Dense),
        ("sparse", Operation::Sparse),
        ("conv1d", Operation::Conv1d),
        ("conv2d", Operation::Conv2d),
        ("sum_pool", Operation::SumPool),
        ("avg_pool", Operation::AvgPool),
        ("max_pool", Operation::MaxPool),
        ("one_to_one", Operation::OneToOne),
        ("scale", Operation::Scale),
        ("flatten", Operation::Flatten),
        ("dropout", Operation::Dropout),
        ("batch_norm", Operation::BatchNorm),
        ("td_batch_norm", Operation::TdBatchNorm),
    ];

    /// The operation of a name.
    pub fn find(name: &str) -> Option<Operation> {
        let row = Operation::ALL.iter().find(|(text, _)| *text == name)?;
        Some(row.1)
    }

    /// Its parameters.
    pub fn slots(self) -> &'static [Slot] {
        use Takes::{Bounds, Flag, Function, Plain, Value, Weights, Whole};
        match self {
            Operation::Dense => {
                &const {
                    [
                        need("w", Weights),
                        may("bias", Weights),
                        may("bounds", Bounds),
                        may("self", Flag),
                        may("feedback", Weights),
                        may("map", Function),
                    ]
                }
            }
            Operation::Sparse => {
                &const {
                    [
                        may("p", Plain),
                        need("w", Weights),
                        may("bias", Weights),
                        may("bounds", Bounds),
                        may("self", Flag),
                        may("fan_in", Plain),
                        may("map", Function),
                    ]
                }
            }
            Operation::Conv1d | Operation::Conv2d => {
                &const {
                    [
                        need("kernel", Whole),
                        may("stride", Whole),
                        may("pad", Plain),
                        may("dilation", Whole),
                        may("groups", Whole),
                        need("w", Weights),
                        may("bias", Weights),
                        may("bounds", Bounds),
                        may("map", Function),
                    ]
                }
            }
            Operation::SumPool | Operation::AvgPool | Operation::MaxPool => {
                &const {
                    [
                        need("kernel", Whole),
                        may("stride", Whole),
                        may("pad", Plain),
                        may("w", Weights),
                    ]
                }
            }
            Operation::OneToOne | Operation::Scale => {
                &const {
                    [
                        may("w", Weights),
                        may("bias", Weights),
                        may("bounds", Bounds),
                        may("map", Function),
                    ]
                }
            }
            Operation::Flatten => &[],
            Operation::Dropout => &const { [need("p", Plain)] },
            Operation::BatchNorm => {
                &const {
                    [
                        may("gain", Value),
                        may("momentum", Plain),
                        may("eps", Plain),
                    ]
                }
            }
            Operation::TdBatchNorm => {
                &const {
                    [
                        need("threshold", Value),
                        may("alpha", Plain),
                        may("momentum", Plain),
                        may("eps", Plain),
                    ]
                }
            }
        }
    }

    /// The index of its weights among its parameters.
    pub fn weight_slot(self) -> Option<usize> {
        self.slots().iter().position(|s| s.name == "w")
    }
}

/// The position of a parameter in a list of them.
pub fn slot_index(slots: &[Slot], name: &Name) -> Option<usize> {
    slots.iter().position(|s| s.name == name.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree() {
        for &(name, function) in Builtin::ALL {
            assert_eq!(function.name(), name);
            let (least, most) = function.arity();
            assert!(least <= most);
        }
        assert!(
            FILE_FORMATS
                .iter()
                .all(|f| Choice::find("data", f).is_some())
        );
        for choice in CHOICES {
            let known = |s: &&str| SETTINGS.contains(s);
            assert!(choice.settings.iter().all(known), "{}", choice.name);
        }
    }
}
