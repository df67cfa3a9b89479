//! Integrators: what each makes of a kernel, and that it has the order that theory says.

#[path = "integrate/convergence.rs"]
mod convergence;
#[path = "integrate/noise.rs"]
mod noise;

use std::fs;

use rheobase_ir::integrate::integrate;
use rheobase_ir::passes::clean;
use rheobase_ir::text::{parse, print};
use rheobase_ir::verify::verify;

#[test]
fn integrators() {
    insta::glob!("integrate/*.kir", |path| {
        let text = fs::read_to_string(path).expect("readable file");
        let mut kernel = parse(&text).expect("kernel text");
        verify(&kernel).expect("a valid kernel");
        let chosen = integrate(&mut kernel);
        verify(&kernel).expect("a valid kernel after integration");
        clean(&mut kernel);
        let chosen: String = chosen
            .iter()
            .map(|c| format!("; {}: {} -> {} ({})\n", c.state, c.asked, c.taken, c.reason))
            .collect();
        insta::assert_snapshot!(format!(
            "{text}\n; ----------\n\n{chosen}{}",
            print(&kernel)
        ));
    });
}
