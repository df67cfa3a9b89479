//! What the reference says a step means, as numbers: simultaneous assignment in every phase, order,
//! refractory time, strictness of thresholds. Neurons in discrete time are run by the interpreter.

use std::collections::BTreeMap;

use rheobase_ir::interp::{Spiking, evaluate};
use rheobase_ir::kernel::{Def, Kernel, Role};
use rheobase_lang::check::check;
use rheobase_lang::diag::render::render_all;
use rheobase_lang::load::{NoFiles, load};
use rheobase_lang::lower::lower_neuron;
use rheobase_lang::model::builtin::{Builtin, Law};

const REFERENCE: &str = include_str!("../../../grammar/README.md");

type Row = BTreeMap<String, f64>;

/// The outputs of a kernel of one lane.
fn call(kernel: &Kernel, inputs: &Row) -> Row {
    let inputs_of_kernel = kernel.nodes.iter().filter_map(|node| match &node.def {
        Def::Input(input) => Some(inputs.get(&input.slot.name).copied()),
        Def::Inst(..) => None,
    });
    let values: Vec<f64> = inputs_of_kernel
        .map(|v| v.expect("every input has a value"))
        .collect();
    let nodes = evaluate(kernel, &mut |i| values[i], &mut Spiking::Hard).expect("no equations");
    let out = kernel.outputs.iter();
    out.filter(|o| matches!(o.slot.role, Role::State | Role::Spike | Role::Init))
        .map(|o| (o.slot.name.clone(), nodes[o.value.index()]))
        .collect()
}

/// The states and the spike at the end of each step of 1 ms, for these arrivals at port `x`.
fn steps(body: &str, arrivals: &[f64]) -> Vec<Row> {
    let source = format!(
        "surrogate box(u) {{ derivative = if abs(u) < 1 {{ 1 }} else {{ 0 }} }}\nneuron N {{ input x {body} }}"
    );
    let loaded = load("n.snn", &source, &NoFiles);
    let checked = check(&loaded.files);
    let mut findings = [loaded.diagnostics, checked.diagnostics].concat();
    findings.retain(rheobase_lang::diag::Diagnostic::is_error);
    assert_eq!(render_all(&findings, &loaded.sources, false), "");
    let neuron = lower_neuron(&checked.model, "N", 1.0, &[]).expect("it can be run");
    let mut row = call(&neuron.init, &Row::new());
    let mut rows = Vec::new();
    for &arrival in arrivals {
        row.insert("x".to_owned(), arrival);
        row = call(&neuron.step, &row);
        rows.push(row.clone());
    }
    rows
}

fn column(rows: &[Row], name: &str) -> Vec<f64> {
    rows.iter().map(|row| row[name]).collect()
}

#[test]
fn right_sides_of_a_phase_read_the_values_before_it() {
    let receive = "state g = 1 state h = 0 on receive x { g = g + x  h = g }";
    let rows = steps(receive, &[2.0, 3.0]);
    assert_eq!(column(&rows, "g"), [3.0, 6.0]);
    assert_eq!(column(&rows, "h"), [1.0, 3.0]);

    let next = "state a = 1 state b = 2 next a = b  next b = a on receive x { a += x }";
    let rows = steps(next, &[0.0, 0.0]);
    assert_eq!(column(&rows, "a"), [2.0, 1.0]);
    assert_eq!(column(&rows, "b"), [1.0, 2.0]);

    // Across blocks too.
    let reset = "state v = 0 state w = 5 on receive x { v += x } spike when v >= 1 surrogate box()
         on spike detached { v = w } on spike detached { w = v }";
    let rows = steps(reset, &[3.0]);
    assert_eq!((rows[0]["v"], rows[0]["w"]), (5.0, 3.0));

    // Assignments to one state compose in the order of the text.
    let composed = "state v = 3 on receive x { v -= 1  v *= 2 }";
    assert_eq!(column(&steps(composed, &[0.0]), "v"), [4.0]);
}

#[test]
fn phases_come_one_after_the_other() {
    let body = "state v = 0 let twice = 2 * v next v = twice on receive x { v += x }
         spike when v >= 4 surrogate box() on spike detached { v = 0 }";
    // Received, doubled, compared, reset: all in one step.
    let rows = steps(body, &[1.0, 0.0, 0.0]);
    assert_eq!(column(&rows, "v"), [2.0, 0.0, 0.0]);
    assert_eq!(column(&rows, "spike"), [0.0, 1.0, 0.0]);
    // The condition before the rest: the spike of the value at the end of the last step.
    let rows = steps(
        &format!("{body} order spike, reset, receive, integrate"),
        &[1.0, 1.0, 0.0, 0.0],
    );
    assert_eq!(column(&rows, "spike"), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(column(&rows, "v"), [2.0, 6.0, 0.0, 0.0]);
}

#[test]
fn thresholds_are_strict_or_not() {
    let body = |condition: &str| {
        format!(
            "state v = 0 on receive x {{ v = x }} spike when {condition} surrogate box() on spike detached {{ v = 0 }}"
        )
    };
    let spikes = |condition: &str| column(&steps(&body(condition), &[0.5, 1.0, 1.5, 9.0]), "spike");
    assert_eq!(spikes("v >= 1"), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(spikes("v > 1"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(spikes("1 <= v"), spikes("v >= 1"));
    assert_eq!(spikes("1 < v"), spikes("v > 1"));
}

#[test]
fn refractory_n_steps_makes_the_next_spike_possible_after_n() {
    let body = |rest: &str| {
        format!(
            "state v = 0 state g = 0 on receive x {{ v += x  g += x }} spike when v >= 1 surrogate box()
             on spike detached {{ v = 0 }} {rest}"
        )
    };
    let run = |rest: &str| steps(&body(rest), &[1.0; 8]);
    let always = vec![1.0; 8];
    assert_eq!(column(&run(""), "spike"), always);
    assert_eq!(column(&run("refractory 1 step"), "spike"), always);
    let every_third = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let free = run("refractory 3 step");
    assert_eq!(column(&free, "spike"), every_third);
    // Without `holds` the membrane goes on.
    assert_eq!(column(&free, "v"), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]);
    let held = run("refractory 3 ms holds v");
    assert_eq!(column(&held, "spike"), every_third);
    assert_eq!(column(&held, "v"), [0.0; 8]);
    assert_eq!(column(&held, "g"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let dropped = run("refractory 3 ms holds v drops x");
    assert_eq!(
        column(&dropped, "g"),
        [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]
    );
}

/// The reference has every function and every distribution.
#[test]
fn the_reference_lists_what_is_built_in() {
    for (name, _) in Builtin::ALL {
        assert!(REFERENCE.contains(&format!("`{name}(")), "{name}");
    }
    for (name, _) in Law::ALL {
        let listed = REFERENCE.contains(&format!("`{name}(")) || *name == "xavier";
        assert!(listed, "{name}");
    }
}
