//! Weights, biases, time constants: distributions before and after training, matrices, receptive fields.

use ndarray::ArrayD;
use rheobase_ir::program::{Network, Source, Unit};
use rheobase_plot::{Chart, Heat, Names, Scale};
use rheobase_runtime::{Owner, Parameters};

use super::with_unit;

/// Bars of a histogram.
const BINS: usize = 40;

/// Receptive fields in a row, and all of them.
const FIELDS: (usize, usize) = (8, 32);

/// A parameter with the unit in which it is shown.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) trained: bool,
    pub(crate) values: ArrayD<f64>,
}

/// All parameters in the units of the program.
pub(crate) fn shown(network: &Network, parameters: &Parameters<f64>) -> Vec<Shown> {
    let specs = parameters.specs.iter().enumerate();
    specs
        .map(|(i, spec)| {
            let unit = match spec.owner {
                Owner::Weight(c, _)
                | Owner::Mapped(c, _)
                | Owner::Bias(c, _)
                | Owner::Feedback(c, _) => {
                    let connection = &network.connections[c];
                    let port = &network.layers[connection.to].neuron.ports[connection.port];
                    port.unit.clone()
                }
                // In base units: what a normalisation reads has no unit of its own.
                Owner::Running(..) => rheobase_ir::program::Unit::one(),
                Owner::Delay(_) => rheobase_ir::program::Unit {
                    text: "step".to_string(),
                    factor: 1.0,
                },
                Owner::Neuron(layer, param) => {
                    network.layers[layer].neuron.params[param].unit.clone()
                }
            };
            Shown {
                name: spec.name.clone(),
                trained: spec.trained,
                values: parameters.export(i).mapv(|v| v / unit.factor),
                unit,
            }
        })
        .collect()
}

/// For each trained parameter with more than one value its distribution before and after.
pub(crate) fn distributions(before: &[Shown], after: &[Shown]) -> Vec<Chart> {
    let pairs = before.iter().zip(after);
    let several = pairs.filter(|(b, _)| b.trained && b.values.len() > 1);
    several
        .map(|(b, a)| {
            let all = || b.values.iter().chain(&a.values).copied();
            let low = all().fold(f64::INFINITY, f64::min);
            let high = all().fold(f64::NEG_INFINITY, f64::max);
            let range = if low < high {
                (low, high)
            } else {
                (low - 0.5, high + 0.5)
            };
            let list = |s: &Shown| s.values.iter().copied().collect::<Vec<f64>>();
            Chart::new(&b.name, &with_unit("value", &b.unit), "count")
                .with_histogram("before", &list(b), range, BINS)
                .with_histogram("after", &list(a), range, BINS)
        })
        .collect()
}

/// Every parameter with two axes as a matrix, from the neuron that sends to the one that receives.
pub(crate) fn matrices(parameters: &[Shown]) -> Vec<Heat> {
    let tables = parameters.iter().filter(|p| p.values.ndim() == 2);
    tables
        .map(|p| Heat {
            title: with_unit(&p.name, &p.unit),
            x: "from".to_string(),
            y: "to".to_string(),
            rows: p.values.shape()[0],
            columns: p.values.shape()[1],
            values: p.values.iter().copied().collect(),
            scale: Scale::Diverging,
            numbers: false,
            square: false,
            names: Names::Numbers,
        })
        .collect()
}

/// For each matrix that starts at an input the weights of the first neurons, each as a picture of the
/// input's shape, in a mosaic.
pub(crate) fn fields(network: &Network, parameters: &Parameters<f64>) -> Vec<Heat> {
    let mut mosaics = Vec::new();
    let all = shown(network, parameters);
    for (spec, shown) in parameters.specs.iter().zip(&all) {
        let Owner::Weight(c, _) = spec.owner else {
            continue;
        };
        let connection = &network.connections[c];
        if let Source::Input(population) = connection.from
            && shown.values.ndim() == 2
        {
            let (h, w) = picture(&network.inputs[population].shape);
            if h * w == shown.values.shape()[1] {
                let layer = &network.layers[connection.to].name;
                mosaics.push(mosaic(layer, shown, h, w));
            }
        }
    }
    mosaics
}

/// Height and width of an input: its last two axes below each other for each plane before them, or a square
/// if it has one axis of square length.
fn picture(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [n] => {
            let side = (*n as f64).sqrt().round() as usize;
            if side * side == *n {
                (side, side)
            } else {
                (1, *n)
            }
        }
        [planes @ .., h, w] => (planes.iter().product::<usize>() * h, *w),
    }
}

fn mosaic(layer: &str, weights: &Shown, h: usize, w: usize) -> Heat {
    let neurons = weights.values.shape()[0].min(FIELDS.1);
    // Lines of one long field each would be unreadable beside each other.
    let across = if h == 1 { 1 } else { neurons.min(FIELDS.0) };
    let down = neurons.div_ceil(across);
    // Between pictures there is a gap, between lines none.
    let gap = usize::from(h > 1);
    let (rows, columns) = (down * (h + gap) - gap, across * (w + 1) - 1);
    let mut values = vec![f64::NAN; rows * columns];
    for neuron in 0..neurons {
        let (top, left) = (neuron / across * (h + gap), neuron % across * (w + 1));
        for (i, weight) in weights
            .values
            .index_axis(ndarray::Axis(0), neuron)
            .iter()
            .enumerate()
        {
            values[(top + i / w) * columns + left + i % w] = *weight;
        }
    }
    Heat {
        title: format!("What the first {neurons} neurons of {layer} weigh in the input"),
        x: if h > 1 { "" } else { "channel" }.to_string(),
        y: if h > 1 { "" } else { "neuron" }.to_string(),
        rows,
        columns,
        values,
        scale: Scale::Diverging,
        numbers: false,
        square: h > 1,
        names: if h > 1 {
            Names::Nothing
        } else {
            Names::Numbers
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, IxDyn};

    #[test]
    fn a_mosaic_puts_every_weight_at_its_pixel() {
        let values = Array::from_shape_fn(IxDyn(&[10, 4]), |i| (10 * i[0] + i[1]) as f64);
        let weights = Shown {
            name: "w".to_string(),
            unit: Unit::one(),
            trained: true,
            values,
        };
        assert_eq!(picture(&[4]), (2, 2));
        let heat = mosaic("hid", &weights, 2, 2);
        assert_eq!((heat.rows, heat.columns), (5, 23));
        // Neuron 9 stands below neuron 1, its last weight in the lower right corner of its field.
        assert_eq!(heat.values[4 * 23 + 4], 93.0);
        assert!(heat.values[2].is_nan());
    }

    #[test]
    fn inputs_have_pictures() {
        assert_eq!(picture(&[700]), (1, 700));
        assert_eq!(picture(&[2, 34, 34]), (68, 34));
    }
}
