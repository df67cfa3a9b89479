//! Connections whose synapses have their own delays: as many connections with one delay as there are taps.
//!
//! A *tap* is a whole number of steps within the range of the delays. Each tap has a table of weights, and runs,
//! forward and backward, as an ordinary connection with its delay. Rounded delays put a synapse into the table
//! of one tap, so the tables are sparse and together as large as the weights. Delays that are learned are spread
//! over all taps while gradients are computed (`ir::program::Delays`); then every tap has a table of the form of
//! the weights. The gradients of the tables give those of weights and delays once per batch
//! ([`Delayed::gradients`]).

use std::ops::Range;
use std::sync::Arc;

use rheobase_ir::program::{Delays, Network, Pattern, Synapses};
use rheobase_ir::real::Real;

use crate::connection::chain::Chain;
use crate::connection::pairs::Pairs;
use crate::parameters::{Layout, Owner, ParameterSpec, weights_in_use};

/// A connection whose synapses have their own delays.
pub(crate) struct Delayed {
    pub(crate) delays: Delays,
    /// Weights and delays among the parameters.
    pub(crate) weight: usize,
    pub(crate) delay: usize,
    sizes: [usize; 2],
    form: Form,
    /// The tables of rounded delays among all tables.
    rounded: Range<usize>,
    /// Those of delays that are spread; the same as `rounded` if they are not learned.
    spread: Range<usize>,
    /// For each tap the synapses of its rounded table, and their places among the weights.
    pairs: Vec<Arc<Pairs>>,
    places: Vec<Vec<u32>>,
}

/// Which pairs have a weight, in the order of the weights.
#[derive(Clone)]
enum Form {
    Dense,
    Pairs(Arc<Pairs>),
    OneToOne,
}

/// Whether delays are rounded or spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taps {
    Rounded,
    /// Where delays are learned; the others are rounded.
    Spread,
}

impl Delayed {
    /// The connections of a network whose synapses have their own delays, each with its index.
    pub(crate) fn all(network: &Network, specs: &[ParameterSpec]) -> Vec<(usize, Delayed)> {
        let mut all = Vec::new();
        let mut next = 0;
        for (c, connection) in network.connections.iter().enumerate() {
            let (Some(delays), [operation]) = (&connection.delays, &connection.operations[..])
            else {
                continue;
            };
            let position = |owner: Owner| specs.iter().position(|s| s.owner == owner);
            let (Some(weight), Some(delay)) =
                (weights_in_use(specs, c, 0), position(Owner::Delay(c)))
            else {
                unreachable!("a connection with delays of its synapses has weights of its own")
            };
            let form = match (&operation.synapses, &specs[weight].layout) {
                (Synapses::Dense { .. }, _) => Form::Dense,
                (_, Layout::Pairs(pairs)) => Form::Pairs(pairs.clone()),
                (Synapses::OneToOne, _) => Form::OneToOne,
                (
                    Synapses::Sparse { .. }
                    | Synapses::Scale
                    | Synapses::Convolution(_)
                    | Synapses::Pool { .. }
                    | Synapses::Dropout { .. }
                    | Synapses::Normalisation { .. },
                    _,
                ) => unreachable!("refused when the program is lowered"),
            };
            let rounded = next..next + delays.taps();
            let spread = match delays.learned {
                true => rounded.end..rounded.end + delays.taps(),
                false => rounded.clone(),
            };
            next = spread.end;
            let mut delayed = Delayed {
                delays: delays.clone(),
                weight,
                delay,
                sizes: [operation.inputs, operation.outputs],
                form,
                rounded,
                spread,
                pairs: Vec::new(),
                places: Vec::new(),
            };
            // Until there are parameters no synapse has a delay.
            delayed.sort(&vec![f64::from(delays.shortest); specs[weight].len()]);
            all.push((c, delayed));
        }
        all
    }

    /// Its tables among all tables.
    pub(crate) fn tables(&self, taps: Taps) -> Range<usize> {
        match taps {
            Taps::Rounded => self.rounded.clone(),
            Taps::Spread => self.spread.clone(),
        }
    }

    /// The number of tables.
    pub(crate) fn count(all: &[(usize, Delayed)]) -> usize {
        all.last()
            .map_or(0, |(_, d)| d.spread.end.max(d.rounded.end))
    }

    /// What one tap computes.
    pub(crate) fn chain(&self, taps: Taps, tap: usize) -> Chain {
        let table = self.tables(taps).start + tap;
        let pairs = match taps {
            Taps::Spread if self.delays.learned => match &self.form {
                Form::Dense => return Chain::of_table(None, true, table, self.sizes),
                Form::OneToOne => return Chain::of_table(None, false, table, self.sizes),
                Form::Pairs(pairs) => pairs.clone(),
            },
            Taps::Rounded | Taps::Spread => self.pairs[tap].clone(),
        };
        Chain::of_table(Some(pairs), false, table, self.sizes)
    }

    /// The source and the target of each weight.
    fn synapses(&self, mut each: impl FnMut(usize, usize)) {
        let [inputs, outputs] = self.sizes;
        match &self.form {
            Form::Dense => {
                for source in 0..inputs {
                    (0..outputs).for_each(|target| each(source, target));
                }
            }
            Form::OneToOne => (0..outputs).for_each(|i| each(i, i)),
            Form::Pairs(pairs) => {
                for source in 0..inputs {
                    let of_source =
                        pairs.offsets[source] as usize..pairs.offsets[source + 1] as usize;
                    let targets = &pairs.targets[of_source];
                    targets
                        .iter()
                        .for_each(|&target| each(source, target as usize));
                }
            }
        }
    }

    /// Sorts the synapses by their rounded delays.
    fn sort(&mut self, delays: &[f64]) {
        let [inputs, _] = self.sizes;
        let empty = || Pairs {
            pattern: Pattern {
                offsets: Vec::new(),
                columns: Vec::new(),
            },
            offsets: vec![0; inputs + 1],
            targets: Vec::new(),
            inside: Vec::new(),
        };
        let mut tables: Vec<Pairs> = (0..self.delays.taps()).map(|_| empty()).collect();
        let mut places = vec![Vec::new(); tables.len()];
        let mut place = 0;
        self.synapses(|source, target| {
            let tap = self.delays.tap(delays[place]);
            tables[tap].targets.push(target as u32);
            tables[tap].offsets[source + 1] += 1;
            places[tap].push(place as u32);
            place += 1;
        });
        for table in &mut tables {
            for source in 0..inputs {
                table.offsets[source + 1] += table.offsets[source];
            }
        }
        self.pairs = tables.into_iter().map(Arc::new).collect();
        self.places = places;
    }

    /// Fills the tables from the parameters; `progress` is the part of the training that is done.
    pub(crate) fn fill<R: Real>(
        &mut self,
        parameters: &[Vec<R>],
        progress: f64,
        tables: &mut [Vec<R>],
    ) {
        let (weights, delays) = (&parameters[self.weight], &parameters[self.delay]);
        let delays: Vec<f64> = delays.iter().map(|d| d.to_f64()).collect();
        self.sort(&delays);
        for (table, places) in tables[self.rounded.clone()].iter_mut().zip(&self.places) {
            table.clear();
            table.extend(places.iter().map(|&place| weights[place as usize]));
        }
        if self.delays.learned {
            let width = self.delays.width(progress);
            let tables = &mut tables[self.spread.clone()];
            tables
                .iter_mut()
                .for_each(|t| t.resize(weights.len(), R::ZERO));
            let mut shares = vec![0.0; self.delays.taps()];
            for (place, (&delay, w)) in delays.iter().zip(weights).enumerate() {
                self.delays.shares(delay, width, &mut shares);
                for (table, share) in tables.iter_mut().zip(&shares) {
                    table[place] = R::from_f64(w.to_f64() * share);
                }
            }
        }
    }

    /// From the gradients of the tables to those of weights and delays.
    pub(crate) fn gradients<R: Real>(
        &self,
        parameters: &[Vec<R>],
        progress: f64,
        tables: &[Vec<R>],
    ) -> [Vec<R>; 2] {
        let (weights, delays) = (&parameters[self.weight], &parameters[self.delay]);
        let tables = &tables[self.spread.clone()];
        let mut of_weights = vec![R::ZERO; weights.len()];
        if !self.delays.learned {
            for (table, places) in tables.iter().zip(&self.places) {
                for (&g, &place) in table.iter().zip(places) {
                    of_weights[place as usize] = g;
                }
            }
            return [of_weights, Vec::new()];
        }
        let mut of_delays = vec![R::ZERO; weights.len()];
        let width = self.delays.width(progress);
        let mut shares = vec![0.0; self.delays.taps()];
        for place in 0..weights.len() {
            let delay = delays[place].to_f64();
            self.delays.shares(delay, width, &mut shares);
            let adjoint = |tap: usize| tables[tap][place].to_f64();
            let sum: f64 = shares
                .iter()
                .enumerate()
                .map(|(tap, k)| k * adjoint(tap))
                .sum();
            let slope = self.delays.slope(delay, width, &shares, adjoint);
            of_weights[place] = R::from_f64(sum);
            of_delays[place] = R::from_f64(weights[place].to_f64() * slope);
        }
        [of_weights, of_delays]
    }
}
