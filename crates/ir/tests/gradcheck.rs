//! Every neuron of `neurons/` passes the gradient check, and the check catches mistakes.

use rheobase_ir::cases::neuron;
use rheobase_ir::gradcheck::{Against, Config, gradcheck};

#[test]
fn every_neuron_passes() {
    insta::glob!("neurons/*.kir", |path| {
        let text = std::fs::read_to_string(path).expect("readable file");
        let neuron = neuron(&text).expect("a neuron");
        let report = gradcheck(&neuron, &Config::STANDARD).expect("neuron runs");
        println!("{}\n{report}", neuron.name);
        assert!(report.passed(1e-6), "{}\n{report}", neuron.name);
        assert!(
            neuron.spikes.is_empty() || report.spiking > 0.02,
            "{} hardly spikes",
            neuron.name
        );
    });
}
