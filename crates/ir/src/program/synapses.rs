//! What a connection computes from the spikes of a step: all to all, a random part of it, convolutions,
//! pooling, element by element.
//!
//! All of them are functions of one step alone, so they are described by the shapes of what goes in and
//! comes out. A row of `inputs` numbers (what the source sends in a step, or what the operation before
//! gave) becomes a row of `outputs` numbers. Shapes are row-major with the channel first, as in PyTorch.
//!
//! Random patterns are drawn here, too ([`Pattern`]), because every stage that counts weights needs them.
#![expect(missing_docs, reason = "the line of a variant explains its fields")]

use crate::program::{Initial, WeightMap};
use crate::random::SplitMix64;

/// One operation of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it computes.
    pub synapses: Synapses,
    /// The initial weights, in the unit of the port; `None` where there are none (flat factors of 1).
    pub weight: Option<Initial>,
    /// What the weights go through before they are used; `None`: they are used as they are.
    pub map: Option<WeightMap>,
    /// The initial bias, added at every step; `None` for no bias.
    pub bias: Option<Initial>,
    /// Weights, as they are before the map, are moved into this range after every update.
    pub bounds: Option<(f64, f64)>,
    /// What takes the place of the weights on the way of a gradient back to the source: numbers of the shape of
    /// the weights that are drawn once and not trained (feedback alignment, Lillicrap et al. 2016). `None`: the
    /// weights. Only for [`Synapses::Dense`].
    pub feedback: Option<Initial>,
    /// The numbers of a row that goes in.
    pub inputs: usize,
    /// The numbers of a row that comes out.
    pub outputs: usize,
}

/// How an operation of a connection turns a row into another.
#[derive(Clone, Debug, PartialEq)]
pub enum Synapses {
    /// Every neuron to every neuron; weights `[outputs, inputs]`. Without self-connections the weight of
    /// a neuron to itself is zero and stays so.
    Dense { self_connections: bool },
    /// Some neurons to some neurons, see [`Pattern`]; one weight for each pair.
    Sparse {
        density: Density,
        self_connections: bool,
        seed: u64,
    },
    /// Neuron i to neuron i; weights `[outputs]`.
    OneToOne,
    /// Neuron i to neuron i; one weight for all of them.
    Scale,
    /// Windows of all channels of a group, weights `[channels out, channels in / groups, kernel]`.
    Convolution(Window),
    /// Windows of one channel; one weight for all of them.
    Pool { window: Window, pooling: Pooling },
    /// Each number is zero with this probability while training, for all steps of a sample, and the others
    /// are divided by the probability to stay (Srivastava et al. 2014); nothing happens at evaluation.
    Dropout { probability: f64 },
    /// Each channel, which is a stretch of neighbours, minus its mean and divided by the root of its variance
    /// and `eps`; mean and variance are over the samples of a batch, all steps that arrive and the places of the channel
    /// (Ioffe & Szegedy 2015; over time Zheng et al. 2021). The weights, one for each channel, multiply the
    /// result. At evaluation running averages take the place of mean and variance: each batch moves them by `momentum`
    /// towards its own.
    Normalisation {
        channels: usize,
        momentum: f64,
        eps: f64,
    },
}

/// How many weights a sparse connection has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Density {
    /// Each pair is connected with this probability.
    Probability(f64),
    /// Each target has this number of different sources.
    FanIn(usize),
}

/// What a pooling does with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The sum.
    Sum,
    /// The sum divided by the size of the window, padding included.
    Average,
    /// The largest number; the padding does not count. The gradient goes to the first of the largest, in
    /// row-major order.
    Max,
}

/// Windows that move over one or two axes. One axis is held as two, the first of length 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The number of axes that windows move over: 1 or 2.
    pub axes: usize,
    /// Channels that go in and come out.
    pub channels: [usize; 2],
    /// Height and width that go in.
    pub input: [usize; 2],
    /// Height and width that come out.
    pub output: [usize; 2],
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// How far a window moves.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub pad: [usize; 2],
    /// The distance between two neighbours of a window.
    pub dilation: [usize; 2],
    /// Channels are cut into this many groups, of which none sees another.
    pub groups: usize,
}

impl Window {
    /// How many windows fit: `(length + 2·pad − dilation·(kernel − 1) − 1) / stride + 1`, as in PyTorch;
    /// `None` if none does.
    pub fn count(
        length: usize,
        kernel: usize,
        stride: usize,
        pad: usize,
        dilation: usize,
    ) -> Option<usize> {
        let reach = dilation.checked_mul(kernel.checked_sub(1)?)?;
        let room = length.checked_add(pad.checked_mul(2)?)?;
        let room = room.checked_sub(reach.checked_add(1)?)?;
        Some(room.checked_div(stride)? + 1)
    }

    /// The numbers of a window, in one channel.
    pub fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

impl Operation {
    /// Every one of `inputs` to every one of `outputs`, without bias or bounds.
    pub fn dense(inputs: usize, outputs: usize, weight: Initial) -> Operation {
        Operation {
            synapses: Synapses::Dense {
                self_connections: true,
            },
            weight: Some(weight),
            map: None,
            bias: None,
            bounds: None,
            feedback: None,
            inputs,
            outputs,
        }
    }

    /// Whether it normalises over samples and steps.
    pub fn normalises(&self) -> bool {
        matches!(self.synapses, Synapses::Normalisation { .. })
    }

    /// The outside shape of the weights; `None` if there are none. `[number of pairs]` for a sparse one,
    /// which is drawn for it.
    pub fn weight_shape(&self) -> Option<Vec<usize>> {
        self.weight.as_ref()?;
        Some(match &self.synapses {
            Synapses::Dense { .. } => vec![self.outputs, self.inputs],
            Synapses::Sparse { .. } => vec![self.pattern().map_or(0, |p| p.columns.len())],
            Synapses::OneToOne => vec![self.outputs],
            Synapses::Scale | Synapses::Pool { .. } | Synapses::Dropout { .. } => vec![],
            Synapses::Normalisation { channels, .. } => vec![*channels],
            Synapses::Convolution(window) => {
                let [channels_in, channels_out] = window.channels;
                let mut shape = vec![channels_out, channels_in / window.groups];
                shape.extend(&window.kernel[2 - window.axes..]);
                shape
            }
        })
    }

    /// The outside shape of the bias; `None` if there is none.
    pub fn bias_shape(&self) -> Option<Vec<usize>> {
        self.bias.as_ref()?;
        Some(match &self.synapses {
            Synapses::Dense { .. } | Synapses::Sparse { .. } | Synapses::OneToOne => {
                vec![self.outputs]
            }
            Synapses::Scale | Synapses::Pool { .. } | Synapses::Dropout { .. } => vec![],
            Synapses::Convolution(window) => vec![window.channels[1]],
            Synapses::Normalisation { channels, .. } => vec![*channels],
        })
    }

    /// How many numbers an output is the sum of, and to how many outputs an input goes, on average and
    /// away from the edges: the `fan_in` and `fan_out` of initial weights, as PyTorch counts them.
    pub fn fan(&self) -> (f64, f64) {
        let (inputs, outputs) = (self.inputs as f64, self.outputs as f64);
        match &self.synapses {
            Synapses::Dense { .. } => (inputs, outputs),
            Synapses::Sparse { density, .. } => match *density {
                Density::Probability(p) => (p * inputs, p * outputs),
                Density::FanIn(k) => (k as f64, k as f64 * outputs / inputs),
            },
            Synapses::OneToOne
            | Synapses::Scale
            | Synapses::Dropout { .. }
            | Synapses::Normalisation { .. } => (1.0, 1.0),
            Synapses::Convolution(window) => {
                let [channels_in, channels_out] = window.channels;
                let area = window.area() as f64;
                let seen = channels_in / window.groups;
                (seen as f64 * area, channels_out as f64 * area)
            }
            Synapses::Pool { window, .. } => (window.area() as f64, 1.0),
        }
    }

    /// The pairs of a sparse operation; `None` for others.
    pub fn pattern(&self) -> Option<Pattern> {
        match &self.synapses {
            Synapses::Sparse {
                density,
                self_connections,
                seed,
            } => Some(Pattern::draw(
                [self.outputs, self.inputs],
                *density,
                *self_connections,
                *seed,
            )),
            Synapses::Dense { .. }
            | Synapses::OneToOne
            | Synapses::Scale
            | Synapses::Convolution(_)
            | Synapses::Pool { .. }
            | Synapses::Dropout { .. }
            | Synapses::Normalisation { .. } => None,
        }
    }
}

/// Which pairs a sparse operation connects, row by row (compressed sparse rows): target `i` hears the
/// sources `columns[offsets[i]..offsets[i + 1]]`, in ascending order and none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Where the sources of each target begin; one more for the end.
    pub offsets: Vec<u32>,
    /// The sources.
    pub columns: Vec<u32>,
}

impl Pattern {
    /// Draws the pairs of `[outputs, inputs]`. Each target has its own stream of the seed.
    pub fn draw(
        [outputs, inputs]: [usize; 2],
        density: Density,
        self_connections: bool,
        seed: u64,
    ) -> Pattern {
        let mut pattern = Pattern {
            offsets: vec![0],
            columns: Vec::new(),
        };
        for target in 0..outputs {
            let start = SplitMix64::new(seed ^ target as u64).bits();
            let mut random = SplitMix64::new(start);
            // Without itself a neuron draws from one source less, and those after it move by one.
            let itself = (!self_connections && target < inputs).then_some(target);
            let sources = inputs - usize::from(itself.is_some());
            let first = pattern.columns.len();
            match density {
                Density::Probability(p) => bernoulli(&mut random, sources, p, &mut pattern.columns),
                Density::FanIn(k) => choose(&mut random, sources, k, &mut pattern.columns),
            }
            if let Some(itself) = itself {
                for source in &mut pattern.columns[first..] {
                    *source += u32::from(*source as usize >= itself);
                }
            }
            pattern.offsets.push(pattern.columns.len() as u32);
        }
        pattern
    }
}

/// Each of `0..n` with probability `p`: the gaps between them are geometric, so time goes with their number.
fn bernoulli(random: &mut SplitMix64, n: usize, p: f64, chosen: &mut Vec<u32>) {
    if p >= 1.0 {
        chosen.extend(0..n as u32);
        return;
    }
    let rest = libm::log1p(-p);
    if rest == 0.0 {
        return;
    }
    let mut next = 0.0;
    loop {
        // 1 − u is never zero.
        next += libm::floor(libm::log(1.0 - random.unit()) / rest);
        if next >= n as f64 {
            return;
        }
        chosen.push(next as u32);
        next += 1.0;
    }
}

/// `k` different ones of `0..n`, all sets equally likely (Floyd; Bentley & Floyd 1987), in ascending order.
fn choose(random: &mut SplitMix64, n: usize, k: usize, chosen: &mut Vec<u32>) {
    let first = chosen.len();
    let mut set = std::collections::BTreeSet::new();
    for last in n.saturating_sub(k)..n {
        let candidate = random.below(last + 1) as u32;
        set.insert(if set.contains(&candidate) {
            last as u32
        } else {
            candidate
        });
    }
    chosen.extend(set);
    debug_assert!(chosen.len() - first == k.min(n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pattern: &Pattern, i: usize) -> &[u32] {
        &pattern.columns[pattern.offsets[i] as usize..pattern.offsets[i + 1] as usize]
    }

    #[test]
    fn patterns_have_their_density_and_no_pair_twice() {
        for (density, expected) in [
            (Density::Probability(0.1), 0.1),
            (Density::Probability(0.0), 0.0),
            (Density::Probability(1.0), 1.0),
            (Density::FanIn(30), 0.1),
            (Density::FanIn(300), 1.0),
        ] {
            let pattern = Pattern::draw([200, 300], density, true, 5);
            let share = pattern.columns.len() as f64 / 60_000.0;
            assert!((share - expected).abs() < 0.005, "{density:?} {share}");
            for i in 0..200 {
                assert!(row(&pattern, i).windows(2).all(|w| w[0] < w[1]));
                assert!(row(&pattern, i).iter().all(|&j| j < 300));
                if let Density::FanIn(k) = density {
                    assert_eq!(row(&pattern, i).len(), k);
                }
            }
            assert_eq!(pattern, Pattern::draw([200, 300], density, true, 5));
        }
        let other = Pattern::draw([200, 300], Density::FanIn(30), true, 6);
        assert_ne!(
            other,
            Pattern::draw([200, 300], Density::FanIn(30), true, 5)
        );
    }

    #[test]
    fn no_neuron_hears_itself() {
        for density in [Density::Probability(1.0), Density::FanIn(8)] {
            let pattern = Pattern::draw([9, 9], density, false, 1);
            for i in 0..9 {
                assert_eq!(row(&pattern, i).len(), 8);
                assert!(!row(&pattern, i).contains(&(i as u32)));
            }
        }
    }

    #[test]
    fn every_source_is_equally_likely() {
        let pattern = Pattern::draw([20_000, 10], Density::FanIn(3), true, 3);
        let mut counts = [0; 10];
        pattern
            .columns
            .iter()
            .for_each(|&j| counts[j as usize] += 1);
        assert!(
            counts.iter().all(|&c| (5700..6300).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn windows_are_counted_as_in_pytorch() {
        assert_eq!(Window::count(34, 5, 1, 0, 1), Some(30));
        assert_eq!(Window::count(64, 5, 2, 2, 1), Some(32));
        assert_eq!(Window::count(10, 3, 1, 0, 2), Some(6));
        assert_eq!(Window::count(5, 2, 2, 0, 1), Some(2));
        assert_eq!(Window::count(3, 5, 1, 0, 1), None);
        assert_eq!(Window::count(3, 0, 1, 0, 1), None);
        assert_eq!(Window::count(3, 1, 0, 0, 1), None);
        assert_eq!(Window::count(3, usize::MAX, 1, usize::MAX, 2), None);
    }
}
